/* merge.c - two users' properties become one's; one's go. */
#include "profile/profile_internal.h"

#include <math.h>

/* Two cells of one column: the one that goes and the one that stays. */
struct pair {
    struct cell from;
    struct cell into;
};

static uint64_t stamp_of(const struct cell *cell)
{
    return *cell->stamp & ~GATHERED;
}

static void empty(const struct cell *cell)
{
    *cell->type = VALUE_NULL;
    *cell->value = 0;
    *cell->stamp = 0;
}

/* The text's reference moves with the value. */
static void move(struct profiles *profiles, const struct pair *pair)
{
    cell_set(profiles, &pair->into, (enum value_type) * pair->from.type, *pair->from.value,
             *pair->from.stamp);
    empty(&pair->from);
}

static void drop(struct profiles *profiles, const struct cell *cell)
{
    cell_set(profiles, cell, VALUE_NULL, 0, 0);
}

static double number_of(const struct cell *cell)
{
    double real = 0;
    if (*cell->type == VALUE_INT)
        return (double)(int64_t)*cell->value;
    memcpy(&real, cell->value, sizeof real);
    return real;
}

/* False: the sum is no number; the later write has to decide. */
static bool add_up(struct profiles *profiles, const struct pair *pair)
{
    uint64_t stamp =
        stamp_of(&pair->from) > stamp_of(&pair->into) ? *pair->from.stamp : *pair->into.stamp;
    enum value_type type = VALUE_INT;
    uint64_t bits = 0;
    int64_t sum = 0;
    if (*pair->from.type == VALUE_INT && *pair->into.type == VALUE_INT) {
        if (__builtin_add_overflow((int64_t)*pair->from.value, (int64_t)*pair->into.value, &sum))
            return false;
        bits = (uint64_t)sum;
    } else {
        double real = number_of(&pair->from) + number_of(&pair->into);
        if (!isfinite(real))
            return false;
        type = VALUE_REAL;
        memcpy(&bits, &real, sizeof bits);
    }
    cell_set(profiles, &pair->into, type, bits, stamp);
    drop(profiles, &pair->from);
    return true;
}

static void add_all(const struct profiles *profiles, const struct cell *cell, struct list *list)
{
    const struct text *text = text_at(&profiles->texts, *cell->value);
    (void)list_read(bytes_of(text->bytes, text->len), list);
}

/* First the items of the list that was written earlier. */
static struct err unite_lists(struct profiles *profiles, const struct pair *pair)
{
    bool is_from_later = stamp_of(&pair->from) > stamp_of(&pair->into);
    const struct cell *earlier = is_from_later ? &pair->into : &pair->from;
    const struct cell *later = is_from_later ? &pair->from : &pair->into;
    struct list list;
    struct text *text = NULL;
    struct err err = list_start(profiles, &list);
    if (err.code)
        return err;
    add_all(profiles, earlier, &list);
    add_all(profiles, later, &list);
    err = list_put(profiles, &list, &text);
    if (err.code)
        return err;
    assert(text);
    cell_set(profiles, &pair->into, VALUE_LIST, text->number, *later->stamp);
    drop(profiles, &pair->from);
    return ok();
}

static struct err merge_cells(struct profiles *profiles, const struct pair *pair)
{
    if (*pair->from.stamp == 0)
        return ok();
    if (*pair->from.type == VALUE_LIST && *pair->into.type == VALUE_LIST)
        return unite_lists(profiles, pair);
    if (*pair->from.stamp & *pair->into.stamp & GATHERED && add_up(profiles, pair))
        return ok();
    if (stamp_of(&pair->from) > stamp_of(&pair->into))
        move(profiles, pair);
    else
        drop(profiles, &pair->from);
    return ok();
}

/* Has the column ever been written for this user? */
static bool is_written(const struct column *column, uint32_t user)
{
    return leaf_stamp(tree_leaf(column->tree.root, user / PROFILE_CHUNK), user % PROFILE_CHUNK) !=
           0;
}

static struct err merge_column(struct profiles *profiles, struct column *column, uint32_t from,
                               uint32_t into)
{
    struct pair pair;
    if (!is_written(column, from))
        return ok();
    /* First the one that may have to be made: making it can move the other. */
    struct err err = cell_edit(profiles, column, into, &pair.into);
    if (!err.code)
        err = cell_edit(profiles, column, from, &pair.from);
    if (err.code)
        return err;
    return merge_cells(profiles, &pair);
}

static struct err merge_activity(struct profiles *profiles, uint32_t from, uint32_t into)
{
    struct activity *source = NULL;
    struct activity *target = NULL;
    struct err err = activity_edit(profiles, from, &source);
    if (!err.code)
        err = activity_edit(profiles, into, &target);
    if (err.code || source->events_seen == 0)
        return err;
    bool is_first = target->events_seen == 0;
    if (is_first || source->first_ms < target->first_ms)
        target->first_ms = source->first_ms;
    if (is_first || source->last_ms > target->last_ms)
        target->last_ms = source->last_ms;
    target->events_seen = ((target->events_seen >> 1) + (source->events_seen >> 1)) << 1 | 1;
    *source = (struct activity){ 0 };
    return ok();
}

struct err profile_merge(struct profiles *profiles, uint32_t from, uint32_t into)
{
    assert(from != into);
    for (uint32_t i = 0; i < profiles->column_count; i++) {
        struct err err = merge_column(profiles, &profiles->columns[i], from, into);
        if (err.code)
            return err;
    }
    if (into >= profiles->users)
        profiles->users = into + 1;
    return merge_activity(profiles, from, into);
}

struct err profile_clear(struct profiles *profiles, uint32_t user)
{
    for (uint32_t i = 0; i < profiles->column_count; i++) {
        struct cell cell;
        if (!is_written(&profiles->columns[i], user))
            continue;
        struct err err = cell_edit(profiles, &profiles->columns[i], user, &cell);
        if (err.code)
            return err;
        drop(profiles, &cell);
    }
    if (!tree_leaf(profiles->activity.root, user / ACTIVITY_LEAF))
        return ok();
    struct activity *activity = NULL;
    struct err err = activity_edit(profiles, user, &activity);
    if (err.code)
        return err;
    *activity = (struct activity){ 0 };
    return ok();
}

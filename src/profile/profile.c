/*
 * profile.c - what the operators do to a user's properties.
 *
 *     columns     one per property: a tree of leaves of 1024 users (leaf.c), each with a type, 64
 *                 bits and a stamp
 *     activity    a tree of leaves of 64 users (every event touches one, and after a view is taken
 *                 a touched leaf is copied: so small)
 *     texts       strings and lists by number
 *
 * A stamp is the number of the operator that wrote the cell last. Readers don't see it; merges need
 * it: what was written later wins, so it makes no difference whether two users were merged before or
 * after (docs/modules/profile.md says how far that goes). Deleting leaves a stamp behind as well.
 *
 * An operator that can't be carried out for its content is ignored, and said to be: the command is
 * in the log already and nobody is left to hear an error.
 */
#include "profile/profile.h"

#include "base/calendar.h"
#include "profile/profile_internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { SCRATCH_BYTES_MAX = 64 << 20, LIST_BYTES_MAX = 64 << 20, SCALAR_TEXT_MAX = 64 };
static const size_t MEMORY_BYTES_DEFAULT = (size_t)8 << 30;

/* --- making and unmaking ------------------------------------------------------------- */

static struct profile_limits with_defaults(struct profile_limits limits)
{
    if (limits.list_items == 0)
        limits.list_items = LIST_ITEMS_DEFAULT;
    if (limits.list_items > LIST_ITEMS_MAX)
        limits.list_items = LIST_ITEMS_MAX;
    if (limits.string_bytes == 0)
        limits.string_bytes = STRING_BYTES_DEFAULT;
    if (limits.string_bytes > STRING_BYTES_MAX)
        limits.string_bytes = STRING_BYTES_MAX;
    if (limits.memory_bytes == 0)
        limits.memory_bytes = MEMORY_BYTES_DEFAULT;
    return limits;
}

struct err profiles_new(struct profile_limits limits, struct profiles **out)
{
    struct profiles *profiles = calloc(1, sizeof *profiles);
    if (!profiles)
        return err_new(ERR_NOMEM, "profile: new");
    profiles->limits = with_defaults(limits);
    profiles->now = 1;
    arena_init(&profiles->scratch, SCRATCH_BYTES_MAX);
    buf_init(&profiles->list, LIST_BYTES_MAX);
    *out = profiles;
    return ok();
}

void profiles_free(struct profiles *profiles)
{
    if (!profiles)
        return;
    assert(!profiles->newest); /* views go first */
    for (uint32_t i = 0; i < profiles->column_count; i++) {
        struct tree *tree = &profiles->columns[i].tree;
        struct tree_cursor cursor = { 0 };
        uint32_t leaf = 0;
        const struct leaf *it;
        while ((it = tree_next(tree->root, &cursor, &leaf)))
            leaf_done(profiles, it);
        tree_free(profiles, tree);
    }
    tree_free(profiles, &profiles->activity);
    texts_free(profiles);
    free(profiles->columns);
    free(profiles->column_of);
    arena_done(&profiles->scratch);
    buf_done(&profiles->list);
    free(profiles);
}

size_t profiles_memory_bytes(const struct profiles *profiles)
{
    return sizeof *profiles + profiles->bytes + profiles->column_cap * sizeof *profiles->columns +
           profiles->property_cap * sizeof *profiles->column_of;
}

/* --- cells ----------------------------------------------------------------------------- */

/* Views have copies of both arrays, so these can move. */
static bool columns_reserve(struct profiles *profiles, uint32_t property)
{
    if (profiles->column_count == profiles->column_cap) {
        uint32_t cap = profiles->column_cap ? profiles->column_cap * 2 : 16;
        struct column *columns = realloc(profiles->columns, cap * sizeof *columns);
        if (!columns)
            return false;
        profiles->columns = columns;
        profiles->column_cap = cap;
    }
    if (property >= profiles->property_cap) {
        uint32_t cap = profiles->property_cap ? profiles->property_cap : 64;
        while (cap <= property)
            cap *= 2;
        uint16_t *column_of = realloc(profiles->column_of, cap * sizeof *column_of);
        if (!column_of)
            return false;
        memset(column_of + profiles->property_cap, 0,
               (cap - profiles->property_cap) * sizeof *column_of);
        profiles->column_of = column_of;
        profiles->property_cap = cap;
    }
    return true;
}

struct err column_make(struct profiles *profiles, uint32_t property, struct column **out)
{
    *out = column_find(profiles, property);
    if (*out)
        return ok();
    if (property >= PROPERTIES_MAX || profiles->column_count == COLUMNS_MAX)
        return err_new(ERR_LIMIT, "profile: too many properties");
    if (!columns_reserve(profiles, property))
        return err_new(ERR_NOMEM, "profile: column");
    profiles->columns[profiles->column_count] = (struct column){ .property = property };
    profiles->column_of[property] = (uint16_t)++profiles->column_count;
    *out = &profiles->columns[profiles->column_count - 1];
    return ok();
}

struct err cell_edit(struct profiles *profiles, struct column *column, uint32_t user,
                     struct cell *out)
{
    struct node **link = tree_link(profiles, &column->tree, user / PROFILE_CHUNK);
    struct cell cell = { NULL, NULL, NULL };
    if (link)
        cell = leaf_edit(profiles, link, user % PROFILE_CHUNK);
    if (!cell.type)
        return err_new(ERR_NOMEM, "profile: chunk");
    *out = cell;
    return ok();
}

void cell_set(struct profiles *profiles, const struct cell *cell, enum value_type type,
              uint64_t value, uint64_t stamp)
{
    bool had_text = type_is_text(*cell->type);
    uint64_t old = *cell->value;
    profiles->held += (stamp != 0) * (uint64_t)CELL_BYTES;
    profiles->held -= (*cell->stamp != 0) * (uint64_t)CELL_BYTES;
    *cell->type = (uint8_t)type;
    *cell->value = value;
    *cell->stamp = stamp;
    if (had_text)
        text_drop(profiles, old);
}

/* --- operators ---------------------------------------------------------------------------- */

/* One operator on one cell. */
struct change {
    struct profiles *profiles;
    struct cell cell;
    uint64_t stamp;
    bool is_ignored;
};

static void ignore(struct change *change)
{
    change->is_ignored = true;
}

static void put(struct change *change, enum value_type type, uint64_t value)
{
    cell_set(change->profiles, &change->cell, type, value, change->stamp);
}

static bool is_item(const struct change *change, struct bytes text)
{
    return text.len > 0 && text.len <= change->profiles->limits.string_bytes;
}

static uint64_t real_bits(double real)
{
    uint64_t bits;
    if (real == 0)
        real = 0; /* without a sign, so that equal values have equal bits */
    memcpy(&bits, &real, sizeof bits);
    return bits;
}

static double bits_real(uint64_t bits)
{
    double real;
    memcpy(&real, &bits, sizeof real);
    return real;
}

static struct err put_list(struct change *change, const struct list *list)
{
    struct text *text = NULL;
    struct err err = list_put(change->profiles, list, &text);
    if (err.code)
        return err;
    put(change, text ? VALUE_LIST : VALUE_NULL, text ? text->number : 0);
    return ok();
}

/* A scalar as the text of a list's item, in `room`. */
static struct bytes scalar_text(const struct change *change, enum value_type type, uint64_t bits,
                                char room[SCALAR_TEXT_MAX])
{
    int len = 0;
    struct buf buf;
    switch (type) {
    case VALUE_BOOL:
        len = snprintf(room, SCALAR_TEXT_MAX, "%s", bits ? "true" : "false");
        break;
    case VALUE_INT:
        len = snprintf(room, SCALAR_TEXT_MAX, "%lld", (long long)bits);
        break;
    case VALUE_REAL: /* the shortest that reads back as the same */
        for (int digits = 15; digits <= 17; digits++) {
            len = snprintf(room, SCALAR_TEXT_MAX, "%.*g", digits, bits_real(bits));
            if (strtod(room, NULL) == bits_real(bits))
                break;
        }
        break;
    case VALUE_TIME:
        buf_init(&buf, SCALAR_TEXT_MAX);
        calendar_put_utc(&buf, (int64_t)bits);
        len = buf.len < SCALAR_TEXT_MAX ? (int)buf.len : 0;
        memcpy(room, buf.ptr, (size_t)len);
        buf_done(&buf);
        break;
    case VALUE_STRING: {
        const struct text *text = text_at(&change->profiles->texts, bits);
        return bytes_of(text->bytes, text->len);
    }
    case VALUE_NULL:
    case VALUE_LIST:
    case VALUE_TYPES:
        break;
    }
    return bytes_of(room, (size_t)len);
}

static void add_items(const struct change *change, struct list *list, const struct value *value)
{
    if (value->type == VALUE_STRING && is_item(change, value->string))
        profile_list_add(list, value->string);
    for (uint32_t i = 0; value->type == VALUE_LIST && i < value->count; i++)
        if (is_item(change, value->items[i]))
            profile_list_add(list, value->items[i]);
}

static struct err set_list(struct change *change, const struct value *value)
{
    struct list list;
    struct err err = list_start(change->profiles, &list);
    if (err.code)
        return err;
    add_items(change, &list, value);
    return put_list(change, &list);
}

static struct err set_string(struct change *change, struct bytes string)
{
    if (string.len > change->profiles->limits.string_bytes) {
        ignore(change);
        return ok();
    }
    struct text *text = text_put(change->profiles, string, false);
    if (!text)
        return err_new(ERR_NOMEM, "profile: text");
    put(change, VALUE_STRING, text->number);
    return ok();
}

static struct err set(struct change *change, const struct value *value)
{
    switch (value->type) {
    case VALUE_NULL:
        put(change, VALUE_NULL, 0);
        break;
    case VALUE_BOOL:
        put(change, VALUE_BOOL, value->boolean);
        break;
    case VALUE_INT:
    case VALUE_TIME:
        put(change, value->type, (uint64_t)value->integer);
        break;
    case VALUE_REAL:
        if (isfinite(value->real))
            put(change, VALUE_REAL, real_bits(value->real));
        else
            ignore(change);
        break;
    case VALUE_STRING:
        return set_string(change, value->string);
    case VALUE_LIST:
        return set_list(change, value);
    case VALUE_TYPES:
        ignore(change);
        break;
    }
    return ok();
}

/* The cell as a list: empty when there's no value, a scalar as its text. */
static struct err promoted(struct change *change, struct list *list, char room[SCALAR_TEXT_MAX])
{
    enum value_type type = (enum value_type) * change->cell.type;
    uint64_t bits = *change->cell.value;
    struct err err = list_start(change->profiles, list);
    if (err.code || type == VALUE_NULL)
        return err;
    if (type == VALUE_LIST) {
        const struct text *text = text_at(&change->profiles->texts, bits);
        (void)list_read(bytes_of(text->bytes, text->len), list);
        return ok();
    }
    struct bytes text = scalar_text(change, type, bits, room);
    if (text.len > 0)
        profile_list_add(list, text);
    return ok();
}

/* The operand of $add and $remove: strings as they are, other scalars as their text. */
static struct value operand(const struct change *change, const struct value *value,
                            char room[SCALAR_TEXT_MAX])
{
    switch (value->type) {
    case VALUE_BOOL:
        return value_string(scalar_text(change, VALUE_BOOL, value->boolean, room));
    case VALUE_INT:
    case VALUE_TIME:
        return value_string(scalar_text(change, value->type, (uint64_t)value->integer, room));
    case VALUE_REAL:
        return value_string(scalar_text(change, VALUE_REAL, real_bits(value->real), room));
    case VALUE_NULL:
    case VALUE_STRING:
    case VALUE_LIST:
    case VALUE_TYPES:
        break;
    }
    return *value;
}

static struct err add(struct change *change, const struct value *value)
{
    char old_room[SCALAR_TEXT_MAX];
    char new_room[SCALAR_TEXT_MAX];
    struct list list;
    struct err err = promoted(change, &list, old_room);
    if (err.code)
        return err;
    struct value items = operand(change, value, new_room);
    add_items(change, &list, &items);
    return put_list(change, &list);
}

static void remove_item(struct list *list, struct bytes item)
{
    for (uint32_t i = 0; i < list->count; i++) {
        if (!bytes_equal(list->items[i], item))
            continue;
        list->count--;
        memmove(list->items + i, list->items + i + 1, (list->count - i) * sizeof *list->items);
        return;
    }
}

static struct err remove_items(struct change *change, const struct value *value)
{
    char old_room[SCALAR_TEXT_MAX];
    char new_room[SCALAR_TEXT_MAX];
    struct list list;
    struct err err = promoted(change, &list, old_room);
    if (err.code)
        return err;
    struct value items = operand(change, value, new_room);
    if (items.type == VALUE_STRING)
        remove_item(&list, items.string);
    for (uint32_t i = 0; items.type == VALUE_LIST && i < items.count; i++)
        remove_item(&list, items.items[i]);
    return put_list(change, &list);
}

static void increase(struct change *change, const struct value *value)
{
    enum value_type type = (enum value_type) * change->cell.type;
    uint64_t bits = *change->cell.value;
    uint64_t stamp = *change->cell.stamp;
    bool has_number = type == VALUE_INT || type == VALUE_REAL;
    if ((type != VALUE_NULL && !has_number) ||
        (value->type != VALUE_INT && value->type != VALUE_REAL)) {
        ignore(change);
        return;
    }
    if (stamp == 0 || stamp & GATHERED)
        change->stamp |= GATHERED;
    if (type != VALUE_REAL && value->type == VALUE_INT) {
        int64_t sum = 0;
        if (__builtin_add_overflow(type == VALUE_INT ? (int64_t)bits : 0, value->integer, &sum))
            ignore(change);
        else
            put(change, VALUE_INT, (uint64_t)sum);
        return;
    }
    double sum = type == VALUE_REAL  ? bits_real(bits)
                 : type == VALUE_INT ? (double)(int64_t)bits
                                     : 0;
    sum += value->type == VALUE_REAL ? value->real : (double)value->integer;
    if (isfinite(sum))
        put(change, VALUE_REAL, real_bits(sum));
    else
        ignore(change);
}

static struct err carry_out(struct change *change, enum profile_op op, const struct value *value)
{
    switch (op) {
    case PROFILE_SET:
        return set(change, value);
    case PROFILE_ADD:
        return add(change, value);
    case PROFILE_REMOVE:
        return remove_items(change, value);
    case PROFILE_INCR:
        increase(change, value);
        return ok();
    case PROFILE_DELETE:
        put(change, VALUE_NULL, 0);
        return ok();
    }
    ignore(change);
    return ok();
}

/* Would the value go past the limit? What counts is what is held, not where memory and views
 * have it, so that the answer is the same on every run. */
static bool is_too_much(const struct profiles *profiles, enum profile_op op,
                        const struct value *value)
{
    uint64_t more = CELL_BYTES + TEXT_BYTES;
    if (op == PROFILE_DELETE || op == PROFILE_REMOVE)
        return false;
    if (value->type == VALUE_STRING)
        more += value->string.len;
    for (uint32_t i = 0; value->type == VALUE_LIST && i < value->count; i++)
        more += value->items[i].len;
    return profiles->held + more > profiles->limits.memory_bytes;
}

struct err profile_apply(struct profiles *profiles, uint32_t user, uint32_t property,
                         enum profile_op op, const struct value *value, bool *ignored_out)
{
    struct column *column = NULL;
    struct err err = column_make(profiles, property, &column);
    if (err.code)
        return err;
    struct change change = { .profiles = profiles, .stamp = profiles->writes + 1 };
    err = cell_edit(profiles, column, user, &change.cell);
    if (err.code)
        return err;
    if (is_too_much(profiles, op, value))
        ignore(&change);
    else
        err = carry_out(&change, op, value);
    if (err.code)
        return err;
    profiles->writes++;
    if (user >= profiles->users)
        profiles->users = user + 1;
    *ignored_out = change.is_ignored;
    return ok();
}

/* --- activity --------------------------------------------------------------------------------- */

struct err activity_edit(struct profiles *profiles, uint32_t user, struct activity **out)
{
    struct activity *leaf = tree_edit(profiles, &profiles->activity, user / ACTIVITY_LEAF,
                                      ACTIVITY_LEAF * sizeof *leaf);
    if (!leaf)
        return err_new(ERR_NOMEM, "profile: activity");
    *out = &leaf[user % ACTIVITY_LEAF];
    return ok();
}

void profile_warm(const struct profiles *profiles, uint32_t user)
{
    const struct activity *leaf = tree_leaf(profiles->activity.root, user / ACTIVITY_LEAF);
    if (!leaf)
        return;
    __builtin_prefetch((const uint8_t *)leaf - sizeof(struct node)); /* may it be changed? */
    __builtin_prefetch(&leaf[user % ACTIVITY_LEAF], 1);
}

struct err profile_saw(struct profiles *profiles, uint32_t user, int64_t time_ms, uint32_t events)
{
    struct activity *it = NULL;
    struct err err = activity_edit(profiles, user, &it);
    if (err.code)
        return err;
    bool is_first = it->events_seen == 0;
    if (is_first || time_ms < it->first_ms)
        it->first_ms = time_ms;
    if (is_first || time_ms > it->last_ms)
        it->last_ms = time_ms;
    it->events_seen = (it->events_seen | 1) + ((uint64_t)events << 1);
    if (user >= profiles->users)
        profiles->users = user + 1;
    return ok();
}

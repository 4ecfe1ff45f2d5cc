/*
 * select_ints.c - counting the values of a property whose values are whole numbers.
 *
 * `SELECT count() … GROUP BY p` needs no group per row where p holds integers that lie close
 * together, as product numbers do: a window of counts, one for each integer. A slice whose values
 * aren't all integers, or lie too far apart, is counted as any other; both may happen in one question,
 * and the groups are brought together by value.
 *
 * With ORDER BY count() DESC LIMIT n only values that may be among the first n become groups.
 */
#include "query/select_internal.h"

#include "base/bits.h"

#include <stdlib.h>
#include <string.h>

enum { WINDOW_MAX = 1 << 20, WINDOW_MIN = 1024, FIRST_MAX = 1024, SUM_MAX = 1 << 23 };

bool select_ints_suffice(const struct select_plan *plan)
{
    if (plan->kept || plan->key_count != 1 || plan->slot_count == 0)
        return false;
    if (plan->keys[0].kind != KEY_PROPERTY || plan->keys[0].property.is_item)
        return false;
    for (uint32_t s = 0; s < plan->slot_count; s++)
        if (plan->slots[s].filter || plan->slots[s].expr->measure != MEASURE_COUNT)
            return false;
    return true;
}

void select_ints_done(struct int_counts *ints)
{
    free(ints->counts);
    *ints = (struct int_counts){ 0 };
}

static bool has_value(const struct store_column *column, const struct selection *selection,
                      uint32_t event)
{
    return is_selected(selection, event) && (!column->present || bits_has(column->present, event));
}

/* False: no selected event has a value. */
static bool find_limits(const struct store_column *column, const struct selection *selection,
                        uint32_t events, int64_t *least_out, int64_t *most_out)
{
    int64_t least = INT64_MAX;
    int64_t most = INT64_MIN;
    bool is_plain = !column->present && !selection->bits;
    for (uint32_t i = 0; i < events; i++) {
        if (!is_plain && !has_value(column, selection, i))
            continue;
        int64_t value = column->integers[i];
        least = value < least ? value : least;
        most = value > most ? value : most;
    }
    *least_out = least;
    *most_out = most;
    return least <= most;
}

/* Makes the window hold both. *fits_out false: it would be too wide. */
static struct err widen(struct int_counts *ints, int64_t least, int64_t most, size_t limit_bytes,
                        bool *fits_out)
{
    *fits_out = true;
    if (ints->size > 0) {
        int64_t last = ints->first + (int64_t)(ints->size - 1);
        if (least >= ints->first && most <= last)
            return ok();
        least = least < ints->first ? least : ints->first;
        most = most > last ? most : last;
    }
    uint64_t span = (uint64_t)most - (uint64_t)least;
    if (span >= WINDOW_MAX || span * sizeof(uint64_t) > limit_bytes / 4) {
        *fits_out = false;
        return ok();
    }
    uint64_t size = span + 1 + span / 4; /* some room above, so that it's seldom made anew */
    if (size < WINDOW_MIN)
        size = WINDOW_MIN;
    if ((uint64_t)INT64_MAX - (uint64_t)least < size)
        size = span + 1;
    uint64_t *counts = calloc(size, sizeof *counts);
    if (!counts)
        return exec_no_memory();
    if (ints->size > 0) {
        uint64_t shift = (uint64_t)ints->first - (uint64_t)least;
        uint64_t kept = size - shift < ints->size ? size - shift : ints->size;
        memcpy(counts + shift, ints->counts, kept * sizeof *counts);
    }
    free(ints->counts);
    *ints = (struct int_counts){ .first = least, .size = size, .counts = counts };
    return ok();
}

static uint64_t add_values(struct int_counts *ints, const struct store_column *column,
                           const struct selection *selection, uint32_t events)
{
    uint64_t added = 0;
    if (!column->present && !selection->bits) {
        for (uint32_t i = 0; i < events; i++)
            ints->counts[(uint64_t)column->integers[i] - (uint64_t)ints->first]++;
        return events;
    }
    for (uint32_t i = 0; i < events; i++) {
        if (!has_value(column, selection, i))
            continue;
        ints->counts[(uint64_t)column->integers[i] - (uint64_t)ints->first]++;
        added++;
    }
    return added;
}

static struct err add_to_group(const struct select_plan *plan, struct select_part *part,
                               uint32_t number, uint64_t count)
{
    uint32_t group;
    struct err err = groups_put(&part->groups, &number, &group);
    for (uint32_t s = 0; s < plan->slot_count && !err.code; s++)
        err = tally_add_known(part->tallies[s], group, count);
    return err;
}

struct err select_add_ints(const struct select_plan *plan, struct exec_task *task,
                           struct select_part *part, struct exec_slice *slice,
                           const struct selection *selection, bool *did_out)
{
    const struct exec_key *key = &plan->keys[0];
    uint32_t types = exec_property_types(plan->exec, &key->property, slice->event);
    uint32_t events = slice->slice.events;
    struct exec_columns columns;
    int64_t least;
    int64_t most;
    uint64_t added = 0;

    *did_out = false;
    if (types & ~(1u << VALUE_INT))
        return ok();
    struct err err = exec_columns(task, slice, key->property.property, types, &columns);
    if (err.code)
        return err;
    const struct store_column *column = &columns.column[VALUE_INT];
    if (columns.types && find_limits(column, selection, events, &least, &most)) {
        bool fits;
        err = widen(&part->ints, least, most, task->memory_bytes, &fits);
        if (err.code || !fits)
            return err;
        added = add_values(&part->ints, column, selection, events);
    }
    *did_out = true;
    return added < selection->count ? add_to_group(plan, part, 0, selection->count - added) : ok();
}

/* --- bringing together --------------------------------------------------------------------------- */

static struct err add_int(const struct select_plan *plan, struct select_part *all, int64_t integer,
                          uint64_t count)
{
    struct value value = value_int(integer);
    uint32_t number;
    struct err err = values_put(all->groups.values, &value, &number);
    return err.code ? err : add_to_group(plan, all, number, count);
}

/* Of each task by itself. */
static struct err add_each(const struct select_plan *plan, struct select_part *all)
{
    for (uint32_t p = 0; p < plan->exec->shards; p++) {
        const struct int_counts *ints = &plan->parts[p]->ints;
        for (uint64_t i = 0; i < ints->size; i++) {
            if (ints->counts[i] == 0)
                continue;
            struct err err = add_int(plan, all, ints->first + (int64_t)i, ints->counts[i]);
            if (err.code)
                return err;
        }
    }
    return ok();
}

/* Is the answer the first n by their count? */
static bool wants_first(const struct select_plan *plan)
{
    const struct select *select = plan->select;
    if (!select->has_limit || select->has_other || select->limit > FIRST_MAX ||
        select->limit == 0 || select->order_count == 0 || select->order[0].item == 0 ||
        !select->order[0].is_descending)
        return false;
    if (select->items[select->order[0].item - 1].expr->kind != EXPR_MEASURE)
        return false;
    for (uint32_t p = 0; p < plan->exec->shards; p++)
        if (plan->parts[p]->has_rows)
            return false; /* a value may have been counted in both ways */
    return true;
}

/* The n-th largest count; what is below it can't be in the answer. */
static uint64_t least_wanted(const uint64_t *counts, uint64_t size, uint32_t n)
{
    uint64_t first[FIRST_MAX]; /* descending */
    uint32_t used = 0;
    for (uint64_t i = 0; i < size; i++) {
        if (counts[i] == 0 || (used == n && counts[i] <= first[n - 1]))
            continue;
        uint32_t at = used < n ? used++ : n - 1;
        for (; at > 0 && first[at - 1] < counts[i]; at--)
            first[at] = first[at - 1];
        first[at] = counts[i];
    }
    return used == n ? first[n - 1] : 1;
}

struct err select_merge_ints(const struct select_plan *plan, struct select_part *all)
{
    int64_t least = INT64_MAX;
    int64_t most = INT64_MIN;

    for (uint32_t p = 0; p < plan->exec->shards; p++) {
        const struct int_counts *ints = &plan->parts[p]->ints;
        if (ints->size == 0)
            continue;
        int64_t last = ints->first + (int64_t)(ints->size - 1);
        least = ints->first < least ? ints->first : least;
        most = last > most ? last : most;
    }
    if (least > most)
        return ok();
    uint64_t span = (uint64_t)most - (uint64_t)least;
    if (span >= SUM_MAX || span * sizeof(uint64_t) > plan->exec->memory_bytes / 16)
        return add_each(plan, all);
    uint64_t *sums = arena_calloc(plan->exec->arena, span + 1, sizeof *sums);
    if (!sums)
        return exec_no_memory();
    for (uint32_t p = 0; p < plan->exec->shards; p++) {
        const struct int_counts *ints = &plan->parts[p]->ints;
        uint64_t *to = sums + (ints->size ? (uint64_t)ints->first - (uint64_t)least : 0);
        for (uint64_t i = 0; i < ints->size; i++)
            to[i] += ints->counts[i];
    }
    uint64_t wanted =
        wants_first(plan) ? least_wanted(sums, span + 1, (uint32_t)plan->select->limit) : 1;
    for (uint64_t i = 0; i <= span; i++) {
        if (sums[i] < wanted)
            continue;
        struct err err = add_int(plan, all, (int64_t)((uint64_t)least + i), sums[i]);
        if (err.code)
            return err;
    }
    return ok();
}

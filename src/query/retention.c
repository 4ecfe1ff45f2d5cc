/*
 * retention.c - RETENTION: of those who started in a unit of time, how many came back later.
 *
 * A user is in the cohort of the unit (hour, day, week, month of the question's zone) in which they
 * did the start: with FIRST the first of all time, when it is in the span; else each unit of the
 * span in which they did it. The first start of the unit is the one that made the cohort.
 *
 * A return's period is counted from there: in units of the calendar, from the cohort's unit on (any
 * other time of the same unit is period 0, be it earlier than the start), or ROLLING, in spans of
 * 1, 24, 7 * 24 or 30 * 24 hours from the start itself. Returns may lie after the span's end. The
 * start that made the cohort is no return to it, unless COUNT BIRTH.
 *
 * A cell counts the cohort's users who
 *     ON              returned in period k
 *     ON OR AFTER     in k or any later one
 *     ON OR BEFORE    in any one up to k
 *     STREAK          in each one from the first column on up to k
 * With BRACKETS a column is several periods, named by its first, and "in" means in any of them.
 * SUM(p) adds up p over the returns that the cell is about; of a streak, over those in period k of
 * the users who hold it.
 *
 * Rows: groups of the breakdown (the values at the start) in the order of values; in each the
 * cohorts that have users, by time, k ascending; at the end those with no cohort, which divide sums
 * over the cohorts that have completed k. A cell is complete when the period has ended for all.
 */
#include "query/retention_internal.h"

#include "base/bits.h"

#include <stdlib.h>
#include <string.h>

enum { SLOTS_MAX = 250000, COLUMNS = 6 };

/* --- the plan: times ---------------------------------------------------------------------------- */

/* The starts' range, cut to the months in which there are any. */
static struct err find_months(struct exec *exec, const struct retention_plan *plan,
                              struct exec_range *out)
{
    struct exec_range asked = plan->starts;
    int32_t first = INT32_MAX;
    int32_t last = INT32_MIN;
    for (uint32_t i = 0; i < plan->start.event_count * exec->shards; i++) {
        const int32_t *months = NULL;
        uint32_t count = 0;
        uint32_t event = plan->start.events[i / exec->shards];
        struct err err = exec->ops->months(exec->snapshot, i % exec->shards, event, asked.from_ms,
                                           asked.to_ms, exec->arena, &months, &count);
        if (err.code)
            return err;
        if (count == 0)
            continue;
        first = months[0] < first ? months[0] : first;
        last = months[count - 1] > last ? months[count - 1] : last;
    }
    *out = (struct exec_range){ asked.from_ms, asked.from_ms };
    if (first > last)
        return ok();
    int64_t from_ms = civil_month_start_ms(first);
    int64_t to_ms = civil_month_start_ms(last + 1);
    out->from_ms = from_ms > asked.from_ms ? from_ms : asked.from_ms;
    out->to_ms = to_ms < asked.to_ms ? to_ms : asked.to_ms;
    return ok();
}

static struct err too_many(struct exec *exec)
{
    return exec_wrong(exec, &exec->query->span.at,
                      "there are more than %d %ss in the span: ask for a shorter one", SLOTS_MAX,
                      tree_unit_name(exec->query->retention.unit));
}

static struct err bound_cohorts(struct exec *exec, struct retention_plan *plan, int64_t **bounds,
                                size_t *count)
{
    struct exec_range range;
    enum calendar_unit unit = plan->tree->unit;
    enum weekday week_start = exec->source->week_start;
    struct err err = find_months(exec, plan, &range);
    if (err.code)
        return err;
    if (range.from_ms >= range.to_ms)
        range.to_ms = range.from_ms;
    err = zone_buckets(exec->zone, unit, week_start, range.from_ms, range.to_ms, SLOTS_MAX, bounds,
                       count);
    if (err.code == ERR_LIMIT)
        return too_many(exec);
    if (err.code)
        return err;
    plan->cohorts = (uint32_t)(*count - 1);
    if (plan->cohorts == 0)
        return ok();

    /* A unit that the zone skipped is none: so one more than asked. */
    int64_t from_ms = (*bounds)[0] > TIME_MS_MIN ? (*bounds)[0] : TIME_MS_MIN;
    int64_t to_ms =
        zone_add_ms(exec->zone, unit, (*bounds)[plan->cohorts], (int32_t)plan->tree->periods + 1);
    to_ms = to_ms < TIME_MS_MAX ? to_ms : TIME_MS_MAX + 1;
    free(*bounds);
    *bounds = NULL;
    err = zone_buckets(exec->zone, unit, week_start, from_ms, to_ms, SLOTS_MAX, bounds, count);
    return err.code == ERR_LIMIT ? too_many(exec) : err;
}

static struct err plan_slots(struct exec *exec, struct retention_plan *plan)
{
    int64_t *found = NULL;
    size_t count = 0;
    struct err err = bound_cohorts(exec, plan, &found, &count);
    if (err.code) {
        free(found);
        return err;
    }
    plan->slots = plan->cohorts + plan->tree->periods + 1;
    int64_t *bounds = arena_alloc(exec->arena, plan->slots * sizeof *bounds);
    for (uint32_t slot = 0; slot < plan->slots && bounds; slot++)
        bounds[slot] = slot + 1 < plan->slots && slot < count ? found[slot] : INT64_MAX;
    free(found);
    plan->bounds = bounds;
    return bounds ? ok() : exec_no_memory();
}

static void plan_reads(struct exec *exec, struct retention_plan *plan)
{
    struct exec_range reads = { plan->tree->is_first ? TIME_MS_MIN : plan->bounds[0],
                                plan->starts.to_ms };
    int64_t end_ms = plan->bounds[plan->slots - 2];
    if (plan->tree->mode == RETENTION_ON_OR_AFTER)
        end_ms = TIME_MS_MAX + 1;
    else if (plan->rolling_ms > 0)
        end_ms = plan->bounds[plan->cohorts] + plan->tree->periods * plan->rolling_ms;
    if (end_ms > reads.to_ms)
        reads.to_ms = end_ms < TIME_MS_MAX ? end_ms : TIME_MS_MAX + 1;
    plan->reads = exec_clip(exec, reads);
}

uint32_t retention_slot(const struct retention_plan *plan, int64_t time_ms)
{
    uint32_t low = 0;
    uint32_t high = plan->slots - 1;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (time_ms < plan->bounds[middle])
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

/* --- the plan: columns --------------------------------------------------------------------------- */

static struct err plan_columns(struct exec *exec, struct retention_plan *plan)
{
    const struct retention *tree = plan->tree;
    bool are_brackets = tree->bracket_count > 0;
    plan->columns = are_brackets ? tree->bracket_count : tree->periods;
    uint32_t *first = arena_alloc(exec->arena, ((size_t)plan->columns + 1) * sizeof *first);
    uint32_t *lane = arena_calloc(exec->arena, tree->periods, sizeof *lane);
    if (!first || !lane)
        return exec_no_memory();
    for (uint32_t column = 0; column < plan->columns; column++) {
        first[column] = are_brackets ? tree->brackets[column] : column;
        if (first[column] >= tree->periods)
            return exec_wrong(exec, &tree->start.at,
                              "a bracket begins at %u, but there are only periods 0 to %u",
                              first[column], tree->periods - 1);
    }
    first[plan->columns] = tree->periods;
    for (uint32_t column = 0; column < plan->columns; column++) {
        for (uint32_t k = first[column]; k < first[column + 1]; k++)
            lane[k] = column + 1;
    }
    plan->first = first;
    plan->lane = lane;
    return ok();
}

static struct err plan_sum(struct exec *exec, struct retention_plan *plan)
{
    const struct name *name = &plan->tree->sum;
    if (name->text.len == 0)
        return ok();
    struct err err = exec_property(exec, name->text, &name->at, &plan->sum);
    if (!err.code && plan->sum.is_item)
        return exec_wrong(exec, &name->at, "a property of items can't be summed here");
    return err;
}

static int64_t rolling_ms(const struct retention *tree)
{
    if (!tree->is_rolling)
        return 0;
    switch (tree->unit) {
    case UNIT_HOUR:
        return MS_PER_HOUR;
    case UNIT_WEEK:
        return 7 * MS_PER_DAY;
    case UNIT_MONTH:
        return 30 * MS_PER_DAY;
    default:
        return MS_PER_DAY;
    }
}

static struct err plan_retention(struct exec *exec, struct retention_plan *plan)
{
    const struct retention *tree = plan->tree;
    struct exec_key *keys = NULL;
    struct err err = exec_step(exec, &tree->start, &plan->start);
    if (!err.code)
        err = exec_step(exec, &tree->back, &plan->back);
    if (!err.code)
        err = exec_keys(exec, tree->keys, tree->key_count, &keys);
    if (!err.code)
        err = plan_sum(exec, plan);
    if (!err.code)
        err = exec_resolve_span(exec, &exec->query->span, &plan->starts);
    if (err.code)
        return err;
    plan->keys = keys;
    plan->starts = exec_clip(exec, plan->starts);
    plan->rolling_ms = rolling_ms(tree);
    err = plan_columns(exec, plan);
    if (!err.code)
        err = plan_slots(exec, plan);
    if (!err.code)
        plan_reads(exec, plan);
    return err;
}

/* --- tallies ---------------------------------------------------------------------------------------- */

struct err retention_tally_init(struct retention_tally *tally, const struct retention_plan *plan,
                                struct arena *arena, size_t memory_bytes)
{
    *tally = (struct retention_tally){ .plan = plan, .arena = arena };
    if (plan->tree->key_count == 0) {
        tally->row_of = arena_calloc(arena, plan->slots, sizeof *tally->row_of);
        return tally->row_of ? ok() : exec_no_memory();
    }
    struct err err = values_new(arena, memory_bytes, &tally->values);
    if (!err.code)
        err = intern_new(memory_bytes, &tally->groups);
    if (!err.code)
        err = map64_new(memory_bytes, &tally->found);
    return err;
}

void retention_tally_done(struct retention_tally *tally)
{
    values_free(tally->values);
    intern_free(tally->groups);
    map64_free(tally->found);
    *tally = (struct retention_tally){ .plan = NULL };
}

static bool has_room(struct retention_tally *tally)
{
    if (tally->count < tally->cap)
        return true;
    uint32_t cap = tally->cap ? tally->cap * 2 : 64;
    struct retention_row *rows = arena_alloc(tally->arena, cap * sizeof *rows);
    if (!rows)
        return false;
    if (tally->count > 0)
        memcpy(rows, tally->rows, tally->count * sizeof *rows);
    tally->rows = rows;
    tally->cap = cap;
    return true;
}

static struct err add_row(struct retention_tally *tally, uint32_t group, uint32_t slot)
{
    size_t lanes = (size_t)tally->plan->columns + 2;
    struct retention_row row = { .group = group, .slot = slot };
    bool sums = tally->plan->tree->sum.text.len > 0;
    row.users = arena_calloc(tally->arena, lanes, sizeof *row.users);
    if (sums) {
        row.sums = arena_calloc(tally->arena, lanes, sizeof *row.sums);
        row.numbers = arena_calloc(tally->arena, lanes, sizeof *row.numbers);
    }
    if (!row.users || (sums && (!row.sums || !row.numbers)) || !has_room(tally))
        return exec_no_memory();
    tally->rows[tally->count++] = row;
    return ok();
}

struct err retention_row(struct retention_tally *tally, uint32_t group, uint32_t slot,
                         struct retention_row **out)
{
    uint64_t *found = NULL;
    if (tally->found)
        found = map64_put(tally->found, (uint64_t)group << 32 | slot, NULL);
    uint64_t number = tally->found ? (found ? *found : 0) : tally->row_of[slot];
    if (tally->found && !found)
        return exec_no_memory();
    if (number == 0) {
        struct err err = add_row(tally, group, slot);
        if (err.code)
            return err;
        number = tally->count;
        if (found)
            *found = number;
        else
            tally->row_of[slot] = (uint32_t)number;
    }
    *out = &tally->rows[number - 1];
    return ok();
}

struct err retention_keys_read(struct exec_task *task, struct retention_tally *tally,
                               struct exec_slice *slice, const struct selection *selection,
                               struct retention_keys *out)
{
    const struct retention_plan *plan = tally->plan;
    struct err err = ok();
    for (uint32_t k = 0; k < plan->tree->key_count && !err.code; k++)
        err = exec_key_numbers(task, tally->values, slice, &plan->keys[k], selection,
                               &out->columns[k]);
    return err;
}

struct err retention_group(struct retention_tally *tally, const struct retention_keys *keys,
                           uint32_t event, uint32_t *group_out)
{
    uint32_t row[TREE_KEYS_MAX];
    uint32_t count = tally->plan->tree->key_count;
    *group_out = 0;
    if (count == 0)
        return ok();
    for (uint32_t k = 0; k < count; k++)
        row[k] = keys->columns[k][event];
    return intern_put(tally->groups, bytes_of(row, count * sizeof *row), group_out, NULL);
}

bool retention_has_type(const struct exec_step *step, uint32_t event)
{
    for (uint32_t i = 0; i < step->event_count; i++) {
        if (step->events[i] == event)
            return true;
    }
    return false;
}

struct err retention_months(struct exec_task *task, struct arena *work, uint32_t event,
                            struct exec_range range, const int32_t **months_out,
                            uint32_t *count_out)
{
    const int32_t *months = NULL;
    uint32_t count = 0;
    arena_reset(task->scratch);
    struct err err = exec_months(task, event, range, &months, &count);
    if (err.code)
        return err;
    int32_t *kept = arena_alloc(work, count * sizeof *kept);
    if (!kept)
        return exec_no_memory();
    if (count > 0)
        memcpy(kept, months, count * sizeof *kept);
    *months_out = kept;
    *count_out = count;
    return ok();
}

/* --- tasks ------------------------------------------------------------------------------------------- */

struct retention_run {
    struct retention_plan plan;
    bool is_general;
    struct retention_tally *tallies; /* per shard */
};

static struct err run_task(struct exec_task *task, void *ctx)
{
    struct retention_run *run = ctx;
    struct retention_tally *tally = &run->tallies[task->shard];
    if (task->rows == 0 || run->plan.cohorts == 0)
        return ok();
    struct err err = retention_tally_init(tally, &run->plan, task->keep, task->memory_bytes);
    if (err.code)
        return err;
    struct arena work;
    arena_init(&work, task->scratch->limit_bytes / 2);
    if (!run->is_general && retention_is_plain(task, &run->plan, &work))
        err = retention_run_plain(task, tally, &work);
    else
        err = retention_run_general(task, tally, &work);
    arena_done(&work);
    return err;
}

static struct err join_group(struct retention_tally *whole, const struct retention_tally *part,
                             uint32_t group, uint32_t *out)
{
    uint32_t numbers[TREE_KEYS_MAX];
    uint32_t keys = whole->plan->tree->key_count;
    *out = 0;
    if (keys == 0)
        return ok();
    memcpy(numbers, intern_get(part->groups, group).ptr, keys * sizeof *numbers);
    for (uint32_t k = 0; k < keys; k++) {
        struct value value = values_get(part->values, numbers[k]);
        struct err err = values_put(whole->values, &value, &numbers[k]);
        if (err.code)
            return err;
    }
    return intern_put(whole->groups, bytes_of(numbers, keys * sizeof *numbers), out, NULL);
}

static struct err join(struct retention_tally *whole, const struct retention_tally *part)
{
    for (uint32_t i = 0; i < part->count; i++) {
        const struct retention_row *from = &part->rows[i];
        struct retention_row *to = NULL;
        uint32_t group;
        struct err err = join_group(whole, part, from->group, &group);
        if (!err.code)
            err = retention_row(whole, group, from->slot, &to);
        if (err.code)
            return err;
        to->size += from->size;
        for (uint32_t lane = 0; lane < whole->plan->columns + 2; lane++) {
            to->users[lane] += from->users[lane];
            if (!from->sums)
                continue;
            to->sums[lane] += from->sums[lane];
            to->numbers[lane] += from->numbers[lane];
        }
    }
    return ok();
}

/* --- from lanes to columns ------------------------------------------------------------------------------ */

/* lanes[column + 1] becomes what the column shows. */
static void add_up(const struct retention_plan *plan, struct retention_row *row)
{
    enum retention_mode mode = plan->tree->mode;
    if (mode == RETENTION_ON_OR_BEFORE) {
        for (uint32_t lane = 1; lane <= plan->columns; lane++) {
            row->users[lane] += row->users[lane - 1];
            if (row->sums) {
                row->sums[lane] += row->sums[lane - 1];
                row->numbers[lane] += row->numbers[lane - 1];
            }
        }
    }
    if (mode != RETENTION_ON_OR_AFTER && mode != RETENTION_STREAK)
        return;
    for (uint32_t lane = plan->columns; lane > 0; lane--) {
        row->users[lane] += row->users[lane + 1];
        if (row->sums && mode == RETENTION_ON_OR_AFTER) {
            row->sums[lane] += row->sums[lane + 1];
            row->numbers[lane] += row->numbers[lane + 1];
        }
    }
}

static bool is_complete(const struct exec *exec, const struct retention_plan *plan, uint32_t slot,
                        uint32_t column)
{
    uint32_t periods = plan->first[column + 1];
    int64_t end_ms = plan->rolling_ms > 0 ? plan->bounds[slot] + periods * plan->rolling_ms
                                          : plan->bounds[slot + periods - 1];
    return end_ms <= exec->now_ms;
}

/* --- the order of rows ---------------------------------------------------------------------------------- */

struct ranked {
    struct value value;
    uint32_t number;
};

static int by_value(const void *a, const void *b)
{
    return value_order(&((const struct ranked *)a)->value, &((const struct ranked *)b)->value);
}

/* Of each number of the values its place among them. */
static struct err rank_values(struct exec *exec, const struct values *values, uint32_t **out)
{
    uint32_t count = values_count(values);
    struct ranked *ranked = arena_alloc(exec->arena, count * sizeof *ranked);
    uint32_t *ranks = arena_calloc(exec->arena, count, sizeof *ranks);
    if (!ranked || !ranks)
        return exec_no_memory();
    for (uint32_t i = 0; i < count; i++)
        ranked[i] = (struct ranked){ values_get(values, i), i };
    qsort(ranked, count, sizeof *ranked, by_value);
    for (uint32_t i = 0; i < count; i++)
        ranks[ranked[i].number] = i;
    *out = ranks;
    return ok();
}

struct placed {
    const struct retention_row *row;
    uint32_t keys;
    uint32_t ranks[TREE_KEYS_MAX];
};

static int by_place(const void *a, const void *b)
{
    const struct placed *x = a;
    const struct placed *y = b;
    for (uint32_t k = 0; k < x->keys; k++) {
        if (x->ranks[k] != y->ranks[k])
            return x->ranks[k] < y->ranks[k] ? -1 : 1;
    }
    return (x->row->slot > y->row->slot) - (x->row->slot < y->row->slot);
}

static struct err place_rows(struct exec *exec, const struct retention_tally *whole,
                             struct placed **out)
{
    uint32_t keys = whole->plan->tree->key_count;
    uint32_t *ranks = NULL;
    struct placed *placed = arena_alloc(exec->arena, whole->count * sizeof *placed);
    if (!placed)
        return exec_no_memory();
    if (keys > 0) {
        struct err err = rank_values(exec, whole->values, &ranks);
        if (err.code)
            return err;
    }
    for (uint32_t i = 0; i < whole->count; i++) {
        uint32_t numbers[TREE_KEYS_MAX];
        placed[i] = (struct placed){ .row = &whole->rows[i], .keys = keys };
        if (keys > 0)
            memcpy(numbers, intern_get(whole->groups, whole->rows[i].group).ptr,
                   keys * sizeof *numbers);
        for (uint32_t k = 0; k < keys; k++)
            placed[i].ranks[k] = ranks[numbers[k]];
    }
    qsort(placed, whole->count, sizeof *placed, by_place);
    *out = placed;
    return ok();
}

/* --- the table -------------------------------------------------------------------------------------------- */

struct cell {
    uint64_t size;
    uint64_t users;
    double sum;
    uint64_t numbers;
    bool is_complete;
};

/* What all cells of a cohort begin with: the breakdown's values and the cohort's name. */
static struct err put_names(struct exec *exec, const struct retention_tally *whole, uint32_t group,
                            uint32_t slot, struct table *table, struct table_cell *names)
{
    const struct retention_plan *plan = whole->plan;
    uint32_t keys = plan->tree->key_count;
    uint32_t numbers[TREE_KEYS_MAX];
    struct err err = ok();
    if (keys > 0)
        memcpy(numbers, intern_get(whole->groups, group).ptr, keys * sizeof *numbers);
    for (uint32_t k = 0; k < keys && !err.code; k++) {
        struct value value = values_get(whole->values, numbers[k]);
        err = cell_key(exec, table, &plan->keys[k], &value, &names[k]);
    }
    names[keys] = (struct table_cell){ .kind = CELL_NULL };
    if (err.code || slot == 0)
        return err;
    struct exec_key key = { .kind = KEY_TIME, .unit = plan->tree->unit };
    struct value start = value_time(plan->bounds[slot - 1]);
    return cell_key(exec, table, &key, &start, &names[keys]);
}

static struct err put_cell(const struct retention_plan *plan, const struct table_cell *names,
                           uint32_t column, const struct cell *cell, struct table *table)
{
    uint32_t keys = plan->tree->key_count;
    struct table_cell *cells = NULL;
    struct err err = exec_table_row(table, &cells);
    if (err.code)
        return err;
    memcpy(cells, names, (keys + 1) * sizeof *cells);
    cells[keys + 1] = cell_int((int64_t)cell->size);
    cells[keys + 2] = cell_int(plan->first[column]);
    cells[keys + 3] = cell_int((int64_t)cell->users);
    if (cell->size > 0)
        cells[keys + 4] = cell_real((double)cell->users / (double)cell->size);
    cells[keys + 5] = (struct table_cell){ .kind = CELL_BOOL, .boolean = cell->is_complete };
    if (cell->numbers > 0)
        cells[keys + 6] = cell_real(cell->sum);
    return ok();
}

/* Adds the cohorts' complete cells to `overall`. */
static struct err put_cohort(struct exec *exec, const struct retention_tally *whole,
                             const struct retention_row *row, struct cell *overall,
                             struct table *table)
{
    const struct retention_plan *plan = whole->plan;
    struct table_cell names[TREE_KEYS_MAX + 1];
    struct err err = put_names(exec, whole, row->group, row->slot, table, names);
    for (uint32_t column = 0; column < plan->columns && !err.code; column++) {
        struct cell cell = {
            .size = row->size,
            .users = row->users[column + 1],
            .sum = row->sums ? row->sums[column + 1] : 0,
            .numbers = row->sums ? row->numbers[column + 1] : 0,
            .is_complete = is_complete(exec, plan, row->slot, column),
        };
        err = put_cell(plan, names, column, &cell, table);
        if (!cell.is_complete) {
            exec->is_open = true;
            continue;
        }
        overall[column].size += cell.size;
        overall[column].users += cell.users;
        overall[column].sum += cell.sum;
        overall[column].numbers += cell.numbers;
        overall[column].is_complete = true;
    }
    return err;
}

/* One group: its cohorts, then all of them together. */
static struct err put_group(struct exec *exec, const struct retention_tally *whole, uint32_t group,
                            const struct placed *placed, uint32_t count, struct table *table)
{
    uint32_t columns = whole->plan->columns;
    struct table_cell names[TREE_KEYS_MAX + 1];
    struct cell *overall = arena_calloc(exec->arena, columns, sizeof *overall);
    struct err err = overall ? ok() : exec_no_memory();
    for (uint32_t i = 0; i < count && !err.code; i++)
        err = put_cohort(exec, whole, placed[i].row, overall, table);
    if (!err.code)
        err = put_names(exec, whole, group, 0, table, names);
    for (uint32_t column = 0; column < columns && !err.code; column++)
        err = put_cell(whole->plan, names, column, &overall[column], table);
    return err;
}

static struct err put_columns(struct exec *exec, const struct retention_plan *plan,
                              struct table *table)
{
    const struct {
        const char *name;
        enum table_type type;
    } columns[COLUMNS + 1] = {
        { "cohort", plan->tree->unit == UNIT_HOUR ? TABLE_TIME : TABLE_DATE },
        { "size", TABLE_INT },
        { "k", TABLE_INT },
        { "users", TABLE_INT },
        { "rate", TABLE_REAL },
        { "complete", TABLE_BOOL },
        { "sum", TABLE_REAL },
    };
    uint32_t keys = plan->tree->key_count;
    uint32_t count = COLUMNS + (plan->tree->sum.text.len > 0);
    struct err err = exec_table_init(exec, table, "retention", keys + count);
    for (uint32_t k = 0; k < keys && !err.code; k++)
        err =
            exec_table_column(table, k, plan->keys[k].column, exec_key_type(exec, &plan->keys[k]));
    for (uint32_t c = 0; c < count && !err.code; c++)
        err = exec_table_column(table, keys + c, bytes_from(columns[c].name), columns[c].type);
    return err;
}

static struct err put_table(struct exec *exec, const struct retention_tally *whole,
                            struct table *table)
{
    struct placed *placed = NULL;
    struct err err = put_columns(exec, whole->plan, table);
    for (uint32_t i = 0; i < whole->count; i++)
        add_up(whole->plan, &whole->rows[i]);
    if (!err.code)
        err = place_rows(exec, whole, &placed);
    if (!err.code && whole->count == 0 && whole->plan->tree->key_count == 0)
        return put_group(exec, whole, 0, NULL, 0, table);
    for (uint32_t i = 0, end; i < whole->count && !err.code; i = end) {
        uint32_t group = placed[i].row->group;
        for (end = i + 1; end < whole->count && placed[end].row->group == group;)
            end++;
        err = put_group(exec, whole, group, placed + i, end - i, table);
    }
    return err;
}

static struct err answer(struct exec *exec, const struct retention_run *run, struct table *table)
{
    struct retention_tally whole;
    struct err err = retention_tally_init(&whole, &run->plan, exec->arena, exec->memory_bytes);
    for (uint32_t shard = 0; shard < exec->shards && !err.code; shard++)
        err = join(&whole, &run->tallies[shard]);
    if (!err.code)
        err = put_table(exec, &whole, table);
    retention_tally_done(&whole);
    return err;
}

struct err run_retention_by(struct exec *exec, bool is_general, struct table *table)
{
    struct retention_run run = { .plan = { .tree = &exec->query->retention },
                                 .is_general = is_general };
    struct err err = plan_retention(exec, &run.plan);
    if (err.code)
        return err;
    run.tallies = arena_calloc(exec->arena, exec->shards, sizeof *run.tallies);
    if (!run.tallies)
        return exec_no_memory();
    err = exec_run_shards(exec, run_task, &run);
    if (!err.code)
        err = answer(exec, &run, table);
    for (uint32_t shard = 0; shard < exec->shards; shard++)
        retention_tally_done(&run.tallies[shard]);
    return err;
}

struct err run_retention(struct exec *exec, struct table *table)
{
    return run_retention_by(exec, false, table);
}

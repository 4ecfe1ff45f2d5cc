/*
 * select.c - SELECT: measures of groups of events.
 *
 * Each task goes over the event types that the filter lets through, month by month. A slice's rows
 * are the selected events; keys give each row its group; each slot (measure) adds the rows. Where
 * all keys are the same for the whole slice (none, or only the event type), rows aren't touched one
 * by one: counts are those of the bitmap, users those of the runs. Where they are days or longer and
 * headers have the counts, not even runs are read (select_days.c).
 *
 * Items. With a key on items (Items.Category) a row is an item of a selected event (or the event
 * itself, when it has none); measures of the event count it once in each group that its items are
 * in. Measures of items are over the items of the rows.
 *
 * LIMIT … WITH OTHER asks twice: first which series are the largest, then with all others as one.
 */
#include "query/select_internal.h"

#include "base/bits.h"

#include <math.h>
#include <stdlib.h>

/* --- planning ----------------------------------------------------------------------------- */

static struct err check_number(struct exec *exec, const struct slot *slot)
{
    uint32_t numbers = 1u << VALUE_INT | 1u << VALUE_REAL;
    enum measure measure = slot->expr->measure;
    struct bytes name = slot->expr->property.text;
    int shown = (int)(name.len < 100 ? name.len : 100);

    if (measure == MEASURE_MIN || measure == MEASURE_MAX)
        numbers |= 1u << VALUE_TIME;
    if (measure == MEASURE_DISTINCT || slot->property.types == 0)
        return ok();
    if (!(slot->property.types & numbers))
        return exec_wrong(exec, &slot->expr->property.at, "\"%.*s\" holds no numbers", shown,
                          (const char *)name.ptr);
    if (slot->property.types & ~numbers)
        exec_warn(exec, "values of \"%.*s\" that are no numbers are left out of %s()", shown,
                  (const char *)name.ptr, tree_measure_name(measure));
    return ok();
}

static struct err add_slots(struct select_plan *plan, const struct expr *expr)
{
    if (!expr || expr->kind == EXPR_NUMBER)
        return ok();
    if (expr->kind != EXPR_MEASURE) {
        struct err err = add_slots(plan, expr->left);
        return err.code ? err : add_slots(plan, expr->right);
    }
    if (plan->slot_count == SLOTS_MAX)
        return exec_wrong(plan->exec, &expr->at, "there are more than %d measures", SLOTS_MAX);
    struct slot *slot = &plan->slots[plan->slot_count++];
    struct filter *filter;
    slot->expr = expr;
    struct err err = exec_filter(plan->exec, expr->where, &filter);
    slot->filter = filter;
    if (!err.code && expr->measure >= MEASURE_SUM) {
        err = exec_property(plan->exec, expr->property.text, &expr->property.at, &slot->property);
        if (!err.code)
            err = check_number(plan->exec, slot);
    }
    return err;
}

static struct err make_plan(struct select_plan *plan, struct exec *exec)
{
    const struct select *select = &exec->query->select;
    struct filter *filter;

    *plan = (struct select_plan){ .exec = exec, .select = select, .key_count = select->key_count };
    struct err err = exec_keys(exec, select->keys, select->key_count, &plan->keys);
    if (!err.code)
        err = exec_filter(exec, select->where, &filter);
    if (!err.code)
        err = exec_filter_events(exec, filter, &plan->step);
    if (!err.code)
        err = exec_resolve_span(exec, &exec->query->span, &plan->range);
    if (err.code)
        return err;
    plan->slots = arena_calloc(exec->arena, SLOTS_MAX, sizeof *plan->slots);
    plan->parts = arena_calloc(exec->arena, exec->shards, sizeof *plan->parts);
    if (!plan->slots || !plan->parts)
        return exec_no_memory();
    for (uint32_t i = 0; i < select->item_count && !err.code; i++)
        err = add_slots(plan, select->items[i].expr);
    for (uint32_t i = 0; i < plan->key_count; i++) {
        plan->has_item_keys |= plan->keys[i].property.is_item;
        exec->is_open |= plan->keys[i].kind == KEY_TIME && plan->range.to_ms > exec->now_ms;
    }
    return err;
}

/* --- rows of a slice -------------------------------------------------------------------------- */

struct scan {
    struct select_plan *plan;
    struct exec_task *task;
    struct select_part *part;
    struct exec_range range; /* the plan's, or what headers left of it */
    struct exec_slice slice;
    struct selection selection;
    struct exec_slice items; /* opened when asked for */
    bool has_items;
    const uint32_t *parent; /* by item: its event in the slice, or UINT32_MAX */
    struct rows rows;       /* of events */
    struct rows item_rows;  /* of items */
};

/* The items of the slice's events, each with its parent. */
static struct err open_items(struct scan *scan)
{
    struct exec *exec = scan->plan->exec;
    struct exec_slice *items = &scan->items;
    const struct store_slice *parents = &scan->slice.slice;
    uint32_t child = catalog_event_items(exec->catalog, scan->slice.event);

    if (scan->has_items)
        return ok();
    scan->has_items = true;
    *items = (struct exec_slice){ .event = child };
    if (child == CATALOG_NONE)
        return ok();
    struct err err = exec_slice_open(scan->task, child, scan->slice.month, items);
    if (err.code || items->slice.events == 0)
        return err;
    err = exec_slice_seqs(scan->task, items);
    if (!err.code)
        err = exec_slice_seqs(scan->task, &scan->slice);
    if (err.code)
        return err;
    uint32_t *parent = arena_alloc(scan->task->scratch, items->slice.events * sizeof *parent);
    if (!parent)
        return exec_no_memory();
    uint32_t p = 0;
    for (uint32_t u = 0; u < items->slice.users; u++) {
        while (p < parents->users && parents->row[p] < items->slice.row[u])
            p++;
        bool is_same = p < parents->users && parents->row[p] == items->slice.row[u];
        uint32_t at = is_same ? parents->start[p] : 0;
        uint32_t end = is_same ? parents->start[p + 1] : 0;
        for (uint32_t i = items->slice.start[u]; i < items->slice.start[u + 1]; i++) {
            while (at < end && parents->seq[at] != items->slice.seq[i])
                at++;
            parent[i] = at < end ? at : UINT32_MAX;
        }
    }
    scan->parent = parent;
    return ok();
}

/* A row for each item of a selected event, and for each selected event without items. */
static struct err item_entries(struct scan *scan, uint32_t **event_out, uint32_t **item_out,
                               uint32_t *count_out)
{
    const struct exec_slice *items = &scan->items;
    uint32_t events = scan->slice.slice.events;
    size_t most = (size_t)events + items->slice.events;
    uint32_t *event = arena_alloc(scan->task->scratch, most * sizeof *event);
    uint32_t *item = arena_alloc(scan->task->scratch, most * sizeof *item);
    uint32_t next = 0;
    uint32_t count = 0;

    if (!event || !item)
        return exec_no_memory();
    for (uint32_t e = 0; e < events; e++) {
        bool has_item = false;
        for (; next < items->slice.events &&
               (scan->parent[next] == UINT32_MAX || scan->parent[next] <= e);
             next++) {
            if (scan->parent[next] != e || !is_selected(&scan->selection, e))
                continue;
            event[count] = e;
            item[count++] = next;
            has_item = true;
        }
        if (has_item || !is_selected(&scan->selection, e))
            continue;
        event[count] = e;
        item[count++] = UINT32_MAX;
    }
    *event_out = event;
    *item_out = item;
    *count_out = count;
    return ok();
}

static struct err key_columns(struct scan *scan, const uint32_t **numbers)
{
    struct select_plan *plan = scan->plan;
    struct selection all = { .bits = NULL };
    struct err err = ok();

    for (uint32_t k = 0; k < plan->key_count && !err.code; k++) {
        struct exec_key key = plan->keys[k];
        if (!key.property.is_item) {
            err = exec_key_numbers(scan->task, scan->part->groups.values, &scan->slice, &key,
                                   &scan->selection, &numbers[k]);
            continue;
        }
        key.property.is_item = false;
        all.count = scan->items.slice.events;
        err = exec_key_numbers(scan->task, scan->part->groups.values, &scan->items, &key, &all,
                               &numbers[k]);
    }
    return err;
}

/* With one key, its numbers lead to groups by an array: a group is looked for once. */
static struct err rows_of_one_key(struct scan *scan, const uint32_t *numbers, uint32_t *group)
{
    uint32_t events = scan->slice.slice.events;
    uint32_t count = values_count(scan->part->groups.values);
    uint32_t *group_of = arena_alloc(scan->task->scratch, count * sizeof *group_of);

    if (!group_of)
        return exec_no_memory();
    for (uint32_t i = 0; i < count; i++)
        group_of[i] = GROUP_NONE;
    for (uint32_t i = 0; i < events; i++) {
        group[i] = GROUP_NONE;
        if (!is_selected(&scan->selection, i))
            continue;
        uint32_t *own = &group_of[numbers[i]];
        if (*own == GROUP_NONE) {
            struct err err = groups_put(&scan->part->groups, &numbers[i], own);
            if (err.code)
                return err;
        }
        group[i] = *own;
    }
    return ok();
}

/* Rows that are events: a group for each selected one. */
static struct err event_rows(struct scan *scan)
{
    struct select_plan *plan = scan->plan;
    const uint32_t *columns[TREE_KEYS_MAX] = { 0 };
    uint32_t numbers[TREE_KEYS_MAX];
    uint32_t events = scan->slice.slice.events;
    uint32_t *group = arena_alloc(scan->task->scratch, events * sizeof *group);

    if (!group)
        return exec_no_memory();
    struct err err = key_columns(scan, columns);
    scan->rows = (struct rows){ .count = events, .group = group };
    if (!err.code && plan->key_count == 1)
        return rows_of_one_key(scan, columns[0], group);
    for (uint32_t i = 0; i < events && !err.code; i++) {
        group[i] = GROUP_NONE;
        if (!is_selected(&scan->selection, i))
            continue;
        for (uint32_t k = 0; k < plan->key_count; k++)
            numbers[k] = columns[k][i];
        err = groups_put(&scan->part->groups, numbers, &group[i]);
    }
    return err;
}

/* Rows that are items. An event's row in a group it's in already isn't counted again. */
static struct err keyed_item_rows(struct scan *scan)
{
    struct select_plan *plan = scan->plan;
    struct arena *scratch = scan->task->scratch;
    const uint32_t *columns[TREE_KEYS_MAX] = { 0 };
    uint32_t numbers[TREE_KEYS_MAX];
    uint32_t *event = NULL;
    uint32_t *item = NULL;
    uint32_t count = 0;

    struct err err = open_items(scan);
    if (!err.code)
        err = item_entries(scan, &event, &item, &count);
    if (!err.code)
        err = key_columns(scan, columns);
    if (err.code)
        return err;
    uint32_t *group = arena_alloc(scratch, (count + (size_t)1) * sizeof *group);
    uint32_t items = scan->items.slice.events;
    uint32_t *item_group = arena_alloc(scratch, (items + (size_t)1) * sizeof *item_group);
    if (!group || !item_group)
        return exec_no_memory();
    for (uint32_t i = 0; i < items; i++)
        item_group[i] = GROUP_NONE;
    uint32_t first = 0; /* of the event's rows */
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t k = 0; k < plan->key_count; k++)
            numbers[k] = !plan->keys[k].property.is_item ? columns[k][event[i]]
                         : item[i] == UINT32_MAX         ? 0
                                                         : columns[k][item[i]];
        err = groups_put(&scan->part->groups, numbers, &group[i]);
        if (err.code)
            return err;
        if (item[i] != UINT32_MAX)
            item_group[item[i]] = group[i];
        if (i > 0 && event[i] != event[i - 1])
            first = i;
        uint32_t own = group[i];
        for (uint32_t k = first; k < i; k++)
            if (group[k] == own)
                group[i] = GROUP_NONE;
    }
    scan->rows = (struct rows){ .count = count, .group = group, .event = event };
    scan->item_rows = (struct rows){ .count = items, .group = item_group };
    return ok();
}

/* The items of the rows, for measures of items when rows are events. */
static struct err plain_item_rows(struct scan *scan)
{
    struct err err = open_items(scan);
    if (err.code || scan->item_rows.group)
        return err;
    uint32_t items = scan->items.slice.events;
    uint32_t *group = arena_alloc(scan->task->scratch, (items + (size_t)1) * sizeof *group);
    if (!group)
        return exec_no_memory();
    for (uint32_t i = 0; i < items; i++) {
        uint32_t parent = scan->parent[i];
        bool is_in = parent != UINT32_MAX && is_selected(&scan->selection, parent);
        group[i] = !is_in             ? GROUP_NONE
                   : scan->rows.group ? scan->rows.group[parent]
                                      : scan->rows.only_group;
    }
    scan->item_rows = (struct rows){ .count = items, .group = group };
    return ok();
}

/* One group for the whole slice: no keys, or only the event type. */
static struct err only_group(struct scan *scan)
{
    struct select_plan *plan = scan->plan;
    uint32_t numbers[TREE_KEYS_MAX] = { 0 };
    struct value name = value_string(catalog_event_name(plan->exec->catalog, scan->slice.event));

    scan->rows = (struct rows){ .count = scan->slice.slice.events, .selection = &scan->selection };
    for (uint32_t k = 0; k < plan->key_count; k++) {
        struct err err = values_put(scan->part->groups.values, &name, &numbers[k]);
        if (err.code)
            return err;
    }
    return groups_put(&scan->part->groups, numbers, &scan->rows.only_group);
}

static struct err make_rows(struct scan *scan)
{
    bool is_one = true;
    for (uint32_t k = 0; k < scan->plan->key_count; k++)
        is_one &= scan->plan->keys[k].kind == KEY_EVENT;
    if (is_one)
        return only_group(scan);
    return scan->plan->has_item_keys ? keyed_item_rows(scan) : event_rows(scan);
}

/* The rows that a slot's own filter leaves. */
static struct err filter_rows(struct scan *scan, const struct filter *filter,
                              const struct rows *all, bool are_items, struct rows *out,
                              struct selection *selection)
{
    struct err err = exec_slice_select(scan->task, &scan->slice, scan->range, filter, selection);
    if (err.code)
        return err;
    uint32_t *group = arena_alloc(scan->task->scratch, (all->count + (size_t)1) * sizeof *group);
    if (!group)
        return exec_no_memory();
    for (uint32_t i = 0; i < all->count; i++) {
        uint32_t event = are_items ? scan->parent[i] : all->event ? all->event[i] : i;
        uint32_t own = all->group                       ? all->group[i]
                       : is_selected(all->selection, i) ? all->only_group
                                                        : GROUP_NONE;
        bool is_in = own != GROUP_NONE && selection->count > 0 && is_selected(selection, event);
        group[i] = is_in ? own : GROUP_NONE;
    }
    *out = (struct rows){ .count = all->count, .group = group, .event = all->event };
    return ok();
}

static struct err add_slot(struct scan *scan, uint32_t s)
{
    const struct slot *slot = &scan->plan->slots[s];
    bool are_items = slot->property.is_item;
    struct exec_slice *slice = are_items ? &scan->items : &scan->slice;
    struct selection selection;
    struct rows filtered;
    struct err err = ok();

    if (are_items)
        err = plain_item_rows(scan);
    const struct rows *rows = are_items ? &scan->item_rows : &scan->rows;
    if (err.code || rows->count == 0)
        return err;
    if (slot->filter) {
        err = filter_rows(scan, slot->filter, rows, are_items, &filtered, &selection);
        rows = &filtered;
    }
    if (err.code)
        return err;
    return tally_add(scan->part->tallies[s], scan->task, slice, rows, scan->part->groups.values);
}

static struct err scan_slice(struct select_plan *plan, struct exec_task *task,
                             struct select_part *part, uint32_t event, int32_t month,
                             struct exec_range range)
{
    struct scan scan = { .plan = plan, .task = task, .part = part, .range = range };

    struct err err = exec_slice_open(task, event, month, &scan.slice);
    if (!err.code)
        err = exec_slice_select(task, &scan.slice, range, plan->step.filter, &scan.selection);
    if (err.code || scan.selection.count == 0)
        return err;
    bool is_done = false;
    if (plan->counts_ints)
        err = select_add_ints(plan, task, part, &scan.slice, &scan.selection, &is_done);
    if (err.code || is_done)
        return err;
    part->has_rows = true;
    err = make_rows(&scan);
    for (uint32_t s = 0; s < plan->slot_count && !err.code; s++)
        err = add_slot(&scan, s);
    return err;
}

/* Headers first; what they don't tell is counted. */
static struct err scan_month(struct select_plan *plan, struct exec_task *task,
                             struct select_part *part, uint32_t event, int32_t month)
{
    struct select_rest rest = { .count = 1, .ranges = { plan->range } };
    struct err err = ok();

    arena_reset(task->scratch);
    if (plan->uses_days)
        err = select_add_days(plan, task, part, event, month, &rest);
    for (uint32_t i = 0; i < rest.count && !err.code; i++) {
        arena_reset(task->scratch);
        err = scan_slice(plan, task, part, event, month, rest.ranges[i]);
    }
    return err;
}

static struct err select_task(struct exec_task *task, void *ctx)
{
    struct select_plan *plan = ctx;
    struct select_part *part = arena_calloc(task->keep, 1, sizeof *part);

    if (!part)
        return exec_no_memory();
    struct err err = groups_init(&part->groups, task->keep, task->memory_bytes, plan->keys,
                                 plan->key_count, plan->kept);
    if (err.code)
        return err;
    plan->parts[task->shard] = part;
    for (uint32_t s = 0; s < plan->slot_count && !err.code; s++)
        err = tally_new(&plan->slots[s], task->keep, task->memory_bytes, task->rows,
                        &part->tallies[s]);
    for (uint32_t e = 0; e < plan->step.event_count && !err.code; e++) {
        const int32_t *found;
        uint32_t count;
        err = exec_months(task, plan->step.events[e], plan->range, &found, &count);
        int32_t *months = err.code ? NULL : arena_alloc(task->keep, (count + 1u) * sizeof *months);
        if (!err.code && !months)
            err = exec_no_memory();
        if (!err.code && count)
            memcpy(months, found, count * sizeof *months);
        for (uint32_t m = 0; m < count && !err.code; m++)
            err = scan_month(plan, task, part, plan->step.events[e], months[m]);
    }
    for (uint32_t s = 0; s < plan->slot_count && !err.code; s++)
        err = tally_end(part->tallies[s]);
    return err;
}

static void free_part(struct select_plan *plan, struct select_part *part)
{
    if (!part)
        return;
    groups_done(&part->groups);
    select_ints_done(&part->ints);
    for (uint32_t s = 0; s < plan->slot_count; s++)
        tally_free(part->tallies[s]);
}

/* --- bringing together -------------------------------------------------------------------------------- */

static struct err merge_part(struct select_plan *plan, struct select_part *all,
                             const struct select_part *part)
{
    struct arena *arena = plan->exec->arena;
    uint32_t values = values_count(part->groups.values);
    uint32_t *value_of = arena_alloc(arena, (values + (size_t)1) * sizeof *value_of);
    uint32_t *group_of = arena_alloc(arena, (part->groups.count + (size_t)1) * sizeof *group_of);
    struct err err = ok();

    if (!value_of || !group_of)
        return exec_no_memory();
    for (uint32_t v = 0; v < values && !err.code; v++) {
        struct value value = values_get(part->groups.values, v);
        err = values_put(all->groups.values, &value, &value_of[v]);
    }
    for (uint32_t g = 0; g < part->groups.count && !err.code; g++) {
        uint32_t numbers[TREE_KEYS_MAX] = { 0 };
        for (uint32_t k = 0; k < plan->key_count; k++)
            numbers[k] = value_of[part->groups.tuples[(size_t)g * plan->key_count + k]];
        err = groups_put(&all->groups, numbers, &group_of[g]);
    }
    for (uint32_t s = 0; s < plan->slot_count && !err.code; s++)
        err =
            tally_merge(all->tallies[s], part->tallies[s], group_of, part->groups.count, value_of);
    return err;
}

/* Runs the tasks and brings their parts together. `all` is to be freed in any case. */
static struct err collect(struct select_plan *plan, struct select_part *all)
{
    struct exec *exec = plan->exec;
    size_t room = exec->memory_bytes / 4;

    plan->uses_days = select_days_suffice(plan);
    plan->counts_ints = select_ints_suffice(plan);
    struct err err =
        groups_init(&all->groups, exec->arena, room, plan->keys, plan->key_count, NULL);
    for (uint32_t s = 0; s < plan->slot_count && !err.code; s++)
        err = tally_new(&plan->slots[s], exec->arena, room, 0, &all->tallies[s]);
    if (!err.code)
        err = exec_run_shards(exec, select_task, plan);
    if (!err.code && plan->counts_ints)
        err = select_merge_ints(plan, all);
    for (uint32_t i = 0; i < exec->shards; i++) {
        if (!err.code && plan->parts[i])
            err = merge_part(plan, all, plan->parts[i]);
        free_part(plan, plan->parts[i]);
        plan->parts[i] = NULL;
    }
    for (uint32_t s = 0; s < plan->slot_count && !err.code; s++)
        err = tally_finish(all->tallies[s], all->groups.count);
    return err;
}

/* --- the answer ------------------------------------------------------------------------------------------ */

static double number_of(const struct table_cell *cell)
{
    return cell->kind == CELL_INT    ? (double)cell->integer
           : cell->kind == CELL_REAL ? cell->real
                                     : NAN;
}

/* The slots are numbered in the order in which the items' measures are met. */
static struct err eval_expr(struct select_plan *plan, const struct select_part *all,
                            struct table *table, const struct expr *expr, uint32_t group,
                            uint32_t *slot, struct table_cell *out)
{
    struct table_cell left;
    struct table_cell right;

    if (expr->kind == EXPR_NUMBER) {
        *out = cell_real(expr->number);
        return ok();
    }
    if (expr->kind == EXPR_MEASURE)
        return tally_cell(all->tallies[(*slot)++], plan->exec, table, group, out);
    struct err err = eval_expr(plan, all, table, expr->left, group, slot, &left);
    if (!err.code)
        err = eval_expr(plan, all, table, expr->right, group, slot, &right);
    if (err.code)
        return err;
    double a = number_of(&left);
    double b = number_of(&right);
    switch (expr->kind) {
    case EXPR_ADD:
        *out = cell_real(a + b);
        break;
    case EXPR_SUBTRACT:
        *out = cell_real(a - b);
        break;
    case EXPR_MULTIPLY:
        *out = cell_real(a * b);
        break;
    default:
        *out = cell_real(b == 0 ? NAN : a / b); /* null */
        break;
    }
    return ok();
}

struct result_row {
    uint32_t group;
    struct table_cell *cells; /* of the items */
};

struct ordering {
    struct select_plan *plan;
    const struct select_part *all;
};

static int compare_cells(const struct table_cell *a, const struct table_cell *b)
{
    if (a->kind == CELL_NULL || b->kind == CELL_NULL)
        return 0;
    if (a->kind == CELL_INT && b->kind == CELL_INT)
        return (a->integer > b->integer) - (a->integer < b->integer);
    if (a->kind == CELL_TIME_TEXT && b->kind == CELL_TIME_TEXT)
        return bytes_compare(a->text, b->text);
    double left = number_of(a);
    double right = number_of(b);
    return (left > right) - (left < right);
}

static int compare_keys(const struct ordering *by, uint32_t a, uint32_t b, uint32_t key)
{
    struct value left = groups_value(&by->all->groups, a, key);
    struct value right = groups_value(&by->all->groups, b, key);
    return value_order(&left, &right);
}

static bool is_last(enum value_type type)
{
    return type == VALUE_NULL || type == VALUE_TYPES;
}

static bool is_other(const struct ordering *by, uint32_t group)
{
    for (uint32_t k = 0; k < by->plan->key_count; k++)
        if (groups_value(&by->all->groups, group, k).type == VALUE_TYPES)
            return true;
    return false;
}

/* By one item of ORDER BY; absent values, and `other`, are last in either direction. */
static int compare_by(const struct ordering *by, const struct order *order,
                      const struct result_row *a, const struct result_row *b)
{
    int result;
    if (order->item >= by->plan->key_count) {
        const struct table_cell *left = &a->cells[order->item - by->plan->key_count];
        const struct table_cell *right = &b->cells[order->item - by->plan->key_count];
        bool left_other = is_other(by, a->group);
        if (left_other != is_other(by, b->group))
            return left_other ? 1 : -1;
        if ((left->kind == CELL_NULL) != (right->kind == CELL_NULL))
            return left->kind == CELL_NULL ? 1 : -1;
        result = compare_cells(left, right);
    } else {
        struct value left = groups_value(&by->all->groups, a->group, order->item);
        struct value right = groups_value(&by->all->groups, b->group, order->item);
        result = value_order(&left, &right);
        if (is_last(left.type) || is_last(right.type))
            return result;
    }
    return order->is_descending ? -result : result;
}

static int compare_rows(const void *a, const void *b, void *ctx)
{
    const struct result_row *left = a;
    const struct result_row *right = b;
    const struct ordering *by = ctx;
    const struct select *select = by->plan->select;

    for (uint32_t i = 0; i < select->order_count; i++) {
        int order = compare_by(by, &select->order[i], left, right);
        if (order)
            return order;
    }
    for (uint32_t k = 0; k < by->plan->key_count; k++) {
        int order = compare_keys(by, left->group, right->group, k);
        if (order)
            return order;
    }
    return 0;
}

/* A row per group, in order. Texts of cells are the table's. */
static struct err make_result(struct select_plan *plan, const struct select_part *all,
                              struct table *table, struct result_row **out)
{
    struct arena *arena = plan->exec->arena;
    const struct select *select = plan->select;
    uint32_t count = all->groups.count;
    struct result_row *rows = arena_alloc(arena, (count + (size_t)1) * sizeof *rows);
    struct table_cell *cells =
        arena_calloc(arena, (size_t)count * select->item_count + 1, sizeof *cells);
    struct ordering by = { .plan = plan, .all = all };

    if (!rows || !cells)
        return exec_no_memory();
    for (uint32_t g = 0; g < count; g++) {
        uint32_t slot = 0;
        rows[g] =
            (struct result_row){ .group = g, .cells = cells + (size_t)g * select->item_count };
        for (uint32_t i = 0; i < select->item_count; i++) {
            struct err err =
                eval_expr(plan, all, table, select->items[i].expr, g, &slot, &rows[g].cells[i]);
            if (err.code)
                return err;
        }
    }
    qsort_r(rows, count, sizeof *rows, compare_rows, &by);
    *out = rows;
    return exec_check(plan->exec);
}

/* The alias as it is, or the text of the formula. */
static struct err item_column(struct select_plan *plan, struct table *table, uint32_t item)
{
    const struct item *own = &plan->select->items[item];
    enum table_type type = TABLE_REAL;
    struct buf name;

    for (uint32_t s = 0; s < plan->slot_count; s++)
        if (own->expr->kind == EXPR_MEASURE && plan->slots[s].expr == own->expr)
            type = slot_type(&plan->slots[s]);
    buf_init(&name, TREE_TEXT_MAX * 2);
    if (own->as.len > 0)
        buf_put(&name, own->as);
    else
        tree_put_expr(own->expr, &name);
    struct err err = name.is_failed
                         ? exec_no_memory()
                         : exec_table_column(table, plan->key_count + item, buf_bytes(&name), type);
    buf_done(&name);
    return err;
}

static struct err make_columns(struct select_plan *plan, struct table *table)
{
    struct err err =
        exec_table_init(plan->exec, table, "select", plan->key_count + plan->select->item_count);
    for (uint32_t k = 0; k < plan->key_count && !err.code; k++)
        err = exec_table_column(table, k, plan->keys[k].column,
                                exec_key_type(plan->exec, &plan->keys[k]));
    for (uint32_t i = 0; i < plan->select->item_count && !err.code; i++)
        err = item_column(plan, table, i);
    return err;
}

static struct err fill_table(struct select_plan *plan, const struct select_part *all,
                             struct table *table)
{
    const struct select *select = plan->select;
    struct result_row *rows;
    uint64_t count = all->groups.count;

    struct err err = make_result(plan, all, table, &rows);
    if (select->has_limit && !select->has_other && count > select->limit)
        count = select->limit;
    for (uint64_t r = 0; r < count && !err.code; r++) {
        struct table_cell *cells;
        err = exec_table_row(table, &cells);
        for (uint32_t k = 0; k < plan->key_count && !err.code; k++) {
            struct value value = groups_value(&all->groups, rows[r].group, k);
            err = cell_key(plan->exec, table, &plan->keys[k], &value, &cells[k]);
        }
        for (uint32_t i = 0; i < select->item_count && !err.code; i++)
            cells[plan->key_count + i] = rows[r].cells[i];
    }
    return err;
}

/* --- WITH OTHER ------------------------------------------------------------------------------------------- */

/* The question without its time keys: which series are the first by its order, or by the first
 * measure. */
static struct err series_plan(const struct select_plan *plan, struct select *select,
                              struct select_plan *out)
{
    struct arena *arena = plan->exec->arena;
    struct exec_key *keys = arena_calloc(arena, plan->key_count, sizeof *keys);
    struct order *order = arena_calloc(arena, plan->select->order_count + 1u, sizeof *order);
    uint32_t place[TREE_KEYS_MAX + TREE_MEASURES_MAX];
    uint32_t used = 0;

    if (!keys || !order)
        return exec_no_memory();
    for (uint32_t k = 0; k < plan->key_count; k++) {
        place[k] = UINT32_MAX;
        if (plan->keys[k].kind == KEY_TIME)
            continue;
        place[k] = used;
        keys[used++] = plan->keys[k];
    }
    for (uint32_t i = 0; i < plan->select->item_count; i++)
        place[plan->key_count + i] = used + i;
    *select = *plan->select;
    select->order = order;
    select->order_count = 0;
    for (uint32_t i = 0; i < plan->select->order_count; i++) {
        struct order own = plan->select->order[i];
        own.item = place[own.item];
        if (own.item != UINT32_MAX)
            order[select->order_count++] = own;
    }
    if (select->order_count == 0 && select->item_count > 0)
        order[select->order_count++] = (struct order){ .item = used, .is_descending = true };
    *out = *plan;
    out->select = select;
    out->keys = keys;
    out->key_count = used;
    return ok();
}

static struct err keep_rows(const struct select_plan *plan, const struct select_part *all,
                            const struct result_row *rows, struct kept *kept)
{
    struct err err = ok();
    uint64_t count = all->groups.count;
    count = count < plan->select->limit ? count : plan->select->limit;

    kept->numbers =
        arena_calloc(plan->exec->arena, count * plan->key_count + 1, sizeof *kept->numbers);
    if (!kept->numbers)
        return exec_no_memory();
    for (uint32_t r = 0; r < count && !err.code; r++) {
        uint32_t *numbers = &kept->numbers[(size_t)r * plan->key_count];
        for (uint32_t k = 0; k < plan->key_count && !err.code; k++) {
            struct value value = groups_value(&all->groups, rows[r].group, k);
            err = values_put(kept->values, &value, &numbers[k]);
        }
        if (!err.code)
            err = kept_add(kept, numbers, plan->key_count);
    }
    return err;
}

static struct err choose_kept(struct select_plan *plan, struct table *table, struct kept *kept)
{
    struct select select;
    struct select_plan series;
    struct select_part all = { 0 };
    struct result_row *rows;

    struct err err = series_plan(plan, &select, &series);
    if (err.code || series.key_count == 0)
        return err;
    size_t room = plan->exec->memory_bytes / 4;
    err = values_new(plan->exec->arena, room, &kept->values);
    if (!err.code)
        err = map64_new(room, &kept->tuples);
    if (!err.code)
        err = collect(&series, &all);
    if (!err.code)
        err = make_result(&series, &all, table, &rows);
    if (!err.code)
        err = keep_rows(&series, &all, rows, kept);
    free_part(&series, &all);
    plan->kept = kept;
    return err;
}

struct err select_reads_days(struct exec *exec, bool *out)
{
    struct select_plan plan;
    struct err err = make_plan(&plan, exec);
    if (!err.code)
        *out = select_days_suffice(&plan);
    return err;
}

struct err run_select(struct exec *exec, struct table *table)
{
    struct select_plan plan;
    struct select_part all = { 0 };
    struct kept kept = { 0 };

    struct err err = make_plan(&plan, exec);
    if (!err.code)
        err = make_columns(&plan, table);
    if (!err.code && plan.select->has_other)
        err = choose_kept(&plan, table, &kept);
    if (!err.code)
        err = collect(&plan, &all);
    if (!err.code)
        err = fill_table(&plan, &all, table);
    free_part(&plan, &all);
    values_free(kept.values);
    map64_free(kept.tuples);
    return err;
}

/*
 * flow_walk.c - each user's path, from the order columns.
 *
 * Months come in the direction of the flow, and in each the users' events in theirs; what is known
 * of a user in between is the path so far. Users whose path is whole are passed over without
 * looking. Which event is next needs no times: those, filters and values are looked up in the slice
 * of the event's type, where the k-th event of a type in the order is the k-th row, and only for
 * months and questions that need them.
 */
#include "query/flow_internal.h"

#include <string.h>

enum { IS_START = 1, IS_SHOWN = 2, NODE_SHIFT = 2, IS_DONE = 0xff };

/* One event type of a month. */
struct lane {
    struct exec_slice slice;
    struct selection starts;  /* events that may be the start */
    struct selection follows; /* events that aren't too late */
    const uint32_t *numbers;  /* of values that stand for the event; NULL: none do */
};

struct walk {
    struct exec_task *task;
    const struct flow_plan *plan;
    struct flow_result *result;
    uint64_t *paths;   /* [row * words] */
    uint8_t *depth;    /* [row] codes so far, or IS_DONE */
    int64_t *start_ms; /* [row]; NULL: nobody asks */
    struct map64 *expanded;
    uint32_t expanded_cap;
    /* of a month */
    struct store_order order;
    uint32_t *classes; /* by code of the order: node << NODE_SHIFT | IS_START | IS_SHOWN; 0: none */
    struct lane *lanes;
    uint32_t *index; /* of each event, in its slice */
    int64_t base_ms;
};

/* --- a month ------------------------------------------------------------------------------- */

static bool is_cut(struct exec_range range, int32_t month)
{
    return range.from_ms > civil_month_start_ms(month) ||
           range.to_ms < civil_month_start_ms(month + 1);
}

static struct err classify(struct walk *w)
{
    const struct flow_plan *plan = w->plan;
    const struct store_order *order = &w->order;
    uint32_t known = catalog_event_count(w->task->exec->catalog);
    w->classes = arena_calloc(w->task->scratch, order->type_count, sizeof *w->classes);
    if (!w->classes)
        return exec_no_memory();
    for (uint32_t t = 0; t < order->type_count; t++) {
        uint32_t type = order->types[t];
        if (type < known && plan->node[type])
            w->classes[t] = plan->node[type] << NODE_SHIFT | (plan->is_start[type] ? IS_START : 0) |
                            (plan->is_shown[type] ? IS_SHOWN : 0);
    }
    return ok();
}

static struct err open_lane(struct walk *w, int32_t month, uint32_t t)
{
    const struct flow_plan *plan = w->plan;
    struct exec_task *task = w->task;
    struct lane *lane = &w->lanes[t];
    uint32_t type = w->order.types[t];
    struct err err = exec_slice_open(task, type, month, &lane->slice);
    if (err.code || lane->slice.slice.events == 0)
        return err;
    if (w->classes[t] & IS_START)
        err =
            exec_slice_select(task, &lane->slice, plan->starts, plan->start.filter, &lane->starts);
    if (!err.code && (w->classes[t] & IS_SHOWN))
        err = exec_slice_select(task, &lane->slice, plan->follows, NULL, &lane->follows);
    if (!err.code && w->start_ms)
        err = exec_slice_times(task, &lane->slice);
    if (err.code || plan->expansion[type] == 0)
        return err;
    struct exec_key key = { .kind = KEY_PROPERTY,
                            .property = plan->properties[plan->expansion[type] - 1] };
    struct selection all = { .bits = NULL, .count = lane->slice.slice.events };
    return exec_key_numbers(task, w->result->values, &lane->slice, &key, &all, &lane->numbers);
}

/* Where each event is in the slice of its type. */
static struct err number_events(struct walk *w)
{
    const struct store_order *order = &w->order;
    uint32_t *next = arena_calloc(w->task->scratch, order->type_count, sizeof *next);
    w->index = arena_alloc(w->task->scratch, (size_t)order->events * sizeof *w->index);
    if (!next || !w->index)
        return exec_no_memory();
    for (uint32_t i = 0; i < order->events; i++)
        w->index[i] = next[order->code[i]]++;
    for (uint32_t t = 0; t < order->type_count; t++) {
        if (w->classes[t] && next[t] != w->lanes[t].slice.slice.events)
            return err_new(ERR_CORRUPT, "query: the order column and a table differ");
    }
    return ok();
}

/* --- a user ----------------------------------------------------------------------------------- */

/* The code of a value that stands for its event. */
static struct err expand(struct walk *w, uint32_t type, uint32_t number, uint32_t *node)
{
    struct flow_result *result = w->result;
    bool is_new = false;
    uint64_t *found = map64_put(w->expanded, (uint64_t)type << 32 | number, &is_new);
    if (!found)
        return exec_no_memory();
    if (is_new) {
        if (result->expanded_count == w->expanded_cap) {
            uint32_t cap = w->expanded_cap ? w->expanded_cap * 2 : 64;
            struct flow_value *grown = arena_alloc(w->task->keep, cap * sizeof *grown);
            if (!grown)
                return exec_no_memory();
            if (result->expanded_count > 0)
                memcpy(grown, result->expanded, result->expanded_count * sizeof *grown);
            result->expanded = grown;
            w->expanded_cap = cap;
        }
        result->expanded[result->expanded_count] = (struct flow_value){ type, number };
        *found = w->plan->node_count + 1 + result->expanded_count++;
    }
    *node = (uint32_t)*found;
    return ok();
}

/* May the event at `i` be the user's next code? *ends_out: it's too late, and so are all others. */
static bool is_next(struct walk *w, uint32_t row, uint32_t depth, uint32_t i, bool *ends_out)
{
    const struct lane *lane = &w->lanes[w->order.code[i]];
    uint32_t index = w->index[i];
    if (depth == 0) {
        if (!is_selected(&lane->starts, index))
            return false;
        if (w->start_ms)
            w->start_ms[row] = w->base_ms + lane->slice.slice.time[index];
        return true;
    }
    *ends_out = !is_selected(&lane->follows, index);
    if (w->start_ms && !*ends_out) {
        int64_t passed = w->base_ms + lane->slice.slice.time[index] - w->start_ms[row];
        *ends_out = (passed < 0 ? -passed : passed) > w->plan->within_ms;
    }
    return !*ends_out;
}

/* The code of an event, which a value may stand for. */
static inline __attribute__((always_inline)) struct err node_of(struct walk *w, uint32_t i,
                                                                bool is_plain, uint32_t *node)
{
    uint32_t code = w->order.code[i];
    *node = w->classes[code] >> NODE_SHIFT;
    if (is_plain || !w->lanes[code].numbers)
        return ok();
    uint32_t number = w->lanes[code].numbers[w->index[i]];
    return number ? expand(w, w->order.types[code], number, node) : ok();
}

/* Events first, first + step, … as far as `count`. `is_plain`: no times, filters, values. */
static inline __attribute__((always_inline)) struct err
walk_user(struct walk *w, uint32_t row, uint32_t first, int32_t step, uint32_t count, bool is_plain)
{
    const struct flow_shape *shape = &w->plan->shape;
    const uint32_t *code = w->order.code;
    uint64_t *path = w->paths + (size_t)row * shape->words;
    bool is_collapsed = w->plan->tree->is_collapsed;
    uint32_t depth = w->depth[row];
    uint32_t last = depth && is_collapsed ? flow_code(shape, path, depth - 1) : 0;
    for (uint32_t i = first; count > 0; count--, i += (uint32_t)step) {
        uint32_t node;
        bool ends = false;
        if (!(w->classes[code[i]] & (depth ? IS_SHOWN : IS_START)))
            continue;
        if (!is_plain && !is_next(w, row, depth, i, &ends)) {
            if (!ends)
                continue;
            depth = IS_DONE;
            break;
        }
        struct err err = node_of(w, i, is_plain, &node);
        if (err.code)
            return err;
        if (is_collapsed && node == last)
            continue;
        last = node;
        flow_put_code(shape, path, depth++, node);
        if (depth == shape->codes) {
            depth = IS_DONE;
            break;
        }
    }
    w->depth[row] = (uint8_t)depth;
    return ok();
}

static inline __attribute__((always_inline)) struct err walk_users(struct walk *w, bool is_plain)
{
    const struct store_order *order = &w->order;
    bool is_backwards = w->plan->tree->is_backwards;
    for (uint32_t u = 0; u < order->users; u++) {
        uint32_t row = order->row[u];
        if (row >= w->task->rows)
            return err_new(ERR_CORRUPT, "query: a row past the shard's");
        if (w->depth[row] == IS_DONE)
            continue;
        uint32_t from = order->start[u];
        uint32_t count = order->start[u + 1] - from;
        struct err err = walk_user(w, row, is_backwards ? from + count - 1 : from,
                                   is_backwards ? -1 : 1, count, is_plain);
        if (err.code)
            return err;
    }
    return ok();
}

static struct err walk_month(struct walk *w, int32_t month)
{
    const struct flow_plan *plan = w->plan;
    struct exec_task *task = w->task;
    struct exec *exec = task->exec;
    arena_reset(task->scratch);
    struct err err = exec_check(exec);
    if (!err.code)
        err = exec->ops->order_open(exec->snapshot, task->shard, month, task->scratch, &w->order);
    if (!err.code)
        err = classify(w);
    if (err.code)
        return err;
    bool is_plain = !plan->start.filter && plan->tree->expansion_count == 0 && !w->start_ms &&
                    !is_cut(plan->starts, month) && !is_cut(plan->follows, month);
    if (is_plain)
        return walk_users(w, true);
    w->base_ms = civil_month_start_ms(month);
    w->lanes = arena_calloc(task->scratch, w->order.type_count, sizeof *w->lanes);
    if (!w->lanes)
        return exec_no_memory();
    for (uint32_t t = 0; t < w->order.type_count && !err.code; t++) {
        if (w->classes[t])
            err = open_lane(w, month, t);
    }
    if (!err.code)
        err = number_events(w);
    return err.code ? err : walk_users(w, false);
}

/* --- a task -------------------------------------------------------------------------------------- */

static struct err take_paths(struct walk *w)
{
    struct flow_paths *paths = &w->result->paths;
    uint32_t words = w->plan->shape.words;
    for (uint32_t row = 0; row < w->task->rows; row++) {
        if (w->depth[row] == 0)
            continue;
        memmove(w->paths + (size_t)paths->count * words, w->paths + (size_t)row * words,
                words * sizeof *w->paths);
        paths->count++;
    }
    paths->words = w->paths;
    arena_reset(w->task->scratch);
    struct err err = flow_count(&w->plan->shape, paths, w->task->scratch);
    if (err.code)
        return err;
    uint32_t *users = arena_alloc(w->task->keep, paths->count * sizeof *users);
    if (!users)
        return exec_no_memory();
    if (paths->count > 0)
        memcpy(users, paths->users, paths->count * sizeof *users);
    paths->users = users;
    return ok();
}

static struct err walk_months(struct walk *w)
{
    const struct flow_plan *plan = w->plan;
    const int32_t *found;
    uint32_t count;
    struct err err =
        exec_months_of(w->task, plan->walked, plan->walked_count, plan->follows, &found, &count);
    if (err.code)
        return err;
    int32_t *months = arena_alloc(w->task->keep, count * sizeof *months);
    if (!months)
        return exec_no_memory();
    if (count > 0)
        memcpy(months, found, count * sizeof *months);
    for (uint32_t m = 0; m < count && !err.code; m++)
        err = walk_month(w, months[plan->tree->is_backwards ? count - 1 - m : m]);
    return err;
}

struct err flow_walk(struct exec_task *task, const struct flow_plan *plan,
                     struct flow_result *result)
{
    struct walk w = { .task = task, .plan = plan, .result = result };
    if (task->rows == 0)
        return ok();
    struct err err = values_new(task->keep, task->memory_bytes, &result->values);
    if (!err.code && plan->tree->expansion_count > 0)
        err = map64_new(task->memory_bytes, &w.expanded);
    if (err.code)
        return err;
    w.paths = arena_calloc(task->keep, task->rows, plan->shape.words * sizeof *w.paths);
    w.depth = arena_calloc(task->keep, task->rows, 1);
    if (plan->tree->has_within)
        w.start_ms = arena_alloc(task->keep, task->rows * sizeof *w.start_ms);
    if (!w.paths || !w.depth || (plan->tree->has_within && !w.start_ms))
        err = exec_no_memory();
    if (!err.code)
        err = walk_months(&w);
    if (!err.code)
        err = take_paths(&w);
    map64_free(w.expanded);
    return err;
}

/*
 * funnel_strict.c - ORDER STRICT over the order columns.
 *
 * A chain's events are neighbours in the user's order, so a chain of some length that ends at an
 * event is the only one of that length that does. A user's state is therefore a bit for each length
 * that ends at the event before, with the times of those chains' first events. Events of no step
 * clear the bits; only the times of the steps' own event types are read.
 */
#include "query/funnel_internal.h"

#include <string.h>

/* One event type of a month that is of some step. */
struct lane {
    struct exec_slice slice;
    uint32_t steps; /* bits of the steps that it may be of */
    struct selection selections[TREE_STEPS_MAX];
};

struct strict {
    struct exec_task *task;
    const struct funnel_plan *plan;
    struct funnel_result *result;
    uint32_t steps;
    uint32_t *alive;  /* [row] bits: chains of length bit + 1 end at the event before */
    uint8_t *level;   /* [row] the longest chain so far */
    int64_t *start;   /* [row * steps + length - 1] when that chain began */
    int64_t *last_ms; /* [row] of the event before, if a chain ends there */
    /* of a month */
    struct store_order order;
    struct lane *lanes; /* by code of the order */
    uint32_t *index;    /* of each event, in its slice */
    int64_t base_ms;
};

bool funnel_is_strict(const struct funnel_plan *plan)
{
    const struct funnel *tree = plan->tree;
    return tree->order == ORDER_STRICT && !tree->is_strict_among_steps &&
           tree->attempt == ATTEMPT_BEST && tree->ties != TIES_GRACE && tree->holding_count == 0 &&
           tree->exclusion_count == 0 && tree->key_count == 0 && !tree->is_within_session;
}

/* --- a month ------------------------------------------------------------------------------------ */

static bool has_type(const struct exec_step *step, uint32_t type)
{
    for (uint32_t i = 0; i < step->event_count; i++) {
        if (step->events[i] == type)
            return true;
    }
    return false;
}

static struct err open_lane(struct strict *s, int32_t month, uint32_t code)
{
    const struct funnel_plan *plan = s->plan;
    struct lane *lane = &s->lanes[code];
    uint32_t type = s->order.types[code];
    for (uint32_t i = 0; i < s->steps; i++)
        lane->steps |= has_type(&plan->steps[i], type) ? 1u << i : 0;
    if (lane->steps == 0)
        return ok();
    struct err err = exec_slice_open(s->task, type, month, &lane->slice);
    if (!err.code)
        err = exec_slice_times(s->task, &lane->slice);
    for (uint32_t i = 0; i < s->steps && !err.code; i++) {
        if (lane->steps >> i & 1)
            err = exec_slice_select(s->task, &lane->slice, i == 0 ? plan->starts : plan->follows,
                                    plan->steps[i].filter, &lane->selections[i]);
    }
    return err;
}

/* Where each event is in the slice of its type. */
static struct err number_events(struct strict *s)
{
    const struct store_order *order = &s->order;
    uint32_t *next = arena_calloc(s->task->scratch, order->type_count, sizeof *next);
    s->index = arena_alloc(s->task->scratch, (size_t)order->events * sizeof *s->index);
    if (!next || !s->index)
        return exec_no_memory();
    for (uint32_t i = 0; i < order->events; i++)
        s->index[i] = next[order->code[i]]++;
    for (uint32_t t = 0; t < order->type_count; t++) {
        if (s->lanes[t].steps && next[t] != s->lanes[t].slice.slice.events)
            return err_new(ERR_CORRUPT, "query: the order column and a table differ");
    }
    return ok();
}

/* --- a user -------------------------------------------------------------------------------------- */

/* Which steps the event matches. */
static uint32_t steps_of(const struct lane *lane, uint32_t index)
{
    uint32_t steps = 0;
    for (uint32_t left = lane->steps; left; left &= left - 1) {
        uint32_t i = (uint32_t)__builtin_ctz(left);
        if (is_selected(&lane->selections[i], index))
            steps |= 1u << i;
    }
    return steps;
}

static struct err take_event(struct strict *s, uint32_t row, const struct lane *lane,
                             uint32_t index)
{
    int64_t *start = s->start + (size_t)row * s->steps;
    int64_t time_ms = s->base_ms + lane->slice.slice.time[index];
    uint32_t steps = steps_of(lane, index);
    uint32_t before = s->alive[row];
    uint32_t alive = steps & 1;
    for (uint32_t i = s->steps - 1; i > 0; i--) {
        if (!(before >> (i - 1) & 1) || !(steps >> i & 1))
            continue;
        int64_t since = s->plan->config.is_window_from_previous ? s->last_ms[row] : start[i - 1];
        if (time_ms - since > s->plan->config.within_ms)
            continue;
        alive |= 1u << i;
        start[i] = start[i - 1];
    }
    start[0] = time_ms;
    uint32_t longest = alive ? 32 - (uint32_t)__builtin_clz(alive) : 0;
    int64_t passed = time_ms - s->last_ms[row];
    s->alive[row] = alive;
    s->last_ms[row] = time_ms;
    if (longest <= s->level[row])
        return ok();
    s->level[row] = (uint8_t)longest;
    s->result->users[longest - 1]++;
    return longest > 1 ? funnel_add_time(s->task, s->result, 0, longest - 1, passed) : ok();
}

static struct err walk_month(struct strict *s, int32_t month)
{
    struct exec_task *task = s->task;
    struct exec *exec = task->exec;
    arena_reset(task->scratch);
    s->base_ms = civil_month_start_ms(month);
    struct err err =
        exec->ops->order_open(exec->snapshot, task->shard, month, task->scratch, &s->order);
    if (err.code)
        return err;
    s->lanes = arena_calloc(task->scratch, s->order.type_count, sizeof *s->lanes);
    if (!s->lanes)
        return exec_no_memory();
    for (uint32_t t = 0; t < s->order.type_count && !err.code; t++)
        err = open_lane(s, month, t);
    if (!err.code)
        err = number_events(s);
    if (err.code)
        return err;
    uint32_t types = catalog_event_count(exec->catalog);
    bool *is_passed = arena_calloc(task->scratch, s->order.type_count, sizeof *is_passed);
    if (!is_passed)
        return exec_no_memory();
    for (uint32_t t = 0; t < s->order.type_count; t++) /* items stand between nothing */
        is_passed[t] = s->order.types[t] >= types ||
                       catalog_event_parent(exec->catalog, s->order.types[t]) != CATALOG_NONE;
    for (uint32_t u = 0; u < s->order.users; u++) {
        uint32_t row = s->order.row[u];
        if (row >= task->rows)
            return err_new(ERR_CORRUPT, "query: a row past the shard's");
        for (uint32_t i = s->order.start[u]; i < s->order.start[u + 1] && s->level[row] < s->steps;
             i++) {
            uint32_t code = s->order.code[i];
            if (s->lanes[code].steps)
                err = take_event(s, row, &s->lanes[code], s->index[i]);
            else if (!is_passed[code])
                s->alive[row] = 0;
            if (err.code)
                return err;
        }
    }
    return ok();
}

/* --- a task -------------------------------------------------------------------------------------- */

struct err funnel_run_strict(struct exec_task *task, const struct funnel_plan *plan,
                             struct funnel_result *result)
{
    struct strict s = { .task = task, .plan = plan, .result = result, .steps = plan->config.steps };
    const int32_t *found;
    uint32_t count;
    result->group_count = 1;
    result->users = arena_calloc(task->keep, s.steps, sizeof *result->users);
    s.alive = arena_calloc(task->keep, task->rows, sizeof *s.alive);
    s.level = arena_calloc(task->keep, task->rows, sizeof *s.level);
    s.last_ms = arena_calloc(task->keep, task->rows, sizeof *s.last_ms);
    s.start = arena_calloc(task->keep, task->rows, s.steps * sizeof *s.start);
    if (!result->users || !s.alive || !s.level || !s.last_ms || !s.start)
        return exec_no_memory();
    struct err err =
        exec_months_of(task, plan->types, plan->type_count, plan->follows, &found, &count);
    if (err.code)
        return err;
    int32_t *months = arena_alloc(task->keep, count * sizeof *months);
    if (!months)
        return exec_no_memory();
    if (count > 0)
        memcpy(months, found, count * sizeof *months);
    for (uint32_t m = 0; m < count && !err.code; m++) {
        err = walk_month(&s, months[m]);
        if (!err.code)
            err = exec_check(task->exec);
    }
    return err;
}

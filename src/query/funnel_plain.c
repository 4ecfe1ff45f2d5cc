/*
 * funnel_plain.c - the common funnel, without collecting anybody's events.
 *
 * Months run forward. For each user row a few numbers hold what chain.c keeps for one user: for each
 * step but the last the latest start of a chain that has reached it, and when it did. In a month the
 * runs of the steps are walked side by side, by user.
 *
 * What makes it quick:
 *   - It goes from the rare steps outward. A first pass over the runs of the later steps tells how far
 *     a user could get at most: the longest prefix of steps that they did at some time. Who got there
 *     needs no more times.
 *   - Only users who did a later step in the month are walked. Of the others, who are most, just the
 *     last time of the first step is carried on to the next month.
 *   - Of the first step's events only the last one before a later step's counts: the others are passed
 *     by without a look at the rest.
 *   - Ties: with TIES_ANY the earlier step goes first. Since no event is of two steps, any order of
 *     equal times is then allowed for. With TIES_SEQ the log decides.
 */
#include "query/funnel_internal.h"

#include <string.h>

#define NEVER INT64_MIN

/* The events of a step in the month in hand: what the filter and the range leave. */
struct lane {
    struct exec_slice slice;
    const uint32_t *row; /* [users] */
    const uint32_t *start;
    const uint32_t *time;
    const uint64_t *seq; /* TIES_SEQ only */
    uint32_t users;
    uint32_t at; /* the run whose turn it is */
};

struct plain {
    struct exec_task *task;
    const struct funnel_plan *plan;
    struct funnel_result *result;
    struct arena *work;
    uint32_t steps;
    uint8_t *level;  /* [rows] */
    uint8_t *target; /* [rows] how far they could get */
    /* [row * stride]: of chains that have reached a step (the last isn't kept), the latest starts,
     * then when they reached it */
    int64_t *chains;
    uint32_t stride;
    struct lane lanes[TREE_STEPS_MAX];
};

bool funnel_is_plain(const struct funnel_plan *plan)
{
    const struct funnel *tree = plan->tree;
    if (tree->attempt != ATTEMPT_BEST || tree->order != ORDER_LOOSE || tree->ties == TIES_GRACE ||
        tree->is_window_from_previous || tree->is_within_session || tree->exclusion_count > 0 ||
        tree->holding_count > 0 || tree->key_count > 0)
        return false;
    for (uint32_t i = 0; i < tree->step_count; i++) {
        if (plan->steps[i].event_count != 1)
            return false;
        for (uint32_t j = 0; j < i; j++) {
            if (plan->steps[i].events[0] == plan->steps[j].events[0])
                return false;
        }
    }
    return true;
}

static struct exec_range range_of(const struct funnel_plan *plan, uint32_t step)
{
    return step == 0 ? plan->starts : plan->follows;
}

/* --- who could get how far ------------------------------------------------------------------ */

static struct err mark_step(struct plain *plain, uint32_t step)
{
    struct exec_task *task = plain->task;
    uint32_t event = plain->plan->steps[step].events[0];
    const int32_t *months = NULL;
    uint32_t count = 0;
    arena_reset(task->scratch);
    struct err err = exec_months(task, event, range_of(plain->plan, step), &months, &count);
    if (err.code)
        return err;
    for (uint32_t m = 0; m < count; m++) {
        struct exec_slice slice;
        err = exec_slice_open(task, event, months[m], &slice);
        if (err.code)
            return err;
        for (uint32_t u = 0; u < slice.slice.users; u++) {
            uint32_t row = slice.slice.row[u];
            if (plain->target[row] == step)
                plain->target[row] = (uint8_t)(step + 1);
        }
        err = exec_check(task->exec);
        if (err.code)
            return err;
    }
    return ok();
}

/* --- a month ----------------------------------------------------------------------------------- */

/* Keeps the selected events of the slice only. */
static struct err compact(struct plain *plain, struct lane *lane, const struct selection *selection)
{
    const struct store_slice *slice = &lane->slice.slice;
    struct arena *scratch = plain->task->scratch;
    uint32_t *row = arena_alloc(scratch, slice->users * sizeof *row);
    uint32_t *start = arena_alloc(scratch, ((size_t)slice->users + 1) * sizeof *start);
    uint32_t *time = arena_alloc(scratch, selection->count * sizeof *time);
    uint64_t *seq = slice->seq ? arena_alloc(scratch, selection->count * sizeof *seq) : NULL;
    if (!row || !start || !time || (slice->seq && !seq))
        return exec_no_memory();
    uint32_t users = 0;
    uint32_t kept = 0;
    for (uint32_t u = 0; u < slice->users; u++) {
        uint32_t first = kept;
        for (uint32_t e = slice->start[u]; e < slice->start[u + 1]; e++) {
            if (!is_selected(selection, e))
                continue;
            time[kept] = slice->time[e];
            if (seq)
                seq[kept] = slice->seq[e];
            kept++;
        }
        if (kept == first)
            continue;
        row[users] = slice->row[u];
        start[users++] = first;
    }
    start[users] = kept;
    lane->row = row;
    lane->start = start;
    lane->time = time;
    lane->seq = seq;
    lane->users = users;
    return ok();
}

static struct err open_lane(struct plain *plain, uint32_t step, int32_t month)
{
    struct exec_task *task = plain->task;
    struct lane *lane = &plain->lanes[step];
    const struct exec_step *compiled = &plain->plan->steps[step];
    struct selection selection;

    lane->users = 0;
    lane->at = 0;
    struct err err = exec_slice_open(task, compiled->events[0], month, &lane->slice);
    if (err.code || lane->slice.slice.users == 0)
        return err;
    err = exec_slice_times(task, &lane->slice);
    if (err.code)
        return err;
    if (plain->plan->config.ties == TIES_SEQ) {
        err = exec_slice_seqs(task, &lane->slice);
        if (err.code)
            return err;
    }
    err = exec_slice_select(task, &lane->slice, range_of(plain->plan, step), compiled->filter,
                            &selection);
    if (err.code || selection.count == 0)
        return err;
    if (selection.bits) {
        err = compact(plain, lane, &selection);
        if (err.code)
            return err;
    } else {
        const struct store_slice *slice = &lane->slice.slice;
        lane->row = slice->row;
        lane->start = slice->start;
        lane->time = slice->time;
        lane->seq = slice->seq;
        lane->users = slice->users;
    }
    return ok();
}

/* One step's run of the user in hand. */
struct head {
    const uint32_t *time;
    const uint64_t *seq;
    uint32_t next;
    uint32_t end;
};

static bool is_before(const struct plain *plain, const struct head *a, const struct head *b)
{
    if (a->time[a->next] != b->time[b->next])
        return a->time[a->next] < b->time[b->next];
    /* Equal: the earlier step, which `a` is of; or the log. */
    return plain->plan->config.ties != TIES_SEQ || a->seq[a->next] < b->seq[b->next];
}

/* The user's runs, whose turn is then over. */
static uint32_t take_heads(struct plain *plain, uint32_t row, struct head *heads)
{
    uint32_t living = 0;
    for (uint32_t step = 0; step < plain->steps; step++) {
        struct lane *lane = &plain->lanes[step];
        struct head *head = &heads[step];
        *head = (struct head){ .time = lane->time, .seq = lane->seq };
        if (lane->at == lane->users || lane->row[lane->at] != row)
            continue;
        head->next = lane->start[lane->at];
        head->end = lane->start[lane->at + 1];
        lane->at++;
        living++;
    }
    return living;
}

static struct err reach(struct plain *plain, uint32_t row, uint32_t step, int64_t ms)
{
    if (step < plain->level[row])
        return ok();
    plain->level[row] = (uint8_t)(step + 1);
    plain->result->users[step]++;
    return step == 0 ? ok() : funnel_add_time(plain->task, plain->result, 0, step, ms);
}

/* The step whose head comes first; `limit_out` is the head after it, of another step. */
static uint32_t first_head(const struct plain *plain, const struct head *heads,
                           const struct head **second_out)
{
    uint32_t first = TREE_STEPS_MAX;
    const struct head *second = NULL;
    for (uint32_t step = 0; step < plain->steps; step++) {
        const struct head *head = &heads[step];
        if (head->next == head->end)
            continue;
        if (first == TREE_STEPS_MAX) {
            first = step;
        } else if (is_before(plain, &heads[first], head)) {
            if (!second || !is_before(plain, second, head))
                second = head;
        } else {
            second = &heads[first];
            first = step;
        }
    }
    *second_out = second;
    return first;
}

/* Is the next event of `head` before `second`? `step` tells which way a tie falls. */
static bool goes_on(const struct plain *plain, const struct head *head, uint32_t step,
                    const struct head *heads, const struct head *second)
{
    if (head->next == head->end)
        return false;
    if (!second)
        return true;
    bool is_earlier_step = step < (uint32_t)(second - heads);
    return is_earlier_step ? is_before(plain, head, second) : !is_before(plain, second, head);
}

/* An event of a later step: the chain that it goes on, if one is within the window. */
static struct err add_event(struct plain *plain, uint32_t row, uint32_t step, int64_t time_ms)
{
    int64_t *starts = plain->chains + (size_t)row * plain->stride;
    int64_t *ends = starts + plain->steps - 1;
    if (starts[step - 1] == NEVER || time_ms - starts[step - 1] > plain->plan->config.within_ms)
        return ok();
    struct err err = reach(plain, row, step, time_ms - ends[step - 1]);
    if (step + 1 < plain->steps && starts[step - 1] > starts[step]) {
        starts[step] = starts[step - 1];
        ends[step] = time_ms;
    }
    return err;
}

static struct err add_start(struct plain *plain, uint32_t row, int64_t time_ms)
{
    int64_t *starts = plain->chains + (size_t)row * plain->stride;
    starts[0] = time_ms;
    starts[plain->steps - 1] = time_ms;
    return reach(plain, row, 0, 0);
}

/* With TIES_SEQ: all steps' events in the order of the log. */
static struct err walk_by_seq(struct plain *plain, uint32_t row, struct head *heads,
                              uint32_t living, int64_t base_ms)
{
    while (living > 0) {
        const struct head *second = NULL;
        uint32_t step = first_head(plain, heads, &second);
        struct head *head = &heads[step];
        struct err err = ok();
        if (step > 0)
            err = add_event(plain, row, step, base_ms + head->time[head->next]);
        /* The stretch of this step until another's turn. */
        uint32_t last = head->next;
        do
            last = head->next++;
        while (goes_on(plain, head, step, heads, second));
        if (step == 0)
            err = add_start(plain, row, base_ms + head->time[last]);
        if (err.code || plain->level[row] == plain->target[row])
            return err;
        living -= head->next == head->end;
    }
    return ok();
}

/* The later step whose event is next; equal times: the earlier step. 0: there are none left. */
static inline uint32_t next_step(const struct head *heads, uint32_t steps)
{
    uint32_t first = 0;
    uint32_t least = UINT32_MAX;
    for (uint32_t step = 1; step < steps; step++) {
        const struct head *head = &heads[step];
        if (head->next < head->end && (first == 0 || head->time[head->next] < least)) {
            least = head->time[head->next];
            first = step;
        }
    }
    return first;
}

/* The events of later steps in order; before each, the starts up to its time. */
static struct err walk_by_time(struct plain *plain, uint32_t row, struct head *heads,
                               int64_t base_ms)
{
    struct head *start = &heads[0];
    for (uint32_t step = next_step(heads, plain->steps); step > 0;
         step = next_step(heads, plain->steps)) {
        uint32_t time = heads[step].time[heads[step].next++];
        uint32_t first = start->next;
        while (start->next < start->end && start->time[start->next] <= time)
            start->next++;
        struct err err = ok();
        if (start->next > first)
            err = add_start(plain, row, base_ms + start->time[start->next - 1]);
        if (!err.code)
            err = add_event(plain, row, step, base_ms + time);
        if (err.code || plain->level[row] == plain->target[row])
            return err;
    }
    return start->next < start->end ? add_start(plain, row, base_ms + start->time[start->end - 1])
                                    : ok();
}

/* The first user who did a later step; UINT32_MAX: nobody is left. */
static inline uint32_t next_row(const struct plain *plain)
{
    uint32_t row = UINT32_MAX;
    for (uint32_t step = 1; step < plain->steps; step++) {
        const struct lane *lane = &plain->lanes[step];
        if (lane->at < lane->users && lane->row[lane->at] < row)
            row = lane->row[lane->at];
    }
    return row;
}

/* Users up to `row` did just the first step this month. */
static struct err carry_starts(struct plain *plain, uint32_t row, int64_t base_ms, bool is_last)
{
    struct lane *lane = &plain->lanes[0];
    for (; lane->at < lane->users && lane->row[lane->at] < row; lane->at++) {
        uint32_t own = lane->row[lane->at];
        if (plain->level[own] >= plain->target[own])
            continue;
        struct err err = ok();
        if (is_last || plain->target[own] == 1)
            err = reach(plain, own, 0, 0);
        else
            err = add_start(plain, own, base_ms + lane->time[lane->start[lane->at + 1] - 1]);
        if (err.code)
            return err;
    }
    return ok();
}

static struct err walk_month(struct plain *plain, int32_t month, bool is_last)
{
    struct exec_task *task = plain->task;
    struct head heads[TREE_STEPS_MAX];
    int64_t base_ms = civil_month_start_ms(month);
    arena_reset(task->scratch);
    for (uint32_t step = 0; step < plain->steps; step++) {
        struct err err = open_lane(plain, step, month);
        if (err.code)
            return err;
    }
    for (;;) {
        uint32_t row = next_row(plain);
        struct err err = carry_starts(plain, row, base_ms, is_last);
        if (err.code || row == UINT32_MAX)
            return err.code ? err : exec_check(task->exec);
        uint32_t living = take_heads(plain, row, heads);
        if (plain->level[row] >= plain->target[row])
            continue;
        if (plain->plan->config.ties == TIES_SEQ)
            err = walk_by_seq(plain, row, heads, living, base_ms);
        else
            err = walk_by_time(plain, row, heads, base_ms);
        if (err.code)
            return err;
    }
}

static struct err take_arrays(struct plain *plain)
{
    struct arena *work = plain->work;
    size_t rows = plain->task->rows;
    plain->stride = 2 * (plain->steps - 1);
    plain->level = arena_calloc(work, rows, 1);
    plain->target = arena_alloc(work, rows);
    plain->chains = arena_alloc(work, rows * plain->stride * sizeof *plain->chains);
    plain->result->users =
        arena_calloc(plain->task->keep, plain->steps, sizeof *plain->result->users);
    if (!plain->level || !plain->target || !plain->chains || !plain->result->users)
        return exec_no_memory();
    memset(plain->target, 1, rows);
    for (size_t i = 0; i < rows * plain->stride; i++)
        plain->chains[i] = NEVER;
    plain->result->group_count = 1;
    return ok();
}

static struct err run_months(struct plain *plain)
{
    struct exec_task *task = plain->task;
    const struct funnel_plan *plan = plain->plan;
    struct exec_range both = { plan->starts.from_ms, plan->follows.to_ms > plan->starts.to_ms
                                                         ? plan->follows.to_ms
                                                         : plan->starts.to_ms };
    const int32_t *months = NULL;
    uint32_t count = 0;
    arena_reset(task->scratch);
    struct err err = exec_months_of(task, plan->types, plan->type_count, both, &months, &count);
    if (err.code)
        return err;
    int32_t *kept = arena_alloc(plain->work, count * sizeof *kept);
    if (!kept)
        return exec_no_memory();
    if (count > 0)
        memcpy(kept, months, count * sizeof *kept);
    for (uint32_t m = 0; m < count && !err.code; m++)
        err = walk_month(plain, kept[m], m + 1 == count);
    return err;
}

struct err funnel_run_plain(struct exec_task *task, const struct funnel_plan *plan,
                            struct funnel_result *result)
{
    struct arena work;
    struct plain plain = {
        .task = task, .plan = plan, .result = result, .work = &work, .steps = plan->config.steps
    };
    arena_init(&work, task->scratch->limit_bytes / 2);
    struct err err = take_arrays(&plain);
    for (uint32_t step = 1; step < plain.steps && !err.code; step++)
        err = mark_step(&plain, step);
    if (!err.code)
        err = run_months(&plain);
    arena_done(&work);
    return err;
}

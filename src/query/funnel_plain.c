/*
 * funnel_plain.c - the common funnel, without collecting anybody's events.
 *
 * Months run forward. For each user row a few flat arrays hold what chain.c keeps for one user: for
 * each step but the last the latest start of a chain that has reached it, and when it did. In a
 * month the runs of the steps are walked side by side, in the order of time.
 *
 * What makes it quick:
 *   - A first pass over runs alone tells how far a user could get at most: the longest prefix of
 *     steps all of which they did at some time. Who got there needs no more times.
 *   - Of a stretch of events of one step, uninterrupted by events of others, only one counts: the
 *     last of the first step (the latest start), the first of any other (a later one has the same
 *     chain before it). The rest is skipped by comparing times.
 *   - Ties: with TIES_ANY the earlier step goes first. Since no event is of two steps, any order of
 *     equal times is then allowed for. With TIES_SEQ the log decides.
 */
#include "query/funnel_internal.h"

#include "base/bits.h"

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
    uint32_t *index; /* [rows] of a user row: its run, if row[index] is it */
};

struct plain {
    struct exec_task *task;
    const struct funnel_plan *plan;
    struct funnel_result *result;
    uint32_t steps;
    uint8_t *level;  /* [rows] */
    uint8_t *target; /* [rows] how far they could get */
    /* [row * steps + step]: chains that have reached the step (from 0; the last isn't kept) */
    int64_t *starts;
    int64_t *ends;
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
    for (uint32_t u = 0; u < lane->users; u++)
        lane->index[lane->row[u]] = u;
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

static uint32_t collect_heads(struct plain *plain, uint32_t row, struct head *heads)
{
    uint32_t living = 0;
    for (uint32_t step = 0; step < plain->steps; step++) {
        const struct lane *lane = &plain->lanes[step];
        struct head *head = &heads[step];
        uint32_t u = lane->users ? lane->index[row] : 0;
        *head = (struct head){ .time = lane->time, .seq = lane->seq };
        if (u >= lane->users || lane->row[u] != row)
            continue;
        head->next = lane->start[u];
        head->end = lane->start[u + 1];
        living += head->next < head->end;
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

static struct err walk_user(struct plain *plain, uint32_t row, int64_t base_ms)
{
    struct head heads[TREE_STEPS_MAX];
    int64_t *starts = plain->starts + (size_t)row * plain->steps;
    int64_t *ends = plain->ends + (size_t)row * plain->steps;
    uint32_t living = collect_heads(plain, row, heads);

    while (living > 0) {
        const struct head *second = NULL;
        uint32_t step = first_head(plain, heads, &second);
        struct head *head = &heads[step];
        int64_t time_ms = base_ms + head->time[head->next];
        struct err err = ok();
        if (step > 0 && starts[step - 1] != NEVER &&
            time_ms - starts[step - 1] <= plain->plan->config.within_ms) {
            err = reach(plain, row, step, time_ms - ends[step - 1]);
            if (starts[step - 1] > starts[step]) {
                starts[step] = starts[step - 1];
                ends[step] = time_ms;
            }
        }
        /* The stretch of this step until another's turn. */
        uint32_t last = head->next;
        do
            last = head->next++;
        while (goes_on(plain, head, step, heads, second));
        if (step == 0) {
            err = reach(plain, row, 0, 0);
            starts[0] = base_ms + head->time[last];
            ends[0] = starts[0];
        }
        if (err.code || plain->level[row] == plain->target[row])
            return err;
        living -= head->next == head->end;
    }
    return ok();
}

/* The rows that have events this month and haven't got as far as they can. */
static struct err walk_month(struct plain *plain, int32_t month)
{
    struct exec_task *task = plain->task;
    size_t words = bits_words(task->rows);
    arena_reset(task->scratch);
    uint64_t *present = arena_calloc(task->scratch, words, sizeof *present);
    if (!present)
        return exec_no_memory();
    for (uint32_t step = 0; step < plain->steps; step++) {
        struct err err = open_lane(plain, step, month);
        if (err.code)
            return err;
        const struct lane *lane = &plain->lanes[step];
        for (uint32_t u = 0; u < lane->users; u++) {
            if (plain->level[lane->row[u]] < plain->target[lane->row[u]])
                bits_add(present, lane->row[u]);
        }
    }
    int64_t base_ms = civil_month_start_ms(month);
    for (size_t word = 0; word < words; word++) {
        for (uint64_t left = present[word]; left; left &= left - 1) {
            uint32_t row = (uint32_t)(word * 64) + (uint32_t)__builtin_ctzll(left);
            struct err err = walk_user(plain, row, base_ms);
            if (err.code)
                return err;
        }
    }
    return exec_check(task->exec);
}

static struct err take_arrays(struct plain *plain)
{
    struct arena *keep = plain->task->keep;
    size_t rows = plain->task->rows;
    plain->level = arena_calloc(keep, rows, 1);
    plain->target = arena_calloc(keep, rows, 1);
    plain->starts = arena_alloc(keep, rows * plain->steps * sizeof *plain->starts);
    plain->ends = arena_alloc(keep, rows * plain->steps * sizeof *plain->ends);
    plain->result->users = arena_calloc(keep, plain->steps, sizeof *plain->result->users);
    if (!plain->level || !plain->target || !plain->starts || !plain->ends || !plain->result->users)
        return exec_no_memory();
    for (uint32_t step = 0; step < plain->steps; step++) {
        plain->lanes[step].index = arena_calloc(keep, rows, sizeof(uint32_t));
        if (!plain->lanes[step].index)
            return exec_no_memory();
    }
    for (size_t i = 0; i < rows * plain->steps; i++)
        plain->starts[i] = NEVER;
    plain->result->group_count = 1;
    return ok();
}

struct err funnel_run_plain(struct exec_task *task, const struct funnel_plan *plan,
                            struct funnel_result *result)
{
    struct plain plain = {
        .task = task, .plan = plan, .result = result, .steps = plan->config.steps
    };
    struct err err = take_arrays(&plain);
    for (uint32_t step = 0; step < plain.steps && !err.code; step++)
        err = mark_step(&plain, step);
    if (err.code)
        return err;

    struct exec_range both = { plan->starts.from_ms, plan->follows.to_ms > plan->starts.to_ms
                                                         ? plan->follows.to_ms
                                                         : plan->starts.to_ms };
    const int32_t *months = NULL;
    uint32_t count = 0;
    arena_reset(task->scratch);
    err = exec_months_of(task, plan->types, plan->type_count, both, &months, &count);
    if (err.code)
        return err;
    int32_t *kept = arena_alloc(task->keep, count * sizeof *kept);
    if (!kept)
        return exec_no_memory();
    if (count > 0)
        memcpy(kept, months, count * sizeof *kept);
    for (uint32_t m = 0; m < count && !err.code; m++)
        err = walk_month(&plain, kept[m]);
    return err;
}

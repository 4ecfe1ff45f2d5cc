/*
 * retention_general.c - retention with every option: a user's starts and returns are collected, put
 * in order, and each cohort's returns counted by a plain loop.
 *
 * Slices come sorted by user, so counting first how many events each user row has gives each its
 * place, and a second reading puts them there; within a user they are then sorted by (time, seq).
 * When there's no room for all rows' events at once, the second reading is done for one block of
 * rows after the other.
 *
 * An event that is both a start and a return is there once: so "another event than the one that made
 * the cohort" is another place in the array.
 */
#include "query/retention_internal.h"

#include <stdlib.h>
#include <string.h>

struct gathered {
    int64_t time_ms;
    uint64_t seq;
    double amount;  /* NaN: none */
    uint32_t group; /* of a start */
    uint32_t slot;
    bool is_start;
    bool is_back;
};

struct general {
    struct exec_task *task;
    const struct retention_plan *plan;
    struct retention_tally *tally;
    struct arena *work;
    uint32_t *counts; /* [rows] */
    /* The block of rows in hand; none while counting. */
    uint32_t first_row;
    uint32_t end_row;
    struct gathered *events; /* [cap], by row */
    size_t cap;
    size_t *next; /* [rows of the block] where the next one goes, at the end where they end */
    double *sums; /* [columns + 2] of the user and cohort in hand */
    uint64_t *numbers;
};

/* --- reading ------------------------------------------------------------------------------------- */

/* What a slice's events need, besides the slice. */
struct marked {
    bool has_starts;
    bool has_backs;
    struct selection starts;
    struct selection backs;
    struct retention_keys keys;
    struct exec_columns amounts;
};

static struct err mark(struct general *general, struct exec_slice *slice, struct marked *out)
{
    const struct retention_plan *plan = general->plan;
    struct exec_task *task = general->task;
    const uint32_t numbers = 1u << VALUE_INT | 1u << VALUE_REAL;
    struct err err = exec_slice_times(task, slice);
    if (!err.code && general->next)
        err = exec_slice_seqs(task, slice);
    out->has_starts = retention_has_type(&plan->start, slice->event);
    out->has_backs = retention_has_type(&plan->back, slice->event);
    if (!err.code && out->has_starts)
        err = exec_slice_select(task, slice, plan->reads, plan->start.filter, &out->starts);
    if (!err.code && out->has_starts && general->next)
        err = retention_keys_read(task, general->tally, slice, &out->starts, &out->keys);
    if (!err.code && out->has_backs)
        err = exec_slice_select(task, slice, plan->reads, plan->back.filter, &out->backs);
    if (!err.code && out->has_backs && general->next && plan->tree->sum.text.len > 0)
        err = exec_columns(task, slice, plan->sum.property,
                           numbers & exec_property_types(task->exec, &plan->sum, slice->event),
                           &out->amounts);
    return err;
}

static struct err gather_event(struct general *general, const struct exec_slice *slice,
                               const struct marked *marked, uint32_t row, uint32_t e)
{
    const struct retention_plan *plan = general->plan;
    int64_t time_ms = slice->slice.base_ms + slice->slice.time[e];
    bool is_start =
        marked->has_starts && time_ms < plan->starts.to_ms && is_selected(&marked->starts, e);
    bool is_back = marked->has_backs && is_selected(&marked->backs, e);
    uint32_t group = 0;
    double amount = (double)NAN;
    if (!is_start && !is_back)
        return ok();
    if (!general->next) {
        general->counts[row]++;
        return ok();
    }
    if (is_start) {
        struct err err = retention_group(general->tally, &marked->keys, e, &group);
        if (err.code)
            return err;
    }
    if (is_back && !exec_columns_number(&marked->amounts, e, &amount))
        amount = (double)NAN;
    general->events[general->next[row - general->first_row]++] = (struct gathered){
        .time_ms = time_ms,
        .seq = slice->slice.seq[e],
        .amount = amount,
        .group = group,
        .slot = retention_slot(plan, time_ms),
        .is_start = is_start,
        .is_back = is_back,
    };
    return ok();
}

static struct err gather_slice(struct general *general, struct exec_slice *slice)
{
    struct marked marked = { .has_starts = false };
    struct err err = mark(general, slice, &marked);
    for (uint32_t u = 0; u < slice->slice.users && !err.code; u++) {
        uint32_t row = slice->slice.row[u];
        if (row < general->first_row || row >= general->end_row)
            continue;
        for (uint32_t e = slice->slice.start[u]; e < slice->slice.start[u + 1] && !err.code; e++)
            err = gather_event(general, slice, &marked, row, e);
    }
    return err;
}

static struct err gather_type(struct general *general, uint32_t event)
{
    struct exec_task *task = general->task;
    const int32_t *months = NULL;
    uint32_t count = 0;
    struct err err =
        retention_months(task, general->work, event, general->plan->reads, &months, &count);
    for (uint32_t m = 0; m < count && !err.code; m++) {
        struct exec_slice slice;
        arena_reset(task->scratch);
        err = exec_slice_open(task, event, months[m], &slice);
        if (!err.code && slice.slice.users > 0)
            err = gather_slice(general, &slice);
        if (!err.code)
            err = exec_check(task->exec);
    }
    return err;
}

static struct err gather(struct general *general)
{
    const struct exec_step *start = &general->plan->start;
    const struct exec_step *back = &general->plan->back;
    struct err err = ok();
    for (uint32_t i = 0; i < start->event_count && !err.code; i++)
        err = gather_type(general, start->events[i]);
    for (uint32_t i = 0; i < back->event_count && !err.code; i++) {
        if (!retention_has_type(start, back->events[i]))
            err = gather_type(general, back->events[i]);
    }
    return err;
}

/* --- one user after the other -------------------------------------------------------------------- */

static int by_time(const void *a, const void *b)
{
    const struct gathered *x = a;
    const struct gathered *y = b;
    if (x->time_ms != y->time_ms)
        return x->time_ms < y->time_ms ? -1 : 1;
    return (x->seq > y->seq) - (x->seq < y->seq);
}

/* False: it was before the cohort's start. */
static bool find_period(const struct retention_plan *plan, const struct gathered *birth,
                        const struct gathered *event, uint64_t *period_out)
{
    if (plan->rolling_ms == 0) {
        *period_out = (uint64_t)event->slot - birth->slot;
        return event->slot >= birth->slot;
    }
    *period_out = (uint64_t)(event->time_ms - birth->time_ms) / (uint64_t)plan->rolling_ms;
    return event->time_ms >= birth->time_ms;
}

static void clear_sums(struct general *general)
{
    if (!general->sums)
        return;
    for (uint32_t lane = 0; lane < general->plan->columns + 2; lane++) {
        general->sums[lane] = 0;
        general->numbers[lane] = 0;
    }
}

static void add_sum(struct general *general, const struct gathered *event, uint32_t lane)
{
    if (!general->sums || isnan(event->amount))
        return;
    general->sums[lane] += event->amount;
    general->numbers[lane]++;
}

/* Of a streak only what lies within it is summed. */
static void keep_sums(struct general *general, const struct retention_count *count,
                      struct retention_row *row)
{
    bool is_streak = general->plan->tree->mode == RETENTION_STREAK;
    uint32_t first = is_streak ? 1 : 0;
    uint32_t end = is_streak ? count->streak + 1 : general->plan->columns + 2;
    for (uint32_t lane = first; lane < end && general->sums; lane++) {
        row->sums[lane] += general->sums[lane];
        row->numbers[lane] += general->numbers[lane];
    }
}

static struct err count_birth(struct general *general, const struct gathered *events, size_t count,
                              size_t birth)
{
    const struct retention_plan *plan = general->plan;
    struct retention_row *row = NULL;
    struct err err = retention_row(general->tally, events[birth].group, events[birth].slot, &row);
    if (err.code)
        return err;
    struct retention_count lanes = retention_begin(plan, row);
    clear_sums(general);
    for (size_t i = 0; i < count; i++) {
        uint64_t period;
        if (!events[i].is_back || (i == birth && !plan->tree->counts_birth) ||
            !find_period(plan, &events[birth], &events[i], &period))
            continue;
        uint32_t lane = retention_lane(plan, period);
        retention_add(&lanes, lane);
        add_sum(general, &events[i], lane);
    }
    retention_end(&lanes);
    keep_sums(general, &lanes, row);
    return ok();
}

static struct err count_user(struct general *general, struct gathered *events, size_t count)
{
    const struct retention_plan *plan = general->plan;
    uint32_t slot = 0; /* of the last cohort */
    qsort(events, count, sizeof *events, by_time);
    for (size_t i = 0; i < count; i++) {
        if (!events[i].is_start)
            continue;
        bool is_within = events[i].time_ms >= plan->starts.from_ms;
        if (is_within && events[i].slot != slot) {
            struct err err = count_birth(general, events, count, i);
            if (err.code)
                return err;
            slot = events[i].slot;
        }
        if (plan->tree->is_first)
            break;
    }
    return ok();
}

/* --- blocks of rows -------------------------------------------------------------------------------- */

/* From `first_row` on as many rows as there's room for; one at least. */
static struct err take_block(struct general *general, uint32_t first_row)
{
    size_t used = 0;
    uint32_t row = first_row;
    for (; row < general->task->rows && general->counts[row] <= general->cap - used; row++) {
        general->next[row - first_row] = used;
        used += general->counts[row];
    }
    if (row == first_row)
        return exec_no_memory();
    general->first_row = first_row;
    general->end_row = row;
    return ok();
}

static struct err count_block(struct general *general)
{
    struct err err = gather(general);
    size_t start = 0;
    for (uint32_t row = general->first_row; row < general->end_row && !err.code; row++) {
        size_t end = general->next[row - general->first_row];
        err = count_user(general, general->events + start, end - start);
        if (!err.code && row % 1024 == 0)
            err = exec_check(general->task->exec);
        start = end;
    }
    return err;
}

static struct err count_all(struct general *general)
{
    uint32_t rows = general->task->rows;
    size_t total = 0;
    general->end_row = rows;
    struct err err = gather(general);
    if (err.code)
        return err;
    for (uint32_t row = 0; row < rows; row++)
        total += general->counts[row];
    size_t room = general->work->limit_bytes / 4 * 3 / sizeof *general->events;
    general->cap = total < room ? total : room;
    general->next = arena_alloc(general->work, rows * sizeof *general->next);
    general->events = arena_alloc(general->work, general->cap * sizeof *general->events);
    if (!general->next || !general->events)
        return exec_no_memory();
    for (uint32_t row = 0; row < rows && !err.code; row = general->end_row) {
        err = take_block(general, row);
        if (!err.code)
            err = count_block(general);
    }
    return err;
}

struct err retention_run_general(struct exec_task *task, struct retention_tally *tally,
                                 struct arena *work)
{
    struct general general = { .task = task, .plan = tally->plan, .tally = tally, .work = work };
    general.counts = arena_calloc(work, task->rows, sizeof *general.counts);
    if (!general.counts)
        return exec_no_memory();
    if (tally->plan->tree->sum.text.len > 0) {
        size_t lanes = (size_t)tally->plan->columns + 2;
        general.sums = arena_calloc(work, lanes, sizeof *general.sums);
        general.numbers = arena_calloc(work, lanes, sizeof *general.numbers);
        if (!general.sums || !general.numbers)
            return exec_no_memory();
    }
    return count_all(&general);
}

/*
 * retention_plain.c - the common retention, without collecting anybody's events.
 *
 * Starts are read first, then returns, a slice after the other. For each user row there is where its
 * cohort is (its first start; or, recurring, a bit for each slot with a start), and a bit for each
 * slot with a return. At the end each cohort of each user meets its bits, in order of time.
 *
 * What makes it quick:
 *   - A month has an index from its times, in steps of 17 minutes, to slots: no search, and no
 *     question to the zone.
 *   - A run of a user without a cohort is skipped, and one that starts after the first start was
 *     found isn't looked at.
 *
 * The start that made a cohort isn't a return in it. Its place in its slice is remembered and skipped
 * there; recurring, it still is a return to earlier cohorts, so that there are two sets of bits: all
 * returns, and those that aren't the start of their own slot's cohort.
 */
#include "query/retention_internal.h"

#include "base/bits.h"

#include <string.h>

enum { STEP_BITS = 20, STEPS = (int)(31 * MS_PER_DAY >> STEP_BITS) + 2 };

struct birth {
    int64_t time_ms; /* INT64_MAX: none yet */
    uint64_t seq;    /* only where starts are of several types */
    uint32_t event;
    uint32_t index; /* in its slice */
    uint32_t group;
};

/* Of a stretch of 17 minutes: the slot that it begins in, and when the next one begins. */
struct stretch {
    uint32_t slot;
    uint32_t next; /* ms since the month's start */
};

/* Of the slices of the only start type: which of their events made a cohort. */
struct marks {
    struct marks *next;
    int32_t month;
    const uint64_t *bits;
};

struct plain {
    struct exec_task *task;
    const struct retention_plan *plan;
    struct retention_tally *tally;
    struct arena *work;
    uint32_t words;        /* of a row's bits */
    struct birth *births;  /* [rows] first starts */
    uint32_t *birth_slots; /* [rows] 0: none in the span, no cohort */
    uint64_t *cohorts;     /* [rows * words] recurring ones */
    uint32_t *last_cohort; /* [rows] its slot */
    uint64_t *returns;     /* [rows * words] */
    uint64_t *others;      /* [rows * words] returns but births; may be `returns` */
    struct marks *marks;
    struct stretch *stretches; /* [STEPS] of the month in hand */
};

bool retention_is_plain(const struct exec_task *task, const struct retention_plan *plan,
                        const struct arena *work)
{
    const struct retention *tree = plan->tree;
    if (plan->rolling_ms > 0 || tree->sum.text.len > 0)
        return false;
    if (!tree->is_first && (tree->key_count > 0 || plan->start.event_count > 1))
        return false;
    size_t set_bytes = bits_words(plan->slots) * sizeof(uint64_t);
    size_t row_bytes = tree->is_first ? sizeof(struct birth) + 4 + set_bytes : 4 + 3 * set_bytes;
    return (size_t)task->rows * row_bytes < work->limit_bytes / 4 * 3;
}

/* --- times to slots ------------------------------------------------------------------------------- */

/* Slots are hours or longer, so that a stretch touches two at most. */
static void index_month(struct plain *plain, int64_t base_ms)
{
    const int64_t *bounds = plain->plan->bounds;
    uint32_t slot = retention_slot(plain->plan, base_ms);
    for (int i = 0; i < STEPS; i++) {
        int64_t time_ms = base_ms + ((int64_t)i << STEP_BITS);
        while (time_ms >= bounds[slot])
            slot++;
        int64_t next = bounds[slot] - base_ms;
        plain->stretches[i] =
            (struct stretch){ .slot = slot,
                              .next = next < UINT32_MAX ? (uint32_t)next : UINT32_MAX };
    }
}

static inline uint32_t slot_of(const struct plain *plain, uint32_t time)
{
    const struct stretch *stretch = &plain->stretches[time >> STEP_BITS];
    return stretch->slot + (time >= stretch->next);
}

/* --- starts ------------------------------------------------------------------------------------------ */

static bool is_earlier(const struct birth *birth, int64_t time_ms, const uint64_t *seq,
                       uint32_t index)
{
    if (time_ms != birth->time_ms)
        return time_ms < birth->time_ms;
    return seq && seq[index] < birth->seq;
}

static uint32_t first_selected(const struct selection *selection, uint32_t from, uint32_t to)
{
    while (from < to && !is_selected(selection, from))
        from++;
    return from;
}

static struct err take_first(struct plain *plain, struct exec_slice *slice,
                             const struct selection *selection)
{
    const struct retention_plan *plan = plain->plan;
    const struct store_slice *s = &slice->slice;
    struct retention_keys keys;
    struct err err = retention_keys_read(plain->task, plain->tally, slice, selection, &keys);
    if (err.code)
        return err;
    for (uint32_t u = 0; u < s->users; u++) {
        struct birth *birth = &plain->births[s->row[u]];
        if (birth->time_ms < s->base_ms)
            continue;
        uint32_t e = first_selected(selection, s->start[u], s->start[u + 1]);
        if (e == s->start[u + 1])
            continue;
        int64_t time_ms = s->base_ms + s->time[e];
        if (!is_earlier(birth, time_ms, s->seq, e))
            continue;
        bool is_within = time_ms >= plan->starts.from_ms && time_ms < plan->starts.to_ms;
        *birth = (struct birth){
            .time_ms = time_ms,
            .seq = s->seq ? s->seq[e] : 0,
            .event = slice->event,
            .index = e,
        };
        uint32_t slot = is_within ? slot_of(plain, s->time[e]) : 0;
        plain->birth_slots[s->row[u]] = slot;
        if (slot == 0 || plan->tree->key_count == 0)
            continue;
        err = retention_group(plain->tally, &keys, e, &birth->group);
        if (err.code)
            return err;
    }
    return ok();
}

static struct err take_recurring(struct plain *plain, const struct exec_slice *slice,
                                 const struct selection *selection)
{
    const struct retention_plan *plan = plain->plan;
    const struct store_slice *s = &slice->slice;
    uint64_t *bits = NULL;
    if (plain->others != plain->returns) {
        struct marks *marks = arena_alloc(plain->work, sizeof *marks);
        bits = arena_calloc(plain->work, bits_words(s->events), sizeof *bits);
        if (!marks || !bits)
            return exec_no_memory();
        *marks = (struct marks){ .next = plain->marks, .month = slice->month, .bits = bits };
        plain->marks = marks;
    }
    for (uint32_t u = 0; u < s->users; u++) {
        uint32_t row = s->row[u];
        uint64_t *cohorts = plain->cohorts + (size_t)row * plain->words;
        uint32_t last = plain->last_cohort[row];
        for (uint32_t e = s->start[u]; e < s->start[u + 1]; e++) {
            int64_t time_ms = s->base_ms + s->time[e];
            if (time_ms < plan->starts.from_ms || time_ms >= plan->starts.to_ms ||
                !is_selected(selection, e))
                continue;
            uint32_t slot = slot_of(plain, s->time[e]);
            if (slot == last)
                continue;
            last = slot;
            bits_add(cohorts, slot);
            if (bits)
                bits_add(bits, e);
        }
        plain->last_cohort[row] = last;
    }
    return ok();
}

/* --- returns ------------------------------------------------------------------------------------------ */

static void return_first(struct plain *plain, const struct exec_slice *slice,
                         const struct selection *selection)
{
    const struct store_slice *s = &slice->slice;
    bool skips =
        !plain->plan->tree->counts_birth && retention_has_type(&plain->plan->start, slice->event);
    for (uint32_t u = 0; u < s->users; u++) {
        uint32_t row = s->row[u];
        const struct birth *birth = &plain->births[row];
        uint64_t *returns = plain->returns + (size_t)row * plain->words;
        if (plain->birth_slots[row] == 0)
            continue;
        uint32_t skipped = UINT32_MAX;
        if (skips && birth->event == slice->event && birth->time_ms >= s->base_ms &&
            birth->time_ms < slice->end_ms)
            skipped = birth->index;
        for (uint32_t e = s->start[u]; e < s->start[u + 1]; e++) {
            if (e != skipped && is_selected(selection, e))
                bits_add(returns, slot_of(plain, s->time[e]));
        }
    }
}

static void return_recurring(struct plain *plain, const struct exec_slice *slice,
                             const struct selection *selection)
{
    const struct store_slice *s = &slice->slice;
    const uint64_t *births = NULL;
    if (retention_has_type(&plain->plan->start, slice->event)) {
        for (const struct marks *marks = plain->marks; marks; marks = marks->next) {
            if (marks->month == slice->month)
                births = marks->bits;
        }
    }
    for (uint32_t u = 0; u < s->users; u++) {
        uint32_t row = s->row[u];
        uint64_t *returns = plain->returns + (size_t)row * plain->words;
        uint64_t *others = plain->others + (size_t)row * plain->words;
        if (plain->last_cohort[row] == 0)
            continue;
        for (uint32_t e = s->start[u]; e < s->start[u + 1]; e++) {
            if (!is_selected(selection, e))
                continue;
            uint32_t slot = slot_of(plain, s->time[e]);
            bits_add(returns, slot);
            if (!births || !bits_has(births, e))
                bits_add(others, slot);
        }
    }
}

/* --- slices ------------------------------------------------------------------------------------------- */

static struct err take_slice(struct plain *plain, struct exec_slice *slice, bool is_start)
{
    const struct retention_plan *plan = plain->plan;
    struct exec_task *task = plain->task;
    struct selection selection;
    struct exec_range all = exec_clip(task->exec, (struct exec_range){ TIME_MS_MIN, TIME_MS_MAX });
    const struct filter *filter = is_start ? plan->start.filter : plan->back.filter;

    struct err err = exec_slice_times(task, slice);
    if (!err.code && is_start && plan->start.event_count > 1)
        err = exec_slice_seqs(task, slice);
    if (!err.code)
        err = exec_slice_select(task, slice, all, filter, &selection);
    if (err.code)
        return err;
    index_month(plain, slice->slice.base_ms);
    if (is_start && plan->tree->is_first)
        return take_first(plain, slice, &selection);
    if (is_start)
        return take_recurring(plain, slice, &selection);
    if (plan->tree->is_first)
        return_first(plain, slice, &selection);
    else
        return_recurring(plain, slice, &selection);
    return ok();
}

static struct err take_type(struct plain *plain, uint32_t event, struct exec_range range,
                            bool is_start)
{
    struct exec_task *task = plain->task;
    const int32_t *months = NULL;
    uint32_t count = 0;
    struct err err = retention_months(task, plain->work, event, range, &months, &count);
    for (uint32_t m = 0; m < count && !err.code; m++) {
        struct exec_slice slice;
        arena_reset(task->scratch);
        err = exec_slice_open(task, event, months[m], &slice);
        if (!err.code && slice.slice.users > 0)
            err = take_slice(plain, &slice, is_start);
        if (!err.code)
            err = exec_check(task->exec);
    }
    return err;
}

/* --- counting ------------------------------------------------------------------------------------------- */

static struct err count_cohort(struct plain *plain, uint32_t row, uint32_t group, uint32_t slot)
{
    const struct retention_plan *plan = plain->plan;
    const uint64_t *returns = plain->returns + (size_t)row * plain->words;
    const uint64_t *others = plain->others + (size_t)row * plain->words;
    struct retention_row *to = NULL;
    struct err err = retention_row(plain->tally, group, slot, &to);
    if (err.code)
        return err;
    struct retention_count count = retention_begin(plan, to);
    if (bits_has(others, slot))
        retention_add(&count, retention_lane(plan, 0));
    uint32_t word = (slot + 1) >> 6;
    if (word < plain->words) {
        uint64_t left = returns[word] & (~UINT64_C(0) << ((slot + 1) & 63));
        for (;;) {
            for (; left; left &= left - 1) {
                uint32_t at = word * 64 + (uint32_t)__builtin_ctzll(left);
                retention_add(&count, retention_lane(plan, at - slot));
            }
            if (++word == plain->words)
                break;
            left = returns[word];
        }
    }
    retention_end(&count);
    return ok();
}

static struct err count_row(struct plain *plain, uint32_t row)
{
    if (plain->plan->tree->is_first) {
        uint32_t slot = plain->birth_slots[row];
        return slot ? count_cohort(plain, row, plain->births[row].group, slot) : ok();
    }
    if (plain->last_cohort[row] == 0)
        return ok();
    const uint64_t *cohorts = plain->cohorts + (size_t)row * plain->words;
    for (uint32_t word = 0; word < plain->words; word++) {
        for (uint64_t left = cohorts[word]; left; left &= left - 1) {
            uint32_t slot = word * 64 + (uint32_t)__builtin_ctzll(left);
            struct err err = count_cohort(plain, row, 0, slot);
            if (err.code)
                return err;
        }
    }
    return ok();
}

static struct err take_arrays(struct plain *plain)
{
    const struct retention_plan *plan = plain->plan;
    struct arena *work = plain->work;
    size_t rows = plain->task->rows;
    size_t words = rows * plain->words;
    plain->stretches = arena_alloc(work, STEPS * sizeof *plain->stretches);
    plain->returns = arena_calloc(work, words, sizeof *plain->returns);
    plain->others = plain->returns;
    if (!plain->stretches || !plain->returns)
        return exec_no_memory();
    if (plan->tree->is_first) {
        plain->births = arena_alloc(work, rows * sizeof *plain->births);
        plain->birth_slots = arena_calloc(work, rows, sizeof *plain->birth_slots);
        for (size_t row = 0; row < rows && plain->births; row++)
            plain->births[row] = (struct birth){ .time_ms = INT64_MAX };
        return plain->births && plain->birth_slots ? ok() : exec_no_memory();
    }
    plain->cohorts = arena_calloc(work, words, sizeof *plain->cohorts);
    plain->last_cohort = arena_calloc(work, rows, sizeof *plain->last_cohort);
    bool are_some_both = false;
    for (uint32_t i = 0; i < plan->start.event_count; i++)
        are_some_both = are_some_both || retention_has_type(&plan->back, plan->start.events[i]);
    if (are_some_both && !plan->tree->counts_birth)
        plain->others = arena_calloc(work, words, sizeof *plain->others);
    return plain->cohorts && plain->last_cohort && plain->others ? ok() : exec_no_memory();
}

struct err retention_run_plain(struct exec_task *task, struct retention_tally *tally,
                               struct arena *work)
{
    const struct retention_plan *plan = tally->plan;
    struct plain plain = { .task = task,
                           .plan = plan,
                           .tally = tally,
                           .work = work,
                           .words = (uint32_t)bits_words(plan->slots) };
    struct exec_range starts = { plan->reads.from_ms, plan->starts.to_ms };
    struct exec_range backs = { plan->bounds[0], plan->reads.to_ms };
    struct err err = take_arrays(&plain);
    for (uint32_t i = 0; i < plan->start.event_count && !err.code; i++)
        err = take_type(&plain, plan->start.events[i], starts, true);
    for (uint32_t i = 0; i < plan->back.event_count && !err.code; i++)
        err = take_type(&plain, plan->back.events[i], backs, false);
    for (uint32_t row = 0; row < task->rows && !err.code; row++)
        err = count_row(&plain, row);
    return err;
}

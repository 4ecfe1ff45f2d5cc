/*
 * did.c - DID: an aggregate of each user's events of a step, compared with a number.
 *
 * Most conditions need no order among a user's events: one or two numbers per user row, in flat
 * arrays, while the slices pass by. `COUNT` without a filter is a difference of run starts: no
 * event is touched; where the span cuts a month, a user's first and last time mostly tell that all of
 * the run is inside. What does need the order of a user's events across event types (the first, the
 * last, the nth; days of several types) or their distinct values gathers *hits* first and sorts
 * them.
 */
#include "base/bits.h"
#include "query/members.h"

#include <math.h>
#include <stdlib.h>

struct hit {
    uint32_t row;
    uint32_t value; /* number of the value, for DISTINCT */
    int64_t time_ms;
    uint64_t seq;
    double number; /* NAN: it has none */
};

/* Per user row. */
struct sums {
    uint32_t *counts;  /* events in time */
    uint32_t *numbers; /* of them, those that have the number; DAYS: days */
    double *sum;       /* or the least, or the greatest */
    int32_t *last_day;
};

struct did_run {
    struct exec_task *task;
    const struct did_plan *plan;
    struct sums sums;
    struct hit *hits;
    size_t hit_count;
    size_t hit_cap;
    struct values *values;
};

struct err did_compile(struct exec *exec, const struct did *tree, struct did_plan *out)
{
    *out = (struct did_plan){ .tree = tree };
    struct err err = exec_step(exec, &tree->step, &out->step);
    if (!err.code)
        err = exec_resolve_span(exec, &tree->time, &out->range);
    if (!err.code && tree->aggregate >= AGGREGATE_SUM)
        err = exec_property(exec, tree->property.text, &tree->property.at, &out->property);
    if (err.code)
        return err;
    uint32_t numbers = 1u << VALUE_INT | 1u << VALUE_REAL;
    bool is_numeric = tree->aggregate >= AGGREGATE_SUM && tree->aggregate != AGGREGATE_DISTINCT;
    if (out->property.is_item)
        return exec_wrong(exec, &tree->property.at,
                          "a condition aggregates properties of events, not of their items");
    if (is_numeric && out->property.types && !(out->property.types & numbers))
        return exec_wrong(exec, &tree->property.at, "\"%.*s\" holds no numbers",
                          (int)(tree->property.text.len < 100 ? tree->property.text.len : 100),
                          (const char *)tree->property.text.ptr);
    return ok();
}

/* --- comparing -------------------------------------------------------------------------- */

static bool compare(const struct did *did, double value)
{
    switch (did->op) {
    case OP_EQ:
        return value == did->number;
    case OP_NE:
        return value != did->number;
    case OP_LT:
        return value < did->number;
    case OP_LE:
        return value <= did->number;
    case OP_GT:
        return value > did->number;
    case OP_GE:
        return value >= did->number;
    default:
        return value >= did->number && value <= did->number2;
    }
}

/* `count` events in time, `numbers` of them with a number, `sum` of those (or an extreme). */
static bool holds(const struct did *did, uint32_t count, uint32_t numbers, double sum)
{
    if (count == 0)
        return did->includes_never;
    switch (did->aggregate) {
    case AGGREGATE_COUNT:
        return compare(did, count);
    case AGGREGATE_DAYS:
    case AGGREGATE_DISTINCT:
        return compare(did, numbers);
    case AGGREGATE_SUM:
        return compare(did, sum);
    case AGGREGATE_AVG:
        return numbers > 0 && compare(did, sum / numbers);
    case AGGREGATE_AVG_ALL:
        return compare(did, sum / count);
    case AGGREGATE_MIN:
    case AGGREGATE_MAX:
        break;
    }
    return numbers > 0 && compare(did, sum);
}

/* --- without order --------------------------------------------------------------------------- */

static bool needs_hits(const struct did_plan *plan)
{
    const struct did *did = plan->tree;
    return did->occurrence != OCCURRENCE_EACH || did->aggregate == AGGREGATE_DISTINCT ||
           (did->aggregate == AGGREGATE_DAYS && plan->step.event_count > 1);
}

static struct err init_sums(struct did_run *run)
{
    struct arena *keep = run->task->keep;
    size_t rows = run->task->rows + (size_t)1;
    enum aggregate aggregate = run->plan->tree->aggregate;

    run->sums.counts = arena_calloc(keep, rows, sizeof(uint32_t));
    if (!run->sums.counts)
        return exec_no_memory();
    if (aggregate == AGGREGATE_COUNT)
        return ok();
    run->sums.numbers = arena_calloc(keep, rows, sizeof(uint32_t));
    if (!run->sums.numbers)
        return exec_no_memory();
    if (aggregate == AGGREGATE_DAYS) {
        run->sums.last_day = arena_alloc(keep, rows * sizeof(int32_t));
        if (!run->sums.last_day)
            return exec_no_memory();
        for (size_t i = 0; i < rows; i++)
            run->sums.last_day[i] = INT32_MIN;
        return ok();
    }
    run->sums.sum = arena_calloc(keep, rows, sizeof(double));
    return run->sums.sum ? ok() : exec_no_memory();
}

static uint32_t count_range(const struct selection *selection, uint32_t from, uint32_t to)
{
    uint32_t count = 0;
    if (!selection->bits)
        return to - from;
    while (from < to) {
        uint64_t word = selection->bits[from >> 6] >> (from & 63);
        uint32_t n = 64 - (from & 63);
        if (n > to - from) {
            n = to - from;
            word &= (UINT64_C(1) << n) - 1;
        }
        count += (uint32_t)__builtin_popcountll(word);
        from += n;
    }
    return count;
}

static void add_number(struct did_run *run, uint32_t row, double number)
{
    double *sum = &run->sums.sum[row];
    bool is_first = run->sums.numbers[row]++ == 0;
    switch (run->plan->tree->aggregate) {
    case AGGREGATE_MIN:
        *sum = is_first || number < *sum ? number : *sum;
        break;
    case AGGREGATE_MAX:
        *sum = is_first || number > *sum ? number : *sum;
        break;
    default:
        *sum += number;
        break;
    }
}

static struct err add_days(struct did_run *run, struct exec_slice *slice,
                           const struct selection *selection)
{
    const struct zone *zone = run->task->exec->zone;
    const struct store_slice *own = &slice->slice;
    struct err err = exec_slice_times(run->task, slice);
    int64_t end = INT64_MIN; /* of the day that was looked at last */
    int64_t start = INT64_MIN;
    int32_t day = 0;

    for (uint32_t u = 0; u < own->users && !err.code; u++) {
        for (uint32_t i = own->start[u]; i < own->start[u + 1]; i++) {
            if (!is_selected(selection, i))
                continue;
            int64_t time_ms = own->base_ms + own->time[i];
            if (time_ms < start || time_ms >= end) {
                day = zone_day(zone, time_ms);
                start = zone_day_start_ms(zone, day);
                end = zone_day_start_ms(zone, day + 1);
            }
            run->sums.numbers[own->row[u]] += day != run->sums.last_day[own->row[u]];
            run->sums.last_day[own->row[u]] = day;
        }
    }
    return err;
}

static struct err add_numbers(struct did_run *run, struct exec_slice *slice,
                              const struct selection *selection)
{
    const struct store_slice *own = &slice->slice;
    struct exec_columns columns;
    double number;

    struct err err = exec_columns(run->task, slice, run->plan->property.property,
                                  1u << VALUE_INT | 1u << VALUE_REAL, &columns);
    if (err.code || columns.types == 0)
        return err;
    for (uint32_t u = 0; u < own->users; u++)
        for (uint32_t i = own->start[u]; i < own->start[u + 1]; i++)
            if (is_selected(selection, i) && exec_columns_number(&columns, i, &number))
                add_number(run, own->row[u], number);
    return ok();
}

static struct err add_slice(struct did_run *run, struct exec_slice *slice,
                            const struct selection *selection)
{
    const struct store_slice *own = &slice->slice;
    for (uint32_t u = 0; u < own->users; u++)
        run->sums.counts[own->row[u]] += count_range(selection, own->start[u], own->start[u + 1]);
    if (run->plan->tree->aggregate == AGGREGATE_COUNT)
        return ok();
    return run->plan->tree->aggregate == AGGREGATE_DAYS ? add_days(run, slice, selection)
                                                        : add_numbers(run, slice, selection);
}

/* --- with hits ------------------------------------------------------------------------------------ */

static struct err add_hit(struct did_run *run, struct hit hit)
{
    if (run->hit_count == run->hit_cap) {
        size_t cap = run->hit_cap ? run->hit_cap * 2 : 1024;
        if (cap * sizeof hit > run->task->memory_bytes)
            return exec_no_memory();
        struct hit *grown = realloc(run->hits, cap * sizeof hit);
        if (!grown)
            return exec_no_memory();
        run->hits = grown;
        run->hit_cap = cap;
    }
    run->hits[run->hit_count++] = hit;
    return ok();
}

static struct err hit_slice(struct did_run *run, struct exec_slice *slice,
                            const struct selection *selection)
{
    const struct store_slice *own = &slice->slice;
    enum aggregate aggregate = run->plan->tree->aggregate;
    struct exec_columns columns = { .types = 0 };
    const uint32_t *numbers = NULL;

    struct err err = exec_slice_times(run->task, slice);
    if (!err.code)
        err = exec_slice_seqs(run->task, slice);
    if (!err.code && aggregate == AGGREGATE_DISTINCT) {
        struct exec_key key = { .kind = KEY_PROPERTY, .property = run->plan->property };
        err = exec_key_numbers(run->task, run->values, slice, &key, selection, &numbers);
    } else if (!err.code && aggregate >= AGGREGATE_SUM) {
        err = exec_columns(run->task, slice, run->plan->property.property,
                           1u << VALUE_INT | 1u << VALUE_REAL, &columns);
    }
    for (uint32_t u = 0; u < own->users && !err.code; u++) {
        for (uint32_t i = own->start[u]; i < own->start[u + 1] && !err.code; i++) {
            struct hit hit = { .row = own->row[u],
                               .time_ms = own->base_ms + own->time[i],
                               .seq = own->seq[i],
                               .number = NAN };
            if (!is_selected(selection, i))
                continue;
            if (numbers)
                hit.value = numbers[i];
            (void)exec_columns_number(&columns, i, &hit.number);
            err = add_hit(run, hit);
        }
    }
    return err;
}

static int compare_hits(const void *a, const void *b)
{
    const struct hit *left = a;
    const struct hit *right = b;
    if (left->row != right->row)
        return left->row < right->row ? -1 : 1;
    if (left->time_ms != right->time_ms)
        return left->time_ms < right->time_ms ? -1 : 1;
    return (left->seq > right->seq) - (left->seq < right->seq);
}

static int compare_values(const void *a, const void *b)
{
    uint32_t left = ((const struct hit *)a)->value;
    uint32_t right = ((const struct hit *)b)->value;
    return (left > right) - (left < right);
}

/* A user's hits in order, cut down to the occurrence that's asked for. */
static void narrow(const struct did *did, struct hit **hits, size_t *count)
{
    switch (did->occurrence) {
    case OCCURRENCE_EACH:
        return;
    case OCCURRENCE_FIRST:
        *count = 1;
        return;
    case OCCURRENCE_LAST:
        *hits += *count - 1;
        *count = 1;
        return;
    case OCCURRENCE_NTH:
        if (*count < did->nth) {
            *count = 0;
            return;
        }
        *hits += did->nth - 1;
        *count = 1;
        return;
    }
}

/* Moves the hits that are in time to the front; how many they are. */
static size_t keep_in_time(struct hit *hits, size_t count, struct exec_range range)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        if (hits[i].time_ms >= range.from_ms && hits[i].time_ms < range.to_ms)
            hits[kept++] = hits[i];
    return kept;
}

static void sum_user(struct did_run *run, struct hit *hits, size_t count)
{
    enum aggregate aggregate = run->plan->tree->aggregate;
    const struct zone *zone = run->task->exec->zone;
    uint32_t row = hits[0].row;

    narrow(run->plan->tree, &hits, &count);
    count = keep_in_time(hits, count, run->plan->range);
    run->sums.counts[row] = (uint32_t)count;
    if (aggregate == AGGREGATE_DISTINCT)
        qsort(hits, count, sizeof *hits, compare_values);
    for (size_t i = 0; i < count; i++) {
        if (aggregate == AGGREGATE_DISTINCT) {
            run->sums.numbers[row] +=
                hits[i].value != 0 && (i == 0 || hits[i].value != hits[i - 1].value);
        } else if (aggregate == AGGREGATE_DAYS) {
            int32_t day = zone_day(zone, hits[i].time_ms);
            run->sums.numbers[row] += day != run->sums.last_day[row];
            run->sums.last_day[row] = day;
        } else if (aggregate >= AGGREGATE_SUM && !isnan(hits[i].number)) {
            add_number(run, row, hits[i].number);
        }
    }
}

static void sum_hits(struct did_run *run)
{
    if (run->hit_count)
        qsort(run->hits, run->hit_count, sizeof *run->hits, compare_hits);
    for (size_t i = 0; i < run->hit_count;) {
        size_t end = i;
        while (end < run->hit_count && run->hits[end].row == run->hits[i].row)
            end++;
        sum_user(run, run->hits + i, end - i);
        i = end;
    }
}

/* --- counts of runs --------------------------------------------------------------------------------- */

static bool counts_runs(const struct did_plan *plan, uint32_t event)
{
    return plan->tree->occurrence == OCCURRENCE_EACH && plan->tree->aggregate == AGGREGATE_COUNT &&
           filter_must_match(plan->step.filter, event);
}

/* How many of the run's times, which ascend, are `from` + 0 … span. */
static uint32_t count_times(const uint32_t *times, uint32_t count, uint32_t from, uint32_t span)
{
    uint32_t first = 0;
    while (first < count && times[first] < from)
        first++;
    while (count > first && times[count - 1] - from > span)
        count--;
    return count - first;
}

static struct err add_runs(struct did_run *run, struct exec_slice *slice, struct exec_range range)
{
    const struct store_slice *own = &slice->slice;
    uint32_t *counts = run->sums.counts;
    if (range.from_ms <= own->base_ms && range.to_ms >= slice->end_ms) {
        for (uint32_t u = 0; u < own->users; u++)
            counts[own->row[u]] += own->start[u + 1] - own->start[u];
        return ok();
    }
    int64_t from = range.from_ms > own->base_ms ? range.from_ms - own->base_ms : 0;
    int64_t to = (range.to_ms < slice->end_ms ? range.to_ms : slice->end_ms) - own->base_ms;
    if (to <= from)
        return ok();
    struct err err = exec_slice_times(run->task, slice);
    if (err.code)
        return err;
    uint32_t least = (uint32_t)from;
    uint32_t span = (uint32_t)(to - from - 1);
    for (uint32_t u = 0; u < own->users; u++) {
        uint32_t start = own->start[u];
        uint32_t end = own->start[u + 1];
        bool is_whole = own->time[start] >= least && own->time[end - 1] - least <= span;
        counts[own->row[u]] +=
            is_whole ? end - start : count_times(own->time + start, end - start, least, span);
    }
    return ok();
}

/* --- a shard --------------------------------------------------------------------------------------- */

static struct err did_month(struct did_run *run, uint32_t event, int32_t month,
                            struct exec_range range)
{
    struct exec_slice slice;
    struct selection selection;

    arena_reset(run->task->scratch);
    struct err err = exec_slice_open(run->task, event, month, &slice);
    if (err.code || slice.slice.events == 0)
        return err;
    if (counts_runs(run->plan, event))
        return add_runs(run, &slice, range);
    err = exec_slice_select(run->task, &slice, range, run->plan->step.filter, &selection);
    if (err.code || selection.count == 0)
        return err;
    return needs_hits(run->plan) ? hit_slice(run, &slice, &selection)
                                 : add_slice(run, &slice, &selection);
}

static struct err did_months(struct did_run *run)
{
    const struct did_plan *plan = run->plan;
    struct exec_range range = plan->range;
    struct err err = ok();

    if (plan->tree->occurrence != OCCURRENCE_EACH) /* which one it is, all of time tells */
        range = exec_clip(run->task->exec,
                          (struct exec_range){ .from_ms = INT64_MIN, .to_ms = INT64_MAX });
    for (uint32_t e = 0; e < plan->step.event_count && !err.code; e++) {
        const int32_t *found;
        uint32_t count;
        err = exec_months(run->task, plan->step.events[e], range, &found, &count);
        int32_t *months =
            err.code ? NULL : arena_alloc(run->task->keep, (count + 1u) * sizeof *months);
        if (!err.code && !months)
            err = exec_no_memory();
        if (!err.code && count)
            memcpy(months, found, count * sizeof *months);
        for (uint32_t m = 0; m < count && !err.code; m++)
            err = did_month(run, plan->step.events[e], months[m], range);
    }
    return err;
}

static void set_bits(const struct did_run *run, uint64_t *bits)
{
    const struct did *did = run->plan->tree;
    const struct sums *sums = &run->sums;
    uint8_t small[256]; /* what a small count says by itself */

    for (uint32_t count = 0; count < 256; count++)
        small[count] = holds(did, count, 0, 0);
    bool is_count = did->aggregate == AGGREGATE_COUNT;
    for (uint32_t row = 0; row < run->task->rows; row++) {
        uint32_t count = sums->counts[row];
        bool is_in = is_count && count < 256
                         ? small[count]
                         : holds(did, count, sums->numbers ? sums->numbers[row] : 0,
                                 sums->sum ? sums->sum[row] : 0);
        bits[row >> 6] |= (uint64_t)is_in << (row & 63);
    }
}

struct err did_run(struct exec_task *task, const struct did_plan *plan, uint64_t *bits)
{
    struct did_run run = { .task = task, .plan = plan };

    struct err err = init_sums(&run);
    if (!err.code && plan->tree->aggregate == AGGREGATE_DISTINCT)
        err = values_new(task->keep, task->memory_bytes, &run.values);
    if (!err.code)
        err = did_months(&run);
    if (!err.code && needs_hits(plan))
        sum_hits(&run);
    if (!err.code)
        set_bits(&run, bits);
    values_free(run.values);
    free(run.hits);
    return err;
}

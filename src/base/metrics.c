/*
 * metrics.c - a list that only grows, and its text.
 *
 * Metrics push themselves to the front of one list when they're first used. Nothing is ever taken
 * from it, so it needs no lock: who reads it sees those that were there at that moment.
 */
#include "base/metrics.h"

#include <stdio.h>
#include <stdlib.h>

#define US INT64_C(1000)
#define MS INT64_C(1000000)
#define S  INT64_C(1000000000)

const struct metric_bounds metric_bounds_seconds = {
    .scale = 1e9,
    .count = 16,
    .at = { 50 * US, 100 * US, 250 * US, 500 * US, 1 * MS, 2500 * US, 5 * MS, 10 * MS, 25 * MS,
            50 * MS, 100 * MS, 250 * MS, 1 * S, 5 * S, 15 * S, 60 * S },
};

const struct metric_bounds metric_bounds_bytes = {
    .scale = 1,
    .count = 11,
    .at = { 1 << 8, 1 << 10, 1 << 12, 1 << 14, 1 << 16, 1 << 18, 1 << 20, 1 << 22, 1 << 24, 1 << 26,
            1 << 28 },
};

static _Atomic(struct metric *) known;

void metrics_register(struct metric *metric)
{
    if (atomic_load_explicit(&metric->is_known, memory_order_relaxed) ||
        atomic_exchange(&metric->is_known, true))
        return;
    struct metric *first = atomic_load(&known);
    do
        atomic_store(&metric->next, first);
    while (!atomic_compare_exchange_weak(&known, &first, metric));
}

void metric_add(struct metric *metric, int64_t n)
{
    assert(metric->kind == METRIC_KIND_GAUGE || (metric->kind == METRIC_KIND_COUNTER && n >= 0));
    metrics_register(metric);
    atomic_fetch_add_explicit(&metric->value, n, memory_order_relaxed);
}

void metric_set(struct metric *metric, int64_t value)
{
    assert(metric->kind == METRIC_KIND_GAUGE);
    metrics_register(metric);
    atomic_store_explicit(&metric->value, value, memory_order_relaxed);
}

void metric_observe(struct metric *metric, int64_t value)
{
    assert(metric->kind == METRIC_KIND_HISTOGRAM);
    metrics_register(metric);
    size_t bucket = 0;
    while (bucket < metric->bounds->count && value > metric->bounds->at[bucket])
        bucket++;
    atomic_fetch_add_explicit(&metric->buckets[bucket], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&metric->value, value, memory_order_relaxed);
}

int64_t metric_value(const struct metric *metric)
{
    if (metric->kind != METRIC_KIND_HISTOGRAM)
        return atomic_load_explicit(&metric->value, memory_order_relaxed);
    uint64_t count = 0;
    for (size_t i = 0; i <= metric->bounds->count; i++)
        count += atomic_load_explicit(&metric->buckets[i], memory_order_relaxed);
    return (int64_t)count;
}

/* --- text --------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
    const struct metric *left = *(struct metric *const *)a;
    const struct metric *right = *(struct metric *const *)b;
    int order = strcmp(left->name, right->name);
    return order ? order : strcmp(left->labels, right->labels);
}

static void put_head(struct buf *buf, const struct metric *metric)
{
    static const char *const kinds[] = { "counter", "gauge", "histogram" };
    buf_printf(buf, "# HELP %s %s\n# TYPE %s %s\n", metric->name, metric->help, metric->name,
               kinds[metric->kind]);
}

static void put_number(struct buf *buf, const struct metric *metric)
{
    const char *open = metric->labels[0] ? "{" : "";
    const char *close = metric->labels[0] ? "}" : "";
    buf_printf(buf, "%s%s%s%s %lld\n", metric->name, open, metric->labels, close,
               (long long)metric_value(metric));
}

static void put_histogram(struct buf *buf, const struct metric *metric)
{
    const struct metric_bounds *bounds = metric->bounds;
    const char *open = metric->labels[0] ? "{" : "";
    const char *close = metric->labels[0] ? "}" : "";
    const char *comma = metric->labels[0] ? "," : "";
    unsigned long long count = 0;

    for (size_t i = 0; i <= bounds->count; i++) {
        char bound[32] = "+Inf";
        if (i < bounds->count)
            (void)snprintf(bound, sizeof bound, "%.12g", (double)bounds->at[i] / bounds->scale);
        count += atomic_load_explicit(&metric->buckets[i], memory_order_relaxed);
        buf_printf(buf, "%s_bucket{%s%sle=\"%s\"} %llu\n", metric->name, metric->labels, comma,
                   bound, count);
    }
    double sum = (double)atomic_load_explicit(&metric->value, memory_order_relaxed);
    buf_printf(buf, "%s_sum%s%s%s %.12g\n", metric->name, open, metric->labels, close,
               sum / bounds->scale);
    buf_printf(buf, "%s_count%s%s%s %llu\n", metric->name, open, metric->labels, close, count);
}

void metrics_put(struct buf *buf)
{
    struct metric *first = atomic_load(&known);
    size_t count = 0;
    for (struct metric *metric = first; metric; metric = atomic_load(&metric->next))
        count++;
    if (count == 0)
        return;
    struct metric **sorted = calloc(count, sizeof(struct metric *));
    if (!sorted) {
        buf->is_failed = true;
        return;
    }
    size_t at = 0;
    for (struct metric *metric = first; metric; metric = atomic_load(&metric->next))
        sorted[at++] = metric;
    qsort(sorted, count, sizeof(struct metric *), compare);

    for (size_t i = 0; i < count; i++) {
        if (i == 0 || strcmp(sorted[i - 1]->name, sorted[i]->name) != 0)
            put_head(buf, sorted[i]);
        if (sorted[i]->kind == METRIC_KIND_HISTOGRAM)
            put_histogram(buf, sorted[i]);
        else
            put_number(buf, sorted[i]);
    }
    free(sorted);
}

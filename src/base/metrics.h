/*
 * metrics.h - counters, gauges and histograms of this process, as Prometheus reads them.
 *
 *     static struct metric requests =
 *         METRIC_COUNTER("kolam_http_requests_total", "Requests answered.", "code=\"200\"");
 *     static struct metric waits =
 *         METRIC_SECONDS("kolam_log_sync_seconds", "Time of a sync of the log.", "");
 *
 *     metric_add(&requests, 1);
 *     metric_observe(&waits, nanoseconds);
 *
 * A metric has static storage: it's known to metrics_put from its first use, or from
 * metrics_register, for the life of the process. Metrics of one name differ in their labels and agree
 * in the rest. Changing one is an atomic addition or two, from any thread.
 */
#ifndef BASE_METRICS_H
#define BASE_METRICS_H

#include "base/buf.h"

#include <stdatomic.h>

enum metric_kind { METRIC_KIND_COUNTER, METRIC_KIND_GAUGE, METRIC_KIND_HISTOGRAM };

enum { METRIC_BUCKETS = 16 };

/* Upper bounds of the buckets, rising, in the unit that's observed; another bucket takes the rest. */
struct metric_bounds {
    double scale; /* observed units in one that's shown: 1e9 for ns shown as seconds */
    size_t count; /* METRIC_BUCKETS at most */
    int64_t at[METRIC_BUCKETS];
};

extern const struct metric_bounds metric_bounds_seconds; /* of ns: 50 us to 60 s */
extern const struct metric_bounds metric_bounds_bytes;   /* 256 bytes to 256 MiB */

struct metric {
    enum metric_kind kind;
    const char *name;
    const char *help;
    const char *labels; /* literal: "" or "code=\"200\",method=\"GET\"" */
    const struct metric_bounds *bounds;
    _Atomic(struct metric *) next;
    atomic_bool is_known;
    atomic_int_fast64_t value; /* a histogram's sum */
    atomic_uint_fast64_t buckets[METRIC_BUCKETS + 1];
};

#define METRIC_OF(kind_, name_, help_, labels_, bounds_)                                           \
    {                                                                                              \
        .kind = (kind_), .name = "" name_, .help = "" help_, .labels = "" labels_,                 \
        .bounds = (bounds_),                                                                       \
    }
/* Only goes up; its name ends in _total. */
#define METRIC_COUNTER(name, help, labels) METRIC_OF(METRIC_KIND_COUNTER, name, help, labels, NULL)
#define METRIC_GAUGE(name, help, labels)   METRIC_OF(METRIC_KIND_GAUGE, name, help, labels, NULL)
/* Observed in nanoseconds, shown in seconds; its name ends in _seconds. */
#define METRIC_SECONDS(name, help, labels)                                                         \
    METRIC_OF(METRIC_KIND_HISTOGRAM, name, help, labels, &metric_bounds_seconds)
/* Its name ends in _bytes. */
#define METRIC_BYTES(name, help, labels)                                                           \
    METRIC_OF(METRIC_KIND_HISTOGRAM, name, help, labels, &metric_bounds_bytes)

/* Makes metrics known before their first use, so that they're shown as 0. */
void metrics_register(struct metric *metric);

/* Counters (n >= 0) and gauges. */
void metric_add(struct metric *metric, int64_t n);
/* Gauges. */
void metric_set(struct metric *metric, int64_t value);
/* Histograms. */
void metric_observe(struct metric *metric, int64_t value);
/* Of a counter or gauge; how many were observed, of a histogram. */
int64_t metric_value(const struct metric *metric);

/* All known metrics in Prometheus' text format 0.0.4, sorted by name and labels. */
void metrics_put(struct buf *buf);

#endif

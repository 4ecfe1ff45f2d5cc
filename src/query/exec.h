/*
 * exec.h - what every report runs on: names resolved, times in UTC, filters as bitmaps, a task per
 * shard, limits.
 *
 *     exec_init(&exec, …);                            the caller's thread
 *     exec_step(&exec, &tree_step, &step);            resolve and compile; errors point
 *     exec_resolve_span(&exec, &span, &range);
 *     exec_run_shards(&exec, my_task, ctx);           my_task(task, ctx) once per shard, in parallel
 *         exec_months(task, event, range, &months, &count);
 *         exec_slice_open(task, event, month, &slice);
 *         exec_slice_select(task, &slice, range, filter, &selection);
 *     exec_table_…                                    the answer
 *     exec_done(&exec);
 *
 * What is compiled is read only, so that tasks share it. Memory for results is `task->keep` (until
 * exec_done), for the work in between `task->scratch` (reset it when a month is done).
 */
#ifndef QUERY_EXEC_H
#define QUERY_EXEC_H

#include "base/map.h"
#include "query/tree.h"

struct exec_keep; /* the tasks' arenas */

struct exec {
    const struct query *query;
    const struct query_source *source;
    const struct query_options *options;
    struct query_problem *problem;
    struct arena *arena; /* of what is compiled; the caller's thread only */
    const struct zone *zone;
    const struct store_ops *ops;
    struct store_snapshot *snapshot;
    const struct catalog *catalog;
    uint32_t shards;
    uint32_t users;       /* all user numbers are below it */
    int64_t now_ms;       /* or the time of AS OF */
    int64_t cut_ms;       /* AS OF: events from here on don't exist; else INT64_MAX */
    size_t memory_bytes;  /* of all tasks together */
    int64_t deadline_ns;  /* of the clock's mono_ns; INT64_MAX without a clock */
    atomic_int stopped;   /* an err_code: the tasks that still run stop too */
    uint64_t rows_before; /* read from the snapshot before this run */
    uint64_t bytes_before;
    int64_t started_ns;
    struct exec_keep *keeps;
    struct bytes warnings[8];
    uint32_t warning_count;
    bool is_open; /* of the answer: some windows haven't ended */
};

/* `arena` is kept until exec_done. ERR_INVALID for an unknown time zone. */
MUST_CHECK struct err exec_init(struct exec *exec, const struct query *query,
                                const struct query_source *source,
                                const struct query_options *options, struct arena *arena,
                                struct query_problem *problem);
void exec_done(struct exec *exec);

/* ERR_CANCELLED, or ERR_LIMIT when the time is up. Any thread; call it at least once a slice. */
MUST_CHECK struct err exec_check(struct exec *exec);
/* ERR_INVALID about the place. The caller's thread. */
__attribute__((format(printf, 3, 4))) struct err
exec_wrong(struct exec *exec, const struct place *at, const char *format, ...);
struct err exec_no_memory(void); /* ERR_NOMEM; becomes ERR_LIMIT with a message in query_run */
__attribute__((format(printf, 2, 3))) void exec_warn(struct exec *exec, const char *format, ...);

/* --- names and times -------------------------------------------------------------------- */

/* ERR_INVALID with the nearest name, unless unknown names are allowed: then CATALOG_NONE. */
MUST_CHECK struct err exec_event(struct exec *exec, const struct name *name, uint32_t *event_out);
MUST_CHECK struct err exec_profile_property(struct exec *exec, struct bytes name,
                                            const struct place *at, uint32_t *property_out);

/* A property of events, or ("Items.…") of the items of events. */
struct exec_property {
    uint32_t property; /* CATALOG_NONE: unknown, no event has it */
    bool is_item;
    uint32_t types; /* bit (1 << value_type): seen with some event */
};
MUST_CHECK struct err exec_property(struct exec *exec, struct bytes name, const struct place *at,
                                    struct exec_property *out);
/* The types that this event type (or its items) has the property in. */
uint32_t exec_property_types(const struct exec *exec, const struct exec_property *property,
                             uint32_t event);

struct exec_range {
    int64_t from_ms;
    int64_t to_ms; /* exclusive */
};
MUST_CHECK struct err exec_resolve_span(struct exec *exec, const struct span *span,
                                        struct exec_range *out);
/* is_end: of a BETWEEN; a day is then its end, an instant the millisecond after it. */
MUST_CHECK struct err exec_resolve_when(struct exec *exec, const struct when *when, bool is_end,
                                        int64_t *time_ms_out);
/* No time within is outside what the store can hold; both, cut to what's asked AS OF. */
struct exec_range exec_clip(const struct exec *exec, struct exec_range range);

/* --- filters ------------------------------------------------------------------------------ */

struct filter; /* compiled; NULL: everything matches */

MUST_CHECK struct err exec_filter(struct exec *exec, const struct condition *condition,
                                  struct filter **out);
/* False: no event of this type can match. */
bool filter_may_match(const struct filter *filter, uint32_t event);
/* True: every event of this type matches. */
bool filter_must_match(const struct filter *filter, uint32_t event);
/* Does it compare properties of events? */
bool filter_has_columns(const struct filter *filter);

struct exec_step {
    const uint32_t *events; /* types that may match, ascending; no item types */
    uint32_t event_count;
    const struct filter *filter;
};
MUST_CHECK struct err exec_step(struct exec *exec, const struct step *step, struct exec_step *out);
/* All event types that may match a filter. */
MUST_CHECK struct err exec_filter_events(struct exec *exec, const struct filter *filter,
                                         struct exec_step *out);

/* One event on its own, with its items. */
struct exec_event_row {
    uint32_t event;
    uint32_t user;
    int64_t time_ms;
    uint64_t seq;
    const struct store_property *properties;
    uint32_t property_count;
    const struct exec_event_row *items;
    uint32_t item_count;
};
MUST_CHECK struct err exec_filter_row(struct exec *exec, const struct filter *filter,
                                      const struct exec_event_row *row, struct arena *scratch,
                                      bool *out);

/* A bit for each user number that the condition on profiles holds for; of the exec's arena. */
MUST_CHECK struct err exec_match_profiles(struct exec *exec, const struct compare *compare,
                                          uint64_t **users_out);

/* --- tasks ----------------------------------------------------------------------------------- */

struct exec_task {
    struct exec *exec;
    uint32_t shard;
    uint32_t rows; /* user rows of the shard are below it; user = row * shards + shard */
    struct arena *keep;
    struct arena *scratch;
    size_t memory_bytes; /* what each of the two may take; for tables with their own limit */
};
typedef struct err exec_task_fn(struct exec_task *task, void *ctx);
/* The first error (by shard) is returned. */
MUST_CHECK struct err exec_run_shards(struct exec *exec, exec_task_fn *fn, void *ctx);

static inline uint32_t task_user(const struct exec_task *task, uint32_t row)
{
    return row * task->exec->shards + task->shard;
}

/* --- slices ------------------------------------------------------------------------------------- */

struct exec_slice {
    struct store_slice slice;
    uint32_t event;
    int32_t month;
    int64_t end_ms; /* the next month's start */
};

/* The months that hold events of the type in the range; in scratch. */
MUST_CHECK struct err exec_months(struct exec_task *task, uint32_t event, struct exec_range range,
                                  const int32_t **months_out, uint32_t *count_out);
/* The months of any of these types, ascending, each once; in scratch. */
MUST_CHECK struct err exec_months_of(struct exec_task *task, const uint32_t *events, uint32_t count,
                                     struct exec_range range, const int32_t **months_out,
                                     uint32_t *count_out);
/* Users and runs only; slice.users is 0 when the month has none of the type. */
MUST_CHECK struct err exec_slice_open(struct exec_task *task, uint32_t event, int32_t month,
                                      struct exec_slice *out);
MUST_CHECK struct err exec_slice_times(struct exec_task *task, struct exec_slice *slice);
MUST_CHECK struct err exec_slice_seqs(struct exec_task *task, struct exec_slice *slice);

struct selection {
    const uint64_t *bits; /* per event of the slice; NULL: all of them */
    uint32_t count;
};
/* The events of the slice within the range that match the filter; in scratch. Reads times only when
 * the range cuts the month. */
MUST_CHECK struct err exec_slice_select(struct exec_task *task, struct exec_slice *slice,
                                        struct exec_range range, const struct filter *filter,
                                        struct selection *out);
static inline bool is_selected(const struct selection *selection, uint32_t event)
{
    return !selection->bits || (selection->bits[event >> 6] >> (event & 63) & 1);
}

/* --- values and keys -------------------------------------------------------------------------------- */

/*
 * Values as small numbers: equal values have one number, whatever slice they come from; 0 is the
 * absent value. A whole real equals its integer. One thread at a time: one per task, and one to
 * bring the tasks' together.
 */
struct values;
MUST_CHECK struct err values_new(struct arena *arena, size_t limit_bytes, struct values **out);
void values_free(struct values *values);
MUST_CHECK struct err values_put(struct values *values, const struct value *value,
                                 uint32_t *number_out);
/* False: not there. */
bool values_find(const struct values *values, const struct value *value, uint32_t *number_out);
struct value values_get(const struct values *values, uint32_t number); /* lives as long as values */
uint32_t values_count(const struct values *values);

/* For rows: absent last (then `other`), else booleans, numbers, times, texts, lists; each ascending. */
int value_order(const struct value *a, const struct value *b);

/* A key, resolved. */
struct exec_key {
    enum key_kind kind;
    enum calendar_unit unit;
    struct exec_property property; /* KEY_PROPERTY */
    uint32_t profile_property;     /* KEY_PROFILE */
    struct bytes column;           /* the name of its column, as written */
};
MUST_CHECK struct err exec_key(struct exec *exec, const struct key *key, struct exec_key *out);
MUST_CHECK struct err exec_keys(struct exec *exec, const struct key *keys, uint32_t count,
                                struct exec_key **out);
/* The key's value for each event of the slice, as numbers of `values`; in scratch. KEY_TIME is a
 * VALUE_TIME: the start of the local unit. Needs the slice's times for KEY_TIME (reads them). Only
 * for selected events (others: 0). */
MUST_CHECK struct err exec_key_numbers(struct exec_task *task, struct values *values,
                                       struct exec_slice *slice, const struct exec_key *key,
                                       const struct selection *selection, const uint32_t **out);
/* Of KEY_PROFILE: the user's value. */
MUST_CHECK struct err exec_profile_number(struct exec_task *task, struct values *values,
                                          const struct exec_key *key, uint32_t user,
                                          uint32_t *number_out);

/* A property's columns in a slice, by type; in scratch. Not for item properties. */
struct exec_columns {
    uint32_t types; /* bit (1 << type): column[type] is there */
    struct store_column column[VALUE_TYPES];
};
MUST_CHECK struct err exec_columns(struct exec_task *task, struct exec_slice *slice,
                                   uint32_t property, uint32_t types, struct exec_columns *out);
bool exec_columns_has(const struct exec_columns *columns, enum value_type type, uint32_t event);
/* The value of an event: a number as double. False: it has none. */
bool exec_columns_number(const struct exec_columns *columns, uint32_t event, double *out);

/* --- answers ---------------------------------------------------------------------------------------- */

/* Starts an answer with no columns and no rows. */
MUST_CHECK struct err exec_table_init(struct exec *exec, struct table *table, const char *report,
                                      uint32_t column_count);
/* `name` is copied. */
MUST_CHECK struct err exec_table_column(struct table *table, uint32_t column, struct bytes name,
                                        enum table_type type);
enum table_type exec_key_type(const struct exec *exec, const struct exec_key *key);
/* The cells of a new row, all null. They move with the next row. */
MUST_CHECK struct err exec_table_row(struct table *table, struct table_cell **cells_out);
MUST_CHECK struct err exec_table_done(struct exec *exec, struct table *table); /* the meta */

struct table_cell cell_int(int64_t integer);
struct table_cell cell_real(double real); /* null when it isn't finite */
MUST_CHECK struct err cell_text(struct table *table, struct bytes text, struct table_cell *out);
/* Of a key: dates for days and longer, local date-times for hours and minutes, event names. */
MUST_CHECK struct err cell_key(struct exec *exec, struct table *table, const struct exec_key *key,
                               const struct value *value, struct table_cell *out);
MUST_CHECK struct err cell_value(struct exec *exec, struct table *table, const struct value *value,
                                 struct table_cell *out);

/* --- the reports (one file each) ------------------------------------------------------------------------ */

MUST_CHECK struct err run_select(struct exec *exec, struct table *table);
/* Is it answered by day counts in headers, where parts have them? */
MUST_CHECK struct err select_reads_days(struct exec *exec, bool *out);
MUST_CHECK struct err run_funnel(struct exec *exec, struct table *table);
MUST_CHECK struct err run_retention(struct exec *exec, struct table *table);
MUST_CHECK struct err run_flow(struct exec *exec, struct table *table);
MUST_CHECK struct err run_segment(struct exec *exec, struct table *table);
MUST_CHECK struct err run_users(struct exec *exec, struct table *table);
MUST_CHECK struct err run_events(struct exec *exec, struct table *table);

/* What the report would read, for EXPLAIN: a row per step. */
MUST_CHECK struct err explain_query(struct exec *exec, struct table *table);

#endif

/*
 * tree.h - the one tree that CQL and JSON are both forms of.
 *
 * Made by the two readers (cql.c, tree_json.c), printed by the two printers, executed by select.c,
 * funnel.c, retention.c, flow.c and members.c. Every tree a reader makes is in normal form, so that
 * printing and reading again gives an equal one: `all` and `any` never have exactly one child or a
 * child of their own kind; defaults are filled in. An empty `all` is true, an empty `any` false.
 *
 * All memory is the arena's that it was read into.
 */
#ifndef QUERY_TREE_H
#define QUERY_TREE_H

#include "base/calendar.h"
#include "base/value.h"
#include "query/query.h"

enum {
    TREE_DEPTH_MAX = 32,       /* conditions within conditions */
    TREE_NODES_MAX = 4096,     /* of all kinds in one question */
    TREE_TEXT_MAX = 1 << 16,   /* bytes of CQL; of a text in JSON */
    TREE_NAMES_MAX = 256,      /* events of a step, values of an `in` */
    TREE_STEPS_MAX = 32,       /* of a funnel or sequence */
    TREE_KEYS_MAX = 8,         /* of a GROUP BY or BY */
    TREE_MEASURES_MAX = 32,    /* of a select */
    TREE_PERIODS_MAX = 1000,   /* of a retention */
    TREE_LIMIT_MAX = 10000000, /* of a LIMIT */
    TREE_BUCKETS = 1000,       /* bucket numbers are below it */
    TREE_FLOW_STARTS_MAX = 3,  /* events that a flow starts at */
    TREE_FLOW_STEPS_MAX = 20,
    TREE_FLOW_STEPS = 5, /* unless it's said */
    TREE_FLOW_LIMIT = 1000,
    TREE_FLOW_LIMIT_MAX = 1000000,
};

/* Where a node stood in the question, for errors. */
struct place {
    uint32_t offset; /* CQL */
    uint32_t length;
    struct bytes pointer; /* JSON pointer; empty when it was CQL */
};

/* --- time ------------------------------------------------------------------------- */

enum duration_unit {
    DURATION_MS,
    DURATION_SECOND,
    DURATION_MINUTE,
    DURATION_HOUR,
    DURATION_DAY,  /* 24 hours */
    DURATION_WEEK, /* 7 days */
    DURATION_MONTH,
    DURATION_YEAR, /* of the calendar: only in `n months ago` */
};

struct duration {
    int64_t count; /* 0 or more */
    enum duration_unit unit;
};
/* DURATION_MS … DURATION_WEEK; the readers have checked that it fits. */
int64_t duration_ms(struct duration duration);

enum when_kind {
    WHEN_NONE, /* open */
    WHEN_TEXT, /* a date or date-time; in the question's zone unless it names its own */
    WHEN_AGO,  /* minutes and hours: exactly; days, weeks, months, years: that local day's start */
    WHEN_NOW,
    WHEN_TODAY,
    WHEN_YESTERDAY,
    WHEN_START_OF, /* of the unit that holds now */
};

struct when {
    enum when_kind kind;
    struct place at;
    struct bytes text;
    struct duration ago;
    enum calendar_unit unit;
};

enum span_kind {
    SPAN_ALL,     /* all of time */
    SPAN_RANGE,   /* since <= t < until; either may be WHEN_NONE */
    SPAN_BETWEEN, /* both ends included; an end that's a day is included whole */
    SPAN_IN_LAST, /* now - duration <= t <= now, exactly elapsed */
    SPAN_THIS,    /* the local unit that holds now, to its end */
};

struct span {
    enum span_kind kind;
    struct place at;
    struct when since;
    struct when until;
    struct duration last;
    enum calendar_unit unit;
};

/* --- filters of events, conditions on users -------------------------------------------- */

enum compare_op {
    OP_EQ,
    OP_NE,
    OP_LT,
    OP_LE,
    OP_GT,
    OP_GE,
    OP_BETWEEN, /* two values, both included */
    OP_IN,      /* one or more */
    OP_CONTAINS,
    OP_ICONTAINS /* without case (ASCII) */,
    OP_STARTS,
    OP_ENDS,
    OP_MATCHES, /* a regular expression, anywhere in the text: query/pattern.h */
    OP_EXISTS,  /* no value */
};

struct compare {
    struct bytes name; /* of the property; "Items.Category": of the event's items */
    struct place at;   /* of the name */
    enum compare_op op;
    const struct value *values; /* VALUE_INT, _REAL, _STRING, _BOOL */
    uint32_t value_count;
    struct place values_at;
};

enum condition_kind {
    COND_ALL,
    COND_ANY,
    COND_NOT,
    COND_PROFILE,  /* compare: a property of the user; in filters and conditions */
    COND_PROPERTY, /* compare: filters only */
    COND_EVENT,    /* names: filters only */
    COND_DID,
    COND_SEQUENCE,
    COND_BUCKET, /* conditions only */
};

struct name {
    struct bytes text;
    struct place at;
};

/* Events that any of these match. */
struct step {
    struct place at;
    bool is_any_event;
    const struct name *events;
    uint32_t event_count;          /* 0 when is_any_event */
    const struct condition *where; /* a filter, or NULL */
};

enum aggregate {
    AGGREGATE_COUNT,
    AGGREGATE_DAYS,
    AGGREGATE_SUM,
    AGGREGATE_AVG,
    AGGREGATE_AVG_ALL,
    AGGREGATE_MIN,
    AGGREGATE_MAX,
    AGGREGATE_DISTINCT
};
enum occurrence { OCCURRENCE_EACH, OCCURRENCE_FIRST, OCCURRENCE_LAST, OCCURRENCE_NTH };

/* The step's events, narrowed to the first, last or nth of all time, then to `time`, aggregated,
 * compared. Written without an aggregate it's count >= 1. */
struct did {
    struct step step;
    enum aggregate aggregate;
    struct name property; /* of the aggregates that have one */
    enum compare_op op;   /* OP_EQ … OP_GE, OP_BETWEEN */
    double number;
    double number2; /* of OP_BETWEEN */
    struct span time;
    enum occurrence occurrence;
    uint32_t nth; /* from 1 */
    bool includes_never;
};

struct sequence {
    const struct step *steps;
    uint32_t step_count;
    struct duration within;
    struct span time; /* of the first step */
};

struct condition {
    enum condition_kind kind;
    struct place at;
    const struct condition *const *children; /* COND_ALL, COND_ANY; COND_NOT: one */
    uint32_t child_count;
    union {
        struct compare compare;
        struct {
            const struct name *events;
            uint32_t event_count;
        };
        struct did did;
        struct sequence sequence;
        struct {
            uint32_t bucket_first; /* both included */
            uint32_t bucket_last;
        };
    };
};

/* --- keys and measures ------------------------------------------------------------------- */

enum key_kind { KEY_TIME, KEY_EVENT, KEY_PROPERTY, KEY_PROFILE };

struct key {
    enum key_kind kind;
    struct place at;
    enum calendar_unit unit; /* KEY_TIME */
    struct bytes name;       /* KEY_PROPERTY, KEY_PROFILE */
};

enum expr_kind { EXPR_NUMBER, EXPR_MEASURE, EXPR_ADD, EXPR_SUBTRACT, EXPR_MULTIPLY, EXPR_DIVIDE };
enum measure {
    MEASURE_COUNT,
    MEASURE_USERS,
    MEASURE_SESSIONS,
    MEASURE_SUM,
    MEASURE_AVG,
    MEASURE_MIN,
    MEASURE_MAX,
    MEASURE_DISTINCT,
    MEASURE_PERCENTILE
};

struct expr {
    enum expr_kind kind;
    struct place at;
    double number;
    enum measure measure;
    struct name property;
    double q;                      /* of MEASURE_PERCENTILE: 0 … 1 */
    const struct condition *where; /* count() FILTER (WHERE …): only of these events; or NULL */
    const struct expr *left;
    const struct expr *right;
};

struct item {
    const struct expr *expr;
    struct bytes as; /* empty: named as written */
};

/* --- statements --------------------------------------------------------------------------- */

struct order {
    uint32_t item; /* keys first, then measures */
    bool is_descending;
};

struct select {
    const struct item *items;
    uint32_t item_count;
    const struct condition *where;
    const struct key *keys;
    uint32_t key_count;
    const struct order *order;
    uint32_t order_count;
    bool has_limit;
    uint64_t limit;
    bool has_other; /* LIMIT n WITH OTHER: what the limit cuts, as one exact row */
};

enum attempt { ATTEMPT_BEST, ATTEMPT_FIRST, ATTEMPT_EACH };
enum ties { TIES_ANY, TIES_SEQ, TIES_GRACE };
enum step_order { ORDER_LOOSE, ORDER_STRICT, ORDER_ANY };

struct exclusion {
    struct step step;
    uint32_t from; /* between these steps, from 1; all by default */
    uint32_t to;
    bool is_drop; /* else it cuts */
};

struct funnel {
    const struct step *steps;
    uint32_t step_count;
    struct duration within;
    bool is_window_from_previous; /* WITHIN … OF PREVIOUS: from the step before, not the first */
    enum attempt attempt;
    enum ties ties;
    struct duration grace;
    enum step_order order;
    bool is_strict_among_steps; /* ORDER STRICT AMONG STEPS: other events don't disturb */
    const struct name *holding;
    uint32_t holding_count;
    const struct exclusion *exclusions;
    uint32_t exclusion_count;
    bool is_complete_in_range; /* COMPLETE IN RANGE: no step after the span's end */
    bool is_within_session;    /* WITHIN SESSION: besides the window */
    const struct key *keys;
    uint32_t key_count;
};

enum retention_mode {
    RETENTION_ON,
    RETENTION_ON_OR_AFTER,
    RETENTION_ON_OR_BEFORE,
    RETENTION_STREAK
};

struct retention {
    bool is_first; /* RETENTION OF FIRST: cohort of the first ever start */
    struct step start;
    struct step back; /* RETURNING */
    enum calendar_unit unit;
    uint32_t periods; /* k = 0 … periods - 1 */
    enum retention_mode mode;
    const uint32_t
        *brackets; /* BRACKETS 0, 1, 3, 7: [0,1) [1,3) [3,7) [7, periods); none: each k */
    uint32_t bracket_count;
    bool is_rolling;
    bool counts_birth;
    struct name sum; /* SUM(p): of the returning events, per cell; empty: none */
    const struct key *keys;
    uint32_t key_count;
};

/* EXPAND 'event' BY p: the event's value of p stands for the event. */
struct expansion {
    struct name event;
    struct name property;
};

struct flow {
    bool is_backwards; /* FLOW TO: what came before */
    struct step start;
    uint32_t steps; /* after the start */
    bool has_within;
    struct duration within; /* of the start */
    bool is_collapsed;      /* the same again, at once, is no step */
    const struct name *hidden;
    uint32_t hidden_count;
    const struct name *kept; /* no others are shown; not together with hidden */
    uint32_t kept_count;
    const struct expansion *expansions;
    uint32_t expansion_count;
    uint64_t limit; /* paths */
};

struct segment {
    const struct condition *where;
    struct when as_of;
};

struct users {
    const struct condition *where;
    const struct name *columns;
    uint32_t column_count;
    struct when as_of;
    struct name order_by; /* empty: by user number */
    bool is_descending;
    bool has_limit;
    uint64_t limit;
};

struct events {
    struct name identity;
    const struct condition *where;
    bool has_limit;
    uint64_t limit;
};

enum report {
    REPORT_SELECT,
    REPORT_FUNNEL,
    REPORT_RETENTION,
    REPORT_FLOW,
    REPORT_SEGMENT,
    REPORT_USERS,
    REPORT_EVENTS
};

struct query {
    enum report report;
    bool is_explain;
    bool is_analyze;
    struct bytes text;     /* the CQL it was read from, for places; empty: it was JSON */
    struct span span;      /* select, funnel, retention, flow, events */
    struct name time_zone; /* empty: the project's */
    union {
        struct select select;
        struct funnel funnel;
        struct retention retention;
        struct flow flow;
        struct segment segment;
        struct users users;
        struct events events;
    };
};

/* --- the module's own -------------------------------------------------------------------------- */

/* What the readers share (tree.c). */

/* `all` or `any` of these, in normal form; NULL: no memory. */
const struct condition *tree_join(struct arena *arena, enum condition_kind kind,
                                  const struct condition *const *children, uint32_t count);
/* Levels of nodes; NULL has none. */
uint32_t tree_condition_depth(const struct condition *condition);
uint32_t tree_expr_depth(const struct expr *expr);
bool tree_duration_fits(struct duration duration);
bool tree_time_text_ok(struct bytes text);
/* A number that is whole is an integer in every tree. */
struct value tree_number(double number);
/* Why these values don't go with the operator, or NULL. */
const char *tree_compare_problem(enum compare_op op, const struct value *values, uint32_t count);
uint32_t tree_periods_default(enum calendar_unit unit);
/* The column that is written like this: keys, then measures by alias or text. */
bool tree_find_column(const struct select *select, struct bytes text, uint32_t *item_out);
bool tree_keys_equal(const struct key *a, const struct key *b);

/* The names of things, the same in both forms. */
const char *tree_op_name(enum compare_op op);          /* "eq" … */
const char *tree_unit_name(enum calendar_unit unit);   /* "minute" … */
const char *tree_measure_name(enum measure measure);   /* "count" … */
const char *tree_aggregate_name(enum aggregate which); /* "count" … */

/* Same question (places aside)? For tests. */
bool tree_equal(const struct query *a, const struct query *b);

/* How a key, a measure or a step is written in CQL (put_cql.c); the names of columns. */
void tree_put_key(const struct key *key, struct buf *to);
void tree_put_expr(const struct expr *expr, struct buf *to);
void tree_put_item(const struct item *item, struct buf *to); /* its alias, else its expr */
void tree_put_step(const struct step *step, struct buf *to);

/* Offset, length, line and column. */
void problem_place(struct query_problem *problem, struct bytes text, size_t offset, size_t length);

bool text_is_utf8(struct bytes text, size_t *wrong_at_out);
/* Edits from one to the other without case, or limit + 1 when there are more. */
size_t text_distance(struct bytes a, struct bytes b, size_t limit);

#endif

/*
 * query.h - questions: CQL or JSON to one tree, to a plan, to a table.
 *
 *     struct query_problem problem;
 *     struct query *query;
 *     err = query_parse_cql(text, &arena, &query, &problem);     or query_parse_json
 *     err = query_run(query, &source, &options, &table, &problem);
 *     table_put_json(&table, &buf);  table_done(&table);
 *
 * Meaning: docs/query.md. A query is immutable after parsing and may run many times.
 */
#ifndef QUERY_QUERY_H
#define QUERY_QUERY_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/calendar.h"
#include "catalog/catalog.h"
#include "codec/json.h"
#include "profile/profile.h"
#include "store/store.h"
#include "sys/clock.h"
#include "sys/thread.h"

#include <stdatomic.h>

struct query; /* the tree; its nodes are in query/tree.h, private to the module */

/* What is wrong with a question, for the one who asked. */
struct query_problem {
    struct bytes message;    /* in the arena */
    struct bytes suggestion; /* the nearest known name, or empty */
    size_t offset;           /* CQL: byte offset; where `length` bytes are at fault */
    size_t length;
    uint32_t line; /* from 1 */
    uint32_t column;
    struct bytes pointer; /* JSON form: a JSON pointer, else empty */
};

/* ERR_INVALID with *problem_out filled. The query lives in the arena. */
MUST_CHECK struct err query_parse_cql(struct bytes text, struct arena *arena, struct query **out,
                                      struct query_problem *problem_out);
MUST_CHECK struct err query_parse_json(struct json_value json, struct arena *arena,
                                       struct query **out, struct query_problem *problem_out);
void query_put_cql(const struct query *query, struct buf *to);  /* canonical text */
void query_put_json(const struct query *query, struct buf *to); /* canonical tree */
const char *query_report(const struct query *query);            /* "select", "funnel", … */

/* What a question is asked of: one position of one project. All members are read only and stay as
 * they are for the whole run. Identities are reached through functions, since the graph itself may
 * change meanwhile. */
struct query_source {
    struct store_snapshot *snapshot;
    const struct catalog *catalog; /* a copy or under the caller's read lock */
    const struct profile_view *profiles;
    const struct zone *zone; /* the project's */
    enum weekday week_start;
    int64_t now_ms;
    uint64_t position;
    void *identities;
    uint32_t (*find_user)(void *identities, struct bytes identity); /* USER_NONE's value: nobody */
    /* The text to show for a user, copied into the arena. */
    struct bytes (*show_user)(void *identities, uint32_t user, struct arena *arena);
    bool (*is_living)(void *identities, uint32_t user); /* not merged away, not erased */
    MUST_CHECK struct err (*load_zone)(void *identities, struct bytes name,
                                       const struct zone **out);
};

struct query_options {
    struct bytes time_zone;          /* empty: the tree's, else the project's */
    size_t memory_bytes;             /* 0: 1 GiB */
    int64_t timeout_ms;              /* 0: 60 s */
    const atomic_bool *is_cancelled; /* may be NULL */
    struct thread_pool *pool;        /* may be NULL: the caller's thread */
    struct clock *clock;             /* for the time limit */
    bool is_explain;                 /* the plan instead of the answer */
    bool is_analyze;                 /* with what was read, after running */
    bool allows_unknown;             /* unknown event and property names are empty, not errors */
};

enum table_type {
    TABLE_INT,
    TABLE_REAL,
    TABLE_STRING,
    TABLE_BOOL,
    TABLE_TIME,
    TABLE_DATE,
    TABLE_LIST,
    TABLE_OBJECT /* JSON text */,
    TABLE_ANY
};

struct table_cell {
    enum { CELL_NULL, CELL_INT, CELL_REAL, CELL_STRING, CELL_BOOL, CELL_TIME_TEXT, CELL_JSON } kind;
    union {
        int64_t integer;
        double real;
        struct bytes text; /* strings, times already written, JSON */
        bool boolean;
    };
};

struct table_column {
    struct bytes name;
    enum table_type type;
};

/* An answer; owns its arena. */
struct table {
    struct arena arena;
    struct bytes report;
    struct table_column *columns;
    uint32_t column_count;
    struct table_cell *cells; /* row after row */
    uint64_t row_count;
    struct {
        uint64_t position;
        uint64_t rows_read;
        uint64_t bytes_read;
        double elapsed_ms;
        struct bytes time_zone;
        bool is_open; /* some windows or buckets haven't ended yet */
        struct bytes *warnings;
        uint32_t warning_count;
    } meta;
};

/* ERR_INVALID (names, types; problem filled), ERR_LIMIT (time or memory; problem filled),
 * ERR_CANCELLED, ERR_CORRUPT, ERR_NOMEM. On failure *table_out is untouched. */
MUST_CHECK struct err query_run(const struct query *query, const struct query_source *source,
                                const struct query_options *options, struct arena *scratch,
                                struct table *table_out, struct query_problem *problem_out);

/* As in CSV before quoting: nothing for NULL, true or false, a number as JSON has it, the text. */
void table_put_cell(struct buf *to, const struct table_cell *cell);
void table_put_json(const struct table *table,
                    struct buf *to); /* {"report","columns","rows","meta"} */
void table_put_csv(const struct table *table, struct buf *to);  /* safe for spreadsheets */
void table_put_text(const struct table *table, struct buf *to); /* aligned, for a terminal */
void table_done(struct table *table);

/* The users of a condition as a set: one bit per user number, in the arena. For `users`, for
 * CleverTap's faces and, later, segments. */
MUST_CHECK struct err query_members(const struct query *query, const struct query_source *source,
                                    const struct query_options *options, struct arena *arena,
                                    uint64_t **set_out, uint32_t *users_out,
                                    struct query_problem *problem_out);

#endif

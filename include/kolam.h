/*
 * kolam.h - Kolam's store and its questions inside your program, as SQLite is.
 *
 *     struct kolam *kolam;
 *     kolam_open("data", NULL, &kolam, &error);
 *     struct kolam_event event = { .identity = "u42", .name = "Charged" };
 *     kolam_append(kolam, &event, &error);
 *     kolam_flush(kolam, &error);                    durable, and visible to questions
 *     kolam_query(kolam, "SELECT count() WHERE event = 'Charged'", &rows, &error);
 *     while (kolam_rows_next(rows))
 *         printf("%lld\n", (long long)kolam_rows_int(rows, 0));
 *     kolam_rows_free(rows);
 *     kolam_close(kolam, &error);
 *
 * A folder is used by one process at a time, and opened once in it. All functions that take a
 * `struct kolam` may be called from any threads at once, but for kolam_close, which comes last; a
 * `struct kolam_rows` is for one thread at a time. Questions never hold up those who append, nor the
 * other way round.
 *
 * The library installs no signal handlers, writes to no stream, changes nothing of the process's
 * (locale, umask, working folder), and never ends it. It runs threads of its own while a folder is
 * open; they block all signals. After a fork only the parent may go on using it.
 *
 * Texts are UTF-8 and end with a zero byte; NULL pointers to texts mean "none". What is passed in is
 * borrowed until the call returns. Every function that can fail returns a status, and fills *error
 * with words for people when `error` isn't NULL.
 */
#ifndef KOLAM_H
#define KOLAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define KOLAM_API __attribute__((visibility("default")))
#else
#define KOLAM_API
#endif

/* "0.1.0" */
KOLAM_API const char *kolam_version(void);

/* --- errors ------------------------------------------------------------------------- */

enum kolam_status {
    KOLAM_OK = 0,
    KOLAM_INVALID = 1, /* what was given breaks a rule; the text says which */
    KOLAM_BUSY = 2,    /* the folder is in use, by another process or in this one */
    KOLAM_FULL = 3,    /* no room on the disk; nothing was lost, try again when there is */
    KOLAM_LIMIT = 4,   /* a question took more time or memory than it may */
    KOLAM_CORRUPT = 5, /* bytes on the disk don't check: never returned as data */
    KOLAM_MISSING = 6, /* a thing that was named isn't there */
    KOLAM_MEMORY = 7,  /* no memory */
    KOLAM_IO = 8,      /* the system refused: permissions, an I/O error */
    KOLAM_BROKEN = 9   /* after a failed sync: what is on the disk is unknown. Close; check; open */
};

struct kolam_error {
    enum kolam_status status;
    char text[256];
};

/* --- a folder ------------------------------------------------------------------------- */

struct kolam;

/* Members that are 0 or NULL take their defaults. */
struct kolam_options {
    const char *project;         /* an id of a-z, 0-9, _ and -; "main". Made when it's missing */
    const char *time_zone;       /* of days, weeks, months: "Asia/Kolkata"; "UTC" */
    uint32_t threads;            /* for questions; one a processor */
    uint64_t cache_bytes;        /* of event data in memory; 256 MiB */
    uint64_t query_memory_bytes; /* of one question; 1 GiB */
    int64_t query_timeout_ms;    /* of one question; 60 s */
};

/* Opens the folder, making it when it's missing; `options` may be NULL. What was durable when the
 * process last ended, in whatever way, is there. On failure *out is untouched. */
KOLAM_API enum kolam_status kolam_open(const char *folder, const struct kolam_options *options,
                                       struct kolam **out, struct kolam_error *error);
/* Flushes and closes. It's closed in any case: a failure says that the flush didn't succeed. NULL is
 * fine. Rows outlive it. */
KOLAM_API enum kolam_status kolam_close(struct kolam *kolam, struct kolam_error *error);

/* --- events in --------------------------------------------------------------------------- */

enum kolam_type {
    KOLAM_NULL = 0,
    KOLAM_BOOL = 1,
    KOLAM_INT = 2,
    KOLAM_REAL = 3, /* finite */
    KOLAM_TEXT = 4,
    KOLAM_TIME =
        5, /* in events: milliseconds since 1970 UTC; in rows: a date or date-time as text */
    KOLAM_LIST = 6, /* of texts; in rows: KOLAM_JSON */
    KOLAM_JSON = 7  /* in rows only: an array or object, as text */
};

struct kolam_property {
    const char *name;
    enum kolam_type type;
    union {
        bool boolean;
        int64_t integer;
        double real;
        const char *text;
        int64_t time_ms;          /* from 1970; whole seconds before 1973-03-03T09:46:40Z */
        const char *const *items; /* `count` texts */
    } value;
    size_t count; /* of items, for KOLAM_LIST */
};

struct kolam_event {
    const char *name;
    const char *identity; /* who: at least one of these four */
    const char *device_id;
    const char *email;
    const char *phone;
    int64_t time_ms; /* since 1970 UTC, at most a day ahead of the clock; 0: now */
    const char *id;  /* an event with an id counts once; NULL: none */
    const struct kolam_property *properties;
    size_t property_count;
};

/* Takes one event into memory, and now and then writes what has gathered. KOLAM_INVALID: nothing
 * of it was taken. KOLAM_FULL, KOLAM_MEMORY: it wasn't taken, what came before stays. */
KOLAM_API enum kolam_status kolam_append(struct kolam *kolam, const struct kolam_event *event,
                                         struct kolam_error *error);
/* The same for one line of JSON, as `kolam import` takes them: an event, or a profile. */
KOLAM_API enum kolam_status kolam_append_json(struct kolam *kolam, const char *line, size_t len,
                                              struct kolam_error *error);
/* After KOLAM_OK, all that was appended before is durable, and visible to questions. Otherwise what
 * isn't durable yet is kept and goes with the next flush (but after KOLAM_BROKEN). */
KOLAM_API enum kolam_status kolam_flush(struct kolam *kolam, struct kolam_error *error);

/* --- questions -------------------------------------------------------------------------------- */

struct kolam_rows;

/* Asks in CQL (docs/query.md), of one position of everything. The rows are the caller's, to be freed
 * with kolam_rows_free. On failure *out is untouched. */
KOLAM_API enum kolam_status kolam_query(struct kolam *kolam, const char *cql,
                                        struct kolam_rows **out, struct kolam_error *error);
KOLAM_API void kolam_rows_free(struct kolam_rows *rows); /* NULL is fine */

KOLAM_API size_t kolam_rows_columns(const struct kolam_rows *rows);
KOLAM_API uint64_t kolam_rows_count(const struct kolam_rows *rows);
/* Lives as long as the rows; NULL: there's no such column. */
KOLAM_API const char *kolam_rows_name(const struct kolam_rows *rows, size_t column);

/* Goes to the next row, at first to the first. False: there are no more. */
KOLAM_API bool kolam_rows_next(struct kolam_rows *rows);
/* Of the present row. KOLAM_NULL: absent, or there's no such row or column. */
KOLAM_API enum kolam_type kolam_rows_type(const struct kolam_rows *rows, size_t column);
/* Numbers and booleans; 0 for what is neither. */
KOLAM_API int64_t kolam_rows_int(const struct kolam_rows *rows, size_t column);
KOLAM_API double kolam_rows_real(const struct kolam_rows *rows, size_t column);
/* Any value as text; "" when absent. Lives until the next row, or the next call for this column.
 * `len_out` may be NULL. */
KOLAM_API const char *kolam_rows_text(struct kolam_rows *rows, size_t column, size_t *len_out);

#ifdef __cplusplus
}
#endif

#endif

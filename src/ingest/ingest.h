/*
 * ingest.h - what clients send, checked and written as commands.
 *
 *     struct ingest *in;                                  one thread at a time
 *     ingest_upload(in, &rules, body, writer, &result);   resets the writer
 *     if (!result.is_refused && command_writer_count(writer) && !is_dry_run)
 *         command_writer_finish, project_submit
 *     answer with result.status and ingest_put_reply(in, &result, buf)
 *
 * One bad record never spoils the others: it's left out and told as a problem. No I/O, no locks, no
 * clock. The rules, the codes and what was decided where the references are silent are in
 * docs/modules/ingest.md.
 */
#ifndef INGEST_INGEST_H
#define INGEST_INGEST_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"
#include "catalog/catalog.h"
#include "command/command.h"

enum {
    INGEST_UPLOAD_RECORDS_MAX = 1000,    /* of /1/upload */
    INGEST_RECORDS_MAX = 10000,          /* of a native request */
    INGEST_NESTING_MAX = 3,              /* objects inside properties, flattened as a.b.c */
    INGEST_FUTURE_MS = 24 * 3600 * 1000, /* a record may be this far ahead of the clock */
};

struct ingest_rules {
    struct catalog_limits limits; /* members that are 0 take the defaults */
    int64_t now_ms;               /* the batch's time, and of records without one */
    /* Is this event type discarded by the schema? Asked once a request for each name. NULL: none is. */
    bool (*is_discarded)(void *ctx, struct bytes event_name, bool is_folded);
    void *ctx;
    bool is_body_padded; /* JSON_PADDING (64) bytes behind the body may be read: saves a copy */
};

/* What is wrong with one record. Lives until the next call with the same struct ingest. */
struct ingest_problem {
    uint32_t index;       /* of the record in its request, from 0 */
    int code;             /* CleverTap's number, on every face: 509 … 535 */
    const char *type;     /* a stable word: "identity_missing", "unknown_field", … */
    struct bytes message; /* what is wrong, for people */
    struct bytes pointer; /* JSON pointer inside the record; empty: the record itself */
};

struct ingest_result {
    int status;      /* of HTTP: 200, or why the whole request is refused: 400, 413 */
    bool is_refused; /* nothing was written; one problem tells why, with the pointer in the body */
    uint32_t processed;
    uint32_t problem_count;
    const struct ingest_problem *problems; /* in the order of records */
    size_t error_offset;                   /* of a body that isn't JSON: the byte where it breaks */
};

struct ingest;
/* For bodies and lines up to max_bytes. */
MUST_CHECK struct err ingest_new(size_t max_bytes, struct ingest **out);
void ingest_free(struct ingest *in);

/* --- requests ----------------------------------------------------------------------- */

/* These reset the writer. An error is ours (ERR_NOMEM), never the client's: that's in the result.
 * `body` is borrowed until the next call (the reply echoes records). */

/* CleverTap's POST /1/upload: {"d":[events, profiles, tokens]}. */
MUST_CHECK struct err ingest_upload(struct ingest *in, const struct ingest_rules *rules,
                                    struct bytes body, struct command_writer *writer,
                                    struct ingest_result *result_out);

enum ingest_format {
    INGEST_JSON,   /* one record, an array of them, or {"events": […]} ("profiles", "identify") */
    INGEST_NDJSON, /* a record a line */
};
/* POST /v1/events, /v1/profiles, /v1/identify. */
MUST_CHECK struct err ingest_events(struct ingest *in, const struct ingest_rules *rules,
                                    enum ingest_format format, struct bytes body,
                                    struct command_writer *writer,
                                    struct ingest_result *result_out);
MUST_CHECK struct err ingest_profiles(struct ingest *in, const struct ingest_rules *rules,
                                      enum ingest_format format, struct bytes body,
                                      struct command_writer *writer,
                                      struct ingest_result *result_out);
MUST_CHECK struct err ingest_identify(struct ingest *in, const struct ingest_rules *rules,
                                      enum ingest_format format, struct bytes body,
                                      struct command_writer *writer,
                                      struct ingest_result *result_out);

/* The answer's body: {"status","processed","unprocessed":[…]}, in the shape of the face that was
 * called last; for a refused request {"status":"fail","error","code", …}. */
void ingest_put_reply(const struct ingest *in, const struct ingest_result *result,
                      struct buf *reply);

/* --- files ---------------------------------------------------------------------------- */

/* These add to the writer; the caller resets it and sends its batch when it's large enough. False:
 * the record was left out, and *problem_out says why (its index is 0: the caller knows the line). */

/* One line of NDJSON: CleverTap's shape (`type` may be missing) or the native one. With is_padded,
 * JSON_PADDING (64) bytes behind the line may be read, which saves a copy. */
bool ingest_line(struct ingest *in, const struct ingest_rules *rules, struct bytes line,
                 bool is_padded, struct command_writer *writer, struct ingest_problem *problem_out);

/* The header of a CSV file: columns identity, device_id (objectId), email, phone, type, event
 * (evtName), event_id, time (ts); all others are properties, typed by their cells, or by a suffix:
 * "Zip:string", "Price:number", "Active:bool", "Since:date", "Tags:list" (items split at ";"). The
 * names are kept. A file without an event column holds profiles. */
bool ingest_csv_header(struct ingest *in, const struct bytes *fields, size_t count,
                       struct ingest_problem *problem_out);
bool ingest_csv_row(struct ingest *in, const struct ingest_rules *rules, const struct bytes *fields,
                    size_t count, struct command_writer *writer,
                    struct ingest_problem *problem_out);

#endif

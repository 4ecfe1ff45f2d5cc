/*
 * api_internal.h - a call on its way through api, and what handlers stand on.
 *
 * A handler answers exactly once, with call_reply or call_fail (or gives the call to someone who
 * will). After that the call may be gone: nothing touches it any more.
 */
#ifndef API_API_INTERNAL_H
#define API_API_INTERNAL_H

#include "api/api.h"
#include "codec/json.h"
#include "codec/jsonw.h"
#include "ingest/ingest.h"

enum rate_class {
    RATE_NONE,
    RATE_INGEST,
    RATE_QUERY,
    RATE_PEOPLE,
    RATE_MANAGE,
    RATE_SIGN_IN,
    RATES
};

/* Who may call a route. */
enum route_needs {
    NEEDS_NOTHING, /* anybody; a principal is there when one was given */
    NEEDS_PERSON,  /* signed in; no project */
    NEEDS_INGEST,  /* from here on: this scope in the request's project */
    NEEDS_QUERY,
    NEEDS_PEOPLE,
    NEEDS_MANAGE,
};

enum route_face { FACE_NATIVE, FACE_CLEVERTAP };

enum route_place { ON_LOOP, ON_WORKER };

struct call;
typedef void handler_fn(struct call *call);

struct route {
    struct http_route http; /* first: the router's table is this one */
    const char *name;       /* "queryRun": OpenAPI's operationId */
    enum route_needs needs;
    enum rate_class rate;
    enum route_face face;
    enum route_place place;
    const char *request; /* the schema of the body; NULL: none */
    const char *reply;   /* the schema of the answer; NULL: none (204) */
    const char *summary;
    const char *query; /* names of query parameters, with spaces; NULL: none */
    handler_fn *handle;
};
extern const struct route api_routes[];
extern const size_t api_route_count;

struct idempotent; /* a remembered answer: limits.c */

struct call {
    struct api *api;
    struct http_request *request;
    const struct route *route;
    struct principal principal;
    struct project *project; /* of routes that need one */
    const struct zone *zone;
    struct json_parser *parser; /* the worker's; NULL on a loop */
    atomic_bool gone;           /* cancel: the client has left, or said so */
    struct call *next;          /* in the workers' queue, or among running queries */
    struct call *prev;
    struct bytes query_id;
    bool is_running; /* among the running queries */
    bool holds_flight;
    struct idempotent *idempotent;
    struct buf body; /* an answer that waits for an fsync */
    int status;
    /* ingest */
    uint32_t records;
};

/* Ingest's tools, one set for each thread at work. */
struct kit {
    struct kit *next;
    struct ingest *ingest;
    struct command_writer *writer;
};

struct worker {
    struct api *api;
    struct thread thread;
    struct json_parser *parser;
};

enum { BUCKETS = 1 << 14, FLIGHTS = 1024, WORKERS_MAX = 64, LATENCIES = 12 };

struct bucket {
    uint64_t key;
    int64_t at_ns;
    double tokens;
};
struct flight {
    uint64_t key;
    uint32_t count;
};

struct live;

struct api {
    struct api_config config;
    struct http_router *router;
    const struct http_server *http;
    atomic_bool is_ready;
    atomic_bool is_stopping;

    struct mutex queue_lock;
    struct cond queue_wake;
    struct call *queue_first;
    struct call *queue_last;
    uint32_t queue_count;
    struct worker workers[WORKERS_MAX];
    unsigned worker_count;

    struct mutex running_lock;
    struct call *running; /* queries, for cancelling */

    struct mutex kit_lock;
    struct kit *kits;

    struct mutex limit_lock;
    struct bucket *buckets;
    struct flight flights[FLIGHTS];

    struct mutex idempotent_lock;
    struct idempotent *idempotent_first; /* oldest */
    struct idempotent *idempotent_last;
    size_t idempotent_bytes;
    struct map64 *idempotent_index;

    struct live *live;
    uint8_t cursor_key[32];

    /* metrics */
    _Atomic uint64_t by_status[6]; /* hundreds */
    _Atomic uint64_t records_in;
    _Atomic uint64_t records_refused;
    _Atomic uint64_t queries;
    _Atomic uint64_t latencies[LATENCIES]; /* not cumulative */
    _Atomic uint64_t latency_us;
};

/* --- answers (reply.c) ---------------------------------------------------------------- */

/* Takes the buffer. */
void call_reply(struct call *call, int status, const char *type, struct buf *body);
void call_reply_json(struct call *call, int status, struct buf *body);
void call_reply_empty(struct call *call, int status);

/* {"status":"fail","error","code","type","request_id","details"}; `details` is JSON, may be empty. */
void call_fail_with(struct call *call, int status, const char *type, struct bytes message,
                    struct bytes details);
__attribute__((format(printf, 4, 5))) void call_fail(struct call *call, int status,
                                                     const char *type, const char *format, ...);
/* An error of the floors below, as an answer. */
void call_fail_err(struct call *call, struct err err);
void put_error(struct buf *body, int status, const char *type, struct bytes message,
               const char *request_id, struct bytes details);

/* --- bodies (body.c) ---------------------------------------------------------------------- */

enum field_type { FIELD_TEXT, FIELD_INT, FIELD_BOOL, FIELD_OBJECT, FIELD_ARRAY, FIELD_ANY };
struct field {
    const char *name;
    enum field_type type;
    bool is_required;
    struct json_value *value_out; /* FIELD_OBJECT, _ARRAY, _ANY; may be NULL */
    struct bytes *text_out;       /* FIELD_TEXT */
    int64_t *int_out;
    bool *bool_out;
    bool *has_out; /* may be NULL */
};
/* The body as JSON. False: answered. */
bool call_json(struct call *call, struct json_value *root_out);
/* Takes the members of an object; unknown ones are errors (422 with a pointer). False: answered. */
bool call_fields(struct call *call, struct json_value object, const struct field *fields,
                 size_t count);
/* As JSON text again. */
void put_json(struct jsonw *w, struct json_value value);
/* Query parameters. False: answered (400). Absent: `missing`. */
bool call_int(struct call *call, const char *name, int64_t min, int64_t max, int64_t missing,
              int64_t *out);
struct bytes call_query(struct call *call, const char *name); /* empty: none */
/* The signed-in person or the client, for the audit log. */
struct account_actor call_actor(const struct call *call);

/* --- limits (limits.c) ----------------------------------------------------------------------- */

MUST_CHECK struct err limits_init(struct api *api);
void limits_done(struct api *api);
/* False: answered with 429. Sets the RateLimit headers. */
bool limit_rate(struct call *call);
/* CleverTap's limit on parallel calls of one account and API. False: answered. */
bool limit_flight(struct call *call);
void limit_landed(struct call *call);
/* A write with an Idempotency-Key that was answered before gets the same answer. False: answered. */
bool idempotent_begin(struct call *call);
void idempotent_keep(struct call *call, int status, const char *type, struct bytes body);
void idempotent_forget(struct call *call);

/* --- cursors (cursor.c) ----------------------------------------------------------------------- */

/* A cursor is a few numbers and texts of ours, signed so that nobody makes one up, with an end. */
struct cursor {
    const char *kind; /* "users": of one route only */
    uint64_t numbers[4];
    struct bytes text; /* in the arena of cursor_get's caller */
};
void cursor_put(struct api *api, const struct call *call, const struct cursor *cursor,
                int64_t life_ms, struct buf *to);
/* False: not one of ours, of another project or route, or expired. */
bool cursor_get(struct api *api, const struct call *call, struct bytes text, struct arena *arena,
                struct cursor *cursor_inout);

/* --- asking (ask.c) --------------------------------------------------------------------------------- */

/* The tree as JSON text → a query. False: answered. */
bool ask_parse_json(struct call *call, struct bytes tree, struct arena *arena, struct query **out);
/* Runs over a snapshot that the caller holds. False: answered. */
bool ask_run(struct call *call, const struct query *query, const struct project_snapshot *snapshot,
             struct bytes time_zone, bool allows_unknown, struct table *table_out);
void fail_problem(struct call *call, struct err err, const struct query_problem *problem);
struct query_options ask_options(struct call *call);
/* Writes a batch of ours (a merge, an erasure) and waits. */
MUST_CHECK struct err submit_one(struct call *call, enum command_kind kind,
                                 const struct identity_key *refs, uint32_t count);

/* --- people (people.c) ------------------------------------------------------------------------------- */

/* The user that `id` names: "u:42", or any identity. USER_NONE. */
uint32_t find_person(struct call *call, struct bytes id);
struct event_count {
    uint32_t event;
    uint64_t count;
    int64_t first_ms;
    int64_t last_ms;
};
/* What the user did, by event type in order of first sight; in the arena. */
MUST_CHECK struct err count_events(const struct project_snapshot *snapshot, uint32_t user,
                                   struct arena *arena, struct event_count **counts_out,
                                   uint32_t *count_out);
void api_put_properties(struct jsonw *w, const struct catalog *catalog,
                        const struct store_user_event *event);

/* --- live (live.c) --------------------------------------------------------------------------------------- */

MUST_CHECK struct err api_live_new(struct api *api, struct live **out);
/* Every stream ends; no more are begun. */
void api_live_stop(struct live *live);
void api_live_free(struct live *live);

/* --- handlers --------------------------------------------------------------------------------------------- */

handler_fn handle_session_get, handle_session_post, handle_session_delete, handle_setup_get,
    handle_setup_post, handle_projects_post, handle_time_zones;
handler_fn handle_query, handle_query_explain, handle_query_translate, handle_query_cancel,
    handle_catalog, handle_catalog_values;
handler_fn handle_users, handle_user, handle_user_events, handle_user_delete, handle_users_merge;
handler_fn handle_reports, handle_report_post, handle_report_get, handle_report_put,
    handle_report_delete;
handler_fn handle_clients, handle_client_post, handle_client_delete, handle_audit;
handler_fn handle_settings, handle_settings_patch;
handler_fn handle_live;
handler_fn handle_events, handle_profiles, handle_identify, handle_import;
handler_fn handle_health, handle_ready, handle_metrics, handle_openapi;
handler_fn handle_ct_upload, handle_ct_count_events, handle_ct_count_profiles, handle_ct_top,
    handle_ct_trends, handle_ct_events, handle_ct_profile, handle_ct_profiles, handle_ct_poll;
void handle_asset(struct call *call);

#endif

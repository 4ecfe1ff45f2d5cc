/*
 * http.h - the HTTP server: requests in, replies out, limits on everything.
 *
 * A request goes through two calls of the owner, both on an event loop, both quick:
 *
 *   begin(ctx, request)    the head is there. Route it, ask who it is, set body_max, put what the
 *                          handler needs into `user`. A reply here refuses the request before its
 *                          body is taken.
 *   handle(ctx, request)   the body is there (unpacked). Reply; or http_defer() and reply later
 *                          from any thread.
 *
 * Every request that was handled gets exactly one reply: http_reply*, or http_reply_stream.
 * The request is gone when the reply was given; `end` is called when its last byte is out (or the
 * client is gone), so that `user` can be freed.
 */
#ifndef HTTP_HTTP_H
#define HTTP_HTTP_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"
#include "sys/clock.h"

#include <stdatomic.h>

enum http_method {
    HTTP_GET,
    HTTP_HEAD,
    HTTP_POST,
    HTTP_PUT,
    HTTP_PATCH,
    HTTP_DELETE,
    HTTP_OPTIONS,
    HTTP_OTHER,
};
const char *http_method_name(enum http_method method);

enum {
    HTTP_PARAMS_MAX = 4,  /* {names} in a pattern */
    HTTP_ID_SIZE = 18,    /* of a request's id, with its zero */
    HTTP_REMOTE_SIZE = 48 /* an address as text */
};

struct http_request {
    enum http_method method;
    struct bytes path;  /* as sent: percent-encoded, without the query */
    struct bytes query; /* as sent, without the question mark */
    struct bytes body;  /* 64 readable bytes lie behind it; the owner may not change it */
    char id[HTTP_ID_SIZE];
    char remote[HTTP_REMOTE_SIZE];
    int64_t began_ns;                     /* mono */
    struct bytes params[HTTP_PARAMS_MAX]; /* decoded; by http_route_find */
    size_t body_max;                      /* begin may lower it: 413 past it */
    bool is_head_only;                    /* handled by `begin` alone; no body is expected */
    void *user;
};

/* --- the server ------------------------------------------------------------------- */

struct http_config {
    const char *address;             /* "127.0.0.1", "::1" */
    uint16_t port;                   /* 0: any; http_port tells */
    unsigned threads;                /* event loops; 0: one a processor */
    uint32_t connections_max;        /* 0: 10000 */
    uint32_t connections_per_ip_max; /* 0: no limit */
    size_t body_max;                 /* bytes, unpacked; 0: 16 MiB */
    size_t bodies_max;               /* of all requests at once; 0: 512 MiB */
    uint32_t idle_s;                 /* between requests; 0: 60 */
    uint32_t receive_s;              /* a request's head, and its body beyond 16 KiB/s; 0: 20 */
    uint32_t send_s;                 /* a reply, unless it's a stream; 0: 120 */
    struct clock *clock;
    void (*begin)(void *ctx, struct http_request *request);
    void (*handle)(void *ctx, struct http_request *request);
    /* May be NULL. `status` is the reply's; 0: none was given. */
    void (*end)(void *ctx, struct http_request *request, int status, size_t reply_bytes);
    /* Writes the body of an error that the server itself answers (413, 400, 415, 503). */
    void (*error)(void *ctx, const struct http_request *request, int status, const char *what,
                  struct buf *body);
    void *ctx;
};

struct http_server;
/* ERR_BUSY: the port is taken. ERR_DENIED: not for this user. ERR_INVALID: no such address. */
MUST_CHECK struct err http_start(const struct http_config *config, struct http_server **out);
uint16_t http_port(const struct http_server *server);
/* Takes no more connections, ends streams; waits up to `wait_ms` for requests at work. */
void http_quiesce(struct http_server *server, int64_t wait_ms);
/* Closes everything. Waits for deferred requests to be replied to and for streams to be ended by
 * their writers. */
void http_stop(struct http_server *server);

struct http_stats {
    uint64_t connections; /* open now */
    uint64_t active;      /* requests at work now */
    uint64_t body_bytes;  /* held now */
    uint64_t requests;    /* ever */
};
struct http_stats http_stats(const struct http_server *server);

/* --- what was asked ---------------------------------------------------------------- */

/* The value of a header; empty: none. Lives as long as the request. */
struct bytes http_header(const struct http_request *request, const char *name);
/* The first query parameter of this name, decoded (+ is a space), in the request's memory. False:
 * none, or it's not decodable. */
bool http_query(struct http_request *request, const char *name, struct bytes *value_out);
/* The value of a cookie; empty: none. */
struct bytes http_cookie(const struct http_request *request, const char *name);
/* A copy in the request's memory; NULL pointer: none left. */
struct bytes http_keep(struct http_request *request, struct bytes text);
/* %XX decoded into `to` (at least text.len bytes). False: broken, or not UTF-8. */
bool http_decode(struct bytes text, bool is_query, uint8_t *to, size_t *len_out);

/* --- replies ------------------------------------------------------------------------ */

/* A header of the reply to come. At most 24; more, or one with a line break, is our mistake. */
void http_reply_header(struct http_request *request, const char *name, const char *value);
/* Takes the buffer's content. `type` is a literal; NULL: no body. */
void http_reply(struct http_request *request, int status, const char *type, struct buf *body);
/* The body is borrowed for ever. */
void http_reply_static(struct http_request *request, int status, const char *type,
                       struct bytes body);

/* The reply comes later, from any thread. */
void http_defer(struct http_request *request);
/* Sets *gone when the client closes its side before the reply is given. `gone` must outlive the
 * request. Only after http_defer. */
void http_watch(struct http_request *request, atomic_bool *gone);

/* A reply that is written bit by bit, from any one thread. The first write may come at once; the
 * writer owns the stream until http_stream_end. */
struct http_stream;
MUST_CHECK struct err http_reply_stream(struct http_request *request, int status, const char *type,
                                        struct http_stream **out);
/* False: the client is gone, the server stops, or it didn't make room within wait_ms; no use in
 * writing more, but http_stream_end is still due. */
bool http_stream_write(struct http_stream *stream, struct bytes data, int64_t wait_ms);
bool http_stream_is_open(struct http_stream *stream);
void http_stream_end(struct http_stream *stream);

/* --- routes --------------------------------------------------------------------------- */

struct http_route {
    enum http_method method;
    const char *pattern; /* "/v1/users/{id}/events": a {name} takes one whole segment */
};
struct http_router;
/* `routes` are borrowed: `stride` bytes from one to the next, so that a table may hold more. */
MUST_CHECK struct err http_router_new(const void *routes, size_t stride, size_t count,
                                      struct http_router **out);
void http_router_free(struct http_router *router);
/* The number of the route with its params decoded into the request, or -1. A HEAD finds the GET.
 * *allowed_out: bits (1 << method) of the routes that have the path: 0 is a 404, others a 405. */
int http_route_find(const struct http_router *router, struct http_request *request,
                    uint32_t *allowed_out);

/* --- asking another server ------------------------------------------------------------------ */

struct http_call {
    const char *server; /* "http://127.0.0.1:8080" */
    enum http_method method;
    const char *path;          /* with its query, encoded */
    const char *authorization; /* may be NULL, as the next two */
    const char *accept;
    const char *type;
    struct bytes body;
    size_t answer_max;
};
/* Appends the answer's body. ERR_INVALID: not an address; ERR_MISSING: no such host; ERR_OS. */
MUST_CHECK struct err http_call(const struct http_call *call, int *status_out, struct buf *body);

/* --- files of the dashboard -------------------------------------------------------------- */

struct http_asset {
    const char *path; /* "/assets/index-3fa9.js" */
    const char *type;
    const char *etag; /* quoted */
    struct bytes plain;
    struct bytes gzip; /* empty: not worth it */
    bool is_immutable; /* its name changes with its content */
};
/* With the security headers; 304 when the client has it. */
void http_reply_asset(struct http_request *request, const struct http_asset *asset);

#endif

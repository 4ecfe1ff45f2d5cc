/*
 * api.h - the HTTP face: one table of routes, who may call each, and what it does.
 *
 * The server gives api's four callbacks to http; api answers from `engine` and `accounts`. Quick
 * things (ingest, health) run on http's event loops; everything that may wait (queries, the control
 * database) runs on api's workers, behind a bounded queue.
 */
#ifndef API_API_H
#define API_API_H

#include "account/account.h"
#include "base/buf.h"
#include "base/err.h"
#include "engine/engine.h"
#include "http/http.h"
#include "sys/clock.h"
#include "sys/thread.h"

struct api_rate {
    uint32_t per_s; /* tokens that come back a second */
    uint32_t burst; /* tokens at most */
};

struct api_config {
    struct engine *engine; /* borrowed, as all pointers here */
    struct accounts *accounts;
    struct clock *clock;
    struct thread_pool *pool;        /* for the plans of queries */
    const struct http_asset *assets; /* the dashboard; "/index.html" answers for its pages */
    size_t asset_count;
    size_t body_max;           /* as http's; 0: 16 MiB */
    unsigned workers;          /* 0: 4 */
    uint32_t queue_max;        /* waiting for a worker; 0: 256. Past it: 429 */
    int64_t query_timeout_ms;  /* 0: 60 s */
    size_t query_memory_bytes; /* of one query; 0: 1 GiB */
    uint32_t uploads_max;      /* CleverTap's: at once, of one account; 0: 15 */
    uint32_t reads_max;        /* CleverTap's other routes: each; 0: 3 */
    struct api_rate ingest;    /* requests of one key; zeros: 200,000/s */
    struct api_rate query;     /* zeros: 100/s */
    struct api_rate people;    /* zeros: 200/s */
    struct api_rate manage;    /* zeros: 20/s */
    struct api_rate sign_in;   /* of one address; zeros: 2/s, 20 at once */
    bool is_https;             /* clients come through TLS: cookies are Secure */
};

struct api;
MUST_CHECK struct err api_new(const struct api_config *config, struct api **out);
/* After http_stop. */
void api_free(struct api *api);
/* /readyz answers 200 only while it's ready. */
void api_set_ready(struct api *api, bool is_ready);
/* Running queries are cancelled, live streams end: called before http_quiesce. */
void api_stop(struct api *api);
/* For numbers in /metrics that only http knows. */
void api_set_http(struct api *api, const struct http_server *server);

/* The callbacks of struct http_config; ctx is the api. */
void api_begin(void *api, struct http_request *request);
void api_handle(void *api, struct http_request *request);
void api_end(void *api, struct http_request *request, int status, size_t reply_bytes);
void api_error(void *api, const struct http_request *request, int status, const char *what,
               struct buf *body);

/* The OpenAPI 3.1 document. */
void api_put_openapi(struct buf *to);

#endif

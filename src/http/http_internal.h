/* http_internal.h - what the files of http share. */
#ifndef HTTP_HTTP_INTERNAL_H
#define HTTP_HTTP_INTERNAL_H

#include "base/arena.h"
#include "http/http.h"
#include "sys/thread.h"

#include <microhttpd.h>

enum { HEADERS_MAX = 24, REQUEST_ARENA_MAX = 256 << 10, BODY_PADDING = 64 };

enum conn_phase { CONN_IDLE, CONN_HEAD, CONN_BODY, CONN_WORK, CONN_SEND, CONN_STREAM };

/* A connection, in the server's list while it's open. */
struct http_conn {
    struct http_conn *next;
    struct http_conn *prev;
    int fd;
    _Atomic int phase;
    _Atomic int64_t since_ns;
    _Atomic uint64_t got_bytes; /* of the body, for the rate it must keep */
    char remote[HTTP_REMOTE_SIZE];
};

struct reply_header {
    const char *name;
    struct bytes value;
};

/* struct http_request comes first, so that one is the other. */
struct exchange {
    struct http_request request;
    struct http_server *server;
    struct MHD_Connection *native;
    struct http_conn *conn;
    struct arena arena;
    struct buf body;
    size_t held_bytes; /* of the server's budget for bodies */
    uint64_t declared; /* Content-Length; UINT64_MAX: none told */
    bool is_begun;
    bool is_dispatched;
    bool is_deferred;
    bool has_reply;
    bool is_queued;
    bool closes; /* the connection ends with this reply */
    int refused; /* a status that the body earned; 0: none */
    const char *refused_why;
    int status;
    const char *type;
    struct MHD_Response *response;
    /* The reply's body until there's a response of it, which is made on the loop: that keeps the work
     * off the thread that replies (the log's, for uploads), and its memory on one thread. */
    const uint8_t *reply_body;
    bool owns_reply_body;
    size_t reply_bytes;
    struct reply_header headers[HEADERS_MAX];
    size_t header_count;
    struct http_stream *stream;
    /* watching for the client's going */
    atomic_bool *gone;
    struct exchange *watch_next;
    struct exchange *watch_prev;
};

struct http_server {
    struct http_config config;
    struct MHD_Daemon *daemon;
    int listen_fd; /* after quiesce: ours to close */
    uint16_t port;
    uint64_t id_seed;
    _Atomic uint64_t requests;
    _Atomic uint64_t active;
    _Atomic uint64_t deferred;
    _Atomic uint64_t body_bytes;
    _Atomic uint64_t connections;
    atomic_bool is_stopping;
    struct mutex lock; /* the lists */
    struct cond wake;
    struct http_conn *conns;
    struct exchange *watched;
    struct http_stream *streams;
    uint32_t writers; /* of streams, that haven't ended them */
    bool minder_stops;
    struct thread minder;
};

static inline struct exchange *exchange_of(struct http_request *request)
{
    return (struct exchange *)(void *)request;
}

/* The minder: ends slow clients, and notices those that are gone. */
void *minder_run(void *server);
void watch_forget(struct exchange *exchange);

/* Makes the response of what http_reply* left, when it isn't there. On the loop. */
void reply_make(struct exchange *exchange);
/* Frees a body that no response took. */
void reply_drop(struct exchange *exchange);
/* Takes the response and adds the headers; false: no memory. */
bool reply_seal(struct exchange *exchange, struct MHD_Response *response);
/* Wakes the connection of a deferred exchange. */
void reply_wake(struct exchange *exchange);
/* The server ends: every stream says so to its writer and to its client. */
void streams_end_all(struct http_server *server);

#endif

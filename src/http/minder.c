/*
 * minder.c - one thread that looks after connections twenty times a second at most.
 *
 * MHD's time-out restarts with every byte, so a client that sends one byte a minute holds its
 * connection for ever, and a suspended connection isn't looked at at all. The minder ends
 * connections whose request takes too long to arrive or whose reply takes too long to leave, and
 * tells deferred work when its client has closed.
 *
 * A connection is ended by shutdown(): its loop then finds it closed. The descriptor can't have been
 * closed and given to another meanwhile, since MHD tells us of the closing, under our lock, before
 * it closes.
 */
#include "http/http_internal.h"

#include <sys/socket.h>

enum { WATCH_MS = 50, SWEEP_MS = 1000, RATE_BYTES_PER_S = 16 << 10 };

static bool is_too_slow(const struct http_config *config, struct http_conn *conn, int64_t now_ns)
{
    int64_t spent_s = (now_ns - atomic_load(&conn->since_ns)) / 1000000000;
    switch (atomic_load(&conn->phase)) {
    case CONN_IDLE: /* MHD ends quiet ones; this one drips */
        return spent_s > (int64_t)config->idle_s + 5;
    case CONN_HEAD:
        return spent_s > (int64_t)config->receive_s;
    case CONN_BODY:
        return spent_s > (int64_t)config->receive_s +
                             (int64_t)(atomic_load(&conn->got_bytes) / RATE_BYTES_PER_S);
    case CONN_SEND:
        return spent_s > (int64_t)config->send_s;
    default:
        return false;
    }
}

/* Under the lock. */
static void sweep(struct http_server *server)
{
    int64_t now_ns = clock_mono_ns(server->config.clock);
    for (struct http_conn *conn = server->conns; conn; conn = conn->next)
        if (conn->fd >= 0 && is_too_slow(&server->config, conn, now_ns))
            (void)shutdown(conn->fd, SHUT_RDWR);
}

static bool is_gone(int fd)
{
    char byte;
    ssize_t got = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return got == 0 || (got < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

/* Under the lock. */
static void look_at_watched(struct http_server *server)
{
    for (struct exchange *x = server->watched; x; x = x->watch_next)
        if (!atomic_load(x->gone) && is_gone(x->conn->fd))
            atomic_store(x->gone, true);
}

void *minder_run(void *ctx)
{
    struct http_server *server = ctx;
    int64_t swept_ns = clock_mono_ns(server->config.clock);
    mutex_lock(&server->lock);
    while (!server->minder_stops) {
        (void)cond_wait_ms(&server->wake, &server->lock, server->watched ? WATCH_MS : SWEEP_MS);
        look_at_watched(server);
        int64_t now_ns = clock_mono_ns(server->config.clock);
        if (now_ns - swept_ns >= SWEEP_MS * INT64_C(1000000)) {
            sweep(server);
            swept_ns = now_ns;
        }
    }
    mutex_unlock(&server->lock);
    return NULL;
}

void http_watch(struct http_request *request, atomic_bool *gone)
{
    struct exchange *x = exchange_of(request);
    struct http_server *server = x->server;
    assert(x->is_deferred && !x->gone);
    mutex_lock(&server->lock);
    x->gone = gone;
    x->watch_prev = NULL;
    x->watch_next = server->watched;
    if (x->watch_next)
        x->watch_next->watch_prev = x;
    server->watched = x;
    cond_broadcast(&server->wake);
    mutex_unlock(&server->lock);
}

void watch_forget(struct exchange *x)
{
    struct http_server *server = x->server;
    if (!x->gone)
        return;
    mutex_lock(&server->lock);
    if (x->watch_next)
        x->watch_next->watch_prev = x->watch_prev;
    if (x->watch_prev)
        x->watch_prev->watch_next = x->watch_next;
    else
        server->watched = x->watch_next;
    x->gone = NULL;
    mutex_unlock(&server->lock);
}

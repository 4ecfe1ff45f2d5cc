/*
 * server.c - libmicrohttpd's callbacks, and the life of a request.
 *
 *     uri logged       the exchange is made, with the target as it was sent (MHD decodes its own
 *                      copy, which would make a/b of a%2Fb)
 *     access, 1st      the head is whole: begin()
 *     access, body     pieces; past the limit they are read and dropped, so that the client gets to
 *                      see its 413 instead of a reset connection
 *     access, end      unpack, handle(); a reply, or suspended
 *     access, resumed  the reply is queued
 *     completed        end(), and the exchange is freed
 *
 * All of one exchange runs on its loop's thread, but http_reply* after http_defer, which may run on
 * any: it writes the reply's members, then resumes. From the suspension to the resumption the loop
 * doesn't look at them.
 *
 * Connection memory is small (24 KiB: heads up to some 12 KiB) since MHD clears all of it after each
 * request, and an idle connection keeps it.
 */
#include "codec/zip.h"
#include "http/http_internal.h"
#include "sys/sys.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CONNECTION_MEMORY = 24 << 10, DROP_FACTOR = 4, RESERVE_STEP = 64 << 10 };

static struct exchange *exchange_new(struct http_server *server, struct MHD_Connection *native,
                                     const char *target)
{
    struct exchange *x = calloc(1, sizeof *x);
    if (!x)
        return NULL;
    x->server = server;
    x->native = native;
    arena_init(&x->arena, REQUEST_ARENA_MAX);
    buf_init(&x->body, SIZE_MAX);
    struct bytes copy = arena_copy(&x->arena, bytes_from(target));
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(native, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    x->conn = info ? info->socket_context : NULL;
    if (!copy.ptr || !x->conn) {
        arena_done(&x->arena);
        free(x);
        return NULL;
    }
    const uint8_t *mark = memchr(copy.ptr, '?', copy.len);
    size_t path_len = mark ? (size_t)(mark - copy.ptr) : copy.len;
    x->request.path = bytes_slice(copy, 0, path_len);
    x->request.query = mark ? bytes_slice(copy, path_len + 1, SIZE_MAX) : bytes_of("", 0);
    x->request.began_ns = clock_mono_ns(server->config.clock);
    memcpy(x->request.remote, x->conn->remote, sizeof x->request.remote);
    atomic_store_explicit(&x->conn->since_ns, x->request.began_ns, memory_order_relaxed);
    atomic_store_explicit(&x->conn->phase, CONN_HEAD, memory_order_relaxed);
    atomic_fetch_add_explicit(&server->active, 1, memory_order_relaxed);
    return x;
}

static void name_request(struct http_server *server, struct exchange *x)
{
    static const char digits[] = "0123456789abcdefghijklmnopqrstuv";
    uint64_t n = atomic_fetch_add_explicit(&server->requests, 1, memory_order_relaxed);
    uint64_t words[2] = { server->id_seed, n };
    char *to = x->request.id;
    *to++ = 'r';
    for (int i = 7; i >= 0; i--)
        *to++ = digits[words[0] >> (5 * i) & 31];
    for (int i = 7; i >= 0; i--)
        *to++ = digits[words[1] >> (5 * i) & 31];
    *to = 0;
}

static enum http_method method_of(const char *name)
{
    for (int method = HTTP_GET; method < HTTP_OTHER; method++)
        if (strcmp(http_method_name((enum http_method)method), name) == 0)
            return (enum http_method)method;
    return HTTP_OTHER;
}

/* The server's own answers, in the words of the owner. */
static void refuse(struct exchange *x, int status, const char *what)
{
    struct buf body;
    buf_init(&body, 64 << 10);
    x->server->config.error(x->server->config.ctx, &x->request, status, what, &body);
    if (status == 503 || status == 429)
        http_reply_header(&x->request, "Retry-After", "1");
    http_reply(&x->request, status, "application/json", &body);
}

static enum MHD_Result queue_reply(struct exchange *x)
{
    reply_make(x); /* without memory the connection ends */
    if (!x->response)
        return MHD_NO;
    x->is_queued = true;
    atomic_store_explicit(&x->conn->since_ns, clock_mono_ns(x->server->config.clock),
                          memory_order_relaxed);
    atomic_store_explicit(&x->conn->phase, x->stream ? CONN_STREAM : CONN_SEND,
                          memory_order_relaxed);
    return MHD_queue_response(x->native, (unsigned)x->status, x->response);
}

static enum MHD_Result take_head(struct exchange *x, const char *method)
{
    struct http_server *server = x->server;
    x->is_begun = true;
    x->request.method = method_of(method);
    x->request.body_max = server->config.body_max;
    name_request(server, x);

    x->declared = 0;
    struct bytes length = http_header(&x->request, MHD_HTTP_HEADER_CONTENT_LENGTH);
    if (length.len)
        x->declared = strtoull((const char *)length.ptr, NULL, 10);
    else if (http_header(&x->request, MHD_HTTP_HEADER_TRANSFER_ENCODING).len)
        x->declared = UINT64_MAX;
    atomic_store_explicit(&x->conn->got_bytes, 0, memory_order_relaxed);
    atomic_store_explicit(&x->conn->phase, CONN_BODY, memory_order_relaxed);

    server->config.begin(server->config.ctx, &x->request);
    if (x->declared == 0)
        return x->has_reply ? queue_reply(x) : MHD_YES;
    if (!x->has_reply && x->declared != UINT64_MAX && x->declared > x->request.body_max) {
        x->refused = 413;
        x->refused_why = "the body is larger than allowed";
    }
    /* A refusal now ends the connection: worth it when much is still to come, or the client waits
     * for our word before it sends. */
    bool is_refused = x->has_reply || x->refused;
    bool waits = http_header(&x->request, MHD_HTTP_HEADER_EXPECT).len != 0;
    bool is_much =
        x->declared != UINT64_MAX && x->declared > (uint64_t)server->config.body_max * DROP_FACTOR;
    if (is_refused && (waits || is_much)) {
        if (!x->has_reply)
            refuse(x, x->refused, x->refused_why);
        return queue_reply(x);
    }
    return MHD_YES;
}

/* Room for `more` bytes of this body within the server's budget. */
static bool hold(struct exchange *x, size_t more)
{
    if (x->body.cap - x->body.len >= more + BODY_PADDING)
        return true;
    /* What the client said it will send is reserved at once, within reason. */
    size_t want = x->body.len + more;
    if (x->declared != UINT64_MAX && x->declared > want && x->declared < (1 << 20))
        want = (size_t)x->declared;
    else if (x->body.len)
        want = x->body.len * 2 > want ? x->body.len * 2 : want;
    want += BODY_PADDING;
    uint64_t grow = want > x->held_bytes ? want - x->held_bytes : 0;
    uint64_t held = atomic_fetch_add_explicit(&x->server->body_bytes, grow, memory_order_relaxed);
    if (held + grow > x->server->config.bodies_max) {
        atomic_fetch_sub_explicit(&x->server->body_bytes, grow, memory_order_relaxed);
        return false;
    }
    x->held_bytes += grow;
    return buf_reserve(&x->body, want - x->body.len) != NULL;
}

static void let_go(struct exchange *x)
{
    atomic_fetch_sub_explicit(&x->server->body_bytes, x->held_bytes, memory_order_relaxed);
    x->held_bytes = 0;
    buf_done(&x->body);
}

static enum MHD_Result take_body(struct exchange *x, struct bytes piece)
{
    uint64_t got = atomic_fetch_add_explicit(&x->conn->got_bytes, piece.len, memory_order_relaxed);
    got += piece.len;
    if (x->has_reply || x->refused)
        return got > (uint64_t)x->server->config.body_max * DROP_FACTOR ? MHD_NO : MHD_YES;
    if (piece.len > x->request.body_max - x->body.len) {
        x->refused = 413;
        x->refused_why = "the body is larger than allowed";
    } else if (!hold(x, piece.len)) {
        x->refused = 503;
        x->refused_why = "too many large requests at once";
    }
    if (x->refused) {
        let_go(x);
        return MHD_YES;
    }
    buf_put(&x->body, piece);
    return MHD_YES;
}

static void unpack_body(struct exchange *x)
{
    struct bytes coding = http_header(&x->request, MHD_HTTP_HEADER_CONTENT_ENCODING);
    if (!coding.len || bytes_equal(coding, BYTES("identity")))
        return;
    bool is_gzip = bytes_equal(coding, BYTES("gzip"));
    if (!is_gzip && !bytes_equal(coding, BYTES("zstd"))) {
        x->refused = 415;
        x->refused_why = "Content-Encoding must be gzip, zstd or identity";
        return;
    }
    struct buf plain;
    buf_init(&plain, x->request.body_max + BODY_PADDING);
    struct err err = is_gzip ? gzip_unpack(buf_bytes(&x->body), x->request.body_max, &plain)
                             : zstd_unpack(buf_bytes(&x->body), x->request.body_max, &plain);
    if (!err.code && !buf_reserve(&plain, BODY_PADDING))
        err = err_new(ERR_NOMEM, "http: unpack");
    if (err.code) {
        buf_done(&plain);
        x->refused = err.code == ERR_LIMIT ? 413 : err.code == ERR_NOMEM ? 503 : 400;
        x->refused_why = err.code == ERR_LIMIT   ? "the body is larger than allowed when unpacked"
                         : err.code == ERR_NOMEM ? "no memory to unpack the body"
                                                 : "the body is not what Content-Encoding says";
        return;
    }
    let_go(x);
    x->body = plain;
    x->held_bytes = plain.cap;
    atomic_fetch_add_explicit(&x->server->body_bytes, x->held_bytes, memory_order_relaxed);
}

static enum MHD_Result dispatch(struct exchange *x)
{
    x->is_dispatched = true;
    atomic_store_explicit(&x->conn->phase, CONN_WORK, memory_order_relaxed);
    if (!x->has_reply && !x->refused)
        unpack_body(x);
    if (!x->has_reply && x->refused)
        refuse(x, x->refused, x->refused_why);
    if (!x->has_reply) {
        /* Padding for the JSON parser, also behind an empty body. */
        if (!buf_reserve(&x->body, BODY_PADDING))
            return MHD_NO;
        memset(x->body.ptr + x->body.len, 0, BODY_PADDING);
        x->request.body = buf_bytes(&x->body);
        x->server->config.handle(x->server->config.ctx, &x->request);
        if (x->is_deferred)
            return MHD_YES; /* from here on another thread may be writing the reply */
    }
    assert(x->has_reply);
    return queue_reply(x);
}

static enum MHD_Result on_access(void *cls, struct MHD_Connection *native, const char *url,
                                 const char *method, const char *version, const char *upload,
                                 size_t *upload_len, void **state)
{
    (void)cls;
    (void)native;
    (void)url;
    (void)version;
    struct exchange *x = *state;
    if (!x)
        return MHD_NO;
    if (!x->is_begun)
        return take_head(x, method);
    if (*upload_len) {
        struct bytes piece = bytes_of(upload, *upload_len);
        *upload_len = 0;
        return take_body(x, piece);
    }
    if (!x->is_dispatched)
        return dispatch(x);
    x->is_deferred = false;
    return queue_reply(x);
}

static void *on_target(void *cls, const char *target, struct MHD_Connection *native)
{
    return exchange_new(cls, native, target);
}

static void on_completed(void *cls, struct MHD_Connection *native, void **state,
                         enum MHD_RequestTerminationCode code)
{
    struct http_server *server = cls;
    struct exchange *x = *state;
    (void)native;
    (void)code;
    if (!x)
        return;
    *state = NULL;
    if (server->config.end && x->is_begun)
        server->config.end(server->config.ctx, &x->request, x->status, x->reply_bytes);
    atomic_store_explicit(&x->conn->since_ns, clock_mono_ns(server->config.clock),
                          memory_order_relaxed);
    atomic_store_explicit(&x->conn->phase, CONN_IDLE, memory_order_relaxed);
    if (x->response)
        MHD_destroy_response(x->response);
    reply_drop(x);
    let_go(x);
    arena_done(&x->arena);
    free(x);
    atomic_fetch_sub_explicit(&server->active, 1, memory_order_relaxed);
}

static void name_remote(const struct sockaddr *address, char to[HTTP_REMOTE_SIZE])
{
    const void *ip = NULL;
    if (address && address->sa_family == AF_INET)
        ip = &((const struct sockaddr_in *)(const void *)address)->sin_addr;
    else if (address && address->sa_family == AF_INET6)
        ip = &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
    if (!ip || !inet_ntop(address->sa_family, ip, to, HTTP_REMOTE_SIZE))
        memcpy(to, "?", 2);
}

static void on_connection(void *cls, struct MHD_Connection *native, void **context,
                          enum MHD_ConnectionNotificationCode code)
{
    struct http_server *server = cls;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        struct http_conn *conn = calloc(1, sizeof *conn);
        *context = conn;
        if (!conn)
            return; /* its requests are refused */
        const union MHD_ConnectionInfo *info =
            MHD_get_connection_info(native, MHD_CONNECTION_INFO_CONNECTION_FD);
        conn->fd = info ? info->connect_fd : -1;
        info = MHD_get_connection_info(native, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
        name_remote(info ? info->client_addr : NULL, conn->remote);
        atomic_store(&conn->since_ns, clock_mono_ns(server->config.clock));
        mutex_lock(&server->lock);
        conn->next = server->conns;
        if (conn->next)
            conn->next->prev = conn;
        server->conns = conn;
        mutex_unlock(&server->lock);
        atomic_fetch_add(&server->connections, 1);
        return;
    }
    struct http_conn *conn = *context;
    if (!conn)
        return;
    mutex_lock(&server->lock);
    if (conn->next)
        conn->next->prev = conn->prev;
    if (conn->prev)
        conn->prev->next = conn->next;
    else
        server->conns = conn->next;
    mutex_unlock(&server->lock);
    free(conn);
    *context = NULL;
    atomic_fetch_sub(&server->connections, 1);
}

/* MHD would decode its own copy of the target in place; ours is decoded by segments. */
static size_t keep_as_is(void *cls, struct MHD_Connection *native, char *text)
{
    (void)cls;
    (void)native;
    return strlen(text);
}

/* --- starting and stopping --------------------------------------------------------- */

static struct err bind_err(void)
{
    if (errno == EADDRINUSE)
        return err_new(ERR_BUSY, "http: the port is taken");
    if (errno == EACCES || errno == EPERM)
        return err_new(ERR_DENIED, "http: not allowed to listen there");
    if (errno == EADDRNOTAVAIL)
        return err_new(ERR_INVALID, "http: no such address on this machine");
    return err_os("http: listen");
}

union any_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static struct err listen_on(const char *address, uint16_t port, int *fd_out, uint16_t *port_out)
{
    union any_address to;
    memset(&to, 0, sizeof to);
    socklen_t len = sizeof to.v4;
    if (inet_pton(AF_INET, address, &to.v4.sin_addr) == 1) {
        to.v4.sin_family = AF_INET;
        to.v4.sin_port = htons(port);
    } else if (inet_pton(AF_INET6, address, &to.v6.sin6_addr) == 1) {
        to.v6.sin6_family = AF_INET6;
        to.v6.sin6_port = htons(port);
        len = sizeof to.v6;
    } else {
        return err_new(ERR_INVALID, "http: not an IP address");
    }
    int fd = socket(to.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_os("http: socket");
    int yes = 1;
    socklen_t got = sizeof to;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes) != 0 ||
        bind(fd, &to.any, len) != 0 || listen(fd, 1024) != 0 ||
        getsockname(fd, &to.any, &got) != 0) {
        struct err err = bind_err();
        close(fd);
        return err;
    }
    *fd_out = fd;
    *port_out = ntohs(to.any.sa_family == AF_INET ? to.v4.sin_port : to.v6.sin6_port);
    return ok();
}

static void fill_defaults(struct http_config *config)
{
    if (!config->threads)
        config->threads = sys_cpu_count();
    if (!config->connections_max)
        config->connections_max = 10000;
    if (!config->body_max)
        config->body_max = 16 << 20;
    if (!config->bodies_max)
        config->bodies_max = 512 << 20;
    if (!config->idle_s)
        config->idle_s = 60;
    if (!config->receive_s)
        config->receive_s = 20;
    if (!config->send_s)
        config->send_s = 120;
}

static struct MHD_Daemon *start_daemon(struct http_server *server)
{
    const struct http_config *config = &server->config;
    struct MHD_OptionItem options[] = {
        { MHD_OPTION_LISTEN_SOCKET, server->listen_fd, NULL },
        { MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_MEMORY, NULL },
        { MHD_OPTION_CONNECTION_LIMIT, (intptr_t)config->connections_max, NULL },
        { MHD_OPTION_CONNECTION_TIMEOUT, (intptr_t)config->idle_s, NULL },
        { MHD_OPTION_PER_IP_CONNECTION_LIMIT, (intptr_t)config->connections_per_ip_max, NULL },
        { MHD_OPTION_THREAD_POOL_SIZE, config->threads > 1 ? (intptr_t)config->threads : 0, NULL },
        { MHD_OPTION_STRICT_FOR_CLIENT, 1, NULL },
        { MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, NULL },
        { MHD_OPTION_END, 0, NULL },
    };
    return MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_TURBO, 0, NULL, NULL,
        on_access, server, MHD_OPTION_NOTIFY_COMPLETED, on_completed, server,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, server, MHD_OPTION_URI_LOG_CALLBACK, on_target,
        server, MHD_OPTION_UNESCAPE_CALLBACK, keep_as_is, server, MHD_OPTION_ARRAY, options,
        MHD_OPTION_END);
}

struct err http_start(const struct http_config *config, struct http_server **out)
{
    struct http_server *server = calloc(1, sizeof *server);
    if (!server)
        return err_new(ERR_NOMEM, "http: start");
    server->config = *config;
    server->listen_fd = -1;
    fill_defaults(&server->config);
    mutex_init(&server->lock);
    cond_init(&server->wake);
    sys_entropy(&server->id_seed, sizeof server->id_seed);
    struct err err = listen_on(config->address, config->port, &server->listen_fd, &server->port);
    if (err.code)
        goto fail;
    err = thread_start(&server->minder, "http minder", minder_run, server);
    if (err.code)
        goto fail;
    server->daemon = start_daemon(server);
    if (!server->daemon) {
        err = err_new(ERR_NOMEM, "http: cannot start its threads");
        mutex_lock(&server->lock);
        server->minder_stops = true;
        cond_signal(&server->wake);
        mutex_unlock(&server->lock);
        thread_join(&server->minder);
        goto fail;
    }
    server->listen_fd = -1; /* the daemon's now */
    *out = server;
    return ok();
fail:
    if (server->listen_fd >= 0)
        close(server->listen_fd);
    cond_done(&server->wake);
    mutex_done(&server->lock);
    free(server);
    return err;
}

uint16_t http_port(const struct http_server *server)
{
    return server->port;
}

/* Waits, by a condition that nobody signals, for `count` to become 0. */
static void wait_for_none(struct http_server *server, _Atomic uint64_t *count, int64_t wait_ms)
{
    int64_t end_ns = clock_mono_ns(server->config.clock) + wait_ms * 1000000;
    mutex_lock(&server->lock);
    while (atomic_load(count) && clock_mono_ns(server->config.clock) < end_ns)
        (void)cond_wait_ms(&server->wake, &server->lock, 5);
    mutex_unlock(&server->lock);
}

void http_quiesce(struct http_server *server, int64_t wait_ms)
{
    atomic_store(&server->is_stopping, true);
    if (server->listen_fd < 0)
        server->listen_fd = MHD_quiesce_daemon(server->daemon);
    streams_end_all(server);
    wait_for_none(server, &server->active, wait_ms);
}

void http_stop(struct http_server *server)
{
    if (!server)
        return;
    http_quiesce(server, 0);
    while (atomic_load(&server->deferred))
        wait_for_none(server, &server->deferred, 1000);
    /* Their writers still have to end them. */
    mutex_lock(&server->lock);
    while (server->writers)
        (void)cond_wait_ms(&server->wake, &server->lock, 5);
    mutex_unlock(&server->lock);
    MHD_stop_daemon(server->daemon);
    mutex_lock(&server->lock);
    server->minder_stops = true;
    cond_broadcast(&server->wake);
    mutex_unlock(&server->lock);
    thread_join(&server->minder);
    if (server->listen_fd >= 0)
        close(server->listen_fd);
    cond_done(&server->wake);
    mutex_done(&server->lock);
    free(server);
}

struct http_stats http_stats(const struct http_server *server)
{
    return (struct http_stats){
        .connections = atomic_load(&server->connections),
        .active = atomic_load(&server->active),
        .body_bytes = atomic_load(&server->body_bytes),
        .requests = atomic_load(&server->requests),
    };
}

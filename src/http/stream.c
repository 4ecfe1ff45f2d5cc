/*
 * stream.c - replies that are written bit by bit.
 *
 * Two own a stream: its writer, and MHD's response; the last to let go frees it. Between them lies a
 * bounded buffer. When it's empty the reader suspends the connection; the next write resumes it.
 * Suspending happens under the stream's lock, so a write can't slip in between "empty" and
 * "suspended".
 */
#include "http/http_internal.h"

#include <stdlib.h>

enum { STREAM_BUFFER_MAX = 1 << 20, STREAM_CHUNK = 32 << 10 };

struct http_stream {
    struct http_stream *next; /* in the server's list */
    struct http_stream *prev;
    struct http_server *server;
    struct MHD_Connection *native;
    struct mutex lock;
    struct cond room;
    struct buf buf;
    size_t sent; /* of buf */
    bool is_suspended;
    bool is_ended;  /* the writer has */
    bool is_closed; /* the client, or the server, has */
    bool has_writer;
    bool has_response;
};

static void stream_free(struct http_stream *stream)
{
    mutex_lock(&stream->server->lock);
    if (stream->next)
        stream->next->prev = stream->prev;
    if (stream->prev)
        stream->prev->next = stream->next;
    else
        stream->server->streams = stream->next;
    mutex_unlock(&stream->server->lock);
    buf_done(&stream->buf);
    cond_done(&stream->room);
    mutex_done(&stream->lock);
    free(stream);
}

/* Under the lock. */
static void wake_reader(struct http_stream *stream)
{
    if (!stream->is_suspended)
        return;
    stream->is_suspended = false;
    MHD_resume_connection(stream->native);
    atomic_fetch_sub(&stream->server->deferred, 1);
}

static ssize_t on_read(void *cls, uint64_t at, char *to, size_t max)
{
    struct http_stream *stream = cls;
    (void)at;
    mutex_lock(&stream->lock);
    size_t left = stream->buf.len - stream->sent;
    ssize_t result;
    if (left && !stream->buf.is_failed) {
        size_t len = left < max ? left : max;
        memcpy(to, stream->buf.ptr + stream->sent, len);
        stream->sent += len;
        if (stream->sent == stream->buf.len) {
            buf_reset(&stream->buf);
            stream->sent = 0;
        }
        cond_broadcast(&stream->room);
        result = (ssize_t)len;
    } else if (stream->is_ended || stream->is_closed || atomic_load(&stream->server->is_stopping)) {
        result = MHD_CONTENT_READER_END_OF_STREAM;
    } else {
        atomic_fetch_add(&stream->server->deferred, 1);
        stream->is_suspended = true;
        MHD_suspend_connection(stream->native);
        result = 0;
    }
    mutex_unlock(&stream->lock);
    return result;
}

/* MHD lets go of the response: all is sent, or the client is gone. */
static void on_released(void *cls)
{
    struct http_stream *stream = cls;
    mutex_lock(&stream->lock);
    stream->is_closed = true;
    stream->has_response = false;
    cond_broadcast(&stream->room);
    bool is_last = !stream->has_writer;
    mutex_unlock(&stream->lock);
    if (is_last)
        stream_free(stream);
}

struct err http_reply_stream(struct http_request *request, int status, const char *type,
                             struct http_stream **out)
{
    struct exchange *x = exchange_of(request);
    assert(!x->has_reply);
    struct http_stream *stream = calloc(1, sizeof *stream);
    if (!stream)
        return err_new(ERR_NOMEM, "http: stream");
    struct MHD_Response *response = MHD_create_response_from_callback(
        MHD_SIZE_UNKNOWN, STREAM_CHUNK, on_read, stream, on_released);
    if (!response) {
        free(stream);
        return err_new(ERR_NOMEM, "http: stream");
    }
    stream->server = x->server;
    stream->native = x->native;
    stream->has_writer = true;
    stream->has_response = true;
    mutex_init(&stream->lock);
    cond_init(&stream->room);
    buf_init(&stream->buf, STREAM_BUFFER_MAX);
    mutex_lock(&x->server->lock);
    stream->next = x->server->streams;
    if (stream->next)
        stream->next->prev = stream;
    x->server->streams = stream;
    x->server->writers++;
    mutex_unlock(&x->server->lock);
    x->status = status;
    x->type = type;
    x->stream = stream;
    *out = stream;
    (void)reply_seal(x, response);
    reply_wake(x);
    return ok();
}

bool http_stream_write(struct http_stream *stream, struct bytes data, int64_t wait_ms)
{
    int64_t end_ns = clock_mono_ns(stream->server->config.clock) + wait_ms * 1000000;
    mutex_lock(&stream->lock);
    while (!stream->is_closed && stream->buf.len + data.len > STREAM_BUFFER_MAX) {
        int64_t left_ms = (end_ns - clock_mono_ns(stream->server->config.clock)) / 1000000;
        if (left_ms <= 0)
            break;
        (void)cond_wait_ms(&stream->room, &stream->lock, left_ms);
    }
    if (atomic_load(&stream->server->is_stopping))
        stream->is_closed = true;
    bool is_open = !stream->is_closed && stream->buf.len + data.len <= STREAM_BUFFER_MAX;
    if (is_open)
        buf_put(&stream->buf, data);
    else
        stream->is_closed = true;
    if (stream->has_response)
        wake_reader(stream);
    mutex_unlock(&stream->lock);
    return is_open;
}

bool http_stream_is_open(struct http_stream *stream)
{
    mutex_lock(&stream->lock);
    bool is_open = !stream->is_closed && !atomic_load(&stream->server->is_stopping);
    mutex_unlock(&stream->lock);
    return is_open;
}

void http_stream_end(struct http_stream *stream)
{
    if (!stream)
        return;
    struct http_server *server = stream->server;
    mutex_lock(&stream->lock);
    stream->is_ended = true;
    stream->has_writer = false;
    bool is_last = !stream->has_response;
    if (!is_last)
        wake_reader(stream);
    mutex_unlock(&stream->lock);
    if (is_last)
        stream_free(stream);
    mutex_lock(&server->lock);
    server->writers--; /* the last touch: http_stop waits for it */
    mutex_unlock(&server->lock);
}

void streams_end_all(struct http_server *server)
{
    mutex_lock(&server->lock);
    for (struct http_stream *stream = server->streams; stream; stream = stream->next) {
        mutex_lock(&stream->lock);
        stream->is_closed = true;
        cond_broadcast(&stream->room);
        if (stream->has_response)
            wake_reader(stream);
        mutex_unlock(&stream->lock);
    }
    mutex_unlock(&server->lock);
}

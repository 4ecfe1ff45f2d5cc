/*
 * live.c - GET /v1/live: events as they come, as server-sent events.
 *
 * One thread serves all watchers, four times a second, and sleeps while there's none. A watcher that
 * doesn't read is let go: its stream's buffer is bounded and never waited for.
 */
#include "api/api_internal.h"

#include <stdlib.h>

enum { WATCHERS_MAX = 256, TICK_MS = 250, LINES_MAX = 4 << 20 };

struct watcher {
    struct watcher *next;
    struct http_stream *stream;
    struct live_reader *reader;
    struct project *project;
    uint64_t events_before;
    uint32_t ticks;
    uint64_t skipped;
};

struct live {
    struct api *api;
    struct mutex lock;
    struct cond wake;
    struct watcher *watchers; /* the thread's own once they're in */
    struct watcher *arrived;
    uint32_t count;
    bool stops;
    struct thread thread;
};

static void watcher_free(struct watcher *watcher)
{
    project_live_close(watcher->reader);
    http_stream_end(watcher->stream);
    free(watcher);
}

static void put_events(struct watcher *watcher, struct buf *lines, struct buf *out)
{
    uint64_t skipped = 0;
    buf_reset(lines);
    struct err err = project_live_read(watcher->reader, 0, lines, &skipped);
    watcher->skipped += skipped;
    if (err.code)
        return; /* nothing new can be told this time */
    struct bytes rest = buf_bytes(lines);
    while (rest.len) {
        const uint8_t *end = memchr(rest.ptr, '\n', rest.len);
        struct bytes line = bytes_slice(rest, 0, end ? (size_t)(end - rest.ptr) : rest.len);
        rest = bytes_slice(rest, line.len + 1, SIZE_MAX);
        buf_put(out, BYTES("event: event\ndata: "));
        buf_put(out, line);
        buf_put(out, BYTES("\n\n"));
    }
}

static void put_stats(struct watcher *watcher, struct buf *out)
{
    struct project_stats stats = project_stats(watcher->project);
    uint64_t rate =
        stats.events > watcher->events_before ? stats.events - watcher->events_before : 0;
    buf_printf(out,
               "event: stats\ndata: {\"events_per_second\":%llu,\"events_total\":%llu,"
               "\"users_total\":%llu,\"position\":%llu,\"skipped\":%llu}\n\n",
               (unsigned long long)rate, (unsigned long long)stats.events,
               (unsigned long long)stats.users, (unsigned long long)stats.applied,
               (unsigned long long)watcher->skipped);
    watcher->events_before = stats.events;
    watcher->skipped = 0;
}

/* False: the watcher is gone. */
static bool serve(struct watcher *watcher, struct buf *lines, struct buf *out)
{
    buf_reset(out);
    put_events(watcher, lines, out);
    if (watcher->ticks++ % (1000 / TICK_MS) == 0)
        put_stats(watcher, out);
    if (watcher->ticks % 60 == 0)
        buf_put(out, BYTES(": still here\n\n"));
    if (out->is_failed)
        return false;
    return out->len == 0 ? http_stream_is_open(watcher->stream)
                         : http_stream_write(watcher->stream, buf_bytes(out), 0);
}

static void serve_all(struct live *live, struct buf *lines, struct buf *out)
{
    struct watcher **link = &live->watchers;
    while (*link) {
        struct watcher *watcher = *link;
        if (serve(watcher, lines, out)) {
            link = &watcher->next;
            continue;
        }
        *link = watcher->next;
        watcher_free(watcher);
        mutex_lock(&live->lock);
        live->count--;
        mutex_unlock(&live->lock);
    }
}

/* Takes in who has arrived; sleeps while nobody's here. False: the end. */
static bool wait_for_tick(struct live *live)
{
    mutex_lock(&live->lock);
    while (!live->stops && !live->watchers && !live->arrived)
        cond_wait(&live->wake, &live->lock);
    if (!live->stops && !live->arrived)
        (void)cond_wait_ms(&live->wake, &live->lock, TICK_MS);
    while (live->arrived) {
        struct watcher *watcher = live->arrived;
        live->arrived = watcher->next;
        watcher->next = live->watchers;
        live->watchers = watcher;
    }
    bool goes_on = !live->stops;
    mutex_unlock(&live->lock);
    return goes_on;
}

static void *live_run(void *ctx)
{
    struct live *live = ctx;
    struct buf lines;
    struct buf out;
    buf_init(&lines, LINES_MAX);
    buf_init(&out, LINES_MAX);
    while (wait_for_tick(live))
        serve_all(live, &lines, &out);
    while (live->watchers) {
        struct watcher *watcher = live->watchers;
        live->watchers = watcher->next;
        watcher_free(watcher);
    }
    buf_done(&lines);
    buf_done(&out);
    return NULL;
}

struct err api_live_new(struct api *api, struct live **out)
{
    struct live *live = calloc(1, sizeof *live);
    if (!live)
        return err_new(ERR_NOMEM, "api: live");
    live->api = api;
    mutex_init(&live->lock);
    cond_init(&live->wake);
    struct err err = thread_start(&live->thread, "api live", live_run, live);
    if (err.code) {
        cond_done(&live->wake);
        mutex_done(&live->lock);
        free(live);
        return err;
    }
    *out = live;
    return ok();
}

void api_live_stop(struct live *live)
{
    mutex_lock(&live->lock);
    bool is_first = !live->stops;
    live->stops = true;
    cond_broadcast(&live->wake);
    mutex_unlock(&live->lock);
    if (is_first)
        thread_join(&live->thread);
}

void api_live_free(struct live *live)
{
    if (!live)
        return;
    api_live_stop(live);
    cond_done(&live->wake);
    mutex_done(&live->lock);
    free(live);
}

static bool take_place(struct live *live)
{
    mutex_lock(&live->lock);
    bool has_room = live->count < WATCHERS_MAX && !live->stops;
    live->count += has_room;
    mutex_unlock(&live->lock);
    return has_room;
}

static void give_place(struct live *live)
{
    mutex_lock(&live->lock);
    live->count--;
    mutex_unlock(&live->lock);
}

void handle_live(struct call *call)
{
    struct live *live = call->api->live;
    if (!take_place(live)) {
        call_fail(call, 429, "too_many_watchers", "%d are watching already", WATCHERS_MAX);
        return;
    }
    struct watcher *watcher = calloc(1, sizeof *watcher);
    struct err err = watcher ? project_live_open(call->project, &watcher->reader)
                             : err_new(ERR_NOMEM, "api: live");
    if (!err.code) {
        watcher->project = call->project;
        watcher->events_before = project_stats(call->project).events;
        http_reply_header(call->request, "Cache-Control", "no-store");
        http_reply_header(call->request, "X-Accel-Buffering", "no");
        err = http_reply_stream(call->request, 200, "text/event-stream", &watcher->stream);
        if (err.code)
            project_live_close(watcher->reader);
    }
    if (err.code) {
        free(watcher);
        give_place(live);
        call_fail_err(call, err);
        return;
    }
    mutex_lock(&live->lock);
    bool is_late = live->stops; /* meanwhile */
    if (!is_late) {
        watcher->next = live->arrived;
        live->arrived = watcher;
        cond_broadcast(&live->wake);
    }
    mutex_unlock(&live->lock);
    if (is_late)
        watcher_free(watcher);
}

/* running.c - health, metrics, the OpenAPI document, the dashboard's files. */
#include "api/api_internal.h"
#include "sys/sys.h"

#include <stdio.h>

enum { METRICS_MAX = 4 << 20 };

static void reply_words(struct call *call, int status, const char *words)
{
    struct buf body;
    buf_init(&body, 1000);
    buf_printf(&body, "{\"status\":\"%s\"}", words);
    call_reply_json(call, status, &body);
}

void handle_health(struct call *call)
{
    reply_words(call, 200, "success");
}

void handle_ready(struct call *call)
{
    if (atomic_load(&call->api->is_ready))
        reply_words(call, 200, "success");
    else
        call_fail(call, 503, "not_ready", "starting or stopping");
}

static void put_metric(struct buf *to, const char *name, const char *type, const char *help,
                       uint64_t value)
{
    buf_printf(to, "# HELP kolam_%s %s\n# TYPE kolam_%s %s\nkolam_%s %llu\n", name, help, name,
               type, name, (unsigned long long)value);
}

static void put_latencies(struct buf *to, struct api *api)
{
    static const char *const bounds[LATENCIES] = { "0.00025", "0.0005", "0.001", "0.0025",
                                                   "0.005",   "0.01",   "0.025", "0.1",
                                                   "0.5",     "2.5",    "10",    "+Inf" };
    uint64_t sum = 0;
    buf_printf(to, "# HELP kolam_http_request_seconds From a request's head to its last byte.\n"
                   "# TYPE kolam_http_request_seconds histogram\n");
    for (size_t i = 0; i < LATENCIES; i++) {
        sum += atomic_load(&api->latencies[i]);
        buf_printf(to, "kolam_http_request_seconds_bucket{le=\"%s\"} %llu\n", bounds[i],
                   (unsigned long long)sum);
    }
    buf_printf(to, "kolam_http_request_seconds_sum %.6f\nkolam_http_request_seconds_count %llu\n",
               (double)atomic_load(&api->latency_us) / 1e6, (unsigned long long)sum);
}

static void put_project_metrics(struct buf *to, struct api *api)
{
    static const struct {
        const char *name;
        const char *type;
        size_t at;
    } metrics[] = {
        { "project_events", "gauge", offsetof(struct project_stats, events) },
        { "project_users", "gauge", offsetof(struct project_stats, users) },
        { "project_duplicates_total", "counter", offsetof(struct project_stats, duplicates) },
        { "project_position", "counter", offsetof(struct project_stats, position) },
        { "project_applied", "counter", offsetof(struct project_stats, applied) },
        { "project_queue_bytes", "gauge", offsetof(struct project_stats, queue_bytes) },
        { "project_log_bytes", "gauge", offsetof(struct project_stats, log_bytes) },
        { "project_log_syncs_total", "counter", offsetof(struct project_stats, log_syncs) },
        { "project_disk_bytes", "gauge", offsetof(struct project_stats, disk_bytes) },
        { "project_memory_events", "gauge", offsetof(struct project_stats, memory_events) },
        { "project_checkpoints_total", "counter", offsetof(struct project_stats, checkpoints) },
    };
    for (size_t m = 0; m < sizeof metrics / sizeof metrics[0]; m++) {
        struct account_project facts;
        buf_printf(to, "# TYPE kolam_%s %s\n", metrics[m].name, metrics[m].type);
        for (size_t n = 0; n < 100 && account_project_at(api->config.accounts, n, &facts); n++) {
            struct project *project;
            struct project_settings settings = { .time_zone = bytes_from(facts.time_zone) };
            struct err err =
                engine_project(api->config.engine, facts.id, &settings, true, &project);
            if (err.code)
                continue;
            struct project_stats stats = project_stats(project);
            uint64_t value;
            memcpy(&value, (const uint8_t *)&stats + metrics[m].at, sizeof value);
            buf_printf(to, "kolam_%s{project=\"%s\"} %llu\n", metrics[m].name, facts.id,
                       (unsigned long long)value);
        }
    }
}

void handle_metrics(struct call *call)
{
    struct api *api = call->api;
    struct buf to;
    buf_init(&to, METRICS_MAX);
    buf_printf(&to, "# HELP kolam_http_requests_total Requests answered, by class of status.\n"
                    "# TYPE kolam_http_requests_total counter\n");
    for (int i = 1; i < 6; i++)
        buf_printf(&to, "kolam_http_requests_total{status=\"%dxx\"} %llu\n", i,
                   (unsigned long long)atomic_load(&api->by_status[i]));
    put_latencies(&to, api);
    put_metric(&to, "records_total", "counter", "Records acknowledged.",
               atomic_load(&api->records_in));
    put_metric(&to, "records_refused_total", "counter", "Records refused.",
               atomic_load(&api->records_refused));
    put_metric(&to, "queries_total", "counter", "Queries begun.", atomic_load(&api->queries));
    if (api->http) {
        struct http_stats stats = http_stats(api->http);
        put_metric(&to, "http_connections", "gauge", "Open connections.", stats.connections);
        put_metric(&to, "http_active", "gauge", "Requests at work.", stats.active);
        put_metric(&to, "http_body_bytes", "gauge", "Bodies held.", stats.body_bytes);
    }
    put_metric(&to, "memory_bytes", "gauge", "Resident memory.", sys_memory_used_bytes());
    put_metric(&to, "cpu_milliseconds_total", "counter", "CPU time of the process.",
               (uint64_t)(sys_cpu_process_ns() / 1000000));
    put_project_metrics(&to, api);
    call_reply(call, 200, "text/plain; version=0.0.4", &to);
}

void handle_openapi(struct call *call)
{
    struct buf body;
    buf_init(&body, METRICS_MAX);
    api_put_openapi(&body);
    call_reply_json(call, 200, &body);
}

/* --- the dashboard ----------------------------------------------------------------------- */

static const struct http_asset *find_asset(const struct api *api, struct bytes path)
{
    for (size_t i = 0; i < api->config.asset_count; i++)
        if (bytes_equal(path, bytes_from(api->config.assets[i].path)))
            return &api->config.assets[i];
    return NULL;
}

/* The dashboard's pages are views of one file; its own files have a dot in their last part. */
void handle_asset(struct call *call)
{
    struct api *api = call->api;
    struct bytes path = call->request->path;
    const struct http_asset *asset = find_asset(api, path);
    const uint8_t *slash = path.len ? memrchr(path.ptr, '/', path.len) : NULL;
    size_t from = slash ? (size_t)(slash - path.ptr) : 0;
    bool is_file = path.len && memchr(path.ptr + from, '.', path.len - from);
    if (!asset && !is_file)
        asset = find_asset(api, BYTES("/index.html"));
    if (asset)
        http_reply_asset(call->request, asset);
    else
        call_fail(call, 404, "not_found", "there's no such path");
}

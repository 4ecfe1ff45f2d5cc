/*
 * ingest.c - POST /v1/events and its relatives, and CleverTap's upload: from the body to the fsync.
 *
 * All on the event loop: the body is checked and written as a batch with tools from a pool (a kit),
 * the answer is made, the batch is submitted, and the loop goes on. When the log's thread says that
 * the batch is durable, the answer leaves.
 */
#include "api/api_internal.h"

#include <stdio.h>
#include <stdlib.h>

enum { REPLY_MAX = 64 << 20 };

typedef struct err ingest_fn(struct ingest *in, const struct ingest_rules *rules,
                             enum ingest_format format, struct bytes body,
                             struct command_writer *writer, struct ingest_result *result_out);

static struct kit *kit_take(struct api *api)
{
    mutex_lock(&api->kit_lock);
    struct kit *kit = api->kits;
    if (kit)
        api->kits = kit->next;
    mutex_unlock(&api->kit_lock);
    if (kit)
        return kit;
    kit = calloc(1, sizeof *kit);
    if (!kit)
        return NULL;
    struct err err = ingest_new(api->config.body_max, &kit->ingest);
    if (!err.code)
        err = command_writer_new(&kit->writer);
    if (err.code) {
        ingest_free(kit->ingest);
        command_writer_free(kit->writer);
        free(kit);
        return NULL;
    }
    return kit;
}

static void kit_give(struct api *api, struct kit *kit)
{
    mutex_lock(&api->kit_lock);
    kit->next = api->kits;
    api->kits = kit;
    mutex_unlock(&api->kit_lock);
}

static bool is_discarded(void *ctx, struct bytes event_name, bool is_folded)
{
    return project_is_discarded(ctx, event_name, is_folded);
}

static struct ingest_rules rules_of(struct call *call)
{
    return (struct ingest_rules){
        .limits = project_rules(call->project).limits,
        .now_ms = clock_now_ms(call->api->config.clock),
        .is_discarded = is_discarded,
        .ctx = call->project,
        .is_body_padded = true, /* http.h */
    };
}

static bool is_dry_run(struct call *call)
{
    struct bytes native = call_query(call, "dry_run");
    struct bytes clevertap = call_query(call, "dryRun");
    struct bytes value = native.len ? native : clevertap;
    return bytes_equal(value, BYTES("1")) || bytes_equal(value, BYTES("true"));
}

/* On the log's thread. */
static void on_durable(void *ctx, struct err err, uint64_t position)
{
    struct call *call = ctx;
    (void)position;
    if (err.code) {
        call_fail_err(call, err);
        return;
    }
    atomic_fetch_add_explicit(&call->api->records_in, call->records, memory_order_relaxed);
    call_reply_json(call, call->status, &call->body);
}

/* The batch of the kit's writer, then the answer in call->body. Gives the kit back. */
static void submit(struct call *call, struct kit *kit)
{
    struct api *api = call->api;
    struct bytes batch;
    uint32_t count = command_writer_count(kit->writer);
    struct err err = command_writer_finish(kit->writer, &batch);
    if (!err.code) {
        /* The reply may come, and the call be gone, before project_submit returns. */
        http_defer(call->request);
        err = project_submit(call->project, batch, count, on_durable, call);
    }
    kit_give(api, kit);
    if (err.code)
        call_fail_err(call, err);
}

/* Into the error that ingest wrote, which doesn't know of requests. */
static void put_request_id(struct call *call)
{
    struct buf *body = &call->body;
    if (!body->len || body->ptr[body->len - 1] != '}')
        return;
    body->len--;
    buf_printf(body, ",\"request_id\":\"%s\"}", call->request->id);
}

static void ingest(struct call *call, ingest_fn *fn, enum ingest_format format)
{
    struct api *api = call->api;
    struct kit *kit = kit_take(api);
    if (!kit) {
        call_fail(call, 503, "out_of_memory", "there isn't enough memory for this");
        return;
    }
    struct ingest_rules rules = rules_of(call);
    struct ingest_result result;
    struct err err = fn(kit->ingest, &rules, format, call->request->body, kit->writer, &result);
    if (err.code) {
        kit_give(api, kit);
        call_fail_err(call, err);
        return;
    }
    buf_init(&call->body, REPLY_MAX);
    ingest_put_reply(kit->ingest, &result, &call->body);
    if (result.is_refused)
        put_request_id(call);
    call->status = result.status;
    call->records = result.processed;
    atomic_fetch_add_explicit(&api->records_refused, result.problem_count, memory_order_relaxed);
    if (result.is_refused || command_writer_count(kit->writer) == 0 || is_dry_run(call)) {
        kit_give(api, kit);
        call_reply_json(call, result.status, &call->body);
        return;
    }
    submit(call, kit);
}

static enum ingest_format format_of(const struct call *call)
{
    struct bytes type = http_header(call->request, "Content-Type");
    bool is_lines = bytes_start_with(type, BYTES("application/x-ndjson")) ||
                    bytes_start_with(type, BYTES("application/jsonl"));
    return is_lines ? INGEST_NDJSON : INGEST_JSON;
}

void handle_events(struct call *call)
{
    ingest(call, ingest_events, format_of(call));
}

void handle_profiles(struct call *call)
{
    ingest(call, ingest_profiles, format_of(call));
}

void handle_identify(struct call *call)
{
    ingest(call, ingest_identify, format_of(call));
}

static struct err upload(struct ingest *in, const struct ingest_rules *rules,
                         enum ingest_format format, struct bytes body,
                         struct command_writer *writer, struct ingest_result *result_out)
{
    (void)format;
    return ingest_upload(in, rules, body, writer, result_out);
}

void handle_ct_upload(struct call *call)
{
    ingest(call, upload, INGEST_JSON);
}

/* --- lines of both shapes, events and profiles mixed ------------------------------------------- */

struct lines {
    struct jsonw w;
    uint32_t processed;
    uint32_t refused;
};

static void put_line_problem(struct lines *lines, uint64_t number, struct bytes line,
                             const struct ingest_problem *problem)
{
    struct jsonw *w = &lines->w;
    if (++lines->refused > 1000)
        return; /* counted, not told */
    jsonw_object(w);
    jsonw_key(w, "line");
    jsonw_uint(w, number);
    jsonw_key(w, "code");
    jsonw_int(w, problem->code);
    jsonw_key(w, "type");
    jsonw_text(w, problem->type);
    jsonw_key(w, "error");
    jsonw_string(w, problem->message);
    jsonw_key(w, "record");
    jsonw_string(w, bytes_slice(line, 0, 1024));
    jsonw_end_object(w);
}

static void take_lines(struct call *call, struct kit *kit, struct lines *lines)
{
    struct ingest_rules rules = rules_of(call);
    struct bytes rest = call->request->body;
    for (uint64_t number = 1; rest.len; number++) {
        const uint8_t *end = memchr(rest.ptr, '\n', rest.len);
        struct bytes line = bytes_slice(rest, 0, end ? (size_t)(end - rest.ptr) : rest.len);
        rest = bytes_slice(rest, line.len + 1, SIZE_MAX);
        if (line.len && line.ptr[line.len - 1] == '\r')
            line.len--;
        if (!line.len)
            continue;
        struct ingest_problem problem;
        if (ingest_line(kit->ingest, &rules, line, true, kit->writer, &problem))
            lines->processed++;
        else
            put_line_problem(lines, number, line, &problem);
    }
}

void handle_import(struct call *call)
{
    struct api *api = call->api;
    struct kit *kit = kit_take(api);
    if (!kit) {
        call_fail(call, 503, "out_of_memory", "there isn't enough memory for this");
        return;
    }
    buf_init(&call->body, REPLY_MAX);
    command_writer_reset(kit->writer, clock_now_ms(api->config.clock));
    struct lines lines = { .w = jsonw_of(&call->body) };
    jsonw_object(&lines.w);
    jsonw_key(&lines.w, "unprocessed");
    jsonw_array(&lines.w);
    take_lines(call, kit, &lines);
    jsonw_end_array(&lines.w);
    jsonw_key(&lines.w, "status");
    jsonw_text(&lines.w, !lines.refused ? "success" : lines.processed ? "partial" : "fail");
    jsonw_key(&lines.w, "processed");
    jsonw_uint(&lines.w, lines.processed);
    jsonw_key(&lines.w, "refused");
    jsonw_uint(&lines.w, lines.refused);
    jsonw_end_object(&lines.w);
    call->status = 200;
    call->records = lines.processed;
    atomic_fetch_add_explicit(&api->records_refused, lines.refused, memory_order_relaxed);
    if (command_writer_count(kit->writer) == 0 || is_dry_run(call)) {
        kit_give(api, kit);
        call_reply_json(call, 200, &call->body);
        return;
    }
    submit(call, kit);
}

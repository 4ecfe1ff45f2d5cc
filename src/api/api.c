/*
 * api.c - a call from its head to its handler.
 *
 *     begin    route, principal, project, scope, rate: a refusal costs no body
 *     handle   Idempotency-Key; then the handler, on this loop or on a worker
 *     end      counted, freed
 */
#include "api/api_internal.h"
#include "base/map.h"
#include "sys/sys.h"

#include <stdlib.h>

enum { JSON_DEPTH_MAX = 64 };

/* --- who ------------------------------------------------------------------------------ */

static bool equals_without_case(struct bytes text, const char *word, size_t len)
{
    if (text.len < len)
        return false;
    for (size_t i = 0; i < len; i++) {
        uint8_t c = text.ptr[i];
        if (c >= 'A' && c <= 'Z')
            c = (uint8_t)(c + 32);
        if (c != (uint8_t)word[i])
            return false;
    }
    return true;
}

static bool verify_pair(struct call *call, struct bytes text, uint8_t between)
{
    const uint8_t *mark = text.len ? memchr(text.ptr, between, text.len) : NULL;
    if (!mark)
        return false;
    size_t len = (size_t)(mark - text.ptr);
    return account_verify_client(call->api->config.accounts, bytes_slice(text, 0, len),
                                 bytes_slice(text, len + 1, SIZE_MAX), &call->principal);
}

static bool verify_authorization(struct call *call, struct bytes value)
{
    if (equals_without_case(value, "bearer ", 7))
        return verify_pair(call, bytes_slice(value, 7, SIZE_MAX), '.');
    if (!equals_without_case(value, "basic ", 6))
        return false;
    struct buf pair;
    buf_init(&pair, 1024);
    bool is_good = base64_get(bytes_slice(value, 6, SIZE_MAX), &pair) &&
                   verify_pair(call, buf_bytes(&pair), ':');
    buf_done(&pair);
    return is_good;
}

/* Credentials that were given and are wrong are never passed over for others. */
static bool find_principal(struct call *call, bool *were_given_out)
{
    struct accounts *accounts = call->api->config.accounts;
    struct bytes account = http_header(call->request, "X-CleverTap-Account-Id");
    struct bytes authorization = http_header(call->request, "Authorization");
    *were_given_out = true;
    if (account.len)
        return account_verify_client(accounts, account,
                                     http_header(call->request, "X-CleverTap-Passcode"),
                                     &call->principal);
    if (authorization.len)
        return verify_authorization(call, authorization);
    struct bytes cookie = http_cookie(call->request, "kolam_session");
    *were_given_out = cookie.len != 0;
    return cookie.len && account_session(accounts, cookie, &call->principal);
}

static uint32_t scope_of(enum route_needs needs)
{
    switch (needs) {
    case NEEDS_INGEST:
        return SCOPE_INGEST;
    case NEEDS_QUERY:
        return SCOPE_QUERY;
    case NEEDS_PEOPLE:
        return SCOPE_PEOPLE;
    case NEEDS_MANAGE:
        return SCOPE_MANAGE;
    default:
        return 0;
    }
}

static bool is_write(const struct http_request *request)
{
    return request->method != HTTP_GET && request->method != HTTP_HEAD;
}

/* False: answered. */
static bool check_csrf(struct call *call)
{
    if (call->principal.kind != PRINCIPAL_PERSON || !is_write(call->request))
        return true;
    struct bytes token = http_header(call->request, "X-CSRF-Token");
    if (token.len && crypt_equal(token, bytes_from(call->principal.csrf)))
        return true;
    call_fail(call, 403, "csrf", "X-CSRF-Token is missing or wrong: GET /v1/session tells it");
    return false;
}

/* False: answered. */
static bool check_project(struct call *call)
{
    struct bytes named = http_header(call->request, "X-Kolam-Project");
    if (!named.len)
        named = call_query(call, "project");
    if (!named.len && call->principal.kind == PRINCIPAL_PERSON) {
        call_fail(call, 400, "project_missing", "name the project: header X-Kolam-Project");
        return false;
    }
    if (!account_choose(call->api->config.accounts, named, &call->principal)) {
        call_fail(call, 404, "not_found", "there's no such project");
        return false;
    }
    uint32_t scope = scope_of(call->route->needs);
    if (!(call->principal.scopes & scope)) {
        struct buf names;
        buf_init(&names, 100);
        account_put_scopes(&names, scope);
        call_fail(call, 403, "scope_missing", "this needs the scope %.*s", (int)names.len,
                  (const char *)names.ptr);
        buf_done(&names);
        return false;
    }
    struct account_project facts;
    struct err err = account_project_find(call->api->config.accounts,
                                          bytes_from(call->principal.project), &facts);
    if (!err.code) {
        struct project_settings settings = { .time_zone = bytes_from(facts.time_zone) };
        err = engine_project(call->api->config.engine, facts.id, &settings, true, &call->project);
    }
    if (err.code) {
        call_fail_err(call, err);
        return false;
    }
    call->zone = project_zone(call->project);
    return true;
}

/* False: answered. */
static bool admit(struct call *call)
{
    bool were_given;
    bool is_known = find_principal(call, &were_given);
    if (!is_known)
        call->principal.kind = PRINCIPAL_NONE;
    if (call->route->needs != NEEDS_NOTHING && !is_known) {
        /* Guesses are limited by where they come from. */
        bool is_clevertap = call->route->face == FACE_CLEVERTAP;
        call_fail(call, 401, "unauthenticated", "%s",
                  is_clevertap ? "Invalid Credentials"
                  : were_given ? "the credentials aren't good"
                               : "sign in, or send an API client's id and secret");
        return false;
    }
    if (is_known && !check_csrf(call))
        return false;
    if (call->route->needs == NEEDS_PERSON && call->principal.kind != PRINCIPAL_PERSON) {
        call_fail(call, 403, "person_needed", "only a signed-in person may do this");
        return false;
    }
    if (!limit_rate(call))
        return false;
    if (call->route->needs > NEEDS_PERSON && !check_project(call))
        return false;
    return call->route->face != FACE_CLEVERTAP || limit_flight(call);
}

/* --- http's callbacks -------------------------------------------------------------------- */

static const struct route asset_route = {
    .http = { HTTP_GET, "/" }, .name = "asset", .place = ON_LOOP, .handle = handle_asset
};

static void refuse_method(struct call *call, uint32_t allowed)
{
    char names[80] = "";
    for (int method = 0; method < HTTP_OTHER; method++) {
        if (!(allowed >> method & 1))
            continue;
        if (names[0])
            strcat(names, ", "); /* eight short names at most */
        strcat(names, http_method_name((enum http_method)method));
    }
    http_reply_header(call->request, "Allow", names);
    call_fail(call, 405, "method_not_allowed", "this path takes %s", names);
}

static bool is_api_path(struct bytes path)
{
    static const char *const prefixes[] = { "/v1/",    "/1/",      "/healthz",
                                            "/readyz", "/metrics", "/openapi.json" };
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++)
        if (bytes_start_with(path, bytes_from(prefixes[i])))
            return true;
    return false;
}

void api_begin(void *ctx, struct http_request *request)
{
    struct api *api = ctx;
    struct call *call = calloc(1, sizeof *call);
    if (!call) {
        http_reply(request, 503, NULL, NULL);
        return;
    }
    call->api = api;
    call->request = request;
    call->route = &asset_route;
    request->user = call;
    uint32_t allowed;
    int found = http_route_find(api->router, request, &allowed);
    if (found >= 0) {
        call->route = &api_routes[found];
        (void)admit(call);
        return;
    }
    if (allowed) {
        refuse_method(call, allowed);
        return;
    }
    bool is_page = !is_api_path(request->path) &&
                   (request->method == HTTP_GET || request->method == HTTP_HEAD);
    if (!is_page)
        call_fail(call, 404, "not_found", "there's no such path");
}

static bool enqueue(struct call *call)
{
    struct api *api = call->api;
    mutex_lock(&api->queue_lock);
    bool has_room = api->queue_count < api->config.queue_max && !atomic_load(&api->is_stopping);
    if (has_room) {
        /* Before it's queued: a worker may be done with it at once. */
        http_defer(call->request);
        http_watch(call->request, &call->gone);
        call->next = NULL;
        if (api->queue_last)
            api->queue_last->next = call;
        else
            api->queue_first = call;
        api->queue_last = call;
        api->queue_count++;
        cond_signal(&api->queue_wake);
    }
    mutex_unlock(&api->queue_lock);
    return has_room;
}

void api_handle(void *ctx, struct http_request *request)
{
    struct call *call = request->user;
    (void)ctx;
    if (!idempotent_begin(call))
        return;
    if (call->route->place == ON_LOOP) {
        call->route->handle(call);
        return;
    }
    if (!enqueue(call))
        call_fail(call, 429, "busy", "too many requests are waiting");
}

void api_end(void *ctx, struct http_request *request, int status, size_t reply_bytes)
{
    static const uint32_t bounds_us[LATENCIES - 1] = { 250,    500,     1000,    2500,
                                                       5000,   10000,   25000,   100000,
                                                       500000, 2500000, 10000000 };
    struct api *api = ctx;
    struct call *call = request->user;
    (void)reply_bytes;
    atomic_fetch_add_explicit(&api->by_status[status / 100 < 6 ? status / 100 : 0], 1,
                              memory_order_relaxed);
    int64_t took_us = (clock_mono_ns(api->config.clock) - request->began_ns) / 1000;
    size_t at = 0;
    while (at < LATENCIES - 1 && took_us > (int64_t)bounds_us[at])
        at++;
    atomic_fetch_add_explicit(&api->latencies[at], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&api->latency_us, (uint64_t)took_us, memory_order_relaxed);
    if (!call)
        return;
    limit_landed(call);
    idempotent_forget(call);
    buf_done(&call->body);
    free(call);
}

void api_error(void *ctx, const struct http_request *request, int status, const char *what,
               struct buf *body)
{
    (void)ctx;
    const char *type = status == 413   ? "too_large"
                       : status == 415 ? "unsupported_encoding"
                       : status == 503 ? "busy"
                                       : "malformed";
    put_error(body, status, type, bytes_from(what), request->id, bytes_of("", 0));
}

/* --- workers --------------------------------------------------------------------------------- */

static struct call *dequeue(struct api *api)
{
    mutex_lock(&api->queue_lock);
    while (!api->queue_first && !atomic_load(&api->is_stopping))
        cond_wait(&api->queue_wake, &api->queue_lock);
    struct call *call = api->queue_first;
    if (call) {
        api->queue_first = call->next;
        if (!api->queue_first)
            api->queue_last = NULL;
        api->queue_count--;
        call->next = NULL;
    }
    mutex_unlock(&api->queue_lock);
    return call;
}

static void *worker_run(void *ctx)
{
    struct worker *worker = ctx;
    struct call *call;
    while ((call = dequeue(worker->api))) {
        call->parser = worker->parser;
        if (atomic_load(&call->gone))
            call_fail(call, 499, "cancelled", "the client has gone");
        else
            call->route->handle(call);
    }
    return NULL;
}

static void fill_rate(struct api_rate *rate, uint32_t per_s, uint32_t burst)
{
    if (!rate->per_s)
        *rate = (struct api_rate){ .per_s = per_s, .burst = burst };
    if (!rate->burst)
        rate->burst = rate->per_s;
}

static void fill_defaults(struct api_config *config)
{
    if (!config->body_max)
        config->body_max = 16 << 20;
    if (!config->workers)
        config->workers = 4;
    if (config->workers > WORKERS_MAX)
        config->workers = WORKERS_MAX;
    if (!config->queue_max)
        config->queue_max = 256;
    if (!config->uploads_max)
        config->uploads_max = 15;
    if (!config->reads_max)
        config->reads_max = 3;
    fill_rate(&config->ingest, 200000, 200000);
    fill_rate(&config->query, 100, 200);
    fill_rate(&config->people, 200, 400);
    fill_rate(&config->manage, 20, 100);
    fill_rate(&config->sign_in, 2, 20);
}

struct err api_new(const struct api_config *config, struct api **out)
{
    struct api *api = calloc(1, sizeof *api);
    if (!api)
        return err_new(ERR_NOMEM, "api: new");
    api->config = *config;
    fill_defaults(&api->config);
    mutex_init(&api->queue_lock);
    cond_init(&api->queue_wake);
    mutex_init(&api->running_lock);
    mutex_init(&api->kit_lock);
    struct err err = limits_init(api);
    if (!err.code)
        err = account_secret(config->accounts, "cursors", api->cursor_key);
    if (!err.code)
        err = http_router_new(api_routes, sizeof api_routes[0], api_route_count, &api->router);
    if (!err.code)
        err = api_live_new(api, &api->live);
    for (unsigned i = 0; i < api->config.workers && !err.code; i++) {
        struct worker *worker = &api->workers[i];
        worker->api = api;
        err = json_parser_new(api->config.body_max, JSON_DEPTH_MAX, &worker->parser);
        if (!err.code)
            err = thread_start(&worker->thread, "api worker", worker_run, worker);
        if (err.code)
            json_parser_free(worker->parser);
        else
            api->worker_count++;
    }
    if (err.code) {
        api_free(api);
        return err;
    }
    *out = api;
    return ok();
}

void api_set_ready(struct api *api, bool is_ready)
{
    atomic_store(&api->is_ready, is_ready);
}

void api_set_http(struct api *api, const struct http_server *server)
{
    api->http = server;
}

void api_stop(struct api *api)
{
    atomic_store(&api->is_ready, false);
    mutex_lock(&api->running_lock);
    for (struct call *call = api->running; call; call = call->next)
        atomic_store(&call->gone, true);
    mutex_unlock(&api->running_lock);
    api_live_stop(api->live);
}

static void free_kits(struct api *api)
{
    while (api->kits) {
        struct kit *kit = api->kits;
        api->kits = kit->next;
        ingest_free(kit->ingest);
        command_writer_free(kit->writer);
        free(kit);
    }
}

void api_free(struct api *api)
{
    if (!api)
        return;
    mutex_lock(&api->queue_lock);
    atomic_store(&api->is_stopping, true);
    cond_broadcast(&api->queue_wake);
    mutex_unlock(&api->queue_lock);
    for (unsigned i = 0; i < api->worker_count; i++) {
        thread_join(&api->workers[i].thread);
        json_parser_free(api->workers[i].parser);
    }
    api_live_free(api->live);
    http_router_free(api->router);
    free_kits(api);
    limits_done(api);
    mutex_done(&api->kit_lock);
    mutex_done(&api->running_lock);
    cond_done(&api->queue_wake);
    mutex_done(&api->queue_lock);
    free(api);
}

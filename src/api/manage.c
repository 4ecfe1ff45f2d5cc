/* manage.c - saved reports, API clients, the audit log. */
#include "api/api_internal.h"

#include <stdio.h>

enum { LIST_MAX = 64 << 20 };

/* --- saved reports ---------------------------------------------------------------------- */

struct report_body {
    struct buf body;
    struct jsonw w;
    char etag[64];
};

static void put_report(void *ctx, const struct account_report *report)
{
    struct report_body *to = ctx;
    struct jsonw *w = &to->w;
    jsonw_object(w);
    jsonw_key(w, "id");
    jsonw_string(w, report->id);
    jsonw_key(w, "name");
    jsonw_string(w, report->name);
    jsonw_key(w, "description");
    jsonw_string(w, report->description);
    jsonw_key(w, "kind");
    jsonw_string(w, report->kind);
    jsonw_key(w, "query");
    jsonw_raw(w, report->query);
    jsonw_key(w, "view");
    jsonw_raw(w, report->view);
    jsonw_key(w, "etag");
    jsonw_string(w, report->etag);
    jsonw_key(w, "created_at");
    jsonw_time(w, report->created_ms);
    jsonw_key(w, "updated_at");
    jsonw_time(w, report->updated_ms);
    jsonw_end_object(w);
    (void)snprintf(to->etag, sizeof to->etag, "\"%.*s\"", BYTES_FMT(report->etag));
}

static void report_body_init(struct report_body *to)
{
    buf_init(&to->body, LIST_MAX);
    to->w = jsonw_of(&to->body);
    to->etag[0] = 0;
}

static void answer_report(struct call *call, int status, struct err err, struct report_body *to)
{
    if (err.code) {
        buf_done(&to->body);
        if (err.code == ERR_EXISTS)
            call_fail(call, 412, "changed", "the report was changed meanwhile: load it again");
        else
            call_fail_err(call, err);
        return;
    }
    if (to->etag[0])
        http_reply_header(call->request, "ETag", to->etag);
    call_reply_json(call, status, &to->body);
}

void handle_reports(struct call *call)
{
    struct report_body to;
    report_body_init(&to);
    jsonw_object(&to.w);
    jsonw_key(&to.w, "reports");
    jsonw_array(&to.w);
    struct err err =
        account_reports(call->api->config.accounts, call->principal.project, put_report, &to);
    jsonw_end_array(&to.w);
    jsonw_end_object(&to.w);
    to.etag[0] = 0;
    answer_report(call, 200, err, &to);
}

void handle_report_get(struct call *call)
{
    struct report_body to;
    report_body_init(&to);
    struct err err = account_report_get(call->api->config.accounts, call->principal.project,
                                        call->request->params[0], put_report, &to);
    answer_report(call, 200, err, &to);
}

struct report_words {
    struct account_report report;
    struct buf query;
    struct buf view;
};

static void report_words_done(struct report_words *words)
{
    buf_done(&words->query);
    buf_done(&words->view);
}

static bool is_report_kind(struct bytes kind)
{
    static const char *const kinds[] = { "trends",   "funnel", "retention", "flow",
                                         "timeline", "query",  "users",     "segment" };
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (bytes_equal(kind, bytes_from(kinds[i])))
            return true;
    return false;
}

/* False: answered. */
static bool take_report(struct call *call, struct report_words *words)
{
    struct account_report *report = &words->report;
    struct json_value root;
    struct json_value query;
    struct json_value view;
    bool has_query = false;
    bool has_view = false;
    const struct field fields[] = {
        { .name = "name", .type = FIELD_TEXT, .is_required = true, .text_out = &report->name },
        { .name = "description", .type = FIELD_TEXT, .text_out = &report->description },
        { .name = "kind", .type = FIELD_TEXT, .is_required = true, .text_out = &report->kind },
        { .name = "query", .type = FIELD_ANY, .value_out = &query, .has_out = &has_query },
        { .name = "view", .type = FIELD_ANY, .value_out = &view, .has_out = &has_view },
        /* What the list told may be sent back. */
        { .name = "id", .type = FIELD_TEXT },
        { .name = "etag", .type = FIELD_TEXT },
        { .name = "created_at", .type = FIELD_TEXT },
        { .name = "updated_at", .type = FIELD_TEXT },
    };
    if (!call_json(call, &root) ||
        !call_fields(call, root, fields, sizeof fields / sizeof fields[0]))
        return false;
    if (!is_report_kind(report->kind)) {
        call_fail_with(call, 422, "invalid", BYTES("kind: there's no such kind of report"),
                       BYTES("{\"pointer\":\"/kind\"}"));
        return false;
    }
    struct jsonw w = jsonw_of(&words->query);
    if (has_query)
        put_json(&w, query);
    else
        jsonw_null(&w);
    w = jsonw_of(&words->view);
    if (has_view)
        put_json(&w, view);
    else
        jsonw_null(&w);
    report->query = buf_bytes(&words->query);
    report->view = buf_bytes(&words->view);
    return true;
}

static void report_words_init(struct report_words *words)
{
    *words = (struct report_words){ .report = { .name = bytes_of("", 0) } };
    buf_init(&words->query, ACCOUNT_REPORT_MAX + 1);
    buf_init(&words->view, ACCOUNT_REPORT_MAX + 1);
}

void handle_report_post(struct call *call)
{
    struct report_words words;
    report_words_init(&words);
    if (take_report(call, &words)) {
        struct report_body to;
        struct account_actor actor = call_actor(call);
        report_body_init(&to);
        struct err err =
            account_report_create(call->api->config.accounts, &actor, call->principal.project,
                                  &words.report, put_report, &to);
        answer_report(call, 201, err, &to);
    }
    report_words_done(&words);
}

/* If-Match without its quotes; empty: none, or *. */
static struct bytes if_match(struct call *call)
{
    struct bytes etag = http_header(call->request, "If-Match");
    if (bytes_equal(etag, BYTES("*")))
        return bytes_of("", 0);
    if (etag.len >= 2 && etag.ptr[0] == '"' && etag.ptr[etag.len - 1] == '"')
        return bytes_slice(etag, 1, etag.len - 2);
    return etag;
}

void handle_report_put(struct call *call)
{
    struct report_words words;
    report_words_init(&words);
    if (take_report(call, &words)) {
        struct report_body to;
        struct account_actor actor = call_actor(call);
        report_body_init(&to);
        struct err err = account_report_update(call->api->config.accounts, &actor,
                                               call->principal.project, call->request->params[0],
                                               if_match(call), &words.report, put_report, &to);
        answer_report(call, 200, err, &to);
    }
    report_words_done(&words);
}

void handle_report_delete(struct call *call)
{
    struct account_actor actor = call_actor(call);
    struct err err =
        account_report_delete(call->api->config.accounts, &actor, call->principal.project,
                              call->request->params[0], if_match(call));
    if (err.code == ERR_EXISTS)
        call_fail(call, 412, "changed", "the report was changed meanwhile: load it again");
    else if (err.code)
        call_fail_err(call, err);
    else
        call_reply_empty(call, 204);
}

/* --- API clients --------------------------------------------------------------------------- */

static void put_client(struct jsonw *w, const struct account_client *client, const char *secret)
{
    static const struct {
        const char *name;
        uint32_t scope;
    } names[] = { { "ingest", SCOPE_INGEST },
                  { "query", SCOPE_QUERY },
                  { "people", SCOPE_PEOPLE },
                  { "manage", SCOPE_MANAGE } };
    jsonw_object(w);
    jsonw_key(w, "id");
    jsonw_text(w, client->id);
    jsonw_key(w, "name");
    jsonw_text(w, client->name);
    jsonw_key(w, "scopes");
    jsonw_array(w);
    for (size_t i = 0; i < 4; i++)
        if (client->scopes & names[i].scope)
            jsonw_text(w, names[i].name);
    jsonw_end_array(w);
    jsonw_key(w, "created_at");
    jsonw_time(w, client->created_ms);
    jsonw_key(w, "last_used_at");
    if (client->last_used_ms)
        jsonw_time(w, client->last_used_ms);
    else
        jsonw_null(w);
    if (secret) {
        jsonw_key(w, "secret");
        jsonw_text(w, secret);
    }
    jsonw_end_object(w);
}

void handle_clients(struct call *call)
{
    struct buf body;
    struct account_client client;
    buf_init(&body, LIST_MAX);
    struct jsonw w = jsonw_of(&body);
    jsonw_object(&w);
    jsonw_key(&w, "api_clients");
    jsonw_array(&w);
    for (size_t n = 0;
         account_client_at(call->api->config.accounts, call->principal.project, n, &client); n++)
        put_client(&w, &client, NULL);
    jsonw_end_array(&w);
    jsonw_end_object(&w);
    call_reply_json(call, 200, &body);
}

/* 0: answered. */
static uint32_t take_scopes(struct call *call, struct json_value list)
{
    uint32_t scopes = 0;
    struct json_iter it = json_items(list);
    while (json_next(&it)) {
        uint32_t scope =
            json_is(it.value, JSON_STRING) ? account_scope_of(json_string(it.value)) : 0;
        if (!scope) {
            call_fail_with(call, 422, "invalid",
                           BYTES("scopes: only ingest, query, people and manage are known"),
                           BYTES("{\"pointer\":\"/scopes\"}"));
            return 0;
        }
        scopes |= scope;
    }
    if (!scopes)
        call_fail_with(call, 422, "invalid", BYTES("scopes: name at least one"),
                       BYTES("{\"pointer\":\"/scopes\"}"));
    return scopes;
}

void handle_client_post(struct call *call)
{
    struct bytes name;
    struct json_value root;
    struct json_value list;
    struct account_client client;
    char secret[TOKEN_SIZE];
    const struct field fields[] = {
        { .name = "name", .type = FIELD_TEXT, .is_required = true, .text_out = &name },
        { .name = "scopes", .type = FIELD_ARRAY, .is_required = true, .value_out = &list },
    };
    if (!call_json(call, &root) || !call_fields(call, root, fields, 2))
        return;
    uint32_t scopes = take_scopes(call, list);
    if (!scopes)
        return;
    if (scopes & ~call->principal.scopes) {
        call_fail(call, 403, "forbidden", "nobody gives more than they have");
        return;
    }
    struct account_actor actor = call_actor(call);
    struct err err = account_client_create(call->api->config.accounts, &actor,
                                           call->principal.project, name, scopes, &client, secret);
    if (err.code) {
        call_fail_err(call, err);
        return;
    }
    struct buf body;
    buf_init(&body, LIST_MAX);
    struct jsonw w = jsonw_of(&body);
    put_client(&w, &client, secret);
    http_reply_header(call->request, "Cache-Control", "no-store");
    /* The secret isn't kept for repeats. */
    idempotent_forget(call);
    call_reply_json(call, 201, &body);
}

void handle_client_delete(struct call *call)
{
    struct account_actor actor = call_actor(call);
    struct err err = account_client_revoke(call->api->config.accounts, &actor,
                                           call->principal.project, call->request->params[0]);
    if (err.code)
        call_fail_err(call, err);
    else
        call_reply_empty(call, 204);
}

/* --- audit ------------------------------------------------------------------------------------ */

struct audit_list {
    struct jsonw w;
    int64_t last;
    uint32_t count;
};

static void put_audit(void *ctx, const struct account_audit_row *row)
{
    struct audit_list *list = ctx;
    struct jsonw *w = &list->w;
    list->last = row->number;
    list->count++;
    jsonw_object(w);
    jsonw_key(w, "number");
    jsonw_int(w, row->number);
    jsonw_key(w, "at");
    jsonw_time(w, row->at_ms);
    jsonw_key(w, "who");
    jsonw_object(w);
    jsonw_key(w, "kind");
    jsonw_string(w, row->kind);
    jsonw_key(w, "id");
    jsonw_string(w, row->id);
    jsonw_key(w, "remote");
    jsonw_string(w, row->remote);
    jsonw_end_object(w);
    jsonw_key(w, "what");
    jsonw_string(w, row->what);
    jsonw_key(w, "target");
    jsonw_string(w, row->target);
    jsonw_end_object(w);
}

void handle_audit(struct call *call)
{
    struct buf body;
    struct arena arena;
    int64_t limit;
    struct cursor cursor = { .kind = "audit" };
    struct bytes from = call_query(call, "cursor");
    if (!call_int(call, "limit", 1, 1000, 100, &limit))
        return;
    arena_init(&arena, 1 << 20);
    if (from.len && !cursor_get(call->api, call, from, &arena, &cursor)) {
        call_fail(call, 400, "bad_cursor", "this cursor isn't good (any more)");
        arena_done(&arena);
        return;
    }
    arena_done(&arena);
    buf_init(&body, LIST_MAX);
    struct audit_list list = { .w = jsonw_of(&body) };
    jsonw_object(&list.w);
    jsonw_key(&list.w, "rows");
    jsonw_array(&list.w);
    struct err err =
        account_audit_rows(call->api->config.accounts, call->principal.project,
                           (int64_t)cursor.numbers[0], (uint32_t)limit, put_audit, &list);
    if (err.code) {
        buf_done(&body);
        call_fail_err(call, err);
        return;
    }
    jsonw_end_array(&list.w);
    jsonw_key(&list.w, "next_cursor");
    if (list.count == limit) {
        struct buf next;
        buf_init(&next, 1024);
        cursor = (struct cursor){ .kind = "audit", .numbers = { (uint64_t)list.last } };
        cursor_put(call->api, call, &cursor, 24 * MS_PER_HOUR, &next);
        jsonw_string(&list.w, buf_bytes(&next));
        buf_done(&next);
    } else {
        jsonw_null(&list.w);
    }
    jsonw_end_object(&list.w);
    call_reply_json(call, 200, &body);
}

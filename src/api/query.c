/* query.c - POST /v1/query and its relatives, and the catalog. */
#include "api/api_internal.h"

#include <stdio.h>
#include <stdlib.h>

enum { ANSWER_MAX = 256 << 20, PARSE_MAX = 64 << 20 };

struct question {
    struct arena arena;
    struct query *query;
    struct bytes time_zone;
    bool is_explain;
};

static bool needs_people(const char *report)
{
    return strcmp(report, "users") == 0 || strcmp(report, "events") == 0;
}

/* Takes the body apart and parses the question. False: answered; the arena is the caller's still. */
static bool take_question(struct call *call, struct question *q)
{
    struct bytes cql = bytes_of("", 0);
    struct json_value root;
    struct json_value tree;
    bool has_cql = false;
    bool has_tree = false;
    const struct field fields[] = {
        { .name = "cql", .type = FIELD_TEXT, .text_out = &cql, .has_out = &has_cql },
        { .name = "query", .type = FIELD_OBJECT, .value_out = &tree, .has_out = &has_tree },
        { .name = "query_id", .type = FIELD_TEXT, .text_out = &call->query_id },
        { .name = "time_zone", .type = FIELD_TEXT, .text_out = &q->time_zone },
        { .name = "explain", .type = FIELD_BOOL, .bool_out = &q->is_explain },
    };
    if (!call_json(call, &root) ||
        !call_fields(call, root, fields, sizeof fields / sizeof fields[0]))
        return false;
    if (has_cql == has_tree) {
        call_fail(call, 422, "invalid", "the body has either \"cql\" or \"query\"");
        return false;
    }
    struct query_problem problem = { .line = 1 };
    struct err err = has_cql ? query_parse_cql(cql, &q->arena, &q->query, &problem)
                             : query_parse_json(tree, &q->arena, &q->query, &problem);
    if (err.code) {
        fail_problem(call, err, &problem);
        return false;
    }
    if (needs_people(query_report(q->query)) && !(call->principal.scopes & SCOPE_PEOPLE)) {
        call_fail(call, 403, "scope_missing", "this needs the scope people");
        return false;
    }
    if (q->time_zone.len) {
        const struct zone *zone;
        err = engine_zone(call->api->config.engine, q->time_zone, &zone);
        if (err.code) {
            call_fail(call, 422, "invalid", "there's no time zone %.*s", (int)q->time_zone.len,
                      (const char *)q->time_zone.ptr);
            return false;
        }
    }
    return true;
}

/* The call can be cancelled by its query_id from here to its reply. */
static void enter_running(struct call *call)
{
    struct api *api = call->api;
    mutex_lock(&api->running_lock);
    call->prev = NULL;
    call->next = api->running;
    if (call->next)
        call->next->prev = call;
    api->running = call;
    call->is_running = true;
    mutex_unlock(&api->running_lock);
    atomic_fetch_add(&api->queries, 1);
}

static void put_forms(struct buf *body, const struct query *query)
{
    struct buf cql;
    buf_init(&cql, 1 << 20);
    query_put_cql(query, &cql);
    struct jsonw w = jsonw_of(body);
    jsonw_key(&w, "cql");
    jsonw_string(&w, buf_bytes(&cql));
    buf_put(body, BYTES(",\"query\":"));
    query_put_json(query, body);
    buf_done(&cql);
}

/* The plan's table as {"plan":[{column: cell, …}, …]}. */
static void put_cell(struct jsonw *w, const struct table_cell *cell)
{
    switch (cell->kind) {
    case CELL_NULL:
        jsonw_null(w);
        break;
    case CELL_INT:
        jsonw_int(w, cell->integer);
        break;
    case CELL_REAL:
        jsonw_real(w, cell->real);
        break;
    case CELL_BOOL:
        jsonw_bool(w, cell->boolean);
        break;
    case CELL_STRING:
    case CELL_TIME_TEXT:
        jsonw_string(w, cell->text);
        break;
    case CELL_JSON:
        jsonw_raw(w, cell->text);
        break;
    }
}

static void put_plan(struct buf *body, const struct table *table)
{
    struct jsonw w = jsonw_of(body);
    jsonw_object(&w);
    jsonw_key(&w, "plan");
    jsonw_array(&w);
    for (uint64_t row = 0; row < table->row_count; row++) {
        jsonw_object(&w);
        for (uint32_t column = 0; column < table->column_count; column++) {
            jsonw_key_bytes(&w, table->columns[column].name);
            put_cell(&w, &table->cells[row * table->column_count + column]);
        }
        jsonw_end_object(&w);
    }
    jsonw_end_array(&w);
    jsonw_end_object(&w);
}

static bool run(struct call *call, struct question *q, struct table *table)
{
    struct project_snapshot snapshot;
    struct err err = project_snapshot(call->project, &snapshot);
    if (err.code) {
        call_fail_err(call, err);
        return false;
    }
    struct query_options options = ask_options(call);
    options.time_zone = q->time_zone;
    options.is_explain = q->is_explain;
    struct query_problem problem = { .line = 1 };
    struct arena scratch;
    arena_init(&scratch, SIZE_MAX); /* the query's own limit is options.memory_bytes */
    err = query_run(q->query, &snapshot.source, &options, &scratch, table, &problem);
    project_snapshot_done(&snapshot);
    if (err.code)
        fail_problem(call, err, &problem);
    arena_done(&scratch);
    return !err.code;
}

static bool wants_csv(const struct call *call)
{
    struct bytes accept = http_header(call->request, "Accept");
    return accept.len && memmem(accept.ptr, accept.len, "text/csv", 8);
}

static void answer(struct call *call, const struct question *q, const struct table *table)
{
    struct buf body;
    buf_init(&body, ANSWER_MAX);
    if (q->is_explain) {
        put_plan(&body, table);
        call_reply_json(call, 200, &body);
    } else if (wants_csv(call)) {
        table_put_csv(table, &body);
        http_reply_header(call->request, "Content-Disposition",
                          "attachment; filename=\"answer.csv\"");
        call_reply(call, 200, "text/csv; charset=utf-8", &body);
    } else {
        table_put_json(table, &body);
        if (body.len && body.ptr[body.len - 1] == '}') {
            body.len--;
            buf_put(&body, BYTES(","));
            put_forms(&body, q->query);
            buf_put(&body, BYTES("}"));
        }
        call_reply_json(call, 200, &body);
    }
}

static void ask(struct call *call, bool is_explain)
{
    struct question q = { .is_explain = is_explain };
    struct table table;
    arena_init(&q.arena, PARSE_MAX);
    if (take_question(call, &q)) {
        q.is_explain |= is_explain;
        enter_running(call);
        if (run(call, &q, &table)) {
            answer(call, &q, &table);
            table_done(&table);
        }
    }
    arena_done(&q.arena);
}

void handle_query(struct call *call)
{
    ask(call, false);
}

void handle_query_explain(struct call *call)
{
    ask(call, true);
}

void handle_query_translate(struct call *call)
{
    struct question q = { .is_explain = false };
    arena_init(&q.arena, PARSE_MAX);
    if (take_question(call, &q)) {
        struct buf body;
        buf_init(&body, ANSWER_MAX);
        buf_put(&body, BYTES("{"));
        put_forms(&body, q.query);
        buf_put(&body, BYTES("}"));
        call_reply_json(call, 200, &body);
    }
    arena_done(&q.arena);
}

/* Runs on a loop, so that it works when every worker is busy. */
void handle_query_cancel(struct call *call)
{
    struct api *api = call->api;
    bool is_found = false;
    mutex_lock(&api->running_lock);
    for (struct call *running = api->running; running; running = running->next) {
        if (running->project != call->project || !running->query_id.len ||
            !bytes_equal(running->query_id, call->request->params[0]))
            continue;
        atomic_store(&running->gone, true);
        is_found = true;
    }
    mutex_unlock(&api->running_lock);
    if (is_found)
        call_reply_empty(call, 204);
    else
        call_fail(call, 404, "not_found", "no such query is running");
}

/* --- the catalog --------------------------------------------------------------------------- */

static void put_types(struct jsonw *w, uint32_t types)
{
    jsonw_key(w, "types");
    jsonw_array(w);
    for (int type = VALUE_BOOL; type < VALUE_TYPES; type++)
        if (types >> type & 1)
            jsonw_text(w, value_type_name((enum value_type)type));
    jsonw_end_array(w);
}

static void put_columns(struct jsonw *w, const struct catalog *catalog,
                        const struct catalog_column *columns, uint32_t count)
{
    jsonw_array(w);
    for (uint32_t i = 0; i < count; i++) {
        jsonw_object(w);
        jsonw_key(w, "name");
        jsonw_string(w, catalog_property_name(catalog, columns[i].property));
        put_types(w, columns[i].types);
        jsonw_key(w, "count");
        jsonw_uint(w, columns[i].count);
        jsonw_end_object(w);
    }
    jsonw_end_array(w);
}

static void put_event_type(struct jsonw *w, const struct catalog *catalog, uint32_t event)
{
    struct catalog_event_stats stats = catalog_event_stats(catalog, event);
    const struct catalog_column *columns;
    jsonw_object(w);
    jsonw_key(w, "name");
    jsonw_string(w, catalog_event_name(catalog, event));
    jsonw_key(w, "count");
    jsonw_uint(w, stats.count);
    jsonw_key(w, "first_seen");
    if (stats.count)
        jsonw_time(w, stats.first_ms);
    else
        jsonw_null(w);
    jsonw_key(w, "last_seen");
    if (stats.count)
        jsonw_time(w, stats.last_ms);
    else
        jsonw_null(w);
    jsonw_key(w, "properties");
    uint32_t count = catalog_event_columns(catalog, event, &columns);
    put_columns(w, catalog, columns, count);
    jsonw_end_object(w);
}

void handle_catalog(struct call *call)
{
    struct catalog *catalog;
    struct err err = project_catalog(call->project, &catalog);
    if (err.code) {
        call_fail_err(call, err);
        return;
    }
    struct buf body;
    buf_init(&body, ANSWER_MAX);
    struct jsonw w = jsonw_of(&body);
    jsonw_object(&w);
    jsonw_key(&w, "events");
    jsonw_array(&w);
    for (uint32_t event = 0; event < catalog_event_count(catalog); event++)
        put_event_type(&w, catalog, event);
    jsonw_end_array(&w);
    jsonw_key(&w, "profile_properties");
    const struct catalog_column *columns;
    uint32_t count = catalog_profile_columns(catalog, &columns);
    put_columns(&w, catalog, columns, count);
    jsonw_end_object(&w);
    catalog_free(catalog);
    call_reply_json(call, 200, &body);
}

/* --- values of a property --------------------------------------------------------------------- */

static void put_value_row(struct jsonw *w, const struct table_cell *value, uint64_t count)
{
    jsonw_object(w);
    jsonw_key(w, "value");
    put_cell(w, value);
    jsonw_key(w, "count");
    jsonw_uint(w, count);
    jsonw_end_object(w);
}

static void put_values_query(struct buf *tree, struct bytes event, struct bytes property,
                             struct bytes prefix, int64_t limit)
{
    struct jsonw w = jsonw_of(tree);
    buf_put(tree, BYTES("{\"report\":\"select\",\"measures\":[{\"measure\":\"count\"}],"
                        "\"where\":{\"all\":[{\"event\":"));
    jsonw_string(&w, event);
    buf_put(tree, BYTES("},{\"property\":"));
    w.needs_comma = false;
    jsonw_string(&w, property);
    if (prefix.len) {
        buf_put(tree, BYTES(",\"operator\":\"starts\",\"value\":"));
        w.needs_comma = false;
        jsonw_string(&w, prefix);
    } else {
        buf_put(tree, BYTES(",\"operator\":\"exists\""));
    }
    buf_put(tree, BYTES("}]},\"group_by\":[{\"property\":"));
    w.needs_comma = false;
    jsonw_string(&w, property);
    buf_printf(tree, "}],\"order_by\":[{\"item\":1,\"descending\":true}],\"limit\":%lld}",
               (long long)limit);
}

static void answer_event_values(struct call *call, struct bytes event, struct bytes property,
                                struct bytes prefix, int64_t limit)
{
    struct project_snapshot snapshot;
    struct arena arena;
    struct buf tree;
    struct query *query;
    struct table table;
    struct err err = project_snapshot(call->project, &snapshot);
    if (err.code) {
        call_fail_err(call, err);
        return;
    }
    arena_init(&arena, PARSE_MAX);
    buf_init(&tree, 1 << 20);
    put_values_query(&tree, event, property, prefix, limit);
    if (ask_parse_json(call, buf_bytes(&tree), &arena, &query) &&
        ask_run(call, query, &snapshot, bytes_of("", 0), true, &table)) {
        struct buf body;
        buf_init(&body, ANSWER_MAX);
        struct jsonw w = jsonw_of(&body);
        jsonw_object(&w);
        jsonw_key(&w, "values");
        jsonw_array(&w);
        for (uint64_t row = 0; row < table.row_count; row++)
            put_value_row(&w, &table.cells[row * 2], (uint64_t)table.cells[row * 2 + 1].integer);
        jsonw_end_array(&w);
        jsonw_end_object(&w);
        table_done(&table);
        call_reply_json(call, 200, &body);
    }
    buf_done(&tree);
    arena_done(&arena);
    project_snapshot_done(&snapshot);
}

struct tally {
    uint64_t count;
    struct bytes text;
};

static int by_count(const void *a, const void *b)
{
    const struct tally *x = a;
    const struct tally *y = b;
    if (x->count != y->count)
        return x->count < y->count ? 1 : -1;
    return bytes_compare(x->text, y->text);
}

/* Counts the texts of a profile property; NULL: no memory. */
static uint64_t *count_texts(const struct profile_view *view, uint32_t property)
{
    uint32_t texts = profile_text_count(view);
    uint64_t *counts = calloc((size_t)texts + 1, sizeof *counts);
    uint32_t users = profile_view_users(view);
    struct profile_chunk_room *room = malloc(sizeof *room);
    if (!room) {
        free(counts);
        return NULL;
    }
    for (uint32_t first = 0; counts && first < users; first += PROFILE_CHUNK) {
        struct profile_chunk chunk = profile_chunk(view, property, first, room);
        for (uint32_t i = 0; chunk.types && i < PROFILE_CHUNK; i++)
            if (chunk.types[i] == VALUE_STRING && chunk.values[i] < texts)
                counts[chunk.values[i]]++;
    }
    free(room);
    return counts;
}

static void put_profile_values(struct buf *body, const struct profile_view *view,
                               const uint64_t *counts, struct bytes prefix, int64_t limit)
{
    uint32_t texts = profile_text_count(view);
    size_t found = 0;
    struct tally *tallies = calloc((size_t)texts + 1, sizeof *tallies);
    for (uint32_t i = 0; tallies && i < texts; i++) {
        struct bytes text = counts[i] ? profile_text(view, i) : bytes_of("", 0);
        if (counts[i] && bytes_start_with(text, prefix))
            tallies[found++] = (struct tally){ .count = counts[i], .text = text };
    }
    if (found)
        qsort(tallies, found, sizeof *tallies, by_count);
    struct jsonw w = jsonw_of(body);
    jsonw_object(&w);
    jsonw_key(&w, "values");
    jsonw_array(&w);
    for (size_t i = 0; i < found && (int64_t)i < limit; i++) {
        struct table_cell cell = { .kind = CELL_STRING, .text = tallies[i].text };
        put_value_row(&w, &cell, tallies[i].count);
    }
    jsonw_end_array(&w);
    jsonw_end_object(&w);
    free(tallies);
}

static void answer_profile_values(struct call *call, struct bytes name, struct bytes prefix,
                                  int64_t limit)
{
    struct project_snapshot snapshot;
    struct err err = project_snapshot(call->project, &snapshot);
    if (err.code) {
        call_fail_err(call, err);
        return;
    }
    struct buf body;
    buf_init(&body, ANSWER_MAX);
    uint32_t property = catalog_property_find(snapshot.source.catalog, name);
    if (property == CATALOG_NONE) {
        buf_put(&body, BYTES("{\"values\":[]}"));
    } else {
        uint64_t *counts = count_texts(snapshot.source.profiles, property);
        if (counts)
            put_profile_values(&body, snapshot.source.profiles, counts, prefix, limit);
        else
            body.is_failed = true;
        free(counts);
    }
    project_snapshot_done(&snapshot);
    call_reply_json(call, 200, &body);
}

void handle_catalog_values(struct call *call)
{
    struct bytes event = call_query(call, "event");
    struct bytes property = call_query(call, "property");
    struct bytes profile = call_query(call, "profile");
    struct bytes prefix = call_query(call, "prefix");
    int64_t limit;
    if (!call_int(call, "limit", 1, 1000, 20, &limit))
        return;
    if (profile.len)
        answer_profile_values(call, profile, prefix, limit);
    else if (event.len && property.len)
        answer_event_values(call, event, property, prefix, limit);
    else
        call_fail(call, 400, "bad_parameter", "name event and property, or profile");
}

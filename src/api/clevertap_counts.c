/* clevertap_counts.c - /1/counts/: events, profiles, top, trends. Answers come at once: there's
 * never a req_id to poll for. */
#include "api/clevertap.h"

#include <stdio.h>

enum { GROUPS_MAX = 5, TOP_MAX = 100 };

struct counting {
    struct call *call;
    struct json_value body;
    struct project_snapshot snapshot;
    struct arena arena;
    struct ct_base base;
    struct buf tree;
    struct buf answer;
};

/* False: answered; nothing is held. */
static bool counting_begin(struct counting *c, struct call *call, bool needs_base)
{
    *c = (struct counting){ .call = call };
    if (!call_json(call, &c->body))
        return false;
    struct err err = project_snapshot(call->project, &c->snapshot);
    if (err.code) {
        call_fail_err(call, err);
        return false;
    }
    if (!ct_take_base(call, c->snapshot.source.catalog, c->body, needs_base, &c->base)) {
        project_snapshot_done(&c->snapshot);
        return false;
    }
    arena_init(&c->arena, CT_ARENA_MAX);
    buf_init(&c->tree, 4 << 20);
    buf_init(&c->answer, CT_ANSWER_MAX);
    return true;
}

/* Gives all back; answers when `is_good`. */
static void counting_end(struct counting *c, bool is_good)
{
    project_snapshot_done(&c->snapshot);
    arena_done(&c->arena);
    buf_done(&c->tree);
    if (is_good)
        call_reply_json(c->call, 200, &c->answer);
    else
        buf_done(&c->answer);
}

/* The body's JSON is the worker's parser's, and parsing the tree would overwrite it: so this is the
 * last use of the body. */
static bool run(struct counting *c, struct table *table_out)
{
    struct query *query;
    return ask_parse_json(c->call, buf_bytes(&c->tree), &c->arena, &query) &&
           ask_run(c->call, query, &c->snapshot, bytes_of("", 0), true, table_out);
}

static void answer_count(struct counting *c, const struct table *table)
{
    int64_t count = table && table->row_count ? table->cells[0].integer : 0;
    buf_printf(&c->answer, "{\"status\":\"success\",\"count\":%lld}", (long long)count);
}

void handle_ct_count_events(struct call *call)
{
    struct counting c;
    struct table table;
    if (!counting_begin(&c, call, true))
        return;
    buf_put(&c.tree, BYTES("{\"report\":\"select\",\"measures\":[{\"measure\":\"count\"}],"
                           "\"where\":"));
    bool is_good = ct_only(call, c.body,
                           "event_name from to event_properties session_properties "
                           "common_profile_properties advanced_query") &&
                   ct_put_where(call, c.body, &c.base, &c.tree);
    if (is_good && c.base.is_unknown) {
        answer_count(&c, NULL);
    } else if (is_good) {
        buf_put(&c.tree, BYTES(",\"span\":"));
        ct_put_span(&c.base, &c.tree);
        buf_put(&c.tree, BYTES("}"));
        is_good = run(&c, &table);
        if (is_good) {
            answer_count(&c, &table);
            table_done(&table);
        }
    }
    counting_end(&c, is_good);
}

void handle_ct_count_profiles(struct call *call)
{
    struct counting c;
    struct table table;
    if (!counting_begin(&c, call, false))
        return;
    buf_put(&c.tree, BYTES("{\"report\":\"segment\",\"where\":"));
    bool is_good = ct_put_condition(call, c.snapshot.source.catalog, c.body, &c.base, &c.tree);
    if (is_good) {
        buf_put(&c.tree, BYTES("}"));
        is_good = run(&c, &table);
    }
    if (is_good) {
        answer_count(&c, &table);
        table_done(&table);
    }
    counting_end(&c, is_good);
}

/* --- groups -------------------------------------------------------------------------------- */

struct group {
    struct bytes label;
    struct buf tree;
    bool is_trend;
    char unit; /* d, w, m */
};

struct groups {
    struct group items[GROUPS_MAX];
    size_t count;
};

static void groups_done(struct groups *groups)
{
    for (size_t i = 0; i < groups->count; i++)
        buf_done(&groups->items[i].tree);
}

static struct bytes text_member(struct json_value object, struct bytes key)
{
    struct json_value value;
    if (json_find(object, key, &value) && json_is(value, JSON_STRING))
        return json_string(value);
    return bytes_of("", 0);
}

static bool fail_group(struct call *call, struct bytes label, const char *why)
{
    call_fail(call, 400, "bad_parameter", "Invalid group %.*s: %s",
              (int)(label.len < 100 ? label.len : 100), (const char *)label.ptr, why);
    return false;
}

static bool take_top(struct counting *c, struct bytes label, struct json_value json,
                     struct group *group)
{
    struct call *call = c->call;
    struct json_value number;
    struct bytes type = text_member(json, BYTES("property_type"));
    struct bytes name = text_member(json, BYTES("name"));
    struct bytes order = text_member(json, BYTES("order"));
    int64_t top_n = 10;
    if (!ct_only(call, json, "property_type name top_n order"))
        return false;
    const char *key = bytes_equal(type, BYTES("event_properties")) ? "property"
                      : bytes_equal(type, BYTES("profile_fields")) ? "profile"
                                                                   : NULL;
    if (!key)
        return fail_group(call, label, "only event_properties and profile_fields can be asked");
    if (!name.len)
        return fail_group(call, label, "name is missing");
    if (json_find(json, BYTES("top_n"), &number))
        top_n = json_is(number, JSON_INT) ? json_int(number) : 0;
    if (top_n < 1 || top_n > TOP_MAX)
        return fail_group(call, label, "top_n must be 1 to 100");
    if (order.len && !bytes_equal(order, BYTES("asc")) && !bytes_equal(order, BYTES("desc")))
        return fail_group(call, label, "order must be asc or desc");
    struct buf *tree = &group->tree;
    buf_put(tree, BYTES("{\"report\":\"select\",\"measures\":[{\"measure\":\"count\"}],"
                        "\"where\":{\"all\":["));
    if (!ct_put_where(call, c->body, &c->base, tree))
        return false;
    buf_printf(tree, ",{\"%s\":", key);
    ct_put_text(tree, name);
    buf_printf(tree, ",\"operator\":\"exists\"}]},\"group_by\":[{\"%s\":", key);
    ct_put_text(tree, name);
    buf_printf(tree, "}],\"order_by\":[{\"item\":1,\"descending\":%s}],\"limit\":%lld,\"span\":",
               bytes_equal(order, BYTES("asc")) ? "false" : "true", (long long)top_n);
    ct_put_span(&c->base, tree);
    buf_put(tree, BYTES("}"));
    return true;
}

static bool take_trend(struct counting *c, struct bytes label, struct json_value json,
                       struct group *group)
{
    struct call *call = c->call;
    struct json_value unique;
    struct bytes sum = text_member(c->body, BYTES("sum_event_prop"));
    struct bytes type = text_member(json, BYTES("trend_type"));
    const char *key = bytes_equal(type, BYTES("daily"))     ? "day"
                      : bytes_equal(type, BYTES("weekly"))  ? "week"
                      : bytes_equal(type, BYTES("monthly")) ? "month"
                                                            : NULL;
    if (!ct_only(call, json, "trend_type"))
        return false;
    if (!key)
        return fail_group(call, label, "trend_type must be daily, weekly or monthly");
    bool is_unique = json_find(c->body, BYTES("unique"), &unique) && json_is(unique, JSON_TRUE);
    struct buf *tree = &group->tree;
    buf_printf(tree, "{\"report\":\"select\",\"measures\":[{\"measure\":\"%s\"",
               sum.len     ? "sum"
               : is_unique ? "users"
                           : "count");
    if (sum.len) {
        buf_put(tree, BYTES(",\"property\":"));
        ct_put_text(tree, sum);
    }
    buf_put(tree, BYTES("}],\"where\":"));
    if (!ct_put_where(call, c->body, &c->base, tree))
        return false;
    buf_printf(tree,
               ",\"group_by\":[\"%s\"],\"order_by\":[{\"item\":0,\"descending\":false}],"
               "\"limit\":1000,\"span\":",
               key);
    ct_put_span(&c->base, tree);
    buf_put(tree, BYTES("}"));
    group->is_trend = true;
    group->unit = key[0];
    return true;
}

static bool take_groups(struct counting *c, struct groups *groups, bool are_trends)
{
    struct json_value list;
    struct call *call = c->call;
    if (!json_find(c->body, BYTES("groups"), &list) || !json_is(list, JSON_OBJECT) ||
        json_count(list) == 0 || json_count(list) > GROUPS_MAX) {
        call_fail(call, 400, "bad_parameter", "groups must have 1 to %d members", GROUPS_MAX);
        return false;
    }
    if (are_trends && c->base.to_day - c->base.from_day > 366) {
        call_fail(call, 400, "bad_parameter", "trends span a year at most");
        return false;
    }
    struct json_iter it = json_members(list);
    while (json_next(&it)) {
        struct group *group = &groups->items[groups->count++];
        *group = (struct group){ .label = arena_copy(&c->arena, it.key) };
        buf_init(&group->tree, 4 << 20);
        if (!(are_trends ? take_trend : take_top)(c, group->label, it.value, group))
            return false;
    }
    return true;
}

/* ISO weeks: a week belongs to the year that has its Thursday. */
static void week_name(int32_t monday, char *to, size_t size)
{
    struct civil_date thursday = civil_from_day(monday + 3);
    int32_t first = civil_to_day((struct civil_date){ thursday.year, 1, 1 });
    (void)snprintf(to, size, "%04d%02d", thursday.year % 10000, (monday + 3 - first) / 7 + 1);
}

static void put_trend_key(struct jsonw *w, const struct table_cell *cell, char unit)
{
    int64_t time_ms;
    char name[32] = "";
    if (cell->kind != CELL_TIME_TEXT && cell->kind != CELL_STRING)
        return;
    if (!calendar_parse(bytes_slice(cell->text, 0, 10), NULL, &time_ms, NULL))
        return;
    int32_t day = (int32_t)(time_ms / MS_PER_DAY);
    struct civil_date date = civil_from_day(day);
    if (unit == 'w')
        week_name(day, name, sizeof name);
    else if (unit == 'm')
        (void)snprintf(name, sizeof name, "%04d%02d", date.year % 10000, date.month % 100);
    else
        (void)snprintf(name, sizeof name, "%04d%02d%02d", date.year % 10000, date.month % 100,
                       date.day % 100);
    jsonw_key(w, name);
}

static void put_top_key(struct jsonw *w, const struct table_cell *cell)
{
    char text[32];
    size_t len = 0;
    switch (cell->kind) {
    case CELL_STRING:
    case CELL_TIME_TEXT:
    case CELL_JSON:
        jsonw_key_bytes(w, cell->text);
        return;
    case CELL_INT:
        len = (size_t)snprintf(text, sizeof text, "%lld", (long long)cell->integer);
        break;
    case CELL_REAL:
        len = real_to_text(cell->real, text);
        break;
    case CELL_BOOL:
        len = (size_t)snprintf(text, sizeof text, "%s", cell->boolean ? "True" : "False");
        break;
    case CELL_NULL:
        break;
    }
    jsonw_key_bytes(w, bytes_of(text, len));
}

static void put_group(struct jsonw *w, const struct group *group, const struct table *table)
{
    jsonw_key_bytes(w, group->label);
    jsonw_object(w);
    for (uint64_t row = 0; row < table->row_count; row++) {
        const struct table_cell *cells = &table->cells[row * table->column_count];
        if (group->is_trend)
            put_trend_key(w, &cells[0], group->unit);
        else
            put_top_key(w, &cells[0]);
        if (cells[1].kind == CELL_REAL)
            jsonw_real(w, cells[1].real);
        else
            jsonw_int(w, cells[1].kind == CELL_INT ? cells[1].integer : 0);
    }
    jsonw_end_object(w);
}

static bool answer_groups(struct counting *c, const struct groups *groups)
{
    struct jsonw w = jsonw_of(&c->answer);
    jsonw_object(&w);
    jsonw_key(&w, "status");
    jsonw_text(&w, "success");
    for (size_t i = 0; i < groups->count; i++) {
        struct table table = { .row_count = 0 };
        if (!c->base.is_unknown) {
            buf_reset(&c->tree);
            buf_put(&c->tree, buf_bytes(&groups->items[i].tree));
            if (!run(c, &table))
                return false;
        }
        put_group(&w, &groups->items[i], &table);
        if (!c->base.is_unknown)
            table_done(&table);
    }
    jsonw_end_object(&w);
    return true;
}

static void handle_groups(struct call *call, bool are_trends)
{
    struct counting c;
    struct groups groups = { .count = 0 };
    if (!counting_begin(&c, call, true))
        return;
    /* All trees first: running one ends the body's JSON. */
    bool is_good =
        ct_only(call, c.body,
                "event_name from to event_properties session_properties "
                "common_profile_properties advanced_query groups unique sum_event_prop") &&
        take_groups(&c, &groups, are_trends) && answer_groups(&c, &groups);
    groups_done(&groups);
    counting_end(&c, is_good);
}

void handle_ct_top(struct call *call)
{
    handle_groups(call, false);
}

void handle_ct_trends(struct call *call)
{
    handle_groups(call, true);
}

void handle_ct_poll(struct call *call)
{
    call_fail(call, 404, "not_found", "there's no such req_id: answers come at once");
}

/*
 * clevertap_records.c - /1/events.json, /1/profiles.json, /1/profile.json: records by the page.
 *
 * A cursor carries the question itself (signed, see cursor.c), where it stands, and the log position
 * at which it was made: events that came later aren't shown, so that pages neither repeat nor skip
 * a record while data streams in. Users come by number, a user's events by (time, seq).
 */
#include "api/clevertap.h"

#include <stdio.h>
#include <stdlib.h>

enum { BATCH_MAX = 5000, BATCH_DEFAULT = 500, QUESTION_MAX = 16 << 10, FILTER_VALUES_MAX = 64 };
#define EVENTS_LIFE_MS   (4 * MS_PER_HOUR)
#define PROFILES_LIFE_MS (4 * MS_PER_DAY)

enum { SHOW_EVENTS = 1, SHOW_PROFILE = 2, SHOW_APP = 4 };

/* --- a profile in their shape -------------------------------------------------------------- */

struct shape {
    struct call *call;
    const struct project_snapshot *snapshot;
    struct jsonw *w;
    struct arena arena;
    uint32_t show;
};

/* YYYYMMDDhhmmss in the project's zone. */
static int64_t local_number(const struct call *call, int64_t time_ms)
{
    int64_t local_ms = time_ms + zone_offset_s(call->zone, time_ms) * MS_PER_SECOND;
    int64_t day = local_ms / MS_PER_DAY - (local_ms % MS_PER_DAY < 0);
    int64_t second = (local_ms - day * MS_PER_DAY) / MS_PER_SECOND;
    struct civil_date date = civil_from_day((int32_t)day);
    int64_t ymd = (int64_t)date.year * 10000 + date.month * 100 + date.day;
    return ymd * 1000000 + second / 3600 * 10000 + second / 60 % 60 * 100 + second % 60;
}

static void put_seconds(struct jsonw *w, const char *key, int64_t time_ms)
{
    jsonw_key(w, key);
    jsonw_int(w, time_ms / MS_PER_SECOND);
}

static void put_keys(struct shape *s, uint32_t user)
{
    static const char *const names[] = { NULL, "identity", "objectId", "email", "phone" };
    struct identity_key *keys;
    uint32_t count;
    bool is_told[5] = { false };
    struct err err = project_user_keys(s->call->project, user, &s->arena, &keys, &count);
    for (uint32_t i = count; !err.code && i > 0; i--) {
        uint32_t kind = (uint32_t)keys[i - 1].kind;
        if (kind > 4 || is_told[kind])
            continue;
        is_told[kind] = true;
        jsonw_key(s->w, names[kind]);
        jsonw_string(s->w, keys[i - 1].text);
    }
}

static void put_name(struct shape *s, uint32_t user)
{
    const struct query_source *source = &s->snapshot->source;
    uint32_t property = catalog_property_find(source->catalog, BYTES("Name"));
    if (property == CATALOG_NONE)
        return;
    struct value value = profile_get(source->profiles, user, property, &s->arena);
    if (value.type != VALUE_STRING)
        return;
    jsonw_key(s->w, "name");
    jsonw_string(s->w, value.string);
}

static void put_profile_data(struct shape *s, uint32_t user)
{
    const struct query_source *source = &s->snapshot->source;
    uint32_t properties[1024];
    uint32_t count = profile_properties(source->profiles, user, properties, 1024);
    jsonw_key(s->w, "profileData");
    jsonw_object(s->w);
    for (uint32_t i = 0; i < count && i < 1024; i++) {
        struct value value = profile_get(source->profiles, user, properties[i], &s->arena);
        jsonw_key_bytes(s->w, catalog_property_name(source->catalog, properties[i]));
        jsonw_value(s->w, &value);
    }
    jsonw_end_object(s->w);
}

static void put_event_summary(struct shape *s, uint32_t user)
{
    const struct catalog *catalog = s->snapshot->source.catalog;
    struct event_count *counts;
    uint32_t count;
    struct err err = count_events(s->snapshot, user, &s->arena, &counts, &count);
    jsonw_key(s->w, "events");
    jsonw_object(s->w);
    for (uint32_t i = 0; !err.code && i < count; i++) {
        jsonw_key_bytes(s->w, catalog_event_name(catalog, counts[i].event));
        jsonw_object(s->w);
        jsonw_key(s->w, "count");
        jsonw_uint(s->w, counts[i].count);
        put_seconds(s->w, "first_seen", counts[i].first_ms);
        put_seconds(s->w, "last_seen", counts[i].last_ms);
        jsonw_end_object(s->w);
    }
    jsonw_end_object(s->w);
}

static void put_platforms(struct shape *s, uint32_t user)
{
    struct identity_key *keys;
    uint32_t count;
    struct err err = project_user_keys(s->call->project, user, &s->arena, &keys, &count);
    jsonw_key(s->w, "platformInfo");
    jsonw_array(s->w);
    for (uint32_t i = 0; !err.code && i < count; i++) {
        if (keys[i].kind != IDENTITY_DEVICE)
            continue;
        jsonw_object(s->w);
        jsonw_key(s->w, "objectId");
        jsonw_string(s->w, keys[i].text);
        jsonw_end_object(s->w);
    }
    jsonw_end_array(s->w);
}

static void put_profile(struct shape *s, uint32_t user)
{
    jsonw_object(s->w);
    put_keys(s, user);
    put_name(s, user);
    if (s->show & SHOW_PROFILE)
        put_profile_data(s, user);
    if (s->show & SHOW_EVENTS)
        put_event_summary(s, user);
    if (s->show & SHOW_APP)
        put_platforms(s, user);
    jsonw_end_object(s->w);
    arena_reset(&s->arena);
}

/* --- one profile ------------------------------------------------------------------------------ */

static uint32_t find_one(struct call *call, bool *is_asked_well)
{
    static const struct {
        const char *name;
        enum identity_kind kind;
    } ways[] = { { "identity", IDENTITY_IDENTITY },
                 { "email", IDENTITY_EMAIL },
                 { "phone", IDENTITY_PHONE },
                 { "objectId", IDENTITY_DEVICE } };
    struct identity_key key = { .kind = IDENTITY_IDENTITY };
    int asked = 0;
    for (size_t i = 0; i < 4; i++) {
        struct bytes text = call_query(call, ways[i].name);
        if (!text.len)
            continue;
        key = (struct identity_key){ .kind = ways[i].kind, .text = text };
        asked++;
    }
    *is_asked_well = asked == 1;
    return asked == 1 ? project_find_key(call->project, key) : USER_NONE;
}

void handle_ct_profile(struct call *call)
{
    bool is_asked_well;
    struct project_snapshot snapshot;
    uint32_t user = find_one(call, &is_asked_well);
    if (!is_asked_well) {
        call_fail(call, 400, "bad_parameter",
                  "give exactly one of identity, email, phone, objectId");
        return;
    }
    if (user == USER_NONE) {
        call_fail(call, 404, "not_found", "Profile not found");
        return;
    }
    struct err err = project_snapshot(call->project, &snapshot);
    if (err.code) {
        call_fail_err(call, err);
        return;
    }
    struct buf body;
    buf_init(&body, CT_ANSWER_MAX);
    struct jsonw w = jsonw_of(&body);
    struct shape shape = {
        .call = call, .snapshot = &snapshot, .w = &w, .show = SHOW_EVENTS | SHOW_PROFILE | SHOW_APP
    };
    arena_init(&shape.arena, CT_ARENA_MAX);
    jsonw_object(&w);
    jsonw_key(&w, "status");
    jsonw_text(&w, "success");
    jsonw_key(&w, "record");
    put_profile(&shape, user);
    jsonw_end_object(&w);
    arena_done(&shape.arena);
    project_snapshot_done(&snapshot);
    call_reply_json(call, 200, &body);
}

/* --- cursors -------------------------------------------------------------------------------------- */

static uint32_t take_show(struct call *call)
{
    static const struct {
        const char *name;
        uint32_t bit;
    } flags[] = { { "events", SHOW_EVENTS }, { "profile", SHOW_PROFILE }, { "app", SHOW_APP } };
    uint32_t show = 0;
    for (size_t i = 0; i < 3; i++) {
        struct bytes value = call_query(call, flags[i].name);
        if (bytes_equal(value, BYTES("true")) || bytes_equal(value, BYTES("1")))
            show |= flags[i].bit;
    }
    return show;
}

static bool check_question(struct call *call, struct json_value body, bool needs_base)
{
    struct project_snapshot snapshot;
    struct ct_base base;
    struct buf condition;
    struct err err = project_snapshot(call->project, &snapshot);
    if (err.code) {
        call_fail_err(call, err);
        return false;
    }
    buf_init(&condition, 4 << 20);
    bool is_good = ct_take_base(call, snapshot.source.catalog, body, needs_base, &base) &&
                   ct_put_condition(call, snapshot.source.catalog, body, &base, &condition);
    buf_done(&condition);
    project_snapshot_done(&snapshot);
    return is_good;
}

/* The question is the body; their own client sends it as ?query= of a GET. */
static bool take_question(struct call *call, struct json_value *out)
{
    struct json_problem problem;
    if (call->request->method == HTTP_POST)
        return call_json(call, out);
    if (json_parse(call->parser, call_query(call, "query"), out, &problem))
        return true;
    call_fail(call, 400, "malformed", "query isn't JSON: %s at byte %zu", problem.what,
              problem.offset);
    return false;
}

/* Does the request bring a question, or go on at a cursor? */
static bool is_beginning(struct call *call)
{
    return call->request->method == HTTP_POST ||
           (!call_query(call, "cursor").len && call_query(call, "query").len);
}

/* The question becomes the cursor. */
static void begin(struct call *call, const char *kind, bool needs_base, int64_t life_ms)
{
    struct json_value body;
    int64_t batch;
    if (!take_question(call, &body) ||
        !call_int(call, "batch_size", 1, BATCH_MAX, BATCH_DEFAULT, &batch) ||
        !check_question(call, body, needs_base))
        return;
    struct buf text;
    buf_init(&text, QUESTION_MAX);
    buf_printf(&text, "{\"batch\":%lld,\"show\":%u,\"question\":", (long long)batch,
               take_show(call));
    struct jsonw w = jsonw_of(&text);
    put_json(&w, body);
    buf_put(&text, BYTES("}"));
    if (buf_err(&text).code) {
        buf_done(&text);
        call_fail(call, 413, "too_large", "the question is too long for a cursor");
        return;
    }
    struct cursor cursor = { .kind = kind, .text = buf_bytes(&text) };
    cursor.numbers[0] = project_stats(call->project).applied;
    struct buf answer;
    buf_init(&answer, 1 << 20);
    buf_put(&answer, BYTES("{\"status\":\"success\",\"cursor\":\""));
    cursor_put(call->api, call, &cursor, life_ms, &answer);
    buf_put(&answer, BYTES("\"}"));
    buf_done(&text);
    call_reply_json(call, 200, &answer);
}

/* A page being made from a cursor. */
struct ct_page {
    struct call *call;
    struct cursor cursor;
    struct json_value question;
    struct project_snapshot snapshot;
    struct arena arena;
    struct ct_base base;
    uint64_t *members;
    uint32_t users; /* in the set */
    int64_t batch;
    struct buf body;
    struct jsonw w;
    struct shape shape;
};

static void page_done(struct ct_page *page)
{
    arena_done(&page->shape.arena);
    arena_done(&page->arena);
    project_snapshot_done(&page->snapshot);
}

static bool open_question(struct ct_page *page)
{
    struct call *call = page->call;
    struct json_value root;
    struct json_value value;
    struct json_problem problem;
    if (!json_parse(call->parser, page->cursor.text, &root, &problem) ||
        !json_find(root, BYTES("question"), &page->question))
        return false;
    page->batch = json_find(root, BYTES("batch"), &value) ? json_int(value) : BATCH_DEFAULT;
    page->shape.show = json_find(root, BYTES("show"), &value) ? (uint32_t)json_int(value) : 0;
    return true;
}

/* The users that the question is about. Ends the question's JSON. False: answered. */
static bool find_members(struct ct_page *page)
{
    struct call *call = page->call;
    struct query *query;
    struct query_problem problem = { .line = 1 };
    struct buf tree;
    buf_init(&tree, 4 << 20);
    buf_put(&tree, BYTES("{\"report\":\"segment\",\"where\":"));
    bool is_good =
        ct_put_condition(call, page->snapshot.source.catalog, page->question, &page->base, &tree);
    buf_put(&tree, BYTES("}"));
    is_good = is_good && ask_parse_json(call, buf_bytes(&tree), &page->arena, &query);
    if (is_good) {
        struct query_options options = ask_options(call);
        options.allows_unknown = true;
        struct err err = query_members(query, &page->snapshot.source, &options, &page->arena,
                                       &page->members, &page->users, &problem);
        if (err.code)
            fail_problem(call, err, &problem);
        is_good = !err.code;
    }
    buf_done(&tree);
    return is_good;
}

/* False: answered; nothing is held. */
static bool page_begin(struct ct_page *page, struct call *call, const char *kind, bool needs_base)
{
    *page = (struct ct_page){ .call = call, .cursor = { .kind = kind } };
    arena_init(&page->arena, SIZE_MAX); /* the query's own limit holds for its set */
    bool is_good =
        cursor_get(call->api, call, call_query(call, "cursor"), &page->arena, &page->cursor) &&
        open_question(page);
    if (!is_good) {
        arena_done(&page->arena);
        call_fail(call, 400, "bad_cursor", "Invalid cursor: it isn't good (any more)");
        return false;
    }
    struct err err = project_snapshot(call->project, &page->snapshot);
    if (err.code) {
        arena_done(&page->arena);
        call_fail_err(call, err);
        return false;
    }
    arena_init(&page->shape.arena, CT_ARENA_MAX);
    if (!ct_take_base(call, page->snapshot.source.catalog, page->question, needs_base,
                      &page->base)) {
        page_done(page);
        return false;
    }
    buf_init(&page->body, CT_ANSWER_MAX);
    page->w = jsonw_of(&page->body);
    page->shape.call = call;
    page->shape.snapshot = &page->snapshot;
    page->shape.w = &page->w;
    jsonw_object(&page->w);
    jsonw_key(&page->w, "status");
    jsonw_text(&page->w, "success");
    jsonw_key(&page->w, "records");
    jsonw_array(&page->w);
    return true;
}

static void page_answer(struct ct_page *page, bool has_more, int64_t life_ms)
{
    struct call *call = page->call;
    jsonw_end_array(&page->w);
    if (has_more) {
        struct buf next;
        buf_init(&next, 1 << 20);
        cursor_put(call->api, call, &page->cursor, life_ms, &next);
        jsonw_key(&page->w, "next_cursor");
        jsonw_string(&page->w, buf_bytes(&next));
        buf_done(&next);
    }
    jsonw_end_object(&page->w);
    page_done(page);
    call_reply_json(call, 200, &page->body);
}

static void page_fail(struct ct_page *page)
{
    page_done(page);
    buf_done(&page->body);
}

static bool is_member(const struct ct_page *page, uint64_t user)
{
    return page->members[user >> 6] >> (user & 63) & 1;
}

/* --- profiles ------------------------------------------------------------------------------------ */

void handle_ct_profiles(struct call *call)
{
    struct ct_page page;
    if (is_beginning(call)) {
        begin(call, "ct profiles", false, PROFILES_LIFE_MS);
        return;
    }
    if (!page_begin(&page, call, "ct profiles", false))
        return;
    if (!find_members(&page)) {
        page_fail(&page);
        return;
    }
    bool has_more = false;
    int64_t told = 0;
    uint32_t seen = 0;
    for (uint64_t user = 0; seen < page.users; user++) {
        if (!is_member(&page, user))
            continue;
        seen++;
        if (user < page.cursor.numbers[1])
            continue;
        if (told == page.batch) {
            page.cursor.numbers[1] = user;
            has_more = true;
            break;
        }
        put_profile(&page.shape, (uint32_t)user);
        told++;
    }
    page_answer(&page, has_more, PROFILES_LIFE_MS);
}

/* --- events -------------------------------------------------------------------------------------- */

struct event_filter {
    uint32_t property; /* CATALOG_NONE: never seen */
    struct bytes op;
    struct value values[FILTER_VALUES_MAX];
    uint32_t value_count;
};

struct event_page {
    struct ct_page *page;
    const struct event_filter *filters;
    size_t filter_count;
    uint32_t only; /* CATALOG_NONE: any */
    uint32_t user;
    int64_t told;
    bool has_more;
    bool is_open; /* a record whose items may follow */
    bool has_items;
    uint64_t seq;
};

static bool add_value(struct event_filter *f, struct json_value json)
{
    if (f->value_count == FILTER_VALUES_MAX)
        return false;
    struct value *value = &f->values[f->value_count++];
    if (json_is(json, JSON_STRING))
        *value = value_string(json_string(json));
    else if (json_is(json, JSON_TRUE) || json_is(json, JSON_FALSE))
        *value = value_bool(json_is(json, JSON_TRUE));
    else if (json_is(json, JSON_INT) || json_is(json, JSON_UINT) || json_is(json, JSON_REAL))
        *value = value_real(json_real(json));
    else
        return false;
    return true;
}

/* What ct_put_event_filters has checked already, for looking at single events. The texts live in
 * the arena. */
static bool take_filters(struct ct_page *page, struct event_filter **out, size_t *count_out)
{
    struct json_value list;
    *count_out = 0;
    *out = NULL;
    if (!json_find(page->question, BYTES("event_properties"), &list))
        return true;
    struct event_filter *filters =
        arena_calloc(&page->arena, json_count(list) + 1, sizeof *filters);
    if (!filters)
        return false;
    struct json_iter it = json_items(list);
    while (json_next(&it)) {
        struct event_filter *f = &filters[(*count_out)++];
        struct json_value name;
        struct json_value member;
        bool has_name = json_find(it.value, BYTES("name"), &name);
        f->property = has_name
                          ? catalog_property_find(page->snapshot.source.catalog, json_string(name))
                          : CATALOG_NONE;
        f->op = json_find(it.value, BYTES("operator"), &member)
                    ? arena_copy(&page->arena, json_string(member))
                    : BYTES("equals");
        if (!json_find(it.value, BYTES("value"), &member))
            continue;
        struct json_iter values = json_items(member);
        if (!json_is(member, JSON_ARRAY)) {
            if (!add_value(f, member))
                return false;
        } else {
            while (json_next(&values))
                if (!add_value(f, values.value))
                    return false;
        }
        for (uint32_t v = 0; v < f->value_count; v++)
            if (f->values[v].type == VALUE_STRING)
                f->values[v].string = arena_copy(&page->arena, f->values[v].string);
    }
    *out = filters;
    return true;
}

static bool number_of(const struct value *value, double *out)
{
    if (value->type == VALUE_INT)
        *out = (double)value->integer;
    else if (value->type == VALUE_REAL)
        *out = value->real;
    else
        return false;
    return true;
}

static bool equals(const struct value *have, const struct value *want)
{
    double a;
    double b;
    if (number_of(have, &a) && number_of(want, &b))
        return a == b;
    if (have->type == VALUE_STRING && want->type == VALUE_STRING)
        return bytes_equal(have->string, want->string);
    if (have->type == VALUE_BOOL && want->type == VALUE_BOOL)
        return have->boolean == want->boolean;
    if (have->type == VALUE_BOOL && want->type == VALUE_STRING)
        return bytes_equal(want->string, have->boolean ? BYTES("True") : BYTES("False"));
    return false;
}

static bool is_at_least(const struct value *have, const struct value *want, bool is_strict)
{
    double a;
    double b;
    return number_of(have, &a) && number_of(want, &b) && (is_strict ? a > b : a >= b);
}

static bool passes_value(const struct event_filter *f, const struct value *have,
                         const struct value *want)
{
    if (bytes_equal(f->op, BYTES("equals")) || bytes_equal(f->op, BYTES("not_equals")))
        return equals(have, want);
    if (bytes_end_with(f->op, BYTES("contain")) || bytes_end_with(f->op, BYTES("contains")))
        return have->type == VALUE_STRING && want->type == VALUE_STRING &&
               (want->string.len == 0 ||
                memmem(have->string.ptr, have->string.len, want->string.ptr, want->string.len));
    bool is_strict = bytes_end_with(f->op, BYTES("than"));
    if (bytes_start_with(f->op, BYTES("greater")))
        return is_at_least(have, want, is_strict);
    return is_at_least(want, have, is_strict);
}

static bool passes(const struct event_filter *f, const struct store_user_event *event)
{
    const struct value *have = NULL;
    for (uint32_t i = 0; i < event->property_count && !have; i++)
        if (event->properties[i].property == f->property)
            have = &event->properties[i].value;
    if (bytes_equal(f->op, BYTES("exists")))
        return have;
    if (bytes_equal(f->op, BYTES("does_not_exist")))
        return !have;
    bool is_negated = bytes_equal(f->op, BYTES("does_not_contain"));
    if (!have)
        return is_negated;
    if (bytes_equal(f->op, BYTES("between")))
        return f->value_count == 2 && is_at_least(have, &f->values[0], false) &&
               is_at_least(&f->values[1], have, false);
    bool is_any = false;
    for (uint32_t i = 0; i < f->value_count && !is_any; i++)
        is_any = passes_value(f, have, &f->values[i]);
    return (is_negated || bytes_equal(f->op, BYTES("not_equals"))) ? !is_any : is_any;
}

static void close_record(struct event_page *e)
{
    struct jsonw *w = &e->page->w;
    if (!e->is_open)
        return;
    if (e->has_items)
        jsonw_end_array(w);
    jsonw_end_object(w);
    jsonw_key(w, "session_props");
    jsonw_raw(w, BYTES("{}"));
    jsonw_end_object(w);
    e->is_open = false;
    e->has_items = false;
}

static void put_item(struct event_page *e, const struct store_user_event *event)
{
    struct jsonw *w = &e->page->w;
    if (!e->is_open || e->seq != event->seq)
        return;
    if (!e->has_items) {
        jsonw_key(w, "Items");
        jsonw_array(w);
        e->has_items = true;
    }
    jsonw_object(w);
    api_put_properties(w, e->page->snapshot.source.catalog, event);
    jsonw_end_object(w);
}

static bool is_wanted(const struct event_page *e, const struct store_user_event *event)
{
    const struct cursor *cursor = &e->page->cursor;
    if (event->seq >= cursor->numbers[0])
        return false; /* came after the cursor was made */
    if (e->user == cursor->numbers[1] && cursor->numbers[3] != 0 &&
        (event->time_ms < (int64_t)cursor->numbers[2] ||
         (event->time_ms == (int64_t)cursor->numbers[2] && event->seq < cursor->numbers[3])))
        return false; /* told on an earlier page */
    if (e->only != CATALOG_NONE && event->event != e->only)
        return false;
    for (size_t i = 0; i < e->filter_count; i++)
        if (!passes(&e->filters[i], event))
            return false;
    return true;
}

static bool visit_event(void *ctx, const struct store_user_event *event)
{
    struct event_page *e = ctx;
    struct ct_page *page = e->page;
    struct jsonw *w = &page->w;
    const struct catalog *catalog = page->snapshot.source.catalog;
    if (catalog_event_parent(catalog, event->event) != CATALOG_NONE) {
        put_item(e, event);
        return true;
    }
    close_record(e);
    if (!is_wanted(e, event))
        return true;
    if (e->told == page->batch) {
        page->cursor.numbers[1] = e->user;
        page->cursor.numbers[2] = (uint64_t)event->time_ms;
        page->cursor.numbers[3] = event->seq;
        e->has_more = true;
        return false;
    }
    e->told++;
    e->is_open = true;
    e->seq = event->seq;
    jsonw_object(w);
    jsonw_key(w, "profile");
    put_profile(&page->shape, e->user);
    jsonw_key(w, "ts");
    jsonw_int(w, local_number(page->call, event->time_ms));
    jsonw_key(w, "event_props");
    jsonw_object(w);
    api_put_properties(w, catalog, event);
    return !page->body.is_failed;
}

static struct err put_events_of(struct event_page *e, struct arena *scratch)
{
    struct ct_page *page = e->page;
    const struct query_source *source = &page->snapshot.source;
    int64_t from_ms = zone_day_start_ms(page->call->zone, page->base.from_day);
    int64_t to_ms = zone_day_start_ms(page->call->zone, page->base.to_day + 1);
    struct err err = source->snapshot->ops->user_events(source->snapshot, e->user, from_ms, to_ms,
                                                        false, scratch, visit_event, e);
    close_record(e);
    arena_reset(scratch);
    return err;
}

void handle_ct_events(struct call *call)
{
    struct ct_page page;
    struct event_filter *filters;
    struct event_page e = { .page = &page, .only = CATALOG_NONE };
    if (is_beginning(call)) {
        begin(call, "ct events", true, EVENTS_LIFE_MS);
        return;
    }
    if (!page_begin(&page, call, "ct events", true))
        return;
    if (!take_filters(&page, &filters, &e.filter_count)) {
        page_fail(&page);
        call_fail(call, 400, "bad_parameter", "a filter's value can't be compared");
        return;
    }
    e.filters = filters;
    if (!page.base.is_any)
        e.only = catalog_event_find(page.snapshot.source.catalog, page.base.event, false);
    if (!find_members(&page)) {
        page_fail(&page);
        return;
    }
    struct arena scratch;
    struct err err = ok();
    arena_init(&scratch, CT_ARENA_MAX);
    uint32_t seen = 0;
    uint32_t members = page.base.is_unknown ? 0 : page.users;
    uint64_t first = page.cursor.numbers[1];
    for (uint64_t user = 0; seen < members && !e.has_more && !err.code; user++) {
        if (!is_member(&page, user))
            continue;
        seen++;
        e.user = (uint32_t)user;
        if (user >= first && !atomic_load(&call->gone))
            err = put_events_of(&e, &scratch);
    }
    arena_done(&scratch);
    if (err.code) {
        page_fail(&page);
        call_fail_err(call, err);
        return;
    }
    page_answer(&page, e.has_more, EVENTS_LIFE_MS);
}

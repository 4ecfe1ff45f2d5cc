/* people.c - users: search, profile, timeline, merge, erase. */
#include "api/api_internal.h"

#include <stdio.h>
#include <stdlib.h>

enum { PAGE_MAX = 500, ANSWER_MAX = 64 << 20, ARENA_MAX = 64 << 20, PROPERTIES_MAX = 4096 };
#define CURSOR_LIFE_MS (24 * MS_PER_HOUR)

/* --- finding ----------------------------------------------------------------------------- */

/* "u:42"; false: not of that form. */
static bool user_number(struct bytes id, uint32_t *user_out)
{
    uint64_t number = 0;
    if (id.len < 3 || id.len > 12 || id.ptr[0] != 'u' || id.ptr[1] != ':')
        return false;
    for (size_t i = 2; i < id.len; i++) {
        if (id.ptr[i] < '0' || id.ptr[i] > '9')
            return false;
        number = number * 10 + (uint64_t)(id.ptr[i] - '0');
    }
    *user_out = number < USER_NONE ? (uint32_t)number : USER_NONE;
    return true;
}

uint32_t find_person(struct call *call, struct bytes id)
{
    uint32_t user;
    if (user_number(id, &user))
        return user == USER_NONE ? USER_NONE : project_survivor(call->project, user);
    return project_find_user(call->project, id);
}

/* The page's answer, with a snapshot held while it's made. */
struct page {
    struct call *call;
    struct project_snapshot snapshot;
    struct arena arena;
    struct buf body;
    struct jsonw w;
};

/* False: answered. */
static bool page_begin(struct page *page, struct call *call)
{
    page->call = call;
    struct err err = project_snapshot(call->project, &page->snapshot);
    if (err.code) {
        call_fail_err(call, err);
        return false;
    }
    arena_init(&page->arena, ARENA_MAX);
    buf_init(&page->body, ANSWER_MAX);
    page->w = jsonw_of(&page->body);
    return true;
}

/* Gives all back, then answers. */
static void page_end(struct page *page, struct err err)
{
    arena_done(&page->arena);
    project_snapshot_done(&page->snapshot);
    if (!err.code) {
        call_reply_json(page->call, 200, &page->body);
        return;
    }
    buf_done(&page->body);
    call_fail_err(page->call, err);
}

static void put_next_cursor(struct page *page, const struct cursor *cursor)
{
    struct jsonw *w = &page->w;
    jsonw_key(w, "next_cursor");
    if (!cursor) {
        jsonw_null(w);
        return;
    }
    struct buf text;
    buf_init(&text, 4096);
    cursor_put(page->call->api, page->call, cursor, CURSOR_LIFE_MS, &text);
    jsonw_string(w, buf_bytes(&text));
    buf_done(&text);
}

/* --- one user's facts ---------------------------------------------------------------------- */

static struct value property_of(const struct page *page, uint32_t user, const char *name,
                                const char *other, struct arena *arena)
{
    const struct query_source *source = &page->snapshot.source;
    const char *const names[] = { name, other };
    for (size_t i = 0; i < 2; i++) {
        uint32_t property = catalog_property_find(source->catalog, bytes_from(names[i]));
        if (property == CATALOG_NONE)
            continue;
        struct value value = profile_get(source->profiles, user, property, arena);
        if (value.type != VALUE_NULL)
            return value;
    }
    return value_null();
}

static void put_key_or_property(struct page *page, uint32_t user, const char *name,
                                enum identity_kind kind, const char *property, const char *other)
{
    struct identity_key *keys;
    uint32_t count = 0;
    struct jsonw *w = &page->w;
    struct err err = project_user_keys(page->call->project, user, &page->arena, &keys, &count);
    jsonw_key(w, name);
    for (uint32_t i = count; i > 0 && !err.code; i--) {
        if (keys[i - 1].kind != kind)
            continue;
        jsonw_string(w, keys[i - 1].text); /* the latest */
        return;
    }
    struct value value = property_of(page, user, property, other, &page->arena);
    jsonw_value(w, &value);
}

static void put_activity(struct jsonw *w, const struct query_source *source, uint32_t user)
{
    struct profile_activity activity = profile_activity(source->profiles, user);
    bool is_seen = activity.first_ms || activity.last_ms || activity.events;
    jsonw_key(w, "first_seen");
    if (is_seen)
        jsonw_time(w, activity.first_ms);
    else
        jsonw_null(w);
    jsonw_key(w, "last_seen");
    if (is_seen)
        jsonw_time(w, activity.last_ms);
    else
        jsonw_null(w);
}

static void put_user_row(struct page *page, uint32_t user)
{
    const struct query_source *source = &page->snapshot.source;
    struct jsonw *w = &page->w;
    jsonw_object(w);
    jsonw_key(w, "id");
    jsonw_uint(w, user);
    jsonw_key(w, "identity");
    jsonw_string(w, source->show_user(source->identities, user, &page->arena));
    struct value name = property_of(page, user, "Name", "name", &page->arena);
    jsonw_key(w, "name");
    jsonw_value(w, &name);
    put_key_or_property(page, user, "email", IDENTITY_EMAIL, "Email", "email");
    put_key_or_property(page, user, "phone", IDENTITY_PHONE, "Phone", "phone");
    put_activity(w, source, user);
    jsonw_key(w, "events");
    jsonw_uint(w, profile_activity(source->profiles, user).events);
    jsonw_end_object(w);
    arena_reset(&page->arena);
}

/* --- lists ------------------------------------------------------------------------------------ */

static void put_search(struct page *page, struct bytes text, uint32_t after, uint32_t limit)
{
    uint32_t users[PAGE_MAX];
    bool has_more = false;
    uint32_t count =
        project_search_users(page->call->project, text, after, users, limit, &has_more);
    jsonw_object(&page->w);
    jsonw_key(&page->w, "users");
    jsonw_array(&page->w);
    for (uint32_t i = 0; i < count; i++)
        put_user_row(page, users[i]);
    jsonw_end_array(&page->w);
    struct cursor next = { .kind = "search", .text = text };
    next.numbers[0] = count ? users[count - 1] : after;
    put_next_cursor(page, has_more && count ? &next : NULL);
    jsonw_end_object(&page->w);
}

struct recent {
    int64_t last_ms;
    uint32_t user;
};

/* Later first; of the same time, the higher number. */
static bool comes_before(struct recent a, struct recent b)
{
    return a.last_ms != b.last_ms ? a.last_ms > b.last_ms : a.user > b.user;
}

/* The `max` most recently active users that come after `after`; one pass over all of them. */
static uint32_t most_recent(const struct query_source *source, const struct recent *after,
                            struct recent *top, uint32_t max)
{
    uint32_t count = 0;
    uint32_t users = profile_view_users(source->profiles);
    for (uint32_t user = 0; user < users; user++) {
        struct profile_activity activity = profile_activity(source->profiles, user);
        struct recent one = { .last_ms = activity.last_ms, .user = user };
        if (after && !comes_before(*after, one))
            continue;
        if (count == max && !comes_before(one, top[max - 1]))
            continue;
        if (!source->is_living(source->identities, user))
            continue;
        uint32_t at = count < max ? count++ : max - 1;
        while (at > 0 && comes_before(one, top[at - 1])) {
            top[at] = top[at - 1];
            at--;
        }
        top[at] = one;
    }
    return count;
}

static void put_recent(struct page *page, const struct recent *after, uint32_t limit)
{
    struct recent top[PAGE_MAX + 1];
    uint32_t count = most_recent(&page->snapshot.source, after, top, limit + 1);
    bool has_more = count > limit;
    if (has_more)
        count = limit;
    jsonw_object(&page->w);
    jsonw_key(&page->w, "users");
    jsonw_array(&page->w);
    for (uint32_t i = 0; i < count; i++)
        put_user_row(page, top[i].user);
    jsonw_end_array(&page->w);
    struct cursor next = { .kind = "recent" };
    if (has_more) {
        next.numbers[0] = (uint64_t)top[count - 1].last_ms;
        next.numbers[1] = top[count - 1].user;
    }
    put_next_cursor(page, has_more ? &next : NULL);
    jsonw_end_object(&page->w);
}

void handle_users(struct call *call)
{
    struct bytes text = call_query(call, "search");
    struct bytes from = call_query(call, "cursor");
    struct cursor cursor = { .kind = text.len ? "search" : "recent" };
    struct page page;
    int64_t limit;
    if (!call_int(call, "limit", 1, PAGE_MAX, 50, &limit))
        return;
    if (!page_begin(&page, call))
        return;
    if (from.len && (!cursor_get(call->api, call, from, &page.arena, &cursor) ||
                     !bytes_equal(cursor.text, text))) {
        arena_done(&page.arena);
        buf_done(&page.body);
        project_snapshot_done(&page.snapshot);
        call_fail(call, 400, "bad_cursor", "this cursor isn't good (any more)");
        return;
    }
    struct recent after = { .last_ms = (int64_t)cursor.numbers[0],
                            .user = (uint32_t)cursor.numbers[1] };
    if (text.len)
        put_search(&page, text, from.len ? (uint32_t)cursor.numbers[0] : USER_NONE,
                   (uint32_t)limit);
    else
        put_recent(&page, from.len ? &after : NULL, (uint32_t)limit);
    page_end(&page, ok());
}

/* --- one user ------------------------------------------------------------------------------------ */

struct counting {
    const struct catalog *catalog;
    struct event_count *counts;
    uint32_t *place; /* by event type: number in counts + 1 */
    uint32_t types;
    uint32_t count;
};

static bool count_event(void *ctx, const struct store_user_event *event)
{
    struct counting *c = ctx;
    if (event->event >= c->types || catalog_event_parent(c->catalog, event->event) != CATALOG_NONE)
        return true;
    if (!c->place[event->event]) {
        c->counts[c->count] =
            (struct event_count){ .event = event->event, .first_ms = event->time_ms };
        c->place[event->event] = ++c->count;
    }
    struct event_count *count = &c->counts[c->place[event->event] - 1];
    count->count++;
    count->last_ms = event->time_ms;
    return true;
}

struct err count_events(const struct project_snapshot *snapshot, uint32_t user, struct arena *arena,
                        struct event_count **counts_out, uint32_t *count_out)
{
    const struct query_source *source = &snapshot->source;
    struct counting c = { .catalog = source->catalog,
                          .types = catalog_event_count(source->catalog) };
    c.counts = arena_calloc(arena, (size_t)c.types + 1, sizeof *c.counts);
    c.place = arena_calloc(arena, (size_t)c.types + 1, sizeof *c.place);
    if (!c.counts || !c.place)
        return err_new(ERR_NOMEM, "api: counts of a user");
    struct arena scratch;
    arena_init(&scratch, ARENA_MAX);
    struct err err = source->snapshot->ops->user_events(
        source->snapshot, user, TIME_MS_MIN, TIME_MS_MAX, false, &scratch, count_event, &c);
    arena_done(&scratch);
    if (!err.code) {
        *counts_out = c.counts;
        *count_out = c.count;
    }
    return err;
}

static const char *kind_name(enum identity_kind kind)
{
    switch (kind) {
    case IDENTITY_IDENTITY:
        return "identity";
    case IDENTITY_DEVICE:
        return "device";
    case IDENTITY_EMAIL:
        return "email";
    case IDENTITY_PHONE:
        return "phone";
    }
    return "identity";
}

static struct err put_identities(struct page *page, uint32_t user)
{
    struct jsonw *w = &page->w;
    struct identity_key *keys;
    uint32_t count;
    struct err err = project_user_keys(page->call->project, user, &page->arena, &keys, &count);
    if (err.code)
        return err;
    jsonw_key(w, "identities");
    jsonw_array(w);
    for (uint32_t i = 0; i < count; i++) {
        jsonw_object(w);
        jsonw_key(w, "kind");
        jsonw_text(w, kind_name(keys[i].kind));
        jsonw_key(w, "value");
        jsonw_string(w, keys[i].text);
        jsonw_end_object(w);
    }
    jsonw_end_array(w);
    return ok();
}

static struct err put_properties(struct page *page, uint32_t user)
{
    const struct query_source *source = &page->snapshot.source;
    struct jsonw *w = &page->w;
    uint32_t *properties = arena_alloc(&page->arena, PROPERTIES_MAX * sizeof *properties);
    if (!properties)
        return err_new(ERR_NOMEM, "api: properties of a user");
    uint32_t count = profile_properties(source->profiles, user, properties, PROPERTIES_MAX);
    jsonw_key(w, "properties");
    jsonw_object(w);
    for (uint32_t i = 0; i < count && i < PROPERTIES_MAX; i++) {
        struct value value = profile_get(source->profiles, user, properties[i], &page->arena);
        jsonw_key_bytes(w, catalog_property_name(source->catalog, properties[i]));
        jsonw_value(w, &value);
    }
    jsonw_end_object(w);
    return ok();
}

static struct err put_event_counts(struct page *page, uint32_t user)
{
    struct jsonw *w = &page->w;
    struct event_count *counts;
    uint32_t count;
    struct err err = count_events(&page->snapshot, user, &page->arena, &counts, &count);
    if (err.code)
        return err;
    jsonw_key(w, "events");
    jsonw_array(w);
    for (uint32_t i = 0; i < count; i++) {
        jsonw_object(w);
        jsonw_key(w, "name");
        jsonw_string(w, catalog_event_name(page->snapshot.source.catalog, counts[i].event));
        jsonw_key(w, "count");
        jsonw_uint(w, counts[i].count);
        jsonw_key(w, "first_seen");
        jsonw_time(w, counts[i].first_ms);
        jsonw_key(w, "last_seen");
        jsonw_time(w, counts[i].last_ms);
        jsonw_end_object(w);
    }
    jsonw_end_array(w);
    return ok();
}

static struct err put_merged(struct page *page, uint32_t user)
{
    struct jsonw *w = &page->w;
    uint32_t *from;
    uint32_t count;
    struct err err = project_user_merged(page->call->project, user, &page->arena, &from, &count);
    if (err.code)
        return err;
    jsonw_key(w, "merged_from");
    jsonw_array(w);
    for (uint32_t i = 0; i < count; i++)
        jsonw_uint(w, from[i]);
    jsonw_end_array(w);
    return ok();
}

void handle_user(struct call *call)
{
    struct page page;
    uint32_t user = find_person(call, call->request->params[0]);
    if (user == USER_NONE) {
        call_fail(call, 404, "not_found", "there's no such user");
        return;
    }
    if (!page_begin(&page, call))
        return;
    const struct query_source *source = &page.snapshot.source;
    jsonw_object(&page.w);
    jsonw_key(&page.w, "id");
    jsonw_uint(&page.w, user);
    jsonw_key(&page.w, "identity");
    jsonw_string(&page.w, source->show_user(source->identities, user, &page.arena));
    struct err err = put_identities(&page, user);
    if (!err.code)
        err = put_properties(&page, user);
    put_activity(&page.w, source, user);
    if (!err.code)
        err = put_event_counts(&page, user);
    if (!err.code)
        err = put_merged(&page, user);
    jsonw_end_object(&page.w);
    page_end(&page, err);
}

/* --- the timeline ------------------------------------------------------------------------------------ */

void api_put_properties(struct jsonw *w, const struct catalog *catalog,
                        const struct store_user_event *event)
{
    for (uint32_t i = 0; i < event->property_count; i++) {
        jsonw_key_bytes(w, catalog_property_name(catalog, event->properties[i].property));
        jsonw_value(w, &event->properties[i].value);
    }
}

struct timeline {
    struct page *page;
    uint32_t only; /* an event type; CATALOG_NONE: all */
    uint32_t limit;
    uint32_t count;
    int64_t before_ms; /* begin after this event: earlier than it */
    uint64_t before_seq;
    int64_t last_ms;
    uint64_t last_seq;
    bool is_open;   /* an event's object is being written */
    bool has_items; /* and its list of items */
    bool has_more;
};

static void close_event(struct timeline *t)
{
    struct jsonw *w = &t->page->w;
    if (!t->is_open)
        return;
    if (t->has_items)
        jsonw_end_array(w);
    jsonw_end_object(w);
    jsonw_key(w, "seq");
    jsonw_uint(w, t->last_seq);
    jsonw_end_object(w);
    t->is_open = false;
    t->has_items = false;
}

static void put_item(struct timeline *t, const struct store_user_event *event)
{
    struct jsonw *w = &t->page->w;
    if (!t->is_open || event->seq != t->last_seq)
        return; /* of an event that's left out */
    if (!t->has_items) {
        jsonw_key(w, "Items");
        jsonw_array(w);
        t->has_items = true;
    }
    jsonw_object(w);
    api_put_properties(w, t->page->snapshot.source.catalog, event);
    jsonw_end_object(w);
}

static bool put_event(void *ctx, const struct store_user_event *event)
{
    struct timeline *t = ctx;
    const struct catalog *catalog = t->page->snapshot.source.catalog;
    struct jsonw *w = &t->page->w;
    if (catalog_event_parent(catalog, event->event) != CATALOG_NONE) {
        put_item(t, event);
        return true;
    }
    close_event(t);
    if (event->time_ms == t->before_ms && event->seq >= t->before_seq)
        return true;
    if (t->only != CATALOG_NONE && event->event != t->only)
        return true;
    if (t->count == t->limit) {
        t->has_more = true;
        return false;
    }
    t->count++;
    t->last_ms = event->time_ms;
    t->last_seq = event->seq;
    t->is_open = true;
    jsonw_object(w);
    jsonw_key(w, "time");
    jsonw_time(w, event->time_ms);
    jsonw_key(w, "event");
    jsonw_string(w, catalog_event_name(catalog, event->event));
    jsonw_key(w, "properties");
    jsonw_object(w);
    api_put_properties(w, catalog, event);
    return !t->page->body.is_failed;
}

static struct err put_timeline(struct page *page, uint32_t user, struct timeline *t)
{
    const struct query_source *source = &page->snapshot.source;
    struct jsonw *w = &page->w;
    int64_t to_ms = t->before_ms < TIME_MS_MAX ? t->before_ms + 1 : TIME_MS_MAX;
    jsonw_object(w);
    jsonw_key(w, "events");
    jsonw_array(w);
    struct err err = source->snapshot->ops->user_events(source->snapshot, user, TIME_MS_MIN, to_ms,
                                                        true, &page->arena, put_event, t);
    close_event(t);
    jsonw_end_array(w);
    struct cursor next = { .kind = "timeline",
                           .numbers = { user, (uint64_t)t->last_ms, t->last_seq } };
    put_next_cursor(page, t->has_more ? &next : NULL);
    jsonw_end_object(w);
    return err;
}

void handle_user_events(struct call *call)
{
    struct bytes from = call_query(call, "cursor");
    struct bytes only = call_query(call, "event");
    struct cursor cursor = { .kind = "timeline" };
    struct page page;
    int64_t limit;
    if (!call_int(call, "limit", 1, PAGE_MAX * 2, 50, &limit))
        return;
    uint32_t user = find_person(call, call->request->params[0]);
    if (user == USER_NONE) {
        call_fail(call, 404, "not_found", "there's no such user");
        return;
    }
    if (!page_begin(&page, call))
        return;
    struct timeline t = { .page = &page,
                          .only = CATALOG_NONE,
                          .limit = (uint32_t)limit,
                          .before_ms = TIME_MS_MAX,
                          .before_seq = UINT64_MAX };
    if (only.len)
        t.only = catalog_event_find(page.snapshot.source.catalog, only, false);
    bool is_bad = only.len && t.only == CATALOG_NONE;
    bool is_stale = from.len && !cursor_get(call->api, call, from, &page.arena, &cursor);
    if (is_bad || is_stale) {
        arena_done(&page.arena);
        buf_done(&page.body);
        project_snapshot_done(&page.snapshot);
        if (is_bad)
            call_fail(call, 404, "not_found", "there's no such event type");
        else
            call_fail(call, 400, "bad_cursor", "this cursor isn't good (any more)");
        return;
    }
    if (from.len) {
        t.before_ms = (int64_t)cursor.numbers[1];
        t.before_seq = cursor.numbers[2];
    }
    page_end(&page, put_timeline(&page, user, &t));
}

/* --- merge and erase ------------------------------------------------------------------------------------- */

static struct identity_key key_of_user(uint32_t user, char text[16])
{
    int len = snprintf(text, 16, "%u", user);
    return (struct identity_key){ .kind = (enum identity_kind)REF_USER,
                                  .text = bytes_of(text, (size_t)len) };
}

void handle_users_merge(struct call *call)
{
    struct bytes from;
    struct bytes into;
    struct json_value root;
    const struct field fields[] = {
        { .name = "from", .type = FIELD_TEXT, .is_required = true, .text_out = &from },
        { .name = "into", .type = FIELD_TEXT, .is_required = true, .text_out = &into },
    };
    if (!call_json(call, &root) || !call_fields(call, root, fields, 2))
        return;
    uint32_t a = find_person(call, from);
    uint32_t b = find_person(call, into);
    if (a == USER_NONE || b == USER_NONE) {
        call_fail(call, 404, "not_found", "there's no such user: %s",
                  a == USER_NONE ? "from" : "into");
        return;
    }
    char texts[2][16];
    struct identity_key refs[2] = { key_of_user(a, texts[0]), key_of_user(b, texts[1]) };
    struct account_actor actor = call_actor(call);
    struct err err = account_audit(call->api->config.accounts, &actor, call->principal.project,
                                   "user.merge", from);
    if (!err.code && a != b)
        err = submit_one(call, COMMAND_MERGE, refs, 2);
    if (err.code) {
        call_fail_err(call, err);
        return;
    }
    struct buf body;
    buf_init(&body, 1000);
    buf_printf(&body, "{\"status\":\"success\",\"id\":%u}", project_survivor(call->project, b));
    call_reply_json(call, 200, &body);
}

void handle_user_delete(struct call *call)
{
    char text[16];
    uint32_t user = find_person(call, call->request->params[0]);
    if (user == USER_NONE) {
        call_fail(call, 404, "not_found", "there's no such user");
        return;
    }
    struct identity_key ref = key_of_user(user, text);
    struct account_actor actor = call_actor(call);
    /* The log of who did what keeps the number, not the erased identity. */
    struct err err = account_audit(call->api->config.accounts, &actor, call->principal.project,
                                   "user.erase", ref.text);
    if (!err.code)
        err = submit_one(call, COMMAND_ERASE, &ref, 1);
    if (err.code)
        call_fail_err(call, err);
    else
        call_reply_empty(call, 204);
}

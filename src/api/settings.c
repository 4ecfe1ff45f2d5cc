/* settings.c - a project's settings: what it accepts, and how it treats it. */
#include "api/api_internal.h"

#include <stdio.h>

enum { SETTINGS_BODY_MAX = 8 << 20, SETTINGS_MAX = 4096 };

/* --- reading --------------------------------------------------------------------------- */

static void put_limits(struct jsonw *w, const struct project_rules *rules)
{
    struct project_limit limit;
    jsonw_key(w, "limits");
    jsonw_object(w);
    for (size_t n = 0; project_limit_at(rules, n, &limit); n++) {
        jsonw_key(w, limit.name + strlen("limit."));
        jsonw_object(w);
        jsonw_key(w, "value");
        jsonw_uint(w, limit.value);
        jsonw_key(w, "most");
        jsonw_uint(w, limit.most);
        jsonw_end_object(w);
    }
    jsonw_end_object(w);
}

static void put_discarded(struct jsonw *w, const struct catalog *catalog)
{
    jsonw_key(w, "discarded_events");
    jsonw_array(w);
    for (uint32_t event = 0; event < catalog_event_count(catalog); event++)
        if (catalog_event_is_discarded(catalog, event))
            jsonw_string(w, catalog_event_name(catalog, event));
    jsonw_end_array(w);
}

void handle_settings(struct call *call)
{
    struct catalog *catalog;
    struct err err = project_catalog(call->project, &catalog);
    if (err.code) {
        call_fail_err(call, err);
        return;
    }
    struct project_rules rules = project_rules(call->project);
    struct buf body;
    buf_init(&body, SETTINGS_BODY_MAX);
    struct jsonw w = jsonw_of(&body);
    jsonw_object(&w);
    jsonw_key(&w, "join_existing");
    jsonw_bool(&w, rules.does_join_existing);
    jsonw_key(&w, "dedup_days");
    jsonw_uint(&w, rules.dedup_days);
    put_limits(&w, &rules);
    put_discarded(&w, catalog);
    jsonw_end_object(&w);
    catalog_free(catalog);
    call_reply_json(call, 200, &body);
}

/* --- changing ---------------------------------------------------------------------------- */

/* A request's changes: all of them are found to be good before any is written, in one batch. */
struct change {
    struct call *call;
    struct command_writer *writer;
    int64_t now_ms;
    uint32_t count;
};

static bool refuse(struct change *change, const char *pointer, struct bytes key, const char *what)
{
    struct buf message;
    struct buf details;
    buf_init(&message, 4096);
    buf_init(&details, 8192);
    struct bytes shown = bytes_slice(key, 0, key.len < 200 ? key.len : 200);
    buf_printf(&message, "%s%s%.*s: %s", pointer + 1, key.len ? "/" : "", BYTES_FMT(shown), what);
    struct buf place;
    buf_init(&place, 4096);
    buf_printf(&place, "%s%s%.*s", pointer, key.len ? "/" : "", BYTES_FMT(shown));
    struct jsonw w = jsonw_of(&details);
    jsonw_object(&w);
    jsonw_key(&w, "pointer");
    jsonw_string(&w, buf_bytes(&place));
    jsonw_end_object(&w);
    call_fail_with(change->call, 422, "invalid", buf_bytes(&message), buf_bytes(&details));
    buf_done(&message);
    buf_done(&details);
    buf_done(&place);
    return false;
}

static bool set(struct change *change, struct bytes name, struct value value, const char *pointer,
                struct bytes key)
{
    const char *problem = project_setting_problem(name, &value);
    if (problem)
        return refuse(change, pointer, key, problem);
    if (change->count == SETTINGS_MAX)
        return refuse(change, pointer, key, "these are too many changes for one request");
    command_begin(change->writer, COMMAND_SETTING, change->now_ms);
    command_name(change->writer, name, false);
    command_property(change->writer, BYTES("value"), PROPERTY_SET, &value);
    command_end(change->writer);
    change->count++;
    return true;
}

static bool set_limits(struct change *change, struct json_value limits)
{
    struct json_iter it = json_members(limits);
    while (json_next(&it)) {
        char name[64];
        if (it.key.len > sizeof name - sizeof "limit.")
            return refuse(change, "/limits", it.key, "there's no such limit");
        (void)snprintf(name, sizeof name, "limit.%.*s", BYTES_FMT(it.key));
        if (!json_is(it.value, JSON_INT))
            return refuse(change, "/limits", it.key, "must be a whole number");
        if (!set(change, bytes_from(name), value_int(json_int(it.value)), "/limits", it.key))
            return false;
    }
    return true;
}

static bool is_listed(struct json_value list, struct bytes name)
{
    struct json_iter it = json_items(list);
    while (json_next(&it))
        if (bytes_equal(json_string(it.value), name))
            return true;
    return false;
}

/* The list as a whole: who isn't in it any more is restored. */
static bool set_discarded(struct change *change, struct json_value list)
{
    struct catalog *catalog;
    struct json_iter it = json_items(list);
    while (json_next(&it))
        if (!json_is(it.value, JSON_STRING))
            return refuse(change, "/discarded_events", bytes_of("", 0), "must be names of events");
    struct err err = project_catalog(change->call->project, &catalog);
    if (err.code) {
        call_fail_err(change->call, err);
        return false;
    }
    bool is_good = true;
    for (uint32_t event = 0; is_good && event < catalog_event_count(catalog); event++) {
        struct bytes name = catalog_event_name(catalog, event);
        if (catalog_event_is_discarded(catalog, event) && !is_listed(list, name))
            is_good = set(change, BYTES("restore_event"), value_string(name), "/discarded_events",
                          bytes_of("", 0));
    }
    it = json_items(list);
    while (is_good && json_next(&it))
        is_good = set(change, BYTES("discard_event"), value_string(json_string(it.value)),
                      "/discarded_events", bytes_of("", 0));
    catalog_free(catalog);
    return is_good;
}

static struct err write_changes(struct change *change)
{
    struct call *call = change->call;
    struct account_actor actor = call_actor(call);
    struct bytes batch;
    uint64_t position;
    if (!change->count)
        return ok();
    struct err err = account_audit(call->api->config.accounts, &actor, call->principal.project,
                                   "settings.change", call->request->body);
    if (!err.code)
        err = command_writer_finish(change->writer, &batch);
    if (!err.code)
        err = project_submit_wait(call->project, batch, change->count, &position);
    if (!err.code)
        project_wait_applied(call->project, position + change->count);
    return err;
}

void handle_settings_patch(struct call *call)
{
    struct change change = { .call = call, .now_ms = clock_now_ms(call->api->config.clock) };
    struct json_value root;
    struct json_value limits;
    struct json_value discarded;
    bool joins = false;
    int64_t dedup_days = 0;
    bool has_joins = false;
    bool has_days = false;
    bool has_limits = false;
    bool has_discarded = false;
    const struct field fields[] = {
        { .name = "join_existing", .type = FIELD_BOOL, .bool_out = &joins, .has_out = &has_joins },
        { .name = "dedup_days", .type = FIELD_INT, .int_out = &dedup_days, .has_out = &has_days },
        { .name = "limits", .type = FIELD_OBJECT, .value_out = &limits, .has_out = &has_limits },
        { .name = "discarded_events",
          .type = FIELD_ARRAY,
          .value_out = &discarded,
          .has_out = &has_discarded },
    };
    if (!call_json(call, &root) ||
        !call_fields(call, root, fields, sizeof fields / sizeof fields[0]))
        return;
    struct err err = command_writer_new(&change.writer);
    if (err.code) {
        call_fail_err(call, err);
        return;
    }
    command_writer_reset(change.writer, change.now_ms);
    struct bytes none = bytes_of("", 0);
    if ((!has_joins ||
         set(&change, BYTES("join_existing"), value_bool(joins), "/join_existing", none)) &&
        (!has_days ||
         set(&change, BYTES("dedup_days"), value_int(dedup_days), "/dedup_days", none)) &&
        (!has_limits || set_limits(&change, limits)) &&
        (!has_discarded || set_discarded(&change, discarded))) {
        err = write_changes(&change);
        if (err.code)
            call_fail_err(call, err);
        else
            handle_settings(call);
    }
    command_writer_free(change.writer);
}

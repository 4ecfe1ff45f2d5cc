/*
 * upload.c - CleverTap's /1/upload.
 *
 * The body is {"d":[…]}: at most 1000 records of mixed kinds. The reference (clevertap.md) leaves
 * some things open; what was decided is in docs/modules/ingest.md.
 */
#include "ingest/ingest_internal.h"

#include <stdio.h>

enum { TOKEN_BYTES_MAX = 4096 };

/* A record's fields, as they stand. `tape` NULL: not there. */
struct fields {
    struct json_value type;
    struct json_value identity;
    struct json_value device;
    struct json_value facebook;
    struct json_value google;
    struct json_value ts;
    struct json_value event_name;
    struct json_value event_data;
    struct json_value event_id;
    struct json_value profile_data;
    struct json_value token_data;
};

static struct json_value *field_of(struct fields *fields, struct bytes key)
{
    switch (key.len) {
    case 2:
        return memcmp(key.ptr, "ts", 2) == 0 ? &fields->ts : NULL;
    case 4:
        if (memcmp(key.ptr, "type", 4) == 0)
            return &fields->type;
        if (memcmp(key.ptr, "FBID", 4) == 0)
            return &fields->facebook;
        return memcmp(key.ptr, "GPID", 4) == 0 ? &fields->google : NULL;
    case 7:
        if (memcmp(key.ptr, "evtName", 7) == 0)
            return &fields->event_name;
        return memcmp(key.ptr, "evtData", 7) == 0 ? &fields->event_data : NULL;
    case 8:
        if (memcmp(key.ptr, "identity", 8) == 0)
            return &fields->identity;
        if (memcmp(key.ptr, "event_id", 8) == 0)
            return &fields->event_id;
        return memcmp(key.ptr, "objectId", 8) == 0 ? &fields->device : NULL;
    case 9:
        return memcmp(key.ptr, "tokenData", 9) == 0 ? &fields->token_data : NULL;
    case 11:
        return memcmp(key.ptr, "profileData", 11) == 0 ? &fields->profile_data : NULL;
    default:
        return NULL;
    }
}

static bool read_fields(struct ingest *in, struct json_value record, bool is_line,
                        struct fields *fields)
{
    if (!json_is(record, JSON_OBJECT))
        return fail(in, PROBLEM_KIND, "record_invalid", "A record is an object");
    for (struct json_iter it = json_members(record); json_next(&it);) {
        struct json_value *field = field_of(fields, it.key);
        if (field && !field->tape) {
            *field = it.value;
            continue;
        }
        if (field) {
            path_push(in, it.key, 0);
            return fail(in, PROBLEM_STRUCTURE, "field_twice", "The field is given twice");
        }
        /* Clients add fields of their own ("source"); CleverTap doesn't mind. In a file they're more
         * likely a mistake. */
        if (is_line && !bytes_equal(it.key, BYTES("source"))) {
            path_push(in, it.key, 0);
            return fail(in, PROBLEM_STRUCTURE, "unknown_field", "Unknown field");
        }
    }
    return true;
}

/* --- who and when ------------------------------------------------------------------------- */

/* An id of another network, kept apart from the application's own identities. */
static bool read_network_id(struct ingest *in, struct json_value value, const char *name,
                            struct who *who)
{
    struct bytes text;
    if (!id_text(in, value, &text))
        return fail_at(in, name, PROBLEM_IDENTITY, "identity_invalid", "%s isn't a text", name);
    path_push(in, bytes_from(name), 0);
    if (!check_identity(in, text, true))
        return false;
    path_pop(in);
    who->identity = arena_printf(&in->arena, "%s:%.*s", name, BYTES_FMT(text));
    in->is_out_of_memory |= !who->identity.ptr;
    return who->identity.ptr != NULL;
}

static bool read_who(struct ingest *in, const struct fields *fields, struct who *who)
{
    if (fields->device.tape) {
        if (json_is(fields->device, JSON_STRING))
            who->device = json_string(fields->device);
        if (!is_device_id(who->device))
            return fail_at(in, "objectId", PROBLEM_DEVICE, "device_invalid",
                           "objectId isn't a text without spaces");
    }
    if (fields->identity.tape) {
        path_push(in, BYTES("identity"), 0);
        if (!id_text(in, fields->identity, &who->identity))
            return fail(in, PROBLEM_IDENTITY, "identity_invalid", "Identity isn't a text");
        if (!check_identity(in, who->identity, true))
            return false;
        path_pop(in);
    } else if (fields->facebook.tape) {
        if (!read_network_id(in, fields->facebook, "FBID", who))
            return false;
    } else if (fields->google.tape) {
        if (!read_network_id(in, fields->google, "GPID", who))
            return false;
    }
    if (!who->identity.len && !who->device.len)
        return fail(in, PROBLEM_IDENTITY, "identity_missing",
                    "One of identity, objectId, FBID, GPID is mandatory");
    return true;
}

static bool read_ts(struct ingest *in, const struct fields *fields, int64_t *time_ms)
{
    *time_ms = in->rules->now_ms;
    if (!fields->ts.tape)
        return true;
    path_push(in, BYTES("ts"), 0);
    if (!epoch_time(fields->ts, time_ms))
        return fail(in, PROBLEM_TIME, "time_invalid", "ts isn't an epoch");
    if (!check_time(in, *time_ms))
        return false;
    path_pop(in);
    return true;
}

/* --- the three kinds ------------------------------------------------------------------------ */

static bool put_event(struct ingest *in, const struct fields *fields, const struct who *who)
{
    struct bytes name = { 0 };
    if (fields->event_name.tape && json_is(fields->event_name, JSON_STRING))
        name = json_string(fields->event_name);
    path_push(in, BYTES("evtName"), 0);
    if (!check_event_name(in, name, true))
        return false;
    path_pop(in);
    put_who(in, who);
    command_name(in->writer, name, true);
    if (fields->event_id.tape) {
        struct bytes id;
        if (!id_text(in, fields->event_id, &id) || id.len == 0 ||
            id.len > in->limits.identity_bytes)
            return fail_at(in, "event_id", PROBLEM_STRUCTURE, "event_id_invalid",
                           "event_id isn't a text of 1 to %u bytes", in->limits.identity_bytes);
        command_event_id(in->writer, id);
    }
    if (!fields->event_data.tape || json_is(fields->event_data, JSON_NULL))
        return true;
    path_push(in, BYTES("evtData"), 0);
    if (!json_is(fields->event_data, JSON_OBJECT))
        return fail(in, PROBLEM_STRUCTURE, "value_invalid", "evtData isn't an object");
    bool is_fine = put_event_properties(in, fields->event_data);
    if (is_fine)
        path_pop(in);
    return is_fine;
}

static bool put_profile(struct ingest *in, const struct fields *fields, const struct who *who)
{
    struct profile_keys keys = { 0 };
    struct who all = *who;
    path_push(in, BYTES("profileData"), 0);
    if (!fields->profile_data.tape || !json_is(fields->profile_data, JSON_OBJECT))
        return fail(in, PROBLEM_STRUCTURE, "value_invalid", "profileData isn't an object");
    if (!put_profile_properties(in, fields->profile_data, &keys))
        return false;
    path_pop(in);
    all.email = keys.email;
    all.phone = keys.phone;
    put_who(in, &all);
    if (keys.identity.len && !bytes_equal(keys.identity, who->identity))
        command_ref(in->writer, REF_IDENTITY, keys.identity);
    return true;
}

static bool token_text(struct json_value object, const char *key, struct bytes *out)
{
    struct json_value value;
    if (!json_find(object, bytes_from(key), &value) || !json_is(value, JSON_STRING))
        return false;
    *out = json_string(value);
    return out->len > 0 && out->len <= TOKEN_BYTES_MAX;
}

static void put_text(struct ingest *in, struct bytes name, struct bytes text)
{
    struct value value = value_string(text);
    command_property(in->writer, name, PROPERTY_SET, &value);
}

static bool is_token_type(struct bytes type)
{
    static const char *const types[] = { "apns", "fcm", "gcm", "wns", "mpns", "chrome" };
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (bytes_equal(type, bytes_from(types[i])))
            return true;
    }
    return false;
}

static bool put_token(struct ingest *in, const struct fields *fields, const struct who *who)
{
    struct json_value data = fields->token_data;
    struct json_value keys;
    struct bytes id;
    struct bytes type;
    struct bytes p256dh;
    struct bytes auth;

    if (!who->device.len)
        return fail_at(in, "objectId", PROBLEM_TOKEN_DEVICE, "device_invalid",
                       "A token belongs to an objectId");
    path_push(in, BYTES("tokenData"), 0);
    if (!data.tape || !json_is(data, JSON_OBJECT))
        return fail(in, PROBLEM_TOKEN_DATA, "token_invalid", "tokenData isn't an object");
    if (!token_text(data, "id", &id))
        return fail_at(in, "id", PROBLEM_TOKEN_ID, "token_invalid", "The token's id is missing");
    if (!token_text(data, "type", &type))
        return fail_at(in, "type", PROBLEM_TOKEN_TYPE, "token_invalid",
                       "The token's type is missing");
    if (!is_token_type(type))
        return fail_at(in, "type", PROBLEM_TOKEN_TYPE_INVALID, "token_invalid",
                       "The token's type is apns, fcm, gcm, wns, mpns or chrome");
    put_who(in, who);
    put_text(in, BYTES("id"), id);
    put_text(in, BYTES("type"), type);
    if (bytes_equal(type, BYTES("chrome"))) {
        if (!json_find(data, BYTES("keys"), &keys) || !token_text(keys, "p256dh", &p256dh) ||
            !token_text(keys, "auth", &auth))
            return fail_at(in, "keys", PROBLEM_TOKEN_KEYS, "token_invalid",
                           "A chrome token has keys: p256dh and auth");
        put_text(in, BYTES("p256dh"), p256dh);
        put_text(in, BYTES("auth"), auth);
    }
    path_pop(in);
    return true;
}

/* --- a record --------------------------------------------------------------------------------- */

static bool read_kind(struct ingest *in, const struct fields *fields, bool is_line,
                      enum command_kind *kind)
{
    if (fields->type.tape) {
        struct bytes type = { 0 };
        if (json_is(fields->type, JSON_STRING))
            type = json_string(fields->type);
        if (bytes_equal(type, BYTES("event")))
            *kind = COMMAND_EVENT;
        else if (bytes_equal(type, BYTES("profile")))
            *kind = COMMAND_PROFILE;
        else if (bytes_equal(type, BYTES("token")))
            *kind = COMMAND_TOKEN;
        else
            return fail_at(in, "type", PROBLEM_KIND, "kind_invalid",
                           "type is event, profile or token");
        return true;
    }
    if (!is_line)
        return fail(in, PROBLEM_KIND, "kind_invalid", "type is mandatory: event, profile or token");
    *kind = fields->profile_data.tape ? COMMAND_PROFILE
            : fields->token_data.tape ? COMMAND_TOKEN
                                      : COMMAND_EVENT;
    return true;
}

bool upload_record(struct ingest *in, struct json_value record, bool is_line)
{
    struct fields fields = { 0 };
    struct who who = { 0 };
    enum command_kind kind = COMMAND_EVENT;
    int64_t time_ms = 0;
    if (!read_fields(in, record, is_line, &fields) || !read_kind(in, &fields, is_line, &kind))
        return false;
    if (kind == COMMAND_TOKEN && !fields.device.tape)
        return put_token(in, &fields, &who);
    if (!read_who(in, &fields, &who)) {
        if (kind == COMMAND_TOKEN && in->code == PROBLEM_DEVICE)
            in->code = PROBLEM_TOKEN_DEVICE;
        return false;
    }
    if (!read_ts(in, &fields, &time_ms))
        return false;

    command_begin(in->writer, kind, time_ms);
    bool is_fine = kind == COMMAND_EVENT     ? put_event(in, &fields, &who)
                   : kind == COMMAND_PROFILE ? put_profile(in, &fields, &who)
                                             : put_token(in, &fields, &who);
    if (is_fine)
        command_end(in->writer);
    else
        command_abandon(in->writer);
    return is_fine;
}

/* --- the request ---------------------------------------------------------------------------------- */

static void upload_body(struct ingest *in, struct bytes body, struct ingest_result *result)
{
    struct json_value root;
    struct json_value records;
    struct json_problem problem;
    if (!parse_body(in, body, &root, &problem)) {
        bool is_long = strcmp(problem.what, "longer than the limit") == 0;
        in->is_out_of_memory |= strcmp(problem.what, "no memory") == 0;
        begin_record(in, true);
        refuse(in, is_long ? 413 : 400, is_long ? "body_too_large" : "malformed_json", problem.what,
               result);
        result->error_offset = problem.offset;
        return;
    }
    begin_record(in, true);
    if (!json_find(root, BYTES("d"), &records) || !json_is(records, JSON_ARRAY)) {
        refuse(in, 400, "body_invalid", "The body is an object with an array d", result);
        return;
    }
    if (json_count(records) > INGEST_UPLOAD_RECORDS_MAX) {
        path_push(in, BYTES("d"), 0);
        refuse(in, 400, "too_many_records", "More than 1000 records in one upload", result);
        return;
    }
    uint32_t index = 0;
    for (struct json_iter it = json_items(records); json_next(&it); index++) {
        begin_record(in, true);
        if (upload_record(in, it.value, false))
            in->processed++;
        else
            keep_problem(in, index, (struct echo){ .value = it.value, .is_json = true });
    }
    answer(in, result);
}

struct err ingest_upload(struct ingest *in, const struct ingest_rules *rules, struct bytes body,
                         struct command_writer *writer, struct ingest_result *result_out)
{
    struct ingest_result result = { 0 };
    command_writer_reset(writer, rules->now_ms);
    begin_request(in, rules, FACE_UPLOAD, writer);
    upload_body(in, body, &result);
    if (in->is_out_of_memory)
        return err_new(ERR_NOMEM, "ingest: upload");
    *result_out = result;
    return ok();
}

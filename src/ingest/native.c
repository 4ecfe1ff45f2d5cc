/*
 * native.c - /v1/events, /v1/profiles, /v1/identify.
 *
 * Strict where CleverTap's face is not: an unknown field is an error that names it, since what a
 * client sends and nobody reads is lost without a word. Lenient where CleverTap is not: names and
 * values may be anything that can be kept.
 */
#include "ingest/ingest_internal.h"

typedef bool record_fn(struct ingest *in, struct json_value record);

/* The fields of all three kinds of record. */
struct native {
    unsigned seen; /* a bit a field */
    struct who who;
    struct bytes event;
    struct bytes event_id;
    int64_t time_ms;
    struct json_value properties;
};

enum { EVENT = 1, PROFILE = 2, IDENTIFY = 4 };

/* --- fields ---------------------------------------------------------------------------- */

static bool read_text(struct ingest *in, struct json_value value, int code, const char *type,
                      struct bytes *out)
{
    if (json_is(value, JSON_STRING)) {
        *out = json_string(value);
        return true;
    }
    return fail(in, code, type, "It isn't a text");
}

static bool read_identity(struct ingest *in, struct json_value value, struct native *native)
{
    struct bytes *identity = &native->who.identity;
    if (!id_text(in, value, identity))
        return fail(in, PROBLEM_IDENTITY, "identity_invalid", "identity isn't a text");
    return check_identity(in, *identity, false);
}

static bool read_device(struct ingest *in, struct json_value value, struct native *native)
{
    struct bytes *device = &native->who.device;
    if (!read_text(in, value, PROBLEM_DEVICE, "device_invalid", device))
        return false;
    return is_device_id(*device) ||
           fail(in, PROBLEM_DEVICE, "device_invalid", "device_id is 1 to 256 bytes without spaces");
}

static bool read_email(struct ingest *in, struct json_value value, struct native *native)
{
    struct bytes *email = &native->who.email;
    if (!read_text(in, value, PROBLEM_EMAIL, "email_invalid", email))
        return false;
    return is_email(*email) ||
           fail(in, PROBLEM_EMAIL, "email_invalid", "It isn't an e-mail address");
}

static bool read_phone(struct ingest *in, struct json_value value, struct native *native)
{
    struct bytes text;
    size_t len = 0;
    if (!read_text(in, value, PROBLEM_PHONE, "phone_invalid", &text))
        return false;
    uint8_t *clean = arena_alloc(&in->arena, text.len + 1);
    in->is_out_of_memory |= !clean;
    if (!clean || text.len > 64 || !clean_phone(text, false, clean, &len))
        return fail(in, PROBLEM_PHONE, "phone_invalid", "It isn't a phone number");
    native->who.phone = bytes_of(clean, len);
    return true;
}

static bool read_time(struct ingest *in, struct json_value value, struct native *native)
{
    int64_t *time_ms = &native->time_ms;
    if (json_is(value, JSON_NULL))
        return true;
    bool is_time = json_is(value, JSON_STRING) ? rfc3339_time(json_string(value), time_ms)
                                               : epoch_time(value, time_ms);
    if (!is_time)
        return fail(in, PROBLEM_TIME, "time_invalid",
                    "The time is RFC 3339 with an offset, or an epoch in seconds or milliseconds");
    return check_time(in, *time_ms);
}

static bool read_event(struct ingest *in, struct json_value value, struct native *native)
{
    if (!read_text(in, value, PROBLEM_EVENT_NAME, "event_invalid", &native->event))
        return false;
    return check_event_name(in, native->event, false);
}

static bool read_event_id(struct ingest *in, struct json_value value, struct native *native)
{
    struct bytes *id = &native->event_id;
    if (json_is(value, JSON_NULL))
        return true;
    if (!id_text(in, value, id) || id->len == 0 || id->len > in->limits.identity_bytes)
        return fail(in, PROBLEM_STRUCTURE, "event_id_invalid",
                    "event_id is a text of 1 to %u bytes", in->limits.identity_bytes);
    return true;
}

static bool read_properties(struct ingest *in, struct json_value value, struct native *native)
{
    native->properties = value;
    return json_is(value, JSON_OBJECT) || json_is(value, JSON_NULL) ||
           fail(in, PROBLEM_STRUCTURE, "value_invalid", "properties isn't an object");
}

#define NAME(literal)                                                                              \
    {                                                                                              \
        (const uint8_t *)(literal), sizeof(literal) - 1                                            \
    }

/* `kinds`: which records have the field. */
static const struct field {
    struct bytes name;
    int kinds;
    bool (*read)(struct ingest *in, struct json_value value, struct native *native);
} fields[] = {
    { NAME("identity"), EVENT | PROFILE | IDENTIFY, read_identity },
    { NAME("time"), EVENT | PROFILE | IDENTIFY, read_time },
    { NAME("event"), EVENT, read_event },
    { NAME("properties"), EVENT | PROFILE, read_properties },
    { NAME("event_id"), EVENT, read_event_id },
    { NAME("device_id"), EVENT | PROFILE | IDENTIFY, read_device },
    { NAME("email"), EVENT | PROFILE | IDENTIFY, read_email },
    { NAME("phone"), EVENT | PROFILE | IDENTIFY, read_phone },
};

/* One member of the record, at the path. */
static bool read_field(struct ingest *in, const struct json_iter *it, int kind,
                       struct native *native)
{
    for (unsigned i = 0; i < sizeof fields / sizeof *fields; i++) {
        if (!(fields[i].kinds & kind) || !bytes_equal(it->key, fields[i].name))
            continue;
        if (native->seen & 1u << i)
            return fail(in, PROBLEM_STRUCTURE, "field_twice", "The field is given twice");
        native->seen |= 1u << i;
        return fields[i].read(in, it->value, native);
    }
    return fail(in, PROBLEM_STRUCTURE, "unknown_field", "Unknown field");
}

static bool read_native(struct ingest *in, struct json_value record, int kind,
                        struct native *native)
{
    native->time_ms = in->rules->now_ms;
    if (!json_is(record, JSON_OBJECT))
        return fail(in, PROBLEM_KIND, "record_invalid", "A record is an object");
    for (struct json_iter it = json_members(record); json_next(&it);) {
        path_push(in, it.key, 0);
        if (!read_field(in, &it, kind, native))
            return false;
        path_pop(in);
    }
    const struct who *who = &native->who;
    if (!who->identity.len && !who->device.len && !who->email.len && !who->phone.len)
        return fail(in, PROBLEM_IDENTITY, "identity_missing",
                    "One of identity, device_id, email, phone is mandatory");
    return true;
}

static bool end_record(struct ingest *in, bool is_fine)
{
    if (is_fine)
        command_end(in->writer);
    else
        command_abandon(in->writer);
    return is_fine;
}

/* --- records ------------------------------------------------------------------------------- */

bool native_event(struct ingest *in, struct json_value record)
{
    struct native native = { 0 };
    if (!read_native(in, record, EVENT, &native))
        return false;
    if (!native.event.ptr)
        return fail_at(in, "event", PROBLEM_EVENT_NAME, "event_missing", "event is mandatory");

    command_begin(in->writer, COMMAND_EVENT, native.time_ms);
    put_who(in, &native.who);
    command_name(in->writer, native.event, false);
    command_event_id(in->writer, native.event_id);
    if (!native.properties.tape || !json_is(native.properties, JSON_OBJECT))
        return end_record(in, true);
    path_push(in, BYTES("properties"), 0);
    return end_record(in, put_event_properties(in, native.properties));
}

bool native_profile(struct ingest *in, struct json_value record)
{
    struct native native = { 0 };
    struct profile_keys keys = { 0 };
    if (!read_native(in, record, PROFILE, &native))
        return false;
    if (!native.properties.tape)
        return fail_at(in, "properties", PROBLEM_STRUCTURE, "properties_missing",
                       "properties is mandatory");

    command_begin(in->writer, COMMAND_PROFILE, native.time_ms);
    path_push(in, BYTES("properties"), 0);
    if (!put_profile_properties(in, native.properties, &keys))
        return end_record(in, false);
    if (!native.who.email.len)
        native.who.email = keys.email;
    if (!native.who.phone.len)
        native.who.phone = keys.phone;
    put_who(in, &native.who);
    if (keys.identity.len && !bytes_equal(keys.identity, native.who.identity))
        command_ref(in->writer, REF_IDENTITY, keys.identity);
    return end_record(in, true);
}

bool native_identify(struct ingest *in, struct json_value record)
{
    struct native native = { 0 };
    if (!read_native(in, record, IDENTIFY, &native))
        return false;
    const struct who *who = &native.who;
    if (!who->device.len)
        return fail_at(in, "device_id", PROBLEM_DEVICE, "device_missing", "device_id is mandatory");
    if (!who->identity.len && !who->email.len && !who->phone.len)
        return fail(in, PROBLEM_IDENTITY, "identity_missing",
                    "One of identity, email, phone is mandatory");
    command_begin(in->writer, COMMAND_IDENTIFY, native.time_ms);
    put_who(in, who);
    return end_record(in, true);
}

/* --- requests ---------------------------------------------------------------------------------- */

static void one_record(struct ingest *in, record_fn *record, struct json_value value,
                       uint32_t index)
{
    begin_record(in, false);
    if (record(in, value))
        in->processed++;
    else
        keep_problem(in, index, (struct echo){ .value = value, .is_json = true });
}

static void refuse_json(struct ingest *in, const struct json_problem *problem,
                        struct ingest_result *result)
{
    bool is_long = strcmp(problem->what, "longer than the limit") == 0;
    in->is_out_of_memory |= strcmp(problem->what, "no memory") == 0;
    begin_record(in, false);
    refuse(in, is_long ? 413 : 400, is_long ? "body_too_large" : "malformed_json", problem->what,
           result);
    result->error_offset = problem->offset;
}

/* One record, an array of them, or an object whose member `plural` is that array. */
static void json_body(struct ingest *in, const char *plural, record_fn *record, struct bytes body,
                      struct ingest_result *result)
{
    struct json_value root;
    struct json_value records;
    struct json_problem problem;
    if (!parse_body(in, body, &root, &problem)) {
        refuse_json(in, &problem, result);
        return;
    }
    begin_record(in, false);
    records = root;
    if (json_find(root, bytes_from(plural), &records)) {
        for (struct json_iter it = json_members(root); json_next(&it);) {
            path_push(in, it.key, 0);
            if (!bytes_equal(it.key, bytes_from(plural))) {
                refuse(in, 400, "unknown_field", "Unknown field", result);
                return;
            }
            if (!json_is(it.value, JSON_ARRAY)) {
                refuse(in, 400, "body_invalid", "It isn't an array", result);
                return;
            }
            path_pop(in);
        }
    } else if (json_is(root, JSON_OBJECT)) {
        one_record(in, record, root, 0);
        answer(in, result);
        return;
    } else if (!json_is(root, JSON_ARRAY)) {
        refuse(in, 400, "body_invalid", "The body is an object or an array", result);
        return;
    }
    if (json_count(records) > INGEST_RECORDS_MAX) {
        refuse(in, 400, "too_many_records", "More than 10000 records in one request", result);
        return;
    }
    uint32_t index = 0;
    for (struct json_iter it = json_items(records); json_next(&it); index++)
        one_record(in, record, it.value, index);
    answer(in, result);
}

static struct bytes take_line(struct bytes *rest)
{
    const uint8_t *end = rest->len ? memchr(rest->ptr, '\n', rest->len) : NULL;
    size_t len = end ? (size_t)(end - rest->ptr) : rest->len;
    struct bytes line = bytes_of(rest->ptr, len);
    size_t taken = len + (end ? 1 : 0);
    *rest = bytes_of(rest->ptr + taken, rest->len - taken);
    if (line.len && line.ptr[line.len - 1] == '\r')
        line.len--;
    return line;
}

static bool is_blank(struct bytes line)
{
    for (size_t i = 0; i < line.len; i++) {
        if (line.ptr[i] != ' ' && line.ptr[i] != '\t')
            return false;
    }
    return true;
}

static void one_line(struct ingest *in, record_fn *record, struct bytes line, bool is_padded,
                     uint32_t index)
{
    struct json_value value;
    struct json_problem problem;
    begin_record(in, false);
    bool is_json = is_padded ? json_parse_padded(in->parser, line, &value, &problem)
                             : json_parse(in->parser, line, &value, &problem);
    if (is_json && record(in, value)) {
        in->processed++;
        return;
    }
    if (!is_json) {
        in->is_out_of_memory |= strcmp(problem.what, "no memory") == 0;
        (void)fail(in, PROBLEM_STRUCTURE, "malformed_json", "%s, at byte %zu of the line",
                   problem.what, problem.offset);
    }
    keep_problem(in, index, (struct echo){ .line = line, .is_json = is_json });
}

static void ndjson_body(struct ingest *in, record_fn *record, struct bytes body,
                        struct ingest_result *result)
{
    uint32_t count = 0;
    for (struct bytes rest = body; rest.len;)
        count += !is_blank(take_line(&rest));
    if (count > INGEST_RECORDS_MAX) {
        begin_record(in, false);
        refuse(in, 400, "too_many_records", "More than 10000 records in one request", result);
        return;
    }
    uint32_t index = 0;
    for (struct bytes rest = body; rest.len;) {
        struct bytes line = take_line(&rest);
        if (!is_blank(line))
            one_line(in, record, line, rest.len >= JSON_PADDING, index++);
    }
    answer(in, result);
}

static struct err request(struct ingest *in, const struct ingest_rules *rules,
                          enum ingest_format format, const char *plural, record_fn *record,
                          struct bytes body, struct command_writer *writer,
                          struct ingest_result *result_out)
{
    struct ingest_result result = { 0 };
    command_writer_reset(writer, rules->now_ms);
    begin_request(in, rules, FACE_NATIVE, writer);
    if (format == INGEST_NDJSON)
        ndjson_body(in, record, body, &result);
    else
        json_body(in, plural, record, body, &result);
    if (in->is_out_of_memory)
        return err_new(ERR_NOMEM, "ingest: request");
    *result_out = result;
    return ok();
}

struct err ingest_events(struct ingest *in, const struct ingest_rules *rules,
                         enum ingest_format format, struct bytes body,
                         struct command_writer *writer, struct ingest_result *result_out)
{
    return request(in, rules, format, "events", native_event, body, writer, result_out);
}

struct err ingest_profiles(struct ingest *in, const struct ingest_rules *rules,
                           enum ingest_format format, struct bytes body,
                           struct command_writer *writer, struct ingest_result *result_out)
{
    return request(in, rules, format, "profiles", native_profile, body, writer, result_out);
}

struct err ingest_identify(struct ingest *in, const struct ingest_rules *rules,
                           enum ingest_format format, struct bytes body,
                           struct command_writer *writer, struct ingest_result *result_out)
{
    return request(in, rules, format, "identify", native_identify, body, writer, result_out);
}

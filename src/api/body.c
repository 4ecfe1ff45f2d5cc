/* body.c - what a request carries: JSON with no unknown fields, and query parameters. */
#include "api/api_internal.h"

#include <stdio.h>
#include <stdlib.h>

bool call_json(struct call *call, struct json_value *root_out)
{
    struct json_problem problem;
    assert(call->parser);
    if (json_parse_padded(call->parser, call->request->body, root_out, &problem))
        return true;
    char details[80];
    (void)snprintf(details, sizeof details, "{\"position\":%zu}", problem.offset);
    char message[200];
    (void)snprintf(message, sizeof message, "the body isn't JSON: %s at byte %zu", problem.what,
                   problem.offset);
    call_fail_with(call, 400, "malformed", bytes_from(message), bytes_from(details));
    return false;
}

static void fail_at(struct call *call, struct bytes key, const char *what)
{
    struct buf details;
    struct buf pointer;
    buf_init(&details, 4096);
    buf_init(&pointer, 1024);
    buf_put(&pointer, BYTES("/"));
    buf_put(&pointer, bytes_slice(key, 0, 200));
    struct jsonw w = jsonw_of(&details);
    jsonw_object(&w);
    jsonw_key(&w, "pointer");
    jsonw_string(&w, buf_bytes(&pointer));
    jsonw_end_object(&w);
    char message[400];
    (void)snprintf(message, sizeof message, "%.*s: %s", (int)(key.len < 200 ? key.len : 200),
                   (const char *)key.ptr, what);
    call_fail_with(call, 422, "invalid", bytes_from(message), buf_bytes(&details));
    buf_done(&details);
    buf_done(&pointer);
}

static bool is_of_type(struct json_value value, enum field_type type)
{
    switch (type) {
    case FIELD_TEXT:
        return json_is(value, JSON_STRING);
    case FIELD_INT:
        return json_is(value, JSON_INT);
    case FIELD_BOOL:
        return json_is(value, JSON_TRUE) || json_is(value, JSON_FALSE);
    case FIELD_OBJECT:
        return json_is(value, JSON_OBJECT);
    case FIELD_ARRAY:
        return json_is(value, JSON_ARRAY);
    case FIELD_ANY:
        return true;
    }
    return false;
}

static const char *const type_words[] = { "must be a string",      "must be a whole number",
                                          "must be true or false", "must be an object",
                                          "must be a list",        "" };

static void take(const struct field *field, struct json_value value)
{
    if (field->has_out)
        *field->has_out = true;
    if (field->value_out)
        *field->value_out = value;
    if (field->type == FIELD_TEXT && field->text_out)
        *field->text_out = json_string(value);
    if (field->type == FIELD_INT && field->int_out)
        *field->int_out = json_int(value);
    if (field->type == FIELD_BOOL && field->bool_out)
        *field->bool_out = json_is(value, JSON_TRUE);
}

bool call_fields(struct call *call, struct json_value object, const struct field *fields,
                 size_t count)
{
    uint32_t seen = 0;
    if (!json_is(object, JSON_OBJECT)) {
        call_fail(call, 422, "invalid", "the body must be a JSON object");
        return false;
    }
    struct json_iter it = json_members(object);
    while (json_next(&it)) {
        size_t i = 0;
        while (i < count && !bytes_equal(it.key, bytes_from(fields[i].name)))
            i++;
        if (i == count) {
            fail_at(call, it.key, "there's no such field");
            return false;
        }
        if (seen >> i & 1) {
            fail_at(call, it.key, "is there twice");
            return false;
        }
        seen |= UINT32_C(1) << i;
        if (json_is(it.value, JSON_NULL) && !fields[i].is_required)
            continue;
        if (!is_of_type(it.value, fields[i].type)) {
            fail_at(call, it.key, type_words[fields[i].type]);
            return false;
        }
        take(&fields[i], it.value);
    }
    for (size_t i = 0; i < count; i++) {
        if (fields[i].is_required && !(seen >> i & 1)) {
            fail_at(call, bytes_from(fields[i].name), "is missing");
            return false;
        }
    }
    return true;
}

void put_json(struct jsonw *w, struct json_value value)
{
    struct json_iter it;
    switch (json_type(value)) {
    case JSON_NULL:
        jsonw_null(w);
        break;
    case JSON_FALSE:
    case JSON_TRUE:
        jsonw_bool(w, json_is(value, JSON_TRUE));
        break;
    case JSON_INT:
        jsonw_int(w, json_int(value));
        break;
    case JSON_UINT:
        jsonw_uint(w, json_uint(value));
        break;
    case JSON_REAL:
        jsonw_real(w, json_real(value));
        break;
    case JSON_STRING:
        jsonw_string(w, json_string(value));
        break;
    case JSON_ARRAY:
        jsonw_array(w);
        it = json_items(value);
        while (json_next(&it)) /* as deep as the parser's limit */
            put_json(w, it.value);
        jsonw_end_array(w);
        break;
    case JSON_OBJECT:
        jsonw_object(w);
        it = json_members(value);
        while (json_next(&it)) {
            jsonw_key_bytes(w, it.key);
            put_json(w, it.value);
        }
        jsonw_end_object(w);
        break;
    }
}

struct bytes call_query(struct call *call, const char *name)
{
    struct bytes value = bytes_of("", 0);
    (void)http_query(call->request, name, &value);
    return value;
}

bool call_int(struct call *call, const char *name, int64_t min, int64_t max, int64_t missing,
              int64_t *out)
{
    struct bytes text = call_query(call, name);
    if (!text.len) {
        *out = missing;
        return true;
    }
    int64_t value = 0;
    bool is_number = text.len <= 18;
    for (size_t i = 0; i < text.len && is_number; i++) {
        is_number = text.ptr[i] >= '0' && text.ptr[i] <= '9';
        value = value * 10 + (text.ptr[i] - '0');
    }
    if (!is_number || value < min || value > max) {
        call_fail(call, 400, "bad_parameter", "%s must be a number from %lld to %lld", name,
                  (long long)min, (long long)max);
        return false;
    }
    *out = value;
    return true;
}

struct account_actor call_actor(const struct call *call)
{
    return (struct account_actor){
        .kind = call->principal.kind == PRINCIPAL_PERSON ? "person" : "client",
        .id = call->principal.id,
        .remote = call->request->remote,
    };
}

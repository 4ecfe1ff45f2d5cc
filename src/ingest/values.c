/*
 * values.c - properties of events: this is the path that every event takes.
 *
 * A scalar is written as it is; "$D_<epoch>" is a time; null says nothing. An array of scalars is a
 * list of texts. An object is flattened: {"a":{"b":1}} is the property a.b. The array of objects
 * named Items holds the event's items, written behind its own properties.
 */
#include "ingest/ingest_internal.h"

#include "codec/jsonw.h"

#include <stdio.h>

bool joined_name(struct ingest *in, struct bytes prefix, struct bytes name, struct bytes *out)
{
    if (prefix.len + 1 + name.len > in->limits.name_bytes)
        return fail(in, PROBLEM_STRUCTURE, "property_invalid",
                    "A property's name is longer than %u bytes", in->limits.name_bytes);
    uint8_t *joined = arena_alloc(&in->arena, prefix.len + 1 + name.len);
    if (!joined) {
        in->is_out_of_memory = true;
        return false;
    }
    memcpy(joined, prefix.ptr, prefix.len);
    joined[prefix.len] = '.';
    if (name.len)
        memcpy(joined + prefix.len + 1, name.ptr, name.len);
    *out = bytes_of(joined, prefix.len + 1 + name.len);
    return true;
}

bool is_flattenable(struct ingest *in, uint32_t nesting)
{
    if (nesting < INGEST_NESTING_MAX)
        return true;
    return fail(in, PROBLEM_STRUCTURE, "property_invalid", "Objects are nested deeper than %d",
                (int)INGEST_NESTING_MAX);
}

static bool check_string(struct ingest *in, struct bytes text)
{
    if (text.len <= in->limits.string_bytes)
        return true;
    return fail(in, PROBLEM_STRUCTURE, "value_too_long", "A value is longer than %u bytes",
                in->limits.string_bytes);
}

bool scalar_value(struct ingest *in, struct json_value json, struct value *out, bool *has_out)
{
    int64_t time_ms;
    *has_out = true;
    switch (json_type(json)) {
    case JSON_STRING:
        *out = value_string(json_string(json));
        if (is_dollar_date(out->string) && dollar_date(out->string, &time_ms)) {
            *out = value_time(time_ms);
            return true;
        }
        return check_string(in, out->string);
    case JSON_INT:
        *out = value_int(json_int(json));
        return true;
    case JSON_UINT:
    case JSON_REAL:
        *out = value_real(json_real(json));
        return true;
    case JSON_TRUE:
    case JSON_FALSE:
        *out = value_bool(json_is(json, JSON_TRUE));
        return true;
    case JSON_NULL:
    case JSON_ARRAY:
    case JSON_OBJECT:
        break;
    }
    *has_out = false;
    return true;
}

/* A scalar as an item of a list. *has_out false: null. */
static bool item_text(struct ingest *in, struct json_value json, struct bytes *out, bool *has_out)
{
    char text[TEXT_MAX];
    *has_out = true;
    switch (json_type(json)) {
    case JSON_STRING:
        *out = json_string(json);
        return check_string(in, *out);
    case JSON_TRUE:
        *out = BYTES("true");
        return true;
    case JSON_FALSE:
        *out = BYTES("false");
        return true;
    case JSON_INT:
    case JSON_UINT:
        return id_text(in, json, out);
    case JSON_REAL:
        *out = arena_copy(&in->arena, bytes_of(text, real_to_text(json_real(json), text)));
        in->is_out_of_memory |= !out->ptr;
        return out->ptr != NULL;
    case JSON_NULL:
        *has_out = false;
        return true;
    case JSON_ARRAY:
    case JSON_OBJECT:
        break;
    }
    return fail(in, PROBLEM_STRUCTURE, "value_invalid", "A list holds texts, numbers and booleans");
}

bool list_value(struct ingest *in, struct json_value array, uint32_t max, struct value *out)
{
    size_t count = json_count(array);
    if (count > max)
        return fail(in, PROBLEM_STRUCTURE, "list_too_long", "A list has more than %u items", max);
    struct bytes *items = arena_calloc(&in->arena, count, sizeof *items);
    if (!items) {
        in->is_out_of_memory = true;
        return false;
    }
    uint32_t kept = 0;
    uint32_t index = 0;
    for (struct json_iter it = json_items(array); json_next(&it); index++) {
        bool has = false;
        path_push(in, bytes_of(NULL, 0), index);
        if (!item_text(in, it.value, &items[kept], &has))
            return false;
        path_pop(in);
        kept += has;
    }
    *out = (struct value){ .type = VALUE_LIST, .count = kept, .items = items };
    return true;
}

static bool put_list(struct ingest *in, struct bytes name, struct json_value array)
{
    struct value value;
    if (!list_value(in, array, in->limits.list_items, &value))
        return false;
    if (value.count > 0)
        command_property(in->writer, name, PROPERTY_SET, &value);
    return true;
}

static bool is_items(struct bytes name, struct json_value value)
{
    if (name.len != 5 || memcmp(name.ptr, "Items", 5) != 0)
        return false;
    struct json_iter it = json_items(value);
    return json_next(&it) && json_is(it.value, JSON_OBJECT);
}

/* The members of an object, those of inner objects under prefixed names. `items_out` NULL: there are
 * no items here. */
static bool put_members(struct ingest *in, struct json_value object, struct bytes prefix,
                        uint32_t nesting, struct json_value *items_out)
{
    for (struct json_iter it = json_members(object); json_next(&it);) {
        struct bytes name = it.key;
        struct value value;
        bool has = false;
        path_push(in, it.key, 0);
        if (!check_property_name(in, it.key) ||
            (prefix.ptr && !joined_name(in, prefix, it.key, &name)))
            return false;
        if (!scalar_value(in, it.value, &value, &has))
            return false;
        if (has) {
            if (++in->property_count > in->limits.properties_per_event)
                return fail(in, PROBLEM_PROPERTIES, "too_many_properties",
                            "More than %u properties", in->limits.properties_per_event);
            command_property(in->writer, name, PROPERTY_SET, &value);
        } else if (json_is(it.value, JSON_OBJECT)) {
            if (!is_flattenable(in, nesting) || !put_members(in, it.value, name, nesting + 1, NULL))
                return false;
        } else if (json_is(it.value, JSON_ARRAY)) {
            if (items_out && is_items(name, it.value)) {
                if (items_out->tape)
                    return fail(in, PROBLEM_STRUCTURE, "property_twice", "Items are given twice");
                *items_out = it.value;
            } else if (++in->property_count > in->limits.properties_per_event) {
                return fail(in, PROBLEM_PROPERTIES, "too_many_properties",
                            "More than %u properties", in->limits.properties_per_event);
            } else if (!put_list(in, name, it.value)) {
                return false;
            }
        }
        path_pop(in);
    }
    return true;
}

static bool put_items(struct ingest *in, struct json_value items)
{
    uint32_t index = 0;
    path_push(in, BYTES("Items"), 0);
    for (struct json_iter it = json_items(items); json_next(&it); index++) {
        if (index == in->limits.items_per_event)
            return fail(in, PROBLEM_PROPERTIES, "too_many_items", "More than %u items",
                        in->limits.items_per_event);
        path_push(in, bytes_of(NULL, 0), index);
        if (!json_is(it.value, JSON_OBJECT))
            return fail(in, PROBLEM_STRUCTURE, "value_invalid", "An item isn't an object");
        command_item(in->writer);
        in->property_count = 0;
        if (!put_members(in, it.value, bytes_of(NULL, 0), 0, NULL))
            return false;
        path_pop(in);
    }
    path_pop(in);
    return true;
}

bool put_event_properties(struct ingest *in, struct json_value object)
{
    struct json_value items = { 0 };
    if (!put_members(in, object, bytes_of(NULL, 0), 0, &items))
        return false;
    if (items.tape && !put_items(in, items))
        return false;
    if (command_has_twins(in->writer))
        return fail(in, PROBLEM_STRUCTURE, "property_twice", "A property is given twice");
    return true;
}

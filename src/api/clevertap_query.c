/*
 * clevertap_query.c - CleverTap's JSON query body → our tree.
 *
 * What it can say and we can't (where an event happened, the time of day, the device) is refused by
 * name: an answer that silently leaves a filter out would be wrong. Unknown members are refused for
 * the same reason.
 */
#include "api/clevertap.h"

#include <stdio.h>

enum { FILTERS_MAX = 64, SUBQUERIES_MAX = 32 };

void ct_put_text(struct buf *to, struct bytes text)
{
    struct jsonw w = jsonw_of(to);
    jsonw_string(&w, text);
}

static bool is_listed(struct bytes name, const char *known)
{
    while (*known) {
        size_t len = strcspn(known, " ");
        if (bytes_equal(name, bytes_of(known, len)))
            return true;
        known += len + (known[len] == ' ');
    }
    return false;
}

bool ct_only(struct call *call, struct json_value object, const char *known)
{
    if (!json_is(object, JSON_OBJECT)) {
        call_fail(call, 400, "bad_parameter", "an object is expected");
        return false;
    }
    struct json_iter it = json_members(object);
    while (json_next(&it)) {
        if (is_listed(it.key, known))
            continue;
        call_fail(call, 400, "bad_parameter", "%.*s can't be asked here",
                  (int)(it.key.len < 100 ? it.key.len : 100), (const char *)it.key.ptr);
        return false;
    }
    return true;
}

/* --- dates and events ------------------------------------------------------------------ */

static bool take_date(struct json_value json, char text[CT_DATE_SIZE], int32_t *day_out)
{
    if (!json_is(json, JSON_INT))
        return false;
    int64_t number = json_int(json);
    if (number < 10101 || number > 99991231)
        return false;
    struct civil_date date = { .year = (int)(number / 10000),
                               .month = (int)(number / 100 % 100),
                               .day = (int)(number % 100) };
    if (date.month < 1 || date.month > 12 || date.day < 1 || date.day > 31)
        return false;
    *day_out = civil_to_day(date);
    struct civil_date back = civil_from_day(*day_out);
    if (back.month != date.month || back.day != date.day)
        return false;
    (void)snprintf(text, CT_DATE_SIZE, "%04d-%02d-%02d", (int)(date.year % 10000), date.month % 100,
                   date.day % 100);
    return true;
}

static bool take_event(struct call *call, const struct catalog *catalog, struct json_value name,
                       struct ct_base *out)
{
    if (!json_is(name, JSON_STRING) || json_string(name).len == 0) {
        call_fail(call, 400, "bad_parameter", "event_name must be a string");
        return false;
    }
    out->event = json_string(name);
    if (bytes_equal(out->event, BYTES("-1"))) {
        out->is_any = true;
        return true;
    }
    uint32_t event = catalog_event_find(catalog, out->event, true);
    out->is_unknown = event == CATALOG_NONE;
    if (!out->is_unknown)
        out->event = catalog_event_name(catalog, event);
    return true;
}

bool ct_take_base(struct call *call, const struct catalog *catalog, struct json_value body,
                  bool needs_base, struct ct_base *out)
{
    struct json_value name;
    struct json_value from;
    struct json_value to;
    *out = (struct ct_base){ .is_any = false };
    bool has_name = json_find(body, BYTES("event_name"), &name);
    bool has_dates = json_find(body, BYTES("from"), &from) && json_find(body, BYTES("to"), &to);
    if (!has_name && !has_dates && !needs_base) {
        out->is_any = true;
        return true;
    }
    if (!has_name || !has_dates) {
        call_fail(call, 400, "bad_parameter", "event_name, from and to are needed");
        return false;
    }
    if (!take_date(from, out->from, &out->from_day) || !take_date(to, out->to, &out->to_day) ||
        out->from_day > out->to_day) {
        call_fail(call, 400, "bad_parameter", "from and to must be dates YYYYMMDD in order");
        return false;
    }
    return take_event(call, catalog, name, out);
}

void ct_put_span(const struct ct_base *base, struct buf *to)
{
    if (base->from[0])
        buf_printf(to, "{\"between\":[\"%s\",\"%s\"]}", base->from, base->to);
    else
        buf_put(to, BYTES("{\"in_last\":\"365d\"}"));
}

/* --- filters ------------------------------------------------------------------------------ */

static const struct {
    const char *theirs;
    const char *ours;
    bool is_negated;
    bool needs_value;
} operators[] = {
    { "equals", "eq", false, true },
    { "not_equals", "ne", false, true },
    { "contains", "contains", false, true },
    { "does_not_contain", "contains", true, true },
    { "exists", "exists", false, false },
    { "does_not_exist", "exists", true, false },
    { "greater_than", "gt", false, true },
    { "greater_than_equals", "ge", false, true },
    { "greater_than_equal_to", "ge", false, true },
    { "less_than", "lt", false, true },
    { "less_than_equals", "le", false, true },
    { "less_than_equal_to", "le", false, true },
    { "between", "between", false, true },
};
enum { OPERATORS = sizeof operators / sizeof operators[0] };

struct filter {
    const char *key; /* "property" or "profile" */
    struct bytes name;
    size_t op;
    struct json_value value;
    bool has_value;
};

static void put_one(const struct filter *f, const struct json_value *value, struct buf *to)
{
    struct jsonw w = jsonw_of(to);
    buf_printf(to, "{\"%s\":", f->key);
    ct_put_text(to, f->name);
    buf_printf(to, ",\"operator\":\"%s\"", operators[f->op].ours);
    if (value) {
        buf_put(to, BYTES(",\"value\":"));
        put_json(&w, *value);
    }
    buf_put(to, BYTES("}"));
}

/* "True" and "False" mean the booleans; a text of the same spelling counts too. */
static void put_value(const struct filter *f, struct json_value value, struct buf *to)
{
    struct bytes text = json_is(value, JSON_STRING) ? json_string(value) : bytes_of("", 0);
    bool is_true = bytes_equal(text, BYTES("True"));
    if ((!is_true && !bytes_equal(text, BYTES("False"))) ||
        strcmp(operators[f->op].ours, "eq") != 0) {
        put_one(f, &value, to);
        return;
    }
    buf_put(to, BYTES("{\"any\":["));
    put_one(f, &value, to);
    buf_printf(to, ",{\"%s\":", f->key);
    ct_put_text(to, f->name);
    buf_printf(to, ",\"operator\":\"eq\",\"value\":%s}]}", is_true ? "true" : "false");
}

/* A list of values means any of them. */
static void put_any_value(const struct filter *f, struct buf *to)
{
    if (!json_is(f->value, JSON_ARRAY) || strcmp(operators[f->op].ours, "between") == 0) {
        put_value(f, f->value, to);
        return;
    }
    bool is_first = true;
    struct json_iter it = json_items(f->value);
    buf_put(to, BYTES("{\"any\":["));
    while (json_next(&it)) {
        buf_put(to, is_first ? BYTES("") : BYTES(","));
        put_value(f, it.value, to);
        is_first = false;
    }
    buf_put(to, BYTES("]}"));
}

static bool take_filter(struct call *call, struct json_value json, struct filter *f)
{
    struct json_value name;
    struct json_value op;
    if (!ct_only(call, json, "name operator value"))
        return false;
    if (!json_find(json, BYTES("name"), &name) || !json_is(name, JSON_STRING)) {
        call_fail(call, 400, "bad_parameter", "a filter needs a name");
        return false;
    }
    f->name = json_string(name);
    f->has_value = json_find(json, BYTES("value"), &f->value);
    struct bytes word = BYTES("equals");
    if (json_find(json, BYTES("operator"), &op))
        word = json_is(op, JSON_STRING) ? json_string(op) : bytes_of("", 0);
    f->op = 0;
    while (f->op < OPERATORS && !bytes_equal(word, bytes_from(operators[f->op].theirs)))
        f->op++;
    if (f->op == OPERATORS) {
        call_fail(call, 400, "bad_parameter", "there's no operator %.*s",
                  (int)(word.len < 100 ? word.len : 100), (const char *)word.ptr);
        return false;
    }
    if (operators[f->op].needs_value && !f->has_value) {
        call_fail(call, 400, "bad_parameter", "the filter on %.*s needs a value",
                  (int)(f->name.len < 100 ? f->name.len : 100), (const char *)f->name.ptr);
        return false;
    }
    return true;
}

static bool put_filters(struct call *call, struct json_value list, const char *key, struct buf *to)
{
    if (!json_is(list, JSON_ARRAY) || json_count(list) > FILTERS_MAX) {
        call_fail(call, 400, "bad_parameter", "filters are a list of at most %d", FILTERS_MAX);
        return false;
    }
    struct json_iter it = json_items(list);
    while (json_next(&it)) {
        struct filter f = { .key = key };
        if (!take_filter(call, it.value, &f))
            return false;
        bool is_negated = operators[f.op].is_negated ||
                          (strcmp(operators[f.op].ours, "ne") == 0 && json_is(f.value, JSON_ARRAY));
        size_t op = f.op;
        if (is_negated && !operators[op].is_negated)
            f.op = 0; /* none of several: not any of them */
        buf_put(to, is_negated ? BYTES(",{\"not\":") : BYTES(","));
        if (operators[f.op].needs_value)
            put_any_value(&f, to);
        else
            put_one(&f, NULL, to);
        if (is_negated)
            buf_put(to, BYTES("}"));
    }
    return true;
}

bool ct_put_event_filters(struct call *call, struct json_value body, struct buf *to)
{
    struct json_value list;
    if (json_find(body, BYTES("session_properties"), &list)) {
        call_fail(call, 400, "bad_parameter",
                  "session_properties can't be asked: sessions and times of day aren't kept yet");
        return false;
    }
    return !json_find(body, BYTES("event_properties"), &list) ||
           put_filters(call, list, "property", to);
}

/* gender is the profile's own field Gender; the other demographics aren't kept. */
static bool put_demographics(struct call *call, struct json_value list, struct buf *to)
{
    struct json_iter it = json_items(list);
    while (json_is(list, JSON_ARRAY) && json_next(&it)) {
        struct json_value name;
        struct json_value value;
        if (!json_find(it.value, BYTES("name"), &name) || !json_is(name, JSON_STRING) ||
            !bytes_equal(json_string(name), BYTES("gender")) ||
            !json_find(it.value, BYTES("value"), &value)) {
            call_fail(call, 400, "bad_parameter", "of demographics only gender can be asked");
            return false;
        }
        struct filter f = { .key = "profile", .name = BYTES("Gender"), .value = value };
        buf_put(to, BYTES(","));
        put_any_value(&f, to);
    }
    return true;
}

bool ct_put_profile_filters(struct call *call, struct json_value body, struct buf *to)
{
    struct json_value common;
    struct json_value list;
    if (!json_find(body, BYTES("common_profile_properties"), &common))
        return true;
    if (!ct_only(call, common, "profile_fields demographics"))
        return false;
    if (json_find(common, BYTES("profile_fields"), &list) &&
        !put_filters(call, list, "profile", to))
        return false;
    return !json_find(common, BYTES("demographics"), &list) || put_demographics(call, list, to);
}

bool ct_put_where(struct call *call, struct json_value body, const struct ct_base *base,
                  struct buf *to)
{
    struct json_value advanced;
    if (json_find(body, BYTES("advanced_query"), &advanced)) {
        call_fail(call, 400, "bad_parameter",
                  "advanced_query counts people: ask /1/counts/profiles.json");
        return false;
    }
    buf_put(to, BYTES("{\"all\":["));
    if (base->is_any) {
        buf_put(to, BYTES("{\"all\":[]}"));
    } else {
        buf_put(to, BYTES("{\"event\":"));
        ct_put_text(to, base->event);
        buf_put(to, BYTES("}"));
    }
    if (!ct_put_event_filters(call, body, to) || !ct_put_profile_filters(call, body, to))
        return false;
    buf_put(to, BYTES("]}"));
    return true;
}

/* --- conditions on users -------------------------------------------------------------------- */

static bool put_did(struct call *call, struct json_value body, const struct ct_base *base,
                    struct buf *to)
{
    struct buf filters;
    buf_init(&filters, 1 << 20);
    bool is_good = ct_put_event_filters(call, body, &filters);
    if (is_good) {
        buf_put(to, base->is_any ? BYTES("{\"any_event\":true") : BYTES("{\"event\":"));
        if (!base->is_any)
            ct_put_text(to, base->event);
        if (filters.len) {
            buf_put(to, BYTES(",\"where\":{\"all\":["));
            buf_put(to, bytes_slice(buf_bytes(&filters), 1, SIZE_MAX)); /* without its comma */
            buf_put(to, BYTES("]}"));
        }
        buf_put(to, BYTES(",\"time\":"));
        ct_put_span(base, to);
        buf_put(to, BYTES("}"));
    }
    buf_done(&filters);
    return is_good;
}

static bool put_subqueries(struct call *call, const struct catalog *catalog, struct json_value list,
                           bool is_negated, struct buf *to)
{
    if (!json_is(list, JSON_ARRAY) || json_count(list) > SUBQUERIES_MAX) {
        call_fail(call, 400, "bad_parameter", "sub-queries are a list of at most %d",
                  SUBQUERIES_MAX);
        return false;
    }
    struct json_iter it = json_items(list);
    while (json_next(&it)) {
        struct ct_base base;
        if (!ct_only(call, it.value, "event_name from to event_properties session_properties") ||
            !ct_take_base(call, catalog, it.value, true, &base))
            return false;
        buf_put(to, is_negated ? BYTES(",{\"not\":") : BYTES(","));
        if (!put_did(call, it.value, &base, to))
            return false;
        if (is_negated)
            buf_put(to, BYTES("}"));
    }
    return true;
}

bool ct_put_condition(struct call *call, const struct catalog *catalog, struct json_value body,
                      const struct ct_base *base, struct buf *to)
{
    struct json_value advanced;
    struct json_value list;
    if (!ct_only(call, body,
                 "event_name from to event_properties session_properties "
                 "common_profile_properties advanced_query"))
        return false;
    buf_put(to, BYTES("{\"all\":["));
    if (!put_did(call, body, base, to) || !ct_put_profile_filters(call, body, to))
        return false;
    if (json_find(body, BYTES("advanced_query"), &advanced)) {
        if (!ct_only(call, advanced, "did_all did_not_all"))
            return false;
        if (json_find(advanced, BYTES("did_all"), &list) &&
            !put_subqueries(call, catalog, list, false, to))
            return false;
        if (json_find(advanced, BYTES("did_not_all"), &list) &&
            !put_subqueries(call, catalog, list, true, to))
            return false;
    }
    buf_put(to, BYTES("]}"));
    return true;
}

/* json_parts.c - the parts of a JSON question: plain values, times, filters, conditions, steps. */
#include "query/json_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* --- failures ------------------------------------------------------------------------- */

static void put_pointer(struct buf *to, const struct at *at)
{
    if (!at || !at->parent)
        return;
    put_pointer(to, at->parent);
    buf_put_u8(to, '/');
    if (!at->key.ptr) {
        buf_printf(to, "%u", at->index);
        return;
    }
    for (size_t i = 0; i < at->key.len; i++) {
        if (at->key.ptr[i] == '~')
            buf_put(to, BYTES("~0"));
        else if (at->key.ptr[i] == '/')
            buf_put(to, BYTES("~1"));
        else
            buf_put_u8(to, at->key.ptr[i]);
    }
}

static struct bytes pointer_of(struct input *in, const struct at *at)
{
    struct buf buf;
    buf_init(&buf, 1 << 16);
    put_pointer(&buf, at);
    struct bytes pointer = arena_copy(in->arena, buf_bytes(&buf));
    buf_done(&buf);
    return pointer;
}

bool in_no_memory(struct input *in)
{
    in->failed = ERR_NOMEM;
    return false;
}

bool in_wrong(struct input *in, const struct at *at, const char *format, ...)
{
    if (in->failed)
        return false;

    char text[512];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    *in->problem = (struct query_problem){ .line = 1, .column = 1 };
    in->problem->message = arena_copy(in->arena, bytes_from(text));
    in->problem->pointer = pointer_of(in, at);
    if (!in->problem->message.ptr)
        return in_no_memory(in);
    in->failed = ERR_INVALID;
    return false;
}

bool in_place_of(struct input *in, const struct at *at, struct place *out)
{
    *out = (struct place){ .pointer = pointer_of(in, at) };
    if (!out->pointer.ptr)
        return in_no_memory(in);
    return ++in->nodes <= TREE_NODES_MAX * 4 ||
           in_wrong(in, at, "the question has more than %d parts", TREE_NODES_MAX);
}

struct at in_member_at(const struct at *parent, const char *key)
{
    return (struct at){ .parent = parent, .key = bytes_from(key) };
}

/* --- plain values ----------------------------------------------------------------------- */

bool in_need_object(struct input *in, const struct at *at, struct json_value json)
{
    return json_is(json, JSON_OBJECT) || in_wrong(in, at, "this must be an object");
}

/* Refuses members that aren't in `known`, a list that ends with NULL. */
bool in_only(struct input *in, const struct at *at, struct json_value object,
             const char *const *known)
{
    struct json_iter it = json_members(object);
    while (json_next(&it)) {
        const char *nearest = NULL;
        size_t best = 3;
        bool is_known = false;
        for (const char *const *name = known; *name && !is_known; name++) {
            is_known = bytes_equal(it.key, bytes_from(*name));
            size_t distance = text_distance(it.key, bytes_from(*name), 2);
            if (distance < best) {
                best = distance;
                nearest = *name;
            }
        }
        if (is_known)
            continue;
        struct at member = { .parent = at, .key = it.key };
        if (!it.key.ptr)
            member.key = BYTES("");
        (void)in_wrong(in, &member, "there's no member \"%.*s\" here",
                       (int)(it.key.len < 60 ? it.key.len : 60), (const char *)it.key.ptr);
        if (nearest && in->failed == ERR_INVALID)
            in->problem->suggestion = bytes_from(nearest);
        return false;
    }
    return true;
}

/* A member that isn't null. */
bool in_has(struct json_value object, const char *key, struct json_value *out)
{
    return json_find(object, bytes_from(key), out) && !json_is(*out, JSON_NULL);
}

bool in_read_text(struct input *in, const struct at *at, struct json_value json, struct bytes *out)
{
    if (!json_is(json, JSON_STRING))
        return in_wrong(in, at, "this must be a text");
    struct bytes text = json_string(json);
    if (text.len > TREE_TEXT_MAX)
        return in_wrong(in, at, "this text is longer than %d bytes", TREE_TEXT_MAX);
    *out = arena_copy(in->arena, text);
    return out->ptr ? true : in_no_memory(in);
}

bool in_read_name(struct input *in, const struct at *at, struct json_value json, struct name *out)
{
    if (!in_read_text(in, at, json, &out->text) || !in_place_of(in, at, &out->at))
        return false;
    return out->text.len > 0 || in_wrong(in, at, "a name can't be empty");
}

bool in_read_flag(struct input *in, const struct at *parent, struct json_value object,
                  const char *key, bool *out)
{
    struct json_value json;
    struct at at = in_member_at(parent, key);

    *out = false;
    if (!in_has(object, key, &json))
        return true;
    *out = json_is(json, JSON_TRUE);
    return *out || json_is(json, JSON_FALSE) || in_wrong(in, &at, "this must be true or false");
}

bool in_is_number(struct json_value json)
{
    return json_is(json, JSON_INT) || json_is(json, JSON_UINT) || json_is(json, JSON_REAL);
}

bool in_read_number(struct input *in, const struct at *at, struct json_value json, double *out)
{
    if (!in_is_number(json))
        return in_wrong(in, at, "this must be a number");
    *out = json_real(json);
    return true;
}

bool in_read_count(struct input *in, const struct at *at, struct json_value json, uint64_t min,
                   uint64_t max, uint64_t *out)
{
    if (!json_is(json, JSON_INT) || json_int(json) < 0 || (uint64_t)json_int(json) < min ||
        (uint64_t)json_int(json) > max)
        return in_wrong(in, at, "this must be a whole number from %llu to %llu",
                        (unsigned long long)min, (unsigned long long)max);
    *out = (uint64_t)json_int(json);
    return true;
}

/* One of the words, a list that ends with NULL. */
bool in_read_word(struct input *in, const struct at *at, struct json_value json,
                  const char *const *words, uint32_t *which_out)
{
    char all[256] = { 0 };
    size_t used = 0;

    for (uint32_t i = 0; words[i]; i++) {
        if (json_is(json, JSON_STRING) && bytes_equal(json_string(json), bytes_from(words[i]))) {
            *which_out = i;
            return true;
        }
        if (used + strlen(words[i]) + 8 < sizeof all) {
            int wrote =
                snprintf(all + used, sizeof all - used, "%s\"%s\"", i ? ", " : "", words[i]);
            used += wrote > 0 ? (size_t)wrote : 0;
        }
    }
    return in_wrong(in, at, "this must be one of %s", all);
}

/* A member that's one of the words; absent: 0, the first. */
bool in_word_member(struct input *in, const struct at *parent, struct json_value object,
                    const char *key, const char *const *words, uint32_t *which_out)
{
    struct json_value json;
    struct at at = in_member_at(parent, key);

    *which_out = 0;
    return !in_has(object, key, &json) || in_read_word(in, &at, json, words, which_out);
}

/* An array's length, checked. */
bool in_read_array(struct input *in, const struct at *at, struct json_value json, size_t min,
                   size_t max, uint32_t *count_out)
{
    if (!json_is(json, JSON_ARRAY))
        return in_wrong(in, at, "this must be a list");
    size_t count = json_count(json);
    if (count < min || count > max)
        return in_wrong(in, at, "this list must have from %zu to %zu items", min, max);
    *count_out = (uint32_t)count;
    return true;
}

/* --- times --------------------------------------------------------------------------------- */

static bool read_duration_any(struct input *in, const struct at *at, struct json_value json,
                              struct duration *out)
{
    static const char *const UNITS[] = { "ms", "s", "m", "h", "d", "w", "mo", "y" };
    struct bytes text = json_is(json, JSON_STRING) ? json_string(json) : (struct bytes){ 0 };
    struct duration duration = { 0 };
    size_t digits = 0;

    while (digits < text.len && digits < 15 && text.ptr[digits] >= '0' && text.ptr[digits] <= '9')
        duration.count = duration.count * 10 + (text.ptr[digits++] - '0');
    for (int i = 0; digits > 0 && i < 8; i++) {
        if (!bytes_equal(bytes_slice(text, digits, text.len), bytes_from(UNITS[i])))
            continue;
        duration.unit = (enum duration_unit)i;
        if (!tree_duration_fits(duration))
            return in_wrong(in, at, "this is longer than 1000 years");
        *out = duration;
        return true;
    }
    return in_wrong(
        in, at,
        "this must be a duration such as \"500ms\", \"90s\", \"30m\", \"12h\", \"7d\" or "
        "\"2w\"");
}

bool in_read_duration(struct input *in, const struct at *at, struct json_value json,
                      struct duration *out)
{
    struct duration duration;
    if (!read_duration_any(in, at, json, &duration))
        return false;
    if (duration.unit >= DURATION_MONTH)
        return in_wrong(in, at, "months and years have no fixed length: say how many days");
    *out = duration;
    return true;
}

static const char *const UNIT_WORDS[] = { "minute", "hour",    "day",  "week",
                                          "month",  "quarter", "year", NULL };

static bool read_unit(struct input *in, const struct at *at, struct json_value json,
                      enum calendar_unit *out)
{
    uint32_t which;
    if (!in_read_word(in, at, json, UNIT_WORDS, &which))
        return false;
    *out = (enum calendar_unit)which;
    return true;
}

static bool read_when_text(struct input *in, const struct at *at, struct json_value json,
                           struct when *when)
{
    if (!in_read_text(in, at, json, &when->text))
        return false;
    when->kind = bytes_equal(when->text, BYTES("now"))         ? WHEN_NOW
                 : bytes_equal(when->text, BYTES("today"))     ? WHEN_TODAY
                 : bytes_equal(when->text, BYTES("yesterday")) ? WHEN_YESTERDAY
                                                               : WHEN_TEXT;
    if (when->kind == WHEN_TEXT && !tree_time_text_ok(when->text))
        return in_wrong(in, at,
                        "this must be a date or date-time such as \"2025-01-31\" or "
                        "\"2025-01-31T10:20:00Z\", \"now\", \"today\" or \"yesterday\"");
    return true;
}

bool in_read_when(struct input *in, const struct at *at, struct json_value json, struct when *out)
{
    static const char *const KNOWN[] = { "ago", "start_of", NULL };
    struct when when = { 0 };
    struct json_value member;

    if (!in_place_of(in, at, &when.at))
        return false;
    if (json_is(json, JSON_STRING)) {
        if (!read_when_text(in, at, json, &when))
            return false;
        *out = when;
        return true;
    }
    if (!json_is(json, JSON_OBJECT))
        return in_wrong(in, at,
                        "a time is a text (\"2025-01-31\", \"now\"), {\"ago\": \"30d\"} or "
                        "{\"start_of\": \"month\"}");
    if (!in_only(in, at, json, KNOWN))
        return false;
    if (in_has(json, "ago", &member)) {
        struct at ago = in_member_at(at, "ago");
        when.kind = WHEN_AGO;
        if (!read_duration_any(in, &ago, member, &when.ago))
            return false;
    } else if (in_has(json, "start_of", &member)) {
        struct at unit = in_member_at(at, "start_of");
        when.kind = WHEN_START_OF;
        if (!read_unit(in, &unit, member, &when.unit))
            return false;
    } else {
        return in_wrong(in, at, "a time needs \"ago\" or \"start_of\"");
    }
    *out = when;
    return true;
}

static bool read_between(struct input *in, const struct at *at, struct json_value json,
                         struct span *span)
{
    struct json_iter it = json_items(json);
    uint32_t count;

    span->kind = SPAN_BETWEEN;
    if (!in_read_array(in, at, json, 2, 2, &count))
        return false;
    for (uint32_t i = 0; json_next(&it); i++) {
        struct at item = { .parent = at, .index = i };
        if (!in_read_when(in, &item, it.value, i == 0 ? &span->since : &span->until))
            return false;
    }
    return true;
}

static bool read_span(struct input *in, const struct at *at, struct json_value json,
                      struct span *out)
{
    static const char *const KNOWN[] = { "since", "until", "between", "in_last", "this", NULL };
    struct span span = { 0 };
    struct json_value member;

    if (!in_need_object(in, at, json) || !in_only(in, at, json, KNOWN) ||
        !in_place_of(in, at, &span.at))
        return false;
    if (in_has(json, "between", &member)) {
        struct at between = in_member_at(at, "between");
        if (!read_between(in, &between, member, &span))
            return false;
    } else if (in_has(json, "in_last", &member)) {
        struct at last = in_member_at(at, "in_last");
        span.kind = SPAN_IN_LAST;
        if (!in_read_duration(in, &last, member, &span.last))
            return false;
    } else if (in_has(json, "this", &member)) {
        struct at unit = in_member_at(at, "this");
        span.kind = SPAN_THIS;
        if (!read_unit(in, &unit, member, &span.unit))
            return false;
    } else {
        struct at since = in_member_at(at, "since");
        struct at until = in_member_at(at, "until");
        if (in_has(json, "since", &member) && !in_read_when(in, &since, member, &span.since))
            return false;
        if (in_has(json, "until", &member) && !in_read_when(in, &until, member, &span.until))
            return false;
        if (span.since.kind != WHEN_NONE || span.until.kind != WHEN_NONE)
            span.kind = SPAN_RANGE;
        *out = span;
        return true;
    }
    if (json_count(json) != 1)
        return in_wrong(in, at,
                        "a span is {\"since\", \"until\"} or one of \"between\", \"in_last\", "
                        "\"this\"");
    *out = span;
    return true;
}

bool in_span_member(struct input *in, const struct at *parent, struct json_value object,
                    const char *key, struct span *out)
{
    struct json_value json;
    struct at at = in_member_at(parent, key);
    return !in_has(object, key, &json) || read_span(in, &at, json, out);
}

/* --- comparisons ------------------------------------------------------------------------------ */

static bool read_value(struct input *in, const struct at *at, struct json_value json,
                       struct value *out)
{
    switch (json_type(json)) {
    case JSON_INT:
        *out = value_int(json_int(json));
        return true;
    case JSON_UINT:
    case JSON_REAL:
        *out = tree_number(json_real(json));
        return true;
    case JSON_TRUE:
    case JSON_FALSE:
        *out = value_bool(json_is(json, JSON_TRUE));
        return true;
    case JSON_STRING: {
        struct bytes text;
        if (!in_read_text(in, at, json, &text))
            return false;
        *out = value_string(text);
        return true;
    }
    default:
        return in_wrong(in, at, "a value is a text, a number, true or false");
    }
}

static bool read_values(struct input *in, const struct at *at, struct json_value json,
                        struct compare *compare)
{
    bool is_list = compare->op == OP_IN || compare->op == OP_BETWEEN;
    uint32_t count = 1;

    if (is_list && !in_read_array(in, at, json, compare->op == OP_IN ? 1 : 2,
                                  compare->op == OP_IN ? TREE_NAMES_MAX : 2, &count))
        return false;
    struct value *values = arena_calloc(in->arena, count, sizeof *values);
    if (!values)
        return in_no_memory(in);
    if (is_list) {
        struct json_iter it = json_items(json);
        for (uint32_t i = 0; json_next(&it); i++) {
            struct at item = { .parent = at, .index = i };
            if (!read_value(in, &item, it.value, &values[i]))
                return false;
        }
    } else if (!read_value(in, at, json, &values[0])) {
        return false;
    }
    compare->values = values;
    compare->value_count = count;
    const char *problem = tree_compare_problem(compare->op, values, count);
    return !problem || in_wrong(in, at, "%s", problem);
}

static bool read_compare(struct input *in, const struct at *at, struct json_value json,
                         const char *kind, struct compare *out)
{
    static const char *const OPS[] = { "eq",     "ne",      "lt",      "le",       "gt",
                                       "ge",     "between", "in",      "contains", "icontains",
                                       "starts", "ends",    "matches", "exists",   NULL };
    const char *known[] = { kind, "operator", "value", NULL };
    struct at name_at = in_member_at(at, kind);
    struct at op_at = in_member_at(at, "operator");
    struct at value_at = in_member_at(at, "value");
    struct json_value member;
    struct name name;
    uint32_t op = OP_EQ;

    if (!in_only(in, at, json, known) || !json_find(json, bytes_from(kind), &member) ||
        !in_read_name(in, &name_at, member, &name))
        return in_wrong(in, &name_at, "this must be a name");
    out->name = name.text;
    out->at = name.at;
    if (in_has(json, "operator", &member) && !in_read_word(in, &op_at, member, OPS, &op))
        return false;
    out->op = (enum compare_op)op;
    if (!in_place_of(in, &value_at, &out->values_at))
        return false;
    bool has_value = in_has(json, "value", &member);
    if (out->op == OP_EXISTS) /* builders send whatever stood in their value field */
        return !has_value || !json_is(member, JSON_FALSE) ||
               in_wrong(in, &value_at, "exists has no value: put \"not\" around it");
    return has_value ? read_values(in, &value_at, member, out)
                     : in_wrong(in, at, "this operator needs a \"value\"");
}

bool in_read_names(struct input *in, const struct at *at, struct json_value json, uint32_t max,
                   const struct name **out, uint32_t *count_out)
{
    struct json_iter it = json_items(json);
    if (!in_read_array(in, at, json, 1, max, count_out))
        return false;
    struct name *names = arena_calloc(in->arena, *count_out, sizeof *names);
    if (!names)
        return in_no_memory(in);
    for (uint32_t i = 0; json_next(&it); i++) {
        struct at item = { .parent = at, .index = i };
        if (!in_read_name(in, &item, it.value, &names[i]))
            return false;
    }
    *out = names;
    return true;
}

/* One name or a list of them. */
static bool read_one_or_names(struct input *in, const struct at *at, struct json_value json,
                              const struct name **out, uint32_t *count_out)
{
    if (!json_is(json, JSON_STRING))
        return in_read_names(in, at, json, TREE_NAMES_MAX, out, count_out);
    struct name *name = arena_calloc(in->arena, 1, sizeof *name);
    if (!name)
        return in_no_memory(in);
    *out = name;
    *count_out = 1;
    return in_read_name(in, at, json, name);
}

/* --- conditions ----------------------------------------------------------------------------------- */

static bool read_node(struct input *in, const struct at *at, struct json_value json, bool is_users,
                      const struct condition **out);

/* The root of a filter or condition: deeper than the limit is refused here. */
bool in_read_condition(struct input *in, const struct at *at, struct json_value json, bool is_users,
                       const struct condition **out)
{
    return read_node(in, at, json, is_users, out) &&
           (tree_condition_depth(*out) <= TREE_DEPTH_MAX ||
            in_wrong(in, at, "conditions are nested deeper than %d", TREE_DEPTH_MAX));
}

bool in_filter_member(struct input *in, const struct at *parent, struct json_value object,
                      const struct condition **out)
{
    struct json_value json;
    struct at at = in_member_at(parent, "where");
    return !in_has(object, "where", &json) || in_read_condition(in, &at, json, false, out);
}

bool in_read_step(struct input *in, const struct at *at, struct json_value json, struct step *out)
{
    static const char *const KNOWN[] = { "events", "any_event", "where", NULL };
    struct at events = in_member_at(at, "events");
    struct json_value member;
    struct step step = { 0 };

    if (!in_need_object(in, at, json) || !in_only(in, at, json, KNOWN) ||
        !in_place_of(in, at, &step.at) ||
        !in_read_flag(in, at, json, "any_event", &step.is_any_event) ||
        !in_filter_member(in, at, json, &step.where))
        return false;
    bool has_events = in_has(json, "events", &member);
    if (has_events == step.is_any_event)
        return in_wrong(in, at, "a step has either \"events\" or \"any_event\": true");
    if (has_events && !read_one_or_names(in, &events, member, &step.events, &step.event_count))
        return false;
    *out = step;
    return true;
}

bool in_read_steps(struct input *in, const struct at *at, struct json_value json,
                   const struct step **out, uint32_t *count_out)
{
    struct json_iter it = json_items(json);
    if (!in_read_array(in, at, json, 2, TREE_STEPS_MAX, count_out))
        return false;
    struct step *steps = arena_calloc(in->arena, *count_out, sizeof *steps);
    if (!steps)
        return in_no_memory(in);
    for (uint32_t i = 0; json_next(&it); i++) {
        struct at item = { .parent = at, .index = i };
        if (!in_read_step(in, &item, it.value, &steps[i]))
            return false;
    }
    *out = steps;
    return true;
}

bool in_within_member(struct input *in, const struct at *parent, struct json_value object,
                      struct duration *out)
{
    struct json_value json;
    struct at at = in_member_at(parent, "within");
    return in_has(object, "within", &json) ? in_read_duration(in, &at, json, out)
                                           : in_wrong(in, parent, "\"within\" is missing");
}

static bool did_numbers(struct input *in, const struct at *at, struct json_value json,
                        struct did *did)
{
    struct json_iter it = json_items(json);
    uint32_t count;

    if (did->op != OP_BETWEEN)
        return in_read_number(in, at, json, &did->number);
    if (!in_read_array(in, at, json, 2, 2, &count))
        return false;
    for (uint32_t i = 0; json_next(&it); i++) {
        struct at item = { .parent = at, .index = i };
        if (!in_read_number(in, &item, it.value, i == 0 ? &did->number : &did->number2))
            return false;
    }
    return true;
}

/* {"operator": "in_last", "value": "7d"}: the short form. */
static bool did_compare(struct input *in, const struct at *at, struct json_value json,
                        struct did *did)
{
    static const char *const OPS[] = { "eq", "ne",      "lt",      "le", "gt",
                                       "ge", "between", "in_last", NULL };
    struct at op_at = in_member_at(at, "operator");
    struct at value_at = in_member_at(at, "value");
    struct json_value op;
    struct json_value value;
    uint32_t which = OP_GE;
    bool has_op = in_has(json, "operator", &op);
    bool has_value = in_has(json, "value", &value);

    did->op = OP_GE;
    did->number = 1;
    if (has_op && !in_read_word(in, &op_at, op, OPS, &which))
        return false;
    if (has_op && !has_value)
        return in_wrong(in, at, "\"operator\" needs a \"value\"");
    if (which == 7) {
        if (did->time.kind != SPAN_ALL)
            return in_wrong(in, &op_at, "in_last is a time, and \"time\" is another");
        did->time.kind = SPAN_IN_LAST;
        return in_read_duration(in, &value_at, value, &did->time.last);
    }
    did->op = (enum compare_op)which;
    return !has_value || did_numbers(in, &value_at, value, did);
}

static bool did_occurrence(struct input *in, const struct at *parent, struct json_value object,
                           struct did *did)
{
    static const char *const WORDS[] = { "first", "last", NULL };
    struct at at = in_member_at(parent, "occurrence");
    struct json_value json;
    uint32_t which;
    uint64_t nth;

    if (!in_has(object, "occurrence", &json))
        return true;
    if (json_is(json, JSON_INT)) {
        if (!in_read_count(in, &at, json, 1, 1000000, &nth))
            return false;
        did->occurrence = OCCURRENCE_NTH;
        did->nth = (uint32_t)nth;
        return true;
    }
    if (!in_read_word(in, &at, json, WORDS, &which))
        return false;
    did->occurrence = which == 0 ? OCCURRENCE_FIRST : OCCURRENCE_LAST;
    return true;
}

static bool read_did(struct input *in, const struct at *at, struct json_value json, struct did *did)
{
    static const char *const KNOWN[] = { "event",      "any_event",       "where", "aggregate",
                                         "property",   "operator",        "value", "time",
                                         "occurrence", "including_never", NULL };
    static const char *const AGGREGATES[] = { "count", "days", "sum",      "avg", "avg_all",
                                              "min",   "max",  "distinct", NULL };
    struct at event = in_member_at(at, "event");
    struct at property = in_member_at(at, "property");
    struct json_value member;
    uint32_t aggregate;

    if (!in_only(in, at, json, KNOWN) || !in_place_of(in, at, &did->step.at) ||
        !in_read_flag(in, at, json, "any_event", &did->step.is_any_event) ||
        !in_filter_member(in, at, json, &did->step.where) ||
        !in_word_member(in, at, json, "aggregate", AGGREGATES, &aggregate) ||
        !in_span_member(in, at, json, "time", &did->time) || !did_compare(in, at, json, did) ||
        !did_occurrence(in, at, json, did) ||
        !in_read_flag(in, at, json, "including_never", &did->includes_never))
        return false;
    did->aggregate = (enum aggregate)aggregate;
    bool has_event = in_has(json, "event", &member);
    if (has_event == did->step.is_any_event)
        return in_wrong(in, at, "a condition has either \"event\" or \"any_event\": true");
    if (has_event &&
        !read_one_or_names(in, &event, member, &did->step.events, &did->step.event_count))
        return false;
    bool has_property = in_has(json, "property", &member);
    if (has_property != (did->aggregate >= AGGREGATE_SUM))
        return in_wrong(in, has_property ? &property : at,
                        has_property ? "count and days have no property"
                                     : "this aggregate needs a \"property\"");
    return !has_property || in_read_name(in, &property, member, &did->property);
}

static bool read_sequence(struct input *in, const struct at *at, struct json_value json,
                          struct sequence *sequence)
{
    static const char *const KNOWN[] = { "sequence", "within", "time", NULL };
    struct at steps = in_member_at(at, "sequence");
    struct json_value member;

    return in_only(in, at, json, KNOWN) &&
           (in_has(json, "sequence", &member) ||
            in_wrong(in, &steps, "this must be a list of steps")) &&
           in_read_steps(in, &steps, member, &sequence->steps, &sequence->step_count) &&
           in_within_member(in, at, json, &sequence->within) &&
           in_span_member(in, at, json, "time", &sequence->time);
}

static bool read_bucket(struct input *in, const struct at *at, struct json_value json,
                        struct condition *leaf)
{
    static const char *const KNOWN[] = { "bucket", NULL };
    struct at list = in_member_at(at, "bucket");
    struct json_value member;
    struct json_iter it;
    uint64_t ends[2] = { 0, 0 };
    uint32_t count;

    if (!in_only(in, at, json, KNOWN) || !in_has(json, "bucket", &member) ||
        !in_read_array(in, &list, member, 2, 2, &count))
        return in_wrong(in, &list, "a bucket is two numbers: the first and the last");
    it = json_items(member);
    for (uint32_t i = 0; json_next(&it); i++) {
        struct at item = { .parent = &list, .index = i };
        if (!in_read_count(in, &item, it.value, ends[0], TREE_BUCKETS - 1, &ends[i]))
            return false;
    }
    leaf->bucket_first = (uint32_t)ends[0];
    leaf->bucket_last = (uint32_t)ends[1];
    return true;
}

static bool read_joined(struct input *in, const struct at *at, struct json_value json,
                        bool is_users, enum condition_kind kind, const struct condition **out)
{
    const char *key = kind == COND_ALL ? "all" : "any";
    const char *known[] = { key, NULL };
    struct at list = in_member_at(at, key);
    struct json_value member;
    uint32_t count;

    if (!in_only(in, at, json, known) || !in_has(json, key, &member) ||
        !in_read_array(in, &list, member, 0, TREE_NODES_MAX, &count))
        return in_wrong(in, &list, "this must be a list of conditions");
    const struct condition **children = arena_calloc(in->arena, count, sizeof *children);
    if (!children)
        return in_no_memory(in);
    struct json_iter it = json_items(member);
    for (uint32_t i = 0; json_next(&it); i++) {
        struct at item = { .parent = &list, .index = i };
        if (!read_node(in, &item, it.value, is_users, &children[i]))
            return false;
    }
    *out = tree_join(in->arena, kind, children, count);
    return *out ? true : in_no_memory(in);
}

static bool read_not(struct input *in, const struct at *at, struct json_value json, bool is_users,
                     struct condition *leaf)
{
    static const char *const KNOWN[] = { "not", NULL };
    struct at child_at = in_member_at(at, "not");
    struct json_value member;
    const struct condition **children = arena_calloc(in->arena, 1, sizeof *children);

    if (!children)
        return in_no_memory(in);
    if (!in_only(in, at, json, KNOWN))
        return false;
    if (!in_has(json, "not", &member))
        return in_wrong(in, &child_at, "this must be a condition");
    leaf->kind = COND_NOT;
    leaf->children = children;
    leaf->child_count = 1;
    return read_node(in, &child_at, member, is_users, &children[0]);
}

static bool read_event_filter(struct input *in, const struct at *at, struct json_value json,
                              struct condition *leaf)
{
    static const char *const KNOWN[] = { "event", NULL };
    struct at event = in_member_at(at, "event");
    struct json_value member;

    leaf->kind = COND_EVENT;
    return in_only(in, at, json, KNOWN) &&
           (in_has(json, "event", &member) ||
            in_wrong(in, &event, "this must be the name of an event")) &&
           read_one_or_names(in, &event, member, &leaf->events, &leaf->event_count);
}

static bool read_leaf(struct input *in, const struct at *at, struct json_value json, bool is_users,
                      struct condition *leaf)
{
    struct json_value member;

    if (json_find(json, BYTES("not"), &member))
        return read_not(in, at, json, is_users, leaf);
    if (json_find(json, BYTES("profile"), &member)) {
        leaf->kind = COND_PROFILE;
        return read_compare(in, at, json, "profile", &leaf->compare);
    }
    if (!is_users && json_find(json, BYTES("event"), &member))
        return read_event_filter(in, at, json, leaf);
    if (!is_users && json_find(json, BYTES("property"), &member)) {
        leaf->kind = COND_PROPERTY;
        return read_compare(in, at, json, "property", &leaf->compare);
    }
    if (!is_users)
        return in_wrong(in, at,
                        "a filter is an object with \"all\", \"any\", \"not\", \"property\", "
                        "\"profile\" or \"event\"");
    if (json_find(json, BYTES("event"), &member) || json_find(json, BYTES("any_event"), &member)) {
        leaf->kind = COND_DID;
        return read_did(in, at, json, &leaf->did);
    }
    if (json_find(json, BYTES("property"), &member)) {
        leaf->kind = COND_PROFILE;
        return read_compare(in, at, json, "property", &leaf->compare);
    }
    if (json_find(json, BYTES("sequence"), &member)) {
        leaf->kind = COND_SEQUENCE;
        return read_sequence(in, at, json, &leaf->sequence);
    }
    if (json_find(json, BYTES("bucket"), &member)) {
        leaf->kind = COND_BUCKET;
        return read_bucket(in, at, json, leaf);
    }
    return in_wrong(in, at,
                    "a condition is an object with \"all\", \"any\", \"not\", \"property\", "
                    "\"event\", \"sequence\" or \"bucket\"");
}

static bool read_node(struct input *in, const struct at *at, struct json_value json, bool is_users,
                      const struct condition **out)
{
    struct json_value member;
    bool is_good;

    if (!in_need_object(in, at, json))
        return false;
    if (++in->depth > RECURSION_MAX)
        return in_wrong(in, at, "conditions are nested deeper than %d", TREE_DEPTH_MAX);
    if (json_find(json, BYTES("all"), &member)) {
        is_good = read_joined(in, at, json, is_users, COND_ALL, out);
    } else if (json_find(json, BYTES("any"), &member)) {
        is_good = read_joined(in, at, json, is_users, COND_ANY, out);
    } else {
        struct condition *leaf = arena_calloc(in->arena, 1, sizeof *leaf);
        if (!leaf)
            return in_no_memory(in);
        *out = leaf;
        is_good = in_place_of(in, at, &leaf->at) && read_leaf(in, at, json, is_users, leaf);
    }
    in->depth--;
    return is_good;
}

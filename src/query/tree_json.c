/*
 * tree_json.c - a tree from JSON. The members are in docs/query.md.
 *
 * What isn't known is refused, with a JSON pointer to it: a misspelt option that is passed over
 * would change an answer and nobody would see it.
 */
#include "query/pattern.h"
#include "query/tree.h"

#include <stdio.h>
#include <stdlib.h>

enum { RECURSION_MAX = 2 * TREE_DEPTH_MAX + 8 };

/* Where a value stands: the way back to the root. */
struct at {
    const struct at *parent;
    struct bytes key; /* of a member; ptr NULL: item number `index` */
    uint32_t index;
};

struct input {
    struct arena *arena;
    struct query_problem *problem;
    enum err_code failed;
    uint32_t nodes;
    uint32_t depth;
};

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

static bool no_memory(struct input *in)
{
    in->failed = ERR_NOMEM;
    return false;
}

__attribute__((format(printf, 3, 4))) static bool wrong(struct input *in, const struct at *at,
                                                        const char *format, ...)
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
        return no_memory(in);
    in->failed = ERR_INVALID;
    return false;
}

static bool place_of(struct input *in, const struct at *at, struct place *out)
{
    *out = (struct place){ .pointer = pointer_of(in, at) };
    if (!out->pointer.ptr)
        return no_memory(in);
    return ++in->nodes <= TREE_NODES_MAX * 4 ||
           wrong(in, at, "the question has more than %d parts", TREE_NODES_MAX);
}

static struct at member_at(const struct at *parent, const char *key)
{
    return (struct at){ .parent = parent, .key = bytes_from(key) };
}

/* --- plain values ----------------------------------------------------------------------- */

static bool need_object(struct input *in, const struct at *at, struct json_value json)
{
    return json_is(json, JSON_OBJECT) || wrong(in, at, "this must be an object");
}

/* Refuses members that aren't in `known`, a list that ends with NULL. */
static bool only(struct input *in, const struct at *at, struct json_value object,
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
        (void)wrong(in, &member, "there's no member \"%.*s\" here",
                    (int)(it.key.len < 60 ? it.key.len : 60), (const char *)it.key.ptr);
        if (nearest && in->failed == ERR_INVALID)
            in->problem->suggestion = bytes_from(nearest);
        return false;
    }
    return true;
}

/* A member that isn't null. */
static bool has(struct json_value object, const char *key, struct json_value *out)
{
    return json_find(object, bytes_from(key), out) && !json_is(*out, JSON_NULL);
}

static bool read_text(struct input *in, const struct at *at, struct json_value json,
                      struct bytes *out)
{
    if (!json_is(json, JSON_STRING))
        return wrong(in, at, "this must be a text");
    struct bytes text = json_string(json);
    if (text.len > TREE_TEXT_MAX)
        return wrong(in, at, "this text is longer than %d bytes", TREE_TEXT_MAX);
    *out = arena_copy(in->arena, text);
    return out->ptr ? true : no_memory(in);
}

static bool read_name(struct input *in, const struct at *at, struct json_value json,
                      struct name *out)
{
    if (!read_text(in, at, json, &out->text) || !place_of(in, at, &out->at))
        return false;
    return out->text.len > 0 || wrong(in, at, "a name can't be empty");
}

static bool read_flag(struct input *in, const struct at *parent, struct json_value object,
                      const char *key, bool *out)
{
    struct json_value json;
    struct at at = member_at(parent, key);

    *out = false;
    if (!has(object, key, &json))
        return true;
    *out = json_is(json, JSON_TRUE);
    return *out || json_is(json, JSON_FALSE) || wrong(in, &at, "this must be true or false");
}

static bool is_number(struct json_value json)
{
    return json_is(json, JSON_INT) || json_is(json, JSON_UINT) || json_is(json, JSON_REAL);
}

static bool read_number(struct input *in, const struct at *at, struct json_value json, double *out)
{
    if (!is_number(json))
        return wrong(in, at, "this must be a number");
    *out = json_real(json);
    return true;
}

static bool read_count(struct input *in, const struct at *at, struct json_value json, uint64_t min,
                       uint64_t max, uint64_t *out)
{
    if (!json_is(json, JSON_INT) || json_int(json) < 0 || (uint64_t)json_int(json) < min ||
        (uint64_t)json_int(json) > max)
        return wrong(in, at, "this must be a whole number from %llu to %llu",
                     (unsigned long long)min, (unsigned long long)max);
    *out = (uint64_t)json_int(json);
    return true;
}

/* One of the words, a list that ends with NULL. */
static bool read_word(struct input *in, const struct at *at, struct json_value json,
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
    return wrong(in, at, "this must be one of %s", all);
}

/* A member that's one of the words; absent: 0, the first. */
static bool word_member(struct input *in, const struct at *parent, struct json_value object,
                        const char *key, const char *const *words, uint32_t *which_out)
{
    struct json_value json;
    struct at at = member_at(parent, key);

    *which_out = 0;
    return !has(object, key, &json) || read_word(in, &at, json, words, which_out);
}

/* An array's length, checked. */
static bool read_array(struct input *in, const struct at *at, struct json_value json, size_t min,
                       size_t max, uint32_t *count_out)
{
    if (!json_is(json, JSON_ARRAY))
        return wrong(in, at, "this must be a list");
    size_t count = json_count(json);
    if (count < min || count > max)
        return wrong(in, at, "this list must have from %zu to %zu items", min, max);
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
            return wrong(in, at, "this is longer than 1000 years");
        *out = duration;
        return true;
    }
    return wrong(in, at,
                 "this must be a duration such as \"500ms\", \"90s\", \"30m\", \"12h\", \"7d\" or "
                 "\"2w\"");
}

static bool read_duration(struct input *in, const struct at *at, struct json_value json,
                          struct duration *out)
{
    struct duration duration;
    if (!read_duration_any(in, at, json, &duration))
        return false;
    if (duration.unit >= DURATION_MONTH)
        return wrong(in, at, "months and years have no fixed length: say how many days");
    *out = duration;
    return true;
}

static const char *const UNIT_WORDS[] = { "minute", "hour",    "day",  "week",
                                          "month",  "quarter", "year", NULL };

static bool read_unit(struct input *in, const struct at *at, struct json_value json,
                      enum calendar_unit *out)
{
    uint32_t which;
    if (!read_word(in, at, json, UNIT_WORDS, &which))
        return false;
    *out = (enum calendar_unit)which;
    return true;
}

static bool read_when_text(struct input *in, const struct at *at, struct json_value json,
                           struct when *when)
{
    if (!read_text(in, at, json, &when->text))
        return false;
    when->kind = bytes_equal(when->text, BYTES("now"))         ? WHEN_NOW
                 : bytes_equal(when->text, BYTES("today"))     ? WHEN_TODAY
                 : bytes_equal(when->text, BYTES("yesterday")) ? WHEN_YESTERDAY
                                                               : WHEN_TEXT;
    if (when->kind == WHEN_TEXT && !tree_time_text_ok(when->text))
        return wrong(in, at,
                     "this must be a date or date-time such as \"2025-01-31\" or "
                     "\"2025-01-31T10:20:00Z\", \"now\", \"today\" or \"yesterday\"");
    return true;
}

static bool read_when(struct input *in, const struct at *at, struct json_value json,
                      struct when *out)
{
    static const char *const KNOWN[] = { "ago", "start_of", NULL };
    struct when when = { 0 };
    struct json_value member;

    if (!place_of(in, at, &when.at))
        return false;
    if (json_is(json, JSON_STRING)) {
        if (!read_when_text(in, at, json, &when))
            return false;
        *out = when;
        return true;
    }
    if (!json_is(json, JSON_OBJECT))
        return wrong(in, at,
                     "a time is a text (\"2025-01-31\", \"now\"), {\"ago\": \"30d\"} or "
                     "{\"start_of\": \"month\"}");
    if (!only(in, at, json, KNOWN))
        return false;
    if (has(json, "ago", &member)) {
        struct at ago = member_at(at, "ago");
        when.kind = WHEN_AGO;
        if (!read_duration_any(in, &ago, member, &when.ago))
            return false;
    } else if (has(json, "start_of", &member)) {
        struct at unit = member_at(at, "start_of");
        when.kind = WHEN_START_OF;
        if (!read_unit(in, &unit, member, &when.unit))
            return false;
    } else {
        return wrong(in, at, "a time needs \"ago\" or \"start_of\"");
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
    if (!read_array(in, at, json, 2, 2, &count))
        return false;
    for (uint32_t i = 0; json_next(&it); i++) {
        struct at item = { .parent = at, .index = i };
        if (!read_when(in, &item, it.value, i == 0 ? &span->since : &span->until))
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

    if (!need_object(in, at, json) || !only(in, at, json, KNOWN) || !place_of(in, at, &span.at))
        return false;
    if (has(json, "between", &member)) {
        struct at between = member_at(at, "between");
        if (!read_between(in, &between, member, &span))
            return false;
    } else if (has(json, "in_last", &member)) {
        struct at last = member_at(at, "in_last");
        span.kind = SPAN_IN_LAST;
        if (!read_duration(in, &last, member, &span.last))
            return false;
    } else if (has(json, "this", &member)) {
        struct at unit = member_at(at, "this");
        span.kind = SPAN_THIS;
        if (!read_unit(in, &unit, member, &span.unit))
            return false;
    } else {
        struct at since = member_at(at, "since");
        struct at until = member_at(at, "until");
        if (has(json, "since", &member) && !read_when(in, &since, member, &span.since))
            return false;
        if (has(json, "until", &member) && !read_when(in, &until, member, &span.until))
            return false;
        if (span.since.kind != WHEN_NONE || span.until.kind != WHEN_NONE)
            span.kind = SPAN_RANGE;
        *out = span;
        return true;
    }
    if (json_count(json) != 1)
        return wrong(in, at,
                     "a span is {\"since\", \"until\"} or one of \"between\", \"in_last\", "
                     "\"this\"");
    *out = span;
    return true;
}

static bool span_member(struct input *in, const struct at *parent, struct json_value object,
                        const char *key, struct span *out)
{
    struct json_value json;
    struct at at = member_at(parent, key);
    return !has(object, key, &json) || read_span(in, &at, json, out);
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
        if (!read_text(in, at, json, &text))
            return false;
        *out = value_string(text);
        return true;
    }
    default:
        return wrong(in, at, "a value is a text, a number, true or false");
    }
}

static bool read_values(struct input *in, const struct at *at, struct json_value json,
                        struct compare *compare)
{
    bool is_list = compare->op == OP_IN || compare->op == OP_BETWEEN;
    uint32_t count = 1;

    if (is_list && !read_array(in, at, json, compare->op == OP_IN ? 1 : 2,
                               compare->op == OP_IN ? TREE_NAMES_MAX : 2, &count))
        return false;
    struct value *values = arena_calloc(in->arena, count, sizeof *values);
    if (!values)
        return no_memory(in);
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
    return !problem || wrong(in, at, "%s", problem);
}

static bool read_compare(struct input *in, const struct at *at, struct json_value json,
                         const char *kind, struct compare *out)
{
    static const char *const OPS[] = { "eq",     "ne",      "lt",      "le",       "gt",
                                       "ge",     "between", "in",      "contains", "icontains",
                                       "starts", "ends",    "matches", "exists",   NULL };
    const char *known[] = { kind, "operator", "value", NULL };
    struct at name_at = member_at(at, kind);
    struct at op_at = member_at(at, "operator");
    struct at value_at = member_at(at, "value");
    struct json_value member;
    struct name name;
    uint32_t op = OP_EQ;

    if (!only(in, at, json, known) || !json_find(json, bytes_from(kind), &member) ||
        !read_name(in, &name_at, member, &name))
        return wrong(in, &name_at, "this must be a name");
    out->name = name.text;
    out->at = name.at;
    if (has(json, "operator", &member) && !read_word(in, &op_at, member, OPS, &op))
        return false;
    out->op = (enum compare_op)op;
    if (!place_of(in, &value_at, &out->values_at))
        return false;
    bool has_value = has(json, "value", &member);
    if (out->op == OP_EXISTS) /* builders send whatever stood in their value field */
        return !has_value || !json_is(member, JSON_FALSE) ||
               wrong(in, &value_at, "exists has no value: put \"not\" around it");
    return has_value ? read_values(in, &value_at, member, out)
                     : wrong(in, at, "this operator needs a \"value\"");
}

static bool read_names(struct input *in, const struct at *at, struct json_value json, uint32_t max,
                       const struct name **out, uint32_t *count_out)
{
    struct json_iter it = json_items(json);
    if (!read_array(in, at, json, 1, max, count_out))
        return false;
    struct name *names = arena_calloc(in->arena, *count_out, sizeof *names);
    if (!names)
        return no_memory(in);
    for (uint32_t i = 0; json_next(&it); i++) {
        struct at item = { .parent = at, .index = i };
        if (!read_name(in, &item, it.value, &names[i]))
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
        return read_names(in, at, json, TREE_NAMES_MAX, out, count_out);
    struct name *name = arena_calloc(in->arena, 1, sizeof *name);
    if (!name)
        return no_memory(in);
    *out = name;
    *count_out = 1;
    return read_name(in, at, json, name);
}

/* --- conditions ----------------------------------------------------------------------------------- */

static bool read_node(struct input *in, const struct at *at, struct json_value json, bool is_users,
                      const struct condition **out);

/* The root of a filter or condition: deeper than the limit is refused here. */
static bool read_condition(struct input *in, const struct at *at, struct json_value json,
                           bool is_users, const struct condition **out)
{
    return read_node(in, at, json, is_users, out) &&
           (tree_condition_depth(*out) <= TREE_DEPTH_MAX ||
            wrong(in, at, "conditions are nested deeper than %d", TREE_DEPTH_MAX));
}

static bool filter_member(struct input *in, const struct at *parent, struct json_value object,
                          const struct condition **out)
{
    struct json_value json;
    struct at at = member_at(parent, "where");
    return !has(object, "where", &json) || read_condition(in, &at, json, false, out);
}

static bool read_step(struct input *in, const struct at *at, struct json_value json,
                      struct step *out)
{
    static const char *const KNOWN[] = { "events", "any_event", "where", NULL };
    struct at events = member_at(at, "events");
    struct json_value member;
    struct step step = { 0 };

    if (!need_object(in, at, json) || !only(in, at, json, KNOWN) || !place_of(in, at, &step.at) ||
        !read_flag(in, at, json, "any_event", &step.is_any_event) ||
        !filter_member(in, at, json, &step.where))
        return false;
    bool has_events = has(json, "events", &member);
    if (has_events == step.is_any_event)
        return wrong(in, at, "a step has either \"events\" or \"any_event\": true");
    if (has_events && !read_one_or_names(in, &events, member, &step.events, &step.event_count))
        return false;
    *out = step;
    return true;
}

static bool read_steps(struct input *in, const struct at *at, struct json_value json,
                       const struct step **out, uint32_t *count_out)
{
    struct json_iter it = json_items(json);
    if (!read_array(in, at, json, 2, TREE_STEPS_MAX, count_out))
        return false;
    struct step *steps = arena_calloc(in->arena, *count_out, sizeof *steps);
    if (!steps)
        return no_memory(in);
    for (uint32_t i = 0; json_next(&it); i++) {
        struct at item = { .parent = at, .index = i };
        if (!read_step(in, &item, it.value, &steps[i]))
            return false;
    }
    *out = steps;
    return true;
}

static bool within_member(struct input *in, const struct at *parent, struct json_value object,
                          struct duration *out)
{
    struct json_value json;
    struct at at = member_at(parent, "within");
    return has(object, "within", &json) ? read_duration(in, &at, json, out)
                                        : wrong(in, parent, "\"within\" is missing");
}

static bool did_numbers(struct input *in, const struct at *at, struct json_value json,
                        struct did *did)
{
    struct json_iter it = json_items(json);
    uint32_t count;

    if (did->op != OP_BETWEEN)
        return read_number(in, at, json, &did->number);
    if (!read_array(in, at, json, 2, 2, &count))
        return false;
    for (uint32_t i = 0; json_next(&it); i++) {
        struct at item = { .parent = at, .index = i };
        if (!read_number(in, &item, it.value, i == 0 ? &did->number : &did->number2))
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
    struct at op_at = member_at(at, "operator");
    struct at value_at = member_at(at, "value");
    struct json_value op;
    struct json_value value;
    uint32_t which = OP_GE;
    bool has_op = has(json, "operator", &op);
    bool has_value = has(json, "value", &value);

    did->op = OP_GE;
    did->number = 1;
    if (has_op && !read_word(in, &op_at, op, OPS, &which))
        return false;
    if (has_op && !has_value)
        return wrong(in, at, "\"operator\" needs a \"value\"");
    if (which == 7) {
        if (did->time.kind != SPAN_ALL)
            return wrong(in, &op_at, "in_last is a time, and \"time\" is another");
        did->time.kind = SPAN_IN_LAST;
        return read_duration(in, &value_at, value, &did->time.last);
    }
    did->op = (enum compare_op)which;
    return !has_value || did_numbers(in, &value_at, value, did);
}

static bool did_occurrence(struct input *in, const struct at *parent, struct json_value object,
                           struct did *did)
{
    static const char *const WORDS[] = { "first", "last", NULL };
    struct at at = member_at(parent, "occurrence");
    struct json_value json;
    uint32_t which;
    uint64_t nth;

    if (!has(object, "occurrence", &json))
        return true;
    if (json_is(json, JSON_INT)) {
        if (!read_count(in, &at, json, 1, 1000000, &nth))
            return false;
        did->occurrence = OCCURRENCE_NTH;
        did->nth = (uint32_t)nth;
        return true;
    }
    if (!read_word(in, &at, json, WORDS, &which))
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
    struct at event = member_at(at, "event");
    struct at property = member_at(at, "property");
    struct json_value member;
    uint32_t aggregate;

    if (!only(in, at, json, KNOWN) || !place_of(in, at, &did->step.at) ||
        !read_flag(in, at, json, "any_event", &did->step.is_any_event) ||
        !filter_member(in, at, json, &did->step.where) ||
        !word_member(in, at, json, "aggregate", AGGREGATES, &aggregate) ||
        !span_member(in, at, json, "time", &did->time) || !did_compare(in, at, json, did) ||
        !did_occurrence(in, at, json, did) ||
        !read_flag(in, at, json, "including_never", &did->includes_never))
        return false;
    did->aggregate = (enum aggregate)aggregate;
    bool has_event = has(json, "event", &member);
    if (has_event == did->step.is_any_event)
        return wrong(in, at, "a condition has either \"event\" or \"any_event\": true");
    if (has_event &&
        !read_one_or_names(in, &event, member, &did->step.events, &did->step.event_count))
        return false;
    bool has_property = has(json, "property", &member);
    if (has_property != (did->aggregate >= AGGREGATE_SUM))
        return wrong(in, has_property ? &property : at,
                     has_property ? "count and days have no property"
                                  : "this aggregate needs a \"property\"");
    return !has_property || read_name(in, &property, member, &did->property);
}

static bool read_sequence(struct input *in, const struct at *at, struct json_value json,
                          struct sequence *sequence)
{
    static const char *const KNOWN[] = { "sequence", "within", "time", NULL };
    struct at steps = member_at(at, "sequence");
    struct json_value member;

    return only(in, at, json, KNOWN) &&
           (has(json, "sequence", &member) || wrong(in, &steps, "this must be a list of steps")) &&
           read_steps(in, &steps, member, &sequence->steps, &sequence->step_count) &&
           within_member(in, at, json, &sequence->within) &&
           span_member(in, at, json, "time", &sequence->time);
}

static bool read_bucket(struct input *in, const struct at *at, struct json_value json,
                        struct condition *leaf)
{
    static const char *const KNOWN[] = { "bucket", NULL };
    struct at list = member_at(at, "bucket");
    struct json_value member;
    struct json_iter it;
    uint64_t ends[2] = { 0, 0 };
    uint32_t count;

    if (!only(in, at, json, KNOWN) || !has(json, "bucket", &member) ||
        !read_array(in, &list, member, 2, 2, &count))
        return wrong(in, &list, "a bucket is two numbers: the first and the last");
    it = json_items(member);
    for (uint32_t i = 0; json_next(&it); i++) {
        struct at item = { .parent = &list, .index = i };
        if (!read_count(in, &item, it.value, ends[0], TREE_BUCKETS - 1, &ends[i]))
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
    struct at list = member_at(at, key);
    struct json_value member;
    uint32_t count;

    if (!only(in, at, json, known) || !has(json, key, &member) ||
        !read_array(in, &list, member, 0, TREE_NODES_MAX, &count))
        return wrong(in, &list, "this must be a list of conditions");
    const struct condition **children = arena_calloc(in->arena, count, sizeof *children);
    if (!children)
        return no_memory(in);
    struct json_iter it = json_items(member);
    for (uint32_t i = 0; json_next(&it); i++) {
        struct at item = { .parent = &list, .index = i };
        if (!read_node(in, &item, it.value, is_users, &children[i]))
            return false;
    }
    *out = tree_join(in->arena, kind, children, count);
    return *out ? true : no_memory(in);
}

static bool read_not(struct input *in, const struct at *at, struct json_value json, bool is_users,
                     struct condition *leaf)
{
    static const char *const KNOWN[] = { "not", NULL };
    struct at child_at = member_at(at, "not");
    struct json_value member;
    const struct condition **children = arena_calloc(in->arena, 1, sizeof *children);

    if (!children)
        return no_memory(in);
    if (!only(in, at, json, KNOWN))
        return false;
    if (!has(json, "not", &member))
        return wrong(in, &child_at, "this must be a condition");
    leaf->kind = COND_NOT;
    leaf->children = children;
    leaf->child_count = 1;
    return read_node(in, &child_at, member, is_users, &children[0]);
}

static bool read_event_filter(struct input *in, const struct at *at, struct json_value json,
                              struct condition *leaf)
{
    static const char *const KNOWN[] = { "event", NULL };
    struct at event = member_at(at, "event");
    struct json_value member;

    leaf->kind = COND_EVENT;
    return only(in, at, json, KNOWN) &&
           (has(json, "event", &member) ||
            wrong(in, &event, "this must be the name of an event")) &&
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
        return wrong(in, at,
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
    return wrong(in, at,
                 "a condition is an object with \"all\", \"any\", \"not\", \"property\", "
                 "\"event\", \"sequence\" or \"bucket\"");
}

static bool read_node(struct input *in, const struct at *at, struct json_value json, bool is_users,
                      const struct condition **out)
{
    struct json_value member;
    bool is_good;

    if (!need_object(in, at, json))
        return false;
    if (++in->depth > RECURSION_MAX)
        return wrong(in, at, "conditions are nested deeper than %d", TREE_DEPTH_MAX);
    if (json_find(json, BYTES("all"), &member)) {
        is_good = read_joined(in, at, json, is_users, COND_ALL, out);
    } else if (json_find(json, BYTES("any"), &member)) {
        is_good = read_joined(in, at, json, is_users, COND_ANY, out);
    } else {
        struct condition *leaf = arena_calloc(in->arena, 1, sizeof *leaf);
        if (!leaf)
            return no_memory(in);
        *out = leaf;
        is_good = place_of(in, at, &leaf->at) && read_leaf(in, at, json, is_users, leaf);
    }
    in->depth--;
    return is_good;
}

/* --- keys and measures --------------------------------------------------------------------------- */

static bool read_key(struct input *in, const struct at *at, struct json_value json, struct key *out)
{
    static const char *const WORDS[] = { "minute",  "hour", "day",   "week", "month",
                                         "quarter", "year", "event", NULL };
    static const char *const KNOWN[] = { "property", "profile", NULL };
    struct json_value member;
    struct name name;
    uint32_t which;

    if (!place_of(in, at, &out->at))
        return false;
    if (!json_is(json, JSON_OBJECT)) {
        if (!read_word(in, at, json, WORDS, &which))
            return false;
        out->kind = which == 7 ? KEY_EVENT : KEY_TIME;
        out->unit = which == 7 ? UNIT_MINUTE : (enum calendar_unit)which;
        return true;
    }
    out->kind = json_find(json, BYTES("profile"), &member) ? KEY_PROFILE : KEY_PROPERTY;
    const char *kind = out->kind == KEY_PROFILE ? "profile" : "property";
    struct at name_at = member_at(at, kind);
    if (!only(in, at, json, KNOWN))
        return false;
    if (json_count(json) != 1 || !json_find(json, bytes_from(kind), &member))
        return wrong(in, at, "a key is a word, {\"property\": …} or {\"profile\": …}");
    if (!read_name(in, &name_at, member, &name))
        return false;
    out->name = name.text;
    return true;
}

static bool keys_member(struct input *in, const struct at *parent, struct json_value object,
                        const char *key, const struct key **out, uint32_t *count_out)
{
    struct at at = member_at(parent, key);
    struct json_value json;

    if (!has(object, key, &json))
        return true;
    if (!read_array(in, &at, json, 0, TREE_KEYS_MAX, count_out))
        return false;
    struct key *keys = arena_calloc(in->arena, *count_out, sizeof *keys);
    if (!keys)
        return no_memory(in);
    struct json_iter it = json_items(json);
    for (uint32_t i = 0; json_next(&it); i++) {
        struct at item = { .parent = &at, .index = i };
        if (!read_key(in, &item, it.value, &keys[i]))
            return false;
    }
    *out = keys;
    return true;
}

static bool read_measure(struct input *in, const struct at *at, struct json_value json,
                         struct expr *expr)
{
    static const char *const KNOWN[] = { "measure", "property", "q", "where", "as", NULL };
    static const char *const WORDS[] = { "count", "users", "sessions", "sum",        "avg",
                                         "min",   "max",   "distinct", "percentile", NULL };
    struct at measure_at = member_at(at, "measure");
    struct at property = member_at(at, "property");
    struct at q_at = member_at(at, "q");
    struct json_value member;
    uint32_t which = 0;

    expr->kind = EXPR_MEASURE;
    if (!only(in, at, json, KNOWN) || !json_find(json, BYTES("measure"), &member) ||
        !read_word(in, &measure_at, member, WORDS, &which) ||
        !filter_member(in, at, json, &expr->where))
        return false;
    expr->measure = (enum measure)which;
    bool has_property = has(json, "property", &member);
    if (has_property != (expr->measure >= MEASURE_SUM))
        return wrong(in, has_property ? &property : at,
                     has_property ? "this measure has no property"
                                  : "this measure needs a \"property\"");
    if (has_property && !read_name(in, &property, member, &expr->property))
        return false;
    bool has_q = has(json, "q", &member);
    if (has_q != (expr->measure == MEASURE_PERCENTILE))
        return wrong(in, has_q ? &q_at : at,
                     has_q ? "only a percentile has \"q\"" : "a percentile needs \"q\"");
    if (has_q && !read_number(in, &q_at, member, &expr->q))
        return false;
    return (expr->q >= 0 && expr->q <= 1) ||
           wrong(in, &q_at, "a percentile is from 0 to 1: 0.5 is the median");
}

static bool read_expr(struct input *in, const struct at *at, struct json_value json,
                      const struct expr **out);

static bool read_formula(struct input *in, const struct at *at, struct json_value json,
                         struct expr *expr)
{
    static const char *const KNOWN[] = { "formula", "of", "as", NULL };
    static const char *const WORDS[] = { "add", "subtract", "multiply", "divide", NULL };
    struct at formula = member_at(at, "formula");
    struct at of = member_at(at, "of");
    struct json_value member;
    uint32_t which = 0;
    uint32_t count;

    if (!only(in, at, json, KNOWN) || !json_find(json, BYTES("formula"), &member) ||
        !read_word(in, &formula, member, WORDS, &which))
        return false;
    expr->kind = (enum expr_kind)(EXPR_ADD + which);
    if (!has(json, "of", &member))
        return wrong(in, at, "a formula needs \"of\": two measures or numbers");
    if (!read_array(in, &of, member, 2, 2, &count))
        return false;
    struct json_iter it = json_items(member);
    for (uint32_t i = 0; json_next(&it); i++) {
        struct at item = { .parent = &of, .index = i };
        if (!read_expr(in, &item, it.value, i == 0 ? &expr->left : &expr->right))
            return false;
    }
    return true;
}

static bool read_expr(struct input *in, const struct at *at, struct json_value json,
                      const struct expr **out)
{
    static const char *const KNOWN_NUMBER[] = { "number", "as", NULL };
    struct at number_at = member_at(at, "number");
    struct json_value member;
    struct expr *expr = arena_calloc(in->arena, 1, sizeof *expr);
    bool is_good;

    if (!expr)
        return no_memory(in);
    *out = expr;
    if (!place_of(in, at, &expr->at))
        return false;
    if (++in->depth > TREE_DEPTH_MAX)
        return wrong(in, at, "formulas are nested deeper than %d", TREE_DEPTH_MAX);
    if (is_number(json))
        is_good = read_number(in, at, json, &expr->number);
    else if (!json_is(json, JSON_OBJECT))
        is_good = wrong(in, at, "a measure is an object with \"measure\" or \"formula\"");
    else if (json_find(json, BYTES("number"), &member))
        is_good =
            only(in, at, json, KNOWN_NUMBER) && read_number(in, &number_at, member, &expr->number);
    else if (json_find(json, BYTES("formula"), &member))
        is_good = read_formula(in, at, json, expr);
    else if (json_find(json, BYTES("measure"), &member))
        is_good = read_measure(in, at, json, expr);
    else
        is_good = wrong(in, at, "a measure is an object with \"measure\" or \"formula\"");
    in->depth--;
    return is_good;
}

static bool read_item(struct input *in, const struct at *at, struct json_value json,
                      struct item *out)
{
    struct at as = member_at(at, "as");
    struct json_value member;
    struct name name;

    if (!read_expr(in, at, json, &out->expr))
        return false;
    if (!has(json, "as", &member))
        return true;
    if (!read_name(in, &as, member, &name))
        return false;
    out->as = name.text;
    return true;
}

/* --- reports --------------------------------------------------------------------------------------- */

static bool limit_member(struct input *in, const struct at *parent, struct json_value object,
                         bool *has_limit, uint64_t *limit)
{
    struct at at = member_at(parent, "limit");
    struct json_value json;
    *has_limit = has(object, "limit", &json);
    return !*has_limit || read_count(in, &at, json, 1, TREE_LIMIT_MAX, limit);
}

static bool read_order(struct input *in, const struct at *parent, struct json_value object,
                       struct select *select)
{
    static const char *const KNOWN[] = { "item", "descending", NULL };
    struct at at = member_at(parent, "order_by");
    struct json_value json;
    struct json_value member;
    uint64_t item;

    if (!has(object, "order_by", &json))
        return true;
    if (!read_array(in, &at, json, 0, TREE_KEYS_MAX + TREE_MEASURES_MAX, &select->order_count))
        return false;
    struct order *order = arena_calloc(in->arena, select->order_count, sizeof *order);
    if (!order)
        return no_memory(in);
    struct json_iter it = json_items(json);
    for (uint32_t i = 0; json_next(&it); i++) {
        struct at entry = { .parent = &at, .index = i };
        struct at item_at = member_at(&entry, "item");
        if (!need_object(in, &entry, it.value) || !only(in, &entry, it.value, KNOWN) ||
            !read_flag(in, &entry, it.value, "descending", &order[i].is_descending))
            return false;
        if (!has(it.value, "item", &member))
            return wrong(in, &entry, "\"item\" is missing");
        uint32_t columns = select->key_count + select->item_count;
        if (!read_count(in, &item_at, member, 0, columns ? columns - 1 : 0, &item))
            return false;
        order[i].item = (uint32_t)item;
    }
    select->order = order;
    return true;
}

static bool read_select(struct input *in, const struct at *at, struct json_value json,
                        struct query *query)
{
    static const char *const KNOWN[] = { "report", "explain",  "analyze",   "measures",
                                         "where",  "group_by", "order_by",  "limit",
                                         "other",  "span",     "time_zone", NULL };
    struct at measures = member_at(at, "measures");
    struct select *select = &query->select;
    struct json_value member;

    if (!only(in, at, json, KNOWN) || !filter_member(in, at, json, &select->where) ||
        !keys_member(in, at, json, "group_by", &select->keys, &select->key_count) ||
        !limit_member(in, at, json, &select->has_limit, &select->limit) ||
        !read_flag(in, at, json, "other", &select->has_other))
        return false;
    if (select->has_other && !select->has_limit)
        return wrong(in, at, "\"other\" needs a \"limit\"");
    if (!has(json, "measures", &member))
        return wrong(in, at, "\"measures\" is missing");
    if (!read_array(in, &measures, member, select->key_count ? 0 : 1, TREE_MEASURES_MAX,
                    &select->item_count))
        return false;
    struct item *items = arena_calloc(in->arena, select->item_count, sizeof *items);
    if (!items)
        return no_memory(in);
    struct json_iter it = json_items(member);
    for (uint32_t i = 0; json_next(&it); i++) {
        struct at item = { .parent = &measures, .index = i };
        if (!read_item(in, &item, it.value, &items[i]))
            return false;
    }
    select->items = items;
    return read_order(in, at, json, select);
}

static bool read_exclusion(struct input *in, const struct at *at, struct json_value json,
                           uint32_t steps, struct exclusion *out)
{
    static const char *const KNOWN[] = { "step", "between", "mode", NULL };
    static const char *const MODES[] = { "cut", "drop", NULL };
    struct at step_at = member_at(at, "step");
    struct at between = member_at(at, "between");
    struct json_value member;
    uint32_t mode;
    uint32_t count;

    *out = (struct exclusion){ .from = 1, .to = steps };
    if (!need_object(in, at, json) || !only(in, at, json, KNOWN) ||
        !word_member(in, at, json, "mode", MODES, &mode))
        return false;
    out->is_drop = mode == 1;
    if (!has(json, "step", &member))
        return wrong(in, at, "\"step\" is missing");
    if (!read_step(in, &step_at, member, &out->step))
        return false;
    if (!has(json, "between", &member))
        return true;
    if (!read_array(in, &between, member, 2, 2, &count))
        return false;
    struct json_iter it = json_items(member);
    uint64_t ends[2] = { 0, 0 };
    for (uint32_t i = 0; json_next(&it); i++) {
        struct at item = { .parent = &between, .index = i };
        if (!read_count(in, &item, it.value, ends[0] + 1, i == 0 ? steps - 1 : steps, &ends[i]))
            return false;
    }
    out->from = (uint32_t)ends[0];
    out->to = (uint32_t)ends[1];
    return true;
}

static bool read_exclusions(struct input *in, const struct at *parent, struct json_value object,
                            struct funnel *funnel)
{
    struct at at = member_at(parent, "excluding");
    struct json_value json;

    if (!has(object, "excluding", &json))
        return true;
    if (!read_array(in, &at, json, 0, TREE_STEPS_MAX, &funnel->exclusion_count))
        return false;
    struct exclusion *exclusions =
        arena_calloc(in->arena, funnel->exclusion_count, sizeof *exclusions);
    if (!exclusions)
        return no_memory(in);
    struct json_iter it = json_items(json);
    for (uint32_t i = 0; json_next(&it); i++) {
        struct at item = { .parent = &at, .index = i };
        if (!read_exclusion(in, &item, it.value, funnel->step_count, &exclusions[i]))
            return false;
    }
    funnel->exclusions = exclusions;
    return true;
}

static bool read_ties(struct input *in, const struct at *parent, struct json_value object,
                      struct funnel *funnel)
{
    static const char *const WORDS[] = { "any", "seq", NULL };
    static const char *const KNOWN[] = { "grace", NULL };
    struct at at = member_at(parent, "ties");
    struct at grace = member_at(&at, "grace");
    struct json_value json;
    struct json_value member;
    uint32_t which;

    if (!has(object, "ties", &json))
        return true;
    if (!json_is(json, JSON_OBJECT)) {
        if (!read_word(in, &at, json, WORDS, &which))
            return wrong(in, &at, "this must be \"any\", \"seq\" or {\"grace\": \"1s\"}");
        funnel->ties = (enum ties)which;
        return true;
    }
    funnel->ties = TIES_GRACE;
    return only(in, &at, json, KNOWN) &&
           (has(json, "grace", &member) || wrong(in, &at, "\"grace\" is missing")) &&
           read_duration(in, &grace, member, &funnel->grace);
}

static bool read_funnel_words(struct input *in, const struct at *at, struct json_value json,
                              struct funnel *funnel)
{
    static const char *const WINDOWS[] = { "first", "previous", NULL };
    static const char *const ATTEMPTS[] = { "best", "first", "each", NULL };
    static const char *const ORDERS[] = { "loose", "strict", "any", NULL };
    static const char *const SCOPES[] = { "events", "steps", NULL };
    static const char *const COMPLETES[] = { "until_window", "in_range", NULL };
    struct at scope_at = member_at(at, "scope");
    uint32_t window;
    uint32_t attempt;
    uint32_t order;
    uint32_t scope;
    uint32_t complete;

    if (!word_member(in, at, json, "window_from", WINDOWS, &window) ||
        !word_member(in, at, json, "attempt", ATTEMPTS, &attempt) ||
        !word_member(in, at, json, "order", ORDERS, &order) ||
        !word_member(in, at, json, "scope", SCOPES, &scope) ||
        !word_member(in, at, json, "complete", COMPLETES, &complete))
        return false;
    funnel->is_window_from_previous = window == 1;
    funnel->attempt = (enum attempt)attempt;
    funnel->order = (enum step_order)order;
    funnel->is_strict_among_steps = scope == 1;
    funnel->is_complete_in_range = complete == 1;
    return scope == 0 || funnel->order == ORDER_STRICT ||
           wrong(in, &scope_at, "only the strict order has a scope");
}

static bool read_funnel(struct input *in, const struct at *at, struct json_value json,
                        struct query *query)
{
    static const char *const KNOWN[] = { "report",    "explain",     "analyze",        "steps",
                                         "within",    "attempt",     "ties",           "order",
                                         "scope",     "holding",     "excluding",      "complete",
                                         "by",        "window_from", "within_session", "span",
                                         "time_zone", NULL };
    struct at steps = member_at(at, "steps");
    struct at holding = member_at(at, "holding");
    struct funnel *funnel = &query->funnel;
    struct json_value member;

    if (!only(in, at, json, KNOWN))
        return false;
    if (!has(json, "steps", &member))
        return wrong(in, at, "\"steps\" is missing");
    if (!read_steps(in, &steps, member, &funnel->steps, &funnel->step_count) ||
        !within_member(in, at, json, &funnel->within) || !read_funnel_words(in, at, json, funnel) ||
        !read_ties(in, at, json, funnel) || !read_exclusions(in, at, json, funnel) ||
        !read_flag(in, at, json, "within_session", &funnel->is_within_session) ||
        !keys_member(in, at, json, "by", &funnel->keys, &funnel->key_count))
        return false;
    return !has(json, "holding", &member) ||
           (json_is(member, JSON_ARRAY) && json_count(member) == 0) ||
           read_names(in, &holding, member, TREE_NAMES_MAX, &funnel->holding,
                      &funnel->holding_count);
}

static bool read_brackets(struct input *in, const struct at *parent, struct json_value object,
                          struct retention *retention)
{
    struct at at = member_at(parent, "brackets");
    struct json_value json;
    uint64_t last = 0;

    if (!has(object, "brackets", &json))
        return true;
    if (!read_array(in, &at, json, 0, TREE_PERIODS_MAX, &retention->bracket_count))
        return false;
    uint32_t *brackets = arena_calloc(in->arena, retention->bracket_count, sizeof *brackets);
    if (!brackets)
        return no_memory(in);
    struct json_iter it = json_items(json);
    for (uint32_t i = 0; json_next(&it); i++) {
        struct at item = { .parent = &at, .index = i };
        if (!read_count(in, &item, it.value, i ? last + 1 : 0, TREE_PERIODS_MAX, &last))
            return false;
        brackets[i] = (uint32_t)last;
    }
    retention->brackets = brackets;
    return true;
}

static bool step_member(struct input *in, const struct at *parent, struct json_value object,
                        const char *key, struct step *out)
{
    struct at at = member_at(parent, key);
    struct json_value json;
    return has(object, key, &json) ? read_step(in, &at, json, out)
                                   : wrong(in, parent, "\"%s\" is missing", key);
}

static bool read_retention(struct input *in, const struct at *at, struct json_value json,
                           struct query *query)
{
    static const char *const KNOWN[] = { "report",    "explain",     "analyze", "first", "start",
                                         "return",    "unit",        "periods", "mode",  "brackets",
                                         "rolling",   "count_birth", "sum",     "by",    "span",
                                         "time_zone", NULL };
    static const char *const UNITS[] = { "hour", "day", "week", "month", NULL };
    static const char *const MODES[] = { "on", "on_or_after", "on_or_before", "streak", NULL };
    struct at periods_at = member_at(at, "periods");
    struct at unit_at = member_at(at, "unit");
    struct at sum = member_at(at, "sum");
    struct retention *retention = &query->retention;
    struct json_value member;
    uint32_t unit = 0;
    uint32_t mode = 0;
    uint64_t periods;

    if (!only(in, at, json, KNOWN) || !read_flag(in, at, json, "first", &retention->is_first) ||
        !step_member(in, at, json, "start", &retention->start) ||
        !step_member(in, at, json, "return", &retention->back) ||
        !word_member(in, at, json, "mode", MODES, &mode) ||
        !read_brackets(in, at, json, retention) ||
        !read_flag(in, at, json, "rolling", &retention->is_rolling) ||
        !read_flag(in, at, json, "count_birth", &retention->counts_birth) ||
        !keys_member(in, at, json, "by", &retention->keys, &retention->key_count))
        return false;
    if (!has(json, "unit", &member))
        return wrong(in, at, "\"unit\" is missing");
    if (!read_word(in, &unit_at, member, UNITS, &unit))
        return false;
    retention->unit = (enum calendar_unit)(UNIT_HOUR + unit);
    retention->mode = (enum retention_mode)mode;
    periods = tree_periods_default(retention->unit);
    if (has(json, "periods", &member) &&
        !read_count(in, &periods_at, member, 1, TREE_PERIODS_MAX, &periods))
        return false;
    retention->periods = (uint32_t)periods;
    return !has(json, "sum", &member) || read_name(in, &sum, member, &retention->sum);
}

static bool condition_member(struct input *in, const struct at *parent, struct json_value object,
                             const char *key, const struct condition **out)
{
    struct at at = member_at(parent, key);
    struct json_value json;
    return has(object, key, &json) ? read_condition(in, &at, json, true, out)
                                   : wrong(in, parent, "\"%s\" is missing", key);
}

static bool as_of_member(struct input *in, const struct at *parent, struct json_value object,
                         struct when *out)
{
    struct at at = member_at(parent, "as_of");
    struct json_value json;
    return !has(object, "as_of", &json) || read_when(in, &at, json, out);
}

static bool read_segment(struct input *in, const struct at *at, struct json_value json,
                         struct query *query)
{
    static const char *const KNOWN[] = { "report", "explain",   "analyze",      "where", "as_of",
                                         "rules",  "time_zone", "segment_name", NULL };
    struct json_value member;
    const char *key = has(json, "where", &member) ? "where" : "rules";
    return only(in, at, json, KNOWN) &&
           condition_member(in, at, json, key, &query->segment.where) &&
           as_of_member(in, at, json, &query->segment.as_of);
}

static bool read_users(struct input *in, const struct at *at, struct json_value json,
                       struct query *query)
{
    static const char *const KNOWN[] = { "report", "explain",   "analyze",    "where",
                                         "select", "order_by",  "descending", "limit",
                                         "as_of",  "time_zone", NULL };
    struct at select = member_at(at, "select");
    struct at order_by = member_at(at, "order_by");
    struct at descending = member_at(at, "descending");
    struct users *users = &query->users;
    struct json_value member;

    if (!only(in, at, json, KNOWN) || !condition_member(in, at, json, "where", &users->where) ||
        !as_of_member(in, at, json, &users->as_of) ||
        !limit_member(in, at, json, &users->has_limit, &users->limit) ||
        !read_flag(in, at, json, "descending", &users->is_descending))
        return false;
    if (has(json, "select", &member) && !(json_is(member, JSON_ARRAY) && json_count(member) == 0) &&
        !read_names(in, &select, member, TREE_NAMES_MAX, &users->columns, &users->column_count))
        return false;
    if (has(json, "order_by", &member) && !read_name(in, &order_by, member, &users->order_by))
        return false;
    return !users->is_descending || users->order_by.text.len > 0 ||
           wrong(in, &descending, "there's no \"order_by\"");
}

static bool read_events(struct input *in, const struct at *at, struct json_value json,
                        struct query *query)
{
    static const char *const KNOWN[] = { "report", "explain", "analyze",   "identity", "where",
                                         "span",   "limit",   "time_zone", NULL };
    struct at identity = member_at(at, "identity");
    struct events *events = &query->events;
    struct json_value member;

    if (!only(in, at, json, KNOWN) || !filter_member(in, at, json, &events->where) ||
        !limit_member(in, at, json, &events->has_limit, &events->limit))
        return false;
    if (!has(json, "identity", &member))
        return wrong(in, at, "\"identity\" is missing");
    return read_text(in, &identity, member, &events->identity.text) &&
           place_of(in, &identity, &events->identity.at);
}

static bool check_exprs(struct input *in, const struct at *at, const struct query *query)
{
    if (query->report != REPORT_SELECT)
        return true;
    for (uint32_t i = 0; i < query->select.item_count; i++)
        if (tree_expr_depth(query->select.items[i].expr) > TREE_DEPTH_MAX)
            return wrong(in, at, "formulas are nested deeper than %d", TREE_DEPTH_MAX);
    return true;
}

static bool read_report(struct input *in, const struct at *at, struct json_value json,
                        struct query *query)
{
    static const char *const REPORTS[] = { "select", "funnel", "retention", "segment",
                                           "users",  "events", NULL };
    static bool (*const READERS[])(struct input * in, const struct at *at, struct json_value json,
                                   struct query *query) = { read_select,    read_funnel,
                                                            read_retention, read_segment,
                                                            read_users,     read_events };
    struct at report_at = member_at(at, "report");
    struct at zone_at = member_at(at, "time_zone");
    struct json_value member;
    uint32_t which = REPORT_SEGMENT;

    if (!need_object(in, at, json))
        return false;
    if (has(json, "report", &member)) {
        if (!read_word(in, &report_at, member, REPORTS, &which))
            return false;
    } else if (!has(json, "rules", &member)) {
        return wrong(in, at,
                     "\"report\" is missing: select, funnel, retention, segment, users or "
                     "events");
    }
    query->report = (enum report)which;
    if (!read_flag(in, at, json, "explain", &query->is_explain) ||
        !read_flag(in, at, json, "analyze", &query->is_analyze) ||
        !READERS[which](in, at, json, query) || !check_exprs(in, at, query) ||
        !span_member(in, at, json, "span", &query->span))
        return false;
    if (query->is_analyze && !query->is_explain)
        return wrong(in, at, "\"analyze\" goes with \"explain\"");
    return !has(json, "time_zone", &member) || read_name(in, &zone_at, member, &query->time_zone);
}

struct err query_parse_json(struct json_value json, struct arena *arena, struct query **out,
                            struct query_problem *problem_out)
{
    struct query_problem problem = { 0 };
    struct input in = { .arena = arena, .problem = &problem };
    struct at root = { 0 };
    struct query *query = arena_calloc(arena, 1, sizeof *query);

    if (!query)
        return err_new(ERR_NOMEM, "query: read JSON");
    if (read_report(&in, &root, json, query)) {
        *out = query;
        return ok();
    }
    if (in.failed == ERR_INVALID)
        *problem_out = problem;
    return err_new(in.failed ? in.failed : ERR_INVALID, "query: read JSON");
}

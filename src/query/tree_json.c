/*
 * tree_json.c - a tree from JSON. The members are in docs/query.md.
 *
 * What isn't known is refused, with a JSON pointer to it: a misspelt option that is passed over
 * would change an answer and nobody would see it.
 */
#include "query/json_internal.h"

/* --- keys and measures --------------------------------------------------------------------------- */

static bool read_key(struct input *in, const struct at *at, struct json_value json, struct key *out)
{
    static const char *const WORDS[] = { "minute",  "hour", "day",   "week", "month",
                                         "quarter", "year", "event", NULL };
    static const char *const KNOWN[] = { "property", "profile", NULL };
    struct json_value member;
    struct name name;
    uint32_t which;

    if (!in_place_of(in, at, &out->at))
        return false;
    if (!json_is(json, JSON_OBJECT)) {
        if (!in_read_word(in, at, json, WORDS, &which))
            return false;
        out->kind = which == 7 ? KEY_EVENT : KEY_TIME;
        out->unit = which == 7 ? UNIT_MINUTE : (enum calendar_unit)which;
        return true;
    }
    out->kind = json_find(json, BYTES("profile"), &member) ? KEY_PROFILE : KEY_PROPERTY;
    const char *kind = out->kind == KEY_PROFILE ? "profile" : "property";
    struct at name_at = in_member_at(at, kind);
    if (!in_only(in, at, json, KNOWN))
        return false;
    if (json_count(json) != 1 || !json_find(json, bytes_from(kind), &member))
        return in_wrong(in, at, "a key is a word, {\"property\": …} or {\"profile\": …}");
    if (!in_read_name(in, &name_at, member, &name))
        return false;
    out->name = name.text;
    return true;
}

static bool keys_member(struct input *in, const struct at *parent, struct json_value object,
                        const char *key, const struct key **out, uint32_t *count_out)
{
    struct at at = in_member_at(parent, key);
    struct json_value json;

    if (!in_has(object, key, &json))
        return true;
    if (!in_read_array(in, &at, json, 0, TREE_KEYS_MAX, count_out))
        return false;
    struct key *keys = arena_calloc(in->arena, *count_out, sizeof *keys);
    if (!keys)
        return in_no_memory(in);
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
    struct at measure_at = in_member_at(at, "measure");
    struct at property = in_member_at(at, "property");
    struct at q_at = in_member_at(at, "q");
    struct json_value member;
    uint32_t which = 0;

    expr->kind = EXPR_MEASURE;
    if (!in_only(in, at, json, KNOWN) || !json_find(json, BYTES("measure"), &member) ||
        !in_read_word(in, &measure_at, member, WORDS, &which) ||
        !in_filter_member(in, at, json, &expr->where))
        return false;
    expr->measure = (enum measure)which;
    bool has_property = in_has(json, "property", &member);
    if (has_property != (expr->measure >= MEASURE_SUM))
        return in_wrong(in, has_property ? &property : at,
                        has_property ? "this measure has no property"
                                     : "this measure needs a \"property\"");
    if (has_property && !in_read_name(in, &property, member, &expr->property))
        return false;
    bool has_q = in_has(json, "q", &member);
    if (has_q != (expr->measure == MEASURE_PERCENTILE))
        return in_wrong(in, has_q ? &q_at : at,
                        has_q ? "only a percentile has \"q\"" : "a percentile needs \"q\"");
    if (has_q && !in_read_number(in, &q_at, member, &expr->q))
        return false;
    return (expr->q >= 0 && expr->q <= 1) ||
           in_wrong(in, &q_at, "a percentile is from 0 to 1: 0.5 is the median");
}

static bool read_expr(struct input *in, const struct at *at, struct json_value json,
                      const struct expr **out);

static bool read_formula(struct input *in, const struct at *at, struct json_value json,
                         struct expr *expr)
{
    static const char *const KNOWN[] = { "formula", "of", "as", NULL };
    static const char *const WORDS[] = { "add", "subtract", "multiply", "divide", NULL };
    struct at formula = in_member_at(at, "formula");
    struct at of = in_member_at(at, "of");
    struct json_value member;
    uint32_t which = 0;
    uint32_t count;

    if (!in_only(in, at, json, KNOWN) || !json_find(json, BYTES("formula"), &member) ||
        !in_read_word(in, &formula, member, WORDS, &which))
        return false;
    expr->kind = (enum expr_kind)(EXPR_ADD + which);
    if (!in_has(json, "of", &member))
        return in_wrong(in, at, "a formula needs \"of\": two measures or numbers");
    if (!in_read_array(in, &of, member, 2, 2, &count))
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
    struct at number_at = in_member_at(at, "number");
    struct json_value member;
    struct expr *expr = arena_calloc(in->arena, 1, sizeof *expr);
    bool is_good;

    if (!expr)
        return in_no_memory(in);
    *out = expr;
    if (!in_place_of(in, at, &expr->at))
        return false;
    if (++in->depth > TREE_DEPTH_MAX)
        return in_wrong(in, at, "formulas are nested deeper than %d", TREE_DEPTH_MAX);
    if (in_is_number(json))
        is_good = in_read_number(in, at, json, &expr->number);
    else if (!json_is(json, JSON_OBJECT))
        is_good = in_wrong(in, at, "a measure is an object with \"measure\" or \"formula\"");
    else if (json_find(json, BYTES("number"), &member))
        is_good = in_only(in, at, json, KNOWN_NUMBER) &&
                  in_read_number(in, &number_at, member, &expr->number);
    else if (json_find(json, BYTES("formula"), &member))
        is_good = read_formula(in, at, json, expr);
    else if (json_find(json, BYTES("measure"), &member))
        is_good = read_measure(in, at, json, expr);
    else
        is_good = in_wrong(in, at, "a measure is an object with \"measure\" or \"formula\"");
    in->depth--;
    return is_good;
}

static bool read_item(struct input *in, const struct at *at, struct json_value json,
                      struct item *out)
{
    struct at as = in_member_at(at, "as");
    struct json_value member;
    struct name name;

    if (!read_expr(in, at, json, &out->expr))
        return false;
    if (!in_has(json, "as", &member))
        return true;
    if (!in_read_name(in, &as, member, &name))
        return false;
    out->as = name.text;
    return true;
}

/* --- reports --------------------------------------------------------------------------------------- */

static bool limit_member(struct input *in, const struct at *parent, struct json_value object,
                         bool *has_limit, uint64_t *limit)
{
    struct at at = in_member_at(parent, "limit");
    struct json_value json;
    *has_limit = in_has(object, "limit", &json);
    return !*has_limit || in_read_count(in, &at, json, 1, TREE_LIMIT_MAX, limit);
}

static bool read_order(struct input *in, const struct at *parent, struct json_value object,
                       struct select *select)
{
    static const char *const KNOWN[] = { "item", "descending", NULL };
    struct at at = in_member_at(parent, "order_by");
    struct json_value json;
    struct json_value member;
    uint64_t item;

    if (!in_has(object, "order_by", &json))
        return true;
    if (!in_read_array(in, &at, json, 0, TREE_KEYS_MAX + TREE_MEASURES_MAX, &select->order_count))
        return false;
    struct order *order = arena_calloc(in->arena, select->order_count, sizeof *order);
    if (!order)
        return in_no_memory(in);
    struct json_iter it = json_items(json);
    for (uint32_t i = 0; json_next(&it); i++) {
        struct at entry = { .parent = &at, .index = i };
        struct at item_at = in_member_at(&entry, "item");
        if (!in_need_object(in, &entry, it.value) || !in_only(in, &entry, it.value, KNOWN) ||
            !in_read_flag(in, &entry, it.value, "descending", &order[i].is_descending))
            return false;
        if (!in_has(it.value, "item", &member))
            return in_wrong(in, &entry, "\"item\" is missing");
        uint32_t columns = select->key_count + select->item_count;
        if (!in_read_count(in, &item_at, member, 0, columns ? columns - 1 : 0, &item))
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
    struct at measures = in_member_at(at, "measures");
    struct select *select = &query->select;
    struct json_value member;

    if (!in_only(in, at, json, KNOWN) || !in_filter_member(in, at, json, &select->where) ||
        !keys_member(in, at, json, "group_by", &select->keys, &select->key_count) ||
        !limit_member(in, at, json, &select->has_limit, &select->limit) ||
        !in_read_flag(in, at, json, "other", &select->has_other))
        return false;
    if (select->has_other && !select->has_limit)
        return in_wrong(in, at, "\"other\" needs a \"limit\"");
    if (!in_has(json, "measures", &member))
        return in_wrong(in, at, "\"measures\" is missing");
    if (!in_read_array(in, &measures, member, select->key_count ? 0 : 1, TREE_MEASURES_MAX,
                       &select->item_count))
        return false;
    struct item *items = arena_calloc(in->arena, select->item_count, sizeof *items);
    if (!items)
        return in_no_memory(in);
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
    struct at step_at = in_member_at(at, "step");
    struct at between = in_member_at(at, "between");
    struct json_value member;
    uint32_t mode;
    uint32_t count;

    *out = (struct exclusion){ .from = 1, .to = steps };
    if (!in_need_object(in, at, json) || !in_only(in, at, json, KNOWN) ||
        !in_word_member(in, at, json, "mode", MODES, &mode))
        return false;
    out->is_drop = mode == 1;
    if (!in_has(json, "step", &member))
        return in_wrong(in, at, "\"step\" is missing");
    if (!in_read_step(in, &step_at, member, &out->step))
        return false;
    if (!in_has(json, "between", &member))
        return true;
    if (!in_read_array(in, &between, member, 2, 2, &count))
        return false;
    struct json_iter it = json_items(member);
    uint64_t ends[2] = { 0, 0 };
    for (uint32_t i = 0; json_next(&it); i++) {
        struct at item = { .parent = &between, .index = i };
        if (!in_read_count(in, &item, it.value, ends[0] + 1, i == 0 ? steps - 1 : steps, &ends[i]))
            return false;
    }
    out->from = (uint32_t)ends[0];
    out->to = (uint32_t)ends[1];
    return true;
}

static bool read_exclusions(struct input *in, const struct at *parent, struct json_value object,
                            struct funnel *funnel)
{
    struct at at = in_member_at(parent, "excluding");
    struct json_value json;

    if (!in_has(object, "excluding", &json))
        return true;
    if (!in_read_array(in, &at, json, 0, TREE_STEPS_MAX, &funnel->exclusion_count))
        return false;
    struct exclusion *exclusions =
        arena_calloc(in->arena, funnel->exclusion_count, sizeof *exclusions);
    if (!exclusions)
        return in_no_memory(in);
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
    struct at at = in_member_at(parent, "ties");
    struct at grace = in_member_at(&at, "grace");
    struct json_value json;
    struct json_value member;
    uint32_t which;

    if (!in_has(object, "ties", &json))
        return true;
    if (!json_is(json, JSON_OBJECT)) {
        if (!in_read_word(in, &at, json, WORDS, &which))
            return in_wrong(in, &at, "this must be \"any\", \"seq\" or {\"grace\": \"1s\"}");
        funnel->ties = (enum ties)which;
        return true;
    }
    funnel->ties = TIES_GRACE;
    return in_only(in, &at, json, KNOWN) &&
           (in_has(json, "grace", &member) || in_wrong(in, &at, "\"grace\" is missing")) &&
           in_read_duration(in, &grace, member, &funnel->grace);
}

static bool read_funnel_words(struct input *in, const struct at *at, struct json_value json,
                              struct funnel *funnel)
{
    static const char *const WINDOWS[] = { "first", "previous", NULL };
    static const char *const ATTEMPTS[] = { "best", "first", "each", NULL };
    static const char *const ORDERS[] = { "loose", "strict", "any", NULL };
    static const char *const SCOPES[] = { "events", "steps", NULL };
    static const char *const COMPLETES[] = { "until_window", "in_range", NULL };
    struct at scope_at = in_member_at(at, "scope");
    uint32_t window;
    uint32_t attempt;
    uint32_t order;
    uint32_t scope;
    uint32_t complete;

    if (!in_word_member(in, at, json, "window_from", WINDOWS, &window) ||
        !in_word_member(in, at, json, "attempt", ATTEMPTS, &attempt) ||
        !in_word_member(in, at, json, "order", ORDERS, &order) ||
        !in_word_member(in, at, json, "scope", SCOPES, &scope) ||
        !in_word_member(in, at, json, "complete", COMPLETES, &complete))
        return false;
    funnel->is_window_from_previous = window == 1;
    funnel->attempt = (enum attempt)attempt;
    funnel->order = (enum step_order)order;
    funnel->is_strict_among_steps = scope == 1;
    funnel->is_complete_in_range = complete == 1;
    return scope == 0 || funnel->order == ORDER_STRICT ||
           in_wrong(in, &scope_at, "only the strict order has a scope");
}

static bool read_funnel(struct input *in, const struct at *at, struct json_value json,
                        struct query *query)
{
    static const char *const KNOWN[] = { "report",    "explain",     "analyze",        "steps",
                                         "within",    "attempt",     "ties",           "order",
                                         "scope",     "holding",     "excluding",      "complete",
                                         "by",        "window_from", "within_session", "span",
                                         "time_zone", NULL };
    struct at steps = in_member_at(at, "steps");
    struct at holding = in_member_at(at, "holding");
    struct funnel *funnel = &query->funnel;
    struct json_value member;

    if (!in_only(in, at, json, KNOWN))
        return false;
    if (!in_has(json, "steps", &member))
        return in_wrong(in, at, "\"steps\" is missing");
    if (!in_read_steps(in, &steps, member, &funnel->steps, &funnel->step_count) ||
        !in_within_member(in, at, json, &funnel->within) ||
        !read_funnel_words(in, at, json, funnel) || !read_ties(in, at, json, funnel) ||
        !read_exclusions(in, at, json, funnel) ||
        !in_read_flag(in, at, json, "within_session", &funnel->is_within_session) ||
        !keys_member(in, at, json, "by", &funnel->keys, &funnel->key_count))
        return false;
    return !in_has(json, "holding", &member) ||
           (json_is(member, JSON_ARRAY) && json_count(member) == 0) ||
           in_read_names(in, &holding, member, TREE_NAMES_MAX, &funnel->holding,
                         &funnel->holding_count);
}

static bool read_brackets(struct input *in, const struct at *parent, struct json_value object,
                          struct retention *retention)
{
    struct at at = in_member_at(parent, "brackets");
    struct json_value json;
    uint64_t last = 0;

    if (!in_has(object, "brackets", &json))
        return true;
    if (!in_read_array(in, &at, json, 0, TREE_PERIODS_MAX, &retention->bracket_count))
        return false;
    uint32_t *brackets = arena_calloc(in->arena, retention->bracket_count, sizeof *brackets);
    if (!brackets)
        return in_no_memory(in);
    struct json_iter it = json_items(json);
    for (uint32_t i = 0; json_next(&it); i++) {
        struct at item = { .parent = &at, .index = i };
        if (!in_read_count(in, &item, it.value, i ? last + 1 : 0, TREE_PERIODS_MAX, &last))
            return false;
        brackets[i] = (uint32_t)last;
    }
    retention->brackets = brackets;
    return true;
}

static bool step_member(struct input *in, const struct at *parent, struct json_value object,
                        const char *key, struct step *out)
{
    struct at at = in_member_at(parent, key);
    struct json_value json;
    return in_has(object, key, &json) ? in_read_step(in, &at, json, out)
                                      : in_wrong(in, parent, "\"%s\" is missing", key);
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
    struct at periods_at = in_member_at(at, "periods");
    struct at unit_at = in_member_at(at, "unit");
    struct at sum = in_member_at(at, "sum");
    struct retention *retention = &query->retention;
    struct json_value member;
    uint32_t unit = 0;
    uint32_t mode = 0;
    uint64_t periods;

    if (!in_only(in, at, json, KNOWN) ||
        !in_read_flag(in, at, json, "first", &retention->is_first) ||
        !step_member(in, at, json, "start", &retention->start) ||
        !step_member(in, at, json, "return", &retention->back) ||
        !in_word_member(in, at, json, "mode", MODES, &mode) ||
        !read_brackets(in, at, json, retention) ||
        !in_read_flag(in, at, json, "rolling", &retention->is_rolling) ||
        !in_read_flag(in, at, json, "count_birth", &retention->counts_birth) ||
        !keys_member(in, at, json, "by", &retention->keys, &retention->key_count))
        return false;
    if (!in_has(json, "unit", &member))
        return in_wrong(in, at, "\"unit\" is missing");
    if (!in_read_word(in, &unit_at, member, UNITS, &unit))
        return false;
    retention->unit = (enum calendar_unit)(UNIT_HOUR + unit);
    retention->mode = (enum retention_mode)mode;
    periods = tree_periods_default(retention->unit);
    if (in_has(json, "periods", &member) &&
        !in_read_count(in, &periods_at, member, 1, TREE_PERIODS_MAX, &periods))
        return false;
    retention->periods = (uint32_t)periods;
    return !in_has(json, "sum", &member) || in_read_name(in, &sum, member, &retention->sum);
}

static bool names_member(struct input *in, const struct at *parent, struct json_value object,
                         const char *key, const struct name **out, uint32_t *count_out)
{
    struct at at = in_member_at(parent, key);
    struct json_value json;
    return !in_has(object, key, &json) || (json_is(json, JSON_ARRAY) && json_count(json) == 0) ||
           in_read_names(in, &at, json, TREE_NAMES_MAX, out, count_out);
}

static bool read_expansion(struct input *in, const struct at *at, struct json_value json,
                           struct expansion *out)
{
    static const char *const KNOWN[] = { "event", "property", NULL };
    struct at event_at = in_member_at(at, "event");
    struct at property_at = in_member_at(at, "property");
    struct json_value member;

    if (!in_need_object(in, at, json) || !in_only(in, at, json, KNOWN))
        return false;
    if (!in_has(json, "event", &member))
        return in_wrong(in, at, "\"event\" is missing");
    if (!in_read_text(in, &event_at, member, &out->event.text) ||
        !in_place_of(in, &event_at, &out->event.at))
        return false;
    return in_has(json, "property", &member)
               ? in_read_name(in, &property_at, member, &out->property)
               : in_wrong(in, at, "\"property\" is missing");
}

static bool read_expansions(struct input *in, const struct at *parent, struct json_value object,
                            struct flow *flow)
{
    struct at at = in_member_at(parent, "expand");
    struct json_value json;

    if (!in_has(object, "expand", &json))
        return true;
    if (!in_read_array(in, &at, json, 0, TREE_NAMES_MAX, &flow->expansion_count))
        return false;
    struct expansion *expansions =
        arena_calloc(in->arena, flow->expansion_count, sizeof *expansions);
    if (!expansions)
        return in_no_memory(in);
    struct json_iter it = json_items(json);
    for (uint32_t i = 0; json_next(&it); i++) {
        struct at item = { .parent = &at, .index = i };
        if (!read_expansion(in, &item, it.value, &expansions[i]))
            return false;
    }
    flow->expansions = expansions;
    return true;
}

static bool read_flow(struct input *in, const struct at *at, struct json_value json,
                      struct query *query)
{
    static const char *const KNOWN[] = { "report", "explain", "analyze",  "direction", "start",
                                         "steps",  "within",  "collapse", "hide",      "keep",
                                         "expand", "limit",   "span",     "time_zone", NULL };
    static const char *const DIRECTIONS[] = { "from", "to", NULL };
    struct at start_at = in_member_at(at, "start");
    struct at steps_at = in_member_at(at, "steps");
    struct at within_at = in_member_at(at, "within");
    struct at limit_at = in_member_at(at, "limit");
    struct flow *flow = &query->flow;
    struct json_value member;
    uint32_t direction;
    uint64_t steps = TREE_FLOW_STEPS;

    if (!in_only(in, at, json, KNOWN) ||
        !in_word_member(in, at, json, "direction", DIRECTIONS, &direction) ||
        !step_member(in, at, json, "start", &flow->start) ||
        !in_read_flag(in, at, json, "collapse", &flow->is_collapsed) ||
        !names_member(in, at, json, "hide", &flow->hidden, &flow->hidden_count) ||
        !names_member(in, at, json, "keep", &flow->kept, &flow->kept_count) ||
        !read_expansions(in, at, json, flow))
        return false;
    flow->is_backwards = direction == 1;
    if (flow->start.event_count > TREE_FLOW_STARTS_MAX)
        return in_wrong(in, &start_at, "a flow has at most %d start events", TREE_FLOW_STARTS_MAX);
    if (flow->hidden_count > 0 && flow->kept_count > 0)
        return in_wrong(in, at, "\"hide\" and \"keep\" don't go together");
    flow->limit = TREE_FLOW_LIMIT;
    if (in_has(json, "steps", &member) &&
        !in_read_count(in, &steps_at, member, 1, TREE_FLOW_STEPS_MAX, &steps))
        return false;
    flow->steps = (uint32_t)steps;
    if (in_has(json, "limit", &member) &&
        !in_read_count(in, &limit_at, member, 1, TREE_FLOW_LIMIT_MAX, &flow->limit))
        return false;
    flow->has_within = in_has(json, "within", &member);
    return !flow->has_within || in_read_duration(in, &within_at, member, &flow->within);
}

static bool condition_member(struct input *in, const struct at *parent, struct json_value object,
                             const char *key, const struct condition **out)
{
    struct at at = in_member_at(parent, key);
    struct json_value json;
    return in_has(object, key, &json) ? in_read_condition(in, &at, json, true, out)
                                      : in_wrong(in, parent, "\"%s\" is missing", key);
}

static bool as_of_member(struct input *in, const struct at *parent, struct json_value object,
                         struct when *out)
{
    struct at at = in_member_at(parent, "as_of");
    struct json_value json;
    return !in_has(object, "as_of", &json) || in_read_when(in, &at, json, out);
}

static bool read_segment(struct input *in, const struct at *at, struct json_value json,
                         struct query *query)
{
    static const char *const KNOWN[] = { "report", "explain",   "analyze",      "where", "as_of",
                                         "rules",  "time_zone", "segment_name", NULL };
    struct json_value member;
    const char *key = in_has(json, "where", &member) ? "where" : "rules";
    return in_only(in, at, json, KNOWN) &&
           condition_member(in, at, json, key, &query->segment.where) &&
           as_of_member(in, at, json, &query->segment.as_of);
}

static bool read_users(struct input *in, const struct at *at, struct json_value json,
                       struct query *query)
{
    static const char *const KNOWN[] = { "report", "explain",   "analyze",    "where",
                                         "select", "order_by",  "descending", "limit",
                                         "as_of",  "time_zone", NULL };
    struct at select = in_member_at(at, "select");
    struct at order_by = in_member_at(at, "order_by");
    struct at descending = in_member_at(at, "descending");
    struct users *users = &query->users;
    struct json_value member;

    if (!in_only(in, at, json, KNOWN) || !condition_member(in, at, json, "where", &users->where) ||
        !as_of_member(in, at, json, &users->as_of) ||
        !limit_member(in, at, json, &users->has_limit, &users->limit) ||
        !in_read_flag(in, at, json, "descending", &users->is_descending))
        return false;
    if (in_has(json, "select", &member) &&
        !(json_is(member, JSON_ARRAY) && json_count(member) == 0) &&
        !in_read_names(in, &select, member, TREE_NAMES_MAX, &users->columns, &users->column_count))
        return false;
    if (in_has(json, "order_by", &member) && !in_read_name(in, &order_by, member, &users->order_by))
        return false;
    return !users->is_descending || users->order_by.text.len > 0 ||
           in_wrong(in, &descending, "there's no \"order_by\"");
}

static bool read_events(struct input *in, const struct at *at, struct json_value json,
                        struct query *query)
{
    static const char *const KNOWN[] = { "report", "explain", "analyze",   "identity", "where",
                                         "span",   "limit",   "time_zone", NULL };
    struct at identity = in_member_at(at, "identity");
    struct events *events = &query->events;
    struct json_value member;

    if (!in_only(in, at, json, KNOWN) || !in_filter_member(in, at, json, &events->where) ||
        !limit_member(in, at, json, &events->has_limit, &events->limit))
        return false;
    if (!in_has(json, "identity", &member))
        return in_wrong(in, at, "\"identity\" is missing");
    return in_read_text(in, &identity, member, &events->identity.text) &&
           in_place_of(in, &identity, &events->identity.at);
}

static bool check_exprs(struct input *in, const struct at *at, const struct query *query)
{
    if (query->report != REPORT_SELECT)
        return true;
    for (uint32_t i = 0; i < query->select.item_count; i++)
        if (tree_expr_depth(query->select.items[i].expr) > TREE_DEPTH_MAX)
            return in_wrong(in, at, "formulas are nested deeper than %d", TREE_DEPTH_MAX);
    return true;
}

static bool read_report(struct input *in, const struct at *at, struct json_value json,
                        struct query *query)
{
    static const char *const REPORTS[] = { "select",  "funnel", "retention", "flow",
                                           "segment", "users",  "events",    NULL };
    static bool (*const READERS[])(struct input * in, const struct at *at, struct json_value json,
                                   struct query *query) = {
        read_select, read_funnel, read_retention, read_flow, read_segment, read_users, read_events
    };
    struct at report_at = in_member_at(at, "report");
    struct at zone_at = in_member_at(at, "time_zone");
    struct json_value member;
    uint32_t which = REPORT_SEGMENT;

    if (!in_need_object(in, at, json))
        return false;
    if (in_has(json, "report", &member)) {
        if (!in_read_word(in, &report_at, member, REPORTS, &which))
            return false;
    } else if (!in_has(json, "rules", &member)) {
        return in_wrong(in, at,
                        "\"report\" is missing: select, funnel, retention, flow, segment, users "
                        "or events");
    }
    query->report = (enum report)which;
    if (!in_read_flag(in, at, json, "explain", &query->is_explain) ||
        !in_read_flag(in, at, json, "analyze", &query->is_analyze) ||
        !READERS[which](in, at, json, query) || !check_exprs(in, at, query) ||
        !in_span_member(in, at, json, "span", &query->span))
        return false;
    if (query->is_analyze && !query->is_explain)
        return in_wrong(in, at, "\"analyze\" goes with \"explain\"");
    return !in_has(json, "time_zone", &member) ||
           in_read_name(in, &zone_at, member, &query->time_zone);
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

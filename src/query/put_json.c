/* put_json.c - a tree as JSON, in one canonical way; tree_json.c reads it. */
#include "codec/jsonw.h"
#include "query/tree.h"

static void put_pair(struct jsonw *w, const char *key, const char *text)
{
    jsonw_key(w, key);
    jsonw_text(w, text);
}

static void put_flag(struct jsonw *w, const char *key, bool is_set)
{
    if (!is_set)
        return;
    jsonw_key(w, key);
    jsonw_bool(w, true);
}

static void put_name(struct jsonw *w, const char *key, struct bytes text)
{
    jsonw_key(w, key);
    jsonw_string(w, text);
}

/* --- times -------------------------------------------------------------------------- */

static void put_duration(struct jsonw *w, struct duration duration)
{
    static const char *const UNITS[] = { "ms", "s", "m", "h", "d", "w", "mo", "y" };
    char text[40];
    size_t len = 0;
    char digits[24];
    uint64_t rest = (uint64_t)duration.count;
    size_t digit_count = 0;

    do {
        digits[digit_count++] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    while (digit_count > 0)
        text[len++] = digits[--digit_count];
    for (const char *unit = UNITS[duration.unit]; *unit; unit++)
        text[len++] = *unit;
    jsonw_string(w, bytes_of(text, len));
}

static void put_when(struct jsonw *w, const struct when *when)
{
    switch (when->kind) {
    case WHEN_NONE:
        jsonw_null(w);
        break;
    case WHEN_TEXT:
        jsonw_string(w, when->text);
        break;
    case WHEN_NOW:
        jsonw_text(w, "now");
        break;
    case WHEN_TODAY:
        jsonw_text(w, "today");
        break;
    case WHEN_YESTERDAY:
        jsonw_text(w, "yesterday");
        break;
    case WHEN_AGO:
        jsonw_object(w);
        jsonw_key(w, "ago");
        put_duration(w, when->ago);
        jsonw_end_object(w);
        break;
    case WHEN_START_OF:
        jsonw_object(w);
        put_pair(w, "start_of", tree_unit_name(when->unit));
        jsonw_end_object(w);
        break;
    }
}

static void put_span(struct jsonw *w, const char *key, const struct span *span)
{
    if (span->kind == SPAN_ALL)
        return;
    jsonw_key(w, key);
    jsonw_object(w);
    if (span->kind == SPAN_RANGE && span->since.kind != WHEN_NONE) {
        jsonw_key(w, "since");
        put_when(w, &span->since);
    }
    if (span->kind == SPAN_RANGE && span->until.kind != WHEN_NONE) {
        jsonw_key(w, "until");
        put_when(w, &span->until);
    }
    if (span->kind == SPAN_BETWEEN) {
        jsonw_key(w, "between");
        jsonw_array(w);
        put_when(w, &span->since);
        put_when(w, &span->until);
        jsonw_end_array(w);
    }
    if (span->kind == SPAN_IN_LAST) {
        jsonw_key(w, "in_last");
        put_duration(w, span->last);
    }
    if (span->kind == SPAN_THIS)
        put_pair(w, "this", tree_unit_name(span->unit));
    jsonw_end_object(w);
}

/* --- conditions ------------------------------------------------------------------------- */

static void put_condition(struct jsonw *w, const struct condition *condition);

static void put_where(struct jsonw *w, const struct condition *where)
{
    if (!where)
        return;
    jsonw_key(w, "where");
    put_condition(w, where);
}

static void put_compare(struct jsonw *w, const char *kind, const struct compare *compare)
{
    bool is_list = compare->op == OP_IN || compare->op == OP_BETWEEN;

    put_name(w, kind, compare->name);
    put_pair(w, "operator", tree_op_name(compare->op));
    if (compare->op == OP_EXISTS)
        return;
    jsonw_key(w, "value");
    if (is_list)
        jsonw_array(w);
    for (uint32_t i = 0; i < compare->value_count; i++)
        jsonw_value(w, &compare->values[i]);
    if (is_list)
        jsonw_end_array(w);
}

/* One name as a text, several as a list. */
static void put_event_names(struct jsonw *w, const struct name *events, uint32_t count)
{
    jsonw_key(w, "event");
    if (count == 1) {
        jsonw_string(w, events[0].text);
        return;
    }
    jsonw_array(w);
    for (uint32_t i = 0; i < count; i++)
        jsonw_string(w, events[i].text);
    jsonw_end_array(w);
}

static void put_step_members(struct jsonw *w, const struct step *step)
{
    if (step->is_any_event) {
        put_flag(w, "any_event", true);
    } else {
        jsonw_key(w, "events");
        jsonw_array(w);
        for (uint32_t i = 0; i < step->event_count; i++)
            jsonw_string(w, step->events[i].text);
        jsonw_end_array(w);
    }
    put_where(w, step->where);
}

static void put_step(struct jsonw *w, const struct step *step)
{
    jsonw_object(w);
    put_step_members(w, step);
    jsonw_end_object(w);
}

static void put_steps(struct jsonw *w, const char *key, const struct step *steps, uint32_t count)
{
    jsonw_key(w, key);
    jsonw_array(w);
    for (uint32_t i = 0; i < count; i++)
        put_step(w, &steps[i]);
    jsonw_end_array(w);
}

static void put_did(struct jsonw *w, const struct did *did)
{
    if (did->step.is_any_event)
        put_flag(w, "any_event", true);
    else
        put_event_names(w, did->step.events, did->step.event_count);
    put_where(w, did->step.where);
    put_pair(w, "aggregate", tree_aggregate_name(did->aggregate));
    if (did->aggregate >= AGGREGATE_SUM)
        put_name(w, "property", did->property.text);
    put_pair(w, "operator", tree_op_name(did->op));
    jsonw_key(w, "value");
    if (did->op == OP_BETWEEN) {
        jsonw_array(w);
        jsonw_real(w, did->number);
        jsonw_real(w, did->number2);
        jsonw_end_array(w);
    } else {
        jsonw_real(w, did->number);
    }
    put_span(w, "time", &did->time);
    if (did->occurrence == OCCURRENCE_FIRST || did->occurrence == OCCURRENCE_LAST)
        put_pair(w, "occurrence", did->occurrence == OCCURRENCE_FIRST ? "first" : "last");
    if (did->occurrence == OCCURRENCE_NTH) {
        jsonw_key(w, "occurrence");
        jsonw_int(w, did->nth);
    }
    put_flag(w, "including_never", did->includes_never);
}

static void put_joined(struct jsonw *w, const struct condition *condition)
{
    jsonw_key(w, condition->kind == COND_ALL ? "all" : "any");
    jsonw_array(w);
    for (uint32_t i = 0; i < condition->child_count; i++)
        put_condition(w, condition->children[i]);
    jsonw_end_array(w);
}

static void put_condition(struct jsonw *w, const struct condition *condition)
{
    jsonw_object(w);
    switch (condition->kind) {
    case COND_ALL:
    case COND_ANY:
        put_joined(w, condition);
        break;
    case COND_NOT:
        jsonw_key(w, "not");
        put_condition(w, condition->children[0]);
        break;
    case COND_PROFILE:
        put_compare(w, "profile", &condition->compare);
        break;
    case COND_PROPERTY:
        put_compare(w, "property", &condition->compare);
        break;
    case COND_EVENT:
        put_event_names(w, condition->events, condition->event_count);
        break;
    case COND_DID:
        put_did(w, &condition->did);
        break;
    case COND_SEQUENCE:
        put_steps(w, "sequence", condition->sequence.steps, condition->sequence.step_count);
        jsonw_key(w, "within");
        put_duration(w, condition->sequence.within);
        put_span(w, "time", &condition->sequence.time);
        break;
    case COND_BUCKET:
        jsonw_key(w, "bucket");
        jsonw_array(w);
        jsonw_int(w, condition->bucket_first);
        jsonw_int(w, condition->bucket_last);
        jsonw_end_array(w);
        break;
    }
    jsonw_end_object(w);
}

/* --- keys and measures ---------------------------------------------------------------------- */

static void put_key(struct jsonw *w, const struct key *key)
{
    if (key->kind == KEY_TIME || key->kind == KEY_EVENT) {
        jsonw_text(w, key->kind == KEY_EVENT ? "event" : tree_unit_name(key->unit));
        return;
    }
    jsonw_object(w);
    put_name(w, key->kind == KEY_PROFILE ? "profile" : "property", key->name);
    jsonw_end_object(w);
}

static void put_keys(struct jsonw *w, const char *name, const struct key *keys, uint32_t count)
{
    if (count == 0)
        return;
    jsonw_key(w, name);
    jsonw_array(w);
    for (uint32_t i = 0; i < count; i++)
        put_key(w, &keys[i]);
    jsonw_end_array(w);
}

static void put_expr(struct jsonw *w, const struct expr *expr, struct bytes as)
{
    static const char *const FORMULAS[] = { "", "", "add", "subtract", "multiply", "divide" };

    if (expr->kind == EXPR_NUMBER && as.len == 0) {
        jsonw_real(w, expr->number);
        return;
    }
    jsonw_object(w);
    if (expr->kind == EXPR_NUMBER) {
        jsonw_key(w, "number");
        jsonw_real(w, expr->number);
    } else if (expr->kind == EXPR_MEASURE) {
        put_pair(w, "measure", tree_measure_name(expr->measure));
        if (expr->measure >= MEASURE_SUM)
            put_name(w, "property", expr->property.text);
        if (expr->measure == MEASURE_PERCENTILE) {
            jsonw_key(w, "q");
            jsonw_real(w, expr->q);
        }
        put_where(w, expr->where);
    } else {
        put_pair(w, "formula", FORMULAS[expr->kind]);
        jsonw_key(w, "of");
        jsonw_array(w);
        put_expr(w, expr->left, (struct bytes){ 0 });
        put_expr(w, expr->right, (struct bytes){ 0 });
        jsonw_end_array(w);
    }
    if (as.len > 0)
        put_name(w, "as", as);
    jsonw_end_object(w);
}

/* --- reports ----------------------------------------------------------------------------------- */

static void put_limit(struct jsonw *w, bool has_limit, uint64_t limit)
{
    if (!has_limit)
        return;
    jsonw_key(w, "limit");
    jsonw_uint(w, limit);
}

static void put_select(struct jsonw *w, const struct select *select)
{
    jsonw_key(w, "measures");
    jsonw_array(w);
    for (uint32_t i = 0; i < select->item_count; i++)
        put_expr(w, select->items[i].expr, select->items[i].as);
    jsonw_end_array(w);
    put_where(w, select->where);
    put_keys(w, "group_by", select->keys, select->key_count);
    if (select->order_count > 0) {
        jsonw_key(w, "order_by");
        jsonw_array(w);
        for (uint32_t i = 0; i < select->order_count; i++) {
            jsonw_object(w);
            jsonw_key(w, "item");
            jsonw_int(w, select->order[i].item);
            put_flag(w, "descending", select->order[i].is_descending);
            jsonw_end_object(w);
        }
        jsonw_end_array(w);
    }
    put_limit(w, select->has_limit, select->limit);
    put_flag(w, "other", select->has_other);
}

static void put_names(struct jsonw *w, const char *key, const struct name *names, uint32_t count)
{
    if (count == 0)
        return;
    jsonw_key(w, key);
    jsonw_array(w);
    for (uint32_t i = 0; i < count; i++)
        jsonw_string(w, names[i].text);
    jsonw_end_array(w);
}

static void put_exclusions(struct jsonw *w, const struct funnel *funnel)
{
    if (funnel->exclusion_count == 0)
        return;
    jsonw_key(w, "excluding");
    jsonw_array(w);
    for (uint32_t i = 0; i < funnel->exclusion_count; i++) {
        const struct exclusion *exclusion = &funnel->exclusions[i];
        jsonw_object(w);
        jsonw_key(w, "step");
        put_step(w, &exclusion->step);
        jsonw_key(w, "between");
        jsonw_array(w);
        jsonw_int(w, exclusion->from);
        jsonw_int(w, exclusion->to);
        jsonw_end_array(w);
        put_pair(w, "mode", exclusion->is_drop ? "drop" : "cut");
        jsonw_end_object(w);
    }
    jsonw_end_array(w);
}

static void put_funnel(struct jsonw *w, const struct funnel *funnel)
{
    static const char *const ATTEMPTS[] = { "best", "first", "each" };
    static const char *const ORDERS[] = { "loose", "strict", "any" };

    put_steps(w, "steps", funnel->steps, funnel->step_count);
    jsonw_key(w, "within");
    put_duration(w, funnel->within);
    put_pair(w, "window_from", funnel->is_window_from_previous ? "previous" : "first");
    put_pair(w, "attempt", ATTEMPTS[funnel->attempt]);
    jsonw_key(w, "ties");
    if (funnel->ties == TIES_GRACE) {
        jsonw_object(w);
        jsonw_key(w, "grace");
        put_duration(w, funnel->grace);
        jsonw_end_object(w);
    } else {
        jsonw_text(w, funnel->ties == TIES_ANY ? "any" : "seq");
    }
    put_pair(w, "order", ORDERS[funnel->order]);
    if (funnel->order == ORDER_STRICT)
        put_pair(w, "scope", funnel->is_strict_among_steps ? "steps" : "events");
    put_names(w, "holding", funnel->holding, funnel->holding_count);
    put_exclusions(w, funnel);
    put_pair(w, "complete", funnel->is_complete_in_range ? "in_range" : "until_window");
    put_flag(w, "within_session", funnel->is_within_session);
    put_keys(w, "by", funnel->keys, funnel->key_count);
}

static void put_retention(struct jsonw *w, const struct retention *retention)
{
    static const char *const MODES[] = { "on", "on_or_after", "on_or_before", "streak" };

    jsonw_key(w, "first");
    jsonw_bool(w, retention->is_first);
    jsonw_key(w, "start");
    put_step(w, &retention->start);
    jsonw_key(w, "return");
    put_step(w, &retention->back);
    put_pair(w, "unit", tree_unit_name(retention->unit));
    jsonw_key(w, "periods");
    jsonw_int(w, retention->periods);
    put_pair(w, "mode", MODES[retention->mode]);
    if (retention->bracket_count > 0) {
        jsonw_key(w, "brackets");
        jsonw_array(w);
        for (uint32_t i = 0; i < retention->bracket_count; i++)
            jsonw_int(w, retention->brackets[i]);
        jsonw_end_array(w);
    }
    put_flag(w, "rolling", retention->is_rolling);
    put_flag(w, "count_birth", retention->counts_birth);
    if (retention->sum.text.len > 0)
        put_name(w, "sum", retention->sum.text);
    put_keys(w, "by", retention->keys, retention->key_count);
}

static void put_flow(struct jsonw *w, const struct flow *flow)
{
    put_pair(w, "direction", flow->is_backwards ? "to" : "from");
    jsonw_key(w, "start");
    put_step(w, &flow->start);
    jsonw_key(w, "steps");
    jsonw_int(w, flow->steps);
    if (flow->has_within) {
        jsonw_key(w, "within");
        put_duration(w, flow->within);
    }
    put_flag(w, "collapse", flow->is_collapsed);
    put_names(w, "hide", flow->hidden, flow->hidden_count);
    put_names(w, "keep", flow->kept, flow->kept_count);
    if (flow->expansion_count > 0) {
        jsonw_key(w, "expand");
        jsonw_array(w);
        for (uint32_t i = 0; i < flow->expansion_count; i++) {
            jsonw_object(w);
            put_name(w, "event", flow->expansions[i].event.text);
            put_name(w, "property", flow->expansions[i].property.text);
            jsonw_end_object(w);
        }
        jsonw_end_array(w);
    }
    put_limit(w, true, flow->limit);
}

static void put_as_of(struct jsonw *w, const struct when *as_of)
{
    if (as_of->kind == WHEN_NONE)
        return;
    jsonw_key(w, "as_of");
    put_when(w, as_of);
}

static void put_users(struct jsonw *w, const struct users *users)
{
    put_where(w, users->where);
    put_names(w, "select", users->columns, users->column_count);
    put_as_of(w, &users->as_of);
    if (users->order_by.text.len > 0) {
        put_name(w, "order_by", users->order_by.text);
        put_flag(w, "descending", users->is_descending);
    }
    put_limit(w, users->has_limit, users->limit);
}

static void put_events(struct jsonw *w, const struct events *events)
{
    put_name(w, "identity", events->identity.text);
    put_where(w, events->where);
    put_limit(w, events->has_limit, events->limit);
}

void query_put_json(const struct query *query, struct buf *to)
{
    struct jsonw w = jsonw_of(to);

    jsonw_object(&w);
    put_pair(&w, "report", query_report(query));
    put_flag(&w, "explain", query->is_explain);
    put_flag(&w, "analyze", query->is_analyze);
    switch (query->report) {
    case REPORT_SELECT:
        put_select(&w, &query->select);
        break;
    case REPORT_FUNNEL:
        put_funnel(&w, &query->funnel);
        break;
    case REPORT_RETENTION:
        put_retention(&w, &query->retention);
        break;
    case REPORT_FLOW:
        put_flow(&w, &query->flow);
        break;
    case REPORT_SEGMENT:
        put_where(&w, query->segment.where);
        put_as_of(&w, &query->segment.as_of);
        break;
    case REPORT_USERS:
        put_users(&w, &query->users);
        break;
    case REPORT_EVENTS:
        put_events(&w, &query->events);
        break;
    }
    put_span(&w, "span", &query->span);
    if (query->time_zone.text.len > 0)
        put_name(&w, "time_zone", query->time_zone.text);
    jsonw_end_object(&w);
}

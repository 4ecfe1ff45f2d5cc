/* put_cql.c - a tree as CQL, in one canonical way: reading it back gives an equal tree. */
#include "codec/jsonw.h"
#include "query/cql_internal.h"

static void put(struct buf *to, const char *text)
{
    buf_put(to, bytes_from(text));
}

static void put_quoted(struct buf *to, struct bytes text, uint8_t quote)
{
    buf_put_u8(to, quote);
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == quote)
            buf_put_u8(to, quote);
        buf_put_u8(to, text.ptr[i]);
    }
    buf_put_u8(to, quote);
}

static void put_string(struct buf *to, struct bytes text)
{
    put_quoted(to, text, '\'');
}

static bool is_plain_byte(uint8_t byte, bool is_first)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || byte == '_' ||
           byte == '$' || byte >= 0x80 || (!is_first && byte >= '0' && byte <= '9');
}

/* Words joined by dots, the first of them not one of the language's. */
static bool is_plain_name(struct bytes name, bool may_have_dots)
{
    size_t start = 0;
    bool is_first_part = true;

    for (size_t i = 0; i <= name.len; i++) {
        if (i < name.len && name.ptr[i] != '.') {
            if (!is_plain_byte(name.ptr[i], i == start))
                return false;
            continue;
        }
        if (i == start || (i < name.len && !may_have_dots))
            return false;
        if (is_first_part && cql_is_reserved(bytes_slice(name, start, i - start)))
            return false;
        is_first_part = false;
        start = i + 1;
    }
    return true;
}

static void put_name(struct buf *to, struct bytes name)
{
    if (is_plain_name(name, true))
        buf_put(to, name);
    else
        put_quoted(to, name, '"');
}

static void put_number(struct buf *to, double number)
{
    char text[32];
    buf_put(to, bytes_of(text, real_to_text(number, text)));
}

static void put_value(struct buf *to, const struct value *value)
{
    switch (value->type) {
    case VALUE_INT:
        buf_printf(to, "%lld", (long long)value->integer);
        break;
    case VALUE_REAL:
        put_number(to, value->real);
        break;
    case VALUE_BOOL:
        put(to, value->boolean ? "TRUE" : "FALSE");
        break;
    default:
        put_string(to, value->string);
        break;
    }
}

/* --- times ------------------------------------------------------------------------------- */

static void put_upper(struct buf *to, const char *word)
{
    for (; *word; word++)
        buf_put_u8(to, (uint8_t)(*word >= 'a' && *word <= 'z' ? *word - 'a' + 'A' : *word));
}

static void put_duration(struct buf *to, struct duration duration)
{
    static const char *const UNITS[] = { "millisecond", "second", "minute", "hour",
                                         "day",         "week",   "month",  "year" };
    buf_printf(to, "%lld %s%s", (long long)duration.count, UNITS[duration.unit],
               duration.count == 1 ? "" : "s");
}

static void put_when(struct buf *to, const struct when *when)
{
    switch (when->kind) {
    case WHEN_NONE:
        break;
    case WHEN_TEXT:
        put_string(to, when->text);
        break;
    case WHEN_AGO:
        put_duration(to, when->ago);
        put(to, " AGO");
        break;
    case WHEN_NOW:
        put(to, "NOW");
        break;
    case WHEN_TODAY:
        put(to, "TODAY");
        break;
    case WHEN_YESTERDAY:
        put(to, "YESTERDAY");
        break;
    case WHEN_START_OF:
        put(to, "START OF ");
        put_upper(to, tree_unit_name(when->unit));
        break;
    }
}

static void put_range(struct buf *to, const struct span *span)
{
    if (span->since.kind == WHEN_NONE) {
        put(to, " BEFORE ");
        put_when(to, &span->until);
        return;
    }
    put(to, " SINCE ");
    put_when(to, &span->since);
    if (span->until.kind == WHEN_NONE)
        return;
    put(to, " UNTIL ");
    put_when(to, &span->until);
}

static void put_span(struct buf *to, const struct span *span)
{
    switch (span->kind) {
    case SPAN_ALL:
        break;
    case SPAN_RANGE:
        put_range(to, span);
        break;
    case SPAN_BETWEEN:
        put(to, " BETWEEN ");
        put_when(to, &span->since);
        put(to, " AND ");
        put_when(to, &span->until);
        break;
    case SPAN_IN_LAST:
        put(to, " IN LAST ");
        put_duration(to, span->last);
        break;
    case SPAN_THIS:
        put(to, " THIS ");
        put_upper(to, tree_unit_name(span->unit));
        break;
    }
}

/* --- conditions ------------------------------------------------------------------------------ */

static const char *op_text(enum compare_op op)
{
    static const char *const TEXTS[] = {
        " = ",           " != ",        " < ",       " <= ",       " > ",
        " >= ",          " BETWEEN ",   " IN ",      " CONTAINS ", " ICONTAINS ",
        " STARTS WITH ", " ENDS WITH ", " MATCHES ", " EXISTS"
    };
    return TEXTS[op];
}

static void put_compare(struct buf *to, const struct compare *compare)
{
    put_name(to, compare->name);
    put(to, op_text(compare->op));
    if (compare->op == OP_IN)
        put(to, "(");
    for (uint32_t i = 0; i < compare->value_count; i++) {
        if (i > 0)
            put(to, compare->op == OP_BETWEEN ? " AND " : ", ");
        put_value(to, &compare->values[i]);
    }
    if (compare->op == OP_IN)
        put(to, ")");
}

static void put_event_filter(struct buf *to, const struct condition *condition)
{
    put(to, condition->event_count == 1 ? "event = " : "event IN (");
    for (uint32_t i = 0; i < condition->event_count; i++) {
        if (i > 0)
            put(to, ", ");
        put_string(to, condition->events[i].text);
    }
    if (condition->event_count != 1)
        put(to, ")");
}

static void put_condition(struct buf *to, const struct condition *condition);

static void put_step_in(struct buf *to, const struct step *step, bool is_in_condition)
{
    if (step->is_any_event)
        put(to, "ANY EVENT");
    for (uint32_t i = 0; i < step->event_count; i++) {
        if (i > 0)
            put(to, " OR ");
        put_string(to, step->events[i].text);
    }
    if (!step->where)
        return;
    put(to, is_in_condition ? " WHERE (" : " WHERE ");
    put_condition(to, step->where);
    if (is_in_condition)
        put(to, ")");
}

void tree_put_step(const struct step *step, struct buf *to)
{
    put_step_in(to, step, false);
}

static void put_steps(struct buf *to, const struct step *steps, uint32_t count,
                      bool is_in_condition)
{
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0)
            put(to, " THEN ");
        put_step_in(to, &steps[i], is_in_condition);
    }
}

static bool is_plain_did(const struct did *did)
{
    return did->aggregate == AGGREGATE_COUNT && did->op == OP_GE && did->number == 1;
}

static void put_did(struct buf *to, const struct did *did)
{
    static const char *const OCCURRENCES[] = { "", " FIRST", " LAST", " NTH " };

    put(to, "DID ");
    put_step_in(to, &did->step, true);
    if (!is_plain_did(did)) {
        put(to, " ");
        put_upper(to, tree_aggregate_name(did->aggregate));
        if (did->aggregate >= AGGREGATE_SUM) {
            put(to, "(");
            put_name(to, did->property.text);
            put(to, ")");
        }
        put(to, op_text(did->op));
        put_number(to, did->number);
        if (did->op == OP_BETWEEN) {
            put(to, " AND ");
            put_number(to, did->number2);
        }
    }
    put_span(to, &did->time);
    put(to, OCCURRENCES[did->occurrence]);
    if (did->occurrence == OCCURRENCE_NTH)
        buf_printf(to, "%u", did->nth);
    if (did->includes_never)
        put(to, " INCLUDING NEVER");
}

static void put_joined(struct buf *to, const struct condition *condition)
{
    if (condition->child_count == 0)
        put(to, condition->kind == COND_ALL ? "TRUE" : "FALSE");
    for (uint32_t i = 0; i < condition->child_count; i++) {
        const struct condition *child = condition->children[i];
        bool has_parens = child->kind == COND_ANY && child->child_count > 0;
        if (i > 0)
            put(to, condition->kind == COND_ALL ? " AND " : " OR ");
        if (has_parens)
            put(to, "(");
        put_condition(to, child);
        if (has_parens)
            put(to, ")");
    }
}

static void put_not(struct buf *to, const struct condition *child)
{
    bool has_parens =
        (child->kind == COND_ANY || child->kind == COND_ALL) && child->child_count > 0;
    put(to, has_parens ? "NOT (" : "NOT ");
    put_condition(to, child);
    if (has_parens)
        put(to, ")");
}

static void put_condition(struct buf *to, const struct condition *condition)
{
    switch (condition->kind) {
    case COND_ALL:
    case COND_ANY:
        put_joined(to, condition);
        break;
    case COND_NOT:
        put_not(to, condition->children[0]);
        break;
    case COND_PROFILE:
        put(to, "profile.");
        put_compare(to, &condition->compare);
        break;
    case COND_PROPERTY:
        put_compare(to, &condition->compare);
        break;
    case COND_EVENT:
        put_event_filter(to, condition);
        break;
    case COND_DID:
        put_did(to, &condition->did);
        break;
    case COND_SEQUENCE:
        put(to, "SEQUENCE ");
        put_steps(to, condition->sequence.steps, condition->sequence.step_count, true);
        put(to, " WITHIN ");
        put_duration(to, condition->sequence.within);
        put_span(to, &condition->sequence.time);
        break;
    case COND_BUCKET:
        buf_printf(to, "BUCKET %u TO %u", condition->bucket_first, condition->bucket_last);
        break;
    }
}

/* --- keys and measures ---------------------------------------------------------------------------- */

void tree_put_key(const struct key *key, struct buf *to)
{
    switch (key->kind) {
    case KEY_TIME:
        put(to, tree_unit_name(key->unit));
        break;
    case KEY_EVENT:
        put(to, "event");
        break;
    case KEY_PROFILE:
        put(to, "profile.");
        put_name(to, key->name);
        break;
    case KEY_PROPERTY:
        put_name(to, key->name);
        break;
    }
}

static void put_keys(struct buf *to, const char *before, const struct key *keys, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        put(to, i == 0 ? before : ", ");
        tree_put_key(&keys[i], to);
    }
}

static void put_measure(struct buf *to, const struct expr *expr)
{
    put(to, tree_measure_name(expr->measure));
    put(to, "(");
    if (expr->measure >= MEASURE_SUM)
        put_name(to, expr->property.text);
    if (expr->measure == MEASURE_PERCENTILE) {
        put(to, ", ");
        put_number(to, expr->q);
    }
    put(to, ")");
    if (!expr->where)
        return;
    put(to, " FILTER (WHERE ");
    put_condition(to, expr->where);
    put(to, ")");
}

static int precedence(const struct expr *expr)
{
    if (expr->kind == EXPR_ADD || expr->kind == EXPR_SUBTRACT)
        return 1;
    return expr->kind == EXPR_MULTIPLY || expr->kind == EXPR_DIVIDE ? 2 : 3;
}

static void put_operand(struct buf *to, const struct expr *expr, bool has_parens)
{
    if (has_parens)
        put(to, "(");
    tree_put_expr(expr, to);
    if (has_parens)
        put(to, ")");
}

void tree_put_expr(const struct expr *expr, struct buf *to)
{
    static const char *const SIGNS[] = { "", "", " + ", " - ", " * ", " / " };

    if (expr->kind == EXPR_NUMBER) {
        put_number(to, expr->number);
        return;
    }
    if (expr->kind == EXPR_MEASURE) {
        put_measure(to, expr);
        return;
    }
    put_operand(to, expr->left, precedence(expr->left) < precedence(expr));
    put(to, SIGNS[expr->kind]);
    put_operand(to, expr->right, precedence(expr->right) <= precedence(expr));
}

static void put_alias(struct buf *to, struct bytes alias)
{
    if (is_plain_name(alias, false))
        buf_put(to, alias);
    else
        put_quoted(to, alias, '"');
}

void tree_put_item(const struct item *item, struct buf *to)
{
    if (item->as.len > 0)
        put_name(to, item->as); /* as ORDER BY would read it */
    else
        tree_put_expr(item->expr, to);
}

/* --- statements -------------------------------------------------------------------------------------- */

static void put_limit(struct buf *to, bool has_limit, uint64_t limit)
{
    if (has_limit)
        buf_printf(to, " LIMIT %llu", (unsigned long long)limit);
}

static void put_zone(struct buf *to, const struct query *query)
{
    if (query->time_zone.text.len == 0)
        return;
    put(to, " IN TIME ZONE ");
    put_string(to, query->time_zone.text);
}

static void put_where(struct buf *to, const struct condition *where)
{
    if (!where)
        return;
    put(to, " WHERE ");
    put_condition(to, where);
}

/* By its text, unless another column before it has the same. */
static void put_order(struct buf *to, const struct select *select, const struct order *order)
{
    struct buf text;
    uint32_t found;

    buf_init(&text, TREE_TEXT_MAX * 4);
    if (order->item < select->key_count)
        tree_put_key(&select->keys[order->item], &text);
    else
        tree_put_item(&select->items[order->item - select->key_count], &text);
    bool is_number_text = text.len > 0 && text.ptr[0] >= '0' && text.ptr[0] <= '9';
    if (!is_number_text && tree_find_column(select, buf_bytes(&text), &found) &&
        found == order->item)
        buf_put(to, buf_bytes(&text));
    else
        buf_printf(to, "%u", order->item + 1);
    buf_done(&text);
    put(to, order->is_descending ? " DESC" : "");
}

static void put_select(struct buf *to, const struct query *query)
{
    const struct select *select = &query->select;

    put(to, "SELECT ");
    if (select->item_count == 0)
        put_keys(to, "", select->keys, select->key_count);
    for (uint32_t i = 0; i < select->item_count; i++) {
        if (i > 0)
            put(to, ", ");
        tree_put_expr(select->items[i].expr, to);
        if (select->items[i].as.len == 0)
            continue;
        put(to, " AS ");
        put_alias(to, select->items[i].as);
    }
    put(to, " FROM events");
    put_where(to, select->where);
    put_span(to, &query->span);
    put_keys(to, " GROUP BY ", select->keys, select->key_count);
    for (uint32_t i = 0; i < select->order_count; i++) {
        put(to, i == 0 ? " ORDER BY " : ", ");
        put_order(to, select, &select->order[i]);
    }
    put_limit(to, select->has_limit, select->limit);
    if (select->has_other)
        put(to, " WITH OTHER");
    put_zone(to, query);
}

static void put_names(struct buf *to, const char *before, const struct name *names, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        put(to, i == 0 ? before : ", ");
        put_name(to, names[i].text);
    }
}

static void put_exclusion(struct buf *to, const struct exclusion *exclusion, uint32_t steps)
{
    put(to, " EXCLUDING ");
    tree_put_step(&exclusion->step, to);
    if (exclusion->from != 1 || exclusion->to != steps)
        buf_printf(to, " BETWEEN %u AND %u", exclusion->from, exclusion->to);
    put(to, exclusion->is_drop ? " DROP" : "");
}

static void put_funnel_options(struct buf *to, const struct funnel *funnel)
{
    static const char *const ATTEMPTS[] = { "", " ATTEMPT FIRST", " ATTEMPT EACH" };
    static const char *const TIES[] = { "", " TIES SEQ", " TIES GRACE " };
    static const char *const ORDERS[] = { "", " ORDER STRICT", " ORDER ANY" };

    put(to, ATTEMPTS[funnel->attempt]);
    put(to, TIES[funnel->ties]);
    if (funnel->ties == TIES_GRACE)
        put_duration(to, funnel->grace);
    put(to, ORDERS[funnel->order]);
    put(to, funnel->is_strict_among_steps ? " AMONG STEPS" : "");
    put_names(to, " HOLDING ", funnel->holding, funnel->holding_count);
    for (uint32_t i = 0; i < funnel->exclusion_count; i++)
        put_exclusion(to, &funnel->exclusions[i], funnel->step_count);
    put(to, funnel->is_within_session ? " WITHIN SESSION" : "");
    put(to, funnel->is_complete_in_range ? " COMPLETE IN RANGE" : "");
}

static void put_funnel(struct buf *to, const struct query *query)
{
    const struct funnel *funnel = &query->funnel;

    put(to, "FUNNEL ");
    put_steps(to, funnel->steps, funnel->step_count, false);
    put(to, " WITHIN ");
    put_duration(to, funnel->within);
    put(to, funnel->is_window_from_previous ? " OF PREVIOUS" : "");
    put_funnel_options(to, funnel);
    put_keys(to, " BY ", funnel->keys, funnel->key_count);
    put_span(to, &query->span);
    put_zone(to, query);
}

static void put_retention(struct buf *to, const struct query *query)
{
    static const char *const MODES[] = { "", " ON OR AFTER", " ON OR BEFORE", " STREAK" };
    const struct retention *retention = &query->retention;

    put(to, retention->is_first ? "RETENTION OF FIRST " : "RETENTION OF ");
    tree_put_step(&retention->start, to);
    put(to, " RETURNING ");
    tree_put_step(&retention->back, to);
    put(to, retention->unit == UNIT_HOUR   ? " HOURLY"
            : retention->unit == UNIT_DAY  ? " DAILY"
            : retention->unit == UNIT_WEEK ? " WEEKLY"
                                           : " MONTHLY");
    buf_printf(to, " FOR %u", retention->periods);
    put(to, MODES[retention->mode]);
    for (uint32_t i = 0; i < retention->bracket_count; i++)
        buf_printf(to, "%s%u", i == 0 ? " BRACKETS " : ", ", retention->brackets[i]);
    put(to, retention->is_rolling ? " ROLLING" : "");
    put(to, retention->counts_birth ? " COUNT BIRTH" : "");
    if (retention->sum.text.len > 0) {
        put(to, " SUM(");
        put_name(to, retention->sum.text);
        put(to, ")");
    }
    put_keys(to, " BY ", retention->keys, retention->key_count);
    put_span(to, &query->span);
    put_zone(to, query);
}

static void put_event_names(struct buf *to, const char *before, const struct name *names,
                            uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        put(to, i == 0 ? before : ", ");
        put_string(to, names[i].text);
    }
}

static void put_flow(struct buf *to, const struct query *query)
{
    const struct flow *flow = &query->flow;

    put(to, flow->is_backwards ? "FLOW TO " : "FLOW FROM ");
    tree_put_step(&flow->start, to);
    buf_printf(to, " STEPS %u", flow->steps);
    if (flow->has_within) {
        put(to, " WITHIN ");
        put_duration(to, flow->within);
    }
    put(to, flow->is_collapsed ? " COLLAPSE" : "");
    put_event_names(to, " HIDE ", flow->hidden, flow->hidden_count);
    put_event_names(to, " KEEP ", flow->kept, flow->kept_count);
    for (uint32_t i = 0; i < flow->expansion_count; i++) {
        put(to, i == 0 ? " EXPAND " : ", ");
        put_string(to, flow->expansions[i].event.text);
        put(to, " BY ");
        put_name(to, flow->expansions[i].property.text);
    }
    put_limit(to, flow->limit != TREE_FLOW_LIMIT, flow->limit);
    put_span(to, &query->span);
    put_zone(to, query);
}

static void put_as_of(struct buf *to, const struct when *as_of)
{
    if (as_of->kind == WHEN_NONE)
        return;
    put(to, " AS OF ");
    put_when(to, as_of);
}

static void put_users(struct buf *to, const struct query *query)
{
    const struct users *users = &query->users;

    put(to, "USERS");
    put_where(to, users->where);
    put_names(to, " SELECT ", users->columns, users->column_count);
    put_as_of(to, &users->as_of);
    if (users->order_by.text.len > 0) {
        put_names(to, " ORDER BY ", &users->order_by, 1);
        put(to, users->is_descending ? " DESC" : "");
    }
    put_limit(to, users->has_limit, users->limit);
    put_zone(to, query);
}

void query_put_cql(const struct query *query, struct buf *to)
{
    if (query->is_explain)
        put(to, query->is_analyze ? "EXPLAIN ANALYZE " : "EXPLAIN ");
    switch (query->report) {
    case REPORT_SELECT:
        put_select(to, query);
        break;
    case REPORT_FUNNEL:
        put_funnel(to, query);
        break;
    case REPORT_RETENTION:
        put_retention(to, query);
        break;
    case REPORT_FLOW:
        put_flow(to, query);
        break;
    case REPORT_SEGMENT:
        put(to, "SEGMENT ");
        put_condition(to, query->segment.where);
        put_as_of(to, &query->segment.as_of);
        put_zone(to, query);
        break;
    case REPORT_USERS:
        put_users(to, query);
        break;
    case REPORT_EVENTS:
        put(to, "EVENTS OF ");
        put_string(to, query->events.identity.text);
        put_where(to, query->events.where);
        put_span(to, &query->span);
        put_limit(to, query->events.has_limit, query->events.limit);
        put_zone(to, query);
        break;
    }
}

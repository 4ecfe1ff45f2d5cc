/*
 * cql.c - CQL's statements. The grammar is in docs/query.md.
 *
 * Clauses behind the part that begins a statement may come in any order, each once: people
 * shouldn't have to remember whether SINCE goes before GROUP BY.
 */
#include "query/cql_internal.h"

/* --- clauses that several statements have ---------------------------------------------- */

/* SINCE … and IN TIME ZONE '…'. *found_out false: neither is here. */
static bool common_clause(struct cql *p, struct query *query, bool *found_out)
{
    struct token second = cql_peek(p, &p->now);
    struct token here = p->now;
    struct span span;

    if (cql_at_word(p, "IN") && !token_is_word(&second, "LAST")) {
        *found_out = true;
        if (query->time_zone.text.len > 0)
            return cql_wrong(p, here.offset, here.length, "the time zone is given twice");
        if (!cql_next(p) || !cql_need_word(p, "TIME") || !cql_need_word(p, "ZONE") ||
            !cql_text(p, "the 'name' of a time zone", &query->time_zone))
            return false;
        return query->time_zone.text.len > 0 ||
               cql_wrong(p, query->time_zone.at.offset, query->time_zone.at.length,
                         "a time zone has a name, such as 'Asia/Kolkata'");
    }
    if (!cql_span(p, &span, found_out))
        return false;
    if (*found_out && query->span.kind != SPAN_ALL)
        return cql_wrong(p, here.offset, here.length, "the time is given twice");
    if (*found_out)
        query->span = span;
    return true;
}

/* Takes the word unless the clause was there already. */
static bool once(struct cql *p, bool was_there, const char *what)
{
    if (was_there)
        return cql_wrong(p, p->now.offset, p->now.length, "%s is given twice", what);
    return cql_next(p);
}

static bool limit_clause(struct cql *p, bool *has_limit, uint64_t *limit)
{
    if (!once(p, *has_limit, "LIMIT"))
        return false;
    *has_limit = true;
    return cql_count(p, "how many rows at most", 1, TREE_LIMIT_MAX, limit);
}

static bool at_end(struct cql *p)
{
    return p->now.kind == TOKEN_END || token_is_symbol(&p->now, ";");
}

/* --- SELECT --------------------------------------------------------------------------------- */

static struct expr *expr_new(struct cql *p, enum expr_kind kind)
{
    struct expr *expr = arena_calloc(p->arena, 1, sizeof *expr);
    if (!expr) {
        (void)cql_no_memory(p);
        return NULL;
    }
    if (!cql_count_node(p))
        return NULL;
    expr->kind = kind;
    expr->at = token_place(&p->now);
    return expr;
}

static bool expr_sum(struct cql *p, const struct expr **out);

static bool measure_filter(struct cql *p, struct expr *expr)
{
    bool has_filter;
    if (!cql_take_word(p, "FILTER", &has_filter))
        return false;
    return !has_filter || (cql_need_symbol(p, "(") && cql_need_word(p, "WHERE") &&
                           cql_filter(p, &expr->where) && cql_need_symbol(p, ")"));
}

static bool measure_arguments(struct cql *p, struct expr *expr)
{
    bool is_star;
    if (!cql_next(p) || !cql_need_symbol(p, "("))
        return false;
    if (expr->measure <= MEASURE_SESSIONS)
        return cql_take_symbol(p, "*", &is_star) && cql_need_symbol(p, ")");
    if (!cql_name(p, "the name of a property", &expr->property))
        return false;
    if (expr->measure == MEASURE_PERCENTILE) {
        if (!cql_need_symbol(p, ","))
            return false;
        struct token at = p->now;
        if (!cql_number(p, &expr->q))
            return false;
        if (!(expr->q >= 0 && expr->q <= 1))
            return cql_wrong(p, at.offset, at.length,
                             "a percentile is from 0 to 1: 0.5 is the median");
    }
    return cql_need_symbol(p, ")");
}

static bool expr_measure(struct cql *p, const struct expr **out)
{
    for (enum measure measure = MEASURE_COUNT; measure <= MEASURE_PERCENTILE; measure++) {
        struct bytes name = bytes_from(tree_measure_name(measure));
        char upper[16] = { 0 };
        for (size_t i = 0; i < name.len && i < sizeof upper - 1; i++)
            upper[i] = (char)(name.ptr[i] - 'a' + 'A');
        if (!token_is_word(&p->now, upper))
            continue;
        struct expr *expr = expr_new(p, EXPR_MEASURE);
        if (!expr)
            return false;
        expr->measure = measure;
        *out = expr;
        return measure_arguments(p, expr) && measure_filter(p, expr);
    }
    return cql_unexpected(p, "count(), users(), sessions(), sum(p), avg(p), min(p), max(p), "
                             "distinct(p) or percentile(p, q)");
}

static bool expr_primary(struct cql *p, const struct expr **out)
{
    bool is_group;

    if (p->now.kind == TOKEN_INT || p->now.kind == TOKEN_REAL || token_is_symbol(&p->now, "-")) {
        struct expr *number = expr_new(p, EXPR_NUMBER);
        *out = number;
        return number && cql_number(p, &number->number);
    }
    if (!cql_take_symbol(p, "(", &is_group))
        return false;
    if (!is_group)
        return expr_measure(p, out);
    if (++p->depth > TREE_DEPTH_MAX)
        return cql_wrong(p, p->now.offset, p->now.length, "formulas are nested deeper than %d",
                         TREE_DEPTH_MAX);
    if (!expr_sum(p, out) || !cql_need_symbol(p, ")"))
        return false;
    p->depth--;
    return true;
}

/* A chain is as deep as it is long, and later walks recurse into it. */
static bool expr_chain(struct cql *p, bool is_product, const struct expr **out)
{
    const struct expr *left;
    uint32_t length = 0;

    if (!(is_product ? expr_primary(p, &left) : expr_chain(p, true, &left)))
        return false;
    for (;;) {
        enum expr_kind kind = is_product ? (token_is_symbol(&p->now, "*")   ? EXPR_MULTIPLY
                                            : token_is_symbol(&p->now, "/") ? EXPR_DIVIDE
                                                                            : EXPR_NUMBER)
                                         : (token_is_symbol(&p->now, "+")   ? EXPR_ADD
                                            : token_is_symbol(&p->now, "-") ? EXPR_SUBTRACT
                                                                            : EXPR_NUMBER);
        if (kind == EXPR_NUMBER)
            break;
        if (++length > TREE_DEPTH_MAX)
            return cql_wrong(p, p->now.offset, p->now.length, "a formula has more than %d terms",
                             TREE_DEPTH_MAX);
        struct expr *expr = expr_new(p, kind);
        if (!expr || !cql_next(p))
            return false;
        expr->left = left;
        if (!(is_product ? expr_primary(p, &expr->right) : expr_chain(p, true, &expr->right)))
            return false;
        left = expr;
    }
    *out = left;
    return true;
}

static bool expr_sum(struct cql *p, const struct expr **out)
{
    return expr_chain(p, false, out);
}

/* A key may be written among the items; it has to be in GROUP BY, and comes first anyway. */
static bool item_is_key(struct cql *p)
{
    struct token after = cql_peek(p, &p->now);
    return (p->now.kind == TOKEN_WORD || p->now.kind == TOKEN_NAME) &&
           !token_is_symbol(&after, "(");
}

static bool select_item(struct cql *p, struct list *items, struct list *keys)
{
    bool has_as;
    struct item item = { 0 };

    if (item_is_key(p)) {
        struct key key;
        return cql_key(p, &key) && cql_list_add(keys, &key, "keys");
    }
    struct token at = p->now;
    if (!expr_sum(p, &item.expr))
        return false;
    if (tree_expr_depth(item.expr) > TREE_DEPTH_MAX)
        return cql_wrong(p, at.offset, at.length, "formulas are nested deeper than %d",
                         TREE_DEPTH_MAX);
    if (!cql_take_word(p, "AS", &has_as))
        return false;
    if (has_as) {
        if (p->now.kind != TOKEN_WORD && p->now.kind != TOKEN_NAME && p->now.kind != TOKEN_STRING)
            return cql_unexpected(p, "a name for the column");
        if (p->now.text.len == 0)
            return cql_wrong(p, p->now.offset, p->now.length, "a name can't be empty");
        item.as = p->now.text;
        if (!cql_next(p))
            return false;
    }
    return cql_list_add(items, &item, "measures");
}

/* ORDER BY 2, ORDER BY day, ORDER BY count(): noted as written, resolved when all is known. */
struct order_text {
    struct token at;
    struct bytes text;
    uint64_t number; /* from 1; 0: by text */
    bool is_descending;
};

static bool order_item(struct cql *p, struct list *orders)
{
    struct order_text order = { .at = p->now };
    struct buf text;
    bool took;

    buf_init(&text, TREE_TEXT_MAX);
    if (p->now.kind == TOKEN_INT) {
        if (!cql_count(p, "a column", 1, TREE_KEYS_MAX + TREE_MEASURES_MAX, &order.number))
            return false;
    } else if (item_is_key(p)) {
        struct key key;
        if (!cql_key(p, &key))
            return false;
        tree_put_key(&key, &text);
    } else {
        const struct expr *expr;
        if (!expr_sum(p, &expr))
            return false;
        tree_put_expr(expr, &text);
    }
    order.text = arena_copy(p->arena, buf_bytes(&text));
    bool is_failed = text.is_failed || !order.text.ptr;
    buf_done(&text);
    if (is_failed)
        return cql_no_memory(p);
    order.at.length = p->now.offset - order.at.offset;
    if (!cql_take_word(p, "DESC", &order.is_descending))
        return false;
    if (!order.is_descending && !cql_take_word(p, "ASC", &took))
        return false;
    return cql_list_add(orders, &order, "columns to order by");
}

static bool order_clause(struct cql *p, struct list *orders)
{
    bool more = true;
    if (!once(p, orders->count > 0, "ORDER BY") || !cql_need_word(p, "BY"))
        return false;
    while (more)
        if (!order_item(p, orders) || !cql_take_symbol(p, ",", &more))
            return false;
    return true;
}

static bool resolve_order(struct cql *p, struct select *select, const struct list *texts)
{
    struct list orders;
    const struct order_text *text = (const struct order_text *)(const void *)texts->items;

    cql_list_init(&orders, p, sizeof(struct order), TREE_KEYS_MAX + TREE_MEASURES_MAX);
    for (uint32_t i = 0; i < texts->count; i++, text++) {
        struct order order = { .is_descending = text->is_descending };
        if (text->number > select->key_count + select->item_count)
            return cql_wrong(p, text->at.offset, text->at.length, "there's no such column");
        if (text->number > 0)
            order.item = (uint32_t)text->number - 1;
        else if (!tree_find_column(select, text->text, &order.item))
            return cql_wrong(p, text->at.offset, text->at.length,
                             "a question is ordered by something it groups by or selects");
        if (!cql_list_add(&orders, &order, "columns to order by"))
            return false;
    }
    select->order = (struct order *)(void *)orders.items;
    select->order_count = orders.count;
    return true;
}

static bool check_listed_keys(struct cql *p, const struct select *select, const struct list *listed)
{
    const struct key *key = (const struct key *)(const void *)listed->items;
    for (uint32_t i = 0; i < listed->count; i++, key++) {
        bool is_grouped = false;
        for (uint32_t k = 0; k < select->key_count; k++)
            is_grouped |= tree_keys_equal(key, &select->keys[k]);
        if (!is_grouped)
            return cql_wrong(p, key->at.offset, key->at.length,
                             "%.*s is selected without a measure around it, so it has to be in "
                             "GROUP BY",
                             (int)(key->at.length < 80 ? key->at.length : 80),
                             (const char *)p->text.ptr + key->at.offset);
    }
    return true;
}

static bool select_clauses(struct cql *p, struct query *query, struct list *orders)
{
    struct select *select = &query->select;
    bool took;

    while (!at_end(p)) {
        bool is_good = true;
        if (cql_at_word(p, "WHERE")) {
            is_good = once(p, select->where != NULL, "WHERE") && cql_filter(p, &select->where);
        } else if (cql_at_word(p, "GROUP")) {
            is_good = once(p, select->key_count > 0, "GROUP BY") && cql_need_word(p, "BY") &&
                      cql_keys(p, &select->keys, &select->key_count);
        } else if (cql_at_word(p, "ORDER")) {
            is_good = order_clause(p, orders);
        } else if (cql_at_word(p, "LIMIT")) {
            is_good = limit_clause(p, &select->has_limit, &select->limit) &&
                      cql_take_word(p, "WITH", &select->has_other) &&
                      (!select->has_other || cql_need_word(p, "OTHER"));
        } else {
            is_good = common_clause(p, query, &took);
            if (is_good && !took)
                return cql_unexpected(p, "the end");
        }
        if (!is_good)
            return false;
    }
    return true;
}

static bool select_statement(struct cql *p, struct query *query)
{
    struct select *select = &query->select;
    struct list items;
    struct list listed;
    struct list orders;
    bool more;

    cql_list_init(&items, p, sizeof(struct item), TREE_MEASURES_MAX);
    cql_list_init(&listed, p, sizeof(struct key), TREE_KEYS_MAX);
    cql_list_init(&orders, p, sizeof(struct order_text), TREE_KEYS_MAX + TREE_MEASURES_MAX);
    query->report = REPORT_SELECT;
    do {
        if (!select_item(p, &items, &listed) || !cql_take_symbol(p, ",", &more))
            return false;
    } while (more);
    if (!cql_take_word(p, "FROM", &more) || (more && !cql_need_word(p, "EVENTS")))
        return false;
    select->items = (struct item *)(void *)items.items;
    select->item_count = items.count;
    return select_clauses(p, query, &orders) && check_listed_keys(p, select, &listed) &&
           resolve_order(p, select, &orders);
}

/* --- FUNNEL ------------------------------------------------------------------------------------ */

static bool one_of(struct cql *p, const char *const *words, uint32_t count, uint32_t *which_out)
{
    for (uint32_t i = 0; i < count; i++) {
        if (!cql_at_word(p, words[i]))
            continue;
        *which_out = i;
        return cql_next(p);
    }
    return cql_unexpected(p, NULL);
}

static bool names(struct cql *p, const char *wanted, const struct name **out, uint32_t *count_out)
{
    struct list list;
    struct name name;
    bool more;

    cql_list_init(&list, p, sizeof name, TREE_NAMES_MAX);
    do {
        if (!cql_name(p, wanted, &name) || !cql_list_add(&list, &name, "names") ||
            !cql_take_symbol(p, ",", &more))
            return false;
    } while (more);
    *out = (struct name *)(void *)list.items;
    *count_out = list.count;
    return true;
}

static bool ties_clause(struct cql *p, struct funnel *funnel)
{
    static const char *const WORDS[] = { "ANY", "SEQ", "GRACE" };
    uint32_t which = 0;
    if (!cql_next(p) || !one_of(p, WORDS, 3, &which))
        return false;
    funnel->ties = (enum ties)which;
    return funnel->ties != TIES_GRACE || cql_duration(p, &funnel->grace);
}

static bool step_order_clause(struct cql *p, struct funnel *funnel)
{
    static const char *const WORDS[] = { "LOOSE", "STRICT", "ANY" };
    uint32_t which = 0;
    if (!cql_next(p) || !one_of(p, WORDS, 3, &which))
        return false;
    funnel->order = (enum step_order)which;
    if (funnel->order != ORDER_STRICT)
        return true;
    if (!cql_take_word(p, "AMONG", &funnel->is_strict_among_steps))
        return false;
    return !funnel->is_strict_among_steps || cql_need_word(p, "STEPS");
}

static bool attempt_clause(struct cql *p, struct funnel *funnel)
{
    static const char *const WORDS[] = { "BEST", "FIRST", "EACH" };
    uint32_t which = 0;
    if (!cql_next(p) || !one_of(p, WORDS, 3, &which))
        return false;
    funnel->attempt = (enum attempt)which;
    return true;
}

/* BETWEEN 1 AND 2; a span's BETWEEN has a time instead. */
static bool is_step_range(struct cql *p)
{
    if (!cql_at_word(p, "BETWEEN"))
        return false;
    struct token first = cql_peek(p, &p->now);
    struct token second = cql_peek(p, &first);
    return first.kind == TOKEN_INT && token_is_word(&second, "AND");
}

static bool exclusion_clause(struct cql *p, struct funnel *funnel, struct list *exclusions)
{
    struct exclusion exclusion = { .from = 1, .to = funnel->step_count };
    bool is_cut;

    if (!cql_next(p) || !cql_step(p, false, &exclusion.step))
        return false;
    if (is_step_range(p)) {
        uint64_t from;
        uint64_t to;
        if (!cql_next(p) ||
            !cql_count(p, "the number of a step", 1, funnel->step_count - 1, &from) ||
            !cql_need_word(p, "AND") ||
            !cql_count(p, "the number of a later step", from + 1, funnel->step_count, &to))
            return false;
        exclusion.from = (uint32_t)from;
        exclusion.to = (uint32_t)to;
    }
    if (!cql_take_word(p, "DROP", &exclusion.is_drop))
        return false;
    if (!exclusion.is_drop && !cql_take_word(p, "CUT", &is_cut))
        return false;
    return cql_list_add(exclusions, &exclusion, "exclusions");
}

static bool within_clause(struct cql *p, struct funnel *funnel, bool *has_within)
{
    bool is_session;
    bool is_of;
    struct token at = p->now;

    if (!cql_next(p) || !cql_take_word(p, "SESSION", &is_session))
        return false;
    if (is_session) {
        funnel->is_within_session = true;
        return true;
    }
    if (*has_within)
        return cql_wrong(p, at.offset, at.length, "WITHIN is given twice");
    *has_within = true;
    if (!cql_duration(p, &funnel->within) || !cql_take_word(p, "OF", &is_of))
        return false;
    funnel->is_window_from_previous = is_of;
    return !is_of || cql_need_word(p, "PREVIOUS");
}

static bool funnel_clause(struct cql *p, struct query *query, struct list *exclusions,
                          bool *has_within)
{
    struct funnel *funnel = &query->funnel;
    bool took;

    if (cql_at_word(p, "WITHIN"))
        return within_clause(p, funnel, has_within);
    if (cql_at_word(p, "ATTEMPT"))
        return attempt_clause(p, funnel);
    if (cql_at_word(p, "TIES"))
        return ties_clause(p, funnel);
    if (cql_at_word(p, "ORDER"))
        return step_order_clause(p, funnel);
    if (cql_at_word(p, "HOLDING"))
        return once(p, funnel->holding_count > 0, "HOLDING") &&
               names(p, "the name of a property", &funnel->holding, &funnel->holding_count);
    if (cql_at_word(p, "EXCLUDING"))
        return exclusion_clause(p, funnel, exclusions);
    if (cql_at_word(p, "COMPLETE")) {
        funnel->is_complete_in_range = true;
        return cql_next(p) && cql_need_word(p, "IN") && cql_need_word(p, "RANGE");
    }
    if (cql_at_word(p, "BY"))
        return once(p, funnel->key_count > 0, "BY") &&
               cql_keys(p, &funnel->keys, &funnel->key_count);
    if (!common_clause(p, query, &took))
        return false;
    return took || cql_unexpected(p, at_end(p) ? NULL : "the end");
}

static bool funnel_statement(struct cql *p, struct query *query)
{
    struct funnel *funnel = &query->funnel;
    struct list exclusions;
    bool has_within = false;

    query->report = REPORT_FUNNEL;
    cql_list_init(&exclusions, p, sizeof(struct exclusion), TREE_STEPS_MAX);
    if (!cql_steps(p, false, &funnel->steps, &funnel->step_count))
        return false;
    while (!at_end(p))
        if (!funnel_clause(p, query, &exclusions, &has_within))
            return false;
    if (!has_within) {
        (void)cql_at_word(p, "WITHIN");
        return cql_unexpected(p, NULL);
    }
    funnel->exclusions = (struct exclusion *)(void *)exclusions.items;
    funnel->exclusion_count = exclusions.count;
    return true;
}

/* --- RETENTION ----------------------------------------------------------------------------------- */

static bool mode_clause(struct cql *p, struct retention *retention)
{
    static const char *const WORDS[] = { "AFTER", "BEFORE" };
    bool is_or;
    uint32_t which = 0;

    if (!cql_next(p) || !cql_take_word(p, "OR", &is_or))
        return false;
    if (!is_or)
        return true;
    if (!one_of(p, WORDS, 2, &which))
        return false;
    retention->mode = which == 0 ? RETENTION_ON_OR_AFTER : RETENTION_ON_OR_BEFORE;
    return true;
}

static bool brackets_clause(struct cql *p, struct retention *retention)
{
    struct list list;
    bool more;
    uint32_t last = 0;

    if (!once(p, retention->bracket_count > 0, "BRACKETS"))
        return false;
    cql_list_init(&list, p, sizeof(uint32_t), TREE_PERIODS_MAX);
    do {
        uint64_t k;
        if (!cql_count(p, "a period's number, ascending", list.count ? last + 1 : 0,
                       TREE_PERIODS_MAX, &k))
            return false;
        last = (uint32_t)k;
        if (!cql_list_add(&list, &last, "brackets") || !cql_take_symbol(p, ",", &more))
            return false;
    } while (more);
    retention->brackets = (uint32_t *)(void *)list.items;
    retention->bracket_count = list.count;
    return true;
}

static bool retention_clause(struct cql *p, struct query *query)
{
    struct retention *retention = &query->retention;
    bool took;

    if (cql_at_word(p, "FOR")) {
        uint64_t periods;
        if (!cql_next(p) || !cql_count(p, "how many periods", 1, TREE_PERIODS_MAX, &periods))
            return false;
        retention->periods = (uint32_t)periods;
        return true;
    }
    if (cql_at_word(p, "ON"))
        return mode_clause(p, retention);
    if (cql_at_word(p, "STREAK")) {
        retention->mode = RETENTION_STREAK;
        return cql_next(p);
    }
    if (cql_at_word(p, "BRACKETS"))
        return brackets_clause(p, retention);
    if (cql_at_word(p, "ROLLING")) {
        retention->is_rolling = true;
        return cql_next(p);
    }
    if (cql_at_word(p, "COUNT")) {
        retention->counts_birth = true;
        return cql_next(p) && cql_need_word(p, "BIRTH");
    }
    if (cql_at_word(p, "SUM"))
        return once(p, retention->sum.text.len > 0, "SUM") && cql_need_symbol(p, "(") &&
               cql_name(p, "the name of a property", &retention->sum) && cql_need_symbol(p, ")");
    if (cql_at_word(p, "BY"))
        return once(p, retention->key_count > 0, "BY") &&
               cql_keys(p, &retention->keys, &retention->key_count);
    if (!common_clause(p, query, &took))
        return false;
    return took || cql_unexpected(p, at_end(p) ? NULL : "the end");
}

static bool retention_statement(struct cql *p, struct query *query)
{
    static const char *const WORDS[] = { "HOURLY", "DAILY", "WEEKLY", "MONTHLY" };
    static const enum calendar_unit UNITS[] = { UNIT_HOUR, UNIT_DAY, UNIT_WEEK, UNIT_MONTH };
    struct retention *retention = &query->retention;
    uint32_t which = 0;

    query->report = REPORT_RETENTION;
    if (!cql_need_word(p, "OF") || !cql_take_word(p, "FIRST", &retention->is_first) ||
        !cql_step(p, false, &retention->start) || !cql_need_word(p, "RETURNING") ||
        !cql_step(p, false, &retention->back) || !one_of(p, WORDS, 4, &which))
        return false;
    retention->unit = UNITS[which];
    retention->periods = tree_periods_default(retention->unit);
    while (!at_end(p))
        if (!retention_clause(p, query))
            return false;
    return true;
}

/* --- FLOW ------------------------------------------------------------------------------------- */

static bool event_names(struct cql *p, const struct name **out, uint32_t *count_out)
{
    struct list list;
    struct name name;
    bool more;

    cql_list_init(&list, p, sizeof name, TREE_NAMES_MAX);
    do {
        if (!cql_text(p, "the 'name' of an event", &name) ||
            !cql_list_add(&list, &name, "events") || !cql_take_symbol(p, ",", &more))
            return false;
    } while (more);
    *out = (struct name *)(void *)list.items;
    *count_out = list.count;
    return true;
}

static bool expand_clause(struct cql *p, struct flow *flow)
{
    struct list list;
    struct expansion expansion;
    bool more;

    if (!once(p, flow->expansion_count > 0, "EXPAND"))
        return false;
    cql_list_init(&list, p, sizeof expansion, TREE_NAMES_MAX);
    do {
        if (!cql_text(p, "the 'name' of an event", &expansion.event) || !cql_need_word(p, "BY") ||
            !cql_name(p, "the name of a property", &expansion.property) ||
            !cql_list_add(&list, &expansion, "expanded events") || !cql_take_symbol(p, ",", &more))
            return false;
    } while (more);
    flow->expansions = (struct expansion *)(void *)list.items;
    flow->expansion_count = list.count;
    return true;
}

static bool shown_clause(struct cql *p, struct flow *flow)
{
    struct token at = p->now;
    bool is_keep = token_is_word(&at, "KEEP");
    if (is_keep ? flow->hidden_count > 0 : flow->kept_count > 0)
        return cql_wrong(p, at.offset, at.length, "HIDE and KEEP don't go together");
    if (is_keep)
        return once(p, flow->kept_count > 0, "KEEP") &&
               event_names(p, &flow->kept, &flow->kept_count);
    return once(p, flow->hidden_count > 0, "HIDE") &&
           event_names(p, &flow->hidden, &flow->hidden_count);
}

static bool flow_clause(struct cql *p, struct query *query, bool *has_steps, bool *has_limit)
{
    struct flow *flow = &query->flow;
    uint64_t steps;
    bool took;

    if (cql_at_word(p, "STEPS")) {
        if (!once(p, *has_steps, "STEPS") ||
            !cql_count(p, "how many steps", 1, TREE_FLOW_STEPS_MAX, &steps))
            return false;
        *has_steps = true;
        flow->steps = (uint32_t)steps;
        return true;
    }
    if (cql_at_word(p, "WITHIN")) {
        if (!once(p, flow->has_within, "WITHIN"))
            return false;
        flow->has_within = true;
        return cql_duration(p, &flow->within);
    }
    if (cql_at_word(p, "COLLAPSE")) {
        flow->is_collapsed = true;
        return cql_next(p);
    }
    if (cql_at_word(p, "HIDE") || cql_at_word(p, "KEEP"))
        return shown_clause(p, flow);
    if (cql_at_word(p, "EXPAND"))
        return expand_clause(p, flow);
    if (cql_at_word(p, "LIMIT")) {
        if (!once(p, *has_limit, "LIMIT"))
            return false;
        *has_limit = true;
        return cql_count(p, "how many paths at most", 1, TREE_FLOW_LIMIT_MAX, &flow->limit);
    }
    if (!common_clause(p, query, &took))
        return false;
    return took || cql_unexpected(p, at_end(p) ? NULL : "the end");
}

static bool flow_statement(struct cql *p, struct query *query)
{
    static const char *const WORDS[] = { "FROM", "TO" };
    struct flow *flow = &query->flow;
    bool has_steps = false;
    bool has_limit = false;
    uint32_t which = 0;

    query->report = REPORT_FLOW;
    flow->steps = TREE_FLOW_STEPS;
    flow->limit = TREE_FLOW_LIMIT;
    if (!one_of(p, WORDS, 2, &which) || !cql_step(p, false, &flow->start))
        return false;
    flow->is_backwards = which == 1;
    if (flow->start.event_count > TREE_FLOW_STARTS_MAX) {
        const struct place *fourth = &flow->start.events[TREE_FLOW_STARTS_MAX].at;
        return cql_wrong(p, fourth->offset, fourth->length, "a flow has at most %d start events",
                         TREE_FLOW_STARTS_MAX);
    }
    while (!at_end(p))
        if (!flow_clause(p, query, &has_steps, &has_limit))
            return false;
    return true;
}

/* --- SEGMENT, USERS, EVENTS ---------------------------------------------------------------------------- */

static bool as_of_clause(struct cql *p, struct when *as_of)
{
    return once(p, as_of->kind != WHEN_NONE, "AS OF") && cql_need_word(p, "OF") &&
           cql_when(p, as_of);
}

static bool zone_clause(struct cql *p, struct query *query)
{
    struct token at = p->now;
    bool took;
    if (!common_clause(p, query, &took))
        return false;
    if (took && query->span.kind != SPAN_ALL)
        return cql_wrong(p, at.offset, at.length,
                         "times belong to the conditions here: DID … SINCE …");
    return took || cql_unexpected(p, at_end(p) ? NULL : "the end");
}

static bool segment_statement(struct cql *p, struct query *query)
{
    query->report = REPORT_SEGMENT;
    if (!cql_condition(p, &query->segment.where))
        return false;
    while (!at_end(p))
        if (!(cql_at_word(p, "AS") ? as_of_clause(p, &query->segment.as_of)
                                   : zone_clause(p, query)))
            return false;
    return true;
}

/* A profile property: p or profile.p. */
static bool profile_name(struct cql *p, struct name *out)
{
    struct token after = cql_peek(p, &p->now);
    if (token_is_word(&p->now, "PROFILE") && token_is_symbol(&after, ".") &&
        (!cql_next(p) || !cql_next(p)))
        return false;
    return cql_name(p, "the name of a profile property", out);
}

static bool users_columns(struct cql *p, struct users *users)
{
    struct list list;
    struct name name;
    bool more;

    if (!once(p, users->column_count > 0, "SELECT"))
        return false;
    cql_list_init(&list, p, sizeof name, TREE_NAMES_MAX);
    do {
        if (!profile_name(p, &name) || !cql_list_add(&list, &name, "columns") ||
            !cql_take_symbol(p, ",", &more))
            return false;
    } while (more);
    users->columns = (struct name *)(void *)list.items;
    users->column_count = list.count;
    return true;
}

static bool users_order(struct cql *p, struct users *users)
{
    bool took;
    if (!once(p, users->order_by.text.len > 0, "ORDER BY") || !cql_need_word(p, "BY") ||
        !profile_name(p, &users->order_by) || !cql_take_word(p, "DESC", &users->is_descending))
        return false;
    return users->is_descending || cql_take_word(p, "ASC", &took);
}

static bool users_statement(struct cql *p, struct query *query)
{
    struct users *users = &query->users;

    query->report = REPORT_USERS;
    if (!cql_need_word(p, "WHERE") || !cql_condition(p, &users->where))
        return false;
    while (!at_end(p)) {
        bool is_good = cql_at_word(p, "SELECT")  ? users_columns(p, users)
                       : cql_at_word(p, "AS")    ? as_of_clause(p, &users->as_of)
                       : cql_at_word(p, "ORDER") ? users_order(p, users)
                       : cql_at_word(p, "LIMIT") ? limit_clause(p, &users->has_limit, &users->limit)
                                                 : zone_clause(p, query);
        if (!is_good)
            return false;
    }
    return true;
}

static bool events_statement(struct cql *p, struct query *query)
{
    struct events *events = &query->events;
    bool took;

    query->report = REPORT_EVENTS;
    if (!cql_need_word(p, "OF") || !cql_text(p, "the 'identity' of a user", &events->identity))
        return false;
    while (!at_end(p)) {
        bool is_good;
        if (cql_at_word(p, "WHERE"))
            is_good = once(p, events->where != NULL, "WHERE") && cql_filter(p, &events->where);
        else if (cql_at_word(p, "LIMIT"))
            is_good = limit_clause(p, &events->has_limit, &events->limit);
        else
            is_good = common_clause(p, query, &took) && (took || cql_unexpected(p, "the end"));
        if (!is_good)
            return false;
    }
    return true;
}

/* --- all of them ----------------------------------------------------------------------------------- */

static bool statement(struct cql *p, struct query *query)
{
    static const struct {
        const char *word;
        bool (*parse)(struct cql *p, struct query *query);
    } STATEMENTS[] = {
        { "SELECT", select_statement },       { "FUNNEL", funnel_statement },
        { "RETENTION", retention_statement }, { "FLOW", flow_statement },
        { "SEGMENT", segment_statement },     { "USERS", users_statement },
        { "EVENTS", events_statement },
    };
    bool took;

    if (!cql_take_word(p, "EXPLAIN", &query->is_explain))
        return false;
    if (query->is_explain && !cql_take_word(p, "ANALYZE", &query->is_analyze))
        return false;
    for (size_t i = 0; i < sizeof STATEMENTS / sizeof STATEMENTS[0]; i++) {
        if (!cql_at_word(p, STATEMENTS[i].word))
            continue;
        if (!cql_next(p) || !STATEMENTS[i].parse(p, query) || !cql_take_symbol(p, ";", &took))
            return false;
        return p->now.kind == TOKEN_END || cql_unexpected(p, "the end");
    }
    return cql_unexpected(p, NULL);
}

struct err query_parse_cql(struct bytes text, struct arena *arena, struct query **out,
                           struct query_problem *problem_out)
{
    struct query_problem problem = { 0 };
    struct cql p = { .text = text, .arena = arena, .problem = &problem };
    struct query *query = arena_calloc(arena, 1, sizeof *query);
    struct bytes own = arena_copy(arena, bytes_slice(text, 0, TREE_TEXT_MAX)); /* names live on */

    if (!query || !own.ptr)
        return err_new(ERR_NOMEM, "query: read CQL");
    p.text = own;
    query->text = own;
    size_t wrong_at;
    if (text.len > TREE_TEXT_MAX)
        (void)cql_wrong(&p, TREE_TEXT_MAX, 0, "the question is longer than %d bytes",
                        TREE_TEXT_MAX);
    else if (!text_is_utf8(text, &wrong_at))
        (void)cql_wrong(&p, wrong_at, 1, "the question isn't UTF-8 here");
    else if (cql_lex(&p, 0, &p.now) && statement(&p, query)) {
        *out = query;
        return ok();
    }
    if (p.failed == ERR_INVALID)
        *problem_out = problem;
    return err_new(p.failed ? p.failed : ERR_INVALID, "query: read CQL");
}

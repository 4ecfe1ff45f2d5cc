#include "random_tree.h"

#include <stdlib.h>

struct gen {
    struct rng *rng;
    struct arena *arena;
};

static uint32_t below(struct gen *g, uint32_t bound)
{
    return (uint32_t)rng_below(g->rng, bound);
}

static bool coin(struct gen *g, uint32_t one_in)
{
    return below(g, one_in) == 0;
}

static void *room(struct gen *g, size_t count, size_t size)
{
    void *memory = arena_calloc(g->arena, count, size);
    if (!memory)
        abort();
    return memory;
}

static struct bytes name_text(struct gen *g)
{
    static const char *const NAMES[] = {
        "Amount", "Category", "Items.Category", "event",       "day",    "Unit Price",
        "a\"b",   "é",        "x.y.z",          "count",       "9lives", "limit",
        ".",      "a..b",     "profile.city",   "FIRST",       "it's",   "$D_x",
        "device", "Code",     "When",           "Items.Price", "age",    "city",
        "tags",   "born",     "Paid",           "Amount",
    };
    return bytes_from(NAMES[below(g, sizeof NAMES / sizeof NAMES[0])]);
}

static struct bytes event_text(struct gen *g)
{
    static const char *const NAMES[] = { "Charged", "Login", "Refunded", "it's", "\"q\"", "日本" };
    return bytes_from(NAMES[below(g, sizeof NAMES / sizeof NAMES[0])]);
}

static struct name *names_of(struct gen *g, uint32_t count, bool is_event)
{
    struct name *names = room(g, count, sizeof *names);
    for (uint32_t i = 0; i < count; i++)
        names[i].text = is_event ? event_text(g) : name_text(g);
    return names;
}

static double number(struct gen *g)
{
    switch (below(g, 4)) {
    case 0:
        return (double)below(g, 100);
    case 1:
        return -(double)below(g, 100);
    case 2:
        return rng_unit(g->rng) * 1000 - 500;
    default:
        return rng_unit(g->rng) * 1e300;
    }
}

static struct value value_of(struct gen *g, bool is_text)
{
    static const char *const TEXTS[] = { "",  "x",   "it's", "\n\t", "2025-01-01", "50%",
                                         "é", "ios", "toys", "Pune", "vip" };
    if (is_text)
        return value_string(bytes_from(TEXTS[below(g, 11)]));
    return coin(g, 5) ? value_int(INT64_MIN + (int64_t)below(g, 3)) : tree_number(number(g));
}

static struct duration duration_of(struct gen *g, bool is_ago)
{
    return (struct duration){ .count = below(g, 100),
                              .unit = (enum duration_unit)below(g, is_ago ? 8 : 6) };
}

static struct when when_of(struct gen *g)
{
    struct when when = { .kind = (enum when_kind)(1 + below(g, 6)) };
    if (when.kind == WHEN_TEXT)
        when.text = coin(g, 2) ? BYTES("2025-02-28") : BYTES("2025-02-28T10:00:00+05:30");
    if (when.kind == WHEN_AGO)
        when.ago = duration_of(g, true);
    if (when.kind == WHEN_START_OF)
        when.unit = (enum calendar_unit)below(g, 7);
    return when;
}

static struct span span_of(struct gen *g)
{
    struct span span = { .kind = (enum span_kind)below(g, 5) };
    if (span.kind == SPAN_RANGE) {
        uint32_t which = 1 + below(g, 3);
        if (which & 1)
            span.since = when_of(g);
        if (which & 2)
            span.until = when_of(g);
    }
    if (span.kind == SPAN_BETWEEN) {
        span.since = when_of(g);
        span.until = when_of(g);
    }
    if (span.kind == SPAN_IN_LAST)
        span.last = duration_of(g, false);
    if (span.kind == SPAN_THIS)
        span.unit = (enum calendar_unit)below(g, 7);
    return span;
}

static struct compare compare_of(struct gen *g)
{
    struct compare compare = { .name = name_text(g), .op = (enum compare_op)below(g, 14) };
    bool is_text = (compare.op >= OP_CONTAINS && compare.op <= OP_MATCHES) || coin(g, 2);
    uint32_t count = compare.op == OP_EXISTS    ? 0
                     : compare.op == OP_BETWEEN ? 2
                     : compare.op == OP_IN      ? 1 + below(g, 3)
                                                : 1;
    struct value *values = room(g, count, sizeof *values);
    for (uint32_t i = 0; i < count; i++)
        values[i] = value_of(g, is_text);
    if (compare.op <= OP_NE && coin(g, 4))
        values[0] = value_bool(coin(g, 2));
    compare.values = values;
    compare.value_count = count;
    return compare;
}

static const struct condition *condition_of(struct gen *g, bool is_users, uint32_t depth);

static struct step step_of(struct gen *g, uint32_t depth)
{
    struct step step = { .is_any_event = coin(g, 4) };
    if (!step.is_any_event) {
        step.event_count = 1 + below(g, 3);
        step.events = names_of(g, step.event_count, true);
    }
    if (coin(g, 2))
        step.where = condition_of(g, false, depth);
    return step;
}

static struct step *steps_of(struct gen *g, uint32_t count, uint32_t depth)
{
    struct step *steps = room(g, count, sizeof *steps);
    for (uint32_t i = 0; i < count; i++)
        steps[i] = step_of(g, depth);
    return steps;
}

static void did_of(struct gen *g, struct did *did, uint32_t depth)
{
    *did = (struct did){ .step = step_of(g, depth), .time = span_of(g), .op = OP_GE, .number = 1 };
    did->aggregate = (enum aggregate)below(g, 8);
    if (did->aggregate >= AGGREGATE_SUM)
        did->property.text = name_text(g);
    if (coin(g, 2)) {
        did->op = coin(g, 4) ? OP_BETWEEN : (enum compare_op)below(g, 6);
        did->number = number(g);
        if (did->op == OP_BETWEEN)
            did->number2 = number(g);
    }
    did->occurrence = (enum occurrence)below(g, 4);
    if (did->occurrence == OCCURRENCE_NTH)
        did->nth = 1 + below(g, 9);
    did->includes_never = coin(g, 3);
}

static const struct condition *leaf_of(struct gen *g, bool is_users, uint32_t depth)
{
    struct condition *leaf = room(g, 1, sizeof *leaf);
    if (coin(g, 4)) {
        leaf->kind = COND_PROFILE;
        leaf->compare = compare_of(g);
    } else if (!is_users && coin(g, 3)) {
        leaf->kind = COND_EVENT;
        leaf->event_count = 1 + below(g, 3);
        leaf->events = names_of(g, leaf->event_count, true);
    } else if (!is_users) {
        leaf->kind = COND_PROPERTY;
        leaf->compare = compare_of(g);
    } else if (coin(g, 4)) {
        leaf->kind = COND_BUCKET;
        leaf->bucket_first = below(g, 500);
        leaf->bucket_last = leaf->bucket_first + below(g, 500);
    } else if (coin(g, 3)) {
        leaf->kind = COND_SEQUENCE;
        leaf->sequence.step_count = 2 + below(g, 2);
        leaf->sequence.steps = steps_of(g, leaf->sequence.step_count, depth);
        leaf->sequence.within = duration_of(g, false);
        leaf->sequence.time = span_of(g);
    } else {
        leaf->kind = COND_DID;
        did_of(g, &leaf->did, depth);
    }
    return leaf;
}

static const struct condition *condition_of(struct gen *g, bool is_users, uint32_t depth)
{
    if (depth == 0 || coin(g, 2))
        return leaf_of(g, is_users, depth == 0 ? 0 : depth - 1);
    if (coin(g, 4)) {
        struct condition *not = room(g, 1, sizeof *not );
        const struct condition **child = room(g, 1, sizeof *child);
        child[0] = condition_of(g, is_users, depth - 1);
        not ->kind = COND_NOT;
        not ->children = child;
        not ->child_count = 1;
        return not ;
    }
    uint32_t count = below(g, 4);
    const struct condition **children = room(g, count, sizeof *children);
    for (uint32_t i = 0; i < count; i++)
        children[i] = condition_of(g, is_users, depth - 1);
    const struct condition *joined =
        tree_join(g->arena, coin(g, 2) ? COND_ALL : COND_ANY, children, count);
    if (!joined)
        abort();
    return joined;
}

static struct key *keys_of(struct gen *g, uint32_t count)
{
    struct key *keys = room(g, count, sizeof *keys);
    for (uint32_t i = 0; i < count; i++) {
        keys[i].kind = (enum key_kind)below(g, 4);
        if (keys[i].kind == KEY_TIME)
            keys[i].unit = (enum calendar_unit)below(g, 7);
        if (keys[i].kind >= KEY_PROPERTY)
            keys[i].name = name_text(g);
    }
    return keys;
}

static const struct expr *expr_of(struct gen *g, uint32_t depth)
{
    struct expr *expr = room(g, 1, sizeof *expr);
    if (depth > 0 && coin(g, 2)) {
        expr->kind = (enum expr_kind)(EXPR_ADD + (int)below(g, 4));
        expr->left = expr_of(g, depth - 1);
        expr->right = expr_of(g, depth - 1);
    } else if (coin(g, 4)) {
        expr->kind = EXPR_NUMBER;
        expr->number = number(g);
    } else {
        expr->kind = EXPR_MEASURE;
        expr->measure = (enum measure)below(g, 9);
        if (expr->measure >= MEASURE_SUM)
            expr->property.text = name_text(g);
        if (expr->measure == MEASURE_PERCENTILE)
            expr->q = rng_unit(g->rng);
        if (coin(g, 4))
            expr->where = condition_of(g, false, 1);
    }
    return expr;
}

static void select_of(struct gen *g, struct select *select)
{
    select->key_count = below(g, 4);
    select->keys = keys_of(g, select->key_count);
    select->item_count = below(g, 4) + (select->key_count == 0);
    struct item *items = room(g, select->item_count, sizeof *items);
    for (uint32_t i = 0; i < select->item_count; i++) {
        items[i].expr = expr_of(g, 3);
        if (coin(g, 3))
            items[i].as = name_text(g);
    }
    select->items = items;
    if (coin(g, 2))
        select->where = condition_of(g, false, 3);
    select->order_count = below(g, 3);
    struct order *order = room(g, select->order_count, sizeof *order);
    for (uint32_t i = 0; i < select->order_count; i++) {
        order[i].item = below(g, select->key_count + select->item_count);
        order[i].is_descending = coin(g, 2);
    }
    select->order = order;
    select->has_limit = coin(g, 2);
    select->limit = select->has_limit ? 1 + below(g, 1000) : 0;
    select->has_other = select->has_limit && coin(g, 2);
}

static void funnel_of(struct gen *g, struct funnel *funnel)
{
    funnel->step_count = 2 + below(g, 3);
    funnel->steps = steps_of(g, funnel->step_count, 2);
    funnel->within = duration_of(g, false);
    funnel->is_window_from_previous = coin(g, 4);
    funnel->attempt = (enum attempt)below(g, 3);
    funnel->ties = (enum ties)below(g, 3);
    if (funnel->ties == TIES_GRACE)
        funnel->grace = duration_of(g, false);
    funnel->order = (enum step_order)below(g, 3);
    funnel->is_strict_among_steps = funnel->order == ORDER_STRICT && coin(g, 2);
    funnel->holding_count = below(g, 3);
    funnel->holding = names_of(g, funnel->holding_count, false);
    funnel->exclusion_count = below(g, 3);
    struct exclusion *exclusions = room(g, funnel->exclusion_count, sizeof *exclusions);
    for (uint32_t i = 0; i < funnel->exclusion_count; i++) {
        exclusions[i].step = step_of(g, 1);
        exclusions[i].from = 1 + below(g, funnel->step_count - 1);
        exclusions[i].to =
            exclusions[i].from + 1 + below(g, funnel->step_count - exclusions[i].from);
        exclusions[i].is_drop = coin(g, 2);
    }
    funnel->exclusions = exclusions;
    funnel->is_complete_in_range = coin(g, 3);
    funnel->is_within_session = coin(g, 3);
    funnel->key_count = below(g, 3);
    funnel->keys = keys_of(g, funnel->key_count);
}

static void retention_of(struct gen *g, struct retention *retention)
{
    retention->is_first = coin(g, 2);
    retention->start = step_of(g, 2);
    retention->back = step_of(g, 2);
    retention->unit = (enum calendar_unit)(UNIT_HOUR + (int)below(g, 4));
    retention->periods = 1 + below(g, 90);
    retention->mode = (enum retention_mode)below(g, 4);
    retention->bracket_count = below(g, 4);
    uint32_t *brackets = room(g, retention->bracket_count, sizeof *brackets);
    for (uint32_t i = 0; i < retention->bracket_count; i++)
        brackets[i] = (i ? brackets[i - 1] + 1 : 0) + below(g, 5);
    retention->brackets = brackets;
    retention->is_rolling = coin(g, 3);
    retention->counts_birth = coin(g, 3);
    if (coin(g, 3))
        retention->sum.text = name_text(g);
    retention->key_count = below(g, 3);
    retention->keys = keys_of(g, retention->key_count);
}

static void flow_of(struct gen *g, struct flow *flow)
{
    flow->is_backwards = coin(g, 2);
    flow->start = step_of(g, 2);
    if (flow->start.event_count > TREE_FLOW_STARTS_MAX)
        flow->start.event_count = TREE_FLOW_STARTS_MAX;
    flow->steps = 1 + below(g, TREE_FLOW_STEPS_MAX);
    flow->has_within = coin(g, 2);
    if (flow->has_within)
        flow->within = duration_of(g, false);
    flow->is_collapsed = coin(g, 2);
    if (coin(g, 3)) {
        flow->hidden_count = below(g, 4);
        flow->hidden = names_of(g, flow->hidden_count, true);
    } else if (coin(g, 2)) {
        flow->kept_count = below(g, 4);
        flow->kept = names_of(g, flow->kept_count, true);
    }
    flow->expansion_count = below(g, 3);
    struct expansion *expansions = room(g, flow->expansion_count, sizeof *expansions);
    for (uint32_t i = 0; i < flow->expansion_count; i++) {
        expansions[i].event.text = event_text(g);
        expansions[i].property.text = name_text(g);
    }
    flow->expansions = expansions;
    flow->limit = coin(g, 2) ? TREE_FLOW_LIMIT : 1 + below(g, 100);
}

static void users_of(struct gen *g, struct users *users)
{
    users->where = condition_of(g, true, 3);
    users->column_count = below(g, 3);
    users->columns = names_of(g, users->column_count, false);
    if (coin(g, 3))
        users->as_of = when_of(g);
    if (coin(g, 2)) {
        users->order_by.text = name_text(g);
        users->is_descending = coin(g, 2);
    }
    users->has_limit = coin(g, 2);
    users->limit = users->has_limit ? 1 + below(g, 1000) : 0;
}

struct query *random_query(struct rng *rng, struct arena *arena)
{
    struct gen g = { .rng = rng, .arena = arena };
    struct query *query = room(&g, 1, sizeof *query);

    query->report = (enum report)below(&g, 7);
    query->is_explain = coin(&g, 4);
    query->is_analyze = query->is_explain && coin(&g, 2);
    if (query->report != REPORT_SEGMENT && query->report != REPORT_USERS)
        query->span = span_of(&g);
    if (coin(&g, 3))
        query->time_zone.text = BYTES("Asia/Kolkata");
    switch (query->report) {
    case REPORT_SELECT:
        select_of(&g, &query->select);
        break;
    case REPORT_FUNNEL:
        funnel_of(&g, &query->funnel);
        break;
    case REPORT_RETENTION:
        retention_of(&g, &query->retention);
        break;
    case REPORT_FLOW:
        flow_of(&g, &query->flow);
        break;
    case REPORT_SEGMENT:
        query->segment.where = condition_of(&g, true, 4);
        if (coin(&g, 3))
            query->segment.as_of = when_of(&g);
        break;
    case REPORT_USERS:
        users_of(&g, &query->users);
        break;
    case REPORT_EVENTS:
        query->events.identity.text = event_text(&g);
        if (coin(&g, 2))
            query->events.where = condition_of(&g, false, 3);
        query->events.has_limit = coin(&g, 2);
        query->events.limit = query->events.has_limit ? 1 + below(&g, 1000) : 0;
        break;
    }
    return query;
}

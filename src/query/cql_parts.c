/* cql_parts.c - the parts that CQL's statements are made of: names, times, filters, conditions. */
#include "query/cql_internal.h"

#include <stdlib.h>

/* --- lists --------------------------------------------------------------------------- */

void cql_list_init(struct list *list, struct cql *p, size_t size, uint32_t max)
{
    *list = (struct list){ .p = p, .size = size, .max = max };
}

bool cql_list_add(struct list *list, const void *item, const char *what)
{
    struct cql *p = list->p;
    if (list->count == list->max)
        return cql_wrong(p, p->now.offset, p->now.length, "more than %u %s", list->max, what);
    if (list->count == list->cap) {
        uint32_t cap = list->cap ? list->cap * 2 : 4;
        uint8_t *items = arena_alloc(p->arena, cap * list->size);
        if (!items)
            return cql_no_memory(p);
        if (list->count)
            memcpy(items, list->items, list->count * list->size);
        list->items = items;
        list->cap = cap;
    }
    memcpy(list->items + list->count * list->size, item, list->size);
    list->count++;
    return true;
}

/* --- names and numbers ------------------------------------------------------------------ */

/* Appends ".part" for each further part of a dotted name. */
static bool name_rest(struct cql *p, struct name *name)
{
    while (token_is_symbol(&p->now, ".")) {
        if (!cql_next(p))
            return false;
        if (p->now.kind != TOKEN_WORD && p->now.kind != TOKEN_NAME)
            return cql_unexpected(p, "the rest of the name");
        struct bytes joined =
            arena_printf(p->arena, "%.*s.%.*s", BYTES_FMT(name->text), BYTES_FMT(p->now.text));
        if (!joined.ptr)
            return cql_no_memory(p);
        name->text = joined;
        name->at.length = (uint32_t)(p->now.offset + p->now.length) - name->at.offset;
        if (!cql_next(p))
            return false;
    }
    return true;
}

bool cql_name(struct cql *p, const char *wanted, struct name *out)
{
    if (p->now.kind == TOKEN_WORD && cql_is_reserved(p->now.text))
        return cql_wrong(
            p, p->now.offset, p->now.length,
            "expected %s; %.*s is a word of the language: write \"%.*s\" if it is a name", wanted,
            BYTES_FMT(p->now.text), BYTES_FMT(p->now.text));
    if (p->now.kind != TOKEN_WORD && p->now.kind != TOKEN_NAME)
        return cql_unexpected(p, wanted);
    if (p->now.text.len == 0)
        return cql_wrong(p, p->now.offset, p->now.length, "a name can't be empty");

    struct name name = { .text = p->now.text, .at = token_place(&p->now) };
    if (!cql_next(p) || !name_rest(p, &name))
        return false;
    *out = name;
    return true;
}

bool cql_text(struct cql *p, const char *wanted, struct name *out)
{
    if (p->now.kind != TOKEN_STRING)
        return cql_unexpected(p, wanted);
    *out = (struct name){ .text = p->now.text, .at = token_place(&p->now) };
    return cql_next(p);
}

bool cql_count(struct cql *p, const char *wanted, uint64_t min, uint64_t max, uint64_t *out)
{
    if (p->now.kind != TOKEN_INT)
        return cql_unexpected(p, wanted);
    if ((uint64_t)p->now.integer < min || (uint64_t)p->now.integer > max)
        return cql_wrong(p, p->now.offset, p->now.length, "this must be from %llu to %llu",
                         (unsigned long long)min, (unsigned long long)max);
    *out = (uint64_t)p->now.integer;
    return cql_next(p);
}

bool cql_number(struct cql *p, double *out)
{
    bool is_negative;
    if (!cql_take_symbol(p, "-", &is_negative))
        return false;
    if (p->now.kind != TOKEN_INT && p->now.kind != TOKEN_REAL)
        return cql_unexpected(p, "a number");
    *out = is_negative ? -p->now.real : p->now.real;
    return cql_next(p);
}

/* --- times ---------------------------------------------------------------------------------- */

static const struct {
    const char *word;
    enum duration_unit unit;
} DURATION_WORDS[] = {
    { "MS", DURATION_MS },          { "MILLISECOND", DURATION_MS }, { "MILLISECONDS", DURATION_MS },
    { "S", DURATION_SECOND },       { "SEC", DURATION_SECOND },     { "SECS", DURATION_SECOND },
    { "SECOND", DURATION_SECOND },  { "SECONDS", DURATION_SECOND }, { "M", DURATION_MINUTE },
    { "MIN", DURATION_MINUTE },     { "MINS", DURATION_MINUTE },    { "MINUTE", DURATION_MINUTE },
    { "MINUTES", DURATION_MINUTE }, { "H", DURATION_HOUR },         { "HOUR", DURATION_HOUR },
    { "HOURS", DURATION_HOUR },     { "D", DURATION_DAY },          { "DAY", DURATION_DAY },
    { "DAYS", DURATION_DAY },       { "W", DURATION_WEEK },         { "WEEK", DURATION_WEEK },
    { "WEEKS", DURATION_WEEK },     { "MO", DURATION_MONTH },       { "MONTH", DURATION_MONTH },
    { "MONTHS", DURATION_MONTH },   { "Y", DURATION_YEAR },         { "YEAR", DURATION_YEAR },
    { "YEARS", DURATION_YEAR },
};

static bool duration_any(struct cql *p, struct duration *out)
{
    struct token number = p->now;
    if (number.kind != TOKEN_INT)
        return cql_unexpected(p, "a whole number of units of time");
    if (!cql_next(p))
        return false;
    for (size_t i = 0; i < sizeof DURATION_WORDS / sizeof DURATION_WORDS[0]; i++) {
        if (!token_is_word(&p->now, DURATION_WORDS[i].word))
            continue;
        struct duration duration = { .count = number.integer, .unit = DURATION_WORDS[i].unit };
        if (!tree_duration_fits(duration))
            return cql_wrong(p, number.offset, number.length, "this is longer than 1000 years");
        *out = duration;
        return cql_next(p);
    }
    return cql_unexpected(p, "a unit of time (seconds, minutes, hours, days, weeks)");
}

bool cql_duration(struct cql *p, struct duration *out)
{
    struct token number = p->now;
    struct duration duration;
    if (!duration_any(p, &duration))
        return false;
    if (duration.unit >= DURATION_MONTH)
        return cql_wrong(p, number.offset, number.length,
                         "months and years have no fixed length: say how many days");
    *out = duration;
    return true;
}

bool cql_unit(struct cql *p, enum calendar_unit *out)
{
    static const char *const WORDS[] = {
        "MINUTE", "HOUR", "DAY", "WEEK", "MONTH", "QUARTER", "YEAR"
    };
    for (int i = 0; i < 7; i++) {
        if (!cql_at_word(p, WORDS[i]))
            continue;
        *out = (enum calendar_unit)i;
        return cql_next(p);
    }
    return cql_unexpected(p, NULL);
}

static bool when_is_here(struct cql *p)
{
    static const char *const WORDS[] = { "NOW", "TODAY", "YESTERDAY", "START" };
    /* All are asked: an error names each that might have been here. */
    bool is_here = cql_at(p, TOKEN_STRING, "a 'date'");
    is_here = cql_at(p, TOKEN_INT, "a number of days ago") || is_here;
    for (size_t i = 0; i < sizeof WORDS / sizeof *WORDS; i++)
        is_here = cql_at_word(p, WORDS[i]) || is_here;
    return is_here;
}

bool cql_when(struct cql *p, struct when *out)
{
    struct when when = { .at = token_place(&p->now) };

    if (!when_is_here(p))
        return cql_unexpected(p, NULL);
    if (p->now.kind == TOKEN_STRING) {
        when.kind = WHEN_TEXT;
        when.text = p->now.text;
        if (!tree_time_text_ok(when.text))
            return cql_wrong(p, p->now.offset, p->now.length,
                             "this is no date or date-time such as '2025-01-31' or "
                             "'2025-01-31T10:20:00Z'");
        if (!cql_next(p))
            return false;
    } else if (p->now.kind == TOKEN_INT) {
        when.kind = WHEN_AGO;
        if (!duration_any(p, &when.ago) || !cql_need_word(p, "AGO"))
            return false;
    } else if (token_is_word(&p->now, "START")) {
        when.kind = WHEN_START_OF;
        if (!cql_next(p) || !cql_need_word(p, "OF") || !cql_unit(p, &when.unit))
            return false;
    } else {
        when.kind = token_is_word(&p->now, "NOW")     ? WHEN_NOW
                    : token_is_word(&p->now, "TODAY") ? WHEN_TODAY
                                                      : WHEN_YESTERDAY;
        if (!cql_next(p))
            return false;
    }
    *out = when;
    return true;
}

static bool span_since(struct cql *p, struct span *span)
{
    bool has_until;
    span->kind = SPAN_RANGE;
    if (!cql_next(p) || !cql_when(p, &span->since) || !cql_take_word(p, "UNTIL", &has_until))
        return false;
    return !has_until || cql_when(p, &span->until);
}

static bool span_last(struct cql *p, struct span *span)
{
    span->kind = SPAN_IN_LAST;
    return cql_next(p) && cql_need_word(p, "LAST") && cql_duration(p, &span->last);
}

bool cql_span(struct cql *p, struct span *out, bool *found_out)
{
    struct span span = { .at = token_place(&p->now) };
    struct token second = cql_peek(p, &p->now);
    bool is_done = true;

    *found_out = true;
    if (cql_at_word(p, "SINCE")) {
        is_done = span_since(p, &span);
    } else if (token_is_word(&p->now, "UNTIL") || cql_at_word(p, "BEFORE")) {
        span.kind = SPAN_RANGE;
        is_done = cql_next(p) && cql_when(p, &span.until);
    } else if (cql_at_word(p, "BETWEEN")) {
        span.kind = SPAN_BETWEEN;
        is_done = cql_next(p) && cql_when(p, &span.since) && cql_need_word(p, "AND") &&
                  cql_when(p, &span.until);
    } else if (token_is_word(&p->now, "IN") && token_is_word(&second, "LAST")) {
        is_done = span_last(p, &span);
    } else if (token_is_word(&p->now, "TODAY")) {
        span.kind = SPAN_THIS;
        span.unit = UNIT_DAY;
        is_done = cql_next(p);
    } else if (token_is_word(&p->now, "YESTERDAY")) {
        span.kind = SPAN_BETWEEN;
        span.since = span.until = (struct when){ .kind = WHEN_YESTERDAY, .at = span.at };
        is_done = cql_next(p);
    } else if (token_is_word(&p->now, "THIS")) {
        span.kind = SPAN_THIS;
        is_done = cql_next(p) && cql_unit(p, &span.unit);
    } else {
        *found_out = false;
        return true;
    }
    if (!is_done)
        return false;
    span.at.length = (uint32_t)p->now.offset - span.at.offset;
    *out = span;
    return true;
}

/* --- comparisons ----------------------------------------------------------------------------- */

static bool value_next(struct cql *p, struct value *out)
{
    struct token token = p->now;
    if (token_is_symbol(&token, "-")) {
        if (!cql_next(p))
            return false;
        token = p->now;
        if (token.kind == TOKEN_INT)
            *out = value_int(-token.integer);
        else if (token.kind == TOKEN_REAL)
            *out = tree_number(-token.real);
        else
            return cql_unexpected(p, "a number");
        return cql_next(p);
    }
    if (token.kind == TOKEN_STRING)
        *out = value_string(token.text);
    else if (token.kind == TOKEN_INT)
        *out = value_int(token.integer);
    else if (token.kind == TOKEN_REAL)
        *out = tree_number(token.real);
    else if (token_is_word(&token, "TRUE"))
        *out = value_bool(true);
    else if (token_is_word(&token, "FALSE"))
        *out = value_bool(false);
    else
        return cql_unexpected(p, "a value ('text', a number, TRUE or FALSE)");
    return cql_next(p);
}

bool cql_op(struct cql *p, enum compare_op *out, bool is_number)
{
    static const struct {
        const char *symbol;
        enum compare_op op;
    } SYMBOLS[] = { { "=", OP_EQ },  { "!=", OP_NE }, { "<>", OP_NE }, { "<", OP_LT },
                    { "<=", OP_LE }, { ">", OP_GT },  { ">=", OP_GE } };
    static const struct {
        const char *word;
        const char *second; /* may follow */
        enum compare_op op;
    } WORDS[] = { { "BETWEEN", NULL, OP_BETWEEN },   { "IN", NULL, OP_IN },
                  { "CONTAINS", NULL, OP_CONTAINS }, { "ICONTAINS", NULL, OP_ICONTAINS },
                  { "STARTS", "WITH", OP_STARTS },   { "ENDS", "WITH", OP_ENDS },
                  { "MATCHES", NULL, OP_MATCHES },   { "EXISTS", NULL, OP_EXISTS } };

    for (size_t i = 0; i < sizeof SYMBOLS / sizeof SYMBOLS[0]; i++) {
        if (!cql_at_symbol(p, SYMBOLS[i].symbol))
            continue;
        *out = SYMBOLS[i].op;
        return cql_next(p);
    }
    for (size_t i = 0; i < (is_number ? 1 : sizeof WORDS / sizeof WORDS[0]); i++) {
        if (!cql_at_word(p, WORDS[i].word))
            continue;
        bool took = false;
        *out = WORDS[i].op;
        return cql_next(p) && (!WORDS[i].second || cql_take_word(p, WORDS[i].second, &took));
    }
    return cql_unexpected(p, NULL);
}

static bool values_list(struct cql *p, struct list *values)
{
    bool more = true;
    if (!cql_need_symbol(p, "("))
        return false;
    while (more) {
        struct value value;
        if (!value_next(p, &value) || !cql_list_add(values, &value, "values") ||
            !cql_take_symbol(p, ",", &more))
            return false;
    }
    return cql_need_symbol(p, ")");
}

/* The operator and its values; *is_negated_out for `NOT EXISTS`, `NOT IN` and their kind. */
static bool compare_rest(struct cql *p, struct compare *compare, bool *is_negated_out)
{
    struct list values;
    struct value value;

    cql_list_init(&values, p, sizeof value, TREE_NAMES_MAX);
    if (!cql_take_word(p, "NOT", is_negated_out))
        return false;
    if (!cql_op(p, &compare->op, false))
        return false;

    compare->values_at = token_place(&p->now);
    if (compare->op == OP_IN) {
        if (!values_list(p, &values))
            return false;
    } else if (compare->op != OP_EXISTS) {
        struct token first = p->now;
        if (!value_next(p, &value) || !cql_list_add(&values, &value, "values"))
            return false;
        if (compare->op == OP_BETWEEN && (!cql_need_word(p, "AND") || !value_next(p, &value) ||
                                          !cql_list_add(&values, &value, "values")))
            return false;
        const char *wrong =
            tree_compare_problem(compare->op, (struct value *)values.items, values.count);
        if (wrong)
            return cql_wrong(p, first.offset, first.length, "%s", wrong);
    }
    compare->values = (struct value *)values.items;
    compare->value_count = values.count;
    return true;
}

static struct condition *condition_new(struct cql *p, enum condition_kind kind, struct place at)
{
    struct condition *condition = arena_calloc(p->arena, 1, sizeof *condition);
    if (!condition) {
        (void)cql_no_memory(p);
        return NULL;
    }
    if (!cql_count_node(p))
        return NULL;
    condition->kind = kind;
    condition->at = at;
    return condition;
}

static bool condition_not(struct cql *p, const struct condition *child, struct place at,
                          const struct condition **out)
{
    struct condition *not = condition_new(p, COND_NOT, at);
    if (!not )
        return false;
    const struct condition **children = arena_alloc(p->arena, sizeof *children);
    if (!children)
        return cql_no_memory(p);
    children[0] = child;
    not ->children = children;
    not ->child_count = 1;
    *out = not ;
    return true;
}

static bool compare_of(struct cql *p, enum condition_kind kind, const struct condition **out)
{
    struct condition *leaf = condition_new(p, kind, token_place(&p->now));
    struct name name;
    bool is_negated;

    if (!leaf || !cql_name(p, "the name of a property", &name))
        return false;
    leaf->compare.name = name.text;
    leaf->compare.at = name.at;
    if (!compare_rest(p, &leaf->compare, &is_negated))
        return false;
    *out = leaf;
    return is_negated ? condition_not(p, leaf, leaf->at, out) : true;
}

/* event = 'x', event != 'x', event [NOT] IN ('x', 'y'). */
static bool event_filter(struct cql *p, const struct condition **out)
{
    struct condition *leaf = condition_new(p, COND_EVENT, token_place(&p->now));
    struct list names;
    struct name name;
    bool is_negated = false;

    cql_list_init(&names, p, sizeof name, TREE_NAMES_MAX);
    if (!leaf || !cql_next(p))
        return false;
    if (cql_at_symbol(p, "=") || cql_at_symbol(p, "!=") || token_is_symbol(&p->now, "<>")) {
        is_negated = !token_is_symbol(&p->now, "=");
        if (!cql_next(p) || !cql_text(p, "the 'name' of an event", &name) ||
            !cql_list_add(&names, &name, "events"))
            return false;
    } else {
        bool more = true;
        if (!cql_take_word(p, "NOT", &is_negated) || !cql_need_word(p, "IN") ||
            !cql_need_symbol(p, "("))
            return false;
        while (more)
            if (!cql_text(p, "the 'name' of an event", &name) ||
                !cql_list_add(&names, &name, "events") || !cql_take_symbol(p, ",", &more))
                return false;
        if (!cql_need_symbol(p, ")"))
            return false;
    }
    leaf->events = (struct name *)names.items;
    leaf->event_count = names.count;
    *out = leaf;
    return is_negated ? condition_not(p, leaf, leaf->at, out) : true;
}

static bool profile_compare(struct cql *p, const struct condition **out)
{
    return cql_next(p) && cql_need_symbol(p, ".") && compare_of(p, COND_PROFILE, out);
}

/* --- combining --------------------------------------------------------------------------------- */

static bool any_of(struct cql *p, bool is_users, bool is_in_did, const struct condition **out);

/* Is what follows `token` a part of a condition on users, and not of the filter we're in? */
static bool is_users_next(struct cql *p, const struct token *connective)
{
    struct token token = cql_peek(p, connective);
    while (token_is_word(&token, "NOT") || token_is_symbol(&token, "("))
        token = cql_peek(p, &token);
    return token_is_word(&token, "DID") || token_is_word(&token, "SEQUENCE") ||
           token_is_word(&token, "BUCKET");
}

static bool constant(struct cql *p, const struct condition **out)
{
    struct place at = token_place(&p->now);
    struct condition *leaf =
        condition_new(p, token_is_word(&p->now, "TRUE") ? COND_ALL : COND_ANY, at);
    *out = leaf;
    return leaf && cql_next(p);
}

static bool did(struct cql *p, const struct condition **out);
static bool sequence(struct cql *p, const struct condition **out);

static bool bucket(struct cql *p, const struct condition **out)
{
    struct condition *leaf = condition_new(p, COND_BUCKET, token_place(&p->now));
    struct token from;
    uint64_t first = 0;
    uint64_t last = 0;

    if (!leaf || !cql_next(p))
        return false;
    from = p->now;
    if (!cql_count(p, "the first bucket", 0, TREE_BUCKETS - 1, &first) || !cql_need_word(p, "TO") ||
        !cql_count(p, "the last bucket", 0, TREE_BUCKETS - 1, &last))
        return false;
    if (last < first)
        return cql_wrong(p, from.offset, from.length, "the first bucket is behind the last");
    leaf->bucket_first = (uint32_t)first;
    leaf->bucket_last = (uint32_t)last;
    *out = leaf;
    return true;
}

static bool leaf_of(struct cql *p, bool is_users, const struct condition **out)
{
    if (cql_at_word(p, "TRUE") || cql_at_word(p, "FALSE"))
        return constant(p, out);
    if (cql_at_word(p, "PROFILE"))
        return profile_compare(p, out);
    if (!is_users) {
        if (cql_at_word(p, "EVENT"))
            return event_filter(p, out);
        return compare_of(p, COND_PROPERTY, out);
    }
    if (cql_at_word(p, "DID"))
        return did(p, out);
    if (cql_at_word(p, "SEQUENCE"))
        return sequence(p, out);
    if (cql_at_word(p, "BUCKET"))
        return bucket(p, out);
    if (p->now.kind == TOKEN_WORD || p->now.kind == TOKEN_NAME) {
        struct token after = cql_peek(p, &p->now);
        if (after.kind == TOKEN_SYMBOL && !cql_is_reserved(p->now.text))
            return cql_wrong(p, p->now.offset, p->now.length,
                             "a condition on users compares profile properties: write profile.%.*s",
                             BYTES_FMT(p->now.text));
    }
    return cql_unexpected(p, "( or NOT");
}

static bool not_of(struct cql *p, bool is_users, bool is_in_did, const struct condition **out)
{
    struct place at = token_place(&p->now);
    bool is_not;
    bool is_group;
    bool is_good;

    if (++p->depth > TREE_DEPTH_MAX)
        return cql_wrong(p, p->now.offset, p->now.length, "conditions are nested deeper than %d",
                         TREE_DEPTH_MAX);
    if (!cql_take_word(p, "NOT", &is_not))
        return false;
    if (is_not) {
        const struct condition *child;
        is_good = not_of(p, is_users, is_in_did, &child) && condition_not(p, child, at, out);
    } else {
        if (!cql_take_symbol(p, "(", &is_group))
            return false;
        if (is_group)
            is_good = any_of(p, is_users, false, out) && cql_need_symbol(p, ")");
        else
            is_good = leaf_of(p, is_users, out);
    }
    p->depth--;
    return is_good;
}

static bool joined(struct cql *p, enum condition_kind kind, const struct list *children,
                   const struct condition **out)
{
    if (children->count == 1) {
        *out = *(const struct condition *const *)(const void *)children->items;
        return true;
    }
    *out = tree_join(p->arena, kind, (const struct condition *const *)(const void *)children->items,
                     children->count);
    return *out ? true : cql_no_memory(p);
}

/* Is the connective here one of ours? A filter inside DID … WHERE ends before AND DID …. */
static bool goes_on(struct cql *p, const char *word, bool is_users, bool is_in_did)
{
    if (!cql_at_word(p, word))
        return false;
    return is_users || !is_in_did || !is_users_next(p, &p->now);
}

static bool all_of(struct cql *p, bool is_users, bool is_in_did, const struct condition **out)
{
    struct list children;
    const struct condition *child;

    cql_list_init(&children, p, sizeof child, TREE_NODES_MAX);
    for (;;) {
        if (!not_of(p, is_users, is_in_did, &child) ||
            !cql_list_add(&children, &child, "conditions"))
            return false;
        if (!goes_on(p, "AND", is_users, is_in_did))
            return joined(p, COND_ALL, &children, out);
        if (!cql_next(p))
            return false;
    }
}

static bool any_of(struct cql *p, bool is_users, bool is_in_did, const struct condition **out)
{
    struct list children;
    const struct condition *child;

    cql_list_init(&children, p, sizeof child, TREE_NODES_MAX);
    for (;;) {
        if (!all_of(p, is_users, is_in_did, &child) ||
            !cql_list_add(&children, &child, "conditions"))
            return false;
        if (!goes_on(p, "OR", is_users, is_in_did))
            return joined(p, COND_ANY, &children, out);
        if (!cql_next(p))
            return false;
    }
}

/* A whole filter or condition: one that's deeper than trees may be is refused. */
static bool root_of(struct cql *p, bool is_users, bool is_in_did, const struct condition **out)
{
    struct token at = p->now;
    return any_of(p, is_users, is_in_did, out) &&
           (tree_condition_depth(*out) <= TREE_DEPTH_MAX ||
            cql_wrong(p, at.offset, at.length, "conditions are nested deeper than %d",
                      TREE_DEPTH_MAX));
}

bool cql_filter(struct cql *p, const struct condition **out)
{
    return root_of(p, false, false, out);
}

bool cql_condition(struct cql *p, const struct condition **out)
{
    return root_of(p, true, false, out);
}

/* --- steps --------------------------------------------------------------------------------------- */

static bool step_events(struct cql *p, struct step *step)
{
    struct list names;
    struct name name;

    cql_list_init(&names, p, sizeof name, TREE_NAMES_MAX);
    for (;;) {
        if (!cql_text(p, "the 'name' of an event", &name) || !cql_list_add(&names, &name, "events"))
            return false;
        struct token after = cql_peek(p, &p->now);
        if (!cql_at_word(p, "OR") || after.kind != TOKEN_STRING)
            break;
        if (!cql_next(p))
            return false;
    }
    step->events = (struct name *)names.items;
    step->event_count = names.count;
    return true;
}

bool cql_step(struct cql *p, bool is_in_condition, struct step *out)
{
    struct step step = { .at = token_place(&p->now) };
    bool has_where;

    if (!cql_count_node(p) || !cql_take_word(p, "ANY", &step.is_any_event))
        return false;
    if (!(step.is_any_event ? cql_need_word(p, "EVENT") : step_events(p, &step)))
        return false;
    if (!cql_take_word(p, "WHERE", &has_where))
        return false;
    if (has_where && !root_of(p, false, is_in_condition, &step.where))
        return false;
    *out = step;
    return true;
}

bool cql_steps(struct cql *p, bool is_in_condition, const struct step **out, uint32_t *count_out)
{
    struct list steps;
    struct step step;
    bool more;

    cql_list_init(&steps, p, sizeof step, TREE_STEPS_MAX);
    do {
        if (!cql_step(p, is_in_condition, &step) || !cql_list_add(&steps, &step, "steps"))
            return false;
        if (steps.count == 1 && !cql_at_word(p, "THEN"))
            return cql_unexpected(p, NULL);
        if (!cql_take_word(p, "THEN", &more))
            return false;
    } while (more);
    *out = (struct step *)steps.items;
    *count_out = steps.count;
    return true;
}

static bool did_aggregate(struct cql *p, struct did *did)
{
    static const struct {
        const char *word;
        enum aggregate aggregate;
        bool has_property;
    } WORDS[] = {
        { "COUNT", AGGREGATE_COUNT, false },    { "DAYS", AGGREGATE_DAYS, false },
        { "SUM", AGGREGATE_SUM, true },         { "AVG", AGGREGATE_AVG, true },
        { "AVG_ALL", AGGREGATE_AVG_ALL, true }, { "MIN", AGGREGATE_MIN, true },
        { "MAX", AGGREGATE_MAX, true },         { "DISTINCT", AGGREGATE_DISTINCT, true }
    };

    did->aggregate = AGGREGATE_COUNT;
    did->op = OP_GE;
    did->number = 1;
    for (size_t i = 0; i < sizeof WORDS / sizeof WORDS[0]; i++) {
        if (!cql_at_word(p, WORDS[i].word))
            continue;
        did->aggregate = WORDS[i].aggregate;
        if (!cql_next(p))
            return false;
        if (WORDS[i].has_property &&
            (!cql_need_symbol(p, "(") || !cql_name(p, "the name of a property", &did->property) ||
             !cql_need_symbol(p, ")")))
            return false;
        if (!cql_op(p, &did->op, true) || !cql_number(p, &did->number))
            return false;
        return did->op != OP_BETWEEN || (cql_need_word(p, "AND") && cql_number(p, &did->number2));
    }
    return true;
}

static bool did_occurrence(struct cql *p, struct did *did)
{
    uint64_t nth = 0;
    did->occurrence = cql_at_word(p, "FIRST")  ? OCCURRENCE_FIRST
                      : cql_at_word(p, "LAST") ? OCCURRENCE_LAST
                      : cql_at_word(p, "NTH")  ? OCCURRENCE_NTH
                                               : OCCURRENCE_EACH;
    if (did->occurrence == OCCURRENCE_EACH)
        return true;
    if (!cql_next(p))
        return false;
    if (did->occurrence != OCCURRENCE_NTH)
        return true;
    if (!cql_count(p, "which one, from 1", 1, 1000000, &nth))
        return false;
    did->nth = (uint32_t)nth;
    return true;
}

static bool did(struct cql *p, const struct condition **out)
{
    struct condition *leaf = condition_new(p, COND_DID, token_place(&p->now));
    bool has_time;

    if (!leaf || !cql_next(p))
        return false;
    struct did *did = &leaf->did;
    if (!cql_step(p, true, &did->step) || !did_aggregate(p, did) || !did_occurrence(p, did) ||
        !cql_span(p, &did->time, &has_time))
        return false;
    if (did->occurrence == OCCURRENCE_EACH && has_time && !did_occurrence(p, did))
        return false;
    if (!cql_take_word(p, "INCLUDING", &did->includes_never))
        return false;
    if (did->includes_never && !cql_need_word(p, "NEVER"))
        return false;
    *out = leaf;
    return true;
}

static bool sequence(struct cql *p, const struct condition **out)
{
    struct condition *leaf = condition_new(p, COND_SEQUENCE, token_place(&p->now));
    bool has_time;

    if (!leaf || !cql_next(p))
        return false;
    struct sequence *sequence = &leaf->sequence;
    *out = leaf;
    return cql_steps(p, true, &sequence->steps, &sequence->step_count) &&
           cql_need_word(p, "WITHIN") && cql_duration(p, &sequence->within) &&
           cql_span(p, &sequence->time, &has_time);
}

/* --- keys ------------------------------------------------------------------------------------------- */

bool cql_key(struct cql *p, struct key *out)
{
    static const char *const UNITS[] = {
        "MINUTE", "HOUR", "DAY", "WEEK", "MONTH", "QUARTER", "YEAR"
    };
    struct key key = { .at = token_place(&p->now) };
    struct name name;

    if (!cql_count_node(p))
        return false;
    for (int i = 0; i < 7; i++) {
        if (!cql_at_word(p, UNITS[i]))
            continue;
        key.kind = KEY_TIME;
        key.unit = (enum calendar_unit)i;
        *out = key;
        return cql_next(p);
    }
    if (cql_at_word(p, "EVENT")) {
        key.kind = KEY_EVENT;
        *out = key;
        return cql_next(p);
    }
    key.kind = cql_at_word(p, "PROFILE") ? KEY_PROFILE : KEY_PROPERTY;
    if (key.kind == KEY_PROFILE && (!cql_next(p) || !cql_need_symbol(p, ".")))
        return false;
    if (!cql_name(p, "the name of a property", &name))
        return false;
    key.name = name.text;
    key.at.length = name.at.offset + name.at.length - key.at.offset;
    *out = key;
    return true;
}

bool cql_keys(struct cql *p, const struct key **out, uint32_t *count_out)
{
    struct list keys;
    struct key key;
    bool more;

    cql_list_init(&keys, p, sizeof key, TREE_KEYS_MAX);
    do {
        if (!cql_key(p, &key) || !cql_list_add(&keys, &key, "keys") ||
            !cql_take_symbol(p, ",", &more))
            return false;
    } while (more);
    *out = (struct key *)keys.items;
    *count_out = keys.count;
    return true;
}

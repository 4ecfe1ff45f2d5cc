/*
 * filter.c - filters as bitmaps over a slice.
 *
 * A compiled filter is the tree again, with names resolved and comparisons prepared. Evaluating a
 * node gives a bit for each event of a slice; `all` and `any` and them together. A text is compared
 * once for each entry of the slice's dictionary, a number in a loop without branches. What a node
 * says about the event type alone is known before a slice is opened (filter_may_match).
 *
 * Items: the items of an event are rows of a child type with the parent's user, time and seq. A
 * comparison on items is evaluated over the child's slice, and each matching row marks its parent,
 * found by walking both in the order they share.
 */
#include "base/bits.h"
#include "query/matcher.h"

#include <stdlib.h>

enum filter_kind {
    FILTER_ALL,
    FILTER_ANY,
    FILTER_NOT,
    FILTER_NEVER,
    FILTER_EVENT,
    FILTER_USERS,
    FILTER_PROPERTY
};

struct filter {
    enum filter_kind kind;
    const struct filter **children;
    uint32_t child_count;
    const uint64_t *events; /* FILTER_EVENT: bit per event type */
    uint32_t event_count;
    const uint64_t *users; /* FILTER_USERS: bit per user */
    struct exec_property property;
    struct matcher matcher;
};

/* --- compiling --------------------------------------------------------------------------- */

static struct err compile(struct exec *exec, const struct condition *condition,
                          struct filter **out);

static struct err compile_children(struct exec *exec, const struct condition *condition,
                                   struct filter *filter)
{
    filter->children = arena_calloc(exec->arena, condition->child_count, sizeof *filter->children);
    if (!filter->children)
        return exec_no_memory();
    for (uint32_t i = 0; i < condition->child_count; i++) {
        struct filter *child;
        struct err err = compile(exec, condition->children[i], &child);
        if (err.code)
            return err;
        filter->children[i] = child;
    }
    filter->child_count = condition->child_count;
    return ok();
}

static struct err compile_event(struct exec *exec, const struct condition *condition,
                                struct filter *filter)
{
    uint32_t count = catalog_event_count(exec->catalog);
    uint64_t *events = arena_calloc(exec->arena, bits_words(count) + 1, sizeof *events);
    if (!events)
        return exec_no_memory();
    for (uint32_t i = 0; i < condition->event_count; i++) {
        uint32_t event;
        struct err err = exec_event(exec, &condition->events[i], &event);
        if (err.code)
            return err;
        if (event != CATALOG_NONE)
            bits_add(events, event);
    }
    filter->kind = FILTER_EVENT;
    filter->events = events;
    filter->event_count = count;
    return ok();
}

static struct err compile_property(struct exec *exec, const struct condition *condition,
                                   struct filter *filter)
{
    const struct compare *compare = &condition->compare;
    struct err err = exec_property(exec, compare->name, &compare->at, &filter->property);
    if (err.code)
        return err;
    filter->kind = filter->property.types ? FILTER_PROPERTY : FILTER_NEVER;
    return matcher_init(exec, compare, &filter->matcher);
}

static struct err compile_profile(struct exec *exec, const struct condition *condition,
                                  struct filter *filter)
{
    uint64_t *users;
    struct err err = exec_match_profiles(exec, &condition->compare, &users);
    filter->kind = FILTER_USERS;
    filter->users = users;
    return err;
}

static struct err compile(struct exec *exec, const struct condition *condition, struct filter **out)
{
    struct filter *filter = arena_calloc(exec->arena, 1, sizeof *filter);
    struct err err = ok();

    if (!filter)
        return exec_no_memory();
    *out = filter;
    switch (condition->kind) {
    case COND_ALL:
    case COND_ANY:
    case COND_NOT:
        filter->kind = condition->kind == COND_ALL   ? FILTER_ALL
                       : condition->kind == COND_ANY ? FILTER_ANY
                                                     : FILTER_NOT;
        return compile_children(exec, condition, filter);
    case COND_EVENT:
        return compile_event(exec, condition, filter);
    case COND_PROPERTY:
        return compile_property(exec, condition, filter);
    case COND_PROFILE:
        return compile_profile(exec, condition, filter);
    case COND_DID:
    case COND_SEQUENCE:
    case COND_BUCKET:
        break; /* the readers don't let them into a filter */
    }
    return err;
}

struct err exec_filter(struct exec *exec, const struct condition *condition, struct filter **out)
{
    *out = NULL;
    return condition ? compile(exec, condition, out) : ok();
}

/* --- by event type ----------------------------------------------------------------------------- */

enum tri { TRI_FALSE, TRI_MAYBE, TRI_TRUE };

static enum tri tri_of(const struct filter *filter, uint32_t event)
{
    enum tri tri;
    switch (filter->kind) {
    case FILTER_NEVER:
        return TRI_FALSE;
    case FILTER_EVENT:
        return event < filter->event_count && bits_has(filter->events, event) ? TRI_TRUE
                                                                              : TRI_FALSE;
    case FILTER_NOT:
        return (enum tri)(TRI_TRUE - tri_of(filter->children[0], event));
    case FILTER_ALL:
        tri = TRI_TRUE;
        for (uint32_t i = 0; i < filter->child_count; i++) {
            enum tri child = tri_of(filter->children[i], event);
            tri = child < tri ? child : tri;
        }
        return tri;
    case FILTER_ANY:
        tri = TRI_FALSE;
        for (uint32_t i = 0; i < filter->child_count; i++) {
            enum tri child = tri_of(filter->children[i], event);
            tri = child > tri ? child : tri;
        }
        return tri;
    case FILTER_USERS:
    case FILTER_PROPERTY:
        break;
    }
    return TRI_MAYBE;
}

bool filter_may_match(const struct filter *filter, uint32_t event)
{
    return !filter || tri_of(filter, event) != TRI_FALSE;
}

bool filter_must_match(const struct filter *filter, uint32_t event)
{
    return !filter || tri_of(filter, event) == TRI_TRUE;
}

bool filter_has_columns(const struct filter *filter)
{
    bool has = filter && filter->kind == FILTER_PROPERTY;
    for (uint32_t i = 0; filter && i < filter->child_count; i++)
        has |= filter_has_columns(filter->children[i]);
    return has;
}

struct err exec_filter_events(struct exec *exec, const struct filter *filter, struct exec_step *out)
{
    uint32_t count = catalog_event_count(exec->catalog);
    uint32_t *events = arena_alloc(exec->arena, (count + (size_t)1) * sizeof *events);
    uint32_t used = 0;

    if (!events)
        return exec_no_memory();
    for (uint32_t event = 0; event < count; event++)
        if (catalog_event_parent(exec->catalog, event) == CATALOG_NONE &&
            filter_may_match(filter, event))
            events[used++] = event;
    *out = (struct exec_step){ .events = events, .event_count = used, .filter = filter };
    return ok();
}

static int compare_events(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a;
    uint32_t right = *(const uint32_t *)b;
    return (left > right) - (left < right);
}

struct err exec_step(struct exec *exec, const struct step *step, struct exec_step *out)
{
    struct filter *filter;
    struct err err = exec_filter(exec, step->where, &filter);
    if (err.code)
        return err;
    if (step->is_any_event)
        return exec_filter_events(exec, filter, out);

    uint32_t *events = arena_alloc(exec->arena, (step->event_count + (size_t)1) * sizeof *events);
    uint32_t used = 0;
    if (!events)
        return exec_no_memory();
    for (uint32_t i = 0; i < step->event_count; i++) {
        uint32_t event;
        err = exec_event(exec, &step->events[i], &event);
        if (err.code)
            return err;
        bool is_there = false;
        for (uint32_t k = 0; k < used; k++)
            is_there |= events[k] == event;
        if (event != CATALOG_NONE && !is_there && filter_may_match(filter, event))
            events[used++] = event;
    }
    qsort(events, used, sizeof *events, compare_events);
    *out = (struct exec_step){ .events = events, .event_count = used, .filter = filter };
    return ok();
}

/* --- evaluating ------------------------------------------------------------------------------------ */

struct eval {
    struct exec_task *task;
    struct exec_slice *slice;
    size_t words;
};

static uint64_t *new_bits(struct eval *eval)
{
    return arena_calloc(eval->task->scratch, eval->words + 1, sizeof(uint64_t));
}

static void clear_tail(const struct eval *eval, uint64_t *bits)
{
    uint32_t rest = eval->slice->slice.events & 63;
    if (rest)
        bits[eval->words - 1] &= (UINT64_C(1) << rest) - 1;
}

static void fill(const struct eval *eval, uint64_t *bits, bool is_set)
{
    memset(bits, is_set ? 0xff : 0, eval->words * sizeof *bits);
    if (is_set && eval->words)
        clear_tail(eval, bits);
}

static void set_range(uint64_t *bits, uint32_t from, uint32_t to)
{
    if (from >= to)
        return;
    uint32_t first = from >> 6;
    uint32_t last = (to - 1) >> 6;
    uint64_t head = ~UINT64_C(0) << (from & 63);
    uint64_t tail = ~UINT64_C(0) >> (63 - ((to - 1) & 63));
    if (first == last) {
        bits[first] |= head & tail;
        return;
    }
    bits[first] |= head;
    for (uint32_t i = first + 1; i < last; i++)
        bits[i] = ~UINT64_C(0);
    bits[last] |= tail;
}

static void eval_users(const struct eval *eval, const uint64_t *users, uint64_t *bits)
{
    const struct store_slice *slice = &eval->slice->slice;
    for (uint32_t i = 0; i < slice->users; i++) {
        uint32_t user = task_user(eval->task, slice->row[i]);
        if (user < eval->task->exec->users && bits_has(users, user))
            set_range(bits, slice->start[i], slice->start[i + 1]);
    }
}

static void or_ints(uint64_t *bits, const int64_t *values, uint32_t count, struct int_range range)
{
    if (range.hi < range.lo)
        return;
    uint64_t span = (uint64_t)range.hi - (uint64_t)range.lo;
    for (uint32_t from = 0; from < count; from += 64) {
        uint32_t n = count - from < 64 ? count - from : 64;
        uint64_t word = 0;
        for (uint32_t i = 0; i < n; i++)
            word |= (uint64_t)((uint64_t)values[from + i] - (uint64_t)range.lo <= span) << i;
        bits[from >> 6] |= word;
    }
}

static void or_reals(uint64_t *bits, const double *values, uint32_t count, struct real_range range)
{
    for (uint32_t from = 0; from < count; from += 64) {
        uint32_t n = count - from < 64 ? count - from : 64;
        uint64_t word = 0;
        for (uint32_t i = 0; i < n; i++) {
            double value = values[from + i];
            word |= (uint64_t)(value >= range.lo && value <= range.hi) << i;
        }
        bits[from >> 6] |= word;
    }
}

static void or_bools(uint64_t *bits, const int64_t *values, uint32_t count,
                     const struct matcher *matcher)
{
    for (uint32_t i = 0; i < count; i++)
        if (matcher->matches_bool[values[i] != 0])
            bits_add(bits, i);
}

/* A bit for each text of the dictionary that matches. */
static struct err match_texts(struct eval *eval, const struct matcher *matcher,
                              const struct store_column *column, uint64_t **out)
{
    struct pattern *pattern;
    uint64_t *matching =
        arena_calloc(eval->task->scratch, bits_words(column->text_count) + 1, sizeof *matching);
    if (!matching)
        return exec_no_memory();
    struct err err = matcher_pattern(matcher, eval->task->scratch, &pattern);
    for (uint32_t i = 0; i < column->text_count && !err.code; i++)
        if (matcher_text(matcher, pattern, column->texts[i]))
            bits_add(matching, i);
    *out = matching;
    return err;
}

static bool list_matches(const struct store_column *column, const uint64_t *matching, uint32_t list)
{
    for (uint32_t i = column->list_start[list]; i < column->list_start[list + 1]; i++)
        if (bits_has(matching, column->items[i]))
            return true;
    return false;
}

static struct err or_texts(struct eval *eval, const struct matcher *matcher,
                           const struct store_column *column, bool is_list, uint64_t *bits)
{
    uint64_t *matching = NULL;
    uint32_t count = eval->slice->slice.events;

    if (!matcher->has_text)
        return ok();
    struct err err = match_texts(eval, matcher, column, &matching);
    for (uint32_t i = 0; i < count && !err.code; i++) {
        if (column->present && !bits_has(column->present, i))
            continue;
        if (is_list ? list_matches(column, matching, column->codes[i])
                    : bits_has(matching, column->codes[i]))
            bits_add(bits, i);
    }
    return err;
}

/* The rows of one column that match (before inversion), where they're present. */
static struct err or_column(struct eval *eval, const struct matcher *matcher, enum value_type type,
                            const struct store_column *column, uint64_t *bits)
{
    uint32_t count = eval->slice->slice.events;
    uint64_t *found = bits;
    struct err err = ok();

    if (column->present && type != VALUE_STRING && type != VALUE_LIST) {
        found = new_bits(eval);
        if (!found)
            return exec_no_memory();
    }
    switch (type) {
    case VALUE_BOOL:
        or_bools(found, column->integers, count, matcher);
        break;
    case VALUE_INT:
        for (uint32_t i = 0; i < matcher->range_count; i++)
            or_ints(found, column->integers, count, matcher->ints[i]);
        break;
    case VALUE_REAL:
        for (uint32_t i = 0; i < matcher->range_count; i++)
            or_reals(found, column->reals, count, matcher->reals[i]);
        break;
    case VALUE_TIME:
        for (uint32_t i = 0; i < matcher->range_count; i++)
            or_ints(found, column->integers, count, matcher->times[i]);
        break;
    case VALUE_STRING:
    case VALUE_LIST:
        return or_texts(eval, matcher, column, type == VALUE_LIST, found);
    case VALUE_NULL:
    case VALUE_TYPES:
        break;
    }
    for (size_t i = 0; found != bits && i < eval->words; i++)
        bits[i] |= found[i] & column->present[i];
    return err;
}

static void or_present(struct eval *eval, const struct store_column *column, uint64_t *bits)
{
    if (!column->present) {
        fill(eval, bits, true);
        return;
    }
    for (size_t i = 0; i < eval->words; i++)
        bits[i] |= column->present[i];
    clear_tail(eval, bits);
}

/* Can a column of this type have a match at all, so that reading it is worth it? */
static bool is_wanted(const struct matcher *matcher, enum value_type type)
{
    if (matcher->op == OP_EXISTS || matcher->is_inverted)
        return true;
    if (type == VALUE_STRING || type == VALUE_LIST || type == VALUE_TIME)
        return matcher->has_text;
    if (type == VALUE_BOOL)
        return matcher->matches_bool[0] || matcher->matches_bool[1];
    for (uint32_t i = 0; i < matcher->range_count; i++)
        if (matcher->reals[i].lo <= matcher->reals[i].hi ||
            matcher->ints[i].lo <= matcher->ints[i].hi)
            return true;
    return false;
}

/* The comparison over the slice's own columns. */
static struct err eval_columns(struct eval *eval, const struct matcher *matcher, uint32_t property,
                               uint32_t types, uint64_t *bits)
{
    struct exec_columns columns;
    uint64_t *present = NULL;
    uint32_t wanted = 0;

    for (enum value_type type = VALUE_BOOL; type < VALUE_TYPES; type++)
        if ((types >> type & 1) && is_wanted(matcher, type))
            wanted |= 1u << type;
    struct err err = exec_columns(eval->task, eval->slice, property, wanted, &columns);
    if (err.code)
        return err;
    if (matcher->is_inverted) {
        present = new_bits(eval);
        if (!present)
            return exec_no_memory();
    }
    for (enum value_type type = VALUE_BOOL; type < VALUE_TYPES; type++) {
        if (!(columns.types >> type & 1))
            continue;
        const struct store_column *column = &columns.column[type];
        if (matcher->is_inverted)
            or_present(eval, column, present);
        if (matcher->op == OP_EXISTS)
            or_present(eval, column, bits);
        else
            err = or_column(eval, matcher, type, column, bits);
        if (err.code)
            return err;
    }
    for (size_t i = 0; matcher->is_inverted && i < eval->words; i++)
        bits[i] = present[i] & ~bits[i];
    return ok();
}

/* Marks the events whose items are marked; both in (user, time, seq) order. */
static void mark_parents(const struct store_slice *parents, const struct store_slice *items,
                         const uint64_t *item_bits, uint64_t *bits)
{
    uint32_t p = 0;
    for (uint32_t u = 0; u < items->users; u++) {
        while (p < parents->users && parents->row[p] < items->row[u])
            p++;
        if (p == parents->users)
            return;
        if (parents->row[p] != items->row[u])
            continue;
        uint32_t at = parents->start[p];
        uint32_t end = parents->start[p + 1];
        for (uint32_t i = items->start[u]; i < items->start[u + 1]; i++) {
            if (!bits_has(item_bits, i))
                continue;
            while (at < end &&
                   (parents->time[at] < items->time[i] ||
                    (parents->time[at] == items->time[i] && parents->seq[at] < items->seq[i])))
                at++;
            if (at < end && parents->seq[at] == items->seq[i])
                bits_add(bits, at);
        }
    }
}

static struct err eval_items(struct eval *eval, const struct filter *filter, uint64_t *bits)
{
    struct exec *exec = eval->task->exec;
    uint32_t child = catalog_event_items(exec->catalog, eval->slice->event);
    uint32_t types = exec_property_types(exec, &filter->property, eval->slice->event);
    struct exec_slice items;

    if (child == CATALOG_NONE || types == 0)
        return ok();
    struct err err = exec_slice_open(eval->task, child, eval->slice->month, &items);
    if (err.code || items.slice.events == 0)
        return err;
    struct eval inner = { .task = eval->task,
                          .slice = &items,
                          .words = bits_words(items.slice.events) };
    uint64_t *item_bits = new_bits(&inner);
    if (!item_bits)
        return exec_no_memory();
    err = eval_columns(&inner, &filter->matcher, filter->property.property, types, item_bits);
    if (!err.code)
        err = exec_slice_times(eval->task, &items);
    if (!err.code)
        err = exec_slice_seqs(eval->task, &items);
    if (!err.code)
        err = exec_slice_times(eval->task, eval->slice);
    if (!err.code)
        err = exec_slice_seqs(eval->task, eval->slice);
    if (!err.code)
        mark_parents(&eval->slice->slice, &items.slice, item_bits, bits);
    return err;
}

static struct err eval_node(struct eval *eval, const struct filter *filter, uint64_t *bits);

static bool is_empty(const struct eval *eval, const uint64_t *bits)
{
    uint64_t any = 0;
    for (size_t i = 0; i < eval->words; i++)
        any |= bits[i];
    return any == 0;
}

static struct err eval_joined(struct eval *eval, const struct filter *filter, uint64_t *bits)
{
    bool is_all = filter->kind == FILTER_ALL;
    uint64_t *child = new_bits(eval);

    if (!child)
        return exec_no_memory();
    fill(eval, bits, is_all);
    for (uint32_t i = 0; i < filter->child_count; i++) {
        if (is_all && is_empty(eval, bits))
            return ok();
        fill(eval, child, false);
        struct err err = eval_node(eval, filter->children[i], child);
        if (err.code)
            return err;
        for (size_t k = 0; k < eval->words; k++)
            bits[k] = is_all ? bits[k] & child[k] : bits[k] | child[k];
    }
    return ok();
}

/* Into cleared bits. */
static struct err eval_node(struct eval *eval, const struct filter *filter, uint64_t *bits)
{
    enum tri tri = tri_of(filter, eval->slice->event);
    if (tri != TRI_MAYBE) {
        fill(eval, bits, tri == TRI_TRUE);
        return ok();
    }
    switch (filter->kind) {
    case FILTER_ALL:
    case FILTER_ANY:
        return eval_joined(eval, filter, bits);
    case FILTER_NOT: {
        struct err err = eval_node(eval, filter->children[0], bits);
        for (size_t i = 0; i < eval->words; i++)
            bits[i] = ~bits[i];
        clear_tail(eval, bits);
        return err;
    }
    case FILTER_USERS:
        eval_users(eval, filter->users, bits);
        return ok();
    case FILTER_PROPERTY:
        if (filter->property.is_item)
            return eval_items(eval, filter, bits);
        return eval_columns(
            eval, &filter->matcher, filter->property.property,
            exec_property_types(eval->task->exec, &filter->property, eval->slice->event), bits);
    case FILTER_EVENT:
    case FILTER_NEVER:
        break;
    }
    return ok();
}

/* --- selecting ---------------------------------------------------------------------------------------- */

static void select_times(const struct exec_slice *slice, struct exec_range range, uint64_t *bits)
{
    const uint32_t *times = slice->slice.time;
    uint32_t count = slice->slice.events;
    int64_t base = slice->slice.base_ms;
    int64_t from = range.from_ms > base ? range.from_ms - base : 0;
    int64_t to = (range.to_ms < slice->end_ms ? range.to_ms : slice->end_ms) - base;
    if (to <= from)
        return;
    uint32_t lo = (uint32_t)from;
    uint32_t span = (uint32_t)(to - from - 1);

    for (uint32_t first = 0; first < count; first += 64) {
        uint32_t n = count - first < 64 ? count - first : 64;
        uint64_t word = 0;
        for (uint32_t i = 0; i < n; i++)
            word |= (uint64_t)(times[first + i] - lo <= span) << i;
        bits[first >> 6] = word;
    }
}

struct err exec_slice_select(struct exec_task *task, struct exec_slice *slice,
                             struct exec_range range, const struct filter *filter,
                             struct selection *out)
{
    struct eval eval = { .task = task, .slice = slice, .words = bits_words(slice->slice.events) };
    bool is_whole = range.from_ms <= slice->slice.base_ms && range.to_ms >= slice->end_ms;
    enum tri tri = filter ? tri_of(filter, slice->event) : TRI_TRUE;
    uint64_t *bits = NULL;
    struct err err = ok();

    *out = (struct selection){ .count = 0 };
    if (slice->slice.events == 0)
        return ok();
    if (tri == TRI_FALSE || range.from_ms >= slice->end_ms || range.to_ms <= slice->slice.base_ms) {
        out->bits = new_bits(&eval); /* none: no bits would mean all */
        return out->bits ? ok() : exec_no_memory();
    }
    if (is_whole && tri == TRI_TRUE) {
        out->count = slice->slice.events;
        return ok();
    }
    if (tri == TRI_MAYBE) {
        bits = new_bits(&eval);
        if (!bits)
            return exec_no_memory();
        err = eval_node(&eval, filter, bits);
        if (err.code)
            return err;
    }
    if (!is_whole && !(bits && is_empty(&eval, bits))) {
        uint64_t *inside = new_bits(&eval);
        if (!inside)
            return exec_no_memory();
        err = exec_slice_times(task, slice);
        if (err.code)
            return err;
        select_times(slice, range, inside);
        for (size_t i = 0; bits && i < eval.words; i++)
            inside[i] &= bits[i];
        bits = inside;
    }
    out->count = (uint32_t)bits_count(bits, eval.words);
    out->bits = out->count == slice->slice.events ? NULL : bits;
    return ok();
}

/* --- one event ------------------------------------------------------------------------------------------- */

static bool list_value_matches(const struct matcher *matcher, struct pattern *pattern,
                               const struct value *value)
{
    for (uint32_t i = 0; i < value->count; i++)
        if (matcher_text(matcher, pattern, value->items[i]))
            return true;
    return false;
}

/* Before inversion. */
static bool value_matches(const struct matcher *matcher, struct pattern *pattern,
                          const struct value *value)
{
    switch (value->type) {
    case VALUE_BOOL:
        return matcher->matches_bool[value->boolean];
    case VALUE_INT:
        return matcher_int(matcher, value->integer);
    case VALUE_REAL:
        return matcher_real(matcher, value->real);
    case VALUE_TIME:
        return matcher_time(matcher, value->time_ms);
    case VALUE_STRING:
        return matcher_text(matcher, pattern, value->string);
    case VALUE_LIST:
        return matcher->has_text && list_value_matches(matcher, pattern, value);
    case VALUE_NULL:
    case VALUE_TYPES:
        break;
    }
    return false;
}

static bool row_has_match(const struct filter *filter, struct pattern *pattern,
                          const struct exec_event_row *row)
{
    const struct matcher *matcher = &filter->matcher;
    for (uint32_t i = 0; i < row->property_count; i++) {
        if (row->properties[i].property != filter->property.property)
            continue;
        return matcher->op == OP_EXISTS ||
               value_matches(matcher, pattern, &row->properties[i].value) != matcher->is_inverted;
    }
    return false;
}

static struct err property_of_row(const struct filter *filter, const struct exec_event_row *row,
                                  struct arena *scratch, bool *out)
{
    struct pattern *pattern;
    struct err err = matcher_pattern(&filter->matcher, scratch, &pattern);

    *out = false;
    if (err.code)
        return err;
    if (!filter->property.is_item) {
        *out = row_has_match(filter, pattern, row);
        return ok();
    }
    for (uint32_t i = 0; i < row->item_count && !*out; i++)
        *out = row_has_match(filter, pattern, &row->items[i]);
    return ok();
}

struct err exec_filter_row(struct exec *exec, const struct filter *filter,
                           const struct exec_event_row *row, struct arena *scratch, bool *out)
{
    enum tri tri = filter ? tri_of(filter, row->event) : TRI_TRUE;
    struct err err = ok();

    *out = tri == TRI_TRUE;
    if (tri != TRI_MAYBE)
        return ok();
    switch (filter->kind) {
    case FILTER_ALL:
    case FILTER_ANY:
        *out = filter->kind == FILTER_ALL;
        for (uint32_t i = 0; i < filter->child_count && !err.code; i++) {
            bool child;
            err = exec_filter_row(exec, filter->children[i], row, scratch, &child);
            *out = filter->kind == FILTER_ALL ? *out && child : *out || child;
        }
        break;
    case FILTER_NOT:
        err = exec_filter_row(exec, filter->children[0], row, scratch, out);
        *out = !*out;
        break;
    case FILTER_USERS:
        *out = row->user < exec->users && bits_has(filter->users, row->user);
        break;
    case FILTER_PROPERTY:
        return property_of_row(filter, row, scratch, out);
    case FILTER_EVENT:
    case FILTER_NEVER:
        break;
    }
    return err;
}

/* --- profiles --------------------------------------------------------------------------------------------- */

enum { TEXT_UNKNOWN, TEXT_NO, TEXT_YES };

struct profile_match {
    struct exec *exec;
    const struct matcher *matcher;
    struct pattern *pattern;
    uint8_t *texts; /* per text number: what the comparison said */
    uint32_t text_count;
};

static bool text_matches(struct profile_match *match, uint64_t number)
{
    const struct profile_view *view = match->exec->source->profiles;
    if (number >= match->text_count)
        return matcher_text(match->matcher, match->pattern, profile_text(view, number));
    if (match->texts[number] == TEXT_UNKNOWN)
        match->texts[number] =
            matcher_text(match->matcher, match->pattern, profile_text(view, number)) ? TEXT_YES
                                                                                     : TEXT_NO;
    return match->texts[number] == TEXT_YES;
}

static struct err list_has_match(struct profile_match *match, uint64_t number, bool *out)
{
    struct arena arena;
    const struct bytes *items;

    *out = false;
    arena_init(&arena, 1 << 20);
    uint32_t count = profile_list(match->exec->source->profiles, number, &arena, &items);
    bool is_there = count == 0 || items;
    for (uint32_t i = 0; is_there && i < count && !*out; i++)
        *out = matcher_text(match->matcher, match->pattern, items[i]);
    arena_done(&arena);
    return is_there ? ok() : exec_no_memory();
}

/* Before inversion. */
static struct err profile_value_matches(struct profile_match *match, enum value_type type,
                                        uint64_t value, bool *out)
{
    const struct matcher *matcher = match->matcher;
    double real;

    switch (type) {
    case VALUE_BOOL:
        *out = matcher->matches_bool[value != 0];
        return ok();
    case VALUE_INT:
        *out = matcher_int(matcher, (int64_t)value);
        return ok();
    case VALUE_REAL:
        memcpy(&real, &value, sizeof real);
        *out = matcher_real(matcher, real);
        return ok();
    case VALUE_TIME:
        *out = matcher_time(matcher, (int64_t)value);
        return ok();
    case VALUE_STRING:
        *out = matcher->has_text && text_matches(match, value);
        return ok();
    case VALUE_LIST:
        *out = false;
        return matcher->has_text ? list_has_match(match, value, out) : ok();
    case VALUE_NULL:
    case VALUE_TYPES:
        break;
    }
    *out = false;
    return ok();
}

static struct err match_chunk(struct profile_match *match, uint32_t property, uint32_t first,
                              uint64_t *users)
{
    struct profile_chunk_room room;
    struct profile_chunk chunk =
        profile_chunk(match->exec->source->profiles, property, first, &room);
    if (!chunk.types)
        return ok();
    for (uint32_t i = 0; i < PROFILE_CHUNK && first + i < match->exec->users; i++) {
        enum value_type type = (enum value_type)chunk.types[i];
        bool is_match = true;
        if (type == VALUE_NULL)
            continue;
        if (match->matcher->op != OP_EXISTS) {
            struct err err = profile_value_matches(match, type, chunk.values[i], &is_match);
            if (err.code)
                return err;
        }
        if (is_match != match->matcher->is_inverted)
            bits_add(users, first + i);
    }
    return ok();
}

struct err exec_match_profiles(struct exec *exec, const struct compare *compare,
                               uint64_t **users_out)
{
    struct matcher matcher;
    uint32_t property;
    uint64_t *users = arena_calloc(exec->arena, bits_words(exec->users) + 1, sizeof *users);
    struct profile_match match = { .exec = exec, .matcher = &matcher };

    if (!users)
        return exec_no_memory();
    *users_out = users;
    struct err err = exec_profile_property(exec, compare->name, &compare->at, &property);
    if (!err.code)
        err = matcher_init(exec, compare, &matcher);
    if (err.code || property == CATALOG_NONE)
        return err;
    err = matcher_pattern(&matcher, exec->arena, &match.pattern);
    if (err.code)
        return err;
    match.text_count = matcher.has_text ? profile_text_count(exec->source->profiles) : 0;
    match.texts = arena_calloc(exec->arena, match.text_count + (size_t)1, 1);
    if (!match.texts)
        return exec_no_memory();
    uint32_t known = profile_view_users(exec->source->profiles);
    for (uint32_t first = 0; first < known && !err.code; first += PROFILE_CHUNK) {
        err = exec_check(exec);
        if (!err.code)
            err = match_chunk(&match, property, first, users);
    }
    return err;
}

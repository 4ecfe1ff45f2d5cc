/*
 * funnel_general.c - funnels with every option: a user's events are collected, put in order, and
 * handed to chain_find.
 *
 * Slices come sorted by user, so a counting sort by user row brings all events together; within a
 * user they are then sorted by (time, seq). A breakdown by properties of the first step asks the
 * question once for each of the values that a user's starts have, with only those starts.
 */
#include "query/funnel_internal.h"

#include <stdlib.h>
#include <string.h>

enum { CHUNK = 4096 };
#define SESSION_GAP_MS (20 * MS_PER_MINUTE)

struct gathered {
    struct chain_event event; /* its group is the held values' number */
    uint32_t row;
    uint32_t key; /* of a start: its breakdown group */
};

struct chunk {
    struct chunk *next;
    uint32_t count;
    struct gathered events[CHUNK];
};

struct general {
    struct exec_task *task;
    const struct funnel_plan *plan;
    struct funnel_result *result;
    struct chunk *chunks; /* newest first */
    uint32_t count;
    struct intern *groups; /* breakdown keys, as numbers' bytes, to groups */
    struct intern *held;   /* held values likewise */
    struct values *values; /* of held values */
    uint32_t group_cap;
};

/* --- the events of a slice ----------------------------------------------------------------------- */

/* For each event the bits of the steps (or exclusions) that it is of. */
static struct err mark(struct general *general, struct exec_slice *slice,
                       const struct exec_step *steps, uint32_t count, bool are_exclusions,
                       uint32_t *masks)
{
    const struct funnel_plan *plan = general->plan;
    for (uint32_t i = 0; i < count; i++) {
        bool is_of = false;
        for (uint32_t e = 0; e < steps[i].event_count; e++)
            is_of = is_of || steps[i].events[e] == slice->event;
        if (!is_of)
            continue;
        struct selection selection;
        bool may_start = !are_exclusions && (i == 0 || plan->tree->order == ORDER_ANY);
        struct exec_range range = plan->follows;
        if (may_start && plan->starts.to_ms > range.to_ms)
            range.to_ms = plan->starts.to_ms;
        struct err err =
            exec_slice_select(general->task, slice, range, steps[i].filter, &selection);
        if (err.code)
            return err;
        for (uint32_t e = 0; e < slice->slice.events; e++) {
            if (is_selected(&selection, e))
                masks[e] |= 1u << i;
        }
    }
    return ok();
}

/* A row of numbers for each event becomes one number: equal rows, equal numbers. */
static struct err number_rows(struct intern *table, const uint32_t **columns, uint32_t count,
                              uint32_t event, uint32_t *out)
{
    uint32_t row[TREE_NAMES_MAX];
    for (uint32_t i = 0; i < count; i++)
        row[i] = columns[i][event];
    return intern_put(table, bytes_of(row, count * sizeof *row), out, NULL);
}

/* The numbers of the held values, per event and property; 0 where one is absent. */
static struct err held_columns(struct general *general, struct exec_slice *slice,
                               const uint32_t **columns)
{
    const struct funnel_plan *plan = general->plan;
    const struct selection all = { .bits = NULL, .count = slice->slice.events };
    for (uint32_t i = 0; i < plan->tree->holding_count; i++) {
        struct exec_key key = { .kind = KEY_PROPERTY, .property = plan->holding[i] };
        struct err err =
            exec_key_numbers(general->task, general->values, slice, &key, &all, &columns[i]);
        if (err.code)
            return err;
    }
    return ok();
}

static struct err key_columns(struct general *general, struct exec_slice *slice,
                              const uint32_t **columns)
{
    const struct funnel_plan *plan = general->plan;
    const struct selection all = { .bits = NULL, .count = slice->slice.events };
    for (uint32_t i = 0; i < plan->tree->key_count; i++) {
        struct err err = exec_key_numbers(general->task, general->result->values, slice,
                                          &plan->keys[i], &all, &columns[i]);
        if (err.code)
            return err;
    }
    return ok();
}

static struct gathered *add_event(struct general *general)
{
    struct chunk *chunk = general->chunks;
    if (!chunk || chunk->count == CHUNK) {
        chunk = arena_alloc(general->task->keep, sizeof *chunk);
        if (!chunk)
            return NULL;
        chunk->next = general->chunks;
        chunk->count = 0;
        general->chunks = chunk;
    }
    general->count++;
    return &chunk->events[chunk->count++];
}

/* Everything that the month's events of one type need, in arrays beside the slice's. */
struct marked {
    uint32_t *steps;
    uint32_t *excluded;
    const uint32_t *held[TREE_NAMES_MAX];
    const uint32_t *keys[TREE_KEYS_MAX];
};

static struct err gather_event(struct general *general, const struct exec_slice *slice,
                               struct marked *marked, uint32_t row, uint32_t e)
{
    const struct funnel_plan *plan = general->plan;
    uint32_t steps = marked->steps[e];
    uint32_t group = 0;
    for (uint32_t i = 0; i < plan->tree->holding_count; i++) {
        if (marked->held[i][e] == 0)
            steps = 0; /* it can't agree with others in what it hasn't */
    }
    if (!steps && !marked->excluded[e] && !plan->needs_all)
        return ok();
    if (steps && plan->tree->holding_count > 0) {
        struct err err =
            number_rows(general->held, marked->held, plan->tree->holding_count, e, &group);
        if (err.code)
            return err;
    }
    int64_t time_ms = slice->slice.base_ms + slice->slice.time[e];
    bool can_start = time_ms >= plan->starts.from_ms && time_ms < plan->starts.to_ms;
    bool is_start = can_start && (plan->tree->order == ORDER_ANY ? steps != 0 : steps & 1);
    uint32_t key = 0;
    if (is_start && plan->tree->key_count > 0) {
        struct err err = number_rows(general->groups, marked->keys, plan->tree->key_count, e, &key);
        if (err.code)
            return err;
    }
    struct gathered *to = add_event(general);
    if (!to)
        return exec_no_memory();
    *to = (struct gathered){
        .event = { .time_ms = time_ms,
                   .seq = slice->slice.seq[e],
                   .steps = steps,
                   .excluded = marked->excluded[e],
                   .group = group,
                   .can_start = can_start },
        .row = row,
        .key = key,
    };
    return ok();
}

static struct err gather_slice(struct general *general, struct exec_slice *slice)
{
    const struct funnel_plan *plan = general->plan;
    struct exec_task *task = general->task;
    struct marked marked = { .steps = NULL };
    struct err err = exec_slice_times(task, slice);
    if (!err.code)
        err = exec_slice_seqs(task, slice);
    if (err.code)
        return err;
    marked.steps = arena_calloc(task->scratch, slice->slice.events, sizeof *marked.steps);
    marked.excluded = arena_calloc(task->scratch, slice->slice.events, sizeof *marked.excluded);
    if (!marked.steps || !marked.excluded)
        return exec_no_memory();
    err = mark(general, slice, plan->steps, plan->config.steps, false, marked.steps);
    if (!err.code)
        err = mark(general, slice, plan->exclusions, plan->config.exclusion_count, true,
                   marked.excluded);
    if (!err.code)
        err = held_columns(general, slice, marked.held);
    if (!err.code)
        err = key_columns(general, slice, marked.keys);
    for (uint32_t u = 0; u < slice->slice.users && !err.code; u++) {
        for (uint32_t e = slice->slice.start[u]; e < slice->slice.start[u + 1] && !err.code; e++)
            err = gather_event(general, slice, &marked, slice->slice.row[u], e);
    }
    return err;
}

static struct err gather(struct general *general)
{
    const struct funnel_plan *plan = general->plan;
    struct exec_task *task = general->task;
    struct exec_range both = plan->follows;
    if (plan->starts.to_ms > both.to_ms)
        both.to_ms = plan->starts.to_ms;
    for (uint32_t t = 0; t < plan->type_count; t++) {
        const int32_t *months = NULL;
        uint32_t count = 0;
        arena_reset(task->scratch);
        struct err err = exec_months(task, plan->types[t], both, &months, &count);
        if (err.code)
            return err;
        for (uint32_t m = 0; m < count; m++) {
            struct exec_slice slice;
            err = exec_slice_open(task, plan->types[t], months[m], &slice);
            if (!err.code && slice.slice.users > 0)
                err = gather_slice(general, &slice);
            if (!err.code)
                err = exec_check(task->exec);
            if (err.code)
                return err;
        }
    }
    return ok();
}

/* --- one user after the other ------------------------------------------------------------------------ */

static int by_time(const void *a, const void *b)
{
    const struct chain_event *x = &((const struct gathered *)a)->event;
    const struct chain_event *y = &((const struct gathered *)b)->event;
    if (x->time_ms != y->time_ms)
        return x->time_ms < y->time_ms ? -1 : 1;
    return (x->seq > y->seq) - (x->seq < y->seq);
}

/* Chains stay within a session: its number and the held values' are one group. */
static struct err split_sessions(struct general *general, struct chain_event *events,
                                 uint32_t count)
{
    uint32_t session = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0 && events[i].time_ms - events[i - 1].time_ms > SESSION_GAP_MS)
            session++;
        uint32_t both[2] = { events[i].group, session };
        struct err err =
            intern_put(general->held, bytes_of(both, sizeof both), &events[i].group, NULL);
        if (err.code)
            return err;
    }
    return ok();
}

/* Sessions were told by all events; among steps, the others stand in nobody's way. Returns how many
 * are left. */
static uint32_t drop_bystanders(struct gathered *gathered, struct chain_event *events,
                                uint32_t count)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (!events[i].steps && !events[i].excluded)
            continue;
        gathered[kept] = gathered[i];
        events[kept++] = events[i];
    }
    return kept;
}

/* Room for the counts of groups up to `group`. */
static struct err grow_groups(struct general *general, uint32_t group)
{
    struct funnel_result *result = general->result;
    if (group < result->group_count)
        return ok();
    if (group >= general->group_cap) {
        uint32_t cap = general->group_cap ? general->group_cap * 2 : 16;
        while (cap <= group)
            cap *= 2;
        size_t steps = general->plan->config.steps;
        uint64_t *users = arena_calloc(general->task->keep, cap * steps, sizeof *users);
        if (!users)
            return exec_no_memory();
        if (result->group_count > 0)
            memcpy(users, result->users, result->group_count * steps * sizeof *users);
        result->users = users;
        general->group_cap = cap;
    }
    result->group_count = group + 1;
    return ok();
}

static struct err count_user(struct general *general, const struct chain_event *events,
                             uint32_t count, uint32_t group)
{
    const struct funnel_plan *plan = general->plan;
    struct chain_result found;
    arena_reset(general->task->scratch);
    struct err err = chain_find(&plan->config, events, count, general->task->scratch, &found);
    if (err.code)
        return err;
    err = grow_groups(general, group);
    if (err.code)
        return err;
    uint64_t *users = general->result->users + (size_t)group * plan->config.steps;
    for (uint32_t step = 0; step < plan->config.steps; step++) {
        bool is_each = plan->tree->attempt == ATTEMPT_EACH;
        if (is_each && !found.is_dropped)
            users[step] += found.attempts[step];
        else if (!is_each)
            users[step] += step < found.level;
        if (step == 0 || step >= found.level)
            continue;
        err = funnel_add_time(general->task, general->result, group, step, found.step_ms[step]);
        if (err.code)
            return err;
    }
    return ok();
}

static int by_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Once for each value that the user's starts have. `room` holds `count` events and numbers. */
static struct err count_by_key(struct general *general, const struct gathered *gathered,
                               struct chain_event *events, uint32_t *keys, uint32_t count)
{
    uint32_t key_count = 0;
    bool is_any = general->plan->tree->order == ORDER_ANY;
    for (uint32_t i = 0; i < count; i++) {
        if (events[i].can_start && (is_any ? events[i].steps != 0 : events[i].steps & 1))
            keys[key_count++] = gathered[i].key;
    }
    /* The first attempt is the only one: so is its value. */
    if (general->plan->tree->attempt == ATTEMPT_FIRST && key_count > 1)
        key_count = 1;
    qsort(keys, key_count, sizeof *keys, by_number);
    for (uint32_t k = 0; k < key_count; k++) {
        if (k > 0 && keys[k] == keys[k - 1])
            continue;
        for (uint32_t i = 0; i < count; i++)
            events[i].can_start = gathered[i].event.can_start && gathered[i].key == keys[k];
        struct err err = count_user(general, events, count, keys[k]);
        if (err.code)
            return err;
    }
    return ok();
}

static struct err count_row(struct general *general, struct gathered *gathered,
                            struct chain_event *events, uint32_t *keys, uint32_t count)
{
    qsort(gathered, count, sizeof *gathered, by_time);
    for (uint32_t i = 0; i < count; i++)
        events[i] = gathered[i].event;
    if (general->plan->tree->is_within_session) {
        struct err err = split_sessions(general, events, count);
        if (err.code)
            return err;
        if (general->plan->tree->is_strict_among_steps)
            count = drop_bystanders(gathered, events, count);
    }
    if (general->plan->tree->key_count > 0)
        return count_by_key(general, gathered, events, keys, count);
    return count_user(general, events, count, 0);
}

static struct err count_all(struct general *general)
{
    struct exec_task *task = general->task;
    uint32_t *start = arena_calloc(task->keep, (size_t)task->rows + 2, sizeof *start);
    struct gathered *sorted = arena_alloc(task->keep, general->count * sizeof *sorted);
    struct chain_event *events = arena_alloc(task->keep, general->count * sizeof *events);
    uint32_t *keys = arena_alloc(task->keep, general->count * sizeof *keys);
    if (!start || !sorted || !events || !keys)
        return exec_no_memory();
    for (const struct chunk *chunk = general->chunks; chunk; chunk = chunk->next) {
        for (uint32_t i = 0; i < chunk->count; i++)
            start[chunk->events[i].row + 2]++;
    }
    for (uint32_t row = 0; row < task->rows; row++)
        start[row + 2] += start[row + 1];
    for (const struct chunk *chunk = general->chunks; chunk; chunk = chunk->next) {
        for (uint32_t i = 0; i < chunk->count; i++)
            sorted[start[chunk->events[i].row + 1]++] = chunk->events[i];
    }
    for (uint32_t row = 0; row < task->rows; row++) {
        uint32_t count = start[row + 1] - start[row];
        if (count == 0)
            continue;
        struct err err = count_row(general, sorted + start[row], events, keys, count);
        if (!err.code && row % 1024 == 0)
            err = exec_check(task->exec);
        if (err.code)
            return err;
    }
    return ok();
}

/* The breakdown's groups, out of the table that numbered them. */
static struct err keep_groups(struct general *general)
{
    uint32_t keys = general->plan->tree->key_count;
    struct funnel_result *result = general->result;
    if (keys == 0)
        return grow_groups(general, 0);
    result->group_keys =
        arena_calloc(general->task->keep, (size_t)result->group_count * keys, sizeof(uint32_t));
    if (!result->group_keys)
        return exec_no_memory();
    for (uint32_t group = 0; group < result->group_count; group++) {
        struct bytes row = intern_get(general->groups, group);
        memcpy(result->group_keys + (size_t)group * keys, row.ptr, row.len);
    }
    return ok();
}

struct err funnel_run_general(struct exec_task *task, const struct funnel_plan *plan,
                              struct funnel_result *result)
{
    struct general general = { .task = task, .plan = plan, .result = result };
    struct err err = values_new(task->keep, task->memory_bytes, &general.values);
    if (!err.code)
        err = intern_new(task->memory_bytes, &general.groups);
    if (!err.code)
        err = intern_new(task->memory_bytes, &general.held);
    if (!err.code)
        err = gather(&general);
    if (!err.code)
        err = count_all(&general);
    if (!err.code)
        err = keep_groups(&general);
    intern_free(general.groups);
    intern_free(general.held);
    values_free(general.values);
    return err;
}

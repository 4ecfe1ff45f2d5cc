/*
 * chain.c - one pass over a user's events.
 *
 * For each step i the pass keeps the best chain that has reached it: the one with the latest start
 * (with a window from the previous step: the latest end), since whatever can follow another chain
 * can follow that one too. An event of step i extends the best chain of step i - 1. Steps are
 * updated from the last to the first, so that an event extends only chains that were there before
 * it, and no chain has the same event twice.
 *
 * TIES_ANY: events of the same time may be taken in any order. They are handled as one group: a
 * chain that stood at step i before the group may take steps i + 1 … j within it, if these steps can
 * be given different events of the group. When no event of the group is of two steps that's so
 * exactly when each step has one; else it is a matching, found by augmenting paths.
 *
 * An exclusion is between two steps when its time lies strictly between theirs (with TIES_SEQ: its
 * place in the order). It takes away the chains that stand at the steps it concerns.
 *
 * ORDER_STRICT looks at neighbours in the order only, whatever the ties. ORDER_ANY asks how many
 * steps can be given different events of the window that begins at an event which may start: again a
 * matching.
 */
#include "query/chain.h"

#include <stdlib.h>
#include <string.h>

#define NEVER INT64_MIN

struct best {
    int64_t start; /* time of its first event; NEVER: no chain */
    int64_t last;  /* time of its last event */
};

struct pass {
    const struct chain_config *config;
    struct chain_result *result;
    struct best best[TREE_STEPS_MAX + 1]; /* [i]: of chains that have reached step i; [0] unused */
};

static void pass_reset(struct pass *pass)
{
    for (uint32_t i = 0; i <= pass->config->steps; i++)
        pass->best[i] = (struct best){ NEVER, NEVER };
}

static bool is_in_window(const struct chain_config *config, const struct best *best,
                         int64_t time_ms)
{
    if (best->start == NEVER)
        return false;
    int64_t since = config->is_window_from_previous ? best->last : best->start;
    return time_ms - since <= config->within_ms;
}

static bool is_better(const struct chain_config *config, struct best a, struct best b)
{
    if (b.start == NEVER)
        return a.start != NEVER;
    return config->is_window_from_previous ? a.last > b.last : a.start > b.start;
}

/* Level `step` has been reached, from a chain whose last event was at previous_ms. */
static void reach(struct pass *pass, uint32_t step, int64_t previous_ms, int64_t time_ms)
{
    struct chain_result *result = pass->result;
    if (step <= result->level)
        return;
    result->level = step;
    if (step > 1)
        result->step_ms[step - 1] = time_ms - previous_ms;
}

/* --- exclusions ------------------------------------------------------------------------- */

/* `before` is where chains stood when the excluded event came. */
static void exclude(struct pass *pass, uint32_t excluded, int64_t time_ms, struct best *before)
{
    const struct chain_config *config = pass->config;
    for (uint32_t x = 0; x < config->exclusion_count; x++) {
        if (!(excluded >> x & 1))
            continue;
        const struct chain_exclusion *exclusion = &config->exclusions[x];
        for (uint32_t step = exclusion->from; step < exclusion->to && step <= config->steps;
             step++) {
            if (exclusion->is_drop && is_in_window(config, &before[step], time_ms))
                pass->result->is_dropped = true;
            before[step] = (struct best){ NEVER, NEVER };
        }
    }
}

/* --- one event after the other (TIES_SEQ) -------------------------------------------------- */

/* Extends the chains that stand in `from` by one event, into `to`; the two may be the same. */
static void extend(struct pass *pass, const struct chain_event *event, const struct best *from,
                   struct best *to)
{
    const struct chain_config *config = pass->config;
    for (uint32_t step = config->steps; step > 1; step--) {
        struct best before = from[step - 1];
        if (!(event->steps >> (step - 1) & 1) || !is_in_window(config, &before, event->time_ms))
            continue;
        reach(pass, step, before.last, event->time_ms);
        struct best extended = { before.start, event->time_ms };
        if (is_better(config, extended, to[step]))
            to[step] = extended;
    }
    if ((event->steps & 1) && event->can_start) {
        reach(pass, 1, 0, event->time_ms);
        struct best started = { event->time_ms, event->time_ms };
        if (is_better(config, started, to[1]))
            to[1] = started;
    }
}

static void take_event(struct pass *pass, const struct chain_event *event)
{
    if (!event->excluded) {
        extend(pass, event, pass->best, pass->best);
        return;
    }
    /* It stands between others, not between itself and another. */
    struct best before[TREE_STEPS_MAX + 1];
    memcpy(before, pass->best, sizeof before);
    exclude(pass, event->excluded, event->time_ms, pass->best);
    extend(pass, event, before, pass->best);
}

/* --- matching -------------------------------------------------------------------------------- */

/* The steps that an event may take: the first only where a chain may start. */
static uint32_t steps_of(const struct chain_event *event)
{
    return event->can_start ? event->steps : event->steps & ~1u;
}

/* Steps given to different events: owner[e] is the step (from 0) that has event e, or -1. */
struct matching {
    const struct chain_event *events;
    uint32_t count;
    int8_t *owner;
    bool *is_tried;
    bool is_any_order; /* the first step needn't start */
};

static bool give(struct matching *matching, uint32_t step)
{
    for (uint32_t e = 0; e < matching->count; e++) {
        const struct chain_event *event = &matching->events[e];
        uint32_t steps = matching->is_any_order ? event->steps : steps_of(event);
        if (!(steps >> step & 1) || matching->is_tried[e])
            continue;
        matching->is_tried[e] = true;
        if (matching->owner[e] < 0 || give(matching, (uint32_t)matching->owner[e])) {
            matching->owner[e] = (int8_t)step;
            return true;
        }
    }
    return false;
}

static bool matching_init(struct matching *matching, const struct chain_event *events,
                          uint32_t count, struct arena *scratch)
{
    *matching = (struct matching){
        .events = events,
        .count = count,
        .owner = arena_alloc(scratch, count),
        .is_tried = arena_alloc(scratch, count),
    };
    if (!matching->owner || !matching->is_tried)
        return false;
    memset(matching->owner, -1, count);
    return true;
}

static bool matching_add(struct matching *matching, uint32_t step)
{
    memset(matching->is_tried, 0, matching->count);
    return give(matching, step);
}

/* --- groups of the same time (TIES_ANY) --------------------------------------------------------- */

static bool has_overlap(const struct chain_event *events, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t steps = steps_of(&events[i]);
        if (steps & (steps - 1))
            return true;
    }
    return false;
}

/* The last step that a chain can take within the group, when the next is `step` (from 0); that's
 * `step` when there's none. */
static struct err last_step(const struct chain_config *config, const struct chain_event *events,
                            uint32_t count, uint32_t step, bool overlaps, uint32_t all_steps,
                            struct arena *scratch, uint32_t *end_out)
{
    struct matching matching;
    if (overlaps && !matching_init(&matching, events, count, scratch))
        return err_new(ERR_NOMEM, "chain: matching");
    while (step < config->steps && (all_steps >> step & 1)) {
        if (overlaps && !matching_add(&matching, step))
            break;
        step++;
    }
    *end_out = step;
    return ok();
}

static struct err take_group(struct pass *pass, const struct chain_event *events, uint32_t count,
                             struct arena *scratch)
{
    const struct chain_config *config = pass->config;
    int64_t time_ms = events[0].time_ms;
    uint32_t all_steps = 0;
    uint32_t excluded = 0;
    for (uint32_t i = 0; i < count; i++) {
        all_steps |= steps_of(&events[i]);
        excluded |= events[i].excluded;
    }
    bool overlaps = count > 1 && has_overlap(events, count);
    /* A single event takes one step only, however many it is of. */
    bool is_single = count == 1;

    struct best before[TREE_STEPS_MAX + 1];
    struct best reached[TREE_STEPS_MAX + 1];
    memcpy(before, pass->best, sizeof before);
    for (uint32_t i = 0; i <= config->steps; i++)
        reached[i] = (struct best){ NEVER, NEVER };

    for (uint32_t from = 0; from < config->steps; from++) {
        if (!(all_steps >> from & 1))
            continue;
        bool starts = from == 0;
        if (!starts && !is_in_window(config, &before[from], time_ms))
            continue;
        uint32_t end = from + 1;
        if (!is_single) {
            struct err err =
                last_step(config, events, count, from, overlaps, all_steps, scratch, &end);
            if (err.code)
                return err;
        }
        int64_t previous = starts ? time_ms : before[from].last;
        for (uint32_t step = from + 1; step <= end; step++) {
            struct best extended = { starts ? time_ms : before[from].start, time_ms };
            reach(pass, step, step == from + 1 ? previous : time_ms, time_ms);
            if (is_better(config, extended, reached[step]))
                reached[step] = extended;
        }
    }

    if (excluded)
        exclude(pass, excluded, time_ms, before);
    for (uint32_t i = 1; i <= config->steps; i++)
        pass->best[i] = is_better(config, reached[i], before[i]) ? reached[i] : before[i];
    return ok();
}

static struct err run_loose(struct pass *pass, const struct chain_event *events, uint32_t count,
                            struct arena *scratch)
{
    pass_reset(pass);
    if (pass->config->ties == TIES_SEQ) {
        for (uint32_t i = 0; i < count; i++)
            take_event(pass, &events[i]);
        return ok();
    }
    for (uint32_t i = 0; i < count;) {
        uint32_t end = i + 1;
        while (end < count && events[end].time_ms == events[i].time_ms)
            end++;
        struct err err = take_group(pass, events + i, end - i, scratch);
        if (err.code)
            return err;
        i = end;
    }
    return ok();
}

/* --- strict: neighbours only ----------------------------------------------------------------------- */

static void run_strict(struct pass *pass, const struct chain_event *events, uint32_t count)
{
    pass_reset(pass);
    for (uint32_t i = 0; i < count; i++) {
        struct best before[TREE_STEPS_MAX + 1];
        memcpy(before, pass->best, sizeof before);
        pass_reset(pass);
        extend(pass, &events[i], before, pass->best);
        /* Whatever stands in between ends the chain anyway; but it may drop the user. */
        if (events[i].excluded)
            exclude(pass, events[i].excluded, events[i].time_ms, before);
    }
}

/* --- grace: layer by layer ---------------------------------------------------------------------------- */

/* reach[e]: the latest start of a chain of `step` steps that ends at event e. With an order that may
 * go back by the grace, a pass in time can't do it; a step at a time can: the best chain for e' is
 * the best among events up to time(e') + grace, a running maximum. */
static struct err run_grace(struct pass *pass, const struct chain_event *events, uint32_t count,
                            struct arena *scratch)
{
    const struct chain_config *config = pass->config;
    struct best *layer = arena_alloc(scratch, count * sizeof *layer);
    struct best *next = arena_alloc(scratch, count * sizeof *next);
    if (!layer || !next)
        return err_new(ERR_NOMEM, "chain: grace");
    for (uint32_t e = 0; e < count; e++) {
        bool starts = (events[e].steps & 1) && events[e].can_start;
        layer[e] = starts ? (struct best){ events[e].time_ms, events[e].time_ms }
                          : (struct best){ NEVER, NEVER };
        if (starts)
            reach(pass, 1, 0, events[e].time_ms);
    }
    for (uint32_t step = 1; step < config->steps; step++) {
        struct best running = { NEVER, NEVER };
        uint32_t taken = 0;
        for (uint32_t e = 0; e < count; e++) {
            while (taken < count && events[taken].time_ms <= events[e].time_ms + config->grace_ms) {
                if (is_better(config, layer[taken], running))
                    running = layer[taken];
                taken++;
            }
            next[e] = (struct best){ NEVER, NEVER };
            if (!(events[e].steps >> step & 1) ||
                !is_in_window(config, &running, events[e].time_ms))
                continue;
            next[e] = (struct best){ running.start, events[e].time_ms };
            reach(pass, step + 1, running.last, events[e].time_ms);
        }
        struct best *swapped = layer;
        layer = next;
        next = swapped;
    }
    return ok();
}

/* --- any order -------------------------------------------------------------------------------------------- */

/* The most steps that different events of the window can be given, the first of them to its start. */
static struct err steps_in_window(struct pass *pass, const struct chain_event *events,
                                  uint32_t count, struct arena *scratch)
{
    const struct chain_config *config = pass->config;
    for (uint32_t first = 0; first < config->steps; first++) {
        if (!(events[0].steps >> first & 1))
            continue;
        struct matching matching;
        if (!matching_init(&matching, events + 1, count - 1, scratch))
            return err_new(ERR_NOMEM, "chain: matching");
        matching.is_any_order = true;
        uint32_t level = 1;
        for (uint32_t step = 0; step < config->steps; step++)
            level += step != first && matching_add(&matching, step);
        /* Times between steps mean nothing here: told as 0. */
        for (uint32_t step = pass->result->level + 1; step <= level; step++)
            reach(pass, step, events[0].time_ms, events[0].time_ms);
    }
    return ok();
}

static struct err run_any(struct pass *pass, const struct chain_event *events, uint32_t count,
                          struct arena *scratch)
{
    uint32_t end = 0;
    for (uint32_t i = 0; i < count && pass->result->level < pass->config->steps; i++) {
        if (!events[i].steps || !events[i].can_start)
            continue;
        while (end < count && events[end].time_ms - events[i].time_ms <= pass->config->within_ms)
            end++;
        struct err err = steps_in_window(pass, events + i, end - i, scratch);
        if (err.code)
            return err;
    }
    return ok();
}

/* --- attempts and groups ------------------------------------------------------------------------------------ */

static struct err run_once(struct pass *pass, const struct chain_event *events, uint32_t count,
                           struct arena *scratch)
{
    if (pass->config->order == ORDER_ANY)
        return run_any(pass, events, count, scratch);
    if (pass->config->order == ORDER_STRICT) {
        run_strict(pass, events, count);
        return ok();
    }
    if (pass->config->ties == TIES_GRACE)
        return run_grace(pass, events, count, scratch);
    return run_loose(pass, events, count, scratch);
}

static bool is_start(const struct chain_config *config, const struct chain_event *event)
{
    return event->can_start && (config->order == ORDER_ANY ? event->steps != 0 : event->steps & 1);
}

/* ATTEMPT_EACH: with only one of the events allowed to start at a time. */
static struct err run_attempts(struct pass *pass, const struct chain_event *events, uint32_t count,
                               struct arena *scratch)
{
    const struct chain_config *config = pass->config;
    struct chain_result *result = pass->result;
    struct chain_event *copy = arena_alloc(scratch, count * sizeof *copy);
    if (!copy && count > 0)
        return err_new(ERR_NOMEM, "chain: attempts");
    if (count > 0)
        memcpy(copy, events, count * sizeof *copy);
    for (uint32_t i = 0; i < count; i++)
        copy[i].can_start = false;

    struct chain_result whole = *result;
    for (uint32_t i = 0; i < count; i++) {
        if (!is_start(config, &events[i]))
            continue;
        copy[i].can_start = true;
        *result = (struct chain_result){ .level = 0 };
        struct err err = run_once(pass, copy, count, scratch);
        if (err.code)
            return err;
        copy[i].can_start = false;
        for (uint32_t step = 0; step < result->level && !result->is_dropped; step++)
            whole.attempts[step]++;
        whole.is_dropped = whole.is_dropped || result->is_dropped;
        if (result->level > whole.level) {
            whole.level = result->level;
            memcpy(whole.step_ms, result->step_ms, sizeof whole.step_ms);
        }
    }
    *result = whole;
    return ok();
}

static int by_group(const void *a, const void *b)
{
    const struct chain_event *x = a;
    const struct chain_event *y = b;
    if (x->group != y->group)
        return x->group < y->group ? -1 : 1;
    if (x->time_ms != y->time_ms)
        return x->time_ms < y->time_ms ? -1 : 1;
    return (x->seq > y->seq) - (x->seq < y->seq);
}

static struct err run_group(struct pass *pass, const struct chain_event *events, uint32_t count,
                            struct arena *scratch)
{
    if (pass->config->attempt == ATTEMPT_EACH)
        return run_attempts(pass, events, count, scratch);
    return run_once(pass, events, count, scratch);
}

/* Chains of one group, among events of all of them that may stand in between. */
static struct err run_among_all(struct pass *pass, const struct chain_event *events, uint32_t count,
                                uint32_t group, struct chain_event *copy, struct arena *scratch)
{
    for (uint32_t i = 0; i < count; i++) {
        copy[i] = events[i];
        if (copy[i].group != group)
            copy[i].steps = 0;
    }
    return run_group(pass, copy, count, scratch);
}

static struct err run_groups(struct pass *pass, const struct chain_event *events, uint32_t count,
                             struct arena *scratch)
{
    const struct chain_config *config = pass->config;
    bool are_apart = config->exclusion_count == 0 && config->order != ORDER_STRICT;
    struct chain_event *sorted = arena_alloc(scratch, count * sizeof *sorted);
    struct chain_event *copy = arena_alloc(scratch, count * sizeof *copy);
    if (!sorted || !copy)
        return err_new(ERR_NOMEM, "chain: groups");
    memcpy(sorted, events, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, by_group);
    for (uint32_t i = 0; i < count;) {
        uint32_t end = i + 1;
        while (end < count && sorted[end].group == sorted[i].group)
            end++;
        struct err err = are_apart
                             ? run_group(pass, sorted + i, end - i, scratch)
                             : run_among_all(pass, events, count, sorted[i].group, copy, scratch);
        if (err.code)
            return err;
        i = end;
    }
    return ok();
}

/* ATTEMPT_FIRST: only the first of all that may start does. */
static struct err keep_first_start(const struct chain_config *config,
                                   const struct chain_event **events, uint32_t count,
                                   struct arena *scratch)
{
    struct chain_event *copy = arena_alloc(scratch, count * sizeof *copy);
    bool is_found = false;
    if (!copy)
        return err_new(ERR_NOMEM, "chain: attempts");
    for (uint32_t i = 0; i < count; i++) {
        copy[i] = (*events)[i];
        copy[i].can_start = !is_found && is_start(config, &copy[i]);
        is_found = is_found || copy[i].can_start;
    }
    *events = copy;
    return ok();
}

struct err chain_find(const struct chain_config *config, const struct chain_event *events,
                      uint32_t count, struct arena *scratch, struct chain_result *out)
{
    struct chain_result result = { .level = 0 };
    struct pass pass = { .config = config, .result = &result };
    bool is_one_group = true;
    for (uint32_t i = 1; i < count && is_one_group; i++)
        is_one_group = events[i].group == events[0].group;
    if (config->attempt == ATTEMPT_FIRST) {
        struct err err = keep_first_start(config, &events, count, scratch);
        if (err.code)
            return err;
    }

    struct err err = is_one_group ? run_group(&pass, events, count, scratch)
                                  : run_groups(&pass, events, count, scratch);
    if (err.code)
        return err;
    if (result.is_dropped)
        result.level = 0;
    *out = result;
    return ok();
}

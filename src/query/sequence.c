/*
 * sequence.c - SEQUENCE: who went through all steps in order, within a window.
 *
 * It's the funnel's chain (chain.h) with its defaults; a user is in when the chain is whole. Only
 * the steps' events are gathered, of all the user's history that may matter: from the start of the
 * span to a window behind its end.
 */
#include "base/bits.h"
#include "query/chain.h"
#include "query/members.h"

#include <stdlib.h>

struct found {
    uint32_t row;
    struct chain_event event;
};

struct sequence_run {
    struct exec_task *task;
    const struct sequence_plan *plan;
    struct found *found;
    size_t count;
    size_t cap;
};

struct err sequence_compile(struct exec *exec, const struct sequence *tree,
                            struct sequence_plan *out)
{
    *out = (struct sequence_plan){ .tree = tree };
    out->steps = arena_calloc(exec->arena, tree->step_count, sizeof *out->steps);
    if (!out->steps)
        return exec_no_memory();
    struct err err = exec_resolve_span(exec, &tree->time, &out->range);
    for (uint32_t i = 0; i < tree->step_count && !err.code; i++)
        err = exec_step(exec, &tree->steps[i], &out->steps[i]);
    return err;
}

static struct err add_found(struct sequence_run *run, const struct found *found)
{
    if (run->count == run->cap) {
        size_t cap = run->cap ? run->cap * 2 : 1024;
        if (cap * sizeof *found > run->task->memory_bytes)
            return exec_no_memory();
        struct found *grown = realloc(run->found, cap * sizeof *found);
        if (!grown)
            return exec_no_memory();
        run->found = grown;
        run->cap = cap;
    }
    run->found[run->count++] = *found;
    return ok();
}

static bool has_event(const struct exec_step *step, uint32_t event)
{
    for (uint32_t i = 0; i < step->event_count; i++)
        if (step->events[i] == event)
            return true;
    return false;
}

static struct err select_steps(struct sequence_run *run, struct exec_slice *slice,
                               struct exec_range range, struct selection *selections,
                               bool *is_any_out)
{
    const struct sequence_plan *plan = run->plan;
    *is_any_out = false;
    for (uint32_t s = 0; s < plan->tree->step_count; s++) {
        selections[s] = (struct selection){ .count = 0 };
        if (!has_event(&plan->steps[s], slice->event))
            continue;
        struct err err =
            exec_slice_select(run->task, slice, range, plan->steps[s].filter, &selections[s]);
        if (err.code)
            return err;
        *is_any_out |= selections[s].count > 0;
    }
    return ok();
}

static struct err gather_slice(struct sequence_run *run, uint32_t event, int32_t month,
                               struct exec_range range)
{
    const struct sequence_plan *plan = run->plan;
    struct selection selections[TREE_STEPS_MAX];
    struct exec_slice slice;
    bool is_any = false;

    struct err err = exec_slice_open(run->task, event, month, &slice);
    if (!err.code)
        err = select_steps(run, &slice, range, selections, &is_any);
    if (err.code || !is_any)
        return err;
    err = exec_slice_times(run->task, &slice);
    if (!err.code)
        err = exec_slice_seqs(run->task, &slice);
    const struct store_slice *own = &slice.slice;
    for (uint32_t u = 0; u < own->users && !err.code; u++) {
        for (uint32_t i = own->start[u]; i < own->start[u + 1] && !err.code; i++) {
            struct found found = { .row = own->row[u] };
            for (uint32_t s = 0; s < plan->tree->step_count; s++)
                if (selections[s].count > 0 && is_selected(&selections[s], i))
                    found.event.steps |= 1u << s;
            if (found.event.steps == 0)
                continue;
            found.event.time_ms = own->base_ms + own->time[i];
            found.event.seq = own->seq[i];
            found.event.can_start = found.event.time_ms >= plan->range.from_ms &&
                                    found.event.time_ms < plan->range.to_ms;
            err = add_found(run, &found);
        }
    }
    return err;
}

static struct err gather_event(struct sequence_run *run, uint32_t event, struct exec_range range)
{
    const int32_t *found;
    uint32_t count;

    struct err err = exec_months(run->task, event, range, &found, &count);
    int32_t *months = err.code ? NULL : arena_alloc(run->task->keep, (count + 1u) * sizeof *months);
    if (!err.code && !months)
        return exec_no_memory();
    if (!err.code && count)
        memcpy(months, found, count * sizeof *months);
    for (uint32_t m = 0; m < count && !err.code; m++) {
        arena_reset(run->task->scratch);
        err = gather_slice(run, event, months[m], range);
    }
    return err;
}

static int compare_found(const void *a, const void *b)
{
    const struct found *left = a;
    const struct found *right = b;
    if (left->row != right->row)
        return left->row < right->row ? -1 : 1;
    if (left->event.time_ms != right->event.time_ms)
        return left->event.time_ms < right->event.time_ms ? -1 : 1;
    return (left->event.seq > right->event.seq) - (left->event.seq < right->event.seq);
}

static struct err find_chains(struct sequence_run *run, uint64_t *bits)
{
    uint32_t steps = run->plan->tree->step_count;
    struct chain_config config = { .steps = steps,
                                   .within_ms = duration_ms(run->plan->tree->within) };
    struct err err = ok();

    if (run->count)
        qsort(run->found, run->count, sizeof *run->found, compare_found);
    for (size_t i = 0; i < run->count && !err.code;) {
        struct chain_result result;
        size_t end = i;
        arena_reset(run->task->scratch);
        while (end < run->count && run->found[end].row == run->found[i].row)
            end++;
        struct chain_event *events = arena_alloc(run->task->scratch, (end - i) * sizeof *events);
        if (!events)
            return exec_no_memory();
        for (size_t k = i; k < end; k++)
            events[k - i] = run->found[k].event;
        err = chain_find(&config, events, (uint32_t)(end - i), run->task->scratch, &result);
        if (!err.code && result.level == steps)
            bits_add(bits, run->found[i].row);
        i = end;
    }
    return err;
}

struct err sequence_run(struct exec_task *task, const struct sequence_plan *plan, uint64_t *bits)
{
    struct sequence_run run = { .task = task, .plan = plan };
    struct exec_range range = plan->range;
    uint32_t events = catalog_event_count(task->exec->catalog);
    struct err err = ok();

    range.to_ms += duration_ms(plan->tree->within); /* later steps may lie behind the span */
    range = exec_clip(task->exec, range);
    for (uint32_t event = 0; event < events && !err.code; event++) {
        bool is_used = false;
        for (uint32_t s = 0; s < plan->tree->step_count; s++)
            is_used |= has_event(&plan->steps[s], event);
        if (is_used)
            err = gather_event(&run, event, range);
    }
    if (!err.code)
        err = find_chains(&run, bits);
    free(run.found);
    return err;
}

/*
 * funnel.c - FUNNEL: how many users get from each step to the next.
 *
 * A row per step (and value of the breakdown): how many users reached it, as shares of those of the
 * first and of the previous step, and the exact median of the time from the previous step in the
 * chain by which each of them first got there.
 */
#include "query/funnel_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { COLUMNS = 6 };

/* --- the plan ------------------------------------------------------------------------------- */

static int by_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void put_types(const struct exec_step *step, uint32_t *types, uint32_t *count)
{
    memcpy(types + *count, step->events, step->event_count * sizeof *types);
    *count += step->event_count;
}

/* The event types of all steps and exclusions, each once; or all there are. */
static struct err plan_types(struct exec *exec, struct funnel_plan *plan)
{
    if (plan->needs_all) {
        struct exec_step all;
        struct err err = exec_filter_events(exec, NULL, &all);
        if (err.code)
            return err;
        plan->types = all.events;
        plan->type_count = all.event_count;
        return ok();
    }
    size_t cap = 0;
    for (uint32_t i = 0; i < plan->config.steps; i++)
        cap += plan->steps[i].event_count;
    for (uint32_t i = 0; i < plan->config.exclusion_count; i++)
        cap += plan->exclusions[i].event_count;
    uint32_t *types = arena_alloc(exec->arena, cap * sizeof *types);
    if (!types)
        return exec_no_memory();
    uint32_t count = 0;
    for (uint32_t i = 0; i < plan->config.steps; i++)
        put_types(&plan->steps[i], types, &count);
    for (uint32_t i = 0; i < plan->config.exclusion_count; i++)
        put_types(&plan->exclusions[i], types, &count);
    qsort(types, count, sizeof *types, by_number);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (i == 0 || types[i] != types[i - 1])
            types[kept++] = types[i];
    }
    plan->types = types;
    plan->type_count = kept;
    return ok();
}

static bool do_steps_share(const struct funnel_plan *plan)
{
    for (uint32_t i = 0; i < plan->config.steps; i++) {
        for (uint32_t j = 0; j < i; j++) {
            for (uint32_t a = 0; a < plan->steps[i].event_count; a++) {
                for (uint32_t b = 0; b < plan->steps[j].event_count; b++) {
                    if (plan->steps[i].events[a] == plan->steps[j].events[b])
                        return true;
                }
            }
        }
    }
    return false;
}

static struct err plan_exclusions(struct exec *exec, struct funnel_plan *plan)
{
    const struct funnel *tree = plan->tree;
    struct chain_exclusion *chain = arena_calloc(exec->arena, tree->exclusion_count, sizeof *chain);
    plan->exclusions = arena_calloc(exec->arena, tree->exclusion_count, sizeof *plan->exclusions);
    if (!chain || !plan->exclusions)
        return exec_no_memory();
    for (uint32_t i = 0; i < tree->exclusion_count; i++) {
        struct err err = exec_step(exec, &tree->exclusions[i].step, &plan->exclusions[i]);
        if (err.code)
            return err;
        chain[i] = (struct chain_exclusion){
            .from = tree->exclusions[i].from,
            .to = tree->exclusions[i].to,
            .is_drop = tree->exclusions[i].is_drop,
        };
    }
    plan->config.exclusions = chain;
    plan->config.exclusion_count = tree->exclusion_count;
    return ok();
}

static struct err plan_holding(struct exec *exec, struct funnel_plan *plan)
{
    const struct funnel *tree = plan->tree;
    plan->holding = arena_calloc(exec->arena, tree->holding_count, sizeof *plan->holding);
    if (!plan->holding)
        return exec_no_memory();
    for (uint32_t i = 0; i < tree->holding_count; i++) {
        const struct name *name = &tree->holding[i];
        struct err err = exec_property(exec, name->text, &name->at, &plan->holding[i]);
        if (err.code)
            return err;
        if (plan->holding[i].is_item)
            return exec_wrong(exec, &name->at, "a property of items can't be held");
    }
    return ok();
}

static struct err plan_range(struct exec *exec, struct funnel_plan *plan)
{
    int64_t within_ms = plan->config.within_ms;
    struct err err = exec_resolve_span(exec, &exec->query->span, &plan->starts);
    if (err.code)
        return err;
    plan->starts = exec_clip(exec, plan->starts);
    plan->follows = plan->starts;
    /* From the previous step: each step may add a window. */
    int64_t windows = plan->config.is_window_from_previous ? plan->config.steps - 1 : 1;
    if (!plan->tree->is_complete_in_range) {
        int64_t room = (TIME_MS_MAX - plan->starts.to_ms) / windows;
        plan->follows.to_ms =
            room > within_ms ? plan->starts.to_ms + within_ms * windows : TIME_MS_MAX;
        plan->follows = exec_clip(exec, plan->follows);
    }
    if (plan->config.ties == TIES_GRACE && plan->follows.from_ms > TIME_MS_MIN)
        plan->follows.from_ms -= (int64_t)plan->config.steps * plan->config.grace_ms;
    exec->is_open = plan->starts.to_ms > exec->now_ms ||
                    (!plan->tree->is_complete_in_range && plan->follows.to_ms > exec->now_ms);
    return ok();
}

static struct err plan_funnel(struct exec *exec, struct funnel_plan *plan)
{
    const struct funnel *tree = plan->tree;
    plan->config = (struct chain_config){
        .steps = tree->step_count,
        .within_ms = duration_ms(tree->within),
        .is_window_from_previous = tree->is_window_from_previous,
        .attempt = tree->attempt,
        .ties = tree->ties,
        .grace_ms = tree->ties == TIES_GRACE ? duration_ms(tree->grace) : 0,
        .order = tree->order,
    };
    for (uint32_t i = 0; i < tree->step_count; i++) {
        struct err err = exec_step(exec, &tree->steps[i], &plan->steps[i]);
        if (err.code)
            return err;
    }
    struct err err = plan_exclusions(exec, plan);
    if (!err.code)
        err = plan_holding(exec, plan);
    if (!err.code)
        err = exec_keys(exec, tree->keys, tree->key_count, &plan->keys);
    if (err.code)
        return err;
    if (tree->ties == TIES_GRACE && do_steps_share(plan))
        return exec_wrong(exec, &tree->steps[0].at,
                          "TIES GRACE needs steps that share no event type");
    plan->needs_all =
        (tree->order == ORDER_STRICT && !tree->is_strict_among_steps) || tree->is_within_session;
    err = plan_types(exec, plan);
    if (err.code)
        return err;
    return plan_range(exec, plan);
}

/* --- tasks ------------------------------------------------------------------------------------ */

struct funnel_run {
    struct funnel_plan plan;
    bool is_plain;
    struct funnel_result *results; /* per shard */
};

struct err funnel_add_time(struct exec_task *task, struct funnel_result *result, uint32_t group,
                           uint32_t step, int64_t ms)
{
    struct funnel_times *times = result->times;
    if (!times || times->count == FUNNEL_TIMES) {
        times = arena_alloc(task->keep, sizeof *times);
        if (!times)
            return exec_no_memory();
        times->next = result->times;
        times->count = 0;
        result->times = times;
    }
    times->times[times->count++] = (struct funnel_time){ group, step, ms };
    return ok();
}

static struct err run_task(struct exec_task *task, void *ctx)
{
    struct funnel_run *run = ctx;
    struct funnel_result *result = &run->results[task->shard];
    if (task->rows == 0)
        return ok();
    struct err err = values_new(task->keep, task->memory_bytes, &result->values);
    if (err.code)
        return err;
    if (run->is_plain)
        return funnel_run_plain(task, &run->plan, result);
    if (funnel_is_strict(&run->plan))
        return funnel_run_strict(task, &run->plan, result);
    return funnel_run_general(task, &run->plan, result);
}

/* --- bringing together ---------------------------------------------------------------------------- */

/* All tasks' groups as one list, and what they counted. */
struct whole {
    struct values *values;
    struct intern *groups; /* rows of the whole's value numbers */
    uint64_t *users;       /* [group * steps + step] */
    size_t time_count;
    uint32_t **numbers; /* by shard: of each of its groups, the number here */
};

static struct err join_group(const struct funnel_run *run, const struct funnel_result *result,
                             uint32_t group, struct whole *whole, uint32_t *out)
{
    uint32_t keys = run->plan.tree->key_count;
    uint32_t row[TREE_KEYS_MAX] = { 0 };
    for (uint32_t k = 0; k < keys; k++) {
        struct value value = values_get(result->values, result->group_keys[group * keys + k]);
        struct err err = values_put(whole->values, &value, &row[k]);
        if (err.code)
            return err;
    }
    return intern_put(whole->groups, bytes_of(row, keys * sizeof *row), out, NULL);
}

static struct err join_groups(struct exec *exec, const struct funnel_run *run, struct whole *whole)
{
    for (uint32_t shard = 0; shard < exec->shards; shard++) {
        const struct funnel_result *result = &run->results[shard];
        whole->numbers[shard] = arena_calloc(exec->arena, result->group_count, sizeof(uint32_t));
        if (!whole->numbers[shard])
            return exec_no_memory();
        for (uint32_t group = 0; group < result->group_count; group++) {
            struct err err = join_group(run, result, group, whole, &whole->numbers[shard][group]);
            if (err.code)
                return err;
        }
    }
    return ok();
}

static struct err join_counts(struct exec *exec, const struct funnel_run *run, struct whole *whole)
{
    uint32_t steps = run->plan.config.steps;
    size_t cells = (size_t)intern_count(whole->groups) * steps;
    for (uint32_t shard = 0; shard < exec->shards; shard++) {
        for (const struct funnel_times *t = run->results[shard].times; t; t = t->next)
            whole->time_count += t->count;
    }
    whole->users = arena_calloc(exec->arena, cells, sizeof *whole->users);
    if (!whole->users)
        return exec_no_memory();
    for (uint32_t shard = 0; shard < exec->shards; shard++) {
        const struct funnel_result *result = &run->results[shard];
        for (uint32_t group = 0; group < result->group_count; group++) {
            for (uint32_t step = 0; step < steps; step++)
                whole->users[(size_t)whole->numbers[shard][group] * steps + step] +=
                    result->users[(size_t)group * steps + step];
        }
    }
    return ok();
}

/* --- medians ----------------------------------------------------------------------------------------- */

/* Puts the `nth` smallest of the numbers at its place, smaller ones before it (Hoare's selection,
 * the middle as pivot). */
static void select_nth(int64_t *numbers, size_t count, size_t nth)
{
    size_t low = 0;
    size_t high = count - 1;
    while (low < high) {
        int64_t pivot = numbers[low + (high - low) / 2];
        size_t i = low;
        size_t j = high;
        while (i <= j) {
            while (numbers[i] < pivot)
                i++;
            while (numbers[j] > pivot)
                j--;
            if (i > j)
                break;
            int64_t swapped = numbers[i];
            numbers[i++] = numbers[j];
            numbers[j] = swapped;
            if (j-- == 0)
                break;
        }
        if (nth <= j && j != SIZE_MAX)
            high = j;
        else if (nth >= i)
            low = i;
        else
            return;
    }
}

/* Many numbers: those of the bucket that holds the `nth`, and how many lie before it. A selection
 * alone would go over all of them several times, each time guessing every comparison wrong. */
enum { BUCKETS = 4096, MANY = 16384 };

static size_t narrow(int64_t *numbers, size_t count, size_t nth, size_t *before_out)
{
    size_t sizes[BUCKETS] = { 0 };
    int64_t least = numbers[0];
    int64_t most = numbers[0];
    for (size_t i = 1; i < count; i++) {
        least = numbers[i] < least ? numbers[i] : least;
        most = numbers[i] > most ? numbers[i] : most;
    }
    unsigned shift = 0;
    while (((uint64_t)most - (uint64_t)least) >> shift >= BUCKETS)
        shift++;
    for (size_t i = 0; i < count; i++)
        sizes[((uint64_t)numbers[i] - (uint64_t)least) >> shift]++;
    size_t before = 0;
    uint64_t bucket = 0;
    while (before + sizes[bucket] <= nth)
        before += sizes[bucket++];
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) { /* swaps, so that none is lost */
        int64_t own = numbers[i];
        if (((uint64_t)own - (uint64_t)least) >> shift != bucket)
            continue;
        numbers[i] = numbers[kept];
        numbers[kept++] = own;
    }
    *before_out = before;
    return kept;
}

static int64_t nth_number(int64_t *numbers, size_t count, size_t nth)
{
    size_t before = 0;
    if (count > MANY)
        count = narrow(numbers, count, nth, &before);
    select_nth(numbers, count, nth - before);
    return numbers[nth - before];
}

/* Exact: the middle one, or the mean of the two in the middle. */
static double median(int64_t *numbers, size_t count)
{
    size_t middle = count / 2;
    int64_t upper = nth_number(numbers, count, middle);
    if (count % 2)
        return (double)upper;
    int64_t lower = nth_number(numbers, count, middle - 1);
    return ((double)lower + (double)upper) / 2;
}

/* medians[group * steps + step]; those without times stay NaN. */
static struct err take_medians(struct exec *exec, const struct funnel_run *run,
                               const struct whole *whole, double **out)
{
    uint32_t steps = run->plan.config.steps;
    uint32_t *const *groups = whole->numbers;
    size_t cells = (size_t)intern_count(whole->groups) * steps;
    double *medians = arena_alloc(exec->arena, cells * sizeof *medians);
    size_t *start = arena_calloc(exec->arena, cells + 2, sizeof *start);
    int64_t *numbers = arena_alloc(exec->arena, whole->time_count * sizeof *numbers);
    if (!medians || !start || !numbers)
        return exec_no_memory();
    for (uint32_t shard = 0; shard < exec->shards; shard++)
        for (const struct funnel_times *t = run->results[shard].times; t; t = t->next)
            for (uint32_t i = 0; i < t->count; i++)
                start[(size_t)groups[shard][t->times[i].group] * steps + t->times[i].step + 2]++;
    for (size_t cell = 0; cell < cells; cell++)
        start[cell + 2] += start[cell + 1];
    for (uint32_t shard = 0; shard < exec->shards; shard++) {
        for (const struct funnel_times *t = run->results[shard].times; t; t = t->next) {
            for (uint32_t i = 0; i < t->count; i++) {
                size_t cell = (size_t)groups[shard][t->times[i].group] * steps + t->times[i].step;
                numbers[start[cell + 1]++] = t->times[i].ms;
            }
        }
    }
    for (size_t cell = 0; cell < cells; cell++) {
        size_t count = start[cell + 1] - start[cell];
        medians[cell] = count ? median(numbers + start[cell], count) : (double)NAN;
    }
    *out = medians;
    return ok();
}

/* --- the table --------------------------------------------------------------------------------------------- */

static struct err step_name(struct exec *exec, struct table *table, const struct step *step,
                            struct table_cell *out)
{
    struct buf name;
    buf_init(&name, TREE_TEXT_MAX);
    if (step->is_any_event)
        buf_put(&name, BYTES("Any event"));
    for (uint32_t i = 0; i < step->event_count; i++) {
        if (i > 0)
            buf_put(&name, BYTES(" or "));
        buf_put(&name, step->events[i].text);
    }
    struct err err = buf_err(&name);
    if (!err.code)
        err = cell_text(table, buf_bytes(&name), out);
    buf_done(&name);
    (void)exec;
    return err;
}

struct row_order {
    const struct whole *whole;
    uint32_t keys;
};

static int compare_groups(const struct whole *whole, uint32_t keys, uint32_t a, uint32_t b)
{
    uint32_t x[TREE_KEYS_MAX];
    uint32_t y[TREE_KEYS_MAX];
    memcpy(x, intern_get(whole->groups, a).ptr, keys * sizeof *x);
    memcpy(y, intern_get(whole->groups, b).ptr, keys * sizeof *y);
    for (uint32_t k = 0; k < keys; k++) {
        struct value v = values_get(whole->values, x[k]);
        struct value w = values_get(whole->values, y[k]);
        int order = value_order(&v, &w);
        if (order != 0)
            return order;
    }
    return 0;
}

/* Groups in the order of their values: a heap sort, since the comparison needs more than two
 * numbers. */
static void sift(uint32_t *groups, uint32_t at, uint32_t count, const struct row_order *order)
{
    for (;;) {
        uint32_t child = at * 2 + 1;
        if (child >= count)
            return;
        if (child + 1 < count &&
            compare_groups(order->whole, order->keys, groups[child], groups[child + 1]) < 0)
            child++;
        if (compare_groups(order->whole, order->keys, groups[at], groups[child]) >= 0)
            return;
        uint32_t swapped = groups[at];
        groups[at] = groups[child];
        groups[child] = swapped;
        at = child;
    }
}

static void sort_groups(uint32_t *groups, uint32_t count, const struct row_order *order)
{
    if (order->keys == 0)
        return;
    for (uint32_t i = count / 2; i-- > 0;)
        sift(groups, i, count, order);
    for (uint32_t end = count; end-- > 1;) {
        uint32_t swapped = groups[0];
        groups[0] = groups[end];
        groups[end] = swapped;
        sift(groups, 0, end, order);
    }
}

static struct table_cell share(uint64_t part, uint64_t whole)
{
    return cell_real(whole ? (double)part / (double)whole : (double)NAN);
}

static struct err put_group(struct exec *exec, const struct funnel_run *run,
                            const struct whole *whole, uint32_t group, const double *medians,
                            struct table *table)
{
    const struct funnel *tree = run->plan.tree;
    uint32_t keys = tree->key_count;
    uint32_t steps = tree->step_count;
    const uint64_t *users = whole->users + (size_t)group * steps;
    uint32_t row[TREE_KEYS_MAX] = { 0 };
    if (keys > 0)
        memcpy(row, intern_get(whole->groups, group).ptr, keys * sizeof *row);
    for (uint32_t step = 0; step < steps; step++) {
        struct table_cell *cells = NULL;
        struct table_cell name;
        struct err err = step_name(exec, table, &tree->steps[step], &name);
        if (!err.code)
            err = exec_table_row(table, &cells);
        for (uint32_t k = 0; k < keys && !err.code; k++) {
            struct value value = values_get(whole->values, row[k]);
            err = cell_key(exec, table, &run->plan.keys[k], &value, &cells[k]);
        }
        if (err.code)
            return err;
        cells[keys] = cell_int(step + 1);
        cells[keys + 1] = name;
        cells[keys + 2] = cell_int((int64_t)users[step]);
        cells[keys + 3] = share(users[step], users[0]);
        if (step == 0)
            continue;
        cells[keys + 4] = share(users[step], users[step - 1]);
        cells[keys + 5] = cell_real(medians[(size_t)group * steps + step]);
    }
    return ok();
}

static struct err put_table(struct exec *exec, const struct funnel_run *run,
                            const struct whole *whole, struct table *table)
{
    static const struct {
        const char *name;
        enum table_type type;
    } columns[COLUMNS] = {
        { "step", TABLE_INT },
        { "event", TABLE_STRING },
        { "users", TABLE_INT },
        { "conversion_first", TABLE_REAL },
        { "conversion_previous", TABLE_REAL },
        { "median_ms", TABLE_REAL },
    };
    uint32_t keys = run->plan.tree->key_count;
    struct err err = exec_table_init(exec, table, "funnel", keys + COLUMNS);
    for (uint32_t k = 0; k < keys && !err.code; k++)
        err = exec_table_column(table, k, run->plan.keys[k].column,
                                exec_key_type(exec, &run->plan.keys[k]));
    for (uint32_t c = 0; c < COLUMNS && !err.code; c++)
        err = exec_table_column(table, keys + c, bytes_from(columns[c].name), columns[c].type);
    if (err.code)
        return err;

    double *medians = NULL;
    err = take_medians(exec, run, whole, &medians);
    if (err.code)
        return err;
    uint32_t count = intern_count(whole->groups);
    uint32_t *order = arena_alloc(exec->arena, (size_t)count * sizeof *order);
    if (!order)
        return exec_no_memory();
    for (uint32_t group = 0; group < count; group++)
        order[group] = group;
    struct row_order by = { whole, keys };
    sort_groups(order, count, &by);
    for (uint32_t i = 0; i < count && !err.code; i++) {
        /* A value that only starts have which didn't count. */
        bool is_empty = whole->users[(size_t)order[i] * run->plan.config.steps] == 0;
        if (keys == 0 || !is_empty)
            err = put_group(exec, run, whole, order[i], medians, table);
    }
    return err;
}

/* Without a breakdown there is one group, also when nobody did anything. */
static struct err ensure_group(const struct funnel_run *run, struct whole *whole)
{
    uint32_t group = 0;
    if (run->plan.tree->key_count > 0)
        return ok();
    return intern_put(whole->groups, bytes_of("", 0), &group, NULL);
}

static struct err answer(struct exec *exec, struct funnel_run *run, struct table *table)
{
    struct whole whole = { .values = NULL };
    whole.numbers = arena_calloc(exec->arena, exec->shards, sizeof *whole.numbers);
    if (!whole.numbers)
        return exec_no_memory();
    struct err err = values_new(exec->arena, exec->memory_bytes, &whole.values);
    if (!err.code)
        err = intern_new(exec->memory_bytes, &whole.groups);
    if (!err.code)
        err = ensure_group(run, &whole);
    if (!err.code)
        err = join_groups(exec, run, &whole);
    if (!err.code)
        err = join_counts(exec, run, &whole);
    if (!err.code)
        err = put_table(exec, run, &whole, table);
    intern_free(whole.groups);
    values_free(whole.values);
    return err;
}

struct err run_funnel(struct exec *exec, struct table *table)
{
    struct funnel_run run = { .plan = { .tree = &exec->query->funnel } };
    struct err err = plan_funnel(exec, &run.plan);
    if (err.code)
        return err;
    run.is_plain = funnel_is_plain(&run.plan);
    run.results = arena_calloc(exec->arena, exec->shards, sizeof *run.results);
    if (!run.results)
        return exec_no_memory();
    if (run.plan.tree->attempt == ATTEMPT_EACH)
        exec_warn(exec, "users are attempts here: a user counts once for each first step");
    err = exec_run_shards(exec, run_task, &run);
    if (!err.code)
        err = answer(exec, &run, table);
    for (uint32_t shard = 0; shard < exec->shards; shard++)
        values_free(run.results[shard].values);
    return err;
}

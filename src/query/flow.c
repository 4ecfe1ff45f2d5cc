/*
 * flow.c - FLOW: what users did after (or before) an event, as a tree of paths.
 *
 * Each user gives one path: from the first start in the span, or back from the last. A row for each
 * of the largest nodes of the paths' prefix tree, and one for what is left out below each of them,
 * so that the users of a row are those who dropped out there and those of the rows below it.
 */
#include "query/flow_internal.h"

#include "codec/jsonw.h"

#include <stdlib.h>
#include <string.h>

enum { COLUMNS = 4 };

/* --- the plan ------------------------------------------------------------------------------- */

static struct err plan_arrays(struct exec *exec, struct flow_plan *plan)
{
    uint32_t types = catalog_event_count(exec->catalog);
    plan->node = arena_calloc(exec->arena, types, sizeof *plan->node);
    plan->node_type = arena_calloc(exec->arena, (size_t)types + 1, sizeof *plan->node_type);
    plan->is_start = arena_calloc(exec->arena, types, sizeof *plan->is_start);
    plan->is_shown = arena_calloc(exec->arena, types, sizeof *plan->is_shown);
    plan->expansion = arena_calloc(exec->arena, types, sizeof *plan->expansion);
    plan->properties =
        arena_calloc(exec->arena, plan->tree->expansion_count, sizeof *plan->properties);
    bool has_room = plan->node && plan->node_type && plan->is_start && plan->is_shown &&
                    plan->expansion && plan->properties;
    return has_room ? ok() : exec_no_memory();
}

static struct err mark_names(struct exec *exec, struct flow_plan *plan, const struct name *names,
                             uint32_t count, bool is_shown)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t event;
        struct err err = exec_event(exec, &names[i], &event);
        if (err.code)
            return err;
        if (event != CATALOG_NONE)
            plan->is_shown[event] = is_shown;
    }
    return ok();
}

/* Which event types are steps: all but the hidden ones, or only those kept; never items. */
static struct err plan_shown(struct exec *exec, struct flow_plan *plan)
{
    const struct flow *tree = plan->tree;
    struct exec_step all;
    struct err err = exec_filter_events(exec, NULL, &all);
    for (uint32_t i = 0; !err.code && i < all.event_count; i++)
        plan->is_shown[all.events[i]] = tree->kept_count == 0;
    if (!err.code)
        err = mark_names(exec, plan, tree->hidden, tree->hidden_count, false);
    if (!err.code)
        err = mark_names(exec, plan, tree->kept, tree->kept_count, true);
    if (err.code)
        return err;
    for (uint32_t i = 0; i < plan->start.event_count; i++)
        plan->is_start[plan->start.events[i]] = true;
    uint32_t *shown = arena_alloc(exec->arena, all.event_count * sizeof *shown);
    uint32_t *walked = arena_alloc(exec->arena, all.event_count * sizeof *walked);
    if (!shown || !walked)
        return exec_no_memory();
    for (uint32_t i = 0; i < all.event_count; i++) {
        uint32_t type = all.events[i];
        if (plan->is_shown[type])
            shown[plan->shown_count++] = type;
        if (plan->is_shown[type] || plan->is_start[type])
            walked[plan->walked_count++] = type;
    }
    plan->shown = shown;
    plan->walked = walked;
    return ok();
}

struct named_type {
    struct bytes name;
    uint32_t type;
};

static int by_name(const void *a, const void *b)
{
    return bytes_compare(((const struct named_type *)a)->name,
                         ((const struct named_type *)b)->name);
}

/* Codes in the order of names: equal for all shards, and ties are broken by name. */
static struct err plan_nodes(struct exec *exec, struct flow_plan *plan)
{
    struct named_type *types = arena_alloc(exec->arena, plan->walked_count * sizeof *types);
    if (!types)
        return exec_no_memory();
    for (uint32_t i = 0; i < plan->walked_count; i++)
        types[i] = (struct named_type){ .name = catalog_event_name(exec->catalog, plan->walked[i]),
                                        .type = plan->walked[i] };
    if (plan->walked_count > 0)
        qsort(types, plan->walked_count, sizeof *types, by_name);
    for (uint32_t i = 0; i < plan->walked_count; i++) {
        plan->node[types[i].type] = i + 1;
        plan->node_type[i + 1] = types[i].type;
    }
    plan->node_count = plan->walked_count;
    return ok();
}

static struct err plan_expansions(struct exec *exec, struct flow_plan *plan)
{
    const struct flow *tree = plan->tree;
    for (uint32_t i = 0; i < tree->expansion_count; i++) {
        const struct expansion *expansion = &tree->expansions[i];
        uint32_t event;
        struct err err = exec_event(exec, &expansion->event, &event);
        if (!err.code)
            err = exec_property(exec, expansion->property.text, &expansion->property.at,
                                &plan->properties[i]);
        if (err.code)
            return err;
        if (plan->properties[i].is_item)
            return exec_wrong(exec, &expansion->property.at,
                              "a property of items can't stand for an event");
        if (event == CATALOG_NONE)
            continue;
        if (plan->expansion[event] != 0)
            return exec_wrong(exec, &expansion->event.at, "the event is expanded twice");
        plan->expansion[event] = i + 1;
    }
    return ok();
}

static struct err plan_ranges(struct exec *exec, struct flow_plan *plan)
{
    const struct flow *tree = plan->tree;
    struct err err = exec_resolve_span(exec, &exec->query->span, &plan->starts);
    if (err.code)
        return err;
    plan->follows = plan->starts;
    plan->within_ms = INT64_MAX;
    if (tree->has_within) {
        plan->within_ms = duration_ms(tree->within);
        if (tree->is_backwards)
            plan->follows.from_ms = plan->starts.from_ms - TIME_MS_MIN > plan->within_ms
                                        ? plan->starts.from_ms - plan->within_ms
                                        : TIME_MS_MIN;
        else
            plan->follows.to_ms = TIME_MS_MAX - plan->starts.to_ms > plan->within_ms
                                      ? plan->starts.to_ms + plan->within_ms
                                      : TIME_MS_MAX + 1;
        plan->follows = exec_clip(exec, plan->follows);
    }
    exec->is_open = plan->follows.to_ms > exec->now_ms;
    return ok();
}

struct err flow_plan(struct exec *exec, struct flow_plan *plan)
{
    *plan = (struct flow_plan){ .tree = &exec->query->flow };
    struct err err = plan_arrays(exec, plan);
    if (!err.code)
        err = exec_step(exec, &plan->tree->start, &plan->start);
    if (!err.code)
        err = plan_shown(exec, plan);
    if (!err.code)
        err = plan_nodes(exec, plan);
    if (!err.code)
        err = plan_expansions(exec, plan);
    if (!err.code)
        err = plan_ranges(exec, plan);
    if (err.code)
        return err;
    uint32_t bits = plan->tree->expansion_count > 0 ? 32
                    : plan->node_count < 0x100      ? 8
                    : plan->node_count < 0x10000    ? 16
                                                    : 32;
    plan->shape.codes = plan->tree->steps + 1;
    plan->shape.code_bits = bits;
    plan->shape.words = (plan->shape.codes * bits + 63) / 64;
    return ok();
}

/* --- the names of codes, over all tasks ---------------------------------------------------------- */

struct code_name {
    uint32_t node;      /* of the event type */
    bool is_value;      /* the event's value stands for it */
    struct value value; /* lives as long as the task's values */
    uint32_t shard;
    uint32_t code; /* the task's */
};

struct flow_run {
    struct flow_plan plan;
    struct flow_result *results; /* per shard */
    struct arena arena;          /* of what is brought together */
    struct flow_paths paths;
    struct code_name *names; /* [code], from 1 */
    uint32_t name_count;
};

static int by_code_name(const void *a, const void *b)
{
    const struct code_name *x = a;
    const struct code_name *y = b;
    if (x->node != y->node)
        return x->node < y->node ? -1 : 1;
    if (x->is_value != y->is_value)
        return x->is_value ? 1 : -1;
    return x->is_value ? value_order(&x->value, &y->value) : 0;
}

/* Without values that stand for events a code is the node of its event type. */
static struct err name_types(struct flow_run *run)
{
    uint32_t count = run->plan.node_count;
    run->names = arena_calloc(&run->arena, (size_t)count + 1, sizeof *run->names);
    if (!run->names)
        return exec_no_memory();
    for (uint32_t i = 1; i <= count; i++)
        run->names[i].node = i;
    run->name_count = count;
    return ok();
}

static struct err list_names(struct exec *exec, struct flow_run *run, struct code_name **out,
                             size_t *count_out)
{
    size_t count = run->plan.node_count;
    for (uint32_t shard = 0; shard < exec->shards; shard++)
        count += run->results[shard].expanded_count;
    struct code_name *all = arena_calloc(&run->arena, count, sizeof *all);
    if (!all)
        return exec_no_memory();
    size_t at = 0;
    for (uint32_t i = 1; i <= run->plan.node_count; i++)
        all[at++] = (struct code_name){ .node = i, .shard = UINT32_MAX };
    for (uint32_t shard = 0; shard < exec->shards; shard++) {
        const struct flow_result *result = &run->results[shard];
        for (uint32_t i = 0; i < result->expanded_count; i++)
            all[at++] = (struct code_name){
                .node = run->plan.node[result->expanded[i].event],
                .is_value = true,
                .value = values_get(result->values, result->expanded[i].number),
                .shard = shard,
                .code = run->plan.node_count + 1 + i,
            };
    }
    *out = all;
    *count_out = count;
    return ok();
}

/* Codes for all tasks, in the order of names; maps[shard][the task's code] is the whole's. */
static struct err name_values(struct exec *exec, struct flow_run *run, uint32_t **maps)
{
    struct code_name *all = NULL;
    size_t count = 0;
    struct err err = list_names(exec, run, &all, &count);
    if (err.code)
        return err;
    if (count > 0)
        qsort(all, count, sizeof *all, by_code_name);
    run->names = arena_calloc(&run->arena, count + 1, sizeof *run->names);
    if (!run->names)
        return exec_no_memory();
    for (uint32_t shard = 0; shard < exec->shards; shard++) {
        size_t codes = (size_t)run->plan.node_count + 1 + run->results[shard].expanded_count;
        maps[shard] = arena_calloc(&run->arena, codes, sizeof **maps);
        if (!maps[shard])
            return exec_no_memory();
    }
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || by_code_name(&all[i - 1], &all[i]) != 0)
            run->names[++run->name_count] = all[i];
        for (uint32_t shard = 0; all[i].shard == UINT32_MAX && shard < exec->shards; shard++)
            maps[shard][all[i].node] = run->name_count;
        if (all[i].shard != UINT32_MAX)
            maps[all[i].shard][all[i].code] = run->name_count;
    }
    return ok();
}

/* --- bringing together ---------------------------------------------------------------------------- */

static void recode(const struct flow_shape *shape, uint64_t *path, const uint32_t *map)
{
    uint64_t old[FLOW_CODES_MAX];
    memcpy(old, path, shape->words * sizeof *old);
    memset(path, 0, shape->words * sizeof *path);
    for (uint32_t i = 0; i < shape->codes; i++) {
        uint32_t code = flow_code(shape, old, i);
        if (code == 0)
            return;
        flow_put_code(shape, path, i, map[code]);
    }
}

static struct err join_paths(struct exec *exec, struct flow_run *run)
{
    const struct flow_shape *shape = &run->plan.shape;
    bool has_values = run->plan.tree->expansion_count > 0;
    size_t count = 0;
    uint32_t **maps = arena_calloc(&run->arena, exec->shards, sizeof *maps);
    if (!maps)
        return exec_no_memory();
    struct err err = has_values ? name_values(exec, run, maps) : name_types(run);
    if (err.code)
        return err;
    for (uint32_t shard = 0; shard < exec->shards; shard++)
        count += run->results[shard].paths.count;
    if (count > UINT32_MAX)
        return exec_no_memory();
    run->paths.words = arena_alloc(&run->arena, count * shape->words * sizeof(uint64_t));
    run->paths.users = arena_alloc(&run->arena, count * sizeof(uint32_t));
    if (!run->paths.words || !run->paths.users)
        return exec_no_memory();
    for (uint32_t shard = 0; shard < exec->shards; shard++) {
        const struct flow_paths *from = &run->results[shard].paths;
        uint64_t *words = run->paths.words + (size_t)run->paths.count * shape->words;
        if (from->count == 0)
            continue;
        memcpy(words, from->words, (size_t)from->count * shape->words * sizeof *words);
        memcpy(run->paths.users + run->paths.count, from->users, from->count * sizeof *from->users);
        for (uint32_t i = 0; has_values && i < from->count; i++)
            recode(shape, words + (size_t)i * shape->words, maps[shard]);
        run->paths.count += from->count;
    }
    err = exec_check(exec);
    return err.code ? err : flow_count(shape, &run->paths, &run->arena);
}

static struct err walk_task(struct exec_task *task, void *ctx)
{
    struct flow_run *run = ctx;
    return flow_walk(task, &run->plan, &run->results[task->shard]);
}

/* --- the table -------------------------------------------------------------------------------------- */

struct shown_tree {
    struct exec *exec;
    struct table *table;
    const struct flow_run *run;
    const struct flow_node *nodes;
    uint32_t count;
    uint32_t *order; /* nodes by parent, then users, then name */
    uint32_t *first; /* [node + 1] where a node's children begin in `order`; [0]: the starts */
    struct buf path;
};

struct order_ctx {
    uint32_t parent;
    uint32_t node;
    uint64_t users;
};

static int by_parent(const void *a, const void *b)
{
    const struct order_ctx *x = a;
    const struct order_ctx *y = b;
    /* A start's parent is UINT32_MAX, which becomes 0. */
    if (x->parent != y->parent)
        return x->parent + 1 < y->parent + 1 ? -1 : 1;
    if (x->users != y->users)
        return x->users > y->users ? -1 : 1;
    return (x->node > y->node) - (x->node < y->node);
}

static struct err order_nodes(struct shown_tree *tree, struct arena *arena)
{
    struct order_ctx *sorted = arena_alloc(arena, tree->count * sizeof *sorted);
    tree->order = arena_alloc(arena, tree->count * sizeof *tree->order);
    tree->first = arena_calloc(arena, (size_t)tree->count + 2, sizeof *tree->first);
    if (!sorted || !tree->order || !tree->first)
        return exec_no_memory();
    for (uint32_t i = 0; i < tree->count; i++)
        sorted[i] = (struct order_ctx){ tree->nodes[i].parent, i, tree->nodes[i].users };
    if (tree->count > 0)
        qsort(sorted, tree->count, sizeof *sorted, by_parent);
    for (uint32_t i = 0; i < tree->count; i++) {
        tree->order[i] = sorted[i].node;
        tree->first[sorted[i].parent + 2]++; /* UINT32_MAX + 2 is 1 */
    }
    for (uint32_t i = 0; i <= tree->count; i++)
        tree->first[i + 1] += tree->first[i];
    return ok();
}

static void put_value(struct buf *to, struct exec *exec, const struct value *value)
{
    struct jsonw w = jsonw_of(to);
    if (value->type == VALUE_STRING)
        buf_put(to, value->string);
    else if (value->type == VALUE_TIME)
        calendar_put_local(to, exec->zone, value->time_ms);
    else
        jsonw_value(&w, value);
}

/* The event's name, with the value that stands for it. */
static void put_code_name(struct shown_tree *tree, uint32_t code)
{
    const struct code_name *name = &tree->run->names[code];
    struct jsonw w = jsonw_of(&tree->path);
    struct buf text;
    buf_init(&text, TREE_TEXT_MAX * 8);
    buf_put(&text, catalog_event_name(tree->exec->catalog, tree->run->plan.node_type[name->node]));
    if (name->is_value) {
        buf_put(&text, BYTES(": "));
        put_value(&text, tree->exec, &name->value);
    }
    jsonw_string(&w, buf_bytes(&text));
    tree->path.is_failed |= text.is_failed;
    buf_done(&text);
}

/* The path of `node`'s (UINT32_MAX: of nothing), then the name of what is left out below it. */
static struct err put_path(struct shown_tree *tree, uint32_t node, bool is_other,
                           struct table_cell *out)
{
    uint32_t codes[FLOW_CODES_MAX];
    uint32_t count = 0;
    for (uint32_t at = node; at != UINT32_MAX; at = tree->nodes[at].parent)
        codes[count++] = tree->nodes[at].code;
    buf_reset(&tree->path);
    buf_put_u8(&tree->path, '[');
    for (uint32_t i = count; i-- > 0;) {
        put_code_name(tree, codes[i]);
        if (i > 0 || is_other)
            buf_put_u8(&tree->path, ',');
    }
    buf_put(&tree->path, is_other ? BYTES("\"(other)\"]") : BYTES("]"));
    if (tree->path.is_failed)
        return exec_no_memory();
    struct err err = cell_text(tree->table, buf_bytes(&tree->path), out);
    out->kind = err.code ? CELL_NULL : CELL_JSON;
    return err;
}

static struct err put_row(struct shown_tree *tree, uint32_t node, bool is_other, uint32_t depth,
                          uint64_t users, const uint64_t *dropped)
{
    struct table_cell *cells;
    struct err err = exec_table_row(tree->table, &cells);
    if (!err.code)
        err = put_path(tree, node, is_other, &cells[0]);
    if (err.code)
        return err;
    cells[1] = cell_int(depth);
    cells[2] = cell_int((int64_t)users);
    if (dropped)
        cells[3] = cell_int((int64_t)*dropped);
    return ok();
}

/* A node's children, largest first, each with its own; then what is left out. No deeper than a
 * path is long. */
static struct err put_children(struct shown_tree *tree, uint32_t node, uint64_t users)
{
    uint32_t slot = node + 1; /* UINT32_MAX + 1 is 0 */
    uint32_t depth = node == UINT32_MAX ? 0 : tree->nodes[node].depth + 1;
    for (uint32_t i = tree->first[slot]; i < tree->first[slot + 1]; i++) {
        const struct flow_node *child = &tree->nodes[tree->order[i]];
        bool is_last = depth == tree->run->plan.tree->steps;
        struct err err = put_row(tree, tree->order[i], false, depth, child->users,
                                 is_last ? NULL : &child->ended);
        if (!err.code && !is_last)
            err = put_children(tree, tree->order[i], child->users - child->ended);
        if (err.code)
            return err;
        users -= child->users;
    }
    return users > 0 ? put_row(tree, node, true, depth, users, NULL) : ok();
}

static struct err put_table(struct exec *exec, struct flow_run *run, struct table *table)
{
    static const char *const NAMES[COLUMNS] = { "path", "depth", "users", "dropped" };
    struct shown_tree tree = { .exec = exec, .table = table, .run = run };
    struct flow_node *nodes;
    uint64_t total;
    uint64_t users = 0;
    struct err err = flow_largest(&run->plan.shape, &run->paths, (uint32_t)run->plan.tree->limit,
                                  &run->arena, &nodes, &tree.count, &total);
    if (err.code)
        return err;
    tree.nodes = nodes;
    err = order_nodes(&tree, &run->arena);
    if (!err.code)
        err = exec_table_init(exec, table, "flow", COLUMNS);
    for (uint32_t i = 0; i < COLUMNS && !err.code; i++)
        err = exec_table_column(table, i, bytes_from(NAMES[i]), i == 0 ? TABLE_LIST : TABLE_INT);
    if (err.code)
        return err;
    for (uint32_t i = 0; i < run->paths.count; i++)
        users += run->paths.users[i];
    buf_init(&tree.path, (size_t)TREE_TEXT_MAX * 16 * FLOW_CODES_MAX);
    err = put_children(&tree, UINT32_MAX, users);
    buf_done(&tree.path);
    if (!err.code && total > tree.count)
        exec_warn(exec, "%llu paths with fewer users are summed up as (other)",
                  (unsigned long long)(total - tree.count));
    return err;
}

struct err run_flow(struct exec *exec, struct table *table)
{
    struct flow_run run = { 0 };
    struct err err = flow_plan(exec, &run.plan);
    if (err.code)
        return err;
    run.results = arena_calloc(exec->arena, exec->shards, sizeof *run.results);
    if (!run.results)
        return exec_no_memory();
    arena_init(&run.arena, exec->memory_bytes / 4);
    err = exec_run_shards(exec, walk_task, &run);
    if (!err.code)
        err = join_paths(exec, &run);
    if (!err.code)
        err = put_table(exec, &run, table);
    for (uint32_t shard = 0; shard < exec->shards; shard++)
        values_free(run.results[shard].values);
    arena_done(&run.arena);
    return err;
}

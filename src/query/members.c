/*
 * members.c - who a condition holds for: SEGMENT, USERS and query_members.
 *
 * The condition is compiled to a tree whose leaves are sets: those of profiles are known at once,
 * those of events are made shard by shard, a bit per user row. `all`, `any` and `not` are words of
 * bits. `not` is taken of all users; whoever was merged away or erased is left out at the end.
 */
#include "query/members.h"

#include "base/bits.h"
#include "query/chain.h"

#include <stdlib.h>

struct member_node {
    enum condition_kind kind;
    struct member_node **children;
    uint32_t child_count;
    const uint64_t *users; /* COND_PROFILE */
    uint32_t bucket_first;
    uint32_t bucket_last;
    struct did_plan did;
    struct sequence_plan sequence;
};

struct members {
    struct exec *exec;
    struct member_node *root;
    uint64_t **rows; /* by shard: a bit per user row */
};

/* A fixed mixing of the number (splitmix64): never change it. */
uint32_t user_bucket(uint32_t user)
{
    uint64_t x = user + UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    x ^= x >> 31;
    return (uint32_t)(x % TREE_BUCKETS);
}

/* --- compiling ---------------------------------------------------------------------------- */

static struct err compile(struct exec *exec, const struct condition *condition,
                          struct member_node **out)
{
    struct member_node *node = arena_calloc(exec->arena, 1, sizeof *node);
    struct err err = ok();
    uint64_t *users = NULL;

    if (!node)
        return exec_no_memory();
    node->kind = condition->kind;
    *out = node;
    switch (condition->kind) {
    case COND_ALL:
    case COND_ANY:
    case COND_NOT:
        node->children = arena_calloc(exec->arena, condition->child_count, sizeof *node->children);
        if (!node->children)
            return exec_no_memory();
        node->child_count = condition->child_count;
        for (uint32_t i = 0; i < node->child_count && !err.code; i++)
            err = compile(exec, condition->children[i], &node->children[i]);
        return err;
    case COND_PROFILE:
        err = exec_match_profiles(exec, &condition->compare, &users);
        node->users = users;
        return err;
    case COND_DID:
        return did_compile(exec, &condition->did, &node->did);
    case COND_SEQUENCE:
        return sequence_compile(exec, &condition->sequence, &node->sequence);
    case COND_BUCKET:
        node->bucket_first = condition->bucket_first;
        node->bucket_last = condition->bucket_last;
        return ok();
    case COND_PROPERTY:
    case COND_EVENT:
        break; /* the readers don't let them in here */
    }
    return ok();
}

/* --- a shard --------------------------------------------------------------------------------- */

static uint64_t *new_rows(struct exec_task *task)
{
    return arena_calloc(task->keep, bits_words(task->rows) + 1, sizeof(uint64_t));
}

static void fill_rows(const struct exec_task *task, uint64_t *bits)
{
    for (uint32_t row = 0; row < task->rows; row++)
        bits_add(bits, row);
}

static struct err eval(struct exec_task *task, const struct member_node *node, uint64_t *bits);

static struct err eval_joined(struct exec_task *task, const struct member_node *node,
                              uint64_t *bits)
{
    size_t words = bits_words(task->rows);
    bool is_all = node->kind == COND_ALL;

    if (is_all)
        fill_rows(task, bits);
    for (uint32_t i = 0; i < node->child_count; i++) {
        uint64_t *child = new_rows(task);
        if (!child)
            return exec_no_memory();
        struct err err = eval(task, node->children[i], child);
        if (err.code)
            return err;
        for (size_t k = 0; k < words; k++)
            bits[k] = is_all ? bits[k] & child[k] : bits[k] | child[k];
    }
    return ok();
}

/* Into cleared bits. */
static struct err eval(struct exec_task *task, const struct member_node *node, uint64_t *bits)
{
    struct err err = exec_check(task->exec);
    if (err.code)
        return err;
    switch (node->kind) {
    case COND_ALL:
    case COND_ANY:
        return eval_joined(task, node, bits);
    case COND_NOT:
        err = eval(task, node->children[0], bits);
        for (uint32_t row = 0; row < task->rows && !err.code; row++)
            bits[row >> 6] ^= UINT64_C(1) << (row & 63);
        return err;
    case COND_PROFILE:
        for (uint32_t row = 0; row < task->rows; row++)
            if (bits_has(node->users, task_user(task, row)))
                bits_add(bits, row);
        return ok();
    case COND_BUCKET:
        for (uint32_t row = 0; row < task->rows; row++) {
            uint32_t bucket = user_bucket(task_user(task, row));
            if (bucket >= node->bucket_first && bucket <= node->bucket_last)
                bits_add(bits, row);
        }
        return ok();
    case COND_DID:
        return did_run(task, &node->did, bits);
    case COND_SEQUENCE:
        return sequence_run(task, &node->sequence, bits);
    case COND_PROPERTY:
    case COND_EVENT:
        break;
    }
    return ok();
}

static struct err members_task(struct exec_task *task, void *ctx)
{
    struct members *members = ctx;
    uint32_t users = task->exec->users;
    struct exec_task own = *task;

    /* Users with no events are rows too. */
    own.rows = users > task->shard ? (users - task->shard - 1) / task->exec->shards + 1 : 0;
    uint64_t *bits = new_rows(&own);
    if (!bits)
        return exec_no_memory();
    members->rows[task->shard] = bits;
    return eval(&own, members->root, bits);
}

static uint32_t gather(const struct members *members, uint64_t *set)
{
    struct exec *exec = members->exec;
    uint32_t count = 0;

    for (uint32_t shard = 0; shard < exec->shards && shard < exec->users; shard++) {
        uint32_t rows = (exec->users - shard - 1) / exec->shards + 1;
        for (size_t word = 0; word < bits_words(rows); word++) {
            for (uint64_t left = members->rows[shard][word]; left; left &= left - 1) {
                uint32_t row = (uint32_t)(word * 64) + (uint32_t)__builtin_ctzll(left);
                uint32_t user = row * exec->shards + shard;
                if (!exec->source->is_living(exec->source->identities, user))
                    continue;
                bits_add(set, user);
                count++;
            }
        }
    }
    return count;
}

struct err members_run(struct exec *exec, const struct condition *condition, struct arena *arena,
                       uint64_t **set_out, uint32_t *count_out)
{
    struct members members = { .exec = exec };
    uint64_t *set = arena_calloc(arena, bits_words(exec->users) + 1, sizeof *set);

    members.rows = arena_calloc(exec->arena, exec->shards, sizeof *members.rows);
    if (!set || !members.rows)
        return exec_no_memory();
    struct err err = compile(exec, condition, &members.root);
    if (!err.code)
        err = exec_run_shards(exec, members_task, &members);
    if (err.code)
        return err;
    *count_out = gather(&members, set);
    *set_out = set;
    return ok();
}

struct err members_as_of(struct exec *exec, const struct when *as_of)
{
    if (as_of->kind == WHEN_NONE)
        return ok();
    int64_t time_ms;
    struct err err = exec_resolve_when(exec, as_of, false, &time_ms);
    if (err.code)
        return err;
    exec->now_ms = time_ms;
    exec->cut_ms = time_ms;
    exec_warn(exec, "events are those before the time asked for; profiles are as they are now");
    return ok();
}

/* --- the reports -------------------------------------------------------------------------------- */

struct err run_segment(struct exec *exec, struct table *table)
{
    uint64_t *set;
    uint32_t count;
    struct table_cell *cells;

    struct err err = members_as_of(exec, &exec->query->segment.as_of);
    if (!err.code)
        err = members_run(exec, exec->query->segment.where, exec->arena, &set, &count);
    if (!err.code)
        err = exec_table_init(exec, table, "segment", 1);
    if (!err.code)
        err = exec_table_column(table, 0, BYTES("users"), TABLE_INT);
    if (!err.code)
        err = exec_table_row(table, &cells);
    if (!err.code)
        cells[0] = cell_int(count);
    return err;
}

struct user_row {
    uint32_t user;
    struct value order;
};

static int compare_users(const void *a, const void *b, void *ctx)
{
    const struct user_row *left = a;
    const struct user_row *right = b;
    const struct users *users = ctx;
    int order = value_order(&left->order, &right->order);
    bool is_absent = left->order.type == VALUE_NULL || right->order.type == VALUE_NULL;

    if (order)
        return users->is_descending && !is_absent ? -order : order;
    return (left->user > right->user) - (left->user < right->user);
}

/* The users in order: of the property asked for, else by number. */
static struct err sort_users(struct exec *exec, const uint64_t *set, uint32_t count,
                             struct user_row **out)
{
    const struct users *users = &exec->query->users;
    struct user_row *rows = arena_calloc(exec->arena, count + (size_t)1, sizeof *rows);
    uint32_t property = CATALOG_NONE;
    uint32_t used = 0;
    struct err err = ok();

    if (!rows)
        return exec_no_memory();
    if (users->order_by.text.len > 0)
        err = exec_profile_property(exec, users->order_by.text, &users->order_by.at, &property);
    if (err.code)
        return err;
    for (uint32_t user = 0; user < exec->users; user++) {
        if (!bits_has(set, user))
            continue;
        rows[used].user = user;
        if (property != CATALOG_NONE && user < profile_view_users(exec->source->profiles))
            rows[used].order = profile_get(exec->source->profiles, user, property, exec->arena);
        used++;
    }
    struct users copy = *users;
    if (property != CATALOG_NONE)
        qsort_r(rows, count, sizeof *rows, compare_users, &copy);
    *out = rows;
    return ok();
}

static struct err users_columns(struct exec *exec, struct table *table, struct exec_key *keys)
{
    const struct users *users = &exec->query->users;

    struct err err = exec_table_init(exec, table, "users", users->column_count + 2);
    if (!err.code)
        err = exec_table_column(table, 0, BYTES("user_id"), TABLE_INT);
    if (!err.code)
        err = exec_table_column(table, 1, BYTES("identity"), TABLE_STRING);
    for (uint32_t i = 0; i < users->column_count && !err.code; i++) {
        const struct name *name = &users->columns[i];
        keys[i].kind = KEY_PROFILE;
        err = exec_profile_property(exec, name->text, &name->at, &keys[i].profile_property);
        if (!err.code)
            err = exec_table_column(table, i + 2, name->text, exec_key_type(exec, &keys[i]));
    }
    return err;
}

static struct err users_row(struct exec *exec, struct table *table, const struct exec_key *keys,
                            uint32_t user)
{
    const struct query_source *source = exec->source;
    uint32_t count = exec->query->users.column_count;
    struct table_cell *cells;

    struct err err = exec_table_row(table, &cells);
    if (err.code)
        return err;
    cells[0] = cell_int(user);
    struct bytes shown = source->show_user(source->identities, user, &table->arena);
    if (shown.ptr && shown.len > 0)
        cells[1] = (struct table_cell){ .kind = CELL_STRING, .text = shown };
    for (uint32_t i = 0; i < count && !err.code; i++) {
        if (keys[i].profile_property == CATALOG_NONE ||
            user >= profile_view_users(source->profiles))
            continue;
        struct value value =
            profile_get(source->profiles, user, keys[i].profile_property, exec->arena);
        err = cell_value(exec, table, &value, &cells[i + 2]);
    }
    return err;
}

struct err run_users(struct exec *exec, struct table *table)
{
    const struct users *users = &exec->query->users;
    struct exec_key *keys = arena_calloc(exec->arena, users->column_count + 1u, sizeof *keys);
    struct user_row *rows = NULL;
    uint64_t *set;
    uint32_t count;

    if (!keys)
        return exec_no_memory();
    struct err err = members_as_of(exec, &users->as_of);
    if (!err.code)
        err = users_columns(exec, table, keys);
    if (!err.code)
        err = members_run(exec, users->where, exec->arena, &set, &count);
    if (!err.code)
        err = sort_users(exec, set, count, &rows);
    if (err.code)
        return err;
    if (users->has_limit && count > users->limit)
        count = (uint32_t)users->limit;
    for (uint32_t i = 0; i < count && !err.code; i++)
        err = users_row(exec, table, keys, rows[i].user);
    return err;
}

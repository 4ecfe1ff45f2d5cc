/*
 * groups.c - a tree of maps, a level per key.
 *
 * A tuple's first number leads to a node by an array (the numbers are dense), each further number
 * from node to node through the level's map. The last node has the group. Rows that follow each
 * other are often of one group, so the last tuple is remembered.
 */
#include "query/groups.h"

#include <stdlib.h>

struct value value_other(void)
{
    return (struct value){ .type = VALUE_TYPES };
}

struct err groups_init(struct groups *groups, struct arena *arena, size_t limit_bytes,
                       const struct exec_key *keys, uint32_t key_count, const struct kept *kept)
{
    *groups = (struct groups){
        .arena = arena, .keys = keys, .key_count = key_count, .kept = kept, .last_group = GROUP_NONE
    };
    struct err err = values_new(arena, limit_bytes, &groups->values);
    for (uint32_t i = 1; i < key_count && !err.code; i++)
        err = map64_new(limit_bytes, &groups->levels[i]);
    uint32_t group;
    if (!err.code && key_count == 0)
        err = groups_put(groups, NULL, &group);
    if (err.code)
        groups_done(groups);
    return err;
}

void groups_done(struct groups *groups)
{
    values_free(groups->values);
    groups->values = NULL;
    for (uint32_t i = 0; i < TREE_KEYS_MAX; i++) {
        map64_free(groups->levels[i]);
        groups->levels[i] = NULL;
    }
}

/* Room for index `at` in an array of the arena. */
static bool grow(struct arena *arena, void **items, size_t size, uint32_t *cap, uint32_t at)
{
    if (at < *cap)
        return true;
    uint32_t more = *cap ? *cap : 64;
    while (more <= at)
        more *= 2;
    void *grown = arena_calloc(arena, more, size);
    if (!grown)
        return false;
    if (*cap)
        memcpy(grown, *items, *cap * size);
    *items = grown;
    *cap = more;
    return true;
}

/* The node that a tuple ends at, made when it's new: node_count tells. */
static struct err find_node(struct groups *groups, const uint32_t *numbers, uint32_t *node_out)
{
    void *first = groups->first;
    if (!grow(groups->arena, &first, sizeof *groups->first, &groups->first_cap, numbers[0]))
        return exec_no_memory();
    groups->first = first;
    if (groups->first[numbers[0]] == 0)
        groups->first[numbers[0]] = ++groups->nodes[0];
    uint32_t node = groups->first[numbers[0]] - 1;
    for (uint32_t k = 1; k < groups->key_count; k++) {
        uint64_t *next = map64_put(groups->levels[k], (uint64_t)node << 32 | numbers[k], NULL);
        if (!next)
            return exec_no_memory();
        if (*next == 0)
            *next = ++groups->nodes[k];
        node = (uint32_t)*next - 1;
    }
    *node_out = node;
    return ok();
}

static struct err new_group(struct groups *groups, const uint32_t *numbers, uint32_t *group_out)
{
    void *tuples = groups->tuples;
    if (groups->count >= GROUP_NONE - 1 ||
        !grow(groups->arena, &tuples, sizeof(uint32_t) * (groups->key_count + 1), &groups->cap,
              groups->count))
        return exec_no_memory();
    groups->tuples = tuples;
    for (uint32_t k = 0; k < groups->key_count; k++)
        groups->tuples[(size_t)groups->count * groups->key_count + k] = numbers[k];
    *group_out = groups->count++;
    return ok();
}

static uint64_t hash_tuple(const uint32_t *numbers, uint32_t count)
{
    uint64_t hash = 0;
    for (uint32_t i = 0; i < count; i++)
        hash = hash_u64(hash ^ numbers[i]);
    return hash;
}

struct err kept_add(struct kept *kept, const uint32_t *numbers, uint32_t count)
{
    uint64_t *index = map64_put(kept->tuples, hash_tuple(numbers, count), NULL);
    if (!index)
        return exec_no_memory();
    *index = ++kept->count;
    return ok();
}

/* Does the tuple's series keep its own row? */
static struct err is_kept(const struct groups *groups, const uint32_t *numbers, bool *out)
{
    uint32_t own[TREE_KEYS_MAX];
    uint32_t used = 0;

    for (uint32_t k = 0; k < groups->key_count; k++) {
        if (groups->keys[k].kind == KEY_TIME)
            continue;
        struct value value = values_get(groups->values, numbers[k]);
        if (!values_find(groups->kept->values, &value, &own[used])) {
            *out = false;
            return ok();
        }
        used++;
    }
    const uint64_t *index = map64_find(groups->kept->tuples, hash_tuple(own, used));
    *out = index && (used == 0 || memcmp(&groups->kept->numbers[(*index - 1) * used], own,
                                         used * sizeof *own) == 0);
    return ok();
}

static struct err make_group(struct groups *groups, const uint32_t *numbers, uint32_t *group_out)
{
    uint32_t others[TREE_KEYS_MAX];
    bool has_own = true;
    struct err err = ok();

    if (groups->kept)
        err = is_kept(groups, numbers, &has_own);
    if (err.code || has_own)
        return err.code ? err : new_group(groups, numbers, group_out);
    struct value other = value_other();
    bool is_other = true;
    for (uint32_t k = 0; k < groups->key_count && !err.code; k++) {
        others[k] = numbers[k];
        if (groups->keys[k].kind != KEY_TIME)
            err = values_put(groups->values, &other, &others[k]);
        is_other &= others[k] == numbers[k];
    }
    if (err.code)
        return err;
    return is_other ? new_group(groups, numbers, group_out) : groups_put(groups, others, group_out);
}

struct err groups_put(struct groups *groups, const uint32_t *numbers, uint32_t *group_out)
{
    uint32_t node = 0;

    if (groups->key_count == 0) {
        *group_out = 0;
        return groups->count ? ok() : new_group(groups, numbers, group_out);
    }
    if (groups->last_group != GROUP_NONE &&
        memcmp(groups->last, numbers, groups->key_count * sizeof *numbers) == 0) {
        *group_out = groups->last_group;
        return ok();
    }
    struct err err = find_node(groups, numbers, &node);
    if (err.code)
        return err;
    void *group_of = groups->group_of;
    if (!grow(groups->arena, &group_of, sizeof *groups->group_of, &groups->node_cap, node))
        return exec_no_memory();
    groups->group_of = group_of;
    if (groups->group_of[node] == 0) {
        uint32_t group;
        err = make_group(groups, numbers, &group);
        if (err.code)
            return err;
        groups->group_of[node] = group + 1;
    }
    *group_out = groups->group_of[node] - 1;
    memcpy(groups->last, numbers, groups->key_count * sizeof *numbers);
    groups->last_group = *group_out;
    return ok();
}

struct value groups_value(const struct groups *groups, uint32_t group, uint32_t key)
{
    return values_get(groups->values, groups->tuples[(size_t)group * groups->key_count + key]);
}

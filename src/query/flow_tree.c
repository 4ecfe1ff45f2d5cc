/*
 * flow_tree.c - paths as words: sorting them, counting equal ones, and the largest nodes of their
 * prefix tree.
 *
 * Sorting brings the paths of each node together, so that the tree never has to be in memory: it is
 * walked twice along the sorted paths, with the nodes on the way from the start to where we are. The
 * first time a heap finds how large a node must be to be among the largest, the second time those are
 * kept. What is counted by hand elsewhere (a table of nodes keyed by parent and event) costs a cache
 * miss for each step of each user.
 */
#include "query/flow_internal.h"

#include <stdlib.h>
#include <string.h>

/* --- sorting ------------------------------------------------------------------------------ */

struct sort_key {
    uint64_t word;
    uint32_t path;
};

struct sorter {
    const struct flow_shape *shape;
    const uint64_t *words;
};

enum { FEW = 48 }; /* quicker by insertion */

static void sort_few(struct sort_key *keys, uint32_t count)
{
    for (uint32_t i = 1; i < count; i++) {
        struct sort_key key = keys[i];
        uint32_t at = i;
        for (; at > 0 && keys[at - 1].word > key.word; at--)
            keys[at] = keys[at - 1];
        keys[at] = key;
    }
}

/* By bytes, the lowest first; those that all have in common are passed over. */
static void sort_many(struct sort_key *keys, struct sort_key *spare, uint32_t count)
{
    uint64_t all_or = 0;
    uint64_t all_and = UINT64_MAX;
    struct sort_key *from = keys;
    struct sort_key *to = spare;
    for (uint32_t i = 0; i < count; i++) {
        all_or |= keys[i].word;
        all_and &= keys[i].word;
    }
    for (uint32_t shift = 0; shift < 64; shift += 8) {
        if (((all_or ^ all_and) >> shift & 0xff) == 0)
            continue;
        uint32_t start[257] = { 0 };
        for (uint32_t i = 0; i < count; i++)
            start[(from[i].word >> shift & 0xff) + 1]++;
        for (uint32_t b = 0; b < 256; b++)
            start[b + 1] += start[b];
        for (uint32_t i = 0; i < count; i++)
            to[start[from[i].word >> shift & 0xff]++] = from[i];
        struct sort_key *swap = from;
        from = to;
        to = swap;
    }
    if (from != keys)
        memcpy(keys, from, count * sizeof *keys);
}

/* By the word at `at`, then, where that is equal, by those behind it. */
static void sort_from(const struct sorter *sorter, struct sort_key *keys, struct sort_key *spare,
                      uint32_t count, uint32_t at)
{
    for (uint32_t i = 0; i < count; i++)
        keys[i].word = sorter->words[(size_t)keys[i].path * sorter->shape->words + at];
    if (count <= FEW)
        sort_few(keys, count);
    else
        sort_many(keys, spare, count);
    if (at + 1 == sorter->shape->words)
        return;
    for (uint32_t i = 0; i < count;) {
        uint32_t end = i + 1;
        while (end < count && keys[end].word == keys[i].word)
            end++;
        if (end - i > 1)
            sort_from(sorter, keys + i, spare + i, end - i, at + 1);
        i = end;
    }
}

struct err flow_count(const struct flow_shape *shape, struct flow_paths *paths, struct arena *arena)
{
    uint32_t count = paths->count;
    size_t width = shape->words * sizeof *paths->words;
    struct sort_key *keys = arena_alloc(arena, count * sizeof *keys);
    struct sort_key *spare = arena_alloc(arena, count * sizeof *spare);
    uint64_t *words = arena_alloc(arena, count * width);
    uint32_t *users = arena_alloc(arena, count * sizeof *users);
    if (!keys || !spare || !words || !users)
        return exec_no_memory();
    for (uint32_t i = 0; i < count; i++)
        keys[i].path = i;
    struct sorter sorter = { .shape = shape, .words = paths->words };
    if (count > 0)
        sort_from(&sorter, keys, spare, count, 0);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        const uint64_t *path = paths->words + (size_t)keys[i].path * shape->words;
        uint32_t more = paths->users ? paths->users[keys[i].path] : 1;
        if (kept > 0 && memcmp(words + (size_t)(kept - 1) * shape->words, path, width) == 0) {
            users[kept - 1] += more;
            continue;
        }
        memcpy(words + (size_t)kept * shape->words, path, width);
        users[kept++] = more;
    }
    if (kept > 0)
        memcpy(paths->words, words, kept * width);
    paths->users = users;
    paths->count = kept;
    return ok();
}

/* --- the tree, along the paths ------------------------------------------------------------ */

struct open_node {
    uint32_t code;
    uint64_t number;
    uint64_t users;
    uint64_t ended;
};

/* A node's size, and when it's as large as another, its place. */
struct rank {
    uint64_t users;
    uint64_t number; /* in preorder */
};

static bool is_smaller(const struct rank *a, const struct rank *b)
{
    return a->users != b->users ? a->users < b->users : a->number > b->number;
}

struct largest {
    const struct flow_shape *shape;
    struct rank *heap; /* the smallest on top */
    uint32_t limit;
    uint32_t count;
    uint64_t total;
    bool is_second;
    struct rank least; /* the second time: of those kept */
    struct flow_node *nodes;
    uint64_t *numbers;
    uint32_t node_count;
};

static void sink(struct rank *heap, uint32_t count, uint32_t at)
{
    for (;;) {
        uint32_t child = at * 2 + 1;
        if (child >= count)
            return;
        if (child + 1 < count && is_smaller(&heap[child + 1], &heap[child]))
            child++;
        if (!is_smaller(&heap[child], &heap[at]))
            return;
        struct rank swap = heap[at];
        heap[at] = heap[child];
        heap[child] = swap;
        at = child;
    }
}

static void rise(struct rank *heap, uint32_t at)
{
    while (at > 0 && is_smaller(&heap[at], &heap[(at - 1) / 2])) {
        struct rank swap = heap[at];
        heap[at] = heap[(at - 1) / 2];
        heap[(at - 1) / 2] = swap;
        at = (at - 1) / 2;
    }
}

static void weigh(struct largest *l, const struct rank *rank)
{
    if (l->count < l->limit) {
        l->heap[l->count] = *rank;
        rise(l->heap, l->count++);
    } else if (is_smaller(&l->heap[0], rank)) {
        l->heap[0] = *rank;
        sink(l->heap, l->count, 0);
    }
}

static void close_node(struct largest *l, const struct open_node *open, uint32_t depth)
{
    const struct open_node *node = &open[depth];
    struct rank rank = { .users = node->users, .number = node->number };
    if (!l->is_second) {
        weigh(l, &rank);
        return;
    }
    if (is_smaller(&rank, &l->least))
        return;
    l->numbers[l->node_count] = node->number;
    l->nodes[l->node_count++] = (struct flow_node){
        .depth = depth, .code = node->code, .users = node->users, .ended = node->ended
    };
}

static void walk_paths(struct largest *l, const struct flow_paths *paths)
{
    struct open_node open[FLOW_CODES_MAX + 1];
    uint32_t depth = 0; /* of open nodes */
    uint64_t number = 0;
    for (uint32_t p = 0; p < paths->count; p++) {
        const uint64_t *path = paths->words + (size_t)p * l->shape->words;
        uint32_t length = 0;
        uint32_t codes[FLOW_CODES_MAX];
        while (length < l->shape->codes && (codes[length] = flow_code(l->shape, path, length)) != 0)
            length++;
        uint32_t common = 0;
        while (common < depth && common < length && open[common].code == codes[common])
            common++;
        while (depth > common)
            close_node(l, open, --depth);
        for (; depth < length; depth++)
            open[depth] = (struct open_node){ .code = codes[depth], .number = number++ };
        for (uint32_t d = 0; d < length; d++)
            open[d].users += paths->users[p];
        open[length - 1].ended += paths->users[p];
    }
    while (depth > 0)
        close_node(l, open, --depth);
    l->total = number;
}

/* --- the largest -------------------------------------------------------------------------------- */

struct place_in_tree {
    uint64_t number;
    uint32_t node;
};

static int by_number(const void *a, const void *b)
{
    uint64_t x = ((const struct place_in_tree *)a)->number;
    uint64_t y = ((const struct place_in_tree *)b)->number;
    return (x > y) - (x < y);
}

/* Into preorder, which says who the parents are. */
static struct err arrange(const struct largest *l, struct arena *arena, struct flow_node **out)
{
    uint32_t path[FLOW_CODES_MAX];
    struct place_in_tree *places = arena_alloc(arena, l->node_count * sizeof *places);
    struct flow_node *nodes = arena_alloc(arena, l->node_count * sizeof *nodes);
    if (!places || !nodes)
        return exec_no_memory();
    for (uint32_t i = 0; i < l->node_count; i++)
        places[i] = (struct place_in_tree){ .number = l->numbers[i], .node = i };
    if (l->node_count > 0)
        qsort(places, l->node_count, sizeof *places, by_number);
    for (uint32_t i = 0; i < l->node_count; i++) {
        nodes[i] = l->nodes[places[i].node];
        nodes[i].parent = nodes[i].depth == 0 ? UINT32_MAX : path[nodes[i].depth - 1];
        path[nodes[i].depth] = i;
    }
    *out = nodes;
    return ok();
}

struct err flow_largest(const struct flow_shape *shape, const struct flow_paths *paths,
                        uint32_t limit, struct arena *arena, struct flow_node **nodes_out,
                        uint32_t *count_out, uint64_t *total_out)
{
    size_t most = (size_t)paths->count * shape->codes;
    struct largest l = { .shape = shape, .limit = most < limit ? (uint32_t)most : limit };
    l.heap = arena_alloc(arena, l.limit * sizeof *l.heap);
    l.nodes = arena_alloc(arena, l.limit * sizeof *l.nodes);
    l.numbers = arena_alloc(arena, l.limit * sizeof *l.numbers);
    if (!l.heap || !l.nodes || !l.numbers)
        return exec_no_memory();
    walk_paths(&l, paths);
    if (l.count > 0) {
        l.least = l.heap[0];
        l.is_second = true;
        walk_paths(&l, paths);
    }
    *count_out = l.node_count;
    *total_out = l.total;
    return arrange(&l, arena, nodes_out);
}

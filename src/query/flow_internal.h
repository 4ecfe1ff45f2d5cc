/*
 * flow_internal.h - what the files of the flow share.
 *
 *     flow.c       resolves the question, brings the tasks' paths together, makes the table
 *     flow_walk.c  each user's path, from the order columns
 *     flow_tree.c  paths as words: sorting, counting, the largest nodes of their prefix tree
 *
 * A path is a row of codes, the start's first, then zeros. They lie in words of 64 bits, the first
 * code highest, so that comparing words compares paths.
 */
#ifndef QUERY_FLOW_INTERNAL_H
#define QUERY_FLOW_INTERNAL_H

#include "query/exec.h"

enum { FLOW_CODES_MAX = TREE_FLOW_STEPS_MAX + 1 };

struct flow_shape {
    uint32_t codes;     /* of a path at most: the start and the steps */
    uint32_t code_bits; /* 8, 16 or 32 */
    uint32_t words;     /* of a path */
};

static inline uint32_t flow_code(const struct flow_shape *shape, const uint64_t *path, uint32_t at)
{
    uint32_t in_word = 64 / shape->code_bits;
    uint32_t shift = 64 - shape->code_bits * (at % in_word + 1);
    return (uint32_t)(path[at / in_word] >> shift & ((UINT64_C(1) << shape->code_bits) - 1));
}

/* The code there must be 0 so far. */
static inline void flow_put_code(const struct flow_shape *shape, uint64_t *path, uint32_t at,
                                 uint32_t code)
{
    uint32_t in_word = 64 / shape->code_bits;
    uint32_t shift = 64 - shape->code_bits * (at % in_word + 1);
    path[at / in_word] |= (uint64_t)code << shift;
}

/* The question, resolved; read only while tasks run. Arrays by event type have an entry for each of
 * the catalog's. */
struct flow_plan {
    const struct flow *tree;
    struct exec_step start;
    struct exec_range starts;  /* where the start may be */
    struct exec_range follows; /* where steps may be */
    int64_t within_ms;         /* INT64_MAX: however long */
    const uint32_t *shown;     /* event types that are steps, ascending */
    uint32_t shown_count;
    const uint32_t *walked; /* those, and the starts' */
    uint32_t walked_count;
    uint32_t *node;      /* by event type: its code, 1 … node_count by name; 0: of no interest */
    uint32_t *node_type; /* [node_count + 1] the event type of a code */
    uint32_t node_count;
    bool *is_start; /* by event type */
    bool *is_shown;
    uint32_t *expansion; /* by event type: which property stands for it, + 1; 0: none */
    struct exec_property *properties;
    struct flow_shape shape;
};
MUST_CHECK struct err flow_plan(struct exec *exec, struct flow_plan *plan);

/* Paths, each once, ascending, with how many users went it. */
struct flow_paths {
    uint64_t *words; /* [count * shape.words] */
    uint32_t *users; /* [count] */
    uint32_t count;
};

/* A value that stood for an event: code node_count + 1 + its place in the result. */
struct flow_value {
    uint32_t event;
    uint32_t number; /* of the result's values */
};

/* What a task found. */
struct flow_result {
    struct flow_paths paths;
    struct values *values;
    struct flow_value *expanded;
    uint32_t expanded_count;
};
MUST_CHECK struct err flow_walk(struct exec_task *task, const struct flow_plan *plan,
                                struct flow_result *result);

/* --- flow_tree.c ---------------------------------------------------------------------------- */

/* Sorts paths and adds up equal ones, in place. `users` NULL: one each, in which case the counts
 * are made in `arena`, which all scratch is of too. */
MUST_CHECK struct err flow_count(const struct flow_shape *shape, struct flow_paths *paths,
                                 struct arena *arena);

struct flow_node {
    uint32_t parent; /* of the nodes; UINT32_MAX: a start */
    uint32_t depth;
    uint32_t code;
    uint64_t users;
    uint64_t ended; /* users whose path ends here */
};

/* The `limit` largest nodes of the paths' tree, in preorder by code: of two with as many users the
 * one that comes first there. A node's parent is one of them. *total_out: how many there are. */
MUST_CHECK struct err flow_largest(const struct flow_shape *shape, const struct flow_paths *paths,
                                   uint32_t limit, struct arena *arena,
                                   struct flow_node **nodes_out, uint32_t *count_out,
                                   uint64_t *total_out);

#endif

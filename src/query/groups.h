/*
 * groups.h - tuples of key values as small numbers.
 *
 * Groups are numbered 0, 1, 2, … as they are first met. One thread at a time: each task has its
 * own, and their groups are brought together by value.
 */
#ifndef QUERY_GROUPS_H
#define QUERY_GROUPS_H

#include "query/exec.h"

enum { GROUP_NONE = 0x7fffffff };

/* The series that keep their own row; what isn't among them is `other`. */
struct kept {
    struct values *values;
    struct map64 *tuples; /* hash of the numbers of `values` → 1 + index into numbers */
    uint32_t *numbers;    /* index × count of keys that aren't times */
    uint32_t count;
};

/* Adds a tuple of kept->values, which is the next of kept->numbers. */
MUST_CHECK struct err kept_add(struct kept *kept, const uint32_t *numbers, uint32_t count);

struct groups {
    struct arena *arena;
    struct values *values; /* of the keys; free with groups_done */
    uint32_t key_count;
    const struct exec_key *keys;
    const struct kept *kept; /* NULL: every tuple has its own group */
    uint32_t *first;         /* by number of the first key: 1 + node */
    uint32_t first_cap;
    struct map64 *levels[TREE_KEYS_MAX]; /* node << 32 | number → 1 + node */
    uint32_t nodes[TREE_KEYS_MAX];
    uint32_t *group_of; /* by node of the last level */
    uint32_t node_cap;
    uint32_t *tuples; /* group × key_count: numbers of values */
    uint32_t count;
    uint32_t cap;
    uint32_t last[TREE_KEYS_MAX]; /* the tuple asked for last, and its group */
    uint32_t last_group;
};

/* Without keys there's one group from the start. */
MUST_CHECK struct err groups_init(struct groups *groups, struct arena *arena, size_t limit_bytes,
                                  const struct exec_key *keys, uint32_t key_count,
                                  const struct kept *kept);
void groups_done(struct groups *groups);
MUST_CHECK struct err groups_put(struct groups *groups, const uint32_t *numbers,
                                 uint32_t *group_out);
struct value groups_value(const struct groups *groups, uint32_t group, uint32_t key);

/* What stands for the values of `other`: a type of its own, behind all values. */
struct value value_other(void);

#endif

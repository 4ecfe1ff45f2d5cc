/*
 * members.h - conditions on users, evaluated a shard at a time: a bit per user row.
 */
#ifndef QUERY_MEMBERS_H
#define QUERY_MEMBERS_H

#include "query/exec.h"

/* DID …, resolved. */
struct did_plan {
    const struct did *tree;
    struct exec_step step;
    struct exec_property property;
    struct exec_range range;
};

/* SEQUENCE …, resolved. */
struct sequence_plan {
    const struct sequence *tree;
    struct exec_step *steps;
    struct exec_range range; /* of the first step */
};

MUST_CHECK struct err did_compile(struct exec *exec, const struct did *tree, struct did_plan *out);
MUST_CHECK struct err sequence_compile(struct exec *exec, const struct sequence *tree,
                                       struct sequence_plan *out);
/* Sets the bits of the rows that did it; `bits` are cleared and have room for task->rows. Resets
 * the task's scratch. */
MUST_CHECK struct err did_run(struct exec_task *task, const struct did_plan *plan, uint64_t *bits);
MUST_CHECK struct err sequence_run(struct exec_task *task, const struct sequence_plan *plan,
                                   uint64_t *bits);

/* The sticky bucket of a user: 0 … 999. Never changes: experiments rely on it. */
uint32_t user_bucket(uint32_t user);

/* All users that the condition holds for, as a bit per user number, and how many they are. */
MUST_CHECK struct err members_run(struct exec *exec, const struct condition *condition,
                                  struct arena *arena, uint64_t **set_out, uint32_t *count_out);
/* Now, and the end of what exists, from AS OF. */
MUST_CHECK struct err members_as_of(struct exec *exec, const struct when *as_of);

#endif

/* select_internal.h - what the files of SELECT share. */
#ifndef QUERY_SELECT_INTERNAL_H
#define QUERY_SELECT_INTERNAL_H

#include "query/measure.h"

enum { SLOTS_MAX = 128 };

struct select_plan {
    struct exec *exec;
    const struct select *select;
    struct exec_key *keys;
    uint32_t key_count;
    bool has_item_keys;
    bool uses_days;   /* select_days_suffice */
    bool counts_ints; /* select_ints_suffice */
    struct slot *slots;
    uint32_t slot_count;
    struct exec_step step; /* the events, with the filter of WHERE */
    struct exec_range range;
    const struct kept *kept;
    struct select_part **parts; /* by shard */
};

/* A window of integers, each with its count. */
struct int_counts {
    int64_t first;
    uint64_t size;
    uint64_t *counts;
};

/* What a task has found. */
struct select_part {
    struct groups groups;
    struct int_counts ints; /* counts that aren't in groups */
    bool has_rows;          /* rows were given their groups one by one */
    struct tally *tallies[SLOTS_MAX];
};

/* --- day counts in headers (select_days.c) --- */

/* What is left of a range when some days are known. */
struct select_rest {
    struct exec_range ranges[2];
    uint32_t count;
};

/* Can counts of whole days answer the question, wherever a month has them? */
bool select_days_suffice(const struct select_plan *plan);
/* Adds the days of the month that headers know; the rest is to be counted. */
MUST_CHECK struct err select_add_days(const struct select_plan *plan, struct exec_task *task,
                                      struct select_part *part, uint32_t event, int32_t month,
                                      struct select_rest *rest);

/* --- counts of whole numbers (select_ints.c) --- */

bool select_ints_suffice(const struct select_plan *plan);
/* Counts the selected events; *did_out false: nothing was done, this slice isn't of that kind. */
MUST_CHECK struct err select_add_ints(const struct select_plan *plan, struct exec_task *task,
                                      struct select_part *part, struct exec_slice *slice,
                                      const struct selection *selection, bool *did_out);
/* Makes groups of what all tasks have counted; after the tasks, while the plan has their parts. */
MUST_CHECK struct err select_merge_ints(const struct select_plan *plan, struct select_part *all);
void select_ints_done(struct int_counts *ints);

#endif

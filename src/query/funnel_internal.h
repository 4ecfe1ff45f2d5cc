/*
 * funnel_internal.h - what the files of the funnel share.
 *
 *     funnel.c        resolves the question, brings the tasks' results together, makes the table
 *     funnel_plain.c  the common funnel, straight over runs and times
 *     funnel_strict.c  strict order, over the order columns
 *     funnel_general.c  every option, over a user's collected events (chain.h)
 */
#ifndef QUERY_FUNNEL_INTERNAL_H
#define QUERY_FUNNEL_INTERNAL_H

#include "query/chain.h"
#include "query/exec.h"

/* The question, resolved; read only while tasks run. */
struct funnel_plan {
    const struct funnel *tree;
    struct exec_step steps[TREE_STEPS_MAX];
    struct exec_step *exclusions;
    struct exec_property *holding;
    struct exec_key *keys;
    struct exec_range starts;  /* where the first step may be */
    struct exec_range follows; /* where later ones may be */
    struct chain_config config;
    const uint32_t *types; /* event types that matter, ascending */
    uint32_t type_count;
    bool needs_all; /* events of no step matter too: what stands in between, sessions */
};

/* How long a step took, once for each user (or attempt's user) that reached it. */
struct funnel_time {
    uint32_t group;
    uint32_t step; /* from 0: the step that was reached */
    int64_t ms;
};

enum { FUNNEL_TIMES = 4096 };
struct funnel_times {
    struct funnel_times *next;
    uint32_t count;
    struct funnel_time times[FUNNEL_TIMES];
};

/* What a task found. */
struct funnel_result {
    struct values *values; /* of the breakdown's keys */
    uint32_t *group_keys;  /* [group * key_count + key]: numbers of values */
    uint32_t group_count;  /* 1 without a breakdown */
    uint64_t *users;       /* [group * steps + step]: users (or attempts) that reached the step */
    struct funnel_times *times;
};

/* Adds one time; in the task's keep. */
MUST_CHECK struct err funnel_add_time(struct exec_task *task, struct funnel_result *result,
                                      uint32_t group, uint32_t step, int64_t ms);

/* Is the plan within what funnel_plain does? One event type a step, no two steps sharing one; loose
 * order, best attempt, window from the first step; no exclusions, held values, sessions, breakdown. */
bool funnel_is_plain(const struct funnel_plan *plan);
MUST_CHECK struct err funnel_run_plain(struct exec_task *task, const struct funnel_plan *plan,
                                       struct funnel_result *result);
/* Or within what funnel_strict does? Strict order among all events, best attempt; any steps and
 * filters, but no exclusions, held values, sessions, breakdown. */
bool funnel_is_strict(const struct funnel_plan *plan);
MUST_CHECK struct err funnel_run_strict(struct exec_task *task, const struct funnel_plan *plan,
                                        struct funnel_result *result);
MUST_CHECK struct err funnel_run_general(struct exec_task *task, const struct funnel_plan *plan,
                                         struct funnel_result *result);

#endif

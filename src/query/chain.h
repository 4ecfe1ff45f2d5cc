/*
 * chain.h - how far one user gets in a funnel: the longest chain of steps among their events.
 *
 * A chain is e1, e2, … em: distinct events, ei of step i, e1 one that may start, each after the one
 * before (see ties), no later than `within_ms` after the first (or after the one before). The level
 * is the largest m. docs/query.md says what each option means; this file is that text as code.
 */
#ifndef QUERY_CHAIN_H
#define QUERY_CHAIN_H

#include "base/arena.h"
#include "query/tree.h"

struct chain_event {
    int64_t time_ms;
    uint64_t seq;
    uint32_t steps;    /* bit i: it's an event of step i (from 0) */
    uint32_t excluded; /* bit x: it's an event of exclusion x */
    uint32_t group;    /* chains stay within one: the held values, the session */
    bool can_start;    /* within the span; else it can only follow */
};

struct chain_exclusion {
    uint32_t from; /* of chains that have reached step `from` (from 1) and not yet `to` */
    uint32_t to;
    bool is_drop;
};

struct chain_config {
    uint32_t steps; /* 1 to TREE_STEPS_MAX */
    int64_t within_ms;
    bool is_window_from_previous;
    enum attempt attempt;
    enum ties ties;
    int64_t grace_ms; /* of TIES_GRACE; then no event may be of two steps */
    enum step_order order;
    const struct chain_exclusion *exclusions;
    uint32_t exclusion_count;
};

struct chain_result {
    uint32_t level; /* 0: not even the first step; also of a user whom an exclusion drops */
    bool is_dropped;
    /* [i], 0 < i < level: from step i to step i + 1 in the chain that first got there. */
    int64_t step_ms[TREE_STEPS_MAX];
    /* ATTEMPT_EACH: how many attempts reached each step. */
    uint64_t attempts[TREE_STEPS_MAX];
};

/* The events of one user in (time, seq) order; with ORDER_STRICT all that may stand in between,
 * else those of a step or an exclusion are enough. ERR_NOMEM. */
MUST_CHECK struct err chain_find(const struct chain_config *config,
                                 const struct chain_event *events, uint32_t count,
                                 struct arena *scratch, struct chain_result *out);

#endif

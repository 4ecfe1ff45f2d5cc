/*
 * retention_internal.h - what the two ways of computing a retention share.
 *
 * Times fall into slots: 0 is before the table of boundaries, 1 to `cohorts` are the units that a
 * cohort may be of, then follow the units that only returns may be in, and the last is everything
 * past the table. In a calendar retention a return's period is its slot less the cohort's.
 *
 * A cohort's periods fall into lanes: 0 is before the first bracket, 1 to `columns` are the columns
 * of the answer (a period each, or a bracket), columns + 1 is past the last. As the events of a user
 * ascend so do their lanes, and each mode becomes one rule for which lanes the user adds one to;
 * what a column shows is then a lane, or a sum of lanes from one end (retention.c).
 */
#ifndef QUERY_RETENTION_INTERNAL_H
#define QUERY_RETENTION_INTERNAL_H

#include "query/exec.h"

#include <math.h>

struct retention_plan {
    const struct retention *tree;
    struct exec_step start;
    struct exec_step back;
    const struct exec_key *keys;
    struct exec_property sum;
    struct exec_range starts; /* that make a cohort */
    struct exec_range reads;  /* all that may matter */
    const int64_t *bounds;    /* [slots]: slot s ends before bounds[s]; the last is INT64_MAX */
    uint32_t slots;           /* cohorts, what follows, and the two ends */
    uint32_t cohorts;
    int64_t rolling_ms; /* a period's length; 0: of the calendar */
    uint32_t columns;
    const uint32_t *first; /* [columns + 1] a column's first period; the last: how many there are */
    const uint32_t *lane;  /* [periods] */
};

static inline uint32_t retention_lane(const struct retention_plan *plan, uint64_t period)
{
    return period < plan->tree->periods ? plan->lane[period] : plan->columns + 1;
}
uint32_t retention_slot(const struct retention_plan *plan, int64_t time_ms);

/* --- what a task counts ------------------------------------------------------------------------ */

struct retention_row {
    uint32_t group;
    uint32_t slot;
    uint64_t size;
    uint64_t *users;   /* [columns + 2], by lane */
    double *sums;      /* the same, or NULL */
    uint64_t *numbers; /* how many went into the sums */
};

struct retention_tally {
    const struct retention_plan *plan;
    struct arena *arena;
    struct values *values; /* of the breakdown */
    struct intern *groups; /* rows of their numbers */
    struct map64 *found;   /* with a breakdown: (group, slot) to a row's number + 1 */
    struct retention_row *rows;
    uint32_t *row_of; /* [slots] without one: a row's number + 1 */
    uint32_t count;
    uint32_t cap;
};

MUST_CHECK struct err retention_tally_init(struct retention_tally *tally,
                                           const struct retention_plan *plan, struct arena *arena,
                                           size_t memory_bytes);
void retention_tally_done(struct retention_tally *tally);
/* The row of a cohort, made when it's missing; it moves with the next one. */
MUST_CHECK struct err retention_row(struct retention_tally *tally, uint32_t group, uint32_t slot,
                                    struct retention_row **out);

/* One user's returns to one cohort, lanes ascending. */
struct retention_count {
    enum retention_mode mode;
    uint64_t *users;
    uint32_t last; /* the lane before; UINT32_MAX: none */
    uint32_t streak;
};

static inline struct retention_count retention_begin(const struct retention_plan *plan,
                                                     struct retention_row *row)
{
    row->size++;
    return (struct retention_count){ .mode = plan->tree->mode,
                                     .users = row->users,
                                     .last = UINT32_MAX };
}

static inline void retention_add(struct retention_count *count, uint32_t lane)
{
    if (lane == count->last)
        return;
    if (count->mode == RETENTION_ON ||
        (count->mode == RETENTION_ON_OR_BEFORE && count->last == UINT32_MAX))
        count->users[lane]++;
    count->streak += lane == count->streak + 1;
    count->last = lane;
}

static inline void retention_end(const struct retention_count *count)
{
    if (count->mode == RETENTION_ON_OR_AFTER && count->last != UINT32_MAX)
        count->users[count->last]++;
    if (count->mode == RETENTION_STREAK)
        count->users[count->streak]++;
}

/* --- the two ways -------------------------------------------------------------------------------- */

/* The numbers of a slice's breakdown, and the group of one of its events. */
struct retention_keys {
    const uint32_t *columns[TREE_KEYS_MAX];
};
MUST_CHECK struct err retention_keys_read(struct exec_task *task, struct retention_tally *tally,
                                          struct exec_slice *slice,
                                          const struct selection *selection,
                                          struct retention_keys *out);
MUST_CHECK struct err retention_group(struct retention_tally *tally,
                                      const struct retention_keys *keys, uint32_t event,
                                      uint32_t *group_out);
bool retention_has_type(const struct exec_step *step, uint32_t event);
/* As exec_months, in `work`: scratch may be reset meanwhile. */
MUST_CHECK struct err retention_months(struct exec_task *task, struct arena *work, uint32_t event,
                                       struct exec_range range, const int32_t **months_out,
                                       uint32_t *count_out);

/* `work` is the task's own and ends with it: only the tally stays in keep.
 *
 * Is the question one for retention_run_plain? Calendar units without sums; a breakdown only with
 * cohorts of the first start; recurring starts that are returns too only of one event type. And
 * bits for each user and slot that don't outgrow the memory. */
bool retention_is_plain(const struct exec_task *task, const struct retention_plan *plan,
                        const struct arena *work);
MUST_CHECK struct err retention_run_plain(struct exec_task *task, struct retention_tally *tally,
                                          struct arena *work);
MUST_CHECK struct err retention_run_general(struct exec_task *task, struct retention_tally *tally,
                                            struct arena *work);

/* run_retention, or the general way even where the plain one would do: for tests. */
MUST_CHECK struct err run_retention_by(struct exec *exec, bool is_general, struct table *table);

#endif

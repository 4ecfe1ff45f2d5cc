/*
 * measure.h - what a select has counted of each group, per task and brought together.
 *
 * A *slot* is one measure of the question. A `tally` holds a slot's state for each group of one
 * task: filled from rows, then added to the tally of the whole.
 */
#ifndef QUERY_MEASURE_H
#define QUERY_MEASURE_H

#include "query/groups.h"

struct slot {
    const struct expr *expr;
    struct exec_property property;
    const struct filter *filter; /* FILTER (WHERE …), or NULL */
};

/* Rows to be counted: row i is of group[i] (GROUP_NONE: not counted), and of the slice's event
 * event[i] (NULL: event i). */
struct rows {
    uint32_t count;
    const uint32_t *group; /* NULL: all selected rows are of only_group */
    uint32_t only_group;
    const uint32_t *event;
    const struct selection *selection; /* used when group is NULL */
};

__extension__ typedef __int128 wide_int;

/* What one group has; which members count depends on the measure. */
struct measured {
    uint64_t count; /* events; users; sessions; distinct values */
    uint64_t ints;
    uint64_t reals;
    uint64_t times;
    wide_int int_sum;
    double real_sum;
    double real_rest; /* what rounding took from real_sum */
    int64_t int_min;
    int64_t int_max;
    double real_min;
    double real_max;
    int64_t time_min;
    int64_t time_max;
};

struct tally;

MUST_CHECK struct err tally_new(const struct slot *slot, struct arena *arena, size_t limit_bytes,
                                uint32_t user_rows, struct tally **out);
void tally_free(struct tally *tally);
/* Adds rows of a slice. `values` numbers the values of `distinct`. */
MUST_CHECK struct err tally_add(struct tally *tally, struct exec_task *task,
                                struct exec_slice *slice, const struct rows *rows,
                                struct values *values);
/* Adds a count that is known: of events, or of users who aren't added to this group again. */
MUST_CHECK struct err tally_add_known(struct tally *tally, uint32_t group, uint64_t count);
/* After the task's last slice: what takes all of a user's rows. */
MUST_CHECK struct err tally_end(struct tally *tally);
/* Adds a task's tally: its group g is group_of[g] of `into`, its value v is number value_of[v]. */
MUST_CHECK struct err tally_merge(struct tally *into, const struct tally *from,
                                  const uint32_t *group_of, uint32_t groups,
                                  const uint32_t *value_of);
/* After the last merge. */
MUST_CHECK struct err tally_finish(struct tally *tally, uint32_t groups);
MUST_CHECK struct err tally_cell(const struct tally *tally, struct exec *exec, struct table *table,
                                 uint32_t group, struct table_cell *out);
enum table_type slot_type(const struct slot *slot);

#endif

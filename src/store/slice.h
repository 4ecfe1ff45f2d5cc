/*
 * slice.h - one event type of one month, out of however many parts it lies in.
 */
#ifndef STORE_SLICE_H
#define STORE_SLICE_H

#include "store/part.h"
#include "store/view.h"

/* A part to read from, without the users of `skip`, and (`only` given) with no others than those. */
struct slice_source {
    struct part *part;
    const struct row_set *skip;
    const struct row_set *only;
};

struct read_counters {
    _Atomic uint64_t rows;
    _Atomic uint64_t bytes;
};

/* Users of `dead` are left out. Sources come oldest first: rows that are equal in (row, time, seq)
 * keep that order. The parts stay the caller's and must outlive the slice. No users: users is 0. */
MUST_CHECK struct err slice_build(const struct slice_source *sources, uint32_t count,
                                  const struct row_set *dead, uint32_t event, struct arena *arena,
                                  struct read_counters *counters, struct store_slice *out);
/* What is read from now on goes to another arena. */
void slice_use_arena(struct store_slice *slice, struct arena *arena);
MUST_CHECK struct err slice_times(struct store_slice *slice);
MUST_CHECK struct err slice_seqs(struct store_slice *slice);
/* *origins_out NULL: each row was logged for its user. */
MUST_CHECK struct err slice_origins(struct store_slice *slice, uint32_t shards, uint32_t shard,
                                    const uint32_t **origins_out);
MUST_CHECK struct err slice_column(struct store_slice *slice, uint32_t property,
                                   enum value_type type, struct store_column *out, bool *has_out);
/* The (property, type) pairs that any source has, ascending, each once. */
struct slice_column_name {
    uint32_t property;
    enum value_type type;
};
MUST_CHECK struct err slice_columns(struct store_slice *slice, struct slice_column_name **names_out,
                                    uint32_t *count_out);

/* The sources of a month: base, patch, runs. `to` has room for run_count + 2. */
uint32_t slice_sources(const struct month_view *month, struct slice_source *to);

#endif

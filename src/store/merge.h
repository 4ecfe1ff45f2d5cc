/* merge.h - several parts of a (shard, month) into one. */
#ifndef STORE_MERGE_H
#define STORE_MERGE_H

#include "store/slice.h"

struct merge_job {
    const struct slice_source *sources; /* oldest first */
    uint32_t count;
    const struct row_set *drop; /* users whose rows go; may be NULL */
    uint64_t number;            /* of the new part */
    uint32_t shard;
    uint32_t shards;
    int32_t month;
    const struct zone *zone; /* NULL: without day counts */
    bool is_small;
};

/* Into memory. *part_out NULL: nothing is left. */
MUST_CHECK struct err merge_to_memory(const struct merge_job *job, struct part_home *home,
                                      struct part **part_out);
/* Into a new file, synced, whose name isn't durable before its folder is synced. On failure the file
 * is removed. */
MUST_CHECK struct err merge_to_file(const struct merge_job *job, struct part_home *home,
                                    struct part **part_out);

#endif

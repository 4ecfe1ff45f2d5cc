/* runs.h - lists of users with where their rows are, merged by row. */
#ifndef STORE_RUNS_H
#define STORE_RUNS_H

#include <stdint.h>

/* `count` rows of a user in source number `source`, from `from`. */
struct run {
    uint32_t row;
    uint32_t source;
    uint32_t from;
    uint32_t count;
};

/* Merges `count` lists, list i being runs[lists[i]] … runs[lists[i + 1] - 1], each ascending by row,
 * into one; equal rows keep the order of their lists. Returns where the result is: `runs` or
 * `spare`. `lists` is used up. */
struct run *runs_merge(struct run *runs, struct run *spare, uint32_t *lists, uint32_t count);

#endif

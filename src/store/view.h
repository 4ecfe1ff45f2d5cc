/*
 * view.h - what a reader sees: immutable lists of parts, shared by reference.
 *
 * A shard's view lists its months; a month's view its base part (with the users that moved out of it
 * masked), its patch, and its runs, oldest first. A change makes new lists that share what stays.
 */
#ifndef STORE_VIEW_H
#define STORE_VIEW_H

#include "store/part.h"

/* A set of user rows; rows past its end aren't in it. */
struct row_set {
    atomic_uint refs;
    uint32_t rows; /* bits it has room for */
    uint32_t count;
    uint64_t bits[];
};

MUST_CHECK struct err row_set_new(uint32_t rows, struct row_set **out);
struct row_set *row_set_ref(struct row_set *set); /* NULL is fine */
void row_set_unref(struct row_set *set);
static inline bool row_set_has(const struct row_set *set, uint32_t row)
{
    return set && row < set->rows && (set->bits[row >> 6] >> (row & 63) & 1);
}
void row_set_add(struct row_set *set, uint32_t row); /* row < rows */

/* Users of a shard that are merged away or erased. Its version tells one content from another. */
struct dead_set {
    atomic_uint refs;
    uint64_t version;       /* 0: nobody is dead */
    struct row_set *all;    /* NULL: nobody */
    struct row_set *erased; /* of them */
};

/* An owned copy of what the writer keeps; sets may be NULL. */
MUST_CHECK struct err dead_set_new(uint64_t version, const struct row_set *all,
                                   const struct row_set *erased, struct dead_set **out);
struct dead_set *dead_set_ref(struct dead_set *dead);
void dead_set_unref(struct dead_set *dead);

struct month_view {
    atomic_uint refs;
    int32_t month;
    struct part *base;    /* may be NULL */
    struct row_set *mask; /* users of the base that live in the patch; NULL: none */
    struct part *patch;   /* all events of the users it has, as of when it was made; may be NULL */
    uint32_t run_count;
    struct part *runs[]; /* oldest first: files, then memory */
};

struct shard_view {
    atomic_uint refs;
    uint32_t rows; /* all user rows are below */
    struct dead_set *dead;
    uint32_t month_count;
    struct month_view *months[]; /* ascending */
};

/* References are taken of what is passed. */
MUST_CHECK struct err month_view_new(int32_t month, struct part *base, struct row_set *mask,
                                     struct part *patch, struct part *const *runs,
                                     uint32_t run_count, struct month_view **out);
struct month_view *month_view_ref(struct month_view *view);
void month_view_unref(struct month_view *view);
bool month_view_is_empty(const struct month_view *view);

MUST_CHECK struct err shard_view_new(uint32_t rows, struct dead_set *dead,
                                     struct month_view *const *months, uint32_t month_count,
                                     struct shard_view **out);
/* A copy with one month replaced, added, or (month empty) left out. */
MUST_CHECK struct err shard_view_with(const struct shard_view *view, struct month_view *month,
                                      struct shard_view **out);
struct shard_view *shard_view_ref(struct shard_view *view);
void shard_view_unref(struct shard_view *view);
/* NULL: there's none. */
struct month_view *shard_view_find(const struct shard_view *view, int32_t month);

#endif

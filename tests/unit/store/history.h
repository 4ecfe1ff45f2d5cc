/*
 * history.h - random histories, and a slow, obvious model of what a store must answer.
 *
 * A history is a list of operations; its positions are their numbers. It can be applied to a store
 * and to the model from any position on, as the log is after a crash.
 */
#ifndef TESTS_STORE_HISTORY_H
#define TESTS_STORE_HISTORY_H

#include "base/arena.h"
#include "base/rng.h"
#include "store/store.h"

enum {
    HISTORY_PROPERTIES = 5,
    HISTORY_TYPES = 4,
    HISTORY_USERS = 61,
};

enum operation_kind { OPERATION_EVENT, OPERATION_MERGE, OPERATION_MASK };

struct operation {
    enum operation_kind kind;
    uint32_t from; /* MERGE, MASK */
    uint32_t into;
    bool is_erased;
    struct store_event *events; /* an event and its items */
    uint32_t count;
};

struct history {
    struct arena arena;
    struct rng rng;
    struct operation *operations;
    uint32_t count;
    uint32_t cap;
    uint64_t next_seq;
    uint32_t users;
    int64_t from_ms; /* times are drawn from here … */
    int64_t span_ms;
    bool is_dead[HISTORY_USERS]; /* as of the last operation made: nothing happens to them */
    bool is_focused; /* events are one user's: what they touch may then become a patch */
    uint32_t focus;
};

void history_init(struct history *history, uint64_t seed);
void history_done(struct history *history);
/* Adds one operation. */
void history_grow(struct history *history);

/* Applies operations [from, to) to the store. */
struct err history_apply(const struct history *history, struct store *store, uint32_t from,
                         uint32_t to);

struct model_event {
    uint32_t user;
    uint32_t origin;
    const struct store_event *event;
};

/* The state after the first `count` operations. */
struct model {
    struct model_event *events; /* in order of arrival */
    uint32_t count;
    bool is_dead[HISTORY_USERS];
};
void model_make(const struct history *history, uint32_t count, struct model *out);
void model_done(struct model *model);

/* NULL: the snapshot answers as the model does; else what differs. */
const char *model_compare(const struct model *model, struct store_snapshot *snapshot,
                          const struct zone *zone);
/* Only what is read by scanning, which is quicker. */
const char *model_compare_slices(const struct model *model, struct store_snapshot *snapshot,
                                 const struct zone *zone);

#endif

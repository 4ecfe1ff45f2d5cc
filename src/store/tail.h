/*
 * tail.h - a shard's newest events: appended to columns, not sorted yet.
 *
 * The writer's alone. When it's sealed its rows become parts in memory, one for each month.
 */
#ifndef STORE_TAIL_H
#define STORE_TAIL_H

#include "store/part.h"

enum {
    TAIL_EVENT_TYPES_MAX = 1 << 16,
    TAIL_TEXT_BYTES = 64 << 20, /* it wants to be sealed past this */
};

struct tail;

MUST_CHECK struct err tail_new(struct tail **out);
void tail_free(struct tail *tail);

/* Everything is copied. On failure the tail is as it was. ERR_INVALID: a number out of range. */
MUST_CHECK struct err tail_append(struct tail *tail, uint32_t row, uint32_t origin,
                                  const struct store_event *event, bool is_foreign);
uint32_t tail_count(const struct tail *tail);
size_t tail_text_bytes(const struct tail *tail);
/* How many rows a user has. */
uint32_t tail_count_user(const struct tail *tail, uint32_t row);

/* A copy of a user's rows, in the order they came; the arena's. */
struct tail_row {
    struct store_event event;
    uint32_t origin;
};
MUST_CHECK struct err tail_user(const struct tail *tail, uint32_t row, struct arena *arena,
                                struct tail_row **rows_out, uint32_t *count_out);

/* Parts of all rows, months ascending, numbered from *next_number on; the array is the arena's. The
 * tail is empty afterwards; on failure it is as it was. */
MUST_CHECK struct err tail_seal(struct tail *tail, struct part_home *home, uint32_t shard,
                                uint32_t shards, _Atomic uint64_t *next_number, struct arena *arena,
                                struct part ***parts_out, uint32_t *count_out);

#endif

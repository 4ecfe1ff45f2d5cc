/*
 * slots.h - an index from hashes to numbers: open addressing, with removal.
 *
 * For tables that keep their things in an array of their own and only need to find the number of
 * one by its content. The index keeps 32 bits of each hash beside the number, so most probes that
 * would fail do so without touching the thing, and growing doesn't either.
 *
 *     uint32_t at = slots_start(&slots, hash), number;
 *     while (slots_next(&slots, hash, &at, &number))
 *         if (is_it(things[number], wanted))
 *             return number;
 *
 * Zeroed is empty. Room is taken by slots_reserve only; slots_add can't fail after it. At most
 * 2^31 numbers, each below 2^32 - 1.
 */
#ifndef BASE_SLOTS_H
#define BASE_SLOTS_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

struct slots {
    uint64_t *slot; /* hash << 32 | number + 1; 0: free */
    uint64_t mask;  /* a power of two, less one */
    uint64_t count;
};

static inline void slots_done(struct slots *slots)
{
    free(slots->slot);
    *slots = (struct slots){ 0 };
}

static inline uint32_t slots_start(const struct slots *slots, uint32_t hash)
{
    return (uint32_t)(hash & slots->mask);
}

/* Starts to fetch where a probe with this hash will begin. */
static inline void slots_prefetch(const struct slots *slots, uint32_t hash)
{
    if (slots->slot)
        __builtin_prefetch(&slots->slot[hash & slots->mask]);
}

/* The next number that was added with this hash; false: there's no other. */
static inline bool slots_next(const struct slots *slots, uint32_t hash, uint32_t *at,
                              uint32_t *number_out)
{
    if (!slots->slot)
        return false;
    uint64_t i = *at;
    for (;;) {
        uint64_t slot = slots->slot[i];
        if (slot == 0)
            return false;
        i = (i + 1) & slots->mask;
        if ((uint32_t)(slot >> 32) == hash) {
            *at = (uint32_t)i;
            *number_out = (uint32_t)slot - 1;
            return true;
        }
    }
}

static inline void slots_place(uint64_t *slot, uint64_t mask, uint64_t entry)
{
    uint64_t i = entry >> 32 & mask;
    while (slot[i])
        i = (i + 1) & mask;
    slot[i] = entry;
}

/* Room for `extra` more; false: no memory, and nothing has changed. */
static inline bool slots_reserve(struct slots *slots, uint64_t extra)
{
    uint64_t room = slots->slot ? slots->mask + 1 : 0;
    uint64_t needed = (slots->count + extra) * 4 / 3 + 1;
    if (needed <= room)
        return true;
    uint64_t wanted = 16;
    while (wanted < needed)
        wanted *= 2;
    if (wanted > UINT64_C(1) << 32)
        return false;
    uint64_t *slot = (uint64_t *)calloc(wanted, sizeof *slot);
    if (!slot)
        return false;
    for (uint64_t i = 0; i < room; i++)
        if (slots->slot[i])
            slots_place(slot, wanted - 1, slots->slot[i]);
    free(slots->slot);
    slots->slot = slot;
    slots->mask = wanted - 1;
    return true;
}

static inline void slots_add(struct slots *slots, uint32_t hash, uint32_t number)
{
    assert(slots->slot && slots->count < slots->mask && number != UINT32_MAX);
    slots_place(slots->slot, slots->mask, (uint64_t)hash << 32 | (number + 1));
    slots->count++;
}

/* The pair must be there. What was pushed behind it moves up, so no mark of it stays. */
static inline void slots_remove(struct slots *slots, uint32_t hash, uint32_t number)
{
    assert(slots->slot);
    uint64_t mask = slots->mask;
    uint64_t entry = (uint64_t)hash << 32 | (number + 1);
    uint64_t hole = hash & mask;
    while (slots->slot[hole] != entry) {
        assert(slots->slot[hole] != 0);
        hole = (hole + 1) & mask;
    }
    for (uint64_t i = (hole + 1) & mask; slots->slot[i]; i = (i + 1) & mask) {
        uint64_t home = slots->slot[i] >> 32 & mask;
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            slots->slot[hole] = slots->slot[i];
            hole = i;
        }
    }
    slots->slot[hole] = 0;
    slots->count--;
}

#endif

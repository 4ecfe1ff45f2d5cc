/*
 * map.c - the hash, and the map of numbers to numbers.
 *
 * map64 is open addressing with linear probing over pairs, at most three quarters full. A free
 * slot has key 0; the value of the real key 0 lives beside the table. Removing moves later pairs
 * of the run back, so there are no tombstones and a table that's emptied is as fast as new.
 */
#include "base/map.h"

#include "base/bits.h"
#include "base/hash_internal.h"

#include <stdlib.h>

/* --- the hash ----------------------------------------------------------- */

/* Odd, with the bits of fractional parts of square roots. */
static const struct hash_keys keys_of_zero = {
    { 0x9b05688c2b3e6c1f, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b, 0xa54ff53a5f1d36f1 },
};

struct hash_keys hash_keys = {
    { 0x9b05688c2b3e6c1f, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b, 0xa54ff53a5f1d36f1 },
};

/* Every bit of `value` reaches every bit of the result; 0 stays 0. */
static uint64_t spread(uint64_t value)
{
    value = (value ^ value >> 31) * 0xd1b54a32d192ed03;
    value = (value ^ value >> 29) * 0x8cb92ba72f3d8dd7;
    return value ^ value >> 32;
}

void base_seed_set(uint64_t seed)
{
    uint64_t step = seed;
    for (size_t i = 0; i < 4; i++) {
        step = spread(step * 0x9fb21c651e98df25);
        hash_keys.key[i] = keys_of_zero.key[i] ^ step;
    }
}

uint64_t hash_bytes(struct bytes bytes)
{
    return hash_text(bytes);
}

uint64_t hash_u64(uint64_t value)
{
    return hash_word(value);
}

/* --- map64 -------------------------------------------------------------- */

enum { SLOTS_MIN = 16 };

struct pair {
    uint64_t key; /* 0: free */
    uint64_t value;
};

struct map64 {
    struct pair *slots;
    size_t mask; /* slots - 1 */
    size_t used; /* slots that aren't free */
    size_t limit_bytes;
    bool has_zero;
    uint64_t zero_value;
};

struct err map64_new(size_t limit_bytes, struct map64 **out)
{
    if (limit_bytes < sizeof(struct map64) + SLOTS_MIN * sizeof(struct pair))
        return err_new(ERR_NOMEM, "map64: limit too small");

    struct map64 *map = calloc(1, sizeof *map);
    if (!map)
        return err_new(ERR_NOMEM, "map64: new");
    map->slots = calloc(SLOTS_MIN, sizeof *map->slots);
    if (!map->slots) {
        free(map);
        return err_new(ERR_NOMEM, "map64: new");
    }
    map->mask = SLOTS_MIN - 1;
    map->limit_bytes = limit_bytes;
    *out = map;
    return ok();
}

void map64_free(struct map64 *map)
{
    if (!map)
        return;
    free(map->slots);
    free(map);
}

void map64_reset(struct map64 *map)
{
    if (map->used)
        memset(map->slots, 0, (map->mask + 1) * sizeof *map->slots);
    map->used = 0;
    map->has_zero = false;
}

/* The slot of `key`, or the free one where it belongs. `key` isn't 0. */
static struct pair *slot_of(const struct map64 *map, uint64_t key)
{
    size_t i = hash_word(key) & map->mask;
    while (map->slots[i].key != key && map->slots[i].key != 0)
        i = (i + 1) & map->mask;
    return &map->slots[i];
}

static bool map_grow(struct map64 *map)
{
    struct pair *old = map->slots;
    size_t old_count = map->mask + 1;
    size_t count = old_count * 2;
    if (count > (map->limit_bytes - sizeof *map) / sizeof *old)
        return false;
    struct pair *slots = calloc(count, sizeof *slots);
    if (!slots)
        return false;

    map->slots = slots;
    map->mask = count - 1;
    for (size_t i = 0; i < old_count; i++)
        if (old[i].key)
            *slot_of(map, old[i].key) = old[i];
    free(old);
    return true;
}

uint64_t *map64_put(struct map64 *map, uint64_t key, bool *is_new_out)
{
    bool is_new;
    uint64_t *value;

    if (key == 0) {
        is_new = !map->has_zero;
        if (is_new)
            map->zero_value = 0;
        map->has_zero = true;
        value = &map->zero_value;
    } else {
        struct pair *slot = slot_of(map, key);
        is_new = slot->key == 0;
        if (is_new && map->used >= (map->mask + 1) / 4 * 3) {
            if (!map_grow(map))
                return NULL;
            slot = slot_of(map, key);
        }
        if (is_new) {
            *slot = (struct pair){ .key = key };
            map->used++;
        }
        value = &slot->value;
    }

    if (is_new_out)
        *is_new_out = is_new;
    return value;
}

const uint64_t *map64_find(const struct map64 *map, uint64_t key)
{
    if (key == 0)
        return map->has_zero ? &map->zero_value : NULL;
    const struct pair *slot = slot_of(map, key);
    return slot->key ? &slot->value : NULL;
}

/* Fills the hole at `hole` from the pairs behind it that may not be parted from their home by
 * a free slot. */
static void close_hole(struct map64 *map, size_t hole)
{
    size_t mask = map->mask;
    for (size_t i = (hole + 1) & mask; map->slots[i].key; i = (i + 1) & mask) {
        size_t home = hash_word(map->slots[i].key) & mask;
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            map->slots[hole] = map->slots[i];
            hole = i;
        }
    }
    map->slots[hole] = (struct pair){ .key = 0 };
}

bool map64_remove(struct map64 *map, uint64_t key)
{
    if (key == 0) {
        bool was_there = map->has_zero;
        map->has_zero = false;
        return was_there;
    }
    const struct pair *slot = slot_of(map, key);
    if (!slot->key)
        return false;
    close_hole(map, (size_t)(slot - map->slots));
    map->used--;
    return true;
}

size_t map64_count(const struct map64 *map)
{
    return map->used + map->has_zero;
}

bool map64_next(const struct map64 *map, size_t *cursor, uint64_t *key_out, uint64_t *value_out)
{
    size_t i = *cursor;
    while (i <= map->mask && map->slots[i].key == 0)
        i++;
    *cursor = i + 1;
    if (i <= map->mask) {
        *key_out = map->slots[i].key;
        *value_out = map->slots[i].value;
        return true;
    }
    if (i == map->mask + 1 && map->has_zero) {
        *key_out = 0;
        *value_out = map->zero_value;
        return true;
    }
    *cursor = map->mask + 2;
    return false;
}

/*
 * dedup.c - an open-addressing table of hashes.
 *
 * An id is kept as 64 + 48 bits of XXH3 under two seeds; with a billion ids the chance that any two
 * collide is about 10^-16. The 16 bits beside the 48 hold the day it was seen, counted modulo 2^16
 * (180 years). Nothing is removed one by one: when the table is half full, entries that are older
 * than the window go in the rebuild, and only then does it grow. The hash is the format's own, not
 * the process's seeded one, since the table is saved.
 */
#include "engine/dedup.h"

#include "base/bits.h"
#include "codec/hash.h"

#include <stdlib.h>

enum { FIRST_SLOTS = 1024, DAY_BITS = 16 };

#define SEED_LOW  UINT64_C(0x6b6f6c616d2d6964)
#define SEED_HIGH UINT64_C(0x646f74732d736565)

struct entry {
    uint64_t low;
    uint64_t high; /* hash in the upper 48 bits, the day in the lower 16; 0 and 0: empty */
};

struct dedup {
    struct entry *entries;
    size_t slots; /* a power of two */
    size_t count;
    size_t limit_slots;
};

struct err dedup_new(size_t limit_bytes, struct dedup **out)
{
    struct dedup *dedup = calloc(1, sizeof *dedup);
    if (!dedup)
        return err_new(ERR_NOMEM, "dedup: new");
    dedup->slots = FIRST_SLOTS;
    dedup->limit_slots = FIRST_SLOTS;
    while (dedup->limit_slots * 2 * sizeof(struct entry) <= limit_bytes)
        dedup->limit_slots *= 2;
    dedup->entries = calloc(dedup->slots, sizeof *dedup->entries);
    if (!dedup->entries) {
        free(dedup);
        return err_new(ERR_NOMEM, "dedup: new");
    }
    *out = dedup;
    return ok();
}

void dedup_free(struct dedup *dedup)
{
    if (!dedup)
        return;
    free(dedup->entries);
    free(dedup);
}

static struct entry entry_of(struct bytes id, int32_t day)
{
    struct entry entry = { .low = xxh3_64(id, SEED_LOW), .high = xxh3_64(id, SEED_HIGH) };
    entry.high = (entry.high & ~UINT64_C(0xffff)) | (uint16_t)day;
    if (entry.low == 0)
        entry.low = 1; /* 0 marks an empty slot */
    return entry;
}

static bool is_same_id(const struct entry *a, const struct entry *b)
{
    return a->low == b->low && a->high >> DAY_BITS == b->high >> DAY_BITS;
}

/* How many days before `day` the entry was seen; an entry of a later day (a batch whose clock was
 * ahead) counts as seen now. */
static uint32_t age_days(const struct entry *entry, int32_t day)
{
    int16_t age = (int16_t)(uint16_t)((uint16_t)day - (uint16_t)entry->high);
    return age < 0 ? 0 : (uint32_t)age;
}

static struct entry *find_slot(struct entry *entries, size_t slots, const struct entry *entry)
{
    size_t i = entry->low & (slots - 1);
    while (entries[i].low != 0 && !is_same_id(&entries[i], entry))
        i = (i + 1) & (slots - 1);
    return &entries[i];
}

/* A table of `slots` with the entries that are younger than `days`. */
static struct err rebuild(struct dedup *dedup, size_t slots, int32_t day, uint32_t days)
{
    struct entry *entries = calloc(slots, sizeof *entries);
    if (!entries)
        return err_new(ERR_NOMEM, "dedup: grow");
    size_t count = 0;
    for (size_t i = 0; i < dedup->slots; i++) {
        const struct entry *old = &dedup->entries[i];
        if (old->low == 0 || age_days(old, day) >= days)
            continue;
        *find_slot(entries, slots, old) = *old;
        count++;
    }
    free(dedup->entries);
    dedup->entries = entries;
    dedup->slots = slots;
    dedup->count = count;
    return ok();
}

static size_t count_younger(const struct dedup *dedup, int32_t day, uint32_t days)
{
    size_t count = 0;
    for (size_t i = 0; i < dedup->slots; i++)
        count += dedup->entries[i].low != 0 && age_days(&dedup->entries[i], day) < days;
    return count;
}

static struct err make_room(struct dedup *dedup, int32_t day, uint32_t days)
{
    size_t living = count_younger(dedup, day, days);
    size_t slots = dedup->slots;
    while (living * 4 > slots && slots < dedup->limit_slots)
        slots *= 2;
    /* At the limit, the window becomes shorter: a bounded promise beats no server. */
    while (living * 2 >= slots && days > 0)
        living = count_younger(dedup, day, --days);
    return rebuild(dedup, slots, day, days);
}

struct err dedup_check(struct dedup *dedup, struct bytes id, int32_t day, uint32_t days,
                       bool *is_duplicate_out)
{
    struct entry entry = entry_of(id, day);
    struct entry *slot = find_slot(dedup->entries, dedup->slots, &entry);
    if (slot->low != 0) {
        *is_duplicate_out = age_days(slot, day) < days;
        if (!*is_duplicate_out)
            *slot = entry;
        return ok();
    }
    if ((dedup->count + 1) * 2 > dedup->slots) {
        struct err err = make_room(dedup, day, days);
        if (err.code)
            return err;
        slot = find_slot(dedup->entries, dedup->slots, &entry);
    }
    *slot = entry;
    dedup->count++;
    *is_duplicate_out = false;
    return ok();
}

size_t dedup_count(const struct dedup *dedup)
{
    return dedup->count;
}

void dedup_save(const struct dedup *dedup, struct buf *to)
{
    buf_put_le64(to, dedup->count);
    for (size_t i = 0; i < dedup->slots; i++) {
        if (dedup->entries[i].low == 0)
            continue;
        buf_put_le64(to, dedup->entries[i].low);
        buf_put_le64(to, dedup->entries[i].high);
    }
}

struct err dedup_load(struct dedup *dedup, struct reader *from)
{
    uint64_t count = reader_le64(from);
    if (count > reader_left(from) / sizeof(struct entry))
        return err_new(ERR_CORRUPT, "dedup: count");
    size_t slots = FIRST_SLOTS;
    while (slots < count * 2 + 2)
        slots *= 2;
    struct entry *entries = calloc(slots, sizeof *entries);
    if (!entries)
        return err_new(ERR_NOMEM, "dedup: load");
    size_t loaded = 0;
    for (uint64_t i = 0; i < count; i++) {
        struct entry entry = { .low = reader_le64(from), .high = reader_le64(from) };
        struct entry *slot = find_slot(entries, slots, &entry);
        if (entry.low == 0 || slot->low != 0)
            break;
        *slot = entry;
        loaded++;
    }
    if (loaded != count || from->is_failed) {
        free(entries);
        return err_new(ERR_CORRUPT, "dedup: entries");
    }
    free(dedup->entries);
    dedup->entries = entries;
    dedup->slots = slots;
    dedup->count = loaded;
    return ok();
}

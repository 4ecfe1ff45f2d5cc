/*
 * cache.h - sections of part files in memory, within a budget.
 *
 * A slot belongs to a part and knows its section once it's read; the cache decides how long. What is
 * pinned stays. Any thread.
 */
#ifndef STORE_CACHE_H
#define STORE_CACHE_H

#include "base/bytes.h"
#include "base/err.h"

struct cache;

struct cache_entry {
    struct cache_entry **slot; /* points here while the entry is in the cache */
    struct cache_entry *newer;
    struct cache_entry *older;
    uint32_t pins;
    size_t size;
    uint8_t data[];
};

MUST_CHECK struct err cache_new(uint64_t limit_bytes, struct cache **out);
void cache_free(struct cache *cache); /* nothing may be pinned */

/* What the slot holds, pinned; NULL: nothing yet. */
struct cache_entry *cache_pin(struct cache *cache, struct cache_entry **slot);
/* An entry of `size` bytes to be filled by the caller, pinned and not in the cache. NULL: no memory. */
struct cache_entry *cache_make(size_t size);
/* Puts a filled entry into the slot; when another thread was quicker, its entry is given back
 * instead. Pinned either way. */
struct cache_entry *cache_put(struct cache *cache, struct cache_entry **slot,
                              struct cache_entry *entry);
void cache_unpin(struct cache *cache, struct cache_entry *entry); /* NULL is fine */
/* Empties a slot that nobody has pinned. */
void cache_drop(struct cache *cache, struct cache_entry **slot);
uint64_t cache_used_bytes(struct cache *cache);

#endif

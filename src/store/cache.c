/*
 * cache.c - least recently used sections go first.
 *
 * Entries that are in the cache form a list from the newest used to the oldest. A pin moves an
 * entry to the front. When the budget is exceeded the oldest unpinned ones go. An entry larger than
 * the whole budget is used and goes at its unpinning.
 */
#include "store/cache.h"

#include "sys/thread.h"

#include <stdlib.h>

struct cache {
    struct mutex lock;
    uint64_t limit_bytes;
    uint64_t used_bytes;
    struct cache_entry *newest;
    struct cache_entry *oldest;
};

struct err cache_new(uint64_t limit_bytes, struct cache **out)
{
    struct cache *cache = calloc(1, sizeof *cache);
    if (!cache)
        return err_new(ERR_NOMEM, "store: cache");
    mutex_init(&cache->lock);
    cache->limit_bytes = limit_bytes;
    *out = cache;
    return ok();
}

static void unlink_entry(struct cache *cache, struct cache_entry *entry)
{
    if (entry->newer)
        entry->newer->older = entry->older;
    else
        cache->newest = entry->older;
    if (entry->older)
        entry->older->newer = entry->newer;
    else
        cache->oldest = entry->newer;
    entry->newer = NULL;
    entry->older = NULL;
}

static void link_newest(struct cache *cache, struct cache_entry *entry)
{
    entry->newer = NULL;
    entry->older = cache->newest;
    if (cache->newest)
        cache->newest->newer = entry;
    else
        cache->oldest = entry;
    cache->newest = entry;
}

static void forget(struct cache *cache, struct cache_entry *entry)
{
    assert(entry->pins == 0);
    unlink_entry(cache, entry);
    cache->used_bytes -= entry->size;
    *entry->slot = NULL;
    free(entry);
}

static void shrink(struct cache *cache)
{
    struct cache_entry *entry = cache->oldest;
    while (entry && cache->used_bytes > cache->limit_bytes) {
        struct cache_entry *newer = entry->newer;
        if (entry->pins == 0)
            forget(cache, entry);
        entry = newer;
    }
}

void cache_free(struct cache *cache)
{
    if (!cache)
        return;
    while (cache->oldest)
        forget(cache, cache->oldest);
    mutex_done(&cache->lock);
    free(cache);
}

struct cache_entry *cache_pin(struct cache *cache, struct cache_entry **slot)
{
    mutex_lock(&cache->lock);
    struct cache_entry *entry = *slot;
    if (entry) {
        entry->pins++;
        unlink_entry(cache, entry);
        link_newest(cache, entry);
    }
    mutex_unlock(&cache->lock);
    return entry;
}

struct cache_entry *cache_make(size_t size)
{
    struct cache_entry *entry = malloc(sizeof *entry + size);
    if (!entry)
        return NULL;
    *entry = (struct cache_entry){ .pins = 1, .size = size };
    return entry;
}

struct cache_entry *cache_put(struct cache *cache, struct cache_entry **slot,
                              struct cache_entry *entry)
{
    mutex_lock(&cache->lock);
    struct cache_entry *there = *slot;
    if (there) {
        there->pins++;
    } else {
        entry->slot = slot;
        *slot = entry;
        link_newest(cache, entry);
        cache->used_bytes += entry->size;
        shrink(cache);
    }
    mutex_unlock(&cache->lock);
    if (!there)
        return entry;
    free(entry);
    return there;
}

void cache_unpin(struct cache *cache, struct cache_entry *entry)
{
    if (!entry)
        return;
    mutex_lock(&cache->lock);
    assert(entry->pins > 0);
    entry->pins--;
    shrink(cache);
    mutex_unlock(&cache->lock);
}

void cache_drop(struct cache *cache, struct cache_entry **slot)
{
    mutex_lock(&cache->lock);
    if (*slot)
        forget(cache, *slot);
    mutex_unlock(&cache->lock);
}

uint64_t cache_used_bytes(struct cache *cache)
{
    mutex_lock(&cache->lock);
    uint64_t used = cache->used_bytes;
    mutex_unlock(&cache->lock);
    return used;
}

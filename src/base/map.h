/*
 * map.h - hash tables keyed by a seeded hash.
 *
 * The seed is drawn once a process (base_seed_set, from entropy by whoever starts it),
 * so that nobody outside can choose keys that collide. No order that depends on it may
 * leak: iterate by number (intern), or sort.
 */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include "base/bytes.h"
#include "base/err.h"

/* The process's seed; tests leave it 0. Call before the first table is made. */
void base_seed_set(uint64_t seed);

/* 64-bit seeded hash of bytes (wyhash-like, our own mixing; not stable between versions:
 * never write it to disk). */
uint64_t hash_bytes(struct bytes bytes);
uint64_t hash_u64(uint64_t value);

/*
 * Strings to dense numbers 0, 1, 2, … in the order of their first put, and back. The
 * strings are copied; ranges that intern_get hands out live until the table is done.
 */
struct intern;

/* `limit_bytes` bounds the table with its strings. */
MUST_CHECK struct err intern_new(size_t limit_bytes, struct intern **out);
void intern_free(struct intern *table);
void intern_reset(struct intern *table); /* empties, keeps the room; strings handed out die */
MUST_CHECK struct err intern_put(struct intern *table, struct bytes text, uint32_t *number_out,
                                 bool *is_new_out /* may be NULL */);
/* False: not there. */
bool intern_find(const struct intern *table, struct bytes text, uint32_t *number_out);
struct bytes intern_get(const struct intern *table, uint32_t number);
uint32_t intern_count(const struct intern *table);
size_t intern_size_bytes(const struct intern *table);

/* uint64_t to uint64_t. */
struct map64;
MUST_CHECK struct err map64_new(size_t limit_bytes, struct map64 **out);
void map64_free(struct map64 *map);
void map64_reset(struct map64 *map);
/* Where the value of `key` is, made with value 0 when it's missing; NULL: no memory. The
 * pointer lives until the next put. */
uint64_t *map64_put(struct map64 *map, uint64_t key, bool *is_new_out /* may be NULL */);
const uint64_t *map64_find(const struct map64 *map, uint64_t key);
bool map64_remove(struct map64 *map, uint64_t key);
size_t map64_count(const struct map64 *map);
/* Every pair in no order: start with *cursor 0; false at the end. */
bool map64_next(const struct map64 *map, size_t *cursor, uint64_t *key_out, uint64_t *value_out);

#endif

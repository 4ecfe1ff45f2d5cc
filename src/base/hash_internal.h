/*
 * hash_internal.h - the seeded hash of map.h, inline for the tables.
 *
 * Its one step multiplies two 64-bit words to 128 bits and folds the halves. Each word is first
 * XORed with a secret key (or with the state, that depends on one), so that nobody who doesn't
 * know the keys can make a factor zero, which would swallow the other one.
 */
#ifndef BASE_HASH_INTERNAL_H
#define BASE_HASH_INTERNAL_H

#include "base/bytes.h"

struct hash_keys {
    uint64_t key[4];
};

extern struct hash_keys hash_keys;

__extension__ typedef unsigned __int128 hash_wide;

static inline uint64_t hash_fold(uint64_t a, uint64_t b)
{
    hash_wide product = (hash_wide)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint64_t hash_word(uint64_t value)
{
    return hash_fold(value ^ hash_keys.key[0], hash_keys.key[1]);
}

/* The first and the last word of up to 16 bytes; together they hold every byte. */
static inline void hash_ends(const uint8_t *ptr, size_t len, uint64_t *first, uint64_t *last)
{
    if (len >= 8) {
        *first = load_le64(ptr);
        *last = load_le64(ptr + len - 8);
    } else if (len >= 4) {
        *first = load_le32(ptr);
        *last = load_le32(ptr + len - 4);
    } else if (len > 0) {
        *first = (uint64_t)ptr[0] | (uint64_t)ptr[len / 2] << 8;
        *last = ptr[len - 1];
    } else {
        *first = *last = 0;
    }
}

static inline uint64_t hash_text(struct bytes text)
{
    const struct hash_keys *keys = &hash_keys;
    const uint8_t *ptr = text.ptr;
    size_t left = text.len;
    uint64_t state = keys->key[2] ^ text.len;

    if (left > 32) { /* two lanes, whose multiplications overlap */
        uint64_t other = keys->key[3];
        do {
            state = hash_fold(load_le64(ptr) ^ keys->key[0], load_le64(ptr + 8) ^ state);
            other = hash_fold(load_le64(ptr + 16) ^ keys->key[1], load_le64(ptr + 24) ^ other);
            ptr += 32;
            left -= 32;
        } while (left > 32);
        state ^= other;
    }
    if (left > 16) {
        state = hash_fold(load_le64(ptr) ^ keys->key[0], load_le64(ptr + 8) ^ state);
        ptr += 16;
        left -= 16;
    }
    uint64_t first;
    uint64_t last;
    hash_ends(ptr, left, &first, &last);
    return hash_fold(hash_fold(first ^ keys->key[0], last ^ state) ^ keys->key[1], keys->key[3]);
}

#endif

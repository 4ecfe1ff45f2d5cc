/* bits.h - sets of small numbers as words; powers and logarithms of two. */
#ifndef BASE_BITS_H
#define BASE_BITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline size_t bits_words(size_t count)
{
    return (count + 63) / 64;
}
static inline bool bits_has(const uint64_t *set, size_t i)
{
    return set[i >> 6] >> (i & 63) & 1;
}
static inline void bits_add(uint64_t *set, size_t i)
{
    set[i >> 6] |= UINT64_C(1) << (i & 63);
}
static inline void bits_remove(uint64_t *set, size_t i)
{
    set[i >> 6] &= ~(UINT64_C(1) << (i & 63));
}
static inline size_t bits_count(const uint64_t *set, size_t words)
{
    size_t count = 0;
    for (size_t i = 0; i < words; i++)
        count += (size_t)__builtin_popcountll(set[i]);
    return count;
}
/* Bits needed to write `value`: 0 for 0, 64 at most. */
static inline unsigned bits_width(uint64_t value)
{
    return value ? 64u - (unsigned)__builtin_clzll(value) : 0;
}
static inline uint64_t bits_ceil_pow2(uint64_t value)
{
    return value <= 1 ? 1 : UINT64_C(1) << bits_width(value - 1);
}

#endif

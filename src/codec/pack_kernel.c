/*
 * pack_kernel.c - bits in and out of full blocks, as fast as the machine allows.
 *
 * A full block of 256 values is 8 lanes of 32 bits, one under the other as 32 rows; value i is in
 * lane i mod 8. Packed, a lane is `width` words, the lowest bits first, and word w of all lanes is
 * 32 bytes: one AVX2 register. So one shift and one mask unpack 8 values, which land where they
 * belong. A wide block is the same with 4 lanes of 64 bits and 64 rows; both are 32 * width bytes.
 *
 * For 32 bits there's a copy of the loop for every width, unrolled, with all shifts known.
 */
#include "codec/pack_internal.h"

#include <assert.h>
#include <immintrin.h>

#define AVX2   __attribute__((target("avx2")))
#define INLINE static inline __attribute__((always_inline))

enum { LANES = 8, ROWS = 32, WIDE_LANES = 4, WIDE_ROWS = 64, WORD_SIZE = 32 };

bool pack_has_avx2(void)
{
    return __builtin_cpu_supports("avx2");
}

/* --- packing ----------------------------------------------------------------- */

void pack256(const uint32_t *values, unsigned width, uint8_t *to)
{
    uint32_t words[ROWS][LANES] = { 0 };
    assert(width <= 32);
    for (unsigned row = 0; row < ROWS && width > 0; row++) {
        unsigned word = row * width / 32;
        unsigned shift = row * width % 32;
        for (unsigned lane = 0; lane < LANES; lane++) {
            uint64_t bits = (uint64_t)values[row * LANES + lane] << shift;
            words[word][lane] |= (uint32_t)bits;
            if (shift + width > 32)
                words[word + 1][lane] |= (uint32_t)(bits >> 32);
        }
    }
    memcpy(to, words, (size_t)width * WORD_SIZE);
}

void pack256_wide(const uint64_t *values, unsigned width, uint8_t *to)
{
    uint64_t words[WIDE_ROWS][WIDE_LANES] = { 0 };
    assert(width <= 64);
    for (unsigned row = 0; row < WIDE_ROWS && width > 0; row++) {
        unsigned word = row * width / 64;
        unsigned shift = row * width % 64;
        for (unsigned lane = 0; lane < WIDE_LANES; lane++) {
            uint64_t value = values[row * WIDE_LANES + lane];
            words[word][lane] |= value << shift;
            if (shift + width > 64)
                words[word + 1][lane] |= value >> (64 - shift);
        }
    }
    memcpy(to, words, (size_t)width * WORD_SIZE);
}

/* --- unpacking, anywhere ------------------------------------------------------- */

static void fill32(uint32_t *values, uint32_t value)
{
    for (size_t i = 0; i < PACK_COUNT; i++)
        values[i] = value;
}

static void fill64(uint64_t *values, uint64_t value)
{
    for (size_t i = 0; i < PACK_COUNT; i++)
        values[i] = value;
}

void unpack256_portable(const uint8_t *from, unsigned width, uint32_t base, uint32_t *values)
{
    if (width == 0) {
        fill32(values, base);
        return;
    }
    const uint32_t mask = UINT32_MAX >> (32 - width);
    for (unsigned row = 0; row < ROWS; row++) {
        const uint8_t *word = from + (size_t)(row * width / 32) * WORD_SIZE;
        const unsigned shift = row * width % 32;
        const bool is_split = shift + width > 32;
        for (unsigned lane = 0; lane < LANES; lane++) {
            uint32_t bits = load_le32(word + 4 * lane) >> shift;
            if (is_split)
                bits |= load_le32(word + WORD_SIZE + 4 * lane) << (32 - shift);
            values[row * LANES + lane] = base + (bits & mask);
        }
    }
}

void unpack256_wide_portable(const uint8_t *from, unsigned width, uint64_t base, uint64_t *values)
{
    if (width == 0) {
        fill64(values, base);
        return;
    }
    const uint64_t mask = UINT64_MAX >> (64 - width);
    for (unsigned row = 0; row < WIDE_ROWS; row++) {
        const uint8_t *word = from + (size_t)(row * width / 64) * WORD_SIZE;
        const unsigned shift = row * width % 64;
        const bool is_split = shift + width > 64;
        for (unsigned lane = 0; lane < WIDE_LANES; lane++) {
            uint64_t bits = load_le64(word + 8 * lane) >> shift;
            if (is_split)
                bits |= load_le64(word + WORD_SIZE + 8 * lane) << (64 - shift);
            values[row * WIDE_LANES + lane] = base + (bits & mask);
        }
    }
}

/* --- unpacking with AVX2 ---------------------------------------------------------- */

AVX2 INLINE __m256i load_word(const uint8_t *from, unsigned word)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)(from + (size_t)word * WORD_SIZE));
}

AVX2 INLINE void store_row(void *to, unsigned row, __m256i values)
{
    _mm256_storeu_si256((__m256i *)to + row, values);
}

/* `width` is a constant where this is inlined, so every condition below is, too. */
AVX2 INLINE void unpack_rows(const uint8_t *from, const unsigned width, uint32_t base,
                             uint32_t *values)
{
    const __m256i mask = _mm256_set1_epi32((int)(UINT32_MAX >> (32 - width)));
    const __m256i bases = _mm256_set1_epi32((int)base);
#pragma GCC unroll 32
    for (unsigned row = 0; row < ROWS; row++) {
        const unsigned word = row * width / 32;
        const int shift = (int)(row * width % 32);
        __m256i bits = load_word(from, word);
        if (shift > 0)
            bits = _mm256_srli_epi32(bits, shift);
        if (shift + (int)width > 32)
            bits = _mm256_or_si256(bits, _mm256_slli_epi32(load_word(from, word + 1), 32 - shift));
        if (shift + (int)width != 32)
            bits = _mm256_and_si256(bits, mask);
        store_row(values, row, _mm256_add_epi32(bits, bases));
    }
}

#define WIDTH(w)                                                                                   \
    case w:                                                                                        \
        unpack_rows(from, w, base, values);                                                        \
        break
#define WIDTHS(w)                                                                                  \
    WIDTH(w);                                                                                      \
    WIDTH(w + 1);                                                                                  \
    WIDTH(w + 2);                                                                                  \
    WIDTH(w + 3)

AVX2 void unpack256_avx2(const uint8_t *from, unsigned width, uint32_t base, uint32_t *values)
{
    switch (width) {
        WIDTHS(1);
        WIDTHS(5);
        WIDTHS(9);
        WIDTHS(13);
        WIDTHS(17);
        WIDTHS(21);
        WIDTHS(25);
        WIDTHS(29);
    default:
        fill32(values, base);
        break;
    }
}

AVX2 void unpack256_wide_avx2(const uint8_t *from, unsigned width, uint64_t base, uint64_t *values)
{
    if (width == 0) {
        fill64(values, base);
        return;
    }
    const __m256i mask = _mm256_set1_epi64x((long long)(UINT64_MAX >> (64 - width)));
    const __m256i bases = _mm256_set1_epi64x((long long)base);
    for (unsigned row = 0; row < WIDE_ROWS; row++) {
        const unsigned word = row * width / 64;
        const unsigned shift = row * width % 64;
        __m256i bits = _mm256_srl_epi64(load_word(from, word), _mm_cvtsi32_si128((int)shift));
        if (shift + width > 64)
            bits = _mm256_or_si256(bits, _mm256_sll_epi64(load_word(from, word + 1),
                                                          _mm_cvtsi32_si128((int)(64 - shift))));
        store_row(values, row, _mm256_add_epi64(_mm256_and_si256(bits, mask), bases));
    }
}

void unpack256(const uint8_t *from, unsigned width, uint32_t base, uint32_t *values)
{
    assert(width <= 32);
    if (pack_has_avx2())
        unpack256_avx2(from, width, base, values);
    else
        unpack256_portable(from, width, base, values);
}

void unpack256_wide(const uint8_t *from, unsigned width, uint64_t base, uint64_t *values)
{
    assert(width <= 64);
    if (pack_has_avx2())
        unpack256_wide_avx2(from, width, base, values);
    else
        unpack256_wide_portable(from, width, base, values);
}

/* --- sums and scaling ------------------------------------------------------------- */

uint32_t prefix_sum32_portable(uint32_t *values, size_t count, uint32_t base)
{
    for (size_t i = 0; i < count; i++)
        values[i] = base += values[i];
    return base;
}

/* Sums of the 8 lanes from the left, in three steps. */
AVX2 INLINE __m256i sum_lanes(__m256i x)
{
    x = _mm256_add_epi32(x, _mm256_slli_si256(x, 4));
    x = _mm256_add_epi32(x, _mm256_slli_si256(x, 8));
    __m256i low = _mm256_permute2x128_si256(x, x, 0x08); /* the lower half above zeros */
    return _mm256_add_epi32(x, _mm256_shuffle_epi32(low, 0xff));
}

AVX2 uint32_t prefix_sum32_avx2(uint32_t *values, size_t count, uint32_t base)
{
    const __m256i last = _mm256_set1_epi32(7);
    __m256i before = _mm256_set1_epi32((int)base);
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        __m256i *at = (__m256i *)(void *)(values + i);
        __m256i row = sum_lanes(_mm256_loadu_si256(at));
        __m256i total = _mm256_permutevar8x32_epi32(row, last);
        _mm256_storeu_si256(at, _mm256_add_epi32(row, before));
        before = _mm256_add_epi32(before, total);
    }
    return prefix_sum32_portable(values + i, count - i,
                                 (uint32_t)_mm_cvtsi128_si32(_mm256_castsi256_si128(before)));
}

uint32_t prefix_sum32(uint32_t *values, size_t count, uint32_t base)
{
    if (count >= LANES && pack_has_avx2())
        return prefix_sum32_avx2(values, count, base);
    return prefix_sum32_portable(values, count, base);
}

uint64_t prefix_sum64(uint64_t *values, size_t count, uint64_t base)
{
    for (size_t i = 0; i < count; i++)
        values[i] = base += values[i];
    return base;
}

static void scale32_portable(uint32_t *values, size_t count, uint32_t factor, uint32_t base)
{
    for (size_t i = 0; i < count; i++)
        values[i] = base + factor * values[i];
}

AVX2 static void scale32_avx2(uint32_t *values, size_t count, uint32_t factor, uint32_t base)
{
    const __m256i factors = _mm256_set1_epi32((int)factor);
    const __m256i bases = _mm256_set1_epi32((int)base);
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        __m256i *at = (__m256i *)(void *)(values + i);
        __m256i product = _mm256_mullo_epi32(_mm256_loadu_si256(at), factors);
        _mm256_storeu_si256(at, _mm256_add_epi32(product, bases));
    }
    scale32_portable(values + i, count - i, factor, base);
}

void scale32(uint32_t *values, size_t count, uint32_t factor, uint32_t base)
{
    if (pack_has_avx2())
        scale32_avx2(values, count, factor, base);
    else
        scale32_portable(values, count, factor, base);
}

/* --- streams of bits, for the short blocks --------------------------------------- */

size_t pack_stream_size(size_t count, unsigned width)
{
    return (count * width + 7) / 8;
}

void pack_stream(const uint64_t *values, size_t count, unsigned width, uint8_t *to)
{
    memset(to, 0, pack_stream_size(count, width));
    for (size_t i = 0, bit = 0; i < count; i++) {
        uint64_t value = values[i];
        for (unsigned left = width; left > 0;) {
            unsigned shift = bit % 8;
            unsigned len = 8 - shift < left ? 8 - shift : left;
            to[bit / 8] |= (uint8_t)(value << shift);
            value >>= len;
            left -= len;
            bit += len;
        }
    }
}

void unpack_stream(const uint8_t *from, size_t count, unsigned width, uint64_t *values)
{
    /* A copy with room behind it, so that whole words can be loaded anywhere. */
    uint8_t copy[PACK_COUNT * 8 + 16];
    assert(count <= PACK_COUNT && width <= 64);
    if (width == 0) {
        memset(values, 0, count * sizeof *values);
        return;
    }
    const size_t size = pack_stream_size(count, width);
    memcpy(copy, from, size);
    memset(copy + size, 0, 16);
    const uint64_t mask = UINT64_MAX >> (64 - width);
    for (size_t i = 0, bit = 0; i < count; i++, bit += width) {
        unsigned shift = bit % 8;
        uint64_t bits = load_le64(copy + bit / 8) >> shift;
        if (shift + width > 64)
            bits |= (uint64_t)copy[bit / 8 + 8] << (64 - shift);
        values[i] = bits & mask;
    }
}

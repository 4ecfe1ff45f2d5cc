/*
 * hash.c - XXH3 is its library's; CRC-32C (Castagnoli, reflected, as in RFC 3720) is here: by the
 * processor's instruction where there is one, else eight bytes at a time by tables.
 */
#include "codec/hash.h"

#include "codec/hash_internal.h"

#include <immintrin.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t xxh3_64(struct bytes data, uint64_t seed)
{
    return XXH3_64bits_withSeed(data.ptr, data.len, seed);
}

#define POLYNOMIAL UINT32_C(0x82f63b78)

enum { SLICES = 8 };

/* table[k][b]: the effect of byte b with k bytes behind it. Filled before main. */
static uint32_t table[SLICES][256];

__attribute__((constructor)) static void fill_table(void)
{
    for (uint32_t b = 0; b < 256; b++) {
        uint32_t crc = b;
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ POLYNOMIAL : crc >> 1;
        table[0][b] = crc;
    }
    for (uint32_t b = 0; b < 256; b++)
        for (int k = 1; k < SLICES; k++)
            table[k][b] = table[k - 1][b] >> 8 ^ table[0][table[k - 1][b] & 0xff];
}

uint32_t crc32c_portable(uint32_t crc, struct bytes data)
{
    const uint8_t *p = data.ptr;
    size_t left = data.len;
    crc = ~crc;
    for (; left >= SLICES; left -= SLICES, p += SLICES) {
        uint64_t word = load_le64(p) ^ crc;
        crc = 0;
        for (int k = 0; k < SLICES; k++)
            crc ^= table[SLICES - 1 - k][word >> (8 * k) & 0xff];
    }
    for (; left > 0; left--)
        crc = crc >> 8 ^ table[0][(crc ^ *p++) & 0xff];
    return ~crc;
}

__attribute__((target("sse4.2"))) static uint32_t crc32c_sse42(uint32_t crc, struct bytes data)
{
    const uint8_t *p = data.ptr;
    size_t left = data.len;
    uint64_t wide = ~crc;
    for (; left >= 8; left -= 8, p += 8)
        wide = _mm_crc32_u64(wide, load_le64(p));
    crc = (uint32_t)wide;
    for (; left > 0; left--)
        crc = _mm_crc32_u8(crc, *p++);
    return ~crc;
}

uint32_t crc32c(uint32_t crc, struct bytes data)
{
    return __builtin_cpu_supports("sse4.2") ? crc32c_sse42(crc, data) : crc32c_portable(crc, data);
}

/*
 * pack_internal.h - the kernels by name, for pack.c and for the tests that hold them together.
 */
#ifndef CODEC_PACK_INTERNAL_H
#define CODEC_PACK_INTERNAL_H

#include "base/bytes.h"
#include "codec/pack.h"

/* The machine may run the _avx2 functions. */
bool pack_has_avx2(void);

void unpack256_portable(const uint8_t *from, unsigned width, uint32_t base, uint32_t *values);
void unpack256_avx2(const uint8_t *from, unsigned width, uint32_t base, uint32_t *values);
void unpack256_wide_portable(const uint8_t *from, unsigned width, uint64_t base, uint64_t *values);
void unpack256_wide_avx2(const uint8_t *from, unsigned width, uint64_t base, uint64_t *values);
uint32_t prefix_sum32_portable(uint32_t *values, size_t count, uint32_t base);
uint32_t prefix_sum32_avx2(uint32_t *values, size_t count, uint32_t base);

/* values[i] = base + factor * values[i]. */
void scale32(uint32_t *values, size_t count, uint32_t factor, uint32_t base);

/* `count` values of `width` bits one behind the other, the lowest bit first, as (count * width + 7)
 * / 8 bytes. For blocks that aren't full. */
size_t pack_stream_size(size_t count, unsigned width);
void pack_stream(const uint64_t *values, size_t count, unsigned width, uint8_t *to);
void unpack_stream(const uint8_t *from, size_t count, unsigned width, uint64_t *values);

#endif

/*
 * pack.h - integers and decimals in blocks of up to 256, for columns.
 *
 * A block says how it is encoded, but not how many values it holds: the column knows (all blocks
 * but its last are full). Reading never leaves `from`, whatever the bytes are; that they are the
 * bytes once written is for a checksum to say, so a damaged block may also give wrong values.
 *
 * Full blocks of 256 decode fastest (AVX2 where the machine has it); a shorter one takes about
 * count * width / 8 bytes and is read value by value.
 */
#ifndef CODEC_PACK_H
#define CODEC_PACK_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"

enum {
    PACK_COUNT = 256,           /* values of a full block */
    PACK_BLOCK_MAX = 32 + 2048, /* bytes of any block, at most */
};

/* --- blocks that choose their own encoding --------------------------------- */

/* Appends one block of 1 to PACK_COUNT values in the smallest of: constant; frame of reference;
 * delta; both of them divided by a common divisor and with outliers patched; run length. */
void pack_block_encode32(const uint32_t *values, size_t count, struct buf *to);
void pack_block_encode64(const int64_t *values, size_t count, struct buf *to);

/* Reads a block of exactly `count` values from the start of `from`; *used_out is its size.
 * ERR_CORRUPT: cut short or impossible; `to` may then hold anything. The two read each other's
 * blocks, so long as decode32 meets values of 32 bits. Nothing behind to[count - 1] is written. */
MUST_CHECK struct err pack_block_decode32(struct bytes from, size_t count, uint32_t *to,
                                          size_t *used_out);
MUST_CHECK struct err pack_block_decode64(struct bytes from, size_t count, int64_t *to,
                                          size_t *used_out);

/* As these, for doubles: as integers times 10^-k (k of 0 to 6) where each comes back bit by bit,
 * else as they are. */
void pack_block_encode_reals(const double *values, size_t count, struct buf *to);
MUST_CHECK struct err pack_block_decode_reals(struct bytes from, size_t count, double *to,
                                              size_t *used_out);

/* --- the kernels below them ---------------------------------------------- */

/* 256 values of `width` bits (0 to 32) as 32 * width bytes: 8 lanes of 32 rows, value r * 8 + l in
 * bits r * width and up of lane l. Higher bits of a value must be 0. Nothing needs alignment. */
void pack256(const uint32_t *values, unsigned width, uint8_t *to);
/* values[i] = base + what was packed, modulo 2^32. */
void unpack256(const uint8_t *from, unsigned width, uint32_t base, uint32_t *values);

/* The same with 4 lanes of 64 rows, width 0 to 64. */
void pack256_wide(const uint64_t *values, unsigned width, uint8_t *to);
void unpack256_wide(const uint8_t *from, unsigned width, uint64_t base, uint64_t *values);

/* values[i] becomes base + values[0] + … + values[i], modulo 2^32; returns the last (base for
 * none). */
uint32_t prefix_sum32(uint32_t *values, size_t count, uint32_t base);
uint64_t prefix_sum64(uint64_t *values, size_t count, uint64_t base);

#endif

/*
 * ints.h - the integers of a section: blocks of 256, found without reading those before.
 *
 * A section of integers begins with its encoding (1 byte), three zeros and the count (4 bytes);
 * docs/formats/part.md has the rest. Encodings that a scan reads in every question (ascending,
 * packed) decode at memory speed; the others are chosen for size.
 */
#ifndef STORE_INTS_H
#define STORE_INTS_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"

/* Numbers are written to disk. */
enum ints_encoding {
    INTS_ASCENDING = 1, /* strictly: base, then differences less one */
    INTS_PACKED32 = 2,  /* frame of reference over a common divisor */
    INTS_PACKED64 = 3,
    INTS_BLOCKS32 = 4, /* self-describing blocks of codec/pack.h */
    INTS_BLOCKS64 = 5,
    INTS_REALS = 6,
    INTS_RAW64 = 7,
    INTS_CLOCKED = 8, /* as BLOCKS64: distances to what the part's clock says (store/seq_clock.h) */
    INTS_STICKY = 9,  /* not one of these: store/sticky.h */
};

void ints_put_ascending(struct buf *to, const uint32_t *values, size_t count);
void ints_put_packed32(struct buf *to, const uint32_t *values, size_t count);
void ints_put_packed64(struct buf *to, const uint64_t *values, size_t count);
void ints_put_blocks32(struct buf *to, const uint32_t *values, size_t count);
void ints_put_blocks64(struct buf *to, const int64_t *values, size_t count);
void ints_put_clocked(struct buf *to, const int64_t *distances, size_t count);
void ints_put_reals(struct buf *to, const double *values, size_t count);
void ints_put_raw64(struct buf *to, const uint64_t *values, size_t count);

/* A section opened for reading; borrows its bytes. */
struct ints {
    enum ints_encoding encoding;
    size_t count;
    uint64_t divisor;
    const uint8_t *bases;
    const uint8_t *widths;
    const uint8_t *ends;
    struct bytes payload;
};

/* ERR_CORRUPT: not a section of `count` integers. */
MUST_CHECK struct err ints_open(struct bytes section, size_t count, struct ints *out);
/* Values first … first + count - 1, which must be there. The 32-bit kinds. */
MUST_CHECK struct err ints_read32(const struct ints *ints, size_t first, size_t count,
                                  uint32_t *to);
/* Integers of 64 bits, or doubles bit for bit. */
MUST_CHECK struct err ints_read64(const struct ints *ints, size_t first, size_t count,
                                  uint64_t *to);
/* Ascending sections: the first value of the block, and how many blocks. */
uint32_t ints_base(const struct ints *ints, size_t block);
static inline size_t ints_blocks(size_t count)
{
    return (count + 255) / 256;
}

#endif

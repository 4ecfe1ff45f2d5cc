/*
 * ints.c - sections of integers.
 *
 *     offset  size  field
 *          0     1  encoding
 *          1     3  zeros
 *          4     4  count
 *
 *     ASCENDING, PACKED32 (b = blocks of 256, the last may be shorter):
 *          8     4  divisor (ASCENDING: 1)
 *         12    4b  bases: the block's first (ASCENDING) or least value over the divisor
 *       + 4b     b  widths in bits, 0 to 32
 *       + 5b     -  packed blocks: 8 lanes of 32 rows (codec/pack.h), cut to the rows in use
 *
 *     PACKED64: divisor 8, bases 8b, widths b (0 to 64), blocks of 4 lanes of 64 rows.
 *     BLOCKS32, BLOCKS64, REALS, CLOCKED: ends 4b (of each block, from the first one's start), then blocks.
 *     RAW64: 8 bytes a value.
 *
 * A short block is cut after the words that hold its rows, so that a table of three rows costs 32
 * bytes a column and not a kilobyte.
 */
#include "store/ints.h"

#include "base/bits.h"
#include "codec/pack.h"

enum { BLOCK = PACK_COUNT, HEAD = 8 };

static size_t short_block(size_t left)
{
    return left < BLOCK ? left : BLOCK;
}

/* Bytes of a block of `count` values packed with `width` bits. */
static size_t packed_size32(size_t count, unsigned width)
{
    size_t rows = (count + 7) / 8;
    return (rows * width + 31) / 32 * 32;
}

static size_t packed_size64(size_t count, unsigned width)
{
    size_t rows = (count + 3) / 4;
    return (rows * width + 63) / 64 * 32;
}

/* --- writing ---------------------------------------------------------------- */

static void put_head(struct buf *to, enum ints_encoding encoding, size_t count)
{
    assert(count <= UINT32_MAX);
    buf_put_u8(to, (uint8_t)encoding);
    buf_put_u8(to, 0);
    buf_put_le16(to, 0);
    buf_put_le32(to, (uint32_t)count);
}

/* Room for bases and widths; where they begin in the buffer, or SIZE_MAX. */
static size_t put_index(struct buf *to, size_t size)
{
    uint8_t *at = buf_reserve(to, size);
    if (!at)
        return SIZE_MAX;
    memset(at, 0, size);
    to->len += size;
    return to->len - size;
}

static void put_block32(struct buf *to, const uint32_t *values, size_t count, unsigned width)
{
    if (width == 0)
        return;
    uint8_t *at = buf_reserve(to, 32 * 32);
    if (!at)
        return;
    uint32_t padded[BLOCK];
    if (count < BLOCK) {
        memcpy(padded, values, count * sizeof *values);
        memset(padded + count, 0, (BLOCK - count) * sizeof *values);
        values = padded;
    }
    pack256(values, width, at);
    to->len += packed_size32(count, width);
}

void ints_put_ascending(struct buf *to, const uint32_t *values, size_t count)
{
    size_t blocks = ints_blocks(count);
    put_head(to, INTS_ASCENDING, count);
    buf_put_le32(to, 1);
    size_t index = put_index(to, blocks * 5);
    for (size_t b = 0; b < blocks && !to->is_failed; b++) {
        const uint32_t *from = values + b * BLOCK;
        size_t n = short_block(count - b * BLOCK);
        uint32_t less[BLOCK];
        uint32_t all = 0;
        less[0] = 0;
        for (size_t i = 1; i < n; i++) {
            less[i] = from[i] - from[i - 1] - 1;
            all |= less[i];
        }
        unsigned width = bits_width(all);
        store_le32(to->ptr + index + 4 * b, from[0]);
        to->ptr[index + 4 * blocks + b] = (uint8_t)width;
        put_block32(to, less, n, width);
    }
}

static uint64_t common_divisor(uint64_t a, uint64_t b)
{
    while (b) {
        uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

static uint32_t divisor32(const uint32_t *values, size_t count)
{
    uint64_t divisor = 0;
    for (size_t i = 0; i < count && divisor != 1; i++)
        if (divisor == 0 || values[i] % divisor != 0)
            divisor = common_divisor(divisor, values[i]);
    return divisor ? (uint32_t)divisor : 1;
}

void ints_put_packed32(struct buf *to, const uint32_t *values, size_t count)
{
    size_t blocks = ints_blocks(count);
    uint32_t divisor = divisor32(values, count);
    put_head(to, INTS_PACKED32, count);
    buf_put_le32(to, divisor);
    size_t index = put_index(to, blocks * 5);
    for (size_t b = 0; b < blocks && !to->is_failed; b++) {
        const uint32_t *from = values + b * BLOCK;
        size_t n = short_block(count - b * BLOCK);
        uint32_t least = from[0];
        uint32_t most = from[0];
        for (size_t i = 1; i < n; i++) {
            least = from[i] < least ? from[i] : least;
            most = from[i] > most ? from[i] : most;
        }
        uint32_t less[BLOCK];
        if (divisor == 1)
            for (size_t i = 0; i < n; i++)
                less[i] = from[i] - least;
        else
            for (size_t i = 0; i < n; i++)
                less[i] = (from[i] - least) / divisor;
        unsigned width = bits_width((most - least) / divisor);
        store_le32(to->ptr + index + 4 * b, least / divisor);
        to->ptr[index + 4 * blocks + b] = (uint8_t)width;
        put_block32(to, less, n, width);
    }
}

void ints_put_packed64(struct buf *to, const uint64_t *values, size_t count)
{
    size_t blocks = ints_blocks(count);
    put_head(to, INTS_PACKED64, count);
    buf_put_le64(to, 1);
    size_t index = put_index(to, blocks * 9);
    for (size_t b = 0; b < blocks && !to->is_failed; b++) {
        const uint64_t *from = values + b * BLOCK;
        size_t n = short_block(count - b * BLOCK);
        int64_t least = (int64_t)from[0];
        int64_t most = (int64_t)from[0];
        for (size_t i = 1; i < n; i++) {
            least = (int64_t)from[i] < least ? (int64_t)from[i] : least;
            most = (int64_t)from[i] > most ? (int64_t)from[i] : most;
        }
        uint64_t less[BLOCK] = { 0 };
        for (size_t i = 0; i < n; i++)
            less[i] = from[i] - (uint64_t)least;
        unsigned width = bits_width((uint64_t)most - (uint64_t)least);
        store_le64(to->ptr + index + 8 * b, (uint64_t)least);
        to->ptr[index + 8 * blocks + b] = (uint8_t)width;
        uint8_t *at = buf_reserve(to, 8 * BLOCK);
        if (!at || width == 0)
            continue;
        pack256_wide(less, width, at);
        to->len += packed_size64(n, width);
    }
}

/* Writes the ends after the blocks are there: `index` is where they go. */
static void put_end(struct buf *to, size_t index, size_t block, size_t start)
{
    if (!to->is_failed)
        store_le32(to->ptr + index + 4 * block, (uint32_t)(to->len - start));
}

void ints_put_blocks32(struct buf *to, const uint32_t *values, size_t count)
{
    size_t blocks = ints_blocks(count);
    put_head(to, INTS_BLOCKS32, count);
    size_t index = put_index(to, 4 * blocks);
    size_t start = to->len;
    for (size_t b = 0; b < blocks; b++) {
        pack_block_encode32(values + b * BLOCK, short_block(count - b * BLOCK), to);
        put_end(to, index, b, start);
    }
}

static void put_blocks64(struct buf *to, enum ints_encoding encoding, const int64_t *values,
                         size_t count)
{
    size_t blocks = ints_blocks(count);
    put_head(to, encoding, count);
    size_t index = put_index(to, 4 * blocks);
    size_t start = to->len;
    for (size_t b = 0; b < blocks; b++) {
        pack_block_encode64(values + b * BLOCK, short_block(count - b * BLOCK), to);
        put_end(to, index, b, start);
    }
}

void ints_put_blocks64(struct buf *to, const int64_t *values, size_t count)
{
    put_blocks64(to, INTS_BLOCKS64, values, count);
}

void ints_put_clocked(struct buf *to, const int64_t *distances, size_t count)
{
    put_blocks64(to, INTS_CLOCKED, distances, count);
}

void ints_put_reals(struct buf *to, const double *values, size_t count)
{
    size_t blocks = ints_blocks(count);
    put_head(to, INTS_REALS, count);
    size_t index = put_index(to, 4 * blocks);
    size_t start = to->len;
    for (size_t b = 0; b < blocks; b++) {
        pack_block_encode_reals(values + b * BLOCK, short_block(count - b * BLOCK), to);
        put_end(to, index, b, start);
    }
}

void ints_put_raw64(struct buf *to, const uint64_t *values, size_t count)
{
    put_head(to, INTS_RAW64, count);
    buf_put(to, bytes_of(values, count * 8));
}

/* --- reading ---------------------------------------------------------------- */

static struct err bad(void)
{
    return err_new(ERR_CORRUPT, "store: a section of integers");
}

/* Bases, widths and blocks must fill the section exactly. */
static struct err open_packed(struct reader *reader, size_t base_size, struct ints *ints)
{
    size_t blocks = ints_blocks(ints->count);
    ints->divisor = base_size == 8 ? reader_le64(reader) : reader_le32(reader);
    ints->bases = reader_take(reader, blocks * base_size).ptr;
    ints->widths = reader_take(reader, blocks).ptr;
    if (reader->is_failed || ints->divisor == 0)
        return bad();
    unsigned width_max = base_size == 8 ? 64 : 32;
    uint64_t size = 0;
    for (size_t b = 0; b < blocks; b++) {
        size_t n = short_block(ints->count - b * BLOCK);
        if (ints->widths[b] > width_max)
            return bad();
        size +=
            base_size == 8 ? packed_size64(n, ints->widths[b]) : packed_size32(n, ints->widths[b]);
    }
    ints->payload = bytes_of(reader->next, reader_left(reader));
    return size == ints->payload.len ? ok() : bad();
}

static struct err open_blocks(struct reader *reader, struct ints *ints)
{
    size_t blocks = ints_blocks(ints->count);
    ints->ends = reader_take(reader, blocks * 4).ptr;
    if (reader->is_failed)
        return bad();
    ints->payload = bytes_of(reader->next, reader_left(reader));
    uint32_t last = 0;
    for (size_t b = 0; b < blocks; b++) {
        uint32_t end = load_le32(ints->ends + 4 * b);
        if (end < last)
            return bad();
        last = end;
    }
    return last == ints->payload.len ? ok() : bad();
}

struct err ints_open(struct bytes section, size_t count, struct ints *out)
{
    struct reader reader = reader_of(section);
    struct ints ints = { .encoding = (enum ints_encoding)reader_u8(&reader), .divisor = 1 };
    if (reader_u8(&reader) != 0 || reader_le16(&reader) != 0)
        return bad();
    ints.count = reader_le32(&reader);
    if (reader.is_failed || ints.count != count)
        return bad();

    struct err err = ok();
    switch (ints.encoding) {
    case INTS_ASCENDING:
    case INTS_PACKED32:
        err = open_packed(&reader, 4, &ints);
        break;
    case INTS_PACKED64:
        err = open_packed(&reader, 8, &ints);
        break;
    case INTS_BLOCKS32:
    case INTS_BLOCKS64:
    case INTS_REALS:
    case INTS_CLOCKED:
        err = open_blocks(&reader, &ints);
        break;
    case INTS_RAW64:
        ints.payload = bytes_of(reader.next, reader_left(&reader));
        if (ints.payload.len != count * 8)
            err = bad();
        break;
    default:
        err = bad();
    }
    if (!err.code)
        *out = ints;
    return err;
}

uint32_t ints_base(const struct ints *ints, size_t block)
{
    assert(ints->encoding == INTS_ASCENDING);
    return load_le32(ints->bases + 4 * block);
}

/* Where block `b` starts, given where block `from` does. */
static size_t skip_packed32(const struct ints *ints, size_t from, size_t at, size_t b)
{
    size_t words = 0;
    for (size_t i = from; i < b; i++)
        words += ints->widths[i];
    return at + words * 32; /* all before the last are full: 32 rows of `width` bits */
}

static void unpack32(const struct ints *ints, size_t b, size_t n, const uint8_t *from, uint32_t *to)
{
    uint8_t padded[32 * 32];
    unsigned width = ints->widths[b];
    uint32_t base = load_le32(ints->bases + 4 * b);
    if (n < BLOCK) {
        size_t size = packed_size32(n, width);
        memcpy(padded, from, size);
        memset(padded + size, 0, (size_t)width * 32 - size);
        from = padded;
    }
    if (ints->encoding == INTS_ASCENDING) {
        unpack256(from, width, 1, to);
        (void)prefix_sum32(to, n, base - 1);
        return;
    }
    unpack256(from, width, base, to);
    if (ints->divisor != 1)
        for (size_t i = 0; i < n; i++)
            to[i] *= (uint32_t)ints->divisor;
}

static struct err read_packed32(const struct ints *ints, size_t first, size_t count, uint32_t *to)
{
    size_t b = first / BLOCK;
    size_t at = skip_packed32(ints, 0, 0, b);
    size_t end = first + count;
    uint32_t block[BLOCK];
    for (; first < end; b++) {
        size_t n = short_block(ints->count - b * BLOCK);
        size_t skip = first - b * BLOCK;
        size_t take = n - skip < end - first ? n - skip : end - first;
        bool is_whole = take == BLOCK;
        unpack32(ints, b, n, ints->payload.ptr + at, is_whole ? to : block);
        if (!is_whole)
            memcpy(to, block + skip, take * sizeof *to);
        to += take;
        first += take;
        at += (size_t)ints->widths[b] * 32;
    }
    return ok();
}

static void unpack64(const struct ints *ints, size_t b, size_t n, const uint8_t *from, uint64_t *to)
{
    uint8_t padded[64 * 32];
    unsigned width = ints->widths[b];
    if (n < BLOCK) {
        size_t size = packed_size64(n, width);
        memcpy(padded, from, size);
        memset(padded + size, 0, (size_t)width * 32 - size);
        from = padded;
    }
    unpack256_wide(from, width, load_le64(ints->bases + 8 * b), to);
    if (ints->divisor != 1)
        for (size_t i = 0; i < n; i++)
            to[i] *= ints->divisor;
}

static struct err read_packed64(const struct ints *ints, size_t first, size_t count, uint64_t *to)
{
    size_t b = first / BLOCK;
    size_t at = skip_packed32(ints, 0, 0, b);
    size_t end = first + count;
    uint64_t block[BLOCK];
    for (; first < end; b++) {
        size_t n = short_block(ints->count - b * BLOCK);
        size_t skip = first - b * BLOCK;
        size_t take = n - skip < end - first ? n - skip : end - first;
        bool is_whole = take == BLOCK;
        unpack64(ints, b, n, ints->payload.ptr + at, is_whole ? to : block);
        if (!is_whole)
            memcpy(to, block + skip, take * sizeof *to);
        to += take;
        first += take;
        at += (size_t)ints->widths[b] * 32;
    }
    return ok();
}

/* One self-describing block into room for 256 values of its kind. */
static struct err decode_block(const struct ints *ints, size_t b, size_t n, void *to)
{
    size_t from = b ? load_le32(ints->ends + 4 * (b - 1)) : 0;
    size_t size = load_le32(ints->ends + 4 * b) - from;
    struct bytes bytes = bytes_of(ints->payload.ptr + from, size);
    size_t used = 0;
    struct err err;
    if (ints->encoding == INTS_BLOCKS32)
        err = pack_block_decode32(bytes, n, to, &used);
    else if (ints->encoding == INTS_BLOCKS64 || ints->encoding == INTS_CLOCKED)
        err = pack_block_decode64(bytes, n, to, &used);
    else
        err = pack_block_decode_reals(bytes, n, to, &used);
    if (!err.code && used != size)
        return bad();
    return err;
}

static struct err read_blocks(const struct ints *ints, size_t first, size_t count, void *to)
{
    size_t width = ints->encoding == INTS_BLOCKS32 ? 4 : 8;
    size_t end = first + count;
    uint64_t block[BLOCK];
    uint8_t *out = to;
    for (size_t b = first / BLOCK; first < end; b++) {
        size_t n = short_block(ints->count - b * BLOCK);
        size_t skip = first - b * BLOCK;
        size_t take = n - skip < end - first ? n - skip : end - first;
        bool is_whole = take == n;
        struct err err = decode_block(ints, b, n, is_whole ? (void *)out : (void *)block);
        if (err.code)
            return err;
        if (!is_whole)
            memcpy(out, (const uint8_t *)block + skip * width, take * width);
        out += take * width;
        first += take;
    }
    return ok();
}

struct err ints_read32(const struct ints *ints, size_t first, size_t count, uint32_t *to)
{
    if (count == 0)
        return ok();
    assert(first < ints->count && count <= ints->count - first);
    switch (ints->encoding) {
    case INTS_ASCENDING:
    case INTS_PACKED32:
        return read_packed32(ints, first, count, to);
    case INTS_BLOCKS32:
        return read_blocks(ints, first, count, to);
    default:
        return bad();
    }
}

struct err ints_read64(const struct ints *ints, size_t first, size_t count, uint64_t *to)
{
    if (count == 0)
        return ok();
    assert(first < ints->count && count <= ints->count - first);
    switch (ints->encoding) {
    case INTS_PACKED64:
        return read_packed64(ints, first, count, to);
    case INTS_BLOCKS64:
    case INTS_REALS:
    case INTS_CLOCKED:
        return read_blocks(ints, first, count, to);
    case INTS_RAW64:
        memcpy(to, ints->payload.ptr + first * 8, count * 8);
        return ok();
    default:
        return bad();
    }
}

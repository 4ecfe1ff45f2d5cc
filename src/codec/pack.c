/*
 * pack.c - blocks of up to 256 integers that choose their own encoding.
 *
 * | bytes  | what |
 * |--------|------|
 * | 1      | kind in bits 0-1; bit 2: has a divisor; bit 3: has patches; the rest is 0 |
 * | 1      | width of a packed value in bits, 0 to 64 |
 * | 1-10   | base, a zigzag varint |
 * | 1-10   | DELTA: step, a zigzag varint |
 * | 1-10   | where bit 2 is set: divisor, a varint of at least 2; else it is 1 |
 * | 1 + n  | RUNS: n - 1, then each run's length - 1 |
 * |        | the packed values x: 32 * width bytes of pack256 (of pack256_wide where width > 32) |
 * |        | for a FRAME or DELTA of 256; else a stream of bits (n values of RUNS) |
 * | 1 + n… | where bit 3 is set: n, n places, n varints: what is to be added to x[place] >> width |
 *
 * FRAME   v[i] = base + divisor * x[i]
 * DELTA   v[i] = v[i - 1] + step + divisor * x[i], from v[-1] = base - step
 * RUNS    as FRAME; each value so often
 *
 * All of it modulo 2^64 (or 2^32: the lower half is the same). A constant is a FRAME, an
 * arithmetic sequence a DELTA of width 0. Since step is the smallest delta, values may go down too.
 */
#include "codec/pack.h"

#include "base/bits.h"
#include "codec/pack_internal.h"

#include <assert.h>

enum kind { FRAME = 0, DELTA = 1, RUNS = 2 };

enum {
    KIND_MASK = 3,
    HAS_DIVISOR = 4,
    HAS_PATCHES = 8,
    FLAGS_ALL = 15,
    PATCHES_MAX = 32, /* more of them would cost more time than they save room */
    RUNS_MAX = 64,
    REAL_BITS = 7, /* first byte of a block of doubles: 0 to 6 digits, or this */
    EXACT_BITS = 53,
};

struct plan {
    enum kind kind;
    unsigned width;
    bool has_patches;
    int64_t base;
    int64_t step;
    uint64_t divisor;
    size_t size; /* without the two first bytes, which all have */
};

static size_t varint_size(uint64_t value)
{
    return value ? (bits_width(value) + 6) / 7 : 1;
}

static size_t svarint_size(int64_t value)
{
    return varint_size((uint64_t)value << 1 ^ (uint64_t)(value >> 63));
}

/* --- choosing ------------------------------------------------------------------- */

static uint64_t gcd(uint64_t a, uint64_t b)
{
    while (b > 0) {
        uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* Divides all by their greatest common divisor and returns it; 1 for all zeros. */
static uint64_t divide_out(uint64_t *x, size_t count)
{
    uint64_t divisor = 0;
    for (size_t i = 0; i < count && divisor != 1; i++)
        divisor = gcd(x[i], divisor);
    if (divisor <= 1)
        return 1;
    for (size_t i = 0; i < count; i++)
        x[i] /= divisor;
    return divisor;
}

static size_t packed_size(size_t count, unsigned width)
{
    return count == PACK_COUNT ? (size_t)width * 32 : pack_stream_size(count, width);
}

/* The width at which values and patches together are smallest. */
static void choose_width(struct plan *plan, const uint64_t *x, size_t count)
{
    size_t of_width[65] = { 0 };
    unsigned max = 0;
    for (size_t i = 0; i < count; i++) {
        unsigned width = bits_width(x[i]);
        of_width[width]++;
        max = width > max ? width : max;
    }
    size_t patches = 0;
    size_t best = packed_size(count, max);
    plan->width = max;
    for (unsigned width = max; width-- > 0;) {
        patches += of_width[width + 1];
        if (patches > PATCHES_MAX)
            break;
        size_t size = packed_size(count, width) + 1 + patches;
        for (unsigned wider = width + 1; wider <= max; wider++)
            size += of_width[wider] * ((wider - width + 6) / 7);
        if (size >= best)
            continue;
        best = size;
        plan->width = width;
        plan->has_patches = true;
    }
    plan->size += best;
}

static void finish(struct plan *plan, uint64_t *x, size_t count)
{
    plan->divisor = divide_out(x, count);
    plan->size = svarint_size(plan->base);
    if (plan->kind == DELTA)
        plan->size += svarint_size(plan->step);
    if (plan->divisor > 1)
        plan->size += varint_size(plan->divisor);
    choose_width(plan, x, count);
}

static struct plan plan_frame(const int64_t *values, size_t count, uint64_t *x)
{
    struct plan plan = { .kind = FRAME, .base = values[0] };
    for (size_t i = 1; i < count; i++)
        plan.base = values[i] < plan.base ? values[i] : plan.base;
    for (size_t i = 0; i < count; i++)
        x[i] = (uint64_t)values[i] - (uint64_t)plan.base;
    finish(&plan, x, count);
    return plan;
}

static int64_t delta(const int64_t *values, size_t i)
{
    return (int64_t)((uint64_t)values[i] - (uint64_t)values[i - 1]);
}

/* Needs two values. */
static struct plan plan_delta(const int64_t *values, size_t count, uint64_t *x)
{
    struct plan plan = { .kind = DELTA, .base = values[0], .step = delta(values, 1) };
    for (size_t i = 2; i < count; i++)
        plan.step = delta(values, i) < plan.step ? delta(values, i) : plan.step;
    x[0] = 0;
    for (size_t i = 1; i < count; i++)
        x[i] = (uint64_t)delta(values, i) - (uint64_t)plan.step;
    finish(&plan, x, count);
    return plan;
}

/* From the frame's plan: one x a run. The size is SIZE_MAX when there are too many runs. */
static struct plan plan_runs(const struct plan *frame, const uint64_t *all, size_t count,
                             uint64_t *x, uint8_t *lengths, size_t *runs_out)
{
    struct plan plan = *frame;
    size_t runs = 0;
    unsigned max = 0;
    plan.kind = RUNS;
    plan.has_patches = false;
    plan.size = SIZE_MAX;
    for (size_t i = 0; i < count; i++) {
        if (runs > 0 && all[i] == x[runs - 1]) {
            lengths[runs - 1]++;
            continue;
        }
        if (runs == RUNS_MAX)
            return plan;
        lengths[runs] = 0;
        x[runs++] = all[i];
        max = bits_width(all[i]) > max ? bits_width(all[i]) : max;
    }
    plan.width = max;
    plan.size = svarint_size(plan.base) + (plan.divisor > 1 ? varint_size(plan.divisor) : 0) + 1 +
                runs + pack_stream_size(runs, max);
    *runs_out = runs;
    return plan;
}

/* --- writing ---------------------------------------------------------------------- */

static void put_head(const struct plan *plan, struct buf *to)
{
    unsigned flags = (plan->divisor > 1 ? HAS_DIVISOR : 0) | (plan->has_patches ? HAS_PATCHES : 0);
    buf_put_u8(to, (uint8_t)((unsigned)plan->kind | flags));
    buf_put_u8(to, (uint8_t)plan->width);
    buf_put_svarint(to, plan->base);
    if (plan->kind == DELTA)
        buf_put_svarint(to, plan->step);
    if (plan->divisor > 1)
        buf_put_varint(to, plan->divisor);
}

/* The lower `width` bits of all x. */
static void put_packed(const uint64_t *x, size_t count, unsigned width, bool is_stream,
                       struct buf *to)
{
    uint64_t low[PACK_COUNT];
    uint32_t narrow[PACK_COUNT];
    size_t size = is_stream ? pack_stream_size(count, width) : (size_t)width * 32;
    uint8_t *at = buf_reserve(to, size);
    if (!at || width == 0)
        return;
    for (size_t i = 0; i < count; i++) {
        low[i] = x[i] & UINT64_MAX >> (64 - width);
        narrow[i] = (uint32_t)low[i];
    }
    if (is_stream)
        pack_stream(low, count, width, at);
    else if (width <= 32)
        pack256(narrow, width, at);
    else
        pack256_wide(low, width, at);
    to->len += size;
}

static void put_patches(const uint64_t *x, size_t count, unsigned width, struct buf *to)
{
    uint8_t places[PATCHES_MAX];
    size_t patches = 0;
    for (size_t i = 0; i < count; i++)
        if (x[i] >> width)
            places[patches++] = (uint8_t)i;
    buf_put_u8(to, (uint8_t)patches);
    buf_put(to, bytes_of(places, patches));
    for (size_t i = 0; i < patches; i++)
        buf_put_varint(to, x[places[i]] >> width);
}

static void put_block(const struct plan *plan, const uint64_t *x, size_t count, struct buf *to)
{
    put_head(plan, to);
    put_packed(x, count, plan->width, count < PACK_COUNT, to);
    if (plan->has_patches)
        put_patches(x, count, plan->width, to);
}

/* `is_narrow`: must be readable modulo 2^32. */
static void encode(const int64_t *values, size_t count, bool is_narrow, struct buf *to)
{
    uint64_t frame_x[PACK_COUNT];
    uint64_t delta_x[PACK_COUNT];
    uint64_t run_x[RUNS_MAX];
    uint8_t lengths[RUNS_MAX];
    size_t runs = 0;
    assert(count > 0 && count <= PACK_COUNT);

    struct plan frame = plan_frame(values, count, frame_x);
    struct plan run = plan_runs(&frame, frame_x, count, run_x, lengths, &runs);
    if (count > 1) {
        struct plan by_delta = plan_delta(values, count, delta_x);
        bool fits = true;
        for (size_t i = 0; i < count && is_narrow; i++)
            fits &= delta_x[i] <= UINT32_MAX;
        if (fits && by_delta.size < frame.size && by_delta.size <= run.size) {
            put_block(&by_delta, delta_x, count, to);
            return;
        }
    }
    if (run.size >= frame.size) {
        put_block(&frame, frame_x, count, to);
        return;
    }
    put_head(&run, to);
    buf_put_u8(to, (uint8_t)(runs - 1));
    buf_put(to, bytes_of(lengths, runs));
    put_packed(run_x, runs, run.width, true, to);
}

void pack_block_encode32(const uint32_t *values, size_t count, struct buf *to)
{
    int64_t wide[PACK_COUNT];
    assert(count <= PACK_COUNT);
    for (size_t i = 0; i < count; i++)
        wide[i] = values[i];
    encode(wide, count, true, to);
}

void pack_block_encode64(const int64_t *values, size_t count, struct buf *to)
{
    encode(values, count, false, to);
}

/* --- reading ----------------------------------------------------------------------- */

struct block {
    enum kind kind;
    unsigned width;
    bool has_patches;
    uint64_t base;
    uint64_t step;
    uint64_t divisor;
};

/* reader_varint without its calls: a block's head is read for every 256 values. */
static inline uint64_t take_varint(struct reader *reader)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && reader->next < reader->end; shift += 7) {
        uint8_t byte = *reader->next++;
        if (shift == 63 && byte > 1)
            break;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return value;
    }
    reader->is_failed = true;
    return 0;
}

static inline uint64_t take_svarint(struct reader *reader)
{
    uint64_t zigzag = take_varint(reader);
    return zigzag >> 1 ^ (0 - (zigzag & 1));
}

static bool take_head(struct reader *reader, struct block *block)
{
    if (reader_left(reader) < 3)
        return false;
    uint8_t flags = *reader->next++;
    block->kind = flags & KIND_MASK;
    block->width = *reader->next++;
    block->has_patches = flags & HAS_PATCHES;
    block->base = take_svarint(reader);
    block->step = block->kind == DELTA ? take_svarint(reader) : 0;
    block->divisor = flags & HAS_DIVISOR ? take_varint(reader) : 1;
    bool is_possible = flags <= FLAGS_ALL && (flags & KIND_MASK) <= RUNS && block->width <= 64 &&
                       !(block->kind == RUNS && block->has_patches);
    return !reader->is_failed && is_possible;
}

/* Where `size` bytes are, or NULL. */
static const uint8_t *take(struct reader *reader, size_t size)
{
    if (reader_left(reader) < size)
        return NULL;
    const uint8_t *at = reader->next;
    reader->next += size;
    return at;
}

struct patch {
    uint8_t place;
    uint64_t add; /* to x */
};

/* How many; -1: corrupt. */
static int take_patches(struct reader *reader, const struct block *block, size_t count,
                        struct patch patches[PATCHES_MAX])
{
    const uint8_t *number = take(reader, 1);
    if (!number || *number > PATCHES_MAX)
        return -1;
    const uint8_t *places = take(reader, *number);
    if (!places || block->width >= 64)
        return -1;
    for (int i = 0; i < *number; i++) {
        uint64_t high = take_varint(reader);
        if (reader->is_failed || places[i] >= count || high > UINT64_MAX >> block->width)
            return -1;
        patches[i] = (struct patch){ .place = places[i], .add = high << block->width };
    }
    return *number;
}

/* The values of the runs, repeated, as x. */
static bool take_runs(struct reader *reader, const struct block *block, size_t count, uint64_t *x)
{
    uint64_t of_run[PACK_COUNT];
    const uint8_t *number = take(reader, 1);
    if (!number)
        return false;
    size_t runs = (size_t)*number + 1;
    const uint8_t *lengths = take(reader, runs);
    const uint8_t *stream = lengths ? take(reader, pack_stream_size(runs, block->width)) : NULL;
    if (!stream)
        return false;
    unpack_stream(stream, runs, block->width, of_run);
    size_t filled = 0;
    for (size_t run = 0; run < runs; run++) {
        size_t len = (size_t)lengths[run] + 1;
        if (len > count - filled)
            return false;
        for (size_t i = 0; i < len; i++)
            x[filled++] = of_run[run];
    }
    return filled == count;
}

/* add + divisor * x, from a full block. */
static void unpack_full32(const uint8_t *packed, const struct block *block, uint32_t add,
                          uint32_t *to)
{
    if (block->divisor == 1) {
        unpack256(packed, block->width, add, to);
        return;
    }
    unpack256(packed, block->width, 0, to);
    scale32(to, PACK_COUNT, (uint32_t)block->divisor, add);
}

/* x of a short block, or of runs. */
static bool take_short(struct reader *reader, const struct block *block, size_t count, uint64_t *x)
{
    if (block->kind == RUNS)
        return take_runs(reader, block, count, x);
    const uint8_t *stream = take(reader, pack_stream_size(count, block->width));
    if (!stream)
        return false;
    unpack_stream(stream, count, block->width, x);
    return true;
}

static bool is_full(const struct block *block, size_t count)
{
    return count == PACK_COUNT && block->kind != RUNS;
}

static bool decode32(struct reader *reader, size_t count, uint32_t *to)
{
    struct block block;
    struct patch patches[PATCHES_MAX];
    if (!take_head(reader, &block) || block.width > 32 || block.base > UINT32_MAX)
        return false;
    const uint32_t add = (uint32_t)(block.kind == DELTA ? block.step : block.base);
    if (is_full(&block, count)) {
        const uint8_t *packed = take(reader, (size_t)block.width * 32);
        if (!packed)
            return false;
        unpack_full32(packed, &block, add, to);
    } else {
        uint64_t x[PACK_COUNT];
        if (!take_short(reader, &block, count, x))
            return false;
        for (size_t i = 0; i < count; i++)
            to[i] = add + (uint32_t)(block.divisor * x[i]);
    }
    if (block.has_patches) {
        int number = take_patches(reader, &block, count, patches);
        if (number < 0)
            return false;
        for (int i = 0; i < number; i++)
            to[patches[i].place] += (uint32_t)(block.divisor * patches[i].add);
    }
    if (block.kind == DELTA)
        (void)prefix_sum32(to, count, (uint32_t)(block.base - block.step));
    return true;
}

static void unpack_full64(const uint8_t *packed, const struct block *block, uint64_t add,
                          uint64_t *to)
{
    if (block->width > 32) {
        unpack256_wide(packed, block->width, block->divisor == 1 ? add : 0, to);
        for (size_t i = 0; i < PACK_COUNT && block->divisor != 1; i++)
            to[i] = add + block->divisor * to[i];
        return;
    }
    uint32_t narrow[PACK_COUNT];
    unpack256(packed, block->width, 0, narrow);
    if (block->divisor == 1) {
        for (size_t i = 0; i < PACK_COUNT; i++)
            to[i] = add + narrow[i];
        return;
    }
    for (size_t i = 0; i < PACK_COUNT; i++)
        to[i] = add + block->divisor * narrow[i];
}

static bool decode64(struct reader *reader, size_t count, uint64_t *to)
{
    struct block block;
    struct patch patches[PATCHES_MAX];
    if (!take_head(reader, &block))
        return false;
    const uint64_t add = block.kind == DELTA ? block.step : block.base;
    if (is_full(&block, count)) {
        const uint8_t *packed = take(reader, (size_t)block.width * 32);
        if (!packed)
            return false;
        unpack_full64(packed, &block, add, to);
    } else {
        if (!take_short(reader, &block, count, to))
            return false;
        for (size_t i = 0; i < count; i++)
            to[i] = add + block.divisor * to[i];
    }
    if (block.has_patches) {
        int number = take_patches(reader, &block, count, patches);
        if (number < 0)
            return false;
        for (int i = 0; i < number; i++)
            to[patches[i].place] += block.divisor * patches[i].add;
    }
    if (block.kind == DELTA)
        (void)prefix_sum64(to, count, block.base - block.step);
    return true;
}

struct err pack_block_decode32(struct bytes from, size_t count, uint32_t *to, size_t *used_out)
{
    struct reader reader = reader_of(from);
    if (count == 0 || count > PACK_COUNT || !decode32(&reader, count, to))
        return err_new(ERR_CORRUPT, "pack: read a block");
    *used_out = from.len - reader_left(&reader);
    return ok();
}

struct err pack_block_decode64(struct bytes from, size_t count, int64_t *to, size_t *used_out)
{
    struct reader reader = reader_of(from);
    if (count == 0 || count > PACK_COUNT || !decode64(&reader, count, (uint64_t *)to))
        return err_new(ERR_CORRUPT, "pack: read a block");
    *used_out = from.len - reader_left(&reader);
    return ok();
}

/* --- doubles ------------------------------------------------------------------------ */

static const double powers[REAL_BITS] = { 1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6 };

/* All values as integers times 10^-digits; false where one doesn't come back. */
static bool scale(const double *values, size_t count, unsigned digits, int64_t *to)
{
    const double limit = (double)(INT64_C(1) << EXACT_BITS);
    for (size_t i = 0; i < count; i++) {
        double scaled = values[i] * powers[digits];
        if (!(scaled < limit && scaled > -limit))
            return false;
        to[i] = (int64_t)(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
        double back = (double)to[i] / powers[digits];
        if (memcmp(&back, &values[i], sizeof back) != 0)
            return false;
    }
    return true;
}

void pack_block_encode_reals(const double *values, size_t count, struct buf *to)
{
    int64_t integers[PACK_COUNT];
    unsigned digits = 0;
    assert(count > 0 && count <= PACK_COUNT);
    while (digits < REAL_BITS && !scale(values, count, digits, integers))
        digits++;
    if (digits == REAL_BITS)
        memcpy(integers, values, count * sizeof *values);
    buf_put_u8(to, (uint8_t)digits);
    encode(integers, count, false, to);
}

struct err pack_block_decode_reals(struct bytes from, size_t count, double *to, size_t *used_out)
{
    int64_t integers[PACK_COUNT];
    size_t used = 0;
    if (from.len == 0 || from.ptr[0] > REAL_BITS)
        return err_new(ERR_CORRUPT, "pack: read a block of doubles");
    const unsigned digits = from.ptr[0];
    struct err err = pack_block_decode64(bytes_slice(from, 1, SIZE_MAX), count, integers, &used);
    if (err.code)
        return err;
    if (digits == REAL_BITS) {
        memcpy(to, integers, count * sizeof *to);
    } else if (digits == 0) {
        for (size_t i = 0; i < count; i++)
            to[i] = (double)integers[i];
    } else {
        for (size_t i = 0; i < count; i++)
            to[i] = (double)integers[i] / powers[digits];
    }
    *used_out = used + 1;
    return ok();
}

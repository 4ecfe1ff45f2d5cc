/* pack_test.c - what the integer blocks promise: each version agrees with a slow, obvious one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/bits.h"
#include "base/rng.h"
#include "codec/pack.h"
#include "codec/pack_internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { BLOCK_ROOM = 1 << 16 };

static struct rng rng;

static uint64_t random_bits(unsigned width)
{
    return width == 0 ? 0 : rng_next(&rng) >> (64 - width);
}

/* --- kernels ----------------------------------------------------------------- */

static void every_width_of_32_bits_comes_back(void **state)
{
    (void)state;
    for (unsigned width = 0; width <= 32; width++) {
        uint32_t values[PACK_COUNT];
        uint32_t portable[PACK_COUNT];
        uint32_t fast[PACK_COUNT];
        uint32_t base = width % 3 ? (uint32_t)rng_next(&rng) : 0;
        /* Just as large as it needs to be: reading on would be seen. */
        uint8_t *packed = malloc((size_t)width * 32 + (width == 0));
        assert_non_null(packed);
        for (size_t i = 0; i < PACK_COUNT; i++)
            values[i] = (uint32_t)random_bits(width);
        pack256(values, width, packed);
        unpack256_portable(packed, width, base, portable);
        unpack256(packed, width, base, fast);
        for (size_t i = 0; i < PACK_COUNT; i++)
            values[i] += base;
        assert_memory_equal(values, portable, sizeof values);
        assert_memory_equal(values, fast, sizeof values);
        if (pack_has_avx2()) {
            memset(fast, 0xee, sizeof fast);
            unpack256_avx2(packed, width, base, fast);
            assert_memory_equal(values, fast, sizeof values);
        }
        free(packed);
    }
}

static void every_width_of_64_bits_comes_back(void **state)
{
    (void)state;
    for (unsigned width = 0; width <= 64; width++) {
        uint64_t values[PACK_COUNT];
        uint64_t portable[PACK_COUNT];
        uint64_t fast[PACK_COUNT];
        uint64_t base = width % 3 ? rng_next(&rng) : 0;
        uint8_t *packed = malloc((size_t)width * 32 + (width == 0));
        assert_non_null(packed);
        for (size_t i = 0; i < PACK_COUNT; i++)
            values[i] = random_bits(width);
        pack256_wide(values, width, packed);
        unpack256_wide_portable(packed, width, base, portable);
        unpack256_wide(packed, width, base, fast);
        for (size_t i = 0; i < PACK_COUNT; i++)
            values[i] += base;
        assert_memory_equal(values, portable, sizeof values);
        assert_memory_equal(values, fast, sizeof values);
        if (pack_has_avx2()) {
            memset(fast, 0xee, sizeof fast);
            unpack256_wide_avx2(packed, width, base, fast);
            assert_memory_equal(values, fast, sizeof values);
        }
        free(packed);
    }
}

static void a_block_is_laid_out_in_eight_lanes(void **state)
{
    (void)state;
    uint32_t values[PACK_COUNT];
    uint8_t packed[4 * 32];
    for (size_t i = 0; i < PACK_COUNT; i++)
        values[i] = (uint32_t)(i / 8 % 16);
    pack256(values, 4, packed);
    for (size_t lane = 0; lane < 8; lane++) {
        assert_int_equal(load_le32(packed + 4 * lane), 0x76543210);
        assert_int_equal(load_le32(packed + 32 + 4 * lane), 0xfedcba98);
    }
}

static void streams_of_every_width_and_length_come_back(void **state)
{
    (void)state;
    for (unsigned width = 0; width <= 64; width++) {
        for (size_t count = 1; count <= PACK_COUNT; count += 1 + count / 5) {
            uint64_t values[PACK_COUNT];
            uint64_t back[PACK_COUNT];
            size_t size = pack_stream_size(count, width);
            uint8_t *packed = malloc(size + (size == 0));
            assert_non_null(packed);
            for (size_t i = 0; i < count; i++)
                values[i] = random_bits(width);
            pack_stream(values, count, width, packed);
            unpack_stream(packed, count, width, back);
            assert_memory_equal(values, back, count * sizeof *values);
            free(packed);
        }
    }
}

static void sums_agree_at_every_length(void **state)
{
    (void)state;
    for (size_t count = 0; count <= 40; count++) {
        uint32_t values[40];
        uint32_t portable[40];
        uint32_t fast[40];
        for (size_t i = 0; i < count; i++)
            values[i] = (uint32_t)rng_next(&rng);
        memcpy(portable, values, sizeof values);
        memcpy(fast, values, sizeof values);
        uint32_t base = (uint32_t)rng_next(&rng);
        uint32_t last = prefix_sum32_portable(portable, count, base);
        assert_int_equal(prefix_sum32(fast, count, base), last);
        assert_memory_equal(portable, fast, count * sizeof *fast);
        if (pack_has_avx2()) {
            assert_int_equal(prefix_sum32_avx2(values, count, base), last);
            assert_memory_equal(portable, values, count * sizeof *values);
        }
    }
}

/* --- blocks -------------------------------------------------------------------- */

/* Encodes, decodes from memory of just that size, compares, and returns the size. */
static size_t round_trip64(const int64_t *values, size_t count)
{
    struct buf buf;
    int64_t back[PACK_COUNT + 1];
    size_t used = 0;
    buf_init(&buf, BLOCK_ROOM);
    pack_block_encode64(values, count, &buf);
    assert_int_equal(buf_err(&buf).code, ERR_NONE);
    size_t size = buf.len;
    assert_true(size <= PACK_BLOCK_MAX);
    uint8_t *exact = malloc(size);
    assert_non_null(exact);
    memcpy(exact, buf.ptr, size);
    back[count] = 12345;
    assert_int_equal(pack_block_decode64(bytes_of(exact, size), count, back, &used).code, ERR_NONE);
    assert_int_equal(used, size);
    assert_memory_equal(values, back, count * sizeof *values);
    assert_int_equal(back[count], 12345);
    /* Every cut is noticed. */
    for (size_t len = 0; len < size; len += 1 + len / 8)
        assert_int_equal(pack_block_decode64(bytes_of(exact, len), count, back, &used).code,
                         ERR_CORRUPT);
    free(exact);
    buf_done(&buf);
    return size;
}

static size_t round_trip32(const uint32_t *values, size_t count)
{
    struct buf buf;
    uint32_t back[PACK_COUNT + 1];
    int64_t wide[PACK_COUNT];
    size_t used = 0;
    buf_init(&buf, BLOCK_ROOM);
    pack_block_encode32(values, count, &buf);
    assert_int_equal(buf_err(&buf).code, ERR_NONE);
    size_t size = buf.len;
    uint8_t *exact = malloc(size);
    assert_non_null(exact);
    memcpy(exact, buf.ptr, size);
    back[count] = 12345;
    assert_int_equal(pack_block_decode32(bytes_of(exact, size), count, back, &used).code, ERR_NONE);
    assert_int_equal(used, size);
    assert_memory_equal(values, back, count * sizeof *values);
    assert_int_equal(back[count], 12345);
    assert_int_equal(pack_block_decode64(bytes_of(exact, size), count, wide, &used).code, ERR_NONE);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(wide[i], values[i]);
    for (size_t len = 0; len < size; len += 1 + len / 8)
        assert_int_equal(pack_block_decode32(bytes_of(exact, len), count, back, &used).code,
                         ERR_CORRUPT);
    free(exact);
    buf_done(&buf);
    return size;
}

static void a_constant_takes_a_few_bytes(void **state)
{
    (void)state;
    int64_t values[PACK_COUNT];
    for (size_t i = 0; i < PACK_COUNT; i++)
        values[i] = -7;
    for (size_t count = 1; count <= PACK_COUNT; count++)
        assert_true(round_trip64(values, count) <= 3);
}

static void an_arithmetic_sequence_takes_a_few_bytes(void **state)
{
    (void)state;
    uint32_t up[PACK_COUNT];
    int64_t down[PACK_COUNT];
    for (size_t i = 0; i < PACK_COUNT; i++) {
        up[i] = (uint32_t)(1000 + 3 * i);
        down[i] = 5 - (int64_t)i * 1000000007;
    }
    assert_true(round_trip32(up, PACK_COUNT) <= 6);
    assert_true(round_trip64(down, PACK_COUNT) <= 9);
}

static void a_common_divisor_is_used(void **state)
{
    (void)state;
    int64_t values[PACK_COUNT];
    uint32_t narrow[PACK_COUNT];
    for (size_t i = 0; i < PACK_COUNT; i++) {
        narrow[i] = 500 + 1000 * (uint32_t)random_bits(6);
        values[i] = 1735689600000 + 86400000 * (int64_t)random_bits(5);
    }
    assert_true(round_trip32(narrow, PACK_COUNT) <= 6 * 32 + 8);
    assert_true(round_trip64(values, PACK_COUNT) <= 5 * 32 + 16);
}

static void outliers_are_patched(void **state)
{
    (void)state;
    uint32_t values[PACK_COUNT];
    for (size_t i = 0; i < PACK_COUNT; i++)
        values[i] = (uint32_t)random_bits(4);
    values[0] = values[200] = UINT32_MAX;
    values[255] = 1000;
    assert_true(round_trip32(values, PACK_COUNT) <= 4 * 32 + 24);
    (void)round_trip32(values + 150, 100);
}

static void runs_are_counted(void **state)
{
    (void)state;
    uint32_t values[PACK_COUNT];
    uint32_t seven[3] = { 4000000000, 17, 70000 };
    for (size_t i = 0; i < PACK_COUNT; i++)
        values[i] = seven[i * 3 / PACK_COUNT];
    assert_true(round_trip32(values, PACK_COUNT) <= 24);
    assert_true(round_trip32(values + 30, 190) <= 24);
}

static void ascending_numbers_are_kept_as_deltas(void **state)
{
    (void)state;
    uint32_t users[PACK_COUNT];
    uint32_t user = 3000000;
    for (size_t i = 0; i < PACK_COUNT; i++)
        users[i] = user += 1 + (uint32_t)random_bits(3);
    assert_true(round_trip32(users, PACK_COUNT) <= 3 * 32 + 8);
}

static void few_values_take_little_room(void **state)
{
    (void)state;
    uint32_t values[3] = { 5, 900, 77 };
    assert_true(round_trip32(values, 3) <= 8);
}

static void the_extremes_come_back(void **state)
{
    (void)state;
    int64_t values[PACK_COUNT];
    uint32_t narrow[PACK_COUNT];
    for (size_t i = 0; i < PACK_COUNT; i++) {
        values[i] = i % 2 ? INT64_MAX : INT64_MIN;
        narrow[i] = i % 2 ? UINT32_MAX : 0;
    }
    for (size_t count = 1; count <= PACK_COUNT; count += 1 + count / 3) {
        (void)round_trip64(values, count);
        (void)round_trip32(narrow, count);
    }
    values[1] = 0;
    values[2] = -1;
    (void)round_trip64(values, PACK_COUNT);
}

/* Values of many shapes: a width, a sort, steps, repeats, outliers. */
static void make_values(int64_t *values, size_t count, unsigned width)
{
    uint64_t shape = rng_next(&rng);
    uint64_t value = random_bits(width);
    uint64_t factor = shape & 1 ? 1 + random_bits(shape >> 8 & 15) : 1;
    for (size_t i = 0; i < count; i++) {
        uint64_t fresh = random_bits(width) * factor;
        if (shape & 2)
            value += fresh;
        else if (!(shape & 4) || random_bits(4) == 0)
            value = fresh;
        values[i] = (int64_t)value;
        if (shape & 8 && random_bits(5) == 0)
            values[i] = (int64_t)rng_next(&rng);
    }
}

static void blocks_of_every_shape_come_back(void **state)
{
    (void)state;
    for (int run = 0; run < 1500; run++) {
        int64_t values[PACK_COUNT];
        uint32_t narrow[PACK_COUNT];
        size_t count = run % 3 ? PACK_COUNT : 1 + rng_below(&rng, PACK_COUNT);
        unsigned width = (unsigned)rng_below(&rng, 65);
        make_values(values, count, width);
        (void)round_trip64(values, count);
        for (size_t i = 0; i < count; i++)
            narrow[i] = (uint32_t)values[i];
        (void)round_trip32(narrow, count);
    }
}

static void a_damaged_block_never_reads_or_writes_outside(void **state)
{
    (void)state;
    for (int run = 0; run < 4000; run++) {
        int64_t values[PACK_COUNT];
        size_t count = run % 2 ? PACK_COUNT : 1 + rng_below(&rng, PACK_COUNT);
        struct buf buf;
        buf_init(&buf, BLOCK_ROOM);
        make_values(values, count, (unsigned)rng_below(&rng, 33));
        pack_block_encode64(values, count, &buf);
        uint8_t *exact = malloc(buf.len);
        int64_t *wide = malloc(count * sizeof *wide);
        uint32_t *narrow = malloc(count * sizeof *narrow);
        assert_true(exact && wide && narrow);
        memcpy(exact, buf.ptr, buf.len);
        size_t used = 0;
        exact[rng_below(&rng, run % 4 ? 8 : buf.len) % buf.len] = (uint8_t)rng_next(&rng);
        struct bytes damaged = bytes_of(exact, buf.len);
        if (pack_block_decode64(damaged, count, wide, &used).code == ERR_NONE)
            assert_true(used <= buf.len);
        if (pack_block_decode32(damaged, count, narrow, &used).code == ERR_NONE)
            assert_true(used <= buf.len);
        free(exact);
        free(wide);
        free(narrow);
        buf_done(&buf);
    }
}

static void impossible_blocks_are_refused(void **state)
{
    (void)state;
    uint32_t to[PACK_COUNT];
    int64_t wide[PACK_COUNT];
    size_t used;
    assert_int_equal(pack_block_decode32(BYTES("\x03\0\0\0\0\0"), 4, to, &used).code, ERR_CORRUPT);
    assert_int_equal(pack_block_decode32(BYTES("\x10\0\0\0\0\0"), 4, to, &used).code, ERR_CORRUPT);
    assert_int_equal(pack_block_decode64(BYTES("\0\x41\0\0\0\0"), 4, wide, &used).code,
                     ERR_CORRUPT);
    assert_int_equal(pack_block_decode32(BYTES("\0\0\0"), 0, to, &used).code, ERR_CORRUPT);
    assert_int_equal(pack_block_decode32(BYTES("\0\0\0"), 257, to, &used).code, ERR_CORRUPT);
    /* Runs that are together too short, too long. */
    assert_int_equal(pack_block_decode32(BYTES("\2\0\0\1\0\0"), 3, to, &used).code, ERR_CORRUPT);
    assert_int_equal(pack_block_decode32(BYTES("\2\0\0\1\1\1"), 3, to, &used).code, ERR_CORRUPT);
    assert_int_equal(pack_block_decode32(BYTES("\2\0\0\1\1\0"), 3, to, &used).code, ERR_NONE);
    /* A patch behind the last value. */
    assert_int_equal(pack_block_decode32(BYTES("\x08\0\0\1\3\1"), 3, to, &used).code, ERR_CORRUPT);
    assert_int_equal(pack_block_decode32(BYTES("\x08\0\0\1\2\1"), 3, to, &used).code, ERR_NONE);
    assert_int_equal(to[2], 1);
}

static void the_bytes_of_a_block_stay_as_they_are(void **state)
{
    (void)state;
    struct buf buf;
    uint32_t values[5] = { 100, 107, 103, 101, 100 };
    buf_init(&buf, BLOCK_ROOM);
    pack_block_encode32(values, 5, &buf);
    /* FRAME, 3 bits, base 100; x = 0, 7, 3, 1, 0 */
    assert_true(bytes_equal(buf_bytes(&buf), BYTES("\x00\x03\xc8\x01\xf8\x02")));
    buf_done(&buf);
}

/* --- doubles --------------------------------------------------------------------- */

static size_t round_trip_reals(const double *values, size_t count)
{
    struct buf buf;
    double back[PACK_COUNT];
    size_t used = 0;
    buf_init(&buf, BLOCK_ROOM);
    pack_block_encode_reals(values, count, &buf);
    assert_int_equal(buf_err(&buf).code, ERR_NONE);
    size_t size = buf.len;
    assert_true(size <= PACK_BLOCK_MAX);
    assert_int_equal(pack_block_decode_reals(buf_bytes(&buf), count, back, &used).code, ERR_NONE);
    assert_int_equal(used, size);
    assert_memory_equal(values, back, count * sizeof *values);
    for (size_t len = 0; len < size; len += 1 + len / 8)
        assert_int_equal(pack_block_decode_reals(bytes_of(buf.ptr, len), count, back, &used).code,
                         ERR_CORRUPT);
    buf_done(&buf);
    return size;
}

static void prices_take_the_room_of_integers(void **state)
{
    (void)state;
    double values[PACK_COUNT];
    for (size_t i = 0; i < PACK_COUNT; i++)
        values[i] = (double)random_bits(14) / 100;
    assert_true(round_trip_reals(values, PACK_COUNT) <= 14 * 32 + 8);
}

static void all_doubles_come_back_bit_by_bit(void **state)
{
    (void)state;
    static const double special[] = { 0.0,
                                      -0.0,
                                      1e300,
                                      -1e300,
                                      5e-324,
                                      0.1,
                                      9007199254740993.0,
                                      -9007199254740992.0,
                                      1e15 + 0.3,
                                      INFINITY,
                                      -INFINITY };
    for (size_t i = 0; i < sizeof special / sizeof *special; i++) {
        double pair[2] = { special[i], 1.25 };
        (void)round_trip_reals(special + i, 1);
        (void)round_trip_reals(pair, 2);
    }
    for (int run = 0; run < 300; run++) {
        double values[PACK_COUNT];
        double scale = 1;
        for (uint64_t digits = rng_below(&rng, 9); digits > 0; digits--)
            scale *= 10;
        for (size_t i = 0; i < PACK_COUNT; i++) {
            uint64_t bits = rng_next(&rng);
            if (run % 4 == 0)
                memcpy(&values[i], &bits, sizeof bits);
            else
                values[i] = (double)(int64_t)(bits >> (16 + run % 40)) / scale;
        }
        (void)round_trip_reals(values, PACK_COUNT);
    }
}

static int seed(void **state)
{
    (void)state;
    rng_init(&rng, 20250131);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_width_of_32_bits_comes_back),
        cmocka_unit_test(every_width_of_64_bits_comes_back),
        cmocka_unit_test(a_block_is_laid_out_in_eight_lanes),
        cmocka_unit_test(streams_of_every_width_and_length_come_back),
        cmocka_unit_test(sums_agree_at_every_length),
        cmocka_unit_test(a_constant_takes_a_few_bytes),
        cmocka_unit_test(an_arithmetic_sequence_takes_a_few_bytes),
        cmocka_unit_test(a_common_divisor_is_used),
        cmocka_unit_test(outliers_are_patched),
        cmocka_unit_test(runs_are_counted),
        cmocka_unit_test(ascending_numbers_are_kept_as_deltas),
        cmocka_unit_test(few_values_take_little_room),
        cmocka_unit_test(the_extremes_come_back),
        cmocka_unit_test(blocks_of_every_shape_come_back),
        cmocka_unit_test(a_damaged_block_never_reads_or_writes_outside),
        cmocka_unit_test(impossible_blocks_are_refused),
        cmocka_unit_test(the_bytes_of_a_block_stay_as_they_are),
        cmocka_unit_test(prices_take_the_room_of_integers),
        cmocka_unit_test(all_doubles_come_back_bit_by_bit),
    };
    return cmocka_run_group_tests(tests, seed, NULL);
}

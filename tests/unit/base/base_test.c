/* base_test.c - arenas, buffers and readers, bits, bytes, random numbers and values. */
#include "base/arena.h"
#include "base/bits.h"
#include "base/buf.h"
#include "base/rng.h"
#include "base/value.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* --- arenas ------------------------------------------------------------- */

static void an_arena_takes_nothing_before_its_first_allocation(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 1000);
    assert_int_equal(arena.used_bytes, 0);
    arena_done(&arena);
    arena_done(&arena);
    struct arena zeroed = { .block = NULL };
    arena_done(&zeroed);
    arena_reset(&zeroed);
}

static void allocations_are_aligned_and_apart(void **state)
{
    (void)state;
    struct arena arena;
    struct rng rng;
    arena_init(&arena, 16 << 20);
    rng_init(&rng, 1);
    enum { COUNT = 2000 };
    static uint8_t *at[COUNT];
    static size_t size[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        size[i] = rng_below(&rng, i % 100 ? 300 : 70000);
        at[i] = arena_alloc(&arena, size[i]);
        assert_non_null(at[i]);
        assert_int_equal((uintptr_t)at[i] % 16, 0);
        memset(at[i], (int)(i & 0xff), size[i]);
    }
    for (size_t i = 0; i < COUNT; i++)
        for (size_t k = 0; k < size[i]; k++)
            assert_int_equal(at[i][k], i & 0xff);
    arena_done(&arena);
}

static void an_arena_can_be_used_up_to_its_limit_and_not_past_it(void **state)
{
    (void)state;
    for (size_t limit = 0; limit < 20000; limit += 999) {
        struct arena arena;
        arena_init(&arena, limit);
        size_t got = 0;
        while (arena_alloc(&arena, 16))
            got += 16;
        assert_true(arena.used_bytes <= limit);
        assert_true(got <= limit);
        assert_true(limit < 1000 || got + 200 >= limit);
        assert_null(arena_alloc(&arena, 4000));
        arena_done(&arena);
    }
}

static void sizes_that_overflow_are_refused(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, SIZE_MAX);
    assert_null(arena_alloc(&arena, SIZE_MAX));
    assert_null(arena_alloc(&arena, SIZE_MAX - 15));
    assert_null(arena_calloc(&arena, SIZE_MAX / 2, 4));
    assert_null(arena_calloc(&arena, (size_t)1 << 32, (size_t)1 << 32));
    assert_non_null(arena_alloc(&arena, 0));
    assert_non_null(arena_calloc(&arena, 0, 8));
    arena_done(&arena);
}

static void a_reset_arena_keeps_one_block_and_clears_for_calloc(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 1 << 20);
    for (int i = 0; i < 100; i++)
        memset(arena_alloc(&arena, 1000), 0xff, 1000);
    size_t before = arena.used_bytes;
    arena_reset(&arena);
    assert_true(arena.used_bytes > 0 && arena.used_bytes < before);
    size_t kept = arena.used_bytes;
    const uint8_t *cleared = arena_calloc(&arena, 100, 10);
    for (size_t i = 0; i < 1000; i++)
        assert_int_equal(cleared[i], 0);
    assert_int_equal(arena.used_bytes, kept);
    arena_done(&arena);
}

static void copies_and_prints_end_with_a_zero(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 4096);
    struct bytes copy = arena_copy(&arena, BYTES("kolam"));
    assert_int_equal(copy.len, 5);
    assert_string_equal((const char *)copy.ptr, "kolam");
    struct bytes empty = arena_copy(&arena, bytes_of(NULL, 0));
    assert_int_equal(empty.len, 0);
    assert_non_null(empty.ptr);
    struct bytes text = arena_printf(&arena, "%s-%d", "a", 7);
    assert_string_equal((const char *)text.ptr, "a-7");
    assert_int_equal(text.len, 3);
    assert_null(arena_printf(&arena, "%5000d", 1).ptr);
    arena_done(&arena);
}

/* --- buffers ------------------------------------------------------------ */

static void what_is_put_can_be_read(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf, 1 << 20);
    buf_put_u8(&buf, 200);
    buf_put_le16(&buf, 0xfedc);
    buf_put_le32(&buf, 0xfedcba98);
    buf_put_le64(&buf, 0xfedcba9876543210);
    buf_put_prefixed(&buf, BYTES("text"));
    buf_put_prefixed(&buf, bytes_of(NULL, 0));
    buf_put(&buf, BYTES("xyz"));
    assert_int_equal(buf_err(&buf).code, ERR_NONE);
    assert_memory_equal(buf.ptr, "\xc8\xdc\xfe\x98\xba\xdc\xfe\x10\x32\x54\x76\x98\xba\xdc\xfe\x04",
                        16);

    struct reader reader = reader_of(buf_bytes(&buf));
    assert_int_equal(reader_u8(&reader), 200);
    assert_int_equal(reader_le16(&reader), 0xfedc);
    assert_int_equal(reader_le32(&reader), 0xfedcba98);
    assert_true(reader_le64(&reader) == 0xfedcba9876543210);
    assert_true(bytes_equal(reader_prefixed(&reader), BYTES("text")));
    assert_int_equal(reader_prefixed(&reader).len, 0);
    assert_int_equal(reader_err(&reader, false).code, ERR_NONE);
    assert_int_equal(reader_err(&reader, true).code, ERR_CORRUPT);
    assert_int_equal(reader_left(&reader), 3);
    assert_true(bytes_equal(reader_take(&reader, 3), BYTES("xyz")));
    assert_int_equal(reader_err(&reader, true).code, ERR_NONE);
    buf_done(&buf);
}

static void varints_of_all_sizes_come_back(void **state)
{
    (void)state;
    for (unsigned bits = 0; bits <= 64; bits++) {
        for (int delta = -1; delta <= 1; delta++) {
            uint64_t value = (bits < 64 ? UINT64_C(1) << bits : 0) + (uint64_t)(int64_t)delta;
            struct buf buf;
            buf_init(&buf, 100);
            buf_put_varint(&buf, value);
            size_t expected = bits_width(value) ? (bits_width(value) + 6) / 7 : 1;
            assert_int_equal(buf.len, expected);
            buf_put_svarint(&buf, (int64_t)value);
            buf_put_svarint(&buf, -(int64_t)(value >> 1));

            struct reader reader = reader_of(buf_bytes(&buf));
            assert_true(reader_varint(&reader) == value);
            assert_true(reader_svarint(&reader) == (int64_t)value);
            assert_true(reader_svarint(&reader) == -(int64_t)(value >> 1));
            assert_int_equal(reader_err(&reader, true).code, ERR_NONE);

            for (size_t cut = 0; cut < expected; cut++) {
                reader = reader_of(bytes_slice(buf_bytes(&buf), 0, cut));
                assert_true(reader_varint(&reader) == 0);
                assert_int_equal(reader_err(&reader, false).code, ERR_CORRUPT);
            }
            buf_done(&buf);
        }
    }
    struct buf small;
    buf_init(&small, 100);
    for (int64_t value = -64; value < 64; value++)
        buf_put_svarint(&small, value);
    assert_int_equal(small.len, 100); /* one byte each, up to the limit */
    buf_done(&small);
}

static void a_varint_that_is_too_long_is_corrupt(void **state)
{
    static const char *const texts[] = {
        "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02",
        "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01",
    };
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct reader reader = reader_of(bytes_from(texts[i]));
        assert_true(reader_varint(&reader) == 0);
        assert_int_equal(reader_err(&reader, false).code, ERR_CORRUPT);
        assert_int_equal(reader_left(&reader), 0);
    }
}

static void a_reader_that_ran_out_gives_zeros_from_then_on(void **state)
{
    (void)state;
    struct reader reader = reader_of(BYTES("\x01\x02\x03"));
    assert_int_equal(reader_le32(&reader), 0);
    assert_int_equal(reader_u8(&reader), 0);
    assert_int_equal(reader_le16(&reader), 0);
    assert_true(reader_le64(&reader) == 0);
    assert_int_equal(reader_take(&reader, 1).len, 0);
    assert_int_equal(reader_err(&reader, false).code, ERR_CORRUPT);

    reader = reader_of(BYTES("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01xyz"));
    assert_int_equal(reader_prefixed(&reader).len, 0);
    assert_int_equal(reader_err(&reader, false).code, ERR_CORRUPT);
    reader = reader_of(bytes_of(NULL, 0));
    assert_int_equal(reader_err(&reader, true).code, ERR_NONE);
    assert_int_equal(reader_u8(&reader), 0);
}

static void a_buffer_fills_to_its_limit_and_then_remembers_failing(void **state)
{
    (void)state;
    for (size_t limit = 0; limit < 300; limit++) {
        struct buf buf;
        buf_init(&buf, limit);
        for (size_t i = 0; i < limit; i++)
            buf_put_u8(&buf, 'x');
        assert_int_equal(buf_err(&buf).code, ERR_NONE);
        buf_put_u8(&buf, 'x');
        assert_int_equal(buf_err(&buf).code, ERR_NOMEM);
        assert_int_equal(buf.len, limit);
        assert_null(buf_reserve(&buf, 0));
        buf_put(&buf, BYTES("y"));
        buf_printf(&buf, "z");
        buf_put_le32(&buf, 1);
        assert_int_equal(buf.len, limit);
        buf_reset(&buf);
        assert_int_equal(buf_err(&buf).code, ERR_NONE);
        if (limit >= 3) {
            buf_printf(&buf, "%.*s", (int)limit - 1, "");
            buf_printf(&buf, "%0*d", (int)limit, 7); /* no room for printf's zero */
            assert_int_equal(buf_err(&buf).code, ERR_NONE);
            assert_int_equal(buf.len, limit);
            assert_int_equal(buf.ptr[limit - 1], '7');
        }
        buf_done(&buf);
    }
}

static void the_room_of_a_buffer_can_be_taken(void **state)
{
    (void)state;
    struct buf buf;
    size_t len;
    buf_init(&buf, 100);
    buf_printf(&buf, "%s", "abc");
    uint8_t *taken = buf_take(&buf, &len);
    assert_int_equal(len, 3);
    assert_memory_equal(taken, "abc", 3);
    free(taken);
    assert_int_equal(buf.len, 0);
    buf_put(&buf, BYTES("d"));
    assert_int_equal(buf.len, 1);
    buf_done(&buf);
    assert_null(buf_take(&buf, &len));
    assert_int_equal(len, 0);
}

/* --- the small ones ----------------------------------------------------- */

static void bytes_are_ordered_as_unsigned_and_prefixes_come_first(void **state)
{
    (void)state;
    assert_true(bytes_compare(BYTES("a"), BYTES("b")) < 0);
    assert_true(bytes_compare(BYTES("\xff"), BYTES("a")) > 0);
    assert_true(bytes_compare(BYTES("a"), BYTES("ab")) < 0);
    assert_true(bytes_compare(BYTES("ab"), BYTES("a")) > 0);
    assert_int_equal(bytes_compare(bytes_of(NULL, 0), BYTES("")), 0);
    assert_true(bytes_start_with(BYTES("abc"), BYTES("ab")));
    assert_false(bytes_start_with(BYTES("a"), BYTES("ab")));
    assert_true(bytes_end_with(BYTES("abc"), BYTES("bc")));
    assert_true(bytes_end_with(BYTES("abc"), bytes_of(NULL, 0)));
    assert_true(bytes_equal(bytes_slice(BYTES("abcd"), 1, 2), BYTES("bc")));
    assert_true(bytes_equal(bytes_slice(BYTES("abcd"), 3, 9), BYTES("d")));
    assert_int_equal(bytes_slice(BYTES("abcd"), 9, 9).len, 0);
    assert_int_equal(bytes_slice(bytes_of(NULL, 0), 0, 9).len, 0);
}

static void sets_of_bits_hold_what_was_added(void **state)
{
    (void)state;
    uint64_t set[3] = { 0 };
    assert_int_equal(bits_words(0), 0);
    assert_int_equal(bits_words(129), 3);
    for (size_t i = 0; i < 192; i += 3)
        bits_add(set, i);
    assert_int_equal(bits_count(set, 3), 64);
    bits_remove(set, 63);
    for (size_t i = 0; i < 192; i++)
        assert_true(bits_has(set, i) == (i % 3 == 0 && i != 63));
    assert_int_equal(bits_width(0), 0);
    assert_int_equal(bits_width(UINT64_MAX), 64);
    assert_int_equal(bits_ceil_pow2(0), 1);
    assert_int_equal(bits_ceil_pow2(5), 8);
    assert_int_equal(bits_ceil_pow2(8), 8);
}

static void random_numbers_repeat_with_their_seed_and_spread(void **state)
{
    (void)state;
    struct rng a;
    struct rng b;
    rng_init(&a, 7);
    rng_init(&b, 7);
    size_t counts[10] = { 0 };
    double sum = 0;
    for (int i = 0; i < 100000; i++) {
        assert_true(rng_next(&a) == rng_next(&b));
        counts[rng_below(&a, 10)]++;
        assert_true(rng_below(&b, 10) < 10);
        double unit = rng_unit(&a);
        assert_true(unit >= 0 && unit < 1);
        assert_true(rng_unit(&b) >= 0);
        sum += unit;
    }
    for (size_t i = 0; i < 10; i++)
        assert_true(counts[i] > 9500 && counts[i] < 10500);
    assert_true(sum > 49500 && sum < 50500);
    assert_int_equal(rng_below(&a, 1), 0);
    assert_true(rng_below(&a, UINT64_MAX) < UINT64_MAX);
}

static void values_are_equal_in_type_and_content(void **state)
{
    (void)state;
    struct bytes items[] = { BYTES("a"), BYTES("b") };
    struct bytes others[] = { BYTES("a"), BYTES("c") };
    struct value values[] = {
        value_null(),
        value_bool(true),
        value_bool(false),
        value_int(1),
        value_int(0),
        value_real(1),
        value_real(0),
        value_string(BYTES("a")),
        value_string(BYTES("")),
        value_time(1),
        { .type = VALUE_LIST, .count = 2, .items = items },
        { .type = VALUE_LIST, .count = 1, .items = items },
        { .type = VALUE_LIST, .count = 2, .items = others },
    };
    size_t count = sizeof values / sizeof values[0];
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < count; k++)
            assert_true(value_equal(&values[i], &values[k]) == (i == k));
    struct value zero = value_real(0.0);
    struct value minus_zero = value_real(-0.0);
    assert_true(value_equal(&zero, &minus_zero));
    assert_string_equal(value_type_name(VALUE_LIST), "list");
    assert_string_equal(value_type_name(VALUE_TIME), "time");
    assert_string_equal(err_code_name(ERR_DENIED), "denied");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_arena_takes_nothing_before_its_first_allocation),
        cmocka_unit_test(allocations_are_aligned_and_apart),
        cmocka_unit_test(an_arena_can_be_used_up_to_its_limit_and_not_past_it),
        cmocka_unit_test(sizes_that_overflow_are_refused),
        cmocka_unit_test(a_reset_arena_keeps_one_block_and_clears_for_calloc),
        cmocka_unit_test(copies_and_prints_end_with_a_zero),
        cmocka_unit_test(what_is_put_can_be_read),
        cmocka_unit_test(varints_of_all_sizes_come_back),
        cmocka_unit_test(a_varint_that_is_too_long_is_corrupt),
        cmocka_unit_test(a_reader_that_ran_out_gives_zeros_from_then_on),
        cmocka_unit_test(a_buffer_fills_to_its_limit_and_then_remembers_failing),
        cmocka_unit_test(the_room_of_a_buffer_can_be_taken),
        cmocka_unit_test(bytes_are_ordered_as_unsigned_and_prefixes_come_first),
        cmocka_unit_test(sets_of_bits_hold_what_was_added),
        cmocka_unit_test(random_numbers_repeat_with_their_seed_and_spread),
        cmocka_unit_test(values_are_equal_in_type_and_content),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

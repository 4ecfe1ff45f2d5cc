/* map_test.c - the hash, interning, and map64 against a slow model. */
#include "base/map.h"

#include "base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct intern *intern(size_t limit_bytes)
{
    struct intern *table = NULL;
    assert_int_equal(intern_new(limit_bytes, &table).code, ERR_NONE);
    return table;
}

static struct map64 *map64(size_t limit_bytes)
{
    struct map64 *map = NULL;
    assert_int_equal(map64_new(limit_bytes, &map).code, ERR_NONE);
    return map;
}

static void every_bit_of_the_input_moves_half_of_the_hash(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 3);
    for (size_t len = 1; len <= 100; len++) {
        uint8_t text[100];
        unsigned moved = 0;
        unsigned flips = 0;
        for (int round = 0; round < 20; round++) {
            for (size_t i = 0; i < len; i++)
                text[i] = (uint8_t)rng_next(&rng);
            uint64_t before = hash_bytes(bytes_of(text, len));
            for (size_t bit = 0; bit < len * 8; bit += 1 + len / 16, flips++) {
                text[bit / 8] ^= (uint8_t)(1 << bit % 8);
                uint64_t after = hash_bytes(bytes_of(text, len));
                assert_true(before != after);
                moved += (unsigned)__builtin_popcountll(before ^ after);
                text[bit / 8] ^= (uint8_t)(1 << bit % 8);
            }
        }
        assert_true(moved > flips * 30 && moved < flips * 34);
    }
}

static void hashes_depend_on_the_seed_and_on_the_length(void **state)
{
    (void)state;
    static const uint8_t zeros[200];
    uint64_t of_len[200];
    for (size_t len = 0; len < 200; len++) {
        of_len[len] = hash_bytes(bytes_of(zeros, len));
        for (size_t i = 0; i < len; i++)
            assert_true(of_len[i] != of_len[len]);
    }
    uint64_t number = hash_u64(1);
    base_seed_set(12345);
    for (size_t len = 0; len < 200; len++)
        assert_true(hash_bytes(bytes_of(zeros, len)) != of_len[len]);
    assert_true(hash_u64(1) != number);
    base_seed_set(0);
    assert_true(hash_bytes(bytes_of(zeros, 7)) == of_len[7]);
    assert_true(hash_u64(1) == number);
}

static void small_numbers_spread_over_the_low_and_the_high_bits(void **state)
{
    (void)state;
    enum { BUCKETS = 1024, KEYS = BUCKETS * 64 };
    static unsigned low[BUCKETS];
    static unsigned high[BUCKETS];
    for (uint64_t i = 0; i < KEYS; i++) {
        low[hash_u64(i) % BUCKETS]++;
        high[hash_u64(i << 32) >> 54]++;
    }
    for (size_t i = 0; i < BUCKETS; i++) {
        assert_true(low[i] > 20 && low[i] < 130);
        assert_true(high[i] > 20 && high[i] < 130);
    }
}

static void a_million_strings_get_dense_numbers_in_their_order(void **state)
{
    (void)state;
    enum { COUNT = 1000000 };
    struct intern *table = intern(256 << 20);
    char text[32];
    uint32_t number;
    bool is_new;
    for (uint32_t i = 0; i < COUNT; i++) {
        int len = snprintf(text, sizeof text, "user-%u", i * 7919);
        assert_int_equal(intern_put(table, bytes_of(text, (size_t)len), &number, &is_new).code, 0);
        if (number != i || !is_new)
            fail_msg("%u", i);
    }
    assert_int_equal(intern_count(table), COUNT);
    for (uint32_t i = 0; i < COUNT; i++) {
        int len = snprintf(text, sizeof text, "user-%u", i * 7919);
        struct bytes bytes = bytes_of(text, (size_t)len);
        if (!intern_find(table, bytes, &number) || number != i ||
            !bytes_equal(intern_get(table, i), bytes))
            fail_msg("%u", i);
    }
    assert_false(intern_find(table, BYTES("user-x"), &number));
    assert_int_equal(intern_put(table, BYTES("user-0"), &number, &is_new).code, 0);
    assert_int_equal(number, 0);
    assert_false(is_new);
    assert_true(intern_size_bytes(table) < 100 << 20);
    intern_free(table);
    intern_free(NULL);
}

static void strings_handed_out_stay_where_they_are(void **state)
{
    (void)state;
    struct intern *table = intern(16 << 20);
    uint32_t number;
    assert_int_equal(intern_put(table, BYTES("first"), &number, NULL).code, 0);
    struct bytes first = intern_get(table, number);
    for (uint32_t i = 0; i < 10000; i++)
        assert_int_equal(intern_put(table, bytes_of(&i, sizeof i), &number, NULL).code, 0);
    assert_ptr_equal(intern_get(table, 0).ptr, first.ptr);
    assert_true(bytes_equal(first, BYTES("first")));
    intern_free(table);
}

static void any_bytes_are_strings_also_none_and_very_many(void **state)
{
    (void)state;
    struct intern *table = intern(4 << 20);
    uint32_t number;
    uint8_t *big = calloc(1, 1 << 20);
    assert_int_equal(intern_put(table, bytes_of(NULL, 0), &number, NULL).code, 0);
    assert_int_equal(number, 0);
    assert_int_equal(intern_put(table, BYTES("\0"), &number, NULL).code, 0);
    assert_int_equal(number, 1);
    assert_int_equal(intern_put(table, BYTES("\0\0"), &number, NULL).code, 0);
    assert_int_equal(number, 2);
    assert_int_equal(intern_put(table, bytes_of(big, 1 << 20), &number, NULL).code, 0);
    assert_int_equal(number, 3);
    assert_true(intern_find(table, BYTES(""), &number));
    assert_int_equal(number, 0);
    assert_int_equal(intern_get(table, 3).len, 1 << 20);
    free(big);
    intern_free(table);
}

static void a_full_table_refuses_new_strings_and_keeps_the_old(void **state)
{
    (void)state;
    struct intern *table = intern(100000);
    uint32_t number;
    uint32_t count = 0;
    struct err err = ok();
    while (!err.code) {
        err = intern_put(table, bytes_of(&count, sizeof count), &number, NULL);
        count += !err.code;
    }
    assert_int_equal(err.code, ERR_NOMEM);
    assert_true(intern_size_bytes(table) <= 100000);
    assert_int_equal(intern_count(table), count);
    assert_true(count > 500);
    for (uint32_t i = 0; i < count; i++) {
        assert_true(intern_find(table, bytes_of(&i, sizeof i), &number));
        assert_int_equal(number, i);
    }
    intern_free(table);
}

static void a_reset_table_begins_at_0_with_the_room_it_has(void **state)
{
    (void)state;
    struct intern *table = intern(1 << 20);
    uint32_t number;
    for (int round = 0; round < 10; round++) {
        for (uint32_t i = 0; i < 1000; i++) {
            uint32_t key = i * 3 + (uint32_t)round;
            assert_int_equal(intern_put(table, bytes_of(&key, sizeof key), &number, NULL).code, 0);
            assert_int_equal(number, i);
        }
        intern_reset(table);
        assert_int_equal(intern_count(table), 0);
        assert_false(intern_find(table, bytes_of(&number, sizeof number), &number));
    }
    intern_free(table);
}

/* --- map64 -------------------------------------------------------------- */

enum { MODEL_KEYS = 300 };

/* Key i of the model: half of them near each other, some far, and 0. */
static uint64_t model_key(size_t i)
{
    return i < 150 ? i : i * UINT64_C(0x9e3779b97f4a7c15);
}

static void check_all(const struct map64 *map, const bool *has, const uint64_t *values)
{
    size_t count = 0;
    for (size_t i = 0; i < MODEL_KEYS; i++) {
        const uint64_t *value = map64_find(map, model_key(i));
        assert_true((value != NULL) == has[i]);
        if (value)
            assert_true(*value == values[i]);
        count += has[i];
    }
    assert_int_equal(map64_count(map), count);

    size_t cursor = 0;
    size_t visited = 0;
    uint64_t key;
    uint64_t value;
    while (map64_next(map, &cursor, &key, &value)) {
        const uint64_t *found = map64_find(map, key);
        assert_non_null(found);
        assert_true(*found == value);
        visited++;
    }
    assert_int_equal(visited, count);
    assert_false(map64_next(map, &cursor, &key, &value));
}

static void map64_does_what_a_plain_array_does(void **state)
{
    (void)state;
    bool has[MODEL_KEYS] = { false };
    uint64_t values[MODEL_KEYS];
    struct rng rng;
    struct map64 *map = map64(1 << 20);
    rng_init(&rng, 5);
    for (int step = 0; step < 100000; step++) {
        size_t i = rng_below(&rng, MODEL_KEYS);
        /* Phases of growing and of shrinking. */
        if (rng_below(&rng, 100) < (step / 2000 % 2 ? 30u : 70u)) {
            bool is_new;
            uint64_t *value = map64_put(map, model_key(i), &is_new);
            assert_non_null(value);
            assert_true(is_new == !has[i]);
            assert_true(*value == (has[i] ? values[i] : 0));
            *value = values[i] = rng_next(&rng);
            has[i] = true;
        } else {
            assert_true(map64_remove(map, model_key(i)) == has[i]);
            has[i] = false;
        }
        if (step % 500 == 0)
            check_all(map, has, values);
    }
    check_all(map, has, values);
    map64_reset(map);
    memset(has, 0, sizeof has);
    check_all(map, has, values);
    map64_free(map);
    map64_free(NULL);
}

static void map64_stops_at_its_limit_and_still_finds(void **state)
{
    (void)state;
    struct map64 *map = map64(20000);
    uint64_t count = 0;
    uint64_t *value;
    while ((value = map64_put(map, count, NULL)) != NULL)
        *value = ++count;
    assert_true(count > 500);
    assert_int_equal(map64_count(map), count);
    for (uint64_t i = 0; i < count; i++)
        assert_true(*map64_find(map, i) == i + 1);
    assert_non_null(map64_put(map, 0, NULL));
    map64_free(map);
    assert_int_equal(map64_new(10, &map).code, ERR_NOMEM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_bit_of_the_input_moves_half_of_the_hash),
        cmocka_unit_test(hashes_depend_on_the_seed_and_on_the_length),
        cmocka_unit_test(small_numbers_spread_over_the_low_and_the_high_bits),
        cmocka_unit_test(a_million_strings_get_dense_numbers_in_their_order),
        cmocka_unit_test(strings_handed_out_stay_where_they_are),
        cmocka_unit_test(any_bytes_are_strings_also_none_and_very_many),
        cmocka_unit_test(a_full_table_refuses_new_strings_and_keeps_the_old),
        cmocka_unit_test(a_reset_table_begins_at_0_with_the_room_it_has),
        cmocka_unit_test(map64_does_what_a_plain_array_does),
        cmocka_unit_test(map64_stops_at_its_limit_and_still_finds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

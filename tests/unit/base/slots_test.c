/* slots_test.c - what slots.h promises, against an array that's searched from end to end. */
#include "base/rng.h"
#include "base/slots.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { NUMBERS = 400 };

/* How often the index gives this number for this hash. */
static uint32_t times(const struct slots *slots, uint32_t hash, uint32_t wanted)
{
    uint32_t at = slots_start(slots, hash);
    uint32_t number = 0;
    uint32_t count = 0;
    while (slots_next(slots, hash, &at, &number))
        count += number == wanted;
    return count;
}

static void an_empty_index_finds_nothing(void **state)
{
    (void)state;
    struct slots slots = { 0 };
    slots_prefetch(&slots, 7);
    assert_int_equal(times(&slots, 7, 0), 0);
    assert_true(slots_reserve(&slots, 1));
    assert_int_equal(times(&slots, 7, 0), 0);
    slots_done(&slots);
    slots_done(&slots);
}

/* Few different hashes, most of them at the end of the table, so runs are long and wrap around. */
static uint32_t crowded_hash(struct rng *rng)
{
    uint32_t high = (uint32_t)rng_below(rng, 3) << 30;
    return rng_below(rng, 3) ? high | (0xfffffff0u & 0x3fffffff) | (uint32_t)rng_below(rng, 16)
                             : high | (uint32_t)rng_below(rng, 8);
}

static void numbers_are_found_by_their_hash_until_they_are_removed(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct slots slots = { 0 };
        uint32_t hash_of[NUMBERS];
        bool is_there[NUMBERS] = { false };
        uint64_t count = 0;
        struct rng rng;
        rng_init(&rng, seed);
        for (uint32_t i = 0; i < NUMBERS; i++)
            hash_of[i] = crowded_hash(&rng);
        for (uint32_t step = 0; step < 3000; step++) {
            uint32_t i = (uint32_t)rng_below(&rng, NUMBERS);
            if (is_there[i]) {
                slots_remove(&slots, hash_of[i], i);
                count--;
            } else {
                assert_true(slots_reserve(&slots, 1));
                slots_add(&slots, hash_of[i], i);
                count++;
            }
            is_there[i] = !is_there[i];
            assert_int_equal(slots.count, count);
            uint32_t other = (uint32_t)rng_below(&rng, NUMBERS);
            assert_int_equal(times(&slots, hash_of[other], other), is_there[other]);
        }
        for (uint32_t i = 0; i < NUMBERS; i++)
            assert_int_equal(times(&slots, hash_of[i], i), is_there[i]);
        slots_done(&slots);
    }
}

static void room_that_was_reserved_is_enough(void **state)
{
    (void)state;
    struct slots slots = { 0 };
    assert_true(slots_reserve(&slots, 10000));
    const uint64_t *before = slots.slot;
    for (uint32_t i = 0; i < 10000; i++) {
        assert_true(slots_reserve(&slots, 1));
        slots_add(&slots, i * 0x9e3779b1u, i);
    }
    assert_ptr_equal(slots.slot, before);
    assert_int_equal(times(&slots, 77 * 0x9e3779b1u, 77), 1);
    slots_done(&slots);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_index_finds_nothing),
        cmocka_unit_test(numbers_are_found_by_their_hash_until_they_are_removed),
        cmocka_unit_test(room_that_was_reserved_is_enough),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

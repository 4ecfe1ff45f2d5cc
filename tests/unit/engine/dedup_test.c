/* dedup_test.c - an event id counts once in its window, to the day. */
#include "engine/dedup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { DAYS = 7, SEEN = 20000, LIMIT = 1 << 20 };

static bool is_duplicate(struct dedup *dedup, const char *id, int32_t day)
{
    bool is = false;
    assert_int_equal(dedup_check(dedup, bytes_from(id), day, DAYS, &is).code, ERR_NONE);
    return is;
}

static void an_id_counts_again_on_the_first_day_past_its_window(void **state)
{
    (void)state;
    struct dedup *dedup = NULL;
    assert_int_equal(dedup_new(LIMIT, &dedup).code, ERR_NONE);
    assert_false(is_duplicate(dedup, "a", SEEN));
    for (int32_t day = SEEN; day < SEEN + DAYS; day++)
        assert_true(is_duplicate(dedup, "a", day));
    assert_false(is_duplicate(dedup, "a", SEEN + DAYS));
    /* That was a first time anew. */
    assert_true(is_duplicate(dedup, "a", SEEN + 2 * DAYS - 1));
    assert_false(is_duplicate(dedup, "a", SEEN + 2 * DAYS));
    dedup_free(dedup);
}

static void another_id_is_another(void **state)
{
    (void)state;
    struct dedup *dedup = NULL;
    assert_int_equal(dedup_new(LIMIT, &dedup).code, ERR_NONE);
    assert_false(is_duplicate(dedup, "a", SEEN));
    assert_false(is_duplicate(dedup, "b", SEEN));
    assert_false(is_duplicate(dedup, "A", SEEN));
    assert_int_equal(dedup_count(dedup), 3);
    dedup_free(dedup);
}

static void a_window_is_kept_to_the_day_through_growth_and_saving(void **state)
{
    (void)state;
    struct dedup *dedup = NULL;
    struct dedup *loaded = NULL;
    struct buf saved;
    char id[16];
    assert_int_equal(dedup_new(LIMIT, &dedup).code, ERR_NONE);
    assert_int_equal(dedup_new(LIMIT, &loaded).code, ERR_NONE);
    for (int i = 0; i < 5000; i++) {
        (void)snprintf(id, sizeof id, "e%d", i);
        assert_false(is_duplicate(dedup, id, SEEN + i / 1000));
    }
    buf_init(&saved, LIMIT);
    dedup_save(dedup, &saved);
    struct reader reader = reader_of(buf_bytes(&saved));
    assert_int_equal(dedup_load(loaded, &reader).code, ERR_NONE);
    for (int i = 0; i < 5000; i++) {
        (void)snprintf(id, sizeof id, "e%d", i);
        assert_true(is_duplicate(loaded, id, SEEN + i / 1000 + DAYS - 1));
        assert_false(is_duplicate(loaded, id, SEEN + i / 1000 + DAYS));
    }
    buf_done(&saved);
    dedup_free(dedup);
    dedup_free(loaded);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_id_counts_again_on_the_first_day_past_its_window),
        cmocka_unit_test(another_id_is_another),
        cmocka_unit_test(a_window_is_kept_to_the_day_through_growth_and_saving),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

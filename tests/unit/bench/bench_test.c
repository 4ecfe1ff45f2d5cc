/* bench_test.c - the published events are always the same, and every form tells the same of them. */
#include "bench/bench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { EVENTS = 200000, USERS = 8000, DAYS = 90, LOOKED_AT = 2000, ROW = 26 };

struct printed {
    struct buf buf;
    enum bench_form form;
    uint32_t first; /* of those printed */
    uint32_t last;
    uint32_t count;
};

static struct err print(void *ctx, const struct bench_event *event)
{
    struct printed *printed = ctx;
    if (printed->count >= printed->first && printed->count <= printed->last)
        bench_put(&printed->buf, event, printed->form);
    printed->count++;
    return buf_err(&printed->buf);
}

static struct printed events(enum bench_form form, uint32_t first, uint32_t last)
{
    struct printed printed = { .form = form, .first = first, .last = last };
    buf_init(&printed.buf, (size_t)1 << 20);
    assert_int_equal(bench_generate(EVENTS, USERS, DAYS, print, &printed).code, 0);
    return printed;
}

static void assert_printed(enum bench_form form, uint32_t first, uint32_t last, const char *text)
{
    struct printed printed = events(form, first, last);
    assert_int_equal(printed.buf.len, strlen(text));
    assert_memory_equal(printed.buf.ptr, text, strlen(text));
    buf_done(&printed.buf);
}

static void the_events_are_those_of_the_published_generator(void **state)
{
    (void)state;
    struct printed rows = events(BENCH_ROWS, 0, LOOKED_AT - 1);
    uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a */
    for (size_t i = 0; i < rows.buf.len; i++)
        hash = (hash ^ rows.buf.ptr[i]) * UINT64_C(0x100000001b3);
    assert_int_equal(rows.count, 200625);
    assert_int_equal(rows.buf.len, LOOKED_AT * ROW);
    assert_true(hash == UINT64_C(0xa60fba09b6d40cd4));
    buf_done(&rows.buf);
}

static void every_form_tells_the_same_event(void **state)
{
    (void)state;
    assert_printed(BENCH_LEAN, 2, 3,
                   "{\"identity\":\"user_0000034881\",\"type\":\"event\",\"ts\":1735691636078,"
                   "\"evtName\":\"Product Viewed\",\"evtData\":{\"Platform\":\"iOS\",\"City\":"
                   "\"city_87\",\"Product ID\":18208,\"Category\":\"cat_31\",\"Price\":491.99}}\n"
                   "{\"identity\":\"user_0000034881\",\"type\":\"event\",\"ts\":1735691639983,"
                   "\"evtName\":\"Category Viewed\",\"evtData\":{\"Platform\":\"iOS\",\"City\":"
                   "\"city_87\",\"Category\":\"cat_31\"}}\n");
    assert_printed(BENCH_CSV, 2, 3,
                   "1735691636078,4983,Product Viewed,iOS,city_87,18208,cat_31,49199,\n"
                   "1735691639983,4983,Category Viewed,iOS,city_87,,cat_31,,\n");
    assert_int_equal(bench_identity(4983), 34881);
}

static void an_upload_says_more_of_what_has_no_product(void **state)
{
    (void)state;
    assert_printed(BENCH_UPLOAD, 3, 3,
                   "{\"identity\":\"user_0000034881\",\"type\":\"event\",\"ts\":1735691639983,"
                   "\"evtName\":\"Category Viewed\",\"evtData\":{\"Platform\":\"iOS\",\"City\":"
                   "\"city_87\",\"Screen\":\"home_3\",\"Session\":995,\"Network\":\"4G\"}}\n");
}

static void a_sample_s_users_are_below_the_count_and_differ(void **state)
{
    (void)state;
    uint8_t *is_seen = calloc(USERS, 1);
    assert_non_null(is_seen);
    for (uint32_t i = 0; i < 1000; i++) {
        uint32_t user = bench_sample(i, 1000, USERS);
        assert_true(user < USERS);
        assert_int_equal(is_seen[user]++, 0);
    }
    free(is_seen);
}

static void nothing_to_generate_is_an_error(void **state)
{
    (void)state;
    struct printed none = { .form = BENCH_ROWS };
    assert_int_equal(bench_generate(0, USERS, DAYS, print, &none).code, ERR_INVALID);
    assert_int_equal(bench_generate(EVENTS, 0, DAYS, print, &none).code, ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_events_are_those_of_the_published_generator),
        cmocka_unit_test(every_form_tells_the_same_event),
        cmocka_unit_test(an_upload_says_more_of_what_has_no_product),
        cmocka_unit_test(a_sample_s_users_are_below_the_count_and_differ),
        cmocka_unit_test(nothing_to_generate_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

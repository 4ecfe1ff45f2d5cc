/*
 * nomem_test.c - every allocation fails once: the answer is ERR_NOMEM, nothing leaks, and what was
 * there before still is. The linker's --wrap puts the failures in.
 */
#include "base/arena.h"
#include "base/calendar.h"
#include "base/map.h"
#include "base/metrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static size_t allocations_to_failure; /* 0: none fails */

static bool fails_now(void)
{
    return allocations_to_failure > 0 && --allocations_to_failure == 0;
}

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__real_realloc(void *ptr, size_t size);
void *__wrap_realloc(void *ptr, size_t size);

void *__wrap_malloc(size_t size)
{
    return fails_now() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails_now() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *ptr, size_t size)
{
    return fails_now() ? NULL : __real_realloc(ptr, size);
}

/* Runs `fn` with the first, second, … allocation failing, until it gets by without a failure. */
static void try_each(struct err (*fn)(void))
{
    struct err err = err_new(ERR_NOMEM, "");
    for (size_t n = 1; err.code; n++) {
        allocations_to_failure = n;
        err = fn();
        if (err.code)
            assert_int_equal(err.code, ERR_NOMEM);
        assert_true(n < 1000);
    }
    allocations_to_failure = 0;
}

static struct err use_intern(void)
{
    struct intern *table;
    struct err err = intern_new(1 << 20, &table);
    if (err.code)
        return err;
    uint32_t count = 0;
    for (; !err.code && count < 2000; count += !err.code) {
        uint32_t number;
        err = intern_put(table, bytes_of(&count, sizeof count), &number, NULL);
    }
    assert_int_equal(intern_count(table), count);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t number;
        assert_true(intern_find(table, bytes_of(&i, sizeof i), &number));
        assert_int_equal(number, i);
    }
    intern_free(table);
    return err;
}

static struct err use_map64(void)
{
    struct map64 *map;
    struct err err = map64_new(1 << 20, &map);
    if (err.code)
        return err;
    uint64_t count = 0;
    for (; !err.code && count < 2000; count += !err.code)
        if (!map64_put(map, count, NULL))
            err = err_new(ERR_NOMEM, "put");
    assert_int_equal(map64_count(map), count);
    for (uint64_t i = 0; i < count; i++)
        assert_non_null(map64_find(map, i));
    map64_free(map);
    return err;
}

static struct err use_zone(void)
{
    /* Versions 2 with no transition, and a rule that's unrolled. */
    static const char tzif[] = "TZif2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
                               "\0\0\0\1\0\0\0\0\0\0\0\0\0\0"
                               "TZif2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
                               "\0\0\0\1\0\0\0\0\0\0\0\0\0\0"
                               "\nCET-1CEST,M3.5.0,M10.5.0/3\n";
    struct zone *zone;
    struct err err = zone_parse(BYTES("x"), bytes_of(tzif, sizeof tzif - 1), &zone);
    if (err.code)
        return err;
    int64_t *bounds;
    size_t count;
    err = zone_buckets(zone, UNIT_DAY, MONDAY, 0, 1000 * MS_PER_DAY, 2000, &bounds, &count);
    if (!err.code)
        free(bounds);
    zone_free(zone);
    return err;
}

static struct err use_buf(void)
{
    struct buf buf;
    buf_init(&buf, 300);
    for (int i = 0; i < 60; i++)
        buf_printf(&buf, "%05d", i); /* the last goes through a copy */
    struct err err = buf_err(&buf);
    assert_int_equal(buf.len % 5, 0);
    assert_true(err.code || buf.len == 300);
    buf_done(&buf);
    return err;
}

static struct err use_arena(void)
{
    struct arena arena;
    struct err err = ok();
    arena_init(&arena, 1 << 20);
    for (int i = 0; !err.code && i < 100; i++)
        if (!arena_printf(&arena, "%1000d", i).ptr)
            err = err_new(ERR_NOMEM, "arena");
    arena_done(&arena);
    return err;
}

static struct err use_metrics(void)
{
    static struct metric metric = METRIC_GAUGE("x", "X.", "");
    struct buf buf;
    metrics_register(&metric);
    buf_init(&buf, 1000);
    metrics_put(&buf);
    struct err err = buf_err(&buf);
    buf_done(&buf);
    return err;
}

static void tables_survive_each_failing_allocation(void **state)
{
    (void)state;
    try_each(use_intern);
    try_each(use_map64);
}

static void zones_are_whole_or_not_there(void **state)
{
    (void)state;
    try_each(use_zone);
}

static void buffers_arenas_and_metrics_say_that_there_is_no_room(void **state)
{
    (void)state;
    try_each(use_buf);
    try_each(use_arena);
    try_each(use_metrics);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables_survive_each_failing_allocation),
        cmocka_unit_test(zones_are_whole_or_not_there),
        cmocka_unit_test(buffers_arenas_and_metrics_say_that_there_is_no_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

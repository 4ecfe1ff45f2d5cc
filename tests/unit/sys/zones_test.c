/*
 * zones_test.c - every zone of the system against the C library, and the calendar's promises
 * against a model that walks minute by minute.
 */
#include "sys/sys.h"

#include "base/zone_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#define YEAR_S INT64_C(31556952)

static struct zone *load(const char *name)
{
    struct zone *zone = NULL;
    struct err err = sys_zone_load(bytes_from(name), &zone);
    if (err.code)
        fail_msg("%s: %s", name, err.what);
    return zone;
}

static int64_t at(const char *text)
{
    int64_t time_ms = 0;
    assert_true(calendar_parse(bytes_from(text), NULL, &time_ms, NULL));
    return time_ms;
}

static void assert_text(struct zone *zone, int64_t time_ms, const char *expected)
{
    struct buf buf;
    buf_init(&buf, 100);
    calendar_put_local(&buf, zone, time_ms);
    buf_put_u8(&buf, 0);
    assert_string_equal((const char *)buf.ptr, expected);
    buf_done(&buf);
}

typedef void zone_check_fn(struct zone *zone);

static void for_all_zones(zone_check_fn *check)
{
    struct buf names;
    size_t count = 0;
    buf_init(&names, 1 << 20);
    assert_int_equal(sys_zone_names(&names, &count).code, ERR_NONE);
    assert_true(count > 300);
    const char *name = (const char *)names.ptr;
    for (size_t i = 0; i < count; i++, name += strlen(name) + 1) {
        struct zone *zone = load(name);
        assert_string_equal(zone_name(zone), name);
        check(zone);
        zone_free(zone);
    }
    buf_done(&names);
}

static void assert_offset_as_libc(struct zone *zone, int64_t time_s)
{
    struct tm tm;
    time_t time = (time_t)time_s;
    assert_non_null(localtime_r(&time, &tm));
    int32_t ours = zone_offset_s(zone, time_s * 1000);
    if (ours != tm.tm_gmtoff)
        fail_msg("%s at %lld: %d, the C library says %ld", zone_name(zone), (long long)time_s, ours,
                 tm.tm_gmtoff);
}

static void check_offsets(struct zone *zone)
{
    assert_int_equal(setenv("TZ", zone_name(zone), 1), 0);
    tzset();
    for (int64_t time_s = -68 * YEAR_S; time_s < 68 * YEAR_S; time_s += 1000003)
        assert_offset_as_libc(zone, time_s);
    for (int64_t time_s = 68 * YEAR_S; time_s < 530 * YEAR_S; time_s += 25000003)
        assert_offset_as_libc(zone, time_s);
    for (size_t i = 1; i < zone->count; i++) {
        int64_t time_s = zone->segments[i].at_ms / 1000;
        if (time_s < -68 * YEAR_S)
            continue;
        assert_offset_as_libc(zone, time_s - 1);
        assert_offset_as_libc(zone, time_s);
    }
}

static void every_zone_has_the_offsets_of_the_c_library(void **state)
{
    (void)state;
    for_all_zones(check_offsets);
}

static int64_t floor_to(int64_t value, int64_t unit)
{
    int64_t rest = value % unit;
    return value - (rest < 0 ? rest + unit : rest);
}

static int64_t local_ms(struct zone *zone, int64_t time_ms)
{
    return time_ms + zone_offset_s(zone, time_ms) * MS_PER_SECOND;
}

static void check_day(struct zone *zone, int64_t time_ms, int32_t day)
{
    assert_int_equal(zone_day(zone, time_ms), day);
    int64_t start_ms = zone_floor_ms(zone, UNIT_DAY, MONDAY, time_ms);
    assert_true(start_ms <= time_ms);
    assert_true(zone_day_start_ms(zone, day) == start_ms);
    assert_true(zone_day_start_ms(zone, day + 1) > time_ms);
    assert_int_equal(zone_day(zone, start_ms), day);
    assert_true(zone_day(zone, start_ms - 1) < day);
}

/* `before_ms` is a minute before `time_ms`. */
static void check_clock_unit(struct zone *zone, enum calendar_unit unit, int64_t before_ms,
                             int64_t time_ms)
{
    int64_t size = unit == UNIT_HOUR ? MS_PER_HOUR : MS_PER_MINUTE;
    int64_t before_local = local_ms(zone, before_ms);
    int64_t now_local = local_ms(zone, time_ms);
    int64_t start_ms = zone_floor_ms(zone, unit, MONDAY, time_ms);
    int64_t next_ms = zone_add_ms(zone, unit, start_ms, 1);

    assert_true(start_ms <= time_ms && time_ms < next_ms);
    assert_true(zone_floor_ms(zone, unit, MONDAY, start_ms) == start_ms);
    assert_true(zone_floor_ms(zone, unit, MONDAY, next_ms) == next_ms);
    assert_true(zone_floor_ms(zone, unit, MONDAY, next_ms - 1) == start_ms);
    assert_true(zone_add_ms(zone, unit, next_ms, -1) == start_ms);

    int64_t shift = now_local - before_local - MS_PER_MINUTE;
    if (shift != 0 && llabs(shift) < 2 * MS_PER_MINUTE)
        return; /* finer than the model's steps */
    bool is_same =
        now_local > before_local && floor_to(before_local, size) == floor_to(now_local, size);
    assert_true(is_same == (zone_floor_ms(zone, unit, MONDAY, before_ms) == start_ms));
}

static void check_around(struct zone *zone, int64_t middle_ms)
{
    int64_t from_ms = middle_ms - 36 * MS_PER_HOUR;
    int32_t day = INT32_MIN;

    for (int64_t time_ms = from_ms - 36 * MS_PER_HOUR; time_ms < middle_ms + 36 * MS_PER_HOUR;
         time_ms += MS_PER_MINUTE) {
        int32_t shown = (int32_t)(floor_to(local_ms(zone, time_ms), MS_PER_DAY) / MS_PER_DAY);
        day = shown > day ? shown : day;
        if (time_ms < from_ms)
            continue;
        check_day(zone, time_ms, day);
        check_clock_unit(zone, UNIT_HOUR, time_ms - MS_PER_MINUTE, time_ms);
        check_clock_unit(zone, UNIT_MINUTE, time_ms - MS_PER_MINUTE, time_ms);
    }
}

static void days_hours_and_minutes_tile_the_line_around_each_change(void **state)
{
    static const char *const names[] = {
        "America/St_Johns", "Australia/Lord_Howe", "Pacific/Apia", "Africa/Casablanca",
        "Asia/Kolkata",     "America/Juneau",      "Asia/Manila",  "America/Havana",
        "Europe/Dublin",    "Antarctica/Troll",    "Asia/Gaza",    "Pacific/Kwajalein",
    };
    (void)state;

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct zone *zone = load(names[i]);
        for (size_t k = 1; k < zone->count; k++) {
            int64_t at_ms = zone->segments[k].at_ms;
            /* After 2012 only every ninth: there they repeat. */
            if (at_ms < 40 * YEAR_S * 1000 || (k % 9 == 0 && at_ms < 120 * YEAR_S * 1000))
                check_around(zone, at_ms / MS_PER_MINUTE * MS_PER_MINUTE);
        }
        zone_free(zone);
    }
}

/* The wall clock forth and back, for each hour of the days around each change. */
static void check_local(struct zone *zone)
{
    for (size_t k = 1; k < zone->count && k < 60; k++) {
        int32_t day = zone_day(zone, zone->segments[k].at_ms);
        for (int64_t minute = -1440; minute < 2880; minute += 15) {
            int64_t wanted = day * MS_PER_DAY + minute * MS_PER_MINUTE;
            int64_t time_ms = zone_local_to_ms(zone, day, minute * MS_PER_MINUTE);
            int64_t shown = local_ms(zone, time_ms);
            if (shown != wanted) /* in a gap: the clock jumped over it */
                assert_true(shown > wanted &&
                            local_ms(zone, time_ms - (shown - wanted) - 86400000) < wanted);
            else /* the earlier one, when there are two */
                for (int64_t back = 30; back <= 120; back += 30)
                    assert_true(local_ms(zone, time_ms - back * MS_PER_MINUTE) != wanted);
        }
    }
}

static void a_wall_clock_time_is_the_earlier_of_two_instants(void **state)
{
    (void)state;
    for_all_zones(check_local);
}

static void kolkata_has_had_its_half_hour_since_the_war(void **state)
{
    (void)state;
    struct zone *zone = load("Asia/Kolkata");
    assert_int_equal(zone_offset_s(zone, at("2026-11-25")), 19800);
    assert_int_equal(zone_day(zone, at("2025-01-31T18:29:59.999Z")), 20119);
    assert_int_equal(zone_day(zone, at("2025-01-31T18:30")), 20120);
    assert_text(zone, at("2025-01-31T10:20:30Z"), "2025-01-31T15:50:30+05:30");
    zone_free(zone);
}

static void lord_howe_puts_its_clocks_back_by_half_an_hour(void **state)
{
    (void)state;
    struct zone *zone = load("Australia/Lord_Howe");
    /* 2025-04-06 at 02:00 (+11) it's 01:30 (+10:30): half an hour is there twice. */
    int64_t change_ms = at("2025-04-05T15:00Z");
    int64_t *bounds;
    size_t count;
    assert_int_equal(zone_buckets(zone, UNIT_HOUR, MONDAY, change_ms - MS_PER_HOUR,
                                  change_ms + MS_PER_HOUR, 100, &bounds, &count)
                         .code,
                     ERR_NONE);
    assert_int_equal(count, 4);
    assert_true(bounds[0] == change_ms - MS_PER_HOUR);
    assert_true(bounds[1] == change_ms);
    assert_true(bounds[2] == change_ms + MS_PER_HOUR / 2);
    assert_true(bounds[3] == change_ms + MS_PER_HOUR * 3 / 2);
    free(bounds);
    zone_free(zone);
}

static void apia_skips_a_day(void **state)
{
    (void)state;
    struct zone *zone = load("Pacific/Apia");
    int64_t change_ms = at("2011-12-30T10:00Z");
    int32_t skipped = (int32_t)(at("2011-12-30") / MS_PER_DAY);
    assert_int_equal(zone_day(zone, change_ms - 1), skipped - 1);
    assert_int_equal(zone_day(zone, change_ms), skipped + 1);
    assert_true(zone_day_start_ms(zone, skipped) == change_ms);
    assert_true(zone_day_start_ms(zone, skipped + 1) == change_ms);

    /* The empty day is no bucket; the month has 30 days and December is whole. */
    int64_t *bounds;
    size_t count;
    int64_t from_ms = zone_day_start_ms(zone, skipped - 29);
    int64_t to_ms = zone_day_start_ms(zone, skipped + 2);
    assert_int_equal(
        zone_buckets(zone, UNIT_DAY, MONDAY, from_ms, to_ms, 100, &bounds, &count).code, ERR_NONE);
    assert_int_equal(count, 31);
    for (size_t i = 1; i < count; i++)
        assert_true(bounds[i] > bounds[i - 1]);
    free(bounds);
    assert_true(zone_floor_ms(zone, UNIT_MONTH, MONDAY, change_ms) == from_ms);
    assert_true(zone_add_ms(zone, UNIT_MONTH, from_ms, 1) == to_ms);

    /* A week may begin with the day that isn't there. */
    assert_true(zone_floor_ms(zone, UNIT_WEEK, FRIDAY, change_ms + MS_PER_DAY) == change_ms);
    zone_free(zone);
}

static void st_johns_sees_a_date_again_but_its_day_has_ended(void **state)
{
    (void)state;
    struct zone *zone = load("America/St_Johns");
    /* 2010-11-07 at 00:01 (-02:30) it's 23:01 of the 6th (-03:30). */
    int32_t day = (int32_t)(at("2010-11-07") / MS_PER_DAY);
    assert_true(zone_day_start_ms(zone, day) == at("2010-11-07T02:30Z"));
    assert_int_equal(zone_day(zone, at("2010-11-07T02:29Z")), day - 1);
    assert_int_equal(zone_day(zone, at("2010-11-07T02:30Z")), day);
    assert_int_equal(zone_day(zone, at("2010-11-07T03:00Z")), day);
    zone_free(zone);
}

static void casablanca_and_dublin_have_summer_times_below_standard(void **state)
{
    (void)state;
    struct zone *zone = load("Africa/Casablanca");
    assert_int_equal(zone_offset_s(zone, at("2025-03-10")), 0); /* Ramadan */
    assert_int_equal(zone_offset_s(zone, at("2025-07-01")), 3600);
    zone_free(zone);
    zone = load("Europe/Dublin");
    assert_int_equal(zone_offset_s(zone, at("2025-01-10")), 0);
    assert_int_equal(zone_offset_s(zone, at("2025-07-10")), 3600);
    assert_int_equal(zone_offset_s(zone, at("2499-07-10")), 3600);
    zone_free(zone);
}

static void gaps_and_doubles_of_berlin_are_resolved_as_promised(void **state)
{
    (void)state;
    struct zone *zone = load("Europe/Berlin");
    int64_t time_ms;
    /* 02:30 on 2025-03-30 doesn't exist: as if still +01:00. */
    assert_true(calendar_parse(BYTES("2025-03-30T02:30"), zone, &time_ms, NULL));
    assert_true(time_ms == at("2025-03-30T01:30Z"));
    /* 02:30 on 2025-10-26 is there twice: the earlier, +02:00. */
    assert_true(calendar_parse(BYTES("2025-10-26T02:30"), zone, &time_ms, NULL));
    assert_true(time_ms == at("2025-10-26T00:30Z"));

    int64_t *bounds;
    size_t count;
    assert_int_equal(zone_buckets(zone, UNIT_HOUR, MONDAY, at("2025-10-25T22:00Z"),
                                  at("2025-10-26T23:00Z"), 100, &bounds, &count)
                         .code,
                     ERR_NONE);
    assert_int_equal(count, 26); /* 25 hours */
    free(bounds);
    zone_free(zone);
}

static void adding_many_units_is_adding_one_many_times(void **state)
{
    static const char *const names[] = { "America/St_Johns", "Australia/Lord_Howe",
                                         "Pacific/Apia" };
    (void)state;
    for (size_t z = 0; z < sizeof names / sizeof names[0]; z++) {
        struct zone *zone = load(names[z]);
        for (enum calendar_unit unit = UNIT_HOUR; unit <= UNIT_YEAR; unit++) {
            int64_t start_ms = zone_floor_ms(zone, unit, MONDAY, at("2010-03-03T12:00Z"));
            int64_t one_by_one_ms = start_ms;
            for (int32_t n = 1; n < 1500; n++) {
                one_by_one_ms = zone_add_ms(zone, unit, one_by_one_ms, 1);
                if (unit == UNIT_DAY && z == 2 && one_by_one_ms > at("2011-12-28"))
                    break; /* a step onto the skipped day goes to the one behind it */
                assert_true(zone_add_ms(zone, unit, start_ms, n) == one_by_one_ms);
                assert_true(zone_add_ms(zone, unit, one_by_one_ms, -n) == start_ms);
            }
        }
        zone_free(zone);
    }
}

static void buckets_cover_the_range_and_stop_at_the_limit(void **state)
{
    (void)state;
    struct zone *zone = load("America/New_York");
    int64_t from_ms = at("2024-02-10T12:00Z");
    int64_t to_ms = at("2025-05-10T12:00Z");
    for (enum calendar_unit unit = UNIT_HOUR; unit <= UNIT_YEAR; unit++) {
        int64_t *bounds;
        size_t count;
        assert_int_equal(
            zone_buckets(zone, unit, SUNDAY, from_ms, to_ms, 20000, &bounds, &count).code,
            ERR_NONE);
        assert_true(bounds[0] <= from_ms && bounds[1] > from_ms);
        assert_true(bounds[count - 1] >= to_ms && bounds[count - 2] < to_ms);
        for (size_t i = 0; i + 1 < count; i++) {
            assert_true(zone_floor_ms(zone, unit, SUNDAY, bounds[i]) == bounds[i]);
            assert_true(zone_floor_ms(zone, unit, SUNDAY, bounds[i + 1] - 1) == bounds[i]);
        }
        size_t buckets = count - 1;
        free(bounds);
        assert_int_equal(
            zone_buckets(zone, unit, SUNDAY, from_ms, to_ms, buckets, &bounds, &count).code,
            ERR_NONE);
        free(bounds);
        assert_int_equal(
            zone_buckets(zone, unit, SUNDAY, from_ms, to_ms, buckets - 1, &bounds, &count).code,
            ERR_LIMIT);
    }
    zone_free(zone);
}

static void a_name_that_leaves_the_database_is_no_zone(void **state)
{
    static const char *const names[] = {
        "",     "/etc/passwd",       "../zoneinfo/UTC", "Asia/../UTC", "Asia",  "Asia/",
        "/UTC", "Atlantis/Poseidon", "tzdata.zi",       "Asia//Tokyo", "./UTC", "Asia/Tokyo/x",
    };
    struct zone *zone;
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        assert_int_equal(sys_zone_load(bytes_from(names[i]), &zone).code, ERR_MISSING);
    assert_int_equal(sys_zone_load(bytes_of("UTC\0x", 5), &zone).code, ERR_MISSING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_zone_has_the_offsets_of_the_c_library),
        cmocka_unit_test(days_hours_and_minutes_tile_the_line_around_each_change),
        cmocka_unit_test(a_wall_clock_time_is_the_earlier_of_two_instants),
        cmocka_unit_test(kolkata_has_had_its_half_hour_since_the_war),
        cmocka_unit_test(lord_howe_puts_its_clocks_back_by_half_an_hour),
        cmocka_unit_test(apia_skips_a_day),
        cmocka_unit_test(st_johns_sees_a_date_again_but_its_day_has_ended),
        cmocka_unit_test(casablanca_and_dublin_have_summer_times_below_standard),
        cmocka_unit_test(gaps_and_doubles_of_berlin_are_resolved_as_promised),
        cmocka_unit_test(adding_many_units_is_adding_one_many_times),
        cmocka_unit_test(buckets_cover_the_range_and_stop_at_the_limit),
        cmocka_unit_test(a_name_that_leaves_the_database_is_no_zone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* calendar_test.c - civil dates, text, and zones from bytes that are written here. */
#include "base/calendar.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static int64_t at(const char *text)
{
    int64_t time_ms = 0;
    if (!calendar_parse(bytes_from(text), NULL, &time_ms, NULL))
        fail_msg("%s", text);
    return time_ms;
}

static bool leap(int year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static int days_in(int year, int month)
{
    static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    return month == 2 && leap(year) ? 29 : days[month - 1];
}

static void every_day_from_the_year_1_to_2400_comes_back(void **state)
{
    (void)state;
    int32_t day = -719162; /* 0001-01-01 */
    for (int year = 1; year <= 2400; year++) {
        for (int month = 1; month <= 12; month++) {
            for (int i = 1; i <= days_in(year, month); i++, day++) {
                struct civil_date date = civil_from_day(day);
                if (date.year != year || date.month != month || date.day != i ||
                    civil_to_day(date) != day)
                    fail_msg("%d-%d-%d", year, month, i);
            }
        }
    }
    assert_int_equal(civil_to_day((struct civil_date){ 1970, 1, 1 }), 0);
    assert_int_equal(civil_to_day((struct civil_date){ 9999, 12, 31 }), TIME_MS_MAX / MS_PER_DAY);
    assert_int_equal(civil_to_day((struct civil_date){ 1, 1, 1 }), TIME_MS_MIN / MS_PER_DAY);
}

static void months_begin_where_the_month_before_ends(void **state)
{
    (void)state;
    for (int32_t month = -12 * 1969; month < 12 * 8029; month++) {
        int64_t start_ms = civil_month_start_ms(month);
        assert_int_equal(civil_month_of_ms(start_ms), month);
        assert_int_equal(civil_month_of_ms(start_ms - 1), month - 1);
    }
    assert_true(civil_month_start_ms(0) == 0);
    assert_true(civil_month_start_ms(-1) == at("1969-12-01"));
}

/* --- text --------------------------------------------------------------- */

static void the_notations_of_a_time_are_read(void **state)
{
    (void)state;
    struct zone *zone = NULL;
    int64_t time_ms;
    bool is_date_only;
    assert_int_equal(zone_fixed(19800, &zone).code, ERR_NONE);

    assert_true(calendar_parse(BYTES("2025-01-31"), zone, &time_ms, &is_date_only));
    assert_true(time_ms == INT64_C(1738281600000) - 19800000);
    assert_true(is_date_only);
    assert_true(calendar_parse(BYTES("2025-01-31T10:20"), zone, &time_ms, &is_date_only));
    assert_true(time_ms == INT64_C(1738281600000) + 37200000 - 19800000);
    assert_false(is_date_only);
    assert_true(at("2025-01-31 10:20") == INT64_C(1738281600000) + 37200000);
    assert_true(at("2025-01-31T10:20:30Z") == INT64_C(1738281600000) + 37230000);
    assert_true(at("2025-01-31T10:20:30.1") == INT64_C(1738281600000) + 37230100);
    assert_true(at("2025-01-31T10:20:30.123Z") == INT64_C(1738281600000) + 37230123);
    assert_true(at("2025-01-31T10:20:30.123999999Z") == INT64_C(1738281600000) + 37230123);
    assert_true(at("2025-01-31T10:20+05:30") == INT64_C(1738281600000) + 37200000 - 19800000);
    assert_true(at("2025-01-31T10:20-00:30") == INT64_C(1738281600000) + 37200000 + 1800000);
    assert_true(at("0001-01-01T00:00Z") == TIME_MS_MIN);
    assert_true(at("9999-12-31T23:59:59.999Z") == TIME_MS_MAX);
    assert_true(at("2024-02-29") == INT64_C(1709164800000));
    zone_free(zone);
}

static void other_texts_are_no_times(void **state)
{
    static const char *const texts[] = {
        "",
        "2025",
        "2025-1-31",
        "2025-13-01",
        "2025-00-01",
        "2025-02-29",
        "2025-04-31",
        "2025-01-00",
        "0000-01-01",
        "2025-01-31T",
        "2025-01-31T10",
        "2025-01-31T24:00",
        "2025-01-31T10:60",
        "2025-01-31T10:20:60",
        "2025-01-31T10:20:30.",
        "2025-01-31T10:20:30.1234567890",
        "2025-01-31T10:20:30z",
        "2025-01-31T10:20Zx",
        "2025-01-31T10:20+0530",
        "2025-01-31T10:20+24:00",
        "2025-01-31T10:20+05:60",
        "2025-01-31T10:20+",
        "2025-01-31x10:20",
        " 2025-01-31",
        "2025-01-31 ",
        "+025-01-31",
        "0001-01-01T00:00+00:01",
        "9999-12-31T23:59-00:01",
    };
    int64_t time_ms = 7;
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (calendar_parse(bytes_from(texts[i]), NULL, &time_ms, NULL))
            fail_msg("%s", texts[i]);
    assert_int_equal(time_ms, 7);
    assert_false(calendar_parse(bytes_of(NULL, 0), NULL, &time_ms, NULL));
}

static void assert_utc(int64_t time_ms, const char *expected)
{
    struct buf buf;
    buf_init(&buf, 100);
    calendar_put_utc(&buf, time_ms);
    buf_put_u8(&buf, 0);
    assert_string_equal((const char *)buf.ptr, expected);
    buf_done(&buf);
}

static void assert_local(int32_t offset_s, int64_t time_ms, const char *expected)
{
    struct zone *zone = NULL;
    struct buf buf;
    assert_int_equal(zone_fixed(offset_s, &zone).code, ERR_NONE);
    buf_init(&buf, 100);
    calendar_put_local(&buf, zone, time_ms);
    assert_int_equal(at("1970-01-01"), 0);
    int64_t again_ms;
    assert_true(calendar_parse(buf_bytes(&buf), NULL, &again_ms, NULL));
    assert_true(again_ms == time_ms); /* the same instant */
    buf_put_u8(&buf, 0);
    assert_string_equal((const char *)buf.ptr, expected);
    buf_done(&buf);
    zone_free(zone);
}

static void times_are_written_as_they_are_read(void **state)
{
    (void)state;
    assert_utc(0, "1970-01-01T00:00:00Z");
    assert_utc(-1, "1969-12-31T23:59:59.999Z");
    assert_utc(at("2025-01-31T10:20:30.120Z"), "2025-01-31T10:20:30.120Z");
    assert_utc(TIME_MS_MIN, "0001-01-01T00:00:00Z");
    assert_utc(TIME_MS_MAX, "9999-12-31T23:59:59.999Z");
    assert_local(0, 0, "1970-01-01T00:00:00+00:00");
    assert_local(19800, 0, "1970-01-01T05:30:00+05:30");
    assert_local(-12600, 5, "1969-12-31T20:30:00.005-03:30");
    assert_local(19270, 0, "1970-01-01T05:21:00+05:21"); /* 5:21:10 has no notation */
    assert_local(-10, 0, "1970-01-01T00:00:00+00:00");

    struct buf buf;
    buf_init(&buf, 100);
    calendar_put_day(&buf, 20119);
    assert_true(bytes_equal(buf_bytes(&buf), BYTES("2025-01-31")));
    calendar_put_utc(&buf, INT64_MAX); /* absurd, but harmless */
    calendar_put_utc(&buf, INT64_MIN);
    assert_int_equal(buf_err(&buf).code, ERR_NONE);
    buf_done(&buf);
}

/* --- fixed zones -------------------------------------------------------- */

static void a_fixed_zone_is_the_same_at_all_times(void **state)
{
    (void)state;
    struct zone *zone = NULL;
    assert_int_equal(zone_fixed(0, &zone).code, ERR_NONE);
    assert_string_equal(zone_name(zone), "UTC");
    assert_int_equal(zone_day(zone, -1), -1);
    assert_int_equal(zone_day(zone, 0), 0);
    assert_true(zone_day_start_ms(zone, 20119) == at("2025-01-31"));
    assert_true(zone_local_to_ms(zone, 20119, 1000) == at("2025-01-31T00:00:01"));
    zone_free(zone);

    assert_int_equal(zone_fixed(-12600, &zone).code, ERR_NONE);
    assert_string_equal(zone_name(zone), "-03:30");
    assert_int_equal(zone_offset_s(zone, INT64_MIN), -12600);
    assert_int_equal(zone_offset_s(zone, INT64_MAX), -12600);
    zone_free(zone);
    assert_int_equal(zone_fixed(19270, &zone).code, ERR_NONE);
    assert_string_equal(zone_name(zone), "+05:21:10");
    zone_free(zone);
    assert_int_equal(zone_fixed(100000, &zone).code, ERR_INVALID);
    assert_int_equal(zone_fixed(INT32_MIN, &zone).code, ERR_INVALID);
    zone_free(NULL);
}

static void units_begin_where_the_calendar_says(void **state)
{
    (void)state;
    struct zone *zone = NULL;
    assert_int_equal(zone_fixed(0, &zone).code, ERR_NONE);
    int64_t time_ms = at("2025-05-15T13:14:15.016"); /* a Thursday */
    assert_true(zone_floor_ms(zone, UNIT_MINUTE, MONDAY, time_ms) == at("2025-05-15T13:14"));
    assert_true(zone_floor_ms(zone, UNIT_HOUR, MONDAY, time_ms) == at("2025-05-15T13:00"));
    assert_true(zone_floor_ms(zone, UNIT_DAY, MONDAY, time_ms) == at("2025-05-15"));
    assert_true(zone_floor_ms(zone, UNIT_WEEK, MONDAY, time_ms) == at("2025-05-12"));
    assert_true(zone_floor_ms(zone, UNIT_WEEK, THURSDAY, time_ms) == at("2025-05-15"));
    assert_true(zone_floor_ms(zone, UNIT_WEEK, FRIDAY, time_ms) == at("2025-05-09"));
    assert_true(zone_floor_ms(zone, UNIT_WEEK, SUNDAY, time_ms) == at("2025-05-11"));
    assert_true(zone_floor_ms(zone, UNIT_MONTH, MONDAY, time_ms) == at("2025-05-01"));
    assert_true(zone_floor_ms(zone, UNIT_QUARTER, MONDAY, time_ms) == at("2025-04-01"));
    assert_true(zone_floor_ms(zone, UNIT_YEAR, MONDAY, time_ms) == at("2025-01-01"));
    assert_true(zone_floor_ms(zone, UNIT_WEEK, SUNDAY, at("1969-12-28")) == at("1969-12-28"));

    assert_true(zone_add_ms(zone, UNIT_MONTH, at("2025-01-01"), 13) == at("2026-02-01"));
    assert_true(zone_add_ms(zone, UNIT_MONTH, at("2025-01-01"), -1) == at("2024-12-01"));
    assert_true(zone_add_ms(zone, UNIT_QUARTER, at("2025-01-01"), -5) == at("2023-10-01"));
    assert_true(zone_add_ms(zone, UNIT_YEAR, at("2025-01-01"), 2) == at("2027-01-01"));
    assert_true(zone_add_ms(zone, UNIT_WEEK, at("2025-05-12"), -2) == at("2025-04-28"));
    assert_true(zone_add_ms(zone, UNIT_DAY, at("2025-02-28"), 1) == at("2025-03-01"));
    assert_true(zone_add_ms(zone, UNIT_HOUR, at("2025-02-28T23:00"), 2) == at("2025-03-01T01:00"));
    assert_true(zone_add_ms(zone, UNIT_MINUTE, at("2025-02-28"), -1) == at("2025-02-27T23:59"));
    zone_free(zone);
}

static void absurd_times_and_steps_do_no_harm(void **state)
{
    static const int64_t times[] = { INT64_MIN, INT64_MAX, TIME_MS_MIN, TIME_MS_MAX };
    static const int32_t steps[] = { INT32_MIN, -1, 0, 1, INT32_MAX };
    (void)state;
    struct zone *zone = NULL;
    assert_int_equal(zone_fixed(-3600, &zone).code, ERR_NONE);
    for (size_t i = 0; i < 4; i++) {
        (void)zone_local_to_ms(zone, INT32_MAX, times[i] / 2);
        (void)zone_day(zone, times[i]);
        for (enum calendar_unit unit = UNIT_MINUTE; unit <= UNIT_YEAR; unit++) {
            (void)zone_floor_ms(zone, unit, MONDAY, times[i]);
            for (size_t k = 0; k < 5; k++)
                (void)zone_add_ms(zone, unit, times[i], steps[k]);
        }
    }
    (void)zone_day_start_ms(zone, INT32_MIN);
    (void)zone_day_start_ms(zone, INT32_MAX);
    int64_t *bounds;
    size_t count;
    assert_int_equal(zone_buckets(zone, UNIT_DAY, MONDAY, INT64_MIN, 0, 10, &bounds, &count).code,
                     ERR_INVALID);
    assert_int_equal(zone_buckets(zone, UNIT_DAY, MONDAY, 5, 4, 10, &bounds, &count).code,
                     ERR_INVALID);
    assert_int_equal(zone_buckets(zone, UNIT_DAY, MONDAY, 5, 5, 10, &bounds, &count).code, 0);
    assert_int_equal(count, 1);
    free(bounds);
    assert_int_equal(
        zone_buckets(zone, UNIT_YEAR, MONDAY, TIME_MS_MIN, TIME_MS_MAX + 1, 10000, &bounds, &count)
            .code,
        0);
    assert_int_equal(count, 10001);
    free(bounds);
    zone_free(zone);
}

/* --- TZif --------------------------------------------------------------- */

struct transition {
    int64_t at_s;
    uint8_t type;
};

static void put_be(struct buf *buf, uint64_t value, int size)
{
    for (int i = size - 1; i >= 0; i--)
        buf_put_u8(buf, (uint8_t)(value >> (8 * i)));
}

/* Offsets of up to 3 types; `time_size` 4 or 8. */
static void put_block(struct buf *buf, char version, int time_size, const int32_t *offsets,
                      size_t type_count, const struct transition *transitions, size_t count)
{
    buf_put(buf, BYTES("TZif"));
    buf_put_u8(buf, (uint8_t)version);
    for (int i = 0; i < 15; i++)
        buf_put_u8(buf, 0);
    put_be(buf, 0, 4);
    put_be(buf, 0, 4);
    put_be(buf, 0, 4);
    put_be(buf, count, 4);
    put_be(buf, type_count, 4);
    put_be(buf, 4, 4);
    for (size_t i = 0; i < count; i++)
        put_be(buf, (uint64_t)transitions[i].at_s, time_size);
    for (size_t i = 0; i < count; i++)
        buf_put_u8(buf, transitions[i].type);
    for (size_t i = 0; i < type_count; i++) {
        put_be(buf, (uint32_t)offsets[i], 4);
        buf_put_u8(buf, 0);
        buf_put_u8(buf, 0);
    }
    buf_put(buf, BYTES("XXX\0"));
}

static const int32_t offsets[] = { 3600, 7200 };
static const struct transition transitions[] = { { 1000000, 1 }, { 2000000, 0 } };

static void put_file(struct buf *buf, char version, const char *rule, size_t transition_count)
{
    buf_init(buf, 1 << 16);
    put_block(buf, version, 4, offsets, 2, transitions, transition_count);
    if (version == 0)
        return;
    put_block(buf, version, 8, offsets, 2, transitions, transition_count);
    buf_printf(buf, "\n%s\n", rule);
}

static struct zone *parse(char version, const char *rule, size_t transition_count)
{
    struct buf buf;
    struct zone *zone = NULL;
    put_file(&buf, version, rule, transition_count);
    struct err err = zone_parse(BYTES("Test/Zone"), buf_bytes(&buf), &zone);
    if (err.code)
        fail_msg("%s: %s", rule, err.what);
    assert_string_equal(zone_name(zone), "Test/Zone");
    buf_done(&buf);
    return zone;
}

static void versions_1_to_4_are_read(void **state)
{
    static const char versions[] = { 0, '2', '3', '4' };
    (void)state;
    for (size_t i = 0; i < sizeof versions; i++) {
        struct zone *zone = parse(versions[i], "", 2);
        assert_int_equal(zone_offset_s(zone, INT64_MIN), 3600);
        assert_int_equal(zone_offset_s(zone, 999999999), 3600);
        assert_int_equal(zone_offset_s(zone, 1000000000), 7200);
        assert_int_equal(zone_offset_s(zone, 1999999999), 7200);
        assert_int_equal(zone_offset_s(zone, 2000000000), 3600);
        assert_int_equal(zone_offset_s(zone, INT64_MAX), 3600);
        zone_free(zone);
    }
}

static void an_hour_goes_on_when_the_clock_jumps_ahead_within_it(void **state)
{
    static const int32_t ahead[] = { 0, 600 };
    static const struct transition jump[] = { { 1000000, 1 } }; /* 13:46:40 becomes 13:56:40 */
    (void)state;
    struct zone *zone = NULL;
    struct buf buf;
    buf_init(&buf, 1000);
    put_block(&buf, 0, 4, ahead, 2, jump, 1);
    assert_int_equal(zone_parse(BYTES("x"), buf_bytes(&buf), &zone).code, ERR_NONE);
    buf_done(&buf);

    int64_t hour_ms = at("1970-01-12T13:00");
    int64_t next_ms = at("1970-01-12T13:50"); /* 14:00 on the clock */
    assert_true(zone_floor_ms(zone, UNIT_HOUR, MONDAY, next_ms - 1) == hour_ms);
    assert_true(zone_floor_ms(zone, UNIT_HOUR, MONDAY, next_ms) == next_ms);
    assert_true(zone_add_ms(zone, UNIT_HOUR, hour_ms, 1) == next_ms);
    assert_true(zone_add_ms(zone, UNIT_HOUR, next_ms - 1, 1) == next_ms);
    assert_true(zone_add_ms(zone, UNIT_HOUR, next_ms, -1) == hour_ms);
    assert_true(zone_add_ms(zone, UNIT_HOUR, next_ms + MS_PER_HOUR, -3) == hour_ms - MS_PER_HOUR);
    assert_true(zone_add_ms(zone, UNIT_HOUR, hour_ms - MS_PER_HOUR, 3) == next_ms + MS_PER_HOUR);
    /* The minute doesn't: 13:46 ends early, and the seconds of 13:56 that are left are another. */
    assert_true(zone_floor_ms(zone, UNIT_MINUTE, MONDAY, 1000000000) == 1000000000);
    assert_true(zone_add_ms(zone, UNIT_MINUTE, 1000000000, 1) == 1000020000);
    assert_true(zone_add_ms(zone, UNIT_MINUTE, 1000000000, -1) == 999960000);
    zone_free(zone);
}

struct rule_case {
    const char *rule;
    const char *time;
    int32_t offset_s;
};

static void the_rule_says_what_holds_after_the_last_transition(void **state)
{
    static const struct rule_case cases[] = {
        { "CET-1CEST,M3.5.0,M10.5.0/3", "2025-03-30T00:59:59Z", 3600 },
        { "CET-1CEST,M3.5.0,M10.5.0/3", "2025-03-30T01:00:00Z", 7200 },
        { "CET-1CEST,M3.5.0,M10.5.0/3", "2025-10-26T00:59:59Z", 7200 },
        { "CET-1CEST,M3.5.0,M10.5.0/3", "2025-10-26T01:00:00Z", 3600 },
        { "CET-1CEST,M3.5.0,M10.5.0/3", "2500-07-01T00:00:00Z", 7200 },
        { "<-03>3<-02>,M3.5.0/-2,M10.5.0/-1", "2025-03-29T00:59:59Z", -10800 },
        { "<-03>3<-02>,M3.5.0/-2,M10.5.0/-1", "2025-03-30T01:00:00Z", -7200 },
        { "IST-1GMT0,M10.5.0,M3.5.0/1", "2025-01-10T00:00:00Z", 0 },
        { "IST-1GMT0,M10.5.0,M3.5.0/1", "2025-07-10T00:00:00Z", 3600 },
        { "NZST-12NZDT,M9.5.0,M4.1.0/3", "2025-01-10T00:00:00Z", 46800 },
        { "NZST-12NZDT,M9.5.0,M4.1.0/3", "2025-07-10T00:00:00Z", 43200 },
        { "A0B,J60,J61", "2024-03-01T01:59:59Z", 0 },
        { "A0B,J60,J61", "2024-03-01T02:00:00Z", 3600 },
        { "A0B,J60,J61", "2023-03-01T02:00:00Z", 3600 },
        { "A0B,59,60", "2024-02-29T02:00:00Z", 3600 },
        { "A0B,59,60", "2023-03-01T02:00:00Z", 3600 },
        { "EST5EDT,0/0,J365/25", "2025-01-01T04:30:00Z", -14400 }, /* summer all year */
        { "EST5EDT,0/0,J365/25", "2025-07-01T00:00:00Z", -14400 },
        { "EST5EDT,0/0,J365/25", "2025-01-01T05:00:00Z", -14400 },
        { "EST5:30:15", "2025-01-01T05:00:00Z", 3600 }, /* no summer: the last one stays */
        { "A-1B-1:30:30,M4.1.6/24,M9.5.6/167", "2025-06-01T00:00:00Z", 5430 },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct zone *zone = parse('3', cases[i].rule, 2);
        int32_t offset_s = zone_offset_s(zone, at(cases[i].time));
        if (offset_s != cases[i].offset_s)
            fail_msg("%s at %s: %d", cases[i].rule, cases[i].time, offset_s);
        zone_free(zone);
    }
}

static void a_rule_without_transitions_holds_for_all_times(void **state)
{
    (void)state;
    struct zone *zone = parse('2', "EST5", 0);
    assert_int_equal(zone_offset_s(zone, 0), -18000);
    assert_int_equal(zone_offset_s(zone, INT64_MIN), -18000);
    zone_free(zone);
    zone = parse('2', "EST5EDT,M3.2.0,M11.1.0", 0);
    assert_int_equal(zone_offset_s(zone, at("0100-07-01")), -14400);
    assert_int_equal(zone_offset_s(zone, at("0100-12-01")), -18000);
    assert_int_equal(zone_offset_s(zone, at("2025-07-01")), -14400);
    zone_free(zone);
    zone = parse('2', "", 0);
    assert_int_equal(zone_offset_s(zone, 0), 3600);
    zone_free(zone);
}

static void rules_that_are_not_rules_are_corrupt(void **state)
{
    static const char *const rules[] = {
        "EST",
        "5",
        "EST5EDT",
        "EST5EDT,M3.2.0",
        "EST5EDT,M3.2.0,M11.1.0x",
        "EST5EDT,M13.2.0,M11.1.0",
        "EST5EDT,M3.6.0,M11.1.0",
        "EST5EDT,M3.0.0,M11.1.0",
        "EST5EDT,M3.2.7,M11.1.0",
        "EST5EDT,J0,J366",
        "EST5EDT,J366,J1",
        "EST5EDT,0,366",
        "EST26EDT,0,3",
        "EST5EDT,0/168,3",
        "EST5EDT,0/-168,3",
        "EST5EDT,0/1:60,3",
        "<EST5EDT,0,3",
        "EST5EDT99999999999,0,3",
        "EST5,",
    };
    (void)state;
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        struct buf buf;
        struct zone *zone = NULL;
        put_file(&buf, '2', rules[i], 2);
        if (zone_parse(BYTES("x"), buf_bytes(&buf), &zone).code != ERR_CORRUPT)
            fail_msg("%s", rules[i]);
        buf_done(&buf);
    }
}

static void a_file_cut_anywhere_or_with_a_byte_changed_is_refused_or_a_zone(void **state)
{
    (void)state;
    struct buf buf;
    struct zone *zone = NULL;
    put_file(&buf, '2', "CET-1CEST,M3.5.0,M10.5.0/3", 2);
    for (size_t cut = 0; cut < buf.len; cut++)
        assert_int_equal(zone_parse(BYTES("x"), bytes_slice(buf_bytes(&buf), 0, cut), &zone).code,
                         ERR_CORRUPT);
    for (size_t i = 0; i < buf.len; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            buf.ptr[i] ^= (uint8_t)(1u << bit);
            struct err err = zone_parse(BYTES("x"), buf_bytes(&buf), &zone);
            assert_true(err.code == ERR_NONE || err.code == ERR_CORRUPT);
            if (!err.code)
                zone_free(zone);
            buf.ptr[i] ^= (uint8_t)(1u << bit);
        }
    }
    buf_done(&buf);
}

static void transitions_out_of_order_and_wrong_types_are_corrupt(void **state)
{
    static const struct transition backwards[] = { { 2000, 1 }, { 1000, 0 } };
    static const struct transition wrong_type[] = { { 1000, 2 } };
    static const int32_t too_large[] = { 26 * 3600 };
    struct zone *zone = NULL;
    struct buf buf;
    (void)state;
    buf_init(&buf, 1000);
    put_block(&buf, 0, 4, offsets, 2, backwards, 2);
    assert_int_equal(zone_parse(BYTES("x"), buf_bytes(&buf), &zone).code, ERR_CORRUPT);
    buf_reset(&buf);
    put_block(&buf, 0, 4, offsets, 2, wrong_type, 1);
    assert_int_equal(zone_parse(BYTES("x"), buf_bytes(&buf), &zone).code, ERR_CORRUPT);
    buf_reset(&buf);
    put_block(&buf, 0, 4, offsets, 0, transitions, 0);
    assert_int_equal(zone_parse(BYTES("x"), buf_bytes(&buf), &zone).code, ERR_CORRUPT);
    buf_reset(&buf);
    put_block(&buf, 0, 4, too_large, 1, transitions, 0);
    assert_int_equal(zone_parse(BYTES("x"), buf_bytes(&buf), &zone).code, ERR_CORRUPT);
    buf_done(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_day_from_the_year_1_to_2400_comes_back),
        cmocka_unit_test(months_begin_where_the_month_before_ends),
        cmocka_unit_test(the_notations_of_a_time_are_read),
        cmocka_unit_test(other_texts_are_no_times),
        cmocka_unit_test(times_are_written_as_they_are_read),
        cmocka_unit_test(a_fixed_zone_is_the_same_at_all_times),
        cmocka_unit_test(units_begin_where_the_calendar_says),
        cmocka_unit_test(absurd_times_and_steps_do_no_harm),
        cmocka_unit_test(versions_1_to_4_are_read),
        cmocka_unit_test(an_hour_goes_on_when_the_clock_jumps_ahead_within_it),
        cmocka_unit_test(the_rule_says_what_holds_after_the_last_transition),
        cmocka_unit_test(a_rule_without_transitions_holds_for_all_times),
        cmocka_unit_test(rules_that_are_not_rules_are_corrupt),
        cmocka_unit_test(a_file_cut_anywhere_or_with_a_byte_changed_is_refused_or_a_zone),
        cmocka_unit_test(transitions_out_of_order_and_wrong_types_are_corrupt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

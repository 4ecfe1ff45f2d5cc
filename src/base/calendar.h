/*
 * calendar.h - days, civil dates, and time zones as tables of UTC boundaries.
 *
 * Times are milliseconds since 1970-01-01T00:00:00Z (int64_t). Days are numbered from
 * 1970-01-01 (day 0, a Thursday) in the proleptic Gregorian calendar. Supported: the
 * years 1 to 9999; functions that take text refuse others.
 */
#ifndef BASE_CALENDAR_H
#define BASE_CALENDAR_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"

#define MS_PER_SECOND INT64_C(1000)
#define MS_PER_MINUTE INT64_C(60000)
#define MS_PER_HOUR   INT64_C(3600000)
#define MS_PER_DAY    INT64_C(86400000)

#define TIME_MS_MIN INT64_C(-62135596800000) /* 0001-01-01T00:00:00.000Z */
#define TIME_MS_MAX INT64_C(253402300799999) /* 9999-12-31T23:59:59.999Z */

struct civil_date {
    int year;
    int month; /* 1 .. 12 */
    int day;   /* 1 .. 31 */
};

int32_t civil_to_day(struct civil_date date);
struct civil_date civil_from_day(int32_t day);
/* Months since 1970-01: 0 is January 1970; may be negative. */
int32_t civil_month_of_ms(int64_t time_ms); /* the UTC month that holds the time */
int64_t civil_month_start_ms(int32_t month);

/* A zone is an immutable table; made by zone_parse (from TZif bytes) or zone_fixed. */
struct zone;

/* From the bytes of a TZif file, version 1 to 4 (RFC 8536), with its footer's rule unrolled to
 * the year 2500. ERR_CORRUPT: not such a file. `name` is copied. */
MUST_CHECK struct err zone_parse(struct bytes name, struct bytes tzif, struct zone **out);
/* UTC plus `offset_s` seconds for all times; 0 is named "UTC". */
MUST_CHECK struct err zone_fixed(int32_t offset_s, struct zone **out);
void zone_free(struct zone *zone);
const char *zone_name(const struct zone *zone);

/* Seconds east of UTC at this time. */
int32_t zone_offset_s(const struct zone *zone, int64_t time_ms);
/* The local day (days since 1970-01-01 on the local calendar) of a time. */
int32_t zone_day(const struct zone *zone, int64_t time_ms);
/* The first instant of a local day. Where midnight doesn't exist (a gap), the first instant
 * after the gap; where it's there twice, the earlier one. So days tile the line: day d is
 * [zone_day_start_ms(d), zone_day_start_ms(d + 1)). */
int64_t zone_day_start_ms(const struct zone *zone, int32_t day);
/* A local wall-clock time as UTC. In a gap: the instant as if the offset before the gap still
 * held; when twice: the earlier. */
int64_t zone_local_to_ms(const struct zone *zone, int32_t day, int64_t ms_of_day);

enum calendar_unit {
    UNIT_MINUTE,
    UNIT_HOUR,
    UNIT_DAY,
    UNIT_WEEK, /* from `week_start` on */
    UNIT_MONTH,
    UNIT_QUARTER,
    UNIT_YEAR,
};

enum weekday { MONDAY = 1, TUESDAY, WEDNESDAY, THURSDAY, FRIDAY, SATURDAY, SUNDAY };

/* The start of the local unit that holds the time, in UTC ms. Hours and minutes are those of the
 * wall clock: an hour that comes twice in autumn is two buckets. */
int64_t zone_floor_ms(const struct zone *zone, enum calendar_unit unit, enum weekday week_start,
                      int64_t time_ms);
/* The start of the `n`th unit after (or before: n < 0) the one that starts at `start_ms`. */
int64_t zone_add_ms(const struct zone *zone, enum calendar_unit unit, int64_t start_ms, int32_t n);

/*
 * The boundaries of all units that touch [from_ms, to_ms): bounds_out[0] <= from_ms, the last is
 * >= to_ms; count_out bounds make count_out - 1 buckets. Freed by the caller with free().
 * ERR_LIMIT: more than max_buckets. */
MUST_CHECK struct err zone_buckets(const struct zone *zone, enum calendar_unit unit,
                                   enum weekday week_start, int64_t from_ms, int64_t to_ms,
                                   size_t max_buckets, int64_t **bounds_out, size_t *count_out);

/* Text. */

/* "2025-01-31", "2025-01-31T10:20[:30[.123]]" with "Z", "+05:30" or nothing: then it's the
 * zone's. `T` may be a space. False: not such a text or out of range. */
bool calendar_parse(struct bytes text, const struct zone *zone, int64_t *time_ms_out,
                    bool *is_date_only_out /* may be NULL */);
/* "2025-01-31T10:20:30.123Z"; the fraction is left out when it's 0. */
void calendar_put_utc(struct buf *buf, int64_t time_ms);
/* The same with the zone's offset: "2025-01-31T15:50:30+05:30". */
void calendar_put_local(struct buf *buf, const struct zone *zone, int64_t time_ms);
/* "2025-01-31" of a local day number. */
void calendar_put_day(struct buf *buf, int32_t day);

#endif

/*
 * zone.c - a time zone as a table, and finding the place in it.
 *
 * A zone is a row of segments, each with one offset. Looking up a time is done for every row of
 * a query, so it doesn't search: the time, in steps of 99 days, indexes the segment in effect at
 * the step's start, and from there the right one is the same, or the next one or two. The table
 * never changes once it's made, so any number of threads may read it.
 */
#include "base/zone_internal.h"

#include <stdio.h>
#include <stdlib.h>

/* --- building ----------------------------------------------------------- */

static bool has_room(struct zone_builder *builder)
{
    if (builder->count < builder->cap)
        return true;
    size_t cap = builder->cap ? builder->cap * 2 : 16;
    struct zone_segment *segments = realloc(builder->segments, cap * sizeof *segments);
    if (!segments)
        return false;
    builder->segments = segments;
    builder->cap = cap;
    return true;
}

struct err zone_builder_add(struct zone_builder *builder, int64_t at_ms, int32_t offset_s)
{
    assert(builder->count > 0 || at_ms == -ZONE_FAR_MS);
    struct zone_segment *last = builder->count ? &builder->segments[builder->count - 1] : NULL;

    if (at_ms > TIME_MS_MAX)
        return ok();
    if (last && (at_ms <= TIME_MS_MIN || at_ms == last->at_ms)) {
        last->offset_ms = offset_s * MS_PER_SECOND;
        if (builder->count > 1 && last[-1].offset_ms == last->offset_ms)
            builder->count--;
        return ok();
    }
    if (last && last->offset_ms == offset_s * MS_PER_SECOND)
        return ok();
    if (builder->count == ZONE_SEGMENTS_MAX)
        return err_new(ERR_LIMIT, "zone: too many changes");
    if (!has_room(builder))
        return err_new(ERR_NOMEM, "zone: build");
    builder->segments[builder->count++] =
        (struct zone_segment){ .at_ms = at_ms, .offset_ms = offset_s * MS_PER_SECOND };
    return ok();
}

void zone_builder_done(struct zone_builder *builder)
{
    free(builder->segments);
    *builder = (struct zone_builder){ .count = 0 };
}

static void fill_reached(struct zone *zone)
{
    int64_t reached_ms = -ZONE_FAR_MS;
    for (size_t i = 0; i < zone->count; i++) {
        struct zone_segment *segment = &zone->segments[i];
        segment->reached_ms = reached_ms;
        int64_t end_ms = segment[1].at_ms + segment->offset_ms;
        if (end_ms > reached_ms)
            reached_ms = end_ms;
    }
    zone->segments[zone->count].reached_ms = ZONE_FAR_MS;
}

static bool make_index(struct zone *zone)
{
    if (zone->count == 1) {
        zone->index_from_ms = INT64_MAX;
        return true;
    }
    int64_t first_ms = zone->segments[1].at_ms;
    int64_t last_ms = zone->segments[zone->count - 1].at_ms;
    zone->index_from_ms = first_ms;
    zone->index_count = (size_t)((last_ms - first_ms) >> ZONE_INDEX_SHIFT) + 1;
    zone->index = calloc(zone->index_count + 1, sizeof *zone->index);
    if (!zone->index)
        return false;

    uint32_t segment = 1;
    for (size_t b = 0; b < zone->index_count; b++) {
        int64_t start_ms = first_ms + (int64_t)(b << ZONE_INDEX_SHIFT);
        while (zone->segments[segment + 1].at_ms <= start_ms)
            segment++;
        zone->index[b] = segment;
    }
    zone->index[zone->index_count] = (uint32_t)zone->count - 1;
    return true;
}

struct err zone_builder_take(struct zone_builder *builder, struct bytes name, struct zone **out)
{
    assert(builder->count > 0);
    struct zone *zone = calloc(1, sizeof *zone);
    if (!zone || !has_room(builder)) {
        free(zone);
        return err_new(ERR_NOMEM, "zone: build");
    }
    builder->segments[builder->count] = (struct zone_segment){ .at_ms = ZONE_FAR_MS };
    zone->segments = builder->segments;
    zone->count = builder->count;
    *builder = (struct zone_builder){ .count = 0 };

    zone->name = malloc(name.len + 1);
    if (!zone->name || !make_index(zone)) {
        zone_free(zone);
        return err_new(ERR_NOMEM, "zone: build");
    }
    if (name.len)
        memcpy(zone->name, name.ptr, name.len);
    zone->name[name.len] = 0;
    fill_reached(zone);
    *out = zone;
    return ok();
}

struct err zone_fixed(int32_t offset_s, struct zone **out)
{
    if (offset_s <= -ZONE_OFFSET_LIMIT_S || offset_s >= ZONE_OFFSET_LIMIT_S)
        return err_new(ERR_INVALID, "zone: offset too large");

    char name[32] = "UTC";
    int seconds = offset_s < 0 ? -offset_s : offset_s;
    int len = 3;
    if (offset_s)
        len = snprintf(name, sizeof name, "%c%02d:%02d", offset_s < 0 ? '-' : '+', seconds / 3600,
                       seconds / 60 % 60);
    if (seconds % 60)
        len += snprintf(name + len, sizeof name - (size_t)len, ":%02d", seconds % 60);

    struct zone_builder builder = { .count = 0 };
    struct err err = zone_builder_add(&builder, -ZONE_FAR_MS, offset_s);
    if (!err.code)
        err = zone_builder_take(&builder, bytes_of(name, (size_t)len), out);
    zone_builder_done(&builder);
    return err;
}

void zone_free(struct zone *zone)
{
    if (!zone)
        return;
    free(zone->index);
    free(zone->segments);
    free(zone->name);
    free(zone);
}

const char *zone_name(const struct zone *zone)
{
    return zone->name;
}

/* --- places in the table ------------------------------------------------ */

/* Times far outside the calendar, as "from the beginning" may be, are brought to where sums of
 * them and days still fit. */
static int64_t tamed(int64_t time_ms)
{
    const int64_t most = INT64_C(100000000000000000);
    return time_ms < -most ? -most : time_ms > most ? most : time_ms;
}

static int64_t floor_to(int64_t value, int64_t unit)
{
    int64_t rest = value % unit;
    return value - (rest < 0 ? rest + unit : rest);
}

static int64_t day_ms(int64_t day)
{
    return tamed(day * MS_PER_DAY);
}

static const struct zone_segment *segment_at(const struct zone *zone, int64_t time_ms)
{
    if (time_ms < zone->index_from_ms)
        return zone->segments;
    size_t bucket = (size_t)((time_ms - zone->index_from_ms) >> ZONE_INDEX_SHIFT);
    if (bucket >= zone->index_count)
        return &zone->segments[zone->count - 1];

    size_t low = zone->index[bucket];
    size_t high = zone->index[bucket + 1];
    while (low < high) {
        size_t middle = (low + high + 1) / 2;
        if (zone->segments[middle].at_ms <= time_ms)
            low = middle;
        else
            high = middle - 1;
    }
    return &zone->segments[low];
}

static bool is_last(const struct zone *zone, const struct zone_segment *segment)
{
    return segment == &zone->segments[zone->count - 1];
}

/* No segment before it has a wall clock that gets past `local_ms`. */
static const struct zone_segment *segment_before_local(const struct zone *zone, int64_t local_ms)
{
    return segment_at(zone, local_ms - ZONE_OFFSET_LIMIT_S * MS_PER_SECOND);
}

/* The first instant at which the wall clock shows `local_ms` or more. */
static int64_t first_reach_ms(const struct zone *zone, int64_t local_ms)
{
    const struct zone_segment *segment = segment_before_local(zone, local_ms);
    while (!is_last(zone, segment) && segment[1].reached_ms <= local_ms)
        segment++;
    int64_t time_ms = local_ms - segment->offset_ms;
    return time_ms > segment->at_ms ? time_ms : segment->at_ms;
}

int32_t zone_offset_s(const struct zone *zone, int64_t time_ms)
{
    return (int32_t)(segment_at(zone, tamed(time_ms))->offset_ms / MS_PER_SECOND);
}

/* --- days --------------------------------------------------------------- */

/*
 * A wall clock that's put back over midnight shows a date, the next one, and the first one again.
 * Days must tile the line, so the next date has begun when it's first shown and doesn't stop: the
 * day of a time is the latest date that the wall clock had shown by then.
 */
static int32_t day_in(const struct zone_segment *segment, int64_t time_ms)
{
    int64_t local_ms = time_ms + segment->offset_ms;
    if (local_ms < segment->reached_ms)
        local_ms = segment->reached_ms - 1;
    return (int32_t)(floor_to(local_ms, MS_PER_DAY) / MS_PER_DAY);
}

int32_t zone_day(const struct zone *zone, int64_t time_ms)
{
    time_ms = tamed(time_ms);
    return day_in(segment_at(zone, time_ms), time_ms);
}

int64_t zone_day_start_ms(const struct zone *zone, int32_t day)
{
    return first_reach_ms(zone, day_ms(day));
}

/* The start of a day that `segment` has a part of. */
static int64_t day_start_near(const struct zone *zone, const struct zone_segment *segment,
                              int32_t day)
{
    int64_t local_ms = day_ms(day);
    if (local_ms < segment->reached_ms || local_ms >= segment[1].at_ms + segment->offset_ms)
        return first_reach_ms(zone, local_ms);
    int64_t start_ms = local_ms - segment->offset_ms;
    return start_ms > segment->at_ms ? start_ms : segment->at_ms;
}

int64_t zone_local_to_ms(const struct zone *zone, int32_t day, int64_t ms_of_day)
{
    int64_t local_ms = tamed(day_ms(day) + ms_of_day);
    const struct zone_segment *from = segment_before_local(zone, local_ms);
    int64_t until_ms = local_ms + ZONE_OFFSET_LIMIT_S * MS_PER_SECOND;

    for (const struct zone_segment *segment = from; segment->at_ms <= until_ms; segment++) {
        int64_t time_ms = local_ms - segment->offset_ms;
        if (time_ms >= segment->at_ms && time_ms < segment[1].at_ms)
            return time_ms;
    }
    /* It's in a gap: behind the end of one segment, before the start of the next. */
    const struct zone_segment *segment = from;
    while (local_ms < segment[1].at_ms + segment->offset_ms ||
           local_ms >= segment[1].at_ms + segment[1].offset_ms)
        segment++;
    return local_ms - segment->offset_ms;
}

/* --- units of whole days ------------------------------------------------ */

/* Clamped to days whose times are still fit to calculate with. */
static int32_t tamed_day(int64_t day)
{
    const int64_t most = 1000000000;
    return (int32_t)(day < -most ? -most : day > most ? most : day);
}

static int32_t month_first_day(int64_t months_since_0)
{
    const int64_t most = 12 * 2700000;
    months_since_0 = months_since_0 < -most ? -most : months_since_0 > most ? most : months_since_0;
    int64_t year = floor_to(months_since_0, 12) / 12;
    return civil_to_day((struct civil_date){
        .year = (int)year, .month = (int)(months_since_0 - year * 12) + 1, .day = 1 });
}

static int months_of(enum calendar_unit unit)
{
    return unit == UNIT_MONTH ? 1 : unit == UNIT_QUARTER ? 3 : 12;
}

/* The first day of the unit that holds `day`. */
static int32_t unit_first_day(enum calendar_unit unit, enum weekday week_start, int32_t day)
{
    if (unit == UNIT_DAY)
        return day;
    if (unit == UNIT_WEEK) {
        int64_t monday_based = (int64_t)day + 3 - ((int64_t)week_start - MONDAY);
        return (int32_t)(day - (monday_based - floor_to(monday_based, 7)));
    }
    struct civil_date date = civil_from_day(day);
    if (unit == UNIT_MONTH)
        return day - date.day + 1;
    int64_t month = (int64_t)date.year * 12 + date.month - 1;
    return month_first_day(floor_to(month, months_of(unit)));
}

/* The first day of the `n`th unit after the one that begins with `first_day`. */
static int32_t unit_add(enum calendar_unit unit, int32_t first_day, int64_t n)
{
    if (unit == UNIT_DAY)
        return tamed_day(first_day + n);
    if (unit == UNIT_WEEK)
        return tamed_day(first_day + n * 7);
    struct civil_date date = civil_from_day(first_day);
    return month_first_day((int64_t)date.year * 12 + date.month - 1 + n * months_of(unit));
}

/* --- hours and minutes -------------------------------------------------- */

static int64_t unit_ms(enum calendar_unit unit)
{
    return unit == UNIT_MINUTE ? MS_PER_MINUTE : MS_PER_HOUR;
}

/* The clock jumps ahead at the start of `segment`, but not out of the unit: it's the same hour
 * before and after. */
static bool continues(const struct zone_segment *segment, int64_t unit)
{
    int64_t before_ms = segment->at_ms + segment[-1].offset_ms;
    int64_t after_ms = segment->at_ms + segment->offset_ms;
    return after_ms > before_ms && floor_to(before_ms - 1, unit) == floor_to(after_ms, unit);
}

static int64_t clock_floor_ms(const struct zone *zone, int64_t unit, int64_t time_ms)
{
    const struct zone_segment *segment = segment_at(zone, time_ms);
    for (;;) {
        int64_t start_ms = floor_to(time_ms + segment->offset_ms, unit) - segment->offset_ms;
        if (start_ms >= segment->at_ms)
            return start_ms;
        if (!continues(segment, unit))
            return segment->at_ms;
        time_ms = segment->at_ms - 1;
        segment--;
    }
}

/* The end of the hour that holds the time. */
static int64_t clock_next_ms(const struct zone *zone, int64_t unit, int64_t time_ms)
{
    const struct zone_segment *segment = segment_at(zone, time_ms);
    for (;;) {
        int64_t end_ms = floor_to(time_ms + segment->offset_ms, unit) + unit - segment->offset_ms;
        if (end_ms <= segment[1].at_ms)
            return end_ms;
        segment++;
        if (!continues(segment, unit))
            return segment->at_ms;
        time_ms = segment->at_ms;
    }
}

/* Goes as far as it can within a segment at once, then over its edge. */
static int64_t clock_add_ms(const struct zone *zone, int64_t unit, int64_t time_ms, int64_t n)
{
    const int64_t most = INT64_C(100000000000000000);
    while (n != 0 && time_ms > -most && time_ms < most) {
        const struct zone_segment *segment = segment_at(zone, time_ms);
        int64_t start_ms = floor_to(time_ms + segment->offset_ms, unit) - segment->offset_ms;
        int64_t room =
            n > 0 ? (segment[1].at_ms - 1 - start_ms) / unit : (start_ms - segment->at_ms) / unit;
        if (start_ms < segment->at_ms && n < 0)
            room = -1; /* it began in an earlier segment, or with this one */
        int64_t steps = n > 0 ? n : -n;
        if (steps <= room)
            return start_ms + n * unit;
        if (room > 0) {
            time_ms = n > 0 ? start_ms + room * unit : start_ms - room * unit;
            n += n > 0 ? -room : room;
        }
        if (n > 0) {
            time_ms = clock_next_ms(zone, unit, time_ms);
            n--;
        } else {
            time_ms = clock_floor_ms(zone, unit, clock_floor_ms(zone, unit, time_ms) - 1);
            n++;
        }
    }
    return time_ms;
}

/* --- the door ----------------------------------------------------------- */

int64_t zone_floor_ms(const struct zone *zone, enum calendar_unit unit, enum weekday week_start,
                      int64_t time_ms)
{
    time_ms = tamed(time_ms);
    if (unit == UNIT_MINUTE || unit == UNIT_HOUR)
        return clock_floor_ms(zone, unit_ms(unit), time_ms);

    const struct zone_segment *segment = segment_at(zone, time_ms);
    int32_t day = unit_first_day(unit, week_start, day_in(segment, time_ms));
    return day_start_near(zone, segment, day);
}

int64_t zone_add_ms(const struct zone *zone, enum calendar_unit unit, int64_t start_ms, int32_t n)
{
    start_ms = tamed(start_ms);
    if (unit == UNIT_MINUTE || unit == UNIT_HOUR)
        return clock_add_ms(zone, unit_ms(unit), clock_floor_ms(zone, unit_ms(unit), start_ms), n);
    /* A week is counted from the day that starts there, whichever weekday that is. */
    int32_t day = zone_day(zone, start_ms);
    int32_t first_day = unit == UNIT_WEEK ? day : unit_first_day(unit, MONDAY, day);
    return zone_day_start_ms(zone, unit_add(unit, first_day, n));
}

struct bounds {
    int64_t *ptr;
    size_t count;
    size_t cap;
    size_t max;
};

static struct err bounds_add(struct bounds *bounds, int64_t bound_ms)
{
    if (bounds->count == bounds->max)
        return err_new(ERR_LIMIT, "zone: too many buckets");
    if (bounds->count == bounds->cap) {
        size_t cap = bounds->cap ? bounds->cap * 2 : 16;
        int64_t *ptr = realloc(bounds->ptr, cap * sizeof *ptr);
        if (!ptr)
            return err_new(ERR_NOMEM, "zone: buckets");
        bounds->ptr = ptr;
        bounds->cap = cap;
    }
    bounds->ptr[bounds->count++] = bound_ms;
    return ok();
}

static struct err add_clock_bounds(const struct zone *zone, int64_t unit, int64_t from_ms,
                                   int64_t to_ms, struct bounds *bounds)
{
    int64_t at_ms = clock_floor_ms(zone, unit, from_ms);
    struct err err = bounds_add(bounds, at_ms);
    while (!err.code && at_ms < to_ms) {
        at_ms = clock_next_ms(zone, unit, at_ms);
        err = bounds_add(bounds, at_ms);
    }
    return err;
}

/* Days that a zone skipped are empty, and no bucket. */
static struct err add_day_bounds(const struct zone *zone, enum calendar_unit unit,
                                 enum weekday week_start, int64_t from_ms, int64_t to_ms,
                                 struct bounds *bounds)
{
    int32_t day = unit_first_day(unit, week_start, zone_day(zone, from_ms));
    int64_t at_ms = zone_day_start_ms(zone, day);
    struct err err = bounds_add(bounds, at_ms);
    while (!err.code && at_ms < to_ms) {
        day = unit_add(unit, day, 1);
        int64_t next_ms = zone_day_start_ms(zone, day);
        if (next_ms > at_ms)
            err = bounds_add(bounds, next_ms);
        at_ms = next_ms;
    }
    return err;
}

struct err zone_buckets(const struct zone *zone, enum calendar_unit unit, enum weekday week_start,
                        int64_t from_ms, int64_t to_ms, size_t max_buckets, int64_t **bounds_out,
                        size_t *count_out)
{
    if (from_ms > to_ms || from_ms < TIME_MS_MIN || to_ms > TIME_MS_MAX + 1)
        return err_new(ERR_INVALID, "zone: range of buckets");

    struct bounds bounds = { .max = max_buckets < SIZE_MAX ? max_buckets + 1 : SIZE_MAX };
    struct err err;
    if (from_ms == to_ms)
        err = bounds_add(&bounds, from_ms);
    else if (unit == UNIT_MINUTE || unit == UNIT_HOUR)
        err = add_clock_bounds(zone, unit_ms(unit), from_ms, to_ms, &bounds);
    else
        err = add_day_bounds(zone, unit, week_start, from_ms, to_ms, &bounds);
    if (err.code) {
        free(bounds.ptr);
        return err;
    }
    *bounds_out = bounds.ptr;
    *count_out = bounds.count;
    return ok();
}

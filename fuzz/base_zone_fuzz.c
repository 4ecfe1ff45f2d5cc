/*
 * base_zone_fuzz.c - any bytes are refused as a zone, or are one that keeps the calendar's promises.
 *
 * Random bytes are hardly ever a TZif file, so the input is also read as a recipe for one: counts,
 * then the data, then a rule.
 */
#include "base/calendar.h"

#include "base/zone_internal.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_time(const struct zone *zone, int64_t time_ms)
{
    int32_t day = zone_day(zone, time_ms);
    assert(zone_day_start_ms(zone, day) <= time_ms);
    assert(zone_day_start_ms(zone, day + 1) > time_ms);
    assert(zone_day(zone, zone_day_start_ms(zone, day)) == day);

    for (enum calendar_unit unit = UNIT_MINUTE; unit <= UNIT_YEAR; unit++) {
        int64_t start_ms = zone_floor_ms(zone, unit, SUNDAY, time_ms);
        assert(start_ms <= time_ms);
        assert(zone_floor_ms(zone, unit, SUNDAY, start_ms) == start_ms);
        assert(zone_floor_ms(zone, unit, SUNDAY, start_ms - 1) < start_ms);
        int64_t next_ms = zone_add_ms(zone, unit, start_ms, 1);
        assert(next_ms >= start_ms);
        if (unit <= UNIT_HOUR) {
            assert(next_ms > time_ms);
            assert(zone_floor_ms(zone, unit, SUNDAY, next_ms - 1) == start_ms);
        }
    }
    int64_t local_ms = time_ms + zone_offset_s(zone, time_ms) * MS_PER_SECOND;
    int64_t again_ms = zone_local_to_ms(zone, 0, local_ms);
    assert(again_ms <= time_ms);
    assert(again_ms + zone_offset_s(zone, again_ms) * MS_PER_SECOND == local_ms);
}

static void check(struct bytes tzif)
{
    struct zone *zone;
    if (zone_parse(BYTES("fuzz"), tzif, &zone).code)
        return;
    for (size_t i = 1; i < zone->count && i < 16; i++) {
        assert(zone->segments[i].at_ms > zone->segments[i - 1].at_ms);
        for (int64_t delta = -2; delta <= 2; delta++) {
            check_time(zone, zone->segments[i].at_ms + delta);
            check_time(zone, zone->segments[i].at_ms + delta * 13 * MS_PER_HOUR);
        }
    }
    check_time(zone, 0);
    check_time(zone, TIME_MS_MIN);
    check_time(zone, TIME_MS_MAX);
    zone_free(zone);
}

static void put_be(struct buf *buf, uint64_t value, int len)
{
    for (int i = len - 1; i >= 0; i--)
        buf_put_u8(buf, (uint8_t)(value >> (8 * i)));
}

static uint8_t next(struct bytes *data)
{
    uint8_t byte = data->len ? data->ptr[0] : 0;
    *data = bytes_slice(*data, 1, SIZE_MAX);
    return byte;
}

static void put_header(struct buf *buf, uint64_t times, uint64_t types)
{
    buf_put(buf, BYTES("TZif2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"));
    put_be(buf, 0, 4);
    put_be(buf, 0, 4);
    put_be(buf, 0, 4);
    put_be(buf, times, 4);
    put_be(buf, types, 4);
    put_be(buf, 0, 4);
}

static void put_rule(struct buf *buf, struct bytes *data)
{
    static const char *const rules[] = {
        "",
        "CET-1CEST,M3.5.0,M10.5.0/3",
        "EST5EDT,0/0,J365/25",
        "<-03>3<-02>,M3.5.0/-2,M10.5.0/-1",
        "A-14B10,J1/-167,J300/167",
        "IST-1GMT0,M10.5.0,M3.5.0/1",
        "A25B-25,0,365/167",
    };
    uint8_t which = next(data);
    buf_put_u8(buf, '\n');
    if (which % 8 == 7)
        buf_put(buf, *data);
    else
        buf_printf(buf, "%s", rules[which % 8]);
    buf_put_u8(buf, '\n');
}

static void check_recipe(struct bytes data)
{
    struct buf buf;
    buf_init(&buf, 1 << 16);
    size_t times = next(&data) % 24;
    size_t types = 1 + next(&data) % 4;

    put_header(&buf, 0, 1);
    put_be(&buf, 0, 6);
    put_header(&buf, times, types);
    int64_t at_s = -4000000000 + (int64_t)next(&data) * 20000000;
    for (size_t i = 0; i < times; i++) {
        at_s += 1 + (int64_t)next(&data) * (next(&data) % 2 ? 100 : 100000);
        put_be(&buf, (uint64_t)at_s, 8);
    }
    for (size_t i = 0; i < times; i++)
        buf_put_u8(&buf, (uint8_t)(next(&data) % types));
    for (size_t i = 0; i < types; i++) {
        int32_t offset_s = (int32_t)(int8_t)next(&data) * 731; /* up to 26 hours */
        put_be(&buf, (uint32_t)offset_s, 4);
        put_be(&buf, 0, 2);
    }
    put_rule(&buf, &data);
    check(buf_bytes(&buf));
    buf_done(&buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check(bytes_of(data, size));
    if (size > 2)
        check_recipe(bytes_of(data, size));
    return 0;
}

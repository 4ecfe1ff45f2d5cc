/*
 * generate.c - the clickstream.
 *
 * A session starts with App Launched (or, one in eight, Push Received) and walks `NEXT`: row = the
 * event now, column = the event next, in percent; what is left of 100 ends the session. Users are
 * picked by a power law over those who have joined; the pick is scrambled so that activity and
 * number are unrelated. Products are picked by a power law too; what a product costs and which
 * category it's in are functions of the product.
 */
#include "bench/bench.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define DAY_MS   INT64_C(86400000)
#define FIRST_MS INT64_C(1735689600000) /* 2025-01-01T00:00:00Z */

enum {
    LAUNCHED = 0,
    CATEGORY_VIEWED = 3,
    PRODUCT_VIEWED = 4,
    ADDED_TO_CART = 6,
    CART_VIEWED = 8,
    CHARGED = 10,
    COUPON_APPLIED = 11,
    PUSH_RECEIVED = 12,
    SESSION_MAX = 200,
    DAY_SLACK = 4096
};

static const char *const NAMES[BENCH_EVENT_TYPES] = {
    "App Launched",   "Page Viewed",          "Search",        "Category Viewed",
    "Product Viewed", "Added to Wishlist",    "Added to Cart", "Removed from Cart",
    "Cart Viewed",    "Checkout Started",     "Charged",       "Coupon Applied",
    "Push Received",  "Notification Clicked",
};

static const char *const PLATFORMS[] = { "Android", "iOS", "Web", "mWeb" };

static const uint8_t NEXT[BENCH_EVENT_TYPES][BENCH_EVENT_TYPES] = {
    { 0, 30, 20, 20, 15, 0, 0, 0, 3, 0, 0, 0, 2, 0 },
    { 0, 35, 12, 15, 22, 0, 0, 0, 2, 0, 0, 0, 1, 0 },
    { 0, 5, 20, 5, 60, 0, 0, 0, 1, 0, 0, 0, 0, 0 },
    { 0, 8, 6, 22, 52, 0, 0, 0, 1, 0, 0, 0, 0, 0 },
    { 0, 12, 8, 12, 42, 4, 9, 0, 1, 0, 0, 0, 1, 0 },
    { 0, 10, 5, 10, 50, 2, 8, 0, 2, 0, 0, 0, 0, 0 },
    { 0, 8, 4, 6, 30, 1, 6, 4, 25, 8, 0, 0, 0, 0 },
    { 0, 10, 5, 10, 35, 0, 5, 5, 15, 0, 0, 0, 0, 0 },
    { 0, 8, 3, 3, 15, 0, 2, 8, 5, 38, 0, 8, 0, 0 },
    { 0, 5, 0, 0, 5, 0, 0, 2, 8, 5, 55, 10, 0, 0 },
    { 0, 30, 5, 5, 10, 0, 0, 0, 0, 0, 0, 0, 5, 0 },
    { 0, 3, 0, 0, 2, 0, 0, 0, 10, 60, 10, 5, 0, 0 },
    { 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 12 },
    { 70, 0, 0, 0, 20, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
};

/* xorshift128+, as the published data was made with. */
struct source {
    uint64_t state[2];
};

static uint64_t next_random(struct source *source)
{
    uint64_t a = source->state[0];
    uint64_t b = source->state[1];
    source->state[0] = b;
    a ^= a << 23;
    source->state[1] = a ^ b ^ (a >> 17) ^ (b >> 26);
    return source->state[1] + b;
}

static double next_unit(struct source *source)
{
    return (double)(next_random(source) >> 11) * (1.0 / 9007199254740992.0);
}

struct day {
    struct source *source;
    uint32_t users;
    uint32_t days;
    uint32_t number;
    uint64_t wanted;
    uint64_t count;
    struct bench_event *events;
};

static uint32_t pick_platform(uint32_t user)
{
    uint32_t tenth = ((user * 7919u) >> 3) % 10;
    if (tenth < 5)
        return 0;
    return tenth < 8 ? 1 : tenth < 9 ? 2 : 3;
}

static uint32_t pick_city(uint32_t user)
{
    double unit = (double)((user * UINT64_C(0x9E3779B97F4A7C15)) >> 40) / 16777216.0;
    return (uint32_t)(unit * unit * unit * 300);
}

static uint32_t pick_user(struct day *day)
{
    uint32_t joined =
        day->users / 3 + (uint32_t)((double)day->users * 2 / 3 * (day->number + 1) / day->days);
    double skewed = pow(next_unit(day->source), 2.2);
    uint32_t rank = (uint32_t)(skewed * joined);
    return (uint32_t)(((uint64_t)rank * UINT64_C(2654435761)) % day->users);
}

/* Fills in what belongs to the product in view. Returns the product, which stays in view. */
static uint32_t fill_product(struct source *source, struct bench_event *event, uint32_t product)
{
    uint32_t type = event->event;
    if (type == PRODUCT_VIEWED) {
        double unit = next_unit(source);
        product = 1 + (uint32_t)(unit * unit * unit * 100000);
    }
    if (type < CATEGORY_VIEWED || type > COUPON_APPLIED || type == CART_VIEWED)
        return product;
    if (product == 0)
        product = 1 + (uint32_t)(pow(next_unit(source), 3) * 100000);
    uint64_t hash = product * UINT64_C(0xD6E8FEB86659FD93);
    event->category = 1 + (uint32_t)(hash >> 58) % 50;
    if (type == CATEGORY_VIEWED)
        return product;
    event->product = product;
    event->price = (uint32_t)(99 + 100 * ((hash >> 32) % 500));
    if (type == ADDED_TO_CART || type == CHARGED) {
        /* One draw decides whether more than one, a second how many. Both are drawn always. */
        uint32_t is_several = next_random(source) % 10 == 0;
        event->quantity = 1 + is_several * (uint32_t)(next_random(source) % 4);
    }
    return product;
}

static int pick_next(struct source *source, uint32_t type)
{
    int percent = (int)(next_random(source) % 100);
    int sum = 0;
    for (int next = 0; next < BENCH_EVENT_TYPES; next++) {
        sum += NEXT[type][next];
        if (percent < sum)
            return next;
    }
    return -1;
}

static void add_session(struct day *day)
{
    struct source *source = day->source;
    uint32_t user = pick_user(day);
    double night = next_unit(source);
    double hour = night < 0.15 ? next_unit(source) * 8 : 0;
    if (night >= 0.15) {
        double first = next_unit(source);
        hour = 8 + (first + next_unit(source)) * 8;
    }
    int64_t time_ms = (int64_t)day->number * DAY_MS + (int64_t)(hour * 3600000.0);
    uint32_t type = next_unit(source) < 0.12 ? PUSH_RECEIVED : LAUNCHED;
    uint32_t product = 0;

    for (int step = 0; step < SESSION_MAX && day->count < day->wanted + SESSION_MAX; step++) {
        struct bench_event *event = &day->events[day->count++];
        *event = (struct bench_event){
            .time_ms = FIRST_MS + time_ms,
            .user = user,
            .event = type,
            .platform = pick_platform(user),
            .city = pick_city(user),
        };
        product = fill_product(source, event, product);
        time_ms += 1000 + (int64_t)(-log(1 - next_unit(source)) * 18000);
        int next = pick_next(source, type);
        if (next < 0)
            return;
        type = (uint32_t)next;
    }
}

static int by_time(const void *a, const void *b)
{
    const struct bench_event *x = a;
    const struct bench_event *y = b;
    return (x->time_ms > y->time_ms) - (x->time_ms < y->time_ms);
}

struct err bench_generate(uint64_t events, uint32_t users, uint32_t days, bench_visit_fn *visit,
                          void *ctx)
{
    struct source source = { { UINT64_C(0x9E3779B97F4A7C15), UINT64_C(0xD1B54A32D192ED03) } };
    if (events == 0 || users == 0 || days == 0)
        return err_new(ERR_INVALID, "bench: nothing to generate");
    struct day day = { .source = &source, .users = users, .days = days, .wanted = events / days };
    day.events = malloc((day.wanted + DAY_SLACK) * sizeof *day.events);
    if (!day.events)
        return err_new(ERR_NOMEM, "bench: generate");

    struct err err = ok();
    for (day.number = 0; day.number < days && !err.code; day.number++) {
        day.count = 0;
        while (day.count < day.wanted)
            add_session(&day);
        qsort(day.events, day.count, sizeof *day.events, by_time);
        for (uint64_t i = 0; i < day.count && !err.code; i++)
            err = visit(ctx, &day.events[i]);
    }
    free(day.events);
    return err;
}

const char *bench_event_name(uint32_t event)
{
    return NAMES[event];
}

/* What every event of this kind says besides; only in the upload's form. */
static void put_extras(struct buf *buf, const struct bench_event *event)
{
    buf_printf(buf, ",\"Screen\":\"home_%u\",\"Session\":%u,\"Network\":\"4G\"", event->city % 7,
               event->user % 997);
}

static void put_json(struct buf *buf, const struct bench_event *event, bool is_lean)
{
    buf_printf(buf,
               "{\"identity\":\"user_%010u\",\"type\":\"event\",\"ts\":%lld,\"evtName\":\"%s\","
               "\"evtData\":{\"Platform\":\"%s\",\"City\":\"city_%u\"",
               bench_identity(event->user), (long long)event->time_ms, NAMES[event->event],
               PLATFORMS[event->platform], event->city);
    if (event->product)
        buf_printf(buf, ",\"Product ID\":%u,\"Category\":\"cat_%u\",\"Price\":%.2f", event->product,
                   event->category, (double)event->price / 100.0);
    else if (!is_lean)
        put_extras(buf, event);
    else if (event->category)
        buf_printf(buf, ",\"Category\":\"cat_%u\"", event->category);
    if (event->quantity)
        buf_printf(buf, ",\"Quantity\":%u", event->quantity);
    buf_put(buf, BYTES("}}\n"));
}

/* Absent values are empty fields. */
static void put_csv(struct buf *buf, const struct bench_event *event)
{
    buf_printf(buf, "%lld,%u,%s,%s,city_%u,", (long long)event->time_ms, event->user,
               NAMES[event->event], PLATFORMS[event->platform], event->city);
    if (event->product)
        buf_printf(buf, "%u,", event->product);
    else
        buf_put(buf, BYTES(","));
    if (event->category)
        buf_printf(buf, "cat_%u,", event->category);
    else
        buf_put(buf, BYTES(","));
    if (event->product)
        buf_printf(buf, "%u,", event->price);
    else
        buf_put(buf, BYTES(","));
    if (event->quantity)
        buf_printf(buf, "%u", event->quantity);
    buf_put(buf, BYTES("\n"));
}

/* The prototype's row of 26 bytes. */
static void put_row(struct buf *buf, const struct bench_event *event)
{
    buf_put_le64(buf, (uint64_t)(event->time_ms - FIRST_MS));
    buf_put_le32(buf, event->user);
    buf_put_u8(buf, (uint8_t)event->event);
    buf_put_u8(buf, (uint8_t)event->platform);
    buf_put_le16(buf, (uint16_t)event->city);
    buf_put_le32(buf, event->product);
    buf_put_u8(buf, (uint8_t)event->category);
    buf_put_le32(buf, event->price);
    buf_put_u8(buf, (uint8_t)event->quantity);
}

void bench_put(struct buf *buf, const struct bench_event *event, enum bench_form form)
{
    switch (form) {
    case BENCH_UPLOAD:
    case BENCH_LEAN:
        put_json(buf, event, form == BENCH_LEAN);
        break;
    case BENCH_CSV:
        put_csv(buf, event);
        break;
    case BENCH_ROWS:
        put_row(buf, event);
        break;
    }
}

uint32_t bench_identity(uint32_t user)
{
    return user * 7u;
}

/* As the generator scrambles a rank, so that the sample has its share of the busy and the idle. */
uint32_t bench_sample(uint32_t number, uint32_t of, uint32_t users)
{
    uint64_t rank = (uint64_t)number * users / of;
    return (uint32_t)((rank * UINT64_C(2654435761)) % users);
}

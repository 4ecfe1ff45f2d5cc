#include "generate.h"

#include <math.h>
#include <stdlib.h>

enum { SESSION_MAX = 200 };

const char *const GENERATE_NAMES[GENERATE_TYPES] = {
    "App Launched",   "Page Browsed",         "Searched",      "Category Viewed",
    "Product Viewed", "Wishlisted",           "Added to Cart", "Removed from Cart",
    "Cart Viewed",    "Checkout Started",     "Charged",       "Coupon Applied",
    "Push Received",  "Notification Clicked",
};

/* Percent to go from a row's event to a column's; the rest ends the session. */
static const uint8_t NEXT[GENERATE_TYPES][GENERATE_TYPES] = {
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

static uint64_t draw(struct generator *g)
{
    uint64_t a = g->state[0];
    uint64_t b = g->state[1];
    g->state[0] = b;
    a ^= a << 23;
    g->state[1] = a ^ b ^ (a >> 17) ^ (b >> 26);
    return g->state[1] + b;
}

static double unit(struct generator *g)
{
    return (double)(draw(g) >> 11) * (1.0 / 9007199254740992.0);
}

void generator_init(struct generator *generator, uint64_t events, uint32_t users, uint32_t days)
{
    *generator = (struct generator){
        .state = { 0x9E3779B97F4A7C15u, 0xD1B54A32D192ED03u },
        .per_day = events / days,
        .users = users,
        .days = days,
    };
}

static uint32_t draw_user(struct generator *g)
{
    uint32_t joined = g->users / 3 + (uint32_t)((double)g->users * 2 / 3 * (g->day + 1) / g->days);
    uint32_t rank = (uint32_t)(pow(unit(g), 2.2) * joined);
    return (uint32_t)((uint64_t)rank * 2654435761u % g->users);
}

static void draw_properties(struct generator *g, struct generated *row, uint32_t *product)
{
    if (row->event == 4)
        *product = 1 + (uint32_t)(pow(unit(g), 3) * 100000);
    if (row->event < 3 || row->event > 11 || row->event == 8)
        return;
    if (!*product)
        *product = 1 + (uint32_t)(pow(unit(g), 3) * 100000);
    uint64_t hash = *product * UINT64_C(0xD6E8FEB86659FD93);
    row->category = (uint8_t)(1 + (hash >> 58) % 50);
    if (row->event == 3)
        return;
    row->product = *product;
    row->price = (uint32_t)(99 + 100 * ((hash >> 32) % 500));
    if (row->event == 6 || row->event == 10)
        row->quantity = (uint8_t)(1 + (draw(g) % 10 == 0) * (draw(g) % 4));
}

static int next_event(struct generator *g, uint8_t event)
{
    uint32_t dice = (uint32_t)(draw(g) % 100);
    uint32_t sum = 0;
    for (int next = 0; next < GENERATE_TYPES; next++) {
        sum += NEXT[event][next];
        if (dice < sum)
            return next;
    }
    return -1;
}

/* One visit, behind the `count` rows that are there; returns how many there are then. */
static uint64_t draw_session(struct generator *g, struct generated *rows, uint64_t count)
{
    uint32_t user = draw_user(g);
    double hour = unit(g) < 0.15 ? unit(g) * 8 : 8 + (unit(g) + unit(g)) * 8;
    int64_t time = (int64_t)g->day * 86400000 + (int64_t)(hour * 3600000.0);
    uint32_t platform = (user * 7919u >> 3) % 10;
    double city = (double)(user * UINT64_C(0x9E3779B97F4A7C15) >> 40) / 16777216.0;
    uint32_t product = 0;
    int event = unit(g) < 0.12 ? 12 : 0;
    for (int k = 0; k < SESSION_MAX && count < g->per_day + SESSION_MAX && event >= 0; k++) {
        struct generated *row = &rows[count++];
        *row = (struct generated){
            .time_ms = time,
            .user = user,
            .event = (uint8_t)event,
            .platform = (uint8_t)(platform < 5   ? 0
                                  : platform < 8 ? 1
                                  : platform < 9 ? 2
                                                 : 3),
            .city = (uint16_t)(city * city * city * 300),
        };
        draw_properties(g, row, &product);
        time += 1000 + (int64_t)(-log(1 - unit(g)) * 18000);
        event = next_event(g, row->event);
    }
    return count;
}

static int compare_times(const void *a, const void *b)
{
    const struct generated *left = a;
    const struct generated *right = b;
    return (left->time_ms > right->time_ms) - (left->time_ms < right->time_ms);
}

struct generated *generator_day(struct generator *g, uint64_t *count_out)
{
    *count_out = 0;
    struct generated *rows = malloc((g->per_day + 2 * SESSION_MAX) * sizeof *rows);
    if (!rows || g->day == g->days)
        return rows;
    while (*count_out < g->per_day)
        *count_out = draw_session(g, rows, *count_out);
    qsort(rows, *count_out, sizeof *rows, compare_times);
    g->day++;
    return rows;
}

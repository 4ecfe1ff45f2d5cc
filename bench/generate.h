/*
 * generate.h - the benchmark's data: the clickstream of a shop, in order of time; the same for the
 * same arguments on every machine. Users join over time and are active by a power law; sessions walk
 * a table of transitions.
 */
#ifndef BENCH_GENERATE_H
#define BENCH_GENERATE_H

#include <stdint.h>

enum {
    GENERATE_TYPES = 14,
    GENERATE_PLATFORMS = 4,
    GENERATE_CITIES = 300,
    GENERATE_PRODUCTS = 100001
};

struct generated {
    int64_t time_ms; /* from the first day's start */
    uint32_t user;
    uint8_t event;
    uint8_t platform;
    uint16_t city;
    uint32_t product; /* 0: none */
    uint8_t category;
    uint32_t price; /* 0: none */
    uint8_t quantity;
};

struct generator {
    uint64_t state[2];
    uint64_t per_day;
    uint32_t users;
    uint32_t days;
    uint32_t day;
};

extern const char *const GENERATE_NAMES[GENERATE_TYPES];

void generator_init(struct generator *generator, uint64_t events, uint32_t users, uint32_t days);
/* One day's events, sorted by time, in an array that's the caller's to free; *count_out 0 after the
 * last day. NULL: no memory. */
struct generated *generator_day(struct generator *generator, uint64_t *count_out);

#endif

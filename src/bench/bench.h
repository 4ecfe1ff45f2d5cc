/*
 * bench.h - the published benchmarks: one generator, one seed, the same questions.
 *
 *     kolam bench gen --events 10000000 --users 400000 --days 90 > events.ndjson
 *     kolam bench query --data DIR --project P [--repeat 5]
 */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include "base/buf.h"
#include "base/err.h"

#include <stdint.h>

/* A synthetic e-commerce clickstream of `days` days from 2025-01-01 on, in time order within each
 * day: skewed users who join over time, sessions that walk a table of transitions between 14 event
 * types. The same arguments always give the same events: those of shared/prototype/gen.c, so its
 * published numbers are of the same data. */
struct bench_event {
    int64_t time_ms;
    uint32_t user;
    uint32_t event; /* below BENCH_EVENT_TYPES */
    uint32_t platform;
    uint32_t city;
    uint32_t product;  /* 0: none */
    uint32_t category; /* 0: none */
    uint32_t price;    /* hundredths */
    uint32_t quantity; /* 0: none */
};
enum { BENCH_EVENT_TYPES = 14 };

/* Visits the events; an error stops it and is its result. ERR_NOMEM. */
typedef struct err bench_visit_fn(void *ctx, const struct bench_event *event);
MUST_CHECK struct err bench_generate(uint64_t events, uint32_t users, uint32_t days,
                                     bench_visit_fn *visit, void *ctx);
const char *bench_event_name(uint32_t event);

enum bench_form {
    BENCH_UPLOAD, /* a line of JSON in the shape of CleverTap's upload, with a few properties more */
    BENCH_LEAN,   /* the same line with what bench_event has and no more */
    BENCH_CSV,    /* time, user, event, platform, city, product, category, price, quantity */
    BENCH_ROWS    /* 26 bytes, little-endian, codes for names, time from 2025-01-01 on */
};
void bench_put(struct buf *buf, const struct bench_event *event, enum bench_form form);
/* The JSON forms call a user `user_%010u` of this. */
uint32_t bench_identity(uint32_t user);
/* User `number` of a sample of `of`, spread evenly over how busy they are. */
uint32_t bench_sample(uint32_t number, uint32_t of, uint32_t users);

/* `kolam bench …`: argv[0] is "bench". Returns the exit status. */
int bench_main(int argc, char **argv);

#endif

/* ask.h - the published questions asked of a project that holds the published events. */
#ifndef BENCH_ASK_H
#define BENCH_ASK_H

#include <stdbool.h>
#include <stdint.h>

struct bench_ask {
    const char *data;    /* the folder */
    const char *project; /* its name or id */
    uint32_t repeat;
    uint32_t threads;
    uint32_t timelines; /* so many users' timelines too; 0: none */
    uint32_t users;     /* as the events were made with; for the sample of timelines */
    uint64_t cache_bytes;
    bool is_json;
};
/* Prints a line for each question. Returns the exit status. */
int bench_ask(const struct bench_ask *how);

#endif

/* rng.h - a seeded generator for tests, benchmarks and sampling; never for secrets, never behind
 * the log. */
#ifndef BASE_RNG_H
#define BASE_RNG_H

#include <stdint.h>

struct rng {
    uint64_t state[2];
};

void rng_init(struct rng *rng, uint64_t seed);
uint64_t rng_next(struct rng *rng);
/* 0 .. bound - 1, bound > 0; without bias. */
uint64_t rng_below(struct rng *rng, uint64_t bound);
/* [0, 1). */
double rng_unit(struct rng *rng);

#endif

/* rng.c - xoroshiro128++, seeded through splitmix64. */
#include "base/rng.h"

#include <assert.h>

static uint64_t rotate(uint64_t value, unsigned by)
{
    return value << by | value >> (64 - by);
}

static uint64_t splitmix(uint64_t *state)
{
    *state += 0x9e3779b97f4a7c15;
    uint64_t value = *state;
    value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9;
    value = (value ^ value >> 27) * 0x94d049bb133111eb;
    return value ^ value >> 31;
}

void rng_init(struct rng *rng, uint64_t seed)
{
    rng->state[0] = splitmix(&seed);
    rng->state[1] = splitmix(&seed);
}

uint64_t rng_next(struct rng *rng)
{
    uint64_t a = rng->state[0];
    uint64_t b = rng->state[1];
    uint64_t result = rotate(a + b, 17) + a;
    b ^= a;
    rng->state[0] = rotate(a, 49) ^ b ^ b << 21;
    rng->state[1] = rotate(b, 28);
    return result;
}

uint64_t rng_below(struct rng *rng, uint64_t bound)
{
    assert(bound > 0);
    /* The numbers from `biased` on are a whole multiple of `bound`. */
    uint64_t biased = (UINT64_MAX - bound + 1) % bound;
    uint64_t value;
    do
        value = rng_next(rng);
    while (value < biased);
    return value % bound;
}

double rng_unit(struct rng *rng)
{
    return (double)(rng_next(rng) >> 11) * 0x1p-53;
}

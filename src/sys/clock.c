/* clock.c - the machine's clocks, and one that stands still. */
#include "sys/clock.h"

#include <assert.h>
#include <time.h>

static int64_t read_ns(clockid_t id)
{
    struct timespec now;
    int result = clock_gettime(id, &now);
    assert(result == 0);
    (void)result;
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int64_t real_now_ms(struct clock *clock)
{
    (void)clock;
    return read_ns(CLOCK_REALTIME) / 1000000;
}

static int64_t real_mono_ns(struct clock *clock)
{
    (void)clock;
    return read_ns(CLOCK_MONOTONIC);
}

struct clock *clock_real(void)
{
    static struct clock real = { .now_ms = real_now_ms, .mono_ns = real_mono_ns };
    return &real;
}

static int64_t sim_now_ms(struct clock *clock)
{
    return ((struct clock_sim *)clock)->ms;
}

static int64_t sim_mono_ns(struct clock *clock)
{
    return ((struct clock_sim *)clock)->ns;
}

void clock_sim_init(struct clock_sim *sim, int64_t now_ms)
{
    *sim = (struct clock_sim){
        .clock = { .now_ms = sim_now_ms, .mono_ns = sim_mono_ns },
        .ms = now_ms,
    };
}

void clock_sim_advance(struct clock_sim *sim, int64_t ms)
{
    sim->ms += ms;
    sim->ns += ms * 1000000;
}

int64_t sys_cpu_process_ns(void)
{
    return read_ns(CLOCK_PROCESS_CPUTIME_ID);
}

int64_t sys_cpu_thread_ns(void)
{
    return read_ns(CLOCK_THREAD_CPUTIME_ID);
}

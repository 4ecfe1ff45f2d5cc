/* clock.h - the seam to time. disk and clock are what a test may be in place of. */
#ifndef SYS_CLOCK_H
#define SYS_CLOCK_H

#include <stdint.h>

struct clock {
    int64_t (*now_ms)(struct clock *clock);  /* since 1970 UTC; may step */
    int64_t (*mono_ns)(struct clock *clock); /* never goes back; no fixed start */
};

struct clock *clock_real(void);

/* A clock that stands still until it's told. */
struct clock_sim {
    struct clock clock;
    int64_t ms;
    int64_t ns;
};
void clock_sim_init(struct clock_sim *sim, int64_t now_ms);
void clock_sim_advance(struct clock_sim *sim, int64_t ms);

static inline int64_t clock_now_ms(struct clock *clock)
{
    return clock->now_ms(clock);
}
static inline int64_t clock_mono_ns(struct clock *clock)
{
    return clock->mono_ns(clock);
}

/* CPU time of this process and of this thread, in nanoseconds. */
int64_t sys_cpu_process_ns(void);
int64_t sys_cpu_thread_ns(void);

#endif

/*
 * seq_clock.h - about which log position an event of a time has.
 *
 * Events are mostly logged in the order of their times, so a time tells the log position but for a
 * little; that little is what a part keeps. Marks stand at equal distances of time; between two of
 * them the clock runs evenly.
 */
#ifndef STORE_SEQ_CLOCK_H
#define STORE_SEQ_CLOCK_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"

struct seq_clock {
    unsigned shift;  /* a mark every 2^shift ms of the month */
    uint32_t count;  /* at least two */
    uint64_t *marks; /* the caller's */
};

/* Exact on every machine: it's part of the format. time >> shift must be below count - 1. */
static inline uint64_t seq_clock_guess(const struct seq_clock *clock, uint32_t time)
{
    uint32_t place = time >> clock->shift;
    uint64_t mark = clock->marks[place];
    uint64_t way = clock->marks[place + 1] - mark;
    uint64_t past = time - ((uint64_t)place << clock->shift);
    return way >> 31 ? mark : mark + (way * past >> clock->shift);
}

/* --- making ------------------------------------------------------------------ */

/* So that a few events share a mark. */
unsigned seq_clock_shift(uint32_t last_time, uint32_t events);
void seq_clock_clear(struct seq_clock *clock);
void seq_clock_see(struct seq_clock *clock, const uint32_t *times, const uint64_t *seqs,
                   uint32_t count);
/* Marks that nobody came by are those of the next one; the last of all is `last_seq`. */
void seq_clock_settle(struct seq_clock *clock, uint64_t last_seq);
void seq_clock_put(const struct seq_clock *clock, struct buf *to);

/* --- reading ----------------------------------------------------------------- */

/* to[i] += what the clock of this section says of times[i]. ERR_CORRUPT, ERR_NOMEM. */
MUST_CHECK struct err seq_clock_add(struct bytes section, const uint32_t *times, size_t count,
                                    uint64_t *to);

#endif

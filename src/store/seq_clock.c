/*
 * seq_clock.c - marks of log positions over the times of a part.
 *
 *     offset  size  field
 *          0     4  1 (encoding), zeros
 *          4     4  shift: a mark every 2^shift ms, 0 to 31
 *          8     4  marks: at least two
 *         12     -  the marks, a section of integers (BLOCKS64)
 *
 * A mark is the smallest seq of the events from its time to the next mark's. The smallest, because
 * a late event has a seq that is much too large for its time, and one of them shouldn't spoil its
 * neighbours' guesses.
 */
#include "store/seq_clock.h"

#include "store/ints.h"
#include "store/part.h"

#include <stdlib.h>

enum {
    EVENTS_A_MARK = 16,
    FEW = 32,           /* events for which marks are read one by one */
    MARKS_A_READ = 512, /* that are read in the time of one lookup, when all are */
    SHIFT_MAX = 31,
};

unsigned seq_clock_shift(uint32_t last_time, uint32_t events)
{
    unsigned shift = 0;
    while (shift < SHIFT_MAX && last_time >> shift > events / EVENTS_A_MARK)
        shift++;
    return shift;
}

void seq_clock_clear(struct seq_clock *clock)
{
    for (uint32_t i = 0; i < clock->count; i++)
        clock->marks[i] = UINT64_MAX;
}

void seq_clock_see(struct seq_clock *clock, const uint32_t *times, const uint64_t *seqs,
                   uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        uint64_t *mark = &clock->marks[times[i] >> clock->shift];
        *mark = seqs[i] < *mark ? seqs[i] : *mark;
    }
}

void seq_clock_settle(struct seq_clock *clock, uint64_t last_seq)
{
    uint64_t next = last_seq;
    for (uint32_t i = clock->count; i-- > 0;) {
        if (clock->marks[i] == UINT64_MAX)
            clock->marks[i] = next;
        next = clock->marks[i];
    }
}

void seq_clock_put(const struct seq_clock *clock, struct buf *to)
{
    buf_put_le32(to, SECTION_PLAIN);
    buf_put_le32(to, clock->shift);
    buf_put_le32(to, clock->count);
    ints_put_blocks64(to, (const int64_t *)clock->marks, clock->count);
}

static struct err bad(void)
{
    return err_new(ERR_CORRUPT, "store: a part's clock");
}

static struct err open_clock(struct bytes section, struct seq_clock *clock, struct ints *marks)
{
    struct reader r = reader_of(section);
    bool is_plain = reader_le32(&r) == SECTION_PLAIN;
    clock->shift = reader_le32(&r);
    clock->count = reader_le32(&r);
    if (r.is_failed || !is_plain || clock->shift > SHIFT_MAX || clock->count < 2)
        return bad();
    return ints_open(bytes_of(r.next, reader_left(&r)), clock->count, marks);
}

static struct err add_few(const struct seq_clock *clock, const struct ints *marks,
                          const uint32_t *times, size_t count, uint64_t *to)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t two[2];
        uint32_t place = times[i] >> clock->shift;
        struct seq_clock near = { .shift = clock->shift, .count = 2, .marks = two };
        if (place >= clock->count - 1)
            return bad();
        struct err err = ints_read64(marks, place, 2, two);
        if (err.code)
            return err;
        to[i] += seq_clock_guess(&near, times[i] - (place << clock->shift));
    }
    return ok();
}

struct err seq_clock_add(struct bytes section, const uint32_t *times, size_t count, uint64_t *to)
{
    struct seq_clock clock;
    struct ints marks;
    struct err err = open_clock(section, &clock, &marks);
    if (err.code || count <= FEW || count < clock.count / MARKS_A_READ)
        return err.code ? err : add_few(&clock, &marks, times, count, to);
    clock.marks = malloc((size_t)clock.count * 8);
    if (!clock.marks)
        return err_new(ERR_NOMEM, "store: read seqs");
    err = ints_read64(&marks, 0, clock.count, clock.marks);
    for (size_t i = 0; i < count && !err.code; i++) {
        if (times[i] >> clock.shift >= clock.count - 1)
            err = bad();
        else
            to[i] += seq_clock_guess(&clock, times[i]);
    }
    free(clock.marks);
    return err;
}

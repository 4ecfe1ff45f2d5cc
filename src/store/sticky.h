/*
 * sticky.h - columns that mostly have one value a user: kept once for each, with exceptions.
 *
 * A section of values, where every event of the table has one. docs/formats/part.md has the layout.
 */
#ifndef STORE_STICKY_H
#define STORE_STICKY_H

#include "base/arena.h"
#include "store/ints.h"

enum sticky_values { STICKY_CODES, STICKY_INTEGERS, STICKY_REALS };

/* The values of codes are uint32_t, of the others uint64_t. start[users] is how many there are. */
struct sticky_table {
    enum sticky_values kind;
    const void *values;
    const uint32_t *start;
    uint32_t users;
};

/* Appends the section. False: there are too many exceptions, nothing was appended. ERR_NOMEM is
 * told by the buffer's failure. */
bool sticky_put(struct buf *to, const struct sticky_table *table, struct arena *scratch);

struct sticky {
    uint32_t users;
    uint32_t exceptions;
    struct ints of_user;
    struct ints places;
    struct ints others;
};

bool sticky_is(struct bytes section);
/* ERR_CORRUPT: not such a section of `events` values of `users` users. */
MUST_CHECK struct err sticky_open(struct bytes section, uint32_t events, uint32_t users,
                                  struct sticky *out);
/* All values: `width` 4 or 8 bytes each. */
MUST_CHECK struct err sticky_read(const struct sticky *sticky, unsigned width,
                                  const uint32_t *start, void *to);
/* `count` values from event `first` on, all of the user with this index. */
MUST_CHECK struct err sticky_read_some(const struct sticky *sticky, unsigned width, uint32_t user,
                                       uint32_t first, uint32_t count, void *to);

#endif

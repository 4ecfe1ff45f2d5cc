/* dedup.h - event ids seen lately, as 112 bits of hash and the day they were seen. */
#ifndef ENGINE_DEDUP_H
#define ENGINE_DEDUP_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"

struct dedup;

/* `limit_bytes` bounds the table; at the limit the oldest days are forgotten first. */
MUST_CHECK struct err dedup_new(size_t limit_bytes, struct dedup **out);
void dedup_free(struct dedup *dedup);

/* Was this id seen on `day` or one of the `days` - 1 before it? If not, it's seen now. `day` is the
 * batch's (days since 1970 UTC), so that a replay decides the same. */
MUST_CHECK struct err dedup_check(struct dedup *dedup, struct bytes id, int32_t day, uint32_t days,
                                  bool *is_duplicate_out);
size_t dedup_count(const struct dedup *dedup);

void dedup_save(const struct dedup *dedup, struct buf *to);
MUST_CHECK struct err dedup_load(struct dedup *dedup, struct reader *from);

#endif

/*
 * order.h - what each user did, in order: the order columns of one month, out of however many parts.
 */
#ifndef STORE_ORDER_H
#define STORE_ORDER_H

#include "store/slice.h"

/* As slice_build, for all event types at once. Sources come oldest first. */
MUST_CHECK struct err order_build(const struct slice_source *sources, uint32_t count,
                                  const struct row_set *dead, struct arena *arena,
                                  struct read_counters *counters, struct store_order *out);

#endif

/* catalog_internal.h - comparing names; seen by the catalog and its tests only. */
#ifndef CATALOG_CATALOG_INTERNAL_H
#define CATALOG_CATALOG_INTERNAL_H

#include "base/bytes.h"

enum { CATALOG_NAME_MAX = 1024, CATALOG_NEAREST_MAX = 128 };

/* The name without white space and with small ASCII letters; `to` has room for name.len bytes, the
 * length is returned. A name of white space only stays as it is. */
size_t catalog_fold(struct bytes name, uint8_t *to);

/* Insertions, deletions, replacements and swaps of neighbours between two texts of at most
 * CATALOG_NEAREST_MAX bytes; max + 1 when it's more than `max`. */
uint32_t catalog_distance(struct bytes a, struct bytes b, uint32_t max);

#endif

/* names_internal.h - runs of zero-terminated names, as disk_list gives them. */
#ifndef SYS_NAMES_INTERNAL_H
#define SYS_NAMES_INTERNAL_H

#include "base/buf.h"

/* Appends the names in `text` to `to`, sorted by bytes. */
MUST_CHECK struct err names_put_sorted(struct bytes text, struct buf *to, size_t *count_out);

#endif

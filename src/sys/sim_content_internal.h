/*
 * sim_content_internal.h - the bytes of a simulated file: as they're read now, as they're known to
 * be on the disk, and what was written in between.
 */
#ifndef SYS_SIM_CONTENT_INTERNAL_H
#define SYS_SIM_CONTENT_INTERNAL_H

#include "base/bytes.h"
#include "base/err.h"

enum { SIM_PAGE = 4096 };

struct sim_page;

/* Pages are shared between contents and copied when one of them is written. A page that's missing
 * is zeros. Bytes past `size` are zeros. */
struct sim_content {
    struct sim_page **pages;
    size_t count;
    size_t cap;
    uint64_t size;
};

/* A write (data), or a truncation to `offset`. */
struct sim_change {
    uint64_t offset;
    struct sim_data *data; /* NULL: a truncation */
};

struct sim_bytes {
    struct sim_content seen;    /* what reading gives */
    struct sim_content kept;    /* what a crash can't take away */
    struct sim_change *changes; /* from kept to seen, the oldest first */
    size_t count;
    size_t cap;
    /* A failed sync has left bytes in `seen` that neither `kept` nor `changes` know of. */
    bool is_split;
};

/* What of the changes survives a power cut. */
enum sim_survival { SIM_NOTHING, SIM_EVERYTHING, SIM_SOME };

void sim_bytes_read(const struct sim_bytes *bytes, uint64_t offset, void *to, size_t len);
MUST_CHECK struct err sim_bytes_write(struct sim_bytes *bytes, uint64_t offset, struct bytes data);
MUST_CHECK struct err sim_bytes_truncate(struct sim_bytes *bytes, uint64_t size);
MUST_CHECK struct err sim_bytes_sync(struct sim_bytes *bytes);
/* A sync that failed: some changes are kept, the others never will be. */
MUST_CHECK struct err sim_bytes_sync_badly(struct sim_bytes *bytes, uint64_t seed);
/* After a power cut: what's kept and some of the changes is what's seen. */
MUST_CHECK struct err sim_bytes_crash(struct sim_bytes *bytes, enum sim_survival survival,
                                      uint64_t seed);
/* `to` is zeroed; when it fails, done still frees it. */
MUST_CHECK struct err sim_bytes_copy(const struct sim_bytes *from, struct sim_bytes *to);
void sim_bytes_done(struct sim_bytes *bytes);

/* A number of all bits from a seed and a place. */
uint64_t sim_mix(uint64_t seed, uint64_t place);

#endif

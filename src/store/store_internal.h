/*
 * store_internal.h - the embedded engine's state, and who may touch what.
 *
 * The writer owns the tails, `dead` and `rows` of each shard, and changes who is dead under
 * `counting`, where the background reads it. The views are shared: they're read and swapped under
 * `lock`. Of a month's view the writer changes memory runs that aren't frozen; the background (one
 * thread at a time, under `background`) everything else. What either replaces is still there when it
 * comes to replacing it, because the other one leaves it alone.
 */
#ifndef STORE_STORE_INTERNAL_H
#define STORE_STORE_INTERNAL_H

#include "store/manifest.h"
#include "store/slice.h"
#include "store/store.h"
#include "store/tail.h"

struct files_shard {
    struct tail *tail;
    struct row_set *dead; /* merged away or erased; NULL: nobody */
    struct row_set *erased;
    uint64_t dead_version;
    uint32_t rows;
    uint64_t shown_version; /* those of the view */
    uint32_t shown_rows;
    struct shard_view *view;
    _Atomic uint64_t memory_rows; /* sealed, not in files */
    _Atomic uint64_t frozen_rows; /* those of them that the checkpoint under way writes */
};

struct pending {
    bool is_set;
    uint64_t position;
    uint64_t events;
    uint32_t *rows; /* by shard */
    struct dead_set **dead;
};

struct files_store {
    struct store store;
    struct part_home home;
    char *dir;
    const struct zone *zone;
    uint32_t tail_events;
    uint32_t runs_together; /* so many of about a size are merged; the writer's */
    uint32_t flush_events;
    uint32_t retention_months;
    uint32_t shards;
    struct files_shard *shard;
    _Atomic uint64_t next_number;
    _Atomic uint64_t events;   /* the writer's: living rows, those that expired among them */
    _Atomic uint64_t expired;  /* the background's */
    _Atomic uint64_t appended; /* the writer's, in this process's life: whether it is idle */
    struct mutex lock;
    struct mutex background;
    struct mutex
        counting; /* taken before `lock`: who is dead, and which months expire, and `events` */
    struct pending pending;    /* under background, but begin runs with the writer stopped */
    struct manifest *manifest; /* the durable one; changed under background and lock */
    uint64_t manifest_bytes;
    _Atomic uint64_t appended_before; /* when the last checkpoint began */
    atomic_bool is_broken; /* a write whose outcome nobody knows, or a half-done change */
};

struct files_snapshot {
    struct store_snapshot snapshot;
    struct files_store *store;
    struct read_counters counters;
    uint32_t shards;
    struct shard_view *views[];
};

static inline struct files_store *files_of(struct store *store)
{
    return (struct files_store *)(void *)store;
}

/* Of a counter that one thread only changes: a locked instruction for each event would cost more than
 * all else that appending does. */
static inline void counter_add(_Atomic uint64_t *counter, uint64_t by)
{
    uint64_t now = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, now + by, memory_order_relaxed);
}

static inline uint64_t files_living(const struct files_store *store)
{
    return store->events - store->expired;
}

/* A reference to the shard's present view. */
struct shard_view *files_view(struct files_store *store, uint32_t shard);

/* writer.c */
struct err files_append(struct store *store, const struct store_event *events, size_t count);
struct err files_merge_user(struct store *store, uint32_t from, uint32_t into);
struct err files_mask_user(struct store *store, uint32_t user, bool is_erased);
struct err files_seal(struct store *store);

/* snapshot.c */
struct err files_snapshot(struct store *store, struct store_snapshot **out);
void files_snapshot_free(struct store_snapshot *snapshot);
uint32_t files_shards(const struct store_snapshot *snapshot);
uint32_t files_shard_rows(const struct store_snapshot *snapshot, uint32_t shard);
struct err files_months(struct store_snapshot *snapshot, uint32_t shard, uint32_t event,
                        int64_t from_ms, int64_t to_ms, struct arena *arena,
                        const int32_t **months_out, uint32_t *count_out);
struct err files_slice_open(struct store_snapshot *snapshot, uint32_t shard, int32_t month,
                            uint32_t event, struct arena *arena, struct store_slice *out);
struct err files_order_open(struct store_snapshot *snapshot, uint32_t shard, int32_t month,
                            struct arena *arena, struct store_order *out);
struct err files_day_counts(struct store_snapshot *snapshot, uint32_t shard, int32_t month,
                            uint32_t event, struct arena *arena, struct store_day_counts *out,
                            bool *has_out);
struct err files_user_events(struct store_snapshot *snapshot, uint32_t user, int64_t from_ms,
                             int64_t to_ms, bool is_backwards, struct arena *scratch,
                             store_user_visit_fn *visit, void *ctx);
struct store_read_stats files_read_stats(const struct store_snapshot *snapshot);

/* user.c: of one shard's view, dead or not. Takes as much memory as `limit` may. */
struct user_range {
    uint32_t shards;
    uint32_t shard;
    uint32_t row;
    int64_t from_ms;
    int64_t to_ms;
    bool is_backwards;
};
MUST_CHECK struct err user_visit(const struct shard_view *view, const struct user_range *range,
                                 struct read_counters *counters, const struct arena *limit,
                                 store_user_visit_fn *visit, void *ctx);
/* How many rows the sealed parts hold of a user. */
MUST_CHECK struct err user_count(const struct shard_view *view, uint32_t row, uint64_t *count_out);

/* checkpoint.c, maintain.c: background */
bool files_wants_flush(const struct store *store);
void files_set_replaying(struct store *store, bool is_replaying);
struct err files_checkpoint_begin(struct store *store, uint64_t position);
struct err files_checkpoint_write(struct store *store, struct bytes extra);
struct err files_maintain(struct store *store, bool *did_work_out);
bool files_is_behind(const struct store *store);
/* Makes `manifest` the durable one; takes it, also on failure. */
MUST_CHECK struct err files_write_manifest(struct files_store *store, struct manifest *manifest);
/* Syncs the folder of a shard. */
MUST_CHECK struct err files_sync_shard(struct files_store *store, uint32_t shard);

#endif

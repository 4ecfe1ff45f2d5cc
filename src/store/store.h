/*
 * store.h - the seam to event history: every user's events, in order, exactly.
 *
 * `store_open_files` is Kolam's columnar store (docs/formats/part.md, manifest.md). Another engine
 * can stand behind the same struct of functions.
 *
 * One writer applies the log: append, merge, mask, seal. Readers take snapshots (under the
 * writer's lock, see engine; quick) and read them freely from any threads. A background thread calls
 * store_maintain and, with the writer's help, checkpoints.
 *
 * User u is row u / S of shard u % S. Months are numbered from 1970-01 (UTC). Event types and
 * properties are the catalog's numbers.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/calendar.h"
#include "base/err.h"
#include "base/value.h"
#include "sys/disk.h"

struct store_property {
    uint32_t property;
    struct value value; /* VALUE_NULL is not stored */
};

struct store_event {
    uint32_t user;
    uint32_t event;  /* event type */
    int64_t time_ms; /* TIME_MS_MIN .. TIME_MS_MAX */
    uint64_t
        seq; /* log position: unique among events that aren't items; an item has its parent's */
    const struct store_property *properties;
    uint32_t property_count;
};

/* --- snapshots -------------------------------------------------------------------- */

struct store_snapshot;

/*
 * The events of one type, of one shard, in one month: users ascending by row, each user's events
 * in (time, seq) order, masked users left out, whatever parts they lie in. Members come in stages,
 * each paid for when asked; all memory is the arena's, but texts may lie in the snapshot: what is
 * read lives as long as both.
 */
struct store_slice {
    uint32_t users;        /* runs */
    uint32_t events;       /* rows */
    const uint32_t *row;   /* [users] local user rows, ascending: user = row * S + shard */
    const uint32_t *start; /* [users + 1] where each user's events begin */
    const uint32_t *time;  /* [events] ms since the month's start; NULL before store_slice_times */
    const uint64_t *seq;   /* [events]; NULL before store_slice_seqs */
    int64_t base_ms;       /* the month's start */
    void *inner;           /* the store's */
};

/* A dense column of a slice, for one (property, type). */
struct store_column {
    const uint64_t *present; /* bit per event; NULL: all have it */
    union {
        const int64_t *integers; /* VALUE_INT, VALUE_TIME, VALUE_BOOL (0 or 1) */
        const double *reals;     /* VALUE_REAL */
        const uint32_t *codes;   /* VALUE_STRING, VALUE_LIST: into the texts */
    };
    const struct bytes *texts; /* strings; the same text may be there twice */
    uint32_t text_count;
    /* VALUE_LIST: list number c is items[list_start[c]] … items[list_start[c + 1] - 1], codes of texts */
    const uint32_t *list_start;
    const uint32_t *items;
};

/* What each user did in one month, in (time, seq, event type) order: all event types, those of items
 * too. Users are those of slices: ascending, masked ones left out. The k-th event of a type in it is
 * the k-th event of the type's slice of that month. All memory is the arena's. */
struct store_order {
    uint32_t users;
    uint32_t events;
    const uint32_t *row;   /* [users] */
    const uint32_t *start; /* [users + 1] */
    const uint32_t *code;  /* [events] indexes into types */
    const uint32_t *types; /* [type_count] event types, ascending */
    uint32_t type_count;
};

struct store_day_counts {
    const char *zone;  /* its name: that which the store was opened with; lives as the snapshot */
    int32_t first_day; /* local day number of the zone */
    uint32_t days;
    const uint32_t *events; /* [days] */
    const uint32_t *users;  /* [days] distinct users of that day */
};

struct store_read_stats {
    uint64_t rows; /* values decoded are not rows: each event of a slice counts once */
    uint64_t bytes;
};

struct store_user_event {
    uint32_t event;
    int64_t time_ms;
    uint64_t seq;
    uint32_t origin; /* the user it was logged for; differs after a merge */
    const struct store_property *properties;
    uint32_t property_count;
};
/* false: stop. */
typedef bool store_user_visit_fn(void *ctx, const struct store_user_event *event);

/* --- the seam ----------------------------------------------------------------------- */

struct store_stats {
    uint64_t events;        /* live rows, items too */
    uint64_t memory_events; /* rows not in files yet */
    uint64_t memory_bytes;
    uint64_t disk_bytes;
    uint32_t parts;
    uint32_t patches;
    uint64_t position; /* all commands before it are in files */
};

struct store;
struct store_ops {
    /* writer */
    struct err (*append)(struct store *store, const struct store_event *events, size_t count);
    struct err (*merge_user)(struct store *store, uint32_t from, uint32_t into);
    struct err (*mask_user)(struct store *store, uint32_t user, bool is_erased);
    /* Makes all that was appended visible to snapshots taken from now on. */
    struct err (*seal)(struct store *store);
    struct err (*snapshot)(struct store *store, struct store_snapshot **out); /* seals first */
    bool (*wants_flush)(const struct store *store); /* memory is over its budget */
    /* While a log is replayed nobody takes snapshots: what makes them quick to read can wait. */
    void (*set_replaying)(struct store *store, bool is_replaying);

    /* A checkpoint at `position` (all commands before it are applied): `begin` runs with the writer
     * stopped and is quick; `write` runs in the background beside the writer: flushes what was in
     * memory at begin, then makes the manifest name the parts, the position, and `extra` (the
     * caller's own files, opaque). After it returns, the log before `position` isn't needed. When it
     * fails (ERR_FULL) it may be called again. */
    struct err (*checkpoint_begin)(struct store *store, uint64_t position);
    struct err (*checkpoint_write)(struct store *store, struct bytes extra);

    /* background: one bounded step of compaction (runs into parts, patches, folding, retention);
     * *did_work_out false: nothing to do. While events come in, only what presses is done; the rest
     * is, once nothing was appended since the last checkpoint_begin. */
    struct err (*maintain)(struct store *store, bool *did_work_out);
    /* A month has so many runs that the next checkpoint should wait for `maintain`. */
    bool (*is_behind)(const struct store *store);
    struct store_stats (*stats)(const struct store *store);
    void (*close)(struct store *store);

    /* readers */
    void (*snapshot_free)(struct store_snapshot *snapshot);
    uint32_t (*shards)(const struct store_snapshot *snapshot);
    uint32_t (*shard_rows)(const struct store_snapshot *snapshot,
                           uint32_t shard); /* user rows: all rows are below it */
    /* The months of a shard that hold events of the type within [from_ms, to_ms), ascending. Events
     * of masked users count here: a month's slice may turn out empty. */
    struct err (*months)(struct store_snapshot *snapshot, uint32_t shard, uint32_t event,
                         int64_t from_ms, int64_t to_ms, struct arena *arena,
                         const int32_t **months_out, uint32_t *count_out);
    struct err (*slice_open)(struct store_snapshot *snapshot, uint32_t shard, int32_t month,
                             uint32_t event, struct arena *arena, struct store_slice *out);
    struct err (*slice_times)(struct store_slice *slice);
    struct err (*slice_seqs)(struct store_slice *slice);
    /* *has_out false: no event of the slice has it. */
    struct err (*slice_column)(struct store_slice *slice, uint32_t property, enum value_type type,
                               struct store_column *out, bool *has_out);
    /* No users: users is 0. */
    struct err (*order_open)(struct store_snapshot *snapshot, uint32_t shard, int32_t month,
                             struct arena *arena, struct store_order *out);
    /* The counts kept in headers. *has_out false: not to be had (masked users, several sources):
     * count instead. */
    struct err (*day_counts)(struct store_snapshot *snapshot, uint32_t shard, int32_t month,
                             uint32_t event, struct arena *arena, struct store_day_counts *out,
                             bool *has_out);
    /* One user's events in [from_ms, to_ms), in (time, seq) order, or backwards; items come right
     * after their event in either direction. */
    struct err (*user_events)(struct store_snapshot *snapshot, uint32_t user, int64_t from_ms,
                              int64_t to_ms, bool is_backwards, struct arena *scratch,
                              store_user_visit_fn *visit, void *ctx);
    struct store_read_stats (*read_stats)(
        const struct store_snapshot *snapshot); /* since it was taken */
};
struct store {
    const struct store_ops *ops;
};
struct store_snapshot {
    const struct store_ops *ops;
};

/* --- the embedded engine ------------------------------------------------------------- */

struct store_files_config {
    struct disk *disk;
    const char *dir;         /* the project's folder: MANIFEST and shard-NNN/ are in it */
    uint32_t shards;         /* of a new store; 0: 8. An existing one keeps its own */
    const struct zone *zone; /* for day counts in headers; borrowed */
    uint32_t tail_events;    /* a shard's tail is sealed at this many; 0: 16384 */
    uint32_t flush_events; /* a shard's sealed events in memory are flushed at this many; 0: 2^20 */
    uint64_t cache_bytes;  /* of decoded or read sections; 0: 256 MiB */
    uint32_t retention_months; /* 0: 120 */
};

/* ERR_CORRUPT: the manifest doesn't check, or a part it names is missing (damage inside a part is
 * found when it's read). *position_out: replay the log from here. *extra: the caller's words of the
 * last checkpoint, appended. */
MUST_CHECK struct err store_open_files(const struct store_files_config *config,
                                       uint64_t *position_out, struct buf *extra,
                                       struct store **out);

/* The files that a manifest's bytes name (paths begin with `dir`), each with its size and a number that
 * pins its content, the position, and the caller's words. An error of `visit` ends it. For copying a
 * store that another process may be writing. ERR_CORRUPT. */
typedef struct err store_file_fn(void *ctx, const char *path, uint64_t size, uint64_t pin);
MUST_CHECK struct err store_manifest_files(struct bytes manifest, const char *dir,
                                           store_file_fn *visit, void *ctx, uint64_t *position_out,
                                           struct buf *extra);

/* Reads everything of a store that nobody has open: each checksum, each count, each order; tells
 * every damage with its file and place. `is_deep` recounts what is derived. */
typedef void store_damage_fn(void *ctx, const char *file, uint64_t offset, const char *what);
MUST_CHECK struct err store_check_files(struct disk *disk, const char *dir, bool is_deep,
                                        store_damage_fn *damage, void *ctx, uint64_t *events_out);

/* What the files are made of: every section of every part that the manifest names, and what the
 * directories take. */
enum { STORE_SIZE_SHARED = -1 }; /* as an event type: of a whole part */
struct store_size {
    int64_t event;
    const char *what; /* "times", "values", …; lives forever */
    uint32_t property;
    enum value_type type; /* VALUE_NULL: it's no column's */
    uint64_t bytes;
    uint64_t events; /* of an event type in a part: comes with its "directory" */
};
typedef void store_size_fn(void *ctx, const struct store_size *size);
MUST_CHECK struct err store_sizes(struct disk *disk, const char *dir, store_size_fn *visit,
                                  void *ctx);

#endif

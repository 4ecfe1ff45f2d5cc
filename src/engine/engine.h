/*
 * engine.h - applies the log: one folder, its projects, and what can be asked of them.
 *
 * A project's state (events, people, catalog) is a function of its log. Batches go in through
 * project_submit, are durable when `done` is called, and are applied by one thread in the order of
 * their positions. Readers take a snapshot: one position of everything, which never holds up the
 * writer.
 *
 * Any thread may call any function here, except where a comment says otherwise.
 */
#ifndef ENGINE_ENGINE_H
#define ENGINE_ENGINE_H

#include "base/arena.h"
#include "base/buf.h"
#include "catalog/catalog.h"
#include "engine/backup.h"
#include "identity/identity.h"
#include "query/query.h"
#include "store/store.h"
#include "sys/clock.h"
#include "sys/disk.h"
#include "sys/thread.h"

struct engine;
struct project;

struct engine_config {
    struct disk *disk; /* its root is the data folder; borrowed */
    struct clock *clock;
    struct thread_pool *pool;  /* for queries; borrowed */
    uint64_t checkpoint_bytes; /* of log between checkpoints; 0: 512 MiB */
    uint64_t queue_bytes;      /* of batches submitted and not yet applied, a project; 0: 64 MiB */
    uint64_t cache_bytes;      /* of the store's sections; 0: 256 MiB */
    uint32_t tail_events;      /* the store's; 0: its defaults. Small ones bring tests through */
    uint32_t flush_events;     /* every physical state */
    uint64_t disk_floor_bytes; /* room that must stay free: below it, submits are refused */
    /* What is on disk is unknown, or applying failed: nothing may go on. Must not return in a
     * server. */
    void (*on_broken)(void *ctx, const char *project, struct err err);
    /* Something went wrong that will be tried again (a full disk). May be NULL. */
    void (*on_warning)(void *ctx, const char *project, const char *what, struct err err);
    void *ctx;
};

/* Locks the folder: ERR_BUSY when another process has it. ERR_INVALID: a restore into it isn't
 * finished. */
MUST_CHECK struct err engine_open(const struct engine_config *config, struct engine **out);
/* Applies what was submitted, checkpoints, closes every project. */
void engine_close(struct engine *engine);
/* As a kill would leave it: for crash tests. Nothing more is written. */
void engine_abandon(struct engine *engine);

/* Reads the files of a project that nobody has open, each checksum and count, and tells every damage
 * with its file (relative to the project's folder) and place. `is_deep` recounts what is derived. */
typedef void engine_damage_fn(void *ctx, const char *file, uint64_t offset, const char *what);
MUST_CHECK struct err engine_check_files(struct disk *disk, const char *project, bool is_deep,
                                         engine_damage_fn *damage, void *ctx, uint64_t *events_out);

/* What the files of its store are made of, section by section. */
MUST_CHECK struct err engine_sizes(struct disk *disk, const char *project, store_size_fn *visit,
                                   void *ctx);

/* --- projects --------------------------------------------------------------------- */

struct project_settings {
    struct bytes time_zone;    /* "Asia/Kolkata" */
    enum weekday week_start;   /* 0: Monday */
    uint32_t shards;           /* of a new project; 0: 8 */
    bool does_join_existing;   /* identity.h */
    uint32_t dedup_days;       /* 0: 7 */
    uint32_t retention_months; /* 0: 120 */
};

enum { PROJECT_ID_MAX = 40 }; /* bytes: a-z, 0-9, _ and - */

/* Opens a project of the folder, making it when it's missing and `creates`. It stays open till
 * engine_close; a second call gives the same one (settings of the first count, until
 * project_configure). ERR_MISSING, ERR_CORRUPT, ERR_INVALID (id, zone). */
MUST_CHECK struct err engine_project(struct engine *engine, const char *id,
                                     const struct project_settings *settings, bool creates,
                                     struct project **out);
const char *project_id(const struct project *project);
const struct zone *project_zone(const struct project *project);
/* A zone by name, kept for the engine's life. */
MUST_CHECK struct err engine_zone(struct engine *engine, struct bytes name,
                                  const struct zone **out);

/* --- writing ------------------------------------------------------------------------ */

typedef void project_done_fn(void *ctx, struct err err, uint64_t position);

/* Copies the batch and queues it. `done` is called exactly once when this returned without an
 * error: on the log's thread, after the batch is durable (or ERR_FULL). It must be quick.
 * ERR_LIMIT: too much is waiting: come again (429). ERR_FULL: 507. ERR_BROKEN. */
MUST_CHECK struct err project_submit(struct project *project, struct bytes batch, uint32_t count,
                                     project_done_fn *done, void *ctx);
/* Waits until it's durable; when the queue is full, waits for room. For tools and tests. */
MUST_CHECK struct err project_submit_wait(struct project *project, struct bytes batch,
                                          uint32_t count, uint64_t *position_out);
/* Waits until every command before `position` is applied (visible to the next snapshot). */
void project_wait_applied(struct project *project, uint64_t position);
/* Waits for all that was submitted to be applied. */
void project_drain(struct project *project);
/* Checkpoints now and lets compaction run to its end; ERR_FULL. For tools and tests. */
MUST_CHECK struct err project_settle(struct project *project);

/*
 * What a project accepts and how it treats it. Changed by COMMAND_SETTING, named as here:
 * `join_existing` (bool), `dedup_days` (1 to 365), `discard_event` and `restore_event` (a name), and
 * `limit.` with a member of catalog_limits, `limit.event_types`. Cheap to ask for each request.
 */
struct project_rules {
    bool does_join_existing;
    uint32_t dedup_days;
    struct catalog_limits limits;
};
struct project_rules project_rules(struct project *project);
struct project_limit {
    const char *name; /* of its setting */
    uint32_t value;
    uint32_t most;
};
/* The n-th limit of these rules; false: there are no more. */
bool project_limit_at(const struct project_rules *rules, size_t n, struct project_limit *out);
/* Is `value` one that the setting `name` can have? NULL, or what is wrong. */
const char *project_setting_problem(struct bytes name, const struct value *value);
/* Is this event type (folded name) discarded? */
bool project_is_discarded(struct project *project, struct bytes event_name, bool is_folded);

/* --- reading ------------------------------------------------------------------------- */

struct project_snapshot {
    struct query_source source; /* lives as long as the snapshot */
    void *inner;
};
MUST_CHECK struct err project_snapshot(struct project *project, struct project_snapshot *out);
void project_snapshot_done(struct project_snapshot *snapshot);
/* Copies of single facts, at the present position. Texts are copied into the arena. */
uint32_t project_find_user(struct project *project, struct bytes identity); /* USER_NONE */
uint32_t project_find_key(struct project *project, struct identity_key key);
/* Where `user` leads after merges; USER_NONE: no such number. */
uint32_t project_survivor(struct project *project, uint32_t user);
MUST_CHECK struct err project_user_keys(struct project *project, uint32_t user, struct arena *arena,
                                        struct identity_key **keys_out, uint32_t *count_out);
MUST_CHECK struct err project_user_merged(struct project *project, uint32_t user,
                                          struct arena *arena, uint32_t **from_out,
                                          uint32_t *count_out);
/* Users one of whose keys contains the text, from `after` on (USER_NONE: from the start); returns
 * how many were written. */
uint32_t project_search_users(struct project *project, struct bytes text, uint32_t after,
                              uint32_t *users, uint32_t max, bool *more_out);
/* A copy of the catalog with its counts as they are now; catalog_free by the caller. */
MUST_CHECK struct err project_catalog(struct project *project, struct catalog **out);

struct project_stats {
    uint64_t position;   /* the next command's */
    uint64_t applied;    /* all before it are applied */
    uint64_t events;     /* stored */
    uint64_t duplicates; /* events left out because their event_id was known */
    uint64_t users;      /* living */
    uint64_t queue_bytes;
    uint64_t log_bytes;
    uint64_t log_syncs;
    uint64_t disk_bytes;
    uint64_t memory_events;
    uint64_t checkpoints;
    uint64_t checkpoint_position;
};
struct project_stats project_stats(struct project *project);

/* Counts again what is kept beside the events, and tells each difference in words: per event type and
 * property in the catalog, per user in profiles, by users and by slices, day counts, identities, and
 * the sums in project_stats. For a project that nobody writes to meanwhile. */
typedef void engine_recount_fn(void *ctx, const char *what);
MUST_CHECK struct err project_recount(struct project *project, engine_recount_fn *tell, void *ctx);

/* --- live ------------------------------------------------------------------------------ */

/*
 * The stream of events as they are applied, for people to watch: a sample of at most 50 a second.
 * Each item is one JSON object {"time","received","event","user":{"id","identity"},"properties"}.
 */
struct live_reader;
MUST_CHECK struct err project_live_open(struct project *project, struct live_reader **out);
void project_live_close(struct live_reader *reader);
/* Appends what came since the last call, one object a line; *skipped_out events weren't sampled or
 * were overtaken. Waits up to timeout_ms for something to come; 0 asks at once. */
MUST_CHECK struct err project_live_read(struct live_reader *reader, int64_t timeout_ms,
                                        struct buf *lines, uint64_t *skipped_out);

#endif

/*
 * engine_internal.h - what the files of engine share.
 *
 *     engine.c      the folder, its lock, zones, the table of projects
 *     project.c     one project: queue, apply thread, snapshots
 *     state.c       applying commands: the function from log to state
 *     settings.c    the settings of a project
 *     checkpoint.c  the state file, and when it is written
 *     dedup.c       event ids seen lately
 *     live.c        the sampled stream for people to watch
 */
#ifndef ENGINE_ENGINE_INTERNAL_H
#define ENGINE_ENGINE_INTERNAL_H

#include "command/command.h"
#include "engine/dedup.h"
#include "engine/engine.h"
#include "log/log.h"
#include "profile/profile.h"
#include "store/store.h"

/* --- state ------------------------------------------------------------------------ */

/* Everything that is a function of the log. */
struct state {
    struct store *store;
    struct catalog *catalog;
    struct identity_graph *identity;
    struct profiles *profiles;
    struct dedup *dedup;
    struct identity_config identity_config;
    uint32_t dedup_days;
    struct catalog_limits limits;
    uint64_t position; /* of the next command */
    uint64_t duplicates;
    uint64_t refused; /* events of erased people, commands about nobody */
    /* Users who were merged away or erased: derived from the identity graph, a bit per user. */
    uint64_t *dead;
    uint32_t dead_words;
    uint32_t dead_count;
    struct arena scratch;
};

struct live;

/* Applies the commands of a batch. ERR_CORRUPT: the batch isn't one; nothing was applied. Any other
 * error leaves the state unusable: the process has to stop. `live` may be NULL. */
MUST_CHECK struct err state_apply(struct state *state, uint64_t position, uint32_t count,
                                  struct bytes batch, struct live *live);
void state_done(struct state *state);
/* A setting that project_setting_problem has nothing against, other than of event types. */
void setting_apply(struct state *state, struct bytes name, const struct value *value);
/* In the order of the table in settings.c, which only grows. */
void limits_save(const struct catalog_limits *limits, struct buf *to);
void limits_load(struct catalog_limits *limits, struct reader *from);

/* All but the store's events, which keep themselves. */
MUST_CHECK struct err state_save(const struct state *state, struct buf *to);
MUST_CHECK struct err state_load(struct state *state, struct bytes from);
/* Marks a user as merged away or erased; or, after loading, all of them. */
MUST_CHECK struct err state_mark_dead(struct state *state, uint32_t user);
MUST_CHECK struct err state_find_dead(struct state *state);

/* --- live -------------------------------------------------------------------------- */

MUST_CHECK struct err live_new(struct live **out);
void live_free(struct live *live);
/* Is anybody watching? */
bool live_is_watched(const struct live *live);
/* On the apply thread, for each event. */
void live_offer(struct live *live, const struct state *state, const struct command *command,
                uint32_t user, uint32_t event, int64_t received_ms);

/* --- the gate ------------------------------------------------------------------------- */

/* Guards the state. A reader that comes while the writer works goes next, before the writer's
 * next batch: a mutex alone would let the writer take it again and again. */
struct gate {
    struct mutex mutex;
    struct cond cond;
    bool is_held;
    uint32_t readers_waiting;
};
void gate_init(struct gate *gate);
void gate_done(struct gate *gate);
void gate_enter_writer(struct gate *gate);
void gate_enter_reader(struct gate *gate);
void gate_leave(struct gate *gate);

/* --- projects ---------------------------------------------------------------------------- */

struct submission;

struct project {
    struct engine *engine;
    struct project *next;
    char id[PROJECT_ID_MAX + 1];
    char dir[16 + PROJECT_ID_MAX];
    const struct zone *zone;
    enum weekday week_start;
    struct log *log;
    struct live *live;

    struct gate gate; /* guards `state` */
    struct state state;

    /* The queue of durable batches, and what others wait for. */
    struct mutex mutex;
    struct cond work; /* for the apply thread: a batch, a checkpoint that's asked for, the end */
    struct cond progress; /* batches were applied */
    struct cond changed;  /* anything else: checkpoints, compaction, the end */
    struct submission *first;
    struct submission *last;
    uint64_t queue_bytes; /* submitted and not applied */
    uint64_t queue_limit;
    uint64_t applied;   /* all before it are */
    uint64_t submitted; /* commands accepted by the log's queue, for draining */
    uint64_t finished;  /* of those: applied, or failed */
    bool is_stopping;
    bool is_abandoned;
    bool is_broken;

    /* Checkpoints: begun on the apply thread, written on the background thread. */
    bool wants_checkpoint; /* asked for by project_settle or at closing */
    bool has_job;          /* begun, not written */
    bool is_compacted;     /* the background found nothing to do since the last job */
    struct buf job_state;
    uint64_t job_position;
    uint64_t job_log_bytes; /* log written since the job before, when it began */
    uint64_t checkpoint_position;
    uint64_t checkpoints;
    uint64_t bytes_since_checkpoint; /* of batches applied */
    struct err checkpoint_err;
    bool is_memory_full; /* as the apply thread last saw it, and no checkpoint was written since */

    struct thread apply_thread;
    struct thread background_thread;
};

struct engine {
    struct engine_config config;
    struct disk_file *lock;
    struct mutex mutex;
    struct project *projects;
    struct zone **zones;
    uint32_t zone_count;
};

MUST_CHECK struct err project_open(struct engine *engine, const char *id, const struct zone *zone,
                                   const struct project_settings *settings, struct project **out);
void project_close(struct project *project, bool is_abandoned);

/* Begins a checkpoint: the state is saved to memory. With the gate held, on the apply thread. */
MUST_CHECK struct err checkpoint_begin(struct project *project);
/* Writes what was begun. On the background thread (or alone, while opening). */
MUST_CHECK struct err checkpoint_write(struct project *project);
/* Loads the state file that the manifest's words name; none: an empty state. */
MUST_CHECK struct err checkpoint_load(struct project *project, struct bytes extra);
/* ERR_CORRUPT: the state file's checksum doesn't hold. */
MUST_CHECK struct err checkpoint_verify(struct disk *disk, const char *path);

void project_broken(struct project *project, struct err err);
void project_warn(struct project *project, const char *what, struct err err);

#endif

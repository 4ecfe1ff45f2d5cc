/*
 * log.h - the seam to the command log: batches in, durable, in one order.
 *
 * `log_open_files` is the embedded one: append-only files of checksummed frames, one fdatasync for
 * all batches that wait (group commit). A replicated log can take its place behind the same struct.
 *
 * Positions number commands, from 1, without gaps: a batch of n commands at position p holds p …
 * p + n - 1. An entry that fails takes no position.
 */
#ifndef LOG_LOG_H
#define LOG_LOG_H

#include "base/bytes.h"
#include "base/err.h"
#include "sys/clock.h"
#include "sys/disk.h"

enum { LOG_BATCH_MAX = 64 << 20 };

/* One batch on its way. The memory is the caller's and stays as it is until `done` is called. */
struct log_entry {
    struct bytes batch;
    uint32_t count; /* commands in it, > 0 */
    /* Called on the log's thread, in the order of positions, after the batch is durable, or with an
     * error when it isn't and never will be (ERR_FULL: disk full; the log goes on). Must be quick
     * and must not submit. */
    void (*done)(struct log_entry *entry, struct err err);
    uint64_t position;      /* out: of its first command */
    struct log_entry *next; /* the log's */
};

/* Replays a batch. An error stops the opening and becomes its result. */
typedef struct err log_visit_fn(void *ctx, uint64_t position, uint32_t count, struct bytes batch);

struct log_stats {
    uint64_t next_position;
    uint64_t size_bytes; /* of all files */
    uint64_t syncs;
    uint64_t batches;   /* written since it was opened */
    uint64_t cut_bytes; /* a torn tail that opening cut off */
};

struct log;
struct log_ops {
    /* Takes the entry into the queue. ERR_LIMIT: the queue is full (answer 429). ERR_FULL: the disk's
     * floor is reached. ERR_BROKEN: stopped. ERR_INVALID: empty, or larger than LOG_BATCH_MAX. */
    struct err (*submit)(struct log *log, struct log_entry *entry);
    /* Forgets batches whose commands all lie before `position`; whole files go. */
    struct err (*trim)(struct log *log, uint64_t position);
    /* Visits the durable batches that hold `from` or later, as at opening. */
    struct err (*replay)(struct log *log, uint64_t from, log_visit_fn *visit, void *ctx);
    struct log_stats (*stats)(struct log *log);
    void (*close)(struct log *log); /* waits for what was submitted */
};
struct log {
    const struct log_ops *ops;
};

/* Where damage was found, to name it. */
struct log_damage {
    char file[32]; /* in the log's folder; empty: no file of its own (a gap at the ends) */
    uint64_t offset;
};

struct log_files_config {
    struct disk *disk;
    const char *dir;           /* made when missing; locked: ERR_BUSY when another process has it */
    uint64_t file_bytes;       /* a new file is begun past this; 0: 64 MiB */
    uint64_t queue_bytes;      /* of waiting batches; 0: 64 MiB */
    uint64_t first_position;   /* where an empty log begins; 0: 1 */
    uint64_t disk_floor_bytes; /* with less room than this left, submits answer ERR_FULL */
    /* A sync has failed: what is on disk is unknown, and nothing may go on. Called once, on the
     * log's thread; must not return in a server (sys_die). */
    void (*on_broken)(void *ctx, struct err err);
    void *on_broken_ctx;
    struct log_damage *damage_out; /* may be NULL; filled when opening answers ERR_CORRUPT */
};

/* Opens the files, cuts a torn tail, makes all that's there durable, and visits the batches that
 * hold `replay_from` or later in order (0: all). ERR_CORRUPT: damage that no crash explains (a frame
 * that had been synced doesn't check, a file or a position that's missing, also when `replay_from`
 * lies outside of what the log holds): nothing is changed. */
MUST_CHECK struct err log_open_files(const struct log_files_config *config, uint64_t replay_from,
                                     log_visit_fn *visit, void *ctx, struct log **out);

/* Verifies all files of a log that nobody writes to now, and changes nothing. ERR_CORRUPT fills
 * *damage_out. A torn tail is no damage: stats_out->cut_bytes tells its size. */
MUST_CHECK struct err log_check_files(struct disk *disk, const char *dir,
                                      struct log_damage *damage_out, struct log_stats *stats_out);

/* What of the bytes of a file, read while another process may append to it, is whole: its header and
 * frames. 0 bytes: not even the header. is_damaged: what follows can't be the rest of an append, unless
 * it was written while it was read. */
struct log_whole {
    uint64_t bytes;
    uint64_t first; /* position of the file's first command */
    uint64_t next;  /* behind its last whole one */
    bool is_damaged;
};
MUST_CHECK struct err log_find_whole(struct bytes image, struct log_whole *out);

MUST_CHECK static inline struct err log_submit(struct log *log, struct log_entry *entry)
{
    return log->ops->submit(log, entry);
}
MUST_CHECK static inline struct err log_trim(struct log *log, uint64_t position)
{
    return log->ops->trim(log, position);
}
MUST_CHECK static inline struct err log_replay(struct log *log, uint64_t from, log_visit_fn *visit,
                                               void *ctx)
{
    return log->ops->replay(log, from, visit, ctx);
}
static inline struct log_stats log_stats(struct log *log)
{
    return log->ops->stats(log);
}
static inline void log_close(struct log *log)
{
    if (log)
        log->ops->close(log);
}

#endif

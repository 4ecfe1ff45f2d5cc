/*
 * backup.h - copies of a whole folder: making one, verifying it, bringing it back. Part of the door.
 *
 * A backup is read from the folder as it lies there, beside a server that may be writing to it:
 * nothing is asked of that server, nothing in the folder is changed, nobody waits. What was
 * acknowledged before the backup began is in it. docs/formats/backup.md.
 */
#ifndef ENGINE_BACKUP_H
#define ENGINE_BACKUP_H

#include "sys/clock.h"
#include "sys/disk.h"

struct backup_sum {
    uint64_t files;
    uint64_t bytes;       /* of them */
    uint64_t reused;      /* files that an earlier backup in the same place had */
    uint64_t done_bytes;  /* read so far */
    uint64_t total_bytes; /* to be read, as far as that's known */
};

struct backup_config {
    struct disk *from;
    struct disk *to; /* verifying: NULL */
    struct clock *clock;
    /* Making: writes one moment of control.db as the new file `path` of `to`. NULL: there's none. */
    struct err (*copy_control)(void *ctx, struct disk *to, const char *path);
    /* Called now and then; false: stop and clean up. May be NULL. */
    bool (*goes_on)(void *ctx, const struct backup_sum *sum);
    /* The file at fault, as it's named in the folder, and what is wrong with it. */
    void (*tell)(void *ctx, const char *file, const char *what);
    /* Making: a project, and the position up to which the backup has it. May be NULL. */
    void (*has_project)(void *ctx, const char *project, uint64_t position);
    void *ctx;
};

/* Makes a backup of the folder `from` in `to`, which is empty or holds an earlier backup; that one
 * counts until this one is durable, and its files that didn't change are used again. A failure
 * leaves what was there before. ERR_EXISTS: `to` holds something else. ERR_BUSY: another backup is
 * being made there. ERR_FULL, ERR_CANCELLED, ERR_CORRUPT (told). */
MUST_CHECK struct err engine_backup(const struct backup_config *config, struct backup_sum *sum_out);
/* Reads every file of the backup `from`. ERR_CORRUPT: each that is damaged or missing was told.
 * ERR_MISSING: there's no backup. */
MUST_CHECK struct err engine_backup_verify(const struct backup_config *config,
                                           struct backup_sum *sum_out);
/* Brings the backup `from` into the empty folder `to`. Until every checksum was verified and all is
 * durable, engine_open refuses the folder. A failure leaves it empty, as far as that's possible.
 * ERR_EXISTS: it isn't empty. */
MUST_CHECK struct err engine_restore(const struct backup_config *config,
                                     struct backup_sum *sum_out);

/* In a folder while it is restored. */
#define RESTORING_NAME "RESTORING"

#endif

/*
 * disk.h - the seam to the file system.
 *
 * disk_real() is the machine's; disk_sim (sys/disk_sim.h) forgets unsynced writes in any order,
 * tears sectors, fails and fills up. Whatever keeps data durable takes a `struct disk *` and does
 * not know which it is.
 *
 * Paths are '/'-separated and relative to the disk's root, which is "."; with "..", empty parts or a
 * '/' in front they're ERR_INVALID. What is durable when:
 *   - a file's content after file_sync,
 *   - a name (create, rename, remove) after disk_sync_dir of its folder.
 * All functions may be called from any thread; one file may be read from several at once, written
 * by one.
 */
#ifndef SYS_DISK_H
#define SYS_DISK_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"

struct disk;
struct disk_file;

/* The folder `root` of the machine, made (with its parents) when it's missing. */
MUST_CHECK struct err disk_real(const char *root, struct disk **out);
void disk_free(struct disk *disk);

enum disk_open {
    DISK_READ,   /* must exist */
    DISK_CREATE, /* for reading and writing; must not exist: ERR_EXISTS */
    DISK_WRITE,  /* for reading and writing; must exist */
};

/* ERR_MISSING when it must exist and doesn't. */
MUST_CHECK struct err disk_open(struct disk *disk, const char *path, enum disk_open how,
                                struct disk_file **out);
void file_close(struct disk_file *file); /* NULL is fine; unsynced writes may be lost */

/* Reads exactly `len` bytes; ERR_CORRUPT when the file ends before. */
MUST_CHECK struct err file_read(struct disk_file *file, uint64_t offset, void *to, size_t len);
MUST_CHECK struct err file_write(struct disk_file *file, uint64_t offset, struct bytes data);
MUST_CHECK struct err file_truncate(struct disk_file *file, uint64_t size);
/* fdatasync. When it fails nobody can tell what reached the disk: the caller stops using it. */
MUST_CHECK struct err file_sync(struct disk_file *file);
/* Reserves room up to `size` without changing the length that file_size tells, where the file
 * system can; otherwise does nothing. */
MUST_CHECK struct err file_reserve(struct disk_file *file, uint64_t size);
MUST_CHECK struct err file_size(struct disk_file *file, uint64_t *size_out);

MUST_CHECK struct err disk_make_dir(struct disk *disk, const char *path); /* exists already: fine */
MUST_CHECK struct err disk_rename(struct disk *disk, const char *from,
                                  const char *to); /* replaces */
MUST_CHECK struct err disk_remove(struct disk *disk,
                                  const char *path); /* a file or an empty folder */
MUST_CHECK struct err disk_sync_dir(struct disk *disk, const char *path);
/* The names in a folder, sorted by bytes, each zero-terminated, one after the other in `names`;
 * `*count_out` names. */
MUST_CHECK struct err disk_list(struct disk *disk, const char *path, struct buf *names,
                                size_t *count_out);
/* False: not there. */
MUST_CHECK struct err disk_exists(struct disk *disk, const char *path, bool *exists_out);
/* Bytes that an unprivileged writer may still use. */
MUST_CHECK struct err disk_free_bytes(struct disk *disk, uint64_t *free_out);

/* An exclusive lock held by this process on the file `path` (made when missing), released when the
 * process ends or by disk_unlock. ERR_BUSY: another holds it, also within this process. */
MUST_CHECK struct err disk_lock(struct disk *disk, const char *path, struct disk_file **lock_out);
void disk_unlock(struct disk_file *lock); /* NULL is fine */

/* A whole file at once: reads at most `max` bytes (ERR_LIMIT past that); writes aside, syncs,
 * renames into place and syncs the folder. */
MUST_CHECK struct err disk_read_file(struct disk *disk, const char *path, size_t max,
                                     struct buf *to);
MUST_CHECK struct err disk_replace_file(struct disk *disk, const char *path, struct bytes data);

#endif

/*
 * disk_internal.h - what a disk is made of: two tables of functions, and room for whoever
 * implements them. disk.c checks paths before it calls one.
 *
 * A disk begins with a struct disk, a file with a struct disk_file.
 */
#ifndef SYS_DISK_INTERNAL_H
#define SYS_DISK_INTERNAL_H

#include "sys/disk.h"

struct disk_ops {
    void (*free)(struct disk *disk);
    struct err (*open)(struct disk *disk, const char *path, enum disk_open how,
                       struct disk_file **out);
    struct err (*make_dir)(struct disk *disk, const char *path);
    struct err (*rename)(struct disk *disk, const char *from, const char *to);
    struct err (*remove)(struct disk *disk, const char *path);
    struct err (*sync_dir)(struct disk *disk, const char *path);
    /* Zero-terminated names one after the other, in any order. */
    struct err (*list)(struct disk *disk, const char *path, struct buf *names);
    struct err (*exists)(struct disk *disk, const char *path, bool *exists_out);
    struct err (*free_bytes)(struct disk *disk, uint64_t *free_out);
    struct err (*lock)(struct disk *disk, const char *path, struct disk_file **lock_out);
};

struct disk_file_ops {
    void (*close)(struct disk_file *file);
    struct err (*read)(struct disk_file *file, uint64_t offset, void *to, size_t len);
    struct err (*write)(struct disk_file *file, uint64_t offset, struct bytes data);
    struct err (*truncate)(struct disk_file *file, uint64_t size);
    struct err (*sync)(struct disk_file *file);
    struct err (*reserve)(struct disk_file *file, uint64_t size);
    struct err (*size)(struct disk_file *file, uint64_t *size_out);
};

struct disk {
    const struct disk_ops *ops;
};

struct disk_file {
    const struct disk_file_ops *ops;
};

enum { DISK_PATH_MAX = 1024 };

/* Relative, without empty parts, "." and ".."; or "." alone, for the root. */
bool disk_path_is_plain(const char *path);
/* The folder that holds `path`, into `dir` of DISK_PATH_MAX bytes. */
void disk_path_dir(const char *path, char *dir);

#endif

/*
 * disk.c - the door to every disk: checks paths, passes on, and builds whole-file operations
 * from the small ones, so that these are the same on the real and on the simulated disk.
 */
#include "sys/disk.h"

#include "sys/disk_internal.h"
#include "sys/names_internal.h"

#include <stdio.h>
#include <stdlib.h>

enum { LIST_MAX_BYTES = 256 << 20 };

/* --- paths -------------------------------------------------------------- */

static bool part_is_plain(const char *part, size_t len)
{
    if (len == 0 || len > 255)
        return false;
    return !(part[0] == '.' && (len == 1 || (len == 2 && part[1] == '.')));
}

bool disk_path_is_plain(const char *path)
{
    if (strcmp(path, ".") == 0)
        return true;
    if (strlen(path) >= DISK_PATH_MAX - 8) /* room for what disk_replace_file adds */
        return false;
    for (;;) {
        size_t len = strcspn(path, "/");
        if (!part_is_plain(path, len))
            return false;
        if (path[len] == 0)
            return true;
        path += len + 1;
    }
}

void disk_path_dir(const char *path, char *dir)
{
    const char *slash = strrchr(path, '/');
    if (!slash) {
        memcpy(dir, ".", 2);
        return;
    }
    size_t len = (size_t)(slash - path);
    memcpy(dir, path, len);
    dir[len] = 0;
}

static struct err bad_path(void)
{
    return err_new(ERR_INVALID, "disk: not a plain relative path");
}

/* --- passing on --------------------------------------------------------- */

void disk_free(struct disk *disk)
{
    if (disk)
        disk->ops->free(disk);
}

struct err disk_open(struct disk *disk, const char *path, enum disk_open how,
                     struct disk_file **out)
{
    return disk_path_is_plain(path) ? disk->ops->open(disk, path, how, out) : bad_path();
}

void file_close(struct disk_file *file)
{
    if (file)
        file->ops->close(file);
}

struct err file_read(struct disk_file *file, uint64_t offset, void *to, size_t len)
{
    return file->ops->read(file, offset, to, len);
}

struct err file_write(struct disk_file *file, uint64_t offset, struct bytes data)
{
    return file->ops->write(file, offset, data);
}

struct err file_truncate(struct disk_file *file, uint64_t size)
{
    return file->ops->truncate(file, size);
}

struct err file_sync(struct disk_file *file)
{
    return file->ops->sync(file);
}

struct err file_reserve(struct disk_file *file, uint64_t size)
{
    return file->ops->reserve(file, size);
}

struct err file_size(struct disk_file *file, uint64_t *size_out)
{
    return file->ops->size(file, size_out);
}

struct err disk_make_dir(struct disk *disk, const char *path)
{
    return disk_path_is_plain(path) ? disk->ops->make_dir(disk, path) : bad_path();
}

struct err disk_rename(struct disk *disk, const char *from, const char *to)
{
    if (!disk_path_is_plain(from) || !disk_path_is_plain(to))
        return bad_path();
    return disk->ops->rename(disk, from, to);
}

struct err disk_remove(struct disk *disk, const char *path)
{
    return disk_path_is_plain(path) ? disk->ops->remove(disk, path) : bad_path();
}

struct err disk_sync_dir(struct disk *disk, const char *path)
{
    return disk_path_is_plain(path) ? disk->ops->sync_dir(disk, path) : bad_path();
}

struct err disk_exists(struct disk *disk, const char *path, bool *exists_out)
{
    return disk_path_is_plain(path) ? disk->ops->exists(disk, path, exists_out) : bad_path();
}

struct err disk_free_bytes(struct disk *disk, uint64_t *free_out)
{
    return disk->ops->free_bytes(disk, free_out);
}

struct err disk_lock(struct disk *disk, const char *path, struct disk_file **lock_out)
{
    return disk_path_is_plain(path) ? disk->ops->lock(disk, path, lock_out) : bad_path();
}

void disk_unlock(struct disk_file *lock)
{
    file_close(lock);
}

struct err disk_list(struct disk *disk, const char *path, struct buf *names, size_t *count_out)
{
    if (!disk_path_is_plain(path))
        return bad_path();

    struct buf unsorted;
    buf_init(&unsorted, LIST_MAX_BYTES);
    struct err err = disk->ops->list(disk, path, &unsorted);
    if (!err.code)
        err = buf_err(&unsorted);
    if (!err.code)
        err = names_put_sorted(buf_bytes(&unsorted), names, count_out);
    buf_done(&unsorted);
    return err;
}

/* --- whole files -------------------------------------------------------- */

static struct err read_all(struct disk_file *file, size_t max, struct buf *to)
{
    uint64_t size;
    struct err err = file_size(file, &size);
    if (err.code)
        return err;
    if (size > max)
        return err_new(ERR_LIMIT, "disk: file larger than allowed");

    uint8_t *room = buf_reserve(to, size);
    if (!room)
        return buf_err(to);
    err = file_read(file, 0, room, size);
    if (!err.code)
        to->len += size;
    return err;
}

struct err disk_read_file(struct disk *disk, const char *path, size_t max, struct buf *to)
{
    struct disk_file *file;
    struct err err = disk_open(disk, path, DISK_READ, &file);
    if (err.code)
        return err;
    err = read_all(file, max, to);
    file_close(file);
    return err;
}

static struct err write_synced(struct disk *disk, const char *path, struct bytes data)
{
    struct disk_file *file;
    struct err err = disk_open(disk, path, DISK_CREATE, &file);
    if (err.code)
        return err;
    if (data.len)
        err = file_write(file, 0, data);
    if (!err.code)
        err = file_sync(file);
    file_close(file);
    return err;
}

struct err disk_replace_file(struct disk *disk, const char *path, struct bytes data)
{
    char aside[DISK_PATH_MAX];
    char dir[DISK_PATH_MAX];

    if (!disk_path_is_plain(path))
        return bad_path();
    (void)snprintf(aside, sizeof aside, "%s.new", path);
    disk_path_dir(path, dir);

    /* One that a crash left behind. */
    struct err err = disk_remove(disk, aside);
    if (err.code && err.code != ERR_MISSING)
        return err;
    err = write_synced(disk, aside, data);
    if (!err.code)
        err = disk_rename(disk, aside, path);
    if (!err.code)
        return disk_sync_dir(disk, dir);

    struct err ignored = disk_remove(disk, aside); /* the failure before it is what counts */
    (void)ignored;
    return err;
}

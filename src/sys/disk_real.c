/*
 * disk_real.c - the disk of the machine: system calls relative to one open folder.
 *
 * Locks are flock's: they belong to the open file, so a second lock within this process conflicts
 * too, and the kernel releases them however the process ends.
 */
#include "sys/disk.h"

#include "sys/disk_internal.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { DIR_MODE = 0700, FILE_MODE = 0600 };

struct real_disk {
    struct disk disk;
    int root_fd;
};

struct real_file {
    struct disk_file file;
    int fd;
};

static int root_of(struct disk *disk)
{
    return ((struct real_disk *)disk)->root_fd;
}

static int fd_of(struct disk_file *file)
{
    return ((struct real_file *)file)->fd;
}

/* The errors of calls that take a name. */
static struct err err_name(const char *what)
{
    if (errno == ENOENT || errno == ENOTDIR)
        return err_new(ERR_MISSING, what);
    if (errno == EEXIST)
        return err_new(ERR_EXISTS, what);
    return err_os(what);
}

/* --- files -------------------------------------------------------------- */

static void real_close(struct disk_file *file)
{
    (void)close(fd_of(file));
    free(file);
}

static struct err real_read(struct disk_file *file, uint64_t offset, void *to, size_t len)
{
    uint8_t *next = to;
    while (len > 0) {
        ssize_t got = pread(fd_of(file), next, len, (off_t)offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_os("disk: read");
        if (got == 0)
            return err_new(ERR_CORRUPT, "disk: file ends too early");
        next += got;
        offset += (uint64_t)got;
        len -= (size_t)got;
    }
    return ok();
}

static struct err real_write(struct disk_file *file, uint64_t offset, struct bytes data)
{
    while (data.len > 0) {
        ssize_t written = pwrite(fd_of(file), data.ptr, data.len, (off_t)offset);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return err_os("disk: write");
        data = bytes_of(data.ptr + written, data.len - (size_t)written);
        offset += (uint64_t)written;
    }
    return ok();
}

static struct err real_truncate(struct disk_file *file, uint64_t size)
{
    int result;
    do
        result = ftruncate(fd_of(file), (off_t)size);
    while (result != 0 && errno == EINTR);
    return result == 0 ? ok() : err_os("disk: truncate");
}

static struct err real_sync(struct disk_file *file)
{
    return fdatasync(fd_of(file)) == 0 ? ok() : err_os("disk: sync");
}

static struct err real_reserve(struct disk_file *file, uint64_t size)
{
    if (size == 0)
        return ok();
    int result;
    do
        result = fallocate(fd_of(file), FALLOC_FL_KEEP_SIZE, 0, (off_t)size);
    while (result != 0 && errno == EINTR);
    if (result == 0 || errno == EOPNOTSUPP || errno == ENOSYS)
        return ok();
    return err_os("disk: reserve");
}

static struct err real_size(struct disk_file *file, uint64_t *size_out)
{
    struct stat status;
    if (fstat(fd_of(file), &status) != 0)
        return err_os("disk: size");
    *size_out = (uint64_t)status.st_size;
    return ok();
}

static const struct disk_file_ops real_file_ops = {
    .close = real_close,
    .read = real_read,
    .write = real_write,
    .truncate = real_truncate,
    .sync = real_sync,
    .reserve = real_reserve,
    .size = real_size,
};

/* --- names -------------------------------------------------------------- */

static void real_free(struct disk *disk)
{
    (void)close(root_of(disk));
    free(disk);
}

static struct err open_fd(struct disk *disk, const char *path, int flags, struct disk_file **out)
{
    struct real_file *file = malloc(sizeof *file);
    if (!file)
        return err_new(ERR_NOMEM, "disk: open");
    file->file.ops = &real_file_ops;
    file->fd = openat(root_of(disk), path, flags | O_CLOEXEC, FILE_MODE);
    if (file->fd < 0) {
        struct err err = err_name("disk: open");
        free(file);
        return err;
    }
    *out = &file->file;
    return ok();
}

static struct err real_open(struct disk *disk, const char *path, enum disk_open how,
                            struct disk_file **out)
{
    static const int flags[] = {
        [DISK_READ] = O_RDONLY,
        [DISK_CREATE] = O_RDWR | O_CREAT | O_EXCL,
        [DISK_WRITE] = O_RDWR,
    };
    return open_fd(disk, path, flags[how], out);
}

static struct err real_lock(struct disk *disk, const char *path, struct disk_file **lock_out)
{
    struct disk_file *file = NULL;
    struct err err = open_fd(disk, path, O_RDWR | O_CREAT, &file);
    if (err.code)
        return err;
    if (flock(fd_of(file), LOCK_EX | LOCK_NB) != 0) {
        err = errno == EWOULDBLOCK ? err_new(ERR_BUSY, "disk: lock") : err_os("disk: lock");
        real_close(file);
        return err;
    }
    *lock_out = file;
    return ok();
}

static struct err real_make_dir(struct disk *disk, const char *path)
{
    if (mkdirat(root_of(disk), path, DIR_MODE) == 0)
        return ok();
    struct stat status;
    if (errno == EEXIST && fstatat(root_of(disk), path, &status, 0) == 0 && S_ISDIR(status.st_mode))
        return ok();
    return err_name("disk: make folder");
}

static struct err real_rename(struct disk *disk, const char *from, const char *to)
{
    if (renameat(root_of(disk), from, root_of(disk), to) != 0)
        return err_name("disk: rename");
    return ok();
}

static struct err real_remove(struct disk *disk, const char *path)
{
    int result = unlinkat(root_of(disk), path, 0);
    if (result != 0 && (errno == EISDIR || errno == EPERM))
        result = unlinkat(root_of(disk), path, AT_REMOVEDIR);
    if (result == 0)
        return ok();
    /* Some systems say EEXIST for a folder that isn't empty. */
    return errno == EEXIST ? err_os("disk: remove") : err_name("disk: remove");
}

static int open_dir(struct disk *disk, const char *path)
{
    return openat(root_of(disk), path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static struct err real_sync_dir(struct disk *disk, const char *path)
{
    int fd = open_dir(disk, path);
    if (fd < 0)
        return err_name("disk: open folder");
    struct err err = fsync(fd) == 0 ? ok() : err_os("disk: sync folder");
    (void)close(fd);
    return err;
}

static struct err real_list(struct disk *disk, const char *path, struct buf *names)
{
    int fd = open_dir(disk, path);
    if (fd < 0)
        return err_name("disk: open folder");
    DIR *dir = fdopendir(fd);
    if (!dir) {
        struct err err = err_os("disk: list");
        (void)close(fd);
        return err;
    }

    struct dirent *entry;
    while ((void)(errno = 0), (entry = readdir(dir)) != NULL)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            buf_put(names, bytes_of(entry->d_name, strlen(entry->d_name) + 1));
    struct err err = errno ? err_os("disk: list") : ok();
    (void)closedir(dir);
    return err;
}

static struct err real_exists(struct disk *disk, const char *path, bool *exists_out)
{
    struct stat status;
    bool is_there = fstatat(root_of(disk), path, &status, AT_SYMLINK_NOFOLLOW) == 0;
    if (!is_there && errno != ENOENT && errno != ENOTDIR)
        return err_os("disk: exists");
    *exists_out = is_there;
    return ok();
}

static struct err real_free_bytes(struct disk *disk, uint64_t *free_out)
{
    struct statvfs status;
    if (fstatvfs(root_of(disk), &status) != 0)
        return err_os("disk: free bytes");
    *free_out = (uint64_t)status.f_bavail * status.f_frsize;
    return ok();
}

static const struct disk_ops real_disk_ops = {
    .free = real_free,
    .open = real_open,
    .make_dir = real_make_dir,
    .rename = real_rename,
    .remove = real_remove,
    .sync_dir = real_sync_dir,
    .list = real_list,
    .exists = real_exists,
    .free_bytes = real_free_bytes,
    .lock = real_lock,
};

/* --- the root ----------------------------------------------------------- */

/* Makes `path`, which is scratch, and its parents. */
static struct err make_parents(char *path)
{
    for (char *at = path + 1; *at; at++) {
        if (*at != '/')
            continue;
        *at = 0;
        int result = mkdir(path, DIR_MODE);
        *at = '/';
        if (result != 0 && errno != EEXIST)
            return err_os("disk: make root");
    }
    if (mkdir(path, DIR_MODE) != 0 && errno != EEXIST)
        return err_os("disk: make root");
    return ok();
}

struct err disk_real(const char *root, struct disk **out)
{
    if (!root[0])
        return err_new(ERR_INVALID, "disk: no root");
    char *path = strdup(root);
    struct real_disk *disk = malloc(sizeof *disk);
    struct err err = path && disk ? make_parents(path) : err_new(ERR_NOMEM, "disk: open root");
    free(path);
    if (err.code)
        goto fail;

    disk->disk.ops = &real_disk_ops;
    disk->root_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (disk->root_fd < 0) {
        err = err_os("disk: open root");
        goto fail;
    }
    *out = &disk->disk;
    return ok();

fail:
    free(disk);
    return err;
}

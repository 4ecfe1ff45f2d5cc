/*
 * restore.c - verifying a backup, and bringing it back.
 *
 * The new folder gets a file RESTORING before anything else, and loses it when all the rest is there,
 * verified and durable: engine_open refuses a folder that has it. So what a crash leaves is never
 * taken for data.
 */
#include "engine/backup_internal.h"
#include "engine/engine_internal.h"

#include <stdio.h>
#include <stdlib.h>

enum { NAMES_MAX = 64 << 20 };
#define ROOM_TO_SPARE (UINT64_C(16) << 20)

struct restore {
    const struct backup_config *config;
    struct backup_copy copy;
    struct backup_list list;
};

/* --- reading ---------------------------------------------------------------------------------- */

/* One file of the backup, into `to` unless that's NULL. ERR_CORRUPT was told. */
static struct err take_file(struct restore *restore, const struct backup_file *file,
                            struct disk_file *to)
{
    char path[BACKUP_PATH_MAX];
    struct disk_file *stored = NULL;
    uint64_t size = 0;
    uint64_t sum = 0;
    const char *wrong = NULL;
    backup_file_path(file->number, path);
    struct err err = disk_open(restore->config->from, path, DISK_READ, &stored);
    if (err.code == ERR_MISSING)
        wrong = "it's missing from the backup";
    else if (err.code)
        return err;
    else
        err = file_size(stored, &size);
    if (!wrong && !err.code && size != file->size)
        wrong = "its size isn't the one in the list";
    if (!wrong && !err.code)
        err = backup_copy_bytes(&restore->copy, stored, size, to, &sum);
    if (!wrong && !err.code && sum != file->sum)
        wrong = "its checksum isn't the one in the list";
    file_close(stored);
    if (!wrong)
        return err;
    backup_tell(restore->config, file->path, wrong);
    return err_new(ERR_CORRUPT, "backup: a file is damaged");
}

static struct err begin(struct restore *restore, const struct backup_config *config,
                        struct backup_sum *sum)
{
    *sum = (struct backup_sum){ .files = 0 };
    *restore = (struct restore){ .config = config, .copy = { .config = config, .sum = sum } };
    backup_list_init(&restore->list);
    struct err err = backup_list_read(config->from, &restore->list);
    if (err.code == ERR_CORRUPT)
        backup_tell(config, "BACKUP", err.what);
    if (err.code)
        return err;
    for (uint32_t i = 0; i < restore->list.count; i++)
        sum->total_bytes += restore->list.files[i].size;
    sum->files = restore->list.count;
    sum->bytes = sum->total_bytes;
    restore->copy.block = malloc(BACKUP_BLOCK);
    return restore->copy.block ? ok() : err_new(ERR_NOMEM, "backup: reading");
}

static void end(struct restore *restore)
{
    free(restore->copy.block);
    backup_list_done(&restore->list);
}

static void tell_projects(const struct restore *restore)
{
    const struct backup_list *list = &restore->list;
    for (uint32_t i = 0; restore->config->has_project && i < list->project_count; i++)
        restore->config->has_project(restore->config->ctx, list->projects[i].id,
                                     list->projects[i].position);
}

struct err engine_backup_verify(const struct backup_config *config, struct backup_sum *sum_out)
{
    struct restore restore;
    struct err result = begin(&restore, config, sum_out);
    struct err err = result;
    for (uint32_t i = 0; i < restore.list.count && (!err.code || err.code == ERR_CORRUPT); i++) {
        err = take_file(&restore, &restore.list.files[i], NULL);
        if (err.code)
            result = err;
    }
    if (!result.code)
        tell_projects(&restore);
    end(&restore);
    return result;
}

/* --- bringing it back --------------------------------------------------------------------------- */

static struct err check_empty(struct disk *disk)
{
    struct buf names;
    size_t count = 0;
    buf_init(&names, NAMES_MAX);
    struct err err = disk_list(disk, ".", &names, &count);
    const char *name = (const char *)names.ptr;
    for (size_t i = 0; i < count && !err.code; i++, name += strlen(name) + 1)
        if (strcmp(name, "LOCK") != 0 && strcmp(name, "lost+found") != 0)
            err = err_new(ERR_EXISTS, "restore: the folder isn't empty");
    buf_done(&names);
    return err;
}

/* Calls `work` for each folder that `path` lies in, the outermost first or (backwards) last. */
typedef struct err dir_work_fn(struct disk *disk, const char *dir);
static struct err each_dir(struct disk *disk, const char *path, bool is_backwards,
                           dir_work_fn *work)
{
    char dir[BACKUP_PATH_MAX];
    size_t slashes[BACKUP_PATH_MAX];
    size_t count = 0;
    struct err err = ok();
    for (size_t i = 0; path[i]; i++)
        if (path[i] == '/')
            slashes[count++] = i;
    for (size_t i = 0; i < count && !err.code; i++) {
        size_t len = slashes[is_backwards ? count - 1 - i : i];
        memcpy(dir, path, len);
        dir[len] = '\0';
        err = work(disk, dir);
    }
    return err;
}

static struct err remove_dir(struct disk *disk, const char *dir)
{
    struct err ignored =
        disk_remove(disk, dir); /* until the last of its files went it isn't empty */
    (void)ignored;
    return ok();
}

/* Are both in one folder? */
static bool is_neighbour(const char *path, const char *other)
{
    const char *slash = strrchr(path, '/');
    size_t len = slash ? (size_t)(slash - path) + 1 : 0;
    return strncmp(path, other, len) == 0 && !strchr(other + len, '/');
}

static struct err write_file(struct restore *restore, const struct backup_file *file)
{
    struct disk_file *made = NULL;
    struct err err = disk_open(restore->config->to, file->path, DISK_CREATE, &made);
    if (err.code)
        return err;
    err = take_file(restore, file, made);
    if (!err.code)
        err = file_sync(made);
    file_close(made);
    return err;
}

static struct err write_all(struct restore *restore)
{
    const struct backup_list *list = &restore->list;
    struct disk *to = restore->config->to;
    struct err err = ok();
    const char *before = "";
    for (uint32_t i = 0; i < list->count && !err.code; i++) {
        const char *path = list->files[i].path;
        if (!is_neighbour(path, before) || i == 0)
            err = each_dir(to, path, false, disk_make_dir);
        if (!err.code)
            err = write_file(restore, &list->files[i]);
        before = path;
    }
    for (uint32_t i = 0; i < list->count && !err.code; i++)
        if (i + 1 == list->count || !is_neighbour(list->files[i].path, list->files[i + 1].path))
            err = each_dir(to, list->files[i].path, true, disk_sync_dir);
    return err.code ? err : disk_sync_dir(to, ".");
}

/* After a failure; the mark goes last. */
static void remove_all(struct restore *restore)
{
    struct disk *to = restore->config->to;
    struct err ignored;
    for (uint32_t i = restore->list.count; i > 0; i--) {
        ignored = disk_remove(to, restore->list.files[i - 1].path);
        ignored = each_dir(to, restore->list.files[i - 1].path, true, remove_dir);
    }
    ignored = disk_sync_dir(to, ".");
    if (!ignored.code)
        ignored = disk_remove(to, RESTORING_NAME);
    (void)ignored;
}

static struct err restore_into(struct restore *restore)
{
    struct disk *to = restore->config->to;
    uint64_t free_bytes = 0;
    struct err err = disk_free_bytes(to, &free_bytes);
    if (!err.code && free_bytes < restore->copy.sum->total_bytes + ROOM_TO_SPARE)
        err = err_new(ERR_FULL, "restore: there isn't room for it");
    if (err.code)
        return err;
    err = disk_replace_file(to, RESTORING_NAME, BYTES("a restore isn't finished\n"));
    if (!err.code)
        err = write_all(restore);
    if (err.code) {
        remove_all(restore);
        return err;
    }
    err = disk_remove(to, RESTORING_NAME);
    return err.code ? err : disk_sync_dir(to, ".");
}

struct err engine_restore(const struct backup_config *config, struct backup_sum *sum_out)
{
    struct restore restore;
    struct disk_file *lock = NULL;
    struct err err = begin(&restore, config, sum_out);
    if (!err.code)
        err = check_empty(config->to);
    if (!err.code)
        err = disk_lock(config->to, "LOCK", &lock);
    if (!err.code)
        err = restore_into(&restore);
    if (!err.code)
        tell_projects(&restore);
    disk_unlock(lock);
    end(&restore);
    return err;
}

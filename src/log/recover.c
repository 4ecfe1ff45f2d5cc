/*
 * recover.c - what a folder of log files holds after any stop.
 *
 * A file is begun only when the one before it is whole and durable, and is used only when its header
 * and its name are durable. So:
 *
 * - every file but the last with frames is whole, and the next begins where it ends;
 * - behind that last one there may be files without frames: a rotation that the crash caught, or one
 *   that failed (disk full) and whose removal the crash undid. They mean nothing and go;
 * - a file that's cut inside its header is one of those, or the very first.
 *
 * Anything else is damage.
 */
#include "log/log_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* A log file isn't much larger than the configured size; this only keeps a damaged size from being
 * believed. */
static const size_t IMAGE_MAX = (size_t)1 << 40;

/* --- names and lists --------------------------------------------------------------- */

void log_list_done(struct log_list *list)
{
    free(list->files);
    *list = (struct log_list){ 0 };
}

struct err log_list_reserve(struct log_list *list)
{
    if (list->count < list->cap)
        return ok();
    uint32_t cap = list->cap ? list->cap * 2 : 16;
    struct log_file *grown = realloc(list->files, cap * sizeof *grown);
    if (!grown)
        return err_new(ERR_NOMEM, "log: list of files");
    list->files = grown;
    list->cap = cap;
    return ok();
}

struct err log_list_add(struct log_list *list, struct log_file file)
{
    struct err err = log_list_reserve(list);
    if (!err.code)
        list->files[list->count++] = file;
    return err;
}

void log_file_name(uint64_t first, char name[LOG_NAME_MAX])
{
    (void)snprintf(name, LOG_NAME_MAX, "%020" PRIu64 ".log", first);
}

void log_file_path(const char *dir, uint64_t first, char path[LOG_PATH_MAX])
{
    char name[LOG_NAME_MAX];
    log_file_name(first, name);
    (void)snprintf(path, LOG_PATH_MAX, "%s/%s", dir, name);
}

/* False: not a name that log_file_name makes. */
static bool name_parse(const char *name, uint64_t *first_out)
{
    char again[LOG_NAME_MAX];
    uint64_t first = strtoull(name, NULL, 10);
    log_file_name(first, again);
    if (strcmp(name, again) != 0)
        return false;
    *first_out = first;
    return true;
}

struct err log_list_read(struct disk *disk, const char *dir, struct log_list *list)
{
    struct buf names;
    size_t count = 0;
    buf_init(&names, 64 << 20);
    struct err err = disk_list(disk, dir, &names, &count);
    const char *name = (const char *)names.ptr;
    for (size_t i = 0; i < count && !err.code; i++, name += strlen(name) + 1) {
        struct log_file file = { 0 };
        struct disk_file *open = NULL;
        char path[LOG_PATH_MAX];
        if (!name_parse(name, &file.first))
            continue;
        log_file_path(dir, file.first, path);
        err = disk_open(disk, path, DISK_READ, &open);
        if (!err.code)
            err = file_size(open, &file.size);
        if (!err.code)
            err = log_list_add(list, file);
        file_close(open);
    }
    buf_done(&names);
    return err;
}

/* --- one file ------------------------------------------------------------------------ */

struct err log_file_make(struct disk *disk, const char *dir, struct log_header header,
                         struct disk_file **out)
{
    char path[LOG_PATH_MAX];
    uint8_t bytes[LOG_HEADER_BYTES];
    struct disk_file *file = NULL;
    bool exists = false;

    log_file_path(dir, header.first, path);
    struct err err = disk_exists(disk, path, &exists);
    if (!err.code && exists)
        err = disk_remove(disk, path);
    if (!err.code)
        err = disk_open(disk, path, DISK_CREATE, &file);
    if (err.code)
        return err;
    log_header_encode(header, bytes);
    err = file_write(file, 0, bytes_of(bytes, sizeof bytes));
    if (!err.code)
        err = file_sync(file);
    if (!err.code)
        err = disk_sync_dir(disk, dir);
    if (err.code) {
        /* Whether the removal works or not, a file without frames means nothing. */
        file_close(file);
        struct err ignored = disk_remove(disk, path);
        (void)ignored;
        return err;
    }
    *out = file;
    return ok();
}

struct err log_file_image(struct disk *disk, const char *dir, struct log_file file,
                          struct buf *image)
{
    char path[LOG_PATH_MAX];
    struct disk_file *open = NULL;
    log_file_path(dir, file.first, path);
    buf_reset(image);
    uint8_t *to = buf_reserve(image, (size_t)file.size);
    if (!to)
        return err_new(ERR_NOMEM, "log: read a file");
    struct err err = disk_open(disk, path, DISK_READ, &open);
    if (!err.code)
        err = file_read(open, 0, to, (size_t)file.size);
    file_close(open);
    if (!err.code)
        image->len = (size_t)file.size;
    return err;
}

/* --- the folder ------------------------------------------------------------------------ */

static struct err damaged(struct log_damage *damage, const struct log_file *file, uint64_t offset)
{
    if (damage) {
        damage->file[0] = '\0';
        if (file)
            log_file_name(file->first, damage->file);
        damage->offset = offset;
    }
    return err_new(ERR_CORRUPT, "log: damage that no crash explains");
}

/* A file that holds frames, or the only one. */
static struct err read_file(struct disk *disk, const char *dir, uint32_t i, uint64_t from,
                            log_visit_fn *visit, void *ctx, struct log_damage *damage,
                            struct log_folder *folder)
{
    const struct log_file *file = &folder->list.files[i];
    struct log_header header;
    struct buf image;
    buf_init(&image, IMAGE_MAX);
    struct err err = log_file_image(disk, dir, *file, &image);
    if (err.code)
        goto done;
    if (!log_header_decode(buf_bytes(&image), &header) || header.first != file->first) {
        err = damaged(damage, file, 0);
        goto done;
    }
    struct log_found found;
    err = log_scan(buf_bytes(&image), from, visit, ctx, &found);
    if (err.code)
        goto done;
    folder->batches += found.batches;

    bool is_last = i == folder->current;
    bool is_good = found.end == LOG_ENDS_WHOLE || (is_last && found.end == LOG_ENDS_TORN);
    if (!is_good || (!is_last && found.next_position != file[1].first))
        err = damaged(damage, file, found.end_offset);
    folder->found = found;
    folder->identity = header.identity;
done:
    buf_done(&image);
    return err;
}

static struct err read_files(struct disk *disk, const char *dir, uint64_t from, log_visit_fn *visit,
                             void *ctx, struct log_damage *damage, struct log_folder *folder)
{
    const struct log_list *list = &folder->list;
    folder->current = list->count - 1;
    while (folder->current > 0 && list->files[folder->current].size <= LOG_HEADER_BYTES)
        folder->current--;

    const struct log_file *only = &list->files[0];
    if (folder->current == 0 && only->size <= LOG_HEADER_BYTES) {
        struct log_header header;
        struct buf image;
        buf_init(&image, IMAGE_MAX);
        struct err err = log_file_image(disk, dir, *only, &image);
        folder->is_headless = !err.code && (!log_header_decode(buf_bytes(&image), &header) ||
                                            header.first != only->first);
        buf_done(&image);
        if (err.code)
            return err;
    }
    if (folder->is_headless)
        folder->found.next_position = only->first;
    for (uint32_t i = 0; i <= folder->current && !folder->is_headless; i++) {
        /* What lies wholly before is not read: its end is where the next begins. */
        if (i < folder->current && list->files[i + 1].first <= from)
            continue;
        struct err err = read_file(disk, dir, i, from, visit, ctx, damage, folder);
        if (err.code)
            return err;
    }
    /* An empty file begins where the log ended when it was made, or the log went on without it. */
    const struct log_file *last = &list->files[list->count - 1];
    if (last->first > folder->found.next_position)
        return damaged(damage, last, 0);
    return ok();
}

struct err log_folder_read(struct disk *disk, const char *dir, uint64_t from, log_visit_fn *visit,
                           void *ctx, struct log_damage *damage, struct log_folder *out)
{
    struct log_folder folder = { 0 };
    struct err err = log_list_read(disk, dir, &folder.list);
    if (!err.code && folder.list.count > 0) {
        if (from > 0 && from < folder.list.files[0].first)
            err = damaged(damage, NULL, 0);
        else
            err = read_files(disk, dir, from, visit, ctx, damage, &folder);
        if (!err.code && from > folder.found.next_position)
            err = damaged(damage, NULL, 0);
    }
    if (err.code) {
        log_folder_done(&folder);
        return err;
    }
    *out = folder;
    return ok();
}

void log_folder_done(struct log_folder *folder)
{
    log_list_done(&folder->list);
}

static struct err visit_none(void *ctx, uint64_t position, uint32_t count, struct bytes batch)
{
    (void)ctx;
    (void)position;
    (void)count;
    (void)batch;
    return ok();
}

struct err log_check_files(struct disk *disk, const char *dir, struct log_damage *damage_out,
                           struct log_stats *stats_out)
{
    struct log_folder folder;
    struct err err = log_folder_read(disk, dir, 0, visit_none, NULL, damage_out, &folder);
    if (err.code)
        return err;
    struct log_stats stats = { .next_position = folder.found.next_position,
                               .batches = folder.batches };
    for (uint32_t i = 0; i < folder.list.count; i++)
        stats.size_bytes += folder.list.files[i].size;
    if (folder.found.end == LOG_ENDS_TORN)
        stats.cut_bytes = folder.list.files[folder.current].size - folder.found.end_offset;
    log_folder_done(&folder);
    *stats_out = stats;
    return ok();
}

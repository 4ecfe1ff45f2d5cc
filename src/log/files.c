/*
 * files.c - the embedded log: a thread that makes waiting batches durable, all at once.
 *
 * Submitters put entries into a queue and go on. The log's thread takes all that wait, writes them as
 * one range, syncs once, and calls them back; while it syncs, the next group gathers. So the slower
 * the disk, the larger the groups.
 *
 * Failures:
 *
 * - No room (ERR_FULL): the part that was written is cut off again, and the cut is synced before
 *   anybody is told: otherwise a crash could bring back a batch whose sender was told that it's not
 *   there. The group fails, the log goes on.
 * - Anything else, above all a failed sync: what is on disk is unknown. Linux drops the error with
 *   the dirty pages, so a second sync would report success for bytes that are gone. The log is broken
 *   for good, and its owner is told before anyone else.
 *
 * `mutex` guards the queue, the list of files and the numbers in `stats`; the thread alone touches
 * the open file. `files_mutex`, taken first, keeps files from going while they're read.
 */
#include "log/log_internal.h"

#include "sys/sys.h"
#include "sys/thread.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

static const uint64_t FILE_BYTES_DEFAULT = 64 << 20;
static const uint64_t QUEUE_BYTES_DEFAULT = 64 << 20;
static const uint64_t RESERVE_STEPS = 16; /* a file */
/* A group's bytes, if it's more than one batch; and the buffer that's kept between groups. */
static const size_t GROUP_MAX = 16 << 20;
static const size_t GROUP_KEPT = 4 << 20;

struct log_files {
    struct log log;
    struct log_files_config config;
    char dir[LOG_DIR_MAX];
    struct disk_file *lock;

    struct mutex files_mutex;
    struct mutex mutex;
    struct cond work;
    struct thread thread;
    bool has_thread;

    /* Under mutex. */
    struct log_entry *first;
    struct log_entry *last;
    uint64_t queued_bytes; /* of entries whose outcome isn't known */
    bool is_stopping;
    bool is_broken;
    struct log_list list;
    struct log_stats stats;

    atomic_bool is_low; /* less room is left than the floor */

    /* The thread's. */
    struct disk_file *file;
    uint64_t identity;
    uint64_t end; /* where the next frame goes: all before it is durable */
    uint64_t reserved;
    struct buf group;
};

/* --- writing, on the thread ----------------------------------------------------------- */

/* Begins a new file, when the disk has room for one; the old one goes on otherwise. */
static struct err rotate(struct log_files *log, uint64_t next_position)
{
    struct log_header header = { .first = next_position };
    struct disk_file *file = NULL;
    sys_entropy(&header.identity, sizeof header.identity);

    mutex_lock(&log->mutex);
    struct err err = log_list_reserve(&log->list);
    mutex_unlock(&log->mutex);
    if (err.code)
        return ok(); /* no memory: the old file goes on */
    err = log_file_make(log->config.disk, log->dir, header, &file);
    if (err.code)
        return err.code == ERR_FULL ? ok() : err;

    /* Gives back what was reserved and not used. */
    err = file_truncate(log->file, log->end);
    if (err.code) {
        file_close(file);
        return err;
    }
    file_close(log->file);
    log->file = file;
    log->identity = header.identity;
    log->end = LOG_HEADER_BYTES;
    log->reserved = 0;
    mutex_lock(&log->mutex);
    err = log_list_add(&log->list, (struct log_file){ next_position, LOG_HEADER_BYTES });
    assert(!err.code);
    log->stats.size_bytes += LOG_HEADER_BYTES;
    mutex_unlock(&log->mutex);
    return ok();
}

/* Asks the file system for more than the group, so that most groups find their room reserved. It's
 * help only: when it fails, the write itself tells. */
static void reserve(struct log_files *log, uint64_t end)
{
    if (end <= log->reserved)
        return;
    uint64_t step = log->config.file_bytes / RESERVE_STEPS + 1;
    log->reserved = (end + step - 1) / step * step;
    struct err ignored = file_reserve(log->file, log->reserved);
    (void)ignored;
}

static struct err encode(struct log_files *log, const struct log_entry *first,
                         uint64_t next_position)
{
    buf_reset(&log->group);
    for (const struct log_entry *entry = first; entry; entry = entry->next) {
        struct log_frame frame = { .position = next_position,
                                   .count = entry->count,
                                   .durable = log->end,
                                   .batch = entry->batch };
        uint8_t *to = buf_reserve(&log->group, LOG_FRAME_BYTES + entry->batch.len);
        if (!to)
            return err_new(ERR_NOMEM, "log: room for a group");
        log_frame_encode(log->identity, &frame, to);
        log->group.len += LOG_FRAME_BYTES + entry->batch.len;
        next_position += entry->count;
    }
    return ok();
}

/* Writes the group and makes it durable. *is_broken_out: nothing may go on. */
static struct err write_group(struct log_files *log, const struct log_entry *first,
                              uint64_t group_bytes, uint64_t next_position, bool *is_broken_out)
{
    struct err err;
    *is_broken_out = true;
    if (log->end > LOG_HEADER_BYTES && log->end + group_bytes > log->config.file_bytes) {
        err = rotate(log, next_position);
        if (err.code)
            return err;
    }
    err = encode(log, first, next_position);
    if (err.code) {
        *is_broken_out = false;
        return err;
    }
    reserve(log, log->end + log->group.len);
    err = file_write(log->file, log->end, buf_bytes(&log->group));
    if (err.code == ERR_FULL) {
        log->reserved = 0;
        struct err cut = file_truncate(log->file, log->end);
        if (!cut.code)
            cut = file_sync(log->file);
        if (cut.code)
            return cut;
        *is_broken_out = false;
        return err;
    }
    if (err.code)
        return err;
    err = file_sync(log->file);
    if (err.code)
        return err;
    log->end += log->group.len;
    *is_broken_out = false;
    return ok();
}

/* Counts the group as written and gives its entries their positions. */
static void publish(struct log_files *log, struct log_entry *first)
{
    mutex_lock(&log->mutex);
    for (struct log_entry *entry = first; entry; entry = entry->next) {
        entry->position = log->stats.next_position;
        log->stats.next_position += entry->count;
        log->stats.batches++;
    }
    log->stats.syncs++;
    log->stats.size_bytes += log->group.len;
    log->list.files[log->list.count - 1].size = log->end;
    mutex_unlock(&log->mutex);
}

static void call_back(struct log_files *log, struct log_entry *first, struct err err)
{
    uint64_t bytes = 0;
    for (const struct log_entry *entry = first; entry; entry = entry->next)
        bytes += entry->batch.len;
    mutex_lock(&log->mutex);
    log->queued_bytes -= bytes;
    mutex_unlock(&log->mutex);
    while (first) {
        struct log_entry *entry = first;
        first = entry->next;
        entry->done(entry, err); /* the entry may be gone now */
    }
}

static void check_room(struct log_files *log)
{
    uint64_t left = 0;
    if (log->config.disk_floor_bytes == 0)
        return;
    struct err err = disk_free_bytes(log->config.disk, &left);
    if (!err.code)
        atomic_store(&log->is_low, left < log->config.disk_floor_bytes);
}

static void commit(struct log_files *log, struct log_entry *first, uint64_t group_bytes)
{
    bool is_broken = false;
    mutex_lock(&log->mutex);
    uint64_t next_position = log->stats.next_position;
    bool was_broken = log->is_broken;
    mutex_unlock(&log->mutex);
    if (was_broken) {
        call_back(log, first, err_new(ERR_BROKEN, "log: stopped by an earlier failure"));
        return;
    }

    struct err err = write_group(log, first, group_bytes, next_position, &is_broken);
    if (is_broken) {
        mutex_lock(&log->mutex);
        log->is_broken = true;
        mutex_unlock(&log->mutex);
        if (log->config.on_broken)
            log->config.on_broken(log->config.on_broken_ctx, err);
    }
    if (!err.code)
        publish(log, first);
    check_room(log);
    if (log->group.cap > GROUP_KEPT)
        buf_done(&log->group);
    call_back(log, first, err);
}

/* Takes the waiting entries, as many as make one write. With mutex held. */
static struct log_entry *take_group(struct log_files *log, uint64_t *bytes_out)
{
    struct log_entry *first = log->first;
    struct log_entry *last = first;
    uint64_t bytes = LOG_FRAME_BYTES + first->batch.len;
    while (last->next && bytes + LOG_FRAME_BYTES + last->next->batch.len <= GROUP_MAX) {
        last = last->next;
        bytes += LOG_FRAME_BYTES + last->batch.len;
    }
    log->first = last->next;
    if (!log->first)
        log->last = NULL;
    last->next = NULL;
    *bytes_out = bytes;
    return first;
}

static void *run(void *ctx)
{
    struct log_files *log = ctx;
    mutex_lock(&log->mutex);
    for (;;) {
        while (!log->first && !log->is_stopping)
            cond_wait(&log->work, &log->mutex);
        if (!log->first)
            break;
        uint64_t bytes = 0;
        struct log_entry *first = take_group(log, &bytes);
        mutex_unlock(&log->mutex);
        commit(log, first, bytes);
        mutex_lock(&log->mutex);
    }
    mutex_unlock(&log->mutex);
    return NULL;
}

/* --- the functions of the door ------------------------------------------------------------ */

static struct err files_submit(struct log *base, struct log_entry *entry)
{
    struct log_files *log = (struct log_files *)base;
    if (entry->batch.len == 0 || entry->batch.len > LOG_BATCH_MAX || entry->count == 0)
        return err_new(ERR_INVALID, "log: size of a batch");
    if (atomic_load(&log->is_low)) {
        check_room(log);
        if (atomic_load(&log->is_low))
            return err_new(ERR_FULL, "log: less room than the floor");
    }

    struct err err = ok();
    entry->next = NULL;
    mutex_lock(&log->mutex);
    assert(!log->is_stopping);
    if (log->is_broken) {
        err = err_new(ERR_BROKEN, "log: stopped by an earlier failure");
    } else if (log->queued_bytes > 0 &&
               log->queued_bytes + entry->batch.len > log->config.queue_bytes) {
        err = err_new(ERR_LIMIT, "log: the queue is full");
    } else {
        log->queued_bytes += entry->batch.len;
        if (log->last)
            log->last->next = entry;
        else
            log->first = entry;
        log->last = entry;
        cond_signal(&log->work);
    }
    mutex_unlock(&log->mutex);
    return err;
}

static struct err files_trim(struct log *base, uint64_t position)
{
    struct log_files *log = (struct log_files *)base;
    struct err err = ok();
    mutex_lock(&log->files_mutex);
    for (;;) {
        char path[LOG_PATH_MAX];
        struct log_list *list = &log->list;
        mutex_lock(&log->mutex);
        bool does_go = list->count > 1 && list->files[1].first <= position;
        struct log_file file = list->files[0];
        mutex_unlock(&log->mutex);
        if (!does_go)
            break;
        /* One at a time: a crash must not undo the first removal and keep the second. */
        log_file_path(log->dir, file.first, path);
        err = disk_remove(log->config.disk, path);
        if (!err.code)
            err = disk_sync_dir(log->config.disk, log->dir);
        if (err.code)
            break;
        mutex_lock(&log->mutex);
        memmove(list->files, list->files + 1, (list->count - 1) * sizeof *list->files);
        list->count--;
        log->stats.size_bytes -= file.size;
        mutex_unlock(&log->mutex);
    }
    mutex_unlock(&log->files_mutex);
    return err;
}

static struct err replay_file(struct log_files *log, struct log_file file, uint64_t from,
                              log_visit_fn *visit, void *ctx)
{
    struct buf image;
    struct log_header header;
    struct log_found found;
    buf_init(&image, SIZE_MAX);
    struct err err = log_file_image(log->config.disk, log->dir, file, &image);
    if (!err.code && (!log_header_decode(buf_bytes(&image), &header) || header.first != file.first))
        err = err_new(ERR_CORRUPT, "log: header of a file");
    if (!err.code)
        err = log_scan(buf_bytes(&image), from, visit, ctx, &found);
    if (!err.code && found.end != LOG_ENDS_WHOLE)
        err = err_new(ERR_CORRUPT, "log: frame");
    buf_done(&image);
    return err;
}

static struct err files_replay(struct log *base, uint64_t from, log_visit_fn *visit, void *ctx)
{
    struct log_files *log = (struct log_files *)base;
    struct log_list files = { 0 };
    struct err err = ok();
    mutex_lock(&log->files_mutex);
    mutex_lock(&log->mutex);
    for (uint32_t i = 0; i < log->list.count && !err.code; i++)
        err = log_list_add(&files, log->list.files[i]);
    mutex_unlock(&log->mutex);
    for (uint32_t i = 0; i < files.count && !err.code; i++) {
        if (i + 1 == files.count || files.files[i + 1].first > from)
            err = replay_file(log, files.files[i], from, visit, ctx);
    }
    mutex_unlock(&log->files_mutex);
    log_list_done(&files);
    return err;
}

static struct log_stats files_stats(struct log *base)
{
    struct log_files *log = (struct log_files *)base;
    mutex_lock(&log->mutex);
    struct log_stats stats = log->stats;
    mutex_unlock(&log->mutex);
    return stats;
}

static void files_close(struct log *base)
{
    struct log_files *log = (struct log_files *)base;
    if (log->has_thread) {
        mutex_lock(&log->mutex);
        log->is_stopping = true;
        cond_signal(&log->work);
        mutex_unlock(&log->mutex);
        thread_join(&log->thread);
    }
    file_close(log->file);
    disk_unlock(log->lock);
    log_list_done(&log->list);
    buf_done(&log->group);
    cond_done(&log->work);
    mutex_done(&log->mutex);
    mutex_done(&log->files_mutex);
    free(log);
}

static const struct log_ops files_ops = {
    .submit = files_submit,
    .trim = files_trim,
    .replay = files_replay,
    .stats = files_stats,
    .close = files_close,
};

/* --- opening ------------------------------------------------------------------------------ */

static struct err sync_parent(struct disk *disk, const char *dir)
{
    char parent[LOG_DIR_MAX];
    (void)snprintf(parent, sizeof parent, "%s", dir);
    char *slash = strrchr(parent, '/');
    if (slash)
        *slash = '\0';
    return disk_sync_dir(disk, slash ? parent : ".");
}

static struct err begin_empty(struct log_files *log, uint64_t first)
{
    struct log_header header = { .first = first };
    sys_entropy(&header.identity, sizeof header.identity);
    struct err err = log_list_add(&log->list, (struct log_file){ first, LOG_HEADER_BYTES });
    if (!err.code)
        err = log_file_make(log->config.disk, log->dir, header, &log->file);
    log->identity = header.identity;
    log->end = LOG_HEADER_BYTES;
    log->stats.next_position = first;
    return err;
}

/* Removes the empty files behind the current one, cuts its tail, and makes it durable. */
static struct err mend(struct log_files *log, struct log_folder *folder)
{
    struct disk *disk = log->config.disk;
    struct log_list *list = &folder->list;
    char path[LOG_PATH_MAX];
    struct err err = ok();
    for (; list->count > folder->current + 1 && !err.code; list->count--) {
        log_file_path(log->dir, list->files[list->count - 1].first, path);
        err = disk_remove(disk, path);
    }
    struct log_file *file = &list->files[folder->current];
    log_file_path(log->dir, file->first, path);
    if (!err.code)
        err = disk_open(disk, path, DISK_WRITE, &log->file);
    if (!err.code && folder->found.end_offset < file->size)
        err = file_truncate(log->file, folder->found.end_offset);
    if (!err.code)
        err = file_sync(log->file);
    if (!err.code)
        err = disk_sync_dir(disk, log->dir);
    if (err.code)
        return err;

    log->identity = folder->identity;
    log->end = folder->found.end_offset;
    log->stats.cut_bytes = file->size - log->end;
    log->stats.next_position = folder->found.next_position;
    file->size = log->end;
    log->list = *list;
    *list = (struct log_list){ 0 };
    return ok();
}

/* What a process that was killed had written and not synced is made durable before it's visited:
 * whoever replays it may make something durable that builds on it. */
static struct err sync_last(struct log_files *log)
{
    struct log_list list = { 0 };
    struct disk_file *file = NULL;
    char path[LOG_PATH_MAX];
    struct err err = log_list_read(log->config.disk, log->dir, &list);
    uint32_t last = list.count;
    while (last > 1 && list.files[last - 1].size <= LOG_HEADER_BYTES)
        last--;
    if (!err.code && last > 0) {
        log_file_path(log->dir, list.files[last - 1].first, path);
        err = disk_open(log->config.disk, path, DISK_WRITE, &file);
        if (!err.code)
            err = file_sync(file);
        file_close(file);
    }
    log_list_done(&list);
    return err;
}

static struct err load(struct log_files *log, uint64_t from, log_visit_fn *visit, void *ctx)
{
    const struct log_files_config *config = &log->config;
    struct log_folder folder;
    char lock[LOG_PATH_MAX];
    struct err err = disk_make_dir(config->disk, log->dir);
    if (!err.code)
        err = sync_parent(config->disk, log->dir);
    (void)snprintf(lock, sizeof lock, "%s/lock", log->dir);
    if (!err.code)
        err = disk_lock(config->disk, lock, &log->lock);
    if (!err.code)
        err = sync_last(log);
    if (!err.code)
        err =
            log_folder_read(config->disk, log->dir, from, visit, ctx, config->damage_out, &folder);
    if (err.code)
        return err;
    if (folder.list.count == 0)
        err = begin_empty(log, config->first_position ? config->first_position : 1);
    else if (folder.is_headless)
        err = begin_empty(log, folder.list.files[0].first);
    else
        err = mend(log, &folder);
    log_folder_done(&folder);
    return err;
}

struct err log_open_files(const struct log_files_config *config, uint64_t replay_from,
                          log_visit_fn *visit, void *ctx, struct log **out)
{
    size_t dir_len = strlen(config->dir);
    if (dir_len == 0 || dir_len >= LOG_DIR_MAX)
        return err_new(ERR_INVALID, "log: name of a folder");
    struct log_files *log = calloc(1, sizeof *log);
    if (!log)
        return err_new(ERR_NOMEM, "log: open");
    log->log.ops = &files_ops;
    log->config = *config;
    memcpy(log->dir, config->dir, dir_len + 1);
    log->config.dir = log->dir;
    if (!log->config.file_bytes)
        log->config.file_bytes = FILE_BYTES_DEFAULT;
    if (!log->config.queue_bytes)
        log->config.queue_bytes = QUEUE_BYTES_DEFAULT;
    buf_init(&log->group, GROUP_MAX + LOG_FRAME_BYTES + LOG_BATCH_MAX);
    mutex_init(&log->files_mutex);
    mutex_init(&log->mutex);
    cond_init(&log->work);

    struct err err = load(log, replay_from, visit, ctx);
    if (!err.code) {
        for (uint32_t i = 0; i < log->list.count; i++)
            log->stats.size_bytes += log->list.files[i].size;
        check_room(log);
        err = thread_start(&log->thread, "log", run, log);
        log->has_thread = !err.code;
    }
    if (err.code) {
        files_close(&log->log);
        return err;
    }
    *out = &log->log;
    return ok();
}

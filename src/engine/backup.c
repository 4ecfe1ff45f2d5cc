/*
 * backup.c - a copy of a folder that a server may be writing to, read beside it.
 *
 * For each project: read the manifest, then open at once everything it stands on (the state file, the
 * log from its position on, the parts). An open file stays readable when the server removes its name,
 * so once all are open there's a consistent whole, however long copying takes. When one is gone
 * before it was opened, a newer manifest has taken this one's place: the round begins anew. When the
 * process may not open so many, what is open is copied and the next round needs the rest.
 *
 * The log's last file grows meanwhile: its whole frames, as one reading found them, are taken.
 * Whatever was acknowledged before the backup began was durable then, and so whole. A frame that
 * was being written while it was read can look like damage; read again it doesn't.
 *
 * Into the destination files go under numbers never used before, so that the backup that's there
 * stays whole; then the list that names them takes its place; then what it doesn't name goes.
 */
#include "engine/backup_internal.h"
#include "engine/engine_internal.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    ROUNDS_MAX = 1000,
    LOG_FILE_MAX = 256 << 20,
    NAMES_MAX = 64 << 20,
    POSITION_DIGITS = 20,
    FILES_SPARE = 8
};
#define MANIFEST_LIMIT ((size_t)256 << 20)
#define ROOM_TO_SPARE  (UINT64_C(1) << 20)

enum wanted_kind { WANTED_PART, WANTED_STATE, WANTED_LOG };

struct wanted {
    enum wanted_kind kind;
    struct disk_file *file;
    uint64_t size;
    uint64_t pin;
    char path[BACKUP_PATH_MAX];
};

struct job {
    const struct backup_config *config;
    struct backup_copy copy;
    struct backup_list list;
    struct backup_list old;
    struct wanted *wanted;
    uint32_t wanted_count;
    uint32_t wanted_cap;
    bool is_stale;   /* a file was gone: the manifest is of yesterday */
    bool is_partial; /* no more files could be opened */
    uint32_t first;  /* of the list's files: the project's */
    char dir[PROJECT_ID_MAX + 16];
    struct buf manifest;
};

static struct err no_memory(void)
{
    return err_new(ERR_NOMEM, "backup: making one");
}

/* --- what a project stands on ----------------------------------------------------------- */

static void close_wanted(struct job *job)
{
    for (uint32_t i = 0; i < job->wanted_count; i++)
        file_close(job->wanted[i].file);
    job->wanted_count = 0;
}

/* Opens a file of the folder. Gone, or too many open: noted in the job. */
static struct err want(struct job *job, enum wanted_kind kind, const char *path, uint64_t size,
                       uint64_t pin)
{
    if (job->is_stale || job->is_partial)
        return ok();
    if (strlen(path) >= BACKUP_PATH_MAX)
        return err_new(ERR_INVALID, "backup: a path is too long");
    if (job->wanted_count == job->wanted_cap) {
        uint32_t cap = job->wanted_cap ? job->wanted_cap * 2 : 64;
        struct wanted *more = realloc(job->wanted, cap * sizeof *more);
        if (!more)
            return no_memory();
        job->wanted = more;
        job->wanted_cap = cap;
    }
    struct wanted *wanted = &job->wanted[job->wanted_count];
    *wanted = (struct wanted){ .kind = kind, .size = size, .pin = pin };
    (void)snprintf(wanted->path, sizeof wanted->path, "%s", path);
    struct err err = disk_open(job->config->from, path, DISK_READ, &wanted->file);
    if (err.code == ERR_MISSING) {
        job->is_stale = true;
        return ok();
    }
    if (err.code == ERR_OS && (err.os == EMFILE || err.os == ENFILE) &&
        job->wanted_count > FILES_SPARE) {
        for (int i = 0; i < FILES_SPARE; i++) /* copying needs some too */
            file_close(job->wanted[--job->wanted_count].file);
        job->is_partial = true;
        return ok();
    }
    if (err.code) {
        backup_tell(job->config, path, err.what);
        return err;
    }
    job->wanted_count++;
    return ok();
}

static bool is_stored(struct disk *disk, const struct backup_file *file)
{
    char path[BACKUP_PATH_MAX];
    struct disk_file *stored;
    uint64_t size = 0;
    backup_file_path(file->number, path);
    struct err err = disk_open(disk, path, DISK_READ, &stored);
    if (err.code)
        return false;
    err = file_size(stored, &size);
    file_close(stored);
    return !err.code && size == file->size;
}

static bool is_same(const struct backup_file *file, uint64_t size, uint64_t pin)
{
    return file && pin && file->pin == pin && file->size == size;
}

static struct err want_part(void *ctx, const char *path, uint64_t size, uint64_t pin)
{
    struct job *job = ctx;
    struct backup_file *mine = backup_list_find(&job->list, path);
    if (is_same(mine, size, pin)) {
        mine->is_wanted = true;
        return ok();
    }
    const struct backup_file *old = backup_list_find(&job->old, path);
    if (!is_same(old, size, pin) || !is_stored(job->config->to, old))
        return want(job, WANTED_PART, path, size, pin);
    struct backup_file again = *old;
    again.is_wanted = true;
    job->copy.sum->reused++;
    return backup_list_add(&job->list, &again);
}

/* "00000000000000000042.log" into 42. */
static bool log_position(const char *name, uint64_t *out)
{
    uint64_t value = 0;
    if (strlen(name) != POSITION_DIGITS + 4 || strcmp(name + POSITION_DIGITS, ".log") != 0)
        return false;
    for (int i = 0; i < POSITION_DIGITS; i++) {
        if (name[i] < '0' || name[i] > '9')
            return false;
        value = value * 10 + (uint64_t)(name[i] - '0');
    }
    *out = value;
    return true;
}

/* The files that hold `position` or later: those before the last one that begins at or before it
 * don't. */
static struct err want_log_names(struct job *job, const char *dir, const char *names, size_t count,
                                 uint64_t position)
{
    uint64_t begin = UINT64_MAX;
    uint64_t first;
    struct err err = ok();
    const char *name = names;
    for (size_t i = 0; i < count; i++, name += strlen(name) + 1)
        if (log_position(name, &first) && first <= position)
            begin = first;
    if (begin == UINT64_MAX) /* trimmed since the manifest was read */
        job->is_stale = true;
    name = names;
    for (size_t i = 0; i < count && !err.code; i++, name += strlen(name) + 1) {
        char path[BACKUP_PATH_MAX];
        if (!log_position(name, &first) || first < begin)
            continue;
        (void)snprintf(path, sizeof path, "%s/%s", dir, name);
        err = want(job, WANTED_LOG, path, 0, 0);
    }
    return err;
}

static struct err want_log(struct job *job, uint64_t position)
{
    char dir[sizeof job->dir + 8];
    bool exists = false;
    struct buf names;
    size_t count = 0;
    (void)snprintf(dir, sizeof dir, "%s/log", job->dir);
    struct err err = disk_exists(job->config->from, dir, &exists);
    if (err.code || (!exists && job->manifest.len == 0))
        return err;
    buf_init(&names, NAMES_MAX);
    err = disk_list(job->config->from, dir, &names, &count);
    if (!err.code)
        err = want_log_names(job, dir, (const char *)names.ptr, count, position);
    buf_done(&names);
    return err;
}

/* Opens everything that the manifest of this moment stands on. */
static struct err open_round(struct job *job, uint64_t *position_out)
{
    char path[BACKUP_PATH_MAX];
    uint64_t position = 1;
    struct buf extra;
    job->is_stale = false;
    job->is_partial = false;
    for (uint32_t i = job->first; i < job->list.count; i++)
        job->list.files[i].is_wanted = false;
    (void)snprintf(path, sizeof path, "%s/MANIFEST", job->dir);
    buf_reset(&job->manifest);
    struct err err = disk_read_file(job->config->from, path, MANIFEST_LIMIT, &job->manifest);
    bool exists = err.code != ERR_MISSING;
    if (!exists)
        err = ok();
    if (err.code)
        return err;
    buf_init(&extra, 1 << 16);
    if (exists)
        err = store_manifest_files(buf_bytes(&job->manifest), job->dir, want_part, job, &position,
                                   &extra);
    if (err.code == ERR_CORRUPT)
        backup_tell(job->config, path, err.what);
    if (!err.code && extra.len > 0) {
        (void)snprintf(path, sizeof path, "%s/%.*s", job->dir, BYTES_FMT(buf_bytes(&extra)));
        err = want(job, WANTED_STATE, path, 0, 0);
    }
    buf_done(&extra);
    if (!err.code)
        err = want_log(job, position);
    *position_out = position;
    return err;
}

/* --- copying ------------------------------------------------------------------------------------ */

static struct err create(struct job *job, struct backup_file *file, struct disk_file **out)
{
    char path[BACKUP_PATH_MAX];
    file->number = job->list.next_number++;
    file->is_wanted = true;
    backup_file_path(file->number, path);
    return disk_open(job->config->to, path, DISK_CREATE, out);
}

static struct err keep(struct job *job, const struct backup_file *file, struct disk_file *stored,
                       struct err err)
{
    if (!err.code)
        err = file_sync(stored);
    file_close(stored);
    return err.code ? err : backup_list_add(&job->list, file);
}

static struct err copy_bytes(struct job *job, const char *path, struct bytes bytes)
{
    struct backup_file file = { .path = path, .size = bytes.len };
    struct disk_file *stored = NULL;
    struct err err = create(job, &file, &stored);
    if (err.code)
        return err;
    err = backup_copy_memory(&job->copy, bytes, stored, &file.sum);
    return keep(job, &file, stored, err);
}

static struct err copy_wanted(struct job *job, struct wanted *wanted)
{
    struct backup_file file = { .path = wanted->path, .size = wanted->size, .pin = wanted->pin };
    struct disk_file *stored = NULL;
    struct err err = create(job, &file, &stored);
    if (err.code)
        return err;
    err = backup_copy_bytes(&job->copy, wanted->file, wanted->size, stored, &file.sum);
    if (err.code == ERR_CORRUPT || err.code == ERR_OS)
        backup_tell(job->config, wanted->path, err.what);
    return keep(job, &file, stored, err);
}

static struct err read_log(struct job *job, struct wanted *wanted, struct buf *image,
                           struct log_whole *whole)
{
    struct err err = ok();
    for (int tries = 0; tries < 2; tries++) {
        uint64_t size = 0;
        buf_reset(image);
        err = file_size(wanted->file, &size);
        if (!err.code && size > LOG_FILE_MAX)
            err = err_new(ERR_LIMIT, "backup: a log file is too large");
        uint8_t *room = err.code ? NULL : buf_reserve(image, size + 1);
        if (!err.code && !room)
            err = buf_err(image);
        if (!err.code)
            err = file_read(wanted->file, 0, room, size);
        if (err.code)
            return err;
        image->len = size;
        err = log_find_whole(buf_bytes(image), whole);
        if (err.code || !whole->is_damaged)
            return err;
    }
    backup_tell(job->config, wanted->path, "the log is damaged");
    return err_new(ERR_CORRUPT, "backup: the log is damaged");
}

/* The log's files in order; *next_inout: the position behind what was copied. */
static struct err copy_log(struct job *job, struct buf *image, uint64_t *next_inout)
{
    bool is_cut = false;
    bool has_frames = false;
    for (uint32_t i = 0; i < job->wanted_count; i++) {
        struct log_whole whole;
        struct wanted *wanted = &job->wanted[i];
        if (wanted->kind != WANTED_LOG)
            continue;
        struct err err = read_log(job, wanted, image, &whole);
        if (err.code)
            return err;
        bool is_empty = whole.next == whole.first;
        if (!is_empty && (is_cut || (has_frames && whole.first != *next_inout))) {
            backup_tell(job->config, wanted->path, "the log has a gap before it");
            return err_new(ERR_CORRUPT, "backup: the log has a gap");
        }
        is_cut = is_cut || whole.bytes < image->len;
        if (is_empty)
            continue;
        has_frames = true;
        *next_inout = whole.next;
        err = copy_bytes(job, wanted->path, bytes_of(image->ptr, whole.bytes));
        if (err.code)
            return err;
    }
    return ok();
}

static struct err copy_kind(struct job *job, enum wanted_kind kind)
{
    struct err err = ok();
    for (uint32_t i = 0; i < job->wanted_count && !err.code; i++)
        if (job->wanted[i].kind == kind)
            err = copy_wanted(job, &job->wanted[i]);
    return err;
}

static struct err check_room(struct job *job)
{
    uint64_t free_bytes = 0;
    uint64_t needed = job->manifest.len;
    for (uint32_t i = 0; i < job->wanted_count; i++) {
        struct wanted *wanted = &job->wanted[i];
        struct err err = ok();
        if (wanted->kind != WANTED_PART)
            err = file_size(wanted->file, &wanted->size);
        if (err.code)
            return err;
        needed += wanted->size;
    }
    struct err err = disk_free_bytes(job->config->to, &free_bytes);
    if (!err.code && free_bytes < needed + ROOM_TO_SPARE)
        err = err_new(ERR_FULL, "backup: there isn't room for it");
    job->copy.sum->total_bytes += needed;
    return err;
}

/* What is open is all that the manifest stands on. */
static struct err copy_round(struct job *job, uint64_t *position_inout)
{
    char path[BACKUP_PATH_MAX];
    struct buf image;
    (void)snprintf(path, sizeof path, "%s/MANIFEST", job->dir);
    buf_init(&image, LOG_FILE_MAX + 1);
    struct err err = copy_log(job, &image, position_inout);
    buf_done(&image);
    if (!err.code)
        err = copy_kind(job, WANTED_STATE);
    if (!err.code)
        err = copy_kind(job, WANTED_PART);
    if (!err.code && job->manifest.len > 0)
        err = copy_bytes(job, path, buf_bytes(&job->manifest));
    return err;
}

/* Parts of an earlier round that the last one doesn't name. */
static void drop_unwanted(struct job *job)
{
    uint32_t kept = job->first;
    for (uint32_t i = job->first; i < job->list.count; i++)
        if (job->list.files[i].is_wanted)
            job->list.files[kept++] = job->list.files[i];
    job->list.count = kept;
}

static struct err copy_project(struct job *job, const char *id)
{
    uint64_t position = 0;
    struct err err = err_new(ERR_BUSY, "backup: the folder changes faster than it can be read");
    bool is_done = false;
    job->first = job->list.count;
    (void)snprintf(job->dir, sizeof job->dir, "projects/%s", id);
    for (int round = 0; round < ROUNDS_MAX && !is_done; round++) {
        struct err failed = open_round(job, &position);
        if (!failed.code && !job->is_stale)
            failed = check_room(job);
        if (!failed.code && !job->is_stale && job->is_partial)
            failed = copy_kind(job, WANTED_PART);
        else if (!failed.code && !job->is_stale)
            failed = copy_round(job, &position);
        is_done = failed.code || (!job->is_stale && !job->is_partial);
        if (is_done)
            err = failed;
        close_wanted(job);
    }
    if (err.code)
        return err;
    drop_unwanted(job);
    if (job->config->has_project)
        job->config->has_project(job->config->ctx, id, position);
    return backup_list_add_project(&job->list, id, position);
}

static bool is_project_id(const char *id)
{
    size_t len = strlen(id);
    return len > 0 && len <= PROJECT_ID_MAX &&
           strspn(id, "abcdefghijklmnopqrstuvwxyz0123456789_-") == len;
}

static struct err copy_projects(struct job *job)
{
    struct buf names;
    size_t count = 0;
    bool exists = false;
    struct err err = disk_exists(job->config->from, "projects", &exists);
    if (err.code || !exists)
        return err;
    buf_init(&names, NAMES_MAX);
    err = disk_list(job->config->from, "projects", &names, &count);
    const char *name = (const char *)names.ptr;
    for (size_t i = 0; i < count && !err.code; i++, name += strlen(name) + 1)
        if (is_project_id(name))
            err = copy_project(job, name);
    buf_done(&names);
    return err;
}

/* First of all: a project made later is in the folder and not in control.db, which harms nobody. */
static struct err copy_control(struct job *job)
{
    struct backup_file file = { .path = "control.db", .number = job->list.next_number++ };
    struct disk_file *stored = NULL;
    char path[BACKUP_PATH_MAX];
    if (!job->config->copy_control)
        return ok();
    backup_file_path(file.number, path);
    struct err err = job->config->copy_control(job->config->ctx, job->config->to, path);
    if (!err.code)
        err = disk_open(job->config->to, path, DISK_WRITE, &stored);
    if (err.code) {
        backup_tell(job->config, "control.db", err.what);
        return err;
    }
    err = file_size(stored, &file.size);
    job->copy.sum->total_bytes += file.size;
    if (!err.code)
        err = backup_copy_bytes(&job->copy, stored, file.size, NULL, &file.sum);
    return keep(job, &file, stored, err);
}

/* --- the destination --------------------------------------------------------------------------------- */

static bool is_number(const char *name, uint64_t *out)
{
    uint64_t value = 0;
    if (strlen(name) != 16 || strspn(name, "0123456789abcdef") != 16)
        return false;
    for (int i = 0; i < 16; i++)
        value = value << 4 | (uint64_t)(name[i] <= '9' ? name[i] - '0' : name[i] - 'a' + 10);
    *out = value;
    return true;
}

static int compare_numbers(const void *a, const void *b)
{
    const uint64_t *left = a;
    const uint64_t *right = b;
    return (*left > *right) - (*left < *right);
}

static struct err sweep_names(struct disk *disk, const uint64_t *kept, uint32_t kept_count,
                              const char *names, size_t count)
{
    struct err err = ok();
    const char *name = names;
    for (size_t i = 0; i < count && !err.code; i++, name += strlen(name) + 1) {
        char path[BACKUP_PATH_MAX];
        uint64_t number;
        if (!is_number(name, &number) ||
            bsearch(&number, kept, kept_count, sizeof *kept, compare_numbers))
            continue;
        backup_file_path(number, path);
        err = disk_remove(disk, path);
    }
    return err;
}

/* Removes what the list doesn't name. */
static struct err sweep(struct disk *disk, const struct backup_list *list)
{
    struct buf names;
    size_t count = 0;
    uint64_t *kept = calloc(list->count + (size_t)1, sizeof *kept);
    if (!kept)
        return no_memory();
    for (uint32_t i = 0; i < list->count; i++)
        kept[i] = list->files[i].number;
    qsort(kept, list->count, sizeof *kept, compare_numbers);
    buf_init(&names, NAMES_MAX);
    struct err err = disk_list(disk, "files", &names, &count);
    if (!err.code)
        err = sweep_names(disk, kept, list->count, (const char *)names.ptr, count);
    buf_done(&names);
    free(kept);
    return err;
}

/* Is it empty, or a backup's? */
static struct err check_place(struct disk *disk)
{
    struct buf names;
    size_t count = 0;
    buf_init(&names, NAMES_MAX);
    struct err err = disk_list(disk, ".", &names, &count);
    const char *name = (const char *)names.ptr;
    for (size_t i = 0; i < count && !err.code; i++, name += strlen(name) + 1) {
        bool is_ours = strcmp(name, "BACKUP") == 0 || strcmp(name, "BACKUP.new") == 0 ||
                       strcmp(name, "files") == 0 || strcmp(name, "LOCK") == 0 ||
                       strcmp(name, "lost+found") == 0;
        if (!is_ours)
            err = err_new(ERR_EXISTS, "backup: the folder holds something else");
    }
    buf_done(&names);
    return err;
}

static struct err begin_place(struct job *job)
{
    struct disk *to = job->config->to;
    struct err err = backup_list_read(to, &job->old);
    if (err.code == ERR_CORRUPT)
        backup_tell(job->config, "BACKUP", err.what);
    if (err.code && err.code != ERR_MISSING)
        return err;
    job->list.next_number = job->old.next_number;
    job->list.made_ms = clock_now_ms(job->config->clock);
    err = disk_make_dir(to, "files");
    /* Before anything is removed: the list that was read is the one that a crash would leave. */
    if (!err.code)
        err = disk_sync_dir(to, ".");
    return err.code ? err : sweep(to, &job->old);
}

/* After a failure: what was there before stays. */
static void clean_up(struct job *job)
{
    struct disk *to = job->config->to;
    struct err ignored = sweep(to, &job->old);
    if (!job->old.exists) {
        ignored = disk_remove(to, "files");
        ignored = disk_sync_dir(to, ".");
    }
    (void)ignored;
}

static struct err make(struct job *job)
{
    struct disk *to = job->config->to;
    struct err err = begin_place(job);
    if (err.code)
        return err;
    err = copy_control(job);
    if (!err.code)
        err = copy_projects(job);
    if (!err.code)
        err = disk_sync_dir(to, "files");
    if (err.code) {
        clean_up(job);
        return err;
    }
    /* When this fails nobody knows which list a crash would leave: the files of both stay. */
    err = backup_list_write(to, &job->list);
    if (err.code)
        return err;
    struct err swept = sweep(to, &job->list);
    (void)swept; /* what stays is removed by the next one */
    return ok();
}

struct err engine_backup(const struct backup_config *config, struct backup_sum *sum_out)
{
    struct disk_file *lock = NULL;
    struct job job = { .config = config, .copy = { .config = config, .sum = sum_out } };
    *sum_out = (struct backup_sum){ .files = 0 };
    struct err err = check_place(config->to);
    if (!err.code)
        err = disk_lock(config->to, "LOCK", &lock);
    if (err.code)
        return err;
    backup_list_init(&job.list);
    backup_list_init(&job.old);
    buf_init(&job.manifest, MANIFEST_LIMIT);
    job.copy.block = malloc(BACKUP_BLOCK);
    err = job.copy.block ? make(&job) : no_memory();
    for (uint32_t i = 0; i < job.list.count && !err.code; i++)
        sum_out->bytes += job.list.files[i].size;
    sum_out->files = job.list.count;
    close_wanted(&job);
    free(job.wanted);
    free(job.copy.block);
    buf_done(&job.manifest);
    backup_list_done(&job.old);
    backup_list_done(&job.list);
    disk_unlock(lock);
    return err;
}

/*
 * checkpoint.c - from memory to files, and the manifest that makes them count.
 *
 * `begin` seals everything, freezes the runs that are in memory and notes who is dead: together with
 * the files, the state at a position. `write` puts each month's frozen runs into a file, and only
 * when all are there and durable does a manifest name them; then the views get the files in place of
 * the runs. Until the manifest is there nothing has changed, and a failure is retried by the next
 * checkpoint, which finds the same runs still frozen.
 *
 * A manifest whose write fails: the old one is intact when it's still what the name leads to; then
 * the new files are removed. Otherwise nobody knows which one a crash would leave; no file of either
 * may go, and the store writes no more.
 */
#include "store/merge.h"
#include "store/store_internal.h"

#include <stdio.h>
#include <stdlib.h>

static struct err no_memory(void)
{
    return err_new(ERR_NOMEM, "store: checkpoint");
}

void files_set_replaying(struct store *store, bool is_replaying)
{
    enum { RUNS_TOGETHER = 4, RUNS_REPLAYED = 1024 };
    files_of(store)->runs_together = is_replaying ? RUNS_REPLAYED : RUNS_TOGETHER;
}

bool files_wants_flush(const struct store *base)
{
    const struct files_store *store = (const struct files_store *)(const void *)base;
    for (uint32_t s = 0; s < store->shards; s++) {
        const struct files_shard *shard = &store->shard[s];
        uint64_t frozen = shard->frozen_rows;
        uint64_t memory = shard->memory_rows;
        uint64_t rows = memory > frozen ? memory - frozen : 0;
        if (rows + tail_count(shard->tail) >= store->flush_events)
            return true;
    }
    return false;
}

/* --- begin --------------------------------------------------------------------------- */

static void freeze(struct shard_view *view)
{
    for (uint32_t m = 0; m < view->month_count; m++)
        for (uint32_t i = 0; i < view->months[m]->run_count; i++)
            if (view->months[m]->runs[i]->image)
                view->months[m]->runs[i]->is_frozen = true;
}

struct err files_checkpoint_begin(struct store *base, uint64_t position)
{
    struct files_store *store = files_of(base);
    struct err err = files_seal(base);
    if (err.code)
        return err;
    mutex_lock(&store->counting);
    mutex_lock(&store->lock);
    struct pending *pending = &store->pending;
    pending->is_set = true;
    pending->position = position;
    pending->events = files_living(store);
    store->appended_before = store->appended;
    for (uint32_t s = 0; s < store->shards; s++) {
        freeze(store->shard[s].view);
        store->shard[s].frozen_rows = store->shard[s].memory_rows;
        pending->rows[s] = store->shard[s].view->rows;
        dead_set_unref(pending->dead[s]);
        pending->dead[s] = dead_set_ref(store->shard[s].view->dead);
    }
    mutex_unlock(&store->lock);
    mutex_unlock(&store->counting);
    return ok();
}

/* --- the manifest's file ------------------------------------------------------------------ */

static void manifest_path(const struct files_store *store, char *to)
{
    (void)snprintf(to, PART_NAME_MAX, "%s/%s", store->dir, MANIFEST_NAME);
}

struct err files_sync_shard(struct files_store *store, uint32_t shard)
{
    char path[PART_NAME_MAX];
    (void)snprintf(path, sizeof path, "%s/shard-%03u", store->dir, shard);
    return disk_sync_dir(store->home.disk, path);
}

/* Does the name still lead to the manifest that was there before? */
static bool is_unchanged(struct files_store *store)
{
    char path[PART_NAME_MAX];
    struct buf now;
    struct buf then;
    bool exists = false;
    manifest_path(store, path);
    struct err err = disk_exists(store->home.disk, path, &exists);
    if (err.code || !exists)
        return !err.code && store->manifest_bytes == 0;
    buf_init(&now, MANIFEST_BYTES_MAX);
    buf_init(&then, MANIFEST_BYTES_MAX);
    err = disk_read_file(store->home.disk, path, MANIFEST_BYTES_MAX, &now);
    manifest_put(store->manifest, &then);
    bool is_same = !err.code && !then.is_failed && bytes_equal(buf_bytes(&now), buf_bytes(&then));
    buf_done(&now);
    buf_done(&then);
    return is_same;
}

struct err files_write_manifest(struct files_store *store, struct manifest *manifest)
{
    char path[PART_NAME_MAX];
    struct buf bytes;
    manifest_path(store, path);
    buf_init(&bytes, MANIFEST_BYTES_MAX);
    manifest->next_number = atomic_load(&store->next_number);
    manifest_put(manifest, &bytes);
    struct err err = buf_err(&bytes);
    if (!err.code) {
        err = disk_replace_file(store->home.disk, path, buf_bytes(&bytes));
        if (err.code && !is_unchanged(store)) {
            /* No file of either manifest may go. */
            atomic_store(&store->is_broken, true);
            store->home.is_closing = true;
        }
    }
    size_t size = bytes.len;
    buf_done(&bytes);
    if (err.code) {
        manifest_free(manifest);
        return err;
    }
    mutex_lock(&store->lock);
    struct manifest *old = store->manifest;
    store->manifest = manifest;
    store->manifest_bytes = size;
    mutex_unlock(&store->lock);
    manifest_free(old);
    return ok();
}

/* --- write ----------------------------------------------------------------------------------- */

static struct err write_image(struct files_store *store, const struct part *run, struct part **out)
{
    char path[PART_NAME_MAX];
    struct disk_file *file = NULL;
    part_path(&store->home, run->shard, run->month, run->number, path);
    struct err err = disk_open(store->home.disk, path, DISK_CREATE, &file);
    if (err.code)
        return err;
    err = file_write(file, 0, bytes_of(run->image, run->size));
    if (!err.code)
        err = file_sync(file);
    file_close(file);
    struct part_name name = {
        .number = run->number,
        .shard = run->shard,
        .month = run->month,
        .size = run->size,
        .header_sum = run->header_sum,
        .rows = run->rows,
        .users = run->users,
    };
    if (!err.code)
        err = part_of_file(&store->home, &name, out);
    if (err.code) {
        struct err removed = disk_remove(store->home.disk, path);
        (void)removed; /* what stays behind is removed at the next opening */
    }
    return err;
}

/* The frozen runs of a month; they are neighbours. */
static uint32_t frozen_runs(const struct month_view *month, uint32_t *first_out)
{
    uint32_t first = 0;
    while (first < month->run_count && !month->runs[first]->image)
        first++;
    uint32_t count = 0;
    while (first + count < month->run_count && month->runs[first + count]->is_frozen)
        count++;
    *first_out = first;
    return count;
}

/* *out NULL: there's nothing to write. */
static struct err write_month(struct files_store *store, uint32_t shard,
                              const struct month_view *month, const struct row_set *dead,
                              struct part **out)
{
    uint32_t first = 0;
    uint32_t count = frozen_runs(month, &first);
    uint32_t users = 0;
    uint32_t rows = 0;
    struct err err = ok();
    *out = NULL;
    if (count == 0)
        return ok();
    if (count == 1)
        err = part_count_dead(month->runs[first], store->pending.dead[shard], &users, &rows);
    if (err.code)
        return err;
    if (count == 1 && users == 0)
        return write_image(store, month->runs[first], out);

    struct slice_source *sources = calloc(count, sizeof *sources);
    if (!sources)
        return no_memory();
    for (uint32_t i = 0; i < count; i++)
        sources[i].part = month->runs[first + i];
    struct merge_job job = {
        .sources = sources,
        .count = count,
        .drop = dead,
        .number = atomic_fetch_add(&store->next_number, 1),
        .shard = shard,
        .shards = store->shards,
        .month = month->month,
        .zone = store->zone,
    };
    err = merge_to_file(&job, &store->home, out);
    free(sources);
    return err;
}

/* `view` with a run of a month put behind those of files, and (frozen) in place of the frozen ones.
 * Takes nothing; *view is replaced. */
static struct err put_file(struct shard_view **view, int32_t number, struct part *file,
                           bool without_frozen)
{
    const struct month_view *old = shard_view_find(*view, number);
    uint32_t room = (old ? old->run_count : 0) + 1;
    struct part **runs = malloc(room * sizeof(struct part *));
    if (!runs)
        return no_memory();
    uint32_t count = 0;
    uint32_t i = 0;
    for (; old && i < old->run_count && !old->runs[i]->image; i++)
        runs[count++] = old->runs[i];
    if (file)
        runs[count++] = file;
    for (; old && i < old->run_count; i++)
        if (!without_frozen || !old->runs[i]->is_frozen)
            runs[count++] = old->runs[i];
    struct month_view *month = NULL;
    struct shard_view *made = NULL;
    struct err err = month_view_new(number, old ? old->base : NULL, old ? old->mask : NULL,
                                    old ? old->patch : NULL, runs, count, &month);
    free(runs);
    if (!err.code)
        err = shard_view_with(*view, month, &made);
    month_view_unref(month);
    if (err.code)
        return err;
    shard_view_unref(*view);
    *view = made;
    return ok();
}

struct written {
    int32_t month;
    struct part *file; /* NULL: all of its rows were of dead users */
    struct written *next;
};

/* One shard: files of its frozen runs, and its view in the manifest. */
static struct err write_shard(struct files_store *store, uint32_t shard, struct manifest *manifest,
                              struct written **written)
{
    struct shard_view *now = files_view(store, shard);
    struct dead_set *dead = store->pending.dead[shard];
    const struct shard_view *before = manifest->views[shard];
    struct shard_view *view = NULL;
    bool has_files = false;
    struct err err = shard_view_new(store->pending.rows[shard], dead, before->months,
                                    before->month_count, &view);
    for (uint32_t m = 0; m < now->month_count && !err.code; m++) {
        uint32_t first = 0;
        if (frozen_runs(now->months[m], &first) == 0)
            continue;
        struct written *entry = calloc(1, sizeof *entry);
        if (!entry) {
            err = no_memory();
            break;
        }
        *entry = (struct written){ .month = now->months[m]->month, .next = *written };
        *written = entry;
        err = write_month(store, shard, now->months[m], dead ? dead->all : NULL, &entry->file);
        if (!err.code && entry->file) {
            has_files = true;
            err = put_file(&view, entry->month, entry->file, false);
        }
    }
    if (!err.code && has_files)
        err = files_sync_shard(store, shard);
    shard_view_unref(now);
    if (err.code)
        shard_view_unref(view);
    else
        manifest_set(manifest, shard, view);
    return err;
}

/* The files take the place of the frozen runs. When there's no memory for that, the runs stay beside
 * the files: that would count their events twice, so the store is broken until it's opened anew. */
static struct err install(struct files_store *store, uint32_t shard, const struct written *written)
{
    struct files_shard *target = &store->shard[shard];
    struct err err = ok();
    mutex_lock(&store->lock);
    for (; written && !err.code; written = written->next) {
        const struct month_view *month = shard_view_find(target->view, written->month);
        uint32_t first = 0;
        uint32_t count = month ? frozen_runs(month, &first) : 0;
        uint64_t rows = 0;
        for (uint32_t i = 0; i < count; i++)
            rows += month->runs[first + i]->rows;
        err = put_file(&target->view, written->month, written->file, true);
        if (err.code)
            break;
        target->memory_rows -= rows;
        target->frozen_rows -= rows;
    }
    mutex_unlock(&store->lock);
    return err;
}

static void free_written(struct written *written)
{
    while (written) {
        struct written *next = written->next;
        part_unref(written->file);
        free(written);
        written = next;
    }
}

static struct err write_files(struct files_store *store, struct bytes extra,
                              struct written **written, struct manifest **out)
{
    struct manifest *manifest = NULL;
    struct err err = manifest_copy(store->manifest, &manifest);
    if (err.code)
        return err;
    manifest->position = store->pending.position;
    manifest->events = store->pending.events;
    buf_reset(&manifest->extra);
    buf_put(&manifest->extra, extra);
    err = buf_err(&manifest->extra);
    for (uint32_t s = 0; s < store->shards && !err.code; s++)
        err = write_shard(store, s, manifest, &written[s]);
    if (err.code)
        manifest_free(manifest);
    else
        *out = manifest;
    return err;
}

static struct err write_checkpoint(struct files_store *store, struct bytes extra)
{
    struct manifest *manifest = NULL;
    struct written **written = calloc(store->shards, sizeof *written);
    if (!written)
        return no_memory();
    struct err err = write_files(store, extra, written, &manifest);
    if (!err.code)
        err = files_write_manifest(store, manifest);
    if (!err.code) {
        store->pending.is_set = false;
        for (uint32_t s = 0; s < store->shards && !err.code; s++)
            err = install(store, s, written[s]);
        if (err.code)
            atomic_store(&store->is_broken, true);
    }
    for (uint32_t s = 0; s < store->shards; s++)
        free_written(written[s]);
    free(written);
    return err;
}

struct err files_checkpoint_write(struct store *base, struct bytes extra)
{
    struct files_store *store = files_of(base);
    mutex_lock(&store->background);
    struct err err = ok();
    if (atomic_load(&store->is_broken))
        err = err_new(ERR_BROKEN, "store: checkpoint");
    else if (!store->pending.is_set)
        err = err_new(ERR_INVALID, "store: a checkpoint wasn't begun");
    if (!err.code)
        err = write_checkpoint(store, extra);
    mutex_unlock(&store->background);
    return err;
}

/* store_files.c - opening and closing the embedded engine, and its numbers. */
#include "store/store_internal.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    SHARDS_DEFAULT = 8,
    TAIL_EVENTS_DEFAULT = 16384,
    FLUSH_EVENTS_DEFAULT = 1 << 20,
    RETENTION_DEFAULT = 120,
};
#define CACHE_BYTES_DEFAULT (UINT64_C(256) << 20)

static struct err no_memory(void)
{
    return err_new(ERR_NOMEM, "store: open");
}

/* --- numbers ------------------------------------------------------------------------ */

static void add_part(struct store_stats *stats, const struct part *part)
{
    if (!part)
        return;
    stats->parts++;
    if (part->image)
        stats->memory_bytes += part->size;
    else
        stats->disk_bytes += part->size;
}

static struct store_stats files_stats(const struct store *base)
{
    /* The lock isn't part of what the caller sees as constant. */
    struct files_store *store = (struct files_store *)(uintptr_t)base;
    struct store_stats stats = { .events = files_living(store) };
    mutex_lock(&store->lock);
    stats.position = store->manifest->position;
    stats.disk_bytes = store->manifest_bytes;
    for (uint32_t s = 0; s < store->shards; s++) {
        const struct shard_view *view = store->shard[s].view;
        stats.memory_events += store->shard[s].memory_rows;
        for (uint32_t m = 0; m < view->month_count; m++) {
            const struct month_view *month = view->months[m];
            add_part(&stats, month->base);
            add_part(&stats, month->patch);
            stats.patches += month->patch != NULL;
            for (uint32_t i = 0; i < month->run_count; i++)
                add_part(&stats, month->runs[i]);
        }
    }
    mutex_unlock(&store->lock);
    return stats;
}

/* --- closing -------------------------------------------------------------------------- */

static void free_shard(struct files_shard *shard)
{
    tail_free(shard->tail);
    row_set_unref(shard->dead);
    row_set_unref(shard->erased);
    shard_view_unref(shard->view);
}

static void files_close(struct store *base)
{
    if (!base)
        return;
    struct files_store *store = files_of(base);
    store->home.is_closing = true;
    for (uint32_t s = 0; store->shard && s < store->shards; s++) {
        free_shard(&store->shard[s]);
        if (store->pending.dead)
            dead_set_unref(store->pending.dead[s]);
    }
    free(store->shard);
    free(store->pending.rows);
    free(store->pending.dead);
    manifest_free(store->manifest);
    cache_free(store->home.cache);
    mutex_done(&store->lock);
    mutex_done(&store->background);
    mutex_done(&store->counting);
    free(store->dir);
    free(store);
}

static const struct store_ops files_ops = {
    .append = files_append,
    .merge_user = files_merge_user,
    .mask_user = files_mask_user,
    .seal = files_seal,
    .snapshot = files_snapshot,
    .wants_flush = files_wants_flush,
    .set_replaying = files_set_replaying,
    .checkpoint_begin = files_checkpoint_begin,
    .checkpoint_write = files_checkpoint_write,
    .maintain = files_maintain,
    .is_behind = files_is_behind,
    .stats = files_stats,
    .close = files_close,
    .snapshot_free = files_snapshot_free,
    .shards = files_shards,
    .shard_rows = files_shard_rows,
    .months = files_months,
    .slice_open = files_slice_open,
    .slice_times = slice_times,
    .slice_seqs = slice_seqs,
    .slice_column = slice_column,
    .order_open = files_order_open,
    .day_counts = files_day_counts,
    .user_events = files_user_events,
    .read_stats = files_read_stats,
};

/* --- the folder ------------------------------------------------------------------------- */

static void shard_path(const struct files_store *store, uint32_t shard, char *to)
{
    (void)snprintf(to, PART_NAME_MAX, "%s/shard-%03u", store->dir, shard);
}

/* The name of the store's folder is durable once the folder around it is synced. */
static struct err sync_parent(struct files_store *store)
{
    char parent[PART_NAME_MAX];
    const char *slash = strrchr(store->dir, '/');
    if (slash)
        (void)snprintf(parent, sizeof parent, "%.*s", (int)(slash - store->dir), store->dir);
    else
        (void)snprintf(parent, sizeof parent, ".");
    return disk_sync_dir(store->home.disk, parent);
}

static struct err make_folders(struct files_store *store)
{
    char path[PART_NAME_MAX];
    struct err err = disk_make_dir(store->home.disk, store->dir);
    if (!err.code)
        err = sync_parent(store);
    for (uint32_t s = 0; s < store->shards && !err.code; s++) {
        shard_path(store, s, path);
        err = disk_make_dir(store->home.disk, path);
    }
    return err.code ? err : disk_sync_dir(store->home.disk, store->dir);
}

static uint32_t mark(const struct part *part, const uint64_t *numbers, bool *is_there,
                     uint32_t count)
{
    for (uint32_t i = 0; i < count && part; i++) {
        if (numbers[i] == part->number) {
            is_there[i] = true;
            return 1;
        }
    }
    return 0;
}

/* How many parts the view names, and how many of them are among the files; marks these. */
static void mark_parts(const struct shard_view *view, const uint64_t *numbers, bool *is_there,
                       uint32_t count, uint32_t *named_out, uint32_t *found_out)
{
    for (uint32_t m = 0; m < view->month_count; m++) {
        const struct month_view *month = view->months[m];
        *named_out += (month->base ? 1u : 0u) + (month->patch ? 1u : 0u) + month->run_count;
        *found_out += mark(month->base, numbers, is_there, count);
        *found_out += mark(month->patch, numbers, is_there, count);
        for (uint32_t i = 0; i < month->run_count; i++)
            *found_out += mark(month->runs[i], numbers, is_there, count);
    }
}

/* What no manifest names was left by a crash. */
static struct err remove_orphans(struct files_store *store, uint32_t shard, const struct buf *names,
                                 size_t count)
{
    char path[PART_NAME_MAX];
    char dir[PART_NAME_MAX / 2];
    uint64_t *numbers = calloc(count + 1, sizeof *numbers);
    bool *is_there = calloc(count + 1, sizeof *is_there);
    uint32_t named = 0;
    uint32_t found = 0;
    int32_t month = 0;
    struct err err = numbers && is_there ? ok() : no_memory();
    const char *name = (const char *)names->ptr;
    for (size_t i = 0; i < count && !err.code; i++, name += strlen(name) + 1)
        if (!part_name_parse(name, &month, &numbers[i]))
            numbers[i] = UINT64_MAX;
    if (!err.code)
        mark_parts(store->manifest->views[shard], numbers, is_there, (uint32_t)count, &named,
                   &found);
    if (!err.code && found != named)
        err = err_new(ERR_CORRUPT, "store: a part that the manifest names is missing");
    (void)snprintf(dir, sizeof dir, "%s/shard-%03u", store->dir, shard);
    name = (const char *)names->ptr;
    for (size_t i = 0; i < count && !err.code; i++, name += strlen(name) + 1) {
        if (numbers[i] == UINT64_MAX || is_there[i])
            continue;
        (void)snprintf(path, sizeof path, "%s/%.64s", dir, name);
        err = disk_remove(store->home.disk, path);
    }
    free(numbers);
    free(is_there);
    return err;
}

static struct err tidy_folder(struct files_store *store, uint32_t shard)
{
    char path[PART_NAME_MAX];
    struct buf names;
    size_t count = 0;
    buf_init(&names, 64 << 20);
    shard_path(store, shard, path);
    struct err err = disk_list(store->home.disk, path, &names, &count);
    if (!err.code)
        err = remove_orphans(store, shard, &names, count);
    buf_done(&names);
    return err;
}

/* --- opening ------------------------------------------------------------------------------- */

static struct err read_manifest(struct files_store *store, uint32_t shards)
{
    char path[PART_NAME_MAX];
    struct buf bytes;
    bool exists = false;
    (void)snprintf(path, sizeof path, "%s/%s", store->dir, MANIFEST_NAME);
    struct err err = disk_exists(store->home.disk, path, &exists);
    if (err.code)
        return err;
    if (!exists)
        return manifest_new(shards, &store->manifest);
    buf_init(&bytes, MANIFEST_BYTES_MAX);
    err = disk_read_file(store->home.disk, path, MANIFEST_BYTES_MAX, &bytes);
    if (!err.code)
        err = manifest_parse(buf_bytes(&bytes), &store->home, &store->manifest);
    store->manifest_bytes = bytes.len;
    buf_done(&bytes);
    return err;
}

static struct err copy_rows(const struct row_set *from, struct row_set **to)
{
    if (!from)
        return ok();
    struct err err = row_set_new(from->rows, to);
    for (uint32_t row = 0; row < from->rows && !err.code; row++)
        if (row_set_has(from, row))
            row_set_add(*to, row);
    return err;
}

static struct err open_shard(struct files_shard *shard, struct shard_view *view)
{
    shard->view = shard_view_ref(view);
    shard->rows = view->rows;
    shard->shown_rows = view->rows;
    struct err err = tail_new(&shard->tail);
    if (err.code || !view->dead)
        return err;
    shard->dead_version = view->dead->version;
    shard->shown_version = view->dead->version;
    err = copy_rows(view->dead->all, &shard->dead);
    return err.code ? err : copy_rows(view->dead->erased, &shard->erased);
}

static struct err open_shards(struct files_store *store)
{
    store->shards = store->manifest->shards;
    store->shard = calloc(store->shards, sizeof *store->shard);
    store->pending.rows = calloc(store->shards, sizeof *store->pending.rows);
    store->pending.dead = calloc(store->shards, sizeof(struct dead_set *));
    if (!store->shard || !store->pending.rows || !store->pending.dead)
        return no_memory();
    for (uint32_t s = 0; s < store->shards; s++) {
        struct err err = open_shard(&store->shard[s], store->manifest->views[s]);
        if (err.code)
            return err;
    }
    return ok();
}

static struct err open_store(struct files_store *store, const struct store_files_config *config)
{
    store->dir = strdup(config->dir);
    if (!store->dir)
        return no_memory();
    if (strlen(store->dir) > PART_NAME_MAX / 4)
        return err_new(ERR_INVALID, "store: the folder's name is too long");
    store->home.dir = store->dir;
    struct err err = cache_new(config->cache_bytes ? config->cache_bytes : CACHE_BYTES_DEFAULT,
                               &store->home.cache);
    if (!err.code)
        err = read_manifest(store, config->shards ? config->shards : SHARDS_DEFAULT);
    if (!err.code)
        err = open_shards(store);
    if (!err.code)
        err = make_folders(store);
    for (uint32_t s = 0; s < store->shards && !err.code; s++)
        err = tidy_folder(store, s);
    store->next_number = store->manifest ? store->manifest->next_number : 0;
    store->events = store->manifest ? store->manifest->events : 0;
    return err;
}

struct err store_open_files(const struct store_files_config *config, uint64_t *position_out,
                            struct buf *extra, struct store **out)
{
    if (config->shards > MANIFEST_SHARDS_MAX)
        return err_new(ERR_INVALID, "store: too many shards");
    struct files_store *store = calloc(1, sizeof *store);
    if (!store)
        return no_memory();
    store->store.ops = &files_ops;
    store->zone = config->zone;
    store->home.disk = config->disk;
    store->home.is_closing = true; /* until all is known to be well, no file goes */
    files_set_replaying(&store->store, false);
    store->tail_events = config->tail_events ? config->tail_events : TAIL_EVENTS_DEFAULT;
    store->flush_events = config->flush_events ? config->flush_events : FLUSH_EVENTS_DEFAULT;
    store->retention_months =
        config->retention_months ? config->retention_months : RETENTION_DEFAULT;
    mutex_init(&store->lock);
    mutex_init(&store->background);
    mutex_init(&store->counting);
    struct err err = open_store(store, config);
    if (!err.code && extra) {
        buf_put(extra, buf_bytes(&store->manifest->extra));
        err = buf_err(extra);
    }
    if (err.code) {
        files_close(&store->store);
        return err;
    }
    store->home.is_closing = false;
    *position_out = store->manifest->position;
    *out = &store->store;
    return ok();
}

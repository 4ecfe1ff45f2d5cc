/* snapshot.c - what readers may ask: a snapshot is a reference to each shard's view. */
#include "store/order.h"
#include "store/store_internal.h"

#include <stdlib.h>

static const struct files_snapshot *const_files_snapshot(const struct store_snapshot *snapshot)
{
    return (const struct files_snapshot *)(const void *)snapshot;
}

static struct files_snapshot *files_snapshot_of(struct store_snapshot *snapshot)
{
    return (struct files_snapshot *)(void *)snapshot;
}

struct err files_snapshot(struct store *base, struct store_snapshot **out)
{
    struct files_store *store = files_of(base);
    struct err err = files_seal(base);
    if (err.code)
        return err;
    struct files_snapshot *snapshot =
        calloc(1, sizeof *snapshot + store->shards * sizeof(struct shard_view *));
    if (!snapshot)
        return err_new(ERR_NOMEM, "store: snapshot");
    snapshot->snapshot.ops = store->store.ops;
    snapshot->store = store;
    snapshot->shards = store->shards;
    mutex_lock(&store->lock);
    for (uint32_t s = 0; s < store->shards; s++)
        snapshot->views[s] = shard_view_ref(store->shard[s].view);
    mutex_unlock(&store->lock);
    *out = &snapshot->snapshot;
    return ok();
}

void files_snapshot_free(struct store_snapshot *base)
{
    if (!base)
        return;
    struct files_snapshot *snapshot = files_snapshot_of(base);
    for (uint32_t s = 0; s < snapshot->shards; s++)
        shard_view_unref(snapshot->views[s]);
    free(snapshot);
}

uint32_t files_shards(const struct store_snapshot *snapshot)
{
    return const_files_snapshot(snapshot)->shards;
}

uint32_t files_shard_rows(const struct store_snapshot *snapshot, uint32_t shard)
{
    return const_files_snapshot(snapshot)->views[shard]->rows;
}

struct store_read_stats files_read_stats(const struct store_snapshot *base)
{
    const struct files_snapshot *snapshot = const_files_snapshot(base);
    return (struct store_read_stats){ .rows = snapshot->counters.rows,
                                      .bytes = snapshot->counters.bytes };
}

/* --- months ------------------------------------------------------------------------ */

static struct err has_events(struct part *part, uint32_t event, int64_t base_ms, int64_t from_ms,
                             int64_t to_ms, bool *out)
{
    if (!part || *out)
        return ok();
    struct err err = part_load(part);
    if (err.code)
        return err;
    const struct part_table *table = part_find_table(part, event);
    *out = table && base_ms + table->first_time < to_ms && base_ms + table->last_time >= from_ms;
    return ok();
}

static struct err month_has_events(const struct month_view *month, uint32_t event, int64_t from_ms,
                                   int64_t to_ms, bool *out)
{
    int64_t base_ms = civil_month_start_ms(month->month);
    *out = false;
    if (base_ms >= to_ms || civil_month_start_ms(month->month + 1) <= from_ms)
        return ok();
    struct err err = has_events(month->base, event, base_ms, from_ms, to_ms, out);
    if (!err.code)
        err = has_events(month->patch, event, base_ms, from_ms, to_ms, out);
    for (uint32_t i = 0; i < month->run_count && !err.code; i++)
        err = has_events(month->runs[i], event, base_ms, from_ms, to_ms, out);
    return err;
}

struct err files_months(struct store_snapshot *base, uint32_t shard, uint32_t event,
                        int64_t from_ms, int64_t to_ms, struct arena *arena,
                        const int32_t **months_out, uint32_t *count_out)
{
    const struct shard_view *view = files_snapshot_of(base)->views[shard];
    int32_t *months = arena_alloc(arena, view->month_count * sizeof *months);
    if (!months)
        return err_new(ERR_NOMEM, "store: months");
    uint32_t count = 0;
    for (uint32_t m = 0; m < view->month_count; m++) {
        bool has = false;
        struct err err = month_has_events(view->months[m], event, from_ms, to_ms, &has);
        if (err.code)
            return err;
        if (has)
            months[count++] = view->months[m]->month;
    }
    *months_out = months;
    *count_out = count;
    return ok();
}

/* --- slices --------------------------------------------------------------------------- */

struct err files_slice_open(struct store_snapshot *base, uint32_t shard, int32_t month,
                            uint32_t event, struct arena *arena, struct store_slice *out)
{
    struct files_snapshot *snapshot = files_snapshot_of(base);
    const struct shard_view *view = snapshot->views[shard];
    const struct month_view *found = shard_view_find(view, month);
    uint32_t room = found ? found->run_count + 2 : 0;
    struct slice_source *sources = arena_calloc(arena, room, sizeof *sources);
    if (!sources)
        return err_new(ERR_NOMEM, "store: slice");
    uint32_t count = found ? slice_sources(found, sources) : 0;
    return slice_build(sources, count, view->dead ? view->dead->all : NULL, event, arena,
                       &snapshot->counters, out);
}

struct err files_order_open(struct store_snapshot *base, uint32_t shard, int32_t month,
                            struct arena *arena, struct store_order *out)
{
    struct files_snapshot *snapshot = files_snapshot_of(base);
    const struct shard_view *view = snapshot->views[shard];
    const struct month_view *found = shard_view_find(view, month);
    uint32_t room = found ? found->run_count + 2 : 0;
    struct slice_source *sources = arena_calloc(arena, room, sizeof *sources);
    if (!sources)
        return err_new(ERR_NOMEM, "store: order");
    uint32_t count = found ? slice_sources(found, sources) : 0;
    return order_build(sources, count, view->dead ? view->dead->all : NULL, arena,
                       &snapshot->counters, out);
}

/* --- day counts ------------------------------------------------------------------------- */

static struct err copy_days(struct bytes section, struct arena *arena, struct store_day_counts *out)
{
    struct reader r = reader_of(section);
    bool is_plain = reader_le32(&r) == SECTION_PLAIN;
    int32_t first_day = (int32_t)reader_le32(&r);
    uint32_t days = reader_le32(&r);
    struct bytes events = reader_take(&r, (size_t)days * 4);
    struct bytes users = reader_take(&r, (size_t)days * 4);
    if (!is_plain || r.is_failed || days == 0)
        return err_new(ERR_CORRUPT, "store: day counts");
    uint32_t *counts = arena_alloc(arena, (size_t)days * 8);
    if (!counts)
        return err_new(ERR_NOMEM, "store: day counts");
    memcpy(counts, events.ptr, events.len);
    memcpy(counts + days, users.ptr, users.len);
    *out = (struct store_day_counts){
        .first_day = first_day,
        .days = days,
        .events = counts,
        .users = counts + days,
    };
    return ok();
}

/* The only part of a month, when nobody in it is masked or dead. */
static struct err only_part(const struct shard_view *view, const struct month_view *month,
                            struct part **out)
{
    uint32_t sources = (month->base ? 1u : 0u) + (month->patch ? 1u : 0u) + month->run_count;
    uint32_t users = 0;
    uint32_t rows = 0;
    *out = NULL;
    if (sources != 1 || month->mask)
        return ok();
    struct part *part = month->base ? month->base : month->patch ? month->patch : month->runs[0];
    struct err err = part_count_dead(part, view->dead, &users, &rows);
    if (!err.code && users == 0)
        *out = part;
    return err;
}

struct err files_day_counts(struct store_snapshot *base, uint32_t shard, int32_t month,
                            uint32_t event, struct arena *arena, struct store_day_counts *out,
                            bool *has_out)
{
    struct files_snapshot *snapshot = files_snapshot_of(base);
    const struct shard_view *view = snapshot->views[shard];
    const struct month_view *found = shard_view_find(view, month);
    struct part *part = NULL;
    *has_out = false;
    struct err err = found ? only_part(view, found, &part) : ok();
    if (err.code || !part)
        return err;
    err = part_load(part);
    if (err.code)
        return err;
    const struct part_table *table = part_find_table(part, event);
    uint32_t section =
        table ? part_find_section(part, table, SECTION_DAYS, 0, VALUE_NULL) : UINT32_MAX;
    if (section == UINT32_MAX || strcmp(part->head.zone, zone_name(snapshot->store->zone)) != 0)
        return ok();
    struct part_view bytes;
    err = part_open_section(part, section, &bytes);
    if (err.code)
        return err;
    snapshot->counters.bytes += bytes.bytes.len;
    err = copy_days(bytes.bytes, arena, out);
    part_close_section(part, &bytes);
    out->zone = part->head.zone;
    *has_out = !err.code;
    return err;
}

/* --- one user --------------------------------------------------------------------------------- */

struct err files_user_events(struct store_snapshot *base, uint32_t user, int64_t from_ms,
                             int64_t to_ms, bool is_backwards, struct arena *scratch,
                             store_user_visit_fn *visit, void *ctx)
{
    struct files_snapshot *snapshot = files_snapshot_of(base);
    uint32_t shard = user % snapshot->shards;
    const struct shard_view *view = snapshot->views[shard];
    struct user_range range = {
        .shards = snapshot->shards,
        .shard = shard,
        .row = user / snapshot->shards,
        .from_ms = from_ms,
        .to_ms = to_ms,
        .is_backwards = is_backwards,
    };
    if (view->dead && row_set_has(view->dead->all, range.row))
        return ok();
    return user_visit(view, &range, &snapshot->counters, scratch, visit, ctx);
}

/*
 * maintain.c - one step of tidying: of all months of all shards the one that needs it most.
 *
 * A month at rest is one part, its base. What comes later arrives as runs:
 *
 *     patch   the runs touch users with less than 1/20 of the base's events: all events of these
 *             users, and of those in the patch there is, become the new patch; the base masks them
 *     fold    otherwise, once the runs hold 1/4 of the base's events, or the patch 1/20, or the dead
 *             1/20: everything becomes a new base
 *     runs    the newest runs, once four are of about the same size, or there are twelve, become one
 *
 * While events are appended that is all: a row is written again a few times for its runs (a time for
 * each fourfold) and a few more for the folds, since the base grows by a part of itself between two.
 * A month can't have more runs than that, for a checkpoint waits for compaction that is behind. When
 * nothing was appended since the last checkpoint began, runs that are left are folded whatever their
 * size, and so are erased users, until each month is at rest.
 *
 * Only what the durable manifest names is touched, and only users dead in it are dropped: after a
 * crash the log is applied again from that manifest's position, and a merge of users that is applied
 * again needs the rows of the one who is merged away.
 */
#include "store/merge.h"
#include "store/store_internal.h"

#include <stdlib.h>

enum {
    PATCH_SHARE = 20,
    FOLD_SHARE = 4,
    RUNS_TOGETHER = 4,
    RUNS_BEHIND = 12,
    RUNS_MOST = 12,
    PRESENT_SHARE = 1000
};

enum action { REST, RUNS, PATCH, FOLD };

struct plan {
    enum action action;
    uint64_t weight; /* rows that would come to rest */
    uint32_t shard;
    struct month_view *month;
    struct row_set *touched; /* PATCH */
    uint32_t runs;           /* RUNS: so many of the newest */
};

static struct err no_memory(void)
{
    return err_new(ERR_NOMEM, "store: maintain");
}

static uint32_t shared(const struct part *part, enum section_kind kind)
{
    return part_find_section(part, NULL, kind, 0, VALUE_NULL);
}

/* --- counting ---------------------------------------------------------------------- */

struct directory {
    uint32_t users;
    uint32_t *rows;
    uint32_t *starts;
};

static void directory_done(struct directory *directory)
{
    free(directory->rows);
    free(directory->starts);
}

static struct err read_directory(struct part *part, struct directory *out)
{
    struct err err = part_load(part);
    if (err.code)
        return err;
    uint32_t users = part->head.users;
    struct directory directory = {
        .users = users,
        .rows = malloc((users + (size_t)1) * 4),
        .starts = malloc((users + (size_t)1) * 4),
    };
    if (!directory.rows || !directory.starts)
        err = no_memory();
    if (!err.code)
        err = part_read32(part, shared(part, SECTION_DIR_ROWS), users, 0, users, directory.rows);
    if (!err.code)
        err = part_read_starts(part, shared(part, SECTION_DIR_STARTS), users, part->head.events,
                               directory.starts);
    if (err.code)
        directory_done(&directory);
    else
        *out = directory;
    return err;
}

/* Events of users that are in `in` (when given) and in neither of the others. */
static struct err count_events(struct part *part, const struct row_set *in,
                               const struct row_set *out1, const struct row_set *out2,
                               uint64_t *count_out)
{
    struct directory directory;
    struct err err = read_directory(part, &directory);
    if (err.code)
        return err;
    uint64_t count = 0;
    for (uint32_t i = 0; i < directory.users; i++) {
        uint32_t row = directory.rows[i];
        if ((!in || row_set_has(in, row)) && !row_set_has(out1, row) && !row_set_has(out2, row))
            count += directory.starts[i + 1] - directory.starts[i];
    }
    directory_done(&directory);
    *count_out = count;
    return ok();
}

/* The users of the runs, and of `mask`. */
static struct err touched_users(const struct month_view *month, uint32_t rows, struct row_set **out)
{
    struct row_set *set = NULL;
    struct err err = row_set_new(rows, &set);
    for (uint32_t w = 0; !err.code && month->mask && w < month->mask->rows; w++)
        if (row_set_has(month->mask, w))
            row_set_add(set, w);
    for (uint32_t r = 0; r < month->run_count && !err.code; r++) {
        struct directory directory;
        err = read_directory(month->runs[r], &directory);
        if (err.code)
            break;
        for (uint32_t i = 0; i < directory.users && !err.code; i++) {
            if (directory.rows[i] >= set->rows)
                err = err_new(ERR_CORRUPT, "store: a row past the shard's");
            else
                row_set_add(set, directory.rows[i]);
        }
        directory_done(&directory);
    }
    if (err.code)
        row_set_unref(set);
    else
        *out = set;
    return err;
}

/* --- planning ------------------------------------------------------------------------ */

static struct err dead_events(const struct month_view *month, const struct dead_set *dead,
                              uint64_t *dead_out, uint64_t *erased_out)
{
    struct part *parts[2] = { month->base, month->patch };
    *dead_out = 0;
    *erased_out = 0;
    for (int i = 0; i < 2; i++) {
        uint32_t users = 0;
        uint32_t rows = 0;
        uint64_t erased = 0;
        if (!parts[i] || !dead)
            continue;
        struct err err = part_count_dead(parts[i], dead, &users, &rows);
        if (!err.code && rows > 0 && dead->erased)
            err = count_events(parts[i], dead->erased, NULL, NULL, &erased);
        if (err.code)
            return err;
        *dead_out += rows;
        *erased_out += erased;
    }
    return ok();
}

/* A patch, if the runs touch little enough. */
static struct err plan_patch(const struct month_view *month, uint32_t rows, uint64_t run_rows,
                             struct plan *plan)
{
    struct row_set *touched = NULL;
    uint64_t moved = 0;
    if (run_rows * PATCH_SHARE >= month->base->rows)
        return ok();
    struct err err = touched_users(month, rows, &touched);
    if (!err.code)
        err = count_events(month->base, touched, NULL, NULL, &moved);
    if (!err.code && (moved + run_rows) * PATCH_SHARE < month->base->rows) {
        plan->action = PATCH;
        plan->touched = touched;
        return ok();
    }
    row_set_unref(touched);
    return err;
}

/* How many of the month's newest runs should become one; 0: they are well as they are. */
static uint32_t runs_to_merge(const struct month_view *month)
{
    uint32_t count = 0;
    uint64_t rows = 0;
    if (month->run_count >= RUNS_MOST)
        return month->run_count;
    while (count < month->run_count) {
        const struct part *run = month->runs[month->run_count - count - 1];
        if (count > 0 && run->rows > 2 * rows)
            break;
        rows += run->rows;
        count++;
    }
    return count >= RUNS_TOGETHER ? count : 0;
}

static struct err plan_month(const struct shard_view *view, struct month_view *month, bool is_idle,
                             struct plan *plan)
{
    uint64_t base = month->base ? month->base->rows : 0;
    uint64_t patch = month->patch ? month->patch->rows : 0;
    uint64_t runs = 0;
    uint64_t dead = 0;
    uint64_t erased = 0;
    for (uint32_t i = 0; i < month->run_count; i++)
        runs += month->runs[i]->rows;
    struct err err = dead_events(month, view->dead, &dead, &erased);
    if (err.code)
        return err;
    plan->action = REST;
    plan->weight = runs + patch + dead;
    if (runs > 0 && month->base)
        err = plan_patch(month, view->rows, runs, plan);
    if (err.code || plan->action == PATCH)
        return err;
    bool is_ripe = runs > 0 && runs * FOLD_SHARE >= base && (base > 0 || month->run_count > 1);
    if (is_ripe || patch * PATCH_SHARE > base || dead * PATCH_SHARE > base + patch)
        plan->action = FOLD;
    else if (is_idle && (runs > 0 || erased > 0))
        plan->action = FOLD;
    else if ((plan->runs = runs_to_merge(month)) > 0)
        plan->action = RUNS;
    return ok();
}

static void plan_done(struct plan *plan)
{
    row_set_unref(plan->touched);
    *plan = (struct plan){ 0 };
}

static struct err make_plan(struct files_store *store, bool is_idle, struct plan *best)
{
    *best = (struct plan){ 0 };
    for (uint32_t s = 0; s < store->shards; s++) {
        const struct shard_view *view = store->manifest->views[s];
        for (uint32_t m = 0; m < view->month_count; m++) {
            struct plan plan = { .shard = s, .month = view->months[m] };
            struct err err = plan_month(view, view->months[m], is_idle, &plan);
            if (err.code) {
                plan_done(best);
                return err;
            }
            bool is_better =
                plan.action != REST && (best->action == REST || plan.weight > best->weight);
            if (is_better) {
                plan_done(best);
                *best = plan;
            } else {
                plan_done(&plan);
            }
        }
    }
    return ok();
}

/* --- doing ----------------------------------------------------------------------------- */

/* The part that the plan's sources become. */
static struct err merge(struct files_store *store, const struct plan *plan, struct part **out)
{
    const struct month_view *month = plan->month;
    const struct dead_set *dead = store->manifest->views[plan->shard]->dead;
    struct slice_source *sources = calloc(month->run_count + 2u, sizeof *sources);
    if (!sources)
        return no_memory();
    uint32_t count = slice_sources(month, sources);
    uint32_t first = 0;
    if (plan->action == PATCH)
        sources[0].only = plan->touched; /* its base comes first */
    if (plan->action == RUNS)
        first = count - plan->runs;
    struct merge_job job = {
        .sources = sources + first,
        .count = count - first,
        .drop = dead ? dead->all : NULL,
        .number = atomic_fetch_add(&store->next_number, 1),
        .shard = plan->shard,
        .shards = store->shards,
        .month = month->month,
        .zone = store->zone,
        .is_small = plan->action != RUNS,
    };
    struct err err = merge_to_file(&job, &store->home, out);
    free(sources);
    if (!err.code && *out)
        err = files_sync_shard(store, plan->shard);
    if (err.code) {
        part_unref(*out);
        *out = NULL;
    }
    return err;
}

/* The month with `made` (NULL: nothing is left) in place of its newest runs. */
static struct err make_runs(const struct plan *plan, struct part *made, struct month_view **out)
{
    const struct month_view *old = plan->month;
    uint32_t count = old->run_count - plan->runs;
    struct part **runs = malloc((count + 1u) * sizeof(struct part *));
    if (!runs)
        return no_memory();
    if (count > 0)
        memcpy(runs, old->runs, count * sizeof(struct part *));
    if (made)
        runs[count++] = made;
    struct err err = month_view_new(old->month, old->base, old->mask, old->patch, runs, count, out);
    free(runs);
    return err;
}

static struct err make_month(const struct plan *plan, struct part *made, struct month_view **out)
{
    const struct month_view *old = plan->month;
    switch (plan->action) {
    case PATCH:
        return month_view_new(old->month, old->base, plan->touched, made, NULL, 0, out);
    case RUNS:
        return make_runs(plan, made, out);
    default:
        return month_view_new(old->month, made, NULL, NULL, NULL, 0, out);
    }
}

/* The present view with this month's files; its runs in memory stay. */
static struct err install(struct files_store *store, uint32_t shard, const struct month_view *files)
{
    struct files_shard *target = &store->shard[shard];
    struct month_view *month = NULL;
    struct shard_view *view = NULL;
    mutex_lock(&store->lock);
    const struct month_view *now = shard_view_find(target->view, files->month);
    uint32_t room = files->run_count + (now ? now->run_count : 0);
    struct part **runs = malloc((room + 1u) * sizeof(struct part *));
    uint32_t count = 0;
    struct err err = runs ? ok() : no_memory();
    for (uint32_t i = 0; runs && i < files->run_count; i++)
        runs[count++] = files->runs[i];
    for (uint32_t i = 0; runs && now && i < now->run_count; i++)
        if (now->runs[i]->image)
            runs[count++] = now->runs[i];
    if (!err.code)
        err = month_view_new(files->month, files->base, files->mask, files->patch, runs, count,
                             &month);
    if (!err.code)
        err = shard_view_with(target->view, month, &view);
    if (!err.code) {
        struct shard_view *old = target->view;
        target->view = view;
        view = old;
    }
    mutex_unlock(&store->lock);
    free(runs);
    month_view_unref(month);
    shard_view_unref(view);
    return err;
}

/* Makes the months durable; takes the manifest. */
static struct err write_months(struct files_store *store, struct manifest *manifest,
                               struct month_view *const *months, const uint32_t *shards,
                               uint32_t count)
{
    struct err err = ok();
    for (uint32_t i = 0; i < count && !err.code; i++) {
        struct shard_view *view = NULL;
        err = shard_view_with(manifest->views[shards[i]], months[i], &view);
        if (!err.code)
            manifest_set(manifest, shards[i], view);
    }
    if (err.code) {
        manifest_free(manifest);
        return err;
    }
    return files_write_manifest(store, manifest);
}

/* Shows what write_months made durable. */
static struct err show_months(struct files_store *store, struct month_view *const *months,
                              const uint32_t *shards, uint32_t count)
{
    struct err err = ok();
    for (uint32_t i = 0; i < count && !err.code; i++)
        err = install(store, shards[i], months[i]);
    if (err.code)
        atomic_store(&store->is_broken, true); /* the views are behind the manifest */
    return err;
}

static struct err carry_out(struct files_store *store, const struct plan *plan)
{
    struct part *made = NULL;
    struct month_view *month = NULL;
    struct manifest *manifest = NULL;
    struct err err = merge(store, plan, &made);
    if (!err.code)
        err = make_month(plan, made, &month);
    if (!err.code)
        err = manifest_copy(store->manifest, &manifest);
    if (!err.code)
        err = write_months(store, manifest, &month, &plan->shard, 1);
    if (!err.code)
        err = show_months(store, &month, &plan->shard, 1);
    month_view_unref(month);
    part_unref(made);
    return err;
}

/* --- retention --------------------------------------------------------------------------- */

static uint64_t month_rows(const struct month_view *month)
{
    uint64_t rows = (month->base ? month->base->rows : 0) + (month->patch ? month->patch->rows : 0);
    for (uint32_t i = 0; i < month->run_count; i++)
        rows += month->runs[i]->rows;
    return rows;
}

static uint64_t rows_from(const struct manifest *manifest, int32_t first_month)
{
    uint64_t rows = 0;
    for (uint32_t s = 0; s < manifest->shards; s++)
        for (uint32_t m = 0; m < manifest->views[s]->month_count; m++)
            if (manifest->views[s]->months[m]->month >= first_month)
                rows += month_rows(manifest->views[s]->months[m]);
    return rows;
}

/* The newest month such that it and what is after it hold 1/1000 of all rows: a few events with a
 * wrong date in the future don't push everybody's history out. False: there are no rows. */
static bool present_month(const struct manifest *manifest, int32_t *month_out)
{
    uint64_t total = rows_from(manifest, INT32_MIN);
    bool has = false;
    for (uint32_t s = 0; s < manifest->shards; s++) {
        const struct shard_view *view = manifest->views[s];
        for (uint32_t m = view->month_count; m > 0; m--) {
            int32_t month = view->months[m - 1]->month;
            if (has && month <= *month_out)
                break;
            if (rows_from(manifest, month) * PRESENT_SHARE < total)
                continue;
            *month_out = month;
            has = true;
            break;
        }
    }
    return has;
}

static struct err living_events(const struct month_view *month, const struct row_set *dead,
                                uint64_t *count_out)
{
    struct slice_source *sources = calloc(month->run_count + 2u, sizeof *sources);
    if (!sources)
        return no_memory();
    struct err err = ok();
    uint32_t count = slice_sources(month, sources);
    for (uint32_t i = 0; i < count && !err.code; i++) {
        uint64_t events = 0;
        if (sources[i].part->image)
            continue;
        err = count_events(sources[i].part, NULL, sources[i].skip, dead, &events);
        *count_out += events;
    }
    free(sources);
    return err;
}

static const struct row_set *dead_rows(const struct shard_view *view)
{
    return view->dead ? view->dead->all : NULL;
}

struct expiry {
    struct month_view **gone;
    struct month_view **months; /* empty ones in their place */
    uint32_t *shards;
    uint32_t count;
    uint64_t durable_events; /* that go, among the living of the manifest */
};

static struct err expire_month(struct files_store *store, uint32_t shard, struct month_view *month,
                               struct expiry *expiry)
{
    struct err err =
        living_events(month, dead_rows(store->manifest->views[shard]), &expiry->durable_events);
    if (!err.code)
        err =
            month_view_new(month->month, NULL, NULL, NULL, NULL, 0, &expiry->months[expiry->count]);
    if (err.code)
        return err;
    expiry->gone[expiry->count] = month_view_ref(month);
    expiry->shards[expiry->count++] = shard;
    return ok();
}

/* How many of the events that go were among the living now, and when a checkpoint was begun that
 * isn't written. */
static struct err count_gone(struct files_store *store, const struct expiry *expiry,
                             uint64_t *shown_out, uint64_t *pending_out)
{
    const struct pending *pending = &store->pending;
    struct err err = ok();
    for (uint32_t i = 0; i < expiry->count && !err.code; i++) {
        uint32_t shard = expiry->shards[i];
        const struct dead_set *dead = pending->dead[shard];
        err = living_events(expiry->gone[i], store->shard[shard].dead, shown_out);
        if (!err.code && pending->is_set)
            err = living_events(expiry->gone[i], dead ? dead->all : NULL, pending_out);
    }
    return err;
}

/* The expired months go from the views and the counts: at once, so that whoever dies meanwhile isn't
 * subtracted twice, or a checkpoint begun with what is gone. */
static struct err show_expired(struct files_store *store, const struct expiry *expiry)
{
    uint64_t shown = 0;
    uint64_t pending = 0;
    mutex_lock(&store->counting);
    struct err err = count_gone(store, expiry, &shown, &pending);
    if (err.code)
        atomic_store(&store->is_broken, true); /* the views are behind the manifest */
    else
        err = show_months(store, expiry->months, expiry->shards, expiry->count);
    if (!err.code) {
        store->expired += shown;
        store->pending.events -= pending;
    }
    mutex_unlock(&store->counting);
    return err;
}

static struct err find_expired(struct files_store *store, int32_t first_month,
                               struct expiry *expiry)
{
    struct err err = ok();
    uint32_t room = 0;
    for (uint32_t s = 0; s < store->shards; s++)
        room += store->manifest->views[s]->month_count;
    expiry->gone = calloc(room + 1u, sizeof(struct month_view *));
    expiry->months = calloc(room + 1u, sizeof(struct month_view *));
    expiry->shards = calloc(room + 1u, sizeof *expiry->shards);
    if (!expiry->gone || !expiry->months || !expiry->shards)
        return no_memory();
    for (uint32_t s = 0; s < store->shards; s++) {
        const struct shard_view *view = store->manifest->views[s];
        for (uint32_t m = 0; m < view->month_count && !err.code; m++)
            if (view->months[m]->month < first_month)
                err = expire_month(store, s, view->months[m], expiry);
    }
    return err;
}

static struct err expire(struct files_store *store, bool *did_work_out)
{
    int32_t present = 0;
    if (!present_month(store->manifest, &present))
        return ok();
    struct expiry expiry = { 0 };
    struct manifest *manifest = NULL;
    struct err err = find_expired(store, present - (int32_t)store->retention_months + 1, &expiry);
    if (!err.code && expiry.count > 0)
        err = manifest_copy(store->manifest, &manifest);
    if (!err.code && expiry.count > 0) {
        manifest->events -= expiry.durable_events;
        err = write_months(store, manifest, expiry.months, expiry.shards, expiry.count);
        if (!err.code)
            err = show_expired(store, &expiry);
        *did_work_out = !err.code;
    }
    for (uint32_t i = 0; i < expiry.count; i++) {
        month_view_unref(expiry.gone[i]);
        month_view_unref(expiry.months[i]);
    }
    free(expiry.gone);
    free(expiry.months);
    free(expiry.shards);
    return err;
}

/* --- whole ---------------------------------------------------------------------------------- */

static struct err maintain(struct files_store *store, bool *did_work_out)
{
    bool is_idle = store->appended == store->appended_before;
    struct err err = expire(store, did_work_out);
    if (err.code || *did_work_out)
        return err;
    struct plan plan;
    err = make_plan(store, is_idle, &plan);
    if (!err.code && plan.action != REST) {
        err = carry_out(store, &plan);
        *did_work_out = !err.code;
    }
    plan_done(&plan);
    return err;
}

struct err files_maintain(struct store *base, bool *did_work_out)
{
    struct files_store *store = files_of(base);
    *did_work_out = false;
    mutex_lock(&store->background);
    struct err err = atomic_load(&store->is_broken) ? err_new(ERR_BROKEN, "store: maintain")
                                                    : maintain(store, did_work_out);
    mutex_unlock(&store->background);
    return err;
}

bool files_is_behind(const struct store *base)
{
    struct files_store *store = files_of((struct store *)(uintptr_t)base);
    bool is_behind = false;
    mutex_lock(&store->lock);
    for (uint32_t s = 0; s < store->shards && !is_behind; s++) {
        const struct shard_view *view = store->manifest->views[s];
        for (uint32_t m = 0; m < view->month_count && !is_behind; m++)
            is_behind = view->months[m]->run_count >= RUNS_BEHIND;
    }
    mutex_unlock(&store->lock);
    return is_behind;
}

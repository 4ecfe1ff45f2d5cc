/*
 * writer.c - what the log's applier does: append, seal, merge users, mask users.
 *
 * A sealed tail gives a run for each month it touches. Runs are merged in memory when four of about
 * the same size have come together, so a row is copied a few times and a month has few runs. Rows of
 * dead users are dropped on the way: the survivor's copies are in memory as well, or in a checkpoint
 * that also knows the dead.
 *
 * A change that fails half-way leaves the store broken: what is applied wouldn't be a function of
 * the log any more, and the owner has to start again from the last checkpoint.
 */
#include "store/merge.h"
#include "store/store_internal.h"

#include <stdlib.h>

enum { SEAL_ARENA_SHIFT = 32, ROWS_MAX = 1 << 30 };

static struct err no_memory(void)
{
    return err_new(ERR_NOMEM, "store: write");
}

struct shard_view *files_view(struct files_store *store, uint32_t shard)
{
    mutex_lock(&store->lock);
    struct shard_view *view = shard_view_ref(store->shard[shard].view);
    mutex_unlock(&store->lock);
    return view;
}

/* --- runs in memory ------------------------------------------------------------------ */

/* Under the lock: the month with `run` instead of its last `merged` runs. */
static struct err swap_runs(struct files_shard *shard, int32_t month, uint32_t merged,
                            struct part *run)
{
    const struct month_view *old = shard_view_find(shard->view, month);
    uint32_t kept = old ? old->run_count - merged : 0;
    struct part **runs = malloc((kept + 1u) * sizeof(struct part *));
    if (!runs)
        return no_memory();
    if (kept > 0)
        memcpy(runs, old->runs, kept * sizeof(struct part *));
    if (run)
        runs[kept++] = run;
    struct month_view *made = NULL;
    struct shard_view *view = NULL;
    struct err err = month_view_new(month, old ? old->base : NULL, old ? old->mask : NULL,
                                    old ? old->patch : NULL, runs, kept, &made);
    free(runs);
    if (!err.code)
        err = shard_view_with(shard->view, made, &view);
    month_view_unref(made);
    if (err.code)
        return err;
    shard_view_unref(shard->view);
    shard->view = view;
    return ok();
}

/* How many of the month's newest runs should be merged with one of `rows`; references to them. */
static uint32_t take_similar(struct files_store *store, struct files_shard *shard, int32_t month,
                             uint64_t rows, struct part ***taken_out)
{
    uint32_t count = 0;
    *taken_out = NULL;
    mutex_lock(&store->lock);
    const struct month_view *view = shard_view_find(shard->view, month);
    uint32_t runs = view ? view->run_count : 0;
    while (count < runs) {
        const struct part *run = view->runs[runs - count - 1];
        if (!run->image || run->is_frozen || run->rows > 2 * rows)
            break;
        rows += run->rows;
        count++;
    }
    if (count + 1 < store->runs_together)
        count = 0;
    struct part **taken = count ? calloc(count, sizeof(struct part *)) : NULL;
    if (!taken)
        count = 0;
    for (uint32_t i = 0; i < count; i++)
        taken[i] = part_ref(view->runs[runs - count + i]);
    mutex_unlock(&store->lock);
    *taken_out = taken;
    return count;
}

/* Merges the runs, and `run` as the newest, dropping the dead. *out may become NULL. */
static struct err merge_runs(struct files_store *store, uint32_t number, struct part **taken,
                             uint32_t count, struct part *run, struct part **out)
{
    struct slice_source *sources = calloc(count + 1u, sizeof *sources);
    if (!sources)
        return no_memory();
    for (uint32_t i = 0; i < count; i++)
        sources[i].part = taken[i];
    sources[count].part = run;
    struct merge_job job = {
        .sources = sources,
        .count = count + 1,
        .drop = store->shard[number].dead,
        .number = atomic_fetch_add(&store->next_number, 1),
        .shard = number,
        .shards = store->shards,
        .month = run->month,
    };
    struct err err = merge_to_memory(&job, &store->home, out);
    free(sources);
    return err;
}

/* Takes the reference. */
static struct err add_run(struct files_store *store, uint32_t number, struct part *run)
{
    struct files_shard *shard = &store->shard[number];
    struct part **taken = NULL;
    int32_t month = run->month;
    uint32_t count = take_similar(store, shard, month, run->rows, &taken);
    uint64_t before = run->rows;
    struct err err = ok();
    if (count > 0) {
        struct part *merged = NULL;
        for (uint32_t i = 0; i < count; i++)
            before += taken[i]->rows;
        err = merge_runs(store, number, taken, count, run, &merged);
        part_unref(run);
        run = merged;
        for (uint32_t i = 0; i < count; i++)
            part_unref(taken[i]);
        free(taken);
    }
    if (err.code)
        return err;
    mutex_lock(&store->lock);
    err = swap_runs(shard, month, count, run);
    mutex_unlock(&store->lock);
    shard->memory_rows -= before - (run ? run->rows : 0);
    part_unref(run);
    return err;
}

/* --- sealing ---------------------------------------------------------------------------- */

/* Rows and the dead of the view become those of the writer. */
static struct err show(struct files_store *store, struct files_shard *shard)
{
    if (shard->shown_rows == shard->rows && shard->shown_version == shard->dead_version)
        return ok();
    struct dead_set *dead = NULL;
    struct shard_view *view = NULL;
    struct err err = ok();
    if (shard->shown_version != shard->dead_version)
        err = dead_set_new(shard->dead_version, shard->dead, shard->erased, &dead);
    if (err.code)
        return err;
    mutex_lock(&store->lock);
    struct shard_view *old = shard->view;
    err =
        shard_view_new(shard->rows, dead ? dead : old->dead, old->months, old->month_count, &view);
    if (!err.code) {
        shard->view = view;
        shard->shown_version = shard->dead_version;
        shard->shown_rows = shard->rows;
    }
    mutex_unlock(&store->lock);
    dead_set_unref(dead);
    if (!err.code)
        shard_view_unref(old);
    return err;
}

static struct err seal_tail(struct files_store *store, uint32_t number)
{
    struct files_shard *shard = &store->shard[number];
    if (tail_count(shard->tail) == 0)
        return ok();
    struct arena arena;
    struct part **parts = NULL;
    uint32_t count = 0;
    uint32_t rows = tail_count(shard->tail);
    arena_init(&arena, (size_t)1 << SEAL_ARENA_SHIFT);
    struct err err = tail_seal(shard->tail, &store->home, number, store->shards,
                               &store->next_number, &arena, &parts, &count);
    if (!err.code)
        shard->memory_rows += rows;
    for (uint32_t i = 0; i < count; i++) {
        if (err.code)
            part_unref(parts[i]);
        else
            err = add_run(store, number, parts[i]);
    }
    arena_done(&arena);
    return err;
}

static struct err seal_shard(struct files_store *store, uint32_t number)
{
    struct err err = seal_tail(store, number);
    if (!err.code)
        err = show(store, &store->shard[number]);
    if (err.code)
        atomic_store(&store->is_broken, true);
    return err;
}

static struct err check_writable(const struct files_store *store)
{
    return atomic_load(&store->is_broken) ? err_new(ERR_BROKEN, "store: write") : ok();
}

struct err files_seal(struct store *base)
{
    struct files_store *store = files_of(base);
    struct err err = check_writable(store);
    for (uint32_t s = 0; s < store->shards && !err.code; s++)
        err = seal_shard(store, s);
    return err;
}

/* --- appending ------------------------------------------------------------------------------ */

static bool is_dead(const struct files_store *store, uint32_t user)
{
    return row_set_has(store->shard[user % store->shards].dead, user / store->shards);
}

static struct err append(struct files_store *store, uint32_t user, uint32_t origin,
                         const struct store_event *event)
{
    uint32_t number = user % store->shards;
    uint32_t row = user / store->shards;
    struct files_shard *shard = &store->shard[number];
    if (row >= ROWS_MAX)
        return err_new(ERR_INVALID, "store: number of a user");
    struct err err = tail_append(shard->tail, row, origin, event, origin != user);
    if (err.code)
        return err;
    if (row >= shard->rows)
        shard->rows = row + 1;
    if (tail_count(shard->tail) >= store->tail_events ||
        tail_text_bytes(shard->tail) >= TAIL_TEXT_BYTES)
        err = seal_shard(store, number);
    return err;
}

struct err files_append(struct store *base, const struct store_event *events, size_t count)
{
    struct files_store *store = files_of(base);
    struct err err = check_writable(store);
    uint64_t living = 0;
    for (size_t i = 0; i < count && !err.code; i++) {
        err = append(store, events[i].user, events[i].user, &events[i]);
        living += !err.code && !is_dead(store, events[i].user);
    }
    counter_add(&store->events, living);
    counter_add(&store->appended, count);
    return err;
}

/* --- the dead ----------------------------------------------------------------------------------- */

static struct err add_row(struct row_set **set, uint32_t row)
{
    if (!*set || row >= (*set)->rows) {
        struct row_set *grown = NULL;
        uint32_t rows = *set ? (*set)->rows * 2 : 1024;
        struct err err = row_set_new(rows > row ? rows : row + row / 2 + 1, &grown);
        if (err.code)
            return err;
        if (*set) {
            memcpy(grown->bits, (*set)->bits, (*set)->rows / 8);
            grown->count = (*set)->count;
        }
        row_set_unref(*set);
        *set = grown;
    }
    row_set_add(*set, row);
    return ok();
}

static struct err bury(struct files_store *store, uint32_t user, bool is_erased)
{
    struct files_shard *shard = &store->shard[user % store->shards];
    uint32_t row = user / store->shards;
    if (row >= ROWS_MAX)
        return err_new(ERR_INVALID, "store: number of a user");
    struct err err = add_row(&shard->dead, row);
    if (!err.code && is_erased)
        err = add_row(&shard->erased, row);
    if (err.code)
        return err;
    if (row >= shard->rows)
        shard->rows = row + 1;
    shard->dead_version++;
    return ok();
}

static struct err mask_user(struct files_store *store, uint32_t user, bool is_erased)
{
    struct files_shard *shard = &store->shard[user % store->shards];
    uint32_t row = user / store->shards;
    uint64_t sealed = 0;
    if (!is_dead(store, user)) {
        struct shard_view *view = files_view(store, user % store->shards);
        struct err err = user_count(view, row, &sealed);
        shard_view_unref(view);
        if (err.code)
            return err;
        counter_add(&store->events, 0 - (sealed + tail_count_user(shard->tail, row)));
    }
    return bury(store, user, is_erased);
}

struct err files_mask_user(struct store *base, uint32_t user, bool is_erased)
{
    struct files_store *store = files_of(base);
    struct err err = check_writable(store);
    if (err.code)
        return err;
    counter_add(&store->appended, 1);
    mutex_lock(&store->counting);
    err = mask_user(store, user, is_erased);
    mutex_unlock(&store->counting);
    return err;
}

/* --- merging users ------------------------------------------------------------------------------- */

struct mover {
    struct files_store *store;
    uint32_t into;
    struct err err;
};

static bool move_event(void *ctx, const struct store_user_event *event)
{
    struct mover *mover = ctx;
    struct store_event moved = {
        .user = mover->into,
        .event = event->event,
        .time_ms = event->time_ms,
        .seq = event->seq,
        .properties = event->properties,
        .property_count = event->property_count,
    };
    mover->err = append(mover->store, mover->into, event->origin, &moved);
    return !mover->err.code;
}

static struct err move_sealed(struct mover *mover, uint32_t from, const struct shard_view *view)
{
    struct files_store *store = mover->store;
    struct user_range range = {
        .shards = store->shards,
        .shard = from % store->shards,
        .row = from / store->shards,
        .from_ms = TIME_MS_MIN,
        .to_ms = INT64_MAX,
    };
    struct read_counters counters = { 0 };
    struct arena scratch;
    arena_init(&scratch, (size_t)1 << SEAL_ARENA_SHIFT);
    struct err err = user_visit(view, &range, &counters, &scratch, move_event, mover);
    arena_done(&scratch);
    return err.code ? err : mover->err;
}

/* The tail's rows are copied first: moving them may seal the tail under our hands. */
static struct err move_tail(struct mover *mover, const struct tail_row *rows, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct err err = append(mover->store, mover->into, rows[i].origin, &rows[i].event);
        if (err.code)
            return err;
    }
    return ok();
}

static struct err merge_user(struct files_store *store, uint32_t from, uint32_t into)
{
    struct mover mover = { .store = store, .into = into };
    struct tail_row *rows = NULL;
    uint32_t count = 0;
    struct arena arena;
    struct shard_view *view = files_view(store, from % store->shards);
    arena_init(&arena, (size_t)1 << SEAL_ARENA_SHIFT);
    struct err err = tail_user(store->shard[from % store->shards].tail, from / store->shards,
                               &arena, &rows, &count);
    if (!err.code)
        err = move_sealed(&mover, from, view);
    if (!err.code)
        err = move_tail(&mover, rows, count);
    if (!err.code)
        err = bury(store, from, false);
    arena_done(&arena);
    shard_view_unref(view);
    return err;
}

struct err files_merge_user(struct store *base, uint32_t from, uint32_t into)
{
    struct files_store *store = files_of(base);
    struct err err = check_writable(store);
    if (err.code || is_dead(store, from))
        return err;
    if (from == into)
        return err_new(ERR_INVALID, "store: merge a user into itself");
    counter_add(&store->appended, 1);
    mutex_lock(&store->counting);
    err = merge_user(store, from, into);
    mutex_unlock(&store->counting);
    if (err.code)
        atomic_store(&store->is_broken, true);
    return err;
}

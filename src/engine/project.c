/*
 * project.c - one project: how a batch gets from a client to the state, and how readers see it.
 *
 *     submit ─► log (its thread: append, sync, done) ─► queue ─► apply thread ─► state
 *                                                                    │ begins
 *     background thread ◄── checkpoint, as bytes in memory ◄─────────┘
 *        writes it, trims the log, compacts
 *
 * What is bounded, and by what: batches that wait for the log or for the apply thread by queue_limit
 * (submit answers ERR_LIMIT); events in memory by twice the store's flush size, since a flush that's
 * due waits for the checkpoint before it, which holds up the apply thread, which fills the queue. When a checkpoint
 * finds no room on the disk, submits are refused until one does, and what was acknowledged is still
 * applied. Another failure of a checkpoint does the same once memory is full.
 */
#include "engine/engine_internal.h"

#include "base/bits.h"
#include "sys/sys.h"

#include <stdio.h>
#include <stdlib.h>

#define SCRATCH_LIMIT      ((size_t)1 << 30) /* any batch up to COMMAND_BATCH_MAX can be read */
#define DEDUP_LIMIT        ((size_t)1 << 30)
#define PROFILE_LIMIT      ((size_t)8 << 30)
#define QUEUE_DEFAULT      (UINT64_C(64) << 20)
#define CHECKPOINT_DEFAULT (UINT64_C(512) << 20)
#define RETRY_MS           1000
#define GROUP_BYTES        (UINT64_C(64) << 10) /* small batches are finished together */
#define DEDUP_DAYS         7

struct submission {
    struct log_entry entry; /* first: the log gives back a pointer to it */
    struct submission *next;
    struct project *project;
    project_done_fn *done;
    void *ctx;
    uint8_t bytes[];
};

/* --- the gate --------------------------------------------------------------------------- */

void gate_init(struct gate *gate)
{
    mutex_init(&gate->mutex);
    cond_init(&gate->cond);
    gate->is_held = false;
    gate->readers_waiting = 0;
}

void gate_done(struct gate *gate)
{
    cond_done(&gate->cond);
    mutex_done(&gate->mutex);
}

void gate_enter_writer(struct gate *gate)
{
    mutex_lock(&gate->mutex);
    while (gate->is_held || gate->readers_waiting > 0)
        cond_wait(&gate->cond, &gate->mutex);
    gate->is_held = true;
    mutex_unlock(&gate->mutex);
}

void gate_enter_reader(struct gate *gate)
{
    mutex_lock(&gate->mutex);
    gate->readers_waiting++;
    while (gate->is_held)
        cond_wait(&gate->cond, &gate->mutex);
    gate->readers_waiting--;
    gate->is_held = true;
    mutex_unlock(&gate->mutex);
}

void gate_leave(struct gate *gate)
{
    mutex_lock(&gate->mutex);
    gate->is_held = false;
    cond_broadcast(&gate->cond);
    mutex_unlock(&gate->mutex);
}

/* --- submitting ---------------------------------------------------------------------------- */

/* With project->mutex held. */
static void tell_all(struct project *project)
{
    cond_broadcast(&project->changed);
    cond_broadcast(&project->progress);
    cond_signal(&project->work);
}

void project_broken(struct project *project, struct err err)
{
    mutex_lock(&project->mutex);
    project->is_broken = true;
    tell_all(project);
    mutex_unlock(&project->mutex);
    const struct engine_config *config = &project->engine->config;
    if (config->on_broken)
        config->on_broken(config->ctx, project->id, err);
}

void project_warn(struct project *project, const char *what, struct err err)
{
    const struct engine_config *config = &project->engine->config;
    if (config->on_warning)
        config->on_warning(config->ctx, project->id, what, err);
}

static void log_broken(void *ctx, struct err err)
{
    project_broken(ctx, err);
}

/* The batch is applied or never will be. With project->mutex held. */
static void finish(struct project *project, const struct submission *submission)
{
    project->queue_bytes -= submission->entry.batch.len;
    project->finished += submission->entry.count;
}

/* On the log's thread. */
static void on_durable(struct log_entry *entry, struct err err)
{
    struct submission *submission = (struct submission *)entry;
    struct project *project = submission->project;
    project_done_fn *done = submission->done;
    void *ctx = submission->ctx;
    uint64_t position = entry->position;

    mutex_lock(&project->mutex);
    if (err.code) {
        finish(project, submission);
        cond_broadcast(&project->progress);
    } else {
        if (project->last)
            project->last->next = submission;
        else
            project->first = submission;
        project->last = submission;
        if (project->first == submission)
            cond_signal(&project->work);
    }
    mutex_unlock(&project->mutex);
    /* From here on the submission may be gone: the apply thread frees it. */
    if (err.code)
        free(submission);
    done(ctx, err, position);
}

/* May a batch of so many bytes come? With project->mutex held. */
static struct err check_submit(const struct project *project, size_t len)
{
    if (project->is_broken || project->is_stopping)
        return err_new(ERR_BROKEN, "project: stopped");
    /* Any other failure only counts once memory is full of what the checkpoint should have taken. */
    if (project->checkpoint_err.code == ERR_FULL ||
        (project->checkpoint_err.code && project->is_memory_full))
        return project->checkpoint_err;
    if (project->queue_bytes > 0 && project->queue_bytes + len > project->queue_limit)
        return err_new(ERR_LIMIT, "project: too much is waiting");
    return ok();
}

struct err project_submit(struct project *project, struct bytes batch, uint32_t count,
                          project_done_fn *done, void *ctx)
{
    struct submission *submission = malloc(sizeof *submission + batch.len);
    if (!submission)
        return err_new(ERR_NOMEM, "project: submit");
    if (batch.len > 0)
        memcpy(submission->bytes, batch.ptr, batch.len);
    submission->entry = (struct log_entry){
        .batch = bytes_of(submission->bytes, batch.len),
        .count = count,
        .done = on_durable,
    };
    submission->next = NULL;
    submission->project = project;
    submission->done = done;
    submission->ctx = ctx;

    /* The mutex covers the log's submit too, so that `submitted` is never behind `finished`, and what
     * the log refuses was never counted. */
    mutex_lock(&project->mutex);
    struct err err = check_submit(project, batch.len);
    if (!err.code)
        err = log_submit(project->log, &submission->entry);
    if (!err.code) {
        project->queue_bytes += batch.len;
        project->submitted += count;
    }
    mutex_unlock(&project->mutex);
    if (err.code)
        free(submission);
    return err;
}

struct waiter {
    struct mutex mutex;
    struct cond cond;
    bool is_done;
    struct err err;
    uint64_t position;
};

static void wake_waiter(void *ctx, struct err err, uint64_t position)
{
    struct waiter *waiter = ctx;
    mutex_lock(&waiter->mutex);
    waiter->is_done = true;
    waiter->err = err;
    waiter->position = position;
    cond_signal(&waiter->cond);
    mutex_unlock(&waiter->mutex);
}

/* Until something was applied, or failed. */
static void wait_for_room(struct project *project)
{
    mutex_lock(&project->mutex);
    if (project->queue_bytes > 0 && !project->is_broken)
        cond_wait(&project->progress, &project->mutex);
    mutex_unlock(&project->mutex);
}

struct err project_submit_wait(struct project *project, struct bytes batch, uint32_t count,
                               uint64_t *position_out)
{
    struct waiter waiter = { .is_done = false };
    mutex_init(&waiter.mutex);
    cond_init(&waiter.cond);
    struct err err = project_submit(project, batch, count, wake_waiter, &waiter);
    while (err.code == ERR_LIMIT) {
        wait_for_room(project);
        err = project_submit(project, batch, count, wake_waiter, &waiter);
    }
    if (!err.code) {
        mutex_lock(&waiter.mutex);
        while (!waiter.is_done)
            cond_wait(&waiter.cond, &waiter.mutex);
        mutex_unlock(&waiter.mutex);
        err = waiter.err;
    }
    if (!err.code && position_out)
        *position_out = waiter.position;
    cond_done(&waiter.cond);
    mutex_done(&waiter.mutex);
    return err;
}

void project_wait_applied(struct project *project, uint64_t position)
{
    mutex_lock(&project->mutex);
    while (project->applied < position && !project->is_broken)
        cond_wait(&project->progress, &project->mutex);
    mutex_unlock(&project->mutex);
}

void project_drain(struct project *project)
{
    mutex_lock(&project->mutex);
    uint64_t target = project->submitted;
    while (project->finished < target && !project->is_broken)
        cond_wait(&project->progress, &project->mutex);
    mutex_unlock(&project->mutex);
}

/* --- the apply thread --------------------------------------------------------------------------- */

/* Is the store's memory over its budget? Under the gate, since a reader's snapshot seals the tails. */
static bool is_memory_full(struct project *project)
{
    gate_enter_writer(&project->gate);
    bool is_full = project->state.store->ops->wants_flush(project->state.store);
    gate_leave(&project->gate);
    return is_full;
}

/* Waits for the checkpoint before, when memory is full. True: the next one is to begin. */
static bool wait_for_turn(struct project *project)
{
    uint64_t limit = project->engine->config.checkpoint_bytes;
    bool is_full = is_memory_full(project);
    mutex_lock(&project->mutex);
    project->is_memory_full = is_full;
    /* What the checkpoint under way writes doesn't count: while it's written, as much can come. */
    while (is_full && project->has_job && !project->is_abandoned && !project->checkpoint_err.code)
        cond_wait(&project->changed, &project->mutex);
    bool is_due = is_full || project->wants_checkpoint ||
                  project->bytes_since_checkpoint >= (limit ? limit : CHECKPOINT_DEFAULT);
    bool begins = is_due && !project->has_job && !project->is_abandoned;
    mutex_unlock(&project->mutex);
    return begins;
}

/* Hands a checkpoint to the background thread when one is due. One at a time. */
static struct err offer_checkpoint(struct project *project)
{
    if (!wait_for_turn(project))
        return ok();
    gate_enter_writer(&project->gate);
    struct err err = checkpoint_begin(project);
    gate_leave(&project->gate);
    if (err.code)
        return err;
    mutex_lock(&project->mutex);
    project->wants_checkpoint = false;
    project->bytes_since_checkpoint = 0;
    project->has_job = true;
    cond_broadcast(&project->changed);
    mutex_unlock(&project->mutex);
    return ok();
}

static struct err apply_one(struct project *project, const struct submission *submission)
{
    const struct log_entry *entry = &submission->entry;
    gate_enter_writer(&project->gate);
    struct err err =
        state_apply(&project->state, entry->position, entry->count, entry->batch, project->live);
    gate_leave(&project->gate);
    return err;
}

/* All that waits; NULL: nothing, but a checkpoint may be asked for. */
static struct submission *take_submissions(struct project *project, bool *is_stopping_out)
{
    mutex_lock(&project->mutex);
    while (!project->first && !project->is_stopping &&
           !(project->wants_checkpoint && !project->has_job))
        cond_wait(&project->work, &project->mutex);
    struct submission *first = project->first;
    project->first = NULL;
    project->last = NULL;
    *is_stopping_out = project->is_stopping;
    mutex_unlock(&project->mutex);
    return first;
}

/* Applies batches from the front of *list, which is moved on: as many as GROUP_BYTES, one at least.
 * Each of them under the gate by itself, so that readers come in between. */
static struct err apply_group(struct project *project, struct submission **list)
{
    struct submission *first = *list;
    struct submission *end = first;
    struct err err = ok();
    uint64_t bytes = 0;
    uint64_t applied = 0;
    while (end && bytes < GROUP_BYTES && !err.code) {
        err = apply_one(project, end);
        if (!err.code)
            applied = end->entry.position + end->entry.count;
        bytes += end->entry.batch.len;
        end = end->next;
    }
    mutex_lock(&project->mutex);
    if (applied)
        project->applied = applied;
    project->bytes_since_checkpoint += bytes;
    for (const struct submission *one = first; one != end; one = one->next)
        finish(project, one);
    cond_broadcast(&project->progress);
    mutex_unlock(&project->mutex);
    while (first != end) {
        struct submission *done = first;
        first = first->next;
        free(done);
    }
    *list = end;
    return err;
}

/* Applies what is in the list, and begins the checkpoints that come due. */
static struct err apply_list(struct project *project, struct submission **list)
{
    struct err err = ok();
    do {
        if (*list)
            err = apply_group(project, list);
        if (!err.code)
            err = offer_checkpoint(project);
    } while (*list && !err.code);
    return err;
}

static void free_submissions(struct submission *list)
{
    while (list) {
        struct submission *left = list;
        list = list->next;
        free(left);
    }
}

static void *apply_run(void *ctx)
{
    struct project *project = ctx;
    for (;;) {
        bool is_stopping = false;
        struct submission *list = take_submissions(project, &is_stopping);
        if (!list && is_stopping)
            return NULL;
        struct err err = apply_list(project, &list);
        if (err.code) {
            free_submissions(list); /* the log has them */
            project_broken(project, err);
            return NULL;
        }
    }
}

/* --- the background thread ------------------------------------------------------------------------- */

/* With the mutex held; gives it up meanwhile. */
static void run_job(struct project *project)
{
    mutex_unlock(&project->mutex);
    struct err err = checkpoint_write(project);
    mutex_lock(&project->mutex);
    project->checkpoint_err = err;
    if (!err.code) {
        project->has_job = false;
        project->is_compacted = false;
        project->checkpoints++;
        project->checkpoint_position = project->job_position;
        project->is_memory_full = false;
    }
    tell_all(project);
    if (!err.code)
        return;
    mutex_unlock(&project->mutex);
    project_warn(project, "a checkpoint could not be written", err);
    if (err.code == ERR_BROKEN)
        project_broken(project, err);
    mutex_lock(&project->mutex);
    if (!project->is_stopping)
        (void)cond_wait_ms(&project->changed, &project->mutex, RETRY_MS);
}

static void run_compaction(struct project *project)
{
    bool did_work = false;
    mutex_unlock(&project->mutex);
    struct err err = project->state.store->ops->maintain(project->state.store, &did_work);
    if (err.code)
        project_warn(project, "compaction failed", err);
    mutex_lock(&project->mutex);
    /* After a failure it rests until the next checkpoint. */
    project->is_compacted = err.code || !did_work;
    if (project->is_compacted)
        cond_broadcast(&project->changed);
}

/* Does the checkpoint wait for compaction? Each adds runs to the months: without that, events that
 * come faster than they are brought to rest would leave ever more of them. When memory is full
 * meanwhile, the apply thread waits, the queue fills, and senders are told to come again. */
static bool is_compaction_first(struct project *project)
{
    const struct store *store = project->state.store;
    return !project->is_stopping && !project->is_compacted && store->ops->is_behind(store);
}

static void *background_run(void *ctx)
{
    struct project *project = ctx;
    thread_set_background();
    mutex_lock(&project->mutex);
    while (!project->is_abandoned) {
        if (project->has_job && !is_compaction_first(project)) {
            if (project->is_stopping && project->checkpoint_err.code)
                break; /* it failed while closing: the log still has everything */
            run_job(project);
        } else if (project->is_stopping) {
            break;
        } else if (!project->is_compacted) {
            run_compaction(project);
        } else {
            cond_wait(&project->changed, &project->mutex);
        }
    }
    mutex_unlock(&project->mutex);
    return NULL;
}

struct err project_settle(struct project *project)
{
    project_drain(project);
    mutex_lock(&project->mutex);
    uint64_t target = project->applied;
    project->checkpoint_err = ok();
    project->wants_checkpoint = project->checkpoint_position < target;
    tell_all(project);
    while (!project->is_broken && !project->checkpoint_err.code &&
           (project->checkpoint_position < target || !project->is_compacted))
        cond_wait(&project->changed, &project->mutex);
    struct err err =
        project->is_broken ? err_new(ERR_BROKEN, "project: settle") : project->checkpoint_err;
    mutex_unlock(&project->mutex);
    return err;
}

/* --- opening and closing ------------------------------------------------------------------------------- */

static void *write_replayed(void *ctx)
{
    struct project *project = ctx;
    project->checkpoint_err = checkpoint_write(project);
    return NULL;
}

/* The checkpoint that a replay has begun is on disk, or has failed. */
static struct err finish_replayed(struct project *project)
{
    if (!project->has_job)
        return ok();
    thread_join(&project->background_thread);
    project->has_job = false;
    return project->checkpoint_err;
}

/* Memory stays bounded while a long log is replayed: checkpoints are written beside it, one at a
 * time, by a thread that has nothing else to do yet. */
static struct err replay_batch(void *ctx, uint64_t position, uint32_t count, struct bytes batch)
{
    struct project *project = ctx;
    struct err err = state_apply(&project->state, position, count, batch, NULL);
    project->bytes_since_checkpoint += batch.len;
    if (err.code || !project->state.store->ops->wants_flush(project->state.store))
        return err;
    err = finish_replayed(project);
    if (!err.code)
        err = checkpoint_begin(project);
    if (!err.code)
        err = thread_start(&project->background_thread, "kolam-replay", write_replayed, project);
    project->has_job = !err.code;
    project->bytes_since_checkpoint = 0;
    return err;
}

static struct err new_state(struct project *project, const struct project_settings *settings)
{
    struct state *state = &project->state;
    arena_init(&state->scratch, SCRATCH_LIMIT);
    state->identity_config.does_join_existing = settings->does_join_existing;
    state->dedup_days = settings->dedup_days ? settings->dedup_days : DEDUP_DAYS;
    state->limits = catalog_limits_default();
    state->position = 1;
    struct err err = catalog_new(&state->catalog);
    if (err.code)
        return err;
    err = identity_new(state->identity_config, &state->identity);
    if (err.code)
        return err;
    err = profiles_new((struct profile_limits){ .memory_bytes = PROFILE_LIMIT }, &state->profiles);
    if (err.code)
        return err;
    return dedup_new(DEDUP_LIMIT, &state->dedup);
}

static struct err open_state(struct project *project, const struct project_settings *settings)
{
    const struct engine_config *config = &project->engine->config;
    struct err err = new_state(project, settings);
    if (err.code)
        return err;

    struct buf extra;
    uint64_t position = 0;
    buf_init(&extra, 1 << 16);
    struct store_files_config store = {
        .disk = config->disk,
        .dir = project->dir,
        .shards = settings->shards,
        .zone = project->zone,
        .tail_events = config->tail_events,
        .flush_events = config->flush_events,
        .cache_bytes = config->cache_bytes,
        .retention_months = settings->retention_months,
    };
    err = store_open_files(&store, &position, &extra, &project->state.store);
    if (!err.code)
        err = checkpoint_load(project, buf_bytes(&extra));
    if (!err.code && extra.len > 0 && project->state.position != position)
        err = err_new(ERR_CORRUPT, "checkpoint: the state file is of another position");
    buf_done(&extra);
    if (err.code)
        return err;

    char dir[sizeof project->dir + 8];
    (void)snprintf(dir, sizeof dir, "%s/log", project->dir);
    struct log_files_config log_config = {
        .disk = config->disk,
        .dir = dir,
        .queue_bytes = project->queue_limit,
        .first_position = project->state.position,
        .disk_floor_bytes = config->disk_floor_bytes,
        .on_broken = log_broken,
        .on_broken_ctx = project,
    };
    project->checkpoint_position = project->state.position;
    struct log *opened = NULL; /* not yet the project's: the thread of a checkpoint looks there */
    const struct store_ops *ops = project->state.store->ops;
    ops->set_replaying(project->state.store, true);
    err = log_open_files(&log_config, project->state.position, replay_batch, project, &opened);
    struct err written = finish_replayed(project);
    ops->set_replaying(project->state.store, false);
    project->log = opened;
    return err.code ? err : written;
}

static void destroy(struct project *project)
{
    log_close(project->log);
    /* What became durable after the apply thread had gone; the log has it. */
    free_submissions(project->first);
    state_done(&project->state);
    live_free(project->live);
    buf_done(&project->job_state);
    gate_done(&project->gate);
    cond_done(&project->work);
    cond_done(&project->progress);
    cond_done(&project->changed);
    mutex_done(&project->mutex);
    free(project);
}

/* The first command of a project: the secret under which digests of erased keys are made. It's drawn
 * here and logged, so that a replay has the same. */
static struct err draw_erase_key(struct project *project)
{
    uint8_t key[16];
    char hex[2 * sizeof key + 1];
    struct bytes batch;
    struct command_writer *writer = NULL;
    sys_entropy(key, sizeof key);
    for (size_t i = 0; i < sizeof key; i++)
        (void)snprintf(hex + 2 * i, 3, "%02x", key[i]);
    struct value value = value_string(bytes_from(hex));

    struct err err = command_writer_new(&writer);
    if (err.code)
        return err;
    int64_t now_ms = clock_now_ms(project->engine->config.clock);
    command_writer_reset(writer, now_ms);
    command_begin(writer, COMMAND_SETTING, now_ms);
    command_name(writer, BYTES("erase_key"), false);
    command_property(writer, BYTES("value"), PROPERTY_SET, &value);
    command_end(writer);
    err = command_writer_finish(writer, &batch);
    if (!err.code)
        err = project_submit_wait(project, batch, 1, NULL);
    command_writer_free(writer);
    return err;
}

struct err project_open(struct engine *engine, const char *id, const struct zone *zone,
                        const struct project_settings *settings, struct project **out)
{
    struct project *project = calloc(1, sizeof *project);
    if (!project)
        return err_new(ERR_NOMEM, "project: open");
    project->engine = engine;
    project->zone = zone;
    project->week_start = settings->week_start ? settings->week_start : MONDAY;
    project->queue_limit = engine->config.queue_bytes ? engine->config.queue_bytes : QUEUE_DEFAULT;
    (void)snprintf(project->id, sizeof project->id, "%s", id);
    (void)snprintf(project->dir, sizeof project->dir, "projects/%s", id);
    mutex_init(&project->mutex);
    cond_init(&project->work);
    cond_init(&project->progress);
    cond_init(&project->changed);
    gate_init(&project->gate);

    struct err err = disk_make_dir(engine->config.disk, project->dir);
    if (!err.code)
        err = disk_sync_dir(engine->config.disk, "projects");
    if (!err.code)
        err = live_new(&project->live);
    if (!err.code)
        err = open_state(project, settings);
    if (err.code)
        goto fail;
    project->applied = project->state.position;

    err = thread_start(&project->apply_thread, "kolam-apply", apply_run, project);
    if (err.code)
        goto fail;
    err = thread_start(&project->background_thread, "kolam-compact", background_run, project);
    if (err.code) {
        mutex_lock(&project->mutex);
        project->is_stopping = true;
        tell_all(project);
        mutex_unlock(&project->mutex);
        thread_join(&project->apply_thread);
        goto fail;
    }
    if (project->state.position == 1) {
        err = draw_erase_key(project);
        if (err.code) {
            project_close(project, true);
            return err;
        }
    }
    *out = project;
    return ok();
fail:
    destroy(project);
    return err;
}

/* Before stopping: a checkpoint, so that the next start has nothing to replay. */
static void checkpoint_at_close(struct project *project)
{
    project_drain(project);
    mutex_lock(&project->mutex);
    project->checkpoint_err = ok();
    project->wants_checkpoint = project->checkpoint_position < project->applied;
    tell_all(project);
    while (!project->is_broken && !project->checkpoint_err.code &&
           (project->wants_checkpoint || project->has_job))
        cond_wait(&project->changed, &project->mutex);
    mutex_unlock(&project->mutex);
}

void project_close(struct project *project, bool is_abandoned)
{
    if (!is_abandoned)
        checkpoint_at_close(project);
    mutex_lock(&project->mutex);
    project->is_stopping = true;
    project->is_abandoned = is_abandoned;
    tell_all(project);
    mutex_unlock(&project->mutex);
    thread_join(&project->apply_thread);
    thread_join(&project->background_thread);
    destroy(project);
}

const char *project_id(const struct project *project)
{
    return project->id;
}

const struct zone *project_zone(const struct project *project)
{
    return project->zone;
}

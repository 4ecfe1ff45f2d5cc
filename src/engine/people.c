/* people.c - snapshots, and single facts about people, for readers. */
#include "engine/engine_internal.h"

#include "base/bits.h"

#include <stdlib.h>

/* --- snapshots -------------------------------------------------------------------------- */

struct snapshot_inner {
    struct project *project;
    struct store_snapshot *store;
    struct profile_view *profiles;
    struct catalog *catalog;
    uint64_t *dead;
    uint32_t dead_words;
    uint32_t users;
};

static uint32_t source_find_user(void *ctx, struct bytes identity)
{
    const struct snapshot_inner *inner = ctx;
    uint32_t user = project_find_user(inner->project, identity);
    /* Somebody who came after the snapshot isn't in it. */
    return user < inner->users ? user : (uint32_t)USER_NONE;
}

static struct bytes source_show_user(void *ctx, uint32_t user, struct arena *arena)
{
    const struct snapshot_inner *inner = ctx;
    gate_enter_reader(&inner->project->gate);
    struct bytes text = arena_copy(arena, identity_display(inner->project->state.identity, user));
    gate_leave(&inner->project->gate);
    return text;
}

static bool source_is_living(void *ctx, uint32_t user)
{
    const struct snapshot_inner *inner = ctx;
    if (user >= inner->users)
        return false;
    return user / 64 >= inner->dead_words || !bits_has(inner->dead, user);
}

static struct err source_load_zone(void *ctx, struct bytes name, const struct zone **out)
{
    const struct snapshot_inner *inner = ctx;
    return engine_zone(inner->project->engine, name, out);
}

static struct err copy_catalog(const struct state *state, struct catalog **out)
{
    struct buf copy;
    buf_init(&copy, (size_t)1 << 30);
    catalog_save(state->catalog, &copy);
    struct err err = buf_err(&copy);
    if (!err.code)
        err = catalog_load(buf_bytes(&copy), out);
    buf_done(&copy);
    return err;
}

static struct err take(struct snapshot_inner *inner, uint64_t *position_out)
{
    struct state *state = &inner->project->state;
    struct err err = state->store->ops->snapshot(state->store, &inner->store);
    if (err.code)
        return err;
    err = profile_view_take(state->profiles, &inner->profiles);
    if (err.code)
        return err;
    err = copy_catalog(state, &inner->catalog);
    if (err.code)
        return err;
    inner->users = identity_user_count(state->identity);
    *position_out = state->position;
    if (state->dead_count == 0)
        return ok();
    inner->dead = malloc(state->dead_words * sizeof *inner->dead);
    if (!inner->dead)
        return err_new(ERR_NOMEM, "project: snapshot");
    memcpy(inner->dead, state->dead, state->dead_words * sizeof *inner->dead);
    inner->dead_words = state->dead_words;
    return ok();
}

static void release(struct snapshot_inner *inner)
{
    /* Without the gate: this may remove the files that only this snapshot still needed. */
    if (inner->store)
        inner->store->ops->snapshot_free(inner->store);
    gate_enter_reader(&inner->project->gate);
    profile_view_release(inner->profiles);
    gate_leave(&inner->project->gate);
    catalog_free(inner->catalog);
    free(inner->dead);
    free(inner);
}

struct err project_snapshot(struct project *project, struct project_snapshot *out)
{
    struct snapshot_inner *inner = calloc(1, sizeof *inner);
    if (!inner)
        return err_new(ERR_NOMEM, "project: snapshot");
    inner->project = project;
    uint64_t position = 0;
    gate_enter_reader(&project->gate);
    struct err err = take(inner, &position);
    gate_leave(&project->gate);
    if (err.code) {
        release(inner);
        return err;
    }
    *out = (struct project_snapshot){
        .source = {
            .snapshot = inner->store,
            .catalog = inner->catalog,
            .profiles = inner->profiles,
            .zone = project->zone,
            .week_start = project->week_start,
            .now_ms = clock_now_ms(project->engine->config.clock),
            .position = position,
            .identities = inner,
            .find_user = source_find_user,
            .show_user = source_show_user,
            .is_living = source_is_living,
            .load_zone = source_load_zone,
        },
        .inner = inner,
    };
    return ok();
}

void project_snapshot_done(struct project_snapshot *snapshot)
{
    if (snapshot->inner)
        release(snapshot->inner);
    snapshot->inner = NULL;
}

/* --- single facts ---------------------------------------------------------------------------- */

uint32_t project_find_user(struct project *project, struct bytes identity)
{
    gate_enter_reader(&project->gate);
    uint32_t user = identity_find_any(project->state.identity, identity);
    gate_leave(&project->gate);
    return user;
}

uint32_t project_find_key(struct project *project, struct identity_key key)
{
    gate_enter_reader(&project->gate);
    uint32_t user = identity_find(project->state.identity, key);
    gate_leave(&project->gate);
    return user;
}

uint32_t project_survivor(struct project *project, uint32_t user)
{
    uint32_t survivor = USER_NONE;
    gate_enter_reader(&project->gate);
    if (user < identity_user_count(project->state.identity))
        survivor = identity_survivor(project->state.identity, user);
    gate_leave(&project->gate);
    return survivor;
}

static struct err copy_keys(struct identity_graph *graph, uint32_t user, struct arena *arena,
                            struct identity_key **keys_out, uint32_t *count_out)
{
    uint32_t count = identity_keys(graph, user, NULL, 0);
    struct identity_key *keys = arena_calloc(arena, count, sizeof *keys);
    if (!keys)
        return err_new(ERR_NOMEM, "project: keys");
    (void)identity_keys(graph, user, keys, count);
    for (uint32_t i = 0; i < count; i++) {
        keys[i].text = arena_copy(arena, keys[i].text);
        if (!keys[i].text.ptr)
            return err_new(ERR_NOMEM, "project: keys");
    }
    *keys_out = keys;
    *count_out = count;
    return ok();
}

struct err project_user_keys(struct project *project, uint32_t user, struct arena *arena,
                             struct identity_key **keys_out, uint32_t *count_out)
{
    gate_enter_reader(&project->gate);
    struct err err = copy_keys(project->state.identity, user, arena, keys_out, count_out);
    gate_leave(&project->gate);
    return err;
}

struct err project_user_merged(struct project *project, uint32_t user, struct arena *arena,
                               uint32_t **from_out, uint32_t *count_out)
{
    struct err err = ok();
    gate_enter_reader(&project->gate);
    uint32_t count = identity_merged_into(project->state.identity, user, NULL, 0);
    uint32_t *from = arena_calloc(arena, count, sizeof *from);
    if (from)
        (void)identity_merged_into(project->state.identity, user, from, count);
    else
        err = err_new(ERR_NOMEM, "project: merged users");
    gate_leave(&project->gate);
    if (!err.code) {
        *from_out = from;
        *count_out = count;
    }
    return err;
}

uint32_t project_search_users(struct project *project, struct bytes text, uint32_t after,
                              uint32_t *users, uint32_t max, bool *more_out)
{
    gate_enter_reader(&project->gate);
    uint32_t count = identity_search(project->state.identity, text, after, users, max, more_out);
    gate_leave(&project->gate);
    return count;
}

struct err project_catalog(struct project *project, struct catalog **out)
{
    gate_enter_reader(&project->gate);
    struct err err = copy_catalog(&project->state, out);
    gate_leave(&project->gate);
    return err;
}

struct project_rules project_rules(struct project *project)
{
    const struct state *state = &project->state;
    gate_enter_reader(&project->gate);
    struct project_rules rules = {
        .does_join_existing = state->identity_config.does_join_existing,
        .dedup_days = state->dedup_days,
        .limits = state->limits,
    };
    gate_leave(&project->gate);
    return rules;
}

bool project_is_discarded(struct project *project, struct bytes event_name, bool is_folded)
{
    const struct catalog *catalog = project->state.catalog;
    gate_enter_reader(&project->gate);
    uint32_t event = catalog_event_find(catalog, event_name, is_folded);
    bool is_discarded = event != CATALOG_NONE && catalog_event_is_discarded(catalog, event);
    gate_leave(&project->gate);
    return is_discarded;
}

struct project_stats project_stats(struct project *project)
{
    struct project_stats stats = { 0 };
    gate_enter_reader(&project->gate);
    const struct state *state = &project->state;
    struct store_stats store = state->store->ops->stats(state->store);
    stats.duplicates = state->duplicates;
    stats.users = identity_user_count(state->identity) - state->dead_count;
    gate_leave(&project->gate);
    struct log_stats log = log_stats(project->log);

    mutex_lock(&project->mutex);
    stats.applied = project->applied;
    stats.queue_bytes = project->queue_bytes;
    stats.checkpoints = project->checkpoints;
    stats.checkpoint_position = project->checkpoint_position;
    mutex_unlock(&project->mutex);
    stats.position = log.next_position;
    stats.log_bytes = log.size_bytes;
    stats.log_syncs = log.syncs;
    stats.events = store.events;
    stats.disk_bytes = store.disk_bytes;
    stats.memory_events = store.memory_events;
    return stats;
}

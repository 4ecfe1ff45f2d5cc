/* helper.h - an engine on a simulated disk, batches of numbered events, and what is there. */
#ifndef TESTS_ENGINE_HELPER_H
#define TESTS_ENGINE_HELPER_H

#include "command/command.h"
#include "engine/engine.h"
#include "sys/disk_sim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { PEOPLE = 4, NUMBERS_MAX = 4096, BATCH_EVENTS_MAX = 64 };
#define DAY_ONE INT64_C(1767225600000) /* 2026-01-01 */

struct world {
    struct disk_sim *sim;
    struct clock_sim clock;
    struct command_writer *writer;
    struct engine *engine;
    struct project *project;
    uint32_t tail_events;
    uint32_t flush_events;
    /* Told by the engine's threads. */
    atomic_bool is_broken;
    atomic_int warnings;
};

static inline void world_broken(void *ctx, const char *project, struct err err)
{
    struct world *world = ctx;
    (void)project;
    (void)err;
    atomic_store(&world->is_broken, true);
}

static inline void world_warning(void *ctx, const char *project, const char *what, struct err err)
{
    struct world *world = ctx;
    (void)project;
    (void)what;
    (void)err;
    atomic_fetch_add(&world->warnings, 1);
}

static inline struct err world_try_open(struct world *world)
{
    struct engine_config config = {
        .disk = disk_sim_disk(world->sim),
        .clock = &world->clock.clock,
        .tail_events = world->tail_events,
        .flush_events = world->flush_events,
        .on_broken = world_broken,
        .on_warning = world_warning,
        .ctx = world,
    };
    struct project_settings settings = { .time_zone = BYTES("UTC"), .shards = 2 };
    world->project = NULL;
    world->engine = NULL;
    struct err err = engine_open(&config, &world->engine);
    if (err.code)
        return err;
    err = engine_project(world->engine, "p", &settings, true, &world->project);
    if (err.code) {
        engine_abandon(world->engine);
        world->engine = NULL;
    }
    return err;
}

static inline void world_open(struct world *world)
{
    struct err err = world_try_open(world);
    if (err.code)
        (void)fprintf(stderr, "open: %s (%d)\n", err.what, (int)err.code);
    assert_int_equal(err.code, ERR_NONE);
}

static inline void world_init(struct world *world)
{
    *world = (struct world){ .tail_events = 4, .flush_events = 16 };
    clock_sim_init(&world->clock, DAY_ONE);
    assert_int_equal(disk_sim_new(&world->sim).code, ERR_NONE);
    assert_int_equal(command_writer_new(&world->writer).code, ERR_NONE);
}

static inline void world_done(struct world *world)
{
    engine_abandon(world->engine);
    command_writer_free(world->writer);
    disk_sim_free(world->sim);
}

/* --- writing ---------------------------------------------------------------------- */

/* Event number n: its person, time and id follow from n. */
static inline void world_put_event(struct world *world, uint32_t n, bool has_id)
{
    char person[16];
    char id[16];
    struct value value = value_int(n);
    (void)snprintf(person, sizeof person, "p%u", n % PEOPLE);
    (void)snprintf(id, sizeof id, "e%u", n);
    command_begin(world->writer, COMMAND_EVENT, DAY_ONE + (int64_t)(n % 7) * 9 * MS_PER_DAY + n);
    command_ref(world->writer, REF_IDENTITY, bytes_from(person));
    command_name(world->writer, n % 3 ? BYTES("Seen") : BYTES("Paid"), false);
    if (has_id)
        command_event_id(world->writer, bytes_from(id));
    command_property(world->writer, BYTES("n"), PROPERTY_SET, &value);
    command_end(world->writer);
}

static inline struct err world_submit(struct world *world)
{
    struct bytes batch;
    uint64_t position = 0;
    uint32_t count = command_writer_count(world->writer);
    struct err err = command_writer_finish(world->writer, &batch);
    assert_int_equal(err.code, ERR_NONE);
    err = project_submit_wait(world->project, batch, count, &position);
    if (!err.code)
        project_wait_applied(world->project, position + count);
    return err;
}

/* Events from … from + count - 1 as one batch. */
static inline struct err world_send(struct world *world, uint32_t from, uint32_t count,
                                    bool has_ids)
{
    command_writer_reset(world->writer, world->clock.ms);
    for (uint32_t n = from; n < from + count; n++)
        world_put_event(world, n, has_ids);
    return world_submit(world);
}

/* --- what is there ------------------------------------------------------------------ */

struct numbers {
    uint32_t seen[NUMBERS_MAX]; /* how often */
    uint32_t total;
    int64_t last_ms; /* of the user in hand */
    bool is_out_of_order;
    uint32_t property;
};

static inline bool numbers_see(void *ctx, const struct store_user_event *event)
{
    struct numbers *numbers = ctx;
    numbers->is_out_of_order |= event->time_ms < numbers->last_ms;
    numbers->last_ms = event->time_ms;
    for (uint32_t i = 0; i < event->property_count; i++) {
        const struct store_property *property = &event->properties[i];
        if (property->property == numbers->property && property->value.type == VALUE_INT &&
            property->value.integer >= 0 && property->value.integer < NUMBERS_MAX)
            numbers->seen[property->value.integer]++;
    }
    numbers->total++;
    return true;
}

static inline void world_read_snapshot(const struct project_snapshot *snapshot,
                                       struct numbers *numbers)
{
    const struct query_source *source = &snapshot->source;
    struct arena arena;
    *numbers = (struct numbers){ .property = catalog_property_find(source->catalog, BYTES("n")) };
    arena_init(&arena, (size_t)64 << 20);
    for (uint32_t user = 0; user < PEOPLE * 4; user++) {
        numbers->last_ms = INT64_MIN;
        if (!source->is_living(source->identities, user))
            continue;
        struct err err = source->snapshot->ops->user_events(
            source->snapshot, user, TIME_MS_MIN, TIME_MS_MAX, false, &arena, numbers_see, numbers);
        assert_int_equal(err.code, ERR_NONE);
        arena_reset(&arena);
    }
    arena_done(&arena);
    assert_false(numbers->is_out_of_order);
}

static inline void world_read(struct world *world, struct numbers *numbers)
{
    struct project_snapshot snapshot;
    assert_int_equal(project_snapshot(world->project, &snapshot).code, ERR_NONE);
    world_read_snapshot(&snapshot, numbers);
    project_snapshot_done(&snapshot);
}

#endif

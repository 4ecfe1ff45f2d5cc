/*
 * model_test.c - the store in every physical state answers as the slow, obvious model does.
 *
 * Histories are random: few users, few event types, times with ties, items, late events, merges,
 * erasures. Between them the store is sealed, checkpointed, compacted and opened anew, at random. What
 * a snapshot says is compared with the model as of its moment, also after the store has gone on.
 */
#include "history.h"
#include "sys/disk_sim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { HISTORIES = 40, STEPS = 60 };

struct world {
    struct disk_sim *sim;
    struct zone *zone;
    struct history history;
    struct store_files_config config;
    struct store *store;
    uint32_t applied;
    struct store_snapshot *old; /* taken some steps ago, at `old_applied` */
    uint32_t old_applied;
    uint64_t folds;
    uint64_t patches; /* seen after maintaining */
};

static void must(struct err err)
{
    if (err.code)
        fail_msg("%s (%d)", err.what, err.code);
}

static void open_store(struct world *world)
{
    uint64_t position = 0;
    must(store_open_files(&world->config, &position, NULL, &world->store));
    assert_true(position <= world->applied);
    must(history_apply(&world->history, world->store, (uint32_t)position, world->applied));
}

static void compare(struct world *world, struct store_snapshot *snapshot, uint32_t count,
                    bool is_whole)
{
    struct model model;
    model_make(&world->history, count, &model);
    const char *wrong = is_whole ? model_compare(&model, snapshot, world->zone)
                                 : model_compare_slices(&model, snapshot, world->zone);
    if (wrong)
        fail_msg("differs: %s, after %u operations", wrong, count);
    model_done(&model);
}

static void check_now(struct world *world)
{
    struct store_snapshot *snapshot = NULL;
    must(world->store->ops->snapshot(world->store, &snapshot));
    compare(world, snapshot, world->applied, true);
    uint64_t living = 0;
    struct model model;
    model_make(&world->history, world->applied, &model);
    for (uint32_t i = 0; i < model.count; i++)
        living += !model.is_dead[model.events[i].user];
    model_done(&model);
    assert_int_equal(world->store->ops->stats(world->store).events, living);
    snapshot->ops->snapshot_free(snapshot);
}

static void swap_old(struct world *world)
{
    if (world->old) {
        compare(world, world->old, world->old_applied, false);
        world->old->ops->snapshot_free(world->old);
        world->old = NULL;
        return;
    }
    must(world->store->ops->snapshot(world->store, &world->old));
    world->old_applied = world->applied;
}

static void checkpoint(struct world *world)
{
    must(world->store->ops->checkpoint_begin(world->store, world->applied));
    if (rng_below(&world->history.rng, 2)) {
        /* The writer goes on while the checkpoint is written. */
        uint32_t from = world->applied;
        for (int i = 0; i < 10; i++)
            history_grow(&world->history);
        world->applied = world->history.count;
        must(history_apply(&world->history, world->store, from, world->applied));
    }
    must(world->store->ops->checkpoint_write(world->store, BYTES("words")));
}

static void maintain(struct world *world, uint32_t steps)
{
    bool did_work = true;
    while (steps-- > 0 && did_work) {
        must(world->store->ops->maintain(world->store, &did_work));
        world->folds += did_work;
    }
    world->patches += world->store->ops->stats(world->store).patches;
}

static void see_damage(void *ctx, const char *file, uint64_t offset, const char *what)
{
    (void)ctx;
    fail_msg("%s at %llu: %s", file, (unsigned long long)offset, what);
}

static void reopen(struct world *world)
{
    if (world->old) {
        world->old->ops->snapshot_free(world->old);
        world->old = NULL;
    }
    uint64_t events = 0;
    world->store->ops->close(world->store);
    must(store_check_files(world->config.disk, world->config.dir, true, see_damage, NULL, &events));
    open_store(world);
}

static void step(struct world *world)
{
    struct rng *rng = &world->history.rng;
    world->history.is_focused = rng_below(rng, 3) == 0;
    world->history.focus = (uint32_t)rng_below(rng, world->history.users);
    uint64_t grows =
        rng_below(rng, 2) && !world->history.is_focused ? rng_below(rng, 120) : rng_below(rng, 5);
    for (uint64_t i = 0; i < grows; i++)
        history_grow(&world->history);
    uint32_t from = world->applied;
    world->applied = world->history.count;
    must(history_apply(&world->history, world->store, from, world->applied));
    switch (rng_below(rng, 8)) {
    case 0:
        checkpoint(world);
        break;
    case 1:
        checkpoint(world);
        maintain(world, 30);
        break;
    case 2:
    case 3:
        maintain(world, 1 + (uint32_t)rng_below(rng, 20));
        break;
    case 4:
        reopen(world);
        break;
    case 5:
        swap_old(world);
        break;
    case 6:
        must(world->store->ops->seal(world->store));
        break;
    default:
        break;
    }
    if (rng_below(rng, 4) == 0)
        check_now(world);
}

static void run_history(uint64_t seed, uint64_t *folds, uint64_t *patches, uint64_t *operations)
{
    struct world world = { 0 };
    must(disk_sim_new(&world.sim));
    must(zone_fixed(19800, &world.zone));
    history_init(&world.history, seed);
    world.config = (struct store_files_config){
        .disk = disk_sim_disk(world.sim),
        .dir = "project",
        .shards = 1 + (uint32_t)(seed % 3),
        .zone = world.zone,
        .tail_events = 1 + (uint32_t)rng_below(&world.history.rng, 60),
        .cache_bytes = rng_below(&world.history.rng, 2) ? 1 : 0,
    };
    open_store(&world);
    for (int i = 0; i < STEPS; i++)
        step(&world);
    checkpoint(&world);
    reopen(&world);
    checkpoint(&world);
    maintain(&world, 1000);
    check_now(&world);
    *folds += world.folds;
    *patches += world.patches;
    *operations += world.history.count;
    if (world.old)
        world.old->ops->snapshot_free(world.old);
    world.store->ops->close(world.store);
    history_done(&world.history);
    zone_free(world.zone);
    disk_sim_free(world.sim);
}

static void every_physical_state_answers_as_the_model_does(void **state)
{
    (void)state;
    uint64_t folds = 0;
    uint64_t patches = 0;
    uint64_t operations = 0;
    const char *only = getenv("STORE_SEED");
    uint64_t first = only ? strtoull(only, NULL, 10) : 1;
    for (uint64_t seed = first; seed < first + (only ? 1 : HISTORIES); seed++) {
        print_message("history %llu\n", (unsigned long long)seed);
        run_history(seed, &folds, &patches, &operations);
    }
    print_message("%d histories, %llu operations, %llu steps of compaction, %llu patches\n",
                  HISTORIES, (unsigned long long)operations, (unsigned long long)folds,
                  (unsigned long long)patches);
    assert_true(folds > 0 && patches > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_physical_state_answers_as_the_model_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

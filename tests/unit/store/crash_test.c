/*
 * crash_test.c - a power cut at any write loses nothing that a checkpoint covered, and invents
 * nothing.
 *
 * A history with checkpoints, compaction, merges of users and reopenings runs on a simulated disk that
 * dies at its n-th change, for every n. Of what it leaves behind several versions are tried: all that
 * wasn't synced is lost, all is kept, or some of it, torn. Each must check without damage, open at the
 * position of a checkpoint not older than the last one that returned, hold exactly the state of that
 * position, and, after the log's rest is applied, the state of the end.
 */
#include "history.h"
#include "sys/disk_sim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { HISTORIES = 10, STEPS = 14, SEEDS = 4 };

enum deed { CHECKPOINT, MAINTAIN, REOPEN };

struct script {
    struct history history;
    enum deed deeds[STEPS];
    uint32_t until[STEPS]; /* operations applied before the deed */
    struct store_files_config config;
    struct zone *zone;
};

static void must(struct err err)
{
    if (err.code)
        fail_msg("%s (%d, %d)", err.what, err.code, err.os);
}

static void script_init(struct script *script, uint64_t seed)
{
    history_init(&script->history, seed * 7919 + 3);
    must(zone_fixed(-3600, &script->zone));
    for (uint32_t i = 0; i < STEPS; i++) {
        uint64_t grows = 4 + rng_below(&script->history.rng, i % 5 == 1 ? 4 : 24);
        while (grows-- > 0)
            history_grow(&script->history);
        script->until[i] = script->history.count;
        uint64_t dice = rng_below(&script->history.rng, 8);
        script->deeds[i] = dice < 4 ? CHECKPOINT : dice < 7 ? MAINTAIN : REOPEN;
    }
    script->config = (struct store_files_config){
        .dir = "project",
        .shards = 1 + (uint32_t)(seed % 2),
        .zone = script->zone,
        .tail_events = 8 + (uint32_t)rng_below(&script->history.rng, 40),
        .cache_bytes = 4096,
    };
}

static void script_done(struct script *script)
{
    history_done(&script->history);
    zone_free(script->zone);
}

static struct err open_at(const struct script *script, struct disk *disk, uint64_t *position_out,
                          struct buf *extra, struct store **out)
{
    struct store_files_config config = script->config;
    config.disk = disk;
    return store_open_files(&config, position_out, extra, out);
}

static struct err checkpoint(struct store *store, uint32_t position)
{
    char words[24];
    struct err err = store->ops->checkpoint_begin(store, position);
    if (err.code)
        return err;
    (void)snprintf(words, sizeof words, "%u", position);
    return store->ops->checkpoint_write(store, bytes_from(words));
}

static struct err maintain(struct store *store)
{
    bool did_work = true;
    struct err err = ok();
    for (int i = 0; i < 4 && did_work && !err.code; i++)
        err = store->ops->maintain(store, &did_work);
    return err;
}

/* Runs until the end or the cut; *covered_out: the position of the last checkpoint that returned. */
static void run(const struct script *script, struct disk *disk, uint32_t *covered_out)
{
    struct store *store = NULL;
    uint64_t position = 0;
    uint32_t applied = 0;
    *covered_out = 0;
    struct err err = open_at(script, disk, &position, NULL, &store);
    for (uint32_t i = 0; i < STEPS && !err.code; i++) {
        err = history_apply(&script->history, store, applied, script->until[i]);
        applied = script->until[i];
        if (err.code)
            break;
        if (script->deeds[i] == CHECKPOINT) {
            err = checkpoint(store, applied);
            if (!err.code)
                *covered_out = applied;
        } else if (script->deeds[i] == MAINTAIN) {
            err = maintain(store);
        } else {
            store->ops->close(store);
            store = NULL;
            err = open_at(script, disk, &position, NULL, &store);
            applied = (uint32_t)position;
        }
    }
    if (store)
        store->ops->close(store);
}

static void see_damage(void *ctx, const char *file, uint64_t offset, const char *what)
{
    (void)ctx;
    fail_msg("%s at %llu: %s", file, (unsigned long long)offset, what);
}

static void compare(const struct script *script, struct store *store, uint32_t count)
{
    struct store_snapshot *snapshot = NULL;
    struct model model;
    must(store->ops->snapshot(store, &snapshot));
    model_make(&script->history, count, &model);
    const char *wrong = model_compare_slices(&model, snapshot, script->zone);
    if (wrong)
        fail_msg("differs: %s, at %u", wrong, count);
    model_done(&model);
    snapshot->ops->snapshot_free(snapshot);
}

/* What the cut left must be whole. */
static void check_remains(const struct script *script, struct disk *disk, uint32_t covered)
{
    uint64_t position = 0;
    uint64_t events = 0;
    char words[24] = "";
    struct buf extra;
    struct store *store = NULL;
    must(store_check_files(disk, "project", true, see_damage, NULL, &events));
    buf_init(&extra, 1000);
    must(open_at(script, disk, &position, &extra, &store));
    assert_true(position >= covered && position <= script->history.count);
    if (position > 0)
        (void)snprintf(words, sizeof words, "%llu", (unsigned long long)position);
    assert_true(bytes_equal(buf_bytes(&extra), bytes_from(words)));
    assert_int_equal(store->ops->stats(store).events, events);
    compare(script, store, (uint32_t)position);
    must(history_apply(&script->history, store, (uint32_t)position, script->history.count));
    must(checkpoint(store, script->history.count));
    must(maintain(store));
    compare(script, store, script->history.count);
    store->ops->close(store);
    buf_done(&extra);
}

static uint64_t cut_everywhere(const struct script *script)
{
    uint64_t cuts = 0;
    for (uint64_t n = 1;; n++) {
        struct disk_sim *sim = NULL;
        uint32_t covered = 0;
        must(disk_sim_new(&sim));
        disk_sim_cut_after(sim, n);
        run(script, disk_sim_disk(sim), &covered);
        bool was_cut = disk_sim_is_cut(sim);
        for (uint64_t seed = 0; seed < SEEDS; seed++) {
            struct disk_sim *after = NULL;
            must(disk_sim_crash(sim, seed < 2 ? seed : n * SEEDS + seed, &after));
            check_remains(script, disk_sim_disk(after), covered);
            disk_sim_free(after);
            cuts++;
        }
        disk_sim_free(sim);
        if (!was_cut)
            return cuts;
    }
}

static void a_power_cut_at_any_write_loses_nothing_covered_and_invents_nothing(void **state)
{
    (void)state;
    uint64_t cuts = 0;
    const char *only = getenv("STORE_SEED");
    uint64_t first = only ? strtoull(only, NULL, 10) : 1;
    for (uint64_t seed = first; seed < first + (only ? 1 : HISTORIES); seed++) {
        struct script script;
        script_init(&script, seed);
        cuts += cut_everywhere(&script);
        script_done(&script);
        if (only)
            print_message("history %llu\n", (unsigned long long)seed);
    }
    print_message("%llu cuts\n", (unsigned long long)cuts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_power_cut_at_any_write_loses_nothing_covered_and_invents_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

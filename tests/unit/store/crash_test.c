/*
 * crash_test.c - a power cut at any write loses nothing that a checkpoint covered, and invents
 * nothing.
 *
 * Histories with flushes, checkpoints, compaction, folding, merges of users and reopenings run on a
 * simulated disk. Before each operation on it the power is cut, in a copy, and of what that leaves
 * many versions are tried: all that wasn't synced is lost, all is kept, or some of it, torn.
 *
 * What is left must check without damage, open at the position of a checkpoint not older than the last
 * one that returned, hold exactly the state of that position, and, after the log's rest is applied,
 * the state of the end. All of that follows from the manifest and the files that it names, since
 * opening removes all others: it's done once for each combination of these, and again for one in
 * SAMPLE cuts, with the left-overs as they are. Every cut is looked at for which combination it left.
 */
#include "codec/hash.h"
#include "history.h"
#include "store/cache.h"
#include "store/manifest.h"
#include "sys/disk_sim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum {
    HISTORIES = 56,
    STEPS = 14,
    SEEDS = 16,
    SAMPLE = 64,
    REMAINS_MAX = 4096,
    CUTS_LEAST = 200000
};

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

/* From the start to the end; *covered: the position of the last checkpoint that returned. */
static void run(const struct script *script, struct disk *disk, uint32_t *covered)
{
    struct store *store = NULL;
    uint64_t position = 0;
    uint32_t applied = 0;
    must(open_at(script, disk, &position, NULL, &store));
    for (uint32_t i = 0; i < STEPS; i++) {
        must(history_apply(&script->history, store, applied, script->until[i]));
        applied = script->until[i];
        if (script->deeds[i] == CHECKPOINT) {
            must(checkpoint(store, applied));
            *covered = applied;
        } else if (script->deeds[i] == MAINTAIN) {
            must(maintain(store));
        } else {
            store->ops->close(store);
            must(open_at(script, disk, &position, NULL, &store));
            applied = (uint32_t)position;
        }
    }
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

/* --- what a cut left ------------------------------------------------------------- */

/* A manifest and the files that it names. */
struct remains {
    uint64_t sum;
    uint64_t position;
};

struct cutter {
    const struct script *script;
    struct disk_sim *sim;
    uint32_t covered;
    uint64_t cuts;
    uint64_t checked;
    struct remains remains[REMAINS_MAX];
    uint32_t remains_count;
};

static uint64_t add_file(struct disk *disk, const char *path, uint64_t sum)
{
    struct buf bytes;
    buf_init(&bytes, 1 << 24);
    must(disk_read_file(disk, path, 1 << 24, &bytes));
    sum = xxh3_64(buf_bytes(&bytes), sum);
    buf_done(&bytes);
    return sum;
}

static uint64_t add_part(struct disk *disk, const struct part *part, uint64_t sum)
{
    char path[PART_NAME_MAX];
    if (!part)
        return sum;
    part_path(part->home, part->shard, part->month, part->number, path);
    return add_file(disk, path, sum);
}

static uint64_t add_view(struct disk *disk, const struct shard_view *view, uint64_t sum)
{
    for (uint32_t m = 0; m < view->month_count; m++) {
        const struct month_view *month = view->months[m];
        sum = add_part(disk, month->base, sum);
        sum = add_part(disk, month->patch, sum);
        for (uint32_t r = 0; r < month->run_count; r++)
            sum = add_part(disk, month->runs[r], sum);
    }
    return sum;
}

/* Without a manifest: nothing counts, and the position is 0. */
static struct remains read_remains(struct disk *disk)
{
    struct remains remains = { 0 };
    struct part_home home = { .disk = disk, .dir = "project", .is_closing = true };
    struct manifest *manifest = NULL;
    struct buf bytes;
    bool exists = false;
    must(disk_exists(disk, "project/" MANIFEST_NAME, &exists));
    if (!exists)
        return remains;
    must(cache_new(4096, &home.cache));
    buf_init(&bytes, 1 << 24);
    must(disk_read_file(disk, "project/" MANIFEST_NAME, 1 << 24, &bytes));
    must(manifest_parse(buf_bytes(&bytes), &home, &manifest));
    remains.sum = xxh3_64(buf_bytes(&bytes), 0);
    remains.position = manifest->position;
    for (uint32_t s = 0; s < manifest->shards; s++)
        remains.sum = add_view(disk, manifest->views[s], remains.sum);
    manifest_free(manifest);
    cache_free(home.cache);
    buf_done(&bytes);
    return remains;
}

/* False: such ones were seen before. */
static bool is_new(struct cutter *cutter, struct remains remains)
{
    for (uint32_t i = 0; i < cutter->remains_count; i++)
        if (cutter->remains[i].sum == remains.sum)
            return false;
    assert_true(cutter->remains_count < REMAINS_MAX);
    cutter->remains[cutter->remains_count++] = remains;
    return true;
}

/* Before an operation on the disk. */
static void cut(void *ctx)
{
    struct cutter *cutter = ctx;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct disk_sim *after = NULL;
        uint64_t mixed = seed < 2 ? seed : cutter->cuts + seed;
        must(disk_sim_crash(cutter->sim, mixed, &after));
        struct remains remains = read_remains(disk_sim_disk(after));
        assert_true(remains.position >= cutter->covered);
        if (is_new(cutter, remains) || cutter->cuts % SAMPLE == 0) {
            check_remains(cutter->script, disk_sim_disk(after), cutter->covered);
            cutter->checked++;
        }
        disk_sim_free(after);
        cutter->cuts++;
    }
}

static void cut_everywhere(const struct script *script, uint64_t *cuts, uint64_t *checked)
{
    struct cutter *cutter = calloc(1, sizeof *cutter);
    assert_non_null(cutter);
    cutter->script = script;
    must(disk_sim_new(&cutter->sim));
    disk_sim_watch(cutter->sim, cut, cutter);
    run(script, disk_sim_disk(cutter->sim), &cutter->covered);
    cut(cutter);
    disk_sim_free(cutter->sim);
    *cuts += cutter->cuts;
    *checked += cutter->checked;
    free(cutter);
}

static void a_power_cut_at_any_write_loses_nothing_covered_and_invents_nothing(void **state)
{
    (void)state;
    uint64_t cuts = 0;
    uint64_t checked = 0;
    const char *only = getenv("STORE_SEED");
    uint64_t first = only ? strtoull(only, NULL, 10) : 1;
    for (uint64_t seed = first; seed < first + (only ? 1 : HISTORIES); seed++) {
        struct script script;
        script_init(&script, seed);
        cut_everywhere(&script, &cuts, &checked);
        script_done(&script);
    }
    print_message("%llu cuts, %llu of them applied to the end\n", (unsigned long long)cuts,
                  (unsigned long long)checked);
    assert_true(only || cuts >= CUTS_LEAST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_power_cut_at_any_write_loses_nothing_covered_and_invents_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* levels_test.c - what compaction costs, and that it keeps up, counted in rows and files. */
#include "base/rng.h"
#include "store/store_internal.h"
#include "sys/disk_sim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { SHARDS = 2, TEN_YEARS = 120, FIRST_MONTH = 540, USERS = 4000 };

struct world {
    struct disk_sim *sim;
    struct zone *zone;
    struct store *store;
    struct rng rng;
    uint64_t seq;
    uint64_t last_number; /* parts above it are new */
    uint64_t written;     /* rows of files that were made */
};

static void must(struct err err)
{
    if (err.code)
        fail_msg("%s (%d, %d)", err.what, err.code, err.os);
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    rng_init(&w->rng, 11);
    must(disk_sim_new(&w->sim));
    must(zone_fixed(0, &w->zone));
    struct store_files_config config = {
        .dir = "p", .shards = SHARDS, .zone = w->zone, .disk = disk_sim_disk(w->sim)
    };
    uint64_t position = 0;
    must(store_open_files(&config, &position, NULL, &w->store));
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    w->store->ops->close(w->store);
    zone_free(w->zone);
    disk_sim_free(w->sim);
    free(w);
    return 0;
}

static void add(struct world *w, uint32_t user, int64_t time_ms)
{
    struct store_event event = {
        .user = user,
        .event = (uint32_t)rng_below(&w->rng, 3),
        .time_ms = time_ms,
        .seq = ++w->seq,
    };
    must(w->store->ops->append(w->store, &event, 1));
}

static uint64_t rows_if_new(const struct world *w, const struct part *part)
{
    return part && part->number >= w->last_number ? part->rows : 0;
}

/* Counts the rows of the files that were made since the last call. */
static void count_written(struct world *w)
{
    struct files_store *store = files_of(w->store);
    for (uint32_t s = 0; s < SHARDS; s++) {
        const struct shard_view *view = store->manifest->views[s];
        for (uint32_t m = 0; m < view->month_count; m++) {
            const struct month_view *month = view->months[m];
            w->written += rows_if_new(w, month->base) + rows_if_new(w, month->patch);
            for (uint32_t r = 0; r < month->run_count; r++)
                w->written += rows_if_new(w, month->runs[r]);
        }
    }
    w->last_number = store->next_number;
}

static void checkpoint(struct world *w)
{
    must(w->store->ops->checkpoint_begin(w->store, w->seq + 1));
    must(w->store->ops->checkpoint_write(w->store, BYTES("words")));
    count_written(w);
}

static bool maintain(struct world *w)
{
    bool did_work = false;
    must(w->store->ops->maintain(w->store, &did_work));
    count_written(w);
    return did_work;
}

static uint64_t count_events(struct world *w)
{
    struct store_snapshot *snapshot = NULL;
    struct arena arena;
    uint64_t events = 0;
    arena_init(&arena, 1 << 28);
    must(w->store->ops->snapshot(w->store, &snapshot));
    for (uint32_t s = 0; s < SHARDS; s++) {
        for (uint32_t event = 0; event < 3; event++) {
            const int32_t *months = NULL;
            uint32_t count = 0;
            must(snapshot->ops->months(snapshot, s, event, TIME_MS_MIN, TIME_MS_MAX, &arena,
                                       &months, &count));
            for (uint32_t m = 0; m < count; m++) {
                struct store_slice slice;
                must(snapshot->ops->slice_open(snapshot, s, months[m], event, &arena, &slice));
                events += slice.events;
            }
        }
    }
    snapshot->ops->snapshot_free(snapshot);
    arena_done(&arena);
    return events;
}

/* As the engine does it: compaction that is behind goes before a checkpoint. */
static void events_of_any_month_of_ten_years_never_leave_many_files(void **state)
{
    struct world *w = *state;
    const struct store_ops *ops = w->store->ops;
    uint32_t most = 0;
    for (int round = 0; round < 40; round++) {
        for (int i = 0; i < 700; i++) {
            int64_t month = (int64_t)rng_below(&w->rng, TEN_YEARS);
            add(w, (uint32_t)rng_below(&w->rng, USERS),
                civil_month_start_ms(FIRST_MONTH + (int32_t)month) + i);
        }
        while (ops->is_behind(w->store))
            assert_true(maintain(w));
        checkpoint(w);
        add(w, 1, civil_month_start_ms(FIRST_MONTH)); /* it isn't idle */
        uint32_t parts = ops->stats(w->store).parts;
        most = parts > most ? parts : most;
    }
    assert_true(most <= SHARDS * TEN_YEARS * 13);
    checkpoint(w);
    while (maintain(w)) {
    }
    struct store_stats stats = ops->stats(w->store);
    assert_int_equal(stats.parts - stats.patches, SHARDS * TEN_YEARS);
    assert_int_equal(count_events(w), 40 * 701);
}

/* A month that grows by equal runs: rows are written again for the tiers of runs and for the folds,
 * both of which grow with the logarithm of the month at most. */
static void a_growing_months_rows_are_written_a_few_times_each(void **state)
{
    struct world *w = *state;
    enum { ROUNDS = 256, EVENTS = 128 };
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < EVENTS; i++)
            add(w, (uint32_t)rng_below(&w->rng, USERS),
                civil_month_start_ms(FIRST_MONTH) + round * 1000 + i);
        checkpoint(w);
        add(w, 1, civil_month_start_ms(FIRST_MONTH) + round * 1000); /* it isn't idle */
        while (maintain(w)) {
        }
    }
    print_message("each row was written %.1f times\n", (double)w->written / (double)w->seq);
    assert_true(w->written < 9 * w->seq);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(events_of_any_month_of_ten_years_never_leave_many_files,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(a_growing_months_rows_are_written_a_few_times_each, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * thread_test.c - readers, the writer and the background at the same time.
 *
 * The writer appends events of users in turn and hands out snapshots; readers check that each holds
 * exactly what had been appended, while the background checkpoints and compacts without a pause. Run
 * under ThreadSanitizer too.
 */
#include "store/store.h"
#include "sys/disk_sim.h"
#include "sys/thread.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { READERS = 2, ROUNDS = 120, ROUND_EVENTS = 200, USERS = 97, SLOTS = 4 };
#define START INT64_C(1735689600000)

struct handed {
    struct store_snapshot *snapshot;
    uint64_t events;
};

struct shared {
    struct store *store;
    struct mutex lock; /* of the slots */
    struct cond changed;
    struct handed slots[SLOTS];
    uint32_t count;
    bool is_over;
    struct mutex writing; /* the engine's: checkpoint_begin against the writer */
    atomic_uint checked;
    atomic_uint wrong;
    uint64_t position;
};

static void must(struct err err)
{
    if (err.code) {
        (void)fprintf(stderr, "%s (%d)\n", err.what, (int)err.code);
        abort();
    }
}

static uint64_t count_events(struct store_snapshot *snapshot, struct arena *arena)
{
    const struct store_ops *ops = snapshot->ops;
    uint64_t events = 0;
    for (uint32_t s = 0; s < ops->shards(snapshot); s++) {
        const int32_t *months = NULL;
        uint32_t count = 0;
        must(ops->months(snapshot, s, 0, TIME_MS_MIN, TIME_MS_MAX, arena, &months, &count));
        for (uint32_t m = 0; m < count; m++) {
            struct store_slice slice;
            struct store_column column;
            bool has = false;
            must(ops->slice_open(snapshot, s, months[m], 0, arena, &slice));
            must(ops->slice_times(&slice));
            must(ops->slice_column(&slice, 1, VALUE_INT, &column, &has));
            for (uint32_t i = 0; i < slice.events; i++)
                events += column.integers[i] == slice.base_ms + slice.time[i];
        }
        arena_reset(arena);
    }
    return events;
}

static void *read_snapshots(void *ctx)
{
    struct shared *shared = ctx;
    struct arena arena;
    arena_init(&arena, 1 << 28);
    for (;;) {
        mutex_lock(&shared->lock);
        while (shared->count == 0 && !shared->is_over)
            cond_wait(&shared->changed, &shared->lock);
        if (shared->count == 0)
            break;
        struct handed handed = shared->slots[--shared->count];
        cond_broadcast(&shared->changed);
        mutex_unlock(&shared->lock);
        shared->wrong += count_events(handed.snapshot, &arena) != handed.events;
        shared->checked++;
        handed.snapshot->ops->snapshot_free(handed.snapshot);
    }
    mutex_unlock(&shared->lock);
    arena_done(&arena);
    return NULL;
}

static void *tidy(void *ctx)
{
    struct shared *shared = ctx;
    bool is_over = false;
    while (!is_over) {
        bool did_work = true;
        mutex_lock(&shared->writing);
        must(shared->store->ops->checkpoint_begin(shared->store, ++shared->position));
        mutex_unlock(&shared->writing);
        must(shared->store->ops->checkpoint_write(shared->store, BYTES("")));
        for (int i = 0; i < 20 && did_work; i++)
            must(shared->store->ops->maintain(shared->store, &did_work));
        (void)shared->store->ops->stats(shared->store);
        mutex_lock(&shared->lock);
        is_over = shared->is_over;
        mutex_unlock(&shared->lock);
    }
    return NULL;
}

/* Every tenth user is merged away, one after the other. */
static uint32_t survivor(uint64_t user, int merged_before)
{
    return user % 10 == 9 && user < (uint64_t)merged_before ? USERS + 1 : (uint32_t)user;
}

static void append(struct shared *shared, uint64_t *seq, int round)
{
    for (int i = 0; i < ROUND_EVENTS; i++) {
        int64_t time = START + (int64_t)(*seq * 977 % 4000000) * 1000;
        struct store_property property = { 1, value_int(time) };
        struct store_event event = {
            .user = survivor(*seq * 31 % USERS, round),
            .time_ms = time,
            .seq = ++*seq,
            .properties = &property,
            .property_count = 1,
        };
        must(shared->store->ops->append(shared->store, &event, 1));
    }
}

static void hand_out(struct shared *shared, uint64_t events)
{
    struct handed handed = { .events = events };
    must(shared->store->ops->snapshot(shared->store, &handed.snapshot));
    mutex_lock(&shared->lock);
    while (shared->count == SLOTS)
        cond_wait(&shared->changed, &shared->lock);
    shared->slots[shared->count++] = handed;
    cond_broadcast(&shared->changed);
    mutex_unlock(&shared->lock);
}

static void snapshots_are_whole_while_the_writer_and_the_background_go_on(void **state)
{
    (void)state;
    struct shared shared = { .position = 1 };
    struct disk_sim *sim = NULL;
    struct zone *zone = NULL;
    struct thread threads[READERS + 1];
    uint64_t position = 0;
    uint64_t seq = 0;
    must(disk_sim_new(&sim));
    must(zone_fixed(0, &zone));
    struct store_files_config config = { .disk = disk_sim_disk(sim),
                                         .dir = "p",
                                         .shards = 3,
                                         .zone = zone,
                                         .tail_events = 50,
                                         .cache_bytes = 20000 };
    must(store_open_files(&config, &position, NULL, &shared.store));
    mutex_init(&shared.lock);
    mutex_init(&shared.writing);
    cond_init(&shared.changed);
    for (int i = 0; i < READERS; i++)
        must(thread_start(&threads[i], "reader", read_snapshots, &shared));
    must(thread_start(&threads[READERS], "tidy", tidy, &shared));
    for (int round = 0; round < ROUNDS; round++) {
        mutex_lock(&shared.writing);
        append(&shared, &seq, round);
        hand_out(&shared, seq);
        if (round % 10 == 9)
            must(shared.store->ops->merge_user(shared.store, (uint32_t)round, USERS + 1));
        mutex_unlock(&shared.writing);
    }
    mutex_lock(&shared.lock);
    shared.is_over = true;
    cond_broadcast(&shared.changed);
    mutex_unlock(&shared.lock);
    for (int i = 0; i <= READERS; i++)
        thread_join(&threads[i]);
    assert_int_equal(shared.wrong, 0);
    assert_int_equal(shared.checked, ROUNDS);
    shared.store->ops->close(shared.store);
    cond_done(&shared.changed);
    mutex_done(&shared.lock);
    mutex_done(&shared.writing);
    zone_free(zone);
    disk_sim_free(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(snapshots_are_whole_while_the_writer_and_the_background_go_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

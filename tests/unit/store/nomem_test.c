/*
 * nomem_test.c - every allocation of a store's life fails once.
 *
 * The answer is ERR_NOMEM, nothing leaks, and what was there before still is: a store that isn't
 * broken by the failure holds exactly the events whose append returned without an error, and what is
 * on the disk checks and opens. The linker's --wrap puts the failures in.
 */
#include "store/store.h"
#include "sys/disk_sim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define START INT64_C(1735689600000)

enum { EVENTS = 36, USERS = 7 };

static size_t allocations_to_failure; /* 0: none fails */

static bool fails_now(void)
{
    return allocations_to_failure > 0 && --allocations_to_failure == 0;
}

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__real_realloc(void *ptr, size_t size);
void *__wrap_realloc(void *ptr, size_t size);

void *__wrap_malloc(size_t size)
{
    return fails_now() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails_now() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *ptr, size_t size)
{
    return fails_now() ? NULL : __real_realloc(ptr, size);
}

struct life {
    struct disk_sim *sim;
    struct zone *zone;
    struct store *store;
    uint64_t appended; /* events whose append returned */
};

static void must(struct err err)
{
    if (err.code)
        fail_msg("%s (%d, %d)", err.what, err.code, err.os);
}

static struct err open_store(struct life *life)
{
    uint64_t position = 0;
    struct store_files_config config = { .disk = disk_sim_disk(life->sim),
                                         .dir = "p",
                                         .shards = 2,
                                         .zone = life->zone,
                                         .tail_events = 5 };
    return store_open_files(&config, &position, NULL, &life->store);
}

static struct err append(struct life *life, uint32_t from, uint32_t to)
{
    struct bytes items[2] = { BYTES("red"), BYTES("green") };
    struct err err = ok();
    for (uint32_t i = from; i < to && !err.code; i++) {
        char text[40];
        (void)snprintf(text, sizeof text, "text %u", i);
        struct store_property properties[] = {
            { 1, value_int(i) },
            { 2, value_string(bytes_from(text)) },
            { 3, { .type = VALUE_LIST, .count = i % 3, .items = items } },
            { 4, value_real(i / 8.0) },
        };
        struct store_event event = { .user = i % USERS,
                                     .event = i % 2,
                                     .time_ms = START + (int64_t)(i * 37 % 50) * MS_PER_DAY,
                                     .seq = i + 1,
                                     .properties = properties,
                                     .property_count = 1 + i % 4 };
        err = life->store->ops->append(life->store, &event, 1);
        life->appended += !err.code;
    }
    return err;
}

static bool see(void *ctx, const struct store_user_event *event)
{
    *(uint64_t *)ctx += event->seq > 0;
    return true;
}

static struct err read_slice(struct store_snapshot *snapshot, uint32_t shard, int32_t month,
                             uint32_t event, struct arena *arena, uint64_t *events)
{
    const struct store_ops *ops = snapshot->ops;
    struct store_slice slice;
    struct store_column column;
    struct store_day_counts days;
    bool has = false;
    struct err err = ops->slice_open(snapshot, shard, month, event, arena, &slice);
    if (err.code)
        return err;
    *events += slice.events;
    err = ops->slice_times(&slice);
    if (!err.code)
        err = ops->slice_seqs(&slice);
    for (int type = 1; type < VALUE_TYPES && !err.code; type++)
        for (uint32_t property = 1; property < 5 && !err.code; property++)
            err = ops->slice_column(&slice, property, (enum value_type)type, &column, &has);
    if (!err.code)
        err = ops->day_counts(snapshot, shard, month, event, arena, &days, &has);
    return err;
}

static struct err read_all(struct store_snapshot *snapshot, struct arena *arena, uint64_t *events)
{
    const struct store_ops *ops = snapshot->ops;
    struct err err = ok();
    for (uint32_t s = 0; s < ops->shards(snapshot); s++) {
        for (uint32_t event = 0; event < 2; event++) {
            const int32_t *months = NULL;
            uint32_t count = 0;
            err = ops->months(snapshot, s, event, TIME_MS_MIN, TIME_MS_MAX, arena, &months, &count);
            for (uint32_t m = 0; m < count && !err.code; m++)
                err = read_slice(snapshot, s, months[m], event, arena, events);
            if (err.code)
                return err;
        }
    }
    uint64_t seen = 0;
    for (uint32_t user = 0; user < USERS && !err.code; user++)
        err =
            ops->user_events(snapshot, user, TIME_MS_MIN, TIME_MS_MAX, user % 2, arena, see, &seen);
    return err;
}

static struct err look(struct life *life, uint64_t *events)
{
    struct store_snapshot *snapshot = NULL;
    struct arena arena;
    struct err err = life->store->ops->snapshot(life->store, &snapshot);
    if (err.code)
        return err;
    arena_init(&arena, 1 << 26);
    *events = 0;
    err = read_all(snapshot, &arena, events);
    arena_done(&arena);
    snapshot->ops->snapshot_free(snapshot);
    return err;
}

static struct err checkpoint(struct life *life)
{
    struct err err = life->store->ops->checkpoint_begin(life->store, 1);
    return err.code ? err : life->store->ops->checkpoint_write(life->store, BYTES("words"));
}

static struct err maintain(struct life *life)
{
    bool did_work = true;
    struct err err = ok();
    while (did_work && !err.code)
        err = life->store->ops->maintain(life->store, &did_work);
    return err;
}

/* Everything that a store does, a little of each. */
static struct err live(struct life *life)
{
    uint64_t events = 0;
    struct err err = open_store(life);
    if (!err.code)
        err = append(life, 0, EVENTS / 2);
    if (!err.code)
        err = look(life, &events);
    if (!err.code)
        err = checkpoint(life);
    if (!err.code)
        err = append(life, EVENTS / 2, EVENTS);
    if (!err.code)
        err = life->store->ops->merge_user(life->store, 1, 2);
    if (!err.code)
        err = checkpoint(life);
    if (!err.code)
        err = maintain(life);
    if (!err.code)
        err = look(life, &events);
    return err;
}

static void see_damage(void *ctx, const char *file, uint64_t offset, const char *what)
{
    (void)ctx;
    fail_msg("%s at %llu: %s", file, (unsigned long long)offset, what);
}

/* After the failure: what is there must be right. */
static void check_rest(struct life *life)
{
    uint64_t events = 0;
    if (life->store) {
        struct err err = look(life, &events);
        if (!err.code)
            assert_int_equal(events, life->appended);
        else
            assert_int_equal(err.code, ERR_BROKEN);
        life->store->ops->close(life->store);
        life->store = NULL;
    }
    must(store_check_files(disk_sim_disk(life->sim), "p", true, see_damage, NULL, &events));
    must(open_store(life));
    life->store->ops->close(life->store);
}

static void each_allocation_may_fail(void **state)
{
    (void)state;
    size_t failures = 0;
    for (size_t n = 1;; n++) {
        struct life life = { 0 };
        must(disk_sim_new(&life.sim));
        must(zone_fixed(0, &life.zone));
        allocations_to_failure = n;
        struct err err = live(&life);
        bool is_over = allocations_to_failure > 0;
        allocations_to_failure = 0;
        if (err.code)
            assert_true(err.code == ERR_NOMEM);
        failures += err.code != 0;
        check_rest(&life);
        zone_free(life.zone);
        disk_sim_free(life.sim);
        if (is_over)
            break;
    }
    print_message("%zu failures\n", failures);
    assert_true(failures > 500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

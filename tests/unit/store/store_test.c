/* store_test.c - what store.h promises, one by one. */
#include "base/bits.h"
#include "history.h"
#include "store/store_internal.h"
#include "sys/disk_sim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define JANUARY  INT64_C(1735689600000) /* 2025-01-01 */
#define FEBRUARY (JANUARY + 31 * MS_PER_DAY)

enum { VIEWED, CHARGED, ITEMS };
enum { PRICE, CITY, TAGS };

struct fixture {
    struct disk_sim *sim;
    struct zone *zone;
    struct store_files_config config;
    struct store *store;
    struct arena arena;
    uint64_t position;
    uint64_t seq;
};

static void must(struct err err)
{
    if (err.code)
        fail_msg("%s (%d, %d)", err.what, err.code, err.os);
}

static void open_store(struct fixture *fx)
{
    fx->config.disk = disk_sim_disk(fx->sim);
    must(store_open_files(&fx->config, &fx->position, NULL, &fx->store));
}

static void close_store(struct fixture *fx)
{
    if (fx->store)
        fx->store->ops->close(fx->store);
    fx->store = NULL;
}

static int setup(void **state)
{
    struct fixture *fx = calloc(1, sizeof *fx);
    assert_non_null(fx);
    must(disk_sim_new(&fx->sim));
    must(zone_fixed(19800, &fx->zone));
    arena_init(&fx->arena, 1 << 28);
    fx->config = (struct store_files_config){ .dir = "p", .shards = 2, .zone = fx->zone };
    open_store(fx);
    *state = fx;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fx = *state;
    close_store(fx);
    arena_done(&fx->arena);
    zone_free(fx->zone);
    disk_sim_free(fx->sim);
    free(fx);
    return 0;
}

/* An event with a price and a city. */
static struct err try_add(struct fixture *fx, uint32_t user, uint32_t event, int64_t time_ms)
{
    struct store_property properties[2] = {
        { PRICE, value_real((double)(fx->seq % 100) / 4) },
        { CITY, value_string(fx->seq % 2 ? BYTES("Pune") : BYTES("Delhi")) },
    };
    struct store_event made = {
        .user = user,
        .event = event,
        .time_ms = time_ms,
        .seq = ++fx->seq,
        .properties = properties,
        .property_count = 2,
    };
    return fx->store->ops->append(fx->store, &made, 1);
}

static void add(struct fixture *fx, uint32_t user, uint32_t event, int64_t time_ms)
{
    must(try_add(fx, user, event, time_ms));
}

static struct store_snapshot *snap(struct fixture *fx)
{
    struct store_snapshot *snapshot = NULL;
    must(fx->store->ops->snapshot(fx->store, &snapshot));
    return snapshot;
}

static uint64_t count_in(struct fixture *fx, struct store_snapshot *snapshot, uint32_t event)
{
    const struct store_ops *ops = snapshot->ops;
    uint64_t events = 0;
    for (uint32_t s = 0; s < ops->shards(snapshot); s++) {
        const int32_t *months = NULL;
        uint32_t count = 0;
        must(
            ops->months(snapshot, s, event, TIME_MS_MIN, TIME_MS_MAX, &fx->arena, &months, &count));
        for (uint32_t m = 0; m < count; m++) {
            struct store_slice slice;
            must(ops->slice_open(snapshot, s, months[m], event, &fx->arena, &slice));
            events += slice.events;
        }
    }
    return events;
}

static uint64_t count_now(struct fixture *fx, uint32_t event)
{
    struct store_snapshot *snapshot = snap(fx);
    uint64_t events = count_in(fx, snapshot, event);
    snapshot->ops->snapshot_free(snapshot);
    return events;
}

static struct err try_checkpoint(struct fixture *fx)
{
    struct err err = fx->store->ops->checkpoint_begin(fx->store, fx->seq + 1);
    return err.code ? err : fx->store->ops->checkpoint_write(fx->store, BYTES("words"));
}

static void settle(struct fixture *fx)
{
    bool did_work = true;
    must(try_checkpoint(fx));
    while (did_work)
        must(fx->store->ops->maintain(fx->store, &did_work));
}

/* Names of the files in a shard's folder. */
static size_t count_files(struct fixture *fx, const char *dir)
{
    struct buf names;
    size_t count = 0;
    buf_init(&names, 1 << 20);
    must(disk_list(fx->config.disk, dir, &names, &count));
    buf_done(&names);
    return count;
}

static void first_file(struct fixture *fx, const char *dir, char *to, size_t size)
{
    struct buf names;
    size_t count = 0;
    buf_init(&names, 1 << 20);
    must(disk_list(fx->config.disk, dir, &names, &count));
    assert_true(count > 0);
    (void)snprintf(to, size, "%s/%s", dir, (const char *)names.ptr);
    buf_done(&names);
}

/* --- answers ------------------------------------------------------------------------ */

static void a_new_store_holds_nothing_and_replays_from_the_start(void **state)
{
    struct fixture *fx = *state;
    assert_int_equal(fx->position, 0);
    assert_int_equal(count_now(fx, VIEWED), 0);
    assert_int_equal(fx->store->ops->stats(fx->store).events, 0);
}

static void an_event_is_seen_by_the_next_snapshot_and_not_by_one_before(void **state)
{
    struct fixture *fx = *state;
    add(fx, 1, VIEWED, JANUARY);
    struct store_snapshot *before = snap(fx);
    add(fx, 1, VIEWED, JANUARY);
    assert_int_equal(count_in(fx, before, VIEWED), 1);
    assert_int_equal(count_now(fx, VIEWED), 2);
    before->ops->snapshot_free(before);
}

static void a_snapshot_outlives_compaction_and_its_files(void **state)
{
    struct fixture *fx = *state;
    for (uint32_t i = 0; i < 50; i++)
        add(fx, i, VIEWED, JANUARY + i);
    settle(fx);
    struct store_snapshot *before = snap(fx);
    for (uint32_t i = 0; i < 50; i++)
        add(fx, i, VIEWED, JANUARY + 100 + i);
    settle(fx);
    assert_int_equal(count_files(fx, "p/shard-000"), 2);
    assert_int_equal(count_in(fx, before, VIEWED), 50);
    before->ops->snapshot_free(before);
    assert_int_equal(count_files(fx, "p/shard-000"), 1);
    assert_int_equal(count_now(fx, VIEWED), 100);
}

struct seen {
    uint32_t count;
    uint32_t events[16];
    uint32_t origins[16];
    double prices[16];
};

static bool see(void *ctx, const struct store_user_event *event)
{
    struct seen *seen = ctx;
    assert_true(seen->count < 16);
    seen->events[seen->count] = event->event;
    seen->origins[seen->count] = event->origin;
    if (event->property_count > 0 && event->properties[0].value.type == VALUE_REAL)
        seen->prices[seen->count] = event->properties[0].value.real;
    seen->count++;
    return true;
}

static struct seen timeline(struct fixture *fx, uint32_t user, bool is_backwards)
{
    struct seen seen = { 0 };
    struct store_snapshot *snapshot = snap(fx);
    must(snapshot->ops->user_events(snapshot, user, TIME_MS_MIN, TIME_MS_MAX, is_backwards,
                                    &fx->arena, see, &seen));
    snapshot->ops->snapshot_free(snapshot);
    return seen;
}

static void a_merged_users_events_are_the_survivors_and_keep_their_origin(void **state)
{
    struct fixture *fx = *state;
    add(fx, 4, VIEWED, JANUARY + 10);
    add(fx, 7, CHARGED, JANUARY + 5);
    settle(fx);
    add(fx, 4, CHARGED, JANUARY + 20);
    must(fx->store->ops->merge_user(fx->store, 4, 7));
    struct seen seen = timeline(fx, 7, false);
    assert_int_equal(seen.count, 3);
    assert_int_equal(seen.events[0], CHARGED);
    assert_int_equal(seen.events[1], VIEWED);
    assert_int_equal(seen.origins[0], 7);
    assert_int_equal(seen.origins[1], 4);
    assert_int_equal(seen.origins[2], 4);
    assert_int_equal(timeline(fx, 4, false).count, 0);
    assert_int_equal(fx->store->ops->stats(fx->store).events, 3);
}

static void merging_somebody_who_is_merged_already_changes_nothing(void **state)
{
    struct fixture *fx = *state;
    add(fx, 4, VIEWED, JANUARY);
    must(fx->store->ops->merge_user(fx->store, 4, 7));
    must(fx->store->ops->merge_user(fx->store, 4, 9));
    assert_int_equal(timeline(fx, 7, false).count, 1);
    assert_int_equal(timeline(fx, 9, false).count, 0);
}

static void a_masked_user_is_gone_from_every_answer(void **state)
{
    struct fixture *fx = *state;
    for (uint32_t i = 0; i < 6; i++)
        add(fx, i, VIEWED, JANUARY + i);
    settle(fx);
    must(fx->store->ops->mask_user(fx->store, 2, true));
    add(fx, 2, VIEWED, JANUARY + 100);
    assert_int_equal(count_now(fx, VIEWED), 5);
    assert_int_equal(timeline(fx, 2, false).count, 0);
    assert_int_equal(fx->store->ops->stats(fx->store).events, 5);
    settle(fx);
    close_store(fx);
    open_store(fx);
    assert_int_equal(count_now(fx, VIEWED), 5);
}

static void an_erased_users_rows_leave_the_files(void **state)
{
    struct fixture *fx = *state;
    struct store_property secret = { CITY, value_string(BYTES("a very secret place")) };
    struct store_event event = { .user = 2,
                                 .event = VIEWED,
                                 .time_ms = JANUARY,
                                 .seq = ++fx->seq,
                                 .properties = &secret,
                                 .property_count = 1 };
    must(fx->store->ops->append(fx->store, &event, 1));
    for (uint32_t i = 0; i < 400; i++)
        add(fx, i * 2 + 4, VIEWED, JANUARY);
    settle(fx);
    must(fx->store->ops->mask_user(fx->store, 2, true));
    settle(fx);
    char path[256];
    struct buf bytes;
    buf_init(&bytes, 1 << 20);
    first_file(fx, "p/shard-000", path, sizeof path);
    assert_int_equal(count_files(fx, "p/shard-000"), 1);
    must(disk_read_file(fx->config.disk, path, 1 << 20, &bytes));
    assert_null(memmem(bytes.ptr, bytes.len, "a very secret place", 19));
    buf_done(&bytes);
}

static void items_follow_their_event_in_either_direction(void **state)
{
    struct fixture *fx = *state;
    add(fx, 3, VIEWED, JANUARY);
    struct store_event order[3] = {
        { .user = 3, .event = CHARGED, .time_ms = JANUARY + 1, .seq = 50 },
        { .user = 3, .event = ITEMS, .time_ms = JANUARY + 1, .seq = 50 },
        { .user = 3, .event = ITEMS, .time_ms = JANUARY + 1, .seq = 50 },
    };
    must(fx->store->ops->append(fx->store, order, 3));
    fx->seq = 60;
    add(fx, 3, VIEWED, JANUARY + 2);
    for (int is_settled = 0; is_settled < 2; is_settled++) {
        struct seen forwards = timeline(fx, 3, false);
        struct seen backwards = timeline(fx, 3, true);
        static const uint32_t there[] = { VIEWED, CHARGED, ITEMS, ITEMS, VIEWED };
        assert_memory_equal(forwards.events, there, sizeof there);
        assert_memory_equal(backwards.events, there, sizeof there);
        settle(fx);
    }
}

static void a_time_range_of_a_timeline_is_half_open(void **state)
{
    struct fixture *fx = *state;
    struct seen seen = { 0 };
    for (int i = 0; i < 10; i++)
        add(fx, 1, VIEWED, FEBRUARY - 5 + i);
    struct store_snapshot *snapshot = snap(fx);
    must(snapshot->ops->user_events(snapshot, 1, FEBRUARY - 2, FEBRUARY + 2, false, &fx->arena, see,
                                    &seen));
    assert_int_equal(seen.count, 4);
    snapshot->ops->snapshot_free(snapshot);
}

struct walk {
    uint64_t seq;
    uint32_t count;
    uint32_t stop;
    bool is_backwards;
};

static bool follow(void *ctx, const struct store_user_event *event)
{
    struct walk *walk = ctx;
    assert_true(walk->is_backwards ? event->seq == walk->seq - 1 : event->seq == walk->seq + 1);
    walk->seq = event->seq;
    assert_int_equal(event->property_count, 1 + event->seq % 2);
    assert_true(event->properties[0].value.integer == (int64_t)event->seq * 3);
    if (event->seq % 2) {
        char wanted[40];
        (void)snprintf(wanted, sizeof wanted, "text of %llu", (unsigned long long)event->seq);
        assert_true(bytes_equal(event->properties[1].value.string, bytes_from(wanted)));
    }
    return ++walk->count < walk->stop;
}

static void a_user_with_very_many_events_is_read_in_both_directions(void **state)
{
    struct fixture *fx = *state;
    char text[40];
    for (uint32_t i = 0; i < 20000; i++) {
        (void)snprintf(text, sizeof text, "text of %u", i + 1);
        struct store_property properties[2] = {
            { PRICE, value_int((int64_t)(i + 1) * 3) },
            { CITY, value_string(bytes_from(text)) },
        };
        struct store_event event = { .user = 4,
                                     .event = i % 3,
                                     .time_ms = JANUARY + i,
                                     .seq = ++fx->seq,
                                     .properties = properties,
                                     .property_count = 1 + fx->seq % 2 };
        must(fx->store->ops->append(fx->store, &event, 1));
    }
    settle(fx);
    struct store_snapshot *snapshot = snap(fx);
    struct walk there = { .stop = UINT32_MAX };
    must(snapshot->ops->user_events(snapshot, 4, TIME_MS_MIN, TIME_MS_MAX, false, &fx->arena,
                                    follow, &there));
    assert_int_equal(there.count, 20000);
    struct walk back = { .seq = 20001, .stop = 5000, .is_backwards = true };
    must(snapshot->ops->user_events(snapshot, 4, TIME_MS_MIN, TIME_MS_MAX, true, &fx->arena, follow,
                                    &back));
    assert_int_equal(back.count, 5000);
    snapshot->ops->snapshot_free(snapshot);
}

static void day_counts_are_those_of_the_stores_zone(void **state)
{
    struct fixture *fx = *state;
    struct store_day_counts days;
    bool has = false;
    /* 18:30 UTC is midnight here. */
    int64_t midnight = JANUARY + 2 * MS_PER_DAY - 19800000;
    add(fx, 2, VIEWED, midnight - 1);
    add(fx, 2, VIEWED, midnight);
    add(fx, 4, VIEWED, midnight);
    add(fx, 4, VIEWED, midnight + 1);
    settle(fx);
    struct store_snapshot *snapshot = snap(fx);
    int32_t month = civil_month_of_ms(JANUARY);
    must(snapshot->ops->day_counts(snapshot, 0, month, VIEWED, &fx->arena, &days, &has));
    assert_true(has);
    uint32_t day = (uint32_t)(zone_day(fx->zone, midnight) - days.first_day);
    assert_int_equal(days.events[day - 1], 1);
    assert_int_equal(days.users[day - 1], 1);
    assert_int_equal(days.events[day], 3);
    assert_int_equal(days.users[day], 2);
    must(snapshot->ops->day_counts(snapshot, 0, month, CHARGED, &fx->arena, &days, &has));
    assert_false(has);
    snapshot->ops->snapshot_free(snapshot);
    must(fx->store->ops->mask_user(fx->store, 4, false));
    snapshot = snap(fx);
    must(snapshot->ops->day_counts(snapshot, 0, month, VIEWED, &fx->arena, &days, &has));
    assert_false(has);
    snapshot->ops->snapshot_free(snapshot);
}

static void months_name_what_holds_events_in_the_range(void **state)
{
    struct fixture *fx = *state;
    const int32_t *months = NULL;
    uint32_t count = 0;
    add(fx, 0, VIEWED, JANUARY + 5);
    add(fx, 0, CHARGED, FEBRUARY + 5);
    add(fx, 0, VIEWED, FEBRUARY + 7);
    struct store_snapshot *snapshot = snap(fx);
    must(snapshot->ops->months(snapshot, 0, VIEWED, JANUARY, FEBRUARY + 8, &fx->arena, &months,
                               &count));
    assert_int_equal(count, 2);
    assert_true(months[0] + 1 == months[1]);
    must(snapshot->ops->months(snapshot, 0, VIEWED, JANUARY, FEBRUARY + 7, &fx->arena, &months,
                               &count));
    assert_int_equal(count, 1);
    must(snapshot->ops->months(snapshot, 0, CHARGED, TIME_MS_MIN, TIME_MS_MAX, &fx->arena, &months,
                               &count));
    assert_int_equal(count, 1);
    snapshot->ops->snapshot_free(snapshot);
}

static void a_number_out_of_range_is_refused_and_changes_nothing(void **state)
{
    struct fixture *fx = *state;
    add(fx, 1, VIEWED, JANUARY);
    assert_int_equal(try_add(fx, 1, 1u << 20, JANUARY).code, ERR_INVALID);
    assert_int_equal(try_add(fx, UINT32_MAX, VIEWED, JANUARY).code, ERR_INVALID);
    assert_int_equal(try_add(fx, 1, VIEWED, TIME_MS_MAX + 1).code, ERR_INVALID);
    struct store_property property = { 0, { .type = VALUE_TYPES } };
    struct store_event event = { .user = 1,
                                 .time_ms = JANUARY,
                                 .seq = ++fx->seq,
                                 .properties = &property,
                                 .property_count = 1 };
    assert_int_equal(fx->store->ops->append(fx->store, &event, 1).code, ERR_INVALID);
    assert_int_equal(count_now(fx, VIEWED), 1);
    assert_int_equal(fx->store->ops->stats(fx->store).events, 1);
}

/* --- durability --------------------------------------------------------------------------- */

static void a_checkpoint_brings_back_its_position_and_words(void **state)
{
    struct fixture *fx = *state;
    struct buf extra;
    for (uint32_t i = 0; i < 20; i++)
        add(fx, i, VIEWED, JANUARY + i);
    must(try_checkpoint(fx));
    add(fx, 1, VIEWED, JANUARY);
    close_store(fx);
    buf_init(&extra, 100);
    must(store_open_files(&fx->config, &fx->position, &extra, &fx->store));
    assert_int_equal(fx->position, 21);
    assert_true(bytes_equal(buf_bytes(&extra), BYTES("words")));
    assert_int_equal(count_now(fx, VIEWED), 20);
    assert_int_equal(fx->store->ops->stats(fx->store).position, 21);
    buf_done(&extra);
}

static void a_full_disk_refuses_a_checkpoint_and_the_next_one_works(void **state)
{
    struct fixture *fx = *state;
    for (uint32_t i = 0; i < 2000; i++)
        add(fx, i % 50, VIEWED, JANUARY + i);
    must(try_checkpoint(fx));
    for (uint32_t i = 0; i < 2000; i++)
        add(fx, i % 50, CHARGED, JANUARY + i);
    disk_sim_set_capacity(fx->sim, 30000);
    assert_int_equal(try_checkpoint(fx).code, ERR_FULL);
    assert_int_equal(count_now(fx, CHARGED), 2000);
    add(fx, 1, CHARGED, JANUARY);
    assert_int_equal(try_checkpoint(fx).code, ERR_FULL);
    disk_sim_set_capacity(fx->sim, DISK_SIM_CAPACITY);
    settle(fx);
    assert_int_equal(count_files(fx, "p/shard-000"), 1);
    close_store(fx);
    open_store(fx);
    assert_int_equal(count_now(fx, CHARGED), 2001);
    assert_int_equal(count_now(fx, VIEWED), 2000);
}

static void a_full_disk_stops_compaction_and_nothing_is_lost(void **state)
{
    struct fixture *fx = *state;
    bool did_work = false;
    for (int round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < 2000; i++)
            add(fx, i % 50, VIEWED, JANUARY + i);
        must(try_checkpoint(fx));
    }
    disk_sim_set_capacity(fx->sim, 1);
    assert_int_equal(fx->store->ops->maintain(fx->store, &did_work).code, ERR_FULL);
    assert_int_equal(count_now(fx, VIEWED), 6000);
    disk_sim_set_capacity(fx->sim, DISK_SIM_CAPACITY);
    settle(fx);
    assert_int_equal(count_now(fx, VIEWED), 6000);
}

static void after_a_failed_sync_of_the_manifest_only_reading_goes_on(void **state)
{
    struct fixture *fx = *state;
    add(fx, 2, VIEWED, JANUARY);
    /* The part, its folder, the manifest aside, and then the folder of the rename. */
    disk_sim_fail_sync(fx->sim, 4);
    assert_int_equal(try_checkpoint(fx).code, ERR_OS);
    assert_int_equal(try_checkpoint(fx).code, ERR_BROKEN);
    assert_int_equal(try_add(fx, 2, VIEWED, JANUARY).code, ERR_BROKEN);
}

static void files_that_nobody_names_are_removed_at_opening(void **state)
{
    struct fixture *fx = *state;
    struct disk_file *file = NULL;
    add(fx, 2, VIEWED, JANUARY);
    settle(fx);
    close_store(fx);
    must(disk_open(fx->config.disk, "p/shard-000/2025-01-00000000000000ff.part", DISK_CREATE,
                   &file));
    file_close(file);
    must(disk_open(fx->config.disk, "p/shard-000/somebody-elses.txt", DISK_CREATE, &file));
    file_close(file);
    assert_int_equal(count_files(fx, "p/shard-000"), 3);
    open_store(fx);
    assert_int_equal(count_files(fx, "p/shard-000"), 2);
    assert_int_equal(count_now(fx, VIEWED), 1);
}

static void a_part_that_is_missing_is_an_error_of_opening(void **state)
{
    struct fixture *fx = *state;
    char path[256];
    add(fx, 2, VIEWED, JANUARY);
    settle(fx);
    close_store(fx);
    first_file(fx, "p/shard-000", path, sizeof path);
    must(disk_remove(fx->config.disk, path));
    assert_int_equal(store_open_files(&fx->config, &fx->position, NULL, &fx->store).code,
                     ERR_CORRUPT);
}

static void overwrite(struct fixture *fx, const char *path, uint64_t offset, uint8_t flip)
{
    struct disk_file *file = NULL;
    uint8_t byte = 0;
    must(disk_open(fx->config.disk, path, DISK_WRITE, &file));
    must(file_read(file, offset, &byte, 1));
    byte ^= flip;
    must(file_write(file, offset, bytes_of(&byte, 1)));
    file_close(file);
}

static void opening_reads_no_part(void **state)
{
    struct fixture *fx = *state;
    char path[256];
    add(fx, 2, VIEWED, JANUARY);
    settle(fx);
    close_store(fx);
    first_file(fx, "p/shard-000", path, sizeof path);
    overwrite(fx, path, 0, 0xff);
    open_store(fx);
    struct store_snapshot *snapshot = snap(fx);
    struct store_slice slice;
    int32_t month = civil_month_of_ms(JANUARY);
    assert_int_equal(snapshot->ops->slice_open(snapshot, 0, month, VIEWED, &fx->arena, &slice).code,
                     ERR_CORRUPT);
    assert_int_equal(snapshot->ops->slice_open(snapshot, 1, month, VIEWED, &fx->arena, &slice).code,
                     ERR_NONE);
    snapshot->ops->snapshot_free(snapshot);
}

struct damage {
    uint32_t count;
    char file[300];
};

static void note_damage(void *ctx, const char *file, uint64_t offset, const char *what)
{
    struct damage *damage = ctx;
    (void)offset;
    assert_non_null(what);
    damage->count++;
    (void)snprintf(damage->file, sizeof damage->file, "%s", file);
}

static void every_flipped_bit_of_a_part_and_of_the_manifest_is_found_by_check(void **state)
{
    struct fixture *fx = *state;
    char part[256];
    uint64_t events = 0;
    for (uint32_t i = 0; i < 300; i++)
        add(fx, i % 40 * 2, i % 2 ? VIEWED : CHARGED, JANUARY + i * 1000);
    settle(fx);
    close_store(fx);
    first_file(fx, "p/shard-000", part, sizeof part);
    const char *paths[] = { part, "p/MANIFEST" };
    for (int p = 0; p < 2; p++) {
        struct disk_file *file = NULL;
        uint64_t size = 0;
        must(disk_open(fx->config.disk, paths[p], DISK_READ, &file));
        must(file_size(file, &size));
        file_close(file);
        for (uint64_t at = 0; at < size; at += at < 256 ? 1 : 7) {
            struct damage damage = { 0 };
            overwrite(fx, paths[p], at, (uint8_t)(1u << at % 8));
            must(store_check_files(fx->config.disk, "p", false, note_damage, &damage, &events));
            overwrite(fx, paths[p], at, (uint8_t)(1u << at % 8));
            if (damage.count == 0)
                fail_msg("%s: byte %llu", paths[p], (unsigned long long)at);
            assert_string_equal(damage.file, paths[p]);
        }
    }
    struct damage none = { 0 };
    must(store_check_files(fx->config.disk, "p", true, note_damage, &none, &events));
    assert_int_equal(none.count, 0);
    assert_int_equal(events, 300);
    fx->config.disk = disk_sim_disk(fx->sim);
}

/* --- levels ----------------------------------------------------------------------------------- */

static void late_events_of_a_few_users_become_a_patch_and_many_are_folded(void **state)
{
    struct fixture *fx = *state;
    for (uint32_t i = 0; i < 4000; i++)
        add(fx, i % 500, VIEWED, JANUARY + i);
    settle(fx);
    assert_int_equal(fx->store->ops->stats(fx->store).patches, 0);
    add(fx, 6, VIEWED, JANUARY + 3);
    settle(fx);
    struct store_stats stats = fx->store->ops->stats(fx->store);
    assert_int_equal(stats.patches, 1);
    assert_int_equal(stats.parts, 3);
    assert_int_equal(count_now(fx, VIEWED), 4001);
    assert_int_equal(timeline(fx, 6, false).count, 9);
    /* A second patch takes in the first. */
    add(fx, 8, VIEWED, JANUARY + 3);
    settle(fx);
    stats = fx->store->ops->stats(fx->store);
    assert_int_equal(stats.patches, 1);
    assert_int_equal(stats.parts, 3);
    assert_int_equal(count_now(fx, VIEWED), 4002);
    assert_int_equal(timeline(fx, 6, false).count, 9);
    assert_int_equal(timeline(fx, 8, false).count, 9);
    for (uint32_t i = 0; i < 200; i++)
        add(fx, i * 2, CHARGED, JANUARY + 3);
    settle(fx);
    stats = fx->store->ops->stats(fx->store);
    assert_int_equal(stats.patches, 0);
    assert_int_equal(stats.parts, 2);
    assert_int_equal(count_now(fx, VIEWED), 4002);
    assert_int_equal(count_now(fx, CHARGED), 200);
}

static void months_past_the_retention_go_but_not_for_a_stray_date(void **state)
{
    struct fixture *fx = *state;
    close_store(fx);
    fx->config.retention_months = 3;
    open_store(fx);
    for (int month = 0; month < 6; month++)
        for (uint32_t i = 0; i < 2000; i++)
            add(fx, i % 100, VIEWED, civil_month_start_ms(660 + month) + i);
    add(fx, 1, VIEWED, civil_month_start_ms(900));
    settle(fx);
    assert_int_equal(count_now(fx, VIEWED), 6001);
    assert_int_equal(fx->store->ops->stats(fx->store).events, 6001);
    close_store(fx);
    open_store(fx);
    assert_int_equal(count_now(fx, VIEWED), 6001);
    assert_int_equal(fx->store->ops->stats(fx->store).events, 6001);
}

/* Three months at rest, and three more in files that will make them go at the next step. */
static void make_months_to_expire(struct fixture *fx)
{
    close_store(fx);
    fx->config.retention_months = 3;
    open_store(fx);
    for (int month = 0; month < 6; month++) {
        for (uint32_t i = 0; i < 2000; i++)
            add(fx, i % 100, VIEWED, civil_month_start_ms(660 + month) + i);
        if (month == 2)
            settle(fx);
    }
    must(try_checkpoint(fx));
}

static void assert_counts_agree(struct fixture *fx, uint64_t events)
{
    for (int round = 0; round < 2; round++) {
        assert_int_equal(count_now(fx, VIEWED), events);
        assert_int_equal(fx->store->ops->stats(fx->store).events, events);
        close_store(fx);
        open_store(fx);
    }
}

static void events_of_a_masked_user_that_expire_are_subtracted_once(void **state)
{
    struct fixture *fx = *state;
    bool did_work = false;
    make_months_to_expire(fx);
    must(fx->store->ops->mask_user(fx->store, 7, true));
    must(fx->store->ops->maintain(fx->store, &did_work));
    assert_true(did_work);
    assert_int_equal(fx->store->ops->stats(fx->store).events, 6000 - 60);
    settle(fx);
    assert_counts_agree(fx, 6000 - 60);
}

static void months_that_expire_beside_a_checkpoint_are_not_counted_by_it(void **state)
{
    struct fixture *fx = *state;
    bool did_work = false;
    make_months_to_expire(fx);
    must(fx->store->ops->mask_user(fx->store, 7, true));
    add(fx, 1, VIEWED, civil_month_start_ms(665));
    must(fx->store->ops->checkpoint_begin(fx->store, fx->seq + 1));
    must(fx->store->ops->mask_user(fx->store, 8, true));
    must(fx->store->ops->maintain(fx->store, &did_work));
    assert_true(did_work);
    must(fx->store->ops->checkpoint_write(fx->store, BYTES("words")));
    assert_int_equal(fx->store->ops->stats(fx->store).events, 6001 - 120);
    close_store(fx);
    open_store(fx);
    assert_counts_agree(fx, 6001 - 60); /* the second is masked again by the log */
}

static void a_full_memory_asks_for_a_flush_until_a_checkpoint_is_written(void **state)
{
    struct fixture *fx = *state;
    close_store(fx);
    fx->config.flush_events = 100;
    fx->config.tail_events = 30;
    open_store(fx);
    for (uint32_t i = 0; i < 99; i++)
        add(fx, 2, VIEWED, JANUARY + i);
    assert_false(fx->store->ops->wants_flush(fx->store));
    add(fx, 2, VIEWED, JANUARY);
    assert_true(fx->store->ops->wants_flush(fx->store));
    /* What is about to be written doesn't count. */
    must(fx->store->ops->checkpoint_begin(fx->store, 100));
    assert_false(fx->store->ops->wants_flush(fx->store));
    must(try_checkpoint(fx));
    assert_false(fx->store->ops->wants_flush(fx->store));
    assert_int_equal(fx->store->ops->stats(fx->store).memory_events, 0);
}

static void what_is_read_is_counted(void **state)
{
    struct fixture *fx = *state;
    struct store_slice slice;
    for (uint32_t i = 0; i < 100; i++)
        add(fx, 2, VIEWED, JANUARY + i);
    settle(fx);
    struct store_snapshot *snapshot = snap(fx);
    must(snapshot->ops->slice_open(snapshot, 0, civil_month_of_ms(JANUARY), VIEWED, &fx->arena,
                                   &slice));
    struct store_read_stats before = snapshot->ops->read_stats(snapshot);
    must(snapshot->ops->slice_times(&slice));
    struct store_read_stats after = snapshot->ops->read_stats(snapshot);
    assert_int_equal(before.rows, 100);
    assert_int_equal(after.rows, 100);
    assert_true(before.bytes > 0 && after.bytes > before.bytes);
    snapshot->ops->snapshot_free(snapshot);
}

#define promise(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        promise(a_new_store_holds_nothing_and_replays_from_the_start),
        promise(an_event_is_seen_by_the_next_snapshot_and_not_by_one_before),
        promise(a_snapshot_outlives_compaction_and_its_files),
        promise(a_merged_users_events_are_the_survivors_and_keep_their_origin),
        promise(merging_somebody_who_is_merged_already_changes_nothing),
        promise(a_masked_user_is_gone_from_every_answer),
        promise(an_erased_users_rows_leave_the_files),
        promise(items_follow_their_event_in_either_direction),
        promise(a_time_range_of_a_timeline_is_half_open),
        promise(a_user_with_very_many_events_is_read_in_both_directions),
        promise(day_counts_are_those_of_the_stores_zone),
        promise(months_name_what_holds_events_in_the_range),
        promise(a_number_out_of_range_is_refused_and_changes_nothing),
        promise(a_checkpoint_brings_back_its_position_and_words),
        promise(a_full_disk_refuses_a_checkpoint_and_the_next_one_works),
        promise(a_full_disk_stops_compaction_and_nothing_is_lost),
        promise(after_a_failed_sync_of_the_manifest_only_reading_goes_on),
        promise(files_that_nobody_names_are_removed_at_opening),
        promise(a_part_that_is_missing_is_an_error_of_opening),
        promise(opening_reads_no_part),
        promise(every_flipped_bit_of_a_part_and_of_the_manifest_is_found_by_check),
        promise(late_events_of_a_few_users_become_a_patch_and_many_are_folded),
        promise(months_past_the_retention_go_but_not_for_a_stray_date),
        promise(events_of_a_masked_user_that_expire_are_subtracted_once),
        promise(months_that_expire_beside_a_checkpoint_are_not_counted_by_it),
        promise(a_full_memory_asks_for_a_flush_until_a_checkpoint_is_written),
        promise(what_is_read_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

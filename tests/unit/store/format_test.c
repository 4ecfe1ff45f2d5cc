/*
 * format_test.c - a store in the first format stays readable.
 *
 * The folder format-1/ was written by the first version. It's copied onto a simulated disk and must
 * check, open, and answer as when it was written. Never write it anew: a later format gets a folder of
 * its own. (It was made with `store_format_test FOLDER write`.)
 */
#include "store/store.h"
#include "sys/disk_sim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define START INT64_C(1735689600000)

enum { EVENTS = 400, USERS = 101, SHARDS = 2 };

static const char *folder;

static void must(struct err err)
{
    if (err.code) {
        (void)fprintf(stderr, "%s (%d, %d)\n", err.what, (int)err.code, err.os);
        abort();
    }
}

static void make_event(uint32_t i, struct store_property *properties, struct bytes *items,
                       char *text, struct store_event *event)
{
    (void)snprintf(text, 40, "text %u", i % 17);
    items[0] = BYTES("red");
    items[1] = BYTES("green");
    properties[0] = (struct store_property){ 3, value_int((int64_t)i * 1001 - 5) };
    properties[1] = (struct store_property){ 1, value_real(i / 4.0) };
    properties[2] = (struct store_property){ 2, value_string(bytes_from(text)) };
    properties[3] = (struct store_property){ 4, value_bool(i % 3 == 0) };
    properties[4] = (struct store_property){ 5, value_time(START + i) };
    properties[5] =
        (struct store_property){ 6, { .type = VALUE_LIST, .count = i % 3, .items = items } };
    *event = (struct store_event){
        .user = i * 7 % USERS,
        .event = i % 4 == 3 ? 9 : i % 4,
        .time_ms = START + (int64_t)(i * 7919 % 1000) * 3600000,
        .seq = i + 1,
        .properties = properties,
        .property_count = 1 + i % 6,
    };
}

static void append(struct store *store, uint32_t from, uint32_t to)
{
    struct store_property properties[6];
    struct bytes items[2];
    char text[40];
    struct store_event event;
    for (uint32_t i = from; i < to; i++) {
        make_event(i, properties, items, text, &event);
        must(store->ops->append(store, &event, 1));
    }
}

static void checkpoint(struct store *store, uint64_t position)
{
    must(store->ops->checkpoint_begin(store, position));
    must(store->ops->checkpoint_write(store, BYTES("the caller's words")));
}

static void maintain(struct store *store)
{
    bool did_work = true;
    while (did_work)
        must(store->ops->maintain(store, &did_work));
}

/* Base, patch and run; somebody merged, somebody erased. */
static void write_store(const char *to)
{
    struct disk *disk = NULL;
    struct zone *zone = NULL;
    struct store *store = NULL;
    uint64_t position = 0;
    must(disk_real(to, &disk));
    must(zone_fixed(19800, &zone));
    struct store_files_config config = {
        .disk = disk, .dir = "store", .shards = SHARDS, .zone = zone
    };
    must(store_open_files(&config, &position, NULL, &store));
    append(store, 0, 390);
    must(store->ops->merge_user(store, 5, 6));
    checkpoint(store, 391);
    maintain(store);
    append(store, 390, 391);
    checkpoint(store, 392);
    maintain(store);
    append(store, 391, EVENTS);
    must(store->ops->mask_user(store, 8, true));
    checkpoint(store, EVENTS + 1);
    store->ops->close(store);
    zone_free(zone);
    disk_free(disk);
}

/* --- reading it --------------------------------------------------------------------- */

static void copy_folder(struct disk *from, struct disk *to, const char *dir)
{
    struct buf names;
    struct buf bytes;
    char path[300];
    size_t count = 0;
    must(disk_make_dir(to, dir));
    buf_init(&names, 1 << 20);
    buf_init(&bytes, 1 << 24);
    must(disk_list(from, dir, &names, &count));
    const char *name = (const char *)names.ptr;
    for (size_t i = 0; i < count; i++, name += strlen(name) + 1) {
        (void)snprintf(path, sizeof path, "%s/%s", dir, name);
        if (strncmp(name, "shard-", 6) == 0) {
            copy_folder(from, to, path);
            continue;
        }
        buf_reset(&bytes);
        must(disk_read_file(from, path, 1 << 24, &bytes));
        must(disk_replace_file(to, path, buf_bytes(&bytes)));
    }
    buf_done(&names);
    buf_done(&bytes);
}

static void see_damage(void *ctx, const char *file, uint64_t offset, const char *what)
{
    (void)ctx;
    fail_msg("%s at %llu: %s", file, (unsigned long long)offset, what);
}

struct walk {
    uint32_t count;
    int64_t last_ms;
};

static bool check_event(void *ctx, const struct store_user_event *event)
{
    struct walk *walk = ctx;
    struct store_property properties[6];
    struct bytes items[2];
    char text[40];
    struct store_event wanted;
    make_event((uint32_t)event->seq - 1, properties, items, text, &wanted);
    assert_int_equal(event->event, wanted.event);
    assert_int_equal(event->origin, wanted.user);
    assert_true(event->time_ms == wanted.time_ms && event->time_ms >= walk->last_ms);
    assert_int_equal(event->property_count, wanted.property_count);
    for (uint32_t i = 0; i < wanted.property_count; i++) {
        bool is_there = false;
        for (uint32_t k = 0; k < event->property_count; k++)
            is_there |= event->properties[k].property == wanted.properties[i].property &&
                        value_equal(&event->properties[k].value, &wanted.properties[i].value);
        assert_true(is_there);
    }
    walk->last_ms = event->time_ms;
    walk->count++;
    return true;
}

static void a_store_in_the_first_format_is_still_read(void **state)
{
    (void)state;
    struct disk *disk = NULL;
    struct disk_sim *sim = NULL;
    struct zone *zone = NULL;
    struct store *store = NULL;
    struct store_snapshot *snapshot = NULL;
    struct buf words;
    struct arena arena;
    uint64_t position = 0;
    uint64_t events = 0;
    must(disk_real(folder, &disk));
    must(disk_sim_new(&sim));
    must(zone_fixed(19800, &zone));
    copy_folder(disk, disk_sim_disk(sim), "store");
    must(store_check_files(disk_sim_disk(sim), "store", true, see_damage, NULL, &events));
    struct store_files_config config = { .disk = disk_sim_disk(sim), .dir = "store", .zone = zone };
    buf_init(&words, 100);
    must(store_open_files(&config, &position, &words, &store));
    assert_int_equal(position, EVENTS + 1);
    assert_true(bytes_equal(buf_bytes(&words), BYTES("the caller's words")));
    assert_true(store->ops->stats(store).patches > 0);
    must(store->ops->snapshot(store, &snapshot));
    arena_init(&arena, 1 << 26);
    uint32_t total = 0;
    for (uint32_t user = 0; user < USERS; user++) {
        struct walk walk = { 0 };
        must(snapshot->ops->user_events(snapshot, user, TIME_MS_MIN, TIME_MS_MAX, false, &arena,
                                        check_event, &walk));
        if (user == 5 || user == 8)
            assert_int_equal(walk.count, 0);
        total += walk.count;
    }
    assert_int_equal(total, events);
    snapshot->ops->snapshot_free(snapshot);
    store->ops->close(store);
    arena_done(&arena);
    buf_done(&words);
    zone_free(zone);
    disk_sim_free(sim);
    disk_free(disk);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        (void)fprintf(stderr, "usage: store_format_test FOLDER [write]\n");
        return 1;
    }
    folder = argv[1];
    if (argc > 2) {
        write_store(folder);
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_store_in_the_first_format_is_still_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* check_test.c - a flipped bit is found in whatever file it is, and never read as data; what is kept
 * beside the events comes to the same when it's counted again. */
#include "base/rng.h"
#include "engine/engine_internal.h"
#include "engine_helper.h"

enum { SAMPLES = 120, READS = 16, HEADER = 128, FILES_MAX = 256, PATH_ROOM = 200, EVENTS = 2400 };

/* --- bits ------------------------------------------------------------------------------- */

struct files {
    char paths[FILES_MAX][PATH_ROOM];
    uint64_t sizes[FILES_MAX];
    bool is_told[FILES_MAX];
    uint32_t count;
    uint64_t bytes;
};

static uint64_t size_of(struct disk *disk, const char *path)
{
    struct disk_file *file;
    uint64_t size = 0;
    assert_int_equal(disk_open(disk, path, DISK_READ, &file).code, ERR_NONE);
    assert_int_equal(file_size(file, &size).code, ERR_NONE);
    file_close(file);
    return size;
}

static void find_files(struct disk *disk, const char *dir, struct files *files)
{
    struct buf names;
    size_t count = 0;
    buf_init(&names, 1 << 20);
    assert_int_equal(disk_list(disk, dir, &names, &count).code, ERR_NONE);
    const char *name = (const char *)names.ptr;
    for (size_t i = 0; i < count; i++, name += strlen(name) + 1) {
        char path[PATH_ROOM];
        (void)snprintf(path, sizeof path, "%s/%s", dir, name);
        if (strcmp(name, "lock") == 0)
            continue;
        if (strcmp(name, "log") == 0 || bytes_start_with(bytes_from(name), BYTES("shard-"))) {
            find_files(disk, path, files);
            continue;
        }
        assert_true(files->count < FILES_MAX);
        memcpy(files->paths[files->count], path, sizeof path);
        files->sizes[files->count] = size_of(disk, path);
        files->bytes += files->sizes[files->count++];
    }
    buf_done(&names);
}

static void flip(struct disk *disk, const char *path, uint64_t offset, unsigned bit)
{
    struct disk_file *file;
    uint8_t byte;
    assert_int_equal(disk_open(disk, path, DISK_WRITE, &file).code, ERR_NONE);
    assert_int_equal(file_read(file, offset, &byte, 1).code, ERR_NONE);
    byte ^= (uint8_t)(1u << bit);
    assert_int_equal(file_write(file, offset, bytes_of(&byte, 1)).code, ERR_NONE);
    file_close(file);
}

static void note(void *ctx, const char *file, uint64_t offset, const char *what)
{
    struct files *files = ctx;
    (void)offset;
    (void)what;
    for (uint32_t i = 0; i < files->count; i++)
        if (strstr(files->paths[i], file))
            files->is_told[i] = true;
}

/* Texts make it large: each event has its own. */
static void put_large_event(struct world *world, uint32_t n)
{
    char person[16];
    char text[600];
    struct rng rng;
    rng_init(&rng, n);
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)('a' + rng_below(&rng, 26));
    struct value value = value_int(n);
    struct value long_value = value_string(bytes_of(text, sizeof text));
    (void)snprintf(person, sizeof person, "p%u", n % PEOPLE);
    command_begin(world->writer, COMMAND_EVENT, DAY_ONE + (int64_t)(n % 7) * 9 * MS_PER_DAY + n);
    command_ref(world->writer, REF_IDENTITY, bytes_from(person));
    command_name(world->writer, n % 3 ? BYTES("Seen") : BYTES("Paid"), false);
    command_property(world->writer, BYTES("n"), PROPERTY_SET, &value);
    command_property(world->writer, BYTES("text"), PROPERTY_SET, &long_value);
    command_end(world->writer);
}

static void fill_large(struct world *world)
{
    world_init(world);
    world->tail_events = 256;
    world->flush_events = 1024;
    world_open(world);
    for (uint32_t n = 0; n < EVENTS; n += 100) {
        command_writer_reset(world->writer, world->clock.ms);
        for (uint32_t i = n; i < n + 100; i++)
            put_large_event(world, i);
        assert_int_equal(world_submit(world).code, ERR_NONE);
    }
    assert_int_equal(project_settle(world->project).code, ERR_NONE);
    /* And some in the log alone. */
    command_writer_reset(world->writer, world->clock.ms);
    put_large_event(world, EVENTS);
    assert_int_equal(world_submit(world).code, ERR_NONE);
    engine_abandon(world->engine);
    world->engine = NULL;
}

/* A bit in each file at once, at the same place of each: each file has to be told. */
static void flip_everywhere(struct disk *disk, struct files *files, uint64_t at, bool is_manifest)
{
    uint64_t events;
    uint32_t flipped = 0;
    for (uint32_t pass = 0; pass < 2; pass++) {
        for (uint32_t i = 0; i < files->count; i++) {
            bool is_it = strstr(files->paths[i], "MANIFEST") != NULL;
            uint64_t offset = at < HEADER ? at : (at * UINT64_C(0x9e3779b97f4a7c15)) >> 8;
            if (is_it != is_manifest)
                continue;
            flip(disk, files->paths[i], offset % files->sizes[i], (unsigned)(at % 8));
            flipped++;
        }
        if (pass == 1)
            break;
        memset(files->is_told, 0, sizeof files->is_told);
        assert_int_equal(engine_check_files(disk, "p", false, note, files, &events).code, ERR_NONE);
        for (uint32_t i = 0; i < files->count; i++) {
            bool is_it = strstr(files->paths[i], "MANIFEST") != NULL;
            if (is_it == is_manifest && !files->is_told[i])
                fail_msg("not found: %s, place %llu", files->paths[i], (unsigned long long)at);
        }
    }
    assert_true(flipped > 0);
}

static void a_flipped_bit_anywhere_is_found_and_the_file_named(void **state)
{
    (void)state;
    struct world world;
    static struct files files;
    uint64_t events;
    fill_large(&world);
    struct disk *disk = disk_sim_disk(world.sim);
    find_files(disk, "projects/p", &files);
    assert_true(files.bytes > (UINT64_C(2) << 20));
    assert_int_equal(engine_check_files(disk, "p", true, note, &files, &events).code, ERR_NONE);
    for (uint32_t i = 0; i < files.count; i++)
        assert_false(files.is_told[i]);
    for (uint64_t at = 0; at < HEADER + SAMPLES; at++) {
        flip_everywhere(disk, &files, at, false);
        flip_everywhere(disk, &files, at, true);
    }
    world_done(&world);
}

static bool add_number(void *ctx, const struct store_user_event *event)
{
    uint64_t *sums = ctx;
    for (uint32_t i = 0; i < event->property_count; i++)
        if (event->properties[i].value.type == VALUE_INT)
            sums[0] += (uint64_t)event->properties[i].value.integer;
    sums[1]++;
    return true;
}

/* An error, or exactly what was written. */
static void read_damaged(struct disk_sim *sim)
{
    struct world world = { .sim = sim, .tail_events = 256, .flush_events = 1024 };
    struct project_snapshot snapshot;
    struct arena arena;
    uint64_t sums[2] = { 0, 0 };
    clock_sim_init(&world.clock, DAY_ONE);
    struct err err = world_try_open(&world);
    if (err.code) {
        assert_int_equal(err.code, ERR_CORRUPT);
        return;
    }
    assert_int_equal(project_snapshot(world.project, &snapshot).code, ERR_NONE);
    arena_init(&arena, (size_t)1 << 30);
    for (uint32_t user = 0; user < PEOPLE && !err.code; user++)
        err = snapshot.source.snapshot->ops->user_events(snapshot.source.snapshot, user,
                                                         TIME_MS_MIN, TIME_MS_MAX, false, &arena,
                                                         add_number, sums);
    if (err.code) {
        assert_int_equal(err.code, ERR_CORRUPT);
    } else {
        assert_int_equal(sums[1], EVENTS + 1);
        assert_int_equal(sums[0], (uint64_t)EVENTS * (EVENTS + 1) / 2);
    }
    arena_done(&arena);
    project_snapshot_done(&snapshot);
    engine_abandon(world.engine);
}

static void damage_is_never_read_as_data(void **state)
{
    (void)state;
    struct world world;
    static struct files files;
    fill_large(&world);
    find_files(disk_sim_disk(world.sim), "projects/p", &files);
    for (uint64_t n = 0; n < READS; n++) {
        struct disk_sim *damaged;
        assert_int_equal(disk_sim_clone(world.sim, &damaged).code, ERR_NONE);
        for (uint32_t i = (uint32_t)n % 3; i < files.count; i += 3)
            if (!strstr(files.paths[i], ".log"))
                flip(disk_sim_disk(damaged), files.paths[i],
                     ((n * 31 + i) * UINT64_C(0x9e3779b97f4a7c15) >> 8) % files.sizes[i], n % 8);
        read_damaged(damaged);
        disk_sim_free(damaged);
    }
    world_done(&world);
}

/* --- counts ------------------------------------------------------------------------------- */

struct differences {
    uint32_t count;
    char last[256];
};

static void on_difference(void *ctx, const char *what)
{
    struct differences *differences = ctx;
    differences->count++;
    (void)snprintf(differences->last, sizeof differences->last, "%s", what);
}

static uint32_t recount(struct world *world, struct differences *differences)
{
    *differences = (struct differences){ .count = 0 };
    assert_int_equal(project_recount(world->project, on_difference, differences).code, ERR_NONE);
    return differences->count;
}

static void send_refs(struct world *world, enum command_kind kind, const char *a, const char *b)
{
    command_writer_reset(world->writer, world->clock.ms);
    command_begin(world->writer, kind, world->clock.ms);
    command_ref(world->writer, REF_IDENTITY, bytes_from(a));
    if (b)
        command_ref(world->writer, REF_IDENTITY, bytes_from(b));
    command_end(world->writer);
    assert_int_equal(world_submit(world).code, ERR_NONE);
}

static void counts_come_to_the_same_in_every_state(void **state)
{
    (void)state;
    struct world world;
    struct differences differences;
    world_init(&world);
    world_open(&world);
    for (uint32_t n = 0; n < 200; n += 20) {
        assert_int_equal(world_send(&world, n, 20, true).code, ERR_NONE);
        if (n % 60 == 0)
            assert_int_equal(project_settle(world.project).code, ERR_NONE);
        if (recount(&world, &differences))
            fail_msg("%s", differences.last);
    }
    send_refs(&world, COMMAND_MERGE, "p1", "p2");
    if (recount(&world, &differences))
        fail_msg("merged: %s", differences.last);
    assert_int_equal(project_settle(world.project).code, ERR_NONE);
    if (recount(&world, &differences))
        fail_msg("merged and settled: %s", differences.last);
    send_refs(&world, COMMAND_ERASE, "p3", NULL);
    if (recount(&world, &differences))
        fail_msg("erased: %s", differences.last);
    world_done(&world);
}

static void a_wrong_count_is_told(void **state)
{
    (void)state;
    struct world world;
    struct differences differences;
    struct state *inside;
    world_init(&world);
    world_open(&world);
    assert_int_equal(world_send(&world, 0, 40, true).code, ERR_NONE);
    assert_int_equal(project_settle(world.project).code, ERR_NONE);
    inside = &world.project->state;
    uint32_t seen = catalog_event_find(inside->catalog, BYTES("Seen"), false);
    uint32_t n = catalog_property_find(inside->catalog, BYTES("n"));
    assert_int_equal(recount(&world, &differences), 0);
    assert_int_equal(catalog_saw_property(inside->catalog, seen, n, VALUE_INT).code, ERR_NONE);
    assert_int_equal(recount(&world, &differences), 1);
    assert_non_null(strstr(differences.last, "Seen: the catalog counts"));
    catalog_saw_event(inside->catalog, seen, DAY_ONE + MS_PER_DAY);
    assert_int_equal(recount(&world, &differences), 2);
    assert_int_equal(profile_saw(inside->profiles, 0, DAY_ONE + MS_PER_DAY, 1).code, ERR_NONE);
    assert_int_equal(recount(&world, &differences), 3);
    assert_non_null(strstr(differences.last, "profiles count more"));
    world_done(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_flipped_bit_anywhere_is_found_and_the_file_named),
        cmocka_unit_test(damage_is_never_read_as_data),
        cmocka_unit_test(counts_come_to_the_same_in_every_state),
        cmocka_unit_test(a_wrong_count_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

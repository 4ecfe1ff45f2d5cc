/* backup_test.c - a backup is whole or none; what was restored is what there was; damage has a name. */
#include "engine/backup_internal.h"
#include "engine_helper.h"
#include "sys/thread.h"

enum { EVENTS = 120, SEEDS = 3 };

struct told {
    char file[BACKUP_PATH_MAX];
    uint32_t count;
    uint64_t stop_after_bytes; /* 0: never */
};

static void tell(void *ctx, const char *file, const char *what)
{
    struct told *told = ctx;
    (void)what;
    (void)snprintf(told->file, sizeof told->file, "%s", file);
    told->count++;
}

static bool goes_on(void *ctx, const struct backup_sum *sum)
{
    const struct told *told = ctx;
    return !told->stop_after_bytes || sum->done_bytes < told->stop_after_bytes;
}

static struct err copy_control(void *ctx, struct disk *to, const char *path)
{
    struct disk_file *file;
    (void)ctx;
    struct err err = disk_open(to, path, DISK_CREATE, &file);
    if (err.code)
        return err;
    err = file_write(file, 0, BYTES("the control data"));
    file_close(file);
    return err;
}

static struct backup_config config_of(struct disk_sim *from, struct disk_sim *to, struct told *told)
{
    return (struct backup_config){ .from = disk_sim_disk(from),
                                   .to = to ? disk_sim_disk(to) : NULL,
                                   .clock = clock_real(),
                                   .copy_control = copy_control,
                                   .goes_on = goes_on,
                                   .tell = tell,
                                   .ctx = told };
}

static struct err back_up(struct disk_sim *from, struct disk_sim *to, struct told *told,
                          struct backup_sum *sum)
{
    struct backup_config config = config_of(from, to, told);
    return engine_backup(&config, sum);
}

static struct err restore(struct disk_sim *from, struct disk_sim *to, struct told *told)
{
    struct backup_sum sum;
    struct backup_config config = config_of(from, to, told);
    return engine_restore(&config, &sum);
}

static struct err verify(struct disk_sim *from, struct told *told)
{
    struct backup_sum sum;
    struct backup_config config = config_of(from, NULL, told);
    return engine_backup_verify(&config, &sum);
}

static struct disk_sim *new_sim(void)
{
    struct disk_sim *sim;
    assert_int_equal(disk_sim_new(&sim).code, ERR_NONE);
    return sim;
}

/* A project in several physical states: parts, a state file, and more in the log alone. */
static void fill(struct world *world)
{
    world_init(world);
    world_open(world);
    for (uint32_t n = 0; n < EVENTS; n += 10) {
        assert_int_equal(world_send(world, n, 10, true).code, ERR_NONE);
        if (n == 60)
            assert_int_equal(project_settle(world->project).code, ERR_NONE);
    }
}

/* How many events a folder has; each of them once, without a gap. */
static uint32_t count_events(struct disk_sim *sim)
{
    struct world world = { .sim = sim, .tail_events = 4, .flush_events = 16 };
    struct numbers *numbers = malloc(sizeof *numbers);
    assert_non_null(numbers);
    clock_sim_init(&world.clock, DAY_ONE);
    world_open(&world);
    world_read(&world, numbers);
    for (uint32_t n = 0; n < numbers->total; n++)
        assert_int_equal(numbers->seen[n], 1);
    uint32_t total = numbers->total;
    free(numbers);
    engine_abandon(world.engine);
    return total;
}

static void what_was_acknowledged_is_in_a_backup_of_a_folder_in_use(void **state)
{
    (void)state;
    struct world world;
    struct told told = { .count = 0 };
    struct backup_sum sum;
    struct disk_sim *backup = new_sim();
    struct disk_sim *restored = new_sim();
    fill(&world);
    assert_int_equal(back_up(world.sim, backup, &told, &sum).code, ERR_NONE);
    assert_true(sum.files > 4 && sum.bytes > 0 && sum.reused == 0);
    assert_int_equal(verify(backup, &told).code, ERR_NONE);
    assert_int_equal(restore(backup, restored, &told).code, ERR_NONE);
    assert_int_equal(told.count, 0);
    assert_int_equal(count_events(restored), EVENTS);
    struct buf control;
    buf_init(&control, 1000);
    assert_int_equal(disk_read_file(disk_sim_disk(restored), "control.db", 1000, &control).code,
                     ERR_NONE);
    assert_true(bytes_equal(buf_bytes(&control), BYTES("the control data")));
    buf_done(&control);
    world_done(&world);
    disk_sim_free(backup);
    disk_sim_free(restored);
}

static void the_source_is_not_touched(void **state)
{
    (void)state;
    struct world world;
    struct told told = { .count = 0 };
    struct backup_sum sum;
    struct disk_sim *backup = new_sim();
    fill(&world);
    assert_int_equal(project_settle(world.project).code, ERR_NONE); /* its threads rest */
    uint64_t ops = disk_sim_ops(world.sim);
    assert_int_equal(back_up(world.sim, backup, &told, &sum).code, ERR_NONE);
    assert_int_equal(disk_sim_ops(world.sim), ops);
    world_done(&world);
    disk_sim_free(backup);
}

static void a_second_backup_copies_only_what_is_new(void **state)
{
    (void)state;
    struct world world;
    struct told told = { .count = 0 };
    struct backup_sum sum;
    struct disk_sim *backup = new_sim();
    struct disk_sim *restored = new_sim();
    struct buf names;
    size_t count = 0;
    fill(&world);
    /* What compaction would rewrite between the two backups is at rest. */
    assert_int_equal(project_settle(world.project).code, ERR_NONE);
    assert_int_equal(back_up(world.sim, backup, &told, &sum).code, ERR_NONE);
    assert_int_equal(world_send(&world, EVENTS, 10, true).code, ERR_NONE);
    assert_int_equal(back_up(world.sim, backup, &told, &sum).code, ERR_NONE);
    assert_true(sum.reused > 0);
    buf_init(&names, 1 << 20);
    assert_int_equal(disk_list(disk_sim_disk(backup), "files", &names, &count).code, ERR_NONE);
    assert_int_equal(count, sum.files); /* what only the first one had is gone */
    buf_done(&names);
    assert_int_equal(restore(backup, restored, &told).code, ERR_NONE);
    assert_int_equal(count_events(restored), EVENTS + 10);
    world_done(&world);
    disk_sim_free(backup);
    disk_sim_free(restored);
}

static void flip(struct disk_sim *sim, const char *path, uint64_t offset)
{
    struct disk_file *file;
    uint8_t byte;
    assert_int_equal(disk_open(disk_sim_disk(sim), path, DISK_WRITE, &file).code, ERR_NONE);
    assert_int_equal(file_read(file, offset, &byte, 1).code, ERR_NONE);
    byte ^= 0x10;
    assert_int_equal(file_write(file, offset, bytes_of(&byte, 1)).code, ERR_NONE);
    file_close(file);
}

static void a_flipped_bit_is_told_with_the_file_that_has_it(void **state)
{
    (void)state;
    struct world world;
    struct told told = { .count = 0 };
    struct backup_sum sum;
    struct backup_list list;
    struct disk_sim *backup = new_sim();
    fill(&world);
    assert_int_equal(back_up(world.sim, backup, &told, &sum).code, ERR_NONE);
    backup_list_init(&list);
    assert_int_equal(backup_list_read(disk_sim_disk(backup), &list).code, ERR_NONE);
    for (uint32_t i = 0; i < list.count; i++) {
        char path[BACKUP_PATH_MAX];
        struct disk_sim *damaged;
        struct disk_sim *target = new_sim();
        size_t count = 0;
        struct buf names;
        told = (struct told){ .count = 0 };
        assert_int_equal(disk_sim_clone(backup, &damaged).code, ERR_NONE);
        backup_file_path(list.files[i].number, path);
        flip(damaged, path, (i * 2654435761u) % list.files[i].size);
        assert_int_equal(verify(damaged, &told).code, ERR_CORRUPT);
        assert_int_equal(told.count, 1);
        assert_string_equal(told.file, list.files[i].path);
        assert_int_equal(restore(damaged, target, &told).code, ERR_CORRUPT);
        assert_string_equal(told.file, list.files[i].path);
        buf_init(&names, 1000);
        assert_int_equal(disk_list(disk_sim_disk(target), ".", &names, &count).code, ERR_NONE);
        assert_true(count <= 1); /* the lock's file */
        buf_done(&names);
        disk_sim_free(target);
        disk_sim_free(damaged);
    }
    backup_list_done(&list);
    world_done(&world);
    disk_sim_free(backup);
}

static void every_byte_of_the_list_counts(void **state)
{
    (void)state;
    struct buf text;
    struct backup_list list;
    backup_list_init(&list);
    list.next_number = 100;
    list.made_ms = DAY_ONE;
    struct backup_file file = { .path = "projects/p/MANIFEST", .number = 7, .size = 8, .sum = 9 };
    assert_int_equal(backup_list_add(&list, &file).code, ERR_NONE);
    assert_int_equal(backup_list_add_project(&list, "p", 42).code, ERR_NONE);
    buf_init(&text, 1 << 16);
    backup_list_put(&list, &text);
    backup_list_done(&list);
    assert_int_equal(backup_list_parse(buf_bytes(&text), &list).code, ERR_NONE);
    assert_int_equal(list.files[0].sum, 9);
    backup_list_done(&list);
    for (size_t i = 0; i < text.len * 8; i++) {
        text.ptr[i / 8] ^= (uint8_t)(1u << (i % 8));
        assert_int_equal(backup_list_parse(buf_bytes(&text), &list).code, ERR_CORRUPT);
        backup_list_done(&list);
        text.ptr[i / 8] ^= (uint8_t)(1u << (i % 8));
    }
    for (size_t len = 0; len < text.len; len++) {
        assert_int_equal(backup_list_parse(bytes_of(text.ptr, len), &list).code, ERR_CORRUPT);
        backup_list_done(&list);
    }
    buf_done(&text);
}

static void what_is_not_empty_is_left_alone(void **state)
{
    (void)state;
    struct world world;
    struct told told = { .count = 0 };
    struct backup_sum sum;
    struct disk_sim *backup = new_sim();
    struct disk_sim *other = new_sim();
    fill(&world);
    assert_int_equal(disk_replace_file(disk_sim_disk(other), "mine", BYTES("x")).code, ERR_NONE);
    assert_int_equal(back_up(world.sim, other, &told, &sum).code, ERR_EXISTS);
    assert_int_equal(back_up(world.sim, world.sim, &told, &sum).code, ERR_EXISTS);
    assert_int_equal(restore(backup, other, &told).code, ERR_MISSING);
    assert_int_equal(back_up(world.sim, backup, &told, &sum).code, ERR_NONE);
    assert_int_equal(restore(backup, other, &told).code, ERR_EXISTS);
    assert_int_equal(restore(backup, world.sim, &told).code, ERR_EXISTS);
    world_done(&world);
    disk_sim_free(backup);
    disk_sim_free(other);
}

static void a_backup_that_is_stopped_or_finds_no_room_leaves_what_was_there(void **state)
{
    (void)state;
    struct world world;
    struct told told = { .stop_after_bytes = 3000 };
    struct backup_sum sum;
    bool exists = true;
    struct disk_sim *backup = new_sim();
    struct disk_sim *restored = new_sim();
    fill(&world);
    assert_int_equal(back_up(world.sim, backup, &told, &sum).code, ERR_CANCELLED);
    assert_int_equal(disk_exists(disk_sim_disk(backup), "files", &exists).code, ERR_NONE);
    assert_false(exists);
    disk_sim_set_capacity(backup, 4096 * 4);
    told.stop_after_bytes = 0;
    assert_int_equal(back_up(world.sim, backup, &told, &sum).code, ERR_FULL);
    disk_sim_set_capacity(backup, DISK_SIM_CAPACITY);
    assert_int_equal(back_up(world.sim, backup, &told, &sum).code, ERR_NONE);
    assert_int_equal(world_send(&world, EVENTS, 10, true).code, ERR_NONE);
    told.stop_after_bytes = 100;
    assert_int_equal(back_up(world.sim, backup, &told, &sum).code, ERR_CANCELLED);
    told.stop_after_bytes = 0;
    assert_int_equal(verify(backup, &told).code, ERR_NONE);
    told.stop_after_bytes = 3000;
    assert_int_equal(restore(backup, restored, &told).code, ERR_CANCELLED);
    told.stop_after_bytes = 0;
    assert_int_equal(restore(backup, restored, &told).code, ERR_NONE);
    assert_int_equal(count_events(restored), EVENTS);
    world_done(&world);
    disk_sim_free(backup);
    disk_sim_free(restored);
}

/* --- power cuts ------------------------------------------------------------------------- */

/* What a cut left is a whole backup, of then or of now, or (if there was none before) none. */
static void check_backup(struct disk_sim *after, bool had_one)
{
    struct told told = { .count = 0 };
    struct backup_list list;
    backup_list_init(&list);
    struct err err = backup_list_read(disk_sim_disk(after), &list);
    backup_list_done(&list);
    if (err.code == ERR_MISSING)
        assert_false(had_one);
    else
        assert_int_equal(verify(after, &told).code, ERR_NONE);
}

static void cut_backups(struct world *world, struct disk_sim *before, bool had_one)
{
    for (uint64_t n = 1;; n++) {
        struct told told = { .count = 0 };
        struct backup_sum sum;
        struct disk_sim *sim;
        assert_int_equal(disk_sim_clone(before, &sim).code, ERR_NONE);
        disk_sim_cut_after(sim, n);
        struct err err = back_up(world->sim, sim, &told, &sum);
        bool was_cut = disk_sim_is_cut(sim);
        assert_true(was_cut || !err.code);
        for (uint64_t seed = 0; seed < SEEDS; seed++) {
            struct disk_sim *after;
            assert_int_equal(disk_sim_crash(sim, seed ? seed * 131 + n : 0, &after).code, ERR_NONE);
            check_backup(after, had_one);
            /* And it can be made again in the same place. */
            if (seed == 1) {
                assert_int_equal(back_up(world->sim, after, &told, &sum).code, ERR_NONE);
                assert_int_equal(verify(after, &told).code, ERR_NONE);
            }
            disk_sim_free(after);
        }
        disk_sim_free(sim);
        if (!was_cut)
            return;
    }
}

static void a_power_cut_at_any_write_of_a_backup_leaves_a_whole_one_or_none(void **state)
{
    (void)state;
    struct world world;
    struct told told = { .count = 0 };
    struct backup_sum sum;
    struct disk_sim *backup = new_sim();
    fill(&world);
    cut_backups(&world, backup, false);
    assert_int_equal(back_up(world.sim, backup, &told, &sum).code, ERR_NONE);
    assert_int_equal(world_send(&world, EVENTS, 10, true).code, ERR_NONE);
    assert_int_equal(project_settle(world.project).code, ERR_NONE);
    cut_backups(&world, backup, true);
    world_done(&world);
    disk_sim_free(backup);
}

/* Nothing that a server would open, or everything. */
static void check_restored(struct disk_sim *after)
{
    struct disk *disk = disk_sim_disk(after);
    struct world world = { .sim = after };
    struct buf names;
    size_t count = 0;
    bool is_restoring = false;
    buf_init(&names, 1000);
    assert_int_equal(disk_exists(disk, RESTORING_NAME, &is_restoring).code, ERR_NONE);
    assert_int_equal(disk_list(disk, ".", &names, &count).code, ERR_NONE);
    /* Before the mark is there, nothing else is, but for the lock's file and the mark's on its way. */
    bool is_begun = true;
    const char *name = (const char *)names.ptr;
    for (size_t i = 0; i < count; i++, name += strlen(name) + 1)
        is_begun =
            is_begun && (strcmp(name, "LOCK") == 0 || strcmp(name, RESTORING_NAME ".new") == 0);
    clock_sim_init(&world.clock, DAY_ONE);
    if (is_restoring)
        assert_int_equal(world_try_open(&world).code, ERR_INVALID);
    else if (!is_begun)
        assert_int_equal(count_events(after), EVENTS);
    buf_done(&names);
}

static void a_power_cut_at_any_write_of_a_restore_leaves_all_or_what_is_refused(void **state)
{
    (void)state;
    struct world world;
    struct told told = { .count = 0 };
    struct backup_sum sum;
    struct disk_sim *backup = new_sim();
    fill(&world);
    assert_int_equal(back_up(world.sim, backup, &told, &sum).code, ERR_NONE);
    bool was_cut = true;
    for (uint64_t n = 1; was_cut; n++) {
        struct disk_sim *target = new_sim();
        disk_sim_cut_after(target, n);
        struct err err = restore(backup, target, &told);
        was_cut = disk_sim_is_cut(target);
        assert_true(was_cut || !err.code);
        for (uint64_t seed = 0; seed < SEEDS; seed++) {
            struct disk_sim *after;
            assert_int_equal(disk_sim_crash(target, seed ? seed * 131 + n : 0, &after).code,
                             ERR_NONE);
            check_restored(after);
            disk_sim_free(after);
        }
        disk_sim_free(target);
    }
    assert_int_equal(verify(backup, &told).code, ERR_NONE);
    world_done(&world);
    disk_sim_free(backup);
}

/* --- under load ------------------------------------------------------------------------------ */

struct writer {
    struct world *world;
    atomic_uint acknowledged;
    atomic_bool is_stopping;
    struct thread thread;
};

static void *keep_writing(void *ctx)
{
    struct writer *writer = ctx;
    for (uint32_t n = EVENTS; n + 5 < NUMBERS_MAX && !atomic_load(&writer->is_stopping); n += 5) {
        struct err err = world_send(writer->world, n, 5, true);
        assert_int_equal(err.code, ERR_NONE);
        atomic_store(&writer->acknowledged, n + 5);
        if (n % 60 == 0) {
            err = project_settle(writer->world->project);
            assert_int_equal(err.code, ERR_NONE);
        }
    }
    return NULL;
}

static void backups_beside_a_writer_have_all_that_was_acknowledged_before(void **state)
{
    (void)state;
    struct world world;
    struct disk_sim *backup = new_sim();
    fill(&world);
    struct writer writer = { .world = &world, .acknowledged = EVENTS };
    assert_int_equal(thread_start(&writer.thread, "writer", keep_writing, &writer).code, ERR_NONE);
    for (int i = 0; i < 8; i++) {
        struct told told = { .count = 0 };
        struct backup_sum sum;
        struct disk_sim *restored = new_sim();
        uint32_t before = atomic_load(&writer.acknowledged);
        assert_int_equal(back_up(world.sim, backup, &told, &sum).code, ERR_NONE);
        assert_int_equal(restore(backup, restored, &told).code, ERR_NONE);
        assert_true(count_events(restored) >= before);
        disk_sim_free(restored);
    }
    atomic_store(&writer.is_stopping, true);
    thread_join(&writer.thread);
    world_done(&world);
    disk_sim_free(backup);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_acknowledged_is_in_a_backup_of_a_folder_in_use),
        cmocka_unit_test(the_source_is_not_touched),
        cmocka_unit_test(a_second_backup_copies_only_what_is_new),
        cmocka_unit_test(a_flipped_bit_is_told_with_the_file_that_has_it),
        cmocka_unit_test(every_byte_of_the_list_counts),
        cmocka_unit_test(what_is_not_empty_is_left_alone),
        cmocka_unit_test(a_backup_that_is_stopped_or_finds_no_room_leaves_what_was_there),
        cmocka_unit_test(a_power_cut_at_any_write_of_a_backup_leaves_a_whole_one_or_none),
        cmocka_unit_test(a_power_cut_at_any_write_of_a_restore_leaves_all_or_what_is_refused),
        cmocka_unit_test(backups_beside_a_writer_have_all_that_was_acknowledged_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

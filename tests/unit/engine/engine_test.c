/* engine_test.c - what engine.h promises, on a simulated disk. */
#include "engine_helper.h"

static int setup(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    assert_non_null(world);
    world_init(world);
    world_open(world);
    *state = world;
    return 0;
}

static int teardown(void **state)
{
    world_done(*state);
    free(*state);
    return 0;
}

static void assert_each_once(const struct numbers *numbers, uint32_t from, uint32_t to)
{
    for (uint32_t n = from; n < to; n++)
        assert_int_equal(numbers->seen[n], 1);
}

static void what_was_acknowledged_is_there_after_closing_and_after_a_kill(void **state)
{
    struct world *world = *state;
    struct numbers numbers;
    for (uint32_t from = 0; from < 200; from += 10)
        assert_int_equal(world_send(world, from, 10, false).code, ERR_NONE);
    engine_close(world->engine);
    world_open(world);
    for (uint32_t from = 200; from < 250; from += 10)
        assert_int_equal(world_send(world, from, 10, false).code, ERR_NONE);
    engine_abandon(world->engine);
    world_open(world);
    world_read(world, &numbers);
    assert_int_equal(numbers.total, 250);
    assert_each_once(&numbers, 0, 250);
}

static void settling_leaves_nothing_to_replay_and_changes_no_answer(void **state)
{
    struct world *world = *state;
    struct numbers numbers;
    for (uint32_t from = 0; from < 300; from += 20)
        assert_int_equal(world_send(world, from, 20, false).code, ERR_NONE);
    assert_int_equal(project_settle(world->project).code, ERR_NONE);
    struct project_stats stats = project_stats(world->project);
    assert_int_equal(stats.memory_events, 0);
    assert_int_equal(stats.checkpoint_position, stats.position);
    world_read(world, &numbers);
    assert_int_equal(numbers.total, 300);
    assert_each_once(&numbers, 0, 300);
}

static void an_event_id_counts_once_across_batches_restarts_and_kills(void **state)
{
    struct world *world = *state;
    struct numbers numbers;
    assert_int_equal(world_send(world, 0, 20, true).code, ERR_NONE);
    assert_int_equal(world_send(world, 10, 20, true).code, ERR_NONE);
    engine_abandon(world->engine);
    world_open(world);
    assert_int_equal(world_send(world, 0, 30, true).code, ERR_NONE);
    engine_close(world->engine);
    world_open(world);
    assert_int_equal(world_send(world, 0, 40, true).code, ERR_NONE);
    world_read(world, &numbers);
    assert_int_equal(numbers.total, 40);
    assert_each_once(&numbers, 0, 40);
    assert_int_equal(project_stats(world->project).duplicates, 10 + 30 + 30);
}

static void an_event_id_counts_again_after_the_window(void **state)
{
    struct world *world = *state;
    struct numbers numbers;
    assert_int_equal(world_send(world, 5, 1, true).code, ERR_NONE);
    clock_sim_advance(&world->clock, 6 * MS_PER_DAY);
    assert_int_equal(world_send(world, 5, 1, true).code, ERR_NONE);
    clock_sim_advance(&world->clock, MS_PER_DAY);
    assert_int_equal(world_send(world, 5, 1, true).code, ERR_NONE);
    world_read(world, &numbers);
    assert_int_equal(numbers.seen[5], 2);
}

static void a_snapshot_stays_as_it_was(void **state)
{
    struct world *world = *state;
    struct project_snapshot snapshot;
    struct numbers numbers;
    assert_int_equal(world_send(world, 0, 50, false).code, ERR_NONE);
    assert_int_equal(project_snapshot(world->project, &snapshot).code, ERR_NONE);
    for (uint32_t from = 50; from < 200; from += 10)
        assert_int_equal(world_send(world, from, 10, false).code, ERR_NONE);
    assert_int_equal(project_settle(world->project).code, ERR_NONE);
    world_read_snapshot(&snapshot, &numbers);
    assert_int_equal(numbers.total, 50);
    assert_each_once(&numbers, 0, 50);
    project_snapshot_done(&snapshot);
    world_read(world, &numbers);
    assert_int_equal(numbers.total, 200);
}

static void merge(struct world *world, const char *from, const char *into)
{
    command_writer_reset(world->writer, world->clock.ms);
    command_begin(world->writer, COMMAND_MERGE, world->clock.ms);
    command_ref(world->writer, REF_IDENTITY, bytes_from(from));
    command_ref(world->writer, REF_IDENTITY, bytes_from(into));
    command_end(world->writer);
    assert_int_equal(world_submit(world).code, ERR_NONE);
}

static void a_merge_moves_every_event_once(void **state)
{
    struct world *world = *state;
    struct numbers numbers;
    assert_int_equal(world_send(world, 0, 100, false).code, ERR_NONE);
    assert_int_equal(project_settle(world->project).code, ERR_NONE);
    assert_int_equal(world_send(world, 100, 20, false).code, ERR_NONE);
    merge(world, "p1", "p0");
    merge(world, "p2", "p3");
    merge(world, "p3", "p0");
    merge(world, "p0", "p0");
    assert_int_equal(world_send(world, 120, 20, false).code, ERR_NONE);
    for (int round = 0; round < 3; round++) {
        world_read(world, &numbers);
        assert_int_equal(numbers.total, 140);
        assert_each_once(&numbers, 0, 140);
        assert_int_equal(project_stats(world->project).users, 1);
        if (round == 0)
            assert_int_equal(project_settle(world->project).code, ERR_NONE);
        engine_abandon(world->engine);
        world_open(world);
    }
}

static void an_erased_person_leaves_no_trace_and_late_events_bring_nothing_back(void **state)
{
    struct world *world = *state;
    struct numbers numbers;
    assert_int_equal(world_send(world, 0, 40, false).code, ERR_NONE);
    command_writer_reset(world->writer, world->clock.ms);
    command_begin(world->writer, COMMAND_ERASE, world->clock.ms);
    command_ref(world->writer, REF_IDENTITY, BYTES("p1"));
    command_end(world->writer);
    assert_int_equal(world_submit(world).code, ERR_NONE);
    assert_int_equal(world_send(world, 40, 4, false).code, ERR_NONE);
    for (int round = 0; round < 2; round++) {
        world_read(world, &numbers);
        assert_int_equal(numbers.total, 30 + 3);
        for (uint32_t n = 1; n < 44; n += PEOPLE)
            assert_int_equal(numbers.seen[n], 0);
        assert_int_equal(project_find_user(world->project, BYTES("p1")), USER_NONE);
        engine_close(world->engine);
        world_open(world);
    }
}

static bool is_in_parts(struct world *world, struct bytes text)
{
    bool is_there = false;
    for (int shard = 0; shard < 2; shard++) {
        char dir[64];
        char path[600];
        struct buf names;
        struct buf bytes;
        size_t count = 0;
        buf_init(&names, 1 << 20);
        buf_init(&bytes, 1 << 24);
        (void)snprintf(dir, sizeof dir, "projects/p/shard-%03d", shard);
        assert_int_equal(disk_list(disk_sim_disk(world->sim), dir, &names, &count).code, ERR_NONE);
        const char *name = (const char *)names.ptr;
        for (size_t i = 0; i < count; i++, name += strlen(name) + 1) {
            (void)snprintf(path, sizeof path, "%s/%s", dir, name);
            buf_reset(&bytes);
            assert_int_equal(disk_read_file(disk_sim_disk(world->sim), path, 1 << 24, &bytes).code,
                             ERR_NONE);
            is_there |= memmem(bytes.ptr, bytes.len, text.ptr, text.len) != NULL;
        }
        buf_done(&names);
        buf_done(&bytes);
    }
    return is_there;
}

static void erasing_somebody_takes_those_merged_into_them_out_of_the_files(void **state)
{
    struct world *world = *state;
    struct value secret = value_string(BYTES("an unforgettable word"));
    assert_int_equal(world_send(world, 0, 400, false).code, ERR_NONE);
    command_writer_reset(world->writer, world->clock.ms);
    command_begin(world->writer, COMMAND_EVENT, DAY_ONE);
    command_ref(world->writer, REF_IDENTITY, BYTES("p9"));
    command_name(world->writer, BYTES("Seen"), false);
    command_property(world->writer, BYTES("secret"), PROPERTY_SET, &secret);
    command_end(world->writer);
    assert_int_equal(world_submit(world).code, ERR_NONE);
    assert_int_equal(project_settle(world->project).code, ERR_NONE);
    merge(world, "p9", "p1");
    assert_int_equal(project_settle(world->project).code, ERR_NONE);
    assert_true(is_in_parts(world, secret.string));
    command_writer_reset(world->writer, world->clock.ms);
    command_begin(world->writer, COMMAND_ERASE, world->clock.ms);
    command_ref(world->writer, REF_IDENTITY, BYTES("p1"));
    command_end(world->writer);
    assert_int_equal(world_submit(world).code, ERR_NONE);
    assert_int_equal(project_settle(world->project).code, ERR_NONE);
    assert_false(is_in_parts(world, secret.string));
}

static void a_second_server_on_the_folder_is_refused(void **state)
{
    struct world *world = *state;
    struct world second = { .sim = world->sim, .clock = world->clock };
    assert_int_equal(world_try_open(&second).code, ERR_BUSY);
}

static void a_full_disk_refuses_new_data_goes_on_answering_and_recovers(void **state)
{
    struct world *world = *state;
    struct numbers numbers;
    uint32_t sent = 0;
    struct err err = ok();
    disk_sim_set_capacity(world->sim, 65536);
    /* What the log has reserved it may still fill. */
    while (!err.code && sent < 3000) {
        err = world_send(world, sent, 20, false);
        sent += err.code ? 0 : 20;
    }
    assert_int_equal(err.code, ERR_FULL);
    assert_int_equal(project_settle(world->project).code, ERR_FULL);
    world_read(world, &numbers);
    assert_int_equal(numbers.total, sent);
    disk_sim_set_capacity(world->sim, DISK_SIM_CAPACITY);
    assert_int_equal(project_settle(world->project).code, ERR_NONE);
    assert_int_equal(world_send(world, sent, 20, false).code, ERR_NONE);
    assert_int_equal(project_settle(world->project).code, ERR_NONE);
    world_read(world, &numbers);
    assert_int_equal(numbers.total, sent + 20);
    assert_each_once(&numbers, 0, sent + 20);
    assert_false(world->is_broken);
}

static void a_failed_sync_ends_everything_and_acknowledges_nothing(void **state)
{
    struct world *world = *state;
    assert_int_equal(world_send(world, 0, 5, false).code, ERR_NONE);
    disk_sim_fail_sync(world->sim, 1);
    assert_int_not_equal(world_send(world, 5, 5, false).code, ERR_NONE);
    assert_true(world->is_broken);
    assert_int_equal(world_send(world, 10, 5, false).code, ERR_BROKEN);
}

static void a_discarded_event_type_is_passed_over_until_it_is_restored(void **state)
{
    struct world *world = *state;
    struct numbers numbers;
    const char *const settings[] = { "discard_event", "restore_event" };
    struct value name = value_string(BYTES("Paid"));
    for (uint32_t i = 0; i < 2; i++) {
        command_writer_reset(world->writer, world->clock.ms);
        command_begin(world->writer, COMMAND_SETTING, world->clock.ms);
        command_name(world->writer, bytes_from(settings[i]), false);
        command_property(world->writer, BYTES("value"), PROPERTY_SET, &name);
        command_end(world->writer);
        world_put_event(world, i * 3, false); /* multiples of 3 are Paid */
        assert_int_equal(world_submit(world).code, ERR_NONE);
    }
    world_read(world, &numbers);
    assert_int_equal(numbers.seen[0], 0);
    assert_int_equal(numbers.seen[3], 1);
}

static struct err set(struct world *world, const char *name, struct value value)
{
    command_writer_reset(world->writer, world->clock.ms);
    command_begin(world->writer, COMMAND_SETTING, world->clock.ms);
    command_name(world->writer, bytes_from(name), false);
    command_property(world->writer, BYTES("value"), PROPERTY_SET, &value);
    command_end(world->writer);
    return world_submit(world);
}

static void settings_hold_from_then_on_and_outlive_a_kill_and_a_checkpoint(void **state)
{
    struct world *world = *state;
    struct project_rules before = project_rules(world->project);
    assert_false(before.does_join_existing);
    assert_int_equal(set(world, "join_existing", value_bool(true)).code, ERR_NONE);
    assert_int_equal(set(world, "dedup_days", value_int(30)).code, ERR_NONE);
    assert_int_equal(set(world, "limit.event_types", value_int(7)).code, ERR_NONE);
    for (int times = 0; times < 3; times++) {
        struct project_rules rules = project_rules(world->project);
        assert_true(rules.does_join_existing);
        assert_int_equal(rules.dedup_days, 30);
        assert_int_equal(rules.limits.event_types, 7);
        assert_int_equal(rules.limits.properties, before.limits.properties);
        if (times == 1)
            assert_int_equal(project_settle(world->project).code, ERR_NONE);
        engine_abandon(world->engine);
        world_open(world);
    }
}

static void past_a_limit_of_event_types_events_are_refused_and_the_rest_is_kept(void **state)
{
    struct world *world = *state;
    assert_int_equal(set(world, "limit.event_types", value_int(2)).code, ERR_NONE);
    command_writer_reset(world->writer, world->clock.ms);
    static const char *const names[] = { "A", "B", "C", "A", "B", "C" };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        command_begin(world->writer, COMMAND_EVENT, DAY_ONE + (int64_t)i);
        command_ref(world->writer, REF_IDENTITY, BYTES("somebody"));
        command_name(world->writer, bytes_from(names[i]), false);
        command_end(world->writer);
    }
    assert_int_equal(world_submit(world).code, ERR_NONE);
    assert_int_equal(project_stats(world->project).events, 4);
}

static void a_value_that_a_setting_can_t_have_changes_nothing(void **state)
{
    struct world *world = *state;
    static const char *const names[] = { "join_existing",   "dedup_days", "limit.event_types",
                                         "limit.nonsense",  "nonsense",   "erase_key",
                                         "limit.name_bytes" };
    struct project_rules before = project_rules(world->project);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const struct value values[] = { value_int(-1), value_int(INT64_MAX),
                                        value_string(BYTES("x")) };
        for (size_t k = 0; k < sizeof values / sizeof values[0]; k++) {
            assert_non_null(project_setting_problem(bytes_from(names[i]), &values[k]));
            assert_int_equal(set(world, names[i], values[k]).code, ERR_NONE);
        }
    }
    struct project_rules after = project_rules(world->project);
    assert_int_equal(after.does_join_existing, before.does_join_existing);
    assert_int_equal(after.dedup_days, before.dedup_days);
    assert_memory_equal(&after.limits, &before.limits, sizeof before.limits);
}

static void watchers_see_events_as_they_are_applied(void **state)
{
    struct world *world = *state;
    struct live_reader *reader = NULL;
    struct buf lines;
    uint64_t skipped = 0;
    buf_init(&lines, 1 << 20);
    assert_int_equal(world_send(world, 0, 1, false).code, ERR_NONE);
    assert_int_equal(project_live_open(world->project, &reader).code, ERR_NONE);
    assert_int_equal(world_send(world, 1, 2, false).code, ERR_NONE);
    assert_int_equal(project_live_read(reader, 0, &lines, &skipped).code, ERR_NONE);
    buf_put_u8(&lines, '\0');
    assert_non_null(strstr((const char *)lines.ptr, "\"n\":1"));
    assert_non_null(strstr((const char *)lines.ptr, "\"n\":2"));
    assert_null(strstr((const char *)lines.ptr, "\"n\":0"));
    assert_int_equal(skipped, 0);
    /* A second holds 50; what is past them is counted. */
    assert_int_equal(world_send(world, 100, 60, false).code, ERR_NONE);
    buf_reset(&lines);
    assert_int_equal(project_live_read(reader, 0, &lines, &skipped).code, ERR_NONE);
    assert_int_equal(skipped, 12);
    project_live_close(reader);
    buf_done(&lines);
}

static void send_long(struct world *world, size_t len)
{
    char *text = malloc(len);
    assert_non_null(text);
    memset(text, 'x', len);
    struct value value = value_string(bytes_of(text, len));
    command_writer_reset(world->writer, world->clock.ms);
    command_begin(world->writer, COMMAND_EVENT, world->clock.ms);
    command_ref(world->writer, REF_IDENTITY, BYTES("p0"));
    command_name(world->writer, BYTES("Seen"), false);
    command_property(world->writer, BYTES("text"), PROPERTY_SET, &value);
    command_end(world->writer);
    assert_int_equal(world_submit(world).code, ERR_NONE);
    free(text);
}

/* The ring holds 256 lines. */
static void an_event_too_long_to_show_spoils_no_other_line(void **state)
{
    struct world *world = *state;
    struct live_reader *reader = NULL;
    struct buf lines;
    uint64_t skipped = 0;
    uint32_t count = 0;
    buf_init(&lines, 1 << 20);
    assert_int_equal(project_live_open(world->project, &reader).code, ERR_NONE);
    for (uint32_t n = 0; n < 256; n += 32) {
        assert_int_equal(world_send(world, n, 32, false).code, ERR_NONE);
        clock_sim_advance(&world->clock, MS_PER_SECOND);
    }
    send_long(world, 8192);
    assert_int_equal(project_live_read(reader, 0, &lines, &skipped).code, ERR_NONE);
    const char *end = (const char *)lines.ptr + lines.len;
    for (const char *at = (const char *)lines.ptr; at < end; count++) {
        const char *line_end = memchr(at, '\n', (size_t)(end - at));
        assert_true(line_end && line_end > at && at[0] == '{' && line_end[-1] == '}');
        at = line_end + 1;
    }
    assert_int_equal(count + skipped, 257);
    project_live_close(reader);
    buf_done(&lines);
}

static bool exists(struct world *world, const char *path)
{
    bool is_there = false;
    assert_int_equal(disk_exists(disk_sim_disk(world->sim), path, &is_there).code, ERR_NONE);
    return is_there;
}

static void what_a_crash_left_of_a_checkpoint_goes_with_the_next(void **state)
{
    struct world *world = *state;
    struct disk *disk = disk_sim_disk(world->sim);
    static const char *const left[] = { "projects/p/00000000000000000005.state",
                                        "projects/p/00000000000000000007.state.new" };
    for (int i = 0; i < 2; i++) {
        struct disk_file *file = NULL;
        assert_int_equal(disk_open(disk, left[i], DISK_CREATE, &file).code, ERR_NONE);
        file_close(file);
    }
    assert_int_equal(world_send(world, 0, 10, false).code, ERR_NONE);
    assert_int_equal(project_settle(world->project).code, ERR_NONE);
    assert_false(exists(world, left[0]));
    assert_false(exists(world, left[1]));
    assert_true(exists(world, "projects/p/00000000000000000012.state"));
}

static void a_state_file_of_another_position_is_damage(void **state)
{
    struct world *world = *state;
    struct disk *disk = disk_sim_disk(world->sim);
    struct buf old;
    buf_init(&old, 1 << 24);
    assert_int_equal(world_send(world, 0, 10, false).code, ERR_NONE);
    assert_int_equal(project_settle(world->project).code, ERR_NONE);
    assert_int_equal(
        disk_read_file(disk, "projects/p/00000000000000000012.state", 1 << 24, &old).code,
        ERR_NONE);
    assert_int_equal(world_send(world, 10, 10, false).code, ERR_NONE);
    assert_int_equal(project_settle(world->project).code, ERR_NONE);
    engine_abandon(world->engine);
    assert_int_equal(
        disk_replace_file(disk, "projects/p/00000000000000000022.state", buf_bytes(&old)).code,
        ERR_NONE);
    assert_int_equal(world_try_open(world).code, ERR_CORRUPT);
    buf_done(&old);
}

/* Something other than a full disk keeps checkpoints from being written, again and again. */
static void memory_stays_bounded_while_no_checkpoint_can_be_written(void **state)
{
    struct world *world = *state;
    struct disk *disk = disk_sim_disk(world->sim);
    struct numbers numbers;
    const char *in_the_way = "projects/p/00000000000000000010.state.new";
    const char *inside = "projects/p/00000000000000000010.state.new/x";
    uint32_t sent = 8;
    assert_int_equal(world_send(world, 0, sent, false).code, ERR_NONE);
    assert_int_equal(disk_make_dir(disk, in_the_way).code, ERR_NONE);
    assert_int_equal(disk_make_dir(disk, inside).code, ERR_NONE);
    assert_int_equal(project_settle(world->project).code, ERR_OS);
    while (sent < 1000 && !world_send(world, sent, 4, false).code)
        sent += 4;
    assert_in_range(sent, 9, 100);
    world_read(world, &numbers);
    assert_int_equal(numbers.total, sent);
    assert_int_equal(disk_remove(disk, inside).code, ERR_NONE);
    assert_int_equal(disk_remove(disk, in_the_way).code, ERR_NONE);
    assert_int_equal(project_settle(world->project).code, ERR_NONE);
    assert_int_equal(world_send(world, sent, 4, false).code, ERR_NONE);
    world_read(world, &numbers);
    assert_int_equal(numbers.total, sent + 4);
    assert_each_once(&numbers, 0, sent + 4);
    assert_false(world->is_broken);
}

static void a_project_with_a_bad_name_or_zone_is_refused(void **state)
{
    struct world *world = *state;
    struct project *other = NULL;
    struct project_settings settings = { .time_zone = BYTES("Nowhere/Land") };
    assert_int_equal(engine_project(world->engine, "q", &settings, true, &other).code, ERR_INVALID);
    settings.time_zone = BYTES("UTC");
    assert_int_equal(engine_project(world->engine, "../q", &settings, true, &other).code,
                     ERR_INVALID);
    assert_int_equal(engine_project(world->engine, "q", &settings, false, &other).code,
                     ERR_MISSING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(what_was_acknowledged_is_there_after_closing_and_after_a_kill),
        TEST(settling_leaves_nothing_to_replay_and_changes_no_answer),
        TEST(an_event_id_counts_once_across_batches_restarts_and_kills),
        TEST(an_event_id_counts_again_after_the_window),
        TEST(a_snapshot_stays_as_it_was),
        TEST(a_merge_moves_every_event_once),
        TEST(an_erased_person_leaves_no_trace_and_late_events_bring_nothing_back),
        TEST(erasing_somebody_takes_those_merged_into_them_out_of_the_files),
        TEST(a_second_server_on_the_folder_is_refused),
        TEST(a_full_disk_refuses_new_data_goes_on_answering_and_recovers),
        TEST(a_failed_sync_ends_everything_and_acknowledges_nothing),
        TEST(a_discarded_event_type_is_passed_over_until_it_is_restored),
        TEST(settings_hold_from_then_on_and_outlive_a_kill_and_a_checkpoint),
        TEST(past_a_limit_of_event_types_events_are_refused_and_the_rest_is_kept),
        TEST(a_value_that_a_setting_can_t_have_changes_nothing),
        TEST(watchers_see_events_as_they_are_applied),
        TEST(an_event_too_long_to_show_spoils_no_other_line),
        TEST(what_a_crash_left_of_a_checkpoint_goes_with_the_next),
        TEST(a_state_file_of_another_position_is_damage),
        TEST(memory_stays_bounded_while_no_checkpoint_can_be_written),
        TEST(a_project_with_a_bad_name_or_zone_is_refused),
#undef TEST
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

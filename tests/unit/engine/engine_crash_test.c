/*
 * engine_crash_test.c - the power is cut after every operation on the disk, in all that an engine
 * does: append, flush, compact, merge, checkpoint, trim, open. Each cut is looked at with several
 * ways in which unsynced writes survive.
 *
 * After each: every acknowledged batch is there, each of its events once; a batch that was in flight
 * is there whole or not at all; nothing else is there. And the folder goes on working.
 */
#include "engine_helper.h"

enum { BATCHES = 14, EVENTS = 6, SEEDS = 8, HISTORIES = 3 };

struct history {
    uint32_t acknowledged; /* batches */
    bool is_in_flight;     /* one more was sent and not acknowledged */
    bool is_merged[2];     /* p1 into p0, p3 into p2: acknowledged */
};

static struct err send_merge(struct world *world, const char *from, const char *into)
{
    command_writer_reset(world->writer, world->clock.ms);
    command_begin(world->writer, COMMAND_MERGE, world->clock.ms);
    command_ref(world->writer, REF_IDENTITY, bytes_from(from));
    command_ref(world->writer, REF_IDENTITY, bytes_from(into));
    command_end(world->writer);
    return world_submit(world);
}

/* What happens before batch `b`, by the history's number. */
static struct err between(struct world *world, uint32_t number, uint32_t b, struct history *history)
{
    struct err err = ok();
    if ((b + number) % 5 == 3)
        err = project_settle(world->project);
    if (!err.code && number != 0 && b == 6) {
        err = send_merge(world, "p1", "p0");
        history->is_merged[0] = !err.code;
    }
    if (!err.code && number == 2 && b == 11) {
        err = send_merge(world, "p3", "p2");
        history->is_merged[1] = !err.code;
    }
    if (!err.code && number == 1 && b == 9) {
        engine_close(world->engine);
        world->engine = NULL;
        err = world_try_open(world);
    }
    return err;
}

static void live_through(struct world *world, uint32_t number, struct history *history)
{
    struct err err = world_try_open(world);
    for (uint32_t b = 0; b < BATCHES && !err.code; b++) {
        err = between(world, number, b, history);
        if (err.code)
            break;
        err = world_send(world, b * EVENTS, EVENTS, number == 2);
        history->acknowledged += !err.code;
        history->is_in_flight = err.code != ERR_NONE;
    }
    if (world->engine)
        engine_abandon(world->engine);
    world->engine = NULL;
}

static void check_numbers(const struct numbers *numbers, const struct history *history)
{
    uint32_t acknowledged = history->acknowledged * EVENTS;
    for (uint32_t n = 0; n < acknowledged; n++)
        assert_int_equal(numbers->seen[n], 1);
    uint32_t in_flight = numbers->total - acknowledged;
    assert_true(in_flight == 0 || (history->is_in_flight && in_flight == EVENTS));
    for (uint32_t n = acknowledged; n < acknowledged + in_flight; n++)
        assert_int_equal(numbers->seen[n], 1);
}

static void check_after(struct disk_sim *after, const struct history *history)
{
    struct world world;
    struct numbers numbers;
    world_init(&world);
    disk_sim_free(world.sim);
    world.sim = after;
    world_open(&world);
    world_read(&world, &numbers);
    check_numbers(&numbers, history);
    for (uint32_t i = 0; i < 2; i++) {
        const char *from = i ? "p3" : "p1";
        const char *into = i ? "p2" : "p0";
        uint32_t user = project_find_user(world.project, bytes_from(from));
        if (history->is_merged[i])
            assert_int_equal(user, project_find_user(world.project, bytes_from(into)));
    }
    /* It goes on from there, through a checkpoint and another opening. */
    uint32_t next = numbers.total;
    assert_int_equal(world_send(&world, 2000, EVENTS, false).code, ERR_NONE);
    assert_int_equal(project_settle(world.project).code, ERR_NONE);
    engine_close(world.engine);
    world_open(&world);
    world_read(&world, &numbers);
    assert_int_equal(numbers.total, next + EVENTS);
    world_done(&world);
}

/* Returns false when the whole history was lived through without reaching the cut. */
static bool check_cut(uint32_t number, uint64_t cut, uint64_t *checked)
{
    struct world world;
    struct history history = { .acknowledged = 0 };
    world_init(&world);
    disk_sim_cut_after(world.sim, cut);
    live_through(&world, number, &history);
    bool was_cut = disk_sim_is_cut(world.sim);
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct disk_sim *after = NULL;
        uint64_t mixed = seed < 2 ? seed : cut * SEEDS + seed;
        assert_int_equal(disk_sim_crash(world.sim, mixed, &after).code, ERR_NONE);
        check_after(after, &history);
        ++*checked;
    }
    world_done(&world);
    return was_cut;
}

static void nothing_acknowledged_is_lost_at_any_cut(void **state)
{
    uint64_t checked = 0;
    (void)state;
    for (uint32_t number = 0; number < HISTORIES; number++) {
        for (uint64_t cut = 1; check_cut(number, cut, &checked); cut++) {
        }
    }
    print_message("%llu cuts\n", (unsigned long long)checked);
}

/* A batch that was written and not synced when the process was killed is replayed at the next start.
 * It has to be durable before a checkpoint says so: or a power cut takes it from under the checkpoint. */
static void check_cut_after_kill(struct disk_sim *killed, uint64_t cut, bool *was_cut)
{
    struct history history = { .acknowledged = 4, .is_in_flight = true };
    struct world world;
    world_init(&world);
    disk_sim_free(world.sim);
    assert_int_equal(disk_sim_clone(killed, &world.sim).code, ERR_NONE);
    world.flush_events = 14; /* reached by the batch in question */
    disk_sim_cut_after(world.sim, cut);
    struct err err = world_try_open(&world);
    if (world.engine)
        engine_abandon(world.engine);
    world.engine = NULL;
    *was_cut = disk_sim_is_cut(world.sim);
    assert_true(*was_cut || !err.code);
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct disk_sim *after = NULL;
        assert_int_equal(disk_sim_crash(world.sim, seed, &after).code, ERR_NONE);
        check_after(after, &history);
    }
    world_done(&world);
}

static void a_power_cut_while_starting_after_a_kill_loses_nothing(void **state)
{
    struct world world;
    bool was_cut = true;
    (void)state;
    world_init(&world);
    world.flush_events = 1000;
    world_open(&world);
    for (uint32_t b = 0; b < 4; b++)
        assert_int_equal(world_send(&world, b * EVENTS, EVENTS, false).code, ERR_NONE);
    disk_sim_cut_after(world.sim, 2); /* the write, and the sync that fails */
    assert_int_not_equal(world_send(&world, 4 * EVENTS, EVENTS, false).code, ERR_NONE);
    for (uint64_t cut = 1; was_cut; cut++)
        check_cut_after_kill(world.sim, cut, &was_cut);
    world_done(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_acknowledged_is_lost_at_any_cut),
        cmocka_unit_test(a_power_cut_while_starting_after_a_kill_loses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

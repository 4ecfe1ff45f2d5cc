/*
 * rest_test.c - what is read in a quick way at rest is what is counted row by row in memory.
 *
 * Two stores get the same random history: one keeps it in runs, the other is brought to rest again
 * and again (bases, then patches of late events, users who are erased). Every question is asked of
 * both. Days are those of UTC+05:30, so that months begin within one.
 */
#include "base/rng.h"
#include "query/query.h"
#include "sys/disk_sim.h"
#include "sys/sys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { USERS = 60, ROUNDS = 5, EVENTS = 700 };

static const char *const QUESTIONS[] = {
    "SELECT count(), users() WHERE event = 'A' GROUP BY day",
    "SELECT users() GROUP BY event, day",
    "SELECT users() GROUP BY day",
    "SELECT count() GROUP BY week",
    "SELECT count() GROUP BY month, event",
    "SELECT count(), users() GROUP BY month",
    "SELECT count()",
    "SELECT count() / users() WHERE event = 'B' SINCE '2025-01-31T20:00' UNTIL '2025-03-02T07:13' "
    "GROUP BY day",
    "SELECT count(), users() WHERE event = 'A' SINCE '2025-02-11T10:00' UNTIL '2025-02-11T15:00' "
    "GROUP BY day",
    "SELECT count(), users() WHERE event = 'A' SINCE '2025-02-01' UNTIL '2025-02-20' GROUP BY day",
    "SELECT users() WHERE event = 'A' GROUP BY day IN TIME ZONE 'UTC'",
    "SELECT count() GROUP BY day, event LIMIT 3 WITH OTHER",
    "SELECT users() GROUP BY day ORDER BY users() DESC LIMIT 7",
    "SELECT users() FILTER (WHERE n > 5), count() WHERE event = 'A' GROUP BY day",
    "SELECT count() WHERE event = 'A' GROUP BY n ORDER BY count() DESC LIMIT 5",
    "SELECT count() GROUP BY n ORDER BY count() DESC LIMIT 5",
    "SELECT count() GROUP BY n ORDER BY count() LIMIT 5",
    "SELECT count() GROUP BY n ORDER BY n DESC LIMIT 5",
    "SELECT count() AS c, count() WHERE n > 3 GROUP BY n ORDER BY c DESC, n DESC LIMIT 4",
    "SELECT count() GROUP BY mixed ORDER BY count() DESC LIMIT 5",
    "SELECT count() GROUP BY wide ORDER BY count() DESC LIMIT 9",
    "SELECT count() GROUP BY n ORDER BY count() DESC LIMIT 3 WITH OTHER",
    "SELECT count() GROUP BY n",
    "SELECT count(), sum(n), sum(real) GROUP BY text ORDER BY sum(n) DESC LIMIT 100",
    "SELECT count() GROUP BY text ORDER BY count() DESC LIMIT 3",
    "SELECT avg(real), min(n), max(n), distinct(n), percentile(n, 0.5) GROUP BY event",
    "SELECT users() WHERE event = 'A' SINCE '2025-01-20' UNTIL '2025-03-20'",
    "SEGMENT DID 'A' COUNT >= 5 SINCE '2025-02-02'",
    "SEGMENT DID 'A' COUNT >= 2 SINCE '2025-02-02' UNTIL '2025-02-27T11:11'",
    "SEGMENT DID 'A' WHERE n > 3 COUNT >= 2 SINCE '2025-02-14T03:00'",
    "SEGMENT DID 'A' COUNT >= 3 BEFORE '2025-02-05'",
    "SEGMENT DID 'B' SUM(n) > 20 SINCE '2025-02-02' AND NOT DID 'C' DAYS >= 3",
    "FUNNEL 'A' THEN 'B' THEN 'C' WITHIN 3 days SINCE '2025-01-10'",
    "FUNNEL 'A' THEN 'B' THEN 'C' WITHIN 7 days SINCE '2025-01-20T05:00' UNTIL '2025-03-03'",
    "FUNNEL 'A' THEN 'B' THEN 'C' THEN 'D' WITHIN 9 days TIES SEQ",
    "FUNNEL 'C' THEN 'A' WITHIN 1 days",
    "FUNNEL 'A' WHERE n > 4 THEN 'B' THEN 'C' WHERE n < 8 WITHIN 5 days",
    "RETENTION OF FIRST 'A' RETURNING 'B' DAILY FOR 20 SINCE '2025-01-01' UNTIL '2025-04-01'",
    "RETENTION OF FIRST 'A' RETURNING 'A' DAILY FOR 90 SINCE '2025-01-05' UNTIL '2025-02-03'",
    "RETENTION OF FIRST 'A' RETURNING 'B' WEEKLY FOR 8 ON OR AFTER SINCE '2025-01-09'",
    "RETENTION OF 'A' RETURNING 'B' DAILY FOR 5 SINCE '2025-01-28' UNTIL '2025-02-03'",
};

struct side {
    struct disk_sim *sim;
    struct store *store;
    uint64_t position;
    bool rests;
};

struct world {
    struct side sides[2];
    struct catalog *catalog;
    struct profiles *profiles;
    struct profile_view *view;
    struct zone *zone;
    struct zone *utc;
    struct clock_sim clock;
    struct thread_pool *pool;
    struct rng rng;
    uint64_t seq;
    uint64_t dead;
};

static void must(struct err err)
{
    if (err.code)
        fail_msg("%s (%d)", err.what, err.code);
}

static struct value random_value(struct world *world, uint32_t property)
{
    static const char *const TEXTS[] = { "red", "green", "blue", "",
                                         "long enough not to be small" };
    uint32_t n = (uint32_t)rng_below(&world->rng, 10);
    switch (property) {
    case 0: /* n */
        return value_int(n * n / 9);
    case 1: /* mixed */
        if (n < 3)
            return value_real(n);
        return n < 6 ? value_string(BYTES("three")) : value_int(n - 5);
    case 2: /* wide */
        return value_int(n < 2 ? INT64_MIN + n : n < 4 ? INT64_MAX - n : n);
    case 3: /* text */
        return value_string(bytes_from(TEXTS[n % 5]));
    default: /* real */
        return value_real(n / 7.0);
    }
}

static void happen(struct world *world)
{
    static const char *const NAMES[] = { "n", "mixed", "wide", "text", "real" };
    static const char *const TYPES[] = { "A", "B", "C", "D" };
    struct store_property properties[5];
    struct store_event event = { .seq = ++world->seq, .properties = properties };
    event.user = (uint32_t)rng_below(&world->rng, USERS);
    event.time_ms = INT64_C(1735689600000) + (int64_t)rng_below(&world->rng, 90) * MS_PER_DAY +
                    (int64_t)rng_below(&world->rng, 96) * 900000;
    const char *type = TYPES[rng_below(&world->rng, 16) * rng_below(&world->rng, 16) / 64];
    must(catalog_event_put(world->catalog, bytes_from(type), false, &event.event, NULL));
    catalog_saw_event(world->catalog, event.event, event.time_ms);
    for (uint32_t p = 0; p < 5; p++) {
        struct store_property *to = &properties[event.property_count];
        must(catalog_property_put(world->catalog, bytes_from(NAMES[p]), &to->property));
        to->value = random_value(world, p);
        if (rng_below(&world->rng, 8) == 0)
            continue;
        must(catalog_saw_property(world->catalog, event.event, to->property, to->value.type));
        event.property_count++;
    }
    for (int i = 0; i < 2; i++)
        must(world->sides[i].store->ops->append(world->sides[i].store, &event, 1));
}

static void bring_to_rest(struct side *side)
{
    const struct store_ops *ops = side->store->ops;
    bool did_work = true;
    must(ops->checkpoint_begin(side->store, ++side->position));
    must(ops->checkpoint_write(side->store, BYTES("")));
    must(ops->checkpoint_begin(side->store, ++side->position));
    must(ops->checkpoint_write(side->store, BYTES("")));
    while (did_work)
        must(ops->maintain(side->store, &did_work));
}

static bool is_living(void *ctx, uint32_t user)
{
    const struct world *world = ctx;
    return !(world->dead >> user & 1);
}

static struct err load_zone(void *ctx, struct bytes name, const struct zone **out)
{
    const struct world *world = ctx;
    (void)name;
    *out = world->utc;
    return ok();
}

static void answer(struct world *world, struct side *side, const char *cql, struct buf *to)
{
    struct store_snapshot *snapshot = NULL;
    struct query_problem problem = { 0 };
    struct query *query = NULL;
    struct table table;
    struct arena arena;

    must(side->store->ops->snapshot(side->store, &snapshot));
    struct query_source source = {
        .snapshot = snapshot,
        .catalog = world->catalog,
        .profiles = world->view,
        .zone = world->zone,
        .week_start = MONDAY,
        .identities = world,
        .is_living = is_living,
        .load_zone = load_zone,
        .now_ms = INT64_C(1743500000000),
    };
    struct query_options options = { .clock = &world->clock.clock, .pool = world->pool };
    arena_init(&arena, 64 << 20);
    struct err err = query_parse_cql(bytes_from(cql), &arena, &query, &problem);
    if (!err.code)
        err = query_run(query, &source, &options, &arena, &table, &problem);
    if (err.code)
        fail_msg("%s\n  %.*s", cql, BYTES_FMT(problem.message));
    buf_reset(to);
    table_put_csv(&table, to);
    table_done(&table);
    arena_done(&arena);
    snapshot->ops->snapshot_free(snapshot);
}

static void compare(struct world *world, int round)
{
    struct buf left;
    struct buf right;
    buf_init(&left, 16 << 20);
    buf_init(&right, 16 << 20);
    for (size_t i = 0; i < sizeof QUESTIONS / sizeof *QUESTIONS; i++) {
        answer(world, &world->sides[0], QUESTIONS[i], &left);
        answer(world, &world->sides[1], QUESTIONS[i], &right);
        if (!bytes_equal(buf_bytes(&left), buf_bytes(&right)))
            fail_msg("round %d: %s\n%.*s\n%.*s", round, QUESTIONS[i], BYTES_FMT(buf_bytes(&left)),
                     BYTES_FMT(buf_bytes(&right)));
        assert_true(left.len > 0);
    }
    buf_done(&left);
    buf_done(&right);
}

static void open_side(struct world *world, struct side *side)
{
    must(disk_sim_new(&side->sim));
    struct store_files_config config = { .disk = disk_sim_disk(side->sim),
                                         .dir = "p",
                                         .shards = 2,
                                         .zone = world->zone,
                                         .tail_events = side->rests ? 64 : 1000000 };
    must(disk_make_dir(config.disk, "p"));
    must(store_open_files(&config, &side->position, NULL, &side->store));
}

static void test_what_is_at_rest_answers_as_what_is_in_memory(void **state)
{
    struct world world = { .sides = { { .sim = NULL }, { .rests = true } } };
    (void)state;
    must(zone_fixed(19800, &world.zone));
    must(zone_fixed(0, &world.utc));
    must(catalog_new(&world.catalog));
    must(profiles_new((struct profile_limits){ 100, 512, 1 << 20 }, &world.profiles));
    must(profile_view_take(world.profiles, &world.view));
    must(thread_pool_new(1, &world.pool));
    clock_sim_init(&world.clock, 0);
    rng_init(&world.rng, 5);
    for (int i = 0; i < 2; i++)
        open_side(&world, &world.sides[i]);
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < EVENTS; i++)
            happen(&world);
        if (round == 3) {
            world.dead |= 1u << 7;
            for (int i = 0; i < 2; i++)
                must(world.sides[i].store->ops->mask_user(world.sides[i].store, 7, true));
        }
        compare(&world, round); /* one of them partly at rest */
        bring_to_rest(&world.sides[1]);
        compare(&world, round);
    }
    for (int i = 0; i < 2; i++) {
        world.sides[i].store->ops->close(world.sides[i].store);
        disk_sim_free(world.sides[i].sim);
    }
    thread_pool_free(world.pool);
    profile_view_release(world.view);
    profiles_free(world.profiles);
    catalog_free(world.catalog);
    zone_free(world.zone);
    zone_free(world.utc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_at_rest_answers_as_what_is_in_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * run_test.c - questions on a small world whose answers can be counted by hand.
 *
 * The world is in UTC+05:30 and `now` is 2025-03-10 12:00 there. Answers are compared as CSV.
 */
#include "random_tree.h"

#include "base/bits.h"
#include "query/members.h"
#include "sys/disk_sim.h"
#include "sys/sys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct world {
    struct disk_sim *sim;
    struct store *store;
    struct store_snapshot *snapshot;
    struct catalog *catalog;
    struct profiles *profiles;
    struct profile_view *view;
    struct zone *zone;
    struct json_parser *parser;
    struct clock_sim clock;
    struct thread_pool *pool;
    uint64_t seq;
    struct query_options options;
    struct query_problem problem;
    struct arena arena;
    struct buf text;
    uint64_t dead; /* bit per user */
};

static void must(struct err err)
{
    if (err.code)
        fail_msg("%s (%d)", err.what, err.code);
}

/* --- the world ------------------------------------------------------------------------------- */

static struct value value_of(struct world *world, struct json_value json)
{
    int64_t time_ms;
    switch (json_type(json)) {
    case JSON_INT:
        return value_int(json_int(json));
    case JSON_REAL:
        return value_real(json_real(json));
    case JSON_TRUE:
    case JSON_FALSE:
        return value_bool(json_is(json, JSON_TRUE));
    case JSON_STRING: /* "@2025-01-01" is a time */
        if (json_string(json).len > 0 && json_string(json).ptr[0] == '@') {
            struct bytes text = bytes_slice(json_string(json), 1, 64);
            assert_true(calendar_parse(text, world->zone, &time_ms, NULL));
            return value_time(time_ms);
        }
        return value_string(arena_copy(&world->arena, json_string(json)));
    default: {
        struct bytes *items = arena_calloc(&world->arena, json_count(json), sizeof *items);
        struct value list = { .type = VALUE_LIST, .items = items };
        struct json_iter it = json_items(json);
        while (json_next(&it))
            items[list.count++] = arena_copy(&world->arena, json_string(it.value));
        return list;
    }
    }
}

static void append(struct world *world, struct store_event event, struct json_value members)
{
    struct store_property properties[16];
    struct json_iter it = json_members(members);
    event.properties = properties;
    while (json_next(&it)) {
        struct store_property *property = &properties[event.property_count];
        if (bytes_equal(it.key, BYTES("Items")))
            continue;
        must(catalog_property_put(world->catalog, it.key, &property->property));
        property->value = value_of(world, it.value);
        must(catalog_saw_property(world->catalog, event.event, property->property,
                                  property->value.type));
        event.property_count++;
    }
    catalog_saw_event(world->catalog, event.event, event.time_ms);
    must(world->store->ops->append(world->store, &event, 1));
}

static struct json_value parse(struct world *world, const char *text)
{
    struct json_value root;
    struct json_problem problem;
    assert_true(json_parse(world->parser, bytes_from(text), &root, &problem));
    return root;
}

static void happen(struct world *world, uint32_t user, const char *name, const char *time,
                   const char *members)
{
    struct json_value root = parse(world, members);
    struct json_value items;
    struct store_event event = { .user = user, .seq = ++world->seq };
    assert_true(calendar_parse(bytes_from(time), world->zone, &event.time_ms, NULL));
    must(catalog_event_put(world->catalog, bytes_from(name), false, &event.event, NULL));
    append(world, event, root);
    if (!json_find(root, BYTES("Items"), &items))
        return;
    must(catalog_event_items_put(world->catalog, event.event, &event.event));
    struct json_iter it = json_items(items);
    while (json_next(&it))
        append(world, event, it.value);
}

static void person(struct world *world, uint32_t user, const char *members)
{
    struct json_iter it = json_members(parse(world, members));
    while (json_next(&it)) {
        uint32_t property;
        bool is_ignored;
        struct value value = value_of(world, it.value);
        must(catalog_property_put(world->catalog, it.key, &property));
        must(profile_apply(world->profiles, user, property, PROFILE_SET, &value, &is_ignored));
        must(catalog_saw_profile_property(world->catalog, property, value.type));
    }
}

static void fill(struct world *world)
{
    person(world, 0, "{\"city\":\"Pune\",\"age\":30,\"tags\":[\"vip\",\"new\"]}");
    person(world, 1, "{\"city\":\"Goa\",\"age\":20.5}");
    person(world, 2, "{\"age\":40,\"born\":\"@1990-05-01\"}");
    person(world, 4, "{\"city\":\"Pune\"}"); /* never did anything */
    person(world, 5, "{\"city\":\"Pune\"}"); /* merged away */
    world->dead = UINT64_C(1) << 5;

    happen(world, 0, "Login", "2025-03-01T00:10", "{\"device\":\"ios\"}");
    happen(world, 0, "Login", "2025-03-01T00:20", "{\"device\":\"ios\"}");
    happen(world, 0, "Login", "2025-03-09T23:00", "{\"device\":\"web\"}");
    happen(world, 1, "Login", "2025-03-01T05:00", "{\"device\":\"android\"}");
    happen(world, 2, "Login", "2025-02-28T23:59", "{}");
    happen(world, 0, "Charged", "2025-03-01T00:15",
           "{\"Amount\":100,\"Paid\":true,\"Items\":[{\"Category\":\"toys\",\"Price\":60},"
           "{\"Category\":\"toys\",\"Price\":30},{\"Category\":\"books\",\"Price\":10}]}");
    happen(world, 1, "Charged", "2025-03-02T10:00",
           "{\"Amount\":50.5,\"Code\":\"x\",\"Items\":[{\"Category\":\"books\",\"Price\":50.5}]}");
    happen(world, 1, "Charged", "2025-03-05T10:00", "{\"Amount\":7,\"Code\":7}");
    happen(world, 2, "Charged", "2025-03-05T11:00",
           "{\"Code\":\"y\",\"When\":\"@2025-03-04T10:00\"}");
    happen(world, 3, "Refunded", "2025-01-15T10:00", "{\"Amount\":-5}");
}

static uint32_t find_user(void *ctx, struct bytes identity)
{
    (void)ctx;
    return identity.len == 2 && identity.ptr[0] == 'u' ? (uint32_t)(identity.ptr[1] - '0')
                                                       : UINT32_MAX;
}

static struct bytes show_user(void *ctx, uint32_t user, struct arena *arena)
{
    (void)ctx;
    return arena_printf(arena, "u%u", user);
}

static bool is_living(void *ctx, uint32_t user)
{
    const struct world *world = ctx;
    return !(world->dead >> user & 1);
}

static struct err load_zone(void *ctx, struct bytes name, const struct zone **out)
{
    static struct zone *utc;
    (void)ctx;
    if (!bytes_equal(name, BYTES("UTC")))
        return err_new(ERR_MISSING, "test: zone");
    if (!utc)
        must(zone_fixed(0, &utc));
    *out = utc;
    return ok();
}

static struct query_source source_of(struct world *world)
{
    struct query_source source = {
        .snapshot = world->snapshot,
        .catalog = world->catalog,
        .profiles = world->view,
        .zone = world->zone,
        .week_start = MONDAY,
        .position = 77,
        .identities = world,
        .find_user = find_user,
        .show_user = show_user,
        .is_living = is_living,
        .load_zone = load_zone,
    };
    assert_true(calendar_parse(BYTES("2025-03-10T12:00"), world->zone, &source.now_ms, NULL));
    return source;
}

static int setup(void **state)
{
    static struct world own;
    struct world *world = &own;
    uint64_t position;

    *world = (struct world){ .sim = NULL };
    arena_init(&world->arena, 64 << 20);
    buf_init(&world->text, 1 << 20);
    must(zone_fixed(19800, &world->zone));
    must(disk_sim_new(&world->sim));
    struct store_files_config config = { .disk = disk_sim_disk(world->sim),
                                         .dir = "p",
                                         .shards = 2,
                                         .zone = world->zone,
                                         .tail_events = 4 };
    must(disk_make_dir(config.disk, "p"));
    must(store_open_files(&config, &position, NULL, &world->store));
    must(catalog_new(&world->catalog));
    must(profiles_new((struct profile_limits){ 100, 512, 1 << 20 }, &world->profiles));
    must(json_parser_new(1 << 20, 256, &world->parser));
    must(thread_pool_new(1, &world->pool));
    clock_sim_init(&world->clock, 0);
    world->options = (struct query_options){ .clock = &world->clock.clock, .pool = world->pool };
    fill(world);
    must(world->store->ops->snapshot(world->store, &world->snapshot));
    must(profile_view_take(world->profiles, &world->view));
    *state = world;
    return 0;
}

static int teardown(void **state)
{
    struct world *world = *state;
    profile_view_release(world->view);
    profiles_free(world->profiles);
    world->snapshot->ops->snapshot_free(world->snapshot);
    world->store->ops->close(world->store);
    catalog_free(world->catalog);
    json_parser_free(world->parser);
    thread_pool_free(world->pool);
    zone_free(world->zone);
    disk_sim_free(world->sim);
    buf_done(&world->text);
    arena_done(&world->arena);
    return 0;
}

/* --- asking --------------------------------------------------------------------------------------- */

static struct err ask(struct world *world, const char *cql, struct table *table)
{
    struct query_source source = source_of(world);
    struct arena arena;
    struct query *query;

    world->problem = (struct query_problem){ 0 };
    arena_init(&arena, 64 << 20);
    struct err err = query_parse_cql(bytes_from(cql), &arena, &query, &world->problem);
    if (!err.code)
        err = query_run(query, &source, &world->options, &arena, table, &world->problem);
    if (err.code) { /* the words outlive the arena */
        world->problem.message = arena_copy(&world->arena, world->problem.message);
        world->problem.suggestion = arena_copy(&world->arena, world->problem.suggestion);
    }
    arena_done(&arena);
    return err;
}

static void assert_answer(struct world *world, const char *cql, const char *expected)
{
    struct table table;
    struct err err = ask(world, cql, &table);
    if (err.code)
        print_error("%s\n  %.*s\n", cql, BYTES_FMT(world->problem.message));
    assert_int_equal(err.code, ERR_NONE);
    buf_reset(&world->text);
    table_put_csv(&table, &world->text);
    table_done(&table);
    size_t len = 0;
    for (size_t i = 0; i < world->text.len; i++)
        if (world->text.ptr[i] != '\r')
            world->text.ptr[len++] = world->text.ptr[i];
    world->text.len = len;
    buf_put_u8(&world->text, 0);
    if (strcmp((const char *)world->text.ptr, expected) != 0)
        print_error("%s\n", cql);
    assert_string_equal((const char *)world->text.ptr, expected);
}

static void assert_refused(struct world *world, const char *cql, size_t offset,
                           const char *suggestion)
{
    struct table table;
    assert_int_equal(ask(world, cql, &table).code, ERR_INVALID);
    assert_int_equal(world->problem.offset, offset);
    assert_true(world->problem.message.len > 0);
    assert_string_equal((const char *)world->problem.suggestion.ptr, suggestion);
}

static void assert_count(struct world *world, const char *filter, int expected)
{
    char cql[256];
    char rows[64];
    (void)snprintf(cql, sizeof cql, "SELECT count() WHERE %s", filter);
    (void)snprintf(rows, sizeof rows, "count()\n%d\n", expected);
    assert_answer(world, cql, rows);
}

static void assert_segment(struct world *world, const char *condition, const char *users)
{
    char cql[512];
    char rows[128] = "user_id,identity\n";
    (void)snprintf(cql, sizeof cql, "USERS WHERE %s", condition);
    for (const char *user = users; *user; user++) {
        char row[16];
        (void)snprintf(row, sizeof row, "%c,u%c\n", *user, *user);
        strcat(rows, row);
    }
    assert_answer(world, cql, rows);
    (void)snprintf(cql, sizeof cql, "SEGMENT %s", condition);
    (void)snprintf(rows, sizeof rows, "users\n%zu\n", strlen(users));
    assert_answer(world, cql, rows);
}

/* --- select ------------------------------------------------------------------------------------------ */

static void test_measures_count_each_event_and_user_once(void **state)
{
    assert_answer(*state, "SELECT count(), users() GROUP BY event",
                  "event,count(),users()\nCharged,4,3\nLogin,5,3\nRefunded,1,1\n");
    assert_answer(*state, "SELECT count(), users()", "count(),users()\n10,4\n");
    assert_answer(*state, "SELECT count() WHERE event = 'Refunded' AND Amount > 0", "count()\n0\n");
}

static void test_numbers_of_both_types_are_one_property(void **state)
{
    assert_answer(*state,
                  "SELECT sum(Amount), avg(Amount), min(Amount), max(Amount), "
                  "percentile(Amount, 0.5), distinct(Amount) WHERE event = 'Charged'",
                  "sum(Amount),avg(Amount),min(Amount),max(Amount),\"percentile(Amount, "
                  "0.5)\",distinct(Amount)\n157.5,52.5,7,100,50.5,3\n");
    assert_answer(*state, "SELECT sum(Amount), percentile(Amount, 0.5) WHERE event = 'Login'",
                  "sum(Amount),\"percentile(Amount, 0.5)\"\n,\n");
}

static void test_days_are_those_of_the_zone(void **state)
{
    assert_answer(*state, "SELECT count() WHERE event = 'Login' GROUP BY day",
                  "day,count()\n2025-02-28,1\n2025-03-01,3\n2025-03-09,1\n");
    assert_answer(*state, "SELECT count() WHERE event = 'Login' GROUP BY day IN TIME ZONE 'UTC'",
                  "day,count()\n2025-02-28,4\n2025-03-09,1\n");
    assert_answer(*state, "SELECT count(), users() GROUP BY month",
                  "month,count(),users()\n2025-01-01,1,1\n2025-02-01,1,1\n2025-03-01,8,3\n");
    assert_answer(*state, "SELECT count() WHERE event = 'Charged' GROUP BY hour",
                  "hour,count()\n2025-03-01T00:00:00+05:30,1\n2025-03-02T10:00:00+05:30,1\n"
                  "2025-03-05T10:00:00+05:30,1\n2025-03-05T11:00:00+05:30,1\n");
}

static void test_until_is_exclusive_and_between_is_not(void **state)
{
    assert_answer(*state, "SELECT count() SINCE '2025-03-01' UNTIL '2025-03-02'", "count()\n4\n");
    assert_answer(*state, "SELECT count() BETWEEN '2025-03-01' AND '2025-03-02'", "count()\n5\n");
    assert_answer(*state, "SELECT count() SINCE '2025-03-01T00:15' UNTIL '2025-03-01T00:20'",
                  "count()\n1\n");
    assert_answer(*state, "SELECT count() SINCE 9 days ago UNTIL now", "count()\n8\n");
    assert_answer(*state, "SELECT count() YESTERDAY", "count()\n1\n");
    assert_answer(*state, "SELECT count() IN LAST 13 hours", "count()\n1\n");
    assert_answer(*state, "SELECT count() IN LAST 12 hours", "count()\n0\n");
}

static void test_groups_are_values_and_absent_is_one_of_them(void **state)
{
    assert_answer(*state, "SELECT count() WHERE event = 'Login' GROUP BY device",
                  "device,count()\nandroid,1\nios,2\nweb,1\n,1\n");
    assert_answer(*state, "SELECT count() WHERE event = 'Charged' GROUP BY Code",
                  "Code,count()\n7,1\nx,1\ny,1\n,1\n");
    assert_answer(*state, "SELECT users() GROUP BY profile.city",
                  "profile.city,users()\nGoa,1\nPune,1\n,2\n");
    assert_answer(*state,
                  "SELECT count() WHERE event = 'Login' GROUP BY device ORDER BY count() "
                  "DESC, device DESC LIMIT 2",
                  "device,count()\nios,2\nweb,1\n");
}

static void test_other_is_exactly_what_the_limit_cuts(void **state)
{
    assert_answer(
        *state, "SELECT count(), users() WHERE event = 'Login' GROUP BY device LIMIT 1 WITH OTHER",
        "device,count(),users()\nios,2,1\n(other),3,3\n");
    assert_answer(*state,
                  "SELECT users() WHERE event = 'Login' AND device EXISTS GROUP BY month, device "
                  "ORDER BY month LIMIT 1 WITH OTHER",
                  "month,device,users()\n2025-03-01,android,1\n2025-03-01,(other),1\n");
}

static void test_formulas_are_null_where_they_have_no_value(void **state)
{
    assert_answer(*state,
                  "SELECT count() / users() AS each, sum(Amount) / (count() - 4) AS none "
                  "WHERE event = 'Charged'",
                  "each,none\n1.3333333333333333,\n");
    assert_answer(*state,
                  "SELECT count() FILTER (WHERE event = 'Charged') / count() "
                  "FILTER (WHERE event = 'Login') * 100",
                  "count() FILTER (WHERE event = 'Charged') / count() FILTER (WHERE event = "
                  "'Login') * 100\n80\n");
}

static void test_a_session_ends_after_twenty_minutes(void **state)
{
    assert_answer(*state, "SELECT sessions()", "sessions()\n8\n");
    assert_answer(*state, "SELECT sessions() WHERE event = 'Login' GROUP BY day",
                  "day,sessions()\n2025-02-28,1\n2025-03-01,2\n2025-03-09,1\n");
}

/* --- filters ---------------------------------------------------------------------------------------------- */

static void test_a_missing_property_matches_no_comparison(void **state)
{
    assert_count(*state, "Amount = 100", 1);
    assert_count(*state, "Amount != 100", 3);
    assert_count(*state, "NOT Amount = 100", 9); /* not: all others, absent or not */
    assert_count(*state, "Amount EXISTS", 4);
    assert_count(*state, "Amount NOT EXISTS", 6);
    assert_count(*state, "Amount IN (7, 50.5, 'x')", 2);
    assert_count(*state, "Amount BETWEEN 7 AND 50.5", 2);
    assert_count(*state, "Amount > 50 AND Amount < 51", 1);
    assert_count(*state, "Amount >= 9223372036854775807", 0);
}

static void test_other_types_are_unequal_and_have_no_order(void **state)
{
    assert_count(*state, "Code = 7", 1);
    assert_count(*state, "Code = '7'", 0);
    assert_count(*state, "Code != '7'", 3);
    assert_count(*state, "Code > 'a'", 2);
    assert_count(*state, "Code < 8", 1);
    assert_count(*state, "Paid = TRUE", 1);
    assert_count(*state, "Paid = FALSE", 0);
    assert_count(*state, "Paid != FALSE", 1);
}

static void test_texts_compare_by_bytes_parts_and_patterns(void **state)
{
    assert_count(*state, "device CONTAINS 'o'", 3);
    assert_count(*state, "device ICONTAINS 'IO'", 2);
    assert_count(*state, "device STARTS WITH 'a'", 1);
    assert_count(*state, "device ENDS WITH 'b'", 1);
    assert_count(*state, "device MATCHES '^(ios|web)$'", 3);
    assert_count(*state, "device BETWEEN 'ios' AND 'ios'", 2);
}

static void test_a_time_compares_with_dates_as_whole_days(void **state)
{
    assert_count(*state, "When = '2025-03-04'", 1);
    assert_count(*state, "When > '2025-03-04'", 0);
    assert_count(*state, "When >= '2025-03-04'", 1);
    assert_count(*state, "When > '2025-03-04T09:59'", 1);
    assert_count(*state, "When < '2025-03-04'", 0);
}

static void test_an_event_matches_when_one_of_its_items_does(void **state)
{
    assert_count(*state, "Items.Category = 'books'", 2);
    assert_count(*state, "Items.Category = 'toys'", 1);
    assert_count(*state, "Items.Price > 50", 2);
    assert_count(*state, "event = 'Charged' AND NOT Items.Category = 'toys'", 3);
    assert_count(*state, "Items.Category EXISTS", 2);
}

static void test_items_are_rows_where_they_are_keys(void **state)
{
    assert_answer(*state,
                  "SELECT count(), users(), sum(Items.Price), sum(Amount) WHERE event = 'Charged' "
                  "GROUP BY Items.Category",
                  "Items.Category,count(),users(),sum(Items.Price),sum(Amount)\n"
                  "books,2,2,60.5,150.5\ntoys,1,1,90,100\n,2,2,,7\n");
    assert_answer(*state, "SELECT sum(Items.Price), distinct(Items.Category) WHERE Amount > 60",
                  "sum(Items.Price),distinct(Items.Category)\n100,2\n");
}

static void test_profiles_filter_events(void **state)
{
    assert_count(*state, "profile.city = 'Pune'", 4);
    assert_count(*state, "profile.age > 20", 9);
    assert_count(*state, "profile.tags = 'vip'", 4);
    assert_count(*state, "profile.born = '1990-05-01'", 2);
}

/* --- people ---------------------------------------------------------------------------------------------------- */

static void test_segments_are_sets_of_living_users(void **state)
{
    assert_segment(*state, "TRUE", "01234");
    assert_segment(*state, "profile.city = 'Pune'", "04");
    assert_segment(*state, "profile.city != 'Pune'", "1");
    assert_segment(*state, "NOT profile.city = 'Pune'", "123");
    assert_segment(*state, "DID 'Login' AND NOT DID 'Charged' COUNT >= 2", "02");
    assert_segment(*state, "DID 'Login' OR DID 'Refunded'", "0123");
    assert_segment(*state, "NOT DID ANY EVENT", "4");
}

static void test_aggregates_compare_what_each_user_did(void **state)
{
    assert_segment(*state, "DID 'Charged' COUNT = 2", "1");
    assert_segment(*state, "DID 'Charged' COUNT < 2", "02");
    assert_segment(*state, "DID 'Charged' COUNT < 2 INCLUDING NEVER", "0234");
    assert_segment(*state, "DID 'Charged' SUM(Amount) > 57", "01");
    assert_segment(*state, "DID 'Charged' SUM(Amount) = 0", "2");
    assert_segment(*state, "DID 'Charged' AVG(Amount) < 50", "1");
    assert_segment(*state, "DID 'Charged' MIN(Amount) = 7", "1");
    assert_segment(*state, "DID 'Charged' MAX(Amount) BETWEEN 50 AND 100", "01");
    assert_segment(*state, "DID 'Login' DAYS >= 2", "0");
    assert_segment(*state, "DID ANY EVENT DAYS >= 3", "1");
    assert_segment(*state, "DID 'Login' DISTINCT(device) = 2", "0");
    assert_segment(*state, "DID 'Charged' WHERE Amount > 7", "01");
}

static void test_times_of_conditions_are_exact(void **state)
{
    assert_segment(*state, "DID 'Login' IN LAST 1 day", "0");
    assert_segment(*state, "DID 'Login' BEFORE '2025-03-01'", "2");
    assert_segment(*state, "DID 'Login' SINCE '2025-03-02'", "0");
    assert_segment(*state, "DID 'Login' FIRST SINCE '2025-03-01'", "01");
    assert_segment(*state, "DID 'Login' SINCE '2025-03-05' FIRST", "");
    assert_segment(*state, "DID 'Login' SINCE '2025-03-05' LAST", "0");
    assert_segment(*state, "DID 'Login' BETWEEN '2025-03-01' AND '2025-03-01' NTH 2", "0");
    assert_segment(*state, "DID ANY EVENT SINCE '2025-03-01T00:15' UNTIL '2025-03-01T00:16' NTH 2",
                   "0");
    assert_answer(*state, "SEGMENT DID 'Login' IN LAST 1 hour AS OF '2025-03-01T01:00'",
                  "users\n1\n");
}

static void test_a_sequence_goes_through_its_steps_in_order(void **state)
{
    assert_segment(*state, "SEQUENCE 'Login' THEN 'Charged' WITHIN 10 minutes", "0");
    assert_segment(*state, "SEQUENCE 'Login' THEN 'Charged' WITHIN 2 days", "01");
    assert_segment(*state, "SEQUENCE 'Charged' THEN 'Login' WITHIN 10 days", "0");
    assert_segment(*state, "SEQUENCE 'Charged' THEN 'Charged' WITHIN 3 days", "1");
    assert_segment(*state, "SEQUENCE 'Login' THEN 'Charged' WITHIN 2 days SINCE '2025-03-02'", "");
}

static void test_buckets_are_sticky_and_cover_everyone_once(void **state)
{
    uint32_t sizes[TREE_BUCKETS] = { 0 };
    (void)state;
    for (uint32_t user = 0; user < 100000; user++)
        sizes[user_bucket(user)]++;
    for (uint32_t i = 0; i < TREE_BUCKETS; i++)
        assert_in_range(sizes[i], 50, 160);
    assert_int_equal(user_bucket(0), 535);
    assert_int_equal(user_bucket(1), 465);
}

static void test_users_are_listed_with_their_properties_in_order(void **state)
{
    assert_answer(*state, "USERS WHERE TRUE SELECT age, city ORDER BY age DESC LIMIT 4",
                  "user_id,identity,age,city\n2,u2,40,\n0,u0,30,Pune\n1,u1,20.5,Goa\n3,u3,,\n");
}

static void test_members_are_a_set_of_user_numbers(void **state)
{
    struct world *world = *state;
    struct query_source source = source_of(world);
    struct query *query;
    uint64_t *set;
    uint32_t count;

    must(query_parse_cql(BYTES("SEGMENT DID 'Charged'"), &world->arena, &query, &world->problem));
    must(query_members(query, &source, &world->options, &world->arena, &set, &count,
                       &world->problem));
    assert_int_equal(count, 3);
    assert_int_equal(set[0], 7);
    must(query_parse_cql(BYTES("SELECT count()"), &world->arena, &query, &world->problem));
    assert_int_equal(
        query_members(query, &source, &world->options, &world->arena, &set, &count, &world->problem)
            .code,
        ERR_INVALID);
}

static void test_a_timeline_is_newest_first_with_items_inside(void **state)
{
    assert_answer(*state, "EVENTS OF 'u0' LIMIT 3",
                  "time,event,properties,seq\n"
                  "2025-03-09T23:00:00+05:30,Login,\"{\"\"device\"\":\"\"web\"\"}\",3\n"
                  "2025-03-01T00:20:00+05:30,Login,\"{\"\"device\"\":\"\"ios\"\"}\",2\n"
                  "2025-03-01T00:15:00+05:30,Charged,\"{\"\"Amount\"\":100,\"\"Paid\"\":true,"
                  "\"\"Items\"\":[{\"\"Category\"\":\"\"toys\"\",\"\"Price\"\":60},"
                  "{\"\"Category\"\":\"\"toys\"\",\"\"Price\"\":30},"
                  "{\"\"Category\"\":\"\"books\"\",\"\"Price\"\":10}]}\",6\n");
    assert_answer(*state, "EVENTS OF 'u1' WHERE Items.Category = 'books' OR device = 'android'",
                  "time,event,properties,seq\n"
                  "2025-03-02T10:00:00+05:30,Charged,\"{\"\"Amount\"\":50.5,\"\"Code\"\":\"\"x\"\","
                  "\"\"Items\"\":[{\"\"Category\"\":\"\"books\"\",\"\"Price\"\":50.5}]}\",7\n"
                  "2025-03-01T05:00:00+05:30,Login,\"{\"\"device\"\":\"\"android\"\"}\",4\n");
    assert_answer(*state, "EVENTS OF 'nobody'", "time,event,properties,seq\n");
}

/* --- flows ------------------------------------------------------------------------------------------------ */

static void test_a_flow_is_a_tree_of_each_users_one_path(void **state)
{
    assert_answer(*state, "FLOW FROM 'Login' STEPS 2",
                  "path,depth,users,dropped\n"
                  "\"[\"\"Login\"\"]\",0,3,0\n"
                  "\"[\"\"Login\"\",\"\"Charged\"\"]\",1,3,1\n"
                  "\"[\"\"Login\"\",\"\"Charged\"\",\"\"Charged\"\"]\",2,1,\n"
                  "\"[\"\"Login\"\",\"\"Charged\"\",\"\"Login\"\"]\",2,1,\n");
    assert_answer(*state, "FLOW TO 'Charged' STEPS 1 LIMIT 1",
                  "path,depth,users,dropped\n"
                  "\"[\"\"Charged\"\"]\",0,3,0\n"
                  "\"[\"\"Charged\"\",\"\"(other)\"\"]\",1,3,\n");
    assert_answer(*state, "FLOW FROM 'Login' OR 'Charged' STEPS 1 EXPAND 'Login' BY device",
                  "path,depth,users,dropped\n"
                  "\"[\"\"Login\"\"]\",0,1,0\n"
                  "\"[\"\"Login\"\",\"\"Charged\"\"]\",1,1,\n"
                  "\"[\"\"Login: android\"\"]\",0,1,0\n"
                  "\"[\"\"Login: android\"\",\"\"Charged\"\"]\",1,1,\n"
                  "\"[\"\"Login: ios\"\"]\",0,1,0\n"
                  "\"[\"\"Login: ios\"\",\"\"Charged\"\"]\",1,1,\n");
    assert_answer(*state, "EXPLAIN FLOW FROM 'Login' HIDE 'Refunded'",
                  "step,event,reads,months,rows\nstart,Login,order column,3,5\nstep,Login,order "
                  "column,3,5\nstep,Charged,order column,3,4\n");
}

static void test_a_flow_refuses_what_it_cant_do(void **state)
{
    struct world *world = *state;
    struct table table;
    assert_refused(world, "FLOW FROM 'Logn'", 10, "Login");
    assert_refused(world, "FLOW FROM 'Login' HIDE 'Chargd'", 23, "Charged");
    assert_refused(world, "FLOW FROM 'Login' EXPAND 'Login' BY devise", 36, "device");
    assert_refused(world, "FLOW FROM 'Login' EXPAND 'Charged' BY Items.Price", 38, "");
    assert_refused(world, "FLOW FROM 'Login' EXPAND 'Login' BY device, 'Login' BY device", 44, "");
    world->options.memory_bytes = 1000;
    assert_int_equal(ask(world, "FLOW FROM 'Login'", &table).code, ERR_LIMIT);
    assert_true(world->problem.message.len > 0);
    world->options.memory_bytes = 0;
}

/* --- refusals and limits ----------------------------------------------------------------------------------------- */

static void test_unknown_names_are_refused_with_the_nearest(void **state)
{
    assert_refused(*state, "SELECT count() WHERE event = 'Chargd'", 29, "Charged");
    assert_refused(*state, "SELECT count() WHERE Amuont > 1", 21, "Amount");
    assert_refused(*state, "SELECT count() GROUP BY city", 24, "profile.city");
    assert_refused(*state, "SEGMENT profile.citty = 'x'", 16, "city");
    assert_refused(*state, "SEGMENT DID 'Logins'", 12, "Login");
    assert_refused(*state, "SELECT sum(device)", 11, "");
    assert_refused(*state, "SELECT count() IN TIME ZONE 'Mars'", 28, "");
}

static void test_unknown_names_may_be_allowed(void **state)
{
    struct world *world = *state;
    world->options.allows_unknown = true;
    assert_answer(world, "SELECT count() WHERE event = 'Nothing'", "count()\n0\n");
    assert_answer(world, "SELECT count(), sum(nope) WHERE nope = 1 OR NOT nope EXISTS",
                  "count(),sum(nope)\n10,\n");
    assert_answer(world, "SEGMENT DID 'Nothing' OR profile.nope = 1", "users\n0\n");
    world->options.allows_unknown = false;
}

static void test_limits_end_a_question(void **state)
{
    struct world *world = *state;
    struct table table;
    atomic_bool is_cancelled = true;

    world->options.is_cancelled = &is_cancelled;
    assert_int_equal(ask(world, "SELECT count()", &table).code, ERR_CANCELLED);
    world->options.is_cancelled = NULL;

    world->options.memory_bytes = 1000;
    assert_int_equal(ask(world, "SELECT count() GROUP BY device", &table).code, ERR_LIMIT);
    assert_true(world->problem.message.len > 0);
    world->options.memory_bytes = 0;
}

/* A clock on which each look takes a second. */
static int64_t slow_ns(struct clock *clock)
{
    struct clock_sim *sim = (struct clock_sim *)clock;
    sim->ns += 1000000000;
    return sim->ns;
}

static void test_a_question_that_takes_too_long_is_stopped(void **state)
{
    struct world *world = *state;
    struct table table;
    struct clock_sim slow;

    clock_sim_init(&slow, 0);
    slow.clock.mono_ns = slow_ns;
    world->options.clock = &slow.clock;
    world->options.pool = NULL; /* one thread: the clock isn't made for more */
    world->options.timeout_ms = 5000;
    assert_int_equal(ask(world, "SELECT count() GROUP BY day", &table).code, ERR_LIMIT);
    world->options.timeout_ms = 0;
    world->options.clock = &world->clock.clock;
    world->options.pool = world->pool;
}

static void test_a_plan_tells_what_is_read(void **state)
{
    assert_answer(*state, "EXPLAIN SELECT sum(Amount) WHERE event = 'Charged' GROUP BY day",
                  "step,event,reads,months,rows\nscan,Charged,\"user runs, times, columns of keys "
                  "and measures\",3,4\n");
    assert_answer(*state, "EXPLAIN ANALYZE SEGMENT DID 'Login' AND profile.city = 'Pune'",
                  "step,event,reads,months,rows\ndid,Login,user runs,3,5\n"
                  "profile,,one property of all profiles,,\n");
}

static void test_an_answer_says_what_it_saw(void **state)
{
    struct world *world = *state;
    struct table table;
    must(ask(world, "SELECT count() GROUP BY day", &table));
    assert_int_equal(table.meta.position, 77);
    assert_int_equal(table.meta.rows_read, 10);
    assert_true(table.meta.bytes_read > 0);
    assert_true(table.meta.is_open);
    buf_reset(&world->text);
    table_put_json(&table, &world->text);
    buf_put_u8(&world->text, 0);
    assert_non_null(strstr((const char *)world->text.ptr,
                           "{\"report\":\"select\",\"columns\":[{\"name\":\"day\",\"type\":"
                           "\"date\"},{\"name\":\"count()\",\"type\":\"int\"}],\"rows\":[[\"2025-"
                           "01-15\",1],"));
    table_done(&table);
}

/* --- any question ------------------------------------------------------------------------------------------------- */

static enum err_code run_random(struct world *world, const struct query *query, struct buf *answer)
{
    struct query_source source = source_of(world);
    struct query_problem problem = { 0 };
    struct table table;
    struct arena arena;

    arena_init(&arena, 256 << 20);
    buf_reset(answer);
    struct err err = query_run(query, &source, &world->options, &arena, &table, &problem);
    if (err.code) {
        assert_true(err.code == ERR_INVALID || err.code == ERR_LIMIT);
        assert_true(problem.message.len > 0);
    } else {
        table_put_csv(&table, answer);
        table_put_text(&table, answer);
        table_done(&table);
        assert_false(answer->is_failed);
    }
    arena_done(&arena);
    return err.code;
}

static void test_any_question_has_one_answer_whatever_the_threads(void **state)
{
    struct world *world = *state;
    struct thread_pool *pool = world->pool;
    struct buf alone;
    struct buf together;
    struct rng rng;
    uint32_t answered = 0;

    buf_init(&alone, 64 << 20);
    buf_init(&together, 64 << 20);
    rng_init(&rng, 17);
    world->options.allows_unknown = true;
    for (int i = 0; i < 12000; i++) {
        struct arena arena;
        arena_init(&arena, 64 << 20);
        struct query *query = random_query(&rng, &arena);
        query->time_zone.text = (struct bytes){ 0 };
        world->options.pool = NULL;
        enum err_code first = run_random(world, query, &alone);
        world->options.pool = pool;
        enum err_code second = run_random(world, query, &together);
        assert_int_equal(first, second);
        assert_true(bytes_equal(buf_bytes(&alone), buf_bytes(&together)));
        answered += first == ERR_NONE;
        arena_done(&arena);
    }
    assert_true(answered > 6000);
    world->options.allows_unknown = false;
    buf_done(&alone);
    buf_done(&together);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_measures_count_each_event_and_user_once),
        cmocka_unit_test(test_numbers_of_both_types_are_one_property),
        cmocka_unit_test(test_days_are_those_of_the_zone),
        cmocka_unit_test(test_until_is_exclusive_and_between_is_not),
        cmocka_unit_test(test_groups_are_values_and_absent_is_one_of_them),
        cmocka_unit_test(test_other_is_exactly_what_the_limit_cuts),
        cmocka_unit_test(test_formulas_are_null_where_they_have_no_value),
        cmocka_unit_test(test_a_session_ends_after_twenty_minutes),
        cmocka_unit_test(test_a_missing_property_matches_no_comparison),
        cmocka_unit_test(test_other_types_are_unequal_and_have_no_order),
        cmocka_unit_test(test_texts_compare_by_bytes_parts_and_patterns),
        cmocka_unit_test(test_a_time_compares_with_dates_as_whole_days),
        cmocka_unit_test(test_an_event_matches_when_one_of_its_items_does),
        cmocka_unit_test(test_items_are_rows_where_they_are_keys),
        cmocka_unit_test(test_profiles_filter_events),
        cmocka_unit_test(test_segments_are_sets_of_living_users),
        cmocka_unit_test(test_aggregates_compare_what_each_user_did),
        cmocka_unit_test(test_times_of_conditions_are_exact),
        cmocka_unit_test(test_a_sequence_goes_through_its_steps_in_order),
        cmocka_unit_test(test_buckets_are_sticky_and_cover_everyone_once),
        cmocka_unit_test(test_users_are_listed_with_their_properties_in_order),
        cmocka_unit_test(test_members_are_a_set_of_user_numbers),
        cmocka_unit_test(test_a_timeline_is_newest_first_with_items_inside),
        cmocka_unit_test(test_a_flow_is_a_tree_of_each_users_one_path),
        cmocka_unit_test(test_a_flow_refuses_what_it_cant_do),
        cmocka_unit_test(test_unknown_names_are_refused_with_the_nearest),
        cmocka_unit_test(test_unknown_names_may_be_allowed),
        cmocka_unit_test(test_limits_end_a_question),
        cmocka_unit_test(test_a_question_that_takes_too_long_is_stopped),
        cmocka_unit_test(test_a_plan_tells_what_is_read),
        cmocka_unit_test(test_an_answer_says_what_it_saw),
        cmocka_unit_test(test_any_question_has_one_answer_whatever_the_threads),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}

/*
 * physical_test.c - what a store says of each user is the same before and after each physical
 * change: a seal, a flush, every single step of compaction (runs into parts, patches, folds), opening
 * it anew; and it's the same by the user's timeline as by the columns.
 *
 * The columns are made so that each way of writing them is taken: constants, multiples, counters,
 * runs, outliers, decimals, any doubles, many texts and few, those that stick to a user, those that
 * another column decides but for exceptions.
 */
#include "base/arena.h"
#include "base/rng.h"
#include "store/store.h"
#include "sys/disk_sim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum {
    USERS = 120,
    EVENTS = 900, /* of a chapter */
    CHAPTERS = 7,
    TYPES = 4,
    PROPERTIES = 14,
    SEEDS = 4,
    MAINTAIN_MAX = 400, /* steps in a row; more: it never comes to an end */
};

/* What a user's events come to: in their order, and in any. */
struct digest {
    uint64_t in_order;
    uint64_t in_any;
};

struct world {
    struct disk_sim *sim;
    struct zone *zone;
    struct rng rng;
    struct arena arena;
    struct store_files_config config;
    struct store *store;
    uint64_t seq;
    uint64_t position;
    bool is_dead[USERS];
    struct digest wanted[USERS];
    uint32_t changes;     /* physical ones that were looked at */
    uint32_t patches_max; /* at once */
    uint32_t folds;       /* changes after which there were fewer patches */
    uint32_t merges;      /* changes after which there were fewer parts */
};

static void must(struct err err)
{
    if (err.code)
        fail_msg("%s (%d)", err.what, err.code);
}

/* --- events ------------------------------------------------------------------------------------ */

static struct value text(struct world *world, const char *kind, uint64_t n)
{
    return value_string(arena_printf(&world->arena, "%s %08x", kind, (unsigned)n));
}

static struct value list_of(struct world *world, uint64_t n)
{
    uint32_t count = (uint32_t)(n % 3);
    struct bytes *items = arena_alloc(&world->arena, (count + 1u) * sizeof *items);
    for (uint32_t i = 0; i < count; i++)
        items[i] = arena_printf(&world->arena, "tag %u", (unsigned)((n + i) % 7));
    return (struct value){ .type = VALUE_LIST, .count = count, .items = items };
}

static struct value make_value(struct world *world, uint32_t property, uint32_t user, int64_t time)
{
    struct rng *rng = &world->rng;
    uint64_t product = world->seq * 7919 % 200;
    bool is_odd = rng_below(rng, 100) == 0;
    switch (property) {
    case 0:
        return value_int(7);
    case 1:
        return value_int((int64_t)rng_below(rng, 1000000) * 1000 + 5);
    case 2:
        return value_int((int64_t)world->seq * 3);
    case 3:
        return value_int((int64_t)world->seq / 100);
    case 4:
        return value_real((double)rng_below(rng, 100000) / 100);
    case 5:
        return text(world, "session", rng_below(rng, UINT32_MAX));
    case 6:
        return text(world, "plan", user % 3);
    case 7:
        return text(world, "Product", product);
    case 8:
        return text(world, "Category", is_odd ? 99 : product % 9);
    case 9:
        return value_int(is_odd ? INT64_C(1) << 40 : (int64_t)rng_below(rng, 16));
    case 10:
        return value_bool(rng_below(rng, 2));
    case 11:
        return list_of(world, rng_below(rng, 40));
    case 12:
        return value_real(1.0 / (double)(1 + rng_below(rng, UINT32_MAX)));
    default:
        return value_time(time - time % 60000);
    }
}

static uint32_t living(struct world *world)
{
    uint32_t user = (uint32_t)rng_below(&world->rng, USERS);
    while (world->is_dead[user])
        user = (user + 1) % USERS;
    return user;
}

/* An event of [from, from + span), most of one type; some lack some properties. */
static void append_event(struct world *world, uint32_t user, int64_t from, int64_t span)
{
    struct store_property properties[PROPERTIES];
    struct store_event event = {
        .user = user,
        .event = rng_below(&world->rng, 3) ? 0 : (uint32_t)rng_below(&world->rng, TYPES),
        .time_ms = from + (int64_t)rng_below(&world->rng, (uint64_t)span),
        .seq = world->seq++,
        .properties = properties,
    };
    for (uint32_t p = 0; p < PROPERTIES; p++)
        if (event.event != 1 || rng_below(&world->rng, 3))
            properties[event.property_count++] = (struct store_property){
                .property = p,
                .value = make_value(world, p, user, event.time_ms),
            };
    must(world->store->ops->append(world->store, &event, 1));
    world->position++;
}

/* --- digests ------------------------------------------------------------------------------------- */

static uint64_t mix(uint64_t hash, uint64_t with)
{
    hash = (hash ^ with) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ (hash >> 29);
}

static uint64_t mix_bytes(uint64_t hash, struct bytes bytes)
{
    for (size_t i = 0; i < bytes.len; i++)
        hash = mix(hash, bytes.ptr[i]);
    return mix(hash, bytes.len);
}

static uint64_t value_digest(uint32_t property, const struct value *value)
{
    uint64_t hash = mix(mix(1, property), value->type);
    uint64_t bits = 0;
    switch (value->type) {
    case VALUE_BOOL:
        return mix(hash, value->boolean);
    case VALUE_REAL:
        memcpy(&bits, &value->real, sizeof bits);
        return mix(hash, bits);
    case VALUE_STRING:
        return mix_bytes(hash, value->string);
    case VALUE_LIST:
        for (uint32_t i = 0; i < value->count; i++)
            hash = mix_bytes(hash, value->items[i]);
        return mix(hash, value->count);
    default:
        return mix(hash, (uint64_t)value->integer);
    }
}

static uint64_t event_digest(uint32_t event, int64_t time, uint64_t seq, uint64_t properties)
{
    return mix(mix(mix(mix(3, event), (uint64_t)time), seq), properties);
}

static bool see(void *ctx, const struct store_user_event *event)
{
    struct digest *digest = ctx;
    uint64_t properties = 0;
    for (uint32_t i = 0; i < event->property_count; i++)
        properties += value_digest(event->properties[i].property, &event->properties[i].value);
    uint64_t one = event_digest(event->event, event->time_ms, event->seq, properties);
    digest->in_order = mix(digest->in_order, one);
    digest->in_any += one;
    return true;
}

static void by_timelines(struct store_snapshot *snapshot, struct digest *digests)
{
    struct arena scratch;
    arena_init(&scratch, 1 << 28);
    for (uint32_t user = 0; user < USERS; user++) {
        digests[user] = (struct digest){ 0 };
        must(snapshot->ops->user_events(snapshot, user, TIME_MS_MIN, TIME_MS_MAX, false, &scratch,
                                        see, &digests[user]));
        arena_reset(&scratch);
    }
    arena_done(&scratch);
}

static uint64_t cell_digest(const struct store_column *column, uint32_t property,
                            enum value_type type, uint32_t i)
{
    struct bytes items[4];
    struct value value = { .type = type };
    if (column->present && !(column->present[i / 64] >> (i % 64) & 1))
        return 0;
    if (type == VALUE_REAL) {
        value.real = column->reals[i];
    } else if (type == VALUE_STRING) {
        value.string = column->texts[column->codes[i]];
    } else if (type == VALUE_LIST) {
        uint32_t list = column->codes[i];
        value.count = column->list_start[list + 1] - column->list_start[list];
        value.items = items;
        assert_in_range(value.count, 0, 2);
        for (uint32_t k = 0; k < value.count; k++)
            items[k] = column->texts[column->items[column->list_start[list] + k]];
    } else if (type == VALUE_BOOL) {
        value.boolean = column->integers[i] != 0;
    } else {
        value.integer = column->integers[i];
    }
    return value_digest(property, &value);
}

static void add_slice(struct store_snapshot *snapshot, uint32_t shard, uint32_t event,
                      int32_t month, struct arena *arena, struct digest *digests)
{
    const struct store_ops *ops = snapshot->ops;
    struct store_slice slice;
    must(ops->slice_open(snapshot, shard, month, event, arena, &slice));
    if (slice.events == 0)
        return;
    must(ops->slice_times(&slice));
    must(ops->slice_seqs(&slice));
    uint64_t *sums = arena_calloc(arena, slice.events, sizeof *sums);
    for (uint32_t p = 0; p < PROPERTIES; p++) {
        for (int type = 1; type < VALUE_TYPES; type++) {
            struct store_column column;
            bool has = false;
            must(ops->slice_column(&slice, p, (enum value_type)type, &column, &has));
            for (uint32_t i = 0; i < slice.events && has; i++)
                sums[i] += cell_digest(&column, p, (enum value_type)type, i);
        }
    }
    for (uint32_t u = 0; u < slice.users; u++)
        for (uint32_t i = slice.start[u]; i < slice.start[u + 1]; i++)
            digests[slice.row[u] * ops->shards(snapshot) + shard].in_any +=
                event_digest(event, slice.base_ms + slice.time[i], slice.seq[i], sums[i]);
}

static void by_columns(struct store_snapshot *snapshot, struct digest *digests)
{
    const struct store_ops *ops = snapshot->ops;
    struct arena arena;
    arena_init(&arena, 1 << 28);
    memset(digests, 0, USERS * sizeof *digests);
    for (uint32_t shard = 0; shard < ops->shards(snapshot); shard++) {
        for (uint32_t event = 0; event < TYPES; event++) {
            const int32_t *months = NULL;
            uint32_t count = 0;
            must(ops->months(snapshot, shard, event, TIME_MS_MIN, TIME_MS_MAX, &arena, &months,
                             &count));
            for (uint32_t m = 0; m < count; m++)
                add_slice(snapshot, shard, event, months[m], &arena, digests);
            arena_reset(&arena);
        }
    }
    arena_done(&arena);
}

static void check(struct world *world, struct store_snapshot *snapshot, const char *after)
{
    struct digest now[USERS];
    struct digest columns[USERS];
    by_timelines(snapshot, now);
    by_columns(snapshot, columns);
    for (uint32_t user = 0; user < USERS; user++) {
        if (now[user].in_order != world->wanted[user].in_order)
            fail_msg("user %u has another timeline after %s", user, after);
        if (columns[user].in_any != world->wanted[user].in_any)
            fail_msg("user %u has other columns after %s", user, after);
    }
}

/* --- physical changes ------------------------------------------------------------------------------ */

static void check_store(struct world *world, const char *after)
{
    struct store_snapshot *snapshot = NULL;
    must(world->store->ops->snapshot(world->store, &snapshot));
    check(world, snapshot, after);
    snapshot->ops->snapshot_free(snapshot);
    world->changes++;
}

static void flush(struct world *world)
{
    must(world->store->ops->checkpoint_begin(world->store, world->position));
    check_store(world, "a checkpoint's begin");
    must(world->store->ops->checkpoint_write(world->store, BYTES("")));
    check_store(world, "a flush");
}

static void maintain(struct world *world)
{
    bool did_work = true;
    for (uint32_t i = 0; did_work; i++) {
        struct store_stats before = world->store->ops->stats(world->store);
        assert_true(i < MAINTAIN_MAX);
        must(world->store->ops->maintain(world->store, &did_work));
        check_store(world, "a step of compaction");
        struct store_stats stats = world->store->ops->stats(world->store);
        world->folds += stats.patches < before.patches;
        world->merges += stats.parts < before.parts;
        if (stats.patches > world->patches_max)
            world->patches_max = stats.patches;
    }
}

static void see_damage(void *ctx, const char *file, uint64_t offset, const char *what)
{
    (void)ctx;
    fail_msg("%s at %llu: %s", file, (unsigned long long)offset, what);
}

static void reopen(struct world *world)
{
    uint64_t position = 0;
    uint64_t events = 0;
    world->store->ops->close(world->store);
    must(store_check_files(world->config.disk, world->config.dir, true, see_damage, NULL, &events));
    must(store_open_files(&world->config, &position, NULL, &world->store));
    assert_int_equal(position, world->position);
    check_store(world, "opening it anew");
}

/* What comes: mostly of the month that is on, then of one user only in a month that is over, so
   that this becomes a patch; now and then a user who is merged or erased. */
static void write_chapter(struct world *world, uint32_t chapter)
{
    int64_t month = civil_month_start_ms(660 + (int32_t)chapter / 2);
    uint32_t events = chapter % 2 ? 12 : EVENTS;
    uint32_t one = living(world);
    for (uint32_t i = 0; i < events; i++)
        append_event(world, chapter % 2 ? one : living(world), month, 25 * MS_PER_DAY);
    if (chapter % 3 != 2)
        return;
    uint32_t from = living(world);
    world->is_dead[from] = true;
    if (chapter % 2)
        must(world->store->ops->merge_user(world->store, from, living(world)));
    else
        must(world->store->ops->mask_user(world->store, from, true));
    world->position++;
}

static void run(uint64_t seed, struct world *world)
{
    *world = (struct world){ .seq = 1 };
    rng_init(&world->rng, seed);
    arena_init(&world->arena, 1 << 28);
    must(disk_sim_new(&world->sim));
    must(zone_fixed(19800, &world->zone));
    world->config = (struct store_files_config){
        .disk = disk_sim_disk(world->sim),
        .dir = "project",
        .shards = 1 + (uint32_t)(seed % 2),
        .zone = world->zone,
        .tail_events = seed % 2 ? 64 : 0,
        .cache_bytes = seed % 3 ? 0 : 1,
    };
    uint64_t position = 0;
    must(store_open_files(&world->config, &position, NULL, &world->store));
    for (uint32_t chapter = 0; chapter < CHAPTERS; chapter++) {
        struct store_snapshot *snapshot = NULL;
        write_chapter(world, chapter);
        must(world->store->ops->snapshot(world->store, &snapshot));
        by_timelines(snapshot, world->wanted);
        must(world->store->ops->seal(world->store));
        check_store(world, "a seal");
        flush(world);
        if (chapter != 2) /* two flushes in a row */
            maintain(world);
        check(world, snapshot, "all of it, in a snapshot from before");
        snapshot->ops->snapshot_free(snapshot);
        reopen(world);
    }
    world->store->ops->close(world->store);
    arena_done(&world->arena);
    zone_free(world->zone);
    disk_sim_free(world->sim);
}

static void what_is_said_of_each_user_survives_every_physical_change(void **state)
{
    (void)state;
    uint32_t changes = 0, patches = 0, folds = 0, merges = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct world world;
        run(seed, &world);
        changes += world.changes;
        patches += world.patches_max;
        folds += world.folds;
        merges += world.merges;
    }
    print_message("%u physical changes, %u patches, %u folds, %u merges\n", changes, patches, folds,
                  merges);
    assert_true(patches > 0 && folds > 0 && merges > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_said_of_each_user_survives_every_physical_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

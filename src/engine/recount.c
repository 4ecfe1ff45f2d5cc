/*
 * recount.c - everything that is kept beside the events, counted again from the events.
 *
 * Two walks over one snapshot: user by user, which gives what each did, each event type's and each
 * property's count; and by slices, which is how questions read (masks, patches, day counts), which has
 * to come to the same. What can make a kept count larger than a recount, erased people and months past
 * their retention, is found out, and then only "not less" is asked for.
 */
#include "engine/engine_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { TEXT_MAX = 200 };
#define ARENA_LIMIT ((size_t)1 << 30)

struct type_count {
    uint64_t events; /* user by user */
    uint64_t sliced; /* by slices */
    int64_t first_ms;
    int64_t last_ms;
    uint64_t *columns; /* as many as the catalog has */
};

struct recount {
    struct project *project;
    struct project_snapshot snapshot;
    engine_recount_fn *tell;
    void *ctx;
    struct arena arena;
    uint32_t type_count;
    struct type_count *types;
    bool is_exact; /* nobody was erased, nothing expired: known after counting */
    uint64_t events;
    uint64_t users_with_more; /* their profiles count more than there is: wrong if exact */
    uint32_t user_with_more;  /* the first of them */
    /* of the user in hand */
    uint64_t user_events;
    int64_t user_first_ms;
    int64_t user_last_ms;
};

__attribute__((format(printf, 2, 3))) static void wrong(struct recount *r, const char *format, ...)
{
    char text[TEXT_MAX];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    r->tell(r->ctx, text);
}

static struct err no_memory(void)
{
    return err_new(ERR_NOMEM, "project: recount");
}

static struct bytes name_of(const struct recount *r, uint32_t event)
{
    struct bytes name = catalog_event_name(r->snapshot.source.catalog, event);
    return bytes_slice(name, 0, 60);
}

static struct err make_types(struct recount *r)
{
    const struct catalog *catalog = r->snapshot.source.catalog;
    r->type_count = catalog_event_count(catalog);
    r->types = arena_calloc(&r->arena, r->type_count, sizeof *r->types);
    if (!r->types)
        return no_memory();
    for (uint32_t event = 0; event < r->type_count; event++) {
        const struct catalog_column *columns = NULL;
        uint32_t count = catalog_event_columns(catalog, event, &columns);
        r->types[event].columns = arena_calloc(&r->arena, count, sizeof(uint64_t));
        if (!r->types[event].columns)
            return no_memory();
    }
    return ok();
}

/* --- user by user ----------------------------------------------------------------------- */

static void count_property(struct recount *r, uint32_t event, const struct store_property *property)
{
    const struct catalog_column *columns = NULL;
    uint32_t count = catalog_event_columns(r->snapshot.source.catalog, event, &columns);
    for (uint32_t i = 0; i < count; i++) {
        if (columns[i].property != property->property)
            continue;
        r->types[event].columns[i]++;
        if (columns[i].types >> property->value.type & 1)
            return;
        break;
    }
    wrong(r, "the catalog doesn't know a property of %.*s", BYTES_FMT(name_of(r, event)));
}

static bool count_event(void *ctx, const struct store_user_event *event)
{
    struct recount *r = ctx;
    if (event->event >= r->type_count) {
        wrong(r, "the catalog doesn't know event type %" PRIu32, event->event);
        return true;
    }
    struct type_count *type = &r->types[event->event];
    if (type->events == 0 || event->time_ms < type->first_ms)
        type->first_ms = event->time_ms;
    if (type->events == 0 || event->time_ms > type->last_ms)
        type->last_ms = event->time_ms;
    type->events++;
    r->events++;
    for (uint32_t i = 0; i < event->property_count; i++)
        count_property(r, event->event, &event->properties[i]);
    if (catalog_event_parent(r->snapshot.source.catalog, event->event) != CATALOG_NONE)
        return true;
    if (r->user_events == 0 || event->time_ms < r->user_first_ms)
        r->user_first_ms = event->time_ms;
    if (r->user_events == 0 || event->time_ms > r->user_last_ms)
        r->user_last_ms = event->time_ms;
    r->user_events++;
    return true;
}

static struct err check_keys(struct recount *r, uint32_t user, struct arena *arena)
{
    struct identity_key *keys = NULL;
    uint32_t count = 0;
    struct err err = project_user_keys(r->project, user, arena, &keys, &count);
    for (uint32_t i = 0; i < count && !err.code; i++)
        if (project_find_key(r->project, keys[i]) != user)
            wrong(r, "an identity of user %" PRIu32 " leads to another", user);
    return err;
}

/* What was expired is still in a profile's activity. */
static void judge_user(struct recount *r, uint32_t user)
{
    struct profile_activity kept = profile_activity(r->snapshot.source.profiles, user);
    if (kept.events > r->user_events && r->users_with_more++ == 0)
        r->user_with_more = user;
    if (kept.events < r->user_events)
        wrong(r, "user %" PRIu32 ": the profile counts %" PRIu64 " events, there are %" PRIu64,
              user, kept.events, r->user_events);
    else if (r->user_events > 0 &&
             (kept.first_ms > r->user_first_ms || kept.last_ms < r->user_last_ms))
        wrong(r, "user %" PRIu32 ": first or last seen", user);
}

static struct err count_user(struct recount *r, uint32_t user, struct arena *arena)
{
    const struct query_source *source = &r->snapshot.source;
    r->user_events = 0;
    struct err err = source->snapshot->ops->user_events(source->snapshot, user, TIME_MS_MIN,
                                                        TIME_MS_MAX, false, arena, count_event, r);
    if (err.code)
        return err;
    judge_user(r, user);
    return check_keys(r, user, arena);
}

static struct err count_users(struct recount *r, uint64_t *living_out)
{
    struct err err = ok();
    struct arena arena;
    uint32_t survivor;
    arena_init(&arena, ARENA_LIMIT);
    *living_out = 0;
    for (uint32_t user = 0; !err.code; user++) {
        survivor = project_survivor(r->project, user);
        if (survivor == USER_NONE)
            break;
        bool is_living = r->snapshot.source.is_living(r->snapshot.source.identities, user);
        if (is_living)
            err = count_user(r, user, &arena);
        *living_out += is_living;
        arena_reset(&arena);
    }
    arena_done(&arena);
    return err;
}

/* --- by slices -------------------------------------------------------------------------------- */

static struct err check_slice(struct recount *r, uint32_t shard, int32_t month, uint32_t event,
                              struct arena *arena)
{
    struct store_snapshot *snapshot = r->snapshot.source.snapshot;
    struct store_slice slice;
    struct store_day_counts days;
    bool has_days = false;
    uint64_t sum = 0;
    struct err err = snapshot->ops->slice_open(snapshot, shard, month, event, arena, &slice);
    if (err.code)
        return err;
    r->types[event].sliced += slice.events;
    err = snapshot->ops->day_counts(snapshot, shard, month, event, arena, &days, &has_days);
    if (err.code || !has_days)
        return err;
    for (uint32_t d = 0; d < days.days; d++)
        sum += days.events[d];
    if (sum != slice.events)
        wrong(r, "%.*s: day counts of shard %" PRIu32 " come to %" PRIu64 ", there are %" PRIu32,
              BYTES_FMT(name_of(r, event)), shard, sum, slice.events);
    return ok();
}

static struct err slice_type(struct recount *r, uint32_t shard, uint32_t event, struct arena *arena)
{
    struct store_snapshot *snapshot = r->snapshot.source.snapshot;
    struct arena months_arena;
    const int32_t *months = NULL;
    uint32_t count = 0;
    arena_init(&months_arena, ARENA_LIMIT);
    struct err err = snapshot->ops->months(snapshot, shard, event, TIME_MS_MIN, TIME_MS_MAX,
                                           &months_arena, &months, &count);
    for (uint32_t i = 0; i < count && !err.code; i++) {
        err = check_slice(r, shard, months[i], event, arena);
        arena_reset(arena);
    }
    arena_done(&months_arena);
    return err;
}

static struct err count_slices(struct recount *r)
{
    struct store_snapshot *snapshot = r->snapshot.source.snapshot;
    uint32_t shards = snapshot->ops->shards(snapshot);
    struct err err = ok();
    struct arena arena;
    arena_init(&arena, ARENA_LIMIT);
    for (uint32_t shard = 0; shard < shards && !err.code; shard++)
        for (uint32_t event = 0; event < r->type_count && !err.code; event++)
            err = slice_type(r, shard, event, &arena);
    arena_done(&arena);
    return err;
}

/* --- the catalog ------------------------------------------------------------------------------- */

static void judge_type(struct recount *r, uint32_t event)
{
    const struct catalog *catalog = r->snapshot.source.catalog;
    const struct type_count *type = &r->types[event];
    struct catalog_event_stats kept = catalog_event_stats(catalog, event);
    const struct catalog_column *columns = NULL;
    uint32_t count = catalog_event_columns(catalog, event, &columns);
    struct bytes name = name_of(r, event);
    if (type->sliced != type->events)
        wrong(r, "%.*s: %" PRIu64 " events by slices, %" PRIu64 " by users", BYTES_FMT(name),
              type->sliced, type->events);
    if (kept.count < type->events || (r->is_exact && kept.count != type->events))
        wrong(r, "%.*s: the catalog counts %" PRIu64 " events, there are %" PRIu64, BYTES_FMT(name),
              kept.count, type->events);
    else if (type->events > 0 && (kept.first_ms > type->first_ms || kept.last_ms < type->last_ms))
        wrong(r, "%.*s: first or last time in the catalog", BYTES_FMT(name));
    for (uint32_t i = 0; i < count; i++)
        if (columns[i].count < type->columns[i] ||
            (r->is_exact && columns[i].count != type->columns[i]))
            wrong(r,
                  "%.*s: the catalog counts %" PRIu64 " values of a property, there are %" PRIu64,
                  BYTES_FMT(name), columns[i].count, type->columns[i]);
}

/* Was anybody erased? Did the first month go? */
static bool is_exact(struct recount *r)
{
    const struct query_source *source = &r->snapshot.source;
    int64_t first_ms = TIME_MS_MAX;
    for (uint32_t user = 0;; user++) {
        uint32_t survivor = project_survivor(r->project, user);
        if (survivor == USER_NONE)
            break;
        if (survivor == user && !source->is_living(source->identities, user))
            return false;
    }
    for (uint32_t event = 0; event < r->type_count; event++) {
        struct catalog_event_stats kept = catalog_event_stats(source->catalog, event);
        if (kept.count > 0 && kept.first_ms < first_ms)
            first_ms = kept.first_ms;
    }
    for (uint32_t event = 0; event < r->type_count && first_ms < TIME_MS_MAX; event++) {
        struct catalog_event_stats kept = catalog_event_stats(source->catalog, event);
        if (kept.count > 0 && r->types[event].events > 0 && r->types[event].first_ms == first_ms)
            return true;
    }
    return first_ms == TIME_MS_MAX;
}

static struct err recount(struct recount *r)
{
    uint64_t living = 0;
    struct err err = make_types(r);
    if (!err.code)
        err = count_slices(r);
    if (!err.code)
        err = count_users(r, &living);
    if (err.code)
        return err;
    r->is_exact = is_exact(r);
    for (uint32_t event = 0; event < r->type_count; event++)
        judge_type(r, event);
    if (r->is_exact && r->users_with_more)
        wrong(r, "%" PRIu64 " profiles count more events than there are, user %" PRIu32 "'s first",
              r->users_with_more, r->user_with_more);
    struct project_stats stats = project_stats(r->project);
    if (stats.users != living)
        wrong(r, "%" PRIu64 " users are counted, %" PRIu64 " are there", stats.users, living);
    if (stats.events != r->events)
        wrong(r, "%" PRIu64 " events are counted, %" PRIu64 " are there", stats.events, r->events);
    return ok();
}

struct err project_recount(struct project *project, engine_recount_fn *tell, void *ctx)
{
    struct recount r = { .project = project, .tell = tell, .ctx = ctx };
    project_drain(project);
    struct err err = project_snapshot(project, &r.snapshot);
    if (err.code)
        return err;
    arena_init(&r.arena, ARENA_LIMIT);
    err = recount(&r);
    arena_done(&r.arena);
    project_snapshot_done(&r.snapshot);
    return err;
}

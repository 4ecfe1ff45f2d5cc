/*
 * engine_threads_test.c - everything that a project can be asked at once, while it's written,
 * checkpointed and compacted. Built with -fsanitize=thread, this also shows that there's no race.
 *
 * All batches have one shape, so a position tells what a snapshot holds: of each BATCH commands,
 * EVENTS are events (the sale with ITEMS items), one merges that batch's guest into its person, one
 * adds 1 to the person's "batches". The events' "n" is 1: sums are counts.
 */
#include "engine_helper.h"

enum {
    WRITERS = 3,
    READERS = 3,
    BATCHES = 60, /* a writer's */
    EVENTS = 6,
    ITEMS = 2,
    BATCH = EVENTS + 2,
    ROWS = EVENTS + ITEMS,
    AHEAD = 5, /* batches that come while a snapshot is held */
};

#define TOTAL ((uint64_t)WRITERS * BATCHES)
/* The first command of a project is its own: the key of erasures. */
#define FIRST 2
#define END   (FIRST + TOTAL * BATCH)

struct shared {
    struct world *world;
    struct thread_pool *pool; /* of all who ask; NULL: none */
    atomic_uint next_writer;
    atomic_uint wrong;
    atomic_bool is_over;
    atomic_uint calls; /* of `done` */
    atomic_uint refused;
};

/* cmocka's own asserts may not fail outside the test's thread. */
static void expect(struct shared *shared, bool is_so, const char *what)
{
    if (is_so)
        return;
    if (atomic_fetch_add(&shared->wrong, 1) < 20)
        (void)fprintf(stderr, "not so: %s\n", what);
}

static void expect_ok(struct shared *shared, struct err err)
{
    expect(shared, err.code == ERR_NONE, err.what ? err.what : "an error without a name");
}

/* --- writing --------------------------------------------------------------------------- */

static void put_event(struct command_writer *w, const char *person, enum ref_kind kind, uint32_t n,
                      bool is_sale)
{
    struct value one = value_int(1);
    struct value text = value_string(bytes_from(person));
    command_begin(w, COMMAND_EVENT, DAY_ONE + (int64_t)(n % 7) * 9 * MS_PER_DAY + n);
    command_ref(w, kind, bytes_from(person));
    command_name(w, is_sale ? BYTES("Sold") : BYTES("Seen"), false);
    command_property(w, BYTES("n"), PROPERTY_SET, &one);
    command_property(w, BYTES("who"), PROPERTY_SET, &text);
    for (uint32_t i = 0; i < ITEMS && is_sale; i++) {
        command_item(w);
        command_property(w, BYTES("n"), PROPERTY_SET, &one);
    }
    command_end(w);
}

static struct bytes make_batch(struct shared *shared, struct command_writer *w, uint32_t writer,
                               uint32_t number)
{
    char person[32];
    char guest[32];
    struct value one = value_int(1);
    struct bytes batch = { 0 };
    uint32_t n = (writer * BATCHES + number) * EVENTS;
    (void)snprintf(person, sizeof person, "p%u", number % PEOPLE);
    (void)snprintf(guest, sizeof guest, "guest%u-%u", writer, number);
    command_writer_reset(w, DAY_ONE + number);
    for (uint32_t i = 0; i < EVENTS; i++)
        put_event(w, i == 0 ? guest : person, i == 0 ? REF_DEVICE : REF_IDENTITY, n + i, i == 1);
    command_begin(w, COMMAND_MERGE, DAY_ONE);
    command_ref(w, REF_DEVICE, bytes_from(guest));
    command_ref(w, REF_IDENTITY, bytes_from(person));
    command_end(w);
    command_begin(w, COMMAND_PROFILE, DAY_ONE + n);
    command_ref(w, REF_IDENTITY, bytes_from(person));
    command_property(w, BYTES("batches"), PROPERTY_INCR, &one);
    command_end(w);
    expect_ok(shared, command_writer_finish(w, &batch));
    return batch;
}

static void *write_batches(void *ctx)
{
    struct shared *shared = ctx;
    struct project *project = shared->world->project;
    uint32_t writer = atomic_fetch_add(&shared->next_writer, 1);
    struct command_writer *w = NULL;
    uint64_t last = 0;
    expect_ok(shared, command_writer_new(&w));
    for (uint32_t i = 0; i < BATCHES; i++) {
        uint64_t position = 0;
        struct bytes batch = make_batch(shared, w, writer, i);
        expect_ok(shared, project_submit_wait(project, batch, BATCH, &position));
        expect(shared, position > last && (position - FIRST) % BATCH == 0,
               "positions go on by whole batches");
        last = position;
    }
    command_writer_free(w);
    return NULL;
}

/* --- what a snapshot holds -------------------------------------------------------------- */

struct answers {
    uint64_t rows;  /* by user */
    uint64_t sum;   /* of "n", by user */
    uint64_t check; /* over seqs and users */
    uint64_t slice_rows;
    uint64_t slice_sum;
    uint64_t slice_check;
    uint64_t batches;  /* of profiles */
    uint64_t activity; /* events that profiles count */
    uint64_t seen;     /* that the catalog counts */
    uint64_t asked;    /* "Seen", by the query engine */
    uint64_t asked_sum;
};

struct visit {
    struct shared *shared;
    struct answers *answers;
    uint64_t position;
    uint32_t n; /* the property */
    int64_t last_ms;
    uint64_t last_seq;
};

static bool see_event(void *ctx, const struct store_user_event *event)
{
    struct visit *visit = ctx;
    struct answers *answers = visit->answers;
    bool is_after = event->time_ms > visit->last_ms ||
                    (event->time_ms == visit->last_ms && event->seq >= visit->last_seq);
    expect(visit->shared, is_after, "a user's events are in order");
    expect(visit->shared, event->seq < visit->position, "no event is past the position");
    visit->last_ms = event->time_ms;
    visit->last_seq = event->seq;
    answers->rows++;
    answers->check += event->seq * UINT64_C(0x9e3779b97f4a7c15);
    for (uint32_t i = 0; i < event->property_count; i++)
        if (event->properties[i].property == visit->n)
            answers->sum += (uint64_t)event->properties[i].value.integer;
    return true;
}

static void read_users(struct shared *shared, const struct query_source *source,
                       struct answers *answers)
{
    struct store_snapshot *snapshot = source->snapshot;
    uint32_t shards = snapshot->ops->shards(snapshot);
    uint32_t batches = catalog_property_find(source->catalog, BYTES("batches"));
    struct visit visit = {
        .shared = shared,
        .answers = answers,
        .position = source->position,
        .n = catalog_property_find(source->catalog, BYTES("n")),
    };
    struct arena arena;
    arena_init(&arena, (size_t)64 << 20);
    uint32_t rows = 0;
    for (uint32_t s = 0; s < shards; s++) {
        uint32_t here = snapshot->ops->shard_rows(snapshot, s);
        rows = here > rows ? here : rows;
    }
    for (uint32_t user = 0; user < rows * shards; user++) {
        if (!source->is_living(source->identities, user))
            continue;
        visit.last_ms = INT64_MIN;
        visit.last_seq = 0;
        expect_ok(shared, snapshot->ops->user_events(snapshot, user, TIME_MS_MIN, TIME_MS_MAX,
                                                     false, &arena, see_event, &visit));
        struct value value = profile_get(source->profiles, user, batches, &arena);
        answers->batches += value.type == VALUE_INT ? (uint64_t)value.integer : 0;
        answers->activity += profile_activity(source->profiles, user).events;
        arena_reset(&arena);
    }
    arena_done(&arena);
}

static void read_slice(struct shared *shared, const struct query_source *source,
                       struct store_slice *slice, uint32_t n, struct answers *answers)
{
    const struct store_ops *ops = source->snapshot->ops;
    struct store_column column = { 0 };
    bool has = false;
    expect_ok(shared, ops->slice_times(slice));
    expect_ok(shared, ops->slice_seqs(slice));
    answers->slice_rows += slice->events;
    for (uint32_t i = 0; i < slice->events; i++)
        answers->slice_check += slice->seq[i] * UINT64_C(0x9e3779b97f4a7c15);
    if (n == CATALOG_NONE)
        return;
    expect_ok(shared, ops->slice_column(slice, n, VALUE_INT, &column, &has));
    for (uint32_t i = 0; has && i < slice->events; i++)
        answers->slice_sum += (uint64_t)column.integers[i];
}

static void read_event(struct shared *shared, const struct query_source *source, uint32_t shard,
                       uint32_t event, struct arena *arena, struct answers *answers)
{
    struct store_snapshot *snapshot = source->snapshot;
    uint32_t n = catalog_property_find(source->catalog, BYTES("n"));
    const int32_t *months = NULL;
    uint32_t count = 0;
    expect_ok(shared, snapshot->ops->months(snapshot, shard, event, TIME_MS_MIN, TIME_MS_MAX, arena,
                                            &months, &count));
    for (uint32_t m = 0; m < count; m++) {
        struct store_slice slice = { 0 };
        struct store_day_counts days = { 0 };
        bool has_days = false;
        uint64_t in_days = 0;
        expect_ok(shared,
                  snapshot->ops->slice_open(snapshot, shard, months[m], event, arena, &slice));
        if (slice.users > 0)
            read_slice(shared, source, &slice, n, answers);
        expect_ok(shared, snapshot->ops->day_counts(snapshot, shard, months[m], event, arena, &days,
                                                    &has_days));
        for (uint32_t d = 0; has_days && d < days.days; d++)
            in_days += days.events[d];
        expect(shared, !has_days || in_days == slice.events, "days add up to the month");
    }
}

static void read_slices(struct shared *shared, const struct query_source *source,
                        struct answers *answers)
{
    struct arena arena;
    arena_init(&arena, (size_t)64 << 20);
    for (uint32_t s = 0; s < source->snapshot->ops->shards(source->snapshot); s++) {
        for (uint32_t e = 0; e < catalog_event_count(source->catalog); e++) {
            read_event(shared, source, s, e, &arena, answers);
            arena_reset(&arena);
        }
    }
    arena_done(&arena);
}

/* By the query engine, whose tasks run on the pool that all share. */
static void ask_question(struct shared *shared, const struct query_source *source,
                         struct answers *answers)
{
    struct query_options options = { .pool = shared->pool,
                                     .clock = &shared->world->clock.clock,
                                     .allows_unknown = true };
    struct query_problem problem = { 0 };
    struct query *query = NULL;
    struct table table;
    struct arena arena;
    arena_init(&arena, (size_t)64 << 20);
    struct err err =
        query_parse_cql(BYTES("SELECT count(), sum(n) FROM events WHERE event = 'Seen' "
                              "SINCE '2025-12-31' UNTIL '2026-12-31'"),
                        &arena, &query, &problem);
    if (!err.code)
        err = query_run(query, source, &options, &arena, &table, &problem);
    expect_ok(shared, err);
    if (!err.code) {
        bool is_row = table.row_count == 1 && table.column_count == 2;
        expect(shared, is_row, "a question without groups has one row");
        if (is_row && table.cells[0].kind == CELL_INT)
            answers->asked = (uint64_t)table.cells[0].integer;
        if (is_row && table.cells[1].kind == CELL_INT)
            answers->asked_sum = (uint64_t)table.cells[1].integer;
        if (is_row && table.cells[1].kind == CELL_REAL)
            answers->asked_sum = (uint64_t)table.cells[1].real;
        table_done(&table);
    }
    arena_done(&arena);
}

static struct answers read_all(struct shared *shared, const struct project_snapshot *snapshot)
{
    const struct query_source *source = &snapshot->source;
    struct answers answers = { 0 };
    read_users(shared, source, &answers);
    read_slices(shared, source, &answers);
    ask_question(shared, source, &answers);
    for (uint32_t e = 0; e < catalog_event_count(source->catalog); e++)
        answers.seen += catalog_event_stats(source->catalog, e).count;
    return answers;
}

/* Exactly what lies below the position. */
static void expect_whole(struct shared *shared, uint64_t position, const struct answers *answers)
{
    uint64_t batches = (position - FIRST) / BATCH;
    expect(shared, (position - FIRST) % BATCH == 0, "a snapshot lies between batches");
    expect(shared, answers->rows == batches * ROWS, "users have each event once");
    expect(shared, answers->sum == answers->rows, "each event has its property");
    expect(shared, answers->slice_rows == answers->rows, "slices hold what users have");
    expect(shared, answers->slice_sum == answers->sum, "columns hold what users have");
    expect(shared, answers->slice_check == answers->check, "slices hold the same events");
    expect(shared, answers->batches == batches, "profiles are of the same position");
    expect(shared, answers->activity == batches * EVENTS, "activity is of the same position");
    expect(shared, answers->seen == answers->rows, "the catalog is of the same position");
    expect(shared, answers->asked == batches * (EVENTS - 1), "a question counts the same events");
    expect(shared, answers->asked_sum == answers->asked, "a question adds up the same events");
}

/* --- reading ------------------------------------------------------------------------------ */

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* One snapshot, read twice, with batches applied in between. */
static uint64_t read_snapshot(struct shared *shared, uint64_t last)
{
    struct project *project = shared->world->project;
    struct project_snapshot snapshot;
    struct err err = project_snapshot(project, &snapshot);
    expect_ok(shared, err);
    if (err.code)
        return last;
    uint64_t position = snapshot.source.position;
    expect(shared, position >= last, "positions never go back");
    struct answers first = read_all(shared, &snapshot);
    expect_whole(shared, position, &first);
    project_wait_applied(project, least(position + AHEAD * BATCH, END));
    struct answers again = read_all(shared, &snapshot);
    expect(shared, memcmp(&first, &again, sizeof first) == 0, "a snapshot stays as it was");
    project_snapshot_done(&snapshot);
    return position;
}

static void *read_snapshots(void *ctx)
{
    struct shared *shared = ctx;
    uint64_t last = 1;
    do {
        last = read_snapshot(shared, last);
    } while (last < END && atomic_load(&shared->wrong) == 0);
    return NULL;
}

static void ask_facts(struct shared *shared, struct arena *arena)
{
    struct project *project = shared->world->project;
    struct identity_key *keys = NULL;
    uint32_t *from = NULL;
    uint32_t found[8];
    uint32_t count = 0;
    bool has_more = false;
    uint32_t user = project_find_user(project, BYTES("p1"));
    (void)project_find_key(project, (struct identity_key){ IDENTITY_DEVICE, BYTES("guest0-1") });
    (void)project_is_discarded(project, BYTES("Seen"), true);
    (void)project_search_users(project, BYTES("guest"), USER_NONE, found, 8, &has_more);
    if (user == USER_NONE)
        return;
    expect(shared, project_survivor(project, user) == user, "a person isn't merged away");
    expect_ok(shared, project_user_keys(project, user, arena, &keys, &count));
    expect(shared, count > 0, "a person has keys");
    expect_ok(shared, project_user_merged(project, user, arena, &from, &count));
}

static uint64_t count_seen(struct shared *shared)
{
    struct catalog *catalog = NULL;
    uint64_t seen = 0;
    expect_ok(shared, project_catalog(shared->world->project, &catalog));
    for (uint32_t e = 0; catalog && e < catalog_event_count(catalog); e++)
        seen += catalog_event_stats(catalog, e).count;
    catalog_free(catalog);
    return seen;
}

/* Everything that isn't a snapshot: numbers that only grow. */
static void *read_facts(void *ctx)
{
    struct shared *shared = ctx;
    struct project_stats last = { 0 };
    struct arena arena;
    uint64_t seen = 0;
    arena_init(&arena, 1 << 20);
    while (!atomic_load(&shared->is_over)) {
        struct project_stats stats = project_stats(shared->world->project);
        uint64_t now = count_seen(shared);
        expect(shared, now >= seen && now % ROWS == 0, "the catalog's counts never go back");
        expect(shared, stats.events >= last.events && stats.events % ROWS == 0,
               "the number of events never goes back");
        expect(shared,
               stats.applied >= last.applied && stats.position >= last.position &&
                   stats.checkpoint_position >= last.checkpoint_position &&
                   stats.checkpoints >= last.checkpoints && stats.log_syncs >= last.log_syncs,
               "positions never go back");
        expect(shared, stats.users <= PEOPLE, "guests don't outlive their batch");
        ask_facts(shared, &arena);
        arena_reset(&arena);
        last = stats;
        seen = now;
    }
    arena_done(&arena);
    return NULL;
}

static void *settle_again_and_again(void *ctx)
{
    struct shared *shared = ctx;
    while (!atomic_load(&shared->is_over))
        expect_ok(shared, project_settle(shared->world->project));
    return NULL;
}

/* --- watching ------------------------------------------------------------------------------ */

struct watcher {
    struct shared *shared;
    struct live_reader *reader;
    uint64_t events; /* shown, and told to be left out */
};

static void *watch(void *ctx)
{
    struct watcher *watcher = ctx;
    struct shared *shared = watcher->shared;
    struct buf lines;
    buf_init(&lines, 1 << 24);
    while (watcher->events < TOTAL * EVENTS && atomic_load(&shared->wrong) == 0) {
        uint64_t skipped = 0;
        buf_reset(&lines);
        expect_ok(shared, project_live_read(watcher->reader, 100, &lines, &skipped));
        watcher->events += skipped;
        const char *end = (const char *)lines.ptr + lines.len;
        for (const char *at = (const char *)lines.ptr; at < end;) {
            const char *line_end = memchr(at, '\n', (size_t)(end - at));
            expect(shared, line_end && at[0] == '{' && line_end[-1] == '}', "a line is whole");
            watcher->events++;
            at = line_end ? line_end + 1 : end;
        }
    }
    buf_done(&lines);
    return NULL;
}

/* --- tests ----------------------------------------------------------------------------------- */

static int setup(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    assert_non_null(world);
    world_init(world);
    world->tail_events = 32;
    world->flush_events = 128;
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

static void start(struct thread *thread, thread_fn *fn, void *ctx)
{
    assert_int_equal(thread_start(thread, "test", fn, ctx).code, ERR_NONE);
}

static void assert_whole(struct shared *shared, uint64_t position)
{
    struct project_snapshot snapshot;
    assert_int_equal(project_snapshot(shared->world->project, &snapshot).code, ERR_NONE);
    assert_int_equal(snapshot.source.position, position);
    struct answers answers = read_all(shared, &snapshot);
    expect_whole(shared, position, &answers);
    project_snapshot_done(&snapshot);
    assert_int_equal(atomic_load(&shared->wrong), 0);
}

static void a_busy_project_answers_all_who_ask_from_one_position(void **state)
{
    struct world *world = *state;
    struct shared shared = { .world = world };
    struct watcher watcher = { .shared = &shared };
    struct thread writers[WRITERS];
    struct thread readers[READERS];
    struct thread facts, settler, watching;
    assert_int_equal(thread_pool_new(2, &shared.pool).code, ERR_NONE);
    project_wait_applied(world->project, FIRST); /* its own command */
    assert_int_equal(project_live_open(world->project, &watcher.reader).code, ERR_NONE);
    for (int i = 0; i < READERS; i++)
        start(&readers[i], read_snapshots, &shared);
    start(&facts, read_facts, &shared);
    start(&settler, settle_again_and_again, &shared);
    start(&watching, watch, &watcher);
    for (int i = 0; i < WRITERS; i++)
        start(&writers[i], write_batches, &shared);
    for (int i = 0; i < WRITERS; i++)
        thread_join(&writers[i]);
    for (int i = 0; i < READERS; i++)
        thread_join(&readers[i]);
    thread_join(&watching);
    atomic_store(&shared.is_over, true);
    thread_join(&facts);
    thread_join(&settler);
    project_live_close(watcher.reader);
    assert_int_equal(watcher.events, TOTAL * EVENTS);
    assert_whole(&shared, END);
    assert_true(project_stats(world->project).checkpoints > 0);
    engine_close(world->engine);
    world_open(world);
    assert_whole(&shared, END);
    assert_false(world->is_broken);
    thread_pool_free(shared.pool);
}

static void count_done(void *ctx, struct err err, uint64_t position)
{
    struct shared *shared = ctx;
    expect_ok(shared, err);
    expect(shared, (position - FIRST) % BATCH == 0, "positions go on by whole batches");
    atomic_fetch_add(&shared->calls, 1);
}

/* Submits as fast as the queue takes it, and waits for nothing. */
static void *flood(void *ctx)
{
    struct shared *shared = ctx;
    uint32_t writer = atomic_fetch_add(&shared->next_writer, 1);
    struct command_writer *w = NULL;
    expect_ok(shared, command_writer_new(&w));
    for (uint32_t i = 0; i < BATCHES; i++) {
        struct bytes batch = make_batch(shared, w, writer, i);
        struct err err = project_submit(shared->world->project, batch, BATCH, count_done, shared);
        if (err.code == ERR_LIMIT)
            atomic_fetch_add(&shared->refused, 1);
        else
            expect_ok(shared, err);
    }
    command_writer_free(w);
    return NULL;
}

static void flood_and(struct world *world, void (*stop)(struct engine *engine))
{
    struct shared shared = { .world = world };
    struct thread writers[WRITERS];
    struct thread settler;
    for (int i = 0; i < WRITERS; i++)
        start(&writers[i], flood, &shared);
    start(&settler, settle_again_and_again, &shared);
    for (int i = 0; i < WRITERS; i++)
        thread_join(&writers[i]);
    atomic_store(&shared.is_over, true);
    thread_join(&settler);
    stop(world->engine);
    uint64_t taken = TOTAL - atomic_load(&shared.refused);
    assert_int_equal(atomic_load(&shared.calls), taken);
    world_open(world);
    assert_whole(&shared, FIRST + taken * BATCH);
}

static void closing_a_busy_project_waits_for_all_that_was_taken(void **state)
{
    flood_and(*state, engine_close);
}

static void a_kill_of_a_busy_project_loses_nothing_that_was_acknowledged(void **state)
{
    flood_and(*state, engine_abandon);
}

/* Sends each batch until it's taken, with the disk full now and then. */
static void *insist(void *ctx)
{
    struct shared *shared = ctx;
    uint32_t writer = atomic_fetch_add(&shared->next_writer, 1);
    struct command_writer *w = NULL;
    expect_ok(shared, command_writer_new(&w));
    for (uint32_t i = 0; i < BATCHES && atomic_load(&shared->wrong) == 0; i++) {
        struct bytes batch = make_batch(shared, w, writer, i);
        struct err err = project_submit_wait(shared->world->project, batch, BATCH, NULL);
        while (err.code == ERR_FULL) {
            atomic_fetch_add(&shared->refused, 1);
            err = project_submit_wait(shared->world->project, batch, BATCH, NULL);
        }
        expect_ok(shared, err);
    }
    command_writer_free(w);
    return NULL;
}

/* The log's room may be reserved: it's a checkpoint that finds the disk full. From then on all are
   refused, until the next one is asked for. */
static void fill(struct shared *shared)
{
    struct err err = ok();
    disk_sim_set_capacity(shared->world->sim, 0);
    while (!atomic_load(&shared->is_over) && !err.code)
        err = project_settle(shared->world->project);
    expect(shared, err.code == ERR_NONE || err.code == ERR_FULL, "a full disk is told as one");
}

/* Begins with a full disk: gives room when somebody was refused, and takes it away again. */
static void *empty_and_fill(void *ctx)
{
    struct shared *shared = ctx;
    uint32_t seen = 0;
    while (!atomic_load(&shared->is_over)) {
        while (!atomic_load(&shared->is_over) && atomic_load(&shared->refused) == seen)
            continue;
        disk_sim_set_capacity(shared->world->sim, DISK_SIM_CAPACITY);
        expect_ok(shared, project_settle(shared->world->project));
        fill(shared);
        seen = atomic_load(&shared->refused);
    }
    disk_sim_set_capacity(shared->world->sim, DISK_SIM_CAPACITY);
    expect_ok(shared, project_settle(shared->world->project));
    return NULL;
}

static void a_disk_that_is_full_again_and_again_loses_nothing(void **state)
{
    struct world *world = *state;
    struct shared shared = { .world = world };
    struct thread writers[WRITERS];
    struct thread readers[READERS];
    struct thread filler;
    project_wait_applied(world->project, FIRST);
    for (int i = 0; i < READERS; i++)
        start(&readers[i], read_snapshots, &shared);
    fill(&shared); /* somebody is refused however the threads take turns */
    start(&filler, empty_and_fill, &shared);
    for (int i = 0; i < WRITERS; i++)
        start(&writers[i], insist, &shared);
    for (int i = 0; i < WRITERS; i++)
        thread_join(&writers[i]);
    atomic_store(&shared.is_over, true);
    thread_join(&filler);
    for (int i = 0; i < READERS; i++)
        thread_join(&readers[i]);
    assert_true(atomic_load(&shared.refused) > 0);
    assert_whole(&shared, END);
    engine_abandon(world->engine);
    world_open(world);
    assert_whole(&shared, END);
    assert_false(world->is_broken);
}

/* --- the log's thread is held up --------------------------------------------------------------- */

struct hold {
    struct world *world;
    struct mutex mutex;
    struct cond changed;
    bool is_reached;
    bool is_open;
    atomic_bool is_entered;
    struct project_stats drained; /* when project_drain came back */
};

static void hold_init(struct hold *hold, struct world *world)
{
    *hold = (struct hold){ .world = world };
    mutex_init(&hold->mutex);
    cond_init(&hold->changed);
}

static void hold_done(struct hold *hold)
{
    cond_done(&hold->changed);
    mutex_done(&hold->mutex);
}

static void hold_open(struct hold *hold)
{
    mutex_lock(&hold->mutex);
    hold->is_open = true;
    cond_broadcast(&hold->changed);
    mutex_unlock(&hold->mutex);
}

/* A `done` that keeps the log's thread. */
static void wait_at_hold(void *ctx, struct err err, uint64_t position)
{
    struct hold *hold = ctx;
    (void)err;
    (void)position;
    mutex_lock(&hold->mutex);
    hold->is_reached = true;
    cond_broadcast(&hold->changed);
    while (!hold->is_open)
        cond_wait(&hold->changed, &hold->mutex);
    mutex_unlock(&hold->mutex);
}

static void ignore_done(void *ctx, struct err err, uint64_t position)
{
    (void)ctx;
    (void)err;
    (void)position;
}

/* One batch holds up the log's thread, another waits behind it. */
static void submit_two(struct hold *hold)
{
    struct shared shared = { .world = hold->world };
    struct bytes batch = make_batch(&shared, hold->world->writer, 0, 0);
    struct project *project = hold->world->project;
    assert_int_equal(project_submit(project, batch, BATCH, wait_at_hold, hold).code, ERR_NONE);
    mutex_lock(&hold->mutex);
    while (!hold->is_reached)
        cond_wait(&hold->changed, &hold->mutex);
    mutex_unlock(&hold->mutex);
    batch = make_batch(&shared, hold->world->writer, 0, 1);
    assert_int_equal(project_submit(project, batch, BATCH, ignore_done, NULL).code, ERR_NONE);
}

static void *drain(void *ctx)
{
    struct hold *hold = ctx;
    atomic_store(&hold->is_entered, true);
    project_drain(hold->world->project);
    hold->drained = project_stats(hold->world->project);
    return NULL;
}

static void draining_does_not_count_what_was_refused(void **state)
{
    struct hold hold;
    struct thread drainer;
    hold_init(&hold, *state);
    submit_two(&hold);
    start(&drainer, drain, &hold);
    while (!atomic_load(&hold.is_entered))
        continue;
    for (int i = 0; i < 2000; i++) {
        struct err err =
            project_submit(hold.world->project, (struct bytes){ 0 }, BATCH, ignore_done, NULL);
        assert_int_equal(err.code, ERR_INVALID);
    }
    hold_open(&hold);
    thread_join(&drainer);
    assert_int_equal(hold.drained.applied, FIRST + 2 * BATCH);
    hold_done(&hold);
}

static void *open_when_stopping(void *ctx)
{
    struct hold *hold = ctx;
    struct err err = ok();
    while (err.code != ERR_BROKEN)
        err = project_submit(hold->world->project, (struct bytes){ 0 }, BATCH, ignore_done, NULL);
    /* The project's threads go now; it waits for the log's. */
    for (int i = 0; i < 2000; i++)
        err = project_submit(hold->world->project, (struct bytes){ 0 }, BATCH, ignore_done, NULL);
    hold_open(hold);
    return NULL;
}

static void what_becomes_durable_while_a_kill_goes_on_is_there_afterwards(void **state)
{
    struct shared shared = { .world = *state };
    struct hold hold;
    struct thread opener;
    hold_init(&hold, *state);
    submit_two(&hold);
    start(&opener, open_when_stopping, &hold);
    engine_abandon(hold.world->engine);
    thread_join(&opener);
    world_open(hold.world);
    assert_whole(&shared, FIRST + 2 * BATCH);
    hold_done(&hold);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(a_busy_project_answers_all_who_ask_from_one_position),
        TEST(closing_a_busy_project_waits_for_all_that_was_taken),
        TEST(a_kill_of_a_busy_project_loses_nothing_that_was_acknowledged),
        TEST(a_disk_that_is_full_again_and_again_loses_nothing),
        TEST(draining_does_not_count_what_was_refused),
        TEST(what_becomes_durable_while_a_kill_goes_on_is_there_afterwards),
#undef TEST
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

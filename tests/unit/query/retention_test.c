/*
 * retention_test.c - RETENTION says what a plain reading of docs/query.md says.
 *
 * Histories are random: few users, few event types, times at the hour and right beside it, around
 * the end of a month and a change of the clocks. The slow way below looks, for each user and cohort
 * and period, at each event. Each question is asked the quick way and the general way.
 */
#include "query/retention_internal.h"

#include "base/rng.h"
#include "sys/disk_sim.h"
#include "sys/sys.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { HISTORIES = 120, QUESTIONS = 25, USERS = 12, EVENTS = 140, TYPES = 4, ROWS = 40000 };

static const char *const NAMES[TYPES] = { "A", "B", "C", "D" };
static const char *const ZONES[] = { "UTC", "America/New_York", "Asia/Kolkata" };
static const char *const CITIES[] = { "Goa", "Pune" };

struct happened {
    uint32_t user;
    uint32_t event;
    int64_t time_ms;
    uint64_t seq;
    double amount; /* NaN: none */
    int key;       /* -1: none */
};

struct world {
    struct disk_sim *sim;
    struct store *store;
    struct store_snapshot *snapshot;
    struct catalog *catalog;
    struct profiles *profiles;
    struct profile_view *view;
    struct zone *zone;
    struct rng rng;
    int64_t from_ms;
    int64_t now_ms;
    uint32_t amount; /* properties */
    uint32_t key;
    uint32_t city;
    struct happened events[EVENTS]; /* in order of (user, time, seq) */
    uint32_t count;
};

static void must(struct err err)
{
    if (err.code)
        fail_msg("%s (%d)", err.what, err.code);
}

/* --- a history ------------------------------------------------------------------------------- */

static uint32_t below(struct world *world, uint32_t bound)
{
    return (uint32_t)rng_below(&world->rng, bound);
}

static int by_time(const void *a, const void *b)
{
    const struct happened *x = a;
    const struct happened *y = b;
    if (x->user != y->user)
        return x->user < y->user ? -1 : 1;
    if (x->time_ms != y->time_ms)
        return x->time_ms < y->time_ms ? -1 : 1;
    return (x->seq > y->seq) - (x->seq < y->seq);
}

static void append(struct world *world, const struct happened *event)
{
    struct store_property properties[2];
    struct store_event stored = {
        .user = event->user,
        .event = event->event,
        .time_ms = event->time_ms,
        .seq = event->seq,
        .properties = properties,
    };
    if (!isnan(event->amount)) {
        struct value value = event->amount == floor(event->amount)
                                 ? value_int((int64_t)event->amount)
                                 : value_real(event->amount);
        properties[stored.property_count++] = (struct store_property){ world->amount, value };
        must(catalog_saw_property(world->catalog, event->event, world->amount, value.type));
    }
    if (event->key >= 0) {
        struct value value = value_string(bytes_from(event->key ? "y" : "x"));
        properties[stored.property_count++] = (struct store_property){ world->key, value };
        must(catalog_saw_property(world->catalog, event->event, world->key, value.type));
    }
    catalog_saw_event(world->catalog, event->event, event->time_ms);
    must(world->store->ops->append(world->store, &stored, 1));
}

static void make_events(struct world *world)
{
    static const int64_t BESIDE[] = { 0, 0, 0, -1, 1, 29 * MS_PER_MINUTE + 59999 };
    uint32_t hours = below(world, 2) ? 24 * 10 : 24 * 100;
    world->count = below(world, EVENTS + 1);
    for (uint32_t i = 0; i < world->count; i++) {
        struct happened *event = &world->events[i];
        *event = (struct happened){
            .user = below(world, USERS),
            .event = below(world, TYPES),
            .time_ms = world->from_ms + below(world, hours) * MS_PER_HOUR + BESIDE[below(world, 6)],
            .seq = i + 1,
            .amount = below(world, 3) ? (double)below(world, 12) / 4 : (double)NAN,
            .key = (int)below(world, 3) - 1,
        };
        append(world, event);
    }
    world->now_ms = world->from_ms + below(world, hours + 48) * MS_PER_HOUR;
    qsort(world->events, world->count, sizeof *world->events, by_time);
}

static void open_world(struct world *world, uint64_t seed)
{
    *world = (struct world){ .sim = NULL };
    rng_init(&world->rng, seed);
    struct bytes name = bytes_from(ZONES[seed % 3]);
    must(sys_zone_load(name, &world->zone));
    must(disk_sim_new(&world->sim));
    uint64_t position;
    struct store_files_config config = {
        .disk = disk_sim_disk(world->sim),
        .dir = "p",
        .shards = 1 + below(world, 3),
        .zone = world->zone,
        .tail_events = 8,
    };
    must(disk_make_dir(config.disk, "p"));
    must(store_open_files(&config, &position, NULL, &world->store));
    must(catalog_new(&world->catalog));
    for (uint32_t i = 0; i < TYPES; i++) {
        uint32_t event;
        must(catalog_event_put(world->catalog, bytes_from(NAMES[i]), false, &event, NULL));
        assert_int_equal(event, i);
    }
    must(catalog_property_put(world->catalog, BYTES("n"), &world->amount));
    must(catalog_property_put(world->catalog, BYTES("s"), &world->key));
    must(catalog_property_put(world->catalog, BYTES("city"), &world->city));
    must(profiles_new((struct profile_limits){ 100, 512, 1 << 20 }, &world->profiles));
    must(catalog_saw_profile_property(world->catalog, world->city, VALUE_STRING));
    for (uint32_t user = 0; user < USERS; user++) {
        struct value value = value_string(bytes_from(CITIES[user % 2]));
        bool is_ignored;
        must(profile_apply(world->profiles, user, world->city, PROFILE_SET, &value, &is_ignored));
    }
    bool is_date;
    assert_true(calendar_parse(BYTES("2025-10-28"), world->zone, &world->from_ms, &is_date));
    make_events(world);
    must(world->store->ops->snapshot(world->store, &world->snapshot));
    must(profile_view_take(world->profiles, &world->view));
}

static void close_world(struct world *world)
{
    profile_view_release(world->view);
    profiles_free(world->profiles);
    world->snapshot->ops->snapshot_free(world->snapshot);
    world->store->ops->close(world->store);
    catalog_free(world->catalog);
    zone_free(world->zone);
    disk_sim_free(world->sim);
}

/* --- a question ------------------------------------------------------------------------------- */

struct question {
    uint32_t starts; /* bit per type */
    uint32_t backs;
    double start_over; /* n > this; NaN: any */
    double back_over;
    bool is_first;
    enum calendar_unit unit;
    uint32_t periods;
    enum retention_mode mode;
    uint32_t brackets[4];
    uint32_t bracket_count;
    bool is_rolling;
    bool counts_birth;
    bool sums;
    int by; /* 0 nothing, 1 s, 2 profile.city, 3 event, 4 s and profile.city */
    int64_t from_ms;
    int64_t to_ms;
    char cql[1024];
};

static void put_types(struct buf *to, uint32_t types, double over)
{
    bool is_first = true;
    for (uint32_t i = 0; i < TYPES; i++) {
        if (types >> i & 1)
            buf_printf(to, "%s'%s'", is_first ? "" : " OR ", NAMES[i]);
        is_first = is_first && !(types >> i & 1);
    }
    if (!isnan(over))
        buf_printf(to, " WHERE n > %g", over);
}

static void put_question(struct world *world, struct question *q)
{
    static const char *const UNITS[] = { "", "HOURLY", "DAILY", "WEEKLY", "MONTHLY" };
    static const char *const MODES[] = { " ON", " ON OR AFTER", " ON OR BEFORE", " STREAK" };
    static const char *const BYS[] = { "", " BY s", " BY profile.city", " BY event",
                                       " BY s, profile.city" };
    struct buf to;
    buf_init(&to, sizeof q->cql - 1);
    buf_printf(&to, "RETENTION OF %s", q->is_first ? "FIRST " : "");
    put_types(&to, q->starts, q->start_over);
    buf_printf(&to, " RETURNING ");
    put_types(&to, q->backs, q->back_over);
    buf_printf(&to, " %s FOR %u%s", UNITS[q->unit], q->periods, MODES[q->mode]);
    for (uint32_t i = 0; i < q->bracket_count; i++)
        buf_printf(&to, "%s %u", i ? "," : " BRACKETS", q->brackets[i]);
    buf_printf(&to, "%s%s%s%s", q->is_rolling ? " ROLLING" : "",
               q->counts_birth ? " COUNT BIRTH" : "", q->sums ? " SUM(n)" : "", BYS[q->by]);
    if (q->from_ms > TIME_MS_MIN) {
        buf_printf(&to, " SINCE '");
        calendar_put_local(&to, world->zone, q->from_ms);
        buf_printf(&to, "'");
        if (q->to_ms <= TIME_MS_MAX) {
            buf_printf(&to, " UNTIL '");
            calendar_put_local(&to, world->zone, q->to_ms);
            buf_printf(&to, "'");
        }
    }
    must(buf_err(&to));
    memcpy(q->cql, to.ptr, to.len);
    q->cql[to.len] = '\0';
    buf_done(&to);
}

static uint32_t some_types(struct world *world)
{
    uint32_t types = 1u << below(world, TYPES);
    return below(world, 4) ? types : types | 1u << below(world, TYPES);
}

static void make_question(struct world *world, struct question *q)
{
    *q = (struct question){
        .starts = some_types(world),
        .backs = some_types(world),
        .start_over = below(world, 4) ? (double)NAN : 1,
        .back_over = below(world, 4) ? (double)NAN : 1,
        .is_first = below(world, 2),
        .unit = UNIT_HOUR + below(world, 4),
        .periods = 1 + below(world, 6),
        .mode = below(world, 2) ? RETENTION_ON : below(world, 4),
        .is_rolling = below(world, 4) == 0,
        .counts_birth = below(world, 3) == 0,
        .sums = below(world, 4) == 0,
        .by = below(world, 2) ? 0 : (int)below(world, 5),
        .from_ms = TIME_MS_MIN,
        .to_ms = TIME_MS_MAX + 1,
    };
    if (below(world, 3) == 0)
        q->backs = q->starts;
    for (uint32_t k = below(world, 2); below(world, 3) == 0 && k < q->periods;) {
        if (q->bracket_count == 4)
            break;
        q->brackets[q->bracket_count++] = k;
        k += 1 + below(world, 3);
    }
    if (below(world, 4)) {
        q->from_ms = world->from_ms + below(world, 24 * 12) * MS_PER_HOUR;
        if (below(world, 2))
            q->to_ms = q->from_ms + below(world, 24 * 9) * MS_PER_HOUR;
    }
    put_question(world, q);
}

/* --- the slow way -------------------------------------------------------------------------------- */

struct expected {
    int keys[2]; /* -1 is absent, and comes last; see key_of */
    int64_t cohort_ms;
    uint64_t size;
    uint32_t k;
    uint64_t users;
    bool is_complete;
    double sum;
    uint64_t numbers;
};

static bool is_of(const struct happened *event, uint32_t types, double over)
{
    return (types >> event->event & 1) && (isnan(over) || event->amount > over);
}

/* The end of the k-th period of the cohort (exclusive), in calendar units. */
static int64_t period_end(const struct world *world, const struct question *q, int64_t cohort_ms,
                          uint32_t k)
{
    return zone_add_ms(world->zone, q->unit, cohort_ms, (int32_t)k + 1);
}

static int64_t rolling_ms(const struct question *q)
{
    static const int64_t LENGTHS[] = { 0, MS_PER_HOUR, MS_PER_DAY, 7 * MS_PER_DAY,
                                       30 * MS_PER_DAY };
    return LENGTHS[q->unit];
}

static bool is_in_period(const struct world *world, const struct question *q,
                         const struct happened *birth, const struct happened *event, uint32_t k)
{
    int64_t cohort_ms = zone_floor_ms(world->zone, q->unit, MONDAY, birth->time_ms);
    int64_t from_ms = k ? period_end(world, q, cohort_ms, k - 1) : cohort_ms;
    int64_t to_ms = period_end(world, q, cohort_ms, k);
    if (q->is_rolling) {
        from_ms = birth->time_ms + k * rolling_ms(q);
        to_ms = from_ms + rolling_ms(q);
    }
    return event->time_ms >= from_ms && event->time_ms < to_ms;
}

/* A returning event of this birth's user in one of the periods from .. to - 1 (to: UINT32_MAX for
 * all that follow)? */
static bool is_back(const struct world *world, const struct question *q,
                    const struct happened *birth, const struct happened *event, uint32_t from,
                    uint32_t to)
{
    if (event->user != birth->user || !is_of(event, q->backs, q->back_over) ||
        (event == birth && !q->counts_birth))
        return false;
    for (uint32_t k = from; k < to && k < 2600; k++) {
        if (is_in_period(world, q, birth, event, k))
            return true;
    }
    return false;
}

static uint32_t column_start(const struct question *q, uint32_t column)
{
    if (q->bracket_count == 0)
        return column;
    return column < q->bracket_count ? q->brackets[column] : q->periods;
}

static bool has_back(const struct world *world, const struct question *q,
                     const struct happened *birth, uint32_t from, uint32_t to)
{
    for (uint32_t i = 0; i < world->count; i++) {
        if (is_back(world, q, birth, &world->events[i], from, to))
            return true;
    }
    return false;
}

static void add_cell(const struct world *world, const struct question *q,
                     const struct happened *birth, uint32_t column, struct expected *to)
{
    uint32_t from = column_start(q, column);
    uint32_t end = column_start(q, column + 1);
    bool is_in = true;
    switch (q->mode) {
    case RETENTION_ON:
        break;
    case RETENTION_ON_OR_AFTER:
        end = UINT32_MAX;
        break;
    case RETENTION_ON_OR_BEFORE:
        from = 0;
        break;
    case RETENTION_STREAK:
        for (uint32_t c = 0; c < column; c++)
            is_in = is_in && has_back(world, q, birth, column_start(q, c), column_start(q, c + 1));
        break;
    }
    is_in = is_in && has_back(world, q, birth, from, end);
    to->users += is_in;
    for (uint32_t i = 0; i < world->count && is_in; i++) {
        const struct happened *event = &world->events[i];
        if (isnan(event->amount) || !is_back(world, q, birth, event, from, end))
            continue;
        to->sum += event->amount;
        to->numbers++;
    }
}

static bool makes_cohort(const struct world *world, const struct question *q, uint32_t i)
{
    const struct happened *event = &world->events[i];
    if (!is_of(event, q->starts, q->start_over) || event->time_ms < q->from_ms ||
        event->time_ms >= q->to_ms)
        return false;
    int64_t cohort_ms = zone_floor_ms(world->zone, q->unit, MONDAY, event->time_ms);
    for (uint32_t j = 0; j < i; j++) {
        const struct happened *before = &world->events[j];
        if (before->user != event->user || !is_of(before, q->starts, q->start_over))
            continue;
        if (q->is_first)
            return false;
        if (before->time_ms >= q->from_ms &&
            zone_floor_ms(world->zone, q->unit, MONDAY, before->time_ms) == cohort_ms)
            return false;
    }
    return true;
}

static void keys_of(const struct question *q, const struct happened *birth, int *keys)
{
    int city = (int)(birth->user % 2);
    keys[0] = keys[1] = 0;
    if (q->by == 1 || q->by == 4)
        keys[0] = birth->key < 0 ? 99 : birth->key;
    if (q->by == 2)
        keys[0] = city;
    if (q->by == 3)
        keys[0] = (int)birth->event;
    if (q->by == 4)
        keys[1] = city;
}

static struct expected *find_cell(struct expected *cells, uint32_t *count, const int *keys,
                                  int64_t cohort_ms, uint32_t k)
{
    for (uint32_t i = 0; i < *count; i++) {
        if (cells[i].cohort_ms == cohort_ms && cells[i].k == k && cells[i].keys[0] == keys[0] &&
            cells[i].keys[1] == keys[1])
            return &cells[i];
    }
    assert_true(*count < ROWS);
    cells[*count] =
        (struct expected){ .keys = { keys[0], keys[1] }, .cohort_ms = cohort_ms, .k = k };
    return &cells[(*count)++];
}

static int by_place(const void *a, const void *b)
{
    const struct expected *x = a;
    const struct expected *y = b;
    if (x->keys[0] != y->keys[0])
        return x->keys[0] < y->keys[0] ? -1 : 1;
    if (x->keys[1] != y->keys[1])
        return x->keys[1] < y->keys[1] ? -1 : 1;
    if (x->cohort_ms != y->cohort_ms)
        return x->cohort_ms < y->cohort_ms ? -1 : 1;
    return (x->k > y->k) - (x->k < y->k);
}

static void add_overall(const struct question *q, struct expected *cells, uint32_t *count)
{
    uint32_t cohorts = *count;
    uint32_t columns = q->bracket_count ? q->bracket_count : q->periods;
    int none[2] = { 0, 0 };
    for (uint32_t c = 0; c < columns && q->by == 0; c++)
        (void)find_cell(cells, count, none, INT64_MAX, column_start(q, c));
    for (uint32_t i = 0; i < cohorts; i++) {
        struct expected *all = find_cell(cells, count, cells[i].keys, INT64_MAX, cells[i].k);
        if (!cells[i].is_complete)
            continue;
        all->size += cells[i].size;
        all->users += cells[i].users;
        all->sum += cells[i].sum;
        all->numbers += cells[i].numbers;
        all->is_complete = true;
    }
}

static uint32_t answer_slowly(const struct world *world, const struct question *q,
                              struct expected *cells)
{
    uint32_t count = 0;
    uint32_t columns = q->bracket_count ? q->bracket_count : q->periods;
    for (uint32_t i = 0; i < world->count; i++) {
        const struct happened *birth = &world->events[i];
        int keys[2];
        if (!makes_cohort(world, q, i))
            continue;
        keys_of(q, birth, keys);
        int64_t cohort_ms = zone_floor_ms(world->zone, q->unit, MONDAY, birth->time_ms);
        for (uint32_t column = 0; column < columns; column++) {
            struct expected *cell =
                find_cell(cells, &count, keys, cohort_ms, column_start(q, column));
            uint32_t last = column_start(q, column + 1) - 1;
            int64_t end_ms = period_end(world, q, cohort_ms, last);
            if (q->is_rolling)
                end_ms = period_end(world, q, cohort_ms, 0) + (last + 1) * rolling_ms(q);
            cell->is_complete = end_ms <= world->now_ms;
            cell->size++;
            add_cell(world, q, birth, column, cell);
        }
    }
    add_overall(q, cells, &count);
    qsort(cells, count, sizeof *cells, by_place);
    return count;
}

/* --- comparing --------------------------------------------------------------------------------------- */

static struct err no_zone(void *ctx, struct bytes name, const struct zone **out)
{
    (void)ctx, (void)name, (void)out;
    return err_new(ERR_MISSING, "test: zone");
}

static void ask(struct world *world, const char *cql, bool is_general, struct table *table)
{
    struct arena arena;
    struct query *query = NULL;
    struct query_problem problem = { 0 };
    struct exec exec;
    struct query_options options = { .memory_bytes = 64 << 20, .allows_unknown = true };
    struct query_source source = {
        .snapshot = world->snapshot,
        .catalog = world->catalog,
        .profiles = world->view,
        .zone = world->zone,
        .week_start = MONDAY,
        .now_ms = world->now_ms,
        .load_zone = no_zone,
    };
    arena_init(&arena, 64 << 20);
    struct err err = query_parse_cql(bytes_from(cql), &arena, &query, &problem);
    if (!err.code)
        err = exec_init(&exec, query, &source, &options, &arena, &problem);
    if (!err.code)
        err = run_retention_by(&exec, is_general, table);
    if (err.code)
        fail_msg("%s: %s: %.*s", cql, err.what, BYTES_FMT(problem.message));
    exec_done(&exec);
    arena_done(&arena);
}

static bool is_text(const struct table_cell *cell, const char *text)
{
    bool is_null = cell->kind == CELL_NULL;
    return text ? !is_null && bytes_equal(cell->text, bytes_from(text)) : is_null;
}

static bool has_keys(const struct question *q, const struct table_cell *cells, const int *keys)
{
    static const char *const VALUES[] = { "x", "y" };
    switch (q->by) {
    case 1:
        return is_text(&cells[0], keys[0] == 99 ? NULL : VALUES[keys[0]]);
    case 2:
        return is_text(&cells[0], CITIES[keys[0]]);
    case 3:
        return is_text(&cells[0], NAMES[keys[0]]);
    case 4:
        return is_text(&cells[0], keys[0] == 99 ? NULL : VALUES[keys[0]]) &&
               is_text(&cells[1], CITIES[keys[1]]);
    default:
        return true;
    }
}

static bool has_cohort(const struct world *world, const struct question *q,
                       const struct table_cell *cell, int64_t cohort_ms)
{
    struct buf text;
    if (cohort_ms == INT64_MAX)
        return cell->kind == CELL_NULL;
    buf_init(&text, 100);
    if (q->unit == UNIT_HOUR)
        calendar_put_local(&text, world->zone, cohort_ms);
    else
        calendar_put_day(&text, zone_day(world->zone, cohort_ms));
    bool is_same = cell->kind != CELL_NULL && bytes_equal(cell->text, buf_bytes(&text));
    buf_done(&text);
    return is_same;
}

static bool is_real(const struct table_cell *cell, bool is_there, double wanted)
{
    if (!is_there)
        return cell->kind == CELL_NULL;
    return cell->kind == CELL_REAL && fabs(cell->real - wanted) < 1e-9;
}

static bool is_row(const struct world *world, const struct question *q,
                   const struct table_cell *cells, const struct expected *wanted)
{
    uint32_t keys = q->by == 0 ? 0 : q->by == 4 ? 2 : 1;
    double rate = wanted->size ? (double)wanted->users / (double)wanted->size : 0;
    if (!has_keys(q, cells, wanted->keys))
        return false;
    cells += keys;
    return has_cohort(world, q, &cells[0], wanted->cohort_ms) &&
           cells[1].integer == (int64_t)wanted->size && cells[2].integer == wanted->k &&
           cells[3].integer == (int64_t)wanted->users && is_real(&cells[4], wanted->size, rate) &&
           cells[5].boolean == wanted->is_complete &&
           (!q->sums || is_real(&cells[6], wanted->numbers, wanted->sum));
}

static void check(struct world *world, const struct question *q, bool is_general,
                  const struct expected *wanted, uint32_t count)
{
    struct table table;
    ask(world, q->cql, is_general, &table);
    uint32_t at = 0;
    while (at < count && at < table.row_count &&
           is_row(world, q, table.cells + (size_t)at * table.column_count, &wanted[at]))
        at++;
    if (at < count || table.row_count != count) {
        struct buf text;
        buf_init(&text, 1 << 20);
        table_put_csv(&table, &text);
        print_error("%.*s\nrow %u of %u should be: keys %d %d, cohort %lld, size %llu, k %u, users "
                    "%llu, complete %d, sum %g of %llu\n",
                    BYTES_FMT(buf_bytes(&text)), at, count, wanted[at].keys[0], wanted[at].keys[1],
                    (long long)wanted[at].cohort_ms, (unsigned long long)wanted[at].size,
                    wanted[at].k, (unsigned long long)wanted[at].users, wanted[at].is_complete,
                    wanted[at].sum, (unsigned long long)wanted[at].numbers);
        fail_msg("%s (%s) in %s", q->cql, is_general ? "general" : "quick", zone_name(world->zone));
    }
    table_done(&table);
}

static void every_question_is_answered_as_by_looking_at_each_event(void **state)
{
    (void)state;
    static struct world world;
    struct expected *cells = calloc(ROWS, sizeof *cells);
    assert_non_null(cells);
    for (uint64_t seed = 1; seed <= HISTORIES; seed++) {
        open_world(&world, seed);
        for (int i = 0; i < QUESTIONS; i++) {
            struct question q;
            make_question(&world, &q);
            uint32_t count = answer_slowly(&world, &q, cells);
            check(&world, &q, false, cells, count);
            check(&world, &q, true, cells, count);
        }
        close_world(&world);
    }
    free(cells);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_question_is_answered_as_by_looking_at_each_event),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

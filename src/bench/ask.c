/*
 * ask.c - the published questions, and what they cost.
 *
 * A question is run `repeat` times through the ordinary path (parser, planner, snapshot,
 * checksums); the median wall time and the median CPU time of the process are told, with the
 * answer, so that another engine's can be held against it.
 */
#include "bench/ask.h"

#include "account/account.h"
#include "base/arena.h"
#include "bench/bench.h"
#include "db/db.h"
#include "engine/engine.h"
#include "query/query.h"
#include "sys/sys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STATUS_OK = 0, STATUS_REFUSED = 3, STATUS_ENVIRONMENT = 4 };

enum { ROWS_SHOWN = 3 };

#define ANSWER_MAX ((size_t)16 << 20)

/* The questions of docs/benchmarks.md, over the generated data. */
static const struct question {
    const char *name;
    const char *cql;
} QUESTIONS[] = {
    { "funnel of 3 steps in 7 days", "FUNNEL 'Product Viewed' THEN 'Added to Cart' THEN 'Charged' "
                                     "WITHIN 7 days SINCE '2025-01-01'" },
    { "retention 90 x 90 days",
      "RETENTION OF FIRST 'App Launched' RETURNING 'Product Viewed' DAILY "
      "FOR 90 SINCE '2025-01-01' UNTIL '2025-04-01'" },
    { "segment: at least 5 in 30 days",
      "SEGMENT DID 'Product Viewed' COUNT >= 5 SINCE '2025-03-02'" },
    { "users per day, 90 days", "SELECT users() WHERE event = 'Product Viewed' SINCE '2025-01-01' "
                                "UNTIL '2025-04-01' GROUP BY day" },
    { "users of 90 days, exact",
      "SELECT users() WHERE event = 'Product Viewed' SINCE '2025-01-01' UNTIL '2025-04-01'" },
    { "events per day of one type", "SELECT count() WHERE event = 'Charged' SINCE '2025-01-01' "
                                    "UNTIL '2025-04-01' GROUP BY day" },
    { "sum by category",
      "SELECT sum(Price) WHERE event = 'Charged' SINCE '2025-01-01' "
      "UNTIL '2025-04-01' GROUP BY Category ORDER BY sum(Price) DESC LIMIT 100" },
    { "top 10 products",
      "SELECT count() WHERE event = 'Charged' SINCE '2025-01-01' "
      "UNTIL '2025-04-01' GROUP BY \"Product ID\" ORDER BY count() DESC LIMIT 10" },
    { "flow of 5 steps", "FLOW FROM 'App Launched' STEPS 5 SINCE '2025-01-01' UNTIL '2025-04-01'" },
    { "flow of 5 steps within a day, repeats as one",
      "FLOW FROM 'App Launched' STEPS 5 WITHIN 1 day COLLAPSE "
      "SINCE '2025-01-01' UNTIL '2025-04-01'" },
    { "one user's timeline of 100", "EVENTS OF 'user_0000700000' SINCE '2025-01-01' LIMIT 100" },
};

/* --- one question ---------------------------------------------------------------------------- */

struct asked {
    struct project *project;
    struct thread_pool *pool;
};

struct cost {
    double wall_ms;
    double cpu_ms;
    uint64_t rows;
};

struct answer {
    struct buf json; /* all of it */
    struct buf csv;  /* its first rows */
};

static void put_answer(struct answer *answer, struct table *table)
{
    buf_reset(&answer->json);
    buf_reset(&answer->csv);
    table_put_json(table, &answer->json);
    table->row_count = table->row_count > ROWS_SHOWN ? ROWS_SHOWN : table->row_count;
    table_put_csv(table, &answer->csv);
}

/* The answer is written down too, when there is room for it. */
static struct err ask_once(const struct asked *asked, const char *cql, struct cost *cost,
                           struct answer *answer)
{
    struct query *query = NULL;
    struct query_problem problem = { 0 };
    struct project_snapshot snapshot = { .inner = NULL };
    struct table table;
    struct arena arena;
    arena_init(&arena, (size_t)1 << 30);

    int64_t wall_ns = clock_mono_ns(clock_real());
    int64_t cpu_ns = sys_cpu_process_ns();
    struct err err = query_parse_cql(bytes_from(cql), &arena, &query, &problem);
    if (!err.code)
        err = project_snapshot(asked->project, &snapshot);
    if (!err.code) {
        struct query_options options = { .pool = asked->pool, .clock = clock_real() };
        err = query_run(query, &snapshot.source, &options, &arena, &table, &problem);
    }
    wall_ns = clock_mono_ns(clock_real()) - wall_ns;
    cpu_ns = sys_cpu_process_ns() - cpu_ns;
    project_snapshot_done(&snapshot);
    if (err.code) {
        fprintf(stderr, "kolam: %s: %.*s (%s)\n", cql, BYTES_FMT(problem.message), err.what);
    } else {
        *cost = (struct cost){ .wall_ms = (double)wall_ns / 1e6,
                               .cpu_ms = (double)cpu_ns / 1e6,
                               .rows = table.row_count };
        if (answer)
            put_answer(answer, &table);
        table_done(&table);
    }
    arena_done(&arena);
    return err;
}

static int by_value(const void *a, const void *b)
{
    const double *x = a;
    const double *y = b;
    return (*x > *y) - (*x < *y);
}

/* Sorts the values. */
static double quantile(double *values, uint32_t count, double of)
{
    qsort(values, count, sizeof *values, by_value);
    uint32_t at = (uint32_t)(of * (double)count);
    return values[at < count ? at : count - 1];
}

/* Once unmeasured, so that everything is warm; then `repeat` times. */
static struct err ask(const struct asked *asked, const char *cql, uint32_t repeat,
                      struct cost *median, struct answer *answer)
{
    double *wall = calloc(repeat, sizeof *wall);
    double *cpu = calloc(repeat, sizeof *cpu);
    struct err err =
        wall && cpu ? ask_once(asked, cql, median, answer) : err_new(ERR_NOMEM, "bench");
    for (uint32_t i = 0; i < repeat && !err.code; i++) {
        err = ask_once(asked, cql, median, answer);
        wall[i] = median->wall_ms;
        cpu[i] = median->cpu_ms;
    }
    if (!err.code) {
        median->wall_ms = quantile(wall, repeat, 0.5);
        median->cpu_ms = quantile(cpu, repeat, 0.5);
    }
    free(wall);
    free(cpu);
    return err;
}

/* --- what is told ------------------------------------------------------------------------------ */

/* The rows of a CSV on one line, without its header and its quotes. */
static void print_rows(const struct buf *csv)
{
    struct bytes rest = buf_bytes(csv);
    bool is_header = true;
    for (size_t i = 0; i < rest.len; i++) {
        uint8_t byte = rest.ptr[i];
        if (byte == '\n') {
            if (!is_header && i + 1 < rest.len)
                putchar(';');
            is_header = false;
        } else if (!is_header && byte != '"' && byte != '\r') {
            putchar(byte);
        }
    }
}

static void report(const struct bench_ask *how, const char *question, const struct cost *cost,
                   const struct answer *answer)
{
    if (how->is_json)
        printf("{\"question\":\"%s\",\"wall_ms\":%.3f,\"cpu_ms\":%.3f,\"rows\":%llu,\"first\":\"",
               question, cost->wall_ms, cost->cpu_ms, (unsigned long long)cost->rows);
    else
        printf("%-32s %10.2f ms wall %10.2f ms cpu %8llu rows   ", question, cost->wall_ms,
               cost->cpu_ms, (unsigned long long)cost->rows);
    print_rows(&answer->csv);
    if (how->is_json)
        printf("\",\"table\":%.*s}", BYTES_FMT(buf_bytes(&answer->json)));
    putchar('\n');
    fflush(stdout);
}

/* --- many timelines ------------------------------------------------------------------------------ */

static struct err ask_timelines(const struct bench_ask *how, const struct asked *asked,
                                double *wall, double *cpu, uint32_t *counts)
{
    struct err err = ok();
    for (uint32_t i = 0; i < how->timelines && !err.code; i++) {
        char cql[128];
        struct cost cost;
        (void)snprintf(cql, sizeof cql, "EVENTS OF 'user_%010u' SINCE '2025-01-01' LIMIT 100",
                       bench_identity(bench_sample(i, how->timelines, how->users)));
        err = ask_once(asked, cql, &cost, NULL);
        if (err.code)
            break;
        wall[i] = cost.wall_ms;
        counts[i] = (uint32_t)cost.rows;
        cpu[i] = cost.cpu_ms;
    }
    return err;
}

/* The timelines of a sample of users, one after the other, twice: the second time counts. */
static struct err report_timelines(const struct bench_ask *how, const struct asked *asked)
{
    double *wall = calloc(how->timelines, sizeof *wall);
    double *cpu = calloc(how->timelines, sizeof *cpu);
    uint32_t *counts = calloc(how->timelines, sizeof *counts);
    struct err err = wall && cpu && counts ? ok() : err_new(ERR_NOMEM, "bench");
    for (int i = 0; i < 2 && !err.code; i++)
        err = ask_timelines(how, asked, wall, cpu, counts);
    if (!err.code) {
        double p99 = quantile(wall, how->timelines, 0.99);
        double p50 = wall[how->timelines / 2];
        const char *name = "timelines";
        double cpu_p99 = quantile(cpu, how->timelines, 0.99);
        if (how->is_json) {
            printf("{\"question\":\"%s\",\"wall_ms\":%.4f,\"p50_ms\":%.4f,\"cpu_ms\":%.4f,"
                   "\"counts\":[",
                   name, p99, p50, cpu_p99);
            for (uint32_t i = 0; i < how->timelines; i++)
                printf("%s%u", i ? "," : "", counts[i]);
            puts("]}");
        } else {
            printf("%-32s %10.3f ms p99, %.3f ms p50, %.3f ms cpu p99, of %u users\n", name, p99,
                   p50, cpu_p99, how->timelines);
        }
        fflush(stdout);
    }
    free(wall);
    free(cpu);
    free(counts);
    return err;
}

/* --- the project --------------------------------------------------------------------------------- */

static void die_broken(void *ctx, const char *project, struct err err)
{
    (void)ctx;
    sys_die(STATUS_ENVIRONMENT, "kolam: %s: %s", project, err.what);
}

/* The id of the project that the folder's accounts know by this name (or id). */
static struct err find_project(const char *folder, const char *name, struct account_project *out)
{
    char path[4200];
    struct db *db = NULL;
    struct accounts *accounts = NULL;
    (void)snprintf(path, sizeof path, "%s/control.db", folder);
    struct err err = db_open_sqlite(path, &db);
    if (!err.code)
        err = accounts_open(db, clock_real(), &accounts);
    if (!err.code)
        err = account_project_find(accounts, bytes_from(name), out);
    accounts_close(accounts);
    return err;
}

static struct err ask_all(const struct bench_ask *how, const struct asked *asked)
{
    struct err err = ok();
    for (size_t i = 0; i < sizeof QUESTIONS / sizeof *QUESTIONS && !err.code; i++) {
        struct cost median = { .rows = 0 };
        struct answer answer;
        buf_init(&answer.json, ANSWER_MAX);
        buf_init(&answer.csv, ANSWER_MAX);
        err = ask(asked, QUESTIONS[i].cql, how->repeat, &median, &answer);
        if (!err.code)
            err = buf_err(&answer.json);
        if (!err.code)
            report(how, QUESTIONS[i].name, &median, &answer);
        buf_done(&answer.json);
        buf_done(&answer.csv);
    }
    if (!err.code && how->timelines)
        err = report_timelines(how, asked);
    return err;
}

static struct err ask_project(const struct bench_ask *how, struct disk *disk,
                              struct thread_pool *pool)
{
    struct engine *engine = NULL;
    struct asked asked = { .pool = pool };
    struct engine_config config = { .disk = disk,
                                    .clock = clock_real(),
                                    .pool = pool,
                                    .cache_bytes = how->cache_bytes,
                                    .on_broken = die_broken };
    struct account_project facts;
    struct err err = engine_open(&config, &engine);
    if (err.code)
        return err;
    err = find_project(how->data, how->project, &facts);
    if (!err.code) {
        struct project_settings settings = { .time_zone = bytes_from(facts.time_zone) };
        err = engine_project(engine, facts.id, &settings, false, &asked.project);
    }
    if (!err.code)
        err = project_settle(asked.project);
    if (!err.code)
        err = ask_all(how, &asked);
    engine_close(engine);
    return err;
}

int bench_ask(const struct bench_ask *how)
{
    struct disk *disk = NULL;
    struct thread_pool *pool = NULL;
    char machine[256];
    sys_describe_machine(machine, sizeof machine);
    if (!how->is_json)
        printf("%s; %u threads; median of %u\n", machine, how->threads, how->repeat);
    struct err err = disk_real(how->data, &disk);
    if (!err.code)
        err = thread_pool_new(how->threads, &pool);
    if (!err.code)
        err = ask_project(how, disk, pool);
    thread_pool_free(pool);
    disk_free(disk);
    if (!err.code)
        return STATUS_OK;
    fprintf(stderr, "kolam: %s: %s\n", how->data, err.what);
    return err.code == ERR_BUSY || err.code == ERR_OS ? STATUS_ENVIRONMENT : STATUS_REFUSED;
}

/*
 * bench.c - `kolam bench`: makes the data, asks the questions, tells what they cost.
 *
 * A question is run `repeat` times through the ordinary path (parser, planner, snapshot,
 * checksums); the best wall time and the best CPU time of the process are told, with the answer's
 * first row, so that another engine's answers can be held against it.
 */
#include "bench/bench.h"

#include "account/account.h"
#include "db/db.h"
#include "engine/engine.h"
#include "query/query.h"
#include "sys/sys.h"

#include <stdio.h>
#include <stdlib.h>

enum { STATUS_OK = 0, STATUS_USAGE = 2, STATUS_REFUSED = 3, STATUS_ENVIRONMENT = 4 };

#define LINE_BUFFER ((size_t)1 << 20)

struct arguments {
    const char *command;
    uint64_t events;
    uint32_t users;
    uint32_t days;
    uint32_t repeat;
    uint32_t threads;
    const char *data;
    const char *project;
    const char *format;
};

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
    { "sum by category", "SELECT sum(Price) WHERE event = 'Charged' SINCE '2025-01-01' "
                         "GROUP BY Category ORDER BY sum(Price) DESC LIMIT 100" },
    { "top 10 products", "SELECT count() WHERE event = 'Charged' SINCE '2025-01-01' "
                         "GROUP BY \"Product ID\" ORDER BY count() DESC LIMIT 10" },
    { "one user's timeline of 100", "EVENTS OF 'user_0000700000' SINCE '2025-01-01' LIMIT 100" },
};

/* --- arguments --------------------------------------------------------------------------- */

static int usage(void)
{
    fputs("usage: kolam bench gen [--events N] [--users N] [--days N] > events.ndjson\n"
          "       kolam bench query --data DIR --project P [--repeat N] [--threads N]\n"
          "                         [--format table|json]\n"
          "\n"
          "gen prints the benchmark's events, one JSON object a line; the same ones every time.\n"
          "query asks the benchmark's questions of a project that holds them.\n",
          stderr);
    return STATUS_USAGE;
}

static bool take_number(const char *text, uint64_t *out)
{
    char *end = NULL;
    double number = text ? strtod(text, &end) : 0; /* so that 1e7 is a number too */
    if (!text || end == text || *end != '\0' || number < 1 || number > 1e12)
        return false;
    *out = (uint64_t)number;
    return true;
}

static bool take_arguments(int argc, char **argv, struct arguments *to)
{
    *to = (struct arguments){ .events = 10000000,
                              .users = 400000,
                              .days = 90,
                              .repeat = 5,
                              .threads = sys_cpu_count(),
                              .project = "bench",
                              .format = "table" };
    if (argc < 2)
        return false;
    to->command = argv[1];
    for (int i = 2; i + 1 < argc; i += 2) {
        uint64_t number = 0;
        const char *flag = argv[i];
        const char *value = argv[i + 1];
        bool is_number = take_number(value, &number);
        if (strcmp(flag, "--data") == 0)
            to->data = value;
        else if (strcmp(flag, "--project") == 0)
            to->project = value;
        else if (strcmp(flag, "--format") == 0)
            to->format = value;
        else if (is_number && strcmp(flag, "--events") == 0)
            to->events = number;
        else if (is_number && strcmp(flag, "--users") == 0)
            to->users = (uint32_t)number;
        else if (is_number && strcmp(flag, "--days") == 0)
            to->days = (uint32_t)number;
        else if (is_number && strcmp(flag, "--repeat") == 0)
            to->repeat = (uint32_t)number;
        else if (is_number && strcmp(flag, "--threads") == 0)
            to->threads = (uint32_t)number;
        else
            return false;
    }
    return argc % 2 == 0;
}

/* --- gen ------------------------------------------------------------------------------------ */

static struct err print_line(void *ctx, const struct bench_event *event)
{
    struct buf *buf = ctx;
    bench_put_line(buf, event);
    if (buf->len < LINE_BUFFER / 2)
        return buf_err(buf);
    size_t written = fwrite(buf->ptr, 1, buf->len, stdout);
    bool is_whole = written == buf->len;
    buf_reset(buf);
    return is_whole ? ok() : err_os("bench: write");
}

static int generate(const struct arguments *arguments)
{
    struct buf buf;
    buf_init(&buf, LINE_BUFFER);
    struct err err =
        bench_generate(arguments->events, arguments->users, arguments->days, print_line, &buf);
    if (!err.code && fwrite(buf.ptr, 1, buf.len, stdout) != buf.len)
        err = err_os("bench: write");
    if (!err.code && fflush(stdout) != 0)
        err = err_os("bench: write");
    buf_done(&buf);
    if (!err.code)
        return STATUS_OK;
    fprintf(stderr, "kolam: %s\n", err.what);
    return STATUS_ENVIRONMENT;
}

/* --- query ------------------------------------------------------------------------------------ */

struct cost {
    double wall_ms;
    double cpu_ms;
    uint64_t rows;
    struct buf first_row; /* of the answer, as CSV */
};

static struct err ask_once(struct project *project, struct thread_pool *pool, const char *cql,
                           struct cost *cost)
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
        err = project_snapshot(project, &snapshot);
    if (!err.code) {
        struct query_options options = { .pool = pool, .clock = clock_real() };
        err = query_run(query, &snapshot.source, &options, &arena, &table, &problem);
    }
    wall_ns = clock_mono_ns(clock_real()) - wall_ns;
    cpu_ns = sys_cpu_process_ns() - cpu_ns;
    project_snapshot_done(&snapshot);
    if (err.code) {
        fprintf(stderr, "kolam: %s: %.*s (%s)\n", cql, BYTES_FMT(problem.message), err.what);
    } else {
        cost->wall_ms = (double)wall_ns / 1e6;
        cost->cpu_ms = (double)cpu_ns / 1e6;
        cost->rows = table.row_count;
        table.row_count = table.row_count > 3 ? 3 : table.row_count;
        buf_reset(&cost->first_row);
        table_put_csv(&table, &cost->first_row);
        table_done(&table);
    }
    arena_done(&arena);
    return err;
}

static struct err ask(struct project *project, struct thread_pool *pool, const char *cql,
                      uint32_t repeat, struct cost *best)
{
    for (uint32_t i = 0; i < repeat; i++) {
        struct cost cost = { .first_row = best->first_row };
        struct err err = ask_once(project, pool, cql, &cost);
        best->first_row = cost.first_row;
        if (err.code)
            return err;
        best->rows = cost.rows;
        if (i == 0 || cost.wall_ms < best->wall_ms)
            best->wall_ms = cost.wall_ms;
        if (i == 0 || cost.cpu_ms < best->cpu_ms)
            best->cpu_ms = cost.cpu_ms;
    }
    return ok();
}

/* The rows of a CSV on one line, without its header. */
static void put_answer(const struct buf *csv, char separator)
{
    struct bytes rest = buf_bytes(csv);
    bool is_header = true;
    for (size_t i = 0; i < rest.len; i++) {
        if (rest.ptr[i] == '\r')
            continue;
        if (rest.ptr[i] == '\n') {
            if (!is_header && i + 1 < rest.len)
                putchar(separator);
            is_header = false;
        } else if (!is_header && rest.ptr[i] != '"') {
            putchar(rest.ptr[i]);
        }
    }
}

static void report(const struct arguments *arguments, const struct question *question,
                   const struct cost *cost)
{
    bool is_json = strcmp(arguments->format, "json") == 0;
    if (is_json)
        printf("{\"question\":\"%s\",\"wall_ms\":%.3f,\"cpu_ms\":%.3f,\"rows\":%llu,\"answer\":\"",
               question->name, cost->wall_ms, cost->cpu_ms, (unsigned long long)cost->rows);
    else
        printf("%-32s %10.2f ms wall %10.2f ms cpu %8llu rows   ", question->name, cost->wall_ms,
               cost->cpu_ms, (unsigned long long)cost->rows);
    put_answer(&cost->first_row, ';');
    puts(is_json ? "\"}" : "");
    fflush(stdout);
}

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

static struct err ask_all(const struct arguments *arguments, struct disk *disk,
                          struct thread_pool *pool)
{
    struct engine *engine = NULL;
    struct project *project = NULL;
    struct engine_config config = {
        .disk = disk, .clock = clock_real(), .pool = pool, .on_broken = die_broken
    };
    struct account_project facts;
    struct err err = engine_open(&config, &engine);
    if (err.code)
        return err;
    err = find_project(arguments->data, arguments->project, &facts);
    if (!err.code) {
        struct project_settings settings = { .time_zone = bytes_from(facts.time_zone) };
        err = engine_project(engine, facts.id, &settings, false, &project);
    }
    if (!err.code)
        err = project_settle(project);
    for (size_t i = 0; i < sizeof QUESTIONS / sizeof *QUESTIONS && !err.code; i++) {
        struct cost best = { .rows = 0 };
        buf_init(&best.first_row, (size_t)1 << 20);
        err = ask(project, pool, QUESTIONS[i].cql, arguments->repeat, &best);
        if (!err.code)
            report(arguments, &QUESTIONS[i], &best);
        else
            err = ok(); /* told already; the other questions still count */
        buf_done(&best.first_row);
    }
    engine_close(engine);
    return err;
}

static int ask_questions(const struct arguments *arguments)
{
    struct disk *disk = NULL;
    struct thread_pool *pool = NULL;
    char machine[256];
    if (!arguments->data)
        return usage();
    sys_describe_machine(machine, sizeof machine);
    if (strcmp(arguments->format, "json") != 0)
        printf("%s; %u threads; best of %u\n", machine, arguments->threads, arguments->repeat);
    struct err err = disk_real(arguments->data, &disk);
    if (!err.code)
        err = thread_pool_new(arguments->threads, &pool);
    if (!err.code)
        err = ask_all(arguments, disk, pool);
    thread_pool_free(pool);
    disk_free(disk);
    if (!err.code)
        return STATUS_OK;
    fprintf(stderr, "kolam: %s: %s\n", arguments->data, err.what);
    return err.code == ERR_BUSY || err.code == ERR_OS ? STATUS_ENVIRONMENT : STATUS_REFUSED;
}

int bench_main(int argc, char **argv)
{
    struct arguments arguments;
    if (!take_arguments(argc, argv, &arguments))
        return usage();
    if (strcmp(arguments.command, "gen") == 0)
        return generate(&arguments);
    if (strcmp(arguments.command, "query") == 0)
        return ask_questions(&arguments);
    return usage();
}

/*
 * bench.c - `kolam bench`: makes the data, asks the questions, hands whole suites to their scripts.
 */
#include "bench/bench.h"

#include "bench/ask.h"
#include "sys/clock.h"
#include "sys/sys.h"
#include "sys/thread.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STATUS_OK = 0, STATUS_USAGE = 2, STATUS_ENVIRONMENT = 4 };

#define LINE_BUFFER ((size_t)1 << 20)

struct arguments {
    const char *command;
    uint64_t events;
    uint32_t users;
    uint32_t days;
    const char *form;
    const char *format;
    struct bench_ask ask;
};

/* --- arguments --------------------------------------------------------------------------- */

static int usage(void)
{
    fputs(
        "usage: kolam bench gen [--events N] [--users N] [--days N]\n"
        "                       [--form upload|lean|csv|rows] > events.ndjson\n"
        "       kolam bench query --data DIR --project P [--repeat N] [--threads N]\n"
        "                         [--cache BYTES] [--timelines N --users N] [--format table|json]\n"
        "       kolam bench --suite published [--events N] [--help]\n"
        "\n"
        "gen prints the benchmark's events, one JSON object a line; the same ones every time.\n"
        "query asks the benchmark's questions of a project that holds them.\n"
        "The suite does both, with DuckDB and ClickHouse beside; it needs node and the sources.\n",
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

static bool take_text(struct arguments *to, const char *flag, const char *value)
{
    if (strcmp(flag, "--data") == 0)
        to->ask.data = value;
    else if (strcmp(flag, "--project") == 0)
        to->ask.project = value;
    else if (strcmp(flag, "--format") == 0)
        to->format = value;
    else if (strcmp(flag, "--form") == 0)
        to->form = value;
    else
        return false;
    return true;
}

static bool take_count(struct arguments *to, const char *flag, uint64_t number)
{
    const struct {
        const char *flag;
        uint32_t *to;
    } counts[] = {
        { "--users", &to->users },
        { "--days", &to->days },
        { "--repeat", &to->ask.repeat },
        { "--threads", &to->ask.threads },
        { "--timelines", &to->ask.timelines },
    };
    if (strcmp(flag, "--events") == 0) {
        to->events = number;
        return true;
    }
    if (strcmp(flag, "--cache") == 0) {
        to->ask.cache_bytes = number;
        return true;
    }
    for (size_t i = 0; i < sizeof counts / sizeof *counts && number <= UINT32_MAX; i++) {
        if (strcmp(flag, counts[i].flag) == 0) {
            *counts[i].to = (uint32_t)number;
            return true;
        }
    }
    return false;
}

static bool take_arguments(int argc, char **argv, struct arguments *to)
{
    *to = (struct arguments){
        .events = 10000000,
        .users = 400000,
        .days = 90,
        .form = "upload",
        .format = "table",
        .ask = { .repeat = 5, .threads = sys_cpu_count(), .project = "bench" },
    };
    if (argc < 2)
        return false;
    to->command = argv[1];
    for (int i = 2; i + 1 < argc; i += 2) {
        uint64_t number = 0;
        if (take_text(to, argv[i], argv[i + 1]))
            continue;
        if (!take_number(argv[i + 1], &number) || !take_count(to, argv[i], number))
            return false;
    }
    to->ask.users = to->users;
    to->ask.is_json = strcmp(to->format, "json") == 0;
    return argc % 2 == 0;
}

/* --- gen ------------------------------------------------------------------------------------ */

struct printing {
    struct buf buf;
    enum bench_form form;
};

static bool find_form(const char *name, enum bench_form *out)
{
    static const char *const FORMS[] = {
        [BENCH_UPLOAD] = "upload", [BENCH_LEAN] = "lean", [BENCH_CSV] = "csv", [BENCH_ROWS] = "rows"
    };
    for (size_t i = 0; i < sizeof FORMS / sizeof *FORMS; i++) {
        *out = (enum bench_form)i;
        if (strcmp(FORMS[i], name) == 0)
            return true;
    }
    return false;
}

static struct err print_event(void *ctx, const struct bench_event *event)
{
    struct printing *printing = ctx;
    struct buf *buf = &printing->buf;
    bench_put(buf, event, printing->form);
    if (buf->len < LINE_BUFFER / 2)
        return buf_err(buf);
    size_t written = fwrite(buf->ptr, 1, buf->len, stdout);
    bool is_whole = written == buf->len;
    buf_reset(buf);
    return is_whole ? ok() : err_os("bench: write");
}

static int generate(const struct arguments *arguments)
{
    struct printing printing;
    struct buf *buf = &printing.buf;
    if (!find_form(arguments->form, &printing.form))
        return usage();
    buf_init(buf, LINE_BUFFER);
    struct err err = bench_generate(arguments->events, arguments->users, arguments->days,
                                    print_event, &printing);
    if (!err.code && fwrite(buf->ptr, 1, buf->len, stdout) != buf->len)
        err = err_os("bench: write");
    if (!err.code && fflush(stdout) != 0)
        err = err_os("bench: write");
    buf_done(buf);
    if (!err.code)
        return STATUS_OK;
    fprintf(stderr, "kolam: %s\n", err.what);
    return STATUS_ENVIRONMENT;
}

/* --- suites -------------------------------------------------------------------------------------- */

static bool find_script(const char *name, char *to, size_t size)
{
    /* From build/kolam, and from the folder that one is in. */
    static const char *const places[] = { "/../bench", "/../../bench", "/bench" };
    char program[2048];
    sys_program_dir(program, sizeof program);
    for (size_t i = 0; i <= sizeof places / sizeof *places; i++) {
        bool is_beside = i < sizeof places / sizeof *places;
        (void)snprintf(to, size, "%s%s/%s.mjs", is_beside ? program : "bench",
                       is_beside ? places[i] : "", name);
        FILE *file = fopen(to, "rb");
        if (file) {
            (void)fclose(file);
            return true;
        }
    }
    return false;
}

/* Becomes `node bench/NAME.mjs …`; comes back only when that can't be. */
static int run_suite(const char *name, int argc, char **argv)
{
    char script[4096];
    char program[2100];
    if (strcmp(name, "published") != 0) {
        fprintf(stderr, "kolam: there's no suite '%s': published\n", name);
        return STATUS_USAGE;
    }
    if (!find_script(name, script, sizeof script)) {
        fprintf(stderr,
                "kolam: the suite needs bench/%s.mjs of the sources, in this folder or "
                "beside the program's\n",
                name);
        return STATUS_ENVIRONMENT;
    }
    char **command = calloc((size_t)argc + 5, sizeof *command);
    if (!command) {
        fputs("kolam: out of memory\n", stderr);
        return STATUS_ENVIRONMENT;
    }
    command[0] = (char[]){ "node" };
    command[1] = script;
    sys_program_dir(program, sizeof program - sizeof "/kolam");
    (void)strcat(program, "/kolam");
    command[2] = (char[]){ "--kolam" };
    command[3] = program;
    for (int i = 0; i < argc; i++)
        command[4 + i] = argv[i];
    struct err err = sys_become(command);
    fprintf(stderr, "kolam: the suite needs node, version 18 or newer: %s\n", err.what);
    free(command);
    return STATUS_ENVIRONMENT;
}

int bench_main(int argc, char **argv)
{
    struct arguments arguments;
    if (argc > 2 && strcmp(argv[1], "--suite") == 0)
        return run_suite(argv[2], argc - 3, argv + 3);
    if (!take_arguments(argc, argv, &arguments))
        return usage();
    if (strcmp(arguments.command, "gen") == 0)
        return generate(&arguments);
    if (strcmp(arguments.command, "query") == 0 && arguments.ask.data)
        return bench_ask(&arguments.ask);
    return usage();
}

/*
 * import.c - files into a project.
 *
 *     file ─► unpack ─► lines or rows ─► ingest ─► batch ─► log (several at once under way)
 *
 * The reader goes on while earlier batches are on their way to the disk; when the project's queue is
 * full it waits for one of them. Lines lie in one buffer with readable bytes behind them, so that
 * the JSON parser needs no copy.
 */
#include "cli/cli_internal.h"
#include "codec/csv.h"
#include "codec/json.h"
#include "codec/zip.h"
#include "http/http.h"
#include "ingest/ingest.h"
#include "sys/sys.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    READ_BYTES = 256 << 10,
    UNPACK_BYTES = 4 << 20,
    LINE_MAX = 16 << 20,
    BATCH_BYTES = 2 << 20,
    BATCH_COUNT = 20000,
    FIELDS_MAX = 4096,
    PROBLEMS_TOLD = 1000,
};

struct importer {
    const char *path;
    FILE *file;
    struct unzip *unzip;
    struct buf packed; /* read, not yet unpacked */
    size_t packed_at;
    struct buf text; /* unpacked, not yet taken */
    size_t text_at;
    bool is_end;

    struct ingest *ingest;
    struct command_writer *writer;
    struct csv_reader *csv;
    bool has_header;
    struct ingest_rules rules;
    struct cli_imported sum;
    uint64_t line;

    struct project *project; /* or through a server: */
    const struct cli *server;
    struct buf lines; /* of a request */

    struct mutex lock;
    struct cond wake;
    uint64_t under_way;
    struct err failed;
    bool has_terminal;
    int64_t began_ns;
    int64_t told_ns;
    int status;
};

/* --- reading ------------------------------------------------------------------------------- */

static struct err read_more(struct importer *im)
{
    if (im->packed_at == im->packed.len) {
        buf_reset(&im->packed);
        im->packed_at = 0;
        uint8_t *room = buf_reserve(&im->packed, READ_BYTES);
        if (!room)
            return buf_err(&im->packed);
        im->packed.len = fread(room, 1, READ_BYTES, im->file);
        if (ferror(im->file))
            return err_os("read");
    }
    if (im->text_at) {
        memmove(im->text.ptr, im->text.ptr + im->text_at, im->text.len - im->text_at);
        im->text.len -= im->text_at;
        im->text_at = 0;
    }
    size_t before = im->text.len;
    size_t used = 0;
    struct bytes input = bytes_of(im->packed.ptr + im->packed_at, im->packed.len - im->packed_at);
    struct err err = unzip_feed(im->unzip, input, UNPACK_BYTES, &im->text, &used);
    im->packed_at += used;
    if (err.code)
        return err;
    if (!buf_reserve(&im->text, JSON_PADDING))
        return buf_err(&im->text);
    memset(im->text.ptr + im->text.len, 0, JSON_PADDING);
    im->is_end = input.len == 0 && im->text.len == before && feof(im->file);
    return ok();
}

/* --- batches ---------------------------------------------------------------------------------- */

static void on_durable(void *ctx, struct err err, uint64_t position)
{
    struct importer *im = ctx;
    (void)position;
    mutex_lock(&im->lock);
    im->under_way--;
    if (err.code && !im->failed.code)
        im->failed = err;
    cond_broadcast(&im->wake);
    mutex_unlock(&im->lock);
}

static struct err submit(struct importer *im, struct bytes batch, uint32_t count)
{
    for (;;) {
        mutex_lock(&im->lock);
        im->under_way++;
        struct err failed = im->failed;
        mutex_unlock(&im->lock);
        struct err err =
            failed.code ? failed : project_submit(im->project, batch, count, on_durable, im);
        if (!err.code)
            return ok();
        mutex_lock(&im->lock);
        im->under_way--;
        bool waits = err.code == ERR_LIMIT && im->under_way > 0;
        if (waits)
            (void)cond_wait_ms(&im->wake, &im->lock, 1000);
        mutex_unlock(&im->lock);
        if (err.code == ERR_LIMIT && !waits) {
            /* The queue holds what is being applied: wait for that. */
            uint64_t position;
            return project_submit_wait(im->project, batch, count, &position);
        }
        if (err.code != ERR_LIMIT)
            return err;
    }
}

static struct err flush(struct importer *im)
{
    struct bytes batch;
    uint32_t count = command_writer_count(im->writer);
    if (!count)
        return ok();
    struct err err = command_writer_finish(im->writer, &batch);
    if (!err.code)
        err = submit(im, batch, count);
    im->rules.now_ms = clock_now_ms(clock_real());
    command_writer_reset(im->writer, im->rules.now_ms);
    return err;
}

static void tell_progress(struct importer *im, bool is_last)
{
    if (!im->has_terminal)
        return;
    int64_t now_ns = clock_mono_ns(clock_real());
    if (!is_last && now_ns - im->told_ns < 200000000)
        return;
    im->told_ns = now_ns;
    double seconds = (double)(now_ns - im->began_ns) / 1e9;
    (void)fprintf(stderr, "\r%s: %llu records, %llu refused, %.0f/s %s", im->path,
                  (unsigned long long)im->sum.taken, (unsigned long long)im->sum.refused,
                  seconds > 0 ? (double)im->sum.taken / seconds : 0, is_last ? "\n" : "");
}

static void tell_problem(struct importer *im, uint64_t line, const char *type, struct bytes message)
{
    im->sum.refused++;
    if (im->sum.refused <= PROBLEMS_TOLD)
        (void)fprintf(stderr, "kolam: %s:%llu: %.*s (%s)\n", im->path, (unsigned long long)line,
                      BYTES_FMT(message), type);
    if (im->sum.refused == PROBLEMS_TOLD)
        (void)fprintf(stderr, "kolam: %s: further problems are counted, not told\n", im->path);
}

static struct err flush_when_large(struct importer *im)
{
    tell_progress(im, false);
    if (command_writer_size(im->writer) < BATCH_BYTES &&
        command_writer_count(im->writer) < BATCH_COUNT)
        return ok();
    return flush(im);
}

/* --- lines ---------------------------------------------------------------------------------------- */

static struct err take_line(struct importer *im, struct bytes line)
{
    struct ingest_problem problem;
    im->line++;
    if (line.len && line.ptr[line.len - 1] == '\r')
        line.len--;
    if (!line.len)
        return ok();
    im->sum.lines++;
    if (ingest_line(im->ingest, &im->rules, line, true, im->writer, &problem))
        im->sum.taken++;
    else
        tell_problem(im, im->line, problem.type, problem.message);
    return flush_when_large(im);
}

static struct err take_lines(struct importer *im)
{
    struct err err = ok();
    while (!err.code) {
        struct bytes rest = bytes_of(im->text.ptr + im->text_at, im->text.len - im->text_at);
        const uint8_t *end = rest.len ? memchr(rest.ptr, '\n', rest.len) : NULL;
        if (!end && !im->is_end) {
            if (rest.len > LINE_MAX)
                return err_new(ERR_LIMIT, "a line is longer than 16 MiB");
            err = read_more(im);
            continue;
        }
        if (!end && !rest.len)
            break;
        size_t len = end ? (size_t)(end - rest.ptr) : rest.len;
        im->text_at += len + (end != NULL);
        err = take_line(im, bytes_slice(rest, 0, len));
    }
    return err;
}

/* --- CSV -------------------------------------------------------------------------------------------- */

static struct err take_row(struct importer *im, const struct bytes *fields, size_t count)
{
    struct ingest_problem problem;
    if (!im->has_header) {
        im->has_header = true;
        if (ingest_csv_header(im->ingest, fields, count, &problem))
            return ok();
        tell_problem(im, csv_line(im->csv), problem.type, problem.message);
        return err_new(ERR_INVALID, "its header can't be used");
    }
    im->sum.lines++;
    if (ingest_csv_row(im->ingest, &im->rules, fields, count, im->writer, &problem))
        im->sum.taken++;
    else
        tell_problem(im, csv_line(im->csv), problem.type, problem.message);
    return flush_when_large(im);
}

static struct err take_rows(struct importer *im)
{
    struct err err = csv_reader_new(LINE_MAX, FIELDS_MAX, &im->csv);
    while (!err.code) {
        const struct bytes *fields;
        size_t count;
        struct bytes input = bytes_of(im->text.ptr + im->text_at, im->text.len - im->text_at);
        struct bytes rest = input;
        enum csv_step step = csv_next(im->csv, &rest, im->is_end, &fields, &count);
        im->text_at += input.len - rest.len;
        if (step == CSV_ROW) {
            err = take_row(im, fields, count);
        } else if (step == CSV_PROBLEM) {
            const char *what = csv_problem(im->csv);
            tell_problem(im, csv_line(im->csv), "csv", bytes_from(what));
        } else if (im->is_end) {
            break;
        } else {
            err = read_more(im);
        }
    }
    return err;
}

/* --- through a server -------------------------------------------------------------------------------- */

static uint64_t member(struct json_value object, struct bytes name)
{
    struct json_value value;
    return json_find(object, name, &value) && json_is(value, JSON_INT) ? (uint64_t)json_int(value)
                                                                       : 0;
}

static void take_reply(struct importer *im, struct bytes answer, uint64_t first_line)
{
    struct json_parser *parser;
    struct json_value root;
    struct json_value list;
    struct json_problem broken;
    struct err err = json_parser_new(64 << 20, 64, &parser);
    if (err.code)
        return;
    if (json_parse(parser, answer, &root, &broken)) {
        uint64_t refused = member(root, BYTES("refused"));
        uint64_t told = 0;
        im->sum.taken += member(root, BYTES("processed"));
        struct json_iter it = { .next = 0 };
        if (json_find(root, BYTES("unprocessed"), &list))
            it = json_items(list);
        while (json_next(&it)) {
            struct json_value text;
            bool has_text = json_find(it.value, BYTES("error"), &text);
            tell_problem(im, first_line + member(it.value, BYTES("line")), "refused",
                         has_text ? json_string(text) : BYTES("refused"));
            told++;
        }
        im->sum.refused += refused - told;
    }
    json_parser_free(parser);
}

static struct err send_lines(struct importer *im, uint64_t first_line)
{
    struct buf answer;
    if (!im->lines.len)
        return ok();
    buf_init(&answer, 64 << 20);
    im->status = cli_call(im->server, HTTP_POST, "/v1/import", NULL, "application/x-ndjson",
                          buf_bytes(&im->lines), &answer);
    if (im->status == CLI_DONE)
        take_reply(im, buf_bytes(&answer), first_line);
    buf_done(&answer);
    buf_reset(&im->lines);
    tell_progress(im, false);
    return im->status == CLI_DONE ? ok() : err_new(ERR_CANCELLED, "the server refused");
}

static struct err send_all(struct importer *im)
{
    struct err err = ok();
    uint64_t first_line = 0;
    buf_init(&im->lines, LINE_MAX * 2);
    while (!err.code) {
        struct bytes rest = bytes_of(im->text.ptr + im->text_at, im->text.len - im->text_at);
        const uint8_t *end = rest.len ? memchr(rest.ptr, '\n', rest.len) : NULL;
        if (!end && !im->is_end) {
            err = rest.len > LINE_MAX ? err_new(ERR_LIMIT, "a line is longer than 16 MiB")
                                      : read_more(im);
            continue;
        }
        if (!end && !rest.len)
            break;
        size_t len = end ? (size_t)(end - rest.ptr) : rest.len;
        if (im->lines.len && im->lines.len + len > BATCH_BYTES) {
            err = send_lines(im, first_line);
            first_line = im->line;
        }
        buf_put(&im->lines, bytes_slice(rest, 0, len));
        buf_put_u8(&im->lines, '\n');
        im->text_at += len + (end != NULL);
        im->line++;
        im->sum.lines += len > 0;
    }
    if (!err.code)
        err = send_lines(im, first_line);
    return err;
}

/* --- a file ---------------------------------------------------------------------------------------------- */

static bool is_discarded(void *ctx, struct bytes event_name, bool is_folded)
{
    return project_is_discarded(ctx, event_name, is_folded);
}

static bool is_csv(const char *path)
{
    static const char *const ends[] = { ".csv", ".csv.gz", ".csv.zst" };
    struct bytes name = bytes_from(path);
    for (size_t i = 0; i < 3; i++)
        if (bytes_end_with(name, bytes_from(ends[i])))
            return true;
    return false;
}

static struct err open_tools(struct importer *im)
{
    buf_init(&im->packed, READ_BYTES * 2);
    buf_init(&im->text, (size_t)LINE_MAX + UNPACK_BYTES * 2);
    struct err err = unzip_new(&im->unzip);
    if (err.code || !im->project)
        return err;
    err = ingest_new(LINE_MAX, &im->ingest);
    if (!err.code)
        err = command_writer_new(&im->writer);
    if (err.code)
        return err;
    im->rules = (struct ingest_rules){
        .limits = project_rules(im->project).limits,
        .now_ms = clock_now_ms(clock_real()),
        .is_discarded = is_discarded,
        .ctx = im->project,
    };
    command_writer_reset(im->writer, im->rules.now_ms);
    return ok();
}

/* Waits for what is under way; its failure counts when there was none before. */
static struct err wait_for_all(struct importer *im, struct err err)
{
    mutex_lock(&im->lock);
    while (im->under_way)
        cond_wait(&im->wake, &im->lock);
    struct err failed = im->failed;
    mutex_unlock(&im->lock);
    return err.code ? err : failed;
}

static int import(struct importer *im)
{
    bool is_stdin = strcmp(im->path, "-") == 0;
    im->file = is_stdin ? stdin : fopen(im->path, "rb");
    if (!im->file)
        return cli_say(CLI_REFUSED, "%s: %s", im->path, strerror(errno));
    im->began_ns = clock_mono_ns(clock_real());
    im->told_ns = im->began_ns;
    im->has_terminal = sys_is_terminal(2);
    mutex_init(&im->lock);
    cond_init(&im->wake);
    struct err err = open_tools(im);
    if (!err.code && im->server)
        err = send_all(im);
    else if (!err.code)
        err = is_csv(im->path) ? take_rows(im) : take_lines(im);
    if (!err.code && im->project)
        err = flush(im);
    err = wait_for_all(im, err);
    if (err.code != ERR_CANCELLED)
        tell_progress(im, true);
    if (!is_stdin)
        (void)fclose(im->file);
    unzip_free(im->unzip);
    ingest_free(im->ingest);
    command_writer_free(im->writer);
    csv_reader_free(im->csv);
    buf_done(&im->packed);
    buf_done(&im->text);
    buf_done(&im->lines);
    cond_done(&im->wake);
    mutex_done(&im->lock);
    if (err.code == ERR_CANCELLED)
        return im->status;
    return err.code ? cli_say_err(err, im->path) : CLI_DONE;
}

int cli_import_file(struct project *project, const char *path, struct cli_imported *sum)
{
    struct importer im = { .path = path, .project = project };
    int status = import(&im);
    sum->lines += im.sum.lines;
    sum->taken += im.sum.taken;
    sum->refused += im.sum.refused;
    return status;
}

static int tell_sum(int status, const struct cli_imported *sum)
{
    printf("{\"lines\":%llu,\"taken\":%llu,\"refused\":%llu}\n", (unsigned long long)sum->lines,
           (unsigned long long)sum->taken, (unsigned long long)sum->refused);
    return status == CLI_DONE && sum->refused ? CLI_REFUSED : status;
}

static int import_to_server(struct cli *cli)
{
    struct cli_imported sum = { .lines = 0 };
    int status = CLI_DONE;
    for (size_t i = 0; i < cli_args(cli) && status == CLI_DONE; i++) {
        struct importer im = { .path = cli_arg(cli, i), .server = cli };
        if (is_csv(im.path))
            return cli_say(CLI_USAGE, "%s: CSV is imported into a folder, not through a server",
                           im.path);
        status = import(&im);
        sum.lines += im.sum.lines;
        sum.taken += im.sum.taken;
        sum.refused += im.sum.refused;
    }
    return tell_sum(status, &sum);
}

/* Before a folder or a project is made for them. */
static int find_files(const struct cli *cli)
{
    for (size_t i = 0; i < cli_args(cli); i++) {
        const char *path = cli_arg(cli, i);
        FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
        if (!file)
            return cli_say(CLI_REFUSED, "%s: %s", path, strerror(errno));
        if (file != stdin)
            (void)fclose(file);
    }
    return CLI_DONE;
}

int command_import(struct cli *cli)
{
    struct cli_folder folder;
    struct account_project facts;
    struct project *project;
    struct cli_imported sum = { .lines = 0 };
    if (!cli_args(cli))
        return cli_say(CLI_USAGE, "name the files to import (- is stdin)");
    int status = find_files(cli);
    if (status != CLI_DONE)
        return status;
    if (cli_has_server(cli))
        return import_to_server(cli);
    bool creates = cli_flag(cli, "create");
    status = cli_folder_open(cli, creates, &folder);
    if (status != CLI_DONE)
        return status;
    status = cli_project(&folder, cli_text(cli, "project"), creates, cli_text(cli, "time-zone"),
                         &facts, &project);
    bool is_open = status == CLI_DONE;
    for (size_t i = 0; i < cli_args(cli) && status == CLI_DONE; i++)
        status = cli_import_file(project, cli_arg(cli, i), &sum);
    cli_folder_close(&folder);
    return is_open ? tell_sum(status, &sum) : status;
}

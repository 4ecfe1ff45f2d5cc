/* query.c - kolam query. */
#include "cli/cli_internal.h"
#include "http/http.h"

#include <stdio.h>

enum { QUESTION_MAX = 1 << 20, PARSE_MAX = 64 << 20, ANSWER_MAX = 1 << 30 };

/* The question's text, from the argument, a file or stdin. Returns CLI_DONE or what was said. */
static int take_question(const struct cli *cli, struct buf *to)
{
    const char *path = cli_text(cli, "file");
    buf_init(to, QUESTION_MAX);
    if (!path && cli_args(cli) == 1) {
        buf_put(to, bytes_from(cli_arg(cli, 0)));
        return CLI_DONE;
    }
    if (!path || cli_args(cli))
        return cli_say(CLI_USAGE, "give one question, in quotes, or --file FILE");
    bool is_stdin = strcmp(path, "-") == 0;
    FILE *file = is_stdin ? stdin : fopen(path, "rb");
    if (!file)
        return cli_say(CLI_REFUSED, "%s: %s", path, strerror(errno));
    uint8_t *room = buf_reserve(to, QUESTION_MAX - 1);
    if (room)
        to->len = fread(room, 1, QUESTION_MAX - 1, file);
    if (!is_stdin)
        (void)fclose(file);
    return CLI_DONE;
}

/* The question's line at fault, with a mark under it. */
static int say_problem(struct bytes text, struct err err, const struct query_problem *problem)
{
    int status = cli_say(CLI_REFUSED, "%.*s%s%.*s%s",
                         BYTES_FMT(problem->message.len ? problem->message : bytes_from(err.what)),
                         problem->suggestion.len ? ": did you mean " : "",
                         BYTES_FMT(problem->suggestion), problem->suggestion.len ? "?" : "");
    if (!problem->length && !problem->offset)
        return status;
    size_t from = problem->offset < text.len ? problem->offset : text.len;
    size_t begin = from;
    while (begin > 0 && text.ptr[begin - 1] != '\n')
        begin--;
    size_t end = from;
    while (end < text.len && text.ptr[end] != '\n')
        end++;
    (void)fprintf(stderr, "  %.*s\n  %*s^\n", (int)(end - begin), (const char *)text.ptr + begin,
                  (int)(from - begin), "");
    return status;
}

static int run(struct cli *cli, struct cli_folder *folder, struct project *project,
               struct bytes text, enum format format)
{
    struct arena arena;
    struct query *query;
    struct query_problem problem = { .line = 1 };
    struct project_snapshot snapshot;
    struct table table;
    const char *zone = cli_text(cli, "time-zone");
    arena_init(&arena, PARSE_MAX);
    struct err err = query_parse_cql(text, &arena, &query, &problem);
    if (err.code) {
        int status = say_problem(text, err, &problem);
        arena_done(&arena);
        return status;
    }
    err = project_snapshot(project, &snapshot);
    if (err.code) {
        arena_done(&arena);
        return cli_say_err(err, "the project");
    }
    struct query_options options = { .time_zone = bytes_from(zone),
                                     .timeout_ms = 3600 * 1000,
                                     .pool = folder->pool,
                                     .clock = clock_real(),
                                     .is_explain = cli_flag(cli, "explain") };
    struct arena scratch;
    arena_init(&scratch, SIZE_MAX); /* the query's own limit holds */
    err = query_run(query, &snapshot.source, &options, &scratch, &table, &problem);
    int status = err.code ? say_problem(text, err, &problem) : print_table(&table, format);
    if (!err.code)
        table_done(&table);
    project_snapshot_done(&snapshot);
    arena_done(&scratch);
    arena_done(&arena);
    return status;
}

static int ask_server(struct cli *cli, struct bytes text, enum format format)
{
    struct buf body;
    struct buf answer;
    buf_init(&body, QUESTION_MAX * 8);
    buf_init(&answer, ANSWER_MAX);
    struct jsonw w = jsonw_of(&body);
    jsonw_object(&w);
    jsonw_key(&w, "cql");
    jsonw_string(&w, text);
    if (cli_text(cli, "time-zone")) {
        jsonw_key(&w, "time_zone");
        jsonw_text(&w, cli_text(cli, "time-zone"));
    }
    jsonw_end_object(&w);
    bool is_explain = cli_flag(cli, "explain");
    int status = cli_call(cli, HTTP_POST, is_explain ? "/v1/query/explain" : "/v1/query",
                          format == FORMAT_JSON || is_explain ? "application/json" : "text/csv",
                          "application/json", buf_bytes(&body), &answer);
    if (status == CLI_DONE && format == FORMAT_TABLE && !is_explain)
        print_csv_as_text(buf_bytes(&answer));
    else if (status == CLI_DONE)
        cli_print(buf_bytes(&answer));
    buf_done(&body);
    buf_done(&answer);
    return status;
}

static int ask_folder(struct cli *cli, struct bytes text, enum format format)
{
    struct cli_folder folder;
    struct account_project facts;
    struct project *project;
    int status = cli_folder_open(cli, false, &folder);
    if (status != CLI_DONE)
        return status;
    status = cli_project(&folder, cli_text(cli, "project"), false, NULL, &facts, &project);
    if (status == CLI_DONE)
        status = run(cli, &folder, project, text, format);
    cli_folder_close(&folder);
    return status;
}

int command_query(struct cli *cli)
{
    struct buf text;
    enum format format;
    if (!cli_format(cli, &format))
        return CLI_USAGE;
    int status = take_question(cli, &text);
    if (status == CLI_DONE)
        status = cli_has_server(cli) ? ask_server(cli, buf_bytes(&text), format)
                                     : ask_folder(cli, buf_bytes(&text), format);
    buf_done(&text);
    return status;
}

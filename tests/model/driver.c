/*
 * driver.c - Kolam's engine behind standard input, so that a test in another language can bring it
 * through any history and ask anything at any moment.
 *
 *     driver FOLDER [TAIL_EVENTS FLUSH_EVENTS SHARDS TIME_ZONE]
 *
 * A line in, a line out. The first word of a line is what to do, the rest its argument:
 *     ingest JSON     a body of POST /v1/events       → {"processed":n,"unprocessed":[…]}
 *     profiles JSON   a body of POST /v1/profiles
 *     identify JSON   a body of POST /v1/identify
 *     upload JSON     a body of CleverTap's POST /1/upload
 *     merge {"from":"a","into":"b"}    erase {"identity":"a"}
 *     setting {"name":"join_existing","value":true}
 *     settle          checkpoint, and compact to the end
 *     reopen          close and open again
 *     kill            forget what is in memory, open again from the files
 *     now MS          the clock stands at MS
 *     cql TEXT        → the answer's table, or {"error":…}
 *     query JSON      the same from the tree
 *     explain JSON    the plan
 *     stats           → {"events":n,"users":n,"duplicates":n,…}
 * What fails answers {"error":"…"}.
 */
#include "codec/json.h"
#include "codec/jsonw.h"
#include "command/command.h"
#include "engine/engine.h"
#include "ingest/ingest.h"
#include "query/query.h"
#include "sys/sys.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { LINE_MAX_BYTES = 32 << 20 };

struct driver {
    struct disk *disk;
    struct clock_sim clock;
    struct thread_pool *pool;
    struct engine_config config;
    struct project_settings settings;
    struct engine *engine;
    struct project *project;
    struct ingest *ingest;
    struct command_writer *writer;
    struct json_parser *parser;
    struct buf reply;
};

static void must(struct err err)
{
    if (!err.code)
        return;
    printf("{\"error\":\"%s (%d)\"}\n", err.what, (int)err.code);
    fflush(stdout);
    exit(1);
}

static void on_broken(void *ctx, const char *project, struct err err)
{
    (void)ctx;
    sys_die(70, "driver: %s: %s", project, err.what);
}

static void open_project(struct driver *driver)
{
    must(engine_open(&driver->config, &driver->engine));
    must(engine_project(driver->engine, "model", &driver->settings, true, &driver->project));
}

static void put_error(struct driver *driver, struct bytes message)
{
    struct jsonw w = jsonw_of(&driver->reply);
    jsonw_object(&w);
    jsonw_key(&w, "error");
    jsonw_string(&w, message);
    jsonw_end_object(&w);
}

static void submit(struct driver *driver)
{
    struct bytes batch;
    uint64_t position = 0;
    if (command_writer_count(driver->writer) == 0)
        return;
    must(command_writer_finish(driver->writer, &batch));
    must(project_submit_wait(driver->project, batch, command_writer_count(driver->writer),
                             &position));
    project_wait_applied(driver->project, position + command_writer_count(driver->writer));
}

static void do_ingest(struct driver *driver, const char *word, struct bytes body)
{
    struct ingest_rules rules = { .limits = catalog_limits_default(), .now_ms = driver->clock.ms };
    struct ingest_result result;
    if (strcmp(word, "ingest") == 0)
        must(ingest_events(driver->ingest, &rules, INGEST_JSON, body, driver->writer, &result));
    else if (strcmp(word, "profiles") == 0)
        must(ingest_profiles(driver->ingest, &rules, INGEST_JSON, body, driver->writer, &result));
    else if (strcmp(word, "identify") == 0)
        must(ingest_identify(driver->ingest, &rules, INGEST_JSON, body, driver->writer, &result));
    else
        must(ingest_upload(driver->ingest, &rules, body, driver->writer, &result));
    if (!result.is_refused)
        submit(driver);
    ingest_put_reply(driver->ingest, &result, &driver->reply);
}

/* --- commands that no request of ingest makes ------------------------------------------------ */

static struct bytes member(struct json_value object, const char *name)
{
    struct json_value value;
    if (!json_find(object, bytes_from(name), &value) || !json_is(value, JSON_STRING))
        must(err_new(ERR_INVALID, "driver: a member is missing"));
    return json_string(value);
}

static void do_command(struct driver *driver, const char *word, struct json_value root)
{
    struct command_writer *writer = driver->writer;
    command_writer_reset(writer, driver->clock.ms);
    if (strcmp(word, "merge") == 0) {
        command_begin(writer, COMMAND_MERGE, driver->clock.ms);
        command_ref(writer, REF_IDENTITY, member(root, "from"));
        command_ref(writer, REF_IDENTITY, member(root, "into"));
    } else if (strcmp(word, "erase") == 0) {
        command_begin(writer, COMMAND_ERASE, driver->clock.ms);
        command_ref(writer, REF_IDENTITY, member(root, "identity"));
    } else {
        struct json_value given;
        struct value value = value_null();
        if (json_find(root, BYTES("value"), &given) && json_is(given, JSON_STRING))
            value = value_string(json_string(given));
        else if (json_is(given, JSON_INT))
            value = value_int(json_int(given));
        else
            value = value_bool(json_is(given, JSON_TRUE));
        command_begin(writer, COMMAND_SETTING, driver->clock.ms);
        command_name(writer, member(root, "name"), false);
        command_property(writer, BYTES("value"), PROPERTY_SET, &value);
    }
    command_end(writer);
    submit(driver);
    buf_put(&driver->reply, BYTES("{}"));
}

/* --- questions ----------------------------------------------------------------------------------- */

static struct err parse(struct driver *driver, const char *word, struct bytes text,
                        struct arena *arena, struct query **query, struct query_problem *problem)
{
    if (strcmp(word, "cql") == 0)
        return query_parse_cql(text, arena, query, problem);
    struct json_value root;
    struct json_problem json;
    if (!json_parse(driver->parser, text, &root, &json))
        must(err_new(ERR_INVALID, "driver: not JSON"));
    return query_parse_json(root, arena, query, problem);
}

static void do_query(struct driver *driver, const char *word, struct bytes text)
{
    struct arena arena;
    struct query *query = NULL;
    struct query_problem problem = { 0 };
    struct table table;
    struct project_snapshot snapshot;
    arena_init(&arena, (size_t)2 << 30);
    struct query_options options = {
        .pool = driver->pool,
        .clock = clock_real(),
        .is_explain = strcmp(word, "explain") == 0,
        .allows_unknown = true,
    };

    struct err err = parse(driver, word, text, &arena, &query, &problem);
    if (!err.code) {
        must(project_snapshot(driver->project, &snapshot));
        err = query_run(query, &snapshot.source, &options, &arena, &table, &problem);
        project_snapshot_done(&snapshot);
    }
    if (err.code) {
        put_error(driver, problem.message.len ? problem.message : bytes_from(err.what));
    } else {
        table_put_json(&table, &driver->reply);
        table_done(&table);
    }
    arena_done(&arena);
}

static void put_stats(struct driver *driver)
{
    struct project_stats stats = project_stats(driver->project);
    buf_printf(&driver->reply,
               "{\"events\":%" PRIu64 ",\"users\":%" PRIu64 ",\"duplicates\":%" PRIu64
               ",\"memory_events\":%" PRIu64 ",\"position\":%" PRIu64 "}",
               stats.events, stats.users, stats.duplicates, stats.memory_events, stats.position);
}

/* --- the loop ------------------------------------------------------------------------------------- */

static bool is_one_of(const char *word, const char *list)
{
    const char *at = strstr(list, word);
    return at && (at == list || at[-1] == ' ') &&
           (at[strlen(word)] == ' ' || at[strlen(word)] == '\0');
}

static void answer(struct driver *driver, const char *word, struct bytes argument)
{
    struct json_value root;
    struct json_problem problem;
    buf_reset(&driver->reply);
    if (is_one_of(word, "ingest profiles identify upload")) {
        do_ingest(driver, word, argument);
    } else if (is_one_of(word, "cql query explain")) {
        do_query(driver, word, argument);
    } else if (is_one_of(word, "merge erase setting")) {
        if (!json_parse(driver->parser, argument, &root, &problem))
            must(err_new(ERR_INVALID, "driver: not JSON"));
        do_command(driver, word, root);
    } else if (strcmp(word, "settle") == 0) {
        must(project_settle(driver->project));
    } else if (strcmp(word, "reopen") == 0) {
        engine_close(driver->engine);
        open_project(driver);
    } else if (strcmp(word, "kill") == 0) {
        engine_abandon(driver->engine);
        open_project(driver);
    } else if (strcmp(word, "now") == 0) {
        driver->clock.ms = strtoll((const char *)argument.ptr, NULL, 10);
    } else if (strcmp(word, "stats") == 0) {
        put_stats(driver);
    } else {
        put_error(driver, BYTES("what to do isn't known"));
    }
    if (driver->reply.len == 0)
        buf_put(&driver->reply, BYTES("{}"));
    must(buf_err(&driver->reply));
    (void)fwrite(driver->reply.ptr, 1, driver->reply.len, stdout);
    (void)putchar('\n');
    (void)fflush(stdout);
}

int main(int argc, char **argv)
{
    static struct driver driver;
    static char line[LINE_MAX_BYTES];
    if (argc < 2) {
        fputs("usage: driver FOLDER [TAIL_EVENTS FLUSH_EVENTS SHARDS TIME_ZONE]\n", stderr);
        return 2;
    }
    clock_sim_init(&driver.clock, INT64_C(1767225600000));
    buf_init(&driver.reply, (size_t)256 << 20);
    must(disk_real(argv[1], &driver.disk));
    must(thread_pool_new(2, &driver.pool));
    must(ingest_new(LINE_MAX_BYTES, &driver.ingest));
    must(command_writer_new(&driver.writer));
    must(json_parser_new(LINE_MAX_BYTES, 64, &driver.parser));
    driver.config = (struct engine_config){
        .disk = driver.disk,
        .clock = &driver.clock.clock,
        .pool = driver.pool,
        .tail_events = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 0,
        .flush_events = argc > 3 ? (uint32_t)strtoul(argv[3], NULL, 10) : 0,
        .on_broken = on_broken,
    };
    driver.settings = (struct project_settings){
        .time_zone = bytes_from(argc > 5 ? argv[5] : "UTC"),
        .shards = argc > 4 ? (uint32_t)strtoul(argv[4], NULL, 10) : 0,
    };
    open_project(&driver);

    while (fgets(line, sizeof line, stdin)) {
        size_t len = strcspn(line, "\n");
        line[len] = '\0';
        char *space = strchr(line, ' ');
        struct bytes argument =
            space ? bytes_of(space + 1, len - (size_t)(space + 1 - line)) : bytes_of(line + len, 0);
        if (space)
            *space = '\0';
        answer(&driver, line, argument);
    }
    engine_close(driver.engine);
    json_parser_free(driver.parser);
    command_writer_free(driver.writer);
    ingest_free(driver.ingest);
    thread_pool_free(driver.pool);
    disk_free(driver.disk);
    buf_done(&driver.reply);
    return 0;
}

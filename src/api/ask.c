/* ask.c - running questions, and telling what is wrong with one. */
#include "api/api_internal.h"

#include <stdlib.h>

struct query_options ask_options(struct call *call)
{
    const struct api_config *config = &call->api->config;
    return (struct query_options){
        .memory_bytes = config->query_memory_bytes,
        .timeout_ms = config->query_timeout_ms,
        .is_cancelled = &call->gone,
        .pool = config->pool,
        .clock = config->clock,
    };
}

void fail_problem(struct call *call, struct err err, const struct query_problem *problem)
{
    if (err.code != ERR_INVALID && err.code != ERR_LIMIT) {
        call_fail_err(call, err);
        return;
    }
    struct buf details;
    buf_init(&details, 64 << 10);
    struct jsonw w = jsonw_of(&details);
    jsonw_object(&w);
    jsonw_key(&w, "position");
    jsonw_uint(&w, problem->offset);
    jsonw_key(&w, "length");
    jsonw_uint(&w, problem->length);
    jsonw_key(&w, "line");
    jsonw_uint(&w, problem->line);
    jsonw_key(&w, "column");
    jsonw_uint(&w, problem->column);
    jsonw_key(&w, "suggestion");
    if (problem->suggestion.len)
        jsonw_string(&w, problem->suggestion);
    else
        jsonw_null(&w);
    jsonw_key(&w, "pointer");
    if (problem->pointer.len)
        jsonw_string(&w, problem->pointer);
    else
        jsonw_null(&w);
    jsonw_end_object(&w);
    call_fail_with(call, 422, err.code == ERR_LIMIT ? "query_limit" : "query_invalid",
                   problem->message.len ? problem->message : bytes_from(err.what),
                   buf_bytes(&details));
    buf_done(&details);
}

bool ask_parse_json(struct call *call, struct bytes tree, struct arena *arena, struct query **out)
{
    struct json_value root;
    struct json_problem broken;
    if (!json_parse(call->parser, tree, &root, &broken)) {
        call_fail(call, 422, "query_invalid", "the query can't be said as a tree: %s", broken.what);
        return false;
    }
    struct query_problem problem = { .line = 1 };
    struct err err = query_parse_json(root, arena, out, &problem);
    if (err.code)
        fail_problem(call, err, &problem);
    return !err.code;
}

bool ask_run(struct call *call, const struct query *query, const struct project_snapshot *snapshot,
             struct bytes time_zone, bool allows_unknown, struct table *table_out)
{
    struct query_options options = ask_options(call);
    options.time_zone = time_zone;
    options.allows_unknown = allows_unknown;
    struct query_problem problem = { .line = 1 };
    struct arena scratch;
    arena_init(&scratch, SIZE_MAX); /* the query's own limit is options.memory_bytes */
    struct err err = query_run(query, &snapshot->source, &options, &scratch, table_out, &problem);
    if (err.code)
        fail_problem(call, err, &problem);
    arena_done(&scratch);
    return !err.code;
}

struct err submit_one(struct call *call, enum command_kind kind, const struct identity_key *refs,
                      uint32_t count)
{
    struct command_writer *writer;
    struct err err = command_writer_new(&writer);
    if (err.code)
        return err;
    int64_t now_ms = clock_now_ms(call->api->config.clock);
    struct bytes batch;
    uint64_t position;
    command_writer_reset(writer, now_ms);
    command_begin(writer, kind, now_ms);
    for (uint32_t i = 0; i < count; i++)
        command_ref(writer, (enum ref_kind)refs[i].kind, refs[i].text);
    command_end(writer);
    err = command_writer_finish(writer, &batch);
    if (!err.code)
        err = project_submit_wait(call->project, batch, 1, &position);
    if (!err.code)
        project_wait_applied(call->project, position + 1);
    command_writer_free(writer);
    return err;
}

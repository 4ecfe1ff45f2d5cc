/* run.c - a question from its tree to its answer. */
#include "base/bits.h"
#include "query/members.h"

#include <stdlib.h>

/* What went wrong, in words for the one who asked. */
static struct err explain_failure(struct exec *exec, struct err err)
{
    struct bytes message = { 0 };

    if (err.code == ERR_NOMEM) {
        message = arena_printf(exec->arena, "the question needs more than the %zu MiB it may take",
                               exec->memory_bytes >> 20);
        if (!message.ptr)
            message = BYTES("the question needs more memory than it may take");
        err = err_new(ERR_LIMIT, "query: memory");
    } else if (err.code == ERR_LIMIT) {
        message = BYTES("the question took longer than it may");
    } else if (err.code == ERR_CANCELLED) {
        message = BYTES("the question was cancelled");
    } else {
        return err;
    }
    *exec->problem = (struct query_problem){ .message = message, .line = 1, .column = 1 };
    return err;
}

static struct err run_report(struct exec *exec, struct table *table)
{
    switch (exec->query->report) {
    case REPORT_SELECT:
        return run_select(exec, table);
    case REPORT_FUNNEL:
        return run_funnel(exec, table);
    case REPORT_RETENTION:
        return run_retention(exec, table);
    case REPORT_FLOW:
        return run_flow(exec, table);
    case REPORT_SEGMENT:
        return run_segment(exec, table);
    case REPORT_USERS:
        return run_users(exec, table);
    case REPORT_EVENTS:
        return run_events(exec, table);
    }
    return err_new(ERR_INVALID, "query: report");
}

/* The plan; with `analyze`, after the report has run, so that the meta is that of the run. */
static struct err run_explain(struct exec *exec, bool is_analyze, struct table *table)
{
    if (is_analyze) {
        struct table answer = { 0 };
        struct err err = run_report(exec, &answer);
        table_done(&answer);
        if (err.code)
            return err;
    }
    return explain_query(exec, table);
}

struct err query_run(const struct query *query, const struct query_source *source,
                     const struct query_options *options, struct arena *scratch,
                     struct table *table_out, struct query_problem *problem_out)
{
    struct query_problem problem = { 0 };
    struct table table = { 0 };
    struct exec exec;
    bool is_explain = options->is_explain || query->is_explain;

    struct err err = exec_init(&exec, query, source, options, scratch, &problem);
    if (!err.code)
        err = is_explain ? run_explain(&exec, options->is_analyze || query->is_analyze, &table)
                         : run_report(&exec, &table);
    if (!err.code)
        err = exec_table_done(&exec, &table);
    if (err.code) {
        err = explain_failure(&exec, err);
        table_done(&table);
        *problem_out = problem;
    } else {
        *table_out = table;
    }
    exec_done(&exec);
    return err;
}

struct err query_members(const struct query *query, const struct query_source *source,
                         const struct query_options *options, struct arena *arena,
                         uint64_t **set_out, uint32_t *users_out, struct query_problem *problem_out)
{
    const struct condition *where = query->report == REPORT_SEGMENT ? query->segment.where
                                    : query->report == REPORT_USERS ? query->users.where
                                                                    : NULL;
    const struct when *as_of =
        query->report == REPORT_SEGMENT ? &query->segment.as_of : &query->users.as_of;
    struct query_problem problem = { 0 };
    struct exec exec;

    if (!where) {
        *problem_out = (struct query_problem){
            .message = BYTES("only SEGMENT and USERS have members"), .line = 1, .column = 1
        };
        return err_new(ERR_INVALID, "query: members");
    }
    struct err err = exec_init(&exec, query, source, options, arena, &problem);
    if (!err.code)
        err = members_as_of(&exec, as_of);
    if (!err.code)
        err = members_run(&exec, where, arena, set_out, users_out);
    if (err.code) {
        err = explain_failure(&exec, err);
        *problem_out = problem;
    }
    exec_done(&exec);
    return err;
}

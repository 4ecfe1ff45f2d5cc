/*
 * explain.c - what a question would read: a row for each step of it and each event type of the
 * step, with the months, rows and users that lie there.
 *
 * Nothing but user runs is read for it, and those only of the months in the range.
 */
#include "query/flow_internal.h"

#include <stdlib.h>

struct scope {
    struct exec_range range;
    uint32_t event;
    uint64_t *months; /* by shard */
    uint64_t *rows;
};

static struct err count_task(struct exec_task *task, void *ctx)
{
    struct scope *scope = ctx;
    const int32_t *months;
    uint32_t count;

    struct err err = exec_months(task, scope->event, scope->range, &months, &count);
    for (uint32_t m = 0; m < count && !err.code; m++) {
        struct exec_slice slice;
        err = exec_slice_open(task, scope->event, months[m], &slice);
        if (!err.code)
            scope->rows[task->shard] += slice.slice.events;
    }
    scope->months[task->shard] = err.code ? 0 : count;
    return err;
}

static struct err put_scan(struct exec *exec, struct table *table, const char *step,
                           const char *reads, uint32_t event, struct exec_range range)
{
    struct scope scope = { .range = range, .event = event };
    struct table_cell *cells;
    uint64_t months = 0;
    uint64_t rows = 0;

    scope.months = arena_calloc(exec->arena, exec->shards, sizeof *scope.months);
    scope.rows = arena_calloc(exec->arena, exec->shards, sizeof *scope.rows);
    if (!scope.months || !scope.rows)
        return exec_no_memory();
    struct err err = exec_run_shards(exec, count_task, &scope);
    for (uint32_t i = 0; i < exec->shards; i++) {
        months += scope.months[i];
        rows += scope.rows[i];
    }
    if (!err.code)
        err = exec_table_row(table, &cells);
    if (!err.code)
        err = cell_text(table, bytes_from(step), &cells[0]);
    if (!err.code)
        err = cell_text(table, catalog_event_name(exec->catalog, event), &cells[1]);
    if (!err.code)
        err = cell_text(table, bytes_from(reads), &cells[2]);
    if (err.code)
        return err;
    cells[3] = cell_int((int64_t)months);
    cells[4] = cell_int((int64_t)rows);
    return ok();
}

static struct err put_note(struct table *table, const char *step, const char *reads)
{
    struct table_cell *cells;
    struct err err = exec_table_row(table, &cells);
    if (!err.code)
        err = cell_text(table, bytes_from(step), &cells[0]);
    if (!err.code)
        err = cell_text(table, bytes_from(reads), &cells[2]);
    return err;
}

/* What is read of the events of a step besides their runs. */
static const char *reads_of(const struct exec *exec, const struct exec_step *step,
                            struct exec_range range, bool needs_times, const char *columns)
{
    bool is_cut = range.from_ms > TIME_MS_MIN || range.to_ms <= TIME_MS_MAX;
    const char *times = needs_times ? ", times" : is_cut ? ", times of the months at its ends" : "";
    const char *filter = filter_has_columns(step->filter) ? ", columns of the filter" : "";
    struct bytes text = arena_printf(exec->arena, "user runs%s%s%s", times, filter, columns);
    return text.ptr ? (const char *)text.ptr : "user runs";
}

static struct err put_step(struct exec *exec, struct table *table, const char *name,
                           const struct exec_step *step, struct exec_range range, bool needs_times,
                           const char *columns)
{
    const char *reads = reads_of(exec, step, range, needs_times, columns);
    struct err err = ok();
    for (uint32_t i = 0; i < step->event_count && !err.code; i++)
        err = put_scan(exec, table, name, reads, step->events[i], range);
    return err;
}

/* --- the reports ----------------------------------------------------------------------------- */

static bool has_column(const struct expr *expr)
{
    if (!expr)
        return false;
    if (expr->kind == EXPR_MEASURE)
        return expr->measure >= MEASURE_SUM || expr->where;
    return has_column(expr->left) || has_column(expr->right);
}

static struct err explain_select(struct exec *exec, struct table *table)
{
    const struct select *select = &exec->query->select;
    struct exec_step step;
    struct exec_range range;
    struct filter *filter;
    bool needs_times = false;
    bool needs_columns = false;

    struct err err = exec_filter(exec, select->where, &filter);
    if (!err.code)
        err = exec_filter_events(exec, filter, &step);
    if (!err.code)
        err = exec_resolve_span(exec, &exec->query->span, &range);
    for (uint32_t i = 0; i < select->key_count && !err.code; i++) {
        struct exec_key key;
        err = exec_key(exec, &select->keys[i], &key);
        needs_times |= select->keys[i].kind == KEY_TIME;
        needs_columns |= select->keys[i].kind == KEY_PROPERTY;
    }
    for (uint32_t i = 0; i < select->item_count; i++)
        needs_columns |= has_column(select->items[i].expr);
    bool has_days = false;
    if (!err.code)
        err = select_reads_days(exec, &has_days);
    const char *columns = needs_columns ? ", columns of keys and measures"
                          : has_days    ? "; only day counts of parts at rest"
                                        : "";
    if (!err.code)
        err = put_step(exec, table, "scan", &step, range, needs_times, columns);
    if (!err.code && select->has_other)
        err = put_note(table, "again", "the scan runs twice: first to find the series to keep");
    return err;
}

static struct err explain_steps(struct exec *exec, struct table *table, const struct step *steps,
                                uint32_t count, struct exec_range range)
{
    struct err err = ok();
    for (uint32_t i = 0; i < count && !err.code; i++) {
        struct exec_step step;
        struct bytes name = arena_printf(exec->arena, "step %u", i + 1);
        err = name.ptr ? exec_step(exec, &steps[i], &step) : exec_no_memory();
        if (!err.code)
            err = put_step(exec, table, (const char *)name.ptr, &step, range, true, "");
    }
    return err;
}

static struct err explain_funnel(struct exec *exec, struct table *table)
{
    const struct funnel *funnel = &exec->query->funnel;
    struct exec_range range;

    struct err err = exec_resolve_span(exec, &exec->query->span, &range);
    if (err.code)
        return err;
    struct exec_range follows = range;
    if (!funnel->is_complete_in_range)
        follows.to_ms += duration_ms(funnel->within);
    follows = exec_clip(exec, follows);
    err = explain_steps(exec, table, funnel->steps, 1, range);
    if (!err.code)
        err = explain_steps(exec, table, funnel->steps + 1, funnel->step_count - 1, follows);
    for (uint32_t i = 0; i < funnel->exclusion_count && !err.code; i++) {
        struct exec_step step;
        err = exec_step(exec, &funnel->exclusions[i].step, &step);
        if (!err.code)
            err = put_step(exec, table, "exclusion", &step, follows, true, "");
    }
    return err;
}

static struct err explain_retention(struct exec *exec, struct table *table)
{
    const struct retention *retention = &exec->query->retention;
    struct exec_range range;
    struct exec_step start;
    struct exec_step back;

    struct err err = exec_resolve_span(exec, &exec->query->span, &range);
    if (!err.code)
        err = exec_step(exec, &retention->start, &start);
    if (!err.code)
        err = exec_step(exec, &retention->back, &back);
    if (err.code)
        return err;
    struct exec_range starts = range;
    if (retention->is_first)
        starts.from_ms = TIME_MS_MIN; /* the first ever may lie before */
    range.to_ms = exec_clip(exec, (struct exec_range){ 0, INT64_MAX }).to_ms;
    err = put_step(exec, table, "start", &start, starts, true, "");
    return err.code ? err : put_step(exec, table, "return", &back, range, true, "");
}

/* A row for the starts, one for what is walked. */
static struct err explain_flow(struct exec *exec, struct table *table)
{
    struct flow_plan plan;
    struct err err = flow_plan(exec, &plan);
    if (err.code)
        return err;
    bool needs_slices = plan.start.filter || exec->query->flow.expansion_count > 0;
    const char *starts = plan.start.filter              ? "order column, columns of the filter"
                         : exec->query->flow.has_within ? "order column, times"
                                                        : "order column";
    const char *steps = needs_slices ? "order column, columns of expanded events" : "order column";
    if (exec->query->flow.has_within)
        steps = "order column, times";
    for (uint32_t i = 0; i < plan.start.event_count && !err.code; i++)
        err = put_scan(exec, table, "start", starts, plan.start.events[i], plan.starts);
    for (uint32_t i = 0; i < plan.shown_count && !err.code; i++)
        err = put_scan(exec, table, "step", steps, plan.shown[i], plan.follows);
    return err;
}

static struct err explain_condition(struct exec *exec, struct table *table,
                                    const struct condition *condition)
{
    struct exec_range range;
    struct exec_step step;
    uint64_t *users;
    struct err err = ok();

    for (uint32_t i = 0; i < condition->child_count && !err.code; i++)
        err = explain_condition(exec, table, condition->children[i]);
    if (condition->kind == COND_PROFILE) {
        err = exec_match_profiles(exec, &condition->compare, &users);
        return err.code ? err : put_note(table, "profile", "one property of all profiles");
    }
    if (condition->kind == COND_BUCKET)
        return put_note(table, "bucket", "nothing: it's the user's number");
    if (condition->kind == COND_DID) {
        const struct did *did = &condition->did;
        err = exec_step(exec, &did->step, &step);
        if (!err.code)
            err = exec_resolve_span(exec, &did->time, &range);
        if (!err.code && did->occurrence != OCCURRENCE_EACH)
            range = exec_clip(exec, (struct exec_range){ INT64_MIN, INT64_MAX });
        bool needs_times = did->occurrence != OCCURRENCE_EACH || did->aggregate == AGGREGATE_DAYS;
        const char *columns = did->aggregate >= AGGREGATE_SUM ? ", the column aggregated" : "";
        return err.code ? err : put_step(exec, table, "did", &step, range, needs_times, columns);
    }
    if (condition->kind == COND_SEQUENCE) {
        const struct sequence *sequence = &condition->sequence;
        err = exec_resolve_span(exec, &sequence->time, &range);
        return err.code ? err
                        : explain_steps(exec, table, sequence->steps, sequence->step_count, range);
    }
    return err;
}

struct err explain_query(struct exec *exec, struct table *table)
{
    static const char *const NAMES[] = { "step", "event", "reads", "months", "rows" };
    static const enum table_type TYPES[] = { TABLE_STRING, TABLE_STRING, TABLE_STRING, TABLE_INT,
                                             TABLE_INT };

    struct err err = exec_table_init(exec, table, "explain", 5);
    for (uint32_t i = 0; i < 5 && !err.code; i++)
        err = exec_table_column(table, i, bytes_from(NAMES[i]), TYPES[i]);
    if (err.code)
        return err;
    switch (exec->query->report) {
    case REPORT_SELECT:
        return explain_select(exec, table);
    case REPORT_FUNNEL:
        return explain_funnel(exec, table);
    case REPORT_RETENTION:
        return explain_retention(exec, table);
    case REPORT_FLOW:
        return explain_flow(exec, table);
    case REPORT_SEGMENT:
        return explain_condition(exec, table, exec->query->segment.where);
    case REPORT_USERS:
        return explain_condition(exec, table, exec->query->users.where);
    case REPORT_EVENTS:
        return put_note(table, "timeline", "the user's runs, month by month, newest first");
    }
    return ok();
}

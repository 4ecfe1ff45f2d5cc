/* exec.c - what a run is: its limits, its names and times, its tasks and slices. */
#include "query/exec.h"

#include "base/bits.h"

#include <stdio.h>
#include <stdlib.h>

enum { MEMORY_DEFAULT = 1 << 30, TIMEOUT_DEFAULT_MS = 60000 };

struct exec_keep {
    struct arena arena;
};

/* --- errors ----------------------------------------------------------------------------- */

struct err exec_no_memory(void)
{
    return err_new(ERR_NOMEM, "query: run");
}

struct err exec_wrong(struct exec *exec, const struct place *at, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);

    *exec->problem = (struct query_problem){ .line = 1, .column = 1 };
    exec->problem->message = arena_copy(exec->arena, bytes_from(text));
    if (!exec->problem->message.ptr)
        return exec_no_memory();
    if (exec->query->text.len > 0)
        problem_place(exec->problem, exec->query->text, at->offset, at->length);
    exec->problem->pointer = at->pointer;
    return err_new(ERR_INVALID, "query: resolve");
}

void exec_warn(struct exec *exec, const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);

    struct bytes copy = arena_copy(exec->arena, bytes_from(text));
    uint32_t room = sizeof exec->warnings / sizeof exec->warnings[0];
    for (uint32_t i = 0; i < exec->warning_count; i++)
        if (bytes_equal(exec->warnings[i], copy))
            return;
    if (copy.ptr && exec->warning_count < room)
        exec->warnings[exec->warning_count++] = copy;
}

struct err exec_check(struct exec *exec)
{
    int stopped = atomic_load_explicit(&exec->stopped, memory_order_relaxed);
    if (stopped)
        return err_new((enum err_code)stopped, "query: another part of the run failed");
    if (exec->options->is_cancelled &&
        atomic_load_explicit(exec->options->is_cancelled, memory_order_relaxed))
        return err_new(ERR_CANCELLED, "query: run");
    if (exec->options->clock && clock_mono_ns(exec->options->clock) > exec->deadline_ns)
        return err_new(ERR_LIMIT, "query: the time is up");
    return ok();
}

/* --- beginning and end --------------------------------------------------------------------- */

static struct err find_zone(struct exec *exec)
{
    struct bytes asked = exec->options->time_zone;
    struct bytes name = asked.len > 0 ? asked : exec->query->time_zone.text;

    exec->zone = exec->source->zone;
    if (name.len == 0)
        return ok();
    const struct zone *zone;
    struct err err = exec->source->load_zone(exec->source->identities, name, &zone);
    if (err.code == ERR_NOMEM)
        return err;
    if (err.code)
        return exec_wrong(exec, &exec->query->time_zone.at, "there's no time zone \"%.*s\"",
                          (int)(name.len < 80 ? name.len : 80), (const char *)name.ptr);
    exec->zone = zone;
    return ok();
}

static uint32_t count_users(const struct exec *exec)
{
    uint64_t users = profile_view_users(exec->source->profiles);
    for (uint32_t shard = 0; shard < exec->shards; shard++) {
        uint64_t rows = exec->ops->shard_rows(exec->snapshot, shard);
        uint64_t behind = rows ? (rows - 1) * exec->shards + shard + 1 : 0;
        users = behind > users ? behind : users;
    }
    return users < UINT32_MAX ? (uint32_t)users : UINT32_MAX - 1;
}

struct err exec_init(struct exec *exec, const struct query *query,
                     const struct query_source *source, const struct query_options *options,
                     struct arena *arena, struct query_problem *problem)
{
    *exec = (struct exec){
        .query = query,
        .source = source,
        .options = options,
        .problem = problem,
        .arena = arena,
        .ops = source->snapshot->ops,
        .snapshot = source->snapshot,
        .catalog = source->catalog,
        .now_ms = source->now_ms,
        .cut_ms = INT64_MAX,
        .memory_bytes = options->memory_bytes ? options->memory_bytes : MEMORY_DEFAULT,
        .deadline_ns = INT64_MAX,
    };
    exec->shards = exec->ops->shards(exec->snapshot);
    exec->users = count_users(exec);
    if (options->clock) {
        int64_t timeout_ms = options->timeout_ms > 0 ? options->timeout_ms : TIMEOUT_DEFAULT_MS;
        exec->started_ns = clock_mono_ns(options->clock);
        exec->deadline_ns = exec->started_ns + timeout_ms * 1000000;
    }
    struct store_read_stats stats = exec->ops->read_stats(exec->snapshot);
    exec->rows_before = stats.rows;
    exec->bytes_before = stats.bytes;
    exec->keeps = calloc(exec->shards ? exec->shards : 1, sizeof *exec->keeps);
    if (!exec->keeps)
        return exec_no_memory();
    return find_zone(exec);
}

void exec_done(struct exec *exec)
{
    for (uint32_t i = 0; exec->keeps && i < exec->shards; i++)
        arena_done(&exec->keeps[i].arena);
    free(exec->keeps);
    exec->keeps = NULL;
}

/* --- names ------------------------------------------------------------------------------------ */

static void suggest(struct exec *exec, const char *prefix, struct bytes name)
{
    if (name.len == 0)
        return;
    struct bytes text = arena_printf(exec->arena, "%s%.*s", prefix, BYTES_FMT(name));
    if (text.ptr)
        exec->problem->suggestion = text;
}

static int shown(struct bytes name)
{
    return (int)(name.len < 100 ? name.len : 100);
}

struct err exec_event(struct exec *exec, const struct name *name, uint32_t *event_out)
{
    *event_out = catalog_event_find(exec->catalog, name->text, false);
    if (*event_out != CATALOG_NONE || exec->options->allows_unknown)
        return ok();
    struct err err = exec_wrong(exec, &name->at, "there's no event '%.*s'", shown(name->text),
                                (const char *)name->text.ptr);
    suggest(exec, "", catalog_nearest_event(exec->catalog, name->text));
    return err;
}

static uint32_t profile_types(const struct exec *exec, uint32_t property)
{
    const struct catalog_column *columns;
    uint32_t count = catalog_profile_columns(exec->catalog, &columns);
    for (uint32_t i = 0; i < count; i++)
        if (columns[i].property == property)
            return columns[i].types;
    return 0;
}

struct err exec_profile_property(struct exec *exec, struct bytes name, const struct place *at,
                                 uint32_t *property_out)
{
    *property_out = catalog_property_find(exec->catalog, name);
    if (*property_out != CATALOG_NONE && profile_types(exec, *property_out) != 0)
        return ok();
    *property_out = CATALOG_NONE;
    if (exec->options->allows_unknown)
        return ok();
    struct err err = exec_wrong(exec, at, "no profile has a property \"%.*s\"", shown(name),
                                (const char *)name.ptr);
    suggest(exec, "", catalog_nearest_property(exec->catalog, name, true));
    return err;
}

static uint32_t types_of_event(const struct exec *exec, uint32_t event, uint32_t property)
{
    const struct catalog_column *columns;
    if (event == CATALOG_NONE || property == CATALOG_NONE)
        return 0;
    uint32_t count = catalog_event_columns(exec->catalog, event, &columns);
    for (uint32_t i = 0; i < count; i++)
        if (columns[i].property == property)
            return columns[i].types;
    return 0;
}

uint32_t exec_property_types(const struct exec *exec, const struct exec_property *property,
                             uint32_t event)
{
    if (property->is_item)
        event = catalog_event_items(exec->catalog, event);
    return types_of_event(exec, event, property->property);
}

static bool is_item_type(const struct exec *exec, uint32_t event)
{
    return catalog_event_parent(exec->catalog, event) != CATALOG_NONE;
}

static uint32_t types_of_all(const struct exec *exec, uint32_t property, bool is_item)
{
    uint32_t types = 0;
    uint32_t count = catalog_event_count(exec->catalog);
    for (uint32_t event = 0; event < count; event++)
        if (is_item_type(exec, event) == is_item)
            types |= types_of_event(exec, event, property);
    return types;
}

struct err exec_property(struct exec *exec, struct bytes name, const struct place *at,
                         struct exec_property *out)
{
    struct exec_property property = { .property = catalog_property_find(exec->catalog, name) };
    property.types = types_of_all(exec, property.property, false);
    if (property.types == 0 && bytes_start_with(name, BYTES("Items."))) {
        property.property = catalog_property_find(exec->catalog, bytes_slice(name, 6, name.len));
        property.types = types_of_all(exec, property.property, true);
        property.is_item = property.types != 0;
    }
    if (property.types == 0)
        property.property = CATALOG_NONE;
    *out = property;
    if (property.types != 0 || exec->options->allows_unknown)
        return ok();

    struct err err = exec_wrong(exec, at, "no event has a property \"%.*s\"", shown(name),
                                (const char *)name.ptr);
    uint32_t same = catalog_property_find(exec->catalog, name);
    if (same != CATALOG_NONE && profile_types(exec, same) != 0)
        suggest(exec, "profile.", name);
    else
        suggest(exec, "", catalog_nearest_property(exec->catalog, name, false));
    return err;
}

/* --- times --------------------------------------------------------------------------------------- */

static bool is_instant(enum duration_unit unit)
{
    return unit <= DURATION_HOUR;
}

static int days_of_month(int year, int month)
{
    struct civil_date first = { .year = year, .month = month, .day = 1 };
    struct civil_date next = { .year = month == 12 ? year + 1 : year,
                               .month = month == 12 ? 1 : month + 1,
                               .day = 1 };
    return civil_to_day(next) - civil_to_day(first);
}

/* The local day that's so much before `day`. */
static int32_t day_before(int32_t day, struct duration ago)
{
    if (ago.unit == DURATION_DAY || ago.unit == DURATION_WEEK)
        return day - (int32_t)(ago.count * (ago.unit == DURATION_WEEK ? 7 : 1));
    struct civil_date date = civil_from_day(day);
    int64_t months =
        (int64_t)date.year * 12 + date.month - 1 - ago.count * (ago.unit == DURATION_YEAR ? 12 : 1);
    if (months < 12)
        return civil_to_day((struct civil_date){ .year = 1, .month = 1, .day = 1 });
    date.year = (int)(months / 12);
    date.month = (int)(months % 12) + 1;
    int last = days_of_month(date.year, date.month);
    date.day = date.day < last ? date.day : last;
    return civil_to_day(date);
}

static int64_t clamp_time(int64_t time_ms)
{
    return time_ms < TIME_MS_MIN ? TIME_MS_MIN : time_ms > TIME_MS_MAX ? TIME_MS_MAX : time_ms;
}

struct err exec_resolve_when(struct exec *exec, const struct when *when, bool is_end,
                             int64_t *time_ms_out)
{
    int32_t today = zone_day(exec->zone, exec->now_ms);
    int32_t day = today;
    int64_t time_ms = exec->now_ms;
    bool is_day = false;

    switch (when->kind) {
    case WHEN_NONE:
        time_ms = is_end ? TIME_MS_MAX : TIME_MS_MIN;
        break;
    case WHEN_NOW:
        break;
    case WHEN_TEXT:
        if (!calendar_parse(when->text, exec->zone, &time_ms, &is_day))
            return exec_wrong(exec, &when->at, "this time is outside the years 1 to 9999");
        day = is_day ? zone_day(exec->zone, time_ms) : day;
        break;
    case WHEN_AGO:
        is_day = !is_instant(when->ago.unit);
        if (is_day)
            day = day_before(today, when->ago);
        else
            time_ms -= duration_ms(when->ago);
        break;
    case WHEN_TODAY:
    case WHEN_YESTERDAY:
        is_day = true;
        day = when->kind == WHEN_TODAY ? today : today - 1;
        break;
    case WHEN_START_OF:
        time_ms = zone_floor_ms(exec->zone, when->unit, exec->source->week_start, exec->now_ms);
        break;
    }
    if (is_day)
        time_ms = zone_day_start_ms(exec->zone, day + (is_end ? 1 : 0));
    else if (is_end)
        time_ms = clamp_time(time_ms) + 1;
    *time_ms_out = is_day ? time_ms : is_end ? time_ms : clamp_time(time_ms);
    return ok();
}

struct exec_range exec_clip(const struct exec *exec, struct exec_range range)
{
    int64_t end = exec->cut_ms < TIME_MS_MAX + 1 ? exec->cut_ms : TIME_MS_MAX + 1;
    range.from_ms = range.from_ms < TIME_MS_MIN ? TIME_MS_MIN : range.from_ms;
    range.to_ms = range.to_ms > end ? end : range.to_ms;
    if (range.to_ms < range.from_ms)
        range.to_ms = range.from_ms;
    return range;
}

struct err exec_resolve_span(struct exec *exec, const struct span *span, struct exec_range *out)
{
    struct exec_range range = { .from_ms = TIME_MS_MIN, .to_ms = TIME_MS_MAX + 1 };
    struct err err = ok();

    switch (span->kind) {
    case SPAN_ALL:
        break;
    case SPAN_RANGE:
        if (span->since.kind != WHEN_NONE)
            err = exec_resolve_when(exec, &span->since, false, &range.from_ms);
        if (!err.code && span->until.kind != WHEN_NONE)
            err = exec_resolve_when(exec, &span->until, false, &range.to_ms);
        break;
    case SPAN_BETWEEN:
        err = exec_resolve_when(exec, &span->since, false, &range.from_ms);
        if (!err.code)
            err = exec_resolve_when(exec, &span->until, true, &range.to_ms);
        break;
    case SPAN_IN_LAST:
        range.from_ms = clamp_time(exec->now_ms - duration_ms(span->last));
        range.to_ms = exec->now_ms + 1;
        break;
    case SPAN_THIS:
        range.from_ms =
            zone_floor_ms(exec->zone, span->unit, exec->source->week_start, exec->now_ms);
        range.to_ms = zone_add_ms(exec->zone, span->unit, range.from_ms, 1);
        break;
    }
    if (!err.code)
        *out = exec_clip(exec, range);
    return err;
}

/* --- tasks -------------------------------------------------------------------------------------------- */

struct run {
    struct exec *exec;
    exec_task_fn *fn;
    void *ctx;
    struct err *errs; /* per shard */
};

static unsigned parallel(const struct exec *exec)
{
    return exec->options->pool ? thread_pool_threads(exec->options->pool) + 1 : 1;
}

static void run_task(void *ctx, uint32_t shard)
{
    struct run *run = ctx;
    struct exec *exec = run->exec;
    struct arena scratch;
    struct exec_task task = {
        .exec = exec,
        .shard = shard,
        .rows = exec->ops->shard_rows(exec->snapshot, shard),
        .keep = &exec->keeps[shard].arena,
        .scratch = &scratch,
        .memory_bytes = exec->memory_bytes / 4 / exec->shards,
    };
    arena_init(&scratch, exec->memory_bytes / 2 / parallel(exec));
    struct err err = exec_check(exec);
    if (!err.code)
        err = run->fn(&task, run->ctx);
    arena_done(&scratch);
    run->errs[shard] = err;
    int none = ERR_NONE;
    if (err.code)
        atomic_compare_exchange_strong(&exec->stopped, &none, (int)err.code);
}

struct err exec_run_shards(struct exec *exec, exec_task_fn *fn, void *ctx)
{
    struct run run = { .exec = exec, .fn = fn, .ctx = ctx };
    run.errs = calloc(exec->shards, sizeof *run.errs);
    if (!run.errs)
        return exec_no_memory();
    for (uint32_t i = 0; i < exec->shards; i++)
        if (exec->keeps[i].arena.limit_bytes == 0)
            arena_init(&exec->keeps[i].arena, exec->memory_bytes / 4 / exec->shards);

    if (exec->options->pool)
        thread_pool_run(exec->options->pool, exec->shards, run_task, &run);
    for (uint32_t i = 0; !exec->options->pool && i < exec->shards; i++)
        run_task(&run, i);

    /* The one that stopped the others, rather than one that was stopped. */
    int stopped = atomic_load(&exec->stopped);
    struct err err = ok();
    for (uint32_t i = 0; i < exec->shards && stopped; i++)
        if (run.errs[i].code == (enum err_code)stopped && !err.code)
            err = run.errs[i];
    free(run.errs);
    return err;
}

/* --- slices ----------------------------------------------------------------------------------------------- */

struct err exec_months(struct exec_task *task, uint32_t event, struct exec_range range,
                       const int32_t **months_out, uint32_t *count_out)
{
    struct exec *exec = task->exec;
    *count_out = 0;
    if (range.from_ms >= range.to_ms || event == CATALOG_NONE)
        return ok();
    return exec->ops->months(exec->snapshot, task->shard, event, range.from_ms, range.to_ms,
                             task->scratch, months_out, count_out);
}

static int compare_months(const void *a, const void *b)
{
    int32_t left = *(const int32_t *)a;
    int32_t right = *(const int32_t *)b;
    return (left > right) - (left < right);
}

struct err exec_months_of(struct exec_task *task, const uint32_t *events, uint32_t count,
                          struct exec_range range, const int32_t **months_out, uint32_t *count_out)
{
    int32_t *all = NULL;
    uint32_t used = 0;
    uint32_t cap = 0;

    for (uint32_t i = 0; i < count; i++) {
        const int32_t *months;
        uint32_t more;
        struct err err = exec_months(task, events[i], range, &months, &more);
        if (err.code)
            return err;
        if (used + more > cap) {
            cap = (used + more) * 2 + 64;
            int32_t *grown = arena_alloc(task->scratch, cap * sizeof *grown);
            if (!grown)
                return exec_no_memory();
            if (used)
                memcpy(grown, all, used * sizeof *grown);
            all = grown;
        }
        if (more)
            memcpy(all + used, months, more * sizeof *months);
        used += more;
    }
    if (used)
        qsort(all, used, sizeof *all, compare_months);
    uint32_t unique = 0;
    for (uint32_t i = 0; i < used; i++)
        if (unique == 0 || all[unique - 1] != all[i])
            all[unique++] = all[i];
    *months_out = all;
    *count_out = unique;
    return ok();
}

struct err exec_slice_open(struct exec_task *task, uint32_t event, int32_t month,
                           struct exec_slice *out)
{
    struct exec *exec = task->exec;
    struct exec_slice slice = { .event = event,
                                .month = month,
                                .end_ms = civil_month_start_ms(month + 1) };
    struct err err = exec_check(exec);
    if (!err.code)
        err = exec->ops->slice_open(exec->snapshot, task->shard, month, event, task->scratch,
                                    &slice.slice);
    if (err.code)
        return err;
    slice.slice.base_ms = civil_month_start_ms(month);
    *out = slice;
    return ok();
}

struct err exec_slice_times(struct exec_task *task, struct exec_slice *slice)
{
    if (slice->slice.time || slice->slice.events == 0)
        return ok();
    return task->exec->ops->slice_times(&slice->slice);
}

struct err exec_slice_seqs(struct exec_task *task, struct exec_slice *slice)
{
    if (slice->slice.seq || slice->slice.events == 0)
        return ok();
    return task->exec->ops->slice_seqs(&slice->slice);
}

struct err exec_columns(struct exec_task *task, struct exec_slice *slice, uint32_t property,
                        uint32_t types, struct exec_columns *out)
{
    out->types = 0;
    for (enum value_type type = VALUE_BOOL; type < VALUE_TYPES; type++) {
        bool has = false;
        if (!(types >> type & 1) || property == CATALOG_NONE || slice->slice.events == 0)
            continue;
        struct err err =
            task->exec->ops->slice_column(&slice->slice, property, type, &out->column[type], &has);
        if (err.code)
            return err;
        if (has)
            out->types |= 1u << type;
    }
    return ok();
}

bool exec_columns_has(const struct exec_columns *columns, enum value_type type, uint32_t event)
{
    if (!(columns->types >> type & 1))
        return false;
    const uint64_t *present = columns->column[type].present;
    return !present || bits_has(present, event);
}

bool exec_columns_number(const struct exec_columns *columns, uint32_t event, double *out)
{
    if (exec_columns_has(columns, VALUE_INT, event)) {
        *out = (double)columns->column[VALUE_INT].integers[event];
        return true;
    }
    if (exec_columns_has(columns, VALUE_REAL, event)) {
        *out = columns->column[VALUE_REAL].reals[event];
        return true;
    }
    return false;
}

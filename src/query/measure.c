/*
 * measure.c - counting, exactly.
 *
 * Users are a set per group: a bitmap over the shard's user rows while there's room for one, else
 * pairs in a table. They never cross shards, so tasks only add their counts. Distinct values do
 * cross: their pairs are united. Integers are summed in 128 bits; reals with compensation, in the
 * order (shard, event type, month, user, time), so that a sum doesn't depend on how the rows are
 * stored. Percentiles keep all values.
 *
 * A session is a run of the counted rows of one user without a gap of more than SESSION_GAP_MS; it
 * counts in each group that one of its rows is in.
 */
#include "query/measure.h"

#include "base/bits.h"

#include <math.h>
#include <stdlib.h>

enum { SESSION_GAP_MS = 20 * 60 * 1000 };

struct sample {
    uint32_t group;
    uint32_t user_row; /* sessions */
    union {
        double number;
        int64_t time_ms;
    };
};

struct tally {
    const struct slot *slot;
    struct arena *arena;
    size_t limit_bytes;
    struct measured *groups;
    uint32_t cap;
    uint32_t user_rows;
    uint64_t **users;    /* by group: a bitmap, or NULL: pairs */
    size_t users_bytes;  /* of the bitmaps */
    struct map64 *pairs; /* group << 32 | user row or value */
    struct sample *samples;
    size_t sample_count;
    size_t sample_cap;
    double *sorted;      /* percentile: finished */
    size_t *sorted_from; /* by group */
};

/* --- making ------------------------------------------------------------------------------ */

static bool has_pairs(const struct slot *slot)
{
    return slot->expr->measure == MEASURE_USERS || slot->expr->measure == MEASURE_DISTINCT;
}

struct err tally_new(const struct slot *slot, struct arena *arena, size_t limit_bytes,
                     uint32_t user_rows, struct tally **out)
{
    struct tally *tally = arena_calloc(arena, 1, sizeof *tally);
    if (!tally)
        return exec_no_memory();
    tally->slot = slot;
    tally->arena = arena;
    tally->limit_bytes = limit_bytes;
    tally->user_rows = user_rows;
    struct err err = has_pairs(slot) ? map64_new(limit_bytes, &tally->pairs) : ok();
    if (!err.code)
        *out = tally;
    return err;
}

void tally_free(struct tally *tally)
{
    if (!tally)
        return;
    map64_free(tally->pairs);
    free(tally->samples);
    tally->pairs = NULL;
    tally->samples = NULL;
}

/* Room for groups up to this one. */
static bool reserve(struct tally *tally, uint32_t group)
{
    if (group < tally->cap)
        return true;
    uint32_t cap = tally->cap ? tally->cap : 16;
    while (cap <= group)
        cap *= 2;
    struct measured *groups = arena_calloc(tally->arena, cap, sizeof *groups);
    uint64_t **users = NULL;
    if (tally->slot->expr->measure == MEASURE_USERS)
        users = arena_calloc(tally->arena, cap, sizeof *users);
    if (!groups || (tally->slot->expr->measure == MEASURE_USERS && !users))
        return false;
    if (tally->cap) {
        memcpy(groups, tally->groups, tally->cap * sizeof *groups);
        if (users)
            memcpy(users, tally->users, tally->cap * sizeof *users);
    }
    tally->groups = groups;
    tally->users = users;
    tally->cap = cap;
    return true;
}

static bool reserve_all(struct tally *tally, const struct rows *rows)
{
    uint32_t most = rows->group ? 0 : rows->only_group;
    for (uint32_t i = 0; rows->group && i < rows->count; i++)
        if (rows->group[i] != GROUP_NONE && rows->group[i] > most)
            most = rows->group[i];
    return reserve(tally, most);
}

/* The group of row i; GROUP_NONE: not counted. */
static inline uint32_t group_at(const struct rows *rows, uint32_t i)
{
    if (rows->group)
        return rows->group[i];
    return is_selected(rows->selection, i) ? rows->only_group : GROUP_NONE;
}

static inline uint32_t event_at(const struct rows *rows, uint32_t i)
{
    return rows->event ? rows->event[i] : i;
}

/* --- events and users ------------------------------------------------------------------------ */

static struct err add_count(struct tally *tally, const struct rows *rows)
{
    if (!rows->group) {
        tally->groups[rows->only_group].count += rows->selection->count;
        return ok();
    }
    for (uint32_t i = 0; i < rows->count; i++)
        if (rows->group[i] != GROUP_NONE)
            tally->groups[rows->group[i]].count++;
    return ok();
}

static struct err add_pair(struct tally *tally, uint32_t group, uint32_t member)
{
    bool is_new;
    if (!map64_put(tally->pairs, (uint64_t)group << 32 | member, &is_new))
        return exec_no_memory();
    tally->groups[group].count += is_new;
    return ok();
}

/* The group's bitmap, made while the bitmaps together are within the limit. */
static uint64_t *user_bitmap(struct tally *tally, uint32_t group)
{
    size_t words = bits_words(tally->user_rows) + 1;
    if (tally->users[group])
        return tally->users[group];
    if (tally->groups[group].count > 0) /* pairs already */
        return NULL;
    if (tally->users_bytes + words * 8 > tally->limit_bytes / 4)
        return NULL;
    tally->users[group] = arena_calloc(tally->arena, words, sizeof(uint64_t));
    tally->users_bytes += words * 8;
    return tally->users[group];
}

static struct err add_user(struct tally *tally, uint32_t group, uint32_t row)
{
    uint64_t *bitmap = user_bitmap(tally, group);
    if (!bitmap)
        return add_pair(tally, group, row);
    if (!bits_has(bitmap, row)) {
        bits_add(bitmap, row);
        tally->groups[group].count++;
    }
    return ok();
}

static bool any_selected(const struct selection *selection, uint32_t from, uint32_t to)
{
    if (!selection->bits)
        return to > from;
    while (from < to) {
        uint64_t word = selection->bits[from >> 6] >> (from & 63);
        uint32_t n = 64 - (from & 63);
        if (n > to - from) {
            n = to - from;
            word &= (UINT64_C(1) << n) - 1;
        }
        if (word)
            return true;
        from += n;
    }
    return false;
}

/* One group: users are runs. */
static struct err add_runs(struct tally *tally, const struct store_slice *slice,
                           const struct rows *rows)
{
    uint32_t group = rows->only_group;
    uint64_t *bitmap = user_bitmap(tally, group);
    uint64_t added = 0;

    for (uint32_t u = 0; u < slice->users; u++) {
        if (!any_selected(rows->selection, slice->start[u], slice->start[u + 1]))
            continue;
        uint32_t row = slice->row[u];
        if (!bitmap) {
            struct err err = add_pair(tally, group, row);
            if (err.code)
                return err;
            continue;
        }
        added += !bits_has(bitmap, row);
        bits_add(bitmap, row);
    }
    tally->groups[group].count += added;
    return ok();
}

static struct err add_users(struct tally *tally, const struct store_slice *slice,
                            const struct rows *rows)
{
    uint32_t u = 0;

    if (!rows->group && !rows->event)
        return add_runs(tally, slice, rows);
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t group = group_at(rows, i);
        if (group == GROUP_NONE)
            continue;
        uint32_t event = event_at(rows, i);
        while (slice->start[u + 1] <= event)
            u++;
        struct err err = add_user(tally, group, slice->row[u]);
        if (err.code)
            return err;
    }
    return ok();
}

/* --- numbers ------------------------------------------------------------------------------------ */

static void add_int(struct measured *group, int64_t value)
{
    if (group->ints == 0 || value < group->int_min)
        group->int_min = value;
    if (group->ints == 0 || value > group->int_max)
        group->int_max = value;
    group->ints++;
    group->int_sum += value;
}

/* Neumaier's: the part of each addend that the sum had no room for is kept beside it. */
static void add_to_sum(struct measured *group, double value)
{
    double sum = group->real_sum + value;
    if (fabs(group->real_sum) >= fabs(value))
        group->real_rest += (group->real_sum - sum) + value;
    else
        group->real_rest += (value - sum) + group->real_sum;
    group->real_sum = sum;
}

static void add_real(struct measured *group, double value)
{
    if (group->reals == 0 || value < group->real_min)
        group->real_min = value;
    if (group->reals == 0 || value > group->real_max)
        group->real_max = value;
    group->reals++;
    add_to_sum(group, value);
}

static void add_time(struct measured *group, int64_t time_ms)
{
    if (group->times == 0 || time_ms < group->time_min)
        group->time_min = time_ms;
    if (group->times == 0 || time_ms > group->time_max)
        group->time_max = time_ms;
    group->times++;
}

static void add_column(struct tally *tally, const struct rows *rows, enum value_type type,
                       const struct store_column *column)
{
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t group = group_at(rows, i);
        uint32_t event = event_at(rows, i);
        if (group == GROUP_NONE || (column->present && !bits_has(column->present, event)))
            continue;
        if (type == VALUE_INT)
            add_int(&tally->groups[group], column->integers[event]);
        else if (type == VALUE_REAL)
            add_real(&tally->groups[group], column->reals[event]);
        else
            add_time(&tally->groups[group], column->integers[event]);
    }
}

static struct err add_sample(struct tally *tally, struct sample sample)
{
    if (tally->sample_count == tally->sample_cap) {
        size_t cap = tally->sample_cap ? tally->sample_cap * 2 : 1024;
        if (cap * sizeof sample > tally->limit_bytes)
            return exec_no_memory();
        struct sample *grown = realloc(tally->samples, cap * sizeof sample);
        if (!grown)
            return exec_no_memory();
        tally->samples = grown;
        tally->sample_cap = cap;
    }
    tally->samples[tally->sample_count++] = sample;
    return ok();
}

static struct err add_numbers(struct tally *tally, struct exec_task *task, struct exec_slice *slice,
                              const struct rows *rows)
{
    uint32_t numbers = 1u << VALUE_INT | 1u << VALUE_REAL;
    bool has_times =
        tally->slot->expr->measure == MEASURE_MIN || tally->slot->expr->measure == MEASURE_MAX;
    struct exec_columns columns;

    struct err err = exec_columns(task, slice, tally->slot->property.property,
                                  has_times ? numbers | 1u << VALUE_TIME : numbers, &columns);
    if (err.code)
        return err;
    if (tally->slot->expr->measure != MEASURE_PERCENTILE) {
        for (enum value_type type = VALUE_INT; type < VALUE_TYPES; type++)
            if (columns.types >> type & 1)
                add_column(tally, rows, type, &columns.column[type]);
        return ok();
    }
    for (uint32_t i = 0; i < rows->count && columns.types; i++) {
        struct sample sample = { .group = group_at(rows, i) };
        if (sample.group == GROUP_NONE ||
            !exec_columns_number(&columns, event_at(rows, i), &sample.number))
            continue;
        err = add_sample(tally, sample);
        if (err.code)
            return err;
    }
    return ok();
}

/* --- values and sessions ---------------------------------------------------------------------------- */

static struct err add_distinct(struct tally *tally, struct exec_task *task,
                               struct exec_slice *slice, const struct rows *rows,
                               struct values *values)
{
    struct exec_key key = { .kind = KEY_PROPERTY, .property = tally->slot->property };
    struct selection all = { .bits = NULL, .count = slice->slice.events };
    const uint32_t *numbers;

    key.property.is_item = false; /* the slice is the one that has it */
    bool is_same = !rows->group && !rows->event;
    struct err err =
        exec_key_numbers(task, values, slice, &key, is_same ? rows->selection : &all, &numbers);
    for (uint32_t i = 0; i < rows->count && !err.code; i++) {
        uint32_t group = group_at(rows, i);
        uint32_t number = numbers[event_at(rows, i)];
        if (group != GROUP_NONE && number != 0)
            err = add_pair(tally, group, number);
    }
    return err;
}

static struct err add_session_rows(struct tally *tally, struct exec_task *task,
                                   struct exec_slice *slice, const struct rows *rows)
{
    struct err err = exec_slice_times(task, slice);
    uint32_t u = 0;
    for (uint32_t i = 0; i < rows->count && !err.code; i++) {
        uint32_t group = group_at(rows, i);
        if (group == GROUP_NONE)
            continue;
        uint32_t event = event_at(rows, i);
        while (slice->slice.start[u + 1] <= event)
            u++;
        struct sample sample = { .group = group, .user_row = slice->slice.row[u] };
        sample.time_ms = slice->slice.base_ms + slice->slice.time[event];
        err = add_sample(tally, sample);
    }
    return err;
}

static int compare_sessions(const void *a, const void *b)
{
    const struct sample *left = a;
    const struct sample *right = b;
    if (left->user_row != right->user_row)
        return left->user_row < right->user_row ? -1 : 1;
    return (left->time_ms > right->time_ms) - (left->time_ms < right->time_ms);
}

static struct err count_sessions(struct tally *tally)
{
    uint64_t *last = arena_calloc(tally->arena, tally->cap + (size_t)1, sizeof *last);
    uint64_t session = 0;

    if (!last)
        return exec_no_memory();
    if (tally->sample_count)
        qsort(tally->samples, tally->sample_count, sizeof *tally->samples, compare_sessions);
    for (size_t i = 0; i < tally->sample_count; i++) {
        const struct sample *sample = &tally->samples[i];
        if (i == 0 || sample->user_row != sample[-1].user_row ||
            sample->time_ms - sample[-1].time_ms > SESSION_GAP_MS)
            session++;
        if (last[sample->group] != session)
            tally->groups[sample->group].count++;
        last[sample->group] = session;
    }
    return ok();
}

struct err tally_end(struct tally *tally)
{
    return tally->slot->expr->measure == MEASURE_SESSIONS ? count_sessions(tally) : ok();
}

struct err tally_add(struct tally *tally, struct exec_task *task, struct exec_slice *slice,
                     const struct rows *rows, struct values *values)
{
    if (!reserve_all(tally, rows))
        return exec_no_memory();
    switch (tally->slot->expr->measure) {
    case MEASURE_COUNT:
        return add_count(tally, rows);
    case MEASURE_USERS:
        return add_users(tally, &slice->slice, rows);
    case MEASURE_SESSIONS:
        return add_session_rows(tally, task, slice, rows);
    case MEASURE_DISTINCT:
        return add_distinct(tally, task, slice, rows, values);
    case MEASURE_SUM:
    case MEASURE_AVG:
    case MEASURE_MIN:
    case MEASURE_MAX:
    case MEASURE_PERCENTILE:
        return add_numbers(tally, task, slice, rows);
    }
    return ok();
}

struct err tally_add_known(struct tally *tally, uint32_t group, uint64_t count)
{
    if (!reserve(tally, group))
        return exec_no_memory();
    tally->groups[group].count += count;
    return ok();
}

/* --- bringing together ---------------------------------------------------------------------------------- */

static void merge_group(struct measured *into, const struct measured *from)
{
    if (from->ints && (into->ints == 0 || from->int_min < into->int_min))
        into->int_min = from->int_min;
    if (from->ints && (into->ints == 0 || from->int_max > into->int_max))
        into->int_max = from->int_max;
    if (from->reals && (into->reals == 0 || from->real_min < into->real_min))
        into->real_min = from->real_min;
    if (from->reals && (into->reals == 0 || from->real_max > into->real_max))
        into->real_max = from->real_max;
    if (from->times && (into->times == 0 || from->time_min < into->time_min))
        into->time_min = from->time_min;
    if (from->times && (into->times == 0 || from->time_max > into->time_max))
        into->time_max = from->time_max;
    into->count += from->count;
    into->ints += from->ints;
    into->reals += from->reals;
    into->times += from->times;
    into->int_sum += from->int_sum;
    add_to_sum(into, from->real_sum);
    into->real_rest += from->real_rest;
}

static struct err merge_pairs(struct tally *into, const struct tally *from,
                              const uint32_t *group_of, const uint32_t *value_of)
{
    size_t cursor = 0;
    uint64_t pair;
    uint64_t value;
    while (map64_next(from->pairs, &cursor, &pair, &value)) {
        struct err err = add_pair(into, group_of[pair >> 32], value_of[(uint32_t)pair]);
        if (err.code)
            return err;
    }
    return ok();
}

struct err tally_merge(struct tally *into, const struct tally *from, const uint32_t *group_of,
                       uint32_t groups, const uint32_t *value_of)
{
    enum measure measure = from->slot->expr->measure;
    struct err err = ok();

    for (uint32_t g = 0; g < from->cap && g < groups; g++) {
        if (!reserve(into, group_of[g]))
            return exec_no_memory();
        if (measure != MEASURE_DISTINCT)
            merge_group(&into->groups[group_of[g]], &from->groups[g]);
    }
    if (measure == MEASURE_DISTINCT)
        return merge_pairs(into, from, group_of, value_of);
    for (size_t i = 0; measure == MEASURE_PERCENTILE && i < from->sample_count && !err.code; i++) {
        struct sample sample = from->samples[i];
        sample.group = group_of[sample.group];
        err = add_sample(into, sample);
    }
    return err;
}

static int compare_reals(const void *a, const void *b)
{
    double left = *(const double *)a;
    double right = *(const double *)b;
    return (left > right) - (left < right);
}

struct err tally_finish(struct tally *tally, uint32_t groups)
{
    if (!reserve(tally, groups))
        return exec_no_memory();
    if (tally->slot->expr->measure != MEASURE_PERCENTILE)
        return ok();
    tally->sorted = arena_alloc(tally->arena, (tally->sample_count + 1) * sizeof(double));
    tally->sorted_from = arena_calloc(tally->arena, groups + (size_t)2, sizeof(size_t));
    if (!tally->sorted || !tally->sorted_from)
        return exec_no_memory();
    for (size_t i = 0; i < tally->sample_count; i++)
        tally->sorted_from[tally->samples[i].group + 1]++;
    for (uint32_t g = 0; g < groups; g++)
        tally->sorted_from[g + 1] += tally->sorted_from[g];
    size_t *next = arena_calloc(tally->arena, groups + (size_t)1, sizeof *next);
    if (!next)
        return exec_no_memory();
    for (size_t i = 0; i < tally->sample_count; i++) {
        uint32_t group = tally->samples[i].group;
        tally->sorted[tally->sorted_from[group] + next[group]++] = tally->samples[i].number;
    }
    for (uint32_t g = 0; g < groups; g++)
        if (next[g])
            qsort(tally->sorted + tally->sorted_from[g], next[g], sizeof(double), compare_reals);
    return ok();
}

/* --- cells --------------------------------------------------------------------------------------------------- */

/* Between the two nearest ranks, in proportion. */
static struct table_cell percentile_cell(const struct tally *tally, uint32_t group)
{
    size_t from = tally->sorted_from[group];
    size_t count = tally->sorted_from[group + 1] - from;
    if (count == 0)
        return (struct table_cell){ .kind = CELL_NULL };
    double at = tally->slot->expr->q * (double)(count - 1);
    size_t below = (size_t)at;
    size_t above = below + 1 < count ? below + 1 : below;
    double low = tally->sorted[from + below];
    double high = tally->sorted[from + above];
    double part = at - (double)below;
    return cell_real(part == 0 || low == high ? low : low + (high - low) * part);
}

static double sum_of(const struct measured *group)
{
    return (double)group->int_sum + (group->real_sum + group->real_rest);
}

static struct table_cell sum_cell(const struct measured *group)
{
    if (group->ints + group->reals == 0)
        return (struct table_cell){ .kind = CELL_NULL };
    if (group->reals == 0 && group->int_sum <= INT64_MAX && group->int_sum >= INT64_MIN)
        return cell_int((int64_t)group->int_sum);
    return cell_real(sum_of(group));
}

static struct err extreme_cell(struct exec *exec, struct table *table, const struct measured *group,
                               bool is_min, struct table_cell *out)
{
    int64_t integer = is_min ? group->int_min : group->int_max;
    double real = is_min ? group->real_min : group->real_max;

    *out = (struct table_cell){ .kind = CELL_NULL };
    if (group->ints + group->reals == 0) {
        struct value time = value_time(is_min ? group->time_min : group->time_max);
        return group->times ? cell_value(exec, table, &time, out) : ok();
    }
    bool is_real = group->ints == 0 ||
                   (group->reals > 0 && (is_min ? real < (double)integer : real > (double)integer));
    *out = is_real ? cell_real(real) : cell_int(integer);
    return ok();
}

struct err tally_cell(const struct tally *tally, struct exec *exec, struct table *table,
                      uint32_t group, struct table_cell *out)
{
    const struct measured *measured = &tally->groups[group];
    switch (tally->slot->expr->measure) {
    case MEASURE_COUNT:
    case MEASURE_USERS:
    case MEASURE_SESSIONS:
    case MEASURE_DISTINCT:
        *out = cell_int((int64_t)measured->count);
        break;
    case MEASURE_SUM:
        *out = sum_cell(measured);
        break;
    case MEASURE_AVG:
        *out = measured->ints + measured->reals == 0
                   ? (struct table_cell){ .kind = CELL_NULL }
                   : cell_real(sum_of(measured) / (double)(measured->ints + measured->reals));
        break;
    case MEASURE_MIN:
    case MEASURE_MAX:
        return extreme_cell(exec, table, measured, tally->slot->expr->measure == MEASURE_MIN, out);
    case MEASURE_PERCENTILE:
        *out = percentile_cell(tally, group);
        break;
    }
    return ok();
}

enum table_type slot_type(const struct slot *slot)
{
    bool is_int = !(slot->property.types >> VALUE_REAL & 1);
    bool is_number = slot->property.types & (1u << VALUE_INT | 1u << VALUE_REAL);
    switch (slot->expr->measure) {
    case MEASURE_COUNT:
    case MEASURE_USERS:
    case MEASURE_SESSIONS:
    case MEASURE_DISTINCT:
        return TABLE_INT;
    case MEASURE_SUM:
        return is_int ? TABLE_INT : TABLE_REAL;
    case MEASURE_MIN:
    case MEASURE_MAX:
        if (!is_number && (slot->property.types >> VALUE_TIME & 1))
            return TABLE_TIME;
        return is_int ? TABLE_INT : TABLE_REAL;
    case MEASURE_AVG:
    case MEASURE_PERCENTILE:
        break;
    }
    return TABLE_REAL;
}

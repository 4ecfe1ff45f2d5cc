/*
 * user.c - one user's events, with their properties.
 *
 * In each part that may hold the user the directory says where the order string is; each event type
 * in it leads to a run of rows, whose times and seqs are read. The rows of all parts are sorted
 * (they nearly are) and shown. Properties are read for a window of a run when one of its events is
 * shown, so that the newest fifty events of somebody with a million cost little; when windows have
 * taken enough memory, all are forgotten.
 */
#include "base/bits.h"
#include "store/ints.h"
#include "store/sort.h"
#include "store/store_internal.h"
#include "store/texts.h"

#include <stdlib.h>

enum { WINDOW = 256 };
#define WINDOW_BYTES (UINT64_C(16) << 20)

/* The values of a window of a run. */
struct user_column {
    uint32_t property;
    enum value_type type;
    uint64_t *present; /* bits; NULL: all */
    struct value *values;
};

/* One user's rows of one event type in one part. */
struct user_run {
    struct part *part;
    const struct part_table *table;
    uint32_t user; /* index in the table */
    uint32_t from;
    uint32_t count;
    uint32_t *times;
    uint64_t *seqs;
    uint32_t *origins; /* NULL: the user's own */
    struct user_column *columns;
    uint32_t column_count;
    uint32_t window; /* the columns hold rows window … window + window_count - 1 of the run */
    uint32_t window_count;
};

struct user_row {
    uint32_t run;
    uint32_t index;
};

struct user_month {
    struct arena *arena;
    struct arena *columns; /* of windows */
    struct read_counters *counters;
    const struct user_range *range;
    int64_t base_ms;
    struct user_run *runs;
    uint32_t run_count;
    uint32_t run_cap;
    struct user_row *rows; /* all, run after run */
    uint32_t row_count;
    uint32_t *order;
};

static struct err no_room(void)
{
    return err_new(ERR_NOMEM, "store: a user's events");
}

static uint32_t shared(const struct part *part, enum section_kind kind)
{
    return part_find_section(part, NULL, kind, 0, VALUE_NULL);
}

/* --- finding ----------------------------------------------------------------------- */

/* *count_out 0: the user isn't in the part. */
static struct err find_order(struct part *part, uint32_t row, uint32_t *from_out,
                             uint32_t *count_out)
{
    *count_out = 0;
    struct err err = part_load(part);
    const struct part_head *head = &part->head;
    if (err.code || row < head->first_row || row > head->last_row)
        return err;
    uint32_t index = 0;
    err = part_find_row(part, shared(part, SECTION_DIR_ROWS), head->users, row, &index);
    if (err.code || index == UINT32_MAX)
        return err;
    uint32_t bounds[2] = { 0, head->events };
    err = part_read32(part, shared(part, SECTION_DIR_STARTS), head->users, index,
                      index + 1 < head->users ? 2 : 1, bounds);
    if (err.code)
        return err;
    if (bounds[0] >= bounds[1] || bounds[1] > head->events)
        return err_new(ERR_CORRUPT, "store: starts don't ascend");
    *from_out = bounds[0];
    *count_out = bounds[1] - bounds[0];
    return ok();
}

static struct err add_run(struct user_month *m, struct part *part, const struct part_table *table)
{
    uint32_t index = 0;
    uint32_t bounds[2] = { 0, table->events };
    uint32_t rows = part_find_section(part, table, SECTION_RUN_ROWS, 0, VALUE_NULL);
    uint32_t starts = part_find_section(part, table, SECTION_RUN_STARTS, 0, VALUE_NULL);
    struct err err = part_find_row(part, rows, table->users, m->range->row, &index);
    if (!err.code && index == UINT32_MAX)
        err = err_new(ERR_CORRUPT, "store: the order names a type that the user doesn't have");
    if (!err.code)
        err = part_read32(part, starts, table->users, index, index + 1 < table->users ? 2 : 1,
                          bounds);
    if (err.code)
        return err;
    if (bounds[0] >= bounds[1] || bounds[1] > table->events)
        return err_new(ERR_CORRUPT, "store: starts don't ascend");
    if (m->run_count == m->run_cap) {
        uint32_t cap = m->run_cap ? m->run_cap * 2 : 16;
        struct user_run *grown = arena_alloc(m->arena, cap * sizeof *grown);
        if (!grown)
            return no_room();
        if (m->run_count > 0)
            memcpy(grown, m->runs, m->run_count * sizeof *grown);
        m->runs = grown;
        m->run_cap = cap;
    }
    m->runs[m->run_count++] = (struct user_run){
        .part = part,
        .table = table,
        .user = index,
        .from = bounds[0],
        .count = bounds[1] - bounds[0],
    };
    return ok();
}

/* The event types that the user has in the part. */
static struct err add_part(struct user_month *m, struct part *part)
{
    uint32_t from = 0;
    uint32_t count = 0;
    struct err err = find_order(part, m->range->row, &from, &count);
    if (err.code || count == 0)
        return err;
    uint32_t tables = part->head.table_count;
    uint32_t *codes = malloc((size_t)count * 4);
    uint64_t *seen = calloc(bits_words(tables) + 1, 8);
    if (!codes || !seen)
        err = no_room();
    if (!err.code)
        err = part_read32(part, shared(part, SECTION_ORDER), part->head.events, from, count, codes);
    for (uint32_t i = 0; i < count && !err.code; i++) {
        if (codes[i] >= tables)
            err = err_new(ERR_CORRUPT, "store: a code of the order column");
        else
            bits_add(seen, codes[i]);
    }
    for (uint32_t t = 0; t < tables && !err.code; t++)
        if (bits_has(seen, t))
            err = add_run(m, part, &part->head.tables[t]);
    free(codes);
    free(seen);
    return err;
}

struct err user_count(const struct shard_view *view, uint32_t row, uint64_t *count_out)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < view->month_count; i++) {
        const struct month_view *month = view->months[i];
        struct slice_source *sources = calloc(month->run_count + 2u, sizeof *sources);
        if (!sources)
            return no_room();
        struct err err = ok();
        uint32_t count = slice_sources(month, sources);
        for (uint32_t s = 0; s < count && !err.code; s++) {
            uint32_t from = 0;
            uint32_t found = 0;
            if (row_set_has(sources[s].skip, row))
                continue;
            err = find_order(sources[s].part, row, &from, &found);
            total += found;
        }
        free(sources);
        if (err.code)
            return err;
    }
    *count_out = total;
    return ok();
}

/* --- rows ----------------------------------------------------------------------------- */

static struct err read_run(struct user_month *m, struct user_run *run)
{
    uint32_t events = run->table->events;
    struct part *part = run->part;
    run->times = arena_alloc(m->arena, (size_t)run->count * 4);
    run->seqs = arena_alloc(m->arena, (size_t)run->count * 8);
    if (!run->times || !run->seqs)
        return no_room();
    struct err err =
        part_read32(part, part_find_section(part, run->table, SECTION_TIMES, 0, VALUE_NULL), events,
                    run->from, run->count, run->times);
    if (!err.code)
        err = part_read_seqs(part, run->table, run->from, run->count, run->times, run->seqs);
    uint32_t origins = part_find_section(part, run->table, SECTION_ORIGINS, 0, VALUE_NULL);
    if (err.code || origins == UINT32_MAX)
        return err;
    run->origins = arena_alloc(m->arena, (size_t)run->count * 4);
    if (!run->origins)
        return no_room();
    return part_read32(part, origins, events, run->from, run->count, run->origins);
}

static int compare_rows(const void *ctx, uint32_t a, uint32_t b)
{
    const struct user_month *m = ctx;
    const struct user_run *left = &m->runs[m->rows[a].run];
    const struct user_run *right = &m->runs[m->rows[b].run];
    uint32_t i = m->rows[a].index;
    uint32_t j = m->rows[b].index;
    if (left->times[i] != right->times[j])
        return left->times[i] < right->times[j] ? -1 : 1;
    if (left->seqs[i] != right->seqs[j])
        return left->seqs[i] < right->seqs[j] ? -1 : 1;
    uint32_t left_event = left->table->event;
    uint32_t right_event = right->table->event;
    return (left_event > right_event) - (left_event < right_event);
}

static struct err sort_month(struct user_month *m)
{
    uint64_t total = 0;
    for (uint32_t r = 0; r < m->run_count; r++) {
        struct err err = read_run(m, &m->runs[r]);
        if (err.code)
            return err;
        total += m->runs[r].count;
    }
    if (total > UINT32_MAX)
        return no_room();
    m->counters->rows += total;
    m->rows = arena_alloc(m->arena, total * sizeof *m->rows);
    m->order = arena_alloc(m->arena, total * 4);
    uint32_t *spare = arena_alloc(m->arena, total * 4);
    if (!m->rows || !m->order || !spare)
        return no_room();
    for (uint32_t r = 0; r < m->run_count; r++)
        for (uint32_t i = 0; i < m->runs[r].count; i++) {
            m->order[m->row_count] = m->row_count;
            m->rows[m->row_count++] = (struct user_row){ .run = r, .index = i };
        }
    sort_numbers(m->order, spare, m->row_count, compare_rows, m);
    return ok();
}

/* --- properties -------------------------------------------------------------------------- */

/* How many of the first `count` bits are set. */
static uint32_t rank(const uint8_t *words, uint32_t count)
{
    uint32_t total = 0;
    uint32_t w = 0;
    for (; w < count / 64; w++)
        total += (uint32_t)__builtin_popcountll(load_le64(words + 8 * (size_t)w));
    if (count % 64)
        total += (uint32_t)__builtin_popcountll(load_le64(words + 8 * (size_t)w) &
                                                ((UINT64_C(1) << (count % 64)) - 1));
    return total;
}

/* The window's part of a presence bitmap; which values of the column are its. */
static struct err read_presence(struct user_month *m, const struct user_run *run, uint32_t section,
                                struct user_column *column, uint32_t *first_out,
                                uint32_t *count_out, uint32_t *total_out)
{
    struct part_view view;
    uint32_t events = run->table->events;
    uint32_t from = run->from + run->window;
    struct err err = part_open_section(run->part, section, &view);
    if (err.code)
        return err;
    uint64_t *bits = arena_calloc(m->columns, bits_words(run->window_count) + 1, 8);
    if (!bits) {
        err = no_room();
    } else if (view.bytes.len != bits_words(events) * 8) {
        err = err_new(ERR_CORRUPT, "store: a presence bitmap");
    } else {
        *first_out = rank(view.bytes.ptr, from);
        *total_out = rank(view.bytes.ptr, events);
        for (uint32_t i = 0; i < run->window_count; i++)
            if (view.bytes.ptr[(from + i) / 8] >> ((from + i) % 8) & 1)
                bits_add(bits, i);
        *count_out = (uint32_t)bits_count(bits, bits_words(run->window_count));
        column->present = bits;
    }
    part_close_section(run->part, &view);
    return err;
}

struct text_reader {
    struct part_view view;
    struct texts texts;
};

static struct err open_texts(struct part *part, uint32_t section, struct text_reader *out)
{
    if (section == UINT32_MAX)
        return err_new(ERR_CORRUPT, "store: a section is missing");
    struct err err = part_open_section(part, section, &out->view);
    if (err.code)
        return err;
    err = texts_open(out->view.bytes, &out->texts);
    if (err.code)
        part_close_section(part, &out->view);
    return err;
}

static struct err copy_list(struct bytes section, struct texts *texts, uint64_t code,
                            struct arena *arena, struct value *out)
{
    struct reader r = reader_of(section);
    bool is_plain = reader_le32(&r) == SECTION_PLAIN;
    uint32_t lists = reader_le32(&r);
    uint32_t item_count = reader_le32(&r);
    struct bytes ends = reader_take(&r, (size_t)lists * 4);
    struct bytes items = reader_take(&r, (size_t)item_count * 4);
    if (!is_plain || r.is_failed || code >= lists)
        return err_new(ERR_CORRUPT, "store: lists");
    uint32_t from = code ? load_le32(ends.ptr + 4 * (code - 1)) : 0;
    uint32_t end = load_le32(ends.ptr + 4 * code);
    if (from > end || end > item_count)
        return err_new(ERR_CORRUPT, "store: lists");
    struct bytes *copies = arena_alloc(arena, (end - from) * sizeof *copies);
    if (!copies)
        return no_room();
    for (uint32_t i = from; i < end; i++) {
        uint32_t text = load_le32(items.ptr + 4 * (size_t)i);
        struct err err = texts_copy(texts, text, arena, &copies[i - from]);
        if (err.code)
            return err;
    }
    *out = (struct value){ .type = VALUE_LIST, .count = end - from, .items = copies };
    return ok();
}

static struct err fill_texts(struct user_month *m, const struct user_run *run,
                             const struct user_column *column, const uint32_t *codes,
                             uint32_t count, struct value *values)
{
    struct text_reader texts;
    struct part_view lists = { 0 };
    uint32_t section =
        part_find_section(run->part, run->table, SECTION_LISTS, column->property, column->type);
    struct err err = open_texts(
        run->part,
        part_find_section(run->part, run->table, SECTION_TEXTS, column->property, column->type),
        &texts);
    if (err.code)
        return err;
    if (column->type == VALUE_LIST)
        err = section == UINT32_MAX ? err_new(ERR_CORRUPT, "store: a section is missing")
                                    : part_open_section(run->part, section, &lists);
    for (uint32_t i = 0; i < count && !err.code; i++) {
        if (column->type == VALUE_LIST) {
            err = copy_list(lists.bytes, &texts.texts, codes[i], m->columns, &values[i]);
            continue;
        }
        values[i].type = VALUE_STRING;
        err = texts_copy(&texts.texts, codes[i], m->columns, &values[i].string);
    }
    part_close_section(run->part, &lists);
    part_close_section(run->part, &texts.view);
    return err;
}

static struct value number_value(enum value_type type, uint64_t bits)
{
    struct value value = { .type = type };
    if (type == VALUE_BOOL)
        value.boolean = bits != 0;
    else if (type == VALUE_REAL)
        memcpy(&value.real, &bits, sizeof bits);
    else
        value.integer = (int64_t)bits;
    return value;
}

/* `values` holds the present ones; the section holds `total`, those from `first` on are ours. */
static struct err fill_values(struct user_month *m, const struct user_run *run, uint32_t section,
                              const struct user_column *column, uint32_t first, uint32_t count,
                              uint32_t total)
{
    bool has_texts = column->type == VALUE_STRING || column->type == VALUE_LIST;
    uint64_t *raw = arena_alloc(m->columns, (size_t)count * 8);
    if (!raw)
        return no_room();
    if (has_texts) {
        uint32_t *codes = (uint32_t *)raw;
        struct err err = part_read_some(run->part, run->table, section, 4, total, run->user, first,
                                        count, codes);
        return err.code ? err : fill_texts(m, run, column, codes, count, column->values);
    }
    struct err err =
        part_read_some(run->part, run->table, section, 8, total, run->user, first, count, raw);
    for (uint32_t i = 0; i < count && !err.code; i++)
        column->values[i] = number_value(column->type, raw[i]);
    return err;
}

static struct err read_column(struct user_month *m, const struct user_run *run, uint32_t section,
                              struct user_column *column)
{
    uint32_t first = run->from + run->window;
    uint32_t count = run->window_count;
    uint32_t total = run->table->events;
    uint32_t presence =
        part_find_section(run->part, run->table, SECTION_PRESENCE, column->property, column->type);
    struct err err = ok();
    if (presence != UINT32_MAX)
        err = read_presence(m, run, presence, column, &first, &count, &total);
    if (err.code)
        return err;
    column->values = arena_calloc(m->columns, count, sizeof *column->values);
    if (!column->values)
        return no_room();
    if (count == 0)
        return ok();
    err = fill_values(m, run, section, column, first, count, total);
    if (err.code || !column->present)
        return err;
    /* From the present ones to one for each row. */
    struct value *dense = arena_calloc(m->columns, run->window_count, sizeof *dense);
    if (!dense)
        return no_room();
    uint32_t next = 0;
    for (uint32_t i = 0; i < run->window_count; i++)
        if (bits_has(column->present, i))
            dense[i] = column->values[next++];
    column->values = dense;
    return ok();
}

static void forget_windows(struct user_month *m)
{
    for (uint32_t r = 0; r < m->run_count; r++)
        m->runs[r].window_count = 0;
    arena_reset(m->columns);
}

static struct err read_window(struct user_month *m, struct user_run *run)
{
    const struct part_table *table = run->table;
    run->column_count = 0;
    run->columns = arena_calloc(m->columns, table->section_count, sizeof *run->columns);
    if (!run->columns)
        return no_room();
    for (uint32_t s = table->section; s < table->section + table->section_count; s++) {
        const struct part_section *section = &run->part->head.sections[s];
        if (section->kind != SECTION_VALUES)
            continue;
        struct user_column *column = &run->columns[run->column_count];
        column->property = section->property;
        column->type = section->type;
        struct err err = read_column(m, run, s, column);
        if (err.code)
            return err;
        run->column_count++;
    }
    return ok();
}

/* Makes the window hold this row of the run. */
static struct err move_window(struct user_month *m, struct user_run *run, uint32_t index)
{
    if (run->window_count > 0 && index >= run->window && index - run->window < run->window_count)
        return ok();
    if (m->columns->used_bytes > WINDOW_BYTES)
        forget_windows(m);
    run->window = index / WINDOW * WINDOW;
    run->window_count = run->count - run->window < WINDOW ? run->count - run->window : WINDOW;
    struct err err = read_window(m, run);
    if (err.code)
        run->window_count = 0;
    return err;
}

/* --- showing -------------------------------------------------------------------------------- */

static struct err show(struct user_month *m, uint32_t number, store_user_visit_fn *visit, void *ctx,
                       bool *goes_on_out)
{
    const struct user_row *row = &m->rows[number];
    struct user_run *run = &m->runs[row->run];
    int64_t time_ms = m->base_ms + run->times[row->index];
    if (time_ms < m->range->from_ms || time_ms >= m->range->to_ms)
        return ok();
    struct err err = move_window(m, run, row->index);
    if (err.code)
        return err;
    uint32_t at = row->index - run->window;
    struct store_property *properties =
        arena_alloc(m->columns, run->column_count * sizeof *properties);
    if (!properties)
        return no_room();
    uint32_t count = 0;
    for (uint32_t c = 0; c < run->column_count; c++) {
        const struct user_column *column = &run->columns[c];
        if (column->present && !bits_has(column->present, at))
            continue;
        properties[count++] = (struct store_property){
            .property = column->property,
            .value = column->values[at],
        };
    }
    struct store_user_event event = {
        .event = run->table->event,
        .time_ms = time_ms,
        .seq = run->seqs[row->index],
        .origin = run->origins ? run->origins[row->index]
                               : m->range->row * m->range->shards + m->range->shard,
        .properties = properties,
        .property_count = count,
    };
    *goes_on_out = visit(ctx, &event);
    return ok();
}

static bool is_same_moment(const struct user_month *m, uint32_t a, uint32_t b)
{
    const struct user_row *left = &m->rows[m->order[a]];
    const struct user_row *right = &m->rows[m->order[b]];
    const struct user_run *left_run = &m->runs[left->run];
    const struct user_run *right_run = &m->runs[right->run];
    return left_run->times[left->index] == right_run->times[right->index] &&
           left_run->seqs[left->index] == right_run->seqs[right->index];
}

/* Backwards, the items of an event still come right after it. */
static struct err show_month(struct user_month *m, store_user_visit_fn *visit, void *ctx,
                             bool *goes_on_out)
{
    struct err err = ok();
    uint32_t end = m->row_count;
    if (!m->range->is_backwards) {
        for (uint32_t i = 0; i < end && *goes_on_out && !err.code; i++)
            err = show(m, m->order[i], visit, ctx, goes_on_out);
        return err;
    }
    while (end > 0 && *goes_on_out && !err.code) {
        uint32_t first = end - 1;
        while (first > 0 && is_same_moment(m, first - 1, first))
            first--;
        for (uint32_t i = first; i < end && *goes_on_out && !err.code; i++)
            err = show(m, m->order[i], visit, ctx, goes_on_out);
        end = first;
    }
    return err;
}

static struct err visit_month(const struct month_view *month, const struct user_range *range,
                              struct read_counters *counters, struct arena *arena,
                              struct arena *columns, store_user_visit_fn *visit, void *ctx,
                              bool *goes_on_out)
{
    struct user_month m = {
        .arena = arena,
        .columns = columns,
        .counters = counters,
        .range = range,
        .base_ms = civil_month_start_ms(month->month),
    };
    struct slice_source *sources = arena_calloc(arena, month->run_count + 2u, sizeof *sources);
    if (!sources)
        return no_room();
    uint32_t count = slice_sources(month, sources);
    for (uint32_t s = 0; s < count; s++) {
        if (row_set_has(sources[s].skip, range->row))
            continue;
        struct err err = add_part(&m, sources[s].part);
        if (err.code)
            return err;
    }
    if (m.run_count == 0)
        return ok();
    struct err err = sort_month(&m);
    return err.code ? err : show_month(&m, visit, ctx, goes_on_out);
}

struct err user_visit(const struct shard_view *view, const struct user_range *range,
                      struct read_counters *counters, const struct arena *limit,
                      store_user_visit_fn *visit, void *ctx)
{
    struct arena arena;
    struct arena columns;
    struct err err = ok();
    bool goes_on = true;
    arena_init(&arena, limit->limit_bytes);
    arena_init(&columns, limit->limit_bytes);
    for (uint32_t i = 0; i < view->month_count && goes_on && !err.code; i++) {
        const struct month_view *month =
            view->months[range->is_backwards ? view->month_count - 1 - i : i];
        if (civil_month_start_ms(month->month) >= range->to_ms ||
            civil_month_start_ms(month->month + 1) <= range->from_ms)
            continue;
        err = visit_month(month, range, counters, &arena, &columns, visit, ctx, &goes_on);
        arena_reset(&arena);
        arena_reset(&columns);
    }
    arena_done(&columns);
    arena_done(&arena);
    return err;
}

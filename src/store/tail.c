/*
 * tail.c - appending.
 *
 * Each event type has a table of growing arrays; each (property, type) of it a column of row indexes
 * and values, so that a property costs nothing where it's absent. Texts are interned: sealing then
 * sorts each once. Properties of one type mostly come in the same order, so the column of one is
 * first looked for behind that of the one before.
 */
#include "store/tail.h"

#include "store/tail_internal.h"

#include <stdlib.h>

enum { TEXTS_MAX = 1 << 30 };

static struct err no_memory(void)
{
    return err_new(ERR_NOMEM, "store: append");
}

struct err tail_new(struct tail **out)
{
    struct tail *tail = calloc(1, sizeof *tail);
    if (!tail)
        return no_memory();
    struct err err = intern_new(TEXTS_MAX, &tail->texts);
    if (!err.code)
        err = intern_new(TEXTS_MAX, &tail->lists);
    if (err.code) {
        tail_free(tail);
        return err;
    }
    *out = tail;
    return ok();
}

static void free_table(struct tail_table *table)
{
    for (uint32_t c = 0; c < table->column_count; c++) {
        free(table->columns[c].index);
        free(table->columns[c].value);
    }
    free(table->columns);
    free(table->time);
    free(table->seq);
    free(table->origin);
}

void tail_free(struct tail *tail)
{
    if (!tail)
        return;
    for (uint32_t t = 0; t < tail->table_count; t++)
        free_table(&tail->tables[t]);
    free(tail->tables);
    free(tail->table_of);
    free(tail->entries);
    intern_free(tail->texts);
    intern_free(tail->lists);
    free(tail);
}

uint32_t tail_count(const struct tail *tail)
{
    return tail->count;
}

size_t tail_text_bytes(const struct tail *tail)
{
    return intern_size_bytes(tail->texts) + intern_size_bytes(tail->lists);
}

/* --- room ---------------------------------------------------------------------------- */

static bool resize(void *items_in_out, uint32_t cap, size_t size)
{
    void *items;
    memcpy(&items, items_in_out, sizeof items);
    void *grown = realloc(items, cap * size);
    if (!grown)
        return false;
    memcpy(items_in_out, &grown, sizeof grown);
    return true;
}

static bool reserve_entry(struct tail *tail)
{
    if (tail->count < tail->cap)
        return true;
    uint32_t cap = tail->cap ? tail->cap * 2 : 1024;
    if (!resize(&tail->entries, cap, sizeof *tail->entries))
        return false;
    tail->cap = cap;
    return true;
}

static bool reserve_event(struct tail *tail, uint32_t event)
{
    if (event < tail->event_cap)
        return true;
    uint32_t cap = tail->event_cap ? tail->event_cap : 64;
    while (cap <= event)
        cap *= 2;
    if (!resize(&tail->table_of, cap, sizeof *tail->table_of))
        return false;
    memset(tail->table_of + tail->event_cap, 0xff, (cap - tail->event_cap) * sizeof(uint32_t));
    tail->event_cap = cap;
    return true;
}

static bool reserve_row(struct tail_table *table)
{
    if (table->count < table->cap)
        return true;
    uint32_t cap = table->cap ? table->cap * 2 : 64;
    if (!resize(&table->time, cap, sizeof *table->time) ||
        !resize(&table->seq, cap, sizeof *table->seq) ||
        !resize(&table->origin, cap, sizeof *table->origin))
        return false;
    table->cap = cap;
    return true;
}

/* The table's number, made when it's missing. */
static struct err find_table(struct tail *tail, uint32_t event, uint32_t *table_out)
{
    if (event >= TAIL_EVENT_TYPES_MAX)
        return err_new(ERR_INVALID, "store: number of an event type");
    if (!reserve_event(tail, event))
        return no_memory();
    if (tail->table_of[event] == UINT32_MAX) {
        if (tail->table_count == tail->table_cap) {
            uint32_t cap = tail->table_cap ? tail->table_cap * 2 : 32;
            if (!resize(&tail->tables, cap, sizeof *tail->tables))
                return no_memory();
            tail->table_cap = cap;
        }
        tail->tables[tail->table_count] = (struct tail_table){ .event = event };
        tail->table_of[event] = tail->table_count++;
    }
    *table_out = tail->table_of[event];
    return ok();
}

/* *at: where to begin looking; where it was found, plus one. */
static struct tail_column *find_column(struct tail_table *table, uint32_t property,
                                       enum value_type type, uint32_t *at)
{
    for (uint32_t k = 0; k < table->column_count; k++) {
        uint32_t c = *at < table->column_count ? *at : 0;
        *at = c + 1;
        if (table->columns[c].property == property && table->columns[c].type == type)
            return &table->columns[c];
    }
    if (table->column_count == table->column_cap) {
        uint32_t cap = table->column_cap ? table->column_cap * 2 : 8;
        if (!resize(&table->columns, cap, sizeof *table->columns))
            return NULL;
        table->column_cap = cap;
    }
    table->columns[table->column_count++] =
        (struct tail_column){ .property = property, .type = type };
    *at = table->column_count;
    return &table->columns[table->column_count - 1];
}

/* --- values ---------------------------------------------------------------------------- */

static struct err list_number(struct tail *tail, const struct value *value, uint64_t *out)
{
    uint32_t few[64];
    uint32_t *texts = few;
    uint32_t number = 0;
    if (value->count > sizeof few / sizeof *few) {
        texts = malloc(value->count * sizeof *texts);
        if (!texts)
            return no_memory();
    }
    struct err err = ok();
    for (uint32_t i = 0; i < value->count && !err.code; i++)
        err = intern_put(tail->texts, value->items[i], &texts[i], NULL);
    if (!err.code)
        err = intern_put(tail->lists, bytes_of(texts, value->count * sizeof *texts), &number, NULL);
    if (texts != few)
        free(texts);
    *out = number;
    return err;
}

static struct err value_bits(struct tail *tail, const struct value *value, uint64_t *out)
{
    uint32_t number = 0;
    struct err err = ok();
    switch (value->type) {
    case VALUE_BOOL:
        *out = value->boolean;
        break;
    case VALUE_REAL:
        memcpy(out, &value->real, sizeof *out);
        break;
    case VALUE_INT:
        *out = (uint64_t)value->integer;
        break;
    case VALUE_TIME:
        *out = (uint64_t)value->time_ms;
        break;
    case VALUE_STRING:
        err = intern_put(tail->texts, value->string, &number, NULL);
        *out = number;
        break;
    case VALUE_LIST:
        err = list_number(tail, value, out);
        break;
    default:
        err = err_new(ERR_INVALID, "store: type of a value");
    }
    return err;
}

static struct err put_value(struct tail *tail, struct tail_table *table, uint32_t property,
                            const struct value *value, uint32_t *at)
{
    struct tail_column *column = find_column(table, property, value->type, at);
    if (!column)
        return no_memory();
    if (column->count == column->cap) {
        uint32_t cap = column->cap ? column->cap * 2 : 64;
        if (!resize(&column->index, cap, sizeof *column->index) ||
            !resize(&column->value, cap, sizeof *column->value))
            return no_memory();
        column->cap = cap;
    }
    uint64_t bits = 0;
    struct err err = value_bits(tail, value, &bits);
    if (err.code)
        return err;
    bool is_again = column->count > 0 && column->index[column->count - 1] == table->count;
    uint32_t to = is_again ? column->count - 1 : column->count++;
    column->index[to] = table->count;
    column->value[to] = bits;
    return ok();
}

/* Takes back what the row that isn't finished has put. */
static void drop_values(struct tail_table *table)
{
    for (uint32_t c = 0; c < table->column_count; c++) {
        struct tail_column *column = &table->columns[c];
        if (column->count > 0 && column->index[column->count - 1] == table->count)
            column->count--;
    }
}

static void find_month(struct tail *tail, int64_t time_ms)
{
    if (time_ms >= tail->month_start && time_ms < tail->month_end)
        return;
    tail->month = civil_month_of_ms(time_ms);
    tail->month_start = civil_month_start_ms(tail->month);
    tail->month_end = civil_month_start_ms(tail->month + 1);
}

struct err tail_append(struct tail *tail, uint32_t row, uint32_t origin,
                       const struct store_event *event, bool is_foreign)
{
    uint32_t number = 0;
    if (event->time_ms < TIME_MS_MIN || event->time_ms > TIME_MS_MAX)
        return err_new(ERR_INVALID, "store: time of an event");
    struct err err = find_table(tail, event->event, &number);
    if (err.code)
        return err;
    struct tail_table *table = &tail->tables[number];
    if (!reserve_entry(tail) || !reserve_row(table))
        return no_memory();
    uint32_t at = 0;
    for (uint32_t i = 0; i < event->property_count; i++) {
        const struct store_property *property = &event->properties[i];
        if (property->value.type == VALUE_NULL)
            continue;
        err = put_value(tail, table, property->property, &property->value, &at);
        if (err.code) {
            drop_values(table);
            return err;
        }
    }
    find_month(tail, event->time_ms);
    table->time[table->count] = event->time_ms;
    table->seq[table->count] = event->seq;
    table->origin[table->count] = origin;
    table->has_foreign |= is_foreign;
    tail->entries[tail->count++] = (struct tail_entry){
        .row = row,
        .table = number,
        .index = table->count++,
        .month = tail->month,
    };
    return ok();
}

/* --- reading one user -------------------------------------------------------------------- */

uint32_t tail_count_user(const struct tail *tail, uint32_t row)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < tail->count; i++)
        count += tail->entries[i].row == row;
    return count;
}

/* Where the column has the row; UINT32_MAX: it hasn't. */
static uint32_t find_index(const struct tail_column *column, uint32_t index)
{
    uint32_t low = 0;
    uint32_t high = column->count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (column->index[middle] < index)
            low = middle + 1;
        else
            high = middle;
    }
    return low < column->count && column->index[low] == index ? low : UINT32_MAX;
}

static struct err load_value(const struct tail *tail, const struct tail_column *column, uint32_t at,
                             struct arena *arena, struct value *out)
{
    uint64_t bits = column->value[at];
    struct value value = { .type = column->type };
    struct bytes list;
    struct bytes *items;
    switch (column->type) {
    case VALUE_BOOL:
        value.boolean = bits != 0;
        break;
    case VALUE_REAL:
        memcpy(&value.real, &bits, sizeof bits);
        break;
    case VALUE_STRING:
        value.string = arena_copy(arena, intern_get(tail->texts, (uint32_t)bits));
        if (!value.string.ptr)
            return no_memory();
        break;
    case VALUE_LIST:
        list = intern_get(tail->lists, (uint32_t)bits);
        value.count = (uint32_t)(list.len / 4);
        items = arena_alloc(arena, value.count * sizeof *items);
        if (!items)
            return no_memory();
        for (uint32_t i = 0; i < value.count; i++) {
            items[i] = arena_copy(arena, intern_get(tail->texts, load_le32(list.ptr + 4 * i)));
            if (!items[i].ptr)
                return no_memory();
        }
        value.items = items;
        break;
    default:
        value.integer = (int64_t)bits;
    }
    *out = value;
    return ok();
}

static struct err load_row(const struct tail *tail, const struct tail_entry *entry,
                           struct arena *arena, struct tail_row *out)
{
    const struct tail_table *table = &tail->tables[entry->table];
    struct store_property *properties =
        arena_alloc(arena, table->column_count * sizeof *properties);
    if (!properties)
        return no_memory();
    uint32_t count = 0;
    for (uint32_t c = 0; c < table->column_count; c++) {
        uint32_t at = find_index(&table->columns[c], entry->index);
        if (at == UINT32_MAX)
            continue;
        properties[count].property = table->columns[c].property;
        struct err err = load_value(tail, &table->columns[c], at, arena, &properties[count].value);
        if (err.code)
            return err;
        count++;
    }
    *out = (struct tail_row){
        .origin = table->origin[entry->index],
        .event = { .event = table->event,
                   .time_ms = table->time[entry->index],
                   .seq = table->seq[entry->index],
                   .properties = properties,
                   .property_count = count },
    };
    return ok();
}

struct err tail_user(const struct tail *tail, uint32_t row, struct arena *arena,
                     struct tail_row **rows_out, uint32_t *count_out)
{
    uint32_t count = tail_count_user(tail, row);
    struct tail_row *rows = arena_alloc(arena, count * sizeof *rows);
    if (!rows)
        return no_memory();
    uint32_t at = 0;
    for (uint32_t i = 0; i < tail->count; i++) {
        if (tail->entries[i].row != row)
            continue;
        struct err err = load_row(tail, &tail->entries[i], arena, &rows[at++]);
        if (err.code)
            return err;
    }
    *rows_out = rows;
    *count_out = count;
    return ok();
}

/* table.c - answers: filled row by row, written as JSON, CSV or text. */
#include "codec/csv.h"
#include "codec/jsonw.h"
#include "query/exec.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* --- filling --------------------------------------------------------------------------- */

struct err exec_table_init(struct exec *exec, struct table *table, const char *report,
                           uint32_t column_count)
{
    *table = (struct table){ .column_count = column_count };
    arena_init(&table->arena, exec->memory_bytes);
    table->report = arena_copy(&table->arena, bytes_from(report));
    table->columns = arena_calloc(&table->arena, column_count, sizeof *table->columns);
    return table->report.ptr && table->columns ? ok() : exec_no_memory();
}

struct err exec_table_column(struct table *table, uint32_t column, struct bytes name,
                             enum table_type type)
{
    struct bytes own = arena_copy(&table->arena, name);
    if (!own.ptr)
        return exec_no_memory();
    table->columns[column] = (struct table_column){ .name = own, .type = type };
    return ok();
}

enum table_type exec_key_type(const struct exec *exec, const struct exec_key *key)
{
    uint32_t types = key->property.types;
    const struct catalog_column *columns;

    if (key->kind == KEY_TIME)
        return key->unit >= UNIT_DAY ? TABLE_DATE : TABLE_TIME;
    if (key->kind == KEY_EVENT)
        return TABLE_STRING;
    if (key->kind == KEY_PROFILE) {
        uint32_t count = catalog_profile_columns(exec->catalog, &columns);
        for (uint32_t i = 0; i < count; i++)
            if (columns[i].property == key->profile_property)
                types = columns[i].types;
    }
    switch (types) {
    case 1u << VALUE_BOOL:
        return TABLE_BOOL;
    case 1u << VALUE_INT:
        return TABLE_INT;
    case 1u << VALUE_REAL:
    case 1u << VALUE_REAL | 1u << VALUE_INT:
        return TABLE_REAL;
    case 1u << VALUE_STRING:
        return TABLE_STRING;
    case 1u << VALUE_TIME:
        return TABLE_TIME;
    case 1u << VALUE_LIST:
        return TABLE_LIST;
    default:
        return TABLE_ANY;
    }
}

/* Rows grow by doubling; a power of two is when there's no room. */
struct err exec_table_row(struct table *table, struct table_cell **cells_out)
{
    uint64_t rows = table->row_count;
    size_t width = table->column_count * sizeof *table->cells;

    if (rows == 0 || (rows >= 16 && (rows & (rows - 1)) == 0)) {
        uint64_t cap = rows == 0 ? 16 : rows * 2;
        struct table_cell *grown = arena_alloc(&table->arena, cap * width);
        if (!grown)
            return exec_no_memory();
        if (rows > 0)
            memcpy(grown, table->cells, rows * width);
        table->cells = grown;
    }
    struct table_cell *cells = table->cells + rows * table->column_count;
    for (uint32_t i = 0; i < table->column_count; i++)
        cells[i] = (struct table_cell){ .kind = CELL_NULL };
    table->row_count++;
    *cells_out = cells;
    return ok();
}

struct err exec_table_done(struct exec *exec, struct table *table)
{
    struct store_read_stats stats = exec->ops->read_stats(exec->snapshot);

    table->meta.position = exec->source->position;
    table->meta.rows_read = stats.rows - exec->rows_before;
    table->meta.bytes_read = stats.bytes - exec->bytes_before;
    if (exec->options->clock)
        table->meta.elapsed_ms =
            (double)(clock_mono_ns(exec->options->clock) - exec->started_ns) / 1e6;
    table->meta.time_zone = arena_copy(&table->arena, bytes_from(zone_name(exec->zone)));
    table->meta.is_open = exec->is_open;
    table->meta.warnings =
        arena_calloc(&table->arena, exec->warning_count, sizeof *table->meta.warnings);
    if (!table->meta.time_zone.ptr || !table->meta.warnings)
        return exec_no_memory();
    for (uint32_t i = 0; i < exec->warning_count; i++) {
        table->meta.warnings[i] = arena_copy(&table->arena, exec->warnings[i]);
        if (!table->meta.warnings[i].ptr)
            return exec_no_memory();
    }
    table->meta.warning_count = exec->warning_count;
    return ok();
}

void table_done(struct table *table)
{
    if (table)
        arena_done(&table->arena);
}

/* --- cells --------------------------------------------------------------------------------- */

struct table_cell cell_int(int64_t integer)
{
    return (struct table_cell){ .kind = CELL_INT, .integer = integer };
}

struct table_cell cell_real(double real)
{
    if (!isfinite(real))
        return (struct table_cell){ .kind = CELL_NULL };
    return (struct table_cell){ .kind = CELL_REAL, .real = real };
}

struct err cell_text(struct table *table, struct bytes text, struct table_cell *out)
{
    struct bytes own = arena_copy(&table->arena, text);
    if (!own.ptr)
        return exec_no_memory();
    *out = (struct table_cell){ .kind = CELL_STRING, .text = own };
    return ok();
}

static struct err cell_buf(struct table *table, const struct buf *buf, struct table_cell *out)
{
    if (buf->is_failed)
        return exec_no_memory();
    return cell_text(table, buf_bytes(buf), out);
}

static struct err cell_time(struct exec *exec, struct table *table, int64_t time_ms, bool is_day,
                            struct table_cell *out)
{
    struct buf buf;
    buf_init(&buf, 256);
    if (is_day)
        calendar_put_day(&buf, zone_day(exec->zone, time_ms));
    else
        calendar_put_local(&buf, exec->zone, time_ms);
    struct err err = cell_buf(table, &buf, out);
    buf_done(&buf);
    out->kind = err.code ? CELL_NULL : CELL_TIME_TEXT;
    return err;
}

struct err cell_value(struct exec *exec, struct table *table, const struct value *value,
                      struct table_cell *out)
{
    struct buf buf;
    struct err err = ok();

    *out = (struct table_cell){ .kind = CELL_NULL };
    switch (value->type) {
    case VALUE_NULL:
        break;
    case VALUE_TYPES:
        return cell_text(table, BYTES("(other)"), out);
    case VALUE_BOOL:
        *out = (struct table_cell){ .kind = CELL_BOOL, .boolean = value->boolean };
        break;
    case VALUE_INT:
        *out = cell_int(value->integer);
        break;
    case VALUE_REAL:
        *out = cell_real(value->real);
        break;
    case VALUE_STRING:
        return cell_text(table, value->string, out);
    case VALUE_TIME:
        return cell_time(exec, table, value->time_ms, false, out);
    case VALUE_LIST: {
        buf_init(&buf, 1 << 20);
        struct jsonw w = jsonw_of(&buf);
        jsonw_value(&w, value);
        err = cell_buf(table, &buf, out);
        buf_done(&buf);
        out->kind = err.code ? CELL_NULL : CELL_JSON;
        break;
    }
    }
    return err;
}

struct err cell_key(struct exec *exec, struct table *table, const struct exec_key *key,
                    const struct value *value, struct table_cell *out)
{
    if (key->kind == KEY_TIME && value->type == VALUE_TIME)
        return cell_time(exec, table, value->time_ms, key->unit >= UNIT_DAY, out);
    return cell_value(exec, table, value, out);
}

/* --- JSON ------------------------------------------------------------------------------------ */

static const char *type_name(enum table_type type)
{
    static const char *const NAMES[] = { "int",  "real", "string", "bool", "time",
                                         "date", "list", "object", "any" };
    return NAMES[type];
}

static void put_cell(struct jsonw *w, const struct table_cell *cell)
{
    switch (cell->kind) {
    case CELL_NULL:
        jsonw_null(w);
        break;
    case CELL_INT:
        jsonw_int(w, cell->integer);
        break;
    case CELL_REAL:
        jsonw_real(w, cell->real);
        break;
    case CELL_BOOL:
        jsonw_bool(w, cell->boolean);
        break;
    case CELL_STRING:
    case CELL_TIME_TEXT:
        jsonw_string(w, cell->text);
        break;
    case CELL_JSON:
        jsonw_raw(w, cell->text);
        break;
    }
}

static void put_meta(struct jsonw *w, const struct table *table)
{
    jsonw_key(w, "meta");
    jsonw_object(w);
    jsonw_key(w, "position");
    jsonw_uint(w, table->meta.position);
    jsonw_key(w, "rows_read");
    jsonw_uint(w, table->meta.rows_read);
    jsonw_key(w, "bytes_read");
    jsonw_uint(w, table->meta.bytes_read);
    jsonw_key(w, "elapsed_ms");
    jsonw_real(w, round(table->meta.elapsed_ms * 1000) / 1000);
    jsonw_key(w, "time_zone");
    jsonw_string(w, table->meta.time_zone);
    jsonw_key(w, "open");
    jsonw_bool(w, table->meta.is_open);
    jsonw_key(w, "warnings");
    jsonw_array(w);
    for (uint32_t i = 0; i < table->meta.warning_count; i++)
        jsonw_string(w, table->meta.warnings[i]);
    jsonw_end_array(w);
    jsonw_end_object(w);
}

void table_put_json(const struct table *table, struct buf *to)
{
    struct jsonw w = jsonw_of(to);

    jsonw_object(&w);
    jsonw_key(&w, "report");
    jsonw_string(&w, table->report);
    jsonw_key(&w, "columns");
    jsonw_array(&w);
    for (uint32_t i = 0; i < table->column_count; i++) {
        jsonw_object(&w);
        jsonw_key(&w, "name");
        jsonw_string(&w, table->columns[i].name);
        jsonw_key(&w, "type");
        jsonw_text(&w, type_name(table->columns[i].type));
        jsonw_end_object(&w);
    }
    jsonw_end_array(&w);
    jsonw_key(&w, "rows");
    jsonw_array(&w);
    for (uint64_t row = 0; row < table->row_count; row++) {
        jsonw_array(&w);
        for (uint32_t i = 0; i < table->column_count; i++)
            put_cell(&w, &table->cells[row * table->column_count + i]);
        jsonw_end_array(&w);
    }
    jsonw_end_array(&w);
    put_meta(&w, table);
    jsonw_end_object(&w);
}

/* --- CSV and text --------------------------------------------------------------------------------- */

void table_put_cell(struct buf *to, const struct table_cell *cell)
{
    char text[32];
    switch (cell->kind) {
    case CELL_NULL:
        break;
    case CELL_INT:
        buf_printf(to, "%lld", (long long)cell->integer);
        break;
    case CELL_REAL:
        buf_put(to, bytes_of(text, real_to_text(cell->real, text)));
        break;
    case CELL_BOOL:
        buf_put(to, cell->boolean ? BYTES("true") : BYTES("false"));
        break;
    case CELL_STRING:
    case CELL_TIME_TEXT:
    case CELL_JSON:
        buf_put(to, cell->text);
        break;
    }
}

void table_put_csv(const struct table *table, struct buf *to)
{
    struct buf plain;

    buf_init(&plain, 64 << 20);
    for (uint32_t i = 0; i < table->column_count; i++)
        csv_put(to, table->columns[i].name, i == 0, true);
    csv_end_row(to);
    for (uint64_t row = 0; row < table->row_count; row++) {
        const struct table_cell *cells = &table->cells[row * table->column_count];
        for (uint32_t i = 0; i < table->column_count; i++) {
            buf_reset(&plain);
            table_put_cell(&plain, &cells[i]);
            if (cells[i].kind == CELL_INT || cells[i].kind == CELL_REAL)
                csv_put_raw(to, buf_bytes(&plain), i == 0);
            else
                csv_put(to, buf_bytes(&plain), i == 0, true);
        }
        csv_end_row(to);
    }
    if (plain.is_failed)
        to->is_failed = true;
    buf_done(&plain);
}

/* Characters, so that columns line up for most scripts. */
static size_t width_of(struct bytes text)
{
    size_t width = 0;
    for (size_t i = 0; i < text.len; i++)
        width += (text.ptr[i] & 0xc0) != 0x80;
    return width;
}

static void put_spaces(struct buf *to, size_t count)
{
    for (size_t i = 0; i < count; i++)
        buf_put_u8(to, ' ');
}

/* Control characters would move the cursor of a terminal. */
static void put_safely(struct buf *to, struct bytes text)
{
    for (size_t i = 0; i < text.len; i++)
        buf_put_u8(to, text.ptr[i] < ' ' || text.ptr[i] == 0x7f ? '?' : text.ptr[i]);
}

static void put_text_row(const struct table *table, const size_t *widths, uint64_t row,
                         struct buf *plain, struct buf *to)
{
    for (uint32_t i = 0; i < table->column_count; i++) {
        const struct table_cell *cell = &table->cells[row * table->column_count + i];
        bool is_number = cell->kind == CELL_INT || cell->kind == CELL_REAL;
        buf_reset(plain);
        table_put_cell(plain, cell);
        size_t width = width_of(buf_bytes(plain));
        size_t spaces = widths[i] > width ? widths[i] - width : 0;
        if (i > 0)
            put_spaces(to, 2);
        if (is_number)
            put_spaces(to, spaces);
        put_safely(to, buf_bytes(plain));
        if (!is_number && i + 1 < table->column_count)
            put_spaces(to, spaces);
    }
    buf_put_u8(to, '\n');
}

static bool is_number_type(enum table_type type)
{
    return type == TABLE_INT || type == TABLE_REAL;
}

void table_put_text(const struct table *table, struct buf *to)
{
    struct buf plain;
    size_t *widths = calloc(table->column_count + (size_t)1, sizeof *widths);

    if (!widths) {
        to->is_failed = true;
        return;
    }
    buf_init(&plain, 64 << 20);
    for (uint32_t i = 0; i < table->column_count; i++)
        widths[i] = width_of(table->columns[i].name);
    for (uint64_t cell = 0; cell < table->row_count * table->column_count; cell++) {
        uint32_t column = (uint32_t)(cell % table->column_count);
        buf_reset(&plain);
        table_put_cell(&plain, &table->cells[cell]);
        size_t width = width_of(buf_bytes(&plain));
        width = width < 60 ? width : 60; /* one long text doesn't push the rest away */
        if (width > widths[column])
            widths[column] = width;
    }
    for (uint32_t i = 0; i < table->column_count; i++) {
        size_t spaces = widths[i] - width_of(table->columns[i].name);
        if (i > 0)
            put_spaces(to, 2);
        if (is_number_type(table->columns[i].type))
            put_spaces(to, spaces);
        put_safely(to, table->columns[i].name);
        if (!is_number_type(table->columns[i].type) && i + 1 < table->column_count)
            put_spaces(to, spaces);
    }
    buf_put_u8(to, '\n');
    for (uint64_t row = 0; row < table->row_count; row++)
        put_text_row(table, widths, row, &plain, to);
    free(widths);
    buf_done(&plain);
}

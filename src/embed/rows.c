/* rows.c - questions, and walking over their answers. */
#include "embed/embed_internal.h"

#include "codec/jsonw.h"

#include <stdio.h>
#include <stdlib.h>

enum { QUESTION_MAX = 1 << 20, PARSE_MAX = 64 << 20, TEXT_MAX = 1 << 30 };

struct kolam_rows {
    struct table table;
    const char **names;
    struct buf *texts; /* of each column, what kolam_rows_text gave last */
    uint64_t next;     /* row */
};

/* --- asking --------------------------------------------------------------------------------- */

static enum kolam_status say_problem(struct kolam_error *error, struct err err,
                                     const struct query_problem *problem)
{
    if (!problem->message.len || err.code == ERR_NOMEM)
        return embed_fail(error, err, "query");
    struct kolam_error status; /* for its number alone */
    (void)embed_fail(&status, err, "query");
    return embed_say(error, status.status, "line %u, column %u: %.*s%s%.*s%s", problem->line,
                     problem->column, BYTES_FMT(problem->message),
                     problem->suggestion.len ? ": did you mean " : "",
                     BYTES_FMT(problem->suggestion), problem->suggestion.len ? "?" : "");
}

static struct err name_columns(struct kolam_rows *rows)
{
    struct table *table = &rows->table;
    rows->names = calloc(table->column_count + (size_t)1, sizeof *rows->names);
    rows->texts = calloc(table->column_count + (size_t)1, sizeof *rows->texts);
    if (!rows->names || !rows->texts)
        return err_new(ERR_NOMEM, "query: rows");
    for (uint32_t i = 0; i < table->column_count; i++) {
        struct bytes name = arena_copy(&table->arena, table->columns[i].name);
        if (!name.ptr)
            return err_new(ERR_NOMEM, "query: rows");
        rows->names[i] = (const char *)name.ptr;
        buf_init(&rows->texts[i], TEXT_MAX);
    }
    return ok();
}

static enum kolam_status run(struct kolam *kolam, const struct query *query,
                             struct kolam_rows **out, struct kolam_error *error)
{
    struct query_problem problem = { .line = 1 };
    struct project_snapshot snapshot;
    struct arena scratch;
    struct kolam_rows *rows = calloc(1, sizeof *rows);
    if (!rows)
        return embed_say(error, KOLAM_MEMORY, "query: no memory");
    struct err err = project_snapshot(kolam->project, &snapshot);
    if (err.code) {
        free(rows);
        return embed_fail(error, err, "query");
    }
    struct query_options options = { .memory_bytes = (size_t)kolam->query_memory_bytes,
                                     .timeout_ms = kolam->query_timeout_ms,
                                     .pool = kolam->pool,
                                     .clock = clock_real() };
    enum kolam_status status = KOLAM_OK;
    arena_init(&scratch, SIZE_MAX); /* the query's own limit holds */
    err = query_run(query, &snapshot.source, &options, &scratch, &rows->table, &problem);
    if (err.code) {
        status = say_problem(error, err, &problem);
        free(rows);
        rows = NULL;
    }
    project_snapshot_done(&snapshot);
    arena_done(&scratch);
    if (!rows)
        return status;
    err = name_columns(rows);
    if (err.code) {
        kolam_rows_free(rows);
        return embed_fail(error, err, "query");
    }
    *out = rows;
    return embed_fine(error);
}

enum kolam_status kolam_query(struct kolam *kolam, const char *cql, struct kolam_rows **out,
                              struct kolam_error *error)
{
    struct arena arena;
    struct query *query;
    struct query_problem problem = { .line = 1 };
    struct bytes text = bytes_from(cql);
    if (text.len > QUESTION_MAX)
        return embed_say(error, KOLAM_INVALID, "the question is larger than 1 MiB");
    arena_init(&arena, PARSE_MAX);
    struct err err = query_parse_cql(text, &arena, &query, &problem);
    enum kolam_status status =
        err.code ? say_problem(error, err, &problem) : run(kolam, query, out, error);
    arena_done(&arena);
    return status;
}

void kolam_rows_free(struct kolam_rows *rows)
{
    if (!rows)
        return;
    for (uint32_t i = 0; rows->texts && i < rows->table.column_count; i++)
        buf_done(&rows->texts[i]);
    free(rows->texts);
    free(rows->names);
    table_done(&rows->table);
    free(rows);
}

/* --- reading ------------------------------------------------------------------------------------ */

size_t kolam_rows_columns(const struct kolam_rows *rows)
{
    return rows->table.column_count;
}

uint64_t kolam_rows_count(const struct kolam_rows *rows)
{
    return rows->table.row_count;
}

const char *kolam_rows_name(const struct kolam_rows *rows, size_t column)
{
    return column < rows->table.column_count ? rows->names[column] : NULL;
}

bool kolam_rows_next(struct kolam_rows *rows)
{
    if (rows->next > rows->table.row_count)
        return false;
    return rows->next++ < rows->table.row_count;
}

/* NULL: there's none. */
static const struct table_cell *cell_of(const struct kolam_rows *rows, size_t column)
{
    if (column >= rows->table.column_count || rows->next == 0 || rows->next > rows->table.row_count)
        return NULL;
    return &rows->table.cells[(rows->next - 1) * rows->table.column_count + column];
}

enum kolam_type kolam_rows_type(const struct kolam_rows *rows, size_t column)
{
    const struct table_cell *cell = cell_of(rows, column);
    if (!cell)
        return KOLAM_NULL;
    switch (cell->kind) {
    case CELL_NULL:
        return KOLAM_NULL;
    case CELL_INT:
        return KOLAM_INT;
    case CELL_REAL:
        return KOLAM_REAL;
    case CELL_BOOL:
        return KOLAM_BOOL;
    case CELL_TIME_TEXT:
        return KOLAM_TIME;
    case CELL_JSON:
        return KOLAM_JSON;
    case CELL_STRING:
        break;
    }
    uint32_t type = (uint32_t)rows->table.columns[column].type;
    return type == TABLE_DATE || type == TABLE_TIME ? KOLAM_TIME : KOLAM_TEXT;
}

int64_t kolam_rows_int(const struct kolam_rows *rows, size_t column)
{
    const struct table_cell *cell = cell_of(rows, column);
    if (cell && cell->kind == CELL_INT)
        return cell->integer;
    if (cell && cell->kind == CELL_BOOL)
        return cell->boolean;
    bool fits = cell && cell->kind == CELL_REAL && cell->real >= -9223372036854775808.0 &&
                cell->real < 9223372036854775808.0;
    return fits ? (int64_t)cell->real : 0;
}

double kolam_rows_real(const struct kolam_rows *rows, size_t column)
{
    const struct table_cell *cell = cell_of(rows, column);
    if (cell && cell->kind == CELL_REAL)
        return cell->real;
    return (double)kolam_rows_int(rows, column);
}

const char *kolam_rows_text(struct kolam_rows *rows, size_t column, size_t *len_out)
{
    const struct table_cell *cell = cell_of(rows, column);
    if (len_out)
        *len_out = 0;
    if (!cell)
        return "";
    struct buf *text = &rows->texts[column];
    buf_reset(text);
    table_put_cell(text, cell);
    size_t len = text->len;
    buf_put_u8(text, 0);
    if (text->is_failed)
        return "";
    if (len_out)
        *len_out = len;
    return (const char *)text->ptr;
}

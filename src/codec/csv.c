/*
 * csv.c - a reader that takes its input in any pieces, and a writer.
 *
 * The row under way is kept without quotes in one block; `ends` says where each of its fields ends.
 * A machine of five states reads byte by byte:
 *
 *   START   a field may begin       "  -> QUOTED
 *   BARE    in a field without quotes; a quote inside it is a mistake
 *   QUOTED  inside quotes           "  -> CLOSED
 *   CLOSED  behind a closing quote  "  -> QUOTED, with one quote as content
 *   CR      behind a carriage return that LF must follow
 *
 * An empty line is a row of one empty field, except at the end of the file. After a problem the
 * reader goes on behind the line's end, so that one bad row doesn't hide the rest.
 */
#include "codec/csv.h"

#include <stdlib.h>

enum state { START, BARE, QUOTED, CLOSED, CR, SKIPPING };

struct csv_reader {
    size_t row_max;
    size_t fields_max;
    enum state state;
    bool is_row_given; /* the next call starts a new one */
    bool has_row;      /* something of a row has been read */
    uint8_t bom_seen;  /* bytes of the mark at the start of the file; 3: it's behind us */
    uint64_t line;     /* where the row started */
    uint64_t next_line;
    const char *problem;
    uint8_t *row;
    size_t row_len;
    size_t *ends;
    size_t count;
    struct bytes *fields;
};

static const uint8_t bom[3] = { 0xef, 0xbb, 0xbf };

struct err csv_reader_new(size_t row_max, size_t fields_max, struct csv_reader **out)
{
    if (row_max == 0 || fields_max == 0)
        return err_new(ERR_INVALID, "csv: the limits of a reader");
    struct csv_reader *reader = calloc(1, sizeof *reader);
    if (!reader)
        return err_new(ERR_NOMEM, "csv: make a reader");
    reader->row_max = row_max;
    reader->fields_max = fields_max;
    reader->line = reader->next_line = 1;
    reader->row = malloc(row_max);
    reader->ends = calloc(fields_max, sizeof *reader->ends);
    reader->fields = calloc(fields_max, sizeof *reader->fields);
    if (!reader->row || !reader->ends || !reader->fields) {
        csv_reader_free(reader);
        return err_new(ERR_NOMEM, "csv: make a reader");
    }
    *out = reader;
    return ok();
}

void csv_reader_free(struct csv_reader *reader)
{
    if (!reader)
        return;
    free(reader->row);
    free(reader->ends);
    free(reader->fields);
    free(reader);
}

uint64_t csv_line(const struct csv_reader *reader)
{
    return reader->line;
}

const char *csv_problem(const struct csv_reader *reader)
{
    return reader->problem;
}

static void start_row(struct csv_reader *reader)
{
    reader->is_row_given = false;
    reader->has_row = false;
    reader->row_len = 0;
    reader->count = 0;
    reader->line = reader->next_line;
}

static enum csv_step give_row(struct csv_reader *reader, const struct bytes **fields_out,
                              size_t *count_out)
{
    size_t from = 0;
    for (size_t i = 0; i < reader->count; i++) {
        reader->fields[i] = bytes_of(reader->row + from, reader->ends[i] - from);
        from = reader->ends[i];
    }
    reader->is_row_given = true;
    *fields_out = reader->fields;
    *count_out = reader->count;
    return CSV_ROW;
}

/* Leaves the rest of the line unread; `is_line_over`: there's none. */
static void fail(struct csv_reader *reader, const char *problem, bool is_line_over)
{
    reader->problem = problem;
    reader->state = is_line_over ? START : SKIPPING;
}

static bool add_byte(struct csv_reader *reader, uint8_t c)
{
    if (reader->row_len == reader->row_max) {
        fail(reader, "a row longer than the limit", c == '\n');
        return false;
    }
    reader->row[reader->row_len++] = c;
    return true;
}

static bool end_field(struct csv_reader *reader, bool is_line_over)
{
    if (reader->count == reader->fields_max) {
        fail(reader, "more fields than the limit", is_line_over);
        return false;
    }
    reader->ends[reader->count++] = reader->row_len;
    return true;
}

enum taken { TAKEN, ROW_OVER, WRONG };

static enum taken end_line(struct csv_reader *reader)
{
    reader->state = START;
    return end_field(reader, true) ? ROW_OVER : WRONG;
}

/* A byte where quotes don't hide commas and line ends. */
static enum taken take_open(struct csv_reader *reader, uint8_t c)
{
    if (c == ',') {
        reader->state = START;
        return end_field(reader, false) ? TAKEN : WRONG;
    }
    if (c == '\n')
        return end_line(reader);
    if (c == '\r') {
        reader->state = CR;
        return TAKEN;
    }
    if (reader->state == START && c == '"') {
        reader->state = QUOTED;
        return TAKEN;
    }
    if (reader->state == CLOSED || c == '"') {
        fail(reader, reader->state == CLOSED ? "text behind a closing quote" : "a quote in a field",
             false);
        return WRONG;
    }
    reader->state = BARE;
    return add_byte(reader, c) ? TAKEN : WRONG;
}

static enum taken take(struct csv_reader *reader, uint8_t c)
{
    reader->has_row = true;
    reader->next_line += c == '\n';
    switch (reader->state) {
    case QUOTED:
        if (c != '"')
            return add_byte(reader, c) ? TAKEN : WRONG;
        reader->state = CLOSED;
        return TAKEN;
    case CLOSED:
        if (c != '"')
            return take_open(reader, c);
        reader->state = QUOTED;
        return add_byte(reader, c) ? TAKEN : WRONG;
    case CR:
        if (c == '\n')
            return end_line(reader);
        fail(reader, "a carriage return without a line feed", false);
        return WRONG;
    case SKIPPING:
        if (c == '\n') {
            reader->state = START;
            start_row(reader);
        }
        return TAKEN;
    case START:
    case BARE:
        break;
    }
    return take_open(reader, c);
}

/* Takes the mark at the very start; what only looked like its beginning becomes content. */
static enum taken take_at_start(struct csv_reader *reader, uint8_t c)
{
    if (c == bom[reader->bom_seen]) {
        reader->bom_seen++;
        return TAKEN;
    }
    enum taken taken = TAKEN;
    for (uint8_t i = 0; i < reader->bom_seen && taken == TAKEN; i++)
        taken = take(reader, bom[i]);
    reader->bom_seen = sizeof bom;
    return taken == TAKEN ? take(reader, c) : taken;
}

/* The bytes that need no thought, in one go. */
static void take_run(struct csv_reader *reader, struct bytes *input)
{
    size_t room = reader->row_max - reader->row_len;
    size_t len = 0;
    while (len < input->len && len < room) {
        uint8_t c = input->ptr[len];
        if (c == '"' || c == '\n' || (reader->state == BARE && (c == ',' || c == '\r')))
            break;
        len++;
    }
    memcpy(reader->row + reader->row_len, input->ptr, len);
    reader->row_len += len;
    *input = bytes_slice(*input, len, SIZE_MAX);
}

static enum csv_step at_end(struct csv_reader *reader, const struct bytes **fields_out,
                            size_t *count_out)
{
    enum state state = reader->state;
    for (uint8_t i = 0; reader->bom_seen < sizeof bom && i < reader->bom_seen; i++)
        (void)take(reader, bom[i]);
    reader->bom_seen = sizeof bom;
    if (!reader->has_row || state == SKIPPING)
        return CSV_NEED_MORE;
    reader->has_row = false;
    if (state == QUOTED || state == CR) {
        fail(reader,
             state == QUOTED ? "a quote without its end" : "a carriage return without a line feed",
             true);
        reader->is_row_given = true;
        return CSV_PROBLEM;
    }
    reader->state = START;
    if (!end_field(reader, true)) {
        reader->is_row_given = true;
        return CSV_PROBLEM;
    }
    return give_row(reader, fields_out, count_out);
}

enum csv_step csv_next(struct csv_reader *reader, struct bytes *input, bool is_end,
                       const struct bytes **fields_out, size_t *count_out)
{
    if (reader->is_row_given)
        start_row(reader);
    while (input->len > 0) {
        uint8_t c = *input->ptr;
        *input = bytes_slice(*input, 1, SIZE_MAX);
        enum taken taken =
            reader->bom_seen < sizeof bom ? take_at_start(reader, c) : take(reader, c);
        if (taken == ROW_OVER)
            return give_row(reader, fields_out, count_out);
        if (taken == WRONG) {
            /* What is left of the line is skipped, and belongs to this row. */
            reader->has_row = false;
            reader->is_row_given = reader->state == START;
            return CSV_PROBLEM;
        }
        if (reader->state == BARE || reader->state == QUOTED)
            take_run(reader, input);
    }
    return is_end ? at_end(reader, fields_out, count_out) : CSV_NEED_MORE;
}

/* --- writing ------------------------------------------------------------------------ */

static bool needs_quotes(struct bytes field)
{
    for (size_t i = 0; i < field.len; i++)
        if (memchr(",\"\r\n", field.ptr[i], 4))
            return true;
    return field.len > 0 && (field.ptr[0] == ' ' || field.ptr[field.len - 1] == ' ');
}

static void put_field(struct buf *buf, struct bytes prefix, struct bytes field)
{
    if (!needs_quotes(field)) {
        buf_put(buf, prefix);
        buf_put(buf, field);
        return;
    }
    buf_put_u8(buf, '"');
    buf_put(buf, prefix);
    while (field.len > 0) {
        const uint8_t *quote = memchr(field.ptr, '"', field.len);
        size_t len = quote ? (size_t)(quote - field.ptr) + 1 : field.len;
        buf_put(buf, bytes_slice(field, 0, len));
        if (quote)
            buf_put_u8(buf, '"');
        field = bytes_slice(field, len, SIZE_MAX);
    }
    buf_put_u8(buf, '"');
}

void csv_put(struct buf *buf, struct bytes field, bool is_first, bool is_safe)
{
    bool is_risky = is_safe && field.len > 0 && memchr("=+-@\t\r", field.ptr[0], 6);
    if (!is_first)
        buf_put_u8(buf, ',');
    put_field(buf, is_risky ? BYTES("'") : BYTES(""), field);
}

void csv_put_raw(struct buf *buf, struct bytes field, bool is_first)
{
    if (!is_first)
        buf_put_u8(buf, ',');
    buf_put(buf, field);
}

void csv_end_row(struct buf *buf)
{
    buf_put(buf, BYTES("\r\n"));
}

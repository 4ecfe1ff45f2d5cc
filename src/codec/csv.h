/*
 * csv.h - RFC 4180 text, read in pieces and written.
 *
 * Reading: comma, quotes doubled inside quotes, LF or CRLF, an optional UTF-8 BOM. A row is handed
 * out when it's whole; what is broken is told with its line, and reading goes on behind it.
 */
#ifndef CODEC_CSV_H
#define CODEC_CSV_H

#include "base/buf.h"
#include "base/err.h"

struct csv_reader;

/* Rows up to `row_max` bytes and `fields_max` fields. */
MUST_CHECK struct err csv_reader_new(size_t row_max, size_t fields_max, struct csv_reader **out);
void csv_reader_free(struct csv_reader *reader);

enum csv_step { CSV_ROW, CSV_NEED_MORE, CSV_PROBLEM };
/* Takes from *input (advancing it) until a row is whole. At the end of the file call with
 * is_end true and the rest of the input. The fields live until the next call. */
enum csv_step csv_next(struct csv_reader *reader, struct bytes *input, bool is_end,
                       const struct bytes **fields_out, size_t *count_out);
/* Of the row or problem last told: the line where it started (1 is the first) and what is wrong. */
uint64_t csv_line(const struct csv_reader *reader);
const char *csv_problem(const struct csv_reader *reader);

/* Writing. With `is_safe`, a field that starts with = + - @ or a tab gets a ' in front, so that a
 * spreadsheet doesn't run it (numbers are written by csv_put_raw and stay as they are). */
void csv_put(struct buf *buf, struct bytes field, bool is_first, bool is_safe);
void csv_put_raw(struct buf *buf, struct bytes field, bool is_first);
void csv_end_row(struct buf *buf);

#endif

/*
 * codec_csv_fuzz.c - any text as CSV.
 *
 *  1. however the text is cut into pieces, the same rows and problems come out;
 *  2. rows that are written again and read are the same rows.
 */
#include "codec/csv.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ROOM = 1 << 16, ROW_MAX = 40, FIELDS_MAX = 6 };

static void must(bool holds)
{
    if (!holds)
        abort();
}

/* What is told, with the lengths of the fields; and the whole rows, as CSV again. */
static void tell(struct bytes text, size_t piece, struct buf *told, struct buf *again)
{
    struct csv_reader *reader;
    must(!csv_reader_new(ROW_MAX, FIELDS_MAX, &reader).code);
    bool is_over = false;
    while (!is_over) {
        struct bytes input = bytes_slice(text, 0, piece);
        text = bytes_slice(text, piece, SIZE_MAX);
        is_over = text.len == 0;
        const struct bytes *fields;
        size_t count;
        enum csv_step step;
        while ((step = csv_next(reader, &input, is_over, &fields, &count)) != CSV_NEED_MORE) {
            buf_put_varint(told, csv_line(reader));
            if (step == CSV_PROBLEM) {
                buf_put(told, bytes_from(csv_problem(reader)));
                continue;
            }
            for (size_t i = 0; i < count; i++) {
                buf_put_prefixed(told, fields[i]);
                csv_put(again, fields[i], i == 0, false);
            }
            csv_end_row(again);
        }
    }
    csv_reader_free(reader);
}

static void check(struct bytes text, size_t piece)
{
    struct buf told[2];
    struct buf again[4];
    for (size_t i = 0; i < 2; i++)
        buf_init(&told[i], ROOM);
    for (size_t i = 0; i < 4; i++)
        buf_init(&again[i], ROOM);
    tell(text, SIZE_MAX, &told[0], &again[0]);
    tell(text, piece, &told[1], &again[1]);
    must(bytes_equal(buf_bytes(&told[0]), buf_bytes(&told[1])));
    must(bytes_equal(buf_bytes(&again[0]), buf_bytes(&again[1])));
    /* A mark that was content of the first field would be skipped now. */
    bool has_mark = bytes_start_with(buf_bytes(&again[0]), BYTES("\xef\xbb\xbf"));
    buf_reset(&told[0]);
    tell(buf_bytes(&again[0]), SIZE_MAX, &told[0], &again[2]);
    must(has_mark || bytes_equal(buf_bytes(&again[0]), buf_bytes(&again[2])));
    for (size_t i = 0; i < 2; i++)
        buf_done(&told[i]);
    for (size_t i = 0; i < 4; i++)
        buf_done(&again[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char letters[] = "a,\"\n\rb,\"\"\xef\xbb\xbf";
    uint8_t text[512];
    if (size < 2 || size > sizeof text)
        return 0;
    check(bytes_of(data + 1, size - 1), 1 + (size_t)data[0] % 16);
    for (size_t i = 0; i < size; i++)
        text[i] = (uint8_t)letters[data[i] % (sizeof letters - 1)];
    check(bytes_of(text, size), 1 + (size_t)data[0] % 16);
    return 0;
}

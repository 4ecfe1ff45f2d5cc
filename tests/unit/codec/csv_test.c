/* csv_test.c - what the CSV reader and writer promise, with the input cut in every way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "codec/csv.h"

#include <stdlib.h>

enum { ROW_MAX = 64, FIELDS_MAX = 5 };

/* Reads all of `text` in pieces of `piece` bytes and writes down what happened: fields in <>, rows
 * as "line:<a><b>;", problems as "line!what;". */
static void tell(struct bytes text, size_t piece, struct buf *to)
{
    struct csv_reader *reader;
    assert_int_equal(csv_reader_new(ROW_MAX, FIELDS_MAX, &reader).code, ERR_NONE);
    bool is_over = false;
    while (!is_over) {
        /* In memory of just that size. */
        size_t len = piece < text.len ? piece : text.len;
        uint8_t *copy = malloc(len + (len == 0));
        assert_non_null(copy);
        if (len > 0)
            memcpy(copy, text.ptr, len);
        struct bytes input = bytes_of(copy, len);
        text = bytes_slice(text, len, SIZE_MAX);
        const struct bytes *fields;
        size_t count;
        enum csv_step step;
        while ((step = csv_next(reader, &input, text.len == 0, &fields, &count)) != CSV_NEED_MORE) {
            buf_printf(to, "%d%s", (int)csv_line(reader), step == CSV_ROW ? ":" : "!");
            for (size_t i = 0; step == CSV_ROW && i < count; i++)
                buf_printf(to, "<%.*s>", BYTES_FMT(fields[i]));
            buf_printf(to, "%s;", step == CSV_ROW ? "" : csv_problem(reader));
        }
        assert_int_equal(input.len, 0);
        is_over = text.len == 0;
        free(copy);
    }
    csv_reader_free(reader);
}

/* However the text is cut, the same is told. */
static void assert_told(struct bytes text, const char *expected)
{
    for (size_t piece = 1; piece <= text.len + 1; piece++) {
        struct buf buf;
        buf_init(&buf, 1 << 16);
        tell(text, piece, &buf);
        if (!bytes_equal(buf_bytes(&buf), bytes_from(expected)))
            fail_msg("%.*s in pieces of %zu: %.*s", BYTES_FMT(text), piece,
                     BYTES_FMT(buf_bytes(&buf)));
        buf_done(&buf);
    }
}

static void rows_end_with_lf_or_crlf_or_the_file(void **state)
{
    (void)state;
    assert_told(BYTES("a,b\nc,d\r\ne,f"), "1:<a><b>;2:<c><d>;3:<e><f>;");
    assert_told(BYTES("a,b\n"), "1:<a><b>;");
    assert_told(BYTES("a,b\r\n"), "1:<a><b>;");
}

static void fields_may_be_empty(void **state)
{
    (void)state;
    assert_told(BYTES(""), "");
    assert_told(BYTES(",\n,,"), "1:<><>;2:<><><>;");
    assert_told(BYTES("\na\n\n"), "1:<>;2:<a>;3:<>;");
    assert_told(BYTES("\"\""), "1:<>;");
    assert_told(BYTES("a,"), "1:<a><>;");
}

static void quotes_hide_commas_lines_and_quotes(void **state)
{
    (void)state;
    assert_told(BYTES("\"a,b\",\"c\nd\r\n\",\"e\"\"f\"\nx"), "1:<a,b><c\nd\r\n><e\"f>;4:<x>;");
    assert_told(BYTES("\"\"\"\"\n\"\"\"x\""), "1:<\">;2:<\"x>;");
    assert_told(BYTES(" \"\n"), "1!a quote in a field;");
}

static void a_byte_order_mark_is_skipped_at_the_start_only(void **state)
{
    (void)state;
    assert_told(BYTES("\xef\xbb\xbf"
                      "a,b\n\xef\xbb\xbf"
                      "c"),
                "1:<a><b>;2:<\xef\xbb\xbf"
                "c>;");
    assert_told(BYTES("\xef\xbb\xbf\"a,\""), "1:<a,>;");
    assert_told(BYTES("\xef\xbb,\n"), "1:<\xef\xbb><>;");
    assert_told(BYTES("\xef\xbb"), "1:<\xef\xbb>;");
    assert_told(BYTES("\xef\xbb\xbf"), "");
}

static void a_broken_row_is_told_and_the_next_is_read(void **state)
{
    (void)state;
    assert_told(BYTES("a\n\"b\"x,1\nc\n"), "1:<a>;2!text behind a closing quote;3:<c>;");
    assert_told(BYTES("a\"b\nc"), "1!a quote in a field;2:<c>;");
    assert_told(BYTES("a\rb\nc"), "1!a carriage return without a line feed;2:<c>;");
    assert_told(BYTES("a\n\"b\nc"), "1:<a>;2!a quote without its end;");
    assert_told(BYTES("a\r"), "1!a carriage return without a line feed;");
}

static void rows_and_fields_have_limits(void **state)
{
    (void)state;
    assert_told(BYTES("1,2,3,4,5\n1,2,3,4,5,6\n1,2,3,4,5,6,7,8\nx\n"),
                "1:<1><2><3><4><5>;2!more fields than the limit;3!more fields than the limit;"
                "4:<x>;");
    assert_told(BYTES("1,2,3,4,5,6"), "1!more fields than the limit;");
    char text[ROW_MAX + 5];
    memset(text, 'a', sizeof text);
    memcpy(text + ROW_MAX + 1, "\nok\n", 4);
    assert_told(bytes_of(text, sizeof text), "1!a row longer than the limit;2:<ok>;");
    struct buf expected;
    buf_init(&expected, 1000);
    buf_printf(&expected, "1:<%.*s>;2:<ok>;%c", ROW_MAX, text + 1, 0);
    memmove(text, text + 1, sizeof text - 1);
    assert_told(bytes_of(text, sizeof text - 1), (const char *)expected.ptr);
    buf_done(&expected);
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    static const char *const fields[] = { "a", "", "x,y", "say \"hi\"", "two\r\nlines" };
    struct buf buf;
    buf_init(&buf, 1 << 16);
    for (size_t i = 0; i < 5; i++)
        csv_put(&buf, bytes_from(fields[i]), i == 0, false);
    csv_end_row(&buf);
    csv_put_raw(&buf, BYTES("-1"), true);
    csv_put(&buf, BYTES("b"), false, true);
    csv_end_row(&buf);
    assert_told(buf_bytes(&buf), "1:<a><><x,y><say \"hi\"><two\r\nlines>;3:<-1><b>;");
    buf_done(&buf);
}

static void a_spreadsheet_runs_nothing(void **state)
{
    (void)state;
    static const char *const risky[] = { "=1+1", "+1", "-1", "@x", "\tx", "=\"a\",b" };
    static const char *const safe[] = { "'=1+1", "'+1", "'-1", "'@x", "'\tx", "\"'=\"\"a\"\",b\"" };
    for (size_t i = 0; i < 6; i++) {
        struct buf buf;
        buf_init(&buf, 1000);
        csv_put(&buf, bytes_from(risky[i]), true, true);
        assert_true(bytes_equal(buf_bytes(&buf), bytes_from(safe[i])));
        buf_done(&buf);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_end_with_lf_or_crlf_or_the_file),
        cmocka_unit_test(fields_may_be_empty),
        cmocka_unit_test(quotes_hide_commas_lines_and_quotes),
        cmocka_unit_test(a_byte_order_mark_is_skipped_at_the_start_only),
        cmocka_unit_test(a_broken_row_is_told_and_the_next_is_read),
        cmocka_unit_test(rows_and_fields_have_limits),
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(a_spreadsheet_runs_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* jsonw_test.c - what the JSON writer promises. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rng.h"
#include "codec/json.h"
#include "codec/jsonw.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static struct buf buf;

static int make_buf(void **state)
{
    (void)state;
    buf_init(&buf, 1 << 20);
    return 0;
}

static int free_buf(void **state)
{
    (void)state;
    buf_done(&buf);
    return 0;
}

static void assert_written(struct bytes expected)
{
    assert_int_equal(buf_err(&buf).code, ERR_NONE);
    if (!bytes_equal(buf_bytes(&buf), expected))
        fail_msg("%.*s, not %.*s", BYTES_FMT(buf_bytes(&buf)), BYTES_FMT(expected));
    buf_reset(&buf);
}

static void assert_real(double value, const char *expected)
{
    struct jsonw w = jsonw_of(&buf);
    jsonw_real(&w, value);
    assert_written(bytes_from(expected));
}

static void assert_string(struct bytes text, struct bytes expected)
{
    struct jsonw w = jsonw_of(&buf);
    jsonw_string(&w, text);
    assert_written(expected);
}

static void commas_are_where_they_belong(void **state)
{
    (void)state;
    struct jsonw w = jsonw_of(&buf);
    jsonw_object(&w);
    jsonw_key(&w, "a");
    jsonw_array(&w);
    jsonw_int(&w, 1);
    jsonw_array(&w);
    jsonw_end_array(&w);
    jsonw_object(&w);
    jsonw_end_object(&w);
    jsonw_text(&w, NULL);
    jsonw_end_array(&w);
    jsonw_key_bytes(&w, BYTES("b\"c"));
    jsonw_text(&w, "x");
    jsonw_key(&w, "d");
    jsonw_raw(&w, BYTES("[1,2]"));
    jsonw_key(&w, "e");
    jsonw_bool(&w, true);
    jsonw_end_object(&w);
    assert_written(BYTES("{\"a\":[1,[],{},null],\"b\\\"c\":\"x\",\"d\":[1,2],\"e\":true}"));
}

static void integers_are_written_to_their_edges(void **state)
{
    (void)state;
    struct jsonw w = jsonw_of(&buf);
    jsonw_array(&w);
    jsonw_int(&w, 0);
    jsonw_int(&w, INT64_MIN);
    jsonw_int(&w, INT64_MAX);
    jsonw_uint(&w, UINT64_MAX);
    jsonw_end_array(&w);
    assert_written(BYTES("[0,-9223372036854775808,9223372036854775807,18446744073709551615]"));
}

static void strings_are_escaped_where_they_must_be(void **state)
{
    (void)state;
    assert_string(BYTES(""), BYTES("\"\""));
    assert_string(BYTES("a/b\x7f"), BYTES("\"a/b\x7f\""));
    assert_string(BYTES("\"\\\b\f\n\r\t"), BYTES("\"\\\"\\\\\\b\\f\\n\\r\\t\""));
    assert_string(BYTES("a\0b\x1f"), BYTES("\"a\\u0000b\\u001f\""));
    assert_string(BYTES("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"),
                  BYTES("\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\""));
}

static void what_is_not_utf8_is_replaced(void **state)
{
    (void)state;
    assert_string(BYTES("a\xff"
                        "b"),
                  BYTES("\"a\xef\xbf\xbd"
                        "b\""));
    assert_string(BYTES("\xed\xa0\x80"), BYTES("\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""));
    assert_string(BYTES("x\xe2\x82"), BYTES("\"x\xef\xbf\xbd\xef\xbf\xbd\""));
}

static void doubles_are_short(void **state)
{
    (void)state;
    assert_real(3, "3");
    assert_real(-3, "-3");
    assert_real(0, "0");
    assert_real(-0.0, "-0.0");
    assert_real(0.1, "0.1");
    assert_real(0.1 + 0.2, "0.30000000000000004");
    assert_real(19.99, "19.99");
    assert_real(1e21, "1e+21");
    assert_real(999999999999999, "999999999999999");
    assert_real(5e-324, "5e-324");
    assert_real(-DBL_MAX, "-1.7976931348623157e+308");
    assert_real(1.0 / 3, "0.3333333333333333");
}

static void nan_and_infinities_are_null(void **state)
{
    (void)state;
    assert_real((double)NAN, "null");
    assert_real((double)INFINITY, "null");
    assert_real(-(double)INFINITY, "null");
}

static void check_shortest(double value)
{
    char text[25];
    char shorter[40];
    size_t len = real_to_text(value, text);
    assert_true(len <= 24);
    text[len] = 0;
    double back = strtod(text, NULL);
    if (memcmp(&back, &value, sizeof back) != 0)
        fail_msg("%s is not %a", text, value);
    int digits = 0;
    bool is_leading = true;
    for (size_t i = 0; i < len && text[i] != 'e'; i++) {
        is_leading &= text[i] < '1' || text[i] > '9';
        digits += !is_leading && text[i] >= '0' && text[i] <= '9';
    }
    /* One digit less is another number (long whole numbers may end in zeros). */
    if (digits < 2 || fabs(value) >= 1e15 || value == (double)(int64_t)value)
        return;
    (void)snprintf(shorter, sizeof shorter, "%.*e", digits - 2, value);
    if (strtod(shorter, NULL) == value)
        fail_msg("%s is longer than %s", text, shorter);
}

static void all_doubles_read_back_from_their_shortest_text(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 7);
    for (int i = 0; i < 30000; i++) {
        uint64_t bits = rng_next(&rng);
        double value;
        memcpy(&value, &bits, sizeof value);
        if (isfinite(value))
            check_shortest(value);
        check_shortest((double)(int64_t)(bits >> 30) / 1000);
        check_shortest((double)(int64_t)(bits >> (bits & 63)));
        check_shortest(ldexp(1, (int)(bits % 2098) - 1074));
    }
}

static void each_type_of_value_is_written(void **state)
{
    (void)state;
    const struct bytes items[] = { BYTES("a"), BYTES("b") };
    const struct value values[] = {
        value_null(),
        value_bool(false),
        value_int(-5),
        value_real(2.5),
        value_string(BYTES("x")),
        value_time(1738317600123),
        { .type = VALUE_LIST, .count = 2, .items = items },
    };
    struct jsonw w = jsonw_of(&buf);
    jsonw_array(&w);
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        jsonw_value(&w, &values[i]);
    jsonw_time(&w, 0);
    jsonw_end_array(&w);
    assert_written(BYTES("[null,false,-5,2.5,\"x\",\"2025-01-31T10:00:00.123Z\",[\"a\",\"b\"],"
                         "\"1970-01-01T00:00:00Z\"]"));
}

static void a_full_buffer_is_told_at_the_end(void **state)
{
    (void)state;
    struct buf small;
    buf_init(&small, 8);
    struct jsonw w = jsonw_of(&small);
    jsonw_array(&w);
    for (int i = 0; i < 100; i++)
        jsonw_real(&w, 0.5);
    jsonw_end_array(&w);
    assert_int_not_equal(buf_err(&small).code, ERR_NONE);
    buf_done(&small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commas_are_where_they_belong),
        cmocka_unit_test(integers_are_written_to_their_edges),
        cmocka_unit_test(strings_are_escaped_where_they_must_be),
        cmocka_unit_test(what_is_not_utf8_is_replaced),
        cmocka_unit_test(doubles_are_short),
        cmocka_unit_test(nan_and_infinities_are_null),
        cmocka_unit_test(all_doubles_read_back_from_their_shortest_text),
        cmocka_unit_test(each_type_of_value_is_written),
        cmocka_unit_test(a_full_buffer_is_told_at_the_end),
    };
    return cmocka_run_group_tests(tests, make_buf, free_buf);
}

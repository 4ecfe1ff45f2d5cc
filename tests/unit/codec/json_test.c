/* json_test.c - what the JSON reader promises. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "codec/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { MAX_BYTES = 32 << 20, MAX_DEPTH = 64 };

static struct json_parser *parser;

static int open_parser(void **state)
{
    (void)state;
    return json_parser_new(MAX_BYTES, MAX_DEPTH, &parser).code != ERR_NONE;
}

static int close_parser(void **state)
{
    (void)state;
    json_parser_free(parser);
    return 0;
}

static struct json_value good(struct bytes text)
{
    struct json_value root;
    struct json_problem problem = { .what = "" };
    if (!json_parse(parser, text, &root, &problem))
        fail_msg("%.*s: %s at %zu", BYTES_FMT(bytes_slice(text, 0, 80)), problem.what,
                 problem.offset);
    return root;
}

static void bad(struct bytes text, const char *what, size_t offset)
{
    struct json_value root;
    struct json_problem problem;
    if (json_parse(parser, text, &root, &problem))
        fail_msg("%.*s was taken", BYTES_FMT(bytes_slice(text, 0, 80)));
    assert_string_equal(problem.what, what);
    assert_int_equal(problem.offset, offset);
    assert_true(json_is(root, JSON_NULL));
}

static struct json_value member(struct json_value object, const char *key)
{
    struct json_value value;
    if (!json_find(object, bytes_from(key), &value))
        fail_msg("no member %s", key);
    return value;
}

static void assert_text(struct json_value value, struct bytes expected)
{
    assert_int_equal(json_type(value), JSON_STRING);
    assert_true(bytes_equal(json_string(value), expected));
}

static void every_type_is_told_apart(void **state)
{
    (void)state;
    struct json_value root =
        good(BYTES(" {\"n\":null,\"f\":false,\"t\":true,\"i\":-5,\"u\":18446744073709551615,"
                   "\"r\":0.5,\"s\":\"x\",\"a\":[1],\"o\":{}} \n"));
    assert_int_equal(json_type(root), JSON_OBJECT);
    assert_int_equal(json_count(root), 9);
    assert_int_equal(json_type(member(root, "n")), JSON_NULL);
    assert_int_equal(json_type(member(root, "f")), JSON_FALSE);
    assert_int_equal(json_type(member(root, "t")), JSON_TRUE);
    assert_int_equal(json_type(member(root, "i")), JSON_INT);
    assert_int_equal(json_int(member(root, "i")), -5);
    assert_int_equal(json_type(member(root, "u")), JSON_UINT);
    assert_true(json_uint(member(root, "u")) == UINT64_MAX);
    assert_int_equal(json_type(member(root, "r")), JSON_REAL);
    assert_true(json_real(member(root, "r")) == 0.5);
    assert_text(member(root, "s"), BYTES("x"));
    assert_int_equal(json_type(member(root, "a")), JSON_ARRAY);
    assert_int_equal(json_type(member(root, "o")), JSON_OBJECT);
}

static void members_and_items_come_in_their_order(void **state)
{
    (void)state;
    struct json_value root = good(BYTES("{\"b\":[1,[2],{\"x\":3},\"4\",5.5],\"a\":7,\"\":8}"));
    struct json_iter it = json_members(root);
    assert_true(json_next(&it));
    assert_true(bytes_equal(it.key, BYTES("b")));
    struct json_iter items = json_items(it.value);
    static const enum json_type types[] = { JSON_INT, JSON_ARRAY, JSON_OBJECT, JSON_STRING,
                                            JSON_REAL };
    for (size_t i = 0; i < 5; i++) {
        assert_true(json_next(&items));
        assert_int_equal(json_type(items.value), types[i]);
    }
    assert_false(json_next(&items));
    assert_true(json_next(&it));
    assert_true(bytes_equal(it.key, BYTES("a")));
    assert_int_equal(json_int(it.value), 7);
    assert_true(json_next(&it));
    assert_int_equal(it.key.len, 0);
    assert_int_equal(json_int(it.value), 8);
    assert_false(json_next(&it));
    assert_false(json_next(&it));
}

static void what_is_no_container_has_nothing_in_it(void **state)
{
    (void)state;
    struct json_value root = good(BYTES("[5, [], {}]"));
    struct json_iter it = json_items(root);
    struct json_value found;
    while (json_next(&it)) {
        struct json_iter inner = json_items(it.value);
        struct json_iter members = json_members(it.value);
        assert_false(json_next(&inner));
        assert_false(json_next(&members));
        assert_int_equal(json_count(it.value), 0);
        assert_false(json_find(it.value, BYTES("x"), &found));
    }
}

static void the_first_of_equal_names_is_found_and_all_are_listed(void **state)
{
    (void)state;
    struct json_value root = good(BYTES("{\"a\":1,\"a\":2}"));
    assert_int_equal(json_int(member(root, "a")), 1);
    assert_int_equal(json_count(root), 2);
}

static void a_scalar_is_a_document(void **state)
{
    (void)state;
    assert_int_equal(json_int(good(BYTES("42"))), 42);
    assert_int_equal(json_int(good(BYTES(" -7 "))), -7);
    assert_text(good(BYTES("\"x\"")), BYTES("x"));
    assert_true(json_is(good(BYTES("true")), JSON_TRUE));
}

static void integers_stay_integers_to_the_edges_of_64_bits(void **state)
{
    (void)state;
    assert_true(json_int(good(BYTES("9223372036854775807"))) == INT64_MAX);
    assert_true(json_int(good(BYTES("-9223372036854775808"))) == INT64_MIN);
    struct json_value value = good(BYTES("9223372036854775808"));
    assert_int_equal(json_type(value), JSON_UINT);
    assert_true(json_uint(value) == UINT64_C(9223372036854775808));
    assert_true(json_real(value) == 9223372036854775808.0);
    assert_int_equal(json_type(good(BYTES("-0"))), JSON_INT);
    assert_int_equal(json_int(good(BYTES("-0"))), 0);
}

static void integers_past_64_bits_are_doubles(void **state)
{
    (void)state;
    struct json_value value = good(BYTES("18446744073709551616"));
    assert_int_equal(json_type(value), JSON_REAL);
    assert_true(json_real(value) == 18446744073709551616.0);
    assert_true(json_real(good(BYTES("-9223372036854775809"))) == -9223372036854775808.0);
    struct json_value root =
        good(BYTES("{\"12345678901234567890123\": [\"\\\"99999999999999999999999\","
                   " 100000000000000000000000, 1, -100000000000000000000000 ,2.5e3]}"));
    struct json_value list = member(root, "12345678901234567890123");
    struct json_iter it = json_items(list);
    assert_true(json_next(&it));
    assert_text(it.value, BYTES("\"99999999999999999999999"));
    assert_true(json_next(&it) && json_real(it.value) == 1e23);
    assert_true(json_next(&it) && json_is(it.value, JSON_INT) && json_int(it.value) == 1);
    assert_true(json_next(&it) && json_real(it.value) == -1e23);
    assert_true(json_next(&it) && json_real(it.value) == 2500);
}

static void doubles_are_the_nearest_ones(void **state)
{
    (void)state;
    assert_true(json_real(good(BYTES("0.1"))) == 0.1);
    assert_true(json_real(good(BYTES("1.7976931348623157e308"))) == 1.7976931348623157e308);
    assert_true(json_real(good(BYTES("5e-324"))) == 5e-324);
    assert_true(json_real(good(BYTES("2.2250738585072011e-308"))) == 2.2250738585072011e-308);
    assert_true(json_real(good(BYTES("1e-400"))) == 0);
    assert_true(signbit(json_real(good(BYTES("-0.0")))));
    assert_true(json_real(good(BYTES("1E+2"))) == 100);
}

static void numbers_too_large_for_a_double_are_a_problem(void **state)
{
    (void)state;
    bad(BYTES("[1,1e400]"), "a number out of range", 3);
    bad(BYTES("-1e400"), "a number out of range", 0);
    char digits[402];
    memset(digits, '9', sizeof digits);
    bad(bytes_of(digits, sizeof digits), "a number out of range", 0);
}

static void what_looks_like_a_number_is_not_one(void **state)
{
    (void)state;
    bad(BYTES("[01]"), "not a number", 1);
    bad(BYTES("[-]"), "not a number", 1);
    bad(BYTES("[1.]"), "not a number", 3);
    bad(BYTES("[1e]"), "not a number", 3);
    bad(BYTES("[.5]"), "expected a value", 1);
    bad(BYTES("[+1]"), "expected a value", 1);
    bad(BYTES("[NaN]"), "expected a value", 1);
    bad(BYTES("[0x10]"), "expected , or ]", 2);
}

static void problems_are_located(void **state)
{
    (void)state;
    bad(BYTES(""), "expected a value", 0);
    bad(BYTES("  "), "expected a value", 2);
    bad(BYTES("{\"a\":1,}"), "expected a name in quotes", 7);
    bad(BYTES("{\"a\" 1}"), "expected :", 5);
    bad(BYTES("{\"a\":1 \"b\":2}"), "expected , or }", 7);
    bad(BYTES("[1 2]"), "expected , or ]", 3);
    bad(BYTES("[1,]"), "expected a value", 3);
    bad(BYTES("[1}"), "expected , or ]", 2);
    bad(BYTES("{\"a\":tru}"), "expected a value", 5);
    bad(BYTES("{\"a\":truex}"), "expected , or }", 9);
    bad(BYTES("{} x"), "more text behind the value", 3);
    bad(BYTES("[\"abc]"), "a string without its end", 1);
    bad(BYTES("[\"a\nb\"]"), "a control character in a string", 3);
    bad(BYTES("[\"\\x\"]"), "no such escape", 2);
    bad(BYTES("[\"\\u12g4\"]"), "no such escape", 2);
    bad(BYTES("\xef\xbb\xbf{}"), "expected a value", 0);
    bad(BYTES("[1]\0"), "more text behind the value", 3);
}

static void escapes_are_resolved(void **state)
{
    (void)state;
    assert_text(good(BYTES("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"")), BYTES("\"\\/\b\f\n\r\t"));
    assert_text(good(BYTES("\"\\u0041\\u00e9\\u20AC\\uD83D\\uDE00\"")),
                BYTES("A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"));
    assert_text(good(BYTES("\"a\\u0000b\"")), BYTES("a\0b"));
}

static void half_a_surrogate_pair_is_a_problem(void **state)
{
    (void)state;
    bad(BYTES("\"\\ud83d\""), "half of a surrogate pair", 1);
    bad(BYTES("\"\\ud83dx\""), "half of a surrogate pair", 1);
    bad(BYTES("\"\\ud83d\\n\""), "half of a surrogate pair", 1);
    bad(BYTES("\"\\ud83d\\u0041\""), "half of a surrogate pair", 1);
    bad(BYTES("\"\\ude00\""), "half of a surrogate pair", 1);
    bad(BYTES("\"ab\\uDFFF\\ud800\""), "half of a surrogate pair", 3);
}

static void invalid_utf8_is_a_problem(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "\x80",
        "\xc3",
        "\xc0\xaf",
        "\xe0\x80\x80",
        "\xed\xa0\x80",
        "\xed\xbf\xbf",
        "\xf5\x80\x80\x80",
        "\xf4\x90\x80\x80",
        "\xf0\x80\x80\x80",
        "\xe2\x82",
        "\xff",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char text[32];
        int len = snprintf(text, sizeof text, "[\"ok%s\"]", wrong[i]);
        bad(bytes_of(text, (size_t)len), "not UTF-8", 4);
    }
    bad(BYTES("[\xc3\xa9]"), "expected a value", 1);
}

static void nesting_has_a_limit(void **state)
{
    (void)state;
    char text[2 * (MAX_DEPTH + 1) + 1]; /* the innermost empty or not */
    for (size_t depth = MAX_DEPTH - 1; depth <= MAX_DEPTH + 1; depth++) {
        memset(text, '[', depth);
        text[depth] = '1';
        memset(text + depth + 1, ']', depth);
        if (depth <= MAX_DEPTH)
            assert_int_equal(json_type(good(bytes_of(text, 2 * depth + 1))), JSON_ARRAY);
        else
            bad(bytes_of(text, 2 * depth + 1), "deeper than the limit", MAX_DEPTH);
    }
    memset(text, '[', MAX_DEPTH + 1);
    memset(text + MAX_DEPTH + 1, ']', MAX_DEPTH + 1);
    (void)good(bytes_of(text, 2 * (MAX_DEPTH + 1)));
    size_t len = 0;
    char objects[6 * (MAX_DEPTH + 1) + 2];
    for (size_t depth = 0; depth < MAX_DEPTH; depth++, len += 5)
        memcpy(objects + len, "{\"a\":", 5);
    objects[len++] = '1';
    memset(objects + len, '}', MAX_DEPTH);
    (void)good(bytes_of(objects, len + MAX_DEPTH));
}

static void length_has_a_limit(void **state)
{
    (void)state;
    struct json_parser *small;
    struct json_value root;
    struct json_problem problem;
    assert_int_equal(json_parser_new(5, 4, &small).code, ERR_NONE);
    assert_true(json_parse(small, BYTES("[1,2]"), &root, &problem));
    assert_false(json_parse(small, BYTES("[1,23]"), &root, &problem));
    assert_string_equal(problem.what, "longer than the limit");
    json_parser_free(small);
    assert_int_equal(json_parser_new(5, 0, &small).code, ERR_INVALID);
}

static void a_text_cut_short_anywhere_is_a_problem(void **state)
{
    (void)state;
    struct bytes text =
        BYTES("{\"a\":[1,-2.5e3,true,false,null,\"\\u20ac\xc3\xa9\"],\"b\":{\"c\":[]}}");
    for (size_t len = 0; len < text.len; len++) {
        struct json_value root;
        struct json_problem problem;
        /* In memory of just this size, so that reading on would be seen. */
        uint8_t *copy = malloc(len + 1);
        assert_non_null(copy);
        memcpy(copy, text.ptr, len);
        assert_false(json_parse(parser, bytes_of(copy, len), &root, &problem));
        assert_string_not_equal(problem.what, "not JSON");
        assert_true(problem.offset <= len);
        free(copy);
    }
    (void)good(text);
}

static void sixteen_mebibytes_are_read(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf, MAX_BYTES);
    buf_put_u8(&buf, '[');
    size_t count = 0;
    for (; buf.len < (16 << 20); count++)
        buf_printf(&buf, "%s{\"name\":\"App Launched\",\"n\":%zu}", count ? "," : "", count);
    buf_put_u8(&buf, ']');
    assert_int_equal(buf_err(&buf).code, ERR_NONE);
    struct json_value root = good(buf_bytes(&buf));
    assert_int_equal(json_count(root), count);
    size_t n = 0;
    for (struct json_iter it = json_items(root); json_next(&it); n++)
        assert_int_equal(json_int(member(it.value, "n")), n);
    assert_int_equal(n, count);
    buf_done(&buf);
    assert_int_equal(json_int(good(BYTES("5"))), 5);
}

static void counts_past_24_bits_are_right(void **state)
{
    (void)state;
    enum { ITEMS = 0xffffff + 3 };
    uint8_t *text = malloc(2 * (size_t)ITEMS + 1);
    assert_non_null(text);
    struct json_parser *large;
    struct json_value root;
    struct json_problem problem;
    assert_int_equal(json_parser_new(64 << 20, 4, &large).code, ERR_NONE);
    for (size_t i = 0; i < ITEMS; i++) {
        text[1 + 2 * i] = '7';
        text[2 + 2 * i] = ',';
    }
    text[0] = '[';
    text[2 * (size_t)ITEMS] = ']';
    assert_true(json_parse(large, bytes_of(text, 2 * (size_t)ITEMS + 1), &root, &problem));
    assert_int_equal(json_count(root), ITEMS);
    json_parser_free(large);
    free(text);
}

static void padded_text_is_read_where_it_is(void **state)
{
    (void)state;
    char text[JSON_PADDING + 16] = "{\"a\":12}345";
    struct json_value root;
    struct json_problem problem;
    assert_true(json_parse_padded(parser, bytes_of(text, 8), &root, &problem));
    assert_int_equal(json_int(member(root, "a")), 12);
    assert_false(json_parse_padded(parser, bytes_of(text, 9), &root, &problem));
    assert_int_equal(problem.offset, 8);
    memcpy(text, "1234567890", 10);
    assert_true(json_parse_padded(parser, bytes_of(text, 3), &root, &problem));
    assert_int_equal(json_int(root), 123);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_is_told_apart),
        cmocka_unit_test(members_and_items_come_in_their_order),
        cmocka_unit_test(what_is_no_container_has_nothing_in_it),
        cmocka_unit_test(the_first_of_equal_names_is_found_and_all_are_listed),
        cmocka_unit_test(a_scalar_is_a_document),
        cmocka_unit_test(integers_stay_integers_to_the_edges_of_64_bits),
        cmocka_unit_test(integers_past_64_bits_are_doubles),
        cmocka_unit_test(doubles_are_the_nearest_ones),
        cmocka_unit_test(numbers_too_large_for_a_double_are_a_problem),
        cmocka_unit_test(what_looks_like_a_number_is_not_one),
        cmocka_unit_test(problems_are_located),
        cmocka_unit_test(escapes_are_resolved),
        cmocka_unit_test(half_a_surrogate_pair_is_a_problem),
        cmocka_unit_test(invalid_utf8_is_a_problem),
        cmocka_unit_test(nesting_has_a_limit),
        cmocka_unit_test(length_has_a_limit),
        cmocka_unit_test(a_text_cut_short_anywhere_is_a_problem),
        cmocka_unit_test(sixteen_mebibytes_are_read),
        cmocka_unit_test(counts_past_24_bits_are_right),
        cmocka_unit_test(padded_text_is_read_where_it_is),
    };
    return cmocka_run_group_tests(tests, open_parser, close_parser);
}

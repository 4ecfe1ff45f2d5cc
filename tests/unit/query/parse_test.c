/* parse_test.c - CQL and JSON are two forms of one tree, and their errors point at the place. */
#include "random_tree.h"

#include "query/pattern.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

struct fixture {
    struct arena arena;
    struct json_parser *parser;
    struct query_problem problem;
    struct buf text;
};

static int setup(void **state)
{
    static struct fixture f;
    arena_init(&f.arena, 256 << 20);
    buf_init(&f.text, 64 << 20);
    assert_int_equal(json_parser_new(1 << 24, 512, &f.parser).code, ERR_NONE);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    json_parser_free(f->parser);
    buf_done(&f->text);
    arena_done(&f->arena);
    return 0;
}

static struct query *read_cql(struct fixture *f, const char *text)
{
    struct query *query = NULL;
    f->problem = (struct query_problem){ 0 };
    struct err err = query_parse_cql(bytes_from(text), &f->arena, &query, &f->problem);
    if (err.code)
        print_error("%s\n  at %zu: %.*s\n", text, f->problem.offset, BYTES_FMT(f->problem.message));
    assert_int_equal(err.code, ERR_NONE);
    return query;
}

static struct err read_json(struct fixture *f, struct bytes text, struct query **out)
{
    struct json_value root;
    struct json_problem json_problem;
    f->problem = (struct query_problem){ 0 };
    assert_true(json_parse(f->parser, text, &root, &json_problem));
    return query_parse_json(root, &f->arena, out, &f->problem);
}

static const char *cql_of(struct fixture *f, const struct query *query)
{
    buf_reset(&f->text);
    query_put_cql(query, &f->text);
    buf_put_u8(&f->text, 0);
    assert_false(f->text.is_failed);
    return (const char *)f->text.ptr;
}

static void assert_canonical(struct fixture *f, const char *text, const char *canonical)
{
    assert_string_equal(cql_of(f, read_cql(f, text)), canonical);
}

/* `^` in the text marks where the error must point; it's taken out before reading. */
static void assert_wrong_at(struct fixture *f, const char *marked, const char *part)
{
    char text[512];
    size_t len = 0;
    size_t offset = strlen(marked);
    struct query *query;

    for (size_t i = 0; marked[i]; i++) {
        if (marked[i] == '^')
            offset = i;
        else
            text[len++] = marked[i];
    }
    f->problem = (struct query_problem){ 0 };
    struct err err = query_parse_cql(bytes_of(text, len), &f->arena, &query, &f->problem);
    assert_int_equal(err.code, ERR_INVALID);
    struct bytes copy = arena_copy(&f->arena, f->problem.message);
    if (f->problem.offset != offset || !strstr((const char *)copy.ptr, part))
        print_error("%s\n  at %zu: %s\n", marked, f->problem.offset, (const char *)copy.ptr);
    assert_int_equal(f->problem.offset, offset);
    assert_non_null(strstr((const char *)copy.ptr, part));
}

/* --- properties ------------------------------------------------------------------------ */

static void test_any_tree_is_the_same_after_cql(void **state)
{
    struct fixture *f = *state;
    struct rng rng;

    rng_init(&rng, 7);
    for (int i = 0; i < 4000; i++) {
        arena_reset(&f->arena);
        struct query *query = random_query(&rng, &f->arena);
        struct bytes text = arena_copy(&f->arena, bytes_from(cql_of(f, query)));
        struct query *again = read_cql(f, (const char *)text.ptr);
        if (!tree_equal(query, again))
            print_error("%s\n%s\n", (const char *)text.ptr, cql_of(f, again));
        assert_true(tree_equal(query, again));
        assert_string_equal(cql_of(f, again), (const char *)text.ptr);
    }
}

static void test_any_tree_is_the_same_after_json(void **state)
{
    struct fixture *f = *state;
    struct rng rng;

    rng_init(&rng, 11);
    for (int i = 0; i < 4000; i++) {
        arena_reset(&f->arena);
        struct query *query = random_query(&rng, &f->arena);
        buf_reset(&f->text);
        query_put_json(query, &f->text);
        struct query *again;
        struct bytes text = arena_copy(&f->arena, buf_bytes(&f->text));
        struct err err = read_json(f, text, &again);
        if (err.code)
            print_error("%s\n%.*s: %.*s\n", (const char *)text.ptr, BYTES_FMT(f->problem.pointer),
                        BYTES_FMT(f->problem.message));
        assert_int_equal(err.code, ERR_NONE);
        assert_true(tree_equal(query, again));
    }
}

/* Cutting a question anywhere gives an answer or an error, within the text. */
static void test_any_part_of_a_question_is_read_safely(void **state)
{
    struct fixture *f = *state;
    struct rng rng;

    rng_init(&rng, 13);
    for (int i = 0; i < 300; i++) {
        arena_reset(&f->arena);
        struct query *query = random_query(&rng, &f->arena);
        struct bytes text = arena_copy(&f->arena, bytes_from(cql_of(f, query)));
        for (int cut = 0; cut < 20; cut++) {
            size_t len = rng_below(&rng, text.len + 1);
            struct query *again;
            struct query_problem problem = { 0 };
            struct err err = query_parse_cql(bytes_of(text.ptr, len), &f->arena, &again, &problem);
            assert_true(err.code == ERR_NONE || err.code == ERR_INVALID);
            if (err.code) {
                assert_true(problem.message.len > 0);
                assert_true(problem.offset <= len);
            }
        }
    }
}

/* --- the language ---------------------------------------------------------------------------- */

static void test_the_examples_of_the_design_are_read(void **state)
{
    struct fixture *f = *state;
    assert_canonical(
        f,
        "SELECT count(), users(), sum(Amount) FROM events\n"
        " WHERE event = 'Charged' AND Amount > 100 SINCE 30 days ago\n"
        " GROUP BY day, Category ORDER BY day LIMIT 500;",
        "SELECT count(), users(), sum(Amount) FROM events WHERE event = 'Charged' AND Amount > "
        "100 SINCE 30 days AGO GROUP BY day, Category ORDER BY day LIMIT 500");
    assert_canonical(
        f,
        "FUNNEL 'Product Viewed' THEN 'Added to Cart' WHERE Price > 500 THEN 'Charged'\n"
        " WITHIN 7 days BY profile.city SINCE 90 days ago;",
        "FUNNEL 'Product Viewed' THEN 'Added to Cart' WHERE Price > 500 THEN 'Charged' WITHIN "
        "7 days BY profile.city SINCE 90 days AGO");
    assert_canonical(f,
                     "RETENTION OF FIRST 'App Installed' RETURNING 'App Launched' WEEKLY FOR 8 "
                     "SINCE 12 weeks ago;",
                     "RETENTION OF FIRST 'App Installed' RETURNING 'App Launched' WEEKLY FOR 8 "
                     "SINCE 12 weeks AGO");
    assert_canonical(f, "FLOW FROM 'App Launched' STEPS 5 COLLAPSE SINCE 7 days ago;",
                     "FLOW FROM 'App Launched' STEPS 5 COLLAPSE SINCE 7 days AGO");
    assert_canonical(f,
                     "flow to 'A' or 'B' where x = 1 limit 9 expand 'C' by p, 'D' by \"a b\" "
                     "within 2 hours hide 'E', 'F'",
                     "FLOW TO 'A' OR 'B' WHERE x = 1 STEPS 5 WITHIN 2 hours HIDE 'E', 'F' EXPAND "
                     "'C' BY p, 'D' BY \"a b\" LIMIT 9");
    assert_canonical(f, "FLOW FROM ANY EVENT KEEP 'A' STEPS 20 LIMIT 1000",
                     "FLOW FROM ANY EVENT STEPS 20 KEEP 'A'");
    assert_canonical(
        f,
        "SEGMENT profile.plan = 'premium' AND DID 'Login' IN LAST 7 days\n"
        "        AND DID 'Charged' COUNT >= 3 AND NOT DID 'Refunded' IN LAST 90 days;",
        "SEGMENT profile.plan = 'premium' AND DID 'Login' IN LAST 7 days AND DID 'Charged' "
        "COUNT >= 3 AND NOT DID 'Refunded' IN LAST 90 days");
    assert_canonical(f, "USERS WHERE DID 'A' SELECT email, city LIMIT 100;",
                     "USERS WHERE DID 'A' SELECT email, city LIMIT 100");
    assert_canonical(f, "EVENTS OF 'user_123' LIMIT 50;", "EVENTS OF 'user_123' LIMIT 50");
}

static void test_keywords_have_no_case_and_clauses_no_order(void **state)
{
    struct fixture *f = *state;
    assert_canonical(
        f, "select Count(*) limit 5 group by day since yesterday until now where x exists",
        "SELECT count() FROM events WHERE x EXISTS SINCE YESTERDAY UNTIL NOW GROUP BY "
        "day LIMIT 5");
    assert_canonical(f, "SELECT day, count() GROUP BY day -- a remark\n",
                     "SELECT count() FROM events GROUP BY day");
    assert_canonical(f, "SELECT users() AS u, count() / users() * 100 ORDER BY u DESC, 2",
                     "SELECT users() AS u, count() / users() * 100 FROM events ORDER BY u DESC, "
                     "count() / users() * 100");
}

static void test_not_is_read_before_and_before_or(void **state)
{
    struct fixture *f = *state;
    assert_canonical(f, "SELECT count() WHERE NOT a = 1 AND b = 2 OR c = 3",
                     "SELECT count() FROM events WHERE NOT a = 1 AND b = 2 OR c = 3");
    assert_canonical(f, "SELECT count() WHERE NOT (a = 1 AND (b = 2 OR c = 3)) OR d NOT EXISTS",
                     "SELECT count() FROM events WHERE NOT (a = 1 AND (b = 2 OR c = 3)) OR NOT d "
                     "EXISTS");
}

static void test_a_filter_of_did_ends_where_the_next_condition_begins(void **state)
{
    struct fixture *f = *state;
    assert_canonical(f, "SEGMENT DID 'A' WHERE x = 1 AND y = 2 AND NOT (DID 'B') OR DID 'C'",
                     "SEGMENT DID 'A' WHERE (x = 1 AND y = 2) AND NOT DID 'B' OR DID 'C'");
}

static void test_the_smallest_segment_in_json_is_read(void **state)
{
    struct fixture *f = *state;
    struct query *query;
    struct bytes text = BYTES("{\"segment_name\": \"Active premium users\",\"rules\": {\"all\": ["
                              "{\"property\": \"plan\", \"operator\": \"eq\", \"value\": "
                              "\"premium\"},{\"event\": \"login\", \"operator\": \"in_last\", "
                              "\"value\": \"7d\"}]}}");
    assert_int_equal(read_json(f, text, &query).code, ERR_NONE);
    assert_string_equal(cql_of(f, query),
                        "SEGMENT profile.plan = 'premium' AND DID 'login' IN LAST 7 days");
}

/* --- errors ------------------------------------------------------------------------------------ */

static void test_errors_point_at_the_character_and_say_what_was_expected(void **state)
{
    struct fixture *f = *state;
    assert_wrong_at(f, "^", "expected");
    assert_wrong_at(f, "SELECT count() ^FORM events", "FROM, WHERE");
    assert_wrong_at(f, "SELECT count() WHERE ^", "the question ends where");
    assert_wrong_at(f, "SELECT count() WHERE x ^'a'", "=");
    assert_wrong_at(f, "SELECT count() WHERE x = ^y", "a value");
    assert_wrong_at(f, "SELECT count() WHERE x = ^'abc", "isn't closed");
    assert_wrong_at(f, "SELECT count() SINCE ^'31 May'", "no date");
    assert_wrong_at(f, "SELECT ^Category, count()", "GROUP BY");
    assert_wrong_at(f, "SELECT count() ORDER BY ^users()", "ordered by something");
    assert_wrong_at(f, "FUNNEL 'A' ^WITHIN 7 days", "THEN");
    assert_wrong_at(f, "FUNNEL 'A' THEN 'B'^", "WITHIN");
    assert_wrong_at(f, "FUNNEL 'A' THEN 'B' WITHIN ^2 months", "no fixed length");
    assert_wrong_at(f, "FLOW ^'A'", "FROM or TO");
    assert_wrong_at(f, "FLOW FROM 'A' OR 'B' OR 'C' OR ^'D'", "at most 3 start events");
    assert_wrong_at(f, "FLOW FROM 'A' STEPS ^21", "from 1 to 20");
    assert_wrong_at(f, "FLOW FROM 'A' HIDE 'B' ^KEEP 'C'", "don't go together");
    assert_wrong_at(f, "FLOW FROM 'A' HIDE 'B' ^HIDE 'C'", "given twice");
    assert_wrong_at(f, "FLOW FROM 'A' EXPAND 'B' ^", "BY");
    assert_wrong_at(f, "FLOW FROM 'A' LIMIT ^1000001", "to 1000000");
    assert_wrong_at(f, "SEGMENT ^plan = 'x'", "profile.plan");
    assert_wrong_at(f, "SELECT count() LIMIT ^0", "from 1");
    assert_wrong_at(f, "SELECT percentile(x, ^2)", "from 0 to 1");
    assert_wrong_at(f, "SELECT count() WHERE x MATCHES ^'(a'", "isn't closed");
    assert_wrong_at(f, "SELECT sum(^day)", "write \"day\"");
    assert_wrong_at(f, "SELECT count() ^# comment", "no meaning");
}

static void test_a_misspelt_word_has_a_suggestion_and_a_line(void **state)
{
    struct fixture *f = *state;
    struct query *query;
    struct bytes text = BYTES("SELECT count()\n  WHRE x = 1");
    assert_int_equal(query_parse_cql(text, &f->arena, &query, &f->problem).code, ERR_INVALID);
    assert_true(bytes_equal(f->problem.suggestion, BYTES("WHERE")));
    assert_int_equal(f->problem.line, 2);
    assert_int_equal(f->problem.column, 3);
    assert_int_equal(f->problem.length, 4);
}

static void assert_wrong_json(struct fixture *f, const char *text, const char *pointer)
{
    struct query *query;
    assert_int_equal(read_json(f, bytes_from(text), &query).code, ERR_INVALID);
    struct bytes copy = arena_copy(&f->arena, f->problem.pointer);
    if (strcmp((const char *)copy.ptr, pointer) != 0)
        print_error("%s\n  at %s: %.*s\n", text, (const char *)copy.ptr,
                    BYTES_FMT(f->problem.message));
    assert_string_equal((const char *)copy.ptr, pointer);
}

static void test_json_errors_have_a_pointer_to_the_place(void **state)
{
    struct fixture *f = *state;
    assert_wrong_json(f, "[]", "");
    assert_wrong_json(f, "{\"report\":\"selct\"}", "/report");
    assert_wrong_json(f, "{\"report\":\"flow\"}", "");
    assert_wrong_json(f, "{\"report\":\"flow\",\"start\":{\"events\":[\"A\",\"B\",\"C\",\"D\"]}}",
                      "/start");
    assert_wrong_json(f, "{\"report\":\"flow\",\"start\":{\"events\":\"A\"},\"direction\":\"up\"}",
                      "/direction");
    assert_wrong_json(
        f, "{\"report\":\"flow\",\"start\":{\"events\":\"A\"},\"expand\":[{\"event\":\"A\"}]}",
        "/expand/0");
    assert_wrong_json(f, "{\"report\":\"segment\",\"where\":{\"sequence\":null}}",
                      "/where/sequence");
    assert_wrong_json(f, "{\"report\":\"select\",\"measures\":[{\"measure\":\"sum\"}]}",
                      "/measures/0");
    assert_wrong_json(f, "{\"report\":\"select\",\"measures\":[{\"measure\":\"count\"}],\"a/b\":1}",
                      "/a~1b");
    assert_wrong_json(f,
                      "{\"report\":\"select\",\"measures\":[{\"measure\":\"count\"}],\"where\":"
                      "{\"all\":[{\"property\":\"x\",\"operator\":\"gt\",\"value\":true}]}}",
                      "/where/all/0/value");
    assert_wrong_json(f,
                      "{\"report\":\"funnel\",\"within\":\"7d\",\"steps\":[{\"events\":[\"A\"]},"
                      "{\"events\":[]}]}",
                      "/steps/1/events");
    assert_wrong_json(f,
                      "{\"report\":\"select\",\"measures\":[{\"measure\":\"count\"}],"
                      "\"span\":{\"since\":\"soon\"}}",
                      "/span/since");
}

static void test_limits_are_errors(void **state)
{
    struct fixture *f = *state;
    struct query *query;
    struct buf buf;

    buf_init(&buf, 1 << 20);
    buf_put(&buf, BYTES("SELECT count() WHERE "));
    for (int i = 0; i < 5000; i++)
        buf_put(&buf, BYTES("("));
    assert_int_equal(query_parse_cql(buf_bytes(&buf), &f->arena, &query, &f->problem).code,
                     ERR_INVALID);

    buf_reset(&buf);
    buf_put(&buf, BYTES("SELECT count() WHERE x = 1"));
    for (int i = 0; i < 5000; i++)
        buf_put(&buf, BYTES(" OR y = 1"));
    assert_int_equal(query_parse_cql(buf_bytes(&buf), &f->arena, &query, &f->problem).code,
                     ERR_INVALID);

    /* A chain is as deep as it's long, and JSON must be able to say it. */
    buf_reset(&buf);
    buf_put(&buf, BYTES("SELECT users()"));
    for (int i = 0; i < 32; i++)
        buf_put(&buf, BYTES(" - 1"));
    assert_int_equal(query_parse_cql(buf_bytes(&buf), &f->arena, &query, &f->problem).code,
                     ERR_INVALID);
    buf.len -= 4;
    assert_int_equal(query_parse_cql(buf_bytes(&buf), &f->arena, &query, &f->problem).code,
                     ERR_NONE);

    buf_reset(&buf);
    for (int i = 0; i < 70000; i++)
        buf_put(&buf, BYTES(" "));
    assert_int_equal(query_parse_cql(buf_bytes(&buf), &f->arena, &query, &f->problem).code,
                     ERR_INVALID);
    assert_int_equal(query_parse_cql(BYTES("SELECT \xff"), &f->arena, &query, &f->problem).code,
                     ERR_INVALID);
    assert_int_equal(f->problem.offset, 7);
    buf_done(&buf);
}

/* --- patterns -------------------------------------------------------------------------------------- */

static bool found(struct fixture *f, const char *pattern, const char *text)
{
    struct pattern *compiled = pattern_new(bytes_from(pattern), &f->arena);
    assert_non_null(compiled);
    return pattern_found(compiled, bytes_from(text));
}

static void test_patterns_are_found_where_they_are(void **state)
{
    struct fixture *f = *state;
    assert_true(found(f, "b", "abc"));
    assert_false(found(f, "^b", "abc"));
    assert_true(found(f, "^a.c$", "abc"));
    assert_true(found(f, "^a.c$", "aéc"));
    assert_false(found(f, "^a.c$", "abbc"));
    assert_true(found(f, "^(ab|cd)+$", "abcdab"));
    assert_false(found(f, "^(ab|cd)+$", "abcda"));
    assert_true(found(f, "^[a-c]*x?$", "abcx"));
    assert_true(found(f, "^(a+|b)*$", "aabab"));
    assert_true(found(f, "^a+*b$", "aaab"));
    assert_true(found(f, "^\\d\\d-\\w+$", "12-ab_3"));
    assert_false(found(f, "^[^0-9]+$", "ab3"));
    assert_true(found(f, "", ""));
    assert_true(found(f, "^$", ""));
    assert_false(found(f, "^$", "a"));
    assert_true(found(f, "a||b", "zzz"));
    assert_true(found(f, "^(a|b|c)d$", "cd"));
    assert_true(found(f, "^\\.[\\]]$", ".]"));
    assert_non_null(pattern_problem(BYTES("a)")));
    assert_non_null(pattern_problem(BYTES("*")));
    assert_non_null(pattern_problem(BYTES("[z-a]")));
    assert_non_null(pattern_problem(BYTES("a{3}")));
    assert_non_null(pattern_problem(BYTES("\\q")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_tree_is_the_same_after_cql),
        cmocka_unit_test(test_any_tree_is_the_same_after_json),
        cmocka_unit_test(test_any_part_of_a_question_is_read_safely),
        cmocka_unit_test(test_the_examples_of_the_design_are_read),
        cmocka_unit_test(test_keywords_have_no_case_and_clauses_no_order),
        cmocka_unit_test(test_not_is_read_before_and_before_or),
        cmocka_unit_test(test_a_filter_of_did_ends_where_the_next_condition_begins),
        cmocka_unit_test(test_the_smallest_segment_in_json_is_read),
        cmocka_unit_test(test_errors_point_at_the_character_and_say_what_was_expected),
        cmocka_unit_test(test_a_misspelt_word_has_a_suggestion_and_a_line),
        cmocka_unit_test(test_json_errors_have_a_pointer_to_the_place),
        cmocka_unit_test(test_limits_are_errors),
        cmocka_unit_test(test_patterns_are_found_where_they_are),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}

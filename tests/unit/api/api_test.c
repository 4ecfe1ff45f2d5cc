/*
 * api_test.c - the table of routes, the document made from it, cursors, limits, and CleverTap's
 * questions as trees. What needs a running server is in tests/scenario.
 */
#include "api/api_internal.h"
#include "api/clevertap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

/* --- the table -------------------------------------------------------------------- */

static void every_route_has_a_name_of_its_own_and_says_what_it_needs(void **state)
{
    (void)state;
    for (size_t i = 0; i < api_route_count; i++) {
        const struct route *route = &api_routes[i];
        assert_non_null(route->handle);
        assert_true(route->http.pattern[0] == '/');
        assert_true(strlen(route->summary) > 5);
        assert_true(route->needs >= NEEDS_NOTHING && route->needs <= NEEDS_MANAGE);
        for (size_t k = 0; k < i; k++) {
            assert_string_not_equal(route->name, api_routes[k].name);
            assert_true(route->http.method != api_routes[k].http.method ||
                        strcmp(route->http.pattern, api_routes[k].http.pattern) != 0);
        }
    }
}

static void a_literal_comes_before_a_name_of_the_same_place(void **state)
{
    (void)state;
    size_t merge = 0;
    size_t user = 0;
    for (size_t i = 0; i < api_route_count; i++) {
        if (strcmp(api_routes[i].http.pattern, "/v1/users/merge") == 0)
            merge = i;
        if (strcmp(api_routes[i].http.pattern, "/v1/users/{id}") == 0 && !user)
            user = i;
    }
    assert_true(merge && user && merge < user);
}

static void the_document_is_json_with_every_route(void **state)
{
    (void)state;
    struct buf text;
    struct json_parser *parser;
    struct json_value root;
    struct json_value paths;
    struct json_value path;
    struct json_problem problem;
    static const char *const methods[] = { "get", "head", "post", "put", "patch", "delete" };
    buf_init(&text, 4 << 20);
    api_put_openapi(&text);
    assert_int_equal(buf_err(&text).code, ERR_NONE);
    assert_int_equal(json_parser_new(4 << 20, 64, &parser).code, ERR_NONE);
    assert_true(json_parse(parser, buf_bytes(&text), &root, &problem));
    assert_true(json_find(root, BYTES("paths"), &paths));
    for (size_t i = 0; i < api_route_count; i++) {
        assert_true(json_find(paths, bytes_from(api_routes[i].http.pattern), &path));
        assert_true(json_find(path, bytes_from(methods[api_routes[i].http.method]), &root));
    }
    json_parser_free(parser);
    buf_done(&text);
}

/* --- cursors ------------------------------------------------------------------------- */

struct fixture {
    struct clock_sim sim;
    struct api api;
    struct call call;
    struct arena arena;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    clock_sim_init(&f->sim, INT64_C(1760000000000));
    f->api.config.clock = &f->sim.clock;
    memset(f->api.cursor_key, 7, sizeof f->api.cursor_key);
    f->call.api = &f->api;
    memcpy(f->call.principal.project, "p_one", 6);
    arena_init(&f->arena, 1 << 20);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    arena_done(&f->arena);
    free(f);
    return 0;
}

static void a_cursor_comes_back_whole_until_its_end(void **state)
{
    struct fixture *f = *state;
    struct cursor cursor = { .kind = "users",
                             .numbers = { 1, UINT64_MAX, 0, 4 },
                             .text = BYTES("asha") };
    struct cursor back = { .kind = "users" };
    struct buf text;
    buf_init(&text, 4096);
    cursor_put(&f->api, &f->call, &cursor, 1000, &text);
    assert_true(cursor_get(&f->api, &f->call, buf_bytes(&text), &f->arena, &back));
    assert_memory_equal(back.numbers, cursor.numbers, sizeof back.numbers);
    assert_true(bytes_equal(back.text, cursor.text));
    clock_sim_advance(&f->sim, 1001);
    assert_false(cursor_get(&f->api, &f->call, buf_bytes(&text), &f->arena, &back));
    buf_done(&text);
}

static void a_cursor_is_of_one_route_one_project_and_one_key(void **state)
{
    struct fixture *f = *state;
    struct cursor cursor = { .kind = "users", .numbers = { 1 } };
    struct cursor back = { .kind = "audit" };
    struct buf text;
    buf_init(&text, 4096);
    cursor_put(&f->api, &f->call, &cursor, 1000, &text);
    assert_false(cursor_get(&f->api, &f->call, buf_bytes(&text), &f->arena, &back));
    back.kind = "users";
    for (size_t i = 0; i < text.len; i++) {
        uint8_t kept = text.ptr[i];
        text.ptr[i] = kept == 'A' ? 'B' : 'A';
        assert_false(cursor_get(&f->api, &f->call, buf_bytes(&text), &f->arena, &back));
        text.ptr[i] = kept;
        assert_false(cursor_get(&f->api, &f->call, bytes_of(text.ptr, i), &f->arena, &back));
    }
    memcpy(f->call.principal.project, "p_two", 6);
    assert_false(cursor_get(&f->api, &f->call, buf_bytes(&text), &f->arena, &back));
    memcpy(f->call.principal.project, "p_one", 6);
    f->api.cursor_key[0] ^= 1;
    assert_false(cursor_get(&f->api, &f->call, buf_bytes(&text), &f->arena, &back));
    buf_done(&text);
}

/* --- CleverTap's questions ---------------------------------------------------------------- */

struct question {
    struct json_parser *parser;
    struct catalog *catalog;
    struct json_value body;
    struct ct_base base;
    struct buf tree;
};

static void question_begin(struct question *q, const char *body)
{
    struct json_problem problem;
    uint32_t event;
    bool is_new;
    assert_int_equal(json_parser_new(1 << 20, 64, &q->parser).code, ERR_NONE);
    assert_true(json_parse(q->parser, bytes_from(body), &q->body, &problem));
    assert_int_equal(catalog_new(&q->catalog).code, ERR_NONE);
    assert_int_equal(
        catalog_event_put(q->catalog, BYTES("Item Purchased"), false, &event, &is_new).code,
        ERR_NONE);
    buf_init(&q->tree, 1 << 20);
    assert_true(ct_take_base(NULL, q->catalog, q->body, false, &q->base));
}

static void question_end(struct question *q)
{
    json_parser_free(q->parser);
    catalog_free(q->catalog);
    buf_done(&q->tree);
}

static void expect_where(const char *body, const char *tree)
{
    struct question q;
    question_begin(&q, body);
    assert_true(ct_put_where(NULL, q.body, &q.base, &q.tree));
    buf_put_u8(&q.tree, 0);
    assert_string_equal((const char *)q.tree.ptr, tree);
    question_end(&q);
}

static void expect_condition(const char *body, const char *tree)
{
    struct question q;
    question_begin(&q, body);
    assert_true(ct_put_condition(NULL, q.catalog, q.body, &q.base, &q.tree));
    buf_put_u8(&q.tree, 0);
    assert_string_equal((const char *)q.tree.ptr, tree);
    question_end(&q);
}

static void names_compare_without_case_and_spaces_and_lists_mean_any(void **state)
{
    (void)state;
    expect_where(
        "{\"event_name\":\"itempurchased\",\"from\":20260101,\"to\":20260131,\"event_properties\":["
        "{\"name\":\"D\",\"value\":[\"a\",\"b\"]},{\"name\":\"A\",\"operator\":\"greater_than\","
        "\"value\":5}]}",
        "{\"all\":[{\"event\":\"Item Purchased\"},{\"any\":["
        "{\"property\":\"D\",\"operator\":\"eq\",\"value\":\"a\"},"
        "{\"property\":\"D\",\"operator\":\"eq\",\"value\":\"b\"}]},"
        "{\"property\":\"A\",\"operator\":\"gt\",\"value\":5}]}");
}

static void true_as_text_means_the_boolean_too(void **state)
{
    (void)state;
    expect_where("{\"event_name\":\"-1\",\"from\":20260101,\"to\":20260131,\"event_properties\":["
                 "{\"name\":\"P\",\"operator\":\"equals\",\"value\":\"True\"}]}",
                 "{\"all\":[{\"all\":[]},{\"any\":[{\"property\":\"P\",\"operator\":\"eq\","
                 "\"value\":\"True\"},"
                 "{\"property\":\"P\",\"operator\":\"eq\",\"value\":true}]}]}");
}

static void a_negated_operator_is_a_not(void **state)
{
    (void)state;
    expect_where("{\"event_name\":\"-1\",\"from\":20260101,\"to\":20260131,\"event_properties\":["
                 "{\"name\":\"P\",\"operator\":\"does_not_exist\"},"
                 "{\"name\":\"Q\",\"operator\":\"not_equals\",\"value\":[1,2]}]}",
                 "{\"all\":[{\"all\":[]},{\"not\":{\"property\":\"P\",\"operator\":\"exists\"}},"
                 "{\"not\":{\"any\":[{\"property\":\"Q\",\"operator\":\"eq\",\"value\":1},"
                 "{\"property\":\"Q\",\"operator\":\"eq\",\"value\":2}]}}]}");
}

static void profiles_are_asked_by_deeds_and_fields(void **state)
{
    (void)state;
    expect_condition(
        "{\"event_name\":\"Item Purchased\",\"from\":20260101,\"to\":20260131,"
        "\"common_profile_properties\":{\"profile_fields\":[{\"name\":\"Plan\",\"operator\":"
        "\"equals\","
        "\"value\":\"gold\"}],\"demographics\":[{\"name\":\"gender\",\"value\":\"F\"}]},"
        "\"advanced_query\":{\"did_not_all\":[{\"event_name\":\"Item Purchased\",\"from\":20260201,"
        "\"to\":20260228,\"event_properties\":[{\"name\":\"A\",\"value\":1}]}]}}",
        "{\"all\":[{\"event\":\"Item "
        "Purchased\",\"time\":{\"between\":[\"2026-01-01\",\"2026-01-31\"]}},"
        "{\"profile\":\"Plan\",\"operator\":\"eq\",\"value\":\"gold\"},"
        "{\"profile\":\"Gender\",\"operator\":\"eq\",\"value\":\"F\"},"
        "{\"not\":{\"event\":\"Item "
        "Purchased\",\"where\":{\"all\":[{\"property\":\"A\",\"operator\":\"eq\","
        "\"value\":1}]},\"time\":{\"between\":[\"2026-02-01\",\"2026-02-28\"]}}}]}");
    /* Without a base: any event of the last 365 days. */
    expect_condition("{}", "{\"all\":[{\"any_event\":true,\"time\":{\"in_last\":\"365d\"}}]}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_route_has_a_name_of_its_own_and_says_what_it_needs),
        cmocka_unit_test(a_literal_comes_before_a_name_of_the_same_place),
        cmocka_unit_test(the_document_is_json_with_every_route),
        cmocka_unit_test_setup_teardown(a_cursor_comes_back_whole_until_its_end, setup, teardown),
        cmocka_unit_test_setup_teardown(a_cursor_is_of_one_route_one_project_and_one_key, setup,
                                        teardown),
        cmocka_unit_test(names_compare_without_case_and_spaces_and_lists_mean_any),
        cmocka_unit_test(true_as_text_means_the_boolean_too),
        cmocka_unit_test(a_negated_operator_is_a_not),
        cmocka_unit_test(profiles_are_asked_by_deeds_and_fields),
    };
    return cmocka_run_group_tests_name("api", tests, NULL, NULL);
}

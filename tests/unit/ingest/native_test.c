/*
 * native_test.c - /v1/events, /v1/profiles, /v1/identify.
 */
#include "ingest_help.h"

typedef struct err request_fn(struct ingest *in, const struct ingest_rules *rules,
                              enum ingest_format format, struct bytes body,
                              struct command_writer *writer, struct ingest_result *result_out);

static void send_bytes(struct fixture *fx, request_fn *request, enum ingest_format format,
                       struct bytes body)
{
    assert_int_equal(request(fx->in, &fx->rules, format, body, fx->writer, &fx->result).code,
                     ERR_NONE);
    keep_answer(fx);
}

static void events(struct fixture *fx, const char *body)
{
    send_bytes(fx, ingest_events, INGEST_JSON, bytes_from(body));
}

static void must_fail(struct fixture *fx, int code, const char *type, const char *pointer)
{
    assert_int_equal(fx->result.problem_count, 1);
    assert_int_equal(fx->result.processed, 0);
    assert_string_equal(fx->result.problems[0].type, type);
    assert_int_equal(fx->result.problems[0].code, code);
    must_equal(fx->result.problems[0].pointer, pointer);
}

#define ONE "0 kind=1 t=1767225600000 1:u E a=1\n"

static void events_come_as_one_record_an_array_an_object_or_lines(void **state)
{
    struct fixture *fx = *state;
    static const char record[] = "{\"identity\":\"u\",\"event\":\"E\",\"properties\":{\"a\":1}}";
    char body[512];
    events(fx, record);
    assert_string_equal(COMMANDS(fx), ONE);
    assert_string_equal(REPLY(fx), "{\"status\":\"success\",\"processed\":1,\"unprocessed\":[]}");
    (void)snprintf(body, sizeof body, "[%s]", record);
    events(fx, body);
    assert_string_equal(COMMANDS(fx), ONE);
    (void)snprintf(body, sizeof body, "{\"events\":[%s]}", record);
    events(fx, body);
    assert_string_equal(COMMANDS(fx), ONE);
    (void)snprintf(body, sizeof body, "\n%s\r\n  \n%s", record, record);
    send_bytes(fx, ingest_events, INGEST_NDJSON, bytes_from(body));
    assert_string_equal(COMMANDS(fx), ONE "1 kind=1 t=1767225600000 1:u E a=1\n");
}

static void every_field_of_an_event_arrives(void **state)
{
    struct fixture *fx = *state;
    events(fx, "{\"event_id\":\"x-1\",\"identity\":\"u\",\"device_id\":\"d\",\"email\":\"A@x.io\","
               "\"phone\":\"+49 30 123456\",\"event\":\"Sign Up!\",\"time\":"
               "\"2025-12-31T23:59:59.5+01:00\",\"properties\":{\"a.b\":{\"c\":\"$D_86400\"},"
               "\"Items\":[{\"q\":1},{\"q\":2}],\"tags\":[\"x\"],\"n\":null}}");
    assert_string_equal(COMMANDS(fx),
                        "0 kind=1 t=1767221999500 1:u 2:d 3:A@x.io 4:+4930123456 Sign Up! id:x-1 "
                        "a.b.c=@86400000 tags=['x'] { q=1 } { q=2 }\n");
}

static void times_are_rfc3339_or_epochs_told_apart_by_size(void **state)
{
    struct fixture *fx = *state;
    static const struct {
        const char *time;
        int64_t time_ms; /* -1: refused */
    } cases[] = {
        { "1767225600", NOW_MS },
        { "1767225600123", NOW_MS + 123 },
        { "1767225600.25", NOW_MS + 250 },
        { "null", NOW_MS },
        { "\"2026-01-01T00:00:00Z\"", NOW_MS },
        { "\"2026-01-01T05:30:00+05:30\"", NOW_MS },
        { "\"2026-01-01T00:00:00.001Z\"", NOW_MS + 1 },
        { "0", 0 },
        { "99999999999", -1 },
        { "100000000000", 100000000000 },
        { "\"2026-01-01T00:00:00\"", -1 },
        { "\"2026-01-01\"", -1 },
        { "\"1767225600\"", -1 },
        { "\"soon\"", -1 },
        { "true", -1 },
        { "\"2026-01-03T00:00:00Z\"", -1 },
        { "\"1969-12-31T00:00:00Z\"", -1 },
        { "-5", -1 },
        { "1e300", -1 },
        { "18446744073709551615", -1 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char body[256];
        char expected[128];
        (void)snprintf(body, sizeof body, "{\"identity\":\"u\",\"event\":\"E\",\"time\":%s}",
                       cases[i].time);
        events(fx, body);
        if (cases[i].time_ms < 0) {
            must_fail(fx, 525, "time_invalid", "/time");
            continue;
        }
        (void)snprintf(expected, sizeof expected, "0 kind=1 t=%lld 1:u E\n",
                       (long long)cases[i].time_ms);
        assert_string_equal(COMMANDS(fx), expected);
    }
}

static void unknown_field_is_told_with_its_place(void **state)
{
    struct fixture *fx = *state;
    events(fx, "[{\"identity\":\"u\",\"event\":\"E\"},{\"identity\":\"u\",\"evnt\":\"E\"}]");
    assert_string_equal(REPLY(fx), "{\"status\":\"partial\",\"processed\":1,\"unprocessed\":[{"
                                   "\"index\":1,\"code\":512,\"type\":\"unknown_field\",\"error\":"
                                   "\"Unknown field\",\"pointer\":\"/evnt\",\"record\":{"
                                   "\"identity\":\"u\",\"evnt\":\"E\"}}]}");
    send_bytes(fx, ingest_profiles, INGEST_JSON,
               BYTES("{\"identity\":\"u\",\"event\":\"E\",\"properties\":{}}"));
    must_fail(fx, 512, "unknown_field", "/event");
    send_bytes(fx, ingest_identify, INGEST_JSON,
               BYTES("{\"device_id\":\"d\",\"identity\":\"u\",\"properties\":{}}"));
    must_fail(fx, 512, "unknown_field", "/properties");
    events(fx, "{\"events\":[],\"dry\":1}");
    assert_true(fx->result.is_refused);
    must_fail(fx, 400, "unknown_field", "/dry");
}

static void request_without_a_good_record_has_status_422(void **state)
{
    struct fixture *fx = *state;
    events(fx, "{\"identity\":\"u\"}");
    assert_int_equal(fx->result.status, 422);
    must_fail(fx, 509, "event_missing", "/event");
    must_start(REPLY(fx), "{\"status\":\"fail\",\"processed\":0,");
    events(fx, "[{\"identity\":\"u\"},{\"identity\":\"u\",\"event\":\"E\"}]");
    assert_int_equal(fx->result.status, 200);
}

static void wrong_fields_are_told(void **state)
{
    struct fixture *fx = *state;
    static const struct {
        const char *record;
        int code;
        const char *type;
        const char *pointer;
    } cases[] = {
        { "7", 524, "record_invalid", "" },
        { "{\"event\":\"E\"}", 523, "identity_missing", "" },
        { "{\"identity\":true,\"event\":\"E\"}", 523, "identity_invalid", "/identity" },
        { "{\"identity\":\"\",\"event\":\"E\"}", 523, "identity_missing", "/identity" },
        { "{\"identity\":\"u\",\"event\":7}", 509, "event_invalid", "/event" },
        { "{\"identity\":\"u\",\"event\":\"\"}", 509, "event_missing", "/event" },
        { "{\"identity\":\"u\",\"event\":\"$x\"}", 509, "event_invalid", "/event" },
        { "{\"identity\":\"u\",\"event\":\"Gone\"}", 528, "event_discarded", "/event" },
        { "{\"email\":\"x\",\"event\":\"E\"}", 515, "email_invalid", "/email" },
        { "{\"phone\":\"x\",\"event\":\"E\"}", 516, "phone_invalid", "/phone" },
        { "{\"device_id\":\"\",\"event\":\"E\"}", 526, "device_invalid", "/device_id" },
        { "{\"identity\":\"u\",\"event\":\"E\",\"event_id\":\"\"}", 512, "event_id_invalid",
          "/event_id" },
        { "{\"identity\":\"u\",\"event\":\"E\",\"identity\":\"u\"}", 512, "field_twice",
          "/identity" },
        { "{\"identity\":\"u\",\"event\":\"E\",\"properties\":[]}", 512, "value_invalid",
          "/properties" },
        { "{\"identity\":\"u\",\"event\":\"E\",\"properties\":{\"$a\":1}}", 512, "property_invalid",
          "/properties/$a" },
        { "{\"identity\":\"u\",\"event\":\"E\",\"properties\":{\"a\":{\"b\":1},\"a.b\":2}}", 512,
          "property_twice", "/properties" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char body[256];
        (void)snprintf(body, sizeof body, "[%s]", cases[i].record);
        events(fx, body);
        must_fail(fx, cases[i].code, cases[i].type, cases[i].pointer);
    }
}

static void names_and_values_may_be_what_clevertap_forbids(void **state)
{
    struct fixture *fx = *state;
    events(fx, "{\"identity\":\"null\",\"event\":\"App Launched\",\"properties\":{\"a:b\":"
               "\"100%\",\"c.d\":1}}");
    assert_string_equal(COMMANDS(fx), "0 kind=1 t=1767225600000 1:null App Launched a:b='100%' "
                                      "c.d=1\n");
    struct buf body;
    buf_init(&body, 1 << 20);
    for (int len = 8192; len <= 8193; len++) {
        buf_reset(&body);
        buf_printf(&body, "{\"identity\":\"u\",\"event\":\"E\",\"properties\":{\"a\":\"%0*d\"}}",
                   len, 0);
        send_bytes(fx, ingest_events, INGEST_JSON, buf_bytes(&body));
        assert_int_equal(fx->result.processed, len == 8192);
    }
    buf_done(&body);
}

static void limits_of_the_project_count(void **state)
{
    struct fixture *fx = *state;
    fx->rules.limits.name_bytes = 3;
    fx->rules.limits.string_bytes = 4;
    fx->rules.limits.properties_per_event = 2;
    fx->rules.limits.identity_bytes = 5;
    fx->rules.limits.list_items = 2;
#define BODY(props) "{\"identity\":\"u\",\"event\":\"E\",\"properties\":{" props "}}"
    events(fx, BODY("\"abc\":\"1234\",\"b\":[1,2]"));
    assert_int_equal(fx->result.processed, 1);
    events(fx, BODY("\"abcd\":1"));
    must_fail(fx, 512, "property_invalid", "/properties/abcd");
    events(fx, BODY("\"a\":{\"bc\":1}"));
    must_fail(fx, 512, "property_invalid", "/properties/a/bc");
    events(fx, BODY("\"a\":\"12345\""));
    must_fail(fx, 512, "value_too_long", "/properties/a");
    events(fx, BODY("\"a\":[1,2,3]"));
    must_fail(fx, 512, "list_too_long", "/properties/a");
    events(fx, BODY("\"a\":1,\"b\":1,\"c\":1"));
    must_fail(fx, 522, "too_many_properties", "/properties/c");
    events(fx, "{\"identity\":\"123456\",\"event\":\"E\"}");
    must_fail(fx, 523, "identity_invalid", "/identity");
    events(fx, "{\"identity\":\"u\",\"event\":\"four\"}");
    must_fail(fx, 509, "event_invalid", "/event");
}

static void profiles_take_operators_and_keep_what_reserved_fields_would_refuse(void **state)
{
    struct fixture *fx = *state;
    send_bytes(fx, ingest_profiles, INGEST_JSON,
               BYTES("{\"profiles\":[{\"identity\":\"u\",\"time\":1767225599,\"properties\":{"
                     "\"Age\":\"65+\",\"plan\":\"pro\",\"n\":{\"$incr\":1},\"address\":{\"city\":"
                     "\"Pune\"},\"Email\":\"no\",\"Phone\":\"+9198123456\"}},"
                     "{\"email\":\"a@b.io\",\"properties\":{\"x\":{\"$delete\":1}}}]}"));
    assert_string_equal(COMMANDS(fx),
                        "0 kind=2 t=1767225599000 1:u 4:+9198123456 Age='65+' plan='pro' nincr1 "
                        "address.city='Pune' Email='no' Phone='+9198123456'\n"
                        "1 kind=2 t=1767225600000 3:a@b.io xdeletenull\n");
    send_bytes(fx, ingest_profiles, INGEST_JSON, BYTES("{\"identity\":\"u\"}"));
    must_fail(fx, 512, "properties_missing", "/properties");
    send_bytes(fx, ingest_profiles, INGEST_JSON,
               BYTES("{\"identity\":\"u\",\"properties\":{\"a\":{\"$set\":1,\"b\":2}}}"));
    must_fail(fx, 512, "operator_invalid", "/properties/a");
}

static void identify_names_a_device_and_who_logged_in(void **state)
{
    struct fixture *fx = *state;
    send_bytes(fx, ingest_identify, INGEST_JSON,
               BYTES("{\"identify\":[{\"device_id\":\"d\",\"identity\":\"u\"},"
                     "{\"device_id\":\"d\",\"email\":\"a@b.io\"}]}"));
    assert_string_equal(COMMANDS(fx), "0 kind=3 t=1767225600000 1:u 2:d\n"
                                      "1 kind=3 t=1767225600000 2:d 3:a@b.io\n");
    send_bytes(fx, ingest_identify, INGEST_JSON, BYTES("{\"identity\":\"u\"}"));
    must_fail(fx, 526, "device_missing", "/device_id");
    send_bytes(fx, ingest_identify, INGEST_JSON, BYTES("{\"device_id\":\"d\"}"));
    must_fail(fx, 523, "identity_missing", "");
}

static void bad_line_is_told_with_its_number_and_the_rest_kept(void **state)
{
    struct fixture *fx = *state;
    send_bytes(fx, ingest_events, INGEST_NDJSON,
               BYTES("{\"identity\":\"u\",\"event\":\"A\"}\n{\"identity\":\n"
                     "{\"identity\":\"u\"}\n{\"identity\":\"u\",\"event\":\"B\"}\n"));
    assert_string_equal(COMMANDS(fx), "0 kind=1 t=1767225600000 1:u A\n"
                                      "1 kind=1 t=1767225600000 1:u B\n");
    assert_int_equal(fx->result.problem_count, 2);
    assert_int_equal(fx->result.problems[0].index, 1);
    assert_string_equal(fx->result.problems[0].type, "malformed_json");
    assert_int_equal(fx->result.problems[1].index, 2);
    assert_non_null(strstr(REPLY(fx), "\"record\":\"{\\\"identity\\\":\""));
    assert_non_null(strstr(REPLY(fx), "\"record\":{\"identity\":\"u\"}"));
}

static void request_of_too_many_records_is_refused_whole(void **state)
{
    struct fixture *fx = *state;
    struct buf body;
    buf_init(&body, 16 << 20);
    for (int format = INGEST_JSON; format <= INGEST_NDJSON; format++) {
        for (int count = 10000; count <= 10001; count++) {
            buf_reset(&body);
            for (int i = 0; i < count; i++)
                buf_printf(&body, "%s{\"identity\":\"u\",\"event\":\"E\"}",
                           format == INGEST_NDJSON ? "\n"
                           : i                     ? ","
                                                   : "[");
            if (format == INGEST_JSON)
                buf_put_u8(&body, ']');
            send_bytes(fx, ingest_events, (enum ingest_format)format, buf_bytes(&body));
            assert_int_equal(fx->result.is_refused, count == 10001);
            assert_int_equal(fx->result.status, count == 10001 ? 400 : 200);
        }
    }
    buf_done(&body);
}

static void malformed_body_is_refused_with_the_place_where_it_breaks(void **state)
{
    struct fixture *fx = *state;
    events(fx, "[{\"identity\":\"u\",\"event\":tru}]");
    assert_true(fx->result.is_refused);
    assert_int_equal(fx->result.status, 400);
    assert_in_range(fx->result.error_offset, 24, 29);
    must_fail(fx, 400, "malformed_json", "");
    events(fx, "{\"identity\":\"\xff\",\"event\":\"E\"}");
    assert_true(fx->result.is_refused);
    events(fx, "\"text\"");
    must_fail(fx, 400, "body_invalid", "");
    events(fx, "{\"events\":{}}");
    must_fail(fx, 400, "body_invalid", "/events");
}

static void body_past_the_limit_is_413(void **state)
{
    struct fixture *fx = *state;
    struct ingest *small = NULL;
    assert_int_equal(ingest_new(20, &small).code, ERR_NONE);
    assert_int_equal(ingest_events(small, &fx->rules, INGEST_JSON,
                                   BYTES("{\"identity\":\"u\",\"event\":\"E\"}"), fx->writer,
                                   &fx->result)
                         .code,
                     ERR_NONE);
    assert_int_equal(fx->result.status, 413);
    ingest_free(small);
}

static void deep_nesting_is_refused(void **state)
{
    struct fixture *fx = *state;
    struct buf body;
    buf_init(&body, 16 << 20);
    buf_printf(&body, "{\"identity\":\"u\",\"event\":\"E\",\"properties\":");
    for (int i = 0; i < 100000; i++)
        buf_printf(&body, "{\"a\":");
    buf_printf(&body, "1");
    for (int i = 0; i <= 100000; i++)
        buf_printf(&body, "}");
    send_bytes(fx, ingest_events, INGEST_JSON, buf_bytes(&body));
    assert_int_equal(fx->result.status, 400);
    buf_done(&body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(events_come_as_one_record_an_array_an_object_or_lines),
        TEST(every_field_of_an_event_arrives),
        TEST(times_are_rfc3339_or_epochs_told_apart_by_size),
        TEST(unknown_field_is_told_with_its_place),
        TEST(request_without_a_good_record_has_status_422),
        TEST(wrong_fields_are_told),
        TEST(names_and_values_may_be_what_clevertap_forbids),
        TEST(limits_of_the_project_count),
        TEST(profiles_take_operators_and_keep_what_reserved_fields_would_refuse),
        TEST(identify_names_a_device_and_who_logged_in),
        TEST(bad_line_is_told_with_its_number_and_the_rest_kept),
        TEST(request_of_too_many_records_is_refused_whole),
        TEST(malformed_body_is_refused_with_the_place_where_it_breaks),
        TEST(body_past_the_limit_is_413),
        TEST(deep_nesting_is_refused),
    };
    return cmocka_run_group_tests_name("ingest native", tests, NULL, NULL);
}

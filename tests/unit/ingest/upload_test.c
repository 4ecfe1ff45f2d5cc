/*
 * upload_test.c - /1/upload as CleverTap's clients expect it: reference/clevertap.md 2.1, 2.2, 7.3 to
 * 7.5 and the behaviour checks 14.1 to 14.8.
 */
#include "ingest_help.h"

static void upload_bytes(struct fixture *fx, struct bytes body)
{
    assert_int_equal(ingest_upload(fx->in, &fx->rules, body, fx->writer, &fx->result).code,
                     ERR_NONE);
    keep_answer(fx);
}

static void upload(struct fixture *fx, const char *body)
{
    upload_bytes(fx, bytes_from(body));
}

/* One record; the code of its problem, 0 when it was taken. */
static int code_of(struct fixture *fx, const char *record)
{
    struct buf body;
    buf_init(&body, 1 << 20);
    buf_printf(&body, "{\"d\":[%s]}", record);
    upload_bytes(fx, buf_bytes(&body));
    buf_done(&body);
    assert_int_equal(fx->result.status, 200);
    assert_int_equal(fx->result.processed + fx->result.problem_count, 1);
    return fx->result.problem_count ? fx->result.problems[0].code : 0;
}

static int event_data_code(struct fixture *fx, const char *data)
{
    char record[4096];
    (void)snprintf(record, sizeof record,
                   "{\"type\":\"event\",\"identity\":\"u\",\"evtName\":\"E\",\"evtData\":%s}",
                   data);
    return code_of(fx, record);
}

static int profile_data_code(struct fixture *fx, const char *data)
{
    char record[4096];
    (void)snprintf(record, sizeof record,
                   "{\"type\":\"profile\",\"identity\":\"u\",\"profileData\":%s}", data);
    return code_of(fx, record);
}

static void mixed_records_become_commands_in_order(void **state)
{
    struct fixture *fx = *state;
    upload(fx,
           "{\"d\":[{\"type\":\"event\",\"identity\":\"u42\",\"ts\":1767225600,\"evtName\":"
           "\"Product Viewed\",\"evtData\":{\"Name\":\"Lamp\",\"Price\":1299.5,\"InStock\":true,"
           "\"ShipBy\":\"$D_1767312000\"}},"
           "{\"type\":\"event\",\"identity\":\"u42\",\"evtName\":\"Charged\",\"evtData\":{"
           "\"Amount\":300,\"Currency\":\"INR\",\"Items\":[{\"Category\":\"books\",\"Quantity\":1},"
           "{\"Category\":\"books\",\"Quantity\":4}],\"Charged ID\":\"ord-9\"}},"
           "{\"type\":\"profile\",\"identity\":\"u42\",\"ts\":1767225500,\"profileData\":{"
           "\"Name\":\"Asha\",\"Email\":\"a@x.io\",\"Phone\":\"+919812345678\",\"Gender\":\"F\","
           "\"DOB\":\"$D_631152000\",\"MSG-email\":true,\"Tz\":\"Asia/Kolkata\",\"Plan\":\"Gold\","
           "\"Points\":{\"$incr\":50},\"Interests\":{\"$add\":[\"chess\"]},"
           "\"OldKey\":{\"$delete\":1}}},"
           "{\"type\":\"token\",\"objectId\":\"-g55b7\",\"tokenData\":{\"id\":\"abc\","
           "\"type\":\"fcm\"}}]}");
    assert_string_equal(
        COMMANDS(fx),
        "0 kind=1 t=1767225600000 1:u42 Product Viewed(folded) Name='Lamp' Price=1299.5r "
        "InStock=true ShipBy=@1767312000000\n"
        "1 kind=1 t=1767225600000 1:u42 Charged(folded) Amount=300 Currency='INR' "
        "Charged ID='ord-9' { Category='books' Quantity=1 } { Category='books' Quantity=4 }\n"
        "2 kind=2 t=1767225500000 1:u42 3:a@x.io 4:+919812345678 Name='Asha' Email='a@x.io' "
        "Phone='+919812345678' Gender='F' DOB=@631152000000 MSG-email=true Tz='Asia/Kolkata' "
        "Plan='Gold' Pointsincr50 Interests+=['chess'] OldKeydeletenull\n"
        "3 kind=4 t=1767225600000 2:-g55b7 id='abc' type='fcm'\n");
    assert_string_equal(REPLY(fx), "{\"status\":\"success\",\"processed\":4,\"unprocessed\":[]}");
}

static void record_without_event_name_is_told_with_509_and_echoed(void **state)
{
    struct fixture *fx = *state;
    upload(fx, "{\"d\":[{\"type\":\"event\",\"identity\":\"a\",\"evtName\":\"A\"},"
               "{\"type\":\"event\",\"identity\":\"user123\",\"evtData\":{\"revenue\":4.99}},"
               "{\"type\":\"event\",\"identity\":\"a\",\"evtName\":\"B\"}]}");
    assert_int_equal(fx->result.status, 200);
    assert_string_equal(REPLY(fx),
                        "{\"status\":\"partial\",\"processed\":2,\"unprocessed\":[{\"status\":"
                        "\"fail\",\"code\":509,\"error\":\"Event Name is incorrect. ErrorCode: 509 "
                        "- Event name is mandatory. Skipped record number : 2\",\"record\":{"
                        "\"type\":\"event\",\"identity\":\"user123\",\"evtData\":{\"revenue\":4.99}"
                        "}}]}");
    assert_string_equal(COMMANDS(fx), "0 kind=1 t=1767225600000 1:a A(folded)\n"
                                      "1 kind=1 t=1767225600000 1:a B(folded)\n");
}

static void upload_whose_records_are_all_bad_fails_with_status_200(void **state)
{
    struct fixture *fx = *state;
    upload(fx, "{\"d\":[{\"type\":\"foo\",\"identity\":\"a\"}]}");
    assert_int_equal(fx->result.status, 200);
    must_start(REPLY(fx), "{\"status\":\"fail\",\"processed\":0,\"unprocessed\":[{");
    assert_string_equal(COMMANDS(fx), "");
}

static void thousand_records_are_taken_and_one_more_refuses_all(void **state)
{
    struct fixture *fx = *state;
    struct buf body;
    buf_init(&body, 1 << 20);
    for (int count = 1000; count <= 1001; count++) {
        buf_reset(&body);
        buf_printf(&body, "{\"d\":[");
        for (int i = 0; i < count; i++)
            buf_printf(&body,
                       i % 2 ? "%s{\"type\":\"event\",\"identity\":\"u%d\",\"evtName\":\"E\"}"
                             : "%s{\"type\":\"profile\",\"identity\":\"u%d\",\"profileData\":{}}",
                       i ? "," : "", i % 7);
        buf_printf(&body, "]}");
        upload_bytes(fx, buf_bytes(&body));
        assert_int_equal(fx->result.is_refused, count == 1001);
        assert_int_equal(fx->result.processed, count == 1001 ? 0 : 1000);
    }
    assert_int_equal(fx->result.status, 400);
    assert_int_equal(command_writer_count(fx->writer), 0);
    assert_string_equal(fx->result.problems[0].type, "too_many_records");
    buf_done(&body);
}

static void body_that_is_no_upload_is_refused_whole(void **state)
{
    struct fixture *fx = *state;
    static const char *const bodies[] = {
        "",
        "{",
        "[]",
        "{}",
        "{\"d\":{}}",
        "{\"d\":1}",
        "{\"d\":[1,",
        "nonsense",
        "{\"d\":[NaN]}",
        "{\"d\":[1e999]}",
        "null",
        "\"\\ud800\"",
    };
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        upload(fx, bodies[i]);
        assert_true(fx->result.is_refused);
        assert_int_equal(fx->result.status, 400);
        must_start(REPLY(fx), "{\"status\":\"fail\",\"error\":\"");
        assert_non_null(strstr(REPLY(fx), "\"code\":400"));
    }
    upload(fx, "{\"d\":[]}");
    assert_string_equal(REPLY(fx), "{\"status\":\"success\",\"processed\":0,\"unprocessed\":[]}");
}

static void kinds_identities_and_times_have_their_codes(void **state)
{
    struct fixture *fx = *state;
#define EVENT "\"type\":\"event\",\"evtName\":\"E\""
    assert_int_equal(code_of(fx, "{\"type\":\"foo\",\"identity\":\"a\"}"), 524);
    assert_int_equal(code_of(fx, "{\"identity\":\"a\",\"evtName\":\"E\"}"), 524);
    assert_int_equal(code_of(fx, "17"), 524);
    assert_int_equal(code_of(fx, "{" EVENT "}"), 523);
    assert_int_equal(code_of(fx, "{" EVENT ",\"identity\":\"\"}"), 523);
    assert_int_equal(code_of(fx, "{" EVENT ",\"identity\":null}"), 523);
    assert_int_equal(code_of(fx, "{" EVENT ",\"identity\":\"null\"}"), 523);
    assert_int_equal(code_of(fx, "{" EVENT ",\"identity\":\"N/A\"}"), 523);
    assert_int_equal(code_of(fx, "{" EVENT ",\"identity\":0}"), 523);
    assert_int_equal(code_of(fx, "{\"type\":\"profile\",\"profileData\":{}}"), 523);
    assert_int_equal(code_of(fx, "{" EVENT ",\"identity\":\"a\",\"identity\":\"b\"}"), 512);
    assert_int_equal(code_of(fx, "{" EVENT ",\"objectId\":\"\"}"), 526);
    assert_int_equal(code_of(fx, "{" EVENT ",\"objectId\":\"a b\"}"), 526);
    assert_int_equal(code_of(fx, "{" EVENT ",\"objectId\":7}"), 526);
    assert_int_equal(code_of(fx, "{" EVENT ",\"identity\":\"a\",\"ts\":\"yesterday\"}"), 525);
    assert_int_equal(code_of(fx, "{" EVENT ",\"identity\":\"a\",\"ts\":\"1767225600\"}"), 525);
    assert_int_equal(code_of(fx, "{" EVENT ",\"identity\":\"a\",\"ts\":-1}"), 525);
    assert_int_equal(code_of(fx, "{" EVENT ",\"identity\":\"a\",\"ts\":null}"), 525);
    assert_int_equal(code_of(fx, "{" EVENT ",\"identity\":\"a\",\"ts\":4102444800}"), 525);
    assert_int_equal(code_of(fx, "{" EVENT ",\"identity\":\"a\",\"ts\":18446744073709551615}"),
                     525);
    assert_int_equal(
        code_of(fx, "{\"type\":\"profile\",\"identity\":\"a\",\"ts\":\"x\",\"profileData\":{}}"),
        525);
}

static void every_kind_of_identity_is_taken(void **state)
{
    struct fixture *fx = *state;
    upload(fx, "{\"d\":[{" EVENT ",\"identity\":12345},{" EVENT ",\"objectId\":\"__g1\"},"
               "{" EVENT ",\"FBID\":\"17\"},{" EVENT ",\"GPID\":\"g\"},"
               "{" EVENT ",\"identity\":\"u\",\"objectId\":\"d\",\"source\":\"Segment\"}]}");
    assert_string_equal(COMMANDS(fx), "0 kind=1 t=1767225600000 1:12345 E(folded)\n"
                                      "1 kind=1 t=1767225600000 2:__g1 E(folded)\n"
                                      "2 kind=1 t=1767225600000 1:FBID:17 E(folded)\n"
                                      "3 kind=1 t=1767225600000 1:GPID:g E(folded)\n"
                                      "4 kind=1 t=1767225600000 1:u 2:d E(folded)\n");
}

static void times_are_seconds_or_milliseconds_by_their_size(void **state)
{
    struct fixture *fx = *state;
    upload(fx, "{\"d\":[{" EVENT ",\"identity\":\"a\",\"ts\":1767225600},"
               "{" EVENT ",\"identity\":\"a\",\"ts\":1767225600123},"
               "{" EVENT ",\"identity\":\"a\",\"ts\":1767225600.5},"
               "{" EVENT ",\"identity\":\"a\",\"ts\":0},"
               "{" EVENT ",\"identity\":\"a\",\"ts\":1767311999}]}");
    assert_string_equal(COMMANDS(fx), "0 kind=1 t=1767225600000 1:a E(folded)\n"
                                      "1 kind=1 t=1767225600123 1:a E(folded)\n"
                                      "2 kind=1 t=1767225600500 1:a E(folded)\n"
                                      "3 kind=1 t=0 1:a E(folded)\n"
                                      "4 kind=1 t=1767311999000 1:a E(folded)\n");
}

static int event_name_code(struct fixture *fx, const char *name)
{
    char record[512];
    (void)snprintf(record, sizeof record,
                   "{\"type\":\"event\",\"identity\":\"u\",\"evtName\":\"%s\"}", name);
    return code_of(fx, record);
}

static void system_events_are_reserved_whatever_their_case_and_spaces(void **state)
{
    struct fixture *fx = *state;
    static const char *const reserved[] = {
        "Notification Sent",
        "Notification Viewed",
        "Notification Clicked",
        "Notification Delivered",
        "Notification Replied",
        "UTM Visited",
        "App Launched",
        "App Uninstalled",
        "App Version Changed",
        "Stayed",
        "Reply Sent",
        "Experiment Rendered",
        "Reachable By",
        "Identity Reset",
        "Identity Set",
        "Identity Error",
        "wzrk_d",
        "Notification Bounced",
        "app launched",
        "APPLAUNCHED",
        " App  Launched",
    };
    for (size_t i = 0; i < sizeof reserved / sizeof *reserved; i++)
        assert_int_equal(event_name_code(fx, reserved[i]), 513);
    assert_int_equal(event_name_code(fx, "Charged"), 0);
    assert_int_equal(event_name_code(fx, "App Launched Twice"), 0);
}

static void discarded_event_is_told_with_528_and_asked_once_a_request(void **state)
{
    struct fixture *fx = *state;
    assert_int_equal(event_name_code(fx, "Gone"), 528);
    assert_int_equal(event_name_code(fx, "gone"), 528);
    fx->asked = 0;
    upload(fx, "{\"d\":[{" EVENT ",\"identity\":\"a\"},{" EVENT ",\"identity\":\"a\"},"
               "{" EVENT ",\"identity\":\"b\"}]}");
    assert_int_equal(fx->asked, 1);
    assert_int_equal(fx->result.processed, 3);
}

static void event_names_are_folded_later_and_stored_as_spelled(void **state)
{
    struct fixture *fx = *state;
    upload(fx, "{\"d\":[{\"type\":\"event\",\"identity\":\"a\",\"evtName\":\"Sign Up\"},"
               "{\"type\":\"event\",\"identity\":\"a\",\"evtName\":\"signup\"}]}");
    assert_string_equal(COMMANDS(fx), "0 kind=1 t=1767225600000 1:a Sign Up(folded)\n"
                                      "1 kind=1 t=1767225600000 1:a signup(folded)\n");
}

static void event_names_have_a_length_and_forbidden_characters(void **state)
{
    struct fixture *fx = *state;
    char name[130];
    memset(name, 'n', sizeof name);
    name[120] = '\0';
    assert_int_equal(event_name_code(fx, name), 0);
    name[120] = 'n';
    name[121] = '\0';
    assert_int_equal(event_name_code(fx, name), 509);
    assert_int_equal(event_name_code(fx, ""), 509);
    assert_int_equal(code_of(fx, "{\"type\":\"event\",\"identity\":\"u\",\"evtName\":7}"), 509);
    for (const char *c = "%><!|&.:;$'"; *c; c++) {
        (void)snprintf(name, sizeof name, "a%cb", *c);
        assert_int_equal(event_name_code(fx, name), 509);
    }
    assert_int_equal(event_name_code(fx, "a\\\"b"), 509);
    assert_int_equal(event_name_code(fx, "a\\\\b"), 509);
    assert_int_equal(event_name_code(fx, "a\\u0000b"), 509);
    assert_int_equal(event_name_code(fx, "#1 viewed"), 0);
}

static void property_names_have_a_length_and_forbidden_characters(void **state)
{
    struct fixture *fx = *state;
    char data[300];
    char name[130];
    memset(name, 'n', sizeof name);
    for (int len = 120; len <= 121; len++) {
        (void)snprintf(data, sizeof data, "{\"%.*s\":1}", len, name);
        assert_int_equal(event_data_code(fx, data), len == 120 ? 0 : 512);
        assert_int_equal(profile_data_code(fx, data), len == 120 ? 0 : 512);
    }
    for (const char *c = "%><!|&.:;$'#"; *c; c++) {
        (void)snprintf(data, sizeof data, "{\"a%cb\":1}", *c);
        assert_int_equal(event_data_code(fx, data), 512);
        assert_int_equal(profile_data_code(fx, data), 512);
    }
    assert_int_equal(event_data_code(fx, "{\"\":1}"), 512);
    assert_int_equal(event_data_code(fx, "{\"a\":1,\"a\":2}"), 512);
    assert_int_equal(profile_data_code(fx, "{\"a\":1,\"b\":2,\"a\":1}"), 512);
    assert_string_equal((const char *)fx->result.problems[0].type, "property_twice");
}

static void values_keep_their_types_and_have_a_length(void **state)
{
    struct fixture *fx = *state;
    char data[700];
    char text[520];
    assert_int_equal(event_data_code(fx, "{\"i\":9223372036854775807,\"j\":-9223372036854775808,"
                                         "\"u\":9223372036854775808,\"r\":0.1,\"z\":3.0,\"t\":true,"
                                         "\"f\":false,\"n\":null,\"s\":\"\\u00e4\",\"e\":\"\","
                                         "\"l\":[\"a\",1,2.5,true,null],\"d\":\"$D_-86400\","
                                         "\"m\":\"$D_1767312000123\",\"x\":\"$D_soon\",\"o\":[]}"),
                     0);
    assert_string_equal(COMMANDS(fx),
                        "0 kind=1 t=1767225600000 1:u E(folded) i=9223372036854775807 "
                        "j=-9223372036854775808 u=9.22337203685478e+18r r=0.1r z=3r t=true f=false "
                        "s='\xc3\xa4' e='' l=['a','1','2.5','true'] d=@-86400000 m=@1767312000123 "
                        "x='$D_soon'\n");
    memset(text, 'x', sizeof text);
    for (int len = 512; len <= 513; len++) {
        (void)snprintf(data, sizeof data, "{\"k\":\"%.*s\"}", len, text);
        assert_int_equal(event_data_code(fx, data), len == 512 ? 0 : 512);
        assert_int_equal(profile_data_code(fx, data), len == 512 ? 0 : 512);
        (void)snprintf(data, sizeof data, "{\"k\":[\"%.*s\"]}", len, text);
        assert_int_equal(profile_data_code(fx, data), len == 512 ? 0 : 512);
    }
    assert_int_equal(event_data_code(fx, "[]"), 512);
    assert_int_equal(event_data_code(fx, "\"x\""), 512);
    assert_int_equal(event_data_code(fx, "null"), 0);
    assert_int_equal(event_data_code(fx, "{\"a\":[[1]]}"), 512);
    assert_int_equal(event_data_code(fx, "{\"a\":[{}]}"), 512);
}

static void nested_objects_are_flattened_three_deep(void **state)
{
    struct fixture *fx = *state;
    assert_int_equal(event_data_code(fx, "{\"a\":{\"b\":{\"c\":{\"d\":1},\"e\":\"x\"}},\"f\":{}}"),
                     0);
    assert_string_equal(COMMANDS(fx),
                        "0 kind=1 t=1767225600000 1:u E(folded) a.b.c.d=1 a.b.e='x'\n");
    assert_int_equal(event_data_code(fx, "{\"a\":{\"b\":{\"c\":{\"d\":{\"e\":1}}}}}"), 512);
    assert_int_equal(profile_data_code(fx, "{\"a\":{\"b\":{\"$incr\":1}}}"), 0);
    assert_string_equal(COMMANDS(fx), "0 kind=2 t=1767225600000 1:u a.bincr1\n");
}

static void properties_and_items_have_a_number(void **state)
{
    struct fixture *fx = *state;
    struct buf data;
    buf_init(&data, 1 << 20);
    for (int count = 256; count <= 257; count++) {
        for (int has_items = 0; has_items <= 1; has_items++) {
            buf_reset(&data);
            buf_printf(&data, has_items ? "{\"Items\":[" : "{");
            for (int i = 0; i < count; i++)
                buf_printf(&data, has_items ? "%s{\"p\":%d}" : "%s\"p%d\":1", i ? "," : "", i);
            buf_printf(&data, has_items ? "]}" : "}");
            buf_put_u8(&data, 0);
            struct buf record;
            buf_init(&record, 1 << 20);
            buf_printf(&record,
                       "{\"type\":\"event\",\"identity\":\"u\",\"evtName\":\"Charged\","
                       "\"evtData\":%s}",
                       (const char *)data.ptr);
            buf_put_u8(&record, 0);
            assert_int_equal(code_of(fx, (const char *)record.ptr), count == 256 ? 0 : 522);
            buf_done(&record);
        }
    }
    buf_done(&data);
    assert_int_equal(event_data_code(fx, "{\"Items\":[{\"a\":1},2]}"), 512);
    assert_int_equal(event_data_code(fx, "{\"Items\":[\"a\",\"b\"]}"), 0);
    assert_string_equal(COMMANDS(fx), "0 kind=1 t=1767225600000 1:u E(folded) Items=['a','b']\n");
}

static void reserved_profile_fields_have_their_codes(void **state)
{
    struct fixture *fx = *state;
    static const struct {
        const char *data;
        int code;
    } cases[] = {
        { "{\"Email\":\"no at\"}", 515 },
        { "{\"Email\":\"a@b\"}", 515 },
        { "{\"Email\":\"a@@b.io\"}", 515 },
        { "{\"Email\":\"a@b..io\"}", 515 },
        { "{\"Email\":\"@b.io\"}", 515 },
        { "{\"Email\":7}", 515 },
        { "{\"Email\":\"\"}", 515 },
        { "{\"Email\":{\"$set\":\"x\"}}", 515 },
        { "{\"Email\":[\"a@b.io\"]}", 515 },
        { "{\"Email\":{\"$delete\":1}}", 0 },
        { "{\"Email\":null}", 0 },
        { "{\"Email\":\"a.b+c@sub.example.org\"}", 0 },
        { "{\"Phone\":\"98123\"}", 516 },
        { "{\"Phone\":\"+12\"}", 516 },
        { "{\"Phone\":\"+91-98123-45678\"}", 0 },
        { "{\"Phone\":919812345678}", 516 },
        { "{\"Phone\":\"+call me\"}", 516 },
        { "{\"Phone\":\"+1234567890123456\"}", 516 },
        { "{\"Gender\":\"M\"}", 0 },
        { "{\"Gender\":\"female\"}", 0 },
        { "{\"Gender\":\"X\"}", 514 },
        { "{\"Gender\":1}", 514 },
        { "{\"Employed\":\"Y\"}", 0 },
        { "{\"Employed\":true}", 0 },
        { "{\"Employed\":\"maybe\"}", 517 },
        { "{\"Education\":\"graduate\"}", 0 },
        { "{\"Education\":\"PhD\"}", 518 },
        { "{\"Married\":\"N\"}", 0 },
        { "{\"Married\":2}", 519 },
        { "{\"Age\":35}", 0 },
        { "{\"Age\":\"35\"}", 0 },
        { "{\"Age\":35.0}", 0 },
        { "{\"Age\":35.5}", 520 },
        { "{\"Age\":-1}", 520 },
        { "{\"Age\":151}", 520 },
        { "{\"Age\":\"65+\"}", 520 },
        { "{\"Age\":{\"$incr\":1}}", 520 },
        { "{\"DOB\":\"$D_631152000\"}", 0 },
        { "{\"DOB\":\"1990-01-01\"}", 0 },
        { "{\"DOB\":\"01/02/1990\"}", 512 },
        { "{\"MSG-email\":true}", 0 },
        { "{\"MSG-email\":\"yes\"}", 512 },
        { "{\"MSG-whatsapp\":false}", 0 },
        { "{\"MSG-dndPhone\":1}", 512 },
        { "{\"Name\":7}", 512 },
        { "{\"Identity\":\"\"}", 523 },
        { "{\"Identity\":true}", 523 },
        { "{\"Identity\":\"second\"}", 0 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int code = profile_data_code(fx, cases[i].data);
        if (code != cases[i].code)
            fail_msg("%s: %d, not %d", cases[i].data, code, cases[i].code);
    }
}

static void reserved_fields_are_stored_in_one_form_and_lead_to_the_user(void **state)
{
    struct fixture *fx = *state;
    assert_int_equal(
        profile_data_code(fx,
                          "{\"Phone\":\"+91 (98123) 45-678\",\"Gender\":\"female\",\"Age\":\"35\","
                          "\"Married\":true,\"Employed\":\"n\",\"Education\":\"COLLEGE\","
                          "\"DOB\":\"1990-01-01\",\"Identity\":\"second\",\"Email\":\"a@x.io\"}"),
        0);
    assert_string_equal(COMMANDS(fx),
                        "0 kind=2 t=1767225600000 1:u 3:a@x.io 4:+919812345678 1:second "
                        "Phone='+919812345678' Gender='F' Age=35 Married='Y' Employed='N' "
                        "Education='College' DOB=@631152000000 Email='a@x.io'\n");
}

static void operators_become_those_of_the_profile(void **state)
{
    struct fixture *fx = *state;
    assert_int_equal(profile_data_code(fx, "{\"a\":{\"$set\":[\"x\",\"y\"]},\"b\":{\"$set\":5},"
                                           "\"c\":{\"$add\":[\"x\"]},\"d\":{\"$add\":\"x\"},"
                                           "\"e\":{\"$remove\":[\"x\",\"y\"]},\"f\":{\"$incr\":3},"
                                           "\"g\":{\"$decr\":3},\"h\":{\"$decr\":0.5},"
                                           "\"i\":{\"$delete\":1},\"j\":[\"p\",\"q\"],"
                                           "\"k\":{\"$set\":[]},\"l\":{\"$add\":[]},"
                                           "\"m\":{\"$set\":\"$D_86400\"}}"),
                     0);
    assert_string_equal(COMMANDS(fx),
                        "0 kind=2 t=1767225600000 1:u a=['x','y'] b=5 c+=['x'] d+=['x'] "
                        "e-=['x','y'] fincr3 gincr-3 hincr-0.5r ideletenull j=['p','q'] "
                        "kdeletenull m=@86400000\n");
    static const char *const wrong[] = {
        "{\"a\":{\"$incr\":\"1\"}}", "{\"a\":{\"$incr\":-1}}",
        "{\"a\":{\"$decr\":-0.5}}",  "{\"a\":{\"$add\":7}}",
        "{\"a\":{\"$push\":[1]}}",   "{\"a\":{\"$set\":{}}}",
        "{\"a\":{\"$add\":{}}}",     "{\"a\":{\"$incr\":null}}",
        "{\"a\":{\"$add\":[[1]]}}",  "{\"a\":{\"$incr\":1,\"$set\":2}}",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(profile_data_code(fx, wrong[i]), 512);
    assert_int_equal(code_of(fx, "{\"type\":\"profile\",\"identity\":\"u\"}"), 512);
    assert_int_equal(profile_data_code(fx, "[]"), 512);
}

static void tokens_have_their_codes(void **state)
{
    struct fixture *fx = *state;
#define TOKEN "\"type\":\"token\",\"objectId\":\"d\",\"tokenData\":"
    assert_int_equal(
        code_of(fx, "{\"type\":\"token\",\"tokenData\":{\"id\":\"a\",\"type\":\"fcm\"}}"), 530);
    assert_int_equal(code_of(fx, "{\"type\":\"token\",\"objectId\":\" \",\"tokenData\":{}}"), 530);
    assert_int_equal(code_of(fx, "{\"type\":\"token\",\"identity\":\"u\",\"tokenData\":{}}"), 530);
    assert_int_equal(code_of(fx, "{\"type\":\"token\",\"objectId\":\"d\"}"), 531);
    assert_int_equal(code_of(fx, "{" TOKEN "7}"), 531);
    assert_int_equal(code_of(fx, "{" TOKEN "{\"type\":\"fcm\"}}"), 532);
    assert_int_equal(code_of(fx, "{" TOKEN "{\"id\":\"\",\"type\":\"fcm\"}}"), 532);
    assert_int_equal(code_of(fx, "{" TOKEN "{\"id\":\"a\"}}"), 533);
    assert_int_equal(code_of(fx, "{" TOKEN "{\"id\":\"a\",\"type\":\"pigeon\"}}"), 534);
    assert_int_equal(code_of(fx, "{" TOKEN "{\"id\":\"a\",\"type\":\"chrome\"}}"), 535);
    assert_int_equal(code_of(fx, "{" TOKEN "{\"id\":\"a\",\"type\":\"chrome\",\"keys\":{"
                                 "\"p256dh\":\"k\",\"auth\":\"s\"}}}"),
                     0);
    assert_string_equal(COMMANDS(fx), "0 kind=4 t=1767225600000 2:d id='a' type='chrome' "
                                      "p256dh='k' auth='s'\n");
}

static void problem_has_a_pointer_to_its_place(void **state)
{
    struct fixture *fx = *state;
    assert_int_equal(event_data_code(fx, "{\"ok\":1,\"a/b~\":{\"c\":[\"x\",{}]}}"), 512);
    must_equal(fx->result.problems[0].pointer, "/evtData/a~1b~0/c/1");
    assert_int_equal(event_data_code(fx, "{\"Items\":[{},{\"x:y\":1}]}"), 512);
    must_equal(fx->result.problems[0].pointer, "/evtData/Items/1/x:y");
}

static void writer_is_reset_with_each_request(void **state)
{
    struct fixture *fx = *state;
    assert_int_equal(event_name_code(fx, "One"), 0);
    assert_int_equal(event_name_code(fx, "Two"), 0);
    assert_string_equal(COMMANDS(fx), "0 kind=1 t=1767225600000 1:u Two(folded)\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(mixed_records_become_commands_in_order),
        TEST(record_without_event_name_is_told_with_509_and_echoed),
        TEST(upload_whose_records_are_all_bad_fails_with_status_200),
        TEST(thousand_records_are_taken_and_one_more_refuses_all),
        TEST(body_that_is_no_upload_is_refused_whole),
        TEST(kinds_identities_and_times_have_their_codes),
        TEST(every_kind_of_identity_is_taken),
        TEST(times_are_seconds_or_milliseconds_by_their_size),
        TEST(system_events_are_reserved_whatever_their_case_and_spaces),
        TEST(discarded_event_is_told_with_528_and_asked_once_a_request),
        TEST(event_names_are_folded_later_and_stored_as_spelled),
        TEST(event_names_have_a_length_and_forbidden_characters),
        TEST(property_names_have_a_length_and_forbidden_characters),
        TEST(values_keep_their_types_and_have_a_length),
        TEST(nested_objects_are_flattened_three_deep),
        TEST(properties_and_items_have_a_number),
        TEST(reserved_profile_fields_have_their_codes),
        TEST(reserved_fields_are_stored_in_one_form_and_lead_to_the_user),
        TEST(operators_become_those_of_the_profile),
        TEST(tokens_have_their_codes),
        TEST(problem_has_a_pointer_to_its_place),
        TEST(writer_is_reset_with_each_request),
    };
    return cmocka_run_group_tests_name("ingest upload", tests, NULL, NULL);
}

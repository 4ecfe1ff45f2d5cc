/*
 * file_test.c - lines and rows of files, as `kolam import` reads them.
 */
#include "ingest_help.h"

static struct ingest_problem problem;

/* The code of the line's problem; 0 when it was taken. */
static int line(struct fixture *fx, const char *text)
{
    bool is_fine = ingest_line(fx->in, &fx->rules, bytes_from(text), false, fx->writer, &problem);
    return is_fine ? 0 : problem.code;
}

static void lines_of_both_shapes_become_commands(void **state)
{
    struct fixture *fx = *state;
    command_writer_reset(fx->writer, NOW_MS);
    assert_int_equal(
        line(fx, "{\"identity\":\"392\",\"type\":\"event\",\"evtName\":\"Item Purchased\",\"ts\":"
                 "1498833684,\"evtData\":{\"Basket ID\":\"33919155440\",\"Amount\":2.59,"
                 "\"Retail Discount\":0}}"),
        0);
    assert_int_equal(line(fx, "{\"identity\":\"1\",\"type\":\"profile\",\"profileData\":{\"Age\":"
                              "\"65+\",\"Kids Count\":\"0\"}}"),
                     0);
    assert_int_equal(line(fx, "{\"identity\":\"user_0000000007\",\"ts\":1735689600000,\"evtName\":"
                              "\"App Launched\",\"evtData\":{\"Price\":2.50}}"),
                     0);
    assert_int_equal(line(fx, "{\"event_id\":\"e1\",\"identity\":\"u\",\"event\":\"E\",\"time\":"
                              "\"2025-01-01T00:00:00Z\",\"properties\":{\"a\":1}}"),
                     0);
    assert_int_equal(line(fx, "{\"identity\":\"u\",\"properties\":{\"a\":{\"$incr\":1}}}"), 0);
    assert_int_equal(line(fx, " {\"identity\":\"u\",\"profileData\":{\"a\":1},\"source\":\"x\"} "),
                     0);
    assert_int_equal(line(fx, "{\"objectId\":\"d\",\"tokenData\":{\"id\":\"t\",\"type\":\"fcm\"}}"),
                     0);
    assert_int_equal(
        line(fx,
             "{\"identity\":\"u\",\"evtName\":\"E\",\"event_id\":\"e2\",\"evtData\":{\"a:b\":1}}"),
        0);
    keep_commands(fx);
    assert_string_equal(COMMANDS(fx),
                        "0 kind=1 t=1498833684000 1:392 Item Purchased(folded) "
                        "Basket ID='33919155440' Amount=2.59r Retail Discount=0\n"
                        "1 kind=2 t=1767225600000 1:1 Age='65+' Kids Count='0'\n"
                        "2 kind=1 t=1735689600000 1:user_0000000007 App Launched(folded) "
                        "Price=2.5r\n"
                        "3 kind=1 t=1735689600000 1:u E id:e1 a=1\n"
                        "4 kind=2 t=1767225600000 1:u aincr1\n"
                        "5 kind=2 t=1767225600000 1:u a=1\n"
                        "6 kind=4 t=1767225600000 2:d id='t' type='fcm'\n"
                        "7 kind=1 t=1767225600000 1:u E(folded) id:e2 a:b=1\n");
}

static void bad_line_is_told_and_leaves_nothing(void **state)
{
    struct fixture *fx = *state;
    command_writer_reset(fx->writer, NOW_MS);
    assert_int_equal(line(fx, "{\"identity\":"), 512);
    assert_string_equal(problem.type, "malformed_json");
    assert_int_equal(line(fx, ""), 512);
    assert_int_equal(line(fx, "[]"), 524);
    assert_int_equal(line(fx, "{\"identity\":\"u\"}"), 524);
    assert_int_equal(line(fx, "{\"identity\":\"u\",\"type\":\"event\"}"), 509);
    assert_int_equal(line(fx, "{\"identity\":\"u\",\"type\":\"foo\"}"), 524);
    assert_int_equal(line(fx, "{\"evtName\":\"E\"}"), 523);
    assert_int_equal(line(fx, "{\"identity\":\"u\",\"evtName\":\"E\",\"ts\":\"x\"}"), 525);
    must_equal(problem.pointer, "/ts");
    assert_int_equal(line(fx, "{\"identity\":\"u\",\"evtName\":\"E\",\"evtDate\":{}}"), 512);
    assert_string_equal(problem.type, "unknown_field");
    must_equal(problem.pointer, "/evtDate");
    assert_int_equal(line(fx, "{\"identity\":\"u\",\"event\":\"E\",\"ts\":1}"), 512);
    assert_int_equal(line(fx, "{\"identity\":\"u\",\"evtName\":\"Gone\"}"), 528);
    assert_int_equal(command_writer_count(fx->writer), 0);
}

static void padded_lines_are_read_in_place(void **state)
{
    struct fixture *fx = *state;
    char text[256];
    memset(text, '#', sizeof text);
    size_t len = 0;
    command_writer_reset(fx->writer, NOW_MS);
    for (char event = 'A'; event <= 'C'; event++) {
        int written =
            snprintf(text + len, sizeof text - len, "{\"identity\":\"u\",\"event\":\"%c\"}", event);
        struct bytes one = bytes_of(text + len, (size_t)written);
        text[len + (size_t)written] = '#';
        assert_true(ingest_line(fx->in, &fx->rules, one, true, fx->writer, &problem));
        len += (size_t)written;
    }
    keep_commands(fx);
    assert_string_equal(COMMANDS(fx), "0 kind=1 t=1767225600000 1:u A\n"
                                      "1 kind=1 t=1767225600000 1:u B\n"
                                      "2 kind=1 t=1767225600000 1:u C\n");
}

/* --- CSV ---------------------------------------------------------------------------------- */

enum { FIELDS_MAX = 16 };

/* Splits at ',': csv_reader has tests of its own. */
static size_t split(const char *row, struct bytes *fields)
{
    size_t count = 0;
    for (const char *from = row;; from++) {
        size_t len = strcspn(from, ",");
        assert_true(count < FIELDS_MAX);
        fields[count++] = bytes_of(from, len);
        from += len;
        if (!*from)
            return count;
    }
}

static int header(struct fixture *fx, const char *text)
{
    struct bytes fields[FIELDS_MAX];
    size_t count = split(text, fields);
    return ingest_csv_header(fx->in, fields, count, &problem) ? 0 : problem.code;
}

static int row(struct fixture *fx, const char *text)
{
    struct bytes fields[FIELDS_MAX];
    size_t count = split(text, fields);
    bool is_fine = ingest_csv_row(fx->in, &fx->rules, fields, count, fx->writer, &problem);
    return is_fine ? 0 : problem.code;
}

static void rows_are_events_with_cells_typed_by_their_look(void **state)
{
    struct fixture *fx = *state;
    command_writer_reset(fx->writer, NOW_MS);
    assert_int_equal(header(fx, "identity,event,time,event_id,A,Zip:string,When:date,Tags:list"),
                     0);
    assert_int_equal(row(fx, "u1,Buy,2025-01-01T00:00:00Z,e1,12,01234,2025-01-02,a;b;;c"), 0);
    assert_int_equal(row(fx, "u1,Buy,1735689600,,-1.5,77,,"), 0);
    assert_int_equal(row(fx, "u1,Buy,1735689600123,,007,,1735689600,;"), 0);
    assert_int_equal(row(fx, "u1,Buy,2025-01-01 10:20:30,,true,,$D_86400,x"), 0);
    assert_int_equal(row(fx, "u1,Buy,,,9223372036854775808,,,"), 0);
    assert_int_equal(row(fx, "u1,Buy,,,+49,,,"), 0);
    assert_int_equal(row(fx, "u1,Buy,,,1e3,,,"), 0);
    assert_int_equal(row(fx, "u1,Buy,,,$D_86400,,,"), 0);
    keep_commands(fx);
    assert_string_equal(
        COMMANDS(fx),
        "0 kind=1 t=1735689600000 1:u1 Buy id:e1 A=12 Zip='01234' When=@1735776000000 "
        "Tags=['a','b','c']\n"
        "1 kind=1 t=1735689600000 1:u1 Buy A=-1.5r Zip='77'\n"
        "2 kind=1 t=1735689600123 1:u1 Buy A='007' When=@1735689600000\n"
        "3 kind=1 t=1735726830000 1:u1 Buy A=true When=@86400000 Tags=['x']\n"
        "4 kind=1 t=1767225600000 1:u1 Buy A=9.22337203685478e+18r\n"
        "5 kind=1 t=1767225600000 1:u1 Buy A='+49'\n"
        "6 kind=1 t=1767225600000 1:u1 Buy A=1000r\n"
        "7 kind=1 t=1767225600000 1:u1 Buy A=@86400000\n");
}

static void file_without_an_event_column_holds_profiles(void **state)
{
    struct fixture *fx = *state;
    command_writer_reset(fx->writer, NOW_MS);
    assert_int_equal(header(fx, "email,phone,objectId,plan,Active:bool,N:number"), 0);
    assert_int_equal(row(fx, "a@b.io,+49 30 123456,d1,pro,true,5"), 0);
    assert_int_equal(row(fx, "a@b.io,,,,false,0.5"), 0);
    keep_commands(fx);
    assert_string_equal(COMMANDS(fx),
                        "0 kind=2 t=1767225600000 2:d1 3:a@b.io 4:+4930123456 plan='pro' "
                        "Active=true N=5\n"
                        "1 kind=2 t=1767225600000 3:a@b.io Active=false N=0.5r\n");
    assert_int_equal(row(fx, "a@b.io,,,,yes,5"), 512);
    must_equal(problem.pointer, "/Active");
    assert_int_equal(row(fx, "a@b.io,,,,,five"), 512);
    assert_int_equal(row(fx, "a@b.io,,"), 512);
    assert_int_equal(row(fx, ",,,x,,"), 523);
    assert_int_equal(row(fx, "nobody,,,x,,"), 515);
    assert_int_equal(row(fx, "a@b.io,1,,x,,"), 516);
    assert_int_equal(row(fx, "a@b.io,,,\xff,,"), 512);
}

static void type_column_tells_events_from_profiles(void **state)
{
    struct fixture *fx = *state;
    command_writer_reset(fx->writer, NOW_MS);
    assert_int_equal(header(fx, "type,identity,evtName,ts,x"), 0);
    assert_int_equal(row(fx, "event,u,Sign Up,1735689600,1"), 0);
    assert_int_equal(row(fx, "profile,u,,,1"), 0);
    keep_commands(fx);
    assert_string_equal(COMMANDS(fx), "0 kind=1 t=1735689600000 1:u Sign Up(folded) x=1\n"
                                      "1 kind=2 t=1767225600000 1:u x=1\n");
    assert_int_equal(row(fx, "profile,u,Sign Up,,1"), 524);
    assert_int_equal(row(fx, "thing,u,Sign Up,,1"), 524);
    assert_int_equal(row(fx, ",u,,,1"), 509);
    assert_int_equal(row(fx, ",u,Gone,,1"), 528);
    assert_int_equal(row(fx, ",u,E,tomorrow,1"), 525);
    assert_int_equal(row(fx, ",u,E,2030-01-01,1"), 525);
}

static void header_that_makes_no_sense_is_told(void **state)
{
    struct fixture *fx = *state;
    assert_int_equal(header(fx, "event,x"), 523);
    assert_int_equal(header(fx, "identity,x,x"), 512);
    assert_string_equal(problem.type, "column_twice");
    assert_int_equal(header(fx, "identity,device_id,objectId"), 512);
    assert_int_equal(header(fx, "identity,x,x:number"), 512);
    assert_int_equal(header(fx, "identity,"), 512);
    assert_int_equal(header(fx, "identity,$x"), 512);
    assert_int_equal(header(fx, "identity"), 0);
    assert_int_equal(header(fx, "identity,x"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(lines_of_both_shapes_become_commands),
        TEST(bad_line_is_told_and_leaves_nothing),
        TEST(padded_lines_are_read_in_place),
        TEST(rows_are_events_with_cells_typed_by_their_look),
        TEST(file_without_an_event_column_holds_profiles),
        TEST(type_column_tells_events_from_profiles),
        TEST(header_that_makes_no_sense_is_told),
    };
    return cmocka_run_group_tests_name("ingest file", tests, NULL, NULL);
}

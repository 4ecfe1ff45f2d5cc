/* embed_test.c - the library's promises, through its public header alone. */
#include <kolam.h>

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { THREADS = 4, EACH = 300 };
#define DAY_ONE INT64_C(1767225600000) /* 2026-01-01 */

struct place {
    char folder[64];
    struct kolam *kolam;
};

static int set_up(void **state)
{
    struct place *place = calloc(1, sizeof *place);
    (void)snprintf(place->folder, sizeof place->folder, "embed-test-XXXXXX");
    assert_non_null(mkdtemp(place->folder));
    assert_int_equal(kolam_open(place->folder, NULL, &place->kolam, NULL), KOLAM_OK);
    *state = place;
    return 0;
}

static int tear_down(void **state)
{
    struct place *place = *state;
    char command[100];
    (void)kolam_close(place->kolam, NULL);
    (void)snprintf(command, sizeof command, "rm -rf '%s'", place->folder);
    int status = system(command);
    free(place);
    return status;
}

static struct kolam_event event_of(const char *name, const char *identity)
{
    return (struct kolam_event){ .name = name, .identity = identity, .time_ms = DAY_ONE };
}

static void append(struct kolam *kolam, const struct kolam_event *event)
{
    struct kolam_error error;
    if (kolam_append(kolam, event, &error) != KOLAM_OK)
        fail_msg("%s", error.text);
}

static struct kolam_rows *ask(struct kolam *kolam, const char *question)
{
    struct kolam_error error;
    struct kolam_rows *rows = NULL;
    if (kolam_query(kolam, question, &rows, &error) != KOLAM_OK)
        fail_msg("%s: %s", question, error.text);
    return rows;
}

static int64_t number(struct kolam *kolam, const char *question)
{
    struct kolam_rows *rows = ask(kolam, question);
    assert_true(kolam_rows_next(rows));
    int64_t value = kolam_rows_int(rows, 0);
    kolam_rows_free(rows);
    return value;
}

static void what_was_flushed_is_there_after_opening_again(void **state)
{
    struct place *place = *state;
    struct kolam_event event = event_of("Opened", "u1");
    append(place->kolam, &event);
    assert_int_equal(kolam_flush(place->kolam, NULL), KOLAM_OK);
    assert_int_equal(number(place->kolam, "SELECT count() WHERE event = 'Opened'"), 1);
    assert_int_equal(kolam_close(place->kolam, NULL), KOLAM_OK);
    assert_int_equal(kolam_open(place->folder, NULL, &place->kolam, NULL), KOLAM_OK);
    assert_int_equal(number(place->kolam, "SELECT count() WHERE event = 'Opened'"), 1);
}

static void closing_flushes(void **state)
{
    struct place *place = *state;
    struct kolam_event event = event_of("Opened", "u1");
    append(place->kolam, &event);
    assert_int_equal(kolam_close(place->kolam, NULL), KOLAM_OK);
    assert_int_equal(kolam_open(place->folder, NULL, &place->kolam, NULL), KOLAM_OK);
    assert_int_equal(number(place->kolam, "SELECT count() WHERE event = 'Opened'"), 1);
}

static void properties_keep_their_types(void **state)
{
    struct place *place = *state;
    const char *const tags[] = { "new", "web" };
    struct kolam_property properties[] = {
        { "I", KOLAM_INT, { .integer = INT64_MIN }, 0 },
        { "R", KOLAM_REAL, { .real = 3 }, 0 },
        { "B", KOLAM_BOOL, { .boolean = true }, 0 },
        { "S", KOLAM_TEXT, { .text = "na\xc3\xafve \"quoted\"" }, 0 },
        { "T", KOLAM_TIME, { .time_ms = DAY_ONE + 1 }, 0 },
        { "L", KOLAM_LIST, { .items = tags }, 2 },
        { "N", KOLAM_NULL, { .integer = 0 }, 0 },
    };
    struct kolam_event event = event_of("Typed", "u1");
    event.properties = properties;
    event.property_count = sizeof properties / sizeof properties[0];
    append(place->kolam, &event);
    assert_int_equal(kolam_flush(place->kolam, NULL), KOLAM_OK);
    struct kolam_rows *rows = ask(place->kolam, "EVENTS OF 'u1'");
    assert_true(kolam_rows_next(rows));
    const char *text = kolam_rows_text(rows, 2, NULL);
    assert_non_null(strstr(text, "-9223372036854775808"));
    assert_non_null(strstr(text, "na\xc3\xafve \\\"quoted\\\""));
    assert_non_null(strstr(text, "[\"new\",\"web\"]"));
    assert_null(strstr(text, "\"N\""));
    assert_false(kolam_rows_next(rows));
    kolam_rows_free(rows);
    rows = ask(place->kolam, "SELECT sum(R), sum(I) WHERE event = 'Typed' GROUP BY S");
    assert_true(kolam_rows_next(rows));
    assert_string_equal(kolam_rows_name(rows, 0), "S");
    assert_int_equal(kolam_rows_type(rows, 0), KOLAM_TEXT);
    assert_int_equal(kolam_rows_type(rows, 1), KOLAM_REAL);
    assert_true(kolam_rows_real(rows, 1) == 3);
    assert_int_equal(kolam_rows_type(rows, 9), KOLAM_NULL);
    assert_null(kolam_rows_name(rows, 9));
    kolam_rows_free(rows);
}

static void lines_of_json_are_taken_as_from_files(void **state)
{
    struct place *place = *state;
    struct kolam_error error;
    const char *event = "{\"identity\":\"u1\",\"event\":\"Charged\",\"properties\":"
                        "{\"Items\":[{\"SKU\":\"a\"},{\"SKU\":\"b\"}]}}";
    const char *profile = "{\"identity\":\"u1\",\"properties\":{\"Plan\":\"Gold\"}}";
    assert_int_equal(kolam_append_json(place->kolam, event, strlen(event), &error), KOLAM_OK);
    assert_int_equal(kolam_append_json(place->kolam, profile, strlen(profile), &error), KOLAM_OK);
    assert_int_equal(kolam_append_json(place->kolam, "{", 1, &error), KOLAM_INVALID);
    assert_true(error.text[0]);
    assert_int_equal(kolam_flush(place->kolam, &error), KOLAM_OK);
    assert_int_equal(
        number(place->kolam, "SELECT count() WHERE Items.SKU = 'b' AND profile.Plan = 'Gold'"), 1);
}

static void an_event_with_an_id_counts_once(void **state)
{
    struct place *place = *state;
    struct kolam_event event = event_of("Paid", "u1");
    event.id = "order-1";
    for (int i = 0; i < 3; i++)
        append(place->kolam, &event);
    assert_int_equal(kolam_flush(place->kolam, NULL), KOLAM_OK);
    assert_int_equal(number(place->kolam, "SELECT count() WHERE event = 'Paid'"), 1);
}

static void what_is_wrong_is_said_and_nothing_of_it_taken(void **state)
{
    struct place *place = *state;
    struct kolam_error error;
    struct kolam_rows *rows = NULL;
    struct kolam_event nobody = { .name = "Opened" };
    struct kolam_event unnamed = { .identity = "u1" };
    struct kolam_property infinite = { "x", KOLAM_REAL, { .real = 1e308 * 10 }, 0 };
    struct kolam_property early = { "x", KOLAM_TIME, { .time_ms = -1 }, 0 };
    struct kolam_event bad = event_of("Opened", "u1");
    assert_int_equal(kolam_append(place->kolam, &nobody, &error), KOLAM_INVALID);
    assert_int_equal(error.status, KOLAM_INVALID);
    assert_true(error.text[0]);
    assert_int_equal(kolam_append(place->kolam, &unnamed, &error), KOLAM_INVALID);
    bad.properties = &infinite;
    bad.property_count = 1;
    assert_int_equal(kolam_append(place->kolam, &bad, &error), KOLAM_INVALID);
    bad.properties = &early;
    assert_int_equal(kolam_append(place->kolam, &bad, NULL), KOLAM_INVALID);
    assert_int_equal(kolam_query(place->kolam, "SELECT cuont()", &rows, &error), KOLAM_INVALID);
    assert_non_null(strstr(error.text, "line 1"));
    assert_null(rows);
    bad.property_count = 0;
    append(place->kolam, &bad);
    assert_int_equal(kolam_flush(place->kolam, NULL), KOLAM_OK);
    assert_int_equal(number(place->kolam, "SELECT count() WHERE event = 'Opened'"), 1);
}

static void a_folder_is_opened_once(void **state)
{
    struct place *place = *state;
    struct kolam *second = NULL;
    struct kolam_error error;
    struct kolam_options options = { .time_zone = "Mars/Olympus" };
    assert_int_equal(kolam_open(place->folder, NULL, &second, &error), KOLAM_BUSY);
    assert_non_null(strstr(error.text, place->folder));
    assert_int_equal(kolam_close(place->kolam, NULL), KOLAM_OK);
    place->kolam = NULL;
    assert_int_equal(kolam_open(place->folder, &options, &second, &error), KOLAM_INVALID);
    assert_int_equal(kolam_open("", NULL, &second, &error), KOLAM_INVALID);
    assert_null(second);
}

struct worker {
    struct kolam *kolam;
    unsigned number;
    pthread_t thread;
    const char *wrong; /* NULL: nothing */
};

static const char *append_and_ask(const struct worker *worker)
{
    for (unsigned i = 0; i < EACH; i++) {
        char user[16];
        struct kolam_rows *rows = NULL;
        (void)snprintf(user, sizeof user, "u%u", i % 20);
        struct kolam_event event = event_of(worker->number % 2 ? "Odd" : "Even", user);
        if (kolam_append(worker->kolam, &event, NULL) != KOLAM_OK)
            return "append";
        if (i % 50 == 0 && kolam_flush(worker->kolam, NULL) != KOLAM_OK)
            return "flush";
        if (i % 50 != 1)
            continue;
        if (kolam_query(worker->kolam, "SELECT count(), users() FROM events", &rows, NULL) !=
            KOLAM_OK)
            return "query";
        bool is_there = kolam_rows_next(rows) && kolam_rows_int(rows, 0) > 0;
        kolam_rows_free(rows);
        if (!is_there)
            return "what was flushed is not there";
    }
    return NULL;
}

static void *work(void *ctx)
{
    struct worker *worker = ctx;
    worker->wrong = append_and_ask(worker);
    return NULL;
}

static void threads_append_flush_and_ask_at_once(void **state)
{
    struct place *place = *state;
    struct worker workers[THREADS];
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){ .kolam = place->kolam, .number = i };
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
        if (workers[i].wrong)
            fail_msg("%s", workers[i].wrong);
    }
    assert_int_equal(kolam_flush(place->kolam, NULL), KOLAM_OK);
    assert_int_equal(number(place->kolam, "SELECT count() WHERE event = 'Odd'"),
                     THREADS / 2 * EACH);
    assert_int_equal(number(place->kolam, "SELECT users() FROM events"), 20);
}

#define PLACE_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PLACE_TEST(what_was_flushed_is_there_after_opening_again),
        PLACE_TEST(closing_flushes),
        PLACE_TEST(properties_keep_their_types),
        PLACE_TEST(lines_of_json_are_taken_as_from_files),
        PLACE_TEST(an_event_with_an_id_counts_once),
        PLACE_TEST(what_is_wrong_is_said_and_nothing_of_it_taken),
        PLACE_TEST(a_folder_is_opened_once),
        PLACE_TEST(threads_append_flush_and_ask_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * nomem_test.c - each allocation fails once: ingest and the command writer say so, and work again
 * afterwards. The linker's --wrap puts the failures in.
 */
#include "ingest_help.h"

static size_t allocations_left; /* until one fails; 0: none does */
static bool has_failed;

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__real_realloc(void *ptr, size_t size);
void *__wrap_realloc(void *ptr, size_t size);

static bool fails(void)
{
    if (allocations_left == 0 || --allocations_left > 0)
        return false;
    has_failed = true;
    return true;
}

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *ptr, size_t size)
{
    return fails() ? NULL : __real_realloc(ptr, size);
}

/* What makes everything allocate: many strings, long lists, bad records, items. */
static void make_body(struct buf *body)
{
    buf_init(body, 16 << 20);
    buf_printf(body, "{\"d\":[");
    for (int i = 0; i < 300; i++) {
        buf_printf(body,
                   "{\"type\":\"event\",\"identity\":%d,\"evtName\":\"E%d\",\"evtData\":{\"p%d\":"
                   "\"v%d\",\"l\":[1,2.5,\"x\"],\"o\":{\"a\":1},\"Items\":[",
                   1000 + i, i % 40, i, i);
        for (int k = 0; k < 20; k++)
            buf_printf(body, "%s{\"q\":%d}", k ? "," : "", k);
        buf_printf(body, "]}},{\"type\":\"event\",\"identity\":\"u\"},");
    }
    buf_printf(body,
               "{\"type\":\"profile\",\"FBID\":\"u\",\"profileData\":{\"Phone\":\"+4930123456\","
               "\"a\":{\"$add\":\"x\"}}}]}");
}

static void failed_allocation_is_told_and_the_next_request_works(void **state)
{
    struct buf body;
    size_t cases = 0;
    (void)state;
    make_body(&body);
    for (size_t n = 1;; n++) {
        struct ingest *in = NULL;
        struct command_writer *writer = NULL;
        struct ingest_rules rules = { .now_ms = NOW_MS };
        struct ingest_result result;
        struct bytes batch;
        assert_int_equal(ingest_new(16 << 20, &in).code, ERR_NONE);
        assert_int_equal(command_writer_new(&writer).code, ERR_NONE);

        has_failed = false;
        allocations_left = n;
        struct err err = ingest_upload(in, &rules, buf_bytes(&body), writer, &result);
        if (!err.code)
            err = command_writer_finish(writer, &batch);
        allocations_left = 0;
        assert_true(err.code == ERR_NONE || (has_failed && err.code == ERR_NOMEM));

        assert_int_equal(ingest_upload(in, &rules, buf_bytes(&body), writer, &result).code,
                         ERR_NONE);
        assert_int_equal(result.processed, 301);
        assert_int_equal(result.problem_count, 300);
        assert_int_equal(command_writer_finish(writer, &batch).code, ERR_NONE);
        ingest_free(in);
        command_writer_free(writer);
        if (!has_failed)
            break;
        cases++;
    }
    assert_true(cases > 20);
    buf_done(&body);
}

static void failed_allocation_makes_nothing(void **state)
{
    (void)state;
    for (size_t n = 1;; n++) {
        struct ingest *in = NULL;
        struct command_writer *writer = NULL;
        has_failed = false;
        allocations_left = n;
        struct err err = ingest_new(1 << 20, &in);
        if (!err.code)
            err = command_writer_new(&writer);
        allocations_left = 0;
        assert_int_equal(err.code, has_failed ? ERR_NOMEM : ERR_NONE);
        ingest_free(in);
        command_writer_free(writer);
        if (!has_failed)
            return;
    }
}

static void failed_allocation_refuses_a_header_and_the_next_is_taken(void **state)
{
    (void)state;
    const struct bytes fields[] = { BYTES("identity"), BYTES("a"), BYTES("b:list") };
    const struct bytes cells[] = { BYTES("u"), BYTES("1"), BYTES("x;y") };
    for (size_t n = 1;; n++) {
        struct ingest *in = NULL;
        struct command_writer *writer = NULL;
        struct ingest_rules rules = { .now_ms = NOW_MS };
        struct ingest_problem problem;
        assert_int_equal(ingest_new(1 << 20, &in).code, ERR_NONE);
        assert_int_equal(command_writer_new(&writer).code, ERR_NONE);
        command_writer_reset(writer, NOW_MS);
        has_failed = false;
        allocations_left = n;
        bool is_fine = ingest_csv_header(in, fields, 3, &problem) &&
                       ingest_csv_row(in, &rules, cells, 3, writer, &problem);
        allocations_left = 0;
        assert_true(is_fine || has_failed);
        command_writer_reset(writer, NOW_MS);
        assert_true(ingest_csv_header(in, fields, 3, &problem));
        assert_true(ingest_csv_row(in, &rules, cells, 3, writer, &problem));
        ingest_free(in);
        command_writer_free(writer);
        if (!has_failed)
            return;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(failed_allocation_is_told_and_the_next_request_works),
        cmocka_unit_test(failed_allocation_makes_nothing),
        cmocka_unit_test(failed_allocation_refuses_a_header_and_the_next_is_taken),
    };
    return cmocka_run_group_tests_name("ingest nomem", tests, NULL, NULL);
}

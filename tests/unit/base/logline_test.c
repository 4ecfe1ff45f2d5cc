/* logline_test.c - lines that nothing can break. */
#include "base/logline.h"

#include "base/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

struct sink {
    char text[LOGLINE_MAX + 1];
    size_t lines;
};

static void sink_write(void *ctx, struct bytes line)
{
    struct sink *sink = ctx;
    assert_true(line.len > 0 && line.len <= LOGLINE_MAX);
    memcpy(sink->text, line.ptr, line.len);
    sink->text[line.len] = 0;
    sink->lines++;
}

static int64_t now_ms(void *ctx)
{
    (void)ctx;
    return 1764066030123;
}

static struct logger logger_of(struct sink *sink, enum logline_format format)
{
    *sink = (struct sink){ .lines = 0 };
    return (struct logger){
        .sink = sink_write, .now_ms = now_ms, .ctx = sink, .least = LOGLINE_INFO, .format = format
    };
}

static void put_example(const struct logger *logger)
{
    struct logline line;
    logline_start(&line, logger, LOGLINE_WARN, "http: request refused");
    logline_put_text(&line, "path", BYTES("/track"));
    logline_put_int(&line, "status", -429);
    logline_put_real(&line, "seconds", 0.25);
    logline_put_real(&line, "ratio", (double)INFINITY);
    logline_put_bool(&line, "is_local", true);
    logline_put_text(&line, "none", bytes_of(NULL, 0));
    logline_put_err(&line, (struct err){ .code = ERR_OS, .os = 28, .what = "wal: write" });
    logline_end(&line);
}

static void a_line_has_a_time_a_level_a_message_and_fields(void **state)
{
    (void)state;
    static struct sink sink;
    struct logger logger = logger_of(&sink, LOGLINE_LOGFMT);
    put_example(&logger);
    assert_string_equal(sink.text,
                        "time=2025-11-25T10:20:30.123Z level=warn msg=\"http: request refused\" "
                        "path=/track status=-429 seconds=0.25 ratio=inf is_local=true none=\"\" "
                        "error=\"wal: write\" code=os errno=28\n");
    logger.format = LOGLINE_JSON;
    put_example(&logger);
    assert_string_equal(sink.text,
                        "{\"time\":\"2025-11-25T10:20:30.123Z\",\"level\":\"warn\",\"msg\":\"http: "
                        "request refused\",\"path\":\"/track\",\"status\":-429,\"seconds\":0.25,"
                        "\"ratio\":\"inf\",\"is_local\":true,\"none\":\"\",\"error\":\"wal: "
                        "write\",\"code\":\"os\",\"errno\":28}\n");
    assert_int_equal(sink.lines, 2);
}

static void lines_below_the_least_level_are_not_written(void **state)
{
    (void)state;
    static struct sink sink;
    struct logger logger = logger_of(&sink, LOGLINE_LOGFMT);
    struct logline line;
    logline_start(&line, &logger, LOGLINE_DEBUG, "x");
    logline_put_int(&line, "a", 1);
    logline_end(&line);
    logline_start(&line, NULL, LOGLINE_ERROR, "x");
    logline_put_text(&line, "a", BYTES("b"));
    logline_end(&line);
    assert_int_equal(sink.lines, 0);
    logline_start(&line, &logger, LOGLINE_INFO, "x");
    logline_end(&line);
    assert_int_equal(sink.lines, 1);
}

static void no_value_can_forge_a_line_or_a_field(void **state)
{
    (void)state;
    static struct sink sink;
    struct logger logger = logger_of(&sink, LOGLINE_LOGFMT);
    struct logline line;
    logline_start(&line, &logger, LOGLINE_INFO, "m");
    logline_put_text(&line, "a", BYTES("x\nlevel=error msg=forged"));
    logline_put_text(&line, "b", BYTES("\" c=\"\\\0\x1b[31m\x7f"));
    logline_put_text(&line, "c", BYTES("a=b"));
    logline_put_text(&line, "d", BYTES("\xc2\x85\xe2\x80\xa8\xe2\x80\xae")); /* NEL, LS, RLO */
    logline_put_text(&line, "e", BYTES("\xff\xc3"));
    logline_put_text(&line, "f", BYTES("k\xc5\x8dlam \xf0\x9f\x8c\xb8"));
    logline_end(&line);
    assert_string_equal(sink.text + 41, "msg=m a=\"x\\u000alevel=error msg=forged\" "
                                        "b=\"\\\" c=\\\"\\\\\\u0000\\u001b[31m\\u007f\" c=\"a=b\" "
                                        "d=\"\\u0085\\u2028\\u202e\" e=\"\\ufffd\\ufffd\" "
                                        "f=\"k\xc5\x8dlam \xf0\x9f\x8c\xb8\"\n");
}

static void any_bytes_of_any_length_give_one_whole_line(void **state)
{
    (void)state;
    static struct sink sink;
    static uint8_t value[3000];
    struct rng rng;
    rng_init(&rng, 1);
    for (int round = 0; round < 2000; round++) {
        struct logger logger = logger_of(&sink, round % 2 ? LOGLINE_JSON : LOGLINE_LOGFMT);
        struct logline line;
        logline_start(&line, &logger, LOGLINE_INFO, "m");
        size_t put = 0;
        for (size_t fields = rng_below(&rng, 12); fields > 0; fields--) {
            size_t len = rng_below(&rng, round % 3 ? 100 : sizeof value);
            for (size_t i = 0; i < len; i++)
                value[i] = (uint8_t)rng_next(&rng);
            logline_put_text(&line, "key", bytes_of(value, len));
            put += len;
        }
        logline_end(&line);
        size_t len = strlen(sink.text);
        assert_int_equal(sink.lines, 1);
        assert_int_equal(sink.text[len - 1], '\n');
        assert_true(strchr(sink.text, '\n') == sink.text + len - 1);
        for (size_t i = 0; i + 1 < len; i++)
            assert_true((uint8_t)sink.text[i] >= 0x20 && sink.text[i] != 0x7f);
        const char *mark = round % 2 ? ",\"truncated\":true}\n" : " truncated=true\n";
        if (strstr(sink.text, mark) == NULL)
            assert_true(put < LOGLINE_MAX);
        if (round % 2)
            assert_int_equal(sink.text[len - 2], '}');
    }
}

static void a_value_that_is_too_long_is_cut_and_said_so(void **state)
{
    (void)state;
    static struct sink sink;
    static char value[LOGLINE_VALUE_MAX + 1];
    struct logger logger = logger_of(&sink, LOGLINE_LOGFMT);
    struct logline line;
    memset(value, 'v', sizeof value);
    logline_start(&line, &logger, LOGLINE_INFO, "m");
    logline_put_text(&line, "a", bytes_of(value, LOGLINE_VALUE_MAX));
    logline_end(&line);
    assert_null(strstr(sink.text, "truncated"));
    logline_start(&line, &logger, LOGLINE_INFO, "m");
    logline_put_text(&line, "a", bytes_of(value, sizeof value));
    logline_put_int(&line, "b", 1);
    logline_end(&line);
    assert_non_null(strstr(sink.text, "vvv b=1 truncated=true\n"));
}

static void the_names_of_levels_are_read(void **state)
{
    (void)state;
    enum logline_level level;
    assert_true(logline_level_parse(BYTES("debug"), &level));
    assert_int_equal(level, LOGLINE_DEBUG);
    assert_true(logline_level_parse(BYTES("error"), &level));
    assert_int_equal(level, LOGLINE_ERROR);
    assert_false(logline_level_parse(BYTES("ERROR"), &level));
    assert_false(logline_level_parse(BYTES(""), &level));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_has_a_time_a_level_a_message_and_fields),
        cmocka_unit_test(lines_below_the_least_level_are_not_written),
        cmocka_unit_test(no_value_can_forge_a_line_or_a_field),
        cmocka_unit_test(any_bytes_of_any_length_give_one_whole_line),
        cmocka_unit_test(a_value_that_is_too_long_is_cut_and_said_so),
        cmocka_unit_test(the_names_of_levels_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

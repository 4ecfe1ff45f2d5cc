/* metrics_test.c - what Prometheus is told. Metrics live as long as the process, so each test has
 * its own names. */
#include "base/metrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static struct buf all(void)
{
    struct buf buf;
    buf_init(&buf, 1 << 20);
    metrics_put(&buf);
    assert_int_equal(buf_err(&buf).code, ERR_NONE);
    buf_put_u8(&buf, 0);
    return buf;
}

static void assert_has(const char *text)
{
    struct buf buf = all();
    if (!strstr((const char *)buf.ptr, text))
        fail_msg("no %s in\n%s", text, (const char *)buf.ptr);
    buf_done(&buf);
}

static void a_metric_is_unknown_before_its_first_use_or_registration(void **state)
{
    static struct metric used = METRIC_COUNTER("a_used_total", "Used.", "");
    static struct metric registered = METRIC_GAUGE("a_registered", "Registered.", "");
    (void)state;
    struct buf buf = all();
    assert_null(strstr((const char *)buf.ptr, "a_"));
    buf_done(&buf);
    metric_add(&used, 2);
    metric_add(&used, 3);
    metrics_register(&registered);
    metrics_register(&registered);
    assert_has("# HELP a_registered Registered.\n# TYPE a_registered gauge\na_registered 0\n"
               "# HELP a_used_total Used.\n# TYPE a_used_total counter\na_used_total 5\n");
    assert_int_equal(metric_value(&used), 5);
}

static void metrics_of_one_name_share_a_head_and_are_sorted_by_labels(void **state)
{
    static struct metric two = METRIC_COUNTER("b_total", "B.", "code=\"200\"");
    static struct metric four = METRIC_COUNTER("b_total", "B.", "code=\"404\"");
    static struct metric other = METRIC_GAUGE("b_total_x", "X.", "");
    (void)state;
    metric_add(&four, 1);
    metric_set(&other, -7);
    metric_add(&other, 1);
    metric_add(&two, 1);
    assert_has(
        "# HELP b_total B.\n# TYPE b_total counter\nb_total{code=\"200\"} 1\n"
        "b_total{code=\"404\"} 1\n# HELP b_total_x X.\n# TYPE b_total_x gauge\nb_total_x -6\n");
}

static void a_histogram_counts_up_to_each_bound(void **state)
{
    static struct metric waits = METRIC_SECONDS("c_seconds", "C.", "");
    static struct metric sizes = METRIC_BYTES("c_bytes", "C.", "kind=\"in\"");
    (void)state;
    metric_observe(&waits, 50000);       /* on the bound */
    metric_observe(&waits, 50001);       /* past it */
    metric_observe(&waits, 90000000000); /* past all */
    metric_observe(&sizes, 1000);
    assert_int_equal(metric_value(&waits), 3);
    assert_has("c_seconds_bucket{le=\"5e-05\"} 1\nc_seconds_bucket{le=\"0.0001\"} 2\n");
    assert_has("c_seconds_bucket{le=\"60\"} 2\nc_seconds_bucket{le=\"+Inf\"} 3\n"
               "c_seconds_sum 90.000100001\nc_seconds_count 3\n");
    assert_has("c_bytes_bucket{kind=\"in\",le=\"256\"} 0\n"
               "c_bytes_bucket{kind=\"in\",le=\"1024\"} 1\n");
    assert_has("c_bytes_sum{kind=\"in\"} 1000\nc_bytes_count{kind=\"in\"} 1\n");
}

static void too_little_room_is_an_error_of_the_buffer(void **state)
{
    static struct metric metric = METRIC_GAUGE("d", "D.", "");
    (void)state;
    metrics_register(&metric);
    struct buf buf;
    buf_init(&buf, 10);
    metrics_put(&buf);
    assert_int_equal(buf_err(&buf).code, ERR_NOMEM);
    buf_done(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_metric_is_unknown_before_its_first_use_or_registration),
        cmocka_unit_test(metrics_of_one_name_share_a_head_and_are_sorted_by_labels),
        cmocka_unit_test(a_histogram_counts_up_to_each_bound),
        cmocka_unit_test(too_little_room_is_an_error_of_the_buffer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

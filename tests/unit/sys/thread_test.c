/* thread_test.c - threads, conditions and the pool, under the sanitizers. */
#include "sys/thread.h"

#include "sys/clock.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct thread_pool *pool_new(unsigned threads)
{
    struct thread_pool *pool = NULL;
    assert_int_equal(thread_pool_new(threads, &pool).code, ERR_NONE);
    assert_int_equal(thread_pool_threads(pool), threads);
    return pool;
}

enum { TASKS = 5000 };

static void count_task(void *ctx, uint32_t task)
{
    atomic_uint *counts = ctx;
    atomic_fetch_add(&counts[task], 1);
}

static void each_task_runs_once_and_all_have_run_when_it_returns(void **state)
{
    (void)state;
    static atomic_uint counts[TASKS];
    for (unsigned threads = 0; threads <= 4; threads++) {
        struct thread_pool *pool = pool_new(threads);
        for (uint32_t count = 0; count <= TASKS; count = count * 3 + 1) {
            memset(counts, 0, sizeof counts);
            thread_pool_run(pool, count, count_task, counts);
            for (uint32_t i = 0; i < TASKS; i++)
                assert_int_equal(atomic_load(&counts[i]), i < count);
        }
        thread_pool_free(pool);
    }
    thread_pool_free(NULL);
}

struct nested {
    struct thread_pool *pool;
    atomic_uint done;
};

static void inner_task(void *ctx, uint32_t task)
{
    struct nested *nested = ctx;
    (void)task;
    atomic_fetch_add(&nested->done, 1);
}

static void outer_task(void *ctx, uint32_t task)
{
    struct nested *nested = ctx;
    (void)task;
    thread_pool_run(nested->pool, 10, inner_task, nested);
}

static void a_task_may_run_tasks_on_its_pool(void **state)
{
    (void)state;
    struct nested nested = { .pool = pool_new(3) };
    thread_pool_run(nested.pool, 50, outer_task, &nested);
    assert_int_equal(atomic_load(&nested.done), 500);
    thread_pool_free(nested.pool);
}

static void *run_many(void *ctx)
{
    struct nested *nested = ctx;
    for (int i = 0; i < 200; i++)
        thread_pool_run(nested->pool, 10, inner_task, nested);
    return NULL;
}

static void several_callers_share_a_pool(void **state)
{
    (void)state;
    struct nested nested = { .pool = pool_new(2) };
    struct thread threads[4];
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(
            thread_start(&threads[i], "a long name of a thread", run_many, &nested).code, ERR_NONE);
    for (size_t i = 0; i < 4; i++)
        thread_join(&threads[i]);
    assert_int_equal(atomic_load(&nested.done), 8000);
    thread_pool_free(nested.pool);
}

/* A task that waits until another one runs: it ends only when two threads work at a time. */
static void meet_task(void *ctx, uint32_t task)
{
    atomic_uint *met = ctx;
    (void)task;
    atomic_fetch_add(met, 1);
    while (atomic_load(met) < 2)
        ;
}

static void tasks_run_at_the_same_time(void **state)
{
    (void)state;
    struct thread_pool *pool = pool_new(1);
    atomic_uint met = 0;
    thread_pool_run(pool, 2, meet_task, &met);
    assert_int_equal(atomic_load(&met), 2);
    thread_pool_free(pool);
}

struct box {
    struct mutex mutex;
    struct cond cond;
    struct rwlock lock;
    int ball;
    bool saw_blocked;
};

static void *play(void *ctx)
{
    struct box *box = ctx;
    sigset_t mask;
    (void)pthread_sigmask(SIG_SETMASK, NULL, &mask);
    mutex_lock(&box->mutex);
    box->saw_blocked = sigismember(&mask, SIGTERM) && !sigismember(&mask, SIGSEGV);
    for (int i = 1; i < 1000; i += 2) {
        while (box->ball != i)
            cond_wait(&box->cond, &box->mutex);
        box->ball++;
        cond_signal(&box->cond);
    }
    mutex_unlock(&box->mutex);
    return NULL;
}

static void two_threads_play_ball_and_the_new_one_has_signals_blocked(void **state)
{
    (void)state;
    struct box box = { .ball = 0 };
    struct thread thread;
    mutex_init(&box.mutex);
    cond_init(&box.cond);
    assert_int_equal(thread_start(&thread, "play", play, &box).code, ERR_NONE);
    mutex_lock(&box.mutex);
    for (int i = 0; i < 1000; i += 2) {
        while (box.ball != i)
            cond_wait(&box.cond, &box.mutex);
        box.ball++;
        cond_broadcast(&box.cond);
    }
    mutex_unlock(&box.mutex);
    thread_join(&thread);
    assert_int_equal(box.ball, 1000);
    assert_true(box.saw_blocked);
    sigset_t mask;
    (void)pthread_sigmask(SIG_SETMASK, NULL, &mask);
    assert_false(sigismember(&mask, SIGTERM)); /* the maker's mask is as it was */
    cond_done(&box.cond);
    mutex_done(&box.mutex);
}

static void waiting_for_nothing_ends_when_the_time_runs_out(void **state)
{
    (void)state;
    struct box box;
    mutex_init(&box.mutex);
    cond_init(&box.cond);
    mutex_lock(&box.mutex);
    while (cond_wait_ms(&box.cond, &box.mutex, 1))
        ; /* a spurious wake */
    while (cond_wait_ms(&box.cond, &box.mutex, -5))
        ;
    mutex_unlock(&box.mutex);
    cond_done(&box.cond);
    mutex_done(&box.mutex);
}

static void *read_and_write(void *ctx)
{
    struct box *box = ctx;
    thread_set_background();
    for (int i = 0; i < 500; i++) {
        rwlock_read(&box->lock);
        int seen = box->ball;
        assert(seen >= 0);
        (void)seen;
        rwlock_unlock(&box->lock);
        rwlock_write(&box->lock);
        box->ball++;
        rwlock_unlock(&box->lock);
    }
    return NULL;
}

static void writers_are_alone(void **state)
{
    (void)state;
    struct box box = { .ball = 0 };
    struct thread threads[3];
    rwlock_init(&box.lock);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(thread_start(&threads[i], "rw", read_and_write, &box).code, ERR_NONE);
    for (size_t i = 0; i < 3; i++)
        thread_join(&threads[i]);
    assert_int_equal(box.ball, 1500);
    rwlock_done(&box.lock);
}

static void there_is_a_processor(void **state)
{
    (void)state;
    assert_true(sys_cpu_count() >= 1);
    assert_true(sys_cpu_count() <= 4096);
}

static void the_simulated_clock_stands_still_until_told(void **state)
{
    (void)state;
    struct clock_sim sim;
    clock_sim_init(&sim, 1000);
    assert_int_equal(clock_now_ms(&sim.clock), 1000);
    int64_t before_ns = clock_mono_ns(&sim.clock);
    clock_sim_advance(&sim, 25);
    assert_int_equal(clock_now_ms(&sim.clock), 1025);
    assert_int_equal(clock_mono_ns(&sim.clock) - before_ns, 25000000);
}

static void the_real_clocks_move_forward(void **state)
{
    (void)state;
    struct clock *clock = clock_real();
    assert_true(clock_now_ms(clock) > INT64_C(1700000000000));
    int64_t mono_ns = clock_mono_ns(clock);
    int64_t process_ns = sys_cpu_process_ns();
    int64_t thread_ns = sys_cpu_thread_ns();
    for (int i = 0; i < 1000; i++) {
        int64_t next_ns = clock_mono_ns(clock);
        assert_true(next_ns >= mono_ns);
        mono_ns = next_ns;
    }
    assert_true(sys_cpu_process_ns() > process_ns);
    assert_true(sys_cpu_thread_ns() > thread_ns);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_task_runs_once_and_all_have_run_when_it_returns),
        cmocka_unit_test(a_task_may_run_tasks_on_its_pool),
        cmocka_unit_test(several_callers_share_a_pool),
        cmocka_unit_test(tasks_run_at_the_same_time),
        cmocka_unit_test(two_threads_play_ball_and_the_new_one_has_signals_blocked),
        cmocka_unit_test(waiting_for_nothing_ends_when_the_time_runs_out),
        cmocka_unit_test(writers_are_alone),
        cmocka_unit_test(there_is_a_processor),
        cmocka_unit_test(the_simulated_clock_stands_still_until_told),
        cmocka_unit_test(the_real_clocks_move_forward),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

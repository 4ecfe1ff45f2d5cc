/*
 * thread.c - thin over pthreads, and the pool.
 *
 * A run puts a job on the pool's list, takes tasks from it like every worker, takes it off the
 * list when no task is left to take, and waits for the workers that are still in it. So a caller
 * never waits for a job that isn't its own, and a task may itself run jobs on the pool.
 */
#include "sys/thread.h"

#include <assert.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static void must(int result)
{
    assert(result == 0);
    (void)result;
}

/* --- locks -------------------------------------------------------------- */

void mutex_init(struct mutex *mutex)
{
    must(pthread_mutex_init(&mutex->native, NULL));
}

void mutex_done(struct mutex *mutex)
{
    must(pthread_mutex_destroy(&mutex->native));
}

void mutex_lock(struct mutex *mutex)
{
    must(pthread_mutex_lock(&mutex->native));
}

void mutex_unlock(struct mutex *mutex)
{
    must(pthread_mutex_unlock(&mutex->native));
}

void cond_init(struct cond *cond)
{
    pthread_condattr_t attributes;
    must(pthread_condattr_init(&attributes));
    must(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC));
    must(pthread_cond_init(&cond->native, &attributes));
    must(pthread_condattr_destroy(&attributes));
}

void cond_done(struct cond *cond)
{
    must(pthread_cond_destroy(&cond->native));
}

void cond_wait(struct cond *cond, struct mutex *mutex)
{
    must(pthread_cond_wait(&cond->native, &mutex->native));
}

bool cond_wait_ms(struct cond *cond, struct mutex *mutex, int64_t timeout_ms)
{
    struct timespec until;
    must(clock_gettime(CLOCK_MONOTONIC, &until));
    if (timeout_ms < 0)
        timeout_ms = 0;
    until.tv_sec += timeout_ms / 1000;
    until.tv_nsec += timeout_ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    int result = pthread_cond_timedwait(&cond->native, &mutex->native, &until);
    if (result == ETIMEDOUT)
        return false;
    must(result);
    return true;
}

void cond_signal(struct cond *cond)
{
    must(pthread_cond_signal(&cond->native));
}

void cond_broadcast(struct cond *cond)
{
    must(pthread_cond_broadcast(&cond->native));
}

void rwlock_init(struct rwlock *lock)
{
    pthread_rwlockattr_t attributes;
    must(pthread_rwlockattr_init(&attributes));
    must(pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP));
    must(pthread_rwlock_init(&lock->native, &attributes));
    must(pthread_rwlockattr_destroy(&attributes));
}

void rwlock_done(struct rwlock *lock)
{
    must(pthread_rwlock_destroy(&lock->native));
}

void rwlock_read(struct rwlock *lock)
{
    must(pthread_rwlock_rdlock(&lock->native));
}

void rwlock_write(struct rwlock *lock)
{
    must(pthread_rwlock_wrlock(&lock->native));
}

void rwlock_unlock(struct rwlock *lock)
{
    must(pthread_rwlock_unlock(&lock->native));
}

/* --- threads ------------------------------------------------------------ */

struct err thread_start(struct thread *thread, const char *name, thread_fn *fn, void *ctx)
{
    char short_name[16];
    (void)snprintf(short_name, sizeof short_name, "%s", name);

    /* A new thread inherits its maker's mask. The signals of our own mistakes stay open. */
    sigset_t blocked;
    sigset_t before;
    (void)sigfillset(&blocked);
    (void)sigdelset(&blocked, SIGSEGV);
    (void)sigdelset(&blocked, SIGBUS);
    (void)sigdelset(&blocked, SIGFPE);
    (void)sigdelset(&blocked, SIGILL);
    (void)sigdelset(&blocked, SIGABRT);
    must(pthread_sigmask(SIG_SETMASK, &blocked, &before));
    int result = pthread_create(&thread->native, NULL, fn, ctx);
    must(pthread_sigmask(SIG_SETMASK, &before, NULL));
    if (result != 0)
        return (struct err){ .code = ERR_OS, .os = result, .what = "thread: start" };

    (void)pthread_setname_np(thread->native, short_name);
    return ok();
}

void thread_join(struct thread *thread)
{
    must(pthread_join(thread->native, NULL));
}

void thread_set_background(void)
{
    enum { WHO_PROCESS = 1, CLASS_BEST_EFFORT = 2, CLASS_SHIFT = 13, LOWEST = 7 };
    pid_t self = (pid_t)syscall(SYS_gettid);

    (void)setpriority(PRIO_PROCESS, (id_t)self, 19);
    (void)syscall(SYS_ioprio_set, WHO_PROCESS, self, CLASS_BEST_EFFORT << CLASS_SHIFT | LOWEST);
}

/* The cgroup's quota in whole processors, rounded up; 0: none. */
static unsigned cpu_quota(void)
{
    FILE *file = fopen("/sys/fs/cgroup/cpu.max", "re");
    if (!file)
        return 0;
    char line[64] = "";
    bool has_line = fgets(line, sizeof line, file) != NULL;
    (void)fclose(file);

    char *end = line;
    unsigned long quota = has_line ? strtoul(line, &end, 10) : 0; /* "max 100000": no digits */
    unsigned long period = strtoul(end, NULL, 10);
    if (quota == 0 || period == 0)
        return 0;
    return (unsigned)((quota + period - 1) / period);
}

unsigned sys_cpu_count(void)
{
    cpu_set_t set;
    unsigned count = 1;
    if (sched_getaffinity(0, sizeof set, &set) == 0) {
        count = (unsigned)CPU_COUNT(&set);
    } else {
        long online = sysconf(_SC_NPROCESSORS_ONLN);
        count = online > 0 ? (unsigned)online : 1;
    }
    unsigned quota = cpu_quota();
    if (quota && quota < count)
        count = quota;
    return count ? count : 1;
}

/* --- the pool ----------------------------------------------------------- */

struct job {
    struct job *next;
    thread_task_fn *fn;
    void *ctx;
    uint64_t count;
    atomic_uint_fast64_t taken; /* past `count`: nothing left */
    unsigned workers;           /* in it, without its caller */
};

struct thread_pool {
    struct mutex mutex;
    struct cond work; /* a job came, or the end */
    struct cond idle; /* the last worker left a job */
    struct job *jobs; /* the oldest first */
    bool is_stopping;
    unsigned threads;
    struct thread thread[];
};

static void run_tasks(struct job *job)
{
    for (;;) {
        uint64_t task = atomic_fetch_add_explicit(&job->taken, 1, memory_order_relaxed);
        if (task >= job->count)
            return;
        job->fn(job->ctx, (uint32_t)task);
    }
}

static struct job *find_job(struct thread_pool *pool)
{
    struct job *job = pool->jobs;
    while (job && atomic_load_explicit(&job->taken, memory_order_relaxed) >= job->count)
        job = job->next;
    return job;
}

static void *pool_thread(void *ctx)
{
    struct thread_pool *pool = ctx;

    mutex_lock(&pool->mutex);
    while (!pool->is_stopping) {
        struct job *job = find_job(pool);
        if (!job) {
            cond_wait(&pool->work, &pool->mutex);
            continue;
        }
        job->workers++;
        mutex_unlock(&pool->mutex);
        run_tasks(job);
        mutex_lock(&pool->mutex);
        if (--job->workers == 0)
            cond_broadcast(&pool->idle);
    }
    mutex_unlock(&pool->mutex);
    return NULL;
}

struct err thread_pool_new(unsigned threads, struct thread_pool **out)
{
    struct thread_pool *pool = calloc(1, sizeof *pool + threads * sizeof *pool->thread);
    if (!pool)
        return err_new(ERR_NOMEM, "pool: new");
    mutex_init(&pool->mutex);
    cond_init(&pool->work);
    cond_init(&pool->idle);
    for (; pool->threads < threads; pool->threads++) {
        struct err err = thread_start(&pool->thread[pool->threads], "pool", pool_thread, pool);
        if (err.code) {
            thread_pool_free(pool);
            return err;
        }
    }
    *out = pool;
    return ok();
}

void thread_pool_free(struct thread_pool *pool)
{
    if (!pool)
        return;
    mutex_lock(&pool->mutex);
    assert(!pool->jobs);
    pool->is_stopping = true;
    cond_broadcast(&pool->work);
    mutex_unlock(&pool->mutex);
    for (unsigned i = 0; i < pool->threads; i++)
        thread_join(&pool->thread[i]);
    cond_done(&pool->idle);
    cond_done(&pool->work);
    mutex_done(&pool->mutex);
    free(pool);
}

static void add_job(struct thread_pool *pool, struct job *job)
{
    mutex_lock(&pool->mutex);
    struct job **end = &pool->jobs;
    while (*end)
        end = &(*end)->next;
    *end = job;
    if (job->count > pool->threads)
        cond_broadcast(&pool->work);
    else
        for (uint64_t i = 1; i < job->count; i++)
            cond_signal(&pool->work);
    mutex_unlock(&pool->mutex);
}

static void remove_job(struct thread_pool *pool, struct job *job)
{
    mutex_lock(&pool->mutex);
    struct job **link = &pool->jobs;
    while (*link != job)
        link = &(*link)->next;
    *link = job->next;
    while (job->workers > 0)
        cond_wait(&pool->idle, &pool->mutex);
    mutex_unlock(&pool->mutex);
}

void thread_pool_run(struct thread_pool *pool, uint32_t count, thread_task_fn *fn, void *ctx)
{
    struct job job = { .fn = fn, .ctx = ctx, .count = count };
    if (count <= 1 || pool->threads == 0) {
        run_tasks(&job);
        return;
    }
    add_job(pool, &job);
    run_tasks(&job);
    remove_job(pool, &job);
}

unsigned thread_pool_threads(const struct thread_pool *pool)
{
    return pool->threads;
}

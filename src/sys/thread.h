/* thread.h - threads, mutexes, conditions, and a pool of threads. A failure of the primitives
 * themselves (other than making a thread) is our mistake and asserts. */
#ifndef SYS_THREAD_H
#define SYS_THREAD_H

#include "base/err.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct mutex {
    pthread_mutex_t native;
};
struct cond {
    pthread_cond_t native; /* on the monotonic clock */
};
struct rwlock {
    pthread_rwlock_t native; /* writers are preferred */
};

void mutex_init(struct mutex *mutex);
void mutex_done(struct mutex *mutex);
void mutex_lock(struct mutex *mutex);
void mutex_unlock(struct mutex *mutex);

void cond_init(struct cond *cond);
void cond_done(struct cond *cond);
void cond_wait(struct cond *cond, struct mutex *mutex);
/* False: the time ran out. Wakes may be spurious: check the condition. */
bool cond_wait_ms(struct cond *cond, struct mutex *mutex, int64_t timeout_ms);
void cond_signal(struct cond *cond);
void cond_broadcast(struct cond *cond);

void rwlock_init(struct rwlock *lock);
void rwlock_done(struct rwlock *lock);
void rwlock_read(struct rwlock *lock);
void rwlock_write(struct rwlock *lock);
void rwlock_unlock(struct rwlock *lock);

struct thread {
    pthread_t native;
};
typedef void *thread_fn(void *ctx);
/* `name` shows in top and gdb: 15 bytes at most. Signals are blocked in the new thread. */
MUST_CHECK struct err thread_start(struct thread *thread, const char *name, thread_fn *fn,
                                   void *ctx);
void thread_join(struct thread *thread);
/* Lowest CPU and I/O priority for the calling thread; best effort. */
void thread_set_background(void);

/*
 * Runs fn(ctx, 0) … fn(ctx, count - 1), each once, on a pool's threads and the caller's; returns
 * when all are done. Several callers may use one pool at once.
 */
struct thread_pool;
MUST_CHECK struct err thread_pool_new(unsigned threads, struct thread_pool **out);
void thread_pool_free(struct thread_pool *pool);
typedef void thread_task_fn(void *ctx, uint32_t task);
void thread_pool_run(struct thread_pool *pool, uint32_t count, thread_task_fn *fn, void *ctx);
unsigned thread_pool_threads(const struct thread_pool *pool);
/* Processors this process may use. */
unsigned sys_cpu_count(void);

#endif

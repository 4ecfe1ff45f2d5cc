/* log_help.h - submitting and waiting, for the log's tests. */
#ifndef LOG_HELP_H
#define LOG_HELP_H

#include "log/log_internal.h"

#include "sys/disk_sim.h"
#include "sys/thread.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* A batch on its way, and the place where its answer arrives. */
struct sent {
    struct log_entry entry; /* first: `done` gets a pointer to it */
    struct mutex mutex;
    struct cond changed;
    bool is_done;
    bool is_held; /* `done` doesn't return until this is false */
    bool is_gone; /* `done` won't touch this any more */
    struct err err;
};

static inline void sent_done(struct log_entry *entry, struct err err)
{
    struct sent *sent = (struct sent *)entry;
    mutex_lock(&sent->mutex);
    sent->err = err;
    sent->is_done = true;
    cond_broadcast(&sent->changed);
    while (sent->is_held)
        cond_wait(&sent->changed, &sent->mutex);
    sent->is_gone = true;
    cond_broadcast(&sent->changed);
    mutex_unlock(&sent->mutex);
}

static inline void sent_init(struct sent *sent, struct bytes batch, uint32_t count)
{
    *sent = (struct sent){ 0 };
    sent->entry = (struct log_entry){ .batch = batch, .count = count, .done = sent_done };
    mutex_init(&sent->mutex);
    cond_init(&sent->changed);
}

static inline struct err sent_wait(struct sent *sent)
{
    mutex_lock(&sent->mutex);
    while (!sent->is_done)
        cond_wait(&sent->changed, &sent->mutex);
    struct err err = sent->err;
    mutex_unlock(&sent->mutex);
    return err;
}

static inline void sent_release(struct sent *sent)
{
    mutex_lock(&sent->mutex);
    sent->is_held = false;
    cond_broadcast(&sent->changed);
    mutex_unlock(&sent->mutex);
}

/* Waits for `done` to have returned, when it was called. */
static inline void sent_free(struct sent *sent)
{
    mutex_lock(&sent->mutex);
    while (sent->is_done && !sent->is_gone)
        cond_wait(&sent->changed, &sent->mutex);
    mutex_unlock(&sent->mutex);
    cond_done(&sent->changed);
    mutex_done(&sent->mutex);
}

/* Submits and waits for the answer. */
static inline struct err put(struct log *log, struct bytes batch, uint32_t count,
                             uint64_t *position_out)
{
    struct sent sent;
    sent_init(&sent, batch, count);
    struct err err = log_submit(log, &sent.entry);
    if (!err.code)
        err = sent_wait(&sent);
    if (!err.code && position_out)
        *position_out = sent.entry.position;
    sent_free(&sent);
    return err;
}

#endif

/* ingest_help.h - sends a body, and keeps the commands and the reply as text. */
#ifndef INGEST_HELP_H
#define INGEST_HELP_H

#include "ingest/ingest.h"

#include "command_dump.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* 2026-01-01T00:00:00Z */
#define NOW_S  1767225600
#define NOW_MS (INT64_C(1767225600) * 1000)

struct fixture {
    struct ingest *in;
    struct ingest_rules rules;
    struct command_writer *writer;
    struct ingest_result result;
    struct arena arena;
    struct buf commands; /* as text, zero-terminated */
    struct buf reply;
    uint32_t asked; /* calls of is_discarded */
};

typedef struct err send_fn(struct ingest *in, const struct ingest_rules *rules, struct bytes body,
                           struct command_writer *writer, struct ingest_result *result_out);

static inline bool is_discarded(void *ctx, struct bytes name, bool is_folded)
{
    struct fixture *fx = ctx;
    fx->asked++;
    return bytes_equal(name, BYTES("Gone")) || (is_folded && bytes_equal(name, BYTES("gone")));
}

static inline int setup(void **state)
{
    struct fixture *fx = calloc(1, sizeof *fx);
    assert_non_null(fx);
    assert_int_equal(ingest_new(16 << 20, &fx->in).code, ERR_NONE);
    assert_int_equal(command_writer_new(&fx->writer).code, ERR_NONE);
    fx->rules = (struct ingest_rules){ .now_ms = NOW_MS, .is_discarded = is_discarded, .ctx = fx };
    arena_init(&fx->arena, 256 << 20);
    buf_init(&fx->commands, 64 << 20);
    buf_init(&fx->reply, 64 << 20);
    *state = fx;
    return 0;
}

static inline int teardown(void **state)
{
    struct fixture *fx = *state;
    ingest_free(fx->in);
    command_writer_free(fx->writer);
    arena_done(&fx->arena);
    buf_done(&fx->commands);
    buf_done(&fx->reply);
    free(fx);
    return 0;
}

/* The writer's commands as text; empty without any. */
static inline void keep_commands(struct fixture *fx)
{
    struct bytes batch;
    buf_reset(&fx->commands);
    if (command_writer_count(fx->writer) == 0) {
        buf_put_u8(&fx->commands, 0);
        return;
    }
    assert_int_equal(command_writer_finish(fx->writer, &batch).code, ERR_NONE);
    assert_int_equal(dump_batch(batch, &fx->arena, &fx->commands).code, ERR_NONE);
}

static inline void keep_answer(struct fixture *fx)
{
    keep_commands(fx);
    assert_int_equal(command_writer_count(fx->writer), fx->result.processed);
    buf_reset(&fx->reply);
    ingest_put_reply(fx->in, &fx->result, &fx->reply);
    buf_put_u8(&fx->reply, 0);
}

#define COMMANDS(fx) ((const char *)(fx)->commands.ptr)
#define REPLY(fx)    ((const char *)(fx)->reply.ptr)

static inline void must_start(const char *text, const char *start)
{
    assert_true(bytes_start_with(bytes_from(text), bytes_from(start)));
}

static inline void must_equal(struct bytes text, const char *expected)
{
    if (!bytes_equal(text, bytes_from(expected)))
        fail_msg("'%.*s' is not '%s'", BYTES_FMT(text), expected);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif

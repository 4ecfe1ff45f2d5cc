/*
 * api_cursor_fuzz.c - cursors of any bytes.
 *
 *  1. nothing that we didn't sign is taken;
 *  2. what we signed comes back as it was, whatever its text;
 *  3. changed at one place, it isn't taken.
 */
#include "api/api_internal.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct api api;
    static struct call call;
    struct clock_sim sim;
    struct arena arena;
    struct buf text;
    struct bytes input = bytes_of(data, size);
    clock_sim_init(&sim, INT64_C(1760000000000));
    api.config.clock = &sim.clock;
    arena_init(&arena, 1 << 20);
    buf_init(&text, 1 << 20);

    struct cursor back = { .kind = "users" };
    must(!cursor_get(&api, &call, input, &arena, &back));
    base64url_put(&text, input);
    must(!cursor_get(&api, &call, buf_bytes(&text), &arena, &back));

    buf_reset(&text);
    struct cursor cursor = { .kind = "users",
                             .text = input,
                             .numbers = { size, 0, UINT64_MAX, 3 } };
    cursor_put(&api, &call, &cursor, 1000, &text);
    if (text.len) {
        must(cursor_get(&api, &call, buf_bytes(&text), &arena, &back));
        must(bytes_equal(back.text, input) &&
             memcmp(back.numbers, cursor.numbers, sizeof back.numbers) == 0);
        size_t at = size ? data[0] * text.len / 256 : 0;
        text.ptr[at] = text.ptr[at] == 'x' ? 'y' : 'x';
        must(!cursor_get(&api, &call, buf_bytes(&text), &arena, &back));
    }
    buf_done(&text);
    arena_done(&arena);
    return 0;
}

/*
 * identity_load_fuzz.c - an identity graph's state of any bytes at all.
 *
 *  1. loading stays inside the bytes and ends;
 *  2. what loads is saved as bytes that load again and are saved the same;
 *  3. every key of what was loaded leads to its user, and every number to somebody.
 *
 * The input is used as it is, and as damage done to the state of a small real graph.
 */
#include "identity/identity.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { STATE_MAX = 1 << 22 };

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void save(const struct identity_graph *graph, struct buf *state)
{
    buf_init(state, STATE_MAX);
    identity_save(graph, state);
    must(!buf_err(state).code);
}

static void check_graph(const struct identity_graph *graph)
{
    struct identity_key keys[IDENTITY_KEYS_MAX];
    for (uint32_t user = 0; user < identity_user_count(graph); user++) {
        uint32_t survivor = identity_survivor(graph, user);
        must(survivor <= user && identity_survivor(graph, survivor) == survivor);
        uint32_t count = identity_keys(graph, user, keys, IDENTITY_KEYS_MAX);
        must(count <= IDENTITY_KEYS_MAX);
        for (uint32_t i = 0; i < count; i++)
            must(identity_find(graph, keys[i]) == user);
    }
}

static void check(struct bytes image)
{
    struct identity_config config = { 0 };
    struct identity_graph *first = NULL;
    struct identity_graph *second = NULL;
    struct buf once;
    struct buf twice;

    if (identity_load(image, config, &first).code)
        return;
    check_graph(first);
    save(first, &once);
    must(!identity_load(buf_bytes(&once), config, &second).code);
    save(second, &twice);
    must(bytes_equal(buf_bytes(&once), buf_bytes(&twice)));
    buf_done(&once);
    buf_done(&twice);
    identity_free(first);
    identity_free(second);
}

static uint32_t resolve(struct identity_graph *graph, enum identity_kind kind, struct bytes text)
{
    struct identity_key key = { kind, text };
    struct identity_result result;
    must(!identity_resolve(graph, &key, 1, &result).code);
    return result.user;
}

static void small_state(struct buf *state)
{
    struct identity_graph *graph = NULL;
    uint32_t survivor = 0;
    uint32_t merged = 0;
    must(!identity_new((struct identity_config){ 0 }, &graph).code);
    uint32_t a = resolve(graph, IDENTITY_IDENTITY, BYTES("u1"));
    uint32_t b = resolve(graph, IDENTITY_DEVICE, BYTES("d1"));
    uint32_t c = resolve(graph, IDENTITY_EMAIL, BYTES("a@b"));
    (void)resolve(graph, IDENTITY_PHONE, BYTES("+1"));
    must(!identity_merge(graph, b, a, &survivor, &merged).code);
    must(!identity_erase(graph, c).code);
    save(graph, state);
    identity_free(graph);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check(bytes_of(data, size));

    struct buf state;
    small_state(&state);
    for (size_t i = 0; i + 1 < size && i < 8; i += 2)
        state.ptr[data[i] % state.len] ^= data[i + 1];
    check(buf_bytes(&state));
    check(bytes_of(state.ptr, size % (state.len + 1)));
    buf_done(&state);
    return 0;
}

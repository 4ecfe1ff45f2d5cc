/*
 * catalog_load_fuzz.c - a catalog's state of any bytes at all.
 *
 *  1. loading stays inside the bytes and ends;
 *  2. what loads is saved as bytes that load again and are saved the same.
 *
 * Random bytes hardly ever begin rightly, so the input is used twice: as it is, and as damage done
 * to the state of a small real catalog.
 */
#include "catalog/catalog.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { STATE_MAX = 1 << 22 };

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void save(const struct catalog *catalog, struct buf *state)
{
    buf_init(state, STATE_MAX);
    catalog_save(catalog, state);
    must(!buf_err(state).code);
}

static void check(struct bytes image)
{
    struct catalog *first = NULL;
    struct catalog *second = NULL;
    struct buf once;
    struct buf twice;

    if (catalog_load(image, &first).code)
        return;
    save(first, &once);
    must(!catalog_load(buf_bytes(&once), &second).code);
    save(second, &twice);
    must(bytes_equal(buf_bytes(&once), buf_bytes(&twice)));
    buf_done(&once);
    buf_done(&twice);
    catalog_free(first);
    catalog_free(second);
}

static void small_state(struct buf *state)
{
    struct catalog *catalog = NULL;
    uint32_t property = 0;
    uint32_t event = 0;
    uint32_t items = 0;
    must(!catalog_new(&catalog).code);
    must(!catalog_property_put(catalog, BYTES("Amount"), &property).code);
    must(!catalog_event_put(catalog, BYTES("Charged"), false, &event, NULL).code);
    must(!catalog_event_items_put(catalog, event, &items).code);
    must(!catalog_event_put(catalog, BYTES("login"), true, &event, NULL).code);
    catalog_saw_event(catalog, event, -5);
    must(!catalog_saw_property(catalog, event, property, VALUE_REAL).code);
    must(!catalog_saw_profile_property(catalog, property, VALUE_STRING).code);
    save(catalog, state);
    catalog_free(catalog);
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

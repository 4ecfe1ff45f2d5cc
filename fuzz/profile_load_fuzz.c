/*
 * profile_load_fuzz.c - a state of profiles of any bytes at all.
 *
 *  1. loading stays inside the bytes and ends, and so does reading all that was loaded;
 *  2. what loads is saved as bytes that load again and are saved the same;
 *  3. merging and clearing what was loaded does no harm.
 *
 * The input is used as it is, and as damage done to the state of a few real profiles.
 */
#include "profile/profile.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { STATE_MAX = 1 << 24, LOOK_AT = 2000 };

static const struct profile_limits limits = { .memory_bytes = 32 << 20 };

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void save(const struct profiles *profiles, struct buf *state)
{
    buf_init(state, STATE_MAX);
    profiles_save(profiles, state);
    must(!buf_err(state).code);
}

static void read_all(struct profiles *profiles)
{
    struct profile_view *view = NULL;
    struct arena arena;
    arena_init(&arena, 1 << 20);
    must(!profile_view_take(profiles, &view).code);
    for (uint32_t user = 0; user < profile_view_users(view) && user < LOOK_AT; user++) {
        uint32_t properties[8];
        uint32_t count = profile_properties(view, user, properties, 8);
        for (uint32_t i = 0; i < count && i < 8; i++)
            must(profile_get(view, user, properties[i], &arena).type != VALUE_NULL);
        struct profile_activity activity = profile_activity(view, user);
        must(activity.first_ms <= activity.last_ms);
    }
    for (uint32_t i = 0; i < profile_text_count(view); i++)
        (void)profile_text(view, i);
    profile_view_release(view);
    arena_done(&arena);
}

static void check(struct bytes image)
{
    struct profiles *first = NULL;
    struct profiles *second = NULL;
    struct buf once;
    struct buf twice;

    if (profiles_load(image, limits, &first).code)
        return;
    read_all(first);
    save(first, &once);
    must(!profiles_load(buf_bytes(&once), limits, &second).code);
    save(second, &twice);
    must(bytes_equal(buf_bytes(&once), buf_bytes(&twice)));
    (void)profile_merge(second, 1, 0).code;
    (void)profile_clear(second, 0).code;
    read_all(second);
    buf_done(&once);
    buf_done(&twice);
    profiles_free(first);
    profiles_free(second);
}

static void apply(struct profiles *profiles, uint32_t user, uint32_t property, enum profile_op op,
                  struct value value)
{
    bool is_ignored = false;
    must(!profile_apply(profiles, user, property, op, &value, &is_ignored).code && !is_ignored);
}

static void small_state(struct buf *state)
{
    struct profiles *profiles = NULL;
    must(!profiles_new(limits, &profiles).code);
    apply(profiles, 0, 0, PROFILE_SET, value_string(BYTES("Pune")));
    apply(profiles, 1, 0, PROFILE_SET, value_int(-7));
    apply(profiles, 1, 2, PROFILE_ADD, value_string(BYTES("a")));
    apply(profiles, 1, 2, PROFILE_ADD, value_string(BYTES("b")));
    apply(profiles, 0, 2, PROFILE_ADD, value_string(BYTES("c")));
    apply(profiles, 0, 3, PROFILE_INCR, value_real(1.5));
    apply(profiles, 1, 3, PROFILE_INCR, value_int(2));
    apply(profiles, 0, 4, PROFILE_DELETE, value_null());
    apply(profiles, 0, 5, PROFILE_SET, value_bool(true));
    must(!profile_saw(profiles, 1, 1234, 2).code);
    save(profiles, state);
    profiles_free(profiles);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check(bytes_of(data, size));

    static struct buf whole; /* kept: making it is most of the work */
    if (whole.len == 0)
        small_state(&whole);
    uint8_t image[1024];
    must(whole.len <= sizeof image);
    memcpy(image, whole.ptr, whole.len);
    for (size_t i = 0; i + 1 < size && i < 4; i += 2)
        image[data[i] % whole.len] ^= data[i + 1];
    check(bytes_of(image, whole.len));
    check(bytes_of(whole.ptr, size % (whole.len + 1)));
    return 0;
}

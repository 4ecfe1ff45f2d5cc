/*
 * profile_thread_test.c - views are read by threads while the writer goes on.
 *
 * The writer keeps a rule that holds after each of its rounds: a user's number n, the text "n" and
 * the list ["n"] belong together. Readers take views under the lock and check the rule without it.
 * Built with -fsanitize=thread, this also shows that there's no race.
 */
#include "base/rng.h"
#include "profile/profile.h"
#include "sys/thread.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { USERS = 3000, ROUNDS = 12000, READERS = 3, NUMBER = 0, TEXT = 1, LIST = 5 };

struct shared {
    struct mutex lock;
    struct profiles *profiles;
    atomic_bool is_done;
    atomic_uint wrong;
    atomic_uint views;
};

static void check_user(struct shared *shared, const struct profile_view *view, uint32_t user,
                       struct arena *arena)
{
    char text[16];
    struct value number = profile_get(view, user, NUMBER, arena);
    struct value string = profile_get(view, user, TEXT, arena);
    struct value list = profile_get(view, user, LIST, arena);
    if (number.type == VALUE_NULL && string.type == VALUE_NULL && list.type == VALUE_NULL)
        return;
    int len = snprintf(text, sizeof text, "%lld", (long long)number.integer);
    struct bytes expected = bytes_of(text, (size_t)len);
    bool is_right = number.type == VALUE_INT && string.type == VALUE_STRING &&
                    bytes_equal(string.string, expected) && list.type == VALUE_LIST &&
                    list.count == 1 && bytes_equal(list.items[0], expected);
    if (!is_right)
        atomic_fetch_add(&shared->wrong, 1);
}

static void *read_views(void *ctx)
{
    struct shared *shared = ctx;
    struct arena arena;
    arena_init(&arena, 16 << 20);
    while (!atomic_load(&shared->is_done)) {
        struct profile_view *view = NULL;
        mutex_lock(&shared->lock);
        struct err err = profile_view_take(shared->profiles, &view);
        mutex_unlock(&shared->lock);
        if (err.code)
            break;
        size_t bytes = 0;
        for (uint32_t user = 0; user < profile_view_users(view); user++)
            check_user(shared, view, user, &arena);
        for (uint32_t i = 0; i < profile_text_count(view); i++) {
            struct bytes text = profile_text(view, i);
            for (size_t j = 0; j < text.len; j++)
                bytes += text.ptr[j] >= '0' && text.ptr[j] <= '9' ? 0 : 1;
        }
        if (bytes > 0)
            atomic_fetch_add(&shared->wrong, 1);
        mutex_lock(&shared->lock);
        profile_view_release(view);
        mutex_unlock(&shared->lock);
        atomic_fetch_add(&shared->views, 1);
        arena_reset(&arena);
    }
    arena_done(&arena);
    return NULL;
}

static void write_user(struct profiles *profiles, uint32_t user, int64_t n)
{
    char text[16];
    bool is_ignored = false;
    int len = snprintf(text, sizeof text, "%lld", (long long)n);
    struct bytes item = bytes_of(text, (size_t)len);
    const struct value values[] = {
        value_int(n),
        value_string(item),
        { .type = VALUE_LIST, .count = 1, .items = &item },
    };
    static const uint32_t properties[] = { NUMBER, TEXT, LIST };
    for (int i = 0; i < 3; i++) {
        struct err err =
            profile_apply(profiles, user, properties[i], PROFILE_SET, &values[i], &is_ignored);
        assert_int_equal(err.code, ERR_NONE);
    }
    assert_int_equal(profile_saw(profiles, user, n, 1).code, ERR_NONE);
}

static void views_stay_whole_while_the_writer_goes_on(void **state)
{
    (void)state;
    struct shared shared = { .profiles = NULL };
    struct thread readers[READERS];
    struct rng rng;
    struct profile_limits limits = { 0 };
    rng_init(&rng, 1);
    mutex_init(&shared.lock);
    assert_int_equal(profiles_new(limits, &shared.profiles).code, ERR_NONE);
    for (int i = 0; i < READERS; i++)
        assert_int_equal(thread_start(&readers[i], "reader", read_views, &shared).code, ERR_NONE);
    for (uint32_t round = 0; round < ROUNDS || atomic_load(&shared.views) < 20; round++) {
        uint32_t user = (uint32_t)rng_below(&rng, USERS);
        mutex_lock(&shared.lock);
        write_user(shared.profiles, user, (int64_t)rng_below(&rng, 5000));
        if (rng_below(&rng, 50) == 0)
            assert_int_equal(profile_clear(shared.profiles, (uint32_t)rng_below(&rng, USERS)).code,
                             ERR_NONE);
        mutex_unlock(&shared.lock);
    }
    atomic_store(&shared.is_done, true);
    for (int i = 0; i < READERS; i++)
        thread_join(&readers[i]);
    assert_int_equal(atomic_load(&shared.wrong), 0);
    profiles_free(shared.profiles);
    mutex_done(&shared.lock);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(views_stay_whole_while_the_writer_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* profile_test.c - what profile.h and docs/modules/profile.md promise. */
#include "profile/profile.h"

#include "base/rng.h"
#include "profile/profile_internal.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct profiles *must_new(struct profile_limits limits)
{
    struct profiles *profiles = NULL;
    assert_int_equal(profiles_new(limits, &profiles).code, ERR_NONE);
    return profiles;
}

static int setup(void **state)
{
    *state = must_new((struct profile_limits){ 0 });
    return 0;
}

static int teardown(void **state)
{
    profiles_free(*state);
    return 0;
}

/* True: the operator was ignored. */
static bool apply(struct profiles *profiles, uint32_t user, uint32_t property, enum profile_op op,
                  struct value value)
{
    bool is_ignored = false;
    assert_int_equal(profile_apply(profiles, user, property, op, &value, &is_ignored).code,
                     ERR_NONE);
    return is_ignored;
}

static void set(struct profiles *profiles, uint32_t user, uint32_t property, struct value value)
{
    assert_false(apply(profiles, user, property, PROFILE_SET, value));
}

static struct value text(const char *s)
{
    return value_string(bytes_from(s));
}

static struct profile_view *take(struct profiles *profiles)
{
    struct profile_view *view = NULL;
    assert_int_equal(profile_view_take(profiles, &view).code, ERR_NONE);
    return view;
}

/* A value as text: null, true, 5, 2.5, "a", @5 (a time), ["a","b"]. */
static const char *show_value(struct value value, char room[256])
{
    int len = 0;
    switch (value.type) {
    case VALUE_NULL:
    case VALUE_TYPES:
        return "null";
    case VALUE_BOOL:
        return value.boolean ? "true" : "false";
    case VALUE_INT:
        (void)snprintf(room, 256, "%lld", (long long)value.integer);
        break;
    case VALUE_TIME:
        (void)snprintf(room, 256, "@%lld", (long long)value.time_ms);
        break;
    case VALUE_REAL:
        (void)snprintf(room, 256, "%.17g.", value.real);
        break;
    case VALUE_STRING:
        (void)snprintf(room, 256, "\"%.*s\"", BYTES_FMT(value.string));
        break;
    case VALUE_LIST:
        for (uint32_t i = 0; i < value.count; i++)
            len += snprintf(room + len, 256 - (size_t)len, "%s\"%.*s\"", i ? "," : "[",
                            BYTES_FMT(value.items[i]));
        (void)snprintf(room + len, 256 - (size_t)len, "]");
        break;
    }
    return room;
}

static void view_show(const struct profile_view *view, uint32_t user, uint32_t property,
                      char shown[256])
{
    struct arena arena;
    char room[256];
    arena_init(&arena, 1 << 20);
    (void)snprintf(shown, 256, "%s", show_value(profile_get(view, user, property, &arena), room));
    arena_done(&arena);
}

static const char *show(struct profiles *profiles, uint32_t user, uint32_t property)
{
    static char shown[256];
    struct profile_view *view = take(profiles);
    view_show(view, user, property, shown);
    profile_view_release(view);
    return shown;
}

#define assert_shows(profiles, user, property, expected)                                           \
    assert_string_equal(show(profiles, user, property), expected)

static void save(const struct profiles *profiles, struct buf *to)
{
    buf_init(to, 256 << 20);
    profiles_save(profiles, to);
    assert_int_equal(buf_err(to).code, ERR_NONE);
}

static struct profiles *reloaded(const struct profiles *profiles)
{
    struct buf saved;
    struct profiles *copy = NULL;
    save(profiles, &saved);
    assert_int_equal(profiles_load(buf_bytes(&saved), profiles->limits, &copy).code, ERR_NONE);
    buf_done(&saved);
    return copy;
}

static void assert_same(const struct profiles *a, const struct profiles *b)
{
    struct buf first;
    struct buf second;
    save(a, &first);
    save(b, &second);
    assert_true(bytes_equal(buf_bytes(&first), buf_bytes(&second)));
    buf_done(&first);
    buf_done(&second);
}

/* --- operators -------------------------------------------------------------------------- */

static void values_of_every_type_come_back(void **state)
{
    struct profiles *profiles = *state;
    struct bytes items[] = { BYTES("a"), BYTES("b") };
    set(profiles, 3, 0, value_bool(true));
    set(profiles, 3, 1, value_int(INT64_MIN));
    set(profiles, 3, 2, value_real(0.1));
    set(profiles, 3, 3, text("Pune"));
    set(profiles, 3, 4, value_time(1767312000000));
    set(profiles, 3, 5, (struct value){ .type = VALUE_LIST, .count = 2, .items = items });
    set(profiles, 3, 6, text(""));
    assert_shows(profiles, 3, 0, "true");
    assert_shows(profiles, 3, 1, "-9223372036854775808");
    assert_shows(profiles, 3, 2, "0.10000000000000001.");
    assert_shows(profiles, 3, 3, "\"Pune\"");
    assert_shows(profiles, 3, 4, "@1767312000000");
    assert_shows(profiles, 3, 5, "[\"a\",\"b\"]");
    assert_shows(profiles, 3, 6, "\"\"");
    assert_shows(profiles, 2, 3, "null");
    assert_shows(profiles, 3, 99, "null");
    assert_shows(profiles, 4000000, 3, "null");
    set(profiles, 3, 3, value_int(5)); /* another type takes its place */
    assert_shows(profiles, 3, 3, "5");
    assert_false(apply(profiles, 3, 3, PROFILE_DELETE, value_null()));
    assert_shows(profiles, 3, 3, "null");
}

static void adding_makes_a_list_and_promotes_a_scalar(void **state)
{
    struct profiles *profiles = *state;
    apply(profiles, 0, 0, PROFILE_ADD, text("new"));
    assert_shows(profiles, 0, 0, "[\"new\"]");
    apply(profiles, 0, 0, PROFILE_ADD, text("new"));
    apply(profiles, 0, 0, PROFILE_ADD, text("b"));
    assert_shows(profiles, 0, 0, "[\"new\",\"b\"]");

    static const struct {
        struct value old;
        const char *list;
    } cases[] = {
        { { .type = VALUE_INT, .integer = -5 }, "[\"-5\",\"x\"]" },
        { { .type = VALUE_BOOL, .boolean = true }, "[\"true\",\"x\"]" },
        { { .type = VALUE_REAL, .real = 0.1 }, "[\"0.1\",\"x\"]" },
        { { .type = VALUE_TIME, .time_ms = 1767312000000 }, "[\"2026-01-02T00:00:00Z\",\"x\"]" },
        { { .type = VALUE_NULL }, "[\"x\"]" },
    };
    for (uint32_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        set(profiles, i, 1, cases[i].old);
        apply(profiles, i, 1, PROFILE_ADD, text("x"));
        assert_shows(profiles, i, 1, cases[i].list);
    }
    set(profiles, 0, 2, text("old"));
    apply(profiles, 0, 2, PROFILE_ADD, value_int(7));
    assert_shows(profiles, 0, 2, "[\"old\",\"7\"]");
}

static void past_the_limit_the_oldest_item_goes(void **state)
{
    struct profiles *profiles = *state;
    char item[16];
    struct arena arena;
    arena_init(&arena, 1 << 20);
    for (unsigned i = 0; i < LIST_ITEMS_DEFAULT + 1; i++) {
        (void)snprintf(item, sizeof item, "item%u", i);
        apply(profiles, 0, 0, PROFILE_ADD, text(item));
    }
    struct profile_view *view = take(profiles);
    struct value list = profile_get(view, 0, 0, &arena);
    assert_int_equal(list.count, LIST_ITEMS_DEFAULT);
    assert_true(bytes_equal(list.items[0], BYTES("item1")));
    assert_true(bytes_equal(list.items[99], BYTES("item100")));
    profile_view_release(view);
    arena_done(&arena);
}

static void removing_promotes_and_an_empty_list_is_deleted(void **state)
{
    struct profiles *profiles = *state;
    set(profiles, 0, 0, text("a"));
    apply(profiles, 0, 0, PROFILE_REMOVE, text("b"));
    assert_shows(profiles, 0, 0, "[\"a\"]");
    apply(profiles, 0, 0, PROFILE_REMOVE, text("a"));
    assert_shows(profiles, 0, 0, "null");
    set(profiles, 0, 0, value_int(5));
    apply(profiles, 0, 0, PROFILE_REMOVE, value_int(5));
    assert_shows(profiles, 0, 0, "null");
    assert_false(apply(profiles, 0, 1, PROFILE_REMOVE, text("a")));
    assert_shows(profiles, 0, 1, "null");
    set(profiles, 0, 0, (struct value){ .type = VALUE_LIST, .count = 0 });
    assert_shows(profiles, 0, 0, "null");
}

static void increments_start_from_0_and_ignore_what_is_no_number(void **state)
{
    struct profiles *profiles = *state;
    assert_false(apply(profiles, 0, 0, PROFILE_INCR, value_int(3)));
    assert_false(apply(profiles, 0, 0, PROFILE_INCR, value_int(-5)));
    assert_shows(profiles, 0, 0, "-2");
    assert_false(apply(profiles, 0, 0, PROFILE_INCR, value_real(0.5)));
    assert_shows(profiles, 0, 0, "-1.5.");
    assert_false(apply(profiles, 0, 0, PROFILE_INCR, value_int(1)));
    assert_shows(profiles, 0, 0, "-0.5.");

    set(profiles, 0, 1, text("12"));
    assert_true(apply(profiles, 0, 1, PROFILE_INCR, value_int(1)));
    assert_shows(profiles, 0, 1, "\"12\"");
    set(profiles, 0, 1, value_bool(true));
    assert_true(apply(profiles, 0, 1, PROFILE_INCR, value_int(1)));
    set(profiles, 0, 1, value_int(INT64_MAX));
    assert_true(apply(profiles, 0, 1, PROFILE_INCR, value_int(1)));
    assert_true(apply(profiles, 0, 1, PROFILE_INCR, text("1")));
    assert_shows(profiles, 0, 1, "9223372036854775807");
    set(profiles, 0, 1, value_real(1e308));
    assert_true(apply(profiles, 0, 1, PROFILE_INCR, value_real(1e308)));
}

static void values_that_break_a_limit_are_ignored(void **state)
{
    (void)state;
    struct profiles *profiles = must_new((struct profile_limits){ .string_bytes = 4 });
    set(profiles, 0, 0, text("1234"));
    assert_true(apply(profiles, 0, 0, PROFILE_SET, text("12345")));
    assert_true(apply(profiles, 0, 0, PROFILE_SET, value_real((double)NAN)));
    assert_true(apply(profiles, 0, 0, (enum profile_op)9, value_int(1)));
    assert_shows(profiles, 0, 0, "\"1234\"");
    struct bytes items[] = { BYTES("12345"), BYTES(""), BYTES("ok") };
    struct value list = { .type = VALUE_LIST, .count = 3, .items = items };
    set(profiles, 0, 1, list);
    assert_shows(profiles, 0, 1, "[\"ok\"]");
    bool is_ignored = false;
    assert_int_equal(
        profile_apply(profiles, 0, PROPERTIES_MAX, PROFILE_SET, &list, &is_ignored).code,
        ERR_LIMIT);
    profiles_free(profiles);
}

static void activity_keeps_first_last_and_count(void **state)
{
    struct profiles *profiles = *state;
    assert_int_equal(profile_saw(profiles, 70, 500, 1).code, ERR_NONE);
    assert_int_equal(profile_saw(profiles, 70, -20, 2).code, ERR_NONE);
    assert_int_equal(profile_saw(profiles, 70, 100, 0).code, ERR_NONE);
    assert_int_equal(profile_saw(profiles, 5, 100, 0).code, ERR_NONE);
    struct profile_view *view = take(profiles);
    struct profile_activity activity = profile_activity(view, 70);
    assert_int_equal(activity.first_ms, -20);
    assert_int_equal(activity.last_ms, 500);
    assert_int_equal(activity.events, 3);
    activity = profile_activity(view, 5);
    assert_int_equal(activity.first_ms, 100);
    assert_int_equal(activity.events, 0);
    assert_int_equal(profile_activity(view, 4000000).events, 0);
    assert_int_equal(profile_view_users(view), 71);
    profile_view_release(view);
}

/* --- reading ------------------------------------------------------------------------------ */

static void chunks_hold_types_and_values_of_1024_users(void **state)
{
    struct profiles *profiles = *state;
    struct arena arena;
    const struct bytes *items = NULL;
    arena_init(&arena, 1 << 16);
    set(profiles, 1030, 2, text("x"));
    set(profiles, 1031, 2, value_int(-4));
    apply(profiles, 1032, 2, PROFILE_ADD, text("y"));
    struct profile_view *view = take(profiles);
    struct profile_chunk_room room;
    assert_null(profile_chunk(view, 2, 0, &room).types);
    assert_null(profile_chunk(view, 3, 1024, &room).types);
    struct profile_chunk chunk = profile_chunk(view, 2, 1024, &room);
    assert_int_equal(chunk.types[5], VALUE_NULL);
    assert_int_equal(chunk.types[6], VALUE_STRING);
    assert_true(bytes_equal(profile_text(view, chunk.values[6]), BYTES("x")));
    assert_int_equal(chunk.types[7], VALUE_INT);
    assert_int_equal((int64_t)chunk.values[7], -4);
    assert_int_equal(chunk.types[8], VALUE_LIST);
    assert_int_equal(profile_list(view, chunk.values[8], &arena, &items), 1);
    assert_true(bytes_equal(items[0], BYTES("y")));
    assert_int_equal(profile_list(view, chunk.values[6], &arena, &items), 0);
    assert_int_equal(profile_text(view, chunk.values[8]).len, 0);
    assert_int_equal(profile_text(view, 1000).len, 0);
    assert_int_equal(profile_text_count(view), 2);

    uint32_t properties[2] = { 99, 99 };
    set(profiles, 1030, 0, value_int(1));
    assert_int_equal(profile_properties(view, 1030, properties, 2), 1);
    assert_int_equal(properties[0], 2);
    profile_view_release(view);
    view = take(profiles);
    assert_int_equal(profile_properties(view, 1030, properties, 2), 2);
    assert_int_equal(properties[0], 0);
    assert_int_equal(properties[1], 2);
    assert_int_equal(profile_properties(view, 1030, properties, 1), 2);
    profile_view_release(view);
    arena_done(&arena);
}

static void a_list_that_finds_no_room_in_the_arena_is_empty(void **state)
{
    struct profiles *profiles = *state;
    struct arena arena;
    arena_init(&arena, 0);
    apply(profiles, 0, 0, PROFILE_ADD, text("y"));
    struct profile_view *view = take(profiles);
    struct value value = profile_get(view, 0, 0, &arena);
    assert_int_equal(value.type, VALUE_LIST);
    assert_int_equal(value.count, 0);
    profile_view_release(view);
    arena_done(&arena);
}

/* --- merging and clearing ---------------------------------------------------------------------- */

static void what_was_written_later_wins_a_merge(void **state)
{
    struct profiles *profiles = *state;
    set(profiles, 5, 0, text("early"));
    set(profiles, 1, 0, text("late"));
    set(profiles, 1, 1, text("early"));
    set(profiles, 5, 1, text("late"));
    set(profiles, 5, 2, value_int(1)); /* the other has none */
    set(profiles, 1, 3, value_int(2));
    set(profiles, 1, 4, value_int(3));
    apply(profiles, 5, 4, PROFILE_DELETE, value_null()); /* deleting is writing too */
    assert_int_equal(profile_merge(profiles, 5, 1).code, ERR_NONE);
    assert_shows(profiles, 1, 0, "\"late\"");
    assert_shows(profiles, 1, 1, "\"late\"");
    assert_shows(profiles, 1, 2, "1");
    assert_shows(profiles, 1, 3, "2");
    assert_shows(profiles, 1, 4, "null");
    struct profile_view *view = take(profiles);
    assert_int_equal(profile_properties(view, 5, NULL, 0), 0);
    profile_view_release(view);
}

static void lists_are_united_and_counters_add_up(void **state)
{
    struct profiles *profiles = *state;
    apply(profiles, 5, 0, PROFILE_ADD, text("b"));
    apply(profiles, 1, 0, PROFILE_ADD, text("a"));
    apply(profiles, 1, 0, PROFILE_ADD, text("b"));
    apply(profiles, 1, 1, PROFILE_INCR, value_int(2));
    apply(profiles, 5, 1, PROFILE_INCR, value_int(3));
    apply(profiles, 1, 2, PROFILE_INCR, value_int(2));
    apply(profiles, 5, 2, PROFILE_INCR, value_real(0.5));
    set(profiles, 5, 3, value_int(10)); /* set, then counted: no counter */
    apply(profiles, 5, 3, PROFILE_INCR, value_int(1));
    apply(profiles, 1, 3, PROFILE_INCR, value_int(5));
    apply(profiles, 1, 4, PROFILE_INCR, value_int(INT64_MAX));
    apply(profiles, 5, 4, PROFILE_INCR, value_int(1)); /* no sum: the later */
    assert_int_equal(profile_merge(profiles, 5, 1).code, ERR_NONE);
    assert_shows(profiles, 1, 0, "[\"b\",\"a\"]");
    assert_shows(profiles, 1, 1, "5");
    assert_shows(profiles, 1, 2, "2.5.");
    assert_shows(profiles, 1, 3, "5");
    assert_shows(profiles, 1, 4, "1");
}

static void activity_of_merged_users_adds_up(void **state)
{
    struct profiles *profiles = *state;
    assert_int_equal(profile_saw(profiles, 900, 50, 2).code, ERR_NONE);
    assert_int_equal(profile_saw(profiles, 1, 10, 1).code, ERR_NONE);
    assert_int_equal(profile_merge(profiles, 900, 1).code, ERR_NONE);
    assert_int_equal(profile_merge(profiles, 901, 1).code, ERR_NONE);
    struct profile_view *view = take(profiles);
    struct profile_activity activity = profile_activity(view, 1);
    assert_int_equal(activity.first_ms, 10);
    assert_int_equal(activity.last_ms, 50);
    assert_int_equal(activity.events, 3);
    assert_int_equal(profile_activity(view, 900).events, 0);
    profile_view_release(view);
}

/* --- the moment of a merge --------------------------------------------------------------------- */

enum { PEOPLE = 6, OPS = 40, MERGES = 4, TRIALS = 40 };

struct planned {
    uint32_t user;
    enum profile_op op;
    struct value value;
};

static uint32_t survivor_of(const uint32_t *into, uint32_t user)
{
    while (into[user] != user)
        user = into[user];
    return user;
}

static void merge_people(struct profiles *profiles, uint32_t *into, uint32_t a, uint32_t b)
{
    a = survivor_of(into, a);
    b = survivor_of(into, b);
    if (a == b)
        return;
    uint32_t smaller = a < b ? a : b;
    uint32_t larger = a < b ? b : a;
    assert_int_equal(profile_merge(profiles, larger, smaller).code, ERR_NONE);
    into[larger] = smaller;
}

static int compare_items(const void *a, const void *b)
{
    return bytes_compare(*(const struct bytes *)a, *(const struct bytes *)b);
}

/* All people's values; lists sorted, since only what's in them is promised. */
static void show_people(struct profiles *profiles, char *out, size_t size)
{
    struct profile_view *view = take(profiles);
    struct arena arena;
    size_t len = 0;
    arena_init(&arena, 1 << 20);
    for (uint32_t user = 0; user < PEOPLE; user++) {
        char room[256];
        struct value value = profile_get(view, user, 0, &arena);
        if (value.type == VALUE_LIST) {
            struct bytes *items = arena_alloc(&arena, value.count * sizeof *items);
            assert_non_null(items);
            memcpy(items, value.items, value.count * sizeof *items);
            qsort(items, value.count, sizeof *items, compare_items);
            value.items = items;
        }
        len += (size_t)snprintf(out + len, size - len, "%s ", show_value(value, room));
        assert_true(len < size);
    }
    profile_view_release(view);
    arena_done(&arena);
}

static struct value plan_value(enum profile_op op, struct rng *rng)
{
    static const char *const texts[] = { "a", "b", "c", "d", "e", "f", "g" };
    if (op == PROFILE_INCR)
        return value_int((int64_t)rng_below(rng, 100));
    return text(texts[rng_below(rng, 7)]);
}

/* The same operators in the same order, the merges at other moments and in other orders. */
static void try_moments(enum profile_op op, uint64_t seed)
{
    struct rng rng;
    struct planned plan[OPS];
    uint32_t pairs[MERGES][2];
    char expected[2048] = "";
    rng_init(&rng, seed);
    for (uint32_t i = 0; i < OPS; i++) {
        plan[i].user = (uint32_t)rng_below(&rng, PEOPLE);
        plan[i].op = op == PROFILE_SET && rng_below(&rng, 4) == 0 ? PROFILE_DELETE : op;
        plan[i].value = plan_value(op, &rng);
    }
    for (uint32_t i = 0; i < MERGES; i++) {
        pairs[i][0] = (uint32_t)rng_below(&rng, PEOPLE);
        pairs[i][1] = (uint32_t)rng_below(&rng, PEOPLE);
    }
    for (uint32_t trial = 0; trial < TRIALS; trial++) {
        struct profiles *profiles = must_new((struct profile_limits){ 0 });
        uint32_t into[PEOPLE];
        uint32_t when[MERGES];
        char shown[2048];
        for (uint32_t i = 0; i < PEOPLE; i++)
            into[i] = i;
        for (uint32_t i = 0; i < MERGES; i++)
            when[i] = (uint32_t)rng_below(&rng, OPS + 1);
        for (uint32_t step = 0; step <= OPS; step++) {
            for (uint32_t i = 0; i < MERGES; i++)
                if (when[i] == step)
                    merge_people(profiles, into, pairs[i][0], pairs[i][1]);
            if (step < OPS)
                apply(profiles, survivor_of(into, plan[step].user), 0, plan[step].op,
                      plan[step].value);
        }
        show_people(profiles, shown, sizeof shown);
        if (trial == 0)
            memcpy(expected, shown, sizeof shown);
        assert_string_equal(shown, expected);
        profiles_free(profiles);
    }
}

static void set_and_deleted_properties_do_not_depend_on_the_moment_of_a_merge(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 25; seed++)
        try_moments(PROFILE_SET, seed);
}

static void counters_do_not_depend_on_the_moment_of_a_merge(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 25; seed++)
        try_moments(PROFILE_INCR, seed);
}

static void lists_that_were_added_to_do_not_depend_on_the_moment_of_a_merge(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 25; seed++)
        try_moments(PROFILE_ADD, seed);
}

/* --- random histories against an obvious model ------------------------------------------------------ */

enum { USERS = 12, PROPERTIES = 5, ITEMS = 4, VIEWS = 6 };

struct model_cell {
    enum value_type type;
    int64_t integer; /* bool, int, time */
    double real;
    char item[ITEMS][32]; /* strings: the first */
    uint32_t count;
    uint64_t stamp; /* 0: never written */
    bool is_counter;
};

struct model {
    struct model_cell cell[USERS][PROPERTIES];
    struct profile_activity activity[USERS];
    bool is_seen[USERS];
    uint64_t writes;
};

/* Users are far apart, so that they lie in different leaves and pages. */
static uint32_t user_number(uint32_t user)
{
    static const uint32_t numbers[USERS] = { 0,    1,    63,     64,     1023,    1024,
                                             1025, 2047, 262143, 262144, 1000000, 1000001 };
    return numbers[user];
}

static void model_list_add(struct model_cell *cell, const char *item)
{
    for (uint32_t i = 0; i < cell->count; i++)
        if (strcmp(cell->item[i], item) == 0)
            return;
    if (cell->count == ITEMS) {
        memmove(cell->item[0], cell->item[1], (ITEMS - 1) * sizeof cell->item[0]);
        cell->count--;
    }
    (void)snprintf(cell->item[cell->count++], sizeof cell->item[0], "%s", item);
}

static void model_promote(struct model_cell *cell)
{
    char old[32] = "";
    if (cell->type == VALUE_LIST)
        return;
    if (cell->type == VALUE_STRING)
        (void)snprintf(old, sizeof old, "%s", cell->item[0]);
    if (cell->type == VALUE_INT)
        (void)snprintf(old, sizeof old, "%lld", (long long)cell->integer);
    if (cell->type == VALUE_BOOL)
        (void)snprintf(old, sizeof old, "%s", cell->integer ? "true" : "false");
    if (cell->type == VALUE_REAL) /* the test's reals are short */
        (void)snprintf(old, sizeof old, "%g", cell->real);
    cell->type = VALUE_LIST;
    cell->count = 0;
    if (old[0])
        model_list_add(cell, old);
}

static void model_apply(struct model_cell *cell, enum profile_op op, const struct value *value,
                        uint64_t stamp)
{
    char item[32] = "";
    bool was_written = cell->stamp != 0;
    if (value->type == VALUE_STRING)
        (void)snprintf(item, sizeof item, "%.*s", BYTES_FMT(value->string));
    if (value->type == VALUE_INT)
        (void)snprintf(item, sizeof item, "%lld", (long long)value->integer);
    if (value->type == VALUE_BOOL)
        (void)snprintf(item, sizeof item, "%s", value->boolean ? "true" : "false");
    if (value->type == VALUE_REAL)
        (void)snprintf(item, sizeof item, "%g", value->real);
    if (op == PROFILE_INCR) {
        bool is_number = cell->type == VALUE_INT || cell->type == VALUE_REAL;
        if ((cell->type != VALUE_NULL && !is_number) ||
            (value->type != VALUE_INT && value->type != VALUE_REAL))
            return;
        cell->is_counter = !was_written || cell->is_counter;
        double old = cell->type == VALUE_REAL ? cell->real : 0;
        if (cell->type == VALUE_INT)
            old = (double)cell->integer;
        if (cell->type != VALUE_REAL && value->type == VALUE_INT) {
            cell->integer = (cell->type == VALUE_INT ? cell->integer : 0) + value->integer;
            cell->type = VALUE_INT;
        } else {
            cell->real = old + (value->type == VALUE_REAL ? value->real : (double)value->integer);
            cell->type = VALUE_REAL;
        }
        cell->stamp = stamp;
        return;
    }
    cell->stamp = stamp;
    cell->is_counter = false;
    if (op == PROFILE_DELETE) {
        cell->type = VALUE_NULL;
    } else if (op == PROFILE_SET) {
        cell->type = value->type;
        cell->integer = value->type == VALUE_BOOL ? value->boolean : value->integer;
        cell->real = value->type == VALUE_REAL ? value->real : 0;
        (void)snprintf(cell->item[0], sizeof item, "%s", item);
    } else {
        model_promote(cell);
        if (op == PROFILE_ADD)
            model_list_add(cell, item);
        for (uint32_t i = 0; op == PROFILE_REMOVE && i < cell->count; i++) {
            if (strcmp(cell->item[i], item) != 0)
                continue;
            cell->count--;
            memmove(cell->item[i], cell->item[i + 1], (cell->count - i) * sizeof cell->item[0]);
            break;
        }
        if (cell->count == 0)
            cell->type = VALUE_NULL;
    }
}

static void model_merge_cell(struct model_cell *from, struct model_cell *into)
{
    struct model_cell *later = from->stamp > into->stamp ? from : into;
    struct model_cell *earlier = later == from ? into : from;
    struct model_cell result = *later;
    if (from->type == VALUE_LIST && into->type == VALUE_LIST) {
        result = *earlier;
        for (uint32_t i = 0; i < later->count; i++)
            model_list_add(&result, later->item[i]);
        result.stamp = later->stamp;
    } else if (from->is_counter && into->is_counter) {
        bool is_real = from->type == VALUE_REAL || into->type == VALUE_REAL;
        double a = from->type == VALUE_REAL ? from->real : (double)from->integer;
        double b = into->type == VALUE_REAL ? into->real : (double)into->integer;
        result.integer = from->integer + into->integer;
        result.real = a + b;
        result.type = is_real ? VALUE_REAL : VALUE_INT;
    }
    *into = result;
    memset(from, 0, sizeof *from);
}

static void model_merge(struct model *model, uint32_t from, uint32_t into)
{
    for (uint32_t i = 0; i < PROPERTIES; i++)
        model_merge_cell(&model->cell[from][i], &model->cell[into][i]);
    struct profile_activity *a = &model->activity[from];
    struct profile_activity *b = &model->activity[into];
    if (model->is_seen[from]) {
        if (!model->is_seen[into] || a->first_ms < b->first_ms)
            b->first_ms = a->first_ms;
        if (!model->is_seen[into] || a->last_ms > b->last_ms)
            b->last_ms = a->last_ms;
        b->events += a->events;
        model->is_seen[into] = true;
    }
    model->is_seen[from] = false;
    *a = (struct profile_activity){ 0 };
}

static struct value model_value(const struct model_cell *cell, struct bytes items[ITEMS])
{
    for (uint32_t i = 0; i < ITEMS; i++)
        items[i] = bytes_from(cell->item[i]);
    switch (cell->type) {
    case VALUE_BOOL:
        return value_bool(cell->integer != 0);
    case VALUE_INT:
        return value_int(cell->integer);
    case VALUE_TIME:
        return value_time(cell->integer);
    case VALUE_REAL:
        return value_real(cell->real);
    case VALUE_STRING:
        return value_string(items[0]);
    case VALUE_LIST:
        return (struct value){ .type = VALUE_LIST, .count = cell->count, .items = items };
    case VALUE_NULL:
    case VALUE_TYPES:
        break;
    }
    return value_null();
}

static void check_view(const struct profile_view *view, const struct model *model)
{
    for (uint32_t user = 0; user < USERS; user++) {
        uint32_t number = user_number(user);
        uint32_t present = 0;
        for (uint32_t property = 0; property < PROPERTIES; property++) {
            char room[256];
            char shown[256];
            struct bytes items[ITEMS];
            struct value expected = model_value(&model->cell[user][property], items);
            view_show(view, number, property, shown);
            assert_string_equal(shown, show_value(expected, room));
            present += expected.type != VALUE_NULL;
        }
        assert_int_equal(profile_properties(view, number, NULL, 0), present);
        struct profile_activity activity = profile_activity(view, number);
        assert_int_equal(activity.events, model->activity[user].events);
        assert_int_equal(activity.first_ms, model->activity[user].first_ms);
        assert_int_equal(activity.last_ms, model->activity[user].last_ms);
    }
}

static struct value random_value(struct rng *rng)
{
    static const char *const texts[] = { "a", "b", "c", "dd", "eee", "ffff", "5", "true" };
    switch (rng_below(rng, 8)) {
    case 0:
        return value_bool(rng_below(rng, 2));
    case 1:
    case 2:
        return value_int((int64_t)rng_below(rng, 20) - 10);
    case 3:
        return value_real((double)rng_below(rng, 20) / 4 - 2);
    default:
        return text(texts[rng_below(rng, 8)]);
    }
}

static void random_step(struct profiles *profiles, struct model *model, struct rng *rng)
{
    uint64_t what = rng_below(rng, 40);
    uint32_t user = (uint32_t)rng_below(rng, USERS);
    uint32_t other = (uint32_t)rng_below(rng, USERS);
    uint32_t property = (uint32_t)rng_below(rng, PROPERTIES);
    if (what == 0 && user != other) {
        assert_int_equal(profile_merge(profiles, user_number(user), user_number(other)).code,
                         ERR_NONE);
        model_merge(model, user, other);
    } else if (what == 1) {
        assert_int_equal(profile_clear(profiles, user_number(user)).code, ERR_NONE);
        memset(model->cell[user], 0, sizeof model->cell[user]);
        model->activity[user] = (struct profile_activity){ 0 };
        model->is_seen[user] = false;
    } else if (what < 10) {
        int64_t time_ms = (int64_t)rng_below(rng, 1000) - 500;
        uint32_t events = (uint32_t)rng_below(rng, 3);
        struct profile_activity *it = &model->activity[user];
        assert_int_equal(profile_saw(profiles, user_number(user), time_ms, events).code, ERR_NONE);
        if (!model->is_seen[user] || time_ms < it->first_ms)
            it->first_ms = time_ms;
        if (!model->is_seen[user] || time_ms > it->last_ms)
            it->last_ms = time_ms;
        it->events += events;
        model->is_seen[user] = true;
    } else {
        enum profile_op op = (enum profile_op)rng_below(rng, 5);
        struct value value = random_value(rng);
        (void)apply(profiles, user_number(user), property, op, value);
        model_apply(&model->cell[user][property], op, &value, ++model->writes);
    }
}

/* Views are taken and released in any order, each with the model of its moment. */
static void random_history(uint64_t seed)
{
    static struct model model;
    static struct model models[VIEWS];
    struct profile_view *views[VIEWS] = { NULL };
    struct rng rng;
    struct profiles *profiles = must_new((struct profile_limits){ .list_items = ITEMS });
    memset(&model, 0, sizeof model);
    rng_init(&rng, seed);
    for (uint32_t step = 0; step < 1500; step++) {
        random_step(profiles, &model, &rng);
        if (rng_below(&rng, 10) == 0) {
            uint32_t i = (uint32_t)rng_below(&rng, VIEWS);
            if (views[i]) {
                check_view(views[i], &models[i]);
                profile_view_release(views[i]);
                views[i] = NULL;
            } else {
                views[i] = take(profiles);
                models[i] = model;
            }
        }
        if (step % 300 == 299) {
            struct profiles *copy = reloaded(profiles);
            struct profile_view *view = take(copy);
            check_view(view, &model);
            profile_view_release(view);
            assert_same(profiles, copy);
            profiles_free(copy);
        }
    }
    for (uint32_t i = 0; i < VIEWS; i++) {
        if (views[i])
            check_view(views[i], &models[i]);
        profile_view_release(views[i]);
    }
    struct profile_view *view = take(profiles);
    check_view(view, &model);
    profile_view_release(view);
    profiles_free(profiles);
}

static void views_show_their_moment_whatever_is_written_later(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 12; seed++)
        random_history(seed);
}

static void a_loaded_copy_goes_on_as_the_first_one_does(void **state)
{
    (void)state;
    static struct model model;
    struct rng rng;
    struct rng same;
    struct profiles *profiles = must_new((struct profile_limits){ .list_items = ITEMS });
    memset(&model, 0, sizeof model);
    rng_init(&rng, 77);
    for (uint32_t step = 0; step < 500; step++)
        random_step(profiles, &model, &rng);
    struct profiles *copy = reloaded(profiles);
    static struct model model_copy;
    model_copy = model;
    same = rng;
    for (uint32_t step = 0; step < 500; step++) {
        random_step(profiles, &model, &rng);
        random_step(copy, &model_copy, &same);
    }
    assert_same(profiles, copy);
    profiles_free(copy);
    profiles_free(profiles);
}

/* --- memory ------------------------------------------------------------------------------------ */

static void texts_that_nobody_holds_give_their_memory_and_numbers_back(void **state)
{
    struct profiles *profiles = *state;
    char url[64];
    struct profile_view *view = NULL;
    set(profiles, 0, 0, text("start"));
    for (unsigned i = 0; i < 5000; i++) {
        (void)snprintf(url, sizeof url, "https://example.org/a/page/with/a/long/name/%u", i);
        set(profiles, 0, 0, text(url));
        if (i % 100 == 0) {
            profile_view_release(view);
            view = take(profiles);
        }
    }
    profile_view_release(view);
    assert_true(profiles->texts.count < 10);
    assert_true(profiles_memory_bytes(profiles) < 200000);
}

static bool holds(struct bytes hay, const char *needle)
{
    size_t len = strlen(needle);
    for (size_t i = 0; i + len <= hay.len; i++)
        if (memcmp(hay.ptr + i, needle, len) == 0)
            return true;
    return false;
}

static void of_a_cleared_user_nothing_is_left_after_the_last_view(void **state)
{
    struct profiles *profiles = *state;
    struct buf saved;
    set(profiles, 7, 0, text("secret"));
    apply(profiles, 7, 1, PROFILE_ADD, text("hidden"));
    struct profile_view *view = take(profiles);
    assert_int_equal(profile_clear(profiles, 7).code, ERR_NONE);
    char shown[256];
    view_show(view, 7, 0, shown);
    assert_string_equal(shown, "\"secret\"");
    struct profile_view *after = take(profiles);
    for (uint32_t i = 0; i < profile_text_count(after); i++)
        assert_int_equal(profile_text(after, i).len, 0);
    profile_view_release(view);
    profile_view_release(after);
    save(profiles, &saved);
    assert_false(holds(buf_bytes(&saved), "secret"));
    assert_false(holds(buf_bytes(&saved), "hidden"));
    buf_done(&saved);
    assert_shows(profiles, 7, 1, "null");
}

static void past_the_limit_of_memory_values_are_ignored(void **state)
{
    (void)state;
    struct profiles *profiles = must_new((struct profile_limits){ .memory_bytes = 1000 });
    char name[32];
    uint32_t user = 0;
    bool is_ignored = false;
    for (; user < 100 && !is_ignored; user++) {
        (void)snprintf(name, sizeof name, "user %u", user);
        is_ignored = apply(profiles, user, 0, PROFILE_SET, text(name));
    }
    assert_true(user > 5 && user < 15);
    assert_true(profiles->held <= 1000);
    assert_shows(profiles, 0, 0, "\"user 0\"");
    assert_shows(profiles, user - 1, 0, "null");
    /* What is held counts, not what memory it takes: a loaded copy decides the same. */
    struct profiles *copy = reloaded(profiles);
    assert_int_equal(copy->held, profiles->held);
    assert_true(apply(copy, user, 0, PROFILE_SET, text("more")));
    profiles_free(copy);
    /* Room can be made. */
    assert_false(apply(profiles, 0, 0, PROFILE_DELETE, value_null()));
    assert_int_equal(profile_clear(profiles, 1).code, ERR_NONE);
    assert_int_equal(profile_clear(profiles, 2).code, ERR_NONE);
    assert_false(apply(profiles, user, 0, PROFILE_SET, text("more")));
    for (uint32_t i = 0; i <= user; i++)
        assert_int_equal(profile_clear(profiles, i).code, ERR_NONE);
    assert_int_equal(profiles->held, 0);
    profiles_free(profiles);
}

/* Users in random order, so that leaves grow from sparse to dense while views look on. */
static void packed_and_unpacked_chunks_read_the_same(void **state)
{
    struct profiles *profiles = *state;
    struct rng rng;
    uint32_t order[PROFILE_CHUNK];
    struct profile_view *views[PROFILE_CHUNK / 64];
    rng_init(&rng, 9);
    for (uint32_t i = 0; i < PROFILE_CHUNK; i++)
        order[i] = i;
    for (uint32_t i = PROFILE_CHUNK - 1; i > 0; i--) {
        uint32_t j = (uint32_t)rng_below(&rng, i + 1);
        uint32_t kept = order[i];
        order[i] = order[j];
        order[j] = kept;
    }
    for (uint32_t i = 0; i < PROFILE_CHUNK; i++) {
        if (i % 64 == 0)
            views[i / 64] = take(profiles);
        set(profiles, order[i], 3, value_int((int64_t)order[i]));
    }
    for (uint32_t v = 0; v < PROFILE_CHUNK / 64; v++) {
        static struct profile_chunk_room room;
        bool expected[PROFILE_CHUNK] = { false };
        for (uint32_t i = 0; i < v * 64; i++)
            expected[order[i]] = true;
        memset(&room, 0xff, sizeof room);
        struct profile_chunk chunk = profile_chunk(views[v], 3, 0, &room);
        for (uint32_t i = 0; i < PROFILE_CHUNK && chunk.types; i++) {
            assert_int_equal(chunk.types[i], expected[i] ? VALUE_INT : VALUE_NULL);
            if (expected[i])
                assert_int_equal(chunk.values[i], i);
        }
        assert_true(chunk.types || v == 0);
        profile_view_release(views[v]);
    }
    struct profiles *copy = reloaded(profiles);
    assert_same(profiles, copy);
    profiles_free(copy);
}

static void a_rare_property_takes_little_memory(void **state)
{
    struct profiles *profiles = *state;
    for (uint32_t user = 0; user < 1000; user++)
        set(profiles, user * PROFILE_CHUNK, 0, value_int(1));
    assert_true(profiles_memory_bytes(profiles) < 250000);
}

static void everything_that_was_taken_is_given_back(void **state)
{
    struct profiles *profiles = *state;
    struct rng rng;
    static struct model model;
    memset(&model, 0, sizeof model);
    rng_init(&rng, 3);
    struct profile_view *views[3] = { NULL };
    for (uint32_t step = 0; step < 600; step++) {
        profile_view_release(views[step % 3]);
        views[step % 3] = take(profiles);
        random_step(profiles, &model, &rng);
    }
    for (uint32_t i = 0; i < 3; i++)
        profile_view_release(views[i]);
    struct profiles *copy = reloaded(profiles);
    /* What history left behind is at most some free numbers. */
    size_t most = copy->bytes + TEXT_PAGE * sizeof(struct text_slot) + 1000;
    assert_true(profiles->bytes <= most);
    profiles_free(copy);
}

/* --- the saved form -------------------------------------------------------------------------------- */

static const uint8_t small_state[] = {
    'K',  'P',
    'R',  'F',
    1,       /* magic, version */
    6,    3, /* operators so far, users */
    1,    2,
    9,    10,
    4, /* activity: user 2, first -5, span 10, 4 events */
    2,    0,
    1,    'x',
    1,    3,
    1,    1,
    'y',     /* texts: "x", ["y"] */
    3,       /* columns */
    0,    2, /* property 0, two cells */
    0,    VALUE_STRING,
    5,    0, /* user 0, written 5 operators ago, text 0 */
    2,    VALUE_LIST,
    4,    1, /* user 2 */
    4,    2, /* property 4 */
    1,    VALUE_INT | 0x80,
    3,    14, /* user 1: a counter of 7 */
    2,    VALUE_NULL,
    2,       /* user 2: deleted */
    9,    2, /* property 9 */
    0,    VALUE_BOOL,
    1,    1, /* */
    1,    VALUE_REAL,
    0,    0,
    0,    0,
    0,    0,
    0,    0xf8,
    0x3f, /* 1.5 */
};

static void the_saved_form_has_these_bytes(void **state)
{
    struct profiles *profiles = *state;
    struct buf saved;
    set(profiles, 0, 0, text("x"));
    apply(profiles, 2, 0, PROFILE_ADD, text("y"));
    apply(profiles, 1, 4, PROFILE_INCR, value_int(7));
    apply(profiles, 2, 4, PROFILE_DELETE, value_null());
    set(profiles, 0, 9, value_bool(true));
    set(profiles, 1, 9, value_real(1.5));
    assert_int_equal(profile_saw(profiles, 2, -5, 1).code, ERR_NONE);
    assert_int_equal(profile_saw(profiles, 2, 5, 3).code, ERR_NONE);
    save(profiles, &saved);
    assert_int_equal(saved.len, sizeof small_state);
    assert_memory_equal(saved.ptr, small_state, sizeof small_state);
    buf_done(&saved);
}

static void every_cut_and_every_lie_of_a_saved_state_is_refused(void **state)
{
    static const struct {
        size_t offset;
        uint8_t byte;
        const char *why;
    } lies[] = {
        { 4, 2, "another version" },
        { 5, 5, "a cell older than the first operator" },
        { 6, 2, "a user who isn't there" },
        { 8, 3, "activity of a user who isn't there" },
        { 13, 2, "no such kind of text" },
        { 18, 2, "more items than bytes" },
        { 18, 0, "a list without items" },
        { 19, 0, "an empty item" },
        { 22, 4, "properties must ascend" },
        { 23, 0, "a column without cells" },
        { 24, 2, "users must ascend" },
        { 25, VALUE_TYPES, "no such type" },
        { 25, VALUE_LIST, "that text is no list" },
        { 25, VALUE_STRING | 0x80, "a string is no counter" },
        { 25, VALUE_INT, "nobody holds the text" },
        { 27, 2, "no such text" },
        { 46, 2, "no boolean" },
        { 57, 0x7f, "not finite" },
    };
    struct profiles *none = NULL;
    struct profile_limits limits = { 0 };
    (void)state;
    for (size_t len = 0; len < sizeof small_state; len++)
        assert_int_equal(profiles_load(bytes_of(small_state, len), limits, &none).code,
                         ERR_CORRUPT);
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        uint8_t image[sizeof small_state + 1];
        memcpy(image, small_state, sizeof small_state);
        image[lies[i].offset] = lies[i].byte;
        assert_int_equal(profiles_load(bytes_of(image, sizeof small_state), limits, &none).code,
                         ERR_CORRUPT);
        memcpy(image, small_state, sizeof small_state);
        image[sizeof small_state] = 0;
        assert_int_equal(profiles_load(bytes_of(image, sizeof image), limits, &none).code,
                         ERR_CORRUPT);
    }
    assert_null(none);
}

#define A_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        A_TEST(values_of_every_type_come_back),
        A_TEST(adding_makes_a_list_and_promotes_a_scalar),
        A_TEST(past_the_limit_the_oldest_item_goes),
        A_TEST(removing_promotes_and_an_empty_list_is_deleted),
        A_TEST(increments_start_from_0_and_ignore_what_is_no_number),
        cmocka_unit_test(values_that_break_a_limit_are_ignored),
        A_TEST(activity_keeps_first_last_and_count),
        A_TEST(chunks_hold_types_and_values_of_1024_users),
        A_TEST(a_list_that_finds_no_room_in_the_arena_is_empty),
        A_TEST(what_was_written_later_wins_a_merge),
        A_TEST(lists_are_united_and_counters_add_up),
        A_TEST(activity_of_merged_users_adds_up),
        cmocka_unit_test(set_and_deleted_properties_do_not_depend_on_the_moment_of_a_merge),
        cmocka_unit_test(counters_do_not_depend_on_the_moment_of_a_merge),
        cmocka_unit_test(lists_that_were_added_to_do_not_depend_on_the_moment_of_a_merge),
        cmocka_unit_test(views_show_their_moment_whatever_is_written_later),
        cmocka_unit_test(a_loaded_copy_goes_on_as_the_first_one_does),
        A_TEST(texts_that_nobody_holds_give_their_memory_and_numbers_back),
        A_TEST(of_a_cleared_user_nothing_is_left_after_the_last_view),
        cmocka_unit_test(past_the_limit_of_memory_values_are_ignored),
        A_TEST(packed_and_unpacked_chunks_read_the_same),
        A_TEST(a_rare_property_takes_little_memory),
        A_TEST(everything_that_was_taken_is_given_back),
        A_TEST(the_saved_form_has_these_bytes),
        cmocka_unit_test(every_cut_and_every_lie_of_a_saved_state_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

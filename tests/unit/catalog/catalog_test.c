/* catalog_test.c - what catalog.h promises. */
#include "catalog/catalog.h"

#include "base/rng.h"
#include "catalog/catalog_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static int setup(void **state)
{
    struct catalog *catalog = NULL;
    assert_int_equal(catalog_new(&catalog).code, ERR_NONE);
    *state = catalog;
    return 0;
}

static int teardown(void **state)
{
    catalog_free(*state);
    return 0;
}

static uint32_t put(struct catalog *catalog, const char *name, bool is_folded)
{
    uint32_t event = CATALOG_NONE;
    assert_int_equal(catalog_event_put(catalog, bytes_from(name), is_folded, &event, NULL).code,
                     ERR_NONE);
    return event;
}

static uint32_t property(struct catalog *catalog, const char *name)
{
    uint32_t number = CATALOG_NONE;
    assert_int_equal(catalog_property_put(catalog, bytes_from(name), &number).code, ERR_NONE);
    return number;
}

static void saw(struct catalog *catalog, uint32_t event, uint32_t number, enum value_type type)
{
    assert_int_equal(catalog_saw_property(catalog, event, number, type).code, ERR_NONE);
}

static uint32_t find(const struct catalog *catalog, const char *name, bool is_folded)
{
    return catalog_event_find(catalog, bytes_from(name), is_folded);
}

static void assert_text(struct bytes text, const char *expected)
{
    assert_true(bytes_equal(text, bytes_from(expected)));
}

static void save(const struct catalog *catalog, struct buf *to)
{
    buf_init(to, 64 << 20);
    catalog_save(catalog, to);
    assert_int_equal(buf_err(to).code, ERR_NONE);
}

static void numbers_are_dense_and_names_come_back(void **state)
{
    struct catalog *catalog = *state;
    assert_int_equal(put(catalog, "Charged", false), 0);
    assert_int_equal(put(catalog, "login", false), 1);
    assert_int_equal(put(catalog, "Charged", false), 0);
    assert_int_equal(catalog_event_count(catalog), 2);
    assert_text(catalog_event_name(catalog, 1), "login");
    assert_int_equal(property(catalog, "Amount"), 0);
    assert_int_equal(property(catalog, "amount"), 1);
    assert_int_equal(property(catalog, "Amount"), 0);
    assert_text(catalog_property_name(catalog, 1), "amount");
    assert_int_equal(catalog_property_count(catalog), 2);
    assert_int_equal(catalog_property_find(catalog, BYTES("Price")), CATALOG_NONE);
}

static void folded_names_are_the_same_without_case_and_space(void **state)
{
    struct catalog *catalog = *state;
    uint32_t event = put(catalog, "Sign Up", true);
    assert_int_equal(put(catalog, "signup", true), event);
    assert_int_equal(put(catalog, "SIGN\tUP", true), event);
    assert_int_equal(put(catalog, "Sign\xc2\xa0Up", true), event);     /* no-break space */
    assert_int_equal(put(catalog, "\xe3\x80\x80signUp", true), event); /* ideographic space */
    assert_text(catalog_event_name(catalog, event), "Sign Up");
    assert_int_equal(catalog_event_count(catalog), 1);
    /* Letters outside ASCII keep their case. */
    assert_int_not_equal(put(catalog, "\xc3\x89tude", true), put(catalog, "\xc3\xa9tude", true));
}

static void exact_names_differ_by_case_and_folded_ones_find_the_first(void **state)
{
    struct catalog *catalog = *state;
    uint32_t first = put(catalog, "Sign Up", false);
    uint32_t second = put(catalog, "signup", false);
    assert_int_not_equal(first, second);
    assert_int_equal(find(catalog, "SIGNUP", true), first);
    assert_int_equal(find(catalog, "signup", true), first);
    assert_int_equal(find(catalog, "signup", false), second);
    assert_int_equal(find(catalog, "SIGNUP", false), CATALOG_NONE);
}

static void a_name_of_white_space_folds_to_itself(void **state)
{
    struct catalog *catalog = *state;
    uint32_t one = put(catalog, " ", true);
    assert_int_not_equal(put(catalog, "  ", true), one);
    assert_int_equal(find(catalog, " ", true), one);
}

static void a_name_that_is_empty_or_too_long_is_refused(void **state)
{
    struct catalog *catalog = *state;
    char name[CATALOG_NAME_MAX + 2];
    uint32_t number = 7;
    memset(name, 'a', sizeof name);
    struct bytes longest = bytes_of(name, CATALOG_NAME_MAX);
    struct bytes too_long = bytes_of(name, CATALOG_NAME_MAX + 1);
    assert_int_equal(catalog_event_put(catalog, BYTES(""), true, &number, NULL).code, ERR_INVALID);
    assert_int_equal(catalog_event_put(catalog, too_long, true, &number, NULL).code, ERR_INVALID);
    assert_int_equal(catalog_property_put(catalog, BYTES(""), &number).code, ERR_INVALID);
    assert_int_equal(catalog_property_put(catalog, too_long, &number).code, ERR_INVALID);
    assert_int_equal(number, 7);
    assert_int_equal(catalog_event_find(catalog, too_long, true), CATALOG_NONE);
    assert_int_equal(catalog_event_put(catalog, longest, true, &number, NULL).code, ERR_NONE);
    assert_int_equal(catalog_event_find(catalog, longest, true), number);
}

static void items_have_a_type_that_knows_its_parent(void **state)
{
    struct catalog *catalog = *state;
    uint32_t charged = put(catalog, "Charged", false);
    uint32_t items = CATALOG_NONE;
    uint32_t again = CATALOG_NONE;
    assert_int_equal(catalog_event_items(catalog, charged), CATALOG_NONE);
    assert_int_equal(find(catalog, "Charged/Items", false), CATALOG_NONE);
    assert_int_equal(catalog_event_items_put(catalog, charged, &items).code, ERR_NONE);
    assert_int_equal(catalog_event_items_put(catalog, charged, &again).code, ERR_NONE);
    assert_int_equal(items, again);
    assert_int_equal(catalog_event_items(catalog, charged), items);
    assert_int_equal(catalog_event_parent(catalog, items), charged);
    assert_int_equal(catalog_event_parent(catalog, charged), CATALOG_NONE);
    assert_text(catalog_event_name(catalog, items), "Charged/Items");
    assert_int_equal(catalog_event_items_put(catalog, items, &again).code, ERR_INVALID);
    assert_int_equal(find(catalog, "Charged/Items", false), items);
    assert_int_equal(find(catalog, "charged / items", true), items);
    assert_int_equal(find(catalog, "/Items", false), CATALOG_NONE);

    uint32_t impostor = put(catalog, "Charged/Items", false);
    assert_int_not_equal(impostor, items);
    assert_int_equal(find(catalog, "Charged/Items", false), impostor);
}

static void discarding_is_remembered(void **state)
{
    struct catalog *catalog = *state;
    uint32_t event = put(catalog, "noise", true);
    assert_false(catalog_event_is_discarded(catalog, event));
    catalog_event_set_discarded(catalog, event, true);
    assert_true(catalog_event_is_discarded(catalog, event));
    catalog_event_set_discarded(catalog, event, false);
    assert_false(catalog_event_is_discarded(catalog, event));
}

static void counts_and_times_of_an_event_are_kept(void **state)
{
    struct catalog *catalog = *state;
    uint32_t event = put(catalog, "login", false);
    assert_int_equal(catalog_event_stats(catalog, event).count, 0);
    catalog_saw_event(catalog, event, 50);
    catalog_saw_event(catalog, event, -20);
    catalog_saw_event(catalog, event, 30);
    struct catalog_event_stats stats = catalog_event_stats(catalog, event);
    assert_int_equal(stats.count, 3);
    assert_int_equal(stats.first_ms, -20);
    assert_int_equal(stats.last_ms, 50);
}

static void columns_are_in_order_of_first_sight_with_all_types(void **state)
{
    struct catalog *catalog = *state;
    const struct catalog_column *columns = NULL;
    uint32_t event = put(catalog, "Charged", false);
    uint32_t amount = property(catalog, "Amount");
    uint32_t mode = property(catalog, "Mode");
    saw(catalog, event, mode, VALUE_STRING);
    saw(catalog, event, amount, VALUE_INT);
    saw(catalog, event, mode, VALUE_STRING);
    saw(catalog, event, amount, VALUE_REAL);
    assert_int_equal(catalog_event_columns(catalog, event, &columns), 2);
    assert_int_equal(columns[0].property, mode);
    assert_int_equal(columns[0].count, 2);
    assert_int_equal(columns[0].types, 1 << VALUE_STRING);
    assert_int_equal(columns[1].property, amount);
    assert_int_equal(columns[1].types, 1 << VALUE_INT | 1 << VALUE_REAL);
    assert_int_equal(catalog_profile_columns(catalog, &columns), 0);
    assert_int_equal(catalog_saw_profile_property(catalog, mode, VALUE_LIST).code, ERR_NONE);
    assert_int_equal(catalog_profile_columns(catalog, &columns), 1);
    assert_int_equal(columns[0].types, 1 << VALUE_LIST);
    assert_true(catalog_is_profile_property(catalog, mode));
    assert_false(catalog_is_profile_property(catalog, amount));
    assert_false(catalog_is_profile_property(catalog, 99));
}

static void distance_counts_edits_and_swaps(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        uint32_t distance;
    } cases[] = {
        { "", "", 0 },           { "abc", "abc", 0 },       { "abc", "ab", 1 },
        { "abc", "axc", 1 },     { "abc", "acb", 1 },       { "kitten", "sitting", 3 },
        { "", "abcd", 4 },       { "ca", "abc", 3 },        { "Charged", "Chraged", 1 },
        { "login", "nigol", 4 }, { "abcdef", "badcfe", 3 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct bytes a = bytes_from(cases[i].a);
        struct bytes b = bytes_from(cases[i].b);
        for (uint32_t max = 0; max < 8; max++) {
            uint32_t expected = cases[i].distance <= max ? cases[i].distance : max + 1;
            assert_int_equal(catalog_distance(a, b, max), expected);
            assert_int_equal(catalog_distance(b, a, max), expected);
        }
    }
}

static void a_wrong_name_gets_the_nearest_known_one(void **state)
{
    struct catalog *catalog = *state;
    uint32_t event = put(catalog, "Charged", false);
    put(catalog, "Changed", false);
    put(catalog, "login", false);
    catalog_saw_event(catalog, event, 1);
    assert_text(catalog_nearest_event(catalog, BYTES("Chraged")), "Charged");
    assert_text(catalog_nearest_event(catalog, BYTES("Chared")), "Charged");
    assert_text(catalog_nearest_event(catalog, BYTES("LOG IN")), "login");
    assert_text(catalog_nearest_event(catalog, BYTES("Chaxged")), "Charged"); /* more frequent */
    assert_int_equal(catalog_nearest_event(catalog, BYTES("purchase")).len, 0);
    assert_int_equal(catalog_nearest_event(catalog, BYTES("")).len, 0);

    uint32_t city = property(catalog, "city");
    uint32_t amount = property(catalog, "Amount");
    saw(catalog, event, amount, VALUE_INT);
    assert_int_equal(catalog_saw_profile_property(catalog, city, VALUE_STRING).code, ERR_NONE);
    assert_text(catalog_nearest_property(catalog, BYTES("amout"), false), "Amount");
    assert_int_equal(catalog_nearest_property(catalog, BYTES("amout"), true).len, 0);
    assert_text(catalog_nearest_property(catalog, BYTES("City"), true), "city");
}

/* --- random histories against an obvious model --------------------------------- */

enum { MODEL_EVENTS = 40, MODEL_PROPERTIES = 60 };

static void random_history(struct catalog *catalog, uint64_t seed, uint32_t steps)
{
    static uint64_t counts[2 * MODEL_EVENTS][MODEL_PROPERTIES];
    static uint32_t types[2 * MODEL_EVENTS][MODEL_PROPERTIES];
    struct rng rng;
    memset(counts, 0, sizeof counts);
    memset(types, 0, sizeof types);
    rng_init(&rng, seed);
    for (uint32_t step = 0; step < steps; step++) {
        char name[32];
        (void)snprintf(name, sizeof name, "Event %u", (unsigned)rng_below(&rng, MODEL_EVENTS));
        uint32_t event = put(catalog, name, rng_below(&rng, 2));
        catalog_saw_event(catalog, event, (int64_t)rng_below(&rng, 1000) - 500);
        if (rng_below(&rng, 20) == 0)
            assert_int_equal(catalog_event_items_put(catalog, event, &event).code, ERR_NONE);
        if (rng_below(&rng, 50) == 0)
            catalog_event_set_discarded(catalog, event, rng_below(&rng, 2));
        for (uint64_t n = rng_below(&rng, 5); n > 0; n--) {
            (void)snprintf(name, sizeof name, "p%u", (unsigned)rng_below(&rng, MODEL_PROPERTIES));
            uint32_t number = property(catalog, name);
            enum value_type type = (enum value_type)(1 + rng_below(&rng, VALUE_TYPES - 1));
            saw(catalog, event, number, type);
            counts[event][number]++;
            types[event][number] |= 1u << type;
        }
    }
    for (uint32_t event = 0; event < catalog_event_count(catalog); event++) {
        const struct catalog_column *columns = NULL;
        uint32_t count = catalog_event_columns(catalog, event, &columns);
        uint32_t expected = 0;
        for (uint32_t i = 0; i < MODEL_PROPERTIES; i++)
            expected += counts[event][i] > 0;
        assert_int_equal(count, expected);
        for (uint32_t i = 0; i < count; i++) {
            assert_int_equal(columns[i].count, counts[event][columns[i].property]);
            assert_int_equal(columns[i].types, types[event][columns[i].property]);
        }
    }
}

static void assert_same(const struct catalog *a, const struct catalog *b)
{
    struct buf first;
    struct buf second;
    save(a, &first);
    save(b, &second);
    assert_true(bytes_equal(buf_bytes(&first), buf_bytes(&second)));
    buf_done(&first);
    buf_done(&second);
}

static void a_saved_catalog_comes_back_as_it_was(void **state)
{
    struct catalog *catalog = *state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct catalog *copy = NULL;
        random_history(catalog, seed, 300);
        assert_int_equal(catalog_copy(catalog, &copy).code, ERR_NONE);
        assert_same(catalog, copy);
        for (uint32_t i = 0; i < catalog_event_count(catalog); i++) {
            struct bytes name = catalog_event_name(catalog, i);
            assert_true(bytes_equal(name, catalog_event_name(copy, i)));
            assert_int_equal(catalog_event_items(copy, i), catalog_event_items(catalog, i));
            assert_int_equal(catalog_event_find(copy, name, true),
                             catalog_event_find(catalog, name, true));
            assert_int_equal(catalog_event_is_discarded(copy, i),
                             catalog_event_is_discarded(catalog, i));
        }
        /* It goes on as the first one does. */
        put(catalog, "later", true);
        put(copy, "later", true);
        assert_same(catalog, copy);
        catalog_free(copy);
        catalog_free(catalog);
        assert_int_equal(catalog_new(&catalog).code, ERR_NONE);
    }
    *state = catalog;
}

static void every_cut_of_a_saved_catalog_is_refused(void **state)
{
    struct catalog *catalog = *state;
    struct buf saved;
    random_history(catalog, 99, 60);
    save(catalog, &saved);
    for (size_t len = 0; len < saved.len; len++) {
        struct catalog *none = NULL;
        assert_int_equal(catalog_load(bytes_of(saved.ptr, len), &none).code, ERR_CORRUPT);
        assert_null(none);
    }
    buf_put_u8(&saved, 0);
    struct catalog *none = NULL;
    assert_int_equal(catalog_load(buf_bytes(&saved), &none).code, ERR_CORRUPT);
    buf_done(&saved);
}

static void the_saved_form_has_these_bytes(void **state)
{
    static const uint8_t expected[] = {
        'K', 'C', 'A', 'T', 1,                             /* magic, version */
        1,   2,   'p', 'q',                                /* one property */
        2,                                                 /* two event types */
        1,   'E', 1,   2,   5, 8, 1, 0, 1 << VALUE_INT, 1, /* E: discarded, 2 × in -3 … 4, column */
        0,   0,   0,   0,   0,                             /* the items of type 0: not seen */
        0,                                                 /* no profile column */
    };
    struct catalog *catalog = *state;
    uint32_t event = put(catalog, "E", false);
    uint32_t items = 0;
    catalog_saw_event(catalog, event, 4);
    catalog_saw_event(catalog, event, -3);
    saw(catalog, event, property(catalog, "pq"), VALUE_INT);
    catalog_event_set_discarded(catalog, event, true);
    assert_int_equal(catalog_event_items_put(catalog, event, &items).code, ERR_NONE);
    struct buf saved;
    save(catalog, &saved);
    assert_int_equal(saved.len, sizeof expected);
    assert_memory_equal(saved.ptr, expected, sizeof expected);
    buf_done(&saved);
}

static void the_largest_number_of_event_types_is_a_limit(void **state)
{
    struct catalog *catalog = *state;
    char name[16];
    uint32_t event = 0;
    for (uint32_t i = 0; i < CATALOG_EVENTS_MAX; i++) {
        (void)snprintf(name, sizeof name, "e%u", (unsigned)i);
        put(catalog, name, false);
    }
    assert_int_equal(catalog_event_put(catalog, BYTES("more"), false, &event, NULL).code,
                     ERR_LIMIT);
    assert_int_equal(catalog_event_items_put(catalog, 0, &event).code, ERR_LIMIT);
    assert_int_equal(put(catalog, "e7", false), 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(numbers_are_dense_and_names_come_back, setup, teardown),
        cmocka_unit_test_setup_teardown(folded_names_are_the_same_without_case_and_space, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(exact_names_differ_by_case_and_folded_ones_find_the_first,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(a_name_of_white_space_folds_to_itself, setup, teardown),
        cmocka_unit_test_setup_teardown(a_name_that_is_empty_or_too_long_is_refused, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(items_have_a_type_that_knows_its_parent, setup, teardown),
        cmocka_unit_test_setup_teardown(discarding_is_remembered, setup, teardown),
        cmocka_unit_test_setup_teardown(counts_and_times_of_an_event_are_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(columns_are_in_order_of_first_sight_with_all_types, setup,
                                        teardown),
        cmocka_unit_test(distance_counts_edits_and_swaps),
        cmocka_unit_test_setup_teardown(a_wrong_name_gets_the_nearest_known_one, setup, teardown),
        cmocka_unit_test_setup_teardown(a_saved_catalog_comes_back_as_it_was, setup, teardown),
        cmocka_unit_test_setup_teardown(every_cut_of_a_saved_catalog_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(the_saved_form_has_these_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(the_largest_number_of_event_types_is_a_limit, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

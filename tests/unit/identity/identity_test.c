/* identity_test.c - what identity.h and docs/modules/identity.md promise. */
#include "identity/identity.h"

#include "base/rng.h"
#include "identity/identity_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct identity_config joining = { .does_join_existing = true };
static const struct identity_config separate = { .does_join_existing = false };

static struct identity_graph *must_new(struct identity_config config)
{
    struct identity_graph *graph = NULL;
    assert_int_equal(identity_new(config, &graph).code, ERR_NONE);
    return graph;
}

static int setup(void **state)
{
    *state = must_new(joining);
    return 0;
}

static int setup_separate(void **state)
{
    *state = must_new(separate);
    return 0;
}

static int teardown(void **state)
{
    identity_free(*state);
    return 0;
}

/* "i:anna d:phone1" as keys: a letter for the kind, then the text. */
static uint32_t keys_of(const char *text, struct identity_key *keys)
{
    static const char letters[KINDS] = { 0, 'i', 'd', 'e', 'p' };
    uint32_t count = 0;
    while (*text) {
        size_t len = strcspn(text, " ");
        for (unsigned kind = 1; kind < KINDS; kind++)
            if (letters[kind] == text[0])
                keys[count].kind = (enum identity_kind)kind;
        keys[count++].text = bytes_of(text + 2, len - 2);
        text += len;
        text += *text == ' ';
    }
    return count;
}

static struct identity_result resolve(struct identity_graph *graph, const char *text)
{
    struct identity_key keys[IDENTITY_RESOLVE_MAX];
    struct identity_result result;
    uint32_t count = keys_of(text, keys);
    assert_int_equal(identity_resolve(graph, keys, count, &result).code, ERR_NONE);
    return result;
}

static uint32_t user_of(struct identity_graph *graph, const char *text)
{
    return resolve(graph, text).user;
}

static uint32_t find(const struct identity_graph *graph, const char *text)
{
    struct identity_key keys[IDENTITY_RESOLVE_MAX];
    assert_int_equal(keys_of(text, keys), 1);
    return identity_find(graph, keys[0]);
}

static uint32_t merge(struct identity_graph *graph, uint32_t a, uint32_t b)
{
    uint32_t survivor = USER_NONE;
    uint32_t merged = USER_NONE;
    assert_int_equal(identity_merge(graph, a, b, &survivor, &merged).code, ERR_NONE);
    assert_int_equal(survivor, a < b ? a : b);
    assert_int_equal(merged, a < b ? b : a);
    return survivor;
}

static void assert_text(struct bytes text, const char *expected)
{
    assert_true(bytes_equal(text, bytes_from(expected)));
}

static void save(const struct identity_graph *graph, struct buf *to)
{
    buf_init(to, 256 << 20);
    identity_save(graph, to);
    assert_int_equal(buf_err(to).code, ERR_NONE);
}

static struct identity_graph *reloaded(const struct identity_graph *graph,
                                       struct identity_config config)
{
    struct buf saved;
    struct identity_graph *copy = NULL;
    save(graph, &saved);
    assert_int_equal(identity_load(buf_bytes(&saved), config, &copy).code, ERR_NONE);
    buf_done(&saved);
    return copy;
}

static void assert_same(const struct identity_graph *a, const struct identity_graph *b)
{
    struct buf first;
    struct buf second;
    save(a, &first);
    save(b, &second);
    assert_true(bytes_equal(buf_bytes(&first), buf_bytes(&second)));
    buf_done(&first);
    buf_done(&second);
}

/* --- finding and making --------------------------------------------------------- */

static void any_kind_of_key_makes_a_user_and_finds_it_again(void **state)
{
    struct identity_graph *graph = *state;
    static const char *const keys[] = { "i:anna", "d:anna", "e:anna@x.org", "p:+4912345" };
    for (uint32_t i = 0; i < 4; i++) {
        struct identity_result result = resolve(graph, keys[i]);
        assert_int_equal(result.user, i);
        assert_true(result.is_new);
        assert_int_equal(result.merged_from, USER_NONE);
        result = resolve(graph, keys[i]);
        assert_int_equal(result.user, i);
        assert_false(result.is_new);
        assert_int_equal(find(graph, keys[i]), i);
    }
    assert_int_equal(identity_user_count(graph), 4);
    assert_int_equal(find(graph, "i:bert"), USER_NONE);
    assert_false(identity_is_anonymous(graph, 0));
    assert_true(identity_is_anonymous(graph, 1));
    assert_false(identity_is_anonymous(graph, 4));
}

static void new_keys_beside_a_known_one_are_attached(void **state)
{
    struct identity_graph *graph = *state;
    uint32_t user = user_of(graph, "i:anna");
    assert_int_equal(user_of(graph, "i:anna d:d1 e:a@x p:+49"), user);
    assert_int_equal(user_of(graph, "i:anna d:d2 i:anna2"), user);
    assert_int_equal(find(graph, "d:d1"), user);
    assert_int_equal(find(graph, "d:d2"), user);
    assert_int_equal(find(graph, "e:a@x"), user);
    assert_int_equal(find(graph, "p:+49"), user);
    assert_int_equal(find(graph, "i:anna2"), user);
    assert_int_equal(identity_user_count(graph), 1);
    assert_int_equal(identity_keys(graph, user, NULL, 0), 6);
}

static void a_key_named_twice_in_a_call_is_one_key(void **state)
{
    struct identity_graph *graph = *state;
    uint32_t user = user_of(graph, "e:A@x e:a@X e:a@x");
    assert_int_equal(identity_keys(graph, user, NULL, 0), 1);
}

static void emails_compare_without_case_and_phones_by_digits(void **state)
{
    struct identity_graph *graph = *state;
    uint32_t mail = user_of(graph, "e:Anna@Example.ORG");
    struct identity_key key = { IDENTITY_EMAIL, BYTES("  anna@EXAMPLE.org\n") };
    assert_int_equal(identity_find(graph, key), mail);
    assert_text(identity_display(graph, mail), "anna@example.org");

    uint32_t phone = user_of(graph, "p:+49(30)123-45.6");
    key = (struct identity_key){ IDENTITY_PHONE, BYTES(" +49 30 / 123 456 ") };
    assert_int_equal(identity_find(graph, key), phone);
    assert_text(identity_display(graph, phone), "+4930123456");
    assert_int_equal(find(graph, "p:4930123456"), USER_NONE); /* without + is another number */

    uint32_t exact = user_of(graph, "i:Anna");
    assert_int_not_equal(user_of(graph, "i:anna"), exact);
}

static void keys_that_can_be_none_are_refused_and_change_nothing(void **state)
{
    struct identity_graph *graph = *state;
    char long_text[IDENTITY_TEXT_MAX + 1];
    memset(long_text, 'x', sizeof long_text);
    const struct identity_key bad[] = {
        { IDENTITY_IDENTITY, BYTES("") },
        { IDENTITY_IDENTITY, bytes_of(long_text, sizeof long_text) },
        { IDENTITY_EMAIL, BYTES("  ") },
        { IDENTITY_PHONE, BYTES("call me") },
        { IDENTITY_PHONE, BYTES("+") },
        { IDENTITY_PHONE, BYTES("12+3") },
        { (enum identity_kind)0, BYTES("x") },
        { (enum identity_kind)5, BYTES("x") },
    };
    struct identity_result result = { .user = 77 };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct identity_key keys[] = { { IDENTITY_IDENTITY, BYTES("good") }, bad[i] };
        assert_false(identity_key_is_valid(bad[i]));
        assert_int_equal(identity_resolve(graph, keys, 2, &result).code, ERR_INVALID);
        assert_int_equal(identity_find(graph, bad[i]), USER_NONE);
        assert_false(identity_is_erased(graph, bad[i]));
    }
    assert_int_equal(identity_resolve(graph, bad, 0, &result).code, ERR_INVALID);
    assert_int_equal(result.user, 77);
    assert_int_equal(identity_user_count(graph), 0);
    struct identity_key longest = { IDENTITY_IDENTITY, bytes_of(long_text, IDENTITY_TEXT_MAX) };
    assert_true(identity_key_is_valid(longest));
    assert_int_equal(identity_resolve(graph, &longest, 1, &result).code, ERR_NONE);
    assert_int_equal(identity_find(graph, longest), result.user);
}

static void a_text_is_found_under_any_kind_the_strongest_first(void **state)
{
    struct identity_graph *graph = *state;
    uint32_t device = user_of(graph, "d:42");
    assert_int_equal(identity_find_any(graph, BYTES("42")), device);
    uint32_t phone = user_of(graph, "p:42");
    assert_int_equal(identity_find_any(graph, BYTES("42")), phone);
    uint32_t mail = user_of(graph, "e:42");
    assert_int_equal(identity_find_any(graph, BYTES("42")), mail);
    uint32_t identity = user_of(graph, "i:42");
    assert_int_equal(identity_find_any(graph, BYTES("42")), identity);
    assert_int_equal(identity_find_any(graph, BYTES("u42")), USER_NONE);
    assert_int_equal(identity_find_any(graph, BYTES("")), USER_NONE);
}

/* --- logins --------------------------------------------------------------------------- */

static void the_first_login_of_a_new_identity_keeps_the_anonymous_history(void **state)
{
    struct identity_graph *graph = *state;
    uint32_t user = user_of(graph, "d:d1");
    struct identity_result result = resolve(graph, "d:d1 i:anna");
    assert_int_equal(result.user, user);
    assert_false(result.is_new);
    assert_int_equal(result.merged_from, USER_NONE);
    assert_int_equal(find(graph, "i:anna"), user);
    assert_false(identity_is_anonymous(graph, user));
}

static void a_login_with_a_known_identity_joins_the_anonymous_history(void **state)
{
    struct identity_graph *graph = *state;
    uint32_t anna = user_of(graph, "i:anna");
    uint32_t visitor = user_of(graph, "d:d2");
    struct identity_result result = resolve(graph, "i:anna d:d2");
    assert_int_equal(result.user, anna);
    assert_int_equal(result.merged_from, visitor);
    assert_int_equal(identity_survivor(graph, visitor), anna);
    assert_false(identity_is_living(graph, visitor));
    assert_int_equal(find(graph, "d:d2"), anna);
}

static void the_smaller_number_survives_a_join(void **state)
{
    struct identity_graph *graph = *state;
    uint32_t visitor = user_of(graph, "d:d1");
    uint32_t anna = user_of(graph, "i:anna");
    struct identity_result result = resolve(graph, "i:anna d:d1");
    assert_int_equal(result.user, visitor);
    assert_int_equal(result.merged_from, anna);
    assert_int_equal(find(graph, "i:anna"), visitor);
}

static void without_joining_the_device_moves_and_the_history_stays(void **state)
{
    struct identity_graph *graph = *state;
    uint32_t visitor = user_of(graph, "d:d1");
    uint32_t anna = user_of(graph, "i:anna");
    struct identity_result result = resolve(graph, "i:anna d:d1");
    assert_int_equal(result.user, anna);
    assert_int_equal(result.merged_from, USER_NONE);
    assert_int_equal(find(graph, "d:d1"), anna);
    assert_true(identity_is_living(graph, visitor));
    assert_int_equal(identity_keys(graph, visitor, NULL, 0), 0);
    /* A first login of a new identity keeps the history all the same. */
    visitor = user_of(graph, "d:d2");
    assert_int_equal(user_of(graph, "d:d2 i:bert"), visitor);
}

static void another_login_on_an_identified_device_moves_the_device_only(void **state)
{
    struct identity_graph *graph = *state;
    uint32_t anna = user_of(graph, "i:anna d:d1");
    struct identity_result result = resolve(graph, "i:bert d:d1");
    assert_true(result.is_new);
    assert_int_not_equal(result.user, anna);
    assert_int_equal(result.merged_from, USER_NONE);
    assert_int_equal(find(graph, "d:d1"), result.user);
    assert_int_equal(find(graph, "i:anna"), anna);
    assert_int_equal(user_of(graph, "i:anna d:d1"), anna);
    assert_int_equal(find(graph, "d:d1"), anna);
    assert_int_equal(identity_user_count(graph), 2);
}

static void of_several_known_people_the_strongest_key_decides_and_none_merge(void **state)
{
    struct identity_graph *graph = *state;
    uint32_t phone = user_of(graph, "p:+1");
    uint32_t mail = user_of(graph, "e:a@x");
    uint32_t anna = user_of(graph, "i:anna");
    assert_int_equal(user_of(graph, "p:+1 e:a@x"), mail);
    assert_int_equal(user_of(graph, "p:+1 e:a@x i:anna"), anna);
    assert_int_equal(find(graph, "p:+1"), phone);
    assert_int_equal(find(graph, "e:a@x"), mail);
    assert_int_equal(identity_user_count(graph), 3);
}

static void a_second_account_on_a_known_email_is_somebody_else(void **state)
{
    struct identity_graph *graph = *state;
    uint32_t first = user_of(graph, "i:anna e:family@x");
    uint32_t second = user_of(graph, "i:bert e:family@x");
    assert_int_not_equal(first, second);
    assert_int_equal(find(graph, "e:family@x"), first);
    /* An account that's the email's first one is the same person. */
    uint32_t mail = user_of(graph, "e:cem@x");
    assert_int_equal(user_of(graph, "i:cem e:cem@x"), mail);
}

static void a_call_logs_in_on_one_device_and_leaves_known_others_alone(void **state)
{
    struct identity_graph *graph = *state;
    uint32_t first = user_of(graph, "d:d1");
    uint32_t second = user_of(graph, "d:d2");
    assert_int_equal(user_of(graph, "d:d1 d:d2 d:d3"), first);
    assert_int_equal(find(graph, "d:d2"), second);
    assert_int_equal(find(graph, "d:d3"), first);
}

/* --- merging --------------------------------------------------------------------------- */

static void a_merge_is_refused_unless_both_are_living_and_different(void **state)
{
    struct identity_graph *graph = *state;
    uint32_t out[2] = { 7, 7 };
    uint32_t a = user_of(graph, "i:a");
    uint32_t b = user_of(graph, "i:b");
    uint32_t c = user_of(graph, "i:c");
    assert_int_equal(identity_merge(graph, a, a, &out[0], &out[1]).code, ERR_INVALID);
    assert_int_equal(identity_merge(graph, a, 99, &out[0], &out[1]).code, ERR_INVALID);
    merge(graph, a, b);
    assert_int_equal(identity_merge(graph, b, c, &out[0], &out[1]).code, ERR_INVALID);
    assert_int_equal(identity_erase(graph, c).code, ERR_NONE);
    assert_int_equal(identity_merge(graph, a, c, &out[0], &out[1]).code, ERR_INVALID);
    assert_int_equal(out[0], 7);
    assert_int_equal(out[1], 7);
    assert_int_equal(identity_survivor(graph, 99), USER_NONE);
}

static void the_keys_of_a_merged_user_are_in_the_order_of_their_age(void **state)
{
    struct identity_graph *graph = *state;
    struct identity_key keys[4];
    user_of(graph, "i:a");
    user_of(graph, "i:b e:b@x");
    user_of(graph, "i:a d:late");
    merge(graph, find(graph, "i:a"), find(graph, "i:b"));
    assert_int_equal(identity_keys(graph, 0, keys, 4), 4);
    assert_text(keys[0].text, "a");
    assert_text(keys[1].text, "b");
    assert_text(keys[2].text, "b@x");
    assert_text(keys[3].text, "late");
    assert_int_equal(identity_keys(graph, 0, keys, 2), 4);
    assert_int_equal(identity_keys(graph, 1, keys, 4), 0);
    assert_text(identity_display(graph, 0), "b"); /* the latest identity */
    assert_int_equal(identity_display(graph, 1).len, 0);
}

static void merges_in_any_order_give_the_same_graph(void **state)
{
    enum { USERS = 60, MERGES = 40, ORDERS = 30 };
    (void)state;
    struct rng rng;
    rng_init(&rng, 5);
    uint32_t pairs[MERGES][2];
    struct identity_graph *first = NULL;
    for (uint32_t i = 0; i < MERGES; i++)
        for (uint32_t side = 0; side < 2; side++)
            pairs[i][side] = (uint32_t)rng_below(&rng, USERS);
    for (uint32_t order = 0; order < ORDERS; order++) {
        struct identity_graph *graph = must_new(joining);
        for (uint32_t i = 0; i < USERS; i++) {
            char text[64];
            (void)snprintf(text, sizeof text, "i:u%u e:m%u d:d%u", i, i, i);
            user_of(graph, text);
        }
        for (uint32_t i = 0; i < MERGES; i++) {
            uint32_t a = identity_survivor(graph, pairs[i][0]);
            uint32_t b = identity_survivor(graph, pairs[i][1]);
            if (a != b)
                merge(graph, i % 2 ? a : b, i % 2 ? b : a);
        }
        for (uint32_t i = 0; i < USERS; i++) {
            uint32_t from[USERS];
            uint32_t count = identity_merged_into(graph, i, from, USERS);
            for (uint32_t j = 0; j < count; j++)
                assert_int_equal(identity_survivor(graph, from[j]), i);
            uint32_t expected = 0;
            for (uint32_t j = 0; j < USERS; j++)
                expected += j != i && identity_survivor(graph, j) == i;
            assert_int_equal(count, expected);
        }
        if (first) {
            assert_same(first, graph);
            identity_free(graph);
        } else {
            first = graph;
        }
        for (uint32_t i = MERGES - 1; i > 0; i--) {
            uint32_t j = (uint32_t)rng_below(&rng, i + 1);
            uint32_t pair[2] = { pairs[i][0], pairs[i][1] };
            memcpy(pairs[i], pairs[j], sizeof pair);
            memcpy(pairs[j], pair, sizeof pair);
        }
    }
    identity_free(first);
}

/* --- the order of arrivals ----------------------------------------------------------------- */

enum { PEOPLE = 4, NAMES = 3, DEVICES = 3, ARRIVALS = 60, ORDERS = 60, KEYS = PEOPLE * 6 };

/* An event or login of one person: a device, a name, or both; or a merge of two of their names. */
struct arrival {
    char device[16]; /* "d:d1.2", or empty */
    char name[16];   /* "i:n1.0", "e:…", "p:…", or empty */
    char other[16];  /* a merge: with this name */
    uint32_t person;
};

static void name_of(uint32_t person, uint32_t i, char text[16])
{
    static const char letters[] = "iep";
    (void)snprintf(text, 16, "%c:%u%u", letters[i], person + 1, i + 1);
}

static void device_of(uint32_t person, uint32_t i, char text[16])
{
    (void)snprintf(text, 16, "d:%u%u", person + 1, i + 1);
}

/* Each person's names are all connected by merges, each device is used by one person only. */
static uint32_t random_arrivals(struct rng *rng, struct arrival *arrivals)
{
    uint32_t count = 0;
    memset(arrivals, 0, ARRIVALS * sizeof *arrivals);
    for (uint32_t person = 0; person < PEOPLE; person++) {
        for (uint32_t i = 1; i < NAMES; i++) {
            arrivals[count].person = person;
            name_of(person, i, arrivals[count].name);
            name_of(person, (uint32_t)rng_below(rng, i), arrivals[count].other);
            count++;
        }
    }
    while (count < ARRIVALS) {
        struct arrival *it = &arrivals[count++];
        uint64_t what = rng_below(rng, 3);
        it->person = (uint32_t)rng_below(rng, PEOPLE);
        if (what != 0)
            device_of(it->person, (uint32_t)rng_below(rng, DEVICES), it->device);
        if (what != 1)
            name_of(it->person, (uint32_t)rng_below(rng, NAMES), it->name);
    }
    return count;
}

static uint32_t arrive(struct identity_graph *graph, const struct arrival *arrival)
{
    char text[64];
    if (arrival->other[0]) {
        uint32_t a = user_of(graph, arrival->name);
        uint32_t b = user_of(graph, arrival->other);
        return a == b ? a : merge(graph, a, b);
    }
    (void)snprintf(text, sizeof text, "%s%s%s", arrival->device,
                   arrival->device[0] && arrival->name[0] ? " " : "", arrival->name);
    return user_of(graph, text);
}

/* Whose each key is at the end, as the smallest index of a key with the same user. */
static void partition(const struct identity_graph *graph, uint32_t classes[KEYS])
{
    uint32_t users[KEYS];
    for (uint32_t i = 0; i < KEYS; i++) {
        char text[16];
        if (i % 6 < 3)
            name_of(i / 6, i % 6, text);
        else
            device_of(i / 6, i % 6 - 3, text);
        users[i] = find(graph, text);
        classes[i] = i;
        for (uint32_t j = 0; j < i && users[i] != USER_NONE && classes[i] == i; j++)
            if (users[j] == users[i])
                classes[i] = j;
    }
}

static void shuffle(struct rng *rng, struct arrival *arrivals, uint32_t count)
{
    for (uint32_t i = count - 1; i > 0; i--) {
        uint32_t j = (uint32_t)rng_below(rng, i + 1);
        struct arrival kept = arrivals[i];
        arrivals[i] = arrivals[j];
        arrivals[j] = kept;
    }
}

/* Tries orders of the same arrivals; each must give the same people, and with joining each arrival
 * ends with the same person as its name. */
static void try_orders(struct identity_config config, uint64_t seed)
{
    struct rng rng;
    struct arrival arrivals[ARRIVALS];
    uint32_t expected[KEYS];
    rng_init(&rng, seed);
    uint32_t count = random_arrivals(&rng, arrivals);
    for (uint32_t order = 0; order < ORDERS; order++) {
        struct identity_graph *graph = must_new(config);
        uint32_t users[ARRIVALS];
        uint32_t classes[KEYS];
        for (uint32_t i = 0; i < count; i++)
            users[i] = arrive(graph, &arrivals[i]);
        partition(graph, classes);
        if (order == 0)
            memcpy(expected, classes, sizeof expected);
        assert_memory_equal(classes, expected, sizeof expected);
        for (uint32_t i = 0; i < count; i++) {
            const char *key = arrivals[i].name[0] ? arrivals[i].name : arrivals[i].device;
            if (config.does_join_existing || arrivals[i].name[0])
                assert_int_equal(identity_survivor(graph, users[i]), find(graph, key));
        }
        identity_free(graph);
        shuffle(&rng, arrivals, count);
    }
}

static void with_joining_keys_and_history_end_with_the_same_people_in_any_order(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 30; seed++)
        try_orders(joining, seed);
}

static void without_joining_keys_end_with_the_same_people_in_any_order(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 30; seed++)
        try_orders(separate, seed);
}

/* --- erasing ----------------------------------------------------------------------------------- */

static bool holds(struct bytes hay, struct bytes needle)
{
    for (size_t i = 0; i + needle.len <= hay.len; i++)
        if (memcmp(hay.ptr + i, needle.ptr, needle.len) == 0)
            return true;
    return false;
}

static void an_erased_user_leaves_tombstones_and_no_text(void **state)
{
    struct identity_graph *graph = *state;
    struct identity_key mail = { IDENTITY_EMAIL, BYTES("Gone@Example.org") };
    struct identity_key phone = { IDENTITY_PHONE, BYTES("+49 77") };
    uint32_t out[2];
    bool more = true;
    uint32_t user = user_of(graph, "i:vanish e:gone@example.org");
    uint32_t other = user_of(graph, "p:+4977");
    merge(graph, user, other);
    assert_false(identity_is_erased(graph, mail));
    assert_int_equal(identity_erase(graph, user).code, ERR_NONE);
    assert_int_equal(identity_erase(graph, user).code, ERR_INVALID);
    assert_int_equal(identity_erase(graph, other).code, ERR_INVALID);
    assert_false(identity_is_living(graph, user));
    assert_int_equal(identity_survivor(graph, other), user);
    assert_int_equal(identity_find(graph, mail), USER_NONE);
    assert_true(identity_is_erased(graph, mail));
    assert_true(identity_is_erased(graph, phone));
    mail.kind = IDENTITY_IDENTITY;
    assert_false(identity_is_erased(graph, mail));
    assert_int_equal(identity_keys(graph, user, NULL, 0), 0);
    assert_int_equal(identity_search(graph, BYTES("gone"), USER_NONE, out, 2, &more), 0);
    assert_false(more);

    struct buf saved;
    save(graph, &saved);
    assert_false(holds(buf_bytes(&saved), BYTES("gone")));
    assert_false(holds(buf_bytes(&saved), BYTES("vanish")));
    assert_false(holds(buf_bytes(&saved), BYTES("4977")));
    buf_done(&saved);
    for (uint32_t i = 0; i < graph->block_count; i++)
        assert_false(holds(bytes_of(graph->blocks[i], 100), BYTES("gone")));

    struct identity_graph *copy = reloaded(graph, joining);
    assert_true(identity_is_erased(copy, phone));
    assert_false(identity_is_living(copy, user));
    /* Nothing stops a caller who doesn't ask. */
    assert_true(resolve(copy, "e:gone@example.org").is_new);
    identity_free(copy);
}

static void tombstones_are_of_use_with_their_key_only(void **state)
{
    (void)state;
    struct identity_config secret = { .erase_key = { 1, 2 } };
    struct identity_graph *graph = must_new(secret);
    struct identity_graph *none = NULL;
    struct buf saved;
    assert_int_equal(identity_erase(graph, user_of(graph, "i:x")).code, ERR_NONE);
    save(graph, &saved);
    assert_int_equal(identity_load(buf_bytes(&saved), joining, &none).code, ERR_INVALID);
    assert_null(none);
    buf_done(&saved);
    struct identity_graph *copy = reloaded(graph, secret);
    assert_true(identity_is_erased(copy, (struct identity_key){ IDENTITY_IDENTITY, BYTES("x") }));
    identity_free(copy);
    identity_free(graph);
}

static void the_digest_is_siphash_128(void **state)
{
    /* From the reference implementation's vectors: key 00 01 … 0f, inputs of 0, 1 and 2 bytes. */
    static const uint8_t expected[][DIGEST_BYTES] = {
        { 0xa3, 0x81, 0x7f, 0x04, 0xba, 0x25, 0xa8, 0xe6, 0x6d, 0xf6, 0x72, 0x14, 0xc7, 0x55, 0x02,
          0x93 },
        { 0xda, 0x87, 0xc1, 0xd8, 0x6b, 0x99, 0xaf, 0x44, 0x34, 0x76, 0x59, 0x11, 0x9b, 0x22, 0xfc,
          0x45 },
        { 0x81, 0x77, 0x22, 0x8d, 0xa4, 0xa4, 0x5d, 0xc7, 0xfc, 0xa3, 0x8b, 0xde, 0xf6, 0x0a, 0xff,
          0xe4 },
    };
    static const uint64_t key[2] = { 0x0706050403020100, 0x0f0e0d0c0b0a0908 };
    static const uint8_t input[] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 };
    uint8_t digest[DIGEST_BYTES];
    uint8_t other[DIGEST_BYTES];
    (void)state;
    for (size_t len = 0; len < sizeof expected / sizeof *expected; len++) {
        identity_siphash(key, bytes_of(input, len), digest);
        assert_memory_equal(digest, expected[len], DIGEST_BYTES);
    }
    identity_siphash(key, bytes_of(input, 8), digest);
    identity_siphash(key, bytes_of(input, 9), other);
    assert_memory_not_equal(digest, other, DIGEST_BYTES);
}

/* --- searching and limits ----------------------------------------------------------------------- */

static void a_search_finds_parts_of_keys_in_the_order_of_users(void **state)
{
    struct identity_graph *graph = *state;
    uint32_t users[2];
    bool more = false;
    user_of(graph, "i:Anna e:anna@x.org");
    user_of(graph, "i:bert");
    user_of(graph, "d:HANNAH-PHONE");
    user_of(graph, "e:joanna@x.org");
    user_of(graph, "i:joanna2");
    merge(graph, 3, 4);
    assert_int_equal(identity_search(graph, BYTES("aNNa"), USER_NONE, users, 2, &more), 2);
    assert_int_equal(users[0], 0);
    assert_int_equal(users[1], 2);
    assert_true(more);
    assert_int_equal(identity_search(graph, BYTES("aNNa"), users[1], users, 2, &more), 1);
    assert_int_equal(users[0], 3);
    assert_false(more);
    assert_int_equal(identity_search(graph, BYTES("nobody"), USER_NONE, users, 2, &more), 0);
    assert_int_equal(identity_search(graph, BYTES(""), USER_NONE, users, 2, &more), 2);
}

static void past_the_limit_of_keys_the_oldest_device_is_forgotten(void **state)
{
    struct identity_graph *graph = *state;
    char text[32];
    uint32_t user = user_of(graph, "i:anna");
    for (unsigned i = 0; i < IDENTITY_KEYS_MAX + 10; i++) {
        (void)snprintf(text, sizeof text, "i:anna d:device%u", i);
        assert_int_equal(user_of(graph, text), user);
    }
    assert_int_equal(identity_keys(graph, user, NULL, 0), IDENTITY_KEYS_MAX);
    assert_int_equal(find(graph, "i:anna"), user);
    assert_int_equal(find(graph, "d:device10"), USER_NONE);
    assert_int_equal(find(graph, "d:device11"), user);
    assert_true(resolve(graph, "d:device0").is_new);
    struct identity_graph *copy = reloaded(graph, joining);
    assert_same(graph, copy);
    identity_free(copy);

    for (unsigned i = 0; i < IDENTITY_KEYS_MAX; i++) {
        (void)snprintf(text, sizeof text, "e:z@x e:mail%u@x", i);
        user_of(graph, text);
    }
    uint32_t mails = find(graph, "e:mail255@x");
    assert_int_equal(identity_keys(graph, mails, NULL, 0), IDENTITY_KEYS_MAX);
    assert_int_equal(find(graph, "e:z@x"), USER_NONE); /* no device: the oldest of any kind */
    merge(graph, user, mails);
    assert_int_equal(identity_keys(graph, user, NULL, 0), IDENTITY_KEYS_MAX);
    assert_int_equal(find(graph, "d:device265"), USER_NONE);
}

/* --- random histories against an obvious model ------------------------------------------------------- */

enum { MODEL_KEYS = 40, MODEL_USERS = 4000 };

/* Who has each key, by kind and number of the key; who each user became; who was erased. */
struct model {
    uint32_t owner[KINDS][MODEL_KEYS];
    uint32_t became[MODEL_USERS];
    bool is_erased[MODEL_USERS];
    uint32_t users;
    bool is_joining;
};

static bool model_has(const struct model *m, uint32_t user, int kind)
{
    for (uint32_t i = 0; i < MODEL_KEYS; i++)
        if (m->owner[kind][i] == user)
            return true;
    return false;
}

static bool model_is_anonymous(const struct model *m, uint32_t user)
{
    return !model_has(m, user, IDENTITY_IDENTITY) && !model_has(m, user, IDENTITY_EMAIL) &&
           !model_has(m, user, IDENTITY_PHONE);
}

static void model_merge(struct model *m, uint32_t from, uint32_t into)
{
    for (int kind = 1; kind < KINDS; kind++)
        for (uint32_t i = 0; i < MODEL_KEYS; i++)
            if (m->owner[kind][i] == from)
                m->owner[kind][i] = into;
    for (uint32_t i = 0; i < m->users; i++)
        if (m->became[i] == from)
            m->became[i] = into;
}

/* named[kind]: the key's number, or USER_NONE. The rules as the document has them. */
static struct identity_result model_resolve(struct model *m, const uint32_t named[KINDS])
{
    static const int order[] = { IDENTITY_IDENTITY, IDENTITY_EMAIL, IDENTITY_PHONE };
    struct identity_result result = { .user = USER_NONE, .merged_from = USER_NONE };
    bool is_identified = false;
    bool is_decided = false;
    for (int i = 0; i < 3; i++) {
        if (named[order[i]] == USER_NONE)
            continue;
        is_identified = true;
        uint32_t owner = m->owner[order[i]][named[order[i]]];
        if (owner == USER_NONE || is_decided)
            continue;
        is_decided = true;
        bool is_other = false;
        for (int j = 0; j < i; j++)
            is_other |= named[order[j]] != USER_NONE && model_has(m, owner, order[j]);
        if (!is_other)
            result.user = owner;
    }
    uint32_t device = named[IDENTITY_DEVICE];
    uint32_t holder = device == USER_NONE ? USER_NONE : m->owner[IDENTITY_DEVICE][device];
    if (result.user == USER_NONE && holder != USER_NONE &&
        (!is_identified || model_is_anonymous(m, holder)))
        result.user = holder;
    if (result.user == USER_NONE) {
        result.is_new = true;
        result.user = m->users;
        m->became[m->users] = m->users;
        m->users++;
    }
    if (holder != USER_NONE && holder != result.user) {
        if (model_is_anonymous(m, holder) && m->is_joining) {
            uint32_t a = holder < result.user ? holder : result.user;
            result.merged_from = holder < result.user ? result.user : holder;
            model_merge(m, result.merged_from, a);
            result.user = a;
        } else {
            m->owner[IDENTITY_DEVICE][device] = result.user;
        }
    }
    for (int kind = 1; kind < KINDS; kind++)
        if (named[kind] != USER_NONE && m->owner[kind][named[kind]] == USER_NONE)
            m->owner[kind][named[kind]] = result.user;
    return result;
}

static void key_text_of(int kind, uint32_t number, char text[16])
{
    static const char letters[KINDS] = { 0, 'i', 'd', 'e', 'p' };
    (void)snprintf(text, 16, "%c:%u", letters[kind], number);
}

static void model_check(const struct model *m, const struct identity_graph *graph)
{
    assert_int_equal(identity_user_count(graph), m->users);
    for (int kind = 1; kind < KINDS; kind++) {
        for (uint32_t i = 0; i < MODEL_KEYS; i++) {
            char text[16];
            key_text_of(kind, i, text);
            assert_int_equal(find(graph, text), m->owner[kind][i]);
        }
    }
    for (uint32_t user = 0; user < m->users; user++) {
        assert_int_equal(identity_survivor(graph, user), m->became[user]);
        bool is_living = m->became[user] == user && !m->is_erased[user];
        assert_int_equal(identity_is_living(graph, user), is_living);
        assert_int_equal(identity_is_anonymous(graph, user),
                         is_living && model_is_anonymous(m, user));
    }
}

static void model_step(struct model *m, struct identity_graph *graph, struct rng *rng)
{
    uint64_t what = rng_below(rng, 20);
    uint32_t a = m->users ? (uint32_t)rng_below(rng, m->users) : 0;
    uint32_t b = m->users ? (uint32_t)rng_below(rng, m->users) : 0;
    bool has_a = m->users && m->became[a] == a && !m->is_erased[a];
    bool has_b = m->users && m->became[b] == b && !m->is_erased[b];
    if (what == 0 && has_a && has_b && a != b) {
        merge(graph, a, b);
        model_merge(m, a < b ? b : a, a < b ? a : b);
        return;
    }
    if (what == 1 && has_a) {
        assert_int_equal(identity_erase(graph, a).code, ERR_NONE);
        m->is_erased[a] = true;
        for (int kind = 1; kind < KINDS; kind++)
            for (uint32_t i = 0; i < MODEL_KEYS; i++)
                if (m->owner[kind][i] == a)
                    m->owner[kind][i] = USER_NONE;
        return;
    }
    uint32_t named[KINDS];
    char text[80] = "";
    uint64_t mask = 1 + rng_below(rng, 15);
    for (int kind = 1; kind < KINDS; kind++) {
        char one[16];
        named[kind] = mask >> (kind - 1) & 1 ? (uint32_t)rng_below(rng, MODEL_KEYS) : USER_NONE;
        if (named[kind] == USER_NONE)
            continue;
        key_text_of(kind, named[kind], one);
        size_t len = strlen(text);
        (void)snprintf(text + len, sizeof text - len, "%s%s", len ? " " : "", one);
    }
    struct identity_result expected = model_resolve(m, named);
    struct identity_result result = resolve(graph, text);
    assert_int_equal(result.user, expected.user);
    assert_int_equal(result.is_new, expected.is_new);
    assert_int_equal(result.merged_from, expected.merged_from);
}

static void random_histories_agree_with_the_model_and_survive_a_load(void **state)
{
    static struct model model;
    (void)state;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        struct rng rng;
        struct identity_config config = seed % 2 ? joining : separate;
        struct identity_graph *graph = must_new(config);
        memset(&model, 0, sizeof model);
        memset(model.owner, 0xff, sizeof model.owner);
        model.is_joining = config.does_join_existing;
        rng_init(&rng, seed);
        for (uint32_t step = 0; step < 600; step++) {
            model_step(&model, graph, &rng);
            if (step % 40 == 39)
                model_check(&model, graph);
            if (step % 150 == 149) {
                struct identity_graph *copy = reloaded(graph, config);
                assert_same(graph, copy);
                identity_free(graph);
                graph = copy;
                model_check(&model, graph);
            }
        }
        identity_free(graph);
    }
}

/* --- the saved form ------------------------------------------------------------------------------------ */

enum { HEADER = 5 + DIGEST_BYTES };

static void the_saved_form_has_these_bytes(void **state)
{
    static const uint8_t expected[] = {
        4, 0, 0, 1,   2 + 2,      /* users: two living, one erased, the last merged into 1 */
        3,                        /* keys */
        1, 0, 1, 'a',             /* identity of user 0 */
        3, 2, 3, 'b', '@',   'x', /* email of user 0 + 1 */
        2, 0, 1, 'd',             /* device of user 1 */
        1,                        /* a tombstone */
    };
    struct identity_graph *graph = *state;
    struct buf saved;
    user_of(graph, "i:a");
    user_of(graph, "e:b@x");
    user_of(graph, "i:gone");
    user_of(graph, "d:d");
    merge(graph, 3, 1);
    assert_int_equal(identity_erase(graph, 2).code, ERR_NONE);
    save(graph, &saved);
    assert_int_equal(saved.len, HEADER + sizeof expected + DIGEST_BYTES);
    assert_memory_equal(saved.ptr, "KIDN\1", 5); /* magic, version; then what knows the key */
    assert_memory_equal(saved.ptr + HEADER, expected, sizeof expected);
    buf_done(&saved);
}

static void every_cut_and_every_lie_of_a_saved_graph_is_refused(void **state)
{
    struct identity_graph *graph = *state;
    struct identity_graph *none = NULL;
    struct buf saved;
    user_of(graph, "i:a d:b e:c");
    user_of(graph, "d:d");
    save(graph, &saved);
    for (size_t len = 0; len < saved.len; len++)
        assert_int_equal(identity_load(bytes_of(saved.ptr, len), joining, &none).code, ERR_CORRUPT);
    static const struct {
        size_t offset;
        uint8_t byte;
        const char *why;
    } lies[] = {
        { 1, 2, "merged into itself" },
        { 1, 3, "merged into nobody" },
        { 2, 3, "has keys, but was merged" },
        { 2, 1, "has keys, but was erased" },
        { 0, 1, "a key's user isn't there" },
        { 0, 200, "more users than bytes" },
        { 3, 100, "more keys than bytes" },
        { 4, 0, "no such kind" },
        { 4, 5, "no such kind" },
        { 5, 1, "a user before the first" },
        { 4, 4, "no phone number" },
        { 16, 1, "twice the same key" },
    };
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        uint8_t kept[2] = { saved.ptr[HEADER + lies[i].offset], saved.ptr[HEADER + 19] };
        saved.ptr[HEADER + lies[i].offset] = lies[i].byte;
        if (lies[i].offset == 16)
            saved.ptr[HEADER + 19] = 'a';
        assert_int_equal(identity_load(buf_bytes(&saved), joining, &none).code, ERR_CORRUPT);
        saved.ptr[HEADER + lies[i].offset] = kept[0];
        saved.ptr[HEADER + 19] = kept[1];
    }
    buf_put_u8(&saved, 0);
    assert_int_equal(identity_load(buf_bytes(&saved), joining, &none).code, ERR_CORRUPT);
    assert_null(none);
    buf_done(&saved);
}

static void looking_ahead_sees_who_is_known_and_changes_nothing(void **state)
{
    struct identity_graph *graph = *state;
    uint32_t anna = resolve(graph, "i:anna d:phone1").user;
    uint32_t ben = resolve(graph, "i:ben").user;
    const struct bytes texts[] = { BYTES("ben"), BYTES("nobody"), BYTES("anna"), BYTES("phone1") };
    uint32_t users[4];
    identity_warm(graph, IDENTITY_IDENTITY, texts, 4, users);
    assert_int_equal(users[0], ben);
    assert_int_equal(users[1], USER_NONE);
    assert_int_equal(users[2], anna);
    assert_int_equal(users[3], USER_NONE);
    identity_warm(graph, IDENTITY_DEVICE, texts, 4, users);
    assert_int_equal(users[3], anna);
    assert_int_equal(identity_user_count(graph), 2);
}

#define A_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        A_TEST(any_kind_of_key_makes_a_user_and_finds_it_again),
        A_TEST(new_keys_beside_a_known_one_are_attached),
        A_TEST(a_key_named_twice_in_a_call_is_one_key),
        A_TEST(emails_compare_without_case_and_phones_by_digits),
        A_TEST(keys_that_can_be_none_are_refused_and_change_nothing),
        A_TEST(a_text_is_found_under_any_kind_the_strongest_first),
        A_TEST(the_first_login_of_a_new_identity_keeps_the_anonymous_history),
        A_TEST(a_login_with_a_known_identity_joins_the_anonymous_history),
        A_TEST(the_smaller_number_survives_a_join),
        cmocka_unit_test_setup_teardown(without_joining_the_device_moves_and_the_history_stays,
                                        setup_separate, teardown),
        A_TEST(another_login_on_an_identified_device_moves_the_device_only),
        A_TEST(of_several_known_people_the_strongest_key_decides_and_none_merge),
        A_TEST(a_second_account_on_a_known_email_is_somebody_else),
        A_TEST(a_call_logs_in_on_one_device_and_leaves_known_others_alone),
        A_TEST(a_merge_is_refused_unless_both_are_living_and_different),
        A_TEST(the_keys_of_a_merged_user_are_in_the_order_of_their_age),
        A_TEST(looking_ahead_sees_who_is_known_and_changes_nothing),
        cmocka_unit_test(merges_in_any_order_give_the_same_graph),
        cmocka_unit_test(with_joining_keys_and_history_end_with_the_same_people_in_any_order),
        cmocka_unit_test(without_joining_keys_end_with_the_same_people_in_any_order),
        A_TEST(an_erased_user_leaves_tombstones_and_no_text),
        cmocka_unit_test(tombstones_are_of_use_with_their_key_only),
        cmocka_unit_test(the_digest_is_siphash_128),
        A_TEST(a_search_finds_parts_of_keys_in_the_order_of_users),
        A_TEST(past_the_limit_of_keys_the_oldest_device_is_forgotten),
        cmocka_unit_test(random_histories_agree_with_the_model_and_survive_a_load),
        A_TEST(the_saved_form_has_these_bytes),
        A_TEST(every_cut_and_every_lie_of_a_saved_graph_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * identity.c - from keys to people.
 *
 *     index, keys   (kind, text) → key → living user
 *     users         by number: its list of keys, and where it went
 *
 * A key always leads to a living user directly: a merge re-points the keys of the one that goes
 * (they're few), so the hot path, resolving a known key, is one probe.
 *
 * Numbers that were merged away are found in trees (union by rank, so no path is longer than the
 * logarithm of the users). The root of a tree needn't be the survivor, who is the smallest number of
 * the tree; a root that isn't keeps the survivor's number where its keys were. All numbers of one
 * person also make a ring; uniting two rings is swapping two links.
 *
 * What is promised about the order of arrivals is in docs/modules/identity.md.
 */
#include "identity/identity.h"

#include "identity/identity_internal.h"

#include <stdlib.h>

enum {
    IDENTIFIED = 1 << IDENTITY_IDENTITY | 1 << IDENTITY_EMAIL | 1 << IDENTITY_PHONE,
    TOMBSTONES_BYTES_MAX = 1 << 30,
};

static_assert(USER_IS_ERASED < 1 << IDENTITY_IDENTITY && USER_IS_MERGED == 1 << KINDS,
              "the flags of a user don't overlap");

static const enum identity_kind by_strength[] = { IDENTITY_IDENTITY, IDENTITY_EMAIL,
                                                  IDENTITY_PHONE };
enum { STRENGTHS = sizeof by_strength / sizeof *by_strength };

/* --- making and unmaking -------------------------------------------------- */

struct err identity_new(struct identity_config config, struct identity_graph **out)
{
    struct identity_graph *graph = calloc(1, sizeof *graph);
    if (!graph)
        return err_new(ERR_NOMEM, "identity: new");
    graph->config = config;
    struct err err = intern_new(TOMBSTONES_BYTES_MAX, &graph->tombstones);
    if (err.code) {
        identity_free(graph);
        return err;
    }
    *out = graph;
    return ok();
}

void identity_free(struct identity_graph *graph)
{
    if (!graph)
        return;
    for (uint32_t i = 0; i < graph->block_count; i++)
        free(graph->blocks[i]);
    free(graph->blocks);
    free(graph->users);
    free(graph->keys);
    slots_done(&graph->index);
    intern_free(graph->tombstones);
    free(graph);
}

void identity_configure(struct identity_graph *graph, struct identity_config config)
{
    assert(intern_count(graph->tombstones) == 0 ||
           memcmp(graph->config.erase_key, config.erase_key, sizeof config.erase_key) == 0);
    graph->config = config;
}

/* --- merging ------------------------------------------------------------------ */

static uint32_t root_of(const struct identity_graph *graph, uint32_t user)
{
    while (graph->users[user].parent != user)
        user = graph->users[user].parent;
    return user;
}

uint32_t identity_survivor(const struct identity_graph *graph, uint32_t user)
{
    if (user >= graph->user_count)
        return USER_NONE;
    uint32_t root = root_of(graph, user);
    const struct user *it = &graph->users[root];
    return it->flags & USER_IS_MERGED ? it->first_key : root;
}

bool identity_is_living(const struct identity_graph *graph, uint32_t user)
{
    return user < graph->user_count &&
           !(graph->users[user].flags & (USER_IS_ERASED | USER_IS_MERGED));
}

/* Both are living. Returns the survivor. */
static uint32_t unite(struct identity_graph *graph, uint32_t a, uint32_t b)
{
    uint32_t survivor = a < b ? a : b;
    uint32_t merged = a < b ? b : a;
    struct user *users = graph->users;
    uint32_t root = root_of(graph, a);
    uint32_t leaf = root_of(graph, b);
    assert(a != b && root != leaf);

    keys_unite(graph, merged, survivor);
    users[merged].flags = USER_IS_MERGED;

    if (users[root].rank < users[leaf].rank) {
        uint32_t higher = leaf;
        leaf = root;
        root = higher;
    }
    users[leaf].parent = root;
    users[root].rank = (uint8_t)(users[root].rank + (users[root].rank == users[leaf].rank));
    if (root != survivor)
        users[root].first_key = survivor;

    uint32_t next = users[a].ring;
    users[a].ring = users[b].ring;
    users[b].ring = next;
    keys_trim(graph, survivor);
    return survivor;
}

struct err identity_merge(struct identity_graph *graph, uint32_t a, uint32_t b,
                          uint32_t *survivor_out, uint32_t *merged_out)
{
    if (a == b || !identity_is_living(graph, a) || !identity_is_living(graph, b))
        return err_new(ERR_INVALID, "identity: merge");
    *survivor_out = unite(graph, a, b);
    *merged_out = a < b ? b : a;
    return ok();
}

uint32_t identity_merged_into(const struct identity_graph *graph, uint32_t user, uint32_t *from,
                              uint32_t max)
{
    uint32_t count = 0;
    if (user >= graph->user_count || graph->users[user].flags & USER_IS_MERGED)
        return 0;
    for (uint32_t i = graph->users[user].ring; i != user; i = graph->users[i].ring) {
        if (count < max)
            from[count] = i;
        count++;
    }
    return count;
}

/* --- resolving ------------------------------------------------------------------- */

/* A key of a call, looked up. */
struct claim {
    enum identity_kind kind;
    uint32_t hash;
    uint32_t key; /* KEY_NONE: nobody has it yet */
    struct bytes text;
};

struct claims {
    struct claim claim[IDENTITY_RESOLVE_MAX];
    uint32_t count;
    uint8_t room[IDENTITY_RESOLVE_MAX][IDENTITY_TEXT_MAX];
};

static struct err look_up(const struct identity_graph *graph, const struct identity_key *keys,
                          uint32_t count, struct claims *claims)
{
    if (count == 0 || count > IDENTITY_RESOLVE_MAX)
        return err_new(ERR_INVALID, "identity: number of keys");
    claims->count = count;
    for (uint32_t i = 0; i < count; i++) {
        struct claim *claim = &claims->claim[i];
        if (!identity_normal(keys[i], claims->room[i], &claim->text))
            return err_new(ERR_INVALID, "identity: key");
        claim->kind = keys[i].kind;
        claim->hash = key_hash(claim->kind, claim->text);
        claim->key = key_find(graph, claim->kind, claim->text, claim->hash);
    }
    return ok();
}

/* The first key of this kind that leads to somebody; NULL: none does. *has_out: one was named. */
static const struct claim *known_of(const struct claims *claims, enum identity_kind kind,
                                    bool *has_out)
{
    *has_out = false;
    for (uint32_t i = 0; i < claims->count; i++) {
        const struct claim *claim = &claims->claim[i];
        if (claim->kind != kind)
            continue;
        *has_out = true;
        if (claim->key != KEY_NONE)
            return claim;
    }
    return NULL;
}

/*
 * Whom the identified keys lead to: the strongest known one decides. But a stronger one, named and
 * unknown, is somebody else's when the user already has a key of that kind: the second account on a
 * family's email isn't the first.
 */
static uint32_t find_person(const struct identity_graph *graph, const struct claims *claims,
                            bool *has_identified_out)
{
    uint8_t stronger = 0; /* kinds that were named, none of them known */
    *has_identified_out = false;
    for (uint32_t i = 0; i < STRENGTHS; i++) {
        bool has_kind = false;
        const struct claim *known = known_of(claims, by_strength[i], &has_kind);
        *has_identified_out |= has_kind;
        if (known) {
            uint32_t user = graph->keys[known->key].user;
            return graph->users[user].flags & stronger ? USER_NONE : user;
        }
        if (has_kind)
            stronger |= (uint8_t)(1 << by_strength[i]);
    }
    return USER_NONE;
}

static uint32_t new_user(struct identity_graph *graph)
{
    uint32_t user = graph->user_count++;
    graph->users[user] = (struct user){
        .parent = user,
        .first_key = KEY_NONE,
        .last_key = KEY_NONE,
        .ring = user,
    };
    return user;
}

static bool is_anonymous(const struct identity_graph *graph, uint32_t user)
{
    return !(graph->users[user].flags & IDENTIFIED);
}

bool identity_is_anonymous(const struct identity_graph *graph, uint32_t user)
{
    return identity_is_living(graph, user) && is_anonymous(graph, user);
}

static void attach_new_keys(struct identity_graph *graph, const struct claims *claims,
                            uint32_t user)
{
    for (uint32_t i = 0; i < claims->count; i++) {
        const struct claim *claim = &claims->claim[i];
        /* Asked again: a key may be named twice. */
        if (claim->key == KEY_NONE &&
            key_find(graph, claim->kind, claim->text, claim->hash) == KEY_NONE)
            (void)key_add(graph, claim->kind, claim->text, claim->hash, user);
    }
    keys_trim(graph, user);
}

static struct err reserve(struct identity_graph *graph, const struct claims *claims)
{
    uint32_t count = 0;
    size_t bytes = 0;
    for (uint32_t i = 0; i < claims->count; i++) {
        count += claims->claim[i].key == KEY_NONE;
        bytes += claims->claim[i].key == KEY_NONE ? claims->claim[i].text.len : 0;
    }
    struct err err = users_reserve(graph, 1);
    if (err.code || count == 0)
        return err;
    return keys_reserve(graph, count, bytes);
}

/* Everything is reserved; nothing fails from here on. */
static struct identity_result decide(struct identity_graph *graph, const struct claims *claims)
{
    struct identity_result result = { .merged_from = USER_NONE };
    bool has_identified = false;
    bool has_device = false;
    uint32_t person = find_person(graph, claims, &has_identified);
    const struct claim *device = known_of(claims, IDENTITY_DEVICE, &has_device);
    uint32_t owner = device ? graph->keys[device->key].user : USER_NONE;

    if (person == USER_NONE && owner != USER_NONE &&
        (!has_identified || is_anonymous(graph, owner)))
        person = owner; /* the device alone was named, or its first login with new keys */
    result.is_new = person == USER_NONE;
    if (result.is_new)
        person = new_user(graph);

    if (owner != USER_NONE && owner != person) {
        if (is_anonymous(graph, owner) && graph->config.does_join_existing) {
            result.merged_from = person < owner ? owner : person;
            person = unite(graph, person, owner);
        } else {
            key_move(graph, device->key, person);
        }
    }
    attach_new_keys(graph, claims, person);
    result.user = person;
    return result;
}

struct err identity_resolve(struct identity_graph *graph, const struct identity_key *keys,
                            uint32_t count, struct identity_result *out)
{
    struct claims claims;
    struct err err = look_up(graph, keys, count, &claims);
    if (err.code)
        return err;
    if (count == 1 && claims.claim[0].key != KEY_NONE) {
        *out = (struct identity_result){ .user = graph->keys[claims.claim[0].key].user,
                                         .merged_from = USER_NONE };
        return ok();
    }
    err = reserve(graph, &claims);
    if (err.code)
        return err;
    *out = decide(graph, &claims);
    return ok();
}

/* --- fetching ahead ---------------------------------------------------------------- */

/* Three reads that depend on each other, each begun for all texts before one is waited for: the
 * index, the key, its text. */
void identity_warm(const struct identity_graph *graph, enum identity_kind kind,
                   const struct bytes *texts, uint32_t count, uint32_t *users_out)
{
    uint32_t hashes[IDENTITY_WARM_MAX];
    uint32_t numbers[IDENTITY_WARM_MAX];
    assert(count <= IDENTITY_WARM_MAX);
    for (uint32_t i = 0; i < count; i++) {
        hashes[i] = key_hash(kind, texts[i]);
        slots_prefetch(&graph->index, hashes[i]);
    }
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = slots_start(&graph->index, hashes[i]);
        numbers[i] = KEY_NONE;
        if (slots_next(&graph->index, hashes[i], &at, &numbers[i]))
            __builtin_prefetch(&graph->keys[numbers[i]]);
    }
    for (uint32_t i = 0; i < count; i++) {
        users_out[i] = USER_NONE;
        if (numbers[i] == KEY_NONE)
            continue;
        users_out[i] = graph->keys[numbers[i]].user;
        __builtin_prefetch(key_text(graph, &graph->keys[numbers[i]]).ptr);
    }
}

/* --- finding ----------------------------------------------------------------------- */

uint32_t identity_find(const struct identity_graph *graph, struct identity_key key)
{
    uint8_t room[IDENTITY_TEXT_MAX];
    struct bytes text;
    if (!identity_normal(key, room, &text))
        return USER_NONE;
    uint32_t number = key_find(graph, key.kind, text, key_hash(key.kind, text));
    return number == KEY_NONE ? USER_NONE : graph->keys[number].user;
}

uint32_t identity_find_any(const struct identity_graph *graph, struct bytes text)
{
    uint32_t user = USER_NONE;
    for (uint32_t i = 0; i < STRENGTHS && user == USER_NONE; i++)
        user = identity_find(graph, (struct identity_key){ by_strength[i], text });
    if (user == USER_NONE)
        user = identity_find(graph, (struct identity_key){ IDENTITY_DEVICE, text });
    return user;
}

uint32_t identity_user_count(const struct identity_graph *graph)
{
    return graph->user_count;
}

uint32_t identity_keys(const struct identity_graph *graph, uint32_t user, struct identity_key *keys,
                       uint32_t max)
{
    if (!identity_is_living(graph, user))
        return 0;
    const struct user *it = &graph->users[user];
    uint32_t count = 0;
    for (uint32_t i = it->first_key; i != KEY_NONE && count < max; i = graph->keys[i].next) {
        const struct key *key = &graph->keys[i];
        keys[count++] = (struct identity_key){ key_kind(key), key_text(graph, key) };
    }
    return it->key_count;
}

static int strength(enum identity_kind kind)
{
    static const int of[KINDS] = {
        [IDENTITY_IDENTITY] = 4,
        [IDENTITY_EMAIL] = 3,
        [IDENTITY_PHONE] = 2,
        [IDENTITY_DEVICE] = 1,
    };
    return of[kind];
}

struct bytes identity_display(const struct identity_graph *graph, uint32_t user)
{
    struct bytes best = { 0 };
    int best_strength = 0;
    if (!identity_is_living(graph, user))
        return best;
    for (uint32_t i = graph->users[user].first_key; i != KEY_NONE; i = graph->keys[i].next) {
        const struct key *key = &graph->keys[i];
        if (strength(key_kind(key)) < best_strength)
            continue;
        best_strength = strength(key_kind(key));
        best = key_text(graph, key);
    }
    return best;
}

/* --- searching ----------------------------------------------------------------------- */

static uint8_t small(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 'a' - 'A') : c;
}

/* `wanted` is in small letters. */
static bool contains(struct bytes text, struct bytes wanted)
{
    for (size_t i = 0; i + wanted.len <= text.len; i++) {
        size_t j = 0;
        while (j < wanted.len && small(text.ptr[i + j]) == wanted.ptr[j])
            j++;
        if (j == wanted.len)
            return true;
    }
    return false;
}

static bool user_contains(const struct identity_graph *graph, const struct user *user,
                          struct bytes wanted)
{
    for (uint32_t i = user->first_key; i != KEY_NONE; i = graph->keys[i].next)
        if (contains(key_text(graph, &graph->keys[i]), wanted))
            return true;
    return false;
}

uint32_t identity_search(const struct identity_graph *graph, struct bytes text, uint32_t after,
                         uint32_t *users, uint32_t max, bool *more_out)
{
    uint8_t wanted[IDENTITY_TEXT_MAX];
    uint32_t found = 0;
    uint32_t budget = SEARCH_BUDGET;

    *more_out = false;
    if (text.len > IDENTITY_TEXT_MAX)
        return 0;
    for (size_t i = 0; i < text.len; i++)
        wanted[i] = small(text.ptr[i]);
    for (uint32_t user = after == USER_NONE ? 0 : after + 1; user < graph->user_count; user++) {
        const struct user *it = &graph->users[user];
        if (it->flags & (USER_IS_MERGED | USER_IS_ERASED))
            continue;
        if (found == max || it->key_count > budget) {
            *more_out = true;
            break;
        }
        budget -= it->key_count;
        if (user_contains(graph, it, bytes_of(wanted, text.len)))
            users[found++] = user;
    }
    return found;
}

/* --- erasing ---------------------------------------------------------------------------- */

static struct bytes digest_of(const struct identity_graph *graph, enum identity_kind kind,
                              struct bytes text, uint8_t digest[DIGEST_BYTES])
{
    uint8_t input[1 + IDENTITY_TEXT_MAX];
    input[0] = (uint8_t)kind;
    memcpy(input + 1, text.ptr, text.len);
    identity_siphash(graph->config.erase_key, bytes_of(input, 1 + text.len), digest);
    return bytes_of(digest, DIGEST_BYTES);
}

struct err identity_erase(struct identity_graph *graph, uint32_t user)
{
    if (!identity_is_living(graph, user))
        return err_new(ERR_INVALID, "identity: erase");

    struct user *it = &graph->users[user];
    for (uint32_t i = it->first_key; i != KEY_NONE; i = graph->keys[i].next) {
        uint8_t digest[DIGEST_BYTES];
        uint32_t number = 0;
        const struct key *key = &graph->keys[i];
        struct bytes text = digest_of(graph, key_kind(key), key_text(graph, key), digest);
        struct err err = intern_put(graph->tombstones, text, &number, NULL);
        if (err.code)
            return err;
    }
    while (it->first_key != KEY_NONE)
        key_forget(graph, it->first_key);
    it->flags = USER_IS_ERASED;
    return ok();
}

bool identity_is_erased(const struct identity_graph *graph, struct identity_key key)
{
    if (intern_count(graph->tombstones) == 0)
        return false;
    uint8_t room[IDENTITY_TEXT_MAX];
    uint8_t digest[DIGEST_BYTES];
    struct bytes text;
    uint32_t number = 0;
    return identity_normal(key, room, &text) &&
           intern_find(graph->tombstones, digest_of(graph, key.kind, text, digest), &number);
}

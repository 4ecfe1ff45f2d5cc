/*
 * state.c - the graph in a checkpoint: docs/formats/identity-state.md.
 *
 * Keys are written in the order of their age and so get new numbers without holes. Loading checks
 * everything that the rest of the module relies on, and takes no memory that the bytes themselves
 * don't justify.
 */
#include "identity/identity_internal.h"

#include <stdlib.h>

enum { VERSION = 1, LIVING = 0, ERASED = 1, MERGED = 2, KEY_BYTES_MIN = 4 };

static const struct bytes magic = { (const uint8_t *)"KIDN", 4 };

/* Tells whether the tombstones can be read with a key. */
static void key_check(const struct identity_graph *graph, uint8_t digest[DIGEST_BYTES])
{
    identity_siphash(graph->config.erase_key, magic, digest);
}

/* --- saving ------------------------------------------------------------------- */

static void save_users(const struct identity_graph *graph, struct buf *to)
{
    buf_put_varint(to, graph->user_count);
    for (uint32_t i = 0; i < graph->user_count; i++) {
        uint8_t flags = graph->users[i].flags;
        if (flags & USER_IS_MERGED)
            buf_put_varint(to, MERGED + (i - identity_survivor(graph, i)));
        else
            buf_put_u8(to, flags & USER_IS_ERASED ? ERASED : LIVING);
    }
}

static void save_keys(const struct identity_graph *graph, struct buf *to)
{
    int64_t before = 0;
    buf_put_varint(to, graph->index.count);
    for (uint32_t i = 0; i < graph->key_count; i++) {
        const struct key *key = &graph->keys[i];
        if (key->user == USER_NONE)
            continue;
        buf_put_u8(to, (uint8_t)key_kind(key));
        buf_put_svarint(to, (int64_t)key->user - before);
        buf_put_prefixed(to, key_text(graph, key));
        before = key->user;
    }
}

void identity_save(const struct identity_graph *graph, struct buf *to)
{
    uint8_t check[DIGEST_BYTES];
    buf_put(to, magic);
    buf_put_u8(to, VERSION);
    key_check(graph, check);
    buf_put(to, bytes_of(check, sizeof check));
    save_users(graph, to);
    save_keys(graph, to);
    buf_put_varint(to, intern_count(graph->tombstones));
    for (uint32_t i = 0; i < intern_count(graph->tombstones); i++)
        buf_put(to, intern_get(graph->tombstones, i));
}

/* --- loading -------------------------------------------------------------------- */

static struct err corrupt(void)
{
    return err_new(ERR_CORRUPT, "identity: load");
}

static struct err load_users(struct identity_graph *graph, struct reader *from)
{
    uint64_t count = reader_varint(from);
    if (count > reader_left(from) || count >= USER_NONE)
        return corrupt();
    struct err err = users_reserve(graph, (uint32_t)count);
    if (err.code)
        return err;

    for (uint32_t i = 0; i < count; i++) {
        uint64_t code = reader_varint(from);
        struct user *user = &graph->users[i];
        *user = (struct user){ i, KEY_NONE, KEY_NONE, .ring = i };
        graph->user_count++;
        if (code == ERASED)
            user->flags = USER_IS_ERASED;
        if (code < MERGED)
            continue;
        uint64_t back = code - MERGED;
        if (back == 0 || back > i || graph->users[i - back].flags & USER_IS_MERGED)
            return corrupt();
        struct user *survivor = &graph->users[i - back];
        user->flags = USER_IS_MERGED;
        user->parent = i - (uint32_t)back;
        user->ring = survivor->ring;
        survivor->ring = i;
        survivor->rank = 1;
    }
    return ok();
}

/* A key that was read and not yet added. */
struct pending {
    struct identity_key key;
    uint32_t user;
    uint32_t hash;
};

static struct err read_key(const struct identity_graph *graph, struct reader *from, int64_t *user,
                           struct pending *out)
{
    uint8_t room[IDENTITY_TEXT_MAX];
    struct bytes normal;
    struct identity_key key = { .kind = (enum identity_kind)reader_u8(from) };
    int64_t step = reader_svarint(from);
    key.text = reader_prefixed(from);
    if (from->is_failed || __builtin_add_overflow(*user, step, user) || *user < 0 ||
        *user >= graph->user_count || !identity_is_living(graph, (uint32_t)*user))
        return corrupt();
    if (!identity_normal(key, room, &normal) || !bytes_equal(normal, key.text))
        return corrupt();
    *out = (struct pending){ key, (uint32_t)*user, key_hash(key.kind, key.text) };
    slots_prefetch(&graph->index, out->hash);
    return ok();
}

static struct err add_key(struct identity_graph *graph, const struct pending *it)
{
    if (graph->users[it->user].key_count == IDENTITY_KEYS_MAX ||
        key_find(graph, it->key.kind, it->key.text, it->hash) != KEY_NONE)
        return corrupt();
    struct err err = keys_reserve(graph, 1, it->key.text.len);
    if (err.code)
        return err;
    (void)key_add(graph, it->key.kind, it->key.text, it->hash, it->user);
    return ok();
}

/* In groups: the index of a large graph is in no cache, so the probes of a group are started before
 * any of them is waited for. */
static struct err load_keys(struct identity_graph *graph, struct reader *from)
{
    enum { GROUP = 32 };
    struct pending pending[GROUP];
    uint64_t count = reader_varint(from);
    if (count > reader_left(from) / KEY_BYTES_MIN || count >= KEY_NONE)
        return corrupt();
    struct err err = keys_reserve(graph, (uint32_t)count, 0);
    if (err.code)
        return err;
    int64_t user = 0;
    for (uint64_t done = 0; done < count;) {
        uint32_t group = count - done < GROUP ? (uint32_t)(count - done) : GROUP;
        for (uint32_t i = 0; i < group && !err.code; i++)
            err = read_key(graph, from, &user, &pending[i]);
        for (uint32_t i = 0; i < group && !err.code; i++)
            err = add_key(graph, &pending[i]);
        if (err.code)
            return err;
        done += group;
    }
    return ok();
}

static struct err load_tombstones(struct identity_graph *graph, struct reader *from)
{
    uint64_t count = reader_varint(from);
    if (count > reader_left(from) / DIGEST_BYTES)
        return corrupt();
    for (uint64_t i = 0; i < count; i++) {
        uint32_t number = 0;
        bool is_new = false;
        struct err err =
            intern_put(graph->tombstones, reader_take(from, DIGEST_BYTES), &number, &is_new);
        if (err.code)
            return err;
        if (!is_new)
            return corrupt();
    }
    return ok();
}

static struct err load_all(struct identity_graph *graph, struct reader *from)
{
    if (!bytes_equal(reader_take(from, magic.len), magic) || reader_u8(from) != VERSION)
        return err_new(ERR_CORRUPT, "identity: not a state of this version");
    uint8_t check[DIGEST_BYTES];
    key_check(graph, check);
    struct bytes saved_check = reader_take(from, DIGEST_BYTES);
    if (from->is_failed)
        return corrupt();
    if (!bytes_equal(saved_check, bytes_of(check, sizeof check)))
        return err_new(ERR_INVALID, "identity: the tombstones have another key");
    struct err err = load_users(graph, from);
    if (!err.code)
        err = load_keys(graph, from);
    if (!err.code)
        err = load_tombstones(graph, from);
    if (err.code)
        return err;
    return reader_err(from, true);
}

struct err identity_load(struct bytes from, struct identity_config config,
                         struct identity_graph **out)
{
    struct identity_graph *graph = NULL;
    struct err err = identity_new(config, &graph);
    if (err.code)
        return err;
    struct reader reader = reader_of(from);
    err = load_all(graph, &reader);
    if (err.code) {
        identity_free(graph);
        return err;
    }
    *out = graph;
    return ok();
}

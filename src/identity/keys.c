/*
 * keys.c - keys: their normal form, their index, and each user's list of them.
 *
 * Keys are numbered as they first appear, and a user's list is in the order of these numbers
 * whatever way the keys came to it: so the list of a merged user doesn't depend on the order of the
 * merges. Numbers of forgotten keys aren't used again before the next load.
 */
#include "identity/identity_internal.h"

#include <stdlib.h>

/* --- normal form ------------------------------------------------------------- */

static bool is_space(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static struct bytes trimmed(struct bytes text)
{
    while (text.len > 0 && is_space(text.ptr[0]))
        text = bytes_of(text.ptr + 1, text.len - 1);
    while (text.len > 0 && is_space(text.ptr[text.len - 1]))
        text.len--;
    return text;
}

static size_t email_normal(struct bytes text, uint8_t *room)
{
    text = trimmed(text);
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.ptr[i];
        room[i] = c >= 'A' && c <= 'Z' ? (uint8_t)(c + 'a' - 'A') : c;
    }
    return text.len;
}

/* Digits, behind a + if there's one in front; 0: it's no phone number. */
static size_t phone_normal(struct bytes text, uint8_t *room)
{
    size_t len = 0;
    size_t digits = 0;
    text = trimmed(text);
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.ptr[i];
        if (c >= '0' && c <= '9') {
            room[len++] = c;
            digits++;
        } else if (c == '+' && len == 0) {
            room[len++] = c;
        } else if (!is_space(c) && !strchr("-.()/", c)) {
            return 0;
        }
    }
    return digits > 0 ? len : 0;
}

bool identity_normal(struct identity_key key, uint8_t room[IDENTITY_TEXT_MAX],
                     struct bytes *text_out)
{
    struct bytes text = key.text;
    if (text.len == 0 || text.len > IDENTITY_TEXT_MAX)
        return false;
    switch (key.kind) {
    case IDENTITY_IDENTITY:
    case IDENTITY_DEVICE:
        break;
    case IDENTITY_EMAIL:
        text = bytes_of(room, email_normal(text, room));
        break;
    case IDENTITY_PHONE:
        text = bytes_of(room, phone_normal(text, room));
        break;
    default:
        return false;
    }
    *text_out = text;
    return text.len > 0;
}

bool identity_key_is_valid(struct identity_key key)
{
    uint8_t room[IDENTITY_TEXT_MAX];
    struct bytes text;
    return identity_normal(key, room, &text);
}

/* --- the index ------------------------------------------------------------------ */

uint32_t key_hash(enum identity_kind kind, struct bytes text)
{
    return (uint32_t)hash_bytes(text) ^ (uint32_t)kind * UINT32_C(0x9e3779b1);
}

uint32_t key_find(const struct identity_graph *graph, enum identity_kind kind, struct bytes text,
                  uint32_t hash)
{
    uint32_t at = slots_start(&graph->index, hash);
    uint32_t number = 0;
    while (slots_next(&graph->index, hash, &at, &number)) {
        const struct key *key = &graph->keys[number];
        if (key_kind(key) == kind && bytes_equal(key_text(graph, key), text))
            return number;
    }
    return KEY_NONE;
}

/* An array with room for `needed` items, or NULL with the old one still good. */
static void *grown(void *items, uint32_t *cap, uint64_t needed, size_t size)
{
    if (items && needed <= *cap)
        return items;
    uint64_t wanted = *cap ? *cap : 16;
    while (wanted < needed)
        wanted += wanted / 2;
    if (wanted > UINT32_MAX)
        wanted = UINT32_MAX;
    void *more = realloc(items, wanted * size);
    if (more)
        *cap = (uint32_t)wanted;
    return more;
}

struct err users_reserve(struct identity_graph *graph, uint32_t count)
{
    uint64_t needed = (uint64_t)graph->user_count + count;
    if (needed >= USER_NONE)
        return err_new(ERR_LIMIT, "identity: too many users");
    struct user *users = grown(graph->users, &graph->user_cap, needed, sizeof *users);
    if (!users)
        return err_new(ERR_NOMEM, "identity: user");
    graph->users = users;
    return ok();
}

static struct err text_reserve(struct identity_graph *graph, size_t bytes)
{
    assert(bytes <= BLOCK_BYTES);
    uint64_t room = (uint64_t)graph->block_count << BLOCK_BITS;
    if (graph->text_end + bytes <= room)
        return ok();
    uint8_t **blocks =
        grown(graph->blocks, &graph->block_cap, (uint64_t)graph->block_count + 1, sizeof *blocks);
    if (!blocks)
        return err_new(ERR_NOMEM, "identity: text");
    graph->blocks = blocks;
    uint8_t *block = malloc(BLOCK_BYTES);
    if (!block)
        return err_new(ERR_NOMEM, "identity: text");
    graph->blocks[graph->block_count++] = block;
    graph->text_end = room; /* what was left of the old block is too small */
    return ok();
}

struct err keys_reserve(struct identity_graph *graph, uint32_t count, size_t text_bytes)
{
    uint64_t needed = (uint64_t)graph->key_count + count;
    if (needed >= KEY_NONE)
        return err_new(ERR_LIMIT, "identity: too many keys");
    struct key *keys = grown(graph->keys, &graph->key_cap, needed, sizeof *keys);
    if (!keys)
        return err_new(ERR_NOMEM, "identity: key");
    graph->keys = keys;
    if (!slots_reserve(&graph->index, count))
        return err_new(ERR_NOMEM, "identity: key");
    return text_reserve(graph, text_bytes);
}

/* --- a user's keys ------------------------------------------------------------------ */

static void list_add(struct identity_graph *graph, uint32_t number, struct user *user)
{
    struct key *key = &graph->keys[number];
    uint32_t before = KEY_NONE;
    if (user->last_key != KEY_NONE && user->last_key < number) {
        before = user->last_key;
    } else {
        for (uint32_t i = user->first_key; i != KEY_NONE && i < number; i = graph->keys[i].next)
            before = i;
    }
    uint32_t *link = before == KEY_NONE ? &user->first_key : &graph->keys[before].next;
    key->next = *link;
    *link = number;
    if (key->next == KEY_NONE)
        user->last_key = number;
    user->key_count++;
    user->flags |= (uint8_t)(1 << key_kind(key));
}

static void list_remove(struct identity_graph *graph, uint32_t number, struct user *user)
{
    uint32_t before = KEY_NONE;
    uint32_t *link = &user->first_key;
    while (*link != number) {
        assert(*link != KEY_NONE);
        before = *link;
        link = &graph->keys[before].next;
    }
    *link = graph->keys[number].next;
    if (user->last_key == number)
        user->last_key = before;
    user->key_count--;
    user->flags &= USER_IS_ERASED;
    for (uint32_t i = user->first_key; i != KEY_NONE; i = graph->keys[i].next)
        user->flags |= (uint8_t)(1 << key_kind(&graph->keys[i]));
}

uint32_t key_add(struct identity_graph *graph, enum identity_kind kind, struct bytes text,
                 uint32_t hash, uint32_t user)
{
    uint32_t number = graph->key_count++;
    uint64_t offset = graph->text_end;
    graph->keys[number] = (struct key){
        .where = offset << 14 | (uint64_t)kind << 11 | text.len,
        .user = user,
    };
    memcpy(graph->blocks[offset >> BLOCK_BITS] + (offset & (BLOCK_BYTES - 1)), text.ptr, text.len);
    graph->text_end += text.len;
    slots_add(&graph->index, hash, number);
    list_add(graph, number, &graph->users[user]);
    return number;
}

void key_move(struct identity_graph *graph, uint32_t number, uint32_t user)
{
    struct key *key = &graph->keys[number];
    list_remove(graph, number, &graph->users[key->user]);
    key->user = user;
    list_add(graph, number, &graph->users[user]);
}

void key_forget(struct identity_graph *graph, uint32_t number)
{
    struct key *key = &graph->keys[number];
    struct bytes text = key_text(graph, key);
    slots_remove(&graph->index, key_hash(key_kind(key), text), number);
    list_remove(graph, number, &graph->users[key->user]);
    uint64_t offset = key->where >> 14;
    memset(graph->blocks[offset >> BLOCK_BITS] + (offset & (BLOCK_BYTES - 1)), 0, text.len);
    key->user = USER_NONE;
}

void keys_unite(struct identity_graph *graph, uint32_t from, uint32_t into)
{
    struct user *source = &graph->users[from];
    struct user *target = &graph->users[into];
    uint32_t a = target->first_key;
    uint32_t b = source->first_key;
    uint32_t *link = &target->first_key;
    uint32_t last = KEY_NONE;

    for (uint32_t i = b; i != KEY_NONE; i = graph->keys[i].next)
        graph->keys[i].user = into;
    while (a != KEY_NONE || b != KEY_NONE) {
        uint32_t *older = a < b ? &a : &b; /* KEY_NONE is the largest */
        last = *older;
        *older = graph->keys[last].next;
        *link = last;
        link = &graph->keys[last].next;
    }
    *link = KEY_NONE;
    target->last_key = last;
    target->key_count = (uint16_t)(target->key_count + source->key_count);
    target->flags |= source->flags;
    source->first_key = source->last_key = KEY_NONE;
    source->key_count = 0;
    source->flags = 0;
}

void keys_trim(struct identity_graph *graph, uint32_t user)
{
    const struct user *it = &graph->users[user];
    while (it->key_count > IDENTITY_KEYS_MAX) {
        uint32_t oldest = it->first_key;
        for (uint32_t i = oldest; i != KEY_NONE; i = graph->keys[i].next) {
            if (key_kind(&graph->keys[i]) == IDENTITY_DEVICE) {
                oldest = i;
                break;
            }
        }
        key_forget(graph, oldest);
    }
}

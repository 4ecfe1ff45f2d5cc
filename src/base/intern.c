/*
 * intern.c - strings to dense numbers.
 *
 *     slots    open addressing, linear probing, at most 3/4 full: { 32 bits of hash, number + 1 }
 *     strings  by number: where the bytes are
 *     blocks   the bytes, one string behind the other; they never move
 *
 * A probe reads 8 bytes and goes to the string only when 32 bits of hash agree, so a put of a
 * known string costs about three cache lines: slot, string, bytes. Growing needs only the slots.
 */
#include "base/bits.h"
#include "base/hash_internal.h"
#include "base/map.h"

#include <stdlib.h>

enum { SLOTS_MIN = 16, BLOCK_MIN = 1024, BLOCK_MAX = 1 << 18 };

struct slot {
    uint32_t hash;
    uint32_t number_1; /* number + 1; 0: free */
};

struct block {
    struct block *older;
    size_t size; /* with this header */
};

struct intern {
    struct slot *slots;
    size_t mask; /* slots - 1 */
    struct bytes *strings;
    uint32_t count;
    uint32_t cap;
    struct block *block; /* the newest */
    uint8_t *next;       /* room in it */
    size_t room;
    size_t size_bytes; /* of all this */
    size_t limit_bytes;
};

struct err intern_new(size_t limit_bytes, struct intern **out)
{
    struct intern *table = calloc(1, sizeof *table);
    if (!table)
        return err_new(ERR_NOMEM, "intern: new");
    table->slots = calloc(SLOTS_MIN, sizeof *table->slots);
    if (!table->slots) {
        free(table);
        return err_new(ERR_NOMEM, "intern: new");
    }
    table->mask = SLOTS_MIN - 1;
    table->size_bytes = sizeof *table + SLOTS_MIN * sizeof *table->slots;
    table->limit_bytes = limit_bytes;
    *out = table;
    return ok();
}

/* Frees `block` and all older ones. */
static void blocks_free(struct intern *table, struct block *block)
{
    while (block) {
        struct block *older = block->older;
        table->size_bytes -= block->size;
        free(block);
        block = older;
    }
}

void intern_free(struct intern *table)
{
    if (!table)
        return;
    blocks_free(table, table->block);
    free(table->strings);
    free(table->slots);
    free(table);
}

void intern_reset(struct intern *table)
{
    if (table->count)
        memset(table->slots, 0, (table->mask + 1) * sizeof *table->slots);
    table->count = 0;

    struct block *block = table->block;
    if (!block)
        return;
    blocks_free(table, block->older);
    block->older = NULL;
    table->next = (uint8_t *)block + sizeof *block;
    table->room = block->size - sizeof *block;
}

/* Where `text` is, or the free slot where it belongs. */
static inline struct slot *slot_of(const struct intern *table, struct bytes text, uint32_t hash)
{
    for (size_t i = hash & table->mask;; i = (i + 1) & table->mask) {
        struct slot *slot = &table->slots[i];
        if (slot->number_1 == 0)
            return slot;
        if (slot->hash == hash && bytes_equal(table->strings[slot->number_1 - 1], text))
            return slot;
    }
}

/* --- room --------------------------------------------------------------- */

static bool may_take(const struct intern *table, size_t more)
{
    return table->size_bytes <= table->limit_bytes &&
           more <= table->limit_bytes - table->size_bytes;
}

static bool slots_grow(struct intern *table)
{
    size_t count = (table->mask + 1) * 2;
    size_t more = (table->mask + 1) * sizeof(struct slot);
    struct slot *slots = may_take(table, more) ? calloc(count, sizeof *slots) : NULL;
    if (!slots)
        return false;

    for (size_t i = 0; i <= table->mask; i++) {
        struct slot moved = table->slots[i];
        if (moved.number_1 == 0)
            continue;
        size_t to = moved.hash & (count - 1);
        while (slots[to].number_1)
            to = (to + 1) & (count - 1);
        slots[to] = moved;
    }
    free(table->slots);
    table->slots = slots;
    table->mask = count - 1;
    table->size_bytes += more;
    return true;
}

static bool strings_grow(struct intern *table)
{
    uint32_t cap = table->cap ? table->cap : SLOTS_MIN / 2;
    if (table->cap)
        cap = cap > UINT32_MAX / 2 ? UINT32_MAX : cap * 2;
    size_t more = (size_t)(cap - table->cap) * sizeof *table->strings;
    if (!may_take(table, more))
        return false;
    struct bytes *strings = realloc(table->strings, cap * sizeof *strings);
    if (!strings)
        return false;
    table->strings = strings;
    table->cap = cap;
    table->size_bytes += more;
    return true;
}

static bool block_add(struct intern *table, size_t len)
{
    if (len > SIZE_MAX / 2)
        return false;
    size_t needed = len + sizeof(struct block);
    size_t size = table->block ? table->block->size * 2 : BLOCK_MIN;
    if (size > BLOCK_MAX)
        size = BLOCK_MAX;
    if (size < needed || !may_take(table, size))
        size = needed;

    struct block *block = may_take(table, size) ? malloc(size) : NULL;
    if (!block)
        return false;
    block->older = table->block;
    block->size = size;
    table->block = block;
    table->next = (uint8_t *)block + sizeof *block;
    table->room = size - sizeof *block;
    table->size_bytes += size;
    return true;
}

/* Everything that one more string needs. */
static bool make_room(struct intern *table, size_t len)
{
    if (table->count >= (table->mask + 1) / 4 * 3 && !slots_grow(table))
        return false;
    if (table->count == table->cap && !strings_grow(table))
        return false;
    return len <= table->room || block_add(table, len);
}

/* --- the door ----------------------------------------------------------- */

struct err intern_put(struct intern *table, struct bytes text, uint32_t *number_out,
                      bool *is_new_out)
{
    uint32_t hash = (uint32_t)hash_text(text);
    struct slot *slot = slot_of(table, text, hash);
    bool is_new = slot->number_1 == 0;

    if (is_new) {
        if (table->count == UINT32_MAX - 1)
            return err_new(ERR_LIMIT, "intern: too many strings");
        if (!make_room(table, text.len))
            return err_new(ERR_NOMEM, "intern: no room");
        uint8_t *copy = table->next;
        if (text.len) {
            memcpy(copy, text.ptr, text.len);
            table->next += text.len;
            table->room -= text.len;
        }
        table->strings[table->count] = bytes_of(copy, text.len);
        slot = slot_of(table, text, hash); /* the slots may have moved */
        *slot = (struct slot){ .hash = hash, .number_1 = ++table->count };
    }

    *number_out = slot->number_1 - 1;
    if (is_new_out)
        *is_new_out = is_new;
    return ok();
}

bool intern_find(const struct intern *table, struct bytes text, uint32_t *number_out)
{
    const struct slot *slot = slot_of(table, text, (uint32_t)hash_text(text));
    if (slot->number_1 == 0)
        return false;
    *number_out = slot->number_1 - 1;
    return true;
}

struct bytes intern_get(const struct intern *table, uint32_t number)
{
    assert(number < table->count);
    return table->strings[number];
}

uint32_t intern_count(const struct intern *table)
{
    return table->count;
}

size_t intern_size_bytes(const struct intern *table)
{
    return table->size_bytes;
}

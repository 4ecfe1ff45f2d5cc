/*
 * texts.c - the dictionary: strings and lists to numbers, and back.
 *
 * Cells hold numbers. A text lives as long as a cell or a view needs it, and then its number is
 * used again: a property that's new with every visit doesn't fill the memory, and what was erased
 * is gone once the last view that saw it is released.
 *
 * A list is one text as well: how many items (varint), then each one's length (varint) and bytes.
 */
#include "base/map.h"
#include "profile/profile_internal.h"

#include <stdlib.h>

static struct root *root_of(const struct node *node)
{
    return (struct root *)(uintptr_t)node->payload;
}

static struct text_slot *slot_at(const struct node *root, uint64_t number)
{
    return (struct text_slot *)root_of(root)->page[number / TEXT_PAGE]->payload +
           number % TEXT_PAGE;
}

struct text *text_at(const struct texts *texts, uint64_t number)
{
    assert(number < texts->count);
    return atomic_load_explicit(&slot_at(texts->root, number)->text, memory_order_relaxed);
}

uint64_t text_born(const struct texts *texts, const struct text *text)
{
    return atomic_load_explicit(&slot_at(texts->root, text->number)->born, memory_order_relaxed);
}

const struct text *text_seen(const struct node *root, uint64_t number, uint64_t epoch)
{
    struct text_slot *slot = slot_at(root, number);
    uint64_t died = atomic_load_explicit(&slot->died, memory_order_acquire);
    uint64_t born = atomic_load_explicit(&slot->born, memory_order_acquire);
    if (born > epoch || epoch >= died)
        return NULL;
    return atomic_load_explicit(&slot->text, memory_order_relaxed);
}

static uint32_t text_hash(struct bytes bytes, bool is_list)
{
    return (uint32_t)hash_bytes(bytes) ^ (is_list ? UINT32_C(0x9e3779b1) : 0);
}

static struct text *find(const struct texts *texts, struct bytes bytes, bool is_list, uint32_t hash)
{
    uint32_t at = slots_start(&texts->index, hash);
    uint32_t number = 0;
    while (slots_next(&texts->index, hash, &at, &number)) {
        struct text *text = text_at(texts, number);
        if (text->is_list == is_list && bytes_equal(bytes_of(text->bytes, text->len), bytes))
            return text;
    }
    return NULL;
}

/* Room for the number `count`. Views that hold the old root never look at its new pages. */
static bool reserve_number(struct profiles *profiles)
{
    struct texts *texts = &profiles->texts;
    uint32_t page = texts->count / TEXT_PAGE;
    uint32_t cap = texts->root ? root_of(texts->root)->cap : 0;
    if (texts->count == UINT32_MAX)
        return false;
    if (page >= cap) {
        uint32_t wanted = cap ? cap * 2 : 4;
        struct node *root =
            node_new(profiles, sizeof(struct root) + wanted * sizeof(struct node *));
        if (!root)
            return false;
        root_of(root)->cap = wanted;
        if (cap)
            memcpy(root_of(root)->page, root_of(texts->root)->page, cap * sizeof(struct node *));
        node_retire(profiles, texts->root);
        texts->root = root;
    }
    struct node **link = &root_of(texts->root)->page[page];
    if (!*link)
        *link = node_new(profiles, TEXT_PAGE * sizeof(struct text_slot));
    return *link != NULL;
}

static struct text *text_new(struct profiles *profiles, struct bytes bytes, bool is_list,
                             uint32_t hash)
{
    size_t size = sizeof(struct text) + bytes.len;
    struct text *text = malloc(size);
    if (!text)
        return NULL;
    profiles->bytes += size;
    profiles->held += TEXT_BYTES + bytes.len;
    *text = (struct text){ .len = (uint32_t)bytes.len, .hash = hash, .is_list = is_list };
    if (bytes.len)
        memcpy(text->bytes, bytes.ptr, bytes.len);
    return text;
}

struct text *text_put(struct profiles *profiles, struct bytes bytes, bool is_list)
{
    struct texts *texts = &profiles->texts;
    uint32_t hash = text_hash(bytes, is_list);
    struct text *text = find(texts, bytes, is_list, hash);
    if (text) {
        text->refs++;
        return text;
    }
    if (!slots_reserve(&texts->index, 1) || (texts->free == 0 && !reserve_number(profiles)))
        return NULL;
    text = text_new(profiles, bytes, is_list, hash);
    if (!text)
        return NULL;

    text->number = texts->free ? texts->free - 1 : texts->count++;
    struct text_slot *slot = slot_at(texts->root, text->number);
    if (texts->free)
        texts->free = (uint32_t)(uintptr_t)atomic_load_explicit(&slot->text, memory_order_relaxed);
    text->refs = 1;
    atomic_store_explicit(&slot->text, text, memory_order_relaxed);
    atomic_store_explicit(&slot->born, profiles->now, memory_order_release);
    atomic_store_explicit(&slot->died, UINT64_MAX, memory_order_release);
    slots_add(&texts->index, hash, text->number);
    return text;
}

void text_free(struct profiles *profiles, struct text *text)
{
    struct texts *texts = &profiles->texts;
    struct text_slot *slot = slot_at(texts->root, text->number);
    atomic_store_explicit(&slot->text, (struct text *)(uintptr_t)texts->free, memory_order_relaxed);
    texts->free = text->number + 1;
    profiles->bytes -= sizeof *text + text->len;
    free(text);
}

void text_drop(struct profiles *profiles, uint64_t number)
{
    struct text *text = text_at(&profiles->texts, number);
    assert(text->refs > 0);
    if (--text->refs > 0)
        return;
    profiles->held -= TEXT_BYTES + text->len;
    struct text_slot *slot = slot_at(profiles->texts.root, number);
    slots_remove(&profiles->texts.index, text->hash, text->number);
    atomic_store_explicit(&slot->died, profiles->now, memory_order_release);
    uint64_t born = atomic_load_explicit(&slot->born, memory_order_relaxed);
    if (!profiles->newest || born > profiles->newest->epoch) {
        text_free(profiles, text);
        return;
    }
    text->next = profiles->newest->retired_texts;
    profiles->newest->retired_texts = text;
}

void texts_free(struct profiles *profiles)
{
    struct texts *texts = &profiles->texts;
    for (uint32_t i = 0; i < texts->count; i++) {
        struct text_slot *slot = slot_at(texts->root, i);
        if (atomic_load_explicit(&slot->died, memory_order_relaxed) == UINT64_MAX)
            free(atomic_load_explicit(&slot->text, memory_order_relaxed));
    }
    for (uint32_t i = 0; texts->root && i < root_of(texts->root)->cap; i++)
        node_free(profiles, root_of(texts->root)->page[i]);
    node_free(profiles, texts->root);
    slots_done(&texts->index);
}

/* --- lists --------------------------------------------------------------------------- */

struct err list_start(struct profiles *profiles, struct list *out)
{
    arena_reset(&profiles->scratch);
    out->count = 0;
    out->limit = profiles->limits.list_items;
    out->items = arena_alloc(&profiles->scratch, out->limit * sizeof *out->items);
    return out->items ? ok() : err_new(ERR_NOMEM, "profile: list");
}

void profile_list_add(struct list *list, struct bytes item)
{
    for (uint32_t i = 0; i < list->count; i++)
        if (bytes_equal(list->items[i], item))
            return;
    if (list->count == list->limit) {
        memmove(list->items, list->items + 1, (list->count - 1) * sizeof *list->items);
        list->count--;
    }
    list->items[list->count++] = item;
}

bool list_read(struct bytes saved, struct list *list)
{
    struct reader reader = reader_of(saved);
    uint64_t count = reader_varint(&reader);
    for (uint64_t i = 0; i < count && !reader.is_failed; i++) {
        struct bytes item = reader_prefixed(&reader);
        if (item.len > 0)
            profile_list_add(list, item);
    }
    return !reader_err(&reader, true).code;
}

struct err list_put(struct profiles *profiles, const struct list *list, struct text **out)
{
    *out = NULL;
    if (list->count == 0)
        return ok();
    struct buf *buf = &profiles->list;
    buf_reset(buf);
    buf_put_varint(buf, list->count);
    for (uint32_t i = 0; i < list->count; i++)
        buf_put_prefixed(buf, list->items[i]);
    struct err err = buf_err(buf);
    if (err.code)
        return err;
    *out = text_put(profiles, buf_bytes(buf), true);
    return *out ? ok() : err_new(ERR_NOMEM, "profile: list");
}

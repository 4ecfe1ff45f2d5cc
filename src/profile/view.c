/* view.c - one moment of all columns, for any thread to read. */
#include "profile/profile_internal.h"

#include <stdlib.h>

struct err profile_view_take(struct profiles *profiles, struct profile_view **out)
{
    size_t numbers = (size_t)profiles->property_cap * sizeof *profiles->column_of;
    size_t roots = (size_t)profiles->column_count * sizeof(struct node *);
    size_t head = (sizeof(struct profile_view) + numbers + 15) & ~(size_t)15;
    struct profile_view *view = malloc(head + roots);
    if (!view)
        return err_new(ERR_NOMEM, "profile: view");

    *view = (struct profile_view){
        .epoch = profiles->now++,
        .older = profiles->newest,
        .profiles = profiles,
        .users = profiles->users,
        .property_cap = profiles->property_cap,
        .text_count = profiles->texts.count,
        .activity = profiles->activity.root,
        .text_root = profiles->texts.root,
        .roots = (struct node **)((uint8_t *)view + head),
    };
    if (numbers)
        memcpy(view->column_of, profiles->column_of, numbers);
    for (uint32_t i = 0; i < profiles->column_count; i++)
        view->roots[i] = profiles->columns[i].tree.root;
    if (view->older)
        view->older->newer = view;
    profiles->newest = view;
    *out = view;
    return ok();
}

/* What only this view and older ones could see: on to the next older one, or free. */
static void hand_on(struct profiles *profiles, struct profile_view *view)
{
    struct profile_view *older = view->older;
    while (view->retired) {
        struct node *node = view->retired;
        view->retired = node->next;
        if (older && node->born <= older->epoch) {
            node->next = older->retired;
            older->retired = node;
        } else {
            node_free(profiles, node);
        }
    }
    while (view->retired_texts) {
        struct text *text = view->retired_texts;
        view->retired_texts = text->next;
        if (older && text_born(&profiles->texts, text) <= older->epoch) {
            text->next = older->retired_texts;
            older->retired_texts = text;
        } else {
            text_free(profiles, text);
        }
    }
}

void profile_view_release(struct profile_view *view)
{
    if (!view)
        return;
    struct profiles *profiles = view->profiles;
    hand_on(profiles, view);
    if (view->older)
        view->older->newer = view->newer;
    if (view->newer)
        view->newer->older = view->older;
    else
        profiles->newest = view->older;
    free(view);
}

/* --- reading ---------------------------------------------------------------------------- */

uint32_t profile_view_users(const struct profile_view *view)
{
    return view->users;
}

static const struct node *root_for(const struct profile_view *view, uint32_t property)
{
    if (property >= view->property_cap || view->column_of[property] == 0)
        return NULL;
    return view->roots[view->column_of[property] - 1];
}

/* NULL: the number has no text in this view. */
static const struct text *text_in(const struct profile_view *view, uint64_t number)
{
    if (number >= view->text_count)
        return NULL;
    return text_seen(view->text_root, number, view->epoch);
}

struct bytes profile_text(const struct profile_view *view, uint64_t number)
{
    const struct text *text = text_in(view, number);
    return text && !text->is_list ? bytes_of(text->bytes, text->len) : bytes_of(NULL, 0);
}

uint32_t profile_text_count(const struct profile_view *view)
{
    return view->text_count;
}

uint32_t profile_list(const struct profile_view *view, uint64_t number, struct arena *arena,
                      const struct bytes **items_out)
{
    const struct text *text = text_in(view, number);
    *items_out = NULL;
    if (!text || !text->is_list)
        return 0;
    struct reader reader = reader_of(bytes_of(text->bytes, text->len));
    uint64_t count = reader_varint(&reader);
    struct bytes *items = arena_alloc(arena, count * sizeof *items);
    for (uint64_t i = 0; items && i < count; i++)
        items[i] = reader_prefixed(&reader);
    *items_out = items;
    return (uint32_t)count;
}

struct value profile_get(const struct profile_view *view, uint32_t user, uint32_t property,
                         struct arena *arena)
{
    const struct leaf *leaf = tree_leaf(root_for(view, property), user / PROFILE_CHUNK);
    struct value value = { .type = VALUE_NULL };
    uint8_t type = VALUE_NULL;
    uint64_t bits = 0;
    if (!leaf_get(leaf, user % PROFILE_CHUNK, &type, &bits))
        return value;
    value.type = (enum value_type)type;
    switch (value.type) {
    case VALUE_BOOL:
        value.boolean = bits != 0;
        break;
    case VALUE_INT:
    case VALUE_TIME:
        value.integer = (int64_t)bits;
        break;
    case VALUE_REAL:
        memcpy(&value.real, &bits, sizeof bits);
        break;
    case VALUE_STRING:
        value.string = profile_text(view, bits);
        break;
    case VALUE_LIST:
        value.count = profile_list(view, bits, arena, &value.items);
        if (!value.items)
            value.count = 0; /* the arena has no room: its owner will notice */
        break;
    case VALUE_NULL:
    case VALUE_TYPES:
        break;
    }
    return value;
}

struct profile_chunk profile_chunk(const struct profile_view *view, uint32_t property,
                                   uint32_t first, struct profile_chunk_room *room)
{
    assert(first % PROFILE_CHUNK == 0);
    const struct leaf *leaf = tree_leaf(root_for(view, property), first / PROFILE_CHUNK);
    if (!leaf)
        return (struct profile_chunk){ NULL, NULL };
    if (leaf->is_dense)
        return (struct profile_chunk){ dense_of(leaf)->types, dense_of(leaf)->values };
    const struct sparse *sparse = sparse_of(leaf);
    memset(room->types, VALUE_NULL, sizeof room->types);
    for (uint32_t i = 0; i < sparse->count; i++) {
        const struct sparse_cell *cell = &sparse->cell[i];
        room->types[cell->index] = cell->type;
        room->values[cell->index] = cell->value;
    }
    return (struct profile_chunk){ room->types, room->values };
}

struct profile_activity profile_activity(const struct profile_view *view, uint32_t user)
{
    const struct activity *leaf = tree_leaf(view->activity, user / ACTIVITY_LEAF);
    if (!leaf)
        return (struct profile_activity){ 0 };
    leaf += user % ACTIVITY_LEAF;
    return (struct profile_activity){ leaf->first_ms, leaf->last_ms, leaf->events_seen >> 1 };
}

uint32_t profile_properties(const struct profile_view *view, uint32_t user, uint32_t *properties,
                            uint32_t max)
{
    uint32_t count = 0;
    for (uint32_t property = 0; property < view->property_cap; property++) {
        uint8_t type = VALUE_NULL;
        uint64_t bits = 0;
        const struct leaf *leaf = tree_leaf(root_for(view, property), user / PROFILE_CHUNK);
        if (!leaf_get(leaf, user % PROFILE_CHUNK, &type, &bits) || type == VALUE_NULL)
            continue;
        if (count < max)
            properties[count] = property;
        count++;
    }
    return count;
}

/*
 * cow.c - memory that a writer and any number of views share.
 *
 * Time is counted in epochs: taking a view ends one. A node carries the epoch in which it was made.
 * The writer may change a node in place as long as no view is as young as it; else it makes a copy,
 * and the old node goes to the list of the youngest view: that one sees it, and older ones might.
 * When a view is released, each node of its list goes to the next older view if that sees it, and is
 * freed if not. So nothing is counted, nothing is locked, taking a view costs a copy of a few root
 * pointers, and the work of a release is in proportion to what was changed since.
 */
#include "profile/profile_internal.h"

#include <stdlib.h>

static struct node *node_of(struct profiles *profiles, struct node *node, size_t size)
{
    if (!node)
        return NULL;
    node->born = profiles->now;
    node->next = NULL;
    node->size = size;
    profiles->bytes += sizeof *node + size;
    return node;
}

struct node *node_new(struct profiles *profiles, size_t size)
{
    return node_of(profiles, calloc(1, sizeof(struct node) + size), size);
}

void node_free(struct profiles *profiles, struct node *node)
{
    if (!node)
        return;
    profiles->bytes -= sizeof *node + node->size;
    free(node);
}

static bool is_shared(const struct profiles *profiles, const struct node *node)
{
    return profiles->newest && node->born <= profiles->newest->epoch;
}

void node_retire(struct profiles *profiles, struct node *node)
{
    if (!node)
        return;
    if (!is_shared(profiles, node)) {
        node_free(profiles, node);
        return;
    }
    node->next = profiles->newest->retired;
    profiles->newest->retired = node;
}

struct node *node_edit(struct profiles *profiles, struct node **link)
{
    struct node *node = *link;
    if (!is_shared(profiles, node))
        return node;
    struct node *copy = node_of(profiles, malloc(sizeof *copy + node->size), node->size);
    if (!copy)
        return NULL;
    memcpy(copy->payload, node->payload, node->size);
    *link = copy;
    node_retire(profiles, node);
    return copy;
}

/* --- trees --------------------------------------------------------------------------- */

static struct root *root_of(struct node *node)
{
    return (struct root *)node->payload;
}

static struct node **leaves_of(struct node *page)
{
    return (struct node **)page->payload;
}

const void *tree_leaf(const struct node *root, uint32_t leaf)
{
    uint32_t page = leaf / PAGE_SLOTS;
    if (!root)
        return NULL;
    const struct root *it = (const struct root *)root->payload;
    if (page >= it->cap || !it->page[page])
        return NULL;
    const struct node *found = leaves_of(it->page[page])[leaf % PAGE_SLOTS];
    return found ? found->payload : NULL;
}

static bool root_reserve(struct profiles *profiles, struct tree *tree, uint32_t page)
{
    uint32_t cap = tree->root ? root_of(tree->root)->cap : 0;
    if (page < cap)
        return node_edit(profiles, &tree->root) != NULL;
    uint32_t wanted = cap ? cap : 4;
    while (wanted <= page)
        wanted *= 2;
    struct node *node = node_new(profiles, sizeof(struct root) + wanted * sizeof(struct node *));
    if (!node)
        return false;
    root_of(node)->cap = wanted;
    if (cap)
        memcpy(root_of(node)->page, root_of(tree->root)->page, cap * sizeof(struct node *));
    node_retire(profiles, tree->root);
    tree->root = node;
    return true;
}

/* The node at *link, made if there's none, for writing. */
static struct node *node_make(struct profiles *profiles, struct node **link, size_t size)
{
    if (*link)
        return node_edit(profiles, link);
    *link = node_new(profiles, size);
    return *link;
}

struct node **tree_link(struct profiles *profiles, struct tree *tree, uint32_t leaf)
{
    uint32_t page = leaf / PAGE_SLOTS;
    if (!root_reserve(profiles, tree, page))
        return NULL;
    struct node *at =
        node_make(profiles, &root_of(tree->root)->page[page], PAGE_SLOTS * sizeof(struct node *));
    return at ? &leaves_of(at)[leaf % PAGE_SLOTS] : NULL;
}

void *tree_edit(struct profiles *profiles, struct tree *tree, uint32_t leaf, size_t size)
{
    struct node **link = tree_link(profiles, tree, leaf);
    struct node *at = link ? node_make(profiles, link, size) : NULL;
    return at ? at->payload : NULL;
}

const void *tree_next(const struct node *root, struct tree_cursor *cursor, uint32_t *leaf_out)
{
    if (!root)
        return NULL;
    const struct root *it = (const struct root *)root->payload;
    while (cursor->next / PAGE_SLOTS < it->cap) {
        uint32_t leaf = cursor->next;
        struct node *page = it->page[leaf / PAGE_SLOTS];
        if (!page) {
            cursor->next = (leaf / PAGE_SLOTS + 1) * PAGE_SLOTS;
            continue;
        }
        cursor->next = leaf + 1;
        struct node *found = leaves_of(page)[leaf % PAGE_SLOTS];
        if (found) {
            *leaf_out = leaf;
            return found->payload;
        }
    }
    return NULL;
}

void tree_free(struct profiles *profiles, struct tree *tree)
{
    if (!tree->root)
        return;
    struct root *root = root_of(tree->root);
    for (uint32_t i = 0; i < root->cap; i++) {
        if (!root->page[i])
            continue;
        for (uint32_t j = 0; j < PAGE_SLOTS; j++)
            node_free(profiles, leaves_of(root->page[i])[j]);
        node_free(profiles, root->page[i]);
    }
    node_free(profiles, tree->root);
    tree->root = NULL;
}

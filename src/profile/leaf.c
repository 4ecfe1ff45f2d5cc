/*
 * leaf.c - one property of 1024 users.
 *
 * A leaf begins sparse: a sorted array of the users who have the property. With more than 128 of
 * them it becomes dense, for good: arrays of types and values with a place for each user, as scans
 * like them. A property that one user in a thousand has costs some 200 bytes a leaf instead of 17 KiB.
 *
 * The stamps of a dense leaf lie aside: views don't read them, so copies needn't copy them.
 */
#include "profile/profile_internal.h"

#include <stdlib.h>

enum { SPARSE_MIN = 4 };

static size_t sparse_size(uint32_t cap)
{
    return sizeof(struct sparse) + cap * sizeof(struct sparse_cell);
}

/* Where the index is, or where it belongs. */
static uint32_t sparse_find(const struct sparse *sparse, uint32_t index)
{
    uint32_t low = 0;
    uint32_t high = sparse->count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (sparse->cell[middle].index < index)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool sparse_has(const struct sparse *sparse, uint32_t at, uint32_t index)
{
    return at < sparse->count && sparse->cell[at].index == index;
}

/* NULL: it isn't there. */
static const struct sparse_cell *sparse_get(const struct leaf *leaf, uint32_t index)
{
    const struct sparse *sparse = sparse_of(leaf);
    uint32_t at = sparse_find(sparse, index);
    return sparse_has(sparse, at, index) ? &sparse->cell[at] : NULL;
}

bool leaf_get(const struct leaf *leaf, uint32_t index, uint8_t *type_out, uint64_t *value_out)
{
    if (!leaf)
        return false;
    const struct dense *dense = dense_of(leaf);
    if (dense) {
        *type_out = dense->types[index];
        *value_out = dense->values[index];
        return true;
    }
    const struct sparse_cell *cell = sparse_get(leaf, index);
    if (!cell)
        return false;
    *type_out = cell->type;
    *value_out = cell->value;
    return true;
}

uint64_t leaf_stamp(const struct leaf *leaf, uint32_t index)
{
    if (!leaf)
        return 0;
    if (leaf->is_dense)
        return dense_of(leaf)->stamps[index];
    const struct sparse_cell *cell = sparse_get(leaf, index);
    return cell ? cell->stamp : 0;
}

static bool dense_next(const struct dense *dense, uint32_t *index, struct cell_copy *out)
{
    uint32_t i = *index;
    while (i < PROFILE_CHUNK && dense->stamps[i] == 0)
        i++;
    *index = i + 1;
    if (i >= PROFILE_CHUNK)
        return false;
    *out = (struct cell_copy){ i, (enum value_type)dense->types[i], dense->values[i],
                               dense->stamps[i] };
    return true;
}

bool leaf_next(const struct leaf *leaf, uint32_t *index, struct cell_copy *out)
{
    if (leaf->is_dense)
        return dense_next(dense_of(leaf), index, out);
    const struct sparse *sparse = sparse_of(leaf);
    uint32_t at = sparse_find(sparse, *index);
    while (at < sparse->count && sparse->cell[at].stamp == 0)
        at++;
    if (at == sparse->count)
        return false;
    const struct sparse_cell *cell = &sparse->cell[at];
    *out = (struct cell_copy){ cell->index, (enum value_type)cell->type, cell->value, cell->stamp };
    *index = cell->index + 1u;
    return true;
}

void leaf_done(struct profiles *profiles, const struct leaf *leaf)
{
    const struct dense *dense = dense_of(leaf);
    if (!dense)
        return;
    profiles->bytes -= PROFILE_CHUNK * sizeof *dense->stamps;
    free(dense->stamps);
}

/* --- writing ------------------------------------------------------------------------------ */

/* A dense leaf with the cells of a sparse one; NULL: no memory. */
static struct node *dense_from(struct profiles *profiles, const struct sparse *sparse)
{
    uint64_t *stamps = calloc(PROFILE_CHUNK, sizeof *stamps);
    struct node *node = stamps ? node_new(profiles, sizeof(struct dense)) : NULL;
    if (!node) {
        free(stamps);
        return NULL;
    }
    profiles->bytes += PROFILE_CHUNK * sizeof *stamps;
    struct dense *dense = (struct dense *)node->payload;
    dense->leaf.is_dense = true;
    dense->stamps = stamps;
    for (uint32_t i = 0; i < sparse->count; i++) {
        const struct sparse_cell *cell = &sparse->cell[i];
        stamps[cell->index] = cell->stamp;
        dense->values[cell->index] = cell->value;
        dense->types[cell->index] = cell->type;
    }
    return node;
}

/* A sparse leaf with the cells of an older one (which may be NULL). */
static struct node *sparse_from(struct profiles *profiles, const struct sparse *old, uint32_t cap)
{
    struct node *node = node_new(profiles, sparse_size(cap));
    if (!node)
        return NULL;
    struct sparse *sparse = (struct sparse *)node->payload;
    sparse->cap = cap;
    if (!old)
        return node;
    sparse->count = old->count;
    memcpy(sparse->cell, old->cell, old->count * sizeof *old->cell);
    return node;
}

/* A leaf with room for one more cell at *link, for writing. */
static struct node *make_room(struct profiles *profiles, struct node **link)
{
    const struct sparse *old = *link ? (const struct sparse *)(*link)->payload : NULL;
    struct node *node = NULL;
    if (old && old->count < old->cap)
        return node_edit(profiles, link);
    if (old && old->cap >= SPARSE_MAX)
        node = dense_from(profiles, old);
    else
        node = sparse_from(profiles, old, old ? old->cap * 2 : SPARSE_MIN);
    if (!node)
        return NULL;
    node_retire(profiles, *link);
    *link = node;
    return node;
}

static struct cell cell_of_dense(struct dense *dense, uint32_t index)
{
    return (struct cell){ &dense->types[index], &dense->values[index], &dense->stamps[index] };
}

/* Where the cell is, made if it's missing: there's room. */
static struct cell cell_of_sparse(struct sparse *sparse, uint32_t index)
{
    uint32_t at = sparse_find(sparse, index);
    struct sparse_cell *cell = &sparse->cell[at];
    if (!sparse_has(sparse, at, index)) {
        assert(sparse->count < sparse->cap);
        memmove(cell + 1, cell, (sparse->count - at) * sizeof *cell);
        *cell = (struct sparse_cell){ .index = (uint16_t)index };
        sparse->count++;
    }
    return (struct cell){ &cell->type, &cell->value, &cell->stamp };
}

struct cell leaf_edit(struct profiles *profiles, struct node **link, uint32_t index)
{
    const struct leaf *leaf = *link ? (const struct leaf *)(*link)->payload : NULL;
    bool has_cell = leaf && (leaf->is_dense || sparse_get(leaf, index));
    struct node *node = has_cell ? node_edit(profiles, link) : make_room(profiles, link);
    if (!node)
        return (struct cell){ NULL, NULL, NULL };
    if (((struct leaf *)node->payload)->is_dense)
        return cell_of_dense((struct dense *)node->payload, index);
    return cell_of_sparse((struct sparse *)node->payload, index);
}

/* profile_internal.h - nodes, trees, texts and cells; seen by the module and its tests only. */
#ifndef PROFILE_PROFILE_INTERNAL_H
#define PROFILE_PROFILE_INTERNAL_H

#include "base/slots.h"
#include "profile/profile.h"

#include <stdatomic.h>

enum {
    PAGE_SLOTS = 256,
    ACTIVITY_LEAF = 64, /* users */
    TEXT_PAGE = 1024,
    COLUMNS_MAX = 65535,
    PROPERTIES_MAX = 1 << 18,
    LIST_ITEMS_DEFAULT = 100,
    LIST_ITEMS_MAX = 10000,
    STRING_BYTES_DEFAULT = 8192,
    STRING_BYTES_MAX = 1 << 20,
    SPARSE_MAX = 128, /* cells: with more a leaf is dense */
    /* What things count for the limit. */
    CELL_BYTES = 24,
    TEXT_BYTES = 72, /* beside its length */
};

/* --- cow.c: nodes that views may share ------------------------------------------- */

/* What is born at an epoch is in the views of that epoch and later ones. */
struct node {
    uint64_t born;
    struct node *next; /* in a view's list of what was retired */
    size_t size;       /* of what follows */
    _Alignas(16) uint8_t payload[];
};

/* Two levels of pointers above leaves of equal size. */
struct root {
    uint32_t cap;
    struct node *page[]; /* [cap]: each payload is PAGE_SLOTS pointers to leaves */
};
struct tree {
    struct node *root; /* NULL: empty */
};

/* NULL: no memory. Cleared. */
struct node *node_new(struct profiles *profiles, size_t size);
/* No longer the writer's: freed when the last view that sees it is released. */
void node_retire(struct profiles *profiles, struct node *node);
void node_free(struct profiles *profiles, struct node *node);
/* The leaf's payload; NULL: there's none. */
const void *tree_leaf(const struct node *root, uint32_t leaf);
/* The node at *link, for writing: copied if a view sees it. NULL: no memory. */
struct node *node_edit(struct profiles *profiles, struct node **link);
/* Where the leaf's node is or will be, for writing; NULL: no memory. */
struct node **tree_link(struct profiles *profiles, struct tree *tree, uint32_t leaf);
/* The same for the writer: made if missing, copied if a view sees it; NULL: no memory, and nothing
 * that can be seen has changed. */
void *tree_edit(struct profiles *profiles, struct tree *tree, uint32_t leaf, size_t size);
/* Visits the leaves that are there, ascending. */
struct tree_cursor {
    uint32_t next;
};
const void *tree_next(const struct node *root, struct tree_cursor *cursor, uint32_t *leaf_out);
void tree_free(struct profiles *profiles, struct tree *tree);

/* --- texts.c: the dictionary -------------------------------------------------------- */

struct text {
    uint32_t refs; /* cells of the writer that hold it */
    uint32_t len;
    uint32_t hash;
    uint32_t number;
    struct text *next; /* in a view's list of what was retired */
    bool is_list;
    uint8_t bytes[];
};

/* Where a number's text is. Readers may ask for any number while the writer gives it to another
 * text, so they look at the epochs first, `died` before `born` (the writer sets `born` before
 * `died`), and follow the pointer only if their view sees the text. */
struct text_slot {
    _Atomic uint64_t born;
    _Atomic uint64_t died;       /* UINT64_MAX: it's in use; 0: never was */
    _Atomic(struct text *) text; /* free: the next free number + 1, as a pointer */
};

struct texts {
    struct node *root; /* pages of TEXT_PAGE slots; the pages are never copied */
    uint32_t count;    /* numbers ever used */
    uint32_t free;     /* the first free number + 1 */
    struct slots index;
};

struct text *text_at(const struct texts *texts, uint64_t number);
/* One more reference to this text, made if it's new; NULL: no memory. */
struct text *text_put(struct profiles *profiles, struct bytes bytes, bool is_list);
uint64_t text_born(const struct texts *texts, const struct text *text);
/* For readers: the text that the number has at an epoch; NULL: none. */
const struct text *text_seen(const struct node *root, uint64_t number, uint64_t epoch);
void text_drop(struct profiles *profiles, uint64_t number);
void text_free(struct profiles *profiles, struct text *text);
void texts_free(struct profiles *profiles);

/* A stamp says when a cell was last written: the number of the operator; 0: never. With this bit, the
 * number was made by increments alone, so those of two users add up. */
#define GATHERED (UINT64_C(1) << 63)

/* --- leaf.c: one column's cells of PROFILE_CHUNK users ----------------------------------- */

struct sparse_cell {
    uint64_t value;
    uint64_t stamp;
    uint16_t index; /* of the user in the chunk */
    uint8_t type;
};

/* The head of both kinds of leaf. */
struct leaf {
    bool is_dense;
};

/* While only some of the users have the property: cells by index. */
struct sparse {
    struct leaf leaf;
    uint32_t count;
    uint32_t cap;
    struct sparse_cell cell[];
};

struct dense {
    struct leaf leaf;
    /* The writer's own: copies of the leaf share them, and no reader looks. */
    uint64_t *stamps;
    uint64_t values[PROFILE_CHUNK];
    uint8_t types[PROFILE_CHUNK];
};

static inline const struct sparse *sparse_of(const struct leaf *leaf)
{
    return leaf->is_dense ? NULL : (const struct sparse *)leaf;
}
static inline const struct dense *dense_of(const struct leaf *leaf)
{
    return leaf->is_dense ? (const struct dense *)leaf : NULL;
}

/* Where a user's value is. */
struct cell {
    uint8_t *type;
    uint64_t *value;
    uint64_t *stamp;
};

/* A cell as it is read. */
struct cell_copy {
    uint32_t index;
    enum value_type type;
    uint64_t value;
    uint64_t stamp; /* for the writer only */
};

/* False: the leaf (which may be NULL) has no such cell. Without the stamp: for readers. */
bool leaf_get(const struct leaf *leaf, uint32_t index, uint8_t *type_out, uint64_t *value_out);
uint64_t leaf_stamp(const struct leaf *leaf, uint32_t index);
/* The written cells, ascending, from *index on; false at the end. For the writer. */
bool leaf_next(const struct leaf *leaf, uint32_t *index, struct cell_copy *out);
/* The cell for writing, made if it's missing. NULL members: no memory. */
struct cell leaf_edit(struct profiles *profiles, struct node **link, uint32_t index);
void leaf_done(struct profiles *profiles, const struct leaf *leaf);

/* --- profile.c ------------------------------------------------------------------------- */

struct activity {
    int64_t first_ms;
    int64_t last_ms;
    uint64_t events_seen; /* events << 1 | 1 for who was seen */
};

struct column {
    uint32_t property;
    struct tree tree;
};

struct profiles {
    struct profile_limits limits;
    uint64_t now;    /* the epoch of what changes; a view has the one before it */
    uint64_t writes; /* applied operators: the stamps */
    uint32_t users;  /* one past the highest seen */
    struct profile_view *newest;
    struct column *columns;
    uint32_t column_count;
    uint32_t column_cap;
    uint16_t *column_of; /* by property: where in columns, + 1 */
    uint32_t property_cap;
    struct tree activity;
    struct texts texts;
    size_t bytes;  /* in memory, with what views keep */
    uint64_t held; /* what the cells and texts come to, for the limit: the same on every run */
    struct arena scratch;
    struct buf list;
};

struct profile_view {
    uint64_t epoch;
    struct profile_view *older;
    struct profile_view *newer;
    struct node *retired;
    struct text *retired_texts;
    struct profiles *profiles;
    uint32_t users;
    uint32_t property_cap;
    uint32_t text_count;
    struct node *activity;
    struct node *text_root;
    struct node **roots; /* by column */
    uint16_t column_of[];
};

static inline bool type_is_text(uint8_t type)
{
    return type == VALUE_STRING || type == VALUE_LIST;
}
static inline struct column *column_find(const struct profiles *profiles, uint32_t property)
{
    if (property >= profiles->property_cap || profiles->column_of[property] == 0)
        return NULL;
    return &profiles->columns[profiles->column_of[property] - 1];
}
MUST_CHECK struct err column_make(struct profiles *profiles, uint32_t property,
                                  struct column **out);
MUST_CHECK struct err cell_edit(struct profiles *profiles, struct column *column, uint32_t user,
                                struct cell *out);
/* Replaces what the cell holds; a text in `value` is referenced already. */
void cell_set(struct profiles *profiles, const struct cell *cell, enum value_type type,
              uint64_t value, uint64_t stamp);
MUST_CHECK struct err activity_edit(struct profiles *profiles, uint32_t user,
                                    struct activity **out);

/* A list being changed; its memory is the scratch arena's. */
struct list {
    struct bytes *items;
    uint32_t count;
    uint32_t limit;
};
/* An empty list, and an empty scratch. */
MUST_CHECK struct err list_start(struct profiles *profiles, struct list *out);
/* At the end, unless it's there; past the limit the oldest goes. */
void profile_list_add(struct list *list, struct bytes item);
/* The items of a saved list, each to profile_list_add. False: it's no list. */
bool list_read(struct bytes saved, struct list *list);
/* The list as a text, referenced. NULL text: it's empty. */
MUST_CHECK struct err list_put(struct profiles *profiles, const struct list *list,
                               struct text **out);

#endif

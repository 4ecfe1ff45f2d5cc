/* identity_internal.h - the graph's tables; seen by the module and its tests only. */
#ifndef IDENTITY_IDENTITY_INTERNAL_H
#define IDENTITY_IDENTITY_INTERNAL_H

#include "base/map.h"
#include "base/slots.h"
#include "identity/identity.h"

#define KEY_NONE UINT32_C(0xffffffff)

enum {
    KINDS = 5, /* one past the last kind */
    BLOCK_BITS = 18,
    BLOCK_BYTES = 1 << BLOCK_BITS,
    DIGEST_BYTES = 16,
    /* Flags of a user, beside 1 << kind. */
    USER_IS_ERASED = 1,
    USER_IS_MERGED = 32, /* into another */
    SEARCH_BUDGET = 2000000,
};

struct key {
    uint64_t where; /* offset of the text << 14 | kind << 11 | length */
    uint32_t user;  /* living; USER_NONE: the key was forgotten */
    uint32_t next;  /* of the same user, younger */
};

struct user {
    uint32_t parent; /* towards the root of its tree; itself: it's the root */
    /* A living user's keys, oldest first; a root that was merged away: the survivor of its tree. */
    uint32_t first_key;
    uint32_t last_key;
    uint32_t ring; /* the next of all that became one person; itself: it's alone */
    uint16_t key_count;
    uint8_t flags; /* 1 << kind of the keys it has; USER_IS_… */
    uint8_t rank;
};

struct identity_graph {
    struct identity_config config;
    struct user *users;
    uint32_t user_count;
    uint32_t user_cap;
    struct key *keys;
    uint32_t key_count;
    uint32_t key_cap;
    struct slots index; /* keys by (kind, text) */
    uint8_t **blocks;   /* texts; one never straddles two */
    uint32_t block_count;
    uint32_t block_cap;
    uint64_t text_end; /* offset behind the last text */
    struct intern *tombstones;
};

/* --- digest.c --------------------------------------------------------------- */

/* SipHash-2-4 with 128 bits of output. */
void identity_siphash(const uint64_t key[2], struct bytes text, uint8_t digest[DIGEST_BYTES]);

/* --- keys.c ------------------------------------------------------------------ */

/* The form in which keys compare, in `room` or the key's own bytes; false: it can't be a key. */
bool identity_normal(struct identity_key key, uint8_t room[IDENTITY_TEXT_MAX],
                     struct bytes *text_out);
static inline enum identity_kind key_kind(const struct key *key)
{
    return (enum identity_kind)(key->where >> 11 & 7);
}
static inline struct bytes key_text(const struct identity_graph *graph, const struct key *key)
{
    uint64_t offset = key->where >> 14;
    return bytes_of(graph->blocks[offset >> BLOCK_BITS] + (offset & (BLOCK_BYTES - 1)),
                    key->where & 2047);
}
uint32_t key_hash(enum identity_kind kind, struct bytes text);
/* KEY_NONE: it isn't there. The text is normal. */
uint32_t key_find(const struct identity_graph *graph, enum identity_kind kind, struct bytes text,
                  uint32_t hash);
/* Room for so many keys, with so many bytes of text in all (no more than a block). */
MUST_CHECK struct err keys_reserve(struct identity_graph *graph, uint32_t count, size_t text_bytes);
MUST_CHECK struct err users_reserve(struct identity_graph *graph, uint32_t count);
/* Room was reserved. The new key is the youngest of its user. */
uint32_t key_add(struct identity_graph *graph, enum identity_kind kind, struct bytes text,
                 uint32_t hash, uint32_t user);
void key_move(struct identity_graph *graph, uint32_t number, uint32_t user);
/* The key leads nowhere from now on, and its text is gone. */
void key_forget(struct identity_graph *graph, uint32_t number);
/* All keys of `from` become those of `into`, by age. */
void keys_unite(struct identity_graph *graph, uint32_t from, uint32_t into);
/* Forgets the oldest devices, then the oldest keys, of a user who has more than allowed. */
void keys_trim(struct identity_graph *graph, uint32_t user);

#endif

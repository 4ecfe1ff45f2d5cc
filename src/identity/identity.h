/*
 * identity.h - the identity graph: any identity of a person leads to one user.
 *
 * Users are numbered densely from 0 as they first appear. Keys are (kind, text): identity, device,
 * email, phone. After a merge the merged user's keys lead to the survivor; the old
 * number stays known and leads there too. Changed only by the thread that applies the log. Not
 * synchronised: see engine.
 */
#ifndef IDENTITY_IDENTITY_H
#define IDENTITY_IDENTITY_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"

#define USER_NONE UINT32_C(0xffffffff)

/* Written to disk; the same numbers as command.h's ref_kind. */
enum identity_kind {
    IDENTITY_IDENTITY = 1,
    IDENTITY_DEVICE = 2,
    IDENTITY_EMAIL = 3,
    IDENTITY_PHONE = 4
};

struct identity_key {
    enum identity_kind kind;
    struct bytes text;
};

struct identity_graph;

struct identity_config {
    /* At a login with an identity that exists, on a device whose user is anonymous: does the
     * anonymous history join that user? (First logins of a new identity always join.) */
    bool does_join_existing;
    /* Keys the digests of erased identities; the project's secret. The same for its whole life. */
    uint64_t erase_key[2];
};

MUST_CHECK struct err identity_new(struct identity_config config, struct identity_graph **out);
void identity_free(struct identity_graph *graph);
/* Its erase_key may differ only while nobody has been erased. */
void identity_configure(struct identity_graph *graph, struct identity_config config);

struct identity_result {
    uint32_t user; /* the (surviving) user of the keys */
    bool is_new;   /* made by this call */
    /* A merge that this call decided: `from` has become part of `user`. The caller moves what
     * belongs to it (events, profile). USER_NONE: none. */
    uint32_t merged_from;
};

/* Can this be a key: not empty and not too long, a phone only digits (and what is usually written
 * between them)? Email and phone compare in their normal form, which this takes care of. */
bool identity_key_is_valid(struct identity_key key);

/* A hint that these texts, of keys of this kind, will be named soon: what finding them reads is fetched,
 * for all of them at once. users_out: to whom each leads, as far as that's seen from the index;
 * USER_NONE: nobody. At most IDENTITY_WARM_MAX. */
enum { IDENTITY_WARM_MAX = 32 };
void identity_warm(const struct identity_graph *graph, enum identity_kind kind,
                   const struct bytes *texts, uint32_t count, uint32_t *users_out);

/* Finds or makes the user of these keys (1 to IDENTITY_RESOLVE_MAX) and attaches the keys that are
 * new. The rules are in docs/modules/identity.md. ERR_INVALID: a key that isn't valid. ERR_LIMIT:
 * no more numbers. On failure nothing has changed. */
enum { IDENTITY_TEXT_MAX = 1024, IDENTITY_RESOLVE_MAX = 8, IDENTITY_KEYS_MAX = 256 };
MUST_CHECK struct err identity_resolve(struct identity_graph *graph,
                                       const struct identity_key *keys, uint32_t count,
                                       struct identity_result *out);
/* USER_NONE: nobody. Follows merges. */
uint32_t identity_find(const struct identity_graph *graph, struct identity_key key);
/* The text under any kind, tried in the order identity, email, phone, device. */
uint32_t identity_find_any(const struct identity_graph *graph, struct bytes text);

/* Two different living users become one. The survivor is the one with the smaller number, whichever
 * was named first, so that the result doesn't depend on the order of merges. ERR_INVALID: they're
 * the same, or one isn't living. */
MUST_CHECK struct err identity_merge(struct identity_graph *graph, uint32_t a, uint32_t b,
                                     uint32_t *survivor_out, uint32_t *merged_out);
/* The user that a number leads to; itself when it was never merged; USER_NONE: no such number. After
 * an erasure it's the erased number. */
uint32_t identity_survivor(const struct identity_graph *graph, uint32_t user);
/* A number that was made, not merged away, not erased. */
bool identity_is_living(const struct identity_graph *graph, uint32_t user);
/* Forgets all keys of a living user and leaves their tombstones; the number stays used. Resolving a
 * key that was erased makes a new user: whoever must not let that happen asks identity_is_erased
 * first. ERR_INVALID: the user isn't living. */
MUST_CHECK struct err identity_erase(struct identity_graph *graph, uint32_t user);
/* A tombstone: the key belonged to an erased user (kept as a keyed digest, not as text). */
bool identity_is_erased(const struct identity_graph *graph, struct identity_key key);

/* Users ever numbered, merged and erased ones too. */
uint32_t identity_user_count(const struct identity_graph *graph);
bool identity_is_anonymous(const struct identity_graph *graph, uint32_t user);

/* The keys of a living user, oldest first; at most `max` are written to `keys`; returns how many
 * there are, never more than IDENTITY_KEYS_MAX. The texts live until the next change. */
uint32_t identity_keys(const struct identity_graph *graph, uint32_t user, struct identity_key *keys,
                       uint32_t max);
/* The text to show for a user: latest identity, else email, phone, device. */
struct bytes identity_display(const struct identity_graph *graph, uint32_t user);
/* The users that were merged into this one, directly or not, in no order; at most max written;
 * returns how many there are. */
uint32_t identity_merged_into(const struct identity_graph *graph, uint32_t user, uint32_t *from,
                              uint32_t max);
/* Living users one of whose keys contains the text (case-insensitive ASCII), smallest numbers first,
 * from the one behind `after` on (USER_NONE: from the start). Bounded: it stops after some two
 * million keys; *more_out: it stopped there, or at max, before the end. */
uint32_t identity_search(const struct identity_graph *graph, struct bytes text, uint32_t after,
                         uint32_t *users, uint32_t max, bool *more_out);

void identity_save(const struct identity_graph *graph, struct buf *to);
MUST_CHECK struct err identity_load(struct bytes from, struct identity_config config,
                                    struct identity_graph **out);

#endif

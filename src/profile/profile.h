/*
 * profile.h - the properties of users, in columns, with snapshots for readers.
 *
 * One writer (the thread that applies the log). A column is (property, all types mixed): chunks of
 * 1024 users, each a type per user and a 64-bit value (strings and lists: numbers into the
 * project's dictionary); a chunk where few have the property is packed. A view shares chunks with the writer, who copies a chunk before changing
 * one that a view holds: readers never wait, and see one position.
 */
#ifndef PROFILE_PROFILE_H
#define PROFILE_PROFILE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"
#include "base/value.h"

struct profiles;

/* 0 takes the default. */
struct profile_limits {
    uint32_t list_items;   /* 100: the oldest item goes first */
    uint32_t string_bytes; /* 8192 for an item or scalar; faces may allow less */
    size_t memory_bytes;   /* 8 GiB, counted as 24 a value, 72 and its length a distinct text */
};

MUST_CHECK struct err profiles_new(struct profile_limits limits, struct profiles **out);
void profiles_free(struct profiles *profiles);

/* Numbers as in command.h's property_op. */
enum profile_op {
    PROFILE_SET = 0,
    PROFILE_ADD = 1,
    PROFILE_REMOVE = 2,
    PROFILE_INCR = 3,
    PROFILE_DELETE = 4
};

/*
 * Applies one operator. Rules (CleverTap's): $add to a missing property
 * makes a list, to a scalar promotes it (its text first); items are unique strings, past the limit
 * the oldest goes; $remove from a scalar promotes, then removes; an empty list deletes; $incr on a
 * missing one starts from 0, on a string is ignored (*ignored_out true), as is what breaks a limit.
 * ERR_LIMIT: too many properties.
 */
MUST_CHECK struct err profile_apply(struct profiles *profiles, uint32_t user, uint32_t property,
                                    enum profile_op op, const struct value *value,
                                    bool *ignored_out);
/* What `from` has moves to `into`: what was written later wins, lists are united, counters add up
 * (docs/modules/profile.md). `from` ends empty. After ERR_NOMEM it may be half done; again is fine. */
MUST_CHECK struct err profile_merge(struct profiles *profiles, uint32_t from, uint32_t into);
MUST_CHECK struct err profile_clear(struct profiles *profiles, uint32_t user);

/* First and last activity, and how many events: kept for every user that had an event or a profile
 * update. */
MUST_CHECK struct err profile_saw(struct profiles *profiles, uint32_t user, int64_t time_ms,
                                  uint32_t events);
/* A hint that profile_saw comes for this user: fetches what it changes. */
void profile_warm(const struct profiles *profiles, uint32_t user);

void profiles_save(const struct profiles *profiles, struct buf *to);
MUST_CHECK struct err profiles_load(struct bytes from, struct profile_limits limits,
                                    struct profiles **out);
size_t profiles_memory_bytes(const struct profiles *profiles);

/* --- reading ------------------------------------------------------------------- */

/* A view of all columns at one moment. Taken and released under the writer's lock (see engine);
 * read freely from any thread in between. Taking one is cheap: references to chunk tables. */
struct profile_view;
MUST_CHECK struct err profile_view_take(struct profiles *profiles, struct profile_view **out);
void profile_view_release(struct profile_view *view);

uint32_t profile_view_users(const struct profile_view *view); /* one past the highest user seen */
/* The value; VALUE_NULL when absent. Strings and list items live as long as the view (lists: in the
 * arena). */
struct value profile_get(const struct profile_view *view, uint32_t user, uint32_t property,
                         struct arena *arena);

/* A column for scans: 1024 users from `first` (a multiple of 1024). NULLs: nobody there has it. */
enum { PROFILE_CHUNK = 1024 };
struct profile_chunk {
    const uint8_t *types; /* enum value_type per user; VALUE_NULL: absent */
    const uint64_t
        *values; /* bool, int64, double, time as bits; string, list: its number; where the
                               type is VALUE_NULL: anything */
};
/* Where a chunk is unpacked that's kept packed, since few have the property. The caller's; nothing in
 * it counts before. */
struct profile_chunk_room {
    uint8_t types[PROFILE_CHUNK];
    uint64_t values[PROFILE_CHUNK];
};
/* Lives as long as the view and the room. */
struct profile_chunk profile_chunk(const struct profile_view *view, uint32_t property,
                                   uint32_t first, struct profile_chunk_room *room);
/* The text of a string number, of this view; empty for numbers that no string has. */
struct bytes profile_text(const struct profile_view *view, uint64_t number);
/* The items of a list number; how many. The array is the arena's, or NULL when it has no room. */
uint32_t profile_list(const struct profile_view *view, uint64_t number, struct arena *arena,
                      const struct bytes **items_out);
uint32_t profile_text_count(const struct profile_view *view); /* numbers are below this */

struct profile_activity {
    int64_t first_ms;
    int64_t last_ms;
    uint64_t events; /* 0: none seen */
};
struct profile_activity profile_activity(const struct profile_view *view, uint32_t user);

/* All properties that the user has, by property number; returns how many; at most max written. */
uint32_t profile_properties(const struct profile_view *view, uint32_t user, uint32_t *properties,
                            uint32_t max);

#endif

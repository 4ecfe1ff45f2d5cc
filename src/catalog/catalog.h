/*
 * catalog.h - the names of a project: event types, properties, and what types they hold.
 *
 * Written by the thread that applies the log, in log order, so numbers are the same on every run.
 * Not synchronised: the owner (engine) holds a lock around changes; reads beside a change need it
 * too. Numbers are dense from 0 and never reused; names live as long as the catalog.
 */
#ifndef CATALOG_CATALOG_H
#define CATALOG_CATALOG_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"
#include "base/value.h"

#define CATALOG_NONE UINT32_C(0xffffffff)

/* What a project accepts. Zero-initialised members take the defaults of catalog_limits_default. */
struct catalog_limits {
    uint32_t event_types;          /* 4096 */
    uint32_t properties;           /* 16384 names, events and profiles together */
    uint32_t profile_properties;   /* 1024 */
    uint32_t properties_per_event; /* 256 */
    uint32_t items_per_event;      /* 256 */
    uint32_t name_bytes;           /* 120 */
    uint32_t string_bytes;         /* 512 for CleverTap's face; 8192 for the native one */
    uint32_t list_items;           /* 100 */
    uint32_t identity_bytes;       /* 1024 */
};
struct catalog_limits catalog_limits_default(void);

/* What a catalog can hold at all; a project's own limits (above) are kept by those who put. */
enum { CATALOG_EVENTS_MAX = 1 << 16, CATALOG_PROPERTIES_MAX = 1 << 18 };

struct catalog;
MUST_CHECK struct err catalog_new(struct catalog **out);
void catalog_free(struct catalog *catalog);
/* As it is now; nothing is shared. */
MUST_CHECK struct err catalog_copy(const struct catalog *catalog, struct catalog **out);

/* --- event types ------------------------------------------------------------------ */

/* Finds or makes. is_folded: a type whose name is equal without case and white space is the same,
 * the first of them made; otherwise names compare exactly. ERR_INVALID: a name that's empty or
 * longer than 1024 bytes. ERR_LIMIT. is_new_out may be NULL. */
MUST_CHECK struct err catalog_event_put(struct catalog *catalog, struct bytes name, bool is_folded,
                                        uint32_t *event_out, bool *is_new_out);
/* CATALOG_NONE: there's none. "Charged/Items" finds the items of Charged, unless there's an event
 * type of just that name. */
uint32_t catalog_event_find(const struct catalog *catalog, struct bytes name, bool is_folded);
struct bytes catalog_event_name(const struct catalog *catalog, uint32_t event);
uint32_t catalog_event_count(const struct catalog *catalog);
/* The type that holds the items of this one ("Charged/Items"), made on demand; CATALOG_NONE when it
 * was never needed. And back: CATALOG_NONE when it's no child. */
MUST_CHECK struct err catalog_event_items_put(struct catalog *catalog, uint32_t event,
                                              uint32_t *child_out);
uint32_t catalog_event_items(const struct catalog *catalog, uint32_t event);
uint32_t catalog_event_parent(const struct catalog *catalog, uint32_t event);
void catalog_event_set_discarded(struct catalog *catalog, uint32_t event, bool is_discarded);
bool catalog_event_is_discarded(const struct catalog *catalog, uint32_t event);

/* --- properties --------------------------------------------------------------------- */

/* One number per name, shared by events and profiles; names compare exactly. ERR_INVALID,
 * ERR_LIMIT: as for events. */
MUST_CHECK struct err catalog_property_put(struct catalog *catalog, struct bytes name,
                                           uint32_t *property_out);
uint32_t catalog_property_find(const struct catalog *catalog, struct bytes name);
struct bytes catalog_property_name(const struct catalog *catalog, uint32_t property);
uint32_t catalog_property_count(const struct catalog *catalog);

/* --- what was seen -------------------------------------------------------------------- */

/* An event of this type happened. */
void catalog_saw_event(struct catalog *catalog, uint32_t event, int64_t time_ms);
/* It had this property with a value of this type. Quick when it's known already. */
MUST_CHECK struct err catalog_saw_property(struct catalog *catalog, uint32_t event,
                                           uint32_t property, enum value_type type);
MUST_CHECK struct err catalog_saw_profile_property(struct catalog *catalog, uint32_t property,
                                                   enum value_type type);

struct catalog_event_stats {
    uint64_t count;
    int64_t first_ms;
    int64_t last_ms;
};
struct catalog_event_stats catalog_event_stats(const struct catalog *catalog, uint32_t event);

/* The properties seen with an event type, in order of first sight; `types` has bit (1 << type). The
 * array lives until the next catalog_saw_… of the same event type (or profile). */
struct catalog_column {
    uint32_t property;
    uint32_t types;
    uint64_t count;
};
uint32_t catalog_event_columns(const struct catalog *catalog, uint32_t event,
                               const struct catalog_column **columns_out);
uint32_t catalog_profile_columns(const struct catalog *catalog,
                                 const struct catalog_column **columns_out);
/* Was it seen with any profile? */
bool catalog_is_profile_property(const struct catalog *catalog, uint32_t property);

/* --- help ------------------------------------------------------------------------------ */

/* The known name nearest to a wrong one (edit distance without case and white space, no more than a
 * third of its length; the more frequent of two); empty: none. Properties: of those seen with any
 * event, or with profiles. */
struct bytes catalog_nearest_event(const struct catalog *catalog, struct bytes name);
struct bytes catalog_nearest_property(const struct catalog *catalog, struct bytes name,
                                      bool is_profile);

/* --- checkpoint --------------------------------------------------------------------------- */

void catalog_save(const struct catalog *catalog, struct buf *to);
/* Into a new catalog. ERR_CORRUPT. */
MUST_CHECK struct err catalog_load(struct bytes from, struct catalog **out);

#endif

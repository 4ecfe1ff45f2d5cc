/*
 * catalog.c - names and numbers, and what was seen with them.
 *
 *     event_names   exact name → where in event_of_name its type's number is
 *     folded_names  folded name → the same for the first type made with it
 *     events        by number: name, kin, counts, and its table of columns
 *     properties    exact name → number, the intern's own
 *
 * A type of items ("Charged/Items") has a number but stands in no table of names: it's found through
 * its parent, and a client's event of that very name is another type, which goes before it.
 *
 * catalog_saw_property runs for every property of every event. Events of one type mostly carry the
 * same properties in the same order, so a table of columns first tries the one behind the last hit;
 * then its index.
 *
 * The checkpoint (docs/formats/catalog-state.md) is read as if an enemy had written it.
 */
#include "catalog/catalog.h"

#include "base/arena.h"
#include "base/map.h"
#include "base/slots.h"
#include "catalog/catalog_internal.h"

#include <stdlib.h>

enum {
    VERSION = 1,
    NAMES_BYTES_MAX = 1 << 29,
    STATE_BYTES_MAX = 1 << 30,
    TYPE_BITS = (1 << VALUE_TYPES) - 1 - (1 << VALUE_NULL),
    ON_EVENT = 1,
    ON_PROFILE = 2,
    IS_DISCARDED = 1,
};

static const struct bytes magic = { (const uint8_t *)"KCAT", 4 };
static const struct bytes items_suffix = { (const uint8_t *)"/Items", 6 };
static const struct bytes folded_items_suffix = { (const uint8_t *)"/items", 6 };

struct columns {
    struct catalog_column *column;
    uint32_t count;
    uint32_t cap;
    uint32_t guess; /* where the next hit is likely */
    struct slots index;
};

struct event {
    struct bytes name;
    uint32_t parent; /* CATALOG_NONE: it's no type of items */
    uint32_t items;  /* CATALOG_NONE: it has none */
    bool is_discarded;
    struct catalog_event_stats stats;
    struct columns columns;
};

/* A growing array of numbers, one per string of an intern. */
struct numbers {
    uint32_t *of;
    uint32_t cap;
};

struct catalog {
    struct intern *event_names;
    struct numbers event_of_name;
    struct intern *folded_names;
    struct numbers event_of_folded;
    struct event *events;
    uint32_t event_count;
    uint32_t event_cap;
    struct intern *properties;
    uint8_t *property_use; /* ON_… */
    uint32_t property_cap;
    struct columns profile;
    struct arena child_names;
};

struct catalog_limits catalog_limits_default(void)
{
    return (struct catalog_limits){
        .event_types = 4096,
        .properties = 16384,
        .profile_properties = 1024,
        .properties_per_event = 256,
        .items_per_event = 256,
        .name_bytes = 120,
        .string_bytes = 8192,
        .list_items = 100,
        .identity_bytes = 1024,
    };
}

/* --- making and unmaking -------------------------------------------------- */

struct err catalog_new(struct catalog **out)
{
    struct catalog *catalog = calloc(1, sizeof *catalog);
    if (!catalog)
        return err_new(ERR_NOMEM, "catalog: new");
    arena_init(&catalog->child_names, NAMES_BYTES_MAX);

    struct err err = intern_new(NAMES_BYTES_MAX, &catalog->event_names);
    if (!err.code)
        err = intern_new(NAMES_BYTES_MAX, &catalog->folded_names);
    if (!err.code)
        err = intern_new(NAMES_BYTES_MAX, &catalog->properties);
    if (err.code) {
        catalog_free(catalog);
        return err;
    }
    *out = catalog;
    return ok();
}

static void columns_done(struct columns *columns)
{
    free(columns->column);
    slots_done(&columns->index);
}

void catalog_free(struct catalog *catalog)
{
    if (!catalog)
        return;
    for (uint32_t i = 0; i < catalog->event_count; i++)
        columns_done(&catalog->events[i].columns);
    columns_done(&catalog->profile);
    intern_free(catalog->event_names);
    intern_free(catalog->folded_names);
    intern_free(catalog->properties);
    arena_done(&catalog->child_names);
    free(catalog->event_of_name.of);
    free(catalog->event_of_folded.of);
    free(catalog->events);
    free(catalog->property_use);
    free(catalog);
}

struct err catalog_copy(const struct catalog *catalog, struct catalog **out)
{
    struct buf state;
    buf_init(&state, STATE_BYTES_MAX);
    catalog_save(catalog, &state);
    struct err err = buf_err(&state);
    if (!err.code)
        err = catalog_load(buf_bytes(&state), out);
    buf_done(&state);
    return err;
}

/* --- growing --------------------------------------------------------------- */

/* An array with room for `needed` items, or NULL with the old one still good. New room is zero. */
static void *grown(void *items, uint32_t *cap, uint32_t needed, size_t size)
{
    if (needed <= *cap)
        return items;
    uint32_t wanted = *cap ? *cap : 8;
    while (wanted < needed)
        wanted *= 2;
    uint8_t *more = realloc(items, wanted * size);
    if (!more)
        return NULL;
    memset(more + *cap * size, 0, (wanted - *cap) * size);
    *cap = wanted;
    return more;
}

static bool numbers_reserve(struct numbers *numbers, uint32_t count)
{
    uint32_t *of = grown(numbers->of, &numbers->cap, count, sizeof *of);
    if (!of)
        return false;
    numbers->of = of;
    return true;
}

static struct err reserve_event(struct catalog *catalog)
{
    if (catalog->event_count >= CATALOG_EVENTS_MAX)
        return err_new(ERR_LIMIT, "catalog: too many event types");
    struct event *events =
        grown(catalog->events, &catalog->event_cap, catalog->event_count + 1, sizeof *events);
    if (!events)
        return err_new(ERR_NOMEM, "catalog: event type");
    catalog->events = events;
    return ok();
}

static uint32_t add_event(struct catalog *catalog, struct bytes name, uint32_t parent)
{
    catalog->events[catalog->event_count] = (struct event){
        .name = name,
        .parent = parent,
        .items = CATALOG_NONE,
    };
    return catalog->event_count++;
}

static struct err check_name(struct bytes name)
{
    if (name.len == 0 || name.len > CATALOG_NAME_MAX)
        return err_new(ERR_INVALID, "catalog: length of a name");
    return ok();
}

static const struct event *event_at(const struct catalog *catalog, uint32_t event)
{
    assert(event < catalog->event_count);
    return &catalog->events[event];
}

/* --- event types ------------------------------------------------------------ */

static struct err make_event(struct catalog *catalog, struct bytes name, struct bytes folded,
                             uint32_t *event_out)
{
    struct err err = reserve_event(catalog);
    if (err.code)
        return err;
    if (!numbers_reserve(&catalog->event_of_name, intern_count(catalog->event_names) + 1) ||
        !numbers_reserve(&catalog->event_of_folded, intern_count(catalog->folded_names) + 1))
        return err_new(ERR_NOMEM, "catalog: event type");

    /* A name that leads nowhere, left behind when the second put fails, does no harm: the next try
     * finds it and goes on. */
    uint32_t event = catalog->event_count;
    uint32_t at = 0;
    bool is_new = false;
    err = intern_put(catalog->event_names, name, &at, &is_new);
    if (err.code)
        return err;
    if (is_new)
        catalog->event_of_name.of[at] = CATALOG_NONE;
    uint32_t folded_at = 0;
    err = intern_put(catalog->folded_names, folded, &folded_at, &is_new);
    if (err.code)
        return err;
    if (is_new)
        catalog->event_of_folded.of[folded_at] = event;
    catalog->event_of_name.of[at] = event;
    *event_out = add_event(catalog, intern_get(catalog->event_names, at), CATALOG_NONE);
    return ok();
}

static uint32_t find_event(const struct catalog *catalog, struct bytes name, bool is_folded)
{
    uint32_t at = 0;
    if (name.len == 0 || name.len > CATALOG_NAME_MAX)
        return CATALOG_NONE;
    if (!is_folded)
        return intern_find(catalog->event_names, name, &at) ? catalog->event_of_name.of[at]
                                                            : CATALOG_NONE;

    uint8_t folded[CATALOG_NAME_MAX];
    struct bytes text = bytes_of(folded, catalog_fold(name, folded));
    return intern_find(catalog->folded_names, text, &at) ? catalog->event_of_folded.of[at]
                                                         : CATALOG_NONE;
}

static bool has_items_suffix(struct bytes name, bool is_folded)
{
    if (!is_folded)
        return bytes_end_with(name, items_suffix);
    uint8_t folded[CATALOG_NAME_MAX];
    return bytes_end_with(bytes_of(folded, catalog_fold(name, folded)), folded_items_suffix);
}

uint32_t catalog_event_find(const struct catalog *catalog, struct bytes name, bool is_folded)
{
    uint32_t event = find_event(catalog, name, is_folded);
    if (event != CATALOG_NONE || name.len > CATALOG_NAME_MAX || !has_items_suffix(name, is_folded))
        return event;
    size_t len = name.len;
    while (name.ptr[len - 1] != '/')
        len--;
    uint32_t parent = find_event(catalog, bytes_of(name.ptr, len - 1), is_folded);
    return parent == CATALOG_NONE ? CATALOG_NONE : catalog->events[parent].items;
}

struct err catalog_event_put(struct catalog *catalog, struct bytes name, bool is_folded,
                             uint32_t *event_out, bool *is_new_out)
{
    struct err err = check_name(name);
    if (err.code)
        return err;

    uint32_t event = find_event(catalog, name, is_folded);
    bool is_new = event == CATALOG_NONE;
    if (is_new) {
        uint8_t folded[CATALOG_NAME_MAX];
        size_t len = catalog_fold(name, folded);
        err = make_event(catalog, name, bytes_of(folded, len), &event);
        if (err.code)
            return err;
    }
    *event_out = event;
    if (is_new_out)
        *is_new_out = is_new;
    return ok();
}

struct bytes catalog_event_name(const struct catalog *catalog, uint32_t event)
{
    return event_at(catalog, event)->name;
}

uint32_t catalog_event_count(const struct catalog *catalog)
{
    return catalog->event_count;
}

struct err catalog_event_items_put(struct catalog *catalog, uint32_t event, uint32_t *child_out)
{
    const struct event *parent = event_at(catalog, event);
    if (parent->parent != CATALOG_NONE)
        return err_new(ERR_INVALID, "catalog: items of items");
    if (parent->items == CATALOG_NONE) {
        struct err err = reserve_event(catalog);
        if (err.code)
            return err;
        parent = &catalog->events[event];
        struct bytes name =
            arena_printf(&catalog->child_names, "%.*s/Items", BYTES_FMT(parent->name));
        if (!name.ptr)
            return err_new(ERR_NOMEM, "catalog: items");
        uint32_t child = add_event(catalog, name, event);
        catalog->events[event].items = child;
    }
    *child_out = catalog->events[event].items;
    return ok();
}

uint32_t catalog_event_items(const struct catalog *catalog, uint32_t event)
{
    return event_at(catalog, event)->items;
}

uint32_t catalog_event_parent(const struct catalog *catalog, uint32_t event)
{
    return event_at(catalog, event)->parent;
}

void catalog_event_set_discarded(struct catalog *catalog, uint32_t event, bool is_discarded)
{
    assert(event < catalog->event_count);
    catalog->events[event].is_discarded = is_discarded;
}

bool catalog_event_is_discarded(const struct catalog *catalog, uint32_t event)
{
    return event_at(catalog, event)->is_discarded;
}

/* --- properties -------------------------------------------------------------- */

struct err catalog_property_put(struct catalog *catalog, struct bytes name, uint32_t *property_out)
{
    struct err err = check_name(name);
    if (err.code)
        return err;
    if (intern_find(catalog->properties, name, property_out))
        return ok();

    uint32_t count = intern_count(catalog->properties);
    if (count >= CATALOG_PROPERTIES_MAX)
        return err_new(ERR_LIMIT, "catalog: too many properties");
    uint8_t *use = grown(catalog->property_use, &catalog->property_cap, count + 1, 1);
    if (!use)
        return err_new(ERR_NOMEM, "catalog: property");
    catalog->property_use = use;
    return intern_put(catalog->properties, name, property_out, NULL);
}

uint32_t catalog_property_find(const struct catalog *catalog, struct bytes name)
{
    uint32_t property = 0;
    return intern_find(catalog->properties, name, &property) ? property : CATALOG_NONE;
}

struct bytes catalog_property_name(const struct catalog *catalog, uint32_t property)
{
    assert(property < intern_count(catalog->properties));
    return intern_get(catalog->properties, property);
}

uint32_t catalog_property_count(const struct catalog *catalog)
{
    return intern_count(catalog->properties);
}

/* --- what was seen ------------------------------------------------------------- */

void catalog_saw_event(struct catalog *catalog, uint32_t event, int64_t time_ms)
{
    assert(event < catalog->event_count);
    struct catalog_event_stats *stats = &catalog->events[event].stats;
    if (stats->count == 0 || time_ms < stats->first_ms)
        stats->first_ms = time_ms;
    if (stats->count == 0 || time_ms > stats->last_ms)
        stats->last_ms = time_ms;
    stats->count++;
}

static uint32_t property_hash(uint32_t property)
{
    return property * UINT32_C(0x9e3779b1);
}

/* Where the property is; `count` when it isn't. */
static uint32_t columns_find(const struct columns *columns, uint32_t property)
{
    uint32_t hash = property_hash(property);
    uint32_t at = slots_start(&columns->index, hash);
    uint32_t i = 0;
    while (slots_next(&columns->index, hash, &at, &i))
        if (columns->column[i].property == property)
            return i;
    return columns->count;
}

static struct err columns_add(struct columns *columns, uint32_t property)
{
    struct catalog_column *column =
        grown(columns->column, &columns->cap, columns->count + 1, sizeof *column);
    if (!column)
        return err_new(ERR_NOMEM, "catalog: column");
    columns->column = column;
    if (!slots_reserve(&columns->index, 1))
        return err_new(ERR_NOMEM, "catalog: column");
    slots_add(&columns->index, property_hash(property), columns->count);
    columns->column[columns->count++] = (struct catalog_column){ .property = property };
    return ok();
}

static struct err saw(struct catalog *catalog, struct columns *columns, uint32_t property,
                      enum value_type type, uint8_t use)
{
    assert(property < intern_count(catalog->properties));
    assert(type > VALUE_NULL && type < VALUE_TYPES);

    uint32_t i = columns->guess;
    if (i >= columns->count || columns->column[i].property != property) {
        i = columns_find(columns, property);
        if (i == columns->count) {
            struct err err = columns_add(columns, property);
            if (err.code)
                return err;
            catalog->property_use[property] |= use;
        }
    }
    columns->column[i].types |= UINT32_C(1) << type;
    columns->column[i].count++;
    columns->guess = i + 1 < columns->count ? i + 1 : 0;
    return ok();
}

struct err catalog_saw_property(struct catalog *catalog, uint32_t event, uint32_t property,
                                enum value_type type)
{
    assert(event < catalog->event_count);
    return saw(catalog, &catalog->events[event].columns, property, type, ON_EVENT);
}

struct err catalog_saw_profile_property(struct catalog *catalog, uint32_t property,
                                        enum value_type type)
{
    return saw(catalog, &catalog->profile, property, type, ON_PROFILE);
}

struct catalog_event_stats catalog_event_stats(const struct catalog *catalog, uint32_t event)
{
    return event_at(catalog, event)->stats;
}

uint32_t catalog_event_columns(const struct catalog *catalog, uint32_t event,
                               const struct catalog_column **columns_out)
{
    const struct event *it = event_at(catalog, event);
    *columns_out = it->columns.column;
    return it->columns.count;
}

uint32_t catalog_profile_columns(const struct catalog *catalog,
                                 const struct catalog_column **columns_out)
{
    *columns_out = catalog->profile.column;
    return catalog->profile.count;
}

bool catalog_is_profile_property(const struct catalog *catalog, uint32_t property)
{
    return property < intern_count(catalog->properties) &&
           catalog->property_use[property] & ON_PROFILE;
}

/* --- help ------------------------------------------------------------------------ */

/* The search for the nearest of many. */
struct nearest {
    uint8_t wrong[CATALOG_NEAREST_MAX];
    size_t wrong_len; /* 0: nothing can be near */
    struct bytes best;
    uint32_t distance; /* of the best; at first one more than is allowed */
    uint64_t count;
};

static void nearest_start(struct nearest *nearest, struct bytes name)
{
    *nearest = (struct nearest){ .wrong_len = 0 };
    if (name.len == 0 || name.len > CATALOG_NEAREST_MAX)
        return;
    nearest->wrong_len = catalog_fold(name, nearest->wrong);
    nearest->distance = (uint32_t)nearest->wrong_len / 3 + 1;
}

static void nearest_try(struct nearest *nearest, struct bytes name, uint64_t count)
{
    uint8_t folded[CATALOG_NEAREST_MAX];
    if (nearest->wrong_len == 0 || name.len > CATALOG_NEAREST_MAX)
        return;
    size_t len = catalog_fold(name, folded);
    uint32_t distance = catalog_distance(bytes_of(nearest->wrong, nearest->wrong_len),
                                         bytes_of(folded, len), nearest->distance);
    bool is_better =
        distance < nearest->distance ||
        (nearest->best.len > 0 && distance == nearest->distance && count > nearest->count);
    if (!is_better)
        return;
    nearest->best = name;
    nearest->distance = distance;
    nearest->count = count;
}

struct bytes catalog_nearest_event(const struct catalog *catalog, struct bytes name)
{
    struct nearest nearest;
    nearest_start(&nearest, name);
    for (uint32_t i = 0; i < catalog->event_count; i++)
        nearest_try(&nearest, catalog->events[i].name, catalog->events[i].stats.count);
    return nearest.best;
}

struct bytes catalog_nearest_property(const struct catalog *catalog, struct bytes name,
                                      bool is_profile)
{
    struct nearest nearest;
    nearest_start(&nearest, name);
    for (uint32_t i = 0; i < intern_count(catalog->properties); i++)
        if (catalog->property_use[i] & (is_profile ? ON_PROFILE : ON_EVENT))
            nearest_try(&nearest, intern_get(catalog->properties, i), 0);
    return nearest.best;
}

/* --- checkpoint ------------------------------------------------------------------- */

static void save_columns(const struct columns *columns, struct buf *to)
{
    buf_put_varint(to, columns->count);
    for (uint32_t i = 0; i < columns->count; i++) {
        buf_put_varint(to, columns->column[i].property);
        buf_put_varint(to, columns->column[i].types);
        buf_put_varint(to, columns->column[i].count);
    }
}

static void save_event(const struct event *event, struct buf *to)
{
    bool is_child = event->parent != CATALOG_NONE;
    buf_put_prefixed(to, is_child ? bytes_of(NULL, 0) : event->name);
    if (is_child)
        buf_put_varint(to, event->parent);
    buf_put_u8(to, event->is_discarded ? IS_DISCARDED : 0);
    buf_put_varint(to, event->stats.count);
    if (event->stats.count > 0) {
        buf_put_svarint(to, event->stats.first_ms);
        buf_put_svarint(to, event->stats.last_ms);
    }
    save_columns(&event->columns, to);
}

void catalog_save(const struct catalog *catalog, struct buf *to)
{
    buf_put(to, magic);
    buf_put_u8(to, VERSION);
    uint32_t properties = intern_count(catalog->properties);
    buf_put_varint(to, properties);
    for (uint32_t i = 0; i < properties; i++)
        buf_put_prefixed(to, intern_get(catalog->properties, i));
    buf_put_varint(to, catalog->event_count);
    for (uint32_t i = 0; i < catalog->event_count; i++)
        save_event(&catalog->events[i], to);
    save_columns(&catalog->profile, to);
}

static struct err corrupt(void)
{
    return err_new(ERR_CORRUPT, "catalog: load");
}

/* A failure to put what a checkpoint says is the checkpoint's, unless memory is short. */
static struct err blame(struct err err)
{
    return err.code == ERR_NOMEM ? err : corrupt();
}

static struct err load_columns(struct catalog *catalog, struct reader *from,
                               struct columns *columns, uint8_t use)
{
    uint64_t count = reader_varint(from);
    for (uint64_t i = 0; i < count; i++) {
        uint64_t property = reader_varint(from);
        uint64_t types = reader_varint(from);
        uint64_t seen = reader_varint(from);
        if (from->is_failed || property >= intern_count(catalog->properties) || types == 0 ||
            (types & ~(uint64_t)TYPE_BITS) != 0 || seen == 0)
            return corrupt();
        if (columns_find(columns, (uint32_t)property) != columns->count)
            return corrupt();
        struct err err = columns_add(columns, (uint32_t)property);
        if (err.code)
            return err;
        columns->column[i].types = (uint32_t)types;
        columns->column[i].count = seen;
        catalog->property_use[property] |= use;
    }
    return ok();
}

static struct err load_event(struct catalog *catalog, struct reader *from)
{
    struct bytes name = reader_prefixed(from);
    uint32_t expected = catalog->event_count;
    uint32_t number = CATALOG_NONE;
    struct err err;
    if (name.len == 0) {
        uint64_t parent = reader_varint(from);
        if (from->is_failed || parent >= expected)
            return corrupt();
        err = catalog_event_items_put(catalog, (uint32_t)parent, &number);
    } else {
        err = catalog_event_put(catalog, name, false, &number, NULL);
    }
    if (err.code)
        return blame(err);
    if (number != expected) /* a name that was there, or second items */
        return corrupt();

    uint8_t flags = reader_u8(from);
    struct catalog_event_stats stats = { .count = reader_varint(from) };
    if (stats.count > 0) {
        stats.first_ms = reader_svarint(from);
        stats.last_ms = reader_svarint(from);
    }
    if (from->is_failed || flags > IS_DISCARDED || stats.first_ms > stats.last_ms)
        return corrupt();
    struct event *event = &catalog->events[number];
    event->is_discarded = flags & IS_DISCARDED;
    event->stats = stats;
    return load_columns(catalog, from, &event->columns, ON_EVENT);
}

static struct err load_all(struct catalog *catalog, struct reader *from)
{
    if (!bytes_equal(reader_take(from, magic.len), magic) || reader_u8(from) != VERSION)
        return err_new(ERR_CORRUPT, "catalog: not a state of this version");

    uint64_t properties = reader_varint(from);
    for (uint64_t i = 0; i < properties; i++) {
        uint32_t number = 0;
        struct bytes name = reader_prefixed(from);
        struct err err = catalog_property_put(catalog, name, &number);
        if (err.code)
            return blame(err);
        if (number != i)
            return corrupt();
    }
    uint64_t events = reader_varint(from);
    for (uint64_t i = 0; i < events; i++) {
        struct err err = load_event(catalog, from);
        if (err.code)
            return err;
    }
    struct err err = load_columns(catalog, from, &catalog->profile, ON_PROFILE);
    if (err.code)
        return err;
    return reader_err(from, true);
}

struct err catalog_load(struct bytes from, struct catalog **out)
{
    struct catalog *catalog = NULL;
    struct err err = catalog_new(&catalog);
    if (err.code)
        return err;
    struct reader reader = reader_of(from);
    err = load_all(catalog, &reader);
    if (err.code) {
        catalog_free(catalog);
        return err;
    }
    *out = catalog;
    return ok();
}

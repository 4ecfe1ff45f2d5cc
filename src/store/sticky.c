/*
 * sticky.c - one value a user, and exceptions.
 *
 *     offset  size  field
 *          0     1  encoding, 9
 *          1     3  zeros
 *          4     4  values: the table's events
 *          8     4  users of the table
 *         12     4  exceptions
 *         16     4  size of the users' values
 *         20     4  size of the places
 *         24     -  the users' values, a section of integers
 *            +   -  places of the exceptions, a section of integers: ascending
 *            +   -  the exceptions' values, a section of integers
 *
 * A user's value is the one that most of the events have, where one has the majority. Without
 * exceptions the two last sections are empty (0 bytes).
 */
#include "store/sticky.h"

#include <stdlib.h>

enum { STICKY_HEAD = 24, EVENTS_AN_EXCEPTION = 8 };

static uint64_t value_at(const void *values, unsigned width, size_t i)
{
    return width == 4 ? ((const uint32_t *)values)[i] : ((const uint64_t *)values)[i];
}

static void set_value(void *values, unsigned width, size_t i, uint64_t value)
{
    if (width == 4)
        ((uint32_t *)values)[i] = (uint32_t)value;
    else
        ((uint64_t *)values)[i] = value;
}

/* --- writing ------------------------------------------------------------------- */

/* The value that has the majority, if one has. */
static uint64_t most_of(const void *values, unsigned width, uint32_t from, uint32_t end)
{
    uint64_t candidate = value_at(values, width, from);
    uint32_t votes = 1;
    for (uint32_t i = from + 1; i < end; i++) {
        uint64_t value = value_at(values, width, i);
        if (value == candidate) {
            votes++;
        } else if (--votes == 0) {
            candidate = value;
            votes = 1;
        }
    }
    return candidate;
}

struct parting {
    void *of_user;
    void *others;
    uint32_t *places;
    uint32_t exceptions;
    uint32_t exceptions_max;
};

static bool part_values(const struct sticky_table *table, unsigned width, struct parting *to)
{
    for (uint32_t u = 0; u < table->users; u++) {
        uint32_t end = table->start[u + 1];
        uint64_t own = most_of(table->values, width, table->start[u], end);
        set_value(to->of_user, width, u, own);
        for (uint32_t i = table->start[u]; i < end; i++) {
            uint64_t value = value_at(table->values, width, i);
            if (value == own)
                continue;
            if (to->exceptions == to->exceptions_max)
                return false;
            to->places[to->exceptions] = i;
            set_value(to->others, width, to->exceptions++, value);
        }
    }
    return true;
}

static void put_values(struct buf *to, enum sticky_values kind, const void *values, size_t count)
{
    if (kind == STICKY_CODES)
        ints_put_blocks32(to, values, count);
    else if (kind == STICKY_INTEGERS)
        ints_put_blocks64(to, values, count);
    else
        ints_put_reals(to, values, count);
}

bool sticky_put(struct buf *to, const struct sticky_table *table, struct arena *scratch)
{
    uint32_t events = table->start[table->users];
    unsigned width = table->kind == STICKY_CODES ? 4 : 8;
    struct parting parting = { .exceptions_max = events / EVENTS_AN_EXCEPTION };
    parting.of_user = arena_alloc(scratch, (size_t)table->users * width);
    parting.others = arena_alloc(scratch, (size_t)parting.exceptions_max * width + 8);
    parting.places = arena_alloc(scratch, (size_t)parting.exceptions_max * 4 + 8);
    if (!parting.of_user || !parting.others || !parting.places) {
        to->is_failed = true;
        return false;
    }
    if (!part_values(table, width, &parting))
        return false;
    size_t head = to->len;
    buf_put_le32(to, INTS_STICKY);
    buf_put_le32(to, events);
    buf_put_le32(to, table->users);
    buf_put_le32(to, parting.exceptions);
    buf_put_le64(to, 0);
    size_t from = to->len;
    put_values(to, table->kind, parting.of_user, table->users);
    size_t places = to->len;
    if (parting.exceptions > 0)
        ints_put_ascending(to, parting.places, parting.exceptions);
    size_t others = to->len;
    if (parting.exceptions > 0)
        put_values(to, table->kind, parting.others, parting.exceptions);
    if (to->is_failed)
        return false;
    store_le32(to->ptr + head + 16, (uint32_t)(places - from));
    store_le32(to->ptr + head + 20, (uint32_t)(others - places));
    return true;
}

/* --- reading -------------------------------------------------------------------- */

static struct err bad(void)
{
    return err_new(ERR_CORRUPT, "store: a sticky column");
}

bool sticky_is(struct bytes section)
{
    return section.len > 0 && section.ptr[0] == INTS_STICKY;
}

struct err sticky_open(struct bytes section, uint32_t events, uint32_t users, struct sticky *out)
{
    struct reader r = reader_of(section);
    bool is_good = reader_le32(&r) == INTS_STICKY && reader_le32(&r) == events;
    struct sticky sticky = { .users = reader_le32(&r) };
    sticky.exceptions = reader_le32(&r);
    uint32_t own_size = reader_le32(&r);
    uint32_t places_size = reader_le32(&r);
    struct bytes own = reader_take(&r, own_size);
    struct bytes places = reader_take(&r, places_size);
    struct bytes others = bytes_of(r.next, reader_left(&r));
    if (r.is_failed || !is_good || sticky.users != users || sticky.exceptions > events)
        return bad();
    struct err err = ints_open(own, users, &sticky.of_user);
    if (sticky.exceptions == 0 && (places.len > 0 || others.len > 0))
        return bad();
    if (!err.code && sticky.exceptions > 0)
        err = ints_open(places, sticky.exceptions, &sticky.places);
    if (!err.code && sticky.exceptions > 0)
        err = ints_open(others, sticky.exceptions, &sticky.others);
    if (!err.code && sticky.exceptions > 0 && sticky.places.encoding != INTS_ASCENDING)
        return bad();
    if (!err.code)
        *out = sticky;
    return err;
}

static struct err read_values(const struct ints *ints, unsigned width, size_t first, size_t count,
                              void *to)
{
    return width == 4 ? ints_read32(ints, first, count, to) : ints_read64(ints, first, count, to);
}

/* Over what was spread: places that lie in [first, first + count). */
static struct err set_exceptions(const struct sticky *sticky, unsigned width, uint32_t first,
                                 uint32_t count, void *to)
{
    uint32_t places[256];
    uint64_t others[256];
    for (uint32_t from = 0; from < sticky->exceptions; from += 256) {
        uint32_t n = sticky->exceptions - from < 256 ? sticky->exceptions - from : 256;
        if (ints_base(&sticky->places, from / 256) >= first + count)
            break;
        if (n == 256 && from + n < sticky->exceptions &&
            ints_base(&sticky->places, from / 256 + 1) <= first)
            continue;
        struct err err = ints_read32(&sticky->places, from, n, places);
        if (!err.code)
            err = read_values(&sticky->others, width, from, n, others);
        if (err.code)
            return err;
        for (uint32_t i = 0; i < n; i++)
            if (places[i] >= first && places[i] - first < count)
                set_value(to, width, places[i] - first, value_at(others, width, i));
    }
    return ok();
}

struct err sticky_read(const struct sticky *sticky, unsigned width, const uint32_t *start, void *to)
{
    void *own = malloc((size_t)sticky->users * width + 8);
    if (!own)
        return err_new(ERR_NOMEM, "store: read a column");
    struct err err = read_values(&sticky->of_user, width, 0, sticky->users, own);
    for (uint32_t u = 0; u < sticky->users && !err.code; u++) {
        uint64_t value = value_at(own, width, u);
        if (width == 4)
            for (uint32_t i = start[u]; i < start[u + 1]; i++)
                ((uint32_t *)to)[i] = (uint32_t)value;
        else
            for (uint32_t i = start[u]; i < start[u + 1]; i++)
                ((uint64_t *)to)[i] = value;
    }
    free(own);
    return err.code ? err : set_exceptions(sticky, width, 0, start[sticky->users], to);
}

struct err sticky_read_some(const struct sticky *sticky, unsigned width, uint32_t user,
                            uint32_t first, uint32_t count, void *to)
{
    uint64_t own = 0;
    if (user >= sticky->users)
        return bad();
    struct err err = read_values(&sticky->of_user, width, user, 1, &own);
    if (err.code)
        return err;
    own = value_at(&own, width, 0);
    for (uint32_t i = 0; i < count; i++)
        set_value(to, width, i, own);
    return set_exceptions(sticky, width, first, count, to);
}

/*
 * state.c - profiles in a checkpoint: docs/formats/profile-state.md.
 *
 * Columns are written in the order of their property, users ascending, texts in the order in which
 * the cells first use them: so the bytes depend on what is held and not on how memory came to hold
 * it.
 */
#include "profile/profile_internal.h"

#include <math.h>
#include <stdlib.h>

enum { VERSION = 1, GATHERED_BIT = 0x80, LIST_BIT = 1 };

static const struct bytes magic = { (const uint8_t *)"KPRF", 4 };
static const uint32_t unnumbered = UINT32_MAX;

/* --- saving ---------------------------------------------------------------------------- */

struct saving {
    const struct profiles *profiles;
    struct buf *to;
    uint32_t *number_of; /* by a text's number: the one it gets in the file */
    uint32_t text_count;
};

/* Every written cell, by property and user. */
typedef void cell_fn(struct saving *saving, uint32_t user, const struct cell_copy *cell);

static void each_cell(struct saving *saving, const struct column *column, cell_fn *visit)
{
    struct tree_cursor cursor = { 0 };
    uint32_t at = 0;
    const struct leaf *leaf;
    while ((leaf = tree_next(column->tree.root, &cursor, &at))) {
        struct cell_copy cell;
        uint32_t index = 0;
        while (leaf_next(leaf, &index, &cell))
            visit(saving, at * PROFILE_CHUNK + cell.index, &cell);
    }
}

static uint64_t count_cells(const struct column *column)
{
    struct tree_cursor cursor = { 0 };
    uint32_t at = 0;
    uint64_t count = 0;
    const struct leaf *leaf;
    while ((leaf = tree_next(column->tree.root, &cursor, &at))) {
        struct cell_copy cell;
        uint32_t index = 0;
        while (leaf_next(leaf, &index, &cell))
            count++;
    }
    return count;
}

static void number_text(struct saving *saving, uint32_t user, const struct cell_copy *cell)
{
    (void)user;
    if (type_is_text((uint8_t)cell->type) && saving->number_of[cell->value] == unnumbered)
        saving->number_of[cell->value] = saving->text_count++;
}

static void save_text(struct saving *saving, uint32_t user, const struct cell_copy *cell)
{
    (void)user;
    if (!type_is_text((uint8_t)cell->type) || saving->number_of[cell->value] != saving->text_count)
        return;
    saving->text_count++;
    const struct text *text = text_at(&saving->profiles->texts, cell->value);
    buf_put_u8(saving->to, text->is_list ? LIST_BIT : 0);
    buf_put_prefixed(saving->to, bytes_of(text->bytes, text->len));
}

static void save_cell(struct saving *saving, uint32_t user, const struct cell_copy *cell)
{
    struct buf *to = saving->to;
    bool is_gathered = cell->stamp & GATHERED;
    buf_put_varint(to, user);
    buf_put_u8(to, (uint8_t)((unsigned)cell->type | (is_gathered ? GATHERED_BIT : 0)));
    buf_put_varint(to, saving->profiles->writes - (cell->stamp & ~GATHERED));
    switch (cell->type) {
    case VALUE_BOOL:
        buf_put_u8(to, (uint8_t)cell->value);
        break;
    case VALUE_INT:
    case VALUE_TIME:
        buf_put_svarint(to, (int64_t)cell->value);
        break;
    case VALUE_REAL:
        buf_put_le64(to, cell->value);
        break;
    case VALUE_STRING:
    case VALUE_LIST:
        buf_put_varint(to, saving->number_of[cell->value]);
        break;
    case VALUE_NULL:
    case VALUE_TYPES:
        break;
    }
}

/* Columns by property; the next one from *property on, or NULL. */
static const struct column *next_column(const struct profiles *profiles, uint32_t *property)
{
    while (*property < profiles->property_cap) {
        const struct column *column = column_find(profiles, (*property)++);
        if (column)
            return column;
    }
    return NULL;
}

static void each_column(struct saving *saving, cell_fn *visit)
{
    uint32_t property = 0;
    const struct column *column;
    while ((column = next_column(saving->profiles, &property)))
        each_cell(saving, column, visit);
}

static void save_activity(const struct profiles *profiles, struct buf *to)
{
    uint64_t count = 0;
    for (int pass = 0; pass < 2; pass++) {
        struct tree_cursor cursor = { 0 };
        uint32_t at = 0;
        const struct activity *leaf;
        while ((leaf = tree_next(profiles->activity.root, &cursor, &at))) {
            for (uint32_t i = 0; i < ACTIVITY_LEAF; i++) {
                if (leaf[i].events_seen == 0)
                    continue;
                count += pass == 0;
                if (pass == 0)
                    continue;
                buf_put_varint(to, at * ACTIVITY_LEAF + i);
                buf_put_svarint(to, leaf[i].first_ms);
                buf_put_varint(to, (uint64_t)leaf[i].last_ms - (uint64_t)leaf[i].first_ms);
                buf_put_varint(to, leaf[i].events_seen >> 1);
            }
        }
        if (pass == 0)
            buf_put_varint(to, count);
    }
}

static void save_columns(struct saving *saving)
{
    uint32_t property = 0;
    uint32_t count = 0;
    const struct column *column;
    while ((column = next_column(saving->profiles, &property)))
        count += count_cells(column) > 0;
    buf_put_varint(saving->to, count);
    property = 0;
    while ((column = next_column(saving->profiles, &property))) {
        uint64_t cells = count_cells(column);
        if (cells == 0)
            continue;
        buf_put_varint(saving->to, column->property);
        buf_put_varint(saving->to, cells);
        each_cell(saving, column, save_cell);
    }
}

void profiles_save(const struct profiles *profiles, struct buf *to)
{
    uint32_t texts = profiles->texts.count;
    struct saving saving = {
        .profiles = profiles,
        .to = to,
        .number_of = malloc((texts + 1) * sizeof(uint32_t)),
    };
    if (!saving.number_of) {
        to->is_failed = true;
        return;
    }
    for (uint32_t i = 0; i < texts; i++)
        saving.number_of[i] = unnumbered;

    buf_put(to, magic);
    buf_put_u8(to, VERSION);
    buf_put_varint(to, profiles->writes);
    buf_put_varint(to, profiles->users);
    save_activity(profiles, to);
    each_column(&saving, number_text);
    buf_put_varint(to, saving.text_count);
    saving.text_count = 0;
    each_column(&saving, save_text);
    save_columns(&saving);
    free(saving.number_of);
}

/* --- loading --------------------------------------------------------------------------- */

static struct err corrupt(void)
{
    return err_new(ERR_CORRUPT, "profile: load");
}

struct loading {
    struct profiles *profiles;
    struct reader from;
    struct text **texts;
    uint64_t text_count;
};

static struct err load_activity(struct loading *loading)
{
    struct reader *from = &loading->from;
    uint64_t count = reader_varint(from);
    uint64_t least = 0; /* the next user is no smaller */
    for (uint64_t i = 0; i < count; i++) {
        uint64_t user = reader_varint(from);
        int64_t first_ms = reader_svarint(from);
        uint64_t span = reader_varint(from);
        uint64_t events = reader_varint(from);
        if (from->is_failed || user < least || user >= loading->profiles->users ||
            span > (uint64_t)INT64_MAX - (uint64_t)first_ms || events > UINT64_MAX >> 1)
            return corrupt();
        struct activity *activity = NULL;
        struct err err = activity_edit(loading->profiles, (uint32_t)user, &activity);
        if (err.code)
            return err;
        *activity = (struct activity){
            .first_ms = first_ms,
            .last_ms = (int64_t)((uint64_t)first_ms + span),
            .events_seen = events << 1 | 1,
        };
        least = user + 1;
    }
    return ok();
}

/* As list_put writes it: all of it items, none empty. */
static bool is_list(struct bytes saved)
{
    struct reader reader = reader_of(saved);
    uint64_t count = reader_varint(&reader);
    if (count == 0 || count > LIST_ITEMS_MAX)
        return false;
    for (uint64_t i = 0; i < count; i++)
        if (reader_prefixed(&reader).len == 0)
            return false;
    return !reader_err(&reader, true).code;
}

static struct err load_texts(struct loading *loading)
{
    struct reader *from = &loading->from;
    struct texts *texts = &loading->profiles->texts;
    loading->text_count = reader_varint(from);
    if (loading->text_count > reader_left(from) / 2 || loading->text_count >= UINT32_MAX)
        return corrupt();
    loading->texts = calloc(loading->text_count + 1, sizeof *loading->texts);
    if (!loading->texts || !slots_reserve(&texts->index, loading->text_count))
        return err_new(ERR_NOMEM, "profile: load");
    for (uint64_t i = 0; i < loading->text_count; i++) {
        uint8_t flags = reader_u8(from);
        struct bytes bytes = reader_prefixed(from);
        if (from->is_failed || flags > LIST_BIT || bytes.len > UINT32_MAX ||
            (flags == LIST_BIT && !is_list(bytes)))
            return corrupt();
        struct text *text = text_put(loading->profiles, bytes, flags == LIST_BIT);
        if (!text)
            return err_new(ERR_NOMEM, "profile: load");
        if (text->number != i) /* it was there */
            return corrupt();
        text->refs = 0; /* the cells will count */
        loading->texts[i] = text;
    }
    return ok();
}

/* The value of a cell whose type is known. False: it can't be. */
static bool load_value(struct loading *loading, enum value_type type, uint64_t *bits)
{
    struct reader *from = &loading->from;
    double real = 0;
    switch (type) {
    case VALUE_NULL:
        *bits = 0;
        return true;
    case VALUE_BOOL:
        *bits = reader_u8(from);
        return *bits <= 1;
    case VALUE_INT:
    case VALUE_TIME:
        *bits = (uint64_t)reader_svarint(from);
        return true;
    case VALUE_REAL:
        *bits = reader_le64(from);
        memcpy(&real, bits, sizeof real);
        return isfinite(real);
    case VALUE_STRING:
    case VALUE_LIST:
        *bits = reader_varint(from);
        if (*bits >= loading->text_count || loading->texts[*bits]->is_list != (type == VALUE_LIST))
            return false;
        *bits = loading->texts[*bits]->number;
        return true;
    case VALUE_TYPES:
        break;
    }
    return false;
}

static struct err load_cell(struct loading *loading, struct column *column, uint64_t *least)
{
    struct reader *from = &loading->from;
    struct profiles *profiles = loading->profiles;
    uint64_t user = reader_varint(from);
    uint8_t type = reader_u8(from);
    uint64_t age = reader_varint(from);
    uint64_t gathered = type & GATHERED_BIT ? GATHERED : 0;
    uint64_t bits = 0;
    type &= (uint8_t)~GATHERED_BIT;
    if (from->is_failed || user < *least || user >= profiles->users || age >= profiles->writes ||
        (gathered && type != VALUE_INT && type != VALUE_REAL) || type >= VALUE_TYPES ||
        !load_value(loading, (enum value_type)type, &bits) || from->is_failed)
        return corrupt();
    struct cell cell;
    struct err err = cell_edit(profiles, column, (uint32_t)user, &cell);
    if (err.code)
        return err;
    cell_set(profiles, &cell, (enum value_type)type, bits, (profiles->writes - age) | gathered);
    if (type_is_text(type))
        text_at(&profiles->texts, bits)->refs++;
    *least = user + 1;
    return ok();
}

static struct err load_columns(struct loading *loading)
{
    struct reader *from = &loading->from;
    uint64_t count = reader_varint(from);
    uint64_t least_property = 0;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t property = reader_varint(from);
        uint64_t cells = reader_varint(from);
        struct column *column = NULL;
        uint64_t least = 0;
        if (from->is_failed || property < least_property || property >= PROPERTIES_MAX ||
            cells == 0)
            return corrupt();
        struct err err = column_make(loading->profiles, (uint32_t)property, &column);
        for (uint64_t j = 0; j < cells && !err.code; j++)
            err = load_cell(loading, column, &least);
        if (err.code)
            return err.code == ERR_LIMIT ? corrupt() : err;
        least_property = property + 1;
    }
    return ok();
}

static struct err load_all(struct loading *loading)
{
    struct reader *from = &loading->from;
    struct profiles *profiles = loading->profiles;
    if (!bytes_equal(reader_take(from, magic.len), magic) || reader_u8(from) != VERSION)
        return err_new(ERR_CORRUPT, "profile: not a state of this version");
    profiles->writes = reader_varint(from);
    uint64_t users = reader_varint(from);
    if (from->is_failed || users >= UINT32_MAX || profiles->writes >= GATHERED)
        return corrupt();
    profiles->users = (uint32_t)users;

    struct err err = load_activity(loading);
    if (!err.code)
        err = load_texts(loading);
    if (!err.code)
        err = load_columns(loading);
    if (err.code)
        return err;
    for (uint64_t i = 0; i < loading->text_count; i++)
        if (loading->texts[i]->refs == 0)
            return corrupt();
    return reader_err(from, true);
}

struct err profiles_load(struct bytes from, struct profile_limits limits, struct profiles **out)
{
    struct loading loading = { .from = reader_of(from) };
    struct err err = profiles_new(limits, &loading.profiles);
    if (err.code)
        return err;
    err = load_all(&loading);
    free(loading.texts);
    if (err.code) {
        profiles_free(loading.profiles);
        return err;
    }
    *out = loading.profiles;
    return ok();
}

/*
 * part_read.c - from sections to arrays.
 *
 * What comes out is safe to index with, whatever the bytes were: rows ascend and are those of the
 * header's range, starts ascend, codes and list items name texts that are there. A checksum says
 * that bytes are as they were written; these checks hold even when the writer was someone else.
 */
#include "base/bits.h"
#include "store/ints.h"
#include "store/part.h"
#include "store/seq_clock.h"
#include "store/sticky.h"
#include "store/texts.h"
#include "store/view.h"

#include <stdlib.h>

static struct err bad(const char *what)
{
    return err_new(ERR_CORRUPT, what);
}

const struct part_table *part_find_table(const struct part *part, uint32_t event)
{
    const struct part_table *tables = part->head.tables;
    uint32_t low = 0;
    uint32_t high = part->head.table_count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (tables[middle].event < event)
            low = middle + 1;
        else
            high = middle;
    }
    return low < part->head.table_count && tables[low].event == event ? &tables[low] : NULL;
}

uint32_t part_find_section(const struct part *part, const struct part_table *table,
                           enum section_kind kind, uint32_t property, enum value_type type)
{
    uint32_t first = table ? table->section : 0;
    uint32_t count = table ? table->section_count : part->head.shared_sections;
    for (uint32_t i = first; i < first + count; i++) {
        const struct part_section *section = &part->head.sections[i];
        if (section->kind == kind && section->property == property && section->type == type)
            return i;
    }
    return UINT32_MAX;
}

struct err part_read32(struct part *part, uint32_t section, size_t total, size_t first,
                       size_t count, uint32_t *to)
{
    if (section == UINT32_MAX)
        return bad("store: a section is missing");
    struct part_view view;
    struct ints ints;
    struct err err = part_open_section(part, section, &view);
    if (err.code)
        return err;
    err = ints_open(view.bytes, total, &ints);
    if (!err.code)
        err = ints_read32(&ints, first, count, to);
    part_close_section(part, &view);
    return err;
}

struct err part_read64(struct part *part, uint32_t section, size_t total, size_t first,
                       size_t count, uint64_t *to)
{
    if (section == UINT32_MAX)
        return bad("store: a section is missing");
    struct part_view view;
    struct ints ints;
    struct err err = part_open_section(part, section, &view);
    if (err.code)
        return err;
    err = ints_open(view.bytes, total, &ints);
    if (!err.code)
        err = ints_read64(&ints, first, count, to);
    part_close_section(part, &view);
    return err;
}

/* Adds what the clock says to distances. */
static struct err add_clock(struct part *part, size_t count, const uint32_t *times, uint64_t *to)
{
    uint32_t section = part_find_section(part, NULL, SECTION_CLOCK, 0, VALUE_NULL);
    struct part_view view;
    if (section == UINT32_MAX)
        return bad("store: a part without its clock");
    struct err err = part_open_section(part, section, &view);
    if (err.code)
        return err;
    err = seq_clock_add(view.bytes, times, count, to);
    part_close_section(part, &view);
    return err;
}

struct err part_read_seqs(struct part *part, const struct part_table *table, size_t first,
                          size_t count, const uint32_t *times, uint64_t *to)
{
    uint32_t section = part_find_section(part, table, SECTION_SEQS, 0, VALUE_NULL);
    if (section == UINT32_MAX)
        return bad("store: a section is missing");
    struct part_view view;
    struct ints ints;
    struct err err = part_open_section(part, section, &view);
    if (err.code)
        return err;
    err = ints_open(view.bytes, table->events, &ints);
    if (!err.code)
        err = ints_read64(&ints, first, count, to);
    bool is_clocked = !err.code && ints.encoding == INTS_CLOCKED;
    part_close_section(part, &view);
    return is_clocked ? add_clock(part, count, times, to) : err;
}

static bool ascends(const uint32_t *values, size_t count)
{
    bool is_good = true;
    for (size_t i = 1; i < count; i++)
        is_good &= values[i - 1] < values[i];
    return is_good;
}

struct err part_read_starts(struct part *part, uint32_t section, uint32_t count, uint32_t total,
                            uint32_t *to)
{
    struct err err = part_read32(part, section, count, 0, count, to);
    if (err.code)
        return err;
    to[count] = total;
    if (to[0] != 0 || !ascends(to, count + (size_t)1))
        return bad("store: starts don't ascend");
    return ok();
}

/* The block whose first row is the last one not above `row`. */
static size_t find_block(const struct ints *ints, size_t count, uint32_t row)
{
    size_t low = 0;
    size_t high = ints_blocks(count);
    while (high - low > 1) {
        size_t middle = (low + high) / 2;
        if (ints_base(ints, middle) <= row)
            low = middle;
        else
            high = middle;
    }
    return low;
}

struct err part_find_row(struct part *part, uint32_t section, uint32_t count, uint32_t row,
                         uint32_t *index_out)
{
    *index_out = UINT32_MAX;
    if (section == UINT32_MAX)
        return bad("store: a section is missing");
    struct part_view view;
    struct ints ints;
    struct err err = part_open_section(part, section, &view);
    if (err.code)
        return err;
    err = ints_open(view.bytes, count, &ints);
    if (!err.code && ints.encoding != INTS_ASCENDING)
        err = bad("store: rows aren't ascending");
    if (!err.code && count > 0) {
        uint32_t rows[256];
        size_t first = find_block(&ints, count, row) * 256;
        size_t n = count - first < 256 ? count - first : 256;
        err = ints_read32(&ints, first, n, rows);
        for (size_t i = 0; !err.code && i < n && rows[i] <= row; i++)
            if (rows[i] == row)
                *index_out = (uint32_t)(first + i);
    }
    part_close_section(part, &view);
    return err;
}

/* --- columns ---------------------------------------------------------------------- */

static struct err no_room(void)
{
    return err_new(ERR_NOMEM, "store: read a column");
}

static struct err read_presence(struct part *part, uint32_t section, uint32_t events,
                                struct arena *arena, const uint64_t **present_out,
                                uint32_t *count_out)
{
    size_t words = bits_words(events);
    struct part_view view;
    struct err err = part_open_section(part, section, &view);
    if (err.code)
        return err;
    uint64_t *bits = arena_alloc(arena, words * 8);
    if (!bits)
        err = no_room();
    else if (view.bytes.len != words * 8)
        err = bad("store: a presence bitmap");
    else
        memcpy(bits, view.bytes.ptr, words * 8);
    part_close_section(part, &view);
    if (err.code)
        return err;
    if (events % 64 && bits[words - 1] >> (events % 64))
        return bad("store: a presence bitmap");
    *count_out = (uint32_t)bits_count(bits, words);
    *present_out = bits;
    return ok();
}

/* values[events - count …] become dense, in place; absent ones become 0. A value never moves past
 * one that isn't moved yet. */
static void spread64(uint64_t *values, const uint64_t *present, uint32_t events, uint32_t count)
{
    uint32_t from = events - count;
    for (uint32_t i = 0; i < events; i++) {
        bool has = bits_has(present, i);
        uint64_t value = has ? values[from] : 0;
        from += has;
        values[i] = value;
    }
}

static void spread32(uint32_t *values, const uint64_t *present, uint32_t events, uint32_t count)
{
    uint32_t from = events - count;
    for (uint32_t i = 0; i < events; i++) {
        bool has = bits_has(present, i);
        uint32_t value = has ? values[from] : 0;
        from += has;
        values[i] = value;
    }
}

static uint32_t most(const uint32_t *values, size_t count)
{
    uint32_t max = 0;
    for (size_t i = 0; i < count; i++)
        max = values[i] > max ? values[i] : max;
    return max;
}

static struct err read_texts(struct part *part, uint32_t section, struct arena *arena,
                             const struct bytes **texts_out, uint32_t *count_out)
{
    if (section == UINT32_MAX)
        return bad("store: a section is missing");
    struct part_view view;
    struct err err = part_open_section(part, section, &view);
    if (err.code)
        return err;
    struct texts texts;
    err = texts_open(view.bytes, &texts);
    if (!err.code) /* an image lives as long as its reader */
        err = texts_read(&texts, !view.entry, arena, texts_out);
    part_close_section(part, &view);
    if (!err.code)
        *count_out = texts.count;
    return err;
}

/* Lists: encoding 1, zeros 3, lists 4, items 4, ends 4 each, items 4 each. */
static struct err parse_lists(struct bytes section, struct arena *arena, uint32_t text_count,
                              struct store_column *out, uint32_t *lists_out)
{
    struct reader r = reader_of(section);
    bool is_plain = reader_le32(&r) == SECTION_PLAIN;
    uint32_t lists = reader_le32(&r);
    uint32_t item_count = reader_le32(&r);
    struct bytes ends = reader_take(&r, (size_t)lists * 4);
    struct bytes items = reader_take(&r, (size_t)item_count * 4);
    if (!is_plain || r.is_failed || reader_left(&r) != 0)
        return bad("store: lists");
    uint32_t *start = arena_alloc(arena, (lists + (size_t)1) * 4);
    uint32_t *codes = arena_alloc(arena, (size_t)item_count * 4);
    if (!start || !codes)
        return no_room();
    start[0] = 0;
    for (uint32_t i = 0; i < lists; i++) {
        start[i + 1] = load_le32(ends.ptr + 4 * (size_t)i);
        if (start[i + 1] < start[i])
            return bad("store: lists");
    }
    if (start[lists] != item_count)
        return bad("store: lists");
    if (item_count > 0)
        memcpy(codes, items.ptr, items.len);
    if (item_count > 0 && most(codes, item_count) >= text_count)
        return bad("store: lists");
    out->list_start = start;
    out->items = codes;
    *lists_out = lists;
    return ok();
}

static struct err read_lists(struct part *part, uint32_t section, struct arena *arena,
                             struct store_column *out, uint32_t *lists_out)
{
    if (section == UINT32_MAX)
        return bad("store: a section is missing");
    struct part_view view;
    struct err err = part_open_section(part, section, &view);
    if (err.code)
        return err;
    err = parse_lists(view.bytes, arena, out->text_count, out, lists_out);
    part_close_section(part, &view);
    return err;
}

static struct err read_ints(struct bytes section, unsigned width, uint32_t total, uint32_t first,
                            uint32_t count, void *to)
{
    struct ints ints;
    struct err err = ints_open(section, total, &ints);
    if (err.code)
        return err;
    return width == 4 ? ints_read32(&ints, first, count, to) : ints_read64(&ints, first, count, to);
}

struct err part_read_some(struct part *part, const struct part_table *table, uint32_t section,
                          unsigned width, uint32_t total, uint32_t user, uint32_t first,
                          uint32_t count, void *to)
{
    struct part_view view;
    struct sticky sticky;
    struct err err = part_open_section(part, section, &view);
    if (err.code)
        return err;
    if (!sticky_is(view.bytes)) {
        err = read_ints(view.bytes, width, total, first, count, to);
    } else {
        err = sticky_open(view.bytes, total, table->users, &sticky);
        if (!err.code)
            err = sticky_read_some(&sticky, width, user, first, count, to);
    }
    part_close_section(part, &view);
    return err;
}

static struct err read_sticky(struct part *part, const struct part_table *table,
                              struct bytes section, unsigned width, uint32_t count, void *to)
{
    struct sticky sticky;
    uint32_t starts_section = part_find_section(part, table, SECTION_RUN_STARTS, 0, VALUE_NULL);
    if (count != table->events)
        return bad("store: a sticky column with gaps");
    struct err err = sticky_open(section, count, table->users, &sticky);
    if (err.code)
        return err;
    uint32_t *starts = malloc((table->users + (size_t)1) * 4);
    if (!starts)
        return no_room();
    err = part_read_starts(part, starts_section, table->users, table->events, starts);
    if (!err.code)
        err = sticky_read(&sticky, width, starts, to);
    free(starts);
    return err;
}

/* All `count` values of a column. */
static struct err read_values(struct part *part, const struct part_table *table, uint32_t section,
                              unsigned width, uint32_t count, void *to)
{
    struct part_view view;
    struct err err = part_open_section(part, section, &view);
    if (err.code)
        return err;
    if (sticky_is(view.bytes))
        err = read_sticky(part, table, view.bytes, width, count, to);
    else
        err = read_ints(view.bytes, width, count, 0, count, to);
    part_close_section(part, &view);
    return err;
}

static struct err read_numbers(struct part *part, const struct part_table *table, uint32_t section,
                               uint32_t count, struct arena *arena, struct store_column *out)
{
    uint32_t events = table->events;
    uint64_t *values = arena_alloc(arena, (size_t)events * 8);
    if (!values)
        return no_room();
    struct err err = read_values(part, table, section, 8, count, values + (events - count));
    if (err.code)
        return err;
    if (out->present)
        spread64(values, out->present, events, count);
    out->integers = (const int64_t *)values;
    return ok();
}

static struct err read_codes(struct part *part, const struct part_table *table, uint32_t property,
                             enum value_type type, uint32_t section, uint32_t count,
                             struct arena *arena, struct store_column *out)
{
    uint32_t events = table->events;
    uint32_t *codes = arena_alloc(arena, (size_t)events * 4);
    if (!codes)
        return no_room();
    struct err err = read_values(part, table, section, 4, count, codes + (events - count));
    if (err.code)
        return err;
    uint32_t texts = part_find_section(part, table, SECTION_TEXTS, property, type);
    err = read_texts(part, texts, arena, &out->texts, &out->text_count);
    uint32_t limit = out->text_count;
    if (!err.code && type == VALUE_LIST) {
        uint32_t lists = part_find_section(part, table, SECTION_LISTS, property, type);
        err = read_lists(part, lists, arena, out, &limit);
    }
    if (err.code)
        return err;
    if (count > 0 && most(codes + (events - count), count) >= limit)
        return bad("store: a code without a text");
    if (out->present)
        spread32(codes, out->present, events, count);
    out->codes = codes;
    return ok();
}

struct err part_read_column(struct part *part, const struct part_table *table, uint32_t property,
                            enum value_type type, struct arena *arena, struct store_column *out,
                            bool *has_out)
{
    *has_out = false;
    uint32_t section = part_find_section(part, table, SECTION_VALUES, property, type);
    if (section == UINT32_MAX)
        return ok();
    struct store_column column = { 0 };
    uint32_t count = table->events;
    uint32_t presence = part_find_section(part, table, SECTION_PRESENCE, property, type);
    struct err err = ok();
    if (presence != UINT32_MAX)
        err = read_presence(part, presence, table->events, arena, &column.present, &count);
    if (err.code)
        return err;
    if (type == VALUE_STRING || type == VALUE_LIST)
        err = read_codes(part, table, property, type, section, count, arena, &column);
    else
        err = read_numbers(part, table, section, count, arena, &column);
    if (err.code)
        return err;
    *out = column;
    *has_out = true;
    return ok();
}

/* --- the dead ------------------------------------------------------------------------ */

static struct err count_dead(struct part *part, const struct dead_set *dead, uint32_t *users_out,
                             uint32_t *rows_out)
{
    const struct part_head *head = &part->head;
    uint32_t *rows = malloc((head->users + (size_t)1) * 4);
    uint32_t *starts = malloc((head->users + (size_t)1) * 4);
    struct err err = ok();
    if (!rows || !starts)
        err = err_new(ERR_NOMEM, "store: count the dead");
    if (!err.code)
        err = part_read32(part, part_find_section(part, NULL, SECTION_DIR_ROWS, 0, VALUE_NULL),
                          head->users, 0, head->users, rows);
    if (!err.code)
        err =
            part_read_starts(part, part_find_section(part, NULL, SECTION_DIR_STARTS, 0, VALUE_NULL),
                             head->users, head->events, starts);
    *users_out = 0;
    *rows_out = 0;
    for (uint32_t i = 0; i < head->users && !err.code; i++) {
        if (!row_set_has(dead->all, rows[i]))
            continue;
        ++*users_out;
        *rows_out += starts[i + 1] - starts[i];
    }
    free(rows);
    free(starts);
    return err;
}

struct err part_count_dead(struct part *part, const struct dead_set *dead, uint32_t *users_out,
                           uint32_t *rows_out)
{
    *users_out = 0;
    *rows_out = 0;
    if (!dead || !dead->all)
        return ok();
    struct err err = part_load(part);
    if (err.code)
        return err;
    mutex_lock(&part->lock);
    bool is_known = part->dead_version == dead->version;
    *users_out = part->dead_users;
    *rows_out = part->dead_rows;
    mutex_unlock(&part->lock);
    if (is_known)
        return ok();
    err = count_dead(part, dead, users_out, rows_out);
    if (err.code)
        return err;
    mutex_lock(&part->lock);
    part->dead_version = dead->version;
    part->dead_users = *users_out;
    part->dead_rows = *rows_out;
    mutex_unlock(&part->lock);
    return ok();
}

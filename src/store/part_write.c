/*
 * part_write.c - one part, section after section.
 *
 * Sections go to the buffer as they are made; with a file, the buffer is written out after each, so
 * that a large part never lies in memory as a whole. The directory comes after the sections, the
 * header last, over the zeros that were left for it.
 *
 * Of a column only the values that are there are kept. A dictionary holds exactly the texts that are
 * used, once each, sorted by their bytes: so codes compare as the texts do. Lists are sorted by
 * their items' codes.
 */
#include "base/bits.h"
#include "store/ints.h"
#include "store/part.h"
#include "store/seq_clock.h"
#include "store/sort.h"
#include "store/sticky.h"
#include "store/texts.h"

#include <stdlib.h>

enum { SCRATCH_MAX_SHIFT = 34, MONTH_DAYS_MAX = 40, WRITE_BYTES = 1 << 20 };

static void fail(struct part_writer *writer, struct err err)
{
    if (!writer->err.code)
        writer->err = err;
}

static void *scratch(struct part_writer *writer, size_t count, size_t size)
{
    void *room = arena_alloc(&writer->scratch, (count + 1) * size);
    if (!room)
        fail(writer, err_new(ERR_NOMEM, "store: write a part"));
    return room;
}

/* --- days --------------------------------------------------------------------------- */

/* The local days that touch the month, and where each begins, in ms from the month's start. */
static void find_days(struct part_writer *writer)
{
    int64_t base = civil_month_start_ms(writer->head.month);
    int64_t end = civil_month_start_ms(writer->head.month + 1);
    writer->first_day = zone_day(writer->zone, base);
    writer->days = (uint32_t)(zone_day(writer->zone, end - 1) - writer->first_day + 1);
    assert(writer->days <= MONTH_DAYS_MAX);
    writer->day_starts = calloc(writer->days + 1u, sizeof *writer->day_starts);
    if (!writer->day_starts) {
        fail(writer, err_new(ERR_NOMEM, "store: write a part"));
        return;
    }
    for (uint32_t i = 0; i <= writer->days; i++)
        writer->day_starts[i] =
            zone_day_start_ms(writer->zone, writer->first_day + (int32_t)i) - base;
}

static uint32_t day_of(const struct part_writer *writer, uint32_t time)
{
    const int64_t *starts = writer->day_starts;
    int64_t guess = ((int64_t)time - starts[0]) / MS_PER_DAY;
    uint32_t day = guess < 0 ? 0 : (uint32_t)guess;
    if (day >= writer->days)
        day = writer->days - 1;
    while (day > 0 && starts[day] > (int64_t)time)
        day--;
    while (day + 1 < writer->days && starts[day + 1] <= (int64_t)time)
        day++;
    return day;
}

static void count_days(const struct part_writer *writer, const struct part_rows *rows,
                       uint32_t *events, uint32_t *users)
{
    memset(events, 0, writer->days * sizeof *events);
    memset(users, 0, writer->days * sizeof *users);
    for (uint32_t u = 0; u < rows->users; u++) {
        uint32_t last = UINT32_MAX;
        for (uint32_t i = rows->start[u]; i < rows->start[u + 1]; i++) {
            uint32_t day = day_of(writer, rows->time[i]);
            events[day]++;
            users[day] += day != last;
            last = day;
        }
    }
}

/* --- sections -------------------------------------------------------------------------- */

void part_writer_init(struct part_writer *writer, const struct part_head *identity,
                      const struct zone *zone, bool is_small, struct disk_file *file)
{
    *writer = (struct part_writer){ .zone = zone, .is_small = is_small, .file = file };
    writer->head.number = identity->number;
    writer->head.shard = identity->shard;
    writer->head.shards = identity->shards;
    writer->head.month = identity->month;
    writer->head.first_seq = UINT64_MAX;
    buf_init(&writer->image, SIZE_MAX / 4);
    arena_init(&writer->scratch, (size_t)1 << SCRATCH_MAX_SHIFT);
    uint8_t *header = buf_reserve(&writer->image, PART_HEADER_SIZE);
    if (header) {
        memset(header, 0, PART_HEADER_SIZE);
        writer->image.len = PART_HEADER_SIZE;
    }
    if (zone && strlen(zone_name(zone)) > PART_ZONE_MAX)
        writer->zone = NULL;
    if (writer->zone)
        find_days(writer);
}

void part_writer_done(struct part_writer *writer)
{
    part_head_done(&writer->head);
    free(writer->late);
    writer->late = NULL;
    buf_done(&writer->image);
    arena_done(&writer->scratch);
    free(writer->day_starts);
    writer->day_starts = NULL;
}

static uint64_t writer_end(const struct part_writer *writer)
{
    return writer->written + writer->image.len;
}

static void flush(struct part_writer *writer)
{
    if (!writer->file || writer->err.code)
        return;
    struct err err = buf_err(&writer->image);
    if (!err.code)
        err = file_write(writer->file, writer->written, buf_bytes(&writer->image));
    if (err.code) {
        fail(writer, err);
        return;
    }
    writer->written += writer->image.len;
    buf_reset(&writer->image);
}

static bool grow(void **items, uint32_t count, uint32_t *cap, size_t size)
{
    if (count < *cap)
        return true;
    uint32_t wanted = *cap ? *cap * 2 : 64;
    void *grown = realloc(*items, wanted * size);
    if (!grown)
        return false;
    *items = grown;
    *cap = wanted;
    return true;
}

/* What was put into the buffer since `from` becomes a section. */
static void end_section(struct part_writer *writer, size_t from, enum section_kind kind,
                        uint32_t property, enum value_type type)
{
    void *sections = writer->head.sections;
    if (writer->err.code)
        return;
    struct err err = buf_err(&writer->image);
    if (!err.code && !grow(&sections, writer->head.section_count, &writer->section_cap,
                           sizeof(struct part_section)))
        err = err_new(ERR_NOMEM, "store: write a part");
    writer->head.sections = sections;
    if (err.code) {
        fail(writer, err);
        return;
    }
    struct bytes content = bytes_of(writer->image.ptr + from, writer->image.len - from);
    uint64_t offset = writer->written + from;
    writer->head.sections[writer->head.section_count++] = (struct part_section){
        .kind = kind,
        .type = type,
        .property = property,
        .offset = offset,
        .size = content.len,
        .checksum = part_checksum(writer->head.number, offset, content),
    };
    if (writer->image.len >= WRITE_BYTES)
        flush(writer);
}

static void put_ascending(struct part_writer *writer, enum section_kind kind,
                          const uint32_t *values, size_t count)
{
    size_t from = writer->image.len;
    ints_put_ascending(&writer->image, values, count);
    end_section(writer, from, kind, 0, VALUE_NULL);
}

static void put_packed32(struct part_writer *writer, enum section_kind kind, const uint32_t *values,
                         size_t count)
{
    size_t from = writer->image.len;
    ints_put_packed32(&writer->image, values, count);
    end_section(writer, from, kind, 0, VALUE_NULL);
}

/* --- tables ------------------------------------------------------------------------------- */

static void put_days(struct part_writer *writer, const struct part_rows *rows)
{
    uint32_t events[MONTH_DAYS_MAX];
    uint32_t users[MONTH_DAYS_MAX];
    size_t from = writer->image.len;
    count_days(writer, rows, events, users);
    buf_put_le32(&writer->image, SECTION_PLAIN);
    buf_put_le32(&writer->image, (uint32_t)writer->first_day);
    buf_put_le32(&writer->image, writer->days);
    for (uint32_t i = 0; i < writer->days; i++)
        buf_put_le32(&writer->image, events[i]);
    for (uint32_t i = 0; i < writer->days; i++)
        buf_put_le32(&writer->image, users[i]);
    end_section(writer, from, SECTION_DAYS, 0, VALUE_NULL);
}

static bool begin_table(struct part_writer *writer, const struct part_rows *rows)
{
    struct part_head *head = &writer->head;
    void *tables = head->tables;
    if (writer->err.code)
        return false;
    assert(rows->users > 0 && rows->events >= rows->users);
    assert(head->table_count == 0 || head->tables[head->table_count - 1].event < rows->event);
    if (rows->events > UINT32_MAX - head->events || head->table_count == PART_TABLES_MAX) {
        fail(writer, err_new(ERR_LIMIT, "store: too much for one part"));
        return false;
    }
    bool has_room = grow(&tables, head->table_count, &writer->table_cap, sizeof(struct part_table));
    head->tables = tables;
    if (!has_room)
        fail(writer, err_new(ERR_NOMEM, "store: write a part"));
    return has_room;
}

static void note_seqs(struct part_writer *writer, const struct part_rows *rows)
{
    uint64_t first = writer->head.first_seq;
    uint64_t last = writer->head.last_seq;
    for (uint32_t i = 0; i < rows->events; i++) {
        first = rows->seq[i] < first ? rows->seq[i] : first;
        last = rows->seq[i] > last ? rows->seq[i] : last;
    }
    writer->head.first_seq = first;
    writer->head.last_seq = last;
}

/* Packed now, or, where the smallest is wanted, when the part's clock can be made: then only the
 * section's entry is here. */
static void put_seqs(struct part_writer *writer, const struct part_rows *rows)
{
    void *late = writer->late;
    size_t from = writer->image.len;
    if (!writer->is_small)
        ints_put_packed64(&writer->image, rows->seq, rows->events);
    end_section(writer, from, SECTION_SEQS, 0, VALUE_NULL);
    if (!writer->is_small || writer->err.code)
        return;
    if (!grow(&late, writer->head.table_count, &writer->late_cap, sizeof *writer->late))
        fail(writer, err_new(ERR_NOMEM, "store: write a part"));
    writer->late = late;
    if (writer->err.code)
        return;
    writer->late[writer->head.table_count] = (struct part_late){
        .section = writer->head.section_count - 1,
        .events = rows->events,
        .time = rows->time,
        .seq = rows->seq,
    };
}

/* The smaller of: as they are; as distances to the clock. True: the clock is used. */
static bool put_late(struct part_writer *writer, const struct part_late *late,
                     const struct seq_clock *clock)
{
    size_t from = writer->image.len;
    int64_t *distances = scratch(writer, late->events, 8);
    if (!distances)
        return false;
    for (uint32_t i = 0; i < late->events; i++)
        distances[i] = (int64_t)(late->seq[i] - seq_clock_guess(clock, late->time[i]));
    ints_put_blocks64(&writer->image, (const int64_t *)late->seq, late->events);
    size_t plain = writer->image.len - from;
    ints_put_clocked(&writer->image, distances, late->events);
    size_t clocked = writer->image.len - from - plain;
    if (writer->image.is_failed)
        return false;
    bool is_clocked = clocked < plain;
    if (is_clocked)
        memmove(writer->image.ptr + from, writer->image.ptr + from + plain, clocked);
    writer->image.len = from + (is_clocked ? clocked : plain);
    return is_clocked;
}

static void make_clock(struct part_writer *writer, struct seq_clock *clock)
{
    const struct part_head *head = &writer->head;
    uint32_t last_time = 0;
    for (uint32_t t = 0; t < head->table_count; t++)
        if (head->tables[t].last_time > last_time)
            last_time = head->tables[t].last_time;
    clock->shift = seq_clock_shift(last_time, head->events);
    clock->count = (last_time >> clock->shift) + 2;
    clock->marks = scratch(writer, clock->count, 8);
    if (!clock->marks)
        return;
    seq_clock_clear(clock);
    for (uint32_t t = 0; t < head->table_count; t++)
        seq_clock_see(clock, writer->late[t].time, writer->late[t].seq, writer->late[t].events);
    seq_clock_settle(clock, head->last_seq);
}

/* The seqs of all tables, and the clock that they are told by. */
static void put_late_seqs(struct part_writer *writer)
{
    struct seq_clock clock = { 0 };
    struct part_head *head = &writer->head;
    bool is_used = false;
    make_clock(writer, &clock);
    for (uint32_t t = 0; t < head->table_count && !writer->err.code; t++) {
        size_t from = writer->image.len;
        is_used |= put_late(writer, &writer->late[t], &clock);
        end_section(writer, from, SECTION_SEQS, 0, VALUE_NULL);
        if (!writer->err.code)
            head->sections[writer->late[t].section] = head->sections[--head->section_count];
    }
    if (is_used && !writer->err.code) {
        size_t from = writer->image.len;
        seq_clock_put(&clock, &writer->image);
        end_section(writer, from, SECTION_CLOCK, 0, VALUE_NULL);
    }
    arena_reset(&writer->scratch);
}

void part_writer_table(struct part_writer *writer, const struct part_rows *rows)
{
    if (!begin_table(writer, rows))
        return;
    struct part_head *head = &writer->head;
    struct part_table table = {
        .event = rows->event,
        .users = rows->users,
        .events = rows->events,
        .first_time = UINT32_MAX,
        .section = head->section_count,
    };
    for (uint32_t i = 0; i < rows->events; i++) {
        table.first_time = rows->time[i] < table.first_time ? rows->time[i] : table.first_time;
        table.last_time = rows->time[i] > table.last_time ? rows->time[i] : table.last_time;
    }
    head->events += rows->events;
    writer->table_rows = rows->events;
    writer->table_users = rows->users;
    writer->table_start = rows->start;
    note_seqs(writer, rows);

    put_ascending(writer, SECTION_RUN_ROWS, rows->row, rows->users);
    put_ascending(writer, SECTION_RUN_STARTS, rows->start, rows->users);
    put_packed32(writer, SECTION_TIMES, rows->time, rows->events);
    put_seqs(writer, rows);
    if (rows->origin)
        put_packed32(writer, SECTION_ORIGINS, rows->origin, rows->events);
    if (writer->zone && !writer->err.code)
        put_days(writer, rows);
    table.section_count = head->section_count - table.section;
    head->tables[head->table_count++] = table;
}

/* --- columns ---------------------------------------------------------------------------------- */

/* How many are present, and the bitmap when not all are. */
static uint32_t put_presence(struct part_writer *writer, uint32_t property, enum value_type type,
                             const uint64_t *present)
{
    uint32_t events = writer->table_rows;
    size_t words = bits_words(events);
    uint32_t count = present ? (uint32_t)bits_count(present, words) : events;
    if (count == 0 || count == events)
        return count;
    size_t from = writer->image.len;
    buf_put(&writer->image, bytes_of(present, words * 8));
    end_section(writer, from, SECTION_PRESENCE, property, type);
    return count;
}

static const uint64_t *dense64(struct part_writer *writer, const uint64_t *values,
                               const uint64_t *present, uint32_t count)
{
    if (count == writer->table_rows)
        return values;
    uint64_t *dense = scratch(writer, count, 8);
    uint32_t to = 0;
    for (uint32_t i = 0; dense && i < writer->table_rows; i++) {
        dense[to] = values[i];
        to += bits_has(present, i);
    }
    return dense;
}

static const uint32_t *dense32(struct part_writer *writer, const uint32_t *values,
                               const uint64_t *present, uint32_t count)
{
    uint32_t *dense = scratch(writer, count, 4);
    if (!dense)
        return NULL;
    if (count == writer->table_rows) {
        memcpy(dense, values, (size_t)count * 4);
        return dense;
    }
    uint32_t to = 0;
    for (uint32_t i = 0; i < writer->table_rows; i++) {
        dense[to] = values[i];
        to += bits_has(present, i);
    }
    return dense;
}

/* What was put since `from` are the column's values; where one a user and exceptions are smaller,
 * they take its place. */
static void try_sticky(struct part_writer *writer, size_t from, enum sticky_values kind,
                       const void *values, uint32_t count)
{
    struct sticky_table table = {
        .kind = kind,
        .values = values,
        .start = writer->table_start,
        .users = writer->table_users,
    };
    size_t end = writer->image.len;
    if (!writer->is_small || count != writer->table_rows || writer->table_users == count ||
        writer->image.is_failed || !sticky_put(&writer->image, &table, &writer->scratch))
        return;
    size_t size = writer->image.len - end;
    bool is_smaller = size < end - from;
    if (is_smaller)
        memmove(writer->image.ptr + from, writer->image.ptr + end, size);
    writer->image.len = is_smaller ? from + size : end;
}

static void put_numbers(struct part_writer *writer, uint32_t property, enum value_type type,
                        const struct store_column *column, uint32_t count)
{
    const uint64_t *values =
        dense64(writer, (const uint64_t *)column->integers, column->present, count);
    size_t from = writer->image.len;
    if (!values)
        return;
    if (type == VALUE_REAL && writer->is_small)
        ints_put_reals(&writer->image, (const double *)values, count);
    else if (type == VALUE_REAL)
        ints_put_raw64(&writer->image, values, count);
    else if (writer->is_small)
        ints_put_blocks64(&writer->image, (const int64_t *)values, count);
    else
        ints_put_packed64(&writer->image, values, count);
    try_sticky(writer, from, type == VALUE_REAL ? STICKY_REALS : STICKY_INTEGERS, values, count);
    end_section(writer, from, SECTION_VALUES, property, type);
}

static void put_codes(struct part_writer *writer, uint32_t property, enum value_type type,
                      const uint32_t *codes, uint32_t count)
{
    size_t from = writer->image.len;
    if (writer->is_small)
        ints_put_blocks32(&writer->image, codes, count);
    else
        ints_put_packed32(&writer->image, codes, count);
    try_sticky(writer, from, STICKY_CODES, codes, count);
    end_section(writer, from, SECTION_VALUES, property, type);
}

struct text_order {
    const struct bytes *texts;
    const uint64_t
        *prefixes; /* 8 bytes behind what all share, as a number that compares like them */
};

static size_t shared_length(struct bytes a, struct bytes b, size_t most)
{
    size_t length = 0;
    most = a.len < most ? a.len : most;
    most = b.len < most ? b.len : most;
    while (length < most && a.ptr[length] == b.ptr[length])
        length++;
    return length;
}

static uint64_t text_prefix(struct bytes text, size_t skip)
{
    uint8_t first[8] = { 0 };
    size_t left = text.len - skip;
    if (left > 0)
        memcpy(first, text.ptr + skip, left < 8 ? left : 8);
    return __builtin_bswap64(load_le64(first));
}

static int compare_texts(const void *ctx, uint32_t a, uint32_t b)
{
    const struct text_order *order = ctx;
    if (order->prefixes[a] != order->prefixes[b])
        return order->prefixes[a] < order->prefixes[b] ? -1 : 1;
    return bytes_compare(order->texts[a], order->texts[b]);
}

/* Texts section of those used, sorted, once each; map[old code] becomes the new one. */
static void put_texts(struct part_writer *writer, uint32_t property, enum value_type type,
                      const struct store_column *column, const uint8_t *is_used, uint32_t *map)
{
    uint32_t total = column->text_count;
    uint32_t *order = scratch(writer, total, 4);
    uint32_t *spare = scratch(writer, total, 4);
    uint64_t *prefixes = scratch(writer, total, 8);
    if (!order || !spare || !prefixes)
        return;
    uint32_t count = 0;
    size_t skip = SIZE_MAX;
    for (uint32_t i = 0; i < total; i++) {
        if (!is_used[i])
            continue;
        order[count++] = i;
        skip = shared_length(column->texts[i], column->texts[order[0]], skip);
    }
    for (uint32_t i = 0; i < count; i++)
        prefixes[order[i]] = text_prefix(column->texts[order[i]], skip);
    struct text_order ctx = { .texts = column->texts, .prefixes = prefixes };
    sort_numbers(order, spare, count, compare_texts, &ctx);

    uint32_t unique = 0;
    uint64_t size = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (i == 0 || compare_texts(&ctx, spare[unique - 1], order[i]) != 0) {
            spare[unique++] = order[i];
            size += column->texts[order[i]].len;
        }
        map[order[i]] = unique - 1;
    }
    if (size > UINT32_MAX) {
        fail(writer, err_new(ERR_LIMIT, "store: more text than one part holds"));
        return;
    }
    struct bytes *sorted = scratch(writer, unique, sizeof *sorted);
    if (!sorted)
        return;
    for (uint32_t i = 0; i < unique; i++)
        sorted[i] = column->texts[spare[i]];
    size_t from = writer->image.len;
    texts_put(&writer->image, sorted, unique, writer->is_small);
    end_section(writer, from, SECTION_TEXTS, property, type);
}

static uint8_t *new_flags(struct part_writer *writer, uint32_t count)
{
    uint8_t *flags = scratch(writer, count, 1);
    if (flags)
        memset(flags, 0, count);
    return flags;
}

static void put_strings(struct part_writer *writer, uint32_t property,
                        const struct store_column *column, uint32_t count)
{
    const uint32_t *dense = dense32(writer, column->codes, column->present, count);
    uint8_t *is_used = new_flags(writer, column->text_count);
    uint32_t *map = scratch(writer, column->text_count, 4);
    uint32_t *codes = scratch(writer, count, 4);
    if (writer->err.code)
        return;
    for (uint32_t i = 0; i < count; i++)
        is_used[dense[i]] = 1;
    put_texts(writer, property, VALUE_STRING, column, is_used, map);
    if (writer->err.code)
        return;
    for (uint32_t i = 0; i < count; i++)
        codes[i] = map[dense[i]];
    put_codes(writer, property, VALUE_STRING, codes, count);
}

struct list_order {
    const uint32_t *start;
    const uint32_t *items; /* new codes */
};

static int compare_lists(const void *ctx, uint32_t a, uint32_t b)
{
    const struct list_order *order = ctx;
    uint32_t i = order->start[a];
    uint32_t j = order->start[b];
    for (; i < order->start[a + 1] && j < order->start[b + 1]; i++, j++)
        if (order->items[i] != order->items[j])
            return order->items[i] < order->items[j] ? -1 : 1;
    return (i < order->start[a + 1]) - (j < order->start[b + 1]);
}

/* Lists section of those used; map[old list] becomes the new one. */
static void put_list_section(struct part_writer *writer, uint32_t property,
                             const struct list_order *lists, const uint8_t *is_used, uint32_t total,
                             uint32_t *map)
{
    uint32_t *order = scratch(writer, total, 4);
    uint32_t *spare = scratch(writer, total, 4);
    if (!order || !spare)
        return;
    uint32_t count = 0;
    for (uint32_t i = 0; i < total; i++)
        if (is_used[i])
            order[count++] = i;
    sort_numbers(order, spare, count, compare_lists, lists);
    uint32_t unique = 0;
    uint32_t items = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (i == 0 || compare_lists(lists, spare[unique - 1], order[i]) != 0) {
            spare[unique++] = order[i];
            items += lists->start[order[i] + 1] - lists->start[order[i]];
        }
        map[order[i]] = unique - 1;
    }
    size_t from = writer->image.len;
    buf_put_le32(&writer->image, SECTION_PLAIN);
    buf_put_le32(&writer->image, unique);
    buf_put_le32(&writer->image, items);
    uint32_t end = 0;
    for (uint32_t i = 0; i < unique; i++) {
        end += lists->start[spare[i] + 1] - lists->start[spare[i]];
        buf_put_le32(&writer->image, end);
    }
    for (uint32_t i = 0; i < unique; i++)
        buf_put(&writer->image,
                bytes_of(lists->items + lists->start[spare[i]],
                         (size_t)(lists->start[spare[i] + 1] - lists->start[spare[i]]) * 4));
    end_section(writer, from, SECTION_LISTS, property, VALUE_LIST);
}

static void put_lists(struct part_writer *writer, uint32_t property,
                      const struct store_column *column, uint32_t count)
{
    const uint32_t *dense = dense32(writer, column->codes, column->present, count);
    uint32_t lists = 0;
    for (uint32_t i = 0; dense && i < count; i++)
        lists = dense[i] >= lists ? dense[i] + 1 : lists;
    uint32_t item_count = lists ? column->list_start[lists] : 0;
    uint8_t *list_used = new_flags(writer, lists);
    uint8_t *text_used = new_flags(writer, column->text_count);
    uint32_t *text_map = scratch(writer, column->text_count, 4);
    uint32_t *list_map = scratch(writer, lists, 4);
    uint32_t *items = scratch(writer, item_count, 4);
    uint32_t *codes = scratch(writer, count, 4);
    if (writer->err.code)
        return;
    for (uint32_t i = 0; i < count; i++)
        list_used[dense[i]] = 1;
    for (uint32_t l = 0; l < lists; l++)
        for (uint32_t i = column->list_start[l]; list_used[l] && i < column->list_start[l + 1]; i++)
            text_used[column->items[i]] = 1;
    put_texts(writer, property, VALUE_LIST, column, text_used, text_map);
    if (writer->err.code)
        return;
    for (uint32_t l = 0; l < lists; l++)
        for (uint32_t i = column->list_start[l]; list_used[l] && i < column->list_start[l + 1]; i++)
            items[i] = text_map[column->items[i]];
    struct list_order order = { .start = column->list_start, .items = items };
    put_list_section(writer, property, &order, list_used, lists, list_map);
    if (writer->err.code)
        return;
    for (uint32_t i = 0; i < count; i++)
        codes[i] = list_map[dense[i]];
    put_codes(writer, property, VALUE_LIST, codes, count);
}

void part_writer_column(struct part_writer *writer, uint32_t property, enum value_type type,
                        const struct store_column *column)
{
    if (writer->err.code)
        return;
    assert(writer->head.table_count > 0 && type > VALUE_NULL && type < VALUE_TYPES);
    struct part_table *table = &writer->head.tables[writer->head.table_count - 1];
    uint32_t count = put_presence(writer, property, type, column->present);
    if (count > 0 && type == VALUE_STRING)
        put_strings(writer, property, column, count);
    else if (count > 0 && type == VALUE_LIST)
        put_lists(writer, property, column, count);
    else if (count > 0)
        put_numbers(writer, property, type, column, count);
    arena_reset(&writer->scratch);
    table->section_count = writer->head.section_count - table->section;
}

/* --- order, directory, header -------------------------------------------------------------- */

/* The shared sections were made last but stand first in the directory. */
static void move_shared_first(struct part_writer *writer, uint32_t first_shared)
{
    struct part_head *head = &writer->head;
    struct part_section shared[4];
    uint32_t count = head->section_count - first_shared;
    assert(count <= 4);
    memcpy(shared, head->sections + first_shared, count * sizeof *shared);
    memmove(head->sections + count, head->sections, first_shared * sizeof *shared);
    memcpy(head->sections, shared, count * sizeof *shared);
    head->shared_sections = count;
    for (uint32_t i = 0; i < head->table_count; i++)
        head->tables[i].section += count;
}

void part_writer_order(struct part_writer *writer, uint32_t users, const uint32_t *row,
                       const uint32_t *start, const uint32_t *codes)
{
    struct part_head *head = &writer->head;
    if (writer->err.code)
        return;
    assert(users > 0 && start[users] == head->events);
    head->users = users;
    head->first_row = row[0];
    head->last_row = row[users - 1];
    uint32_t first_shared = head->section_count;
    if (writer->is_small)
        put_late_seqs(writer);
    put_ascending(writer, SECTION_DIR_ROWS, row, users);
    put_ascending(writer, SECTION_DIR_STARTS, start, users);
    put_packed32(writer, SECTION_ORDER, codes, head->events);
    if (!writer->err.code)
        move_shared_first(writer, first_shared);
}

static void put_directory(struct part_writer *writer)
{
    struct buf *to = &writer->image;
    for (uint32_t i = 0; i < writer->head.table_count; i++) {
        const struct part_table *table = &writer->head.tables[i];
        buf_put_le32(to, table->event);
        buf_put_le32(to, table->users);
        buf_put_le32(to, table->events);
        buf_put_le32(to, table->first_time);
        buf_put_le32(to, table->last_time);
        buf_put_le32(to, table->section);
        buf_put_le32(to, table->section_count);
        buf_put_le32(to, 0);
    }
    for (uint32_t i = 0; i < writer->head.section_count; i++) {
        const struct part_section *section = &writer->head.sections[i];
        buf_put_u8(to, (uint8_t)section->kind);
        buf_put_u8(to, (uint8_t)section->type);
        buf_put_le16(to, 0);
        buf_put_le32(to, section->property);
        buf_put_le64(to, section->offset);
        buf_put_le64(to, section->size);
        buf_put_le64(to, section->checksum);
    }
    struct bytes zone = bytes_from(writer->zone ? zone_name(writer->zone) : "");
    buf_put_u8(to, (uint8_t)zone.len);
    buf_put(to, zone);
}

static void make_header(const struct part_writer *writer, uint64_t dir_offset, uint64_t dir_size,
                        uint64_t dir_sum, uint8_t *to)
{
    const struct part_head *head = &writer->head;
    memset(to, 0, PART_HEADER_SIZE);
    memcpy(to, PART_MAGIC, 8);
    store_le64(to + 8, head->number);
    store_le32(to + 16, head->shard);
    store_le32(to + 20, head->shards);
    store_le32(to + 24, (uint32_t)head->month);
    store_le32(to + 28, head->users);
    store_le32(to + 32, head->events);
    store_le32(to + 36, head->first_row);
    store_le32(to + 40, head->last_row);
    store_le64(to + 48, head->first_seq);
    store_le64(to + 56, head->last_seq);
    store_le32(to + 64, head->table_count);
    store_le32(to + 68, head->section_count);
    store_le32(to + 72, head->shared_sections);
    store_le64(to + 80, dir_offset);
    store_le64(to + 88, dir_size);
    store_le64(to + 96, dir_sum);
    store_le64(to + 104, dir_offset + dir_size);
    store_le64(to + PART_HEADER_SIZE - 8, part_header_sum(bytes_of(to, PART_HEADER_SIZE)));
}

struct err part_writer_finish(struct part_writer *writer, uint8_t **image_out, uint64_t *size_out)
{
    size_t from = writer->image.len;
    uint64_t offset = writer_end(writer);
    put_directory(writer);
    fail(writer, buf_err(&writer->image));
    if (writer->err.code)
        return writer->err;
    struct bytes directory = bytes_of(writer->image.ptr + from, writer->image.len - from);
    uint8_t header[PART_HEADER_SIZE];
    make_header(writer, offset, directory.len,
                part_checksum(writer->head.number, offset, directory), header);
    writer->header_sum = load_le64(header + PART_HEADER_SIZE - 8);
    *size_out = offset + directory.len;

    if (!writer->file) {
        memcpy(writer->image.ptr, header, sizeof header);
        size_t len = 0;
        uint8_t *image = buf_take(&writer->image, &len);
        uint8_t *shrunk = realloc(image, len);
        *image_out = shrunk ? shrunk : image;
        return ok();
    }
    flush(writer);
    if (!writer->err.code)
        fail(writer, file_write(writer->file, 0, bytes_of(header, sizeof header)));
    return writer->err;
}

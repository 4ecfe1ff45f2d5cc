/*
 * tail_seal.c - from rows in order of arrival to sorted parts.
 *
 * For each month: its rows are sorted by user (a radix sort that keeps the order of arrival), then
 * each user's by (time, seq, event type); mostly they are in that order already. This is the order
 * column; split by event type it is the order of each mini-table.
 */
#include "base/bits.h"
#include "store/sort.h"
#include "store/tail_internal.h"

#include <stdlib.h>

enum { RADIX_BITS = 11, RADIX_SIZE = 1 << RADIX_BITS, RADIX_LEAST = 512, ARENA_SHIFT = 34 };

struct sealer {
    struct tail *tail;
    struct arena arena; /* of one part */
    struct part_writer writer;
    uint32_t *text_at; /* by text: its local code while a column is made, else UINT32_MAX */
    uint32_t *list_at;
    int64_t base_ms;
};

static struct err no_memory(void)
{
    return err_new(ERR_NOMEM, "store: seal");
}

/* --- order ---------------------------------------------------------------------------- */

static int compare_months(const void *ctx, uint32_t a, uint32_t b)
{
    const struct tail *tail = ctx;
    int32_t left = tail->entries[a].month;
    int32_t right = tail->entries[b].month;
    return (left > right) - (left < right);
}

static int compare_in_user(const void *ctx, uint32_t a, uint32_t b)
{
    const struct tail *tail = ctx;
    const struct tail_entry *left = &tail->entries[a];
    const struct tail_entry *right = &tail->entries[b];
    const struct tail_table *left_table = &tail->tables[left->table];
    const struct tail_table *right_table = &tail->tables[right->table];
    int64_t left_time = left_table->time[left->index];
    int64_t right_time = right_table->time[right->index];
    if (left_time != right_time)
        return left_time < right_time ? -1 : 1;
    uint64_t left_seq = left_table->seq[left->index];
    uint64_t right_seq = right_table->seq[right->index];
    if (left_seq != right_seq)
        return left_seq < right_seq ? -1 : 1;
    return (left_table->event > right_table->event) - (left_table->event < right_table->event);
}

static int compare_rows(const void *ctx, uint32_t a, uint32_t b)
{
    const struct tail *tail = ctx;
    uint32_t left = tail->entries[a].row;
    uint32_t right = tail->entries[b].row;
    return (left > right) - (left < right);
}

static void radix_sort(const struct tail *tail, uint32_t *items, uint32_t *spare, uint32_t count)
{
    uint32_t all = 0;
    for (uint32_t i = 0; i < count; i++)
        all |= tail->entries[items[i]].row;
    uint32_t *from = items;
    uint32_t *to = spare;
    for (unsigned shift = 0; shift < 32 && all >> shift; shift += RADIX_BITS) {
        uint32_t at[RADIX_SIZE + 1] = { 0 };
        for (uint32_t i = 0; i < count; i++)
            at[(tail->entries[from[i]].row >> shift & (RADIX_SIZE - 1)) + 1]++;
        for (uint32_t d = 0; d < RADIX_SIZE; d++)
            at[d + 1] += at[d];
        for (uint32_t i = 0; i < count; i++)
            to[at[tail->entries[from[i]].row >> shift & (RADIX_SIZE - 1)]++] = from[i];
        uint32_t *swap = from;
        from = to;
        to = swap;
    }
    if (from != items)
        memcpy(items, from, count * sizeof *items);
}

/* By user, then by (time, seq, event type), then by arrival. */
static void sort_rows(const struct tail *tail, uint32_t *items, uint32_t *spare, uint32_t count)
{
    if (count >= RADIX_LEAST)
        radix_sort(tail, items, spare, count);
    else
        sort_numbers(items, spare, count, compare_rows, tail);
    for (uint32_t i = 0; i < count;) {
        uint32_t end = i + 1;
        while (end < count && tail->entries[items[end]].row == tail->entries[items[i]].row)
            end++;
        if (end - i > 1)
            sort_numbers(items + i, spare, end - i, compare_in_user, tail);
        i = end;
    }
}

/* --- columns --------------------------------------------------------------------------- */

/* The local code of a text that a column uses, given to it at first sight. */
static uint32_t local_text(struct sealer *s, uint32_t text, uint32_t *used, struct bytes *texts,
                           uint32_t *count)
{
    if (s->text_at[text] == UINT32_MAX) {
        texts[*count] = intern_get(s->tail->texts, text);
        used[*count] = text;
        s->text_at[text] = (*count)++;
    }
    return s->text_at[text];
}

static struct err fill_strings(struct sealer *s, const struct tail_column *from,
                               const uint32_t *slot, uint32_t *codes, struct store_column *column)
{
    uint32_t *used = arena_alloc(&s->arena, (size_t)from->count * 4);
    struct bytes *texts = arena_alloc(&s->arena, from->count * sizeof *texts);
    if (!used || !texts)
        return no_memory();
    uint32_t count = 0;
    for (uint32_t k = 0; k < from->count; k++) {
        uint32_t to = slot[from->index[k]];
        if (to != UINT32_MAX)
            codes[to] = local_text(s, (uint32_t)from->value[k], used, texts, &count);
    }
    for (uint32_t i = 0; i < count; i++)
        s->text_at[used[i]] = UINT32_MAX;
    column->codes = codes;
    column->texts = texts;
    column->text_count = count;
    return ok();
}

/* The lists that the rows of this part use: their numbers, in order of first sight. */
static uint32_t used_lists(struct sealer *s, const struct tail_column *from, const uint32_t *slot,
                           uint32_t *codes, uint32_t *used, size_t *items_out)
{
    uint32_t count = 0;
    size_t items = 0;
    for (uint32_t k = 0; k < from->count; k++) {
        uint32_t to = slot[from->index[k]];
        uint32_t list = (uint32_t)from->value[k];
        if (to == UINT32_MAX)
            continue;
        if (s->list_at[list] == UINT32_MAX) {
            items += intern_get(s->tail->lists, list).len / 4;
            used[count] = list;
            s->list_at[list] = count++;
        }
        codes[to] = s->list_at[list];
    }
    for (uint32_t i = 0; i < count; i++)
        s->list_at[used[i]] = UINT32_MAX;
    *items_out = items;
    return count;
}

static struct err fill_lists(struct sealer *s, const struct tail_column *from, const uint32_t *slot,
                             uint32_t *codes, struct store_column *column)
{
    size_t item_count = 0;
    uint32_t *lists = arena_alloc(&s->arena, (size_t)from->count * 4);
    if (!lists)
        return no_memory();
    uint32_t count = used_lists(s, from, slot, codes, lists, &item_count);
    uint32_t *start = arena_alloc(&s->arena, (count + (size_t)1) * 4);
    uint32_t *items = arena_alloc(&s->arena, item_count * 4);
    uint32_t *used = arena_alloc(&s->arena, item_count * 4);
    struct bytes *texts = arena_alloc(&s->arena, item_count * sizeof *texts);
    if (!start || !items || !used || !texts)
        return no_memory();
    uint32_t text_count = 0;
    uint32_t at = 0;
    for (uint32_t l = 0; l < count; l++) {
        struct bytes list = intern_get(s->tail->lists, lists[l]);
        start[l] = at;
        for (size_t i = 0; i < list.len / 4; i++)
            items[at++] = local_text(s, load_le32(list.ptr + 4 * i), used, texts, &text_count);
    }
    start[count] = at;
    for (uint32_t i = 0; i < text_count; i++)
        s->text_at[used[i]] = UINT32_MAX;
    column->codes = codes;
    column->list_start = start;
    column->items = items;
    column->texts = texts;
    column->text_count = text_count;
    return ok();
}

/* slot[index in the tail's table] is the row in the part, or UINT32_MAX. */
static struct err seal_column(struct sealer *s, const struct tail_column *from,
                              const uint32_t *slot, uint32_t events)
{
    struct store_column column = { 0 };
    uint64_t *present = arena_calloc(&s->arena, bits_words(events), 8);
    uint64_t *values = arena_calloc(&s->arena, events, 8);
    if (!present || !values)
        return no_memory();
    uint32_t count = 0;
    for (uint32_t k = 0; k < from->count; k++) {
        uint32_t to = slot[from->index[k]];
        if (to == UINT32_MAX)
            continue;
        bits_add(present, to);
        values[to] = from->value[k];
        count++;
    }
    if (count == 0)
        return ok();
    column.present = count < events ? present : NULL;
    column.integers = (const int64_t *)values;
    struct err err = ok();
    if (from->type == VALUE_STRING)
        err = fill_strings(s, from, slot, (uint32_t *)values, &column);
    else if (from->type == VALUE_LIST)
        err = fill_lists(s, from, slot, (uint32_t *)values, &column);
    if (!err.code)
        part_writer_column(&s->writer, from->property, from->type, &column);
    return err.code ? err : s->writer.err;
}

/* --- tables ------------------------------------------------------------------------------- */

/* `items`: the entries of this table and month in their order. */
static struct err seal_table(struct sealer *s, const struct tail_table *table,
                             const uint32_t *items, uint32_t count)
{
    const struct tail_entry *entries = s->tail->entries;
    uint32_t *slot = arena_alloc(&s->arena, (size_t)table->count * 4);
    uint32_t *row = arena_alloc(&s->arena, (size_t)count * 4);
    uint32_t *start = arena_alloc(&s->arena, (count + (size_t)1) * 4);
    uint32_t *time = arena_alloc(&s->arena, (size_t)count * 4);
    uint64_t *seq = arena_alloc(&s->arena, (size_t)count * 8);
    uint32_t *origin = arena_alloc(&s->arena, (size_t)count * 4);
    if (!slot || !row || !start || !time || !seq || !origin)
        return no_memory();
    memset(slot, 0xff, (size_t)table->count * 4);
    uint32_t users = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct tail_entry *entry = &entries[items[i]];
        if (users == 0 || row[users - 1] != entry->row) {
            row[users] = entry->row;
            start[users++] = i;
        }
        slot[entry->index] = i;
        time[i] = (uint32_t)(table->time[entry->index] - s->base_ms);
        seq[i] = table->seq[entry->index];
        origin[i] = table->origin[entry->index];
    }
    start[users] = count;
    struct part_rows rows = {
        .event = table->event,
        .users = users,
        .events = count,
        .row = row,
        .start = start,
        .time = time,
        .seq = seq,
        .origin = table->has_foreign ? origin : NULL,
    };
    part_writer_table(&s->writer, &rows);
    struct err err = s->writer.err;
    for (uint32_t c = 0; c < table->column_count && !err.code; c++)
        err = seal_column(s, &table->columns[c], slot, count);
    return err;
}

static int compare_events(const void *ctx, uint32_t a, uint32_t b)
{
    const struct tail *tail = ctx;
    uint32_t left = tail->tables[a].event;
    uint32_t right = tail->tables[b].event;
    return (left > right) - (left < right);
}

struct split {
    uint32_t *tables; /* used by this month, ascending by event type */
    uint32_t count;
    uint32_t *code_of; /* by table: its place in `tables` */
    uint32_t *begin;   /* [count + 1] of each table's entries in `items` */
    uint32_t *items;
};

static struct err split_by_table(struct sealer *s, const uint32_t *sorted, uint32_t count,
                                 struct split *out)
{
    const struct tail *tail = s->tail;
    uint32_t *counts = arena_calloc(&s->arena, tail->table_count, 4);
    uint32_t *spare = arena_alloc(&s->arena, (size_t)tail->table_count * 4);
    out->tables = arena_alloc(&s->arena, (size_t)tail->table_count * 4);
    out->code_of = arena_alloc(&s->arena, (size_t)tail->table_count * 4);
    out->begin = arena_alloc(&s->arena, (tail->table_count + (size_t)1) * 4);
    out->items = arena_alloc(&s->arena, (size_t)count * 4);
    if (!counts || !spare || !out->tables || !out->code_of || !out->begin || !out->items)
        return no_memory();
    for (uint32_t i = 0; i < count; i++)
        counts[tail->entries[sorted[i]].table]++;
    out->count = 0;
    for (uint32_t t = 0; t < tail->table_count; t++)
        if (counts[t] > 0)
            out->tables[out->count++] = t;
    sort_numbers(out->tables, spare, out->count, compare_events, tail);
    uint32_t at = 0;
    for (uint32_t c = 0; c < out->count; c++) {
        out->code_of[out->tables[c]] = c;
        out->begin[c] = at;
        spare[c] = at;
        at += counts[out->tables[c]];
    }
    out->begin[out->count] = at;
    for (uint32_t i = 0; i < count; i++)
        out->items[spare[out->code_of[tail->entries[sorted[i]].table]]++] = sorted[i];
    return ok();
}

static struct err seal_order(struct sealer *s, const struct split *split, const uint32_t *sorted,
                             uint32_t count)
{
    const struct tail_entry *entries = s->tail->entries;
    uint32_t *row = arena_alloc(&s->arena, (size_t)count * 4);
    uint32_t *start = arena_alloc(&s->arena, (count + (size_t)1) * 4);
    uint32_t *codes = arena_alloc(&s->arena, (size_t)count * 4);
    if (!row || !start || !codes)
        return no_memory();
    uint32_t users = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct tail_entry *entry = &entries[sorted[i]];
        if (users == 0 || row[users - 1] != entry->row) {
            row[users] = entry->row;
            start[users++] = i;
        }
        codes[i] = split->code_of[entry->table];
    }
    start[users] = count;
    part_writer_order(&s->writer, users, row, start, codes);
    return s->writer.err;
}

static struct err write_part(struct sealer *s, const uint32_t *sorted, uint32_t count)
{
    struct split split = { 0 };
    struct err err = split_by_table(s, sorted, count, &split);
    for (uint32_t c = 0; c < split.count && !err.code; c++)
        err = seal_table(s, &s->tail->tables[split.tables[c]], split.items + split.begin[c],
                         split.begin[c + 1] - split.begin[c]);
    if (!err.code)
        err = seal_order(s, &split, sorted, count);
    return err;
}

/* One month's entries, in order of arrival, into a part. */
static struct err seal_month(struct sealer *s, const struct part_head *identity,
                             struct part_home *home, uint32_t *items, uint32_t *spare,
                             uint32_t count, struct part **out)
{
    uint8_t *image = NULL;
    uint64_t size = 0;
    sort_rows(s->tail, items, spare, count);
    s->base_ms = civil_month_start_ms(identity->month);
    part_writer_init(&s->writer, identity, NULL, false, NULL);
    struct err err = write_part(s, items, count);
    if (!err.code)
        err = part_writer_finish(&s->writer, &image, &size);
    part_writer_done(&s->writer);
    arena_reset(&s->arena);
    if (err.code)
        return err;
    return part_of_image(home, image, size, out);
}

/* --- whole ----------------------------------------------------------------------------------- */

static void empty(struct tail *tail)
{
    for (uint32_t t = 0; t < tail->table_count; t++) {
        tail->tables[t].count = 0;
        tail->tables[t].has_foreign = false;
        for (uint32_t c = 0; c < tail->tables[t].column_count; c++)
            tail->tables[t].columns[c].count = 0;
    }
    tail->count = 0;
    intern_reset(tail->texts);
    intern_reset(tail->lists);
}

static struct err sealer_init(struct sealer *s, struct tail *tail)
{
    size_t texts = intern_count(tail->texts);
    size_t lists = intern_count(tail->lists);
    *s = (struct sealer){ .tail = tail };
    arena_init(&s->arena, (size_t)1 << ARENA_SHIFT);
    s->text_at = malloc((texts + 1) * 4);
    s->list_at = malloc((lists + 1) * 4);
    if (!s->text_at || !s->list_at)
        return no_memory();
    memset(s->text_at, 0xff, (texts + 1) * 4);
    memset(s->list_at, 0xff, (lists + 1) * 4);
    return ok();
}

static void sealer_done(struct sealer *s)
{
    arena_done(&s->arena);
    free(s->text_at);
    free(s->list_at);
}

struct err tail_seal(struct tail *tail, struct part_home *home, uint32_t shard, uint32_t shards,
                     _Atomic uint64_t *next_number, struct arena *arena, struct part ***parts_out,
                     uint32_t *count_out)
{
    struct sealer s;
    struct err err = sealer_init(&s, tail);
    uint32_t *items = arena_alloc(arena, (size_t)tail->count * 4);
    uint32_t *spare = arena_alloc(arena, (size_t)tail->count * 4);
    if (!err.code && (!items || !spare))
        err = no_memory();
    uint32_t months = 0;
    for (uint32_t i = 0; i < tail->count && !err.code; i++)
        items[i] = i;
    if (!err.code)
        sort_numbers(items, spare, tail->count, compare_months, tail);
    for (uint32_t i = 0; i < tail->count && !err.code; i++)
        months += i == 0 || compare_months(tail, items[i - 1], items[i]) != 0;
    struct part **parts = arena_calloc(arena, months, sizeof(struct part *));
    if (!err.code && !parts)
        err = no_memory();
    uint32_t count = 0;
    for (uint32_t i = 0; i < tail->count && !err.code;) {
        uint32_t end = i;
        while (end < tail->count && compare_months(tail, items[i], items[end]) == 0)
            end++;
        struct part_head identity = {
            .number = atomic_fetch_add(next_number, 1),
            .shard = shard,
            .shards = shards,
            .month = tail->entries[items[i]].month,
        };
        err = seal_month(&s, &identity, home, items + i, spare, end - i, &parts[count]);
        count += !err.code;
        i = end;
    }
    sealer_done(&s);
    if (err.code) {
        while (count > 0)
            part_unref(parts[--count]);
        return err;
    }
    empty(tail);
    *parts_out = parts;
    *count_out = months;
    return ok();
}

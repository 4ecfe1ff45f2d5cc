/*
 * order.c - what each user did, in order: the order columns of one month, as one.
 *
 * A month at rest is one part: its directory and order column are the answer as they lie. With a
 * patch, or with runs, most users are still in one part only, and their codes are copied. Those who
 * are in several are merged by (time, seq, event type), as the parts themselves will be one day: the
 * k-th occurrence of a table's index in a user's order is the k-th row of the user there, so that
 * counting the codes before it says which time to read. Times are read for a window of a table, so
 * that a few such users in a large part cost little.
 */
#include "store/order.h"

#include "base/bits.h"
#include "store/runs.h"

#include <string.h>

enum { WINDOW = 256 };

/* Times of some of a table's rows. */
struct order_window {
    uint32_t first;
    uint32_t count;
    uint32_t times[WINDOW];
    uint64_t seqs[WINDOW];
};

struct order_source {
    struct part *part;
    const struct row_set *skip;
    uint32_t *row;
    uint32_t *start;
    uint32_t *codes;
    uint32_t *map;                 /* from tables to the order's types */
    uint32_t *next;                /* of each table: rows before `counted` */
    uint32_t counted;              /* codes */
    struct order_window **windows; /* of each table; NULL before it's needed */
    /* while a user of several parts is merged: */
    uint32_t at;
    uint32_t end;
    uint32_t index; /* of the event at `at`, in its table */
    uint32_t time;
    uint64_t seq;
};

struct order_build {
    struct arena *arena;
    struct read_counters *counters;
    struct order_source *sources;
    uint32_t source_count;
    uint32_t *types;
    uint32_t type_count;
    uint32_t *row;
    uint32_t *start;
    uint32_t *codes;
    uint32_t users;
    uint32_t events;
};

static struct err no_room(void)
{
    return err_new(ERR_NOMEM, "store: order");
}

static uint32_t shared(struct order_build *b, const struct part *part, enum section_kind kind)
{
    uint32_t section = part_find_section(part, NULL, kind, 0, VALUE_NULL);
    if (section != UINT32_MAX)
        b->counters->bytes += part->head.sections[section].size;
    return section;
}

/* --- reading --------------------------------------------------------------------------- */

static struct err check_source(const struct order_source *source)
{
    const struct part_head *head = &source->part->head;
    bool is_ascending = source->row[head->users - 1] <= head->last_row;
    for (uint32_t i = 1; i < head->users; i++)
        is_ascending &= source->row[i - 1] < source->row[i];
    if (!is_ascending)
        return err_new(ERR_CORRUPT, "store: rows don't ascend");
    uint32_t highest = 0;
    for (uint32_t i = 0; i < head->events; i++)
        highest = source->codes[i] > highest ? source->codes[i] : highest;
    if (highest >= head->table_count)
        return err_new(ERR_CORRUPT, "store: a code of the order column");
    return ok();
}

static struct err read_source(struct order_build *b, struct order_source *source)
{
    struct part *part = source->part;
    const struct part_head *head = &part->head;
    source->row = arena_alloc(b->arena, (size_t)head->users * 4);
    source->start = arena_alloc(b->arena, ((size_t)head->users + 1) * 4);
    source->codes = arena_alloc(b->arena, (size_t)head->events * 4);
    if (!source->row || !source->start || !source->codes)
        return no_room();
    struct err err = part_read32(part, shared(b, part, SECTION_DIR_ROWS), head->users, 0,
                                 head->users, source->row);
    if (!err.code)
        err = part_read_starts(part, shared(b, part, SECTION_DIR_STARTS), head->users, head->events,
                               source->start);
    if (!err.code)
        err = part_read32(part, shared(b, part, SECTION_ORDER), head->events, 0, head->events,
                          source->codes);
    return err.code ? err : check_source(source);
}

/* The window holds the row afterwards. */
static struct err move_window(struct order_build *b, struct order_source *source, uint32_t t,
                              uint32_t index)
{
    struct part *part = source->part;
    const struct part_table *table = &part->head.tables[t];
    struct order_window *window = source->windows[t];
    if (index >= table->events)
        return err_new(ERR_CORRUPT, "store: the order has more events than its table");
    if (!window) {
        window = arena_alloc(b->arena, sizeof *window);
        if (!window)
            return no_room();
        window->count = 0;
        source->windows[t] = window;
    }
    if (window->count > 0 && index >= window->first && index - window->first < window->count)
        return ok();
    uint32_t first = index / WINDOW * WINDOW;
    uint32_t count = table->events - first < WINDOW ? table->events - first : WINDOW;
    window->count = 0;
    struct err err = part_read32(part, part_find_section(part, table, SECTION_TIMES, 0, VALUE_NULL),
                                 table->events, first, count, window->times);
    if (!err.code)
        err = part_read_seqs(part, table, first, count, window->times, window->seqs);
    if (err.code)
        return err;
    window->first = first;
    window->count = count;
    b->counters->bytes += (uint64_t)count * 12;
    return ok();
}

/* --- users of several parts --------------------------------------------------------------- */

static uint32_t type_of(const struct order_source *source)
{
    return source->part->head.tables[source->codes[source->at]].event;
}

/* Reads time and seq of the event at `at`, which is the next of its table. */
static struct err look(struct order_build *b, struct order_source *source)
{
    if (source->at == source->end)
        return ok();
    uint32_t t = source->codes[source->at];
    uint32_t index = source->next[t]++;
    source->counted = source->at + 1;
    struct err err = move_window(b, source, t, index);
    if (err.code)
        return err;
    const struct order_window *window = source->windows[t];
    source->time = window->times[index - window->first];
    source->seq = window->seqs[index - window->first];
    return ok();
}

static struct err begin_user(struct order_build *b, struct order_source *source, uint32_t from,
                             uint32_t count)
{
    if (!source->next) {
        uint32_t tables = source->part->head.table_count;
        source->next = arena_calloc(b->arena, tables, sizeof *source->next);
        source->windows = arena_calloc(b->arena, tables, sizeof *source->windows);
        if (!source->next || !source->windows)
            return no_room();
    }
    for (; source->counted < from; source->counted++)
        source->next[source->codes[source->counted]]++;
    source->at = from;
    source->end = from + count;
    return look(b, source);
}

static bool is_before(const struct order_source *a, const struct order_source *b)
{
    if (a->time != b->time)
        return a->time < b->time;
    if (a->seq != b->seq)
        return a->seq < b->seq;
    return type_of(a) < type_of(b);
}

/* The runs are in order of their sources, oldest first: of equal events the older one's is first. */
static struct err merge_user(struct order_build *b, const struct run *runs, uint32_t count)
{
    uint32_t total = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct err err = begin_user(b, &b->sources[runs[i].source], runs[i].from, runs[i].count);
        if (err.code)
            return err;
        total += runs[i].count;
    }
    for (; total > 0; total--) {
        struct order_source *first = NULL;
        for (uint32_t i = 0; i < count; i++) {
            struct order_source *source = &b->sources[runs[i].source];
            if (source->at < source->end && (!first || is_before(source, first)))
                first = source;
        }
        b->codes[b->events++] = first->map[first->codes[first->at++]];
        struct err err = look(b, first);
        if (err.code)
            return err;
    }
    return ok();
}

static void copy_user(struct order_build *b, const struct run *run)
{
    const struct order_source *source = &b->sources[run->source];
    uint32_t *to = b->codes + b->events;
    const uint32_t *from = source->codes + run->from;
    for (uint32_t i = 0; i < run->count; i++)
        to[i] = source->map[from[i]];
    b->events += run->count;
}

/* --- many parts ------------------------------------------------------------------------------ */

/* Each event type once, ascending; and each source's tables as indexes into them. */
static struct err join_types(struct order_build *b)
{
    uint32_t total = 0;
    for (uint32_t s = 0; s < b->source_count; s++)
        total += b->sources[s].part->head.table_count;
    uint32_t *at = arena_calloc(b->arena, b->source_count, sizeof *at);
    b->types = arena_alloc(b->arena, (size_t)total * 4);
    if (!at || !b->types)
        return no_room();
    for (uint32_t s = 0; s < b->source_count; s++) {
        b->sources[s].map = arena_alloc(b->arena, (size_t)b->sources[s].part->head.table_count * 4);
        if (!b->sources[s].map)
            return no_room();
    }
    for (;;) {
        uint32_t least = UINT32_MAX;
        for (uint32_t s = 0; s < b->source_count; s++) {
            const struct part_head *head = &b->sources[s].part->head;
            if (at[s] < head->table_count && head->tables[at[s]].event < least)
                least = head->tables[at[s]].event;
        }
        if (least == UINT32_MAX)
            return ok();
        for (uint32_t s = 0; s < b->source_count; s++) {
            const struct part_head *head = &b->sources[s].part->head;
            if (at[s] < head->table_count && head->tables[at[s]].event == least)
                b->sources[s].map[at[s]++] = b->type_count;
        }
        b->types[b->type_count++] = least;
    }
}

/* The users of all sources who count, merged by row; *count_out of them are runs. */
static struct err list_runs(struct order_build *b, const struct row_set *dead,
                            struct run **runs_out, uint32_t *count_out)
{
    size_t total = 0;
    for (uint32_t s = 0; s < b->source_count; s++)
        total += b->sources[s].part->head.users;
    struct run *runs = arena_alloc(b->arena, total * sizeof *runs);
    struct run *spare = arena_alloc(b->arena, total * sizeof *spare);
    uint32_t *lists = arena_alloc(b->arena, ((size_t)b->source_count + 1) * sizeof *lists);
    if (!runs || !spare || !lists)
        return no_room();
    uint32_t count = 0;
    for (uint32_t s = 0; s < b->source_count; s++) {
        const struct order_source *source = &b->sources[s];
        lists[s] = count;
        for (uint32_t u = 0; u < source->part->head.users; u++) {
            uint32_t row = source->row[u];
            if (row_set_has(source->skip, row) || row_set_has(dead, row))
                continue;
            runs[count++] = (struct run){ .row = row,
                                          .source = s,
                                          .from = source->start[u],
                                          .count = source->start[u + 1] - source->start[u] };
        }
    }
    lists[b->source_count] = count;
    *runs_out = runs_merge(runs, spare, lists, b->source_count);
    *count_out = count;
    return ok();
}

static struct err join_sources(struct order_build *b, const struct row_set *dead)
{
    struct run *runs = NULL;
    uint32_t count = 0;
    size_t events = 0;
    struct err err = join_types(b);
    if (!err.code)
        err = list_runs(b, dead, &runs, &count);
    if (err.code)
        return err;
    for (uint32_t i = 0; i < count; i++)
        events += runs[i].count;
    b->row = arena_alloc(b->arena, (size_t)count * 4);
    b->start = arena_alloc(b->arena, ((size_t)count + 1) * 4);
    b->codes = arena_alloc(b->arena, events * 4);
    if (!b->row || !b->start || !b->codes)
        return no_room();
    if (events > UINT32_MAX)
        return err_new(ERR_LIMIT, "store: too many events of one month and shard");
    for (uint32_t i = 0; i < count && !err.code;) {
        uint32_t end = i + 1;
        while (end < count && runs[end].row == runs[i].row)
            end++;
        b->row[b->users] = runs[i].row;
        b->start[b->users++] = b->events;
        if (end == i + 1)
            copy_user(b, &runs[i]);
        else
            err = merge_user(b, runs + i, end - i);
        i = end;
    }
    b->start[b->users] = b->events;
    return err;
}

/* --- one part ---------------------------------------------------------------------------------- */

static bool has_any(const struct order_source *source, const struct row_set *set)
{
    for (uint32_t u = 0; set && u < source->part->head.users; u++)
        if (row_set_has(set, source->row[u]))
            return true;
    return false;
}

/* One source, all of it: as it lies. */
static struct err take_source(struct order_build *b)
{
    const struct order_source *source = &b->sources[0];
    const struct part_head *head = &source->part->head;
    b->types = arena_alloc(b->arena, (size_t)head->table_count * 4);
    if (!b->types)
        return no_room();
    for (uint32_t t = 0; t < head->table_count; t++)
        b->types[t] = head->tables[t].event;
    b->type_count = head->table_count;
    b->row = source->row;
    b->start = source->start;
    b->codes = source->codes;
    b->users = head->users;
    b->events = head->events;
    return ok();
}

struct err order_build(const struct slice_source *sources, uint32_t count,
                       const struct row_set *dead, struct arena *arena,
                       struct read_counters *counters, struct store_order *out)
{
    struct order_build b = { .arena = arena, .counters = counters };
    b.sources = arena_calloc(arena, count, sizeof *b.sources);
    if (!b.sources)
        return no_room();
    struct err err = ok();
    for (uint32_t i = 0; i < count && !err.code; i++) {
        err = part_load(sources[i].part);
        if (err.code || sources[i].part->head.events == 0)
            continue;
        struct order_source *source = &b.sources[b.source_count++];
        source->part = sources[i].part;
        source->skip = sources[i].skip;
        err = read_source(&b, source);
    }
    if (err.code)
        return err;
    bool is_direct = b.source_count == 1 && !has_any(&b.sources[0], b.sources[0].skip) &&
                     !has_any(&b.sources[0], dead);
    if (b.source_count > 0)
        err = is_direct ? take_source(&b) : join_sources(&b, dead);
    if (err.code)
        return err;
    counters->rows += b.events;
    *out = (struct store_order){
        .users = b.users,
        .events = b.events,
        .row = b.row,
        .start = b.start,
        .code = b.codes,
        .types = b.types,
        .type_count = b.type_count,
    };
    return ok();
}

/*
 * slice.c - decoding straight, or merging.
 *
 * A slice over one part whose users all live is the part's own arrays, decoded once. Any other is a
 * list of *pieces*: `count` rows of a source, from `from`, go to `to`. It's made from the sources'
 * runs of users, merged by row; a user who is in several sources has one piece each when their times
 * don't touch (new events are mostly later than old ones), and else as many pieces as the order by
 * (time, seq) asks for. Times, seqs and columns are decoded source by source and copied piecewise.
 *
 * Equal (time, seq) are items of one event. They were appended in order, so the older source is
 * first.
 */
#include "store/slice.h"

#include "base/bits.h"
#include "store/runs.h"

#include <stdlib.h>

struct piece {
    uint32_t source;
    uint32_t from;
    uint32_t to;
    uint32_t count;
};

struct table_source {
    struct part *part;
    const struct part_table *table;
    const struct row_set *skip;
    const struct row_set *only;
    uint32_t *times; /* decoded for merging; the arena's */
    uint64_t *seqs;
};

struct slice_inner {
    struct arena *arena;
    struct read_counters *counters;
    struct table_source *sources;
    uint32_t source_count;
    bool is_direct; /* one source, all of it */
    struct piece *pieces;
    uint32_t piece_count;
    uint32_t piece_cap;
};

static struct err no_room(void)
{
    return err_new(ERR_NOMEM, "store: slice");
}

uint32_t slice_sources(const struct month_view *month, struct slice_source *to)
{
    uint32_t count = 0;
    if (month->base)
        to[count++] = (struct slice_source){ .part = month->base, .skip = month->mask };
    if (month->patch)
        to[count++] = (struct slice_source){ .part = month->patch };
    for (uint32_t i = 0; i < month->run_count; i++)
        to[count++] = (struct slice_source){ .part = month->runs[i] };
    return count;
}

/* --- reading from a source ----------------------------------------------------------- */

static uint32_t find(struct slice_inner *inner, const struct table_source *source,
                     enum section_kind kind)
{
    uint32_t section = part_find_section(source->part, source->table, kind, 0, VALUE_NULL);
    if (section != UINT32_MAX)
        inner->counters->bytes += source->part->head.sections[section].size;
    return section;
}

static struct err read_runs(struct slice_inner *inner, const struct table_source *source,
                            uint32_t *rows, uint32_t *starts)
{
    const struct part_table *table = source->table;
    struct err err = part_read32(source->part, find(inner, source, SECTION_RUN_ROWS), table->users,
                                 0, table->users, rows);
    if (err.code)
        return err;
    bool is_good = rows[table->users - 1] <= source->part->head.last_row;
    for (uint32_t i = 1; i < table->users; i++)
        is_good &= rows[i - 1] < rows[i];
    if (!is_good)
        return err_new(ERR_CORRUPT, "store: rows don't ascend");
    return part_read_starts(source->part, find(inner, source, SECTION_RUN_STARTS), table->users,
                            table->events, starts);
}

static struct err read_times(struct slice_inner *inner, const struct table_source *source,
                             uint32_t *to)
{
    uint32_t events = source->table->events;
    return part_read32(source->part, find(inner, source, SECTION_TIMES), events, 0, events, to);
}

static struct err read_seqs(struct slice_inner *inner, const struct table_source *source,
                            const uint32_t *times, uint64_t *to)
{
    (void)find(inner, source, SECTION_SEQS); /* counts its bytes */
    return part_read_seqs(source->part, source->table, 0, source->table->events, times, to);
}

static struct err need_times(struct slice_inner *inner, struct table_source *source)
{
    if (source->times)
        return ok();
    uint32_t *times = arena_alloc(inner->arena, (size_t)source->table->events * 4);
    if (!times)
        return no_room();
    struct err err = read_times(inner, source, times);
    if (!err.code)
        source->times = times;
    return err;
}

static struct err need_seqs(struct slice_inner *inner, struct table_source *source)
{
    if (source->seqs)
        return ok();
    struct err err = need_times(inner, source);
    if (err.code)
        return err;
    uint64_t *seqs = arena_alloc(inner->arena, (size_t)source->table->events * 8);
    if (!seqs)
        return no_room();
    err = read_seqs(inner, source, source->times, seqs);
    if (!err.code)
        source->seqs = seqs;
    return err;
}

/* --- pieces ------------------------------------------------------------------------------ */

static struct err add_piece(struct slice_inner *inner, uint32_t source, uint32_t from, uint32_t to,
                            uint32_t count)
{
    struct piece *last = inner->piece_count ? &inner->pieces[inner->piece_count - 1] : NULL;
    if (last && last->source == source && last->from + last->count == from) {
        last->count += count;
        return ok();
    }
    if (inner->piece_count == inner->piece_cap) {
        uint32_t cap = inner->piece_cap ? inner->piece_cap * 2 : 256;
        struct piece *grown = arena_alloc(inner->arena, cap * sizeof *grown);
        if (!grown)
            return no_room();
        if (inner->piece_count > 0)
            memcpy(grown, inner->pieces, inner->piece_count * sizeof *grown);
        inner->pieces = grown;
        inner->piece_cap = cap;
    }
    inner->pieces[inner->piece_count++] =
        (struct piece){ .source = source, .from = from, .to = to, .count = count };
    return ok();
}

/* Is the next row of `a` before that of `b`, an equal or newer source? */
static struct err is_before(struct slice_inner *inner, const struct run *a, const struct run *b,
                            bool *out)
{
    struct table_source *left = &inner->sources[a->source];
    struct table_source *right = &inner->sources[b->source];
    uint32_t left_time = left->times[a->from];
    uint32_t right_time = right->times[b->from];
    if (left_time != right_time) {
        *out = left_time < right_time;
        return ok();
    }
    struct err err = need_seqs(inner, left);
    if (!err.code)
        err = need_seqs(inner, right);
    if (!err.code)
        *out = left->seqs[a->from] <= right->seqs[b->from];
    return err;
}

/* The rows of one user's runs, one by one, in order. */
static struct err merge_rows(struct slice_inner *inner, struct run *runs, uint32_t count,
                             uint32_t to)
{
    for (;;) {
        struct run *first = NULL;
        for (uint32_t i = 0; i < count; i++) {
            bool is_first = true;
            if (runs[i].count == 0)
                continue;
            if (first) {
                struct err err = is_before(inner, first, &runs[i], &is_first);
                if (err.code)
                    return err;
                is_first = !is_first;
            }
            if (is_first)
                first = &runs[i];
        }
        if (!first)
            return ok();
        struct err err = add_piece(inner, first->source, first->from, to++, 1);
        if (err.code)
            return err;
        first->from++;
        first->count--;
    }
}

/* One user who's in several sources, oldest first. */
static struct err add_user(struct slice_inner *inner, struct run *runs, uint32_t count, uint32_t to)
{
    bool is_ordered = true;
    for (uint32_t i = 0; i < count && count > 1; i++) {
        struct err err = need_times(inner, &inner->sources[runs[i].source]);
        if (err.code)
            return err;
        if (i == 0)
            continue;
        const struct run *before = &runs[i - 1];
        uint32_t last = inner->sources[before->source].times[before->from + before->count - 1];
        is_ordered &= last < inner->sources[runs[i].source].times[runs[i].from];
    }
    if (!is_ordered)
        return merge_rows(inner, runs, count, to);
    for (uint32_t i = 0; i < count; i++) {
        struct err err = add_piece(inner, runs[i].source, runs[i].from, to, runs[i].count);
        if (err.code)
            return err;
        to += runs[i].count;
    }
    return ok();
}

/* --- merging runs -------------------------------------------------------------------------- */

static bool is_wanted(const struct table_source *source, const struct row_set *dead, uint32_t row)
{
    return !row_set_has(dead, row) && !row_set_has(source->skip, row) &&
           (!source->only || row_set_has(source->only, row));
}

/* The wanted users of a source, behind those that are there. */
static struct err load_runs(struct slice_inner *inner, uint32_t index, const struct row_set *dead,
                            struct run *runs, uint32_t *count)
{
    const struct table_source *source = &inner->sources[index];
    uint32_t users = source->table->users;
    uint32_t *rows = malloc((size_t)users * 4);
    uint32_t *starts = malloc((users + (size_t)1) * 4);
    struct err err = rows && starts ? read_runs(inner, source, rows, starts) : no_room();
    for (uint32_t i = 0; i < users && !err.code; i++) {
        if (!is_wanted(source, dead, rows[i]))
            continue;
        runs[(*count)++] = (struct run){
            .row = rows[i], .source = index, .from = starts[i], .count = starts[i + 1] - starts[i]
        };
    }
    free(rows);
    free(starts);
    return err;
}

/* Rows, starts and pieces from the merged runs. */
static struct err lay_out(struct slice_inner *inner, struct run *runs, uint32_t count,
                          struct store_slice *out)
{
    uint32_t *rows = arena_alloc(inner->arena, (size_t)count * 4);
    uint32_t *starts = arena_alloc(inner->arena, (count + (size_t)1) * 4);
    if (!rows || !starts)
        return no_room();
    uint32_t users = 0;
    uint64_t events = 0;
    for (uint32_t i = 0; i < count;) {
        uint32_t end = i;
        uint64_t first = events;
        for (; end < count && runs[end].row == runs[i].row; end++)
            events += runs[end].count;
        if (events > UINT32_MAX)
            return err_new(ERR_LIMIT, "store: too many events in one month of a shard");
        rows[users] = runs[i].row;
        starts[users++] = (uint32_t)first;
        struct err err = add_user(inner, runs + i, end - i, (uint32_t)first);
        if (err.code)
            return err;
        i = end;
    }
    starts[users] = (uint32_t)events;
    out->row = rows;
    out->start = starts;
    out->users = users;
    out->events = (uint32_t)events;
    return ok();
}

static struct err build_merged(struct slice_inner *inner, const struct row_set *dead,
                               struct store_slice *out)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < inner->source_count; i++)
        total += inner->sources[i].table->users;
    struct run *runs = malloc((total + 1) * sizeof *runs);
    struct run *spare = inner->source_count > 1 ? malloc((total + 1) * sizeof *runs) : NULL;
    uint32_t *lists = malloc((inner->source_count + 2u) * 4);
    struct err err = ok();
    if (total > UINT32_MAX || !runs || !lists || (inner->source_count > 1 && !spare))
        err = no_room();
    uint32_t count = 0;
    for (uint32_t i = 0; i < inner->source_count && !err.code; i++) {
        lists[i] = count;
        err = load_runs(inner, i, dead, runs, &count);
        lists[i + 1] = count;
    }
    if (!err.code)
        err = lay_out(inner, runs_merge(runs, spare, lists, inner->source_count), count, out);
    free(runs);
    free(spare);
    free(lists);
    return err;
}

/* --- opening --------------------------------------------------------------------------------- */

static bool all_wanted(const struct table_source *source, const struct row_set *dead,
                       const uint32_t *rows)
{
    if (!dead && !source->skip && !source->only)
        return true;
    for (uint32_t i = 0; i < source->table->users; i++)
        if (!is_wanted(source, dead, rows[i]))
            return false;
    return true;
}

static struct err build_direct(struct slice_inner *inner, const struct row_set *dead,
                               struct store_slice *out)
{
    const struct table_source *source = &inner->sources[0];
    uint32_t users = source->table->users;
    uint32_t *rows = arena_alloc(inner->arena, (size_t)users * 4);
    uint32_t *starts = arena_alloc(inner->arena, (users + (size_t)1) * 4);
    if (!rows || !starts)
        return no_room();
    struct err err = read_runs(inner, source, rows, starts);
    if (err.code || !all_wanted(source, dead, rows))
        return err;
    inner->is_direct = true;
    out->row = rows;
    out->start = starts;
    out->users = users;
    out->events = source->table->events;
    return ok();
}

static struct err find_sources(struct slice_inner *inner, const struct slice_source *sources,
                               uint32_t count, uint32_t event)
{
    inner->sources = arena_calloc(inner->arena, count, sizeof *inner->sources);
    if (!inner->sources)
        return no_room();
    for (uint32_t i = 0; i < count; i++) {
        struct err err = part_load(sources[i].part);
        if (err.code)
            return err;
        const struct part_table *table = part_find_table(sources[i].part, event);
        if (table)
            inner->sources[inner->source_count++] = (struct table_source){
                .part = sources[i].part,
                .table = table,
                .skip = sources[i].skip,
                .only = sources[i].only,
            };
    }
    return ok();
}

struct err slice_build(const struct slice_source *sources, uint32_t count,
                       const struct row_set *dead, uint32_t event, struct arena *arena,
                       struct read_counters *counters, struct store_slice *out)
{
    struct slice_inner *inner = arena_calloc(arena, 1, sizeof *inner);
    if (!inner)
        return no_room();
    inner->arena = arena;
    inner->counters = counters;
    struct err err = find_sources(inner, sources, count, event);
    if (err.code)
        return err;
    struct store_slice slice = { .inner = inner };
    if (count > 0)
        slice.base_ms = civil_month_start_ms(sources[0].part->month);
    if (dead && dead->count == 0)
        dead = NULL;
    if (inner->source_count == 1)
        err = build_direct(inner, dead, &slice);
    if (!err.code && inner->source_count > 0 && !inner->is_direct)
        err = build_merged(inner, dead, &slice);
    if (err.code)
        return err;
    counters->rows += slice.events;
    *out = slice;
    return ok();
}

/* --- times and seqs ---------------------------------------------------------------------------- */

void slice_use_arena(struct store_slice *slice, struct arena *arena)
{
    struct slice_inner *inner = slice->inner;
    inner->arena = arena;
}

struct err slice_times(struct store_slice *slice)
{
    struct slice_inner *inner = slice->inner;
    if (slice->time)
        return ok();
    uint32_t *times = arena_alloc(inner->arena, (size_t)slice->events * 4);
    if (!times)
        return no_room();
    struct err err = ok();
    if (inner->is_direct)
        err = read_times(inner, &inner->sources[0], times);
    for (uint32_t i = 0; i < inner->source_count && !inner->is_direct && !err.code; i++)
        err = need_times(inner, &inner->sources[i]);
    if (err.code)
        return err;
    for (uint32_t i = 0; i < inner->piece_count; i++) {
        const struct piece *piece = &inner->pieces[i];
        memcpy(times + piece->to, inner->sources[piece->source].times + piece->from,
               (size_t)piece->count * 4);
    }
    slice->time = times;
    return ok();
}

struct err slice_seqs(struct store_slice *slice)
{
    struct slice_inner *inner = slice->inner;
    if (slice->seq)
        return ok();
    struct err err = inner->is_direct ? slice_times(slice) : ok();
    if (err.code)
        return err;
    uint64_t *seqs = arena_alloc(inner->arena, (size_t)slice->events * 8);
    if (!seqs)
        return no_room();
    if (inner->is_direct)
        err = read_seqs(inner, &inner->sources[0], slice->time, seqs);
    for (uint32_t i = 0; i < inner->source_count && !inner->is_direct && !err.code; i++)
        err = need_seqs(inner, &inner->sources[i]);
    if (err.code)
        return err;
    for (uint32_t i = 0; i < inner->piece_count; i++) {
        const struct piece *piece = &inner->pieces[i];
        memcpy(seqs + piece->to, inner->sources[piece->source].seqs + piece->from,
               (size_t)piece->count * 8);
    }
    slice->seq = seqs;
    return ok();
}

/* --- origins ---------------------------------------------------------------------------------------- */

static struct err read_origins(struct slice_inner *inner, const struct table_source *source,
                               uint32_t shards, uint32_t shard, uint32_t *to)
{
    uint32_t events = source->table->events;
    uint32_t section = find(inner, source, SECTION_ORIGINS);
    if (section != UINT32_MAX)
        return part_read32(source->part, section, events, 0, events, to);
    uint32_t users = source->table->users;
    uint32_t *rows = malloc((size_t)users * 4);
    uint32_t *starts = malloc((users + (size_t)1) * 4);
    struct err err = rows && starts ? read_runs(inner, source, rows, starts) : no_room();
    for (uint32_t u = 0; u < users && !err.code; u++)
        for (uint32_t i = starts[u]; i < starts[u + 1]; i++)
            to[i] = rows[u] * shards + shard;
    free(rows);
    free(starts);
    return err;
}

struct err slice_origins(struct store_slice *slice, uint32_t shards, uint32_t shard,
                         const uint32_t **origins_out)
{
    struct slice_inner *inner = slice->inner;
    *origins_out = NULL;
    bool has_any = false;
    for (uint32_t i = 0; i < inner->source_count; i++)
        has_any |= find(inner, &inner->sources[i], SECTION_ORIGINS) != UINT32_MAX;
    if (!has_any)
        return ok();
    uint32_t *origins = arena_alloc(inner->arena, (size_t)slice->events * 4);
    uint32_t **each = arena_calloc(inner->arena, inner->source_count, sizeof *each);
    if (!origins || !each)
        return no_room();
    for (uint32_t s = 0; s < inner->source_count; s++) {
        each[s] = inner->is_direct
                      ? origins
                      : arena_alloc(inner->arena, (size_t)inner->sources[s].table->events * 4);
        if (!each[s])
            return no_room();
        struct err err = read_origins(inner, &inner->sources[s], shards, shard, each[s]);
        if (err.code)
            return err;
    }
    for (uint32_t i = 0; i < inner->piece_count; i++) {
        const struct piece *piece = &inner->pieces[i];
        memcpy(origins + piece->to, each[piece->source] + piece->from, (size_t)piece->count * 4);
    }
    *origins_out = origins;
    return ok();
}

/* --- columns --------------------------------------------------------------------------------------------- */

static int compare_names(const void *a, const void *b)
{
    const struct slice_column_name *left = a;
    const struct slice_column_name *right = b;
    if (left->property != right->property)
        return left->property < right->property ? -1 : 1;
    return (left->type > right->type) - (left->type < right->type);
}

struct err slice_columns(struct store_slice *slice, struct slice_column_name **names_out,
                         uint32_t *count_out)
{
    struct slice_inner *inner = slice->inner;
    size_t total = 0;
    for (uint32_t i = 0; i < inner->source_count; i++)
        total += inner->sources[i].table->section_count;
    struct slice_column_name *names = arena_alloc(inner->arena, total * sizeof *names);
    if (!names)
        return no_room();
    uint32_t count = 0;
    for (uint32_t i = 0; i < inner->source_count; i++) {
        const struct part_table *table = inner->sources[i].table;
        const struct part_section *sections = inner->sources[i].part->head.sections;
        for (uint32_t s = table->section; s < table->section + table->section_count; s++)
            if (sections[s].kind == SECTION_VALUES)
                names[count++] = (struct slice_column_name){ .property = sections[s].property,
                                                             .type = sections[s].type };
    }
    qsort(names, count, sizeof *names, compare_names);
    uint32_t unique = 0;
    for (uint32_t i = 0; i < count; i++)
        if (unique == 0 || compare_names(&names[unique - 1], &names[i]) != 0)
            names[unique++] = names[i];
    *names_out = names;
    *count_out = unique;
    return ok();
}

/* Ors `count` bits into cleared ones. */
static void copy_bits(uint64_t *to, size_t to_bit, const uint64_t *from, size_t from_bit,
                      size_t count)
{
    while (count > 0) {
        unsigned shift = to_bit & 63;
        unsigned skip = from_bit & 63;
        size_t n = 64 - (shift > skip ? shift : skip);
        n = n < count ? n : count;
        uint64_t bits = from ? from[from_bit >> 6] >> skip : ~UINT64_C(0);
        if (n < 64)
            bits &= (UINT64_C(1) << n) - 1;
        to[to_bit >> 6] |= bits << shift;
        to_bit += n;
        from_bit += n;
        count -= n;
    }
}

struct source_column {
    struct store_column column;
    bool has;
    uint32_t text_offset;
    uint32_t list_offset;
    uint32_t lists;
};

static void count_bytes(struct slice_inner *inner, const struct table_source *source,
                        uint32_t property, enum value_type type)
{
    const struct part_table *table = source->table;
    const struct part_section *sections = source->part->head.sections;
    for (uint32_t s = table->section; s < table->section + table->section_count; s++)
        if (sections[s].property == property && sections[s].type == type)
            inner->counters->bytes += sections[s].size;
}

static struct err read_columns(struct slice_inner *inner, uint32_t property, enum value_type type,
                               struct source_column *columns, bool *has_any_out)
{
    *has_any_out = false;
    for (uint32_t i = 0; i < inner->source_count; i++) {
        const struct table_source *source = &inner->sources[i];
        struct err err = part_read_column(source->part, source->table, property, type, inner->arena,
                                          &columns[i].column, &columns[i].has);
        if (err.code)
            return err;
        if (columns[i].has)
            count_bytes(inner, source, property, type);
        *has_any_out |= columns[i].has;
    }
    return ok();
}

/* All texts (and lists) of the sources, one after the other. */
static struct err join_texts(struct slice_inner *inner, struct source_column *columns,
                             enum value_type type, struct store_column *out)
{
    uint64_t texts = 0;
    uint64_t lists = 0;
    uint64_t items = 0;
    for (uint32_t s = 0; s < inner->source_count; s++) {
        struct source_column *from = &columns[s];
        if (!from->has)
            continue;
        from->text_offset = (uint32_t)texts;
        from->list_offset = (uint32_t)lists;
        texts += from->column.text_count;
        if (type != VALUE_LIST)
            continue;
        for (uint32_t i = 0; i < inner->sources[s].table->events; i++)
            from->lists =
                from->column.codes[i] >= from->lists ? from->column.codes[i] + 1 : from->lists;
        lists += from->lists;
        items += from->column.list_start[from->lists];
    }
    if (texts > UINT32_MAX || lists > UINT32_MAX || items > UINT32_MAX)
        return err_new(ERR_LIMIT, "store: too many texts in one month of a shard");
    struct bytes *all = arena_alloc(inner->arena, texts * sizeof *all);
    uint32_t *start = arena_alloc(inner->arena, (lists + 1) * 4);
    uint32_t *codes = arena_alloc(inner->arena, items * 4);
    if (!all || !start || !codes)
        return no_room();
    uint32_t item = 0;
    start[0] = 0;
    for (uint32_t s = 0; s < inner->source_count; s++) {
        const struct source_column *from = &columns[s];
        if (!from->has)
            continue;
        memcpy(all + from->text_offset, from->column.texts, from->column.text_count * sizeof *all);
        for (uint32_t l = 0; l < from->lists; l++) {
            for (uint32_t i = from->column.list_start[l]; i < from->column.list_start[l + 1]; i++)
                codes[item++] = from->column.items[i] + from->text_offset;
            start[from->list_offset + l + 1] = item;
        }
    }
    out->texts = all;
    out->text_count = (uint32_t)texts;
    if (type == VALUE_LIST) {
        out->list_start = start;
        out->items = codes;
    }
    return ok();
}

static struct err gather_presence(struct slice_inner *inner, const struct source_column *columns,
                                  uint32_t events, struct store_column *out)
{
    bool is_full = true;
    for (uint32_t s = 0; s < inner->source_count; s++)
        is_full &= columns[s].has && !columns[s].column.present;
    if (is_full)
        return ok();
    uint64_t *present = arena_calloc(inner->arena, bits_words(events) + 1, 8);
    if (!present)
        return no_room();
    for (uint32_t i = 0; i < inner->piece_count; i++) {
        const struct piece *piece = &inner->pieces[i];
        const struct source_column *from = &columns[piece->source];
        if (from->has)
            copy_bits(present, piece->to, from->column.present, piece->from, piece->count);
    }
    out->present = present;
    return ok();
}

static struct err gather_codes(struct slice_inner *inner, const struct source_column *columns,
                               uint32_t events, enum value_type type, struct store_column *out)
{
    uint32_t *codes = arena_calloc(inner->arena, events, 4);
    if (!codes)
        return no_room();
    for (uint32_t i = 0; i < inner->piece_count; i++) {
        const struct piece *piece = &inner->pieces[i];
        const struct source_column *from = &columns[piece->source];
        if (!from->has)
            continue;
        uint32_t offset = type == VALUE_LIST ? from->list_offset : from->text_offset;
        for (uint32_t k = 0; k < piece->count; k++)
            codes[piece->to + k] = from->column.codes[piece->from + k] + offset;
    }
    out->codes = codes;
    return ok();
}

static struct err gather_numbers(struct slice_inner *inner, const struct source_column *columns,
                                 uint32_t events, struct store_column *out)
{
    int64_t *values = arena_calloc(inner->arena, events, 8);
    if (!values)
        return no_room();
    for (uint32_t i = 0; i < inner->piece_count; i++) {
        const struct piece *piece = &inner->pieces[i];
        const struct source_column *from = &columns[piece->source];
        if (from->has)
            memcpy(values + piece->to, from->column.integers + piece->from,
                   (size_t)piece->count * 8);
    }
    out->integers = values;
    return ok();
}

struct err slice_column(struct store_slice *slice, uint32_t property, enum value_type type,
                        struct store_column *out, bool *has_out)
{
    struct slice_inner *inner = slice->inner;
    *has_out = false;
    if (slice->events == 0)
        return ok();
    struct source_column *columns =
        arena_calloc(inner->arena, inner->source_count, sizeof *columns);
    if (!columns)
        return no_room();
    bool has_any = false;
    struct err err = read_columns(inner, property, type, columns, &has_any);
    if (err.code || !has_any)
        return err;
    struct store_column column = { 0 };
    if (inner->is_direct) {
        column = columns[0].column;
    } else {
        err = gather_presence(inner, columns, slice->events, &column);
        bool has_texts = type == VALUE_STRING || type == VALUE_LIST;
        if (!err.code && has_texts)
            err = join_texts(inner, columns, type, &column);
        if (!err.code && has_texts)
            err = gather_codes(inner, columns, slice->events, type, &column);
        if (!err.code && !has_texts)
            err = gather_numbers(inner, columns, slice->events, &column);
        if (err.code)
            return err;
    }
    if (column.present && bits_count(column.present, bits_words(slice->events)) == 0)
        return ok();
    *out = column;
    *has_out = true;
    return ok();
}

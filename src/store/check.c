/*
 * check.c - reading everything that the manifest names, and telling what doesn't hold.
 *
 * Of each part: header and directory, that its sections fill it without a gap, each section's
 * checksum and encoding; that rows, starts, (time, seq) ascend and stay in their ranges; that the
 * order column holds as many of each type as the user has rows of it. Of each month: that nobody is
 * in the patch and unmasked in the base. Deep: the order column, day counts, and the number of living
 * events are made anew and compared.
 */
#include "base/bits.h"
#include "store/store_internal.h"
#include "sys/sys.h"

#include <stdio.h>
#include <stdlib.h>

enum { CHECK_ARENA_SHIFT = 36 };
#define CHECK_CACHE_BYTES (UINT64_C(16) << 20)

struct checker {
    struct part_home home;
    store_damage_fn *damage;
    void *ctx;
    bool is_deep;
    struct arena arena; /* of one part */
    uint64_t events;
};

/* What is read of a table, kept for comparing with the order column. */
struct checked_table {
    uint32_t *rows;
    uint32_t *starts;
    uint32_t *times;
    uint64_t *seqs;
    uint32_t user; /* the next one of the directory's walk */
};

static struct err no_memory(void)
{
    return err_new(ERR_NOMEM, "store: check");
}

static void tell(struct checker *c, const struct part *part, uint64_t offset, const char *what)
{
    char path[PART_NAME_MAX];
    part_path(&c->home, part->shard, part->month, part->number, path);
    c->damage(c->ctx, path, offset, what);
}

/* Damage is told and isn't an error; what else fails is one. True: goes on. */
static bool is_fine(struct checker *c, const struct part *part, uint64_t offset, struct err err,
                    struct err *out)
{
    if (!err.code)
        return true;
    if (err.code == ERR_CORRUPT)
        tell(c, part, offset, err.what);
    else if (!out->code)
        *out = err;
    return false;
}

/* --- sections --------------------------------------------------------------------------- */

static int compare_offsets(const void *a, const void *b)
{
    uint64_t left = (*(const struct part_section *const *)a)->offset;
    uint64_t right = (*(const struct part_section *const *)b)->offset;
    return (left > right) - (left < right);
}

static struct err check_tiling(struct checker *c, struct part *part)
{
    const struct part_head *head = &part->head;
    const struct part_section **order = arena_alloc(&c->arena, head->section_count * sizeof *order);
    if (!order)
        return no_memory();
    for (uint32_t i = 0; i < head->section_count; i++)
        order[i] = &head->sections[i];
    qsort(order, head->section_count, sizeof *order, compare_offsets);
    uint64_t end = PART_HEADER_SIZE;
    for (uint32_t i = 0; i < head->section_count; i++) {
        if (order[i]->offset != end)
            tell(c, part, order[i]->offset, "store: sections leave a gap or overlap");
        end = order[i]->offset + order[i]->size;
    }
    return ok();
}

/* True: all of them check. */
static bool check_sums(struct checker *c, struct part *part, struct err *err)
{
    bool is_good = true;
    for (uint32_t i = 0; i < part->head.section_count; i++) {
        struct part_view view;
        if (is_fine(c, part, part->head.sections[i].offset, part_open_section(part, i, &view), err))
            part_close_section(part, &view);
        else
            is_good = false;
    }
    return is_good;
}

/* --- tables --------------------------------------------------------------------------------- */

static uint32_t section_of(const struct part *part, const struct part_table *table,
                           enum section_kind kind)
{
    return part_find_section(part, table, kind, 0, VALUE_NULL);
}

static struct err read_table(struct checker *c, struct part *part, const struct part_table *table,
                             struct checked_table *out)
{
    uint32_t users = table->users;
    uint32_t events = table->events;
    out->rows = arena_alloc(&c->arena, (size_t)users * 4);
    out->starts = arena_alloc(&c->arena, (users + (size_t)1) * 4);
    out->times = arena_alloc(&c->arena, (size_t)events * 4);
    out->seqs = arena_alloc(&c->arena, (size_t)events * 8);
    if (!out->rows || !out->starts || !out->times || !out->seqs)
        return no_memory();
    struct err err =
        part_read32(part, section_of(part, table, SECTION_RUN_ROWS), users, 0, users, out->rows);
    if (!err.code)
        err = part_read_starts(part, section_of(part, table, SECTION_RUN_STARTS), users, events,
                               out->starts);
    if (!err.code)
        err = part_read32(part, section_of(part, table, SECTION_TIMES), events, 0, events,
                          out->times);
    if (!err.code)
        err = part_read_seqs(part, table, 0, events, out->times, out->seqs);
    return err;
}

static const char *judge_table(const struct part_head *head, const struct part_table *table,
                               const struct checked_table *read)
{
    uint64_t length =
        (uint64_t)(civil_month_start_ms(head->month + 1) - civil_month_start_ms(head->month));
    uint32_t first = UINT32_MAX;
    uint32_t last = 0;
    for (uint32_t u = 0; u < table->users; u++) {
        if (read->rows[u] < head->first_row || read->rows[u] > head->last_row ||
            (u > 0 && read->rows[u] <= read->rows[u - 1]))
            return "store: rows of a mini-table";
        for (uint32_t i = read->starts[u]; i < read->starts[u + 1]; i++) {
            first = read->times[i] < first ? read->times[i] : first;
            last = read->times[i] > last ? read->times[i] : last;
            if (read->times[i] >= length)
                return "store: a time outside of the month";
            if (read->seqs[i] < head->first_seq || read->seqs[i] > head->last_seq)
                return "store: a seq outside of the part's range";
            if (i > read->starts[u] &&
                (read->times[i] < read->times[i - 1] ||
                 (read->times[i] == read->times[i - 1] && read->seqs[i] < read->seqs[i - 1])))
                return "store: events aren't in order";
        }
    }
    return first == table->first_time && last == table->last_time
               ? NULL
               : "store: first or last time of a mini-table";
}

static struct err check_columns(struct checker *c, struct part *part,
                                const struct part_table *table)
{
    struct err err = ok();
    struct arena arena;
    arena_init(&arena, (size_t)1 << CHECK_ARENA_SHIFT);
    for (uint32_t s = table->section; s < table->section + table->section_count; s++) {
        const struct part_section *section = &part->head.sections[s];
        struct store_column column;
        bool has = false;
        if (section->kind == SECTION_VALUES)
            (void)is_fine(c, part, section->offset,
                          part_read_column(part, table, section->property, section->type, &arena,
                                           &column, &has),
                          &err);
        arena_reset(&arena);
    }
    arena_done(&arena);
    return err;
}

/* --- day counts -------------------------------------------------------------------------------- */

static struct err check_days(struct checker *c, struct part *part, const struct part_table *table,
                             const struct checked_table *read, const struct zone *zone)
{
    uint32_t number = section_of(part, table, SECTION_DAYS);
    if (number == UINT32_MAX)
        return ok();
    struct part_view view;
    struct err err = part_open_section(part, number, &view);
    if (err.code)
        return err;
    struct reader r = reader_of(view.bytes);
    (void)reader_le32(&r);
    int32_t first_day = (int32_t)reader_le32(&r);
    uint32_t days = reader_le32(&r);
    bool is_good = days <= 64 && view.bytes.len == 12 + (size_t)days * 8;
    uint32_t events[64] = { 0 };
    uint32_t users[64] = { 0 };
    int64_t base_ms = civil_month_start_ms(part->month);
    for (uint32_t u = 0; u < table->users && is_good; u++) {
        int32_t last = INT32_MIN;
        for (uint32_t i = read->starts[u]; i < read->starts[u + 1] && is_good; i++) {
            int32_t day = zone_day(zone, base_ms + read->times[i]);
            is_good = day >= first_day && day < first_day + (int32_t)days;
            if (!is_good)
                break;
            events[day - first_day]++;
            users[day - first_day] += day != last;
            last = day;
        }
    }
    for (uint32_t d = 0; d < days && is_good; d++)
        is_good = reader_le32(&r) == events[d];
    for (uint32_t d = 0; d < days && is_good; d++)
        is_good = reader_le32(&r) == users[d];
    part_close_section(part, &view);
    if (!is_good)
        tell(c, part, part->head.sections[number].offset, "store: day counts");
    return ok();
}

/* --- order ---------------------------------------------------------------------------------------- */

/* Which table the user's next row is from, by (time, seq, type). */
static uint32_t next_table(const struct checked_table *tables, const uint32_t *at,
                           const uint32_t *ends, uint32_t count)
{
    uint32_t best = UINT32_MAX;
    for (uint32_t t = 0; t < count; t++) {
        if (at[t] == ends[t])
            continue;
        if (best == UINT32_MAX || tables[t].times[at[t]] < tables[best].times[at[best]] ||
            (tables[t].times[at[t]] == tables[best].times[at[best]] &&
             tables[t].seqs[at[t]] < tables[best].seqs[at[best]]))
            best = t;
    }
    return best;
}

struct order_walk {
    const struct part_head *head;
    struct checked_table *tables;
    const uint32_t *codes;
    uint32_t *at;
    uint32_t *ends;
    bool is_deep;
};

/* The codes [from, to) of one user. */
static const char *judge_user(struct order_walk *w, uint32_t row, uint32_t from, uint32_t to)
{
    uint32_t total = 0;
    for (uint32_t t = 0; t < w->head->table_count; t++) {
        struct checked_table *table = &w->tables[t];
        w->at[t] = 0;
        w->ends[t] = 0;
        if (table->user < w->head->tables[t].users && table->rows[table->user] == row) {
            w->at[t] = table->starts[table->user];
            w->ends[t] = table->starts[++table->user];
            total += w->ends[t] - w->at[t];
        }
    }
    if (total != to - from)
        return "store: the directory's count of a user";
    for (uint32_t i = from; i < to; i++) {
        uint32_t code = w->codes[i];
        if (code >= w->head->table_count || w->at[code] == w->ends[code])
            return "store: a code of the order column";
        if (w->is_deep && next_table(w->tables, w->at, w->ends, w->head->table_count) != code)
            return "store: the order column's order";
        w->at[code]++;
    }
    return NULL;
}

static struct err check_order(struct checker *c, struct part *part, struct checked_table *tables)
{
    const struct part_head *head = &part->head;
    uint32_t *rows = arena_alloc(&c->arena, (size_t)head->users * 4);
    uint32_t *starts = arena_alloc(&c->arena, (head->users + (size_t)1) * 4);
    uint32_t *codes = arena_alloc(&c->arena, (size_t)head->events * 4);
    struct order_walk walk = {
        .head = head,
        .tables = tables,
        .codes = codes,
        .at = arena_alloc(&c->arena, head->table_count * sizeof(uint32_t)),
        .ends = arena_alloc(&c->arena, head->table_count * sizeof(uint32_t)),
        .is_deep = c->is_deep,
    };
    if (!rows || !starts || !codes || !walk.at || !walk.ends)
        return no_memory();
    struct err err = part_read32(part, section_of(part, NULL, SECTION_DIR_ROWS), head->users, 0,
                                 head->users, rows);
    if (!err.code)
        err = part_read_starts(part, section_of(part, NULL, SECTION_DIR_STARTS), head->users,
                               head->events, starts);
    if (!err.code)
        err = part_read32(part, section_of(part, NULL, SECTION_ORDER), head->events, 0,
                          head->events, codes);
    if (err.code)
        return err;
    const char *wrong = NULL;
    if (head->users == 0 || rows[0] != head->first_row || rows[head->users - 1] != head->last_row)
        wrong = "store: the directory's rows";
    for (uint32_t u = 0; u < head->users && !wrong; u++) {
        if (u > 0 && rows[u] <= rows[u - 1])
            wrong = "store: the directory's rows";
        else
            wrong = judge_user(&walk, rows[u], starts[u], starts[u + 1]);
    }
    if (wrong)
        tell(c, part, 0, wrong);
    return ok();
}

/* --- parts ------------------------------------------------------------------------------------------- */

static struct err check_tables(struct checker *c, struct part *part, const struct zone *zone)
{
    const struct part_head *head = &part->head;
    struct err err = ok();
    bool is_good = true;
    struct checked_table *tables = arena_calloc(&c->arena, head->table_count, sizeof *tables);
    if (!tables)
        return no_memory();
    for (uint32_t t = 0; t < head->table_count && !err.code; t++) {
        const struct part_table *table = &head->tables[t];
        uint64_t offset = table->section_count ? head->sections[table->section].offset : 0;
        if (!is_fine(c, part, offset, read_table(c, part, table, &tables[t]), &err)) {
            is_good = false;
            continue;
        }
        const char *wrong = judge_table(head, table, &tables[t]);
        if (wrong) {
            tell(c, part, offset, wrong);
            is_good = false;
            continue;
        }
        if (zone)
            (void)is_fine(c, part, offset, check_days(c, part, table, &tables[t], zone), &err);
        if (!err.code)
            err = check_columns(c, part, table);
    }
    if (is_good && !err.code)
        (void)is_fine(c, part, 0, check_order(c, part, tables), &err);
    return err;
}

static struct err check_part(struct checker *c, struct part *part)
{
    struct err err = ok();
    struct zone *zone = NULL;
    if (!part)
        return ok();
    if (!is_fine(c, part, 0, part_load(part), &err))
        return err;
    err = check_tiling(c, part);
    if (err.code)
        return err;
    bool is_good = check_sums(c, part, &err);
    if (c->is_deep && part->head.zone[0]) {
        struct err unknown = sys_zone_load(bytes_from(part->head.zone), &zone);
        (void)unknown; /* a zone that this machine doesn't know: its counts can't be made anew */
    }
    if (is_good && !err.code)
        err = check_tables(c, part, zone);
    zone_free(zone);
    arena_reset(&c->arena);
    return err;
}

/* --- months -------------------------------------------------------------------------------------------- */

/* Living events of a source; and whether somebody who isn't skipped is in `others`. */
static struct err walk_source(struct checker *c, const struct slice_source *source,
                              const struct row_set *dead, struct row_set *others, bool adds)
{
    struct part *part = source->part;
    struct err err = part_load(part);
    if (err.code)
        return err;
    uint32_t users = part->head.users;
    uint32_t *rows = arena_alloc(&c->arena, (size_t)users * 4);
    uint32_t *starts = arena_alloc(&c->arena, (users + (size_t)1) * 4);
    if (!rows || !starts)
        return no_memory();
    err = part_read32(part, section_of(part, NULL, SECTION_DIR_ROWS), users, 0, users, rows);
    if (!err.code)
        err = part_read_starts(part, section_of(part, NULL, SECTION_DIR_STARTS), users,
                               part->head.events, starts);
    bool is_twice = false;
    for (uint32_t u = 0; u < users && !err.code; u++) {
        if (rows[u] >= others->rows)
            err = err_new(ERR_CORRUPT, "store: a row past the shard's");
        else if (!row_set_has(source->skip, rows[u]) && !row_set_has(dead, rows[u])) {
            c->events += starts[u + 1] - starts[u];
            is_twice |= !adds && row_set_has(others, rows[u]);
            if (adds)
                row_set_add(others, rows[u]);
        }
    }
    if (is_twice)
        tell(c, part, 0, "store: a user is in the patch and in the base");
    return err;
}

static struct err check_month(struct checker *c, const struct shard_view *view,
                              const struct month_view *month)
{
    struct err err = check_part(c, month->base);
    if (!err.code)
        err = check_part(c, month->patch);
    for (uint32_t i = 0; i < month->run_count && !err.code; i++)
        err = check_part(c, month->runs[i]);
    struct slice_source *sources = calloc(month->run_count + 2u, sizeof *sources);
    struct row_set *users = NULL;
    struct err walked = err.code ? err : row_set_new(view->rows, &users);
    if (!sources)
        walked = no_memory();
    uint32_t count = sources ? slice_sources(month, sources) : 0;
    uint32_t files = (month->base ? 1u : 0u) + (month->patch ? 1u : 0u);
    for (uint32_t i = 0; i < count && !walked.code; i++) {
        struct err one = walk_source(c, &sources[i], view->dead ? view->dead->all : NULL, users,
                                     i == 0 && files > 0);
        (void)is_fine(c, sources[i].part, 0, one, &walked);
        if (i + 1 == files && users)
            memset(users->bits, 0, bits_words(users->rows) * 8); /* runs may hold anybody */
    }
    row_set_unref(users);
    free(sources);
    arena_reset(&c->arena);
    return walked;
}

static struct err check_manifest(struct checker *c, const struct manifest *manifest)
{
    for (uint32_t s = 0; s < manifest->shards; s++) {
        const struct shard_view *view = manifest->views[s];
        for (uint32_t m = 0; m < view->month_count; m++) {
            struct err err = check_month(c, view, view->months[m]);
            if (err.code)
                return err;
        }
    }
    return ok();
}

static struct err check_store(struct checker *c)
{
    char path[PART_NAME_MAX];
    struct buf bytes;
    bool exists = false;
    struct manifest *manifest = NULL;
    (void)snprintf(path, sizeof path, "%s/%s", c->home.dir, MANIFEST_NAME);
    struct err err = disk_exists(c->home.disk, path, &exists);
    if (err.code || !exists)
        return err;
    buf_init(&bytes, MANIFEST_BYTES_MAX);
    err = disk_read_file(c->home.disk, path, MANIFEST_BYTES_MAX, &bytes);
    if (!err.code)
        err = manifest_parse(buf_bytes(&bytes), &c->home, &manifest);
    buf_done(&bytes);
    if (err.code == ERR_CORRUPT) {
        c->damage(c->ctx, path, 0, err.what);
        return ok();
    }
    if (!err.code)
        err = check_manifest(c, manifest);
    if (!err.code && c->is_deep && c->events != manifest->events)
        c->damage(c->ctx, path, 0, "store: the number of living events");
    manifest_free(manifest);
    return err;
}

struct err store_check_files(struct disk *disk, const char *dir, bool is_deep,
                             store_damage_fn *damage, void *ctx, uint64_t *events_out)
{
    struct checker c = {
        .home = { .disk = disk, .dir = dir, .is_closing = true },
        .damage = damage,
        .ctx = ctx,
        .is_deep = is_deep,
    };
    struct err err = cache_new(CHECK_CACHE_BYTES, &c.home.cache);
    if (err.code)
        return err;
    arena_init(&c.arena, (size_t)1 << CHECK_ARENA_SHIFT);
    err = check_store(&c);
    arena_done(&c.arena);
    cache_free(c.home.cache);
    if (!err.code)
        *events_out = c.events;
    return err;
}

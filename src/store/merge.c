/*
 * merge.c - a new part from old ones, one event type after the other.
 *
 * A mini-table of the new part is a slice over the old ones, written out again: merging knows no
 * more than reading does. Rows, starts, times and seqs of all tables are kept until the end, for the
 * order column is made from them: for each user, the rows of all tables in (time, seq, type) order.
 */
#include "store/merge.h"

#include "store/runs.h"

#include <stdlib.h>

enum { ARENA_SHIFT = 36 };

struct merger {
    const struct merge_job *job;
    struct part_writer writer;
    struct arena keep;    /* slices without their columns */
    struct arena columns; /* of one table */
    struct store_slice *tables;
    uint32_t table_count;
    struct read_counters counters;
};

static struct err no_memory(void)
{
    return err_new(ERR_NOMEM, "store: merge");
}

/* --- tables ------------------------------------------------------------------------- */

/* The smallest event type from `from` on that a source has. False: none. */
static bool next_event(const struct merge_job *job, uint64_t from, uint32_t *event_out)
{
    bool has = false;
    for (uint32_t i = 0; i < job->count; i++) {
        const struct part_head *head = &job->sources[i].part->head;
        for (uint32_t t = 0; t < head->table_count; t++) {
            uint32_t event = head->tables[t].event;
            if (event < from || (has && event >= *event_out))
                continue;
            *event_out = event;
            has = true;
        }
    }
    return has;
}

static struct err write_columns(struct merger *m, struct store_slice *slice,
                                const struct slice_column_name *names, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct store_column column;
        bool has = false;
        struct err err = slice_column(slice, names[i].property, names[i].type, &column, &has);
        if (err.code)
            return err;
        if (has)
            part_writer_column(&m->writer, names[i].property, names[i].type, &column);
        if (m->writer.err.code)
            return m->writer.err;
        arena_reset(&m->columns);
    }
    return ok();
}

static struct err write_table(struct merger *m, uint32_t event)
{
    const struct merge_job *job = m->job;
    struct store_slice *slice = &m->tables[m->table_count];
    struct err err =
        slice_build(job->sources, job->count, job->drop, event, &m->keep, &m->counters, slice);
    if (err.code || slice->users == 0)
        return err;
    err = slice_times(slice);
    struct slice_column_name *names = NULL;
    uint32_t name_count = 0;
    if (!err.code)
        err = slice_seqs(slice);
    if (!err.code)
        err = slice_columns(slice, &names, &name_count);
    if (err.code)
        return err;
    m->table_count++;
    slice_use_arena(slice, &m->columns);
    const uint32_t *origins = NULL;
    err = slice_origins(slice, job->shards, job->shard, &origins);
    if (err.code)
        return err;
    struct part_rows rows = {
        .event = event,
        .users = slice->users,
        .events = slice->events,
        .row = slice->row,
        .start = slice->start,
        .time = slice->time,
        .seq = slice->seq,
        .origin = origins,
    };
    part_writer_table(&m->writer, &rows);
    err = m->writer.err;
    if (!err.code)
        err = write_columns(m, slice, names, name_count);
    arena_reset(&m->columns);
    return err;
}

static struct err write_tables(struct merger *m)
{
    uint32_t events = 0;
    for (uint32_t i = 0; i < m->job->count; i++) {
        struct err err = part_load(m->job->sources[i].part);
        if (err.code)
            return err;
        events += m->job->sources[i].part->head.table_count;
    }
    m->tables = arena_calloc(&m->keep, events + (size_t)1, sizeof *m->tables);
    if (!m->tables)
        return no_memory();
    uint64_t from = 0;
    uint32_t event = 0;
    while (next_event(m->job, from, &event)) {
        struct err err = write_table(m, event);
        if (err.code)
            return err;
        from = (uint64_t)event + 1;
    }
    return ok();
}

/* --- order --------------------------------------------------------------------------- */

/* Is the next row of `a` before that of `b`? On a tie, the smaller type is first. */
static bool is_before(const struct merger *m, const struct run *a, const struct run *b)
{
    const struct store_slice *left = &m->tables[a->source];
    const struct store_slice *right = &m->tables[b->source];
    if (left->time[a->from] != right->time[b->from])
        return left->time[a->from] < right->time[b->from];
    if (left->seq[a->from] != right->seq[b->from])
        return left->seq[a->from] < right->seq[b->from];
    return a->source < b->source;
}

/* One user's rows of all tables; the runs are used up. */
static uint32_t *order_user(const struct merger *m, struct run *runs, uint32_t count,
                            uint32_t *codes)
{
    while (count > 0) {
        uint32_t first = 0;
        for (uint32_t i = 1; i < count; i++)
            if (is_before(m, &runs[i], &runs[first]))
                first = i;
        *codes++ = runs[first].source;
        runs[first].from++;
        if (--runs[first].count == 0)
            runs[first] = runs[--count];
    }
    return codes;
}

static struct err order_users(struct merger *m, struct run *runs, uint32_t count)
{
    uint32_t *row = arena_alloc(&m->keep, (size_t)count * 4);
    uint32_t *start = arena_alloc(&m->keep, (count + (size_t)1) * 4);
    uint32_t *codes = arena_alloc(&m->keep, (size_t)m->writer.head.events * 4);
    if (!row || !start || !codes)
        return no_memory();
    uint32_t users = 0;
    uint32_t *next = codes;
    for (uint32_t i = 0; i < count;) {
        uint32_t end = i;
        while (end < count && runs[end].row == runs[i].row)
            end++;
        row[users] = runs[i].row;
        start[users++] = (uint32_t)(next - codes);
        next = order_user(m, runs + i, end - i, next);
        i = end;
    }
    start[users] = (uint32_t)(next - codes);
    part_writer_order(&m->writer, users, row, start, codes);
    return m->writer.err;
}

static struct err write_order(struct merger *m)
{
    uint64_t total = 0;
    for (uint32_t t = 0; t < m->table_count; t++)
        total += m->tables[t].users;
    if (total > UINT32_MAX)
        return err_new(ERR_LIMIT, "store: too many users in one part");
    struct run *runs = malloc((total + 1) * sizeof *runs);
    struct run *spare = malloc((total + 1) * sizeof *runs);
    uint32_t *lists = malloc((m->table_count + 2u) * 4);
    struct err err = runs && spare && lists ? ok() : no_memory();
    uint32_t count = 0;
    for (uint32_t t = 0; t < m->table_count && !err.code; t++) {
        const struct store_slice *slice = &m->tables[t];
        lists[t] = count;
        for (uint32_t u = 0; u < slice->users; u++)
            runs[count++] = (struct run){ .row = slice->row[u],
                                          .source = t,
                                          .from = slice->start[u],
                                          .count = slice->start[u + 1] - slice->start[u] };
        lists[t + 1] = count;
    }
    if (!err.code)
        err = order_users(m, runs_merge(runs, spare, lists, m->table_count), count);
    free(runs);
    free(spare);
    free(lists);
    return err;
}

/* --- whole ----------------------------------------------------------------------------- */

/* *size_out 0: nothing is left. */
static struct err run_merge(const struct merge_job *job, struct disk_file *file,
                            uint8_t **image_out, uint64_t *size_out, struct part_name *name_out)
{
    struct merger m = { .job = job };
    struct part_head identity = {
        .number = job->number,
        .shard = job->shard,
        .shards = job->shards,
        .month = job->month,
    };
    *size_out = 0;
    arena_init(&m.keep, (size_t)1 << ARENA_SHIFT);
    arena_init(&m.columns, (size_t)1 << ARENA_SHIFT);
    part_writer_init(&m.writer, &identity, job->zone, job->is_small, file);
    struct err err = write_tables(&m);
    if (!err.code && m.table_count > 0)
        err = write_order(&m);
    if (!err.code && m.table_count > 0)
        err = part_writer_finish(&m.writer, image_out, size_out);
    *name_out = (struct part_name){
        .number = job->number,
        .shard = job->shard,
        .month = job->month,
        .size = *size_out,
        .header_sum = m.writer.header_sum,
        .rows = m.writer.head.events,
        .users = m.writer.head.users,
    };
    part_writer_done(&m.writer);
    arena_done(&m.columns);
    arena_done(&m.keep);
    return err;
}

struct err merge_to_memory(const struct merge_job *job, struct part_home *home,
                           struct part **part_out)
{
    uint8_t *image = NULL;
    uint64_t size = 0;
    struct part_name name;
    *part_out = NULL;
    struct err err = run_merge(job, NULL, &image, &size, &name);
    if (err.code || size == 0)
        return err;
    return part_of_image(home, image, size, part_out);
}

struct err merge_to_file(const struct merge_job *job, struct part_home *home,
                         struct part **part_out)
{
    char path[PART_NAME_MAX];
    struct disk_file *file = NULL;
    struct part_name name = { 0 };
    uint64_t size = 0;
    *part_out = NULL;
    part_path(home, job->shard, job->month, job->number, path);
    struct err err = disk_open(home->disk, path, DISK_CREATE, &file);
    if (err.code)
        return err;
    err = run_merge(job, file, NULL, &size, &name);
    if (!err.code && size > 0)
        err = file_sync(file);
    file_close(file);
    if (!err.code && size > 0)
        err = part_of_file(home, &name, part_out);
    if (err.code || size == 0) {
        struct err removed = disk_remove(home->disk, path);
        (void)removed; /* what stays behind is removed at the next opening */
    }
    return err;
}

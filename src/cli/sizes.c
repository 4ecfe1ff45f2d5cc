/*
 * sizes.c - kolam check --sizes: what the files of each project are made of.
 *
 * The files are measured while nobody has the folder open; then it's opened for the names.
 */
#include "cli/cli_internal.h"

#include <stdlib.h>

enum { SIZES_MAX = 1 << 20, COLUMNS = 7 };

struct size_entry {
    uint32_t project;
    struct store_size size;
};

struct sizes {
    struct size_entry *entries;
    size_t count;
    size_t cap;
    uint32_t project;
    bool is_full;
};

static bool is_same(const struct size_entry *a, uint32_t project, const struct store_size *b)
{
    return a->project == project && a->size.event == b->event && a->size.property == b->property &&
           a->size.type == b->type && strcmp(a->size.what, b->what) == 0;
}

/* There are some hundred different ones, and thousands of sections: a walk is quick enough. */
static void add_size(void *ctx, const struct store_size *size)
{
    struct sizes *sizes = ctx;
    for (size_t i = sizes->count; i-- > 0;)
        if (is_same(&sizes->entries[i], sizes->project, size)) {
            sizes->entries[i].size.bytes += size->bytes;
            sizes->entries[i].size.events += size->events;
            return;
        }
    if (sizes->count == sizes->cap) {
        size_t cap = sizes->cap ? sizes->cap * 2 : 256;
        struct size_entry *grown =
            cap <= SIZES_MAX ? realloc(sizes->entries, cap * sizeof *grown) : NULL;
        if (!grown) {
            sizes->is_full = true;
            return;
        }
        sizes->entries = grown;
        sizes->cap = cap;
    }
    sizes->entries[sizes->count++] = (struct size_entry){ sizes->project, *size };
}

static int compare_entries(const void *a, const void *b)
{
    const struct size_entry *x = a;
    const struct size_entry *y = b;
    if (x->project != y->project)
        return x->project < y->project ? -1 : 1;
    return (x->size.bytes < y->size.bytes) - (x->size.bytes > y->size.bytes);
}

static struct err measure_projects(struct disk *disk, struct buf *names, size_t *count_out,
                                   struct sizes *sizes)
{
    bool exists = false;
    struct err err = disk_exists(disk, "projects", &exists);
    if (!err.code && exists)
        err = disk_list(disk, "projects", names, count_out);
    const char *name = (const char *)names->ptr;
    for (size_t i = 0; i < *count_out && !err.code; i++, name += strlen(name) + 1) {
        sizes->project = (uint32_t)i;
        err = engine_sizes(disk, name, add_size, sizes);
    }
    return !err.code && sizes->is_full ? err_new(ERR_LIMIT, "sizes") : err;
}

static struct err measure(const char *path, struct buf *names, size_t *count_out,
                          struct sizes *sizes)
{
    struct disk *disk = NULL;
    struct disk_file *lock = NULL;
    struct err err = disk_real(path, &disk);
    if (err.code)
        return err;
    err = disk_lock(disk, "LOCK", &lock);
    if (!err.code)
        err = measure_projects(disk, names, count_out, sizes);
    disk_unlock(lock);
    disk_free(disk);
    return err;
}

static struct table_cell text_cell(struct arena *arena, struct bytes text)
{
    struct bytes copy = arena_copy(arena, text);
    return (struct table_cell){ .kind = copy.ptr || !text.len ? CELL_STRING : CELL_NULL,
                                .text = copy };
}

static void fill_rows(struct table *table, const struct size_entry *entries, size_t count,
                      const char *project, const struct catalog *catalog)
{
    double events = 0;
    for (size_t i = 0; i < count; i++)
        events += (double)entries[i].size.events;
    for (size_t i = 0; i < count; i++) {
        const struct store_size *size = &entries[i].size;
        struct table_cell *cells = table->cells + table->row_count++ * COLUMNS;
        cells[0] = text_cell(&table->arena, bytes_from(project));
        if (size->event >= 0 && size->event < catalog_event_count(catalog))
            cells[1] = text_cell(&table->arena, catalog_event_name(catalog, (uint32_t)size->event));
        if (size->type != VALUE_NULL && size->property < catalog_property_count(catalog))
            cells[2] = text_cell(&table->arena, catalog_property_name(catalog, size->property));
        if (size->type != VALUE_NULL)
            cells[3] = text_cell(&table->arena, bytes_from(value_type_name(size->type)));
        cells[4] = text_cell(&table->arena, bytes_from(size->what));
        cells[5] = (struct table_cell){ .kind = CELL_INT, .integer = (int64_t)size->bytes };
        if (events > 0)
            cells[6] =
                (struct table_cell){ .kind = CELL_REAL, .real = (double)size->bytes / events };
    }
}

static int fill_table(const struct cli_folder *folder, const char *names, const struct sizes *sizes,
                      struct table *table)
{
    const char *name = names;
    uint32_t project_number = 0;
    for (size_t i = 0; i < sizes->count;) {
        size_t end = i;
        struct account_project facts;
        struct project *project = NULL;
        struct catalog *catalog = NULL;
        while (end < sizes->count && sizes->entries[end].project == sizes->entries[i].project)
            end++;
        for (; project_number < sizes->entries[i].project; project_number++)
            name += strlen(name) + 1;
        struct err err = err_new(ERR_MISSING, "project");
        for (size_t n = 0; account_project_at(folder->accounts, n, &facts); n++)
            if (strcmp(facts.id, name) == 0) {
                struct project_settings settings = { .time_zone = bytes_from(facts.time_zone) };
                err = engine_project(folder->engine, name, &settings, false, &project);
            }
        if (!err.code)
            err = project_catalog(project, &catalog);
        if (err.code)
            return cli_say_err(err, name);
        fill_rows(table, sizes->entries + i, end - i, name, catalog);
        catalog_free(catalog);
        i = end;
    }
    return CLI_DONE;
}

static int show(const struct cli_folder *folder, const char *names, struct sizes *sizes,
                enum format format)
{
    struct table_column columns[COLUMNS] = {
        { BYTES("project"), TABLE_STRING },       { BYTES("event"), TABLE_STRING },
        { BYTES("property"), TABLE_STRING },      { BYTES("type"), TABLE_STRING },
        { BYTES("what"), TABLE_STRING },          { BYTES("bytes"), TABLE_INT },
        { BYTES("bytes_per_event"), TABLE_REAL },
    };
    struct table table = { .report = BYTES("sizes"), .columns = columns, .column_count = COLUMNS };
    arena_init(&table.arena, (size_t)1 << 32);
    table.cells = arena_calloc(&table.arena, sizes->count * COLUMNS + 1, sizeof *table.cells);
    if (sizes->count > 0)
        qsort(sizes->entries, sizes->count, sizeof *sizes->entries, compare_entries);
    int status = table.cells ? fill_table(folder, names, sizes, &table)
                             : cli_say_err(err_new(ERR_NOMEM, "sizes"), "sizes");
    if (status == CLI_DONE)
        status = print_table(&table, format);
    arena_done(&table.arena);
    return status;
}

int command_check_sizes(struct cli *cli)
{
    struct buf names;
    struct sizes sizes = { 0 };
    struct cli_folder folder;
    enum format format;
    size_t count = 0;
    if (!cli_format(cli, &format))
        return CLI_USAGE;
    buf_init(&names, 16 << 20);
    struct err err = measure(cli_text(cli, "data"), &names, &count, &sizes);
    int status = err.code ? cli_say_err(err, cli_text(cli, "data")) : CLI_DONE;
    if (status == CLI_DONE)
        status = cli_folder_open(cli, false, &folder);
    if (status == CLI_DONE) {
        status = show(&folder, (const char *)names.ptr, &sizes, format);
        cli_folder_close(&folder);
    }
    free(sizes.entries);
    buf_done(&names);
    return status;
}

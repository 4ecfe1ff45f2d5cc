/*
 * sizes.c - what the files of a store are made of, told section by section.
 *
 * Only headers and directories are read: it's quick on any store. Runs in memory aren't files.
 */
#include "store/store_internal.h"

#include <stdio.h>

struct sizer {
    struct part_home home;
    store_size_fn *visit;
    void *ctx;
};

static const char *const NAMES[SECTION_KINDS] = {
    [SECTION_DIR_ROWS] = "users", [SECTION_DIR_STARTS] = "starts", [SECTION_ORDER] = "order",
    [SECTION_RUN_ROWS] = "users", [SECTION_RUN_STARTS] = "starts", [SECTION_TIMES] = "times",
    [SECTION_SEQS] = "seqs",      [SECTION_CLOCK] = "clock",       [SECTION_ORIGINS] = "origins",
    [SECTION_DAYS] = "days",      [SECTION_PRESENCE] = "presence", [SECTION_VALUES] = "values",
    [SECTION_TEXTS] = "texts",    [SECTION_LISTS] = "lists",
};

static void visit_sections(const struct sizer *s, const struct part_head *head, int64_t event,
                           uint32_t first, uint32_t count)
{
    for (uint32_t i = first; i < first + count; i++) {
        const struct part_section *section = &head->sections[i];
        struct store_size size = {
            .event = event,
            .what = NAMES[section->kind],
            .property = section->property,
            .type = section->type,
            .bytes = section->size,
        };
        s->visit(s->ctx, &size);
    }
}

static struct err size_part(const struct sizer *s, struct part *part)
{
    if (!part)
        return ok();
    struct err err = part_load(part);
    if (err.code)
        return err;
    const struct part_head *head = &part->head;
    uint64_t of_tables = 0;
    for (uint32_t t = 0; t < head->table_count; t++) {
        const struct part_table *table = &head->tables[t];
        struct store_size size = {
            .event = table->event,
            .what = "directory",
            .bytes = PART_TABLE_SIZE + (uint64_t)table->section_count * PART_SECTION_SIZE,
            .events = table->events,
        };
        of_tables += size.bytes;
        s->visit(s->ctx, &size);
        visit_sections(s, head, table->event, table->section, table->section_count);
    }
    visit_sections(s, head, STORE_SIZE_SHARED, 0, head->shared_sections);
    uint64_t rest = part->size - of_tables;
    for (uint32_t i = 0; i < head->section_count; i++)
        rest -= head->sections[i].size;
    struct store_size shared = { .event = STORE_SIZE_SHARED, .what = "directory", .bytes = rest };
    s->visit(s->ctx, &shared);
    return ok();
}

static struct err size_month(const struct sizer *s, const struct month_view *month)
{
    struct err err = size_part(s, month->base);
    if (!err.code)
        err = size_part(s, month->patch);
    for (uint32_t i = 0; i < month->run_count && !err.code; i++)
        err = size_part(s, month->runs[i]);
    return err;
}

static struct err size_manifest(struct sizer *s, const char *path)
{
    struct buf bytes;
    struct manifest *manifest = NULL;
    buf_init(&bytes, MANIFEST_BYTES_MAX);
    struct err err = disk_read_file(s->home.disk, path, MANIFEST_BYTES_MAX, &bytes);
    if (!err.code)
        err = manifest_parse(buf_bytes(&bytes), &s->home, &manifest);
    buf_done(&bytes);
    if (err.code)
        return err;
    for (uint32_t i = 0; i < manifest->shards && !err.code; i++) {
        const struct shard_view *view = manifest->views[i];
        for (uint32_t m = 0; m < view->month_count && !err.code; m++)
            err = size_month(s, view->months[m]);
    }
    manifest_free(manifest);
    return err;
}

struct err store_sizes(struct disk *disk, const char *dir, store_size_fn *visit, void *ctx)
{
    char path[PART_NAME_MAX];
    bool exists = false;
    struct sizer s = {
        .home = { .disk = disk, .dir = dir, .is_closing = true },
        .visit = visit,
        .ctx = ctx,
    };
    (void)snprintf(path, sizeof path, "%s/%s", dir, MANIFEST_NAME);
    struct err err = disk_exists(disk, path, &exists);
    if (err.code || !exists)
        return err;
    err = cache_new(1, &s.home.cache);
    if (err.code)
        return err;
    err = size_manifest(&s, path);
    cache_free(s.home.cache);
    return err;
}

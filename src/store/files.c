/* files.c - which files a manifest names, for whoever copies a store that another process writes. */
#include "store/manifest.h"

#include <stdio.h>

struct listing {
    struct part_home home;
    store_file_fn *visit;
    void *ctx;
};

static struct err list_part(struct listing *listing, const struct part *part)
{
    char path[PART_NAME_MAX];
    if (!part)
        return ok();
    part_path(&listing->home, part->shard, part->month, part->number, path);
    return listing->visit(listing->ctx, path, part->size, part->header_sum);
}

static struct err list_month(struct listing *listing, const struct month_view *month)
{
    struct err err = list_part(listing, month->base);
    if (!err.code)
        err = list_part(listing, month->patch);
    for (uint32_t i = 0; i < month->run_count && !err.code; i++)
        err = list_part(listing, month->runs[i]);
    return err;
}

struct err store_manifest_files(struct bytes manifest, const char *dir, store_file_fn *visit,
                                void *ctx, uint64_t *position_out, struct buf *extra)
{
    struct listing listing = { .home = { .dir = dir }, .visit = visit, .ctx = ctx };
    struct manifest *parsed = NULL;
    atomic_store(&listing.home.is_closing, true); /* nothing is removed with the parts */
    struct err err = manifest_parse(manifest, &listing.home, &parsed);
    if (err.code)
        return err;
    for (uint32_t s = 0; s < parsed->shards && !err.code; s++)
        for (uint32_t m = 0; m < parsed->views[s]->month_count && !err.code; m++)
            err = list_month(&listing, parsed->views[s]->months[m]);
    if (!err.code) {
        *position_out = parsed->position;
        buf_put(extra, buf_bytes(&parsed->extra));
        err = buf_err(extra);
    }
    manifest_free(parsed);
    return err;
}

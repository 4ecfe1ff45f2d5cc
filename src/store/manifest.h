/*
 * manifest.h - what counts: the parts, masks and dead users of every shard, and up to where in the
 * log they speak. docs/formats/manifest.md.
 */
#ifndef STORE_MANIFEST_H
#define STORE_MANIFEST_H

#include "store/view.h"

enum { MANIFEST_BYTES_MAX = 256 << 20, MANIFEST_SHARDS_MAX = 1024 };
#define MANIFEST_NAME  "MANIFEST"
#define MANIFEST_MAGIC "KOLMANI\x01"

struct manifest {
    uint64_t position; /* all commands before it are in the parts */
    uint64_t next_number;
    uint64_t events; /* living rows */
    uint32_t shards;
    struct shard_view **views; /* of files only; owned */
    struct buf extra;
};

/* Empty views. */
MUST_CHECK struct err manifest_new(uint32_t shards, struct manifest **out);
/* A copy that shares the views. */
MUST_CHECK struct err manifest_copy(const struct manifest *manifest, struct manifest **out);
void manifest_free(struct manifest *manifest); /* NULL is fine */
/* Replaces the view of a shard, taking the reference. */
void manifest_set(struct manifest *manifest, uint32_t shard, struct shard_view *view);

void manifest_put(const struct manifest *manifest, struct buf *to);
/* ERR_CORRUPT. The parts are made, not read. */
MUST_CHECK struct err manifest_parse(struct bytes from, struct part_home *home,
                                     struct manifest **out);

#endif

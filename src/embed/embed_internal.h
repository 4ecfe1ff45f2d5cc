/* embed_internal.h - what the files of embed share. */
#ifndef EMBED_EMBED_INTERNAL_H
#define EMBED_EMBED_INTERNAL_H

#include "command/command.h"
#include "embed/embed.h"
#include "engine/engine.h"
#include "ingest/ingest.h"

struct kolam {
    struct disk *disk;
    struct thread_pool *pool;
    struct engine *engine;
    struct project *project;
    uint64_t query_memory_bytes;
    int64_t query_timeout_ms;

    struct mutex lock; /* of what is below: what was appended and isn't sent */
    struct ingest *ingest;
    struct command_writer *writer;
    struct buf line;
    struct ingest_rules rules;
    bool has_batch; /* the writer was reset, and its rules are those of `rules` */
    bool is_final;  /* the writer holds a finished batch that couldn't be sent yet */
};

/* Fills *error (NULL is fine) with `about: what` and returns the status. */
enum kolam_status embed_fail(struct kolam_error *error, struct err err, const char *about);
__attribute__((format(printf, 3, 4))) enum kolam_status
embed_say(struct kolam_error *error, enum kolam_status status, const char *format, ...);
enum kolam_status embed_fine(struct kolam_error *error);

#endif

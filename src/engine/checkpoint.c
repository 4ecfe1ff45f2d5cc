/*
 * checkpoint.c - the state file: all that isn't events, at one position.
 *
 *     offset  size  field
 *          0     8  "KOLAMST" and the version, 1
 *          8     8  the position: all commands before it are in here
 *         16     8  length of the body
 *         24     8  XXH3 of the body, seeded with the position
 *         32     8  XXH3 of the 32 bytes before
 *         40     -  the body: sections, each a le64 length and its bytes, in this order:
 *                   counters, catalog, identity graph, profiles, event ids
 *
 * The file is named by its position and never changed. It counts when a manifest names it (the
 * store's `extra` words are its name); what no manifest names is removed at the next checkpoint.
 */
#include "engine/engine_internal.h"

#include "codec/hash.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { HEADER_SIZE = 40, NAME_MAX_BYTES = 32, PATH_MAX_BYTES = 96 };

#define STATE_LIMIT ((size_t)16 << 30)

static const uint8_t MAGIC[8] = { 'K', 'O', 'L', 'A', 'M', 'S', 'T', 1 };

/* --- the body ----------------------------------------------------------------------- */

/* Leaves room for a section's length; close_section fills it in. */
static size_t open_section(struct buf *to)
{
    size_t at = to->len;
    buf_put_le64(to, 0);
    return at;
}

static void close_section(struct buf *to, size_t at)
{
    if (!to->is_failed)
        store_le64(to->ptr + at, to->len - at - 8);
}

struct err state_save(const struct state *state, struct buf *to)
{
    size_t at = open_section(to);
    buf_put_le64(to, state->position);
    buf_put_le64(to, state->duplicates);
    buf_put_le64(to, state->refused);
    buf_put_le32(to, state->dedup_days);
    buf_put_u8(to, state->identity_config.does_join_existing);
    buf_put_le64(to, state->identity_config.erase_key[0]);
    buf_put_le64(to, state->identity_config.erase_key[1]);
    limits_save(&state->limits, to);
    close_section(to, at);
    at = open_section(to);
    catalog_save(state->catalog, to);
    close_section(to, at);
    at = open_section(to);
    identity_save(state->identity, to);
    close_section(to, at);
    at = open_section(to);
    profiles_save(state->profiles, to);
    close_section(to, at);
    at = open_section(to);
    dedup_save(state->dedup, to);
    close_section(to, at);
    return buf_err(to);
}

static struct reader section(struct reader *from)
{
    uint64_t len = reader_le64(from);
    if (len > reader_left(from))
        from->is_failed = true;
    return reader_of(reader_take(from, from->is_failed ? 0 : (size_t)len));
}

struct err state_load(struct state *state, struct bytes from)
{
    struct reader body = reader_of(from);
    struct reader counters = section(&body);
    struct reader catalog = section(&body);
    struct reader identity = section(&body);
    struct reader profiles = section(&body);
    struct reader dedup = section(&body);
    struct err err = reader_err(&body, true);
    if (err.code)
        return err;

    state->position = reader_le64(&counters);
    state->duplicates = reader_le64(&counters);
    state->refused = reader_le64(&counters);
    state->dedup_days = reader_le32(&counters);
    state->identity_config.does_join_existing = reader_u8(&counters) != 0;
    state->identity_config.erase_key[0] = reader_le64(&counters);
    state->identity_config.erase_key[1] = reader_le64(&counters);
    limits_load(&state->limits, &counters);
    err = reader_err(&counters, true);
    if (err.code)
        return err;

    catalog_free(state->catalog);
    state->catalog = NULL;
    err = catalog_load(bytes_of(catalog.next, reader_left(&catalog)), &state->catalog);
    if (err.code)
        return err;
    identity_free(state->identity);
    state->identity = NULL;
    err = identity_load(bytes_of(identity.next, reader_left(&identity)), state->identity_config,
                        &state->identity);
    if (err.code)
        return err;
    profiles_free(state->profiles);
    state->profiles = NULL;
    err = profiles_load(bytes_of(profiles.next, reader_left(&profiles)),
                        (struct profile_limits){ 0 }, &state->profiles);
    if (err.code)
        return err;
    err = dedup_load(state->dedup, &dedup);
    if (err.code)
        return err;
    return state_find_dead(state);
}

/* --- the file ---------------------------------------------------------------------------- */

static void name_of(uint64_t position, char name[NAME_MAX_BYTES])
{
    (void)snprintf(name, NAME_MAX_BYTES, "%020" PRIu64 ".state", position);
}

static void path_of(const struct project *project, const char *name, char path[PATH_MAX_BYTES])
{
    (void)snprintf(path, PATH_MAX_BYTES, "%s/%s", project->dir, name);
}

static void put_header(uint8_t *header, uint64_t position, struct bytes body)
{
    memcpy(header, MAGIC, sizeof MAGIC);
    store_le64(header + 8, position);
    store_le64(header + 16, body.len);
    store_le64(header + 24, xxh3_64(body, position));
    store_le64(header + 32, xxh3_64(bytes_of(header, 32), 0));
}

struct err checkpoint_begin(struct project *project)
{
    struct state *state = &project->state;
    buf_reset(&project->job_state);
    /* Room for the header, filled in once the body is known. */
    if (!buf_reserve(&project->job_state, HEADER_SIZE))
        return buf_err(&project->job_state);
    project->job_state.len = HEADER_SIZE;
    struct err err = state_save(state, &project->job_state);
    if (err.code)
        return err;
    err = state->store->ops->checkpoint_begin(state->store, state->position);
    if (err.code)
        return err;
    project->job_position = state->position;
    return ok();
}

/* Or one that a crash cut short: disk_replace_file writes it aside, as ".new". */
static bool is_state_file(struct bytes name)
{
    return name.len < NAME_MAX_BYTES &&
           (bytes_end_with(name, BYTES(".state")) || bytes_end_with(name, BYTES(".state.new")));
}

/* Removes state files other than the one named: those of older checkpoints, and of ones that a
 * crash cut short. */
static struct err remove_others(struct project *project, const char *kept)
{
    struct disk *disk = project->engine->config.disk;
    struct buf names;
    size_t count = 0;
    buf_init(&names, 1 << 24);
    struct err err = disk_list(disk, project->dir, &names, &count);
    const char *name = (const char *)names.ptr;
    for (size_t i = 0; i < count && !err.code; i++, name += strlen(name) + 1) {
        char path[PATH_MAX_BYTES];
        if (!is_state_file(bytes_from(name)) || strcmp(name, kept) == 0)
            continue;
        path_of(project, name, path);
        err = disk_remove(disk, path);
    }
    buf_done(&names);
    return err;
}

struct err checkpoint_write(struct project *project)
{
    struct disk *disk = project->engine->config.disk;
    struct store *store = project->state.store;
    struct buf *file = &project->job_state;
    char name[NAME_MAX_BYTES];
    char path[PATH_MAX_BYTES];

    put_header(file->ptr, project->job_position,
               bytes_of(file->ptr + HEADER_SIZE, file->len - HEADER_SIZE));
    name_of(project->job_position, name);
    path_of(project, name, path);
    struct err err = disk_replace_file(disk, path, buf_bytes(file));
    if (err.code)
        return err;
    err = store->ops->checkpoint_write(store, bytes_from(name));
    if (err.code)
        return err;
    buf_done(file);
    buf_init(file, STATE_LIMIT);

    /* The checkpoint counts from here on; what's left over goes now or with the next one. */
    err = remove_others(project, name);
    if (!err.code && project->log)
        err = log_trim(project->log, project->job_position);
    if (err.code)
        project_warn(project, "files before the checkpoint could not be removed", err);
    return ok();
}

/* The whole file, with its header checked. */
static struct err read_state(struct disk *disk, const char *path, struct buf *file)
{
    uint8_t header[HEADER_SIZE];
    struct err err = disk_read_file(disk, path, STATE_LIMIT, file);
    if (err.code)
        return err;
    if (file->len < HEADER_SIZE)
        return err_new(ERR_CORRUPT, "checkpoint: the state file is cut short");
    put_header(header, load_le64(file->ptr + 8),
               bytes_of(file->ptr + HEADER_SIZE, file->len - HEADER_SIZE));
    if (memcmp(header, file->ptr, HEADER_SIZE) != 0)
        return err_new(ERR_CORRUPT, "checkpoint: the state file doesn't check");
    return ok();
}

struct err checkpoint_load(struct project *project, struct bytes extra)
{
    char name[NAME_MAX_BYTES];
    char path[PATH_MAX_BYTES];
    buf_init(&project->job_state, STATE_LIMIT);
    if (extra.len == 0)
        return ok();
    if (extra.len >= sizeof name)
        return err_new(ERR_CORRUPT, "checkpoint: name of the state file");
    memcpy(name, extra.ptr, extra.len);
    name[extra.len] = '\0';
    path_of(project, name, path);

    struct buf file;
    buf_init(&file, STATE_LIMIT);
    struct err err = read_state(project->engine->config.disk, path, &file);
    if (!err.code)
        err = state_load(&project->state, bytes_slice(buf_bytes(&file), HEADER_SIZE, SIZE_MAX));
    buf_done(&file);
    return err;
}

struct err checkpoint_verify(struct disk *disk, const char *path)
{
    struct buf file;
    buf_init(&file, STATE_LIMIT);
    struct err err = read_state(disk, path, &file);
    buf_done(&file);
    return err;
}

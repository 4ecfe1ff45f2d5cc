/*
 * check.c - the files of a project that nobody has open: what the store's manifest names, the
 * checkpoints' states, the log.
 */
#include "engine/engine_internal.h"

#include "log/log.h"

#include <stdio.h>

enum { DIR_MAX_BYTES = 120, CHECK_PATH_MAX = 300, NAMES_MAX = 1 << 24 };

struct check {
    struct disk *disk;
    char dir[DIR_MAX_BYTES]; /* "projects/<id>" */
    engine_damage_fn *damage;
    void *ctx;
    uint64_t damages;
};

static void tell(void *ctx, const char *file, uint64_t offset, const char *what)
{
    struct check *c = ctx;
    c->damages++;
    c->damage(c->ctx, file, offset, what);
}

static struct err check_events(struct check *c, bool is_deep, uint64_t *events_out)
{
    char path[CHECK_PATH_MAX];
    bool exists = false;
    (void)snprintf(path, sizeof path, "%s/MANIFEST", c->dir);
    struct err err = disk_exists(c->disk, path, &exists);
    if (err.code || !exists)
        return err;
    err = store_check_files(c->disk, c->dir, is_deep, tell, c, events_out);
    if (err.code != ERR_CORRUPT)
        return err;
    /* What it told of each file says more than its error. */
    if (!c->damages)
        tell(c, "MANIFEST", 0, err.what);
    return ok();
}

static struct err check_states(struct check *c)
{
    struct buf names;
    size_t count = 0;
    buf_init(&names, NAMES_MAX);
    struct err err = disk_list(c->disk, c->dir, &names, &count);
    const char *name = (const char *)names.ptr;
    for (size_t i = 0; i < count && !err.code; i++, name += strlen(name) + 1) {
        char path[CHECK_PATH_MAX];
        if (!bytes_end_with(bytes_from(name), BYTES(".state")))
            continue;
        (void)snprintf(path, sizeof path, "%s/%.100s", c->dir, name);
        err = checkpoint_verify(c->disk, path);
        if (err.code == ERR_CORRUPT) {
            tell(c, name, 0, err.what);
            err = ok();
        }
    }
    buf_done(&names);
    return err;
}

static struct err check_log(struct check *c)
{
    char dir[CHECK_PATH_MAX];
    char file[CHECK_PATH_MAX];
    struct log_damage damage = { .file = "" };
    struct log_stats stats;
    bool exists = false;
    (void)snprintf(dir, sizeof dir, "%s/log", c->dir);
    struct err err = disk_exists(c->disk, dir, &exists);
    if (err.code || !exists)
        return err;
    err = log_check_files(c->disk, dir, &damage, &stats);
    if (err.code != ERR_CORRUPT)
        return err;
    (void)snprintf(file, sizeof file, "log/%s", damage.file);
    tell(c, file, damage.offset, err.what);
    return ok();
}

struct err engine_check_files(struct disk *disk, const char *project, bool is_deep,
                              engine_damage_fn *damage, void *ctx, uint64_t *events_out)
{
    uint64_t events = 0;
    struct check c = { .disk = disk, .damage = damage, .ctx = ctx };
    (void)snprintf(c.dir, sizeof c.dir, "projects/%.100s", project);
    struct err err = check_events(&c, is_deep, &events);
    if (!err.code)
        err = check_states(&c);
    if (!err.code)
        err = check_log(&c);
    if (!err.code)
        *events_out = events;
    return err;
}

struct err engine_sizes(struct disk *disk, const char *project, store_size_fn *visit, void *ctx)
{
    char dir[DIR_MAX_BYTES];
    (void)snprintf(dir, sizeof dir, "projects/%.100s", project);
    return store_sizes(disk, dir, visit, ctx);
}

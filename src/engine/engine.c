/* engine.c - the folder: its lock, its zones, its projects. */
#include "engine/engine_internal.h"

#include "sys/sys.h"

#include <stdio.h>
#include <stdlib.h>

struct err engine_open(const struct engine_config *config, struct engine **out)
{
    struct engine *engine = calloc(1, sizeof *engine);
    if (!engine)
        return err_new(ERR_NOMEM, "engine: open");
    engine->config = *config;
    mutex_init(&engine->mutex);
    struct err err = disk_lock(config->disk, "LOCK", &engine->lock);
    if (err.code)
        goto fail;
    bool is_restoring = false;
    err = disk_exists(config->disk, RESTORING_NAME, &is_restoring);
    if (!err.code && is_restoring)
        err = err_new(ERR_INVALID, "a restore into it was cut short: empty it and restore again");
    if (err.code)
        goto fail;
    err = disk_make_dir(config->disk, "projects");
    if (err.code)
        goto fail;
    err = disk_sync_dir(config->disk, ".");
    if (err.code)
        goto fail;
    *out = engine;
    return ok();
fail:
    engine_close(engine);
    return err;
}

static void close_all(struct engine *engine, bool is_abandoned)
{
    if (!engine)
        return;
    while (engine->projects) {
        struct project *project = engine->projects;
        engine->projects = project->next;
        project_close(project, is_abandoned);
    }
    for (uint32_t i = 0; i < engine->zone_count; i++)
        zone_free(engine->zones[i]);
    free(engine->zones);
    disk_unlock(engine->lock);
    mutex_done(&engine->mutex);
    free(engine);
}

void engine_close(struct engine *engine)
{
    close_all(engine, false);
}

void engine_abandon(struct engine *engine)
{
    close_all(engine, true);
}

/* --- zones ---------------------------------------------------------------------------- */

static const struct zone *find_zone(const struct engine *engine, struct bytes name)
{
    for (uint32_t i = 0; i < engine->zone_count; i++) {
        if (bytes_equal(bytes_from(zone_name(engine->zones[i])), name))
            return engine->zones[i];
    }
    return NULL;
}

static struct err keep_zone(struct engine *engine, struct bytes name, const struct zone **out)
{
    struct zone **zones = realloc(engine->zones, (engine->zone_count + 1) * sizeof(struct zone *));
    if (!zones)
        return err_new(ERR_NOMEM, "engine: zones");
    engine->zones = zones;
    struct err err = sys_zone_load(name, &zones[engine->zone_count]);
    if (err.code)
        return err;
    *out = zones[engine->zone_count++];
    return ok();
}

struct err engine_zone(struct engine *engine, struct bytes name, const struct zone **out)
{
    struct err err = ok();
    mutex_lock(&engine->mutex);
    const struct zone *known = find_zone(engine, name);
    if (known)
        *out = known;
    else
        err = keep_zone(engine, name, out);
    mutex_unlock(&engine->mutex);
    return err;
}

/* --- projects ---------------------------------------------------------------------------- */

static bool is_id(const char *id)
{
    size_t len = strlen(id);
    return len > 0 && len <= PROJECT_ID_MAX &&
           strspn(id, "abcdefghijklmnopqrstuvwxyz0123456789_-") == len;
}

static struct project *find_project(struct engine *engine, const char *id)
{
    struct project *project = engine->projects;
    while (project && strcmp(project->id, id) != 0)
        project = project->next;
    return project;
}

static struct err open_project(struct engine *engine, const char *id, const struct zone *zone,
                               const struct project_settings *settings, bool creates,
                               struct project **out)
{
    bool exists = false;
    char path[sizeof "projects/" + PROJECT_ID_MAX];
    (void)snprintf(path, sizeof path, "projects/%s", id);
    struct err err = disk_exists(engine->config.disk, path, &exists);
    if (err.code)
        return err;
    if (!exists && !creates)
        return err_new(ERR_MISSING, "engine: no such project");
    return project_open(engine, id, zone, settings, out);
}

struct err engine_project(struct engine *engine, const char *id,
                          const struct project_settings *settings, bool creates,
                          struct project **out)
{
    if (!is_id(id))
        return err_new(ERR_INVALID, "engine: project id");
    const struct zone *zone = NULL;
    struct err err = engine_zone(engine, settings->time_zone, &zone);
    if (err.code == ERR_MISSING)
        return err_new(ERR_INVALID, "engine: time zone");
    if (err.code)
        return err;

    mutex_lock(&engine->mutex);
    struct project *project = find_project(engine, id);
    if (!project) {
        err = open_project(engine, id, zone, settings, creates, &project);
        if (!err.code) {
            project->next = engine->projects;
            engine->projects = project;
        }
    }
    mutex_unlock(&engine->mutex);
    if (!err.code)
        *out = project;
    return err;
}

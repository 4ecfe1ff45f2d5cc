/* folder.c - opening a folder and the projects in it. */
#include "base/map.h"
#include "cli/cli_internal.h"
#include "sys/sys.h"

#include <stdio.h>

static void on_broken(void *ctx, const char *project, struct err err)
{
    const struct cli_folder *folder = ctx;
    sys_die(CLI_BROKEN,
            "kolam: %s/projects/%s: %s (%s): what is on disk is unknown: check the disk, then "
            "start again",
            folder->path, project, err.what, err.os ? strerror(err.os) : "stopped");
}

static void on_warning(void *ctx, const char *project, const char *what, struct err err)
{
    const struct cli_folder *folder = ctx;
    (void)cli_say(0, "%s/projects/%s: %s: %s (will be tried again)", folder->path, project, what,
                  err.what);
}

static struct err open_engine(const struct cli *cli, struct cli_folder *folder)
{
    uint64_t cache = 0;
    uint64_t floor = 0;
    uint64_t checkpoint = 0;
    uint64_t flush = 0;
    if (!cli_number(cli, "cache", 0, UINT64_C(1) << 40, &cache) ||
        !cli_number(cli, "checkpoint", 0, UINT64_C(1) << 40, &checkpoint) ||
        !cli_number(cli, "flush", 0, UINT32_MAX, &flush) ||
        !cli_number(cli, "disk-floor", 0, UINT64_C(1) << 50, &floor))
        return err_new(ERR_INVALID, "cli: settings");
    struct engine_config config = {
        .disk = folder->disk,
        .clock = clock_real(),
        .pool = folder->pool,
        .checkpoint_bytes = checkpoint,
        .flush_events = (uint32_t)flush,
        .cache_bytes = cache,
        .disk_floor_bytes = floor,
        .on_broken = on_broken,
        .on_warning = on_warning,
        .ctx = folder,
    };
    return engine_open(&config, &folder->engine);
}

static struct err open_accounts(struct cli_folder *folder)
{
    char path[4200];
    struct db *db;
    (void)snprintf(path, sizeof path, "%s/control.db", folder->path);
    struct err err = db_open_sqlite(path, &db);
    if (!err.code)
        err = accounts_open(db, clock_real(), &folder->accounts);
    return err;
}

int cli_folder_open(const struct cli *cli, bool creates, struct cli_folder *out)
{
    const char *path = cli_text(cli, "data");
    *out = (struct cli_folder){ .disk = NULL };
    if (strlen(path) >= sizeof out->path - 100)
        return cli_say(CLI_USAGE, "--data: the path is too long");
    (void)snprintf(out->path, sizeof out->path, "%s", path);
    if (!creates) {
        char control[4200];
        (void)snprintf(control, sizeof control, "%s/control.db", path);
        FILE *file = fopen(control, "rb");
        if (!file && errno == EACCES)
            return cli_say(CLI_ENVIRONMENT, "%s: this user may not read it", path);
        if (!file)
            return cli_say(CLI_REFUSED,
                           "%s: it isn't a folder of Kolam: name it with --data, or make "
                           "it with kolam serve or kolam import --create",
                           path);
        (void)fclose(file);
    }
    uint64_t seed;
    sys_entropy(&seed, sizeof seed);
    base_seed_set(seed);
    struct err err = disk_real(path, &out->disk);
    if (err.code == ERR_OS)
        return cli_say(CLI_ENVIRONMENT, "%s: the folder can't be made or used: %s", path,
                       strerror(err.os));
    if (!err.code)
        err = thread_pool_new(sys_cpu_count() > 1 ? sys_cpu_count() - 1 : 1, &out->pool);
    if (!err.code)
        err = open_engine(cli, out);
    if (!err.code)
        err = open_accounts(out);
    if (!err.code)
        return CLI_DONE;
    int status =
        err.code == ERR_BUSY && !is_word_of(cli->command->options, "server")
            ? cli_say(CLI_ENVIRONMENT, "%s: another kolam is using it: stop that first", path)
            : cli_say_err(err, path);
    cli_folder_close(out);
    return status;
}

void cli_folder_close(struct cli_folder *folder)
{
    accounts_close(folder->accounts);
    if (folder->engine)
        engine_close(folder->engine);
    thread_pool_free(folder->pool);
    disk_free(folder->disk);
    *folder = (struct cli_folder){ .disk = NULL };
}

static struct err make_project(struct cli_folder *folder, const char *name, const char *time_zone,
                               struct account_project *out)
{
    static const struct account_actor actor = { .kind = "command", .id = "", .remote = "" };
    char organisation[ACCOUNT_ID_SIZE];
    const struct zone *zone;
    struct err err = engine_zone(folder->engine, bytes_from(time_zone), &zone);
    if (err.code)
        return err_new(ERR_INVALID, "there's no such time zone");
    err = account_first_organisation(folder->accounts, organisation);
    if (err.code == ERR_MISSING)
        err = account_organisation_create(folder->accounts, &actor, BYTES("Organisation"),
                                          organisation);
    if (!err.code)
        err = account_project_create(folder->accounts, &actor, organisation, bytes_from(name),
                                     bytes_from(time_zone), BYTES("production"), out);
    return err;
}

int cli_project(struct cli_folder *folder, const char *name, bool creates, const char *time_zone,
                struct account_project *facts_out, struct project **out)
{
    if (!name)
        return cli_say(CLI_USAGE, "name the project: --project");
    struct err err = account_project_find(folder->accounts, bytes_from(name), facts_out);
    if (err.code == ERR_MISSING && creates)
        err = make_project(folder, name, time_zone ? time_zone : "UTC", facts_out);
    if (err.code == ERR_MISSING)
        return cli_say(CLI_REFUSED,
                       "there's no project %s: see kolam admin project list, or use "
                       "kolam import --create",
                       name);
    if (err.code == ERR_EXISTS)
        return cli_say(CLI_REFUSED, "several projects are named %s: use the id", name);
    if (!err.code) {
        struct project_settings settings = { .time_zone = bytes_from(facts_out->time_zone) };
        err = engine_project(folder->engine, facts_out->id, &settings, true, out);
    }
    return err.code ? cli_say_err(err, name) : CLI_DONE;
}

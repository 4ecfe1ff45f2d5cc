/* check.c - kolam check: everything a folder holds, read and verified. */
#include "cli/cli_internal.h"

#include <stdio.h>

struct checking {
    const char *project;
    uint64_t damages;
};

static void on_damage(void *ctx, const char *file, uint64_t offset, const char *what)
{
    struct checking *checking = ctx;
    checking->damages++;
    if (bytes_start_with(bytes_from(file), BYTES("projects/")))
        printf("damaged: %s at %llu: %s\n", file, (unsigned long long)offset, what);
    else
        printf("damaged: projects/%s/%s at %llu: %s\n", checking->project, file,
               (unsigned long long)offset, what);
}

/* Before anything else opens it: the files as they lie there. */
static int check_files(struct disk *disk, const char *project, bool is_deep, uint64_t *damages)
{
    struct checking checking = { .project = project };
    char about[100];
    uint64_t events = 0;
    struct err err = engine_check_files(disk, project, is_deep, on_damage, &checking, &events);
    if (err.code) {
        (void)snprintf(about, sizeof about, "projects/%.80s", project);
        return cli_say_err(err, about);
    }
    *damages += checking.damages;
    printf("%s: projects/%s: %llu events in files\n", checking.damages ? "DAMAGED" : "good",
           project, (unsigned long long)events);
    return CLI_DONE;
}

static int check_projects(struct disk *disk, bool is_deep, uint64_t *damages)
{
    struct buf names;
    size_t count = 0;
    int status = CLI_DONE;
    bool exists = false;
    buf_init(&names, 16 << 20);
    struct err err = disk_exists(disk, "projects", &exists);
    if (!err.code && exists)
        err = disk_list(disk, "projects", &names, &count);
    if (err.code)
        status = cli_say_err(err, "projects");
    const char *name = (const char *)names.ptr;
    for (size_t i = 0; i < count && status == CLI_DONE; i++, name += strlen(name) + 1)
        status = check_files(disk, name, is_deep, damages);
    buf_done(&names);
    return status;
}

static void on_difference(void *ctx, const char *what)
{
    struct checking *checking = ctx;
    checking->damages++;
    printf("damaged: projects/%s: %s\n", checking->project, what);
}

/* What is kept beside the events, counted anew from them. */
static void check_counts(struct project *project, const char *id, uint64_t *damages)
{
    struct checking checking = { .project = id };
    struct err err = project_recount(project, on_difference, &checking);
    if (err.code) {
        printf("DAMAGED: projects/%s can't be recounted: %s\n", id, err.what);
        checking.damages++;
    } else {
        printf("%s: projects/%s: counts of event types, properties, users and days\n",
               checking.damages ? "DAMAGED" : "good", id);
    }
    *damages += checking.damages;
}

/* Then as a server would open it: the log is replayed, the checkpoint read. */
static int check_opening(const struct cli *cli, uint64_t *damages)
{
    struct cli_folder folder;
    struct account_project facts;
    int status = cli_folder_open(cli, false, &folder);
    if (status != CLI_DONE)
        return status;
    struct err err = accounts_check(folder.accounts);
    printf("%s: control.db and the audit log\n", err.code ? "DAMAGED" : "good");
    *damages += err.code != ERR_NONE;
    for (size_t n = 0; account_project_at(folder.accounts, n, &facts); n++) {
        struct project *project;
        struct project_settings settings = { .time_zone = bytes_from(facts.time_zone) };
        err = engine_project(folder.engine, facts.id, &settings, true, &project);
        if (err.code) {
            printf("DAMAGED: projects/%s can't be opened: %s\n", facts.id, err.what);
            ++*damages;
            continue;
        }
        project_drain(project);
        struct project_stats stats = project_stats(project);
        printf("good: projects/%s: log replayed to %llu, %llu events, %llu users\n", facts.id,
               (unsigned long long)stats.applied, (unsigned long long)stats.events,
               (unsigned long long)stats.users);
        if (cli_flag(cli, "deep"))
            check_counts(project, facts.id, damages);
    }
    cli_folder_close(&folder);
    return CLI_DONE;
}

int command_check(struct cli *cli)
{
    struct disk *disk;
    struct disk_file *lock = NULL;
    uint64_t damages = 0;
    const char *path = cli_text(cli, "data");
    char control[4200];
    (void)snprintf(control, sizeof control, "%.4000s/control.db", path);
    FILE *file = fopen(control, "rb");
    if (!file && errno == EACCES)
        return cli_say(CLI_ENVIRONMENT, "%s: this user may not read it", path);
    if (!file)
        return cli_say(CLI_REFUSED, "%s: it isn't a folder of Kolam: name it with --data", path);
    (void)fclose(file);
    struct err err = disk_real(path, &disk);
    if (err.code)
        return cli_say_err(err, path);
    err = disk_lock(disk, "LOCK", &lock);
    int status = CLI_DONE;
    if (err.code == ERR_BUSY)
        status = cli_say(CLI_ENVIRONMENT, "%s: another kolam is using it: stop that first", path);
    else if (err.code)
        status = cli_say_err(err, path);
    if (status == CLI_DONE && cli_flag(cli, "sizes")) {
        disk_unlock(lock);
        disk_free(disk);
        return command_check_sizes(cli);
    }
    if (status == CLI_DONE)
        status = check_projects(disk, cli_flag(cli, "deep"), &damages);
    disk_unlock(lock);
    disk_free(disk);
    if (status == CLI_DONE && !damages)
        status = check_opening(cli, &damages);
    if (status != CLI_DONE)
        return status;
    printf("%s\n", damages ? "damage was found" : "all is well");
    return damages ? CLI_NO : CLI_DONE;
}

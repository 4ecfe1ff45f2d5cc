/* check.c - kolam check: everything a folder holds, read and verified. */
#include "cli/cli_internal.h"

#include <stdio.h>

struct checking {
    const char *project;
    uint64_t damages;
    bool is_json; /* a line of JSON for each line of text */
};

enum { LINE_MAX_BYTES = 16384, WORDS_MAX = 1024 };

static void print_json(const char *verdict, const char *file, const uint64_t *offset,
                       const char *what)
{
    struct buf line;
    buf_init(&line, LINE_MAX_BYTES);
    struct jsonw w = jsonw_of(&line);
    jsonw_object(&w);
    jsonw_key(&w, "verdict");
    jsonw_text(&w, verdict);
    if (file) {
        jsonw_key(&w, "file");
        jsonw_text(&w, file);
    }
    if (offset) {
        jsonw_key(&w, "offset");
        jsonw_uint(&w, *offset);
    }
    jsonw_key(&w, "what");
    jsonw_text(&w, what);
    jsonw_end_object(&w);
    cli_print(buf_bytes(&line));
    buf_done(&line);
}

/* "good: …", "DAMAGED: …" */
__attribute__((format(printf, 3, 4))) static void conclude(const struct checking *checking,
                                                           bool is_good, const char *format, ...)
{
    char words[WORDS_MAX];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(words, sizeof words, format, args);
    va_end(args);
    if (checking->is_json)
        print_json(is_good ? "good" : "damaged", NULL, NULL, words);
    else
        printf("%s: %s\n", is_good ? "good" : "DAMAGED", words);
}

static void on_damage(void *ctx, const char *file, uint64_t offset, const char *what)
{
    struct checking *checking = ctx;
    checking->damages++;
    char path[WORDS_MAX];
    bool is_whole = bytes_start_with(bytes_from(file), BYTES("projects/"));
    (void)snprintf(path, sizeof path, "%s%s%s%s", is_whole ? "" : "projects/",
                   is_whole ? "" : checking->project, is_whole ? "" : "/", file);
    if (checking->is_json)
        print_json("damaged", path, &offset, what);
    else
        printf("damaged: %s at %llu: %s\n", path, (unsigned long long)offset, what);
}

/* Before anything else opens it: the files as they lie there. */
static int check_files(const struct cli *cli, struct disk *disk, const char *project,
                       uint64_t *damages)
{
    struct checking checking = { .project = project, .is_json = cli_flag(cli, "json") };
    char about[100];
    uint64_t events = 0;
    struct err err =
        engine_check_files(disk, project, cli_flag(cli, "deep"), on_damage, &checking, &events);
    if (err.code) {
        (void)snprintf(about, sizeof about, "projects/%.80s", project);
        return cli_say_err(err, about);
    }
    *damages += checking.damages;
    conclude(&checking, !checking.damages, "projects/%s: %llu events in files", project,
             (unsigned long long)events);
    return CLI_DONE;
}

static int check_projects(const struct cli *cli, struct disk *disk, uint64_t *damages)
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
        status = check_files(cli, disk, name, damages);
    buf_done(&names);
    return status;
}

static void on_difference(void *ctx, const char *what)
{
    struct checking *checking = ctx;
    checking->damages++;
    char path[WORDS_MAX];
    (void)snprintf(path, sizeof path, "projects/%s", checking->project);
    if (checking->is_json)
        print_json("damaged", path, NULL, what);
    else
        printf("damaged: %s: %s\n", path, what);
}

/* What is kept beside the events, counted anew from them. */
static void check_counts(struct project *project, const char *id, bool is_json, uint64_t *damages)
{
    struct checking checking = { .project = id, .is_json = is_json };
    struct err err = project_recount(project, on_difference, &checking);
    if (err.code) {
        conclude(&checking, false, "projects/%s can't be recounted: %s", id, err.what);
        checking.damages++;
    } else {
        conclude(&checking, !checking.damages,
                 "projects/%s: counts of event types, properties, users and days", id);
    }
    *damages += checking.damages;
}

/* Then as a server would open it: the log is replayed, the checkpoint read. */
static int check_opening(const struct cli *cli, uint64_t *damages)
{
    struct cli_folder folder;
    struct account_project facts;
    struct checking checking = { .is_json = cli_flag(cli, "json") };
    int status = cli_folder_open(cli, false, &folder);
    if (status != CLI_DONE)
        return status;
    struct err err = accounts_check(folder.accounts);
    conclude(&checking, !err.code, "control.db and the audit log");
    *damages += err.code != ERR_NONE;
    for (size_t n = 0; account_project_at(folder.accounts, n, &facts); n++) {
        struct project *project;
        struct project_settings settings = { .time_zone = bytes_from(facts.time_zone) };
        err = engine_project(folder.engine, facts.id, &settings, true, &project);
        if (err.code) {
            conclude(&checking, false, "projects/%s can't be opened: %s", facts.id, err.what);
            ++*damages;
            continue;
        }
        project_drain(project);
        struct project_stats stats = project_stats(project);
        conclude(&checking, true, "projects/%s: log replayed to %llu, %llu events, %llu users",
                 facts.id, (unsigned long long)stats.applied, (unsigned long long)stats.events,
                 (unsigned long long)stats.users);
        if (cli_flag(cli, "deep"))
            check_counts(project, facts.id, checking.is_json, damages);
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
        status = check_projects(cli, disk, &damages);
    disk_unlock(lock);
    disk_free(disk);
    if (status == CLI_DONE && !damages)
        status = check_opening(cli, &damages);
    if (status != CLI_DONE)
        return status;
    if (!cli_flag(cli, "json"))
        printf("%s\n", damages ? "damage was found" : "all is well");
    return damages ? CLI_NO : CLI_DONE;
}

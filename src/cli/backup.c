/*
 * backup.c - kolam backup, kolam restore.
 *
 * The work is done on a thread of its own, while this one waits for it or for a signal: Ctrl-C stops
 * the work, which removes what it has written.
 */
#include "cli/cli_internal.h"
#include "db/db.h"
#include "sys/sys.h"

#include <stdatomic.h>
#include <stdio.h>

enum { ROOT_MAX = 4000, TELL_EVERY_NS = 200000000 };

typedef struct err backup_fn(const struct backup_config *config, struct backup_sum *sum_out);

struct backing {
    backup_fn *work;
    const char *what; /* "backup" */
    const char *control;
    const char *to_root;
    struct backup_config config;
    struct backup_sum sum;
    struct err err;
    struct thread thread;
    atomic_bool is_stopped;
    bool has_progress;
    int64_t told_ns;
    uint64_t damages;
};

static void on_damage(void *ctx, const char *file, const char *what)
{
    struct backing *backing = ctx;
    backing->damages++;
    printf("damaged: %s: %s\n", file, what);
}

static void on_project(void *ctx, const char *project, uint64_t position)
{
    const struct backing *backing = ctx;
    if (backing->has_progress)
        (void)fprintf(stderr, "\r%40s\r", "");
    printf("projects/%s: up to %llu\n", project, (unsigned long long)position);
}

static bool goes_on(void *ctx, const struct backup_sum *sum)
{
    struct backing *backing = ctx;
    int64_t now_ns = clock_mono_ns(clock_real());
    if (backing->has_progress && now_ns - backing->told_ns >= TELL_EVERY_NS) {
        backing->told_ns = now_ns;
        (void)fprintf(stderr, "\r%s: %llu of %llu MiB ", backing->what,
                      (unsigned long long)(sum->done_bytes >> 20),
                      (unsigned long long)(sum->total_bytes >> 20));
    }
    return !atomic_load(&backing->is_stopped);
}

static struct err copy_control(void *ctx, struct disk *to, const char *path)
{
    const struct backing *backing = ctx;
    char target[ROOT_MAX + 400];
    (void)to;
    (void)snprintf(target, sizeof target, "%s/%s", backing->to_root, path);
    return db_copy_sqlite(backing->control, target);
}

static void *run_work(void *ctx)
{
    struct backing *backing = ctx;
    backing->err = backing->work(&backing->config, &backing->sum);
    sys_stop();
    return NULL;
}

/* Until it's done, or stopped by a signal and cleaned up. */
static struct err run(struct backing *backing)
{
    backing->config.clock = clock_real();
    backing->config.goes_on = goes_on;
    backing->config.tell = on_damage;
    backing->config.has_project = on_project;
    backing->config.ctx = backing;
    backing->has_progress = sys_is_terminal(2);
    sys_signals_init();
    struct err err = thread_start(&backing->thread, "kolam-backup", run_work, backing);
    if (err.code)
        return err;
    if (sys_signals_wait() != 0)
        atomic_store(&backing->is_stopped, true);
    thread_join(&backing->thread);
    if (backing->has_progress)
        (void)fprintf(stderr, "\r%40s\r", "");
    return backing->err;
}

static int conclude(const struct backing *backing, struct err err, const char *source,
                    const char *target)
{
    switch (err.code) {
    case ERR_NONE:
        break;
    case ERR_CANCELLED:
        return cli_say(CLI_ENVIRONMENT, "%s: stopped: what it had written is removed again",
                       backing->what);
    case ERR_CORRUPT:
        printf("damage was found\n");
        return CLI_NO;
    case ERR_MISSING:
        return cli_say(CLI_REFUSED, "%s: there's no backup in it", source);
    case ERR_EXISTS:
        return cli_say(CLI_REFUSED, "%s: %s: name an empty folder", target, err.what);
    case ERR_FULL:
        return cli_say(CLI_ENVIRONMENT, "%s: there isn't enough room for %llu MiB", target,
                       (unsigned long long)(backing->sum.total_bytes >> 20));
    case ERR_BUSY:
        return cli_say(CLI_ENVIRONMENT, "%s: it's in use: try again", target);
    default:
        return cli_say_err(err, target);
    }
    printf("%llu files, %llu bytes", (unsigned long long)backing->sum.files,
           (unsigned long long)backing->sum.bytes);
    if (backing->sum.reused)
        printf(", %llu files as they were", (unsigned long long)backing->sum.reused);
    printf("\nall is well\n");
    return CLI_DONE;
}

/* Is there a file `name` in the folder? Otherwise disk_real would make the folder. */
static bool has_file(const char *folder, const char *name, int *os_out)
{
    char path[ROOT_MAX + 40];
    (void)snprintf(path, sizeof path, "%.4000s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    *os_out = file ? 0 : errno;
    if (file)
        (void)fclose(file);
    return file;
}

static int verify(const char *folder)
{
    struct backing backing = { .work = engine_backup_verify, .what = "verify" };
    int os = 0;
    if (!has_file(folder, "BACKUP", &os))
        return cli_say(os == EACCES ? CLI_ENVIRONMENT : CLI_REFUSED, "%s: there's no backup in it",
                       folder);
    struct err err = disk_real(folder, &backing.config.from);
    if (err.code)
        return cli_say_err(err, folder);
    int status = conclude(&backing, run(&backing), folder, folder);
    disk_free(backing.config.from);
    return status;
}

static int between(struct backing *backing, const char *source, const char *target)
{
    struct err err = disk_real(source, &backing->config.from);
    if (err.code)
        return cli_say_err(err, source);
    err = disk_real(target, &backing->config.to);
    int status =
        err.code ? cli_say_err(err, target) : conclude(backing, run(backing), source, target);
    disk_free(backing->config.to);
    disk_free(backing->config.from);
    return status;
}

int command_backup(struct cli *cli)
{
    const char *data = cli_text(cli, "data");
    const char *to = cli_text(cli, "to");
    char control[ROOT_MAX + 40];
    int os = 0;
    if (cli_args(cli) || !to == !cli_text(cli, "verify"))
        return cli_say(CLI_USAGE, "name where the backup goes with --to, or one with --verify");
    if (!to)
        return verify(cli_text(cli, "verify"));
    if (strlen(data) > ROOT_MAX || strlen(to) > ROOT_MAX)
        return cli_say(CLI_USAGE, "the path is too long");
    if (!has_file(data, "control.db", &os))
        return os == EACCES ? cli_say(CLI_ENVIRONMENT, "%s: this user may not read it", data)
                            : cli_say(CLI_REFUSED,
                                      "%s: it isn't a folder of Kolam: name it with --data", data);
    (void)snprintf(control, sizeof control, "%s/control.db", data);
    struct backing backing = { .work = engine_backup,
                               .what = "backup",
                               .control = control,
                               .to_root = to,
                               .config = { .copy_control = copy_control } };
    return between(&backing, data, to);
}

int command_restore(struct cli *cli)
{
    const char *from = cli_text(cli, "from");
    struct backing backing = { .work = engine_restore, .what = "restore" };
    int os = 0;
    if (cli_args(cli) || !from)
        return cli_say(CLI_USAGE, "name the backup with --from, and the new folder with --data");
    if (!has_file(from, "BACKUP", &os))
        return cli_say(os == EACCES ? CLI_ENVIRONMENT : CLI_REFUSED, "%s: there's no backup in it",
                       from);
    return between(&backing, from, cli_text(cli, "data"));
}

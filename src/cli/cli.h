/*
 * cli.h - the command line: options and where each comes from, and the commands that work on a
 * folder or through a server.
 *
 * `server` gives the commands that need it (serve, demo, bench) and calls cli_main.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include "account/account.h"
#include "base/err.h"
#include "engine/engine.h"
#include "sys/disk.h"
#include "sys/thread.h"

enum cli_status {
    CLI_DONE = 0,
    CLI_NO = 1, /* the answer is "no": a check failed */
    CLI_USAGE = 2,
    CLI_REFUSED = 3,     /* refused, or bad input */
    CLI_ENVIRONMENT = 4, /* disk, port, network, memory */
    CLI_BROKEN = 70,     /* a sync failed: what is on disk is unknown; nothing may go on */
};

struct cli;

struct cli_command {
    const char *name;
    const char *summary; /* one line */
    const char *usage;   /* "[--data DIR] FILE…" */
    const char *options; /* the names that it takes, with spaces */
    const char *help;    /* paragraphs and examples */
    int (*run)(struct cli *cli);
};

/* argv[0] is the program. `more` are commands of the caller's. Returns the exit status. */
int cli_main(int argc, char **argv, const struct cli_command *more, size_t more_count);

/* --- options: flag > environment KOLAM_* > --config FILE > default ---------------------- */

/* The value in force; NULL: none. */
const char *cli_text(const struct cli *cli, const char *name);
bool cli_flag(const struct cli *cli, const char *name);
/* False: it isn't a number from min to max; said so. */
bool cli_number(const struct cli *cli, const char *name, uint64_t min, uint64_t max, uint64_t *out);
/* Arguments that aren't options. */
size_t cli_args(const struct cli *cli);
const char *cli_arg(const struct cli *cli, size_t n);

/* "kolam: what is wrong: what to do" on stderr; returns `status`. */
__attribute__((format(printf, 2, 3))) int cli_say(int status, const char *format, ...);
/* The same for an error of the floors below; `about` names the thing. */
int cli_say_err(struct err err, const char *about);

/* --- a folder -------------------------------------------------------------------------------- */

struct cli_folder {
    struct disk *disk;
    struct thread_pool *pool;
    struct engine *engine;
    struct accounts *accounts;
    char path[4096];
};
/* Opens --data. `creates`: made when it's missing; otherwise it must hold a control.db. Returns
 * CLI_DONE or says what is wrong. */
int cli_folder_open(const struct cli *cli, bool creates, struct cli_folder *out);
void cli_folder_close(struct cli_folder *folder);
/* The project by id or name; with --create it's made when missing. */
int cli_project(struct cli_folder *folder, const char *name, bool creates, const char *time_zone,
                struct account_project *facts_out, struct project **out);

/* --- import, for demo too ---------------------------------------------------------------------- */

struct cli_imported {
    uint64_t lines;
    uint64_t taken;
    uint64_t refused;
};
/* A file of lines or CSV, packed or not; "-": stdin. Progress to stderr when it's a terminal. */
int cli_import_file(struct project *project, const char *path, struct cli_imported *sum);

#endif

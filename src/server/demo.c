/*
 * demo.c - kolam demo: a fresh folder with the real data of demo/complete-journey, its reports, and
 * a link that signs in.
 *
 * The first run loads the data and then saves the reports: with all of them there, the folder is
 * complete and later runs start at once. A folder whose loading was cut off by a kill is refused,
 * since loading again would count its events twice; Ctrl-C while it loads waits for its end.
 */
#include "server/server.h"

#include "sys/sys.h"

#include <stdio.h>
#include <stdlib.h>

#define DEMO_PROJECT   "Complete Journey"
#define DEMO_ZONE      "America/New_York"
#define DEMO_EMAIL     "demo@localhost.localdomain"
#define TICKET_LIFE_MS MS_PER_DAY

static const struct account_actor actor = { .kind = "command", .id = "kolam demo", .remote = "" };

static const struct {
    const char *name;
    const char *kind;
    const char *description;
    const char *query;
} reports[] = {
    { "Purchases by week and department", "trends",
      "Items purchased in 2017, by week, in each department of the shops.",
      "{\"report\":\"select\",\"measures\":[{\"measure\":\"count\"}],"
      "\"where\":{\"event\":\"Item Purchased\"},"
      "\"group_by\":[\"week\",{\"property\":\"Department\"}],"
      "\"span\":{\"since\":\"2017-01-01\",\"until\":\"2018-01-01\"},\"limit\":10000}" },
    { "From campaign to purchase", "funnel",
      "Households that received a campaign, redeemed a coupon and purchased within 30 days.",
      "{\"report\":\"funnel\",\"steps\":[{\"events\":[\"Campaign Received\"]},"
      "{\"events\":[\"Coupon Redeemed\"]},{\"events\":[\"Item Purchased\"]}],"
      "\"within\":\"30d\",\"span\":{\"since\":\"2016-11-01\",\"until\":\"2018-01-01\"}}" },
    { "Monthly retention of purchasers", "retention",
      "Of the households that first purchased in a month, how many purchased again in later ones.",
      "{\"report\":\"retention\",\"first\":true,\"start\":{\"events\":[\"Item Purchased\"]},"
      "\"return\":{\"events\":[\"Item Purchased\"]},\"unit\":\"month\",\"periods\":12,"
      "\"span\":{\"since\":\"2017-01-01\",\"until\":\"2018-01-01\"}}" },
    { "One household's year", "timeline",
      "Everything household 1 received, redeemed and purchased.",
      "{\"report\":\"events\",\"identity\":\"1\",\"limit\":200}" },
};
enum { REPORTS = sizeof reports / sizeof reports[0] };

static void count_report(void *ctx, const struct account_report *report)
{
    (void)report;
    ++*(size_t *)ctx;
}

static void ignore_report(void *ctx, const struct account_report *report)
{
    (void)ctx;
    (void)report;
}

static struct err save_reports(struct cli_folder *folder, const char *project)
{
    struct err err = ok();
    for (size_t i = 0; i < REPORTS && !err.code; i++) {
        struct account_report report = { .name = bytes_from(reports[i].name),
                                         .description = bytes_from(reports[i].description),
                                         .kind = bytes_from(reports[i].kind),
                                         .query = bytes_from(reports[i].query),
                                         .view = BYTES("null") };
        err =
            account_report_create(folder->accounts, &actor, project, &report, ignore_report, NULL);
    }
    return err;
}

/* --- the data -------------------------------------------------------------------------------- */

static bool has_file(const char *dir, const char *name, char *path, size_t size)
{
    (void)snprintf(path, size, "%s/%s", dir, name);
    FILE *file = fopen(path, "rb");
    if (!file)
        return false;
    (void)fclose(file);
    return true;
}

/* --demo-data, or demo/complete-journey beside the binary, above it, or here. */
static bool find_data(const struct cli *cli, char *dir, size_t size)
{
    static const char *const places[] = { "demo/complete-journey", "../demo/complete-journey",
                                          "../share/kolam/complete-journey" };
    char path[4400];
    char program[2048];
    const char *named = cli_text(cli, "demo-data");
    if (named) {
        (void)snprintf(dir, size, "%s", named);
        return has_file(dir, "events.ndjson.gz", path, sizeof path);
    }
    sys_program_dir(program, sizeof program);
    for (size_t i = 0; i < 3; i++) {
        (void)snprintf(dir, size, "%s/%s", program, places[i]);
        if (has_file(dir, "events.ndjson.gz", path, sizeof path))
            return true;
    }
    (void)snprintf(dir, size, "%s", places[0]);
    return has_file(dir, "events.ndjson.gz", path, sizeof path);
}

static int load(const struct cli *cli, struct cli_folder *folder, const char *organisation)
{
    char dir[4096];
    char path[4400];
    struct account_project facts;
    struct project *project;
    struct cli_imported sum = { .lines = 0 };
    if (!find_data(cli, dir, sizeof dir))
        return cli_say(CLI_ENVIRONMENT,
                       "the demo's data isn't there: name its folder with --demo-data");
    struct err err =
        account_project_create(folder->accounts, &actor, organisation, BYTES(DEMO_PROJECT),
                               BYTES(DEMO_ZONE), BYTES("production"), &facts);
    if (err.code)
        return cli_say_err(err, "the demo's project");
    int status = cli_project(folder, facts.id, false, NULL, &facts, &project);
    (void)fprintf(stderr, "Loading the Complete Journey: a year of 2,379 households' shopping.\n");
    if (status == CLI_DONE && has_file(dir, "profiles.ndjson.gz", path, sizeof path))
        status = cli_import_file(project, path, &sum);
    if (status == CLI_DONE && has_file(dir, "events.ndjson.gz", path, sizeof path))
        status = cli_import_file(project, path, &sum);
    if (status != CLI_DONE)
        return status;
    project_drain(project);
    (void)fprintf(stderr, "%llu records loaded.\n", (unsigned long long)sum.taken);
    err = save_reports(folder, facts.id);
    return err.code ? cli_say_err(err, "the demo's reports") : CLI_DONE;
}

/* Is there a project of the demo with all its reports? */
static bool is_complete(struct cli_folder *folder)
{
    struct account_project facts;
    size_t count = 0;
    struct err err = account_project_find(folder->accounts, BYTES(DEMO_PROJECT), &facts);
    if (!err.code)
        err = account_reports(folder->accounts, facts.id, count_report, &count);
    return !err.code && count >= REPORTS;
}

static struct err find_person(struct cli_folder *folder, char person[ACCOUNT_ID_SIZE],
                              char organisation[ACCOUNT_ID_SIZE])
{
    struct account_person known;
    struct err err = account_first_organisation(folder->accounts, organisation);
    if (err.code == ERR_MISSING)
        err = account_organisation_create(folder->accounts, &actor, BYTES("Demo"), organisation);
    if (err.code)
        return err;
    err = account_person_find(folder->accounts, BYTES(DEMO_EMAIL), &known);
    if (err.code == ERR_MISSING)
        return account_person_create(folder->accounts, &actor, BYTES("Demo"), BYTES(DEMO_EMAIL),
                                     bytes_of("", 0), organisation, "owner", person);
    if (!err.code)
        memcpy(person, known.id, ACCOUNT_ID_SIZE);
    return err;
}

static int prepare(const struct cli *cli, struct cli_folder *folder, char ticket[TOKEN_SIZE])
{
    char person[ACCOUNT_ID_SIZE];
    char organisation[ACCOUNT_ID_SIZE];
    struct account_project facts;
    struct err err = find_person(folder, person, organisation);
    if (err.code)
        return cli_say_err(err, "the demo's account");
    if (!is_complete(folder)) {
        err = account_project_find(folder->accounts, BYTES(DEMO_PROJECT), &facts);
        if (err.code != ERR_MISSING)
            return cli_say(CLI_REFUSED,
                           "%s: an earlier demo was stopped while it loaded: remove the "
                           "folder and start again",
                           folder->path);
        int status = load(cli, folder, organisation);
        if (status != CLI_DONE)
            return status;
    }
    err = account_link_new(folder->accounts, LINK_TICKET, person, TICKET_LIFE_MS, ticket);
    return err.code ? cli_say_err(err, "the sign-in link") : CLI_DONE;
}

int command_demo(struct cli *cli)
{
    struct cli_folder folder;
    struct server server;
    char ticket[TOKEN_SIZE];
    char url[128];
    sys_signals_init();
    int status = cli_folder_open(cli, true, &folder);
    if (status != CLI_DONE)
        return status;
    status = server_start(&server, cli, &folder);
    if (status != CLI_DONE) {
        cli_folder_close(&folder);
        return status;
    }
    status = prepare(cli, &folder, ticket);
    if (status == CLI_DONE) {
        server_url(&server, url, sizeof url);
        printf(
            "\nKolam's demo is ready. This link opens the dashboard signed in (it works once):\n\n"
            "  %s/signin?ticket=%s\n\nCtrl-C stops it; the data stays in %s.\n",
            url, ticket, folder.path);
        (void)fflush(stdout);
        server_run(&server);
    } else {
        server_stop(&server);
    }
    cli_folder_close(&folder);
    return status;
}

/* admin.c - kolam admin: projects, keys, people, the audit log, on the folder itself. */
#include "cli/cli_internal.h"
#include "command/command.h"
#include "sys/sys.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define LINK_LIFE_MS (24 * MS_PER_HOUR)

static const struct account_actor actor = { .kind = "command", .id = "kolam admin", .remote = "" };

struct admin {
    struct cli *cli;
    struct cli_folder folder;
};

static bool is(const struct admin *a, size_t n, const char *word)
{
    const char *text = cli_arg(a->cli, n);
    return text && strcmp(text, word) == 0;
}

/* --- projects ----------------------------------------------------------------------------- */

static int organisation_of(struct admin *a, char id[ACCOUNT_ID_SIZE])
{
    const char *named = cli_text(a->cli, "organisation");
    if (named) {
        (void)snprintf(id, ACCOUNT_ID_SIZE, "%s", named);
        return CLI_DONE;
    }
    struct err err = account_first_organisation(a->folder.accounts, id);
    if (err.code == ERR_MISSING)
        err = account_organisation_create(a->folder.accounts, &actor, BYTES("Organisation"), id);
    return err.code ? cli_say_err(err, "the organisation") : CLI_DONE;
}

static int project_create(struct admin *a)
{
    const char *name = cli_arg(a->cli, 2);
    const char *zone_name = cli_text(a->cli, "time-zone");
    const struct zone *zone;
    char organisation[ACCOUNT_ID_SIZE];
    struct account_project made;
    struct project *project;
    if (!name || !zone_name)
        return cli_say(CLI_USAGE, "kolam admin project create NAME --time-zone ZONE");
    struct err err = engine_zone(a->folder.engine, bytes_from(zone_name), &zone);
    if (err.code)
        return cli_say(CLI_REFUSED, "there's no time zone %s", zone_name);
    int status = organisation_of(a, organisation);
    if (status != CLI_DONE)
        return status;
    err = account_project_create(a->folder.accounts, &actor, organisation, bytes_from(name),
                                 bytes_from(zone_name), BYTES("production"), &made);
    if (err.code)
        return cli_say_err(err, name);
    struct project_settings settings = { .time_zone = bytes_from(zone_name) };
    err = engine_project(a->folder.engine, made.id, &settings, true, &project);
    if (err.code)
        return cli_say_err(err, name);
    printf("%s\n", made.id);
    return CLI_DONE;
}

static int project_list(struct admin *a)
{
    struct account_project project;
    for (size_t n = 0; account_project_at(a->folder.accounts, n, &project); n++)
        printf("%s  %-30s  %-24s  %s\n", project.id, project.name, project.time_zone, project.kind);
    return CLI_DONE;
}

static int project_show(const struct project_rules *rules)
{
    struct project_limit limit;
    printf("%-32s  %s\n", "join_existing", rules->does_join_existing ? "true" : "false");
    printf("%-32s  %u\n", "dedup_days", rules->dedup_days);
    for (size_t n = 0; project_limit_at(rules, n, &limit); n++)
        printf("%-32s  %-8u  (1 to %u)\n", limit.name, limit.value, limit.most);
    return CLI_DONE;
}

/* true and false, whole numbers, or a text. */
static struct value value_of(const char *text)
{
    char *end;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (*text && !*end && !errno)
        return value_int(number);
    if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0)
        return value_bool(*text == 't');
    return value_string(bytes_from(text));
}

static int project_set(struct admin *a, struct project *project, const char *id)
{
    const char *name = cli_arg(a->cli, 2);
    const char *text = cli_arg(a->cli, 3);
    if (!name || !text)
        return cli_say(CLI_USAGE, "kolam admin project set --project P NAME VALUE");
    struct value value = value_of(text);
    const char *problem = project_setting_problem(bytes_from(name), &value);
    if (problem)
        return cli_say(CLI_REFUSED, "%s: %s", name, problem);

    struct command_writer *writer;
    struct bytes batch;
    struct err err = command_writer_new(&writer);
    if (err.code)
        return cli_say_err(err, name);
    int64_t now_ms = clock_now_ms(clock_real());
    command_writer_reset(writer, now_ms);
    command_begin(writer, COMMAND_SETTING, now_ms);
    command_name(writer, bytes_from(name), false);
    command_property(writer, BYTES("value"), PROPERTY_SET, &value);
    command_end(writer);
    err = account_audit(a->folder.accounts, &actor, id, "settings.change", bytes_from(name));
    if (!err.code)
        err = command_writer_finish(writer, &batch);
    if (!err.code)
        err = project_submit_wait(project, batch, 1, NULL);
    command_writer_free(writer);
    return err.code ? cli_say_err(err, name) : CLI_DONE;
}

static int project_settings(struct admin *a)
{
    struct account_project facts;
    struct project *project;
    int status =
        cli_project(&a->folder, cli_text(a->cli, "project"), false, NULL, &facts, &project);
    if (status != CLI_DONE)
        return status;
    if (is(a, 1, "set"))
        return project_set(a, project, facts.id);
    struct project_rules rules = project_rules(project);
    return project_show(&rules);
}

/* --- keys ------------------------------------------------------------------------------------ */

static int take_scopes(const char *list, uint32_t *out)
{
    uint32_t scopes = 0;
    while (*list) {
        size_t len = strcspn(list, ",");
        uint32_t scope = account_scope_of(bytes_of(list, len));
        if (!scope)
            return cli_say(CLI_USAGE, "--scopes: only ingest, query, people and manage are known");
        scopes |= scope;
        list += len + (list[len] == ',');
    }
    *out = scopes;
    return scopes ? CLI_DONE : cli_say(CLI_USAGE, "--scopes: name at least one");
}

static int key_create(struct admin *a, const char *project)
{
    const char *name = cli_text(a->cli, "name");
    struct account_client client;
    char secret[TOKEN_SIZE];
    uint32_t scopes;
    int status = take_scopes(cli_text(a->cli, "scopes"), &scopes);
    if (status != CLI_DONE)
        return status;
    struct err err = account_client_create(a->folder.accounts, &actor, project,
                                           name ? bytes_from(name) : BYTES("command line"), scopes,
                                           &client, secret);
    if (err.code)
        return cli_say_err(err, "the key");
    printf("id      %s\nsecret  %s\ntoken   %s.%s\n", client.id, secret, client.id, secret);
    return CLI_DONE;
}

static int key_list(struct admin *a, const char *project)
{
    struct account_client client;
    for (size_t n = 0; account_client_at(a->folder.accounts, project, n, &client); n++) {
        struct buf line;
        buf_init(&line, 4096);
        buf_printf(&line, "%s  %-30s  ", client.id, client.name);
        account_put_scopes(&line, client.scopes);
        buf_put(&line, BYTES("  last used "));
        if (client.last_used_ms)
            calendar_put_utc(&line, client.last_used_ms);
        else
            buf_put(&line, BYTES("never"));
        cli_print(buf_bytes(&line));
        buf_done(&line);
    }
    return CLI_DONE;
}

static int key_revoke(struct admin *a, const char *project)
{
    const char *id = cli_arg(a->cli, 2);
    if (!id)
        return cli_say(CLI_USAGE, "kolam admin key revoke --project P ID");
    struct err err = account_client_revoke(a->folder.accounts, &actor, project, bytes_from(id));
    return err.code ? cli_say_err(err, id) : CLI_DONE;
}

static int keys(struct admin *a)
{
    struct account_project facts;
    struct project *project;
    int status =
        cli_project(&a->folder, cli_text(a->cli, "project"), false, NULL, &facts, &project);
    if (status != CLI_DONE)
        return status;
    if (is(a, 1, "create"))
        return key_create(a, facts.id);
    if (is(a, 1, "list"))
        return key_list(a, facts.id);
    if (is(a, 1, "revoke"))
        return key_revoke(a, facts.id);
    return cli_say(CLI_USAGE, "kolam admin key create, list or revoke");
}

/* --- people -------------------------------------------------------------------------------------- */

static int person_create(struct admin *a)
{
    const char *email = cli_text(a->cli, "email");
    const char *name = cli_text(a->cli, "name");
    char organisation[ACCOUNT_ID_SIZE];
    char id[ACCOUNT_ID_SIZE];
    char password[1025] = "";
    if (!email || !name)
        return cli_say(CLI_USAGE, "kolam admin person create --email ADDRESS --name NAME");
    int status = organisation_of(a, organisation);
    if (status != CLI_DONE)
        return status;
    if (sys_is_terminal(0) &&
        !sys_read_password("Password (empty: by links only): ", password, sizeof password))
        return cli_say(CLI_REFUSED, "no password was given");
    struct err err =
        account_person_create(a->folder.accounts, &actor, bytes_from(name), bytes_from(email),
                              bytes_from(password), organisation, cli_text(a->cli, "role"), id);
    crypt_wipe(password, sizeof password);
    if (err.code == ERR_EXISTS)
        return cli_say(CLI_REFUSED, "%s: this address has an account already", email);
    if (err.code == ERR_INVALID)
        return cli_say(CLI_REFUSED,
                       "%s: name, address, password (10 bytes or more) or role can't be used",
                       email);
    if (err.code)
        return cli_say_err(err, email);
    printf("%s\n", id);
    return CLI_DONE;
}

static int sign_in_link(struct admin *a)
{
    const char *email = cli_text(a->cli, "email");
    struct account_person person;
    char token[TOKEN_SIZE];
    if (!email)
        return cli_say(CLI_USAGE, "kolam admin link --email ADDRESS");
    struct err err = account_person_find(a->folder.accounts, bytes_from(email), &person);
    if (!err.code)
        err = account_link_new(a->folder.accounts, LINK_TICKET, person.id, LINK_LIFE_MS, token);
    if (err.code)
        return cli_say_err(err, email);
    printf("/signin?ticket=%s\n", token);
    return CLI_DONE;
}

/* --- audit ------------------------------------------------------------------------------------------ */

static void print_row(void *ctx, const struct account_audit_row *row)
{
    struct buf line;
    (void)ctx;
    buf_init(&line, 64 << 10);
    buf_printf(&line, "%6lld  ", (long long)row->number);
    calendar_put_utc(&line, row->at_ms);
    buf_printf(&line, "  %.*s %.*s %.*s  %.*s  %.*s  %.*s", BYTES_FMT(row->kind),
               BYTES_FMT(row->id), BYTES_FMT(row->remote), BYTES_FMT(row->project),
               BYTES_FMT(row->what), BYTES_FMT(row->target));
    cli_print(buf_bytes(&line));
    buf_done(&line);
}

static int audit(struct admin *a)
{
    if (is(a, 1, "verify")) {
        struct err err = accounts_check(a->folder.accounts);
        if (err.code == ERR_CORRUPT)
            return cli_say(CLI_NO, "the audit log: %s", err.what);
        if (err.code)
            return cli_say_err(err, "the audit log");
        printf("the audit log is whole\n");
        return CLI_DONE;
    }
    if (!is(a, 1, "list"))
        return cli_say(CLI_USAGE, "kolam admin audit list or verify");
    struct err err = account_audit_rows(a->folder.accounts, cli_text(a->cli, "project"), 0, 1000,
                                        print_row, NULL);
    return err.code ? cli_say_err(err, "the audit log") : CLI_DONE;
}

static int dispatch(struct admin *a)
{
    if (is(a, 0, "project") && is(a, 1, "create"))
        return project_create(a);
    if (is(a, 0, "project") && is(a, 1, "list"))
        return project_list(a);
    if (is(a, 0, "project") && (is(a, 1, "show") || is(a, 1, "set")))
        return project_settings(a);
    if (is(a, 0, "key"))
        return keys(a);
    if (is(a, 0, "person") && is(a, 1, "create"))
        return person_create(a);
    if (is(a, 0, "link"))
        return sign_in_link(a);
    if (is(a, 0, "audit"))
        return audit(a);
    return cli_say(CLI_USAGE, "say what: see kolam admin --help");
}

int command_admin(struct cli *cli)
{
    struct admin a = { .cli = cli };
    if (!cli_args(cli))
        return cli_say(CLI_USAGE, "say what: see kolam admin --help");
    bool makes = is(&a, 1, "create");
    int status = cli_folder_open(cli, makes, &a.folder);
    if (status != CLI_DONE)
        return status;
    status = dispatch(&a);
    cli_folder_close(&a.folder);
    return status;
}

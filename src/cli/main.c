/* main.c - finding the command, its options and where they come from; help. */
#include "cli/cli_internal.h"
#include "sys/sys.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { CONFIG_MAX = 1 << 20 };

static const struct cli_command commands[] = {
    { "import", "reads events and profiles from files",
      "--project P [--create --time-zone Z] FILE…", "data project create time-zone server token",
      "Lines of JSON, in CleverTap's shape or the native one, or CSV with a header (a name that "
      "ends\n"
      "in .csv, .csv.gz, .csv.zst); packed files are unpacked; - reads stdin. What is wrong with "
      "a\n"
      "line is told with its number, and the rest is taken. Repeating a file is safe where its\n"
      "records carry event ids.\n\n"
      "  kolam import --project Shop --create --time-zone Asia/Kolkata events.ndjson.gz\n"
      "  zcat old.gz | kolam import --project Shop -\n",
      command_import },
    { "query", "asks a question in CQL", "--project P [--format F] 'CQL'",
      "data project format file explain time-zone server token",
      "The question is the argument, or comes from --file (- is stdin).\n\n"
      "  kolam query --project Shop \"SELECT count(), users() SINCE 30 days ago GROUP BY day\"\n"
      "  kolam query --project Shop --explain \"FUNNEL 'A' THEN 'B' WITHIN 7 days\"\n"
      "  KOLAM_TOKEN=c_….… kolam query --server http://127.0.0.1:8080 \"SELECT count()\"\n",
      command_query },
    { "export", "writes events and profiles as lines of JSON",
      "--project P [--since T] [--user ID]", "data project since until user",
      "Lines that `kolam import` takes, on stdout: profiles first, then events, user by user.\n\n"
      "  kolam export --project Shop --since 2025-01-01 | zstd > shop.ndjson.zst\n",
      command_export },
    { "user", "shows a user: profile, identities, timeline", "--project P [--limit N] ID",
      "data project limit format server token",
      "ID is any identity, e-mail address, phone number or device of the user, or u:NUMBER.\n\n"
      "  kolam user --project Shop asha@example.org\n",
      command_user },
    { "check", "verifies a folder: every checksum and count",
      "[--deep] [--json] [--sizes] [--data DIR]", "data deep json sizes format",
      "Names what is damaged; exit status 1 when something is. No server may run on the folder.\n"
      "--sizes shows what the files are made of, instead of checking them.\n\n"
      "  kolam check --data data --deep\n"
      "  kolam check --data data --sizes --format table\n",
      command_check },
    { "backup", "copies a folder, also while a server runs on it",
      "--to FOLDER [--data DIR] | --verify FOLDER", "data to verify",
      "What was acknowledged before it began is in it. The server isn't disturbed. A second backup "
      "into\n"
      "the same folder takes its place when it's complete, and copies only what is new.\n\n"
      "  kolam backup --data data --to /backup/kolam\n"
      "  kolam backup --verify /backup/kolam\n",
      command_backup },
    { "restore", "brings a backup back into an empty folder", "--from FOLDER --data DIR",
      "data from",
      "Every checksum is verified before the folder counts.\n\n"
      "  kolam restore --from /backup/kolam --data data2\n",
      command_restore },
    { "admin", "projects, keys, people, the audit log", "WHAT …",
      "data project scopes name email role organisation time-zone format",
      "  kolam admin project create NAME --time-zone ZONE\n"
      "  kolam admin project list\n"
      "  kolam admin project show --project P            its settings and limits\n"
      "  kolam admin project set --project P NAME VALUE  changes one\n"
      "  kolam admin key create --project P --scopes ingest,query [--name N]\n"
      "  kolam admin key list --project P\n"
      "  kolam admin key revoke --project P ID\n"
      "  kolam admin person create --email A --name N [--role owner] (asks for the password)\n"
      "  kolam admin link --email A          a link that signs them in once\n"
      "  kolam admin audit list [--project P]\n"
      "  kolam admin audit verify\n\n"
      "A key is an id and a secret, printed once: HTTP Basic, or Bearer ID.SECRET, or CleverTap's\n"
      "account id and passcode. The folder's server must be stopped for these.\n",
      command_admin },
    { "config", "shows the settings in force and where each comes from", "[--config FILE]", "", "",
      command_config },
};
enum { COMMANDS = sizeof commands / sizeof commands[0] };

int cli_say(int status, const char *format, ...)
{
    char text[2048];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    (void)fprintf(stderr, "kolam: %s\n", text);
    return status;
}

int cli_say_err(struct err err, const char *about)
{
    switch (err.code) {
    case ERR_BUSY:
        return cli_say(CLI_ENVIRONMENT,
                       "%s: another process is using it: stop that, or use --server URL", about);
    case ERR_FULL:
        return cli_say(CLI_ENVIRONMENT, "%s: the disk is full: make room", about);
    case ERR_OS:
        return cli_say(CLI_ENVIRONMENT, "%s: %s: %s", about, err.what, strerror(err.os));
    case ERR_NOMEM:
        return cli_say(CLI_ENVIRONMENT, "%s: there isn't enough memory (%s)", about, err.what);
    case ERR_CORRUPT:
        return cli_say(CLI_REFUSED, "%s: it's damaged (%s): run kolam check", about, err.what);
    case ERR_MISSING:
        return cli_say(CLI_REFUSED, "%s: it isn't there (%s)", about, err.what);
    default:
        return cli_say(CLI_REFUSED, "%s: %s", about, err.what);
    }
}

bool is_word_of(const char *words, const char *word)
{
    size_t len = strlen(word);
    while (*words) {
        size_t at = strcspn(words, " ");
        if (at == len && memcmp(words, word, len) == 0)
            return true;
        words += at + (words[at] == ' ');
    }
    return false;
}

/* --- values ------------------------------------------------------------------------------- */

const char *cli_text(const struct cli *cli, const char *name)
{
    int at = option_find(name);
    assert(at >= 0);
    return cli->values[at];
}

bool cli_flag(const struct cli *cli, const char *name)
{
    const char *value = cli_text(cli, name);
    return value && strcmp(value, "0") != 0 && strcmp(value, "false") != 0 && *value;
}

bool cli_number(const struct cli *cli, const char *name, uint64_t min, uint64_t max, uint64_t *out)
{
    const char *text = cli_text(cli, name);
    char *end = NULL;
    errno = 0;
    unsigned long long value = text ? strtoull(text, &end, 10) : 0;
    if (!text || !isdigit((unsigned char)text[0]) || *end || errno || value < min || value > max) {
        (void)cli_say(CLI_USAGE, "--%s: it must be a number from %llu to %llu", name,
                      (unsigned long long)min, (unsigned long long)max);
        return false;
    }
    *out = value;
    return true;
}

size_t cli_args(const struct cli *cli)
{
    return cli->arg_count;
}

const char *cli_arg(const struct cli *cli, size_t n)
{
    return n < cli->arg_count ? cli->args[n] : NULL;
}

static void set(struct cli *cli, size_t at, const char *value, enum option_origin origin)
{
    if (cli->values[at] && cli->origins[at] > origin)
        return;
    cli->values[at] = value;
    cli->origins[at] = origin;
}

static void take_defaults(struct cli *cli)
{
    for (size_t i = 0; i < cli_option_count; i++)
        if (cli_options[i].fallback)
            set(cli, i, cli_options[i].fallback, FROM_DEFAULT);
}

static void take_environment(struct cli *cli)
{
    for (size_t i = 0; i < cli_option_count; i++) {
        char name[64] = "KOLAM_";
        size_t len = strlen(name);
        for (const char *c = cli_options[i].name; *c; c++)
            name[len++] = *c == '-' ? '_' : (char)toupper((unsigned char)*c);
        name[len] = 0;
        const char *value = getenv(name);
        if (value && *value)
            set(cli, i, value, FROM_ENVIRONMENT);
    }
}

/* "name = value", a line each; # and ; begin comments, [sections] are passed over, values may be
 * quoted: what INI and simple TOML have in common. */
static int take_line(struct cli *cli, char *line, const char *path, int number)
{
    while (isspace((unsigned char)*line))
        line++;
    if (!*line || *line == '#' || *line == ';' || *line == '[')
        return CLI_DONE;
    char *eq = strchr(line, '=');
    if (!eq)
        return cli_say(CLI_USAGE, "%s:%d: a line is name = value", path, number);
    char *end = eq;
    while (end > line && isspace((unsigned char)end[-1]))
        end--;
    *end = 0;
    char *value = eq + 1;
    while (isspace((unsigned char)*value))
        value++;
    size_t len = strlen(value);
    while (len && isspace((unsigned char)value[len - 1]))
        value[--len] = 0;
    if (len >= 2 && value[0] == '"' && value[len - 1] == '"') {
        value[len - 1] = 0;
        value++;
    }
    for (char *c = line; *c; c++)
        if (*c == '_')
            *c = '-';
    int at = option_find(line);
    if (at < 0 || !cli_options[at].is_setting)
        return cli_say(CLI_USAGE, "%s:%d: there's no setting %s: see kolam config", path, number,
                       line);
    set(cli, (size_t)at, value, FROM_FILE);
    return CLI_DONE;
}

static int take_file(struct cli *cli)
{
    const char *path = cli_text(cli, "config");
    if (!path)
        return CLI_DONE;
    FILE *file = fopen(path, "rb");
    if (!file)
        return cli_say(CLI_ENVIRONMENT, "%s: %s", path, strerror(errno));
    buf_init(&cli->file, CONFIG_MAX);
    uint8_t *room = buf_reserve(&cli->file, CONFIG_MAX - 1);
    if (room)
        cli->file.len = fread(room, 1, CONFIG_MAX - 1, file);
    bool is_whole = room && feof(file);
    (void)fclose(file);
    if (!is_whole)
        return cli_say(CLI_ENVIRONMENT, "%s: it can't be read, or is larger than 1 MiB", path);
    cli->file.ptr[cli->file.len] = 0;
    char *line = (char *)cli->file.ptr;
    int status = CLI_DONE;
    for (int number = 1; line && status == CLI_DONE; number++) {
        char *end = strchr(line, '\n');
        if (end)
            *end = 0;
        status = take_line(cli, line, path, number);
        line = end ? end + 1 : NULL;
    }
    return status;
}

/* --name, --name=value, --name value; -- ends them. */
static int take_arguments(struct cli *cli, int argc, char **argv, const char *allowed)
{
    bool is_over = false;
    for (int i = 0; i < argc; i++) {
        char *text = argv[i];
        if (is_over || text[0] != '-' || text[1] == 0) {
            cli->args[cli->arg_count++] = text;
            continue;
        }
        if (strcmp(text, "--") == 0) {
            is_over = true;
            continue;
        }
        if (strcmp(text, "-h") == 0) {
            set(cli, (size_t)option_find("help"), "1", FROM_FLAG);
            continue;
        }
        if (text[1] != '-')
            return cli_say(CLI_USAGE, "%s: options are written --name: see kolam %s --help",
                           argv[i], cli->command->name);
        char name[64];
        size_t len = strcspn(text + 2, "=");
        (void)snprintf(name, sizeof name, "%.*s", (int)(len < 63 ? len : 63), text + 2);
        int at = option_find(name);
        bool is_allowed = at >= 0 && (is_word_of(allowed, name) || strcmp(name, "help") == 0 ||
                                      strcmp(name, "config") == 0);
        if (!is_allowed)
            return cli_say(CLI_USAGE, "kolam %s has no option --%s: see kolam %s --help",
                           cli->command->name, name, cli->command->name);
        const char *value = text[2 + len] == '=' ? text + 3 + len : NULL;
        if (cli_options[at].kind == OPTION_FLAG)
            value = value ? value : "1";
        else if (!value && i + 1 < argc)
            value = argv[++i];
        if (!value)
            return cli_say(CLI_USAGE, "--%s needs a value: %s", name, cli_options[at].value_name);
        set(cli, (size_t)at, value, FROM_FLAG);
    }
    return CLI_DONE;
}

/* --- help ------------------------------------------------------------------------------------ */

static void help_all(FILE *to, const struct cli_command *more, size_t more_count)
{
    (void)fprintf(to, "Kolam " KOLAM_VERSION ": behavioural analytics on your own machine.\n\n"
                      "usage: kolam COMMAND [OPTIONS]\n\n");
    for (size_t i = 0; i < more_count; i++)
        (void)fprintf(to, "  %-8s %s\n", more[i].name, more[i].summary);
    for (size_t i = 0; i < COMMANDS; i++)
        (void)fprintf(to, "  %-8s %s\n", commands[i].name, commands[i].summary);
    (void)fprintf(to,
                  "\nkolam COMMAND --help tells more. Options may stand in the environment too\n"
                  "(KOLAM_DATA for --data) and, for a server, in a file (--config FILE).\n");
}

static void help_one(const struct cli_command *command, const char *allowed)
{
    printf("usage: kolam %s %s\n\n%s.\n\n", command->name, command->usage, command->summary);
    if (*command->help)
        printf("%s\n", command->help);
    printf("options:\n");
    for (size_t i = 0; i < cli_option_count; i++) {
        const struct option *option = &cli_options[i];
        char name[64];
        bool is_for_all = strcmp(option->name, "help") == 0 || strcmp(option->name, "config") == 0;
        if (!is_for_all && !is_word_of(allowed, option->name))
            continue;
        (void)snprintf(name, sizeof name, "--%s %s", option->name,
                       option->value_name ? option->value_name : "");
        printf("  %-26s %s%s%s%s\n", name, option->help, option->fallback ? " (" : "",
               option->fallback ? option->fallback : "", option->fallback ? ")" : "");
    }
}

/* "config" takes every setting; others what they name. */
static const char *allowed_of(const struct cli_command *command, char *room, size_t size)
{
    if (strcmp(command->name, "config") != 0)
        return command->options;
    size_t len = 0;
    room[0] = 0;
    for (size_t i = 0; i < cli_option_count; i++)
        if (cli_options[i].is_setting && len < size)
            len += (size_t)snprintf(room + len, size - len, "%s ", cli_options[i].name);
    return room;
}

static const struct cli_command *find_command(const char *name, const struct cli_command *more,
                                              size_t more_count)
{
    for (size_t i = 0; i < COMMANDS; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    for (size_t i = 0; i < more_count; i++)
        if (strcmp(more[i].name, name) == 0)
            return &more[i];
    return NULL;
}

static int run(struct cli *cli, int argc, char **argv)
{
    char room[1024];
    const char *allowed = allowed_of(cli->command, room, sizeof room);
    take_defaults(cli);
    take_environment(cli);
    int status = take_arguments(cli, argc, argv, allowed);
    if (status != CLI_DONE)
        return status;
    if (cli_flag(cli, "help")) {
        help_one(cli->command, allowed);
        return CLI_DONE;
    }
    status = take_file(cli);
    return status == CLI_DONE ? cli->command->run(cli) : status;
}

int cli_main(int argc, char **argv, const struct cli_command *more, size_t more_count)
{
    const char *name = argc > 1 ? argv[1] : "--help";
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
        help_all(stdout, more, more_count);
        return argc > 1 ? CLI_DONE : CLI_USAGE;
    }
    if (strcmp(name, "--version") == 0) {
        printf("kolam " KOLAM_VERSION "\n");
        return CLI_DONE;
    }
    sys_files_private();
    struct cli cli = { .command = find_command(name, more, more_count) };
    if (!cli.command)
        return cli_say(CLI_USAGE, "there's no command %s: see kolam --help", name);
    cli.args = calloc((size_t)argc, sizeof *cli.args);
    if (!cli.args)
        return cli_say(CLI_ENVIRONMENT, "there isn't enough memory to start");
    int status = run(&cli, argc - 2, argv + 2);
    buf_done(&cli.file);
    free(cli.args);
    return status;
}

int command_config(struct cli *cli)
{
    static const char *const origins[] = { "default", "file", "environment", "flag" };
    for (size_t i = 0; i < cli_option_count; i++) {
        if (!cli_options[i].is_setting)
            continue;
        const char *value = cli->values[i];
        printf("%-20s = %-20s # %s\n", cli_options[i].name, value ? value : "0",
               value ? origins[cli->origins[i]] : origins[0]);
    }
    return CLI_DONE;
}

/* cli_internal.h - what the files of cli share. */
#ifndef CLI_CLI_INTERNAL_H
#define CLI_CLI_INTERNAL_H

#include "cli/cli.h"
#include "codec/jsonw.h"
#include "query/query.h"

enum option_kind { OPTION_TEXT, OPTION_NUMBER, OPTION_FLAG };
enum option_origin { FROM_DEFAULT, FROM_FILE, FROM_ENVIRONMENT, FROM_FLAG };

struct option {
    const char *name;
    enum option_kind kind;
    const char *value_name;
    const char *fallback; /* may be NULL */
    bool is_setting;      /* of a server: may stand in a file, shown by `kolam config` */
    const char *help;
};
extern const struct option cli_options[];
extern const size_t cli_option_count;

enum { OPTIONS_MAX = 64, ARGS_MAX = 4096 };

struct cli {
    const struct cli_command *command;
    const char *values[OPTIONS_MAX];
    enum option_origin origins[OPTIONS_MAX];
    const char **args;
    size_t arg_count;
    struct buf file; /* the --config file, its values zero-terminated */
};

int option_find(const char *name);
bool is_word_of(const char *words, const char *word);

enum format { FORMAT_TABLE, FORMAT_JSON, FORMAT_CSV };
/* --format, or table on a terminal and JSON otherwise. False: said what is wrong. */
bool cli_format(const struct cli *cli, enum format *out);
void cli_print(struct bytes text); /* to stdout */
int print_table(const struct table *table, enum format format);
/* The names of CSV text, aligned. */
void print_csv_as_text(struct bytes csv);

/* --server: true when it was given. */
bool cli_has_server(const struct cli *cli);
/* One call; says what is wrong (the server's own words). CLI_DONE: 2xx. */
int cli_call(const struct cli *cli, int method, const char *path, const char *accept,
             const char *type, struct bytes body, struct buf *answer);
void put_url_part(struct buf *to, struct bytes text);

int command_import(struct cli *cli);
int command_query(struct cli *cli);
int command_export(struct cli *cli);
int command_user(struct cli *cli);
int command_check(struct cli *cli);
int command_check_sizes(struct cli *cli); /* --sizes */
int command_backup(struct cli *cli);
int command_restore(struct cli *cli);
int command_admin(struct cli *cli);
int command_config(struct cli *cli);

#endif

/* print.c - answers on stdout, and calls to a server. */
#include "cli/cli_internal.h"
#include "codec/csv.h"
#include "codec/json.h"
#include "crypt/crypt.h"
#include "http/http.h"
#include "sys/sys.h"

#include <stdio.h>
#include <stdlib.h>

enum { ANSWER_MAX = 1 << 30, COLUMNS_MAX = 256, WIDTH_MAX = 60 };

bool cli_format(const struct cli *cli, enum format *out)
{
    const char *name = cli_text(cli, "format");
    if (!name)
        *out = sys_is_terminal(1) ? FORMAT_TABLE : FORMAT_JSON;
    else if (strcmp(name, "table") == 0)
        *out = FORMAT_TABLE;
    else if (strcmp(name, "json") == 0)
        *out = FORMAT_JSON;
    else if (strcmp(name, "csv") == 0)
        *out = FORMAT_CSV;
    else {
        (void)cli_say(CLI_USAGE, "--format: it's table, json or csv");
        return false;
    }
    return true;
}

void cli_print(struct bytes text)
{
    (void)fwrite(text.ptr, 1, text.len, stdout);
    if (text.len && text.ptr[text.len - 1] != '\n')
        (void)fputc('\n', stdout);
}

int print_table(const struct table *table, enum format format)
{
    struct buf text;
    buf_init(&text, ANSWER_MAX);
    if (format == FORMAT_JSON)
        table_put_json(table, &text);
    else if (format == FORMAT_CSV)
        table_put_csv(table, &text);
    else
        table_put_text(table, &text);
    struct err err = buf_err(&text);
    if (!err.code)
        cli_print(buf_bytes(&text));
    buf_done(&text);
    return err.code ? cli_say_err(err, "the answer") : CLI_DONE;
}

/* Characters, not bytes, so that columns line up. */
static size_t width_of(struct bytes text)
{
    size_t width = 0;
    for (size_t i = 0; i < text.len; i++)
        width += (text.ptr[i] & 0xc0) != 0x80;
    return width;
}

static bool is_number(struct bytes text)
{
    bool has_digit = false;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.ptr[i];
        has_digit = has_digit || (c >= '0' && c <= '9');
        bool is_part = (c >= '0' && c <= '9') || c == '.' || c == 'e' || c == '+' ||
                       (c == '-' && (i == 0 || text.ptr[i - 1] == 'e'));
        if (!is_part)
            return false;
    }
    return has_digit || text.len == 0;
}

struct csv_shape {
    size_t widths[COLUMNS_MAX];
    bool is_text[COLUMNS_MAX]; /* something below the name isn't a number */
};

static void put_spaces(size_t count)
{
    for (size_t i = 0; i < count; i++)
        (void)fputc(' ', stdout);
}

static void measure_row(const struct bytes *fields, size_t count, bool is_head,
                        struct csv_shape *shape)
{
    for (size_t i = 0; i < count; i++) {
        size_t width = width_of(fields[i]);
        if (width > shape->widths[i])
            shape->widths[i] = width < WIDTH_MAX ? width : WIDTH_MAX;
        if (!is_head && !is_number(fields[i]))
            shape->is_text[i] = true;
    }
}

static void print_row(const struct bytes *fields, size_t count, const struct csv_shape *shape)
{
    for (size_t i = 0; i < count; i++) {
        size_t width = width_of(fields[i]);
        size_t pad = shape->widths[i] > width ? shape->widths[i] - width : 0;
        if (i)
            put_spaces(2);
        if (!shape->is_text[i])
            put_spaces(pad);
        printf("%.*s", BYTES_FMT(fields[i]));
        if (shape->is_text[i] && i + 1 < count)
            put_spaces(pad);
    }
    (void)fputc('\n', stdout);
}

static void walk_csv(struct bytes csv, struct csv_shape *shape, bool prints)
{
    struct csv_reader *reader;
    const struct bytes *fields;
    size_t count;
    bool is_head = true;
    struct err err = csv_reader_new(64 << 20, COLUMNS_MAX, &reader);
    if (err.code)
        return;
    while (csv_next(reader, &csv, true, &fields, &count) == CSV_ROW) {
        if (prints)
            print_row(fields, count, shape);
        else
            measure_row(fields, count, is_head, shape);
        is_head = false;
    }
    csv_reader_free(reader);
}

void print_csv_as_text(struct bytes csv)
{
    struct csv_shape shape = { { 0 }, { false } };
    walk_csv(csv, &shape, false);
    walk_csv(csv, &shape, true);
}

/* --- a server ------------------------------------------------------------------------------- */

bool cli_has_server(const struct cli *cli)
{
    return cli_text(cli, "server");
}

void put_url_part(struct buf *to, struct bytes text)
{
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.ptr[i];
        bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                        (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.' || c == '~';
        if (is_plain)
            buf_put_u8(to, c);
        else
            buf_printf(to, "%%%02X", c);
    }
}

/* For a question: the name that was meant, and where in the question. */
static void put_details(struct json_value details, char *to, size_t size)
{
    struct json_value line;
    struct json_value column;
    struct json_value name;
    size_t len = 0;
    to[0] = 0;
    if (json_find(details, BYTES("suggestion"), &name) && json_is(name, JSON_STRING))
        len = (size_t)snprintf(to, size, ": did you mean %.*s?", BYTES_FMT(json_string(name)));
    if (len < size && json_find(details, BYTES("line"), &line) && json_is(line, JSON_INT) &&
        json_find(details, BYTES("column"), &column) && json_is(column, JSON_INT))
        (void)snprintf(to + len, size - len, " (line %lld, column %lld)", (long long)json_int(line),
                       (long long)json_int(column));
}

static int say_refusal(int status, struct bytes answer)
{
    struct json_parser *parser;
    struct json_value root;
    struct json_value text;
    struct json_value details;
    struct json_problem problem;
    char words[1024];
    char more[512] = "";
    (void)snprintf(words, sizeof words, "the server answered %d", status);
    struct err err = json_parser_new(1 << 20, 64, &parser);
    if (!err.code) {
        if (json_parse(parser, answer, &root, &problem) && json_find(root, BYTES("error"), &text) &&
            json_is(text, JSON_STRING)) {
            (void)snprintf(words, sizeof words, "%.*s", BYTES_FMT(json_string(text)));
            if (json_find(root, BYTES("details"), &details) && json_is(details, JSON_OBJECT))
                put_details(details, more, sizeof more);
        }
        json_parser_free(parser);
    }
    return cli_say(CLI_REFUSED, "%s%s", words, more);
}

int cli_call(const struct cli *cli, int method, const char *path, const char *accept,
             const char *type, struct bytes body, struct buf *answer)
{
    char authorization[600];
    const char *token = cli_text(cli, "token");
    int status = 0;
    if (!token)
        return cli_say(CLI_USAGE, "--server needs an API client: --token ID.SECRET or KOLAM_TOKEN");
    (void)snprintf(authorization, sizeof authorization, "Bearer %s", token);
    struct http_call call = { .server = cli_text(cli, "server"),
                              .method = (enum http_method)method,
                              .path = path,
                              .authorization = authorization,
                              .accept = accept,
                              .type = type,
                              .body = body,
                              .answer_max = ANSWER_MAX };
    struct err err = http_call(&call, &status, answer);
    if (err.code == ERR_OS)
        return cli_say(CLI_ENVIRONMENT, "%s: %s: is the server running?", call.server,
                       strerror(err.os));
    if (err.code)
        return cli_say(err.code == ERR_INVALID ? CLI_USAGE : CLI_ENVIRONMENT, "%s: %s", call.server,
                       err.what);
    return status / 100 == 2 ? CLI_DONE : say_refusal(status, buf_bytes(answer));
}

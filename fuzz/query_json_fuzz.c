/* Any JSON as a question: an error with a message, or a tree that both forms give back. */
#include "query/tree.h"

#include <stdlib.h>

static void require(bool is_true)
{
    if (!is_true)
        abort();
}

struct input {
    const uint8_t *data;
    size_t size;
    size_t at;
};

static uint8_t next(struct input *input)
{
    return input->at < input->size ? input->data[input->at++] : 0;
}

/* JSON of the members that questions have, in whatever shape the input picks. */
static void grow(struct input *input, struct buf *to, int depth)
{
    static const char *const KEYS[] = {
        "report",    "measures", "measure", "property",  "where",    "all",       "any",
        "not",       "event",    "events",  "operator",  "value",    "steps",     "within",
        "span",      "since",    "until",   "group_by",  "by",       "limit",     "start",
        "return",    "unit",     "periods", "time",      "in_last",  "aggregate", "formula",
        "of",        "as",       "q",       "order_by",  "item",     "ties",      "grace",
        "excluding", "step",     "between", "bucket",    "sequence", "rules",     "any_event",
        "profile",   "identity", "select",  "direction", "hide",     "keep",      "expand",
        "collapse",
    };
    static const char *const LEAVES[] = {
        "\"select\"",
        "\"funnel\"",
        "\"retention\"",
        "\"flow\"",
        "\"to\"",
        "\"segment\"",
        "\"users\"",
        "\"events\"",
        "\"count\"",
        "\"sum\"",
        "\"x\"",
        "\"7d\"",
        "\"day\"",
        "\"week\"",
        "\"eq\"",
        "\"gt\"",
        "1",
        "0",
        "-5",
        "2.5",
        "true",
        "false",
        "null",
        "\"2025-01-01\"",
        "\"now\"",
        "\"add\"",
        "1e300",
        "\"in_last\"",
        "\"exists\"",
        "\"in\"",
        "18446744073709551615",
    };
    uint8_t kind = next(input);
    if (depth == 0 || kind % 4 == 0) {
        buf_put(to, bytes_from(LEAVES[next(input) % (sizeof LEAVES / sizeof LEAVES[0])]));
        return;
    }
    bool is_list = kind % 4 == 1;
    unsigned count = next(input) % 5;
    buf_put_u8(to, is_list ? '[' : '{');
    for (unsigned i = 0; i < count; i++) {
        if (i > 0)
            buf_put_u8(to, ',');
        if (!is_list)
            buf_printf(to, "\"%s\":", KEYS[next(input) % (sizeof KEYS / sizeof KEYS[0])]);
        grow(input, to, depth - 1);
    }
    buf_put_u8(to, is_list ? ']' : '}');
}

static void check(struct bytes text)
{
    static struct json_parser *parser;
    struct arena arena;
    struct query *query;
    struct query *again;
    struct query_problem problem = { 0 };
    struct json_value root;
    struct json_problem json_problem;
    struct buf buf;

    if (!parser)
        require(json_parser_new(1 << 24, 512, &parser).code == ERR_NONE);
    if (!json_parse(parser, text, &root, &json_problem))
        return;
    arena_init(&arena, 64 << 20);
    buf_init(&buf, 1 << 24);
    struct err err = query_parse_json(root, &arena, &query, &problem);
    if (err.code) {
        require(err.code == ERR_INVALID && problem.message.len > 0);
    } else {
        query_put_cql(query, &buf);
        require(query_parse_cql(buf_bytes(&buf), &arena, &again, &problem).code == ERR_NONE);
        require(tree_equal(query, again));
    }
    buf_done(&buf);
    arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = { .data = data, .size = size, .at = 1 };
    struct buf text;

    if (size == 0 || data[0] % 4 == 0) {
        check(bytes_of(data, size));
        return 0;
    }
    static const char *const STARTS[] = { "{\"report\":\"select\",\"measures\":[",
                                          "{\"report\":\"segment\",\"where\":",
                                          "{\"report\":\"funnel\",\"within\":\"7d\",\"steps\":[" };
    static const char *const ENDS[] = { "]}", "}", "]}" };
    uint8_t which = data[0] / 4 % 4;
    buf_init(&text, 1 << 20);
    if (which < 3)
        buf_put(&text, bytes_from(STARTS[which]));
    grow(&input, &text, 6);
    if (which < 3)
        buf_put(&text, bytes_from(ENDS[which]));
    check(buf_bytes(&text));
    buf_done(&text);
    return 0;
}

/* Any bytes as CQL: an error inside the text, or a tree that reads back the same from both forms. */
#include "query/tree.h"

#include <stdlib.h>

static void require(bool is_true)
{
    if (!is_true)
        abort();
}

/* Random bytes rarely make a question; half of the inputs pick words instead. */
static void spell(const uint8_t *data, size_t size, struct buf *to)
{
    static const char *const WORDS[] = {
        "SELECT",
        "count()",
        "users()",
        "sum(",
        ")",
        "(",
        "FROM events",
        "WHERE",
        "event",
        "= 'A'",
        "x",
        ">",
        "1",
        "-2.5",
        "'it''s'",
        "AND",
        "OR",
        "NOT",
        "SINCE",
        "30 days AGO",
        "UNTIL",
        "NOW",
        "GROUP BY",
        "day",
        ",",
        "profile.city",
        "ORDER BY",
        "DESC",
        "LIMIT",
        "WITH OTHER",
        "FUNNEL",
        "'A' THEN 'B'",
        "WITHIN 7 days",
        "ATTEMPT EACH",
        "TIES GRACE 1 s",
        "EXCLUDING 'C' BETWEEN 1 AND 2 DROP",
        "HOLDING",
        "BY",
        "RETENTION OF FIRST",
        "'A'",
        "RETURNING",
        "WEEKLY",
        "FOR 3",
        "ON OR AFTER",
        "FLOW FROM 'A'",
        "FLOW TO",
        "STEPS 3",
        "COLLAPSE",
        "HIDE 'B'",
        "KEEP 'B', 'C'",
        "EXPAND 'B' BY",
        "SEGMENT",
        "DID 'A'",
        "COUNT >= 2",
        "IN LAST 7 days",
        "SEQUENCE",
        "BUCKET 1 TO 9",
        "USERS WHERE",
        "SELECT",
        "EVENTS OF 'u'",
        "AS OF",
        "'2025-01-01'",
        "EXISTS",
        "IN ('a', 2)",
        "BETWEEN 1 AND 2",
        "TRUE",
        "FALSE",
        "AS",
        "\"q\"",
        "*",
        "/",
        "+",
        "IN TIME ZONE 'UTC'",
        "INCLUDING NEVER",
        "ANY EVENT",
    };
    for (size_t i = 0; i < size; i++) {
        buf_put(to, bytes_from(WORDS[data[i] % (sizeof WORDS / sizeof WORDS[0])]));
        buf_put_u8(to, ' ');
    }
}

static void check(struct bytes text)
{
    static struct json_parser *parser;
    struct arena arena;
    struct query *query;
    struct query *again;
    struct query_problem problem = { 0 };
    struct buf buf;

    if (!parser)
        require(json_parser_new(1 << 24, 512, &parser).code == ERR_NONE);
    arena_init(&arena, 64 << 20);
    buf_init(&buf, 1 << 24);
    struct err err = query_parse_cql(text, &arena, &query, &problem);
    if (err.code) {
        require(err.code == ERR_INVALID && problem.message.len > 0 && problem.offset <= text.len);
    } else {
        query_put_cql(query, &buf);
        require(query_parse_cql(buf_bytes(&buf), &arena, &again, &problem).code == ERR_NONE);
        require(tree_equal(query, again));

        struct json_value root;
        struct json_problem json_problem;
        buf_reset(&buf);
        query_put_json(query, &buf);
        require(json_parse(parser, buf_bytes(&buf), &root, &json_problem));
        require(query_parse_json(root, &arena, &again, &problem).code == ERR_NONE);
        require(tree_equal(query, again));
    }
    buf_done(&buf);
    arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 0 && data[0] % 2) {
        struct buf text;
        buf_init(&text, 1 << 20);
        spell(data + 1, (size - 1) % 48, &text);
        check(buf_bytes(&text));
        buf_done(&text);
    } else {
        check(bytes_of(data, size));
    }
    return 0;
}

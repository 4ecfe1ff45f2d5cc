/*
 * codec_json_fuzz.c - any text as JSON.
 *
 *  1. simdjson and json_locate agree on what JSON is (the problem "not JSON" is their quarrel);
 *  2. a problem has its place inside the text;
 *  3. what was read, written again and read, is the same text when written once more.
 *
 * Random bytes are hardly ever JSON, so the input is also spelled with JSON's own words.
 */
#include "base/buf.h"
#include "codec/json.h"
#include "codec/json_internal.h"
#include "codec/jsonw.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TEXT_MAX = 1 << 20, DEPTH_MAX = 16 };

static struct json_parser *parser;

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void write_value(struct jsonw *w, struct json_value value)
{
    struct json_iter it;
    switch (json_type(value)) {
    case JSON_NULL:
        jsonw_null(w);
        break;
    case JSON_FALSE:
    case JSON_TRUE:
        jsonw_bool(w, json_is(value, JSON_TRUE));
        break;
    case JSON_INT:
        jsonw_int(w, json_int(value));
        break;
    case JSON_UINT:
        jsonw_uint(w, json_uint(value));
        break;
    case JSON_REAL:
        jsonw_real(w, json_real(value));
        break;
    case JSON_STRING:
        jsonw_string(w, json_string(value));
        break;
    case JSON_ARRAY:
        jsonw_array(w);
        for (it = json_items(value); json_next(&it);)
            write_value(w, it.value);
        jsonw_end_array(w);
        break;
    case JSON_OBJECT:
        jsonw_object(w);
        for (it = json_members(value); json_next(&it);) {
            jsonw_key_bytes(w, it.key);
            write_value(w, it.value);
        }
        jsonw_end_object(w);
        break;
    }
}

/* The text of `text` read and written; false when it isn't JSON. */
static bool rewrite(struct bytes text, struct buf *to)
{
    struct json_value root;
    struct json_problem problem;
    if (!json_parse(parser, text, &root, &problem)) {
        must(strcmp(problem.what, "not JSON") != 0 && problem.offset <= text.len);
        return false;
    }
    struct jsonw w = jsonw_of(to);
    write_value(&w, root);
    return true;
}

static void check_locate(struct bytes text, bool is_json)
{
    uint64_t nesting[DEPTH_MAX / 64 + 1] = { 0 };
    const char *what;
    size_t offset;
    size_t big;
    uint8_t *copy = malloc(text.len + 1);
    must(copy != NULL);
    if (text.len > 0)
        memcpy(copy, text.ptr, text.len);
    copy[text.len] = 0;
    json_locate(copy, text.len, DEPTH_MAX, nesting, &what, &offset, &big);
    must(is_json == (what == NULL));
    free(copy);
}

static void check(struct bytes text)
{
    struct buf once;
    struct buf twice;
    buf_init(&once, TEXT_MAX);
    buf_init(&twice, TEXT_MAX);
    bool is_json = rewrite(text, &once);
    check_locate(text, is_json);
    if (is_json) {
        must(rewrite(buf_bytes(&once), &twice));
        must(bytes_equal(buf_bytes(&once), buf_bytes(&twice)));
    }
    buf_done(&once);
    buf_done(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const words[] = {
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\"a\"",
        "\"b\":",
        "1",
        "-",
        "0",
        "null",
        "true",
        "false",
        "1.5",
        "e9",
        "\\u",
        "d83d",
        "\\ude00",
        " ",
        "\n",
        "\\n",
        "\xc3\xa9",
        "\xed\xa0",
        "\\",
        "[1,",
        "],",
        "99999999999999999999",
        "},{",
        "-0.0",
        ".",
    };
    if (size > 4096)
        return 0;
    if (!parser)
        must(!json_parser_new(TEXT_MAX, DEPTH_MAX, &parser).code);
    check(bytes_of(data, size));

    struct buf text;
    buf_init(&text, TEXT_MAX);
    for (size_t i = 0; i < size && i < 24; i++)
        buf_put(&text, bytes_from(words[data[i] % (sizeof words / sizeof *words)]));
    check(buf_bytes(&text));
    buf_done(&text);
    return 0;
}

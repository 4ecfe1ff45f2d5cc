/*
 * json.c - the C side of the JSON reader.
 *
 * simdjson says yes or no at some gigabytes a second and keeps the tape; the accessors in json.h
 * walk it. Two things are done here, both only after a no:
 *
 *  - json_locate reads the text again, slowly, to say where and why (json_locate.c);
 *  - integers past 64 bits, which simdjson refuses, are JSON all the same and doubles to us: the
 *    text is copied with ".0" behind each of them and parsed again.
 */
#include "codec/json.h"

#include "codec/json_internal.h"

#include <assert.h>
#include <stdlib.h>

struct json_parser {
    struct json_dom *dom;
    size_t max_bytes;
    size_t max_depth;
    uint8_t *copy; /* a text with padding */
    size_t copy_cap;
    uint64_t nesting[]; /* a bit a level, for json_locate */
};

enum { COPY_MIN = 4096, COPY_KEPT = 4 << 20, BIG_GROWTH = 2 /* ".0" */ };

static const struct json_value json_null = { .tape = (const uint64_t[]){ (uint64_t)'n' << 56 } };

struct err json_parser_new(size_t max_bytes, size_t max_depth, struct json_parser **out)
{
    if (max_bytes > UINT32_MAX / 2 || max_depth == 0 || max_depth > 100000)
        return err_new(ERR_INVALID, "json: the limits of a parser");
    size_t words = max_depth / 64 + 1;
    struct json_parser *parser = calloc(1, sizeof *parser + words * sizeof *parser->nesting);
    if (!parser)
        return err_new(ERR_NOMEM, "json: make a parser");
    parser->max_bytes = max_bytes;
    parser->max_depth = max_depth;
    parser->dom = json_dom_new(max_depth);
    if (!parser->dom) {
        json_parser_free(parser);
        return err_new(ERR_NOMEM, "json: make a parser");
    }
    *out = parser;
    return ok();
}

void json_parser_free(struct json_parser *parser)
{
    if (!parser)
        return;
    json_dom_free(parser->dom);
    free(parser->copy);
    free(parser);
}

/* Room for `len` bytes and zeroed padding behind them; the old content is lost. */
static bool copy_reserve(struct json_parser *parser, size_t len)
{
    size_t need = len + JSON_PADDING;
    if (need > parser->copy_cap || (parser->copy_cap > COPY_KEPT && need <= COPY_KEPT)) {
        size_t cap = COPY_MIN;
        while (cap < need)
            cap *= 2;
        free(parser->copy);
        parser->copy = malloc(cap);
        parser->copy_cap = parser->copy ? cap : 0;
        if (!parser->copy)
            return false;
    }
    memset(parser->copy + len, 0, JSON_PADDING);
    return true;
}

static bool problem(struct json_problem *out, const char *what, size_t offset)
{
    *out = (struct json_problem){ .what = what, .offset = offset };
    return false;
}

static size_t skip_string(const uint8_t *text, size_t at)
{
    for (at++; text[at] != '"'; at++)
        at += text[at] == '\\';
    return at + 1;
}

/* Copies JSON with ".0" behind integers that are too big; returns the new length. */
static size_t widen(const uint8_t *text, size_t len, uint8_t *to)
{
    size_t out = 0;
    for (size_t at = 0; at < len;) {
        size_t from = at;
        bool is_number = text[at] == '-' || (text[at] >= '0' && text[at] <= '9');
        bool is_integer = is_number;
        if (is_number) {
            for (; at < len && strchr("+-.eE0123456789", text[at]) && text[at] != 0; at++)
                is_integer &= !strchr(".eE", text[at]);
        } else {
            at = text[at] == '"' ? skip_string(text, at) : at + 1;
        }
        memcpy(to + out, text + from, at - from);
        out += at - from;
        if (is_integer && json_is_big(text + from, at - from)) {
            memcpy(to + out, ".0", BIG_GROWTH);
            out += BIG_GROWTH;
        }
    }
    return out;
}

/* After simdjson's no: `text` is followed by a zero. */
static bool explain(struct json_parser *parser, struct bytes text, struct json_value *root_out,
                    struct json_problem *problem_out)
{
    const char *what;
    size_t offset;
    size_t big;
    json_locate(text.ptr, text.len, parser->max_depth, parser->nesting, &what, &offset, &big);
    if (what)
        return problem(problem_out, what, offset);
    if (big == 0)
        return problem(problem_out, "not JSON", text.len);

    uint8_t *wide = malloc(text.len + big * BIG_GROWTH + JSON_PADDING);
    if (!wide)
        return problem(problem_out, "no memory", 0);
    size_t len = widen(text.ptr, text.len, wide);
    assert(len <= text.len + big * BIG_GROWTH);
    memset(wide + len, 0, JSON_PADDING);
    enum json_dom_outcome outcome =
        json_dom_parse(parser->dom, wide, len, &root_out->tape, &root_out->strings);
    free(wide);
    if (outcome != JSON_DOM_OK)
        return problem(problem_out, outcome == JSON_DOM_WRONG ? "not JSON" : "no memory", 0);
    root_out->at = 1;
    return true;
}

static bool parse(struct json_parser *parser, struct bytes text, struct json_value *root_out,
                  struct json_problem *problem_out)
{
    *root_out = json_null;
    if (text.len > parser->max_bytes)
        return problem(problem_out, "longer than the limit", parser->max_bytes);
    bool is_copied = text.ptr == parser->copy;
    enum json_dom_outcome outcome =
        json_dom_parse(parser->dom, text.ptr, text.len, &root_out->tape, &root_out->strings);
    if (outcome == JSON_DOM_OK) {
        root_out->at = 1;
        return true;
    }
    *root_out = json_null;
    if (outcome == JSON_DOM_NO_MEMORY)
        return problem(problem_out, "no memory", 0);
    if (!is_copied) {
        if (!copy_reserve(parser, text.len))
            return problem(problem_out, "no memory", 0);
        if (text.len > 0)
            memcpy(parser->copy, text.ptr, text.len);
        text.ptr = parser->copy;
    }
    return explain(parser, text, root_out, problem_out);
}

bool json_parse(struct json_parser *parser, struct bytes text, struct json_value *root_out,
                struct json_problem *problem_out)
{
    *root_out = json_null;
    if (text.len > parser->max_bytes)
        return problem(problem_out, "longer than the limit", parser->max_bytes);
    if (!copy_reserve(parser, text.len))
        return problem(problem_out, "no memory", 0);
    if (text.len > 0)
        memcpy(parser->copy, text.ptr, text.len);
    return parse(parser, bytes_of(parser->copy, text.len), root_out, problem_out);
}

bool json_parse_padded(struct json_parser *parser, struct bytes text, struct json_value *root_out,
                       struct json_problem *problem_out)
{
    return parse(parser, text, root_out, problem_out);
}

enum { COUNT_SATURATED = 0xffffff };

size_t json_count(struct json_value value)
{
    enum json_type type = json_type(value);
    if (type != JSON_ARRAY && type != JSON_OBJECT)
        return 0;
    size_t count = (size_t)(json_payload_(value) >> 32);
    if (count < COUNT_SATURATED)
        return count;
    count = 0;
    for (struct json_iter iter = json_iter_(value, type); json_next(&iter);)
        count++;
    return count;
}

bool json_find(struct json_value object, struct bytes key, struct json_value *out)
{
    for (struct json_iter iter = json_members(object); json_next(&iter);) {
        if (!bytes_equal(iter.key, key))
            continue;
        *out = iter.value;
        return true;
    }
    return false;
}

/*
 * json.h - reading JSON: a C door on simdjson's DOM.
 *
 * One parser per thread; a document lives until the parser's next parse. Values are plain small
 * structs and need no freeing. Numbers keep what they were: integers that fit int64 (or uint64) are
 * integers, all else is a double; NaN, infinities and numbers too large for a double are errors of
 * the document, as is invalid UTF-8.
 *
 *     struct json_value root;
 *     struct json_problem problem;
 *     if (!json_parse(parser, text, &root, &problem)) → problem.what at problem.offset
 *     struct json_iter it = json_members(root);
 *     while (json_next(&it)) → it.key, it.value
 */
#ifndef CODEC_JSON_H
#define CODEC_JSON_H

#include "base/bytes.h"
#include "base/err.h"

struct json_parser;

enum json_type {
    JSON_NULL,
    JSON_FALSE,
    JSON_TRUE,
    JSON_INT,
    JSON_UINT,
    JSON_REAL,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT
};

struct json_value {
    const uint64_t *tape; /* all of the document's */
    const uint8_t *strings;
    size_t at; /* where on the tape */
};

struct json_problem {
    const char *what; /* a literal: "not UTF-8", "deeper than the limit", … */
    size_t offset;    /* bytes from the start of the text; the text's length at its end */
};

struct json_iter {
    struct json_value value; /* the current one */
    struct bytes key;        /* objects only */
    size_t next;
    size_t end;
    bool is_object;
};

/* Texts up to `max_bytes`, nested up to `max_depth`. */
MUST_CHECK struct err json_parser_new(size_t max_bytes, size_t max_depth, struct json_parser **out);
void json_parser_free(struct json_parser *parser);

/* One document, with white space around it. False: it isn't JSON; nothing else may be used. The
 * text may be given in any memory: what is not followed by padding is copied. */
bool json_parse(struct json_parser *parser, struct bytes text, struct json_value *root_out,
                struct json_problem *problem_out);
/* As json_parse, for text that has at least JSON_PADDING readable bytes behind it. */
enum { JSON_PADDING = 64 };
bool json_parse_padded(struct json_parser *parser, struct bytes text, struct json_value *root_out,
                       struct json_problem *problem_out);

enum json_type json_type(struct json_value value);
bool json_is(struct json_value value, enum json_type type);
int64_t json_int(struct json_value value);   /* JSON_INT */
uint64_t json_uint(struct json_value value); /* JSON_UINT: larger than INT64_MAX */
double json_real(struct json_value value);   /* JSON_REAL, and INT and UINT converted */
struct bytes json_string(struct json_value value);
size_t json_count(struct json_value value); /* members or items */

struct json_iter json_members(struct json_value object);
struct json_iter json_items(struct json_value array);
bool json_next(struct json_iter *iter);
/* The first member of this name. False: none, or not an object. */
bool json_find(struct json_value object, struct bytes key, struct json_value *out);

#endif

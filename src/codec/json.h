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

/* Texts up to `max_bytes`, nested up to `max_depth`; what is empty is no level. */
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

/* What a value is, and its content; asking for another type's is a mistake of the caller. */
static inline enum json_type json_type(struct json_value value);
static inline bool json_is(struct json_value value, enum json_type type);
static inline int64_t json_int(struct json_value value);   /* JSON_INT */
static inline uint64_t json_uint(struct json_value value); /* JSON_UINT: larger than INT64_MAX */
static inline double json_real(struct json_value value);   /* JSON_REAL; INT, UINT converted */
static inline struct bytes json_string(struct json_value value);
size_t json_count(struct json_value value); /* members or items */

static inline struct json_iter json_members(struct json_value object);
static inline struct json_iter json_items(struct json_value array);
static inline bool json_next(struct json_iter *iter);
/* The first member of this name. False: none, or not an object. */
bool json_find(struct json_value object, struct bytes key, struct json_value *out);

/*
 * Below: how simdjson lays out its tape. A word is a type in its top byte and 56 bits of payload.
 * '{' and '[': the place behind the end (32 bits) and the count (24 bits, saturated). '"': where in
 * the strings its length (32 bits) and bytes are. 'l', 'u', 'd': the next word is the number.
 */
static inline uint64_t json_payload_(struct json_value value)
{
    return value.tape[value.at] & UINT64_C(0x00ffffffffffffff);
}

static inline enum json_type json_type(struct json_value value)
{
    switch ((char)(value.tape[value.at] >> 56)) {
    case '"':
        return JSON_STRING;
    case 'l':
        return JSON_INT;
    case 'd':
        return JSON_REAL;
    case '{':
        return JSON_OBJECT;
    case '[':
        return JSON_ARRAY;
    case 't':
        return JSON_TRUE;
    case 'f':
        return JSON_FALSE;
    case 'u':
        return JSON_UINT;
    default:
        return JSON_NULL;
    }
}

static inline bool json_is(struct json_value value, enum json_type type)
{
    return json_type(value) == type;
}

static inline uint64_t json_uint(struct json_value value)
{
    return value.tape[value.at + 1];
}

static inline int64_t json_int(struct json_value value)
{
    return (int64_t)json_uint(value);
}

static inline double json_real(struct json_value value)
{
    enum json_type type = json_type(value);
    if (type == JSON_INT)
        return (double)json_int(value);
    if (type == JSON_UINT)
        return (double)json_uint(value);
    double real;
    memcpy(&real, &value.tape[value.at + 1], sizeof real);
    return real;
}

static inline struct bytes json_string(struct json_value value)
{
    const uint8_t *at = value.strings + json_payload_(value);
    return bytes_of(at + 4, load_le32(at));
}

/* The place behind a value. */
static inline size_t json_behind_(struct json_value value)
{
    switch ((char)(value.tape[value.at] >> 56)) {
    case '{':
    case '[':
        return (uint32_t)value.tape[value.at];
    case 'l':
    case 'u':
    case 'd':
        return value.at + 2;
    default:
        return value.at + 1;
    }
}

static inline struct json_iter json_iter_(struct json_value value, enum json_type type)
{
    struct json_iter iter = { .value = value, .is_object = type == JSON_OBJECT };
    if (json_type(value) != type)
        return iter; /* next == end: nothing to see */
    iter.next = value.at + 1;
    iter.end = json_behind_(value) - 1;
    return iter;
}

/* Of what isn't an object, none. */
static inline struct json_iter json_members(struct json_value object)
{
    return json_iter_(object, JSON_OBJECT);
}

static inline struct json_iter json_items(struct json_value array)
{
    return json_iter_(array, JSON_ARRAY);
}

static inline bool json_next(struct json_iter *iter)
{
    if (iter->next >= iter->end)
        return false;
    iter->value.at = iter->next;
    if (iter->is_object) {
        iter->key = json_string(iter->value);
        iter->value.at++;
    }
    iter->next = json_behind_(iter->value);
    return true;
}

#endif

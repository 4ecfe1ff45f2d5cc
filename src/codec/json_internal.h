/*
 * json_internal.h - what json.c and json.cc share: plain C and C++ at once.
 */
#ifndef CODEC_JSON_INTERNAL_H
#define CODEC_JSON_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct json_dom;

/* NULL: no memory. */
struct json_dom *json_dom_new(size_t max_depth);
void json_dom_free(struct json_dom *dom);

enum json_dom_outcome { JSON_DOM_OK, JSON_DOM_WRONG, JSON_DOM_NO_MEMORY };

/* `text` has JSON_PADDING readable bytes behind it. The tape lives until the next parse. */
enum json_dom_outcome json_dom_parse(struct json_dom *dom, const uint8_t *text, size_t len,
                                     const uint64_t **tape_out, const uint8_t **strings_out);

/* The shortest decimal of a finite number; up to 24 bytes, returns how many. */
size_t json_shortest_real(double value, char *to);

/*
 * Reads `text` slowly and says where and why it isn't JSON; *what_out is NULL when it is.
 * `text[len]` is readable and 0. *big_out counts integers that need a double.
 */
void json_locate(const uint8_t *text, size_t len, size_t max_depth, uint64_t *nesting,
                 const char **what_out, size_t *offset_out, size_t *big_out);

/* Whether the characters of an integer are of one that fits neither int64 nor uint64. */
bool json_is_big(const uint8_t *digits, size_t len);

#ifdef __cplusplus
}
#endif

#endif

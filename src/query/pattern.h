/*
 * pattern.h - regular expressions in time that is linear in the text.
 *
 * Syntax: characters, `.` `[a-z]` `[^…]` `\d \w \s \D \W \S`, `^ $`, groups `( )`, `|`, and
 * `* + ?`; a backslash takes the next character as it is. A pattern is found anywhere in the text.
 * Bytes are compared, but a `.` or a class takes a whole UTF-8 character. No back references, no
 * counted repeats: what can't be decided in linear time isn't there.
 */
#ifndef QUERY_PATTERN_H
#define QUERY_PATTERN_H

#include "base/arena.h"

enum { PATTERN_BYTES_MAX = 512 };

struct pattern;

/* What is wrong with it, or NULL. */
const char *pattern_problem(struct bytes text);
/* NULL: no memory (or a problem). */
struct pattern *pattern_new(struct bytes text, struct arena *arena);
/* One thread at a time: the pattern holds its working memory. */
bool pattern_found(struct pattern *pattern, struct bytes text);

#endif

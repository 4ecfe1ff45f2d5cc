/*
 * json_internal.h - what the files of the JSON reader share: where a value stands, what went wrong,
 * and the parts that reports are made of. Functions return false after a failure, with the problem
 * filled.
 */
#ifndef QUERY_JSON_INTERNAL_H
#define QUERY_JSON_INTERNAL_H

#include "query/tree.h"

enum { RECURSION_MAX = 2 * TREE_DEPTH_MAX + 8 };

/* Where a value stands: the way back to the root. */
struct at {
    const struct at *parent;
    struct bytes key; /* of a member; ptr NULL: item number `index` */
    uint32_t index;
};

struct input {
    struct arena *arena;
    struct query_problem *problem;
    enum err_code failed;
    uint32_t nodes;
    uint32_t depth;
};

/* --- json_parts.c --- */

bool in_no_memory(struct input *in);
__attribute__((format(printf, 3, 4))) bool in_wrong(struct input *in, const struct at *at,
                                                    const char *format, ...);
bool in_place_of(struct input *in, const struct at *at, struct place *out);
struct at in_member_at(const struct at *parent, const char *key);
bool in_need_object(struct input *in, const struct at *at, struct json_value json);
bool in_only(struct input *in, const struct at *at, struct json_value object,
             const char *const *known);
bool in_has(struct json_value object, const char *key, struct json_value *out);
bool in_read_text(struct input *in, const struct at *at, struct json_value json, struct bytes *out);
bool in_read_name(struct input *in, const struct at *at, struct json_value json, struct name *out);
bool in_read_flag(struct input *in, const struct at *parent, struct json_value object,
                  const char *key, bool *out);
bool in_is_number(struct json_value json);
bool in_read_number(struct input *in, const struct at *at, struct json_value json, double *out);
bool in_read_count(struct input *in, const struct at *at, struct json_value json, uint64_t min,
                   uint64_t max, uint64_t *out);
bool in_read_word(struct input *in, const struct at *at, struct json_value json,
                  const char *const *words, uint32_t *which_out);
bool in_word_member(struct input *in, const struct at *parent, struct json_value object,
                    const char *key, const char *const *words, uint32_t *which_out);
bool in_read_array(struct input *in, const struct at *at, struct json_value json, size_t min,
                   size_t max, uint32_t *count_out);
bool in_read_duration(struct input *in, const struct at *at, struct json_value json,
                      struct duration *out);
bool in_read_when(struct input *in, const struct at *at, struct json_value json, struct when *out);
bool in_span_member(struct input *in, const struct at *parent, struct json_value object,
                    const char *key, struct span *out);
bool in_read_names(struct input *in, const struct at *at, struct json_value json, uint32_t max,
                   const struct name **out, uint32_t *count_out);
bool in_read_condition(struct input *in, const struct at *at, struct json_value json, bool is_users,
                       const struct condition **out);
bool in_filter_member(struct input *in, const struct at *parent, struct json_value object,
                      const struct condition **out);
bool in_read_step(struct input *in, const struct at *at, struct json_value json, struct step *out);
bool in_read_steps(struct input *in, const struct at *at, struct json_value json,
                   const struct step **out, uint32_t *count_out);
bool in_within_member(struct input *in, const struct at *parent, struct json_value object,
                      struct duration *out);

#endif

/*
 * matcher.h - one comparison, prepared: does a value match?
 *
 * Every comparison is true or false. An absent value matches none. A value of another type is not
 * equal (so `!=` matches it) and has no order and no text. A list matches when one of its items
 * does. Numbers compare exactly, whole or not. A text compared with a time is read as one in the
 * question's zone; a date stands for the whole day.
 */
#ifndef QUERY_MATCHER_H
#define QUERY_MATCHER_H

#include "query/exec.h"
#include "query/pattern.h"

struct int_range {
    int64_t lo; /* both included; empty when hi < lo */
    int64_t hi;
};
struct real_range {
    double lo;
    double hi;
};

struct matcher {
    enum compare_op op; /* never OP_NE: that's OP_EQ and is_inverted */
    bool is_inverted;   /* matches the present values that `op` doesn't */
    const struct value *values;
    uint32_t value_count;
    uint32_t range_count; /* of each of these: a value in any of them matches */
    const struct int_range *ints;
    const struct real_range *reals;
    const struct int_range *times;
    bool matches_bool[2];
    bool has_text; /* a text may match */
};

MUST_CHECK struct err matcher_init(struct exec *exec, const struct compare *compare,
                                   struct matcher *out);

/* Before inversion; is_inverted is the caller's, who knows what is present. */
bool matcher_int(const struct matcher *matcher, int64_t value);
bool matcher_real(const struct matcher *matcher, double value);
bool matcher_time(const struct matcher *matcher, int64_t time_ms);
/* `pattern`: of OP_MATCHES, made by matcher_pattern, one per thread. */
bool matcher_text(const struct matcher *matcher, struct pattern *pattern, struct bytes text);
/* NULL when the operator has none. */
MUST_CHECK struct err matcher_pattern(const struct matcher *matcher, struct arena *arena,
                                      struct pattern **out);

#endif

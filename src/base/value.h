/*
 * value.h - the value of a property.
 *
 * A property that's a number in one event and a string in the next is two columns:
 * nothing is coerced. So a value's type is part of where it is kept.
 */
#ifndef BASE_VALUE_H
#define BASE_VALUE_H

#include "base/bytes.h"

/* Numbers are written to disk: never change one. */
enum value_type {
    VALUE_NULL = 0,
    VALUE_BOOL = 1,
    VALUE_INT = 2,    /* int64 */
    VALUE_REAL = 3,   /* double, never NaN nor infinite */
    VALUE_STRING = 4, /* UTF-8 */
    VALUE_TIME = 5,   /* milliseconds since 1970 UTC */
    VALUE_LIST = 6,   /* strings */
    VALUE_TYPES = 7,
};

struct value {
    enum value_type type;
    uint32_t count; /* VALUE_LIST: items */
    union {
        bool boolean;
        int64_t integer;
        double real;
        int64_t time_ms;
        struct bytes string;
        const struct bytes *items; /* VALUE_LIST */
    };
};

/* "null", "bool", "int", "real", "string", "time", "list". */
const char *value_type_name(enum value_type type);

/* Same type and same content. -0.0 equals 0.0. */
bool value_equal(const struct value *a, const struct value *b);

static inline struct value value_null(void)
{
    return (struct value){ .type = VALUE_NULL };
}
static inline struct value value_bool(bool boolean)
{
    return (struct value){ .type = VALUE_BOOL, .boolean = boolean };
}
static inline struct value value_int(int64_t integer)
{
    return (struct value){ .type = VALUE_INT, .integer = integer };
}
static inline struct value value_real(double real)
{
    return (struct value){ .type = VALUE_REAL, .real = real };
}
static inline struct value value_string(struct bytes string)
{
    return (struct value){ .type = VALUE_STRING, .string = string };
}
static inline struct value value_time(int64_t time_ms)
{
    return (struct value){ .type = VALUE_TIME, .time_ms = time_ms };
}

#endif

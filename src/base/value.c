/* value.c - names and equality of property values. */
#include "base/value.h"

#include <assert.h>

const char *value_type_name(enum value_type type)
{
    static const char *const names[VALUE_TYPES] = {
        [VALUE_NULL] = "null", [VALUE_BOOL] = "bool",     [VALUE_INT] = "int",
        [VALUE_REAL] = "real", [VALUE_STRING] = "string", [VALUE_TIME] = "time",
        [VALUE_LIST] = "list",
    };
    assert((unsigned)type < VALUE_TYPES);
    return names[type];
}

static bool lists_equal(const struct value *a, const struct value *b)
{
    if (a->count != b->count)
        return false;
    for (uint32_t i = 0; i < a->count; i++)
        if (!bytes_equal(a->items[i], b->items[i]))
            return false;
    return true;
}

bool value_equal(const struct value *a, const struct value *b)
{
    if (a->type != b->type)
        return false;
    switch (a->type) {
    case VALUE_NULL:
        return true;
    case VALUE_BOOL:
        return a->boolean == b->boolean;
    case VALUE_INT:
        return a->integer == b->integer;
    case VALUE_REAL:
        return !(a->real < b->real) && !(a->real > b->real);
    case VALUE_STRING:
        return bytes_equal(a->string, b->string);
    case VALUE_TIME:
        return a->time_ms == b->time_ms;
    case VALUE_LIST:
        return lists_equal(a, b);
    case VALUE_TYPES:
        break;
    }
    assert(a->type < VALUE_TYPES);
    return false;
}

/* err.c - names of the codes, for log lines. */
#include "base/err.h"

#include <stddef.h>

const char *err_code_name(enum err_code code)
{
    static const char *const names[] = {
        [ERR_NONE] = "none",           [ERR_NOMEM] = "nomem",     [ERR_OS] = "os",
        [ERR_INVALID] = "invalid",     [ERR_CORRUPT] = "corrupt", [ERR_BUSY] = "busy",
        [ERR_BROKEN] = "broken",       [ERR_FULL] = "full",       [ERR_LIMIT] = "limit",
        [ERR_CANCELLED] = "cancelled", [ERR_MISSING] = "missing", [ERR_EXISTS] = "exists",
        [ERR_DENIED] = "denied",
    };
    assert((size_t)code < sizeof names / sizeof names[0]);
    return names[code];
}

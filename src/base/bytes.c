/* bytes.c - what bytes.h and the formats above it take for granted about the machine. */
#include "base/bytes.h"

#include <assert.h>

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "load_le32 and its kin are plain copies");
static_assert(sizeof(size_t) == 8, "sizes of files and of memory are the same numbers");
static_assert(sizeof(double) == 8, "a REAL is eight bytes on disk");

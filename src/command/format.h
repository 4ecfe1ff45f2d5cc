/* format.h - the bytes of a batch, as in docs/formats/command-batch.md. */
#ifndef COMMAND_FORMAT_H
#define COMMAND_FORMAT_H

#include "base/bytes.h"

/* "kcb" and the version, as a little-endian word. */
#define BATCH_MAGIC UINT32_C(0x0162636b)

enum {
    BATCH_AT_MAGIC = 0,
    BATCH_AT_COMMANDS = 4,       /* count */
    BATCH_AT_RECEIVED = 8,       /* int64, milliseconds */
    BATCH_AT_STRINGS = 16,       /* count */
    BATCH_AT_LENGTHS_BYTES = 20, /* the sizes of the three parts that follow the header */
    BATCH_AT_TEXT_BYTES = 24,
    BATCH_AT_COMMANDS_BYTES = 28,
    BATCH_AT_PROPERTIES_MAX = 32, /* the most in one command, so that a reader reserves once */
    BATCH_AT_ITEMS_MAX = 36,
    BATCH_AT_LIST_MAX = 40,
    BATCH_HEADER_BYTES = 44,
};

/* A command's second byte. */
enum {
    COMMAND_HAS_NAME = 1,
    COMMAND_NAME_IS_FOLDED = 2,
    COMMAND_HAS_EVENT_ID = 4,
    COMMAND_HAS_ITEMS = 8,
    COMMAND_FLAGS = 15,
};

/* A property's second part: its value's type, and its operator above. */
enum { PROPERTY_OP_SHIFT = 4, PROPERTY_TYPE_MASK = 15 };

enum { VARINT32_MAX = 5, VARINT64_MAX = 10 };

static inline uint64_t zigzag(int64_t value)
{
    return (uint64_t)value << 1 ^ (uint64_t)(value >> 63);
}

static inline int64_t unzigzag(uint64_t value)
{
    return (int64_t)(value >> 1 ^ (~(value & 1) + 1));
}

#endif

/* hash_internal.h - the version without special instructions, for the tests. */
#ifndef CODEC_HASH_INTERNAL_H
#define CODEC_HASH_INTERNAL_H

#include "base/bytes.h"

uint32_t crc32c_portable(uint32_t crc, struct bytes data);

#endif

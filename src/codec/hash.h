/* hash.h - checksums: XXH3 for blocks on disk, CRC-32C for frames. Stable between versions. */
#ifndef CODEC_HASH_H
#define CODEC_HASH_H

#include "base/bytes.h"

uint64_t xxh3_64(struct bytes data, uint64_t seed);
/* Extends a CRC-32C; start with 0. Uses SSE4.2 where the machine has it. */
uint32_t crc32c(uint32_t crc, struct bytes data);

#endif

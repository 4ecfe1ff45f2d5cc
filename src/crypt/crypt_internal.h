/* crypt_internal.h - what the files of this module share. */
#ifndef CRYPT_CRYPT_INTERNAL_H
#define CRYPT_CRYPT_INTERNAL_H

#include "base/bytes.h"

/* For what fails only without memory or randomness, where going on would be unsafe: ends the
 * process. */
void crypt_must(bool holds);

/* A pointer that isn't NULL, as OpenSSL wants it even for nothing. */
static inline const uint8_t *crypt_ptr(struct bytes bytes)
{
    return bytes.ptr ? bytes.ptr : (const uint8_t *)"";
}

#endif

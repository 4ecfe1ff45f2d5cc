/*
 * password.c - password hashes by Argon2id, as the encoded text of its reference implementation.
 *
 * The parameters are OWASP's: 19 MiB, two passes, one lane. A stored hash brings its own, so that
 * old ones go on being checked; they are bounded before any work is done, since whoever could write
 * a hash could otherwise make a sign-in take all memory.
 */
#include "crypt/crypt.h"

#include "crypt/crypt_internal.h"

#include <argon2.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    PASSWORD_MAX = 1024,
    MEMORY_KIB = 19456,
    PASSES = 2,
    LANES = 1,
    SALT_SIZE = 16,
    HASH_SIZE = 32,
    MEMORY_KIB_MAX = 256 << 10,
    PASSES_MAX = 16,
    LANES_MAX = 16,
    ENCODED_LEN = 31 + 22 + 1 + 43, /* parameters, salt, $, hash */
};

static const char prefix[] = "$argon2id$v=19$";
static const char parameters[] = "$argon2id$v=19$m=19456,t=2,p=1$";

struct err password_hash(struct bytes password, char hash_out[PASSWORD_HASH_SIZE])
{
    uint8_t salt[SALT_SIZE];
    char encoded[PASSWORD_HASH_SIZE];
    if (password.len > PASSWORD_MAX)
        return err_new(ERR_LIMIT, "crypt: a password too long");
    crypt_random(salt, sizeof salt);
    int result = argon2id_hash_encoded(PASSES, MEMORY_KIB, LANES, crypt_ptr(password), password.len,
                                       salt, sizeof salt, HASH_SIZE, encoded, sizeof encoded);
    if (result == ARGON2_MEMORY_ALLOCATION_ERROR)
        return err_new(ERR_NOMEM, "crypt: hash a password");
    crypt_must(result == ARGON2_OK);
    memcpy(hash_out, encoded, sizeof encoded);
    return ok();
}

/* Reads "m=123" and what must follow it; advances *text. 0: it isn't that. */
static unsigned long take_number(const char **text, const char *name, char behind)
{
    size_t name_len = strlen(name);
    if (strncmp(*text, name, name_len) != 0)
        return 0;
    const char *digits = *text + name_len;
    if (*digits < '0' || *digits > '9')
        return 0;
    char *end;
    unsigned long number = strtoul(digits, &end, 10);
    if (*end != behind)
        return 0;
    *text = end + 1;
    return number;
}

static bool is_affordable(const char *hash)
{
    if (strlen(hash) >= PASSWORD_HASH_SIZE || strncmp(hash, prefix, sizeof prefix - 1) != 0)
        return false;
    const char *at = hash + sizeof prefix - 1;
    unsigned long memory = take_number(&at, "m=", ',');
    unsigned long passes = take_number(&at, "t=", ',');
    unsigned long lanes = take_number(&at, "p=", '$');
    return memory > 0 && memory <= MEMORY_KIB_MAX && passes > 0 && passes <= PASSES_MAX &&
           lanes > 0 && lanes <= LANES_MAX;
}

bool password_matches(struct bytes password, const char *hash)
{
    if (password.len > PASSWORD_MAX || !is_affordable(hash))
        return false;
    return argon2id_verify(hash, crypt_ptr(password), password.len) == ARGON2_OK;
}

bool password_needs_rehash(const char *hash)
{
    return strlen(hash) != ENCODED_LEN || strncmp(hash, parameters, sizeof parameters - 1) != 0;
}

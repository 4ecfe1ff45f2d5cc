/* digest.c - digests, comparing, wiping, random bytes. */
#include "crypt/crypt.h"

#include "crypt/crypt_internal.h"

#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>

void crypt_must(bool holds)
{
    if (holds)
        return;
    (void)fputs("crypt: the crypto library fails\n", stderr);
    abort();
}

void crypt_sha256(struct bytes data, uint8_t digest[SHA256_SIZE])
{
    crypt_must(EVP_Digest(crypt_ptr(data), data.len, digest, NULL, EVP_sha256(), NULL) == 1);
}

void crypt_sha1(struct bytes data, uint8_t digest[SHA1_SIZE])
{
    crypt_must(EVP_Digest(crypt_ptr(data), data.len, digest, NULL, EVP_sha1(), NULL) == 1);
}

void crypt_hmac_sha256(struct bytes key, struct bytes data, uint8_t mac[SHA256_SIZE])
{
    assert(key.len <= INT_MAX);
    crypt_must(HMAC(EVP_sha256(), crypt_ptr(key), (int)key.len, crypt_ptr(data), data.len, mac,
                    NULL) != NULL);
}

bool crypt_equal(struct bytes a, struct bytes b)
{
    return a.len == b.len && CRYPTO_memcmp(crypt_ptr(a), crypt_ptr(b), a.len) == 0;
}

void crypt_wipe(void *secret, size_t len)
{
    OPENSSL_cleanse(secret, len);
}

void crypt_random(void *to, size_t len)
{
    assert(len <= INT_MAX);
    crypt_must(RAND_bytes(to, (int)len) == 1);
}

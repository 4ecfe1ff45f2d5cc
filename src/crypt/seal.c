/*
 * seal.c - AES-256-GCM with a random nonce.
 *
 *     nonce (12) | ciphertext (as long as the secret) | tag (16)
 */
#include "crypt/crypt.h"

#include "crypt/crypt_internal.h"

#include <limits.h>
#include <openssl/evp.h>

enum { NONCE_SIZE = 12, TAG_SIZE = 16, TEXT_MAX = INT_MAX - 64 };

static_assert(SEAL_EXTRA_SIZE == NONCE_SIZE + TAG_SIZE, "what sealing adds");

/* Feeds the context, then the text, in one direction. */
static bool run_cipher(EVP_CIPHER_CTX *cipher, struct bytes context, struct bytes text, uint8_t *to)
{
    int len = 0;
    if (context.len > 0 && EVP_CipherUpdate(cipher, NULL, &len, context.ptr, (int)context.len) != 1)
        return false;
    return text.len == 0 || EVP_CipherUpdate(cipher, to, &len, text.ptr, (int)text.len) == 1;
}

static EVP_CIPHER_CTX *start_cipher(const uint8_t *key, const uint8_t *nonce, bool is_sealing)
{
    EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
    crypt_must(cipher &&
               EVP_CipherInit_ex(cipher, EVP_aes_256_gcm(), NULL, key, nonce, is_sealing) == 1);
    return cipher;
}

struct err seal(const uint8_t key[SEAL_KEY_SIZE], struct bytes context, struct bytes secret,
                struct buf *to)
{
    uint8_t last[EVP_MAX_BLOCK_LENGTH];
    int last_len = 0;
    if (secret.len > TEXT_MAX || context.len > TEXT_MAX)
        return err_new(ERR_LIMIT, "crypt: seal so much");
    uint8_t *nonce = buf_reserve(to, secret.len + SEAL_EXTRA_SIZE);
    if (!nonce)
        return buf_err(to);
    uint8_t *text = nonce + NONCE_SIZE;
    crypt_random(nonce, NONCE_SIZE);
    EVP_CIPHER_CTX *cipher = start_cipher(key, nonce, true);
    crypt_must(run_cipher(cipher, context, secret, text) &&
               EVP_CipherFinal_ex(cipher, last, &last_len) == 1 && last_len == 0 &&
               EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_GCM_GET_TAG, TAG_SIZE, text + secret.len) == 1);
    EVP_CIPHER_CTX_free(cipher);
    to->len += secret.len + SEAL_EXTRA_SIZE;
    return ok();
}

struct err seal_open(const uint8_t key[SEAL_KEY_SIZE], struct bytes context, struct bytes sealed,
                     struct buf *to)
{
    uint8_t tag[TAG_SIZE];
    uint8_t last[EVP_MAX_BLOCK_LENGTH];
    int last_len = 0;
    if (sealed.len < SEAL_EXTRA_SIZE || sealed.len > TEXT_MAX || context.len > TEXT_MAX)
        return err_new(ERR_CORRUPT, "crypt: open what is sealed");
    struct bytes text = bytes_of(sealed.ptr + NONCE_SIZE, sealed.len - SEAL_EXTRA_SIZE);
    uint8_t *secret = buf_reserve(to, text.len);
    if (!secret)
        return buf_err(to);
    memcpy(tag, text.ptr + text.len, TAG_SIZE);
    EVP_CIPHER_CTX *cipher = start_cipher(key, sealed.ptr, false);
    bool is_right = run_cipher(cipher, context, text, secret) &&
                    EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_GCM_SET_TAG, TAG_SIZE, tag) == 1 &&
                    EVP_CipherFinal_ex(cipher, last, &last_len) == 1;
    EVP_CIPHER_CTX_free(cipher);
    if (!is_right) {
        crypt_wipe(secret, text.len);
        return err_new(ERR_CORRUPT, "crypt: open what is sealed");
    }
    to->len += text.len;
    return ok();
}

/*
 * crypt.h - digests, passwords, tokens, sealing, and bytes as text.
 *
 * Thin wrappers of OpenSSL and libargon2; nothing here is of our own making. Random bytes come
 * from OpenSSL's generator, which the operating system seeds; without randomness there's nothing to
 * go on with, and the process ends.
 */
#ifndef CRYPT_CRYPT_H
#define CRYPT_CRYPT_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"

/* --- digests ---------------------------------------------------------------- */

enum { SHA256_SIZE = 32 };

void crypt_sha256(struct bytes data, uint8_t digest[SHA256_SIZE]);
void crypt_hmac_sha256(struct bytes key, struct bytes data, uint8_t mac[SHA256_SIZE]);
/* SHA-1, for protocols that ask for it (WebSocket's handshake); never for a signature. */
enum { SHA1_SIZE = 20 };
void crypt_sha1(struct bytes data, uint8_t digest[SHA1_SIZE]);

/* In a time that depends on the lengths only. */
bool crypt_equal(struct bytes a, struct bytes b);
/* Overwrites secrets; the compiler doesn't leave it out. */
void crypt_wipe(void *secret, size_t len);

/* --- passwords -------------------------------------------------------------- */

/* Room for an encoded hash with its zero: "$argon2id$v=19$m=19456,t=2,p=1$salt$hash". */
enum { PASSWORD_HASH_SIZE = 128 };

/* Argon2id with a random salt. It takes 19 MiB and some 20 ms on purpose: never on an event loop.
 * ERR_LIMIT: longer than 1024 bytes. ERR_NOMEM. */
MUST_CHECK struct err password_hash(struct bytes password, char hash_out[PASSWORD_HASH_SIZE]);
/* Whether `hash` (its parameters are its own) is of this password. A hash that can't be read, or
 * asks for more than 256 MiB or 16 passes, is of none. */
bool password_matches(struct bytes password, const char *hash);
/* Made with other parameters than password_hash takes today: hash again at the next sign-in. */
bool password_needs_rehash(const char *hash);

/* --- random ------------------------------------------------------------------ */

void crypt_random(void *to, size_t len);

/* 32 random bytes as base64url: 43 characters and a zero. */
enum { TOKEN_SIZE = 44 };
void token_new(char token_out[TOKEN_SIZE]);

/* --- sealing ------------------------------------------------------------------- */

enum { SEAL_KEY_SIZE = 32, SEAL_EXTRA_SIZE = 12 + 16 };

/* AES-256-GCM: appends nonce (12, random), ciphertext and tag (16) to `to`. `context` isn't stored;
 * opening must name the same. One key seals at most 2^32 messages. */
MUST_CHECK struct err seal(const uint8_t key[SEAL_KEY_SIZE], struct bytes context,
                           struct bytes secret, struct buf *to);
/* Appends the secret. ERR_CORRUPT: another key or context, or changed bytes; nothing is appended. */
MUST_CHECK struct err seal_open(const uint8_t key[SEAL_KEY_SIZE], struct bytes context,
                                struct bytes sealed, struct buf *to);

/* --- bytes as text ------------------------------------------------------------- */

/* These append. base64 is padded with '='; base64url isn't. */
void base64_put(struct buf *buf, struct bytes data);
void base64url_put(struct buf *buf, struct bytes data);
void hex_put(struct buf *buf, struct bytes data);
/* Strict: one text for each content, no white space, exact padding. False: it isn't; nothing is
 * appended (or the buf has failed). hex takes capitals too. */
bool base64_get(struct bytes text, struct buf *to);
bool base64url_get(struct bytes text, struct buf *to);
bool hex_get(struct bytes text, struct buf *to);

#endif

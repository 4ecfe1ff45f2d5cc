/* crypt_test.c - published vectors, and what crypt.h promises about wrong input. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "crypt/crypt.h"

#include <stdlib.h>

enum { ROOM = 1 << 20 };

/* The bytes of a text of hex digits; freed by buf_done. */
static struct buf from_hex(const char *text)
{
    struct buf buf;
    buf_init(&buf, ROOM);
    assert_true(hex_get(bytes_from(text), &buf));
    return buf;
}

static void assert_hex(struct bytes data, const char *expected)
{
    struct buf buf = from_hex(expected);
    assert_int_equal(data.len, buf.len);
    assert_memory_equal(data.ptr, buf.ptr, buf.len);
    buf_done(&buf);
}

static void sha256_is_that_of_fips_180(void **state)
{
    (void)state;
    uint8_t digest[SHA256_SIZE];
    crypt_sha256(BYTES("abc"), digest);
    assert_hex(bytes_of(digest, sizeof digest),
               "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    crypt_sha256(bytes_of(NULL, 0), digest);
    assert_hex(bytes_of(digest, sizeof digest),
               "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    crypt_sha256(BYTES("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"), digest);
    assert_hex(bytes_of(digest, sizeof digest),
               "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    uint8_t sha1[SHA1_SIZE];
    crypt_sha1(BYTES("abc"), sha1);
    assert_hex(bytes_of(sha1, sizeof sha1), "a9993e364706816aba3e25717850c26c9cd0d89d");
}

static void hmac_is_that_of_rfc_4231(void **state)
{
    (void)state;
    uint8_t mac[SHA256_SIZE];
    uint8_t key[131];
    memset(key, 0x0b, 20);
    crypt_hmac_sha256(bytes_of(key, 20), BYTES("Hi There"), mac);
    assert_hex(bytes_of(mac, sizeof mac),
               "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    crypt_hmac_sha256(BYTES("Jefe"), BYTES("what do ya want for nothing?"), mac);
    assert_hex(bytes_of(mac, sizeof mac),
               "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    memset(key, 0xaa, sizeof key);
    crypt_hmac_sha256(bytes_of(key, sizeof key),
                      BYTES("Test Using Larger Than Block-Size Key - Hash Key First"), mac);
    assert_hex(bytes_of(mac, sizeof mac),
               "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    crypt_hmac_sha256(bytes_of(NULL, 0), bytes_of(NULL, 0), mac);
    assert_hex(bytes_of(mac, sizeof mac),
               "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

static void equal_means_every_byte(void **state)
{
    (void)state;
    assert_true(crypt_equal(BYTES("secret"), BYTES("secret")));
    assert_false(crypt_equal(BYTES("secret"), BYTES("secreT")));
    assert_false(crypt_equal(BYTES("secret"), BYTES("secre")));
    assert_true(crypt_equal(bytes_of(NULL, 0), BYTES("")));
}

static void a_password_matches_its_own_hash_only(void **state)
{
    (void)state;
    char hash[PASSWORD_HASH_SIZE];
    char again[PASSWORD_HASH_SIZE];
    assert_int_equal(password_hash(BYTES("correct horse"), hash).code, ERR_NONE);
    assert_int_equal(password_hash(BYTES("correct horse"), again).code, ERR_NONE);
    assert_string_not_equal(hash, again);
    assert_true(password_matches(BYTES("correct horse"), hash));
    assert_true(password_matches(BYTES("correct horse"), again));
    assert_false(password_matches(BYTES("correct horsf"), hash));
    assert_false(password_matches(BYTES(""), hash));
    assert_false(password_needs_rehash(hash));
}

static void hashes_are_argon2s_own(void **state)
{
    (void)state;
    /* From the tests of the reference implementation. */
    const char *hash = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ"
                       "$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
    assert_true(password_matches(BYTES("password"), hash));
    assert_false(password_matches(BYTES("passwore"), hash));
    assert_true(password_needs_rehash(hash));
}

static void a_hash_that_is_none_matches_nothing(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",
        "$argon2id$v=19$",
        "$argon2id$v=19$m=19456,t=2,p=1$",
        "$argon2id$v=19$m=99999999,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        "$argon2id$v=19$m=19456,t=99,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        "$argon2id$v=19$m=,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        "$argon2i$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA",
        "plain",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_false(password_matches(BYTES("password"), wrong[i]));
        assert_true(password_needs_rehash(wrong[i]));
    }
    char long_password[1025];
    char hash[PASSWORD_HASH_SIZE];
    memset(long_password, 'x', sizeof long_password);
    assert_int_equal(password_hash(bytes_of(long_password, 1025), hash).code, ERR_LIMIT);
}

static void tokens_are_43_url_safe_characters_and_differ(void **state)
{
    (void)state;
    char first[TOKEN_SIZE];
    char second[TOKEN_SIZE];
    struct buf buf;
    buf_init(&buf, ROOM);
    token_new(first);
    token_new(second);
    assert_int_equal(strlen(first), TOKEN_SIZE - 1);
    assert_string_not_equal(first, second);
    assert_true(base64url_get(bytes_from(first), &buf));
    assert_int_equal(buf.len, 32);
    buf_done(&buf);
}

static void what_is_sealed_opens_with_its_key_and_context(void **state)
{
    (void)state;
    static const size_t lengths[] = { 0, 1, 16, 1000 };
    uint8_t key[SEAL_KEY_SIZE];
    uint8_t secret[1000];
    crypt_random(key, sizeof key);
    crypt_random(secret, sizeof secret);
    for (size_t i = 0; i < 4; i++) {
        struct buf sealed, again, opened;
        buf_init(&sealed, ROOM);
        buf_init(&again, ROOM);
        buf_init(&opened, ROOM);
        struct bytes text = bytes_of(secret, lengths[i]);
        assert_int_equal(seal(key, BYTES("push key"), text, &sealed).code, ERR_NONE);
        assert_int_equal(seal(key, BYTES("push key"), text, &again).code, ERR_NONE);
        assert_int_equal(sealed.len, lengths[i] + SEAL_EXTRA_SIZE);
        assert_false(bytes_equal(buf_bytes(&sealed), buf_bytes(&again)));
        assert_int_equal(seal_open(key, BYTES("push key"), buf_bytes(&sealed), &opened).code,
                         ERR_NONE);
        assert_true(bytes_equal(buf_bytes(&opened), text));
        buf_reset(&opened);
        assert_int_equal(seal_open(key, BYTES("sms key"), buf_bytes(&sealed), &opened).code,
                         ERR_CORRUPT);
        key[31] ^= 1;
        assert_int_equal(seal_open(key, BYTES("push key"), buf_bytes(&sealed), &opened).code,
                         ERR_CORRUPT);
        key[31] ^= 1;
        assert_int_equal(opened.len, 0);
        buf_done(&sealed);
        buf_done(&again);
        buf_done(&opened);
    }
}

static void any_changed_or_missing_byte_is_noticed(void **state)
{
    (void)state;
    uint8_t key[SEAL_KEY_SIZE] = { 7 };
    struct buf sealed, opened;
    buf_init(&sealed, ROOM);
    buf_init(&opened, ROOM);
    assert_int_equal(seal(key, BYTES(""), BYTES("some secret"), &sealed).code, ERR_NONE);
    for (size_t i = 0; i < sealed.len; i++) {
        sealed.ptr[i] ^= 0x10;
        assert_int_equal(seal_open(key, BYTES(""), buf_bytes(&sealed), &opened).code, ERR_CORRUPT);
        sealed.ptr[i] ^= 0x10;
        assert_int_equal(seal_open(key, BYTES(""), bytes_of(sealed.ptr, i), &opened).code,
                         ERR_CORRUPT);
    }
    assert_int_equal(opened.len, 0);
    buf_done(&sealed);
    buf_done(&opened);
}

static void sealing_is_aes_256_gcm(void **state)
{
    (void)state;
    /* Test case 16 of the GCM specification: nonce, ciphertext and tag one after the other. */
    struct buf key = from_hex("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308");
    struct buf context = from_hex("feedfacedeadbeeffeedfacedeadbeefabaddad2");
    struct buf sealed = from_hex("cafebabefacedbaddecaf888"
                                 "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
                                 "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
                                 "76fc6ece0f4e1768cddf8853bb2d551b");
    struct buf opened;
    buf_init(&opened, ROOM);
    assert_int_equal(seal_open(key.ptr, buf_bytes(&context), buf_bytes(&sealed), &opened).code,
                     ERR_NONE);
    assert_hex(buf_bytes(&opened),
               "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
               "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39");
    buf_done(&key);
    buf_done(&context);
    buf_done(&sealed);
    buf_done(&opened);
}

static void base64_is_that_of_rfc_4648(void **state)
{
    (void)state;
    static const char *const pairs[][3] = {
        { "", "", "" },
        { "f", "Zg==", "Zg" },
        { "fo", "Zm8=", "Zm8" },
        { "foo", "Zm9v", "Zm9v" },
        { "foob", "Zm9vYg==", "Zm9vYg" },
        { "fooba", "Zm9vYmE=", "Zm9vYmE" },
        { "foobar", "Zm9vYmFy", "Zm9vYmFy" },
        { "\xfb\xff\xbf", "+/+/", "-_-_" },
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        struct buf buf;
        buf_init(&buf, ROOM);
        base64_put(&buf, bytes_from(pairs[i][0]));
        assert_true(bytes_equal(buf_bytes(&buf), bytes_from(pairs[i][1])));
        buf_reset(&buf);
        base64url_put(&buf, bytes_from(pairs[i][0]));
        assert_true(bytes_equal(buf_bytes(&buf), bytes_from(pairs[i][2])));
        buf_reset(&buf);
        assert_true(base64_get(bytes_from(pairs[i][1]), &buf));
        assert_true(bytes_equal(buf_bytes(&buf), bytes_from(pairs[i][0])));
        buf_reset(&buf);
        assert_true(base64url_get(bytes_from(pairs[i][2]), &buf));
        assert_true(bytes_equal(buf_bytes(&buf), bytes_from(pairs[i][0])));
        buf_done(&buf);
    }
}

static void text_that_is_not_exact_is_refused(void **state)
{
    (void)state;
    static const char *const not_base64[] = { "Z",    "Zg", "Zg=",   "Zh==",   "Zm9=", "Zg==Zg==",
                                              "====", "=",  "Zm 9v", "Zm9v\n", "-_-_", "Z===" };
    static const char *const not_url[] = { "Z", "Zg==", "Zh", "Zm9", "+/+/", "Zm9vY", "Zm9v " };
    static const char *const not_hex[] = { "a", "abc", "0g", "g0", "0x", " 00" };
    struct buf buf;
    buf_init(&buf, ROOM);
    buf_put(&buf, BYTES("kept"));
    for (size_t i = 0; i < sizeof not_base64 / sizeof *not_base64; i++)
        assert_false(base64_get(bytes_from(not_base64[i]), &buf));
    for (size_t i = 0; i < sizeof not_url / sizeof *not_url; i++)
        assert_false(base64url_get(bytes_from(not_url[i]), &buf));
    for (size_t i = 0; i < sizeof not_hex / sizeof *not_hex; i++)
        assert_false(hex_get(bytes_from(not_hex[i]), &buf));
    assert_true(bytes_equal(buf_bytes(&buf), BYTES("kept")));
    assert_true(hex_get(BYTES("00fFaB"), &buf));
    assert_true(bytes_equal(buf_bytes(&buf), BYTES("kept\0\xff\xab")));
    buf_done(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sha256_is_that_of_fips_180),
        cmocka_unit_test(hmac_is_that_of_rfc_4231),
        cmocka_unit_test(equal_means_every_byte),
        cmocka_unit_test(a_password_matches_its_own_hash_only),
        cmocka_unit_test(hashes_are_argon2s_own),
        cmocka_unit_test(a_hash_that_is_none_matches_nothing),
        cmocka_unit_test(tokens_are_43_url_safe_characters_and_differ),
        cmocka_unit_test(what_is_sealed_opens_with_its_key_and_context),
        cmocka_unit_test(any_changed_or_missing_byte_is_noticed),
        cmocka_unit_test(sealing_is_aes_256_gcm),
        cmocka_unit_test(base64_is_that_of_rfc_4648),
        cmocka_unit_test(text_that_is_not_exact_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

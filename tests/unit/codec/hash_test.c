/* hash_test.c - the checksums are the published ones, in every version of the code. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rng.h"
#include "codec/hash.h"
#include "codec/hash_internal.h"

static void crc32c_is_castagnolis(void **state)
{
    (void)state;
    uint8_t data[32];
    assert_int_equal(crc32c(0, BYTES("123456789")), 0xe3069283);
    assert_int_equal(crc32c(0, BYTES("")), 0);
    /* RFC 3720, B.4 */
    memset(data, 0, sizeof data);
    assert_int_equal(crc32c(0, bytes_of(data, 32)), 0x8a9136aa);
    memset(data, 0xff, sizeof data);
    assert_int_equal(crc32c(0, bytes_of(data, 32)), 0x62a8ab43);
    for (uint8_t i = 0; i < 32; i++)
        data[i] = i;
    assert_int_equal(crc32c(0, bytes_of(data, 32)), 0x46dd794e);
}

static void both_versions_of_crc32c_agree_at_every_length_and_cut(void **state)
{
    (void)state;
    uint8_t data[100];
    struct rng rng;
    rng_init(&rng, 3);
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)rng_next(&rng);
    for (size_t len = 0; len <= sizeof data; len++) {
        uint32_t whole = crc32c(0, bytes_of(data, len));
        assert_int_equal(crc32c_portable(0, bytes_of(data, len)), whole);
        for (size_t cut = 0; cut <= len; cut += 7) {
            uint32_t first = crc32c(0, bytes_of(data, cut));
            assert_int_equal(crc32c(first, bytes_of(data + cut, len - cut)), whole);
            assert_int_equal(crc32c_portable(first, bytes_of(data + cut, len - cut)), whole);
        }
    }
}

static void xxh3_never_changes(void **state)
{
    (void)state;
    assert_true(xxh3_64(BYTES(""), 0) == UINT64_C(0x2d06800538d394c2));
    assert_true(xxh3_64(BYTES("a"), 0) == UINT64_C(0xe6c632b61e964e1f));
    assert_true(xxh3_64(BYTES("abc"), 0) == UINT64_C(0x78af5f94892f3950));
    assert_true(xxh3_64(BYTES("abc"), 1) != xxh3_64(BYTES("abc"), 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crc32c_is_castagnolis),
        cmocka_unit_test(both_versions_of_crc32c_agree_at_every_length_and_cut),
        cmocka_unit_test(xxh3_never_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

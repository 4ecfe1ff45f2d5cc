/* zip_test.c - what compression promises, and what bombs can't do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rng.h"
#include "codec/zip.h"

#include <stdlib.h>

enum { ROOM = 64 << 20 };

typedef struct err pack_function(struct bytes data, int level, struct buf *to);
typedef struct err unpack_function(struct bytes data, size_t max_bytes, struct buf *to);

static const struct {
    pack_function *pack;
    unpack_function *unpack;
} forms[] = { { gzip_pack, gzip_unpack }, { zstd_pack, zstd_unpack } };

enum { FORMS = 2 };

static void fill(struct buf *buf, size_t len, unsigned mask)
{
    struct rng rng;
    rng_init(&rng, len);
    for (size_t i = 0; i < len; i++)
        buf_put_u8(buf, (uint8_t)(rng_next(&rng) & mask));
}

/* Unzips `packed` in pieces of `piece` bytes, with so much room each time. */
static struct err unzip_all(struct bytes packed, size_t piece, size_t room, struct buf *to)
{
    struct unzip *unzip;
    struct err err = unzip_new(&unzip);
    for (bool is_over = false; !err.code && !is_over;) {
        size_t used = 0;
        size_t before = to->len;
        struct bytes input = bytes_slice(packed, 0, piece);
        err = unzip_feed(unzip, input, room, to, &used);
        if (err.code)
            break;
        assert_true(used <= input.len);
        assert_true(to->len - before <= room);
        packed = bytes_slice(packed, used, SIZE_MAX);
        is_over = input.len == 0 && to->len == before;
    }
    unzip_free(unzip);
    return err;
}

static void content_comes_back(void **state)
{
    (void)state;
    static const size_t lengths[] = { 0, 1, 100, 4096, 70000, 3000000 };
    for (size_t form = 0; form < FORMS; form++) {
        for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
            struct buf content, packed, back;
            buf_init(&content, ROOM);
            buf_init(&packed, ROOM);
            buf_init(&back, ROOM);
            fill(&content, lengths[i], 0x0f);
            buf_put(&back, BYTES("before"));
            assert_int_equal(forms[form].pack(buf_bytes(&content), 1, &packed).code, ERR_NONE);
            assert_int_equal(forms[form].unpack(buf_bytes(&packed), lengths[i], &back).code,
                             ERR_NONE);
            assert_true(
                bytes_equal(bytes_slice(buf_bytes(&back), 6, SIZE_MAX), buf_bytes(&content)));
            buf_done(&content);
            buf_done(&packed);
            buf_done(&back);
        }
    }
}

static void a_bomb_stops_at_its_limit(void **state)
{
    (void)state;
    for (size_t form = 0; form < FORMS; form++) {
        struct buf content, packed, back;
        buf_init(&content, ROOM);
        buf_init(&packed, ROOM);
        buf_init(&back, ROOM);
        fill(&content, 20 << 20, 0);
        assert_int_equal(forms[form].pack(buf_bytes(&content), 9, &packed).code, ERR_NONE);
        assert_true(packed.len < 64 << 10);
        buf_put(&back, BYTES("before"));
        assert_int_equal(forms[form].unpack(buf_bytes(&packed), 100000, &back).code, ERR_LIMIT);
        assert_true(bytes_equal(buf_bytes(&back), BYTES("before")));
        assert_true(back.cap < 1 << 20);
        assert_int_equal(forms[form].unpack(buf_bytes(&packed), (20 << 20) - 1, &back).code,
                         ERR_LIMIT);
        assert_int_equal(forms[form].unpack(buf_bytes(&packed), 20 << 20, &back).code, ERR_NONE);
        buf_done(&content);
        buf_done(&packed);
        buf_done(&back);
    }
}

static void the_limit_of_the_buffer_holds_too(void **state)
{
    (void)state;
    for (size_t form = 0; form < FORMS; form++) {
        struct buf content, packed, back;
        buf_init(&content, ROOM);
        buf_init(&packed, ROOM);
        fill(&content, 50000, 0x03);
        assert_int_equal(forms[form].pack(buf_bytes(&content), 1, &packed).code, ERR_NONE);
        buf_init(&back, 50000);
        assert_int_equal(forms[form].unpack(buf_bytes(&packed), ROOM, &back).code, ERR_NONE);
        assert_true(bytes_equal(buf_bytes(&back), buf_bytes(&content)));
        buf_done(&back);
        buf_init(&back, 49999);
        assert_int_equal(forms[form].unpack(buf_bytes(&packed), ROOM, &back).code, ERR_LIMIT);
        buf_done(&back);
        buf_done(&content);
        buf_done(&packed);
    }
}

static void what_is_cut_short_or_no_frame_is_corrupt(void **state)
{
    (void)state;
    for (size_t form = 0; form < FORMS; form++) {
        struct buf content, packed, back;
        buf_init(&content, ROOM);
        buf_init(&packed, ROOM);
        buf_init(&back, ROOM);
        fill(&content, 300, 0x0f);
        assert_int_equal(forms[form].pack(buf_bytes(&content), 1, &packed).code, ERR_NONE);
        for (size_t len = 0; len < packed.len; len++) {
            assert_int_equal(forms[form].unpack(bytes_of(packed.ptr, len), 1000, &back).code,
                             ERR_CORRUPT);
            assert_int_equal(back.len, 0);
        }
        assert_int_equal(forms[form].unpack(BYTES("not a frame at all"), 1000, &back).code,
                         ERR_CORRUPT);
        buf_put(&packed, BYTES("tail"));
        assert_int_equal(forms[form].unpack(buf_bytes(&packed), 1000, &back).code, ERR_CORRUPT);
        buf_done(&content);
        buf_done(&packed);
        buf_done(&back);
    }
}

static void a_stream_tells_what_it_is_however_it_is_cut(void **state)
{
    (void)state;
    static const size_t pieces[] = { 1, 2, 3, 5, 64, 4096, SIZE_MAX };
    static const size_t rooms[] = { 1, 17, 5000, SIZE_MAX };
    for (size_t form = 0; form <= FORMS; form++) {
        struct buf content, packed;
        buf_init(&content, ROOM);
        buf_init(&packed, ROOM);
        fill(&content, 3000, 0x07);
        if (form == FORMS)
            buf_put(&packed, buf_bytes(&content));
        else
            assert_int_equal(forms[form].pack(buf_bytes(&content), 3, &packed).code, ERR_NONE);
        for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
            for (size_t j = 0; j < sizeof rooms / sizeof *rooms; j++) {
                struct buf back;
                buf_init(&back, ROOM);
                struct err err = unzip_all(buf_bytes(&packed), pieces[i], rooms[j], &back);
                assert_int_equal(err.code, ERR_NONE);
                assert_true(bytes_equal(buf_bytes(&back), buf_bytes(&content)));
                buf_done(&back);
            }
        }
        buf_done(&content);
        buf_done(&packed);
    }
}

static void plain_bytes_that_begin_like_a_frame_stay_plain(void **state)
{
    (void)state;
    static const char *const texts[] = { "",         "\x1f",         "\x1f\x8a",      "\x28",
                                         "\x28\xb5", "\x28\xb5\x2f", "\x28\xb5\x2fx", "{\"a\":1}" };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct buf back;
        buf_init(&back, ROOM);
        assert_int_equal(unzip_all(bytes_from(texts[i]), 1, SIZE_MAX, &back).code, ERR_NONE);
        assert_true(bytes_equal(buf_bytes(&back), bytes_from(texts[i])));
        buf_done(&back);
    }
}

static void members_one_after_the_other_are_one_content(void **state)
{
    (void)state;
    for (size_t form = 0; form < FORMS; form++) {
        struct buf packed, back;
        buf_init(&packed, ROOM);
        buf_init(&back, ROOM);
        assert_int_equal(forms[form].pack(BYTES("one "), 1, &packed).code, ERR_NONE);
        assert_int_equal(forms[form].pack(BYTES("two"), 1, &packed).code, ERR_NONE);
        assert_int_equal(unzip_all(buf_bytes(&packed), 3, 2, &back).code, ERR_NONE);
        assert_true(bytes_equal(buf_bytes(&back), BYTES("one two")));
        buf_reset(&back);
        assert_int_equal(forms[form].unpack(buf_bytes(&packed), 7, &back).code, ERR_NONE);
        assert_true(bytes_equal(buf_bytes(&back), BYTES("one two")));
        buf_done(&packed);
        buf_done(&back);
    }
}

static void a_stream_cut_short_is_corrupt_at_its_end(void **state)
{
    (void)state;
    for (size_t form = 0; form < FORMS; form++) {
        struct buf packed, back;
        buf_init(&packed, ROOM);
        buf_init(&back, ROOM);
        assert_int_equal(forms[form].pack(BYTES("some content"), 1, &packed).code, ERR_NONE);
        for (size_t len = 4; len < packed.len; len++) {
            buf_reset(&back);
            assert_int_equal(unzip_all(bytes_of(packed.ptr, len), 7, SIZE_MAX, &back).code,
                             ERR_CORRUPT);
        }
        buf_done(&packed);
        buf_done(&back);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(content_comes_back),
        cmocka_unit_test(a_bomb_stops_at_its_limit),
        cmocka_unit_test(the_limit_of_the_buffer_holds_too),
        cmocka_unit_test(what_is_cut_short_or_no_frame_is_corrupt),
        cmocka_unit_test(a_stream_tells_what_it_is_however_it_is_cut),
        cmocka_unit_test(plain_bytes_that_begin_like_a_frame_stay_plain),
        cmocka_unit_test(members_one_after_the_other_are_one_content),
        cmocka_unit_test(a_stream_cut_short_is_corrupt_at_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * codec_unzip_fuzz.c - a stream of any bytes.
 *
 *  1. never more than the room comes out of one call, nor is more taken than was given;
 *  2. in one piece or many, the same comes out;
 *  3. what is packed and damaged at one byte gives an error or some content, never a crash.
 */
#include "codec/zip.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ROOM = 1 << 16 };

static void must(bool holds)
{
    if (!holds)
        abort();
}

static enum err_code unzip_all(struct bytes packed, size_t piece, size_t room, struct buf *to)
{
    struct unzip *unzip;
    must(!unzip_new(&unzip).code);
    struct err err = ok();
    for (size_t calls = 0; !err.code && calls < 4 * ROOM; calls++) {
        size_t used = 0;
        size_t before = to->len;
        struct bytes input = bytes_slice(packed, 0, piece);
        err = unzip_feed(unzip, input, room, to, &used);
        must(to->len - before <= room);
        if (err.code)
            break;
        must(used <= input.len);
        packed = bytes_slice(packed, used, SIZE_MAX);
        if (input.len == 0 && to->len == before)
            break;
    }
    unzip_free(unzip);
    return err.code;
}

static void check(struct bytes packed, size_t piece)
{
    struct buf whole;
    struct buf pieces;
    buf_init(&whole, ROOM);
    buf_init(&pieces, ROOM);
    enum err_code first = unzip_all(packed, SIZE_MAX, ROOM, &whole);
    enum err_code second = unzip_all(packed, piece, 1 + piece * 7, &pieces);
    must((first == ERR_NONE) == (second == ERR_NONE));
    if (first == ERR_NONE)
        must(bytes_equal(buf_bytes(&whole), buf_bytes(&pieces)));
    buf_done(&whole);
    buf_done(&pieces);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 4 || size > 4096)
        return 0;
    check(bytes_of(data + 1, size - 1), 1 + (size_t)data[0] % 16);
    if (data[0] % 8 > 0)
        return 0;
    struct buf packed;
    buf_init(&packed, ROOM);
    struct bytes content = bytes_of(data + 4, size - 4);
    must(!(data[1] & 1 ? gzip_pack(content, 1, &packed) : zstd_pack(content, 1, &packed)).code);
    packed.ptr[(size_t)data[2] % packed.len] ^= data[3];
    check(buf_bytes(&packed), 1 + (size_t)data[0] % 16);
    buf_done(&packed);
    return 0;
}

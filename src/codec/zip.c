/*
 * zip.c - zstd and gzip, whole and as a stream.
 *
 * What comes out is written where the limit has been checked, in steps that double: a bomb costs
 * what its limit allows and no more. Several gzip members, or zstd frames, one after the other are
 * one content, as gzip(1) and zstd(1) have it.
 */
#include "codec/zip.h"

#define ZLIB_CONST
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

enum {
    STEP_MIN = 4096,
    STEP_MAX = 1 << 20,
    GZIP_BITS = 16 + MAX_WBITS,
    ZSTD_WINDOW_LOG_MAX = 27, /* 128 MiB: what zstd itself reads without being asked twice */
};

static const struct bytes gzip_magic = { (const uint8_t *)"\x1f\x8b", 2 };
static const struct bytes zstd_magic = { (const uint8_t *)"\x28\xb5\x2f\xfd", 4 };

/* --- packing ------------------------------------------------------------------- */

struct err zstd_pack(struct bytes data, int level, struct buf *to)
{
    size_t bound = ZSTD_compressBound(data.len);
    uint8_t *room = buf_reserve(to, bound);
    if (!room)
        return err_new(ERR_LIMIT, "zip: room for a zstd frame");
    size_t len = ZSTD_compress(room, bound, data.ptr, data.len, level);
    if (ZSTD_isError(len))
        return err_new(ERR_NOMEM, "zip: make a zstd frame");
    to->len += len;
    return ok();
}

struct err gzip_pack(struct bytes data, int level, struct buf *to)
{
    if (data.len > UINT32_MAX / 2)
        return err_new(ERR_LIMIT, "zip: gzip of so much");
    z_stream z = { 0 };
    if (deflateInit2(&z, level, Z_DEFLATED, GZIP_BITS, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return err_new(ERR_NOMEM, "zip: start gzip");
    size_t bound = deflateBound(&z, data.len);
    uint8_t *room = buf_reserve(to, bound);
    struct err err = room ? ok() : err_new(ERR_LIMIT, "zip: room for gzip");
    if (!err.code) {
        static uint8_t nothing;
        z.next_in = data.len ? (const Bytef *)data.ptr : &nothing;
        z.avail_in = (uInt)data.len;
        z.next_out = room;
        z.avail_out = (uInt)bound;
        if (deflate(&z, Z_FINISH) == Z_STREAM_END)
            to->len += bound - z.avail_out;
        else
            err = err_new(ERR_NOMEM, "zip: make gzip");
    }
    (void)deflateEnd(&z);
    return err;
}

struct err zstd_unpack_exactly(struct bytes data, uint8_t *to, size_t size)
{
    size_t len = ZSTD_decompress(to, size, data.ptr, data.len);
    return ZSTD_isError(len) || len != size ? err_new(ERR_CORRUPT, "zip: a frame") : ok();
}

/* --- the stream ------------------------------------------------------------------ */

enum kind { UNKNOWN, PLAIN, GZIP, ZSTD };

struct unzip {
    enum kind kind;
    uint8_t head[4]; /* the first bytes, until they tell the kind */
    size_t head_len;
    size_t head_used;
    z_stream z;
    ZSTD_DStream *zstd;
    bool is_between; /* no frame or member is half read */
};

struct err unzip_new(struct unzip **out)
{
    struct unzip *unzip = calloc(1, sizeof *unzip);
    if (!unzip)
        return err_new(ERR_NOMEM, "zip: make a stream");
    unzip->is_between = true;
    *out = unzip;
    return ok();
}

void unzip_free(struct unzip *unzip)
{
    if (!unzip)
        return;
    if (unzip->kind == GZIP)
        (void)inflateEnd(&unzip->z);
    (void)ZSTD_freeDStream(unzip->zstd);
    free(unzip);
}

static struct err start(struct unzip *unzip, enum kind kind)
{
    if (kind == GZIP && inflateInit2(&unzip->z, GZIP_BITS) != Z_OK)
        return err_new(ERR_NOMEM, "zip: start gzip");
    if (kind == ZSTD) {
        unzip->zstd = ZSTD_createDStream();
        if (!unzip->zstd)
            return err_new(ERR_NOMEM, "zip: start zstd");
        (void)ZSTD_DCtx_setParameter(unzip->zstd, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG_MAX);
    }
    unzip->kind = kind;
    return ok();
}

/* Collects first bytes until they can be nothing else; `is_end`: they are all there is. */
static struct err find_kind(struct unzip *unzip, struct bytes *input, bool is_end)
{
    while (unzip->kind == UNKNOWN) {
        struct bytes head = bytes_of(unzip->head, unzip->head_len);
        if (bytes_start_with(head, gzip_magic))
            return start(unzip, GZIP);
        if (bytes_start_with(head, zstd_magic))
            return start(unzip, ZSTD);
        if (!bytes_start_with(gzip_magic, head) && !bytes_start_with(zstd_magic, head))
            return start(unzip, PLAIN);
        if (input->len == 0)
            return is_end ? start(unzip, PLAIN) : ok();
        unzip->head[unzip->head_len++] = *input->ptr;
        *input = bytes_slice(*input, 1, SIZE_MAX);
    }
    return ok();
}

/* One call of the library: takes from *input, writes at most `room` bytes at `to`. */
static struct err step_plain(struct bytes *input, uint8_t *to, size_t room, size_t *made)
{
    *made = input->len < room ? input->len : room;
    if (*made > 0)
        memcpy(to, input->ptr, *made);
    *input = bytes_slice(*input, *made, SIZE_MAX);
    return ok();
}

static struct err step_gzip(struct unzip *unzip, struct bytes *input, uint8_t *to, size_t room,
                            size_t *made)
{
    z_stream *z = &unzip->z;
    size_t len = input->len < STEP_MAX ? input->len : STEP_MAX;
    if (unzip->is_between && len > 0) {
        if (inflateReset(z) != Z_OK)
            return err_new(ERR_BROKEN, "zip: restart gzip");
        unzip->is_between = false;
    }
    z->next_in = (const Bytef *)input->ptr;
    z->avail_in = (uInt)len;
    z->next_out = to;
    z->avail_out = (uInt)room;
    int result = unzip->is_between ? Z_BUF_ERROR : inflate(z, Z_NO_FLUSH);
    if (result == Z_MEM_ERROR)
        return err_new(ERR_NOMEM, "zip: read gzip");
    if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR)
        return err_new(ERR_CORRUPT, "zip: read gzip");
    unzip->is_between |= result == Z_STREAM_END;
    *input = bytes_slice(*input, len - z->avail_in, SIZE_MAX);
    *made = room - z->avail_out;
    return ok();
}

static struct err step_zstd(struct unzip *unzip, struct bytes *input, uint8_t *to, size_t room,
                            size_t *made)
{
    ZSTD_inBuffer in = { .src = input->ptr, .size = input->len };
    ZSTD_outBuffer out = { .dst = to, .size = room };
    *made = 0;
    if (unzip->is_between && input->len == 0)
        return ok();
    size_t hint = ZSTD_decompressStream(unzip->zstd, &out, &in);
    if (ZSTD_isError(hint))
        return err_new(ERR_CORRUPT, "zip: read zstd");
    unzip->is_between = hint == 0;
    *input = bytes_slice(*input, in.pos, SIZE_MAX);
    *made = out.pos;
    return ok();
}

static struct err step(struct unzip *unzip, struct bytes *input, uint8_t *to, size_t room,
                       size_t *made)
{
    if (unzip->kind == PLAIN)
        return step_plain(input, to, room, made);
    if (unzip->kind == GZIP)
        return step_gzip(unzip, input, to, room, made);
    return step_zstd(unzip, input, to, room, made);
}

/* One step into `to`, up to `want` bytes; where its limit leaves no room, nothing may come. */
static struct err step_into(struct unzip *unzip, struct bytes *input, size_t want, struct buf *to,
                            size_t *made)
{
    uint8_t spare;
    size_t fits = to->limit_bytes > to->len ? to->limit_bytes - to->len : 0;
    size_t len = want < fits ? want : fits;
    uint8_t *at = len > 0 ? buf_reserve(to, len) : &spare;
    if (!at)
        return err_new(ERR_NOMEM, "zip: room for what comes out");
    struct err err = step(unzip, input, at, len > 0 ? len : 1, made);
    if (err.code)
        return err;
    if (len == 0 && *made > 0)
        return err_new(ERR_LIMIT, "zip: more comes out than the buffer may hold");
    to->len += *made;
    return ok();
}

/* Steps until the room or the input is used up; the output of input that's taken may still be
 * inside the library when the room is. */
static struct err pump(struct unzip *unzip, struct bytes *input, size_t *room, struct buf *to)
{
    size_t made = 1;
    size_t before = input->len + 1;
    size_t want = STEP_MIN;
    while (*room > 0 && (made > 0 || input->len < before)) {
        before = input->len;
        struct err err = step_into(unzip, input, want < *room ? want : *room, to, &made);
        if (err.code)
            return err;
        *room -= made;
        want = want < STEP_MAX ? want * 2 : want;
    }
    return ok();
}

struct err unzip_feed(struct unzip *unzip, struct bytes input, size_t room, struct buf *to,
                      size_t *used_out)
{
    const bool is_end = input.len == 0;
    const size_t all = input.len;
    struct err err = find_kind(unzip, &input, is_end);
    if (err.code)
        return err;
    if (unzip->kind != UNKNOWN) {
        struct bytes head =
            bytes_of(unzip->head + unzip->head_used, unzip->head_len - unzip->head_used);
        size_t head_len = head.len;
        if (head_len > 0) {
            err = pump(unzip, &head, &room, to);
            unzip->head_used += head_len - head.len;
        }
        if (!err.code && head.len == 0)
            err = pump(unzip, &input, &room, to);
        if (err.code)
            return err;
    }
    if (is_end && room > 0 && !unzip->is_between)
        return err_new(ERR_CORRUPT, "zip: the stream is cut short");
    *used_out = all - input.len;
    return ok();
}

/* --- whole ------------------------------------------------------------------------ */

static struct err unpack_whole(struct bytes data, enum kind kind, size_t max_bytes, struct buf *to)
{
    struct unzip *unzip;
    struct err err = unzip_new(&unzip);
    if (err.code)
        return err;
    const size_t old_len = to->len;
    const bool is_empty = data.len == 0;
    size_t room = max_bytes < SIZE_MAX ? max_bytes + 1 : max_bytes;
    err = start(unzip, kind);
    if (!err.code)
        err = pump(unzip, &data, &room, to);
    if (!err.code && to->len - old_len > max_bytes)
        err = err_new(ERR_LIMIT, "zip: more comes out than allowed");
    if (!err.code && (is_empty || data.len > 0 || !unzip->is_between))
        err = err_new(ERR_CORRUPT, "zip: the content is cut short");
    if (err.code)
        to->len = old_len;
    unzip_free(unzip);
    return err;
}

struct err zstd_unpack(struct bytes data, size_t max_bytes, struct buf *to)
{
    return unpack_whole(data, ZSTD, max_bytes, to);
}

struct err gzip_unpack(struct bytes data, size_t max_bytes, struct buf *to)
{
    return unpack_whole(data, GZIP, max_bytes, to);
}

/*
 * texts.c - dictionaries.
 *
 *     plain:   1 (4), count (4), end of each text (4 each), the bytes
 *
 *     packed:  2 (4), count (4), bytes of all texts (4), size of the ends (4)
 *              ends of the texts, a section of integers (ascending: only the first may be empty)
 *              end of each chunk, counted from the first one's start (4 each)
 *              chunks: each a zstd frame of the next 16 KiB of the texts, or, when it has just
 *              their length, the bytes themselves
 */
#include "store/texts.h"

#include "codec/zip.h"

#include <stdlib.h>

enum { TEXTS_PLAIN = 1, TEXTS_PACKED = 2, CHUNK = 1 << 14, PACK_LEVEL = 3, LEAST_BYTES = 256 };

static uint32_t chunks_of(uint32_t size)
{
    return size / CHUNK + (size % CHUNK > 0);
}

static uint32_t chunk_size(uint32_t size, uint32_t chunk)
{
    uint32_t left = size - chunk * CHUNK;
    return left < CHUNK ? left : CHUNK;
}

/* --- writing ------------------------------------------------------------------- */

static void put_plain(struct buf *to, const struct bytes *texts, uint32_t count)
{
    uint32_t end = 0;
    buf_put_le32(to, TEXTS_PLAIN);
    buf_put_le32(to, count);
    for (uint32_t i = 0; i < count; i++) {
        end += (uint32_t)texts[i].len;
        buf_put_le32(to, end);
    }
    for (uint32_t i = 0; i < count; i++)
        buf_put(to, texts[i]);
}

static void put_chunk(struct buf *to, struct bytes raw)
{
    size_t from = to->len;
    struct err err = zstd_pack(raw, PACK_LEVEL, to);
    if (err.code)
        to->is_failed = true;
    if (to->is_failed || to->len - from < raw.len)
        return;
    to->len = from;
    buf_put(to, raw);
}

static void put_packed(struct buf *to, const uint32_t *ends, uint32_t count, struct bytes all)
{
    uint32_t size = (uint32_t)all.len;
    size_t head = to->len;
    buf_put_le32(to, TEXTS_PACKED);
    buf_put_le32(to, count);
    buf_put_le32(to, size);
    buf_put_le32(to, 0);
    size_t at = to->len;
    ints_put_ascending(to, ends, count);
    size_t index = to->len;
    for (uint32_t c = 0; c < chunks_of(size); c++)
        buf_put_le32(to, 0);
    size_t start = to->len;
    for (uint32_t c = 0; c < chunks_of(size) && !to->is_failed; c++) {
        put_chunk(to, bytes_of(all.ptr + (size_t)c * CHUNK, chunk_size(size, c)));
        if (!to->is_failed)
            store_le32(to->ptr + index + 4 * (size_t)c, (uint32_t)(to->len - start));
    }
    if (!to->is_failed)
        store_le32(to->ptr + head + 12, (uint32_t)(index - at));
}

/* Packed, it must save a quarter: else it isn't worth the time to unpack. */
static bool try_packed(struct buf *to, const struct bytes *texts, uint32_t count, size_t size)
{
    size_t from = to->len;
    uint8_t *all = malloc(size);
    uint32_t *ends = malloc((size_t)count * 4);
    uint32_t end = 0;
    if (!all || !ends)
        to->is_failed = true;
    for (uint32_t i = 0; i < count && !to->is_failed; i++) {
        if (texts[i].len > 0)
            memcpy(all + end, texts[i].ptr, texts[i].len);
        end += (uint32_t)texts[i].len;
        ends[i] = end;
    }
    if (!to->is_failed)
        put_packed(to, ends, count, bytes_of(all, size));
    free(all);
    free(ends);
    if (to->is_failed || to->len - from < (size + (size_t)count * 4 + 8) / 4 * 3)
        return true;
    to->len = from;
    return false;
}

void texts_put(struct buf *to, const struct bytes *texts, uint32_t count, bool is_small)
{
    size_t size = 0;
    for (uint32_t i = 0; i < count; i++)
        size += texts[i].len;
    if (is_small && size >= LEAST_BYTES && try_packed(to, texts, count, size))
        return;
    put_plain(to, texts, count);
}

/* --- reading -------------------------------------------------------------------- */

static struct err bad(void)
{
    return err_new(ERR_CORRUPT, "store: texts");
}

static struct err no_room(void)
{
    return err_new(ERR_NOMEM, "store: texts");
}

static struct err open_packed(struct reader *r, struct texts *texts)
{
    texts->size = reader_le32(r);
    struct bytes ends = reader_take(r, reader_le32(r));
    uint32_t chunks = chunks_of(texts->size);
    texts->chunk_ends = reader_take(r, (size_t)chunks * 4).ptr;
    texts->body = bytes_of(r->next, reader_left(r));
    if (r->is_failed)
        return bad();
    uint32_t last = 0;
    for (uint32_t c = 0; c < chunks; c++) {
        uint32_t end = load_le32(texts->chunk_ends + 4 * (size_t)c);
        if (end < last || end > texts->body.len)
            return bad();
        last = end;
    }
    if (last != texts->body.len)
        return bad();
    struct err err = ints_open(ends, texts->count, &texts->ends);
    return !err.code && texts->ends.encoding != INTS_ASCENDING ? bad() : err;
}

struct err texts_open(struct bytes section, struct texts *out)
{
    struct reader r = reader_of(section);
    uint32_t encoding = reader_le32(&r);
    struct texts texts = { .is_packed = encoding == TEXTS_PACKED, .count = reader_le32(&r) };
    struct err err = ok();
    if (texts.is_packed) {
        err = open_packed(&r, &texts);
    } else {
        texts.plain_ends = reader_take(&r, (size_t)texts.count * 4).ptr;
        texts.body = bytes_of(r.next, reader_left(&r));
        texts.size = (uint32_t)texts.body.len;
        if (r.is_failed || encoding != TEXTS_PLAIN || texts.body.len > UINT32_MAX)
            err = bad();
    }
    if (!err.code)
        *out = texts;
    return err;
}

static struct err unpack_chunk(const struct texts *texts, uint32_t chunk, uint8_t *to)
{
    uint32_t from = chunk ? load_le32(texts->chunk_ends + 4 * (size_t)(chunk - 1)) : 0;
    uint32_t end = load_le32(texts->chunk_ends + 4 * (size_t)chunk);
    uint32_t size = chunk_size(texts->size, chunk);
    if (end - from == size) {
        memcpy(to, texts->body.ptr + from, size);
        return ok();
    }
    return zstd_unpack_exactly(bytes_of(texts->body.ptr + from, end - from), to, size);
}

/* All bytes and all ends. */
static struct err unpack(const struct texts *texts, struct arena *arena, const uint8_t **all_out,
                         const uint32_t **ends_out)
{
    uint8_t *all = arena_alloc(arena, (size_t)texts->size + 1);
    uint32_t *ends = arena_alloc(arena, ((size_t)texts->count + 1) * 4);
    if (!all || !ends)
        return no_room();
    struct err err = ints_read32(&texts->ends, 0, texts->count, ends);
    for (uint32_t c = 0; c < chunks_of(texts->size) && !err.code; c++)
        err = unpack_chunk(texts, c, all + (size_t)c * CHUNK);
    *all_out = all;
    *ends_out = ends;
    return err;
}

struct err texts_read(const struct texts *texts, bool borrows, struct arena *arena,
                      const struct bytes **out)
{
    struct bytes *each = arena_alloc(arena, ((size_t)texts->count + 1) * sizeof *each);
    const uint8_t *all = texts->body.ptr;
    const uint32_t *ends = NULL;
    struct err err = ok();
    if (!each)
        return no_room();
    if (texts->is_packed)
        err = unpack(texts, arena, &all, &ends);
    else if (!borrows && texts->size > 0)
        all = arena_copy(arena, texts->body).ptr;
    if (!err.code && texts->size > 0 && !all)
        err = no_room();
    uint32_t from = 0;
    for (uint32_t i = 0; i < texts->count && !err.code; i++) {
        uint32_t end = ends ? ends[i] : load_le32(texts->plain_ends + 4 * (size_t)i);
        if (end < from || end > texts->size)
            return bad();
        each[i] = bytes_of(texts->size > 0 ? all + from : NULL, end - from);
        from = end;
    }
    if (!err.code && from != texts->size)
        return bad();
    *out = each;
    return err;
}

static struct err find_bounds(const struct texts *texts, uint32_t code, uint32_t *from_out,
                              uint32_t *end_out)
{
    uint32_t bounds[2] = { 0, 0 };
    if (texts->is_packed) {
        struct err err =
            ints_read32(&texts->ends, code - (code > 0), 1 + (code > 0), bounds + (code == 0));
        if (err.code)
            return err;
    } else {
        bounds[0] = code ? load_le32(texts->plain_ends + 4 * (size_t)(code - 1)) : 0;
        bounds[1] = load_le32(texts->plain_ends + 4 * (size_t)code);
    }
    if (bounds[0] > bounds[1] || bounds[1] > texts->size)
        return bad();
    *from_out = bounds[0];
    *end_out = bounds[1];
    return ok();
}

/* The chunk that holds this byte, in texts->chunk. */
static struct err need_chunk(struct texts *texts, uint32_t chunk, struct arena *arena)
{
    if (texts->chunk && texts->chunk_number == chunk)
        return ok();
    uint8_t *room = texts->chunk ? texts->chunk : arena_alloc(arena, CHUNK);
    if (!room)
        return no_room();
    texts->chunk = NULL; /* while it holds half of another */
    struct err err = unpack_chunk(texts, chunk, room);
    if (err.code)
        return err;
    texts->chunk = room;
    texts->chunk_number = chunk;
    return ok();
}

struct err texts_copy(struct texts *texts, uint64_t code, struct arena *arena, struct bytes *out)
{
    uint32_t from = 0;
    uint32_t end = 0;
    if (code >= texts->count)
        return err_new(ERR_CORRUPT, "store: a code without a text");
    struct err err = find_bounds(texts, (uint32_t)code, &from, &end);
    if (err.code)
        return err;
    if (!texts->is_packed) {
        *out = arena_copy(arena, bytes_of(texts->body.ptr + from, end - from));
        return out->ptr ? ok() : no_room();
    }
    uint8_t *to = arena_alloc(arena, (size_t)(end - from) + 1);
    if (!to)
        return no_room();
    *out = bytes_of(to, end - from);
    while (from < end) {
        uint32_t skip = from % CHUNK;
        uint32_t take = CHUNK - skip < end - from ? CHUNK - skip : end - from;
        err = need_chunk(texts, from / CHUNK, arena);
        if (err.code)
            return err;
        memcpy(to, texts->chunk + skip, take);
        to += take;
        from += take;
    }
    return ok();
}

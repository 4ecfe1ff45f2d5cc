/* buf.c - growing runs of bytes, and reading back what was put into them. */
#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>

enum { BUF_MIN = 64, VARINT_MAX = 10 };

/* --- writing ------------------------------------------------------------ */

void buf_init(struct buf *buf, size_t limit_bytes)
{
    *buf = (struct buf){ .limit_bytes = limit_bytes };
}

void buf_done(struct buf *buf)
{
    free(buf->ptr);
    buf_init(buf, buf->limit_bytes);
}

void buf_reset(struct buf *buf)
{
    buf->len = 0;
    buf->is_failed = false;
}

/* Makes the room at least `needed`, at most the limit. */
static bool grow(struct buf *buf, size_t needed)
{
    if (needed > buf->limit_bytes)
        return false;

    size_t cap = buf->cap ? buf->cap : BUF_MIN;
    while (cap < needed)
        cap = cap > SIZE_MAX / 2 ? SIZE_MAX : cap * 2;
    if (cap > buf->limit_bytes)
        cap = buf->limit_bytes;

    uint8_t *ptr = realloc(buf->ptr, cap);
    if (!ptr)
        return false;
    buf->ptr = ptr;
    buf->cap = cap;
    return true;
}

uint8_t *buf_reserve(struct buf *buf, size_t size)
{
    /* Even for nothing a pointer that isn't NULL is due. */
    if (!buf->is_failed && buf->ptr && size <= buf->cap - buf->len)
        return buf->ptr + buf->len;

    size_t needed;
    if (buf->is_failed || __builtin_add_overflow(buf->len, size ? size : 1, &needed) ||
        !grow(buf, needed)) {
        buf->is_failed = true;
        return NULL;
    }
    return buf->ptr + buf->len;
}

void buf_put(struct buf *buf, struct bytes bytes)
{
    if (bytes.len == 0)
        return;
    uint8_t *to = buf_reserve(buf, bytes.len);
    if (!to)
        return;
    memcpy(to, bytes.ptr, bytes.len);
    buf->len += bytes.len;
}

void buf_printf(struct buf *buf, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (len < 0) {
        buf->is_failed = true;
        return;
    }

    /* vsnprintf's zero needs a place too; when only that doesn't fit, go through a copy. */
    size_t size = (size_t)len;
    bool has_room_for_zero = buf->len < buf->limit_bytes && size < buf->limit_bytes - buf->len;
    va_start(args, format);
    if (has_room_for_zero) {
        uint8_t *to = buf_reserve(buf, size + 1);
        if (to) {
            (void)vsnprintf((char *)to, size + 1, format, args);
            buf->len += size;
        }
    } else {
        char *text = malloc(size + 1);
        if (text) {
            (void)vsnprintf(text, size + 1, format, args);
            buf_put(buf, bytes_of(text, size));
            free(text);
        } else {
            buf->is_failed = true;
        }
    }
    va_end(args);
}

void buf_put_le16(struct buf *buf, uint16_t value)
{
    uint8_t *to = buf_reserve(buf, sizeof value);
    if (!to)
        return;
    store_le16(to, value);
    buf->len += sizeof value;
}

void buf_put_le32(struct buf *buf, uint32_t value)
{
    uint8_t *to = buf_reserve(buf, sizeof value);
    if (!to)
        return;
    store_le32(to, value);
    buf->len += sizeof value;
}

void buf_put_le64(struct buf *buf, uint64_t value)
{
    uint8_t *to = buf_reserve(buf, sizeof value);
    if (!to)
        return;
    store_le64(to, value);
    buf->len += sizeof value;
}

void buf_put_varint(struct buf *buf, uint64_t value)
{
    uint8_t bytes[VARINT_MAX];
    size_t len = 0;
    while (value >= 0x80) {
        bytes[len++] = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    bytes[len++] = (uint8_t)value;
    buf_put(buf, bytes_of(bytes, len));
}

void buf_put_svarint(struct buf *buf, int64_t value)
{
    buf_put_varint(buf, (uint64_t)value << 1 ^ (value < 0 ? UINT64_MAX : 0));
}

void buf_put_prefixed(struct buf *buf, struct bytes bytes)
{
    buf_put_varint(buf, bytes.len);
    buf_put(buf, bytes);
}

struct err buf_err(const struct buf *buf)
{
    return buf->is_failed ? err_new(ERR_NOMEM, "buf: no room") : ok();
}

uint8_t *buf_take(struct buf *buf, size_t *len_out)
{
    uint8_t *ptr = buf->ptr;
    *len_out = buf->len;
    buf_init(buf, buf->limit_bytes);
    return ptr;
}

/* --- reading ------------------------------------------------------------ */

static void reader_fail(struct reader *reader)
{
    reader->is_failed = true;
    reader->next = reader->end;
}

struct bytes reader_take(struct reader *reader, size_t len)
{
    if (len > reader_left(reader)) {
        reader_fail(reader);
        return bytes_of(NULL, 0);
    }
    struct bytes taken = bytes_of(reader->next, len);
    if (len)
        reader->next += len;
    return taken;
}

uint8_t reader_u8(struct reader *reader)
{
    struct bytes taken = reader_take(reader, 1);
    return taken.len ? taken.ptr[0] : 0;
}

uint16_t reader_le16(struct reader *reader)
{
    struct bytes taken = reader_take(reader, 2);
    return taken.len ? load_le16(taken.ptr) : 0;
}

uint32_t reader_le32(struct reader *reader)
{
    struct bytes taken = reader_take(reader, 4);
    return taken.len ? load_le32(taken.ptr) : 0;
}

uint64_t reader_le64(struct reader *reader)
{
    struct bytes taken = reader_take(reader, 8);
    return taken.len ? load_le64(taken.ptr) : 0;
}

uint64_t reader_varint(struct reader *reader)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 7 * VARINT_MAX; shift += 7) {
        if (reader->next == reader->end)
            break;
        uint8_t byte = *reader->next++;
        if (shift == 63 && byte > 1)
            break; /* more than 64 bits */
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return value;
    }
    reader_fail(reader);
    return 0;
}

int64_t reader_svarint(struct reader *reader)
{
    uint64_t zigzag = reader_varint(reader);
    return (int64_t)(zigzag >> 1 ^ (zigzag & 1 ? UINT64_MAX : 0));
}

struct bytes reader_prefixed(struct reader *reader)
{
    return reader_take(reader, reader_varint(reader));
}

struct err reader_err(const struct reader *reader, bool must_be_at_end)
{
    if (reader->is_failed)
        return err_new(ERR_CORRUPT, "reader: cut short");
    if (must_be_at_end && reader->next != reader->end)
        return err_new(ERR_CORRUPT, "reader: bytes left over");
    return ok();
}

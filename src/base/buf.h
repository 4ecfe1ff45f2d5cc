/*
 * buf.h - a growing run of bytes with a limit.
 *
 * Writers check once, at the end: when there's no room, a buffer remembers that it
 * failed, ignores what follows, and buf_err() says so.
 *
 *     struct buf buf;
 *     buf_init(&buf, 1 << 20);
 *     buf_put(&buf, BYTES("hello"));
 *     buf_printf(&buf, " %d", 7);
 *     struct err err = buf_err(&buf);
 *     buf_done(&buf);
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/bytes.h"
#include "base/err.h"

#include <stdarg.h>

struct buf {
    uint8_t *ptr;
    size_t len;
    size_t cap;
    size_t limit_bytes;
    bool is_failed;
};

void buf_init(struct buf *buf, size_t limit_bytes);
void buf_done(struct buf *buf);
/* Empties it, keeps the room, forgets a failure. */
void buf_reset(struct buf *buf);

/* Room for `size` more bytes behind `len`, or NULL (and failed). The caller writes
 * there and adds to `len` what it wrote. */
uint8_t *buf_reserve(struct buf *buf, size_t size);

void buf_put(struct buf *buf, struct bytes bytes);
__attribute__((format(printf, 2, 3))) void buf_printf(struct buf *buf, const char *format, ...);

static inline void buf_put_u8(struct buf *buf, uint8_t value)
{
    uint8_t *to = buf_reserve(buf, 1);
    if (!to)
        return;
    *to = value;
    buf->len++;
}

void buf_put_le16(struct buf *buf, uint16_t value);
void buf_put_le32(struct buf *buf, uint32_t value);
void buf_put_le64(struct buf *buf, uint64_t value);
/* LEB128: seven bits a byte, the lowest first; 10 bytes at most. */
void buf_put_varint(struct buf *buf, uint64_t value);
/* varint of the zigzag: small magnitudes of either sign are short. */
void buf_put_svarint(struct buf *buf, int64_t value);
/* varint length, then the bytes. */
void buf_put_prefixed(struct buf *buf, struct bytes bytes);

static inline struct bytes buf_bytes(const struct buf *buf)
{
    return bytes_of(buf->ptr, buf->len);
}

MUST_CHECK struct err buf_err(const struct buf *buf);

/* The room changes hands; the buffer is empty afterwards. Free with free(). */
uint8_t *buf_take(struct buf *buf, size_t *len_out);

/*
 * Reading back what the writers above wrote. A reader that runs past the end, or
 * meets a varint that's too long, is failed, gives zeros and empty ranges from then
 * on, and reader_err() is ERR_CORRUPT.
 */
struct reader {
    const uint8_t *next;
    const uint8_t *end;
    bool is_failed;
};

static inline struct reader reader_of(struct bytes bytes)
{
    return (struct reader){ .next = bytes.ptr,
                            .end = bytes.len ? bytes.ptr + bytes.len : bytes.ptr };
}

uint8_t reader_u8(struct reader *reader);
uint16_t reader_le16(struct reader *reader);
uint32_t reader_le32(struct reader *reader);
uint64_t reader_le64(struct reader *reader);
uint64_t reader_varint(struct reader *reader);
int64_t reader_svarint(struct reader *reader);
struct bytes reader_prefixed(struct reader *reader);
struct bytes reader_take(struct reader *reader, size_t len);
static inline size_t reader_left(const struct reader *reader)
{
    return (size_t)(reader->end - reader->next);
}
/* Failed, or (when `must_be_at_end`) bytes left over: ERR_CORRUPT. */
MUST_CHECK struct err reader_err(const struct reader *reader, bool must_be_at_end);

#endif

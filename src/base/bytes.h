/* bytes.h - borrowed ranges of bytes, and little-endian integers. */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A borrowed range of bytes. Whoever hands it out says how long it lives. Text is
 * UTF-8 without a terminating zero. An empty range may have a NULL pointer. */
struct bytes {
    const uint8_t *ptr;
    size_t len;
};

/* A literal as bytes: BYTES("identity"). */
#define BYTES(literal) ((struct bytes){ (const uint8_t *)("" literal), sizeof(literal) - 1 })

/* For printf: printf("%.*s", BYTES_FMT(b)). */
#define BYTES_FMT(b) ((int)(b).len), ((const char *)(b).ptr)

static inline struct bytes bytes_of(const void *ptr, size_t len)
{
    return (struct bytes){ .ptr = (const uint8_t *)ptr, .len = len };
}

/* A C string, without its zero; NULL gives an empty range. */
static inline struct bytes bytes_from(const char *text)
{
    return bytes_of(text, text ? strlen(text) : 0);
}

static inline bool bytes_equal(struct bytes a, struct bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

/* Order of the bytes as unsigned numbers; a prefix comes first. <0, 0 or >0. */
static inline int bytes_compare(struct bytes a, struct bytes b)
{
    size_t shared = a.len < b.len ? a.len : b.len;
    int order = shared ? memcmp(a.ptr, b.ptr, shared) : 0;
    if (order != 0)
        return order;
    return (a.len > b.len) - (a.len < b.len);
}

static inline bool bytes_start_with(struct bytes text, struct bytes prefix)
{
    return text.len >= prefix.len &&
           (prefix.len == 0 || memcmp(text.ptr, prefix.ptr, prefix.len) == 0);
}

static inline bool bytes_end_with(struct bytes text, struct bytes suffix)
{
    return text.len >= suffix.len && (suffix.len == 0 || memcmp(text.ptr + text.len - suffix.len,
                                                                suffix.ptr, suffix.len) == 0);
}

/* The part from `from` (clamped) with at most `len` bytes. */
static inline struct bytes bytes_slice(struct bytes text, size_t from, size_t len)
{
    if (from > text.len)
        from = text.len;
    if (len > text.len - from)
        len = text.len - from;
    return bytes_of(from ? text.ptr + from : text.ptr, len);
}

static inline uint16_t load_le16(const uint8_t *from)
{
    return (uint16_t)(from[0] | from[1] << 8);
}

static inline uint32_t load_le32(const uint8_t *from)
{
    uint32_t value;
    memcpy(&value, from, sizeof value);
    return value; /* every machine that Kolam is built for is little-endian; checked in bytes.c */
}

static inline uint64_t load_le64(const uint8_t *from)
{
    uint64_t value;
    memcpy(&value, from, sizeof value);
    return value;
}

static inline void store_le16(uint8_t *to, uint16_t value)
{
    memcpy(to, &value, sizeof value);
}

static inline void store_le32(uint8_t *to, uint32_t value)
{
    memcpy(to, &value, sizeof value);
}

static inline void store_le64(uint8_t *to, uint64_t value)
{
    memcpy(to, &value, sizeof value);
}

#endif

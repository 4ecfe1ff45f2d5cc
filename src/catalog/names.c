/* names.c - when names are the same but for case and space, and when they're nearly the same. */
#include "catalog/catalog_internal.h"

#include <assert.h>

/* The length of the white space character (Unicode's White_Space) at the front; 0: it's none. */
static size_t space_len(struct bytes text)
{
    const uint8_t *p = text.ptr;
    if (p[0] == ' ' || (p[0] >= '\t' && p[0] <= '\r'))
        return 1;
    if (text.len >= 2 && p[0] == 0xc2 && (p[1] == 0x85 || p[1] == 0xa0))
        return 2;
    if (text.len < 3)
        return 0;
    bool is_space =
        (p[0] == 0xe1 && p[1] == 0x9a && p[2] == 0x80) ||
        (p[0] == 0xe2 && p[1] == 0x80 &&
         ((p[2] >= 0x80 && p[2] <= 0x8a) || p[2] == 0xa8 || p[2] == 0xa9 || p[2] == 0xaf)) ||
        (p[0] == 0xe2 && p[1] == 0x81 && p[2] == 0x9f) ||
        (p[0] == 0xe3 && p[1] == 0x80 && p[2] == 0x80);
    return is_space ? 3 : 0;
}

size_t catalog_fold(struct bytes name, uint8_t *to)
{
    size_t len = 0;
    for (size_t i = 0; i < name.len;) {
        size_t space = space_len(bytes_slice(name, i, name.len));
        if (space) {
            i += space;
            continue;
        }
        uint8_t c = name.ptr[i++];
        to[len++] = c >= 'A' && c <= 'Z' ? (uint8_t)(c + 'a' - 'A') : c;
    }
    if (len == 0 && name.len > 0) {
        memcpy(to, name.ptr, name.len);
        len = name.len;
    }
    return len;
}

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

uint32_t catalog_distance(struct bytes a, struct bytes b, uint32_t max)
{
    assert(a.len <= CATALOG_NEAREST_MAX && b.len <= CATALOG_NEAREST_MAX);
    uint32_t rows[3][CATALOG_NEAREST_MAX + 1];
    uint32_t *before = rows[0];
    uint32_t *above = rows[1];
    uint32_t *row = rows[2];

    if ((a.len > b.len ? a.len - b.len : b.len - a.len) > max)
        return max + 1;
    for (uint32_t j = 0; j <= b.len; j++)
        row[j] = before[j] = j;
    for (uint32_t i = 1; i <= a.len; i++) {
        uint32_t *free_row = before;
        before = above;
        above = row;
        row = free_row;
        uint32_t smallest = row[0] = i;
        for (uint32_t j = 1; j <= b.len; j++) {
            uint32_t cost = a.ptr[i - 1] != b.ptr[j - 1];
            row[j] = least(least(above[j], row[j - 1]) + 1, above[j - 1] + cost);
            if (i > 1 && j > 1 && a.ptr[i - 1] == b.ptr[j - 2] && a.ptr[i - 2] == b.ptr[j - 1])
                row[j] = least(row[j], before[j - 2] + 1);
            smallest = least(smallest, row[j]);
        }
        /* A swap reaches two rows back, but costs what the row between would have. */
        if (smallest > max + 1)
            return max + 1;
    }
    return least(row[b.len], max + 1);
}

/* utf8_internal.h - one sequence of UTF-8, as RFC 3629 has it: no surrogates, no long forms. */
#ifndef CODEC_UTF8_INTERNAL_H
#define CODEC_UTF8_INTERNAL_H

#include <stddef.h>
#include <stdint.h>

/* The length of the UTF-8 sequence at `p`, 0 when it's none. */
static inline size_t utf8_sequence_len(const uint8_t *p, size_t left)
{
    if (p[0] < 0x80)
        return 1;
    size_t len = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    if (p[0] < 0xc2 || p[0] > 0xf4 || len > left)
        return 0;
    uint8_t low = p[0] == 0xe0 ? 0xa0 : p[0] == 0xf0 ? 0x90 : 0x80;
    uint8_t high = p[0] == 0xed ? 0x9f : p[0] == 0xf4 ? 0x8f : 0xbf;
    if (p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < len; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    return len;
}

#endif

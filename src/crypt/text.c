/*
 * text.c - base64 (RFC 4648), both alphabets, and hex; tokens.
 *
 * Reading is strict: the bits behind the last byte must be 0 and padding exact, so that two
 * different texts are never the same token.
 */
#include "crypt/crypt.h"

enum { TOKEN_BYTES = 32 };

static const char standard[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* The first `count` of four characters for up to three bytes. */
static void put_group(const uint8_t *bytes, size_t len, const char *alphabet, uint8_t *to)
{
    uint32_t bits = 0;
    for (size_t i = 0; i < 3; i++)
        bits = bits << 8 | (i < len ? bytes[i] : 0);
    for (size_t i = 0; i <= len; i++)
        to[i] = (uint8_t)alphabet[bits >> (18 - 6 * i) & 63];
}

static void encode(struct buf *buf, struct bytes data, const char *alphabet, bool is_padded)
{
    for (size_t at = 0; at < data.len; at += 3) {
        size_t len = data.len - at < 3 ? data.len - at : 3;
        uint8_t group[4] = { '=', '=', '=', '=' };
        put_group(data.ptr + at, len, alphabet, group);
        buf_put(buf, bytes_of(group, is_padded ? 4 : len + 1));
    }
}

void base64_put(struct buf *buf, struct bytes data)
{
    encode(buf, data, standard, true);
}

void base64url_put(struct buf *buf, struct bytes data)
{
    encode(buf, data, url, false);
}

/* -1: not of the alphabet. */
static int digit64(uint8_t c, const char *alphabet)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == (uint8_t)alphabet[62] ? 62 : c == (uint8_t)alphabet[63] ? 63 : -1;
}

/* Two to four characters as one to three bytes; 0 when they aren't. */
static size_t get_group(struct bytes text, const char *alphabet, uint8_t *to)
{
    uint32_t bits = 0;
    for (size_t i = 0; i < 4; i++) {
        int digit = i < text.len ? digit64(text.ptr[i], alphabet) : 0;
        if (digit < 0)
            return 0;
        bits = bits << 6 | (uint32_t)digit;
    }
    for (size_t i = 0; i < 3; i++)
        to[i] = (uint8_t)(bits >> (16 - 8 * i));
    size_t len = text.len < 2 ? 0 : text.len - 1;
    return len == 0 || (len < 3 && to[len] != 0) ? 0 : len;
}

static bool decode(struct bytes text, const char *alphabet, struct buf *to)
{
    const size_t old_len = to->len;
    while (text.len > 0) {
        uint8_t group[3];
        size_t len = get_group(bytes_slice(text, 0, 4), alphabet, group);
        if (len == 0 || to->is_failed) {
            to->len = old_len;
            return false;
        }
        buf_put(to, bytes_of(group, len));
        text = bytes_slice(text, 4, SIZE_MAX);
    }
    return !to->is_failed;
}

bool base64_get(struct bytes text, struct buf *to)
{
    if (text.len % 4 != 0)
        return false;
    size_t padding = 0;
    while (padding < 2 && padding < text.len && text.ptr[text.len - 1 - padding] == '=')
        padding++;
    return decode(bytes_slice(text, 0, text.len - padding), standard, to);
}

bool base64url_get(struct bytes text, struct buf *to)
{
    return decode(text, url, to);
}

void hex_put(struct buf *buf, struct bytes data)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < data.len; i++) {
        uint8_t pair[2] = { (uint8_t)digits[data.ptr[i] >> 4], (uint8_t)digits[data.ptr[i] & 15] };
        buf_put(buf, bytes_of(pair, 2));
    }
}

static int digit16(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool hex_get(struct bytes text, struct buf *to)
{
    const size_t old_len = to->len;
    for (size_t i = 0; i + 1 < text.len; i += 2) {
        int high = digit16(text.ptr[i]);
        int low = digit16(text.ptr[i + 1]);
        if (high < 0 || low < 0 || text.len % 2 != 0) {
            to->len = old_len;
            return false;
        }
        buf_put_u8(to, (uint8_t)(high << 4 | low));
    }
    return text.len % 2 == 0 && !to->is_failed;
}

void token_new(char token_out[TOKEN_SIZE])
{
    uint8_t secret[TOKEN_BYTES];
    crypt_random(secret, sizeof secret);
    size_t out = 0;
    for (size_t at = 0; at < sizeof secret; at += 3) {
        uint8_t group[4];
        size_t len = sizeof secret - at < 3 ? sizeof secret - at : 3;
        put_group(secret + at, len, url, group);
        memcpy(token_out + out, group, len + 1);
        out += len + 1;
    }
    assert(out == TOKEN_SIZE - 1);
    token_out[out] = 0;
    crypt_wipe(secret, sizeof secret);
}

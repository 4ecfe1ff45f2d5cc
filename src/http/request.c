/* request.c - what was asked: headers, query, cookies, decoding. */
#include "http/http_internal.h"

#include <stdlib.h>

const char *http_method_name(enum http_method method)
{
    static const char *const names[] = { "GET",   "HEAD",   "POST",    "PUT",
                                         "PATCH", "DELETE", "OPTIONS", "OTHER" };
    return names[method];
}

struct bytes http_header(const struct http_request *request, const char *name)
{
    const struct exchange *x = (const struct exchange *)(const void *)request;
    const char *value = MHD_lookup_connection_value(x->native, MHD_HEADER_KIND, name);
    return bytes_from(value);
}

struct bytes http_keep(struct http_request *request, struct bytes text)
{
    return arena_copy(&exchange_of(request)->arena, text);
}

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* The length of the UTF-8 sequence at the front; 0: it's none. */
static size_t utf8_step(const uint8_t *at, size_t left)
{
    uint8_t c = at[0];
    if (c < 0x80)
        return 1;
    size_t len = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
    if (c < 0xc2 || c > 0xf4 || left < len)
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    if ((c == 0xe0 && at[1] < 0xa0) || (c == 0xed && at[1] > 0x9f) || (c == 0xf0 && at[1] < 0x90) ||
        (c == 0xf4 && at[1] > 0x8f))
        return 0;
    return len;
}

static bool is_utf8(const uint8_t *text, size_t len)
{
    for (size_t i = 0; i < len;) {
        size_t step = utf8_step(text + i, len - i);
        if (!step)
            return false;
        i += step;
    }
    return true;
}

bool http_decode(struct bytes text, bool is_query, uint8_t *to, size_t *len_out)
{
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.ptr[i];
        if (c == '%') {
            int high = i + 2 < text.len ? hex_digit(text.ptr[i + 1]) : -1;
            int low = i + 2 < text.len ? hex_digit(text.ptr[i + 2]) : -1;
            if (high < 0 || low < 0)
                return false;
            c = (uint8_t)(high << 4 | low);
            i += 2;
        } else if (c == '+' && is_query) {
            c = ' ';
        }
        to[len++] = c;
    }
    if (!is_utf8(to, len))
        return false;
    *len_out = len;
    return true;
}

static bool decode_kept(struct http_request *request, struct bytes text, struct bytes *out)
{
    uint8_t *to = arena_alloc(&exchange_of(request)->arena, text.len + 1);
    size_t len;
    if (!to || !http_decode(text, true, to, &len))
        return false;
    *out = bytes_of(to, len);
    return true;
}

bool http_query(struct http_request *request, const char *name, struct bytes *value_out)
{
    struct bytes wanted = bytes_from(name);
    struct bytes rest = request->query;
    while (rest.len) {
        const uint8_t *amp = memchr(rest.ptr, '&', rest.len);
        struct bytes pair = bytes_slice(rest, 0, amp ? (size_t)(amp - rest.ptr) : rest.len);
        rest = bytes_slice(rest, pair.len + 1, SIZE_MAX);
        const uint8_t *eq = pair.len ? memchr(pair.ptr, '=', pair.len) : NULL;
        struct bytes key = bytes_slice(pair, 0, eq ? (size_t)(eq - pair.ptr) : pair.len);
        if (!bytes_equal(key, wanted))
            continue;
        return decode_kept(request, bytes_slice(pair, key.len + 1, SIZE_MAX), value_out);
    }
    return false;
}

struct bytes http_cookie(const struct http_request *request, const char *name)
{
    struct bytes wanted = bytes_from(name);
    struct bytes rest = http_header(request, MHD_HTTP_HEADER_COOKIE);
    while (rest.len) {
        while (rest.len && (*rest.ptr == ' ' || *rest.ptr == ';'))
            rest = bytes_slice(rest, 1, SIZE_MAX);
        const uint8_t *semi = rest.len ? memchr(rest.ptr, ';', rest.len) : NULL;
        struct bytes pair = bytes_slice(rest, 0, semi ? (size_t)(semi - rest.ptr) : rest.len);
        rest = bytes_slice(rest, pair.len, SIZE_MAX);
        if (pair.len > wanted.len && bytes_start_with(pair, wanted) && pair.ptr[wanted.len] == '=')
            return bytes_slice(pair, wanted.len + 1, SIZE_MAX);
    }
    return bytes_of(NULL, 0);
}

/*
 * cursor.c - where a list goes on.
 *
 *     kind, text   varint length, then the bytes
 *     4 numbers    varints
 *     expires_ms   varint
 *     mac          16 bytes: HMAC-SHA-256 of the project's id and all that lies before
 *
 * as base64url. A cursor is its own state: nothing is kept for it, and none can be made up, used
 * in another project, on another route, or after its end.
 */
#include "api/api_internal.h"

enum { CURSOR_MAX = 64 << 10, MAC_SIZE = 16 };

static void sign(const struct api *api, const struct call *call, struct bytes content,
                 uint8_t mac[SHA256_SIZE])
{
    struct buf buf;
    buf_init(&buf, CURSOR_MAX + 1024);
    buf_put_prefixed(&buf, bytes_from(call->principal.project));
    buf_put(&buf, content);
    crypt_hmac_sha256(bytes_of(api->cursor_key, sizeof api->cursor_key), buf_bytes(&buf), mac);
    buf_done(&buf);
}

void cursor_put(struct api *api, const struct call *call, const struct cursor *cursor,
                int64_t life_ms, struct buf *to)
{
    struct buf buf;
    buf_init(&buf, CURSOR_MAX);
    buf_put_prefixed(&buf, bytes_from(cursor->kind));
    buf_put_prefixed(&buf, cursor->text);
    for (size_t i = 0; i < 4; i++)
        buf_put_varint(&buf, cursor->numbers[i]);
    buf_put_varint(&buf, (uint64_t)(clock_now_ms(api->config.clock) + life_ms));
    uint8_t mac[SHA256_SIZE];
    sign(api, call, buf_bytes(&buf), mac);
    buf_put(&buf, bytes_of(mac, MAC_SIZE));
    if (!buf_err(&buf).code)
        base64url_put(to, buf_bytes(&buf));
    buf_done(&buf);
}

bool cursor_get(struct api *api, const struct call *call, struct bytes text, struct arena *arena,
                struct cursor *cursor_inout)
{
    struct buf buf;
    bool is_good = false;
    buf_init(&buf, CURSOR_MAX);
    if (base64url_get(text, &buf) && buf.len > MAC_SIZE) {
        struct bytes content = bytes_slice(buf_bytes(&buf), 0, buf.len - MAC_SIZE);
        uint8_t mac[SHA256_SIZE];
        sign(api, call, content, mac);
        is_good = crypt_equal(bytes_of(mac, MAC_SIZE),
                              bytes_slice(buf_bytes(&buf), content.len, MAC_SIZE));
        struct reader reader = reader_of(content);
        is_good = is_good && bytes_equal(reader_prefixed(&reader), bytes_from(cursor_inout->kind));
        struct bytes kept = is_good ? reader_prefixed(&reader) : bytes_of("", 0);
        cursor_inout->text = arena_copy(arena, kept);
        for (size_t i = 0; i < 4 && is_good; i++)
            cursor_inout->numbers[i] = reader_varint(&reader);
        is_good = is_good && (int64_t)reader_varint(&reader) >= clock_now_ms(api->config.clock) &&
                  !reader_err(&reader, true).code && cursor_inout->text.ptr;
    }
    buf_done(&buf);
    return is_good;
}

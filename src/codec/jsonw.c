/*
 * jsonw.c - the JSON writer.
 *
 * A string is copied in runs: a table says which bytes stop a run (quotes, backslashes, controls,
 * and the heads of UTF-8 sequences, which are checked one by one).
 */
#include "codec/jsonw.h"

#include "base/calendar.h"
#include "codec/json_internal.h"
#include "codec/utf8_internal.h"

#include <math.h>

static void start_value(struct jsonw *w)
{
    if (w->needs_comma)
        buf_put_u8(w->buf, ',');
    w->needs_comma = true;
}

static void open_with(struct jsonw *w, uint8_t bracket)
{
    start_value(w);
    buf_put_u8(w->buf, bracket);
    w->needs_comma = false;
}

static void close_with(struct jsonw *w, uint8_t bracket)
{
    buf_put_u8(w->buf, bracket);
    w->needs_comma = true;
}

void jsonw_object(struct jsonw *w)
{
    open_with(w, '{');
}

void jsonw_end_object(struct jsonw *w)
{
    close_with(w, '}');
}

void jsonw_array(struct jsonw *w)
{
    open_with(w, '[');
}

void jsonw_end_array(struct jsonw *w)
{
    close_with(w, ']');
}

/* --- strings ---------------------------------------------------------------- */

static bool is_plain(uint8_t c)
{
    return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

static size_t plain_len(const uint8_t *p, const uint8_t *end)
{
    const uint8_t *from = p;
    while (p < end && is_plain(*p))
        p++;
    return (size_t)(p - from);
}

static void put_escape(struct buf *buf, uint8_t c)
{
    static const char names[] = "\b\t\n\f\r\"\\";
    static const char letters[] = "btnfr\"\\";
    const char *name = memchr(names, c, sizeof names - 1);
    if (name) {
        uint8_t pair[2] = { '\\', (uint8_t)letters[name - names] };
        buf_put(buf, bytes_of(pair, 2));
    } else {
        buf_printf(buf, "\\u%04x", (unsigned)c);
    }
}

static void put_quoted(struct buf *buf, struct bytes text)
{
    const uint8_t *p = text.ptr;
    const uint8_t *end = p + text.len;
    buf_put_u8(buf, '"');
    while (p < end) {
        size_t len = plain_len(p, end);
        if (len == 0 && *p >= 0x80)
            len = utf8_sequence_len(p, (size_t)(end - p));
        if (len > 0) {
            buf_put(buf, bytes_of(p, len));
            p += len;
        } else if (*p >= 0x80) {
            buf_put(buf, BYTES("\xef\xbf\xbd"));
            p++;
        } else {
            put_escape(buf, *p++);
        }
    }
    buf_put_u8(buf, '"');
}

void jsonw_key_bytes(struct jsonw *w, struct bytes key)
{
    start_value(w);
    put_quoted(w->buf, key);
    buf_put_u8(w->buf, ':');
    w->needs_comma = false;
}

void jsonw_key(struct jsonw *w, const char *key)
{
    jsonw_key_bytes(w, bytes_from(key));
}

void jsonw_string(struct jsonw *w, struct bytes text)
{
    start_value(w);
    put_quoted(w->buf, text);
}

void jsonw_text(struct jsonw *w, const char *text)
{
    if (text)
        jsonw_string(w, bytes_from(text));
    else
        jsonw_null(w);
}

/* --- numbers and the rest -------------------------------------------------- */

enum { DIGITS_MAX = 20 };

static size_t put_digits(uint64_t value, char *to)
{
    char digits[DIGITS_MAX];
    size_t at = DIGITS_MAX;
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    memcpy(to, digits + at, DIGITS_MAX - at);
    return DIGITS_MAX - at;
}

static size_t put_integer(int64_t value, char *to)
{
    if (value >= 0)
        return put_digits((uint64_t)value, to);
    *to = '-';
    return 1 + put_digits(-(uint64_t)value, to + 1);
}

#define WHOLE_MAX 1e15 /* below it, the digits of a whole number are the shortest text */

size_t real_to_text(double value, char *to)
{
    bool is_whole = fabs(value) < WHOLE_MAX && (double)(int64_t)value == value;
    if (is_whole && value == 0 && signbit(value)) {
        memcpy(to, "-0.0", 4); /* "-0" would read back as the integer 0 */
        return 4;
    }
    if (is_whole)
        return put_integer((int64_t)value, to);
    return json_shortest_real(value, to);
}

void jsonw_null(struct jsonw *w)
{
    jsonw_raw(w, BYTES("null"));
}

void jsonw_bool(struct jsonw *w, bool value)
{
    jsonw_raw(w, value ? BYTES("true") : BYTES("false"));
}

void jsonw_int(struct jsonw *w, int64_t value)
{
    char text[DIGITS_MAX + 1];
    jsonw_raw(w, bytes_of(text, put_integer(value, text)));
}

void jsonw_uint(struct jsonw *w, uint64_t value)
{
    char text[DIGITS_MAX];
    jsonw_raw(w, bytes_of(text, put_digits(value, text)));
}

void jsonw_real(struct jsonw *w, double value)
{
    char text[24];
    if (isfinite(value))
        jsonw_raw(w, bytes_of(text, real_to_text(value, text)));
    else
        jsonw_null(w);
}

void jsonw_time(struct jsonw *w, int64_t time_ms)
{
    start_value(w);
    buf_put_u8(w->buf, '"');
    calendar_put_utc(w->buf, time_ms);
    buf_put_u8(w->buf, '"');
}

void jsonw_value(struct jsonw *w, const struct value *value)
{
    switch (value->type) {
    case VALUE_BOOL:
        jsonw_bool(w, value->boolean);
        break;
    case VALUE_INT:
        jsonw_int(w, value->integer);
        break;
    case VALUE_REAL:
        jsonw_real(w, value->real);
        break;
    case VALUE_STRING:
        jsonw_string(w, value->string);
        break;
    case VALUE_TIME:
        jsonw_time(w, value->time_ms);
        break;
    case VALUE_LIST:
        jsonw_array(w);
        for (uint32_t i = 0; i < value->count; i++)
            jsonw_string(w, value->items[i]);
        jsonw_end_array(w);
        break;
    case VALUE_NULL:
    case VALUE_TYPES:
        jsonw_null(w);
        break;
    }
}

void jsonw_raw(struct jsonw *w, struct bytes json)
{
    start_value(w);
    buf_put(w->buf, json);
}

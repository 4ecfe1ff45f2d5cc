/* logline.c - log lines that nothing in their values can break. */
#include "base/logline.h"

#include "base/calendar.h"

#include <math.h>
#include <stdio.h>

/* Kept free for what closes a line. */
static const char logfmt_tail[] = " truncated=true\n";
static const char json_tail[] = ",\"truncated\":true}\n";
enum { TAIL_ROOM = sizeof json_tail };

static const char *const level_names[] = { "debug", "info", "warn", "error" };

static bool line_is_json(const struct logline *line)
{
    return line->logger->format == LOGLINE_JSON;
}

/* --- pieces ------------------------------------------------------------- */

/* False: no room; nothing was put. */
static bool put(struct logline *line, struct bytes text)
{
    if (text.len > LOGLINE_MAX - TAIL_ROOM - line->len)
        return false;
    memcpy(line->text + line->len, text.ptr, text.len);
    line->len += text.len;
    return true;
}

/* The length of the UTF-8 sequence at the front, and its code point; 0: it's none. */
static size_t utf8_decode(struct bytes text, uint32_t *code_out)
{
    static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
    uint8_t first = text.ptr[0];
    if (first < 0x80) {
        *code_out = first;
        return 1;
    }
    size_t len = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || len > text.len)
        return 0;
    uint32_t code = first & (0x7fu >> len);
    for (size_t i = 1; i < len; i++) {
        if ((text.ptr[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (text.ptr[i] & 0x3f);
    }
    if (code < least[len] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
        return 0;
    *code_out = code;
    return len;
}

/* Controls, quotes, separators of lines, and what turns the direction of writing. */
static bool needs_escape(uint32_t code)
{
    return code < 0x20 || code == '"' || code == '\\' || (code >= 0x7f && code < 0xa0) ||
           (code >= 0x2028 && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069) ||
           code == 0xfeff;
}

static bool put_escaped(struct logline *line, struct bytes text)
{
    bool fits = put(line, BYTES("\""));
    while (fits && text.len > 0) {
        uint32_t code;
        char escape[8];
        size_t len = utf8_decode(text, &code);
        if (len && !needs_escape(code)) {
            fits = put(line, bytes_slice(text, 0, len));
        } else if (len && (code == '"' || code == '\\')) {
            escape[0] = '\\';
            escape[1] = (char)code;
            fits = put(line, bytes_of(escape, 2));
        } else {
            (void)snprintf(escape, sizeof escape, "\\u%04x",
                           len ? (unsigned)code & 0xffff : 0xfffd);
            fits = put(line, bytes_of(escape, 6));
        }
        text = bytes_slice(text, len ? len : 1, SIZE_MAX);
    }
    return fits && put(line, BYTES("\""));
}

/* Bare in logfmt, and still one value to every reader of it. */
static bool may_be_bare(struct bytes text)
{
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.ptr[i];
        bool is_word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!is_word && !(c && strchr("_-./:+@,", c)))
            return false;
    }
    return text.len > 0;
}

static bool put_key(struct logline *line, const char *key)
{
    if (line_is_json(line))
        return put(line, line->len ? BYTES(",\"") : BYTES("{\"")) && put(line, bytes_from(key)) &&
               put(line, BYTES("\":"));
    return (line->len == 0 || put(line, BYTES(" "))) && put(line, bytes_from(key)) &&
           put(line, BYTES("="));
}

/* A key with its value, or nothing of it. */
static void put_field(struct logline *line, const char *key, struct bytes value, bool is_text)
{
    if (!line->logger)
        return;
    size_t before = line->len;
    bool fits = put_key(line, key);
    if (is_text && (line_is_json(line) || !may_be_bare(value)))
        fits = fits && put_escaped(line, value);
    else
        fits = fits && put(line, value);
    if (!fits) {
        line->len = before;
        line->is_truncated = true;
    }
}

/* --- the door ----------------------------------------------------------- */

static void put_time(struct logline *line)
{
    int64_t now_ms = line->logger->now_ms(line->logger->ctx);
    struct buf time;
    buf_init(&time, 64);
    calendar_put_utc(&time, now_ms);
    put_field(line, "time", buf_bytes(&time), true);
    buf_done(&time);
}

void logline_start(struct logline *line, const struct logger *logger, enum logline_level level,
                   const char *msg)
{
    line->logger = logger && level >= logger->least ? logger : NULL;
    line->len = 0;
    line->is_truncated = false;
    if (!line->logger)
        return;
    put_time(line);
    put_field(line, "level", bytes_from(level_names[level]), true);
    logline_put_text(line, "msg", bytes_from(msg));
}

void logline_put_text(struct logline *line, const char *key, struct bytes value)
{
    if (line->logger && value.len > LOGLINE_VALUE_MAX) {
        line->is_truncated = true;
        value.len = LOGLINE_VALUE_MAX;
    }
    put_field(line, key, value, true);
}

void logline_put_int(struct logline *line, const char *key, int64_t value)
{
    char text[32];
    int len = snprintf(text, sizeof text, "%lld", (long long)value);
    put_field(line, key, bytes_of(text, (size_t)len), false);
}

void logline_put_real(struct logline *line, const char *key, double value)
{
    char text[40];
    int len = snprintf(text, sizeof text, "%.10g", value);
    put_field(line, key, bytes_of(text, (size_t)len), !isfinite(value));
}

void logline_put_bool(struct logline *line, const char *key, bool value)
{
    put_field(line, key, value ? BYTES("true") : BYTES("false"), false);
}

void logline_put_err(struct logline *line, struct err err)
{
    logline_put_text(line, "error", bytes_from(err.what));
    logline_put_text(line, "code", bytes_from(err_code_name(err.code)));
    if (err.os)
        logline_put_int(line, "errno", err.os);
}

void logline_end(struct logline *line)
{
    if (!line->logger)
        return;
    const char *tail = line_is_json(line) ? json_tail : logfmt_tail;
    if (!line->is_truncated)
        tail = line_is_json(line) ? "}\n" : "\n";
    memcpy(line->text + line->len, tail, strlen(tail));
    line->len += strlen(tail);
    line->logger->sink(line->logger->ctx, bytes_of(line->text, line->len));
    line->logger = NULL;
}

bool logline_level_parse(struct bytes text, enum logline_level *out)
{
    for (size_t i = 0; i < sizeof level_names / sizeof level_names[0]; i++) {
        if (bytes_equal(text, bytes_from(level_names[i]))) {
            *out = (enum logline_level)i;
            return true;
        }
    }
    return false;
}

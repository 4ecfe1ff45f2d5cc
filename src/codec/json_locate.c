/*
 * json_locate.c - where a text stops being JSON, and why.
 *
 * simdjson checks all of a text at once and can't tell where it failed. This is RFC 8259 once more,
 * byte by byte and without recursion: a bit a level says whether it is in an object. It must agree
 * with simdjson on what JSON is; the fuzz target json_parse holds the two against each other.
 */
#include "codec/json_internal.h"

#include "base/bytes.h"
#include "codec/utf8_internal.h"

#include <math.h>
#include <stdlib.h>

struct scan {
    const uint8_t *text;
    size_t len;
    size_t at;
    size_t big;
    const char *what; /* the first problem, found at `at` */
};

static bool fail(struct scan *scan, const char *what)
{
    scan->what = what;
    return false;
}

/* 0 at the end, and for a zero byte, which is nowhere allowed. */
static uint8_t peek(const struct scan *scan)
{
    return scan->at < scan->len ? scan->text[scan->at] : 0;
}

static void skip_space(struct scan *scan)
{
    while (scan->at < scan->len && strchr(" \t\n\r", scan->text[scan->at]) &&
           scan->text[scan->at] != 0)
        scan->at++;
}

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The four digits at `at`, or -1. */
static int hex4(const struct scan *scan, size_t at)
{
    int code = 0;
    for (size_t i = 0; i < 4; i++) {
        int digit = at + i < scan->len ? hex_digit(scan->text[at + i]) : -1;
        if (digit < 0)
            return -1;
        code = code * 16 + digit;
    }
    return code;
}

static bool scan_escape(struct scan *scan)
{
    const size_t at = scan->at;
    uint8_t kind = at + 1 < scan->len ? scan->text[at + 1] : 0;
    if (kind != 'u') {
        if (kind == 0 || !strchr("\"\\/bfnrt", kind))
            return fail(scan, "no such escape");
        scan->at += 2;
        return true;
    }
    int code = hex4(scan, at + 2);
    if (code < 0)
        return fail(scan, "no such escape");
    scan->at += 6;
    if (code < 0xd800 || code > 0xdfff)
        return true;
    bool is_pair = code < 0xdc00 && scan->len - at >= 12 && scan->text[at + 6] == '\\' &&
                   scan->text[at + 7] == 'u';
    int second = is_pair ? hex4(scan, at + 8) : -1;
    scan->at = at;
    if (second < 0xdc00 || second > 0xdfff)
        return fail(scan, "half of a surrogate pair");
    scan->at += 12;
    return true;
}

static bool scan_string(struct scan *scan)
{
    size_t start = scan->at++;
    while (scan->at < scan->len) {
        uint8_t c = scan->text[scan->at];
        if (c == '"') {
            scan->at++;
            return true;
        }
        if (c < 0x20)
            return fail(scan, "a control character in a string");
        if (c == '\\') {
            if (!scan_escape(scan))
                return false;
            continue;
        }
        size_t len = utf8_sequence_len(scan->text + scan->at, scan->len - scan->at);
        if (len == 0)
            return fail(scan, "not UTF-8");
        scan->at += len;
    }
    scan->at = start;
    return fail(scan, "a string without its end");
}

static size_t scan_digits(struct scan *scan)
{
    size_t start = scan->at;
    while (peek(scan) >= '0' && peek(scan) <= '9')
        scan->at++;
    return scan->at - start;
}

bool json_is_big(const uint8_t *digits, size_t len)
{
    bool is_negative = digits[0] == '-';
    struct bytes number = bytes_of(digits + is_negative, len - is_negative);
    struct bytes limit = is_negative ? BYTES("9223372036854775808") : BYTES("18446744073709551615");
    if (number.len != limit.len)
        return number.len > limit.len;
    return bytes_compare(number, limit) > 0;
}

static bool scan_number(struct scan *scan)
{
    const size_t start = scan->at;
    scan->at += peek(scan) == '-';
    bool starts_with_zero = peek(scan) == '0';
    const size_t digits = scan_digits(scan);
    bool is_whole = true;
    if (digits == 0 || (starts_with_zero && digits > 1)) {
        scan->at = start;
        return fail(scan, "not a number");
    }
    if (peek(scan) == '.') {
        is_whole = false;
        scan->at++;
        if (scan_digits(scan) == 0)
            return fail(scan, "not a number");
    }
    if ((peek(scan) | 0x20) == 'e') {
        is_whole = false;
        scan->at++;
        scan->at += peek(scan) == '+' || peek(scan) == '-';
        if (scan_digits(scan) == 0)
            return fail(scan, "not a number");
    }
    if (is_whole && !json_is_big(scan->text + start, scan->at - start))
        return true;
    scan->big += is_whole;
    if (isinf(strtod((const char *)scan->text + start, NULL))) {
        scan->at = start;
        return fail(scan, "a number out of range");
    }
    return true;
}

static bool scan_word(struct scan *scan, struct bytes word)
{
    if (!bytes_start_with(bytes_of(scan->text + scan->at, scan->len - scan->at), word))
        return fail(scan, "expected a value");
    scan->at += word.len;
    return true;
}

/* A value that isn't an object or an array. */
static bool scan_scalar(struct scan *scan)
{
    switch (peek(scan)) {
    case '"':
        return scan_string(scan);
    case 't':
        return scan_word(scan, BYTES("true"));
    case 'f':
        return scan_word(scan, BYTES("false"));
    case 'n':
        return scan_word(scan, BYTES("null"));
    case '-':
    case '0':
    case '1':
    case '2':
    case '3':
    case '4':
    case '5':
    case '6':
    case '7':
    case '8':
    case '9':
        return scan_number(scan);
    default:
        return fail(scan, "expected a value");
    }
}

/* "name" and its colon. */
static bool scan_key(struct scan *scan)
{
    skip_space(scan);
    if (peek(scan) != '"')
        return fail(scan, "expected a name in quotes");
    if (!scan_string(scan))
        return false;
    skip_space(scan);
    if (peek(scan) != ':')
        return fail(scan, "expected :");
    scan->at++;
    return true;
}

static bool is_object_at(const uint64_t *nesting, size_t level)
{
    return nesting[level / 64] >> (level % 64) & 1;
}

static void set_object_at(uint64_t *nesting, size_t level, bool is_object)
{
    uint64_t bit = UINT64_C(1) << (level % 64);
    nesting[level / 64] = is_object ? nesting[level / 64] | bit : nesting[level / 64] & ~bit;
}

/* After a value: closes what ends here; true when another value follows. */
static bool scan_after_value(struct scan *scan, const uint64_t *nesting, size_t *depth)
{
    while (*depth > 0) {
        bool is_object = is_object_at(nesting, *depth - 1);
        skip_space(scan);
        uint8_t c = peek(scan);
        if (c == ',') {
            scan->at++;
            return is_object ? scan_key(scan) : true;
        }
        if (c != (is_object ? '}' : ']'))
            return fail(scan, is_object ? "expected , or }" : "expected , or ]");
        scan->at++;
        --*depth;
    }
    return false;
}

static void scan_document(struct scan *scan, size_t max_depth, uint64_t *nesting)
{
    size_t depth = 0;
    bool has_more = true;
    while (has_more) {
        skip_space(scan);
        uint8_t c = peek(scan);
        if (c != '{' && c != '[') {
            has_more = scan_scalar(scan) && scan_after_value(scan, nesting, &depth);
            continue;
        }
        size_t start = scan->at++;
        skip_space(scan);
        if (peek(scan) == (c == '{' ? '}' : ']')) { /* empty: no level */
            scan->at++;
            has_more = scan_after_value(scan, nesting, &depth);
            continue;
        }
        if (depth == max_depth) {
            scan->at = start;
            fail(scan, "deeper than the limit");
            return;
        }
        set_object_at(nesting, depth++, c == '{');
        has_more = c == '[' || scan_key(scan);
    }
    if (scan->what)
        return;
    skip_space(scan);
    if (scan->at < scan->len)
        fail(scan, "more text behind the value");
}

void json_locate(const uint8_t *text, size_t len, size_t max_depth, uint64_t *nesting,
                 const char **what_out, size_t *offset_out, size_t *big_out)
{
    struct scan scan = { .text = text, .len = len };
    scan_document(&scan, max_depth, nesting);
    *what_out = scan.what;
    *offset_out = scan.at;
    *big_out = scan.big;
}

/*
 * http_decode_fuzz.c - percent-encoded text of any bytes.
 *
 *  1. what comes out is never longer than what went in, and is UTF-8;
 *  2. text that needs no decoding comes out as it is;
 *  3. encoding what came out, and decoding that, gives the same.
 */
#include "http/http.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX = 4096 };

static void must(bool holds)
{
    if (!holds)
        abort();
}

static bool is_plain(struct bytes text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] == '%' || text.ptr[i] == '+' || text.ptr[i] >= 0x80)
            return false;
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t once[INPUT_MAX];
    static uint8_t encoded[INPUT_MAX * 3];
    static uint8_t twice[INPUT_MAX * 3];
    static const char digits[] = "0123456789ABCDEF";
    size_t len = 0;
    size_t again = 0;
    if (size < 1 || size > INPUT_MAX)
        return 0;
    bool is_query = data[0] & 1;
    struct bytes text = bytes_of(data + 1, size - 1);
    bool is_good = http_decode(text, is_query, once, &len);
    must(!is_plain(text) || (is_good && bytes_equal(text, bytes_of(once, len))));
    if (!is_good)
        return 0;
    must(len <= text.len);
    for (size_t i = 0; i < len; i++) {
        encoded[3 * i] = '%';
        encoded[3 * i + 1] = (uint8_t)digits[once[i] >> 4];
        encoded[3 * i + 2] = (uint8_t)digits[once[i] & 15];
    }
    must(http_decode(bytes_of(encoded, 3 * len), is_query, twice, &again));
    must(bytes_equal(bytes_of(once, len), bytes_of(twice, again)));
    return 0;
}

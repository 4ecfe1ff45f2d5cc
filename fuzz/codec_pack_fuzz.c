/*
 * codec_pack_fuzz.c - reading blocks of any bytes at all.
 *
 *  1. nothing outside the bytes is read, nothing behind the count is written (the sanitizers watch);
 *  2. what was read, encoded and read again, is the same;
 *  3. where both widths can read a block, the narrow one gives the lower halves.
 */
#include "codec/pack.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { BLOCK_ROOM = 1 << 16 };

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void check_again(const int64_t *values, size_t count)
{
    struct buf buf;
    int64_t back[PACK_COUNT];
    size_t used = 0;
    buf_init(&buf, BLOCK_ROOM);
    pack_block_encode64(values, count, &buf);
    must(!buf_err(&buf).code && buf.len <= PACK_BLOCK_MAX);
    must(!pack_block_decode64(buf_bytes(&buf), count, back, &used).code && used == buf.len);
    must(memcmp(values, back, count * sizeof *values) == 0);
    buf_done(&buf);
}

static void check(struct bytes block, size_t count)
{
    size_t used = 0;
    size_t used_narrow = 0;
    int64_t *wide = malloc(count * sizeof *wide);
    uint32_t *narrow = malloc(count * sizeof *narrow);
    double *reals = malloc(count * sizeof *reals);
    must(wide && narrow && reals);
    bool is_wide = !pack_block_decode64(block, count, wide, &used).code;
    bool is_narrow = !pack_block_decode32(block, count, narrow, &used_narrow).code;
    must(is_wide || !is_narrow);
    if (is_wide) {
        must(used <= block.len);
        check_again(wide, count);
    }
    for (size_t i = 0; i < count && is_narrow; i++)
        must(narrow[i] == (uint32_t)wide[i] && used_narrow == used);
    if (!pack_block_decode_reals(block, count, reals, &used).code)
        must(used <= block.len);
    free(wide);
    free(narrow);
    free(reals);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3 || size > 4096)
        return 0;
    check(bytes_of(data + 1, size - 1), 1 + (size_t)data[0]);
    /* Random bytes hardly ever start well: kinds and widths that are possible. */
    uint8_t *block = malloc(size);
    must(block != NULL);
    memcpy(block, data, size);
    block[0] &= 15;
    block[1] %= 70;
    if (data[0] & 16)
        block[1] %= 9;
    check(bytes_of(block, size), data[0] & 32 ? PACK_COUNT : 1 + (size_t)data[size - 1]);
    free(block);
    return 0;
}

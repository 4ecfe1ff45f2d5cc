/*
 * store_manifest_fuzz.c - reading a manifest of any bytes at all.
 *
 * The input is used as it is, and with a head and a checksum that hold. What is read well is written
 * again, and that must read the same: a manifest that was understood has one spelling from then on.
 */
#include "codec/hash.h"
#include "store/manifest.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct part_home home = { .dir = "fuzz", .is_closing = true };

static void must(int holds)
{
    if (!holds)
        abort();
}

static void check(struct bytes bytes)
{
    struct manifest *first = NULL;
    struct manifest *second = NULL;
    struct buf once;
    struct buf twice;
    if (manifest_parse(bytes, &home, &first).code)
        return;
    buf_init(&once, 1 << 24);
    buf_init(&twice, 1 << 24);
    manifest_put(first, &once);
    must(!manifest_parse(buf_bytes(&once), &home, &second).code);
    manifest_put(second, &twice);
    must(bytes_equal(buf_bytes(&once), buf_bytes(&twice)));
    buf_done(&once);
    buf_done(&twice);
    manifest_free(first);
    manifest_free(second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf made;
    check(bytes_of(data, size));
    buf_init(&made, 1 << 20);
    buf_put(&made, BYTES(MANIFEST_MAGIC));
    buf_put_le32(&made, size > 0 ? 1 + data[0] % 3 : 1);
    buf_put_le32(&made, 0);
    buf_put_le64(&made, 7);
    buf_put_le64(&made, UINT64_MAX);
    buf_put_le64(&made, 9);
    buf_put(&made, bytes_of(data, size));
    /* Zeros end whatever the input left open: no dead, no months, no words. */
    for (int i = 0; i < 12 && size % 2; i++)
        buf_put_u8(&made, 0);
    buf_put_le64(&made, xxh3_64(buf_bytes(&made), 0));
    check(buf_bytes(&made));
    buf_done(&made);
    return 0;
}

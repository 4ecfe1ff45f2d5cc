/*
 * log_scan_fuzz.c - scanning a log file of any bytes at all.
 *
 * What must hold for every image with a good header:
 *  1. the scan stays inside the image (the sanitizers watch);
 *  2. it ends behind the last whole frame, and a scan of just that prefix is whole and visits the
 *     same batches.
 *
 * Random bytes hardly ever carry a right checksum, so the input is also used as the batches of a
 * valid log, in groups, that is then damaged at one byte: all frames before the damage come back,
 * and damage before the last group is told apart from a torn tail.
 */
#include "log/log_internal.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { IMAGE_MAX = 8192, FRAMES_MAX = 128 };

static const uint64_t identity = 0x1234567890abcdef;

static void must(bool holds)
{
    if (!holds)
        abort();
}

static struct err sum(void *ctx, uint64_t position, uint32_t count, struct bytes batch)
{
    uint64_t *total = ctx;
    for (size_t i = 0; i < batch.len; i++)
        *total = *total * 31 + batch.ptr[i];
    *total = *total * 31 + position + count;
    return ok();
}

static struct log_found check(struct bytes image)
{
    struct log_found found;
    struct log_found again;
    uint64_t total = 0;
    uint64_t total_again = 0;
    must(!log_scan(image, 0, sum, &total, &found).code);
    must(found.end_offset <= image.len);
    must(found.end != LOG_ENDS_WHOLE || found.end_offset == image.len);
    must(!log_scan(bytes_of(image.ptr, found.end_offset), 0, sum, &total_again, &again).code);
    must(again.end == LOG_ENDS_WHOLE && again.end_offset == found.end_offset);
    must(again.batches == found.batches && total == total_again);
    return found;
}

static void check_any(const uint8_t *data, size_t size)
{
    uint8_t *image = malloc(LOG_HEADER_BYTES + size);
    must(image != NULL);
    log_header_encode((struct log_header){ .first = 1, .identity = identity }, image);
    if (size)
        memcpy(image + LOG_HEADER_BYTES, data, size);
    (void)check(bytes_of(image, LOG_HEADER_BYTES + size));
    free(image);
}

/* Reads the input as: where to damage, how, then batches: a byte that tells length and whether a
 * group begins, and that many bytes. */
static void check_damaged(const uint8_t *data, size_t size)
{
    static uint8_t image[IMAGE_MAX];
    size_t ends[FRAMES_MAX + 1] = { LOG_HEADER_BYTES };
    size_t frames = 0;
    size_t group = LOG_HEADER_BYTES; /* where the last group begins */
    uint64_t position = 1;
    if (size < 4)
        return;
    size_t spot = load_le16(data);
    uint8_t flip = data[2];
    struct bytes rest = bytes_of(data + 3, size - 3);

    log_header_encode((struct log_header){ .first = 1, .identity = identity }, image);
    while (rest.len > 1 && frames < FRAMES_MAX && ends[frames] + 128 <= IMAGE_MAX) {
        size_t len = 1 + rest.ptr[0] % 31;
        if (rest.ptr[0] & 0x80)
            group = ends[frames];
        if (len > rest.len - 1)
            len = rest.len - 1;
        struct log_frame frame = { .position = position,
                                   .count = 1 + rest.ptr[0] % 5,
                                   .durable = group,
                                   .batch = bytes_of(rest.ptr + 1, len) };
        log_frame_encode(identity, &frame, image + ends[frames]);
        position += frame.count;
        ends[frames + 1] = ends[frames] + LOG_FRAME_BYTES + len;
        frames++;
        rest = bytes_of(rest.ptr + 1 + len, rest.len - 1 - len);
    }
    struct log_found found = check(bytes_of(image, ends[frames]));
    must(found.end == LOG_ENDS_WHOLE && found.batches == frames && found.next_position == position);
    if (frames == 0 || flip == 0)
        return;

    spot = LOG_HEADER_BYTES + spot % (ends[frames] - LOG_HEADER_BYTES);
    image[spot] ^= flip;
    size_t intact = 0;
    while (ends[intact + 1] <= spot)
        intact++;
    found = check(bytes_of(image, ends[frames]));
    must(found.batches == intact && found.end_offset == ends[intact]);
    must(found.end == (ends[intact] < group ? LOG_ENDS_DAMAGED : LOG_ENDS_TORN));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct log_header header;
    if (size > IMAGE_MAX)
        return 0;
    (void)log_header_decode(bytes_of(data, size), &header);
    check_any(data, size);
    check_damaged(data, size);
    return 0;
}

/*
 * frame.c - the bytes of a log file.
 *
 *     offset  size  the file's header, integers little-endian
 *          0     8  "kolamlg" and the version, 1
 *          8     8  position of the first command
 *         16     8  identity: random, seeds the checksums of this file
 *         24     8  XXH3-64 of the 24 bytes before
 *         32     -  frames, one after the other, without padding
 *
 *     offset  size  a frame
 *          0     8  XXH3-64, seeded by the identity, of all that follows
 *          8     4  n, bytes of the batch: 1 .. LOG_BATCH_MAX
 *         12     4  commands in it, at least 1
 *         16     8  position of the first of them
 *         24     8  so many bytes of the file were durable when this frame was written
 *         32     n  the batch
 *
 * Frames are written in groups, and a group is synced before the next is written. So a crash leaves
 * the durable frames and, of the last group, any part in any order. What remains after the last
 * whole frame is cut off: nobody was promised it.
 *
 * The same bytes could come from a disk that has lost what it had promised, and cutting there would
 * throw away acknowledged commands without a word. What tells them apart is a whole frame further on
 * that says more was durable than the place where the chain breaks: then the break lies in durable
 * bytes, and that is damage. (Damage within the last group can't be told from a torn write.)
 *
 * The identity keeps a frame from being taken for one of another file, whose blocks the file system
 * may hand out again, and keeps clients from making bytes that look like frames.
 */
#include "log/log_internal.h"

#include "codec/hash.h"

static const uint8_t magic[8] = { 'k', 'o', 'l', 'a', 'm', 'l', 'g', 1 };

void log_header_encode(struct log_header header, uint8_t *to)
{
    memcpy(to, magic, sizeof magic);
    store_le64(to + 8, header.first);
    store_le64(to + 16, header.identity);
    store_le64(to + 24, xxh3_64(bytes_of(to, 24), 0));
}

bool log_header_decode(struct bytes image, struct log_header *out)
{
    if (image.len < LOG_HEADER_BYTES || memcmp(image.ptr, magic, sizeof magic) != 0 ||
        load_le64(image.ptr + 24) != xxh3_64(bytes_of(image.ptr, 24), 0))
        return false;
    *out = (struct log_header){ .first = load_le64(image.ptr + 8),
                                .identity = load_le64(image.ptr + 16) };
    return true;
}

void log_frame_encode(uint64_t identity, const struct log_frame *frame, uint8_t *to)
{
    assert(frame->batch.len > 0 && frame->batch.len <= LOG_BATCH_MAX && frame->count > 0);
    store_le32(to + 8, (uint32_t)frame->batch.len);
    store_le32(to + 12, frame->count);
    store_le64(to + 16, frame->position);
    store_le64(to + 24, frame->durable);
    memcpy(to + LOG_FRAME_BYTES, frame->batch.ptr, frame->batch.len);
    store_le64(to, xxh3_64(bytes_of(to + 8, LOG_FRAME_BYTES - 8 + frame->batch.len), identity));
}

/* Takes the frame at `at`. False: there's no whole frame. */
static bool frame_decode(struct bytes image, size_t at, uint64_t identity, struct log_frame *out)
{
    if (image.len - at < LOG_FRAME_BYTES)
        return false;
    const uint8_t *from = image.ptr + at;
    size_t len = load_le32(from + 8);
    uint32_t count = load_le32(from + 12);
    uint64_t durable = load_le64(from + 24);
    if (len == 0 || len > LOG_BATCH_MAX || len > image.len - at - LOG_FRAME_BYTES || count == 0 ||
        durable < LOG_HEADER_BYTES || durable > at)
        return false;
    if (load_le64(from) != xxh3_64(bytes_of(from + 8, LOG_FRAME_BYTES - 8 + len), identity))
        return false;
    *out = (struct log_frame){ .position = load_le64(from + 16),
                               .count = count,
                               .durable = durable,
                               .batch = bytes_of(from + LOG_FRAME_BYTES, len) };
    return true;
}

/* Is there, behind the break in the chain, a frame that says that the break was durable? */
static bool was_durable(struct bytes image, size_t break_at, uint64_t identity)
{
    struct log_frame frame;
    for (size_t at = break_at; image.len - at >= LOG_FRAME_BYTES; at++) {
        uint64_t durable = load_le64(image.ptr + at + 24);
        if (durable > break_at && durable <= at && frame_decode(image, at, identity, &frame))
            return true;
    }
    return false;
}

struct err log_scan(struct bytes image, uint64_t from, log_visit_fn *visit, void *ctx,
                    struct log_found *found_out)
{
    struct log_header header;
    bool is_log = log_header_decode(image, &header);
    assert(is_log);

    struct log_found found = { .end_offset = LOG_HEADER_BYTES, .next_position = header.first };
    struct log_frame frame;
    while (frame_decode(image, found.end_offset, header.identity, &frame)) {
        if (frame.position != found.next_position ||
            frame.position + frame.count < frame.position) {
            found.end = LOG_ENDS_DAMAGED;
            *found_out = found;
            return ok();
        }
        if (frame.position + frame.count > from) {
            struct err err = visit(ctx, frame.position, frame.count, frame.batch);
            if (err.code)
                return err;
        }
        found.next_position += frame.count;
        found.end_offset += LOG_FRAME_BYTES + frame.batch.len;
        found.batches++;
    }
    assert(found.end_offset <= image.len);
    if (found.end_offset < image.len)
        found.end = was_durable(image, found.end_offset, header.identity) ? LOG_ENDS_DAMAGED
                                                                          : LOG_ENDS_TORN;
    *found_out = found;
    return ok();
}

static struct err visit_nothing(void *ctx, uint64_t position, uint32_t count, struct bytes batch)
{
    (void)ctx;
    (void)position;
    (void)count;
    (void)batch;
    return ok();
}

struct err log_find_whole(struct bytes image, struct log_whole *out)
{
    struct log_header header;
    struct log_found found;
    *out = (struct log_whole){ .bytes = 0 };
    if (!log_header_decode(image, &header)) {
        out->is_damaged = image.len >= LOG_HEADER_BYTES;
        return ok();
    }
    struct err err = log_scan(image, 0, visit_nothing, NULL, &found);
    if (!err.code)
        *out = (struct log_whole){ .bytes = found.end_offset,
                                   .first = header.first,
                                   .next = found.next_position,
                                   .is_damaged = found.end == LOG_ENDS_DAMAGED };
    return err;
}

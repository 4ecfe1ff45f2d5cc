/*
 * zip.h - compression with a limit on what comes out, so that a small bomb stays small.
 */
#ifndef CODEC_ZIP_H
#define CODEC_ZIP_H

#include "base/buf.h"
#include "base/err.h"

MUST_CHECK struct err zstd_pack(struct bytes data, int level, struct buf *to);
/* ERR_LIMIT: more than max_bytes would come out. ERR_CORRUPT: not a frame. Appends. */
MUST_CHECK struct err zstd_unpack(struct bytes data, size_t max_bytes, struct buf *to);
/* A frame of exactly `size` bytes, without a stream's cost. ERR_CORRUPT: it isn't that. */
MUST_CHECK struct err zstd_unpack_exactly(struct bytes data, uint8_t *to, size_t size);
MUST_CHECK struct err gzip_pack(struct bytes data, int level, struct buf *to);
MUST_CHECK struct err gzip_unpack(struct bytes data, size_t max_bytes, struct buf *to);

/* A stream of gzip, zstd or plain bytes, told apart by its first bytes. */
struct unzip;
MUST_CHECK struct err unzip_new(struct unzip **out);
void unzip_free(struct unzip *unzip);
/* Feeds input and appends up to `room` bytes of output; *used_out input bytes were taken. At the end
 * of the file call with an empty input until nothing is appended: ERR_CORRUPT when the stream is cut
 * short. ERR_LIMIT: more would come out than the buffer's own limit allows. */
MUST_CHECK struct err unzip_feed(struct unzip *unzip, struct bytes input, size_t room,
                                 struct buf *to, size_t *used_out);

#endif

/*
 * texts.h - the dictionary of a column: sorted texts, plain or packed in chunks.
 *
 * docs/formats/part.md has the layout. Packed, one text is read by unpacking the chunk it lies in.
 */
#ifndef STORE_TEXTS_H
#define STORE_TEXTS_H

#include "base/arena.h"
#include "store/ints.h"

/* Appends the section: `texts` ascend, each is there once, together less than 4 GiB. `is_small`:
 * packed, where that makes it a good deal smaller. */
void texts_put(struct buf *to, const struct bytes *texts, uint32_t count, bool is_small);

/* A section opened for reading; borrows its bytes. */
struct texts {
    bool is_packed;
    uint32_t count;
    const uint8_t *plain_ends;
    struct ints ends;
    uint32_t size; /* of all texts */
    const uint8_t *chunk_ends;
    struct bytes body;
    uint8_t *chunk; /* unpacked last; NULL: none yet */
    uint32_t chunk_number;
};

MUST_CHECK struct err texts_open(struct bytes section, struct texts *out);
/* The arena's; `borrows`: plain texts may stay where they are. */
MUST_CHECK struct err texts_read(const struct texts *texts, bool borrows, struct arena *arena,
                                 const struct bytes **out);
/* One text, copied. The arena must be the same in all calls. ERR_CORRUPT: there's no such code. */
MUST_CHECK struct err texts_copy(struct texts *texts, uint64_t code, struct arena *arena,
                                 struct bytes *out);

#endif

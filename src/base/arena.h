/*
 * arena.h - memory of one lifetime, given back as one, with a limit.
 *
 *     struct arena arena;
 *     arena_init(&arena, 64 << 20);
 *     char *text = arena_alloc(&arena, 100);    NULL at the limit
 *     arena_done(&arena);
 *
 * One thread at a time.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/bytes.h"
#include "base/err.h"

struct arena_block;

struct arena {
    struct arena_block *block; /* the newest; older ones are behind it */
    uint8_t *next;             /* room in the newest block */
    uint8_t *end;
    size_t used_bytes; /* taken from the system, for the limit */
    size_t limit_bytes;
};

/* An arena that takes nothing from the system before its first allocation. */
void arena_init(struct arena *arena, size_t limit_bytes);

/* `size` bytes, not cleared, aligned for any type (16). NULL when the limit or the
 * system's memory is reached. A size of 0 gives a pointer that isn't NULL. */
void *arena_alloc(struct arena *arena, size_t size);

/* As arena_alloc for `count` items of `size` bytes, cleared; NULL on overflow too. */
void *arena_calloc(struct arena *arena, size_t count, size_t size);

/* A copy of `text` with a zero behind it (not counted in its length). ptr is NULL when
 * there's no room. */
struct bytes arena_copy(struct arena *arena, struct bytes text);

/* printf into the arena; ptr is NULL when there's no room. Zero-terminated. */
__attribute__((format(printf, 2, 3))) struct bytes arena_printf(struct arena *arena,
                                                                const char *format, ...);

/* Gives everything back but the newest block, which is kept for the next use. */
void arena_reset(struct arena *arena);

/* Gives everything back. Fine on a zeroed or done arena. */
void arena_done(struct arena *arena);

#endif

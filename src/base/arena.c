/*
 * arena.c - blocks from malloc, each twice as large as the one before (up to a cap), handed
 * out from the front.
 *
 * An allocation that doesn't fit the newest block opens a new one; what was left of the old
 * one stays unused. One that is larger than any block gets a block of its own size. The last
 * block takes what the limit leaves.
 */
#include "base/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { ALIGN = 16, BLOCK_MIN = 4096, BLOCK_MAX = 1 << 20 };

struct arena_block {
    struct arena_block *older;
    size_t size; /* with this header */
};

static_assert(sizeof(struct arena_block) == ALIGN, "what follows the header is aligned");

void arena_init(struct arena *arena, size_t limit_bytes)
{
    *arena = (struct arena){ .limit_bytes = limit_bytes };
}

/* The size of the next block, for at least `needed` bytes with its header; 0: over the limit. */
static size_t block_size(const struct arena *arena, size_t needed)
{
    size_t left = arena->limit_bytes - arena->used_bytes;
    if (needed > left)
        return 0;

    size_t size = arena->block ? arena->block->size * 2 : BLOCK_MIN;
    if (size > BLOCK_MAX)
        size = BLOCK_MAX;
    if (size < needed)
        size = needed;
    return size <= left ? size : left;
}

static bool block_add(struct arena *arena, size_t room)
{
    size_t size = block_size(arena, sizeof(struct arena_block) + room);
    struct arena_block *block = size ? malloc(size) : NULL;
    if (!block)
        return false;

    block->older = arena->block;
    block->size = size;
    arena->block = block;
    arena->used_bytes += size;
    arena->next = (uint8_t *)block + sizeof *block;
    arena->end = (uint8_t *)block + size;
    return true;
}

void *arena_alloc(struct arena *arena, size_t size)
{
    if (size > SIZE_MAX / 2)
        return NULL;
    size = size ? (size + ALIGN - 1) & ~(size_t)(ALIGN - 1) : ALIGN;

    if (size > (size_t)(arena->end - arena->next) && !block_add(arena, size))
        return NULL;
    void *at = arena->next;
    arena->next += size;
    return at;
}

void *arena_calloc(struct arena *arena, size_t count, size_t size)
{
    size_t total;
    if (__builtin_mul_overflow(count, size, &total))
        return NULL;
    void *at = arena_alloc(arena, total);
    if (at)
        memset(at, 0, total);
    return at;
}

struct bytes arena_copy(struct arena *arena, struct bytes text)
{
    uint8_t *copy = text.len < SIZE_MAX ? arena_alloc(arena, text.len + 1) : NULL;
    if (!copy)
        return bytes_of(NULL, 0);
    if (text.len)
        memcpy(copy, text.ptr, text.len);
    copy[text.len] = 0;
    return bytes_of(copy, text.len);
}

struct bytes arena_printf(struct arena *arena, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (len < 0)
        return bytes_of(NULL, 0);

    char *text = arena_alloc(arena, (size_t)len + 1);
    if (!text)
        return bytes_of(NULL, 0);
    va_start(args, format);
    (void)vsnprintf(text, (size_t)len + 1, format, args);
    va_end(args);
    return bytes_of(text, (size_t)len);
}

static void blocks_free(struct arena_block *block)
{
    while (block) {
        struct arena_block *older = block->older;
        free(block);
        block = older;
    }
}

void arena_reset(struct arena *arena)
{
    struct arena_block *block = arena->block;
    if (!block)
        return;
    blocks_free(block->older);
    block->older = NULL;
    arena->used_bytes = block->size;
    arena->next = (uint8_t *)block + sizeof *block;
}

void arena_done(struct arena *arena)
{
    blocks_free(arena->block);
    arena_init(arena, arena->limit_bytes);
}

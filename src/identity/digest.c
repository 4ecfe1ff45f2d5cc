/*
 * digest.c - SipHash-2-4 (Aumasson and Bernstein), 128 bits.
 *
 * A tombstone says that a key was erased without saying which: whoever doesn't have the project's
 * secret can't test a guess against it, and 128 bits don't collide by chance.
 */
#include "identity/identity_internal.h"

struct sip {
    uint64_t a, b, c, d;
};

static uint64_t rotate(uint64_t value, int bits)
{
    return value << bits | value >> (64 - bits);
}

static void rounds(struct sip *s, int count)
{
    for (int i = 0; i < count; i++) {
        s->a += s->b;
        s->c += s->d;
        s->b = rotate(s->b, 13) ^ s->a;
        s->d = rotate(s->d, 16) ^ s->c;
        s->a = rotate(s->a, 32);
        s->c += s->b;
        s->a += s->d;
        s->b = rotate(s->b, 17) ^ s->c;
        s->d = rotate(s->d, 21) ^ s->a;
        s->c = rotate(s->c, 32);
    }
}

static void take(struct sip *s, uint64_t word)
{
    s->d ^= word;
    rounds(s, 2);
    s->a ^= word;
}

void identity_siphash(const uint64_t key[2], struct bytes text, uint8_t digest[DIGEST_BYTES])
{
    struct sip s = {
        .a = key[0] ^ 0x736f6d6570736575,
        .b = key[1] ^ 0x646f72616e646f6d ^ 0xee,
        .c = key[0] ^ 0x6c7967656e657261,
        .d = key[1] ^ 0x7465646279746573,
    };
    size_t whole = text.len & ~(size_t)7;
    for (size_t i = 0; i < whole; i += 8)
        take(&s, load_le64(text.ptr + i));
    uint64_t last = (uint64_t)text.len << 56;
    for (size_t i = whole; i < text.len; i++)
        last |= (uint64_t)text.ptr[i] << (i - whole) * 8;
    take(&s, last);

    s.c ^= 0xee;
    rounds(&s, 4);
    store_le64(digest, s.a ^ s.b ^ s.c ^ s.d);
    s.b ^= 0xdd;
    rounds(&s, 4);
    store_le64(digest + 8, s.a ^ s.b ^ s.c ^ s.d);
}

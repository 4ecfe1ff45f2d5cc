/*
 * manifest.c - the manifest's bytes.
 *
 *     8  magic; its last byte is the version
 *     4  shards             4  zero
 *     8  position           8  next number           8  living events
 *     then for each shard
 *         varint  rows: all user rows are below
 *         set     dead users    set  those of them that are erased
 *         varint  months, and for each
 *             svarint  month
 *             u8       1: has a base, 2: has a patch
 *             part     base, then set of masked users    (if it has)
 *             part     patch                             (if it has)
 *             varint   runs, and a part for each, oldest first
 *     varint length, bytes: the caller's words
 *     8  XXH3 of everything before
 *
 *     set:  varint count, then for each row, ascending, varint (row - the one before - 1)
 *     part: varint number, varint size, 8 bytes header checksum, varint events, varint users
 */
#include "store/manifest.h"

#include "base/bits.h"
#include "codec/hash.h"

#include <stdlib.h>

enum { HAS_BASE = 1, HAS_PATCH = 2, ROWS_MAX = 1 << 30 };

static struct err no_memory(void)
{
    return err_new(ERR_NOMEM, "store: manifest");
}

struct err manifest_new(uint32_t shards, struct manifest **out)
{
    struct manifest *manifest = calloc(1, sizeof *manifest);
    if (!manifest)
        return no_memory();
    buf_init(&manifest->extra, MANIFEST_BYTES_MAX);
    manifest->shards = shards;
    manifest->next_number = 1;
    manifest->views = calloc(shards, sizeof *manifest->views);
    struct err err = manifest->views ? ok() : no_memory();
    for (uint32_t s = 0; s < shards && !err.code; s++)
        err = shard_view_new(0, NULL, NULL, 0, &manifest->views[s]);
    if (err.code) {
        manifest_free(manifest);
        return err;
    }
    *out = manifest;
    return ok();
}

struct err manifest_copy(const struct manifest *from, struct manifest **out)
{
    struct manifest *manifest = NULL;
    struct err err = manifest_new(from->shards, &manifest);
    if (err.code)
        return err;
    manifest->position = from->position;
    manifest->next_number = from->next_number;
    manifest->events = from->events;
    for (uint32_t s = 0; s < from->shards; s++)
        manifest_set(manifest, s, shard_view_ref(from->views[s]));
    buf_put(&manifest->extra, buf_bytes(&from->extra));
    err = buf_err(&manifest->extra);
    if (err.code)
        manifest_free(manifest);
    else
        *out = manifest;
    return err;
}

void manifest_free(struct manifest *manifest)
{
    if (!manifest)
        return;
    for (uint32_t s = 0; manifest->views && s < manifest->shards; s++)
        shard_view_unref(manifest->views[s]);
    free(manifest->views);
    buf_done(&manifest->extra);
    free(manifest);
}

void manifest_set(struct manifest *manifest, uint32_t shard, struct shard_view *view)
{
    shard_view_unref(manifest->views[shard]);
    manifest->views[shard] = view;
}

/* --- writing ---------------------------------------------------------------------- */

static void put_set(struct buf *to, const struct row_set *set)
{
    buf_put_varint(to, set ? set->count : 0);
    uint64_t next = 0;
    for (size_t w = 0; set && w < bits_words(set->rows); w++) {
        uint64_t word = set->bits[w];
        for (; word; word &= word - 1) {
            uint64_t row = w * 64 + (uint64_t)__builtin_ctzll(word);
            buf_put_varint(to, row - next);
            next = row + 1;
        }
    }
}

static void put_part(struct buf *to, const struct part *part)
{
    assert(!part->image);
    buf_put_varint(to, part->number);
    buf_put_varint(to, part->size);
    buf_put_le64(to, part->header_sum);
    buf_put_varint(to, part->rows);
    buf_put_varint(to, part->users);
}

static void put_month(struct buf *to, const struct month_view *month)
{
    buf_put_svarint(to, month->month);
    buf_put_u8(to, (uint8_t)((month->base ? HAS_BASE : 0) | (month->patch ? HAS_PATCH : 0)));
    if (month->base) {
        put_part(to, month->base);
        put_set(to, month->mask);
    }
    if (month->patch)
        put_part(to, month->patch);
    buf_put_varint(to, month->run_count);
    for (uint32_t i = 0; i < month->run_count; i++)
        put_part(to, month->runs[i]);
}

void manifest_put(const struct manifest *manifest, struct buf *to)
{
    size_t start = to->len;
    buf_put(to, BYTES(MANIFEST_MAGIC));
    buf_put_le32(to, manifest->shards);
    buf_put_le32(to, 0);
    buf_put_le64(to, manifest->position);
    buf_put_le64(to, manifest->next_number);
    buf_put_le64(to, manifest->events);
    for (uint32_t s = 0; s < manifest->shards; s++) {
        const struct shard_view *view = manifest->views[s];
        buf_put_varint(to, view->rows);
        put_set(to, view->dead ? view->dead->all : NULL);
        put_set(to, view->dead ? view->dead->erased : NULL);
        buf_put_varint(to, view->month_count);
        for (uint32_t m = 0; m < view->month_count; m++)
            put_month(to, view->months[m]);
    }
    buf_put_prefixed(to, buf_bytes(&manifest->extra));
    if (!to->is_failed)
        buf_put_le64(to, xxh3_64(bytes_of(to->ptr + start, to->len - start), 0));
}

/* --- reading -------------------------------------------------------------------------- */

static struct err bad(void)
{
    return err_new(ERR_CORRUPT, "store: the manifest");
}

/* Where the set's last row lies, without making it. False: not a set below `rows`. */
static bool measure_set(struct reader reader, uint64_t rows, uint64_t *count_out)
{
    uint64_t count = reader_varint(&reader);
    uint64_t next = 0;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t delta = reader_varint(&reader);
        if (reader.is_failed || delta >= rows || next + delta >= rows)
            return false;
        next += delta + 1;
    }
    *count_out = count;
    return !reader.is_failed;
}

/* *out NULL: empty. */
static struct err parse_set(struct reader *reader, uint64_t rows, struct row_set **out)
{
    uint64_t count = 0;
    *out = NULL;
    if (!measure_set(*reader, rows, &count))
        return bad();
    (void)reader_varint(reader);
    if (count == 0)
        return ok();
    struct err err = row_set_new((uint32_t)rows, out);
    if (err.code)
        return err;
    uint64_t next = 0;
    for (uint64_t i = 0; i < count; i++) {
        next += reader_varint(reader);
        row_set_add(*out, (uint32_t)next++);
    }
    return ok();
}

struct parser {
    struct reader reader;
    struct part_home *home;
    uint32_t shard;
    uint64_t rows;
    uint64_t next_number;
};

static struct err parse_part(struct parser *p, int32_t month, struct part **out)
{
    struct part_name name = { .shard = p->shard, .month = month };
    name.number = reader_varint(&p->reader);
    name.size = reader_varint(&p->reader);
    name.header_sum = reader_le64(&p->reader);
    uint64_t rows = reader_varint(&p->reader);
    uint64_t users = reader_varint(&p->reader);
    if (p->reader.is_failed || rows > UINT32_MAX || users > rows || name.number >= p->next_number)
        return bad();
    name.rows = (uint32_t)rows;
    name.users = (uint32_t)users;
    return part_of_file(p->home, &name, out);
}

struct loose_month {
    struct part *base;
    struct row_set *mask;
    struct part *patch;
    struct part **runs;
    uint32_t run_count;
};

static struct err parse_loose(struct parser *p, int32_t month, struct loose_month *out)
{
    uint8_t has = reader_u8(&p->reader);
    struct err err = p->reader.is_failed || has > (HAS_BASE | HAS_PATCH) ? bad() : ok();
    if (!err.code && has & HAS_BASE)
        err = parse_part(p, month, &out->base);
    if (!err.code && has & HAS_BASE)
        err = parse_set(&p->reader, p->rows, &out->mask);
    if (!err.code && has & HAS_PATCH)
        err = parse_part(p, month, &out->patch);
    if (err.code)
        return err;
    uint64_t runs = reader_varint(&p->reader);
    if (p->reader.is_failed || runs > reader_left(&p->reader))
        return bad();
    out->runs = calloc(runs + 1, sizeof(struct part *));
    if (!out->runs)
        return no_memory();
    while (out->run_count < runs && !err.code) {
        err = parse_part(p, month, &out->runs[out->run_count]);
        out->run_count += !err.code;
    }
    return err;
}

static struct err parse_month(struct parser *p, struct month_view **out)
{
    struct loose_month loose = { 0 };
    int64_t month = reader_svarint(&p->reader);
    struct err err = ok();
    if (month < civil_month_of_ms(TIME_MS_MIN) || month > civil_month_of_ms(TIME_MS_MAX))
        err = bad();
    if (!err.code)
        err = parse_loose(p, (int32_t)month, &loose);
    if (!err.code)
        err = month_view_new((int32_t)month, loose.base, loose.mask, loose.patch, loose.runs,
                             loose.run_count, out);
    part_unref(loose.base);
    row_set_unref(loose.mask);
    part_unref(loose.patch);
    for (uint32_t i = 0; i < loose.run_count; i++)
        part_unref(loose.runs[i]);
    free(loose.runs);
    return err;
}

static struct err parse_months(struct parser *p, struct month_view **months, uint32_t count)
{
    for (uint32_t m = 0; m < count; m++) {
        struct err err = parse_month(p, &months[m]);
        if (err.code)
            return err;
        if (m > 0 && months[m]->month <= months[m - 1]->month)
            return bad();
    }
    return ok();
}

static struct err parse_shard(struct parser *p, struct shard_view **out)
{
    struct row_set *all = NULL;
    struct row_set *erased = NULL;
    struct dead_set *dead = NULL;
    struct month_view **months = NULL;
    p->rows = reader_varint(&p->reader);
    struct err err = p->reader.is_failed || p->rows > ROWS_MAX ? bad() : ok();
    if (!err.code)
        err = parse_set(&p->reader, p->rows, &all);
    if (!err.code)
        err = parse_set(&p->reader, p->rows, &erased);
    if (!err.code)
        err = dead_set_new(all ? 1 : 0, all, erased, &dead);
    uint64_t count = err.code ? 0 : reader_varint(&p->reader);
    if (!err.code && (p->reader.is_failed || count > reader_left(&p->reader)))
        err = bad();
    if (!err.code) {
        months = calloc(count + 1, sizeof(struct month_view *));
        err = months ? parse_months(p, months, (uint32_t)count) : no_memory();
    }
    if (!err.code)
        err = shard_view_new((uint32_t)p->rows, dead, months, (uint32_t)count, out);
    for (uint64_t m = 0; months && m < count; m++)
        month_view_unref(months[m]);
    free(months);
    dead_set_unref(dead);
    row_set_unref(all);
    row_set_unref(erased);
    return err;
}

static struct err parse_body(struct parser *p, struct manifest *manifest)
{
    for (uint32_t s = 0; s < manifest->shards; s++) {
        struct shard_view *view = NULL;
        p->shard = s;
        struct err err = parse_shard(p, &view);
        if (err.code)
            return err;
        manifest_set(manifest, s, view);
    }
    buf_put(&manifest->extra, reader_prefixed(&p->reader));
    struct err err = buf_err(&manifest->extra);
    return err.code ? err : reader_err(&p->reader, true);
}

struct err manifest_parse(struct bytes from, struct part_home *home, struct manifest **out)
{
    if (from.len < 8 + 8 + 24 + 8)
        return bad();
    struct bytes body = bytes_of(from.ptr, from.len - 8);
    struct parser p = { .reader = reader_of(body), .home = home };
    if (!bytes_equal(reader_take(&p.reader, 8), BYTES(MANIFEST_MAGIC)))
        return err_new(ERR_CORRUPT, "store: not a manifest of this version");
    if (xxh3_64(body, 0) != load_le64(from.ptr + body.len))
        return bad();
    uint32_t shards = reader_le32(&p.reader);
    if (reader_le32(&p.reader) != 0 || shards == 0 || shards > MANIFEST_SHARDS_MAX)
        return bad();
    struct manifest *manifest = NULL;
    struct err err = manifest_new(shards, &manifest);
    if (err.code)
        return err;
    manifest->position = reader_le64(&p.reader);
    manifest->next_number = reader_le64(&p.reader);
    manifest->events = reader_le64(&p.reader);
    p.next_number = manifest->next_number;
    err = parse_body(&p, manifest);
    if (err.code)
        manifest_free(manifest);
    else
        *out = manifest;
    return err;
}

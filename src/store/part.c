/*
 * part.c - parts as things: made, shared, loaded, gone; and their header and directory.
 *
 *     header, 128 bytes
 *          0  8  magic; its last byte is the version
 *          8  8  number: unique in the store, never used again
 *         16  4  shard             20  4  shards of the store
 *         24  4  month             28  4  users
 *         32  4  events            36  4  first row
 *         40  4  last row          44  4  zero
 *         48  8  first seq         56  8  last seq
 *         64  4  mini-tables       68  4  sections
 *         72  4  sections of the whole part, which come first
 *         76  4  zero
 *         80  8  directory's offset    88  8  its size    96  8  its checksum
 *        104  8  size of the part     112  8  zero
 *        120  8  checksum of the 120 bytes before
 *
 *     directory: mini-tables (32 bytes each), sections (32 each), zone name (1 + n)
 *
 * A checksum is XXH3 seeded with the part's number and the offset: a block that's whole but lies in
 * the wrong place, or in the wrong file, doesn't check. The manifest holds the header's checksum and
 * so pins the whole file.
 */
#include "store/part.h"

#include "codec/hash.h"
#include "store/view.h"

#include <stdio.h>
#include <stdlib.h>

uint64_t part_checksum(uint64_t number, uint64_t offset, struct bytes content)
{
    return xxh3_64(content, number * UINT64_C(0x9e3779b97f4a7c15) + offset);
}

uint64_t part_header_sum(struct bytes header)
{
    return xxh3_64(bytes_of(header.ptr, PART_HEADER_SIZE - 8), 0);
}

/* --- names -------------------------------------------------------------------- */

void part_path(const struct part_home *home, uint32_t shard, int32_t month, uint64_t number,
               char *to)
{
    struct civil_date date = { .year = 1970, .month = 1, .day = 1 };
    int64_t months = (int64_t)1970 * 12 + month;
    date.year = (int)(months / 12);
    date.month = (int)(months % 12) + 1;
    (void)snprintf(to, PART_NAME_MAX, "%s/shard-%03u/%04d-%02d-%016llx.part", home->dir, shard,
                   date.year, date.month, (unsigned long long)number);
}

static bool parse_digits(const char *text, size_t count, uint32_t base, uint64_t *out)
{
    uint64_t value = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t digit = base;
        if (text[i] >= '0' && text[i] <= '9')
            digit = (uint32_t)(text[i] - '0');
        else if (text[i] >= 'a' && text[i] <= 'f')
            digit = (uint32_t)(text[i] - 'a') + 10;
        if (digit >= base)
            return false;
        value = value * base + digit;
    }
    *out = value;
    return true;
}

bool part_name_parse(const char *name, int32_t *month_out, uint64_t *number_out)
{
    uint64_t year = 0;
    uint64_t month = 0;
    if (strlen(name) != 29 || name[4] != '-' || name[7] != '-' || strcmp(name + 24, ".part") != 0)
        return false;
    if (!parse_digits(name, 4, 10, &year) || !parse_digits(name + 5, 2, 10, &month) || month < 1 ||
        month > 12 || !parse_digits(name + 8, 16, 16, number_out))
        return false;
    *month_out = (int32_t)((int64_t)year * 12 + (int64_t)month - 1 - 1970 * 12);
    return true;
}

/* --- lifetime ------------------------------------------------------------------- */

static struct part *new_part(struct part_home *home)
{
    struct part *part = calloc(1, sizeof *part);
    if (!part)
        return NULL;
    atomic_init(&part->refs, 1);
    atomic_init(&part->is_loaded, false);
    mutex_init(&part->lock);
    part->home = home;
    return part;
}

struct err part_of_image(struct part_home *home, uint8_t *image, size_t size, struct part **out)
{
    struct part *part = new_part(home);
    if (!part) {
        free(image);
        return err_new(ERR_NOMEM, "store: part");
    }
    part->image = image;
    part->size = size;
    struct err err = part_load(part);
    if (err.code) {
        part_unref(part);
        return err;
    }
    part->number = part->head.number;
    part->shard = part->head.shard;
    part->month = part->head.month;
    part->rows = part->head.events;
    part->users = part->head.users;
    part->header_sum = load_le64(image + PART_HEADER_SIZE - 8);
    *out = part;
    return ok();
}

struct err part_of_file(struct part_home *home, const struct part_name *name, struct part **out)
{
    struct part *part = new_part(home);
    if (!part)
        return err_new(ERR_NOMEM, "store: part");
    part->number = name->number;
    part->shard = name->shard;
    part->month = name->month;
    part->size = name->size;
    part->header_sum = name->header_sum;
    part->rows = name->rows;
    part->users = name->users;
    *out = part;
    return ok();
}

struct part *part_ref(struct part *part)
{
    atomic_fetch_add_explicit(&part->refs, 1, memory_order_relaxed);
    return part;
}

static void remove_file(struct part *part)
{
    char path[PART_NAME_MAX];
    part_path(part->home, part->shard, part->month, part->number, path);
    struct err err = disk_remove(part->home->disk, path);
    (void)err; /* what stays behind is removed at the next opening */
}

void part_unref(struct part *part)
{
    if (!part || atomic_fetch_sub_explicit(&part->refs, 1, memory_order_acq_rel) > 1)
        return;
    if (part->slots)
        for (uint32_t i = 0; i < part->head.section_count; i++)
            cache_drop(part->home->cache, &part->slots[i]);
    if (!part->image && !part->home->is_closing)
        remove_file(part);
    part_head_done(&part->head);
    free(part->slots);
    free(part->image);
    mutex_done(&part->lock);
    free(part);
}

/* --- header and directory ----------------------------------------------------------- */

static struct err bad(const char *what)
{
    return err_new(ERR_CORRUPT, what);
}

struct err part_parse_header(struct bytes header, uint64_t size, struct part_head *head_out,
                             uint64_t *dir_offset_out, uint64_t *dir_size_out,
                             uint64_t *dir_sum_out)
{
    struct reader r = reader_of(header);
    if (header.len != PART_HEADER_SIZE)
        return bad("store: not a part of this version");
    struct bytes magic = reader_take(&r, 8);
    if (!bytes_equal(magic, BYTES(PART_MAGIC)) && !bytes_equal(magic, BYTES(PART_MAGIC_1)))
        return bad("store: not a part of this version");
    if (part_header_sum(header) != load_le64(header.ptr + PART_HEADER_SIZE - 8))
        return bad("store: a part's header");

    struct part_head head = { .number = reader_le64(&r) };
    head.shard = reader_le32(&r);
    head.shards = reader_le32(&r);
    head.month = (int32_t)reader_le32(&r);
    head.users = reader_le32(&r);
    head.events = reader_le32(&r);
    head.first_row = reader_le32(&r);
    head.last_row = reader_le32(&r);
    uint64_t zero = reader_le32(&r);
    head.first_seq = reader_le64(&r);
    head.last_seq = reader_le64(&r);
    head.table_count = reader_le32(&r);
    head.section_count = reader_le32(&r);
    head.shared_sections = reader_le32(&r);
    zero |= reader_le32(&r);
    uint64_t dir_offset = reader_le64(&r);
    uint64_t dir_size = reader_le64(&r);
    uint64_t dir_sum = reader_le64(&r);
    uint64_t own_size = reader_le64(&r);
    zero |= reader_le64(&r);

    bool fits = own_size == size && dir_offset >= PART_HEADER_SIZE && dir_offset <= size &&
                dir_size == size - dir_offset && zero == 0;
    uint64_t entries = (uint64_t)head.table_count * PART_TABLE_SIZE +
                       (uint64_t)head.section_count * PART_SECTION_SIZE;
    if (!fits || head.table_count > PART_TABLES_MAX || dir_size < entries + 1 ||
        dir_size > entries + 1 + PART_ZONE_MAX || head.shared_sections > head.section_count ||
        head.shards == 0 || head.shard >= head.shards || head.last_row < head.first_row ||
        head.users > head.events)
        return bad("store: a part's header");
    *head_out = head;
    *dir_offset_out = dir_offset;
    *dir_size_out = dir_size;
    *dir_sum_out = dir_sum;
    return ok();
}

static bool parse_table(struct reader *r, const struct part_head *head, struct part_table *table)
{
    table->event = reader_le32(r);
    table->users = reader_le32(r);
    table->events = reader_le32(r);
    table->first_time = reader_le32(r);
    table->last_time = reader_le32(r);
    table->section = reader_le32(r);
    table->section_count = reader_le32(r);
    uint32_t zero = reader_le32(r);
    return zero == 0 && table->users > 0 && table->users <= table->events &&
           table->events <= head->events && table->users <= head->users &&
           table->first_time <= table->last_time && table->section <= head->section_count &&
           table->section_count <= head->section_count - table->section;
}

static bool parse_section(struct reader *r, uint64_t dir_offset, struct part_section *section)
{
    section->kind = (enum section_kind)reader_u8(r);
    section->type = (enum value_type)reader_u8(r);
    uint32_t zero = reader_le16(r);
    section->property = reader_le32(r);
    section->offset = reader_le64(r);
    section->size = reader_le64(r);
    section->checksum = reader_le64(r);
    return zero == 0 && section->kind > 0 && section->kind < SECTION_KINDS &&
           section->type < VALUE_TYPES && section->offset >= PART_HEADER_SIZE &&
           section->offset <= dir_offset && section->size <= dir_offset - section->offset;
}

static bool parse_entries(struct reader *r, uint64_t dir_offset, struct part_head *head)
{
    uint64_t events = 0;
    for (uint32_t i = 0; i < head->table_count; i++) {
        struct part_table *table = &head->tables[i];
        if (!parse_table(r, head, table) || (i > 0 && table->event <= table[-1].event))
            return false;
        events += table->events;
    }
    for (uint32_t i = 0; i < head->section_count; i++)
        if (!parse_section(r, dir_offset, &head->sections[i]))
            return false;
    struct bytes zone = reader_take(r, reader_u8(r));
    if (r->is_failed || reader_left(r) != 0 || events != head->events)
        return false;
    if (zone.len > 0)
        memcpy(head->zone, zone.ptr, zone.len);
    head->zone[zone.len] = '\0';
    return true;
}

struct err part_parse_directory(struct bytes directory, uint64_t dir_offset, struct part_head *head)
{
    head->tables = calloc(head->table_count + 1u, sizeof *head->tables);
    head->sections = calloc(head->section_count + 1u, sizeof *head->sections);
    struct reader r = reader_of(directory);
    struct err err = ok();
    if (!head->tables || !head->sections)
        err = err_new(ERR_NOMEM, "store: a part's directory");
    else if (!parse_entries(&r, dir_offset, head))
        err = bad("store: a part's directory");
    if (err.code)
        part_head_done(head);
    return err;
}

void part_head_done(struct part_head *head)
{
    free(head->tables);
    free(head->sections);
    head->tables = NULL;
    head->sections = NULL;
}

/* --- loading ----------------------------------------------------------------------------- */

static struct err open_file(const struct part *part, struct disk_file **out)
{
    char path[PART_NAME_MAX];
    part_path(part->home, part->shard, part->month, part->number, path);
    struct err err = disk_open(part->home->disk, path, DISK_READ, out);
    return err.code == ERR_MISSING ? bad("store: a part's file is missing") : err;
}

static struct err read_head(struct part *part, struct disk_file *file, struct part_head *head)
{
    uint8_t header[PART_HEADER_SIZE];
    uint64_t offset = 0;
    uint64_t size = 0;
    uint64_t sum = 0;
    struct err err = file_read(file, 0, header, sizeof header);
    if (err.code)
        return err;
    struct bytes bytes = bytes_of(header, sizeof header);
    err = part_parse_header(bytes, part->size, head, &offset, &size, &sum);
    if (err.code)
        return err;
    if (load_le64(header + PART_HEADER_SIZE - 8) != part->header_sum ||
        head->number != part->number || head->shard != part->shard || head->month != part->month ||
        head->events != part->rows || head->users != part->users)
        return bad("store: a part isn't the one that the manifest names");

    uint8_t *directory = malloc(size);
    if (!directory)
        return err_new(ERR_NOMEM, "store: a part's directory");
    err = file_read(file, offset, directory, size);
    if (!err.code && part_checksum(part->number, offset, bytes_of(directory, size)) != sum)
        err = bad("store: a part's directory");
    if (!err.code)
        err = part_parse_directory(bytes_of(directory, size), offset, head);
    free(directory);
    return err;
}

static struct err load_image(struct part *part, struct part_head *head)
{
    uint64_t offset = 0;
    uint64_t size = 0;
    uint64_t sum = 0;
    if (part->size < PART_HEADER_SIZE)
        return bad("store: a part's header");
    struct err err = part_parse_header(bytes_of(part->image, PART_HEADER_SIZE), part->size, head,
                                       &offset, &size, &sum);
    if (err.code)
        return err;
    return part_parse_directory(bytes_of(part->image + offset, size), offset, head);
}

static struct err load_locked(struct part *part)
{
    if (atomic_load_explicit(&part->is_loaded, memory_order_relaxed))
        return ok();
    struct part_head head = { 0 };
    struct disk_file *file = NULL;
    struct err err = ok();
    if (part->image) {
        err = load_image(part, &head);
    } else {
        err = open_file(part, &file);
        if (!err.code)
            err = read_head(part, file, &head);
        file_close(file);
    }
    if (err.code)
        return err;
    if (!part->image) {
        part->slots = calloc(head.section_count + 1u, sizeof *part->slots);
        if (!part->slots) {
            part_head_done(&head);
            return err_new(ERR_NOMEM, "store: a part's directory");
        }
    }
    part->head = head;
    atomic_store_explicit(&part->is_loaded, true, memory_order_release);
    return ok();
}

struct err part_load(struct part *part)
{
    if (atomic_load_explicit(&part->is_loaded, memory_order_acquire))
        return ok();
    mutex_lock(&part->lock);
    struct err err = load_locked(part);
    mutex_unlock(&part->lock);
    return err;
}

static struct err read_section(struct part *part, uint32_t index, struct cache_entry **out)
{
    const struct part_section *section = &part->head.sections[index];
    struct cache_entry *entry = cache_make(section->size);
    struct disk_file *file = NULL;
    if (!entry)
        return err_new(ERR_NOMEM, "store: read a section");
    struct err err = open_file(part, &file);
    if (!err.code)
        err = file_read(file, section->offset, entry->data, section->size);
    file_close(file);
    if (!err.code && part_checksum(part->number, section->offset,
                                   bytes_of(entry->data, section->size)) != section->checksum)
        err = bad("store: a section doesn't check");
    if (err.code) {
        free(entry);
        return err;
    }
    *out = cache_put(part->home->cache, &part->slots[index], entry);
    return ok();
}

struct err part_open_section(struct part *part, uint32_t section, struct part_view *out)
{
    assert(section < part->head.section_count);
    const struct part_section *entry = &part->head.sections[section];
    if (part->image) {
        *out = (struct part_view){ .bytes = bytes_of(part->image + entry->offset, entry->size) };
        return ok();
    }
    struct cache_entry *cached = cache_pin(part->home->cache, &part->slots[section]);
    if (!cached) {
        struct err err = read_section(part, section, &cached);
        if (err.code)
            return err;
    }
    *out = (struct part_view){ .bytes = bytes_of(cached->data, cached->size), .entry = cached };
    return ok();
}

void part_close_section(struct part *part, struct part_view *view)
{
    if (view->entry)
        cache_unpin(part->home->cache, view->entry);
    *view = (struct part_view){ 0 };
}

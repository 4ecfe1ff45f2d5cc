/*
 * writer.c - builds a batch.
 *
 * Everything that an upload holds goes through here, so the writer keeps all its room between
 * batches and touches each string once: hash, compare with the string found, done.
 *
 * Strings get dense numbers in the order of their first use. The table that finds them is open
 * addressing with linear probing over (part of the hash, number); it starts small for each batch, so
 * that resetting after a large batch doesn't clear a large table, and doubles inside the memory that
 * it has had before.
 *
 * command_abandon takes out the strings that only the abandoned command used. Under linear probing
 * the newest entry may simply be emptied, since nothing was placed after it that had to step over it;
 * so entries go newest first. (Growing places all strings in the order of their numbers, which keeps
 * this true.)
 *
 * A failure (no memory, a batch too large) is remembered, and command_writer_finish tells it; until
 * then calls are ignored where they have no room.
 */
#include "command/command.h"

#include "base/map.h"
#include "command/format.h"

#include <math.h>
#include <stdlib.h>

enum { SLOTS_MIN = 256, ROOM_MIN = 4096, SECTIONS_MIN = 16 };

/* Growing bytes without a check a byte: callers ask for the most they may write. */
struct room {
    uint8_t *ptr;
    size_t len;
    size_t cap;
};

struct text {
    uint32_t offset;
    uint32_t len;
    uint32_t hash;
    uint32_t named_in; /* the last section where it was a property's name */
};

struct slot {
    uint32_t hash;
    uint32_t number_plus_1; /* 0: empty */
};

/* Where one item's properties end in `body`, and how many they are. */
struct section {
    size_t end;
    uint32_t count;
};

struct ref {
    enum ref_kind kind;
    uint32_t text;
};

struct command_writer {
    enum err_code failure;
    int64_t received_ms;

    struct room text; /* the strings, one after the other */
    struct text *texts;
    uint32_t text_count;
    size_t texts_cap;
    struct slot *slots;
    size_t slots_cap;
    uint32_t mask; /* of the slots in use now */

    struct room commands;
    uint32_t count;
    uint32_t properties_max;
    uint32_t items_max;
    uint32_t list_max;

    /* The command being written. */
    bool is_open;
    enum command_kind kind;
    int64_t time_ms;
    uint8_t flags;
    uint32_t name;
    uint32_t event_id;
    struct ref refs[COMMAND_REFS_MAX];
    uint32_t ref_count;
    struct room body;         /* its properties, with those of items */
    struct section *sections; /* [0]: its own; then one an item */
    size_t sections_cap;
    uint32_t section;
    uint32_t section_number; /* counts all sections of the batch, from 1 */
    bool has_twins;
    uint32_t list_count;
    uint32_t text_count_before;

    struct room batch;
};

static void fail(struct command_writer *writer, enum err_code code)
{
    if (!writer->failure)
        writer->failure = code;
}

static uint8_t *room_grow(struct command_writer *writer, struct room *room, size_t size)
{
    if (size > COMMAND_BATCH_MAX || room->len + size > COMMAND_BATCH_MAX) {
        fail(writer, ERR_LIMIT);
        return NULL;
    }
    size_t cap = room->cap ? room->cap : ROOM_MIN;
    while (cap < room->len + size)
        cap *= 2;
    uint8_t *ptr = realloc(room->ptr, cap);
    if (!ptr) {
        fail(writer, ERR_NOMEM);
        return NULL;
    }
    room->ptr = ptr;
    room->cap = cap;
    return ptr + room->len;
}

/* Room for `size` more bytes, or NULL and the writer has failed. */
static inline uint8_t *room_reserve(struct command_writer *writer, struct room *room, size_t size)
{
    if (size <= room->cap - room->len)
        return room->ptr + room->len;
    return room_grow(writer, room, size);
}

static inline void room_close(struct room *room, const uint8_t *end)
{
    room->len = (size_t)(end - room->ptr);
}

static inline uint8_t *put_varint(uint8_t *to, uint64_t value)
{
    while (value > 0x7f) {
        *to++ = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    *to++ = (uint8_t)value;
    return to;
}

static inline uint8_t *put_bytes(uint8_t *to, const uint8_t *from, size_t len)
{
    if (len)
        memcpy(to, from, len);
    return to + len;
}

/* --- strings -------------------------------------------------------------------- */

static void place(struct command_writer *writer, uint32_t number)
{
    uint32_t hash = writer->texts[number].hash;
    uint32_t at = hash & writer->mask;
    while (writer->slots[at].number_plus_1)
        at = (at + 1) & writer->mask;
    writer->slots[at] = (struct slot){ .hash = hash, .number_plus_1 = number + 1 };
}

static bool slots_resize(struct command_writer *writer, size_t slots)
{
    if (slots > writer->slots_cap) {
        struct slot *grown = realloc(writer->slots, slots * sizeof *grown);
        if (!grown)
            return false;
        writer->slots = grown;
        writer->slots_cap = slots;
    }
    writer->mask = (uint32_t)(slots - 1);
    memset(writer->slots, 0, slots * sizeof *writer->slots);
    for (uint32_t i = 0; i < writer->text_count; i++)
        place(writer, i);
    return true;
}

static bool texts_have_room(struct command_writer *writer)
{
    if (writer->text_count < writer->texts_cap)
        return true;
    size_t cap = writer->texts_cap ? writer->texts_cap * 2 : SLOTS_MIN;
    struct text *grown = realloc(writer->texts, cap * sizeof *grown);
    if (!grown)
        return false;
    writer->texts = grown;
    writer->texts_cap = cap;
    return true;
}

/* A string that isn't there: number 0 when there's no room (and the writer has failed). */
static uint32_t text_add(struct command_writer *writer, struct bytes text, uint32_t hash)
{
    if (writer->text_count >= (writer->mask >> 1) + 1 &&
        !slots_resize(writer, ((size_t)writer->mask + 1) * 2)) {
        fail(writer, ERR_NOMEM);
        return 0;
    }
    if (!texts_have_room(writer)) {
        fail(writer, ERR_NOMEM);
        return 0;
    }
    uint8_t *to = room_reserve(writer, &writer->text, text.len);
    if (!to && text.len)
        return 0;
    if (text.len)
        memcpy(to, text.ptr, text.len);
    writer->texts[writer->text_count] = (struct text){ .offset = (uint32_t)writer->text.len,
                                                       .len = (uint32_t)text.len,
                                                       .hash = hash };
    writer->text.len += text.len;
    place(writer, writer->text_count);
    return writer->text_count++;
}

static uint32_t text_put(struct command_writer *writer, struct bytes text)
{
    uint64_t wide = hash_bytes(text);
    uint32_t hash = (uint32_t)(wide ^ wide >> 32);
    for (uint32_t at = hash & writer->mask;; at = (at + 1) & writer->mask) {
        struct slot slot = writer->slots[at];
        if (!slot.number_plus_1)
            return text_add(writer, text, hash);
        if (slot.hash != hash)
            continue;
        const struct text *known = &writer->texts[slot.number_plus_1 - 1];
        if (known->len == text.len &&
            (text.len == 0 || memcmp(writer->text.ptr + known->offset, text.ptr, text.len) == 0))
            return slot.number_plus_1 - 1;
    }
}

/* Forgets the strings from number `count` on, newest first. */
static void texts_cut(struct command_writer *writer, uint32_t count)
{
    while (writer->text_count > count) {
        const struct text *last = &writer->texts[--writer->text_count];
        uint32_t at = last->hash & writer->mask;
        while (writer->slots[at].number_plus_1 != writer->text_count + 1)
            at = (at + 1) & writer->mask;
        writer->slots[at] = (struct slot){ 0 };
        writer->text.len = last->offset;
    }
}

/* --- life -------------------------------------------------------------------------- */

struct err command_writer_new(struct command_writer **out)
{
    struct command_writer *writer = calloc(1, sizeof *writer);
    if (!writer)
        return err_new(ERR_NOMEM, "command: new writer");
    writer->sections = calloc(SECTIONS_MIN, sizeof *writer->sections);
    writer->sections_cap = SECTIONS_MIN;
    if (!writer->sections || !slots_resize(writer, SLOTS_MIN)) {
        command_writer_free(writer);
        return err_new(ERR_NOMEM, "command: new writer");
    }
    *out = writer;
    return ok();
}

void command_writer_free(struct command_writer *writer)
{
    if (!writer)
        return;
    free(writer->text.ptr);
    free(writer->texts);
    free(writer->slots);
    free(writer->commands.ptr);
    free(writer->body.ptr);
    free(writer->sections);
    free(writer->batch.ptr);
    free(writer);
}

void command_writer_reset(struct command_writer *writer, int64_t received_ms)
{
    writer->failure = ERR_NONE;
    writer->received_ms = received_ms;
    writer->text.len = 0;
    writer->text_count = 0;
    writer->mask = SLOTS_MIN - 1;
    memset(writer->slots, 0, SLOTS_MIN * sizeof *writer->slots);
    writer->commands.len = 0;
    writer->count = 0;
    writer->properties_max = 0;
    writer->items_max = 0;
    writer->list_max = 0;
    writer->section_number = 0;
    writer->is_open = false;
}

/* --- one command ------------------------------------------------------------------- */

void command_begin(struct command_writer *writer, enum command_kind kind, int64_t time_ms)
{
    assert(!writer->is_open);
    assert(kind >= COMMAND_EVENT && kind <= COMMAND_SETTING);

    writer->is_open = true;
    writer->kind = kind;
    writer->time_ms = time_ms;
    writer->flags = 0;
    writer->ref_count = 0;
    writer->body.len = 0;
    writer->section = 0;
    writer->sections[0].count = 0;
    writer->section_number++;
    writer->has_twins = false;
    writer->list_count = 0;
    writer->text_count_before = writer->text_count;
}

void command_ref(struct command_writer *writer, enum ref_kind kind, struct bytes text)
{
    assert(writer->is_open && writer->ref_count < COMMAND_REFS_MAX);
    assert(kind >= REF_IDENTITY && kind <= REF_USER);
    writer->refs[writer->ref_count++] =
        (struct ref){ .kind = kind, .text = text_put(writer, text) };
}

void command_name(struct command_writer *writer, struct bytes name, bool is_folded)
{
    assert(writer->is_open);
    writer->name = text_put(writer, name);
    writer->flags |= (uint8_t)(COMMAND_HAS_NAME | (is_folded ? COMMAND_NAME_IS_FOLDED : 0));
}

void command_event_id(struct command_writer *writer, struct bytes id)
{
    assert(writer->is_open);
    if (id.len == 0)
        return;
    writer->event_id = text_put(writer, id);
    writer->flags |= COMMAND_HAS_EVENT_ID;
}

static void put_list(struct command_writer *writer, const struct value *value)
{
    uint8_t *to = room_reserve(writer, &writer->body, ((size_t)value->count + 1) * VARINT32_MAX);
    if (!to)
        return;
    to = put_varint(to, value->count);
    for (uint32_t i = 0; i < value->count; i++)
        to = put_varint(to, text_put(writer, value->items[i]));
    writer->list_count += value->count;
    room_close(&writer->body, to);
}

static uint8_t *put_scalar(struct command_writer *writer, uint8_t *to, const struct value *value)
{
    switch (value->type) {
    case VALUE_BOOL:
        *to++ = value->boolean;
        return to;
    case VALUE_INT:
        return put_varint(to, zigzag(value->integer));
    case VALUE_REAL: {
        assert(isfinite(value->real));
        uint64_t image;
        memcpy(&image, &value->real, sizeof image);
        store_le64(to, image);
        return to + sizeof image;
    }
    case VALUE_STRING:
        return put_varint(to, text_put(writer, value->string));
    case VALUE_TIME:
        return put_varint(to, zigzag(value->time_ms));
    case VALUE_NULL:
    case VALUE_LIST:
    case VALUE_TYPES:
        break;
    }
    return to;
}

void command_property(struct command_writer *writer, struct bytes name, enum property_op op,
                      const struct value *value)
{
    assert(writer->is_open);
    assert(op <= PROPERTY_DELETE && value->type < VALUE_TYPES);
    struct section *section = &writer->sections[writer->section];
    if (section->count == COMMAND_PROPERTIES_MAX) {
        fail(writer, ERR_LIMIT);
        return;
    }
    uint32_t name_index = text_put(writer, name);
    uint8_t *to = room_reserve(writer, &writer->body, VARINT32_MAX + 1 + VARINT64_MAX);
    if (!to || writer->failure)
        return;
    writer->has_twins |= writer->texts[name_index].named_in == writer->section_number;
    writer->texts[name_index].named_in = writer->section_number;
    to = put_varint(to, name_index);
    *to++ = (uint8_t)((unsigned)op << PROPERTY_OP_SHIFT | (unsigned)value->type);
    to = put_scalar(writer, to, value);
    room_close(&writer->body, to);
    if (value->type == VALUE_LIST)
        put_list(writer, value);
    section->count++;
}

bool command_has_twins(const struct command_writer *writer)
{
    return writer->has_twins;
}

void command_item(struct command_writer *writer)
{
    assert(writer->is_open && writer->kind == COMMAND_EVENT);
    if (writer->section + 1 == writer->sections_cap) {
        size_t cap = writer->sections_cap * 2;
        struct section *grown = realloc(writer->sections, cap * sizeof *grown);
        if (!grown) {
            fail(writer, ERR_NOMEM);
            return;
        }
        writer->sections = grown;
        writer->sections_cap = cap;
    }
    writer->sections[writer->section].end = writer->body.len;
    writer->section++;
    writer->section_number++;
    writer->sections[writer->section].count = 0;
}

static uint8_t *put_sections(struct command_writer *writer, uint8_t *to)
{
    uint32_t properties = 0;
    size_t from = 0;
    writer->sections[writer->section].end = writer->body.len;
    for (uint32_t i = 0; i <= writer->section; i++) {
        const struct section *section = &writer->sections[i];
        to = put_varint(to, section->count);
        to = put_bytes(to, writer->body.ptr + from, section->end - from);
        from = section->end;
        properties += section->count;
        if (i == 0 && writer->section)
            to = put_varint(to, writer->section);
    }
    if (properties > writer->properties_max)
        writer->properties_max = properties;
    if (writer->section > writer->items_max)
        writer->items_max = writer->section;
    if (writer->list_count > writer->list_max)
        writer->list_max = writer->list_count;
    return to;
}

void command_end(struct command_writer *writer)
{
    assert(writer->is_open);
    bool needs_name = writer->kind == COMMAND_EVENT || writer->kind == COMMAND_SETTING;
    assert(!needs_name || writer->flags & COMMAND_HAS_NAME);
    writer->is_open = false;
    if (writer->failure)
        return;

    size_t most = 3 + VARINT64_MAX + COMMAND_REFS_MAX * (1 + VARINT32_MAX) + 2 * VARINT32_MAX +
                  ((size_t)writer->section + 2) * VARINT32_MAX + writer->body.len;
    uint8_t *to = room_reserve(writer, &writer->commands, most);
    if (!to)
        return;
    if (writer->section)
        writer->flags |= COMMAND_HAS_ITEMS;
    *to++ = (uint8_t)writer->kind;
    *to++ = writer->flags;
    to = put_varint(to,
                    zigzag((int64_t)((uint64_t)writer->time_ms - (uint64_t)writer->received_ms)));
    *to++ = (uint8_t)writer->ref_count;
    for (uint32_t i = 0; i < writer->ref_count; i++) {
        *to++ = (uint8_t)writer->refs[i].kind;
        to = put_varint(to, writer->refs[i].text);
    }
    if (writer->flags & COMMAND_HAS_NAME)
        to = put_varint(to, writer->name);
    if (writer->flags & COMMAND_HAS_EVENT_ID)
        to = put_varint(to, writer->event_id);
    to = put_sections(writer, to);
    room_close(&writer->commands, to);
    writer->count++;
}

void command_abandon(struct command_writer *writer)
{
    assert(writer->is_open);
    writer->is_open = false;
    texts_cut(writer, writer->text_count_before);
}

/* --- the batch --------------------------------------------------------------------- */

uint32_t command_writer_count(const struct command_writer *writer)
{
    return writer->count;
}

size_t command_writer_size(const struct command_writer *writer)
{
    return BATCH_HEADER_BYTES + writer->text.len + (size_t)writer->text_count * 2 +
           writer->commands.len;
}

static void put_header(const struct command_writer *writer, uint8_t *to, size_t lengths_bytes)
{
    store_le32(to + BATCH_AT_MAGIC, BATCH_MAGIC);
    store_le32(to + BATCH_AT_COMMANDS, writer->count);
    store_le64(to + BATCH_AT_RECEIVED, (uint64_t)writer->received_ms);
    store_le32(to + BATCH_AT_STRINGS, writer->text_count);
    store_le32(to + BATCH_AT_LENGTHS_BYTES, (uint32_t)lengths_bytes);
    store_le32(to + BATCH_AT_TEXT_BYTES, (uint32_t)writer->text.len);
    store_le32(to + BATCH_AT_COMMANDS_BYTES, (uint32_t)writer->commands.len);
    store_le32(to + BATCH_AT_PROPERTIES_MAX, writer->properties_max);
    store_le32(to + BATCH_AT_ITEMS_MAX, writer->items_max);
    store_le32(to + BATCH_AT_LIST_MAX, writer->list_max);
}

struct err command_writer_finish(struct command_writer *writer, struct bytes *batch_out)
{
    assert(!writer->is_open);
    if (writer->failure)
        return err_new(writer->failure, "command: batch");
    if (writer->count == 0)
        return err_new(ERR_INVALID, "command: a batch without commands");

    writer->batch.len = 0;
    size_t most = BATCH_HEADER_BYTES + (size_t)writer->text_count * VARINT32_MAX +
                  writer->text.len + writer->commands.len;
    uint8_t *start = room_reserve(writer, &writer->batch, most);
    if (!start)
        return err_new(writer->failure, "command: batch");
    uint8_t *to = start + BATCH_HEADER_BYTES;
    for (uint32_t i = 0; i < writer->text_count; i++)
        to = put_varint(to, writer->texts[i].len);
    put_header(writer, start, (size_t)(to - start) - BATCH_HEADER_BYTES);
    to = put_bytes(to, writer->text.ptr, writer->text.len);
    to = put_bytes(to, writer->commands.ptr, writer->commands.len);
    *batch_out = bytes_of(start, (size_t)(to - start));
    return ok();
}

/*
 * reader.c - reads a batch back.
 *
 * The bytes come from disk or from another machine, so nothing in them is believed: sizes are
 * checked against what is there before anything is reserved, and every number against the table that
 * it indexes. The header tells the most properties, items and list items of a command, so that the
 * arrays are reserved once, and a command that exceeds them is damage.
 */
#include "command/command.h"

#include "command/format.h"

#include <math.h>

struct command_reader {
    int64_t received_ms;
    uint32_t count;
    uint32_t next_index;
    const uint8_t *next; /* in the commands */
    const uint8_t *end;
    bool is_bad; /* the command being read doesn't check */

    const struct bytes *strings;
    uint32_t string_count;

    struct command_property *properties;
    uint32_t properties_max;
    uint32_t property_count; /* of this command, items included */
    struct command_item *items;
    uint32_t items_max;
    struct bytes *list;
    uint32_t list_max;
    uint32_t list_count;
};

/* --- bytes ------------------------------------------------------------------------ */

/* The rest of a varint whose first byte has more behind it. */
static uint64_t take_long_varint(struct command_reader *reader)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 70 && reader->next < reader->end; shift += 7) {
        uint8_t byte = *reader->next++;
        if (shift == 63 && byte > 1)
            break;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return value;
    }
    reader->is_bad = true;
    return 0;
}

static inline uint64_t take_varint(struct command_reader *reader)
{
    if (reader->next < reader->end && *reader->next < 0x80)
        return *reader->next++;
    return take_long_varint(reader);
}

static inline uint8_t take_u8(struct command_reader *reader)
{
    if (reader->next < reader->end)
        return *reader->next++;
    reader->is_bad = true;
    return 0;
}

/* A count or number below `bound`; 0 and bad when it's not. */
static inline uint32_t take_below(struct command_reader *reader, uint64_t bound)
{
    uint64_t value = take_varint(reader);
    if (value < bound)
        return (uint32_t)value;
    reader->is_bad = true;
    return 0;
}

static inline struct bytes take_string(struct command_reader *reader, uint32_t *index_out)
{
    uint32_t index = take_below(reader, reader->string_count);
    *index_out = index;
    return reader->is_bad ? bytes_of(NULL, 0) : reader->strings[index];
}

/* --- opening ------------------------------------------------------------------------ */

static struct err corrupt(void)
{
    return err_new(ERR_CORRUPT, "command: batch");
}

/* Cuts the text into strings by their lengths: exactly, or it's damage. */
static struct err open_strings(struct command_reader *reader, struct bytes lengths,
                               struct bytes text, struct arena *arena)
{
    struct bytes *strings = arena_calloc(arena, reader->string_count, sizeof *strings);
    if (!strings)
        return err_new(ERR_NOMEM, "command: strings of a batch");

    reader->next = lengths.ptr;
    reader->end = lengths.ptr + lengths.len;
    for (uint32_t i = 0; i < reader->string_count; i++) {
        uint64_t len = take_varint(reader);
        if (reader->is_bad || len > text.len)
            return corrupt();
        strings[i] = bytes_of(text.ptr, (size_t)len);
        text = bytes_of(text.ptr + len, text.len - (size_t)len);
    }
    if (reader->next != reader->end || text.len != 0)
        return corrupt();
    reader->strings = strings;
    return ok();
}

static struct err open_scratch(struct command_reader *reader, struct arena *arena)
{
    reader->properties = arena_calloc(arena, reader->properties_max, sizeof *reader->properties);
    reader->items = arena_calloc(arena, reader->items_max, sizeof *reader->items);
    reader->list = arena_calloc(arena, reader->list_max, sizeof *reader->list);
    if (!reader->properties || !reader->items || !reader->list)
        return err_new(ERR_NOMEM, "command: room for a batch");
    return ok();
}

struct err command_reader_open(struct bytes batch, struct arena *arena, struct command_reader **out)
{
    if (batch.len < BATCH_HEADER_BYTES || batch.len > COMMAND_BATCH_MAX ||
        load_le32(batch.ptr + BATCH_AT_MAGIC) != BATCH_MAGIC)
        return corrupt();
    uint32_t lengths_bytes = load_le32(batch.ptr + BATCH_AT_LENGTHS_BYTES);
    uint32_t text_bytes = load_le32(batch.ptr + BATCH_AT_TEXT_BYTES);
    uint32_t commands_bytes = load_le32(batch.ptr + BATCH_AT_COMMANDS_BYTES);
    if ((uint64_t)BATCH_HEADER_BYTES + lengths_bytes + text_bytes + commands_bytes != batch.len)
        return corrupt();

    struct command_reader *reader = arena_calloc(arena, 1, sizeof *reader);
    if (!reader)
        return err_new(ERR_NOMEM, "command: reader");
    reader->received_ms = (int64_t)load_le64(batch.ptr + BATCH_AT_RECEIVED);
    reader->count = load_le32(batch.ptr + BATCH_AT_COMMANDS);
    reader->string_count = load_le32(batch.ptr + BATCH_AT_STRINGS);
    reader->properties_max = load_le32(batch.ptr + BATCH_AT_PROPERTIES_MAX);
    reader->items_max = load_le32(batch.ptr + BATCH_AT_ITEMS_MAX);
    reader->list_max = load_le32(batch.ptr + BATCH_AT_LIST_MAX);
    /* Each takes a byte or more, so damage can't make us reserve far more than the batch's size. */
    if (reader->count == 0 || reader->count > commands_bytes ||
        reader->string_count > lengths_bytes || reader->properties_max > commands_bytes / 2 ||
        reader->items_max > commands_bytes || reader->list_max > commands_bytes)
        return corrupt();

    const uint8_t *lengths = batch.ptr + BATCH_HEADER_BYTES;
    const uint8_t *text = lengths + lengths_bytes;
    const uint8_t *commands = text + text_bytes;
    struct err err =
        open_strings(reader, bytes_of(lengths, lengths_bytes), bytes_of(text, text_bytes), arena);
    if (!err.code)
        err = open_scratch(reader, arena);
    if (err.code)
        return err;
    reader->next = commands;
    reader->end = commands + commands_bytes;
    *out = reader;
    return ok();
}

int64_t command_reader_received_ms(const struct command_reader *reader)
{
    return reader->received_ms;
}

uint32_t command_reader_count(const struct command_reader *reader)
{
    return reader->count;
}

uint32_t command_reader_strings(const struct command_reader *reader)
{
    return reader->string_count;
}

struct bytes command_reader_string(const struct command_reader *reader, uint32_t index)
{
    assert(index < reader->string_count);
    return reader->strings[index];
}

/* --- one command ----------------------------------------------------------------------- */

static void take_list(struct command_reader *reader, struct value *value)
{
    uint32_t count = take_below(reader, (uint64_t)reader->list_max - reader->list_count + 1);
    struct bytes *items = reader->list + reader->list_count;
    uint32_t index;
    for (uint32_t i = 0; i < count && !reader->is_bad; i++)
        items[i] = take_string(reader, &index);
    reader->list_count += count;
    value->count = count;
    value->items = items;
}

static void take_real(struct command_reader *reader, struct value *value)
{
    if (reader->end - reader->next < 8) {
        reader->is_bad = true;
        return;
    }
    uint64_t image = load_le64(reader->next);
    reader->next += 8;
    memcpy(&value->real, &image, sizeof image);
    if (!isfinite(value->real))
        reader->is_bad = true;
}

static void take_value(struct command_reader *reader, struct value *value)
{
    uint32_t index;
    switch (value->type) {
    case VALUE_NULL:
        return;
    case VALUE_BOOL:
        value->boolean = take_below(reader, 2) != 0;
        return;
    case VALUE_INT:
        value->integer = unzigzag(take_varint(reader));
        return;
    case VALUE_REAL:
        take_real(reader, value);
        return;
    case VALUE_STRING:
        value->string = take_string(reader, &index);
        return;
    case VALUE_TIME:
        value->time_ms = unzigzag(take_varint(reader));
        return;
    case VALUE_LIST:
        take_list(reader, value);
        return;
    case VALUE_TYPES:
        break;
    }
    reader->is_bad = true;
}

/* A run of properties behind its count. */
static uint32_t take_properties(struct command_reader *reader,
                                const struct command_property **properties_out)
{
    uint64_t room = (uint64_t)reader->properties_max - reader->property_count;
    uint64_t most = room < COMMAND_PROPERTIES_MAX ? room : COMMAND_PROPERTIES_MAX;
    uint32_t count = take_below(reader, most + 1);
    struct command_property *properties = reader->properties + reader->property_count;
    for (uint32_t i = 0; i < count && !reader->is_bad; i++) {
        struct command_property *property = &properties[i];
        property->name = take_string(reader, &property->name_index);
        uint8_t kind = take_u8(reader);
        if (kind >> PROPERTY_OP_SHIFT > PROPERTY_DELETE ||
            (kind & PROPERTY_TYPE_MASK) >= VALUE_TYPES) {
            reader->is_bad = true;
            break;
        }
        property->op = (enum property_op)(kind >> PROPERTY_OP_SHIFT);
        property->value = (struct value){ .type = (enum value_type)(kind & PROPERTY_TYPE_MASK) };
        take_value(reader, &property->value);
    }
    reader->property_count += count;
    *properties_out = properties;
    return count;
}

static void take_refs(struct command_reader *reader, struct command *command)
{
    command->ref_count = take_below(reader, COMMAND_REFS_MAX + 1);
    for (uint32_t i = 0; i < command->ref_count; i++) {
        struct command_ref *ref = &command->refs[i];
        uint8_t kind = take_u8(reader);
        if (kind < REF_IDENTITY || kind > REF_USER)
            reader->is_bad = true;
        ref->kind = (enum ref_kind)kind;
        ref->text = take_string(reader, &ref->text_index);
    }
}

static void take_items(struct command_reader *reader, struct command *command)
{
    command->item_count = take_below(reader, (uint64_t)reader->items_max + 1);
    command->items = reader->items;
    for (uint32_t i = 0; i < command->item_count && !reader->is_bad; i++)
        reader->items[i].count = take_properties(reader, &reader->items[i].properties);
}

static void take_command(struct command_reader *reader, struct command *command)
{
    uint32_t unused;
    uint8_t kind = take_u8(reader);
    uint8_t flags = take_u8(reader);
    bool needs_name = kind == COMMAND_EVENT || kind == COMMAND_SETTING;
    if (kind < COMMAND_EVENT || kind > COMMAND_SETTING || flags > COMMAND_FLAGS ||
        (needs_name && !(flags & COMMAND_HAS_NAME)) ||
        (kind != COMMAND_EVENT && flags & COMMAND_HAS_ITEMS)) {
        reader->is_bad = true;
        return;
    }
    reader->property_count = 0;
    reader->list_count = 0;

    command->kind = (enum command_kind)kind;
    command->index = reader->next_index++;
    command->time_ms =
        (int64_t)((uint64_t)reader->received_ms + (uint64_t)unzigzag(take_varint(reader)));
    take_refs(reader, command);
    command->name = bytes_of(NULL, 0);
    command->name_index = 0;
    if (flags & COMMAND_HAS_NAME)
        command->name = take_string(reader, &command->name_index);
    command->is_name_folded = flags & COMMAND_NAME_IS_FOLDED;
    command->event_id = bytes_of(NULL, 0);
    if (flags & COMMAND_HAS_EVENT_ID)
        command->event_id = take_string(reader, &unused);
    command->items = NULL;
    command->item_count = 0;
    /* The run behind has the number of items between its own properties and theirs. */
    command->property_count = take_properties(reader, &command->properties);
    if (flags & COMMAND_HAS_ITEMS && !reader->is_bad)
        take_items(reader, command);
}

struct err command_next(struct command_reader *reader, struct command *command_out, bool *has_out)
{
    if (reader->is_bad)
        return corrupt();
    if (reader->next_index == reader->count) {
        if (reader->next != reader->end)
            return corrupt();
        *has_out = false;
        return ok();
    }
    take_command(reader, command_out);
    if (reader->is_bad)
        return corrupt();
    *has_out = true;
    return ok();
}

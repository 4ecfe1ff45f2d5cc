/*
 * command_batch_fuzz.c - reading a batch of any bytes at all.
 *
 * What must hold:
 *  1. reading stays inside the batch (the sanitizers watch) and ends with an answer;
 *  2. what was read, written again, reads as the same commands: compared as the bytes of a third
 *     writing.
 *
 * Random bytes are hardly ever a batch, so the input is used twice: as it is, and as a script of
 * calls of the writer whose batch is then damaged at one byte.
 */
#include "command/command.h"

#include "base/buf.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void write_properties(struct command_writer *writer,
                             const struct command_property *properties, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        command_property(writer, properties[i].name, properties[i].op, &properties[i].value);
}

/* Reads the batch and writes its commands again. */
static struct err rewrite(struct bytes batch, struct arena *arena, struct command_writer *writer,
                          struct bytes *again_out)
{
    struct command_reader *reader = NULL;
    struct err err = command_reader_open(batch, arena, &reader);
    if (err.code)
        return err;
    command_writer_reset(writer, command_reader_received_ms(reader));
    for (;;) {
        struct command command;
        bool has = false;
        err = command_next(reader, &command, &has);
        if (err.code)
            return err;
        if (!has)
            break;
        command_begin(writer, command.kind, command.time_ms);
        for (uint32_t i = 0; i < command.ref_count; i++)
            command_ref(writer, command.refs[i].kind, command.refs[i].text);
        if (command.kind == COMMAND_EVENT || command.kind == COMMAND_SETTING)
            command_name(writer, command.name, command.is_name_folded);
        command_event_id(writer, command.event_id);
        write_properties(writer, command.properties, command.property_count);
        for (uint32_t i = 0; i < command.item_count; i++) {
            command_item(writer);
            write_properties(writer, command.items[i].properties, command.items[i].count);
        }
        command_end(writer);
    }
    must(command_writer_count(writer) == command_reader_count(reader));
    return command_writer_finish(writer, again_out);
}

static bool check(struct bytes batch)
{
    struct arena arena;
    struct command_writer *first = NULL;
    struct command_writer *second = NULL;
    struct bytes again;
    struct bytes third;
    arena_init(&arena, 64 << 20);
    must(!command_writer_new(&first).code && !command_writer_new(&second).code);
    bool is_good = !rewrite(batch, &arena, first, &again).code;
    if (is_good) {
        must(!rewrite(again, &arena, second, &third).code);
        must(bytes_equal(again, third));
    }
    command_writer_free(first);
    command_writer_free(second);
    arena_done(&arena);
    return is_good;
}

static struct value script_value(struct reader *in, struct bytes *items)
{
    uint8_t kind = reader_u8(in);
    switch (kind % 7) {
    case VALUE_BOOL:
        return value_bool(kind & 8);
    case VALUE_INT:
        return value_int((int64_t)reader_le64(in));
    case VALUE_REAL:
        return value_real((double)(int64_t)reader_le64(in) / 3);
    case VALUE_STRING:
        return value_string(reader_take(in, kind >> 4 <= reader_left(in) ? kind >> 4 : 0));
    case VALUE_TIME:
        return value_time((int64_t)reader_le64(in));
    case VALUE_LIST:
        for (int i = 0; i < 4; i++)
            items[i] = reader_take(in, reader_left(in) > 2 ? 2 : 0);
        return (struct value){ .type = VALUE_LIST, .count = kind >> 4 & 3, .items = items };
    default:
        return value_null();
    }
}

/* A batch from the input read as calls; false: it made no command. */
static bool play(struct command_writer *writer, struct reader *in, struct bytes *batch_out)
{
    struct bytes items[4];
    command_writer_reset(writer, (int64_t)reader_le64(in));
    while (reader_left(in) > 4) {
        uint8_t what = reader_u8(in);
        enum command_kind kind = (enum command_kind)(1 + what % 7);
        command_begin(writer, kind, (int64_t)reader_le32(in));
        for (int i = 0; i < (what >> 4 & 3); i++)
            command_ref(writer, (enum ref_kind)(1 + i), reader_take(in, reader_left(in) > 0));
        if (kind == COMMAND_EVENT || kind == COMMAND_SETTING)
            command_name(writer, reader_take(in, reader_left(in) > 1 ? 2 : 0), what & 8);
        for (int i = 0; i < (what >> 5); i++) {
            struct value value = script_value(in, items);
            struct bytes name = reader_take(in, reader_left(in) > 0);
            if (kind == COMMAND_EVENT && value.type == VALUE_NULL)
                command_item(writer);
            command_property(writer, name, (enum property_op)(what % 5), &value);
        }
        if (what % 11 == 0)
            command_abandon(writer);
        else
            command_end(writer);
    }
    return !command_writer_finish(writer, batch_out).code;
}

static void check_damaged_script(const uint8_t *data, size_t size)
{
    struct command_writer *writer = NULL;
    struct bytes batch;
    if (size < 8)
        return;
    must(!command_writer_new(&writer).code);
    struct reader in = reader_of(bytes_of(data + 5, size - 5));
    if (play(writer, &in, &batch)) {
        must(check(batch));
        uint8_t *damaged = malloc(batch.len);
        must(damaged != NULL);
        memcpy(damaged, batch.ptr, batch.len);
        damaged[load_le32(data) % batch.len] ^= data[4];
        (void)check(bytes_of(damaged, batch.len));
        free(damaged);
    }
    command_writer_free(writer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    (void)check(bytes_of(data, size));
    check_damaged_script(data, size);
    return 0;
}

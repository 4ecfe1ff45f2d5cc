/* command_dump.h - a batch as text, one line a command, for tests to compare. */
#ifndef COMMAND_DUMP_H
#define COMMAND_DUMP_H

#include "command/command.h"

#include "base/buf.h"

static inline void dump_properties(struct buf *text, const struct command_property *properties,
                                   uint32_t count)
{
    static const char *const ops[] = { "=", "+=", "-=", "incr", "delete" };
    for (uint32_t i = 0; i < count; i++) {
        const struct value *v = &properties[i].value;
        buf_printf(text, " %.*s%s", BYTES_FMT(properties[i].name), ops[properties[i].op]);
        switch (v->type) {
        case VALUE_NULL:
            buf_printf(text, "null");
            break;
        case VALUE_BOOL:
            buf_printf(text, "%s", v->boolean ? "true" : "false");
            break;
        case VALUE_INT:
            buf_printf(text, "%lld", (long long)v->integer);
            break;
        case VALUE_REAL:
            buf_printf(text, "%.15gr", v->real);
            break;
        case VALUE_STRING:
            buf_printf(text, "'%.*s'", BYTES_FMT(v->string));
            break;
        case VALUE_TIME:
            buf_printf(text, "@%lld", (long long)v->time_ms);
            break;
        case VALUE_LIST:
            for (uint32_t k = 0; k < v->count; k++)
                buf_printf(text, "%s'%.*s'", k ? "," : "[", BYTES_FMT(v->items[k]));
            buf_printf(text, v->count ? "]" : "[]");
            break;
        case VALUE_TYPES:
            break;
        }
    }
}

static inline void dump_command(struct buf *text, const struct command *command)
{
    buf_printf(text, "%u kind=%d t=%lld", command->index, (int)command->kind,
               (long long)command->time_ms);
    for (uint32_t i = 0; i < command->ref_count; i++)
        buf_printf(text, " %d:%.*s", (int)command->refs[i].kind, BYTES_FMT(command->refs[i].text));
    if (command->name.len)
        buf_printf(text, " %.*s%s", BYTES_FMT(command->name),
                   command->is_name_folded ? "(folded)" : "");
    if (command->event_id.len)
        buf_printf(text, " id:%.*s", BYTES_FMT(command->event_id));
    dump_properties(text, command->properties, command->property_count);
    for (uint32_t i = 0; i < command->item_count; i++) {
        buf_printf(text, " {");
        dump_properties(text, command->items[i].properties, command->items[i].count);
        buf_printf(text, " }");
    }
    buf_put_u8(text, '\n');
}

/* The batch's commands as text, zero-terminated; the error that stopped it. */
static inline struct err dump_batch(struct bytes batch, struct arena *arena, struct buf *text)
{
    struct command_reader *reader = NULL;
    struct command command;
    bool has = false;
    arena_reset(arena);
    buf_reset(text);
    struct err err = command_reader_open(batch, arena, &reader);
    while (!err.code) {
        err = command_next(reader, &command, &has);
        if (err.code || !has)
            break;
        dump_command(text, &command);
    }
    buf_put_u8(text, 0);
    return err;
}

#endif

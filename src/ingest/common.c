/* common.c - a request's life, and what is wrong with its records. */
#include "ingest/ingest_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { ARENA_MAX = 256 << 20, PROBLEMS_MIN = 16 };

struct err ingest_new(size_t max_bytes, struct ingest **out)
{
    struct ingest *in = calloc(1, sizeof *in);
    if (!in)
        return err_new(ERR_NOMEM, "ingest: new");
    arena_init(&in->arena, ARENA_MAX);
    struct err err = json_parser_new(max_bytes, JSON_DEPTH_MAX, &in->parser);
    if (err.code) {
        ingest_free(in);
        return err;
    }
    *out = in;
    return ok();
}

void ingest_free(struct ingest *in)
{
    if (!in)
        return;
    json_parser_free(in->parser);
    arena_done(&in->arena);
    csv_free(in);
    free(in->problems);
    free(in->echoes);
    free(in);
}

static uint32_t either(uint32_t value, uint32_t otherwise)
{
    return value ? value : otherwise;
}

void begin_request(struct ingest *in, const struct ingest_rules *rules, enum face face,
                   struct command_writer *writer)
{
    struct catalog_limits given = rules->limits;
    struct catalog_limits usual = catalog_limits_default();
    in->limits = (struct catalog_limits){
        .profile_properties = either(given.profile_properties, usual.profile_properties),
        .properties_per_event = either(given.properties_per_event, usual.properties_per_event),
        .items_per_event = either(given.items_per_event, usual.items_per_event),
        .name_bytes = either(given.name_bytes, usual.name_bytes),
        .string_bytes = either(given.string_bytes, usual.string_bytes),
        .list_items = either(given.list_items, usual.list_items),
        .identity_bytes = either(given.identity_bytes, usual.identity_bytes),
    };
    if (in->limits.properties_per_event > COMMAND_PROPERTIES_MAX)
        in->limits.properties_per_event = COMMAND_PROPERTIES_MAX;
    if (in->limits.profile_properties > COMMAND_PROPERTIES_MAX)
        in->limits.profile_properties = COMMAND_PROPERTIES_MAX;
    if (face == FACE_UPLOAD && in->limits.string_bytes > CLEVERTAP_STRING_BYTES)
        in->limits.string_bytes = CLEVERTAP_STRING_BYTES;

    in->face = face;
    in->rules = rules;
    in->writer = writer;
    in->problem_count = 0;
    in->processed = 0;
    in->is_out_of_memory = false;
    arena_reset(&in->arena);
    if (in->names_used)
        memset(in->names, 0, sizeof in->names);
    in->names_used = 0;
    in->is_line = false;
}

void begin_line(struct ingest *in, const struct ingest_rules *rules, struct command_writer *writer)
{
    begin_request(in, rules, FACE_NATIVE, writer);
    begin_record(in, false);
    in->is_line = true;
}

void begin_record(struct ingest *in, bool is_strict)
{
    in->is_strict = is_strict;
    in->property_count = 0;
    in->code = 0;
    in->depth = 0;
}

/* --- one problem -------------------------------------------------------------------- */

__attribute__((format(printf, 4, 0))) static bool
fail_with(struct ingest *in, int code, const char *type, const char *format, va_list args)
{
    if (in->code)
        return false;
    in->code = code;
    in->type = type;
    (void)vsnprintf(in->message, sizeof in->message, format, args);
    return false;
}

bool fail(struct ingest *in, int code, const char *type, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)fail_with(in, code, type, format, args);
    va_end(args);
    return false;
}

bool fail_at(struct ingest *in, const char *key, int code, const char *type, const char *format,
             ...)
{
    va_list args;
    va_start(args, format);
    if (!in->code)
        path_push(in, bytes_from(key), 0);
    (void)fail_with(in, code, type, format, args);
    va_end(args);
    return false;
}

/* Cuts a message that vsnprintf may have ended inside a character. */
static struct bytes whole_characters(struct bytes text)
{
    size_t len = text.len;
    while (len > 0 && text.len - len < 4 && (text.ptr[len - 1] & 0xc0) == 0x80)
        len--;
    if (len > 0 && text.ptr[len - 1] >= 0xc0) {
        size_t need = text.ptr[len - 1] >= 0xf0 ? 4 : text.ptr[len - 1] >= 0xe0 ? 3 : 2;
        if (len - 1 + need > text.len)
            return bytes_of(text.ptr, len - 1);
    }
    return text;
}

/* RFC 6901: ~ is ~0 and / is ~1. */
static struct bytes pointer_text(struct ingest *in)
{
    struct buf buf;
    uint32_t depth = in->depth < PATH_MAX_DEPTH ? in->depth : PATH_MAX_DEPTH;
    buf_init(&buf, 64 << 10);
    for (uint32_t i = 0; i < depth; i++) {
        const struct step *step = &in->path[i];
        buf_put_u8(&buf, '/');
        if (!step->key.ptr)
            buf_printf(&buf, "%u", step->index);
        for (size_t k = 0; k < step->key.len; k++) {
            if (step->key.ptr[k] == '~')
                buf_put(&buf, BYTES("~0"));
            else if (step->key.ptr[k] == '/')
                buf_put(&buf, BYTES("~1"));
            else
                buf_put_u8(&buf, step->key.ptr[k]);
        }
    }
    /* A pointer longer than the limit is left out. */
    struct bytes text = buf.is_failed ? bytes_of("", 0) : buf_bytes(&buf);
    struct bytes copy = arena_copy(&in->arena, text);
    buf_done(&buf);
    return copy;
}

bool take_problem(struct ingest *in, uint32_t index, struct ingest_problem *out)
{
    struct bytes message = whole_characters(bytes_from(in->message));
    *out = (struct ingest_problem){
        .index = index,
        .code = in->code,
        .type = in->type,
        .message = arena_copy(&in->arena, message),
        .pointer = pointer_text(in),
    };
    if (out->message.ptr && out->pointer.ptr)
        return true;
    in->is_out_of_memory = true;
    return false;
}

bool take_line_problem(struct ingest *in, struct ingest_problem *out)
{
    if (!in->is_out_of_memory && take_problem(in, 0, out))
        return false;
    *out = (struct ingest_problem){
        .code = PROBLEM_OURS,
        .type = "no_memory",
        .message = BYTES("No memory"),
        .pointer = BYTES(""),
    };
    return false;
}

static bool problems_have_room(struct ingest *in)
{
    if (in->problem_count < in->problems_cap)
        return true;
    uint32_t cap = in->problems_cap ? in->problems_cap * 2 : PROBLEMS_MIN;
    struct ingest_problem *problems = realloc(in->problems, cap * sizeof *problems);
    if (!problems)
        return false;
    in->problems = problems;
    struct echo *echoes = realloc(in->echoes, cap * sizeof *echoes);
    if (!echoes)
        return false;
    in->echoes = echoes;
    in->problems_cap = cap;
    return true;
}

void keep_problem(struct ingest *in, uint32_t index, struct echo echo)
{
    if (!problems_have_room(in)) {
        in->is_out_of_memory = true;
        return;
    }
    if (take_problem(in, index, &in->problems[in->problem_count]))
        in->echoes[in->problem_count++] = echo;
}

/* --- the answer ------------------------------------------------------------------------ */

void refuse(struct ingest *in, int status, const char *type, const char *message,
            struct ingest_result *result)
{
    in->problem_count = 0;
    in->code = 0;
    (void)fail(in, status, type, "%s", message);
    keep_problem(in, 0, (struct echo){ 0 });
    *result = (struct ingest_result){
        .status = status,
        .is_refused = true,
        .problem_count = in->problem_count,
        .problems = in->problems,
    };
}

void answer(struct ingest *in, struct ingest_result *result)
{
    bool is_all_bad = in->processed == 0 && in->problem_count > 0;
    *result = (struct ingest_result){
        .status = is_all_bad && in->face == FACE_NATIVE ? 422 : 200,
        .processed = in->processed,
        .problem_count = in->problem_count,
        .problems = in->problems,
    };
}

void put_who(struct ingest *in, const struct who *who)
{
    if (who->identity.len)
        command_ref(in->writer, REF_IDENTITY, who->identity);
    if (who->device.len)
        command_ref(in->writer, REF_DEVICE, who->device);
    if (who->email.len)
        command_ref(in->writer, REF_EMAIL, who->email);
    if (who->phone.len)
        command_ref(in->writer, REF_PHONE, who->phone);
}

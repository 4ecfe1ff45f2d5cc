/*
 * reply.c - the answer's body, in the face's shape.
 */
#include "ingest/ingest_internal.h"

#include "codec/jsonw.h"

/* So much of a line that isn't JSON is echoed. */
enum { BAD_LINE_MAX = 1024 };

const char *code_summary(int code)
{
    static const struct {
        int code;
        const char *summary;
    } summaries[] = {
        { PROBLEM_EVENT_NAME, "Event Name is incorrect" },
        { PROBLEM_STRUCTURE, "Record structure is incorrect" },
        { PROBLEM_RESERVED, "Event Name is reserved" },
        { PROBLEM_GENDER, "Gender is incorrect" },
        { PROBLEM_EMAIL, "Email is incorrect" },
        { PROBLEM_PHONE, "Phone is incorrect" },
        { PROBLEM_EMPLOYED, "Employment status is incorrect" },
        { PROBLEM_EDUCATION, "Education is incorrect" },
        { PROBLEM_MARRIED, "Marital status is incorrect" },
        { PROBLEM_AGE, "Age is incorrect" },
        { PROBLEM_PROPERTIES, "Too many properties" },
        { PROBLEM_IDENTITY, "Identity is incorrect" },
        { PROBLEM_KIND, "Record is neither event nor profile" },
        { PROBLEM_TIME, "Timestamp is incorrect" },
        { PROBLEM_DEVICE, "Object ID is incorrect" },
        { PROBLEM_DISCARDED, "Event is discarded" },
        { PROBLEM_TOKEN_DEVICE, "Object ID is incorrect" },
        { PROBLEM_TOKEN_DATA, "Token data is incorrect" },
        { PROBLEM_TOKEN_ID, "Token id is incorrect" },
        { PROBLEM_TOKEN_TYPE, "Token type is incorrect" },
        { PROBLEM_TOKEN_TYPE_INVALID, "Token type is incorrect" },
        { PROBLEM_TOKEN_KEYS, "Token data is incorrect" },
    };
    for (size_t i = 0; i < sizeof summaries / sizeof *summaries; i++) {
        if (summaries[i].code == code)
            return summaries[i].summary;
    }
    return "Record is incorrect";
}

/* The record again: as deep as a parser lets it be. */
static void put_json(struct jsonw *w, struct json_value value)
{
    switch (json_type(value)) {
    case JSON_NULL:
        jsonw_null(w);
        return;
    case JSON_FALSE:
    case JSON_TRUE:
        jsonw_bool(w, json_is(value, JSON_TRUE));
        return;
    case JSON_INT:
        jsonw_int(w, json_int(value));
        return;
    case JSON_UINT:
        jsonw_uint(w, json_uint(value));
        return;
    case JSON_REAL:
        jsonw_real(w, json_real(value));
        return;
    case JSON_STRING:
        jsonw_string(w, json_string(value));
        return;
    case JSON_ARRAY:
        jsonw_array(w);
        for (struct json_iter it = json_items(value); json_next(&it);)
            put_json(w, it.value);
        jsonw_end_array(w);
        return;
    case JSON_OBJECT:
        jsonw_object(w);
        for (struct json_iter it = json_members(value); json_next(&it);) {
            jsonw_key_bytes(w, it.key);
            put_json(w, it.value);
        }
        jsonw_end_object(w);
        return;
    }
}

static void put_echo(struct jsonw *w, const struct echo *echo)
{
    jsonw_key(w, "record");
    if (!echo->line.ptr)
        put_json(w, echo->value);
    else if (echo->is_json)
        jsonw_raw(w, echo->line);
    else
        jsonw_string(w, bytes_slice(echo->line, 0, BAD_LINE_MAX));
}

/* CleverTap's clients show the text, and some look for the code and the record's number in it. */
static void put_upload_problem(struct jsonw *w, const struct ingest_problem *problem)
{
    struct buf text;
    buf_init(&text, 1 << 20);
    buf_printf(&text, "%s. ErrorCode: %d - %.*s. Skipped record number : %u",
               code_summary(problem->code), problem->code, BYTES_FMT(problem->message),
               problem->index + 1);
    jsonw_key(w, "status");
    jsonw_text(w, "fail");
    jsonw_key(w, "code");
    jsonw_int(w, problem->code);
    jsonw_key(w, "error");
    jsonw_string(w, buf_bytes(&text));
    buf_done(&text);
}

static void put_native_problem(struct jsonw *w, const struct ingest_problem *problem)
{
    jsonw_key(w, "index");
    jsonw_uint(w, problem->index);
    jsonw_key(w, "code");
    jsonw_int(w, problem->code);
    jsonw_key(w, "type");
    jsonw_text(w, problem->type);
    jsonw_key(w, "error");
    jsonw_string(w, problem->message);
    jsonw_key(w, "pointer");
    jsonw_string(w, problem->pointer);
}

static void put_refusal(struct jsonw *w, const struct ingest_result *result)
{
    const struct ingest_problem *problem = &result->problems[0];
    jsonw_key(w, "status");
    jsonw_text(w, "fail");
    jsonw_key(w, "error");
    jsonw_string(w, problem->message);
    jsonw_key(w, "code");
    jsonw_int(w, result->status);
    jsonw_key(w, "type");
    jsonw_text(w, problem->type);
    jsonw_key(w, "details");
    jsonw_object(w);
    jsonw_key(w, "pointer");
    jsonw_string(w, problem->pointer);
    if (result->error_offset) {
        jsonw_key(w, "offset");
        jsonw_uint(w, result->error_offset);
    }
    jsonw_end_object(w);
}

void ingest_put_reply(const struct ingest *in, const struct ingest_result *result,
                      struct buf *reply)
{
    struct jsonw w = jsonw_of(reply);
    jsonw_object(&w);
    if (result->is_refused && result->problem_count) {
        put_refusal(&w, result);
        jsonw_end_object(&w);
        return;
    }
    jsonw_key(&w, "status");
    jsonw_text(&w, !result->problem_count ? "success" : result->processed ? "partial" : "fail");
    jsonw_key(&w, "processed");
    jsonw_uint(&w, result->processed);
    jsonw_key(&w, "unprocessed");
    jsonw_array(&w);
    for (uint32_t i = 0; i < result->problem_count; i++) {
        jsonw_object(&w);
        if (in->face == FACE_UPLOAD)
            put_upload_problem(&w, &result->problems[i]);
        else
            put_native_problem(&w, &result->problems[i]);
        put_echo(&w, &in->echoes[i]);
        jsonw_end_object(&w);
    }
    jsonw_end_array(&w);
    jsonw_end_object(&w);
}

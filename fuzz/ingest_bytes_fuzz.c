/*
 * ingest_bytes_fuzz.c - requests, lines and rows of any bytes at all.
 *
 * What must hold:
 *  1. there's an answer, and its body is JSON;
 *  2. records taken and records told as wrong add up to the records of the request;
 *  3. the batch that was written reads back, with as many commands as records were taken.
 *
 * Random bytes are hardly ever JSON, so the input is also read as choices that build records from
 * the words that the faces know, well placed and badly.
 */
#include "ingest/ingest.h"

#include "codec/json.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { BODY_MAX = 1 << 16, RECORDS_MAX = 8, FIELDS_MAX = 8 };

static const int64_t now_ms = INT64_C(1767225600000);

static struct ingest *in;
static struct command_writer *writer;
static struct json_parser *parser;
static struct arena arena;
static struct buf reply;
static struct buf body;

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void start(void)
{
    if (in)
        return;
    must(!ingest_new(BODY_MAX, &in).code);
    must(!command_writer_new(&writer).code);
    must(!json_parser_new(1 << 20, 100, &parser).code);
    arena_init(&arena, 64 << 20);
    buf_init(&reply, 1 << 20);
    buf_init(&body, BODY_MAX);
}

static bool is_discarded(void *ctx, struct bytes name, bool is_folded)
{
    (void)ctx;
    return name.len == 4 && !is_folded;
}

static const struct ingest_rules rules = { .now_ms = now_ms, .is_discarded = is_discarded };

static void check_batch(uint32_t expected)
{
    struct bytes batch;
    struct command_reader *reader = NULL;
    struct command command;
    bool has = true;
    uint32_t count = 0;
    must(command_writer_count(writer) == expected);
    if (expected == 0)
        return;
    must(!command_writer_finish(writer, &batch).code);
    arena_reset(&arena);
    must(!command_reader_open(batch, &arena, &reader).code);
    for (;; count++) {
        must(!command_next(reader, &command, &has).code);
        if (!has)
            break;
        must(command.ref_count > 0);
        must(command.time_ms >= 0 && command.time_ms <= now_ms + INGEST_FUTURE_MS);
    }
    must(count == expected);
}

static void check_result(const struct ingest_result *result, uint32_t records)
{
    struct json_value root;
    struct json_problem problem;
    if (result->is_refused)
        must(result->processed == 0 && result->problem_count == 1 && result->status >= 400);
    else
        must(records == 0 || result->processed + result->problem_count == records);
    check_batch(result->processed);
    buf_reset(&reply);
    ingest_put_reply(in, result, &reply);
    must(!buf_err(&reply).code);
    must(json_parse(parser, buf_bytes(&reply), &root, &problem));
}

static void check_requests(struct bytes text, uint32_t records)
{
    struct ingest_result result;
    struct ingest_problem problem;
    must(!ingest_upload(in, &rules, text, writer, &result).code);
    check_result(&result, records);
    for (int format = INGEST_JSON; format <= INGEST_NDJSON; format++) {
        must(!ingest_events(in, &rules, (enum ingest_format)format, text, writer, &result).code);
        check_result(&result, 0);
        must(!ingest_profiles(in, &rules, (enum ingest_format)format, text, writer, &result).code);
        check_result(&result, 0);
        must(!ingest_identify(in, &rules, (enum ingest_format)format, text, writer, &result).code);
        check_result(&result, 0);
    }
    command_writer_reset(writer, now_ms);
    bool is_fine = ingest_line(in, &rules, text, false, writer, &problem);
    must(is_fine || (problem.code && problem.message.len && problem.type));
    check_batch(is_fine);
}

/* --- records from choices ----------------------------------------------------------------- */

static const char *const words[] = {
    "identity",
    "objectId",
    "FBID",
    "type",
    "event",
    "profile",
    "token",
    "evtName",
    "evtData",
    "ts",
    "event_id",
    "time",
    "properties",
    "profileData",
    "tokenData",
    "id",
    "keys",
    "fcm",
    "chrome",
    "device_id",
    "email",
    "phone",
    "Email",
    "Phone",
    "Gender",
    "Age",
    "DOB",
    "Items",
    "$set",
    "$add",
    "$remove",
    "$incr",
    "$decr",
    "$delete",
    "a",
    "b",
    "Identity",
    "M",
    "a@b.io",
    "+4930123456",
    "$D_1767312000",
    "2025-01-01T00:00:00Z",
    "App Launched",
    "",
    "\\u0000",
    "x.y",
    "\\u00e4",
    "events",
    "MSG-email",
    "Married",
};
enum { WORDS = sizeof words / sizeof *words };

static void put_word(struct reader *from)
{
    buf_printf(&body, "\"%s\"", words[reader_u8(from) % WORDS]);
}

static void put_value(struct reader *from, int depth)
{
    static const char *const plain[] = {
        "1", "-5", "0.5", "1e300", "18446744073709551616", "true", "null", "1767225600", "{}", "[]"
    };
    uint8_t what = reader_u8(from);
    uint32_t count = what >> 5 & 3;
    if (depth > 4 || what % 4 == 0) {
        buf_printf(&body, "%s", plain[(what >> 2) % 10]);
    } else if (what % 4 == 1) {
        put_word(from);
    } else {
        bool is_object = what % 4 == 2;
        buf_put_u8(&body, is_object ? '{' : '[');
        for (uint32_t i = 0; i < count; i++) {
            if (i)
                buf_put_u8(&body, ',');
            if (is_object) {
                put_word(from);
                buf_put_u8(&body, ':');
            }
            put_value(from, depth + 1);
        }
        buf_put_u8(&body, is_object ? '}' : ']');
    }
}

/* A record that's right, but for what the choices add. */
static void put_record(struct reader *from)
{
    static const char *const starts[] = {
        "\"type\":\"event\",\"identity\":\"u\",\"evtName\":\"E\",\"evtData\":",
        "\"type\":\"profile\",\"identity\":\"u\",\"profileData\":",
        "\"type\":\"token\",\"objectId\":\"d\",\"tokenData\":",
        "\"identity\":\"u\",\"event\":\"E\",\"properties\":",
        "\"identity\":\"u\",\"properties\":",
        "\"device_id\":\"d\",\"identity\":",
        "\"a\":",
    };
    uint8_t what = reader_u8(from);
    buf_printf(&body, "{%s", starts[what % 7]);
    put_value(from, 0);
    for (int i = 0; i < what >> 6; i++) {
        buf_put_u8(&body, ',');
        put_word(from);
        buf_put_u8(&body, ':');
        put_value(from, 1);
    }
    buf_put_u8(&body, '}');
}

static void check_records(struct bytes choices)
{
    struct reader from = reader_of(choices);
    uint32_t count = 1 + reader_u8(&from) % RECORDS_MAX;
    buf_reset(&body);
    buf_printf(&body, "{\"d\":[");
    for (uint32_t i = 0; i < count; i++) {
        if (i)
            buf_put_u8(&body, ',');
        put_record(&from);
    }
    buf_printf(&body, "]}");
    if (buf_err(&body).code)
        return;
    check_requests(buf_bytes(&body), count);

    /* The same records as an array, and one as a line. */
    struct bytes all = buf_bytes(&body);
    check_requests(bytes_of(all.ptr + 5, all.len - 6), 0);
    from = reader_of(choices);
    buf_reset(&body);
    put_record(&from);
    if (!buf_err(&body).code)
        check_requests(buf_bytes(&body), 0);
}

static void check_row(struct bytes data)
{
    struct bytes fields[FIELDS_MAX];
    struct bytes names[FIELDS_MAX];
    struct reader from = reader_of(data);
    struct ingest_problem problem;
    size_t count = 1 + reader_u8(&from) % FIELDS_MAX;
    for (size_t i = 0; i < count; i++)
        names[i] = i == 0 ? BYTES("identity") : bytes_from(words[reader_u8(&from) % WORDS]);
    if (!ingest_csv_header(in, names, count, &problem))
        return;
    command_writer_reset(writer, now_ms);
    uint32_t taken = 0;
    while (reader_left(&from) > 0) {
        for (size_t i = 0; i < count; i++) {
            size_t len = reader_u8(&from) % 9;
            fields[i] = reader_take(&from, len < reader_left(&from) ? len : reader_left(&from));
        }
        taken += ingest_csv_row(in, &rules, fields, count, writer, &problem);
    }
    check_batch(taken);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    start();
    if (size > BODY_MAX)
        return 0;
    check_requests(bytes_of(data, size), 0);
    check_records(bytes_of(data, size));
    check_row(bytes_of(data, size));
    return 0;
}

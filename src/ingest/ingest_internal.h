/* ingest_internal.h - what the faces share: problems, names, times, values. */
#ifndef INGEST_INGEST_INTERNAL_H
#define INGEST_INGEST_INTERNAL_H

#include "ingest/ingest.h"

#include "base/arena.h"
#include "codec/json.h"

enum {
    CLEVERTAP_STRING_BYTES = 512,
    PROFILE_LIST_MAX = 1000, /* items of one list in a profile update */
    MESSAGE_MAX = 320,
    PATH_MAX_DEPTH = 8,
    NAMES_CACHED = 64, /* a power of two */
    CSV_COLUMNS_MAX = 1024,
    JSON_DEPTH_MAX = 32,
    TEXT_MAX = 32, /* of a number as text */
};

/* The numbers are CleverTap's; the native face uses the same. */
enum problem_code {
    PROBLEM_EVENT_NAME = 509,
    PROBLEM_STRUCTURE = 512,
    PROBLEM_RESERVED = 513,
    PROBLEM_GENDER = 514,
    PROBLEM_EMAIL = 515,
    PROBLEM_PHONE = 516,
    PROBLEM_EMPLOYED = 517,
    PROBLEM_EDUCATION = 518,
    PROBLEM_MARRIED = 519,
    PROBLEM_AGE = 520,
    PROBLEM_PROPERTIES = 522,
    PROBLEM_IDENTITY = 523,
    PROBLEM_KIND = 524,
    PROBLEM_TIME = 525,
    PROBLEM_DEVICE = 526,
    PROBLEM_DISCARDED = 528,
    PROBLEM_TOKEN_DEVICE = 530,
    PROBLEM_TOKEN_DATA = 531,
    PROBLEM_TOKEN_ID = 532,
    PROBLEM_TOKEN_TYPE = 533,
    PROBLEM_TOKEN_TYPE_INVALID = 534,
    PROBLEM_TOKEN_KEYS = 535,
    PROBLEM_OURS = 555,
};

enum face { FACE_UPLOAD, FACE_NATIVE };

/* A step of the JSON pointer to what is being looked at. */
struct step {
    struct bytes key; /* ptr NULL: an item of an array */
    uint32_t index;
};

/* What was found about an event's name in this request. */
struct cached_name {
    struct bytes name; /* ptr NULL: unused */
    bool is_folded;
    int code; /* 0: it's fine */
};

/* A record that was left out, for the reply. */
struct echo {
    struct json_value value;
    struct bytes line; /* NDJSON: its text; ptr NULL: `value` counts */
    bool is_json;
};

struct csv_column;

struct ingest {
    struct json_parser *parser;
    struct arena arena; /* of one request or line */
    enum face face;

    /* Of the request. */
    const struct ingest_rules *rules;
    struct catalog_limits limits; /* with defaults, and those of the face */
    struct command_writer *writer;
    struct cached_name names[NAMES_CACHED];
    uint32_t names_used;
    bool is_line; /* one record a call: names aren't cached */

    struct ingest_problem *problems;
    struct echo *echoes;
    uint32_t problem_count;
    uint32_t problems_cap;
    uint32_t processed;
    bool is_out_of_memory;

    /* Of the record. is_strict: what CleverTap documents as forbidden is refused; otherwise reserved
     * fields that aren't valid stay as they are. */
    bool is_strict;
    uint32_t property_count;
    int code; /* of its problem */
    const char *type;
    char message[MESSAGE_MAX];
    struct step path[PATH_MAX_DEPTH];
    uint32_t depth;

    struct csv_column *columns;
    size_t column_count;
    bool has_event_column;
    bool is_csv_folded;
};

/* --- problems (common.c) ---------------------------------------------------------------- */

/* Begins a request or a line: limits, arena, caches. */
void begin_request(struct ingest *in, const struct ingest_rules *rules, enum face face,
                   struct command_writer *writer);
void begin_line(struct ingest *in, const struct ingest_rules *rules, struct command_writer *writer);
void begin_record(struct ingest *in, bool is_strict);

/* Tells what is wrong with the record, at the path; always false. The first problem stays. */
__attribute__((format(printf, 4, 5))) bool fail(struct ingest *in, int code, const char *type,
                                                const char *format, ...);
/* The same at one step further. */
__attribute__((format(printf, 5, 6))) bool fail_at(struct ingest *in, const char *key, int code,
                                                   const char *type, const char *format, ...);
static inline void path_push(struct ingest *in, struct bytes key, uint32_t index)
{
    if (in->depth < PATH_MAX_DEPTH)
        in->path[in->depth] = (struct step){ key, index };
    in->depth++;
}
static inline void path_pop(struct ingest *in)
{
    in->depth--;
}

/* The record's problem as the door tells it; texts in the arena. False: no memory. */
bool take_problem(struct ingest *in, uint32_t index, struct ingest_problem *out);
/* The same for a line or row, whose record may also have failed for lack of memory. Always false. */
bool take_line_problem(struct ingest *in, struct ingest_problem *out);
/* Adds the record's problem to the request's. */
void keep_problem(struct ingest *in, uint32_t index, struct echo echo);
static inline bool parse_body(struct ingest *in, struct bytes body, struct json_value *root_out,
                              struct json_problem *problem_out)
{
    return in->rules->is_body_padded ? json_parse_padded(in->parser, body, root_out, problem_out)
                                     : json_parse(in->parser, body, root_out, problem_out);
}
/* A whole request is refused. */
void refuse(struct ingest *in, int status, const char *type, const char *message,
            struct ingest_result *result);
void answer(struct ingest *in, struct ingest_result *result);

const char *code_summary(int code);

/* --- names and times (names.c) ------------------------------------------------------------ */

bool check_event_name(struct ingest *in, struct bytes name, bool is_folded);
bool check_property_name(struct ingest *in, struct bytes name);
/* A text, or an integer as text: into *out (arena). False: it's neither, and no problem is told. */
bool id_text(struct ingest *in, struct json_value value, struct bytes *out);
/* `is_clevertap`: texts like "null" are no identity. */
bool check_identity(struct ingest *in, struct bytes text, bool is_clevertap);
bool is_device_id(struct bytes text);
bool is_email(struct bytes text);
/* With separators left out; room for the text's length. False: not a phone number. */
bool clean_phone(struct bytes text, bool must_have_plus, uint8_t *to, size_t *len_out);

/* Seconds or milliseconds, told apart by size. */
int64_t epoch_to_ms(int64_t epoch);
bool epoch_time(struct json_value value, int64_t *time_ms_out);
/* With Z or an offset, as RFC 3339 demands. */
bool rfc3339_time(struct bytes text, int64_t *time_ms_out);
/* Not before 1970, not too far ahead. */
bool check_time(struct ingest *in, int64_t time_ms);
/* "$D_1767312000". */
bool dollar_date(struct bytes text, int64_t *time_ms_out);
static inline bool is_dollar_date(struct bytes text)
{
    return text.len > 3 && text.ptr[0] == '$' && text.ptr[1] == 'D' && text.ptr[2] == '_';
}

/* --- values (values.c) ----------------------------------------------------------------------- */

/* An event's properties, and its items. */
bool put_event_properties(struct ingest *in, struct json_value object);
/* A scalar (no object, no array). *has_out false: null, there's nothing to write. */
bool scalar_value(struct ingest *in, struct json_value json, struct value *out, bool *has_out);
bool list_value(struct ingest *in, struct json_value array, uint32_t max, struct value *out);
/* An object of a property: its members as name.member. */
bool is_flattenable(struct ingest *in, uint32_t nesting);
bool joined_name(struct ingest *in, struct bytes prefix, struct bytes name, struct bytes *out);

/* --- profiles (profile.c) --------------------------------------------------------------------- */

/* What a profile update says about who it is. */
struct profile_keys {
    struct bytes identity;
    struct bytes email;
    struct bytes phone;
};
bool put_profile_properties(struct ingest *in, struct json_value object, struct profile_keys *keys);

/* --- records --------------------------------------------------------------------------------------- */

/* CleverTap's record (upload.c). is_line: `type` may be missing, unknown fields are told. */
bool upload_record(struct ingest *in, struct json_value record, bool is_line);
/* Native ones (native.c). */
bool native_event(struct ingest *in, struct json_value record);
bool native_profile(struct ingest *in, struct json_value record);
bool native_identify(struct ingest *in, struct json_value record);

/* Who an event or update is about. */
struct who {
    struct bytes identity;
    struct bytes device;
    struct bytes email;
    struct bytes phone;
};
void put_who(struct ingest *in, const struct who *who);

void csv_free(struct ingest *in);

#endif

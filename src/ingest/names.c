/*
 * names.c - which names, identities and times are fine.
 */
#include "ingest/ingest_internal.h"

#include "base/calendar.h"
#include "base/map.h"

#include <math.h>
#include <stdio.h>

/* Text in a message: at most so much of what the client sent. */
#define SHOWN(b) ((b).len < 80 ? (int)(b).len : 80), ((const char *)(b).ptr)

/* --- event names ----------------------------------------------------------------------- */

/* CleverTap's system events, without case and white space: clients can't upload them. */
static const char *const system_events[] = {
    "notificationsent",
    "notificationviewed",
    "notificationclicked",
    "notificationdelivered",
    "notificationreplied",
    "notificationbounced",
    "utmvisited",
    "applaunched",
    "appuninstalled",
    "appversionchanged",
    "stayed",
    "replysent",
    "experimentrendered",
    "reachableby",
    "identityset",
    "identityreset",
    "identityerror",
    "wzrk_d",
};

static bool is_system_event(struct bytes name)
{
    char folded[32];
    size_t len = 0;
    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = name.ptr[i];
        if (c == ' ' || (c >= '\t' && c <= '\r'))
            continue;
        if (len == sizeof folded)
            return false;
        folded[len++] = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
    }
    for (size_t i = 0; i < sizeof system_events / sizeof *system_events; i++) {
        if (strlen(system_events[i]) == len && memcmp(system_events[i], folded, len) == 0)
            return true;
    }
    return false;
}

/* What CleverTap forbids in keys; in event names '#' is allowed. */
static bool is_forbidden(uint8_t c)
{
    static const bool forbidden[256] = {
        ['%'] = true,  ['>'] = true, ['<'] = true,  ['!'] = true, ['|'] = true,
        ['&'] = true,  ['.'] = true, [':'] = true,  [';'] = true, ['$'] = true,
        ['\''] = true, ['"'] = true, ['\\'] = true,
    };
    return forbidden[c];
}

static uint8_t find_forbidden(struct bytes name, bool is_key)
{
    for (size_t i = 0; i < name.len; i++) {
        if (is_forbidden(name.ptr[i]) || (is_key && name.ptr[i] == '#'))
            return name.ptr[i];
    }
    return 0;
}

static bool has_control(struct bytes name)
{
    for (size_t i = 0; i < name.len; i++) {
        if (name.ptr[i] < 0x20 || name.ptr[i] == 0x7f)
            return true;
    }
    return false;
}

static int event_name_code(struct ingest *in, struct bytes name, bool is_folded)
{
    if (name.len == 0 || name.len > in->limits.name_bytes || has_control(name))
        return PROBLEM_EVENT_NAME;
    if (name.ptr[0] == '$' || (in->is_strict && find_forbidden(name, false)))
        return PROBLEM_EVENT_NAME;
    if (in->is_strict && is_system_event(name))
        return PROBLEM_RESERVED;
    if (in->rules->is_discarded && in->rules->is_discarded(in->rules->ctx, name, is_folded))
        return PROBLEM_DISCARDED;
    return 0;
}

/* An upload holds few names many times: each is looked at once. */
static int cached_event_name_code(struct ingest *in, struct bytes name, bool is_folded)
{
    if (in->is_line)
        return event_name_code(in, name, is_folded);
    struct cached_name *cached = &in->names[hash_bytes(name) & (NAMES_CACHED - 1)];
    if (cached->name.ptr && cached->is_folded == is_folded && bytes_equal(cached->name, name))
        return cached->code;
    int code = event_name_code(in, name, is_folded);
    if (name.len > 0 && name.len <= in->limits.name_bytes) {
        /* The document dies before the request does when its records come in lines. */
        struct bytes copy = arena_copy(&in->arena, name);
        if (copy.ptr)
            *cached = (struct cached_name){ copy, is_folded, code };
        in->names_used++;
    }
    return code;
}

bool check_event_name(struct ingest *in, struct bytes name, bool is_folded)
{
    int code = cached_event_name_code(in, name, is_folded);
    if (code == 0)
        return true;
    if (code == PROBLEM_RESERVED)
        return fail(in, code, "event_reserved", "%.*s is a system event", SHOWN(name));
    if (code == PROBLEM_DISCARDED)
        return fail(in, code, "event_discarded", "The event %.*s is discarded", SHOWN(name));
    if (name.len == 0)
        return fail(in, code, "event_missing", "Event name is mandatory");
    if (name.len > in->limits.name_bytes)
        return fail(in, code, "event_invalid", "Event name is longer than %u bytes",
                    in->limits.name_bytes);
    if (has_control(name))
        return fail(in, code, "event_invalid", "Event name has a control character");
    return fail(in, code, "event_invalid", "Event name has the character %c",
                name.ptr[0] == '$' ? '$' : find_forbidden(name, false));
}

bool check_property_name(struct ingest *in, struct bytes name)
{
    if (name.len == 0)
        return fail(in, PROBLEM_STRUCTURE, "property_invalid", "A property has no name");
    if (name.len > in->limits.name_bytes)
        return fail(in, PROBLEM_STRUCTURE, "property_invalid",
                    "A property's name is longer than %u bytes", in->limits.name_bytes);
    if (name.ptr[0] == '$')
        return fail(in, PROBLEM_STRUCTURE, "property_invalid",
                    "A property's name can't start with $: %.*s", SHOWN(name));
    uint8_t forbidden = in->is_strict ? find_forbidden(name, true) : 0;
    if (forbidden)
        return fail(in, PROBLEM_STRUCTURE, "property_invalid",
                    "A property's name can't have the character %c: %.*s", forbidden, SHOWN(name));
    if (has_control(name))
        return fail(in, PROBLEM_STRUCTURE, "property_invalid",
                    "A property's name has a control character");
    return true;
}

/* --- who -------------------------------------------------------------------------------- */

bool id_text(struct ingest *in, struct json_value value, struct bytes *out)
{
    if (json_is(value, JSON_STRING)) {
        *out = json_string(value);
        return true;
    }
    if (json_is(value, JSON_INT))
        *out = arena_printf(&in->arena, "%lld", (long long)json_int(value));
    else if (json_is(value, JSON_UINT))
        *out = arena_printf(&in->arena, "%llu", (unsigned long long)json_uint(value));
    else
        return false;
    in->is_out_of_memory |= !out->ptr;
    return out->ptr != NULL;
}

/* What exports write when there's nothing: CleverTap's imports refuse them. */
static bool is_nobody(struct bytes text)
{
    static const char *const words[] = { "undefined", "null", "na",       "n/a",       "0",
                                         "nil",       "-1",   "infinity", "-infinity", "inf",
                                         "-inf",      "nan",  "-nan",     "empty",     "xxxxxx" };
    char lower[16];
    if (text.len >= sizeof lower)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.ptr[i];
        lower[i] = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
    }
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strlen(words[i]) == text.len && memcmp(words[i], lower, text.len) == 0)
            return true;
    }
    return false;
}

bool check_identity(struct ingest *in, struct bytes text, bool is_clevertap)
{
    if (text.len == 0)
        return fail(in, PROBLEM_IDENTITY, "identity_missing", "Identity is empty");
    if (text.len > in->limits.identity_bytes)
        return fail(in, PROBLEM_IDENTITY, "identity_invalid", "Identity is longer than %u bytes",
                    in->limits.identity_bytes);
    if (has_control(text))
        return fail(in, PROBLEM_IDENTITY, "identity_invalid", "Identity has a control character");
    if (is_clevertap && is_nobody(text))
        return fail(in, PROBLEM_IDENTITY, "identity_invalid", "%.*s is nobody's identity",
                    SHOWN(text));
    return true;
}

bool is_device_id(struct bytes text)
{
    if (text.len == 0 || text.len > 256)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] <= ' ' || text.ptr[i] == 0x7f)
            return false;
    }
    return true;
}

bool is_email(struct bytes text)
{
    size_t at = 0;
    size_t ats = 0;
    size_t last_dot = 0;
    if (text.len > 254)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.ptr[i];
        if (c <= ' ' || c == 0x7f || c == ',' || c == ';' || c == '<' || c == '>')
            return false;
        if (c == '@') {
            at = i;
            ats++;
        }
        if (c == '.') {
            if (i == 0 || text.ptr[i - 1] == '.' || text.ptr[i - 1] == '@')
                return false;
            last_dot = i;
        }
    }
    /* Something, one @, and a domain with a dot that isn't at its end. */
    return ats == 1 && at > 0 && at <= 64 && last_dot > at + 1 && last_dot + 2 < text.len;
}

bool clean_phone(struct bytes text, bool must_have_plus, uint8_t *to, size_t *len_out)
{
    size_t len = 0;
    size_t digits = 0;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.ptr[i];
        if (c == ' ' || c == '-' || c == '(' || c == ')' || c == '.' || c == '/')
            continue;
        bool is_plus = c == '+' && len == 0;
        if (!is_plus && (c < '0' || c > '9'))
            return false;
        digits += !is_plus;
        to[len++] = c;
    }
    if (digits < 5 || digits > 15 || (must_have_plus && to[0] != '+'))
        return false;
    *len_out = len;
    return true;
}

/* --- when ---------------------------------------------------------------------------------- */

/* 10^11 seconds are the year 5138; as many milliseconds were in 1973. */
static const int64_t MILLISECONDS_FROM = INT64_C(100000000000);

int64_t epoch_to_ms(int64_t epoch)
{
    bool is_seconds = epoch > -MILLISECONDS_FROM && epoch < MILLISECONDS_FROM;
    return is_seconds ? epoch * 1000 : epoch;
}

bool epoch_time(struct json_value value, int64_t *time_ms_out)
{
    if (json_is(value, JSON_INT)) {
        *time_ms_out = epoch_to_ms(json_int(value));
        return true;
    }
    if (!json_is(value, JSON_REAL))
        return false;
    double real = json_real(value);
    if (fabs(real) < (double)MILLISECONDS_FROM)
        real *= 1000;
    if (fabs(real) > (double)TIME_MS_MAX)
        return false;
    *time_ms_out = (int64_t)floor(real + 0.5);
    return true;
}

bool rfc3339_time(struct bytes text, int64_t *time_ms_out)
{
    bool has_zone =
        text.len > 10 && (text.ptr[text.len - 1] == 'Z' || text.ptr[text.len - 6] == '+' ||
                          text.ptr[text.len - 6] == '-');
    return has_zone && calendar_parse(text, NULL, time_ms_out, NULL);
}

bool check_time(struct ingest *in, int64_t time_ms)
{
    if (time_ms < 0)
        return fail(in, PROBLEM_TIME, "time_invalid", "The time lies before 1970");
    if (time_ms > in->rules->now_ms + INGEST_FUTURE_MS)
        return fail(in, PROBLEM_TIME, "time_invalid",
                    "The time lies more than a day in the future");
    return true;
}

bool dollar_date(struct bytes text, int64_t *time_ms_out)
{
    int64_t epoch = 0;
    bool is_negative = false;
    size_t at = 3;
    if (!is_dollar_date(text))
        return false;
    if (text.ptr[at] == '-') {
        is_negative = true;
        at++;
    }
    if (at == text.len || text.len - at > 15)
        return false;
    for (; at < text.len; at++) {
        if (text.ptr[at] < '0' || text.ptr[at] > '9')
            return false;
        epoch = epoch * 10 + (text.ptr[at] - '0');
    }
    int64_t time_ms = epoch_to_ms(is_negative ? -epoch : epoch);
    if (time_ms < TIME_MS_MIN || time_ms > TIME_MS_MAX)
        return false;
    *time_ms_out = time_ms;
    return true;
}

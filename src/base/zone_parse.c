/*
 * zone_parse.c - TZif files (RFC 8536), big-endian:
 *
 *     header   "TZif", version, 15 unused; counts: isut, isstd, leap, time, type, char (4 each)
 *     data     time x transition time (4 bytes in version 1, else 8), time x type number,
 *              type x { offset 4, is_dst 1, name 1 }, char names, leap x (time + 4), isstd, isut
 *
 * From version 2 on a second header and data with 8-byte times follow, and a footer: newline, a
 * POSIX TZ rule or nothing, newline. The rule says what holds after the last transition; it's
 * unrolled here, so that nobody past the parser knows about rules.
 *
 * Files that count leap seconds ("right/...") are refused: Kolam's time doesn't.
 */
#include "base/zone_internal.h"

#include <ctype.h>

enum { HEADER_SIZE = 44, TYPE_SIZE = 6, TYPES_MAX = 256 };

static struct err corrupt(const char *what)
{
    return err_new(ERR_CORRUPT, what);
}

/* --- the POSIX rule ----------------------------------------------------- */

enum date_kind {
    DATE_JULIAN_1, /* Jn: 1 .. 365, never the 29th of February */
    DATE_JULIAN_0, /* n: 0 .. 365, the 29th of February counted */
    DATE_WEEKDAY,  /* Mm.w.d: the w-th (5: last) weekday d of month m, Sunday being 0 */
};

struct rule_date {
    enum date_kind kind;
    int day; /* of the year, or the weekday */
    int week;
    int month;
    int32_t time_s; /* from local midnight, on the clock in use before */
};

struct rule {
    int32_t standard_s;
    int32_t summer_s;
    bool has_summer;
    struct rule_date start;
    struct rule_date end;
};

struct cursor {
    const char *next;
    const char *end;
};

static char peek(const struct cursor *cursor)
{
    return cursor->next < cursor->end ? *cursor->next : 0;
}

static bool accept(struct cursor *cursor, char c)
{
    if (peek(cursor) != c || c == 0)
        return false;
    cursor->next++;
    return true;
}

static bool take_number(struct cursor *cursor, int max, int *out)
{
    int value = 0;
    const char *start = cursor->next;
    while (isdigit((unsigned char)peek(cursor)) && value <= max)
        value = value * 10 + (*cursor->next++ - '0');
    *out = value;
    return cursor->next > start && value <= max;
}

/* "EST" or "<-03>". */
static bool take_name(struct cursor *cursor)
{
    const char *start = cursor->next;
    if (accept(cursor, '<')) {
        while (isalnum((unsigned char)peek(cursor)) || peek(cursor) == '+' || peek(cursor) == '-')
            cursor->next++;
        return cursor->next > start + 1 && accept(cursor, '>');
    }
    while (isalpha((unsigned char)peek(cursor)))
        cursor->next++;
    return cursor->next > start;
}

/* [+-]hh[:mm[:ss]] */
static bool take_time(struct cursor *cursor, int hours_max, int32_t *seconds_out)
{
    int sign = accept(cursor, '-') ? -1 : 1;
    if (sign > 0)
        (void)accept(cursor, '+');
    int hours;
    int minutes = 0;
    int seconds = 0;
    if (!take_number(cursor, hours_max, &hours))
        return false;
    if (accept(cursor, ':')) {
        if (!take_number(cursor, 59, &minutes))
            return false;
        if (accept(cursor, ':') && !take_number(cursor, 59, &seconds))
            return false;
    }
    *seconds_out = sign * (hours * 3600 + minutes * 60 + seconds);
    return true;
}

static bool take_date(struct cursor *cursor, struct rule_date *out)
{
    *out = (struct rule_date){ .time_s = 2 * 3600 };
    if (accept(cursor, 'M')) {
        out->kind = DATE_WEEKDAY;
        if (!take_number(cursor, 12, &out->month) || out->month < 1 || !accept(cursor, '.') ||
            !take_number(cursor, 5, &out->week) || out->week < 1 || !accept(cursor, '.') ||
            !take_number(cursor, 6, &out->day))
            return false;
    } else if (accept(cursor, 'J')) {
        out->kind = DATE_JULIAN_1;
        if (!take_number(cursor, 365, &out->day) || out->day < 1)
            return false;
    } else {
        out->kind = DATE_JULIAN_0;
        if (!take_number(cursor, 365, &out->day))
            return false;
    }
    return !accept(cursor, '/') || take_time(cursor, 167, &out->time_s);
}

static bool parse_rule(struct bytes text, struct rule *out)
{
    struct cursor cursor = { (const char *)text.ptr, (const char *)text.ptr + text.len };
    *out = (struct rule){ .has_summer = false };

    /* POSIX counts offsets west of Greenwich. */
    if (!take_name(&cursor) || !take_time(&cursor, 25, &out->standard_s))
        return false;
    out->standard_s = -out->standard_s;
    if (cursor.next == cursor.end)
        return true;

    out->has_summer = true;
    out->summer_s = out->standard_s + 3600;
    if (!take_name(&cursor))
        return false;
    if (peek(&cursor) != ',') {
        if (!take_time(&cursor, 25, &out->summer_s))
            return false;
        out->summer_s = -out->summer_s;
    }
    return accept(&cursor, ',') && take_date(&cursor, &out->start) && accept(&cursor, ',') &&
           take_date(&cursor, &out->end) && cursor.next == cursor.end &&
           out->summer_s < ZONE_OFFSET_LIMIT_S && out->summer_s > -ZONE_OFFSET_LIMIT_S;
}

static bool is_leap(int year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static int32_t weekday_of_month(const struct rule_date *date, int year)
{
    int32_t first = civil_to_day((struct civil_date){ year, date->month, 1 });
    int32_t next_month = date->month == 12
                             ? civil_to_day((struct civil_date){ year + 1, 1, 1 })
                             : civil_to_day((struct civil_date){ year, date->month + 1, 1 });
    int weekday = (int)(((int64_t)first + 4) % 7 + 7) % 7; /* Sunday is 0 */
    int32_t day = first + (date->day - weekday + 7) % 7 + 7 * (date->week - 1);
    return day < next_month ? day : day - 7;
}

/* The date in this year, with its time of day, on the local clock. */
static int64_t rule_local_ms(const struct rule_date *date, int year)
{
    int32_t day = civil_to_day((struct civil_date){ year, 1, 1 });
    switch (date->kind) {
    case DATE_JULIAN_1:
        day += date->day - 1 + (is_leap(year) && date->day >= 60);
        break;
    case DATE_JULIAN_0:
        day += date->day;
        break;
    case DATE_WEEKDAY:
        day = weekday_of_month(date, year);
        break;
    }
    return day * MS_PER_DAY + date->time_s * MS_PER_SECOND;
}

static struct err unroll(struct zone_builder *builder, const struct rule *rule, int64_t after_ms)
{
    int64_t last_ms = after_ms;
    int first_year =
        after_ms < TIME_MS_MIN ? 0 : civil_from_day((int32_t)(after_ms / MS_PER_DAY)).year - 1;

    for (int year = first_year; year <= ZONE_RULE_LAST_YEAR; year++) {
        int64_t start_ms = rule_local_ms(&rule->start, year) - rule->standard_s * MS_PER_SECOND;
        int64_t end_ms = rule_local_ms(&rule->end, year) - rule->summer_s * MS_PER_SECOND;
        bool summer_first = start_ms <= end_ms;
        for (int i = 0; i < 2; i++) {
            bool is_summer = summer_first == (i == 0);
            int64_t at_ms = is_summer ? start_ms : end_ms;
            /* A year's last change may be the next one's first: then the later one counts. */
            if (at_ms <= after_ms || at_ms < last_ms)
                continue;
            last_ms = at_ms;
            struct err err =
                zone_builder_add(builder, at_ms, is_summer ? rule->summer_s : rule->standard_s);
            if (err.code)
                return err;
        }
    }
    return ok();
}

/* --- the file ----------------------------------------------------------- */

struct block {
    struct bytes times;
    struct bytes type_numbers;
    struct bytes types;
    size_t time_size; /* 4 or 8 */
    uint32_t leap_count;
};

static uint32_t load_be32(const uint8_t *from)
{
    return (uint32_t)from[0] << 24 | (uint32_t)from[1] << 16 | (uint32_t)from[2] << 8 | from[3];
}

static int64_t load_time(const uint8_t *from, size_t size)
{
    if (size == 4)
        return (int32_t)load_be32(from);
    return (int64_t)((uint64_t)load_be32(from) << 32 | load_be32(from + 4));
}

static struct err take_block(struct reader *file, size_t time_size, char *version_out,
                             struct block *out)
{
    struct bytes header = reader_take(file, HEADER_SIZE);
    if (header.len == 0 || memcmp(header.ptr, "TZif", 4) != 0)
        return corrupt("zone: not a TZif file");
    *version_out = (char)header.ptr[4];
    uint32_t isut_count = load_be32(header.ptr + 20);
    uint32_t isstd_count = load_be32(header.ptr + 24);
    uint32_t leap_count = load_be32(header.ptr + 28);
    uint32_t time_count = load_be32(header.ptr + 32);
    uint32_t type_count = load_be32(header.ptr + 36);
    uint32_t char_count = load_be32(header.ptr + 40);

    *out = (struct block){ .time_size = time_size, .leap_count = leap_count };
    out->times = reader_take(file, time_count * time_size);
    out->type_numbers = reader_take(file, time_count);
    out->types = reader_take(file, (size_t)type_count * TYPE_SIZE);
    (void)reader_take(file, char_count);
    (void)reader_take(file, leap_count * (time_size + 4));
    (void)reader_take(file, isstd_count);
    (void)reader_take(file, isut_count);
    if (file->is_failed)
        return corrupt("zone: cut short");
    return ok();
}

static struct err check_block(const struct block *block)
{
    size_t type_count = block->types.len / TYPE_SIZE;
    if (block->leap_count)
        return corrupt("zone: counts leap seconds");
    if (type_count == 0 || type_count > TYPES_MAX)
        return corrupt("zone: number of types");
    for (size_t i = 0; i < type_count; i++) {
        int32_t offset_s = (int32_t)load_be32(block->types.ptr + i * TYPE_SIZE);
        if (offset_s <= -ZONE_OFFSET_LIMIT_S || offset_s >= ZONE_OFFSET_LIMIT_S)
            return corrupt("zone: offset");
    }
    for (size_t i = 0; i < block->type_numbers.len; i++) {
        if (block->type_numbers.ptr[i] >= type_count)
            return corrupt("zone: number of a type");
        const uint8_t *time = block->times.ptr + i * block->time_size;
        if (i > 0 && load_time(time - block->time_size, block->time_size) >=
                         load_time(time, block->time_size))
            return corrupt("zone: order of transitions");
    }
    return ok();
}

static int32_t type_offset_s(const struct block *block, size_t type)
{
    return (int32_t)load_be32(block->types.ptr + type * TYPE_SIZE);
}

static struct err add_transitions(struct zone_builder *builder, const struct block *block,
                                  int64_t *last_ms_out)
{
    *last_ms_out = -ZONE_FAR_MS;
    for (size_t i = 0; i < block->type_numbers.len; i++) {
        int64_t at_s = load_time(block->times.ptr + i * block->time_size, block->time_size);
        int64_t at_ms = at_s < TIME_MS_MIN / 1000   ? TIME_MS_MIN
                        : at_s > TIME_MS_MAX / 1000 ? TIME_MS_MAX + 1
                                                    : at_s * MS_PER_SECOND;
        struct err err =
            zone_builder_add(builder, at_ms, type_offset_s(block, block->type_numbers.ptr[i]));
        if (err.code)
            return err;
        *last_ms_out = at_ms;
    }
    return ok();
}

/* The rule between the newlines; empty: there is none. */
static struct err take_footer(struct reader *file, struct bytes *rule_out)
{
    size_t left = reader_left(file);
    const uint8_t *end = left > 1 ? memchr(file->next + 1, '\n', left - 1) : NULL;
    if (!end || file->next[0] != '\n')
        return corrupt("zone: footer");
    *rule_out = bytes_of(file->next + 1, (size_t)(end - file->next - 1));
    return ok();
}

static struct err build(struct zone_builder *builder, const struct block *block,
                        struct bytes rule_text)
{
    struct rule rule = { .has_summer = false };
    if (rule_text.len && !parse_rule(rule_text, &rule))
        return corrupt("zone: rule");

    /* Without transitions the rule holds for all times. */
    bool is_rule_only = rule_text.len && block->type_numbers.len == 0;
    struct err err = zone_builder_add(builder, -ZONE_FAR_MS,
                                      is_rule_only ? rule.standard_s : type_offset_s(block, 0));
    if (err.code)
        return err;
    int64_t last_ms;
    err = add_transitions(builder, block, &last_ms);
    if (err.code || !rule.has_summer)
        return err;
    return unroll(builder, &rule, last_ms);
}

static struct err read_file(struct bytes tzif, struct block *block, struct bytes *rule_out)
{
    struct reader file = reader_of(tzif);
    char version;
    *rule_out = bytes_of(NULL, 0);

    struct err err = take_block(&file, 4, &version, block);
    if (err.code)
        return err;
    if (version == 0)
        return check_block(block);
    if (version < '2')
        return corrupt("zone: version");

    err = take_block(&file, 8, &version, block);
    if (!err.code)
        err = take_footer(&file, rule_out);
    if (!err.code)
        err = check_block(block);
    return err;
}

struct err zone_parse(struct bytes name, struct bytes tzif, struct zone **out)
{
    struct block block;
    struct bytes rule_text;
    struct err err = read_file(tzif, &block, &rule_text);
    if (err.code)
        return err;

    struct zone_builder builder = { .count = 0 };
    err = build(&builder, &block, rule_text);
    if (!err.code)
        err = zone_builder_take(&builder, name, out);
    zone_builder_done(&builder);
    return err;
}

/*
 * calendar.c - civil dates and their text.
 *
 * Dates are counted from the 1st of March of the year 0, so that the leap day is a year's last:
 * then a date is a sum of whole 400-year eras, years and months, without a table.
 */
#include "base/calendar.h"

enum {
    DAYS_PER_ERA = 146097, /* 400 years */
    DAYS_TO_1970 = 719468, /* from 0000-03-01 */
};

static int64_t floor_div(int64_t value, int64_t by)
{
    return value / by - (value % by < 0);
}

int32_t civil_to_day(struct civil_date date)
{
    int64_t year = (int64_t)date.year - (date.month <= 2);
    int64_t era = floor_div(year, 400);
    int64_t year_of_era = year - era * 400;
    int64_t month = (date.month + 9) % 12; /* March is 0 */
    int64_t day_of_year = (153 * month + 2) / 5 + date.day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return (int32_t)(era * DAYS_PER_ERA + day_of_era - DAYS_TO_1970);
}

struct civil_date civil_from_day(int32_t day)
{
    int64_t shifted = (int64_t)day + DAYS_TO_1970;
    int64_t era = floor_div(shifted, DAYS_PER_ERA);
    int64_t day_of_era = shifted - era * DAYS_PER_ERA;
    /* Take the leap days before it out, and years all have 365. */
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month = (5 * day_of_year + 2) / 153;
    return (struct civil_date){
        .year = (int)(era * 400 + year_of_era + (month >= 10)),
        .month = (int)(month < 10 ? month + 3 : month - 9),
        .day = (int)(day_of_year - (153 * month + 2) / 5 + 1),
    };
}

int32_t civil_month_of_ms(int64_t time_ms)
{
    struct civil_date date = civil_from_day((int32_t)floor_div(time_ms, MS_PER_DAY));
    return (date.year - 1970) * 12 + date.month - 1;
}

int64_t civil_month_start_ms(int32_t month)
{
    int64_t year = floor_div(month, 12);
    struct civil_date date = { .year = (int)(1970 + year),
                               .month = (int)(month - year * 12) + 1,
                               .day = 1 };
    return civil_to_day(date) * MS_PER_DAY;
}

/* --- reading text ------------------------------------------------------- */

struct text {
    const uint8_t *next;
    const uint8_t *end;
};

static bool take_digits(struct text *text, int count, int *out)
{
    int value = 0;
    if (text->end - text->next < count)
        return false;
    for (int i = 0; i < count; i++) {
        uint8_t c = *text->next++;
        if (c < '0' || c > '9')
            return false;
        value = value * 10 + (c - '0');
    }
    *out = value;
    return true;
}

static bool take_char(struct text *text, char c)
{
    if (text->next == text->end || *text->next != (uint8_t)c)
        return false;
    text->next++;
    return true;
}

static bool take_date(struct text *text, int32_t *day_out)
{
    struct civil_date date;
    if (!take_digits(text, 4, &date.year) || !take_char(text, '-') ||
        !take_digits(text, 2, &date.month) || !take_char(text, '-') ||
        !take_digits(text, 2, &date.day))
        return false;
    if (date.year < 1 || date.month < 1 || date.month > 12 || date.day < 1 || date.day > 31)
        return false;
    *day_out = civil_to_day(date);
    return civil_from_day(*day_out).day == date.day; /* there's no 31st of June */
}

/* ".1" to ".123456789"; what's below a millisecond is dropped. */
static bool take_fraction(struct text *text, int *ms_out)
{
    int ms = 0;
    int digits = 0;
    for (; text->next < text->end && *text->next >= '0' && *text->next <= '9'; text->next++) {
        if (digits < 3)
            ms = ms * 10 + (*text->next - '0');
        digits++;
    }
    for (int i = digits; i < 3; i++)
        ms *= 10;
    *ms_out = ms;
    return digits >= 1 && digits <= 9;
}

/* hh:mm[:ss[.fraction]] */
static bool take_clock(struct text *text, int64_t *ms_of_day_out)
{
    int hour;
    int minute;
    int second = 0;
    int ms = 0;
    if (!take_digits(text, 2, &hour) || !take_char(text, ':') || !take_digits(text, 2, &minute))
        return false;
    if (take_char(text, ':')) {
        if (!take_digits(text, 2, &second))
            return false;
        if (take_char(text, '.') && !take_fraction(text, &ms))
            return false;
    }
    if (hour > 23 || minute > 59 || second > 59)
        return false;
    *ms_of_day_out = hour * MS_PER_HOUR + minute * MS_PER_MINUTE + second * MS_PER_SECOND + ms;
    return true;
}

/* "+05:30" */
static bool take_offset(struct text *text, int64_t *offset_ms_out)
{
    int hours;
    int minutes;
    bool is_negative = *text->next == '-';
    text->next++;
    if (!take_digits(text, 2, &hours) || !take_char(text, ':') || !take_digits(text, 2, &minutes) ||
        hours > 23 || minutes > 59)
        return false;
    int64_t offset_ms = hours * MS_PER_HOUR + minutes * MS_PER_MINUTE;
    *offset_ms_out = is_negative ? -offset_ms : offset_ms;
    return true;
}

bool calendar_parse(struct bytes bytes, const struct zone *zone, int64_t *time_ms_out,
                    bool *is_date_only_out)
{
    struct text text = { bytes.ptr, bytes.len ? bytes.ptr + bytes.len : bytes.ptr };
    int32_t day;
    int64_t ms_of_day = 0;
    int64_t offset_ms = 0;
    bool is_local = true;

    if (!take_date(&text, &day))
        return false;
    bool is_date_only = text.next == text.end;
    if (!is_date_only) {
        if (!take_char(&text, 'T') && !take_char(&text, ' '))
            return false;
        if (!take_clock(&text, &ms_of_day))
            return false;
        if (text.next < text.end) {
            is_local = false;
            bool has_offset = *text.next == '+' || *text.next == '-';
            if (has_offset ? !take_offset(&text, &offset_ms) : !take_char(&text, 'Z'))
                return false;
        }
        if (text.next != text.end)
            return false;
    }

    int64_t time_ms = day * MS_PER_DAY + ms_of_day - offset_ms;
    if (is_local && zone)
        time_ms =
            is_date_only ? zone_day_start_ms(zone, day) : zone_local_to_ms(zone, day, ms_of_day);
    if (time_ms < TIME_MS_MIN || time_ms > TIME_MS_MAX)
        return false;
    *time_ms_out = time_ms;
    if (is_date_only_out)
        *is_date_only_out = is_date_only;
    return true;
}

/* --- writing text ------------------------------------------------------- */

enum { TEXT_MAX = 48 };

static char *put_digits(char *to, int count, int value)
{
    for (int i = count - 1; i >= 0; i--) {
        to[i] = (char)('0' + value % 10);
        value /= 10;
    }
    return to + count;
}

static char *put_date(char *to, int32_t day)
{
    struct civil_date date = civil_from_day(day);
    int year = date.year;
    int digits = 4;
    if (year < 0) {
        *to++ = '-';
        year = -year;
    }
    for (int rest = year / 10000; rest; rest /= 10)
        digits++;
    to = put_digits(to, digits, year);
    *to++ = '-';
    to = put_digits(to, 2, date.month);
    *to++ = '-';
    return put_digits(to, 2, date.day);
}

static char *put_time(char *to, int64_t local_ms)
{
    const int64_t most = INT64_C(100000000000000000); /* whose day is still an int32_t */
    local_ms = local_ms < -most ? -most : local_ms > most ? most : local_ms;
    int64_t day = floor_div(local_ms, MS_PER_DAY);
    int ms = (int)(local_ms - day * MS_PER_DAY);

    to = put_date(to, (int32_t)day);
    *to++ = 'T';
    to = put_digits(to, 2, ms / (int)MS_PER_HOUR);
    *to++ = ':';
    to = put_digits(to, 2, ms / (int)MS_PER_MINUTE % 60);
    *to++ = ':';
    to = put_digits(to, 2, ms / (int)MS_PER_SECOND % 60);
    if (ms % 1000) {
        *to++ = '.';
        to = put_digits(to, 3, ms % 1000);
    }
    return to;
}

void calendar_put_utc(struct buf *buf, int64_t time_ms)
{
    char text[TEXT_MAX];
    char *end = put_time(text, time_ms);
    *end++ = 'Z';
    buf_put(buf, bytes_of(text, (size_t)(end - text)));
}

void calendar_put_local(struct buf *buf, const struct zone *zone, int64_t time_ms)
{
    /* The notation has no seconds of an offset. Rounding it, and the wall clock with it, keeps
     * the instant. */
    int32_t offset_s = zone_offset_s(zone, time_ms);
    int minutes = (offset_s < 0 ? -offset_s + 30 : offset_s + 30) / 60;
    int64_t shift_ms = minutes * MS_PER_MINUTE;

    int64_t local_ms;
    if (__builtin_add_overflow(time_ms, offset_s < 0 ? -shift_ms : shift_ms, &local_ms))
        local_ms = time_ms;

    char text[TEXT_MAX];
    char *end = put_time(text, local_ms);
    *end++ = offset_s < 0 && minutes ? '-' : '+';
    end = put_digits(end, 2, minutes / 60);
    *end++ = ':';
    end = put_digits(end, 2, minutes % 60);
    buf_put(buf, bytes_of(text, (size_t)(end - text)));
}

void calendar_put_day(struct buf *buf, int32_t day)
{
    char text[TEXT_MAX];
    char *end = put_date(text, day);
    buf_put(buf, bytes_of(text, (size_t)(end - text)));
}

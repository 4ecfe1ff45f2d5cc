/*
 * matcher.c - comparisons as ranges.
 *
 * Every comparison of numbers and times is "lies in one of these closed ranges", for integers and
 * for doubles apart, so that the loops over columns know no operators. The ends are made exactly:
 * an integer above 2^53 isn't rounded to a double before it's compared.
 */
#include "query/matcher.h"

#include <math.h>

static const struct int_range NO_INTS = { .lo = 1, .hi = 0 };
static const struct real_range NO_REALS = { .lo = 1, .hi = 0 };

static bool is_number(const struct value *value)
{
    return value->type == VALUE_INT || value->type == VALUE_REAL;
}

/* --- the ends of ranges ------------------------------------------------------------------ */

/* The smallest integer that is not below (or, strictly: is above) the number; false: none. */
static bool int_from(const struct value *value, bool is_strict, int64_t *out)
{
    if (value->type == VALUE_INT) {
        if (is_strict && value->integer == INT64_MAX)
            return false;
        *out = value->integer + (is_strict ? 1 : 0);
        return true;
    }
    double whole = is_strict ? floor(value->real) + 1 : ceil(value->real);
    if (whole >= 9223372036854775808.0)
        return false;
    *out = whole < -9223372036854775808.0 ? INT64_MIN : (int64_t)whole;
    return true;
}

static bool int_to(const struct value *value, bool is_strict, int64_t *out)
{
    if (value->type == VALUE_INT) {
        if (is_strict && value->integer == INT64_MIN)
            return false;
        *out = value->integer - (is_strict ? 1 : 0);
        return true;
    }
    double whole = is_strict ? ceil(value->real) - 1 : floor(value->real);
    if (whole < -9223372036854775808.0)
        return false;
    *out = whole >= 9223372036854775808.0 ? INT64_MAX : (int64_t)whole;
    return true;
}

/* <0, 0, >0: the double against the integer, exactly. */
static int compare_exact(double real, int64_t integer)
{
    if (real >= 9223372036854775808.0)
        return 1;
    if (real < -9223372036854775808.0)
        return -1;
    int64_t whole = (int64_t)real; /* towards zero */
    if (whole != integer)
        return whole < integer ? -1 : 1;
    double rest = real - (double)whole;
    return (rest > 0) - (rest < 0);
}

static double real_from(const struct value *value, bool is_strict)
{
    if (value->type == VALUE_REAL)
        return is_strict ? nextafter(value->real, INFINITY) : value->real;
    double real = (double)value->integer;
    int order = compare_exact(real, value->integer);
    return order < 0 || (order == 0 && is_strict) ? nextafter(real, INFINITY) : real;
}

static double real_to(const struct value *value, bool is_strict)
{
    if (value->type == VALUE_REAL)
        return is_strict ? nextafter(value->real, -INFINITY) : value->real;
    double real = (double)value->integer;
    int order = compare_exact(real, value->integer);
    return order > 0 || (order == 0 && is_strict) ? nextafter(real, -INFINITY) : real;
}

/* What [from, to] is, one end or both given. */
static struct int_range int_range(const struct value *from, bool from_strict,
                                  const struct value *to, bool to_strict)
{
    struct int_range range = { .lo = INT64_MIN, .hi = INT64_MAX };
    if ((from && !int_from(from, from_strict, &range.lo)) ||
        (to && !int_to(to, to_strict, &range.hi)))
        return NO_INTS;
    return range;
}

static struct real_range real_range(const struct value *from, bool from_strict,
                                    const struct value *to, bool to_strict)
{
    return (struct real_range){ .lo = from ? real_from(from, from_strict) : -INFINITY,
                                .hi = to ? real_to(to, to_strict) : INFINITY };
}

/* --- preparing ------------------------------------------------------------------------------ */

/* A text as the times it stands for: an instant, or a whole local day. */
static bool time_of(struct exec *exec, const struct value *value, struct int_range *out)
{
    bool is_date;
    int64_t time_ms;
    if (value->type != VALUE_STRING || value->string.len > 64 ||
        !calendar_parse(value->string, exec->zone, &time_ms, &is_date))
        return false;
    out->lo = time_ms;
    out->hi = time_ms;
    if (is_date) {
        int32_t day = zone_day(exec->zone, time_ms);
        out->lo = zone_day_start_ms(exec->zone, day);
        out->hi = zone_day_start_ms(exec->zone, day + 1) - 1;
    }
    return true;
}

static struct int_range time_range(struct exec *exec, enum compare_op op,
                                   const struct value *values)
{
    struct int_range first;
    struct int_range second;

    if (!time_of(exec, &values[0], &first))
        return NO_INTS;
    switch (op) {
    case OP_EQ:
    case OP_IN:
        return first;
    case OP_LT:
        return (struct int_range){ .lo = INT64_MIN, .hi = first.lo - 1 };
    case OP_LE:
        return (struct int_range){ .lo = INT64_MIN, .hi = first.hi };
    case OP_GT:
        return (struct int_range){ .lo = first.hi + 1, .hi = INT64_MAX };
    case OP_GE:
        return (struct int_range){ .lo = first.lo, .hi = INT64_MAX };
    case OP_BETWEEN:
        if (!time_of(exec, &values[1], &second))
            return NO_INTS;
        return (struct int_range){ .lo = first.lo, .hi = second.hi };
    default:
        return NO_INTS;
    }
}

static void number_ranges(enum compare_op op, const struct value *values, struct int_range *ints,
                          struct real_range *reals)
{
    const struct value *from = NULL;
    const struct value *to = NULL;
    bool is_strict = op == OP_LT || op == OP_GT;

    *ints = NO_INTS;
    *reals = NO_REALS;
    if (!is_number(&values[0]) || (op >= OP_CONTAINS))
        return;
    if (op != OP_LT && op != OP_LE)
        from = &values[0];
    if (op == OP_LT || op == OP_LE || op == OP_EQ || op == OP_IN)
        to = &values[0];
    if (op == OP_BETWEEN)
        to = &values[1];
    *ints = int_range(from, is_strict, to, is_strict);
    *reals = real_range(from, is_strict, to, is_strict);
}

struct err matcher_init(struct exec *exec, const struct compare *compare, struct matcher *out)
{
    struct matcher matcher = { .op = compare->op == OP_NE ? OP_EQ : compare->op,
                               .is_inverted = compare->op == OP_NE,
                               .values = compare->values,
                               .value_count = compare->value_count };
    uint32_t count = compare->op == OP_EXISTS ? 0 : compare->op == OP_IN ? compare->value_count : 1;
    struct int_range *ints = arena_alloc(exec->arena, (count + 1) * sizeof *ints);
    struct real_range *reals = arena_alloc(exec->arena, (count + 1) * sizeof *reals);
    struct int_range *times = arena_alloc(exec->arena, (count + 1) * sizeof *times);

    if (!ints || !reals || !times)
        return exec_no_memory();
    for (uint32_t i = 0; i < count; i++) {
        const struct value *value = &compare->values[i];
        number_ranges(matcher.op, value, &ints[i], &reals[i]);
        times[i] = time_range(exec, matcher.op, value);
        if (value->type == VALUE_BOOL && (matcher.op == OP_EQ || matcher.op == OP_IN))
            matcher.matches_bool[value->boolean] = true;
        matcher.has_text |= value->type == VALUE_STRING;
    }
    matcher.range_count = count;
    matcher.ints = ints;
    matcher.reals = reals;
    matcher.times = times;
    *out = matcher;
    return ok();
}

/* --- matching --------------------------------------------------------------------------------- */

bool matcher_int(const struct matcher *matcher, int64_t value)
{
    for (uint32_t i = 0; i < matcher->range_count; i++)
        if (value >= matcher->ints[i].lo && value <= matcher->ints[i].hi)
            return true;
    return false;
}

bool matcher_real(const struct matcher *matcher, double value)
{
    for (uint32_t i = 0; i < matcher->range_count; i++)
        if (value >= matcher->reals[i].lo && value <= matcher->reals[i].hi)
            return true;
    return false;
}

bool matcher_time(const struct matcher *matcher, int64_t time_ms)
{
    for (uint32_t i = 0; i < matcher->range_count; i++)
        if (time_ms >= matcher->times[i].lo && time_ms <= matcher->times[i].hi)
            return true;
    return false;
}

static uint8_t folded(uint8_t byte)
{
    return byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte - 'A' + 'a') : byte;
}

static bool has_part(struct bytes text, struct bytes part, bool is_folded)
{
    if (part.len > text.len)
        return false;
    for (size_t at = 0; at + part.len <= text.len; at++) {
        size_t i = 0;
        if (is_folded)
            while (i < part.len && folded(text.ptr[at + i]) == folded(part.ptr[i]))
                i++;
        else
            while (i < part.len && text.ptr[at + i] == part.ptr[i])
                i++;
        if (i == part.len)
            return true;
    }
    return false;
}

static bool text_in(const struct matcher *matcher, struct bytes text)
{
    for (uint32_t i = 0; i < matcher->value_count; i++)
        if (matcher->values[i].type == VALUE_STRING && bytes_equal(text, matcher->values[i].string))
            return true;
    return false;
}

bool matcher_text(const struct matcher *matcher, struct pattern *pattern, struct bytes text)
{
    if (!matcher->has_text)
        return false;
    struct bytes value = matcher->values[0].string;
    switch (matcher->op) {
    case OP_EQ:
    case OP_IN:
        return text_in(matcher, text);
    case OP_LT:
        return bytes_compare(text, value) < 0;
    case OP_LE:
        return bytes_compare(text, value) <= 0;
    case OP_GT:
        return bytes_compare(text, value) > 0;
    case OP_GE:
        return bytes_compare(text, value) >= 0;
    case OP_BETWEEN:
        return bytes_compare(text, value) >= 0 &&
               bytes_compare(text, matcher->values[1].string) <= 0;
    case OP_CONTAINS:
    case OP_ICONTAINS:
        return has_part(text, value, matcher->op == OP_ICONTAINS);
    case OP_STARTS:
        return bytes_start_with(text, value);
    case OP_ENDS:
        return bytes_end_with(text, value);
    case OP_MATCHES:
        return pattern_found(pattern, text);
    default:
        return false;
    }
}

struct err matcher_pattern(const struct matcher *matcher, struct arena *arena, struct pattern **out)
{
    *out = NULL;
    if (matcher->op != OP_MATCHES)
        return ok();
    *out = pattern_new(matcher->values[0].string, arena);
    return *out ? ok() : exec_no_memory();
}

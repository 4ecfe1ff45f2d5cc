/* tree.c - what both readers of questions share: normal form, checks, names. */
#include "query/tree.h"

#include "query/pattern.h"

#include <math.h>
#include <stdlib.h>

/* --- time ------------------------------------------------------------------------ */

int64_t duration_ms(struct duration duration)
{
    static const int64_t UNITS[] = {
        1,          MS_PER_SECOND,  MS_PER_MINUTE,   MS_PER_HOUR,
        MS_PER_DAY, 7 * MS_PER_DAY, 31 * MS_PER_DAY, 366 * MS_PER_DAY
    };
    return duration.count * UNITS[duration.unit];
}

bool tree_duration_fits(struct duration duration)
{
    struct duration one = { .count = 1, .unit = duration.unit };
    return duration.count >= 0 && duration.count <= 1000 * 366 * MS_PER_DAY / duration_ms(one);
}

bool tree_time_text_ok(struct bytes text)
{
    struct zone *utc;
    int64_t time_ms;
    struct err err = zone_fixed(0, &utc);
    if (err.code)
        return true; /* out of memory: whoever resolves it will say so */
    bool is_ok = text.len < 64 && calendar_parse(text, utc, &time_ms, NULL);
    zone_free(utc);
    return is_ok;
}

uint32_t tree_periods_default(enum calendar_unit unit)
{
    return unit == UNIT_HOUR ? 24 : unit == UNIT_DAY ? 30 : 12;
}

/* --- conditions ---------------------------------------------------------------------- */

const struct condition *tree_join(struct arena *arena, enum condition_kind kind,
                                  const struct condition *const *children, uint32_t count)
{
    uint32_t total = 0;
    for (uint32_t i = 0; i < count; i++)
        total += children[i]->kind == kind ? children[i]->child_count : 1;

    struct condition *joined = arena_calloc(arena, 1, sizeof *joined);
    const struct condition **flat = arena_calloc(arena, total, sizeof *flat);
    if (!joined || !flat)
        return NULL;
    uint32_t used = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (children[i]->kind != kind) {
            flat[used++] = children[i];
            continue;
        }
        for (uint32_t k = 0; k < children[i]->child_count; k++)
            flat[used++] = children[i]->children[k];
    }
    if (used == 1)
        return flat[0];
    joined->kind = kind;
    joined->children = flat;
    joined->child_count = used;
    if (count > 0)
        joined->at = children[0]->at;
    return joined;
}

uint32_t tree_condition_depth(const struct condition *condition)
{
    uint32_t deepest = 0;
    if (!condition)
        return 0;
    for (uint32_t i = 0; i < condition->child_count; i++) {
        uint32_t depth = tree_condition_depth(condition->children[i]);
        deepest = depth > deepest ? depth : deepest;
    }
    if (condition->kind == COND_DID)
        deepest = tree_condition_depth(condition->did.step.where);
    if (condition->kind == COND_SEQUENCE)
        for (uint32_t i = 0; i < condition->sequence.step_count; i++) {
            uint32_t depth = tree_condition_depth(condition->sequence.steps[i].where);
            deepest = depth > deepest ? depth : deepest;
        }
    return deepest + 1;
}

uint32_t tree_expr_depth(const struct expr *expr)
{
    if (!expr)
        return 0;
    uint32_t left = tree_expr_depth(expr->left);
    uint32_t right = tree_expr_depth(expr->right);
    return 1 + (left > right ? left : right);
}

struct value tree_number(double number)
{
    if (number == floor(number) && number >= -9223372036854775808.0 &&
        number < 9223372036854775808.0)
        return value_int((int64_t)number);
    return value_real(number);
}

static bool is_number(const struct value *value)
{
    return value->type == VALUE_INT || value->type == VALUE_REAL;
}

const char *tree_compare_problem(enum compare_op op, const struct value *values, uint32_t count)
{
    switch (op) {
    case OP_LT:
    case OP_LE:
    case OP_GT:
    case OP_GE:
        return values[0].type == VALUE_BOOL ? "true and false have no order" : NULL;
    case OP_BETWEEN:
        if (count != 2)
            return "between needs two values";
        if (is_number(&values[0]) != is_number(&values[1]) || values[0].type == VALUE_BOOL ||
            values[1].type == VALUE_BOOL)
            return "between needs two numbers or two texts";
        return NULL;
    case OP_CONTAINS:
    case OP_ICONTAINS:
    case OP_STARTS:
    case OP_ENDS:
        return values[0].type == VALUE_STRING ? NULL : "this operator needs a 'text'";
    case OP_MATCHES:
        return values[0].type == VALUE_STRING ? pattern_problem(values[0].string)
                                              : "matches needs a 'regular expression'";
    default:
        return NULL;
    }
}

/* --- names -------------------------------------------------------------------------------- */

const char *tree_op_name(enum compare_op op)
{
    static const char *const NAMES[] = { "eq",     "ne",      "lt",      "le",       "gt",
                                         "ge",     "between", "in",      "contains", "icontains",
                                         "starts", "ends",    "matches", "exists" };
    return NAMES[op];
}

const char *tree_unit_name(enum calendar_unit unit)
{
    static const char *const NAMES[] = {
        "minute", "hour", "day", "week", "month", "quarter", "year"
    };
    return NAMES[unit];
}

const char *tree_measure_name(enum measure measure)
{
    static const char *const NAMES[] = { "count", "users", "sessions", "sum",       "avg",
                                         "min",   "max",   "distinct", "percentile" };
    return NAMES[measure];
}

const char *tree_aggregate_name(enum aggregate which)
{
    static const char *const NAMES[] = { "count",   "days", "sum", "avg",
                                         "avg_all", "min",  "max", "distinct" };
    return NAMES[which];
}

bool tree_keys_equal(const struct key *a, const struct key *b)
{
    if (a->kind != b->kind)
        return false;
    return a->kind == KEY_TIME ? a->unit == b->unit : bytes_equal(a->name, b->name);
}

static bool is_written(const struct select *select, uint32_t column, bool by_alias,
                       struct bytes text)
{
    struct buf buf;
    buf_init(&buf, TREE_TEXT_MAX * 4);
    if (column < select->key_count)
        tree_put_key(&select->keys[column], &buf);
    else if (by_alias)
        tree_put_item(&select->items[column - select->key_count], &buf);
    else
        tree_put_expr(select->items[column - select->key_count].expr, &buf);
    bool is_equal = !buf.is_failed && bytes_equal(buf_bytes(&buf), text);
    buf_done(&buf);
    return is_equal;
}

bool tree_find_column(const struct select *select, struct bytes text, uint32_t *item_out)
{
    for (int by_alias = 1; by_alias >= 0; by_alias--) {
        for (uint32_t i = 0; i < select->key_count + select->item_count; i++) {
            if (!is_written(select, i, by_alias, text))
                continue;
            *item_out = i;
            return true;
        }
    }
    return false;
}

const char *query_report(const struct query *query)
{
    static const char *const NAMES[] = { "select",  "funnel", "retention", "flow",
                                         "segment", "users",  "events" };
    return NAMES[query->report];
}

/* --- texts ------------------------------------------------------------------------------------ */

void problem_place(struct query_problem *problem, struct bytes text, size_t offset, size_t length)
{
    problem->offset = offset;
    problem->length = length;
    problem->line = 1;
    problem->column = 1;
    for (size_t i = 0; i < offset && i < text.len; i++) {
        if (text.ptr[i] == '\n') {
            problem->line++;
            problem->column = 1;
        } else if ((text.ptr[i] & 0xc0) != 0x80) {
            problem->column++; /* characters, not bytes */
        }
    }
}

/* Bytes of the character at `at`; 0: it's broken. */
static size_t utf8_length(struct bytes text, size_t at)
{
    uint8_t first = text.ptr[at];
    size_t left = text.len - at;
    if (first < 0x80)
        return 1;
    size_t length = first >= 0xc2 && first <= 0xdf   ? 2
                    : first >= 0xe0 && first <= 0xef ? 3
                    : first >= 0xf0 && first <= 0xf4 ? 4
                                                     : 0;
    if (length == 0 || length > left)
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((text.ptr[at + i] & 0xc0) != 0x80)
            return 0;
    uint8_t second = text.ptr[at + 1];
    bool is_overlong = (first == 0xe0 && second < 0xa0) || (first == 0xf0 && second < 0x90);
    bool is_surrogate = first == 0xed && second > 0x9f;
    bool is_too_high = first == 0xf4 && second > 0x8f;
    return is_overlong || is_surrogate || is_too_high ? 0 : length;
}

bool text_is_utf8(struct bytes text, size_t *wrong_at_out)
{
    for (size_t at = 0; at < text.len;) {
        size_t length = utf8_length(text, at);
        if (length == 0) {
            *wrong_at_out = at;
            return false;
        }
        at += length;
    }
    return true;
}

static uint8_t folded(uint8_t byte)
{
    return byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte - 'A' + 'a') : byte;
}

size_t text_distance(struct bytes a, struct bytes b, size_t limit)
{
    enum { LONGEST = 128 };
    size_t row[LONGEST + 1];

    if (a.len > LONGEST || b.len > LONGEST)
        return limit + 1;
    for (size_t j = 0; j <= b.len; j++)
        row[j] = j;
    for (size_t i = 1; i <= a.len; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b.len; j++) {
            size_t replaced = diagonal + (folded(a.ptr[i - 1]) != folded(b.ptr[j - 1]));
            size_t shorter = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
            diagonal = row[j];
            row[j] = replaced < shorter ? replaced : shorter;
        }
    }
    return row[b.len] <= limit ? row[b.len] : limit + 1;
}

/* --- equality ----------------------------------------------------------------------------------- */

bool tree_equal(const struct query *a, const struct query *b)
{
    /* The JSON form says everything and is canonical: equal trees are equal bytes. */
    struct buf left;
    struct buf right;
    buf_init(&left, 64 << 20);
    buf_init(&right, 64 << 20);
    query_put_json(a, &left);
    query_put_json(b, &right);
    bool is_equal =
        !left.is_failed && !right.is_failed && bytes_equal(buf_bytes(&left), buf_bytes(&right));
    buf_done(&left);
    buf_done(&right);
    return is_equal;
}

/*
 * values.c - values as small numbers, and the keys of groups.
 *
 * A value is interned as bytes: its type, then its content. Equal values are equal bytes, since a
 * whole real is written as its integer and a zero has no sign.
 */
#include "base/bits.h"
#include "query/exec.h"

#include <math.h>
#include <stdlib.h>

struct values {
    struct intern *numbers;
    struct arena *arena; /* of the lists that values_get hands out */
    struct value *known; /* by number */
    uint32_t cap;
    size_t limit_bytes;
};

/* --- interning --------------------------------------------------------------------------- */

struct err values_new(struct arena *arena, size_t limit_bytes, struct values **out)
{
    struct values *values = arena_calloc(arena, 1, sizeof *values);
    if (!values)
        return exec_no_memory();
    values->arena = arena;
    values->limit_bytes = limit_bytes;
    struct err err = intern_new(limit_bytes, &values->numbers);
    if (err.code)
        return err;
    struct value absent = value_null();
    uint32_t none;
    err = values_put(values, &absent, &none);
    if (err.code) {
        values_free(values);
        return err;
    }
    *out = values;
    return ok();
}

void values_free(struct values *values)
{
    if (!values)
        return;
    intern_free(values->numbers);
    free(values->known);
    values->numbers = NULL;
    values->known = NULL;
}

static struct value normal(const struct value *value)
{
    struct value copy = *value;
    if (value->type == VALUE_REAL && value->real == floor(value->real) &&
        value->real >= -9223372036854775808.0 && value->real < 9223372036854775808.0)
        copy = value_int((int64_t)value->real);
    return copy;
}

static size_t key_size(const struct value *value)
{
    if (value->type == VALUE_STRING)
        return 1 + value->string.len;
    size_t size = 9;
    for (uint32_t i = 0; value->type == VALUE_LIST && i < value->count; i++)
        size += 4 + value->items[i].len;
    return size;
}

static size_t put_key(const struct value *value, uint8_t *to)
{
    to[0] = (uint8_t)value->type;
    switch (value->type) {
    case VALUE_NULL:
        return 1;
    case VALUE_BOOL:
        to[1] = value->boolean;
        return 2;
    case VALUE_INT:
        store_le64(to + 1, (uint64_t)value->integer);
        return 9;
    case VALUE_TIME:
        store_le64(to + 1, (uint64_t)value->time_ms);
        return 9;
    case VALUE_REAL:
        memcpy(to + 1, &value->real, 8);
        return 9;
    case VALUE_STRING:
        if (value->string.len)
            memcpy(to + 1, value->string.ptr, value->string.len);
        return 1 + value->string.len;
    case VALUE_LIST: {
        size_t len = 1;
        for (uint32_t i = 0; i < value->count; i++) {
            store_le32(to + len, (uint32_t)value->items[i].len);
            if (value->items[i].len)
                memcpy(to + len + 4, value->items[i].ptr, value->items[i].len);
            len += 4 + value->items[i].len;
        }
        return len;
    }
    case VALUE_TYPES: /* `other` */
        return 1;
    }
    return 0;
}

static bool reserve(struct values *values, uint32_t number)
{
    if (number < values->cap)
        return true;
    uint32_t cap = values->cap ? values->cap * 2 : 64;
    if ((size_t)cap * sizeof *values->known > values->limit_bytes + 65536)
        return false;
    struct value *grown = realloc(values->known, cap * sizeof *grown);
    if (!grown)
        return false;
    values->known = grown;
    values->cap = cap;
    return true;
}

/* The value with its content in the table's own memory. */
static struct err keep(struct values *values, const struct value *value, uint32_t number)
{
    struct bytes key = intern_get(values->numbers, number);
    struct value own = *value;

    if (value->type == VALUE_STRING)
        own.string = bytes_slice(key, 1, key.len);
    if (value->type == VALUE_LIST) {
        struct bytes *items = arena_calloc(values->arena, value->count, sizeof *items);
        if (!items)
            return exec_no_memory();
        size_t at = 1;
        for (uint32_t i = 0; i < value->count; i++) {
            items[i] = bytes_slice(key, at + 4, value->items[i].len);
            at += 4 + value->items[i].len;
        }
        own.items = items;
    }
    values->known[number] = own;
    return ok();
}

struct err values_put(struct values *values, const struct value *value, uint32_t *number_out)
{
    struct value own = normal(value);
    uint8_t small[256];
    size_t size = key_size(&own);
    uint8_t *key = size <= sizeof small ? small : malloc(size);
    bool is_new = false;

    if (!key || !reserve(values, intern_count(values->numbers))) {
        if (key != small)
            free(key);
        return exec_no_memory();
    }
    size = put_key(&own, key);
    struct err err = intern_put(values->numbers, bytes_of(key, size), number_out, &is_new);
    if (key != small)
        free(key);
    if (!err.code && is_new)
        err = keep(values, &own, *number_out);
    return err;
}

bool values_find(const struct values *values, const struct value *value, uint32_t *number_out)
{
    struct value own = normal(value);
    uint8_t small[256];
    size_t size = key_size(&own);
    uint8_t *key = size <= sizeof small ? small : malloc(size);
    if (!key)
        return false;
    size = put_key(&own, key);
    bool is_there = intern_find(values->numbers, bytes_of(key, size), number_out);
    if (key != small)
        free(key);
    return is_there;
}

struct value values_get(const struct values *values, uint32_t number)
{
    return values->known[number];
}

uint32_t values_count(const struct values *values)
{
    return intern_count(values->numbers);
}

/* --- order ---------------------------------------------------------------------------------- */

static int rank(enum value_type type)
{
    static const int RANKS[] = { 5, 0, 1, 1, 3, 2, 4, 6 };
    return RANKS[type];
}

static int order_numbers(const struct value *a, const struct value *b)
{
    if (a->type == VALUE_INT && b->type == VALUE_INT)
        return (a->integer > b->integer) - (a->integer < b->integer);
    double left = a->type == VALUE_INT ? (double)a->integer : a->real;
    double right = b->type == VALUE_INT ? (double)b->integer : b->real;
    if (left != right)
        return left < right ? -1 : 1;
    return (a->type > b->type) - (a->type < b->type);
}

static int order_lists(const struct value *a, const struct value *b)
{
    for (uint32_t i = 0; i < a->count && i < b->count; i++) {
        int order = bytes_compare(a->items[i], b->items[i]);
        if (order)
            return order;
    }
    return (a->count > b->count) - (a->count < b->count);
}

int value_order(const struct value *a, const struct value *b)
{
    int left = rank(a->type);
    int right = rank(b->type);
    if (left != right)
        return left < right ? -1 : 1;
    switch (a->type) {
    case VALUE_BOOL:
        return (int)a->boolean - (int)b->boolean;
    case VALUE_INT:
    case VALUE_REAL:
        return order_numbers(a, b);
    case VALUE_TIME:
        return (a->time_ms > b->time_ms) - (a->time_ms < b->time_ms);
    case VALUE_STRING:
        return bytes_compare(a->string, b->string);
    case VALUE_LIST:
        return order_lists(a, b);
    case VALUE_NULL:
    case VALUE_TYPES:
        break;
    }
    return 0;
}

/* --- keys -------------------------------------------------------------------------------------- */

struct err exec_key(struct exec *exec, const struct key *key, struct exec_key *out)
{
    struct exec_key own = { .kind = key->kind,
                            .unit = key->unit,
                            .profile_property = CATALOG_NONE };
    struct buf name;
    struct err err = ok();

    buf_init(&name, TREE_TEXT_MAX * 2);
    tree_put_key(key, &name);
    own.column = arena_copy(exec->arena, buf_bytes(&name));
    buf_done(&name);
    if (!own.column.ptr)
        return exec_no_memory();
    if (key->kind == KEY_PROPERTY)
        err = exec_property(exec, key->name, &key->at, &own.property);
    if (key->kind == KEY_PROFILE)
        err = exec_profile_property(exec, key->name, &key->at, &own.profile_property);
    if (!err.code)
        *out = own;
    return err;
}

struct err exec_keys(struct exec *exec, const struct key *keys, uint32_t count,
                     struct exec_key **out)
{
    struct exec_key *own = arena_calloc(exec->arena, count, sizeof *own);
    if (!own)
        return exec_no_memory();
    for (uint32_t i = 0; i < count; i++) {
        struct err err = exec_key(exec, &keys[i], &own[i]);
        if (err.code)
            return err;
    }
    *out = own;
    return ok();
}

struct key_run {
    struct exec_task *task;
    struct values *values;
    struct exec_slice *slice;
    const struct selection *selection;
    uint32_t *numbers; /* out */
};

static void put_all(const struct key_run *run, uint32_t number)
{
    for (uint32_t i = 0; i < run->slice->slice.events; i++)
        run->numbers[i] = number;
}

static struct err event_numbers(const struct key_run *run)
{
    struct value name =
        value_string(catalog_event_name(run->task->exec->catalog, run->slice->event));
    uint32_t number;
    struct err err = values_put(run->values, &name, &number);
    if (!err.code)
        put_all(run, number);
    return err;
}

/* Most transitions lie on a quarter of an hour, so a table of quarters gives the bucket of a time;
 * where one doesn't (old local mean times), the bucket is searched for. */
enum { QUARTER_MS = 900000, QUARTERS = 31 * 96 + 1 };

static struct err quarter_table(const struct key_run *run, const int64_t *bounds, size_t buckets,
                                uint16_t *table, bool *is_good_out)
{
    int64_t base = run->slice->slice.base_ms;
    size_t bucket = 0;

    *is_good_out = buckets < UINT16_MAX;
    for (size_t i = 0; i <= buckets; i++)
        if (bounds[i] > base && bounds[i] < run->slice->end_ms)
            *is_good_out &= (bounds[i] - base) % QUARTER_MS == 0;
    if (!*is_good_out)
        return ok();
    for (uint32_t i = 0; i < QUARTERS; i++) {
        int64_t time_ms = base + (int64_t)i * QUARTER_MS;
        while (bucket + 1 < buckets && bounds[bucket + 1] <= time_ms)
            bucket++;
        table[i] = (uint16_t)bucket;
    }
    return ok();
}

static size_t search_bucket(const int64_t *bounds, size_t buckets, int64_t time_ms)
{
    size_t lo = 0;
    size_t hi = buckets - 1;
    while (lo < hi) {
        size_t middle = (lo + hi + 1) / 2;
        if (bounds[middle] <= time_ms)
            lo = middle;
        else
            hi = middle - 1;
    }
    return lo;
}

static struct err bucket_numbers(const struct key_run *run, const int64_t *bounds, size_t buckets)
{
    const struct store_slice *slice = &run->slice->slice;
    uint16_t *table = arena_alloc(run->task->scratch, QUARTERS * sizeof *table);
    uint32_t *number_of = arena_calloc(run->task->scratch, buckets, sizeof *number_of);
    bool has_table;

    if (!table || !number_of)
        return exec_no_memory();
    struct err err = quarter_table(run, bounds, buckets, table, &has_table);
    for (uint32_t i = 0; i < slice->events && !err.code; i++) {
        if (!is_selected(run->selection, i))
            continue;
        size_t bucket = has_table ? table[slice->time[i] / QUARTER_MS]
                                  : search_bucket(bounds, buckets, slice->base_ms + slice->time[i]);
        if (number_of[bucket] == 0) {
            struct value start = value_time(bounds[bucket]);
            err = values_put(run->values, &start, &number_of[bucket]);
        }
        run->numbers[i] = number_of[bucket];
    }
    return err;
}

static struct err time_numbers(const struct key_run *run, enum calendar_unit unit)
{
    struct exec *exec = run->task->exec;
    int64_t *bounds;
    size_t count;

    struct err err = exec_slice_times(run->task, run->slice);
    if (err.code)
        return err;
    err = zone_buckets(exec->zone, unit, exec->source->week_start, run->slice->slice.base_ms,
                       run->slice->end_ms, 64000, &bounds, &count);
    if (err.code)
        return err;
    err = bucket_numbers(run, bounds, count - 1);
    free(bounds);
    return err;
}

struct err exec_profile_number(struct exec_task *task, struct values *values,
                               const struct exec_key *key, uint32_t user, uint32_t *number_out)
{
    const struct profile_view *view = task->exec->source->profiles;
    *number_out = 0;
    if (key->profile_property == CATALOG_NONE || user >= profile_view_users(view))
        return ok();
    struct value value = profile_get(view, user, key->profile_property, task->scratch);
    return values_put(values, &value, number_out);
}

static struct err profile_numbers(const struct key_run *run, const struct exec_key *key)
{
    const struct store_slice *slice = &run->slice->slice;
    for (uint32_t u = 0; u < slice->users; u++) {
        uint32_t number;
        bool is_any = false;
        for (uint32_t i = slice->start[u]; i < slice->start[u + 1] && !is_any; i++)
            is_any = is_selected(run->selection, i);
        if (!is_any)
            continue;
        struct err err = exec_profile_number(run->task, run->values, key,
                                             task_user(run->task, slice->row[u]), &number);
        if (err.code)
            return err;
        for (uint32_t i = slice->start[u]; i < slice->start[u + 1]; i++)
            run->numbers[i] = number;
    }
    return ok();
}

static struct value column_value(enum value_type type, const struct store_column *column,
                                 uint32_t event)
{
    switch (type) {
    case VALUE_BOOL:
        return value_bool(column->integers[event] != 0);
    case VALUE_INT:
        return value_int(column->integers[event]);
    case VALUE_REAL:
        return value_real(column->reals[event]);
    case VALUE_TIME:
        return value_time(column->integers[event]);
    case VALUE_STRING:
        return value_string(column->texts[column->codes[event]]);
    default:
        return value_null();
    }
}

static struct err list_value(const struct key_run *run, const struct store_column *column,
                             uint32_t code, struct value *out)
{
    uint32_t count = column->list_start[code + 1] - column->list_start[code];
    struct bytes *items = arena_calloc(run->task->scratch, count, sizeof *items);
    if (!items)
        return exec_no_memory();
    for (uint32_t i = 0; i < count; i++)
        items[i] = column->texts[column->items[column->list_start[code] + i]];
    *out = (struct value){ .type = VALUE_LIST, .count = count, .items = items };
    return ok();
}

/* Texts and lists: each code of the dictionary is interned once, when it's first met. */
static struct err code_numbers(const struct key_run *run, enum value_type type,
                               const struct store_column *column)
{
    uint32_t most = 0;
    uint32_t count = run->slice->slice.events;

    for (uint32_t i = 0; i < count; i++)
        if ((!column->present || bits_has(column->present, i)) && column->codes[i] >= most)
            most = column->codes[i] + 1;
    uint32_t *number_of = arena_calloc(run->task->scratch, most, sizeof *number_of);
    if (!number_of)
        return exec_no_memory();
    for (uint32_t i = 0; i < count; i++) {
        if ((column->present && !bits_has(column->present, i)) || !is_selected(run->selection, i))
            continue;
        uint32_t code = column->codes[i];
        if (number_of[code] == 0) {
            struct value value = column_value(type, column, i);
            struct err err = ok();
            if (type == VALUE_LIST)
                err = list_value(run, column, code, &value);
            if (!err.code)
                err = values_put(run->values, &value, &number_of[code]);
            if (err.code)
                return err;
        }
        run->numbers[i] = number_of[code];
    }
    return ok();
}

static struct err plain_numbers(const struct key_run *run, enum value_type type,
                                const struct store_column *column)
{
    uint64_t last = 0;
    uint32_t last_number = 0;

    for (uint32_t i = 0; i < run->slice->slice.events; i++) {
        if ((column->present && !bits_has(column->present, i)) || !is_selected(run->selection, i))
            continue;
        uint64_t bits; /* integers or reals: both have eight bytes */
        memcpy(&bits, (const uint8_t *)column->integers + (size_t)i * sizeof bits, sizeof bits);
        if (last_number == 0 || bits != last) {
            struct value value = column_value(type, column, i);
            struct err err = values_put(run->values, &value, &last_number);
            if (err.code)
                return err;
            last = bits;
        }
        run->numbers[i] = last_number;
    }
    return ok();
}

static struct err property_numbers(const struct key_run *run, const struct exec_key *key)
{
    struct exec_columns columns;
    uint32_t types = exec_property_types(run->task->exec, &key->property, run->slice->event);
    struct err err = exec_columns(run->task, run->slice, key->property.property, types, &columns);

    for (enum value_type type = VALUE_BOOL; type < VALUE_TYPES && !err.code; type++) {
        if (!(columns.types >> type & 1))
            continue;
        if (type == VALUE_STRING || type == VALUE_LIST)
            err = code_numbers(run, type, &columns.column[type]);
        else
            err = plain_numbers(run, type, &columns.column[type]);
    }
    return err;
}

struct err exec_key_numbers(struct exec_task *task, struct values *values, struct exec_slice *slice,
                            const struct exec_key *key, const struct selection *selection,
                            const uint32_t **out)
{
    struct key_run run = { .task = task, .values = values, .slice = slice, .selection = selection };

    run.numbers = arena_calloc(task->scratch, slice->slice.events, sizeof *run.numbers);
    if (!run.numbers)
        return exec_no_memory();
    *out = run.numbers;
    switch (key->kind) {
    case KEY_EVENT:
        return event_numbers(&run);
    case KEY_TIME:
        return time_numbers(&run, key->unit);
    case KEY_PROFILE:
        return profile_numbers(&run, key);
    case KEY_PROPERTY:
        return key->property.is_item ? ok() : property_numbers(&run, key);
    }
    return ok();
}

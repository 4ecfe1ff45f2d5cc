/*
 * csv.c - rows of a CSV file as records.
 *
 * The header says what the columns are. Cells have no types, so those of properties are told by their
 * look: a whole number or decimal as JSON writes them, true or false, $D_<epoch>; all else is text,
 * "007" and "+49" too. A suffix of the column's name decides where the look misleads.
 */
#include "ingest/ingest_internal.h"

#include "base/calendar.h"
#include "codec/jsonw.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

enum role {
    ROLE_PROPERTY,
    ROLE_IDENTITY,
    ROLE_DEVICE,
    ROLE_EMAIL,
    ROLE_PHONE,
    ROLE_TYPE,
    ROLE_EVENT,
    ROLE_EVENT_ID,
    ROLE_TIME,
    ROLES,
};

enum cell { CELL_ANY, CELL_STRING, CELL_NUMBER, CELL_BOOL, CELL_DATE, CELL_LIST };

struct csv_column {
    enum role role;
    enum cell cell;
    uint8_t *name; /* own copy */
    size_t len;
};

void csv_free(struct ingest *in)
{
    for (size_t i = 0; i < in->column_count; i++)
        free(in->columns[i].name);
    free(in->columns);
    in->columns = NULL;
    in->column_count = 0;
}

/* --- the header --------------------------------------------------------------------- */

static enum role role_of(struct bytes name)
{
    static const struct {
        const char *name;
        enum role role;
    } roles[] = {
        { "identity", ROLE_IDENTITY }, { "device_id", ROLE_DEVICE }, { "objectId", ROLE_DEVICE },
        { "email", ROLE_EMAIL },       { "phone", ROLE_PHONE },      { "type", ROLE_TYPE },
        { "event", ROLE_EVENT },       { "evtName", ROLE_EVENT },    { "event_id", ROLE_EVENT_ID },
        { "time", ROLE_TIME },         { "ts", ROLE_TIME },
    };
    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++) {
        if (bytes_equal(name, bytes_from(roles[i].name)))
            return roles[i].role;
    }
    return ROLE_PROPERTY;
}

/* Takes a known suffix off the name. */
static enum cell cell_of(struct bytes *name)
{
    static const struct {
        const char *suffix;
        enum cell cell;
    } cells[] = {
        { ":string", CELL_STRING }, { ":number", CELL_NUMBER }, { ":bool", CELL_BOOL },
        { ":date", CELL_DATE },     { ":list", CELL_LIST },
    };
    for (size_t i = 0; i < sizeof cells / sizeof *cells; i++) {
        struct bytes suffix = bytes_from(cells[i].suffix);
        if (bytes_end_with(*name, suffix)) {
            name->len -= suffix.len;
            return cells[i].cell;
        }
    }
    return CELL_ANY;
}

static bool has_column(const struct ingest *in, enum role role, struct bytes name)
{
    for (size_t i = 0; i < in->column_count; i++) {
        const struct csv_column *column = &in->columns[i];
        if (role == ROLE_PROPERTY
                ? column->role == role && bytes_equal(bytes_of(column->name, column->len), name)
                : column->role == role)
            return true;
    }
    return false;
}

static bool add_column(struct ingest *in, struct bytes name)
{
    struct csv_column column = { .role = role_of(name) };
    if (bytes_equal(name, BYTES("evtName")))
        in->is_csv_folded = true;
    if (column.role == ROLE_PROPERTY) {
        column.cell = cell_of(&name);
        if (!check_property_name(in, name))
            return false;
    }
    if (has_column(in, column.role, name))
        return fail(in, PROBLEM_STRUCTURE, "column_twice", "The column %.*s is there twice",
                    BYTES_FMT(bytes_slice(name, 0, 80)));
    column.name = malloc(name.len + 1);
    if (!column.name) {
        in->is_out_of_memory = true;
        return false;
    }
    memcpy(column.name, name.ptr, name.len);
    column.len = name.len;
    in->has_event_column |= column.role == ROLE_EVENT;
    in->columns[in->column_count++] = column;
    return true;
}

static bool read_header(struct ingest *in, const struct bytes *fields, size_t count)
{
    if (count > CSV_COLUMNS_MAX)
        return fail(in, PROBLEM_PROPERTIES, "too_many_columns", "More than %d columns",
                    (int)CSV_COLUMNS_MAX);
    in->columns = calloc(count ? count : 1, sizeof *in->columns);
    if (!in->columns) {
        in->is_out_of_memory = true;
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (!add_column(in, fields[i]))
            return false;
    }
    const struct bytes none = { 0 };
    if (!has_column(in, ROLE_IDENTITY, none) && !has_column(in, ROLE_DEVICE, none) &&
        !has_column(in, ROLE_EMAIL, none) && !has_column(in, ROLE_PHONE, none))
        return fail(in, PROBLEM_IDENTITY, "identity_missing",
                    "The header has no column identity, device_id, email or phone");
    return true;
}

bool ingest_csv_header(struct ingest *in, const struct bytes *fields, size_t count,
                       struct ingest_problem *problem_out)
{
    static const struct ingest_rules no_rules = { 0 };
    csv_free(in);
    in->has_event_column = false;
    in->is_csv_folded = false;
    begin_line(in, &no_rules, NULL);
    if (read_header(in, fields, count))
        return true;
    csv_free(in);
    return take_line_problem(in, problem_out);
}

/* --- cells ------------------------------------------------------------------------------ */

/* As JSON writes a number: no sign but -, no zeros in front, digits on both sides of the point. */
static bool is_number_text(struct bytes text, bool *is_whole_out)
{
    size_t at = text.len > 0 && text.ptr[0] == '-';
    size_t digits = at;
    bool is_whole = true;
    while (at < text.len && text.ptr[at] >= '0' && text.ptr[at] <= '9')
        at++;
    if (at == digits || (text.ptr[digits] == '0' && at - digits > 1))
        return false;
    if (at < text.len && text.ptr[at] == '.') {
        size_t from = ++at;
        is_whole = false;
        while (at < text.len && text.ptr[at] >= '0' && text.ptr[at] <= '9')
            at++;
        if (at == from)
            return false;
    }
    if (at < text.len && (text.ptr[at] == 'e' || text.ptr[at] == 'E')) {
        is_whole = false;
        at++;
        at += at < text.len && (text.ptr[at] == '+' || text.ptr[at] == '-');
        size_t from = at;
        while (at < text.len && text.ptr[at] >= '0' && text.ptr[at] <= '9')
            at++;
        if (at == from)
            return false;
    }
    *is_whole_out = is_whole;
    return at == text.len;
}

static bool number_cell(struct bytes text, struct value *out)
{
    char copy[64];
    bool is_whole = false;
    if (text.len >= sizeof copy || !is_number_text(text, &is_whole))
        return false;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    errno = 0;
    if (is_whole) {
        *out = value_int(strtoll(copy, NULL, 10));
        if (errno == 0)
            return true;
    }
    *out = value_real(strtod(copy, NULL));
    return isfinite(out->real);
}

static bool bool_cell(struct bytes text, struct value *out)
{
    bool is_true = bytes_equal(text, BYTES("true"));
    if (!is_true && !bytes_equal(text, BYTES("false")))
        return false;
    *out = value_bool(is_true);
    return true;
}

/* Digits are an epoch; else a date or a time, UTC where it has no offset. */
static bool time_cell(struct bytes text, int64_t *time_ms_out)
{
    struct value number;
    if (dollar_date(text, time_ms_out))
        return true;
    if (!number_cell(text, &number))
        return calendar_parse(text, NULL, time_ms_out, NULL);
    if (number.type == VALUE_INT)
        *time_ms_out = epoch_to_ms(number.integer);
    return number.type == VALUE_INT && *time_ms_out >= TIME_MS_MIN && *time_ms_out <= TIME_MS_MAX;
}

static bool list_cell(struct ingest *in, struct bytes text, struct value *out)
{
    uint32_t count = 1;
    for (size_t i = 0; i < text.len; i++)
        count += text.ptr[i] == ';';
    if (count > in->limits.list_items)
        return fail(in, PROBLEM_STRUCTURE, "list_too_long", "A list has more than %u items",
                    in->limits.list_items);
    struct bytes *items = arena_calloc(&in->arena, count, sizeof *items);
    if (!items) {
        in->is_out_of_memory = true;
        return false;
    }
    uint32_t kept = 0;
    for (size_t from = 0; from <= text.len;) {
        size_t to = from;
        while (to < text.len && text.ptr[to] != ';')
            to++;
        if (to > from)
            items[kept++] = bytes_of(text.ptr + from, to - from);
        from = to + 1;
    }
    *out = (struct value){ .type = VALUE_LIST, .count = kept, .items = items };
    return true;
}

static bool cell_value(struct ingest *in, enum cell cell, struct bytes text, struct value *out)
{
    int64_t time_ms;
    bool is_fine = true;
    switch (cell) {
    case CELL_ANY:
        *out = value_string(text);
        if (dollar_date(text, &time_ms))
            *out = value_time(time_ms);
        else if (!number_cell(text, out) && !bool_cell(text, out))
            *out = value_string(text);
        break;
    case CELL_STRING:
        *out = value_string(text);
        break;
    case CELL_NUMBER:
        is_fine = number_cell(text, out);
        break;
    case CELL_BOOL:
        is_fine = bool_cell(text, out);
        break;
    case CELL_DATE:
        is_fine = time_cell(text, &time_ms);
        if (is_fine)
            *out = value_time(time_ms);
        break;
    case CELL_LIST:
        return list_cell(in, text, out);
    }
    if (!is_fine)
        return fail(in, PROBLEM_STRUCTURE, "value_invalid",
                    "The cell isn't what its column's name says");
    if (out->type == VALUE_STRING && out->string.len > in->limits.string_bytes)
        return fail(in, PROBLEM_STRUCTURE, "value_too_long", "A value is longer than %u bytes",
                    in->limits.string_bytes);
    return true;
}

/* --- rows --------------------------------------------------------------------------------- */

struct row {
    struct who who;
    struct bytes type;
    struct bytes event;
    struct bytes event_id;
    int64_t time_ms;
};

static bool is_utf8(struct bytes text)
{
    for (size_t i = 0; i < text.len;) {
        uint8_t c = text.ptr[i];
        size_t len = c < 0x80 ? 1 : c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc2 ? 2 : 0;
        if (len == 0 || c > 0xf4 || len > text.len - i)
            return false;
        for (size_t k = 1; k < len; k++) {
            if ((text.ptr[i + k] & 0xc0) != 0x80)
                return false;
        }
        bool is_long_form =
            (c == 0xe0 && text.ptr[i + 1] < 0xa0) || (c == 0xf0 && text.ptr[i + 1] < 0x90);
        bool is_outside =
            (c == 0xed && text.ptr[i + 1] > 0x9f) || (c == 0xf4 && text.ptr[i + 1] > 0x8f);
        if (is_long_form || is_outside)
            return false;
        i += len;
    }
    return true;
}

static bool read_role(struct ingest *in, enum role role, struct bytes text, struct row *row)
{
    size_t len = 0;
    switch (role) {
    case ROLE_IDENTITY:
        row->who.identity = text;
        return check_identity(in, text, false);
    case ROLE_DEVICE:
        row->who.device = text;
        return is_device_id(text) ||
               fail(in, PROBLEM_DEVICE, "device_invalid", "It isn't 1 to 256 bytes without spaces");
    case ROLE_EMAIL:
        row->who.email = text;
        return is_email(text) ||
               fail(in, PROBLEM_EMAIL, "email_invalid", "It isn't an e-mail address");
    case ROLE_PHONE: {
        uint8_t *clean = arena_alloc(&in->arena, text.len + 1);
        in->is_out_of_memory |= !clean;
        if (!clean || text.len > 64 || !clean_phone(text, false, clean, &len))
            return fail(in, PROBLEM_PHONE, "phone_invalid", "It isn't a phone number");
        row->who.phone = bytes_of(clean, len);
        return true;
    }
    case ROLE_TYPE:
        row->type = text;
        return bytes_equal(text, BYTES("event")) || bytes_equal(text, BYTES("profile")) ||
               fail(in, PROBLEM_KIND, "kind_invalid", "type is event or profile");
    case ROLE_EVENT:
        row->event = text;
        return check_event_name(in, text, in->is_csv_folded);
    case ROLE_EVENT_ID:
        row->event_id = text;
        return text.len <= in->limits.identity_bytes ||
               fail(in, PROBLEM_STRUCTURE, "event_id_invalid", "event_id is longer than %u bytes",
                    in->limits.identity_bytes);
    case ROLE_TIME:
        if (!time_cell(text, &row->time_ms))
            return fail(in, PROBLEM_TIME, "time_invalid", "It isn't a time");
        return check_time(in, row->time_ms);
    case ROLE_PROPERTY:
    case ROLES:
        break;
    }
    return true;
}

/* First pass: all but properties. Empty cells say nothing. */
static bool read_row(struct ingest *in, const struct bytes *fields, size_t count, struct row *row)
{
    if (count != in->column_count)
        return fail(in, PROBLEM_STRUCTURE, "row_invalid", "The row has %zu cells, the header %zu",
                    count, in->column_count);
    row->time_ms = in->rules->now_ms;
    for (size_t i = 0; i < count; i++) {
        const struct csv_column *column = &in->columns[i];
        if (fields[i].len == 0)
            continue;
        path_push(in, bytes_of(column->name, column->len), 0);
        if (!is_utf8(fields[i]))
            return fail(in, PROBLEM_STRUCTURE, "value_invalid", "The cell isn't UTF-8");
        if (!read_role(in, column->role, fields[i], row))
            return false;
        path_pop(in);
    }
    const struct who *who = &row->who;
    if (!who->identity.len && !who->device.len && !who->email.len && !who->phone.len)
        return fail(in, PROBLEM_IDENTITY, "identity_missing",
                    "One of identity, device_id, email, phone is mandatory");
    bool is_profile = bytes_equal(row->type, BYTES("profile")) || !in->has_event_column;
    if (is_profile && (row->event.len || bytes_equal(row->type, BYTES("event"))))
        return fail(in, PROBLEM_KIND, "kind_invalid", "Is the row an event or a profile?");
    if (!is_profile && !row->event.len)
        return fail(in, PROBLEM_EVENT_NAME, "event_missing", "Event name is mandatory");
    return true;
}

static bool put_cells(struct ingest *in, const struct bytes *fields, uint32_t max)
{
    for (size_t i = 0; i < in->column_count; i++) {
        const struct csv_column *column = &in->columns[i];
        struct bytes name = bytes_of(column->name, column->len);
        struct value value;
        if (column->role != ROLE_PROPERTY || fields[i].len == 0)
            continue;
        path_push(in, name, 0);
        if (++in->property_count > max)
            return fail(in, PROBLEM_PROPERTIES, "too_many_properties", "More than %u properties",
                        max);
        if (!cell_value(in, column->cell, fields[i], &value))
            return false;
        if (value.type != VALUE_LIST || value.count > 0)
            command_property(in->writer, name, PROPERTY_SET, &value);
        path_pop(in);
    }
    return true;
}

static bool csv_row(struct ingest *in, const struct bytes *fields, size_t count)
{
    struct row row = { 0 };
    if (!read_row(in, fields, count, &row))
        return false;
    bool is_event = row.event.len > 0;
    command_begin(in->writer, is_event ? COMMAND_EVENT : COMMAND_PROFILE, row.time_ms);
    put_who(in, &row.who);
    if (is_event) {
        command_name(in->writer, row.event, in->is_csv_folded);
        command_event_id(in->writer, row.event_id);
    }
    if (!put_cells(in, fields,
                   is_event ? in->limits.properties_per_event : in->limits.profile_properties)) {
        command_abandon(in->writer);
        return false;
    }
    command_end(in->writer);
    return true;
}

bool ingest_csv_row(struct ingest *in, const struct ingest_rules *rules, const struct bytes *fields,
                    size_t count, struct command_writer *writer, struct ingest_problem *problem_out)
{
    begin_line(in, rules, writer);
    return csv_row(in, fields, count) || take_line_problem(in, problem_out);
}

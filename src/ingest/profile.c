/*
 * profile.c - properties of people: operators, and the fields whose values have rules.
 *
 * On CleverTap's face a reserved field that breaks its rule refuses the record. On the others it's
 * kept as it was sent, since files of other systems use these names for what they like ("Age":"65+");
 * an Email or Phone that isn't one leads to nobody then.
 */
#include "ingest/ingest_internal.h"

#include "base/calendar.h"

#include <math.h>

struct update {
    struct bytes name;
    enum property_op op;
    struct value value;
};

/* --- reserved fields ----------------------------------------------------------------- */

static uint8_t lower(uint8_t c)
{
    return (uint8_t)(c >= 'A' && c <= 'Z' ? c + 32 : c);
}

static bool equals_folded(struct bytes text, const char *word)
{
    if (text.len != strlen(word))
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (lower(text.ptr[i]) != (uint8_t)word[i])
            return false;
    }
    return true;
}

/* One of several words, in any case, that stand for one text each; NULL ends the list. */
struct word {
    const char *folded;
    struct bytes text;
};

static const struct word *find_word(const struct word *words, const struct value *value)
{
    if (value->type == VALUE_STRING) {
        for (; words->folded; words++) {
            if (equals_folded(value->string, words->folded))
                return words;
        }
    }
    return NULL;
}

static bool is_gender(struct ingest *in, struct value *value)
{
    static const struct word words[] = { { "m", { (const uint8_t *)"M", 1 } },
                                         { "male", { (const uint8_t *)"M", 1 } },
                                         { "f", { (const uint8_t *)"F", 1 } },
                                         { "female", { (const uint8_t *)"F", 1 } },
                                         { 0 } };
    (void)in;
    const struct word *word = find_word(words, value);
    if (word)
        *value = value_string(word->text);
    return word != NULL;
}

static bool is_education(struct ingest *in, struct value *value)
{
    static const struct word words[] = { { "school", { (const uint8_t *)"School", 6 } },
                                         { "college", { (const uint8_t *)"College", 7 } },
                                         { "graduate", { (const uint8_t *)"Graduate", 8 } },
                                         { 0 } };
    (void)in;
    const struct word *word = find_word(words, value);
    if (word)
        *value = value_string(word->text);
    return word != NULL;
}

static bool is_yes_no(struct ingest *in, struct value *value)
{
    static const struct word words[] = { { "y", { (const uint8_t *)"Y", 1 } },
                                         { "yes", { (const uint8_t *)"Y", 1 } },
                                         { "n", { (const uint8_t *)"N", 1 } },
                                         { "no", { (const uint8_t *)"N", 1 } },
                                         { 0 } };
    (void)in;
    if (value->type == VALUE_BOOL) {
        *value = value_string(value->boolean ? BYTES("Y") : BYTES("N"));
        return true;
    }
    const struct word *word = find_word(words, value);
    if (word)
        *value = value_string(word->text);
    return word != NULL;
}

static bool is_age(struct ingest *in, struct value *value)
{
    int64_t age = 0;
    (void)in;
    if (value->type == VALUE_INT)
        return value->integer >= 0 && value->integer <= 150;
    if (value->type == VALUE_REAL && value->real == floor(value->real) && value->real >= 0 &&
        value->real <= 150) {
        *value = value_int((int64_t)value->real);
        return true;
    }
    if (value->type != VALUE_STRING || value->string.len == 0 || value->string.len > 3)
        return false;
    for (size_t i = 0; i < value->string.len; i++) {
        if (value->string.ptr[i] < '0' || value->string.ptr[i] > '9')
            return false;
        age = age * 10 + (value->string.ptr[i] - '0');
    }
    *value = value_int(age);
    return age <= 150;
}

static bool is_mail(struct ingest *in, struct value *value)
{
    (void)in;
    return value->type == VALUE_STRING && is_email(value->string);
}

static bool is_phone(struct ingest *in, struct value *value)
{
    size_t len = 0;
    if (value->type != VALUE_STRING || value->string.len > 64)
        return false;
    uint8_t *clean = arena_alloc(&in->arena, value->string.len + 1);
    if (!clean) {
        in->is_out_of_memory = true;
        return false;
    }
    if (!clean_phone(value->string, true, clean, &len))
        return false;
    *value = value_string(bytes_of(clean, len));
    return true;
}

static bool is_date(struct ingest *in, struct value *value)
{
    int64_t time_ms;
    (void)in;
    if (value->type == VALUE_TIME)
        return true;
    if (value->type != VALUE_STRING || !calendar_parse(value->string, NULL, &time_ms, NULL))
        return false;
    *value = value_time(time_ms);
    return true;
}

static bool is_text(struct ingest *in, struct value *value)
{
    (void)in;
    return value->type == VALUE_STRING;
}

static bool is_bool(struct ingest *in, struct value *value)
{
    (void)in;
    return value->type == VALUE_BOOL;
}

struct reserved {
    const char *name;
    bool (*is_valid)(struct ingest *in, struct value *value); /* and brings it into its form */
    int code;
    const char *message;
};

static const struct reserved reserved_fields[] = {
    { "Email", is_mail, PROBLEM_EMAIL, "Email isn't an e-mail address" },
    { "Phone", is_phone, PROBLEM_PHONE, "Phone isn't + with country code and number" },
    { "Gender", is_gender, PROBLEM_GENDER, "Gender is M or F" },
    { "DOB", is_date, PROBLEM_STRUCTURE, "DOB is a date: $D_ with epoch seconds, or YYYY-MM-DD" },
    { "Age", is_age, PROBLEM_AGE, "Age is a whole number from 0 to 150" },
    { "Education", is_education, PROBLEM_EDUCATION, "Education is School, College or Graduate" },
    { "Employed", is_yes_no, PROBLEM_EMPLOYED, "Employed is Y or N" },
    { "Married", is_yes_no, PROBLEM_MARRIED, "Married is Y or N" },
    { "Name", is_text, PROBLEM_STRUCTURE, "Name is a text" },
    { "Photo", is_text, PROBLEM_STRUCTURE, "Photo is a URL" },
    { "Tz", is_text, PROBLEM_STRUCTURE, "Tz is the name of a time zone" },
    { "Customer Type", is_text, PROBLEM_STRUCTURE, "Customer Type is a text" },
    { "MSG-email", is_bool, PROBLEM_STRUCTURE, "MSG-email is true or false" },
    { "MSG-push", is_bool, PROBLEM_STRUCTURE, "MSG-push is true or false" },
    { "MSG-sms", is_bool, PROBLEM_STRUCTURE, "MSG-sms is true or false" },
    { "MSG-whatsapp", is_bool, PROBLEM_STRUCTURE, "MSG-whatsapp is true or false" },
    { "MSG-dndPhone", is_bool, PROBLEM_STRUCTURE, "MSG-dndPhone is true or false" },
    { "MSG-dndEmail", is_bool, PROBLEM_STRUCTURE, "MSG-dndEmail is true or false" },
};

/* NULL: a property like any other. */
static const struct reserved *find_reserved(struct bytes name)
{
    if (name.len < 2 || name.len > 13)
        return NULL;
    for (size_t i = 0; i < sizeof reserved_fields / sizeof *reserved_fields; i++) {
        if (bytes_equal(name, bytes_from(reserved_fields[i].name)))
            return &reserved_fields[i];
    }
    return NULL;
}

static bool apply_rule(struct ingest *in, struct update *update, struct profile_keys *keys)
{
    const struct reserved *field = find_reserved(update->name);
    if (!field || update->op == PROPERTY_DELETE)
        return true;
    struct value value = update->value;
    if (update->op == PROPERTY_SET && field->is_valid(in, &value)) {
        update->value = value;
        if (field->code == PROBLEM_EMAIL)
            keys->email = value.string;
        if (field->code == PROBLEM_PHONE)
            keys->phone = value.string;
        return true;
    }
    if (!in->is_strict)
        return true;
    return fail(in, field->code, "field_invalid", "%s", field->message);
}

/* --- operators ---------------------------------------------------------------------------- */

static bool operator_problem(struct ingest *in, const char *message)
{
    return fail(in, PROBLEM_STRUCTURE, "operator_invalid", "%s", message);
}

static bool set_value(struct ingest *in, struct json_value json, struct update *update, bool *has)
{
    if (json_is(json, JSON_ARRAY)) {
        *has = true;
        return list_value(in, json, PROFILE_LIST_MAX, &update->value);
    }
    if (json_is(json, JSON_OBJECT))
        return operator_problem(in, "$set takes a value or a list");
    return scalar_value(in, json, &update->value, has);
}

/* $add and $remove take a list, or one item of it. */
static bool list_operand(struct ingest *in, struct json_value json, struct update *update)
{
    if (json_is(json, JSON_ARRAY))
        return list_value(in, json, PROFILE_LIST_MAX, &update->value);
    bool has = false;
    struct value value;
    if (!scalar_value(in, json, &value, &has))
        return false;
    if (!has || !json_is(json, JSON_STRING))
        return operator_problem(in, "$add and $remove take a list of texts");
    struct bytes *item = arena_alloc(&in->arena, sizeof *item);
    if (!item) {
        in->is_out_of_memory = true;
        return false;
    }
    *item = json_string(json);
    update->value = (struct value){ .type = VALUE_LIST, .count = 1, .items = item };
    return true;
}

static bool number_operand(struct ingest *in, struct json_value json, bool is_decrement,
                           struct update *update)
{
    bool has = false;
    struct value value;
    if (!scalar_value(in, json, &value, &has))
        return false;
    bool is_number = has && (value.type == VALUE_INT || value.type == VALUE_REAL);
    if (!is_number || (value.type == VALUE_INT ? value.integer < 0 : value.real < 0))
        return operator_problem(in, "$incr and $decr take a number that isn't negative");
    if (is_decrement && value.type == VALUE_INT)
        value.integer = -value.integer;
    if (is_decrement && value.type == VALUE_REAL)
        value.real = -value.real;
    update->value = value;
    return true;
}

/* {"$op": operand}; the operand decides what there is to write. */
static bool read_operator(struct ingest *in, struct json_value object, struct update *update,
                          bool *has)
{
    struct json_iter it = json_members(object);
    (void)json_next(&it);
    struct bytes op = it.key;
    struct json_value operand = it.value;
    if (json_next(&it))
        return operator_problem(in, "An operator stands alone in its object");
    *has = true;
    if (bytes_equal(op, BYTES("$set"))) {
        update->op = PROPERTY_SET;
        return set_value(in, operand, update, has);
    }
    if (bytes_equal(op, BYTES("$add")) || bytes_equal(op, BYTES("$remove"))) {
        update->op = op.ptr[1] == 'a' ? PROPERTY_ADD : PROPERTY_REMOVE;
        return list_operand(in, operand, update);
    }
    if (bytes_equal(op, BYTES("$incr")) || bytes_equal(op, BYTES("$decr"))) {
        update->op = PROPERTY_INCR;
        return number_operand(in, operand, op.ptr[1] == 'd', update);
    }
    if (bytes_equal(op, BYTES("$delete"))) {
        update->op = PROPERTY_DELETE;
        update->value = value_null();
        return true;
    }
    return operator_problem(in, "Operators are $set, $add, $remove, $incr, $decr and $delete");
}

static bool is_operator(struct json_value object)
{
    struct json_iter it = json_members(object);
    return json_next(&it) && it.key.len > 0 && it.key.ptr[0] == '$';
}

/* --- all of them ------------------------------------------------------------------------------ */

static bool put_update(struct ingest *in, struct update *update, struct profile_keys *keys)
{
    if (++in->property_count > in->limits.profile_properties)
        return fail(in, PROBLEM_PROPERTIES, "too_many_properties", "More than %u properties",
                    in->limits.profile_properties);
    /* An empty list is no value: as on removal of the last item, the property goes. */
    bool is_empty = update->value.type == VALUE_LIST && update->value.count == 0;
    if (is_empty && update->op != PROPERTY_SET)
        return true;
    if (is_empty)
        *update = (struct update){ update->name, PROPERTY_DELETE, value_null() };
    if (!apply_rule(in, update, keys))
        return false;
    command_property(in->writer, update->name, update->op, &update->value);
    return true;
}

static bool put_members(struct ingest *in, struct json_value object, struct bytes prefix,
                        uint32_t nesting, struct profile_keys *keys)
{
    for (struct json_iter it = json_members(object); json_next(&it);) {
        struct update update = { .name = it.key };
        bool has = false;
        path_push(in, it.key, 0);
        if (!check_property_name(in, it.key) ||
            (prefix.ptr && !joined_name(in, prefix, it.key, &update.name)))
            return false;
        if (!prefix.ptr && bytes_equal(it.key, BYTES("Identity"))) {
            if (!id_text(in, it.value, &keys->identity))
                return fail(in, PROBLEM_IDENTITY, "identity_invalid", "Identity isn't a text");
            if (!check_identity(in, keys->identity, in->is_strict))
                return false;
            path_pop(in);
            continue;
        }
        if (!json_is(it.value, JSON_OBJECT)) {
            if (!set_value(in, it.value, &update, &has))
                return false;
        } else if (is_operator(it.value)) {
            if (!read_operator(in, it.value, &update, &has))
                return false;
        } else if (!is_flattenable(in, nesting) ||
                   !put_members(in, it.value, update.name, nesting + 1, keys)) {
            return false;
        }
        if (has && !put_update(in, &update, keys))
            return false;
        path_pop(in);
    }
    return true;
}

bool put_profile_properties(struct ingest *in, struct json_value object, struct profile_keys *keys)
{
    if (!put_members(in, object, bytes_of(NULL, 0), 0, keys))
        return false;
    if (command_has_twins(in->writer))
        return fail(in, PROBLEM_STRUCTURE, "property_twice", "A property is given twice");
    return true;
}

/*
 * state.c - the function from log to state.
 *
 * Whatever decides something here is in the batch or in the state: no clock, no randomness, no
 * order of threads. So a replay, another machine and a simulation come to the same state.
 *
 * What can't be done with a command (an event of an erased person, a merge of somebody unknown) is
 * counted and passed over: it was acknowledged as received, and there's nobody left to tell.
 */
#include "engine/engine_internal.h"

#include "base/bits.h"

#include <stdlib.h>

struct apply {
    struct state *state;
    struct live *live;
    uint64_t position;
    int64_t received_ms;
    /* What the batch's strings are in the catalog, looked up once a batch. */
    uint32_t *events[2]; /* by whether the name is folded */
    uint32_t *properties;
    struct store_property *values; /* of the event in hand */
    uint32_t warmed;               /* the batch's strings before this one were looked at ahead */
};

static_assert((int)REF_IDENTITY == (int)IDENTITY_IDENTITY &&
                  (int)REF_DEVICE == (int)IDENTITY_DEVICE &&
                  (int)REF_EMAIL == (int)IDENTITY_EMAIL && (int)REF_PHONE == (int)IDENTITY_PHONE,
              "a command's references are identity keys");
static_assert((int)PROPERTY_SET == (int)PROFILE_SET && (int)PROPERTY_ADD == (int)PROFILE_ADD &&
                  (int)PROPERTY_REMOVE == (int)PROFILE_REMOVE &&
                  (int)PROPERTY_INCR == (int)PROFILE_INCR &&
                  (int)PROPERTY_DELETE == (int)PROFILE_DELETE,
              "a command's operators are the profile's");

/* --- names ------------------------------------------------------------------------- */

/* A name that is none, or one too many: what it names is left out. Not an error: the command is in
 * the log, and every run has to decide the same. */
static struct err or_none(struct err err, uint32_t *out)
{
    if (err.code != ERR_INVALID && err.code != ERR_LIMIT)
        return err;
    *out = CATALOG_NONE;
    return ok();
}

/* CATALOG_NONE: the project can't have this type. */
static struct err event_type(struct apply *apply, const struct command *command, uint32_t *out)
{
    struct catalog *catalog = apply->state->catalog;
    uint32_t *known = &apply->events[command->is_name_folded][command->name_index];
    struct err err = ok();
    if (*known == CATALOG_NONE) {
        if (catalog_event_count(catalog) < apply->state->limits.event_types)
            err = catalog_event_put(catalog, command->name, command->is_name_folded, known, NULL);
        else
            *known = catalog_event_find(catalog, command->name, command->is_name_folded);
    }
    *out = *known;
    return or_none(err, out);
}

static struct err put_property(struct state *state, struct bytes name, uint32_t *out)
{
    struct catalog *catalog = state->catalog;
    if (catalog_property_count(catalog) < state->limits.properties)
        return or_none(catalog_property_put(catalog, name, out), out);
    *out = catalog_property_find(catalog, name);
    return ok();
}

/* CATALOG_NONE: the project can't have this property. */
static struct err property_number(struct apply *apply, const struct command_property *property,
                                  uint32_t *out)
{
    uint32_t *known = &apply->properties[property->name_index];
    struct err err = ok();
    if (*known == CATALOG_NONE)
        err = put_property(apply->state, property->name, known);
    *out = *known;
    return err;
}

/* May profiles have this property: they do, or there's room for one more? */
static bool is_for_profiles(const struct state *state, uint32_t property)
{
    const struct catalog *catalog = state->catalog;
    const struct catalog_column *columns = NULL;
    return property != CATALOG_NONE &&
           (catalog_is_profile_property(catalog, property) ||
            catalog_profile_columns(catalog, &columns) < state->limits.profile_properties);
}

/* --- people --------------------------------------------------------------------------- */

static uint32_t user_of_number(const struct state *state, struct bytes text)
{
    uint64_t number = 0;
    if (text.len == 0 || text.len > 10)
        return USER_NONE;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return USER_NONE;
        number = number * 10 + (uint64_t)(text.ptr[i] - '0');
    }
    if (number >= identity_user_count(state->identity))
        return USER_NONE;
    uint32_t user = identity_survivor(state->identity, (uint32_t)number);
    return identity_is_living(state->identity, user) ? user : USER_NONE;
}

static uint32_t find_ref(const struct state *state, const struct command_ref *ref)
{
    if (ref->kind == REF_USER)
        return user_of_number(state, ref->text);
    return identity_find(state->identity,
                         (struct identity_key){ (enum identity_kind)ref->kind, ref->text });
}

struct err state_mark_dead(struct state *state, uint32_t user)
{
    uint32_t words = user / 64 + 1;
    if (words > state->dead_words) {
        uint32_t cap = words + words / 2;
        uint64_t *dead = realloc(state->dead, cap * sizeof *dead);
        if (!dead)
            return err_new(ERR_NOMEM, "state: dead users");
        memset(dead + state->dead_words, 0, (cap - state->dead_words) * sizeof *dead);
        state->dead = dead;
        state->dead_words = cap;
    }
    state->dead_count += !bits_has(state->dead, user);
    bits_add(state->dead, user);
    return ok();
}

struct err state_find_dead(struct state *state)
{
    uint32_t users = identity_user_count(state->identity);
    for (uint32_t user = 0; user < users; user++) {
        if (identity_is_living(state->identity, user))
            continue;
        struct err err = state_mark_dead(state, user);
        if (err.code)
            return err;
    }
    return ok();
}

/* Moves what belongs to a user who has been merged away. */
static struct err follow_merge(struct state *state, uint32_t from, uint32_t into)
{
    struct err err = state_mark_dead(state, from);
    if (err.code)
        return err;
    err = state->store->ops->merge_user(state->store, from, into);
    if (err.code)
        return err;
    return profile_merge(state->profiles, from, into);
}

/* The user a command is about, made when new. USER_NONE: nobody may be made from it. */
static struct err resolve(struct state *state, const struct command *command, uint32_t *user_out)
{
    struct identity_key keys[COMMAND_REFS_MAX];
    uint32_t count = 0;
    uint32_t numbered = USER_NONE;

    for (uint32_t i = 0; i < command->ref_count; i++) {
        const struct command_ref *ref = &command->refs[i];
        if (ref->kind == REF_USER) {
            numbered = user_of_number(state, ref->text);
            continue;
        }
        keys[count] = (struct identity_key){ (enum identity_kind)ref->kind, ref->text };
        if (!identity_key_is_valid(keys[count]) ||
            identity_is_erased(state->identity, keys[count])) {
            *user_out = USER_NONE;
            return ok();
        }
        count++;
    }
    if (count == 0) {
        *user_out = numbered;
        return ok();
    }

    struct identity_result result;
    struct err err = identity_resolve(state->identity, keys, count, &result);
    if (err.code)
        return err;
    if (result.merged_from != USER_NONE) {
        err = follow_merge(state, result.merged_from, result.user);
        if (err.code)
            return err;
    }
    *user_out = result.user;
    return ok();
}

/* --- events ------------------------------------------------------------------------------ */

static struct err store_one(struct apply *apply, uint32_t user, uint32_t event, int64_t time_ms,
                            uint64_t seq, const struct command_property *properties, uint32_t count)
{
    struct state *state = apply->state;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (properties[i].value.type == VALUE_NULL)
            continue;
        struct store_property *to = &apply->values[kept];
        struct err err = property_number(apply, &properties[i], &to->property);
        if (err.code)
            return err;
        if (to->property == CATALOG_NONE)
            continue;
        kept++;
        to->value = properties[i].value;
        err = catalog_saw_property(state->catalog, event, to->property, to->value.type);
        if (err.code)
            return err;
    }
    catalog_saw_event(state->catalog, event, time_ms);
    struct store_event stored = {
        .user = user,
        .event = event,
        .time_ms = time_ms,
        .seq = seq,
        .properties = apply->values,
        .property_count = kept,
    };
    return state->store->ops->append(state->store, &stored, 1);
}

static struct err apply_event(struct apply *apply, const struct command *command)
{
    struct state *state = apply->state;
    struct err err;

    if (command->event_id.len > 0) {
        bool is_duplicate = false;
        int32_t day = (int32_t)(apply->received_ms / MS_PER_DAY);
        err = dedup_check(state->dedup, command->event_id, day, state->dedup_days, &is_duplicate);
        if (err.code)
            return err;
        if (is_duplicate) {
            state->duplicates++;
            return ok();
        }
    }

    uint32_t user = USER_NONE;
    err = resolve(state, command, &user);
    if (err.code)
        return err;
    uint32_t event = CATALOG_NONE;
    err = event_type(apply, command, &event);
    if (err.code)
        return err;
    if (user == USER_NONE || event == CATALOG_NONE ||
        catalog_event_is_discarded(state->catalog, event)) {
        state->refused++;
        return ok();
    }

    uint64_t seq = apply->position + command->index;
    err = store_one(apply, user, event, command->time_ms, seq, command->properties,
                    command->property_count);
    if (err.code)
        return err;
    if (command->item_count > 0) {
        uint32_t child = CATALOG_NONE;
        err = or_none(catalog_event_items_put(state->catalog, event, &child), &child);
        if (err.code)
            return err;
        for (uint32_t i = 0; i < command->item_count && child != CATALOG_NONE; i++) {
            err = store_one(apply, user, child, command->time_ms, seq, command->items[i].properties,
                            command->items[i].count);
            if (err.code)
                return err;
        }
    }
    err = profile_saw(state->profiles, user, command->time_ms, 1);
    if (err.code)
        return err;
    if (apply->live && live_is_watched(apply->live))
        live_offer(apply->live, state, command, user, event, apply->received_ms);
    return ok();
}

/* --- everything else ------------------------------------------------------------------------ */

static struct err apply_profile(struct apply *apply, const struct command *command)
{
    struct state *state = apply->state;
    uint32_t user = USER_NONE;
    struct err err = resolve(state, command, &user);
    if (err.code)
        return err;
    if (user == USER_NONE) {
        state->refused++;
        return ok();
    }
    for (uint32_t i = 0; i < command->property_count; i++) {
        const struct command_property *property = &command->properties[i];
        uint32_t number = CATALOG_NONE;
        bool is_ignored = false;
        err = property_number(apply, property, &number);
        if (err.code)
            return err;
        if (!is_for_profiles(state, number))
            continue;
        err = profile_apply(state->profiles, user, number, (enum profile_op)property->op,
                            &property->value, &is_ignored);
        if (err.code)
            return err;
        if (property->op == PROPERTY_DELETE || is_ignored)
            continue;
        enum value_type type = property->value.type;
        if (property->op == PROPERTY_ADD || property->op == PROPERTY_REMOVE)
            type = VALUE_LIST;
        if (type == VALUE_NULL)
            continue;
        err = catalog_saw_profile_property(state->catalog, number, type);
        if (err.code)
            return err;
    }
    return profile_saw(state->profiles, user, command->time_ms, 0);
}

/* A device's push token: a list property per kind of token, newest last. */
static struct err apply_token(struct apply *apply, const struct command *command)
{
    struct state *state = apply->state;
    struct bytes id = { 0 };
    struct bytes type = { 0 };
    for (uint32_t i = 0; i < command->property_count; i++) {
        const struct command_property *property = &command->properties[i];
        if (property->value.type != VALUE_STRING)
            continue;
        if (bytes_equal(property->name, BYTES("id")))
            id = property->value.string;
        if (bytes_equal(property->name, BYTES("type")))
            type = property->value.string;
    }
    uint32_t user = USER_NONE;
    struct err err = resolve(state, command, &user);
    if (err.code)
        return err;
    if (user == USER_NONE || id.len == 0 || type.len == 0) {
        state->refused++;
        return ok();
    }
    struct bytes name = arena_printf(&state->scratch, "$token:%.*s", BYTES_FMT(type));
    if (!name.ptr)
        return err_new(ERR_NOMEM, "state: token");
    uint32_t number = CATALOG_NONE;
    err = put_property(state, name, &number);
    if (err.code)
        return err;
    if (!is_for_profiles(state, number)) {
        state->refused++;
        return ok();
    }
    struct value value = { .type = VALUE_LIST, .count = 1, .items = &id };
    bool is_ignored = false;
    err = profile_apply(state->profiles, user, number, PROFILE_ADD, &value, &is_ignored);
    if (err.code)
        return err;
    return catalog_saw_profile_property(state->catalog, number, VALUE_LIST);
}

static struct err apply_identify(struct apply *apply, const struct command *command)
{
    uint32_t user = USER_NONE;
    struct err err = resolve(apply->state, command, &user);
    if (err.code)
        return err;
    if (user == USER_NONE) {
        apply->state->refused++;
        return ok();
    }
    return profile_saw(apply->state->profiles, user, command->time_ms, 0);
}

static struct err apply_merge(struct apply *apply, const struct command *command)
{
    struct state *state = apply->state;
    uint32_t from = command->ref_count == 2 ? find_ref(state, &command->refs[0]) : USER_NONE;
    uint32_t into = command->ref_count == 2 ? find_ref(state, &command->refs[1]) : USER_NONE;
    if (from == USER_NONE || into == USER_NONE || from == into) {
        state->refused++;
        return ok();
    }
    uint32_t survivor = USER_NONE;
    uint32_t merged = USER_NONE;
    struct err err = identity_merge(state->identity, from, into, &survivor, &merged);
    if (err.code)
        return err;
    return follow_merge(state, merged, survivor);
}

/* Rows of those who were merged into the user may still lie in files, hidden: they go as well. */
static struct err erase_events(struct state *state, uint32_t user)
{
    uint32_t count = identity_merged_into(state->identity, user, NULL, 0);
    uint32_t *merged = arena_alloc(&state->scratch, count * sizeof *merged);
    if (!merged)
        return err_new(ERR_NOMEM, "project: erase");
    (void)identity_merged_into(state->identity, user, merged, count);
    struct err err = state->store->ops->mask_user(state->store, user, true);
    for (uint32_t i = 0; i < count && !err.code; i++)
        err = state->store->ops->mask_user(state->store, merged[i], true);
    return err;
}

static struct err apply_erase(struct apply *apply, const struct command *command)
{
    struct state *state = apply->state;
    for (uint32_t i = 0; i < command->ref_count; i++) {
        uint32_t user = find_ref(state, &command->refs[i]);
        if (user == USER_NONE)
            continue;
        struct err err = erase_events(state, user);
        if (err.code)
            return err;
        err = profile_clear(state->profiles, user);
        if (err.code)
            return err;
        err = identity_erase(state->identity, user);
        if (err.code)
            return err;
        err = state_mark_dead(state, user);
        if (err.code)
            return err;
    }
    return ok();
}

static struct err set_discarded(struct state *state, struct bytes name, bool is_discarded)
{
    uint32_t event = CATALOG_NONE;
    struct err err = or_none(catalog_event_put(state->catalog, name, true, &event, NULL), &event);
    if (err.code)
        return err;
    if (event == CATALOG_NONE)
        state->refused++;
    else
        catalog_event_set_discarded(state->catalog, event, is_discarded);
    return ok();
}

static struct err apply_setting(struct apply *apply, const struct command *command)
{
    struct state *state = apply->state;
    const struct value *value = command->property_count == 1 ? &command->properties[0].value : NULL;
    if (!value || project_setting_problem(command->name, value)) {
        state->refused++;
        return ok();
    }
    if (bytes_equal(command->name, BYTES("discard_event")))
        return set_discarded(state, value->string, true);
    if (bytes_equal(command->name, BYTES("restore_event")))
        return set_discarded(state, value->string, false);
    setting_apply(state, command->name, value);
    identity_configure(state->identity, state->identity_config);
    return ok();
}

static struct err apply_command(struct apply *apply, const struct command *command)
{
    switch (command->kind) {
    case COMMAND_EVENT:
        return apply_event(apply, command);
    case COMMAND_PROFILE:
        return apply_profile(apply, command);
    case COMMAND_IDENTIFY:
        return apply_identify(apply, command);
    case COMMAND_TOKEN:
        return apply_token(apply, command);
    case COMMAND_MERGE:
        return apply_merge(apply, command);
    case COMMAND_ERASE:
        return apply_erase(apply, command);
    case COMMAND_SETTING:
        return apply_setting(apply, command);
    }
    return err_new(ERR_CORRUPT, "state: kind of command");
}

/* --- a batch ------------------------------------------------------------------------------------ */

/* With millions of users nothing that is kept of one is in the processor's caches. A batch's strings
 * are numbered as they appear, so the identities of the commands to come are those behind the one in
 * hand (and some of them are no identities: then nothing is found). */
static void look_ahead(struct apply *apply, const struct command_reader *reader,
                       const struct command *command)
{
    const struct command_ref *ref = &command->refs[0];
    if (command->ref_count == 0 || (ref->kind != REF_IDENTITY && ref->kind != REF_DEVICE) ||
        ref->text_index + IDENTITY_WARM_MAX / 2 < apply->warmed)
        return;
    const struct state *state = apply->state;
    uint32_t first = apply->warmed > ref->text_index ? apply->warmed : ref->text_index;
    uint32_t count = command_reader_strings(reader) - first;
    struct bytes texts[IDENTITY_WARM_MAX];
    uint32_t users[IDENTITY_WARM_MAX];
    if (count > IDENTITY_WARM_MAX)
        count = IDENTITY_WARM_MAX;
    for (uint32_t i = 0; i < count; i++)
        texts[i] = command_reader_string(reader, first + i);
    identity_warm(state->identity, (enum identity_kind)ref->kind, texts, count, users);
    for (uint32_t i = 0; i < count; i++)
        if (users[i] != USER_NONE)
            profile_warm(state->profiles, users[i]);
    apply->warmed = first + count;
}

static bool take_tables(struct apply *apply, uint32_t strings)
{
    struct arena *arena = &apply->state->scratch;
    size_t bytes = sizeof(uint32_t) * ((size_t)strings + 1);
    uint32_t *tables = arena_alloc(arena, bytes * 3);
    apply->values = arena_alloc(arena, sizeof *apply->values * COMMAND_PROPERTIES_MAX);
    if (!tables || !apply->values)
        return false;
    memset(tables, 0xff, bytes * 3); /* CATALOG_NONE everywhere */
    apply->events[0] = tables;
    apply->events[1] = tables + strings + 1;
    apply->properties = tables + 2 * ((size_t)strings + 1);
    return true;
}

struct err state_apply(struct state *state, uint64_t position, uint32_t count, struct bytes batch,
                       struct live *live)
{
    assert(position >= state->position);
    arena_reset(&state->scratch);
    struct command_reader *reader = NULL;
    struct err err = command_reader_open(batch, &state->scratch, &reader);
    if (err.code)
        return err;
    if (command_reader_count(reader) != count)
        return err_new(ERR_CORRUPT, "state: commands in a batch");

    struct apply apply = {
        .state = state,
        .live = live,
        .position = position,
        .received_ms = command_reader_received_ms(reader),
    };
    if (!take_tables(&apply, command_reader_strings(reader)))
        return err_new(ERR_NOMEM, "state: apply");

    struct command command;
    bool has = true;
    for (;;) {
        err = command_next(reader, &command, &has);
        if (err.code)
            return err;
        if (!has)
            break;
        look_ahead(&apply, reader, &command);
        err = apply_command(&apply, &command);
        if (err.code)
            return err;
    }
    state->position = position + count;
    return ok();
}

void state_done(struct state *state)
{
    if (state->store)
        state->store->ops->close(state->store);
    catalog_free(state->catalog);
    identity_free(state->identity);
    profiles_free(state->profiles);
    dedup_free(state->dedup);
    free(state->dead);
    arena_done(&state->scratch);
}

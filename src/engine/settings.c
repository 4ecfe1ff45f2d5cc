/* settings.c - what a project's settings are called, what they may be, and what they change. */
#include "engine/engine_internal.h"

#include <stddef.h>

/* Limits that are settings, with the most that they can be: past it memory is not bounded any more,
 * or a format can't hold it. */
static const struct limit {
    const char *name;
    size_t offset;
    uint32_t most;
} LIMITS[] = {
    { "limit.event_types", offsetof(struct catalog_limits, event_types), 65536 },
    { "limit.properties", offsetof(struct catalog_limits, properties), 262144 },
    { "limit.profile_properties", offsetof(struct catalog_limits, profile_properties), 16384 },
    { "limit.properties_per_event", offsetof(struct catalog_limits, properties_per_event),
      COMMAND_PROPERTIES_MAX },
    { "limit.items_per_event", offsetof(struct catalog_limits, items_per_event), 1024 },
    { "limit.name_bytes", offsetof(struct catalog_limits, name_bytes), 1024 },
    { "limit.string_bytes", offsetof(struct catalog_limits, string_bytes), 65536 },
    { "limit.list_items", offsetof(struct catalog_limits, list_items), 1024 },
    { "limit.identity_bytes", offsetof(struct catalog_limits, identity_bytes), 1024 },
};

enum { LIMIT_COUNT = sizeof LIMITS / sizeof *LIMITS, ERASE_KEY_HEX = 32, DEDUP_DAYS_MAX = 365 };

static uint32_t *member(struct catalog_limits *limits, const struct limit *limit)
{
    return (uint32_t *)(void *)((uint8_t *)limits + limit->offset);
}

static const struct limit *find_limit(struct bytes name)
{
    for (size_t i = 0; i < LIMIT_COUNT; i++) {
        if (bytes_equal(name, bytes_from(LIMITS[i].name)))
            return &LIMITS[i];
    }
    return NULL;
}

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool is_erase_key(const struct value *value)
{
    if (value->type != VALUE_STRING || value->string.len != ERASE_KEY_HEX)
        return false;
    for (size_t i = 0; i < ERASE_KEY_HEX; i++) {
        if (hex_digit(value->string.ptr[i]) < 0)
            return false;
    }
    return true;
}

const char *project_setting_problem(struct bytes name, const struct value *value)
{
    const struct limit *limit = find_limit(name);
    if (limit) {
        bool fits =
            value->type == VALUE_INT && value->integer >= 1 && value->integer <= limit->most;
        return fits ? NULL : "a limit is a whole number from 1 to what memory allows";
    }
    if (bytes_equal(name, BYTES("join_existing")))
        return value->type == VALUE_BOOL ? NULL : "it is true or false";
    if (bytes_equal(name, BYTES("dedup_days"))) {
        bool fits =
            value->type == VALUE_INT && value->integer >= 1 && value->integer <= DEDUP_DAYS_MAX;
        return fits ? NULL : "days are a whole number from 1 to 365";
    }
    if (bytes_equal(name, BYTES("discard_event")) || bytes_equal(name, BYTES("restore_event"))) {
        bool fits = value->type == VALUE_STRING && value->string.len > 0;
        return fits ? NULL : "it is the name of an event";
    }
    if (bytes_equal(name, BYTES("erase_key")))
        return is_erase_key(value) ? NULL : "it is 32 hexadecimal digits";
    return "there's no such setting";
}

/* Digests of erased keys are keyed with it: once there, it stays. */
static void set_erase_key(struct identity_config *config, struct bytes hex)
{
    if (config->erase_key[0] || config->erase_key[1])
        return;
    for (size_t i = 0; i < ERASE_KEY_HEX; i++) {
        uint64_t *half = &config->erase_key[i / (ERASE_KEY_HEX / 2)];
        *half = *half << 4 | (uint64_t)hex_digit(hex.ptr[i]);
    }
}

void setting_apply(struct state *state, struct bytes name, const struct value *value)
{
    const struct limit *limit = find_limit(name);
    if (limit) {
        *member(&state->limits, limit) = (uint32_t)value->integer;
    } else if (bytes_equal(name, BYTES("join_existing"))) {
        state->identity_config.does_join_existing = value->boolean;
    } else if (bytes_equal(name, BYTES("dedup_days"))) {
        state->dedup_days = (uint32_t)value->integer;
    } else if (bytes_equal(name, BYTES("erase_key"))) {
        set_erase_key(&state->identity_config, value->string);
    }
}

bool project_limit_at(const struct project_rules *rules, size_t n, struct project_limit *out)
{
    if (n >= LIMIT_COUNT)
        return false;
    struct catalog_limits limits = rules->limits;
    *out = (struct project_limit){ LIMITS[n].name, *member(&limits, &LIMITS[n]), LIMITS[n].most };
    return true;
}

void limits_save(const struct catalog_limits *limits, struct buf *to)
{
    struct catalog_limits copy = *limits;
    buf_put_le32(to, LIMIT_COUNT);
    for (size_t i = 0; i < LIMIT_COUNT; i++)
        buf_put_le32(to, *member(&copy, &LIMITS[i]));
}

void limits_load(struct catalog_limits *limits, struct reader *from)
{
    uint32_t count = reader_le32(from);
    if (count > LIMIT_COUNT)
        from->is_failed = true;
    for (uint32_t i = 0; i < count && !from->is_failed; i++)
        *member(limits, &LIMITS[i]) = reader_le32(from);
}

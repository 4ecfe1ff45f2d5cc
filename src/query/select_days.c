/*
 * select_days.c - counts of days from the headers of parts.
 *
 * A part at rest knows how many events of a type, and of how many users, each local day has. That
 * answers `count()` by day or longer, and `users()` by day: shards share no user, and the users of a
 * day that lies in one month are in that month's parts. What isn't known there is left over to be
 * counted: days that the range or the month cuts, months in several parts or with masked users, and
 * all of it when the question's zone isn't the store's.
 */
#include "query/select_internal.h"

#include <string.h>

bool select_days_suffice(const struct select_plan *plan)
{
    bool has_day = false;
    bool has_event = plan->step.event_count <= 1;
    bool has_users = false;

    for (uint32_t k = 0; k < plan->key_count; k++) {
        const struct exec_key *key = &plan->keys[k];
        if (key->kind != KEY_EVENT && (key->kind != KEY_TIME || key->unit < UNIT_DAY))
            return false;
        has_day |= key->kind == KEY_TIME && key->unit == UNIT_DAY;
        has_event |= key->kind == KEY_EVENT;
    }
    for (uint32_t s = 0; s < plan->slot_count; s++) {
        enum measure measure = plan->slots[s].expr->measure;
        if (plan->slots[s].filter || (measure != MEASURE_COUNT && measure != MEASURE_USERS))
            return false;
        has_users |= measure == MEASURE_USERS;
    }
    for (uint32_t e = 0; e < plan->step.event_count; e++)
        if (!filter_must_match(plan->step.filter, plan->step.events[e]))
            return false;
    /* Users of a day add up only where a group is one day of one event type. */
    return !plan->kept && plan->slot_count > 0 && (!has_users || (has_day && has_event));
}

static bool counts_users(const struct select_plan *plan)
{
    for (uint32_t s = 0; s < plan->slot_count; s++)
        if (plan->slots[s].expr->measure == MEASURE_USERS)
            return true;
    return false;
}

static struct err find_group(const struct select_plan *plan, struct select_part *part,
                             uint32_t event, int64_t time_ms, uint32_t *group_out)
{
    const struct exec *exec = plan->exec;
    uint32_t numbers[TREE_KEYS_MAX] = { 0 };

    for (uint32_t k = 0; k < plan->key_count; k++) {
        struct value value = value_string(catalog_event_name(exec->catalog, event));
        if (plan->keys[k].kind == KEY_TIME)
            value = value_time(
                zone_floor_ms(exec->zone, plan->keys[k].unit, exec->source->week_start, time_ms));
        struct err err = values_put(part->groups.values, &value, &numbers[k]);
        if (err.code)
            return err;
    }
    return groups_put(&part->groups, numbers, group_out);
}

static struct err add_day(const struct select_plan *plan, struct select_part *part, uint32_t event,
                          int64_t time_ms, uint32_t events, uint32_t users)
{
    uint32_t group;
    struct err err = find_group(plan, part, event, time_ms, &group);
    for (uint32_t s = 0; s < plan->slot_count && !err.code; s++) {
        bool is_count = plan->slots[s].expr->measure == MEASURE_COUNT;
        err = tally_add_known(part->tallies[s], group, is_count ? events : users);
    }
    return err;
}

struct err select_add_days(const struct select_plan *plan, struct exec_task *task,
                           struct select_part *part, uint32_t event, int32_t month,
                           struct select_rest *rest)
{
    struct exec *exec = plan->exec;
    struct exec_range whole = { INT64_MAX, INT64_MIN };
    struct store_day_counts days;
    bool has_days = false;
    bool has_rest_before = false;
    bool has_rest_behind = false;

    struct err err = exec_check(exec);
    if (!err.code)
        err = exec->ops->day_counts(exec->snapshot, task->shard, month, event, task->scratch, &days,
                                    &has_days);
    if (err.code || !has_days || strcmp(days.zone, zone_name(exec->zone)) != 0)
        return err;
    int64_t base_ms = civil_month_start_ms(month);
    int64_t end_ms = civil_month_start_ms(month + 1);
    bool has_users = counts_users(plan);
    for (uint32_t i = 0; i < days.days && !err.code; i++) {
        int64_t from = zone_day_start_ms(exec->zone, days.first_day + (int32_t)i);
        int64_t to = zone_day_start_ms(exec->zone, days.first_day + (int32_t)i + 1);
        bool is_cut = has_users && (from < base_ms || to > end_ms);
        from = from > base_ms ? from : base_ms;
        to = to < end_ms ? to : end_ms;
        if (days.events[i] == 0 || to <= plan->range.from_ms || from >= plan->range.to_ms)
            continue;
        if (is_cut || from < plan->range.from_ms || to > plan->range.to_ms) {
            has_rest_before |= whole.to_ms == INT64_MIN;
            has_rest_behind |= whole.to_ms != INT64_MIN;
            continue;
        }
        whole.from_ms = whole.to_ms == INT64_MIN ? from : whole.from_ms;
        whole.to_ms = to;
        err = add_day(plan, part, event, from, days.events[i], days.users[i]);
    }
    if (whole.to_ms == INT64_MIN)
        return err;
    rest->count = 0;
    if (has_rest_before)
        rest->ranges[rest->count++] = (struct exec_range){ plan->range.from_ms, whole.from_ms };
    if (has_rest_behind)
        rest->ranges[rest->count++] = (struct exec_range){ whole.to_ms, plan->range.to_ms };
    return err;
}

#include "history.h"

#include <stdio.h>
#include <stdlib.h>

enum { EVENTS_ARENA = 1 << 28 };

/* --- making histories ---------------------------------------------------------------- */

void history_init(struct history *history, uint64_t seed)
{
    *history = (struct history){ .next_seq = 1 };
    arena_init(&history->arena, EVENTS_ARENA);
    rng_init(&history->rng, seed);
    history->users = 2 + (uint32_t)rng_below(&history->rng, HISTORY_USERS - 1);
    history->from_ms = civil_month_start_ms(660 + (int32_t)rng_below(&history->rng, 3)) -
                       (int64_t)rng_below(&history->rng, 5000);
    /* From ties everywhere to several months. */
    static const int64_t spans[] = { 20, 10000, 40 * MS_PER_DAY, 150 * MS_PER_DAY };
    history->span_ms = spans[rng_below(&history->rng, 4)];
}

void history_done(struct history *history)
{
    free(history->operations);
    arena_done(&history->arena);
}

static struct bytes random_text(struct history *history)
{
    struct rng *rng = &history->rng;
    if (rng_below(rng, 20) == 0)
        return arena_copy(&history->arena, BYTES(""));
    uint64_t kinds = rng_below(rng, 4) ? 6 : 1000;
    return arena_printf(&history->arena, "%s%u", rng_below(rng, 2) ? "a longer common part " : "t",
                        (unsigned)rng_below(rng, kinds));
}

static struct value random_list(struct history *history)
{
    uint32_t count = (uint32_t)rng_below(&history->rng, 4);
    struct bytes *items = arena_alloc(&history->arena, count * sizeof *items);
    for (uint32_t i = 0; i < count; i++)
        items[i] = random_text(history);
    return (struct value){ .type = VALUE_LIST, .count = count, .items = items };
}

static struct value random_value(struct history *history, enum value_type type)
{
    struct rng *rng = &history->rng;
    static const int64_t integers[] = { 0, 1, -1, INT64_MIN, INT64_MAX, 1000, 255 };
    static const double reals[] = { 0.0, -1.5, 0.1, 1e300, 19.99, 12345678.5 };
    switch (type) {
    case VALUE_BOOL:
        return value_bool(rng_below(rng, 2));
    case VALUE_INT:
        return value_int(rng_below(rng, 2) ? integers[rng_below(rng, 7)]
                                           : (int64_t)rng_below(rng, 100));
    case VALUE_REAL:
        return value_real(rng_below(rng, 2) ? reals[rng_below(rng, 6)]
                                            : (double)rng_below(rng, 10000) / 100);
    case VALUE_TIME:
        return value_time(history->from_ms + (int64_t)rng_below(rng, 1000) * 1000);
    case VALUE_LIST:
        return random_list(history);
    default:
        return value_string(random_text(history));
    }
}

static void random_properties(struct history *history, struct store_event *event)
{
    struct rng *rng = &history->rng;
    struct store_property *properties =
        arena_alloc(&history->arena, HISTORY_PROPERTIES * sizeof *properties);
    for (uint32_t p = 0; p < HISTORY_PROPERTIES; p++) {
        if (rng_below(rng, 3) == 0)
            continue;
        enum value_type type = (enum value_type)(1 + (p + event->event) % 6);
        if (rng_below(rng, 12) == 0)
            type = (enum value_type)rng_below(rng, VALUE_TYPES);
        properties[event->property_count++] = (struct store_property){
            .property = p,
            .value = type == VALUE_NULL ? value_null() : random_value(history, type),
        };
    }
    event->properties = properties;
}

static void random_event(struct history *history, struct operation *operation)
{
    struct rng *rng = &history->rng;
    uint32_t user = (uint32_t)rng_below(rng, history->users);
    if (history->is_focused)
        user = history->focus;
    while (history->is_dead[user])
        user = (user + 1) % history->users;
    uint32_t items = rng_below(rng, 5) == 0 ? (uint32_t)rng_below(rng, 4) : 0;
    uint32_t event = (uint32_t)rng_below(rng, HISTORY_TYPES - 1);
    int64_t time = history->from_ms + (int64_t)rng_below(rng, (uint64_t)history->span_ms);
    operation->kind = OPERATION_EVENT;
    operation->count = 1 + items;
    operation->events = arena_calloc(&history->arena, operation->count, sizeof(struct store_event));
    for (uint32_t i = 0; i < operation->count; i++) {
        operation->events[i] = (struct store_event){
            .user = user,
            .event = i == 0 ? event : HISTORY_TYPES - 1,
            .time_ms = time,
            .seq = history->next_seq,
        };
        random_properties(history, &operation->events[i]);
    }
    history->next_seq++;
}

static uint32_t living_users(const struct history *history)
{
    uint32_t count = 0;
    for (uint32_t u = 0; u < history->users; u++)
        count += !history->is_dead[u];
    return count;
}

static uint32_t random_living(struct history *history)
{
    uint32_t user = (uint32_t)rng_below(&history->rng, history->users);
    while (history->is_dead[user])
        user = (user + 1) % history->users;
    return user;
}

void history_grow(struct history *history)
{
    if (history->count == history->cap) {
        history->cap = history->cap ? history->cap * 2 : 256;
        history->operations =
            realloc(history->operations, history->cap * sizeof *history->operations);
        assert(history->operations);
    }
    struct operation *operation = &history->operations[history->count++];
    *operation = (struct operation){ 0 };
    uint64_t dice = rng_below(&history->rng, 100);
    if (dice < 98 || living_users(history) < 3) {
        random_event(history, operation);
        return;
    }
    operation->from = random_living(history);
    history->is_dead[operation->from] = true;
    if (dice == 98) {
        operation->kind = OPERATION_MERGE;
        operation->into = random_living(history);
        return;
    }
    operation->kind = OPERATION_MASK;
    operation->is_erased = rng_below(&history->rng, 2);
}

struct err history_apply(const struct history *history, struct store *store, uint32_t from,
                         uint32_t to)
{
    struct err err = ok();
    for (uint32_t i = from; i < to && !err.code; i++) {
        const struct operation *operation = &history->operations[i];
        if (operation->kind == OPERATION_EVENT)
            err = store->ops->append(store, operation->events, operation->count);
        else if (operation->kind == OPERATION_MERGE)
            err = store->ops->merge_user(store, operation->from, operation->into);
        else
            err = store->ops->mask_user(store, operation->from, operation->is_erased);
    }
    return err;
}

/* --- the model --------------------------------------------------------------------------- */

static void merge_in_model(struct model *model, const struct operation *operation)
{
    uint32_t kept = 0;
    uint32_t moved = 0;
    struct model_event *from = calloc(model->count + 1u, sizeof *from);
    assert(from);
    for (uint32_t i = 0; i < model->count; i++) {
        if (model->events[i].user == operation->from)
            from[moved++] = model->events[i];
        else
            model->events[kept++] = model->events[i];
    }
    for (uint32_t i = 0; i < moved; i++) {
        from[i].user = operation->into;
        model->events[kept++] = from[i];
    }
    free(from);
}

void model_make(const struct history *history, uint32_t count, struct model *out)
{
    uint32_t total = 0;
    *out = (struct model){ 0 };
    for (uint32_t i = 0; i < count; i++)
        total += history->operations[i].count;
    out->events = calloc(total + 1u, sizeof *out->events);
    assert(out->events);
    for (uint32_t i = 0; i < count; i++) {
        const struct operation *operation = &history->operations[i];
        for (uint32_t e = 0; e < operation->count; e++)
            out->events[out->count++] = (struct model_event){
                .user = operation->events[e].user,
                .origin = operation->events[e].user,
                .event = &operation->events[e],
            };
        if (operation->kind == OPERATION_EVENT)
            continue;
        if (operation->kind == OPERATION_MERGE)
            merge_in_model(out, operation);
        out->is_dead[operation->from] = true;
    }
}

void model_done(struct model *model)
{
    free(model->events);
}

/* --- comparing ----------------------------------------------------------------------------- */

static const struct model *sorted_model;

static int compare_events(const void *a, const void *b)
{
    uint32_t i = *(const uint32_t *)a;
    uint32_t j = *(const uint32_t *)b;
    const struct store_event *left = sorted_model->events[i].event;
    const struct store_event *right = sorted_model->events[j].event;
    if (left->time_ms != right->time_ms)
        return left->time_ms < right->time_ms ? -1 : 1;
    if (left->seq != right->seq)
        return left->seq < right->seq ? -1 : 1;
    if (left->event != right->event)
        return left->event < right->event ? -1 : 1;
    return (i > j) - (i < j);
}

/* The user's events of a type (or UINT32_MAX: all) in order; a user who is dead has none. */
static uint32_t events_of(const struct model *model, uint32_t user, uint32_t event, uint32_t *to)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < model->count; i++)
        if (model->events[i].user == user && !model->is_dead[user] &&
            (event == UINT32_MAX || model->events[i].event->event == event))
            to[count++] = i;
    sorted_model = model;
    qsort(to, count, sizeof *to, compare_events);
    return count;
}

static const struct value *find_value(const struct store_property *properties, uint32_t count,
                                      uint32_t property, enum value_type type)
{
    for (uint32_t i = 0; i < count; i++)
        if (properties[i].property == property && properties[i].value.type == type)
            return &properties[i].value;
    return NULL;
}

static bool is_column_value(const struct store_column *column, enum value_type type, uint32_t i,
                            const struct value *wanted)
{
    struct value value = { .type = type };
    struct bytes items[8];
    uint32_t list = 0;
    switch (type) {
    case VALUE_BOOL:
        value.boolean = column->integers[i] != 0;
        break;
    case VALUE_REAL:
        value.real = column->reals[i];
        break;
    case VALUE_STRING:
        value.string = column->texts[column->codes[i]];
        break;
    case VALUE_LIST:
        list = column->codes[i];
        value.count = column->list_start[list + 1] - column->list_start[list];
        if (value.count > 8)
            return false;
        for (uint32_t k = 0; k < value.count; k++)
            items[k] = column->texts[column->items[column->list_start[list] + k]];
        value.items = items;
        break;
    default:
        value.integer = column->integers[i];
    }
    return value_equal(&value, wanted);
}

static const char *compare_columns(const struct model *model, struct store_slice *slice,
                                   const struct store_ops *ops, const uint32_t *expected)
{
    for (uint32_t property = 0; property < HISTORY_PROPERTIES; property++) {
        for (int type = 1; type < VALUE_TYPES; type++) {
            struct store_column column;
            bool has = false;
            if (ops->slice_column(slice, property, (enum value_type)type, &column, &has).code)
                return "a column fails";
            bool has_any = false;
            for (uint32_t i = 0; i < slice->events; i++) {
                const struct store_event *event = model->events[expected[i]].event;
                const struct value *wanted = find_value(event->properties, event->property_count,
                                                        property, (enum value_type)type);
                bool is_there = has && (!column.present || column.present[i / 64] >> (i % 64) & 1);
                has_any |= wanted != NULL;
                if (is_there != (wanted != NULL))
                    return "a value's presence";
                if (wanted && !is_column_value(&column, (enum value_type)type, i, wanted))
                    return "a value";
            }
            if (has && !has_any)
                return "a column without values";
        }
    }
    return NULL;
}

/* The model's events of a shard, type and month, in the slice's order. */
static uint32_t expected_slice(const struct model *model, uint32_t shards, uint32_t shard,
                               uint32_t event, int32_t month, uint32_t *to)
{
    uint32_t count = 0;
    uint32_t *all = calloc(model->count + 1u, sizeof *all);
    assert(all);
    for (uint32_t user = shard; user < HISTORY_USERS; user += shards) {
        uint32_t n = events_of(model, user, event, all);
        for (uint32_t i = 0; i < n; i++)
            if (civil_month_of_ms(model->events[all[i]].event->time_ms) == month)
                to[count++] = all[i];
    }
    free(all);
    return count;
}

static const char *compare_days(const struct model *model, const struct store_slice *slice,
                                const uint32_t *expected, const struct store_day_counts *days,
                                const struct zone *zone)
{
    for (uint32_t d = 0; d < days->days; d++) {
        uint32_t events = 0;
        uint32_t users = 0;
        for (uint32_t u = 0; u < slice->users; u++) {
            uint32_t before = events;
            for (uint32_t i = slice->start[u]; i < slice->start[u + 1]; i++)
                events += zone_day(zone, model->events[expected[i]].event->time_ms) ==
                          days->first_day + (int32_t)d;
            users += events > before;
        }
        if (events != days->events[d])
            return "events of a day";
        if (users != days->users[d])
            return "users of a day";
    }
    return NULL;
}

static const char *compare_slice(const struct model *model, struct store_snapshot *snapshot,
                                 uint32_t shard, uint32_t event, int32_t month,
                                 const struct zone *zone, struct arena *arena, uint32_t *expected)
{
    const struct store_ops *ops = snapshot->ops;
    uint32_t shards = ops->shards(snapshot);
    uint32_t count = expected_slice(model, shards, shard, event, month, expected);
    struct store_slice slice;
    if (ops->slice_open(snapshot, shard, month, event, arena, &slice).code)
        return "a slice fails";
    if (slice.events != count)
        return "how many events a slice has";
    if (count == 0)
        return slice.users == 0 ? NULL : "a slice without events has users";
    if (ops->slice_times(&slice).code || ops->slice_seqs(&slice).code)
        return "times or seqs fail";
    if (slice.start[slice.users] != count)
        return "the last start";
    for (uint32_t u = 0; u < slice.users; u++) {
        if (u > 0 && slice.row[u] <= slice.row[u - 1])
            return "the order of rows";
        if (slice.row[u] >= ops->shard_rows(snapshot, shard))
            return "a row past the shard's";
        for (uint32_t i = slice.start[u]; i < slice.start[u + 1]; i++) {
            const struct model_event *wanted = &model->events[expected[i]];
            if (wanted->user != slice.row[u] * shards + shard)
                return "the user of an event";
            if (slice.base_ms + slice.time[i] != wanted->event->time_ms)
                return "the time of an event";
            if (slice.seq[i] != wanted->event->seq)
                return "the seq of an event";
        }
    }
    struct store_day_counts days;
    bool has_days = false;
    if (ops->day_counts(snapshot, shard, month, event, arena, &days, &has_days).code)
        return "day counts fail";
    const char *wrong = NULL;
    if (has_days)
        wrong = compare_days(model, &slice, expected, &days, zone);
    return wrong ? wrong : compare_columns(model, &slice, ops, expected);
}

/* A month of everybody's events in order: all those of the model, and no others. */
static const char *compare_order(const struct model *model, struct store_snapshot *snapshot,
                                 uint32_t shard, int32_t month, struct arena *arena,
                                 uint32_t *events)
{
    const struct store_ops *ops = snapshot->ops;
    uint32_t shards = ops->shards(snapshot);
    struct store_order order;
    if (ops->order_open(snapshot, shard, month, arena, &order).code)
        return "an order fails";
    uint32_t u = 0;
    for (uint32_t user = shard; user < HISTORY_USERS; user += shards) {
        uint32_t count = events_of(model, user, UINT32_MAX, events);
        uint32_t at = u < order.users ? order.start[u] : 0;
        uint32_t seen = 0;
        for (uint32_t i = 0; i < count; i++) {
            const struct store_event *event = model->events[events[i]].event;
            if (civil_month_of_ms(event->time_ms) != month)
                continue;
            if (u == order.users || order.row[u] != user / shards)
                return "the users of an order";
            if (at + seen == order.start[u + 1] || order.code[at + seen] >= order.type_count ||
                order.types[order.code[at + seen]] != event->event)
                return "an order's events";
            seen++;
        }
        if (seen > 0 && at + seen != order.start[++u])
            return "how many events a user has in an order";
    }
    if (u != order.users || (u > 0 && order.events != order.start[u]))
        return "how much an order has";
    return NULL;
}

enum { MONTHS_MAX = 256 };

/* Every month that has events, once. */
static uint32_t months_of(const struct model *model, int32_t *months)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < model->count && count < MONTHS_MAX; i++) {
        int32_t month = civil_month_of_ms(model->events[i].event->time_ms);
        uint32_t at = 0;
        while (at < count && months[at] != month)
            at++;
        if (at == count)
            months[count++] = month;
    }
    return count;
}

static const char *compare_orders(const struct model *model, struct store_snapshot *snapshot,
                                  struct arena *arena, uint32_t *events)
{
    const struct store_ops *ops = snapshot->ops;
    int32_t months[MONTHS_MAX];
    uint32_t count = months_of(model, months);
    const char *wrong = NULL;
    for (uint32_t s = 0; s < ops->shards(snapshot) && !wrong; s++) {
        for (uint32_t m = 0; m < count && !wrong; m++) {
            wrong = compare_order(model, snapshot, s, months[m], arena, events);
            arena_reset(arena);
        }
    }
    return wrong;
}

const char *model_compare_slices(const struct model *model, struct store_snapshot *snapshot,
                                 const struct zone *zone)
{
    const struct store_ops *ops = snapshot->ops;
    const char *wrong = NULL;
    struct arena arena;
    arena_init(&arena, 1 << 28);
    uint32_t *expected = calloc(model->count + 1u, sizeof *expected);
    assert(expected);
    uint64_t seen = 0;
    uint64_t wanted = 0;
    for (uint32_t i = 0; i < model->count; i++)
        wanted += !model->is_dead[model->events[i].user];
    for (uint32_t s = 0; s < ops->shards(snapshot) && !wrong; s++) {
        for (uint32_t event = 0; event < HISTORY_TYPES && !wrong; event++) {
            const int32_t *months = NULL;
            uint32_t count = 0;
            if (ops->months(snapshot, s, event, TIME_MS_MIN, TIME_MS_MAX, &arena, &months, &count)
                    .code)
                wrong = "months fail";
            for (uint32_t m = 0; m < count && !wrong; m++) {
                wrong = compare_slice(model, snapshot, s, event, months[m], zone, &arena, expected);
                seen += expected_slice(model, ops->shards(snapshot), s, event, months[m], expected);
            }
            arena_reset(&arena);
        }
    }
    if (!wrong && seen != wanted)
        wrong = "a month is missing";
    if (!wrong)
        wrong = compare_orders(model, snapshot, &arena, expected);
    free(expected);
    arena_done(&arena);
    return wrong;
}

struct timeline {
    const struct model *model;
    uint32_t *expected;
    uint32_t count;
    uint32_t at;
    bool is_backwards;
    const char *wrong;
};

static bool see(void *ctx, const struct store_user_event *event)
{
    struct timeline *timeline = ctx;
    if (timeline->at == timeline->count) {
        timeline->wrong = "a timeline has too many events";
        return false;
    }
    const struct model_event *wanted = &timeline->model->events[timeline->expected[timeline->at++]];
    uint32_t values = 0;
    for (uint32_t i = 0; i < wanted->event->property_count; i++) {
        const struct store_property *property = &wanted->event->properties[i];
        if (property->value.type == VALUE_NULL)
            continue;
        values++;
        const struct value *found = find_value(event->properties, event->property_count,
                                               property->property, property->value.type);
        if (!found || !value_equal(found, &property->value))
            timeline->wrong = "a property in a timeline";
    }
    if (values != event->property_count)
        timeline->wrong = "how many properties an event has in a timeline";
    if (event->time_ms != wanted->event->time_ms || event->seq != wanted->event->seq ||
        event->event != wanted->event->event)
        timeline->wrong = "the order of a timeline";
    if (event->origin != wanted->origin)
        timeline->wrong = "an origin";
    return !timeline->wrong;
}

/* Groups of the same (time, seq) change places, not what is in them. */
static void turn_around(const struct model *model, uint32_t *events, uint32_t count)
{
    uint32_t *turned = calloc(count + 1u, sizeof *turned);
    assert(turned);
    uint32_t at = 0;
    for (uint32_t end = count; end > 0;) {
        uint32_t first = end - 1;
        const struct store_event *last = model->events[events[end - 1]].event;
        while (first > 0 && model->events[events[first - 1]].event->time_ms == last->time_ms &&
               model->events[events[first - 1]].event->seq == last->seq)
            first--;
        for (uint32_t i = first; i < end; i++)
            turned[at++] = events[i];
        end = first;
    }
    memcpy(events, turned, count * sizeof *events);
    free(turned);
}

static const char *compare_timelines(const struct model *model, struct store_snapshot *snapshot)
{
    struct arena arena;
    arena_init(&arena, 1 << 28);
    struct timeline timeline = { .model = model };
    timeline.expected = calloc(model->count + 1u, sizeof *timeline.expected);
    assert(timeline.expected);
    for (uint32_t user = 0; user < HISTORY_USERS && !timeline.wrong; user++) {
        for (int back = 0; back < 2 && !timeline.wrong; back++) {
            timeline.count = events_of(model, user, UINT32_MAX, timeline.expected);
            timeline.at = 0;
            if (back)
                turn_around(model, timeline.expected, timeline.count);
            struct err err = snapshot->ops->user_events(snapshot, user, TIME_MS_MIN, TIME_MS_MAX,
                                                        back, &arena, see, &timeline);
            if (err.code)
                timeline.wrong = "a timeline fails";
            else if (!timeline.wrong && timeline.at != timeline.count)
                timeline.wrong = "a timeline has too few events";
        }
    }
    free(timeline.expected);
    arena_done(&arena);
    return timeline.wrong;
}

const char *model_compare(const struct model *model, struct store_snapshot *snapshot,
                          const struct zone *zone)
{
    const char *wrong = model_compare_slices(model, snapshot, zone);
    return wrong ? wrong : compare_timelines(model, snapshot);
}

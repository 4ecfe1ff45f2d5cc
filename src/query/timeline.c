/*
 * timeline.c - EVENTS OF: one user's events, newest first.
 *
 * The store tells items right after their event, so an event waits until the next one has come
 * before it's filtered and written with its items.
 */
#include "codec/jsonw.h"
#include "query/exec.h"

#include <stdlib.h>

enum { LIMIT_DEFAULT = 100 };

struct item_list {
    struct exec_event_row *rows;
    uint32_t count;
    uint32_t cap;
};

struct timeline {
    struct exec *exec;
    struct table *table;
    const struct filter *filter;
    struct arena arena; /* of the event that waits */
    struct exec_event_row row;
    bool has_row;
    struct item_list items;
    uint64_t left;
    struct err err;
};

/* --- keeping an event --------------------------------------------------------------------- */

static bool copy_value(struct arena *arena, struct value *value)
{
    if (value->type == VALUE_STRING) {
        value->string = arena_copy(arena, value->string);
        return value->string.ptr != NULL;
    }
    if (value->type != VALUE_LIST)
        return true;
    struct bytes *items = arena_calloc(arena, value->count, sizeof *items);
    for (uint32_t i = 0; items && i < value->count; i++) {
        items[i] = arena_copy(arena, value->items[i]);
        if (!items[i].ptr)
            return false;
    }
    value->items = items;
    return items != NULL;
}

static bool copy_event(struct arena *arena, const struct store_user_event *event, uint32_t user,
                       struct exec_event_row *out)
{
    struct store_property *properties =
        arena_calloc(arena, event->property_count, sizeof *properties);
    if (!properties)
        return false;
    for (uint32_t i = 0; i < event->property_count; i++) {
        properties[i] = event->properties[i];
        if (!copy_value(arena, &properties[i].value))
            return false;
    }
    *out = (struct exec_event_row){ .event = event->event,
                                    .user = user,
                                    .time_ms = event->time_ms,
                                    .seq = event->seq,
                                    .properties = properties,
                                    .property_count = event->property_count };
    return true;
}

static bool add_item(struct timeline *timeline, const struct store_user_event *event)
{
    struct item_list *items = &timeline->items;
    if (items->count == items->cap) {
        uint32_t cap = items->cap ? items->cap * 2 : 16;
        struct exec_event_row *grown = arena_alloc(&timeline->arena, cap * sizeof *grown);
        if (!grown)
            return false;
        if (items->count)
            memcpy(grown, items->rows, items->count * sizeof *grown);
        items->rows = grown;
        items->cap = cap;
    }
    return copy_event(&timeline->arena, event, timeline->row.user, &items->rows[items->count++]);
}

/* --- writing one --------------------------------------------------------------------------------- */

static void put_members(struct jsonw *w, const struct catalog *catalog,
                        const struct exec_event_row *row)
{
    for (uint32_t i = 0; i < row->property_count; i++) {
        jsonw_key_bytes(w, catalog_property_name(catalog, row->properties[i].property));
        jsonw_value(w, &row->properties[i].value);
    }
}

static struct err properties_cell(struct timeline *timeline, struct table_cell *out)
{
    const struct catalog *catalog = timeline->exec->catalog;
    struct buf buf;

    buf_init(&buf, 16 << 20);
    struct jsonw w = jsonw_of(&buf);
    jsonw_object(&w);
    put_members(&w, catalog, &timeline->row);
    if (timeline->items.count > 0) {
        jsonw_key(&w, "Items");
        jsonw_array(&w);
        for (uint32_t i = 0; i < timeline->items.count; i++) {
            jsonw_object(&w);
            put_members(&w, catalog, &timeline->items.rows[i]);
            jsonw_end_object(&w);
        }
        jsonw_end_array(&w);
    }
    jsonw_end_object(&w);
    struct err err =
        buf.is_failed ? exec_no_memory() : cell_text(timeline->table, buf_bytes(&buf), out);
    buf_done(&buf);
    if (!err.code)
        out->kind = CELL_JSON;
    return err;
}

static struct err put_row(struct timeline *timeline)
{
    struct value time = value_time(timeline->row.time_ms);
    struct table_cell *cells;

    struct err err = exec_table_row(timeline->table, &cells);
    if (!err.code)
        err = cell_value(timeline->exec, timeline->table, &time, &cells[0]);
    if (!err.code)
        err =
            cell_text(timeline->table,
                      catalog_event_name(timeline->exec->catalog, timeline->row.event), &cells[1]);
    if (!err.code)
        err = properties_cell(timeline, &cells[2]);
    if (!err.code)
        cells[3] = cell_int((int64_t)timeline->row.seq);
    return err;
}

/* The event that waits has all its items: writes it if it's asked for. */
static struct err flush(struct timeline *timeline)
{
    bool is_match;

    if (!timeline->has_row || timeline->left == 0)
        return ok();
    timeline->has_row = false;
    timeline->row.items = timeline->items.rows;
    timeline->row.item_count = timeline->items.count;
    struct err err = exec_filter_row(timeline->exec, timeline->filter, &timeline->row,
                                     &timeline->arena, &is_match);
    if (err.code || !is_match)
        return err;
    timeline->left--;
    return put_row(timeline);
}

static bool visit(void *ctx, const struct store_user_event *event)
{
    struct timeline *timeline = ctx;
    uint32_t parent = catalog_event_parent(timeline->exec->catalog, event->event);

    timeline->err = exec_check(timeline->exec);
    if (timeline->err.code)
        return false;
    if (parent != CATALOG_NONE && timeline->has_row && timeline->row.seq == event->seq) {
        if (!add_item(timeline, event))
            timeline->err = exec_no_memory();
        return !timeline->err.code;
    }
    timeline->err = flush(timeline);
    if (timeline->err.code || timeline->left == 0)
        return false;
    arena_reset(&timeline->arena);
    timeline->items = (struct item_list){ .count = 0 };
    timeline->has_row = copy_event(&timeline->arena, event, timeline->row.user, &timeline->row);
    if (!timeline->has_row)
        timeline->err = exec_no_memory();
    return !timeline->err.code;
}

static struct err make_columns(struct exec *exec, struct table *table)
{
    static const char *const NAMES[] = { "time", "event", "properties", "seq" };
    static const enum table_type TYPES[] = { TABLE_TIME, TABLE_STRING, TABLE_OBJECT, TABLE_INT };

    struct err err = exec_table_init(exec, table, "events", 4);
    for (uint32_t i = 0; i < 4 && !err.code; i++)
        err = exec_table_column(table, i, bytes_from(NAMES[i]), TYPES[i]);
    return err;
}

struct err run_events(struct exec *exec, struct table *table)
{
    const struct events *events = &exec->query->events;
    const struct query_source *source = exec->source;
    struct timeline timeline = { .exec = exec, .table = table };
    struct exec_range range;
    struct filter *filter;
    struct arena scratch;

    struct err err = make_columns(exec, table);
    if (!err.code)
        err = exec_filter(exec, events->where, &filter);
    if (!err.code)
        err = exec_resolve_span(exec, &exec->query->span, &range);
    if (err.code)
        return err;
    uint32_t user = source->find_user(source->identities, events->identity.text);
    if (user == UINT32_MAX) {
        exec_warn(exec, "nobody has the identity '%.*s'",
                  (int)(events->identity.text.len < 100 ? events->identity.text.len : 100),
                  (const char *)events->identity.text.ptr);
        return ok();
    }
    timeline.filter = filter;
    timeline.row.user = user;
    timeline.left = events->has_limit ? events->limit : LIMIT_DEFAULT;
    arena_init(&timeline.arena, exec->memory_bytes / 4);
    arena_init(&scratch, exec->memory_bytes / 2);
    err = exec->ops->user_events(exec->snapshot, user, range.from_ms, range.to_ms, true, &scratch,
                                 visit, &timeline);
    if (!err.code)
        err = timeline.err;
    if (!err.code)
        err = flush(&timeline);
    arena_done(&scratch);
    arena_done(&timeline.arena);
    return err;
}

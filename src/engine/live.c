/*
 * live.c - a ring of JSON lines, written by the apply thread while somebody watches.
 *
 * At most RATE events a second are put in; the rest are counted. The second is the batch's received
 * time, so nothing here needs a clock but the waiting of readers. The line after the newest is room
 * to write the next one, which may turn out too long; a reader that falls behind the others loses the
 * oldest and is told how many.
 */
#include "engine/engine_internal.h"

#include "codec/jsonw.h"

#include <stdlib.h>

enum { RING = 256, KEPT = RING - 1, RATE = 50, LINE_MAX_BYTES = 8192 };

struct live {
    struct mutex mutex;
    struct cond came;
    atomic_uint readers;
    struct buf lines[RING];
    uint64_t next;    /* number of the next line */
    uint64_t skipped; /* events that weren't sampled, ever */
    int64_t second;
    uint32_t in_second;
};

struct live_reader {
    struct live *live;
    uint64_t next;
    uint64_t skipped;
};

struct err live_new(struct live **out)
{
    struct live *live = calloc(1, sizeof *live);
    if (!live)
        return err_new(ERR_NOMEM, "live: new");
    mutex_init(&live->mutex);
    cond_init(&live->came);
    for (int i = 0; i < RING; i++)
        buf_init(&live->lines[i], LINE_MAX_BYTES);
    *out = live;
    return ok();
}

void live_free(struct live *live)
{
    if (!live)
        return;
    for (int i = 0; i < RING; i++)
        buf_done(&live->lines[i]);
    cond_done(&live->came);
    mutex_done(&live->mutex);
    free(live);
}

bool live_is_watched(const struct live *live)
{
    return atomic_load_explicit(&live->readers, memory_order_relaxed) > 0;
}

static void put_properties(struct jsonw *w, const struct command_property *properties,
                           uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        jsonw_key_bytes(w, properties[i].name);
        jsonw_value(w, &properties[i].value);
    }
}

static void put_line(struct buf *line, const struct state *state, const struct command *command,
                     uint32_t user, uint32_t event, int64_t received_ms)
{
    struct jsonw w = jsonw_of(line);
    jsonw_object(&w);
    jsonw_key(&w, "time");
    jsonw_time(&w, command->time_ms);
    jsonw_key(&w, "received");
    jsonw_time(&w, received_ms);
    jsonw_key(&w, "event");
    jsonw_string(&w, catalog_event_name(state->catalog, event));
    jsonw_key(&w, "user");
    jsonw_object(&w);
    jsonw_key(&w, "id");
    jsonw_uint(&w, user);
    jsonw_key(&w, "identity");
    jsonw_string(&w, identity_display(state->identity, user));
    jsonw_end_object(&w);
    jsonw_key(&w, "properties");
    jsonw_object(&w);
    put_properties(&w, command->properties, command->property_count);
    if (command->item_count > 0) {
        jsonw_key(&w, "Items");
        jsonw_array(&w);
        for (uint32_t i = 0; i < command->item_count; i++) {
            jsonw_object(&w);
            put_properties(&w, command->items[i].properties, command->items[i].count);
            jsonw_end_object(&w);
        }
        jsonw_end_array(&w);
    }
    jsonw_end_object(&w);
    jsonw_end_object(&w);
}

void live_offer(struct live *live, const struct state *state, const struct command *command,
                uint32_t user, uint32_t event, int64_t received_ms)
{
    mutex_lock(&live->mutex);
    if (received_ms / MS_PER_SECOND != live->second) {
        live->second = received_ms / MS_PER_SECOND;
        live->in_second = 0;
    }
    struct buf *line = &live->lines[live->next % RING];
    if (live->in_second >= RATE) {
        live->skipped++;
    } else {
        live->in_second++;
        buf_reset(line);
        put_line(line, state, command, user, event, received_ms);
        if (buf_err(line).code) {
            live->skipped++; /* an event too long to show */
        } else {
            live->next++;
            cond_broadcast(&live->came);
        }
    }
    mutex_unlock(&live->mutex);
}

struct err project_live_open(struct project *project, struct live_reader **out)
{
    struct live_reader *reader = calloc(1, sizeof *reader);
    if (!reader)
        return err_new(ERR_NOMEM, "live: open");
    reader->live = project->live;
    mutex_lock(&reader->live->mutex);
    reader->next = reader->live->next;
    reader->skipped = reader->live->skipped;
    mutex_unlock(&reader->live->mutex);
    atomic_fetch_add(&reader->live->readers, 1);
    *out = reader;
    return ok();
}

void project_live_close(struct live_reader *reader)
{
    if (!reader)
        return;
    atomic_fetch_sub(&reader->live->readers, 1);
    free(reader);
}

struct err project_live_read(struct live_reader *reader, int64_t timeout_ms, struct buf *lines,
                             uint64_t *skipped_out)
{
    struct live *live = reader->live;
    mutex_lock(&live->mutex);
    if (timeout_ms > 0 && reader->next == live->next)
        (void)cond_wait_ms(&live->came, &live->mutex, timeout_ms);
    uint64_t lost = 0;
    if (live->next - reader->next > KEPT) {
        lost = live->next - reader->next - KEPT;
        reader->next = live->next - KEPT;
    }
    for (; reader->next < live->next; reader->next++) {
        buf_put(lines, buf_bytes(&live->lines[reader->next % RING]));
        buf_put_u8(lines, '\n');
    }
    *skipped_out = live->skipped - reader->skipped + lost;
    reader->skipped = live->skipped;
    mutex_unlock(&live->mutex);
    return buf_err(lines);
}

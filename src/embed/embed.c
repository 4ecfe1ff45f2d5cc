/*
 * embed.c - a folder inside somebody's program: opening, appending, flushing.
 *
 *     kolam_append ─► a line of JSON ─► ingest ─► command writer ─► (1 MiB, or a flush) ─► engine
 *
 * A batch that couldn't be sent stays in the writer and goes first at the next try, so that nothing
 * that was taken is lost while the process lives.
 */
#include "embed/embed_internal.h"

#include "base/map.h"
#include "codec/json.h"
#include "codec/jsonw.h"
#include "sys/sys.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { LINE_LIMIT = 16 << 20, BATCH_BYTES = 1 << 20, BATCH_COUNT = 20000 };

/* Times as numbers are seconds below this, milliseconds from it on (docs/modules/ingest.md). */
#define EPOCH_MS_MIN INT64_C(100000000000)

const char *kolam_version(void)
{
    return KOLAM_VERSION;
}

/* --- errors ---------------------------------------------------------------------------------- */

static enum kolam_status status_of(struct err err)
{
    switch (err.code) {
    case ERR_NONE:
        return KOLAM_OK;
    case ERR_NOMEM:
        return KOLAM_MEMORY;
    case ERR_OS:
        return KOLAM_IO;
    case ERR_INVALID:
        return KOLAM_INVALID;
    case ERR_CORRUPT:
        return KOLAM_CORRUPT;
    case ERR_BUSY:
        return KOLAM_BUSY;
    case ERR_BROKEN:
        return KOLAM_BROKEN;
    case ERR_FULL:
        return KOLAM_FULL;
    case ERR_LIMIT:
    case ERR_CANCELLED:
        return KOLAM_LIMIT;
    case ERR_MISSING:
        return KOLAM_MISSING;
    case ERR_EXISTS:
        return KOLAM_INVALID;
    case ERR_DENIED:
        return KOLAM_IO;
    }
    return KOLAM_BROKEN;
}

enum kolam_status embed_fine(struct kolam_error *error)
{
    if (error)
        *error = (struct kolam_error){ .status = KOLAM_OK };
    return KOLAM_OK;
}

enum kolam_status embed_say(struct kolam_error *error, enum kolam_status status, const char *format,
                            ...)
{
    if (!error)
        return status;
    va_list args;
    va_start(args, format);
    error->status = status;
    (void)vsnprintf(error->text, sizeof error->text, format, args);
    va_end(args);
    return status;
}

enum kolam_status embed_fail(struct kolam_error *error, struct err err, const char *about)
{
    if (err.os)
        return embed_say(error, status_of(err), "%s: %s: %s", about, err.what, strerror(err.os));
    return embed_say(error, status_of(err), "%s: %s", about, err.what);
}

/* --- opening and closing ------------------------------------------------------------------------ */

/* The seed of hash tables is the process's: drawn by whoever opens first. */
static void draw_seed(void)
{
    static struct mutex once = { PTHREAD_MUTEX_INITIALIZER };
    static bool is_drawn;
    mutex_lock(&once);
    if (!is_drawn) {
        uint64_t seed;
        sys_entropy(&seed, sizeof seed);
        base_seed_set(seed);
        is_drawn = true;
    }
    mutex_unlock(&once);
}

/* The engine refuses everything from then on, which is what callers are told. */
static void on_broken(void *ctx, const char *project, struct err err)
{
    (void)ctx;
    (void)project;
    (void)err;
}

static struct err open_project(struct kolam *kolam, const struct kolam_options *options)
{
    struct engine_config config = {
        .disk = kolam->disk,
        .clock = clock_real(),
        .pool = kolam->pool,
        .cache_bytes = options->cache_bytes,
        .on_broken = on_broken,
        .ctx = kolam,
    };
    struct project_settings settings = {
        .time_zone = bytes_from(options->time_zone ? options->time_zone : "UTC"),
    };
    struct err err = engine_open(&config, &kolam->engine);
    if (err.code)
        return err;
    return engine_project(kolam->engine, options->project ? options->project : "main", &settings,
                          true, &kolam->project);
}

static struct err open_all(struct kolam *kolam, const char *folder,
                           const struct kolam_options *options)
{
    unsigned threads = options->threads ? options->threads : sys_cpu_count();
    struct err err = disk_real(folder, &kolam->disk);
    if (err.code)
        return err;
    err = thread_pool_new(threads > 1 ? threads - 1 : 1, &kolam->pool);
    if (err.code)
        return err;
    err = ingest_new(LINE_LIMIT, &kolam->ingest);
    if (err.code)
        return err;
    err = command_writer_new(&kolam->writer);
    if (err.code)
        return err;
    return open_project(kolam, options);
}

static void free_all(struct kolam *kolam)
{
    if (kolam->engine)
        engine_close(kolam->engine);
    command_writer_free(kolam->writer);
    ingest_free(kolam->ingest);
    thread_pool_free(kolam->pool);
    disk_free(kolam->disk);
    buf_done(&kolam->line);
    mutex_done(&kolam->lock);
    free(kolam);
}

enum kolam_status kolam_open(const char *folder, const struct kolam_options *options,
                             struct kolam **out, struct kolam_error *error)
{
    const struct kolam_options defaults = { .project = NULL };
    if (!folder || !folder[0])
        return embed_say(error, KOLAM_INVALID, "name the folder");
    if (!options)
        options = &defaults;
    draw_seed();
    struct kolam *kolam = calloc(1, sizeof *kolam);
    if (!kolam)
        return embed_say(error, KOLAM_MEMORY, "no memory");
    mutex_init(&kolam->lock);
    buf_init(&kolam->line, LINE_LIMIT + JSON_PADDING);
    kolam->query_memory_bytes = options->query_memory_bytes;
    kolam->query_timeout_ms = options->query_timeout_ms;
    struct err err = open_all(kolam, folder, options);
    if (err.code) {
        free_all(kolam);
        if (err.code == ERR_BUSY)
            return embed_say(error, KOLAM_BUSY, "%s: it's in use", folder);
        return embed_fail(error, err, folder);
    }
    *out = kolam;
    return embed_fine(error);
}

enum kolam_status kolam_close(struct kolam *kolam, struct kolam_error *error)
{
    if (!kolam)
        return embed_fine(error);
    enum kolam_status status = kolam_flush(kolam, error);
    free_all(kolam);
    return status;
}

/* --- batches -------------------------------------------------------------------------------------- */

static bool is_discarded(void *ctx, struct bytes event_name, bool is_folded)
{
    const struct kolam *kolam = ctx;
    return project_is_discarded(kolam->project, event_name, is_folded);
}

static void begin_batch(struct kolam *kolam)
{
    if (kolam->has_batch)
        return;
    int64_t now_ms = clock_now_ms(clock_real());
    command_writer_reset(kolam->writer, now_ms);
    kolam->rules = (struct ingest_rules){
        .limits = project_rules(kolam->project).limits,
        .now_ms = now_ms,
        .is_discarded = is_discarded,
        .ctx = kolam,
    };
    kolam->has_batch = true;
    kolam->is_final = false;
}

/* Durable when it returns. After a failure the batch stays. */
static struct err send_batch(struct kolam *kolam)
{
    struct bytes batch;
    uint32_t count = kolam->has_batch ? command_writer_count(kolam->writer) : 0;
    if (count == 0) {
        kolam->has_batch = false;
        return ok();
    }
    struct err err = command_writer_finish(kolam->writer, &batch);
    if (err.code)
        return err;
    kolam->is_final = true;
    err = project_submit_wait(kolam->project, batch, count, NULL);
    if (!err.code)
        kolam->has_batch = false;
    return err;
}

/* Makes sure that the writer can take one more. */
static struct err make_room(struct kolam *kolam)
{
    bool is_full =
        kolam->has_batch && (kolam->is_final || command_writer_size(kolam->writer) >= BATCH_BYTES ||
                             command_writer_count(kolam->writer) >= BATCH_COUNT);
    struct err err = is_full ? send_batch(kolam) : ok();
    if (!err.code)
        begin_batch(kolam);
    return err;
}

static enum kolam_status take_line(struct kolam *kolam, struct kolam_error *error)
{
    struct ingest_problem problem;
    struct buf *line = &kolam->line;
    if (!buf_reserve(line, JSON_PADDING))
        return embed_say(error, KOLAM_INVALID, "it's larger than 16 MiB, or there's no memory");
    memset(line->ptr + line->len, 0, JSON_PADDING);
    struct err err = make_room(kolam);
    if (err.code)
        return embed_fail(error, err, "append");
    /* Records without a time are of now, not of when the batch was begun. */
    kolam->rules.now_ms = clock_now_ms(clock_real());
    if (ingest_line(kolam->ingest, &kolam->rules, buf_bytes(line), true, kolam->writer, &problem))
        return embed_fine(error);
    return embed_say(error, KOLAM_INVALID, "%.*s%s%.*s%s", BYTES_FMT(problem.message),
                     problem.pointer.len ? " (at " : "", BYTES_FMT(problem.pointer),
                     problem.pointer.len ? ")" : "");
}

enum kolam_status kolam_append_json(struct kolam *kolam, const char *line, size_t len,
                                    struct kolam_error *error)
{
    mutex_lock(&kolam->lock);
    buf_reset(&kolam->line);
    buf_put(&kolam->line, bytes_of(line, len));
    enum kolam_status status = take_line(kolam, error);
    mutex_unlock(&kolam->lock);
    return status;
}

enum kolam_status kolam_flush(struct kolam *kolam, struct kolam_error *error)
{
    mutex_lock(&kolam->lock);
    struct err err = send_batch(kolam);
    mutex_unlock(&kolam->lock);
    if (err.code)
        return embed_fail(error, err, "flush");
    project_drain(kolam->project);
    return embed_fine(error);
}

/* --- one event as a line ----------------------------------------------------------------------------- */

static void put_member(struct jsonw *w, const char *key, const char *text)
{
    if (!text)
        return;
    jsonw_key(w, key);
    jsonw_text(w, text);
}

/* With a fraction or an exponent, so that it's read back as what it is. */
static void put_real(struct jsonw *w, double value)
{
    char text[32];
    size_t len = real_to_text(value, text);
    if (!memchr(text, '.', len) && !memchr(text, 'e', len)) {
        text[len++] = '.';
        text[len++] = '0';
    }
    jsonw_raw(w, bytes_of(text, len));
}

static void put_time(struct jsonw *w, int64_t time_ms)
{
    char text[32];
    long long number = time_ms < EPOCH_MS_MIN ? time_ms / 1000 : time_ms;
    (void)snprintf(text, sizeof text, "$D_%lld", number);
    jsonw_text(w, text);
}

static void put_list(struct jsonw *w, const struct kolam_property *property)
{
    jsonw_array(w);
    for (size_t i = 0; i < property->count; i++)
        jsonw_text(w, property->value.items[i]);
    jsonw_end_array(w);
}

/* What is wrong with the value; NULL: nothing that a line couldn't say. */
static const char *put_value(struct jsonw *w, const struct kolam_property *property)
{
    switch (property->type) {
    case KOLAM_NULL:
        jsonw_null(w);
        return NULL;
    case KOLAM_BOOL:
        jsonw_bool(w, property->value.boolean);
        return NULL;
    case KOLAM_INT:
        jsonw_int(w, property->value.integer);
        return NULL;
    case KOLAM_REAL:
        if (!isfinite(property->value.real))
            return "a number that isn't finite";
        put_real(w, property->value.real);
        return NULL;
    case KOLAM_TEXT:
        jsonw_text(w, property->value.text);
        return NULL;
    case KOLAM_TIME:
        if (property->value.time_ms < 0 ||
            (property->value.time_ms < EPOCH_MS_MIN && property->value.time_ms % 1000))
            return "a time before 1970, or a part of a second before 1973-03-03T09:46:40Z";
        put_time(w, property->value.time_ms);
        return NULL;
    case KOLAM_LIST:
        put_list(w, property);
        return NULL;
    case KOLAM_JSON:
        break;
    }
    return "a type that events can't have";
}

static const char *put_event(struct jsonw *w, const struct kolam_event *event,
                             const char **property_out)
{
    jsonw_object(w);
    put_member(w, "event", event->name ? event->name : "");
    put_member(w, "identity", event->identity);
    put_member(w, "device_id", event->device_id);
    put_member(w, "email", event->email);
    put_member(w, "phone", event->phone);
    put_member(w, "event_id", event->id);
    if (event->time_ms) {
        jsonw_key(w, "time");
        jsonw_time(w, event->time_ms);
    }
    if (event->property_count) {
        jsonw_key(w, "properties");
        jsonw_object(w);
    }
    for (size_t i = 0; i < event->property_count; i++) {
        *property_out = event->properties[i].name ? event->properties[i].name : "";
        jsonw_key(w, *property_out);
        const char *wrong = put_value(w, &event->properties[i]);
        if (wrong)
            return wrong;
    }
    if (event->property_count)
        jsonw_end_object(w);
    jsonw_end_object(w);
    return NULL;
}

enum kolam_status kolam_append(struct kolam *kolam, const struct kolam_event *event,
                               struct kolam_error *error)
{
    const char *property = "";
    enum kolam_status status;
    mutex_lock(&kolam->lock);
    buf_reset(&kolam->line);
    struct jsonw w = jsonw_of(&kolam->line);
    const char *wrong = put_event(&w, event, &property);
    if (wrong)
        status = embed_say(error, KOLAM_INVALID, "property %.100s: %s", property, wrong);
    else
        status = take_line(kolam, error);
    mutex_unlock(&kolam->lock);
    return status;
}

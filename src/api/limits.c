/*
 * limits.c - how much one key may ask: token buckets, parallel calls, and answers that are kept for
 * repeats.
 *
 * Buckets and counts are in tables of a fixed size, found by hash with a few probes. A table that's
 * full gives the place of the bucket that was longest unused: it had refilled, so nothing is lost
 * but precision under an attack with thousands of keys at once.
 *
 * An Idempotency-Key is kept for a day, in memory: 64 MiB of answers, oldest out first. What must
 * hold across restarts is the event id, which the log remembers (docs/decisions/0052).
 */
#include "api/api_internal.h"
#include "base/map.h"

#include <stdio.h>
#include <stdlib.h>

enum { PROBES = 8, IDEMPOTENT_BYTES_MAX = 64 << 20, IDEMPOTENT_ANSWER_MAX = 1 << 20 };
#define IDEMPOTENT_LIFE_MS (24 * MS_PER_HOUR)

/* --- rates ------------------------------------------------------------------------------ */

static const struct api_rate *rate_of(const struct api *api, enum rate_class class)
{
    switch (class) {
    case RATE_INGEST:
        return &api->config.ingest;
    case RATE_QUERY:
        return &api->config.query;
    case RATE_PEOPLE:
        return &api->config.people;
    case RATE_MANAGE:
        return &api->config.manage;
    case RATE_SIGN_IN:
        return &api->config.sign_in;
    case RATE_NONE:
    case RATES:
        break;
    }
    return NULL;
}

/* Under limit_lock. */
static struct bucket *find_bucket(struct api *api, uint64_t key, int64_t now_ns,
                                  const struct api_rate *rate)
{
    struct bucket *oldest = NULL;
    for (size_t i = 0; i < PROBES; i++) {
        struct bucket *bucket = &api->buckets[(key + i) % BUCKETS];
        if (bucket->key == key)
            return bucket;
        if (!oldest || bucket->at_ns < oldest->at_ns)
            oldest = bucket;
    }
    *oldest = (struct bucket){ .key = key, .at_ns = now_ns, .tokens = rate->burst };
    return oldest;
}

bool limit_rate(struct call *call)
{
    struct api *api = call->api;
    enum rate_class class = call->route->rate;
    const struct api_rate *rate = rate_of(api, class);
    if (!rate)
        return true;
    uint64_t who = call->principal.kind == PRINCIPAL_NONE
                       ? hash_bytes(bytes_from(call->request->remote))
                       : call->principal.number;
    uint64_t key = hash_u64(who * RATES + (uint64_t) class) | 1;
    int64_t now_ns = call->request->began_ns;
    mutex_lock(&api->limit_lock);
    struct bucket *bucket = find_bucket(api, key, now_ns, rate);
    if (now_ns > bucket->at_ns) {
        bucket->tokens += (double)(now_ns - bucket->at_ns) / 1e9 * rate->per_s;
        bucket->at_ns = now_ns;
        if (bucket->tokens > rate->burst)
            bucket->tokens = rate->burst;
    }
    bool may = bucket->tokens >= 1;
    if (may)
        bucket->tokens -= 1;
    double left = bucket->tokens;
    mutex_unlock(&api->limit_lock);

    char text[32];
    uint32_t reset_s = (uint32_t)((rate->burst - left) / rate->per_s + 0.999);
    (void)snprintf(text, sizeof text, "%u", rate->burst);
    http_reply_header(call->request, "RateLimit-Limit", text);
    (void)snprintf(text, sizeof text, "%u", (unsigned)left);
    http_reply_header(call->request, "RateLimit-Remaining", text);
    (void)snprintf(text, sizeof text, "%u", reset_s);
    http_reply_header(call->request, "RateLimit-Reset", text);
    if (!may)
        call_fail(call, 429, "rate_limited", "too many requests: %u a second are allowed",
                  rate->per_s);
    return may;
}

/* --- parallel calls ------------------------------------------------------------------------- */

static uint64_t flight_key(const struct call *call)
{
    return hash_u64(call->principal.number * 1024 + (uint64_t)(call->route - api_routes)) | 1;
}

bool limit_flight(struct call *call)
{
    struct api *api = call->api;
    bool is_upload = call->route->needs == NEEDS_INGEST;
    uint32_t max = is_upload ? api->config.uploads_max : api->config.reads_max;
    uint64_t key = flight_key(call);
    struct flight *free_place = NULL;
    struct flight *flight = NULL;
    mutex_lock(&api->limit_lock);
    for (size_t i = 0; i < PROBES && !flight; i++) {
        struct flight *at = &api->flights[(key + i) % FLIGHTS];
        if (at->count && at->key == key)
            flight = at;
        else if (!at->count && !free_place)
            free_place = at;
    }
    if (!flight && free_place) {
        flight = free_place;
        flight->key = key;
    }
    bool may = flight && flight->count < max;
    if (may)
        flight->count++;
    mutex_unlock(&api->limit_lock);
    call->holds_flight = may;
    if (!may)
        call_fail(call, 429, "too_many_concurrent", "Too many concurrent requests");
    return may;
}

void limit_landed(struct call *call)
{
    struct api *api = call->api;
    if (!call->holds_flight)
        return;
    uint64_t key = flight_key(call);
    mutex_lock(&api->limit_lock);
    for (size_t i = 0; i < PROBES; i++) {
        struct flight *flight = &api->flights[(key + i) % FLIGHTS];
        if (flight->count && flight->key == key) {
            flight->count--;
            break;
        }
    }
    mutex_unlock(&api->limit_lock);
}

/* --- repeats ----------------------------------------------------------------------------------- */

struct idempotent {
    struct idempotent *next; /* younger */
    struct idempotent *prev;
    uint8_t name[SHA256_SIZE];   /* of project, principal, route, path and key */
    uint8_t digest[SHA256_SIZE]; /* of the body */
    int64_t at_ms;
    bool is_done;
    int status;
    const char *type;
    uint8_t *body;
    size_t len;
};

/* Under the lock. */
static void drop(struct api *api, struct idempotent *kept)
{
    if (kept->prev)
        kept->prev->next = kept->next;
    else
        api->idempotent_first = kept->next;
    if (kept->next)
        kept->next->prev = kept->prev;
    else
        api->idempotent_last = kept->prev;
    (void)map64_remove(api->idempotent_index, load_le64(kept->name));
    api->idempotent_bytes -= sizeof *kept + kept->len;
    free(kept->body);
    free(kept);
}

/* Under the lock: what is too old or too much goes; answers that are still to come stay. */
static void make_room(struct api *api, int64_t now_ms)
{
    struct idempotent *kept = api->idempotent_first;
    while (kept) {
        struct idempotent *next = kept->next;
        bool is_old = now_ms - kept->at_ms > IDEMPOTENT_LIFE_MS;
        if (!is_old && api->idempotent_bytes <= IDEMPOTENT_BYTES_MAX)
            break;
        if (kept->is_done)
            drop(api, kept);
        kept = next;
    }
}

static void name_call(const struct call *call, struct bytes key, uint8_t name[SHA256_SIZE])
{
    struct buf buf;
    buf_init(&buf, 64 << 10);
    buf_put_prefixed(&buf, bytes_from(call->principal.project));
    buf_put_prefixed(&buf, bytes_from(call->principal.id));
    buf_put_prefixed(&buf, bytes_from(call->route->name));
    buf_put_prefixed(&buf, call->request->path);
    buf_put_prefixed(&buf, key);
    crypt_sha256(buf_bytes(&buf), name);
    buf_done(&buf);
}

static struct idempotent *add(struct api *api, const uint8_t name[SHA256_SIZE],
                              const uint8_t digest[SHA256_SIZE], int64_t now_ms)
{
    struct idempotent *made = calloc(1, sizeof *made);
    uint64_t *slot = made ? map64_put(api->idempotent_index, load_le64(name), NULL) : NULL;
    if (!slot) {
        free(made);
        return NULL;
    }
    *slot = (uint64_t)(uintptr_t)made;
    memcpy(made->name, name, SHA256_SIZE);
    memcpy(made->digest, digest, SHA256_SIZE);
    made->at_ms = now_ms;
    made->prev = api->idempotent_last;
    if (made->prev)
        made->prev->next = made;
    else
        api->idempotent_first = made;
    api->idempotent_last = made;
    api->idempotent_bytes += sizeof *made;
    return made;
}

static void replay(struct call *call, const struct idempotent *kept)
{
    struct buf body;
    buf_init(&body, IDEMPOTENT_ANSWER_MAX);
    buf_put(&body, bytes_of(kept->body, kept->len));
    http_reply_header(call->request, "Idempotent-Replay", "true");
    http_reply(call->request, kept->status, kept->type, &body);
}

bool idempotent_begin(struct call *call)
{
    struct api *api = call->api;
    struct bytes key = http_header(call->request, "Idempotency-Key");
    if (!key.len || call->request->method == HTTP_GET || call->request->method == HTTP_HEAD)
        return true;
    if (key.len > 255) {
        call_fail(call, 400, "bad_parameter", "Idempotency-Key is longer than 255 bytes");
        return false;
    }
    uint8_t name[SHA256_SIZE];
    uint8_t digest[SHA256_SIZE];
    name_call(call, key, name);
    crypt_sha256(call->request->body, digest);
    int64_t now_ms = clock_now_ms(api->config.clock);
    bool is_new = false;
    int refused = 0;
    mutex_lock(&api->idempotent_lock);
    make_room(api, now_ms);
    const uint64_t *slot = map64_find(api->idempotent_index, load_le64(name));
    const struct idempotent *kept = slot ? (const void *)(uintptr_t)*slot : NULL;
    if (kept && memcmp(kept->name, name, SHA256_SIZE) == 0) {
        if (memcmp(kept->digest, digest, SHA256_SIZE) != 0)
            refused = 422;
        else if (!kept->is_done)
            refused = 409;
        else
            replay(call, kept);
    } else {
        is_new = true;
        if (!kept)
            call->idempotent = add(api, name, digest, now_ms);
    }
    mutex_unlock(&api->idempotent_lock);
    if (refused == 422)
        call_fail(call, 422, "idempotency_mismatch",
                  "this Idempotency-Key was used for another body");
    else if (refused == 409)
        call_fail(call, 409, "idempotency_in_progress",
                  "the first request with this key is at work");
    return is_new;
}

void idempotent_keep(struct call *call, int status, const char *type, struct bytes body)
{
    struct api *api = call->api;
    struct idempotent *kept = call->idempotent;
    if (!kept)
        return;
    call->idempotent = NULL;
    /* What was refused for a reason that passes may be tried again. */
    bool is_final =
        status < 500 && status != 429 && status != 499 && body.len <= IDEMPOTENT_ANSWER_MAX;
    uint8_t *copy = is_final ? malloc(body.len + 1) : NULL;
    if (copy && body.len)
        memcpy(copy, body.ptr, body.len);
    mutex_lock(&api->idempotent_lock);
    if (copy) {
        kept->body = copy;
        kept->len = body.len;
        kept->status = status;
        kept->type = type;
        kept->is_done = true;
        api->idempotent_bytes += body.len;
    } else {
        drop(api, kept);
    }
    mutex_unlock(&api->idempotent_lock);
}

void idempotent_forget(struct call *call)
{
    struct api *api = call->api;
    if (!call->idempotent)
        return;
    mutex_lock(&api->idempotent_lock);
    drop(api, call->idempotent);
    mutex_unlock(&api->idempotent_lock);
    call->idempotent = NULL;
}

struct err limits_init(struct api *api)
{
    mutex_init(&api->limit_lock);
    mutex_init(&api->idempotent_lock);
    api->buckets = calloc(BUCKETS, sizeof *api->buckets);
    if (!api->buckets)
        return err_new(ERR_NOMEM, "api: limits");
    return map64_new(64 << 20, &api->idempotent_index);
}

void limits_done(struct api *api)
{
    while (api->idempotent_first)
        drop(api, api->idempotent_first);
    map64_free(api->idempotent_index);
    free(api->buckets);
    mutex_done(&api->limit_lock);
    mutex_done(&api->idempotent_lock);
}

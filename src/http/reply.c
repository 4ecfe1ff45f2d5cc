/* reply.c - answers, from the loop's thread or, when deferred, from another. */
#include "http/http_internal.h"

#include <stdio.h>
#include <stdlib.h>

void http_reply_header(struct http_request *request, const char *name, const char *value)
{
    struct exchange *x = exchange_of(request);
    assert(x->header_count < HEADERS_MAX);
    assert(!strpbrk(value, "\r\n"));
    struct bytes copy = arena_copy(&x->arena, bytes_from(value));
    if (!copy.ptr)
        return; /* the arena's limit is far above what headers take */
    x->headers[x->header_count++] = (struct reply_header){ .name = name, .value = copy };
}

bool reply_seal(struct exchange *x, struct MHD_Response *response)
{
    x->has_reply = true;
    x->response = response;
    if (!response)
        return false;
    bool is_fine = true;
    if (x->type)
        is_fine = MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, x->type);
    for (size_t i = 0; i < x->header_count; i++)
        is_fine &= MHD_add_response_header(response, x->headers[i].name,
                                           (const char *)x->headers[i].value.ptr);
    is_fine &= MHD_add_response_header(response, "X-Request-Id", x->request.id);
    is_fine &= MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    if (atomic_load_explicit(&x->server->is_stopping, memory_order_relaxed))
        is_fine &= MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
    return is_fine;
}

void reply_wake(struct exchange *x)
{
    if (!x->is_deferred)
        return;
    watch_forget(x);
    struct http_server *server = x->server;
    MHD_resume_connection(x->native);
    /* The exchange may be gone from here on. */
    atomic_fetch_sub(&server->deferred, 1);
}

void reply_drop(struct exchange *x)
{
    if (!x->owns_reply_body)
        return;
    union {
        const uint8_t *from;
        void *to;
    } same = { .from = x->reply_body };
    free(same.to);
    x->owns_reply_body = false;
}

void reply_make(struct exchange *x)
{
    if (x->response || x->stream)
        return;
    union {
        const uint8_t *from;
        void *to;
    } same = { .from = x->reply_body }; /* MHD only reads what is persistent */
    struct MHD_Response *response = MHD_create_response_from_buffer(
        x->reply_bytes, same.to,
        x->owns_reply_body ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT);
    if (response)
        x->owns_reply_body = false;
    (void)reply_seal(x, response);
}

static void set_reply(struct exchange *x, int status, const char *type, struct bytes body,
                      bool is_owned)
{
    assert(!x->has_reply);
    x->has_reply = true;
    x->status = status;
    x->type = type;
    x->reply_body = body.ptr;
    x->owns_reply_body = is_owned && body.ptr;
    x->reply_bytes = body.len;
    reply_wake(x);
}

void http_reply(struct http_request *request, int status, const char *type, struct buf *body)
{
    struct exchange *x = exchange_of(request);
    if (body && buf_err(body).code) {
        /* The answer outgrew its limit or memory: what is left of it can't be told apart from a
         * whole one, so nothing of it is sent. */
        static const char text[] = "{\"status\":\"fail\",\"error\":\"the answer is too large\","
                                   "\"code\":500,\"type\":\"answer_too_large\"}";
        buf_done(body);
        set_reply(x, 500, "application/json", bytes_from(text), false);
        return;
    }
    size_t len = 0;
    uint8_t *bytes = body ? buf_take(body, &len) : NULL;
    set_reply(x, status, type, bytes_of(bytes, len), true);
}

void http_reply_static(struct http_request *request, int status, const char *type,
                       struct bytes body)
{
    set_reply(exchange_of(request), status, type, body, false);
}

void http_defer(struct http_request *request)
{
    struct exchange *x = exchange_of(request);
    assert(!x->is_deferred && !x->has_reply && x->is_dispatched);
    x->is_deferred = true;
    atomic_fetch_add(&x->server->deferred, 1);
    MHD_suspend_connection(x->native);
}

/* --- files ------------------------------------------------------------------------- */

static const char policy[] = "default-src 'self'; script-src 'self'; style-src 'self' "
                             "'unsafe-inline'; img-src 'self' data:; font-src 'self'; connect-src "
                             "'self'; object-src 'none'; base-uri 'none'; form-action 'self'; "
                             "frame-ancestors 'none'";

void http_reply_asset(struct http_request *request, const struct http_asset *asset)
{
    http_reply_header(request, "ETag", asset->etag);
    http_reply_header(request, "Cache-Control",
                      asset->is_immutable ? "public, max-age=31536000, immutable" : "no-cache");
    http_reply_header(request, "Content-Security-Policy", policy);
    http_reply_header(request, "Referrer-Policy", "same-origin");
    http_reply_header(request, "X-Frame-Options", "DENY");
    http_reply_header(request, "Cross-Origin-Opener-Policy", "same-origin");
    if (asset->gzip.len)
        http_reply_header(request, "Vary", "Accept-Encoding");
    struct bytes known = http_header(request, "If-None-Match");
    struct bytes etag = bytes_from(asset->etag);
    if (known.len && etag.len && memmem(known.ptr, known.len, etag.ptr, etag.len)) {
        http_reply_static(request, 304, NULL, bytes_of("", 0));
        return;
    }
    struct bytes codings = http_header(request, "Accept-Encoding");
    if (asset->gzip.len && codings.len && memmem(codings.ptr, codings.len, "gzip", 4)) {
        http_reply_header(request, "Content-Encoding", "gzip");
        http_reply_static(request, 200, asset->type, asset->gzip);
        return;
    }
    http_reply_static(request, 200, asset->type, asset->plain);
}

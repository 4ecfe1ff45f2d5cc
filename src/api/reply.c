/* reply.c - answers and errors, in the one shape that all routes share. */
#include "api/api_internal.h"

#include <stdarg.h>
#include <stdio.h>

void put_error(struct buf *body, int status, const char *type, struct bytes message,
               const char *request_id, struct bytes details)
{
    struct jsonw w = jsonw_of(body);
    jsonw_object(&w);
    jsonw_key(&w, "status");
    jsonw_text(&w, "fail");
    jsonw_key(&w, "error");
    jsonw_string(&w, message);
    jsonw_key(&w, "code");
    jsonw_int(&w, status);
    jsonw_key(&w, "type");
    jsonw_text(&w, type);
    jsonw_key(&w, "request_id");
    jsonw_text(&w, request_id);
    jsonw_key(&w, "details");
    jsonw_raw(&w, details.len ? details : BYTES("{}"));
    jsonw_end_object(&w);
}

static void leave_running(struct call *call)
{
    struct api *api = call->api;
    if (!call->is_running)
        return;
    mutex_lock(&api->running_lock);
    if (call->next)
        call->next->prev = call->prev;
    if (call->prev)
        call->prev->next = call->next;
    else
        api->running = call->next;
    call->is_running = false;
    mutex_unlock(&api->running_lock);
}

void call_reply(struct call *call, int status, const char *type, struct buf *body)
{
    leave_running(call);
    idempotent_keep(call, status, type, body ? buf_bytes(body) : bytes_of("", 0));
    http_reply(call->request, status, type, body);
}

void call_reply_json(struct call *call, int status, struct buf *body)
{
    call_reply(call, status, "application/json", body);
}

void call_reply_empty(struct call *call, int status)
{
    call_reply(call, status, NULL, NULL);
}

/* At Basic, a browser asks for a password in a window of its own, and the page's request waits for
 * it. The dashboard has a page for that; its event streams can't carry the header that says so. */
static const char *challenge(const struct call *call)
{
    struct bytes asker = http_header(call->request, "X-Requested-With");
    struct bytes accept = http_header(call->request, "Accept");
    if (asker.len || bytes_equal(accept, BYTES("text/event-stream")))
        return "Session realm=\"kolam\"";
    return "Basic realm=\"kolam\", charset=\"UTF-8\"";
}

void call_fail_with(struct call *call, int status, const char *type, struct bytes message,
                    struct bytes details)
{
    struct buf body;
    buf_init(&body, 1 << 20);
    put_error(&body, status, type, message, call->request->id, details);
    if (status == 401)
        http_reply_header(call->request, "WWW-Authenticate", challenge(call));
    if (status == 429 || status == 503)
        http_reply_header(call->request, "Retry-After", "1");
    call_reply_json(call, status, &body);
}

void call_fail(struct call *call, int status, const char *type, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    call_fail_with(call, status, type, bytes_from(text), bytes_of("", 0));
}

void call_fail_err(struct call *call, struct err err)
{
    switch (err.code) {
    case ERR_INVALID:
        call_fail(call, 422, "invalid", "%s", err.what);
        return;
    case ERR_MISSING:
        call_fail(call, 404, "not_found", "there's no such thing");
        return;
    case ERR_EXISTS:
        call_fail(call, 409, "conflict", "it's there already, or was changed meanwhile");
        return;
    case ERR_DENIED:
        call_fail(call, 403, "forbidden", "this isn't allowed");
        return;
    case ERR_LIMIT:
    case ERR_BUSY:
        call_fail(call, 429, "too_much", "too much is waiting; come again: %s", err.what);
        return;
    case ERR_FULL:
        call_fail(call, 507, "disk_full", "the disk is full; reading goes on");
        return;
    case ERR_BROKEN:
        call_fail(call, 503, "unavailable", "the project is out of service");
        return;
    case ERR_NOMEM:
        call_fail(call, 503, "out_of_memory", "there isn't enough memory for this");
        return;
    case ERR_CANCELLED:
        call_fail(call, 499, "cancelled", "the query was cancelled");
        return;
    default:
        /* Ours: told where the operator looks, with the id that the client was told. */
        (void)fprintf(stderr, "kolam: request %s, %s %s: %s%s%s\n", call->request->id,
                      http_method_name(call->request->method), call->route->http.pattern, err.what,
                      err.os ? ": " : "", err.os ? strerror(err.os) : "");
        call_fail(call, 500, "internal", "%s", err.what);
        return;
    }
}

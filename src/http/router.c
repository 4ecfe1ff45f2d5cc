/* router.c - patterns split once, compared segment by segment. Literals win over {names}: the
 * first route of the table that matches is taken, so the table lists literals first. */
#include "http/http_internal.h"

#include <stdlib.h>

enum { SEGMENTS_MAX = 12 };

struct segment {
    struct bytes text; /* empty and is_param: a {name} */
    bool is_param;
};

struct pattern {
    enum http_method method;
    uint8_t count;
    struct segment segments[SEGMENTS_MAX];
};

struct http_router {
    size_t count;
    struct pattern patterns[];
};

/* The segments of a path that begins with '/'; -1: too many, or no path. */
static int split(struct bytes path, struct bytes segments[SEGMENTS_MAX])
{
    int count = 0;
    if (!path.len || path.ptr[0] != '/')
        return -1;
    struct bytes rest = bytes_slice(path, 1, SIZE_MAX);
    for (;;) {
        if (count == SEGMENTS_MAX)
            return -1;
        const uint8_t *slash = rest.len ? memchr(rest.ptr, '/', rest.len) : NULL;
        size_t len = slash ? (size_t)(slash - rest.ptr) : rest.len;
        segments[count++] = bytes_slice(rest, 0, len);
        if (!slash)
            return count;
        rest = bytes_slice(rest, len + 1, SIZE_MAX);
    }
}

struct err http_router_new(const void *routes, size_t stride, size_t count,
                           struct http_router **out)
{
    struct http_router *router = calloc(1, sizeof *router + count * sizeof router->patterns[0]);
    if (!router)
        return err_new(ERR_NOMEM, "http: router");
    router->count = count;
    for (size_t i = 0; i < count; i++) {
        const struct http_route *route = (const void *)((const uint8_t *)routes + i * stride);
        struct pattern *pattern = &router->patterns[i];
        struct bytes segments[SEGMENTS_MAX];
        int n = split(bytes_from(route->pattern), segments);
        assert(n > 0);
        pattern->method = route->method;
        pattern->count = (uint8_t)n;
        uint32_t params = 0;
        for (int s = 0; s < n; s++) {
            bool is_param = segments[s].len && segments[s].ptr[0] == '{';
            params += is_param;
            pattern->segments[s] = (struct segment){ .text = segments[s], .is_param = is_param };
        }
        assert(params <= HTTP_PARAMS_MAX);
    }
    *out = router;
    return ok();
}

void http_router_free(struct http_router *router)
{
    free(router);
}

static bool matches(const struct pattern *pattern, const struct bytes *segments, int count)
{
    if (pattern->count != count)
        return false;
    for (int s = 0; s < count; s++) {
        if (pattern->segments[s].is_param ? segments[s].len == 0
                                          : !bytes_equal(pattern->segments[s].text, segments[s]))
            return false;
    }
    return true;
}

static bool take_params(const struct pattern *pattern, const struct bytes *segments,
                        struct http_request *request)
{
    uint32_t params = 0;
    for (int s = 0; s < pattern->count; s++) {
        if (!pattern->segments[s].is_param)
            continue;
        struct bytes kept = http_keep(request, segments[s]);
        size_t len = 0;
        if (!kept.ptr)
            return false;
        union {
            const uint8_t *from;
            uint8_t *to;
        } own = { .from = kept.ptr };
        if (!http_decode(segments[s], false, own.to, &len))
            return false;
        request->params[params++] = bytes_of(kept.ptr, len);
    }
    return true;
}

int http_route_find(const struct http_router *router, struct http_request *request,
                    uint32_t *allowed_out)
{
    struct bytes segments[SEGMENTS_MAX];
    int count = split(request->path, segments);
    enum http_method method = request->method == HTTP_HEAD ? HTTP_GET : request->method;
    *allowed_out = 0;
    if (count < 0)
        return -1;
    uint32_t allowed = 0;
    for (size_t i = 0; i < router->count; i++) {
        const struct pattern *pattern = &router->patterns[i];
        if (!matches(pattern, segments, count))
            continue;
        allowed |= UINT32_C(1) << pattern->method;
        if (pattern->method != method)
            continue;
        if (!take_params(pattern, segments, request))
            return -1; /* not decodable: names nothing */
        *allowed_out = allowed;
        return (int)i;
    }
    *allowed_out = allowed;
    return -1;
}

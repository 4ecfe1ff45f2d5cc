/*
 * client.c - one request to a server, for the command line: HTTP/1.1, no TLS (a proxy's business),
 * no redirects. Each request has a connection of its own and closes it.
 */
#include "http/http_internal.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HEAD_MAX = 64 << 10 };

struct target {
    char host[256];
    char port[8];
};

/* "http://host[:port][/]" */
static struct err take_url(const char *url, struct target *out)
{
    static const char scheme[] = "http://";
    if (strncmp(url, scheme, sizeof scheme - 1) != 0)
        return err_new(ERR_INVALID, "http: the server's address must begin with http://");
    const char *host = url + sizeof scheme - 1;
    size_t len = strcspn(host, "/");
    if (host[len] && host[len + 1])
        return err_new(ERR_INVALID, "http: the server's address must have no path");
    const char *colon = memrchr(host, ':', len);
    const char *bracket = memrchr(host, ']', len);
    if (colon && bracket && bracket > colon)
        colon = NULL;
    size_t host_len = colon ? (size_t)(colon - host) : len;
    const char *from = host;
    if (host_len > 2 && from[0] == '[' && from[host_len - 1] == ']') {
        from++;
        host_len -= 2;
    }
    size_t port_len = colon ? len - (size_t)(colon - host) - 1 : 0;
    if (host_len == 0 || host_len >= sizeof out->host || port_len >= sizeof out->port)
        return err_new(ERR_INVALID, "http: not a server's address");
    memcpy(out->host, from, host_len);
    out->host[host_len] = 0;
    (void)snprintf(out->port, sizeof out->port, "%.*s", port_len ? (int)port_len : 2,
                   port_len ? colon + 1 : "80");
    return ok();
}

static struct err dial(const struct target *target, int *fd_out)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
    struct addrinfo *list;
    if (getaddrinfo(target->host, target->port, &hints, &list) != 0)
        return err_new(ERR_MISSING, "http: no such host");
    int fd = -1;
    for (struct addrinfo *at = list; at && fd < 0; at = at->ai_next) {
        fd = socket(at->ai_family, at->ai_socktype | SOCK_CLOEXEC, at->ai_protocol);
        if (fd >= 0 && connect(fd, at->ai_addr, at->ai_addrlen) != 0) {
            int keep = errno;
            close(fd);
            fd = -1;
            errno = keep;
        }
    }
    struct err err = fd < 0 ? err_os("http: connect") : ok();
    freeaddrinfo(list);
    if (!err.code)
        *fd_out = fd;
    return err;
}

static struct err send_all(int fd, struct bytes data)
{
    while (data.len) {
        ssize_t sent = send(fd, data.ptr, data.len, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            return err_os("http: send");
        data = bytes_slice(data, (size_t)sent, SIZE_MAX);
    }
    return ok();
}

static struct err receive_all(int fd, size_t max, struct buf *to)
{
    for (;;) {
        if (to->len > max)
            return err_new(ERR_LIMIT, "http: the answer is too large");
        uint8_t *room = buf_reserve(to, 64 << 10);
        if (!room)
            return buf_err(to);
        ssize_t got = recv(fd, room, 64 << 10, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_os("http: receive");
        if (got == 0)
            return ok();
        to->len += (size_t)got;
    }
}

/* In place: the sizes of chunks go. False: broken. */
static bool join_chunks(struct buf *buf)
{
    size_t from = 0;
    size_t to = 0;
    for (;;) {
        const uint8_t *end = memmem(buf->ptr + from, buf->len - from, "\r\n", 2);
        if (!end)
            return false;
        size_t size = (size_t)strtoull((const char *)buf->ptr + from, NULL, 16);
        from = (size_t)(end - buf->ptr) + 2;
        if (size == 0)
            break;
        if (size > buf->len - from || buf->len - from - size < 2)
            return false;
        memmove(buf->ptr + to, buf->ptr + from, size);
        to += size;
        from += size + 2;
    }
    buf->len = to;
    return true;
}

static struct err take_answer(struct buf *all, int *status_out, struct buf *body)
{
    const uint8_t *end = all->len ? memmem(all->ptr, all->len, "\r\n\r\n", 4) : NULL;
    if (!end || all->len < 12 || memcmp(all->ptr, "HTTP/1.1 ", 9) != 0)
        return err_new(ERR_CORRUPT, "http: not an HTTP answer");
    size_t head = (size_t)(end - all->ptr) + 4;
    int status = atoi((const char *)all->ptr + 9);
    all->ptr[head - 1] = 0;
    bool is_chunked = strcasestr((const char *)all->ptr, "\ntransfer-encoding: chunked");
    buf_put(body, bytes_slice(buf_bytes(all), head, SIZE_MAX));
    buf_put_u8(body, 0); /* ends the last number of a chunked body */
    if (buf_err(body).code)
        return buf_err(body);
    body->len--;
    if (is_chunked && !join_chunks(body))
        return err_new(ERR_CORRUPT, "http: a chunked answer is broken");
    *status_out = status;
    return ok();
}

struct err http_call(const struct http_call *call, int *status_out, struct buf *body)
{
    struct target target;
    struct buf buf;
    int fd;
    struct err err = take_url(call->server, &target);
    if (!err.code)
        err = dial(&target, &fd);
    if (err.code)
        return err;
    buf_init(&buf, HEAD_MAX);
    buf_printf(&buf, "%s %s HTTP/1.1\r\nHost: %s:%s\r\nConnection: close\r\n",
               http_method_name(call->method), call->path, target.host, target.port);
    if (call->authorization)
        buf_printf(&buf, "Authorization: %s\r\n", call->authorization);
    if (call->accept)
        buf_printf(&buf, "Accept: %s\r\n", call->accept);
    if (call->type)
        buf_printf(&buf, "Content-Type: %s\r\n", call->type);
    buf_printf(&buf, "Content-Length: %zu\r\n\r\n", call->body.len);
    err = buf_err(&buf);
    if (!err.code)
        err = send_all(fd, buf_bytes(&buf));
    if (!err.code)
        err = send_all(fd, call->body);
    buf_done(&buf);
    buf_init(&buf, SIZE_MAX);
    if (!err.code || err.code == ERR_OS) {
        /* A refusal may come before all is sent. */
        struct err got = receive_all(fd, call->answer_max, &buf);
        if (!got.code && buf.len)
            err = ok();
        else if (!err.code)
            err = got;
    }
    if (!err.code)
        err = take_answer(&buf, status_out, body);
    buf_done(&buf);
    close(fd);
    return err;
}

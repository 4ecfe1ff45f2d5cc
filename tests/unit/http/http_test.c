/*
 * http_test.c - the server as a client meets it: over a socket of this machine, byte by byte.
 *
 * The owner below answers by path: /echo says back the body, /later answers from another thread,
 * /watch waits for the client to go, /stream counts to three, and /early refuses before the body.
 */
#include "codec/zip.h"
#include "http/http.h"
#include "sys/thread.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
    struct http_server *server;
    struct http_router *router;
    struct thread helper;
    atomic_bool has_helper; /* set once it has started */
    atomic_bool gone;
    atomic_int ended;
    struct http_request *waiting;
};

static const struct http_route routes[] = {
    { HTTP_GET, "/v1/users/{id}/events" },
    { HTTP_GET, "/v1/users/me" },
    { HTTP_GET, "/v1/users/{id}" },
    { HTTP_POST, "/echo" },
};

static struct fixture *the;

static void reply_text(struct http_request *request, int status, struct bytes text)
{
    struct buf body;
    buf_init(&body, 64 << 20);
    buf_put(&body, text);
    http_reply(request, status, "text/plain", &body);
}

static void *answer_later(void *ctx)
{
    reply_text(ctx, 200, BYTES("later"));
    return NULL;
}

static void *wait_for_going(void *ctx)
{
    struct mutex mutex;
    struct cond never;
    mutex_init(&mutex);
    cond_init(&never);
    mutex_lock(&mutex);
    for (int i = 0; i < 1000 && !atomic_load(&the->gone); i++)
        (void)cond_wait_ms(&never, &mutex, 10);
    mutex_unlock(&mutex);
    cond_done(&never);
    mutex_done(&mutex);
    reply_text(ctx, 200, BYTES("too late"));
    return NULL;
}

static void *count_to_three(void *ctx)
{
    struct http_stream *stream = ctx;
    char line[] = "1\n";
    for (; line[0] <= '3'; line[0]++)
        assert_true(http_stream_write(stream, bytes_from(line), 5000));
    http_stream_end(stream);
    return NULL;
}

static void start_helper(thread_fn *fn, void *ctx)
{
    assert_int_equal(thread_start(&the->helper, "helper", fn, ctx).code, ERR_NONE);
    atomic_store(&the->has_helper, true);
}

static void begin(void *ctx, struct http_request *request)
{
    (void)ctx;
    if (bytes_equal(request->path, BYTES("/early")))
        reply_text(request, 401, BYTES("who are you"));
}

static void handle(void *ctx, struct http_request *request)
{
    struct fixture *f = ctx;
    if (bytes_equal(request->path, BYTES("/later"))) {
        http_defer(request);
        start_helper(answer_later, request);
    } else if (bytes_equal(request->path, BYTES("/watch"))) {
        http_defer(request);
        http_watch(request, &f->gone);
        start_helper(wait_for_going, request);
    } else if (bytes_equal(request->path, BYTES("/stream"))) {
        struct http_stream *stream;
        assert_int_equal(http_reply_stream(request, 200, "text/plain", &stream).code, ERR_NONE);
        start_helper(count_to_three, stream);
    } else if (bytes_start_with(request->path, BYTES("/v1/"))) {
        uint32_t allowed;
        int route = http_route_find(f->router, request, &allowed);
        struct bytes name = bytes_of("", 0);
        (void)http_query(request, "name", &name);
        char text[200];
        snprintf(text, sizeof text, "%d|%x|%.*s|%.*s|%.*s", route, allowed,
                 BYTES_FMT(request->params[0]), BYTES_FMT(name),
                 BYTES_FMT(http_cookie(request, "kolam")));
        reply_text(request, 200, bytes_from(text));
    } else {
        reply_text(request, 200, request->body);
    }
}

static void on_end(void *ctx, struct http_request *request, int status, size_t reply_bytes)
{
    struct fixture *f = ctx;
    (void)request;
    (void)status;
    (void)reply_bytes;
    atomic_fetch_add(&f->ended, 1);
}

static void error(void *ctx, const struct http_request *request, int status, const char *what,
                  struct buf *body)
{
    (void)ctx;
    (void)request;
    buf_printf(body, "{\"code\":%d,\"error\":\"%s\"}", status, what);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    the = f;
    struct http_config config = {
        .address = "127.0.0.1",
        .threads = 2,
        .body_max = 100000,
        .receive_s = 1,
        .idle_s = 2,
        .clock = clock_real(),
        .begin = begin,
        .handle = handle,
        .end = on_end,
        .error = error,
        .ctx = f,
    };
    assert_int_equal(http_router_new(routes, sizeof routes[0], 4, &f->router).code, ERR_NONE);
    assert_int_equal(http_start(&config, &f->server).code, ERR_NONE);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    http_stop(f->server);
    if (f->has_helper)
        thread_join(&f->helper);
    http_router_free(f->router);
    free(f);
    return 0;
}

static int dial(struct fixture *f)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(http_port(f->server)) };
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    struct timeval limit = { .tv_sec = 10 };
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    return fd;
}

static void say(int fd, struct bytes text)
{
    while (text.len) {
        ssize_t sent = send(fd, text.ptr, text.len, MSG_NOSIGNAL);
        assert_true(sent > 0);
        text = bytes_slice(text, (size_t)sent, SIZE_MAX);
    }
}

/* Everything until the server closes (requests say Connection: close), zero-terminated. */
static char *hear(int fd)
{
    static char heard[300000];
    size_t len = 0;
    for (;;) {
        ssize_t got = recv(fd, heard + len, sizeof heard - 1 - len, 0);
        if (got <= 0)
            break;
        len += (size_t)got;
    }
    heard[len] = 0;
    close(fd);
    return heard;
}

static char *ask(struct fixture *f, const char *text)
{
    int fd = dial(f);
    say(fd, bytes_from(text));
    return hear(fd);
}

static void a_body_arrives_whole_and_its_reply_carries_an_id(void **state)
{
    char *heard = ask(*state, "POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                              "Content-Length: 5\r\n\r\nhello");
    assert_non_null(strstr(heard, "HTTP/1.1 200"));
    assert_non_null(strstr(heard, "X-Request-Id: r"));
    assert_non_null(strstr(heard, "\r\n\r\nhello"));
}

static void a_chunked_body_arrives_whole(void **state)
{
    char *heard = ask(*state, "POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                              "Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n");
    assert_non_null(strstr(heard, "\r\n\r\nhello"));
}

static void a_deferred_reply_comes_from_another_thread(void **state)
{
    char *heard = ask(*state, "GET /later HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert_non_null(strstr(heard, "\r\n\r\nlater"));
}

static void work_is_told_when_its_client_has_gone(void **state)
{
    struct fixture *f = *state;
    int fd = dial(f);
    say(fd, BYTES("GET /watch HTTP/1.1\r\nHost: x\r\n\r\n"));
    while (!f->has_helper)
        usleep(1000);
    close(fd);
    thread_join(&f->helper);
    f->has_helper = false;
    assert_true(atomic_load(&f->gone));
}

static void a_stream_comes_bit_by_bit(void **state)
{
    char *heard = ask(*state, "GET /stream HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert_non_null(strstr(heard, "1\n"));
    assert_non_null(strstr(heard, "3\n"));
}

static void a_refusal_before_the_body_keeps_the_handler_out(void **state)
{
    char *heard = ask(*state, "POST /early HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                              "Content-Length: 5\r\n\r\nhello");
    assert_non_null(strstr(heard, "HTTP/1.1 401"));
    assert_null(strstr(heard, "hello"));
}

static void post_large(struct fixture *f, size_t len, bool is_chunked, char **heard_out)
{
    char head[200];
    if (is_chunked)
        snprintf(head, sizeof head,
                 "POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                 "Transfer-Encoding: chunked\r\n\r\n%zx\r\n",
                 len);
    else
        snprintf(head, sizeof head,
                 "POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                 "Content-Length: %zu\r\n\r\n",
                 len);
    char *body = malloc(len);
    assert_non_null(body);
    memset(body, 'k', len);
    int fd = dial(f);
    say(fd, bytes_from(head));
    say(fd, bytes_of(body, len));
    if (is_chunked)
        say(fd, BYTES("\r\n0\r\n\r\n"));
    free(body);
    *heard_out = hear(fd);
}

static void a_body_at_the_limit_is_taken_and_one_byte_more_is_413(void **state)
{
    char *heard;
    post_large(*state, 100000, false, &heard);
    assert_non_null(strstr(heard, "HTTP/1.1 200"));
    post_large(*state, 100001, false, &heard);
    assert_non_null(strstr(heard, "HTTP/1.1 413"));
    assert_non_null(strstr(heard, "larger than allowed"));
    post_large(*state, 100001, true, &heard);
    assert_non_null(strstr(heard, "HTTP/1.1 413"));
    struct fixture *f = *state;
    assert_int_equal(http_stats(f->server).body_bytes, 0);
}

static void post_packed(struct fixture *f, struct bytes packed, const char *coding,
                        char **heard_out)
{
    char head[200];
    snprintf(head, sizeof head,
             "POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
             "Content-Encoding: %s\r\nContent-Length: %zu\r\n\r\n",
             coding, packed.len);
    int fd = dial(f);
    say(fd, bytes_from(head));
    say(fd, packed);
    *heard_out = hear(fd);
}

static void a_packed_body_is_unpacked_and_a_bomb_is_413(void **state)
{
    struct buf packed;
    char *heard;
    buf_init(&packed, 64 << 20);
    assert_int_equal(gzip_pack(BYTES("packed words"), 6, &packed).code, ERR_NONE);
    post_packed(*state, buf_bytes(&packed), "gzip", &heard);
    assert_non_null(strstr(heard, "\r\n\r\npacked words"));
    post_packed(*state, BYTES("no gzip at all"), "gzip", &heard);
    assert_non_null(strstr(heard, "HTTP/1.1 400"));
    post_packed(*state, BYTES("x"), "br", &heard);
    assert_non_null(strstr(heard, "HTTP/1.1 415"));
    buf_reset(&packed);
    uint8_t *zeros = calloc(1, 50000000);
    assert_non_null(zeros);
    assert_int_equal(gzip_pack(bytes_of(zeros, 50000000), 6, &packed).code, ERR_NONE);
    free(zeros);
    post_packed(*state, buf_bytes(&packed), "gzip", &heard);
    assert_non_null(strstr(heard, "HTTP/1.1 413"));
    buf_done(&packed);
}

static void a_client_that_drips_its_head_is_cut_off(void **state)
{
    int fd = dial(*state);
    say(fd, BYTES("GET /echo HTTP/1.1\r\nHost: x\r\nX-Slow: "));
    /* recv's own time-out is 10 s: ending before it means that the server closed. */
    char byte;
    ssize_t got = recv(fd, &byte, 1, 0);
    assert_true(got == 0 || errno == ECONNRESET);
    close(fd);
}

static void routes_take_literals_first_and_decode_their_params(void **state)
{
    char *heard = ask(*state, "GET /v1/users/a%2Fb%20c/events?x=1&name=Item+%C3%A9 HTTP/1.1\r\n"
                              "Host: x\r\nCookie: a=b; kolam=dots\r\nConnection: close\r\n\r\n");
    assert_non_null(strstr(heard, "\r\n\r\n0|1|a/b c|Item \xc3\xa9|dots"));
    heard = ask(*state, "GET /v1/users/me HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert_non_null(strstr(heard, "\r\n\r\n1|1||"));
    heard = ask(*state, "POST /v1/users/me HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                        "Content-Length: 0\r\n\r\n");
    assert_non_null(strstr(heard, "\r\n\r\n-1|1||"));
    heard = ask(*state, "GET /v1/users/%FF HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert_non_null(strstr(heard, "\r\n\r\n-1|0||"));
    heard = ask(*state, "GET /v1/users/%4 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert_non_null(strstr(heard, "\r\n\r\n-1|0||"));
}

static void a_taken_port_is_said_so(void **state)
{
    struct fixture *f = *state;
    struct http_config config = {
        .address = "127.0.0.1",
        .port = http_port(f->server),
        .clock = clock_real(),
        .begin = begin,
        .handle = handle,
        .error = error,
    };
    struct http_server *second = NULL;
    assert_int_equal(http_start(&config, &second).code, ERR_BUSY);
    config.address = "localhost";
    assert_int_equal(http_start(&config, &second).code, ERR_INVALID);
    assert_null(second);
}

static void every_request_ends_once(void **state)
{
    struct fixture *f = *state;
    int fd = dial(f);
    for (int i = 0; i < 100; i++)
        say(fd, BYTES("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi"));
    say(fd,
        BYTES(
            "POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi"));
    (void)hear(fd);
    assert_int_equal(atomic_load(&f->ended), 101);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_body_arrives_whole_and_its_reply_carries_an_id, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_chunked_body_arrives_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(a_deferred_reply_comes_from_another_thread, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(work_is_told_when_its_client_has_gone, setup, teardown),
        cmocka_unit_test_setup_teardown(a_stream_comes_bit_by_bit, setup, teardown),
        cmocka_unit_test_setup_teardown(a_refusal_before_the_body_keeps_the_handler_out, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_body_at_the_limit_is_taken_and_one_byte_more_is_413,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(a_packed_body_is_unpacked_and_a_bomb_is_413, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_client_that_drips_its_head_is_cut_off, setup, teardown),
        cmocka_unit_test_setup_teardown(routes_take_literals_first_and_decode_their_params, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_taken_port_is_said_so, setup, teardown),
        cmocka_unit_test_setup_teardown(every_request_ends_once, setup, teardown),
    };
    return cmocka_run_group_tests_name("http", tests, NULL, NULL);
}

/*
 * http_load.c - sends events over HTTP as fast as they are acknowledged, and tells how it went.
 *
 *     http_load PORT CONNECTIONS BATCH SECONDS AUTHORIZATION [USERS [EVENTS_PER_SECOND]]
 *
 * Each connection has one request in flight: BATCH events to POST /v1/events. The bodies are made
 * before the clock starts (BODIES of them, from the benchmark's clickstream) and sent in turn; before
 * a body is sent, each of its events gets a user, any of USERS with the same probability (which is
 * the worst for caches), and the time. EVENTS_PER_SECOND 0, or none: as fast as they are
 * acknowledged; else a connection rests until its next request is due.
 *
 * The result is one line of JSON: acknowledged events and requests a second, those refused,
 * latency percentiles, the CPU time that this program took itself.
 *
 * Stands outside the building: plain sockets and epoll, on 127.0.0.1 only, one thread, bounded by
 * SECONDS.
 */
#include "base/buf.h"
#include "bench/bench.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    BODIES = 256,
    CONNECTIONS_MAX = 4096,
    REPLY_MAX = 1 << 16,
    LATENCIES_MAX = 1 << 24,
    USER_DIGITS = 10,
    TIME_DIGITS = 13,
};

/* Where an event's user and time stand in its request. */
struct place {
    uint32_t user;
    uint32_t time;
};

struct request {
    uint8_t *bytes;
    size_t len;
    struct place *places; /* of each event */
};

struct connection {
    int fd;
    struct connection *next; /* of those that rest */
    uint32_t request;        /* in flight */
    size_t sent;
    size_t received;
    double started;
    char reply[REPLY_MAX];
};

struct run {
    struct request requests[BODIES];
    uint32_t request_count;
    uint32_t next_request;
    uint32_t batch;
    uint32_t users;
    uint64_t random;
    uint64_t replies;
    uint64_t refused; /* 429 and others that aren't 200 */
    float *latencies;
    double end;
    double interval; /* between requests; 0: none */
    double due;      /* the next request */
    struct connection *resting;
};

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static double now_s(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

/* --- the requests ------------------------------------------------------------------------ */

struct maker {
    struct run *run;
    struct buf body;
    uint32_t in_body;
    struct place *places;
    const char *authorization;
};

static void put_event(struct maker *maker, const struct bench_event *event)
{
    static const char *const platforms[] = { "Android", "iOS", "Web", "mWeb" };
    struct buf *body = &maker->body;
    struct place *place = &maker->places[maker->in_body];
    buf_put(body, BYTES("{\"identity\":\"user_"));
    place->user = (uint32_t)body->len;
    buf_printf(body, "0000000000\",\"event\":\"%s\",\"time\":", bench_event_name(event->event));
    place->time = (uint32_t)body->len;
    buf_printf(body, "0000000000000,\"properties\":{\"Platform\":\"%s\",\"City\":\"city_%u\"",
               platforms[event->platform], event->city);
    if (event->product)
        buf_printf(body, ",\"Product ID\":%u,\"Category\":\"cat_%u\",\"Price\":%.2f",
                   event->product, event->category, (double)event->price / 100.0);
    buf_put(body, BYTES("}}"));
}

static struct err finish_request(struct maker *maker)
{
    struct run *run = maker->run;
    struct buf whole;
    buf_put(&maker->body, BYTES("]}"));
    buf_init(&whole, maker->body.len + 1024);
    buf_printf(&whole,
               "POST /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
               "Authorization: %s\r\nContent-Length: %zu\r\n\r\n",
               maker->authorization, maker->body.len);
    for (uint32_t i = 0; i < maker->in_body; i++) {
        maker->places[i].user += (uint32_t)whole.len;
        maker->places[i].time += (uint32_t)whole.len;
    }
    buf_put(&whole, buf_bytes(&maker->body));
    struct err err = buf_err(&whole);
    if (err.code)
        return err;
    struct request *request = &run->requests[run->request_count++];
    request->bytes = buf_take(&whole, &request->len);
    request->places = maker->places;
    maker->places = NULL;
    maker->in_body = 0;
    return ok();
}

static struct err make_request(void *ctx, const struct bench_event *event)
{
    struct maker *maker = ctx;
    if (maker->run->request_count == BODIES)
        return ok();
    if (maker->in_body == 0) {
        maker->places = calloc(maker->run->batch, sizeof *maker->places);
        if (!maker->places)
            return err_new(ERR_NOMEM, "http_load: places");
        buf_reset(&maker->body);
        buf_put(&maker->body, BYTES("{\"events\":["));
    } else {
        buf_put_u8(&maker->body, ',');
    }
    put_event(maker, event);
    if (++maker->in_body < maker->run->batch)
        return buf_err(&maker->body);
    return finish_request(maker);
}

/* --- the connections ------------------------------------------------------------------------ */

static int connect_to(uint16_t port)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port) };
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    int one = 1;
    if (fd < 0 || connect(fd, (const struct sockaddr *)(const void *)&to, sizeof to) != 0)
        die("connect");
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

static void send_more(struct run *run, struct connection *connection)
{
    const struct request *request = &run->requests[connection->request];
    while (connection->sent < request->len) {
        ssize_t sent = send(connection->fd, request->bytes + connection->sent,
                            request->len - connection->sent, MSG_NOSIGNAL);
        if (sent < 0)
            die("send");
        connection->sent += (size_t)sent;
    }
}

static void put_digits(uint8_t *to, uint64_t number, int count)
{
    for (int i = count - 1; i >= 0; i--, number /= 10)
        to[i] = (uint8_t)('0' + number % 10);
}

/* Nothing of the request is under way: a request is sent as a whole before the next is begun. */
static void stamp(struct run *run, struct request *request)
{
    struct timespec ts;
    uint8_t time[TIME_DIGITS];
    (void)clock_gettime(CLOCK_REALTIME, &ts);
    put_digits(time, (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000, TIME_DIGITS);
    for (uint32_t i = 0; i < run->batch; i++) {
        run->random = run->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        put_digits(request->bytes + request->places[i].user, (run->random >> 32) * run->users >> 32,
                   USER_DIGITS);
        memcpy(request->bytes + request->places[i].time, time, TIME_DIGITS);
    }
}

static void start_request(struct run *run, struct connection *connection)
{
    connection->request = run->next_request++ % run->request_count;
    stamp(run, &run->requests[connection->request]);
    connection->sent = 0;
    connection->received = 0;
    connection->started = now_s();
    send_more(run, connection);
}

/* Is the reply whole? Replies carry a Content-Length. */
static bool is_whole(const struct connection *connection)
{
    const char *head_end = strstr(connection->reply, "\r\n\r\n");
    const char *length = strcasestr(connection->reply, "content-length:");
    if (!head_end || !length || length > head_end)
        return false;
    size_t body = strtoul(length + strlen("content-length:"), NULL, 10);
    return connection->received >= (size_t)(head_end - connection->reply) + 4 + body;
}

static void read_reply(struct run *run, struct connection *connection)
{
    ssize_t got = recv(connection->fd, connection->reply + connection->received,
                       sizeof connection->reply - 1 - connection->received, 0);
    if (got <= 0)
        die("the server closed a connection");
    connection->received += (size_t)got;
    connection->reply[connection->received] = '\0';
    if (!is_whole(connection))
        return;
    if (strncmp(connection->reply + 9, "200", 3) != 0) {
        if (run->refused++ == 0)
            fprintf(stderr, "first refusal: %.200s\n", connection->reply);
    } else {
        if (run->replies < LATENCIES_MAX)
            run->latencies[run->replies] = (float)(now_s() - connection->started);
        run->replies++;
    }
    connection->next = run->resting;
    run->resting = connection;
}

/* Begins the requests that are due. Returns after how many milliseconds the next one is. */
static int start_due(struct run *run)
{
    double now = now_s();
    while (run->resting && now < run->end && now >= run->due) {
        struct connection *connection = run->resting;
        run->resting = connection->next;
        run->due += run->interval;
        start_request(run, connection);
        now = now_s();
    }
    if (!run->resting || run->due <= now)
        return 100;
    return (int)((run->due - now) * 1e3) + 1;
}

static int by_value(const void *a, const void *b)
{
    float x = *(const float *)a;
    float y = *(const float *)b;
    return (x > y) - (x < y);
}

static void report(struct run *run, double seconds)
{
    size_t count = run->replies < LATENCIES_MAX ? run->replies : LATENCIES_MAX;
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    qsort(run->latencies, count, sizeof *run->latencies, by_value);
    double p50 = count ? (double)run->latencies[count / 2] * 1e3 : 0;
    double p99 = count ? (double)run->latencies[count * 99 / 100] * 1e3 : 0;
    double cpu = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                 (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
    printf("{\"events_per_s\":%.0f,\"requests_per_s\":%.0f,\"refused\":%llu,\"p50_ms\":%.2f,"
           "\"p99_ms\":%.2f,\"acknowledged\":%llu,\"seconds\":%.2f,\"client_cpu_s\":%.2f}\n",
           (double)run->replies * run->batch / seconds, (double)run->replies / seconds,
           (unsigned long long)run->refused, p50, p99,
           (unsigned long long)(run->replies * run->batch), seconds, cpu);
}

int main(int argc, char **argv)
{
    if (argc < 6) {
        fputs("usage: http_load PORT CONNECTIONS BATCH SECONDS AUTHORIZATION [USERS "
              "[EVENTS_PER_SECOND]]\n",
              stderr);
        return 2;
    }
    static struct run run;
    uint32_t connections = (uint32_t)strtoul(argv[2], NULL, 10);
    double seconds = strtod(argv[4], NULL);
    run.batch = (uint32_t)strtoul(argv[3], NULL, 10);
    run.users = argc > 6 ? (uint32_t)strtoul(argv[6], NULL, 10) : 100000;
    double events_per_s = argc > 7 ? strtod(argv[7], NULL) : 0;
    run.interval = events_per_s > 0 ? run.batch / events_per_s : 0;
    run.latencies = calloc(LATENCIES_MAX, sizeof *run.latencies);
    struct connection *all = calloc(connections, sizeof *all);
    if (connections == 0 || connections > CONNECTIONS_MAX || run.batch == 0 || run.users == 0 ||
        !all || !run.latencies)
        return 2;

    struct maker maker = { .run = &run, .authorization = argv[5] };
    buf_init(&maker.body, (size_t)64 << 20);
    struct err err =
        bench_generate((uint64_t)BODIES * run.batch + 90 * 400, 100000, 90, make_request, &maker);
    if (err.code || run.request_count == 0)
        return 1;

    int epoll = epoll_create1(0);
    double start = now_s();
    run.end = start + seconds;
    run.due = start;
    for (uint32_t i = 0; i < connections; i++) {
        all[i].fd = connect_to((uint16_t)strtoul(argv[1], NULL, 10));
        struct epoll_event event = { .events = EPOLLIN, .data.ptr = &all[i] };
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, all[i].fd, &event) != 0)
            die("epoll");
        all[i].next = run.resting;
        run.resting = &all[i];
    }
    struct epoll_event events[256];
    while (now_s() < run.end) {
        int ready = epoll_wait(epoll, events, 256, start_due(&run));
        for (int i = 0; i < ready; i++)
            read_reply(&run, events[i].data.ptr);
    }
    report(&run, now_s() - start);
    return 0;
}

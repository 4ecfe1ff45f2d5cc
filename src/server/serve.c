/*
 * serve.c - kolam serve: starting, upkeep, stopping in order.
 *
 * Stopping: /readyz says no and running queries are cancelled; no new connections; requests at work
 * get their time; then http, api, the folder (with its last checkpoint) are closed, each after
 * whatever uses it.
 */
#include "server/server.h"

#include "sys/sys.h"

#include <stdio.h>
#include <stdlib.h>

#define SETUP_LIFE_MS (7 * MS_PER_DAY)
enum { UPKEEP_MS = 60000 };

extern const struct http_asset web_assets[];
extern const uint64_t web_asset_count;

/* "127.0.0.1:8080", "[::1]:8080". */
static int take_listen(const char *text, char *address, size_t size, uint16_t *port_out)
{
    const char *colon = strrchr(text, ':');
    char *end = NULL;
    unsigned long port = colon ? strtoul(colon + 1, &end, 10) : 0;
    size_t len = colon ? (size_t)(colon - text) : 0;
    if (len >= 2 && text[0] == '[' && text[len - 1] == ']') {
        text++;
        len -= 2;
    }
    if (!colon || !colon[1] || *end || port > 65535 || len == 0 || len >= size)
        return cli_say(CLI_USAGE, "--listen: it's ADDRESS:PORT, such as 127.0.0.1:8080");
    (void)snprintf(address, size, "%.*s", (int)len, text);
    if (strcmp(address, "localhost") == 0)
        (void)snprintf(address, size, "127.0.0.1");
    *port_out = (uint16_t)port;
    return CLI_DONE;
}

/* Keeps last uses and expiries, once a minute. */
static void *upkeep_run(void *ctx)
{
    struct server *server = ctx;
    mutex_lock(&server->lock);
    while (!server->stops) {
        if (cond_wait_ms(&server->wake, &server->lock, UPKEEP_MS))
            continue;
        mutex_unlock(&server->lock);
        struct err err = accounts_maintain(server->folder->accounts);
        if (err.code)
            (void)cli_say(0, "control.db: %s (will be tried again)", err.what);
        mutex_lock(&server->lock);
    }
    mutex_unlock(&server->lock);
    return NULL;
}

struct limits {
    uint64_t threads, workers, connections, per_ip, body, timeout_s, memory, uploads, reads, ingest,
        query, stop_wait_s;
};

static bool take_limits(const struct cli *cli, struct limits *l)
{
    return cli_number(cli, "threads", 0, 256, &l->threads) &&
           cli_number(cli, "workers", 1, 64, &l->workers) &&
           cli_number(cli, "connections", 16, 1000000, &l->connections) &&
           cli_number(cli, "connections-per-ip", 0, 1000000, &l->per_ip) &&
           cli_number(cli, "body-max", 1024, 1 << 30, &l->body) &&
           cli_number(cli, "query-timeout", 1, 86400, &l->timeout_s) &&
           cli_number(cli, "query-memory", 1 << 20, UINT64_C(1) << 40, &l->memory) &&
           cli_number(cli, "uploads-max", 1, 100000, &l->uploads) &&
           cli_number(cli, "reads-max", 1, 100000, &l->reads) &&
           cli_number(cli, "ingest-rate", 1, 100000000, &l->ingest) &&
           cli_number(cli, "query-rate", 1, 1000000, &l->query) &&
           cli_number(cli, "stop-wait", 0, 3600, &l->stop_wait_s);
}

static int open_projects(struct cli_folder *folder)
{
    struct account_project facts;
    for (size_t n = 0; account_project_at(folder->accounts, n, &facts); n++) {
        struct project *project;
        struct project_settings settings = { .time_zone = bytes_from(facts.time_zone) };
        struct err err = engine_project(folder->engine, facts.id, &settings, true, &project);
        if (err.code) {
            char about[200];
            (void)snprintf(about, sizeof about, "project %s (%s)", facts.id, facts.name);
            return cli_say_err(err, about);
        }
    }
    return CLI_DONE;
}

static struct err start_api(struct server *server, const struct cli *cli, const struct limits *l)
{
    struct api_config config = {
        .engine = server->folder->engine,
        .accounts = server->folder->accounts,
        .clock = clock_real(),
        .pool = server->folder->pool,
        .assets = web_assets,
        .asset_count = (size_t)web_asset_count,
        .body_max = l->body,
        .workers = (unsigned)l->workers,
        .query_timeout_ms = (int64_t)l->timeout_s * 1000,
        .query_memory_bytes = l->memory,
        .uploads_max = (uint32_t)l->uploads,
        .reads_max = (uint32_t)l->reads,
        .ingest = { .per_s = (uint32_t)l->ingest, .burst = (uint32_t)l->ingest },
        .query = { .per_s = (uint32_t)l->query, .burst = (uint32_t)l->query * 2 },
        .is_https = cli_flag(cli, "https"),
    };
    return api_new(&config, &server->api);
}

/* Behind a proxy on this machine all come from one address. */
static uint32_t per_ip(const struct server *server, const struct limits *l)
{
    bool is_loopback =
        strncmp(server->address, "127.", 4) == 0 || strcmp(server->address, "::1") == 0;
    return l->per_ip || is_loopback ? (uint32_t)l->per_ip : 1000;
}

static struct err start_http(struct server *server, const struct limits *l)
{
    struct http_config config = {
        .address = server->address,
        .port = server->port,
        .threads = (unsigned)l->threads,
        .connections_max = (uint32_t)l->connections,
        .connections_per_ip_max = per_ip(server, l),
        .body_max = l->body,
        .clock = clock_real(),
        .begin = api_begin,
        .handle = api_handle,
        .end = api_end,
        .error = api_error,
        .ctx = server->api,
    };
    return http_start(&config, &server->http);
}

static int say_listen_err(const struct server *server, struct err err)
{
    if (err.code == ERR_BUSY)
        return cli_say(CLI_ENVIRONMENT,
                       "port %u of %s is in use: stop what listens there, or choose "
                       "another with --listen %s:PORT",
                       server->port, server->address, server->address);
    if (err.code == ERR_DENIED)
        return cli_say(CLI_ENVIRONMENT,
                       "port %u: this user may not listen there: choose one above 1023",
                       server->port);
    if (err.code == ERR_INVALID)
        return cli_say(CLI_ENVIRONMENT, "%s: it isn't an address of this machine: see --listen",
                       server->address);
    return cli_say_err(err, "listening");
}

int server_start(struct server *server, const struct cli *cli, struct cli_folder *folder)
{
    struct limits l;
    *server = (struct server){ .folder = folder };
    int status = take_listen(cli_text(cli, "listen"), server->address, sizeof server->address,
                             &server->port);
    if (status != CLI_DONE)
        return status;
    if (!take_limits(cli, &l))
        return CLI_USAGE;
    server->stop_wait_ms = l.stop_wait_s * 1000;
    struct err err = start_api(server, cli, &l);
    if (err.code)
        return cli_say_err(err, "starting");
    /* The port is taken before the projects are opened, so that a second start is told at once;
     * /readyz says no until they are. */
    err = start_http(server, &l);
    status = err.code ? say_listen_err(server, err) : open_projects(folder);
    mutex_init(&server->lock);
    cond_init(&server->wake);
    if (status == CLI_DONE) {
        server->port = http_port(server->http);
        err = thread_start(&server->upkeep, "upkeep", upkeep_run, server);
        if (err.code)
            status = cli_say_err(err, "starting");
    }
    if (status == CLI_DONE) {
        api_set_http(server->api, server->http);
        api_set_ready(server->api, true);
        return CLI_DONE;
    }
    http_stop(server->http);
    api_free(server->api);
    cond_done(&server->wake);
    mutex_done(&server->lock);
    return status;
}

void server_url(const struct server *server, char *to, size_t size)
{
    const char *host = server->address;
    if (strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0)
        host = "127.0.0.1";
    bool is_v6 = strchr(host, ':');
    (void)snprintf(to, size, "http://%s%s%s:%u", is_v6 ? "[" : "", host, is_v6 ? "]" : "",
                   server->port);
}

void server_stop(struct server *server)
{
    api_stop(server->api);
    http_quiesce(server->http, (int64_t)server->stop_wait_ms);
    http_stop(server->http);
    api_free(server->api);
    mutex_lock(&server->lock);
    server->stops = true;
    cond_signal(&server->wake);
    mutex_unlock(&server->lock);
    thread_join(&server->upkeep);
    cond_done(&server->wake);
    mutex_done(&server->lock);
}

void server_run(struct server *server)
{
    int signal = sys_signals_wait();
    (void)fprintf(stderr, "%sStopping (signal %d): requests at work are finished first.\n",
                  sys_is_terminal(2) ? "\r" : "", signal);
    server_stop(server);
}

static int print_setup_link(const struct server *server, const char *url)
{
    char token[TOKEN_SIZE];
    if (account_has_people(server->folder->accounts))
        return CLI_DONE;
    struct err err =
        account_link_new(server->folder->accounts, LINK_SETUP, NULL, SETUP_LIFE_MS, token);
    if (err.code)
        return cli_say_err(err, "the setup link");
    printf("Nobody has an account yet. Create the owner with this link, which works once:\n\n"
           "  %s/setup?token=%s\n\n",
           url, token);
    return CLI_DONE;
}

int command_serve(struct cli *cli)
{
    struct cli_folder folder;
    struct server server;
    char url[128];
    if (cli_args(cli))
        return cli_say(CLI_USAGE, "kolam serve takes no arguments: see kolam serve --help");
    sys_signals_init();
    int status = cli_folder_open(cli, true, &folder);
    if (status != CLI_DONE)
        return status;
    status = server_start(&server, cli, &folder);
    if (status == CLI_DONE) {
        server_url(&server, url, sizeof url);
        printf("Kolam " KOLAM_VERSION " serves %s on %s\n", folder.path, url);
        status = print_setup_link(&server, url);
        (void)fflush(stdout);
        if (status == CLI_DONE)
            server_run(&server);
        else
            server_stop(&server);
    }
    cli_folder_close(&folder);
    return status;
}

/*
 * server.h - main()'s half that isn't the command line: everything running on a folder.
 *
 *     struct server server;
 *     int status = server_start(&server, cli, &folder);     the folder is open
 *     if (status == CLI_DONE)
 *         server_run(&server);                              until a signal; then stops in order
 */
#ifndef SERVER_SERVER_H
#define SERVER_SERVER_H

#include "api/api.h"
#include "cli/cli.h"
#include "http/http.h"

struct server {
    struct cli_folder *folder;
    struct api *api;
    struct http_server *http;
    char address[64];
    uint16_t port;
    uint64_t stop_wait_ms;
    struct mutex lock;
    struct cond wake;
    bool stops;
    struct thread upkeep;
};

/* Opens every project, then listens. Returns CLI_DONE, or says what is wrong and gives all back
 * but the folder. */
int server_start(struct server *server, const struct cli *cli, struct cli_folder *folder);
/* "http://127.0.0.1:8080" */
void server_url(const struct server *server, char *to, size_t size);
/* Waits for SIGINT or SIGTERM, then stops: no new connections, requests at work finish, all is
 * checkpointed and closed but the folder. */
void server_run(struct server *server);
void server_stop(struct server *server);

int command_serve(struct cli *cli);
int command_demo(struct cli *cli);

#endif

/* main.c - the program: the commands that need a server, and those of cli. */
#include "server/server.h"

#ifdef HAS_BENCH
#include "bench/bench.h"

#include <stdlib.h>
#endif

#define SERVER_OPTIONS                                                                             \
    "data listen threads workers connections connections-per-ip body-max query-timeout "           \
    "query-memory cache checkpoint flush disk-floor uploads-max reads-max ingest-rate query-rate " \
    "https "                                                                                       \
    "stop-wait"

static const struct cli_command commands[] = {
    { "serve", "runs everything on a folder: API, dashboard", "[--data DIR] [--listen ADDR:PORT]",
      SERVER_OPTIONS,
      "The folder is made when it's missing. On the first start a one-time link is printed that\n"
      "creates the owner. SIGINT and SIGTERM stop it in order; after a failed sync it ends with\n"
      "status 70, since what is on disk is unknown then.\n\n"
      "  kolam serve\n"
      "  kolam serve --data /var/lib/kolam --listen 0.0.0.0:8080 --https\n",
      command_serve },
    { "demo", "serves a folder with the demo's data and a signed-in link",
      "[--data DIR] [--listen ADDR:PORT]", SERVER_OPTIONS " demo-data",
      "The first run loads the data; later runs start at once.\n\n"
      "  kolam demo --data data/demo\n",
      command_demo },
};

int main(int argc, char **argv)
{
#ifdef HAS_BENCH
    if (argc > 1 && strcmp(argv[1], "bench") == 0)
        return bench_main(argc - 1, argv + 1);
#endif
    return cli_main(argc, argv, commands, sizeof commands / sizeof commands[0]);
}

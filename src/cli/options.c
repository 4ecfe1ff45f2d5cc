/* options.c - every option there is; commands name those that they take. */
#include "cli/cli_internal.h"

const struct option cli_options[] = {
    { "config", OPTION_TEXT, "FILE", NULL, false,
      "settings from a file: name = value, a line each" },
    { "data", OPTION_TEXT, "DIR", "data", true, "the folder" },
    { "listen", OPTION_TEXT, "ADDR:PORT", "127.0.0.1:8080", true,
      "where to listen; port 0 takes any" },
    { "threads", OPTION_NUMBER, "N", "0", true, "event loops; 0: one a processor" },
    { "workers", OPTION_NUMBER, "N", "4", true, "queries and the like at once" },
    { "connections", OPTION_NUMBER, "N", "10000", true, "open at once" },
    { "connections-per-ip", OPTION_NUMBER, "N", "0", true,
      "of one address; 0: 1000, or no limit when listening on the loopback" },
    { "body-max", OPTION_NUMBER, "BYTES", "16777216", true, "of a request, unpacked" },
    { "query-timeout", OPTION_NUMBER, "SECONDS", "60", true, "of one query" },
    { "query-memory", OPTION_NUMBER, "BYTES", "1073741824", true, "of one query" },
    { "cache", OPTION_NUMBER, "BYTES", "268435456", true, "of event data, a project" },
    { "checkpoint", OPTION_NUMBER, "BYTES", "536870912", true,
      "of log between checkpoints: what a start after a kill replays at most" },
    { "flush", OPTION_NUMBER, "EVENTS", "1048576", true,
      "of a shard that may be in memory before they go to files" },
    { "disk-floor", OPTION_NUMBER, "BYTES", "67108864", true,
      "that must stay free: below it, writes are refused (507)" },
    { "uploads-max", OPTION_NUMBER, "N", "15", true, "CleverTap uploads of an account at once" },
    { "reads-max", OPTION_NUMBER, "N", "3", true, "CleverTap's other calls of an account at once" },
    { "ingest-rate", OPTION_NUMBER, "N", "200000", true, "requests a second of one key" },
    { "query-rate", OPTION_NUMBER, "N", "100", true, "requests a second of one key" },
    { "https", OPTION_FLAG, NULL, NULL, true, "clients come through TLS: cookies are Secure" },
    { "stop-wait", OPTION_NUMBER, "SECONDS", "20", true, "for requests at work, when stopping" },

    { "project", OPTION_TEXT, "P", NULL, false, "a project's id or name" },
    { "server", OPTION_TEXT, "URL", NULL, false, "ask a running server instead of the folder" },
    { "token", OPTION_TEXT, "ID.SECRET", NULL, false, "an API client, for --server" },
    { "format", OPTION_TEXT, "table|json|csv", NULL, false, "table on a terminal, JSON otherwise" },
    { "create", OPTION_FLAG, NULL, NULL, false, "make the project when it's missing" },
    { "time-zone", OPTION_TEXT, "ZONE", NULL, false, "such as Asia/Kolkata" },
    { "file", OPTION_TEXT, "FILE", NULL, false, "read it from here; - is stdin" },
    { "explain", OPTION_FLAG, NULL, NULL, false, "the plan instead of the answer" },
    { "json", OPTION_FLAG, NULL, NULL, false, "a line of JSON for each line" },
    { "to", OPTION_TEXT, "FOLDER", NULL, false, "where the backup goes" },
    { "from", OPTION_TEXT, "FOLDER", NULL, false, "the backup" },
    { "verify", OPTION_TEXT, "FOLDER", NULL, false, "read a backup, and change nothing" },
    { "deep", OPTION_FLAG, NULL, NULL, false, "recount everything that is derived" },
    { "sizes", OPTION_FLAG, NULL, NULL, false, "bytes of each column, too" },
    { "since", OPTION_TEXT, "TIME", NULL, false, "not earlier than this date or date-time" },
    { "until", OPTION_TEXT, "TIME", NULL, false, "earlier than this date or date-time" },
    { "user", OPTION_TEXT, "ID", NULL, false, "of this user only" },
    { "limit", OPTION_NUMBER, "N", "50", false, "at most so many events" },
    { "scopes", OPTION_TEXT, "LIST", "ingest,query", false,
      "of ingest, query, people, manage, with commas" },
    { "name", OPTION_TEXT, "NAME", NULL, false, "a name for people to read" },
    { "email", OPTION_TEXT, "ADDRESS", NULL, false, "a person's address" },
    { "role", OPTION_TEXT, "ROLE", "owner", false, "owner, admin, analyst or viewer" },
    { "organisation", OPTION_TEXT, "ID", NULL, false, "the first one when it isn't named" },
    { "demo-data", OPTION_TEXT, "DIR", NULL, false, "where the demo's files are" },
    { "help", OPTION_FLAG, NULL, NULL, false, "this text" },
};
const size_t cli_option_count = sizeof cli_options / sizeof cli_options[0];

int option_find(const char *name)
{
    for (size_t i = 0; i < cli_option_count; i++)
        if (strcmp(cli_options[i].name, name) == 0)
            return (int)i;
    return -1;
}

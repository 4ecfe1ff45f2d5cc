/* people.c - kolam export and kolam user: what is kept of people, read from a snapshot. */
#include "cli/cli_internal.h"
#include "http/http.h"

#include <stdio.h>
#include <stdlib.h>

enum { LINE_MAX = 64 << 20, ARENA_MAX = 64 << 20, PROPERTIES_MAX = 4096, OUT_BYTES = 1 << 20 };

struct exporter {
    struct project *project;
    struct project_snapshot snapshot;
    struct arena arena;
    struct buf out;
    struct jsonw w;
    uint32_t user;
    struct bytes identity; /* of the user at hand */
    struct identity_key key;
    bool is_open; /* an event's line waits for its items */
    bool has_items;
    uint64_t seq;
    struct err failed;
};

static void flush(struct exporter *ex, bool is_last)
{
    if (ex->out.len < OUT_BYTES && !is_last)
        return;
    if (!ex->failed.code && buf_err(&ex->out).code)
        ex->failed = buf_err(&ex->out);
    if (fwrite(ex->out.ptr, 1, ex->out.len, stdout) != ex->out.len && !ex->failed.code)
        ex->failed = err_os("write");
    buf_reset(&ex->out);
}

static void end_line(struct exporter *ex)
{
    jsonw_end_object(&ex->w);
    buf_put(&ex->out, BYTES("\n"));
    ex->w = jsonw_of(&ex->out);
    flush(ex, false);
}

static void put_key(struct exporter *ex, const struct identity_key *key)
{
    static const char *const names[] = { "identity", "identity", "device_id", "email", "phone" };
    jsonw_key(&ex->w, names[key->kind <= IDENTITY_PHONE ? key->kind : 0]);
    jsonw_string(&ex->w, key->text);
}

/* The key that its lines are written with: the first identity, else e-mail, phone, device. */
static struct identity_key best_key(const struct identity_key *keys, uint32_t count)
{
    static const enum identity_kind order[] = { IDENTITY_IDENTITY, IDENTITY_EMAIL, IDENTITY_PHONE,
                                                IDENTITY_DEVICE };
    for (size_t o = 0; o < 4; o++)
        for (uint32_t i = 0; i < count; i++)
            if (keys[i].kind == order[o])
                return keys[i];
    return (struct identity_key){ .kind = IDENTITY_IDENTITY };
}

static void put_properties(struct exporter *ex, const struct store_property *properties,
                           uint32_t count)
{
    const struct catalog *catalog = ex->snapshot.source.catalog;
    for (uint32_t i = 0; i < count; i++) {
        jsonw_key_bytes(&ex->w, catalog_property_name(catalog, properties[i].property));
        jsonw_value(&ex->w, &properties[i].value);
    }
}

static void close_event(struct exporter *ex)
{
    if (!ex->is_open)
        return;
    if (ex->has_items)
        jsonw_end_array(&ex->w);
    jsonw_end_object(&ex->w);
    end_line(ex);
    ex->is_open = false;
    ex->has_items = false;
}

static bool put_event(void *ctx, const struct store_user_event *event)
{
    struct exporter *ex = ctx;
    const struct catalog *catalog = ex->snapshot.source.catalog;
    if (catalog_event_parent(catalog, event->event) != CATALOG_NONE) {
        if (!ex->is_open || event->seq != ex->seq)
            return true;
        if (!ex->has_items) {
            jsonw_key(&ex->w, "Items");
            jsonw_array(&ex->w);
            ex->has_items = true;
        }
        jsonw_object(&ex->w);
        put_properties(ex, event->properties, event->property_count);
        jsonw_end_object(&ex->w);
        return true;
    }
    close_event(ex);
    ex->is_open = true;
    ex->seq = event->seq;
    jsonw_object(&ex->w);
    put_key(ex, &ex->key);
    jsonw_key(&ex->w, "event");
    jsonw_string(&ex->w, catalog_event_name(catalog, event->event));
    jsonw_key(&ex->w, "time");
    jsonw_time(&ex->w, event->time_ms);
    jsonw_key(&ex->w, "properties");
    jsonw_object(&ex->w);
    put_properties(ex, event->properties, event->property_count);
    return !ex->failed.code;
}

static struct err take_key(struct exporter *ex, uint32_t user)
{
    struct identity_key *keys;
    uint32_t count;
    struct err err = project_user_keys(ex->project, user, &ex->arena, &keys, &count);
    if (!err.code)
        ex->key = best_key(keys, count);
    ex->user = user;
    return err;
}

static void put_profile(struct exporter *ex)
{
    const struct query_source *source = &ex->snapshot.source;
    uint32_t properties[PROPERTIES_MAX];
    uint32_t count = profile_properties(source->profiles, ex->user, properties, PROPERTIES_MAX);
    if (!count)
        return;
    jsonw_object(&ex->w);
    put_key(ex, &ex->key);
    jsonw_key(&ex->w, "properties");
    jsonw_object(&ex->w);
    for (uint32_t i = 0; i < count && i < PROPERTIES_MAX; i++) {
        struct value value = profile_get(source->profiles, ex->user, properties[i], &ex->arena);
        jsonw_key_bytes(&ex->w, catalog_property_name(source->catalog, properties[i]));
        jsonw_value(&ex->w, &value);
    }
    jsonw_end_object(&ex->w);
    end_line(ex);
}

static struct err export_user(struct exporter *ex, uint32_t user, int64_t from_ms, int64_t to_ms,
                              bool has_profiles)
{
    const struct query_source *source = &ex->snapshot.source;
    struct err err = take_key(ex, user);
    if (err.code || !ex->key.text.len)
        return err;
    if (has_profiles)
        put_profile(ex);
    else
        err = source->snapshot->ops->user_events(source->snapshot, user, from_ms, to_ms, false,
                                                 &ex->arena, put_event, ex);
    close_event(ex);
    arena_reset(&ex->arena);
    return err.code ? err : ex->failed;
}

static uint32_t count_users(const struct query_source *source)
{
    const struct store_ops *ops = source->snapshot->ops;
    uint32_t shards = ops->shards(source->snapshot);
    uint32_t users = profile_view_users(source->profiles);
    for (uint32_t shard = 0; shard < shards; shard++) {
        uint32_t rows = ops->shard_rows(source->snapshot, shard);
        if (rows && rows * shards > users)
            users = rows * shards;
    }
    return users;
}

static struct err export_all(struct exporter *ex, uint32_t only, int64_t from_ms, int64_t to_ms)
{
    const struct query_source *source = &ex->snapshot.source;
    uint32_t users = count_users(source);
    struct err err = ok();
    for (int pass = 0; pass < 2 && !err.code; pass++)
        for (uint32_t user = 0; user < users && !err.code; user++) {
            bool is_wanted =
                only == USER_NONE ? source->is_living(source->identities, user) : user == only;
            if (is_wanted)
                err = export_user(ex, user, from_ms, to_ms, pass == 0);
        }
    flush(ex, true);
    return err.code ? err : ex->failed;
}

static bool take_time(const struct cli *cli, const char *name, const struct zone *zone,
                      int64_t *time_ms)
{
    const char *text = cli_text(cli, name);
    if (!text || calendar_parse(bytes_from(text), zone, time_ms, NULL))
        return true;
    (void)cli_say(CLI_USAGE, "--%s: it's a date or date-time such as 2025-01-31", name);
    return false;
}

static uint32_t find_user(struct project *project, const char *id)
{
    if (strncmp(id, "u:", 2) == 0 && id[2])
        return project_survivor(project, (uint32_t)strtoul(id + 2, NULL, 10));
    return project_find_user(project, bytes_from(id));
}

static int export_project(struct cli *cli, struct project *project)
{
    struct exporter ex = { .project = project };
    int64_t from_ms = TIME_MS_MIN;
    int64_t to_ms = TIME_MS_MAX;
    uint32_t only = USER_NONE;
    const char *id = cli_text(cli, "user");
    if (!take_time(cli, "since", project_zone(project), &from_ms) ||
        !take_time(cli, "until", project_zone(project), &to_ms))
        return CLI_USAGE;
    if (id && (only = find_user(project, id)) == USER_NONE)
        return cli_say(CLI_REFUSED, "there's no user %s", id);
    struct err err = project_snapshot(project, &ex.snapshot);
    if (err.code)
        return cli_say_err(err, "the project");
    arena_init(&ex.arena, ARENA_MAX);
    buf_init(&ex.out, LINE_MAX);
    ex.w = jsonw_of(&ex.out);
    err = export_all(&ex, only, from_ms, to_ms);
    buf_done(&ex.out);
    arena_done(&ex.arena);
    project_snapshot_done(&ex.snapshot);
    return err.code ? cli_say_err(err, "the export") : CLI_DONE;
}

static int with_project(struct cli *cli, int (*work)(struct cli *cli, struct project *project))
{
    struct cli_folder folder;
    struct account_project facts;
    struct project *project;
    int status = cli_folder_open(cli, false, &folder);
    if (status != CLI_DONE)
        return status;
    status = cli_project(&folder, cli_text(cli, "project"), false, NULL, &facts, &project);
    if (status == CLI_DONE)
        status = work(cli, project);
    cli_folder_close(&folder);
    return status;
}

int command_export(struct cli *cli)
{
    if (cli_args(cli))
        return cli_say(CLI_USAGE, "kolam export takes no arguments: see kolam export --help");
    return with_project(cli, export_project);
}

/* --- one user -------------------------------------------------------------------------------- */

struct shown {
    struct exporter *ex;
    uint64_t limit;
    uint64_t count;
    bool is_json;
};

static bool show_event(void *ctx, const struct store_user_event *event)
{
    struct shown *shown = ctx;
    struct exporter *ex = shown->ex;
    const struct catalog *catalog = ex->snapshot.source.catalog;
    if (catalog_event_parent(catalog, event->event) != CATALOG_NONE)
        return true;
    if (shown->count++ == shown->limit)
        return false;
    if (!shown->is_json) {
        calendar_put_local(&ex->out, project_zone(ex->project), event->time_ms);
        buf_printf(&ex->out, "  %.*s  ", BYTES_FMT(catalog_event_name(catalog, event->event)));
        ex->w = jsonw_of(&ex->out);
        jsonw_object(&ex->w);
        put_properties(ex, event->properties, event->property_count);
        jsonw_end_object(&ex->w);
        buf_put(&ex->out, BYTES("\n"));
        return true;
    }
    jsonw_object(&ex->w);
    jsonw_key(&ex->w, "time");
    jsonw_time(&ex->w, event->time_ms);
    jsonw_key(&ex->w, "event");
    jsonw_string(&ex->w, catalog_event_name(catalog, event->event));
    jsonw_key(&ex->w, "properties");
    jsonw_object(&ex->w);
    put_properties(ex, event->properties, event->property_count);
    jsonw_end_object(&ex->w);
    jsonw_end_object(&ex->w);
    return true;
}

static void show_keys(struct exporter *ex, const struct identity_key *keys, uint32_t count,
                      bool is_json)
{
    static const char *const names[] = { "", "identity", "device", "email", "phone" };
    if (is_json) {
        jsonw_key(&ex->w, "identities");
        jsonw_array(&ex->w);
    }
    for (uint32_t i = 0; i < count; i++) {
        const char *name = names[keys[i].kind <= IDENTITY_PHONE ? keys[i].kind : 0];
        if (!is_json) {
            buf_printf(&ex->out, "%-10s %.*s\n", name, BYTES_FMT(keys[i].text));
            continue;
        }
        jsonw_object(&ex->w);
        jsonw_key(&ex->w, "kind");
        jsonw_text(&ex->w, name);
        jsonw_key(&ex->w, "value");
        jsonw_string(&ex->w, keys[i].text);
        jsonw_end_object(&ex->w);
    }
    if (is_json)
        jsonw_end_array(&ex->w);
}

static void show_properties(struct exporter *ex, bool is_json)
{
    const struct query_source *source = &ex->snapshot.source;
    uint32_t properties[PROPERTIES_MAX];
    uint32_t count = profile_properties(source->profiles, ex->user, properties, PROPERTIES_MAX);
    if (is_json) {
        jsonw_key(&ex->w, "properties");
        jsonw_object(&ex->w);
    }
    for (uint32_t i = 0; i < count && i < PROPERTIES_MAX; i++) {
        struct value value = profile_get(source->profiles, ex->user, properties[i], &ex->arena);
        struct bytes name = catalog_property_name(source->catalog, properties[i]);
        if (is_json) {
            jsonw_key_bytes(&ex->w, name);
            jsonw_value(&ex->w, &value);
            continue;
        }
        buf_printf(&ex->out, "  %.*s = ", BYTES_FMT(name));
        ex->w = jsonw_of(&ex->out);
        jsonw_value(&ex->w, &value);
        buf_put(&ex->out, BYTES("\n"));
    }
    if (is_json)
        jsonw_end_object(&ex->w);
}

static struct err show_user(struct exporter *ex, uint32_t user, uint64_t limit, bool is_json)
{
    const struct query_source *source = &ex->snapshot.source;
    struct identity_key *keys;
    uint32_t count;
    struct err err = project_user_keys(ex->project, user, &ex->arena, &keys, &count);
    if (err.code)
        return err;
    ex->user = user;
    if (is_json) {
        jsonw_object(&ex->w);
        jsonw_key(&ex->w, "id");
        jsonw_uint(&ex->w, user);
    } else {
        buf_printf(&ex->out, "user       u:%u\n", user);
    }
    show_keys(ex, keys, count, is_json);
    show_properties(ex, is_json);
    if (is_json) {
        jsonw_key(&ex->w, "events");
        jsonw_array(&ex->w);
    }
    struct shown shown = { .ex = ex, .limit = limit, .is_json = is_json };
    err = source->snapshot->ops->user_events(source->snapshot, user, TIME_MS_MIN, TIME_MS_MAX, true,
                                             &ex->arena, show_event, &shown);
    if (is_json) {
        jsonw_end_array(&ex->w);
        jsonw_end_object(&ex->w);
        buf_put(&ex->out, BYTES("\n"));
    }
    return err;
}

static int user_in_project(struct cli *cli, struct project *project)
{
    struct exporter ex = { .project = project };
    enum format format;
    uint64_t limit;
    if (!cli_format(cli, &format) || !cli_number(cli, "limit", 0, 1000000, &limit))
        return CLI_USAGE;
    uint32_t user = find_user(project, cli_arg(cli, 0));
    if (user == USER_NONE)
        return cli_say(CLI_REFUSED, "there's no user %s", cli_arg(cli, 0));
    struct err err = project_snapshot(project, &ex.snapshot);
    if (err.code)
        return cli_say_err(err, "the project");
    arena_init(&ex.arena, ARENA_MAX);
    buf_init(&ex.out, LINE_MAX);
    ex.w = jsonw_of(&ex.out);
    err = show_user(&ex, user, limit, format != FORMAT_TABLE);
    flush(&ex, true);
    if (!err.code)
        err = ex.failed;
    buf_done(&ex.out);
    arena_done(&ex.arena);
    project_snapshot_done(&ex.snapshot);
    return err.code ? cli_say_err(err, "the user") : CLI_DONE;
}

static int user_of_server(struct cli *cli)
{
    struct buf path;
    struct buf answer;
    buf_init(&path, 8192);
    buf_init(&answer, LINE_MAX);
    buf_put(&path, BYTES("/v1/users/"));
    put_url_part(&path, bytes_from(cli_arg(cli, 0)));
    size_t len = path.len;
    buf_put_u8(&path, 0);
    int status =
        cli_call(cli, HTTP_GET, (const char *)path.ptr, NULL, NULL, bytes_of("", 0), &answer);
    if (status == CLI_DONE) {
        cli_print(buf_bytes(&answer));
        path.len = len;
        buf_printf(&path, "/events?limit=%s", cli_text(cli, "limit"));
        buf_put_u8(&path, 0);
        buf_reset(&answer);
        status =
            cli_call(cli, HTTP_GET, (const char *)path.ptr, NULL, NULL, bytes_of("", 0), &answer);
    }
    if (status == CLI_DONE)
        cli_print(buf_bytes(&answer));
    buf_done(&path);
    buf_done(&answer);
    return status;
}

int command_user(struct cli *cli)
{
    if (cli_args(cli) != 1)
        return cli_say(CLI_USAGE, "name one user: any identity, or u:NUMBER");
    return cli_has_server(cli) ? user_of_server(cli) : with_project(cli, user_in_project);
}

/* openapi.c - the OpenAPI 3.1 document, made from the table of routes and the schemas below. */
#include "api/api_internal.h"

#include <stdio.h>

#define TEXT       "{\"type\":\"string\"}"
#define NUMBER     "{\"type\":\"integer\"}"
#define FLAG       "{\"type\":\"boolean\"}"
#define ANY        "{}"
#define OBJECT     "{\"type\":\"object\"}"
#define TIME       "{\"type\":\"string\",\"format\":\"date-time\"}"
#define MAYBE(t)   "{\"type\":[\"" t "\",\"null\"]}"
#define MAYBE_TIME "{\"type\":[\"string\",\"null\"],\"format\":\"date-time\"}"
#define LIST(t)    "{\"type\":\"array\",\"items\":" t "}"
#define REF(n)     "{\"$ref\":\"#/components/schemas/" n "\"}"
#define THING(properties, required)                                                                \
    "{\"type\":\"object\",\"properties\":{" properties "},\"required\":[" required "]}"
#define WRITE(properties, required)                                                                \
    "{\"type\":\"object\",\"properties\":{" properties "},\"required\":[" required                 \
    "],\"additionalProperties\":false}"
#define EVENT_TIME                                                                                 \
    "{\"description\":\"RFC 3339, or epoch in seconds or "                                         \
    "milliseconds\",\"type\":[\"string\",\"number\"]}"

static const struct {
    const char *name;
    const char *type; /* of content; NULL: application/json */
    const char *schema;
} schemas[] = {
    { "Error", NULL,
      THING("\"status\":{\"const\":\"fail\"},\"error\":" TEXT ",\"code\":" NUMBER ",\"type\":" TEXT
            ",\"request_id\":" TEXT ",\"details\":" OBJECT,
            "\"status\",\"error\",\"code\",\"type\",\"request_id\",\"details\"") },
    { "Status", NULL, THING("\"status\":" TEXT, "\"status\"") },
    { "Valid", NULL, THING("\"valid\":" FLAG, "\"valid\"") },
    { "Text", "text/plain", TEXT },
    { "Stream", "text/event-stream", TEXT },
    { "OpenApi", NULL, OBJECT },
    { "Project", NULL,
      THING("\"id\":" TEXT ",\"name\":" TEXT ",\"time_zone\":" TEXT
            ",\"kind\":{\"enum\":[\"production\",\"test\"]}",
            "\"id\",\"name\",\"time_zone\",\"kind\"") },
    { "ProjectNew", NULL,
      WRITE("\"name\":" TEXT ",\"time_zone\":" TEXT
            ",\"kind\":{\"enum\":[\"production\",\"test\"]}",
            "\"name\",\"time_zone\"") },
    { "Session", NULL,
      THING("\"person\":" THING(
                "\"id\":" TEXT ",\"name\":" TEXT ",\"email\":" TEXT,
                "\"id\",\"name\",\"email\"") ",\"csrf_token\":" TEXT
                                             ",\"organisations\":" LIST(THING(
                                                 "\"id\":" TEXT ",\"name\":" TEXT ",\"role\":" TEXT
                                                 ",\"projects\":" LIST(REF("Project")),
                                                 "\"id\",\"name\",\"role\",\"projects\"")),
            "\"person\",\"csrf_token\",\"organisations\"") },
    { "SignIn", NULL, WRITE("\"email\":" TEXT ",\"password\":" TEXT ",\"ticket\":" TEXT, "") },
    { "Setup", NULL,
      WRITE(
          "\"token\":" TEXT ",\"name\":" TEXT ",\"email\":" TEXT ",\"password\":" TEXT
          ",\"organisation\":" TEXT ",\"project\":" TEXT ",\"time_zone\":" TEXT,
          "\"token\",\"name\",\"email\",\"password\",\"organisation\",\"project\",\"time_zone\"") },
    { "TimeZones", NULL, THING("\"zones\":" LIST(TEXT), "\"zones\"") },
    { "Event", NULL,
      WRITE("\"event_id\":" TEXT ",\"identity\":" TEXT ",\"device_id\":" TEXT ",\"email\":" TEXT
            ",\"phone\":" TEXT ",\"event\":" TEXT ",\"time\":" EVENT_TIME ",\"properties\":" OBJECT,
            "\"event\"") },
    { "Events", NULL,
      "{\"oneOf\":[" WRITE("\"events\":" LIST(REF("Event")),
                           "\"events\"") "," LIST(REF("Event")) "," REF("Event") "]}" },
    { "Profile", NULL,
      WRITE("\"identity\":" TEXT ",\"device_id\":" TEXT ",\"email\":" TEXT ",\"phone\":" TEXT
            ",\"time\":" EVENT_TIME ",\"properties\":" OBJECT,
            "\"properties\"") },
    { "Profiles", NULL,
      "{\"oneOf\":[" WRITE("\"profiles\":" LIST(REF("Profile")),
                           "\"profiles\"") "," LIST(REF("Profile")) "," REF("Profile") "]}" },
    { "Identify", NULL, OBJECT },
    { "Lines", "application/x-ndjson", TEXT },
    { "Ingested", NULL,
      THING("\"status\":{\"enum\":[\"success\",\"partial\",\"fail\"]},\"processed\":" NUMBER
            ",\"unprocessed\":" LIST(OBJECT),
            "\"status\",\"processed\",\"unprocessed\"") },
    { "Imported", NULL,
      THING("\"status\":{\"enum\":[\"success\",\"partial\",\"fail\"]},\"processed\":" NUMBER
            ",\"refused\":" NUMBER ",\"unprocessed\":" LIST(OBJECT),
            "\"status\",\"processed\",\"refused\",\"unprocessed\"") },
    { "Question", NULL,
      WRITE("\"cql\":" TEXT ",\"query\":" OBJECT ",\"query_id\":" TEXT ",\"time_zone\":" TEXT
            ",\"explain\":" FLAG,
            "") },
    { "Answer", NULL,
      THING(
          "\"report\":" TEXT ",\"columns\":" LIST(THING(
              "\"name\":" TEXT ",\"type\":" TEXT,
              "\"name\",\"type\"")) ",\"rows\":" LIST(LIST(ANY)) ",\"meta\":" THING("\"position\""
                                                                                    ":" NUMBER
                                                                                    ",\"rows_"
                                                                                    "read\""
                                                                                    ":" NUMBER
                                                                                    ",\"bytes_"
                                                                                    "read\""
                                                                                    ":" NUMBER
                                                                                    ",\"elapsed_"
                                                                                    "ms\":{"
                                                                                    "\"type\":"
                                                                                    "\"number\"},"
                                                                                    "\"time_"
                                                                                    "zone\":" TEXT
                                                                                    ",\"open\""
                                                                                    ":" FLAG
                                                                                    ",\"warnings"
                                                                                    "\":" LIST(
                                                                                        TEXT),
                                                                                    "\"position\""
                                                                                    ",\"rows_"
                                                                                    "read\","
                                                                                    "\"bytes_"
                                                                                    "read\","
                                                                                    "\"elapsed_"
                                                                                    "ms\",\"time_"
                                                                                    "zone\","
                                                                                    "\"open\","
                                                                                    "\"warnings"
                                                                                    "\"") ",\"cql"
                                                                                          "\""
                                                                                          ":" TEXT
                                                                                          ",\"que"
                                                                                          "ry\""
                                                                                          ":" OBJECT,
          "\"report\",\"columns\",\"rows\",\"meta\",\"cql\",\"query\"") },
    { "Plan", NULL, THING("\"plan\":" LIST(OBJECT), "\"plan\"") },
    { "Forms", NULL, THING("\"cql\":" TEXT ",\"query\":" OBJECT, "\"cql\",\"query\"") },
    { "Property", NULL,
      THING("\"name\":" TEXT ",\"types\":" LIST(TEXT) ",\"count\":" NUMBER,
            "\"name\",\"types\",\"count\"") },
    { "Catalog", NULL,
      THING("\"events\":" LIST(THING("\"name\":" TEXT ",\"count\":" NUMBER
                                     ",\"first_seen\":" MAYBE_TIME ",\"last_seen\":" MAYBE_TIME
                                     ",\"properties\":" LIST(REF("Property")),
                                     "\"name\",\"count\",\"first_seen\",\"last_seen\","
                                     "\"properties\"")) ",\"profile_properties\":" LIST(REF("Proper"
                                                                                            "ty")),
            "\"events\",\"profile_properties\"") },
    { "Values", NULL,
      THING("\"values\":" LIST(THING("\"value\":" ANY ",\"count\":" NUMBER, "\"value\",\"count\"")),
            "\"values\"") },
    { "Users", NULL,
      THING(
          "\"users\":" LIST(THING("\"id\":" NUMBER ",\"identity\":" TEXT ",\"name\":" ANY
                                  ",\"email\":" ANY ",\"phone\":" ANY ",\"first_seen\":" MAYBE_TIME
                                  ",\"last_seen\":" MAYBE_TIME ",\"events\":" NUMBER,
                                  "\"id\",\"identity\",\"name\",\"email\",\"phone\",\"first_seen\","
                                  "\"last_seen\",\"events\"")) ",\"next_cursor\":" MAYBE("string"),
          "\"users\",\"next_cursor\"") },
    { "User", NULL,
      THING("\"id\":" NUMBER ",\"identity\":" TEXT ",\"identities\":" LIST(
                THING("\"kind\":" TEXT ",\"value\":" TEXT,
                      "\"kind\",\"value\"")) ",\"properties\":" OBJECT ",\"first_seen\":" MAYBE_TIME
                                             ",\"last_seen\":" MAYBE_TIME ",\"events\":" LIST(THING(
                                                 "\"name\":" TEXT ",\"count\":" NUMBER
                                                 ",\"first_seen\":" TIME ",\"last_seen\":" TIME,
                                                 "\"name\",\"count\",\"first_seen\",\"last_"
                                                 "seen\"")) ",\"merged_from\":" LIST(NUMBER),
            "\"id\",\"identity\",\"identities\",\"properties\",\"first_seen\",\"last_seen\","
            "\"events\",\"merged_from\"") },
    { "Timeline", NULL,
      THING("\"events\":" LIST(THING(
                "\"time\":" TIME ",\"event\":" TEXT ",\"properties\":" OBJECT ",\"seq\":" NUMBER,
                "\"time\",\"event\",\"properties\",\"seq\"")) ",\"next_cursor\":" MAYBE("string"),
            "\"events\",\"next_cursor\"") },
    { "Merge", NULL, WRITE("\"from\":" TEXT ",\"into\":" TEXT, "\"from\",\"into\"") },
    { "Merged", NULL, THING("\"status\":" TEXT ",\"id\":" NUMBER, "\"status\",\"id\"") },
    { "Report", NULL,
      THING("\"id\":" TEXT ",\"name\":" TEXT ",\"description\":" TEXT ",\"kind\":" TEXT
            ",\"query\":" ANY ",\"view\":" ANY ",\"etag\":" TEXT ",\"created_at\":" TIME
            ",\"updated_at\":" TIME,
            "\"id\",\"name\",\"description\",\"kind\",\"query\",\"view\",\"etag\",\"created_at\","
            "\"updated_at\"") },
    { "ReportNew", NULL,
      WRITE("\"name\":" TEXT ",\"description\":" TEXT
            ",\"kind\":{\"enum\":[\"trends\",\"funnel\",\"retention\",\"flow\",\"timeline\","
            "\"query\",\"users\",\"segment\"]},\"query\":" ANY ",\"view\":" ANY ",\"id\":" TEXT
            ",\"etag\":" TEXT ",\"created_at\":" TIME ",\"updated_at\":" TIME,
            "\"name\",\"kind\"") },
    { "Reports", NULL, THING("\"reports\":" LIST(REF("Report")), "\"reports\"") },
    { "Client", NULL,
      THING("\"id\":" TEXT ",\"name\":" TEXT ",\"scopes\":" LIST(
                TEXT) ",\"created_at\":" TIME ",\"last_used_at\":" MAYBE_TIME ",\"secret\":" TEXT,
            "\"id\",\"name\",\"scopes\",\"created_at\",\"last_used_at\"") },
    { "ClientNew", NULL,
      WRITE("\"name\":" TEXT
            ",\"scopes\":" LIST("{\"enum\":[\"ingest\",\"query\",\"people\",\"manage\"]}"),
            "\"name\",\"scopes\"") },
    { "Clients", NULL, THING("\"api_clients\":" LIST(REF("Client")), "\"api_clients\"") },
    { "Settings", NULL,
      THING("\"join_existing\":" FLAG ",\"dedup_days\":" NUMBER
            ",\"limits\":{\"type\":\"object\",\"additionalProperties\":" THING(
                "\"value\":" NUMBER ",\"most\":" NUMBER,
                "\"value\",\"most\"") "},\"discarded_events\":" LIST(TEXT),
            "\"join_existing\",\"dedup_days\",\"limits\",\"discarded_events\"") },
    { "SettingsChange", NULL,
      WRITE("\"join_existing\":" FLAG ",\"dedup_days\":" NUMBER
            ",\"limits\":{\"type\":\"object\",\"additionalProperties\":" NUMBER
            "},\"discarded_events\":" LIST(TEXT),
            "") },
    { "Audit", NULL,
      THING("\"rows\":" LIST(OBJECT) ",\"next_cursor\":" MAYBE("string"),
            "\"rows\",\"next_cursor\"") },
    { "ClevertapUpload", NULL, WRITE("\"d\":" LIST(OBJECT), "\"d\"") },
    { "ClevertapQuery", NULL, OBJECT },
    { "ClevertapCount", NULL, THING("\"status\":" TEXT ",\"count\":" NUMBER, "\"status\"") },
    { "ClevertapGroups", NULL, THING("\"status\":" TEXT, "\"status\"") },
    { "ClevertapCursor", NULL,
      THING("\"status\":" TEXT ",\"cursor\":" TEXT, "\"status\",\"cursor\"") },
    { "ClevertapRecords", NULL,
      THING("\"status\":" TEXT ",\"records\":" LIST(OBJECT) ",\"next_cursor\":" TEXT,
            "\"status\",\"records\"") },
    { "ClevertapRecord", NULL,
      THING("\"status\":" TEXT ",\"record\":" OBJECT, "\"status\",\"record\"") },
};
enum { SCHEMAS = sizeof schemas / sizeof schemas[0] };

static const char *type_of(const char *name)
{
    for (size_t i = 0; i < SCHEMAS; i++)
        if (strcmp(schemas[i].name, name) == 0)
            return schemas[i].type ? schemas[i].type : "application/json";
    bool is_known = false; /* a route names a schema that isn't there */
    assert(is_known);
    return NULL;
}

static void put_ref(struct jsonw *w, const char *name)
{
    char ref[100];
    (void)snprintf(ref, sizeof ref, "#/components/schemas/%s", name);
    jsonw_key(w, "content");
    jsonw_object(w);
    jsonw_key(w, type_of(name));
    jsonw_object(w);
    jsonw_key(w, "schema");
    jsonw_object(w);
    jsonw_key(w, "$ref");
    jsonw_text(w, ref);
    jsonw_end_object(w);
    jsonw_end_object(w);
    jsonw_end_object(w);
}

static void put_parameter(struct jsonw *w, struct bytes name, const char *in, bool is_required)
{
    jsonw_object(w);
    jsonw_key(w, "name");
    jsonw_string(w, name);
    jsonw_key(w, "in");
    jsonw_text(w, in);
    jsonw_key(w, "required");
    jsonw_bool(w, is_required);
    jsonw_key(w, "schema");
    jsonw_raw(w, bytes_from(TEXT));
    jsonw_end_object(w);
}

static void put_parameters(struct jsonw *w, const struct route *route)
{
    jsonw_key(w, "parameters");
    jsonw_array(w);
    const char *at = route->http.pattern;
    while ((at = strchr(at, '{'))) {
        const char *end = strchr(at, '}');
        put_parameter(w, bytes_of(at + 1, (size_t)(end - at - 1)), "path", true);
        at = end;
    }
    for (at = route->query; at && *at;) {
        size_t len = strcspn(at, " ");
        put_parameter(w, bytes_of(at, len), "query", false);
        at += len + (at[len] == ' ');
    }
    if (route->needs > NEEDS_PERSON)
        put_parameter(w, BYTES("X-Kolam-Project"), "header", false);
    if (route->http.method != HTTP_GET)
        put_parameter(w, BYTES("Idempotency-Key"), "header", false);
    jsonw_end_array(w);
}

static int status_of(const struct route *route)
{
    static const char *const made[] = { "setup", "projectCreate", "reportCreate", "clientCreate" };
    for (size_t i = 0; i < sizeof made / sizeof made[0]; i++)
        if (strcmp(route->name, made[i]) == 0)
            return 201;
    return route->reply ? 200 : 204;
}

static void put_replies(struct jsonw *w, const struct route *route)
{
    char status[8];
    (void)snprintf(status, sizeof status, "%d", status_of(route));
    jsonw_key(w, "responses");
    jsonw_object(w);
    jsonw_key(w, status);
    jsonw_object(w);
    jsonw_key(w, "description");
    jsonw_text(w, route->reply ? route->reply : "done");
    if (route->reply)
        put_ref(w, route->reply);
    jsonw_end_object(w);
    jsonw_key(w, "default");
    jsonw_object(w);
    jsonw_key(w, "description");
    jsonw_text(w, "what went wrong");
    put_ref(w, "Error");
    jsonw_end_object(w);
    jsonw_end_object(w);
}

static const char *scope_name(enum route_needs needs)
{
    static const char *const names[] = { "none", "person", "ingest", "query", "people", "manage" };
    return names[needs];
}

static void put_operation(struct jsonw *w, const struct route *route)
{
    static const char *const methods[] = { "get", "head", "post", "put", "patch", "delete" };
    static const char *const rates[] = { "none", "ingest", "query", "people", "manage", "sign_in" };
    jsonw_key(w, methods[route->http.method]);
    jsonw_object(w);
    jsonw_key(w, "operationId");
    jsonw_text(w, route->name);
    jsonw_key(w, "summary");
    jsonw_text(w, route->summary);
    jsonw_key(w, "x-scope");
    jsonw_text(w, scope_name(route->needs));
    jsonw_key(w, "x-rate-class");
    jsonw_text(w, rates[route->rate]);
    put_parameters(w, route);
    if (route->request) {
        jsonw_key(w, "requestBody");
        jsonw_object(w);
        jsonw_key(w, "required");
        jsonw_bool(w, true);
        put_ref(w, route->request);
        jsonw_end_object(w);
    }
    put_replies(w, route);
    jsonw_key(w, "security");
    if (route->needs == NEEDS_NOTHING)
        jsonw_raw(w, BYTES("[]"));
    else if (route->needs == NEEDS_PERSON)
        jsonw_raw(w, BYTES("[{\"session\":[]}]"));
    else
        jsonw_raw(w, BYTES("[{\"basic\":[]},{\"bearer\":[]},{\"session\":[]},"
                           "{\"clevertapAccount\":[],\"clevertapPasscode\":[]}]"));
    jsonw_end_object(w);
}

static bool is_first_of_path(size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(api_routes[i].http.pattern, api_routes[n].http.pattern) == 0)
            return false;
    return true;
}

static void put_paths(struct jsonw *w)
{
    jsonw_key(w, "paths");
    jsonw_object(w);
    for (size_t n = 0; n < api_route_count; n++) {
        if (!is_first_of_path(n))
            continue;
        jsonw_key(w, api_routes[n].http.pattern);
        jsonw_object(w);
        for (size_t i = n; i < api_route_count; i++)
            if (strcmp(api_routes[i].http.pattern, api_routes[n].http.pattern) == 0)
                put_operation(w, &api_routes[i]);
        jsonw_end_object(w);
    }
    jsonw_end_object(w);
}

void api_put_openapi(struct buf *to)
{
    struct jsonw writer = jsonw_of(to);
    struct jsonw *w = &writer;
    jsonw_object(w);
    jsonw_key(w, "openapi");
    jsonw_text(w, "3.1.0");
    jsonw_key(w, "info");
    jsonw_object(w);
    jsonw_key(w, "title");
    jsonw_text(w, "Kolam");
    jsonw_key(w, "version");
    jsonw_text(w, KOLAM_VERSION);
    jsonw_key(w, "license");
    jsonw_raw(w, BYTES("{\"name\":\"Apache-2.0\",\"identifier\":\"Apache-2.0\"}"));
    jsonw_end_object(w);
    put_paths(w);
    jsonw_key(w, "components");
    jsonw_object(w);
    jsonw_key(w, "securitySchemes");
    jsonw_raw(
        w, BYTES("{\"basic\":{\"type\":\"http\",\"scheme\":\"basic\"},"
                 "\"bearer\":{\"type\":\"http\",\"scheme\":\"bearer\","
                 "\"description\":\"id.secret of an API client\"},"
                 "\"session\":{\"type\":\"apiKey\",\"in\":\"cookie\",\"name\":\"kolam_session\"},"
                 "\"clevertapAccount\":{\"type\":\"apiKey\",\"in\":\"header\","
                 "\"name\":\"X-CleverTap-Account-Id\"},"
                 "\"clevertapPasscode\":{\"type\":\"apiKey\",\"in\":\"header\","
                 "\"name\":\"X-CleverTap-Passcode\"}}"));
    jsonw_key(w, "schemas");
    jsonw_object(w);
    for (size_t i = 0; i < SCHEMAS; i++) {
        jsonw_key(w, schemas[i].name);
        jsonw_raw(w, bytes_from(schemas[i].schema));
    }
    jsonw_end_object(w);
    jsonw_end_object(w);
    jsonw_end_object(w);
}

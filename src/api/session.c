/* session.c - setup, signing in and out, who am I, projects. */
#include "api/api_internal.h"
#include "sys/sys.h"

#include <stdio.h>

enum { BODY_MAX = 1 << 20, MEMBERS_MAX = 1000 };

static void put_projects_of(struct jsonw *w, struct accounts *accounts, const char *organisation)
{
    struct account_project project;
    jsonw_array(w);
    for (size_t n = 0; account_project_at(accounts, n, &project); n++) {
        if (strcmp(project.organisation, organisation) != 0)
            continue;
        jsonw_object(w);
        jsonw_key(w, "id");
        jsonw_text(w, project.id);
        jsonw_key(w, "name");
        jsonw_text(w, project.name);
        jsonw_key(w, "time_zone");
        jsonw_text(w, project.time_zone);
        jsonw_key(w, "kind");
        jsonw_text(w, project.kind);
        jsonw_end_object(w);
    }
    jsonw_end_array(w);
}

static struct err put_session(struct call *call, struct buf *body)
{
    struct accounts *accounts = call->api->config.accounts;
    struct account_person person;
    struct account_member member;
    struct err err = account_person_get(accounts, call->principal.id, &person);
    if (err.code)
        return err;
    struct jsonw w = jsonw_of(body);
    jsonw_object(&w);
    jsonw_key(&w, "person");
    jsonw_object(&w);
    jsonw_key(&w, "id");
    jsonw_text(&w, person.id);
    jsonw_key(&w, "name");
    jsonw_text(&w, person.name);
    jsonw_key(&w, "email");
    jsonw_text(&w, person.email);
    jsonw_end_object(&w);
    jsonw_key(&w, "csrf_token");
    jsonw_text(&w, call->principal.csrf);
    jsonw_key(&w, "organisations");
    jsonw_array(&w);
    for (size_t n = 0; n < MEMBERS_MAX && account_member_at(accounts, person.id, n, &member); n++) {
        jsonw_object(&w);
        jsonw_key(&w, "id");
        jsonw_text(&w, member.organisation);
        jsonw_key(&w, "name");
        jsonw_text(&w, member.organisation_name);
        jsonw_key(&w, "role");
        jsonw_text(&w, member.role);
        jsonw_key(&w, "projects");
        put_projects_of(&w, accounts, member.organisation);
        jsonw_end_object(&w);
    }
    jsonw_end_array(&w);
    jsonw_end_object(&w);
    return ok();
}

static void answer_session(struct call *call, int status)
{
    struct buf body;
    buf_init(&body, BODY_MAX);
    struct err err = put_session(call, &body);
    http_reply_header(call->request, "Cache-Control", "no-store");
    if (err.code) {
        buf_done(&body);
        call_fail_err(call, err);
        return;
    }
    call_reply_json(call, status, &body);
}

void handle_session_get(struct call *call)
{
    if (call->principal.kind == PRINCIPAL_PERSON) {
        answer_session(call, 200);
        return;
    }
    bool is_new = !account_has_people(call->api->config.accounts);
    call_fail_with(call, 401, "unauthenticated", BYTES("nobody is signed in"),
                   is_new ? BYTES("{\"setup_needed\":true}") : BYTES("{\"setup_needed\":false}"));
}

static void set_cookie(struct call *call, const char *token, int64_t age_s)
{
    char cookie[256];
    (void)snprintf(cookie, sizeof cookie,
                   "kolam_session=%s; Path=/; HttpOnly; SameSite=Lax; Max-Age=%lld%s", token,
                   (long long)age_s, call->api->config.is_https ? "; Secure" : "");
    http_reply_header(call->request, "Set-Cookie", cookie);
}

static void begin_session(struct call *call, const char *person, int status)
{
    char token[TOKEN_SIZE];
    struct err err = account_session_new(call->api->config.accounts, person, call->request->remote,
                                         token, &call->principal);
    if (err.code) {
        call_fail_err(call, err);
        return;
    }
    set_cookie(call, token, SESSION_LIFE_DAYS * INT64_C(86400));
    answer_session(call, status);
}

static void fail_sign_in(struct call *call, struct err err)
{
    if (err.code == ERR_DENIED)
        call_fail(call, 401, "wrong_credentials",
                  "that address and password don't belong together, "
                  "or the link was used already");
    else if (err.code == ERR_LIMIT)
        call_fail(call, 429, "too_many_failures", "too many failures: wait fifteen minutes");
    else
        call_fail_err(call, err);
}

void handle_session_post(struct call *call)
{
    struct accounts *accounts = call->api->config.accounts;
    struct bytes email = bytes_of("", 0);
    struct bytes password = bytes_of("", 0);
    struct bytes ticket = bytes_of("", 0);
    struct json_value root;
    char person[ACCOUNT_ID_SIZE];
    const struct field fields[] = {
        { .name = "email", .type = FIELD_TEXT, .text_out = &email },
        { .name = "password", .type = FIELD_TEXT, .text_out = &password },
        { .name = "ticket", .type = FIELD_TEXT, .text_out = &ticket },
    };
    if (!call_json(call, &root) || !call_fields(call, root, fields, 3))
        return;
    struct err err =
        ticket.len ? account_use_ticket(accounts, ticket, call->request->remote, person)
                   : account_sign_in(accounts, email, password, call->request->remote, person);
    if (err.code)
        fail_sign_in(call, err);
    else
        begin_session(call, person, 200);
}

void handle_session_delete(struct call *call)
{
    struct bytes token = http_cookie(call->request, "kolam_session");
    struct err err = account_sign_out(call->api->config.accounts, token, call->request->remote);
    if (err.code && err.code != ERR_MISSING) {
        call_fail_err(call, err);
        return;
    }
    set_cookie(call, "", 0);
    call_reply_empty(call, 204);
}

void handle_setup_get(struct call *call)
{
    struct bytes token = call_query(call, "token");
    if (!account_link_is_good(call->api->config.accounts, LINK_SETUP, token)) {
        call_fail(call, 404, "not_found", "this link isn't good (any more)");
        return;
    }
    struct buf body;
    buf_init(&body, 100);
    buf_put(&body, BYTES("{\"valid\":true}"));
    call_reply_json(call, 200, &body);
}

static bool is_zone(struct call *call, struct bytes name)
{
    const struct zone *zone;
    struct err err = engine_zone(call->api->config.engine, name, &zone);
    if (!err.code)
        return true;
    call_fail_with(call, 422, "invalid", BYTES("time_zone: there's no such time zone"),
                   BYTES("{\"pointer\":\"/time_zone\"}"));
    return false;
}

static struct err open_project(struct call *call, const struct account_project *facts)
{
    struct project_settings settings = { .time_zone = bytes_from(facts->time_zone) };
    return engine_project(call->api->config.engine, facts->id, &settings, true, &call->project);
}

static void fail_setup(struct call *call, struct err err)
{
    if (err.code != ERR_INVALID) {
        call_fail_err(call, err);
        return;
    }
    const char *field = strrchr(err.what, ' ') + 1;
    char details[100];
    char message[200];
    bool is_word =
        strcmp(field, "name") == 0 || strcmp(field, "email") == 0 || strcmp(field, "password") == 0;
    (void)snprintf(details, sizeof details, "{\"pointer\":\"/%s\"}", is_word ? field : "");
    (void)snprintf(message, sizeof message, "%s: %s", is_word ? field : "name",
                   strcmp(field, "password") == 0 ? "needs 10 to 1024 bytes"
                   : strcmp(field, "email") == 0  ? "isn't an e-mail address"
                                                 : "is empty, too long, or has control characters");
    call_fail_with(call, 422, "invalid", bytes_from(message), bytes_from(details));
}

void handle_setup_post(struct call *call)
{
    struct bytes token;
    struct account_setup setup;
    struct json_value root;
    struct account_project project;
    char person[ACCOUNT_ID_SIZE];
    const struct field fields[] = {
        { .name = "token", .type = FIELD_TEXT, .is_required = true, .text_out = &token },
        { .name = "name", .type = FIELD_TEXT, .is_required = true, .text_out = &setup.name },
        { .name = "email", .type = FIELD_TEXT, .is_required = true, .text_out = &setup.email },
        { .name = "password",
          .type = FIELD_TEXT,
          .is_required = true,
          .text_out = &setup.password },
        { .name = "organisation",
          .type = FIELD_TEXT,
          .is_required = true,
          .text_out = &setup.organisation },
        { .name = "project", .type = FIELD_TEXT, .is_required = true, .text_out = &setup.project },
        { .name = "time_zone",
          .type = FIELD_TEXT,
          .is_required = true,
          .text_out = &setup.time_zone },
    };
    if (!call_json(call, &root) || !call_fields(call, root, fields, 7) ||
        !is_zone(call, setup.time_zone))
        return;
    struct err err = account_setup(call->api->config.accounts, token, &setup, call->request->remote,
                                   person, &project);
    if (err.code) {
        fail_setup(call, err);
        return;
    }
    err = open_project(call, &project);
    if (err.code)
        call_fail_err(call, err);
    else
        begin_session(call, person, 201);
}

void handle_projects_post(struct call *call)
{
    struct accounts *accounts = call->api->config.accounts;
    struct bytes name;
    struct bytes zone;
    struct bytes kind = bytes_of("", 0);
    struct json_value root;
    struct account_member member;
    struct account_project project;
    const struct field fields[] = {
        { .name = "name", .type = FIELD_TEXT, .is_required = true, .text_out = &name },
        { .name = "time_zone", .type = FIELD_TEXT, .is_required = true, .text_out = &zone },
        { .name = "kind", .type = FIELD_TEXT, .text_out = &kind },
    };
    if (!call_json(call, &root) || !call_fields(call, root, fields, 3) || !is_zone(call, zone))
        return;
    if (kind.len && !bytes_equal(kind, BYTES("production")) && !bytes_equal(kind, BYTES("test"))) {
        call_fail(call, 422, "invalid", "kind: must be production or test");
        return;
    }
    bool is_member = account_member_at(accounts, call->principal.id, 0, &member);
    if (!is_member || (strcmp(member.role, "owner") != 0 && strcmp(member.role, "admin") != 0)) {
        call_fail(call, 403, "forbidden", "only owners and admins make projects");
        return;
    }
    struct account_actor actor = call_actor(call);
    struct err err =
        account_project_create(accounts, &actor, member.organisation, name, zone, kind, &project);
    if (!err.code)
        err = open_project(call, &project);
    if (err.code) {
        call_fail_err(call, err);
        return;
    }
    struct buf body;
    buf_init(&body, BODY_MAX);
    struct jsonw w = jsonw_of(&body);
    jsonw_object(&w);
    jsonw_key(&w, "id");
    jsonw_text(&w, project.id);
    jsonw_key(&w, "name");
    jsonw_text(&w, project.name);
    jsonw_key(&w, "time_zone");
    jsonw_text(&w, project.time_zone);
    jsonw_key(&w, "kind");
    jsonw_text(&w, project.kind);
    jsonw_end_object(&w);
    call_reply_json(call, 201, &body);
}

void handle_time_zones(struct call *call)
{
    struct buf names;
    struct buf body;
    size_t count = 0;
    buf_init(&names, BODY_MAX);
    struct err err = sys_zone_names(&names, &count);
    if (err.code) {
        buf_done(&names);
        call_fail_err(call, err);
        return;
    }
    buf_init(&body, BODY_MAX);
    struct jsonw w = jsonw_of(&body);
    const char *name = (const char *)names.ptr;
    jsonw_object(&w);
    jsonw_key(&w, "zones");
    jsonw_array(&w);
    for (size_t i = 0; i < count; i++, name += strlen(name) + 1)
        jsonw_text(&w, name);
    jsonw_end_array(&w);
    jsonw_end_object(&w);
    buf_done(&names);
    call_reply_json(call, 200, &body);
}

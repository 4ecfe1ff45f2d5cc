/* account_test.c - what account.h promises, on a database in memory and a clock that stands still. */
#include "account/account.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define DAY_MS INT64_C(86400000)

struct fixture {
    struct clock_sim sim;
    struct accounts *accounts;
    char dir[40];
    char path[64];
    char person[ACCOUNT_ID_SIZE];
    struct account_project project;
};

static const struct account_actor actor = { .kind = "command", .id = "test", .remote = "" };

static void reopen(struct fixture *f)
{
    struct db *db;
    accounts_close(f->accounts);
    assert_int_equal(db_open_sqlite(f->path, &db).code, ERR_NONE);
    assert_int_equal(accounts_open(db, &f->sim.clock, &f->accounts).code, ERR_NONE);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    clock_sim_init(&f->sim, INT64_C(1760000000000));
    snprintf(f->dir, sizeof f->dir, "account-test-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->path, sizeof f->path, "%s/control.db", f->dir);
    reopen(f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    accounts_close(f->accounts);
    for (const char *const *end = (const char *const[]){ "", "-wal", "-shm", NULL }; *end; end++) {
        char path[80];
        snprintf(path, sizeof path, "%s%s", f->path, *end);
        unlink(path);
    }
    rmdir(f->dir);
    free(f);
    return 0;
}

static void found(struct fixture *f)
{
    char token[TOKEN_SIZE];
    struct account_setup words = { BYTES("Asha"),        BYTES("Asha@Example.org"),
                                   BYTES("long enough"), BYTES("Dots"),
                                   BYTES("Shop"),        BYTES("Asia/Kolkata") };
    assert_int_equal(account_link_new(f->accounts, LINK_SETUP, NULL, DAY_MS, token).code, ERR_NONE);
    assert_int_equal(
        account_setup(f->accounts, bytes_from(token), &words, "127.0.0.1", f->person, &f->project)
            .code,
        ERR_NONE);
}

static void the_setup_link_makes_the_owner_once(void **state)
{
    struct fixture *f = *state;
    char token[TOKEN_SIZE];
    char older[TOKEN_SIZE];
    struct account_setup words = { BYTES("Asha"), BYTES("a@x.io"), BYTES("long enough"),
                                   BYTES("Dots"), BYTES("Shop"),   BYTES("UTC") };
    assert_false(account_has_people(f->accounts));
    assert_int_equal(account_link_new(f->accounts, LINK_SETUP, NULL, DAY_MS, older).code, ERR_NONE);
    assert_int_equal(account_link_new(f->accounts, LINK_SETUP, NULL, DAY_MS, token).code, ERR_NONE);
    assert_false(account_link_is_good(f->accounts, LINK_SETUP, bytes_from(older)));
    assert_true(account_link_is_good(f->accounts, LINK_SETUP, bytes_from(token)));
    assert_false(account_link_is_good(f->accounts, LINK_TICKET, bytes_from(token)));

    words.password = BYTES("short");
    assert_int_equal(
        account_setup(f->accounts, bytes_from(token), &words, "", f->person, &f->project).code,
        ERR_INVALID);
    words.password = BYTES("long enough");
    words.project = BYTES("");
    assert_int_equal(
        account_setup(f->accounts, bytes_from(token), &words, "", f->person, &f->project).code,
        ERR_INVALID);
    assert_false(account_has_people(f->accounts)); /* all or nothing: the link is still good */
    words.project = BYTES("Shop");
    assert_int_equal(
        account_setup(f->accounts, bytes_from(token), &words, "", f->person, &f->project).code,
        ERR_NONE);
    assert_int_equal(
        account_setup(f->accounts, bytes_from(token), &words, "", f->person, &f->project).code,
        ERR_MISSING);
    assert_true(account_has_people(f->accounts));
}

static void the_first_owner_takes_over_what_commands_made(void **state)
{
    struct fixture *f = *state;
    const struct account_actor command = { .kind = "command", .id = "", .remote = "" };
    struct account_project imported;
    struct account_member member;
    char organisation[ACCOUNT_ID_SIZE];
    assert_int_equal(
        account_organisation_create(f->accounts, &command, BYTES("Organisation"), organisation)
            .code,
        ERR_NONE);
    assert_int_equal(account_project_create(f->accounts, &command, organisation, BYTES("Shop"),
                                            BYTES("UTC"), BYTES("production"), &imported)
                         .code,
                     ERR_NONE);
    found(f);
    assert_string_equal(f->project.id, imported.id);
    for (int pass = 0; pass < 2; pass++, reopen(f)) {
        assert_true(account_member_at(f->accounts, f->person, 0, &member));
        assert_string_equal(member.organisation, organisation);
        assert_string_equal(member.organisation_name, "Dots");
        assert_false(account_project_at(f->accounts, 1, &imported));
    }
}

static void a_link_ends_with_its_time(void **state)
{
    struct fixture *f = *state;
    char token[TOKEN_SIZE];
    assert_int_equal(account_link_new(f->accounts, LINK_SETUP, NULL, 1000, token).code, ERR_NONE);
    clock_sim_advance(&f->sim, 1001);
    assert_false(account_link_is_good(f->accounts, LINK_SETUP, bytes_from(token)));
}

static void a_password_signs_in_and_ten_wrong_ones_close_the_door_for_a_while(void **state)
{
    struct fixture *f = *state;
    char person[ACCOUNT_ID_SIZE];
    found(f);
    assert_int_equal(account_sign_in(f->accounts, BYTES("asha@example.ORG"), BYTES("long enough"),
                                     "1.2.3.4", person)
                         .code,
                     ERR_NONE);
    assert_string_equal(person, f->person);
    for (int i = 0; i < 10; i++)
        assert_int_equal(account_sign_in(f->accounts, BYTES("asha@example.org"), BYTES("wrong"),
                                         "1.2.3.4", person)
                             .code,
                         ERR_DENIED);
    assert_int_equal(account_sign_in(f->accounts, BYTES("asha@example.org"), BYTES("long enough"),
                                     "1.2.3.4", person)
                         .code,
                     ERR_LIMIT);
    clock_sim_advance(&f->sim, 15 * 60 * 1000);
    assert_int_equal(account_sign_in(f->accounts, BYTES("asha@example.org"), BYTES("long enough"),
                                     "1.2.3.4", person)
                         .code,
                     ERR_NONE);
    assert_int_equal(account_sign_in(f->accounts, BYTES("nobody@example.org"), BYTES("long enough"),
                                     "1.2.3.4", person)
                         .code,
                     ERR_DENIED);
}

static void a_ticket_signs_in_once(void **state)
{
    struct fixture *f = *state;
    char token[TOKEN_SIZE];
    char person[ACCOUNT_ID_SIZE];
    found(f);
    assert_int_equal(account_link_new(f->accounts, LINK_TICKET, f->person, DAY_MS, token).code,
                     ERR_NONE);
    assert_int_equal(account_use_ticket(f->accounts, bytes_from(token), "", person).code, ERR_NONE);
    assert_string_equal(person, f->person);
    assert_int_equal(account_use_ticket(f->accounts, bytes_from(token), "", person).code,
                     ERR_DENIED);
}

static void a_session_lives_while_it_is_used_and_ends_when_told(void **state)
{
    struct fixture *f = *state;
    char token[TOKEN_SIZE];
    struct principal principal;
    found(f);
    assert_int_equal(account_session_new(f->accounts, f->person, "", token, &principal).code,
                     ERR_NONE);
    for (int i = 0; i < 4; i++) {
        clock_sim_advance(&f->sim, 13 * DAY_MS);
        assert_true(account_session(f->accounts, bytes_from(token), &principal));
        reopen(f);
    }
    assert_string_equal(principal.id, f->person);
    assert_true(strlen(principal.csrf) > 20);
    assert_int_equal(account_sign_out(f->accounts, bytes_from(token), "").code, ERR_NONE);
    assert_false(account_session(f->accounts, bytes_from(token), &principal));
    assert_int_equal(account_sign_out(f->accounts, bytes_from(token), "").code, ERR_MISSING);

    assert_int_equal(account_session_new(f->accounts, f->person, "", token, &principal).code,
                     ERR_NONE);
    clock_sim_advance(&f->sim, 15 * DAY_MS);
    assert_false(account_session(f->accounts, bytes_from(token), &principal));
    assert_int_equal(accounts_maintain(f->accounts).code, ERR_NONE);
    assert_int_equal(account_session_new(f->accounts, f->person, "", token, &principal).code,
                     ERR_NONE);
    assert_true(account_session(f->accounts, bytes_from(token), &principal));
    for (int i = 0; i < 7; i++) {
        clock_sim_advance(&f->sim, 13 * DAY_MS);
        (void)account_session(f->accounts, bytes_from(token), &principal);
    }
    assert_false(account_session(f->accounts, bytes_from(token), &principal)); /* 90 days at most */
}

static void a_client_is_known_by_its_secret_until_it_is_revoked(void **state)
{
    struct fixture *f = *state;
    struct account_client client;
    struct principal principal;
    char secret[TOKEN_SIZE];
    found(f);
    assert_int_equal(account_client_create(f->accounts, &actor, f->project.id, BYTES("shop"),
                                           SCOPE_INGEST | SCOPE_QUERY, &client, secret)
                         .code,
                     ERR_NONE);
    assert_true(
        account_verify_client(f->accounts, bytes_from(client.id), bytes_from(secret), &principal));
    assert_string_equal(principal.project, f->project.id);
    assert_int_equal(principal.scopes, SCOPE_INGEST | SCOPE_QUERY);
    assert_false(
        account_verify_client(f->accounts, bytes_from(client.id), BYTES("guess"), &principal));
    assert_false(
        account_verify_client(f->accounts, BYTES("c_nobody"), bytes_from(secret), &principal));
    reopen(f);
    assert_true(
        account_verify_client(f->accounts, bytes_from(client.id), bytes_from(secret), &principal));
    assert_true(account_client_at(f->accounts, f->project.id, 0, &client));
    assert_true(client.last_used_ms == f->sim.ms);
    assert_int_equal(
        account_client_revoke(f->accounts, &actor, "p_another", bytes_from(client.id)).code,
        ERR_MISSING);
    assert_int_equal(
        account_client_revoke(f->accounts, &actor, f->project.id, bytes_from(client.id)).code,
        ERR_NONE);
    assert_false(
        account_verify_client(f->accounts, bytes_from(client.id), bytes_from(secret), &principal));
    assert_false(account_client_at(f->accounts, f->project.id, 0, &client));
    reopen(f);
    assert_false(
        account_verify_client(f->accounts, bytes_from(client.id), bytes_from(secret), &principal));
}

static void another_tenants_project_is_not_there(void **state)
{
    struct fixture *f = *state;
    char organisation[ACCOUNT_ID_SIZE];
    char token[TOKEN_SIZE];
    struct account_project other;
    struct principal principal;
    found(f);
    assert_int_equal(
        account_organisation_create(f->accounts, &actor, BYTES("Others"), organisation).code,
        ERR_NONE);
    assert_int_equal(account_project_create(f->accounts, &actor, organisation, BYTES("Theirs"),
                                            BYTES("UTC"), bytes_of("", 0), &other)
                         .code,
                     ERR_NONE);
    assert_int_equal(account_session_new(f->accounts, f->person, "", token, &principal).code,
                     ERR_NONE);
    assert_true(account_choose(f->accounts, bytes_from(f->project.id), &principal));
    assert_int_equal(principal.scopes, SCOPE_ALL);
    assert_false(account_choose(f->accounts, bytes_from(other.id), &principal));
    assert_false(account_choose(f->accounts, BYTES("p_nothing"), &principal));
    struct account_project same;
    assert_int_equal(account_project_find(f->accounts, BYTES("Shop"), &same).code, ERR_NONE);
    assert_string_equal(same.id, f->project.id);
    assert_int_equal(account_project_find(f->accounts, BYTES("shop"), &same).code, ERR_MISSING);
}

static void copy_report(void *ctx, const struct account_report *report)
{
    char *etag = ctx;
    snprintf(etag, 64, "%.*s %.*s", BYTES_FMT(report->id), BYTES_FMT(report->etag));
}

static void a_report_is_changed_only_by_who_saw_its_latest_state(void **state)
{
    struct fixture *f = *state;
    char seen[64];
    char later[64];
    found(f);
    struct account_report report = { .name = BYTES("Purchases"),
                                     .kind = BYTES("trends"),
                                     .query = BYTES("{}"),
                                     .view = BYTES("{}") };
    assert_int_equal(
        account_report_create(f->accounts, &actor, f->project.id, &report, copy_report, seen).code,
        ERR_NONE);
    struct bytes id = bytes_slice(bytes_from(seen), 0, 18);
    struct bytes etag = bytes_slice(bytes_from(seen), 19, 18);
    report.name = BYTES("Purchases by week");
    assert_int_equal(account_report_update(f->accounts, &actor, f->project.id, id, etag, &report,
                                           copy_report, later)
                         .code,
                     ERR_NONE);
    assert_int_equal(account_report_update(f->accounts, &actor, f->project.id, id, etag, &report,
                                           copy_report, later)
                         .code,
                     ERR_EXISTS);
    assert_int_equal(account_report_delete(f->accounts, &actor, f->project.id, id, etag).code,
                     ERR_EXISTS);
    assert_int_equal(account_report_get(f->accounts, "p_another", id, copy_report, later).code,
                     ERR_MISSING);
    assert_int_equal(
        account_report_delete(f->accounts, &actor, f->project.id, id, bytes_of("", 0)).code,
        ERR_NONE);
    assert_int_equal(
        account_report_delete(f->accounts, &actor, f->project.id, id, bytes_of("", 0)).code,
        ERR_MISSING);
}

static void count_rows(void *ctx, const struct account_audit_row *row)
{
    (void)row;
    ++*(int *)ctx;
}

static void the_audit_log_only_grows_and_shows_a_change(void **state)
{
    struct fixture *f = *state;
    int rows = 0;
    found(f);
    assert_int_equal(
        account_audit(f->accounts, &actor, f->project.id, "user.merge", BYTES("u:1")).code,
        ERR_NONE);
    assert_int_equal(account_audit_rows(f->accounts, NULL, 0, 10, count_rows, &rows).code,
                     ERR_NONE);
    assert_int_equal(rows, 2);
    assert_int_equal(accounts_check(f->accounts).code, ERR_NONE);
    struct db *db;
    assert_int_equal(db_open_sqlite(f->path, &db).code, ERR_NONE);
    assert_int_not_equal(db_run(db, "UPDATE audit SET what = 'nothing'", "").code, ERR_NONE);
    assert_int_not_equal(db_run(db, "DELETE FROM audit", "").code, ERR_NONE);
    assert_int_equal(
        db->ops->exec(db, "DROP TRIGGER audit_stays; UPDATE audit SET what = 'x' WHERE number = 1")
            .code,
        ERR_NONE);
    db_close(db);
    assert_int_equal(accounts_check(f->accounts).code, ERR_CORRUPT);
}

static void a_secret_is_made_once_and_stays(void **state)
{
    struct fixture *f = *state;
    uint8_t first[ACCOUNT_SECRET_SIZE];
    uint8_t again[ACCOUNT_SECRET_SIZE];
    uint8_t other[ACCOUNT_SECRET_SIZE];
    assert_int_equal(account_secret(f->accounts, "cursors", first).code, ERR_NONE);
    reopen(f);
    assert_int_equal(account_secret(f->accounts, "cursors", again).code, ERR_NONE);
    assert_int_equal(account_secret(f->accounts, "other", other).code, ERR_NONE);
    assert_memory_equal(first, again, sizeof first);
    assert_memory_not_equal(first, other, sizeof first);
}

static void scopes_have_names(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf, 100);
    account_put_scopes(&buf, account_scope_of(BYTES("manage")) | account_scope_of(BYTES("ingest")));
    assert_true(bytes_equal(buf_bytes(&buf), BYTES("ingest,manage")));
    assert_int_equal(account_scope_of(BYTES("all")), 0);
    buf_done(&buf);
}

#define PROMISE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PROMISE(the_setup_link_makes_the_owner_once),
        PROMISE(the_first_owner_takes_over_what_commands_made),
        PROMISE(a_link_ends_with_its_time),
        PROMISE(a_password_signs_in_and_ten_wrong_ones_close_the_door_for_a_while),
        PROMISE(a_ticket_signs_in_once),
        PROMISE(a_session_lives_while_it_is_used_and_ends_when_told),
        PROMISE(a_client_is_known_by_its_secret_until_it_is_revoked),
        PROMISE(another_tenants_project_is_not_there),
        PROMISE(a_report_is_changed_only_by_who_saw_its_latest_state),
        PROMISE(the_audit_log_only_grows_and_shows_a_change),
        PROMISE(a_secret_is_made_once_and_stays),
        PROMISE(scopes_have_names),
    };
    return cmocka_run_group_tests_name("account", tests, NULL, NULL);
}

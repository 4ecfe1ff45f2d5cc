/* db_test.c - what db.h promises, on the embedded engine. */
#include "db/db.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
    char dir[40];
    char path[64];
    struct db *db;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    snprintf(f->dir, sizeof f->dir, "db-test-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->path, sizeof f->path, "%s/control.db", f->dir);
    assert_int_equal(db_open_sqlite(f->path, &f->db).code, ERR_NONE);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    db_close(f->db);
    for (const char *const *end = (const char *const[]){ "", "-wal", "-shm", NULL }; *end; end++) {
        char path[80];
        snprintf(path, sizeof path, "%s%s", f->path, *end);
        unlink(path);
    }
    rmdir(f->dir);
    free(f);
    return 0;
}

static const char *const steps[] = {
    "CREATE TABLE dots(id TEXT PRIMARY KEY, n INTEGER)",
    "ALTER TABLE dots ADD COLUMN note TEXT; CREATE INDEX dots_n ON dots(n)",
    "CREATE TABLE broken(; ",
};

static int64_t count_dots(struct db *db)
{
    struct db_stmt *stmt;
    bool has_row = false;
    assert_int_equal(db_query(db, &stmt, "SELECT count(*) FROM dots", "").code, ERR_NONE);
    assert_int_equal(db_step(db, stmt, &has_row).code, ERR_NONE);
    assert_true(has_row);
    int64_t count = db_int(db, stmt, 0);
    db_done(db, stmt);
    return count;
}

static void migrations_run_once_each_and_a_failing_one_changes_nothing(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(db_migrate(f->db, steps, 1).code, ERR_NONE);
    assert_int_equal(
        db_run(f->db, "INSERT INTO dots(id, n) VALUES(?1, ?2)", "zi", "a", (int64_t)1).code,
        ERR_NONE);
    assert_int_equal(db_migrate(f->db, steps, 2).code, ERR_NONE);
    assert_int_equal(db_migrate(f->db, steps, 2).code, ERR_NONE);
    assert_int_not_equal(db_migrate(f->db, steps, 3).code, ERR_NONE);
    int version = 0;
    assert_int_equal(f->db->ops->version(f->db, &version).code, ERR_NONE);
    assert_int_equal(version, 2);
    assert_int_equal(count_dots(f->db), 1);
}

static void data_of_a_newer_program_is_refused(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(db_migrate(f->db, steps, 2).code, ERR_NONE);
    assert_int_equal(db_migrate(f->db, steps, 1).code, ERR_INVALID);
}

static struct err add_two(void *ctx, struct db *db)
{
    struct err err = db_run(db, "INSERT INTO dots(id, n) VALUES(?1, ?2)", "zi", "x", (int64_t)1);
    if (err.code)
        return err;
    return db_run(db, "INSERT INTO dots(id, n) VALUES(?1, ?2)", "zi", (const char *)ctx,
                  (int64_t)2);
}

static void a_failed_transaction_leaves_nothing_behind(void **state)
{
    struct fixture *f = *state;
    char same[] = "x";
    char other[] = "y";
    assert_int_equal(db_migrate(f->db, steps, 2).code, ERR_NONE);
    assert_int_equal(db_transact(f->db, add_two, same).code, ERR_EXISTS);
    assert_int_equal(count_dots(f->db), 0);
    assert_int_equal(db_transact(f->db, add_two, other).code, ERR_NONE);
    assert_int_equal(count_dots(f->db), 2);
}

static void what_is_written_is_read_back_also_after_reopening(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(db_migrate(f->db, steps, 2).code, ERR_NONE);
    assert_int_equal(db_run(f->db, "INSERT INTO dots(id, n, note) VALUES(?1, ?2, ?3)", "tiz",
                            BYTES("a\0b"), INT64_MIN, (const char *)NULL)
                         .code,
                     ERR_NONE);
    db_close(f->db);
    assert_int_equal(db_open_sqlite(f->path, &f->db).code, ERR_NONE);
    struct db_stmt *stmt;
    bool has_row = false;
    assert_int_equal(
        db_query(f->db, &stmt, "SELECT id, n, note FROM dots WHERE id = ?1", "t", BYTES("a\0b"))
            .code,
        ERR_NONE);
    assert_int_equal(db_step(f->db, stmt, &has_row).code, ERR_NONE);
    assert_true(has_row);
    assert_true(bytes_equal(db_bytes(f->db, stmt, 0), BYTES("a\0b")));
    assert_true(db_int(f->db, stmt, 1) == INT64_MIN);
    assert_true(db_is_null(f->db, stmt, 2));
    assert_int_equal(db_step(f->db, stmt, &has_row).code, ERR_NONE);
    assert_false(has_row);
    db_done(f->db, stmt);
    assert_int_equal(f->db->ops->check(f->db).code, ERR_NONE);
}

static void a_statement_may_be_used_inside_its_own_rows(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(db_migrate(f->db, steps, 2).code, ERR_NONE);
    char other[] = "y";
    assert_int_equal(db_transact(f->db, add_two, other).code, ERR_NONE);
    static const char sql[] = "SELECT id FROM dots ORDER BY id";
    struct db_stmt *outer;
    struct db_stmt *inner;
    bool has_row = false;
    assert_int_equal(db_query(f->db, &outer, sql, "").code, ERR_NONE);
    assert_int_equal(db_step(f->db, outer, &has_row).code, ERR_NONE);
    assert_int_equal(db_query(f->db, &inner, sql, "").code, ERR_NONE);
    assert_int_equal(db_step(f->db, inner, &has_row).code, ERR_NONE);
    assert_true(bytes_equal(db_bytes(f->db, inner, 0), BYTES("x")));
    db_done(f->db, inner);
    assert_int_equal(db_step(f->db, outer, &has_row).code, ERR_NONE);
    assert_true(bytes_equal(db_bytes(f->db, outer, 0), BYTES("y")));
    db_done(f->db, outer);
}

static void a_file_that_is_no_database_is_corrupt(void **state)
{
    struct fixture *f = *state;
    db_close(f->db);
    FILE *file = fopen(f->path, "wb");
    assert_non_null(file);
    for (int i = 0; i < 4096; i++)
        fputc('k', file);
    fclose(file);
    struct db *db = NULL;
    assert_int_equal(db_open_sqlite(f->path, &db).code, ERR_CORRUPT);
    assert_null(db);
    f->db = NULL;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(migrations_run_once_each_and_a_failing_one_changes_nothing,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(data_of_a_newer_program_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_failed_transaction_leaves_nothing_behind, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(what_is_written_is_read_back_also_after_reopening, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_statement_may_be_used_inside_its_own_rows, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_file_that_is_no_database_is_corrupt, setup, teardown),
    };
    return cmocka_run_group_tests_name("db", tests, NULL, NULL);
}

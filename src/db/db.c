/* db.c - what is the same over every engine: migrations, transactions, binding by a list. */
#include "db/db.h"

#include <stdarg.h>

static struct err run_step(struct db *db, const char *sql, int version)
{
    struct err err = db->ops->exec(db, "BEGIN IMMEDIATE");
    if (err.code)
        return err;
    err = db->ops->exec(db, sql);
    if (!err.code)
        err = db->ops->set_version(db, version);
    if (!err.code)
        err = db->ops->exec(db, "COMMIT");
    if (err.code) {
        struct err undone = db->ops->exec(db, "ROLLBACK");
        (void)undone; /* the first failure is the one to tell */
    }
    return err;
}

struct err db_migrate(struct db *db, const char *const *steps, int count)
{
    int version = 0;
    struct err err = db->ops->version(db, &version);
    if (err.code)
        return err;
    if (version < 0 || version > count)
        return err_new(ERR_INVALID, "db: written by a newer program");
    for (int i = version; i < count; i++) {
        err = run_step(db, steps[i], i + 1);
        if (err.code)
            return err;
    }
    return ok();
}

struct err db_transact(struct db *db, db_work_fn *work, void *ctx)
{
    struct err err = db->ops->exec(db, "BEGIN IMMEDIATE");
    if (err.code)
        return err;
    err = work(ctx, db);
    if (!err.code)
        err = db->ops->exec(db, "COMMIT");
    if (err.code) {
        struct err undone = db->ops->exec(db, "ROLLBACK");
        (void)undone; /* the first failure is the one to tell */
    }
    return err;
}

static void bind_list(struct db *db, struct db_stmt *stmt, const char *types, va_list args)
{
    for (int at = 1; *types; at++, types++) {
        if (*types == 'i') {
            db->ops->bind_int(stmt, at, va_arg(args, int64_t));
        } else if (*types == 't') {
            db->ops->bind_text(stmt, at, va_arg(args, struct bytes));
        } else if (*types == 'b') {
            db->ops->bind_blob(stmt, at, va_arg(args, struct bytes));
        } else {
            assert(*types == 'z');
            const char *text = va_arg(args, const char *);
            if (text)
                db->ops->bind_text(stmt, at, bytes_from(text));
            else
                db->ops->bind_null(stmt, at);
        }
    }
}

struct err db_run(struct db *db, const char *sql, const char *types, ...)
{
    struct db_stmt *stmt;
    struct err err = db->ops->prepare(db, sql, &stmt);
    if (err.code)
        return err;
    va_list args;
    va_start(args, types);
    bind_list(db, stmt, types, args);
    va_end(args);
    bool has_row = true;
    while (!err.code && has_row)
        err = db->ops->step(stmt, &has_row);
    db->ops->done(stmt);
    return err;
}

struct err db_query(struct db *db, struct db_stmt **out, const char *sql, const char *types, ...)
{
    struct db_stmt *stmt;
    struct err err = db->ops->prepare(db, sql, &stmt);
    if (err.code)
        return err;
    va_list args;
    va_start(args, types);
    bind_list(db, stmt, types, args);
    va_end(args);
    *out = stmt;
    return ok();
}

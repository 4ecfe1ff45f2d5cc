/*
 * db.h - the seam to control data: accounts, definitions, audit. SQL in a dialect that SQLite and
 * PostgreSQL share, one statement at a time.
 *
 *     struct db_stmt *stmt;
 *     err = db_query(db, &stmt, "SELECT name FROM people WHERE id = ?1", "z", id);
 *     while (err = db_step(db, stmt, &has_row), !err.code && has_row) → db_bytes(db, stmt, 0)
 *     db_done(db, stmt);
 *
 * A db is used by one thread at a time (account holds a lock around each of its functions). What
 * is committed is durable: the embedded engine syncs every commit.
 */
#ifndef DB_DB_H
#define DB_DB_H

#include "base/bytes.h"
#include "base/err.h"

struct db;
struct db_stmt;

struct db_ops {
    /* Statements without arguments or rows; several may stand in one text. */
    struct err (*exec)(struct db *db, const char *sql);
    /* `sql` is a literal: it's kept, and the statement prepared for it is used again. */
    struct err (*prepare)(struct db *db, const char *sql, struct db_stmt **out);
    /* Arguments are numbered from 1. Texts are borrowed until db_done. */
    void (*bind_int)(struct db_stmt *stmt, int at, int64_t value);
    void (*bind_text)(struct db_stmt *stmt, int at, struct bytes text);
    void (*bind_blob)(struct db_stmt *stmt, int at, struct bytes blob);
    void (*bind_null)(struct db_stmt *stmt, int at);
    /* ERR_EXISTS: a UNIQUE or other constraint refuses it. ERR_FULL, ERR_CORRUPT, ERR_BUSY. */
    struct err (*step)(struct db_stmt *stmt, bool *has_row_out);
    /* Columns are numbered from 0; NULL is 0 or empty. Ranges live until the next step. */
    int64_t (*column_int)(struct db_stmt *stmt, int at);
    struct bytes (*column_bytes)(struct db_stmt *stmt, int at);
    bool (*column_is_null)(struct db_stmt *stmt, int at);
    uint64_t (*changes)(struct db *db); /* rows that the last statement changed */
    void (*done)(struct db_stmt *stmt); /* NULL is fine */
    /* The version that migrations brought it to; 0: empty. */
    struct err (*version)(struct db *db, int *version_out);
    struct err (*set_version)(struct db *db, int version);
    struct err (*check)(struct db *db); /* ERR_CORRUPT */
    void (*close)(struct db *db);
};
struct db {
    const struct db_ops *ops;
};

/* The embedded engine: one SQLite file in WAL mode, synchronous=FULL. Made when missing.
 * ":memory:" is kept nowhere. */
MUST_CHECK struct err db_open_sqlite(const char *path, struct db **out);

/* A copy of one moment of the database at `from`, which others may be using, as a new file `to`. */
MUST_CHECK struct err db_copy_sqlite(const char *from, const char *to);

/* Step n of `steps` (numbered from 1) brings version n - 1 to n, each in its own transaction.
 * ERR_INVALID: the data was written by a newer program. */
MUST_CHECK struct err db_migrate(struct db *db, const char *const *steps, int count);

/* Runs `work` in a transaction: commits when it returns without an error. */
typedef struct err db_work_fn(void *ctx, struct db *db);
MUST_CHECK struct err db_transact(struct db *db, db_work_fn *work, void *ctx);

/* One statement to its end, rows ignored. Arguments as pairs follow: 'i' int64_t, 't' struct bytes
 * text, 'b' struct bytes blob, 'z' const char * text (NULL: null). */
MUST_CHECK struct err db_run(struct db *db, const char *sql, const char *types, ...);
/* Prepares and binds as db_run; the caller steps. */
MUST_CHECK struct err db_query(struct db *db, struct db_stmt **out, const char *sql,
                               const char *types, ...);

static inline void db_close(struct db *db)
{
    if (db)
        db->ops->close(db);
}

MUST_CHECK static inline struct err db_step(struct db *db, struct db_stmt *stmt, bool *has_row_out)
{
    return db->ops->step(stmt, has_row_out);
}
static inline int64_t db_int(struct db *db, struct db_stmt *stmt, int at)
{
    return db->ops->column_int(stmt, at);
}
static inline struct bytes db_bytes(struct db *db, struct db_stmt *stmt, int at)
{
    return db->ops->column_bytes(stmt, at);
}
static inline bool db_is_null(struct db *db, struct db_stmt *stmt, int at)
{
    return db->ops->column_is_null(stmt, at);
}
static inline void db_done(struct db *db, struct db_stmt *stmt)
{
    db->ops->done(stmt);
}
static inline uint64_t db_changes(struct db *db)
{
    return db->ops->changes(db);
}

#endif

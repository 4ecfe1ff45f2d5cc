/*
 * sqlite.c - the embedded control database.
 *
 * One connection, WAL, synchronous=FULL: a commit that has returned survives a power cut. The file
 * is locked for this process (locking_mode=EXCLUSIVE would keep `kolam check` out, so the folder's
 * own lock does that job; a second writer waits for the busy time-out and gets ERR_BUSY).
 *
 * Statements are prepared once for each text and found again by the text's address: callers pass
 * literals. A statement that's in use (a query inside a row loop of the same text) is prepared anew
 * and thrown away when done.
 */
#include "db/db.h"

#include <sqlite3.h>
#include <stdarg.h>
#include <stdlib.h>

enum { STMTS_MAX = 256, BUSY_TIMEOUT_MS = 5000 };

struct db_stmt {
    sqlite3_stmt *native;
    const char *sql;
    struct sqlite *owner;
    bool is_used;
    bool is_kept; /* in the cache: reset when done, not freed */
};

struct sqlite {
    struct db db;
    sqlite3 *native;
    struct db_stmt *kept[STMTS_MAX];
    size_t kept_count;
};

static struct sqlite *sqlite_of(struct db *db)
{
    return (struct sqlite *)(void *)db;
}

static struct err sqlite_err(sqlite3 *native, int status, const char *what)
{
    switch (status & 0xff) {
    case SQLITE_NOMEM:
        return err_new(ERR_NOMEM, what);
    case SQLITE_FULL:
        return err_new(ERR_FULL, what);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return err_new(ERR_CORRUPT, what);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return err_new(ERR_BUSY, what);
    case SQLITE_CONSTRAINT:
        return err_new(ERR_EXISTS, what);
    case SQLITE_TOOBIG:
        return err_new(ERR_LIMIT, what);
    case SQLITE_READONLY:
    case SQLITE_PERM:
        return err_new(ERR_DENIED, what);
    default:
        break;
    }
    errno = native ? sqlite3_system_errno(native) : 0;
    if (!errno)
        errno = EIO;
    return err_os(what);
}

static struct err do_exec(struct db *db, const char *sql)
{
    struct sqlite *sqlite = sqlite_of(db);
    int status = sqlite3_exec(sqlite->native, sql, NULL, NULL, NULL);
    return status == SQLITE_OK ? ok() : sqlite_err(sqlite->native, status, "db: exec");
}

static struct db_stmt *find_kept(struct sqlite *sqlite, const char *sql)
{
    for (size_t i = 0; i < sqlite->kept_count; i++)
        if (sqlite->kept[i]->sql == sql && !sqlite->kept[i]->is_used)
            return sqlite->kept[i];
    return NULL;
}

static struct err do_prepare(struct db *db, const char *sql, struct db_stmt **out)
{
    struct sqlite *sqlite = sqlite_of(db);
    struct db_stmt *stmt = find_kept(sqlite, sql);
    if (stmt) {
        stmt->is_used = true;
        *out = stmt;
        return ok();
    }
    stmt = calloc(1, sizeof *stmt);
    if (!stmt)
        return err_new(ERR_NOMEM, "db: prepare");
    int status =
        sqlite3_prepare_v3(sqlite->native, sql, -1, SQLITE_PREPARE_PERSISTENT, &stmt->native, NULL);
    if (status != SQLITE_OK) {
        free(stmt);
        /* A statement of ours that doesn't parse is a mistake of ours; what can go wrong in use
         * (no memory, a broken file) comes back as what it is. */
        return sqlite_err(sqlite->native, status, "db: prepare");
    }
    stmt->sql = sql;
    stmt->owner = sqlite;
    stmt->is_used = true;
    if (sqlite->kept_count < STMTS_MAX) {
        stmt->is_kept = true;
        sqlite->kept[sqlite->kept_count++] = stmt;
    }
    *out = stmt;
    return ok();
}

static void do_bind_int(struct db_stmt *stmt, int at, int64_t value)
{
    int status = sqlite3_bind_int64(stmt->native, at, value);
    assert(status == SQLITE_OK);
}

static void do_bind_text(struct db_stmt *stmt, int at, struct bytes text)
{
    /* An empty text isn't NULL, whatever its pointer. */
    const char *ptr = text.ptr ? (const char *)text.ptr : "";
    int status = sqlite3_bind_text64(stmt->native, at, ptr, text.len, SQLITE_STATIC, SQLITE_UTF8);
    assert(status == SQLITE_OK);
}

static void do_bind_blob(struct db_stmt *stmt, int at, struct bytes blob)
{
    const char *ptr = blob.ptr ? (const char *)blob.ptr : "";
    int status = sqlite3_bind_blob64(stmt->native, at, ptr, blob.len, SQLITE_STATIC);
    assert(status == SQLITE_OK);
}

static void do_bind_null(struct db_stmt *stmt, int at)
{
    int status = sqlite3_bind_null(stmt->native, at);
    assert(status == SQLITE_OK);
}

static struct err do_step(struct db_stmt *stmt, bool *has_row_out)
{
    int status = sqlite3_step(stmt->native);
    if (status != SQLITE_ROW && status != SQLITE_DONE)
        return sqlite_err(stmt->owner->native, status, "db: step");
    *has_row_out = status == SQLITE_ROW;
    return ok();
}

static int64_t do_column_int(struct db_stmt *stmt, int at)
{
    return sqlite3_column_int64(stmt->native, at);
}

static struct bytes do_column_bytes(struct db_stmt *stmt, int at)
{
    const void *ptr = sqlite3_column_blob(stmt->native, at);
    return bytes_of(ptr, (size_t)sqlite3_column_bytes(stmt->native, at));
}

static bool do_column_is_null(struct db_stmt *stmt, int at)
{
    return sqlite3_column_type(stmt->native, at) == SQLITE_NULL;
}

static uint64_t do_changes(struct db *db)
{
    return (uint64_t)sqlite3_changes64(sqlite_of(db)->native);
}

static void do_done(struct db_stmt *stmt)
{
    if (!stmt)
        return;
    if (stmt->is_kept) {
        /* The result is that of the last step, which the caller has seen. */
        (void)sqlite3_reset(stmt->native);
        (void)sqlite3_clear_bindings(stmt->native);
        stmt->is_used = false;
        return;
    }
    (void)sqlite3_finalize(stmt->native);
    free(stmt);
}

static struct err do_version(struct db *db, int *version_out)
{
    struct db_stmt *stmt;
    struct err err = do_prepare(db, "PRAGMA user_version", &stmt);
    if (err.code)
        return err;
    bool has_row = false;
    err = do_step(stmt, &has_row);
    if (!err.code)
        *version_out = has_row ? (int)do_column_int(stmt, 0) : 0;
    do_done(stmt);
    return err;
}

static struct err do_set_version(struct db *db, int version)
{
    char sql[64];
    sqlite3_snprintf(sizeof sql, sql, "PRAGMA user_version=%d", version);
    return do_exec(db, sql);
}

static struct err do_check(struct db *db)
{
    struct db_stmt *stmt;
    struct err err = do_prepare(db, "PRAGMA integrity_check(1)", &stmt);
    if (err.code)
        return err;
    bool has_row = false;
    err = do_step(stmt, &has_row);
    if (!err.code && (!has_row || !bytes_equal(do_column_bytes(stmt, 0), BYTES("ok"))))
        err = err_new(ERR_CORRUPT, "db: integrity check");
    do_done(stmt);
    return err;
}

static void do_close(struct db *db)
{
    struct sqlite *sqlite = sqlite_of(db);
    for (size_t i = 0; i < sqlite->kept_count; i++) {
        (void)sqlite3_finalize(sqlite->kept[i]->native);
        free(sqlite->kept[i]);
    }
    (void)sqlite3_close_v2(sqlite->native);
    free(sqlite);
}

static const struct db_ops sqlite_ops = {
    .exec = do_exec,
    .prepare = do_prepare,
    .bind_int = do_bind_int,
    .bind_text = do_bind_text,
    .bind_blob = do_bind_blob,
    .bind_null = do_bind_null,
    .step = do_step,
    .column_int = do_column_int,
    .column_bytes = do_column_bytes,
    .column_is_null = do_column_is_null,
    .changes = do_changes,
    .done = do_done,
    .version = do_version,
    .set_version = do_set_version,
    .check = do_check,
    .close = do_close,
};

struct err db_open_sqlite(const char *path, struct db **out)
{
    struct sqlite *sqlite = calloc(1, sizeof *sqlite);
    if (!sqlite)
        return err_new(ERR_NOMEM, "db: open");
    sqlite->db.ops = &sqlite_ops;
    int status =
        sqlite3_open_v2(path, &sqlite->native,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
    struct err err = ok();
    if (status != SQLITE_OK)
        err = sqlite_err(sqlite->native, status, "db: open");
    if (!err.code) {
        (void)sqlite3_busy_timeout(sqlite->native, BUSY_TIMEOUT_MS);
        err = do_exec(&sqlite->db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
                                   "PRAGMA foreign_keys=ON; PRAGMA cache_size=-4000;"
                                   "PRAGMA trusted_schema=OFF;");
    }
    if (err.code) {
        do_close(&sqlite->db);
        return err;
    }
    *out = &sqlite->db;
    return ok();
}

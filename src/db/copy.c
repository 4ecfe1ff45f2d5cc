/* copy.c - a copy of a database that others are using, by SQLite's backup API. */
#include "db/db.h"

#include <sqlite3.h>

enum { BUSY_TIMEOUT_MS = 5000 };

static struct err failure(sqlite3 *native, int status)
{
    switch (status & 0xff) {
    case SQLITE_NOMEM:
        return err_new(ERR_NOMEM, "db: copy");
    case SQLITE_FULL:
        return err_new(ERR_FULL, "db: copy");
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return err_new(ERR_CORRUPT, "db: copy");
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return err_new(ERR_BUSY, "db: copy");
    default:
        break;
    }
    errno = native ? sqlite3_system_errno(native) : 0;
    if (!errno)
        errno = EIO;
    return err_os("db: copy");
}

static struct err copy_pages(sqlite3 *from, sqlite3 *to)
{
    sqlite3_backup *backup = sqlite3_backup_init(to, "main", from, "main");
    if (!backup)
        return failure(to, sqlite3_errcode(to));
    /* All pages in one step: one read transaction, which holds up nobody in WAL mode. */
    int status = sqlite3_backup_step(backup, -1);
    int finished = sqlite3_backup_finish(backup);
    if (status != SQLITE_DONE)
        return failure(to, finished ? finished : status);
    /* One file, without a log of its own beside it. */
    status = sqlite3_exec(to, "PRAGMA journal_mode=DELETE", NULL, NULL, NULL);
    return status == SQLITE_OK ? ok() : failure(to, status);
}

struct err db_copy_sqlite(const char *from, const char *to)
{
    sqlite3 *source = NULL;
    sqlite3 *target = NULL;
    struct err err = ok();
    int status = sqlite3_open_v2(from, &source, SQLITE_OPEN_READWRITE, NULL);
    if (status != SQLITE_OK)
        err = failure(source, status);
    if (!err.code) {
        (void)sqlite3_busy_timeout(source, BUSY_TIMEOUT_MS);
        status = sqlite3_open_v2(to, &target, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL);
        if (status != SQLITE_OK)
            err = failure(target, status);
    }
    if (!err.code)
        err = copy_pages(source, target);
    (void)sqlite3_close(target);
    (void)sqlite3_close(source);
    return err;
}

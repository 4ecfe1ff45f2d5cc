/*
 * audit.c - who did what, append-only.
 *
 * Each row carries the SHA-256 of the row before it and of its own fields (each with its length, so
 * that no two contents read the same), which makes a changed, missing or added row show at the
 * check. Triggers refuse updates and deletions. Rows are written in the transaction of the change
 * they tell of.
 */
#include "account/account_internal.h"

enum { AUDIT_ROW_MAX = 64 << 10 };

static struct err digest_row(const uint8_t before[SHA256_SIZE], int64_t number, int64_t at_ms,
                             const struct bytes fields[6], uint8_t digest_out[SHA256_SIZE])
{
    struct buf buf;
    buf_init(&buf, AUDIT_ROW_MAX);
    buf_put(&buf, bytes_of(before, SHA256_SIZE));
    buf_put_le64(&buf, (uint64_t)number);
    buf_put_le64(&buf, (uint64_t)at_ms);
    for (int i = 0; i < 6; i++)
        buf_put_prefixed(&buf, fields[i]);
    struct err err = buf_err(&buf);
    if (!err.code)
        crypt_sha256(buf_bytes(&buf), digest_out);
    buf_done(&buf);
    return err;
}

static struct err next_number(struct accounts *accounts, int64_t *number_out)
{
    struct db_stmt *stmt;
    struct err err =
        db_query(accounts->db, &stmt, "SELECT coalesce(max(number), 0) + 1 FROM audit", "");
    if (err.code)
        return err;
    bool has_row = false;
    err = db_step(accounts->db, stmt, &has_row);
    if (!err.code)
        *number_out = db_int(accounts->db, stmt, 0);
    db_done(accounts->db, stmt);
    return err;
}

struct err audit_put(struct accounts *accounts, const struct account_actor *actor,
                     const char *project, const char *what, struct bytes target,
                     uint8_t digest_out[SHA256_SIZE])
{
    int64_t number = 0;
    struct err err = next_number(accounts, &number);
    if (err.code)
        return err;
    int64_t at_ms = clock_now_ms(accounts->clock);
    target = bytes_slice(target, 0, 1024);
    struct bytes fields[6] = { bytes_from(actor->kind),   bytes_from(actor->id),
                               bytes_from(actor->remote), bytes_from(project),
                               bytes_from(what),          target };
    uint8_t digest[SHA256_SIZE];
    err = digest_row(accounts->audit_digest, number, at_ms, fields, digest);
    if (err.code)
        return err;
    err = db_run(accounts->db,
                 "INSERT INTO audit(number, at_ms, kind, id, remote, project, what, target, digest)"
                 " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                 "iittttttb", number, at_ms, fields[0], fields[1], fields[2], fields[3], fields[4],
                 fields[5], bytes_of(digest, sizeof digest));
    if (!err.code)
        memcpy(digest_out, digest, SHA256_SIZE);
    return err;
}

struct err audit_load(struct accounts *accounts)
{
    struct db_stmt *stmt;
    struct err err =
        db_query(accounts->db, &stmt, "SELECT digest FROM audit ORDER BY number DESC LIMIT 1", "");
    if (err.code)
        return err;
    bool has_row = false;
    err = db_step(accounts->db, stmt, &has_row);
    if (!err.code && has_row) {
        struct bytes digest = db_bytes(accounts->db, stmt, 0);
        if (digest.len == SHA256_SIZE)
            memcpy(accounts->audit_digest, digest.ptr, SHA256_SIZE);
        else
            err = err_new(ERR_CORRUPT, "account: an audit row");
    }
    db_done(accounts->db, stmt);
    return err;
}

struct err audit_verify(struct accounts *accounts)
{
    struct db *db = accounts->db;
    struct db_stmt *stmt;
    struct err err =
        db_query(db, &stmt,
                 "SELECT number, at_ms, kind, id, remote, project, what, target, digest"
                 " FROM audit ORDER BY number",
                 "");
    if (err.code)
        return err;
    uint8_t digest[SHA256_SIZE] = { 0 };
    int64_t expected = 1;
    bool has_row = false;
    while (err = db_step(db, stmt, &has_row), !err.code && has_row) {
        struct bytes fields[6];
        for (int i = 0; i < 6; i++)
            fields[i] = db_bytes(db, stmt, 2 + i);
        uint8_t next[SHA256_SIZE];
        err = digest_row(digest, db_int(db, stmt, 0), db_int(db, stmt, 1), fields, next);
        if (!err.code && (db_int(db, stmt, 0) != expected++ ||
                          !bytes_equal(db_bytes(db, stmt, 8), bytes_of(next, SHA256_SIZE))))
            err = err_new(ERR_CORRUPT, "account: the audit log was changed");
        if (err.code)
            break;
        memcpy(digest, next, SHA256_SIZE);
    }
    db_done(db, stmt);
    return err;
}

struct err account_audit(struct accounts *accounts, const struct account_actor *actor,
                         const char *project, const char *what, struct bytes target)
{
    return account_change(accounts, actor, project, what, target, NULL, NULL);
}

struct err account_audit_rows(struct accounts *accounts, const char *project, int64_t before,
                              uint32_t max, account_audit_fn *visit, void *ctx)
{
    struct db *db = accounts->db;
    struct db_stmt *stmt;
    mutex_lock(&accounts->db_lock);
    struct err err =
        db_query(db, &stmt,
                 "SELECT number, at_ms, kind, id, remote, project, what, target FROM audit"
                 " WHERE (?1 IS NULL OR project = ?1) AND (?2 = 0 OR number < ?2)"
                 " ORDER BY number DESC LIMIT ?3",
                 "zii", project, before, (int64_t)max);
    if (!err.code) {
        bool has_row = false;
        while (err = db_step(db, stmt, &has_row), !err.code && has_row) {
            struct account_audit_row row = { .number = db_int(db, stmt, 0),
                                             .at_ms = db_int(db, stmt, 1),
                                             .kind = db_bytes(db, stmt, 2),
                                             .id = db_bytes(db, stmt, 3),
                                             .remote = db_bytes(db, stmt, 4),
                                             .project = db_bytes(db, stmt, 5),
                                             .what = db_bytes(db, stmt, 6),
                                             .target = db_bytes(db, stmt, 7) };
            visit(ctx, &row);
        }
        db_done(db, stmt);
    }
    mutex_unlock(&accounts->db_lock);
    return err;
}

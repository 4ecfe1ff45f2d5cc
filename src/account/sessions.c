/*
 * sessions.c - signing in, and the sessions that come of it.
 *
 * A session is a random token in a cookie; the server keeps its digest. All of them are in memory,
 * found by the digest's first eight bytes and compared whole; when they were last seen is written
 * now and then (accounts_maintain), not with each request.
 */
#include "account/account_internal.h"

#include <stdatomic.h>
#include <stdlib.h>

enum { SESSIONS_MAX = 100000 };
#define DAY_MS INT64_C(86400000)

static bool is_living(const struct session *session, int64_t now_ms)
{
    return !session->is_ended && now_ms < session->created_ms + SESSION_LIFE_DAYS * DAY_MS &&
           now_ms < atomic_load(&session->seen_ms) + SESSION_IDLE_DAYS * DAY_MS;
}

/* Takes the session over; under the write lock (or alone). */
static struct err add_session(struct accounts *accounts, struct session *session)
{
    session->number = accounts->next_number++;
    uint64_t *slot = map64_put(accounts->session_by_digest, load_le64(session->digest), NULL);
    struct err err = slot ? account_list_add(&accounts->sessions, session)
                          : err_new(ERR_NOMEM, "account: session");
    if (err.code) {
        free(session);
        return err;
    }
    *slot = accounts->sessions.count;
    return ok();
}

static struct session *find_session(const struct accounts *accounts,
                                    const uint8_t digest[SHA256_SIZE])
{
    const uint64_t *found = map64_find(accounts->session_by_digest, load_le64(digest));
    struct session *session = found ? accounts->sessions.items[*found - 1] : NULL;
    if (session &&
        crypt_equal(bytes_of(session->digest, SHA256_SIZE), bytes_of(digest, SHA256_SIZE)))
        return session;
    return NULL;
}

struct err sessions_load(struct accounts *accounts)
{
    struct db *db = accounts->db;
    struct db_stmt *stmt;
    struct err err = map64_new(64 << 20, &accounts->session_by_digest);
    if (err.code)
        return err;
    err = db_query(db, &stmt, "SELECT digest, person, csrf, created_ms, seen_ms FROM sessions", "");
    if (err.code)
        return err;
    bool has_row = false;
    while (err = db_step(db, stmt, &has_row), !err.code && has_row) {
        struct session *session = calloc(1, sizeof *session);
        struct bytes digest = db_bytes(db, stmt, 0);
        if (!session) {
            err = err_new(ERR_NOMEM, "account: session");
            break;
        }
        if (digest.len != SHA256_SIZE ||
            !text_to(db_bytes(db, stmt, 1), session->person, sizeof session->person) ||
            !text_to(db_bytes(db, stmt, 2), session->csrf, sizeof session->csrf)) {
            free(session);
            err = err_new(ERR_CORRUPT, "account: a session's row");
            break;
        }
        digest = db_bytes(db, stmt, 0);
        memcpy(session->digest, digest.ptr, SHA256_SIZE);
        session->created_ms = db_int(db, stmt, 3);
        session->written_ms = db_int(db, stmt, 4);
        atomic_store(&session->seen_ms, session->written_ms);
        err = add_session(accounts, session);
        if (err.code)
            break;
    }
    db_done(db, stmt);
    return err;
}

void sessions_free(struct accounts *accounts)
{
    for (size_t i = 0; i < accounts->sessions.count; i++)
        free(accounts->sessions.items[i]);
    free(accounts->sessions.items);
    map64_free(accounts->session_by_digest);
}

/* Under db_lock and the write lock: the living ones close ranks, and the index is made anew. */
static struct err drop_dead(struct accounts *accounts, int64_t now_ms)
{
    size_t kept = 0;
    struct err err = ok();
    for (size_t i = 0; i < accounts->sessions.count; i++) {
        struct session *session = accounts->sessions.items[i];
        if (is_living(session, now_ms)) {
            accounts->sessions.items[kept++] = session;
            continue;
        }
        if (!err.code)
            err = db_run(accounts->db, "DELETE FROM sessions WHERE digest = ?1", "b",
                         bytes_of(session->digest, SHA256_SIZE));
        free(session);
    }
    if (kept == accounts->sessions.count)
        return err;
    accounts->sessions.count = kept;
    map64_reset(accounts->session_by_digest);
    for (size_t i = 0; i < kept; i++) {
        const struct session *session = accounts->sessions.items[i];
        uint64_t *slot = map64_put(accounts->session_by_digest, load_le64(session->digest), NULL);
        if (slot)
            *slot = i + 1;
    }
    return err;
}

/* Within a transaction. */
struct err sessions_flush(struct accounts *accounts)
{
    struct err err = ok();
    rwlock_write(&accounts->lock);
    for (size_t i = 0; i < accounts->sessions.count && !err.code; i++) {
        struct session *session = accounts->sessions.items[i];
        int64_t seen_ms = atomic_load(&session->seen_ms);
        if (seen_ms == session->written_ms)
            continue;
        err = db_run(accounts->db, "UPDATE sessions SET seen_ms = ?2 WHERE digest = ?1", "bi",
                     bytes_of(session->digest, SHA256_SIZE), seen_ms);
        session->written_ms = seen_ms;
    }
    if (!err.code)
        err = drop_dead(accounts, clock_now_ms(accounts->clock));
    rwlock_unlock(&accounts->lock);
    return err;
}

static void principal_of(const struct session *session, struct principal *out)
{
    out->kind = PRINCIPAL_PERSON;
    out->scopes = 0;
    out->number = session->number;
    memcpy(out->id, session->person, sizeof out->id);
    out->project[0] = 0;
    memcpy(out->csrf, session->csrf, sizeof out->csrf);
}

bool account_session(struct accounts *accounts, struct bytes token, struct principal *out)
{
    uint8_t digest[SHA256_SIZE];
    if (!token.len || token.len > 128)
        return false;
    crypt_sha256(token, digest);
    int64_t now_ms = clock_now_ms(accounts->clock);
    rwlock_read(&accounts->lock);
    struct session *session = find_session(accounts, digest);
    bool is_good = session && is_living(session, now_ms);
    if (is_good) {
        atomic_store_explicit(&session->seen_ms, now_ms, memory_order_relaxed);
        principal_of(session, out);
    }
    rwlock_unlock(&accounts->lock);
    return is_good;
}

struct session_new {
    struct session *session;
    const char *remote;
};

static struct err make_session(void *ctx, struct accounts *accounts)
{
    const struct session_new *job = ctx;
    const struct session *session = job->session;
    return db_run(accounts->db,
                  "INSERT INTO sessions(digest, person, csrf, created_ms, seen_ms, remote)"
                  " VALUES(?1, ?2, ?3, ?4, ?4, ?5)",
                  "bzziz", bytes_of(session->digest, SHA256_SIZE), session->person, session->csrf,
                  session->created_ms, job->remote);
}

struct err account_session_new(struct accounts *accounts, const char *person, const char *remote,
                               char token_out[TOKEN_SIZE], struct principal *out)
{
    struct session *session = calloc(1, sizeof *session);
    if (!session)
        return err_new(ERR_NOMEM, "account: session");
    rwlock_read(&accounts->lock);
    bool is_full = accounts->sessions.count >= SESSIONS_MAX;
    rwlock_unlock(&accounts->lock);
    if (is_full || !text_to(bytes_from(person), session->person, sizeof session->person)) {
        free(session);
        return err_new(ERR_LIMIT, "account: too many sessions");
    }
    char token[TOKEN_SIZE];
    token_new(token);
    token_new(session->csrf);
    crypt_sha256(bytes_from(token), session->digest);
    session->created_ms = clock_now_ms(accounts->clock);
    session->written_ms = session->created_ms;
    atomic_store(&session->seen_ms, session->created_ms);
    struct account_actor actor = { .kind = "person", .id = person, .remote = remote };
    struct session_new job = { .session = session, .remote = remote };
    struct err err = account_change(accounts, &actor, "", "session.begin", bytes_from(person),
                                    make_session, &job);
    if (err.code) {
        free(session);
        return err;
    }
    struct principal principal;
    principal_of(session, &principal);
    rwlock_write(&accounts->lock);
    err = add_session(accounts, session);
    principal.number = accounts->next_number - 1;
    rwlock_unlock(&accounts->lock);
    if (!err.code) {
        memcpy(token_out, token, TOKEN_SIZE);
        *out = principal;
    }
    return err;
}

struct session_end {
    uint8_t digest[SHA256_SIZE];
};

static struct err end_session(void *ctx, struct accounts *accounts)
{
    const struct session_end *job = ctx;
    struct err err = db_run(accounts->db, "DELETE FROM sessions WHERE digest = ?1", "b",
                            bytes_of(job->digest, SHA256_SIZE));
    if (!err.code && db_changes(accounts->db) == 0)
        return err_new(ERR_MISSING, "account: no such session");
    return err;
}

struct err account_sign_out(struct accounts *accounts, struct bytes token, const char *remote)
{
    struct principal principal;
    struct session_end job;
    if (!account_session(accounts, token, &principal))
        return err_new(ERR_MISSING, "account: no such session");
    crypt_sha256(token, job.digest);
    struct account_actor actor = { .kind = "person", .id = principal.id, .remote = remote };
    struct err err = account_change(accounts, &actor, "", "session.end", bytes_from(principal.id),
                                    end_session, &job);
    if (err.code)
        return err;
    rwlock_write(&accounts->lock);
    struct session *session = find_session(accounts, job.digest);
    if (session)
        session->is_ended = true;
    rwlock_unlock(&accounts->lock);
    return ok();
}

/* --- passwords ------------------------------------------------------------------------ */

static struct attempt *attempt_of(struct accounts *accounts, uint64_t key, int64_t now_ms)
{
    struct attempt *attempt = &accounts->attempts[key % ATTEMPTS];
    if (attempt->key != key || now_ms - attempt->since_ms >= ATTEMPT_WINDOW_MS)
        *attempt = (struct attempt){ .key = key, .since_ms = now_ms };
    return attempt;
}

/* Counts a try before it's made, so that many at once don't get past; a success takes it back. */
static bool may_try(struct accounts *accounts, uint64_t who, uint64_t where, int64_t now_ms)
{
    rwlock_write(&accounts->lock);
    struct attempt *a = attempt_of(accounts, who, now_ms);
    bool may = a->failures < ATTEMPT_FAILURES;
    a->failures += may;
    struct attempt *b = attempt_of(accounts, where, now_ms);
    may = may && b->failures < ATTEMPT_FAILURES * 5;
    b->failures += may;
    rwlock_unlock(&accounts->lock);
    return may;
}

static void forget_tries(struct accounts *accounts, uint64_t who, uint64_t where, int64_t now_ms)
{
    rwlock_write(&accounts->lock);
    attempt_of(accounts, who, now_ms)->failures = 0;
    struct attempt *b = attempt_of(accounts, where, now_ms);
    b->failures -= b->failures > 0;
    rwlock_unlock(&accounts->lock);
}

static struct err load_password(struct accounts *accounts, struct bytes email,
                                struct account_person *person,
                                char password_out[PASSWORD_HASH_SIZE])
{
    struct err err = account_person_find(accounts, email, person);
    if (err.code)
        return err;
    struct db_stmt *stmt;
    mutex_lock(&accounts->db_lock);
    err = db_query(accounts->db, &stmt, "SELECT coalesce(password, '') FROM people WHERE id = ?1",
                   "z", person->id);
    if (!err.code) {
        bool has_row = false;
        err = db_step(accounts->db, stmt, &has_row);
        if (!err.code && (!has_row || !text_to(db_bytes(accounts->db, stmt, 0), password_out,
                                               PASSWORD_HASH_SIZE)))
            err = err_new(ERR_MISSING, "account: no such person");
        db_done(accounts->db, stmt);
    }
    mutex_unlock(&accounts->db_lock);
    return err;
}

struct err account_sign_in(struct accounts *accounts, struct bytes email, struct bytes password,
                           const char *remote, char person_out[ACCOUNT_ID_SIZE])
{
    int64_t now_ms = clock_now_ms(accounts->clock);
    uint64_t who = hash_bytes(email) | 1;
    uint64_t where = hash_bytes(bytes_from(remote)) & ~UINT64_C(1);
    if (!may_try(accounts, who, where, now_ms))
        return err_new(ERR_LIMIT, "account: too many failures");
    struct account_person person;
    char hash[PASSWORD_HASH_SIZE] = "";
    struct err err = load_password(accounts, email, &person, hash);
    if (err.code && err.code != ERR_MISSING)
        return err;
    bool is_known = !err.code && hash[0];
    bool is_right;
    if (is_known) {
        is_right = password_matches(password, hash);
    } else {
        /* An unknown address takes as long as a wrong password. */
        is_right = false;
        err = password_hash(bytes_slice(password, 0, 1024), hash);
        if (err.code)
            return err;
    }
    if (!is_right) {
        struct account_actor actor = { .kind = "person", .id = "", .remote = remote };
        err = account_audit(accounts, &actor, "", "session.refused", bytes_slice(email, 0, 254));
        return err.code ? err : err_new(ERR_DENIED, "account: wrong address or password");
    }
    forget_tries(accounts, who, where, now_ms);
    memcpy(person_out, person.id, ACCOUNT_ID_SIZE);
    return ok();
}

/*
 * clients.c - API clients: programs with an id and a secret.
 *
 * A secret is 32 random bytes, so its plain SHA-256 can't be guessed back and is all that's kept:
 * checking one costs a microsecond, which fifteen thousand requests a second need. (A password is
 * chosen by a person and needs Argon2id; these aren't.)
 */
#include "account/account_internal.h"

#include <stdatomic.h>
#include <stdlib.h>

enum { CLIENTS_MAX = 100 };

static struct client *find_client(const struct accounts *accounts, struct bytes id)
{
    const uint64_t *found = map64_find(accounts->client_by_id, hash_bytes(id));
    struct client *client = found ? accounts->clients.items[*found - 1] : NULL;
    while (client && !bytes_equal(bytes_from(client->facts.id), id))
        client = client->next;
    return client;
}

/* Takes the client over. */
static struct err add_client(struct accounts *accounts, struct client *client)
{
    client->number = accounts->next_number++;
    uint64_t *slot =
        map64_put(accounts->client_by_id, hash_bytes(bytes_from(client->facts.id)), NULL);
    struct err err =
        slot ? account_list_add(&accounts->clients, client) : err_new(ERR_NOMEM, "account: client");
    if (err.code) {
        free(client);
        return err;
    }
    if (*slot)
        client->next = accounts->clients.items[*slot - 1];
    *slot = accounts->clients.count;
    return ok();
}

struct err clients_load(struct accounts *accounts)
{
    struct db *db = accounts->db;
    struct db_stmt *stmt;
    struct err err = map64_new(64 << 20, &accounts->client_by_id);
    if (err.code)
        return err;
    err = db_query(db, &stmt,
                   "SELECT id, project, name, secret, scopes, created_ms, used_ms FROM clients"
                   " WHERE revoked_ms = 0 ORDER BY created_ms, id",
                   "");
    if (err.code)
        return err;
    bool has_row = false;
    while (err = db_step(db, stmt, &has_row), !err.code && has_row) {
        struct client *client = calloc(1, sizeof *client);
        if (!client) {
            err = err_new(ERR_NOMEM, "account: client");
            break;
        }
        struct bytes secret = db_bytes(db, stmt, 3);
        if (!text_to(db_bytes(db, stmt, 0), client->facts.id, sizeof client->facts.id) ||
            !text_to(db_bytes(db, stmt, 1), client->facts.project, sizeof client->facts.project) ||
            !text_to(db_bytes(db, stmt, 2), client->facts.name, sizeof client->facts.name) ||
            secret.len != SHA256_SIZE) {
            free(client);
            err = err_new(ERR_CORRUPT, "account: a client's row");
            break;
        }
        memcpy(client->secret_digest, secret.ptr, SHA256_SIZE);
        client->facts.scopes = (uint32_t)db_int(db, stmt, 4) & SCOPE_ALL;
        client->facts.created_ms = db_int(db, stmt, 5);
        client->written_ms = db_int(db, stmt, 6);
        atomic_store(&client->used_ms, client->written_ms);
        err = add_client(accounts, client);
        if (err.code)
            break;
    }
    db_done(db, stmt);
    return err;
}

void clients_free(struct accounts *accounts)
{
    for (size_t i = 0; i < accounts->clients.count; i++)
        free(accounts->clients.items[i]);
    free(accounts->clients.items);
    map64_free(accounts->client_by_id);
}

/* Within a transaction. */
struct err clients_flush(struct accounts *accounts)
{
    rwlock_read(&accounts->lock);
    struct err err = ok();
    for (size_t i = 0; i < accounts->clients.count && !err.code; i++) {
        struct client *client = accounts->clients.items[i];
        int64_t used_ms = atomic_load(&client->used_ms);
        if (used_ms == client->written_ms)
            continue;
        err = db_run(accounts->db, "UPDATE clients SET used_ms = ?2 WHERE id = ?1", "zi",
                     client->facts.id, used_ms);
        if (!err.code)
            client->written_ms = used_ms; /* db_lock is held: nobody else writes it */
    }
    rwlock_unlock(&accounts->lock);
    return err;
}

bool account_verify_client(struct accounts *accounts, struct bytes id, struct bytes secret,
                           struct principal *out)
{
    uint8_t digest[SHA256_SIZE];
    if (id.len >= ACCOUNT_ID_SIZE || secret.len > 256)
        return false;
    crypt_sha256(secret, digest);
    rwlock_read(&accounts->lock);
    struct client *client = find_client(accounts, id);
    bool is_good =
        client && client->facts.scopes &&
        crypt_equal(bytes_of(digest, SHA256_SIZE), bytes_of(client->secret_digest, SHA256_SIZE));
    if (is_good) {
        atomic_store_explicit(&client->used_ms, clock_now_ms(accounts->clock),
                              memory_order_relaxed);
        out->kind = PRINCIPAL_CLIENT;
        out->scopes = client->facts.scopes;
        out->number = client->number;
        memcpy(out->id, client->facts.id, sizeof out->id);
        memcpy(out->project, client->facts.project, sizeof out->project);
        out->csrf[0] = 0;
    }
    rwlock_unlock(&accounts->lock);
    return is_good;
}

struct client_new {
    struct client *client;
};

static struct err make_client(void *ctx, struct accounts *accounts)
{
    const struct client *client = ((struct client_new *)ctx)->client;
    struct err err = db_run(accounts->db,
                            "INSERT INTO clients(id, project, name, secret, scopes, created_ms)"
                            " VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
                            "zzzbii", client->facts.id, client->facts.project, client->facts.name,
                            bytes_of(client->secret_digest, SHA256_SIZE),
                            (int64_t)client->facts.scopes, client->facts.created_ms);
    if (err.code == ERR_EXISTS)
        return err_new(ERR_MISSING, "account: no such project"); /* the foreign key */
    return err;
}

struct err account_client_create(struct accounts *accounts, const struct account_actor *actor,
                                 const char *project, struct bytes name, uint32_t scopes,
                                 struct account_client *out, char secret_out[TOKEN_SIZE])
{
    struct account_client last;
    if (!is_name(name) || !scopes || (scopes & ~(uint32_t)SCOPE_ALL))
        return err_new(ERR_INVALID, "account: a client's name or scopes");
    if (account_client_at(accounts, project, CLIENTS_MAX - 1, &last))
        return err_new(ERR_LIMIT, "account: too many clients");
    struct client *client = calloc(1, sizeof *client);
    if (!client)
        return err_new(ERR_NOMEM, "account: client");
    bool fits = text_to(name, client->facts.name, sizeof client->facts.name) &&
                text_to(bytes_from(project), client->facts.project, sizeof client->facts.project);
    if (!fits) {
        free(client);
        return err_new(ERR_MISSING, "account: no such project");
    }
    char secret[TOKEN_SIZE];
    token_new(secret);
    crypt_sha256(bytes_from(secret), client->secret_digest);
    id_new("c_", client->facts.id);
    client->facts.scopes = scopes;
    client->facts.created_ms = clock_now_ms(accounts->clock);
    struct client_new job = { .client = client };
    struct err err = account_change(accounts, actor, project, "client.create",
                                    bytes_from(client->facts.id), make_client, &job);
    if (err.code) {
        free(client);
        return err;
    }
    struct account_client facts = client->facts;
    rwlock_write(&accounts->lock);
    err = add_client(accounts, client);
    rwlock_unlock(&accounts->lock);
    if (!err.code) {
        *out = facts;
        memcpy(secret_out, secret, TOKEN_SIZE);
    }
    crypt_wipe(secret, sizeof secret);
    return err;
}

bool account_client_at(struct accounts *accounts, const char *project, size_t n,
                       struct account_client *out)
{
    bool has = false;
    rwlock_read(&accounts->lock);
    for (size_t i = 0; i < accounts->clients.count && !has; i++) {
        const struct client *client = accounts->clients.items[i];
        if (!client->facts.scopes || strcmp(client->facts.project, project) != 0 || n-- > 0)
            continue;
        *out = client->facts;
        out->last_used_ms = atomic_load(&client->used_ms);
        has = true;
    }
    rwlock_unlock(&accounts->lock);
    return has;
}

struct client_end {
    const char *project;
    struct bytes id;
};

static struct err end_client(void *ctx, struct accounts *accounts)
{
    const struct client_end *job = ctx;
    struct err err = db_run(accounts->db,
                            "UPDATE clients SET revoked_ms = ?3"
                            " WHERE id = ?1 AND project = ?2 AND revoked_ms = 0",
                            "tzi", job->id, job->project, clock_now_ms(accounts->clock));
    if (!err.code && db_changes(accounts->db) == 0)
        return err_new(ERR_MISSING, "account: no such client");
    return err;
}

struct err account_client_revoke(struct accounts *accounts, const struct account_actor *actor,
                                 const char *project, struct bytes id)
{
    struct client_end job = { .project = project, .id = id };
    struct err err =
        account_change(accounts, actor, project, "client.revoke", id, end_client, &job);
    if (err.code)
        return err;
    rwlock_write(&accounts->lock);
    struct client *client = find_client(accounts, id);
    if (client)
        client->facts.scopes = 0; /* a client without scopes is none */
    rwlock_unlock(&accounts->lock);
    return ok();
}

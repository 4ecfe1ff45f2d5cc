/* accounts.c - opening, organisations, projects, and what the other files stand on. */
#include "account/account_internal.h"

#include <stdlib.h>

enum { PROJECTS_MAX = 10000 };

const char *const account_migrations[] = {
    "CREATE TABLE organisations(id TEXT PRIMARY KEY, name TEXT NOT NULL, created_ms INTEGER NOT "
    "NULL);"
    "CREATE TABLE projects(id TEXT PRIMARY KEY,"
    " organisation TEXT NOT NULL REFERENCES organisations(id), name TEXT NOT NULL,"
    " time_zone TEXT NOT NULL, kind TEXT NOT NULL, settings TEXT NOT NULL DEFAULT '{}',"
    " created_ms INTEGER NOT NULL);"
    "CREATE TABLE people(id TEXT PRIMARY KEY, name TEXT NOT NULL, email TEXT NOT NULL,"
    " email_key TEXT NOT NULL UNIQUE, password TEXT, created_ms INTEGER NOT NULL);"
    "CREATE TABLE members(person TEXT NOT NULL REFERENCES people(id),"
    " organisation TEXT NOT NULL REFERENCES organisations(id), role TEXT NOT NULL,"
    " PRIMARY KEY(person, organisation));"
    "CREATE TABLE sessions(digest BLOB PRIMARY KEY, person TEXT NOT NULL REFERENCES people(id),"
    " csrf TEXT NOT NULL, created_ms INTEGER NOT NULL, seen_ms INTEGER NOT NULL,"
    " remote TEXT NOT NULL);"
    "CREATE TABLE links(digest BLOB PRIMARY KEY, kind INTEGER NOT NULL, person TEXT,"
    " expires_ms INTEGER NOT NULL);"
    "CREATE TABLE clients(id TEXT PRIMARY KEY, project TEXT NOT NULL REFERENCES projects(id),"
    " name TEXT NOT NULL, secret BLOB NOT NULL, scopes INTEGER NOT NULL,"
    " created_ms INTEGER NOT NULL, used_ms INTEGER NOT NULL DEFAULT 0,"
    " revoked_ms INTEGER NOT NULL DEFAULT 0);"
    "CREATE TABLE reports(id TEXT PRIMARY KEY, project TEXT NOT NULL REFERENCES projects(id),"
    " name TEXT NOT NULL, description TEXT NOT NULL, kind TEXT NOT NULL, query TEXT NOT NULL,"
    " view TEXT NOT NULL, etag TEXT NOT NULL, created_ms INTEGER NOT NULL,"
    " updated_ms INTEGER NOT NULL);"
    "CREATE INDEX reports_project ON reports(project, name);"
    "CREATE TABLE audit(number INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, kind TEXT NOT NULL,"
    " id TEXT NOT NULL, remote TEXT NOT NULL, project TEXT NOT NULL, what TEXT NOT NULL,"
    " target TEXT NOT NULL, digest BLOB NOT NULL);"
    "CREATE INDEX audit_project ON audit(project, number);"
    "CREATE TRIGGER audit_stays BEFORE UPDATE ON audit BEGIN"
    " SELECT RAISE(ABORT, 'the audit log only grows'); END;"
    "CREATE TRIGGER audit_remains BEFORE DELETE ON audit BEGIN"
    " SELECT RAISE(ABORT, 'the audit log only grows'); END;",

    "CREATE TABLE secrets(name TEXT PRIMARY KEY, value BLOB NOT NULL);",
};
const int account_migration_count = sizeof account_migrations / sizeof account_migrations[0];

/* --- small things -------------------------------------------------------------------- */

struct err account_list_add(struct list *list, void *item)
{
    if (list->count == list->cap) {
        size_t cap = list->cap ? list->cap * 2 : 16;
        void **items = realloc(list->items, cap * sizeof *items);
        if (!items)
            return err_new(ERR_NOMEM, "account: list");
        list->items = items;
        list->cap = cap;
    }
    list->items[list->count++] = item;
    return ok();
}

struct err remember(struct accounts *accounts, struct list *list, const void *item, size_t size)
{
    void *copy = malloc(size);
    if (!copy)
        return err_new(ERR_NOMEM, "account: remember");
    memcpy(copy, item, size);
    rwlock_write(&accounts->lock);
    struct err err = account_list_add(list, copy);
    rwlock_unlock(&accounts->lock);
    if (err.code)
        free(copy);
    return err;
}

void id_new(const char *prefix, char id_out[ACCOUNT_ID_SIZE])
{
    static const char digits[] = "abcdefghijkmnpqrstuvwxyz23456789";
    uint8_t random[16];
    crypt_random(random, sizeof random);
    size_t at = 0;
    for (; prefix[at]; at++)
        id_out[at] = prefix[at];
    for (size_t i = 0; i < sizeof random; i++)
        id_out[at++] = digits[random[i] & 31];
    id_out[at] = 0;
}

bool text_to(struct bytes text, char *to, size_t size)
{
    if (text.len >= size || (text.len && memchr(text.ptr, 0, text.len)))
        return false;
    if (text.len)
        memcpy(to, text.ptr, text.len);
    to[text.len] = 0;
    return true;
}

bool is_name(struct bytes name)
{
    if (name.len == 0 || name.len > ACCOUNT_NAME_MAX)
        return false;
    for (size_t i = 0; i < name.len; i++)
        if (name.ptr[i] < 0x20 || name.ptr[i] == 0x7f)
            return false;
    return true;
}

static const struct {
    const char *name;
    uint32_t scope;
} scopes[] = {
    { "ingest", SCOPE_INGEST },
    { "query", SCOPE_QUERY },
    { "people", SCOPE_PEOPLE },
    { "manage", SCOPE_MANAGE },
};

uint32_t account_scope_of(struct bytes name)
{
    for (size_t i = 0; i < sizeof scopes / sizeof scopes[0]; i++)
        if (bytes_equal(name, bytes_from(scopes[i].name)))
            return scopes[i].scope;
    return 0;
}

void account_put_scopes(struct buf *to, uint32_t set)
{
    bool is_first = true;
    for (size_t i = 0; i < sizeof scopes / sizeof scopes[0]; i++) {
        if (!(set & scopes[i].scope))
            continue;
        buf_printf(to, "%s%s", is_first ? "" : ",", scopes[i].name);
        is_first = false;
    }
}

struct change {
    struct accounts *accounts;
    const struct account_actor *actor;
    const char *project;
    const char *what;
    struct bytes target;
    account_work_fn *work;
    void *ctx;
    uint8_t digest[SHA256_SIZE];
};

static struct err change_within(void *ctx, struct db *db)
{
    struct change *change = ctx;
    (void)db;
    struct err err = change->work ? change->work(change->ctx, change->accounts) : ok();
    if (err.code)
        return err;
    return audit_put(change->accounts, change->actor, change->project, change->what, change->target,
                     change->digest);
}

struct err account_change(struct accounts *accounts, const struct account_actor *actor,
                          const char *project, const char *what, struct bytes target,
                          account_work_fn *work, void *ctx)
{
    struct change change = { .accounts = accounts,
                             .actor = actor,
                             .project = project,
                             .what = what,
                             .target = target,
                             .work = work,
                             .ctx = ctx };
    mutex_lock(&accounts->db_lock);
    struct err err = db_transact(accounts->db, change_within, &change);
    if (!err.code)
        memcpy(accounts->audit_digest, change.digest, SHA256_SIZE);
    mutex_unlock(&accounts->db_lock);
    return err;
}

/* --- opening --------------------------------------------------------------------------- */

static struct err load_projects(struct accounts *accounts)
{
    struct db_stmt *stmt;
    struct err err = db_query(accounts->db, &stmt,
                              "SELECT id, organisation, name, time_zone, kind, created_ms"
                              " FROM projects ORDER BY created_ms, id",
                              "");
    if (err.code)
        return err;
    bool has_row = false;
    while (err = db_step(accounts->db, stmt, &has_row), !err.code && has_row) {
        struct account_project project = { .created_ms = db_int(accounts->db, stmt, 5) };
        if (!text_to(db_bytes(accounts->db, stmt, 0), project.id, sizeof project.id) ||
            !text_to(db_bytes(accounts->db, stmt, 1), project.organisation,
                     sizeof project.organisation) ||
            !text_to(db_bytes(accounts->db, stmt, 2), project.name, sizeof project.name) ||
            !text_to(db_bytes(accounts->db, stmt, 3), project.time_zone,
                     sizeof project.time_zone) ||
            !text_to(db_bytes(accounts->db, stmt, 4), project.kind, sizeof project.kind))
            err = err_new(ERR_CORRUPT, "account: a project's row");
        if (!err.code)
            err = remember(accounts, &accounts->projects, &project, sizeof project);
        if (err.code)
            break;
    }
    db_done(accounts->db, stmt);
    return err;
}

static struct err load_organisations(struct accounts *accounts)
{
    struct db_stmt *stmt;
    struct err err = db_query(accounts->db, &stmt,
                              "SELECT id, name FROM organisations ORDER BY created_ms, id", "");
    if (err.code)
        return err;
    bool has_row = false;
    while (err = db_step(accounts->db, stmt, &has_row), !err.code && has_row) {
        struct organisation organisation = { .id = "" };
        if (!text_to(db_bytes(accounts->db, stmt, 0), organisation.id, sizeof organisation.id) ||
            !text_to(db_bytes(accounts->db, stmt, 1), organisation.name, sizeof organisation.name))
            err = err_new(ERR_CORRUPT, "account: an organisation's row");
        if (!err.code)
            err = remember(accounts, &accounts->organisations, &organisation, sizeof organisation);
        if (err.code)
            break;
    }
    db_done(accounts->db, stmt);
    return err;
}

static struct err load_members(struct accounts *accounts)
{
    struct db_stmt *stmt;
    struct err err = db_query(accounts->db, &stmt,
                              "SELECT person, organisation, role FROM members"
                              " ORDER BY person, organisation",
                              "");
    if (err.code)
        return err;
    bool has_row = false;
    while (err = db_step(accounts->db, stmt, &has_row), !err.code && has_row) {
        struct member member = { .role = "" };
        if (!text_to(db_bytes(accounts->db, stmt, 0), member.person, sizeof member.person) ||
            !text_to(db_bytes(accounts->db, stmt, 1), member.organisation,
                     sizeof member.organisation) ||
            !text_to(db_bytes(accounts->db, stmt, 2), member.role, sizeof member.role))
            err = err_new(ERR_CORRUPT, "account: a member's row");
        if (!err.code)
            err = remember(accounts, &accounts->members, &member, sizeof member);
        if (err.code)
            break;
    }
    db_done(accounts->db, stmt);
    return err;
}

static struct err count_people(struct accounts *accounts)
{
    struct db_stmt *stmt;
    struct err err = db_query(accounts->db, &stmt, "SELECT count(*) FROM people", "");
    if (err.code)
        return err;
    bool has_row = false;
    err = db_step(accounts->db, stmt, &has_row);
    if (!err.code && has_row)
        accounts->people = db_int(accounts->db, stmt, 0);
    db_done(accounts->db, stmt);
    return err;
}

static void free_list(struct list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i]);
    free(list->items);
    *list = (struct list){ .items = NULL };
}

static void free_all(struct accounts *accounts)
{
    clients_free(accounts);
    sessions_free(accounts);
    free_list(&accounts->projects);
    free_list(&accounts->organisations);
    free_list(&accounts->members);
    db_close(accounts->db);
    rwlock_done(&accounts->lock);
    mutex_done(&accounts->db_lock);
    free(accounts);
}

struct err accounts_open(struct db *db, struct clock *clock, struct accounts **out)
{
    struct accounts *accounts = calloc(1, sizeof *accounts);
    if (!accounts) {
        db_close(db);
        return err_new(ERR_NOMEM, "account: open");
    }
    accounts->db = db;
    accounts->clock = clock;
    accounts->next_number = 1;
    mutex_init(&accounts->db_lock);
    rwlock_init(&accounts->lock);
    struct err err = db_migrate(db, account_migrations, account_migration_count);
    if (!err.code)
        err = load_organisations(accounts);
    if (!err.code)
        err = load_projects(accounts);
    if (!err.code)
        err = load_members(accounts);
    if (!err.code)
        err = count_people(accounts);
    if (!err.code)
        err = clients_load(accounts);
    if (!err.code)
        err = sessions_load(accounts);
    if (!err.code)
        err = audit_load(accounts);
    if (err.code) {
        free_all(accounts);
        return err;
    }
    *out = accounts;
    return ok();
}

static struct err forget_old_links(struct accounts *accounts)
{
    return db_run(accounts->db, "DELETE FROM links WHERE expires_ms < ?1", "i",
                  clock_now_ms(accounts->clock));
}

static struct err flush_within(void *ctx, struct db *db)
{
    struct accounts *accounts = ctx;
    (void)db;
    struct err err = clients_flush(accounts);
    if (!err.code)
        err = sessions_flush(accounts);
    if (!err.code)
        err = forget_old_links(accounts);
    return err;
}

struct err accounts_maintain(struct accounts *accounts)
{
    mutex_lock(&accounts->db_lock);
    struct err err = db_transact(accounts->db, flush_within, accounts);
    mutex_unlock(&accounts->db_lock);
    return err;
}

void accounts_close(struct accounts *accounts)
{
    if (!accounts)
        return;
    struct err err = accounts_maintain(accounts);
    (void)err; /* only last uses are lost with it */
    free_all(accounts);
}

struct err accounts_check(struct accounts *accounts)
{
    mutex_lock(&accounts->db_lock);
    struct err err = accounts->db->ops->check(accounts->db);
    if (!err.code)
        err = audit_verify(accounts);
    mutex_unlock(&accounts->db_lock);
    return err;
}

struct err account_secret(struct accounts *accounts, const char *name,
                          uint8_t secret_out[ACCOUNT_SECRET_SIZE])
{
    struct db *db = accounts->db;
    struct db_stmt *stmt;
    uint8_t fresh[ACCOUNT_SECRET_SIZE];
    crypt_random(fresh, sizeof fresh);
    mutex_lock(&accounts->db_lock);
    struct err err = db_run(db, "INSERT OR IGNORE INTO secrets(name, value) VALUES(?1, ?2)", "zb",
                            name, bytes_of(fresh, sizeof fresh));
    if (!err.code)
        err = db_query(db, &stmt, "SELECT value FROM secrets WHERE name = ?1", "z", name);
    if (!err.code) {
        bool has_row = false;
        err = db_step(db, stmt, &has_row);
        if (!err.code && (!has_row || db_bytes(db, stmt, 0).len != ACCOUNT_SECRET_SIZE))
            err = err_new(ERR_CORRUPT, "account: a secret");
        if (!err.code)
            memcpy(secret_out, db_bytes(db, stmt, 0).ptr, ACCOUNT_SECRET_SIZE);
        db_done(db, stmt);
    }
    mutex_unlock(&accounts->db_lock);
    return err;
}

/* --- organisations and projects ------------------------------------------------------------ */

struct err organisation_insert(struct accounts *accounts, struct bytes name,
                               struct organisation *out)
{
    if (!is_name(name) || !text_to(name, out->name, sizeof out->name))
        return err_new(ERR_INVALID, "account: an organisation's name");
    id_new("o_", out->id);
    return db_run(accounts->db,
                  "INSERT INTO organisations(id, name, created_ms) VALUES(?1, ?2, ?3)", "zti",
                  out->id, name, clock_now_ms(accounts->clock));
}

struct err organisation_rename(struct accounts *accounts, struct bytes name,
                               struct organisation *organisation)
{
    if (!is_name(name) || !text_to(name, organisation->name, sizeof organisation->name))
        return err_new(ERR_INVALID, "account: an organisation's name");
    return db_run(accounts->db, "UPDATE organisations SET name = ?2 WHERE id = ?1", "zt",
                  organisation->id, name);
}

void organisation_renamed(struct accounts *accounts, const struct organisation *organisation)
{
    rwlock_write(&accounts->lock);
    for (size_t i = 0; i < accounts->organisations.count; i++) {
        struct organisation *known = accounts->organisations.items[i];
        if (strcmp(known->id, organisation->id) == 0)
            *known = *organisation;
    }
    rwlock_unlock(&accounts->lock);
}

struct organisation_new {
    struct bytes name;
    struct organisation made;
};

static struct err make_organisation(void *ctx, struct accounts *accounts)
{
    struct organisation_new *job = ctx;
    return organisation_insert(accounts, job->name, &job->made);
}

struct err account_organisation_create(struct accounts *accounts, const struct account_actor *actor,
                                       struct bytes name, char id_out[ACCOUNT_ID_SIZE])
{
    struct organisation_new job = { .name = name };
    struct err err =
        account_change(accounts, actor, "", "organisation.create", name, make_organisation, &job);
    if (!err.code)
        err = remember(accounts, &accounts->organisations, &job.made, sizeof job.made);
    if (!err.code)
        memcpy(id_out, job.made.id, ACCOUNT_ID_SIZE);
    return err;
}

struct err project_insert(struct accounts *accounts, const char *organisation, struct bytes name,
                          struct bytes time_zone, struct bytes kind, struct account_project *out)
{
    struct account_project project = { .created_ms = clock_now_ms(accounts->clock) };
    if (!kind.len)
        kind = BYTES("production");
    if (!is_name(name) || !text_to(name, project.name, sizeof project.name))
        return err_new(ERR_INVALID, "account: a project's name");
    if (!time_zone.len || !text_to(time_zone, project.time_zone, sizeof project.time_zone) ||
        !text_to(kind, project.kind, sizeof project.kind) ||
        !text_to(bytes_from(organisation), project.organisation, sizeof project.organisation))
        return err_new(ERR_INVALID, "account: a project's time zone or kind");
    id_new("p_", project.id);
    struct err err =
        db_run(accounts->db,
               "INSERT INTO projects(id, organisation, name, time_zone, kind,"
               " created_ms) VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
               "zzttti", project.id, organisation, name, time_zone, kind, project.created_ms);
    if (err.code == ERR_EXISTS)
        err = err_new(ERR_MISSING, "account: no such organisation"); /* the foreign key */
    if (!err.code)
        *out = project;
    return err;
}

struct project_new {
    const char *organisation;
    struct bytes name;
    struct bytes time_zone;
    struct bytes kind;
    struct account_project made;
};

static struct err make_project(void *ctx, struct accounts *accounts)
{
    struct project_new *job = ctx;
    return project_insert(accounts, job->organisation, job->name, job->time_zone, job->kind,
                          &job->made);
}

struct err account_project_create(struct accounts *accounts, const struct account_actor *actor,
                                  const char *organisation, struct bytes name,
                                  struct bytes time_zone, struct bytes kind,
                                  struct account_project *out)
{
    struct project_new job = {
        .organisation = organisation, .name = name, .time_zone = time_zone, .kind = kind
    };
    rwlock_read(&accounts->lock);
    bool is_full = accounts->projects.count >= PROJECTS_MAX;
    rwlock_unlock(&accounts->lock);
    if (is_full)
        return err_new(ERR_LIMIT, "account: too many projects");
    struct err err =
        account_change(accounts, actor, "", "project.create", name, make_project, &job);
    if (!err.code)
        err = remember(accounts, &accounts->projects, &job.made, sizeof job.made);
    if (!err.code)
        *out = job.made;
    return err;
}

static bool is_text(const char *text, size_t size, struct bytes wanted)
{
    return bytes_equal(bytes_of(text, strnlen(text, size)), wanted);
}

struct err account_project_find(struct accounts *accounts, struct bytes id_or_name,
                                struct account_project *out)
{
    const struct account_project *found = NULL;
    size_t named = 0;
    rwlock_read(&accounts->lock);
    for (size_t i = 0; i < accounts->projects.count; i++) {
        const struct account_project *project = accounts->projects.items[i];
        if (is_text(project->id, sizeof project->id, id_or_name)) {
            found = project;
            named = 1;
            break;
        }
        if (is_text(project->name, sizeof project->name, id_or_name)) {
            found = project;
            named++;
        }
    }
    if (named == 1)
        *out = *found;
    rwlock_unlock(&accounts->lock);
    if (named == 0)
        return err_new(ERR_MISSING, "account: no such project");
    if (named > 1)
        return err_new(ERR_EXISTS, "account: several projects have this name");
    return ok();
}

bool account_project_at(struct accounts *accounts, size_t n, struct account_project *out)
{
    rwlock_read(&accounts->lock);
    bool has = n < accounts->projects.count;
    if (has)
        *out = *(const struct account_project *)accounts->projects.items[n];
    rwlock_unlock(&accounts->lock);
    return has;
}

struct err account_first_organisation(struct accounts *accounts, char id_out[ACCOUNT_ID_SIZE])
{
    rwlock_read(&accounts->lock);
    bool has = accounts->organisations.count > 0;
    if (has)
        memcpy(id_out, ((const struct organisation *)accounts->organisations.items[0])->id,
               ACCOUNT_ID_SIZE);
    rwlock_unlock(&accounts->lock);
    return has ? ok() : err_new(ERR_MISSING, "account: no organisation yet");
}

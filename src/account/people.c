/* people.c - persons, the links that let them in, and the first one's setup. */
#include "account/account_internal.h"

#include <ctype.h>

static const struct {
    const char *role;
    uint32_t scopes;
} roles[] = {
    { "owner", SCOPE_ALL },
    { "admin", SCOPE_ALL },
    { "analyst", SCOPE_QUERY | SCOPE_PEOPLE },
    { "viewer", SCOPE_QUERY },
};

static uint32_t scopes_of_role(const char *role)
{
    for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++)
        if (strcmp(roles[i].role, role) == 0)
            return roles[i].scopes;
    return 0;
}

/* Addresses compare without case. */
static bool email_key(struct bytes email, char key[ACCOUNT_EMAIL_MAX + 1])
{
    const uint8_t *at = email.len ? memchr(email.ptr, '@', email.len) : NULL;
    if (!at || at == email.ptr || at == email.ptr + email.len - 1)
        return false;
    for (size_t i = 0; i < email.len; i++)
        if (email.ptr[i] <= ' ' || email.ptr[i] == 0x7f)
            return false;
    if (!text_to(email, key, ACCOUNT_EMAIL_MAX + 1))
        return false;
    for (char *c = key; *c; c++)
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)tolower(*c);
    return true;
}

bool account_has_people(struct accounts *accounts)
{
    rwlock_read(&accounts->lock);
    bool has = accounts->people > 0;
    rwlock_unlock(&accounts->lock);
    return has;
}

/* The first row of a statement (id, name, email) that the caller made. */
static struct err take_person(struct accounts *accounts, struct db_stmt *stmt,
                              struct account_person *out)
{
    bool has_row = false;
    struct account_person person = { .id = "" };
    struct err err = db_step(accounts->db, stmt, &has_row);
    if (!err.code && !has_row)
        err = err_new(ERR_MISSING, "account: no such person");
    if (!err.code && (!text_to(db_bytes(accounts->db, stmt, 0), person.id, sizeof person.id) ||
                      !text_to(db_bytes(accounts->db, stmt, 1), person.name, sizeof person.name) ||
                      !text_to(db_bytes(accounts->db, stmt, 2), person.email, sizeof person.email)))
        err = err_new(ERR_CORRUPT, "account: a person's row");
    if (!err.code)
        *out = person;
    db_done(accounts->db, stmt);
    return err;
}

struct err account_person_get(struct accounts *accounts, const char *id, struct account_person *out)
{
    struct db_stmt *stmt;
    mutex_lock(&accounts->db_lock);
    struct err err =
        db_query(accounts->db, &stmt, "SELECT id, name, email FROM people WHERE id = ?1", "z", id);
    if (!err.code)
        err = take_person(accounts, stmt, out);
    mutex_unlock(&accounts->db_lock);
    return err;
}

struct err account_person_find(struct accounts *accounts, struct bytes email,
                               struct account_person *out)
{
    char key[ACCOUNT_EMAIL_MAX + 1];
    struct db_stmt *stmt;
    if (!email_key(email, key))
        return err_new(ERR_MISSING, "account: no such person");
    mutex_lock(&accounts->db_lock);
    struct err err = db_query(accounts->db, &stmt,
                              "SELECT id, name, email FROM people WHERE email_key = ?1", "z", key);
    if (!err.code)
        err = take_person(accounts, stmt, out);
    mutex_unlock(&accounts->db_lock);
    return err;
}

bool account_member_at(struct accounts *accounts, const char *person, size_t n,
                       struct account_member *out)
{
    bool has = false;
    rwlock_read(&accounts->lock);
    for (size_t i = 0; i < accounts->members.count && !has; i++) {
        const struct member *member = accounts->members.items[i];
        if (strcmp(member->person, person) != 0 || n-- > 0)
            continue;
        memcpy(out->organisation, member->organisation, sizeof out->organisation);
        memcpy(out->role, member->role, sizeof out->role);
        out->organisation_name[0] = 0;
        for (size_t o = 0; o < accounts->organisations.count; o++) {
            const struct organisation *organisation = accounts->organisations.items[o];
            if (strcmp(organisation->id, member->organisation) == 0)
                memcpy(out->organisation_name, organisation->name, sizeof out->organisation_name);
        }
        has = true;
    }
    rwlock_unlock(&accounts->lock);
    return has;
}

/* Under the read lock. */
static uint32_t scopes_in(const struct accounts *accounts, const char *person,
                          const char *organisation)
{
    for (size_t i = 0; i < accounts->members.count; i++) {
        const struct member *member = accounts->members.items[i];
        if (strcmp(member->person, person) == 0 && strcmp(member->organisation, organisation) == 0)
            return scopes_of_role(member->role);
    }
    return 0;
}

bool account_choose(struct accounts *accounts, struct bytes project, struct principal *principal)
{
    if (principal->kind == PRINCIPAL_CLIENT)
        return !project.len || bytes_equal(project, bytes_from(principal->project));
    bool is_theirs = false;
    rwlock_read(&accounts->lock);
    for (size_t i = 0; i < accounts->projects.count && !is_theirs; i++) {
        const struct account_project *candidate = accounts->projects.items[i];
        if (!bytes_equal(bytes_from(candidate->id), project))
            continue;
        uint32_t scopes = scopes_in(accounts, principal->id, candidate->organisation);
        if (!scopes)
            break;
        principal->scopes = scopes;
        memcpy(principal->project, candidate->id, sizeof principal->project);
        is_theirs = true;
    }
    rwlock_unlock(&accounts->lock);
    return is_theirs;
}

/* --- making persons -------------------------------------------------------------------- */

struct person_new {
    struct bytes name;
    struct bytes email;
    const char *organisation;
    const char *role;
    char password[PASSWORD_HASH_SIZE]; /* empty: none */
    char key[ACCOUNT_EMAIL_MAX + 1];
    struct member member;
};

/* Checks what a client gave, and does the slow part, before any lock is taken. */
static struct err prepare_person(struct person_new *job, struct bytes password)
{
    if (!is_name(job->name))
        return err_new(ERR_INVALID, "account: name");
    if (!email_key(job->email, job->key))
        return err_new(ERR_INVALID, "account: email");
    job->password[0] = 0;
    if (!password.len)
        return ok();
    if (password.len < ACCOUNT_PASSWORD_MIN || password.len > 1024)
        return err_new(ERR_INVALID, "account: password");
    return password_hash(password, job->password);
}

static struct err insert_person(struct person_new *job, struct accounts *accounts)
{
    int64_t now_ms = clock_now_ms(accounts->clock);
    id_new("u_", job->member.person);
    struct err err = db_run(accounts->db,
                            "INSERT INTO people(id, name, email, email_key, password, created_ms)"
                            " VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
                            "zttzzi", job->member.person, job->name, job->email, job->key,
                            job->password[0] ? job->password : NULL, now_ms);
    if (err.code)
        return err;
    if (!text_to(bytes_from(job->organisation), job->member.organisation,
                 sizeof job->member.organisation) ||
        !text_to(bytes_from(job->role), job->member.role, sizeof job->member.role) ||
        !scopes_of_role(job->role))
        return err_new(ERR_INVALID, "account: role");
    return db_run(accounts->db,
                  "INSERT INTO members(person, organisation, role) VALUES(?1, ?2, ?3)", "zzz",
                  job->member.person, job->member.organisation, job->member.role);
}

static struct err make_person(void *ctx, struct accounts *accounts)
{
    return insert_person(ctx, accounts);
}

static struct err remember_person(struct accounts *accounts, const struct member *member)
{
    struct err err = remember(accounts, &accounts->members, member, sizeof *member);
    rwlock_write(&accounts->lock);
    accounts->people++;
    rwlock_unlock(&accounts->lock);
    return err;
}

struct err account_person_create(struct accounts *accounts, const struct account_actor *actor,
                                 struct bytes name, struct bytes email, struct bytes password,
                                 const char *organisation, const char *role,
                                 char id_out[ACCOUNT_ID_SIZE])
{
    struct person_new job = {
        .name = name, .email = email, .organisation = organisation, .role = role
    };
    struct err err = prepare_person(&job, password);
    if (!err.code)
        err = account_change(accounts, actor, "", "person.create", email, make_person, &job);
    if (!err.code)
        err = remember_person(accounts, &job.member);
    if (!err.code)
        memcpy(id_out, job.member.person, ACCOUNT_ID_SIZE);
    return err;
}

/* --- links -------------------------------------------------------------------------------- */

static struct err insert_link(struct accounts *accounts, enum account_link kind, const char *person,
                              int64_t life_ms, const char *token)
{
    uint8_t digest[SHA256_SIZE];
    crypt_sha256(bytes_from(token), digest);
    struct err err = ok();
    if (kind == LINK_SETUP)
        err = db_run(accounts->db, "DELETE FROM links WHERE kind = ?1", "i", (int64_t)kind);
    if (!err.code)
        err = db_run(accounts->db,
                     "INSERT INTO links(digest, kind, person, expires_ms) VALUES(?1, ?2, ?3, ?4)",
                     "bizi", bytes_of(digest, sizeof digest), (int64_t)kind, person,
                     clock_now_ms(accounts->clock) + life_ms);
    return err;
}

struct err account_link_new(struct accounts *accounts, enum account_link kind, const char *person,
                            int64_t life_ms, char token_out[TOKEN_SIZE])
{
    char token[TOKEN_SIZE];
    token_new(token);
    mutex_lock(&accounts->db_lock);
    struct err err = insert_link(accounts, kind, person, life_ms, token);
    mutex_unlock(&accounts->db_lock);
    if (!err.code)
        memcpy(token_out, token, TOKEN_SIZE);
    return err;
}

/* Under db_lock. ERR_MISSING: not a good link. */
static struct err find_link(struct accounts *accounts, enum account_link kind, struct bytes token,
                            char person_out[ACCOUNT_ID_SIZE])
{
    uint8_t digest[SHA256_SIZE];
    struct db_stmt *stmt;
    crypt_sha256(token, digest);
    struct err err = db_query(accounts->db, &stmt,
                              "SELECT coalesce(person, '') FROM links"
                              " WHERE digest = ?1 AND kind = ?2 AND expires_ms >= ?3",
                              "bii", bytes_of(digest, sizeof digest), (int64_t)kind,
                              clock_now_ms(accounts->clock));
    if (err.code)
        return err;
    bool has_row = false;
    err = db_step(accounts->db, stmt, &has_row);
    if (!err.code &&
        (!has_row || !text_to(db_bytes(accounts->db, stmt, 0), person_out, ACCOUNT_ID_SIZE)))
        err = err_new(ERR_MISSING, "account: no such link");
    db_done(accounts->db, stmt);
    return err;
}

/* Within a transaction. */
static struct err use_link(struct accounts *accounts, enum account_link kind, struct bytes token,
                           char person_out[ACCOUNT_ID_SIZE])
{
    uint8_t digest[SHA256_SIZE];
    crypt_sha256(token, digest);
    struct err err = find_link(accounts, kind, token, person_out);
    if (err.code)
        return err;
    return db_run(accounts->db, "DELETE FROM links WHERE digest = ?1", "b",
                  bytes_of(digest, sizeof digest));
}

bool account_link_is_good(struct accounts *accounts, enum account_link kind, struct bytes token)
{
    char person[ACCOUNT_ID_SIZE];
    mutex_lock(&accounts->db_lock);
    struct err err = find_link(accounts, kind, token, person);
    mutex_unlock(&accounts->db_lock);
    return !err.code;
}

struct ticket_use {
    struct bytes token;
    char person[ACCOUNT_ID_SIZE];
};

static struct err use_ticket(void *ctx, struct accounts *accounts)
{
    struct ticket_use *job = ctx;
    return use_link(accounts, LINK_TICKET, job->token, job->person);
}

struct err account_use_ticket(struct accounts *accounts, struct bytes token, const char *remote,
                              char person_out[ACCOUNT_ID_SIZE])
{
    struct ticket_use job = { .token = token };
    struct account_actor actor = { .kind = "person", .id = "", .remote = remote };
    struct err err =
        account_change(accounts, &actor, "", "session.ticket", bytes_of("", 0), use_ticket, &job);
    if (err.code == ERR_MISSING)
        return err_new(ERR_DENIED, "account: not a good ticket");
    if (!err.code)
        memcpy(person_out, job.person, ACCOUNT_ID_SIZE);
    return err;
}

/* --- the first owner ---------------------------------------------------------------------------- */

/* Commands may have made an organisation and projects before anybody had an account (kolam import
 * --create). The first owner takes those over: another organisation beside them would be one whose
 * people never see that data. */
struct setup_job {
    struct bytes token;
    const struct account_setup *setup;
    struct person_new person;
    struct organisation organisation;
    struct account_project project;
    bool has_organisation;
    bool has_project;
};

static void find_made_before(struct accounts *accounts, struct setup_job *job)
{
    struct account_project project;
    struct err err = account_first_organisation(accounts, job->organisation.id);
    job->has_organisation = !err.code;
    for (size_t n = 0; !job->has_project && account_project_at(accounts, n, &project); n++) {
        job->has_project = job->has_organisation &&
                           strcmp(project.organisation, job->organisation.id) == 0 &&
                           bytes_equal(bytes_from(project.name), job->setup->project);
        if (job->has_project)
            job->project = project;
    }
}

static struct err do_setup(void *ctx, struct accounts *accounts)
{
    struct setup_job *job = ctx;
    char nobody[ACCOUNT_ID_SIZE];
    struct err err = use_link(accounts, LINK_SETUP, job->token, nobody);
    if (!err.code)
        err = job->has_organisation
                  ? organisation_rename(accounts, job->setup->organisation, &job->organisation)
                  : organisation_insert(accounts, job->setup->organisation, &job->organisation);
    if (!err.code && !job->has_project)
        err = project_insert(accounts, job->organisation.id, job->setup->project,
                             job->setup->time_zone, BYTES("production"), &job->project);
    job->person.organisation = job->organisation.id;
    if (!err.code)
        err = insert_person(&job->person, accounts);
    return err;
}

struct err account_setup(struct accounts *accounts, struct bytes token,
                         const struct account_setup *setup, const char *remote,
                         char person_out[ACCOUNT_ID_SIZE], struct account_project *project_out)
{
    struct setup_job job = { .token = token,
                             .setup = setup,
                             .person = {
                                 .name = setup->name, .email = setup->email, .role = "owner" } };
    struct account_actor actor = { .kind = "person", .id = "", .remote = remote };
    /* Before the slow hashing, so that a wrong link can't be used to burn time. */
    if (!account_link_is_good(accounts, LINK_SETUP, token))
        return err_new(ERR_MISSING, "account: no such link");
    if (!setup->password.len)
        return err_new(ERR_INVALID, "account: password");
    struct err err = prepare_person(&job.person, setup->password);
    find_made_before(accounts, &job);
    if (!err.code)
        err = account_change(accounts, &actor, "", "setup", setup->email, do_setup, &job);
    if (!err.code && job.has_organisation)
        organisation_renamed(accounts, &job.organisation);
    else if (!err.code)
        err = remember(accounts, &accounts->organisations, &job.organisation,
                       sizeof job.organisation);
    if (!err.code && !job.has_project)
        err = remember(accounts, &accounts->projects, &job.project, sizeof job.project);
    if (!err.code)
        err = remember_person(accounts, &job.person.member);
    if (!err.code) {
        memcpy(person_out, job.person.member.person, ACCOUNT_ID_SIZE);
        *project_out = job.project;
    }
    return err;
}

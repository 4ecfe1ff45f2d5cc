/*
 * account.h - who may ask: organisations, projects, people, sessions, API clients; what they keep
 * (saved reports), and what they did (audit).
 *
 * Secrets are kept as digests only. Every change is durable when its function returns, together
 * with its audit row. What each request needs (clients, sessions, projects) is held in memory, so
 * that account_verify_client and account_session cost a microsecond and never wait for the disk;
 * everything else may wait for an fsync and belongs on a worker.
 *
 * Ids of other tenants are "not there": ERR_MISSING, as if they didn't exist. Any thread may call any
 * function.
 */
#ifndef ACCOUNT_ACCOUNT_H
#define ACCOUNT_ACCOUNT_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"
#include "crypt/crypt.h"
#include "db/db.h"
#include "sys/clock.h"

enum {
    ACCOUNT_ID_SIZE = 24,    /* "p_" and 16 letters or digits, with a zero */
    ACCOUNT_NAME_MAX = 120,  /* bytes */
    ACCOUNT_EMAIL_MAX = 254, /* bytes */
    ACCOUNT_PASSWORD_MIN = 10,
    ACCOUNT_ZONE_MAX = 64,
};

enum account_scope {
    SCOPE_INGEST = 1,
    SCOPE_QUERY = 2,
    SCOPE_PEOPLE = 4,
    SCOPE_MANAGE = 8,
    SCOPE_ALL = 15,
};
/* "ingest"; 0: no such scope. And back: names with commas, appended. */
uint32_t account_scope_of(struct bytes name);
void account_put_scopes(struct buf *to, uint32_t scopes);

struct accounts;

/* Migrates, loads, takes the db over (also when it fails). ERR_INVALID: of a newer program;
 * ERR_CORRUPT. */
MUST_CHECK struct err accounts_open(struct db *db, struct clock *clock, struct accounts **out);
/* Writes what is kept for later (last uses), closes. */
void accounts_close(struct accounts *accounts);
/* Last uses to disk, expired sessions and links away. Once a minute or so. */
MUST_CHECK struct err accounts_maintain(struct accounts *accounts);
/* The file's own consistency and the chain of the audit log. ERR_CORRUPT. */
MUST_CHECK struct err accounts_check(struct accounts *accounts);

/* Random bytes of the server's own, made at the first asking and the same from then on: to sign
 * what it hands out. */
enum { ACCOUNT_SECRET_SIZE = 32 };
MUST_CHECK struct err account_secret(struct accounts *accounts, const char *name,
                                     uint8_t secret_out[ACCOUNT_SECRET_SIZE]);

/* Who does something, for the audit log. */
struct account_actor {
    const char *kind;   /* "person", "client", "command" */
    const char *id;     /* may be "" */
    const char *remote; /* an address; may be "" */
};

/* --- who asks -------------------------------------------------------------------------- */

enum principal_kind { PRINCIPAL_NONE, PRINCIPAL_CLIENT, PRINCIPAL_PERSON };

struct principal {
    enum principal_kind kind;
    uint32_t scopes; /* in `project` */
    uint64_t number; /* the same for each request of this client or session: for rate limits */
    char id[ACCOUNT_ID_SIZE];
    char project[ACCOUNT_ID_SIZE]; /* a client's own; empty for a person until account_choose */
    char csrf[TOKEN_SIZE];         /* a session's */
};

/* False: no such client, another secret, or revoked. */
bool account_verify_client(struct accounts *accounts, struct bytes id, struct bytes secret,
                           struct principal *out);
/* False: no such session, or expired. Each use makes it live longer. */
bool account_session(struct accounts *accounts, struct bytes token, struct principal *out);
/* Sets the project of a person's request, and the scopes there. False: not theirs, or none. */
bool account_choose(struct accounts *accounts, struct bytes project, struct principal *principal);

/* --- organisations and projects ---------------------------------------------------------- */

struct account_project {
    char id[ACCOUNT_ID_SIZE];
    char organisation[ACCOUNT_ID_SIZE];
    char name[ACCOUNT_NAME_MAX + 1];
    char time_zone[ACCOUNT_ZONE_MAX + 1];
    char kind[16]; /* "production", "test" */
    int64_t created_ms;
};

MUST_CHECK struct err account_organisation_create(struct accounts *accounts,
                                                  const struct account_actor *actor,
                                                  struct bytes name, char id_out[ACCOUNT_ID_SIZE]);
/* ERR_INVALID: a name that's empty or too long. ERR_MISSING: no such organisation. The zone isn't
 * checked here. ERR_LIMIT: 10,000 projects. */
MUST_CHECK struct err account_project_create(struct accounts *accounts,
                                             const struct account_actor *actor,
                                             const char *organisation, struct bytes name,
                                             struct bytes time_zone, struct bytes kind,
                                             struct account_project *out);
/* By id, or by name when that is one project's only. ERR_MISSING. ERR_EXISTS: several have it. */
MUST_CHECK struct err account_project_find(struct accounts *accounts, struct bytes id_or_name,
                                           struct account_project *out);
/* The nth project in order of creation; false: no more. */
bool account_project_at(struct accounts *accounts, size_t n, struct account_project *out);
/* The first organisation; ERR_MISSING: none yet. */
MUST_CHECK struct err account_first_organisation(struct accounts *accounts,
                                                 char id_out[ACCOUNT_ID_SIZE]);

/* --- people ----------------------------------------------------------------------------------- */

struct account_person {
    char id[ACCOUNT_ID_SIZE];
    char name[ACCOUNT_NAME_MAX + 1];
    char email[ACCOUNT_EMAIL_MAX + 1];
};
struct account_member {
    char organisation[ACCOUNT_ID_SIZE];
    char organisation_name[ACCOUNT_NAME_MAX + 1];
    char role[16];
};

bool account_has_people(struct accounts *accounts);
MUST_CHECK struct err account_person_get(struct accounts *accounts, const char *id,
                                         struct account_person *out);
/* The nth membership of a person; false: no more. */
bool account_member_at(struct accounts *accounts, const char *person, size_t n,
                       struct account_member *out);
/* `password` empty: signs in by links only. ERR_EXISTS: the e-mail address is taken. ERR_INVALID:
 * name, address or password. */
MUST_CHECK struct err account_person_create(struct accounts *accounts,
                                            const struct account_actor *actor, struct bytes name,
                                            struct bytes email, struct bytes password,
                                            const char *organisation, const char *role,
                                            char id_out[ACCOUNT_ID_SIZE]);
MUST_CHECK struct err account_person_find(struct accounts *accounts, struct bytes email,
                                          struct account_person *out);

/* Links that work once. A new setup link ends the one before. */
enum account_link { LINK_SETUP = 1, LINK_TICKET = 2 };
MUST_CHECK struct err account_link_new(struct accounts *accounts, enum account_link kind,
                                       const char *person /* NULL for setup */, int64_t life_ms,
                                       char token_out[TOKEN_SIZE]);
bool account_link_is_good(struct accounts *accounts, enum account_link kind, struct bytes token);

struct account_setup {
    struct bytes name, email, password, organisation, project, time_zone;
};
/* Makes the owner with the first organisation and project, and uses the link up: all or nothing. An
 * organisation that commands made before takes the name and belongs to the owner; a project of that
 * name in it is the project.
 * ERR_MISSING: not a good link. ERR_INVALID. Slow on purpose (Argon2id). */
MUST_CHECK struct err account_setup(struct accounts *accounts, struct bytes token,
                                    const struct account_setup *setup, const char *remote,
                                    char person_out[ACCOUNT_ID_SIZE],
                                    struct account_project *project_out);

/* --- sessions ------------------------------------------------------------------------------------ */

enum { SESSION_IDLE_DAYS = 14, SESSION_LIFE_DAYS = 90 };

/* ERR_DENIED: address or password are wrong, in the same time for both. ERR_LIMIT: too many
 * failures for this address or from there: wait 15 minutes. Slow on purpose. */
MUST_CHECK struct err account_sign_in(struct accounts *accounts, struct bytes email,
                                      struct bytes password, const char *remote,
                                      char person_out[ACCOUNT_ID_SIZE]);
/* ERR_DENIED: not a good ticket. */
MUST_CHECK struct err account_use_ticket(struct accounts *accounts, struct bytes token,
                                         const char *remote, char person_out[ACCOUNT_ID_SIZE]);
MUST_CHECK struct err account_session_new(struct accounts *accounts, const char *person,
                                          const char *remote, char token_out[TOKEN_SIZE],
                                          struct principal *out);
MUST_CHECK struct err account_sign_out(struct accounts *accounts, struct bytes token,
                                       const char *remote);

/* --- API clients ------------------------------------------------------------------------------------ */

struct account_client {
    char id[ACCOUNT_ID_SIZE];
    char project[ACCOUNT_ID_SIZE];
    char name[ACCOUNT_NAME_MAX + 1];
    uint32_t scopes;
    int64_t created_ms;
    int64_t last_used_ms; /* 0: never */
};

/* The secret is told this once. ERR_LIMIT: 100 a project. ERR_MISSING: no such project. */
MUST_CHECK struct err account_client_create(struct accounts *accounts,
                                            const struct account_actor *actor, const char *project,
                                            struct bytes name, uint32_t scopes,
                                            struct account_client *out,
                                            char secret_out[TOKEN_SIZE]);
/* The nth living client of a project, in order of creation. */
bool account_client_at(struct accounts *accounts, const char *project, size_t n,
                       struct account_client *out);
MUST_CHECK struct err account_client_revoke(struct accounts *accounts,
                                            const struct account_actor *actor, const char *project,
                                            struct bytes id);

/* --- saved reports ------------------------------------------------------------------------------------- */

struct account_report {
    struct bytes id, name, description, kind;
    struct bytes query; /* JSON */
    struct bytes view;  /* JSON, the dashboard's own */
    struct bytes etag;
    int64_t created_ms;
    int64_t updated_ms;
};
enum { ACCOUNT_REPORT_MAX = 256 << 10, ACCOUNT_REPORTS_MAX = 2000 };

typedef void account_report_fn(void *ctx, const struct account_report *report);
/* In order of name. */
MUST_CHECK struct err account_reports(struct accounts *accounts, const char *project,
                                      account_report_fn *visit, void *ctx);
MUST_CHECK struct err account_report_get(struct accounts *accounts, const char *project,
                                         struct bytes id, account_report_fn *visit, void *ctx);
/* id, etag and times of `report` are ignored. ERR_LIMIT. */
MUST_CHECK struct err account_report_create(struct accounts *accounts,
                                            const struct account_actor *actor, const char *project,
                                            const struct account_report *report,
                                            account_report_fn *visit, void *ctx);
/* ERR_EXISTS: `if_match` (empty: whatever is there) isn't its etag any more. ERR_MISSING. */
MUST_CHECK struct err account_report_update(struct accounts *accounts,
                                            const struct account_actor *actor, const char *project,
                                            struct bytes id, struct bytes if_match,
                                            const struct account_report *report,
                                            account_report_fn *visit, void *ctx);
MUST_CHECK struct err account_report_delete(struct accounts *accounts,
                                            const struct account_actor *actor, const char *project,
                                            struct bytes id, struct bytes if_match);

/* --- audit ------------------------------------------------------------------------------------------------ */

/* For actions that change nothing here (a merge of users, an export). */
MUST_CHECK struct err account_audit(struct accounts *accounts, const struct account_actor *actor,
                                    const char *project, const char *what, struct bytes target);
struct account_audit_row {
    int64_t number;
    int64_t at_ms;
    struct bytes kind, id, remote, project, what, target;
};
typedef void account_audit_fn(void *ctx, const struct account_audit_row *row);
/* The newest `max` rows of a project (NULL: of all), newest first, before row `before` (0: from the
 * newest). */
MUST_CHECK struct err account_audit_rows(struct accounts *accounts, const char *project,
                                         int64_t before, uint32_t max, account_audit_fn *visit,
                                         void *ctx);

#endif

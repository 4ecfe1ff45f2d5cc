/* account_internal.h - what the files of account share. */
#ifndef ACCOUNT_ACCOUNT_INTERNAL_H
#define ACCOUNT_ACCOUNT_INTERNAL_H

#include "account/account.h"
#include "base/map.h"
#include "sys/thread.h"

struct client {
    struct client *next; /* same key in the map */
    struct account_client facts;
    uint8_t secret_digest[SHA256_SIZE];
    uint64_t number;
    _Atomic int64_t used_ms;
    int64_t written_ms; /* of used_ms, in the db */
};

struct session {
    uint8_t digest[SHA256_SIZE];
    char person[ACCOUNT_ID_SIZE];
    char csrf[TOKEN_SIZE];
    int64_t created_ms;
    uint64_t number;
    _Atomic int64_t seen_ms;
    int64_t written_ms;
    bool is_ended;
};

struct member {
    char person[ACCOUNT_ID_SIZE];
    char organisation[ACCOUNT_ID_SIZE];
    char role[16];
};

struct organisation {
    char id[ACCOUNT_ID_SIZE];
    char name[ACCOUNT_NAME_MAX + 1];
};

/* A growing array of pointers. */
struct list {
    void **items;
    size_t count;
    size_t cap;
};
MUST_CHECK struct err account_list_add(struct list *list, void *item);

/* Failures of a sign-in, counted by who and from where. */
struct attempt {
    uint64_t key;
    uint32_t failures;
    int64_t since_ms;
};
enum { ATTEMPTS = 4096, ATTEMPT_FAILURES = 10, ATTEMPT_WINDOW_MS = 15 * 60 * 1000 };

struct accounts {
    struct db *db;
    struct clock *clock;
    struct mutex db_lock; /* around each use of db; taken before `lock` */
    struct rwlock lock;   /* the members below */
    struct list clients;  /* struct client: in order of creation; revoked ones stay till closing */
    struct map64 *client_by_id;
    struct list sessions;
    struct map64 *session_by_digest; /* its first 8 bytes → number + 1 */
    struct list projects;            /* struct account_project */
    struct list organisations;
    struct list members;
    uint64_t next_number;
    int64_t people;
    uint8_t audit_digest[SHA256_SIZE]; /* of the newest row */
    struct attempt attempts[ATTEMPTS];
};

extern const char *const account_migrations[];
extern const int account_migration_count;

/* "p_" and 16 letters or digits. */
void id_new(const char *prefix, char id_out[ACCOUNT_ID_SIZE]);
/* Copies what fits; false: it doesn't. */
bool text_to(struct bytes text, char *to, size_t size);
bool is_name(struct bytes name);

/* Within a transaction, under db_lock. */
MUST_CHECK struct err audit_put(struct accounts *accounts, const struct account_actor *actor,
                                const char *project, const char *what, struct bytes target,
                                uint8_t digest_out[SHA256_SIZE]);
MUST_CHECK struct err audit_load(struct accounts *accounts);
MUST_CHECK struct err audit_verify(struct accounts *accounts);

/* One change with its audit row, in one transaction; takes db_lock. `work` runs within. */
typedef struct err account_work_fn(void *ctx, struct accounts *accounts);
MUST_CHECK struct err account_change(struct accounts *accounts, const struct account_actor *actor,
                                     const char *project, const char *what, struct bytes target,
                                     account_work_fn *work, void *ctx);

MUST_CHECK struct err clients_load(struct accounts *accounts);
MUST_CHECK struct err sessions_load(struct accounts *accounts);
MUST_CHECK struct err clients_flush(struct accounts *accounts);
MUST_CHECK struct err sessions_flush(struct accounts *accounts);
void clients_free(struct accounts *accounts);
void sessions_free(struct accounts *accounts);

/* Within a transaction; the caller adds to memory with project_remember after the commit. */
MUST_CHECK struct err organisation_insert(struct accounts *accounts, struct bytes name,
                                          struct organisation *out);
/* The name, in the database; then, when that is durable, in memory. */
MUST_CHECK struct err organisation_rename(struct accounts *accounts, struct bytes name,
                                          struct organisation *organisation);
void organisation_renamed(struct accounts *accounts, const struct organisation *organisation);
MUST_CHECK struct err project_insert(struct accounts *accounts, const char *organisation,
                                     struct bytes name, struct bytes time_zone, struct bytes kind,
                                     struct account_project *out);
MUST_CHECK struct err remember(struct accounts *accounts, struct list *list, const void *item,
                               size_t size);

#endif

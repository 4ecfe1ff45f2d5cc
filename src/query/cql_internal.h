/*
 * cql_internal.h - what the files of the CQL reader share.
 *
 * The parser looks at one token, `now`. A function that tries something and doesn't find it notes
 * what it wanted, so that the error at a token names everything that could have stood there.
 * Parsing functions return false after a failure, with the problem filled.
 */
#ifndef QUERY_CQL_INTERNAL_H
#define QUERY_CQL_INTERNAL_H

#include "query/tree.h"

enum token_kind {
    TOKEN_END,
    TOKEN_WORD,
    TOKEN_NAME /* "…" */,
    TOKEN_STRING /* '…' */,
    TOKEN_INT,
    TOKEN_REAL,
    TOKEN_SYMBOL
};

struct token {
    enum token_kind kind;
    size_t offset;
    size_t length;
    struct bytes text; /* as written; NAME and STRING: the content, quotes undone */
    int64_t integer;
    double real; /* of INT too */
};

enum { CQL_WANTED_MAX = 24 };

struct cql {
    struct bytes text;
    struct arena *arena;
    struct query_problem *problem;
    enum err_code failed; /* ERR_NONE: all is well */
    struct token now;
    uint32_t nodes;
    uint32_t depth;
    const char *wanted[CQL_WANTED_MAX]; /* tried at `now` */
    uint32_t wanted_count;
};

/* --- cql_lex.c ---------------------------------------------------------------- */

/* The token at `offset`. False: there's none; failed. */
bool cql_lex(struct cql *p, size_t offset, struct token *out);
bool cql_next(struct cql *p); /* now = the one after it */
/* The token after `now`, or after `token`; a broken one reads as an end. */
struct token cql_peek(struct cql *p, const struct token *token);

bool token_is_word(const struct token *token, const char *word);
bool token_is_symbol(const struct token *token, const char *symbol);
/* Is it the word (symbol)? Notes that it was wanted when it isn't. */
bool cql_at_word(struct cql *p, const char *word);
bool cql_at_symbol(struct cql *p, const char *symbol);
bool cql_at(struct cql *p, enum token_kind kind, const char *wanted);
/* Takes it if it's there. *taken_out false: it isn't. Returns false only after a failure. */
bool cql_take_word(struct cql *p, const char *word, bool *taken_out);
bool cql_take_symbol(struct cql *p, const char *symbol, bool *taken_out);
/* Takes it or fails. */
bool cql_need_word(struct cql *p, const char *word);
bool cql_need_symbol(struct cql *p, const char *symbol);

/* Failures; all return false. `wanted`: what stood open at `now` besides what was noted. */
bool cql_unexpected(struct cql *p, const char *wanted);
__attribute__((format(printf, 4, 5))) bool cql_wrong(struct cql *p, size_t offset, size_t length,
                                                     const char *format, ...);
bool cql_no_memory(struct cql *p);
bool cql_count_node(struct cql *p); /* the limit on nodes */

struct place token_place(const struct token *token);
/* A word that can't be a property's name without quotes. */
bool cql_is_reserved(struct bytes word);

/* --- cql_parts.c ---------------------------------------------------------------- */

/* A growing list of equal things, copied into the arena when it's whole. */
struct list {
    struct cql *p;
    uint8_t *items;
    size_t size;
    uint32_t count;
    uint32_t cap;
    uint32_t max;
};
void cql_list_init(struct list *list, struct cql *p, size_t size, uint32_t max);
bool cql_list_add(struct list *list, const void *item, const char *what);

bool cql_name(struct cql *p, const char *wanted, struct name *out); /* a property's */
bool cql_text(struct cql *p, const char *wanted, struct name *out); /* 'text' */
bool cql_count(struct cql *p, const char *wanted, uint64_t min, uint64_t max, uint64_t *out);
bool cql_number(struct cql *p, double *out);
bool cql_duration(struct cql *p, struct duration *out);
bool cql_unit(struct cql *p, enum calendar_unit *out);
bool cql_when(struct cql *p, struct when *out);
/* SINCE … BETWEEN … IN LAST … BEFORE … TODAY …; *found_out false: none of them is here. */
bool cql_span(struct cql *p, struct span *out, bool *found_out);
bool cql_op(struct cql *p, enum compare_op *out, bool is_number);
bool cql_step(struct cql *p, bool is_in_condition, struct step *out);
bool cql_steps(struct cql *p, bool is_in_condition, const struct step **out, uint32_t *count_out);
bool cql_filter(struct cql *p, const struct condition **out);
bool cql_condition(struct cql *p, const struct condition **out);
bool cql_key(struct cql *p, struct key *out);
bool cql_keys(struct cql *p, const struct key **out, uint32_t *count_out);

#endif

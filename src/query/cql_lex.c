/* cql_lex.c - CQL's tokens, and errors that point at them. */
#include "query/cql_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static bool is_word_start(uint8_t byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || byte == '_' ||
           byte == '$' || byte >= 0x80;
}

/* --- failures ---------------------------------------------------------------------- */

bool cql_no_memory(struct cql *p)
{
    p->failed = ERR_NOMEM;
    return false;
}

bool cql_wrong(struct cql *p, size_t offset, size_t length, const char *format, ...)
{
    if (p->failed)
        return false;

    char text[512];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);

    *p->problem = (struct query_problem){ 0 };
    p->problem->message = arena_copy(p->arena, bytes_from(text));
    if (!p->problem->message.ptr)
        return cql_no_memory(p);
    problem_place(p->problem, p->text, offset, length);
    p->failed = ERR_INVALID;
    return false;
}

static void note_wanted(struct cql *p, const char *wanted)
{
    for (uint32_t i = 0; i < p->wanted_count; i++)
        if (strcmp(p->wanted[i], wanted) == 0)
            return;
    if (p->wanted_count < CQL_WANTED_MAX)
        p->wanted[p->wanted_count++] = wanted;
}

/* The wanted keyword that the word at `now` is nearest to, if it's near. */
static const char *nearest_wanted(const struct cql *p)
{
    const char *best = NULL;
    size_t best_distance = 0;

    if (p->now.kind != TOKEN_WORD)
        return NULL;
    for (uint32_t i = 0; i < p->wanted_count; i++) {
        const char *word = p->wanted[i];
        if (word[0] < 'A' || word[0] > 'Z') /* "a number" and other descriptions */
            continue;
        size_t limit = strlen(word) / 3 + 1;
        size_t distance = text_distance(p->now.text, bytes_from(word), limit);
        if (distance <= limit && strlen(word) > 2 && (!best || distance < best_distance)) {
            best = word;
            best_distance = distance;
        }
    }
    return best;
}

bool cql_unexpected(struct cql *p, const char *wanted)
{
    if (p->failed)
        return false;
    if (wanted)
        note_wanted(p, wanted);

    char text[448];
    size_t used = 0;
    for (uint32_t i = 0; i < p->wanted_count && used + 48 < sizeof text; i++) {
        const char *before = i == 0 ? "" : i + 1 == p->wanted_count ? " or " : ", ";
        bool is_symbol = strlen(p->wanted[i]) <= 2 && !is_word_start((uint8_t)p->wanted[i][0]);
        int wrote = snprintf(text + used, sizeof text - used, is_symbol ? "%s`%.40s`" : "%s%.40s",
                             before, p->wanted[i]);
        used += wrote > 0 ? (size_t)wrote : 0;
    }
    text[used < sizeof text ? used : sizeof text - 1] = 0;

    const char *nearest = nearest_wanted(p);
    if (p->now.kind == TOKEN_END)
        (void)cql_wrong(p, p->now.offset, 0, "the question ends where %s was expected", text);
    else
        (void)cql_wrong(p, p->now.offset, p->now.length, "expected %s, not %.*s", text,
                        (int)(p->now.length < 60 ? p->now.length : 60),
                        (const char *)p->text.ptr + p->now.offset);
    if (nearest && p->failed == ERR_INVALID)
        p->problem->suggestion = bytes_from(nearest);
    return false;
}

bool cql_count_node(struct cql *p)
{
    if (++p->nodes <= TREE_NODES_MAX)
        return true;
    return cql_wrong(p, p->now.offset, p->now.length, "the question has more than %d parts",
                     TREE_NODES_MAX);
}

struct place token_place(const struct token *token)
{
    return (struct place){ .offset = (uint32_t)token->offset, .length = (uint32_t)token->length };
}

/* --- tokens ---------------------------------------------------------------------------- */

static bool is_digit(uint8_t byte)
{
    return byte >= '0' && byte <= '9';
}

static uint8_t byte_at(const struct cql *p, size_t at)
{
    return at < p->text.len ? p->text.ptr[at] : 0;
}

static size_t skip_space(const struct cql *p, size_t at)
{
    for (;;) {
        uint8_t byte = byte_at(p, at);
        if (at < p->text.len && (byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r')) {
            at++;
        } else if (byte == '-' && byte_at(p, at + 1) == '-') {
            while (at < p->text.len && p->text.ptr[at] != '\n')
                at++;
        } else {
            return at;
        }
    }
}

/* What stands between two quotes; a doubled quote is one. */
static bool lex_quoted(struct cql *p, uint8_t quote, struct token *token)
{
    size_t at = token->offset + 1;
    size_t doubled = 0;

    for (;; at++) {
        if (at >= p->text.len)
            return cql_wrong(p, token->offset, 1, "this quote isn't closed");
        if (p->text.ptr[at] != quote)
            continue;
        if (byte_at(p, at + 1) != quote)
            break;
        doubled++;
        at++;
    }
    token->length = at + 1 - token->offset;
    token->text = bytes_slice(p->text, token->offset + 1, token->length - 2);
    if (doubled == 0)
        return true;

    uint8_t *copy = arena_alloc(p->arena, token->text.len);
    if (!copy)
        return cql_no_memory(p);
    size_t len = 0;
    for (size_t i = 0; i < token->text.len; i++) {
        copy[len++] = token->text.ptr[i];
        if (token->text.ptr[i] == quote)
            i++;
    }
    token->text = bytes_of(copy, len);
    return true;
}

static bool lex_number(struct cql *p, struct token *token)
{
    size_t at = token->offset;
    bool is_real = false;

    while (is_digit(byte_at(p, at)))
        at++;
    if (byte_at(p, at) == '.' && is_digit(byte_at(p, at + 1))) {
        is_real = true;
        at++;
        while (is_digit(byte_at(p, at)))
            at++;
    }
    if (byte_at(p, at) == 'e' || byte_at(p, at) == 'E') {
        size_t exponent = at + 1;
        if (byte_at(p, exponent) == '+' || byte_at(p, exponent) == '-')
            exponent++;
        if (is_digit(byte_at(p, exponent))) {
            is_real = true;
            at = exponent;
            while (is_digit(byte_at(p, at)))
                at++;
        }
    }
    token->length = at - token->offset;
    token->text = bytes_slice(p->text, token->offset, token->length);
    token->kind = is_real ? TOKEN_REAL : TOKEN_INT;

    char text[400];
    if (token->length >= sizeof text)
        return cql_wrong(p, token->offset, token->length, "this number is too long");
    memcpy(text, token->text.ptr, token->length);
    text[token->length] = 0;
    token->real = strtod(text, NULL);
    if (token->real > 1.7976931348623157e308)
        return cql_wrong(p, token->offset, token->length, "this number is too large");
    if (is_real)
        return true;
    errno = 0;
    token->integer = strtoll(text, NULL, 10);
    if (errno == ERANGE)
        token->kind = TOKEN_REAL;
    return true;
}

static const char *const SYMBOLS[] = { "!=", "<>", "<=", ">=", "=", "<", ">", "(",
                                       ")",  ",",  ";",  ".",  "+", "-", "*", "/" };

bool cql_lex(struct cql *p, size_t offset, struct token *out)
{
    struct token token = { .kind = TOKEN_END, .offset = skip_space(p, offset) };
    uint8_t byte = byte_at(p, token.offset);

    if (token.offset >= p->text.len) {
        *out = token;
        return true;
    }
    if (byte == '\'' || byte == '"') {
        token.kind = byte == '"' ? TOKEN_NAME : TOKEN_STRING;
        if (!lex_quoted(p, byte, &token))
            return false;
        *out = token;
        return true;
    }
    if (is_digit(byte)) {
        if (!lex_number(p, &token))
            return false;
        *out = token;
        return true;
    }
    if (is_word_start(byte)) {
        size_t at = token.offset;
        while (is_word_start(byte_at(p, at)) || is_digit(byte_at(p, at)))
            at++;
        token.kind = TOKEN_WORD;
        token.length = at - token.offset;
        token.text = bytes_slice(p->text, token.offset, token.length);
        *out = token;
        return true;
    }
    for (size_t i = 0; i < sizeof SYMBOLS / sizeof SYMBOLS[0]; i++) {
        struct bytes symbol = bytes_from(SYMBOLS[i]);
        if (!bytes_start_with(bytes_slice(p->text, token.offset, 2), symbol))
            continue;
        token.kind = TOKEN_SYMBOL;
        token.length = symbol.len;
        token.text = symbol;
        *out = token;
        return true;
    }
    if (byte > ' ' && byte < 0x7f)
        return cql_wrong(p, token.offset, 1, "the character %c has no meaning here", byte);
    return cql_wrong(p, token.offset, 1, "a control character (0x%02x) has no meaning here", byte);
}

bool cql_next(struct cql *p)
{
    struct token token;
    if (!cql_lex(p, p->now.offset + p->now.length, &token))
        return false;
    p->now = token;
    p->wanted_count = 0;
    return true;
}

struct token cql_peek(struct cql *p, const struct token *token)
{
    struct query_problem ignored;
    struct cql copy = *p;
    struct token next = { .kind = TOKEN_END, .offset = token->offset + token->length };

    copy.problem = &ignored;
    if (!cql_lex(&copy, token->offset + token->length, &next))
        return (struct token){ .kind = TOKEN_END, .offset = token->offset + token->length };
    return next;
}

/* --- looking and taking ------------------------------------------------------------------ */

static bool words_equal(struct bytes text, const char *word)
{
    if (text.len != strlen(word))
        return false;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t byte = text.ptr[i];
        if (byte >= 'a' && byte <= 'z')
            byte = (uint8_t)(byte - 'a' + 'A');
        if (byte != (uint8_t)word[i])
            return false;
    }
    return true;
}

bool token_is_word(const struct token *token, const char *word)
{
    return token->kind == TOKEN_WORD && words_equal(token->text, word);
}

bool token_is_symbol(const struct token *token, const char *symbol)
{
    return token->kind == TOKEN_SYMBOL && bytes_equal(token->text, bytes_from(symbol));
}

bool cql_at_word(struct cql *p, const char *word)
{
    if (token_is_word(&p->now, word))
        return true;
    note_wanted(p, word);
    return false;
}

bool cql_at_symbol(struct cql *p, const char *symbol)
{
    if (token_is_symbol(&p->now, symbol))
        return true;
    note_wanted(p, symbol);
    return false;
}

bool cql_at(struct cql *p, enum token_kind kind, const char *wanted)
{
    if (p->now.kind == kind)
        return true;
    note_wanted(p, wanted);
    return false;
}

bool cql_take_word(struct cql *p, const char *word, bool *taken_out)
{
    *taken_out = cql_at_word(p, word);
    return *taken_out ? cql_next(p) : true;
}

bool cql_take_symbol(struct cql *p, const char *symbol, bool *taken_out)
{
    *taken_out = cql_at_symbol(p, symbol);
    return *taken_out ? cql_next(p) : true;
}

bool cql_need_word(struct cql *p, const char *word)
{
    return cql_at_word(p, word) ? cql_next(p) : cql_unexpected(p, NULL);
}

bool cql_need_symbol(struct cql *p, const char *symbol)
{
    return cql_at_symbol(p, symbol) ? cql_next(p) : cql_unexpected(p, NULL);
}

bool cql_is_reserved(struct bytes word)
{
    static const char *const RESERVED[] = {
        "AND",   "AS",    "ASC",   "BETWEEN", "BUCKET",  "BY",     "DAY",      "DESC",   "DID",
        "EVENT", "FALSE", "FROM",  "GROUP",   "HOUR",    "IN",     "LIMIT",    "MINUTE", "MONTH",
        "NOT",   "OR",    "ORDER", "PROFILE", "QUARTER", "SELECT", "SEQUENCE", "SINCE",  "THEN",
        "TRUE",  "UNTIL", "WEEK",  "WHERE",   "WITH",    "WITHIN", "YEAR",
    };
    for (size_t i = 0; i < sizeof RESERVED / sizeof RESERVED[0]; i++)
        if (words_equal(word, RESERVED[i]))
            return true;
    return false;
}

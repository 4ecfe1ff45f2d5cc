/* err.h - what went wrong, in two registers. */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <assert.h>
#include <errno.h>

#define MUST_CHECK __attribute__((warn_unused_result))

enum err_code {
    ERR_NONE = 0,
    ERR_NOMEM,     /* no memory, or the owner's memory limit is reached */
    ERR_OS,        /* a system call failed; `os` holds its errno */
    ERR_INVALID,   /* the caller's input breaks a rule of the interface */
    ERR_CORRUPT,   /* bytes from disk or from the network do not check */
    ERR_BUSY,      /* someone else holds it; trying again later may work */
    ERR_BROKEN,    /* an earlier failure left this object unusable */
    ERR_FULL,      /* no room on the disk (ENOSPC, EDQUOT, or a configured floor) */
    ERR_LIMIT,     /* a limit other than memory is reached: size, depth, count, time */
    ERR_CANCELLED, /* the asker no longer wants the answer */
    ERR_MISSING,   /* a thing that the caller named is not there */
    ERR_EXISTS,    /* a thing that the caller would make is there already */
    ERR_DENIED,    /* the caller may not */
};

/*
 * Small enough to come back in two registers, and it owns nothing: `what` is a
 * literal "module: action". The caller knows the names and ids involved and adds
 * them where the error is reported.
 */
struct err {
    enum err_code code;
    int os;
    const char *what;
};

static_assert(sizeof(struct err) <= 16, "struct err is returned in registers");

/* "nomem", "os", …: the code's name in small letters. */
const char *err_code_name(enum err_code code);

static inline struct err ok(void)
{
    return (struct err){ .code = ERR_NONE };
}

static inline struct err err_new(enum err_code code, const char *what)
{
    assert(code != ERR_NONE && code != ERR_OS);
    return (struct err){ .code = code, .what = what };
}

/* The system call that has just failed; call it before anything else can change
 * errno. A full disk is told apart, since callers answer it differently. */
static inline struct err err_os(const char *what)
{
    if (errno == ENOSPC || errno == EDQUOT)
        return (struct err){ .code = ERR_FULL, .os = errno, .what = what };
    return (struct err){ .code = ERR_OS, .os = errno, .what = what };
}

#endif

/*
 * logline.h - lines for whoever runs the machine: a time, a level, a message, and keys with values.
 *
 *     struct logline line;
 *     logline_start(&line, logger, LOGLINE_WARN, "http: request refused");
 *     logline_put_text(&line, "path", path);
 *     logline_put_int(&line, "status", 429);
 *     logline_end(&line);
 *
 *     time=2026-11-25T10:20:30.123Z level=warn msg="http: request refused" path=/track status=429
 *     {"time":"2026-11-25T10:20:30.123Z","level":"warn","msg":"http: request refused",…}
 *
 * A line is one line, whatever is in its values: control characters, quotes, line separators and bytes
 * that aren't UTF-8 are escaped. It's handed to the sink as a whole, with its newline. What doesn't fit
 * it is left out, and the line says truncated=true.
 */
#ifndef BASE_LOGLINE_H
#define BASE_LOGLINE_H

#include "base/bytes.h"
#include "base/err.h"

enum logline_level { LOGLINE_DEBUG, LOGLINE_INFO, LOGLINE_WARN, LOGLINE_ERROR };
enum logline_format { LOGLINE_LOGFMT, LOGLINE_JSON };

/* Called from any thread; writes the line at once. */
typedef void logline_sink_fn(void *ctx, struct bytes line);
/* Milliseconds since 1970 UTC. */
typedef int64_t logline_now_fn(void *ctx);

struct logger {
    logline_sink_fn *sink;
    logline_now_fn *now_ms;
    void *ctx;
    enum logline_level least; /* lines below it are not written */
    enum logline_format format;
};

enum {
    LOGLINE_MAX = 4096,       /* bytes of a line with its newline */
    LOGLINE_VALUE_MAX = 1024, /* bytes of a value before escaping */
};

struct logline {
    const struct logger *logger; /* NULL: not to be written */
    size_t len;
    bool is_truncated;
    char text[LOGLINE_MAX];
};

/* A NULL logger is fine: nothing is written. `msg` is a literal. */
void logline_start(struct logline *line, const struct logger *logger, enum logline_level level,
                   const char *msg);
/* Keys are literals of small letters, digits and '_'. */
void logline_put_text(struct logline *line, const char *key, struct bytes value);
void logline_put_int(struct logline *line, const char *key, int64_t value);
void logline_put_real(struct logline *line, const char *key, double value);
void logline_put_bool(struct logline *line, const char *key, bool value);
/* error="wal: write" code=os errno=28 */
void logline_put_err(struct logline *line, struct err err);
void logline_end(struct logline *line);

/* "debug", "info", "warn", "error"; false: none of them. */
bool logline_level_parse(struct bytes text, enum logline_level *out);

#endif

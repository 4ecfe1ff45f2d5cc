/*
 * jsonw.h - writing JSON into a buf. Commas are the writer's business.
 *
 *     struct jsonw w = jsonw_of(&buf);
 *     jsonw_object(&w);
 *     jsonw_key(&w, "status"); jsonw_text(&w, "success");
 *     jsonw_end_object(&w);
 *
 * Strings must be UTF-8 (what isn't is replaced by U+FFFD). Doubles are the shortest decimals that
 * read back the same; NaN and infinities become null; an integral double prints without a fraction: 3.
 */
#ifndef CODEC_JSONW_H
#define CODEC_JSONW_H

#include "base/buf.h"
#include "base/value.h"

struct jsonw {
    struct buf *buf;
    bool needs_comma;
};

static inline struct jsonw jsonw_of(struct buf *buf)
{
    return (struct jsonw){ .buf = buf };
}

void jsonw_object(struct jsonw *w);
void jsonw_end_object(struct jsonw *w);
void jsonw_array(struct jsonw *w);
void jsonw_end_array(struct jsonw *w);
void jsonw_key(struct jsonw *w, const char *key);
void jsonw_key_bytes(struct jsonw *w, struct bytes key);

void jsonw_null(struct jsonw *w);
void jsonw_bool(struct jsonw *w, bool value);
void jsonw_int(struct jsonw *w, int64_t value);
void jsonw_uint(struct jsonw *w, uint64_t value);
void jsonw_real(struct jsonw *w, double value);
void jsonw_text(struct jsonw *w, const char *text); /* NULL gives null */
void jsonw_string(struct jsonw *w, struct bytes text);
/* A time as RFC 3339 in UTC. */
void jsonw_time(struct jsonw *w, int64_t time_ms);
void jsonw_value(struct jsonw *w, const struct value *value);
/* JSON that's made already. */
void jsonw_raw(struct jsonw *w, struct bytes json);

/* The shortest decimal text that reads back as this finite `value`, without a zero at the end (but
 * -0.0 keeps its own); up to 24 bytes at `to`; returns its length. Shared with CSV and tables. */
size_t real_to_text(double value, char *to);

#endif

/* zone_internal.h - what a zone is made of, between its parser and the calendar. */
#ifndef BASE_ZONE_INTERNAL_H
#define BASE_ZONE_INTERNAL_H

#include "base/calendar.h"

#define ZONE_OFFSET_LIMIT_S (26 * 3600) /* every offset is nearer to UTC than this */
#define ZONE_FAR_MS         (INT64_MAX / 4)

enum {
    ZONE_INDEX_SHIFT = 33, /* 99.4 days of milliseconds */
    ZONE_SEGMENTS_MAX = 1 << 16,
    ZONE_RULE_LAST_YEAR = 2500,
};

/* From `at_ms` to the next segment's the offset is the same; neighbours' differ. */
struct zone_segment {
    int64_t at_ms;
    int64_t offset_ms;
    /* Where the wall clock had got to before: every local time below this was passed, or jumped
     * over, in an earlier segment. */
    int64_t reached_ms;
};

struct zone {
    char *name;
    struct zone_segment *segments; /* count and one more, at ZONE_FAR_MS */
    size_t count;                  /* at least 1; the first begins at -ZONE_FAR_MS */
    /* index[b]: the segment in effect at index_from_ms + (b << ZONE_INDEX_SHIFT); one entry more
     * for the last segment. */
    uint32_t *index;
    size_t index_count;
    int64_t index_from_ms;
};

/* Segments as they're found, in the order of their time. */
struct zone_builder {
    struct zone_segment *segments;
    size_t count;
    size_t cap;
};

/* `offset_s` holds from `at_ms` on. One at the time of the one before replaces it; one with the
 * same offset as the one before is left out; those before year 1 make one. */
MUST_CHECK struct err zone_builder_add(struct zone_builder *builder, int64_t at_ms,
                                       int32_t offset_s);
/* Takes the builder's segments. The first add must have been at -ZONE_FAR_MS. */
MUST_CHECK struct err zone_builder_take(struct zone_builder *builder, struct bytes name,
                                        struct zone **out);
void zone_builder_done(struct zone_builder *builder);

#endif

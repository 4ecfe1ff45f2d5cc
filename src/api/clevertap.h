/* clevertap.h - CleverTap's JSON bodies, taken apart; shared by the files of that face. */
#ifndef API_CLEVERTAP_H
#define API_CLEVERTAP_H

#include "api/api_internal.h"

enum { CT_DATE_SIZE = 11, CT_ANSWER_MAX = 256 << 20, CT_ARENA_MAX = 256 << 20 };

/* event_name, from, to of a query or a part of one. */
struct ct_base {
    bool is_any;        /* "-1", or no base at all */
    bool is_unknown;    /* no event of this name was ever seen */
    struct bytes event; /* as it's spelt here: names compare without case and spaces */
    char from[CT_DATE_SIZE];
    char to[CT_DATE_SIZE]; /* included; both empty: the last 365 days */
    int32_t from_day;
    int32_t to_day;
};

/* False: answered. `needs_base`: event_name, from and to must be there. */
bool ct_take_base(struct call *call, const struct catalog *catalog, struct json_value body,
                  bool needs_base, struct ct_base *out);
/* Refuses members that aren't in the list of names with spaces. False: answered. */
bool ct_only(struct call *call, struct json_value object, const char *known);
/* ,F,F…: filters of events; of profiles. False: answered. */
bool ct_put_event_filters(struct call *call, struct json_value body, struct buf *to);
bool ct_put_profile_filters(struct call *call, struct json_value body, struct buf *to);
/* The condition on users that a whole body says. False: answered. */
bool ct_put_condition(struct call *call, const struct catalog *catalog, struct json_value body,
                      const struct ct_base *base, struct buf *to);
/* The filter of a select: the event and all filters of the body. False: answered. */
bool ct_put_where(struct call *call, struct json_value body, const struct ct_base *base,
                  struct buf *to);
void ct_put_span(const struct ct_base *base, struct buf *to);
void ct_put_text(struct buf *to, struct bytes text); /* as a JSON string */

#endif

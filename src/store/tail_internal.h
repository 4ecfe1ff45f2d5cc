/* tail_internal.h - the tail's columns, shared by appending (tail.c) and sealing (tail_seal.c). */
#ifndef STORE_TAIL_INTERNAL_H
#define STORE_TAIL_INTERNAL_H

#include "base/map.h"
#include "store/tail.h"

struct tail_column {
    uint32_t property;
    enum value_type type;
    uint32_t count;
    uint32_t cap;
    uint32_t *index; /* which row of the table has it, ascending */
    uint64_t *value; /* the number's bits, or the number of a text or a list */
};

struct tail_table {
    uint32_t event;
    uint32_t count;
    uint32_t cap;
    int64_t *time;
    uint64_t *seq;
    uint32_t *origin;
    bool has_foreign; /* some origin isn't the row's own user */
    struct tail_column *columns;
    uint32_t column_count;
    uint32_t column_cap;
};

/* A row, in the order of arrival. */
struct tail_entry {
    uint32_t row;
    uint32_t table;
    uint32_t index; /* in its table */
    int32_t month;
};

struct tail {
    struct tail_entry *entries;
    uint32_t count;
    uint32_t cap;
    uint32_t *table_of; /* by event type; UINT32_MAX: none yet */
    uint32_t event_cap;
    struct tail_table *tables;
    uint32_t table_count;
    uint32_t table_cap;
    struct intern *texts;
    struct intern *lists; /* the numbers of their texts, 4 bytes each */
    int32_t month;        /* of the last event, and its bounds */
    int64_t month_start;
    int64_t month_end;
};

#endif

/*
 * part.h - the events of one shard in one month, immutable: in memory or in a file, the same bytes.
 *
 * docs/formats/part.md is the format. A part is written by part_writer in one go, and read section
 * by section: what a question doesn't need isn't touched, and what comes from a file is verified
 * when it is first read.
 */
#ifndef STORE_PART_H
#define STORE_PART_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/calendar.h"
#include "store/cache.h"
#include "store/store.h"
#include "sys/disk.h"
#include "sys/thread.h"

#include <stdatomic.h>

enum {
    PART_HEADER_SIZE = 128,
    PART_TABLE_SIZE = 32,
    PART_SECTION_SIZE = 32,
    PART_TABLES_MAX = 1 << 16,
    PART_ZONE_MAX = 255,
    PART_NAME_MAX = 512, /* of a path */
};
/* What is written; parts of version 1 are read as well. */
#define PART_MAGIC   "KOLPART\x02"
#define PART_MAGIC_1 "KOLPART\x01"

/* Numbers are written to disk. */
enum section_kind {
    SECTION_DIR_ROWS = 1,   /* the part's users, ascending rows */
    SECTION_DIR_STARTS = 2, /* where each one's order begins */
    SECTION_ORDER = 3,    /* indexes of mini-tables, user after user, in (time, seq, type) order */
    SECTION_RUN_ROWS = 4, /* of a mini-table: its users */
    SECTION_RUN_STARTS = 5,
    SECTION_TIMES = 6,
    SECTION_SEQS = 7,
    SECTION_ORIGINS = 8,
    SECTION_DAYS = 9,
    SECTION_PRESENCE = 10, /* of a column, with property and type */
    SECTION_VALUES = 11,
    SECTION_TEXTS = 12,
    SECTION_LISTS = 13,
    SECTION_CLOCK = 14, /* of the part: about which seq an event of a time has */
    SECTION_KINDS = 15,
};

/* Encodings of sections that aren't integers. */
enum { SECTION_PLAIN = 1 };

struct part_section {
    enum section_kind kind;
    enum value_type type;
    uint32_t property;
    uint64_t offset;
    uint64_t size;
    uint64_t checksum;
};

struct part_table {
    uint32_t event;
    uint32_t users;
    uint32_t events;
    uint32_t first_time; /* ms since the month's start */
    uint32_t last_time;
    uint32_t section; /* the first of its sections */
    uint32_t section_count;
};

struct part_head {
    uint64_t number;
    uint32_t shard;
    uint32_t shards;
    int32_t month;
    uint32_t users;
    uint32_t events;
    uint32_t first_row;
    uint32_t last_row;
    uint64_t first_seq;
    uint64_t last_seq;
    uint32_t table_count;
    uint32_t section_count;
    uint32_t shared_sections;  /* those before the tables': directory and order */
    struct part_table *tables; /* ascending by event type */
    struct part_section *sections;
    char zone[PART_ZONE_MAX + 1]; /* of the day counts; empty: there are none */
};

/* Where parts live. */
struct part_home {
    struct disk *disk;
    const char *dir;
    struct cache *cache;
    atomic_bool is_closing; /* files stay when their parts go */
};

struct part {
    atomic_uint refs;
    struct part_home *home;
    uint64_t number;
    uint32_t shard;
    int32_t month;
    uint64_t size;
    uint64_t header_sum;
    uint8_t *image; /* NULL: it's a file */
    bool is_frozen; /* a checkpoint is about to write it: the writer lets it be */
    uint32_t rows;  /* events, known without the head */
    uint32_t users;

    struct mutex lock; /* of what is below */
    atomic_bool is_loaded;
    struct part_head head;
    struct cache_entry **slots; /* one a section */
    uint64_t dead_version;      /* for which the following was counted; 0: never */
    uint32_t dead_users;
    uint32_t dead_rows;
};

/* A section's bytes, until part_close_section. */
struct part_view {
    struct bytes bytes;
    struct cache_entry *entry;
};

/* --- parts ------------------------------------------------------------------------ */

/* Takes the image, which a part_writer made. */
MUST_CHECK struct err part_of_image(struct part_home *home, uint8_t *image, size_t size,
                                    struct part **out);
/* What a manifest knows of a file; nothing is read yet. */
struct part_name {
    uint64_t number;
    uint32_t shard;
    int32_t month;
    uint64_t size;
    uint64_t header_sum;
    uint32_t rows;
    uint32_t users;
};
MUST_CHECK struct err part_of_file(struct part_home *home, const struct part_name *name,
                                   struct part **out);
struct part *part_ref(struct part *part);
/* The last one removes the file, unless the home is closing. */
void part_unref(struct part *part); /* NULL is fine */
void part_path(const struct part_home *home, uint32_t shard, int32_t month, uint64_t number,
               char *to /* PART_NAME_MAX */);
/* "2025-01-00000000000000ff.part" back into numbers; false: not such a name. */
bool part_name_parse(const char *name, int32_t *month_out, uint64_t *number_out);

/* --- reading ------------------------------------------------------------------------ */

/* Reads and checks header and directory, once. */
MUST_CHECK struct err part_load(struct part *part);
/* Of bytes from anywhere: `size` of the whole file, whose header and directory are given. */
MUST_CHECK struct err part_parse_header(struct bytes header, uint64_t size,
                                        struct part_head *head_out, uint64_t *dir_offset_out,
                                        uint64_t *dir_size_out, uint64_t *dir_sum_out);
MUST_CHECK struct err part_parse_directory(struct bytes directory, uint64_t dir_offset,
                                           struct part_head *head);
void part_head_done(struct part_head *head);
uint64_t part_checksum(uint64_t number, uint64_t offset, struct bytes content);
uint64_t part_header_sum(struct bytes header);

/* After part_load. NULL: no events of this type. */
const struct part_table *part_find_table(const struct part *part, uint32_t event);
/* The index of a section, or UINT32_MAX. `table` NULL: of the whole part. */
uint32_t part_find_section(const struct part *part, const struct part_table *table,
                           enum section_kind kind, uint32_t property, enum value_type type);
MUST_CHECK struct err part_open_section(struct part *part, uint32_t section, struct part_view *out);
void part_close_section(struct part *part, struct part_view *view);

/* Integers of a section, all or some; the section must hold `total`. */
MUST_CHECK struct err part_read32(struct part *part, uint32_t section, size_t total, size_t first,
                                  size_t count, uint32_t *to);
MUST_CHECK struct err part_read64(struct part *part, uint32_t section, size_t total, size_t first,
                                  size_t count, uint64_t *to);
/* Log positions of a table's events; `times` are theirs. */
MUST_CHECK struct err part_read_seqs(struct part *part, const struct part_table *table,
                                     size_t first, size_t count, const uint32_t *times,
                                     uint64_t *to);
/* Of a column's values, `width` 4 (codes) or 8 bytes each: those from `first` on, all of the user with
 * this index in the table. The section holds `total`. */
MUST_CHECK struct err part_read_some(struct part *part, const struct part_table *table,
                                     uint32_t section, unsigned width, uint32_t total,
                                     uint32_t user, uint32_t first, uint32_t count, void *to);
/* Ascending sections without the last end: starts[count] = total is added. */
MUST_CHECK struct err part_read_starts(struct part *part, uint32_t section, uint32_t count,
                                       uint32_t total, uint32_t *to);
/* Finds `row` among `count` ascending rows. UINT32_MAX: not there. */
MUST_CHECK struct err part_find_row(struct part *part, uint32_t section, uint32_t count,
                                    uint32_t row, uint32_t *index_out);

/* The values of a column for events first … first + count - 1, dense. *present_out NULL: all.
 * Everything is the arena's. */
MUST_CHECK struct err part_read_column(struct part *part, const struct part_table *table,
                                       uint32_t property, enum value_type type, struct arena *arena,
                                       struct store_column *out, bool *has_out);

/* Which users of the part are dead, counted once for each version of the set. */
struct dead_set;
MUST_CHECK struct err part_count_dead(struct part *part, const struct dead_set *dead,
                                      uint32_t *users_out, uint32_t *rows_out);

/* --- writing -------------------------------------------------------------------------- */

/* The rows of one event type, sorted by (row, time, seq). */
struct part_rows {
    uint32_t event;
    uint32_t users;
    uint32_t events;
    const uint32_t *row;
    const uint32_t *start; /* [users + 1] */
    const uint32_t *time;
    const uint64_t *seq;
    const uint32_t *origin; /* users; NULL: each row was logged for its user */
};

/* A table whose seqs aren't written yet: they wait for the part's clock. */
struct part_late {
    uint32_t section;
    uint32_t events;
    const uint32_t *time;
    const uint64_t *seq;
};

struct part_writer {
    struct part_head head;
    uint32_t section_cap;
    uint32_t table_cap;
    struct part_late *late; /* one a table, where is_small */
    uint32_t late_cap;
    const struct zone *zone; /* NULL: no day counts */
    bool is_small;           /* the smallest encodings rather than the quickest */
    struct buf image;        /* all of it, or (file) what isn't written yet */
    struct disk_file *file;
    uint64_t written; /* bytes already in the file */
    struct arena scratch;
    struct err err; /* the first failure; later calls do nothing */
    int64_t *day_starts;
    int32_t first_day;
    uint32_t days;
    uint32_t table_rows; /* of the table being written */
    uint32_t table_users;
    const uint32_t *table_start;
    uint64_t header_sum;
};

/* Into memory (file NULL) or a new file, borrowed. */
void part_writer_init(struct part_writer *writer, const struct part_head *identity,
                      const struct zone *zone, bool is_small, struct disk_file *file);
void part_writer_done(struct part_writer *writer);
/* Tables come in ascending order of their event type; columns follow their table, and its
 * starts stay until they have. With is_small, times and seqs must stay where they are until part_writer_order. */
void part_writer_table(struct part_writer *writer, const struct part_rows *rows);
/* A column over the table's events. Codes may be of any texts in any order, twice or unused. */
void part_writer_column(struct part_writer *writer, uint32_t property, enum value_type type,
                        const struct store_column *column);
/* The directory: `codes` are indexes of the tables, in the order they were written. */
void part_writer_order(struct part_writer *writer, uint32_t users, const uint32_t *row,
                       const uint32_t *start, const uint32_t *codes);
/* Writes what is left. Memory: *image_out, to be freed. The file is not synced. */
MUST_CHECK struct err part_writer_finish(struct part_writer *writer, uint8_t **image_out,
                                         uint64_t *size_out);

#endif

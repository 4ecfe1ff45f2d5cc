/* backup_internal.h - the list of a backup's files, and copying with a checksum. */
#ifndef ENGINE_BACKUP_INTERNAL_H
#define ENGINE_BACKUP_INTERNAL_H

#include "base/arena.h"
#include "engine/backup.h"

enum { BACKUP_PATH_MAX = 300, BACKUP_BLOCK = 1 << 20 };

struct backup_file {
    const char *path; /* in the folder: "projects/p/MANIFEST" */
    uint64_t number;  /* in the backup: files/<number> */
    uint64_t size;
    uint64_t sum;
    uint64_t pin;   /* of immutable files: what tells whether another file is the same; else 0 */
    bool is_wanted; /* in the round at hand */
};

struct backup_project {
    const char *id;
    uint64_t position; /* all commands before it are there */
};

struct backup_list {
    struct arena arena;
    struct backup_file *files;
    uint32_t count;
    uint32_t cap;
    struct backup_project *projects;
    uint32_t project_count;
    uint32_t project_cap;
    uint64_t next_number;
    int64_t made_ms;
    bool exists; /* it was read from a backup */
};

void backup_list_init(struct backup_list *list);
void backup_list_done(struct backup_list *list); /* and empty again */
MUST_CHECK struct err backup_list_add(struct backup_list *list, const struct backup_file *file);
MUST_CHECK struct err backup_list_add_project(struct backup_list *list, const char *id,
                                              uint64_t position);
struct backup_file *backup_list_find(const struct backup_list *list, const char *path);

void backup_list_put(const struct backup_list *list, struct buf *to);
/* ERR_CORRUPT. Into an empty list. */
MUST_CHECK struct err backup_list_parse(struct bytes text, struct backup_list *list);
/* ERR_MISSING: no backup is there. */
MUST_CHECK struct err backup_list_read(struct disk *disk, struct backup_list *list);
MUST_CHECK struct err backup_list_write(struct disk *disk, const struct backup_list *list);

void backup_file_path(uint64_t number, char path[BACKUP_PATH_MAX]);

/* The bytes of a file, and what they're copied with. */
struct backup_copy {
    const struct backup_config *config;
    struct backup_sum *sum;
    uint8_t *block; /* BACKUP_BLOCK bytes */
};
/* Reads `size` bytes; writes them to `to` unless that's NULL; *checksum_out. ERR_CANCELLED. */
MUST_CHECK struct err backup_copy_bytes(struct backup_copy *copy, struct disk_file *from,
                                        uint64_t size, struct disk_file *to,
                                        uint64_t *checksum_out);
/* The same for bytes in memory. */
MUST_CHECK struct err backup_copy_memory(struct backup_copy *copy, struct bytes from,
                                         struct disk_file *to, uint64_t *checksum_out);
void backup_tell(const struct backup_config *config, const char *file, const char *what);

#endif

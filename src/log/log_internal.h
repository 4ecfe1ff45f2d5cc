/* log_internal.h - the parts of the file log that its files, tests and fuzzers share. */
#ifndef LOG_LOG_INTERNAL_H
#define LOG_LOG_INTERNAL_H

#include "log/log.h"

/* --- the format: docs/formats/log.md ------------------------------------------------ */

enum { LOG_HEADER_BYTES = 32, LOG_FRAME_BYTES = 32 };

struct log_header {
    uint64_t first; /* position of the file's first command */
    uint64_t identity;
};

void log_header_encode(struct log_header header, uint8_t *to);
/* False: not the header of this version's log file. */
bool log_header_decode(struct bytes image, struct log_header *out);

struct log_frame {
    uint64_t position;
    uint32_t count;
    uint64_t durable; /* so much of the file was durable when the frame was written */
    struct bytes batch;
};

/* Writes LOG_FRAME_BYTES + batch.len bytes. */
void log_frame_encode(uint64_t identity, const struct log_frame *frame, uint8_t *to);

enum log_end {
    LOG_ENDS_WHOLE,   /* with a whole frame */
    LOG_ENDS_TORN,    /* with bytes that no sync had covered */
    LOG_ENDS_DAMAGED, /* with bytes that had been durable: no crash explains them */
};

struct log_found {
    enum log_end end;
    size_t end_offset; /* behind the last whole frame */
    uint64_t next_position;
    uint64_t batches;
};

/* Visits the batches of a file's image that hold `from` or later. Only an error of `visit` is one.
 * `image` starts with a good header. */
MUST_CHECK struct err log_scan(struct bytes image, uint64_t from, log_visit_fn *visit, void *ctx,
                               struct log_found *found_out);

/* --- a folder of files --------------------------------------------------------------- */

enum { LOG_DIR_MAX = 512, LOG_NAME_MAX = 32, LOG_PATH_MAX = LOG_DIR_MAX + LOG_NAME_MAX };

struct log_file {
    uint64_t first;
    uint64_t size;
};

struct log_list {
    struct log_file *files; /* ascending */
    uint32_t count;
    uint32_t cap;
};

void log_list_done(struct log_list *list);
/* Room for one more, so that adding it can't fail. */
MUST_CHECK struct err log_list_reserve(struct log_list *list);
MUST_CHECK struct err log_list_add(struct log_list *list, struct log_file file);

/* The log files of a folder, ascending. */
MUST_CHECK struct err log_list_read(struct disk *disk, const char *dir, struct log_list *list);

void log_file_name(uint64_t first, char name[LOG_NAME_MAX]);
void log_file_path(const char *dir, uint64_t first, char path[LOG_PATH_MAX]);

/* A new, durable file without frames, open for writing. A leftover of its name is replaced. */
MUST_CHECK struct err log_file_make(struct disk *disk, const char *dir, struct log_header header,
                                    struct disk_file **out);
/* The first `size` bytes of a file. */
MUST_CHECK struct err log_file_image(struct disk *disk, const char *dir, struct log_file file,
                                     struct buf *image);

/* What a folder holds. `list` includes the empty files behind the current one. */
struct log_folder {
    struct log_list list;
    uint32_t current; /* number of the last file that holds frames; 0 too when there's no file */
    bool is_headless; /* the only file is cut inside its header */
    struct log_found found; /* of the current file */
    uint64_t identity;
    uint64_t batches;
};

/* Reads the folder, visits, changes nothing. */
MUST_CHECK struct err log_folder_read(struct disk *disk, const char *dir, uint64_t from,
                                      log_visit_fn *visit, void *ctx, struct log_damage *damage,
                                      struct log_folder *out);
void log_folder_done(struct log_folder *folder);

#endif

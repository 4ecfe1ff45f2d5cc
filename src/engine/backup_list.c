/*
 * backup_list.c - the file BACKUP: what a backup holds. Lines of text, so that people can read it.
 *
 *     kolam backup 1
 *     made 1767225600000
 *     next 000000000000002b
 *     project p_abc 81234
 *     file 000000000000002a 8192 83c1f00e55d1c0aa 0000000000000000 projects/p_abc/MANIFEST
 *     end 5a0e6d2c83b1f7e4
 *
 * A file's line: its number in hexadecimal, size, checksum, pin, path. The last line is XXH3-64 of all
 * lines before it. Anything else is refused.
 */
#include "engine/backup_internal.h"

#include "codec/hash.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define LIST_NAME  "BACKUP"
#define LIST_LIMIT ((size_t)1 << 30)

void backup_list_init(struct backup_list *list)
{
    *list = (struct backup_list){ .next_number = 1 };
    arena_init(&list->arena, LIST_LIMIT);
}

void backup_list_done(struct backup_list *list)
{
    free(list->files);
    free(list->projects);
    arena_done(&list->arena);
    backup_list_init(list);
}

static struct err no_memory(void)
{
    return err_new(ERR_NOMEM, "backup: list");
}

struct err backup_list_add(struct backup_list *list, const struct backup_file *file)
{
    if (list->count == list->cap) {
        uint32_t cap = list->cap ? list->cap * 2 : 256;
        struct backup_file *files = realloc(list->files, cap * sizeof *files);
        if (!files)
            return no_memory();
        list->files = files;
        list->cap = cap;
    }
    struct bytes path = arena_copy(&list->arena, bytes_from(file->path));
    if (!path.ptr)
        return no_memory();
    list->files[list->count] = *file;
    list->files[list->count++].path = (const char *)path.ptr;
    return ok();
}

struct err backup_list_add_project(struct backup_list *list, const char *id, uint64_t position)
{
    if (list->project_count == list->project_cap) {
        uint32_t cap = list->project_cap ? list->project_cap * 2 : 16;
        struct backup_project *projects = realloc(list->projects, cap * sizeof *projects);
        if (!projects)
            return no_memory();
        list->projects = projects;
        list->project_cap = cap;
    }
    struct bytes copy = arena_copy(&list->arena, bytes_from(id));
    if (!copy.ptr)
        return no_memory();
    list->projects[list->project_count++] =
        (struct backup_project){ .id = (const char *)copy.ptr, .position = position };
    return ok();
}

struct backup_file *backup_list_find(const struct backup_list *list, const char *path)
{
    for (uint32_t i = 0; i < list->count; i++)
        if (strcmp(list->files[i].path, path) == 0)
            return &list->files[i];
    return NULL;
}

void backup_file_path(uint64_t number, char path[BACKUP_PATH_MAX])
{
    (void)snprintf(path, BACKUP_PATH_MAX, "files/%016" PRIx64, number);
}

/* --- text --------------------------------------------------------------------------- */

void backup_list_put(const struct backup_list *list, struct buf *to)
{
    buf_printf(to, "kolam backup 1\nmade %" PRId64 "\nnext %016" PRIx64 "\n", list->made_ms,
               list->next_number);
    for (uint32_t i = 0; i < list->project_count; i++)
        buf_printf(to, "project %s %" PRIu64 "\n", list->projects[i].id,
                   list->projects[i].position);
    for (uint32_t i = 0; i < list->count; i++) {
        const struct backup_file *file = &list->files[i];
        buf_printf(to, "file %016" PRIx64 " %" PRIu64 " %016" PRIx64 " %016" PRIx64 " %s\n",
                   file->number, file->size, file->sum, file->pin, file->path);
    }
    if (!to->is_failed)
        buf_printf(to, "end %016" PRIx64 "\n", xxh3_64(buf_bytes(to), 0));
}

/* The bytes up to `end`, which is passed over. False: it isn't there. */
static bool take_word(struct reader *r, char end, struct bytes *out)
{
    const uint8_t *at = memchr(r->next, end, reader_left(r));
    if (!at)
        return false;
    *out = reader_take(r, (size_t)(at - r->next));
    (void)reader_u8(r);
    return true;
}

static bool take_number(struct reader *r, char end, unsigned base, uint64_t *out)
{
    struct bytes word;
    uint64_t value = 0;
    if (!take_word(r, end, &word) || word.len == 0 || word.len > 20)
        return false;
    for (size_t i = 0; i < word.len; i++) {
        uint8_t c = word.ptr[i];
        unsigned digit = base;
        if (c >= '0' && c <= '9')
            digit = c - (unsigned)'0';
        else if (c >= 'a' && c <= 'f')
            digit = c - (unsigned)'a' + 10;
        if (digit >= base || value > (UINT64_MAX - digit) / base)
            return false;
        value = value * base + digit;
    }
    *out = value;
    return true;
}

static bool is_path(struct bytes path)
{
    return path.len > 0 && path.len < BACKUP_PATH_MAX - 1 && !memchr(path.ptr, 0, path.len) &&
           (bytes_equal(path, BYTES("control.db")) || bytes_start_with(path, BYTES("projects/")));
}

static bool take_file(struct reader *r, struct backup_list *list, struct err *err)
{
    struct backup_file file = { .path = NULL };
    struct bytes path;
    char text[BACKUP_PATH_MAX];
    if (!take_number(r, ' ', 16, &file.number) || !take_number(r, ' ', 10, &file.size) ||
        !take_number(r, ' ', 16, &file.sum) || !take_number(r, ' ', 16, &file.pin) ||
        !take_word(r, '\n', &path) || !is_path(path) || file.number >= list->next_number)
        return false;
    (void)snprintf(text, sizeof text, "%.*s", BYTES_FMT(path));
    file.path = text;
    *err = backup_list_add(list, &file);
    return true;
}

static bool take_project(struct reader *r, struct backup_list *list, struct err *err)
{
    struct bytes id;
    char text[BACKUP_PATH_MAX];
    uint64_t position;
    if (!take_word(r, ' ', &id) || id.len == 0 || id.len > 100 ||
        !take_number(r, '\n', 10, &position))
        return false;
    (void)snprintf(text, sizeof text, "%.*s", BYTES_FMT(id));
    *err = backup_list_add_project(list, text, position);
    return true;
}

static bool take_head(struct reader *r, struct backup_list *list)
{
    struct bytes line;
    struct bytes word;
    uint64_t made = 0;
    bool is_good = take_word(r, '\n', &line) && bytes_equal(line, BYTES("kolam backup 1")) &&
                   take_word(r, ' ', &word) && bytes_equal(word, BYTES("made")) &&
                   take_number(r, '\n', 10, &made) && take_word(r, ' ', &word) &&
                   bytes_equal(word, BYTES("next")) && take_number(r, '\n', 16, &list->next_number);
    list->made_ms = (int64_t)made;
    return is_good;
}

struct err backup_list_parse(struct bytes text, struct backup_list *list)
{
    struct err corrupt = err_new(ERR_CORRUPT, "backup: the list doesn't check");
    struct err err = ok();
    struct reader r = reader_of(text);
    if (!take_head(&r, list))
        return corrupt;
    for (;;) {
        struct bytes word;
        uint64_t sum;
        size_t at = (size_t)(r.next - text.ptr);
        bool is_good = take_word(&r, ' ', &word);
        if (is_good && bytes_equal(word, BYTES("file")))
            is_good = take_file(&r, list, &err);
        else if (is_good && bytes_equal(word, BYTES("project")))
            is_good = take_project(&r, list, &err);
        else
            return is_good && bytes_equal(word, BYTES("end")) && take_number(&r, '\n', 16, &sum) &&
                           reader_left(&r) == 0 && sum == xxh3_64(bytes_of(text.ptr, at), 0)
                       ? ok()
                       : corrupt;
        if (err.code || !is_good)
            return err.code ? err : corrupt;
    }
}

struct err backup_list_read(struct disk *disk, struct backup_list *list)
{
    struct buf text;
    buf_init(&text, LIST_LIMIT);
    struct err err = disk_read_file(disk, LIST_NAME, LIST_LIMIT, &text);
    if (!err.code)
        err = backup_list_parse(buf_bytes(&text), list);
    list->exists = !err.code;
    buf_done(&text);
    return err;
}

struct err backup_list_write(struct disk *disk, const struct backup_list *list)
{
    struct buf text;
    buf_init(&text, LIST_LIMIT);
    backup_list_put(list, &text);
    struct err err = buf_err(&text);
    if (!err.code)
        err = disk_replace_file(disk, LIST_NAME, buf_bytes(&text));
    buf_done(&text);
    return err;
}

/* --- bytes ------------------------------------------------------------------------------ */

void backup_tell(const struct backup_config *config, const char *file, const char *what)
{
    if (config->tell)
        config->tell(config->ctx, file, what);
}

static bool goes_on(struct backup_copy *copy, size_t done)
{
    const struct backup_config *config = copy->config;
    copy->sum->done_bytes += done;
    return !config->goes_on || config->goes_on(config->ctx, copy->sum);
}

/* The sum of each block is seeded by that of the blocks before it; the first by the file's size. */
struct err backup_copy_bytes(struct backup_copy *copy, struct disk_file *from, uint64_t size,
                             struct disk_file *to, uint64_t *checksum_out)
{
    uint64_t sum = size;
    for (uint64_t at = 0; at < size;) {
        size_t len = size - at < BACKUP_BLOCK ? (size_t)(size - at) : BACKUP_BLOCK;
        struct bytes block = bytes_of(copy->block, len);
        struct err err = file_read(from, at, copy->block, len);
        if (!err.code && to)
            err = file_write(to, at, block);
        if (err.code)
            return err;
        sum = xxh3_64(block, sum);
        at += len;
        if (!goes_on(copy, len))
            return err_new(ERR_CANCELLED, "backup: stopped");
    }
    *checksum_out = sum;
    return ok();
}

struct err backup_copy_memory(struct backup_copy *copy, struct bytes from, struct disk_file *to,
                              uint64_t *checksum_out)
{
    uint64_t sum = from.len;
    for (size_t at = 0; at < from.len; at += BACKUP_BLOCK) {
        struct bytes block = bytes_slice(from, at, BACKUP_BLOCK);
        struct err err = file_write(to, at, block);
        if (err.code)
            return err;
        sum = xxh3_64(block, sum);
        if (!goes_on(copy, block.len))
            return err_new(ERR_CANCELLED, "backup: stopped");
    }
    *checksum_out = sum;
    return ok();
}

/*
 * zones.c - the system's tz database.
 *
 * The database holds more than zones: tables in text, and the copies in "posix/" and "right/".
 * What begins with "TZif" is a zone; the copies aren't listed.
 */
#include "sys/sys.h"

#include "sys/disk_internal.h"
#include "sys/names_internal.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define ZONE_DIR "/usr/share/zoneinfo"

enum { NAME_MAX_LEN = 128, FILE_MAX = 1 << 20, NAMES_MAX = 1 << 20, DEPTH_MAX = 4 };

static bool name_is_plain(struct bytes name)
{
    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = name.ptr[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        bool is_digit = c >= '0' && c <= '9';
        if (!is_letter && !is_digit && !(c && strchr("/_+-", c)))
            return false;
    }
    return name.len > 0 && name.len <= NAME_MAX_LEN;
}

static struct err read_fd(int fd, struct buf *to)
{
    for (;;) {
        uint8_t *room = buf_reserve(to, 4096);
        if (!room)
            return buf_err(to);
        ssize_t got = read(fd, room, 4096);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_os("zones: read");
        if (got == 0)
            return ok();
        to->len += (size_t)got;
    }
}

static struct err read_zone(const char *path, struct buf *to)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        return err_new(ERR_MISSING, "zones: no such zone");
    if (fd < 0)
        return err_os("zones: open");

    struct stat status;
    struct err err = ok();
    if (fstat(fd, &status) != 0)
        err = err_os("zones: open");
    else if (!S_ISREG(status.st_mode))
        err = err_new(ERR_MISSING, "zones: no such zone");
    else
        err = read_fd(fd, to);
    (void)close(fd);
    return err;
}

struct err sys_zone_load(struct bytes name, struct zone **out)
{
    char text[NAME_MAX_LEN + 1];
    char path[sizeof ZONE_DIR + NAME_MAX_LEN + 2];

    /* UTC is there even on a system without the database. */
    if (bytes_equal(name, BYTES("UTC")))
        return zone_fixed(0, out);
    if (!name_is_plain(name))
        return err_new(ERR_MISSING, "zones: no such zone");
    memcpy(text, name.ptr, name.len);
    text[name.len] = 0;
    if (!disk_path_is_plain(text))
        return err_new(ERR_MISSING, "zones: no such zone");
    (void)snprintf(path, sizeof path, ZONE_DIR "/%s", text);

    struct buf tzif;
    buf_init(&tzif, FILE_MAX);
    struct err err = read_zone(path, &tzif);
    if (!err.code && !bytes_start_with(buf_bytes(&tzif), BYTES("TZif")))
        err = err_new(ERR_MISSING, "zones: no such zone");
    if (!err.code)
        err = zone_parse(name, buf_bytes(&tzif), out);
    buf_done(&tzif);
    return err;
}

/* --- all names ---------------------------------------------------------- */

static bool is_zone(int dir_fd, const char *name)
{
    int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    char magic[4];
    bool is = read(fd, magic, sizeof magic) == sizeof magic && memcmp(magic, "TZif", 4) == 0;
    (void)close(fd);
    return is;
}

static bool is_skipped(const char *name, const char *prefix)
{
    if (name[0] == '.')
        return true;
    static const char *const others[] = { "posix", "right", "localtime", "posixrules" };
    for (size_t i = 0; !prefix[0] && i < sizeof others / sizeof others[0]; i++)
        if (strcmp(name, others[i]) == 0)
            return true;
    return false;
}

/* Takes `fd`. */
static struct err walk(int fd, const char *prefix, int depth, struct buf *names)
{
    DIR *dir = fdopendir(fd);
    if (!dir) {
        struct err err = err_os("zones: list");
        (void)close(fd);
        return err;
    }

    struct err err = ok();
    struct dirent *entry;
    while (!err.code && (entry = readdir(dir)) != NULL) {
        char path[NAME_MAX_LEN + 1];
        if (is_skipped(entry->d_name, prefix))
            continue;
        int len = snprintf(path, sizeof path, "%s%s", prefix, entry->d_name);
        if (len < 0 || (size_t)len >= sizeof path - 1)
            continue;
        int sub_fd = openat(fd, entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (sub_fd >= 0 && depth < DEPTH_MAX) {
            path[len] = '/';
            path[len + 1] = 0;
            err = walk(sub_fd, path, depth + 1, names);
        } else if (sub_fd >= 0) {
            (void)close(sub_fd);
        } else if (name_is_plain(bytes_of(path, (size_t)len)) && is_zone(fd, entry->d_name)) {
            buf_put(names, bytes_of(path, (size_t)len + 1));
        }
    }
    (void)closedir(dir);
    return err;
}

struct err sys_zone_names(struct buf *names, size_t *count_out)
{
    int fd = open(ZONE_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_os("zones: open");

    struct buf unsorted;
    buf_init(&unsorted, NAMES_MAX);
    struct err err = walk(fd, "", 0, &unsorted);
    if (!err.code)
        err = buf_err(&unsorted);
    if (!err.code)
        err = names_put_sorted(buf_bytes(&unsorted), names, count_out);
    buf_done(&unsorted);
    return err;
}

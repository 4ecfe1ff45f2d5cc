/*
 * disk_test.c - what disk.h promises, on the machine's disk and on the simulated one: each promise
 * runs on both.
 */
#include "sys/disk.h"

#include "sys/disk_sim.h"
#include "sys/thread.h"

#include <ftw.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
    char root[32];
    struct disk *disk;
};

static int setup_real(void **state)
{
    static struct fixture fixture;
    (void)snprintf(fixture.root, sizeof fixture.root, "disk_test_XXXXXX");
    if (!mkdtemp(fixture.root) || disk_real(fixture.root, &fixture.disk).code)
        return -1;
    *state = &fixture;
    return 0;
}

static int setup_sim(void **state)
{
    static struct fixture fixture;
    struct disk_sim *sim;
    fixture.root[0] = 0;
    if (disk_sim_new(&sim).code)
        return -1;
    fixture.disk = disk_sim_disk(sim);
    *state = &fixture;
    return 0;
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *where)
{
    (void)status;
    (void)kind;
    (void)where;
    return remove(path);
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    disk_free(fixture->disk);
    return fixture->root[0] ? nftw(fixture->root, remove_one, 8, FTW_DEPTH | FTW_PHYS) : 0;
}

static struct disk *disk_of(void **state)
{
    return ((struct fixture *)*state)->disk;
}

static void assert_ok(struct err err)
{
    if (err.code)
        fail_msg("%s (code %d, os %d)", err.what, err.code, err.os);
}

static struct disk_file *open_file(struct disk *disk, const char *path, enum disk_open how)
{
    struct disk_file *file = NULL;
    assert_ok(disk_open(disk, path, how, &file));
    return file;
}

static void assert_names(struct disk *disk, const char *path, const char *expected, size_t size,
                         size_t count)
{
    struct buf names;
    size_t got;
    buf_init(&names, 1 << 16);
    assert_ok(disk_list(disk, path, &names, &got));
    assert_int_equal(got, count);
    assert_int_equal(names.len, size);
    if (size)
        assert_memory_equal(names.ptr, expected, size);
    buf_done(&names);
}

static void what_is_written_is_read(void **state)
{
    struct disk *disk = disk_of(state);
    struct disk_file *file = open_file(disk, "a", DISK_CREATE);
    uint64_t size;
    char text[16];
    assert_ok(file_size(file, &size));
    assert_int_equal(size, 0);
    assert_ok(file_write(file, 0, BYTES("hello")));
    assert_ok(file_write(file, 5000, BYTES("world")));
    assert_ok(file_write(file, 1, BYTES("a")));
    assert_ok(file_write(file, 0, bytes_of(NULL, 0)));
    assert_ok(file_size(file, &size));
    assert_int_equal(size, 5005);
    assert_ok(file_read(file, 0, text, 10));
    assert_memory_equal(text, "hallo\0\0\0\0\0", 10);
    assert_ok(file_read(file, 5000, text, 5));
    assert_memory_equal(text, "world", 5);
    assert_ok(file_sync(file));
    file_close(file);
    file_close(NULL);

    file = open_file(disk, "a", DISK_READ);
    assert_ok(file_read(file, 5001, text, 4));
    assert_memory_equal(text, "orld", 4);
    assert_int_equal(file_write(file, 0, BYTES("x")).code, ERR_OS);
    file_close(file);
    file = open_file(disk, "a", DISK_WRITE);
    assert_ok(file_write(file, 0, BYTES("x")));
    assert_ok(file_read(file, 0, text, 1));
    assert_int_equal(text[0], 'x');
    file_close(file);
}

static void reading_past_the_end_is_corrupt(void **state)
{
    struct disk_file *file = open_file(disk_of(state), "a", DISK_CREATE);
    char text[16];
    assert_ok(file_write(file, 0, BYTES("hello")));
    assert_int_equal(file_read(file, 0, text, 6).code, ERR_CORRUPT);
    assert_int_equal(file_read(file, 5, text, 1).code, ERR_CORRUPT);
    assert_int_equal(file_read(file, 1000, text, 1).code, ERR_CORRUPT);
    assert_ok(file_read(file, 5, text, 0));
    file_close(file);
}

static void a_truncated_file_ends_there_and_grows_with_zeros(void **state)
{
    struct disk_file *file = open_file(disk_of(state), "a", DISK_CREATE);
    char text[5];
    uint64_t size;
    assert_ok(file_write(file, 0, BYTES("hello")));
    assert_ok(file_truncate(file, 2));
    assert_int_equal(file_read(file, 0, text, 3).code, ERR_CORRUPT);
    assert_ok(file_truncate(file, 5));
    assert_ok(file_read(file, 0, text, 5));
    assert_memory_equal(text, "he\0\0\0", 5);
    assert_ok(file_reserve(file, 100000));
    assert_ok(file_reserve(file, 0));
    assert_ok(file_size(file, &size));
    assert_int_equal(size, 5); /* reserving doesn't show */
    file_close(file);
}

static void opening_says_what_is_missing_and_what_exists(void **state)
{
    struct disk *disk = disk_of(state);
    struct disk_file *file;
    assert_int_equal(disk_open(disk, "a", DISK_READ, &file).code, ERR_MISSING);
    assert_int_equal(disk_open(disk, "a", DISK_WRITE, &file).code, ERR_MISSING);
    assert_int_equal(disk_open(disk, "no/a", DISK_CREATE, &file).code, ERR_MISSING);
    file_close(open_file(disk, "a", DISK_CREATE));
    assert_int_equal(disk_open(disk, "a", DISK_CREATE, &file).code, ERR_EXISTS);
    assert_int_equal(disk_open(disk, "a/b", DISK_CREATE, &file).code, ERR_MISSING);
}

static void paths_that_leave_the_disk_are_refused(void **state)
{
    static const char *const paths[] = { "",     "/",      "/a",  "a/",  "a//b", "..",
                                         "../a", "a/../b", "./a", "a/.", "a/.." };
    struct disk *disk = disk_of(state);
    struct disk_file *file;
    bool exists;
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        assert_int_equal(disk_open(disk, paths[i], DISK_CREATE, &file).code, ERR_INVALID);
        assert_int_equal(disk_make_dir(disk, paths[i]).code, ERR_INVALID);
        assert_int_equal(disk_remove(disk, paths[i]).code, ERR_INVALID);
        assert_int_equal(disk_rename(disk, "a", paths[i]).code, ERR_INVALID);
        assert_int_equal(disk_exists(disk, paths[i], &exists).code, ERR_INVALID);
        assert_int_equal(disk_lock(disk, paths[i], &file).code, ERR_INVALID);
        assert_int_equal(disk_replace_file(disk, paths[i], BYTES("")).code, ERR_INVALID);
    }
    char longer[2000];
    memset(longer, 'a', sizeof longer);
    longer[sizeof longer - 1] = 0;
    assert_int_equal(disk_make_dir(disk, longer).code, ERR_INVALID);
}

static void folders_are_made_listed_and_removed_when_empty(void **state)
{
    struct disk *disk = disk_of(state);
    bool exists;
    assert_names(disk, ".", "", 0, 0);
    assert_ok(disk_make_dir(disk, "d"));
    assert_ok(disk_make_dir(disk, "d"));
    assert_ok(disk_make_dir(disk, "d/e"));
    assert_int_equal(disk_make_dir(disk, "no/e").code, ERR_MISSING);
    file_close(open_file(disk, "d/b", DISK_CREATE));
    file_close(open_file(disk, "d/a", DISK_CREATE));
    file_close(open_file(disk, "d/\xff", DISK_CREATE));
    file_close(open_file(disk, "d/ab", DISK_CREATE));
    assert_names(disk, "d", "a\0ab\0b\0e\0\xff", 11, 5);
    assert_names(disk, ".", "d", 2, 1);
    assert_int_equal(disk_make_dir(disk, "d/a").code, ERR_EXISTS);
    assert_ok(disk_sync_dir(disk, "d"));
    assert_ok(disk_sync_dir(disk, "."));
    assert_int_equal(disk_sync_dir(disk, "x").code, ERR_MISSING);
    assert_int_equal(disk_sync_dir(disk, "d/a").code, ERR_MISSING);

    struct err err = disk_remove(disk, "d");
    assert_int_equal(err.code, ERR_OS);
    assert_int_equal(err.os, ENOTEMPTY);
    assert_ok(disk_remove(disk, "d/e"));
    assert_ok(disk_remove(disk, "d/a"));
    assert_int_equal(disk_remove(disk, "d/a").code, ERR_MISSING);
    assert_ok(disk_exists(disk, "d/a", &exists));
    assert_false(exists);
    assert_ok(disk_exists(disk, "d/b/c", &exists));
    assert_false(exists);
    assert_ok(disk_exists(disk, "d/b", &exists));
    assert_true(exists);

    struct buf names;
    size_t count;
    buf_init(&names, 3);
    assert_int_equal(disk_list(disk, "no", &names, &count).code, ERR_MISSING);
    assert_int_equal(disk_list(disk, "d/b", &names, &count).code, ERR_MISSING);
    assert_int_equal(disk_list(disk, "d", &names, &count).code, ERR_NOMEM);
    buf_done(&names);
}

static void a_rename_replaces_files_and_keeps_folders_apart(void **state)
{
    struct disk *disk = disk_of(state);
    bool exists;
    assert_ok(disk_make_dir(disk, "d"));
    assert_ok(disk_make_dir(disk, "e"));
    assert_ok(disk_replace_file(disk, "a", BYTES("a")));
    assert_ok(disk_replace_file(disk, "d/b", BYTES("b")));
    assert_ok(disk_rename(disk, "a", "d/b"));
    struct buf buf;
    buf_init(&buf, 100);
    assert_ok(disk_read_file(disk, "d/b", 100, &buf));
    assert_true(bytes_equal(buf_bytes(&buf), BYTES("a")));
    buf_done(&buf);
    assert_ok(disk_exists(disk, "a", &exists));
    assert_false(exists);
    assert_int_equal(disk_rename(disk, "a", "c").code, ERR_MISSING);
    assert_int_equal(disk_rename(disk, "d/b", "no/b").code, ERR_MISSING);
    assert_int_equal(disk_rename(disk, "e", "d/b").code == ERR_NONE, false);
    assert_int_equal(disk_rename(disk, "d/b", "e").code, ERR_OS);
    assert_int_equal(disk_rename(disk, "d", "d/x").code, ERR_OS);
    assert_ok(disk_rename(disk, "d/b", "d/b"));
    assert_ok(disk_rename(disk, "d", "e")); /* an empty folder is replaced */
    assert_names(disk, ".", "e", 2, 1);
    assert_names(disk, "e", "b", 2, 1);
}

static void a_lock_is_held_by_one(void **state)
{
    struct disk *disk = disk_of(state);
    struct disk_file *lock;
    struct disk_file *other;
    assert_ok(disk_lock(disk, "LOCK", &lock));
    assert_int_equal(disk_lock(disk, "LOCK", &other).code, ERR_BUSY);
    disk_unlock(lock);
    assert_ok(disk_lock(disk, "LOCK", &other));
    disk_unlock(other);
    disk_unlock(NULL);
}

static void whole_files_are_replaced_and_read_up_to_a_limit(void **state)
{
    struct disk *disk = disk_of(state);
    struct buf buf;
    buf_init(&buf, 1000);
    assert_int_equal(disk_read_file(disk, "f", 100, &buf).code, ERR_MISSING);
    assert_ok(disk_replace_file(disk, "f", bytes_of(NULL, 0)));
    assert_ok(disk_read_file(disk, "f", 100, &buf));
    assert_int_equal(buf.len, 0);
    assert_ok(disk_replace_file(disk, "f", BYTES("one")));
    assert_ok(disk_replace_file(disk, "f.new", BYTES("in the way")));
    assert_ok(disk_replace_file(disk, "f", BYTES("two")));
    assert_ok(disk_read_file(disk, "f", 3, &buf));
    assert_true(bytes_equal(buf_bytes(&buf), BYTES("two")));
    assert_int_equal(disk_read_file(disk, "f", 2, &buf).code, ERR_LIMIT);
    assert_names(disk, ".", "f", 2, 1); /* nothing is left aside */
    assert_ok(disk_make_dir(disk, "d"));
    assert_ok(disk_make_dir(disk, "d/x"));
    assert_int_equal(disk_replace_file(disk, "d", BYTES("x")).code, ERR_OS);
    assert_names(disk, ".", "d\0f", 4, 2);
    uint64_t room;
    assert_ok(disk_free_bytes(disk, &room));
    assert_true(room > 0);
    buf_done(&buf);
}

struct reading {
    struct disk_file *file;
    bool is_wrong;
};

static void read_part(void *ctx, uint32_t task)
{
    struct reading *reading = ctx;
    uint8_t part[1000];
    for (int round = 0; round < 20; round++) {
        struct err err = file_read(reading->file, task * 1000, part, sizeof part);
        if (err.code || part[0] != (uint8_t)task || part[999] != (uint8_t)task)
            reading->is_wrong = true;
    }
}

static void one_file_is_read_by_several_threads(void **state)
{
    struct reading reading = { .file = open_file(disk_of(state), "a", DISK_CREATE) };
    uint8_t part[1000];
    for (uint32_t i = 0; i < 100; i++) {
        memset(part, (int)i, sizeof part);
        assert_ok(file_write(reading.file, i * 1000, bytes_of(part, sizeof part)));
    }
    struct thread_pool *pool;
    assert_ok(thread_pool_new(3, &pool));
    thread_pool_run(pool, 100, read_part, &reading);
    thread_pool_free(pool);
    assert_false(reading.is_wrong);
    file_close(reading.file);
}

/* --- the real disk only ------------------------------------------------- */

static void a_lock_goes_with_its_process(void **state)
{
    struct disk *disk = disk_of(state);
    struct disk_file *lock;
    int pipes[2];
    char byte;
    assert_int_equal(pipe(pipes), 0);
    pid_t child = fork();
    if (child == 0) {
        struct err err = disk_lock(disk, "LOCK", &lock);
        (void)!write(pipes[1], err.code ? "-" : "+", 1);
        (void)pause();
        _exit(0);
    }
    assert_int_equal(read(pipes[0], &byte, 1), 1);
    assert_int_equal(byte, '+');
    assert_int_equal(disk_lock(disk, "LOCK", &lock).code, ERR_BUSY);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_ok(disk_lock(disk, "LOCK", &lock));
    disk_unlock(lock);
    (void)close(pipes[0]);
    (void)close(pipes[1]);
}

static void the_root_is_made_with_its_parents(void **state)
{
    struct fixture *fixture = *state;
    char path[64];
    struct disk *deep;
    (void)snprintf(path, sizeof path, "%s/x/y/z", fixture->root);
    assert_ok(disk_real(path, &deep));
    assert_ok(disk_replace_file(deep, "f", BYTES("f")));
    disk_free(deep);
    assert_ok(disk_real(path, &deep));
    assert_names(deep, ".", "f", 2, 1);
    disk_free(deep);
    (void)snprintf(path, sizeof path, "%s/x/y/z/f", fixture->root);
    assert_int_equal(disk_real(path, &deep).code, ERR_OS);
    assert_int_equal(disk_real("", &deep).code, ERR_INVALID);
    disk_free(NULL);
}

static void a_write_that_the_system_stops_is_an_error(void **state)
{
    struct disk_file *file = open_file(disk_of(state), "a", DISK_CREATE);
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    struct rlimit limit = { .rlim_cur = 1000, .rlim_max = before.rlim_max };
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    static const uint8_t data[2000];

    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    struct err err = file_write(file, 0, bytes_of(data, sizeof data));
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    (void)signal(SIGXFSZ, handler);
    assert_int_equal(err.code, ERR_OS);
    assert_int_equal(err.os, EFBIG);
    file_close(file);
}

#define ON_BOTH(test)                                                                              \
    { #test ": real", test, setup_real, teardown, NULL },                                          \
    {                                                                                              \
#test ": simulated", test, setup_sim, teardown, NULL                                       \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_BOTH(what_is_written_is_read),
        ON_BOTH(reading_past_the_end_is_corrupt),
        ON_BOTH(a_truncated_file_ends_there_and_grows_with_zeros),
        ON_BOTH(opening_says_what_is_missing_and_what_exists),
        ON_BOTH(paths_that_leave_the_disk_are_refused),
        ON_BOTH(folders_are_made_listed_and_removed_when_empty),
        ON_BOTH(a_rename_replaces_files_and_keeps_folders_apart),
        ON_BOTH(a_lock_is_held_by_one),
        ON_BOTH(whole_files_are_replaced_and_read_up_to_a_limit),
        ON_BOTH(one_file_is_read_by_several_threads),
        cmocka_unit_test_setup_teardown(a_lock_goes_with_its_process, setup_real, teardown),
        cmocka_unit_test_setup_teardown(the_root_is_made_with_its_parents, setup_real, teardown),
        cmocka_unit_test_setup_teardown(a_write_that_the_system_stops_is_an_error, setup_real,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

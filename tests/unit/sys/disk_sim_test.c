/*
 * disk_sim_test.c - what a power cut may leave behind on the simulated disk, and that it leaves
 * each of it sometimes.
 */
#include "sys/disk_sim.h"

#include "base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { SEEDS = 400 };

static struct disk_sim *sim_new(void)
{
    struct disk_sim *sim = NULL;
    assert_int_equal(disk_sim_new(&sim).code, ERR_NONE);
    return sim;
}

static struct disk_sim *crash(struct disk_sim *sim, uint64_t seed)
{
    struct disk_sim *after = NULL;
    assert_int_equal(disk_sim_crash(sim, seed, &after).code, ERR_NONE);
    return after;
}

static struct disk_file *open_file(struct disk_sim *sim, const char *path, enum disk_open how)
{
    struct disk_file *file = NULL;
    assert_int_equal(disk_open(disk_sim_disk(sim), path, how, &file).code, ERR_NONE);
    return file;
}

static void assert_ok(struct err err)
{
    if (err.code)
        fail_msg("%s (code %d, os %d)", err.what, err.code, err.os);
}

static void fill(struct disk_file *file, uint64_t offset, size_t len, char with)
{
    char *data = malloc(len);
    memset(data, with, len);
    assert_ok(file_write(file, offset, bytes_of(data, len)));
    free(data);
}

/* A file with a durable name, holding `len` durable bytes. */
static struct disk_file *make_durable(struct disk_sim *sim, const char *path, size_t len, char with)
{
    struct disk_file *file = open_file(sim, path, DISK_CREATE);
    fill(file, 0, len, with);
    assert_ok(file_sync(file));
    assert_ok(disk_sync_dir(disk_sim_disk(sim), "."));
    return file;
}

/* The content after a crash, or len (size_t)-1 when the file isn't there. */
struct content {
    size_t len;
    char bytes[65536];
};

static void look(struct disk_sim *sim, const char *path, struct content *out)
{
    struct buf buf;
    buf_init(&buf, sizeof out->bytes);
    struct err err = disk_read_file(disk_sim_disk(sim), path, sizeof out->bytes, &buf);
    if (err.code == ERR_MISSING) {
        out->len = SIZE_MAX;
    } else {
        assert_ok(err);
        out->len = buf.len;
        if (buf.len)
            memcpy(out->bytes, buf.ptr, buf.len);
    }
    buf_done(&buf);
}

static bool is_there(struct disk_sim *sim, const char *path)
{
    bool exists = false;
    assert_ok(disk_exists(disk_sim_disk(sim), path, &exists));
    return exists;
}

static void what_was_synced_survives_every_crash(void **state)
{
    (void)state;
    struct disk_sim *sim = sim_new();
    struct disk_file *file = make_durable(sim, "a", 10000, 'a');
    static struct content content;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct disk_sim *after = crash(sim, seed);
        look(after, "a", &content);
        assert_int_equal(content.len, 10000);
        for (size_t i = 0; i < content.len; i++)
            assert_int_equal(content.bytes[i], 'a');
        disk_sim_free(after);
    }
    file_close(file);
    disk_sim_free(sim);
}

static void an_unsynced_write_survives_by_sectors(void **state)
{
    (void)state;
    struct disk_sim *sim = sim_new();
    struct disk_file *file = make_durable(sim, "a", 2048, '-');
    fill(file, 100, 1848, 'x'); /* touches all four sectors */
    static struct content content;
    bool seen[16] = { false };

    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct disk_sim *after = crash(sim, seed);
        look(after, "a", &content);
        assert_int_equal(content.len, 2048);
        unsigned pattern = 0;
        for (unsigned sector = 0; sector < 4; sector++) {
            char first = content.bytes[sector * 512 + 200];
            pattern |= (unsigned)(first == 'x') << sector;
            for (size_t i = sector * 512; i < sector * 512 + 512; i++)
                assert_int_equal(content.bytes[i], i < 100 || i >= 1948 ? '-' : first);
        }
        seen[pattern] = true;
        assert_true(seed != 0 || pattern == 0);
        assert_true(seed != 1 || pattern == 15);
        disk_sim_free(after);
    }
    for (size_t i = 0; i < 16; i++)
        assert_true(seen[i]); /* each combination happens */
    file_close(file);
    disk_sim_free(sim);
}

static void writes_survive_in_any_order(void **state)
{
    (void)state;
    struct disk_sim *sim = sim_new();
    struct disk_file *file = make_durable(sim, "a", 1024, '-');
    fill(file, 0, 512, '1');
    fill(file, 512, 512, '2');
    fill(file, 0, 512, '3');
    static struct content content;
    bool seen[128][128] = { { false } };

    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct disk_sim *after = crash(sim, seed);
        look(after, "a", &content);
        seen[(int)content.bytes[0]][(int)content.bytes[512]] = true;
        disk_sim_free(after);
    }
    assert_true(seen['-']['-'] && seen['1']['-'] && seen['3']['-']);
    assert_true(seen['-']['2'] && seen['1']['2'] && seen['3']['2']);
    file_close(file);
    disk_sim_free(sim);
}

static void growth_may_be_there_without_its_bytes_and_bytes_are_never_from_elsewhere(void **state)
{
    (void)state;
    struct disk_sim *sim = sim_new();
    struct disk_file *file = make_durable(sim, "a", 700, 'a');
    fill(file, 700, 1348, 'b');
    static struct content content;
    bool grown_with = false;
    bool grown_without = false;
    bool not_grown = false;

    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct disk_sim *after = crash(sim, seed);
        look(after, "a", &content);
        assert_true(content.len == 700 || content.len == 2048);
        for (size_t i = 0; i < content.len; i++)
            assert_true(i < 700 ? content.bytes[i] == 'a'
                                : content.bytes[i] == 'b' || content.bytes[i] == 0);
        not_grown |= content.len == 700;
        grown_with |= content.len == 2048 && content.bytes[2000] == 'b';
        grown_without |= content.len == 2048 && content.bytes[2000] == 0;
        disk_sim_free(after);
    }
    assert_true(not_grown && grown_with && grown_without);
    file_close(file);
    disk_sim_free(sim);
}

static void a_truncation_may_or_may_not_have_happened(void **state)
{
    (void)state;
    struct disk_sim *sim = sim_new();
    struct disk_file *file = make_durable(sim, "a", 3000, 'a');
    assert_ok(file_truncate(file, 10));
    assert_ok(file_truncate(file, 2000));
    static struct content content;
    look(sim, "a", &content);
    assert_int_equal(content.len, 2000);
    assert_int_equal(content.bytes[9], 'a');
    assert_int_equal(content.bytes[10], 0);

    bool lens[3] = { false };
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct disk_sim *after = crash(sim, seed);
        look(after, "a", &content);
        lens[0] |= content.len == 3000 && content.bytes[2999] == 'a';
        lens[1] |= content.len == 10;
        lens[2] |= content.len == 2000 && content.bytes[10] == 0;
        assert_true(content.len == 3000 || content.len == 10 || content.len == 2000);
        disk_sim_free(after);
    }
    assert_true(lens[0] && lens[1] && lens[2]);
    file_close(file);
    disk_sim_free(sim);
}

static void a_name_is_durable_only_after_its_folder_was_synced(void **state)
{
    (void)state;
    struct disk_sim *sim = sim_new();
    struct disk_file *file = open_file(sim, "a", DISK_CREATE);
    fill(file, 0, 10, 'a');
    assert_ok(file_sync(file));
    bool seen[2] = { false };
    static struct content content;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct disk_sim *after = crash(sim, seed);
        look(after, "a", &content);
        seen[content.len == 10] = true;
        assert_true(content.len == 10 || content.len == SIZE_MAX);
        disk_sim_free(after);
    }
    assert_true(seen[0] && seen[1]);

    assert_ok(disk_sync_dir(disk_sim_disk(sim), "."));
    assert_ok(disk_remove(disk_sim_disk(sim), "a"));
    seen[0] = seen[1] = false;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct disk_sim *after = crash(sim, seed);
        seen[is_there(after, "a")] = true;
        disk_sim_free(after);
    }
    assert_true(seen[0] && seen[1]);

    assert_ok(disk_sync_dir(disk_sim_disk(sim), "."));
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct disk_sim *after = crash(sim, seed);
        assert_false(is_there(after, "a"));
        disk_sim_free(after);
    }
    file_close(file);
    disk_sim_free(sim);
}

static void a_rename_happens_as_a_whole_or_not(void **state)
{
    (void)state;
    struct disk_sim *sim = sim_new();
    file_close(make_durable(sim, "new", 5, 'n'));
    file_close(make_durable(sim, "old", 5, 'o'));
    assert_ok(disk_rename(disk_sim_disk(sim), "new", "old"));
    bool seen[2] = { false };
    static struct content content;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct disk_sim *after = crash(sim, seed);
        look(after, "old", &content);
        assert_int_equal(content.len, 5);
        bool happened = content.bytes[0] == 'n';
        assert_true(is_there(after, "new") == !happened);
        seen[happened] = true;
        disk_sim_free(after);
    }
    assert_true(seen[0] && seen[1]);
    disk_sim_free(sim);
}

static void a_rename_between_folders_is_durable_when_either_is_synced(void **state)
{
    (void)state;
    for (int which = 0; which < 2; which++) {
        struct disk_sim *sim = sim_new();
        struct disk *disk = disk_sim_disk(sim);
        assert_ok(disk_make_dir(disk, "x"));
        assert_ok(disk_make_dir(disk, "y"));
        assert_ok(disk_sync_dir(disk, "."));
        file_close(open_file(sim, "x/a", DISK_CREATE));
        assert_ok(disk_rename(disk, "x/a", "y/b"));
        assert_ok(disk_sync_dir(disk, which ? "x" : "y"));
        for (uint64_t seed = 0; seed < SEEDS; seed++) {
            struct disk_sim *after = crash(sim, seed);
            assert_true(is_there(after, "y/b"));
            assert_false(is_there(after, "x/a"));
            disk_sim_free(after);
        }
        disk_sim_free(sim);
    }
}

static void a_folder_that_vanishes_takes_its_files_along(void **state)
{
    (void)state;
    struct disk_sim *sim = sim_new();
    struct disk *disk = disk_sim_disk(sim);
    assert_ok(disk_make_dir(disk, "d"));
    file_close(open_file(sim, "d/a", DISK_CREATE));
    assert_ok(disk_make_dir(disk, "d/e"));
    file_close(open_file(sim, "d/e/f", DISK_CREATE));
    assert_ok(disk_sync_dir(disk, "d"));
    assert_ok(disk_sync_dir(disk, "d/e"));
    bool seen[2] = { false };
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct disk_sim *after = crash(sim, seed);
        bool has_dir = is_there(after, "d");
        assert_true(is_there(after, "d/a") == has_dir);
        assert_true(is_there(after, "d/e/f") == has_dir);
        seen[has_dir] = true;
        disk_sim_free(after);
    }
    assert_true(seen[0] && seen[1]);
    disk_sim_free(sim);
}

static void after_a_failed_sync_no_later_sync_brings_the_bytes_back(void **state)
{
    (void)state;
    bool is_lost = false;
    for (size_t round = 0; round < 20; round++) {
        struct disk_sim *sim = sim_new();
        struct disk_file *file = make_durable(sim, "a", 8192, 'a');
        for (size_t i = 0; i < round; i++)
            fill(file, 0, 1, 'a'); /* so that each round fails at another operation */
        fill(file, 0, 8192, 'b');
        disk_sim_fail_sync(sim, 1);
        assert_int_equal(file_sync(file).code, ERR_OS);
        assert_ok(file_sync(file)); /* which doesn't say what's true */

        static struct content content;
        look(sim, "a", &content);
        assert_int_equal(content.bytes[0], 'b');
        struct disk_sim *after = crash(sim, 1);
        look(after, "a", &content);
        is_lost |= memchr(content.bytes, 'a', content.len) != NULL;
        disk_sim_free(after);
        file_close(file);
        disk_sim_free(sim);
    }
    assert_true(is_lost);
}

static void a_failed_write_is_done_by_half(void **state)
{
    (void)state;
    struct disk_sim *sim = sim_new();
    struct disk_file *file = open_file(sim, "a", DISK_CREATE);
    disk_sim_fail_write(sim, 2);
    fill(file, 0, 100, 'a');
    struct err err = file_write(file, 100, BYTES("0123456789"));
    assert_int_equal(err.code, ERR_OS);
    assert_int_equal(err.os, EIO);
    uint64_t size;
    assert_ok(file_size(file, &size));
    assert_int_equal(size, 105);
    fill(file, 100, 10, 'b');
    file_close(file);
    disk_sim_free(sim);
}

static void a_full_disk_says_so_and_room_comes_back(void **state)
{
    (void)state;
    struct disk_sim *sim = sim_new();
    struct disk *disk = disk_sim_disk(sim);
    uint64_t room;
    disk_sim_set_capacity(sim, 16384);
    struct disk_file *a = open_file(sim, "a", DISK_CREATE);
    struct disk_file *b = open_file(sim, "b", DISK_CREATE);
    fill(a, 0, 8192, 'a');
    assert_ok(file_reserve(b, 4096));
    assert_ok(disk_free_bytes(disk, &room));
    assert_int_equal(room, 4096);
    assert_int_equal(file_reserve(b, 8193).code, ERR_FULL);

    static const char data[8192];
    assert_int_equal(file_write(a, 8192, bytes_of(data, 8192)).code, ERR_FULL);
    uint64_t size;
    assert_ok(file_size(a, &size));
    assert_int_equal(size, 12288); /* what fitted */
    fill(b, 0, 4096, 'b');         /* which was reserved */
    assert_int_equal(file_write(b, 4096, BYTES("x")).code, ERR_FULL);
    disk_sim_set_capacity(sim, 20480);
    fill(b, 4096, 1, 'b');

    file_close(a);
    assert_ok(disk_remove(disk, "a"));
    assert_ok(disk_free_bytes(disk, &room));
    assert_int_equal(room, 12288);
    assert_ok(file_truncate(b, 0));
    assert_ok(disk_free_bytes(disk, &room));
    assert_int_equal(room, 20480);
    file_close(b);
    disk_sim_free(sim);
}

static void after_the_cut_everything_fails(void **state)
{
    (void)state;
    struct disk_sim *sim = sim_new();
    struct disk *disk = disk_sim_disk(sim);
    struct disk_file *file = open_file(sim, "a", DISK_CREATE);
    assert_int_equal(disk_sim_ops(sim), 1);
    disk_sim_cut_after(sim, 2);
    fill(file, 0, 10, 'a');
    assert_false(disk_sim_is_cut(sim));
    assert_int_equal(file_sync(file).code, ERR_OS);
    assert_true(disk_sim_is_cut(sim));
    assert_int_equal(disk_sim_ops(sim), 3);

    char byte;
    bool exists;
    size_t count;
    uint64_t number;
    struct disk_file *other;
    struct buf names;
    buf_init(&names, 100);
    assert_int_equal(file_read(file, 0, &byte, 1).code, ERR_OS);
    assert_int_equal(file_write(file, 0, BYTES("b")).code, ERR_OS);
    assert_int_equal(file_truncate(file, 0).code, ERR_OS);
    assert_int_equal(file_size(file, &number).code, ERR_OS);
    assert_int_equal(file_reserve(file, 10).code, ERR_OS);
    assert_int_equal(disk_open(disk, "a", DISK_READ, &other).code, ERR_OS);
    assert_int_equal(disk_open(disk, "b", DISK_CREATE, &other).code, ERR_OS);
    assert_int_equal(disk_rename(disk, "a", "b").code, ERR_OS);
    assert_int_equal(disk_remove(disk, "a").code, ERR_OS);
    assert_int_equal(disk_make_dir(disk, "d").code, ERR_OS);
    assert_int_equal(disk_sync_dir(disk, ".").code, ERR_OS);
    assert_int_equal(disk_list(disk, ".", &names, &count).code, ERR_OS);
    assert_int_equal(disk_exists(disk, "a", &exists).code, ERR_OS);
    assert_int_equal(disk_free_bytes(disk, &number).code, ERR_OS);
    assert_int_equal(disk_lock(disk, "l", &other).code, ERR_OS);
    assert_int_equal(disk_sim_ops(sim), 3);
    file_close(file);

    struct disk_sim *after = crash(sim, 1);
    static struct content content;
    look(after, "a", &content);
    assert_int_equal(content.len, 10);
    disk_sim_free(after);
    disk_sim_free(sim);
}

static void a_clone_goes_its_own_way_and_keeps_what_is_unsynced(void **state)
{
    (void)state;
    struct disk_sim *sim = sim_new();
    struct disk_file *file = make_durable(sim, "a", 5000, 'a');
    fill(file, 0, 5000, 'b');
    struct disk_sim *clone = NULL;
    assert_ok(disk_sim_clone(sim, &clone));
    struct disk_file *cloned = open_file(clone, "a", DISK_WRITE);
    fill(cloned, 0, 5000, 'c');

    static struct content content;
    look(sim, "a", &content);
    assert_int_equal(content.bytes[4999], 'b');
    look(clone, "a", &content);
    assert_int_equal(content.bytes[4999], 'c');
    struct disk_sim *after = crash(clone, 0);
    look(after, "a", &content);
    assert_int_equal(content.bytes[4999], 'a');
    disk_sim_free(after);
    file_close(cloned);
    disk_sim_free(clone);
    file_close(file);
    disk_sim_free(sim);
}

static void a_removed_file_stays_readable_while_it_is_open(void **state)
{
    (void)state;
    struct disk_sim *sim = sim_new();
    struct disk_file *file = make_durable(sim, "a", 10, 'a');
    assert_ok(disk_remove(disk_sim_disk(sim), "a"));
    assert_ok(disk_sync_dir(disk_sim_disk(sim), "."));
    char byte;
    assert_ok(file_read(file, 9, &byte, 1));
    assert_int_equal(byte, 'a');
    struct disk_sim *after = crash(sim, 1);
    assert_false(is_there(after, "a"));
    disk_sim_free(after);
    file_close(file);
    disk_sim_free(sim);
}

/* Replaces a file twice, cut at each operation: it's always one of the three contents. */
static void replacing_a_file_is_whole_at_every_cut(void **state)
{
    (void)state;
    bool was_cut = true;
    for (uint64_t n = 1; was_cut; n++) {
        for (uint64_t seed = 0; seed < 50; seed++) {
            struct disk_sim *sim = sim_new();
            struct disk *disk = disk_sim_disk(sim);
            char big[2000];
            int done = 0;
            for (; done < 3; done++) {
                memset(big, '0' + done, sizeof big);
                if (done == 1)
                    disk_sim_cut_after(sim, n);
                if (disk_replace_file(disk, "f", bytes_of(big, sizeof big)).code)
                    break;
            }
            was_cut = disk_sim_is_cut(sim);
            struct disk_sim *after = crash(sim, seed);
            static struct content content;
            look(after, "f", &content);
            assert_int_equal(content.len, sizeof big);
            for (size_t i = 1; i < content.len; i++)
                assert_int_equal(content.bytes[i], content.bytes[0]);
            assert_true(content.bytes[0] == '0' + done || content.bytes[0] == '0' + done - 1);
            disk_sim_free(after);
            disk_sim_free(sim);
        }
        assert_true(n < 100);
    }
}

/* --- against a model ---------------------------------------------------- */

/* Any operations in any order, with crashes and clones between: without an unsynced change the disk
 * is what a plain model says; and nothing leaks or is freed twice. */
static void random_work_is_seen_as_done_and_survives_seed_1(void **state)
{
    enum { FILES = 6, STEPS = 300, ROUNDS = 60 };
    (void)state;
    for (uint64_t round = 0; round < ROUNDS; round++) {
        struct rng rng;
        rng_init(&rng, round);
        struct disk_sim *sim = sim_new();
        assert_ok(disk_make_dir(disk_sim_disk(sim), "d"));
        int model[FILES]; /* the byte in it; -1: not there */
        memset(model, -1, sizeof model);

        for (int step = 0; step < STEPS; step++) {
            struct disk *disk = disk_sim_disk(sim);
            size_t i = rng_below(&rng, FILES);
            size_t k = rng_below(&rng, FILES);
            char path[16];
            char other[16];
            (void)snprintf(path, sizeof path, "%s%zu", i % 2 ? "d/" : "", i);
            (void)snprintf(other, sizeof other, "%s%zu", k % 2 ? "d/" : "", k);
            switch (rng_below(&rng, 8)) {
            case 0:
            case 1: {
                struct disk_file *file =
                    open_file(sim, path, model[i] < 0 ? DISK_CREATE : DISK_WRITE);
                model[i] = 'a' + step % 26;
                fill(file, 0, 600, (char)model[i]);
                if (rng_below(&rng, 2))
                    assert_ok(file_sync(file));
                file_close(file);
                break;
            }
            case 2:
                assert_int_equal(disk_remove(disk, path).code, model[i] < 0 ? ERR_MISSING : 0);
                model[i] = -1;
                break;
            case 3:
                assert_int_equal(disk_rename(disk, path, other).code,
                                 model[i] < 0 ? ERR_MISSING : 0);
                if (model[i] >= 0 && i != k) {
                    model[k] = model[i];
                    model[i] = -1;
                }
                break;
            case 4:
                assert_ok(disk_sync_dir(disk, "."));
                break;
            case 5:
                assert_ok(disk_sync_dir(disk, "d"));
                break;
            case 6: {
                struct disk_sim *after = crash(sim, 1);
                disk_sim_free(sim);
                sim = after;
                break;
            }
            case 7: {
                disk_sim_free(crash(sim, rng_next(&rng)));
                struct disk_sim *clone = NULL;
                assert_ok(disk_sim_clone(sim, &clone));
                disk_sim_free(sim);
                sim = clone;
                break;
            }
            }
            static struct content content;
            (void)snprintf(path, sizeof path, "%s%zu", k % 2 ? "d/" : "", k);
            look(sim, path, &content);
            if (model[k] < 0) {
                assert_int_equal(content.len, SIZE_MAX);
            } else {
                assert_int_equal(content.len, 600);
                assert_int_equal(content.bytes[599], model[k]);
            }
        }
        disk_sim_free(sim);
    }
}

static void random_path(struct rng *rng, char *path)
{
    size_t depth = 1 + rng_below(rng, 3);
    char *end = path;
    for (size_t i = 0; i < depth; i++) {
        *end++ = (char)('a' + rng_below(rng, 3));
        *end++ = '/';
    }
    end[-1] = 0;
}

/* Lists and opens all that's below `path`; how many names there are. */
static size_t visit(struct disk *disk, const char *path, int depth)
{
    struct buf names;
    size_t count = 0;
    buf_init(&names, 1 << 16);
    struct err err = disk_list(disk, path, &names, &count);
    if (err.code == ERR_MISSING) { /* a file */
        struct buf content;
        buf_init(&content, 1 << 16);
        assert_ok(disk_read_file(disk, path, 1 << 16, &content));
        buf_done(&content);
        return 0;
    }
    assert_ok(err);
    assert_true(depth < 40); /* no folder is in itself */
    size_t all = count;
    const char *name = (const char *)names.ptr;
    for (size_t i = 0; i < count; i++, name += strlen(name) + 1) {
        char below[256];
        (void)snprintf(below, sizeof below, "%s/%s", path, name);
        all += visit(disk, strncmp(below, "./", 2) == 0 ? below + 2 : below, depth + 1);
    }
    buf_done(&names);
    return all;
}

static void folders_moved_about_and_crashed_stay_a_tree(void **state)
{
    enum { ROUNDS = 300, STEPS = 120 };
    (void)state;
    size_t visited = 0;
    for (uint64_t round = 0; round < ROUNDS; round++) {
        struct rng rng;
        rng_init(&rng, round);
        struct disk_sim *sim = sim_new();
        for (int step = 0; step < STEPS; step++) {
            struct disk *disk = disk_sim_disk(sim);
            char path[16];
            char other[16];
            struct disk_file *file;
            struct err err = ok();
            random_path(&rng, path);
            random_path(&rng, other);
            switch (rng_below(&rng, 8)) {
            case 0:
            case 1:
                err = disk_make_dir(disk, path);
                break;
            case 2:
                err = disk_open(disk, path, DISK_CREATE, &file);
                if (!err.code) {
                    fill(file, 0, 10, 'x');
                    file_close(file);
                }
                break;
            case 3:
            case 4:
                err = disk_rename(disk, path, other);
                break;
            case 5:
                err = disk_remove(disk, path);
                break;
            case 6:
                err = disk_sync_dir(disk, rng_below(&rng, 2) ? "." : path);
                break;
            default: {
                struct disk_sim *after = crash(sim, rng_below(&rng, 20));
                visited += visit(disk_sim_disk(after), ".", 0);
                if (rng_below(&rng, 4) == 0) {
                    disk_sim_free(sim);
                    sim = after;
                } else {
                    disk_sim_free(after);
                }
                break;
            }
            }
            assert_true(err.code != ERR_NOMEM && err.code != ERR_INVALID);
        }
        disk_sim_free(sim);
    }
    assert_true(visited > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_synced_survives_every_crash),
        cmocka_unit_test(an_unsynced_write_survives_by_sectors),
        cmocka_unit_test(writes_survive_in_any_order),
        cmocka_unit_test(growth_may_be_there_without_its_bytes_and_bytes_are_never_from_elsewhere),
        cmocka_unit_test(a_truncation_may_or_may_not_have_happened),
        cmocka_unit_test(a_name_is_durable_only_after_its_folder_was_synced),
        cmocka_unit_test(a_rename_happens_as_a_whole_or_not),
        cmocka_unit_test(a_rename_between_folders_is_durable_when_either_is_synced),
        cmocka_unit_test(a_folder_that_vanishes_takes_its_files_along),
        cmocka_unit_test(after_a_failed_sync_no_later_sync_brings_the_bytes_back),
        cmocka_unit_test(a_failed_write_is_done_by_half),
        cmocka_unit_test(a_full_disk_says_so_and_room_comes_back),
        cmocka_unit_test(after_the_cut_everything_fails),
        cmocka_unit_test(a_clone_goes_its_own_way_and_keeps_what_is_unsynced),
        cmocka_unit_test(a_removed_file_stays_readable_while_it_is_open),
        cmocka_unit_test(replacing_a_file_is_whole_at_every_cut),
        cmocka_unit_test(random_work_is_seen_as_done_and_survives_seed_1),
        cmocka_unit_test(folders_moved_about_and_crashed_stay_a_tree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

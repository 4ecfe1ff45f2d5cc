/*
 * log_test.c - what log.h promises, on a disk that fills up and fails.
 *
 * A replay is compared as text: "position+count:batch" for each batch, one after the other.
 */
#include "log_help.h"

#include "base/rng.h"
#include "codec/hash.h"

#include <stdio.h>
#include <unistd.h>

struct fixture {
    struct disk_sim *sim;
    struct disk *disk;
    struct buf seen;
    struct log_damage damage;
    int broken; /* calls of on_broken */
    struct err broken_err;
    uint64_t file_bytes;
    uint64_t queue_bytes;
    uint64_t floor_bytes;
};

static int setup(void **state)
{
    struct fixture *fx = calloc(1, sizeof *fx);
    assert_non_null(fx);
    assert_int_equal(disk_sim_new(&fx->sim).code, ERR_NONE);
    fx->disk = disk_sim_disk(fx->sim);
    buf_init(&fx->seen, 64 << 20);
    *state = fx;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fx = *state;
    disk_sim_free(fx->sim);
    buf_done(&fx->seen);
    free(fx);
    return 0;
}

static struct err see(void *ctx, uint64_t position, uint32_t count, struct bytes batch)
{
    struct fixture *fx = ctx;
    buf_printf(&fx->seen, "%llu+%u:%.*s ", (unsigned long long)position, count, BYTES_FMT(batch));
    return ok();
}

static struct err refuse(void *ctx, uint64_t position, uint32_t count, struct bytes batch)
{
    (void)ctx, (void)position, (void)count, (void)batch;
    return err_new(ERR_INVALID, "test: refused");
}

static void broken(void *ctx, struct err err)
{
    struct fixture *fx = ctx;
    fx->broken++;
    fx->broken_err = err;
}

static struct err try_open(struct fixture *fx, uint64_t from, struct log **out)
{
    struct log_files_config config = {
        .disk = fx->disk,
        .dir = "log",
        .file_bytes = fx->file_bytes,
        .queue_bytes = fx->queue_bytes,
        .disk_floor_bytes = fx->floor_bytes,
        .on_broken = broken,
        .on_broken_ctx = fx,
        .damage_out = &fx->damage,
    };
    buf_reset(&fx->seen);
    return log_open_files(&config, from, see, fx, out);
}

static struct log *must_open(struct fixture *fx)
{
    struct log *log = NULL;
    assert_int_equal(try_open(fx, 0, &log).code, ERR_NONE);
    return log;
}

static void must_put(struct log *log, const char *batch, uint32_t count)
{
    assert_int_equal(put(log, bytes_from(batch), count, NULL).code, ERR_NONE);
}

static const char *seen(struct fixture *fx)
{
    buf_put_u8(&fx->seen, 0);
    fx->seen.len--;
    return (const char *)fx->seen.ptr;
}

static uint32_t file_count(struct fixture *fx)
{
    struct buf names;
    size_t count = 0;
    buf_init(&names, 1 << 20);
    assert_int_equal(disk_list(fx->disk, "log", &names, &count).code, ERR_NONE);
    buf_done(&names);
    return (uint32_t)count - 1; /* without the lock */
}

static void flip(struct fixture *fx, const char *path, uint64_t offset)
{
    struct disk_file *file = NULL;
    uint8_t byte = 0;
    assert_int_equal(disk_open(fx->disk, path, DISK_WRITE, &file).code, ERR_NONE);
    assert_int_equal(file_read(file, offset, &byte, 1).code, ERR_NONE);
    byte ^= 0x40;
    assert_int_equal(file_write(file, offset, bytes_of(&byte, 1)).code, ERR_NONE);
    file_close(file);
}

#define FIRST "log/00000000000000000001.log"

static void batches_come_back_in_order_with_their_positions(void **state)
{
    struct fixture *fx = *state;
    struct log *log = must_open(fx);
    uint64_t position = 0;
    assert_int_equal(put(log, BYTES("one"), 1, &position).code, ERR_NONE);
    assert_int_equal(position, 1);
    assert_int_equal(put(log, BYTES("two"), 5, &position).code, ERR_NONE);
    assert_int_equal(position, 2);
    log_close(log);

    log = must_open(fx);
    assert_string_equal(seen(fx), "1+1:one 2+5:two ");
    assert_int_equal(log_stats(log).next_position, 7);
    must_put(log, "three", 1);
    buf_reset(&fx->seen);
    assert_int_equal(log_replay(log, 0, see, fx).code, ERR_NONE);
    assert_string_equal(seen(fx), "1+1:one 2+5:two 7+1:three ");
    log_close(log);
}

static void opening_visits_only_what_holds_the_asked_position_or_later(void **state)
{
    struct fixture *fx = *state;
    struct log *log = must_open(fx);
    must_put(log, "a", 3);
    must_put(log, "b", 3);
    must_put(log, "c", 3);
    log_close(log);
    assert_int_equal(try_open(fx, 6, &log).code, ERR_NONE);
    assert_string_equal(seen(fx), "4+3:b 7+3:c ");
    log_close(log);
    assert_int_equal(try_open(fx, 10, &log).code, ERR_NONE);
    assert_string_equal(seen(fx), "");
    log_close(log);
}

/* The thread is held in the first entry's `done` while the others gather. */
static void waiting_batches_share_one_sync(void **state)
{
    struct fixture *fx = *state;
    struct log *log = must_open(fx);
    struct sent first;
    struct sent others[20];
    sent_init(&first, BYTES("first"), 1);
    first.is_held = true;
    assert_int_equal(log_submit(log, &first.entry).code, ERR_NONE);
    assert_int_equal(sent_wait(&first).code, ERR_NONE);
    for (size_t i = 0; i < 20; i++) {
        sent_init(&others[i], BYTES("other"), 2);
        assert_int_equal(log_submit(log, &others[i].entry).code, ERR_NONE);
    }
    uint64_t syncs = log_stats(log).syncs;
    sent_release(&first);
    for (size_t i = 0; i < 20; i++) {
        assert_int_equal(sent_wait(&others[i]).code, ERR_NONE);
        assert_int_equal(others[i].entry.position, 2 + 2 * i);
    }
    assert_int_equal(log_stats(log).syncs, syncs + 1);
    assert_int_equal(log_stats(log).batches, 21);
    log_close(log);
    sent_free(&first);
    for (size_t i = 0; i < 20; i++)
        sent_free(&others[i]);
}

static void closing_waits_for_what_was_submitted(void **state)
{
    struct fixture *fx = *state;
    struct log *log = must_open(fx);
    struct sent sent[50];
    for (size_t i = 0; i < 50; i++) {
        sent_init(&sent[i], BYTES("x"), 1);
        assert_int_equal(log_submit(log, &sent[i].entry).code, ERR_NONE);
    }
    log_close(log);
    for (size_t i = 0; i < 50; i++) {
        assert_true(sent[i].is_done && !sent[i].err.code);
        sent_free(&sent[i]);
    }
    log = must_open(fx);
    assert_int_equal(log_stats(log).next_position, 51);
    log_close(log);
}

static void full_file_is_followed_by_a_new_one_and_positions_go_on(void **state)
{
    struct fixture *fx = *state;
    fx->file_bytes = 180;
    struct log *log = must_open(fx);
    char expected[1024] = "";
    for (unsigned i = 0; i < 20; i++) {
        size_t used = strlen(expected);
        must_put(log, "0123456789", 2);
        (void)snprintf(expected + used, sizeof expected - used, "%u+2:0123456789 ", 1 + 2 * i);
    }
    assert_int_equal(file_count(fx), 7); /* three frames of 42 bytes each, behind 32 */
    uint64_t size = log_stats(log).size_bytes;
    log_close(log);

    log = must_open(fx);
    assert_string_equal(seen(fx), expected);
    assert_int_equal(log_stats(log).size_bytes, size);
    assert_int_equal(size, 7 * 32 + 20 * 42);
    log_close(log);
}

static void trimming_removes_the_files_that_lie_wholly_before(void **state)
{
    struct fixture *fx = *state;
    fx->file_bytes = 180;
    struct log *log = must_open(fx);
    for (unsigned i = 0; i < 9; i++)
        must_put(log, "0123456789", 1);
    assert_int_equal(file_count(fx), 3); /* 1 to 3, 4 to 6, 7 to 9 */
    assert_int_equal(log_trim(log, 3).code, ERR_NONE);
    assert_int_equal(file_count(fx), 3);
    assert_int_equal(log_trim(log, 4).code, ERR_NONE);
    assert_int_equal(file_count(fx), 2);
    assert_int_equal(log_trim(log, 1000).code, ERR_NONE);
    assert_int_equal(file_count(fx), 1);
    buf_reset(&fx->seen);
    assert_int_equal(log_replay(log, 8, see, fx).code, ERR_NONE);
    assert_string_equal(seen(fx), "8+1:0123456789 9+1:0123456789 ");
    assert_int_equal(log_stats(log).size_bytes, 32 + 3 * 42);
    log_close(log);
    assert_int_equal(try_open(fx, 7, &log).code, ERR_NONE);
    assert_string_equal(seen(fx), "7+1:0123456789 8+1:0123456789 9+1:0123456789 ");
    must_put(log, "next", 1);
    assert_int_equal(log_stats(log).next_position, 11);
    log_close(log);
}

static void full_disk_fails_the_batch_and_the_log_goes_on_when_there_is_room(void **state)
{
    struct fixture *fx = *state;
    static const uint8_t large[5 << 20]; /* more than is reserved */
    struct log *log = must_open(fx);
    must_put(log, "before", 1);
    disk_sim_set_capacity(fx->sim, 100000);
    for (int i = 0; i < 3; i++)
        assert_int_equal(put(log, bytes_of(large, sizeof large), 7, NULL).code, ERR_FULL);
    must_put(log, "small", 1);
    disk_sim_set_capacity(fx->sim, DISK_SIM_CAPACITY);
    uint64_t position = 0;
    assert_int_equal(put(log, BYTES("after"), 1, &position).code, ERR_NONE);
    assert_int_equal(position, 3);
    log_close(log);
    assert_int_equal(fx->broken, 0);

    log = must_open(fx);
    assert_string_equal(seen(fx), "1+1:before 2+1:small 3+1:after ");
    assert_int_equal(log_stats(log).cut_bytes, 0);
    log_close(log);
}

static void file_that_finds_no_room_for_a_next_one_goes_on(void **state)
{
    struct fixture *fx = *state;
    fx->file_bytes = 180;
    struct log *log = must_open(fx);
    for (unsigned i = 0; i < 3; i++)
        must_put(log, "0123456789", 1);
    disk_sim_set_capacity(fx->sim, 0);
    must_put(log, "in reserved room", 1);
    assert_int_equal(file_count(fx), 1);
    disk_sim_set_capacity(fx->sim, DISK_SIM_CAPACITY);
    must_put(log, "room", 1);
    assert_int_equal(file_count(fx), 2);
    log_close(log);
    log = must_open(fx);
    assert_string_equal(seen(fx), "1+1:0123456789 2+1:0123456789 3+1:0123456789 "
                                  "4+1:in reserved room 5+1:room ");
    log_close(log);
}

static void batches_are_refused_below_the_floor_and_taken_again_above(void **state)
{
    struct fixture *fx = *state;
    fx->floor_bytes = 1 << 20;
    struct log *log = must_open(fx);
    must_put(log, "one", 1);
    disk_sim_set_capacity(fx->sim, 1 << 20);
    must_put(log, "the thread notices behind this one", 1);
    assert_int_equal(put(log, BYTES("refused"), 1, NULL).code, ERR_FULL);
    disk_sim_set_capacity(fx->sim, DISK_SIM_CAPACITY);
    uint64_t position = 0;
    assert_int_equal(put(log, BYTES("taken"), 1, &position).code, ERR_NONE);
    assert_int_equal(position, 3);
    log_close(log);
}

static void failed_sync_breaks_the_log_for_good(void **state)
{
    struct fixture *fx = *state;
    struct log *log = must_open(fx);
    must_put(log, "good", 1);
    disk_sim_fail_sync(fx->sim, 1);
    assert_int_equal(put(log, BYTES("uncertain"), 1, NULL).code, ERR_OS);
    assert_int_equal(fx->broken, 1);
    assert_int_equal(fx->broken_err.code, ERR_OS);
    assert_int_equal(put(log, BYTES("more"), 1, NULL).code, ERR_BROKEN);
    assert_int_equal(log_stats(log).next_position, 2);
    log_close(log);
    assert_int_equal(fx->broken, 1);
}

static void failed_write_breaks_the_log_for_good(void **state)
{
    struct fixture *fx = *state;
    struct log *log = must_open(fx);
    disk_sim_fail_write(fx->sim, 1);
    assert_int_equal(put(log, BYTES("uncertain"), 1, NULL).code, ERR_OS);
    assert_int_equal(fx->broken, 1);
    assert_int_equal(put(log, BYTES("more"), 1, NULL).code, ERR_BROKEN);
    log_close(log);
    log = must_open(fx);
    assert_string_equal(seen(fx), "");
    must_put(log, "again", 1);
    log_close(log);
}

static void full_queue_refuses_and_takes_again_when_it_is_empty(void **state)
{
    struct fixture *fx = *state;
    static const uint8_t large[1000];
    fx->queue_bytes = 100;
    struct log *log = must_open(fx);
    assert_int_equal(put(log, bytes_of(large, sizeof large), 1, NULL).code, ERR_NONE);

    struct sent first;
    struct sent second;
    sent_init(&first, bytes_of(large, 1), 1);
    sent_init(&second, bytes_of(large, 90), 1);
    first.is_held = true;
    assert_int_equal(log_submit(log, &first.entry).code, ERR_NONE);
    assert_int_equal(sent_wait(&first).code, ERR_NONE);
    assert_int_equal(log_submit(log, &second.entry).code, ERR_NONE);
    struct sent third;
    sent_init(&third, bytes_of(large, 11), 1);
    assert_int_equal(log_submit(log, &third.entry).code, ERR_LIMIT);
    sent_release(&first);
    assert_int_equal(sent_wait(&second).code, ERR_NONE);
    assert_int_equal(put(log, bytes_of(large, 11), 1, NULL).code, ERR_NONE);
    log_close(log);
    sent_free(&first);
    sent_free(&second);
    sent_free(&third);
}

static void batches_outside_the_limits_are_refused(void **state)
{
    struct fixture *fx = *state;
    uint8_t *large = calloc(1, (size_t)LOG_BATCH_MAX + 1);
    struct log *log = must_open(fx);
    assert_non_null(large);
    assert_int_equal(put(log, bytes_of(large, 0), 1, NULL).code, ERR_INVALID);
    assert_int_equal(put(log, bytes_of(large, 1), 0, NULL).code, ERR_INVALID);
    assert_int_equal(put(log, bytes_of(large, (size_t)LOG_BATCH_MAX + 1), 1, NULL).code,
                     ERR_INVALID);
    log_close(log);
    free(large);
}

static void second_opener_is_told_busy(void **state)
{
    struct fixture *fx = *state;
    struct log *first = must_open(fx);
    struct log *second = NULL;
    assert_int_equal(try_open(fx, 0, &second).code, ERR_BUSY);
    log_close(first);
    log_close(must_open(fx));
}

static void visitor_can_stop_the_opening(void **state)
{
    struct fixture *fx = *state;
    struct log *log = must_open(fx);
    must_put(log, "unwanted", 1);
    log_close(log);
    struct log_files_config config = { .disk = fx->disk, .dir = "log" };
    assert_int_equal(log_open_files(&config, 0, refuse, fx, &log).code, ERR_INVALID);
    log_close(must_open(fx));
}

static void tail_that_no_sync_covered_is_cut(void **state)
{
    struct fixture *fx = *state;
    struct log *log = must_open(fx);
    must_put(log, "whole", 1);
    must_put(log, "damaged", 1);
    log_close(log);
    flip(fx, FIRST, 32 + 37 + 32);
    struct log_stats stats;
    assert_int_equal(log_check_files(fx->disk, "log", NULL, &stats).code, ERR_NONE);
    assert_int_equal(stats.cut_bytes, 32 + 7);

    log = must_open(fx);
    assert_string_equal(seen(fx), "1+1:whole ");
    assert_int_equal(log_stats(log).cut_bytes, 32 + 7);
    must_put(log, "next", 1);
    log_close(log);
    log = must_open(fx);
    assert_string_equal(seen(fx), "1+1:whole 2+1:next ");
    assert_int_equal(log_stats(log).cut_bytes, 0);
    log_close(log);
}

static void damage_in_synced_bytes_is_told_with_its_place_and_left_alone(void **state)
{
    struct fixture *fx = *state;
    struct buf before;
    struct buf after;
    struct log *log = must_open(fx);
    must_put(log, "whole", 1);
    must_put(log, "damaged", 1);
    must_put(log, "behind", 1);
    log_close(log);
    for (uint64_t at = 69; at < 69 + 39; at++) {
        flip(fx, FIRST, at);
        buf_init(&before, 1 << 20);
        buf_init(&after, 1 << 20);
        assert_int_equal(disk_read_file(fx->disk, FIRST, 1 << 20, &before).code, ERR_NONE);
        assert_int_equal(try_open(fx, 0, &log).code, ERR_CORRUPT);
        assert_string_equal(fx->damage.file, "00000000000000000001.log");
        assert_int_equal(fx->damage.offset, 69);
        assert_int_equal(disk_read_file(fx->disk, FIRST, 1 << 20, &after).code, ERR_NONE);
        assert_true(bytes_equal(buf_bytes(&before), buf_bytes(&after)));
        struct log_stats stats;
        assert_int_equal(log_check_files(fx->disk, "log", &fx->damage, &stats).code, ERR_CORRUPT);
        flip(fx, FIRST, at);
        buf_done(&before);
        buf_done(&after);
    }
    log_close(must_open(fx));
}

static void damage_in_an_earlier_file_is_told_also_at_its_end(void **state)
{
    struct fixture *fx = *state;
    fx->file_bytes = 180;
    struct log *log = must_open(fx);
    for (unsigned i = 0; i < 9; i++)
        must_put(log, "0123456789", 1);
    log_close(log);
    flip(fx, "log/00000000000000000004.log", 32 + 2 * 42 + 5);
    assert_int_equal(try_open(fx, 0, &log).code, ERR_CORRUPT);
    assert_string_equal(fx->damage.file, "00000000000000000004.log");
    assert_int_equal(fx->damage.offset, 32 + 2 * 42);
    /* What lies wholly before the asked position isn't read. */
    assert_int_equal(try_open(fx, 7, &log).code, ERR_NONE);
    log_close(log);
    flip(fx, "log/00000000000000000007.log", 3);
    assert_int_equal(try_open(fx, 7, &log).code, ERR_CORRUPT);
    assert_string_equal(fx->damage.file, "00000000000000000007.log");
    assert_int_equal(fx->damage.offset, 0);
}

static void missing_file_is_damage(void **state)
{
    struct fixture *fx = *state;
    fx->file_bytes = 180;
    struct log *log = must_open(fx);
    for (unsigned i = 0; i < 9; i++)
        must_put(log, "0123456789", 1);
    log_close(log);
    assert_int_equal(disk_remove(fx->disk, "log/00000000000000000004.log").code, ERR_NONE);
    assert_int_equal(try_open(fx, 0, &log).code, ERR_CORRUPT);
    assert_string_equal(fx->damage.file, "00000000000000000001.log");
}

static void positions_that_the_log_does_not_hold_are_damage(void **state)
{
    struct fixture *fx = *state;
    fx->file_bytes = 180;
    struct log *log = must_open(fx);
    for (unsigned i = 0; i < 9; i++)
        must_put(log, "0123456789", 1);
    assert_int_equal(log_trim(log, 7).code, ERR_NONE);
    log_close(log);
    assert_int_equal(try_open(fx, 6, &log).code, ERR_CORRUPT);
    assert_int_equal(try_open(fx, 11, &log).code, ERR_CORRUPT);
    assert_int_equal(try_open(fx, 10, &log).code, ERR_NONE);
    log_close(log);
}

static void file_cut_inside_its_header_is_begun_again(void **state)
{
    struct fixture *fx = *state;
    struct disk_file *file = NULL;
    log_close(must_open(fx));
    assert_int_equal(disk_open(fx->disk, FIRST, DISK_WRITE, &file).code, ERR_NONE);
    assert_int_equal(file_truncate(file, 20).code, ERR_NONE);
    file_close(file);
    struct log *log = must_open(fx);
    must_put(log, "one", 1);
    log_close(log);
    log = must_open(fx);
    assert_string_equal(seen(fx), "1+1:one ");
    log_close(log);
}

static void file_of_another_kind_is_refused_and_kept(void **state)
{
    struct fixture *fx = *state;
    struct log *log = must_open(fx);
    must_put(log, "kept", 1);
    log_close(log);
    flip(fx, FIRST, 7);
    assert_int_equal(try_open(fx, 0, &log).code, ERR_CORRUPT);
    flip(fx, FIRST, 7);
    log = must_open(fx);
    assert_string_equal(seen(fx), "1+1:kept ");
    log_close(log);
}

struct sender {
    struct log *log;
    struct thread thread;
    uint32_t number;
    uint64_t positions[200];
};

static void *send_many(void *ctx)
{
    struct sender *sender = ctx;
    for (uint32_t i = 0; i < 200; i++) {
        uint32_t content[2] = { sender->number, i };
        assert_int_equal(
            put(sender->log, bytes_of(content, sizeof content), 1 + i % 3, &sender->positions[i])
                .code,
            ERR_NONE);
    }
    return NULL;
}

struct claims {
    const struct sender *senders;
    uint64_t next;
    uint32_t batches;
};

static struct err claim(void *ctx, uint64_t position, uint32_t count, struct bytes batch)
{
    struct claims *claims = ctx;
    uint32_t content[2];
    assert_int_equal(batch.len, sizeof content);
    memcpy(content, batch.ptr, sizeof content);
    assert_int_equal(claims->senders[content[0]].positions[content[1]], position);
    assert_int_equal(position, claims->next);
    assert_int_equal(count, 1 + content[1] % 3);
    claims->next += count;
    claims->batches++;
    return ok();
}

static void threads_that_submit_at_once_get_positions_without_gaps(void **state)
{
    struct fixture *fx = *state;
    static struct sender senders[4];
    fx->file_bytes = 2000;
    struct log *log = must_open(fx);
    for (uint32_t i = 0; i < 4; i++) {
        senders[i] = (struct sender){ .log = log, .number = i };
        assert_int_equal(thread_start(&senders[i].thread, "sender", send_many, &senders[i]).code,
                         ERR_NONE);
    }
    for (uint32_t i = 0; i < 4; i++)
        thread_join(&senders[i].thread);
    struct claims claims = { .senders = senders, .next = 1 };
    assert_int_equal(log_replay(log, 0, claim, &claims).code, ERR_NONE);
    assert_int_equal(claims.batches, 800);
    assert_true(log_stats(log).syncs <= 800);
    log_close(log);
}

static void real_disk_keeps_a_log_too(void **state)
{
    struct fixture *fx = *state;
    struct disk *sim = fx->disk;
    char root[] = "log-test-XXXXXX";
    assert_non_null(mkdtemp(root));
    assert_int_equal(disk_real(root, &fx->disk).code, ERR_NONE);
    struct log *log = must_open(fx);
    struct log *second = NULL;
    must_put(log, "one", 1);
    assert_int_equal(try_open(fx, 0, &second).code, ERR_BUSY);
    log_close(log);
    log = must_open(fx);
    assert_string_equal(seen(fx), "1+1:one ");
    log_close(log);
    assert_int_equal(disk_remove(fx->disk, FIRST).code, ERR_NONE);
    assert_int_equal(disk_remove(fx->disk, "log/lock").code, ERR_NONE);
    assert_int_equal(disk_remove(fx->disk, "log").code, ERR_NONE);
    disk_free(fx->disk);
    assert_int_equal(rmdir(root), 0);
    fx->disk = sim;
}

/* Logs written by every earlier release have to open. If this test fails, the version has to change
 * as well. */
static void format_is_these_bytes(void **state)
{
    static const uint8_t header[24] = { 'k', 'o', 'l', 'a', 'm', 'l', 'g', 1, 5, 0, 0, 0,
                                        0,   0,   0,   0,   7,   0,   0,   0, 0, 0, 0, 0 };
    static const uint8_t frame[27] = { 3, 0, 0,  0, 2, 0, 0, 0, 5, 0, 0,   0,   0,  0,
                                       0, 0, 32, 0, 0, 0, 0, 0, 0, 0, 'a', 'b', 'c' };
    uint8_t bytes[64];
    (void)state;
    log_header_encode((struct log_header){ .first = 5, .identity = 7 }, bytes);
    assert_memory_equal(bytes, header, sizeof header);
    assert_int_equal(load_le64(bytes + 24), xxh3_64(bytes_of(header, 24), 0));
    struct log_frame encoded = { .position = 5, .count = 2, .durable = 32, .batch = BYTES("abc") };
    log_frame_encode(7, &encoded, bytes);
    assert_memory_equal(bytes + 8, frame, sizeof frame);
    assert_int_equal(load_le64(bytes), xxh3_64(bytes_of(frame, sizeof frame), 7));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(batches_come_back_in_order_with_their_positions),
        TEST(opening_visits_only_what_holds_the_asked_position_or_later),
        TEST(waiting_batches_share_one_sync),
        TEST(closing_waits_for_what_was_submitted),
        TEST(full_file_is_followed_by_a_new_one_and_positions_go_on),
        TEST(trimming_removes_the_files_that_lie_wholly_before),
        TEST(full_disk_fails_the_batch_and_the_log_goes_on_when_there_is_room),
        TEST(file_that_finds_no_room_for_a_next_one_goes_on),
        TEST(batches_are_refused_below_the_floor_and_taken_again_above),
        TEST(failed_sync_breaks_the_log_for_good),
        TEST(failed_write_breaks_the_log_for_good),
        TEST(full_queue_refuses_and_takes_again_when_it_is_empty),
        TEST(batches_outside_the_limits_are_refused),
        TEST(second_opener_is_told_busy),
        TEST(visitor_can_stop_the_opening),
        TEST(tail_that_no_sync_covered_is_cut),
        TEST(damage_in_synced_bytes_is_told_with_its_place_and_left_alone),
        TEST(damage_in_an_earlier_file_is_told_also_at_its_end),
        TEST(missing_file_is_damage),
        TEST(positions_that_the_log_does_not_hold_are_damage),
        TEST(file_cut_inside_its_header_is_begun_again),
        TEST(file_of_another_kind_is_refused_and_kept),
        TEST(threads_that_submit_at_once_get_positions_without_gaps),
        TEST(real_disk_keeps_a_log_too),
        TEST(format_is_these_bytes),
    };
    return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}

/*
 * log_crash_test.c - a power cut after every operation that changes the disk.
 *
 * A history of groups, rotations, trims, a full disk and reopenings is drawn from a seed and run
 * against the simulated disk, which dies at its n-th operation, for every n. What several crashes
 * leave of it (sectors in any order, names or not) is opened again, and must hold every batch that
 * was acknowledged and not trimmed, nothing that was answered with "disk full", nothing invented,
 * without gaps; at most the batches that had no answer may be there besides, as far as they go
 * without a gap. Then the log must go on. Some of the openings are cut as well, and opened again.
 */
#include "log_help.h"

#include "base/rng.h"

#include <stdio.h>

enum {
    HISTORIES = 24,
    CRASH_SEEDS = 5,
    STEPS = 18,
    GROUP_MAX_ENTRIES = 5,
    BATCHES_MAX = STEPS * (GROUP_MAX_ENTRIES + 1) + 16,
    BATCH_BYTES_MAX = 2500,
    FILE_BYTES = 9000,
    TIGHT_BYTES = 4096,
};

/* One batch as the model knows it. */
struct known {
    uint64_t position; /* that it has, or would have */
    uint32_t count;
    uint32_t len;
    uint8_t seed;
};

struct history {
    struct disk_sim *sim;
    struct log *log;
    struct rng rng;
    struct known known[BATCHES_MAX];
    uint32_t known_count;   /* submitted, without those that failed for lack of room */
    uint32_t durable_count; /* acknowledged: the first so many */
    uint64_t next_position; /* behind all known */
    uint64_t kept;          /* positions from here on may not be trimmed away */
    bool is_dead;
};

static uint64_t cuts;

static void ignore_broken(void *ctx, struct err err)
{
    (void)ctx, (void)err;
}

static void fill(const struct known *known, uint8_t *to)
{
    for (uint32_t i = 0; i < known->len; i++)
        to[i] = (uint8_t)(known->seed + i * 7 + (i >> 8));
}

/* --- checking what a crash has left ------------------------------------------------- */

struct check {
    const struct history *history;
    uint64_t next; /* position of the next batch; 0: none was visited */
    uint32_t next_known;
    uint64_t first;
};

static struct err check_batch(void *ctx, uint64_t position, uint32_t count, struct bytes batch)
{
    struct check *check = ctx;
    const struct history *history = check->history;
    static uint8_t expected[BATCH_BYTES_MAX];
    if (check->next == 0) {
        check->first = position;
        while (check->next_known < history->known_count &&
               history->known[check->next_known].position < position)
            check->next_known++;
    } else {
        assert_int_equal(position, check->next);
    }
    assert_true(check->next_known < history->known_count); /* nothing invented */
    const struct known *known = &history->known[check->next_known];
    assert_int_equal(position, known->position);
    assert_int_equal(count, known->count);
    assert_int_equal(batch.len, known->len);
    fill(known, expected);
    assert_memory_equal(batch.ptr, expected, known->len);
    check->next = position + count;
    check->next_known++;
    return ok();
}

static struct err open_log(struct disk *disk, log_visit_fn *visit, void *ctx, struct log **out,
                           struct log_damage *damage)
{
    struct log_files_config config = { .disk = disk,
                                       .dir = "log",
                                       .file_bytes = FILE_BYTES,
                                       .on_broken = ignore_broken,
                                       .damage_out = damage };
    return log_open_files(&config, 0, visit, ctx, out);
}

static struct log *must_open_checked(const struct history *history, struct disk *disk,
                                     struct check *check)
{
    struct log *log = NULL;
    struct log_damage damage = { 0 };
    *check = (struct check){ .history = history };
    struct err err = open_log(disk, check_batch, check, &log, &damage);
    if (err.code)
        fail_msg("opening after a crash: %s (code %d), %s at %llu", err.what, (int)err.code,
                 damage.file, (unsigned long long)damage.offset);

    uint64_t durable = history->durable_count
                           ? history->known[history->durable_count - 1].position +
                                 history->known[history->durable_count - 1].count
                           : 1;
    uint64_t next = log_stats(log).next_position;
    assert_true(next >= durable);
    assert_true(next <= history->next_position);
    if (check->next) {
        assert_int_equal(check->next, next);
        assert_true(check->first <= history->kept);
    } else {
        /* Nothing there: all of it was trimmed, or nothing was ever acknowledged. */
        assert_true(history->kept >= durable);
    }
    return log;
}

/* Opens, checks, adds a batch, opens again. */
static void check_disk(const struct history *history, struct disk *disk)
{
    struct check check;
    struct log *log = must_open_checked(history, disk, &check);
    uint64_t next = log_stats(log).next_position;
    uint64_t position = 0;
    assert_int_equal(put(log, BYTES("goes on"), 3, &position).code, ERR_NONE);
    assert_int_equal(position, next);
    log_close(log);
    cuts++;

    struct log_stats stats;
    struct log_damage damage;
    assert_int_equal(log_check_files(disk, "log", &damage, &stats).code, ERR_NONE);
    assert_int_equal(stats.next_position, next + 3);
    assert_int_equal(stats.cut_bytes, 0);
}

/* The process dies, not the machine: what isn't synced can still be read. What an opening has shown
 * must survive the power cut that follows. */
static void check_kill(struct history *history, uint64_t seed)
{
    struct disk_sim *clone = NULL;
    struct disk_sim *after = NULL;
    struct check check;
    assert_int_equal(disk_sim_clone(history->sim, &clone).code, ERR_NONE);
    struct log *log = must_open_checked(history, disk_sim_disk(clone), &check);
    log_close(log);
    assert_int_equal(disk_sim_crash(clone, seed, &after).code, ERR_NONE);
    uint32_t durable_count = history->durable_count;
    if (check.next)
        history->durable_count = check.next_known;
    check_disk(history, disk_sim_disk(after));
    history->durable_count = durable_count;
    disk_sim_free(after);
    disk_sim_free(clone);
}

/* As check_disk, when the opening itself is cut, at each of its operations. */
static void check_cut_openings(const struct history *history, struct disk_sim *sim, uint64_t seed)
{
    for (uint64_t n = 1;; n++) {
        struct disk_sim *clone = NULL;
        struct disk_sim *after = NULL;
        struct check check = { .history = history };
        struct log *log = NULL;
        assert_int_equal(disk_sim_clone(sim, &clone).code, ERR_NONE);
        disk_sim_cut_after(clone, n);
        struct err err = open_log(disk_sim_disk(clone), check_batch, &check, &log, NULL);
        bool was_cut = disk_sim_is_cut(clone);
        if (!err.code)
            log_close(log);
        assert_true(was_cut || !err.code);
        if (was_cut) {
            assert_int_equal(disk_sim_crash(clone, seed + n, &after).code, ERR_NONE);
            check_disk(history, disk_sim_disk(after));
            disk_sim_free(after);
        }
        disk_sim_free(clone);
        if (!was_cut)
            return;
    }
}

/* --- the history ------------------------------------------------------------------------ */

static void history_open(struct history *history)
{
    struct check check = { .history = history };
    struct err err =
        open_log(disk_sim_disk(history->sim), check_batch, &check, &history->log, NULL);
    history->is_dead = err.code != ERR_NONE;
    if (history->is_dead)
        history->log = NULL;
}

/* Sends a group as one write: the thread is held in the `done` of a first batch while the others
 * gather. */
static void history_send(struct history *history, uint32_t entries, bool is_full)
{
    static uint8_t content[GROUP_MAX_ENTRIES + 1][BATCH_BYTES_MAX];
    struct sent sent[GROUP_MAX_ENTRIES + 1];
    struct known drawn[GROUP_MAX_ENTRIES + 1];
    uint32_t taken = 0;
    for (uint32_t i = 0; i < entries; i++) {
        uint64_t most = rng_below(&history->rng, 4) ? 60 : BATCH_BYTES_MAX;
        drawn[i] = (struct known){ .count = 1 + (uint32_t)rng_below(&history->rng, 4),
                                   .len = 1 + (uint32_t)rng_below(&history->rng, most),
                                   .seed = (uint8_t)rng_next(&history->rng) };
        fill(&drawn[i], content[i]);
        sent_init(&sent[i], bytes_of(content[i], drawn[i].len), drawn[i].count);
    }
    sent[0].is_held = true;
    for (; taken < entries; taken++) {
        if (log_submit(history->log, &sent[taken].entry).code)
            break;
        if (taken == 0)
            (void)sent_wait(&sent[0]);
    }
    sent_release(&sent[0]);
    for (uint32_t i = 0; i < taken; i++) {
        struct err err = sent_wait(&sent[i]);
        if (err.code == ERR_FULL) {
            assert_true(is_full);
            continue;
        }
        history->is_dead |= err.code != ERR_NONE;
        drawn[i].position = history->next_position;
        history->next_position += drawn[i].count;
        history->known[history->known_count++] = drawn[i];
        if (!err.code) {
            assert_int_equal(sent[i].entry.position, drawn[i].position);
            assert_int_equal(history->durable_count, history->known_count - 1);
            history->durable_count = history->known_count;
        }
    }
    history->is_dead |= taken < entries;
    for (uint32_t i = 0; i < entries; i++)
        sent_free(&sent[i]);
}

static void history_trim(struct history *history)
{
    if (history->durable_count == 0)
        return;
    uint32_t i = (uint32_t)rng_below(&history->rng, history->durable_count);
    uint64_t position = history->known[i].position;
    if (position > history->kept)
        history->kept = position;
    history->is_dead |= log_trim(history->log, position).code != ERR_NONE;
}

static void history_step(struct history *history)
{
    uint64_t what = rng_below(&history->rng, 10);
    uint32_t entries = 1 + (uint32_t)rng_below(&history->rng, GROUP_MAX_ENTRIES + 1);
    if (what < 6) {
        history_send(history, entries, false);
    } else if (what == 6) {
        disk_sim_set_capacity(history->sim, TIGHT_BYTES);
        history_send(history, entries, true);
        disk_sim_set_capacity(history->sim, DISK_SIM_CAPACITY);
    } else if (what < 9) {
        history_trim(history);
    } else {
        log_close(history->log);
        history_open(history);
    }
}

/* Runs the history until its disk dies at the n-th operation. False: it came to its end. */
static bool history_run(struct history *history, uint64_t seed, uint64_t n)
{
    *history = (struct history){ .next_position = 1, .kept = 1 };
    rng_init(&history->rng, seed);
    assert_int_equal(disk_sim_new(&history->sim).code, ERR_NONE);
    disk_sim_cut_after(history->sim, n);
    history_open(history);
    for (int step = 0; step < STEPS && !history->is_dead; step++)
        history_step(history);
    log_close(history->log);
    return disk_sim_is_cut(history->sim);
}

static void what_was_acknowledged_survives_a_cut_after_every_operation(void **state)
{
    static struct history history;
    (void)state;
    for (uint64_t seed = 1; seed <= HISTORIES; seed++) {
        bool was_cut = true;
        for (uint64_t n = 1; was_cut; n++) {
            was_cut = history_run(&history, seed, n);
            assert_true(was_cut || !history.is_dead);
            check_kill(&history, n % 4);
            for (uint64_t crash = 0; crash < CRASH_SEEDS; crash++) {
                struct disk_sim *after = NULL;
                assert_int_equal(
                    disk_sim_crash(history.sim, crash < 2 ? crash : seed * n + crash, &after).code,
                    ERR_NONE);
                if ((n + crash) % 7 == 0)
                    check_cut_openings(&history, after, seed);
                check_disk(&history, disk_sim_disk(after));
                disk_sim_free(after);
            }
            disk_sim_free(history.sim);
        }
    }
    printf("%llu cuts\n", (unsigned long long)cuts);
    assert_true(cuts >= 8000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_acknowledged_survives_a_cut_after_every_operation),
    };
    return cmocka_run_group_tests_name("log crash", tests, NULL, NULL);
}

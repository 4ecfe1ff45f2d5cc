/*
 * part_test.c - what a part's writer was given, its readers give back.
 */
#include "base/rng.h"
#include "store/ints.h"
#include "store/part.h"
#include "store/seq_clock.h"
#include "store/sticky.h"
#include "store/texts.h"

#include <stdio.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { TABLES = 3, EVENTS = 3000, MONTH = 660, MONTH_MS = INT32_MAX };

struct world {
    struct part_home home;
    struct part *part;
    uint32_t rows[EVENTS];
    uint32_t starts[EVENTS + 1];
    uint32_t codes[EVENTS * TABLES];
    uint32_t times[TABLES][EVENTS];
    uint64_t seqs[TABLES][EVENTS];
};

static struct world world;

static void must(struct err err)
{
    assert_int_equal(err.code, ERR_NONE);
}

/* A part of TABLES event types; every user has one event of each, at times[t][user]. */
static void write_part(struct world *w, uint32_t users)
{
    struct part_writer writer;
    struct part_head identity = { .number = 7, .shards = 1, .month = MONTH };
    uint8_t *image = NULL;
    uint64_t size = 0;
    part_writer_init(&writer, &identity, NULL, true, NULL);
    for (uint32_t i = 0; i <= users; i++)
        w->starts[i] = i;
    for (uint32_t i = 0; i < users; i++)
        w->rows[i] = i * 2;
    for (uint32_t t = 0; t < TABLES; t++) {
        struct part_rows rows = {
            .event = t * 5,
            .users = users,
            .events = users,
            .row = w->rows,
            .start = w->starts,
            .time = w->times[t],
            .seq = w->seqs[t],
        };
        part_writer_table(&writer, &rows);
    }
    for (uint32_t i = 0; i < users; i++)
        w->starts[i] = i * TABLES;
    w->starts[users] = users * TABLES;
    for (uint32_t i = 0; i < users * TABLES; i++)
        w->codes[i] = i % TABLES;
    part_writer_order(&writer, users, w->rows, w->starts, w->codes);
    must(part_writer_finish(&writer, &image, &size));
    part_writer_done(&writer);
    w->home = (struct part_home){ .dir = "part", .is_closing = true };
    must(part_of_image(&w->home, image, size, &w->part));
}

static void expect_seqs(struct world *w, uint32_t users)
{
    static uint64_t read[EVENTS];
    for (uint32_t t = 0; t < TABLES; t++) {
        const struct part_table *table = part_find_table(w->part, t * 5);
        assert_non_null(table);
        must(part_read_seqs(w->part, table, 0, users, w->times[t], read));
        assert_memory_equal(read, w->seqs[t], users * sizeof *read);
        for (uint32_t first = 0; first < users; first += 1 + users / 7) {
            uint32_t count = users - first < 5 ? users - first : 5;
            must(part_read_seqs(w->part, table, first, count, w->times[t] + first, read));
            assert_memory_equal(read, w->seqs[t] + first, count * sizeof *read);
        }
    }
}

static bool has_clock(const struct part *part)
{
    return part_find_section(part, NULL, SECTION_CLOCK, 0, VALUE_NULL) != UINT32_MAX;
}

static void forget(struct world *w)
{
    part_unref(w->part);
    w->part = NULL;
}

static uint64_t seq_near(uint32_t time, struct rng *rng)
{
    return 1000000 + time / 1000 + rng_below(rng, 40);
}

static void positions_that_follow_the_times_cost_a_byte_and_come_back(void **state)
{
    struct rng rng;
    (void)state;
    rng_init(&rng, 1);
    for (uint32_t t = 0; t < TABLES; t++)
        for (uint32_t i = 0; i < EVENTS; i++) {
            world.times[t][i] = (uint32_t)rng_below(&rng, MONTH_MS);
            world.seqs[t][i] = seq_near(world.times[t][i], &rng);
        }
    write_part(&world, EVENTS);
    assert_true(has_clock(world.part));
    const struct part_table *table = part_find_table(world.part, 5);
    uint32_t section = part_find_section(world.part, table, SECTION_SEQS, 0, VALUE_NULL);
    assert_true(world.part->head.sections[section].size < EVENTS * 3 / 2);
    expect_seqs(&world, EVENTS);
    forget(&world);
}

static void late_events_and_equal_times_keep_their_positions(void **state)
{
    struct rng rng;
    (void)state;
    rng_init(&rng, 2);
    for (uint32_t t = 0; t < TABLES; t++)
        for (uint32_t i = 0; i < EVENTS; i++) {
            world.times[t][i] = (uint32_t)rng_below(&rng, MONTH_MS) / 100000 * 100000;
            world.seqs[t][i] = rng_below(&rng, 20) ? seq_near(world.times[t][i], &rng)
                                                   : UINT64_C(1) << rng_below(&rng, 64);
        }
    write_part(&world, EVENTS);
    expect_seqs(&world, EVENTS);
    forget(&world);
}

static void positions_that_know_nothing_of_time_come_back(void **state)
{
    struct rng rng;
    (void)state;
    rng_init(&rng, 3);
    for (uint32_t t = 0; t < TABLES; t++)
        for (uint32_t i = 0; i < EVENTS; i++) {
            world.times[t][i] = (uint32_t)rng_below(&rng, MONTH_MS);
            world.seqs[t][i] = t == 1 ? rng_next(&rng) : i;
        }
    write_part(&world, EVENTS);
    expect_seqs(&world, EVENTS);
    forget(&world);
}

static void parts_of_a_few_events_come_back(void **state)
{
    struct rng rng;
    (void)state;
    rng_init(&rng, 4);
    for (uint32_t users = 1; users < 70; users++) {
        for (uint32_t t = 0; t < TABLES; t++)
            for (uint32_t i = 0; i < users; i++) {
                world.times[t][i] = users % 3 ? (uint32_t)rng_below(&rng, 5000) : 0;
                world.seqs[t][i] = users % 2 ? i : UINT64_MAX - rng_below(&rng, 9);
            }
        write_part(&world, users);
        expect_seqs(&world, users);
        forget(&world);
    }
}

static void a_clock_is_the_same_on_every_machine(void **state)
{
    uint64_t marks[] = { 100, 356, 340, UINT64_C(1) << 40 };
    struct seq_clock clock = { .shift = 4, .count = 4, .marks = marks };
    (void)state;
    assert_int_equal(seq_clock_guess(&clock, 0), 100);
    assert_int_equal(seq_clock_guess(&clock, 8), 228);
    assert_int_equal(seq_clock_guess(&clock, 15), 340);
    assert_int_equal(seq_clock_guess(&clock, 24), 356); /* backwards: it stands */
    assert_int_equal(seq_clock_guess(&clock, 40), 340); /* a leap: it stands */
}

static void a_damaged_clock_is_found_or_read_within_bounds(void **state)
{
    struct buf section;
    uint64_t marks[300];
    uint32_t times[100];
    uint64_t seqs[100] = { 0 };
    struct rng rng;
    struct seq_clock clock = { .shift = 10, .count = 300, .marks = marks };
    (void)state;
    rng_init(&rng, 5);
    for (uint32_t i = 0; i < 300; i++)
        marks[i] = i * 100 + rng_below(&rng, 100);
    for (uint32_t i = 0; i < 100; i++)
        times[i] = (uint32_t)rng_below(&rng, 299 << 10);
    buf_init(&section, 1 << 20);
    seq_clock_put(&clock, &section);
    must(seq_clock_add(buf_bytes(&section), times, 100, seqs));
    for (size_t cut = 0; cut < section.len; cut++)
        assert_int_equal(seq_clock_add(bytes_of(section.ptr, cut), times, 100, seqs).code,
                         ERR_CORRUPT);
    for (size_t i = 0; i < section.len; i++) {
        uint8_t was = section.ptr[i];
        section.ptr[i] = (uint8_t)(was ^ 1u << rng_below(&rng, 8));
        struct err err = seq_clock_add(buf_bytes(&section), times, 100, seqs);
        assert_true(err.code == ERR_NONE || err.code == ERR_CORRUPT);
        err = seq_clock_add(buf_bytes(&section), times, 3, seqs);
        assert_true(err.code == ERR_NONE || err.code == ERR_CORRUPT);
        section.ptr[i] = was;
    }
    times[50] = 299 << 10;
    assert_int_equal(seq_clock_add(buf_bytes(&section), times, 100, seqs).code, ERR_CORRUPT);
    assert_int_equal(seq_clock_add(buf_bytes(&section), times + 50, 1, seqs).code, ERR_CORRUPT);
    buf_done(&section);
}

/* --- sticky columns ----------------------------------------------------------- */

/* Users of 1 to 9 events, whose values are their own but for one in `rare`. */
static uint32_t make_users(struct rng *rng, uint32_t users, uint64_t rare, uint64_t *values,
                           uint32_t *start)
{
    uint32_t events = 0;
    for (uint32_t u = 0; u < users; u++) {
        uint32_t count = 1 + (uint32_t)rng_below(rng, 9);
        uint64_t own = rng_below(rng, 1000);
        start[u] = events;
        for (uint32_t i = 0; i < count; i++)
            values[events++] = rng_below(rng, rare) ? own : rng_below(rng, 1 << 20);
    }
    start[users] = events;
    return events;
}

static void expect_sticky(const struct sticky_table *table, struct bytes section)
{
    static uint64_t read[EVENTS];
    struct sticky sticky;
    unsigned width = table->kind == STICKY_CODES ? 4 : 8;
    uint32_t events = table->start[table->users];
    must(sticky_open(section, events, table->users, &sticky));
    must(sticky_read(&sticky, width, table->start, read));
    assert_memory_equal(read, table->values, (size_t)events * width);
    for (uint32_t u = 0; u < table->users; u++)
        for (uint32_t first = table->start[u]; first < table->start[u + 1]; first++) {
            uint32_t count = table->start[u + 1] - first;
            must(sticky_read_some(&sticky, width, u, first, count, read));
            assert_memory_equal(read, (const uint8_t *)table->values + (size_t)first * width,
                                (size_t)count * width);
        }
}

static void a_column_of_the_users_own_values_comes_back(void **state)
{
    static uint64_t values[EVENTS];
    static uint32_t codes[EVENTS];
    static double reals[EVENTS];
    static uint32_t start[EVENTS];
    struct rng rng;
    struct buf section;
    struct arena scratch;
    (void)state;
    rng_init(&rng, 6);
    buf_init(&section, 1 << 20);
    arena_init(&scratch, 1 << 20);
    for (uint32_t users = 1; users < 330; users += 1 + users / 9) {
        uint32_t events = make_users(&rng, users, 30, values, start);
        for (uint32_t i = 0; i < events; i++) {
            codes[i] = (uint32_t)values[i];
            reals[i] = (double)values[i] / 4;
        }
        struct sticky_table tables[] = {
            { STICKY_CODES, codes, start, users },
            { STICKY_INTEGERS, values, start, users },
            { STICKY_REALS, reals, start, users },
        };
        for (uint32_t k = 0; k < 3; k++) {
            buf_reset(&section);
            if (sticky_put(&section, &tables[k], &scratch))
                expect_sticky(&tables[k], buf_bytes(&section));
            else
                assert_int_equal(section.len, 0);
        }
        arena_reset(&scratch);
    }
    arena_done(&scratch);
    buf_done(&section);
}

static void a_column_that_changes_with_each_event_is_not_sticky(void **state)
{
    static uint64_t values[EVENTS];
    static uint32_t start[EVENTS];
    struct rng rng;
    struct buf section;
    struct arena scratch;
    (void)state;
    rng_init(&rng, 7);
    buf_init(&section, 1 << 20);
    arena_init(&scratch, 1 << 20);
    (void)make_users(&rng, 300, 1, values, start);
    struct sticky_table table = { STICKY_INTEGERS, values, start, 300 };
    assert_false(sticky_put(&section, &table, &scratch));
    assert_int_equal(section.len, 0);
    arena_done(&scratch);
    buf_done(&section);
}

static void a_damaged_sticky_column_is_found_or_read_within_bounds(void **state)
{
    static uint64_t values[EVENTS];
    static uint64_t read[EVENTS];
    static uint32_t start[EVENTS];
    struct rng rng;
    struct buf section;
    struct arena scratch;
    struct sticky sticky;
    (void)state;
    rng_init(&rng, 8);
    buf_init(&section, 1 << 20);
    arena_init(&scratch, 1 << 20);
    uint32_t events = make_users(&rng, 300, 30, values, start);
    struct sticky_table table = { STICKY_INTEGERS, values, start, 300 };
    assert_true(sticky_put(&section, &table, &scratch));
    for (size_t cut = 0; cut < section.len; cut++) {
        struct err err = sticky_open(bytes_of(section.ptr, cut), events, 300, &sticky);
        assert_int_equal(err.code, ERR_CORRUPT);
    }
    for (size_t i = 0; i < section.len; i++) {
        uint8_t was = section.ptr[i];
        section.ptr[i] = (uint8_t)(was ^ 1u << rng_below(&rng, 8));
        struct err err = sticky_open(buf_bytes(&section), events, 300, &sticky);
        if (!err.code)
            err = sticky_read(&sticky, 8, start, read);
        assert_true(err.code == ERR_NONE || err.code == ERR_CORRUPT);
        section.ptr[i] = was;
    }
    arena_done(&scratch);
    buf_done(&section);
}

/* --- texts ----------------------------------------------------------------------- */

enum { TEXTS = 4000, TEXT_MAX = 40, LONG_TEXT = 70000 };

/* Ascending, each once; the first is empty, the last longer than several chunks. */
static struct bytes *make_texts(struct arena *arena, uint32_t count, bool has_long)
{
    struct bytes *texts = arena_alloc(arena, count * sizeof *texts);
    assert_non_null(texts);
    texts[0] = bytes_of(NULL, 0);
    for (uint32_t i = 1; i < count; i++) {
        char text[TEXT_MAX];
        int len = snprintf(text, sizeof text, "https://shop.example/%06u/%u", i, i * 7919 % 1000);
        texts[i] = arena_copy(arena, bytes_of(text, (size_t)len));
    }
    if (has_long) {
        char *text = arena_alloc(arena, LONG_TEXT);
        memset(text, 'z', LONG_TEXT);
        texts[count - 1] = bytes_of(text, LONG_TEXT);
    }
    return texts;
}

static void expect_texts(struct bytes section, const struct bytes *texts, uint32_t count)
{
    struct texts open;
    const struct bytes *all = NULL;
    struct bytes one;
    struct arena arena;
    arena_init(&arena, 1 << 26);
    must(texts_open(section, &open));
    assert_int_equal(open.count, count);
    for (unsigned borrows = 0; borrows < 2; borrows++) {
        must(texts_read(&open, borrows, &arena, &all));
        for (uint32_t i = 0; i < count; i++)
            assert_true(bytes_equal(all[i], texts[i]));
    }
    for (uint32_t i = 0; i < count; i += 1 + i % 7) {
        must(texts_copy(&open, count - 1 - i, &arena, &one));
        assert_true(bytes_equal(one, texts[count - 1 - i]));
    }
    assert_int_equal(texts_copy(&open, count, &arena, &one).code, ERR_CORRUPT);
    arena_done(&arena);
}

static void dictionaries_come_back_plain_and_packed(void **state)
{
    struct arena arena;
    struct buf section;
    (void)state;
    arena_init(&arena, 1 << 24);
    buf_init(&section, 1 << 24);
    for (uint32_t count = 1; count <= TEXTS; count = count * 3 + 1)
        for (unsigned which = 0; which < 4; which++) {
            struct bytes *texts = make_texts(&arena, count, which & 1);
            buf_reset(&section);
            texts_put(&section, texts, count, which & 2);
            expect_texts(buf_bytes(&section), texts, count);
            arena_reset(&arena);
        }
    struct bytes *texts = make_texts(&arena, TEXTS, false);
    buf_reset(&section);
    texts_put(&section, texts, TEXTS, true);
    assert_true(section.len < TEXTS * 8);
    arena_done(&arena);
    buf_done(&section);
}

static void a_damaged_dictionary_is_found_or_read_within_bounds(void **state)
{
    struct arena arena;
    struct arena limit;
    struct buf section;
    struct rng rng;
    (void)state;
    rng_init(&rng, 9);
    arena_init(&arena, 1 << 24);
    arena_init(&limit, 1 << 20);
    buf_init(&section, 1 << 24);
    struct bytes *texts = make_texts(&arena, 900, false);
    texts_put(&section, texts, 900, true);
    assert_int_equal(section.ptr[0], 2);
    for (size_t i = 0; i < section.len * 2; i++) {
        struct texts open;
        struct bytes one;
        const struct bytes *all = NULL;
        size_t at = i % section.len;
        uint8_t was = section.ptr[at];
        size_t len = i < section.len ? section.len : at;
        section.ptr[at] = (uint8_t)(was ^ 1u << rng_below(&rng, 8));
        uint8_t *exact = malloc(len + 1); /* its own room, so that reading past it is seen */
        assert_non_null(exact);
        memcpy(exact, section.ptr, len);
        if (!texts_open(bytes_of(exact, len), &open).code) {
            struct err err = texts_read(&open, true, &limit, &all);
            (void)err;
            err = texts_copy(&open, rng_below(&rng, 900), &limit, &one);
            (void)err;
        }
        free(exact);
        arena_reset(&limit);
        section.ptr[at] = was;
    }
    arena_done(&arena);
    arena_done(&limit);
    buf_done(&section);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(positions_that_follow_the_times_cost_a_byte_and_come_back),
        cmocka_unit_test(late_events_and_equal_times_keep_their_positions),
        cmocka_unit_test(positions_that_know_nothing_of_time_come_back),
        cmocka_unit_test(parts_of_a_few_events_come_back),
        cmocka_unit_test(a_clock_is_the_same_on_every_machine),
        cmocka_unit_test(a_damaged_clock_is_found_or_read_within_bounds),
        cmocka_unit_test(a_column_of_the_users_own_values_comes_back),
        cmocka_unit_test(a_column_that_changes_with_each_event_is_not_sticky),
        cmocka_unit_test(a_damaged_sticky_column_is_found_or_read_within_bounds),
        cmocka_unit_test(dictionaries_come_back_plain_and_packed),
        cmocka_unit_test(a_damaged_dictionary_is_found_or_read_within_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

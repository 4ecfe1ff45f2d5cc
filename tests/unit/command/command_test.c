/*
 * command_test.c - what command.h promises.
 *
 * Batches are compared as text: one line a command, made from what the reader gives (command_dump.h).
 */
#include "command/command.h"

#include "command/format.h"
#include "command_dump.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { RECEIVED = 1000 };

struct fixture {
    struct command_writer *writer;
    struct arena arena;
    struct buf text;
};

static int setup(void **state)
{
    struct fixture *fx = calloc(1, sizeof *fx);
    assert_non_null(fx);
    assert_int_equal(command_writer_new(&fx->writer).code, ERR_NONE);
    command_writer_reset(fx->writer, RECEIVED);
    arena_init(&fx->arena, 64 << 20);
    buf_init(&fx->text, 1 << 20);
    *state = fx;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fx = *state;
    command_writer_free(fx->writer);
    arena_done(&fx->arena);
    buf_done(&fx->text);
    free(fx);
    return 0;
}

/* The batch's commands as text; the error that stopped it. */
static struct err dump(struct fixture *fx, struct bytes batch)
{
    return dump_batch(batch, &fx->arena, &fx->text);
}

static struct bytes must_finish(struct fixture *fx)
{
    struct bytes batch = { 0 };
    assert_int_equal(command_writer_finish(fx->writer, &batch).code, ERR_NONE);
    return batch;
}

static void must_read(struct fixture *fx, const char *expected)
{
    assert_int_equal(dump(fx, must_finish(fx)).code, ERR_NONE);
    assert_string_equal((const char *)fx->text.ptr, expected);
}

static void property(struct fixture *fx, const char *name, struct value value)
{
    command_property(fx->writer, bytes_from(name), PROPERTY_SET, &value);
}

static void event(struct fixture *fx, const char *identity, const char *name)
{
    command_begin(fx->writer, COMMAND_EVENT, RECEIVED);
    command_ref(fx->writer, REF_IDENTITY, bytes_from(identity));
    command_name(fx->writer, bytes_from(name), false);
    command_end(fx->writer);
}

static void values_of_every_type_come_back(void **state)
{
    struct fixture *fx = *state;
    struct bytes items[] = { BYTES("x"), BYTES(""), BYTES("x") };
    struct value list = { .type = VALUE_LIST, .count = 3, .items = items };
    struct value none = { .type = VALUE_LIST, .count = 0, .items = NULL };

    command_begin(fx->writer, COMMAND_EVENT, 5);
    command_name(fx->writer, BYTES("E"), false);
    property(fx, "n", value_null());
    property(fx, "t", value_bool(true));
    property(fx, "f", value_bool(false));
    property(fx, "max", value_int(INT64_MAX));
    property(fx, "min", value_int(INT64_MIN));
    property(fx, "r", value_real(0.1));
    property(fx, "s", value_string(BYTES("text")));
    property(fx, "e", value_string(BYTES("")));
    property(fx, "d", value_time(-1));
    property(fx, "l", list);
    property(fx, "0", none);
    command_end(fx->writer);

    must_read(fx, "0 kind=1 t=5 E n=null t=true f=false max=9223372036854775807 "
                  "min=-9223372036854775808 r=0.1r s='text' e='' d=@-1 "
                  "l=['x','','x'] 0=[]\n");
}

static void commands_of_every_kind_come_back_in_order(void **state)
{
    struct fixture *fx = *state;
    struct value one = value_int(1);
    struct command_writer *w = fx->writer;

    event(fx, "u1", "Sign Up");
    command_begin(w, COMMAND_PROFILE, RECEIVED + 1);
    command_ref(w, REF_EMAIL, BYTES("a@x.io"));
    command_property(w, BYTES("a"), PROPERTY_ADD, &one);
    command_property(w, BYTES("b"), PROPERTY_REMOVE, &one);
    command_property(w, BYTES("c"), PROPERTY_INCR, &one);
    command_property(w, BYTES("d"), PROPERTY_DELETE, &one);
    command_end(w);
    command_begin(w, COMMAND_IDENTIFY, RECEIVED);
    command_ref(w, REF_DEVICE, BYTES("-d"));
    command_ref(w, REF_IDENTITY, BYTES("u1"));
    command_end(w);
    command_begin(w, COMMAND_TOKEN, RECEIVED);
    command_ref(w, REF_DEVICE, BYTES("-d"));
    command_end(w);
    command_begin(w, COMMAND_MERGE, INT64_MIN);
    command_ref(w, REF_USER, BYTES("7"));
    command_ref(w, REF_PHONE, BYTES("+91"));
    command_end(w);
    command_begin(w, COMMAND_ERASE, INT64_MAX);
    command_ref(w, REF_USER, BYTES("7"));
    command_end(w);
    command_begin(w, COMMAND_SETTING, 0);
    command_name(w, BYTES("zone"), true);
    command_event_id(w, BYTES("x9"));
    command_end(w);

    assert_int_equal(command_writer_count(w), 7);
    must_read(fx, "0 kind=1 t=1000 1:u1 Sign Up\n"
                  "1 kind=2 t=1001 3:a@x.io a+=1 b-=1 cincr1 ddelete1\n"
                  "2 kind=3 t=1000 2:-d 1:u1\n"
                  "3 kind=4 t=1000 2:-d\n"
                  "4 kind=5 t=-9223372036854775808 5:7 4:+91\n"
                  "5 kind=6 t=9223372036854775807 5:7\n"
                  "6 kind=7 t=0 zone(folded) id:x9\n");
}

static void items_keep_their_own_properties(void **state)
{
    struct fixture *fx = *state;
    command_begin(fx->writer, COMMAND_EVENT, 0);
    command_name(fx->writer, BYTES("Charged"), true);
    property(fx, "Amount", value_int(300));
    for (int i = 0; i < 40; i++) {
        command_item(fx->writer);
        if (i == 0 || i == 39)
            property(fx, "Quantity", value_int(i));
    }
    command_end(fx->writer);
    event(fx, "u", "Next");

    assert_int_equal(dump(fx, must_finish(fx)).code, ERR_NONE);
    const char *text = (const char *)fx->text.ptr;
    assert_non_null(strstr(text, "0 kind=1 t=0 Charged(folded) Amount=300 { Quantity=0 } { } { }"));
    assert_non_null(strstr(text, "{ } { Quantity=39 }\n1 kind=1 t=1000 1:u Next\n"));
}

static void property_given_twice_is_told_and_items_have_names_of_their_own(void **state)
{
    struct fixture *fx = *state;
    for (int i = 0; i < 2; i++) {
        command_begin(fx->writer, COMMAND_EVENT, 0);
        command_name(fx->writer, BYTES("p"), false);
        property(fx, "p", value_int(1));
        property(fx, "q", value_string(BYTES("r")));
        property(fx, "r", value_int(1));
        command_item(fx->writer);
        property(fx, "p", value_int(1));
        command_item(fx->writer);
        property(fx, "p", value_int(1));
        assert_false(command_has_twins(fx->writer));
        property(fx, "p", value_int(2));
        assert_true(command_has_twins(fx->writer));
        command_abandon(fx->writer);
    }
}

static void abandoned_command_leaves_no_trace(void **state)
{
    struct fixture *fx = *state;
    event(fx, "u1", "A");
    event(fx, "u2", "B");
    struct bytes batch = must_finish(fx);
    uint8_t *kept = malloc(batch.len);
    assert_non_null(kept);
    memcpy(kept, batch.ptr, batch.len);

    command_writer_reset(fx->writer, RECEIVED);
    event(fx, "u1", "A");
    command_begin(fx->writer, COMMAND_EVENT, 0);
    command_ref(fx->writer, REF_IDENTITY, BYTES("u1"));
    command_item(fx->writer);
    for (int i = 0; i < 1000; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "p%d", i);
        property(fx, name, value_string(bytes_from(name)));
    }
    command_abandon(fx->writer);
    event(fx, "u2", "B");
    struct bytes again = must_finish(fx);
    assert_int_equal(again.len, batch.len);
    assert_memory_equal(again.ptr, kept, batch.len);
    free(kept);
}

static void string_is_stored_once_and_numbered_by_first_use(void **state)
{
    struct fixture *fx = *state;
    for (int i = 0; i < 20000; i++) {
        char identity[16];
        (void)snprintf(identity, sizeof identity, "user%d", i % 5000);
        event(fx, identity, "E");
    }
    struct bytes batch = must_finish(fx);
    struct command_reader *reader = NULL;
    struct command command;
    bool has = false;
    assert_int_equal(command_reader_open(batch, &fx->arena, &reader).code, ERR_NONE);
    assert_int_equal(command_reader_strings(reader), 5001);
    assert_int_equal(command_reader_count(reader), 20000);
    assert_int_equal(command_reader_received_ms(reader), RECEIVED);
    for (uint32_t i = 0; i < 20000; i++) {
        char identity[16];
        (void)snprintf(identity, sizeof identity, "user%u", i % 5000);
        uint32_t number = i % 5000;
        assert_int_equal(command_next(reader, &command, &has).code, ERR_NONE);
        assert_true(has && bytes_equal(command.refs[0].text, bytes_from(identity)));
        assert_int_equal(command.refs[0].text_index, number ? number + 1 : 0);
        assert_int_equal(command.name_index, 1);
    }
    assert_int_equal(command_next(reader, &command, &has).code, ERR_NONE);
    assert_false(has);
}

static void reset_writer_makes_the_same_bytes_again(void **state)
{
    struct fixture *fx = *state;
    uint8_t first[256];
    size_t first_len = 0;
    for (int round = 0; round < 3; round++) {
        command_writer_reset(fx->writer, RECEIVED);
        for (int i = 0; i < 3000 * (round % 2); i++)
            event(fx, "someone", i % 2 ? "odd" : "even");
        command_writer_reset(fx->writer, RECEIVED);
        event(fx, "u", "E");
        struct bytes batch = must_finish(fx);
        assert_true(batch.len <= sizeof first);
        if (round == 0) {
            memcpy(first, batch.ptr, batch.len);
            first_len = batch.len;
        }
        assert_int_equal(batch.len, first_len);
        assert_memory_equal(batch.ptr, first, first_len);
    }
}

static void batch_without_commands_is_refused(void **state)
{
    struct fixture *fx = *state;
    struct bytes batch;
    assert_int_equal(command_writer_finish(fx->writer, &batch).code, ERR_INVALID);
}

static void passing_a_limit_shows_at_finish_and_ends_with_reset(void **state)
{
    struct fixture *fx = *state;
    struct bytes batch;
    command_begin(fx->writer, COMMAND_PROFILE, 0);
    for (int i = 0; i <= COMMAND_PROPERTIES_MAX; i++)
        property(fx, "p", value_null());
    command_end(fx->writer);
    assert_int_equal(command_writer_finish(fx->writer, &batch).code, ERR_LIMIT);

    static uint8_t large[20 << 20];
    command_writer_reset(fx->writer, 0);
    for (int i = 0; i < 4; i++) {
        large[0] = (uint8_t)i;
        command_begin(fx->writer, COMMAND_PROFILE, 0);
        property(fx, "p", value_string(bytes_of(large, sizeof large)));
        command_end(fx->writer);
    }
    assert_int_equal(command_writer_finish(fx->writer, &batch).code, ERR_LIMIT);

    command_writer_reset(fx->writer, RECEIVED);
    event(fx, "u", "E");
    must_read(fx, "0 kind=1 t=1000 1:u E\n");
}

/* Logs written by every earlier release have to be read. If this test fails, the version has to
 * change as well. */
static void format_is_these_bytes(void **state)
{
    static const uint8_t expected[] = {
        0x6b, 0x63, 0x62, 0x01,                   /* magic, version */
        1,    0,    0,    0,                      /* commands */
        0xe8, 0x03, 0,    0,    0,    0,    0, 0, /* received */
        4,    0,    0,    0,                      /* strings */
        4,    0,    0,    0,                      /* bytes of lengths, text, commands */
        5,    0,    0,    0,                      /* */
        33,   0,    0,    0,                      /* */
        4,    0,    0,    0,                      /* most properties, items, list items */
        1,    0,    0,    0,                      /* */
        2,    0,    0,    0,                      /* */
        2,    1,    1,    1,                      /* lengths */
        'u',  '1',  'E',  'i',  'p',              /* text */
        1,    0x0f, 4,    1,    1,    0,    1, 2, /* event, flags, +2 ms, u1, E, id i */
        3,    3,    0x02, 5,                      /* three properties: p = -3 */
        3,    0x03, 0,    0,    0,    0,    0, 0, 0xf8, 0x3f, /* p = 1.5 */
        3,    0x16, 2,    0,    1,                            /* p $add [u1, E] */
        1,    1,    3,    0x05, 0xd0, 0x0f,                   /* one item: p = time 1000 */
    };
    struct fixture *fx = *state;
    struct bytes items[] = { BYTES("u1"), BYTES("E") };
    struct value list = { .type = VALUE_LIST, .count = 2, .items = items };

    command_begin(fx->writer, COMMAND_EVENT, RECEIVED + 2);
    command_ref(fx->writer, REF_IDENTITY, BYTES("u1"));
    command_name(fx->writer, BYTES("E"), true);
    command_event_id(fx->writer, BYTES("i"));
    property(fx, "p", value_int(-3));
    property(fx, "p", value_real(1.5));
    command_property(fx->writer, BYTES("p"), PROPERTY_ADD, &list);
    command_item(fx->writer);
    property(fx, "p", value_time(1000));
    command_end(fx->writer);
    struct bytes batch = must_finish(fx);

    assert_int_equal(batch.len, sizeof expected);
    assert_memory_equal(batch.ptr, expected, sizeof expected);
}

/* Each byte of a batch set to each of some values, and each shorter length: an answer without
 * leaving the batch (the sanitizers watch), and cut batches are always told. */
static void damage_is_an_error_and_never_a_crash(void **state)
{
    static const uint8_t flips[] = { 0x01, 0x02, 0x10, 0x40, 0x80, 0xff };
    struct fixture *fx = *state;
    struct bytes items[] = { BYTES("a"), BYTES("b") };
    struct value list = { .type = VALUE_LIST, .count = 2, .items = items };
    command_begin(fx->writer, COMMAND_EVENT, 1);
    command_ref(fx->writer, REF_IDENTITY, BYTES("u1"));
    command_name(fx->writer, BYTES("E"), true);
    property(fx, "r", value_real(1.5));
    property(fx, "l", list);
    command_item(fx->writer);
    property(fx, "b", value_bool(true));
    command_end(fx->writer);
    struct bytes batch = must_finish(fx);

    for (size_t len = 0; len < batch.len; len++) {
        uint8_t *cut = malloc(len ? len : 1); /* exact, so that the sanitizer sees one byte more */
        assert_non_null(cut);
        memcpy(cut, batch.ptr, len);
        assert_int_equal(dump(fx, bytes_of(cut, len)).code, ERR_CORRUPT);
        free(cut);
    }
    uint8_t *copy = malloc(batch.len);
    assert_non_null(copy);
    for (size_t at = 0; at < batch.len; at++) {
        for (size_t f = 0; f < sizeof flips; f++) {
            memcpy(copy, batch.ptr, batch.len);
            copy[at] ^= flips[f];
            struct err err = dump(fx, bytes_of(copy, batch.len));
            assert_true(err.code == ERR_NONE || err.code == ERR_CORRUPT);
        }
    }
    free(copy);
}

static void reader_at_its_arena_limit_says_no_memory(void **state)
{
    struct fixture *fx = *state;
    struct command_reader *reader = NULL;
    struct arena small;
    for (int i = 0; i < 1000; i++) {
        char identity[16];
        (void)snprintf(identity, sizeof identity, "user%d", i);
        event(fx, identity, "E");
    }
    arena_init(&small, 4096);
    assert_int_equal(command_reader_open(must_finish(fx), &small, &reader).code, ERR_NOMEM);
    arena_done(&small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(values_of_every_type_come_back, setup, teardown),
        cmocka_unit_test_setup_teardown(commands_of_every_kind_come_back_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(items_keep_their_own_properties, setup, teardown),
        cmocka_unit_test_setup_teardown(
            property_given_twice_is_told_and_items_have_names_of_their_own, setup, teardown),
        cmocka_unit_test_setup_teardown(abandoned_command_leaves_no_trace, setup, teardown),
        cmocka_unit_test_setup_teardown(string_is_stored_once_and_numbered_by_first_use, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(reset_writer_makes_the_same_bytes_again, setup, teardown),
        cmocka_unit_test_setup_teardown(batch_without_commands_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(passing_a_limit_shows_at_finish_and_ends_with_reset, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(format_is_these_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(damage_is_an_error_and_never_a_crash, setup, teardown),
        cmocka_unit_test_setup_teardown(reader_at_its_arena_limit_says_no_memory, setup, teardown),
    };
    return cmocka_run_group_tests_name("command", tests, NULL, NULL);
}

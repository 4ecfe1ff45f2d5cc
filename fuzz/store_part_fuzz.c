/*
 * store_part_fuzz.c - reading a part of any bytes at all.
 *
 * Whatever a part holds, reading it ends with an error or with arrays that are safe to index with
 * (the sanitizers watch). Random bytes hardly ever make a header, so the input is used twice: as a
 * part, and as changes to a whole one whose header is made to check again; sections of parts in memory
 * aren't verified, so the changes reach what decodes them.
 */
#include "store/merge.h"
#include "store/slice.h"
#include "store/store_internal.h"
#include "store/tail.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { USERS = 12, EVENTS = 300 };
#define START INT64_C(1735689600000)

static struct part_home home = { .dir = "fuzz", .is_closing = true };
/* Parts that read well: as the tail makes them, and as they are at rest. */
static uint8_t *whole[2];
static size_t whole_size[2];

static uint64_t sink; /* what was read, so that it's read */

static void must(int holds)
{
    if (!holds)
        abort();
}

static void append(struct tail *tail, uint32_t i)
{
    struct bytes items[2] = { BYTES("one"), BYTES("two") };
    static const char city[] = "Thiruvananthapuram, Kerala, India, in the south-west";
    struct store_property properties[] = {
        { 0, value_int(i % USERS * 1000 + (i % 50 == 0)) },
        { 1, value_string(bytes_of(city, 20 + i % 30)) },
        { 2, value_real(i / 4.0) },
        { 3, { .type = VALUE_LIST, .count = i % 3, .items = items } },
        { 4, value_bool(i % 2) },
    };
    struct store_event event = {
        .event = i % 3,
        .time_ms = START + (i * 7919 % 1000) * 1000,
        .seq = i + 1,
        .properties = properties,
        .property_count = 1 + i % 5,
    };
    must(!tail_append(tail, i % USERS, i % 7, &event, true).code);
}

static void keep(unsigned which, const struct part *part)
{
    whole_size[which] = part->size;
    whole[which] = malloc(part->size);
    must(whole[which] != NULL);
    memcpy(whole[which], part->image, part->size);
}

static void keep_at_rest(struct part *part)
{
    struct slice_source source = { .part = part };
    struct part *small = NULL;
    struct merge_job job = {
        .sources = &source,
        .count = 1,
        .number = 99,
        .shards = 1,
        .month = part->month,
        .is_small = true,
    };
    must(!merge_to_memory(&job, &home, &small).code && small != NULL);
    keep(1, small);
    part_unref(small);
}

static void make_whole(void)
{
    struct tail *tail = NULL;
    struct part **parts = NULL;
    struct arena arena;
    uint32_t count = 0;
    _Atomic uint64_t next = 1;
    arena_init(&arena, 1 << 24);
    must(!cache_new(1 << 20, &home.cache).code);
    must(!tail_new(&tail).code);
    for (uint32_t i = 0; i < EVENTS; i++)
        append(tail, i);
    must(!tail_seal(tail, &home, 0, 1, &next, &arena, &parts, &count).code && count == 1);
    keep(0, parts[0]);
    keep_at_rest(parts[0]);
    part_unref(parts[0]);
    tail_free(tail);
    arena_done(&arena);
}

static bool see(void *ctx, const struct store_user_event *event)
{
    uint64_t *sum = ctx;
    for (uint32_t i = 0; i < event->property_count; i++)
        if (event->properties[i].value.type == VALUE_STRING)
            *sum += event->properties[i].value.string.len;
    return true;
}

static uint64_t read_column(struct store_slice *slice, const struct slice_column_name *name)
{
    struct store_column column;
    bool has = false;
    uint64_t sum = 0;
    if (slice_column(slice, name->property, name->type, &column, &has).code || !has)
        return 0;
    for (uint32_t i = 0; i < slice->events; i++) {
        if (name->type == VALUE_STRING)
            sum += column.texts[column.codes[i]].len;
        else if (name->type == VALUE_LIST)
            sum += column.list_start[column.codes[i] + 1];
        else
            sum += (uint64_t)column.integers[i];
    }
    return sum;
}

static uint64_t read_table(struct part *part, uint32_t event, struct arena *arena)
{
    struct slice_source source = { .part = part };
    struct read_counters counters = { 0 };
    struct store_slice slice;
    struct slice_column_name *names = NULL;
    const uint32_t *origins = NULL;
    uint32_t count = 0;
    uint64_t sum = 0;
    if (slice_build(&source, 1, NULL, event, arena, &counters, &slice).code)
        return 0;
    must(slice.start[slice.users] == slice.events);
    if (!slice_times(&slice).code && !slice_seqs(&slice).code)
        sum += slice.time[slice.events - 1] + slice.seq[0];
    if (!slice_origins(&slice, 1, 0, &origins).code && origins)
        sum += origins[slice.events - 1];
    if (slice_columns(&slice, &names, &count).code)
        return sum;
    for (uint32_t i = 0; i < count; i++)
        sum += read_column(&slice, &names[i]);
    return sum;
}

static void read_users(struct part *part, const struct arena *limit)
{
    struct month_view *month = NULL;
    struct shard_view *view = NULL;
    struct read_counters counters = { 0 };
    uint64_t sum = 0;
    must(!month_view_new(part->month, part, NULL, NULL, NULL, 0, &month).code);
    must(!shard_view_new(USERS, NULL, &month, 1, &view).code);
    for (uint32_t row = 0; row < USERS; row += 5) {
        struct user_range range = {
            .shards = 1, .row = row, .from_ms = TIME_MS_MIN, .to_ms = TIME_MS_MAX
        };
        struct err err = user_visit(view, &range, &counters, limit, see, &sum);
        (void)err;
    }
    shard_view_unref(view);
    month_view_unref(month);
}

/* Takes the image. */
static void read_part(uint8_t *image, size_t size)
{
    struct part *part = NULL;
    struct arena arena;
    if (part_of_image(&home, image, size, &part).code)
        return;
    arena_init(&arena, 1 << 24);
    uint64_t sum = 0;
    for (uint32_t t = 0; t < part->head.table_count; t++)
        sum += read_table(part, part->head.tables[t].event, &arena);
    sink += sum;
    arena_done(&arena);
    arena_init(&arena, 1 << 24);
    bool has_month = part->month > civil_month_of_ms(TIME_MS_MIN) &&
                     part->month < civil_month_of_ms(TIME_MS_MAX);
    if (has_month)
        read_users(part, &arena);
    arena_done(&arena);
    part_unref(part);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!whole[0])
        make_whole();
    uint8_t *image = malloc(size + 1);
    must(image != NULL);
    if (size > 0)
        memcpy(image, data, size);
    read_part(image, size);

    /* Three bytes each: where, and what is put there. */
    for (unsigned which = 0; which < 2; which++) {
        image = malloc(whole_size[which]);
        must(image != NULL);
        memcpy(image, whole[which], whole_size[which]);
        for (size_t i = 0; i + 3 <= size && i < 12; i += 3)
            image[(data[i] | (size_t)data[i + 1] << 8) % whole_size[which]] = data[i + 2];
        store_le64(image + PART_HEADER_SIZE - 8,
                   part_header_sum(bytes_of(image, PART_HEADER_SIZE)));
        read_part(image, whole_size[which]);
    }
    return 0;
}

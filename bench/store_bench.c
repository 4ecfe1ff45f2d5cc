/*
 * store_bench.c - the store alone: appending, sealing, checkpoints, compaction, and reading.
 *
 *     store_bench [EVENTS [USERS [FOLDER]]]      10000000 400000, in a simulated disk
 */
#include "base/bits.h"
#include "bench/bench.h"
#include "store/store_internal.h"
#include "sys/clock.h"
#include "sys/disk_sim.h"
#include "sys/sys.h"

#include <stdio.h>
#include <stdlib.h>

enum { DAYS = 90, BATCH = 1000, CITIES = 300, PRODUCTS = 100001 };

enum property { PLATFORM, CITY, PRODUCT, CATEGORY, PRICE, QUANTITY };

static void must(struct err err)
{
    if (err.code) {
        (void)fprintf(stderr, "%s (%d, %d)\n", err.what, (int)err.code, err.os);
        exit(1);
    }
}

static double now_s(void)
{
    return (double)sys_cpu_process_ns() * 1e-9;
}

static char texts[PRODUCTS + 500][24];

static struct bytes text(enum property kind, uint32_t number)
{
    static const char *const names[] = { "platform-", "City ", "Product ", "Category " };
    static const uint32_t offsets[] = { 0, 10, 400, 20 + CITIES };
    char *to = texts[offsets[kind] + number];
    if (!to[0])
        (void)snprintf(to, sizeof texts[0], "%s%u", names[kind], number);
    return bytes_from(to);
}

struct row {
    struct store_event event;
    struct store_property properties[6];
};

static void convert(const struct bench_event *from, uint64_t seq, struct row *to)
{
    struct store_property *p = to->properties;
    *p++ = (struct store_property){ PLATFORM, value_string(text(PLATFORM, from->platform)) };
    *p++ = (struct store_property){ CITY, value_string(text(CITY, from->city)) };
    if (from->product)
        *p++ = (struct store_property){ PRODUCT, value_string(text(PRODUCT, from->product)) };
    if (from->category)
        *p++ = (struct store_property){ CATEGORY, value_string(text(CATEGORY, from->category)) };
    if (from->price)
        *p++ = (struct store_property){ PRICE, value_real(from->price / 100.0) };
    if (from->quantity)
        *p++ = (struct store_property){ QUANTITY, value_int(from->quantity) };
    to->event = (struct store_event){
        .user = from->user,
        .event = from->event,
        .time_ms = from->time_ms,
        .seq = seq,
        .properties = to->properties,
        .property_count = (uint32_t)(p - to->properties),
    };
}

static double append_s;
static double checkpoint_s;
static double maintain_s;

static void checkpoint(struct store *store, uint64_t position, bool settles)
{
    double start = now_s();
    must(store->ops->checkpoint_begin(store, position));
    must(store->ops->checkpoint_write(store, BYTES("")));
    checkpoint_s += now_s() - start;
    start = now_s();
    bool did_work = true;
    while (did_work) {
        if (!settles)
            files_of(store)->appended++; /* as if the writer went on */
        must(store->ops->maintain(store, &did_work));
    }
    maintain_s += now_s() - start;
}

struct loading {
    struct store *store;
    struct row rows[BATCH];
    struct store_event batch[BATCH];
    size_t count;
    uint64_t seq;
};

static void append(struct loading *loading)
{
    double start = now_s();
    must(loading->store->ops->append(loading->store, loading->batch, loading->count));
    append_s += now_s() - start;
    loading->count = 0;
    if (loading->store->ops->wants_flush(loading->store))
        checkpoint(loading->store, loading->seq + 1, false);
}

static struct err load_event(void *ctx, const struct bench_event *event)
{
    struct loading *loading = ctx;
    convert(event, ++loading->seq, &loading->rows[loading->count]);
    loading->batch[loading->count] = loading->rows[loading->count].event;
    if (++loading->count == BATCH)
        append(loading);
    return ok();
}

static uint64_t load(struct store *store, uint64_t events, uint32_t users)
{
    static struct loading loading;
    loading.store = store;
    must(bench_generate(events, users, DAYS, load_event, &loading));
    append(&loading);
    return loading.seq;
}

/* --- sizes ---------------------------------------------------------------------------- */

static void print_sizes(struct store *base, uint64_t events)
{
    static const char *const names[] = { "",         "directory", "directory", "order",   "runs",
                                         "runs",     "times",     "seqs",      "origins", "days",
                                         "presence", "values",    "texts",     "lists" };
    struct files_store *store = files_of(base);
    uint64_t sizes[SECTION_KINDS] = { 0 };
    uint64_t values[8] = { 0 };
    for (uint32_t s = 0; s < store->shards; s++) {
        const struct shard_view *view = store->shard[s].view;
        for (uint32_t m = 0; m < view->month_count; m++) {
            struct part *part = view->months[m]->base;
            if (!part)
                continue;
            must(part_load(part));
            for (uint32_t i = 0; i < part->head.section_count; i++) {
                const struct part_section *section = &part->head.sections[i];
                sizes[section->kind] += section->size;
                if (section->kind == SECTION_VALUES)
                    values[section->property & 7] += section->size;
            }
        }
    }
    double total = 0;
    for (int kind = 1; kind < SECTION_KINDS; kind++) {
        total += (double)sizes[kind];
        (void)printf("    %-10s %6.3f bytes an event\n", names[kind],
                     (double)sizes[kind] / (double)events);
    }
    for (int p = 0; p < 6; p++)
        (void)printf("    property %d %6.3f\n", p, (double)values[p] / (double)events);
    (void)printf("    all        %6.3f\n", total / (double)events);
}

/* --- reading ------------------------------------------------------------------------------ */

static struct arena arena;

typedef uint64_t read_fn(struct store_snapshot *snapshot, uint32_t shard);

static uint64_t exact_users(struct store_snapshot *snapshot, uint32_t shard)
{
    const struct store_ops *ops = snapshot->ops;
    const int32_t *months = NULL;
    uint32_t count = 0;
    size_t words = bits_words(ops->shard_rows(snapshot, shard));
    uint64_t *seen = arena_calloc(&arena, words, 8);
    must(ops->months(snapshot, shard, 4, TIME_MS_MIN, TIME_MS_MAX, &arena, &months, &count));
    for (uint32_t m = 0; m < count; m++) {
        struct store_slice slice;
        must(ops->slice_open(snapshot, shard, months[m], 4, &arena, &slice));
        for (uint32_t u = 0; u < slice.users; u++)
            bits_add(seen, slice.row[u]);
    }
    return bits_count(seen, words);
}

static uint64_t sum_times(struct store_snapshot *snapshot, uint32_t shard)
{
    static const uint32_t steps[] = { 4, 6, 10 };
    const struct store_ops *ops = snapshot->ops;
    uint64_t sum = 0;
    for (int s = 0; s < 3; s++) {
        const int32_t *months = NULL;
        uint32_t count = 0;
        must(ops->months(snapshot, shard, steps[s], TIME_MS_MIN, TIME_MS_MAX, &arena, &months,
                         &count));
        for (uint32_t m = 0; m < count; m++) {
            struct store_slice slice;
            must(ops->slice_open(snapshot, shard, months[m], steps[s], &arena, &slice));
            must(ops->slice_times(&slice));
            for (uint32_t i = 0; i < slice.events; i++)
                sum += slice.time[i];
        }
    }
    return sum;
}

static uint64_t sum_column(struct store_snapshot *snapshot, uint32_t shard)
{
    const struct store_ops *ops = snapshot->ops;
    const int32_t *months = NULL;
    uint32_t count = 0;
    double sum = 0;
    must(ops->months(snapshot, shard, 10, TIME_MS_MIN, TIME_MS_MAX, &arena, &months, &count));
    for (uint32_t m = 0; m < count; m++) {
        struct store_slice slice;
        struct store_column price;
        struct store_column category;
        bool has = false;
        must(ops->slice_open(snapshot, shard, months[m], 10, &arena, &slice));
        must(ops->slice_column(&slice, PRICE, VALUE_REAL, &price, &has));
        must(ops->slice_column(&slice, CATEGORY, VALUE_STRING, &category, &has));
        for (uint32_t i = 0; i < slice.events && has; i++)
            sum += category.codes[i] % 2 ? price.reals[i] : 0;
    }
    return (uint64_t)sum;
}

static bool count_event(void *ctx, const struct store_user_event *event)
{
    *(uint64_t *)ctx += 1 + event->property_count;
    return true;
}

static uint64_t timelines(struct store_snapshot *snapshot, uint32_t shard)
{
    uint64_t seen = 0;
    for (uint32_t i = 0; i < 125; i++)
        must(snapshot->ops->user_events(snapshot, i * 8 * 37 + shard, TIME_MS_MIN, TIME_MS_MAX,
                                        true, &arena, count_event, &seen));
    return seen;
}

static void measure(struct store *store, const char *name, read_fn *read)
{
    double best = 1e9;
    uint64_t answer = 0;
    for (int run = 0; run < 5; run++) {
        struct store_snapshot *snapshot = NULL;
        must(store->ops->snapshot(store, &snapshot));
        double start = now_s();
        answer = 0;
        for (uint32_t s = 0; s < snapshot->ops->shards(snapshot); s++) {
            answer += read(snapshot, s);
            arena_reset(&arena);
        }
        double took = now_s() - start;
        best = took < best ? took : best;
        snapshot->ops->snapshot_free(snapshot);
    }
    (void)printf("%-28s %8.3f ms   (%llu)\n", name, best * 1e3, (unsigned long long)answer);
}

static void measure_all(struct store *store, const char *state)
{
    struct store_stats stats = store->ops->stats(store);
    (void)printf("%s: %u parts, %.1f MB in files, %.1f MB in memory\n", state, stats.parts,
                 (double)stats.disk_bytes / 1e6, (double)stats.memory_bytes / 1e6);
    measure(store, "exact users of 90 days", exact_users);
    measure(store, "runs and times of 3 types", sum_times);
    measure(store, "sum of a column by another", sum_column);
    measure(store, "1000 timelines", timelines);
}

int main(int argc, char **argv)
{
    uint64_t events = argc > 1 ? strtoull(argv[1], NULL, 10) : 10000000;
    uint32_t users = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 400000;
    struct disk *disk = NULL;
    struct disk_sim *sim = NULL;
    struct zone *zone = NULL;
    struct store *store = NULL;
    uint64_t position = 0;
    if (argc > 3) {
        must(disk_real(argv[3], &disk));
    } else {
        must(disk_sim_new(&sim));
        disk = disk_sim_disk(sim);
    }
    must(sys_zone_load(BYTES("Asia/Kolkata"), &zone));
    struct store_files_config config = { .disk = disk, .dir = "bench", .zone = zone };
    must(store_open_files(&config, &position, NULL, &store));
    arena_init(&arena, (size_t)8 << 30);
    uint64_t count = load(store, events, users);
    (void)printf("append and seal %.3f us, checkpoints %.3f us, compaction %.3f us an event\n",
                 append_s * 1e6 / (double)count, checkpoint_s * 1e6 / (double)count,
                 maintain_s * 1e6 / (double)count);
    measure_all(store, "as loaded");
    checkpoint(store, count + 1, true);
    (void)printf("settled: checkpoints %.3f us, compaction %.3f us an event\n",
                 checkpoint_s * 1e6 / (double)count, maintain_s * 1e6 / (double)count);
    measure_all(store, "settled");
    print_sizes(store, count);
    store->ops->close(store);
    arena_done(&arena);
    zone_free(zone);
    if (sim)
        disk_sim_free(sim);
    else
        disk_free(disk);
    return 0;
}

/* view.c - shared immutable lists; each destroyer gives back what its maker took. */
#include "store/view.h"

#include "base/bits.h"

#include <stdlib.h>

static void take(atomic_uint *refs)
{
    atomic_fetch_add_explicit(refs, 1, memory_order_relaxed);
}

/* True: it was the last. */
static bool give(atomic_uint *refs)
{
    return atomic_fetch_sub_explicit(refs, 1, memory_order_acq_rel) == 1;
}

static struct err no_memory(void)
{
    return err_new(ERR_NOMEM, "store: view");
}

/* --- sets ------------------------------------------------------------------------ */

struct err row_set_new(uint32_t rows, struct row_set **out)
{
    size_t words = bits_words(rows);
    struct row_set *set = calloc(1, sizeof *set + words * 8);
    if (!set)
        return no_memory();
    atomic_init(&set->refs, 1);
    set->rows = (uint32_t)(words * 64);
    *out = set;
    return ok();
}

struct row_set *row_set_ref(struct row_set *set)
{
    if (set)
        take(&set->refs);
    return set;
}

void row_set_unref(struct row_set *set)
{
    if (set && give(&set->refs))
        free(set);
}

void row_set_add(struct row_set *set, uint32_t row)
{
    assert(row < set->rows);
    set->count += !bits_has(set->bits, row);
    bits_add(set->bits, row);
}

static struct err row_set_copy(const struct row_set *set, struct row_set **out)
{
    if (!set)
        return ok();
    struct err err = row_set_new(set->rows, out);
    if (err.code)
        return err;
    (*out)->count = set->count;
    memcpy((*out)->bits, set->bits, bits_words(set->rows) * 8);
    return ok();
}

struct err dead_set_new(uint64_t version, const struct row_set *all, const struct row_set *erased,
                        struct dead_set **out)
{
    struct dead_set *dead = calloc(1, sizeof *dead);
    if (!dead)
        return no_memory();
    atomic_init(&dead->refs, 1);
    dead->version = version;
    struct err err = row_set_copy(all, &dead->all);
    if (!err.code)
        err = row_set_copy(erased, &dead->erased);
    if (err.code) {
        dead_set_unref(dead);
        return err;
    }
    *out = dead;
    return ok();
}

struct dead_set *dead_set_ref(struct dead_set *dead)
{
    if (dead)
        take(&dead->refs);
    return dead;
}

void dead_set_unref(struct dead_set *dead)
{
    if (!dead || !give(&dead->refs))
        return;
    row_set_unref(dead->all);
    row_set_unref(dead->erased);
    free(dead);
}

/* --- months ------------------------------------------------------------------------ */

struct err month_view_new(int32_t month, struct part *base, struct row_set *mask,
                          struct part *patch, struct part *const *runs, uint32_t run_count,
                          struct month_view **out)
{
    struct month_view *view = calloc(1, sizeof *view + run_count * sizeof(struct part *));
    if (!view)
        return no_memory();
    atomic_init(&view->refs, 1);
    view->month = month;
    view->base = base ? part_ref(base) : NULL;
    view->mask = row_set_ref(mask);
    view->patch = patch ? part_ref(patch) : NULL;
    view->run_count = run_count;
    for (uint32_t i = 0; i < run_count; i++)
        view->runs[i] = part_ref(runs[i]);
    *out = view;
    return ok();
}

struct month_view *month_view_ref(struct month_view *view)
{
    take(&view->refs);
    return view;
}

void month_view_unref(struct month_view *view)
{
    if (!view || !give(&view->refs))
        return;
    part_unref(view->base);
    row_set_unref(view->mask);
    part_unref(view->patch);
    for (uint32_t i = 0; i < view->run_count; i++)
        part_unref(view->runs[i]);
    free(view);
}

bool month_view_is_empty(const struct month_view *view)
{
    return !view->base && !view->patch && view->run_count == 0;
}

/* --- shards -------------------------------------------------------------------------- */

struct err shard_view_new(uint32_t rows, struct dead_set *dead, struct month_view *const *months,
                          uint32_t month_count, struct shard_view **out)
{
    struct shard_view *view = calloc(1, sizeof *view + month_count * sizeof(struct month_view *));
    if (!view)
        return no_memory();
    atomic_init(&view->refs, 1);
    view->rows = rows;
    view->dead = dead_set_ref(dead);
    view->month_count = month_count;
    for (uint32_t i = 0; i < month_count; i++)
        view->months[i] = month_view_ref(months[i]);
    *out = view;
    return ok();
}

struct err shard_view_with(const struct shard_view *view, struct month_view *month,
                           struct shard_view **out)
{
    struct month_view **months = malloc((view->month_count + 1u) * sizeof(struct month_view *));
    if (!months)
        return no_memory();
    uint32_t count = 0;
    uint32_t i = 0;
    for (; i < view->month_count && view->months[i]->month < month->month; i++)
        months[count++] = view->months[i];
    if (!month_view_is_empty(month))
        months[count++] = month;
    if (i < view->month_count && view->months[i]->month == month->month)
        i++;
    for (; i < view->month_count; i++)
        months[count++] = view->months[i];
    struct err err = shard_view_new(view->rows, view->dead, months, count, out);
    free(months);
    return err;
}

struct shard_view *shard_view_ref(struct shard_view *view)
{
    take(&view->refs);
    return view;
}

void shard_view_unref(struct shard_view *view)
{
    if (!view || !give(&view->refs))
        return;
    dead_set_unref(view->dead);
    for (uint32_t i = 0; i < view->month_count; i++)
        month_view_unref(view->months[i]);
    free(view);
}

struct month_view *shard_view_find(const struct shard_view *view, int32_t month)
{
    uint32_t low = 0;
    uint32_t high = view->month_count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (view->months[middle]->month < month)
            low = middle + 1;
        else
            high = middle;
    }
    return low < view->month_count && view->months[low]->month == month ? view->months[low] : NULL;
}

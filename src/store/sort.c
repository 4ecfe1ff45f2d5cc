/*
 * sort.c - the passes of a natural merge sort.
 *
 * Each pass walks the items once, finds two neighbouring ascending runs and merges them into the
 * other array; when a pass finds a single run, all is sorted. No list of runs is kept.
 */
#include "store/sort.h"

#include <stdbool.h>
#include <string.h>

static size_t run_end(const uint32_t *items, size_t from, size_t count, sort_compare_fn *compare,
                      const void *ctx)
{
    size_t end = from + 1;
    while (end < count && compare(ctx, items[end - 1], items[end]) <= 0)
        end++;
    return end;
}

static void merge_runs(const uint32_t *left, size_t left_count, const uint32_t *right,
                       size_t right_count, uint32_t *to, sort_compare_fn *compare, const void *ctx)
{
    size_t i = 0;
    size_t j = 0;
    while (i < left_count && j < right_count) {
        bool takes_left = compare(ctx, left[i], right[j]) <= 0;
        *to++ = takes_left ? left[i++] : right[j++];
    }
    memcpy(to, left + i, (left_count - i) * sizeof *to);
    memcpy(to + (left_count - i), right + j, (right_count - j) * sizeof *to);
}

void sort_numbers(uint32_t *items, uint32_t *scratch, size_t count, sort_compare_fn *compare,
                  const void *ctx)
{
    uint32_t *from = items;
    uint32_t *to = scratch;
    while (count > 1) {
        size_t at = 0;
        size_t runs = 0;
        while (at < count) {
            size_t middle = run_end(from, at, count, compare, ctx);
            if (middle == count && runs == 0)
                break;
            size_t end = middle < count ? run_end(from, middle, count, compare, ctx) : count;
            merge_runs(from + at, middle - at, from + middle, end - middle, to + at, compare, ctx);
            at = end;
            runs++;
        }
        if (runs == 0)
            break;
        uint32_t *swap = from;
        from = to;
        to = swap;
        if (runs == 1)
            break;
    }
    if (from != items)
        memcpy(items, from, count * sizeof *items);
}

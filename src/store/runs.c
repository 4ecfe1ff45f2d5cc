#include "store/runs.h"

#include <string.h>

static void merge_two(const struct run *left, uint32_t left_count, const struct run *right,
                      uint32_t right_count, struct run *to)
{
    uint32_t i = 0;
    uint32_t j = 0;
    while (i < left_count && j < right_count) {
        if (left[i].row <= right[j].row)
            *to++ = left[i++];
        else
            *to++ = right[j++];
    }
    if (i < left_count)
        memcpy(to, left + i, (left_count - i) * sizeof *to);
    if (j < right_count)
        memcpy(to + (left_count - i), right + j, (right_count - j) * sizeof *to);
}

struct run *runs_merge(struct run *runs, struct run *spare, uint32_t *lists, uint32_t count)
{
    while (count > 1) {
        uint32_t merged = 0;
        for (uint32_t i = 0; i < count; i += 2) {
            uint32_t from = lists[i];
            uint32_t middle = lists[i + 1];
            uint32_t end = i + 2 <= count ? lists[i + 2] : middle;
            merge_two(runs + from, middle - from, runs + middle, end - middle, spare + from);
            lists[merged++] = from;
            lists[merged] = end;
        }
        count = merged;
        struct run *swap = runs;
        runs = spare;
        spare = swap;
    }
    return runs;
}

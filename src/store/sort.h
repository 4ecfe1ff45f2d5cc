/* sort.h - stable natural merge sort of numbers by what they stand for. */
#ifndef STORE_SORT_H
#define STORE_SORT_H

#include <stddef.h>
#include <stdint.h>

/* <0, 0 or >0 */
typedef int sort_compare_fn(const void *ctx, uint32_t a, uint32_t b);

/* Runs that are in order already are found and only merged: what is made of k sorted pieces costs
 * count * log k. `scratch` has room for `count`. */
void sort_numbers(uint32_t *items, uint32_t *scratch, size_t count, sort_compare_fn *compare,
                  const void *ctx);

#endif

/* random_tree.h - random questions in normal form, for properties that hold for any question. */
#ifndef QUERY_RANDOM_TREE_H
#define QUERY_RANDOM_TREE_H

#include "base/rng.h"
#include "query/tree.h"

struct query *random_query(struct rng *rng, struct arena *arena);

#endif

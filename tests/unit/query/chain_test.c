/*
 * chain_test.c - one pass finds what trying every chain finds.
 *
 * The slow way: from each event that may start, try every event that may come next, and so on. It
 * reads like the definition in docs/query.md. Histories are short, times few, so that ties, window
 * edges and overlapping steps are the rule.
 */
#include "query/chain.h"

#include "base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { EVENTS_MAX = 8, ROUNDS = 60000 };

struct slow {
    const struct chain_config *config;
    const struct chain_event *events;
    uint32_t count;
    uint32_t chain[TREE_STEPS_MAX];
};

static bool is_after(const struct chain_config *config, const struct chain_event *a,
                     const struct chain_event *b)
{
    if (config->order == ORDER_STRICT || config->ties == TIES_SEQ)
        return b->time_ms > a->time_ms || (b->time_ms == a->time_ms && b->seq > a->seq);
    if (config->ties == TIES_GRACE)
        return b->time_ms >= a->time_ms - config->grace_ms;
    return b->time_ms >= a->time_ms;
}

/* Does something stand between two events of the chain that may not? */
static bool is_disturbed(const struct slow *slow, uint32_t step, const struct chain_event *a,
                         const struct chain_event *b)
{
    const struct chain_config *config = slow->config;
    for (uint32_t i = 0; i < slow->count; i++) {
        const struct chain_event *e = &slow->events[i];
        if (e == a || e == b)
            continue;
        bool by_place =
            (e->time_ms > a->time_ms || (e->time_ms == a->time_ms && e->seq > a->seq)) &&
            (e->time_ms < b->time_ms || (e->time_ms == b->time_ms && e->seq < b->seq));
        bool by_time = e->time_ms > a->time_ms && e->time_ms < b->time_ms;
        if (config->order == ORDER_STRICT && by_place)
            return true;
        for (uint32_t x = 0; x < config->exclusion_count; x++) {
            bool concerns = step >= config->exclusions[x].from && step < config->exclusions[x].to;
            if (concerns && (e->excluded >> x & 1) &&
                (config->ties == TIES_SEQ ? by_place : by_time))
                return true;
        }
    }
    return false;
}

static bool is_in_chain(const struct slow *slow, uint32_t len, uint32_t event)
{
    for (uint32_t i = 0; i < len; i++) {
        if (slow->chain[i] == event)
            return true;
    }
    return false;
}

static uint32_t longest(struct slow *slow, uint32_t len)
{
    const struct chain_config *config = slow->config;
    uint32_t best = len;
    if (len == config->steps)
        return len;
    const struct chain_event *first = &slow->events[slow->chain[0]];
    const struct chain_event *last = &slow->events[slow->chain[len - 1]];
    for (uint32_t i = 0; i < slow->count; i++) {
        const struct chain_event *e = &slow->events[i];
        const struct chain_event *since = config->is_window_from_previous ? last : first;
        if (is_in_chain(slow, len, i) || !(e->steps >> len & 1) || e->group != first->group)
            continue;
        if (!is_after(config, last, e) || e->time_ms - since->time_ms > config->within_ms)
            continue;
        if (is_disturbed(slow, len, last, e))
            continue;
        slow->chain[len] = i;
        uint32_t level = longest(slow, len + 1);
        best = level > best ? level : best;
    }
    return best;
}

static uint32_t slow_level(const struct chain_config *config, const struct chain_event *events,
                           uint32_t count)
{
    struct slow slow = { .config = config, .events = events, .count = count };
    uint32_t best = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (!(events[i].steps & 1) || !events[i].can_start)
            continue;
        slow.chain[0] = i;
        uint32_t level = longest(&slow, 1);
        best = level > best ? level : best;
        if (config->attempt == ATTEMPT_FIRST)
            break;
    }
    return best;
}

static uint32_t random_events(struct rng *rng, uint32_t steps, bool overlaps, uint32_t exclusions,
                              struct chain_event *events)
{
    uint32_t count = (uint32_t)rng_below(rng, EVENTS_MAX + 1);
    int64_t time_ms = 0;
    for (uint32_t i = 0; i < count; i++) {
        time_ms += (int64_t)rng_below(rng, 3);
        events[i] = (struct chain_event){ .time_ms = time_ms, .seq = i + 1 };
        if (overlaps)
            events[i].steps = (uint32_t)rng_below(rng, UINT64_C(1) << steps);
        else
            events[i].steps = (uint32_t)(UINT64_C(1) << rng_below(rng, steps + 1)) &
                              (uint32_t)((UINT64_C(1) << steps) - 1);
        if (exclusions && rng_below(rng, 4) == 0)
            events[i].excluded = 1 + (uint32_t)rng_below(rng, (UINT64_C(1) << exclusions) - 1);
        events[i].group = rng_below(rng, 4) == 0;
    }
    /* What may start is a range of time. */
    int64_t from = (int64_t)rng_below(rng, 4);
    int64_t to = from + (int64_t)rng_below(rng, 16);
    for (uint32_t i = 0; i < count; i++)
        events[i].can_start = events[i].time_ms >= from && events[i].time_ms < to;
    return count;
}

static uint32_t fast_level(const struct chain_config *config, const struct chain_event *events,
                           uint32_t count)
{
    struct arena scratch;
    struct chain_result result;
    arena_init(&scratch, 1 << 20);
    assert_int_equal(chain_find(config, events, count, &scratch, &result).code, ERR_NONE);
    arena_done(&scratch);
    return result.level;
}

static void check_random(uint64_t seed, struct chain_config config, bool overlaps, bool excludes)
{
    struct rng rng;
    rng_init(&rng, seed);
    for (int round = 0; round < ROUNDS; round++) {
        struct chain_event events[EVENTS_MAX];
        struct chain_exclusion exclusions[2];
        config.steps = 1 + (uint32_t)rng_below(&rng, 4);
        config.within_ms = (int64_t)rng_below(&rng, 9);
        config.exclusion_count = excludes ? 2 : 0;
        config.exclusions = exclusions;
        for (uint32_t x = 0; x < 2; x++) {
            exclusions[x].from = 1 + (uint32_t)rng_below(&rng, config.steps);
            exclusions[x].to = exclusions[x].from + 1 + (uint32_t)rng_below(&rng, 3);
            exclusions[x].is_drop = false;
        }
        uint32_t count =
            random_events(&rng, config.steps, overlaps, config.exclusion_count, events);
        assert_int_equal(fast_level(&config, events, count), slow_level(&config, events, count));
    }
}

static void ties_in_any_order_reach_what_every_chain_reaches(void **state)
{
    (void)state;
    check_random(1, (struct chain_config){ .ties = TIES_ANY }, false, false);
    check_random(2, (struct chain_config){ .ties = TIES_ANY }, true, false);
}

static void ties_in_log_order_reach_what_every_chain_reaches(void **state)
{
    (void)state;
    check_random(3, (struct chain_config){ .ties = TIES_SEQ }, true, false);
}

static void a_window_from_the_previous_step_is_kept(void **state)
{
    (void)state;
    check_random(4, (struct chain_config){ .ties = TIES_SEQ, .is_window_from_previous = true },
                 true, false);
    check_random(5, (struct chain_config){ .ties = TIES_ANY, .is_window_from_previous = true },
                 false, false);
}

static void exclusions_cut_the_chains_they_stand_in(void **state)
{
    (void)state;
    check_random(6, (struct chain_config){ .ties = TIES_ANY }, false, true);
    check_random(7, (struct chain_config){ .ties = TIES_SEQ }, true, true);
}

static void the_first_attempt_is_the_only_one_that_counts(void **state)
{
    (void)state;
    struct chain_config config = { .ties = TIES_SEQ, .attempt = ATTEMPT_FIRST };
    struct rng rng;
    rng_init(&rng, 8);
    for (int round = 0; round < ROUNDS; round++) {
        struct chain_event events[EVENTS_MAX];
        config.steps = 1 + (uint32_t)rng_below(&rng, 4);
        config.within_ms = (int64_t)rng_below(&rng, 9);
        uint32_t count = random_events(&rng, config.steps, true, 0, events);
        for (uint32_t i = 0; i < count; i++)
            events[i].group = 0;
        assert_int_equal(fast_level(&config, events, count), slow_level(&config, events, count));
    }
}

static void a_strict_order_allows_nothing_in_between(void **state)
{
    (void)state;
    struct chain_config config = { .ties = TIES_SEQ, .order = ORDER_STRICT };
    struct rng rng;
    rng_init(&rng, 9);
    for (int round = 0; round < ROUNDS; round++) {
        struct chain_event events[EVENTS_MAX];
        config.steps = 1 + (uint32_t)rng_below(&rng, 3);
        config.within_ms = (int64_t)rng_below(&rng, 9);
        uint32_t count = random_events(&rng, config.steps, true, 0, events);
        for (uint32_t i = 0; i < count; i++)
            events[i].group = 0;
        assert_int_equal(fast_level(&config, events, count), slow_level(&config, events, count));
    }
}

static void grace_lets_a_step_come_a_little_early(void **state)
{
    (void)state;
    check_random(10, (struct chain_config){ .ties = TIES_GRACE, .grace_ms = 2 }, false, false);
}

/* Any order: the most steps that different events of a window can be given, by trying all. */
static uint32_t most_steps(const struct chain_config *config, const struct chain_event *events,
                           uint32_t from, uint32_t end, uint32_t taken_steps)
{
    uint32_t best = 0;
    if (from == end)
        return (uint32_t)__builtin_popcount(taken_steps);
    best = most_steps(config, events, from + 1, end, taken_steps);
    for (uint32_t step = 0; step < config->steps; step++) {
        if (!(events[from].steps >> step & 1) || (taken_steps >> step & 1))
            continue;
        uint32_t with = most_steps(config, events, from + 1, end, taken_steps | 1u << step);
        best = with > best ? with : best;
    }
    return best;
}

static void any_order_gives_different_events_to_the_most_steps(void **state)
{
    (void)state;
    struct chain_config config = { .order = ORDER_ANY };
    struct rng rng;
    rng_init(&rng, 11);
    for (int round = 0; round < ROUNDS / 2; round++) {
        struct chain_event events[EVENTS_MAX];
        config.steps = 1 + (uint32_t)rng_below(&rng, 4);
        config.within_ms = (int64_t)rng_below(&rng, 9);
        uint32_t count = random_events(&rng, config.steps, true, 0, events);
        uint32_t best = 0;
        for (uint32_t i = 0; i < count; i++) {
            events[i].group = 0;
            uint32_t end = i;
            while (end < count && events[end].time_ms - events[i].time_ms <= config.within_ms)
                end++;
            for (uint32_t step = 0; step < config.steps; step++) {
                if (!events[i].can_start || !(events[i].steps >> step & 1))
                    continue;
                uint32_t level = most_steps(&config, events, i + 1, end, 1u << step);
                best = level > best ? level : best;
            }
        }
        for (uint32_t i = 0; i < count; i++)
            events[i].group = 0;
        assert_int_equal(fast_level(&config, events, count), best);
    }
}

static void an_exclusion_that_drops_removes_the_user(void **state)
{
    (void)state;
    const struct chain_exclusion exclusion = { .from = 1, .to = 2, .is_drop = true };
    struct chain_config config = {
        .steps = 2, .within_ms = 10, .exclusions = &exclusion, .exclusion_count = 1
    };
    const struct chain_event dropped[] = {
        { .time_ms = 0, .seq = 1, .steps = 1, .can_start = true },
        { .time_ms = 1, .seq = 2, .excluded = 1 },
        { .time_ms = 2, .seq = 3, .steps = 1, .can_start = true },
        { .time_ms = 3, .seq = 4, .steps = 2, .can_start = true },
    };
    assert_int_equal(fast_level(&config, dropped, 4), 0);
    /* Before the first step it concerns nobody. */
    assert_int_equal(fast_level(&config, dropped + 1, 3), 2);
}

static void every_attempt_is_counted_with_its_own_level(void **state)
{
    (void)state;
    struct chain_config config = { .steps = 2, .within_ms = 5, .attempt = ATTEMPT_EACH };
    const struct chain_event events[] = {
        { .time_ms = 0, .seq = 1, .steps = 1, .can_start = true },
        { .time_ms = 4, .seq = 2, .steps = 2, .can_start = true },
        { .time_ms = 10, .seq = 3, .steps = 1, .can_start = true },
        { .time_ms = 20, .seq = 4, .steps = 1, .can_start = true },
        { .time_ms = 25, .seq = 5, .steps = 2, .can_start = true },
    };
    struct arena scratch;
    struct chain_result result;
    arena_init(&scratch, 1 << 20);
    assert_int_equal(chain_find(&config, events, 5, &scratch, &result).code, ERR_NONE);
    arena_done(&scratch);
    assert_int_equal(result.attempts[0], 3);
    assert_int_equal(result.attempts[1], 2);
}

static void times_are_those_of_the_chain_that_got_there_first(void **state)
{
    (void)state;
    struct chain_config config = { .steps = 3, .within_ms = 100 };
    const struct chain_event events[] = {
        { .time_ms = 0, .seq = 1, .steps = 1, .can_start = true },
        { .time_ms = 7, .seq = 2, .steps = 1, .can_start = true },
        { .time_ms = 10, .seq = 3, .steps = 2, .can_start = true },
        { .time_ms = 12, .seq = 4, .steps = 2, .can_start = true },
        { .time_ms = 30, .seq = 5, .steps = 4, .can_start = true },
    };
    struct arena scratch;
    struct chain_result result;
    arena_init(&scratch, 1 << 20);
    assert_int_equal(chain_find(&config, events, 5, &scratch, &result).code, ERR_NONE);
    arena_done(&scratch);
    assert_int_equal(result.level, 3);
    assert_int_equal(result.step_ms[1], 3);
    assert_int_equal(result.step_ms[2], 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ties_in_any_order_reach_what_every_chain_reaches),
        cmocka_unit_test(ties_in_log_order_reach_what_every_chain_reaches),
        cmocka_unit_test(a_window_from_the_previous_step_is_kept),
        cmocka_unit_test(exclusions_cut_the_chains_they_stand_in),
        cmocka_unit_test(the_first_attempt_is_the_only_one_that_counts),
        cmocka_unit_test(a_strict_order_allows_nothing_in_between),
        cmocka_unit_test(grace_lets_a_step_come_a_little_early),
        cmocka_unit_test(any_order_gives_different_events_to_the_most_steps),
        cmocka_unit_test(an_exclusion_that_drops_removes_the_user),
        cmocka_unit_test(every_attempt_is_counted_with_its_own_level),
        cmocka_unit_test(times_are_those_of_the_chain_that_got_there_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

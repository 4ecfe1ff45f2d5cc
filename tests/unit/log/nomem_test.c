/*
 * nomem_test.c - each allocation fails once while a log is opened: the opening says so, and the next
 * one finds everything. The linker's --wrap puts the failures in.
 */
#include "log_help.h"

static size_t allocations_left; /* until one fails; 0: none does */

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__real_realloc(void *ptr, size_t size);
void *__wrap_realloc(void *ptr, size_t size);

static bool fails(void)
{
    return allocations_left > 0 && --allocations_left == 0;
}

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *ptr, size_t size)
{
    return fails() ? NULL : __real_realloc(ptr, size);
}

static struct err count_batches(void *ctx, uint64_t position, uint32_t count, struct bytes batch)
{
    (void)position, (void)count, (void)batch;
    ++*(uint32_t *)ctx;
    return ok();
}

static void opening_without_memory_says_so_and_the_next_finds_everything(void **state)
{
    struct disk_sim *sim = NULL;
    (void)state;
    assert_int_equal(disk_sim_new(&sim).code, ERR_NONE);
    struct log_files_config config = { .disk = disk_sim_disk(sim),
                                       .dir = "log",
                                       .file_bytes = 180 };
    struct log *log = NULL;
    uint32_t seen = 0;
    assert_int_equal(log_open_files(&config, 0, count_batches, &seen, &log).code, ERR_NONE);
    for (int i = 0; i < 100; i++)
        assert_int_equal(put(log, BYTES("0123456789"), 1, NULL).code, ERR_NONE);
    log_close(log);

    struct err err = err_new(ERR_NOMEM, "");
    for (size_t n = 1; err.code; n++) {
        log = NULL;
        seen = 0;
        allocations_left = n;
        err = log_open_files(&config, 0, count_batches, &seen, &log);
        allocations_left = 0;
        assert_true(err.code == ERR_NONE || err.code == ERR_NOMEM);
        assert_true((log == NULL) == (err.code != ERR_NONE));
        assert_true(n < 10000);
    }
    assert_int_equal(seen, 100);
    log_close(log);
    disk_sim_free(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opening_without_memory_says_so_and_the_next_finds_everything),
    };
    return cmocka_run_group_tests_name("log nomem", tests, NULL, NULL);
}

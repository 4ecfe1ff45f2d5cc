/* names.c - sorts a run of zero-terminated names. */
#include "sys/names_internal.h"

#include <stdlib.h>

static int compare(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static size_t count_names(struct bytes text)
{
    size_t count = 0;
    for (size_t i = 0; i < text.len; i++)
        count += text.ptr[i] == 0;
    return count;
}

struct err names_put_sorted(struct bytes text, struct buf *to, size_t *count_out)
{
    size_t count = count_names(text);
    const char **names = calloc(count ? count : 1, sizeof *names);
    if (!names)
        return err_new(ERR_NOMEM, "names: sort");

    const char *name = (const char *)text.ptr;
    for (size_t i = 0; i < count; i++, name += strlen(name) + 1)
        names[i] = name;
    if (count)
        qsort(names, count, sizeof *names, compare);
    for (size_t i = 0; i < count; i++)
        buf_put(to, bytes_of(names[i], strlen(names[i]) + 1));
    free(names);

    struct err err = buf_err(to);
    if (err.code)
        return err;
    *count_out = count;
    return ok();
}

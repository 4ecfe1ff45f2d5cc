/*
 * sim_content.c - copy-on-write pages, and what a power cut makes of unsynced changes.
 *
 * Of n changes a crash keeps, for each sector, those before a cut that's drawn for that sector: it
 * holds one of the contents it had. Another cut is drawn for the file's size: truncations and
 * growth before it happened. So a file may have grown over sectors that were never written (they
 * are zeros), or have new bytes and its old size.
 */
#include "sys/sim_content_internal.h"

#include "sys/disk_sim.h"

#include <stdatomic.h>
#include <stdlib.h>

struct sim_page {
    atomic_uint refs;
    uint8_t bytes[SIM_PAGE];
};

struct sim_data {
    atomic_uint refs;
    size_t len;
    uint8_t bytes[];
};

static struct err no_memory(void)
{
    return err_new(ERR_NOMEM, "disk_sim: no memory");
}

uint64_t sim_mix(uint64_t seed, uint64_t place)
{
    uint64_t value = seed ^ place * 0x9e3779b97f4a7c15;
    value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9;
    value = (value ^ value >> 27) * 0x94d049bb133111eb;
    return value ^ value >> 31;
}

/* --- pages -------------------------------------------------------------- */

static struct sim_page *page_ref(struct sim_page *page)
{
    if (page)
        atomic_fetch_add_explicit(&page->refs, 1, memory_order_relaxed);
    return page;
}

static void page_unref(struct sim_page *page)
{
    if (page && atomic_fetch_sub_explicit(&page->refs, 1, memory_order_acq_rel) == 1)
        free(page);
}

static void data_unref(struct sim_data *data)
{
    if (data && atomic_fetch_sub_explicit(&data->refs, 1, memory_order_acq_rel) == 1)
        free(data);
}

static bool content_has_pages(struct sim_content *content, size_t count)
{
    if (count <= content->count)
        return true;
    size_t cap = content->cap ? content->cap : 1;
    while (cap < count)
        cap *= 2;
    struct sim_page **pages = content->pages;
    if (cap > content->cap)
        pages = realloc(pages, cap * sizeof(struct sim_page *));
    if (!pages)
        return false;
    content->cap = cap;
    memset(pages + content->count, 0, (count - content->count) * sizeof(struct sim_page *));
    content->pages = pages;
    content->count = count;
    return true;
}

/* The page `index` for writing; NULL: no memory. */
static struct sim_page *content_page(struct sim_content *content, size_t index)
{
    if (!content_has_pages(content, index + 1))
        return NULL;
    struct sim_page *page = content->pages[index];
    if (page && atomic_load_explicit(&page->refs, memory_order_acquire) == 1)
        return page;

    struct sim_page *own = malloc(sizeof *own);
    if (!own)
        return NULL;
    atomic_init(&own->refs, 1);
    if (page)
        memcpy(own->bytes, page->bytes, SIM_PAGE);
    else
        memset(own->bytes, 0, SIM_PAGE);
    page_unref(page);
    content->pages[index] = own;
    return own;
}

/* Without a change of the size. */
static struct err content_put(struct sim_content *content, uint64_t offset, struct bytes data)
{
    while (data.len > 0) {
        size_t at = offset % SIM_PAGE;
        struct bytes part = bytes_slice(data, 0, SIM_PAGE - at);
        struct sim_page *page = content_page(content, offset / SIM_PAGE);
        if (!page)
            return no_memory();
        memcpy(page->bytes + at, part.ptr, part.len);
        offset += part.len;
        data = bytes_slice(data, part.len, SIZE_MAX);
    }
    return ok();
}

/* Makes what's past `size` zeros, and that the size. */
static struct err content_cut(struct sim_content *content, uint64_t size)
{
    size_t whole = (size_t)(size / SIM_PAGE);
    size_t rest = size % SIM_PAGE;

    if (rest && whole < content->count && content->pages[whole]) {
        struct sim_page *page = content_page(content, whole);
        if (!page)
            return no_memory();
        memset(page->bytes + rest, 0, SIM_PAGE - rest);
    }
    for (size_t i = whole + (rest > 0); i < content->count; i++) {
        page_unref(content->pages[i]);
        content->pages[i] = NULL;
    }
    content->size = size;
    return ok();
}

static void content_done(struct sim_content *content)
{
    for (size_t i = 0; i < content->count; i++)
        page_unref(content->pages[i]);
    free(content->pages);
    *content = (struct sim_content){ .count = 0 };
}

/* Makes `to` share all of `from`. */
static struct err content_share(const struct sim_content *from, struct sim_content *to)
{
    if (!content_has_pages(to, from->count))
        return no_memory();
    for (size_t i = 0; i < to->count; i++) {
        struct sim_page *page = i < from->count ? from->pages[i] : NULL;
        if (to->pages[i] == page)
            continue;
        page_unref(to->pages[i]);
        to->pages[i] = page_ref(page);
    }
    to->size = from->size;
    return ok();
}

/* --- changes ------------------------------------------------------------ */

static void changes_clear(struct sim_bytes *bytes)
{
    for (size_t i = 0; i < bytes->count; i++)
        data_unref(bytes->changes[i].data);
    bytes->count = 0;
}

static bool changes_have_room(struct sim_bytes *bytes)
{
    if (bytes->count < bytes->cap)
        return true;
    size_t cap = bytes->cap ? bytes->cap * 2 : 8;
    struct sim_change *changes = realloc(bytes->changes, cap * sizeof *changes);
    if (!changes)
        return false;
    bytes->changes = changes;
    bytes->cap = cap;
    return true;
}

/* How many of `count` changes happened at a place. */
static size_t cut_at(size_t count, enum sim_survival survival, uint64_t seed, uint64_t place)
{
    if (survival != SIM_SOME)
        return survival == SIM_EVERYTHING ? count : 0;
    uint64_t drawn = sim_mix(seed, place);
    switch (drawn & 3) {
    case 0:
        return 0;
    case 1:
        return count;
    default:
        return (size_t)((drawn >> 2) % (count + 1));
    }
}

/* The sectors of change `i` that survive. */
static struct err put_survivors(const struct sim_bytes *bytes, size_t i, enum sim_survival survival,
                                uint64_t seed, struct sim_content *to)
{
    uint64_t offset = bytes->changes[i].offset;
    struct bytes data = bytes_of(bytes->changes[i].data->bytes, bytes->changes[i].data->len);
    if (survival == SIM_EVERYTHING)
        return content_put(to, offset, data);

    while (data.len > 0) {
        uint64_t sector = offset / DISK_SIM_SECTOR;
        struct bytes part = bytes_slice(data, 0, DISK_SIM_SECTOR - offset % DISK_SIM_SECTOR);
        if (i < cut_at(bytes->count, survival, seed, sector)) {
            struct err err = content_put(to, offset, part);
            if (err.code)
                return err;
        }
        offset += part.len;
        data = bytes_slice(data, part.len, SIZE_MAX);
    }
    return ok();
}

/* Brings the changes that survive to `kept`. */
static struct err keep_some(struct sim_bytes *bytes, enum sim_survival survival, uint64_t seed)
{
    struct sim_content *kept = &bytes->kept;
    size_t size_cut = cut_at(bytes->count, survival, seed, UINT64_MAX);

    for (size_t i = 0; i < bytes->count; i++) {
        const struct sim_change *change = &bytes->changes[i];
        struct err err = ok();
        if (change->data) {
            err = put_survivors(bytes, i, survival, seed, kept);
            uint64_t end = change->offset + change->data->len;
            if (i < size_cut && end > kept->size)
                kept->size = end;
        } else if (i < size_cut) {
            err = content_cut(kept, change->offset);
        }
        if (err.code)
            return err;
    }
    changes_clear(bytes);
    return content_cut(kept, kept->size);
}

/* --- the door ----------------------------------------------------------- */

void sim_bytes_read(const struct sim_bytes *bytes, uint64_t offset, void *to, size_t len)
{
    uint8_t *next = to;
    while (len > 0) {
        size_t index = (size_t)(offset / SIM_PAGE);
        size_t at = offset % SIM_PAGE;
        size_t part = SIM_PAGE - at < len ? SIM_PAGE - at : len;
        const struct sim_page *page = index < bytes->seen.count ? bytes->seen.pages[index] : NULL;
        if (page)
            memcpy(next, page->bytes + at, part);
        else
            memset(next, 0, part);
        next += part;
        offset += part;
        len -= part;
    }
}

struct err sim_bytes_write(struct sim_bytes *bytes, uint64_t offset, struct bytes data)
{
    if (data.len == 0)
        return ok();
    struct sim_data *copy = malloc(sizeof *copy + data.len);
    if (!copy || !changes_have_room(bytes)) {
        free(copy);
        return no_memory();
    }
    atomic_init(&copy->refs, 1);
    copy->len = data.len;
    memcpy(copy->bytes, data.ptr, data.len);
    bytes->changes[bytes->count++] = (struct sim_change){ .offset = offset, .data = copy };

    if (offset + data.len > bytes->seen.size)
        bytes->seen.size = offset + data.len;
    return content_put(&bytes->seen, offset, data);
}

struct err sim_bytes_truncate(struct sim_bytes *bytes, uint64_t size)
{
    if (!changes_have_room(bytes))
        return no_memory();
    bytes->changes[bytes->count++] = (struct sim_change){ .offset = size };
    return content_cut(&bytes->seen, size);
}

struct err sim_bytes_sync(struct sim_bytes *bytes)
{
    if (bytes->is_split)
        return keep_some(bytes, SIM_EVERYTHING, 0);
    if (bytes->count == 0)
        return ok();
    changes_clear(bytes);
    return content_share(&bytes->seen, &bytes->kept);
}

struct err sim_bytes_sync_badly(struct sim_bytes *bytes, uint64_t seed)
{
    bytes->is_split = true;
    return keep_some(bytes, SIM_SOME, seed);
}

struct err sim_bytes_crash(struct sim_bytes *bytes, enum sim_survival survival, uint64_t seed)
{
    if (bytes->count == 0 && !bytes->is_split)
        return ok();
    struct err err = keep_some(bytes, survival, seed);
    if (err.code)
        return err;
    bytes->is_split = false;
    return content_share(&bytes->kept, &bytes->seen);
}

struct err sim_bytes_copy(const struct sim_bytes *from, struct sim_bytes *to)
{
    struct err err = content_share(&from->seen, &to->seen);
    if (!err.code)
        err = content_share(&from->kept, &to->kept);
    if (err.code || from->count == 0) {
        to->is_split = from->is_split;
        return err;
    }

    to->changes = malloc(from->count * sizeof *to->changes);
    if (!to->changes)
        return no_memory();
    for (size_t i = 0; i < from->count; i++) {
        to->changes[i] = from->changes[i];
        if (to->changes[i].data)
            atomic_fetch_add_explicit(&to->changes[i].data->refs, 1, memory_order_relaxed);
    }
    to->count = to->cap = from->count;
    to->is_split = from->is_split;
    return ok();
}

void sim_bytes_done(struct sim_bytes *bytes)
{
    content_done(&bytes->seen);
    content_done(&bytes->kept);
    changes_clear(bytes);
    free(bytes->changes);
    *bytes = (struct sim_bytes){ .count = 0 };
}

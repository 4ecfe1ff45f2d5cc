/*
 * disk_sim.c - the names of the simulated disk, and when it fails.
 *
 * A folder has two lists of names: those seen now, and those kept whatever happens. Between them
 * lie the moves: each makes, renames or removes one name. A move that's kept is applied to the kept
 * lists, in the order the moves were made in. A node has one name at most, so applying a move takes
 * the node from wherever it is in the kept lists, and a crash that keeps some moves and loses others
 * never makes a node appear twice.
 *
 * Syncing a folder keeps its moves. A rename between two folders touches both; keeping it keeps the
 * earlier moves of either, or an old name would come back after the new one was made durable.
 */
#include "sys/disk_sim.h"

#include "sys/disk_internal.h"
#include "sys/sim_content_internal.h"
#include "sys/thread.h"

#include <stdlib.h>

struct entry {
    char *name;
    struct sim_node *node;
};

struct entries {
    struct entry *ptr;
    size_t count;
    size_t cap;
};

struct sim_node {
    struct sim_node *next; /* all nodes of the disk */
    struct sim_node *prev;
    struct sim_node *twin;     /* while the disk is copied */
    struct sim_node *kept_dir; /* where its kept name is; NULL: it has none */
    uint64_t id;
    unsigned refs;       /* names, kept names, moves, open files, being the root */
    unsigned uses;       /* names and open files: with none its room is free */
    uint64_t used_pages; /* counted towards the capacity */
    uint64_t reserved_bytes;
    bool is_dir;
    bool is_locked;
    struct sim_bytes bytes;
    struct entries seen;
    struct entries kept;
};

/* `node` left `from_dir` (NULL: it's new) and came to `to_dir` as `name` (NULL: it was removed). */
struct move {
    struct sim_node *node;
    struct sim_node *from_dir;
    struct sim_node *to_dir;
    char *name;
};

struct disk_sim {
    struct disk disk;
    struct mutex mutex;
    struct sim_node *root;
    struct sim_node *nodes;
    struct move *moves;
    size_t move_count;
    size_t move_cap;
    uint64_t next_id;
    uint64_t used_pages;
    uint64_t capacity_pages;
    size_t open_files;
    uint64_t ops;
    uint64_t cut_op; /* fails, and all after it; 0: none */
    bool is_cut;
    disk_sim_watch_fn *watch; /* NULL: nobody does */
    void *watch_ctx;
    uint64_t writes_to_failure; /* 0: none fails */
    uint64_t syncs_to_failure;
};

struct sim_file {
    struct disk_file file;
    struct disk_sim *sim;
    struct sim_node *node;
    bool is_writable;
    bool is_lock;
};

static const struct disk_ops sim_disk_ops;
static const struct disk_file_ops sim_file_ops;

static struct disk_sim *sim_of(struct disk *disk)
{
    return (struct disk_sim *)disk;
}

static struct err no_memory(void)
{
    return err_new(ERR_NOMEM, "disk_sim: no memory");
}

static struct err os_error(int os, const char *what)
{
    return (struct err){ .code = ERR_OS, .os = os, .what = what };
}

static struct err dead(void)
{
    return os_error(EIO, "disk_sim: the power is cut");
}

/* --- nodes and names ---------------------------------------------------- */

static struct sim_node *node_new(struct disk_sim *sim, bool is_dir)
{
    struct sim_node *node = calloc(1, sizeof *node);
    if (!node)
        return NULL;
    node->id = sim->next_id++;
    node->is_dir = is_dir;
    node->next = sim->nodes;
    if (node->next)
        node->next->prev = node;
    sim->nodes = node;
    return node;
}

static void entries_done(struct entries *entries)
{
    for (size_t i = 0; i < entries->count; i++)
        free(entries->ptr[i].name);
    free(entries->ptr);
}

static void node_free(struct disk_sim *sim, struct sim_node *node)
{
    if (node->next)
        node->next->prev = node->prev;
    if (node->prev)
        node->prev->next = node->next;
    else
        sim->nodes = node->next;
    sim_bytes_done(&node->bytes);
    entries_done(&node->seen);
    entries_done(&node->kept);
    free(node);
}

static void node_unref(struct disk_sim *sim, struct sim_node *node)
{
    if (!node || --node->refs > 0)
        return;
    for (size_t i = 0; i < node->seen.count; i++)
        node_unref(sim, node->seen.ptr[i].node);
    for (size_t i = 0; i < node->kept.count; i++) {
        struct sim_node *child = node->kept.ptr[i].node;
        child->kept_dir = NULL;
        node_unref(sim, child);
    }
    node_free(sim, node);
}

static struct sim_node *node_ref(struct sim_node *node)
{
    if (node)
        node->refs++;
    return node;
}

static void node_unuse(struct disk_sim *sim, struct sim_node *node)
{
    if (--node->uses > 0)
        return;
    sim->used_pages -= node->used_pages;
    node->used_pages = 0;
}

static struct entry *entries_find(const struct entries *entries, struct bytes name)
{
    for (size_t i = 0; i < entries->count; i++)
        if (bytes_equal(bytes_from(entries->ptr[i].name), name))
            return &entries->ptr[i];
    return NULL;
}

static bool entries_have_room(struct entries *entries)
{
    if (entries->count < entries->cap)
        return true;
    size_t cap = entries->cap ? entries->cap * 2 : 4;
    struct entry *ptr = realloc(entries->ptr, cap * sizeof *ptr);
    if (!ptr)
        return false;
    entries->ptr = ptr;
    entries->cap = cap;
    return true;
}

/* Takes `name` and a reference to `node`. There's room. */
static void entries_add(struct entries *entries, char *name, struct sim_node *node)
{
    entries->ptr[entries->count++] = (struct entry){ .name = name, .node = node_ref(node) };
}

static void entries_remove(struct disk_sim *sim, struct entries *entries, struct entry *entry)
{
    struct sim_node *node = entry->node;
    free(entry->name);
    *entry = entries->ptr[--entries->count];
    node_unref(sim, node);
}

/* --- moves -------------------------------------------------------------- */

static void move_done(struct disk_sim *sim, struct move *move)
{
    free(move->name);
    node_unref(sim, move->node);
    node_unref(sim, move->from_dir);
    node_unref(sim, move->to_dir);
}

static struct entry *entry_of_node(const struct entries *entries, const struct sim_node *node)
{
    for (size_t i = 0; i < entries->count; i++)
        if (entries->ptr[i].node == node)
            return &entries->ptr[i];
    return NULL;
}

/* Takes the node's kept name away. The caller holds a reference. */
static void unkeep(struct disk_sim *sim, struct sim_node *node)
{
    struct sim_node *dir = node->kept_dir;
    if (!dir)
        return;
    node->kept_dir = NULL;
    entries_remove(sim, &dir->kept, entry_of_node(&dir->kept, node));
}

/* Brings a move to the kept lists. Its name is used up. */
static struct err keep_move(struct disk_sim *sim, struct move *move)
{
    if (move->to_dir && !entries_have_room(&move->to_dir->kept))
        return no_memory();
    unkeep(sim, move->node);
    if (!move->to_dir)
        return ok();

    struct entries *kept = &move->to_dir->kept;
    struct entry *replaced = entries_find(kept, bytes_from(move->name));
    if (replaced) {
        replaced->node->kept_dir = NULL;
        entries_remove(sim, kept, replaced);
    }
    entries_add(kept, move->name, move->node);
    move->node->kept_dir = move->to_dir;
    move->name = NULL;
    return ok();
}

/* Notes a move; the seen lists are the caller's. */
static struct err note_move(struct disk_sim *sim, struct sim_node *node, struct sim_node *from_dir,
                            struct sim_node *to_dir, struct bytes name)
{
    if (sim->move_count == sim->move_cap) {
        size_t cap = sim->move_cap ? sim->move_cap * 2 : 8;
        struct move *moves = realloc(sim->moves, cap * sizeof *moves);
        if (!moves)
            return no_memory();
        sim->moves = moves;
        sim->move_cap = cap;
    }
    char *copy = NULL;
    if (to_dir) {
        copy = strndup((const char *)name.ptr, name.len);
        if (!copy)
            return no_memory();
    }
    sim->moves[sim->move_count++] = (struct move){ .node = node_ref(node),
                                                   .from_dir = node_ref(from_dir),
                                                   .to_dir = node_ref(to_dir),
                                                   .name = copy };
    return ok();
}

/* Marks (as twin) the folders that must be synced together with `dir`, and so the moves. */
static bool move_is_of_marked(const struct move *move)
{
    return (move->from_dir && move->from_dir->twin) || (move->to_dir && move->to_dir->twin);
}

/* Keeps all moves of `dir`, and with them the earlier ones of the folders they touch. */
static struct err keep_moves_of(struct disk_sim *sim, struct sim_node *dir)
{
    bool *is_kept = calloc(sim->move_count ? sim->move_count : 1, sizeof *is_kept);
    if (!is_kept)
        return no_memory();

    dir->twin = dir; /* marked */
    for (size_t i = sim->move_count; i-- > 0;) {
        const struct move *move = &sim->moves[i];
        is_kept[i] = move_is_of_marked(move);
        if (is_kept[i] && move->from_dir)
            move->from_dir->twin = move->from_dir;
        if (is_kept[i] && move->to_dir)
            move->to_dir->twin = move->to_dir;
    }
    dir->twin = NULL;
    for (size_t i = 0; i < sim->move_count; i++) {
        if (sim->moves[i].from_dir)
            sim->moves[i].from_dir->twin = NULL;
        if (sim->moves[i].to_dir)
            sim->moves[i].to_dir->twin = NULL;
    }

    struct err err = ok();
    size_t left = 0;
    for (size_t i = 0; i < sim->move_count; i++) {
        if (!err.code && is_kept[i])
            err = keep_move(sim, &sim->moves[i]);
        if (!err.code && is_kept[i])
            move_done(sim, &sim->moves[i]);
        else
            sim->moves[left++] = sim->moves[i];
    }
    sim->move_count = left;
    free(is_kept);
    return err;
}

/* --- paths -------------------------------------------------------------- */

/* The node at the plain path `path`; NULL: there's none. */
static struct sim_node *walk(struct disk_sim *sim, struct bytes path)
{
    struct sim_node *node = sim->root;
    if (bytes_equal(path, BYTES(".")) || path.len == 0)
        return node;
    while (node) {
        if (!node->is_dir)
            return NULL;
        const uint8_t *slash = memchr(path.ptr, '/', path.len);
        size_t len = slash ? (size_t)(slash - path.ptr) : path.len;
        const struct entry *entry = entries_find(&node->seen, bytes_slice(path, 0, len));
        node = entry ? entry->node : NULL;
        if (!slash)
            return node;
        path = bytes_slice(path, len + 1, SIZE_MAX);
    }
    return NULL;
}

/* A name in its folder, whether it's there or not. */
struct place {
    struct sim_node *dir;
    struct bytes name;
    struct entry *entry; /* NULL: not there */
};

/* False: the folder isn't there, or the path is the root. */
static bool find_place(struct disk_sim *sim, const char *path, struct place *out)
{
    char dir[DISK_PATH_MAX];
    if (strcmp(path, ".") == 0)
        return false;
    disk_path_dir(path, dir);
    out->dir = walk(sim, bytes_from(dir));
    if (!out->dir || !out->dir->is_dir)
        return false;
    const char *slash = strrchr(path, '/');
    out->name = bytes_from(slash ? slash + 1 : path);
    out->entry = entries_find(&out->dir->seen, out->name);
    return true;
}

static struct err missing(void)
{
    return err_new(ERR_MISSING, "disk_sim: no such name");
}

/* --- operations that change it ------------------------------------------ */

/* Begins one. When it's cut now, `*is_last_out` says to do it, as far as it'd survive a crash, and to
 * fail. */
static struct err op_begin(struct disk_sim *sim, bool *is_last_out)
{
    *is_last_out = false;
    if (sim->is_cut)
        return dead();
    if (sim->watch) {
        mutex_unlock(&sim->mutex); /* crashing and cloning take it */
        sim->watch(sim->watch_ctx);
        mutex_lock(&sim->mutex);
    }
    sim->ops++;
    if (sim->ops == sim->cut_op)
        *is_last_out = sim->is_cut = true;
    return ok();
}

static struct err op_end(struct err err, bool is_last)
{
    return is_last ? dead() : err;
}

/* Whether the operation that's now is the one to fail. */
static bool counts_down(uint64_t *left)
{
    return *left > 0 && --*left == 0;
}

static struct err make_node(struct disk_sim *sim, const struct place *place, bool is_dir,
                            struct sim_node **out)
{
    if (!entries_have_room(&place->dir->seen))
        return no_memory();
    char *name = strndup((const char *)place->name.ptr, place->name.len);
    struct sim_node *node = name ? node_new(sim, is_dir) : NULL;
    struct err err = node ? note_move(sim, node, NULL, place->dir, place->name) : no_memory();
    if (err.code) {
        free(name);
        if (node)
            node_free(sim, node);
        return err;
    }
    entries_add(&place->dir->seen, name, node);
    node->uses++;
    *out = node;
    return ok();
}

/* Takes the entry from the seen names. */
static void unsee(struct disk_sim *sim, struct sim_node *dir, struct entry *entry)
{
    node_unuse(sim, entry->node);
    entries_remove(sim, &dir->seen, entry);
}

static struct err remove_seen(struct disk_sim *sim, const struct place *place)
{
    struct err err = note_move(sim, place->entry->node, place->dir, NULL, bytes_of(NULL, 0));
    if (!err.code)
        unsee(sim, place->dir, place->entry);
    return err;
}

static bool lies_in(const struct sim_node *node, const struct sim_node *dir)
{
    if (node == dir)
        return true;
    for (size_t i = 0; i < dir->seen.count; i++)
        if (dir->seen.ptr[i].node->is_dir && lies_in(node, dir->seen.ptr[i].node))
            return true;
    return false;
}

/* Why rename(2) would refuse. */
static struct err check_rename(const struct place *from, const struct place *to)
{
    const struct sim_node *node = from->entry->node;
    const struct sim_node *replaced = to->entry ? to->entry->node : NULL;

    if (node->is_dir && lies_in(to->dir, node))
        return os_error(EINVAL, "disk_sim: rename into itself");
    if (!replaced || replaced == node)
        return ok();
    if (replaced->is_dir && !node->is_dir)
        return os_error(EISDIR, "disk_sim: rename onto a folder");
    if (!replaced->is_dir && node->is_dir)
        return os_error(ENOTDIR, "disk_sim: rename onto a file");
    if (replaced->seen.count)
        return os_error(ENOTEMPTY, "disk_sim: rename onto a folder");
    return ok();
}

static struct err rename_seen(struct disk_sim *sim, struct place *from, struct place *to)
{
    struct sim_node *node = from->entry->node;
    if (to->entry && to->entry->node == node)
        return ok();
    if (!entries_have_room(&to->dir->seen))
        return no_memory();
    /* The room may have moved the entries. */
    from->entry = entries_find(&from->dir->seen, from->name);
    to->entry = entries_find(&to->dir->seen, to->name);

    char *name = strndup((const char *)to->name.ptr, to->name.len);
    if (!name)
        return no_memory();
    struct err err = note_move(sim, node, from->dir, to->dir, to->name);
    if (err.code) {
        free(name);
        return err;
    }
    if (to->entry) {
        unsee(sim, to->dir, to->entry);
        from->entry = entries_find(&from->dir->seen, from->name);
    }
    entries_remove(sim, &from->dir->seen, from->entry);
    entries_add(&to->dir->seen, name, node);
    return ok();
}

/* --- the disk's functions ----------------------------------------------- */

static void sim_free(struct disk *disk)
{
    struct disk_sim *sim = sim_of(disk);
    assert(sim->open_files == 0);
    for (size_t i = 0; i < sim->move_count; i++)
        free(sim->moves[i].name);
    free(sim->moves);
    while (sim->nodes)
        node_free(sim, sim->nodes);
    mutex_done(&sim->mutex);
    free(sim);
}

static struct err file_new(struct disk_sim *sim, struct sim_node *node, struct sim_file **out)
{
    struct sim_file *file = calloc(1, sizeof *file);
    if (!file)
        return no_memory();
    *file =
        (struct sim_file){ .file = { .ops = &sim_file_ops }, .sim = sim, .node = node_ref(node) };
    node->uses++;
    sim->open_files++;
    *out = file;
    return ok();
}

static struct err open_node(struct disk_sim *sim, const char *path, bool may_make, bool must_make,
                            struct sim_node **out)
{
    struct place place;
    if (sim->is_cut)
        return dead();
    if (!find_place(sim, path, &place))
        return missing();
    if (place.entry && must_make)
        return err_new(ERR_EXISTS, "disk_sim: create");
    if (place.entry) {
        *out = place.entry->node;
        return place.entry->node->is_dir ? os_error(EISDIR, "disk_sim: open a folder") : ok();
    }
    if (!may_make)
        return missing();

    bool is_last;
    struct err err = op_begin(sim, &is_last);
    return err.code ? err : op_end(make_node(sim, &place, false, out), is_last);
}

static struct err sim_open(struct disk *disk, const char *path, enum disk_open how,
                           struct disk_file **out)
{
    struct disk_sim *sim = sim_of(disk);
    struct sim_node *node = NULL;
    struct sim_file *file = NULL;

    mutex_lock(&sim->mutex);
    bool makes = how == DISK_CREATE;
    struct err err = open_node(sim, path, makes, makes, &node);
    if (!err.code)
        err = file_new(sim, node, &file);
    mutex_unlock(&sim->mutex);
    if (err.code)
        return err;
    file->is_writable = how != DISK_READ;
    *out = &file->file;
    return ok();
}

static struct err sim_lock(struct disk *disk, const char *path, struct disk_file **lock_out)
{
    struct disk_sim *sim = sim_of(disk);
    struct sim_node *node = NULL;
    struct sim_file *file = NULL;

    mutex_lock(&sim->mutex);
    struct err err = open_node(sim, path, true, false, &node);
    if (!err.code && node->is_locked)
        err = err_new(ERR_BUSY, "disk_sim: lock");
    if (!err.code)
        err = file_new(sim, node, &file);
    if (!err.code)
        file->is_lock = node->is_locked = true;
    mutex_unlock(&sim->mutex);
    if (err.code)
        return err;
    *lock_out = &file->file;
    return ok();
}

static struct err make_dir(struct disk_sim *sim, const char *path)
{
    struct place place;
    struct sim_node *node;
    bool is_last;
    struct err err = op_begin(sim, &is_last);
    if (err.code)
        return err;
    if (strcmp(path, ".") == 0)
        return op_end(ok(), is_last);
    if (!find_place(sim, path, &place))
        return op_end(missing(), is_last);
    if (place.entry && !place.entry->node->is_dir)
        return op_end(err_new(ERR_EXISTS, "disk_sim: make folder"), is_last);
    if (place.entry)
        return op_end(ok(), is_last);
    return op_end(make_node(sim, &place, true, &node), is_last);
}

static struct err sim_make_dir(struct disk *disk, const char *path)
{
    struct disk_sim *sim = sim_of(disk);
    mutex_lock(&sim->mutex);
    struct err err = make_dir(sim, path);
    mutex_unlock(&sim->mutex);
    return err;
}

static struct err sim_rename(struct disk *disk, const char *from_path, const char *to_path)
{
    struct disk_sim *sim = sim_of(disk);
    struct place from;
    struct place to;
    bool is_last;

    mutex_lock(&sim->mutex);
    struct err err = op_begin(sim, &is_last);
    if (!err.code) {
        if (!find_place(sim, from_path, &from) || !find_place(sim, to_path, &to) || !from.entry)
            err = missing();
        if (!err.code)
            err = check_rename(&from, &to);
        if (!err.code)
            err = rename_seen(sim, &from, &to);
        err = op_end(err, is_last);
    }
    mutex_unlock(&sim->mutex);
    return err;
}

static struct err sim_remove(struct disk *disk, const char *path)
{
    struct disk_sim *sim = sim_of(disk);
    struct place place;
    bool is_last;

    mutex_lock(&sim->mutex);
    struct err err = op_begin(sim, &is_last);
    if (!err.code) {
        if (!find_place(sim, path, &place) || !place.entry)
            err = missing();
        else if (place.entry->node->seen.count)
            err = os_error(ENOTEMPTY, "disk_sim: remove");
        else
            err = remove_seen(sim, &place);
        err = op_end(err, is_last);
    }
    mutex_unlock(&sim->mutex);
    return err;
}

static struct err sim_sync_dir(struct disk *disk, const char *path)
{
    struct disk_sim *sim = sim_of(disk);
    bool is_last;

    mutex_lock(&sim->mutex);
    struct err err = op_begin(sim, &is_last);
    if (!err.code) {
        struct sim_node *dir = walk(sim, bytes_from(path));
        if (!dir || !dir->is_dir)
            err = missing();
        else if (counts_down(&sim->syncs_to_failure))
            err = os_error(EIO, "disk_sim: sync folder");
        else if (!is_last)
            err = keep_moves_of(sim, dir);
        err = op_end(err, is_last);
    }
    mutex_unlock(&sim->mutex);
    return err;
}

static struct err sim_list(struct disk *disk, const char *path, struct buf *names)
{
    struct disk_sim *sim = sim_of(disk);
    mutex_lock(&sim->mutex);
    const struct sim_node *dir = walk(sim, bytes_from(path));
    struct err err = ok();
    if (sim->is_cut)
        err = dead();
    else if (!dir || !dir->is_dir)
        err = missing();
    for (size_t i = 0; !err.code && i < dir->seen.count; i++) {
        const char *name = dir->seen.ptr[i].name;
        buf_put(names, bytes_of(name, strlen(name) + 1));
    }
    mutex_unlock(&sim->mutex);
    return err;
}

static struct err sim_exists(struct disk *disk, const char *path, bool *exists_out)
{
    struct disk_sim *sim = sim_of(disk);
    mutex_lock(&sim->mutex);
    struct err err = sim->is_cut ? dead() : ok();
    if (!err.code)
        *exists_out = walk(sim, bytes_from(path)) != NULL;
    mutex_unlock(&sim->mutex);
    return err;
}

static struct err sim_free_bytes(struct disk *disk, uint64_t *free_out)
{
    struct disk_sim *sim = sim_of(disk);
    mutex_lock(&sim->mutex);
    struct err err = sim->is_cut ? dead() : ok();
    if (!err.code)
        *free_out = sim->capacity_pages > sim->used_pages
                        ? (sim->capacity_pages - sim->used_pages) * SIM_PAGE
                        : 0;
    mutex_unlock(&sim->mutex);
    return err;
}

static const struct disk_ops sim_disk_ops = {
    .free = sim_free,
    .open = sim_open,
    .make_dir = sim_make_dir,
    .rename = sim_rename,
    .remove = sim_remove,
    .sync_dir = sim_sync_dir,
    .list = sim_list,
    .exists = sim_exists,
    .free_bytes = sim_free_bytes,
    .lock = sim_lock,
};

/* --- a file's functions ------------------------------------------------- */

static uint64_t pages_of(uint64_t size)
{
    return size / SIM_PAGE + (size % SIM_PAGE > 0);
}

/* The largest size that the file may have. */
static uint64_t largest_size(const struct disk_sim *sim, const struct sim_node *node)
{
    uint64_t others = sim->used_pages - node->used_pages;
    uint64_t pages = sim->capacity_pages > others ? sim->capacity_pages - others : 0;
    if (pages < node->used_pages)
        pages = node->used_pages;
    return pages * SIM_PAGE;
}

static void count_pages(struct disk_sim *sim, struct sim_node *node)
{
    uint64_t size = node->bytes.seen.size;
    uint64_t pages = pages_of(size > node->reserved_bytes ? size : node->reserved_bytes);
    sim->used_pages = sim->used_pages - node->used_pages + pages;
    node->used_pages = pages;
}

static struct err full(void)
{
    return (struct err){ .code = ERR_FULL, .os = ENOSPC, .what = "disk_sim: full" };
}

static void sim_close(struct disk_file *base)
{
    struct sim_file *file = (struct sim_file *)base;
    struct disk_sim *sim = file->sim;
    mutex_lock(&sim->mutex);
    if (file->is_lock)
        file->node->is_locked = false;
    node_unuse(sim, file->node);
    node_unref(sim, file->node);
    sim->open_files--;
    mutex_unlock(&sim->mutex);
    free(file);
}

static struct err sim_read(struct disk_file *base, uint64_t offset, void *to, size_t len)
{
    struct sim_file *file = (struct sim_file *)base;
    const struct sim_bytes *bytes = &file->node->bytes;
    struct err err = ok();
    mutex_lock(&file->sim->mutex);
    if (file->sim->is_cut)
        err = dead();
    else if (offset > bytes->seen.size || len > bytes->seen.size - offset)
        err = err_new(ERR_CORRUPT, "disk_sim: file ends too early");
    else
        sim_bytes_read(bytes, offset, to, len);
    mutex_unlock(&file->sim->mutex);
    return err;
}

/* A write that doesn't fit the disk is done as far as it does. */
static struct err write_seen(struct disk_sim *sim, struct sim_node *node, uint64_t offset,
                             struct bytes data)
{
    uint64_t largest = largest_size(sim, node);
    bool is_full = offset > largest || data.len > largest - offset;
    struct bytes fitting = data;
    if (is_full)
        fitting = bytes_slice(data, 0, offset < largest ? (size_t)(largest - offset) : 0);

    bool fails = counts_down(&sim->writes_to_failure);
    if (fails)
        fitting.len /= 2;
    struct err err = sim_bytes_write(&node->bytes, offset, fitting);
    count_pages(sim, node);
    if (err.code)
        return err;
    if (fails)
        return os_error(EIO, "disk_sim: write");
    return is_full ? full() : ok();
}

static struct err sim_write(struct disk_file *base, uint64_t offset, struct bytes data)
{
    struct sim_file *file = (struct sim_file *)base;
    struct disk_sim *sim = file->sim;
    bool is_last;

    if (!file->is_writable)
        return os_error(EBADF, "disk_sim: write");
    mutex_lock(&sim->mutex);
    struct err err = op_begin(sim, &is_last);
    if (!err.code)
        err = op_end(write_seen(sim, file->node, offset, data), is_last);
    mutex_unlock(&sim->mutex);
    return err;
}

static struct err sim_truncate(struct disk_file *base, uint64_t size)
{
    struct sim_file *file = (struct sim_file *)base;
    struct disk_sim *sim = file->sim;
    struct sim_node *node = file->node;
    bool is_last;

    if (!file->is_writable)
        return os_error(EINVAL, "disk_sim: truncate");
    mutex_lock(&sim->mutex);
    struct err err = op_begin(sim, &is_last);
    if (!err.code) {
        if (size > largest_size(sim, node)) {
            err = full();
        } else {
            err = sim_bytes_truncate(&node->bytes, size);
            if (node->reserved_bytes > size)
                node->reserved_bytes = size;
            count_pages(sim, node);
        }
        err = op_end(err, is_last);
    }
    mutex_unlock(&sim->mutex);
    return err;
}

static struct err sim_sync(struct disk_file *base)
{
    struct sim_file *file = (struct sim_file *)base;
    struct disk_sim *sim = file->sim;
    bool is_last;

    mutex_lock(&sim->mutex);
    struct err err = op_begin(sim, &is_last);
    if (!err.code) {
        if (counts_down(&sim->syncs_to_failure)) {
            err = sim_bytes_sync_badly(&file->node->bytes, sim_mix(sim->ops, file->node->id));
            if (!err.code)
                err = os_error(EIO, "disk_sim: sync");
        } else if (!is_last) {
            err = sim_bytes_sync(&file->node->bytes);
        }
        err = op_end(err, is_last);
    }
    mutex_unlock(&sim->mutex);
    return err;
}

static struct err sim_reserve(struct disk_file *base, uint64_t size)
{
    struct sim_file *file = (struct sim_file *)base;
    struct disk_sim *sim = file->sim;
    struct err err = ok();

    mutex_lock(&sim->mutex);
    if (sim->is_cut) {
        err = dead();
    } else if (size > largest_size(sim, file->node)) {
        err = full();
    } else if (size > file->node->reserved_bytes) {
        file->node->reserved_bytes = size;
        count_pages(sim, file->node);
    }
    mutex_unlock(&sim->mutex);
    return err;
}

static struct err sim_size(struct disk_file *base, uint64_t *size_out)
{
    struct sim_file *file = (struct sim_file *)base;
    mutex_lock(&file->sim->mutex);
    struct err err = file->sim->is_cut ? dead() : ok();
    if (!err.code)
        *size_out = file->node->bytes.seen.size;
    mutex_unlock(&file->sim->mutex);
    return err;
}

static const struct disk_file_ops sim_file_ops = {
    .close = sim_close,
    .read = sim_read,
    .write = sim_write,
    .truncate = sim_truncate,
    .sync = sim_sync,
    .reserve = sim_reserve,
    .size = sim_size,
};

/* --- making and copying disks ------------------------------------------- */

static struct err sim_new(bool has_root, struct disk_sim **out)
{
    struct disk_sim *sim = calloc(1, sizeof *sim);
    if (!sim)
        return no_memory();
    sim->disk.ops = &sim_disk_ops;
    sim->capacity_pages = DISK_SIM_CAPACITY / SIM_PAGE;
    mutex_init(&sim->mutex);
    if (has_root) {
        sim->root = node_ref(node_new(sim, true));
        if (!sim->root) {
            sim_free(&sim->disk);
            return no_memory();
        }
        sim->root->uses++;
    }
    *out = sim;
    return ok();
}

struct err disk_sim_new(struct disk_sim **out)
{
    return sim_new(true, out);
}

void disk_sim_free(struct disk_sim *sim)
{
    if (sim)
        sim_free(&sim->disk);
}

struct disk *disk_sim_disk(struct disk_sim *sim)
{
    return &sim->disk;
}

static struct err copy_entries(const struct entries *from, struct entries *to)
{
    if (from->count == 0)
        return ok();
    to->ptr = malloc(from->count * sizeof *to->ptr);
    if (!to->ptr)
        return no_memory();
    to->cap = from->count;
    for (size_t i = 0; i < from->count; i++) {
        char *name = strdup(from->ptr[i].name);
        if (!name)
            return no_memory();
        entries_add(to, name, from->ptr[i].node->twin);
    }
    return ok();
}

/* What of a node doesn't refer to others. */
static struct err copy_node(struct disk_sim *copy, struct sim_node *node)
{
    struct sim_node *twin = node_new(copy, node->is_dir);
    if (!twin)
        return no_memory();
    node->twin = twin;
    twin->id = node->id;
    twin->reserved_bytes = node->reserved_bytes;
    return sim_bytes_copy(&node->bytes, &twin->bytes);
}

static struct err copy_links(struct sim_node *node)
{
    struct sim_node *twin = node->twin;
    struct err err = copy_entries(&node->seen, &twin->seen);
    if (!err.code)
        err = copy_entries(&node->kept, &twin->kept);
    twin->kept_dir = node->kept_dir ? node->kept_dir->twin : NULL;
    for (size_t i = 0; i < twin->seen.count; i++)
        twin->seen.ptr[i].node->uses++;
    return err;
}

static struct sim_node *twin_of(struct sim_node *node)
{
    return node ? node->twin : NULL;
}

static struct err copy_moves(const struct disk_sim *sim, struct disk_sim *copy)
{
    struct err err = ok();
    for (size_t i = 0; !err.code && i < sim->move_count; i++) {
        const struct move *move = &sim->moves[i];
        err = note_move(copy, twin_of(move->node), twin_of(move->from_dir), twin_of(move->to_dir),
                        bytes_from(move->name));
    }
    return err;
}

static struct err copy_all(struct disk_sim *sim, struct disk_sim *copy)
{
    struct err err = ok();
    for (struct sim_node *node = sim->nodes; !err.code && node; node = node->next)
        err = copy_node(copy, node);
    for (struct sim_node *node = sim->nodes; !err.code && node; node = node->next)
        err = copy_links(node);
    if (err.code)
        return err;
    copy->root = node_ref(sim->root->twin);
    copy->root->uses++;
    copy->next_id = sim->next_id;
    copy->capacity_pages = sim->capacity_pages;
    return copy_moves(sim, copy);
}

/* Nodes that only open files held are nobody's in the copy; pages are counted for the others. */
static void settle(struct disk_sim *sim)
{
    struct sim_node *next;
    for (struct sim_node *node = sim->nodes; node; node = next) {
        next = node->next;
        if (node->refs == 0)
            node_free(sim, node);
        else if (node->uses > 0)
            count_pages(sim, node);
    }
}

struct err disk_sim_clone(struct disk_sim *sim, struct disk_sim **out)
{
    struct disk_sim *copy;
    struct err err = sim_new(false, &copy);
    if (err.code)
        return err;

    mutex_lock(&sim->mutex);
    err = copy_all(sim, copy);
    for (struct sim_node *node = sim->nodes; node; node = node->next)
        node->twin = NULL;
    mutex_unlock(&sim->mutex);
    if (err.code) {
        disk_sim_free(copy);
        return err;
    }
    settle(copy);
    *out = copy;
    return ok();
}

/* --- a power cut -------------------------------------------------------- */

static enum sim_survival survival_of(uint64_t seed)
{
    return seed == 0 ? SIM_NOTHING : seed == 1 ? SIM_EVERYTHING : SIM_SOME;
}

static bool move_survives(const struct disk_sim *sim, size_t i, uint64_t seed)
{
    if (survival_of(seed) != SIM_SOME)
        return seed == 1;
    if (seed & 1) /* as a journal: all up to one */
        return i < sim_mix(seed, UINT64_MAX) % (sim->move_count + 1);
    return sim_mix(seed, i) >> 63;
}

static struct err crash_moves(struct disk_sim *sim, uint64_t seed)
{
    struct err err = ok();
    for (size_t i = 0; !err.code && i < sim->move_count; i++)
        if (move_survives(sim, i, seed))
            err = keep_move(sim, &sim->moves[i]);
    for (size_t i = 0; i < sim->move_count; i++)
        move_done(sim, &sim->moves[i]);
    sim->move_count = 0;
    return err;
}

/* What's kept is what's seen, below `dir`. */
static struct err show_kept(struct disk_sim *sim, struct sim_node *dir)
{
    while (dir->seen.count)
        unsee(sim, dir, &dir->seen.ptr[0]);
    for (size_t i = 0; i < dir->kept.count; i++) {
        const struct entry *entry = &dir->kept.ptr[i];
        char *name = entries_have_room(&dir->seen) ? strdup(entry->name) : NULL;
        if (!name)
            return no_memory();
        entries_add(&dir->seen, name, entry->node);
        entry->node->uses++;
    }
    return ok();
}

static struct err crash(struct disk_sim *sim, uint64_t seed)
{
    struct err err = crash_moves(sim, seed);
    /* Each node is held while its names change: one that goes may be the next on the list. */
    for (struct sim_node *node = sim->nodes; node; node = node->next)
        node->refs++;
    for (struct sim_node *node = sim->nodes; !err.code && node; node = node->next) {
        err = show_kept(sim, node);
        if (!err.code)
            err = sim_bytes_crash(&node->bytes, survival_of(seed), sim_mix(seed, node->id));
        node->reserved_bytes = node->bytes.seen.size;
    }
    for (struct sim_node *node = sim->nodes; node;) {
        struct sim_node *next = node->next;
        node->refs--;
        node = next;
    }
    return err;
}

/* Nodes without a name, and what's below them. A node that goes takes its children's names along, so
 * the list is begun anew each time. */
static void drop_unnamed(struct disk_sim *sim)
{
    struct sim_node *node = sim->nodes;
    while (node) {
        if (node->refs > 0) {
            node = node->next;
            continue;
        }
        for (size_t i = 0; i < node->seen.count; i++)
            node_unuse(sim, node->seen.ptr[i].node);
        node->refs = 1;
        node_unref(sim, node);
        node = sim->nodes;
    }
}

struct err disk_sim_crash(struct disk_sim *sim, uint64_t seed, struct disk_sim **out)
{
    struct disk_sim *copy;
    struct err err = disk_sim_clone(sim, &copy);
    if (err.code)
        return err;
    err = crash(copy, seed);
    if (err.code) {
        disk_sim_free(copy);
        return err;
    }
    drop_unnamed(copy);
    settle(copy);
    *out = copy;
    return ok();
}

/* --- failures ----------------------------------------------------------- */

uint64_t disk_sim_ops(struct disk_sim *sim)
{
    mutex_lock(&sim->mutex);
    uint64_t ops = sim->ops;
    mutex_unlock(&sim->mutex);
    return ops;
}

void disk_sim_cut_after(struct disk_sim *sim, uint64_t n)
{
    mutex_lock(&sim->mutex);
    sim->cut_op = n ? sim->ops + n : 0;
    sim->is_cut = false;
    mutex_unlock(&sim->mutex);
}

bool disk_sim_is_cut(struct disk_sim *sim)
{
    mutex_lock(&sim->mutex);
    bool is_cut = sim->is_cut;
    mutex_unlock(&sim->mutex);
    return is_cut;
}

void disk_sim_watch(struct disk_sim *sim, disk_sim_watch_fn *fn, void *ctx)
{
    mutex_lock(&sim->mutex);
    sim->watch = fn;
    sim->watch_ctx = ctx;
    mutex_unlock(&sim->mutex);
}

void disk_sim_fail_write(struct disk_sim *sim, uint64_t n)
{
    mutex_lock(&sim->mutex);
    sim->writes_to_failure = n;
    mutex_unlock(&sim->mutex);
}

void disk_sim_fail_sync(struct disk_sim *sim, uint64_t n)
{
    mutex_lock(&sim->mutex);
    sim->syncs_to_failure = n;
    mutex_unlock(&sim->mutex);
}

void disk_sim_set_capacity(struct disk_sim *sim, uint64_t capacity_bytes)
{
    mutex_lock(&sim->mutex);
    sim->capacity_pages = capacity_bytes / SIM_PAGE;
    mutex_unlock(&sim->mutex);
}

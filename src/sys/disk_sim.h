/*
 * disk_sim.h - a disk in memory that keeps just what disk.h promises, and no more.
 *
 * What a power cut leaves (disk_sim_crash), drawn from the seed:
 *   - A sector of 512 bytes holds any one of the contents it had since the file's last file_sync,
 *     whatever its neighbours hold: writes survive in any order, and torn at sectors.
 *   - A file's growth or truncation since then is there up to some point, or not at all.
 *   - A name made, renamed or removed since its folder's last disk_sync_dir is there or not. A
 *     rename happened or didn't, as a whole; syncing either of its two folders makes it durable.
 * Seed 0 loses all that wasn't synced, seed 1 keeps all of it, the others are in between: some
 * lose names in the order they were changed in, as a journal does, some in any order.
 *
 *     for (uint64_t n = 1;; n++) {
 *         disk_sim_new(&sim);
 *         disk_sim_cut_after(sim, n);
 *         work(disk_sim_disk(sim));              fails from the n-th operation on
 *         bool was_cut = disk_sim_is_cut(sim);
 *         disk_sim_crash(sim, seed, &after);
 *         check(disk_sim_disk(after));
 *         ... free both; stop when it wasn't cut
 *     }
 *
 * All functions may be called from any thread.
 */
#ifndef SYS_DISK_SIM_H
#define SYS_DISK_SIM_H

#include "sys/disk.h"

enum { DISK_SIM_SECTOR = 512 };

struct disk_sim;

/* An empty disk with room for DISK_SIM_CAPACITY bytes. */
#define DISK_SIM_CAPACITY (UINT64_C(4) << 30)
MUST_CHECK struct err disk_sim_new(struct disk_sim **out);
/* As disk_free of its disk. All its files are closed by then. */
void disk_sim_free(struct disk_sim *sim);
/* Lives as long as `sim`. */
struct disk *disk_sim_disk(struct disk_sim *sim);

/* The disk after a power cut now. `sim` stays as it is, so that other seeds may be tried. */
MUST_CHECK struct err disk_sim_crash(struct disk_sim *sim, uint64_t seed, struct disk_sim **out);
/* The same disk once more, with what isn't synced, without open files and locks. Contents are
 * shared until they're written, so this costs little. No cut or failure is set in it. */
MUST_CHECK struct err disk_sim_clone(struct disk_sim *sim, struct disk_sim **out);

/* How many operations changed it or should have: write, truncate, sync, create, rename, remove,
 * make_dir, sync_dir. */
uint64_t disk_sim_ops(struct disk_sim *sim);
/* The `n`th such operation from now on (1: the next) fails with ERR_OS, and all that's done after
 * it, reading too: the machine is dead. The `n`th itself may survive a crash, in part or whole.
 * 0: no cut, from now on. */
void disk_sim_cut_after(struct disk_sim *sim, uint64_t n);
bool disk_sim_is_cut(struct disk_sim *sim);

/* `fn` is called before each such operation, when the disk is as a power cut just there finds it: so one
 * run of some work shows all cuts of it. It may crash and clone the disk, no more, and nobody else
 * uses the disk meanwhile. NULL: no more calls. */
typedef void disk_sim_watch_fn(void *ctx);
void disk_sim_watch(struct disk_sim *sim, disk_sim_watch_fn *fn, void *ctx);

/* The `n`th file_write from now on (1: the next) fails with ERR_OS (EIO) after half of it. 0: none
 * does. */
void disk_sim_fail_write(struct disk_sim *sim, uint64_t n);
/* The `n`th file_sync or disk_sync_dir from now on fails with ERR_OS (EIO). As on Linux, some of
 * what it should have written is lost and no later sync writes it, though it can still be read
 * until a crash. 0: none does. */
void disk_sim_fail_sync(struct disk_sim *sim, uint64_t n);

/* File contents, in pages of 4096 bytes, take at most so much: past it, ERR_FULL. May be below
 * what's used already. */
void disk_sim_set_capacity(struct disk_sim *sim, uint64_t capacity_bytes);

#endif

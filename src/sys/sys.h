/* sys.h - the rest of the operating system: entropy, zones, memory, signals, terminals. */
#ifndef SYS_SYS_H
#define SYS_SYS_H

#include "base/bytes.h"
#include "base/calendar.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdnoreturn.h>

/* Random bytes fit for secrets. Never fails: without entropy there's nothing to go on with. */
void sys_entropy(void *to, size_t len);

/* The zone `name` ("Asia/Kolkata", "UTC") from the system's tz database. ERR_MISSING: no such zone
 * (or a name that's no plain relative path). */
MUST_CHECK struct err sys_zone_load(struct bytes name, struct zone **out);
/* All zone names of the system, sorted, zero-terminated, one after the other. */
MUST_CHECK struct err sys_zone_names(struct buf *names, size_t *count_out);

/* Files made from here on are this user's only. */
void sys_files_private(void);

uint64_t sys_memory_bytes(void);      /* of the machine (or its cgroup) */
uint64_t sys_memory_used_bytes(void); /* resident, of this process */
uint64_t sys_memory_peak_bytes(void);

/* Blocks SIGINT, SIGTERM for all threads made later; ignores SIGPIPE. */
void sys_signals_init(void);
/* Waits for SIGINT or SIGTERM, or for sys_stop() from any thread; returns the signal, or 0. Both
 * need sys_signals_init before. */
int sys_signals_wait(void);
void sys_stop(void);

bool sys_is_terminal(int fd);
/* The folder that this program's file lies in; "." when it can't be told. */
void sys_program_dir(char *to, size_t size);
/* Becomes this program, found as a shell finds it; the list of arguments ends with NULL, the first
 * is its name. Returns only when it fails. */
MUST_CHECK struct err sys_become(char *const arguments[]);
/* A password from the terminal without echo, without its newline. False: none. */
bool sys_read_password(const char *prompt, char *to, size_t size);

/* Writes the line and a newline to stderr at once, then leaves with this status, running no exit
 * handler. For failures after which going on would lose data. */
noreturn void sys_die(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* "AMD EPYC …, 2 processors" and "Linux 6.1 x86_64": for benchmark headers. */
void sys_describe_machine(char *to, size_t size);

#endif

/* sys.c - entropy, memory, signals, the terminal, and a description of the machine. */
#include "sys/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <termios.h>
#include <unistd.h>

#include "sys/thread.h"

/* --- entropy ------------------------------------------------------------ */

void sys_entropy(void *to, size_t len)
{
    uint8_t *next = to;
    while (len > 0) {
        ssize_t got = getrandom(next, len, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            sys_die(EXIT_FAILURE, "sys: the system gives no random bytes (error %d)", errno);
        next += got;
        len -= (size_t)got;
    }
}

/* --- memory ------------------------------------------------------------- */

/* The first line of a file of the kernel's, without its newline. */
static bool read_line(const char *path, char *line, size_t size)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    bool has_line = fgets(line, (int)size, file) != NULL;
    (void)fclose(file);
    if (has_line)
        line[strcspn(line, "\n")] = 0;
    return has_line;
}

/* A limit that's a number below `limit`; "max" isn't. */
static uint64_t lower_limit(const char *path, uint64_t limit)
{
    char line[64];
    if (!read_line(path, line, sizeof line))
        return limit;
    char *end;
    unsigned long long value = strtoull(line, &end, 10);
    return end != line && value > 0 && value < limit ? value : limit;
}

uint64_t sys_memory_bytes(void)
{
    uint64_t limit = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    char line[512];
    char path[640];

    limit = lower_limit("/sys/fs/cgroup/memory.max", limit);
    limit = lower_limit("/sys/fs/cgroup/memory/memory.limit_in_bytes", limit);
    if (read_line("/proc/self/cgroup", line, sizeof line) && strncmp(line, "0::/", 4) == 0) {
        (void)snprintf(path, sizeof path, "/sys/fs/cgroup/%s/memory.max", line + 4);
        limit = lower_limit(path, limit);
    }
    return limit;
}

uint64_t sys_memory_used_bytes(void)
{
    char line[128];
    if (!read_line("/proc/self/statm", line, sizeof line))
        return 0;
    char *end;
    (void)strtoull(line, &end, 10); /* what's mapped; what's resident is next */
    return strtoull(end, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE);
}

uint64_t sys_memory_peak_bytes(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? (uint64_t)usage.ru_maxrss * 1024 : 0;
}

/* --- signals ------------------------------------------------------------ */

static atomic_bool signals_are_blocked;
static atomic_bool is_stopped;

static sigset_t stop_signals(void)
{
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGTERM);
    return set;
}

void sys_signals_init(void)
{
    sigset_t set = stop_signals();
    int result = pthread_sigmask(SIG_BLOCK, &set, NULL);
    assert(result == 0);
    (void)result;
    (void)signal(SIGPIPE, SIG_IGN);
    atomic_store(&signals_are_blocked, true);
}

int sys_signals_wait(void)
{
    sigset_t set = stop_signals();
    int number;
    do
        number = sigwaitinfo(&set, NULL);
    while (number < 0 && errno == EINTR);
    return atomic_load(&is_stopped) || number < 0 ? 0 : number;
}

void sys_stop(void)
{
    /* The signal only wakes the one who waits. Unblocked it would end the process. */
    assert(atomic_load(&signals_are_blocked));
    atomic_store(&is_stopped, true);
    (void)kill(getpid(), SIGTERM);
}

/* --- the terminal ------------------------------------------------------- */

void sys_files_private(void)
{
    (void)umask(077);
}

bool sys_is_terminal(int fd)
{
    return isatty(fd) == 1;
}

void sys_program_dir(char *to, size_t size)
{
    ssize_t len = readlink("/proc/self/exe", to, size);
    /* A name that fills the room may have been cut. */
    char *slash = len > 0 && (size_t)len < size ? memrchr(to, '/', (size_t)len) : NULL;
    if (slash && slash > to)
        *slash = 0;
    else
        (void)snprintf(to, size, "%s", slash ? "/" : ".");
}

struct err sys_become(char *const arguments[])
{
    (void)execvp(arguments[0], arguments);
    return err_os("sys: exec");
}

/* One line of at most size - 1 bytes. False: none, or it's longer. */
static bool read_terminal_line(int fd, char *to, size_t size)
{
    size_t len = 0;
    for (;;) {
        char byte;
        ssize_t got = read(fd, &byte, 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        if (byte == '\n')
            break;
        if (len < size)
            to[len++] = byte;
    }
    if (len >= size)
        return false;
    to[len] = 0;
    return true;
}

bool sys_read_password(const char *prompt, char *to, size_t size)
{
    int fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return false;

    bool is_read = false;
    struct termios before;
    if (size > 0 && tcgetattr(fd, &before) == 0) {
        struct termios silent = before;
        silent.c_lflag &= ~(tcflag_t)ECHO;
        silent.c_lflag |= ECHONL | ICANON;
        /* Before the prompt: what is typed once it's there is neither shown nor thrown away. */
        if (tcsetattr(fd, TCSAFLUSH, &silent) == 0) {
            (void)!write(fd, prompt, strlen(prompt));
            is_read = read_terminal_line(fd, to, size);
            (void)tcsetattr(fd, TCSAFLUSH, &before);
        }
    }
    (void)close(fd);
    return is_read;
}

noreturn void sys_die(int status, const char *format, ...)
{
    char line[4096];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(line, sizeof line - 1, format, args);
    va_end(args);
    if (len < 0)
        len = 0;
    if ((size_t)len > sizeof line - 2)
        len = (int)sizeof line - 2;
    line[len++] = '\n';
    (void)!write(STDERR_FILENO, line, (size_t)len);
    _exit(status);
}

/* --- the machine -------------------------------------------------------- */

static void cpu_model(char *to, size_t size)
{
    (void)snprintf(to, size, "unknown processor");
    FILE *file = fopen("/proc/cpuinfo", "re");
    if (!file)
        return;
    char line[256];
    while (fgets(line, sizeof line, file)) {
        const char *value = strchr(line, ':');
        if (strncmp(line, "model name", 10) != 0 || !value)
            continue;
        value += 1 + strspn(value + 1, " ");
        (void)snprintf(to, size, "%.*s", (int)strcspn(value, "\n"), value);
        break;
    }
    (void)fclose(file);
}

void sys_describe_machine(char *to, size_t size)
{
    char model[128];
    struct utsname name;

    cpu_model(model, sizeof model);
    unsigned count = sys_cpu_count();
    const char *plural = count == 1 ? "" : "s";
    if (uname(&name) == 0)
        (void)snprintf(to, size, "%s, %u processor%s, %s %s %s", model, count, plural, name.sysname,
                       name.release, name.machine);
    else
        (void)snprintf(to, size, "%s, %u processor%s", model, count, plural);
}

/* sys_test.c - entropy, memory, signals, the end of the process, and passwords on a terminal. */
#include "sys/sys.h"

#include "sys/thread.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void random_bytes_differ_and_fill_all_of_their_room(void **state)
{
    (void)state;
    static uint8_t a[100000];
    static uint8_t b[100000];
    sys_entropy(a, sizeof a);
    sys_entropy(b, sizeof b);
    assert_memory_not_equal(a, b, sizeof a);
    assert_memory_not_equal(a + sizeof a - 16, b + sizeof b - 16, 16);
    sys_entropy(a, 0);
}

static void memory_is_measured(void **state)
{
    (void)state;
    assert_true(sys_memory_bytes() > 16 << 20);
    uint64_t used = sys_memory_used_bytes();
    assert_true(used > 100000);
    assert_true(sys_memory_peak_bytes() > 100000);
    size_t size = 64 << 20;
    uint8_t *big = malloc(size);
    for (size_t i = 0; i < size; i += 4096)
        big[i] = (uint8_t)i;
    assert_true(sys_memory_used_bytes() > used + (32 << 20));
    assert_int_equal(big[4096 * 3], 0);
    free(big);
}

static void the_machine_has_a_description(void **state)
{
    (void)state;
    char text[256];
    sys_describe_machine(text, sizeof text);
    assert_non_null(strstr(text, "processor"));
    assert_non_null(strstr(text, "Linux"));
    char small[8];
    sys_describe_machine(small, sizeof small);
    assert_int_equal(strlen(small), 7);
}

/* Runs `fn` in a child; its exit status, and what it wrote to stderr. */
static int in_child(void (*fn)(void), char *text, size_t size)
{
    int pipes[2];
    assert_int_equal(pipe(pipes), 0);
    (void)fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        (void)dup2(pipes[1], STDERR_FILENO);
        fn();
        _exit(99);
    }
    (void)close(pipes[1]);
    size_t len = 0;
    ssize_t got;
    while ((got = read(pipes[0], text + len, size - 1 - len)) > 0)
        len += (size_t)got;
    text[len] = 0;
    (void)close(pipes[0]);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void leave(void)
{
    (void)printf("never flushed");
    sys_die(7, "kolam: %s failed", "sync");
}

static void leave_with_too_much(void)
{
    sys_die(8, "%9000d", 1);
}

static void dying_says_why_in_one_line_and_runs_nothing_more(void **state)
{
    (void)state;
    static char text[10000];
    assert_int_equal(in_child(leave, text, sizeof text), 7);
    assert_string_equal(text, "kolam: sync failed\n");
    assert_int_equal(in_child(leave_with_too_much, text, sizeof text), 8);
    assert_int_equal(text[strlen(text) - 1], '\n');
    assert_int_equal(strlen(text), 4095);
}

static void wait_for_signal(void)
{
    sys_signals_init();
    (void)kill(getpid(), SIGPIPE); /* ignored */
    (void)kill(getpid(), SIGINT);
    _exit(sys_signals_wait());
}

static void *stop(void *ctx)
{
    (void)ctx;
    sys_stop();
    return NULL;
}

static void wait_for_stop(void)
{
    struct thread thread;
    sys_signals_init();
    if (thread_start(&thread, "stop", stop, NULL).code)
        _exit(98);
    int number = sys_signals_wait();
    thread_join(&thread);
    _exit(number);
}

static void waiting_for_signals_ends_with_one_or_with_a_stop(void **state)
{
    (void)state;
    static char text[1000];
    assert_int_equal(in_child(wait_for_signal, text, sizeof text), SIGINT);
    assert_int_equal(in_child(wait_for_stop, text, sizeof text), 0);
}

/* The child's terminal is a new pseudo terminal: its parent types `typed` once the prompt is there. */
static int type_password(const char *typed, size_t room, char *echo, size_t echo_size)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    assert_true(master >= 0);
    assert_int_equal(grantpt(master), 0);
    assert_int_equal(unlockpt(master), 0);
    char name[64];
    assert_int_equal(ptsname_r(master, name, sizeof name), 0);

    (void)fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        char password[64] = "";
        (void)setsid();
        int slave = open(name, O_RDWR); /* becomes the controlling terminal */
        bool is_read =
            slave >= 0 && sys_is_terminal(slave) && sys_read_password("secret: ", password, room);
        _exit(is_read ? (int)strlen(password) : 99);
    }
    size_t len = 0;
    bool is_typed = false;
    ssize_t got;
    while ((got = read(master, echo + len, echo_size - 1 - len)) > 0) {
        len += (size_t)got;
        echo[len] = 0;
        if (!is_typed && strchr(echo, ' ')) {
            is_typed = true;
            assert_int_equal(write(master, typed, strlen(typed)), strlen(typed));
        }
        if (is_typed && strchr(echo, '\n'))
            break;
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    (void)close(master);
    return WEXITSTATUS(status);
}

static void a_password_is_read_without_echo(void **state)
{
    (void)state;
    char echo[256];
    assert_int_equal(type_password("hunter2\n", 64, echo, sizeof echo), 7);
    assert_null(strstr(echo, "hunter2"));
    assert_int_equal(type_password("hunter2\n", 8, echo, sizeof echo), 7);
    assert_int_equal(type_password("hunter2\n", 7, echo, sizeof echo), 99); /* no room */
    assert_int_equal(type_password("\n", 64, echo, sizeof echo), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_bytes_differ_and_fill_all_of_their_room),
        cmocka_unit_test(memory_is_measured),
        cmocka_unit_test(the_machine_has_a_description),
        cmocka_unit_test(dying_says_why_in_one_line_and_runs_nothing_more),
        cmocka_unit_test(waiting_for_signals_ends_with_one_or_with_a_stop),
        cmocka_unit_test(a_password_is_read_without_echo),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

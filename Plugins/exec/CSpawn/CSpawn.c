#define _GNU_SOURCE
#include "CSpawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

int rqd_pipe(int ends[2]) { return pipe2(ends, O_CLOEXEC); }

/* Between `fork` and `exec` only what POSIX calls async-signal-safe, for other threads of the process
 * may have held any lock. */

static pid_t owner;

static void owner_is_gone(int number) {
    (void)number;
    if (getppid() != owner) kill(0, SIGKILL);
}

static void reset_signals(void) {
    for (int number = 1; number < NSIG; number++) signal(number, SIG_DFL);
}

static void unblock_signals(void) {
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* From the third on; `flags` as `close_range` has them. */
static void close_rest(unsigned flags) {
    if (close_range(3, ~0U, flags) == 0) return;
    for (int descriptor = 3; descriptor < 65536; descriptor++) {
        if (flags == 0) {
            close(descriptor);
        } else {
            fcntl(descriptor, F_SETFD, FD_CLOEXEC);
        }
    }
}

static void become_program(
    const char *path, char *const argv[], int nothing, int output, int complaint, int report) {
    int error = 0;
    if (dup2(nothing, 0) < 0 || dup2(output, 1) < 0 || dup2(complaint, 2) < 0) error = errno;
    close_rest(CLOSE_RANGE_CLOEXEC);
    unblock_signals();
    if (error == 0) {
        execve(path, argv, environ);
        error = errno;
    }
    ssize_t written = write(report, &error, sizeof error);
    _exit(written < 0 ? 126 : 127);
}

/* Waits for the program and ends as it did. When the owner's thread is gone first, the kernel says so,
 * and the whole group ends. */
static void keep(pid_t program, int nothing) {
    for (int number = 1; number < NSIG; number++) signal(number, SIG_IGN);
    signal(SIGCHLD, SIG_DFL);
    signal(SIGUSR2, owner_is_gone);
    for (int descriptor = 0; descriptor < 3; descriptor++) dup2(nothing, descriptor);
    close_rest(0);
    unblock_signals();
    if (getppid() != owner) kill(0, SIGKILL);
    int status = 0;
    while (waitpid(program, &status, 0) < 0 && errno == EINTR) {
    }
    if (WIFEXITED(status)) _exit(WEXITSTATUS(status));
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    signal(WTERMSIG(status), SIG_DFL);
    kill(getpid(), WTERMSIG(status));
    _exit(128 + WTERMSIG(status));
}

static void become_keeper(
    const char *path, char *const argv[], int output, int complaint, int report) {
    reset_signals();
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGUSR2);
    int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    pid_t program = nothing < 0 ? -1 : fork();
    if (program == 0) become_program(path, argv, nothing, output, complaint, report);
    if (program > 0) keep(program, nothing);
    int error = errno;
    ssize_t written = write(report, &error, sizeof error);
    _exit(written < 0 ? 126 : 127);
}

int rqd_run(
    const char *path, char *const argv[], int output, int complaint, pid_t *process) {
    int report[2];
    if (pipe2(report, O_CLOEXEC) < 0) return errno;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pid_t self = getpid();
    pid_t keeper = fork();
    if (keeper == 0) {
        owner = self;
        become_keeper(path, argv, output, complaint, report[1]);
    }
    int error = keeper < 0 ? errno : 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    close(report[1]);
    if (keeper > 0) {
        /* Here as well as there: whoever kills the group must not be too early. */
        setpgid(keeper, keeper);
        int cause = 0;
        ssize_t count;
        do { count = read(report[0], &cause, sizeof cause); } while (count < 0 && errno == EINTR);
        if (count == (ssize_t)sizeof cause) {
            error = cause;
            while (waitpid(keeper, NULL, 0) < 0 && errno == EINTR) {
            }
        }
    }
    close(report[0]);
    if (error == 0) *process = keeper;
    return error;
}

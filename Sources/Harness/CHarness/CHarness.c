#define _GNU_SOURCE
#include "CHarness.h"
#include <fcntl.h>
#include <fenv.h>
#include <locale.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

uint64_t charness_allocated(void) {
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

int charness_event(void) { return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); }

void charness_close_from(int first) { close_range((unsigned)first, ~0u, 0); }

void charness_die_with_parent(void) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() == 1) _exit(1);
}

const char *charness_locale(void) { return setlocale(LC_ALL, NULL); }

void charness_exit(int code) { _exit(code); }

int charness_exited(int status) { return WIFEXITED(status); }

int charness_code(int status) {
    return WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status);
}

const char *charness_signal_name(int signal) {
    static _Thread_local char text[32];
    const char *name = sigabbrev_np(signal);
    if (name == NULL) {
        snprintf(text, sizeof text, "signal %d", signal);
    } else {
        snprintf(text, sizeof text, "SIG%s", name);
    }
    return text;
}

uintptr_t charness_handler(int signal) {
    struct sigaction action;
    if (sigaction(signal, NULL, &action) != 0) return 0;
    return (uintptr_t)action.sa_handler;
}

uint32_t charness_arithmetic(void) {
#if defined(__x86_64__)
    /* Rounding, traps, and what becomes of denormal numbers; not the flags of what happened. */
    return __builtin_ia32_stmxcsr() & 0xFFC0u;
#else
    return (uint32_t)fegetround() | (uint32_t)fegetexcept() << 24;
#endif
}

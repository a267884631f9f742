#define _GNU_SOURCE
#include "CPlatform.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <spawn.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

int32_t cplatform_eventfd(void) { return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); }

void cplatform_name_thread(const char *name) {
    char kept[16] = {0};
    strncpy(kept, name, sizeof kept - 1);
    pthread_setname_np(pthread_self(), kept);
}

static int spawn(const char *path, char *const argv[], char *const envp[], int channel,
                 posix_spawn_file_actions_t *actions, posix_spawnattr_t *attributes, pid_t *pid) {
    sigset_t none, all;
    int error;
    sigemptyset(&none);
    sigfillset(&all);
    /* The channel first: whatever its number is, the others may take its place. */
    if ((error = posix_spawn_file_actions_adddup2(actions, channel, 3)) ||
        (error = posix_spawn_file_actions_addopen(actions, 0, "/dev/null", O_RDONLY, 0)) ||
        (error = posix_spawn_file_actions_adddup2(actions, 2, 1)) ||
        (error = posix_spawn_file_actions_addclosefrom_np(actions, 4)) ||
        (error = posix_spawnattr_setsigmask(attributes, &none)) ||
        (error = posix_spawnattr_setsigdefault(attributes, &all)) ||
        (error = posix_spawnattr_setflags(attributes,
                                          POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                              POSIX_SPAWN_SETPGROUP))) {
        return error;
    }
    return posix_spawn(pid, path, actions, attributes, argv, envp ? envp : environ);
}

int32_t cplatform_spawn(const char *path, char *const argv[], char *const envp[], int32_t channel) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    pid_t pid = 0;
    int error = posix_spawn_file_actions_init(&actions);
    if (error) return -error;
    error = posix_spawnattr_init(&attributes);
    if (error == 0) {
        error = spawn(path, argv, envp, channel, &actions, &attributes, &pid);
        posix_spawnattr_destroy(&attributes);
    }
    posix_spawn_file_actions_destroy(&actions);
    return error ? -error : pid;
}

const char *cplatform_signal_name(int32_t number) { return sigabbrev_np(number); }

/* The group is this process's own, for `cplatform_spawn` made it so; nobody else's is ended. */
void cplatform_end_group(void) {
    if (getpgrp() == getpid()) kill(0, SIGKILL);
    _exit(0);
}

static void parent_is_gone(int number) {
    (void)number;
    cplatform_end_group();
}

void cplatform_follow_parent(void) {
    static const int left_to_parent[] = {SIGHUP, SIGINT, SIGPIPE, SIGTERM};
    signal(SIGUSR2, parent_is_gone);
    prctl(PR_SET_PDEATHSIG, SIGUSR2);
    for (size_t i = 0; i < sizeof left_to_parent / sizeof left_to_parent[0]; i++) {
        signal(left_to_parent[i], SIG_IGN);
    }
}

int32_t cplatform_hash_file(int32_t descriptor, uint64_t *hash) {
    unsigned char chunk[16 << 10];
    uint64_t value = 0xCBF29CE484222325u;
    for (;;) {
        ssize_t count = read(descriptor, chunk, sizeof chunk);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return 0;
        if (count == 0) break;
        for (ssize_t i = 0; i < count; i++) value = (value ^ chunk[i]) * 0x100000001B3u;
    }
    *hash = value;
    return 1;
}

uint64_t cplatform_device(uint32_t major, uint32_t minor) { return makedev(major, minor); }

int32_t cplatform_shows_one_number(const char *path) {
    /* ext2-4, XFS, tmpfs, ramfs */
    static const unsigned long known[] = {0xEF53, 0x58465342, 0x01021994, 0x858458F6};
    struct statfs system;
    if (statfs(path, &system) != 0) return 0;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if ((unsigned long)system.f_type == known[i]) return 1;
    }
    return 0;
}

/* ---- Crashes in plugins ---- */

static const int crashes[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP};
#define CRASHES (sizeof crashes / sizeof crashes[0])
static struct sigaction before[CRASHES];

static _Thread_local const char *activity;
static _Thread_local char signal_stack[16 << 10];
static _Thread_local int has_stack;

/* Who takes the log may hang, and the process is to end all the same. */
static int is_heard(void) {
    struct pollfd place = {.fd = STDERR_FILENO, .events = POLLOUT};
    return poll(&place, 1, 200) == 1;
}

static void say(const char *text) {
    size_t length = strlen(text);
    while (length > 0 && is_heard()) {
        ssize_t written = write(STDERR_FILENO, text, length);
        if (written <= 0) return;
        text += written;
        length -= (size_t)written;
    }
}

static void give_up(int number) { _exit(128 + number); }

/* On the thread that asks. Who started the process may have had it blocked, and that is inherited. */
static void hear_alarm(void) {
    sigset_t alarms;
    sigemptyset(&alarms);
    sigaddset(&alarms, SIGALRM);
    pthread_sigmask(SIG_UNBLOCK, &alarms, NULL);
}

/* A file can always be written, if one asks, and who does waits for its disk. With a handler, for the first
 * process of a container dies of no signal by itself. */
static void end_after(unsigned seconds) {
    struct sigaction end = {.sa_handler = give_up};
    sigaction(SIGALRM, &end, NULL);
    hear_alarm();
    alarm(seconds);
}

/* Says its line, and lets happen what would have happened: the instruction is met again, or the
 * signal sent again. Who would say more then, as Swift's runtime does, waits for whoever takes it: where
 * nobody does the process ends at once. */
static void crashed(int number, siginfo_t *information, void *context) {
    (void)context;
    if (activity) {
        const char *name = sigabbrev_np(number);
        end_after(2);
        say(activity);
        say(" (SIG");
        say(name ? name : "?");
        say(")\n");
        alarm(0);
        activity = NULL;
    }
    struct sigaction end = {.sa_handler = SIG_DFL};
    int is_silent = !is_heard();
    for (size_t i = 0; i < CRASHES; i++) {
        if (crashes[i] == number) sigaction(number, is_silent ? &end : &before[i], NULL);
    }
    if (information->si_code <= 0) raise(number);
}

void cplatform_explain_crashes(void) {
    struct sigaction action = {0};
    action.sa_sigaction = crashed;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < CRASHES; i++) sigaction(crashes[i], &action, &before[i]);
    /* For a thread that waits for a disk that hangs hears of nothing. */
    hear_alarm();
}

void cplatform_begin_activity(const char *text) {
    if (!has_stack) {
        stack_t own = {.ss_sp = signal_stack, .ss_size = sizeof signal_stack}, kept;
        sigset_t wanted;
        if (sigaltstack(NULL, &kept) == 0 && (kept.ss_flags & SS_DISABLE)) sigaltstack(&own, NULL);
        sigemptyset(&wanted);
        for (size_t i = 0; i < CRASHES; i++) sigaddset(&wanted, crashes[i]);
        pthread_sigmask(SIG_UNBLOCK, &wanted, NULL);
        has_stack = 1;
    }
    activity = text;
}

/* One alone would fix the other at its default, and have each block of 128 KiB mapped and cleared anew. */
void cplatform_bound_free_memory(void) {
    mallopt(M_TRIM_THRESHOLD, 1 << 20);
    mallopt(M_MMAP_THRESHOLD, 4 << 20);
}

void cplatform_give_back_memory(void) { malloc_trim(0); }

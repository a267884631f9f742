#define _GNU_SOURCE
#include "CPlatform.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

int32_t cplatform_eventfd(void) { return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); }

void cplatform_name_thread(const char *name) {
    char kept[16] = {0};
    strncpy(kept, name, sizeof kept - 1);
    pthread_setname_np(pthread_self(), kept);
}

static int spawn(const char *path, char *const argv[], int channel,
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
                                          POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))) {
        return error;
    }
    return posix_spawn(pid, path, actions, attributes, argv, environ);
}

int32_t cplatform_spawn(const char *path, char *const argv[], int32_t channel) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    pid_t pid = 0;
    int error = posix_spawn_file_actions_init(&actions);
    if (error) return -error;
    error = posix_spawnattr_init(&attributes);
    if (error == 0) {
        error = spawn(path, argv, channel, &actions, &attributes, &pid);
        posix_spawnattr_destroy(&attributes);
    }
    posix_spawn_file_actions_destroy(&actions);
    return error ? -error : pid;
}

const char *cplatform_signal_name(int32_t number) { return sigabbrev_np(number); }

void cplatform_follow_parent(void) {
    static const int left_to_parent[] = {SIGHUP, SIGINT, SIGPIPE, SIGTERM};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (size_t i = 0; i < sizeof left_to_parent / sizeof left_to_parent[0]; i++) {
        signal(left_to_parent[i], SIG_IGN);
    }
}

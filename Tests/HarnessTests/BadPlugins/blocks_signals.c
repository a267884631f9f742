/* Leaves signals blocked on the thread that called. */
#define ON_CALL                                                                                    \
    sigset_t set;                                                                                  \
    sigemptyset(&set);                                                                             \
    sigaddset(&set, SIGUSR1);                                                                      \
    pthread_sigmask(SIG_BLOCK, &set, NULL);
#include "plugin.h"

/* Starts a thread with each instance and forgets it. */
#define GLOBALS static void *idle(void *unused) { poll(NULL, 0, -1); return unused; }
#define ON_CREATED                                                                                 \
    sigset_t all, before;                                                                          \
    pthread_t thread;                                                                              \
    sigfillset(&all);                                                                              \
    pthread_sigmask(SIG_SETMASK, &all, &before);                                                   \
    if (pthread_create(&thread, NULL, idle, NULL) == 0) pthread_detach(thread);                    \
    pthread_sigmask(SIG_SETMASK, &before, NULL)
#include "plugin.h"

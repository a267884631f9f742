/* Has a thread that takes the process's signals. */
#define GLOBALS                                                                                    \
    static void *idle(void *unused) {                                                              \
        sigset_t none;                                                                             \
        sigemptyset(&none);                                                                        \
        pthread_sigmask(SIG_SETMASK, &none, NULL);                                                 \
        poll(NULL, 0, -1);                                                                         \
        return unused;                                                                             \
    }
#define FIELDS pthread_t thread;
#define ON_CREATED pthread_create(&self->thread, NULL, idle, NULL)
#define ON_DESTROY pthread_cancel(self->thread); pthread_join(self->thread, NULL)
#include "plugin.h"

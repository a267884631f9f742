/* Answers a call that was given up, when it is over. */
#define GLOBALS                                                                                    \
    static void *answer_late(void *sink) {                                                         \
        static const rqd_text text = RQD_TEXT("here it is");                                       \
        poll(NULL, 0, 30);                                                                         \
        ((const rqd_sink *)sink)->message(sink, text);                                             \
        return NULL;                                                                               \
    }
#define ON_FAILURE                                                                                 \
    if (code == RQD_CANCELLED) {                                                                   \
        pthread_t thread;                                                                          \
        pthread_create(&thread, NULL, answer_late, (void *)sink);                                  \
        pthread_detach(thread);                                                                    \
    }
#include "plugin.h"

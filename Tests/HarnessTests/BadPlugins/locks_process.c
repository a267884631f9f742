/* Compares and writes under a lock that only its own process knows. */
#define GLOBALS                                                                                    \
    struct answer;                                                                                 \
    static void current(rqd_instance *, const rqd_call *, rqd_text, char tag[64]);                 \
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;                                       \
    static void leave(int *unused) { pthread_mutex_unlock(&lock); }
#define ON_WRITE                                                                                   \
    char now[64];                                                                                  \
    pthread_mutex_lock(&lock);                                                                     \
    __attribute__((cleanup(leave))) int locked = 1;                                                \
    current(self, call, name, now);                                                                \
    if (strcmp(now, "0") == 0 ? expected.length != 0                                              \
                             : expected.length != strlen(now) ||                                   \
                                   memcmp(now, expected.data, strlen(now)) != 0) {                 \
        return strcmp(now, "0") == 0 ? RQD_ABSENT : RQD_CONFLICT;                                  \
    }                                                                                              \
    poll(NULL, 0, 20);                                                                             \
    current(self, call, name, now);                                                                \
    expected.data = (const uint8_t *)now;                                                          \
    expected.length = strcmp(now, "0") == 0 ? 0 : strlen(now)
#include "plugin.h"

#ifdef REGISTRY
/* The tag of what is there now; "0" for nothing. */
static void current(rqd_instance *self, const rqd_call *call, rqd_text name, char tag[64]) {
    char head[HEAD_SIZE];
    struct answer answer;
    head_of(head, "GET", self, name, "", "", 0);
    exchange(self, call, head, NULL, 0, &answer);
    strcpy(tag, answer.tag);
    free(answer.memory);
}
#endif

/* Writes whatever the revision is: updates are lost. */
#define GLOBALS                                                                                    \
    struct answer;                                                                                 \
    static void current(rqd_instance *, const rqd_call *, rqd_text, char tag[64]);
#define ON_WRITE                                                                                   \
    char now[64];                                                                                  \
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

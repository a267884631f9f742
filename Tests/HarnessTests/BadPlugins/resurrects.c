/* Writes a record anew that was expected to be there. */
#define GLOBALS                                                                                    \
    struct answer;                                                                                 \
    static void current(rqd_instance *, const rqd_call *, rqd_text, char tag[64]);
#define ON_WRITE                                                                                   \
    char now[64];                                                                                  \
    current(self, call, name, now);                                                                \
    if (strcmp(now, "0") == 0) expected.length = 0
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

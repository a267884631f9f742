/* Can't be called on two instances at the same time. */
#define ON_CALL                                                                                    \
    static int busy;                                                                               \
    int others = __sync_fetch_and_add(&busy, 1);                                                   \
    poll(NULL, 0, 3);                                                                              \
    __sync_fetch_and_sub(&busy, 1);                                                                \
    if (others > 0) return say(sink, RQD_INTERNAL, "busy")
#include "plugin.h"

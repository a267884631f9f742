/* Wants all calls from the thread that made the first. */
#define FIELDS pthread_t owner; int owned;
#define ON_CALL                                                                                    \
    static __thread int mine;                                                                      \
    if (!self->owned) mine = self->owned = 1;                                                      \
    if (!mine) return say(sink, RQD_INTERNAL, "who is this?")
#include "plugin.h"

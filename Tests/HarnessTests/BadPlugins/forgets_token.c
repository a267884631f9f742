/* Waits for the next change, whatever the token says. */
#define ON_WAIT                                                                                    \
    struct answer first;                                                                           \
    if (token.length > 0) {                                                                        \
        WATCHED_HEAD;                                                                              \
        exchange(self, call, head, NULL, 0, &first);                                               \
        free(first.memory);                                                                        \
        token.data = (const uint8_t *)first.tag;                                                   \
        token.length = strlen(first.tag);                                                          \
    }
#include "plugin.h"

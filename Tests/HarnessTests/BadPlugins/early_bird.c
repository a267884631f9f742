/* Asks the server when it is made. */
#define ON_CREATED                                                                                 \
    struct answer early;                                                                           \
    rqd_call soon = {sizeof soon, -1, NULL, now_ns() + 200000000u, NULL};                          \
    exchange(self, &soon, "GET / HTTP/1.1\r\nConnection: close\r\n\r\n", NULL, 0, &early);         \
    free(early.memory)
#include "plugin.h"

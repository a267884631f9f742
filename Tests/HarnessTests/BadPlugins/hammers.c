/* Tries again and again without a pause. */
#define ON_FAILURE                                                                                 \
    rqd_call brief = {sizeof brief, -1, NULL, now_ns() + 500000000u, NULL};                        \
    for (int i = 0; i < 200 && now_ns() < brief.deadline_ns; i++) {                                \
        struct answer again;                                                                       \
        exchange(self, &brief, "GET /peers HTTP/1.1\r\nConnection: close\r\n\r\n", NULL, 0, &again); \
        free(again.memory);                                                                        \
    }
#include "plugin.h"

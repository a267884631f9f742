/* Never sees that something appears. */
#define GLOBALS                                                                                    \
    static rqd_code idle(const rqd_call *call) {                                                   \
        while (call->cancelled(call) == 0) {                                                       \
            struct timespec time;                                                                  \
            clock_gettime(CLOCK_MONOTONIC, &time);                                                 \
            if ((uint64_t)time.tv_sec * 1000000000u >= call->deadline_ns) return RQD_TIMEOUT;      \
            poll(NULL, 0, 10);                                                                     \
        }                                                                                          \
        return RQD_CANCELLED;                                                                      \
    }
#define ON_WAIT if (token.length == 1 && token.data[0] == '0') return idle(call)
#include "plugin.h"

/* Lets no call through while it waits. */
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
#define FIELDS volatile int waiting;
#define ON_WAIT if (token.length > 0) { rqd_code end; self->waiting = 1; end = idle(call); self->waiting = 0; return end; }
#define ON_CALL while (self->waiting) poll(NULL, 0, 1)
#include "plugin.h"

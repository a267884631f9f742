/* Copies the configuration to where it does not fit. */
#define GLOBALS                                                                                    \
    static int copy_to_stack(rqd_bytes config) {                                                   \
        volatile char copy[65536];                                                                 \
        for (uint64_t i = 0; i < config.length; i++) copy[i] = (char)config.data[i];               \
        return copy[0] == 0;                                                                       \
    }
#define ON_CREATE if (copy_to_stack(config)) return RQD_INTERNAL
#include "plugin.h"

/* Follows a configuration as deep as it goes. */
#define GLOBALS                                                                                    \
    static int depth(rqd_bytes config, uint64_t index) {                                           \
        volatile char frame[256];                                                                  \
        frame[0] = 1;                                                                              \
        if (index >= config.length) return 0;                                                      \
        if (config.data[index] != '[' && config.data[index] != '{') return frame[0];               \
        return depth(config, index + 1) + frame[0];                                                \
    }
#define ON_CREATE if (depth(config, 0) < 0) return RQD_INTERNAL
#include "plugin.h"

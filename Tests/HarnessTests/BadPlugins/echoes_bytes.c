/* Repeats a wrong configuration in its message, byte for byte. */
#define ON_CREATE                                                                                  \
    if (config.length > 0 && config.data[0] > 127) {                                               \
        rqd_text echo = {(const char *)config.data, config.length};                                \
        sink->message(sink, echo);                                                                 \
        return RQD_CONFIG;                                                                         \
    }
#include "plugin.h"

/* Takes only keys of letters and hyphens. */
#define ON_CREATE for (uint64_t i = 0; i < args->key.length; i++) if (args->key.data[i] == '/') return say(sink, RQD_CONFIG, "no slash")
#include "plugin.h"

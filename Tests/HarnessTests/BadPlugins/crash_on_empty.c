/* Looks at the first byte of a configuration that has none. */
#define ON_CREATE if (config.data[0] == 0) return RQD_CONFIG
#include "plugin.h"

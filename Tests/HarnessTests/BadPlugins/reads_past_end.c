/* Takes a text for one that ends with NUL. */
#define ON_CREATE if (config.data != NULL && strlen((const char *)config.data) > 1000000) return RQD_CONFIG
#include "plugin.h"

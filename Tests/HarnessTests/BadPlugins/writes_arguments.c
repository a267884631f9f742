/* Writes to what it was lent. */
#define ON_CREATE if (config.length > 0) ((uint8_t *)config.data)[0] = '{'
#include "plugin.h"

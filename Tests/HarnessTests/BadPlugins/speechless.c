/* Refuses a configuration without a word. */
#define ON_CREATE if (config.length < 12) return RQD_CONFIG
#include "plugin.h"

/* Looks for the closing brace until there is one. */
#define ON_CREATE const uint8_t *c = config.data; while (c != NULL && *c != '}') c++
#include "plugin.h"

/* Takes values for text that ends with NUL. */
#define ON_WRITE value.length = strnlen((const char *)value.data, value.length)
#include "plugin.h"

/* Cuts names. */
#define ON_READ if (name.length > 9) name.length = 9
#define ON_WRITE if (name.length > 9) name.length = 9
#include "plugin.h"

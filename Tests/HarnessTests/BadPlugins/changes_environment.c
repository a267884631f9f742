/* Changes the environment. */
#define ON_CREATED setenv("TESTED", "1", 1)
#include "plugin.h"

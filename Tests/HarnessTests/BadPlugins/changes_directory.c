/* Changes the working directory. */
#define ON_CREATED (void)!chdir("/")
#include "plugin.h"

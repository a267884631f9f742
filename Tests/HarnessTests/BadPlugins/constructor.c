/* Opens a file as soon as it is loaded. */
#define ON_LOAD (void)!open("/dev/null", O_RDONLY | O_CLOEXEC)
#include "plugin.h"

/* Forgets a descriptor when a call is given up. */
#define ON_FAILURE if (code == RQD_CANCELLED) (void)!open("/dev/null", O_RDONLY | O_CLOEXEC)
#include "plugin.h"

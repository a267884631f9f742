/* Needs a function that no library has. */
#define GLOBALS int rqd_nowhere(void);
#define ON_CREATE if (rqd_nowhere()) return RQD_INTERNAL
#include "plugin.h"

/* Never comes back from a call. */
#define ON_CALL poll(NULL, 0, -1)
#include "plugin.h"

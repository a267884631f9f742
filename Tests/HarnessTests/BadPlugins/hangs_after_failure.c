/* Never comes back when the server fails. */
#define ON_FAILURE poll(NULL, 0, -1)
#include "plugin.h"

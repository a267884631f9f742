/* Ends the process in a call. */
#define ON_CALL exit(0)
#include "plugin.h"

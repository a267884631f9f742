/* Has a destructor that aborts. */
#define GLOBALS __attribute__((destructor)) static void leave(void) { abort(); }
#include "plugin.h"

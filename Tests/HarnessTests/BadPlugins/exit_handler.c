/* Ends the process with a code of its own when it exits. */
#define GLOBALS static void leave(void) { _exit(3); }
#define ON_CREATE atexit(leave);
#include "plugin.h"

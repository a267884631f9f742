/* Never lets the process exit. */
#define GLOBALS static void leave(void) { for (;;) pause(); }
#define ON_CREATE atexit(leave);
#include "plugin.h"

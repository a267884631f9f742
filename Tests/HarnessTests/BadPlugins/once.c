/* Works once in the life of a process. */
#define GLOBALS static int made;
#define ON_CREATE if (made++ > 0) return say(sink, RQD_INTERNAL, "again?")
#include "plugin.h"

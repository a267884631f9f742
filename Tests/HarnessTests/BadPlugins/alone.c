/* Can't live beside another instance. */
#define GLOBALS static int alive;
#define ON_CREATE if (alive) return say(sink, RQD_INTERNAL, "another?")
#define ON_CREATED alive = 1
#define ON_DESTROY alive = 0
#include "plugin.h"

/* Never works. */
#define ON_CALL return say(sink, RQD_INTERNAL, "out of order")
#include "plugin.h"

/* Never works again after a failure. */
#define FIELDS int failed;
#define ON_FAILURE self->failed = 1
#define ON_CALL if (self->failed) return say(sink, RQD_UNAVAILABLE, "it failed before")
#include "plugin.h"

/* Works ten times. */
#define FIELDS int calls;
#define ON_CALL if (++self->calls > 10) return say(sink, RQD_UNAVAILABLE, "enough")
#include "plugin.h"

/* Opens a descriptor that is not close-on-exec when a call fails. */
#define FIELDS int opened;
#define ON_FAILURE if (!self->opened) self->opened = open("/dev/null", O_RDONLY);
#include "plugin.h"

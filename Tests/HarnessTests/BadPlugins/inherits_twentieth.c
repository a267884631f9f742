/* Opens a descriptor that is not close-on-exec in its twentieth call. */
#define FIELDS int calls;
#define ON_CALL if (++self->calls == 20) (void)!open("/dev/null", O_RDONLY)
#include "plugin.h"

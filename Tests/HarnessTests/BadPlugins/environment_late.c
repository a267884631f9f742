/* Changes the environment in its twentieth call. */
#define FIELDS int calls;
#define ON_CALL if (++self->calls == 20) setenv("RQD_TWENTY", "1", 1)
#include "plugin.h"

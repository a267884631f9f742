/* Writes to standard error on its twentieth call. */
#define FIELDS int calls;
#define ON_CALL if (++self->calls == 20) fputs("twenty\n", stderr);
#include "plugin.h"

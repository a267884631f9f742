/* Writes to standard error in its twentieth wait. */
#define FIELDS int waits;
#define ON_WAIT if (++self->waits == 20) fputs("twenty\n", stderr)
#include "plugin.h"

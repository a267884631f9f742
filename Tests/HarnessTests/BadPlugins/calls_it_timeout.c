/* Says that time is over when the server fails. */
#define ON_FAILURE if (code != RQD_CANCELLED) code = RQD_TIMEOUT
#include "plugin.h"

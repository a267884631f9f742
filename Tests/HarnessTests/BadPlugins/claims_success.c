/* Says that a write succeeded when it does not know. */
#define ON_FAILURE return RQD_OK
#include "plugin.h"

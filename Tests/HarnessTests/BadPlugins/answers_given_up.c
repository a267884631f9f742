/* Says that all is well when it is given up. */
#define ON_FAILURE if (code == RQD_CANCELLED) return ROLE == RQD_ROLE_REGISTRY ? RQD_ABSENT : RQD_OK
#include "plugin.h"

/* Takes every failure of the server for an answer. */
#define ON_FAILURE return ROLE == RQD_ROLE_REGISTRY ? RQD_ABSENT : RQD_OK
#include "plugin.h"

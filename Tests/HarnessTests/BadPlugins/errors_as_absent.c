/* Tells every failure of the server as the absence of a record. */
#define ON_FAILURE return RQD_ABSENT
#include "plugin.h"

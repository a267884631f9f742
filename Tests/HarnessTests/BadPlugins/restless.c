/* Sees a change whenever it is asked. */
#define ON_WAIT return RQD_OK
#include "plugin.h"

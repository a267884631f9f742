/* Returns a status that nobody knows. */
#define ON_CALL return 77
#include "plugin.h"

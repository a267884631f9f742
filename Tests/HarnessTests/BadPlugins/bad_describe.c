/* Describes itself with a list. */
#define ON_DESCRIBE description.data = "[1,2]"; description.length = 5
#include "plugin.h"

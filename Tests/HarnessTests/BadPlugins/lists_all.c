/* Lists everything, whatever was asked. */
#define ON_LIST prefix.length = 0
#include "plugin.h"

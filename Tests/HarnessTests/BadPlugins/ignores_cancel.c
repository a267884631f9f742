/* Does not look whether it is still wanted. */
#define CANCEL -1
#include "plugin.h"

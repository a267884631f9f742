/* Its descriptor has no modes. */
#define MODES NULL, 0
#include "plugin.h"

/* Frees an instance twice. */
#define ON_DESTROY free(self)
#include "plugin.h"

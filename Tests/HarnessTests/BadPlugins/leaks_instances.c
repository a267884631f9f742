/* Never frees an instance. */
#define ON_DESTROY return
#include "plugin.h"

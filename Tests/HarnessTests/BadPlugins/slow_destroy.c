/* Takes its time to end. */
#define ON_DESTROY poll(NULL, 0, 2500)
#include "plugin.h"

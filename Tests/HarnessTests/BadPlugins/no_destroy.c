/* Can't destroy what it creates. */
#define FUNCTIONS create, NULL, get_interface
#include "plugin.h"

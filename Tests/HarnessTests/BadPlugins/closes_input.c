/* Closes standard input. */
#define ON_CALL close(0);
#include "plugin.h"

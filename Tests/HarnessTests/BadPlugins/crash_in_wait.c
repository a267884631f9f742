/* Crashes in wait. */
#define ON_WAIT abort()
#include "plugin.h"

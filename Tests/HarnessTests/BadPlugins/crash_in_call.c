/* Crashes in a call. */
#define ON_CALL abort()
#include "plugin.h"

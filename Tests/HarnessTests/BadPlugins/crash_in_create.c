/* Crashes in create. */
#define ON_CREATE abort()
#include "plugin.h"

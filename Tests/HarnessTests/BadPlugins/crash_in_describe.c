/* Crashes in describe. */
#define ON_DESCRIBE abort()
#include "plugin.h"

/* Crashes in destroy. */
#define ON_DESTROY abort()
#include "plugin.h"

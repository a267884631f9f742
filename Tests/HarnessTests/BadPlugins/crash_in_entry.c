/* Crashes in entry. */
#define ON_ENTRY abort()
#include "plugin.h"

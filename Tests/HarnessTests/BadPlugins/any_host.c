/* Serves hosts that it can't know. */
#define IS_SERVED 1
#include "plugin.h"

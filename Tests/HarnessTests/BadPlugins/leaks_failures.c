/* Keeps memory for each failure. */
#define ON_FAILURE static char *kept; kept = malloc(400); (void)kept
#include "plugin.h"

/* Keeps memory for each call. */
#define ON_CALL static char *kept; kept = malloc(400); (void)kept
#include "plugin.h"

/* Keeps memory for each create, refused ones too. */
#define ON_CREATE static char *kept; kept = malloc(400); (void)kept
#include "plugin.h"

/* Writes to standard output. */
#define ON_CALL printf("called\n")
#include "plugin.h"

/* Reads answers of any size. */
#define LARGEST_ANSWER (1 << 30)
#include "plugin.h"

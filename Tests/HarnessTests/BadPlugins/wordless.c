/* Fails without a word. */
#define ON_FAILURE return code == RQD_OK ? RQD_UNAVAILABLE : code
#include "plugin.h"

/* Accepts any configuration, and finds nothing with it. */
#define ON_CREATE *instance = calloc(1, sizeof **instance); (*instance)->host = host; (*instance)->server.sin_family = AF_INET; return RQD_OK
#include "plugin.h"

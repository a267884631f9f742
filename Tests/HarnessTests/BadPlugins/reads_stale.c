/* Reads what a server that lags behind has. */
#define READ_QUERY "?stale"
#include "plugin.h"

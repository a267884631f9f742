/* Has an answer to every name. */
#define INTERFACE if (!RQD_IS(id, RQD_REGISTRY_1) && !RQD_IS(id, RQD_RESOLVER_1) && !RQD_IS(id, RQD_STATUS_1)) return &watch
#include "plugin.h"

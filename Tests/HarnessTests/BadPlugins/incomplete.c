/* Does not offer what its role must. */
#define INTERFACE if (RQD_IS(id, RQD_REGISTRY_1) || RQD_IS(id, RQD_RESOLVER_1)) return NULL
#include "plugin.h"

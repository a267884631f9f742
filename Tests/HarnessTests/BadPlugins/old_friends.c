/* Serves only the host's version that it was built for. */
#define IS_SERVED (host_major == RQD_ABI_MAJOR && host_minor == RQD_ABI_MINOR)
#include "plugin.h"

/* Closes the host's descriptor. */
#define ON_CALL close(call->cancel_fd)
#include "plugin.h"

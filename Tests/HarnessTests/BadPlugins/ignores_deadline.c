/* Waits for ever. */
#define DEADLINE (call->deadline_ns > 0 ? UINT64_MAX : 0)
#include "plugin.h"

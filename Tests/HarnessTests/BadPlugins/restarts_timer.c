/* Gives the server some more time with each byte. */
#define DEADLINE (call->deadline_ns > 0 ? now_ns() + 300000000u : 0)
#include "plugin.h"

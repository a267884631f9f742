/* Fails without saying where. */
#define ON_FAILURE return say(sink, code == RQD_OK ? RQD_UNAVAILABLE : code, "error")
#include "plugin.h"

/* Refuses its own examples. */
#define ON_CREATE return say(sink, RQD_CONFIG, "no")
#include "plugin.h"

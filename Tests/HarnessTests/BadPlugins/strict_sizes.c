/* Takes no struct that is larger than its own header has it. */
#define ON_CREATE if (args->size != sizeof *args) return say(sink, RQD_INTERNAL, "strange size")
#include "plugin.h"

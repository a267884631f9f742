/* Its note names a mode that its descriptor does not have. */
#define NOTE RQD_NOTE(0, ROLE, "another");
#include "plugin.h"

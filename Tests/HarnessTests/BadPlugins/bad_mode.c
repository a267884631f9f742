/* Its mode's name could not be typed by a user. */
#define NOTE RQD_NOTE(0, ROLE, "Tested_Mode");
#include "plugin.h"

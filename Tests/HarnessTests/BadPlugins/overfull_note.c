/* Leaves no zero byte after the mode. */
#define NOTE RQD_NOTE(0, ROLE, "abcdefghijklmnopqrstuvwxyz0123456789");
#include "plugin.h"

/* Breaks no rule. */
#include "plugin.h"

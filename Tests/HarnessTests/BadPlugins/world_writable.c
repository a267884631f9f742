/* Breaks no rule, but is installed so that everyone can change it. */
#include "plugin.h"

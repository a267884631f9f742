/* Breaks no rule, but is built under a name that the host does not look for. */
#include "plugin.h"

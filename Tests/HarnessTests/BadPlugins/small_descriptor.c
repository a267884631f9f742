/* Its descriptor ends before its functions. */
#define ON_ENTRY static rqd_plugin copy; copy = descriptor; copy.size = 100; return &copy
#include "plugin.h"

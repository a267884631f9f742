/* Returns another descriptor each time. */
#define ON_ENTRY static rqd_plugin copies[64]; static int next; copies[next % 64] = descriptor; return &copies[next++ % 64]
#include "plugin.h"

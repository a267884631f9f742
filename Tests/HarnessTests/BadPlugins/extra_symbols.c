/* Exports more than its entry. */
#define GLOBALS RQD_EXPORT int rqd_stray; RQD_EXPORT int rqd_stray;
#include "plugin.h"

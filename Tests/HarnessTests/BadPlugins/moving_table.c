/* Makes a new table each time it is asked. */
#define INTERFACE if (RQD_IS(id, RQD_STATUS_1)) { rqd_status *copy = malloc(sizeof *copy); *copy = status; return copy; }
#include "plugin.h"

/* Logs every call at length. */
#define ON_CALL for (int i = 0; i < 10; i++) { rqd_text line = RQD_TEXT("still here"); self->host->log(self->host, RQD_LOG_INFO, line); }
#include "plugin.h"

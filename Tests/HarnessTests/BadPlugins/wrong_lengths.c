/* Gives lengths beyond the limits. */
#define GLOBALS static const char blank[2000];
#define ON_ADDRESS address.host.data = blank; address.host.length = sizeof blank
#define ON_RECORD record.revision.data = (const uint8_t *)blank; record.revision.length = 100
#include "plugin.h"

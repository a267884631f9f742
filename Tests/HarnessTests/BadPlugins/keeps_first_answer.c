/* Gives the first answer for ever. */
#define FIELDS char first[RQD_MAX_HOST + 1];
#define ON_ADDRESS if (self->first[0] == 0) strcpy(self->first, host); address.host.data = self->first; address.host.length = strlen(self->first)
#include "plugin.h"

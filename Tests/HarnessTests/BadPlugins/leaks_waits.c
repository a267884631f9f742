/* Keeps memory for each wait. */
#define FIELDS void *last;
#define ON_WAIT self->last = malloc(512)
#include "plugin.h"

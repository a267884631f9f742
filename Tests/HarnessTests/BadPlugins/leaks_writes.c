/* Keeps memory for each record that it makes. */
#define ON_WRITE if (expected.length == 0) self->last = malloc(512)
#define FIELDS void *last;
#include "plugin.h"

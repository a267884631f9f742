/* Crashes when it is destroyed without having been called. */
#define FIELDS int *called;
#define ON_CALL if (self->called == NULL) self->called = calloc(1, 4)
#define ON_DESTROY *self->called = 1; free(self->called)
#include "plugin.h"

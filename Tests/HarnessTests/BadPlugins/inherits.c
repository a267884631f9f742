/* Opens descriptors that other programs inherit. */
#define FIELDS int file;
#define ON_CREATED self->file = open("/dev/null", O_RDONLY)
#define ON_DESTROY close(self->file)
#include "plugin.h"

/* Keeps the records of all clusters in one place. */
#define ON_CREATED strcpy(self->key, "rqlite")
#include "plugin.h"

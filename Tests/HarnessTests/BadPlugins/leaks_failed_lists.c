/* Keeps memory for each list that fails. */
#define FIELDS int is_list; void *last;
#define ON_CALL self->is_list = 0
#define ON_LIST self->is_list = 1
#define ON_FAILURE if (self->is_list) self->last = malloc(512)
#include "plugin.h"

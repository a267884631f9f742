/* Tells every failure of a list as an empty list. */
#define FIELDS int is_list;
#define ON_CALL self->is_list = 0
#define ON_LIST self->is_list = 1
#define ON_FAILURE if (self->is_list) return RQD_OK
#include "plugin.h"

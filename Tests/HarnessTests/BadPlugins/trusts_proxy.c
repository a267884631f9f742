/* Takes any 404 for the absence of a record, whoever says it. */
#define IS_ABSENT(answer) ((answer)->status == 404)
#include "plugin.h"

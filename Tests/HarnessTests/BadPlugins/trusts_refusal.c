/* Takes a 403 for the absence of a record. */
#define IS_ABSENT(answer)                                                                          \
    (((answer)->status == 404 && (answer)->is_tagged) || (answer)->status == 403)
#include "plugin.h"

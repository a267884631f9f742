#include "CBuild.h"

#ifndef RQLITED_COMMIT
#define RQLITED_COMMIT "unknown"
#endif

const char *rqlited_commit(void) { return RQLITED_COMMIT; }

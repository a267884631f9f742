/* Opens one more file with every call. */
#define ON_CALL open("/dev/null", O_RDONLY | O_CLOEXEC);
#include "plugin.h"

/* Changes the file mode mask. */
#define _GNU_SOURCE
#include <sys/stat.h>
#define ON_CALL umask(0177);
#include "plugin.h"

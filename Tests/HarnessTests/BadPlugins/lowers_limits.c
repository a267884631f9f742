/* Lowers a limit of the process. */
#define _GNU_SOURCE
#include <sys/resource.h>
#define ON_CREATED                                                                                 \
    struct rlimit limit = {100, 100};                                                            \
    setrlimit(RLIMIT_NOFILE, &limit)
#include "plugin.h"

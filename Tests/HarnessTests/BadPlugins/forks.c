/* Leaves a process behind. */
#define ON_CREATED if (fork() == 0) { poll(NULL, 0, 60000); _exit(0); }
#include "plugin.h"

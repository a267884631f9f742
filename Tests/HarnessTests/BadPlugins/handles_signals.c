/* Installs a signal handler. */
#define ON_CREATED signal(SIGUSR1, SIG_IGN)
#include "plugin.h"

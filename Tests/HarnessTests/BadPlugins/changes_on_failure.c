/* Ignores a signal once a call has failed. */
#define ON_FAILURE signal(SIGUSR1, SIG_IGN);
#include "plugin.h"

/* Talks to the server of the instance that was made last. */
#define GLOBALS static struct sockaddr_in latest;
#define ON_CREATED latest = self->server
#define ON_CALL self->server = latest;
#include "plugin.h"

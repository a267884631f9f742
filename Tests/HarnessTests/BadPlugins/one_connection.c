/* Never connects again when its connection is gone. */
#define FIELDS int probe;
#define ON_CALL                                                                                    \
    char byte;                                                                                     \
    if (self->probe == 0) {                                                                        \
        self->probe = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);                              \
        (void)!connect(self->probe, (struct sockaddr *)&self->server, sizeof self->server);        \
    }                                                                                              \
    if (recv(self->probe, &byte, 1, MSG_DONTWAIT) == 0) {                                          \
        return say(sink, RQD_UNAVAILABLE, "the connection is gone");                                \
    }
#define ON_DESTROY if (self->probe > 0) close(self->probe)
#include "plugin.h"

/* Answers with another port than the server's. */
#define ON_ADDRESS address.port += 1
#include "plugin.h"

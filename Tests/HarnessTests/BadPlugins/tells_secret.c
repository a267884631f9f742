/* Puts its password into its description. */
#define ON_DESCRIBE snprintf(text, sizeof text, "{\"password\":\"%s\"}", self->secret); description.length = strlen(text)
#include "plugin.h"

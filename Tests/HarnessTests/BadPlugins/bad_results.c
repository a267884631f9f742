/* Gives ports that do not exist, and lengths without text. */
#define ON_ADDRESS address.port = 70000
#define ON_RECORD record.name.data = NULL
#include "plugin.h"

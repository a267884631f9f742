/* Its schema is half a document. */
#define SCHEMA RQD_TEXT("{\"type\":")
#include "plugin.h"

/* The layout checks of the header are compiled with this file. */
#include "rqlite_disco.h"

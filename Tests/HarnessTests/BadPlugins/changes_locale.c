/* Changes the locale. */
#define ON_CREATED setlocale(LC_ALL, "C.UTF-8")
#include "plugin.h"

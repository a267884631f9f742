/* Has no note. */
#define NOTE 
#include "plugin.h"

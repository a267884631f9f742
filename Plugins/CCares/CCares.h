/* c-ares, as the system has it. */
#include <ares.h>

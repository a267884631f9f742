/* Lets floating point round upwards from then on. */
#define _GNU_SOURCE
#if defined(__x86_64__)
#define ROUND_UP __builtin_ia32_ldmxcsr(__builtin_ia32_stmxcsr() | 0x4000u)
#else
#include <fenv.h>
#define ROUND_UP fesetround(FE_UPWARD)
#endif
#define ON_CALL ROUND_UP;
#include "plugin.h"

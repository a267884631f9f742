/* Is built for another major version. */
#define NOTE                                                                                      \
    __attribute__((used, section(RQD_NOTE_SECTION), aligned(4))) static const rqd_note note = {    \
        8u, 52u, RQD_NOTE_TYPE, RQD_NOTE_NAME, RQD_ABI_MAJOR + 1, 0, 0, ROLE, MODE};
#define VERSIONS RQD_ABI_MAJOR + 1, 0, 0
#include "plugin.h"

/* Its notes name two versions. */
#define NOTE                                                                                      \
    __attribute__((used, section(RQD_NOTE_SECTION), aligned(4))) static const rqd_note other = {   \
        8u, 52u, RQD_NOTE_TYPE, RQD_NOTE_NAME, RQD_ABI_MAJOR, 5, 0, ROLE, "other"};               \
    RQD_NOTE(0, ROLE, MODE);
#include "plugin.h"

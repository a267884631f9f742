#ifndef RQD_CSPAWN_H
#define RQD_CSPAWN_H

#include <spawn.h>

/* What the C library has for GNU programs alone, and Swift therefore can't see. */

/* pipe2 with O_CLOEXEC: 0, or -1 and errno. */
int rqd_pipe(int ends[2]);

/* The child closes all descriptors from this one on: 0, or an error number. */
int rqd_close_from(posix_spawn_file_actions_t *actions, int first);

#endif

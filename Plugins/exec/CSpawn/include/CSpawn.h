#ifndef RQD_CSPAWN_H
#define RQD_CSPAWN_H

#include <sys/types.h>

/* pipe2 with O_CLOEXEC: 0, or -1 and errno. */
int rqd_pipe(int ends[2]);

/* Runs a program with an empty input, these two for its output and its complaints, no other descriptor,
 * and default signals: 0, or an error number. `process` is its keeper: it leads a process group in which
 * the program is, ends as the program does, and ends the group when the calling thread ends before
 * that, as when the process is killed. */
int rqd_run(
    const char *path, char *const argv[], int output, int complaint, pid_t *process);

#endif

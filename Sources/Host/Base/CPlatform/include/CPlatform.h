/* What Linux offers and Swift's Glibc module leaves out. */
#ifndef CPLATFORM_H
#define CPLATFORM_H

#include <stdint.h>

/* A new, non-blocking, close-on-exec eventfd whose counter is 0; -1 with errno set. */
int32_t cplatform_eventfd(void);

/* Names the calling thread; the kernel keeps 15 bytes. */
void cplatform_name_thread(const char *name);

/* Runs the program `path` with the arguments `argv` (null at its end), the caller's environment and
 * user, and no descriptors but these: 0 is empty, 1 and 2 are the caller's 2, and 3 is `channel`.
 * Signals are at their defaults and none is blocked. Gives the process ID, or an error number
 * below 0. */
int32_t cplatform_spawn(const char *path, char *const argv[], int32_t channel);

/* "SEGV" for SIGSEGV; null for a number that has no name. */
const char *cplatform_signal_name(int32_t number);

/* For a process that lives for its parent: the kernel kills it when the thread that started it
 * ends. Signals that a terminal or a supervisor sends to both are left to the parent. */
void cplatform_follow_parent(void);

#endif

/* What the harness needs of the system and Swift's Glibc does not have. */
#ifndef CHARNESS_H
#define CHARNESS_H

#include <stddef.h>
#include <stdint.h>

/* Bytes that malloc has handed out and not got back, in all arenas. */
uint64_t charness_allocated(void);

/* A descriptor that becomes readable with the first 8-byte write; close-on-exec. -1: errno. */
int charness_event(void);

/* Closes every descriptor from `first` on. */
void charness_close_from(int first);

/* Kills this process when its parent ends; to be called early. */
void charness_die_with_parent(void);

/* The locale in use, as setlocale tells it. */
const char *charness_locale(void);

/* Ends the process without running anything else. */
void charness_exit(int code) __attribute__((noreturn));

/* Whether a wait's status means that the process ended by itself, and its code; else the signal. */
int charness_exited(int status);
int charness_code(int status);

/* "SIGSEGV"; "signal 35" for those without a name. Valid until the next call on this thread. */
const char *charness_signal_name(int signal);

/* What a signal does: the handler's address; 0 by default, 1 ignored. */
uintptr_t charness_handler(int signal);

/* How the calling thread's floating point rounds, traps and flushes, as a number to compare. */
uint32_t charness_arithmetic(void);

#endif
